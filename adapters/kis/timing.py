"""What the I/O shells know of time: two clocks, a sleep and a jitter, all handed in.

Rule: only the shells call these; whatever decides gets times and jitter as arguments.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

SECOND = 1_000_000_000
PPM = 1_000_000


async def _sleep_ns(duration_ns: int) -> None:
    await asyncio.sleep(duration_ns / SECOND)


def _jitter_ppm() -> int:
    return random.randint(0, PPM)  # noqa: S311 - spreads waits, keeps no secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Clocks in nanoseconds: ``wall_ns`` is UTC and may be set, ``steady_ns`` never runs back.

    Waits and windows are measured on the steady clock; tokens end by the wall clock, and what is
    received is stamped with it.
    """

    wall_ns: Callable[[], int] = time.time_ns
    steady_ns: Callable[[], int] = time.monotonic_ns
    sleep_ns: Callable[[int], Awaitable[None]] = _sleep_ns
    jitter_ppm: Callable[[], int] = _jitter_ppm


async def wait_until(timing: Timing, at_ns: int | None, woken: asyncio.Event) -> None:
    """Wait for a steady time (None: for ever) or for ``woken``, which is cleared."""
    if at_ns is None:
        await woken.wait()
    elif (wait_ns := at_ns - timing.steady_ns()) > 0:
        await first_of(asyncio.ensure_future(woken.wait()), timing.sleep_ns(wait_ns))
    else:
        await asyncio.sleep(0)
    woken.clear()


async def first_of(work: asyncio.Future[object], limit: Awaitable[None]) -> bool:
    """Wait for ``work`` at most as long as ``limit``; cancel the loser and tell whether it ended.

    An error of ``work`` stays in it, for the caller to look at.
    """
    timer = asyncio.ensure_future(limit)
    both: set[asyncio.Future[Any]] = {work, timer}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        is_done = work.done()
        losers = [each for each in both if not each.done()]
        for loser in losers:
            loser.cancel()
    await asyncio.gather(*losers, return_exceptions=True)
    return is_done
