"""What the venue saw: requests per second, violations, orders that look like duplicates.

Rule: it only counts; nothing a client does is judged anywhere else. Times are wall time.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

from scenarios.venues.kis.market_time import SECOND_NS
from scenarios.venues.kis.order_desk import Ticket

KEPT = 500
DUPLICATE_S = 60


@dataclass(slots=True)
class Witness:
    """Counts of one run of the server.

    A duplicate is an order equal to an earlier one whose reply was lost or unclear, sent within a
    minute and before the client asked for its orders. An equal order after a good reply is counted
    apart, as it may be meant.
    """

    requests: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    violations: deque[tuple[int, str, str]] = field(default_factory=lambda: deque(maxlen=KEPT))
    violation_counts: Counter[str] = field(default_factory=Counter)
    duplicates: list[tuple[int, str]] = field(default_factory=list)
    equal_orders: int = 0
    frames_sent: int = 0
    notices_lost: int = 0
    most_per_s: int = 0
    _per_s: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=3_600))
    _tickets: dict[Ticket, tuple[int, bool]] = field(default_factory=dict)
    _window: deque[int] = field(default_factory=deque)

    def see_request(self, wall_ns: int, name: str) -> None:
        """Count a request."""
        self.requests[name] += 1
        second = wall_ns // SECOND_NS
        if self._per_s and self._per_s[-1][0] == second:
            self._per_s[-1] = (second, self._per_s[-1][1] + 1)
        else:
            self._per_s.append((second, 1))
        self._window.append(wall_ns)
        while self._window[0] <= wall_ns - SECOND_NS:
            self._window.popleft()
        self.most_per_s = max(self.most_per_s, len(self._window))

    def see_violation(self, wall_ns: int, kind: str, detail: str) -> None:
        """Note something a client must not do."""
        self.violation_counts[kind] += 1
        self.violations.append((wall_ns, kind, detail))

    def see_order(self, wall_ns: int, ticket: Ticket, *, is_clear: bool) -> None:
        """Note an order; ``is_clear`` says whether its reply told the client what became of it."""
        before = self._tickets.get(ticket)
        if before is not None and wall_ns - before[0] <= DUPLICATE_S * SECOND_NS:
            if before[1]:
                self.equal_orders += 1
            else:
                side = ticket.side.name
                what = f"{side} {ticket.quantity} {ticket.code} at {ticket.price}"
                self.duplicates.append((wall_ns, what))
        self._tickets[ticket] = (wall_ns, is_clear)

    def see_lookup(self, account: str) -> None:
        """Note that a client asked for its orders: what it sends from now on is meant."""
        for ticket, (wall_ns, _) in self._tickets.items():
            if ticket.account == account:
                self._tickets[ticket] = (wall_ns, True)

    def per_second(self, count: int = 60) -> list[tuple[int, int]]:
        """Return (second since 1970, requests) of the last seconds that had any."""
        return list(self._per_s)[-count:]

    def values(self) -> dict[str, Any]:
        """Return everything as JSON values."""
        return {
            "requests": dict(self.requests),
            "answers": dict(self.answers),
            "requests_per_second": self.per_second(),
            "most_requests_in_a_second": self.most_per_s,
            "violations": dict(self.violation_counts),
            "violation_log": list(self.violations),
            "duplicate_orders": self.duplicates,
            "equal_orders": self.equal_orders,
            "frames_sent": self.frames_sent,
            "notices_lost": self.notices_lost,
        }
