"""What the tape says of a run's moments: the price a decision saw, how far a trade ran.

Rule: read in one pass per stream, in bounded memory; prices are the recorded decimals.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa

from catalog.prices import COLUMNS, TWO_SIDED, batch_times, float_column, stream_batches
from catalog.tape import TapeStream
from catalog.thinning import FloatArray, IntArray
from strategies.ports import StreamKind

FINEST_FIRST = (StreamKind.TRADES, StreamKind.BARS, StreamKind.QUOTES, StreamKind.DELTAS)


@dataclass(slots=True)
class _Seen:
    """The newest price found so far for each moment."""

    ts_ns: IntArray
    price: list[Decimal | None]


def prices_at(
    streams: Sequence[TapeStream], times_ns: IntArray, start_ns: int, end_ns: int
) -> list[Decimal | None]:
    """Return the last price delivered at or before each of the ascending ``times_ns``.

    The newest of all delivered streams counts, the later stream where times are equal; quotes by
    their middle. None before the first price. Of rows with one time the last counts.
    """
    seen = _Seen(np.full(len(times_ns), -1, np.int64), [None] * len(times_ns))
    for stream in streams:
        if stream.delivered and stream.kind in COLUMNS and len(times_ns):
            _look(stream, times_ns, start_ns, end_ns, seen)
    return seen.price


def _look(stream: TapeStream, times_ns: IntArray, start_ns: int, end_ns: int, seen: _Seen) -> None:
    last: Decimal | None = None
    last_ns, done = -1, 0
    for batch in stream_batches(stream, COLUMNS[stream.kind], start_ns, end_ns):
        stamps = batch_times(batch)
        until = int(np.searchsorted(times_ns, stamps[-1]))  # moments this batch can settle
        rows = np.searchsorted(stamps, times_ns[done:until], side="right") - 1
        for i, row in enumerate(rows, start=done):
            if row >= 0:
                last, last_ns = _price(batch, stream.kind, int(row)), int(stamps[row])
            _note(seen, i, last_ns, last)
        done = until
        last, last_ns = _price(batch, stream.kind, -1), int(stamps[-1])
    for i in range(done, len(times_ns)):
        _note(seen, i, last_ns, last)


def _note(seen: _Seen, i: int, ts_ns: int, price: Decimal | None) -> None:
    if price is not None and ts_ns >= seen.ts_ns[i]:
        seen.ts_ns[i], seen.price[i] = ts_ns, price


def _price(batch: pa.RecordBatch, kind: StreamKind, row: int) -> Decimal:
    values = [Decimal(batch.column(name)[row].as_py()) for name in COLUMNS[kind]]
    found = (values[0] + values[1]) / 2 if kind in TWO_SIDED else values[-1]
    return found.normalize()


def extremes(
    streams: Sequence[TapeStream], spans: Sequence[tuple[int, int]], start_ns: int, end_ns: int
) -> list[tuple[Decimal, Decimal] | None]:
    """Return the lowest and highest price in each (after, until] of ns; None where there is none.

    Read from the finest delivered stream: trades, else bars (a bar counts by the time of its
    close), else the middle of quotes.
    """
    found = [s for kind in FINEST_FIRST for s in streams if s.kind is kind and s.delivered]
    widest: list[tuple[Decimal, Decimal] | None] = [None] * len(spans)
    if found and spans:
        _widen(found[0], np.array(spans, np.int64), start_ns, end_ns, widest)
    return widest


def _widen(
    stream: TapeStream,
    spans: IntArray,
    start_ns: int,
    end_ns: int,
    widest: list[tuple[Decimal, Decimal] | None],
) -> None:
    """Take one stream in; rows are compared as floats within a batch and kept as recorded."""
    names = ("low", "high") if stream.kind is StreamKind.BARS else COLUMNS[stream.kind]
    for batch in stream_batches(stream, names, start_ns, end_ns):
        stamps, columns = batch_times(batch), [float_column(batch, name) for name in names]
        lows, highs = columns if stream.kind is StreamKind.BARS else [_middle(columns)] * 2
        first = np.searchsorted(stamps, spans[:, 0], side="right")
        last = np.searchsorted(stamps, spans[:, 1], side="right")
        for i in np.flatnonzero(last > first):
            at = int(first[i])
            low = _recorded(batch, names, at + int(np.argmin(lows[at : last[i]])), 0)
            high = _recorded(batch, names, at + int(np.argmax(highs[at : last[i]])), 1)
            before = widest[i] or (low, high)
            widest[i] = (min(low, before[0]), max(high, before[1]))


def _middle(columns: Sequence[FloatArray]) -> FloatArray:
    return np.asarray(np.mean(columns, axis=0), dtype=np.float64)


def _recorded(batch: pa.RecordBatch, names: Sequence[str], row: int, side: int) -> Decimal:
    """Return a row's low (0) or high (1), or its price or middle where it has but one."""
    values = [Decimal(batch.column(name)[row].as_py()) for name in names]
    if names == ("low", "high"):
        return values[side].normalize()
    return (sum(values, Decimal(0)) / len(values)).normalize()
