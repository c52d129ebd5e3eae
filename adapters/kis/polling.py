"""Prices of any number of symbols by polling, 30 a call: who is asked next, and how old each is.

Rule: whoever waits longest goes first; nothing is asked faster than its own interval; the request
budget alone says how fast calls leave. Answers are matched by code, never by place.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush

from adapters.kis import replies, requests
from adapters.kis.errors import KisError, Stop
from adapters.kis.limits import Limits
from adapters.kis.pages import Asks
from adapters.kis.replies import Snapshot
from adapters.kis.timing import Timing, wait_until

type OnSnapshots = Callable[[Mapping[str, Snapshot], Sequence[str]], None]


class PollPlan:
    """Which symbols the next call asks for; times are steady nanoseconds, handed in."""

    def __init__(self, page: int) -> None:
        self._page = page
        self._every: dict[str, int] = {}
        self._queue: list[tuple[int, int, str]] = []
        self._ticket: dict[str, int] = {}
        self._answered: dict[str, int] = {}
        self._tickets = 0

    def __len__(self) -> int:
        return len(self._every)

    def watch(self, code: str, every_ns: int, now_ns: int) -> None:
        """Poll a symbol from now on, ``every_ns`` apart at least; again changes the interval."""
        before_ns = self._every.get(code)
        self._every[code] = every_ns
        if before_ns is None:
            self._put(code, now_ns)
        elif every_ns < before_ns and code in self._ticket and code in self._answered:
            self._put(code, max(self._answered[code] + every_ns, now_ns))

    def unwatch(self, code: str) -> None:
        """Poll a symbol no more."""
        self._every.pop(code, None)
        self._ticket.pop(code, None)
        self._answered.pop(code, None)

    def due_at(self) -> int | None:
        """Return when the next symbol is due, None where none waits."""
        self._drop_stale()
        return self._queue[0][0] if self._queue else None

    def take(self, now_ns: int) -> list[str]:
        """Return up to a page of due symbols, the longest waiting first; each until ``asked``."""
        taken: list[str] = []
        while len(taken) < self._page and (due := self.due_at()) is not None and due <= now_ns:
            taken.append(heappop(self._queue)[2])
        for code in taken:
            del self._ticket[code]
        return taken

    def answered(self, codes: Sequence[str], asked_ns: int, now_ns: int) -> None:
        """Take in that a call ended: what it gave is fresh, all it asked for waits again."""
        for code in codes:
            if code in self._every and code not in self._ticket:
                self._put(code, asked_ns + self._every[code])
                self._answered[code] = now_ns

    def failed(self, codes: Sequence[str], retry_ns: int) -> None:
        """Take in that a call failed: its symbols wait until ``retry_ns`` and stay as old."""
        for code in codes:
            if code in self._every and code not in self._ticket:
                self._put(code, retry_ns)

    def age_ns(self, code: str, now_ns: int) -> int | None:
        """Return how long ago a symbol was refreshed, None where it never was."""
        answered = self._answered.get(code)
        return None if answered is None else now_ns - answered

    def _put(self, code: str, due_ns: int) -> None:
        self._tickets += 1
        self._ticket[code] = self._tickets
        heappush(self._queue, (due_ns, self._tickets, code))

    def _drop_stale(self) -> None:
        """Forget the places of symbols that are no longer watched, or were put anew."""
        while self._queue and self._ticket.get(self._queue[0][2]) != self._queue[0][1]:
            heappop(self._queue)


class Poller:
    """Asks for the plan's symbols for as long as ``run`` runs.

    ``on_snapshots`` takes what an answer gave by code, and the codes it was silent about.
    """

    def __init__(
        self,
        http: Asks,
        limits: Limits,
        timing: Timing,
        on_snapshots: OnSnapshots,
        say: Callable[[str], None],
    ) -> None:
        self._http = http
        self._limits = limits
        self._timing = timing
        self._on_snapshots = on_snapshots
        self._say = say
        self._woken = asyncio.Event()
        self._calls: set[asyncio.Task[None]] = set()
        self._is_failing = False
        self._paused = False
        self._fatal: BaseException | None = None
        self.plan = PollPlan(limits.page_prices)

    def watch(self, code: str, every_ns: int = 0) -> None:
        """Poll a symbol, as often as the budget lets or ``every_ns`` (wall time) apart."""
        self.plan.watch(code, every_ns, self._timing.steady_ns())
        self._woken.set()

    def unwatch(self, code: str) -> None:
        """Poll a symbol no more."""
        self.plan.unwatch(code)

    def pause(self, *, paused: bool) -> None:
        """Ask nothing for a while, or go on."""
        self._paused = paused
        self._woken.set()

    def age_ns(self, code: str) -> int | None:
        """Return how long ago (wall time) a symbol was refreshed, None where it never was."""
        return self.plan.age_ns(code, self._timing.steady_ns())

    async def run(self) -> None:
        """Poll until cancelled. Raises Stop where people must act, and whatever broke a call."""
        try:
            while self._fatal is None:
                await wait_until(self._timing, self._next_at(), self._woken)
                self._start_calls()
            raise self._fatal
        finally:
            for call in self._calls:
                call.cancel()
            await asyncio.gather(*self._calls, return_exceptions=True)

    def _next_at(self) -> int | None:
        """Return when to look again; as many calls wait in the budget as a second lets go."""
        if self._paused or len(self._calls) >= self._limits.polling_requests:
            return None
        return self.plan.due_at()

    def _start_calls(self) -> None:
        while (
            not self._paused
            and len(self._calls) < self._limits.polling_requests
            and (codes := self.plan.take(self._timing.steady_ns()))
        ):
            call = asyncio.create_task(self._call(codes))
            self._calls.add(call)
            call.add_done_callback(self._ended)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            self._fatal = self._fatal or call.exception()
        self._woken.set()

    async def _call(self, codes: list[str]) -> None:
        asked_ns = self._timing.steady_ns()
        try:
            answer = await self._http.ask(requests.prices(codes, self._limits.page_prices))
            found = replies.snapshots(answer)
        except Stop:
            raise
        except KisError as error:
            self._fail(codes, error)
        else:
            self._is_failing = False
            given = {code: found[code] for code in codes if code in found}
            absent = [code for code in codes if code not in found]
            now_ns = self._timing.steady_ns()
            self.plan.answered(list(given), asked_ns, now_ns)
            self.plan.failed(absent, now_ns + self._limits.backoff_cap_ns)
            self._on_snapshots(given, absent)

    def _fail(self, codes: list[str], error: KisError) -> None:
        """Let symbols wait a moment; people are told once until an answer comes again."""
        self.plan.failed(codes, self._timing.steady_ns() + self._limits.backoff_first_ns)
        if not self._is_failing:
            self._is_failing = True
            self._say(f"Prices could not be polled, and are asked for again: {error}")
