"""The measurements: which processes run in which order, and what their figures must reach.

Rule: ratios are taken between neighbours of one round and the median over rounds is judged, so a
noisy machine moves both sides alike. This process imports nothing heavy: what it uses would count
towards the peak memory of its children.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
DEMO = "import sys; from scenarios.cli import main; sys.exit(main(['demo']))"
MEMORY_LIMIT_MB, MEMORY_ORDERS_MAX = 800, 2_000

type Facts = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One measured number; ``target`` is the least (``at_least``) or the most it may be."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def verdict(self) -> str:
        """Return PASS or MISS, nothing where there is no target."""
        if self.target is None:
            return ""
        reached = self.value >= self.target if self.at_least else self.value <= self.target
        return "PASS" if reached else "MISS"


@dataclass(frozen=True)
class Scale:
    """How much is measured; rows in all."""

    rounds: int
    bars: int
    ticks: int
    memory_rows: int
    steps: int


FULL = Scale(rounds=5, bars=1_000_000, ticks=2_000_000, memory_rows=10_000_000, steps=100_000)
QUICK = Scale(rounds=1, bars=20_000, ticks=20_000, memory_rows=200_000, steps=2_000)


def run_task(name: str, home: Path, module: str = "bench.tasks", **arguments: object) -> Facts:
    """Run one task in a process of its own and return its facts."""
    home.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"home": str(home), **arguments})
    done = subprocess.run(
        [sys.executable, "-m", module, name, text],
        cwd=PROJECT,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{name} {text} failed:\n{done.stderr}")
    facts: Facts = json.loads(done.stdout.splitlines()[-1])
    return facts


class Rounds:
    """Facts of each side over all rounds; odd rounds run in the opposite order."""

    def __init__(self, sides: dict[str, Callable[[], Facts]], rounds: int) -> None:
        self._facts: dict[str, list[Facts]] = {name: [] for name in sides}
        for number in range(rounds):
            for name in sides if number % 2 == 0 else reversed(sides):
                self._facts[name].append(sides[name]())

    def ratio(self, above: str, below: str, key: str = "seconds") -> float:
        """Return the median over rounds of one side's figure by the other's."""
        pairs = zip(self._facts[above], self._facts[below], strict=True)
        return median(float(a[key]) / float(b[key]) for a, b in pairs)

    def middle(self, side: str, key: str) -> float:
        """Return the median of one side's figure."""
        return median(float(facts[key]) for facts in self._facts[side])


