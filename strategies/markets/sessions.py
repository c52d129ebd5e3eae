"""Trading sessions as pure values; a calendar library or a broker supplies them elsewhere."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

DAY_NS = 86_400_000_000_000


@dataclass(frozen=True, slots=True)
class Session:
    """One continuous trading session, ``open_ns`` inclusive to ``close_ns`` inclusive, UTC."""

    open_ns: int
    close_ns: int


class SessionCalendar(Protocol):
    """Answers which session a moment belongs to."""

    def at(self, ts_ns: int) -> Session | None:
        """Return the session that contains ``ts_ns``, or None between sessions."""

    def next_after(self, ts_ns: int) -> Session | None:
        """Return the first session that opens strictly after ``ts_ns``, or None if unknown."""


class ContinuousDays:
    """A market that never closes, cut into UTC days: [00:00, 24:00)."""

    def at(self, ts_ns: int) -> Session:
        start = ts_ns - ts_ns % DAY_NS
        return Session(start, start + DAY_NS - 1)

    def next_after(self, ts_ns: int) -> Session:
        start = ts_ns - ts_ns % DAY_NS + DAY_NS
        return Session(start, start + DAY_NS - 1)


class ListedSessions:
    """Sessions given one by one, in ascending order without overlap.

    Raises ValueError where they overlap or are out of order.
    """

    def __init__(self, sessions: Sequence[Session]) -> None:
        for before, after in pairwise(sessions):
            if after.open_ns <= before.close_ns:
                raise ValueError(f"sessions overlap: {before} and {after}")
        self._sessions = tuple(sessions)
        self._opens = [session.open_ns for session in sessions]

    def at(self, ts_ns: int) -> Session | None:
        i = bisect_right(self._opens, ts_ns) - 1
        if i < 0 or ts_ns > self._sessions[i].close_ns:
            return None
        return self._sessions[i]

    def next_after(self, ts_ns: int) -> Session | None:
        i = bisect_right(self._opens, ts_ns)
        return self._sessions[i] if i < len(self._sessions) else None
