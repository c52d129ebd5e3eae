"""Every kind of fault, and how they are switched on one after the other while a node trades."""

import subprocess
import time
from collections.abc import Mapping, Sequence

from live_day import Venue

QUICK = """
silence_in_session_ns = 4_000_000_000
backoff_cap_ns = 4_000_000_000
in_use_wait_ns = 1_500_000_000
connects = 1_000
request_timeout_ns = 1_500_000_000
ack_timeout_ns = 1_000_000_000
rate_wait_ns = 100_000_000
ledger_wait_ns = 300_000_000
breaker_open_ns = 1_000_000_000
unknown_absent_ns = 2_000_000_000
token_spacing_ns = 2_000_000_000
account_spacing_ns = 300_000_000
"""
HURRIED = ("ping_every_s=3", "token_spacing_s=2", "stale_hold_s=3")
"""Waits of the node and of the venue, short enough for a test."""

CASH, CHANGE, LIST = "order-cash", "order-rvsecncl", "inquire-daily-ccld"
TRADE, BOOK, NOTICE = "H0STCNT0", "H0STASP0", "H0STCNI0"
REPLIES = [
    {"kind": "lost_reply", "match": CASH, "count": 2},
    {"kind": "lost_reply", "match": CHANGE},
    {"kind": "lost_request", "match": CASH, "count": 2},
    {"kind": "empty_answer", "match": LIST},
    {"kind": "late_reply", "match": CASH, "seconds": 3.0},
    {"kind": "late_reply", "match": CHANGE, "seconds": 3.0},
    {"kind": "garbage_reply", "match": CASH},
    {"kind": "garbage_reply", "match": LIST},
    {"kind": "http_500", "count": 4},
    {"kind": "unknown_outcome", "match": CASH, "count": 2},
    {"kind": "early_limit", "match": CASH, "count": 2},
    {"kind": "ledger_busy", "count": 2},
    {"kind": "refused_order", "count": 2},
    {"kind": "rejected_order", "count": 2},
    {"kind": "token_expiry"},
    {"kind": "vi", "match": "990001", "seconds": 10.0},
    {"kind": "halt", "match": "990002"},
    {"kind": "resume", "match": "990002"},
    {"kind": "circuit_breaker", "seconds": 20.0},
]
STREAMS = [
    {"kind": "lost_notice", "count": 3},
    {"kind": "late_notice", "seconds": 2.0, "count": 3},
    {"kind": "duplicate_notice", "count": 5},
    {"kind": "malformed_frame", "match": NOTICE},
    {"kind": "truncated_frame", "match": NOTICE},
    {"kind": "widened_frame", "match": NOTICE},
    {"kind": "narrowed_frame", "match": NOTICE},
    {"kind": "lost_frame", "match": TRADE, "count": 5},
    {"kind": "malformed_frame", "match": TRADE, "count": 3},
    {"kind": "truncated_frame", "match": TRADE, "count": 3},
    {"kind": "widened_frame", "match": TRADE, "count": 3},
    {"kind": "narrowed_frame", "match": TRADE, "count": 3},
    {"kind": "dropped_socket"},
    {"kind": "lost_ack", "and": {"kind": "dropped_socket"}},
    {"kind": "silent_socket", "seconds": 6.0},
    {"kind": "no_pingpong"},
]
"""``and`` is what makes the event come that a fault waits for."""
HARMLESS = {"OPSP8996", "OPSP0002"}
"""A socket that KIS still holds after it was cut refuses the next one for a while; an answer that
was lost is asked for again. Neither brings anything closer to being blocked."""
STRIKE_S = 35.0
"""Within this time the next event of a fault's kind comes (a PINGPONG: 30 s), or the test fails."""


def strikes(at: Venue, kind: str) -> int:
    return at.seen()["faults_struck"].get(kind, 0)


def arm_in_turn(
    at: Venue, run: subprocess.Popen[str], faults: Sequence[Mapping[str, object]]
) -> None:
    """Switch one fault on after the other, each when the one before has struck."""
    for one in faults:
        fault = {key: value for key, value in one.items() if key != "and"}
        cause = one.get("and")
        kind, before = fault["kind"], strikes(at, fault["kind"])
        at.arm(fault, *([cause] if cause else []))
        deadline = time.monotonic() + STRIKE_S
        while strikes(at, kind) < before + fault.get("count", 1):
            assert run.poll() is None, run.communicate()[1]
            assert time.monotonic() < deadline, f"{fault} did not strike: {at.seen()['saw']}"
            time.sleep(0.05)


def wait_for_orders(at: Venue, run: subprocess.Popen[str], count: int) -> None:
    deadline = time.monotonic() + 40
    while len(at.seen()["accounts"][0]["orders"]) < count:
        assert run.poll() is None, run.communicate()[1]
        assert time.monotonic() < deadline, at.seen()["saw"]
        time.sleep(0.1)
