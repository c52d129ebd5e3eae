"""KIS on the wire: processor time to decode a frame, and a million damaged ones."""

from collections.abc import Iterator
from pathlib import Path

from bench.measures import FULL, Facts, Figure, Scale, run_task


def kis(work: Path, scale: Scale) -> Iterator[Figure]:
    """Measure decoding of trade and book frames, and what mutated frames do to it."""
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


def _task(name: str, home: Path, **arguments: object) -> Facts:
    return run_task(name, home, module="bench.kis_tasks", **arguments)
