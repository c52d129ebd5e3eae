"""Raw recordings: both line forms, both times kept, the market told apart or asked for."""

import gzip
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from nautilus_trader.model import AggressorSide
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.ingest import recordings
from catalog.ingest.importer import FileReport, Options, import_files
from catalog.ingest.recordings import Market
from catalog.store import Store
from strategies.errors import BadInput

R0 = 1_723_161_255_000_000_000
SPOT_TRADE = (
    '{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161256343,"s":"BTCUSDT","t":%d,'
    '"p":"61837.63000000","q":"0.02000000","T":1723161256342,"m":true,"M":true}}'
)
SPOT_QUOTE = (
    '{"stream":"btcusdt@bookTicker","data":{"u":1,"s":"BTCUSDT","b":"61837.63000000",'
    '"B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}'
)
USDM_QUOTE = (
    '{"stream":"ethusdt@bookTicker","data":{"e":"bookTicker","u":5,"s":"ETHUSDT","b":"%s",'
    '"B":"1.165","a":"2681.63","A":"73.077","T":1723161256310,"E":1723161256311}}'
)
AGG = (
    '{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","E":1723161256343,"a":9,"s":"BTCUSDT",'
    '"p":"61837.63","q":"0.02","f":1,"l":2,"T":1723161256342,"m":false}}'
)
KLINE = '{"stream":"btcusdt@kline_1m","data":{"e":"kline","s":"BTCUSDT","k":{}}}'


def load(
    folder: Path, *lines: str, market: Market | None = None, name: str = "r.gz"
) -> tuple[ParquetDataCatalog, FileReport]:
    path = folder / name
    text = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    store = Store(folder / "catalog")
    report = import_files(store, [str(path)], Options(market=market), lambda _done, _total: None)
    return ParquetDataCatalog(str(store.root)), report.files[0]


def refused(folder: Path, *lines: str) -> str:
    with pytest.raises(BadInput) as error:
        load(folder, *lines)
    assert not (folder / "catalog" / "data").exists()
    return str(error.value)


def test_a_spot_trade_keeps_both_times(tmp_path: Path) -> None:
    engine, report = load(tmp_path, f"{R0} {SPOT_TRADE % 7}", f"{R0 + 1} {SPOT_TRADE % 8}")
    trade, _ = engine.query_trade_ticks()
    assert str(trade.instrument_id) == "BTCUSDT.BINANCE_SPOT"
    assert (str(trade.price), str(trade.size)) == ("61837.63", "0.02000")
    assert (trade.ts_event, trade.ts_init) == (1_723_161_256_342_000_000, R0)
    assert (trade.aggressor_side, trade.trade_id.value) == (AggressorSide.SELL, "7")
    assert (report.rows, report.frames) == (2, 2)


def test_a_spot_quote_has_its_receive_time_only(tmp_path: Path) -> None:
    engine, _ = load(tmp_path, f"{R0} {SPOT_QUOTE}")
    (quote,) = engine.query_quote_ticks()
    assert (quote.ts_event, quote.ts_init) == (R0, R0)
    assert (str(quote.bid_price), str(quote.ask_size)) == ("61837.63", "1.54698")


def test_a_usdm_quote_has_the_venues_time(tmp_path: Path) -> None:
    engine, _ = load(tmp_path, f"{R0} {USDM_QUOTE % '2681.62'}")
    (quote,) = engine.query_quote_ticks()
    assert str(quote.instrument_id) == "ETHUSDT-PERP.BINANCE"
    assert (quote.ts_event, quote.ts_init) == (1_723_161_256_310_000_000, R0)


@pytest.mark.parametrize(
    ("head", "ns"),
    [
        ("1633998512.0633569:", 1_633_998_512_063_356_900),
        ("1633998512:", 1_633_998_512_000_000_000),
        ("1633998512063356789", 1_633_998_512_063_356_789),
        ("1633998512063", 1_633_998_512_063_000_000),
        ("1633998512.063", 1_633_998_512_063_000_000),
        ("2021-10-12T00:28:32.063Z", 1_633_998_512_063_000_000),
    ],
)
def test_receive_times_are_exact(tmp_path: Path, head: str, ns: int) -> None:
    engine, _ = load(tmp_path, f"{head} {SPOT_QUOTE}")
    assert engine.query_quote_ticks()[0].ts_init == ns


@pytest.mark.parametrize(
    ("address", "venue"),
    [
        ("wss://stream.binance.com:9443/stream", "BTCUSDT.BINANCE_SPOT"),
        ("wss://fstream.binance.com/stream", "BTCUSDT-PERP.BINANCE"),
    ],
)
def test_the_stream_address_tells_the_market(tmp_path: Path, address: str, venue: str) -> None:
    engine, _ = load(tmp_path, f"{address}?streams=x <-> 1633998511.1", f"1633998512.5: {AGG}")
    (trade,) = engine.query_trade_ticks()
    assert str(trade.instrument_id) == venue
    assert (trade.trade_id.value, trade.aggressor_side) == ("9", AggressorSide.BUY)


