"""Tables as the usual tools write them: the same candles whatever the header, dates and numbers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.ingest import large_tables
from catalog.ingest.importer import FileReport, Options, import_files
from catalog.ingest.naming import read_names
from catalog.ingest.table_heads import read_head
from catalog.store import Store
from strategies.errors import BadInput

ID = "BTCUSDT.BINANCE_SPOT"
FIRST = datetime(2024, 1, 15, tzinfo=UTC)
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
ROWS = (
    ("42004.5", "42025.25", "42001.5", "42022.5", "1200"),
    ("42022.5", "42030.75", "42010.5", "42011.5", "2500"),
    ("42011.5", "42011.75", "41990.5", "42000.5", "1340"),
)


def load(folder: Path, name: str, content: bytes | str) -> tuple[list[tuple[str, ...]], FileReport]:
    """Import one file and return each bar's prices, volume and time of close."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    store = Store(folder / "catalog")
    options = Options(names=read_names([ID]))
    report = import_files(store, [str(path)], options, lambda _done, _total: None)
    bars = ParquetDataCatalog(str(store.root)).query_bars()
    rows = [
        (
            *(f"{float(str(each)):g}" for each in (b.open, b.high, b.low, b.close, b.volume)),
            b.ts_event,
        )
        for b in bars
    ]
    return rows, report.files[0]


def expected(step: timedelta) -> list[tuple[str | int, ...]]:
    closes = [FIRST + step * (k + 1) for k in range(len(ROWS))]
    return [
        (*(f"{float(cell):g}" for cell in row), int(close.timestamp()) * 10**9)
        for row, close in zip(ROWS, closes, strict=True)
    ]


def table(
    form: str,
    step: timedelta,
    *,
    cells: str = "{t},{o},{h},{l},{c},{v}",
    mark: str = ".",
    shift: timedelta = timedelta(0),
) -> str:
    """Write the rows; ``form`` is strftime's and ``%s`` the epoch, ``mark`` the decimal one."""
    lines = []
    for k, row in enumerate(ROWS):
        named = dict(zip("ohlcv", (cell.replace(".", mark) for cell in row), strict=True))
        time = FIRST + step * k + shift
        text = time.strftime(form.replace("%s", str(int(time.timestamp()))))
        lines.append(cells.format(t=text, **named))
    return "\n".join(lines) + "\n"


def newest_first(text: str) -> str:
    return "\n".join(reversed(text.splitlines())) + "\n"


PLAIN = "date,open,high,low,close,volume\n"
ISO = "%Y-%m-%d %H:%M:%S"


@pytest.mark.parametrize(
    ("step", "text"),
    [
        pytest.param(MINUTE, ",Open,High,Low,Close,Volume\n" + table(ISO, MINUTE), id="index"),
        pytest.param(
            DAY,
            "Price,Close,High,Low,Open,Volume\nTicker,BTC,BTC,BTC,BTC,BTC\nDate,,,,,\n"
            + table("%Y-%m-%d", DAY, cells="{t},{c},{h},{l},{o},{v}"),
            id="tickers-above",
        ),
        pytest.param(
            MINUTE,
            "https://www.example.com\nUnix,Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USDT\n"
            + newest_first(table(ISO, MINUTE, cells="1,{t},BTCUSDT,{o},{h},{l},{c},{v},9.5")),
            id="address-above",
        ),
        pytest.param(
            MINUTE,
            "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
            + table("%Y.%m.%d\t%H:%M:%S", MINUTE, cells="{t}\t{o}\t{h}\t{l}\t{c}\t7\t{v}\t5"),
            id="date-and-time",
        ),
        pytest.param(MINUTE, table("%Y.%m.%d,%H:%M", MINUTE), id="no-header-date-and-time"),
        pytest.param(
            MINUTE, table("%s", MINUTE, cells="{t},{o},{h},{l},{c},{v},12"), id="no-header-7"
        ),
        pytest.param(MINUTE, table("%s000", MINUTE), id="no-header-6"),
        pytest.param(
            MINUTE,
            table("%s000", MINUTE, cells="{t},{o},{h},{l},{c},{v},{t},1.5,12,1.5,1.5,0"),
            id="no-header-12",
        ),
        pytest.param(
            MINUTE,
            table("%Y%m%d %H%M%S", MINUTE, cells="{t};{o};{h};{l};{c};{v}"),
            id="no-header-semicolon",
        ),
        pytest.param(
            MINUTE,
            PLAIN.replace(",", ";") + table(ISO, MINUTE, cells="{t};{o};{h};{l};{c};{v}", mark=","),
            id="decimal-comma",
        ),
        pytest.param(
            DAY,
            '"Date","Price","Open","High","Low","Vol.","Change %"\n'
            + newest_first(
                table("%b %d, %Y", DAY, cells='"{t}","{c}","{o}","{h}","{l}","{v}","-1.20%"')
            )
            .replace("1200", "1.20K")
            .replace("2500", "0.0025M"),
            id="volumes-in-thousands",
        ),
        pytest.param(
            MINUTE,
            "Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price\n"
            + table("%s", MINUTE, cells="{t},{o},{h},{l},{c},{v},99.5,42000.5"),
            id="two-volumes",
        ),
        pytest.param(
            DAY,
            "stck_bsop_date,stck_clpr,stck_oprc,stck_hgpr,stck_lwpr,acml_vol\n"
            + table("%Y%m%d", DAY, cells="{t},{c},{o},{h},{l},{v}"),
            id="names-of-kis",
        ),
        pytest.param(
            MINUTE,
            "close_time" + PLAIN[4:] + table("%s999", MINUTE, shift=timedelta(seconds=59)),
            id="a-millisecond-before-the-close",
        ),
        *(
            pytest.param(DAY, PLAIN + table(form, DAY), id=form.replace("%", ""))
            for form in (
                *("%d.%m.%Y", "%d-%b-%Y", '"%b %d, %Y"', "%Y- %m- %d", "%d/%m/%Y", "%m/%d/%Y"),
            )
        ),
        *(
            pytest.param(MINUTE, PLAIN + table(form, MINUTE), id=form.replace("%", ""))
            for form in ("%Y%m%d%H%M", "%Y-%m-%d %I:%M:%S %p", f"{ISO} UTC", "%m/%d/%Y %H:%M")
        ),
    ],
)
def test_the_same_candles_in_every_usual_form(tmp_path: Path, step: timedelta, text: str) -> None:
    assert load(tmp_path, "table.csv", text)[0] == expected(step)


