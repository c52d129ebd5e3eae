"""KRX days: a print at 09:00 and a bar at 15:30, halts left out, adjusted series marked."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from nautilus_trader.model import AggressorSide, InstrumentId
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.ingest.importer import Kind, Options, import_files
from catalog.ingest.instruments import Grid
from catalog.store import Store
from scenarios.calendars import calendar_for
from strategies.errors import BadInput
from strategies.markets.sessions import DAY_NS

HEADER = "일자,시가,고가,저가,종가,거래량"
DAYS = (
    "20240102,4580,4600,4330,4360,100.0",
    "20240103,4260,4410,4160,4370,250.0",
    "20240104,4390,4480,4340,4420,90.0",
)


def days(folder: Path, *rows: str, name: str = "A005930.csv") -> Path:
    path = folder / name
    path.write_text("\n".join((HEADER, *rows)), "utf-8")
    return path


def load(path: Path, **options: object) -> tuple[Store, str]:
    store = Store(path.parent / "catalog")
    chosen = Options(**options)  # type: ignore[arg-type] # keywords of a test
    report = import_files(store, [str(path)], chosen, lambda _done, _total: None)
    assert report.files[0].kind is Kind.KRX_DAILY
    return store, "; ".join(report.files[0].notes)


def seoul_ns(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Seoul"))
    return int(moment.timestamp()) * 1_000_000_000


def test_a_day_is_a_print_and_a_bar(tmp_path: Path) -> None:
    store, _ = load(days(tmp_path, *DAYS))
    engine = ParquetDataCatalog(str(store.root))
    trades, bars = engine.query_trade_ticks(), engine.query_bars()
    assert [trade.ts_init for trade in trades] == [
        seoul_ns(f"2024-01-0{day}T09:00") for day in (2, 3, 4)
    ]
    assert [(str(trade.price), trade.trade_id.value) for trade in trades] == [
        ("4580", "open-20240102"),
        ("4260", "open-20240103"),
        ("4390", "open-20240104"),
    ]
    assert trades[0].aggressor_side == AggressorSide.NO_AGGRESSOR
    assert [bar.ts_init for bar in bars] == [seoul_ns(f"2024-01-0{day}T15:30") for day in (2, 3, 4)]
    assert str(bars[1].bar_type) == "005930.KRX-1-DAY-LAST-EXTERNAL"
    assert [str(bars[1].open), str(bars[1].high), str(bars[1].low), str(bars[1].close)] == [
        *("4260", "4410", "4160", "4370"),
    ]


@pytest.mark.parametrize(
    ("day", "first", "last"),
    [
        ("20150612", "2015-06-12T09:00", "2015-06-12T15:00"),
        ("20160801", "2016-08-01T09:00", "2016-08-01T15:30"),
        ("20240102", "2024-01-02T10:00", "2024-01-02T15:30"),
        ("20241114", "2024-11-14T10:00", "2024-11-14T16:30"),
        ("20240106", "2024-01-06T09:00", "2024-01-06T15:30"),  # a Saturday, no session
    ],
)
def test_a_calendar_tells_when_a_day_opened_and_closed(
    tmp_path: Path, day: str, first: str, last: str
) -> None:
    row = f"{day},4580,4600,4330,4360,100"
    store, notes = load(
        days(tmp_path, row), kind=Kind.KRX_DAILY, interval_ns=DAY_NS, sessions_of=calendar_for
    )
    engine = ParquetDataCatalog(str(store.root))
    assert engine.query_trade_ticks()[0].ts_init == seoul_ns(first)
    assert engine.query_bars()[0].ts_init == seoul_ns(last)
    assert ("no sessions of KRX's calendar (first: 2024-01-06)" in notes) == (day == "20240106")


def test_a_print_knows_yesterday_only(tmp_path: Path) -> None:
    store, _ = load(days(tmp_path, *DAYS))
    trades = ParquetDataCatalog(str(store.root)).query_trade_ticks()
    assert [str(trade.size) for trade in trades] == ["1", "100", "250"]


@pytest.mark.parametrize("halt", ["20240105,0,0,0,4420,0", "20240105,4420,4420,4420,4420,0"])
def test_a_halted_day_is_a_gap(tmp_path: Path, halt: str) -> None:
    store, notes = load(days(tmp_path, *DAYS, halt, "20240108,4400,4500,4400,4450,70"))
    assert [info.rows for info in store.streams()] == [4, 4]
    assert "line 5" in notes


def test_prices_off_the_grid_mark_the_series_adjusted(tmp_path: Path) -> None:
    off = "20240105,70123,70123,70000,70100,5"
    store, notes = load(days(tmp_path, *DAYS, off))
    (instrument,) = store.instruments().values()
    assert instrument.info == {"adjusted": True}
    assert "1 of 4 opens lie off KRX's tick grid: prices taken as adjusted" in notes


def test_unadjusted_beside_adjusted_is_said(tmp_path: Path) -> None:
    store, _ = load(days(tmp_path, *DAYS), grid=Grid(adjusted=True))
    later = days(tmp_path, *(row.replace("202401", "202402") for row in DAYS), name="005930.csv")
    _, notes = load(later)
    assert "stays marked as adjusted" in notes
    assert store.instruments()[InstrumentId.from_str("005930.KRX")].info == {"adjusted": True}


def test_only_shares_have_krx_days(tmp_path: Path) -> None:
    path = days(tmp_path, *DAYS, name="BTC_USDT.csv")
    with pytest.raises(BadInput, match="no share of KRX"):
        load(path, kind=Kind.KRX_DAILY)


def test_no_volume_at_all_is_refused(tmp_path: Path) -> None:
    path = days(tmp_path, *(row.rsplit(",", 1)[0] + ",0" for row in DAYS))
    with pytest.raises(BadInput, match="no day has a volume"):
        load(path)


ALL = (*DAYS, "20240105,4420,4500,4400,4450,70.0", "20240108,4450,4460,4400,4410,30.0")


def sizes(root: Path, *tables: tuple[str, ...]) -> dict[str, str]:
    """Import tables one after another; return the opening prints' sizes by their id."""
    store = Store(root / "catalog")
    for number, rows in enumerate(tables):
        (root / str(number)).mkdir()
        path = days(root / str(number), *rows)
        options = Options(interval_ns=DAY_NS, kind=Kind.KRX_DAILY)
        import_files(store, [str(path)], options, lambda _done, _total: None)
    trades = ParquetDataCatalog(str(store.root)).query_trade_ticks()
    bars = ParquetDataCatalog(str(store.root)).query_bars()
    assert len(trades) == len(bars) == len({bar.ts_init for bar in bars})
    return {trade.trade_id.value[-4:]: str(trade.size) for trade in trades}


