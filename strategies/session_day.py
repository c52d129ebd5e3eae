"""A session as one instrument's prices drew it, and the base of strategies that trade sessions.

Rule: only prices inside a session count, and time never runs backwards. A bar belongs to the
session that holds the moment just before its close, or else to the one that opened within its
last day (a daily bar stamped after the close); its open is the session's open when it is the
session's first price. Prices up to a minute after the close are closing-auction prints and count.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from nautilus_trader.model import Bar, InstrumentId, TradeTick

from strategies.decider import Intents, ParamError, Setup
from strategies.entries import Desk, TradeParams, TradingStrategy
from strategies.exits import FOREVER_NS, MINUTE_NS
from strategies.markets.facts import InstrumentFacts
from strategies.markets.sessions import DAY_NS, Session, SessionCalendar
from strategies.messages import Fill, TimerFired, Wake

CLOSING_PRINT_NS = MINUTE_NS
"""How long after a session's close its auction may still print."""


class SessionDay:
    """Open, last and previous close of one instrument; all raw prices, 0 where unknown.

    ``previous_close_raw`` is the last price of the session directly before; it stays 0 where that
    session had no price, because a move across several sessions is no overnight gap.
    """

    __slots__ = (
        "_calendar",
        "_next_open_ns",
        "close_ns",
        "first_ns",
        "fresh",
        "last_raw",
        "open_ns",
        "open_raw",
        "previous_close_raw",
    )

    def __init__(self, calendar: SessionCalendar) -> None:
        self._calendar = calendar
        self._next_open_ns = 0
        self.open_ns, self.close_ns = 0, -CLOSING_PRINT_NS
        self.first_ns = 0
        self.open_raw = self.last_raw = self.previous_close_raw = 0
        self.fresh = False

    def enter(self, ts_ns: int) -> bool:
        """Move to the session of ``ts_ns``; False outside sessions and for late news of one.

        ``fresh`` is True from a session's begin until ``start``.
        """
        if self.open_ns <= ts_ns <= self.close_ns:
            return True
        return ts_ns > self.close_ns and self._move(ts_ns)

    def enter_bar(self, bar: Bar) -> bool:
        """Move to the session a bar belongs to; False where it belongs to none."""
        ts_ns = bar.ts_event
        if self.enter(ts_ns - 1):
            return True
        spec = bar.bar_type.spec
        if not spec.is_time_aggregated():
            return False
        begin_ns = ts_ns - min(spec.get_interval_ns(), DAY_NS)
        session = self._calendar.next_after(begin_ns - 1)
        if session is None or not self.open_ns <= session.open_ns < ts_ns:
            return False
        if session.open_ns > self.open_ns:
            self._begin(session)
        return True

    def start(self, open_raw: int, ts_ns: int) -> None:
        """Take the session's first price, seen at ``ts_ns``."""
        self.open_raw = open_raw
        self.first_ns = ts_ns
        self.fresh = False

    def following(self) -> Session | None:
        """Return the session after this one, None where the calendar ends."""
        return self._calendar.next_after(self.open_ns)

    def _move(self, ts_ns: int) -> bool:
        if ts_ns >= self._next_open_ns:
            session = self._calendar.at(ts_ns)
            if session is not None:
                self._begin(session)
                return True
            following = self._calendar.next_after(ts_ns)
            self._next_open_ns = FOREVER_NS if following is None else following.open_ns
        return ts_ns <= self.close_ns + CLOSING_PRINT_NS and not self.fresh

    def _begin(self, session: Session) -> None:
        following = self.following() if self.last_raw else None
        adjacent = following is not None and following.open_ns == session.open_ns
        self.previous_close_raw = self.last_raw if adjacent else 0
        self.open_ns, self.close_ns = session.open_ns, session.close_ns
        self.fresh = True


@dataclass(frozen=True, kw_only=True)
class SessionParams(TradeParams):
    """``open_window_minutes``: a session whose first price comes later than this is left out,
    because that price is not the session's open (a start in mid-session, a halt)."""

    open_window_minutes: int = 30

    def check(self, instruments: Mapping[InstrumentId, InstrumentFacts]) -> None:
        """Raise ParamError where a number of minutes cannot be one."""
        super().check(instruments)
        for name in vars(self):
            value = getattr(self, name)
            if name.endswith("_minutes") and isinstance(value, int) and value < 1:
                raise ParamError(f"parameter {name}={value} must be at least 1")


