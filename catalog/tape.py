"""Reads market data streams from Parquet as one tape: engine values in one fixed order.

Rule: order is ts_init, then the streams' order in the scenario, then the row's place in its file.
Windows are cut by time, never inside a timestamp, so their size changes nothing. Memory is bounded
by the window, not by the files.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model import AggressorSide, Bar, BarType, InstrumentId, QuoteTick, TradeTick
from nautilus_trader.persistence import (
    BarDataWrangler,
    QuoteTickDataWrangler,
    TradeTickDataWrangler,
)

from catalog.places import open_file
from strategies.errors import BadInput
from strategies.markets.sessions import DAY_NS, SessionCalendar
from strategies.ports import StreamKind

type Int64 = npt.NDArray[np.int64]
type Fingerprints = npt.NDArray[np.uint16]
type TapeEvent = TradeTick | QuoteTick | Bar

ROWS_PER_STREAM_MIN = 1_024
UNDELIVERED = 0xFFFF
"""Stands for the place of a stream that only the simulated venue gets."""
ORDER_STREAM = "order"
"""Name of the tape blocks that keep the order in which rows of all streams were delivered."""
TS = pa.timestamp("ns", "UTC")
COLUMNS = {
    StreamKind.TRADES: ("price", "size", "aggressor_side", "trade_id", "ts_event", "ts_init"),
    StreamKind.QUOTES: ("bid_price", "ask_price", "bid_size", "ask_size", "ts_event", "ts_init"),
    StreamKind.BARS: ("open", "high", "low", "close", "volume", "ts_event", "ts_init"),
}
"""The engine's columns per kind; a tape's own ``seq`` and ``provenance`` are not needed here."""


@dataclass(frozen=True, slots=True)
class TapeStream:
    """One recorded stream: ``topic`` is an instrument id, or a bar type for bars.

    ``delivered`` streams reach the host; the others only move the simulated venue.
    """

    kind: StreamKind
    topic: str
    instrument_id: InstrumentId
    price_precision: int
    size_precision: int
    files: tuple[Path, ...]
    delivered: bool = True


@dataclass(frozen=True, slots=True)
class OpeningPrints:
    """Derives from a bar stream the print each bar opened with, for the simulated venue only.

    Without it a market order decided on one bar's close would fill at that very close. The print
    is stamped one interval before the close; bars of a day or more, at their session's open.
    """

    bars: TapeStream
    sessions: SessionCalendar


@dataclass(frozen=True, slots=True)
class RowBlock:
    """A run of consecutive rows of one stream, as 16 bits a row: enough to find a changed row."""

    topic: str
    kind: StreamKind
    first_row: int
    first_ns: int
    last_ns: int
    fingerprints: Fingerprints


@dataclass(slots=True)
class Window:
    """All rows up to one moment, merged.

    ``delivered_ns`` is the ts_init of the delivered rows, ``sources`` their streams' places in the
    list the tape was read with. ``prints_ns`` are the times of derived opening prints.
    """

    events: list[TapeEvent]
    delivered_ns: Int64
    sources: npt.NDArray[np.uint16]
    blocks: list[RowBlock]
    prints_ns: dict[InstrumentId, frozenset[int]]


def stream_name(kind: StreamKind, topic: str) -> str:
    """Return the name a stream has in manifests and tape blocks."""
    return f"{kind}:{topic}"


def pack_sources(sources: npt.NDArray[np.uint16]) -> bytes:
    """Return a window's sources as runs: pairs of source and length, or one by one if shorter."""
    starts = np.flatnonzero(np.diff(sources, prepend=sources[:1] + 1))
    lengths = np.diff(starts, append=len(sources))
    if len(starts) * 3 < len(sources):
        runs = np.stack([sources[starts].astype(np.uint32), lengths.astype(np.uint32)])
        return b"R" + runs.tobytes()
    small = sources.astype(np.uint8)
    narrow = bool((small == sources).all())
    return b"B" + small.tobytes() if narrow else b"W" + sources.tobytes()


