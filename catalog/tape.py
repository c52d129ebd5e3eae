"""Reads market data streams from Parquet as one tape: engine values in one fixed order.

Rule: order is ts_init, then the streams' order in the scenario, then the row's place in its file.
Windows are cut by time, never inside a timestamp, so their size changes nothing. Memory is bounded
by the window, not by the files.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model import AggressorSide, BarType, InstrumentId, OrderBookDeltas

from catalog.tape_books import (
    BookQuotes,
    deliveries,
    delivery_fingerprints,
    delta_decoder,
    first_rows,
    rows_from,
)
from catalog.tape_rows import (
    COLUMNS,
    TS,
    Fingerprints,
    Int64,
    TapeEvent,
    fingerprints,
    int64,
    row_groups,
    wrangler,
)
from strategies.errors import BadInput
from strategies.markets.sessions import DAY_NS, SessionCalendar
from strategies.ports import StreamKind

ROWS_PER_STREAM_MIN = 1_024
UNDELIVERED = 0xFFFF
"""Stands for the place of a stream that only the simulated venue gets."""
ORDER_STREAM = "order"
"""Name of the tape blocks that keep the order in which rows of all streams were delivered."""


@dataclass(frozen=True, slots=True)
class TapeStream:
    """One recorded stream: ``topic`` is an instrument id, or a bar type for bars.

    ``delivered`` streams reach the host; the others only move the simulated venue. ``quoted``
    books also move it: their best bid and ask goes to the venue as quotes, just before each
    delivery.
    """

    kind: StreamKind
    topic: str
    instrument_id: InstrumentId
    price_precision: int
    size_precision: int
    files: tuple[Path, ...]
    delivered: bool = True
    quoted: bool = False


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
    """A run of consecutive rows of one stream, as 16 bits a row: enough to find a changed row.

    A delivery of a book counts as one row, however many levels it changes.
    """

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
        _Cursor(stream, _rows_of(stream, start_ns), start_ns, end_ns, place)
        for place, stream in enumerate(streams)
    ]
    cursors += [
        _Cursor(p.bars, _prints_of(p), start_ns, end_ns, UNDELIVERED, is_print=True) for p in prints
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
        events += taken.events
        stamps.append(taken.ts_ns)
        sources.append(taken.sources)
        if taken.block is not None:
            blocks.append(taken.block)
        else:
            prints_ns[cursor.stream.instrument_id] = frozenset(taken.ts_ns.tolist())
    ts_all = np.concatenate(stamps)
    source = np.concatenate(sources)
    if len(stamps) > 1:
        order = np.argsort(ts_all, kind="stable")
        events = [events[i] for i in order.tolist()]
        ts_all, source = ts_all[order], source[order]
    delivered = source != UNDELIVERED
    return Window(events, ts_all[delivered], source[delivered], blocks, prints_ns)


class _Taken(NamedTuple):
    """The next values of one stream, with their times and sources; no block for prints."""

    events: list[TapeEvent]
    ts_ns: Int64
    sources: npt.NDArray[np.uint16]
    block: RowBlock | None


class _Cursor:
    """Walks one stream's rows in order, a buffer of whole row groups at a time."""

    def __init__(
        self,
        stream: TapeStream,
        tables: Callable[[], Iterator[pa.Table]],
        start_ns: int | None,
        end_ns: int | None,
        place: int,
        *,
        is_print: bool = False,
    ) -> None:
        self.stream = stream
        self.exhausted = False
        self._tables = _within(tables(), start_ns, end_ns)
        self._decode = _decoder(stream, place, is_print=is_print)
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
            self._ts = int64(self._table.column("ts_init"))

    def take(self, horizon: int | None) -> _Taken | None:
        """Remove and return the rows before ``horizon``; all of them where it is None."""
        count = self.rows
        if horizon is not None:
            count = int(np.searchsorted(self._ts, horizon, side="left"))
        if count == 0 or self._table is None:
            return None
        table, ts_ns = self._table.slice(0, count), self._ts[:count]
        self._table, self._ts = self._table.slice(count), self._ts[count:]
        try:
            taken = self._decode(table, self._row)
        except (ValueError, OverflowError) as error:
            raise _not_of_its_kind(self.stream, ts_ns[0], ts_ns[-1], error) from error
        if taken.block is not None:
            self._row += len(taken.block.fingerprints)
        return taken


def _not_of_its_kind(stream: TapeStream, first_ns: int, last_ns: int, error: Exception) -> BadInput:
    what = str(error).splitlines()[0]
    return BadInput(
        f"{stream.files[0].parent} holds rows that are no {stream.kind} between ts_init {first_ns} "
        f"and {last_ns} ({what}); import their data again."
    )


# --- rows to values -------------------------------------------------------------------------------


type Decoder = Callable[[pa.Table, int], _Taken]
"""Given rows and the number of the first of them in its stream."""


