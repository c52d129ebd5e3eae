"""What the tape says of moments: the price a decision saw, and how far a trade ran."""

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import InstrumentId

from catalog.excursions import extremes, prices_at
from catalog.tape import TapeStream
from strategies.ports import StreamKind

NAME = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
END = 10**6


def stream(
    path: Path, kind: StreamKind, rows: Sequence[tuple[int, ...]], *, delivered: bool = True
) -> TapeStream:
    """Write a stream of (ts, price columns in cents) in groups of three rows."""
    names = {
        StreamKind.TRADES: ("price",),
        StreamKind.QUOTES: ("bid_price", "ask_price"),
        StreamKind.BARS: ("open", "high", "low", "close"),
    }[kind]
    raw = pa.decimal128(38, 16)
    columns = {
        name: pa.array([Decimal(row[i]) / 100 for row in rows], raw)
        for i, name in enumerate(names, start=1)
    }
    stamps = pa.array([row[0] for row in rows], pa.int64()).cast(pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table({**columns, "ts_init": stamps}), path, row_group_size=3)
    return TapeStream(
        kind=kind,
        topic=str(NAME),
        instrument_id=NAME,
        price_precision=2,
        size_precision=0,
        files=(path,),
        delivered=delivered,
    )


def at(streams: Sequence[TapeStream], *times: int) -> list[Decimal | None]:
    return prices_at(streams, np.array(times, np.int64), 0, END)


def test_a_decision_saw_the_last_price_of_its_moment(tmp_path: Path) -> None:
    trades = [(10, 100), (20, 110), (20, 120), (30, 130), (40, 140)]
    made = stream(tmp_path / "t", StreamKind.TRADES, trades)
    found = at([made], 5, 10, 15, 20, 29, 40, 99)
    cents = [None, 100, 100, 120, 120, 140, 140]
    assert found == [None if c is None else Decimal(c) / 100 for c in cents]


def test_the_newest_stream_counts_and_undelivered_ones_do_not(tmp_path: Path) -> None:
    bars = stream(tmp_path / "b", StreamKind.BARS, [(60, 1, 9, 1, 500)])
    quotes = stream(tmp_path / "q", StreamKind.QUOTES, [(50, 398, 402), (70, 598, 603)])
    hidden = stream(tmp_path / "t", StreamKind.TRADES, [(65, 1)], delivered=False)
    found = at([bars, quotes, hidden], 55, 60, 69, 70)
    assert found == [Decimal(4), Decimal(5), Decimal(5), Decimal("6.005")]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 999)), min_size=1, max_size=20),
    st.lists(st.integers(0, 70), min_size=1, max_size=8),
)
def test_prices_are_those_of_a_plain_search(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[int, int]], times: list[int]
) -> None:
    rows, times = sorted(rows, key=lambda row: row[0]), sorted(set(times))
    made = stream(tmp_path_factory.mktemp("p") / "t", StreamKind.TRADES, rows)
    plain = [next((Decimal(p) / 100 for ts, p in reversed(rows) if ts <= t), None) for t in times]
    assert at([made], *times) == plain
    spans = list(pairwise(times))
    inside = [[Decimal(p) / 100 for ts, p in rows if a < ts <= b] for a, b in spans]
    expected = [(min(prices), max(prices)) if prices else None for prices in inside]
    assert extremes([made], spans, 0, END) == expected


def test_bars_count_by_their_high_and_low(tmp_path: Path) -> None:
    rows = [(60, 100, 120, 90, 110), (120, 110, 150, 105, 140), (180, 140, 145, 80, 100)]
    bars = stream(tmp_path / "b", StreamKind.BARS, rows)
    found = extremes([bars], [(0, 60), (60, 120), (0, 180), (180, 240)], 0, END)
    pairs = [(90, 120), (105, 150), (80, 150), None]
    assert found == [p and (Decimal(p[0]) / 100, Decimal(p[1]) / 100) for p in pairs]


def test_the_finest_stream_is_taken(tmp_path: Path) -> None:
    bars = stream(tmp_path / "b", StreamKind.BARS, [(60, 1, 900, 1, 5)])
    trades = stream(tmp_path / "t", StreamKind.TRADES, [(50, 100), (55, 102)])
    assert extremes([bars, trades], [(0, 60)], 0, END) == [(Decimal(1), Decimal("1.02"))]
