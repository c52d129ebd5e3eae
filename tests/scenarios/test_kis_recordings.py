"""Recordings of KIS frames: trades, quotes and books as the adapter reads them, the rest named."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import AggressorSide, Equity
from nautilus_trader.persistence import ParquetDataCatalog

from adapters.kis.fields import LAYOUTS
from bench import kis_frames as sent
from catalog.ingest.importer import FileReport, Options, import_files
from catalog.quality import Severity
from catalog.quality_store import check_store
from catalog.store import Store
from scenarios.calendars import calendar_for
from scenarios.cli import main
from scenarios.kis_recordings import KisRecordings
from scenarios.kis_recordings_check import check_recording
from strategies.errors import BadInput
from strategies.ports import StreamKind

DAY = "20261117"
AT = 1_794_877_512_000_000_000  # 10:05:12 in Seoul
RECEIVED = AT + 345_678_901
BOOK_AT = AT + 1_000_000_000
BOOK, TRADE = LAYOUTS["H0STASP0"], LAYOUTS["H0STCNT0"]
ACK = '{"header":{"tr_id":"H0STCNT0","tr_key":"123450"},"body":{"msg_cd":"OPSP0000"}}'
PING = '{"header":{"tr_id":"PINGPONG","datetime":"20261117100512"}}'


def edited(message: str, **columns: object) -> str:
    """Return a frame of one record with other values."""
    head, fields = message[:15], message[15:].split("^")
    layout = LAYOUTS[message[2:10]]
    for name, value in columns.items():
        fields[layout.index(name)] = str(value)
    return head + "^".join(fields)


def load(
    folder: Path, *lines: str, day: str | None = None, name: str = "kis.txt"
) -> tuple[ParquetDataCatalog, FileReport]:
    path = folder / name
    text = "".join(line + "\n" for line in lines).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    store = Store(folder / "catalog")
    options = Options(readers=(KisRecordings(day),))
    report = import_files(store, [str(path)], options, lambda _done, _total: None)
    return ParquetDataCatalog(str(store.root)), report.files[0]


def counts(folder: Path) -> dict[StreamKind, int]:
    return {info.kind: info.rows for info in Store(folder / "catalog").streams()}


@pytest.mark.parametrize(
    ("head", "stamp"),
    [
        (f"{RECEIVED} ", RECEIVED),
        (f"{RECEIVED}\t", RECEIVED),
        (f"{RECEIVED // 10**6} ", RECEIVED // 10**6 * 10**6),
        (f"{AT // 10**9}.345678901: ", RECEIVED),
        ("2026-11-17T10:05:12.345678+09:00 ", AT + 345_678_000),
        ("[2026-11-17T10:05:12.345678] ", AT + 345_678_000),
    ],
)
@pytest.mark.parametrize("name", ["kis.txt", "kis.gz"])
def test_a_recorded_frame_keeps_both_times(
    tmp_path: Path, head: str, stamp: int, name: str
) -> None:
    engine, report = load(tmp_path, head + ACK, head + sent.TRADE, head + PING, name=name)
    (trade,) = engine.query_trade_ticks()
    assert (str(trade.instrument_id), str(trade.price), str(trade.size)) == (
        "123450.KRX",
        "50300",
        "7",
    )
    assert (trade.ts_event, trade.ts_init) == (AT, stamp)
    assert (trade.aggressor_side, trade.trade_id.value) == (AggressorSide.BUY, "20261117-412345")
    (instrument,) = Store(tmp_path / "catalog").instruments().values()
    assert isinstance(instrument, Equity)
    assert instrument.price_precision == 0
    assert report.frames == 3
    assert any("left out: 2 answers and pings" in note for note in report.notes)


def test_a_book_is_a_quote_and_a_snapshot_of_its_levels(tmp_path: Path) -> None:
    frame = edited(sent.BOOK, askp10=0, askp_rsqn10=0)
    engine, _ = load(tmp_path, f"{RECEIVED} {frame}", f"{RECEIVED} {frame}")
    first, again = engine.query_quote_ticks()
    fields = sent.BOOK[15:].split("^")
    assert [str(first.bid_price), str(first.ask_price)] == [
        fields[BOOK.index("bidp1")],
        fields[BOOK.index("askp1")],
    ]
    assert first == again
    deltas = engine.query_order_book_deltas()
    assert len(deltas) == 2 * (1 + 19)
    assert [str(each.action) for each in deltas[:2]] == ["CLEAR", "ADD"]
    assert {each.ts_init for each in deltas} == {RECEIVED}
    findings = list(check_store(Store(tmp_path / "catalog"), calendar_for))
    assert not [each for each in findings if each.severity is Severity.ERROR]


def record(frame: str, **more: Any) -> str:
    return json.dumps({"frame": frame} | more)


@pytest.mark.parametrize(
    ("line", "day"),
    [
        (record(sent.BOOK, trade_date="20261117"), None),
        (record(sent.BOOK, trade_date="2026-11-17"), "20250101"),
        (record(sent.BOOK, trade_date="2026"), DAY),
        (sent.BOOK, DAY),
    ],
)
def test_a_book_takes_its_day_from_its_record_or_the_user(
    tmp_path: Path, line: str, day: str | None
) -> None:
    engine, report = load(tmp_path, line, day=day)
    (quote,) = engine.query_quote_ticks()
    assert quote.ts_event == quote.ts_init == BOOK_AT
    assert "without receive times: the venue's times stand in for them" in report.notes


@pytest.mark.parametrize("key", ["received_ns", "ts", "timestamp"])
def test_a_record_may_tell_when_it_was_received(tmp_path: Path, key: str) -> None:
    engine, report = load(tmp_path, record(sent.BOOK, **{key: RECEIVED}))
    assert engine.query_quote_ticks()[0].ts_init == RECEIVED
    assert not any("stand in" in note for note in report.notes)


def test_books_without_a_day_are_counted_and_the_way_is_said(tmp_path: Path) -> None:
    _, report = load(tmp_path, sent.TRADE, sent.BOOK, record(sent.BOOK, trade_date="20261117?"))
    assert counts(tmp_path) == {StreamKind.TRADES: 1, StreamKind.QUOTES: 1}
    note = "2 book frames without a date left out: give their day, as in --day 2026-09-22"
    assert note in report.notes
    with pytest.raises(BadInput, match="no trade or book of KIS to import: 1 book frames without"):
        load(tmp_path, sent.BOOK, name="alone.txt")


def test_a_frame_kept_without_its_envelope_is_given_one(tmp_path: Path) -> None:
    bare = record(sent.TRADE.split("|")[3], tr_id="H0STCNT0", count=1)
    engine, _ = load(tmp_path, record(sent.TRADE_46), bare)
    assert len(engine.query_trade_ticks()) == 2


def test_what_cannot_be_read_is_counted_and_named(tmp_path: Path) -> None:
    stamp = f"{RECEIVED} "
    lines = [
        sent.TRADE,
        sent.TRADE[:-90],
        edited(sent.TRADE, stck_prpr="-1"),
        "hello|there",
        edited(sent.TRADE, mksc_shrn_iscd="Q500001"),
        sent.TRADE.replace("H0STCNT0", "H0STANC0"),
        "1|H0STCNI0|001|c2VjcmV0",
    ]
    engine, report = load(tmp_path, *(stamp + line for line in lines))
    assert len(engine.query_trade_ticks()) == 1
    assert any(
        note.startswith("4 frames or records cannot be read, left out (the first, line 2: ")
        for note in report.notes
    )
    assert any("left out: 1 H0STANC0, 1 H0STCNI0 (" in note for note in report.notes)
    assert "c2VjcmV0" not in str(report)


def test_frames_without_receive_times_are_sorted(tmp_path: Path) -> None:
    later = edited(sent.TRADE, stck_cntg_hour="110000", acml_vol="500000")
    engine, report = load(tmp_path, later, sent.TRADE, PING)
    assert [each.trade_id.value for each in engine.query_trade_ticks()] == [
        "20261117-412345",
        "20261117-500000",
    ]
    assert "frames not in order of time, sorted" in report.notes
    assert any("1 gaps in the day's volume" in note for note in report.notes)


def test_a_clock_that_was_set_back_never_goes_back(tmp_path: Path) -> None:
    lines = [f"{RECEIVED + back} {sent.BOOK}" for back in (5, 0, 9)]
    engine, report = load(tmp_path, *lines)
    stamps = [each.ts_init - RECEIVED for each in engine.query_quote_ticks()]
    assert stamps == [5, 5, 9]
    assert "1 frames received before the line above, moved up to it" in report.notes


def test_quotes_of_trades_count_where_no_book_was_recorded(tmp_path: Path) -> None:
    load(tmp_path, f"{RECEIVED} {sent.TRADE}")
    assert counts(tmp_path)[StreamKind.QUOTES] == 1
    (tmp_path / "both").mkdir()
    load(tmp_path / "both", f"{RECEIVED} {sent.TRADE}", *[f"{RECEIVED} {sent.BOOK}"] * 2)
    assert counts(tmp_path / "both")[StreamKind.QUOTES] == 2


@pytest.mark.parametrize("indent", [None, 1])
def test_records_may_stand_in_an_array(tmp_path: Path, indent: int | None) -> None:
    records = [
        {"frame": sent.TRADE, "received_ns": RECEIVED},
        {"frame": sent.BOOK, "received_ns": RECEIVED},
        {"header": {"tr_id": "PINGPONG"}},
        7,
    ]
    _, report = load(tmp_path, json.dumps(records, indent=indent))
    assert counts(tmp_path)[StreamKind.TRADES] == 1
    assert report.frames == 4
    assert any("1 frames or records cannot be read" in note for note in report.notes)


def test_days_apart_leave_those_between_free(tmp_path: Path) -> None:
    day_ns = 86_400 * 10**9
    lines = [f"{RECEIVED + shift * day_ns} {sent.TRADE}" for shift in (0, 3)]
    load(tmp_path, *lines, f"{RECEIVED + 3 * day_ns} {sent.BOOK}")
    (trades,) = [
        info for info in Store(tmp_path / "catalog").streams() if info.kind is StreamKind.TRADES
    ]
    assert (trades.files, trades.rows) == (2, 2)
    assert counts(tmp_path)[StreamKind.QUOTES] == 2  # of a trade, and of the book on its day
    load(tmp_path, f"{RECEIVED + day_ns} {sent.TRADE}", name="between.txt")
    assert counts(tmp_path)[StreamKind.TRADES] == 3


def test_crossed_books_of_an_auction_are_left_out(tmp_path: Path) -> None:
    fields = sent.BOOK[15:].split("^")
    crossed = edited(sent.BOOK, bidp1=fields[BOOK.index("askp1")], hour_cls_code="A")
    _, report = load(tmp_path, f"{RECEIVED} {sent.TRADE}", f"{RECEIVED} {crossed}")
    assert StreamKind.DELTAS not in counts(tmp_path)
    assert any("1 books or quotes with the bid at or above" in note for note in report.notes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "timestamp,open\n1,2\n",
        f"{RECEIVED} {ACK}\n",
        json.dumps({"frame": {"e": "trade"}}) + "\n",
        "0|TOTAL|3|x\n",
    ],
)
def test_other_files_are_no_kis_recordings(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.txt"
    path.write_text(text)
    assert not KisRecordings().reads(path)


@settings(deadline=None, max_examples=40)
@given(
    head=st.sampled_from(["", f"{RECEIVED} ", '{"frame": "']),
    text=st.text(max_size=30) | st.binary(max_size=30).map(lambda raw: raw.decode("latin-1")),
    cut=st.integers(0, 400),
)
def test_any_line_is_read_or_counted(
    tmp_path_factory: pytest.TempPathFactory, head: str, text: str, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("any")
    line = (head + sent.TRADE[:cut] + text).replace("\n", " ").replace("\r", " ")
    _, report = load(folder, f"{RECEIVED} {sent.TRADE}", line)
    assert report.frames in (1, 2)


def test_a_recording_is_checked_before_it_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "kis.txt"
    fields = sent.BOOK[15:].split("^")
    gap = edited(sent.TRADE, acml_vol="500000")
    lines = [
        f"{RECEIVED} {sent.TRADE}",
        f"{RECEIVED - 1} {gap}",
        f"{RECEIVED} {edited(sent.BOOK, bidp1=fields[BOOK.index('askp1')])}",
        f"{RECEIVED} {edited(sent.TRADE, stck_prpr='x')}",
        f"{RECEIVED} 0|H0STCNT0|001|1^2",
    ]
    path.write_text("\n".join(lines))
    rules = {(each.severity, each.rule) for each in check_recording(path)}
    assert rules >= {
        (Severity.ERROR, "no-frame"),
        (Severity.ERROR, "no-record"),
        (Severity.ERROR, "crossed"),
        (Severity.ERROR, "receive-back"),
        (Severity.WARNING, "volume-gap"),
    }
    path.write_text(f"{RECEIVED} {sent.TRADE}\n{RECEIVED + 10**9} {sent.BOOK}\n")
    assert check_recording(path) == []


def test_the_command_imports_and_checks_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path / "home"))
    folder = tmp_path / "kis"
    folder.mkdir()
    (folder / "a.jsonl").write_text(record(sent.TRADE) + "\n" + record(sent.BOOK) + "\n")
    assert main(["data", "check", str(folder)]) == 0
    assert main(["data", "import", str(folder), "--day", "2026-11-17"]) == 0
    assert "123450.KRX deltas" in capsys.readouterr().out
    assert main(["data", "check"]) == 0
    assert main(["data", "import", str(folder), "--day", "tomorrow"]) == 2
