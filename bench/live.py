"""A whole generated day: a live node against the simulated KIS, every kind of fault in turn.

Rule: node and venue are processes of their own and agree in nothing but the protocol; what is
measured is where their books differ at the end.
"""

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.measures import FULL, PROJECT, Figure, Scale

TESTS = str(PROJECT / "tests" / "live")
SPEED = 60


def live(work: Path, scale: Scale) -> Iterator[Figure]:
    """Trade a session with every fault in turn and compare the books of both sides."""
    sys.path.append(TESTS)  # the tests' own way to run both sides
    from fault_turns import HARMLESS
    from live_day import differences

    started = time.perf_counter()
    ran, seen = _day(work, is_full=scale.rounds >= FULL.rounds)
    elapsed_s = time.perf_counter() - started
    found = differences(work, ran, seen) if "run_id" in ran.summary else [ran.said[-500:]]
    saw, (account,) = seen["saw"], seen["accounts"]
    struck = seen["faults_struck"]
    note = (
        f"{len(account['orders']):,} orders and changes, {len(account['fills']):,} fills, "
        f"{sum(struck.values())} faults of {len(struck)} kinds, {elapsed_s:,.0f} s"
    )
    yield Figure("live day: books that differ", len(found), "", 0, note="; ".join([note, *found]))
    yield Figure("  orders sent twice", len(saw["duplicate_orders"]), "", 0)
    violations = {name: n for name, n in saw["violations"].items() if name not in HARMLESS}
    note = f"{saw['violations']}"
    yield Figure("  violations the venue saw", sum(violations.values()), "", 0, note=note)
    yield Figure("  most requests in a second", saw["most_requests_in_a_second"], "", 18)


def _day(work: Path, *, is_full: bool) -> tuple[Any, Mapping[str, Any]]:
    from fault_turns import REPLIES, STREAMS, arm_in_turn, wait_for_orders
    from live_day import end_of, scenario, start_run, venue

    begin = "2026-03-09T08:58:00" if is_full else "2026-03-09T10:00:00"
    options = ("--generate", "10" if is_full else "4", "--speed", str(SPEED), "--from", begin)
    # what stops the whole market comes last
    faults = [*STREAMS, *REPLIES] if is_full else STREAMS[:2]
    until = () if is_full else ("--to", "2026-03-09T10:30:00+09:00")
    with venue(work, *options) as at:
        run = start_run(work, at, scenario(work, step=40 if is_full else 1), *until)
        try:
            wait_for_orders(at, run, 5)
            arm_in_turn(at, run, faults)
        finally:
            ran = end_of(run, timeout_s=900)
        return ran, at.seen()