def test_an_untold_market_is_asked_for(tmp_path: Path) -> None:
    assert "give --market spot or --market usdm" in refused(tmp_path, f"{R0} {AGG}")
    engine, _ = load(tmp_path, f"{R0} {AGG}", market=Market.USDM)
    assert str(engine.query_trade_ticks()[0].instrument_id) == "BTCUSDT-PERP.BINANCE"


def test_trades_are_taken_before_aggregates(tmp_path: Path) -> None:
    engine, report = load(tmp_path, f"{R0} {SPOT_TRADE % 7}", f"{R0} {AGG}")
    assert [trade.trade_id.value for trade in engine.query_trade_ticks()] == ["7"]
    assert "trade taken and aggTrade left out for BTCUSDT" in report.notes


def test_a_clock_that_was_set_back_never_goes_back(tmp_path: Path) -> None:
    engine, report = load(
        tmp_path, f"{R0 + 9} {SPOT_QUOTE}", f"{R0} {SPOT_QUOTE}", f"{R0 + 10} {SPOT_QUOTE}"
    )
    assert [quote.ts_init for quote in engine.query_quote_ticks()] == [R0 + 9, R0 + 9, R0 + 10]
    assert "1 frames received before the line above, moved up to it" in report.notes


def test_other_frames_are_counted(tmp_path: Path) -> None:
    snapshot = '{"lastUpdateId":1,"bids":[],"asks":[]}'
    lines = [f"{R0} {SPOT_QUOTE}", f"{R0} {KLINE}", f"{R0} {KLINE}", f"{R0} {snapshot}", ""]
    _, report = load(tmp_path, *lines)
    note = (
        "frames left out: 1 depth snapshot of no certain symbol, 2 unfinished kline (trades, "
        "quotes, depth and finished candles are imported)"
    )
    assert note in report.notes


def test_an_address_without_a_kind_is_left_out(tmp_path: Path) -> None:
    odd = '{"stream":"!ticker","data":{}}'
    _, report = load(tmp_path, f"{R0} {SPOT_QUOTE}", f"{R0} {odd}")
    assert any("left out: 1 other" in note for note in report.notes)


def test_a_single_streams_frames_have_no_envelope(tmp_path: Path) -> None:
    bare = [line.partition('"data":')[2][:-1] for line in (SPOT_TRADE % 7, SPOT_QUOTE)]
    engine, report = load(tmp_path, *(f"{R0} {line}" for line in bare))
    assert (len(engine.query_trade_ticks()), len(engine.query_quote_ticks())) == (1, 1)
    assert report.rows == 2


def test_an_empty_side_is_no_quote(tmp_path: Path) -> None:
    lines = [f"{R0} {USDM_QUOTE % '0.00'}", f"{R0} {USDM_QUOTE % '2681.62'}"]
    engine, report = load(tmp_path, *lines)
    assert len(engine.query_quote_ticks()) == 1
    assert "ETHUSDT: 1 frames with a price of 0 dropped" in report.notes


def test_more_rows_than_a_block(tmp_path: Path) -> None:
    lines = [f"{R0 + k} {SPOT_TRADE % k}" for k in range(70_000)]
    engine, report = load(tmp_path, *lines, name="r.txt")
    assert report.rows == 70_000
    assert engine.query_trade_ticks()[-1].trade_id.value == "69999"


@pytest.mark.parametrize("broken", ["{R0} {{", "nonsense", "{R0} {SPOT_CUT}"])
def test_a_broken_line_is_named(tmp_path: Path, broken: str) -> None:
    line = broken.format(R0=R0, SPOT_CUT=SPOT_QUOTE[:80])
    assert "r.gz, line 2: " in refused(tmp_path, f"{R0} {SPOT_QUOTE}", line, f"{R0} {SPOT_QUOTE}")


def test_a_recording_without_trades_or_quotes_is_refused(tmp_path: Path) -> None:
    assert "nothing to import" in refused(tmp_path, f"{R0} {KLINE}")


def test_a_recording_cut_short_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress("".join(f"{R0 + k} {SPOT_TRADE % k}\n" for k in range(2_000)).encode())
    path = tmp_path / "cut.gz"
    path.write_bytes(whole[:-100])
    with pytest.raises(BadInput, match=r"cut\.gz cannot be unpacked to its end"):
        import_files(Store(tmp_path / "c"), [str(path)], Options(), lambda _done, _total: None)


