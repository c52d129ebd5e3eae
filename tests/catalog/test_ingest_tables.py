"""Tables: names, times, intervals, and one clear rule per defect."""

import gzip
import zipfile
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import Bar
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.columns import decimals_needed, from_floats, from_text, rounded
from catalog.ingest.candles import Stamp, interval_text, parse_interval
from catalog.ingest.importer import Options, import_files
from catalog.ingest.instruments import Grid
from catalog.ingest.mapping import map_columns, plain
from catalog.store import Store
from strategies.errors import BadInput

MINUTE_NS = 60_000_000_000
T0 = 1_704_067_200_000_000_000
"""2024-01-01 00:00 UTC"""

HEADER = "timestamp,open,high,low,close,volume"
ROWS = (
    "2024-01-01 00:00:00,100.5,101.0,100.0,100.7,1.5",
    "2024-01-01 00:01:00,100.7,102.0,100.7,101.0,2",
    "2024-01-01 00:02:00,101.0,101.5,99.25,100.0,0.125",
)
BTC = "BTCUSDT-PERP.BINANCE"


def table(folder: Path, *rows: str, header: str = HEADER, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return path


def load(path: Path, **options: object) -> tuple[list[Bar], str]:
    """Import one file as BTC bars; return what the engine reads, and the notes as one text."""
    chosen = Options(**({"instrument": "ETHUSDT-PERP.BINANCE"} | options))  # type: ignore[arg-type] # keywords of a test
    store = Store(path.parent / "catalog")
    report = import_files(store, [str(path)], chosen, lambda _done, _total: None)
    rows = ParquetDataCatalog(str(store.root)).query_bars()
    return rows, "; ".join(report.files[0].notes)


def refused(path: Path, **options: object) -> str:
    with pytest.raises(BadInput) as error:
        load(path, **options)
    assert not (path.parent / "catalog" / "data").exists()
    return str(error.value)


def test_candles_are_stamped_at_their_close(tmp_path: Path) -> None:
    bars, notes = load(table(tmp_path, *ROWS))
    assert [bar.ts_init for bar in bars] == [T0 + k * MINUTE_NS for k in (1, 2, 3)]
    assert [str(bar.close) for bar in bars] == ["100.70", "101.00", "100.00"]
    assert [str(bar.volume) for bar in bars] == ["1.500", "2.000", "0.125"]
    assert str(bars[0].bar_type) == "ETHUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
    assert notes == (
        "times taken as UTC; interval 1m inferred; "
        "times taken as the open and moved to the close (+1m)"
    )


def test_close_stamped_candles_stay(tmp_path: Path) -> None:
    bars, notes = load(table(tmp_path, *ROWS), stamp=Stamp.CLOSE)
    assert bars[0].ts_init == T0
    assert "times taken as the close" in notes


@pytest.mark.parametrize(
    "header",
    [
        "date,Open,HIGH,low,Close,Volume",
        "일자,시가,고가,저가,종가,거래량",
        "Open time,o,h,l,c,v",
        " Datetime , Open Price,high,low,close,거래량",
        "\ufefftimestamp,open,high,low,close,volume",
    ],
)
def test_usual_names_are_known(tmp_path: Path, header: str) -> None:
    bars, _ = load(table(tmp_path, *ROWS, header=header))
    assert (str(bars[2].high), str(bars[2].low)) == ("101.50", "99.25")


def test_an_adjusted_close_is_ignored_and_order_is_free(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "2024-01-01 00:00:00,1,7,9,5,6,3",
        "2024-01-01 00:01:00,1,7,9,5,6,3",
        header="Datetime,Adj Close,Close,High,Low,Open,Volume",
    )
    bar = load(path)[0][0]
    assert [float(price) for price in (bar.open, bar.high, bar.low, bar.close)] == [6, 9, 5, 7]


def test_korean_tables_may_be_cp949(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("\n".join(("일시,시가,고가,저가,종가,거래량", *ROWS)).encode("cp949"))
    assert len(load(path)[0]) == 3


@pytest.mark.parametrize("cut", [",", ";", "\t"])
def test_delimiters_are_seen(tmp_path: Path, cut: str) -> None:
    path = table(
        tmp_path, *(row.replace(",", cut) for row in ROWS), header=HEADER.replace(",", cut)
    )
    assert len(load(path)[0]) == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("1704067200", "1704067260"),
        ("1704067200.0", "1704067260.0"),
        ("1704067200000", "1704067260000"),
        ("1704067200000000", "1704067260000000"),
        ("1704067200000000000", "1704067260000000000"),
        ("2024-01-01T00:00:00Z", "2024-01-01T00:01:00Z"),
        ("2024-01-01 09:00:00+09:00", "2024-01-01 09:01:00+09:00"),
        ("2024-01-01 00:00", "2024-01-01 00:01"),
        ("2024/01/01 00:00:00", "2024/01/01 00:01:00"),
        ("20240101000000", "20240101000100"),
        ("2024-01-01 00:00:00.000000", "2024-01-01 00:01:00.000000"),
    ],
)
def test_times_of_any_usual_form(tmp_path: Path, first: str, second: str) -> None:
    path = table(tmp_path, f"{first},1,1,1,1,1", f"{second},1,1,1,1,1")
    assert [bar.ts_init for bar in load(path)[0]] == [T0 + MINUTE_NS, T0 + 2 * MINUTE_NS]


