"""REST requests as values: which TR, which fields, how urgent, and whether asking twice is safe.

Rule: nothing is sent here; ``wire`` gives what a connection is to send, and is the only place that
writes secrets. Source of paths, TR ids and fields: KIS's sample repository, 2026-07-09.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from urllib.parse import urlencode

import orjson
from nautilus_trader.model import OrderSide

from adapters.kis.config import Account, KisConfig, Secret
from adapters.kis.errors import RequestRefused
from adapters.kis.limits import Servers

_QUOTATIONS = "/uapi/domestic-stock/v1/quotations"
_TRADING = "/uapi/domestic-stock/v1/trading"


class Priority(IntEnum):
    """Who goes first when the budget is short."""

    CHANGE = 0
    ORDER = 1
    CREDENTIAL = 2
    ACCOUNT = 3
    QUERY = 4
    POLL = 5

    @property
    def is_urgent(self) -> bool:
        """Tell whether the whole budget is for it: cancels, amendments and orders."""
        return self <= Priority.ORDER


class Group(StrEnum):
    """Requests that share a limit besides the appkey's."""

    OAUTH = "oauth"
    ORDER = "order"
    ACCOUNT = "account"
    QUOTATION = "quotation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One REST service. ``changes`` marks what must never be sent twice blindly.

    ``mock_tr`` is empty where the mock servers do not offer the service.
    """

    name: str
    method: str
    path: str
    real_tr: str
    mock_tr: str
    group: Group
    priority: Priority
    changes: bool = False


def _quotation(name: str, service: str, tr_id: str, *, mock: bool, poll: bool = False) -> Endpoint:
    return Endpoint(
        name=name,
        method="GET",
        path=f"{_QUOTATIONS}/{service}",
        real_tr=tr_id,
        mock_tr=tr_id if mock else "",
        group=Group.QUOTATION,
        priority=Priority.POLL if poll else Priority.QUERY,
    )


def _account(name: str, service: str, real: str, mock: str) -> Endpoint:
    return Endpoint(
        name=name,
        method="GET",
        path=f"{_TRADING}/{service}",
        real_tr=real,
        mock_tr=mock,
        group=Group.ACCOUNT,
        priority=Priority.ACCOUNT,
    )


def _order(
    name: str, service: str, real: str, mock: str, priority: Priority = Priority.ORDER
) -> Endpoint:
    return Endpoint(
        name=name,
        method="POST",
        path=f"{_TRADING}/{service}",
        real_tr=real,
        mock_tr=mock,
        group=Group.ORDER,
        priority=priority,
        changes=True,
    )


def _oauth(name: str, path: str) -> Endpoint:
    return Endpoint(
        name=name,
        method="POST",
        path=path,
        real_tr="",
        mock_tr="",
        group=Group.OAUTH,
        priority=Priority.CREDENTIAL,
    )


TOKEN = _oauth("token", "/oauth2/tokenP")
APPROVAL = _oauth("approval", "/oauth2/Approval")
HASHKEY = _oauth("hashkey", "/uapi/hashkey")

PRICE = _quotation("price", "inquire-price", "FHKST01010100", mock=True)
PRICES = _quotation("prices", "intstock-multprice", "FHKST11300006", mock=True, poll=True)
BOOK = _quotation("book", "inquire-asking-price-exp-ccn", "FHKST01010200", mock=True)
TRADES_AT = _quotation("trades_at", "inquire-time-itemconclusion", "FHPST01060000", mock=True)
MINUTE_BARS = _quotation("minute_bars", "inquire-time-itemchartprice", "FHKST03010200", mock=True)
PAST_MINUTE_BARS = _quotation(
    "past_minute_bars", "inquire-time-dailychartprice", "FHKST03010230", mock=True
)
DAILY_BARS = _quotation("daily_bars", "inquire-daily-itemchartprice", "FHKST03010100", mock=True)
HOLIDAYS = _quotation("holidays", "chk-holiday", "CTCA0903R", mock=False)
STOCK_INFO = _quotation("stock_info", "search-stock-info", "CTPF1002R", mock=False)

BUY = _order("buy", "order-cash", "TTTC0012U", "VTTC0012U")
SELL = _order("sell", "order-cash", "TTTC0011U", "VTTC0011U")
CHANGE = _order("change", "order-rvsecncl", "TTTC0013U", "VTTC0013U", Priority.CHANGE)
OPEN_ORDERS = _account("open_orders", "inquire-psbl-rvsecncl", "TTTC0084R", "")
BUYING_POWER = _account("buying_power", "inquire-psbl-order", "TTTC8908R", "VTTC8908R")
ORDERS = _account("orders", "inquire-daily-ccld", "TTTC0081R", "VTTC0081R")
BALANCE = _account("balance", "inquire-balance", "TTTC8434R", "VTTC8434R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: query fields of a GET or body fields of a POST; no secrets."""

    endpoint: Endpoint
    fields: Mapping[str, str]
    continued: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """What a connection sends. ``headers`` and ``body`` hold secrets."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


def wire(
    request: Request, config: KisConfig, token: Secret | None = None, *, hashkey: str = ""
) -> Wire:
    """Return method, target, headers and body of a request.

    ``token`` goes with all but the OAuth services; ``hashkey`` is optional at KIS. Raises
    RequestRefused for a service that these servers do not offer.
    """
    endpoint = request.endpoint
    headers = {"content-type": "application/json; charset=utf-8"}
    fields = dict(request.fields)
    if endpoint.group is Group.OAUTH:
        _add_credentials(endpoint, fields, headers, config)
    else:
        headers |= _session_headers(request, config, token)
    if hashkey:
        headers["hashkey"] = hashkey
    if endpoint.method == "POST":
        body = orjson.dumps(fields)
        return Wire(method="POST", target=endpoint.path, headers=headers, body=body)
    return Wire(method="GET", target=f"{endpoint.path}?{urlencode(fields)}", headers=headers)


def tr_id(endpoint: Endpoint, servers: Servers) -> str:
    """Return the TR id of a service. Raises RequestRefused where it is not offered."""
    if servers is Servers.REAL:
        return endpoint.real_tr
    if not endpoint.mock_tr:
        raise RequestRefused(f"KIS's mock servers do not offer {endpoint.name}.")
    return endpoint.mock_tr


def _session_headers(request: Request, config: KisConfig, token: Secret | None) -> dict[str, str]:
    if token is None:
        raise RequestRefused(f"{request.endpoint.name} needs a token.")
    return {
        "authorization": f"Bearer {token.reveal()}",
        "appkey": config.app_key.reveal(),
        "appsecret": config.app_secret.reveal(),
        "tr_id": tr_id(request.endpoint, config.servers),
        "tr_cont": "N" if request.continued else "",
        "custtype": "P",
    }


def _add_credentials(
    endpoint: Endpoint, fields: dict[str, str], headers: dict[str, str], config: KisConfig
) -> None:
    """Put the keys where each OAuth service wants them: Approval calls the secret secretkey."""
    key, secret = config.app_key.reveal(), config.app_secret.reveal()
    if endpoint is HASHKEY:
        headers |= {"appkey": key, "appsecret": secret}
    elif endpoint is APPROVAL:
        fields |= {"appkey": key, "secretkey": secret}
    else:
        fields |= {"appkey": key, "appsecret": secret}


# --- OAuth -------------------------------------------------------------------------------------


def token() -> Request:
    """Ask for an access token."""
    return Request(endpoint=TOKEN, fields={"grant_type": "client_credentials"})


def approval_key() -> Request:
    """Ask for the WebSocket's approval key."""
    return Request(endpoint=APPROVAL, fields={"grant_type": "client_credentials"})


