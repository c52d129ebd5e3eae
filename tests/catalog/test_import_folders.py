"""Folders are imported at any depth, and a depth answer goes with the recording of its symbol."""

import json
from pathlib import Path

import pytest

from catalog.ingest.importer import Options, find_files, import_files
from catalog.store import Store
from strategies.errors import BadInput
from strategies.ports import StreamKind

SECOND_NS = 1_000_000_000
START_NS = 1_700_000_000 * SECOND_NS


def trade(symbol: str, ns: int, price: str, size: str) -> str:
    ms = ns // 1_000_000
    data = {"e": "trade", "E": ms, "s": symbol, "t": ms, "p": price, "q": size, "T": ms}
    frame = {"stream": f"{symbol.lower()}@trade", "data": data | {"m": True, "M": True}}
    return f"{ns} {json.dumps(frame, separators=(',', ':'))}\n"


def depth(symbol: str, ns: int, first: int, last: int, price: str, size: str) -> str:
    data = {"e": "depthUpdate", "E": ns // 1_000_000, "s": symbol, "U": first, "u": last}
    frame = {"stream": f"{symbol.lower()}@depth", "data": data | {"b": [[price, size]], "a": []}}
    return f"{ns} {json.dumps(frame, separators=(',', ':'))}\n"


def answer(symbol: str, ns: int, last: int) -> str:
    book = {"lastUpdateId": last, "bids": [["10.1", "2.5"]], "asks": [["10.2", "3.5"]]}
    address = f"https://api.binance.com/api/v3/depth?symbol={symbol}&limit=1000"
    return f"{address} -> {ns / SECOND_NS:.6f}: {json.dumps(book)}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One recording of AAAUSDT, a later one of BBBUSDT with whole sizes, an answer for AAAUSDT."""
    place = tmp_path / "recorded"
    (place / "spot").mkdir(parents=True)
    late_ns = START_NS + 3_600 * SECOND_NS
    (place / "aaa.ws").write_text(
        depth("AAAUSDT", START_NS, 1, 5, "10.1", "2.5")
        + trade("AAAUSDT", START_NS + SECOND_NS, "10.1", "0.5")
    )
    (place / "spot" / "bbb.ws").write_text(
        trade("BBBUSDT", late_ns, "7", "3") + depth("BBBUSDT", late_ns + 1, 1, 5, "7", "3")
    )
    (place / "rest.http").write_text(answer("AAAUSDT", START_NS - 1_000, 3))
    return place


def test_a_folder_is_searched_at_any_depth(folder: Path) -> None:
    names = {path.name for path in find_files([str(folder)])}
    assert names == {"aaa.ws", "bbb.ws", "rest.http"}
    assert [p.name for p in find_files([str(folder / "*" / "*.ws")])] == ["bbb.ws"]
    assert [p.name for p in find_files([str(folder / "**" / "a*.ws")])] == ["aaa.ws"]
    with pytest.raises(BadInput, match="does not exist"):
        find_files([str(folder / "*.none")])


def test_an_answer_goes_with_the_recording_that_has_its_symbol(
    folder: Path, tmp_path: Path
) -> None:
    store = Store(tmp_path / "catalog")
    import_files(store, [str(folder)], Options(), lambda _done, _total: None)
    deltas = {info.topic: info.rows for info in store.streams() if info.kind is StreamKind.DELTAS}
    assert set(deltas) == {"AAAUSDT.BINANCE_SPOT", "BBBUSDT.BINANCE_SPOT"}
    assert deltas["AAAUSDT.BINANCE_SPOT"] > deltas["BBBUSDT.BINANCE_SPOT"]  # it has the snapshot