def test_epoch_fractions_are_exact(tmp_path: Path) -> None:
    path = table(tmp_path, "1704067200.123456,1,1,1,1,1", "1704067260.123456,1,1,1,1,1")
    assert load(path, stamp=Stamp.CLOSE)[0][0].ts_init == T0 + 123_456_000


def test_zoneless_times_take_the_zone_given(tmp_path: Path) -> None:
    bars, notes = load(table(tmp_path, *ROWS), timezone="Asia/Seoul")
    assert bars[0].ts_init == T0 - 9 * 3_600_000_000_000 + MINUTE_NS
    assert "times taken as Asia/Seoul" in notes


@pytest.mark.parametrize(
    ("days", "first"),
    [
        (("1/2/2024", "1/3/2024", "1/31/2024"), T0 + 86_400_000_000_000),
        (("1/2/2024", "2/2/2024", "13/2/2024"), T0 + 31 * 86_400_000_000_000),
    ],
    ids=["month first", "day first"],
)
def test_slashed_dates_are_told_by_a_day_over_12(
    tmp_path: Path, days: tuple[str, ...], first: int
) -> None:
    path = table(tmp_path, *(f"{day},1,1,1,1,1" for day in days))
    assert load(path, stamp=Stamp.CLOSE, interval_ns=parse_interval("1d"))[0][0].ts_init == first


def test_ambiguous_dates_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "1/2/2024,1,1,1,1,1", "1/3/2024,1,1,1,1,1")
    assert "may be month/day or day/month" in refused(path)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ((ROWS[0], ROWS[1].replace("102.0", "x")), "line 3: high is 'x', not a number"),
        ((ROWS[0], "yesterday,1,1,1,1,1"), "line 3: 'yesterday' is no time"),
        ((ROWS[0], ",1,1,1,1,1"), "line 3: '' is no time"),
        ((*ROWS, "2024-01-01 00:03:00,1,1"), "line 5 has 3 columns, not 6"),
        ((*ROWS, ROWS[2].replace("100.0,", "100.1,")), "close is 100.1, and line 4 has 100"),
        ((*ROWS, "2024-01-01 00:03:00,1,1,1,-1,1"), "line 5: close is negative"),
        ((*ROWS, "2024-01-01 00:03:00,1,1,1,1,-1"), "line 5: volume is negative"),
        ((*ROWS, "2024-01-01 00:03:00,5,4,3,3.5,1"), "line 5: high is below open"),
        ((*ROWS, "2024-01-01 00:03:00,5,6,5.5,5.7,1"), "line 5: low is above open"),
        ((ROWS[0],), "has one row only"),
        ((), "holds no rows"),
        (("2024-01-01 00:00:00,,,,,",), "holds no usable row"),
    ],
)
def test_what_cannot_be_trusted_is_refused_with_its_line(
    tmp_path: Path, rows: tuple[str, ...], said: str
) -> None:
    text = refused(table(tmp_path, *rows))
    assert said in text
    assert "t.csv" in text


