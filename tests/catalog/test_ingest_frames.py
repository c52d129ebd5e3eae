"""Frames kept without receive times: the venue's times stand in, other kinds are named."""

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.ingest.frames import frames_in, looks_like_frames, values_of
from catalog.ingest.importer import FileReport, Options, import_files
from catalog.ingest.receive_times import time_ns
from catalog.ingest.recordings import Market
from catalog.store import Store
from scenarios.kis_recordings import KisRecordings
from strategies.errors import BadInput

T0 = 1_723_161_256_000
MS = 1_000_000

type Frame = dict[str, Any]


def trade(ms: int, number: int = 1, **more: object) -> Frame:
    data = {"e": "trade", "E": ms, "s": "BTCUSDT", "t": number, "p": "61837.63", "q": "0.02"}
    return data | {"T": ms - 1, "m": True} | more


def candle(close_ms: int, interval: str = "1m", *, finished: bool = True, **more: object) -> Frame:
    told = {"T": close_ms - 1, "i": interval, "x": finished, "v": "12.5"}
    prices = {"o": "10.0", "h": "10.5", "l": "9.5", "c": "10.2"}
    data = {"e": "kline", "E": close_ms + 5, "s": "SUSHIUSDT", "k": told | prices | more}
    return {"stream": f"sushiusdt@kline_{interval}", "data": data}


def load(
    folder: Path, text: str, name: str = "frames.jsonl", market: Market | None = None
) -> tuple[ParquetDataCatalog, FileReport]:
    path = folder / name
    content = text.encode()
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    store = Store(folder / "catalog")
    report = import_files(store, [str(path)], Options(market=market), lambda _done, _total: None)
    return ParquetDataCatalog(str(store.root)), report.files[0]


def lines(*frames: object) -> str:
    return "".join(json.dumps(frame) + "\n" for frame in frames)


@pytest.mark.parametrize(
    "text",
    [
        lines(trade(T0, M=True), trade(T0 + 1, 2, M=True)),
        json.dumps([trade(T0, M=True), trade(T0 + 1, 2, M=True)]),
        json.dumps([trade(T0, M=True), trade(T0 + 1, 2, M=True)], indent=1),
        lines([trade(T0, M=True)], [trade(T0 + 1, 2, M=True)]),
        lines({"frame": json.dumps(trade(T0, M=True))}, {"frame": trade(T0 + 1, 2, M=True)}),
        lines(*({"stream": "btcusdt@trade", "data": trade(T0 + i, 1 + i, M=True)} for i in (0, 1))),
    ],
    ids=["lines", "array", "indented", "arrays", "records", "combined"],
)
@pytest.mark.parametrize("name", ["f.jsonl", "f.json.gz"])
def test_every_form_gives_the_same_trades(tmp_path: Path, text: str, name: str) -> None:
    engine, report = load(tmp_path, text, name)
    trades = engine.query_trade_ticks()
    assert [(each.trade_id.value, each.ts_event, each.ts_init) for each in trades] == [
        ("1", (T0 - 1) * MS, T0 * MS),
        ("2", T0 * MS, (T0 + 1) * MS),
    ]
    assert str(trades[0].instrument_id) == "BTCUSDT.BINANCE_SPOT"
    assert report.frames == 2


def test_the_stand_in_is_said_and_kept_as_origin(tmp_path: Path) -> None:
    _, report = load(tmp_path, lines(trade(T0, M=True)))
    assert "without receive times: the venue's times stand in for them" in report.notes
    (info,) = Store(tmp_path / "catalog").streams()
    assert info.sources == ("frames.jsonl (venue times as receive times)",)


def test_markets_in_one_file_are_told_apart(tmp_path: Path) -> None:
    diff = {"e": "depthUpdate", "E": T0, "T": T0, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0}
    engine, report = load(
        tmp_path,
        lines(
            trade(T0, M=True),
            trade(T0, 2, X="MARKET"),
            trade(T0, 3, s="BTCUSD_PERP"),
            diff | {"b": [["1.5", "2"]], "a": [["1.6", "3"]]},
        ),
    )
    assert {
        str(each.instrument_id): each.trade_id.value for each in engine.query_trade_ticks()
    } == {
        "BTCUSDT.BINANCE_SPOT": "1",
        "BTCUSDT-PERP.BINANCE": "2",
    }
    assert "market spot and usdm told by the frames" in report.notes
    assert any("1 trade of expiring or coin-margined contracts" in each for each in report.notes)
    assert any("begins without a snapshot" in each for each in report.notes)


