"""The token for requests: held in memory, shared on disk, asked for by one process at a time.

Rule: one renewal at a time whoever wants it; who cannot get a token now is told so at once
(TokenTooSoon), because an order must not go out a minute late.
"""

import asyncio
from collections.abc import Awaitable, Callable

from adapters.kis import parse, requests
from adapters.kis.config import Secret
from adapters.kis.credentials import TokenKeeper, TokenState
from adapters.kis.errors import MS, KisError, TokenTooSoon, VenueBusy
from adapters.kis.limits import Limits
from adapters.kis.parse import Answer, Token
from adapters.kis.requests import Request
from adapters.kis.timing import Timing
from adapters.kis.token_cache import TokenCache
from strategies.errors import RunFailed

_LOOK_NS = 100 * MS
"""How often the file is looked into while another process asks."""


class TokenSource:
    """Gives the token of one appkey; ``ask`` sends one request without one."""

    def __init__(
        self,
        limits: Limits,
        cache: TokenCache,
        timing: Timing,
        ask: Callable[[Request], Awaitable[Answer]],
        say: Callable[[str], None],
    ) -> None:
        self._limits = limits
        self._cache = cache
        self._timing = timing
        self._ask = ask
        self._say = say
        self._keeper = TokenKeeper(limits)
        self._rejected: Secret | None = None
        self._renewal: asyncio.Task[None] | None = None

    def held(self) -> Secret | None:
        """Return the token to use now, None while there is none."""
        return self._keeper.token(self._timing.wall_ns())

    async def current(self) -> Secret:
        """Return a token, renewing it where needed; one that grows old is renewed meanwhile.

        Raises KisError: TokenTooSoon where none can be had now, what stopped the keeper, or what
        the renewal met; BadInput where the token cannot be kept on disk.
        """
        held = self.held()
        if held is not None:
            if self._is_old() and (self._renewal is None or self._renewal.done()):
                self._renewing().add_done_callback(self._note_refresh)
            return held
        if self._keeper.failure is not None:
            raise _again(self._keeper.failure)
        await asyncio.shield(self._renewing())
        return self.held() or self._none_yet()

    def rejected(self, text: Secret) -> None:
        """Take in that KIS rejected this token."""
        self._rejected = text
        self._keeper.rejected(text)

    async def close(self) -> None:
        """End a renewal that is under way."""
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    def _is_old(self) -> bool:
        now = self._timing.wall_ns()
        return self._keeper.state is TokenState.AGING and self._keeper.ask_at(now) <= now

    def _renewing(self) -> asyncio.Task[None]:
        if self._renewal is None or self._renewal.done():
            self._renewal = asyncio.create_task(self._renew())
            # where all who waited were cancelled, nobody asks for its error
            self._renewal.add_done_callback(lambda task: task.cancelled() or task.exception())
        return self._renewal

    def _note_refresh(self, task: asyncio.Task[None]) -> None:
        """Say why an early renewal failed; the old token serves until its end."""
        if not task.cancelled() and isinstance(error := task.exception(), RunFailed | OSError):
            self._say(f"The KIS token was not renewed early: {error}")

    async def _renew(self) -> None:
        give_up_ns = self._timing.steady_ns() + self._limits.request_timeout_ns
        while True:
            with self._cache.locked() as is_ours:
                if self._take_cached(is_ours=is_ours):
                    return
                if is_ours:
                    await self._ask_kis()
                    return
            if self._timing.steady_ns() >= give_up_ns:
                raise VenueBusy("Another process has been asking KIS for a token for too long.")
            await self._timing.sleep_ns(_LOOK_NS)

    def _take_cached(self, *, is_ours: bool) -> bool:
        """Use the stored token where it is good for longer than the one there is."""
        now = self._timing.wall_ns()
        stored = self._cache.load(now)
        if stored is None:
            return False
        if stored.text == self._rejected:
            if is_ours:
                self._cache.drop(stored.text)
            return False
        is_fresh = stored.expires_ns - self._limits.token_refresh_ns > now
        if self._keeper.state is TokenState.AGING and not is_fresh:
            return False
        return self._keeper.got(stored, now)

    async def _ask_kis(self) -> None:
        if not self._keeper.should_ask(self._timing.wall_ns()):
            self._none_yet()
        try:
            answer = await self._ask(requests.token())
            token: Token = parse.token(answer, now := self._timing.wall_ns())
        except KisError as error:
            self._keeper.failed(error)
            raise
        except BaseException:
            self._keeper.failed(VenueBusy("The question for a token was given up."))
            raise
        if self._keeper.got(token, now):
            self._cache.store(token)

    def _none_yet(self) -> Secret:
        now = self._timing.wall_ns()
        error = TokenTooSoon("There is no KIS token, and a minute has to pass between questions.")
        error.wait_ns = max(self._keeper.ask_at(now) - now, MS)
        raise error


def _again(failure: KisError) -> KisError:
    """Return an equal error to raise, so that tracebacks do not pile up on one."""
    return type(failure)(str(failure), failure.code)
