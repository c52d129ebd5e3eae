"""Binance's public dumps: each kind, with and without header, both units, both markets."""

import gzip
import hashlib
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from nautilus_trader.model import AggressorSide, NautilusDataType
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.ingest.dumps import Dump, DumpKind, dump_of, import_dump
from catalog.ingest.importer import FileReport, Kind, Options, import_files
from catalog.ingest.instruments import Grid
from catalog.ingest.recordings import Market
from catalog.quality import Severity
from catalog.quality_raw import check_file
from catalog.store import Store
from strategies.errors import BadInput
from strategies.ports import StreamKind

MS, US = 1_735_689_600_000, 1_735_689_600_000_000  # 2025-01-01
T0 = US * 1_000
SPOT_TRADES = (
    f"4359,93576.00000000,0.00100000,93.576,{US},True,True",
    f"4360,93576.01000000,0.02000000,1871.5,{US + 250},False,True",
)
USDM_TRADES = (
    "id,price,qty,quote_qty,time,is_buyer_maker",
    f"501,93548.80,0.002,187.1,{MS},true",
    f"502,93548.90,0.150,14032.3,{MS + 3},false",
)
USDM_AGG = (
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
    f"77,93548.8,0.002,501,501,{MS},true",
)
SPOT_KLINES = (
    f"{US},93576.00,93610.93,93537.50,93610.93,8.21827,{US + 59_999_999},768978.0,2631,3.9,3.7,0",
    f"{US + 60_000_000},93610.93,93652.00,93606.20,93652.00,10.3,{US + 119_999_999},1,9,1,1,0",
)
USDM_KLINES = (
    "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore",
    f"{MS},93548.80,93590.00,93514.10,93573.20,77.549,{MS + 59_999},7255533.0,1817,44.4,4.1,0",
)
TICKER = (
    "update_id,best_bid_price,best_bid_qty,best_ask_price,best_ask_qty,transaction_time,event_time",
    f"611,93548.80,3.105,93548.90,7.250,{MS + 1},{MS + 4}",
)
FUNDING = ("calc_time,funding_interval_hours,last_funding_rate", f"{MS},8,-0.00001234")


def zipped(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    text = "\n".join(lines) + "\n"
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name.removesuffix(".zip") + ".csv", text)
    else:
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def load(path: Path, **options: object) -> tuple[ParquetDataCatalog, FileReport]:
    store = Store(path.parent / "catalog")
    chosen = Options(**options)  # type: ignore[arg-type] # keywords of a test
    report = import_files(store, [str(path)], chosen, lambda _done, _total: None)
    return ParquetDataCatalog(str(store.root)), report.files[0]


@pytest.mark.parametrize("name", ["BTCUSDT-trades-2025-01-01.zip", "BTCUSDT-trades-2025-01.csv"])
def test_spot_trades_in_microseconds_without_header(tmp_path: Path, name: str) -> None:
    engine, report = load(zipped(tmp_path, name, *SPOT_TRADES))
    first, second = engine.query_trade_ticks()
    assert str(first.instrument_id) == "BTCUSDT.BINANCE_SPOT"
    assert (str(first.price), str(first.size)) == ("93576.00", "0.00100")
    assert (first.trade_id.value, first.aggressor_side) == ("4359", AggressorSide.SELL)
    assert second.aggressor_side == AggressorSide.BUY
    assert (first.ts_event, first.ts_init, second.ts_init) == (T0, T0, T0 + 250_000)
    assert (report.kind, report.rows) == (Kind.TRADES, 2)


def test_usdm_trades_in_milliseconds_with_header(tmp_path: Path) -> None:
    engine, _ = load(zipped(tmp_path, "BTCUSDT-trades-2025-01.csv.gz", *USDM_TRADES))
    first, second = engine.query_trade_ticks()
    assert str(first.instrument_id) == "BTCUSDT-PERP.BINANCE"
    assert (str(first.price), second.ts_init) == ("93548.8", T0 + 3_000_000)


def test_spot_trades_in_milliseconds(tmp_path: Path) -> None:
    line = SPOT_TRADES[0].replace(str(US), str(MS))
    engine, _ = load(zipped(tmp_path, "BTCUSDT-trades-2024-12-31.zip", line))
    assert engine.query_trade_ticks()[0].ts_init == T0