def hashkey(order: Request) -> Request:
    """Ask for the hash of an order's body; KIS takes orders without it."""
    return Request(endpoint=HASHKEY, fields=order.fields)


# --- quotations --------------------------------------------------------------------------------


def _symbol(code: str, market: str = "J") -> dict[str, str]:
    return {"FID_COND_MRKT_DIV_CODE": market, "FID_INPUT_ISCD": code}


def price(code: str) -> Request:
    """Ask for a symbol's price, limits of the day and flags."""
    return Request(endpoint=PRICE, fields=_symbol(code))


def prices(codes: Sequence[str], most: int = 30) -> Request:
    """Ask for the prices of up to ``most`` symbols; answers are matched by code, not by place."""
    if not 0 < len(codes) <= most:
        raise RequestRefused(f"{len(codes)} symbols in one price request: give 1 to {most}.")
    fields = {}
    for number, code in enumerate(codes, start=1):
        fields[f"FID_COND_MRKT_DIV_CODE_{number}"] = "J"
        fields[f"FID_INPUT_ISCD_{number}"] = code
    return Request(endpoint=PRICES, fields=fields)


def book(code: str) -> Request:
    """Ask for a symbol's ten levels and expected auction price."""
    return Request(endpoint=BOOK, fields=_symbol(code))


