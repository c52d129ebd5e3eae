"""One node's connection to KIS: the request client and the socket, shared by its engine clients.

Rule: it owns the life of both and decides nothing. What the socket hears is handed to the
listeners in the order they asked; times in it are market time, only waits are on our clocks.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from nautilus_trader.model import InstrumentId

from adapters.kis.config import KisConfig
from adapters.kis.http import KisHttp
from adapters.kis.order_events import Moment
from adapters.kis.reading import FrameReader
from adapters.kis.socket import Heard, KisSocket, Link
from adapters.kis.ticks import seoul_day
from adapters.kis.timing import SECOND, Timing, first_of
from strategies.errors import RunFailed

LATENCY_NS = SECOND
"""A trade that happened longer ago than this is on its way no more (our choice, wall time)."""


class MarketClock(Protocol):
    """How wall time maps to the venue's; both are UTC nanoseconds."""

    def at(self, wall_ns: int) -> int:
        """Return the market time of a wall time."""

    def wall(self, market_ns: int) -> int:
        """Return the wall time of a market time."""


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of market time in which market data is registered: from, until (exclusive), ns."""

    start_ns: int
    end_ns: int


class KisGateway:
    """Opened by the first user that comes, closed by the last one that leaves.

    A user that only asks (``open_requests``) needs no socket; it starts with the first client.

    ``hours`` are the spans in which market data is registered, in order. ``failed`` is told once
    of an error that people must act on; nothing more is heard after it.
    """

    def __init__(
        self,
        config: KisConfig,
        cache_folder: Path,
        say: Callable[[str], None],
        *,
        market: MarketClock,
        instrument_ids: Mapping[str, InstrumentId],
        hours: Sequence[Hours],
        failed: Callable[[BaseException], None],
        timing: Timing | None = None,
    ) -> None:
        self.config = config
        self.say = say
        self.instrument_ids = instrument_ids
        self._market = market
        self._hours = tuple(hours)
        self._failed = failed
        self._timing = timing or Timing()
        self._listeners: list[Callable[[Heard], None]] = []
        self._users = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._stamped_ns = 0
        self._linked = asyncio.Event()
        self._failure: BaseException | None = None
        self.http = KisHttp(config, cache_folder, say, self._timing)
        self.reader = FrameReader(instrument_ids, seoul_day)
        self.socket = KisSocket(
            config,
            self.reader,
            self.http.approval_key,
            self._hear,
            say,
            # receive stamps are market time; waits stay on the steady clock
            replace(self._timing, wall_ns=self.stamp_ns),
        )

    # --- times ---

    def market_ns(self) -> int:
        """Return the market time now."""
        return self._market.at(self._timing.wall_ns())

    def stamp_ns(self) -> int:
        """Return the market time now for a receive stamp: never before the stamp before it."""
        self._stamped_ns = max(self._stamped_ns, self.market_ns())
        return self._stamped_ns

    def ago(self, wall_span_ns: int) -> int:
        """Return the market time of a while ago, measured on our clocks."""
        return self._market.at(self._timing.wall_ns() - wall_span_ns)

    def surely_heard_ns(self) -> int:
        """Return the market time up to which the socket has told all there was to tell."""
        return self.ago(self.socket.quiet_ns + LATENCY_NS)

    def moment(self) -> Moment:
        """Return now on both clocks."""
        wall_ns = self._timing.wall_ns()
        return Moment(self._market.at(wall_ns), wall_ns)

    def day(self) -> str:
        """Return the market's date in Seoul, YYYYMMDD."""
        return seoul_day(self.market_ns())

    @property
    def timing(self) -> Timing:
        """Return our clocks and the sleep that goes with them."""
        return self._timing

    async def sleep_until(self, market_ns: int) -> None:
        """Sleep until a market time."""
        while (left := self._market.wall(market_ns) - self._timing.wall_ns()) > 0:
            await self._timing.sleep_ns(left)

    async def hours_begin(self) -> None:
        """Sleep until the next span of market data begins, no longer within one."""
        coming = [span for span in self._hours if span.end_ns > self.market_ns()]
        await self._sleep_until_or_ever(coming[0].start_ns if coming else None)

    async def hours_end(self) -> None:
        """Sleep until the present span of market data ends."""
        coming = [span for span in self._hours if span.end_ns > self.market_ns()]
        await self._sleep_until_or_ever(coming[0].end_ns if coming else None)

    async def _sleep_until_or_ever(self, market_ns: int | None) -> None:
        if market_ns is None:
            await asyncio.Event().wait()
        else:
            await self.sleep_until(market_ns)

    # --- life ---

    def listen(self, listener: Callable[[Heard], None]) -> None:
        """Have everything the socket hears handed to ``listener``, after earlier listeners."""
        self._listeners.append(listener)

    async def open_requests(self) -> None:
        """Open what asks KIS for one more user, and leave the socket as it is."""
        self._users += 1
        if self._users == 1:
            await self.http.__aenter__()

    async def open(self) -> None:
        """Open requests and socket for one more user."""
        await self.open_requests()
        if self._tasks:
            return
        self._tasks = [
            asyncio.create_task(self._run_socket()),
            asyncio.create_task(self._keep_hours()),
        ]

    async def linked(self) -> None:
        """Wait until the socket's first connection has been open.

        Raises what ended the socket instead, or RunFailed after ``link_wait_ns``; people are told
        of either.
        """
        limit_ns = self.config.limits.link_wait_ns
        first: asyncio.Future[object] = asyncio.ensure_future(self._linked.wait())
        if not await first_of(first, self._timing.sleep_ns(limit_ns)):
            self.fail(
                RunFailed(
                    f"{self.config.ws_url} opened no WebSocket within {limit_ns // SECOND} s: "
                    "check ONETAPE_KIS_WS_URL and the network, or whether KIS is under maintenance."
                )
            )
        if self._failure is not None:
            raise self._failure

    def fail(self, error: BaseException) -> None:
        """Tell of an error that people must act on, once; waiting for the socket ends with it."""
        if self._failure is None:
            self._failure = error
            self._failed(error)
        self._linked.set()

    async def close(self) -> None:
        """Close both when the last user leaves; what came before is delivered."""
        self._users -= 1
        if self._users != 0:
            return
        if self._tasks:
            self.socket.stop()
            self._tasks[-1].cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._tasks = []
        await self.http.__aexit__(None, None, None)

    def _hear(self, heard: Heard) -> None:
        if isinstance(heard.value, Link) and heard.value.is_open:
            self._linked.set()
        for listener in self._listeners:
            listener(heard)

    async def _run_socket(self) -> None:
        try:
            await self.socket.run()
        except asyncio.CancelledError:
            raise
        # Whatever ends the socket ends the node's hearing: told, because a task dies silently.
        except BaseException as error:
            self.fail(error)
            if not isinstance(error, Exception):
                raise

    async def _keep_hours(self) -> None:
        """Open and close the market for the registrations as the hours say."""
        for span in self._hours:
            if span.end_ns <= self.market_ns():
                continue
            await self.sleep_until(span.start_ns)
            self.socket.market(is_open=True)
            await self.sleep_until(span.end_ns)
            self.socket.market(is_open=False)