def test_aggregate_trades(tmp_path: Path) -> None:
    engine, _ = load(zipped(tmp_path, "BTCUSDT-aggTrades-2025-01.zip", *USDM_AGG))
    (trade,) = engine.query_trade_ticks()
    assert (trade.trade_id.value, str(trade.instrument_id)) == ("77", "BTCUSDT-PERP.BINANCE")


def test_book_tickers(tmp_path: Path) -> None:
    engine, _ = load(zipped(tmp_path, "BTCUSDT-bookTicker-2025-01.zip", *TICKER))
    (quote,) = engine.query_quote_ticks()
    assert (str(quote.bid_size), str(quote.ask_size)) == ("3.105", "7.250")
    assert quote.ts_event == T0 + 1_000_000


def test_klines_are_stamped_at_their_close(tmp_path: Path) -> None:
    engine, report = load(zipped(tmp_path, "BTCUSDT-1m-2025-01.zip", *SPOT_KLINES))
    first, second = engine.query_bars()
    assert str(first.bar_type) == "BTCUSDT.BINANCE_SPOT-1-MINUTE-LAST-EXTERNAL"
    assert (first.ts_init, second.ts_init) == (T0 + 60 * 10**9, T0 + 120 * 10**9)
    assert [str(first.open), str(first.high), str(first.low), str(first.close)] == [
        *("93576.00", "93610.93", "93537.50", "93610.93"),
    ]
    assert str(first.volume) == "8.21827"
    assert report.notes == ("market spot told by its form",)


def test_usdm_klines_are_told_by_their_header(tmp_path: Path) -> None:
    engine, _ = load(zipped(tmp_path, "BTCUSDT-1m-2025-01.zip", *USDM_KLINES))
    assert str(engine.query_bars()[0].bar_type).startswith("BTCUSDT-PERP.BINANCE-1-MINUTE")


def test_klines_that_tell_no_market_are_asked_for(tmp_path: Path) -> None:
    path = zipped(tmp_path, "BTCUSDT-1m-2024-01.zip", USDM_KLINES[1])
    with pytest.raises(BadInput, match="give --market spot or --market usdm"):
        load(path)
    engine, _ = load(path, market=Market.SPOT)
    assert str(engine.query_bars()[0].bar_type).startswith("BTCUSDT.BINANCE_SPOT-1-MINUTE")


def test_a_candle_that_does_not_last_its_interval_is_refused(tmp_path: Path) -> None:
    path = zipped(tmp_path, "BTCUSDT-5m-2025-01.zip", *SPOT_KLINES)
    with pytest.raises(BadInput, match=r"BTCUSDT-5m-2025-01\.zip, line 1: the candle"):
        load(path)


def test_funding_rates_are_as_the_engine_reads_them(tmp_path: Path) -> None:
    path = zipped(tmp_path, "BTCUSDT-fundingRate-2025-01.zip", *FUNDING)
    engine, report = load(path)
    (update,) = engine.query(NautilusDataType.FundingRateUpdate)
    assert str(update.instrument_id) == "BTCUSDT-PERP.BINANCE"
    assert str(update.rate) == "-0.00001234"
    assert (update.interval, update.ts_init) == (480, T0)
    assert update.next_funding_ns == T0 + 8 * 3_600 * 10**9
    (info,) = Store(tmp_path / "catalog").streams()
    assert (info.kind, info.rows, report.rows) == (StreamKind.FUNDING, 1, 1)
    _, again = load(path)
    assert again.rows == 1


def test_funding_rates_alone_make_no_instrument(tmp_path: Path) -> None:
    funding = zipped(tmp_path, "ABCUSDT-fundingRate-2025-01.zip", *FUNDING)
    with pytest.raises(BadInput, match="import its klines or trades first or together"):
        load(funding)
    zipped(tmp_path, "ABCUSDT-trades-2025-01.zip", *USDM_TRADES)
    store = Store(tmp_path / "catalog")
    import_files(store, [str(tmp_path)], Options(), lambda _done, _total: None)
    (instrument,) = store.instruments().values()
    assert instrument.price_precision == 1
    assert [info.kind for info in store.streams()] == [StreamKind.TRADES, StreamKind.FUNDING]


def test_a_dump_of_any_name_with_its_kind_told(tmp_path: Path) -> None:
    path = zipped(tmp_path, "mine.csv", *SPOT_TRADES)
    with pytest.raises(BadInput, match="give --instrument"):
        load(path, kind=Kind.TRADES)
    engine, _ = load(path, kind=Kind.TRADES, instrument="ABCUSDT.BINANCE_SPOT")
    assert str(engine.query_trade_ticks()[0].instrument_id) == "ABCUSDT.BINANCE_SPOT"


