"""Frames and notices against the constructed examples of the protocol's description."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from kis_market import CODE, OPEN_NS, at, symbols_of

from scenarios.venues.kis.cipher import encrypt, secret_text
from scenarios.venues.kis.control import Request, acknowledgement, pingpong, read_request
from scenarios.venues.kis.matching import Level, Side
from scenarios.venues.kis.orders import ORDER_TYPES, Order
from scenarios.venues.kis.outgoing import legacy_notice
from scenarios.venues.kis.records import (
    book_record,
    expected_record,
    frame,
    index_record,
    notice_record,
    ratio,
    sign_of,
    sized,
    status_record,
    trade_record,
)
from scenarios.venues.kis.symbols import DayState, Print, Symbol

KEY, IV = "KISsimKEY0123456789abcdefghijklm", "KISsimIV01234567"
RECEIPT = (
    "simuser1^1234567801^0000010001^^02^0^00^0^123450^0000000010^000050200^100510^0^1^1^00950"
    "^000000010^TESTER^000000000^1^Y^^00^^SAMPLECO^"
)
RECEIPT_CIPHER = (
    "nM++3+scxJRUyD1i3MQwDdhSdZn3S9vBS2sgSyNPUSqYMMo2erd6L1BV6n//1Rf/wP8H2JOa4vU8OLt2idtoTKLC3tSW"
    "4ZIaeMa6J8T6fc0XghcDXaf9qQFhfUVKZ5AAQ5ZUsYQ2c4RcEy9UNbUvAZFmRQHAuKDn8VPAuXeiYFB/uLVErG0B6GeF"
    "qlJ9tgPJ"
)
FILL = (
    "simuser1^1234567801^0000010001^^02^0^00^0^123450^0000000004^000050200^100513^0^2^2^00950"
    "^000000010^TESTER^000000000^1^Y^^00^^SAMPLECO^000050200"
)
REFUSED = (
    "simuser1^1234567801^0000010003^^02^0^00^0^123450^0000000010^000050250^100700^1^1^1^00950"
    "^000000010^TESTER^000000000^1^Y^^00^^SAMPLECO^"
)
TRADE = (
    "123450^100512^50300^2^300^0.60^50200.00^50200^50500^49900^50300^50200^7^412345^20699719000"
    "^1210^1355^145^107.97^180000^194345^1^0.47^20.62^090012^2^100^093105^5^-200^091822^2^400"
    "^20261117^20^N^830^1264^18420^22110^0.41^0^0.00^0^^50200^2"
)
BOOK = (
    "123450^100513^0^50300^50400^50500^50600^50700^50800^50900^51000^51100^51200^50200^50100"
    "^50000^49900^49800^49700^49600^49500^49400^49300^827^1510^2204^998^1766^2310^1425^3011^2166"
    "^2200^1244^1875^2010^2301^1599^2750^2212^1983^3016^3100^18417^22090^0^0^0^0^0^-50000^5"
    "^-100.00^412368^-3^0^0^0^0^50250^0^0^2"
)


def at_1005(second: int) -> int:
    """Return 2026-11-17, 10:05 and some seconds, in Seoul."""
    return (1_794_877_500 + second) * 10**9


def sample() -> Symbol:
    symbol = Symbol("123450", "SAMPLECO", 50_000)
    symbol.day = DayState(
        *(50_200, 50_500, 49_900, "090012", "093105", "091822", 412_345, 20_699_719_000),
        *(180_000, 194_345, 1_210, 1_355),
    )
    symbol.previous_volume, symbol.listed_shares = 2_000_000, 100_000_000
    symbol.vi_reference, symbol.totals = 50_200, (18_420, 22_110)
    symbol.book.set_levels([Level(50_200, 1_264)], [Level(50_300, 830)])
    return symbol


def order(number: str, price: int) -> Order:
    kind = ORDER_TYPES["00"]
    return Order(
        number,
        "20261117",
        "100510",
        "1234567801",
        "123450",
        Side.BUY,
        kind,
        10,
        price,
        price,
        price,
    )


def test_a_trade_is_the_documented_frame():
    record = trade_record(sample(), Print(at_1005(12), "123450", 50_300, 7, buyer_initiated=True))
    assert "^".join(record) == TRADE
    assert len(record) == 47


def test_a_book_is_the_documented_frame():
    symbol = sample()
    sizes = [int(text) for text in BOOK.split("^")[23:43]]
    prices = [int(text) for text in BOOK.split("^")[3:23]]
    asks = [Level(price, size) for price, size in zip(prices[:10], sizes[:10], strict=True)]
    bids = [Level(price, size) for price, size in zip(prices[10:], sizes[10:], strict=True)]
    symbol.book.set_levels(bids, asks)
    symbol.totals, symbol.totals_change, symbol.day.volume = (18_417, 22_090), (-3, 0), 412_368
    record = book_record(symbol, at_1005(13), "0", (0, 0))
    assert "^".join(record) == BOOK
    assert len(record) == 63


@pytest.mark.parametrize(
    ("number", "price", "more", "text"),
    [
        ("0000010001", 50_200, {"quantity": 10, "price": 50_200, "time": "100510"}, RECEIPT),
        (
            "0000010001",
            50_200,
            {"quantity": 4, "price": 50_200, "time": "100513", "accepted": "2", "is_fill": True},
            FILL,
        ),
        (
            "0000010003",
            50_250,
            {"quantity": 10, "price": 50_250, "time": "100700", "is_refused": True},
            REFUSED,
        ),
    ],
)
def test_a_notice_is_the_documented_one(number, price, more, text):
    parts = {"accepted": "1", "branch": "00950", "name": "SAMPLECO"} | more
    assert "^".join(notice_record(order(number, price), "simuser1", **parts)) == text


def test_notices_are_encrypted_as_documented_and_can_be_read_back():
    assert encrypt(RECEIPT, KEY, IV) == RECEIPT_CIPHER
    decryptor = Cipher(algorithms.AES(KEY.encode()), modes.CBC(IV.encode())).decryptor()
    plain = decryptor.update(base64.b64decode(RECEIPT_CIPHER)) + decryptor.finalize()
    assert plain[: -plain[-1]].decode() == RECEIPT


def test_the_old_notice_has_its_fields_where_they_were():
    old = legacy_notice(tuple(FILL.split("^")))
    assert len(old) == 23
    assert old[18] == old[21] == "SAMPLECO"
    assert old[22] == "000050200"


@pytest.mark.parametrize(
    ("price", "sign"), [(10_000, "3"), (10_010, "2"), (9_990, "5"), (13_000, "1"), (7_000, "4")]
)
def test_signs(price, sign):
    assert sign_of(symbols_of()[CODE], price) == sign


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ((1, 3), "0.33"),
        ((-1, 3, 100), "-33.33"),
        ((-1, 1_000), "0.00"),
        ((-1, 200), "-0.01"),
        ((2, 3), "0.67"),
        ((5, 0), "0.00"),
        ((300, 50_000, 100), "0.60"),
    ],
)
def test_ratios_are_rounded_to_two_decimals(numbers, text):
    assert ratio(*numbers) == text


def test_other_records_have_their_widths():
    symbol = sample()
    assert len(expected_record(symbol, OPEN_NS, "B", (50_000, 10))) == 46
    assert len(status_record(symbol, "112")) == 11
    assert len(index_record("0001", OPEN_NS, [symbol])) == 30
    assert expected_record(symbol, OPEN_NS, "B", (50_000, 10))[43] == "B"
    assert index_record("0001", OPEN_NS, [])[2] == "2500.00"


def test_frames_count_their_records_and_records_can_be_cut_or_widened():
    assert frame("H0STCNT0", [("1", "2"), ("3", "4")]) == "0|H0STCNT0|002|1^2^3^4"
    assert sized(("1", "2"), 1) == ("1",)
    assert sized(("1", "2"), 3) == ("1", "2", "")


def test_acknowledgements_are_the_documented_ones():
    asked = Request("key", "1", "H0STCNT0", "123450")
    assert acknowledgement("OPSP0008", asked) == (
        '{"header":{"tr_id":"H0STCNT0","tr_key":"123450","encrypt":"N"},"body":{"rt_cd":"1",'
        '"msg_cd":"OPSP0008","msg1":"MAX SUBSCRIBE OVER"}}'
    )
    assert acknowledgement("OPSP8996", asked) == (
        '{"header":{"tr_id":"(null)","tr_key":"","encrypt":"N"},"body":{"rt_cd":"9",'
        '"msg_cd":"OPSP8996","msg1":"ALREADY IN USE appkey"}}'
    )
    notice = Request("key", "1", "H0STCNI0", "simuser1")
    assert acknowledgement("OPSP0000", notice, encrypted=True, secret=(KEY, IV)) == (
        '{"header":{"tr_id":"H0STCNI0","tr_key":"simuser1","encrypt":"Y"},"body":{"rt_cd":"0",'
        '"msg_cd":"OPSP0000","msg1":"SUBSCRIBE SUCCESS","output":{"iv":"KISsimIV01234567",'
        '"key":"KISsimKEY0123456789abcdefghijklm"}}}'
    )
    assert pingpong(at_1005(20)) == ('{"header":{"tr_id":"PINGPONG","datetime":"20261117100520"}}')


GOOD = {
    "header": {"approval_key": "k", "custtype": "P", "tr_type": "1", "content-type": "utf-8"},
    "body": {"input": {"tr_id": "H0STCNT0", "tr_key": "123450"}},
}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (json.dumps(GOOD), ""),
        ("nonsense", "OPSP9999"),
        ("[]", "OPSP9999"),
        (json.dumps({"body": {}}), "OPSP9998"),
        (json.dumps({"header": {}}), "OPSP9992"),
        (json.dumps({"header": {}, "body": {}}), "OPSP9991"),
        (json.dumps(GOOD | {"header": {"custtype": "P", "tr_type": "0"}}), "OPSP8997"),
        (json.dumps(GOOD | {"header": {"custtype": "X", "tr_type": "1"}}), "OPSP8998"),
        (json.dumps(GOOD | {"header": {"tr_type": "1"}}), "OPSP9997"),
        (json.dumps(GOOD | {"body": {"input": {"tr_id": "H0STCNT0"}}}), "OPSP9990"),
    ],
)
def test_requests_that_cannot_be_read_get_their_code(text, error):
    assert read_request(text).error == error


def test_secrets_depend_on_their_names_only():
    assert secret_text(180, "a") == secret_text(180, "a") != secret_text(180, "b")
    assert len(secret_text(180, "a")) == 180
    assert at(0) == OPEN_NS
