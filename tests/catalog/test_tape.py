"""The tape: one order whatever the window size, exact cuts in time, prints, and changed rows found.

The rows are written here with small row groups, so that every seam is crossed.
"""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nautilus_trader.model import InstrumentId, TradeTick

from catalog import tape, tape_rows
from catalog.tape import (
    UNDELIVERED,
    OpeningPrints,
    TapeStream,
    Window,
    interval_ns_of,
    pack_sources,
    read_windows,
    unpack_sources,
)
from catalog.tape_rows import TS, TapeEvent, fingerprints
from strategies.errors import BadInput
from strategies.markets.sessions import ContinuousDays, ListedSessions, Session
from strategies.ports import StreamKind

DECIMAL = pa.decimal128(38, 16)
MINUTE_NS = 60_000_000_000
DAY_NS = 1_440 * MINUTE_NS


def decimals(values: Sequence[object]) -> pa.Array:
    return pa.array([Decimal(str(value)) for value in values], DECIMAL)


def stamps(values: Sequence[int]) -> pa.Array:
    return pa.array(values, pa.int64()).cast(TS)


def write(path: Path, table: pa.Table, group_rows: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group_rows)
    return path


def trades(times: Sequence[int], name: str, metadata: dict[str, str]) -> pa.Table:
    """Return trades whose ids say their stream and row: the order is read off them."""
    count = len(times)
    sides = pa.array(["BUY"] * count, pa.string()).dictionary_encode()
    columns = [
        decimals([f"{100 + i}.5" for i in range(count)]),
        decimals(["1"] * count),
        sides.cast(pa.dictionary(pa.int8(), pa.string())),
        pa.array([f"{name}-{i}" for i in range(count)], pa.string()),
        stamps(times),
        stamps(times),
    ]
    table = pa.table(columns, names=tape_rows.COLUMNS[StreamKind.TRADES])
    return table.replace_schema_metadata(metadata)


def stream(
    folder: Path, name: str, times: Sequence[int], *, group_rows: int = 3, delivered: bool = True
) -> TapeStream:
    """Write one stream of trades."""
    instrument_id = InstrumentId.from_str(f"{name}.SIM")
    meta = {"instrument_id": str(instrument_id), "price_precision": "1", "size_precision": "0"}
    path = write(folder / f"{name}.parquet", trades(times, name, meta), group_rows)
    return TapeStream(
        StreamKind.TRADES, str(instrument_id), instrument_id, 1, 0, (path,), delivered
    )


def read(
    streams: Sequence[TapeStream],
    chunk_rows: int,
    start_ns: int | None = None,
    end_ns: int | None = None,
    prints: Sequence[OpeningPrints] = (),
) -> list[Window]:
    """Read a tape whole; the events are copied, because a window's own may be emptied."""
    return list(read_windows(streams, prints, start_ns, end_ns, chunk_rows))


