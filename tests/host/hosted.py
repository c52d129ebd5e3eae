"""A host on a memory journal, with strategies scripted by hand and venues that answer as told."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nautilus_trader.model import (
    AggressorSide,
    ClientOrderId,
    Currency,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderSide,
    PositionSide,
    Price,
    Quantity,
    TradeId,
    TradeTick,
)

from catalog.journal import Entry, MemoryJournal
from strategies.decider import Intents, Params, Setup, Strategy
from strategies.host.core import Host
from strategies.host.faults import OnDeciderFailure
from strategies.host.market import Subscription
from strategies.host.marks import LastPrices
from strategies.markets import binance
from strategies.markets.facts import InstrumentFacts
from strategies.markets.instruments import facts_of
from strategies.messages import (
    Alert,
    CapitalIntent,
    CashCorrection,
    Command,
    Enter,
    Exit,
    Fill,
    Grant,
    Intent,
    KillSwitch,
    Limit,
    MoneyIntent,
    OrderState,
    OrderUpdate,
    PositionUpdate,
    Refusal,
    StrategyStopped,
    Submit,
    TimerFired,
    Wake,
)
from strategies.ports import Kind, StreamKind

BTC = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
ETH = InstrumentId.from_str("ETHUSDT-PERP.BINANCE")
USDT = Currency.from_str("USDT")
type Handler = Callable[[Any], Intents]


def perp(symbol: str) -> InstrumentFacts:
    """Return facts of one perpetual."""
    steps = binance.Steps(symbol.removesuffix("USDT"), "USDT", "0.1", "0.001", "0.001", "5")
    return facts_of(binance.perpetual(symbol, steps), binance.usdm_market())


FACTS = {BTC: perp("BTCUSDT"), ETH: perp("ETHUSDT")}


class Scripted(Strategy[Params]):
    """Answers each handler with a function given by the test."""

    def __init__(self, name: str, *, only: Iterable[InstrumentId] = FACTS, **on: Handler) -> None:
        mine = {instrument_id: FACTS[instrument_id] for instrument_id in only}
        super().__init__(Setup(name=name, params=Params(), instruments=mine))
        self._on = on

    def _answer(self, handler: str, value: object) -> Intents:
        script = self._on.get(handler)
        return None if script is None else script(value)

    def on_start(self, ts_ns: int) -> Intents:
        return self._answer("start", ts_ns)

    def on_trade(self, trade: TradeTick) -> Intents:
        return self._answer("trade", trade)

    def on_timer(self, timer: TimerFired) -> Intents:
        return self._answer("timer", timer)

    def on_fill(self, fill: Fill) -> Intents:
        return self._answer("fill", fill)

    def on_order(self, update: OrderUpdate) -> Intents:
        return self._answer("order", update)

    def on_refusal(self, refusal: Refusal) -> Intents:
        return self._answer("refusal", refusal)


@dataclass
class Purse:
    """A capital manager that grants one unit per request, or refuses while ``closed``."""

    closed: bool = False
    heard: list[object] = field(default_factory=list)
    answers: dict[type, list[CapitalIntent]] = field(default_factory=dict)

    def _hear(self, message: object) -> Sequence[CapitalIntent]:
        self.heard.append(message)
        return self.answers.get(type(message), [])

    def on_start(self, ts_ns: int) -> Sequence[CapitalIntent]:
        return self._hear(ts_ns)

    def on_intent(
        self, strategy: str, intent: MoneyIntent, order_id: ClientOrderId, ts_ns: int
    ) -> Grant | Refusal:
        if self.closed:
            return Refusal(strategy, intent.instrument_id, Limit.CASH, "1", "0", "no money")
        side = intent.side if isinstance(intent, Enter) else OrderSide.SELL
        return Grant(
            strategy,
            order_id,
            intent.instrument_id,
            side,
            intent.quantity or Quantity.from_str("1.000"),
            intent.price,
            isinstance(intent, Exit),
            Money.from_str("0 USDT"),
            intent.reason,
        )

    def on_timer(self, timer: TimerFired) -> Sequence[CapitalIntent]:
        return self._hear(timer)

    def on_fill(self, fill: Fill) -> Sequence[CapitalIntent]:
        return self._hear(fill)

    def on_position(self, update: PositionUpdate) -> Sequence[CapitalIntent]:
        return self._hear(update)

    def on_order(self, update: OrderUpdate) -> Sequence[CapitalIntent]:
        return self._hear(update)

    def on_kill(self, switch: KillSwitch) -> Sequence[CapitalIntent]:
        return self._hear(switch)

    def on_cash(self, correction: CashCorrection) -> Sequence[CapitalIntent]:
        return self._hear(correction)

    def on_stopped(self, stopped: StrategyStopped) -> Sequence[CapitalIntent]:
        return self._hear(stopped)


@dataclass
class Venue:
    """The Orders and Clock ports: keeps what it was given, and may answer within ``send``."""

    sent: list[Command] = field(default_factory=list)
    wakes: dict[tuple[str, str], int] = field(default_factory=dict)
    asked_to_wake: list[tuple[str, str, int]] = field(default_factory=list)
    answer: Callable[[Command], None] | None = None

    def send(self, command: Command) -> None:
        self.sent.append(command)
        if self.answer is not None:
            self.answer(command)

    def wake(self, owner: str, name: str, at_ns: int) -> None:
        self.asked_to_wake.append((owner, name, at_ns))
        self.wakes[owner, name] = at_ns


class Stage:
    """A host with everything around it in reach of a test."""

    def __init__(
        self,
        *strategies: Scripted,
        purse: Purse | None = None,
        instruments: Iterable[InstrumentId] = FACTS,
        on_decider_failure: OnDeciderFailure = OnDeciderFailure.STOP,
    ) -> None:
        self.journal = MemoryJournal()
        self.venue = Venue()
        self.purse = purse or Purse()
        self.host = Host(
            strategies=strategies,
            capital=self.purse,
            marks=LastPrices(FACTS),
            subscriptions=[
                Subscription(StreamKind.TRADES, str(i), i, tuple(s.name for s in strategies))
                for i in instruments
            ],
            journal=self.journal,
            orders=self.venue,
            clock=self.venue,
            salt="test:0",
            on_decider_failure=on_decider_failure,
        )
        self._deliver = self.host.market_handler(StreamKind.TRADES)
        self._now = 0

    def trade(self, instrument_id: InstrumentId = BTC, price: str = "100.0") -> None:
        """Deliver one trade."""
        self._deliver(a_trade(self._tick(), instrument_id, price))

    def start(self) -> None:
        """Start the run."""
        self.host.start(self._tick())

    def ring(self, owner: str, name: str) -> None:
        """Fire an alarm that was asked for."""
        now = self._tick()
        self.host.on_timer(TimerFired(owner, name, self.venue.wakes.pop((owner, name)), now))

    def fill(self, order_id: ClientOrderId, quantity: str = "1.000", trade_id: str = "T") -> None:
        """Report an execution, as the engine's shell does."""
        self.host.on_report(self.a_fill(order_id, quantity, trade_id))

    def a_fill(self, order_id: ClientOrderId, quantity: str, trade_id: str) -> Fill:
        """Return an execution of an order that was sent."""
        order = next(c for c in self.venue.sent if c.order_id == order_id)
        assert isinstance(order, Submit)
        return Fill(
            self.host.owner(order_id),
            order_id,
            order.instrument_id,
            trade_id,
            order.side,
            Quantity.from_str(quantity),
            Price.from_str("100.0"),
            Money.from_str("0 USDT"),
            LiquiditySide.TAKER,
            self._tick(),
        )

    def update(self, order_id: ClientOrderId, state: OrderState) -> None:
        """Report one step of an order."""
        order = next(c for c in self.venue.sent if c.order_id == order_id)
        owner = self.host.owner(order_id)
        self.host.on_report(
            OrderUpdate(owner, order_id, order.instrument_id, state, "", self._tick())
        )

    def position(self, instrument_id: InstrumentId = BTC) -> None:
        """Report the engine's netted position."""
        zero = Money.from_str("0 USDT")
        one = Quantity.from_str("1.000")
        self.host.on_report(
            PositionUpdate(instrument_id, PositionSide.LONG, one, "100.0", zero, self._tick())
        )

    def _tick(self) -> int:
        self._now += 1_000
        return self._now

    def entries(self, *kinds: Kind) -> list[Entry]:
        """Return the journalled entries, of these kinds only where some are given."""
        return [e for e in self.journal.entries if not kinds or e.kind in kinds]

    def by_id(self) -> Mapping[int, Entry]:
        """Return the journalled entries by their id."""
        return {e.id: e for e in self.journal.entries}


def a_trade(ts_ns: int, instrument_id: InstrumentId = BTC, price: str = "100.0") -> TradeTick:
    """Return one trade."""
    return TradeTick(
        instrument_id,
        Price.from_str(price),
        Quantity.from_str("1.000"),
        AggressorSide.BUY,
        TradeId("1"),
        ts_ns,
        ts_ns,
    )


def buy(instrument_id: InstrumentId = BTC, quantity: str | None = None) -> Enter:
    """Return a request to buy."""
    wanted = None if quantity is None else Quantity.from_str(quantity)
    return Enter(instrument_id, OrderSide.BUY, "because", wanted)


def once(*intents: Intent) -> Handler:
    """Return a handler that answers these intents the first time only."""
    left = [list(intents)]
    return lambda _event: left.pop() if left else None


__all__ = ["BTC", "ETH", "USDT", "Alert", "Purse", "Scripted", "Stage", "Venue", "Wake", "buy"]