def trades_at(code: str, time: str) -> Request:
    """Ask for the trades at and before HHMMSS of today."""
    return Request(endpoint=TRADES_AT, fields=_symbol(code) | {"FID_INPUT_HOUR_1": time})


def minute_bars(code: str, time: str) -> Request:
    """Ask for today's one-minute bars up to HHMMSS, newest first, at most 30."""
    more = {
        "FID_INPUT_HOUR_1": time,
        "FID_PW_DATA_INCU_YN": "Y",
        "FID_ETC_CLS_CODE": "",
    }
    return Request(endpoint=MINUTE_BARS, fields=_symbol(code) | more)


def past_minute_bars(code: str, day: str, time: str) -> Request:
    """Ask for one-minute bars of YYYYMMDD up to HHMMSS, newest first, at most 120."""
    more = {
        "FID_INPUT_DATE_1": day,
        "FID_INPUT_HOUR_1": time,
        "FID_PW_DATA_INCU_YN": "Y",
        "FID_FAKE_TICK_INCU_YN": "",
    }
    return Request(endpoint=PAST_MINUTE_BARS, fields=_symbol(code) | more)


def daily_bars(code: str, first: str, last: str, *, adjusted: bool) -> Request:
    """Ask for daily bars from ``first`` to ``last`` (YYYYMMDD), newest first, at most 100."""
    more = {
        "FID_INPUT_DATE_1": first,
        "FID_INPUT_DATE_2": last,
        "FID_PERIOD_DIV_CODE": "D",
        "FID_ORG_ADJ_PRC": "0" if adjusted else "1",
    }
    return Request(endpoint=DAILY_BARS, fields=_symbol(code) | more)


def holidays(day: str) -> Request:
    """Ask which days from YYYYMMDD on the market opens; at most once a day."""
    return Request(endpoint=HOLIDAYS, fields={"BASS_DT": day, "CTX_AREA_NK": "", "CTX_AREA_FK": ""})


def stock_info(code: str) -> Request:
    """Ask for a share's standing facts, NXT membership among them."""
    return Request(endpoint=STOCK_INFO, fields={"PRDT_TYPE_CD": "300", "PDNO": code})


# --- orders and account ------------------------------------------------------------------------


def _owner(account: Account) -> dict[str, str]:
    return {"CANO": account.number, "ACNT_PRDT_CD": account.product}


def order(
    account: Account,
    side: OrderSide,
    code: str,
    order_type: str,
    quantity: int,
    price_krw: int = 0,
    *,
    trigger_krw: int = 0,
    exchange: str = "KRX",
) -> Request:
    """Build a cash order; ``order_type`` is ORD_DVSN, ``trigger_krw`` is for stop-limit only."""
    if quantity <= 0 or price_krw < 0 or trigger_krw < 0:
        raise RequestRefused(f"An order of {quantity} shares at {price_krw} won cannot be sent.")
    fields = _owner(account) | {
        "PDNO": code,
        "ORD_DVSN": order_type,
        "ORD_QTY": str(quantity),
        "ORD_UNPR": str(price_krw),
        "EXCG_ID_DVSN_CD": exchange,
        "SLL_TYPE": "01" if side is OrderSide.SELL else "",
        "CNDT_PRIC": str(trigger_krw) if trigger_krw else "",
    }
    return Request(endpoint=SELL if side is OrderSide.SELL else BUY, fields=fields)


def _change(
    account: Account, branch: str, number: str, order_type: str, kind: str, exchange: str
) -> dict[str, str]:
    return _owner(account) | {
        "KRX_FWDG_ORD_ORGNO": branch,
        "ORGN_ODNO": number,
        "ORD_DVSN": order_type,
        "RVSE_CNCL_DVSN_CD": kind,
        "EXCG_ID_DVSN_CD": exchange,
        "CNDT_PRIC": "",
    }