class Seat:
    """What a session strategy keeps per instrument; ``decide_ns`` is when it decides next."""

    __slots__ = ("day", "decide_ns", "desk", "exits")

    def __init__(self, desk: Desk, calendar: SessionCalendar) -> None:
        self.desk = desk
        self.exits = desk.exits
        self.day = SessionDay(calendar)
        self.decide_ns = FOREVER_NS


class SessionStrategy[P: SessionParams](TradingStrategy[P]):
    """Decides once a session, at the first price at or after ``decision_ns``, never at its close.

    Trades and bars both count as prices. A position is left at the first price at or after
    ``leave_ns``; with ``wakes`` set also by the clock, where no price comes.
    """

    wakes: ClassVar[bool] = False

    def __init__(self, setup: Setup[P]) -> None:
        super().__init__(setup)
        self._seats = {
            key: Seat(desk, setup.instruments[key].market.sessions)
            for key, desk in self.desks.items()
        }
        self._by_alarm = {_alarm(key): seat for key, seat in self._seats.items()}

    @abstractmethod
    def decision_ns(self, day: SessionDay) -> int:
        """Return the moment of this session's decision."""

    @abstractmethod
    def leave_ns(self, day: SessionDay) -> tuple[int, str]:
        """Return when a position opened in this session is left at the latest, and why."""

    @abstractmethod
    def signal(self, seat: Seat, price_raw: int) -> tuple[int, str]:
        """Return (1 long, -1 short, 0 nothing) and the reason."""

    def open_window_minutes(self) -> int:
        """Return how late the session's first price may come."""
        return self.params.open_window_minutes

    def on_trade(self, trade: TradeTick) -> Intents:
        """Take a trade as a price of its session."""
        seat = self._seats[trade.instrument_id]
        ts_ns = trade.ts_event
        day = seat.day
        if not day.enter(ts_ns):
            return None
        price_raw = day.last_raw = trade.price.raw
        if day.fresh:
            self.start(seat, price_raw, ts_ns)
        if ts_ns >= seat.decide_ns or seat.exits.armed:
            return self._act(seat, price_raw, ts_ns)
        return None

    def on_bar(self, bar: Bar) -> Intents:
        """Take a bar's close as a price, and its open where it is the session's first."""
        seat = self._seats[bar.bar_type.instrument_id]
        ts_ns = bar.ts_event
        day = seat.day
        if not day.enter_bar(bar):
            return None
        price_raw = day.last_raw = bar.close.raw
        if day.fresh:
            self.start(seat, bar.open.raw, ts_ns - 1)
        if ts_ns >= seat.decide_ns or seat.exits.armed:
            return self._act(seat, price_raw, ts_ns)
        return None

    def on_timer(self, timer: TimerFired) -> Intents:
        """Leave a position whose time is up although no price came."""
        seat = self._by_alarm.get(timer.name)
        if seat is None or not seat.exits.armed:
            return None
        leave = seat.exits.check(seat.day.last_raw, timer.ts_ns)
        return (leave,) if leave else None

    def on_opened(self, desk: Desk, fill: Fill) -> Intents:
        """Set the position's deadline, and an alarm for it where this strategy keeps one."""
        leave_ns, why = self.leave_ns(self._seats[desk.instrument_id].day)
        desk.exits.close_by(leave_ns, why)
        if self.wakes and fill.ts_ns < leave_ns < FOREVER_NS:
            return (Wake(_alarm(desk.instrument_id), leave_ns, why),)
        return None

    def start(self, seat: Seat, open_raw: int, ts_ns: int) -> None:
        """Begin a session with its first price."""
        day = seat.day
        day.start(open_raw, ts_ns)
        late = ts_ns - day.open_ns > self.open_window_minutes() * MINUTE_NS
        seat.decide_ns = FOREVER_NS if late else self.decision_ns(day)

    def _act(self, seat: Seat, price_raw: int, ts_ns: int) -> Intents:
        leave = seat.exits.check(price_raw, ts_ns) if seat.exits.armed else None
        if leave:
            return (leave,)
        if ts_ns < seat.decide_ns:
            return None
        seat.decide_ns = FOREVER_NS
        day = seat.day
        if ts_ns >= min(day.close_ns, self.leave_ns(day)[0]):
            return None
        sign, reason = self.signal(seat, price_raw)
        return self.want(seat.desk, sign, reason, ts_ns, day.close_ns) if sign else None


def _alarm(instrument_id: InstrumentId) -> str:
    return f"leave {instrument_id}"
