"""Which days of a stream's span hold no row: what a listing shows as gaps.

Rule: a day is a session of the venue, or a UTC day where it never closes. Only what may hide a gap
is read: a row group within one day cannot.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from catalog.columns import Ints
from catalog.inventory import open_parquet, read_group
from catalog.store import Store, StreamInfo
from strategies.markets.sessions import DAY_NS, SessionCalendar
from strategies.ports import StreamKind

type SessionsOf = Callable[[str, int, int], SessionCalendar | None]


def missing_days(store: Store, info: StreamInfo, sessions: SessionCalendar) -> int:
    """Count the sessions between a stream's first and last that hold no row of it."""
    # A bar is stamped at its close: one at midnight belongs to the day before.
    shift = 1 if info.kind is StreamKind.BARS else 0
    first, last = info.first_ns - shift, info.last_ns - shift
    stamps = _stamps(store, info) - shift
    starts = _starts(sessions, first, last)
    held = np.unique(np.searchsorted(starts, stamps, side="right"))
    before = 0 in held  # rows before the first session that opens after the first row
    return int(len(starts) + before - len(held))


def _starts(sessions: SessionCalendar, first: int, last: int) -> Ints:
    """Return when each session of a span opens."""
    begin = sessions.at(first)
    starts = [] if begin is None else [begin.open_ns]
    at = first
    while (session := sessions.next_after(at)) is not None and session.open_ns <= last:
        starts.append(session.open_ns)
        at = session.open_ns
    return np.array(starts, np.int64)


def _stamps(store: Store, info: StreamInfo) -> Ints:
    """Return times enough to know every day that holds a row."""
    parts = []
    for path in store.files(info.kind, info.topic):
        file = open_parquet(path)
        column = file.schema_arrow.get_field_index("ts_init")
        parts += [_of_group(path, file, group, column) for group in range(file.num_row_groups)]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)


def _of_group(path: Path, file: pq.ParquetFile, group: int, column: int) -> Ints:
    known = file.metadata.row_group(group).column(column).statistics
    if known is not None and known.has_min_max:
        ends = np.array([known.min_raw, known.max_raw], np.int64)
        if ends[1] - ends[0] < DAY_NS // 4:
            return ends
    table = read_group(path, file, group, ["ts_init"])
    stamps: Ints = table["ts_init"].cast(pa.int64()).to_numpy()
    return stamps
