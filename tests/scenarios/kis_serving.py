"""The simulated KIS in a thread of its own, for commands that are run as they are typed."""

import asyncio
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "venues_kis"))

from kis_market import SESSION, at, server_of

from catalog.store import Store
from scenarios.commands.venue import settings_of
from scenarios.venues.kis.compose import Options, build
from scenarios.venues.kis.faults import Fault, FaultKind
from scenarios.venues.kis.personality import LIMITS, Environment
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


def _played(store: Store, now: float) -> KisServer:
    """Return a server of a catalog's day, ``now`` seconds after the open."""
    numbers = replace(LIMITS[Environment.REAL], requests_per_s=1_000)
    options = Options(
        environment=Environment.REAL, sessions=[SESSION], start_ns=at(now), limits=numbers
    )
    return build(store, options, time.time_ns)


@contextmanager
def kis_serving(*events: object, store: Store | None = None, **more: object) -> Iterator[Served]:
    """Run a server of the events, or of a catalog's day, until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        server = (
            server_of(*events, wall=time.time_ns, **more)
            if store is None
            else _played(store, **more)
        )
        asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
        try:
            yield Served(server, loop)
        finally:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


class _HandMade(BaseHTTPRequestHandler):
    """Answers what a test wrote down, by the last part of the path; "" stands for all others."""

    answers: Mapping[str, tuple[int, object]]
    seen: list[str]
    date: str

    def date_time_string(self, timestamp: float | None = None) -> str:
        return self.date or super().date_time_string(timestamp)

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.seen.append(f"{self.path} {self.headers} {self.rfile.read(length)!r}")
        name = self.path.partition("?")[0].rpartition("/")[2]
        status, told = self.answers.get(name, self.answers.get("", (404, {})))
        body = told if isinstance(told, bytes) else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def hand_made(
    answers: Mapping[str, tuple[int, object]], date: str = ""
) -> Iterator[tuple[str, list[str]]]:
    """Serve answers (status, body) by service; gives the address and what was asked.

    ``date`` stands in the header of that name instead of the time.
    """
    seen: list[str] = []
    kind = type("Made", (_HandMade,), {"answers": answers, "seen": seen, "date": date})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


TOKEN = {"access_token": "made-token", "token_type": "Bearer", "expires_in": 86_400}


def refused(code: str, text: str) -> tuple[int, object]:
    """Return a gateway's refusal."""
    return 500, {"rt_cd": "1", "msg_cd": code, "msg1": text}