def test_utf_16_as_trading_terminals_write_it(tmp_path: Path) -> None:
    text = (PLAIN + table(ISO, MINUTE)).encode("utf-16")
    assert load(tmp_path, "table.csv", text)[0] == expected(MINUTE)


def test_what_was_taken_for_columns_is_told(tmp_path: Path) -> None:
    _, report = load(tmp_path, "table.csv", table("%s", MINUTE))
    assert "no header: its columns taken as time, open, high, low, close, volume" in report.notes


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64(), pa.string()])
def test_numbers_of_any_type_mean_what_was_written(tmp_path: Path, kind: pa.DataType) -> None:
    """A float of 32 bits is 42025.25 or 0.1 as written, not its value in 64 bits."""
    prices = [["0.1", "0.7", "0.1"], ["0.3", "0.7", "0.3"], ["0.1", "0.6", "0.1"]]
    columns = {
        "date": pa.array([FIRST + MINUTE * k for k in range(3)]),
        **{
            name: (
                pa.array(cells) if kind == pa.string() else pa.array(np.array(cells, float), kind)
            )
            for name, cells in zip(("open", "high", "low"), prices, strict=True)
        },
        "close": pa.array([0.2, 0.7, 0.1], pa.float64()),
        "volume": pa.array([1, 2, 3]),
    }
    pq.write_table(pa.table(columns), tmp_path / "t.parquet")
    rows, _ = load(tmp_path, "t.parquet", (tmp_path / "t.parquet").read_bytes())
    assert [row[:3] for row in rows] == [
        ("0.1", "0.3", "0.1"),
        ("0.7", "0.7", "0.6"),
        ("0.1", "0.3", "0.1"),
    ]


TWO = "date,symbol,open,high,low,close,volume\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            TWO
            + table(ISO, MINUTE, cells="{t},BTCUSDT,{o},{h},{l},{c},{v}")
            + "2024-01-15 00:03:00,ETHUSDT,1,1,1,1,1\n",
            r"holds 2 symbols \(BTCUSDT, ETHUSDT\): write one file for each",
        ),
        (
            TWO + table(ISO, MINUTE, cells="{t},ETH/USDT,{o},{h},{l},{c},{v}"),
            "holds rows of ETH/USDT, not of BTCUSDT.BINANCE_SPOT",
        ),
        (
            PLAIN.replace(",", ";") + "2024-01-15;1,234;1,234;1,234;1,234;1\n",
            "'1,234' may be a decimal or thousands",
        ),
        (
            PLAIN.replace(",", ";") + "2024-01-15;1,5;1.75;1,5;1,5;1\n",
            "'1,5' has a decimal comma and '1.75' a decimal point",
        ),
        (
            ",open,high,low,close,volume\n0,1,1,1,1,1\n1,1,1,1,1,1\n",
            "no column that means time .'' counts its rows",
        ),
        (PLAIN + "01/02/2024 10:00,1,1,1,1,1\n02/03/2024 10:00,1,1,1,1,1\n", "may be month/day"),
    ],
)
def test_what_cannot_be_told_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        load(tmp_path, "table.csv", text)
    assert not (tmp_path / "catalog" / "data").exists()


@pytest.mark.parametrize("told", ["BTCUSDT", "BTC/USDT", "btc-usdt", "BTC-USD", "Bitcoin"])
def test_names_that_may_be_the_instruments_are_taken(tmp_path: Path, told: str) -> None:
    text = TWO + table(ISO, MINUTE, cells=f"{{t}},{told},{{o}},{{h}},{{l}},{{c}},{{v}}")
    assert load(tmp_path, "table.csv", text)[0] == expected(MINUTE)


def test_large_tables_are_read_the_same_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_tables, "LARGE_BYTES", 1)
    rows, report = load(tmp_path, "table.csv", table("%Y.%m.%d,%H:%M", MINUTE))
    assert rows == expected(MINUTE)
    assert any(note.startswith("no header") for note in report.notes)


def test_lines_are_counted_with_those_above_the_table(tmp_path: Path) -> None:
    text = "https://www.example.com\n" + PLAIN + table(ISO, MINUTE).replace("42011.75", "x")
    with pytest.raises(BadInput, match=r"table.csv, line 5: high is 'x', not a number"):
        load(tmp_path, "table.csv", text)


def test_a_letter_cut_by_the_end_of_the_head_is_no_other_encoding() -> None:
    text = (PLAIN + "날짜").encode()
    assert read_head(text[:-1], Path("t.csv")).encoding == "utf-8"


def test_ticks_of_other_recorders_are_refused_by_what_they_are(tmp_path: Path) -> None:
    text = (
        "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\nx,BTCUSDT,1,2,3,buy,1,1\n"
    )
    with pytest.raises(BadInput, match="holds trades, best prices or levels as another recorder"):
        load(tmp_path, "trades.csv", text)
