"""KIS over a connection, in a process of its own: `python -m bench.kis_wire NAME JSON`.

Rule: every value heard is compared with the one that was sent; lateness is taken on the clocks the
adapter stamps with, and its worst counts. Nothing that was heard is kept, so that memory is the
adapter's own.
"""

import asyncio
import json
import resource
import sys
import time
from array import array
from pathlib import Path
from typing import Any

import aiohttp
from nautilus_trader.model import InstrumentId, OrderBookDepth, QuoteTick

from adapters.kis import replies, requests
from adapters.kis.config import read_config
from adapters.kis.http import KisHttp
from adapters.kis.reading import FrameReader
from adapters.kis.registrations import Acked, Stream
from adapters.kis.socket import Heard, KisSocket, Link
from adapters.kis.ticks import Trades
from bench.kis_market import DAY, Bursts, codes_of
from bench.measures import Facts
from strategies.markets.facts import RAW_ONE

_HELD_WITHIN_S = 60
_STRAGGLERS_S = 5
_WARM_S = 10


class Ear:
    """Takes in what the socket delivers and compares it with the bursts it must come from."""

    def __init__(self, market: Bursts) -> None:
        self._market = market
        self._trades = dict.fromkeys(codes_of(market.symbols), 0)
        self._books = dict(self._trades)
        self._late = array("q", bytes(8 * market.frames))
        self._path = array("q", bytes(8 * market.frames))
        self._origin_ns = 0
        self.frames = 0
        self.wrong = 0

    def begin(self, announced: dict[str, Any]) -> None:
        """Take the server's clock: wall time less market time, at speed 1."""
        self._origin_ns = announced["origin_wall_ns"] - announced["origin_market_ns"]

    def hear(self, heard: Heard) -> None:
        """Take one value in."""
        value = heard.value
        if isinstance(value, Trades):
            self._on_trades(value, heard)
        elif isinstance(value, OrderBookDepth):
            self._on_book(value, heard)
        elif not isinstance(value, QuoteTick | Acked | Link):
            self.wrong += 1

    def _on_trades(self, value: Trades, heard: Heard) -> None:
        self.wrong += len(value.gaps) + len(value.refused)
        for tick in value.ticks:
            code = tick.instrument_id.symbol.value
            self._trades[code] = number = self._trades[code] + 1
            if tick.trade_id.value != f"{DAY}-{number}":
                self.wrong += 1
        self._timed(heard, self._market.made_ns(number, 2))

    def _on_book(self, value: OrderBookDepth, heard: Heard) -> None:
        code = value.instrument_id.symbol.value
        self._books[code] = number = self._books[code] + 1
        if value.bids[0].size.raw != number * RAW_ONE:
            self.wrong += 1
        self._timed(heard, self._market.made_ns(number, 1))

    def _timed(self, heard: Heard, made_ns: int) -> None:
        if self.frames < len(self._late):
            self._late[self.frames] = time.monotonic_ns() - heard.hop_ns
            self._path[self.frames] = time.time_ns() - made_ns
        self.frames += 1

    @property
    def values(self) -> int:
        """Return how many trades and books were heard."""
        return sum(self._trades.values()) + sum(self._books.values())

    def facts(self) -> Facts:
        """Return the lateness in milliseconds: from stamp to delivery, and from the market."""
        late = sorted(self._late[: self.frames])
        path = sorted(each - self._origin_ns for each in self._path[: self.frames])
        return {
            "frames": self.frames,
            "values": self.values,
            "wrong": self.wrong,
            "late_ms": late[-1] / 1e6,
            "late_999_ms": late[len(late) * 999 // 1_000] / 1e6,
            "path_ms": path[-1] / 1e6,
            "path_999_ms": path[len(path) * 999 // 1_000] / 1e6,
        }


def hear(home: Path, settings: dict[str, str], slots: int, shape: dict[str, int]) -> Facts:
    """Register ``slots`` streams, listen to all bursts and compare them with what was sent."""
    return asyncio.run(_hear(home, settings, slots, Bursts(**shape)))


async def _hear(home: Path, settings: dict[str, str], slots: int, market: Bursts) -> Facts:
    config = read_config(settings, {"register_spacing_ns": 50_000_000})
    ids = {code: InstrumentId.from_str(f"{code}.KRX") for code in codes_of(market.symbols)}
    ear = Ear(market)
    async with KisHttp(config, home, _unsaid) as http, aiohttp.ClientSession() as admin:
        reader = FrameReader(ids, lambda _: DAY)
        socket = KisSocket(config, reader, http.approval_key, ear.hear, _unsaid)
        for place, code in enumerate(ids):
            socket.want(Stream("H0STCNT0", code), place)
            socket.want(Stream("H0STASP0", code), place)
        socket.want(Stream("H0STCNI0", config.hts_id.reveal()), 0)
        socket.market(is_open=True)
        socket.orders(live=True)
        running = asyncio.create_task(socket.run())
        async with asyncio.timeout(_HELD_WITHIN_S):
            while len(socket.held) < slots and not running.done():
                await asyncio.sleep(0.01)
        memory = await _listen(ear, market, running)
        seen = await _json(admin, f"{config.rest_url}/admin.json")
        ear.begin(seen)
        frames_sent = sum(each["frames"] for each in seen["sessions"])
        socket.stop()
        await running
    return ear.facts() | {
        "sent": frames_sent,
        "arrived": socket.inbox.arrived,
        "deepest": socket.inbox.deepest,
        "behind_ms": socket.inbox.most_behind_ns / 1e6,
        "connections": socket.connections,
        "memory": memory,
        "cpu_share": time.process_time() / market.seconds,
        "violations": seen["saw"]["violations"],
    }


async def _listen(ear: Ear, market: Bursts, running: asyncio.Task[None]) -> list[float]:
    """Wait for all bursts; return the memory in MB after warming up, and second by second."""
    memory: list[float] = []
    silent_s, last = 0, 0
    while silent_s < _STRAGGLERS_S and not running.done() and ear.frames < market.frames:
        await asyncio.sleep(1)
        silent_s = silent_s + 1 if ear.frames == last else 0
        last = ear.frames
        if ear.frames:
            memory.append(resident_mb())
    await asyncio.sleep(0.5)  # a frame too many would come now
    return memory[min(_WARM_S, len(memory) // 2) :]


async def _json(client: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with client.get(url) as reply:
        found: dict[str, Any] = await reply.json()
        return found


def resident_mb() -> float:
    """Return the memory this process holds now; its peak so far where that cannot be read."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return pages * resource.getpagesize() / 1e6


def poll(home: Path, settings: dict[str, str], symbols: int, turns: int) -> Facts:
    """Ask the prices of all symbols, one refresh after the other, as fast as the limits let it."""
    return asyncio.run(_poll(home, settings, codes_of(symbols), turns))


async def _poll(home: Path, settings: dict[str, str], codes: list[str], turns: int) -> Facts:
    config = read_config(settings)
    page = config.limits.page_prices
    pages = [codes[place : place + page] for place in range(0, len(codes), page)]
    seconds, missing, moved = [], 0, 0
    before: dict[str, int] = {}
    async with KisHttp(config, home, _unsaid) as http, aiohttp.ClientSession() as admin:
        await http.ask(requests.price(codes[0]))  # the token is not part of a refresh
        for _ in range(turns):
            started = time.perf_counter()
            answers = await asyncio.gather(
                *(http.ask(requests.prices(each, page)) for each in pages)
            )
            seconds.append(time.perf_counter() - started)
            found = {
                code: each.volume
                for answer in answers
                for code, each in replies.snapshots(answer).items()
            }
            missing += len(set(codes) - set(found))
            moved += sum(found[code] > before.get(code, 0) for code in found)
            before = found
        seen = await _json(admin, f"{config.rest_url}/admin.json")
    return {
        "seconds": seconds,
        "requests": len(pages),
        "missing": missing,
        "moved": moved,
        "most_in_a_second": seen["saw"]["most_requests_in_a_second"],
        "violations": sum(seen["saw"]["violations"].values()),
    }


def noise(home: Path, seconds: float) -> Facts:  # noqa: ARG001 - tasks share one shape
    """Sleep a millisecond again and again: how much later does this machine wake a process?"""
    late = []
    until = time.monotonic_ns() + int(seconds * 1e9)
    while (before := time.monotonic_ns()) < until:
        time.sleep(0.001)
        late.append(time.monotonic_ns() - before - 1_000_000)
    late.sort()
    return {"most_ms": late[-1] / 1e6, "p999_ms": late[len(late) * 999 // 1_000] / 1e6}


def _unsaid(_: str) -> None:
    """Drop what a node would tell its user."""


TASKS = {task.__name__: task for task in (hear, poll, noise)}

if __name__ == "__main__":
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(TASKS[name](Path(arguments.pop("home")), **arguments)))
