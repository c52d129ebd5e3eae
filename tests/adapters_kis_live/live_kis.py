"""The adapter's shells against the simulated KIS on loopback, in a time that runs fast."""

import asyncio
import sys
import time
from collections.abc import Mapping
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "venues_kis"))

from kis_market import WHO, server_of
from nautilus_trader.model import InstrumentId

from adapters.kis.config import KisConfig, read_config
from adapters.kis.http import KisHttp
from adapters.kis.reading import FrameReader
from adapters.kis.registrations import Stream
from adapters.kis.socket import Heard, KisSocket
from adapters.kis.timing import Timing
from scenarios.venues.kis.faults import Fault, FaultKind
from scenarios.venues.kis.server import KisServer

SECOND = 1_000_000_000
DAY = "20260309"
NOTICE = Stream("H0STCNI0", WHO.hts_id)
SECRETS = (WHO.app_key, WHO.app_secret, WHO.account[:8], WHO.hts_id)


class FastTime:
    """A wall clock that runs ``speed`` times as fast as the true one; both sides live by it."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self.jumped_ns = 0
        self._started = time.monotonic_ns()

    def __call__(self) -> int:
        passed = int((time.monotonic_ns() - self._started) * self.speed)
        return 1_790_000_000 * SECOND + self.jumped_ns + passed

    async def sleep_ns(self, duration_ns: int) -> None:
        await asyncio.sleep(duration_ns / self.speed / SECOND)

    def timing(self, jitter_ppm: int = 0) -> Timing:
        return Timing(
            wall_ns=self,
            steady_ns=self,
            sleep_ns=self.sleep_ns,
            jitter_ppm=lambda: jitter_ppm,
        )


def settings(port: int, more: Mapping[str, str] | None = None, **numbers: object) -> KisConfig:
    environ = {
        "APP_KEY": WHO.app_key,
        "APP_SECRET": WHO.app_secret,
        "ACCOUNT": WHO.account,
        "HTS_ID": WHO.hts_id,
        "REST_URL": f"http://127.0.0.1:{port}",
        "WS_URL": f"ws://127.0.0.1:{port}/tryitout",
    }
    given = {f"ONETAPE_KIS_{name}": text for name, text in environ.items()}
    return read_config(given | dict(more or {}), numbers)


class Live:
    """A server, a client of it and everything that was said."""

    def __init__(self, server: KisServer, fast: FastTime, folder: Path, **numbers: object) -> None:
        self.server = server
        self.fast = fast
        self.folder = folder
        self.config = settings(server.port, **numbers)
        self.said: list[str] = []
        self.http = self.another_http()

    def another_http(self) -> KisHttp:
        return KisHttp(self.config, self.folder, self.said.append, self.fast.timing())

    def arm(self, kind: str, **more: object) -> None:
        self.server.arm(Fault(FaultKind(kind), **more))

    @property
    def seen(self):
        return self.server.venue.witness


@asynccontextmanager
async def live(folder: Path, *events, speed=50.0, market_speed=1, numbers=None, **more):
    """Start a server and a client; both end with the block.

    ``speed`` is how fast the clocks of both run, ``market_speed`` that of the market by them.
    """
    fast = FastTime(speed)
    options = {"now": more.pop("now", 10), "speed": Fraction(market_speed), **more}
    server = server_of(*events, wall=fast, **options)
    await server.start()
    try:
        one = Live(server, fast, folder, **(numbers or {}))
        async with one.http:
            yield one
    finally:
        await server.stop()


class Listener:
    """A socket that runs, and what it heard."""

    def __init__(self, one: Live, codes, **more: object) -> None:
        self.heard: list[Heard] = []
        ids = {code: InstrumentId.from_str(f"{code}.KRX") for code in codes}
        self.reader = FrameReader(ids, lambda _ns: DAY)
        self.socket = KisSocket(
            one.config,
            self.reader,
            more.pop("ask_key", one.http.approval_key),
            more.pop("on_heard", self.heard.append),
            one.said.append,
            one.fast.timing(),
            **more,
        )

    def of(self, kind: type) -> list:
        return [each.value for each in self.heard if isinstance(each.value, kind)]

    async def until(self, holds, timeout_s=1.8) -> None:
        """Wait until something holds; the socket's own error ends it early."""
        async with asyncio.timeout(timeout_s):
            while not holds():
                if self.running.done():
                    await self.running
                await asyncio.sleep(0.002)


@asynccontextmanager
async def listening(one: Live, codes, streams, **more):
    """Run a socket that wants these streams; it is stopped with the block."""
    listener = Listener(one, codes, **more)
    for rank, stream in enumerate(streams):
        listener.socket.want(stream, rank)
    listener.socket.market(is_open=True)
    listener.running = asyncio.create_task(listener.socket.run())
    try:
        yield listener
        listener.socket.stop()
        await listener.running
    finally:
        listener.running.cancel()
        await asyncio.gather(listener.running, return_exceptions=True)
