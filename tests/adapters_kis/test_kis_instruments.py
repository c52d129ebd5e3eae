"""Master records of both boards, and what becomes of them in the engine."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from nautilus_trader.model import Price, Quantity

from adapters.kis import instruments
from adapters.kis.instruments import (
    TAIL_BYTES,
    TAILS,
    Board,
    equity,
    master_codes,
    read_master,
    unzip,
    why_not_tradable,
)
from adapters.kis.replies import PriceFacts
from strategies.errors import BadInput

REAL = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "krx" / "master"

COLUMNS = {
    "group": "ST",
    "industry_large": "0027",
    "industry_mid": "0013",
    "industry_small": "0000",
    "index_member": "B",
    "etp": "0",
    "overheated": "0",
    "base_price": "000050000",
    "lot": "00001",
    "halted": "N",
    "liquidation": "N",
    "administrative": "N",
    "alert": "00",
    "margin_pct": "040",
    "previous_volume": "000000412345",
    "listed_on": "19750611",
    "listed_thousands": "000000005846278",
    "preferred": "0",
    "market_cap": "001514186",
}
FACTS = PriceFacts(
    price=50300, base=50000, upper=65000, lower=35000, tick=100, lot=1, volume=1, sector="chips",
    market="KOSPI200", standing="55", warning="02", halted=False, liquidation=False,
    overheated=False, administrative=False, in_vi=False, listed_shares=1000,
)  # fmt: skip


def record(board=Board.KOSPI, code="123450", name="견본전자", **columns):
    tail = bytearray(b" " * TAIL_BYTES[board])
    for column, text in (COLUMNS | columns).items():
        start, length = TAILS[board][column]
        tail[start : start + length] = text.ljust(length).encode()
    head = code.ljust(9).encode() + b"KR7123450001" + name.encode("cp949").ljust(40)
    return head + bytes(tail)


def listing(board=Board.KOSPI, **columns):
    (one,) = read_master(record(board, **columns) + b"\n", board)
    return one


@pytest.mark.parametrize("board", Board)
def test_a_record_of_each_board(board):
    one = listing(board)
    assert (one.code, one.isin, one.name, one.board) == (
        "123450",
        "KR7123450001",
        "견본전자",
        board,
    )
    assert (one.base_price, one.lot, one.margin_pct) == (50_000, 1, 40)
    assert (one.listed_shares, one.market_cap_krw) == (5_846_278_000, 151_418_600_000_000)
    assert (one.industry, one.listed_on, one.index_member) == ("0027-0013-0000", "19750611", True)
    assert one.is_share
    assert not (one.halted or one.is_etp or one.overheated or one.alert or one.is_preferred)


@pytest.mark.parametrize("board", Board)
@pytest.mark.parametrize(
    ("column", "text", "attribute", "value"),
    [
        ("halted", "Y", "halted", True),
        ("liquidation", "Y", "liquidation", True),
        ("administrative", "Y", "administrative", True),
        ("alert", "02", "alert", "warning"),
        ("overheated", "1", "overheated", False),
        ("overheated", "2", "overheated", True),
        ("preferred", "1", "is_preferred", True),
        ("etp", "1", "is_etp", True),
        ("spac", "Y", "is_spac", True),
        ("group", "EF", "is_share", False),
        ("index_member", "N", "index_member", False),
        ("base_price", "", "base_price", 0),
    ],
)
def test_columns_stand_where_the_table_says(board, column, text, attribute, value):
    assert getattr(listing(board, **{column: text}), attribute) == value


def test_codes_with_letters_and_longer_ones():
    content = b"\n".join(record(code=code) for code in ("0001A0", "Q500001", "F70100030"))
    found = read_master(content, Board.KOSPI)
    assert [one.code for one in found] == ["0001A0", "Q500001", "F70100030"]
    assert [one.is_share for one in found] == [True, False, False]
    assert equity(found[0]).id.value == "0001A0.KRX"


def test_nxt_membership_comes_from_its_own_file():
    nxt = master_codes(read_master(record(code="000001"), Board.KOSPI))
    content = record(code="000001") + b"\r\n" + record(code="000002") + b"\r\n"
    found = read_master(content, Board.KOSPI, nxt_codes=nxt)
    assert [one.on_nxt for one in found] == [True, False]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (record() + b"\n" + record()[:-1], "line 2 has 287 bytes"),
        (record() + b" ", "line 1 has 289 bytes"),
        (record(Board.KOSDAQ), "line 1 has 282 bytes"),
        (record(code=""), "line 1 begins with no code"),
        (record(base_price="00005x000"), "line 1: base_price"),
    ],
)
def test_damaged_files_are_refused_with_their_line(content, words):
    with pytest.raises(BadInput, match=words) as caught:
        read_master(content, Board.KOSPI)
    assert str(caught.value).startswith("kospi_code.mst")


def test_archives():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("kospi_code.mst", record())
    assert unzip(packed.getvalue(), "kospi_code.mst.zip") == record()
    for bad in (b"", b"<html>", packed.getvalue()[:-30]):
        with pytest.raises(BadInput, match=r"kospi_code\.mst\.zip"):
            unzip(bad, "kospi_code.mst.zip")


def test_an_archive_is_refused_before_it_fills_the_memory(monkeypatch):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kospi_code.mst", bytes(10_000))
    assert len(unzip(packed.getvalue(), "kospi_code.mst.zip")) == 10_000
    monkeypatch.setattr(instruments, "MASTER_BYTES", 9_999)
    with pytest.raises(BadInput, match="no master archive"):
        unzip(packed.getvalue(), "kospi_code.mst.zip")


def test_a_damaged_stream_in_a_whole_archive_is_refused():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kospi_code.mst", bytes(range(256)) * 40)
    damaged = bytearray(packed.getvalue())
    damaged[60:80] = bytes(20)
    with pytest.raises(BadInput, match="no master archive"):
        unzip(bytes(damaged), "kospi_code.mst.zip")


def test_an_equity_carries_its_facts():
    one = equity(listing(), FACTS, ts_ns=5)
    assert (one.isin, one.lot_size) == ("KR7123450001", Quantity.from_int(1))
    assert (one.max_price, one.min_price) == (Price.from_str("65000"), Price.from_str("35000"))
    info = one.info
    assert (info["sector"], info["alert"], info["board"]) == ("chips", "warning", "KOSPI")
    assert (info["upper_limit"], info["base_price"], info["on_nxt"]) == (65000, 50000, False)


def test_an_equity_without_a_price_answer_has_no_bounds():
    one = equity(listing())
    assert (one.max_price, one.min_price) == (None, None)
    assert one.info["base_price"] == 50_000


def test_funds_are_no_equities():
    with pytest.raises(BadInput, match="group EF"):
        equity(listing(group="EF"))


def test_halts_and_liquidations_speak_against_orders():
    assert why_not_tradable(listing()) is None
    assert "halted" in why_not_tradable(listing(halted="Y"))
    assert "liquidated" in why_not_tradable(listing(liquidation="Y"))
    assert why_not_tradable(listing(halted="Y"), FACTS) is None


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("board", "records", "members", "known"),
    [(Board.KOSPI, 2568, 200, "삼성전자"), (Board.KOSDAQ, 1821, 150, "에코프로비엠")],
)
def test_real_files(board, records, members, known):
    path = REAL / f"{board.value.lower()}_code_20260815.mst.gz"
    if not path.exists():
        pytest.skip("../shared/data/krx/master is absent")
    found = read_master(gzip.decompress(path.read_bytes()), board)
    assert len(found) == records
    assert sum(one.index_member for one in found) == members
    assert known in {one.name for one in found}
    assert len(master_codes(found)) == records
    assert all(equity(one).id.venue.value == "KRX" for one in found if one.is_share)