def bars(work: Path, scale: Scale) -> Iterator[Figure]:
    """Compare with the bare engine on bars with many orders, and verify what was run."""
    home, half = work / "bars", work / "half"
    rows = scale.bars
    run_task("make", home, what="bars", rows=rows)
    run_task("make", half, what="bars", rows=rows // 2)
    replay_half = _fresh(half, "bars")
    rounds = Rounds(
        {
            "bare": lambda: run_task("engine", home, what="bars", prints=True),
            "ours": _fresh(home, "bars"),
            "strict": lambda: run_task("engine", home, what="bars", prints=False),
            "half": replay_half,
            # The latest run of the smaller journal, so that no round waits for the other's.
            "verify": lambda: run_task("verify", half),
        },
        scale.rounds,
    )
    orders = rounds.middle("ours", "orders")
    _same("orders", orders, rounds.middle("bare", "orders"))
    share = rounds.ratio("bare", "ours")
    note = f"{rows:,} bars, {orders:,.0f} orders, {rows / rounds.middle('ours', 'seconds'):,.0f}/s"
    yield Figure("bars against the bare engine", 100 * share, "%", 55, at_least=True, note=note)
    share = rounds.ratio("bare", "ours", "cpu_seconds")
    yield Figure("  the same, by processor time", 100 * share, "%")
    note = "the bare venue gets bars only, no opening prints"
    yield Figure("  strict", 100 * rounds.ratio("strict", "ours"), "%", note=note)
    growth = rounds.ratio("ours", "half")
    yield Figure("time for twice the bars", growth, "x", 2.2, note=f"{rows // 2:,} and {rows:,}")
    yield Figure("  the same, by processor time", rounds.ratio("ours", "half", "cpu_seconds"), "x")
    events, seconds = rounds.middle("verify", "events"), rounds.middle("verify", "seconds")
    cpu = rounds.middle("verify", "cpu_seconds")
    note = f"hash chain beside it: {rounds.middle('verify', 'chain_seconds'):.2f} s"
    yield Figure("verify", events / seconds, "events/s", 250_000, at_least=True, note=note)
    yield Figure("  the same, by processor time", events / cpu, "events/s")
    bare_rate = rows / rounds.middle("bare", "seconds")
    note = "events per second against bars per second"
    yield Figure("  against the bare engine", 100 * events / seconds / bare_rate, "%", note=note)
    yield from _exact(home, rows)


def _exact(home: Path, rows: int) -> Iterator[Figure]:
    facts = run_task("exact", home, rows=rows)
    note = f"{facts['trades']:,} trades, {facts['reference']:,} by integers"
    yield Figure("trades unlike integer arithmetic", facts["different"], "trades", 0, note=note)
    note = f"float running sums trade {facts['floats']:,} times"
    yield Figure("  of float running sums", facts["floats_different"], "trades", note=note)


def ticks(work: Path, scale: Scale) -> Iterator[Figure]:
    """Compare with the bare engine on trades and quotes with few orders."""
    home = work / "ticks"
    run_task("make", home, what="ticks", rows=scale.ticks)
    rounds = Rounds(
        {
            "bare": lambda: run_task("engine", home, what="ticks", prints=True),
            "ours": _fresh(home, "ticks"),
        },
        scale.rounds,
    )
    orders = rounds.middle("ours", "orders")
    rate = scale.ticks / rounds.middle("ours", "seconds")
    note = f"{scale.ticks:,} trades and quotes, {orders:,.0f} orders, {rate:,.0f}/s"
    share = rounds.ratio("bare", "ours")
    yield Figure("ticks against the bare engine", 100 * share, "%", 85, at_least=True, note=note)
    share = rounds.ratio("bare", "ours", "cpu_seconds")
    yield Figure("  the same, by processor time", 100 * share, "%")


def memory(work: Path, scale: Scale) -> Iterator[Figure]:
    """Take the peak memory of a long streamed replay and of half of it."""
    home, rows = work / "memory", scale.memory_rows
    run_task("make", home, what="trades", rows=rows)
    half = run_task("ours", home, what="trades", share=0.5)
    whole = run_task("ours", home, what="trades")
    if whole["orders"] > MEMORY_ORDERS_MAX:
        raise RuntimeError(f"{whole['orders']} orders are no measurement of streaming.")
    note = f"{rows:,} trades, {whole['orders']:,} orders, {rows / whole['seconds']:,.0f}/s"
    yield Figure("peak memory", whole["peak_mb"], "MB", MEMORY_LIMIT_MB, note=note)
    growth = whole["peak_mb"] / half["peak_mb"]
    yield Figure("memory for twice the ticks", growth, "x", 1.1, note=f"{half['peak_mb']:.0f} MB")


def demo(work: Path, scale: Scale) -> Iterator[Figure]:
    """Time the demo from nothing to its report, as a whole process."""
    seconds = []
    for number in range(min(scale.rounds, 3)):
        home = work / f"demo-{number}"
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", DEMO],
            cwd=PROJECT,
            env={**os.environ, "ONETAPE_HOME": str(home), "ONETAPE_JOURNAL": ""},
            check=True,
            capture_output=True,
        )
        seconds.append(time.perf_counter() - started)
        if not list(home.glob("reports/*.html")):
            raise RuntimeError("the demo wrote no report.")
    yield Figure("demo to its report", median(seconds), "s", 15, note="empty home, whole process")


def steps(work: Path, scale: Scale) -> Iterator[Figure]:
    """Take the cost of one journal entry and of one decision."""
    home = work / "steps"
    run_task("make", home, what="bars", rows=2_000)
    facts = run_task("steps", home, count=scale.steps)
    note = f"raw sqlite3 rows: {facts['raw_us']:.1f} us"
    yield Figure("journal entry", facts["entry_us"], "us", note=note)
    yield Figure("capital decision", facts["decision_us"], "us")


MEASURES: dict[str, Callable[[Path, Scale], Iterator[Figure]]] = {
    measure.__name__: measure for measure in (bars, ticks, memory, demo, steps)
}


def _fresh(home: Path, what: str) -> Callable[[], Facts]:
    """Return a replay into an empty journal, so that no round pays for those before it."""

    def replay() -> Facts:
        for old in home.glob("journal.sqlite*"):
            old.unlink()
        return run_task("ours", home, what=what)

    return replay


def _same(what: str, ours: float, theirs: float) -> None:
    if ours != theirs:
        raise RuntimeError(f"the two sides differ in {what} ({ours} and {theirs}): not comparable.")
