"""KIS on the wire: decoding, a million damaged frames, a minute of bursts, polling of a market."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.measures import FULL, PROJECT, Facts, Figure, Scale, run_task

STREAMED = 20
"""Symbols whose trades and books, with the execution notice, take the 41 slots of an appkey."""
POLLED = 2_600


def kis(work: Path, scale: Scale) -> Iterator[Figure]:
    """Measure decoding, what mutated frames do to it, and reading as fast as KIS sends."""
    is_full = scale.rounds >= FULL.rounds
    times = _task("decode", work, batches=200 if is_full else 20)
    yield Figure("KIS trade frame", times["trade_us"], "us", 5, note="text to TradeTick")
    yield Figure("  each record of four", times["record_us"], "us", 5, note="text to TradeTick")
    note = "ten levels, text to OrderBookDepth"
    yield Figure("KIS book frame", times["book_us"], "us", 20, note=note)
    count = 1_000_000 if is_full else 20_000
    found = _task("mutate", work, count=count)
    note = f"of {count:,}; slowest read {found['slowest_ms']:.1f} ms"
    yield Figure("KIS mutated frames not understood", found["failures"], "", 0, note=note)
    yield from bursts(work, seconds=60 if is_full else 2)
    yield from polling(work, symbols=POLLED if is_full else 60, turns=3 if is_full else 1)


def bursts(work: Path, seconds: int, symbols: int = STREAMED) -> Iterator[Figure]:
    """Let a socket with all its slots taken read 2,000 frames a second, sent in bursts."""
    slots, shape = 2 * symbols + 1, {"symbols": symbols, "rounds": 5, "seconds": seconds}
    with ThreadPoolExecutor() as beside, _market("bursts", slots=slots, **shape) as settings:
        noise = beside.submit(_wire, "noise", work / "noise", seconds=seconds)
        heard = _wire("hear", work / "hear", settings=settings, slots=slots, shape=shape)
        idle = noise.result()
    lost = abs(heard["sent"] - heard["arrived"]) + abs(heard["sent"] - heard["frames"])
    wrong = lost + heard["wrong"] + sum(heard["violations"].values())
    note = (
        f"of {heard['sent']:,} frames in {seconds} s over {slots} slots; {heard['values']:,} "
        "trades and books compared"
    )
    yield Figure("KIS frames lost or wrong in bursts", wrong, "", 0, note=note)
    late = max(heard["late_ms"], heard["behind_ms"])
    note = f"99.9 %: {heard['late_999_ms']:.1f} ms; deepest queue {heard['deepest']:,}"
    yield Figure("  reader behind at most", late, "ms", 50, note=note)
    note = f"99.9 %: {heard['path_999_ms']:.1f} ms; the server plays every 10 ms"
    yield Figure("  from the market to the value", heard["path_ms"], "ms", note=note)
    warm, last = heard["memory"][0], max(heard["memory"])
    note = f"{warm:.0f} MB after warming up, at most {last:.0f} MB"
    yield Figure("  memory", last / warm, "x", 1.05, note=note)
    yield Figure("  processor", 100 * heard["cpu_share"], "%", note="of one core, start included")
    note = f"a sleep of 1 ms ends that much late; 99.9 %: {idle['p999_ms']:.1f} ms"
    yield Figure("  the machine's noise meanwhile", idle["most_ms"], "ms", note=note)


def polling(work: Path, symbols: int, turns: int) -> Iterator[Figure]:
    """Refresh the prices of a whole market within the request limit."""
    with _market("many", symbols=symbols, per_s=500) as settings:
        found = _wire("poll", work / "poll", settings=settings, symbols=symbols, turns=turns)
    if found["missing"] or not found["moved"]:
        raise RuntimeError(f"the refresh missed {found['missing']} symbols: not comparable.")
    note = f"the slowest of {turns}, {found['requests']} requests each"
    yield Figure(f"KIS refresh of {symbols:,} symbols", max(found["seconds"]), "s", 8, note=note)
    note = f"most in a second: {found['most_in_a_second']} of 18"
    yield Figure("  requests over a limit", found["violations"], "", 0, note=note)


@contextmanager
def _market(name: str, **arguments: object) -> Iterator[dict[str, str]]:
    """Run a venue server meanwhile and give the settings that point to it."""
    server = subprocess.Popen(
        [sys.executable, "-m", "bench.kis_market", name, json.dumps(arguments)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield json.loads(server.stdout.readline() if server.stdout else "")
    finally:
        server.communicate()  # the end of its input ends it


def _task(name: str, home: Path, **arguments: object) -> Facts:
    return run_task(name, home, module="bench.kis_tasks", **arguments)


def _wire(name: str, home: Path, **arguments: object) -> Facts:
    return run_task(name, home, module="bench.kis_wire", **arguments)
