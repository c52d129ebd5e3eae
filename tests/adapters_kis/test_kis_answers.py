"""Answers: the body decides; paddings, cases, pages, codes to the error that says what to do."""

import json
import random
from decimal import Decimal

import pytest
from nautilus_trader.model import OrderSide

from adapters.kis import errors, parse, replies, requests
from adapters.kis.errors import gateway_error
from adapters.kis.parse import Answer, read
from adapters.kis.ticks import Seconds

NOW = 1_794_877_512_000_000_000  # 2026-11-17 10:05:12 in Seoul
SECOND = 1_000_000_000


def answer(endpoint, body, *, status=200, **headers):
    return read(endpoint, status, headers, json.dumps(body).encode())


def ok(endpoint, *, headers=(), **body):
    return answer(
        endpoint, {"rt_cd": "0", "msg_cd": "MCA00000", "msg1": "ok  ", **body}, **dict(headers)
    )


ORDER_OK = {
    "rt_cd": "0",
    "msg_cd": "APBK0013",
    "msg1": "order sent" + " " * 60,
    "output": {"KRX_FWDG_ORD_ORGNO": "00950", "ODNO": "0000010001", "ORD_TMD": "100510"},
}
ROW = {
    "ord_dt": "20261117",
    "ord_gno_brno": "00950",
    "odno": "0000010001",
    "orgn_odno": "",
    "ord_dvsn_name": "limit",
    "sll_buy_dvsn_cd": "02",
    "pdno": "123450",
    "ord_qty": "10",
    "ord_unpr": "50200",
    "ord_tmd": "100510",
    "tot_ccld_qty": "4",
    "avg_prvs": "50200.5",
    "cncl_yn": "",
    "tot_ccld_amt": "200802",
    "ord_dvsn_cd": "00",
    "cncl_cfrm_qty": "0",
    "rmn_qty": "6",
    "rjct_qty": "0",
}

# --- failures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "of_query", "of_order"),
    [
        ("EGW00001", errors.VenueBusy, errors.OutcomeUnknown),
        ("EGW00003", errors.NotPermitted, errors.NotPermitted),
        ("EGW00103", errors.BadCredentials, errors.BadCredentials),
        ("EGW00105", errors.BadCredentials, errors.BadCredentials),
        ("EGW00121", errors.TokenRejected, errors.TokenRejected),
        ("EGW00123", errors.TokenRejected, errors.TokenRejected),
        ("EGW00132", errors.RequestRefused, errors.RequestRefused),
        ("EGW00133", errors.TokenTooSoon, errors.TokenTooSoon),
        ("EGW00201", errors.RateRefused, errors.RateRefused),
        ("EGW00202", errors.VenueBusy, errors.OutcomeUnknown),
        ("EGW00207", errors.NotPermitted, errors.NotPermitted),
        ("EGW00213", errors.WrongEnvironment, errors.WrongEnvironment),
        ("EGW02004", errors.WrongEnvironment, errors.WrongEnvironment),
        ("EGW00215", errors.LedgerBusy, errors.OutcomeUnknown),
        ("EGW00300", errors.VenueBusy, errors.OutcomeUnknown),
        ("EGW00316", errors.VenueBusy, errors.OutcomeUnknown),
        ("EGW77777", errors.VenueBusy, errors.OutcomeUnknown),
        ("OPSQ1002", errors.VenueBusy, errors.OutcomeUnknown),
        ("OPSQ2000", errors.BadCredentials, errors.BadCredentials),
        ("OPSQ2001", errors.RequestRefused, errors.RequestRefused),
        ("OPSQ9999", errors.VenueBusy, errors.OutcomeUnknown),
        ("APBK0952", errors.RequestRefused, errors.OrderRefused),
        ("40100000", errors.RequestRefused, errors.OrderRefused),
        ("", errors.RequestRefused, errors.OutcomeUnknown),
    ],
)
@pytest.mark.parametrize("status", [200, 500])
def test_codes_of_failures(code, of_query, of_order, status):
    body = {"rt_cd": "1", "msg_cd": code, "msg1": "text   "}
    for endpoint, kind in ((requests.BALANCE, of_query), (requests.BUY, of_order)):
        with pytest.raises(errors.KisError) as caught:
            answer(endpoint, body, status=status)
        assert type(caught.value) is kind
        assert caught.value.code == code


