"""Index, status, auctions, polls and books as engine values; whatever comes, nothing crashes."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import DataType, InstrumentId, MarketStatusAction

from adapters.kis import parse, replies, requests
from adapters.kis.data_events import ExpectedAuction, KisSnapshot
from adapters.kis.data_values import (
    every_ns,
    expected_of_trade,
    index_price,
    polled,
    status_change,
)
from adapters.kis.errors import BadRecord
from adapters.kis.fields import LAYOUTS
from adapters.kis.frames import Frame
from adapters.kis.market import index_values, market_statuses
from adapters.kis.replies import Snapshot

IID = InstrumentId.from_str("990001.KRX")
AT = 1_794_877_512_000_000_000  # 2026-11-17 10:05:12 in Seoul


def frame(tr_id, **given_columns):
    layout = LAYOUTS[tr_id]
    record = [given_columns.get(column.name, "") for column in layout.columns]
    return Frame(layout, len(record), [record], encrypted=False)


def index(**columns):
    columns = {
        "bstp_cls_code": "0001",
        "bsop_hour": "100510",
        "prpr_nmix": "2650.12",
        "prdy_ctrt": "0",
    } | columns
    return index_price(index_values(frame("H0UPCNT0", **columns))[0], AT)


def test_an_index_keeps_its_decimals_and_is_dated_by_its_receipt():
    value = index()
    assert (str(value.instrument_id), str(value.value)) == ("0001.KRX", "2650.12")
    assert (value.ts_event, value.ts_init) == (AT - 2_000_000_000, AT)


@given(
    st.one_of(st.text("0123456789.-eE+nai_", max_size=25), st.decimals().map(str)),
    st.text("0123456789ABz", max_size=9),
)
def test_no_index_is_more_than_a_refusal(value, code):
    try:
        index(prpr_nmix=value, bstp_cls_code=code)
    except (BadRecord, ValueError, OverflowError):
        return


STATUSES = [
    ({"mkop_cls_code": "112"}, MarketStatusAction.TRADING, True, "open"),
    ({"mkop_cls_code": "110"}, MarketStatusAction.PRE_OPEN, None, "opening auction"),
    ({"mkop_cls_code": "174"}, MarketStatusAction.HALT, False, "circuit breaker"),
    ({"mkop_cls_code": "387"}, MarketStatusAction.NONE, None, "sell sidecar"),
    ({"vi_cls_code": "Y"}, MarketStatusAction.PAUSE, False, "volatility interruption"),
    ({"trht_yn": "Y", "mkop_cls_code": "112"}, MarketStatusAction.HALT, False, "open"),
    ({"mkop_cls_code": "F05"}, MarketStatusAction.NONE, None, "F05"),
]


@pytest.mark.parametrize(("columns", "action", "is_trading", "words"), STATUSES)
def test_a_status_says_whether_it_trades(columns, action, is_trading, words):
    columns = {"mksc_shrn_iscd": "990001", "tr_susp_reas_cntt": "(null)"} | columns
    (status,) = market_statuses(frame("H0STMKO0", **columns))
    change = status_change(IID, status, AT)
    assert (change.action, change.is_trading) == (action, is_trading)
    assert (change.trading_event, change.reason) == (words, None)
    assert change.ts_event == change.ts_init == AT


def test_a_date_nobody_has_is_refused():
    expected = type("", (), {"day": "20269999", "time": "085000"})
    with pytest.raises(ValueError, match="month"):
        expected_of_trade(IID, expected, AT)


def test_custom_data_survive_their_dictionaries():
    made = polled(IID, Snapshot(code="990001", phase="0", **dict.fromkeys(NUMBERS, 5)), AT)
    assert (made.ts_event, made.ts_init, made.provenance) == (AT, AT, "polled")
    again = KisSnapshot.from_dict(made.to_dict())
    assert again == made
    auction = ExpectedAuction(1, 2, IID, 10_000, 7, "A")
    assert ExpectedAuction.from_dict(auction.to_dict()) == auction


NUMBERS = (
    *("price", "bid", "ask", "bid_quantity", "ask_quantity", "volume", "turnover", "base"),
    *("upper", "lower", "open", "high", "low", "expected_volume"),
)


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [(None, 10**9), ({}, 10**9), ({"every_ms": "250"}, 250 * 10**6), ({"every_ms": 0}, 0)]
    + [({"every_ms": text}, None) for text in ("soon", "-1", "1.5", "")],
)
def test_how_often_a_price_is_wanted(metadata, expected):
    assert every_ns(DataType("KisSnapshot", metadata)) == expected


def test_a_books_levels_without_orders_are_left_out():
    row = {f"{side}p{i}": str(100 + i) for side in ("ask", "bid") for i in range(1, 11)}
    row |= {f"{side}p_rsqn{i}": str(i % 3) for side in ("ask", "bid") for i in range(1, 11)}
    row["aspr_acpt_hour"] = "100512"
    body = {"rt_cd": "0", "msg_cd": "MCA00000", "msg1": "", "output1": row}
    levels = replies.book_levels(parse.read(requests.BOOK, 200, {}, orjson.dumps(body)))
    assert levels.time == "100512"
    assert levels.asks[:3] == ((101, 1), (102, 2), (104, 1))
    assert len(levels.bids) == 7
