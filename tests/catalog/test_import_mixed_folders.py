"""Folders of mixed files: instruments by pattern, steps from an exchangeInfo, the rest named."""

import json
from pathlib import Path

import pytest

from catalog.ingest.importer import FileReport, ImportReport, Kind, Options, import_files
from catalog.ingest.instruments import instrument_id_for
from catalog.ingest.naming import read_names
from catalog.store import Store
from strategies.errors import BadInput

CANDLES = (
    "timestamp,open,high,low,close,volume\n"
    "2024-01-01 00:00:00,1.5,2.5,1,1.5,10\n"
    "2024-01-01 00:01:00,1.5,2,1,1.2,11\n"
)
FACTORS = "Date,Mkt-RF,SMB,HML,RF\n192607,2.96,-2.3,-2.87,0.22\n192608,2.64,-1.4,4.19,0.25\n"
SESSIONS = ",open,close\n2024-01-02,2024-01-02T00:00:00Z,2024-01-02T06:30:00Z\n"
HEADLINES = "datetime,headline\n2024-01-02,One\n"


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A table that no name tells, a pair, an index, and files that hold no prices."""
    folder = tmp_path / "mixed"
    (folder / "deep").mkdir(parents=True)
    (folder / "perp-2024_1m.csv").write_text(CANDLES)
    (folder / "deep" / "BTC_USDT-1m.csv").write_text(CANDLES)
    (folder / "vix.csv").write_text("Date,vix\n1/13/2024,12.7\n")
    (folder / "factors.csv").write_text(FACTORS)
    (folder / "sessions.csv").write_text(SESSIONS)
    (folder / "README.md").write_text("# what this is\n")
    (folder / ".hidden.csv").write_text("nothing")
    return folder


def load(root: Path, *paths: Path, names: tuple[str, ...] = ()) -> tuple[Store, ImportReport]:
    store = Store(root)
    options = Options(names=read_names(names))
    report = import_files(store, list(map(str, paths)), options, lambda _done, _total: None)
    return store, report


def left_out(report: ImportReport) -> dict[str, str]:
    apart = [file for file in report.files if file.kind is Kind.LEFT_OUT]
    return {file.path.name: file.notes[0].removeprefix("left out: ") for file in apart}


def test_a_pattern_names_the_instrument_of_one_file(tmp_path: Path, mixed: Path) -> None:
    store, report = load(tmp_path / "c", mixed, names=("perp-*=BTCUSDT-PERP.BINANCE",))
    assert {str(info.instrument_id) for info in store.streams()} == {
        "BTCUSDT-PERP.BINANCE",
        "BTCUSDT.BINANCE_SPOT",
        "VIX.INDEX",
    }
    assert left_out(report) == {
        "README.md": "neither a table nor a recording",
        "factors.csv": "holds factor returns (Mkt-RF, SMB, HML, RF), no prices",
        "sessions.csv": (
            "has no column that means time, high, low, volume (columns: , open, close)"
        ),
    }


def test_without_its_name_the_folder_is_refused_with_the_way(tmp_path: Path, mixed: Path) -> None:
    with pytest.raises(BadInput, match=r"--instrument 'perp\*=BTCUSDT-PERP.BINANCE'"):
        load(tmp_path / "c", mixed)
    assert Store(tmp_path / "c").streams() == []


@pytest.mark.parametrize("name", ["factors.csv", "sessions.csv"])
def test_a_file_without_prices_is_refused_alone(tmp_path: Path, mixed: Path, name: str) -> None:
    with pytest.raises(BadInput, match=f"^{mixed / name} h"):
        load(tmp_path / "c", mixed / name)


def test_nothing_but_such_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "news").mkdir()
    (tmp_path / "news" / "a.csv").write_text(HEADLINES)
    with pytest.raises(BadInput, match=r"none of the 1 files holds market data .*headline\)\)"):
        load(tmp_path / "c", tmp_path / "news")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("*.csv=A.INDEX", "b*=B.INDEX"), {"a.csv": "A.INDEX", "b.csv": "A.INDEX"}),
        (("b*=B.INDEX", "A.INDEX"), {"a.csv": "A.INDEX", "b.csv": "B.INDEX"}),
        (("deep/b*=B.INDEX",), {"deep/b.csv": "B.INDEX", "b.csv": None}),
        ((), {"a.csv": None}),
    ],
)
def test_the_first_pattern_that_fits_wins(
    names: tuple[str, ...], expected: dict[str, str | None]
) -> None:
    found = read_names(names)
    assert {path: found.of(Path("x") / path) for path in expected} == expected


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (("A.INDEX", "B.INDEX"), "2 times without a pattern"),
        (("=A.INDEX",), "no pattern before the ="),
        (("a*=BTCUSDT",), "no instrument that can be imported"),
    ],
)
def test_names_that_cannot_be_meant(names: tuple[str, ...], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read_names(names)


def test_a_pattern_that_fits_nothing_is_refused(tmp_path: Path, mixed: Path) -> None:
    with pytest.raises(BadInput, match=r"'prep\*=BTCUSDT-PERP.BINANCE' fits none of the 6 files"):
        load(tmp_path / "c", mixed, names=("prep*=BTCUSDT-PERP.BINANCE",))


@pytest.mark.parametrize(
    ("name", "perpetual", "instrument"),
    [
        ("BTC_USDT_USDT-1h-futures.feather", None, "BTCUSDT-PERP.BINANCE"),
        ("BTC_USDT-1h.feather", None, "BTCUSDT.BINANCE_SPOT"),
        ("BTC_USDT-1h.feather", True, "BTCUSDT-PERP.BINANCE"),
        ("btcusdt_1h.csv", False, "BTCUSDT.BINANCE_SPOT"),
        ("BTCUSDT.csv.gz", True, "BTCUSDT-PERP.BINANCE"),
        ("ETHUSDT-PERP.BINANCE-5m.parquet", None, "ETHUSDT-PERP.BINANCE"),
        ("ETHUSDT.BINANCE_SPOT.csv", None, "ETHUSDT.BINANCE_SPOT"),
        ("005930.KRX_2024.csv", None, "005930.KRX"),
        ("005930_5m_20200225.csv.gz", None, "005930.KRX"),
    ],
)
def test_names_that_are_certain(name: str, perpetual: bool | None, instrument: str) -> None:
    assert str(instrument_id_for(Path(name), None, perpetual=perpetual)) == instrument


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("BTC_USDT_USDT-8h-funding_rate.csv", "holds candles of funding rates, not of trades"),
        ("BTC_USDT_USDT-1h-mark.csv", "holds candles of mark prices, not of trades"),
    ],
)
def test_candles_that_are_not_of_trades_are_left_out(
    tmp_path: Path, mixed: Path, name: str, words: str
) -> None:
    (mixed / name).write_text(CANDLES)
    _, report = load(tmp_path / "c", mixed, names=("perp-*=BTCUSDT-PERP.BINANCE",))
    assert left_out(report)[name] == words
    with pytest.raises(BadInput, match=words):
        load(tmp_path / "d", mixed / name)


def test_a_table_of_values_is_an_index_where_its_pattern_says_so(
    tmp_path: Path, mixed: Path
) -> None:
    (mixed / "gold.csv").write_text("Date,usd\n2024-01-02,2060.5\n")
    with pytest.raises(BadInput, match=r"take it as an index: --instrument NAME\.INDEX"):
        load(tmp_path / "c", mixed / "gold.csv")
    names = ("perp-*=BTCUSDT-PERP.BINANCE", "gold*=GOLD.INDEX")
    store, _ = load(tmp_path / "c", mixed, names=names)
    assert "GOLD.INDEX-1-DAY-LAST-EXTERNAL" in [info.topic for info in store.streams()]


@pytest.mark.parametrize("name", ["btcusdt_1h.csv", "prices.csv", "btc-perp-2021_1m.csv"])
def test_names_that_are_not(name: str) -> None:
    with pytest.raises(BadInput, match="does not tell the instrument"):
        instrument_id_for(Path(name), None)


def symbol(name: str, tick: str, step: str, **more: object) -> dict[str, object]:
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": tick},
        {"filterType": "LOT_SIZE", "stepSize": step, "minQty": step},
        {"filterType": "MIN_NOTIONAL", "notional": "5"},
    ]
    base = name.removesuffix("USDT")
    return {"symbol": name, "baseAsset": base, "quoteAsset": "USDT", "filters": filters} | more


def exchange_info(*symbols: dict[str, object]) -> str:
    return json.dumps({"timezone": "UTC", "serverTime": 1, "symbols": symbols})


def steps(store: Store) -> dict[str, tuple[str, str]]:
    return {
        str(each.id): (str(each.price_increment), str(each.size_increment))
        for each in store.instruments().values()
    }


def info_report(report: ImportReport) -> FileReport:
    return next(file for file in report.files if file.kind is Kind.EXCHANGE_INFO)


@pytest.mark.parametrize("form", ["recorded answer", "json"])
def test_an_exchange_info_tells_the_steps_of_the_same_import(tmp_path: Path, form: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "PEPE_USDT-1m.csv").write_text(CANDLES)
    info = exchange_info(symbol("PEPEUSDT", "0.05000000", "0.50000000"), symbol("XUSDT", "1", "1"))
    if form == "json":
        (folder / "exchangeInfo.json").write_text(info)
    else:
        answer = f"https://api.binance.com/api/v3/exchangeInfo -> 1633998511.1: {info}\n"
        (folder / "rest.http").write_text(answer)
    store, report = load(tmp_path / "c", folder)
    assert steps(store) == {"PEPEUSDT.BINANCE_SPOT": ("0.05", "0.5")}
    assert info_report(report).notes == (
        "tick and lot steps of 1 instruments taken from its exchangeInfo",
    )


def test_spot_and_perpetuals_have_steps_of_their_own(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "PEPE_USDT_USDT-1m-futures.csv").write_text(CANDLES)
    (folder / "OLD_USDT-1m.csv").write_text(CANDLES)
    expiring = symbol("PEPEUSDT", "0.7", "7", contractType="CURRENT_QUARTER")
    perpetual = symbol("PEPEUSDT", "0.1", "10", contractType="PERPETUAL")
    (folder / "exchangeInfo.json").write_text(
        exchange_info(expiring, perpetual, symbol("OLDUSDT", "0", "0"))
    )
    store, _ = load(tmp_path / "c", folder)
    assert steps(store) == {
        "PEPEUSDT-PERP.BINANCE": ("0.1", "10"),
        "OLDUSDT.BINANCE_SPOT": ("0.1", "1"),
    }


def test_data_finer_than_the_exchange_info_keep_their_decimals(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "PEPE_USDT-1m.csv").write_text(CANDLES.replace("1.2,", "1.234,"))
    (folder / "exchangeInfo.json").write_text(exchange_info(symbol("PEPEUSDT", "0.05", "0.5")))
    store, _ = load(tmp_path / "c", folder)
    assert steps(store) == {"PEPEUSDT.BINANCE_SPOT": ("0.001", "0.5")}


def test_the_catalogs_own_steps_are_kept_and_that_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "PEPE_USDT-1m.csv").write_text(CANDLES)
    load(tmp_path / "c", folder)
    (folder / "exchangeInfo.json").write_text(exchange_info(symbol("PEPEUSDT", "0.5", "5")))
    store, report = load(tmp_path / "c", folder)
    assert steps(store) == {"PEPEUSDT.BINANCE_SPOT": ("0.1", "1")}
    assert info_report(report).notes == (
        "tick and lot steps of 0 instruments taken from its exchangeInfo",
        "PEPEUSDT.BINANCE_SPOT: the catalog's own steps, or finer ones of the data, are kept",
    )