WHOLE = {"0102": "1", "0103": "100", "0104": "250", "0105": "90", "0108": "70"}


@pytest.mark.parametrize(
    ("tables", "unlike"),
    [
        ((ALL[:3], ALL[1:]), {}),
        ((ALL, ALL[2:]), {}),
        ((ALL[:2], ALL[3:], ALL[1:4]), {"0105": "250"}),
        ((ALL[2:], ALL), {"0104": "1"}),
        ((ALL[1:3], ALL[:4], ALL), {"0103": "1"}),
        ((ALL[:1], ALL[1:2], ALL[2:], ALL), {}),
    ],
)
def test_overlapping_tables_of_the_same_days_merge(
    tmp_path: Path, tables: tuple[tuple[str, ...], ...], unlike: dict[str, str]
) -> None:
    """A print that was the first of its table keeps the size that was known then."""
    assert sizes(tmp_path, *tables) == WHOLE | unlike


def test_overlapping_tables_that_differ_are_refused(tmp_path: Path) -> None:
    other = "20240103,4260,4410,4160,4370,251.0"
    with pytest.raises(BadInput, match="where the catalog has other rows"):
        sizes(tmp_path, ALL, (other, *ALL[2:]))
    opened = "20240103,4261,4410,4160,4370,250.0"
    with pytest.raises(BadInput, match="where the catalog has other rows"):
        sizes(tmp_path / "0", ALL, (opened, *ALL[2:]))
