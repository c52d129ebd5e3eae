"""Bars folded from trades, since KIS streams none: pure, by the venue's time, stamped at the close.

Rule: a bar covers [start, end) and holds every trade of it or says that it may not; one that was
closed is never changed. Trades are told apart and ordered by the day's running volume, so that what
a query brings later falls into its place. No trade, no bar.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from adapters.kis.ticks import SECOND
from strategies.markets.sessions import Session

AUCTION_LATEST_NS = 31 * SECOND
"""KRX ends its closing auction at a random moment within 30 s of the close; times are whole
seconds."""


class Traded(msgspec.Struct, frozen=True):
    """One trade: time (UTC ns), whole won, shares, and the day's volume after it."""

    ts_ns: int
    price: int
    quantity: int
    day_volume: int


class Candle(msgspec.Struct, frozen=True):
    """Trades of one bar; ``first`` and ``last`` are the day's volumes after its end trades."""

    open: int
    high: int
    low: int
    close: int
    volume: int
    first: int
    last: int

    def joined(self, other: "Candle") -> "Candle":
        """Return the candle of both; whichever has the earlier trade gives the open."""
        early = self if self.first <= other.first else other
        late = self if self.last >= other.last else other
        return Candle(
            early.open,
            max(self.high, other.high),
            min(self.low, other.low),
            late.close,
            self.volume + other.volume,
            early.first,
            late.last,
        )


def candle_of(trade: Traded) -> Candle:
    """Return the candle of one trade."""
    price, volume = trade.price, trade.day_volume
    return Candle(price, price, price, price, trade.quantity, volume, volume)


class Spans(Protocol):
    """Which bar a moment belongs to, by number in ascending order of time."""

    def number(self, ts_ns: int) -> int | None:
        """Return the bar of a moment, None where there is none."""

    def numbers(self, from_ns: int, to_ns: int) -> Iterable[int]:
        """Return the bars that a span (both ends included) touches."""

    def start(self, number: int) -> int:
        """Return when a bar begins."""

    def end(self, number: int) -> int:
        """Return the time a bar is stamped with."""

    def over(self, number: int) -> int:
        """Return from when on no trade belongs to a bar any more."""


class Steps:
    """Bars of a fixed length, counted from the epoch: a trade on a boundary opens the next one."""

    def __init__(self, interval_ns: int) -> None:
        self.interval_ns = interval_ns

    def number(self, ts_ns: int) -> int:
        """Return the bar of a moment."""
        return ts_ns // self.interval_ns

    def numbers(self, from_ns: int, to_ns: int) -> Iterable[int]:
        """Return the bars that a span touches."""
        return range(self.number(from_ns), self.number(to_ns) + 1)

    def start(self, number: int) -> int:
        """Return when a bar begins."""
        return number * self.interval_ns

    def end(self, number: int) -> int:
        """Return when a bar ends."""
        return (number + 1) * self.interval_ns

    over = end


class Days:
    """One bar a session, from the opening print to the closing auction's, stamped at the close."""

    def __init__(self, sessions: Sequence[Session]) -> None:
        self._sessions = tuple(sessions)
        self._opens = [session.open_ns for session in sessions]

    def number(self, ts_ns: int) -> int | None:
        """Return the session of a moment; what is traded after the closing auction has none."""
        number = bisect_right(self._opens, ts_ns) - 1
        return number if number >= 0 and ts_ns < self.over(number) else None

    def numbers(self, from_ns: int, to_ns: int) -> Iterable[int]:
        """Return the sessions that a span touches."""
        last = bisect_right(self._opens, to_ns) - 1
        return [number for number in range(last + 1) if from_ns < self.over(number)]

    def start(self, number: int) -> int:
        """Return when the session opens."""
        return self._sessions[number].open_ns

    def end(self, number: int) -> int:
        """Return when the session closes."""
        return self._sessions[number].close_ns

    def over(self, number: int) -> int:
        """Return when the closing auction has ended for certain."""
        return self._sessions[number].close_ns + AUCTION_LATEST_NS


@dataclass(frozen=True, slots=True)
class Hole:
    """A span (both ends included, None: not over) in which trades may be unseen."""

    from_ns: int
    to_ns: int | None

    def touches(self, start_ns: int, over_ns: int) -> bool:
        """Tell whether a trade of [start, over) may be unseen."""
        return self.from_ns < over_ns and (self.to_ns is None or self.to_ns >= start_ns)


@dataclass(frozen=True, slots=True)
class Slot:
    """A bar that was closed; ``candle`` is None where no trade was seen.

    ``is_whole`` says that no trade of it can be missing; a slot that is neither whole nor traded
    stands for a bar that may have been.
    """

    number: int
    start_ns: int
    end_ns: int
    candle: Candle | None
    is_whole: bool


class BarFold:
    """The open bars of one symbol and bar type."""

    def __init__(self, spans: Spans) -> None:
        self.spans = spans
        self._candles: dict[int, Candle] = {}
        self._closed_ns = 0
        self._since_ns: int | None = None
        self.due_ns: int | None = None

    @property
    def since_ns(self) -> int | None:
        """Return from when on trades are seen, None before that."""
        return self._since_ns

    def begin(self, ts_ns: int) -> None:
        """Take in that trades are seen from now on; the bar of this moment is a part only."""
        self._since_ns = ts_ns

    def add(self, trade: Traded) -> bool:
        """Take a trade in; False where its bar was closed before.

        ``due_ns`` is when the oldest bar that was traded is over.
        """
        number = self.spans.number(trade.ts_ns)
        if number is None:
            return True
        seen = self._candles.get(number)
        if seen is not None:
            self._candles[number] = seen.joined(candle_of(trade))
            return True
        over_ns = self.spans.over(number)
        if over_ns <= self._closed_ns:
            return False
        self._candles[number] = candle_of(trade)
        self.due_ns = over_ns if self.due_ns is None else min(self.due_ns, over_ns)
        return True

    def close(self, until_ns: int, holes: Iterable[Hole] = ()) -> list[Slot]:
        """Close and return the bars that are over by ``until_ns``, oldest first.

        ``holes`` are the spans in which trades may be unseen; whole bars without a trade are none.
        """
        if self._since_ns is None or until_ns <= self._closed_ns:
            return []
        since_ns, unseen = self._since_ns, list(holes)
        numbers = set(self._candles)
        for hole in (*unseen, Hole(since_ns, since_ns)):
            numbers.update(self._touched(hole, since_ns, until_ns))
        over = [n for n in sorted(numbers) if self._closed_ns < self.spans.over(n) <= until_ns]
        slots = [self._slot(number, since_ns, unseen) for number in over]
        self._closed_ns = until_ns
        self.due_ns = min(map(self.spans.over, self._candles), default=None)
        return [slot for slot in slots if slot.candle is not None or not slot.is_whole]

    def _slot(self, number: int, since_ns: int, unseen: Sequence[Hole]) -> Slot:
        start_ns, over_ns = self.spans.start(number), self.spans.over(number)
        is_torn = any(hole.touches(start_ns, over_ns) for hole in unseen)
        return Slot(
            number,
            start_ns,
            self.spans.end(number),
            self._candles.pop(number, None),
            start_ns >= since_ns and not is_torn,
        )

    def _touched(self, hole: Hole, since_ns: int, until_ns: int) -> Iterable[int]:
        """Return the bars a hole touches that may be over by now and are not closed."""
        from_ns = max(hole.from_ns, since_ns, self._closed_ns - 1)
        to_ns = until_ns if hole.to_ns is None else min(hole.to_ns, until_ns)
        return self.spans.numbers(from_ns, to_ns)
