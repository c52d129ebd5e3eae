"""A capital manager with prices set by hand, for table tests and stateful tests."""

from dataclasses import dataclass, field
from decimal import Decimal

from nautilus_trader.model import (
    ClientOrderId,
    Currency,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderSide,
    Price,
    Quantity,
)

from strategies.capital.fixed_weights import CapitalConfig, FixedWeights
from strategies.capital.ledger import VenueLedger
from strategies.markets import binance, krx
from strategies.markets.facts import RAW_ONE, InstrumentFacts
from strategies.markets.instruments import facts_of
from strategies.markets.sessions import ListedSessions, Session
from strategies.messages import Fill, Grant, MoneyIntent, OrderState, OrderUpdate, Refusal

KRW = Currency.from_str("KRW")
USDT = Currency.from_str("USDT")
SAMSUNG = InstrumentId.from_str("005930.KRX")
HYNIX = InstrumentId.from_str("000660.KRX")
BTC = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
HOUR_NS = 3_600_000_000_000
SESSIONS = ListedSessions(
    [Session(day * 24 * HOUR_NS, day * 24 * HOUR_NS + 6 * HOUR_NS) for day in range(1, 9)]
)


def krx_facts(code: str = "005930") -> InstrumentFacts:
    """Return facts of a share on KRX."""
    return facts_of(krx.equity(code), krx.market(SESSIONS))


def perp_facts() -> InstrumentFacts:
    """Return facts of a USD-M perpetual."""
    steps = binance.Steps("BTC", "USDT", "0.1", "0.001", "0.001", "100")
    return facts_of(binance.perpetual("BTCUSDT", steps), binance.usdm_market())


@dataclass
class Prices:
    """The Marks port, set by hand."""

    prices: dict[InstrumentId, Price] = field(default_factory=dict)

    def price(self, instrument_id: InstrumentId) -> Price | None:
        return self.prices.get(instrument_id)

    def position(self, strategy: str, instrument_id: InstrumentId) -> int:
        raise AssertionError("the capital manager folds positions itself")


class Books:
    """Two venues, 10,000,000 KRW and 100,000 USDT, and what a test wants to ask of them."""

    def __init__(
        self,
        *facts: InstrumentFacts,
        weights: dict[str, str] | None = None,
        order_max: dict[str, int] | None = None,
        symbol_max: dict[str, int] | None = None,
    ) -> None:
        facts = facts or (krx_facts(), perp_facts())
        self.facts = {fact.instrument_id: fact for fact in facts}
        self.marks = Prices()
        named = weights or {"a": "0.5", "b": "0.5"}
        venues = {fact.market.venue: fact.market for fact in facts}
        starting = {"KRX": 10_000_000 * RAW_ONE, "BINANCE": 100_000 * RAW_ONE}
        self.ledgers = {
            venue: VenueLedger(
                venue, market.margin, market.currency, {market.currency.code: starting[venue]}
            )
            for venue, market in venues.items()
        }
        on_venue = {v: sum(f.market.venue == v for f in facts) for v in venues}
        self.capital = FixedWeights(
            CapitalConfig(
                weights={name: Decimal(weight) for name, weight in named.items()},
                symbols={(name, venue): n for name in named for venue, n in on_venue.items()},
                order_max_raw={c: n * RAW_ONE for c, n in (order_max or {}).items()},
                symbol_max_raw={c: n * RAW_ONE for c, n in (symbol_max or {}).items()},
            ),
            self.facts,
            self.ledgers,
            self.marks,
        )
        self._orders = 0

    def mark(self, instrument_id: InstrumentId, text: str) -> None:
        """Set the last price."""
        self.marks.prices[instrument_id] = Price.from_str(text)

    def ask(self, strategy: str, intent: MoneyIntent) -> Grant | Refusal:
        """Ask for money under a new order id."""
        self._orders += 1
        return self.capital.on_intent(strategy, intent, ClientOrderId(f"O{self._orders}"), 0)

    def fill(
        self, grant: Grant, text: str, quantity: str | None = None, fee: str | None = None
    ) -> Fill:
        """Fill a grant, wholly or in part, at a price."""
        currency = self.facts[grant.instrument_id].currency
        fill = Fill(
            grant.strategy,
            grant.order_id,
            grant.instrument_id,
            "T",
            grant.side,
            grant.quantity if quantity is None else Quantity.from_str(quantity),
            Price.from_str(text),
            Money.from_str(f"{fee or 0} {currency.code}"),
            LiquiditySide.TAKER,
            0,
        )
        self.capital.on_fill(fill)
        return fill

    def end(self, grant: Grant, state: OrderState = OrderState.CANCELED) -> None:
        """End a grant's order."""
        self.capital.on_order(
            OrderUpdate(grant.strategy, grant.order_id, grant.instrument_id, state, "", 0)
        )


BUY, SELL = OrderSide.BUY, OrderSide.SELL
