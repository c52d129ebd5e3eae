"""The catalog's figures: importing, generating, querying; and memory whatever a file's size.

Rule: each figure is the median of a few processes; the file of half the size is measured beside the
whole one.
"""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.measures import Facts, Figure, Scale, run_task

SYMBOLS, TRADES_PER_SYMBOL = 200, 5_000
MOST_ROUNDS = 3


def catalog(work: Path, scale: Scale) -> Iterator[Figure]:
    """Measure importing, generating and querying, and the memory they take."""
    whole, half = work / "catalog", work / "half"
    frames, rows = scale.ticks // 4, scale.ticks
    _task("make", whole, frames=frames, trades=rows)
    _task("make", half, frames=frames // 2, trades=rows // 2)
    yield from _imports(whole, half, "frames", 100_000, scale)
    yield from _imports(whole, half, "trades", 500_000, scale)
    yield from _generated(work, scale)
    queries = [_task("query", whole) for _ in range(_rounds(scale))]
    rate = median(facts["rows"] / facts["seconds"] for facts in queries)
    note = f"{queries[0]['rows']:,} trades as Arrow"
    yield Figure("query", rate, "rows/s", 3_000_000, at_least=True, note=note)


def _imports(whole: Path, half: Path, what: str, target: int, scale: Scale) -> Iterator[Figure]:
    """Measure the import of one file, and its memory against that of half the file."""
    counted = "frames" if what == "frames" else "rows"
    runs, halves = [], []
    for number in range(_rounds(scale)):
        runs.append(_task("load", whole, what=what, catalog=str(number)))
        halves.append(_task("load", half, what=what, catalog=str(number)))
    rate = median(facts[counted] / facts["seconds"] for facts in runs)
    name = "raw recording" if what == "frames" else "trade CSV"
    note = f"{runs[0][counted]:,} {counted}"
    yield Figure(f"import of a {name}", rate, f"{counted}/s", target, at_least=True, note=note)
    peak, less = (median(facts["peak_mb"] for facts in each) for each in (runs, halves))
    yield Figure("  memory for twice the file", peak / less, "x", 1.1, note=f"{peak:.0f} MB")


def _generated(work: Path, scale: Scale) -> Iterator[Figure]:
    symbols = SYMBOLS if scale.rounds > 1 else 4
    facts = _task("generate", work / "generated", symbols=symbols, trades=TRADES_PER_SYMBOL)
    rate = facts["events"] / facts["seconds"]
    note = f"{facts['events']:,} trades and quotes into Parquet, {facts['peak_mb']:.0f} MB"
    yield Figure("generate", rate, "events/s", 100_000, at_least=True, note=note)
    average = facts["trades"] / symbols
    note = f"{symbols} symbols, one day"
    yield Figure("  trades of a symbol", average, "trades", 5_000, at_least=True, note=note)


def _task(name: str, home: Path, **arguments: object) -> Facts:
    return run_task(name, home, module="bench.catalog_tasks", **arguments)


def _rounds(scale: Scale) -> int:
    return min(scale.rounds, MOST_ROUNDS)
