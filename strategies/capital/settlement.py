"""Proceeds of sales on their way: sold today, delivered some sessions later.

Rule: integers in raw units; purchases use up proceeds first, the earliest to arrive before others.
"""

from dataclasses import dataclass, field

from strategies.markets.sessions import SessionCalendar

NEVER_NS = (1 << 63) - 1
"""When proceeds arrive whose session lies beyond the known calendar."""


@dataclass(slots=True)
class Settlement:
    """Sale proceeds by the moment they arrive; ``sessions`` of 0 delivers at once.

    They arrive at the opening of the last of the sessions to wait for.
    """

    sessions: int
    calendar: SessionCalendar
    proceeds_buy: bool = True
    due_raw: dict[int, int] = field(default_factory=dict)
    total_raw: int = 0

    def sold(self, proceeds_raw: int, ts_ns: int) -> None:
        """Note the proceeds of a sale."""
        if not self.sessions or proceeds_raw <= 0:
            return
        due_ns = self._due_ns(ts_ns)
        self.due_raw[due_ns] = self.due_raw.get(due_ns, 0) + proceeds_raw
        self.total_raw += proceeds_raw

    def bought(self, cost_raw: int) -> None:
        """Pay for a purchase with what is on its way, as far as the venue allows it."""
        if not self.proceeds_buy:
            return
        for due_ns in sorted(self.due_raw):
            used = min(cost_raw, self.due_raw[due_ns])
            cost_raw -= used
            self._take(due_ns, used)
            if cost_raw == 0:
                return

    def arrive(self, ts_ns: int) -> None:
        """Let everything due until ``ts_ns`` become ordinary cash."""
        if self.total_raw:
            for due_ns in [due_ns for due_ns in self.due_raw if due_ns <= ts_ns]:
                self._take(due_ns, self.due_raw[due_ns])

    def _take(self, due_ns: int, raw: int) -> None:
        self.total_raw -= raw
        self.due_raw[due_ns] -= raw
        if self.due_raw[due_ns] == 0:
            del self.due_raw[due_ns]

    def _due_ns(self, ts_ns: int) -> int:
        for _ in range(self.sessions):
            session = self.calendar.next_after(ts_ns)
            if session is None:
                return NEVER_NS
            ts_ns = session.open_ns
        return ts_ns