def test_frames_of_accounts_and_other_kinds_are_counted_by_name(tmp_path: Path) -> None:
    quote = {"u": 1, "s": "BTCUSDT", "b": "1.5", "B": "2", "a": "1.6", "A": "3"}
    partial = {"e": "depthUpdate", "E": T0, "s": "BTCUSDT", "U": 1, "u": 2, "pu": 0}
    others = [
        {"e": "ORDER_TRADE_UPDATE", "E": T0, "o": {"s": "BTCUSDT"}},
        {"e": "ACCOUNT_UPDATE", "E": T0, "a": {}},
        [{"e": "24hrMiniTicker", "E": T0, "s": "X"}, {"e": "24hrMiniTicker", "E": T0, "s": "Y"}],
        {"result": None, "id": 2},
        {"stream": "btcusdt@depth5", "data": partial | {"b": [], "a": []}},
        quote,
        trade(T0 + 1, 5, t=None, M=True) | {"p": None},
        7,
    ]
    _, report = load(tmp_path, lines(trade(T0, M=True), *others))
    assert report.frames == 10
    (note,) = [each for each in report.notes if each.startswith("frames left out")]
    assert note == (
        "frames left out: 2 24hrMiniTicker, 1 ACCOUNT_UPDATE, 1 ORDER_TRADE_UPDATE, 1 other, "
        "1 quote without a time, 1 result (trades, quotes, depth and finished candles are imported)"
    )


def test_a_finished_candle_is_a_bar_of_its_close(tmp_path: Path) -> None:
    close = T0 // 60_000 * 60_000
    frames = (
        candle(close, finished=False),
        candle(close),
        candle(close),
        candle(close, "5m"),
        candle(close, "1M"),
    )
    engine, report = load(tmp_path, lines(*frames))
    bars = engine.query_bars()
    assert {str(bar.bar_type): (bar.ts_event, bar.ts_init) for bar in bars} == {
        f"SUSHIUSDT-PERP.BINANCE-{n}-MINUTE-LAST-EXTERNAL": (close * MS, close * MS) for n in (1, 5)
    }
    assert (str(bars[0].open), str(bars[0].close), str(bars[0].volume)) == ("10.0", "10.2", "12.5")
    (note,) = [each for each in report.notes if each.startswith("frames left out")]
    assert "1 kline of 1M, 1 repeated kline, 1 unfinished kline" in note


def test_a_recording_keeps_its_candles_too(tmp_path: Path) -> None:
    close = T0 // 60_000 * 60_000
    line = f"{(close + 9) * MS} {json.dumps(candle(close), separators=(',', ':'))}\n"
    engine, report = load(tmp_path, line, "r.ws")
    (bar,) = engine.query_bars()
    assert (bar.ts_event, bar.ts_init) == (close * MS, close * MS)
    assert report.rows == 1


def test_recorded_candles_merge_with_those_of_a_dump(tmp_path: Path) -> None:
    close = T0 // 60_000 * 60_000
    load(tmp_path, lines(candle(close)), "r.jsonl")
    dump = tmp_path / "SUSHIUSDT-1m-2024-08-08.csv"
    rows = (
        f"{close - 60_000},10.0,10.5,9.5,10.2,12.5,{close - 1},1,1,1,1,0",
        f"{close},10.2,10.5,9.5,10.3,12.0,{close + 59_999},1,1,1,1,0",
    )
    dump.write_text("\n".join(rows) + "\n")
    options = Options(market=Market.USDM)
    report = import_files(
        Store(tmp_path / "catalog"), [str(dump)], options, lambda _done, _total: None
    )
    assert [(result.rows, result.added) for result in report.results] == [(1, True), (1, False)]


