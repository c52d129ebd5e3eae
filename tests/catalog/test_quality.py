"""Findings: each rule on data made to break it, and the real files, clean and broken."""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from nautilus_trader.model import (
    AggressorSide,
    InstrumentId,
    Price,
    Quantity,
    TradeId,
    TradeTick,
)
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.ingest.importer import Options, import_files
from catalog.ingest.instruments import Grid
from catalog.quality import EARLIEST_NS, Finding, Findings, Severity, Times
from catalog.quality_raw import check_file
from catalog.quality_store import check_store
from catalog.store import Store
from scenarios.calendars import calendar_for
from strategies.markets.sessions import ListedSessions, Session

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
QUALITY = DATA / "binance_quality"
real = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")
T0 = 1_723_161_255_000


def trade(
    line: int, number: int, *, price: str = "2.5", symbol: str = "BTCUSDT", at: int = 0
) -> str:
    venue = T0 + line if at == 0 else at
    return (
        f'{(T0 + line + 5) * 1_000_000} {{"stream":"btcusdt@trade","data":{{"e":"trade",'
        f'"E":{venue},"s":"{symbol}","t":{number},"p":"{price}","q":"0.02","T":{venue},"m":true,"M":true}}}}'
    )


def depth(line: int, first: int, last: int, previous: int | None = None) -> str:
    told = "" if previous is None else f'"pu":{previous},'
    return (
        f'{(T0 + line + 5) * 1_000_000} {{"stream":"btcusdt@depth@100ms","data":'
        f'{{"e":"depthUpdate","E":{T0 + line},"s":"BTCUSDT",'
        f'"U":{first},"u":{last},{told}"b":[["1.0","2"]],"a":[]}}}}'
    )


def quote(line: int, bid: str, ask: str) -> str:
    return (
        f'{(T0 + line + 5) * 1_000_000} {{"stream":"btcusdt@bookTicker","data":{{"u":{line},'
        f'"s":"BTCUSDT","b":"{bid}","B":"1","a":"{ask}","A":"1"}}}}'
    )


def found_in(folder: Path, *lines: str, name: str = "recording.log") -> dict[str, Finding]:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return {finding.rule: finding for finding in check_file(path)}


def test_a_clean_recording_has_no_finding(tmp_path: Path) -> None:
    lines = [trade(0, 1), depth(1, 1, 4), quote(2, "1.0", "1.1"), trade(3, 2), depth(4, 5, 5)]
    assert found_in(tmp_path, *lines) == {}


@pytest.mark.parametrize(
    ("lines", "rule", "severity", "row"),
    [
        ([trade(0, 1), trade(1, 1)], "duplicate-id", Severity.ERROR, 2),
        ([trade(0, 1), trade(1, 3)], "id-gap", Severity.WARNING, 2),
        ([trade(0, 1), trade(1, 2, price="0.00")], "price-not-positive", Severity.ERROR, 2),
        ([trade(0, 1), trade(1, 2, price="-1")], "price-not-positive", Severity.ERROR, 2),
        ([trade(0, 1), trade(1, 2, symbol="ETHUSDT")], "wrong-symbol", Severity.ERROR, 2),
        ([trade(9, 1), trade(1, 2)], "receive-back", Severity.ERROR, 2),
        ([trade(0, 1), trade(1, 2, at=T0 - 5_000)], "venue-back", Severity.ERROR, 2),
        ([trade(0, 1), trade(1, 2), trade(2, 3, at=T0 + 20)], "venue-ahead", Severity.WARNING, 3),
        ([trade(0, 1), trade(1, 2), trade(2, 3, at=T0 + 900)], "venue-ahead", Severity.ERROR, 3),
        ([trade(0, 1), trade(1, 2, at=7)], "absurd-venue-time", Severity.ERROR, 2),
        ([depth(0, 1, 4), depth(1, 6, 7)], "id-gap", Severity.ERROR, 2),
        ([depth(0, 1, 4, 0), depth(1, 9, 10, 5)], "id-gap", Severity.ERROR, 2),
        ([quote(0, "1.0", "1.1"), quote(1, "1.2", "1.1")], "crossed", Severity.ERROR, 2),
        ([trade(0, 1), "1723161255009000000 {nonsense"], "no-frame", Severity.ERROR, 2),
    ],
)
def test_each_defect_of_a_recording_is_found_at_its_line(
    tmp_path: Path, lines: list[str], rule: str, severity: Severity, row: int
) -> None:
    finding = found_in(tmp_path, *lines)[rule]
    assert (finding.severity, finding.unit, finding.row) == (severity, "line", row)


