"""The store: what the engine reads back, and an import that enters whole or not at all."""

import errno
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import (
    AggressorSide,
    Bar,
    BarType,
    Price,
    Quantity,
    QuoteTick,
    TradeId,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.columns import decimals_from_units, labels, times
from catalog.coverage import missing_days
from catalog.inventory import ContentHash, hash_file
from catalog.layout import SCHEMAS, file_name, file_span
from catalog.merge import rows_within
from catalog.read import to_arrow
from catalog.store import Store
from strategies.errors import BadInput, InvariantBroken, RunFailed
from strategies.markets import binance, krx
from strategies.markets.sessions import DAY_NS, ListedSessions
from strategies.ports import StreamKind

BTC = binance.perpetual("BTCUSDT")
MINUTE = BarType.from_str(f"{BTC.id}-1-MINUTE-LAST-EXTERNAL")
T0 = 1_700_000_000_000_000_000


def trades(count: int, start: int = T0, price: int = 500_000) -> pa.Table:
    row = np.arange(count, dtype=np.int64)
    stamps = times(start + row * 1_000)
    columns = [
        decimals_from_units(price + row % 7, 1),
        decimals_from_units(1 + row % 5, 3),
        labels(row % 2, ("BUY", "SELL")),
        pa.array(row).cast(pa.string()),
        stamps,
        stamps,
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMAS[StreamKind.TRADES])


def quotes(count: int) -> pa.Table:
    row = np.arange(count, dtype=np.int64)
    prices = [decimals_from_units(500_000 + row, 1), decimals_from_units(500_001 + row, 1)]
    sizes = [decimals_from_units(1 + row, 3)] * 2
    stamps = times(T0 + row)
    columns = [*prices, *sizes, stamps, stamps]
    return pa.Table.from_arrays(columns, schema=SCHEMAS[StreamKind.QUOTES])


def bars(count: int) -> pa.Table:
    row = np.arange(count, dtype=np.int64)
    prices = [decimals_from_units(500_000 + row + extra, 1) for extra in (0, 9, -9, 3)]
    stamps = times(T0 + row * 60_000_000_000)
    columns = [*prices, decimals_from_units(row, 3), stamps, stamps]
    return pa.Table.from_arrays(columns, schema=SCHEMAS[StreamKind.BARS])


def put(store: Store, table: pa.Table, source: str = "test") -> bool:
    result = store.write(BTC, StreamKind.TRADES, [table], source=source)
    assert result is not None
    return result.added


def tree(root: Path) -> dict[str, bytes]:
    """The data files of a catalog with their content."""
    return {str(path): path.read_bytes() for path in root.glob("data/**/*.parquet")}


def test_the_engine_reads_back_what_was_written(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.importing() as batch:
        batch.write(BTC, StreamKind.TRADES, [trades(3)], source="t")
        batch.write(BTC, StreamKind.QUOTES, [quotes(2)], source="q")
        batch.write(BTC, StreamKind.BARS, [bars(2)], source="b", bar_type=MINUTE)
    engine = ParquetDataCatalog(str(tmp_path))
    assert engine.query_trade_ticks()[2] == TradeTick(
        BTC.id,
        Price.from_str("50000.2"),
        Quantity.from_str("0.003"),
        AggressorSide.BUY,
        TradeId("2"),
        T0 + 2_000,
        T0 + 2_000,
    )
    assert engine.query_quote_ticks()[1] == QuoteTick(
        BTC.id,
        Price.from_str("50000.1"),
        Price.from_str("50000.2"),
        Quantity.from_str("0.002"),
        Quantity.from_str("0.002"),
        T0 + 1,
        T0 + 1,
    )
    text = ("50000.1", "50001.0", "49999.2", "50000.4")
    assert engine.query_bars(identifiers=[str(MINUTE)], start=T0 + 1) == [
        Bar(
            MINUTE,
            *(Price.from_str(price) for price in text),
            Quantity.from_str("0.001"),
            T0 + 60_000_000_000,
            T0 + 60_000_000_000,
        )
    ]
    assert [each.id for each in engine.instruments()] == [BTC.id]
    assert store.instruments()[BTC.id].price_precision == 1


def test_files_are_named_as_the_engine_names_them(tmp_path: Path) -> None:
    mine, theirs = tmp_path / "mine", tmp_path / "theirs"
    put(Store(mine), trades(5))
    theirs.mkdir()
    rows = ParquetDataCatalog(str(mine)).query_trade_ticks()
    ParquetDataCatalog(str(theirs)).write_trade_ticks(rows)
    names = [
        [str(path.relative_to(root)) for path in root.glob("data/trades/**/*.parquet")]
        for root in (mine, theirs)
    ]
    assert names[0] == names[1]
    schemas = [pq.read_schema(root / names[0][0]) for root in (mine, theirs)]
    assert schemas[0].remove_metadata() == schemas[1].remove_metadata()
    assert hash_file(mine / names[0][0]) == hash_file(theirs / names[0][0])


@given(st.tuples(st.integers(0, 4 * 10**18), st.integers(0, 4 * 10**18)))
def test_a_span_survives_its_file_name(span: tuple[int, int]) -> None:
    assert file_span(file_name(*span)) == span


def test_the_same_content_twice_adds_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert put(store, trades(100))
    before = tree(tmp_path)
    assert not put(Store(tmp_path), trades(100), source="another name")
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "other",
    [
        trades(100, price=500_001),
        trades(99, price=500_001),
        trades(50, start=T0 + 99_000),
        trades(200).filter(pa.array([row != 50 for row in range(200)])),
        pa.concat_tables([trades(100), trades(1, start=T0 + 99_000)]),
    ],
    ids=["other prices", "a part with other prices", "a shared edge", "a row less", "a row more"],
)
def test_other_rows_in_a_taken_span_are_refused(tmp_path: Path, other: pa.Table) -> None:
    store = Store(tmp_path)
    put(store, trades(100))
    before = tree(tmp_path)
    with pytest.raises(BadInput, match=r"late\.csv: its .* where the catalog has other rows"):
        put(store, other, source="late.csv")
    assert tree(tmp_path) == before


def test_one_import_may_not_overlap_itself(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="other rows"), Store(tmp_path).importing() as batch:
        batch.write(BTC, StreamKind.TRADES, [trades(100)], source="a")
        batch.write(BTC, StreamKind.TRADES, [trades(90, price=1)], source="b")
    assert tree(tmp_path) == {}


def added(store: Store, table: pa.Table) -> list[tuple[int, bool]]:
    with store.importing() as batch:
        batch.write(BTC, StreamKind.TRADES, [table], source="more")
    return [(result.rows, result.added) for result in batch.results]


@pytest.mark.parametrize(
    ("first", "last", "told"),
    [
        (101, 200, [(99, False)]),
        (0, 300, [(100, True), (100, True), (100, False)]),
        (50, 150, [(50, True), (50, False)]),
        (150, 250, [(50, True), (50, False)]),
    ],
)
def test_overlapping_rows_that_agree_are_kept_once(
    tmp_path: Path, first: int, last: int, told: list[tuple[int, bool]]
) -> None:
    whole = trades(300)
    store = Store(tmp_path)
    put(store, whole.slice(100, 100))
    assert added(store, whole.slice(first, last - first)) == told
    ticks = ParquetDataCatalog(str(tmp_path)).query_trade_ticks()
    begin, end = min(first, 100), max(last, 200)
    assert [tick.ts_init for tick in ticks] == [T0 + 1_000 * row for row in range(begin, end)]
    assert sum(info.rows for info in store.streams()) == end - begin


def test_overlapping_files_of_one_import_merge(tmp_path: Path) -> None:
    whole = trades(300)
    with Store(tmp_path).importing() as batch:
        for first in (0, 100, 50):
            rows = [whole.slice(first, 200)]
            batch.write(BTC, StreamKind.TRADES, rows, source=f"from {first}")
    assert sum(info.rows for info in Store(tmp_path).streams()) == 300


def test_later_rows_make_a_second_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, trades(100, start=T0 + 100_000))
    put(store, trades(100), source="earlier")
    (info,) = store.streams()
    assert (info.files, info.rows, info.first_ns, info.last_ns) == (2, 200, T0, T0 + 199_000)
    assert info.sources == ("earlier", "test")
    assert [file_span(path.name) for path in store.files(StreamKind.TRADES, str(BTC.id))] == [
        (T0, T0 + 99_000),
        (T0 + 100_000, T0 + 199_000),
    ]


