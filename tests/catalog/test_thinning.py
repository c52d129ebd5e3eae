"""Thinning keeps what an eye would miss: first, last, lowest and highest."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.thinning import Candles, Condenser, thin_candles, thin_positions

values = st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=400).map(np.array)


@given(values, st.integers(8, 80))
def test_extremes_and_ends_survive(value: np.ndarray, points: int) -> None:
    spots = thin_positions(value, points)
    assert len(spots) <= max(points, 4)
    assert (np.diff(spots) > 0).all()
    assert (spots[0], spots[-1]) == (0, len(value) - 1)
    assert (value[spots].min(), value[spots].max()) == (value.min(), value.max())


def test_forced_points_stay_unless_they_are_too_many() -> None:
    value = np.zeros(1000)
    assert {123, 456} <= set(thin_positions(value, 40, np.array([123, 456])).tolist())
    assert len(thin_positions(value, 40, np.arange(1000))) <= 40


def test_candles_merge_into_fewer_with_the_same_range() -> None:
    n = 1000
    close = np.sin(np.arange(n) / 9)
    candles = Candles(np.arange(n), close - 0.1, close + 0.5, close - 0.7, close)
    few = thin_candles(candles, 64)
    assert len(few) == 64
    assert (few.high.max(), few.low.min()) == (candles.high.max(), candles.low.min())
    assert (few.open[0], few.close[-1], few.ts_ns[-1]) == (candles.open[0], close[-1], n - 1)
    assert thin_candles(candles, n) is candles


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 999), st.integers(1, 50)), min_size=1, max_size=300),
    st.integers(1, 400),
    st.lists(st.integers(0, 1000), max_size=5),
)
def test_a_condensed_stream_does_not_depend_on_its_batches(
    rows: list[tuple[int, int]], batch: int, edges: list[int]
) -> None:
    rows.sort(key=lambda row: row[0])
    ts_ns = np.array([row[0] for row in rows], np.int64)
    price = np.array([row[1] for row in rows], np.float64)
    at = np.array(sorted(edges), np.int64)
    whole = Condenser(0, 1000, 7, at)
    whole.add(ts_ns, price)
    parts = Condenser(0, 1000, 7, at)
    for i in range(0, len(rows), batch):
        parts.add(ts_ns[i : i + batch], price[i : i + batch])
    one, other = whole.series(), parts.series()
    assert (one.value.min(), one.value.max()) == (price.min(), price.max())
    assert len(one) <= 7 * 4 + len(edges)
    for edge in at:  # the last price known at an edge is the true one
        true = price[: np.searchsorted(ts_ns, edge, side="right")]
        for series in (one, other):
            kept = series.value[: np.searchsorted(series.ts_ns, edge, side="right")]
            assert list(kept[-1:]) == list(true[-1:])
    assert (other.value.min(), other.value.max()) == (price.min(), price.max())


def test_ten_million_rows_stay_bounded() -> None:
    condenser = Condenser(0, 10_000_000, 2_000)
    step = 250_000
    for start in range(0, 10_000_000, step):
        ts_ns = np.arange(start, start + step, dtype=np.int64)
        condenser.add(ts_ns, (ts_ns * 7919 % 10_007).astype(np.float64))
        assert condenser._held <= 16 * 2_000 + step
    assert len(condenser.series()) <= 8_000


def test_nothing_condenses_to_nothing() -> None:
    condenser = Condenser(0, 10, 4)
    condenser.add(np.empty(0, np.int64), np.empty(0))
    assert len(condenser.series()) == 0
