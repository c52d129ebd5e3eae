"""The day's order list, asked when it is needed: one question at a time, with back-off.

Rule: it asks and hands over; what the rows mean is the book's. A list that is cut short is handed
over as incomplete, and one that cannot be read as none.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from adapters.kis import replies, requests
from adapters.kis.backoff import delay_ns
from adapters.kis.errors import IllegalTransition, KisError, Stop
from adapters.kis.gateway import KisGateway
from adapters.kis.order_events import Moment
from adapters.kis.pages import all_pages
from adapters.kis.replies import OrderRow
from adapters.kis.timing import SECOND, wait_until

LIST_EVERY_NS = 30 * SECOND
"""How often the list is asked while orders live and nothing is in doubt. Our own choice: KIS's
users report about one account request a second."""
_DOUBTFUL_STEPS = 2
"""While something is in doubt the list is asked again after 1, 2, 4, 4, ... seconds."""


@dataclass(frozen=True, slots=True)
class DayList:
    """The rows of one question: first page asked, last page answered, ``complete`` or cut."""

    rows: Sequence[OrderRow]
    asked: Moment
    answered: Moment
    complete: bool


class OrderList:
    """Asks for the list of one account; ``first_day`` gives the earliest day of interest.

    ``in_doubt`` and ``live`` say whether it is to be asked soon, and at all. ``take`` gets every
    answer; ``failed`` is told of an error that people must act on.
    """

    def __init__(
        self,
        gateway: KisGateway,
        take: Callable[[DayList], None],
        *,
        first_day: Callable[[], str | None],
        in_doubt: Callable[[], bool],
        live: Callable[[], bool],
        every_ns: int = LIST_EVERY_NS,
    ) -> None:
        self._gateway = gateway
        self._take = take
        self._first_day = first_day
        self._in_doubt = in_doubt
        self._live = live
        self._every_ns = every_ns
        self._lock = asyncio.Lock()
        self._woken = asyncio.Event()
        self._is_wanted = False
        self._last_ns: int | None = None
        self._attempt = 0
        self._is_told = False

    def want(self) -> None:
        """Ask soon: something happened that only the list can tell."""
        self._is_wanted = True
        self._woken.set()

    def wake(self) -> None:
        """Look again whether the list is needed."""
        self._woken.set()

    async def ask(self) -> DayList:
        """Ask now and hand the answer over. Raises an error of the tree."""
        async with self._lock:
            self._is_wanted = False
            config, today = self._gateway.config, self._gateway.day()
            first = min(self._first_day() or today, today)
            asked = self._gateway.moment()
            try:
                pages = await all_pages(
                    self._gateway.http,
                    requests.orders(config.account, first, today),
                    config.limits.pages,
                )
                rows = [row for page in pages.answers for row in replies.order_rows(page)]
            except BaseException:
                self._is_wanted = True
                raise
            finally:
                self._last_ns = self._gateway.timing.steady_ns()
            found = DayList(rows, asked, self._gateway.moment(), pages.complete)
            if pages.complete:
                self._is_told = False
            else:
                self._say_once(f"The order list of KIS is cut short: {pages.why}.")
                self._is_wanted = True
            self._take(found)
            return found

    async def run(self) -> None:
        """Ask for ever, whenever it is due."""
        while True:
            timing = self._gateway.timing
            due_ns = self._due_ns()
            if due_ns is None or due_ns > timing.steady_ns():
                await wait_until(timing, due_ns, self._woken)
                continue
            try:
                await self.ask()
            except (Stop, IllegalTransition) as error:
                self._gateway.fail(error)
                self._attempt += 1
            except KisError as error:
                self._say_once(f"The order list of KIS cannot be had: {error}")
                self._attempt += 1
            else:
                is_still = self._is_wanted or self._in_doubt()
                self._attempt = min(self._attempt + 1, _DOUBTFUL_STEPS) if is_still else 0

    def _due_ns(self) -> int | None:
        """Return when to ask next (steady), None for not before something happens."""
        if self._is_wanted or self._in_doubt():
            if self._last_ns is None:
                return self._gateway.timing.steady_ns()
            limits, jitter = self._gateway.config.limits, self._gateway.timing.jitter_ppm()
            return self._last_ns + delay_ns(limits, self._attempt, jitter)
        if self._live():
            last_ns = self._last_ns if self._last_ns is not None else -self._every_ns
            return last_ns + self._every_ns
        return None

    def _say_once(self, sentence: str) -> None:
        """Say why there is no whole list; the first of a row of failures is enough."""
        if not self._is_told:
            self._gateway.say(sentence)
        self._is_told = True