def test_an_exception_leaves_the_catalog_as_it_was(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, trades(10))
    before = tree(tmp_path)
    with pytest.raises(ZeroDivisionError), store.importing() as batch:
        batch.write(BTC, StreamKind.TRADES, [trades(10, start=T0 + 10**9)], source="x")
        batch.write(BTC, StreamKind.QUOTES, [quotes(10)], source="x")
        _ = 1 // 0
    assert tree(tmp_path) == before
    assert list(tmp_path.glob(".staging/*")) == []


def test_a_killed_import_is_cleaned_up_by_the_next(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from catalog.store import Store\n"
        "from strategies.ports import StreamKind\n"
        "with Store(Path(sys.argv[1])).importing() as batch:\n"
        "    batch.open(StreamKind.TRADES, 'BTCUSDT-PERP.BINANCE')\n"
        "    os._exit(9)\n"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=root, check=False)
    assert done.returncode == 9
    assert len(list(tmp_path.glob(".staging/*"))) == 1
    put(Store(tmp_path), trades(10))
    assert list(tmp_path.glob(".staging/*")) == []


def test_an_import_killed_between_its_moves_is_undone(tmp_path: Path) -> None:
    put(Store(tmp_path), trades(10))
    before = tree(tmp_path)
    staging = tmp_path / ".staging" / "dead"
    staging.mkdir(parents=True)
    (staging / "alive").touch()
    moved = tmp_path / "data/trades/BTCUSDT-PERP.BINANCE" / file_name(T0 + 10**9, T0 + 2 * 10**9)
    moved.write_bytes(b"moved already")
    waiting = staging / "1.parquet"
    waiting.write_bytes(b"not moved yet")
    plan = [[str(staging / "0.parquet"), str(moved)], [str(waiting), str(tmp_path / "data/x")]]
    (staging / "commit.json").write_text(json.dumps(plan))
    Store(tmp_path)
    assert tree(tmp_path) == before
    assert not staging.exists()