def test_what_the_caller_does_is_one_of_five():
    branches = (errors.Retry, errors.Reauthenticate, errors.Stop)
    assert issubclass(errors.RateRefused, errors.Retry)
    for one in (errors.OrderRefused, errors.OutcomeUnknown, errors.RequestRefused):
        assert not issubclass(one, branches)


def test_oauth_failures_have_their_own_keys():
    body = {"error_code": "EGW00133", "error_description": "wait a minute"}
    with pytest.raises(errors.TokenTooSoon) as caught:
        answer(requests.TOKEN, body, status=403)
    assert caught.value.wait_ns == 60 * SECOND


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, b"<html>hello</html>", errors.MalformedAnswer),
        (502, b"Bad gateway", errors.VenueBusy),
        (200, b"", errors.MalformedAnswer),
        (200, b"[]", errors.MalformedAnswer),
        (200, b"{}", errors.MalformedAnswer),
        (200, b'{"rt_cd":"0","output":[1,2]}', errors.MalformedAnswer),
        (200, b"\xff", errors.MalformedAnswer),
        (200, b'{"rt_cd":"0"', errors.MalformedAnswer),
        (501, b"<html>no such method</html>", errors.MalformedAnswer),
    ],
)
def test_unreadable_answers(status, body, kind):
    with pytest.raises(kind):
        read(requests.PRICE, status, {}, body)
    with pytest.raises(errors.OutcomeUnknown):
        read(requests.BUY, status, {}, body)


def test_a_registration_that_ended_stops_whatever_its_code():
    for code in ("EGW09999", "ZZZ00001", ""):
        error = gateway_error(code, "API 서비스 신청기간이 만료되었습니다.", changes=False)
        assert type(error) is errors.NotPermitted
        assert "lasts one year" in str(error)
    token = gateway_error("EGW00123", "기간이 만료된 token 입니다.", changes=False)
    assert type(token) is errors.TokenRejected


def test_no_order_is_called_refused_because_a_text_speaks_of_an_end():
    for code in ("EGW00302", "EGW09999", "OPSQ0003"):
        error = gateway_error(code, "응답 대기시간이 만료되었습니다.", changes=True)
        assert type(error) is errors.OutcomeUnknown
    late = gateway_error("EGW00302", "응답 대기시간이 만료되었습니다.", changes=False)
    assert type(late) is errors.VenueBusy


def test_another_server_is_named_by_its_setting():
    with pytest.raises(errors.MalformedAnswer, match="ONETAPE_KIS_REST_URL"):
        read(requests.PRICE, 200, {}, b"SSH-2.0-OpenSSH")


def test_a_lost_reply_leaves_an_order_unknown_and_a_query_to_be_asked_again():
    assert isinstance(parse.lost(requests.SELL, "timed out"), errors.OutcomeUnknown)
    assert isinstance(parse.lost(requests.PRICE, "timed out"), errors.VenueBusy)


def test_an_order_without_its_number_is_unknown():
    for output in ({}, {"ODNO": ""}, {"ODNO": "x"}):
        with pytest.raises(errors.OutcomeUnknown):
            replies.placed(answer(requests.BUY, ORDER_OK | {"output": output}))


# --- shapes ------------------------------------------------------------------------------------


def test_an_order_is_taken_in_either_case():
    lower = {key.lower(): value for key, value in ORDER_OK["output"].items()}
    for output in (ORDER_OK["output"], lower, [lower]):
        placed = replies.placed(answer(requests.BUY, ORDER_OK | {"output": output}))
        assert placed == replies.Placed("00950", "0000010001", "100510")