def amend(
    account: Account,
    branch: str,
    number: str,
    order_type: str,
    quantity: int,
    price_krw: int,
    *,
    exchange: str = "KRX",
) -> Request:
    """Build an amendment of the order with the latest ``number`` of its chain, by its branch."""
    fields = _change(account, branch, number, order_type, "01", exchange) | {
        "ORD_QTY": str(quantity),
        "ORD_UNPR": str(price_krw),
        "QTY_ALL_ORD_YN": "N" if quantity else "Y",
    }
    return Request(endpoint=CHANGE, fields=fields)


def cancel(
    account: Account, branch: str, number: str, order_type: str, *, exchange: str = "KRX"
) -> Request:
    """Build the cancel of all that remains of an order, by the latest number of its chain."""
    fields = _change(account, branch, number, order_type, "02", exchange) | {
        "ORD_QTY": "0",
        "ORD_UNPR": "0",
        "QTY_ALL_ORD_YN": "Y",
    }
    return Request(endpoint=CHANGE, fields=fields)


_FIRST_PAGE = {"CTX_AREA_FK100": "", "CTX_AREA_NK100": ""}


def orders(
    account: Account, first: str, last: str, *, only_open: bool = False, code: str = ""
) -> Request:
    """Ask for the order list of the days from ``first`` to ``last`` (YYYYMMDD, three months)."""
    fields = _owner(account) | {
        "INQR_STRT_DT": first,
        "INQR_END_DT": last,
        "SLL_BUY_DVSN_CD": "00",
        "PDNO": code,
        "ORD_GNO_BRNO": "",
        "ODNO": "",
        "CCLD_DVSN": "02" if only_open else "00",
        "INQR_DVSN": "01",
        "INQR_DVSN_1": "",
        "INQR_DVSN_3": "00",
        "EXCG_ID_DVSN_CD": "KRX",
    }
    return Request(endpoint=ORDERS, fields=fields | _FIRST_PAGE)


def open_orders(account: Account) -> Request:
    """Ask which orders can be amended or cancelled (real servers only)."""
    fields = _owner(account) | {"INQR_DVSN_1": "0", "INQR_DVSN_2": "0"}
    return Request(endpoint=OPEN_ORDERS, fields=fields | _FIRST_PAGE)


def buying_power(account: Account, code: str, price_krw: int, order_type: str = "01") -> Request:
    """Ask how much can be bought; order type 01 gives the quantity with the margin counted."""
    fields = _owner(account) | {
        "PDNO": code,
        "ORD_UNPR": str(price_krw),
        "ORD_DVSN": order_type,
        "CMA_EVLU_AMT_ICLD_YN": "N",
        "OVRS_ICLD_YN": "N",
    }
    return Request(endpoint=BUYING_POWER, fields=fields)


def balance(account: Account) -> Request:
    """Ask for holdings and cash. Only INQR_DVSN 01 is taken since 2026-02-10."""
    fields = _owner(account) | {
        "AFHR_FLPR_YN": "N",
        "OFL_YN": "",
        "INQR_DVSN": "01",
        "UNPR_DVSN": "01",
        "FUND_STTL_ICLD_YN": "N",
        "FNCG_AMT_AUTO_RDPT_YN": "N",
        "PRCS_DVSN": "00",
    }
    return Request(endpoint=BALANCE, fields=fields | _FIRST_PAGE)


def next_page(request: Request, context: Mapping[str, str]) -> Request:
    """Return the request for the page after an answer's, with the answer's context as it came."""
    return replace(request, fields={**request.fields, **context}, continued=True)


# --- WebSocket ---------------------------------------------------------------------------------


def registration(approval: Secret, tr: str, key: str, *, register: bool) -> str:
    """Return the message that registers (tr_type 1) or unregisters (2) one stream."""
    return orjson.dumps(
        {
            "header": {
                "approval_key": approval.reveal(),
                "custtype": "P",
                "tr_type": "1" if register else "2",
                "content-type": "utf-8",
            },
            "body": {"input": {"tr_id": tr, "tr_key": key}},
        }
    ).decode()