def test_an_import_under_way_is_left_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.importing() as batch:
        batch.write(BTC, StreamKind.QUOTES, [quotes(4)], source="first")
        put(Store(tmp_path), trades(10), source="second, meanwhile")
    assert {info.kind: info.rows for info in store.streams()} == {
        StreamKind.TRADES: 10,
        StreamKind.QUOTES: 4,
    }


def test_rows_must_ascend(tmp_path: Path) -> None:
    with pytest.raises(InvariantBroken, match="order of ts_init"):
        put(Store(tmp_path), trades(10).take(list(range(9, -1, -1))))
    late, early = trades(10), trades(10, start=T0 - 10**9)
    with pytest.raises(InvariantBroken, match="order of ts_init"):
        Store(tmp_path).write(BTC, StreamKind.TRADES, [late, early], source="x")


def test_row_groups_are_bounded_and_rows_counted(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, trades(150_000))
    (path,) = store.files(StreamKind.TRADES, str(BTC.id))
    metadata = pq.read_metadata(path)
    sizes = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sum(sizes) == 150_000
    assert max(sizes) <= 65_536


@pytest.mark.parametrize("keep", [0, 10, 400])
def test_a_truncated_file_is_named(tmp_path: Path, keep: int) -> None:
    store = Store(tmp_path)
    put(store, trades(1000))
    (path,) = store.files(StreamKind.TRADES, str(BTC.id))
    path.write_bytes(path.read_bytes()[:keep])
    for broken in (
        store.streams,
        lambda: store.slice_hash(StreamKind.TRADES, str(BTC.id), 0, 2**62),
    ):
        with pytest.raises(BadInput, match="cannot be read as Parquet") as error:
            broken()
        assert str(path) in str(error.value)


def _pages(path: Path) -> range:
    """Return where a file's pages lie: behind the magic, before the footer and its length."""
    data = path.read_bytes()
    return range(4, len(data) - 8 - int.from_bytes(data[-8:-4], "little"))


def test_a_flipped_byte_anywhere_in_the_rows_is_found_and_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, trades(300))
    (path,) = store.files(StreamKind.TRADES, str(BTC.id))
    good = path.read_bytes()
    before = to_arrow(store, StreamKind.TRADES, str(BTC.id))
    silent = []
    for at in _pages(path)[::7]:
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
        try:
            found = to_arrow(store, StreamKind.TRADES, str(BTC.id))
        except BadInput as error:
            assert str(path) in str(error)
        else:
            silent += [] if found.equals(before) else [at]  # some bytes of headers mean nothing
    assert silent == []