@pytest.mark.parametrize(
    ("tr_cont", "more"), [("F", True), ("M", True), ("D", False), ("E", False), ("", False)]
)
def test_the_header_says_whether_pages_follow(tr_cont, more):
    body = {"ctx_area_fk100": "A" * 3 + " " * 97, "ctx_area_nk100": "B", "output1": []}
    found = ok(requests.ORDERS, headers={"Tr_Cont": tr_cont}.items(), **body)
    assert found.more is more
    assert found.context == {"CTX_AREA_FK100": "A" * 3 + " " * 97, "CTX_AREA_NK100": "B"}


def test_nothing_to_show_is_empty_and_doubtful_as_a_failure():
    for result, doubtful in (("0", False), ("7", True)):
        body = {"rt_cd": result, "msg_cd": "KIOK0560", "msg1": "nothing", "output1": []}
        found = answer(requests.ORDERS, body)
        assert (replies.order_rows(found), found.doubtful) == ([], doubtful)


def test_numbers_come_as_text_or_as_numbers_with_padding_and_fractions():
    row = parse.Columns("x", {"a": " 0050200.0000 ", "b": "", "c": "-12"})
    assert (row.number("a"), row.number("b"), row.number("c")) == (50200, 0, -12)
    for bad in ("1_0", "x", "1.5", "NaN", "Infinity", "1e99", "\u0661"):
        with pytest.raises(errors.MalformedAnswer):
            parse.Columns("x", {"a": bad}).number("a")


# --- values ------------------------------------------------------------------------------------


def token_answer(**fields):
    body = {"access_token": "abc", "token_type": "Bearer", "expires_in": 86400}
    return answer(requests.TOKEN, body | fields)


@pytest.mark.parametrize(
    ("stated", "lasts_s"),
    [
        ("2026-11-18 10:05:12", 86400),
        ("2026-11-17 18:05:12", 8 * 3600),  # the same token again: it ends earlier
        ("2030-01-01 00:00:00", 86400),  # a server of another time
        ("2020-01-01 00:00:00", 86400),
        ("", 86400),
        ("soon", 86400),
    ],
)
def test_a_token_ends_at_the_earlier_of_its_two_ends(stated, lasts_s):
    token = parse.token(token_answer(access_token_token_expired=stated), NOW)
    assert (token.text.reveal(), token.expires_ns - NOW) == ("abc", lasts_s * SECOND)
    assert "abc" not in repr(token)


@pytest.mark.parametrize("fields", [{"access_token": ""}, {"expires_in": 0}, {"expires_in": "x"}])
def test_no_token(fields):
    with pytest.raises(errors.MalformedAnswer):
        parse.token(token_answer(**fields), NOW)


def test_keys_and_hashes():
    assert parse.approval_key(answer(requests.APPROVAL, {"approval_key": "k"})).reveal() == "k"
    assert parse.hashkey(answer(requests.HASHKEY, {"BODY": {}, "HASH": "h"})) == "h"
    with pytest.raises(errors.MalformedAnswer):
        parse.approval_key(answer(requests.APPROVAL, {}))


def test_order_list():
    other = ROW | {"odno": "10002", "orgn_odno": "10001", "cncl_yn": "Y", "cnc_cfrm_qty": "6"}
    del other["cncl_cfrm_qty"]
    first, second = replies.order_rows(ok(requests.ORDERS, output1=[ROW, other, {"odno": ""}]))
    assert (first.number, first.filled, first.amount) == ("0000010001", 4, 200802)
    assert (first.side, first.average) == (OrderSide.BUY, Decimal("50200.5"))
    assert (second.number, second.original) == ("0000010002", "0000010001")
    assert (second.canceled, second.canceled_quantity) == (True, 6)


