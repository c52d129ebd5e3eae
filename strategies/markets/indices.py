"""What a decider may know of an index: a value to look at, that nobody can trade.

Rule: facts only. An index has no sessions, fees or lots, and refuses no setting of a strategy that
trades something else beside it: orders in it are the capital manager's to refuse.
"""

from decimal import Decimal

from nautilus_trader.model import Currency, IndexInstrument

from strategies.markets.facts import RAW_DIGITS, InstrumentFacts, MarketFacts, UniformTicks
from strategies.markets.sessions import ContinuousDays


def index_facts(index: IndexInstrument) -> InstrumentFacts:
    """Return an index's facts; ``tradable`` is False, so every order in it is refused."""
    return InstrumentFacts(
        instrument_id=index.id,
        market=_market(index.id.venue.value, index.quote_currency),
        price_precision=index.price_precision,
        size_precision=RAW_DIGITS,
        ticks=UniformTicks(index.price_increment.raw),
        lot_raw=1,
        currency=index.quote_currency,
        min_quantity_raw=1,
        min_notional_raw=0,
        base=None,
        tradable=False,
    )


def _market(venue: str, currency: Currency) -> MarketFacts:
    return MarketFacts(
        venue=venue,
        timezone="UTC",
        currency=currency,
        margin=False,
        short_allowed=True,
        price_limit_ratio=None,
        maker_rate=Decimal(0),
        taker_rate=Decimal(0),
        sell_tax_rate=Decimal(0),
        sessions=ContinuousDays(),
    )
