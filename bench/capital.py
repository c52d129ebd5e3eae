"""What one decision of the capital manager costs: 20 strategies, 200 symbols, every limit set."""

from collections.abc import Iterator
from pathlib import Path

from bench.measures import Figure, Scale, run_task


def capital(work: Path, scale: Scale) -> Iterator[Figure]:
    """Measure a decision at the median, and at the 99th percentile."""
    facts = run_task("decide", work, module="bench.capital_tasks", steps=scale.steps)
    note = f"{facts['grants']:,} grants, {facts['refusals']:,} refusals"
    yield Figure("capital: one decision", facts["median_us"], "us", 30, note=note)
    yield Figure("  at the 99th percentile", facts["p99_us"], "us")
    yield Figure("  one fill", facts["fill_us"], "us", note="median, brakes looked at")
