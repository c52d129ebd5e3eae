"""Index, status, expected and notice records."""

from decimal import Decimal

import pytest
from nautilus_trader.model import MarketStatusAction, OrderSide

from adapters.kis import market
from adapters.kis.errors import BadRecord
from adapters.kis.fields import LAYOUTS
from adapters.kis.frames import Decoder
from adapters.kis.market import Acceptance, Change, NoticeKind
from bench import kis_frames as sent


def opened(message):
    decoder = Decoder()
    decoder.decode(sent.ACK_NOTICE)
    return decoder.decode(message)


def notice(message):
    (one,) = market.notices(opened(message))
    return one


def test_an_index_value():
    (value,) = market.index_values(opened(sent.INDEX))
    assert (value.code, value.time, value.value) == ("0001", "100513", Decimal("4123.45"))
    assert (value.change_pct, value.rising, value.falling) == (Decimal("0.30"), 512, 350)


@pytest.mark.parametrize(
    ("message", "action", "in_vi"),
    [
        (sent.STATUS_10, MarketStatusAction.TRADING, False),
        (sent.STATUS_VI, MarketStatusAction.PAUSE, True),
        (sent.STATUS_VI.replace("^N^(null)", "^Y^rumour"), MarketStatusAction.HALT, True),
        (sent.STATUS_10.replace("^112^112^", "^174^112^"), MarketStatusAction.HALT, False),
        (sent.STATUS_10.replace("^112^112^", "^F05^112^"), MarketStatusAction.NONE, False),
    ],
)
def test_market_status(message, action, in_vi):
    (status,) = market.market_statuses(opened(message))
    assert (status.code, status.action, status.in_vi) == ("123450", action, in_vi)


def test_null_is_no_reason():
    (status,) = market.market_statuses(opened(sent.STATUS_10))
    assert (status.reason, status.halted, status.standing) == ("", False, "00")


def test_an_expected_trade():
    (expected,) = market.expected_trades(opened(sent.EXPECTED))
    assert (expected.code, expected.price, expected.quantity) == ("123450", 50300, 7)


@pytest.mark.parametrize(
    ("message", "kind", "change", "acceptance", "refused", "number", "original", "quantity"),
    [
        (sent.RECEIPT, "receipt", "new", "accepted", False, "0000010001", "", 10),
        (sent.FILL, "fill", "new", "confirmed", False, "0000010001", "", 4),
        (sent.CANCEL, "receipt", "cancel", "confirmed", False, "0000010002", "0000010001", 6),
        (sent.REJECT, "receipt", "new", "accepted", True, "0000010003", "", 10),
    ],
)
def test_notices(message, kind, change, acceptance, refused, number, original, quantity):
    one = notice(message)
    assert (one.kind, one.change) == (NoticeKind(kind), Change(change))
    assert (one.acceptance, one.refused) == (Acceptance(acceptance), refused)
    assert (one.number, one.original, one.quantity) == (number, original, quantity)
    assert (one.account, one.branch, one.code) == ("1234567801", "00950", "123450")
    assert (one.side, one.order_quantity) == (OrderSide.BUY, 6 if change == "cancel" else 10)


def test_the_layout_of_before_2025():
    fields = sent.FILL_TEXT.split("^")
    old = [*fields[:18], "SAMPLECO", *fields[22:]]
    one = notice(sent.sealed("^".join(old)))
    assert (one.quantity, one.price, one.exchange) == (4, 50200, "")


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("oder_no", ""),
        ("oder_no", "0000000000"),
        ("oder_no", "12x"),
        ("seln_byov_cls", "03"),
        ("cntg_qty", "0000000000"),
        ("cntg_qty", "-4"),
        ("cntg_unpr", "000000000"),
        ("cntg_yn", "3"),
        ("rfus_yn", "?"),
        ("stck_cntg_hour", "999999"),
        ("stck_shrn_iscd", ""),
    ],
)
def test_impossible_notices(column, value):
    fields = sent.FILL_TEXT.split("^")
    fields[LAYOUTS["H0STCNI0"].index(column)] = value
    with pytest.raises(BadRecord):
        notice(sent.sealed("^".join(fields)))


@pytest.mark.parametrize(
    ("text", "number"), [("10001", "0000010001"), (" 0000010001 ", "0000010001"), ("", "")]
)
def test_order_numbers_are_padded_alike(text, number):
    assert market.order_number(text) == number
