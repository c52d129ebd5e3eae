"""Windows hold the rows that were asked for, whatever streams and row groups there are."""

from itertools import pairwise

import numpy as np
import pytest

from bench import markets, settings
from bench.tasks import _universe
from catalog.store import Store
from catalog.tape import ROWS_PER_STREAM_MIN, read_windows
from strategies.ports import StreamKind

SYMBOLS, ROWS = 3, 9_000


@pytest.fixture
def universe(tmp_path):
    markets.make_trades(tmp_path, ROWS, SYMBOLS)
    settings.write_trades(tmp_path, SYMBOLS)
    return _universe(tmp_path, "trades")


def windows(universe, chunk_rows):
    return [
        (window.events, window.delivered_ns, window.sources)
        for window in read_windows(
            universe.streams, (), universe.start_ns, universe.end_ns, chunk_rows
        )
    ]


def test_no_window_is_larger_than_asked_and_their_size_changes_nothing(universe):
    small, whole = windows(universe, 1), windows(universe, ROWS * SYMBOLS)
    assert len(whole) == 1
    assert max(len(events) for events, _, _ in small) <= ROWS_PER_STREAM_MIN * SYMBOLS
    assert [str(e) for events, _, _ in small for e in events] == [str(e) for e in whole[0][0]]
    assert all(a[1][-1] < b[1][0] for a, b in pairwise(small))


def test_a_moment_with_more_rows_than_a_window_stays_whole(tmp_path):
    stamps = np.sort(np.concatenate((np.zeros(5_000, np.int64), np.arange(1, 3_000))))
    table = markets._trades(markets.walk(len(stamps), 1), stamps)
    instrument = markets._perpetual(markets.SYMBOLS[0])
    Store(tmp_path / "catalog").write(instrument, StreamKind.TRADES, [table], source="test")
    settings.write_trades(tmp_path, 1)
    found = windows(_universe(tmp_path, "trades"), 1)
    assert int((found[0][1] == markets.START_NS).sum()) == 5_000
    assert sum(len(events) for events, _, _ in found) == len(stamps)
