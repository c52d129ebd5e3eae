"""Book deltas on the tape: which rows are one delivery, what stood before, what the book quotes.

Rule: one delivery is one event of the venue: the rows of one ``ts_init`` up to the row that says it
is the last. A window that begins within a recording begins with a snapshot of the book that stood
there, built from all that came before.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model import (
    BookLevel,
    BookType,
    InstrumentId,
    OrderBook,
    OrderBookDelta,
    OrderBookDeltas,
    Price,
    Quantity,
    QuoteTick,
)
from nautilus_trader.persistence import OrderBookDeltaDataWrangler

from catalog.book import F_LAST, F_SNAPSHOT
from catalog.layout import file_span
from catalog.tape_rows import (
    COLUMNS,
    FACTOR,
    SHIFT,
    TS,
    Fingerprints,
    Int64,
    folded,
    int64,
    ipc,
    mixed,
    row_group,
    row_groups,
)
from strategies.markets.facts import RAW_ONE
from strategies.ports import StreamKind

NAMES = COLUMNS[StreamKind.DELTAS]
LOOKED_AT = ("action", "ts_init")
type Decode = Callable[[pa.Table], list[OrderBookDelta]]


def delta_decoder(instrument_id: InstrumentId, precisions: tuple[int, int]) -> Decode:
    """Return what turns rows into the engine's deltas, one each.

    It raises ValueError where a level is on no side: the engine's book would refuse it later.
    """
    decode = OrderBookDeltaDataWrangler(str(instrument_id), *precisions).process_record_batch_bytes

    def deltas(table: pa.Table) -> list[OrderBookDelta]:
        nowhere = pc.equal(table.column("side").cast(pa.string()), "NO_ORDER_SIDE")
        clears = pc.equal(table.column("action").cast(pa.string()), "CLEAR")
        if pc.any(pc.and_not(nowhere, clears)).as_py():
            raise ValueError("a level is neither a bid nor an ask")
        return decode(ipc(table))

    return deltas


# --- deliveries -----------------------------------------------------------------------------------


def first_rows(table: pa.Table) -> Int64:
    """Return the places of the rows that begin a delivery; the table begins with one."""
    ends = (table.column("flags").to_numpy() & F_LAST) != 0
    ts_ns = int64(table.column("ts_init"))
    begins = np.ones(len(ts_ns), np.bool_)
    begins[1:] = ends[:-1] | (ts_ns[1:] != ts_ns[:-1])
    return np.flatnonzero(begins)


def deliveries(
    instrument_id: InstrumentId, deltas: Sequence[OrderBookDelta], first: Int64
) -> list[OrderBookDeltas]:
    """Return one value per delivery; ``first`` are the places of their first rows."""
    bounds = [*first.tolist(), len(deltas)]
    return [OrderBookDeltas(instrument_id, deltas[begin:end]) for begin, end in pairwise(bounds)]


def delivery_fingerprints(table: pa.Table, first: Int64) -> Fingerprints:
    """Return 16 bits per delivery over all its rows, in their order."""
    if not len(first):
        return np.empty(0, np.uint16)
    counts = np.diff(first, append=table.num_rows)
    place = np.arange(table.num_rows) - np.repeat(first, counts)
    words = (mixed(table) ^ (place.astype(np.uint64) + np.uint64(1))) * FACTOR
    words ^= words >> SHIFT
    whole = np.add.reduceat(words, first) * FACTOR
    return folded(whole ^ (whole >> SHIFT))


# --- what the book quotes -------------------------------------------------------------------------


class BookQuotes:
    """Folds a book and says its best bid and ask after each delivery, as a quote.

    A side that is empty, and both where the book is crossed, are quoted with size 0: the engine
    takes that for no market. Before a book had two sides there is no quote.
    """

    def __init__(self, instrument_id: InstrumentId, precisions: tuple[int, int]) -> None:
        self._id = instrument_id
        self._book = OrderBook(instrument_id, BookType.L2_MBP)
        self._nothing = Quantity(0, precisions[1])
        self._prices: tuple[Price, Price] | None = None
        self.has_both = False
        """Whether both sides have a level."""

    def after(self, deltas: OrderBookDeltas) -> QuoteTick | None:
        """Apply one delivery and return what the book quotes then."""
        book = self._book
        book.apply_deltas(deltas)
        bid, ask = book.best_bid_price(), book.best_ask_price()
        self.has_both = bid is not None and ask is not None
        if bid is not None and ask is not None:
            self._prices = bid, ask
            crossed = bid.raw > ask.raw
        elif self._prices is None:
            return None
        else:
            bid, ask, crossed = bid or self._prices[0], ask or self._prices[1], False
        sizes = (None, None) if crossed else (book.best_bid_size(), book.best_ask_size())
        bid_size, ask_size = (size or self._nothing for size in sizes)
        return QuoteTick(self._id, bid, ask, bid_size, ask_size, deltas.ts_event, deltas.ts_init)


# --- the book at the beginning --------------------------------------------------------------------


def rows_from(
    files: Sequence[Path],
    start_ns: int | None,
    instrument_id: InstrumentId,
    precisions: tuple[int, int],
) -> Iterator[pa.Table]:
    """Yield a stream's rows from ``start_ns`` on, after one snapshot of what stood there then.

    Raises BadInput where a file cannot be read, ValueError where rows are no deltas.
    """
    if start_ns is None:
        for path in files:
            yield from row_groups(path, NAMES)
        return
    standing = _Standing(instrument_id, precisions)
    for table in _from_last_clear(files, start_ns):
        before = int(np.searchsorted(int64(table.column("ts_init")), start_ns))
        if before:
            standing.fold(table.slice(0, before))
        if before < table.num_rows:
            yield from standing.take(start_ns)
            yield table.slice(before)
    yield from standing.take(start_ns)


class _Standing:
    """The book that stood before the first row of a window."""

    def __init__(self, instrument_id: InstrumentId, precisions: tuple[int, int]) -> None:
        self._id = instrument_id
        self._decode = delta_decoder(instrument_id, precisions)
        self._book = OrderBook(instrument_id, BookType.L2_MBP)
        self._last: pa.Table | None = None

    def fold(self, table: pa.Table) -> None:
        """Apply rows from before."""
        self._book.apply_deltas(OrderBookDeltas(self._id, self._decode(table)))
        self._last = table.slice(table.num_rows - 1)

    def take(self, ts_ns: int) -> Iterator[pa.Table]:
        """Yield the book as rows of one moment, once, and only where it holds a level."""
        last, self._last = self._last, None
        if last is not None and (self._book.bids(1) or self._book.asks(1)):
            ts_event = int(int64(last.column("ts_event"))[0])
            yield _snapshot(self._book, ts_event, ts_ns, last.schema)


def _from_last_clear(files: Sequence[Path], start_ns: int) -> Iterator[pa.Table]:
    """Yield row groups from the last one that empties the book before a moment."""
    file, group = _last_clear(files, start_ns)
    for path in files[file:]:
        groups = group + 1
        while group < groups:
            groups, table = row_group(path, group, NAMES)
            if table is not None and table.num_rows:
                yield table
            group += 1
        group = 0


def _last_clear(files: Sequence[Path], start_ns: int) -> tuple[int, int]:
    """Return in which file and row group the book was last emptied before; else the first."""
    for i in reversed(range(len(files))):
        span = file_span(files[i].name)
        if span is not None and span[0] >= start_ns:
            continue
        groups, _ = row_group(files[i], 0, LOOKED_AT)
        for group in reversed(range(groups)):
            _, table = row_group(files[i], group, LOOKED_AT)
            if table is not None and _clears_before(table, start_ns):
                return i, group
    return 0, 0


def _clears_before(table: pa.Table, start_ns: int) -> bool:
    before = int(np.searchsorted(int64(table.column("ts_init")), start_ns))
    return "CLEAR" in table.column("action").slice(0, before).unique().cast(pa.string()).to_pylist()


def _snapshot(book: OrderBook, ts_event: int, ts_ns: int, schema: pa.Schema) -> pa.Table:
    """Return a book as rows: one that empties it, then every level."""
    levels: list[tuple[str, BookLevel]] = [("BUY", each) for each in book.bids()]
    levels += [("SELL", each) for each in book.asks()]
    count = len(levels) + 1
    flags = np.full(count, F_SNAPSHOT, np.uint8)
    flags[-1] |= F_LAST
    columns: dict[str, Sequence[object] | npt.NDArray[np.generic]] = {
        "action": ["CLEAR", *["ADD"] * len(levels)],
        "side": ["NO_ORDER_SIDE", *(side for side, _ in levels)],
        "price": [Decimal(0), *(each.price.as_decimal() for _, each in levels)],
        "size": [Decimal(0), *(Decimal(each.size_raw()) / RAW_ONE for _, each in levels)],
        "order_id": np.zeros(count, np.uint64),
        "flags": flags,
        "sequence": np.full(count, book.sequence, np.uint64),
        "ts_event": np.full(count, ts_event, np.int64),
        "ts_init": np.full(count, ts_ns, np.int64),
    }
    arrays = [_array(columns[field.name], field.type) for field in schema]
    return pa.table(arrays, schema=schema)


def _array(values: Sequence[object] | npt.NDArray[np.generic], kind: pa.DataType) -> pa.Array:
    if kind == TS:
        return pa.array(values, pa.int64()).cast(TS)
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode().cast(kind)
    return pa.array(values, kind)
