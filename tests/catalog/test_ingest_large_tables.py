"""Large tables: read in chunks, they become what they would become as a whole."""

import gzip
import re
import tracemalloc
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet
import pytest

from catalog.ingest import large_tables
from catalog.ingest.importer import Options, import_files
from catalog.quality_raw import check_file, check_sheets
from catalog.read import to_arrow
from catalog.store import Store
from strategies.errors import BadInput
from strategies.ports import StreamKind

TOPIC = "BTCUSDT.BINANCE_SPOT-1-MINUTE-LAST-EXTERNAL"
HEAD = "timestamp,open,high,low,close,volume"


def rows(count: int) -> list[str]:
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    times = (begin + timedelta(minutes=i) for i in range(count))
    return [
        f"{time:%Y-%m-%d %H:%M:%S},100,{101 + i % 9},99.{i % 10},100,0.{i:05d}"
        for i, time in enumerate(times)
    ]


def load(folder: Path, *lines: str, name: str = "BTC_USDT-1m.csv") -> tuple[pa.Table, str]:
    text = "\n".join((HEAD, *lines)) + "\n"
    path = folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return imported(path)


def imported(path: Path) -> tuple[pa.Table, str]:
    store = Store(path.parent / f"{path.name}.catalog")
    report = import_files(store, [str(path)], Options(), lambda _done, _total: None)
    return to_arrow(store, StreamKind.BARS, TOPIC), "; ".join(report.files[0].notes)


@pytest.fixture(autouse=True)
def everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_tables, "LARGE_BYTES", 1)
    monkeypatch.setattr(large_tables, "CHUNK_ROWS", 100)
    chunked = large_tables.import_large.__defaults__
    assert chunked is not None
    monkeypatch.setattr(large_tables.import_large, "__defaults__", (4_096,))


@pytest.mark.parametrize("name", ["BTC_USDT-1m.csv", "BTC_USDT-1m.csv.gz"])
def test_chunks_make_what_the_whole_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    given = rows(1_000)
    del given[500]
    given[700] = given[699]
    chunked, notes = load(tmp_path, *given, name=name)
    monkeypatch.setattr(large_tables, "LARGE_BYTES", 1 << 30)
    (tmp_path / "whole").mkdir()
    whole, _ = load(tmp_path / "whole", *given, name=name)
    assert chunked.equals(whole)
    assert chunked.num_rows == 998
    assert "1 row repeating the row before (line 702), dropped" in notes


@pytest.mark.parametrize("suffix", ["parquet", "feather"])
def test_binary_tables_come_in_chunks_too(tmp_path: Path, suffix: str) -> None:
    expected, _ = load(tmp_path, *rows(350))
    table = pa.csv.read_csv(tmp_path / "BTC_USDT-1m.csv")
    path = tmp_path / f"BTC_USDT-1m.{suffix}"
    if suffix == "parquet":
        pa.parquet.write_table(table, path)
    else:
        pa.feather.write_feather(table, str(path), chunksize=60)
    found, _ = imported(path)
    assert found.equals(expected)


@pytest.mark.parametrize("at", [0, 37, 700])
def test_a_wrong_cell_is_named_by_its_line(tmp_path: Path, at: int) -> None:
    given = rows(800)
    given[at] = given[at].replace("100", "oops", 1)
    with pytest.raises(BadInput, match=rf"line {at + 2}: open is 'oops', not a number"):
        load(tmp_path, *given)


def test_rows_that_contradict_each_other_across_chunks_are_refused(tmp_path: Path) -> None:
    for at in range(60, 140):
        given = rows(200)
        given[at] = given[at - 1].replace(",100,", ",100.5,", 1)
        with pytest.raises(BadInput, match=rf"line {at + 2}: open is 100.5, and line {at + 1} has"):
            load(tmp_path, *given)


def test_rows_out_of_order_over_chunks_are_refused(tmp_path: Path) -> None:
    given = rows(500)
    with pytest.raises(BadInput, match="sort it by time first"):
        load(tmp_path, *given[250:], *given[:250])


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        (tmp_path / str(count)).mkdir()
        path = tmp_path / str(count) / "BTC_USDT-1m.csv"
        path.write_text("\n".join((HEAD, *rows(count))) + "\n")
        store = Store(path.parent / "catalog")
        tracemalloc.start()
        import_files(store, [str(path)], Options(), lambda _done, _total: None)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small, large = peak(8_000), peak(24_000)
    assert large < 1.3 * small


def test_a_large_table_is_checked_in_chunks_as_a_whole_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = rows(1_000)
    given[300] = given[300].replace(",99.", ",199.")
    given[500], given[501] = given[501], given[500]
    given[700] = given[699]
    given[900] = given[900].replace(":00,100", ":07,0", 1)
    path = tmp_path / "BTC_USDT-1m.csv"
    path.write_text("\n".join((HEAD, *given)) + "\n")
    chunked = check_file(path)
    sheets = list(large_tables.sheets_of(path, "UTC", chunk_bytes=4_096))
    assert len(sheets) > 5
    in_small = check_sheets(path, sheets)
    monkeypatch.setattr(large_tables, "LARGE_BYTES", 1 << 30)
    whole = check_file(path)
    assert {each.rule for each in whole} >= {"range", "time-back", "duplicate", "off-interval"}
    assert sorted(map(str, in_small)) == sorted(map(str, whole))
    assert sorted(map(str, chunked)) == sorted(map(str, whole))


def test_minutes_of_a_share_may_be_a_large_table(tmp_path: Path) -> None:
    path = tmp_path / "005930_1m.csv"
    lines = [line.replace("99.", "99").replace("0.0", "10") for line in rows(300)]
    whole = [re.sub(r",99\d", ",99", line) for line in lines]
    path.write_text("\n".join((HEAD, *whole)) + "\n")
    store = Store(tmp_path / "c")
    import_files(store, [str(path)], Options(), lambda _done, _total: None)
    (info,) = store.streams()
    assert info.topic == "005930.KRX-1-MINUTE-LAST-EXTERNAL"
    seoul_ns = 9 * 3_600 * 10**9
    assert info.first_ns == 1_704_067_200 * 10**9 - seoul_ns + 60 * 10**9
