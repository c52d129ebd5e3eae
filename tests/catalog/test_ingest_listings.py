"""Listings of a whole market: a print at the open and a bar at the close for each code and day."""

from pathlib import Path

import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.ingest.importer import Kind, Options, import_files
from catalog.ingest.listings import is_listing
from catalog.store import Store
from scenarios.calendars import calendar_for
from strategies.errors import BadInput

HEAD = ",Code,ISU_CD,Name,Market,Close,Changes,Open,High,Low,Volume,Amount"
SAMSUNG = "0,005930,KR7005930003,삼성전자,KOSPI,173500,-14700,173500,175500,167300,43066020,7"
LETTERS = "1,0126Z0,KR70126Z0002,삼성에피스홀딩스,KOSPI,510000,-34000,511000,514000,493500,84696,4"
HALTED = "2,001570,KR7001570001,금양,KOSPI,9900,0,0,0,0,0,0"


def listing(folder: Path, day: str, *rows: str) -> str:
    path = folder / f"listing_krx_{day}.csv"
    path.write_text("\ufeff" + "\n".join((HEAD, *rows)) + "\n", "utf-8")
    return str(path)


def load(root: Path, *paths: str) -> tuple[Store, str]:
    store = Store(root)
    options = Options(sessions_of=calendar_for)
    report = import_files(store, paths, options, lambda _done, _total: None)
    assert {file.kind for file in report.files} == {Kind.LISTING}
    return store, "; ".join(report.files[0].notes)


def test_days_of_a_code_come_together(tmp_path: Path) -> None:
    # 2024-01-02 and the day of an entrance examination, 2024-11-14, open at 10:00.
    days = [listing(tmp_path, day, SAMSUNG, LETTERS, HALTED) for day in ("2024-01-02", "20240103")]
    store, notes = load(tmp_path / "c", *days)
    assert [(info.topic, info.rows) for info in store.streams()] == [
        ("005930.KRX", 2),
        ("0126Z0.KRX", 2),
        ("005930.KRX-1-DAY-LAST-EXTERNAL", 2),
        ("0126Z0.KRX-1-DAY-LAST-EXTERNAL", 2),
    ]
    engine = ParquetDataCatalog(str(store.root))
    first, second = engine.query_trade_ticks(["005930.KRX"])
    assert [(each.ts_init // 10**9 + 9 * 3_600) % 86_400 for each in (first, second)] == [
        10 * 3_600,
        9 * 3_600,
    ]
    assert [str(each.size) for each in (first, second)] == ["1", "43066020"]
    bar = engine.query_bars(["0126Z0.KRX-1-DAY-LAST-EXTERNAL"])[0]
    assert (str(bar.open), str(bar.close), str(bar.volume)) == ("511000", "510000", "84696")
    assert "2 codes on 2 days; 2 rows without a trade dropped" in notes


def test_a_later_day_is_added(tmp_path: Path) -> None:
    load(tmp_path / "c", listing(tmp_path, "2026-03-09", SAMSUNG))
    store, _ = load(tmp_path / "c", listing(tmp_path, "2026-03-10", SAMSUNG))
    assert [info.rows for info in store.streams()] == [2, 2]


@pytest.mark.parametrize(
    ("day", "row", "says"),
    [
        ("", SAMSUNG, "does not tell the day"),
        ("2024-02-31", SAMSUNG, "does not tell the day"),
        ("2026-03-09", SAMSUNG.replace("005930", "5930"), "line 2: '5930' is no KRX share code"),
        ("2026-03-09", SAMSUNG.replace("167300", "x"), "line 2: Low is 'x', not a number"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, day: str, row: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        load(tmp_path / "c", listing(tmp_path, day, row))


def test_a_table_with_times_is_no_listing(tmp_path: Path) -> None:
    path = tmp_path / "daily.csv"
    path.write_text("code,date,open,high,low,close,volume\n005930,2024-01-02,1,1,1,1,1\n")
    assert not is_listing(path)
