"""Order books from a snapshot and its diffs, by Binance's rules; a gap in update ids is an event.

Rule: nothing is guessed. From a gap on the book is empty and waits for a snapshot that the diffs
continue; where none comes it holds the levels that changed since, and that is counted. Prices and
sizes are integers of units.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush

import pyarrow as pa

from catalog.columns import units_of
from catalog.read import stream_tables
from catalog.store import Store
from strategies.ports import StreamKind

type Levels = Sequence[Sequence[str]]

F_LAST = 128
F_SNAPSHOT = 32
"""Bits of the engine's RecordFlag: last row of an event, row of a snapshot."""

WAITING_MOST = 4_096
"""Diffs kept while no snapshot is there; then the book goes on without one."""


@dataclass(frozen=True, slots=True)
class DepthDiff:
    """One diff: the levels that changed between two update ids; a size of 0 removes a level.

    ``previous_id`` is the last id of the diff before (USD-M ``pu``), None on spot. Levels are
    (price, size) as the venue's text.
    """

    first_id: int
    last_id: int
    previous_id: int | None
    ts_event: int
    ts_init: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class DepthSnapshot:
    """All levels the venue told at one update id."""

    last_id: int
    ts_event: int
    ts_init: int
    bids: Levels
    asks: Levels


@dataclass(frozen=True, slots=True)
class BookGap:
    """The diffs do not continue the book: ``after_id`` was known, ``found_id`` came next."""

    after_id: int
    found_id: int
    ts_event: int
    ts_init: int


type BookEvent = DepthDiff | DepthSnapshot | BookGap


class DepthSync:
    """Puts snapshots and diffs into the one order that keeps a book true.

    Spot: the first diff after a snapshot has U <= lastUpdateId + 1 <= u, each next one U = u + 1.
    USD-M: the first has U <= lastUpdateId <= u, each next one pu = u of the one before. Source:
    Binance, How to manage a local order book correctly (spot and USD-M).
    """

    def __init__(self) -> None:
        self._applied: int | None = None
        self._fresh = False
        self._waiting: list[DepthDiff] = []
        self.without_snapshot = 0
        """How often the book had to begin with a diff."""

    def on_diff(self, diff: DepthDiff) -> list[BookEvent]:
        """Return what the book's reader gets for one diff; nothing while a snapshot may come."""
        if self._applied is None:
            self._waiting.append(diff)
            return self._begin_without() if len(self._waiting) > WAITING_MOST else []
        if self._is_old(diff, self._applied):
            return []
        if not self._continues(diff, self._applied):
            gap = BookGap(self._applied, diff.first_id, diff.ts_event, diff.ts_init)
            self._applied = None
            self._waiting.append(diff)
            return [gap]
        self._applied, self._fresh = diff.last_id, False
        return [diff]

    def on_snapshot(self, snapshot: DepthSnapshot) -> list[BookEvent]:
        """Return the snapshot and the diffs that waited for it, as received with it."""
        if self._applied is not None and snapshot.last_id <= self._applied:
            return []  # the book is past it already
        self._applied, self._fresh = snapshot.last_id, True
        waiting, self._waiting = self._waiting, []
        events: list[BookEvent] = [snapshot]
        for diff in waiting:
            events += self.on_diff(replace(diff, ts_init=snapshot.ts_init))
        return events

    def finish(self) -> list[BookEvent]:
        """Return the diffs that still wait: no snapshot will come."""
        events: list[BookEvent] = []
        while self._waiting:
            events += self._begin_without()
        return events

    def _begin_without(self) -> list[BookEvent]:
        self.without_snapshot += 1
        first, *rest = self._waiting
        self._waiting = []
        self._applied, self._fresh = first.last_id, False
        events: list[BookEvent] = [first]
        for diff in rest:
            events += self.on_diff(diff)
        return events

    def _is_old(self, diff: DepthDiff, applied: int) -> bool:
        if self._fresh and diff.previous_id is not None:
            return diff.last_id < applied
        return diff.last_id <= applied

    def _continues(self, diff: DepthDiff, applied: int) -> bool:
        if diff.previous_id is None:
            return diff.first_id <= applied + 1 if self._fresh else diff.first_id == applied + 1
        return diff.previous_id == applied or (self._fresh and diff.first_id <= applied)