def ids(windows: Sequence[Window]) -> list[str]:
    return [str(event.trade_id) for window in windows for event in window.events]  # type: ignore[union-attr]  # trades only


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a window be as small as its chunk says, so that a few rows make many of them."""
    monkeypatch.setattr(tape, "ROWS_PER_STREAM_MIN", 1)


TIMES = st.lists(st.integers(0, 6), max_size=14).map(sorted)


@pytest.mark.usefixtures("small_batches")
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(TIMES, min_size=1, max_size=4),
    st.integers(1, 5),
    st.tuples(st.none() | st.integers(0, 7), st.none() | st.integers(0, 7)),
    st.integers(0, 3),
)
def test_the_order_is_time_then_stream_then_row_for_any_chunk(
    tmp_path_factory: pytest.TempPathFactory,
    all_times: list[list[int]],
    group_rows: int,
    window: tuple[int | None, int | None],
    undelivered: int,
) -> None:
    folder = tmp_path_factory.mktemp("tape")
    streams = [
        stream(folder, f"S{i}", times, group_rows=group_rows, delivered=i != undelivered)
        for i, times in enumerate(all_times)
    ]
    start, end = window
    expected = sorted(
        (ns, i, row)
        for i, times in enumerate(all_times)
        for row, ns in enumerate(times)
        if (start is None or ns >= start) and (end is None or ns < end)
    )
    heard = [(ns, i) for ns, i, _ in expected if i != undelivered]
    for chunk_rows in (1, 2, 7, 1_000):
        windows = read(streams, chunk_rows, start, end)
        assert ids(windows) == [f"S{i}-{row}" for _, i, row in expected]
        told = [
            pair
            for w in windows
            for pair in zip(w.delivered_ns.tolist(), w.sources.tolist(), strict=True)
        ]
        assert told == heard
        ends = [w.events[-1].ts_init for w in windows]
        assert all(
            before < w.events[0].ts_init for before, w in zip(ends, windows[1:], strict=False)
        )


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("chunk_rows", [1, 2, 5, 64])
def test_blocks_tell_every_row_once_in_order(tmp_path: Path, chunk_rows: int) -> None:
    streams = [stream(tmp_path, "A", [1, 1, 2, 5, 5, 5, 9]), stream(tmp_path, "B", [1, 5, 5, 7])]
    blocks = [block for window in read(streams, chunk_rows) for block in window.blocks]
    for each in streams:
        mine = [block for block in blocks if block.topic == each.topic]
        assert [b.first_row for b in mine] == list(
            np.cumsum([0, *[len(b.fingerprints) for b in mine]])[:-1]
        )
        whole = np.concatenate([b.fingerprints for b in mine])
        columns = list(tape_rows.COLUMNS[StreamKind.TRADES])
        rows = fingerprints(pq.read_table(each.files[0], columns=columns))
        assert whole.tolist() == rows.tolist()


@pytest.mark.usefixtures("small_batches")
def test_one_moment_longer_than_any_batch_stays_in_one_window(tmp_path: Path) -> None:
    long = [5] * 200
    streams = [
        stream(tmp_path, "A", [1, *long, 9, 11], group_rows=7),
        stream(tmp_path, "B", [*long[:30], 9, 11], group_rows=4),
    ]
    windows = read(streams, 2)
    together = [w for w in windows if w.events[0].ts_init == 5]
    assert len(together) == 1
    assert sum(e.ts_init == 5 for e in together[0].events) == 230
    assert ids(windows) == ids(read(streams, 10_000))


@pytest.mark.usefixtures("small_batches")
def test_streams_of_many_files_and_groups_go_on_where_one_ends(tmp_path: Path) -> None:
    first, second = stream(tmp_path / "1", "A", [1, 2, 3]), stream(tmp_path / "2", "A", [4, 5])
    empty = stream(tmp_path / "0", "A", [])
    joined = TapeStream(
        first.kind,
        first.topic,
        first.instrument_id,
        1,
        0,
        (*first.files, *empty.files, *second.files),
    )
    windows = read([joined], 1)
    assert [e.ts_init for w in windows for e in w.events] == [1, 2, 3, 4, 5]
    assert [b.first_row for w in windows for b in w.blocks][-1] == 4


def test_a_tape_with_nothing_in_its_window_has_no_windows(tmp_path: Path) -> None:
    only = [stream(tmp_path, "A", [1, 2, 3])]
    assert read(only, 10, 4, None) == []
    assert read(only, 10, None, 1) == []
    assert read(only, 10, 2, 2) == []
    assert [e.ts_init for w in read(only, 10, 2, 3) for e in w.events] == [2]


def test_an_undelivered_stream_moves_the_venue_and_is_not_counted(tmp_path: Path) -> None:
    streams = [stream(tmp_path, "A", [1, 3]), stream(tmp_path, "Q", [1, 2], delivered=False)]
    (window,) = read(streams, 10)
    assert ids([window]) == ["A-0", "Q-0", "Q-1", "A-1"]
    assert window.delivered_ns.tolist() == [1, 3]
    assert UNDELIVERED not in window.sources


# --- the prints that bars open with --------------------------------------------------------------


def bars(folder: Path, step: str, closes: Sequence[int], volumes: Sequence[object]) -> TapeStream:
    instrument_id = InstrumentId.from_str("B.SIM")
    topic = f"{instrument_id}-{step}-LAST-EXTERNAL"
    opens = decimals([100 + i for i in range(len(closes))])
    meta = {"bar_type": topic, "price_precision": "0", "size_precision": "0"}
    columns = [opens, opens, opens, opens, decimals(volumes), stamps(closes), stamps(closes)]
    table = pa.table(columns, names=tape_rows.COLUMNS[StreamKind.BARS]).replace_schema_metadata(
        meta
    )
    path = write(folder / "bars.parquet", table, 2)
    return TapeStream(StreamKind.BARS, topic, instrument_id, 0, 0, (path,))


def opening(windows: Sequence[Window]) -> list[tuple[int, str]]:
    events: list[TapeEvent] = [e for w in windows for e in w.events]
    return [(e.ts_init, str(e.price)) for e in events if isinstance(e, TradeTick)]


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("chunk_rows", [1, 3, 100])
def test_a_bar_opens_with_a_print_one_interval_before_its_close(
    tmp_path: Path, chunk_rows: int
) -> None:
    closes = [k * MINUTE_NS for k in range(1, 7)]
    source = bars(tmp_path, "1-MINUTE", closes, [5, 0, 5, 5, 0, 5])
    windows = read([source], chunk_rows, prints=[OpeningPrints(source, ContinuousDays())])
    # A bar without volume had no trade to open with.
    assert opening(windows) == [
        (0, "100"),
        (2 * MINUTE_NS, "102"),
        (3 * MINUTE_NS, "103"),
        (5 * MINUTE_NS, "105"),
    ]
    delivered = [ns for w in windows for ns in w.delivered_ns.tolist()]
    assert delivered == closes
    # At one moment the bar that ends comes before the print that opens the next.
    order = [(e.ts_init, type(e).__name__) for w in windows for e in w.events]
    assert order.index((2 * MINUTE_NS, "Bar")) < order.index((2 * MINUTE_NS, "TradeTick"))
    assert all(block.kind is StreamKind.BARS for w in windows for block in w.blocks)


def test_prints_before_the_start_are_cut_with_everything_else(tmp_path: Path) -> None:
    closes = [k * MINUTE_NS for k in range(1, 4)]
    source = bars(tmp_path, "1-MINUTE", closes, [5, 5, 5])
    prints = [OpeningPrints(source, ContinuousDays())]
    windows = read([source], 100, MINUTE_NS, 2 * MINUTE_NS + 1, prints)
    assert [t for t, _ in opening(windows)] == [MINUTE_NS, 2 * MINUTE_NS]
    assert [ns for w in windows for ns in w.delivered_ns.tolist()] == [MINUTE_NS, 2 * MINUTE_NS]


def test_a_day_opens_at_its_session(tmp_path: Path) -> None:
    sessions = ListedSessions(
        [
            Session(10 * DAY_NS + 9 * MINUTE_NS, 10 * DAY_NS + 100 * MINUTE_NS),
            Session(11 * DAY_NS + 19 * MINUTE_NS, 11 * DAY_NS + 60 * MINUTE_NS),
        ]
    )
    closes = [10 * DAY_NS + 100 * MINUTE_NS, 11 * DAY_NS + 60 * MINUTE_NS]
    source = bars(tmp_path, "1-DAY", closes, [5, 5])
    windows = read([source], 100, prints=[OpeningPrints(source, sessions)])
    assert [t for t, _ in opening(windows)] == [
        10 * DAY_NS + 9 * MINUTE_NS,
        11 * DAY_NS + 19 * MINUTE_NS,
    ]


def test_only_bars_of_time_have_an_interval() -> None:
    from nautilus_trader.model import BarType

    def interval(step: str) -> int:
        return interval_ns_of(BarType.from_str(f"A.SIM-{step}-LAST-EXTERNAL"))

    assert interval("5-MINUTE") == 5 * MINUTE_NS
    assert interval("1-DAY") == DAY_NS
    for step in ("100-TICK", "1-MONTH"):
        with pytest.raises(BadInput, match="is not a time bar; use seconds"):
            interval(step)


# --- rows that changed ---------------------------------------------------------------------------


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["price", "size", "ts_event", "ts_init"]),
    st.integers(0, 5),
    st.integers(1, 2**40),
)
def test_a_changed_number_changes_its_rows_fingerprint_only(
    column: str, row: int, delta: int
) -> None:
    table = trades([1, 2, 3, 4, 5, 6], "A", {})
    place = table.column_names.index(column)
    field = table.column(column).chunk(0)
    values = field.cast(pa.int64()).to_pylist() if pa.types.is_timestamp(field.type) else None
    if values is None:
        numbers = field.to_pylist()
        numbers[row] += Decimal(delta).scaleb(-16)
        changed = pa.array(numbers, DECIMAL)
    else:
        values[row] += delta
        changed = stamps(values)
    before = fingerprints(table)
    after = fingerprints(table.set_column(place, column, changed))
    different = np.flatnonzero(before != after).tolist()
    assert set(different) <= {row}
    # 16 bits: one change in 65,536 goes unseen here, and a slice's SHA-256 sees it.
    assert different == [row] or before[row] == after[row]


def test_changes_are_missed_no_oftener_than_16_bits_allow() -> None:
    table = trades(list(range(4_000)), "A", {})
    numbers = [v + Decimal("0.1") for v in table.column("price").to_pylist()]
    after = fingerprints(table.set_column(0, "price", pa.array(numbers, DECIMAL)))
    assert int((fingerprints(table) == after).sum()) <= 3


def test_fingerprints_do_not_depend_on_how_the_rows_are_held() -> None:
    table = trades(list(range(20)), "A", {})
    pieces = [table.slice(0, 7), table.slice(7, 1), table.slice(8)]
    whole = fingerprints(table)
    assert fingerprints(pa.concat_tables(pieces)).tolist() == whole.tolist()
    assert np.concatenate([fingerprints(p) for p in pieces]).tolist() == whole.tolist()
    assert fingerprints(table.slice(0, 0)).tolist() == []


# --- files that cannot be read -------------------------------------------------------------------


def test_a_damaged_file_is_named_with_the_way_out(tmp_path: Path) -> None:
    source = stream(tmp_path, "A", list(range(500)), group_rows=50)
    (path,) = source.files
    good = path.read_bytes()
    damages = {
        "cut": good[: len(good) // 2],
        "empty": b"",
        "text": b"time,price\n1,2\n",
        "footer": good[:-40] + bytes(40),
        "no end": good[:-4],
    }
    for how, data in damages.items():
        path.write_bytes(data)
        with pytest.raises(BadInput) as caught:
            read([source], 100)
        text = str(caught.value)
        assert text.startswith(f"{path} cannot be read as Parquet ("), how
        assert "import" in text
        assert "\n" not in text
    path.unlink()
    with pytest.raises(BadInput, match="cannot be read as Parquet"):
        read([source], 100)
    path.mkdir()
    with pytest.raises(BadInput, match="cannot be read as Parquet"):
        read([source], 100)


def test_a_file_with_other_columns_is_named(tmp_path: Path) -> None:
    source = stream(tmp_path, "A", [1, 2])
    (path,) = source.files
    other = pq.read_table(path).drop_columns(["price"])
    write(path, other, 10)
    with pytest.raises(BadInput, match=r"A\.parquet has no column price; remove it and import"):
        read([source], 100)


def test_rows_that_are_no_trades_are_named_by_folder_and_time(tmp_path: Path) -> None:
    source = stream(tmp_path, "A", [1, 2])
    (path,) = source.files
    table = pq.read_table(path)
    write(path, table.set_column(1, "size", decimals(["-1", "1"])), 10)
    with pytest.raises(BadInput, match=r"holds rows that are no trades between ts_init 1 and 2"):
        read([source], 100)


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, 255, 256, 4_000]), st.integers(1, 9))))
def test_the_order_of_delivery_is_packed_without_loss(runs: list[tuple[int, int]]) -> None:
    order = np.array([source for source, count in runs for _ in range(count)], np.uint16)
    assert unpack_sources(pack_sources(order)).tolist() == order.tolist()
