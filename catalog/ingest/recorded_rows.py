"""Rows of one symbol and one kind of frame on their way from a recording to its writer, in blocks.

Rule: prices and sizes come as the venue's text and become exact decimals; rows with a price of 0
(an empty side of a book, an adjustment that no one traded) are dropped and counted.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model import InstrumentId

from catalog.book import (
    F_LAST,
    F_SNAPSHOT,
    BookEvent,
    BookGap,
    DepthDiff,
    DepthSnapshot,
    DepthSync,
)
from catalog.columns import decimals_needed, from_text, labels, rounded, times
from catalog.ingest.candles import bar_type
from catalog.ingest.instruments import Grid, Needs, resolve
from catalog.layout import MAX_ROW_GROUP, RAW, SCHEMAS
from catalog.store import Import, StreamWriter, WriteResult, size_precision
from strategies.ports import StreamKind

SIDES = ("BUY", "SELL", "NO_AGGRESSOR")
_BOOK_SIDES = ("BUY", "SELL", "NO_ORDER_SIDE")
_ACTIONS = ("UPDATE", "ADD", "DELETE", "CLEAR")
_UPDATE, _ADD, _DELETE, _CLEAR = range(4)
_NO_SIDE = 2


_PRICED = {
    StreamKind.TRADES: ("price",),
    StreamKind.QUOTES: ("bid_price", "ask_price"),
    StreamKind.BARS: ("open", "high", "low", "close"),
}


class RowStream:
    """Trades, quotes or bars: one tuple a row; ``interval_ns`` is a bar's."""

    def __init__(self, kind: StreamKind, writer: StreamWriter, interval_ns: int = 0) -> None:
        self.kind = kind
        self.writer = writer
        self.interval_ns = interval_ns
        self.price_decimals = 0
        self.size_decimals = 0
        self.dropped = 0
        self._rows: list[tuple[Any, ...]] = []
        self.add = self._rows.append

    def full(self) -> bool:
        """Say whether a block is complete."""
        return len(self._rows) >= MAX_ROW_GROUP

    def flush(self) -> None:
        """Write what was added."""
        if self._rows:
            table = self._table(list(zip(*self._rows, strict=True)))
            self._rows.clear()
            self.writer.append(table)

    def finish(self) -> None:
        """Write the rest."""
        self.flush()

    def told(self, symbol: str) -> Iterator[str]:
        """Yield what the user should know of these rows."""
        if self.dropped:
            yield f"{symbol}: {self.dropped:,} frames with a price of 0 dropped"

    def _table(self, columns: list[tuple[Any, ...]]) -> pa.Table:
        stamps = [times(np.array(column, np.int64)) for column in columns[-2:]]
        if self.kind is StreamKind.TRADES:
            price, size, sold, trade_id = columns[:4]
            sides = labels(np.array(sold, np.int64), SIDES)
            is_text = isinstance(trade_id[0], str)
            ids = pa.array(trade_id, pa.string() if is_text else pa.int64()).cast(pa.string())
            arrays = [*self._numbers((price,), (size,)), sides, ids, *stamps]
        else:
            prices = len(_PRICED[self.kind])
            arrays = [*self._numbers(columns[:prices], columns[prices:-2]), *stamps]
        return self._only_priced(pa.Table.from_arrays(arrays, schema=SCHEMAS[self.kind]))

    def _numbers(self, prices: Any, sizes: Any) -> list[pa.Array]:
        price = [from_text(pa.array(column, pa.string())) for column in prices]
        size = [from_text(pa.array(column, pa.string())) for column in sizes]
        self.price_decimals = max(self.price_decimals, *map(decimals_needed, price))
        self.size_decimals = max(self.size_decimals, *map(decimals_needed, size))
        return price + size

    def _only_priced(self, table: pa.Table) -> pa.Table:
        zero = pa.scalar(0, pa.int64()).cast(table.schema.field(0).type)
        first, *others = _PRICED[self.kind]
        good = pc.greater(table.column(first), zero)
        for name in others:
            good = pc.and_(good, pc.greater(table.column(name), zero))
        kept = table.filter(good)
        self.dropped += table.num_rows - kept.num_rows
        return kept


