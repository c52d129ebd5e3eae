"""Limits on counts: open orders, orders per second and per UTC day.

Rule: they bind orders that open risk; every granted order counts.
"""

from collections import deque
from collections.abc import Iterable

from strategies.capital.asks import Ask
from strategies.capital.config import SECOND_NS, LimitRules
from strategies.capital.ledger import VenueLedger
from strategies.markets.sessions import DAY_NS
from strategies.messages import Limit, Refusal


class PaceLimits:
    """Counts the grants of the last second and of the day."""

    def __init__(self, rules: LimitRules, ledgers: Iterable[VenueLedger]) -> None:
        self._rules = rules
        self._ledgers = tuple(ledgers)
        self._recent: deque[int] = deque()
        self._day = -1
        self._today = 0

    def check(self, ask: Ask) -> Refusal | None:
        """Refuse one order too many."""
        rules = self._rules
        most = rules.open_orders
        if most:
            count = sum(len(ledger.reservations) for ledger in self._ledgers)
            if count >= most:
                return ask.refuse(Limit.OPEN_ORDERS, f"open order {count + 1}", f"at most {most}")
        most = rules.orders_per_second
        if most:
            count = self._in_last_second(ask.ts_ns)
            if count >= most:
                asked = f"order {count + 1} within a second"
                return ask.refuse(Limit.ORDERS_PER_SECOND, asked, f"at most {most}")
        most = rules.orders_per_day
        if most and ask.ts_ns // DAY_NS == self._day and self._today >= most:
            asked = f"order {self._today + 1} of the day"
            return ask.refuse(Limit.ORDERS_PER_DAY, asked, f"at most {most}")
        return None

    def count(self, ts_ns: int) -> None:
        """Count one granted order."""
        day = ts_ns // DAY_NS
        if day != self._day:
            self._day, self._today = day, 0
        self._today += 1
        self._recent.append(ts_ns)
        self._in_last_second(ts_ns)

    def _in_last_second(self, ts_ns: int) -> int:
        recent = self._recent
        while recent and recent[0] <= ts_ns - SECOND_NS:
            recent.popleft()
        return len(recent)
