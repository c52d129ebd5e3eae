"""The simulated KIS in a thread of its own, for commands that are run as they are typed."""

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "venues_kis"))

from kis_market import server_of

from scenarios.commands.venue import settings_of
from scenarios.venues.kis.faults import Fault, FaultKind
from scenarios.venues.kis.server import KisServer


class Served:
    """A server that runs, and what it saw."""

    def __init__(self, server: KisServer, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.loop = loop
        self.settings = settings_of(server)

    @property
    def requests(self):
        return self.server.venue.witness.requests

    def arm(self, kind: str, **more: object) -> None:
        self.server.arm(Fault(FaultKind(kind), **more))

    def set(self, monkeypatch: pytest.MonkeyPatch, **other: str) -> None:
        """Point this process at the server; ``other`` settings replace or, empty, remove one."""
        given = self.settings | {f"ONETAPE_KIS_{name}": text for name, text in other.items()}
        for name, text in given.items():
            monkeypatch.setenv(name, text)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@contextmanager
def kis_serving(*events: object, **more: object) -> Iterator[Served]:
    """Run a server of the events until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = server_of(*events, wall=time.time_ns, **more)
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        try:
            yield Served(server, loop)
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