def test_a_usdm_diff_may_jump_where_it_names_the_one_before(tmp_path: Path) -> None:
    assert found_in(tmp_path, depth(0, 1, 4, 0), depth(1, 90, 95, 4)) == {}


def test_a_clock_behind_is_one_finding(tmp_path: Path) -> None:
    lines = [trade(line, line, at=T0 + line + 1_276) for line in range(50)]
    (finding,) = found_in(tmp_path, *lines).values()
    assert finding.rule == "clock-skew"
    assert "1.271 s behind" in finding.text


@pytest.mark.parametrize(
    ("second", "rule", "row"),
    [
        ("502,2.5,0.1,0.25,1735689600003,true", "", 0),
        ("504,2.5,0.1,0.25,1735689600003,true", "id-gap", 3),
        ("501,2.5,0.1,0.25,1735689600003,true", "duplicate-id", 3),
        ("502,0,0.1,0.25,1735689600003,true", "price-not-positive", 3),
        ("502,2.5,0.1,0.25,1735689500003,true", "venue-back", 3),
        ("502,2.5,0.1,0.25", "unreadable", 0),
    ],
)
def test_each_defect_of_a_dump(tmp_path: Path, second: str, rule: str, row: int) -> None:
    lines = ("id,price,qty,quote_qty,time,is_buyer_maker", "501,2.5,0.1,0.25,1735689600000,true")
    found = found_in(tmp_path, *lines, second, name="BTCUSDT-trades-2025-01.csv")
    assert not rule if found == {} else found[rule].row == row


HEAD = "timestamp,open,high,low,close,volume"


@pytest.mark.parametrize(
    ("row", "rule", "severity"),
    [
        ("2024-01-01 00:03:00,1,2,1,2,5", "", Severity.NOTE),
        ("2024-01-01 00:03:00,1,2,1.5,2,5", "range", Severity.ERROR),
        ("2024-01-01 00:03:00,1,2,-1,2,5", "low-not-positive", Severity.ERROR),
        ("2024-01-01 00:03:00,1,2,1,2,-5", "negative-volume", Severity.ERROR),
        ("2024-01-01 00:03:00,0,0,0,2,0", "no-volume", Severity.NOTE),
        ("2024-01-01 00:02:00,1,2,1,2,5", "duplicate", Severity.WARNING),
        ("2024-01-01 00:02:00,1,3,1,2,5", "contradiction", Severity.ERROR),
        ("2024-01-01 00:00:00,1,2,1,2,5", "time-back", Severity.ERROR),
        ("2024-01-01 00:02:31,1,2,1,2,5", "off-interval", Severity.WARNING),
        ("2024-01-01 00:03:00,one,2,1,2,5", "unreadable", Severity.ERROR),
    ],
)
def test_each_defect_of_a_table(tmp_path: Path, row: str, rule: str, severity: Severity) -> None:
    good = [f"2024-01-01 00:0{minute}:00,1,2,1,2,5" for minute in range(3)]
    found = found_in(tmp_path, HEAD, *good, row, name="t.csv")
    if rule:
        assert found[rule].severity is severity
        assert rule == "unreadable" or found[rule].row == 5
    else:
        assert found == {}


def test_a_split_adjusted_on_one_side_is_a_jump(tmp_path: Path) -> None:
    days = ["20240102,5000,5100,4900,5000,9", "20240103,1010,1020,990,1000,9"]
    found = found_in(tmp_path, "일자,시가,고가,저가,종가,거래량", *days, name="005930.csv")
    assert (found["jump"].row, found["jump"].severity) == (3, Severity.WARNING)
    assert "-80%" in found["jump"].text


@pytest.mark.parametrize(
    "name", ["recording.gz", "BTC_USDT-1m.csv.gz", "BTCUSDT-trades-2025-01.csv.gz", "x.csv"]
)
def test_a_file_that_cannot_be_read_is_one_error(tmp_path: Path, name: str) -> None:
    text = "\n".join(trade(line, line) for line in range(3_000)).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(text)[:-200] if name.endswith("gz") else bytes(range(256)) * 9)
    (finding,) = check_file(path)
    assert (finding.rule, finding.severity) == ("unreadable", Severity.ERROR)
    assert finding.place == str(path)
    assert str(path) not in finding.text


