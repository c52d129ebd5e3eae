"""A made-up KRX behind the venue server, in a process of its own: it serves until its input ends.

Rule: every event carries its number (shares of a trade count up, so does the best bid's size), so a
client can tell each value it heard from each that was sent, and when the market made it.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from scenarios.commands.venue import settings_of
from scenarios.venues.kis.compose import Options, connect, trading_day
from scenarios.venues.kis.exchange import TapeEvent
from scenarios.venues.kis.market_time import SECOND_NS, MarketTime
from scenarios.venues.kis.personality import LIMITS, Environment
from scenarios.venues.kis.server import KisServer
from scenarios.venues.kis.symbols import Print, Quote, Symbol
from strategies.markets.sessions import Session

DAY = "20260309"
OPEN_NS = 1_773_014_400 * SECOND_NS
"""Monday, 2026-03-09, 09:00 in Seoul."""
SESSION = Session(OPEN_NS, OPEN_NS + 23_400 * SECOND_NS)
START_NS = OPEN_NS + 3_600 * SECOND_NS
FIRST_NS = START_NS + 600 * SECOND_NS
"""The first event; the clock is put right before it once a client holds all it asked for."""
BASE = 10_000


@dataclass(frozen=True, slots=True)
class Bursts:
    """``seconds`` of bursts, ten a second: ``rounds`` times two trades and a book of each symbol.

    Two trades in a row share a frame, a book ends it: a round is two frames, three records.
    """

    symbols: int = 20
    rounds: int = 5
    seconds: int = 60
    every_ns: int = SECOND_NS // 10

    @property
    def count(self) -> int:
        """Return how many bursts there are."""
        return self.seconds * SECOND_NS // self.every_ns

    @property
    def frames(self) -> int:
        """Return how many frames they make."""
        return self.count * self.symbols * self.rounds * 2

    @property
    def frames_per_s(self) -> float:
        """Return the mean rate."""
        return self.frames / self.seconds

    def made_ns(self, number: int, each: int) -> int:
        """Return when a symbol's n-th event was made, with ``each`` of them in a round."""
        return FIRST_NS + (number - 1) // (each * self.rounds) * self.every_ns

    def tape(self) -> Iterator[TapeEvent]:
        """Yield all events in their order."""
        codes = codes_of(self.symbols)
        for burst in range(self.count):
            ts_ns = FIRST_NS + burst * self.every_ns
            for turn in range(self.rounds):
                number = burst * self.rounds + turn + 1
                for code in codes:
                    yield Print(ts_ns, code, BASE + 10, 1, buyer_initiated=True)
                    yield Print(ts_ns, code, BASE, 1, buyer_initiated=False)
                    yield Quote(ts_ns, code, BASE, BASE + 10, number, 100)


def codes_of(count: int) -> list[str]:
    """Return the codes of that many symbols."""
    return [f"{990_000 + number:06d}" for number in range(1, count + 1)]


def trickle(codes: list[str], per_s: int) -> Iterator[TapeEvent]:
    """Yield trades of one symbol after the other, so that polled prices move."""
    step_ns = SECOND_NS // per_s
    number = 0
    while True:
        for code in codes:
            number += 1
            price = BASE + number % 7 * 10
            yield Print(START_NS + number * step_ns, code, price, 1, buyer_initiated=True)


def server(codes: list[str], tape: Iterator[TapeEvent]) -> KisServer:
    """Return the venue server over a tape; it is not yet started."""
    symbols = {code: Symbol(code, f"가상{code}", BASE) for code in codes}
    environment = Environment.REAL
    options = Options(
        environment=environment,
        sessions=[SESSION],
        start_ns=START_NS,
        limits=replace(LIMITS[environment], ping_every_s=10),
    )
    return connect(symbols, [trading_day(SESSION, with_random_end=False)], tape, options, _now)


def _now() -> int:
    return time.time_ns()


async def _begin_when_held(venue: KisServer, slots: int) -> None:
    """Put the market's clock a second before its first event once a client has registered."""
    while len(venue.venue.exchange.wanted) < slots:
        await asyncio.sleep(0.05)
    venue.venue.time = MarketTime(_now(), FIRST_NS - SECOND_NS, Fraction(1))


async def _serve(venue: KisServer, slots: int) -> None:
    await venue.start()
    print(json.dumps(settings_of(venue)), flush=True)
    beginning = asyncio.create_task(_begin_when_held(venue, slots)) if slots else None
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    if beginning is not None:
        beginning.cancel()
    await venue.stop()


def bursts(slots: int, **shape: Any) -> None:
    """Serve bursts, from the moment ``slots`` registrations are held."""
    market = Bursts(**shape)
    asyncio.run(_serve(server(codes_of(market.symbols), market.tape()), slots))


def many(symbols: int, per_s: int) -> None:
    """Serve many symbols that trade now and then."""
    codes = codes_of(symbols)
    asyncio.run(_serve(server(codes, trickle(codes, per_s)), 0))


MARKETS: dict[str, Callable[..., None]] = {each.__name__: each for each in (bursts, many)}

if __name__ == "__main__":
    MARKETS[sys.argv[1]](**json.loads(sys.argv[2]))
