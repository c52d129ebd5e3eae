"""Requests: paths, TR ids, fields, where secrets go, which environment offers what."""

import json

import pytest
from nautilus_trader.model import OrderSide, OrderType, TimeInForce
from test_kis_settings import GOOD, KEY, SECRET

from adapters.kis import requests
from adapters.kis.config import Account, Secret, read_config
from adapters.kis.errors import RequestRefused
from adapters.kis.limits import Servers
from adapters.kis.order_types import AFTER_MARKET, ORDER_TYPES, PRICED, VOID, order_type
from adapters.kis.requests import Endpoint, Priority

ACCOUNT = Account("12345678", "01")
TOKEN = Secret("token-text")
ENDPOINTS = [one for one in vars(requests).values() if isinstance(one, Endpoint)]


def config(environment="real"):
    return read_config(GOOD | {"ONETAPE_KIS_ENV": environment})


def body(request, token=None):
    return json.loads(requests.wire(request, config(), token).body)


def test_a_query():
    wire = requests.wire(requests.price("005930"), config(), TOKEN)
    path = "/uapi/domestic-stock/v1/quotations/inquire-price"
    assert wire.target == f"{path}?FID_COND_MRKT_DIV_CODE=J&FID_INPUT_ISCD=005930"
    assert wire.method == "GET"
    assert wire.body == b""
    assert dict(wire.headers) == {
        "content-type": "application/json; charset=utf-8",
        "authorization": "Bearer token-text",
        "appkey": KEY,
        "appsecret": SECRET,
        "tr_id": "FHKST01010100",
        "tr_cont": "",
        "custtype": "P",
    }


def test_a_wire_does_not_show_its_secrets():
    for request in (requests.token(), requests.price("005930")):
        shown = repr(requests.wire(request, config(), TOKEN))
        assert not any(secret in shown for secret in (KEY, SECRET, "token-text"))


def test_oauth_services_take_the_secret_under_their_own_names():
    grant = {"grant_type": "client_credentials"}
    assert body(requests.token()) == grant | {"appkey": KEY, "appsecret": SECRET}
    assert body(requests.approval_key()) == grant | {"appkey": KEY, "secretkey": SECRET}
    order = requests.order(ACCOUNT, OrderSide.BUY, "005930", "00", 1, 100)
    hashed = requests.wire(requests.hashkey(order), config())
    assert json.loads(hashed.body) == dict(order.fields)
    assert hashed.headers["appsecret"] == SECRET


@pytest.mark.parametrize(
    ("side", "real", "mock", "kind"),
    [
        (OrderSide.BUY, "TTTC0012U", "VTTC0012U", ""),
        (OrderSide.SELL, "TTTC0011U", "VTTC0011U", "01"),
    ],
)
def test_a_cash_order(side, real, mock, kind):
    order = requests.order(ACCOUNT, side, "005930", "00", 10, 50200)
    wire = requests.wire(order, config(), TOKEN, hashkey="h" * 64)
    assert json.loads(wire.body) == {
        "CANO": "12345678",
        "ACNT_PRDT_CD": "01",
        "PDNO": "005930",
        "ORD_DVSN": "00",
        "ORD_QTY": "10",
        "ORD_UNPR": "50200",
        "EXCG_ID_DVSN_CD": "KRX",
        "SLL_TYPE": kind,
        "CNDT_PRIC": "",
    }
    assert (wire.method, wire.headers["tr_id"], wire.headers["hashkey"]) == ("POST", real, "h" * 64)
    assert requests.wire(order, config("mock"), TOKEN).headers["tr_id"] == mock
    assert order.endpoint.changes
    assert order.endpoint.priority is Priority.ORDER


def test_a_stop_limit_carries_its_trigger():
    order = requests.order(ACCOUNT, OrderSide.SELL, "005930", "22", 1, 100, trigger_krw=105)
    assert order.fields["CNDT_PRIC"] == "105"


def test_cancel_and_amend_name_branch_and_latest_number():
    cancel = body(requests.cancel(ACCOUNT, "00950", "0000010001", "00"), TOKEN)
    assert cancel["KRX_FWDG_ORD_ORGNO"] == "00950"
    assert cancel["ORGN_ODNO"] == "0000010001"
    assert (cancel["RVSE_CNCL_DVSN_CD"], cancel["QTY_ALL_ORD_YN"]) == ("02", "Y")
    amend = body(requests.amend(ACCOUNT, "00950", "0000010001", "00", 5, 50100), TOKEN)
    assert (amend["RVSE_CNCL_DVSN_CD"], amend["ORD_QTY"], amend["ORD_UNPR"]) == ("01", "5", "50100")
    whole = requests.amend(ACCOUNT, "00950", "0000010001", "00", 0, 50100)
    assert (amend["QTY_ALL_ORD_YN"], whole.fields["QTY_ALL_ORD_YN"]) == ("N", "Y")


