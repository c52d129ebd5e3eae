"""A capital manager with prices set by hand, for table tests and stateful tests."""

from collections.abc import Iterable
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

from strategies.capital.config import CapitalConfig, LimitRules
from strategies.capital.ledger import VenueLedger
from strategies.capital.manager import Capital
from strategies.capital.settlement import Settlement
from strategies.markets import binance, krx
from strategies.markets.facts import RAW_ONE, InstrumentFacts
from strategies.markets.instruments import facts_of
from strategies.markets.sessions import ListedSessions, Session
from strategies.messages import (
    CapitalIntent,
    Fill,
    Grant,
    MoneyIntent,
    OrderState,
    OrderUpdate,
    Refusal,
    TimerFired,
)

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
    seen: dict[InstrumentId, int] = field(default_factory=dict)

    def price(self, instrument_id: InstrumentId) -> Price | None:
        return self.prices.get(instrument_id)

    def seen_ns(self, instrument_id: InstrumentId) -> int | None:
        return self.seen.get(instrument_id)

    def position(self, strategy: str, instrument_id: InstrumentId) -> int:
        raise AssertionError("the capital manager folds positions itself")


class Books:
    """Two venues, 10,000,000 KRW and 100,000 USDT, and what a test wants to ask of them.

    ``rules`` are families of CapitalConfig by name. ``said`` is all that the manager returned.
    """

    def __init__(
        self,
        *facts: InstrumentFacts,
        weights: dict[str, str] | None = None,
        order_max: dict[str, int] | None = None,
        symbol_max: dict[str, int] | None = None,
        limits: LimitRules | None = None,
        **rules: object,
    ) -> None:
        facts = facts or (krx_facts(), perp_facts())
        self.facts = {fact.instrument_id: fact for fact in facts}
        self.marks = Prices()
        named = weights or {"a": "0.5", "b": "0.5"}
        venues = {fact.market.venue: fact.market for fact in facts}
        starting = {"KRX": 10_000_000 * RAW_ONE, "BINANCE": 100_000 * RAW_ONE}
        self.ledgers = {
            venue: VenueLedger(
                venue,
                market.margin,
                market.currency,
                {market.currency.code: starting[venue]},
                Settlement(market.settlement_sessions, market.sessions, market.proceeds_buy),
            )
            for venue, market in venues.items()
        }
        on_venue = {v: sum(f.market.venue == v for f in facts) for v in venues}
        self.config = CapitalConfig(
            weights={name: Decimal(weight) for name, weight in named.items()},
            symbols={(name, venue): n for name in named for venue, n in on_venue.items()},
            limits=limits
            or LimitRules(
                order_max_raw={c: n * RAW_ONE for c, n in (order_max or {}).items()},
                symbol_max_raw={c: n * RAW_ONE for c, n in (symbol_max or {}).items()},
                orders_per_second=0,
            ),
            **rules,
        )
        self.capital = Capital(self.config, self.facts, self.ledgers, self.marks)
        self.said: list[CapitalIntent] = []
        self.journal: list[tuple[object, int]] = []
        self.now_ns = 0
        self._orders = 0
        self._trades = 0

    def mark(self, instrument_id: InstrumentId, text: str) -> None:
        """Set the last price, seen now."""
        self.marks.prices[instrument_id] = Price.from_str(text)
        self.marks.seen[instrument_id] = self.now_ns

    def hear(self, message: object, said: Iterable[CapitalIntent]) -> list[CapitalIntent]:
        """Journal an input and what the manager said to it."""
        answers = list(said)
        self.journal += [(message, self.now_ns), *((each, self.now_ns) for each in answers)]
        self.said += answers
        return answers

    def start(self) -> list[CapitalIntent]:
        """Start the run now."""
        return self.hear(None, self.capital.on_start(self.now_ns))

    def ring(self, name: str, at_ns: int) -> list[CapitalIntent]:
        """Let a timer fire at a time."""
        self.now_ns = at_ns
        timer = TimerFired("capital", name, at_ns, at_ns)
        return self.hear(timer, self.capital.on_timer(timer))

    def ask(self, strategy: str, intent: MoneyIntent) -> Grant | Refusal:
        """Ask for money under a new order id."""
        self._orders += 1
        order_id = ClientOrderId(f"O{self._orders}")
        answer = self.capital.on_intent(strategy, intent, order_id, self.now_ns)
        self.journal.append((answer, self.now_ns))
        return answer

    def a_fill(
        self, grant: Grant, text: str, quantity: str | None = None, fee: str | None = None
    ) -> Fill:
        """Make a fill of a grant, wholly or in part, at a price, under a new trade id."""
        self._trades += 1
        currency = self.facts[grant.instrument_id].currency
        return Fill(
            grant.strategy,
            grant.order_id,
            grant.instrument_id,
            f"T{self._trades}",
            grant.side,
            grant.quantity if quantity is None else Quantity.from_str(quantity),
            Price.from_str(text),
            Money.from_str(f"{fee or 0} {currency.code}"),
            LiquiditySide.TAKER,
            self.now_ns,
        )

    def fill(
        self, grant: Grant, text: str, quantity: str | None = None, fee: str | None = None
    ) -> Fill:
        """Fill a grant, wholly or in part, at a price."""
        fill = self.a_fill(grant, text, quantity, fee)
        self.hear(fill, self.capital.on_fill(fill))
        return fill

    def end(self, grant: Grant, state: OrderState = OrderState.CANCELED) -> list[CapitalIntent]:
        """End a grant's order."""
        update = OrderUpdate(
            grant.strategy, grant.order_id, grant.instrument_id, state, "", self.now_ns
        )
        return self.hear(update, self.capital.on_order(update))

    def folded(self) -> "Books":
        """Return new books into which everything journalled was folded."""
        again = Books(
            *self.facts.values(),
            weights={name: str(weight) for name, weight in self.config.weights.items()},
            limits=self.config.limits,
            allocation=self.config.allocation,
            stages=self.config.stages,
            brakes=self.config.brakes,
            conversion=self.config.conversion,
            sample_ns=self.config.sample_ns,
        )
        for message, ts_ns in self.journal:
            again.capital.fold(message, ts_ns)
        return again


BUY, SELL = OrderSide.BUY, OrderSide.SELL


def granted(answer: Grant | Refusal) -> Grant:
    """Return a grant, or fail with the refusal."""
    assert isinstance(answer, Grant), answer
    return answer


def refused(answer: Grant | Refusal) -> Refusal:
    """Return a refusal, or fail with the grant."""
    assert isinstance(answer, Refusal), answer
    return answer


def quantity(text: str) -> Quantity:
    return Quantity.from_str(text)
