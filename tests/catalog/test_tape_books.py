"""Books on the tape: deliveries, the book at a window's beginning, quotes, rows that changed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nautilus_trader.model import InstrumentId, OrderBookDeltas, QuoteTick

from catalog import tape
from catalog.book import F_LAST, F_SNAPSHOT
from catalog.book_prices import book_tops
from catalog.columns import from_text
from catalog.layout import SCHEMAS
from catalog.tape import TapeStream, Window, read_windows
from catalog.tape_books import delivery_fingerprints, first_rows
from strategies.order_book import LevelBook
from strategies.ports import StreamKind

ID = InstrumentId.from_str("BTCUSDT.BINANCE_SPOT")
SCHEMA = SCHEMAS[StreamKind.DELTAS]

type Row = tuple[str, str, int, int]
"""Action, side, price, size."""
type Event = tuple[int, Sequence[Row]]
"""Its time and rows."""

CLEAR: Row = ("CLEAR", "NO_ORDER_SIDE", 0, 0)


def add(side: str, price: int, size: int) -> Row:
    return ("ADD", side, price, size)


def put(side: str, price: int, size: int) -> Row:
    return ("UPDATE" if size else "DELETE", side, price, size)


def rows(events: Sequence[Event], *, last: bool = True) -> pa.Table:
    """Return events as rows; without ``last`` no row says that it is its event's last."""
    flat = [
        (ts_ns, number, i == len(changes) - 1 and last, changes[0] == CLEAR, row)
        for number, (ts_ns, changes) in enumerate(events)
        for i, row in enumerate(changes)
    ]
    flags = [F_LAST * ends + F_SNAPSHOT * snap for _, _, ends, snap, _ in flat]
    times = pa.array([ts_ns for ts_ns, *_ in flat], pa.int64()).cast(SCHEMA.field("ts_init").type)
    words = [pa.array([row[place] for *_, row in flat], pa.string()) for place in (0, 1)]
    numbers = [
        from_text(pa.array([str(row[place]) for *_, row in flat], pa.string())) for place in (2, 3)
    ]
    kinds = (SCHEMA.field("action").type, SCHEMA.field("side").type)
    columns = [
        *(w.dictionary_encode().cast(kind) for w, kind in zip(words, kinds, strict=True)),
        *numbers,
        pa.array([0] * len(flat), pa.uint64()),
        pa.array(flags, pa.uint8()),
        pa.array([number for _, number, *_ in flat], pa.uint64()),
        times,
        times,
    ]
    meta = {"instrument_id": str(ID), "price_precision": "0", "size_precision": "0"}
    return pa.table(columns, schema=SCHEMA).replace_schema_metadata(meta)


def stream(
    folder: Path,
    events: Sequence[Event],
    *,
    group_rows: int = 3,
    quoted: bool = False,
    last: bool = True,
) -> TapeStream:
    path = folder / "book.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows(events, last=last), path, row_group_size=group_rows)
    return TapeStream(StreamKind.DELTAS, str(ID), ID, 0, 0, (path,), quoted=quoted)