class DepthStream:
    """Book deltas: a snapshot is CLEAR and ADD rows, a diff UPDATE and DELETE rows, a gap CLEAR.

    ``sequence`` is the update id an event ends at, order_id 0: a price is a level. The last row of
    an event carries F_LAST, rows of a snapshot F_SNAPSHOT.
    """

    kind = StreamKind.DELTAS

    def __init__(self, writer: StreamWriter) -> None:
        self.writer = writer
        self.price_decimals = 0
        self.size_decimals = 0
        self.dropped = 0
        self.gaps = 0
        self.sync = DepthSync()
        self._prices: list[str] = []
        self._sizes: list[str] = []
        self._events: list[tuple[int, ...]] = []

    def add(self, diff: DepthDiff) -> None:
        """Take one diff frame."""
        self._put(self.sync.on_diff(diff))

    def add_snapshot(self, snapshot: DepthSnapshot) -> None:
        """Take one snapshot."""
        self._put(self.sync.on_snapshot(snapshot))

    def finish(self) -> None:
        """Write the rest; diffs that no snapshot came for go as they are."""
        self._put(self.sync.finish())
        self.flush()

    def told(self, symbol: str) -> Iterator[str]:
        """Yield what the user should know of this book."""
        if self.dropped:
            yield f"{symbol}: {self.dropped:,} book levels without a price above 0 dropped"
        if self.gaps:
            yield f"{symbol}: {self.gaps:,} gaps in update ids, the book is emptied at each"
        if self.sync.without_snapshot:
            yield (
                f"{symbol}: the book begins without a snapshot and holds only levels that changed "
                "since: import the recording together with the file of its REST depth answers"
            )

    def full(self) -> bool:
        """Say whether a block is complete."""
        return len(self._prices) >= MAX_ROW_GROUP

    def flush(self) -> None:
        """Write what was added."""
        if not self._events:
            return
        table = self._table(np.array(self._events, np.int64).T)
        self._events.clear()
        self._prices.clear()
        self._sizes.clear()
        self.writer.append(table)

    def _put(self, events: Iterable[BookEvent]) -> None:
        for event in events:
            if isinstance(event, DepthDiff):
                self._levels(event, 0)
            elif isinstance(event, BookGap):
                self.gaps += 1
                self._clear()
                stamps = event.ts_event, event.ts_init
                self._events.append((1, 0, 0, event.after_id, *stamps, F_SNAPSHOT))
            else:
                self._clear()
                self._levels(event, 1)

    def _clear(self) -> None:
        self._prices.append("0")
        self._sizes.append("0")

    def _levels(self, event: DepthDiff | DepthSnapshot, clears: int) -> None:
        bids, asks = event.bids, event.asks
        if not (bids or asks or clears):
            return
        for levels in (bids, asks):
            self._prices += [level[0] for level in levels]
            self._sizes += [level[1] for level in levels]
        flags = F_SNAPSHOT if clears else 0
        counts = clears, len(bids), len(asks)
        self._events.append((*counts, event.last_id, event.ts_event, event.ts_init, flags))

    def _table(self, events: np.ndarray[Any, np.dtype[np.int64]]) -> pa.Table:
        price, size = (from_text(pa.array(each)) for each in (self._prices, self._sizes))
        self.price_decimals = max(self.price_decimals, decimals_needed(price))
        self.size_decimals = max(self.size_decimals, decimals_needed(size))
        counts = events[:3].sum(axis=0)
        order = np.array([_NO_SIDE, 0, 1] * len(counts), np.int64)
        side = np.repeat(order, events[:3].T.ravel())
        last_id, ts_event, ts_init, flags = (np.repeat(column, counts) for column in events[3:])
        zero = pc.equal(size, pa.scalar(0, pa.int64()).cast(size.type))
        removed = zero.to_numpy(zero_copy_only=False)
        action = np.where(flags != 0, _ADD, np.where(removed, _DELETE, _UPDATE))
        action[side == _NO_SIDE] = _CLEAR
        good = pc.greater(price, pa.scalar(0, pa.int64()).cast(price.type))
        kept = good.to_numpy(zero_copy_only=False) | (side == _NO_SIDE)
        event = np.repeat(np.arange(len(counts)), counts)[kept]
        self.dropped += int((~kept).sum())
        table = pa.Table.from_arrays(
            [
                labels(action, _ACTIONS),
                labels(side, _BOOK_SIDES),
                price,
                size,
                pa.array(np.zeros(len(side), np.uint64)),
                pa.array(flags.astype(np.uint8)),
                pa.array(last_id.astype(np.uint64)),
                times(ts_event),
                times(ts_init),
            ],
            schema=SCHEMAS[StreamKind.DELTAS],
        ).filter(pa.array(kept))
        place = table.schema.get_field_index("flags")
        marked = flags[kept]
        marked[np.diff(event, append=-1) != 0] |= F_LAST
        column = pa.array(marked.astype(np.uint8))
        return table.set_column(place, table.schema.field(place), column)


def close_streams(
    batch: Import,
    streams: Sequence[RowStream | DepthStream],
    instrument_id: InstrumentId,
    grid: Grid,
    path: Path,
    source: str = "",
) -> list[WriteResult]:
    """Close the writers of one instrument; its decimals are those of its trades and quotes.

    A book may hold dust finer than the venue's step: where the instrument has fewer decimals, such
    sizes are rounded up, so that no level vanishes; volumes of bars are rounded to the nearest.
    ``source`` is what the catalog remembers as the origin, the file's name by default.
    """
    exact = [stream for stream in streams if stream.kind in (StreamKind.TRADES, StreamKind.QUOTES)]
    told = exact or [stream for stream in streams if stream.kind is StreamKind.BARS] or streams
    price = max(stream.price_decimals for stream in streams)
    size = max(stream.size_decimals for stream in told)
    needs = Needs(price, size, size_is_volume=not exact and told is not streams)
    instrument, _ = resolve(batch, instrument_id, grid, needs, str(path))
    decimals = size_precision(instrument)
    results = []
    for stream in streams:
        writer, kind = stream.writer, stream.kind
        if stream.size_decimals > decimals:
            writer = batch.rewrite(writer, partial(_coarser, kind, decimals))
        writer.topic = str(instrument_id)
        if isinstance(stream, RowStream) and kind is StreamKind.BARS:
            writer.topic = str(bar_type(instrument_id, stream.interval_ns))
        result = writer.close(instrument, source or path.name)
        if result is not None:
            results.append(result)
    return results


def _coarser(kind: StreamKind, decimals: int, table: pa.Table) -> pa.Table:
    name = "volume" if kind is StreamKind.BARS else "size"
    if kind is StreamKind.BARS:
        sizes, _ = rounded(table.column(name), decimals)
    else:
        sizes = pc.round(table.column(name), ndigits=decimals, round_mode="up").cast(RAW)
    return table.set_column(table.schema.get_field_index(name), table.schema.field(name), sizes)