def test_finer_sizes_than_the_catalog_knows_are_refused(tmp_path: Path) -> None:
    load(tmp_path, f"{R0} {SPOT_QUOTE}")
    finer = SPOT_QUOTE.replace("3.78826000", "3.78826001")
    with pytest.raises(BadInput, match=r"sizes have up to 8 decimals, BTCUSDT\.BINANCE_SPOT has 5"):
        load(tmp_path, f"{R0 + 5} {finer}")


def test_many_symbols_wait_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [
        f"{R0 + i} {(SPOT_TRADE % i).replace('BTCUSDT', f'S{i % 7}USDT')}" for i in range(200)
    ]
    whole, _ = load(tmp_path, *frames)
    monkeypatch.setattr(recordings, "_WAITING_MOST", 16)
    (tmp_path / "parts").mkdir()
    parts, _ = load(tmp_path / "parts", *frames)
    assert parts.query_trade_ticks() == whole.query_trade_ticks()
    assert len(parts.query_trade_ticks()) == 200
    paths = (tmp_path / "parts" / "catalog").glob("data/trades/S0USDT*/*.parquet")
    assert pq.ParquetFile(next(paths)).num_row_groups > 5


def test_a_last_line_cut_short_is_left_out(tmp_path: Path) -> None:
    engine, report = load(tmp_path, f"{R0} {SPOT_TRADE % 7}", f"{R0 + 1} {SPOT_TRADE[:60]}")
    assert [each.trade_id.value for each in engine.query_trade_ticks()] == ["7"]
    assert "line 2, the last, is cut short and left out" in report.notes


def test_a_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.txt"
    path.write_bytes(f"\ufeff{R0} {SPOT_TRADE % 7}\r\n{R0 + 1} {SPOT_TRADE % 8}\r\n".encode())
    store = Store(tmp_path / "catalog")
    report = import_files(store, [str(path)], Options(), lambda _done, _total: None)
    assert report.files[0].rows == 2


def test_what_a_second_connection_sent_again_counts_once(tmp_path: Path) -> None:
    lines = [
        *(f"{R0} {SPOT_TRADE % 7}", f"{R0 + 1} {SPOT_TRADE % 9}", f"{R0 + 2} {SPOT_TRADE % 7}"),
        *(f"{R0 + 3} {SPOT_TRADE % 8}", f"{R0 + 4} {SPOT_TRADE % 9}"),
        f"{R0 + 5} {USDM_QUOTE % '2681.62'}",
        f"{R0 + 6} {USDM_QUOTE.replace(':5,', ':4,') % '2681.00'}",
    ]
    engine, report = load(tmp_path, *lines, market=Market.SPOT)
    assert [each.trade_id.value for each in engine.query_trade_ticks()] == ["7", "9", "8"]
    assert [str(each.bid_price) for each in engine.query_quote_ticks()] == ["2681.62"]
    assert any("1 repeated quote, 2 repeated trade" in note for note in report.notes)


def test_trades_of_the_insurance_fund_are_no_trades_of_the_market(tmp_path: Path) -> None:
    fund = (SPOT_TRADE % 8).replace('"M":true', '"X":"INSURANCE_FUND"')
    market = (SPOT_TRADE % 7).replace('"M":true', '"X":"MARKET"')
    engine, report = load(tmp_path, f"{R0} {market}", f"{R0 + 1} {fund}")
    assert [each.trade_id.value for each in engine.query_trade_ticks()] == ["7"]
    assert any("1 trade of insurance fund or deleveraging" in note for note in report.notes)


DEPTH = '{"e":"depthUpdate","E":1723161256343,"s":"%s","U":%d,"u":%d,"b":[["%s","2"]],"a":[]}'
SNAPSHOT = '{"lastUpdateId":%d,"bids":[["%s","1"]],"asks":[["%s","1"]]}'


@pytest.mark.parametrize("last_id", [99, 101, 150])
def test_a_snapshot_before_the_first_diff_is_its_book(tmp_path: Path, last_id: int) -> None:
    first = DEPTH % ("BTCUSDT", 100, 101, "99.5")
    later = DEPTH % ("BTCUSDT", 102, 200, "99.0")
    lines = [SNAPSHOT % (last_id, "100.00", "101.00"), first, later]
    engine, report = load(tmp_path, *(f"{R0 + k} {line}" for k, line in enumerate(lines)))
    deltas = engine.query_order_book_deltas()
    assert [str(each.order.price) for each in deltas[1:3]] == ["100.00", "101.00"]
    assert not any("snapshot" in note for note in report.notes)


def test_a_snapshot_of_another_symbol_is_no_beginning(tmp_path: Path) -> None:
    lines = [SNAPSHOT % (100, "3.1", "3.2"), DEPTH % ("BTCUSDT", 100, 101, "99.5")]
    _, report = load(tmp_path, *(f"{R0 + k} {line}" for k, line in enumerate(lines)))
    assert any("1 depth snapshot of no certain symbol" in note for note in report.notes)
    assert any("begins without a snapshot" in note for note in report.notes)