def test_a_listing_and_an_index_are_checked_as_what_they_are(tmp_path: Path) -> None:
    row = "005930,KOSPI,100,100,101,99,5"
    head = "Code,Market,Close,Open,High,Low,Volume"
    assert found_in(tmp_path, head, row, name="l_2024-01-02.csv") == {}
    twice = found_in(tmp_path, head, row, row, name="l_2024-01-02.csv")
    assert twice["duplicate"].severity is Severity.ERROR
    inside = row.replace("101", "99")
    assert "range" in found_in(tmp_path, head, inside, name="l_2024-01-02.csv")
    values = ("Date,vix", "1/13/2024,12.7", "1/12/2024,.")
    index = found_in(tmp_path, *values, name="vix.csv")
    assert set(index) == {"time-back", "no-price"}


def in_store(folder: Path, *lines: str, name: str, grid: Grid | None = None) -> dict[str, Finding]:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", "utf-8")
    store = Store(folder / "catalog")
    options = Options(sessions_of=calendar_for, grid=grid or Grid())
    import_files(store, [str(path)], options, lambda _done, _total: None)
    return {finding.rule: finding for finding in check_store(store, calendar_for)}


def test_a_gap_in_the_book_is_found_in_the_catalog(tmp_path: Path) -> None:
    snapshot = f'{T0 * 1_000_000} {{"lastUpdateId":4,"bids":[["1.0","1"]],"asks":[["1.1","1"]]}}'
    lines = [depth(-9, 1, 3), snapshot, depth(1, 5, 6), depth(2, 9, 9)]
    finding = in_store(tmp_path, *lines, name="recording.log")["id-gap"]
    assert finding.place == "BTCUSDT.BINANCE_SPOT deltas"
    assert finding.severity is Severity.ERROR


def test_a_book_that_crosses_is_found_in_the_catalog(tmp_path: Path) -> None:
    snapshot = f'{T0 * 1_000_000} {{"lastUpdateId":4,"bids":[["1.0","1"]],"asks":[["0.9","1"]]}}'
    found = in_store(tmp_path, depth(-9, 1, 3), snapshot, depth(1, 5, 6), name="recording.log")
    assert found["crossed"].severity is Severity.ERROR


def test_missing_days_are_counted_by_the_calendar(tmp_path: Path) -> None:
    # 2024-01-05 was a Friday: the weekend is no gap, the 9th is.
    days = [f"202401{day},5000,5100,4900,5000,9" for day in ("05", "08", "10")]
    found = in_store(tmp_path, "일자,시가,고가,저가,종가,거래량", *days, name="005930.csv")
    assert list(found) == ["missing-bars"]
    assert (found["missing-bars"].row, found["missing-bars"].count) == (3, 1)
    assert found["missing-bars"].text.startswith("1 bar is missing")


def test_the_grid_of_its_day_holds_for_a_share(tmp_path: Path) -> None:
    # 2,005 won was on the grid of 5 at any time; 1,007 is on the grid of 1 since 2023-01-25 only.
    rows = ["20230120,1007,1010,1005,1010,9", "20240102,1007,1010,1005,1010,9"]
    found = in_store(tmp_path, "일자,시가,고가,저가,종가,거래량", *rows, name="005930.csv")
    assert found["off-grid"].severity is Severity.WARNING
    assert found["off-grid"].row == 1
    assert found["off-grid"].count == 1


def test_data_of_another_precision_than_its_instrument_is_an_error(tmp_path: Path) -> None:
    in_store(tmp_path, trade(0, 1, price="2.51"), name="recording.log")
    instrument_id = InstrumentId.from_str("BTCUSDT.BINANCE_SPOT")
    at = (T0 + 60_000) * 1_000_000
    finer = TradeTick(
        instrument_id,
        Price.from_str("2.5123"),
        Quantity.from_str("0.02000"),
        AggressorSide.BUY,
        TradeId("2"),
        at,
        at,
    )
    store = Store(tmp_path / "catalog")
    ParquetDataCatalog(str(store.root)).write_trade_ticks([finer])
    found = {finding.rule: finding for finding in check_store(store, calendar_for)}
    assert "price 2.5123 has more than 2 decimals" in found["price-precision"].text
    assert (found["price-precision"].severity, found["price-precision"].row) == (Severity.ERROR, 2)
    assert found["precision"].text == "kept with 4 price decimals, its instrument has 2"


def test_silence_is_found_where_nothing_proves_that_nothing_happened(tmp_path: Path) -> None:
    lines = [quote(line, "1.0", "1.1") for line in range(300)] + [quote(500_000, "1.0", "1.1")]
    finding = in_store(tmp_path, *lines, name="recording.log")["silence"]
    assert (finding.row, finding.severity) == (301, Severity.WARNING)