def read(
    book: TapeStream,
    chunk_rows: int = 1_000,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> list[Window]:
    return list(read_windows([book], (), start_ns, end_ns, chunk_rows))


def deliveries(windows: Sequence[Window]) -> list[OrderBookDeltas]:
    found = [event for window in windows for event in window.events]
    return [event for event in found if isinstance(event, OrderBookDeltas)]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a window be as small as its chunk says, so that a few rows make many of them."""
    monkeypatch.setattr(tape, "ROWS_PER_STREAM_MIN", 1)


CHANGE = st.builds(put, st.sampled_from(["BUY", "SELL"]), st.integers(1, 9), st.integers(0, 3))
LEVEL = st.builds(add, st.sampled_from(["BUY", "SELL"]), st.integers(1, 9), st.integers(1, 3))
SNAPSHOT = st.lists(LEVEL, max_size=5).map(lambda levels: [CLEAR, *levels])
EVENTS = st.lists(
    st.tuples(st.integers(0, 5), SNAPSHOT | st.lists(CHANGE, min_size=1, max_size=5)), max_size=10
).map(lambda events: sorted(events, key=lambda event: event[0]))
ANY_FOLDER = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def shape(book: LevelBook) -> tuple[object, object]:
    return book.bids(), book.asks()


@pytest.mark.usefixtures("small_batches")
@ANY_FOLDER
@given(EVENTS, st.integers(1, 6), st.integers(1, 7))
def test_an_event_is_one_delivery_for_any_cut(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], group_rows: int, chunk_rows: int
) -> None:
    book = stream(tmp_path_factory.mktemp("t"), events, group_rows=group_rows)
    windows = read(book, chunk_rows)
    found = deliveries(windows)
    assert [(each.ts_init, len(each.deltas)) for each in found] == [
        (ts_ns, len(changes)) for ts_ns, changes in events
    ]
    assert [each.sequence for each in found] == list(range(len(events)))
    assert [ns for w in windows for ns in w.delivered_ns.tolist()] == [ns for ns, _ in events]
    blocks = [block for window in windows for block in window.blocks]
    marks = np.concatenate([b.fingerprints for b in blocks]) if blocks else np.empty(0, np.uint16)
    whole = rows(events)
    assert marks.tolist() == delivery_fingerprints(whole, first_rows(whole)).tolist()
    starts = np.cumsum([0, *[len(b.fingerprints) for b in blocks]])[:-1]
    assert [block.first_row for block in blocks] == starts.tolist()


@pytest.mark.usefixtures("small_batches")
@ANY_FOLDER
@given(EVENTS, st.integers(0, 6), st.integers(1, 6), st.integers(1, 7))
def test_a_window_begins_with_the_book_that_stood_there(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[Event],
    start_ns: int,
    group_rows: int,
    chunk_rows: int,
) -> None:
    book = stream(tmp_path_factory.mktemp("t"), events, group_rows=group_rows)
    whole, part = LevelBook(ID), LevelBook(ID)
    for each in deliveries(read(book)):
        if each.ts_init < start_ns:
            whole.fold(each)
    stood = shape(whole)
    found = deliveries(read(book, chunk_rows, start_ns))
    later = [event for event in events if event[0] >= start_ns]
    opening = found[: len(found) - len(later)]
    assert len(opening) == (1 if stood != ([], []) else 0)
    for each in opening:
        assert each.is_snapshot
        assert each.ts_init == start_ns
        assert each.ts_event < start_ns
        part.fold(each)
    assert shape(part) == stood
    for each in found[len(opening) :]:
        part.fold(each)
    for each in deliveries(read(book)):
        if each.ts_init >= start_ns:
            whole.fold(each)
    assert shape(part) == shape(whole)


def test_only_what_comes_after_the_last_emptying_is_read_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = [(ns, [CLEAR, add("BUY", ns + 1, 1)]) for ns in range(20)]
    book = stream(tmp_path, [*events, (20, [put("BUY", 3, 2)]), (25, [put("BUY", 3, 3)])])
    wide: list[int] = []
    groups = tape.rows_from.__globals__["row_group"]

    def counted(path: Path, group: int, columns: Sequence[str]) -> object:
        if len(columns) > 2:
            wide.append(group)
        return groups(path, group, columns)

    monkeypatch.setitem(tape.rows_from.__globals__, "row_group", counted)
    (opening, last) = deliveries(read(book, start_ns=22))
    assert [len(opening.deltas), len(last.deltas)] == [3, 1]
    assert len(wide) <= 2
    assert min(wide) >= 12


def test_rows_that_mark_no_event_are_one_delivery_a_moment(tmp_path: Path) -> None:
    events: list[Event] = [(1, [CLEAR, add("BUY", 5, 1)]), (1, [put("SELL", 7, 1)])]
    book = stream(tmp_path, [*events, (2, [put("BUY", 5, 0)])], last=False)
    assert [len(each.deltas) for each in deliveries(read(book))] == [3, 1]


def test_an_undelivered_book_is_read_and_not_counted(tmp_path: Path) -> None:
    book = stream(tmp_path, [(1, [CLEAR, add("BUY", 5, 1)]), (2, [put("SELL", 7, 1)])])
    silent = TapeStream(*(getattr(book, name) for name in book.__slots__[:6]), delivered=False)
    (window,) = read(silent)
    assert len(deliveries([window])) == 2
    assert not len(window.delivered_ns)


# --- quotes ---------------------------------------------------------------------------------------


def quotes(windows: Sequence[Window]) -> list[tuple[int, str]]:
    return [
        (e.ts_init, f"{e.bid_price} x {e.bid_size} / {e.ask_price} x {e.ask_size}")
        for window in windows
        for e in window.events
        if isinstance(e, QuoteTick)
    ]


def test_a_quoted_book_says_its_best_prices_just_before_each_delivery(tmp_path: Path) -> None:
    events: list[Event] = [
        (1, [CLEAR, add("BUY", 5, 1)]),
        (2, [put("SELL", 7, 2)]),
        (3, [put("BUY", 6, 3)]),
        (4, [put("BUY", 8, 1)]),
        (5, [put("BUY", 8, 0), put("SELL", 7, 0)]),
        (6, [CLEAR]),
        (7, [put("BUY", 4, 1), put("SELL", 5, 1)]),
    ]
    windows = read(stream(tmp_path, events, quoted=True))
    assert quotes(windows) == [
        (2, "5 x 1 / 7 x 2"),
        (3, "6 x 3 / 7 x 2"),
        (4, "8 x 0 / 7 x 0"),  # crossed
        (5, "6 x 3 / 7 x 0"),  # nobody sells
        (6, "8 x 0 / 7 x 0"),
        (7, "4 x 1 / 5 x 1"),
    ]
    kinds = [type(event).__name__ for window in windows for event in window.events]
    assert kinds == ["OrderBookDeltas", *["QuoteTick", "OrderBookDeltas"] * 6]
    assert [ns for w in windows for ns in w.delivered_ns.tolist()] == [1, 2, 3, 4, 5, 6, 7]


def test_the_tops_of_a_book_are_there_while_both_sides_are(tmp_path: Path) -> None:
    events: list[Event] = [
        (1, [CLEAR, add("BUY", 5, 1), add("SELL", 7, 1)]),
        (2, [put("SELL", 7, 0)]),
        (3, [put("SELL", 9, 1)]),
        (4, [put("BUY", 6, 1)]),
    ]
    batches = list(book_tops(stream(tmp_path, events), 2, 4))
    found = pa.Table.from_batches(batches).to_pydict()
    assert [int(price) for price in found["bid_price"]] == [5, 5]
    assert [int(price) for price in found["ask_price"]] == [7, 9]
    stamps = pa.Table.from_batches(batches).column("ts_init").cast(pa.int64()).to_pylist()
    assert stamps == [2, 3]  # what stood at the beginning, then the new ask


# --- changed rows ---------------------------------------------------------------------------------


def test_an_added_row_changes_its_events_fingerprint_only() -> None:
    events: list[Event] = [
        (ns, [put("BUY", ns + 1, 1), put("SELL", ns + 9, 2), put("BUY", ns, 0)]) for ns in range(9)
    ]
    before = rows(events)
    marks, unseen = delivery_fingerprints(before, first_rows(before)), 0
    for case in range(270):
        number, place, price = case % 9, case // 9 % 4, 20 + case
        ts_ns, changes = events[number]
        edited = [*changes[:place], put("BUY", price, 1), *changes[place:]]
        after = rows([*events[:number], (ts_ns, edited), *events[number + 1 :]])
        others = delivery_fingerprints(after, first_rows(after))
        different = np.flatnonzero(marks != others).tolist()
        assert different in ([number], [])
        unseen += not different
    assert unseen <= 1  # of 16 bits, one change in 65,536 goes unseen


@pytest.mark.parametrize("column", SCHEMA.names)
def test_a_change_in_any_column_changes_the_fingerprint(column: str) -> None:
    before = rows([(1, [put("BUY", 5, 1), put("BUY", 6, 1)])])
    place = before.column_names.index(column)
    kind = SCHEMA.field(column).type
    if pa.types.is_dictionary(kind):
        other = pa.array(["DELETE" if column == "action" else "SELL"] * 2).dictionary_encode()
    else:
        other = pa.array([77, 77], pa.int64())
    after = before.set_column(place, SCHEMA.field(column), other.cast(kind))
    first = np.array([0])
    assert delivery_fingerprints(before, first) != delivery_fingerprints(after, first)


def test_the_order_of_rows_within_an_event_counts() -> None:
    changes = [put("BUY", 5, 1), put("BUY", 5, 0)]
    one, other = rows([(1, changes)]), rows([(1, changes[::-1])])
    assert delivery_fingerprints(one, first_rows(one)) != delivery_fingerprints(
        other, first_rows(other)
    )
