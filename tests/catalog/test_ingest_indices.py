"""Index tables: bars of instruments nobody can trade, none of them known before it was."""

from pathlib import Path

import pytest
from nautilus_trader.model import IndexInstrument
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.ingest.importer import FileReport, Kind, Options, import_files
from catalog.store import Store
from scenarios.calendars import calendar_for
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.instruments import facts_of
from strategies.markets.sessions import DAY_NS, ContinuousDays

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
real = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")
JAN_2_2024 = 1_704_153_600 * 10**9


def load(path: Path, root: Path, **options: object) -> tuple[Store, FileReport]:
    store = Store(root)
    chosen = Options(sessions_of=calendar_for, **options)  # type: ignore[arg-type] # keywords of a test
    report = import_files(store, [str(path)], chosen, lambda _done, _total: None)
    return store, report.files[0]


def table(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_index_is_known_at_the_end_of_its_day(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "sp500.csv",
        "Date,Open,High,Low,Close,Adj Close,Volume",
        "1/2/2024,4745.2,4754.33,4722.67,4742.83,4742.83,3743050000",
        "1/16/2024,4725.07,4744.23,4714.82,4765.98,4765.98,4260550000",
    )
    store, report = load(path, tmp_path / "c")
    first, _ = ParquetDataCatalog(str(store.root)).query_bars()
    assert (str(first.bar_type), first.ts_init) == (
        "SP500.INDEX-1-DAY-LAST-EXTERNAL",
        JAN_2_2024 + DAY_NS,
    )
    assert (str(first.close), str(first.volume)) == ("4742.83", "3743050000")
    assert report.kind is Kind.INDEX
    (instrument,) = store.instruments().values()
    assert isinstance(instrument, IndexInstrument)


def test_nobody_trades_an_index(tmp_path: Path) -> None:
    path = table(tmp_path, "vix.csv", "Date,vix", "1/13/2024,12.7")
    store, _ = load(path, tmp_path / "c")
    (instrument,) = store.instruments().values()
    market = krx.market(ContinuousDays(), venue="INDEX")
    with pytest.raises(BadInput, match="IndexInstrument"):
        facts_of(instrument, market)


def test_an_index_of_krx_is_known_at_the_close(tmp_path: Path) -> None:
    rows = ("2016-07-29,2010,2020,2000,2016.19,5", "2024-01-02,2645.47,2675.8,2641.55,2669.81,7")
    path = table(tmp_path, "kospi_index_ks11.csv", "Date,Open,High,Low,Close,Volume", *rows)
    store, _ = load(path, tmp_path / "c")
    early, late = ParquetDataCatalog(str(store.root)).query_bars()
    assert str(late.bar_type) == "KS11.INDEX-1-DAY-LAST-EXTERNAL"
    assert early.ts_init % DAY_NS == 6 * 3_600 * 10**9  # 15:00 in Seoul
    assert late.ts_init == JAN_2_2024 + 6 * 3_600 * 10**9 + 30 * 60 * 10**9


def test_values_alone_are_bars_that_stand_still(tmp_path: Path) -> None:
    path = table(tmp_path, "wti.csv", "Date,DCOILWTICO", "1/23/2024,70.62", "1/24/2024,.")
    store, report = load(path, tmp_path / "c")
    (bar,) = ParquetDataCatalog(str(store.root)).query_bars()
    assert {str(each) for each in (bar.open, bar.high, bar.low, bar.close)} == {"70.62"}
    assert str(bar.volume) == "0"
    assert "1 row without a price (line 3), dropped" in report.notes


def test_months_of_several_values_are_known_when_the_month_is_over(tmp_path: Path) -> None:
    rows = ("Date,Mkt-RF,SMB", "202312,4.87,6.34", "202401,0.7,-5.1")
    path = table(tmp_path, "values.csv", *rows)
    store, _ = load(path, tmp_path / "c", instrument="VALUES.INDEX")
    bars = ParquetDataCatalog(str(store.root)).query_bars()
    values = sorted((str(bar.bar_type.instrument_id), bar.ts_init, str(bar.close)) for bar in bars)
    assert values[1:3] == [
        ("VALUES_MKTRF.INDEX", 1_706_745_600 * 10**9, "0.70"),
        ("VALUES_SMB.INDEX", 1_704_067_200 * 10**9, "6.34"),
    ]
    assert values[3][2] == "-5.10"


def test_any_table_is_an_index_where_it_is_told(tmp_path: Path) -> None:
    path = table(tmp_path, "mine.csv", "Date,x", "2024-01-02,1.5")
    store, _ = load(path, tmp_path / "c", instrument="MINE.INDEX")
    assert [info.topic for info in store.streams()] == ["MINE.INDEX-1-DAY-LAST-EXTERNAL"]
    with pytest.raises(BadInput, match=r"give --instrument KS11\.INDEX"):
        load(path, tmp_path / "d", kind=Kind.INDEX)


@real
@pytest.mark.real_data
@pytest.mark.parametrize(
    ("pattern", "rows"),
    [
        ("bars/nasdaq.csv.gz", 5_031),
        ("bars/sp500.csv.gz", 5_031),
        ("bars/vix.csv.gz", 1_259),
        ("bars/wti.csv.gz", 8_321),
        ("krx/cross_section/kospi_index_ks11_all_years.csv.gz", 7_784),
    ],
)
def test_real_index_tables(tmp_path: Path, pattern: str, rows: int) -> None:
    store, _ = load(DATA / pattern, tmp_path)
    assert sum(info.rows for info in store.streams()) == rows