@pytest.mark.parametrize(
    ("column", "value"),
    [("sll_buy_dvsn_cd", "03"), ("ord_qty", "x"), ("ord_dt", "20261399"), ("odno", "1x")],
)
def test_impossible_rows(column, value):
    with pytest.raises(errors.MalformedAnswer):
        replies.order_rows(ok(requests.ORDERS, output1=[ROW | {column: value}]))


def test_balance():
    found = ok(
        requests.BALANCE,
        output1=[{"pdno": "123450", "hldg_qty": "7", "ord_psbl_qty": "5", "pchs_avg_pric": "1.25"}],
        output2=[{"dnca_tot_amt": "100", "prvs_rcdl_excc_amt": "-50", "tot_evlu_amt": "9"}],
    )
    (holding,) = replies.holdings(found)
    assert (holding.code, holding.quantity, holding.sellable) == ("123450", 7, 5)
    assert holding.average == Decimal("1.25")
    cash = replies.cash(found)
    assert (cash.today, cash.settled, cash.total_value) == (100, -50, 9)


def test_price_facts():
    output = {
        "stck_prpr": "50300", "stck_sdpr": "50000", "stck_mxpr": "65000", "stck_llam": "35000",
        "aspr_unit": "100", "hts_deal_qty_unit_val": "1", "bstp_kor_isnm": "chips",
        "iscd_stat_cls_code": "58", "temp_stop_yn": "N", "mrkt_warn_cls_code": "02",
        "short_over_yn": "Y", "vi_cls_code": "N", "lstn_stcn": "1000",
    }  # fmt: skip
    facts = replies.price_facts(ok(requests.PRICE, output=output))
    assert (facts.base, facts.upper, facts.lower, facts.tick) == (50000, 65000, 35000, 100)
    assert (facts.halted, facts.overheated, facts.in_vi) == (True, True, False)
    assert (facts.sector, facts.warning) == ("chips", "02")
    with pytest.raises(errors.MalformedAnswer):
        replies.price_facts(ok(requests.PRICE, output=output | {"stck_mxpr": "1"}))
    with pytest.raises(errors.MalformedAnswer):
        replies.price_facts(ok(requests.PRICE))


def test_price_polls_are_matched_by_code():
    rows = [
        {"inter_shrn_iscd": "0001A0", "inter2_prpr": "100", "inter2_askp": "101"},
        {"inter_shrn_iscd": "", "inter2_prpr": "0"},
        {"inter_shrn_iscd": "005930", "inter2_prpr": "200", "inter2_bidp": "199"},
    ]
    found = replies.snapshots(ok(requests.PRICES, output=rows))
    assert {code: (one.price, one.bid, one.ask) for code, one in found.items()} == {
        "0001A0": (100, 0, 101),
        "005930": (200, 199, 0),
    }


def bar(**columns):
    return {
        "stck_bsop_date": "20261117", "stck_cntg_hour": "100500", "stck_prpr": "100",
        "stck_clpr": "100", "stck_oprc": "99", "stck_hgpr": "101", "stck_lwpr": "98",
        "cntg_vol": "5", "acml_vol": "50",
    } | columns  # fmt: skip


def test_bars_are_oldest_first():
    rows = [bar(), bar(stck_cntg_hour="100400", cntg_vol="6")]
    minutes = replies.minute_bars(ok(requests.MINUTE_BARS, output1={}, output2=rows))
    assert [(one.time, one.close, one.volume) for one in minutes] == [
        ("100400", 100, 6),
        ("100500", 100, 5),
    ]
    days = [bar(), bar(stck_bsop_date="20261116"), {}]
    found = replies.daily_bars(ok(requests.DAILY_BARS, output2=days))
    assert [(one.day, one.volume) for one in found] == [("20261116", 50), ("20261117", 50)]


