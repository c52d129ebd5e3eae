"""One request budget for an appkey: who may ask next, and when.

Rule: nothing is granted beyond the window, whatever was asked in whatever order. Cancels and
amendments go first, then orders, credentials, account queries, other queries, polling. Time is an
argument (wall time).
"""

from collections import deque
from dataclasses import dataclass

from adapters.kis.errors import KisError, LedgerBusy, RateRefused
from adapters.kis.limits import Limits
from adapters.kis.requests import Endpoint, Group, Priority


@dataclass(frozen=True, slots=True)
class Granted[T]:
    """This one may be sent now, and is counted."""

    item: T
    endpoint: Endpoint
    ticket: "Ticket"


@dataclass(slots=True, eq=False)
class Ticket:
    """One request on its way; it has surely reached KIS at ``arrived_ns``."""

    arrived_ns: int


@dataclass(frozen=True, slots=True)
class NotBefore:
    """Nothing may be sent before this time."""

    at_ns: int


@dataclass(slots=True)
class _Queued[T]:
    """A request that waits; ``since_ns`` is when ``next`` first saw it."""

    item: T
    endpoint: Endpoint
    since_ns: int | None = None


_SPACED = frozenset({Group.OAUTH, Group.ACCOUNT})


class RequestBudget[T]:
    """The queue of one appkey; ``T`` is whatever the caller wants back."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._span_ns = limits.requests_window_ns + limits.requests_margin_ns
        self._queues: dict[Priority, deque[_Queued[T]]] = {
            priority: deque() for priority in Priority
        }
        self._sent: list[Ticket] = []
        self._others: list[Ticket] = []
        self._sent_ns: int | None = None
        self._last: dict[Group, int] = {}
        self._held_until: dict[Group, int] = {}
        self._now_ns = 0
        self.granted = 0

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues.values())

    def submit(self, item: T, endpoint: Endpoint) -> bool:
        """Queue a request; False where the queue is full (orders are always taken)."""
        if len(self) >= self._limits.queue_length and not endpoint.priority.is_urgent:
            return False
        self._queues[endpoint.priority].append(_Queued(item, endpoint))
        return True

    def withdraw(self, item: T) -> bool:
        """Take a request back that was not granted yet; False where it is not queued."""
        for queue in self._queues.values():
            for place, queued in enumerate(queue):
                if queued.item is item or queued.item == item:
                    del queue[place]
                    return True
        return False

    def next(self, now_ns: int) -> Granted[T] | NotBefore | None:
        """Grant the most urgent request that may go now; None where nothing is queued.

        Time that runs backwards is taken as standing still.
        """
        now = self._now_ns = max(self._now_ns, now_ns)
        earliest: int | None = None
        is_overdue = self._is_overdue(now)
        for priority in self._order(is_overdue=is_overdue):
            queue = self._queues[priority]
            endpoint = queue[0].endpoint
            is_urgent = priority.is_urgent or (is_overdue and priority is Priority.ACCOUNT)
            window = self._window_opens(now, is_urgent=is_urgent)
            at_ns = max(window, self._group_opens(endpoint.group, now))
            if at_ns <= now:
                ticket = self._count(endpoint, now, is_urgent=is_urgent)
                return Granted(queue.popleft().item, endpoint, ticket)
            earliest = at_ns if earliest is None else min(earliest, at_ns)
        return None if earliest is None else NotBefore(earliest)

    def _is_overdue(self, now: int) -> bool:
        """Tell whether an account query waited too long, so that it goes before orders.

        The order list settles unknown orders; they would never settle while new ones take every
        turn.
        """
        waiting = self._queues[Priority.ACCOUNT]
        for queued in reversed(waiting):
            if queued.since_ns is not None:
                break
            queued.since_ns = now
        if not waiting or (since_ns := waiting[0].since_ns) is None:
            return False
        return now - since_ns >= self._limits.account_patience_ns

    def _order(self, *, is_overdue: bool) -> list[Priority]:
        """Return the queues that hold something, the most urgent first."""
        filled = [priority for priority, queue in self._queues.items() if queue]
        if is_overdue:
            filled.sort(key=lambda priority: priority is not Priority.ACCOUNT)
        return filled

    def answered(self, ticket: Ticket, now_ns: int) -> None:
        """Take in that a request has reached KIS (or never will)."""
        ticket.arrived_ns = min(ticket.arrived_ns, max(self._now_ns, now_ns))

    def refused(self, error: KisError, now_ns: int) -> None:
        """Slow down after KIS refused: all requests after EGW00201, account ones after EGW00215."""
        now = max(self._now_ns, now_ns)
        if isinstance(error, RateRefused):
            self._hold(tuple(Group), now + self._limits.rate_wait_ns)
        elif isinstance(error, LedgerBusy):
            self._hold((Group.ACCOUNT,), now + self._limits.ledger_wait_ns)

    def _hold(self, groups: tuple[Group, ...], until_ns: int) -> None:
        for group in groups:
            self._held_until[group] = max(self._held_until.get(group, 0), until_ns)

    def _window_opens(self, now: int, *, is_urgent: bool) -> int:
        """Return when the window has room; others than orders leave some of it to them."""
        most = self._limits.requests
        opens = self._room_in(self._sent, most, now)
        if is_urgent:
            return opens
        if self._sent_ns is not None:
            opens = max(opens, self._sent_ns + self._limits.requests_spacing_ns)
        most_others = min(self._limits.polling_requests, most)
        return max(opens, self._room_in(self._others, most_others, now))

    def _room_in(self, tickets: list[Ticket], most: int, now: int) -> int:
        """Return when fewer than ``most`` of the tickets may still be in one window with now."""
        tickets[:] = [one for one in tickets if one.arrived_ns + self._span_ns > now]
        if len(tickets) < most:
            return now
        return min(one.arrived_ns for one in tickets) + self._span_ns

    def _group_opens(self, group: Group, now: int) -> int:
        opens = max(now, self._held_until.get(group, 0))
        if group in _SPACED and group in self._last:
            spacing = (
                self._limits.oauth_spacing_ns
                if group is Group.OAUTH
                else self._limits.account_spacing_ns
            )
            opens = max(opens, self._last[group] + spacing)
        return opens

    def _count(self, endpoint: Endpoint, now: int, *, is_urgent: bool) -> Ticket:
        self.granted += 1
        ticket = Ticket(now + self._limits.requests_delay_ns)
        self._sent_ns = self._last[endpoint.group] = now
        self._sent.append(ticket)
        if not is_urgent:
            self._others.append(ticket)
        return ticket