def _decoder(stream: TapeStream, place: int, *, is_print: bool) -> Decoder:
    source = place if stream.delivered else UNDELIVERED
    if stream.kind is StreamKind.DELTAS:
        return _book_decoder(stream, source)
    kind = StreamKind.TRADES if is_print else stream.kind
    precisions = (stream.price_precision, stream.size_precision)
    wrangle = wrangler(kind, stream.topic, stream.instrument_id, precisions)

    def decode(table: pa.Table, row: int) -> _Taken:
        ts_ns = int64(table.column("ts_init"))
        block = None if is_print else _block(stream, row, ts_ns, fingerprints(table))
        return _Taken(wrangle(table), ts_ns, np.full(len(ts_ns), source, np.uint16), block)

    return decode


def _book_decoder(stream: TapeStream, source: int) -> Decoder:
    """Return the decoder of a book: its deliveries and, where it is quoted, a quote before each."""
    precisions = (stream.price_precision, stream.size_precision)
    to_deltas = delta_decoder(stream.instrument_id, precisions)
    quotes = BookQuotes(stream.instrument_id, precisions) if stream.quoted else None

    def decode(table: pa.Table, row: int) -> _Taken:
        first = first_rows(table)
        ts_ns = int64(table.column("ts_init"))[first]
        values = deliveries(stream.instrument_id, to_deltas(table), first)
        block = _block(stream, row, ts_ns, delivery_fingerprints(table, first))
        if quotes is None:
            return _Taken([*values], ts_ns, np.full(len(ts_ns), source, np.uint16), block)
        events, stamps, sources = _with_quotes(values, quotes, source)
        return _Taken(events, stamps, sources, block)

    return decode


def read_book(stream: TapeStream, start_ns: int, end_ns: int) -> Iterator[OrderBookDeltas]:
    """Yield the deliveries of a book in [start_ns, end_ns), as a run gets them; raises BadInput."""
    decode = _book_decoder(replace(stream, quoted=False), 0)
    for table in _within(_book_rows(stream, start_ns), start_ns, end_ns):
        try:
            events = decode(table, 0).events
        except (ValueError, OverflowError) as error:
            stamps = int64(table.column("ts_init"))
            raise _not_of_its_kind(stream, stamps[0], stamps[-1], error) from error
        yield from (event for event in events if isinstance(event, OrderBookDeltas))


def _with_quotes(
    values: Sequence[OrderBookDeltas], quotes: BookQuotes, source: int
) -> tuple[list[TapeEvent], Int64, npt.NDArray[np.uint16]]:
    """Put before each delivery what the book quotes after it.

    Before it, because an order that answers the delivery is checked against the venue's quote.
    """
    events: list[TapeEvent] = []
    sources: list[int] = []
    for value in values:
        quote = quotes.after(value)
        if quote is not None:
            events.append(quote)
            sources.append(UNDELIVERED)
        events.append(value)
        sources.append(source)
    stamps = np.array([event.ts_init for event in events], np.int64)
    return events, stamps, np.array(sources, np.uint16)


def _block(stream: TapeStream, row: int, ts_ns: Int64, marks: Fingerprints) -> RowBlock:
    return RowBlock(stream.topic, stream.kind, row, int(ts_ns[0]), int(ts_ns[-1]), marks)


def _rows_of(stream: TapeStream, start_ns: int | None) -> Callable[[], Iterator[pa.Table]]:
    if stream.kind is StreamKind.DELTAS:
        return lambda: _book_rows(stream, start_ns)

    def tables() -> Iterator[pa.Table]:
        for path in stream.files:
            yield from row_groups(path, COLUMNS[stream.kind])

    return tables


def _book_rows(stream: TapeStream, start_ns: int | None) -> Iterator[pa.Table]:
    precisions = (stream.price_precision, stream.size_precision)
    try:
        yield from rows_from(stream.files, start_ns, stream.instrument_id, precisions)
    except (ValueError, OverflowError) as error:
        raise _not_of_its_kind(stream, 0, start_ns or 0, error) from error


def _prints_of(prints: OpeningPrints) -> Callable[[], Iterator[pa.Table]]:
    interval_ns = interval_ns_of(BarType.from_str(prints.bars.topic))

    def tables() -> Iterator[pa.Table]:
        for path in prints.bars.files:
            for table in row_groups(path, ("open", "volume", "ts_init")):
                yield _opening_trades(table, interval_ns, prints.sessions)

    return tables


def _opening_trades(table: pa.Table, interval_ns: int, sessions: SessionCalendar) -> pa.Table:
    """Turn bars into the trades they opened with; a bar without volume had none."""
    traded = table.filter(pc.greater(table.column("volume"), pa.scalar(0, pa.decimal128(38, 16))))
    closes = int64(traded.column("ts_init"))
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


def _within(
    tables: Iterator[pa.Table], start_ns: int | None, end_ns: int | None
) -> Iterator[pa.Table]:
    """Cut the rows to [start_ns, end_ns); rows ascend in ts_init, which the store guarantees."""
    for table in tables:
        ts_ns = int64(table.column("ts_init"))
        first = 0 if start_ns is None else int(np.searchsorted(ts_ns, start_ns, side="left"))
        last = len(ts_ns) if end_ns is None else int(np.searchsorted(ts_ns, end_ns, side="left"))
        if first < last:
            yield table.slice(first, last - first)
        if last < len(ts_ns):
            return