def test_frames_out_of_order_are_sorted_by_the_venues_time(tmp_path: Path) -> None:
    times = [T0 + 90_000, T0, T0 + 45_000]
    engine, report = load(tmp_path, lines(*(trade(ms, i, M=True) for i, ms in enumerate(times))))
    assert [each.trade_id.value for each in engine.query_trade_ticks()] == ["1", "2", "0"]
    assert "3 frames not in order of time, sorted" in report.notes


def test_frames_that_swapped_by_a_little_are_moved_up(tmp_path: Path) -> None:
    times = [T0 + 300, T0, T0 + 400]
    engine, report = load(tmp_path, lines(*(trade(ms, i, M=True) for i, ms in enumerate(times))))
    stamps = [each.ts_init for each in engine.query_trade_ticks()]
    assert stamps == [(T0 + 300) * MS, (T0 + 300) * MS, (T0 + 400) * MS]
    assert "1 frames earlier than one above, moved up to it" in report.notes


def test_a_snapshot_goes_with_the_one_book_there_is(tmp_path: Path) -> None:
    levels = {"b": [["1.5", "2"]], "a": [["1.6", "3"]]}
    diff = {"e": "depthUpdate", "E": T0, "s": "BTCUSDT", "U": 5, "u": 6} | levels
    book = {"lastUpdateId": 5, "bids": [["1.4", "9"]], "asks": [["1.7", "9"]]}
    engine, report = load(tmp_path, lines(diff, book, diff | {"U": 7, "u": 8}))
    assert str(engine.query_order_book_deltas()[0].action) == "CLEAR"
    assert not any("begins without a snapshot" in each for each in report.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (lines({"e": "listStatus", "E": T0}), "no market data to import: frames left out: 1 list"),
        (lines(trade(T0, M=True)) + '{"e":"tra', "line 2: .* is no JSON"),
        (json.dumps([trade(T0, M=True)] * 2)[:-9], "is no JSON or is cut short"),
    ],
)
def test_what_holds_nothing_or_is_cut_short_is_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        load(tmp_path, text)
    assert not (tmp_path / "catalog" / "data").exists()


def test_the_market_can_be_told(tmp_path: Path) -> None:
    engine, report = load(tmp_path, lines(trade(T0)), market=Market.SPOT)
    assert str(engine.query_trade_ticks()[0].instrument_id) == "BTCUSDT.BINANCE_SPOT"
    assert not any("told by" in each for each in report.notes)