def test_every_way_to_read_rows_names_the_damaged_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, pa.concat_tables([trades(300), trades(300, T0 + DAY_NS)]))
    (path,) = store.files(StreamKind.TRADES, str(BTC.id))
    good = path.read_bytes()
    column = SCHEMAS[StreamKind.TRADES].get_field_index("ts_init")
    stamps = pq.read_metadata(path).row_group(0).column(column)
    at = stamps.data_page_offset + stamps.total_compressed_size - 50
    path.write_bytes(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])
    for read in (
        lambda: hash_file(path),
        lambda: list(rows_within(StreamKind.TRADES, path, (0, 2**62))),
        lambda: missing_days(store, store.streams()[0], ListedSessions([])),
    ):
        with pytest.raises(BadInput, match="cannot be read as Parquet") as error:
            read()
        assert str(path) in str(error.value)


def test_files_written_without_checksums_are_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, trades(300))
    (path,) = store.files(StreamKind.TRADES, str(BTC.id))
    rows = to_arrow(store, StreamKind.TRADES, str(BTC.id))
    pq.write_table(rows, path)
    assert to_arrow(store, StreamKind.TRADES, str(BTC.id)).equals(rows)


@pytest.mark.parametrize("below", [".", "catalog", "deep/er"])
def test_a_place_where_no_catalog_can_be_is_bad_input(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine")
    root = tmp_path / "file" / below
    with pytest.raises(BadInput, match=r"cannot be written \(.+\): set ONETAPE_HOME") as error:
        put(Store(root), trades(10))
    assert str(error.value).startswith(str(root))
    assert (tmp_path / "file").read_text() == "mine"


def test_a_full_disk_is_no_fault_of_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(RunFailed, match="No space left on device"):
        put(Store(tmp_path / "catalog"), trades(10))


def test_a_truncated_instrument_is_named(tmp_path: Path) -> None:
    put(Store(tmp_path), trades(10))
    (path,) = tmp_path.glob("data/crypto_perpetual/*/*.parquet")
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(BadInput, match="crypto_perpetual"):
        Store(tmp_path).instruments()


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_the_content_hash_does_not_depend_on_chunks(cuts: list[int]) -> None:
    table = trades(sum(cuts))
    whole, parts = ContentHash(table.schema), ContentHash(table.schema)
    whole.update(table)
    at = 0
    for cut in cuts:
        parts.update(table.slice(at, cut))
        at += cut
    assert whole.digest({}) == parts.digest({})


@pytest.mark.parametrize("column", range(6))
def test_the_content_hash_sees_every_column(column: int) -> None:
    table = trades(20)
    changed = table.column(column).take([0, 0, *range(2, 20)])
    other = table.set_column(column, table.schema.field(column), changed)
    digests = []
    for each in (table, other):
        content = ContentHash(table.schema)
        content.update(each)
        digests.append(content.digest({}))
    assert digests[0] != digests[1]


def test_a_slice_hash_covers_the_files_that_overlap(tmp_path: Path) -> None:
    store, topic = Store(tmp_path), str(BTC.id)
    put(store, trades(100))

    def early() -> str:
        return Store(tmp_path).slice_hash(StreamKind.TRADES, topic, T0, T0 + 50_000)

    first = early()
    put(store, trades(100, start=T0 + 10**9))
    assert early() == first
    assert store.slice_hash(StreamKind.TRADES, topic, T0, T0 + 10**9) != first
    (tmp_path / "inventory.json").unlink()
    assert early() == first
    path = store.files(StreamKind.TRADES, topic)[0]
    changed = pq.read_table(path)
    pq.write_table(changed.slice(1), path)
    assert early() != first


def test_an_instrument_is_defined_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    put(store, trades(10))
    finer = binance.perpetual("BTCUSDT", binance.Steps("BTC", "USDT", "0.01", "0.001"))
    with pytest.raises(BadInput, match="is in the catalog as CryptoPerpetual with 1 price"):
        store.write(finer, StreamKind.QUOTES, [quotes(3)], source="x")
    assert [info.kind for info in store.streams()] == [StreamKind.TRADES]


def test_adjusted_shares_stay_marked(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.importing() as batch:
        batch.add_instrument(krx.equity("005930", adjusted=True))
    (known,) = store.instruments().values()
    assert known.info == {"adjusted": True}


def test_an_empty_catalog_lists_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "nowhere")
    assert (store.streams(), store.instruments()) == ([], {})
    assert not (tmp_path / "nowhere").exists()