class _Side:
    """Sizes by price with the best one at hand: a heap whose dead entries go when they surface."""

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._heap: list[int] = []
        self.sizes: dict[int, int] = {}

    def put(self, price: int, size: int) -> None:
        if size == 0:
            self.sizes.pop(price, None)
            return
        if price not in self.sizes:
            heappush(self._heap, self._sign * price)
        self.sizes[price] = size

    def best(self) -> tuple[int, int] | None:
        while self._heap:
            price = self._sign * self._heap[0]
            if price in self.sizes:
                return price, self.sizes[price]
            heappop(self._heap)
        return None

    def clear(self) -> None:
        self.sizes.clear()
        self._heap.clear()


@dataclass(slots=True)
class Book:
    """A book of price levels, in integer units of the stream's precisions."""

    bids: _Side = field(default_factory=lambda: _Side(-1))
    asks: _Side = field(default_factory=lambda: _Side(1))

    def put(self, price: int, size: int, *, is_ask: bool) -> None:
        """Set one level; a size of 0 removes it."""
        (self.asks if is_ask else self.bids).put(price, size)

    def clear(self) -> None:
        """Forget every level."""
        self.bids.clear()
        self.asks.clear()


@dataclass(frozen=True, slots=True)
class Top:
    """Best bid and ask after one event, as (price, size) in units; None where a side is empty."""

    sequence: int
    ts_event: int
    ts_init: int
    bid: tuple[int, int] | None
    ask: tuple[int, int] | None

    @property
    def is_crossed(self) -> bool:
        """Say whether the best bid is at or above the best ask."""
        return self.bid is not None and self.ask is not None and self.bid[0] >= self.ask[0]


def tops(store: Store, topic: str) -> Iterator[Top]:
    """Rebuild the book of a delta stream; yield its top after every event, in order.

    ``topic`` is an instrument id. Units are 10^-precision of the instrument. Raises BadInput where
    a file cannot be read.
    """
    instrument_ids = {str(each): instrument for each, instrument in store.instruments().items()}
    instrument = instrument_ids[topic]
    book = Book()
    for table in stream_tables(store, StreamKind.DELTAS, topic):
        yield from apply_rows(
            book, table, instrument.price_precision, int(instrument.size_precision)
        )


def apply_rows(
    book: Book, table: pa.Table, price_precision: int, size_precision: int
) -> Iterator[Top]:
    """Apply rows of a delta table to a book; yield its top after the last row of each event."""
    actions = _text(table, "action")
    asks = [side == "SELL" for side in _text(table, "side")]
    prices = units_of(table.column("price"), price_precision).tolist()
    sizes = units_of(table.column("size"), size_precision).tolist()
    flags = table.column("flags").to_numpy()
    ends = ((flags & F_LAST) != 0).tolist()
    sequence = table.column("sequence").to_numpy().tolist()
    stamps = [
        table.column(name).cast(pa.int64()).to_numpy().tolist() for name in ("ts_event", "ts_init")
    ]
    for i, action in enumerate(actions):
        if action == "CLEAR":
            book.clear()
        else:
            book.put(prices[i], 0 if action == "DELETE" else sizes[i], is_ask=asks[i])
        if ends[i]:
            bid, ask = book.bids.best(), book.asks.best()
            yield Top(sequence[i], stamps[0][i], stamps[1][i], bid, ask)


def _text(table: pa.Table, name: str) -> list[str]:
    values: list[str] = table.column(name).cast(pa.string()).to_pylist()
    return values