def test_times_that_swap_never_go_back(tmp_path: Path) -> None:
    lines = (SPOT_TRADES[0].replace(str(US), str(US + 500)), SPOT_TRADES[1])
    engine, report = load(zipped(tmp_path, "BTCUSDT-trades-2025-01-01.zip", *lines))
    second = engine.query_trade_ticks()[1]
    assert (second.ts_event, second.ts_init) == (T0 + 250_000, T0 + 500_000)
    assert "1 rows stamped before the one above, moved up to it" in report.notes


def test_rows_without_a_price_are_dropped(tmp_path: Path) -> None:
    empty = TICKER[1].replace("93548.80", "0.00").replace("611", "612")
    engine, report = load(zipped(tmp_path, "BTCUSDT-bookTicker-2025-01.zip", *TICKER, empty))
    assert len(engine.query_quote_ticks()) == 1
    assert "1 rows without a price above 0 dropped" in report.notes


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ((f"4359,abc,0.1,93.5,{US},True,True",), "complete trades dump"),
        ((f"4359,1.5,0.1,{US}",), "has 4 columns, a trades dump has 6 or 7"),
        (("",), "is empty"),
        ((USDM_TRADES[0],), "holds no rows"),
    ],
)
def test_what_is_no_dump_is_refused(tmp_path: Path, lines: tuple[str, ...], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        load(zipped(tmp_path, "BTCUSDT-trades-2025-01-01.csv", *lines))
    assert not (tmp_path / "catalog" / "data").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("ETHBTC-1mo-2025-01.zip", (DumpKind.KLINES, "ETHBTC", "1mo")),
        ("1000SHIBUSDT-aggTrades-2025-01-31.csv", (DumpKind.AGG_TRADES, "1000SHIBUSDT", "")),
        ("BTCUSDT_250328-12h-2025-01.zip", (DumpKind.KLINES, "BTCUSDT_250328", "12h")),
        ("BTC_USDT-5m.feather", None),
        ("A005930.csv.gz", None),
    ],
)
def test_names(name: str, told: tuple[DumpKind, str, str] | None) -> None:
    dump = dump_of(Path(name))
    assert (dump and (dump.kind, dump.symbol, dump.interval)) == told


def test_memory_is_bounded_by_the_chunk(tmp_path: Path) -> None:
    def peak(rows: int) -> int:
        lines = (f"{i},93576.00,0.00100,93.5,{US + i},True,True" for i in range(rows))
        path = zipped(tmp_path, "BTCUSDT-trades-2025-01-01.csv", *lines)
        store = Store(tmp_path / str(rows))
        tracemalloc.start()
        with store.importing() as batch:
            dump = Dump(path, "BTCUSDT", DumpKind.TRADES)
            done = import_dump(batch, dump, None, Grid(), lambda _: None, chunk_bytes=1 << 14)
        assert done.rows == rows
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    # The smaller one fills the row group and the parser's look-ahead already.
    small, large = peak(70_000), peak(210_000)
    assert large < 1.3 * small


def test_folders_of_the_site_tell_the_market(tmp_path: Path) -> None:
    """Aggregate trades of spot without the best-match column look like those of USD-M."""
    folder = tmp_path / "data" / "spot" / "daily" / "aggTrades" / "BTCUSDT"
    folder.mkdir(parents=True)
    zipped(folder, "BTCUSDT-aggTrades-2025-01-01.zip", f"77,93548.8,0.002,501,501,{US},True")
    engine, _ = load(folder / "BTCUSDT-aggTrades-2025-01-01.zip")
    assert str(engine.query_trade_ticks()[0].instrument_id) == "BTCUSDT.BINANCE_SPOT"


NO_TRADES = f"{MS},93548.80,93590.00,93514.10,93573.20,0,{MS + 59_999},0,60,0,0,0"


