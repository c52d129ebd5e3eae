"""What a decider may know of an engine instrument, taken from the instrument itself."""

from nautilus_trader.model import (
    CryptoPerpetual,
    CurrencyPair,
    Equity,
    IndexInstrument,
    Quantity,
)

from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.facts import InstrumentFacts, MarketFacts, TickScheme, UniformTicks

type Instrument = Equity | CryptoPerpetual | CurrencyPair | IndexInstrument
"""What a catalog holds; an index has facts, but none to trade on."""


def facts_of(
    instrument: Instrument, market: MarketFacts, *, adjusted: bool | None = None
) -> InstrumentFacts:
    """Return an instrument's facts; equities are shares of KRX.

    ``adjusted`` says whether the data are adjusted prices, which lie on no tick grid; None reads
    the mark that ``krx.equity`` left. A spot pair's ``base`` is the asset a fill delivers, in
    lots of the size increment. Raises BadInput for other kinds of instrument (indices have
    ``index_facts``), and where instrument and market differ in venue.
    """
    if instrument.id.venue.value != market.venue:
        raise BadInput(
            f"{instrument.id} does not trade on venue {market.venue}: give the facts of its venue."
        )
    lot_raw = _lot_raw(instrument)
    minimum, notional = instrument.min_quantity, instrument.min_notional
    return InstrumentFacts(
        instrument_id=instrument.id,
        market=market,
        price_precision=instrument.price_precision,
        size_precision=_size_precision(instrument),
        ticks=_ticks(instrument, adjusted),
        lot_raw=lot_raw,
        currency=instrument.quote_currency,
        min_quantity_raw=lot_raw if minimum is None else minimum.raw,
        min_notional_raw=0 if notional is None else notional.raw,
        base=instrument.base_currency if isinstance(instrument, CurrencyPair) else None,
    )


def _ticks(instrument: Instrument, adjusted: bool | None) -> TickScheme:
    if not isinstance(instrument, Equity):
        return UniformTicks(instrument.price_increment.raw)
    if adjusted is None:
        adjusted = bool((instrument.info or {}).get("adjusted"))
    return krx.ADJUSTED_TICKS if adjusted else krx.TICKS


def _lot_raw(instrument: Instrument) -> int:
    if isinstance(instrument, Equity):
        return (instrument.lot_size or Quantity.from_int(1)).raw
    if isinstance(instrument, CryptoPerpetual | CurrencyPair):
        return instrument.size_increment.raw
    raise BadInput(
        f"{instrument.id} is a {type(instrument).__name__}: use KRX shares, USD-M perpetuals or "
        "spot pairs."
    )


def _size_precision(instrument: Instrument) -> int:
    return 0 if isinstance(instrument, Equity) else instrument.size_precision
