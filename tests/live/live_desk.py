"""A simulated KIS in this process and the commands run in it, as they are typed."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import time_ns

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "scenarios"))

from kis_serving import Served, kis_serving
from live_day import scenario

from scenarios.cli import main

from kis_market import quote, trade  # isort: skip - on kis_serving's path

CODES = ("990001", "990002")
NAMES = '", "'.join(f"{code}.KRX" for code in CODES)
"""What stands between the scenario's quotes."""
PLENTY = {"requests_per_s": 1_000, "token_requests_per_s": 1_000, "token_spacing_s": 0}


def prints(first: int = 11, last: int = 400):
    """Return a trade and a quote of each share, every tenth of a second."""
    for code in CODES:
        yield quote(1, code=code)
        for tenth in range(first * 10, last * 10):
            yield trade(tenth / 10, 9_990 + 10 * (tenth // 7 % 2), 20, tenth % 2 == 0, code)


@contextmanager
def serving(**more: object) -> Iterator[Served]:
    """Run a server of two shares, ten seconds after the open, that gives a token each time."""
    more = {"limits": PLENTY} | more
    with kis_serving(*prints(), codes=CODES, now=10, **more) as served:
        yield served


@dataclass(frozen=True)
class Typed:
    """What a command gave back."""

    code: int
    summary: Mapping[str, object]
    out: str
    said: str

    @property
    def sentence(self) -> str:
        """The error, as it is said to people."""
        return str(self.summary.get("error", ""))


class Desk:
    """One home, its settings, and the command line in this process."""

    def __init__(
        self, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.home = home
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        self._served: Served | None = None
        monkeypatch.chdir(home)
        monkeypatch.setenv("ONETAPE_HOME", str(home))
        monkeypatch.setenv("COLUMNS", "200")

    def point_at(self, served: Served, **other: str) -> None:
        """Set the server's settings; ``other`` replace them, or remove one where empty."""
        self._served = served
        served.set(self._monkeypatch, **other)

    def set(self, **settings: str) -> None:
        for name, text in settings.items():
            self._monkeypatch.setenv(f"ONETAPE_{name}", text)

    def unset(self, *names: str) -> None:
        for name in names:
            self._monkeypatch.delenv(f"ONETAPE_{name}", raising=False)

    def trade(self, *options: str, lasts_s: int = 60, **more: object) -> Typed:
        """Run the churning scenario live; where nothing hinders it, it ends after a moment."""
        path = scenario(self.home, **{"instruments": NAMES} | more)
        return self.run(path, *options, lasts_s=lasts_s)

    def run(self, path: Path, *options: str, lasts_s: int = 60) -> Typed:
        """Run a scenario live, for so many seconds of the market."""
        here = self._served and self._served.settings["ONETAPE_KIS_REST_URL"]
        if not {"--to", "--from"} & set(options) and os.environ["ONETAPE_KIS_REST_URL"] == here:
            time = self._served.server.venue.time
            end_s = time.market_ns(time_ns()) // 10**9 + lasts_s
            options += ("--to", datetime.fromtimestamp(end_s, UTC).isoformat())
        return self.type("run", str(path), "--on", "live", "--json", "--no-report", *options)

    def type(self, *arguments: str) -> Typed:
        self._capsys.readouterr()
        code = main(arguments)
        out, said = self._capsys.readouterr()
        lines = out.strip().splitlines()
        return Typed(
            code, json.loads(lines[-1]) if lines and "--json" in arguments else {}, out, said
        )


class Proxy:
    """Passes bytes on to a server; answers what ``paths`` name itself, before the server sees it.

    ``stop`` cuts every connection and accepts none until ``start``.
    """

    def __init__(self, port: int, paths: Mapping[str, bytes] | None = None) -> None:
        self._to = port
        self._paths = paths or {}
        self._loop = asyncio.new_event_loop()
        self._server: asyncio.Server | None = None
        self.port = 0

    @contextmanager
    def running(self) -> Iterator["Proxy"]:
        thread = threading.Thread(target=self._loop.run_forever)
        thread.start()
        try:
            self.start()
            yield self
            self.stop()
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(5)
            self._loop.close()

    def start(self) -> None:
        self._do(self._start())

    def stop(self) -> None:
        self._do(self._stop())

    def settings(self, served: Served) -> dict[str, str]:
        """Return the server's settings with this address in them, without their prefix."""
        return {
            name.removeprefix("ONETAPE_KIS_"): text.replace(f":{self._to}", f":{self.port}")
            for name, text in served.settings.items()
        }

    def _do(self, work) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server.abort_clients()
            self._server = None
        await asyncio.sleep(0.01)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            if path in self._paths:
                writer.write(self._paths[path])
                await writer.drain()
                return
            back, on = await asyncio.open_connection("127.0.0.1", self._to)
            on.write(head)
            await asyncio.gather(_pump(reader, on), _pump(back, writer))
        except (OSError, asyncio.IncompleteReadError):
            return  # one side has gone: so goes the other
        finally:
            writer.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while part := await source.read(65_536):
            sink.write(part)
            await sink.drain()
    except OSError:
        return  # as above
    finally:
        sink.close()


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@contextmanager
def not_announcing(served: Served) -> Iterator[Proxy]:
    """Run a server on this machine that does not say that it simulates."""
    with Proxy(served.server.port, {"/simulator": NOT_FOUND}).running() as proxy:
        yield proxy