def unpack_sources(data: bytes) -> npt.NDArray[np.uint16]:
    """Return the sources that ``pack_sources`` packed."""
    kind, body = data[:1], data[1:]
    if kind == b"R":
        values, lengths = np.frombuffer(body, np.uint32).reshape(2, -1)
        return np.repeat(values, lengths).astype(np.uint16)
    return np.frombuffer(body, np.uint8 if kind == b"B" else np.uint16).astype(np.uint16)


def read_windows(
    streams: Sequence[TapeStream],
    prints: Sequence[OpeningPrints],
    start_ns: int | None,
    end_ns: int | None,
    chunk_rows: int,
) -> Iterator[Window]:
    """Yield the tape of [start_ns, end_ns) in windows of about ``chunk_rows`` rows.

    Raises BadInput where a file cannot be read.
    """
    cursors = [
        _Cursor(stream, _rows_of(stream), start_ns, end_ns, place if stream.delivered else None)
        for place, stream in enumerate(streams)
    ]
    cursors += [
        _Cursor(p.bars, _prints_of(p), start_ns, end_ns, None, is_print=True) for p in prints
    ]
    batch = max(ROWS_PER_STREAM_MIN, chunk_rows // max(1, len(cursors)))
    while True:
        for cursor in cursors:
            cursor.fill(batch)
        live = [cursor for cursor in cursors if cursor.rows]
        if not live:
            return
        first_ns = min(cursor.first_ns for cursor in live)
        horizon = _horizon(live, batch)
        if horizon is not None and horizon <= first_ns:
            horizon = _horizon(live, None)  # one moment alone has more rows than a window
        if horizon is not None and horizon <= first_ns:
            for cursor in live:
                if not cursor.exhausted and cursor.last_ns == horizon:
                    cursor.fill(cursor.rows * 2)
            continue
        yield _merge(live, horizon)


def _horizon(cursors: Sequence["_Cursor"], rows: int | None) -> int | None:
    """Return up to which moment (exclusive) all rows are there and no stream has over ``rows``.

    None where that is all there is. The last timestamp of an unfinished buffer may go on in the
    next one: it is left for then.
    """
    ends = [cursor.end_ns(rows) for cursor in cursors]
    return min((end for end in ends if end is not None), default=None)


def _merge(cursors: Sequence["_Cursor"], horizon: int | None) -> Window:
    events: list[TapeEvent] = []
    stamps: list[Int64] = []
    sources: list[npt.NDArray[np.uint16]] = []
    blocks: list[RowBlock] = []
    prints_ns: dict[InstrumentId, frozenset[int]] = {}
    for cursor in cursors:
        taken = cursor.take(horizon)
        if taken is None:
            continue
        values, ts_ns, block = taken
        events += values
        stamps.append(ts_ns)
        sources.append(np.full(len(ts_ns), cursor.place, np.uint16))
        if block is not None:
            blocks.append(block)
        else:
            prints_ns[cursor.stream.instrument_id] = frozenset(ts_ns.tolist())
    ts_all = np.concatenate(stamps)
    source = np.concatenate(sources)
    if len(stamps) > 1:
        order = np.argsort(ts_all, kind="stable")
        events = [events[i] for i in order.tolist()]
        ts_all, source = ts_all[order], source[order]
    delivered = source != UNDELIVERED
    return Window(events, ts_all[delivered], source[delivered], blocks, prints_ns)


class _Cursor:
    """Walks one stream's rows in order, a buffer of whole row groups at a time."""

    def __init__(
        self,
        stream: TapeStream,
        tables: Callable[[], Iterator[pa.Table]],
        start_ns: int | None,
        end_ns: int | None,
        place: int | None,
        *,
        is_print: bool = False,
    ) -> None:
        self.stream = stream
        self.place = UNDELIVERED if place is None else place
        self.exhausted = False
        self._is_print = is_print
        self._tables = _within(tables(), start_ns, end_ns)
        self._kind = StreamKind.TRADES if is_print else stream.kind
        self._wrangle = _wrangler(stream, self._kind)
        self._table: pa.Table | None = None
        self._ts: Int64 = np.empty(0, np.int64)
        self._row = 0

    @property
    def rows(self) -> int:
        return len(self._ts)

    @property
    def first_ns(self) -> int:
        return int(self._ts[0])

    @property
    def last_ns(self) -> int:
        return int(self._ts[-1])

    def end_ns(self, rows: int | None) -> int | None:
        """Return the moment that the next ``rows`` rows (None: the buffer) surely reach up to."""
        if rows is not None and rows < self.rows:
            return int(self._ts[rows])
        return None if self.exhausted else self.last_ns

    def fill(self, rows: int) -> None:
        """Buffer at least ``rows`` rows, or all that is left."""
        pieces = [] if self._table is None else [self._table]
        have = self.rows
        while have < rows and not self.exhausted:
            table = next(self._tables, None)
            if table is None:
                self.exhausted = True
            elif table.num_rows:
                pieces.append(table)
                have += table.num_rows
        if have != self.rows:
            self._table = pa.concat_tables(pieces)
            self._ts = _int64(self._table.column("ts_init"))

    def take(self, horizon: int | None) -> tuple[list[TapeEvent], Int64, RowBlock | None] | None:
        """Remove and return the rows before ``horizon``; all of them where it is None."""
        count = self.rows
        if horizon is not None:
            count = int(np.searchsorted(self._ts, horizon, side="left"))
        if count == 0 or self._table is None:
            return None
        table, ts_ns = self._table.slice(0, count), self._ts[:count]
        self._table, self._ts = self._table.slice(count), self._ts[count:]
        block = None
        if not self._is_print:
            block = RowBlock(
                self.stream.topic,
                self.stream.kind,
                self._row,
                int(ts_ns[0]),
                int(ts_ns[-1]),
                fingerprints(table),
            )
            self._row += count
        try:
            return self._wrangle(_ipc(table)), ts_ns, block
        except (ValueError, OverflowError) as error:
            what = str(error).splitlines()[0]
            raise BadInput(
                f"{self.stream.files[0].parent} holds rows that are no {self._kind} between "
                f"ts_init {ts_ns[0]} and {ts_ns[-1]} ({what}); import their data again."
            ) from error


def _rows_of(stream: TapeStream) -> Callable[[], Iterator[pa.Table]]:
    def tables() -> Iterator[pa.Table]:
        for path in stream.files:
            yield from _row_groups(path, COLUMNS[stream.kind])

    return tables


def _prints_of(prints: OpeningPrints) -> Callable[[], Iterator[pa.Table]]:
    interval_ns = interval_ns_of(BarType.from_str(prints.bars.topic))

    def tables() -> Iterator[pa.Table]:
        for path in prints.bars.files:
            for table in _row_groups(path, ("open", "volume", "ts_init")):
                yield _opening_trades(table, interval_ns, prints.sessions)

    return tables


def _opening_trades(table: pa.Table, interval_ns: int, sessions: SessionCalendar) -> pa.Table:
    """Turn bars into the trades they opened with; a bar without volume had none."""
    traded = table.filter(pc.greater(table.column("volume"), pa.scalar(0, pa.decimal128(38, 16))))
    closes = _int64(traded.column("ts_init"))
    opens = closes - interval_ns
    if interval_ns >= DAY_NS:
        opens = np.array([_session_open(int(close), interval_ns, sessions) for close in closes])
    stamps = pa.array(opens.astype(np.int64), pa.int64()).cast(TS)
    ids = pa.array([f"open-{close}" for close in closes.tolist()], pa.string())
    side = pa.DictionaryArray.from_arrays(
        pa.array(np.zeros(len(closes), np.int8)), pa.array([AggressorSide.NO_AGGRESSOR.name])
    )
    columns = [traded.column("open"), traded.column("volume"), side, ids, stamps, stamps]
    names = COLUMNS[StreamKind.TRADES]
    return pa.table(columns, names=names).replace_schema_metadata(table.schema.metadata)


def _session_open(close_ns: int, interval_ns: int, sessions: SessionCalendar) -> int:
    session = sessions.at(close_ns)
    return session.open_ns if session else close_ns - interval_ns


def interval_ns_of(bar_type: BarType) -> int:
    """Return the length of a time bar in ns; raises BadInput for bars not made by time."""
    seconds = {"SECOND": 1, "MINUTE": 60, "HOUR": 3_600, "DAY": 86_400, "WEEK": 604_800}
    unit = seconds.get(bar_type.spec.aggregation.name)
    if unit is None:
        raise BadInput(f"{bar_type} is not a time bar; use seconds, minutes, hours, days or weeks.")
    return int(bar_type.spec.step) * unit * 1_000_000_000


def _row_groups(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    groups, i = 1, 0
    while i < groups:
        try:
            # Opened anew for each group: thousands of streams share one process's open files.
            with open_file(path) as parquet:
                groups = parquet.num_row_groups
                table = parquet.read_row_group(i, columns=list(columns)) if groups else None
        except (pa.ArrowException, OSError, KeyError) as error:
            what = str(error).splitlines()[0]
            raise BadInput(
                f"{path} cannot be read as Parquet ({what}); import its data again."
            ) from error
        if table is not None:
            missing = [name for name in columns if name not in table.column_names]
            if missing:
                raise BadInput(
                    f"{path} has no column {missing[0]}; remove it and import its data again."
                )
            yield table
        i += 1


def _within(
    tables: Iterator[pa.Table], start_ns: int | None, end_ns: int | None
) -> Iterator[pa.Table]:
    """Cut the rows to [start_ns, end_ns); rows ascend in ts_init, which the store guarantees."""
    for table in tables:
        ts_ns = _int64(table.column("ts_init"))
        first = 0 if start_ns is None else int(np.searchsorted(ts_ns, start_ns, side="left"))
        last = len(ts_ns) if end_ns is None else int(np.searchsorted(ts_ns, end_ns, side="left"))
        if first < last:
            yield table.slice(first, last - first)
        if last < len(ts_ns):
            return


def fingerprints(table: pa.Table) -> Fingerprints:
    """Return 16 bits per row over all numbers and times of the row.

    A multiply-xorshift mix of the columns in order; text columns (trade ids) are left out, a
    slice's SHA-256 covers them.
    """
    mixed = np.zeros(table.num_rows, np.uint64)
    factor, shift = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)
    for column in table.columns:
        for values in _words(column):
            mixed = (mixed ^ values) * factor
            mixed ^= mixed >> shift
    folded: Fingerprints = (mixed >> np.uint64(48)).astype(np.uint16)
    return folded


def _words(column: pa.ChunkedArray) -> Iterator[npt.NDArray[np.uint64]]:
    """Yield a column's fixed-width values as 64-bit words; nothing for text."""
    if pa.types.is_timestamp(column.type):
        yield _int64(column).view(np.uint64)
    elif pa.types.is_decimal128(column.type):
        parts = []
        for chunk in column.chunks:
            words = np.frombuffer(chunk.buffers()[1], np.uint64)
            parts.append(words[2 * chunk.offset : 2 * (chunk.offset + len(chunk))].reshape(-1, 2))
        both = np.concatenate(parts) if parts else np.empty((0, 2), np.uint64)
        yield both[:, 0]
        yield both[:, 1]


def _int64(column: pa.ChunkedArray) -> Int64:
    values: Int64 = column.cast(pa.int64()).to_numpy()
    return values


def _ipc(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _wrangler(stream: TapeStream, kind: StreamKind) -> Callable[[bytes], list[TapeEvent]]:
    """Return the engine's decoder from Arrow bytes to values."""
    precisions = (stream.price_precision, stream.size_precision)
    instrument = str(stream.instrument_id)
    match kind:
        case StreamKind.TRADES:
            return TradeTickDataWrangler(instrument, *precisions).process_record_batch_bytes  # type: ignore[return-value]  # list is invariant
        case StreamKind.QUOTES:
            return QuoteTickDataWrangler(instrument, *precisions).process_record_batch_bytes  # type: ignore[return-value]  # list is invariant
        case _:
            return BarDataWrangler(stream.topic, *precisions).process_record_batch_bytes  # type: ignore[return-value]  # list is invariant
