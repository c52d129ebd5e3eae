"""A live node and the simulated KIS trade against each other, and both write down the same."""

import signal

import pytest
from fault_turns import (
    HARMLESS,
    HURRIED,
    QUICK,
    REPLIES,
    STREAMS,
    arm_in_turn,
    wait_for_orders,
)
from live_day import differences, end_of, scenario, start_run, venue

from scenarios.venues.kis.faults import FaultKind


def test_every_kind_of_fault_is_switched_on() -> None:
    assert {fault["kind"] for fault in REPLIES + STREAMS} == set(FaultKind)


@pytest.mark.parametrize("faults", [REPLIES, STREAMS], ids=["replies", "streams"])
def test_after_every_fault_the_nodes_books_are_the_venues(faults, tmp_path) -> None:
    limits = [option for limit in HURRIED for option in ("--limit", limit)]
    where = ("--generate", "6", "--speed", "8", "--from", "2026-03-09T10:00:00")
    with venue(tmp_path, *where, *limits) as at:
        run = start_run(tmp_path, at, scenario(tmp_path, limits=QUICK))
        try:
            wait_for_orders(at, run, 5)
            arm_in_turn(at, run, faults)
        finally:
            run.send_signal(signal.SIGINT)
            ran = end_of(run)
        seen = at.seen()
    assert ran.code == 0, ran.said
    assert differences(tmp_path, ran, seen) == []
    assert ran.summary["reconciled"]
    assert set(seen["saw"]["violations"]) <= HARMLESS, seen["saw"]["violation_log"]
