"""Requests to KIS: asked through one budget, answered with ``Answer`` or an error of the tree.

Rule: what may go, when and again is decided by budget, breaker and back-off; this shell waits and
sends. A request that changes something is only repeated where KIS refused it at its door.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from adapters.kis import parse, requests
from adapters.kis.backoff import Breaker, BreakerState, retry_wait_ns
from adapters.kis.budget import Granted, NotBefore, RequestBudget, Ticket
from adapters.kis.config import KisConfig, Secret
from adapters.kis.connection import Connections, Loss
from adapters.kis.errors import (
    KisError,
    MalformedAnswer,
    NotSent,
    OutcomeUnknown,
    Recalled,
    TokenRejected,
    TokenTooSoon,
    VenueBusy,
)
from adapters.kis.parse import Answer
from adapters.kis.requests import Endpoint, Group, Request
from adapters.kis.timing import SECOND, Timing, wait_until
from adapters.kis.token_cache import TokenCache
from adapters.kis.token_source import TokenSource

type _Turn = asyncio.Future[Ticket]


class Recall:
    """Lets whoever asked take a request back while it waits for its turn; used for one request."""

    def __init__(self) -> None:
        self._is_recalled = False
        self._turn: _Turn | None = None

    def recall(self) -> None:
        """Take the request back; one that was sent goes on, and is not sent again."""
        self._is_recalled = True
        if self._turn is not None and not self._turn.done():
            self._turn.set_exception(Recalled("Taken back before it was sent."))

    def waits(self, turn: _Turn) -> None:
        """Note the turn that the request waits for."""
        self._turn = turn
        if self._is_recalled:
            self.recall()


class KisHttp:
    """The one client of an appkey; use it with ``async with``."""

    def __init__(
        self,
        config: KisConfig,
        cache_folder: Path,
        say: Callable[[str], None],
        timing: Timing | None = None,
    ) -> None:
        self._config = config
        self._timing = timing or Timing()
        self._connections = Connections(
            config.rest_url, self._timing, config.limits.request_timeout_ns
        )
        self._budget: RequestBudget[_Turn] = RequestBudget(config.limits)
        self._waiting: set[_Turn] = set()
        self._submitted = asyncio.Event()
        self._breakers: dict[str, Breaker] = {}
        self._tokens = TokenSource(
            config.limits,
            TokenCache(cache_folder, config),
            self._timing,
            lambda request: self._once(request, None),
            say,
        )
        self._granting: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "KisHttp":
        self._granting = asyncio.create_task(self._grant())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._tokens.close()
        if self._granting is not None:
            self._granting.cancel()
            await asyncio.gather(self._granting, return_exceptions=True)
        for turn in [each for each in self._waiting if not each.done()]:
            turn.set_exception(NotSent("Not sent: the client of KIS was closed."))
        await self._connections.close()

    @property
    def granted(self) -> int:
        """Return how many requests the budget let go."""
        return self._budget.granted

    @property
    def queued(self) -> int:
        """Return how many requests wait for their turn."""
        return len(self._budget)

    def breaker(self, endpoint: Endpoint) -> BreakerState:
        """Return whether an endpoint is asked now."""
        return self._breaker(endpoint).state

    async def ask(self, request: Request, recall: Recall | None = None) -> Answer:
        """Return KIS's answer to a request, after as many attempts as are right.

        Raises an error of the tree; NotSent where nothing left (Recalled where it was taken back),
        OutcomeUnknown where an order may or may not be placed. A caller that is cancelled knows as
        little as after OutcomeUnknown.
        """
        attempt = 0
        while True:
            try:
                return await self._with_token(request, recall)
            except KisError as error:
                wait_ns = retry_wait_ns(
                    request.endpoint,
                    error,
                    attempt,
                    self._config.limits,
                    self._timing.jitter_ppm(),
                )
                if wait_ns is None:
                    raise
            await self._timing.sleep_ns(wait_ns)
            attempt += 1

    async def log_in(self, say: Callable[[str], None] | None = None) -> None:
        """Have a token, from the disk or from KIS. Raises an error of the tree, or BadInput.

        With ``say`` it is told, and waited for, that KIS gives one token a minute.
        """
        try:
            await self._tokens.current()
        except TokenTooSoon as error:
            if say is None:
                raise
            wait_ns = error.wait_ns + SECOND
            say(
                "KIS gives one token a minute and another was asked for just now: the next is "
                f"asked for in {wait_ns // SECOND} s."
            )
            await self._timing.sleep_ns(wait_ns)
            await self._tokens.current()

    async def approval_key(self) -> Secret:
        """Return a key for the WebSocket. Raises an error of the tree."""
        return parse.approval_key(await self.ask(requests.approval_key()))

    # --- one attempt ---

    async def _with_token(self, request: Request, recall: Recall | None) -> Answer:
        if request.endpoint.group is Group.OAUTH:
            return await self._once(request, None)
        return await self._once(request, await self._tokens.current(), recall)

    async def _once(
        self, request: Request, token: Secret | None, recall: Recall | None = None
    ) -> Answer:
        """Send a request when it is its turn; the breaker learns what became of it."""
        endpoint, breaker = request.endpoint, self._breaker(request.endpoint)
        turn = self._queue(endpoint)
        if not breaker.allows(self._timing.steady_ns()):
            self._budget.withdraw(turn)
            turn.cancel()
            raise NotSent(f"KIS failed to answer {endpoint.name} several times: it rests a while.")
        if recall is not None:
            recall.waits(turn)
        try:
            ticket = await turn
            answer = await self._exchange(request, ticket, token and (self._tokens.held() or token))
        except Recalled:
            self._leave(turn, breaker)
            raise
        except KisError as error:
            self._learn(breaker, error)
            raise
        except BaseException:
            self._leave(turn, breaker)
            raise
        breaker.worked()
        return answer

    def _leave(self, turn: _Turn, breaker: Breaker) -> None:
        self._budget.withdraw(turn)
        if breaker.state is BreakerState.TRIAL:  # a trial that was cancelled proves nothing
            breaker.failed(self._timing.steady_ns())

    async def _exchange(self, request: Request, ticket: Ticket, token: Secret | None) -> Answer:
        endpoint = request.endpoint
        outcome = await self._connections.send(requests.wire(request, self._config, token))
        if not isinstance(outcome, Loss) or not outcome.written:
            self._budget.answered(ticket, self._timing.steady_ns())
            self._submitted.set()  # others may go earlier than was thought
        if isinstance(outcome, Loss):
            if outcome.written:
                raise parse.lost(endpoint, outcome.how)
            raise NotSent(f"{endpoint.name} was not sent: its answer {outcome.how}.")
        try:
            return parse.read(endpoint, outcome.status, outcome.headers, outcome.body)
        except TokenRejected:
            if token is not None:
                self._tokens.rejected(token)
            raise
        except KisError as error:
            self._budget.refused(error, self._timing.steady_ns())
            raise

    def _breaker(self, endpoint: Endpoint) -> Breaker:
        return self._breakers.setdefault(endpoint.name, Breaker(self._config.limits))

    def _learn(self, breaker: Breaker, error: KisError) -> None:
        if isinstance(error, VenueBusy | OutcomeUnknown | MalformedAnswer):
            breaker.failed(self._timing.steady_ns())
        else:
            breaker.worked()

    # --- whose turn it is ---

    def _queue(self, endpoint: Endpoint) -> _Turn:
        """Return what is done when the request may go. Raises NotSent where it cannot be queued."""
        if self._granting is None or self._granting.done():
            raise NotSent(f"{endpoint.name} was not sent: the client of KIS is not open.")
        turn: _Turn = asyncio.get_running_loop().create_future()
        if not self._budget.submit(turn, endpoint):
            raise NotSent(f"{endpoint.name} was not sent: too many requests to KIS wait.")
        self._waiting.add(turn)
        turn.add_done_callback(self._waiting.discard)
        self._submitted.set()
        return turn

    async def _grant(self) -> None:
        try:
            await self._grant_turns()
        # A task dies silently: whoever waits for a turn is told, for none comes any more.
        except Exception as error:  # noqa: BLE001 - see above
            for turn in [each for each in self._waiting if not each.done()]:
                turn.set_exception(error)

    async def _grant_turns(self) -> None:
        while True:
            match self._budget.next(self._timing.steady_ns()):
                case Granted(turn, ticket=ticket):
                    if turn.done():
                        self._budget.answered(ticket, self._timing.steady_ns())
                    else:
                        turn.set_result(ticket)
                case NotBefore(at_ns):
                    await wait_until(self._timing, at_ns, self._submitted)
                case None:
                    await wait_until(self._timing, None, self._submitted)
