"""Builders of facts, trades and bars, and a small host that fills every order at the next event.

Rule: prices and times are given as people write them; everything else has one fixed default.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from nautilus_trader.model import (
    AggressorSide,
    Bar,
    BarType,
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

from strategies.decider import Params, Setup, Strategy
from strategies.markets.facts import RAW_ONE, InstrumentFacts, MarketFacts, UniformTicks
from strategies.markets.sessions import ContinuousDays, ListedSessions, Session, SessionCalendar
from strategies.messages import (
    Enter,
    Exit,
    Fill,
    Grant,
    Intent,
    Limit,
    MoneyIntent,
    OrderState,
    OrderUpdate,
    Refusal,
    Target,
    TimerFired,
    Wake,
)

MINUTE_NS = 60_000_000_000
KRW = Currency.from_str("KRW")


def seoul_ns(text: str) -> int:
    """Read "2026-11-20 09:00" (or with seconds) as Korean time."""
    return int(datetime.fromisoformat(f"{text}+09:00").timestamp()) * 1_000_000_000


def seoul_days(*days: str) -> ListedSessions:
    """Return sessions of 09:00 to 15:30 on the given days."""
    return ListedSessions(
        [Session(seoul_ns(f"{day} 09:00"), seoul_ns(f"{day} 15:30")) for day in days]
    )


def make_facts(
    symbol: str = "005930.KRX",
    *,
    sessions: SessionCalendar | None = None,
    short_allowed: bool = True,
    price_precision: int = 0,
    size_precision: int = 0,
) -> InstrumentFacts:
    """Return facts of one instrument on a market without costs."""
    instrument_id = InstrumentId.from_str(symbol)
    market = MarketFacts(
        venue=str(instrument_id.venue),
        timezone="Asia/Seoul",
        currency=KRW,
        margin=True,
        short_allowed=short_allowed,
        price_limit_ratio=None,
        maker_rate=Decimal(0),
        taker_rate=Decimal(0),
        sell_tax_rate=Decimal(0),
        sessions=sessions or ContinuousDays(),
    )
    return InstrumentFacts(
        instrument_id=instrument_id,
        market=market,
        price_precision=price_precision,
        size_precision=size_precision,
        ticks=UniformTicks(RAW_ONE // 10**price_precision),
        lot_raw=RAW_ONE // 10**size_precision,
        currency=KRW,
        min_quantity_raw=RAW_ONE // 10**size_precision,
        min_notional_raw=0,
        base=None,
    )


def make[P: Params](
    strategy: type[Strategy[P]], params: P, *facts: InstrumentFacts, name: str = "tested"
) -> Strategy[P]:
    """Check the parameters and make the strategy, as a scenario does."""
    instruments = {one.instrument_id: one for one in facts or (make_facts(),)}
    params.check(instruments)
    return strategy(Setup(name=name, params=params, instruments=instruments))


def price(value: object, precision: int = 0) -> Price:
    """Return a price with the given digits."""
    return Price.from_str(f"{Decimal(str(value)):.{precision}f}")


def trade(ts_ns: int, value: object, symbol: str = "005930.KRX", precision: int = 0) -> TradeTick:
    """Return one trade of one unit."""
    instrument_id = InstrumentId.from_str(symbol)
    return TradeTick(
        instrument_id,
        price(value, precision),
        Quantity.from_int(1),
        AggressorSide.BUY,
        TradeId("1"),
        ts_ns,
        ts_ns,
    )


def bar(
    ts_ns: int,
    close: object,
    *,
    open_: object = None,
    high: object = None,
    low: object = None,
    volume: int = 100,
    symbol: str = "005930.KRX",
    precision: int = 0,
    span: str = "1-MINUTE",
) -> Bar:
    """Return one bar stamped at its close; what is not given follows from close and open."""
    first = Decimal(str(close if open_ is None else open_))
    last = Decimal(str(close))
    return Bar(
        BarType.from_str(f"{symbol}-{span}-LAST-EXTERNAL"),
        price(first, precision),
        price(max(first, last) if high is None else high, precision),
        price(min(first, last) if low is None else low, precision),
        price(last, precision),
        Quantity.from_int(volume),
        ts_ns,
        ts_ns,
    )


def bars(closes: Iterable[object], symbol: str = "005930.KRX", precision: int = 0) -> list[Bar]:
    """Return one bar a minute with the given closes, the first at minute 1."""
    return [
        bar(i * MINUTE_NS, close, symbol=symbol, precision=precision)
        for i, close in enumerate(closes, 1)
    ]


@dataclass
class FakeHost:
    """Feeds one strategy, grants what ``refuse`` lets pass, fills at the instrument's next event.

    Fills take the bar's open or the trade's price and come before the event is delivered.
    ``log`` holds (index of the event, intent); -1 is the start. Orders of a strategy without its
    own quantity are ten units. ``reject`` turns a granted order into a rejected one.
    """

    strategy: Strategy[Params]
    refuse: Callable[[MoneyIntent], bool] = lambda intent: False
    reject: Callable[[Grant], bool] = lambda grant: False
    fills: bool = True
    log: list[tuple[int, Intent]] = field(default_factory=list)
    refused: int = 0
    _orders: list[Grant] = field(default_factory=list)
    _alarms: dict[str, int] = field(default_factory=dict)
    _at: int = -1
    _ids: int = 0

    def run(self, events: Sequence[TradeTick | Bar]) -> list[tuple[int, Intent]]:
        """Deliver the start and every event, and return the log."""
        self._take(self.strategy.on_start(events[0].ts_event))
        for event in events:
            self.feed(event)
        return self.log

    def feed(self, event: TradeTick | Bar) -> None:
        """Ring due alarms, fill what waits for this instrument, then deliver the event."""
        self._at += 1
        self.ring(event.ts_event)
        is_bar = isinstance(event, Bar)
        instrument_id = event.bar_type.instrument_id if is_bar else event.instrument_id
        if self.fills:
            self.fill(instrument_id, event.open if is_bar else event.price, event.ts_event)
        self._take(self.strategy.on_bar(event) if is_bar else self.strategy.on_trade(event))

    def ring(self, ts_ns: int) -> None:
        """Fire the alarms due until ``ts_ns``, in order of time."""
        for name, due_ns in sorted(self._alarms.items(), key=lambda item: item[1]):
            if due_ns <= ts_ns:
                del self._alarms[name]
                timer = TimerFired(self.strategy.name, name, due_ns, due_ns)
                self._take(self.strategy.on_timer(timer))

    def fill(self, instrument_id: InstrumentId, at: Price, ts_ns: int) -> None:
        """Fill (or reject) all waiting orders of one instrument."""
        due = [grant for grant in self._orders if grant.instrument_id == instrument_id]
        self._orders = [grant for grant in self._orders if grant.instrument_id != instrument_id]
        for grant in due:
            if self.reject(grant):
                self.end(grant, ts_ns)
            else:
                self._fill_one(grant, at, ts_ns)

    def end(self, grant: Grant, ts_ns: int) -> None:
        """Tell the strategy that an order was rejected."""
        update = OrderUpdate(
            grant.strategy, grant.order_id, grant.instrument_id, OrderState.REJECTED, "no", ts_ns
        )
        self.strategy.fold_order(update)
        self._take(self.strategy.on_order(update))

    def _fill_one(self, grant: Grant, at: Price, ts_ns: int) -> None:
        fill = Fill(
            strategy=grant.strategy,
            order_id=grant.order_id,
            instrument_id=grant.instrument_id,
            trade_id=str(grant.order_id),
            side=grant.side,
            quantity=grant.quantity,
            price=at,
            commission=Money(0, KRW),
            liquidity=LiquiditySide.TAKER,
            ts_ns=ts_ns,
        )
        self.strategy.fold_fill(fill)
        self._take(self.strategy.on_fill(fill))

    def _take(self, intents: Iterable[Intent] | None) -> None:
        for intent in intents or ():
            self.log.append((self._at, intent))
            if isinstance(intent, Wake):
                self._alarms[intent.name] = intent.at_ns
            elif isinstance(intent, Enter | Exit | Target):
                self._ask(intent)

    def _ask(self, intent: MoneyIntent) -> None:
        if self.refuse(intent):
            self.refused += 1
            refusal = Refusal(
                self.strategy.name, intent.instrument_id, Limit.POSITION, "it", "nothing", "no"
            )
            self._take(self.strategy.on_refusal(refusal))
            return
        grant = self._grant(intent)
        self.strategy.fold_grant(grant)
        self._orders.append(grant)

    def _grant(self, intent: MoneyIntent) -> Grant:
        net = self.strategy.position(intent.instrument_id).net_raw
        size = intent.quantity.raw if intent.quantity else 10 * RAW_ONE
        if isinstance(intent, Enter):
            change = size if intent.side == OrderSide.BUY else -size
        elif isinstance(intent, Exit):
            change = -net
        else:
            sign = {PositionSide.LONG: 1, PositionSide.SHORT: -1}.get(intent.side, 0)
            change = sign * size - net
        self._ids += 1
        precision = self.strategy.instruments[intent.instrument_id].size_precision
        return Grant(
            strategy=self.strategy.name,
            order_id=ClientOrderId(f"T-{self._ids}"),
            instrument_id=intent.instrument_id,
            side=OrderSide.BUY if change > 0 else OrderSide.SELL,
            quantity=Quantity.from_raw(abs(change), precision),
            price=None,
            reduces=isinstance(intent, Exit),
            reserved=Money(0, KRW),
            reason=intent.reason,
        )


def brief(log: Sequence[tuple[int, Intent]]) -> list[tuple[int, str]]:
    """Reduce a log to (event, "enter buy" | "exit" | "target long" | ...), alarms left out."""
    return [(at, _word(intent)) for at, intent in log if not isinstance(intent, Wake)]


def _word(intent: Intent) -> str:
    match intent:
        case Enter():
            return "enter buy" if intent.side == OrderSide.BUY else "enter sell"
        case Exit():
            return "exit"
        case Target():
            return "target long" if intent.side == PositionSide.LONG else "target short"
        case _:
            return type(intent).__name__