def test_thirty_prices_in_contiguous_pairs():
    fields = requests.prices([f"{n:06d}" for n in range(30)]).fields
    assert len(fields) == 60
    assert fields["FID_INPUT_ISCD_1"] == "000000"
    assert fields["FID_INPUT_ISCD_30"] == "000029"
    for count in (0, 31):
        with pytest.raises(RequestRefused):
            requests.prices(["005930"] * count)


def test_the_next_page_carries_the_context_as_it_came():
    first = requests.balance(ACCOUNT)
    context = {"CTX_AREA_FK100": "A" + " " * 99, "CTX_AREA_NK100": "B" + " " * 99}
    page = requests.next_page(first, context)
    wire = requests.wire(page, config(), TOKEN)
    assert wire.headers["tr_cont"] == "N"
    assert "CTX_AREA_FK100=A" + "+" * 99 in wire.target
    assert first.fields["CTX_AREA_FK100"] == ""
    assert first.fields["INQR_DVSN"] == "01"


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda one: one.name)
def test_tr_ids_follow_the_environment(endpoint):
    """Only ids that begin with T, J or C get a V on the mock servers; F ids stay."""
    real, mock = endpoint.real_tr, endpoint.mock_tr
    assert requests.tr_id(endpoint, Servers.REAL) == real
    if not mock:
        with pytest.raises(RequestRefused):
            requests.tr_id(endpoint, Servers.MOCK)
        return
    assert mock == (f"V{real[1:]}" if real[0] in "TJC" else real)
    assert endpoint.changes == (real in {"TTTC0012U", "TTTC0011U", "TTTC0013U"})


def test_every_request_needs_its_token_but_oauth():
    with pytest.raises(RequestRefused):
        requests.wire(requests.balance(ACCOUNT), config())


@pytest.mark.parametrize(
    "request_", [requests.minute_bars("0001A0", "100500"), requests.trades_at("0001A0", "100500")]
)
def test_codes_with_letters_pass(request_):
    assert request_.fields["FID_INPUT_ISCD"] == "0001A0"
    assert request_.fields["FID_INPUT_HOUR_1"] == "100500"


def test_adjusted_daily_bars_are_zero():
    for adjusted, code in ((True, "0"), (False, "1")):
        asked = requests.daily_bars("005930", "20260101", "20261117", adjusted=adjusted)
        assert asked.fields["FID_ORG_ADJ_PRC"] == code


@pytest.mark.parametrize(("quantity", "price"), [(0, 100), (-1, 100), (1, -1)])
def test_impossible_orders_are_not_built(quantity, price):
    with pytest.raises(RequestRefused):
        requests.order(ACCOUNT, OrderSide.BUY, "005930", "00", quantity, price)


def test_registration_messages():
    for register, kind in ((True, "1"), (False, "2")):
        text = requests.registration(Secret("a-key"), "H0STCNT0", "005930", register=register)
        assert json.loads(text) == {
            "header": {
                "approval_key": "a-key",
                "custtype": "P",
                "tr_type": kind,
                "content-type": "utf-8",
            },
            "body": {"input": {"tr_id": "H0STCNT0", "tr_key": "005930"}},
        }


@pytest.mark.parametrize(
    ("kind", "tif", "code"),
    [
        (OrderType.LIMIT, TimeInForce.DAY, "00"),
        (OrderType.LIMIT, TimeInForce.GTC, "00"),
        (OrderType.LIMIT, TimeInForce.IOC, "11"),
        (OrderType.LIMIT, TimeInForce.FOK, "12"),
        (OrderType.MARKET, TimeInForce.GTC, "01"),
        (OrderType.MARKET, TimeInForce.IOC, "13"),
        (OrderType.MARKET_TO_LIMIT, TimeInForce.DAY, "03"),
        (OrderType.MARKET_TO_LIMIT, TimeInForce.FOK, "16"),
        (OrderType.STOP_LIMIT, TimeInForce.DAY, "22"),
    ],
)
def test_order_types(kind, tif, code):
    found = order_type(kind, tif)
    assert (found.code, found.priced) == (code, code in PRICED)


def test_order_types_that_are_not_taken():
    with pytest.raises(RequestRefused):
        order_type(OrderType.STOP_MARKET, TimeInForce.DAY)
    with pytest.raises(RequestRefused):
        order_type(OrderType.MARKET, TimeInForce.DAY, "NXT")
    assert not VOID & ORDER_TYPES.keys()
    assert ORDER_TYPES.keys() >= AFTER_MARKET | PRICED