def test_the_closing_auction_is_no_silence() -> None:
    begin = 2 * EARLIEST_NS
    session = Session(begin, begin + 390 * 60 * 10**9)

    def found(*stamps: float) -> list[str]:
        findings = Findings("x")
        times = Times(findings, sessions=ListedSessions([session]))
        at = np.array([round(m * 60 * 10**9) for m in stamps], np.int64) + begin
        times.add(np.arange(len(at)), at, at)
        times.finish()
        return [finding.rule for finding in findings.all()]

    dense = [m / 4 for m in range(4 * 380)]
    assert found(*dense, 390.0) == []
    assert found(*dense[:-400], *dense[-10:], 390.0) == ["silence"]


def test_a_finding_says_place_time_and_number() -> None:
    finding = Finding(Severity.ERROR, "r", "f.csv", "line", 1_234, T0 * 1_000_000, 3, "is wrong")
    assert str(finding) == (
        "error: f.csv, line 1,234 at 2024-08-08 23:54:15.000 UTC: is wrong (3 alike)"
    )
    assert str(replace(finding, row=0, ts_ns=0, count=1)) == "error: f.csv: is wrong"


@real
@pytest.mark.real_data
def test_every_broken_real_file_is_flagged_and_no_clean_one() -> None:
    for path in sorted(QUALITY.glob("*.gz")):
        severities = {finding.severity for finding in check_file(path)}
        if "negative" in path.name:
            assert Severity.ERROR in severities, path.name
        else:
            assert severities <= {Severity.NOTE}, path.name


@real
@pytest.mark.real_data
def test_the_real_clock_skew_is_found_before_and_after_import(tmp_path: Path) -> None:
    path = DATA / "binance_ws" / "spot" / "btcusdt_20240808.gz"
    store = Store(tmp_path)
    import_files(store, [str(path)], Options(), lambda _done, _total: None)
    for findings in (check_file(path), list(check_store(store, calendar_for))):
        assert {finding.rule for finding in findings} == {"clock-skew"}
        assert all("1.27" in finding.text for finding in findings)


@real
@pytest.mark.real_data
def test_a_line_taken_out_of_a_real_recording_is_found(tmp_path: Path) -> None:
    path = DATA / "binance_ws" / "spot" / "btcusdt_20240808.gz"
    with gzip.open(path, "rb") as file:
        lines = file.read().splitlines(keepends=True)
    places = [i for i, line in enumerate(lines) if b"@depth" in line]
    del lines[places[1_000]]
    cut = tmp_path / "cut.log"
    cut.write_bytes(b"".join(lines))
    gaps = [finding for finding in check_file(cut) if finding.rule == "id-gap"]
    assert [(gap.severity, gap.row) for gap in gaps] == [(Severity.ERROR, places[1_001])]


def test_frames_without_receive_times_are_checked_by_the_venues(tmp_path: Path) -> None:
    frames = [
        {"e": "trade", "E": 1_723_161_256_000 + i, "s": "A", "t": t, "p": price, "q": "1"}
        for i, (t, price) in enumerate([(1, "1.5"), (2, "0"), (2, "1.5")])
    ]
    path = tmp_path / "frames.jsonl"
    path.write_text("".join(json.dumps(frame) + "\n" for frame in [*frames, {"e": "x"}, 7]))
    found = [(each.severity, each.rule, each.row) for each in check_file(path)]
    assert found == [
        (Severity.ERROR, "duplicate-id", 3),
        (Severity.ERROR, "price-not-positive", 2),
    ]


def test_a_table_without_prices_is_a_note(tmp_path: Path) -> None:
    path = tmp_path / "news.csv"
    path.write_text("datetime,headline\n2024-01-01,One\n")
    ((severity, rule),) = [(each.severity, each.rule) for each in check_file(path)]
    assert (severity, rule) == (Severity.NOTE, "no-market-data")


def test_values_of_an_index_may_be_below_zero(tmp_path: Path) -> None:
    path = tmp_path / "wti.csv"
    path.write_text("Date,DCOILWTICO\n4/17/2020,18.31\n4/20/2020,-36.98\n")
    store = Store(tmp_path / "c")
    import_files(store, [str(path)], Options(), lambda _done, _total: None)
    assert {each.severity for each in check_store(store, calendar_for)} == {Severity.NOTE}
