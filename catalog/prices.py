"""An instrument's prices from the tape, condensed while they are read: for drawing and valuation.

Rule: memory does not grow with the number of rows. Prices become float for drawing; the last one
stays the exact Decimal it was recorded as.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa

from catalog.book_prices import book_tops
from catalog.places import open_file
from catalog.tape import TapeStream
from catalog.thinning import (
    CandleCondenser,
    Candles,
    Condenser,
    FloatArray,
    IntArray,
    PriceMarks,
    Series,
)
from strategies.errors import BadInput
from strategies.markets.facts import RAW_ONE, TickScheme
from strategies.ports import StreamKind

BUCKETS = 2_500
BATCH_ROWS = 131_072
COLUMNS = {
    StreamKind.BARS: ("open", "high", "low", "close"),
    StreamKind.TRADES: ("price",),
    StreamKind.QUOTES: ("bid_price", "ask_price"),
    StreamKind.DELTAS: ("bid_price", "ask_price"),
}
TWO_SIDED = frozenset({StreamKind.QUOTES, StreamKind.DELTAS})
"""Kinds whose price is the middle of bid and ask."""


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """One instrument's prices: ``drawn`` as candles or a line, ``marks`` for its value."""

    drawn: Candles | Series
    marks: PriceMarks


@dataclass(frozen=True, slots=True)
class _Last:
    """The newest price seen in a stream, with its time."""

    ts_ns: int
    price: Decimal


def read_prices(
    streams: Sequence[TapeStream],
    ticks: TickScheme,
    start_ns: int,
    end_ns: int,
    edges_ns: IntArray,
) -> Prices:
    """Read one instrument's prices in [start_ns, end_ns) from its streams in scenario order.

    Bars are drawn where there are some, else trades, else the middle of quotes or of the book.
    ``edges_ns`` are times at which the price must be exact. Raises BadInput where a file cannot
    be read.
    """
    drawn = next(
        (s for kind in (StreamKind.BARS, StreamKind.TRADES, StreamKind.QUOTES, StreamKind.DELTAS)
         for s in streams if s.kind is kind),
        None,
    )  # fmt: skip
    if drawn is None:
        nothing = Series(np.empty(0, np.int64), np.empty(0))
        return Prices(nothing, PriceMarks(nothing.ts_ns, nothing.value))
    marks = Condenser(start_ns, end_ns, BUCKETS, edges_ns)
    candles = CandleCondenser(start_ns, end_ns, BUCKETS)
    for batch in stream_batches(drawn, COLUMNS[drawn.kind], start_ns, end_ns):
        columns = [float_column(batch, name) for name in COLUMNS[drawn.kind]]
        ts_ns = batch_times(batch)
        if drawn.kind is StreamKind.BARS:
            candles.add(Candles(ts_ns, *columns))
        quoted = drawn.kind in TWO_SIDED
        marks.add(ts_ns, (columns[0] + columns[1]) / 2 if quoted else columns[-1])
    series = marks.series()
    heard = [s for s in streams if s.delivered and s.kind in COLUMNS]
    last = _newest([_last_of(s, ticks, start_ns, end_ns) for s in heard])
    shown = candles.candles() if drawn.kind is StreamKind.BARS else series
    return Prices(shown, PriceMarks(series.ts_ns, series.value, last))


def _newest(found: Sequence[_Last | None]) -> Decimal | None:
    """Return the price that came last; of equal times, that of the later stream."""
    newest: _Last | None = None
    for last in found:
        if last is not None and (newest is None or last.ts_ns >= newest.ts_ns):
            newest = last
    return None if newest is None else newest.price


def _last_of(stream: TapeStream, ticks: TickScheme, start_ns: int, end_ns: int) -> _Last | None:
    """Return the last price of a stream as the host saw it: middles on the grid."""
    last = _last_batch(stream, start_ns, end_ns)
    if last is None:
        return None
    row = [Decimal(last.column(name)[-1].as_py()) for name in COLUMNS[stream.kind]]
    price = row[-1]
    if stream.kind in TWO_SIDED:
        middle = sum(int(value * RAW_ONE) for value in row) // 2
        price = Decimal(ticks.floor_raw(middle)) / RAW_ONE
    return _Last(int(batch_times(last)[-1]), price.normalize())


def _last_batch(stream: TapeStream, start_ns: int, end_ns: int) -> pa.RecordBatch | None:
    names = COLUMNS[stream.kind]
    if stream.kind is StreamKind.DELTAS:  # a book is known from its beginning on only
        return next(iter(deque(stream_batches(stream, names, start_ns, end_ns), maxlen=1)), None)
    for path in reversed(stream.files):
        for batch in batches_of(path, names, start_ns, end_ns, from_end=True):
            return batch
    return None


def stream_batches(
    stream: TapeStream, columns: Sequence[str], start_ns: int, end_ns: int
) -> Iterator[pa.RecordBatch]:
    """Yield a stream's rows of [start_ns, end_ns); a book's are its best bids and asks."""
    if stream.kind is StreamKind.DELTAS:
        yield from book_tops(stream, start_ns, end_ns)
        return
    for path in stream.files:
        yield from batches_of(path, columns, start_ns, end_ns)


def batches_of(
    path: Path, columns: Sequence[str], start_ns: int, end_ns: int, *, from_end: bool = False
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of [start_ns, end_ns) of one file; newest row group first if asked."""
    try:
        with open_file(path) as parquet:
            groups = range(parquet.num_row_groups)
            for group in reversed(groups) if from_end else groups:
                batches = parquet.iter_batches(
                    BATCH_ROWS, row_groups=[group], columns=[*columns, "ts_init"]
                )
                inside = (_within(batch, start_ns, end_ns) for batch in batches)
                found = [batch for batch in inside if batch.num_rows] if from_end else inside
                for batch in reversed(found) if isinstance(found, list) else found:
                    if batch.num_rows:
                        yield batch
    except (pa.ArrowException, OSError, KeyError) as error:
        what = str(error).splitlines()[0]
        raise BadInput(
            f"{path} cannot be read as Parquet ({what}); import its data again."
        ) from error


def _within(batch: pa.RecordBatch, start_ns: int, end_ns: int) -> pa.RecordBatch:
    first, last = np.searchsorted(batch_times(batch), [start_ns, end_ns])
    return batch.slice(int(first), int(last - first))


def batch_times(batch: pa.RecordBatch) -> IntArray:
    """Return when the rows of a batch were delivered, ns UTC."""
    times: IntArray = batch.column("ts_init").cast(pa.int64()).to_numpy()
    return times


def float_column(batch: pa.RecordBatch, name: str) -> FloatArray:
    """Return a column of a batch as float64, for drawing."""
    values: FloatArray = batch.column(name).cast(pa.float64()).to_numpy()
    return values