@pytest.mark.parametrize(
    ("rows", "kept", "said"),
    [
        ((*ROWS, ROWS[2]), 3, "1 row repeating the row before (line 5), dropped"),
        ((ROWS[1], ROWS[0], ROWS[2]), 3, "1 row earlier than the row before, sorted (line 3)"),
        (ROWS[::-1], 3, "rows come newest first, reversed"),
        (
            (*ROWS, "2024-01-01 00:03:00,,NaN,-,null,1"),
            3,
            "1 row without a price (line 5), dropped",
        ),
        ((*ROWS, "2024-01-01 00:03:00,0,0,0,9,0"), 3, "1 row with a price of 0"),
        ((*ROWS, "2024-01-01 00:03:00,1,1,1,1,"), 4, "1 row without a volume, taken as 0 (line 5)"),
        ((*ROWS, "2024-01-01 00:02:41,1,1,1,1,1"), 3, "1 row off the 1m grid"),
        ((*ROWS, "2024-01-01 00:03:00,1,1,1,1,0"), 4, "1 bars have a volume of 0, kept"),
    ],
)
def test_what_can_be_repaired_is_repaired_and_said(
    tmp_path: Path, rows: tuple[str, ...], kept: int, said: str
) -> None:
    bars, notes = load(table(tmp_path, *rows))
    assert len(bars) == kept
    assert said in notes
    assert [bar.ts_init for bar in bars] == sorted(bar.ts_init for bar in bars)


def test_a_wrong_interval_is_refused(tmp_path: Path) -> None:
    path = table(tmp_path, *ROWS)
    assert "do not lie 5m apart" in refused(path, interval_ns=parse_interval("5m"))


def test_the_most_common_difference_is_the_interval(tmp_path: Path) -> None:
    later = tuple(f"2024-01-01 00:{minute:02}:00,1,1,1,1,1" for minute in (10, 15, 20, 30, 35))
    bars, _ = load(table(tmp_path, *later))
    assert "5-MINUTE" in str(bars[0].bar_type)


@pytest.mark.parametrize("text", ["30s", "1m", "5m", "4h", "1d", "1w"])
def test_intervals_survive_their_text(text: str) -> None:
    assert interval_text(parse_interval(text)) == text


@pytest.mark.parametrize("text", ["", "5", "0m", "1y", "m5", "5 m"])
def test_other_intervals_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is no interval"):
        parse_interval(text)


@pytest.mark.parametrize("kind", ["csv.gz", "zip", "feather", "parquet"])
def test_every_container_gives_the_same_bars(tmp_path: Path, kind: str) -> None:
    plain = table(tmp_path, *ROWS)
    expected, _ = load(plain)
    folder = tmp_path / "other"
    folder.mkdir()
    path = folder / f"t.{kind}"
    columns = dict(
        zip(HEADER.split(","), zip(*(row.split(",") for row in ROWS), strict=True), strict=True)
    )
    numbers = pa.table(
        {"timestamp": columns.pop("timestamp")}
        | {name: list(map(float, text)) for name, text in columns.items()}
    )
    if kind == "csv.gz":
        path.write_bytes(gzip.compress(plain.read_bytes()))
    elif kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(plain, "t.csv")
    elif kind == "feather":
        pa.feather.write_feather(numbers, str(path))
    else:
        pa.parquet.write_table(numbers, path)
    assert load(path)[0] == expected


@pytest.mark.parametrize("name", ["t.csv.gz", "t.zip", "t.feather", "t.parquet"])
def test_damaged_files_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"timestamp,open" * 99)[:40])
    assert f"{path} cannot be read" in refused(path)