def test_a_halted_day_has_no_bar_and_an_impossible_bar_is_refused():
    halted = bar(stck_oprc="0", stck_hgpr="0", stck_lwpr="0", acml_vol="0")
    assert replies.daily_bars(ok(requests.DAILY_BARS, output2=[halted])) == []
    with pytest.raises(errors.MalformedAnswer):
        replies.daily_bars(ok(requests.DAILY_BARS, output2=[bar(stck_hgpr="50")]))


def test_past_trades_carry_the_volume_that_names_them():
    rows = [
        {"stck_cntg_hour": "100513", "stck_prpr": "50300", "cnqn": "3", "acml_vol": "412368"},
        {"stck_cntg_hour": "100513", "stck_prpr": "50200", "cnqn": "20", "acml_vol": "412365"},
    ]
    found = replies.past_trades(ok(requests.TRADES_AT, output1={}, output2=rows))
    assert [(one.quantity, one.day_volume) for one in found] == [(20, 412365), (3, 412368)]


def test_days_power_open_orders_and_nxt():
    days = [{"bass_dt": "20261119", "opnd_yn": "Y"}, {"bass_dt": "20261225", "opnd_yn": "N"}]
    found = replies.market_days(ok(requests.HOLIDAYS, output=days))
    assert [(one.day, one.open) for one in found] == [("20261119", True), ("20261225", False)]
    power = {"ord_psbl_cash": "1000", "nrcvb_buy_qty": "3", "psbl_qty_calc_unpr": "300"}
    assert replies.buying_power(ok(requests.BUYING_POWER, output=power)).quantity == 3
    rows = [ROW | {"psbl_qty": "6"}]
    assert replies.open_orders(ok(requests.OPEN_ORDERS, output=rows))[0].remaining == 6
    for stopped, on_nxt in (("N", True), ("Y", False)):
        info = {"cptt_trad_tr_psbl_yn": "Y", "nxt_tr_stop_yn": stopped}
        assert replies.is_on_nxt(ok(requests.STOCK_INFO, output=info)) is on_nxt


# --- damage ------------------------------------------------------------------------------------

READERS = {
    requests.BUY: replies.placed,
    requests.ORDERS: replies.order_rows,
    requests.BALANCE: replies.holdings,
    requests.PRICE: replies.price_facts,
    requests.PRICES: replies.snapshots,
    requests.MINUTE_BARS: replies.minute_bars,
    requests.TOKEN: lambda found: parse.token(found, NOW),
}


def test_mutated_answers_give_values_or_errors_of_the_tree():
    rng = random.Random(7)  # noqa: S311 - repeatable on purpose
    row = ROW | bar() | ORDER_OK["output"] | {"inter_shrn_iscd": "123450", "hldg_qty": "1"}
    body = {"rt_cd": "0", "msg_cd": "MCA00000", "access_token": "x", "expires_in": 9}
    texts = [
        json.dumps(body | {"output": row, "output1": [row], "output2": [row]}),
        json.dumps({"rt_cd": "1", "msg_cd": "EGW00201", "msg1": "x"}),
    ]
    signs = '0123456789{}[]":,.-eE_ntx\\u\x00'
    outcomes = set()
    for _ in range(20_000):
        text = list(rng.choice(texts))
        for _ in range(rng.randrange(1, 4)):
            text[rng.randrange(len(text))] = rng.choice(signs)
        endpoint = rng.choice(list(READERS))
        try:
            found = read(endpoint, rng.choice((200, 500)), {}, "".join(text).encode())
            assert isinstance(found, Answer)
            READERS[endpoint](found)
            outcomes.add("value")
        except errors.KisError as error:
            outcomes.add(type(error).__name__)
    assert {"value", "MalformedAnswer", "OutcomeUnknown", "RateRefused"} <= outcomes


def test_sentences_name_the_code_and_the_way_out():
    text = str(gateway_error("EGW02004", "not for mock", changes=False))
    assert "EGW02004" in text
    assert "ONETAPE_KIS_ENV" in text
    assert Seconds().at("20261117", "100512") == NOW
