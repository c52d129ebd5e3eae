"""Pulled bars beside what is held: never written over, and whole however they came."""

import tempfile
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.ingest import pulled
from catalog.ingest.candles import DAY_NS, MINUTE_NS
from catalog.ingest.pulled import PulledBar, held_spans
from catalog.merge import outside
from catalog.read import stream_tables
from catalog.store import Store
from scenarios.calendars import calendar_for
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.ports import StreamKind

OPEN_NS = 1_773_014_400 * 10**9
"""Monday, 2026-03-09, 09:00 in Seoul."""
SHARE = krx.equity("990001")
MINUTES, DAYS = "990001.KRX-1-MINUTE-LAST-EXTERNAL", "990001.KRX-1-DAY-LAST-EXTERNAL"
SPANS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted), max_size=4)


def bar(number, step_ns=MINUTE_NS):
    return PulledBar(OPEN_NS + number * step_ns, 100, 110, 90, 100 + number, 5 + number)


def rows(store, kind, topic):
    tables = list(stream_tables(store, kind, topic))
    return pa.concat_tables(tables).to_pylist() if tables else []


@settings(deadline=None)
@given(span=st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted), known=SPANS)
def test_what_lies_outside_is_what_no_span_covers(span, known):
    parts = outside(tuple(span), [tuple(each) for each in known])
    left = {number for first, last in parts for number in range(first, last + 1)}
    covered = {number for first, last in known for number in range(first, last + 1)}
    assert left == set(range(span[0], span[1] + 1)) - covered
    assert all(first <= last for first, last in parts)
    assert all(before[1] < after[0] for before, after in pairwise(parts))


@settings(deadline=None, max_examples=20)
@given(traded=st.sets(st.integers(0, 30), min_size=1), pulls=SPANS)
def test_minutes_pulled_in_any_parts_are_the_whole_in_the_end(traded, pulls):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for first, last in [*pulls, (0, 40)]:
            asked = outside(
                (OPEN_NS + first * MINUTE_NS, OPEN_NS + last * MINUTE_NS),
                held_spans(store, StreamKind.BARS, MINUTES),
            )
            found = [
                each
                for each in map(bar, sorted(traded))
                if any(begin <= each.ts_ns <= end for begin, end in asked)
            ]
            with store.importing() as batch:
                pulled.write_minutes(store, batch, SHARE, found, "KIS")
        closes = [int(row["close"]) for row in rows(store, StreamKind.BARS, MINUTES)]
    assert closes == [100 + number for number in sorted(traded)]


def test_days_get_a_print_of_the_volume_before_and_nothing_twice(tmp_path):
    store = Store(tmp_path)
    days = [bar(number, DAY_NS) for number in range(5)]
    for part, before in ((days[3:], 7), (days, 3)):
        with store.importing() as batch:
            pulled.write_days(store, batch, SHARE, part, calendar_for, "KIS", volume_before=before)
    prints = rows(store, StreamKind.TRADES, "990001.KRX")
    assert [int(row["size"]) for row in prints] == [3, 5, 6, 7, 8]
    assert [int(row["close"]) for row in rows(store, StreamKind.BARS, DAYS)] == [
        100, 101, 102, 103, 104
    ]  # fmt: skip
    held = pulled.held_days(store, SHARE, (OPEN_NS, OPEN_NS + 2 * DAY_NS))
    assert [each.close for each in held.values()] == [100, 101]


def test_other_prices_than_the_held_ones_are_refused(tmp_path):
    store = Store(tmp_path)
    days = [bar(number, DAY_NS) for number in range(2)]
    with store.importing() as batch:
        pulled.write_days(store, batch, SHARE, days, calendar_for, "KIS")
    held = pulled.held_days(store, SHARE, (OPEN_NS, OPEN_NS + 9 * DAY_NS))
    pulled.refuse_other_prices(days, held, "990001.KRX")
    halved = [PulledBar(day.ts_ns, 50, 55, 45, day.close // 2, day.volume) for day in days]
    with pytest.raises(BadInput, match="2026-03-09 closes at 100 won, the venue now says 50"):
        pulled.refuse_other_prices(halved, held, "990001.KRX")


def test_no_bars_write_nothing(tmp_path):
    store = Store(tmp_path)
    with store.importing() as batch:
        pulled.write_minutes(store, batch, SHARE, [], "KIS")
        pulled.write_days(store, batch, SHARE, [], calendar_for, "KIS")
    assert store.streams() == []
