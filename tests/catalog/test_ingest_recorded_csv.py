"""Recordings kept as CSV: read in chunks of any size they become, and are found, the same."""

import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest

from catalog import quality_raw
from catalog.ingest import recorded_csv
from catalog.ingest.instruments import Grid
from catalog.ingest.recorded_csv import import_recorded_csv, read_chunks
from catalog.ingest.recordings import Recorded
from catalog.quality import Finding
from catalog.quality_raw import check_file
from catalog.read import to_arrow
from catalog.store import Store
from strategies.errors import BadInput
from strategies.ports import StreamKind

T0 = 1_741_046_400_000_000  # microseconds
TRADES = (
    "TimestampOfReceive,Stream,EventType,EventTime,TransactionTime,Symbol,TradeId,Price,Quantity,"
    "IsBuyerMarketMaker,MUnknownParameter"
)
DIFFS = (
    "TimestampOfReceive,Stream,EventType,EventTime,Symbol,FirstUpdateId,FinalUpdateId,IsAsk,Price,"
    "Quantity"
)
BOOKS = "TimestampOfReceive,TimestampOfRequest,LastUpdateId,IsAsk,Price,Quantity"
TRADE_NAME, DIFF_NAME, BOOK_NAME = (
    f"binance_{kind}_spot_trxusdt_04-03-2025.csv" for kind in ("trade", "diff", "depth_snapshot")
)


def trades(count: int, missing: int = -1) -> list[str]:
    rows = (
        f"{T0 + i * 900},trxusdt@trade,trade,{T0 + i * 900 - 5},{T0 + i * 900 - 9},TRXUSDT,{i},"
        f"0.231{i % 10},{i + 1}.5,{i % 2},True"
        for i in range(count)
        if i != missing
    )
    return [TRADES, *rows]


def diffs(count: int, levels: int = 3) -> list[str]:
    rows = (
        f"{T0 + i * 900},trxusdt@depth,depthUpdate,{T0 + i * 900 - 5},TRXUSDT,{i * 10},"
        f"{i * 10 + 9},{level % 2},0.{230 + level},{i}.5"
        for i in range(count)
        for level in range(levels)
    )
    return [DIFFS, *rows]


def books(count: int, levels: int = 5) -> list[str]:
    head = ["# a report", "#", BOOKS]
    rows = (
        f"{T0 + i * 10**6},{T0 + i * 10**6 - 5000},{i + 7},{level % 2},"
        f"0.{230 + level % 2 * 100 + level},{i + 1}"
        for i in range(count)
        for level in range(levels)
    )
    return [*head, *rows]


def write(folder: Path, name: str, lines: list[str]) -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n")
    return path


def imported(path: Path, root: Path, chunk_bytes: int) -> tuple[dict[str, pa.Table], Recorded]:
    store = Store(root)
    with store.importing() as batch:
        done = import_recorded_csv(batch, path, None, Grid(), chunk_bytes=chunk_bytes)
    return {
        f"{info.kind} {info.topic}": to_arrow(store, info.kind, info.topic)
        for info in store.streams()
    }, done


@pytest.mark.parametrize("chunk_bytes", [150, 400, 5_000])
@pytest.mark.parametrize(
    ("name", "lines", "kind"),
    [
        (TRADE_NAME, trades(90), StreamKind.TRADES),
        (DIFF_NAME, diffs(60), StreamKind.DELTAS),
        (BOOK_NAME, books(20), StreamKind.DELTAS),
    ],
    ids=["trades", "diffs", "snapshots"],
)
def test_chunks_make_what_the_whole_makes(
    tmp_path: Path, name: str, lines: list[str], kind: StreamKind, chunk_bytes: int
) -> None:
    path = write(tmp_path, name, lines)
    whole, told = imported(path, tmp_path / "whole", 1 << 22)
    chunked, again = imported(path, tmp_path / "chunked", chunk_bytes)
    assert list(whole) == [f"{kind} TRXUSDT.BINANCE_SPOT"]
    assert chunked == whole
    assert (again.frames, again.notes) == (told.frames, told.notes)


@pytest.mark.parametrize("chunk_bytes", [200, 3_000])
def test_a_chunk_holds_whole_events_and_its_line(tmp_path: Path, chunk_bytes: int) -> None:
    path = write(tmp_path, BOOK_NAME, books(20))
    parts = list(read_chunks(path, chunk_bytes=chunk_bytes))
    assert all(part.table.num_rows % 5 == 0 for part in parts)
    assert parts[0].line == 4
    assert sum(part.table.num_rows for part in parts) == 100
    assert [part.line for part in parts[1:]] == [
        part.line + part.table.num_rows for part in parts[:-1]
    ]


def found(path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int) -> list[Finding]:
    def chunks(where: Path) -> object:
        return recorded_csv.read_chunks(where, chunk_bytes=chunk_bytes)

    monkeypatch.setattr(quality_raw, "read_chunks", chunks)
    return check_file(path)


def other_symbol(lines: list[str]) -> list[str]:
    return [*lines[:60], lines[60].replace("TRXUSDT", "ADAUSDT"), *lines[61:]]


@pytest.mark.parametrize(
    ("name", "lines", "rule"),
    [
        (TRADE_NAME, trades(90, missing=40), "id-gap"),
        (TRADE_NAME, trades(90)[:50] + trades(90)[48:], "duplicate-id"),
        (DIFF_NAME, diffs(30) + diffs(60)[100:], "id-gap"),
        (DIFF_NAME, other_symbol(diffs(60)), "wrong-symbol"),
        (BOOK_NAME, books(20) + books(5)[3:], "id-back"),
    ],
)
def test_chunks_are_found_wrong_as_the_whole_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, lines: list[str], rule: str
) -> None:
    path = write(tmp_path, name, lines)
    whole = found(path, monkeypatch, 1 << 22)
    assert rule in {each.rule for each in whole}
    assert found(path, monkeypatch, 300) == whole


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([*trades(50), trades(9)[-1]], "not received in order"),
        ([*trades(50), trades(1)[0].replace("TradeId", "x")], "not a whole number"),
        ([*trades(50), "1,2"], "cannot be read"),
    ],
)
def test_what_is_wrong_in_a_later_chunk_is_refused_whole(
    tmp_path: Path, lines: list[str], words: str
) -> None:
    path = write(tmp_path, TRADE_NAME, lines)
    with pytest.raises(BadInput, match=words):
        imported(path, tmp_path / "c", 300)
    assert Store(tmp_path / "c").streams() == []


def test_the_line_of_a_wrong_cell_is_named_in_any_chunk(tmp_path: Path) -> None:
    lines = trades(50)
    lines[40] = lines[40].replace(f"{T0 + 39 * 900},", "soon,", 1)
    with pytest.raises(BadInput, match="line 41: TimestampOfReceive is 'soon'"):
        imported(write(tmp_path, TRADE_NAME, lines), tmp_path / "c", 300)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = write(tmp_path, TRADE_NAME, trades(count))
        tracemalloc.start()
        for _ in read_chunks(path, chunk_bytes=5_000):
            assert pa.total_allocated_bytes() < 10_000_000
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    small, large = peak(8_000), peak(24_000)
    assert large < 1.3 * small