@pytest.mark.parametrize(
    ("folders", "name", "lines", "says"),
    [
        ("um/daily/markPriceKlines", "BTCUSDT-1m-2025-01-01.zip", (NO_TRADES,), "mark prices"),
        ("um/daily/indexPriceKlines", "BTCUSDT-1m-2025-01-01.zip", (NO_TRADES,), "index prices"),
        ("x", "BTCUSDT-1m-2025-01-01.zip", (NO_TRADES,), "of mark or index prices"),
        ("um/daily/metrics", "BTCUSDT-metrics-2025-01-01.zip", ("a,b",), "a dump of metrics"),
        ("um/daily/bookDepth", "BTCUSDT-bookDepth-2025-01-01.zip", ("a,b",), "bookDepth"),
        ("cm/daily/klines", "BTCUSD_PERP-1m-2025-01-01.zip", USDM_KLINES, "coin-margined"),
        ("um/daily/klines", "BTCUSDT_250328-1m-2025-01-01.zip", USDM_KLINES, "expiring"),
    ],
)
def test_what_is_not_traded_here_is_left_out_by_name(
    tmp_path: Path, folders: str, name: str, lines: tuple[str, ...], says: str
) -> None:
    folder = tmp_path / "data" / "futures" / folders
    folder.mkdir(parents=True)
    path = zipped(folder, name, *lines)
    with pytest.raises(BadInput, match=says):
        load(path, market=Market.USDM)
    zipped(tmp_path / "data", "BTCUSDT-1m-2025-01-02.zip", *USDM_KLINES)
    store = Store(tmp_path / "catalog")
    report = import_files(store, [str(tmp_path / "data")], Options(), lambda _done, _total: None)
    assert [each.rows for each in report.files if each.kind is not Kind.LEFT_OUT] == [1]
    assert any(says in note for each in report.files for note in each.notes)


def test_a_checksum_beside_a_dump_must_be_its_own(tmp_path: Path) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    path = zipped(folder, "BTCUSDT-trades-2025-01-01.zip", *USDM_TRADES)
    beside = folder / "BTCUSDT-trades-2025-01-01.zip.CHECKSUM"
    beside.write_text(f"{'0' * 64}  {path.name}\n")
    with pytest.raises(BadInput, match="does not match its checksum"):
        load(path)
    beside.write_text(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n")
    store = Store(tmp_path / "catalog")
    report = import_files(store, [str(folder)], Options(), lambda _done, _total: None)
    assert [each.path for each in report.files] == [path]


def test_volumes_of_the_venue_are_kept_exactly(tmp_path: Path) -> None:
    """Lots of old days were finer than the built-in ones."""
    line = USDM_KLINES[1].replace("77.549", "77.54912")
    engine, report = load(zipped(tmp_path, "BTCUSDT-1m-2025-01-01.zip", USDM_KLINES[0], line))
    assert str(engine.query_bars()[0].volume) == "77.54912"
    assert not any("rounded" in note for note in report.notes)


def test_checking_a_dump_tells_repeated_and_missing_candles(tmp_path: Path) -> None:
    late = SPOT_KLINES[1].replace(str(US + 60_000_000), str(US + 180_000_000))
    late = late.replace(str(US + 119_999_999), str(US + 239_999_999))
    lines = (SPOT_KLINES[0], SPOT_KLINES[0], late)
    path = zipped(tmp_path, "BTCUSDT-1m-2025-01-01.zip", *lines)
    found = {each.rule: each.severity for each in check_file(path)}
    assert found == {"time-back": Severity.ERROR, "missing-bars": Severity.WARNING}


def test_a_new_instrument_has_the_decimals_of_all_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "dumps"
    folder.mkdir()
    kline = f"{MS},1.5,1.6,1.4,1.5,12.5,{MS + 59_999},9,3,1,1,0"
    zipped(folder, "ZZTUSDT-1m-2025-01-01.zip", USDM_KLINES[0], kline)
    for day, price in enumerate(("1.5", "1.625", "1.50001")):
        row = f"{day},{price},{price},9,{MS + day * 86_400_000},true"
        zipped(folder, f"ZZTUSDT-trades-2025-01-0{day + 1}.zip", USDM_TRADES[0], row)
    engine, _ = load(folder)
    trades = engine.query_trade_ticks()
    assert [str(each.price) for each in trades] == ["1.50000", "1.62500", "1.50001"]
    assert [str(each.size) for each in trades] == ["1.50000", "1.62500", "1.50001"]
    assert str(engine.query_bars()[0].volume) == "12.50000"
    finer = zipped(tmp_path, "ZZTUSDT-trades-2025-01-04.zip", f"9,1.000001,1,1,{MS + 10**9},true")
    with pytest.raises(BadInput, match=r"up to 6 decimals, ZZTUSDT-PERP.BINANCE has 5"):
        load(finer)