def test_a_look_at_a_large_file_reads_little_of_it(tmp_path: Path) -> None:
    path = tmp_path / "service.log"
    path.write_bytes(b"[2026-11-17T10:05:12] started " + b"x" * 60_000_000)
    tracemalloc.start()
    assert not looks_like_frames(path)
    assert not KisRecordings().reads(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000_000


@pytest.mark.parametrize("text", ["", "hello", '{"a": 1}', "[1, 2]", "[]", "{", '{"frames": 3}'])
def test_other_files_are_no_frames(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    assert not looks_like_frames(path)


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@settings(deadline=None, max_examples=40)
@given(values=st.lists(st.dictionaries(st.text(max_size=5), JSON), min_size=2, max_size=6))
@pytest.mark.parametrize("block", [1, 7, 1 << 20])
def test_an_array_is_read_in_any_blocks(
    tmp_path_factory: pytest.TempPathFactory, values: list[Frame], block: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "array.json"
    path.write_text(json.dumps(values, ensure_ascii=False, indent=1), "utf-8")
    assert [value for _, value in values_of(path, block=block)] == values


@given(value=JSON)
def test_any_value_has_frames_or_none(value: object) -> None:
    assert isinstance(list(frames_in(value)), list)


R0 = T0 * MS + 123_456_789
SPOT_QUOTE = {"u": 1, "s": "BTCUSDT", "b": "1.5", "B": "2", "a": "1.6", "A": "3"}


@pytest.mark.parametrize(
    ("record", "stamp"),
    [
        ({"received_ns": R0, "frame": SPOT_QUOTE}, R0),
        ({"ts": T0 / 1000, "message": json.dumps(SPOT_QUOTE)}, T0 * MS),
        ({"ts": str(T0 + 7), "raw": SPOT_QUOTE}, (T0 + 7) * MS),
        ({"timestamp": "2024-08-08T23:54:16.5+00:00", "data": SPOT_QUOTE}, (T0 + 500) * MS),
        ({"recv_ns": R0, "stream": "btcusdt@bookTicker", "data": SPOT_QUOTE}, R0),
    ],
)
def test_a_record_may_tell_when_its_frame_was_received(
    tmp_path: Path, record: Frame, stamp: int
) -> None:
    engine, report = load(tmp_path, lines(record))
    assert [each.ts_init for each in engine.query_quote_ticks()] == [stamp]
    assert not any("receive times" in note for note in report.notes)
    assert Store(tmp_path / "catalog").streams()[0].sources == ("frames.jsonl",)


def test_a_clock_that_was_set_back_is_not_sorted(tmp_path: Path) -> None:
    records = [{"received_ns": R0 + shift, "frame": SPOT_QUOTE} for shift in (5 * 10**9, 0)]
    engine, report = load(tmp_path, lines(*records))
    assert [each.ts_init - R0 for each in engine.query_quote_ticks()] == [5 * 10**9] * 2
    assert "1 frames earlier than one above, moved up to it" in report.notes


def test_times_in_microseconds_are_told_by_their_size(tmp_path: Path) -> None:
    engine, _ = load(tmp_path, lines(trade(T0 * 1_000 + 7, M=True)))
    (tick,) = engine.query_trade_ticks()
    assert (tick.ts_event, tick.ts_init) == (T0 * MS + 6_000, T0 * MS + 7_000)


PARTIAL_SPOT = {
    "stream": "btcusdt@depth5@100ms",
    "data": {"lastUpdateId": 7, "bids": [["1.5", "2"]], "asks": [["1.6", "3"]]},
}
PARTIAL_USDM = {
    "stream": "btcusdt@depth20",
    "data": {"e": "depthUpdate", "E": T0, "T": T0, "s": "BTCUSDT", "U": 1, "u": 7, "pu": 0}
    | {"b": [["1.5", "2"]], "a": [["1.6", "3"]]},
}


@pytest.mark.parametrize(
    ("frame", "instrument"),
    [(PARTIAL_SPOT, "BTCUSDT.BINANCE_SPOT"), (PARTIAL_USDM, "BTCUSDT-PERP.BINANCE")],
)
def test_best_levels_sent_as_a_whole_are_snapshots(
    tmp_path: Path, frame: Frame, instrument: str
) -> None:
    later = json.loads(json.dumps(frame).replace("7", "9").replace('"1.5", "2"', '"1.4", "2"'))
    texts = [json.dumps(each, separators=(",", ":")) for each in (frame, frame, later)]
    text = "".join(f"{R0 + i} {each}\n" for i, each in enumerate(texts))
    engine, _ = load(tmp_path, text, "r.ws")
    deltas = engine.query_order_book_deltas()
    assert {str(each.instrument_id) for each in deltas} == {instrument}
    assert [str(each.action) for each in deltas] == ["CLEAR", "ADD", "ADD"] * 2


def test_diffs_are_taken_before_best_levels(tmp_path: Path) -> None:
    diff = {"stream": "btcusdt@depth", "data": PARTIAL_USDM["data"] | {"u": 8}}
    engine, report = load(tmp_path, lines(PARTIAL_USDM, diff))
    assert [str(each.action) for each in engine.query_order_book_deltas()] == ["UPDATE", "UPDATE"]
    assert "depth taken and partial books left out for BTCUSDT" in report.notes


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1723161256", T0 * MS),
        ("1723161256.25", T0 * MS + 250 * MS),
        ("1723161256000", T0 * MS),
        ("1723161256000.5", T0 * MS + MS // 2),
        ("1723161256000001", T0 * MS + 1_000),
        ("1723161256000000001", T0 * MS + 1),
        ("2024-08-09T08:54:16+09:00", T0 * MS),
        ("2024-08-08 23:54:16", T0 * MS),
        ("20240808", None),
        ("2024-08-08", None),
        ("61837.63", None),
        ("soon", None),
        ("", None),
        ("-5", None),
    ],
)
def test_receive_times_of_any_usual_form(text: str, ns: int | None) -> None:
    assert time_ns(text) == ns