def test_two_columns_of_one_meaning_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "1,1,1,1,1,1,1", header=HEADER + ",vol")
    assert "'volume' and 'vol' both mean volume" in refused(path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = table(tmp_path, "2024-01-01,1", header="Date,vix")
    text = "has no column that means open, high, low, close, volume (columns: Date, vix)"
    assert text in refused(path)


def test_thousands_may_have_commas(tmp_path: Path) -> None:
    rows = ('2024-01-01,"71,200","71,500","71,000","71,300","1,234,567"',)
    path = table(tmp_path, *rows, name="A005930.csv")
    bars, _ = load(path, instrument=None, interval_ns=parse_interval("1d"))
    assert (str(bars[0].close), str(bars[0].volume)) == ("71300", "1234567")


@pytest.mark.parametrize(
    ("name", "instrument"),
    [
        ("A005930.csv", "005930.KRX"),
        ("005930_1m.csv", "005930.KRX"),
        ("BTC_USDT-5m.csv", "BTCUSDT.BINANCE_SPOT"),
        ("ADA_BTC-5m.csv", "ADABTC.BINANCE_SPOT"),
    ],
)
def test_file_names_tell_the_instrument(tmp_path: Path, name: str, instrument: str) -> None:
    rows = [f"2024-01-01 00:0{k}:00,10,10,10,10,10" for k in range(3)]
    bars, _ = load(table(tmp_path, *rows, name=name), instrument=None)
    assert str(bars[0].bar_type.instrument_id) == instrument


@pytest.mark.parametrize(
    "text", ["BTCUSDT", "BTCUSDT.BINANCE", "X-PERP.BINANCE_SPOT", "AAPL.NASDAQ"]
)
def test_other_instruments_are_refused(tmp_path: Path, text: str) -> None:
    assert "is no instrument that can be imported" in refused(
        table(tmp_path, *ROWS), instrument=text
    )


def test_a_name_that_tells_nothing_asks_for_the_instrument(tmp_path: Path) -> None:
    assert "--instrument" in refused(table(tmp_path, *ROWS, name="prices.csv"), instrument=None)


def test_finer_prices_than_the_catalog_knows_are_refused_or_rounded(tmp_path: Path) -> None:
    load(table(tmp_path, *ROWS))
    finer = "2024-01-02 00:00:00,1.125,2,1,1.5,3.0001", "2024-01-02 00:01:00,1,2,1,1.5,3"
    path = table(tmp_path, *finer, name="later.csv")
    with pytest.raises(
        BadInput, match=r"up to 3 decimals, ETHUSDT-PERP.BINANCE has 2: give --tick"
    ):
        load(path)
    bars, notes = load(path, grid=Grid(tick=from_text(pa.array(["0.01"]))[0].as_py()))
    assert str(bars[-2].open) == "1.13"
    assert "1 prices rounded to 2 decimals" in notes
    assert "1 volumes rounded to 3 decimals" in notes


def test_computed_prices_ask_for_a_tick(tmp_path: Path) -> None:
    rows = [f"2024-01-01 00:0{k}:00,1.{k}39996337890625,2,1,1,1" for k in range(3)]
    assert "--tick" in refused(table(tmp_path, *rows))


def test_one_bad_file_stops_all(tmp_path: Path) -> None:
    table(tmp_path, *ROWS, name="BTC_USDT-1m.csv")
    table(tmp_path, "x", name="ETH_USDT-1m.csv")
    store = Store(tmp_path / "catalog")
    with pytest.raises(BadInput, match="ETH_USDT"):
        import_files(store, [str(tmp_path)], Options(), lambda _done, _total: None)
    assert store.streams() == []


@pytest.mark.parametrize("path", ["nowhere.csv", "no*.csv", "."])
def test_paths_that_name_nothing(tmp_path: Path, path: str) -> None:
    with pytest.raises(BadInput, match="check the path"):
        import_files(Store(tmp_path / "c"), [str(tmp_path / path)], Options(), lambda _d, _t: None)


def test_other_files_are_refused_by_their_name(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    path.write_text("{}")
    assert "frames.jsonl is neither a table" in refused(path)


def test_an_unknown_zone_is_refused(tmp_path: Path) -> None:
    assert "--timezone 'Seoul' is not known" in refused(table(tmp_path, *ROWS), timezone="Seoul")


@given(st.lists(st.tuples(st.integers(1, 10**9), st.integers(0, 9)), min_size=1, max_size=8))
def test_floats_are_the_decimals_they_were_written_as(values: list[tuple[int, int]]) -> None:
    texts = [f"{Decimal(units).scaleb(-decimals):f}" for units, decimals in values]
    exact = from_text(pa.array(texts))
    noisy = pa.array([float(text) * (1 + 2**-52) for text in texts])
    assert from_floats(noisy).equals(exact)
    assert decimals_needed(exact) <= 9


@pytest.mark.parametrize(
    ("text", "decimals"),
    [("61837.63000000", 2), ("7.6110", 3), ("0.00000001", 8), ("200", 0), ("1e-5", 5)],
)
def test_decimals_needed(text: str, decimals: int) -> None:
    assert decimals_needed(from_text(pa.array([text]))) == decimals


def test_rounding_is_half_away_from_zero() -> None:
    near, changed = rounded(from_text(pa.array(["1.25", "1.35", "1.3"])), 1)
    assert ([str(value.as_py().normalize()) for value in near], changed) == (
        ["1.3", "1.4", "1.3"],
        2,
    )


@pytest.mark.parametrize("order", [("open_time", "close_time"), ("Close Time", "Open Time")])
def test_the_open_time_is_taken_wherever_it_stands(order: tuple[str, str]) -> None:
    found = map_columns([*order, "open", "high", "low", "close", "volume"], Path("x.csv"))
    assert plain(found["time"]) == "opentime"
    with pytest.raises(BadInput, match="both mean time"):
        map_columns(["date", *order], Path("x.csv"))
