"""Answers of the account services: orders in, order lists, balances and buying power out.

Rule: rows come from the books alone, paged as KIS pages them. How a cancelled or amended order
shows in the list is an assumption, so there are several (``Limits.order_rows``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from scenarios.venues.kis.answers import (
    InputError,
    Page,
    Reply,
    Row,
    failed,
    good,
    needed,
    page_of,
    whole,
)
from scenarios.venues.kis.books import Account, Position
from scenarios.venues.kis.exchange import Exchange
from scenarios.venues.kis.matching import Side
from scenarios.venues.kis.order_desk import BRANCH, Change, Refused, Ticket
from scenarios.venues.kis.orders import NO_PRICE, ORDER_TYPES, Order
from scenarios.venues.kis.personality import SELL_TR_IDS, Limits
from scenarios.venues.kis.records import ratio

type Given = Mapping[str, str]

SENT = ("APBK0013", "주문 전송 완료 되었습니다.")
DONE = ("KIOK0510", "조회가 완료되었습니다")
LAST = ("KIOK0460", "조회 되었습니다. (마지막 자료)")
EMPTY = ("KIOK0560", "조회할 내용이 없습니다")


@dataclass(frozen=True, slots=True)
class AccountCall:
    """One call of an account service, with the account it may use."""

    exchange: Exchange
    account: Account
    given: Given
    tr_id: str
    tr_cont: str
    limits: Limits
    is_mock: bool
    reject: bool = False


type AccountService = Callable[[AccountCall], Reply]


def order_cash(call: AccountCall) -> Reply:
    """Take an order."""
    given = call.given
    _check_exchange(call)
    side = Side.SELL if call.tr_id in SELL_TR_IDS else Side.BUY
    ticket = Ticket(
        call.account.number,
        needed(given, "PDNO"),
        side,
        needed(given, "ORD_DVSN"),
        whole(given, "ORD_QTY"),
        whole(given, "ORD_UNPR", "0"),
        whole(given, "CNDT_PRIC", "0"),
    )
    return _sent(call.exchange.submit(ticket, reject=call.reject))


def order_change(call: AccountCall) -> Reply:
    """Amend or cancel an order."""
    given = call.given
    _check_exchange(call)
    kind = needed(given, "RVSE_CNCL_DVSN_CD")
    if kind not in {"01", "02"}:
        raise InputError("RVSE_CNCL_DVSN_CD")
    takes_all = given.get("QTY_ALL_ORD_YN", "N") == "Y"
    change = Change(
        call.account.number,
        needed(given, "ORGN_ODNO").zfill(10),
        given.get("KRX_FWDG_ORD_ORGNO", ""),
        kind == "02",
        None if takes_all else whole(given, "ORD_QTY"),
        given.get("ORD_DVSN", "00"),
        whole(given, "ORD_UNPR", "0"),
    )
    return _sent(call.exchange.change(change))


def _check_exchange(call: AccountCall) -> None:
    if call.given.get("EXCG_ID_DVSN_CD", "") not in {
        "",
        "KRX",
        *(() if call.is_mock else ("SOR",)),
    }:
        raise InputError("EXCG_ID_DVSN_CD")


def _sent(result: Order | Refused) -> Reply:
    if isinstance(result, Refused):
        rt_cd = "2" if result.code.startswith("OPSQ") else "7" if result.code == "APBK0952" else "1"
        return failed(result.code, result.text, rt_cd)
    number = {"KRX_FWDG_ORD_ORGNO": BRANCH, "ODNO": result.number, "ORD_TMD": result.time}
    return good(*SENT, {"output": number})


def order_list(call: AccountCall) -> Reply:
    """Answer inquire-daily-ccld."""
    given = call.given
    first, last = needed(given, "INQR_STRT_DT"), needed(given, "INQR_END_DT")
    is_here = given.get("EXCG_ID_DVSN_CD", "") != "NXT"  # nothing of NXT is played
    orders = call.account.orders if is_here else ()
    in_range = [order for order in orders if first <= order.day <= last]
    chosen = [order for order in in_range if _is_asked(order, given)]
    if given.get("INQR_DVSN", "00") == "00":
        chosen.reverse()
    if call.limits.order_rows >= 3:
        chosen = [order for order in chosen if not order.is_cancel]
    rows = [_order_row(order, call) for order in chosen]
    page = page_of(rows, call.limits.order_page, call.tr_cont, given.get("CTX_AREA_NK100", ""))
    totals = {
        "tot_ord_qty": str(sum(order.quantity for order in in_range)),
        "tot_ccld_qty": str(sum(order.filled for order in in_range)),
        "tot_ccld_amt": str(sum(order.filled_won for order in in_range)),
        "prsm_tlex_smtl": str(call.account.cost_today_won),
        "pchs_avg_pric": "0",
    }
    return _paged(call, page, {"output1": page.rows, "output2": totals})


def _is_asked(order: Order, given: Given) -> bool:
    """Say whether an order passes the filters, empty ones let all pass."""
    side = given.get("SLL_BUY_DVSN_CD", "00")
    state = given.get("CCLD_DVSN", "00")
    number = given.get("ODNO", "").strip()
    return (
        side in {"", "00", order.side.value}
        and given.get("PDNO", "").strip() in {"", order.code}
        and (not number or number.zfill(10) in {order.number, order.original})
        and (state != "01" or order.filled > 0)
        and (state != "02" or order.open_quantity > 0)
    )


def _order_row(order: Order, call: AccountCall) -> Row:
    average = ratio(order.filled_won, order.filled) if order.filled else "0"
    kind = "취소" if order.is_cancel else "정정" if order.original else ""
    side = "매도" if order.side is Side.SELL else "매수"
    cancelled = order.quantity if order.is_cancel else order.cancelled
    cancelled += order.moved if call.limits.order_rows >= 2 else 0
    return {
        "ord_dt": order.day,
        "ord_gno_brno": BRANCH,
        "odno": order.number,
        "orgn_odno": order.original,
        "ord_dvsn_name": order.type.name,
        "sll_buy_dvsn_cd": order.side.value,
        "sll_buy_dvsn_cd_name": f"현금{side}{kind}",
        "pdno": order.code,
        "prdt_name": call.exchange.symbols[order.code].name,
        "ord_qty": str(order.quantity),
        "ord_unpr": str(order.price),
        "ord_tmd": order.time,
        "tot_ccld_qty": str(order.filled),
        "avg_prvs": average,
        "cncl_yn": "Y" if cancelled else "N",
        "tot_ccld_amt": str(order.filled_won),
        "loan_dt": "",
        "ord_dvsn_cd": order.type.code,
        "cncl_cfrm_qty": str(cancelled),
        "rmn_qty": str(order.open_quantity),
        "rjct_qty": str(order.rejected),
        "ccld_cndt_name": {"0": "없음", "1": "IOC", "2": "FOK"}[order.type.lifetime.value],
        "rjct_rson_name": "",
        "infm_tmd": order.last_fill_time,
        "excg_dvsn_cd": "02",
        "ord_orgno": BRANCH,
        "excg_id_dvsn_cd": "KRX",
    }


def changeable(call: AccountCall) -> Reply:
    """Answer inquire-psbl-rvsecncl."""
    side = call.given.get("INQR_DVSN_2", "0")
    wanted = {"0": set(Side), "1": {Side.SELL}, "2": {Side.BUY}}.get(side, set(Side))
    today = call.exchange.desk.day
    rows = [
        _order_row(order, call)
        | {
            "psbl_qty": str(order.open_quantity),
            "rvse_cncl_dvsn_name": "정정" if order.original else "",
        }
        for order in call.account.orders
        if order.day == today and order.open_quantity and order.side in wanted
    ]
    context = call.given.get("CTX_AREA_NK100", "")
    page = page_of(rows, call.limits.cancellable_page, call.tr_cont, context)
    return _paged(call, page, {"output": page.rows})


def balance(call: AccountCall) -> Reply:
    """Answer inquire-balance."""
    if call.given.get("INQR_DVSN", "") != "01":
        raise InputError("INQR_DVSN")
    account, exchange = call.account, call.exchange
    without_before = call.given.get("PRCS_DVSN", "") == "01"
    rows = [
        _position_row(account, code, position, exchange)
        for code, position in sorted(account.positions.items())
        if position.quantity or position.sold_today or not without_before
    ]
    context = call.given.get("CTX_AREA_NK100", "")
    page = page_of(rows, call.limits.balance_page, call.tr_cont, context)
    return _paged(call, page, {"output1": page.rows, "output2": [_totals(account, exchange)]})


def _position_row(account: Account, code: str, held: Position, exchange: Exchange) -> Row:
    price = exchange.symbols[code].price
    value = price * held.quantity
    gain = value - held.paid_won
    return {
        "pdno": code,
        "prdt_name": exchange.symbols[code].name,
        "trad_dvsn_name": "현금",
        "bfdy_buy_qty": str(held.bought_before),
        "bfdy_sll_qty": str(held.sold_before),
        "thdt_buyqty": str(held.bought_today),
        "thdt_sll_qty": str(held.sold_today),
        "hldg_qty": str(held.quantity),
        "ord_psbl_qty": str(account.sellable(code)),
        "pchs_avg_pric": ratio(held.paid_won, held.quantity) + "00",
        "pchs_amt": str(held.paid_won),
        "prpr": str(price),
        "evlu_amt": str(value),
        "evlu_pfls_amt": str(gain),
        "evlu_pfls_rt": ratio(gain, held.paid_won, 100),
        "evlu_erng_rt": ratio(gain, held.paid_won, 100),
        "loan_dt": "",
    }


def _totals(account: Account, exchange: Exchange) -> Row:
    paid = sum(held.paid_won for held in account.positions.values())
    value = sum(
        exchange.symbols[code].price * held.quantity for code, held in account.positions.items()
    )
    return {
        "dnca_tot_amt": str(account.deposit_won),
        "nxdy_excc_amt": str(account.next_day_won),
        "prvs_rcdl_excc_amt": str(account.cash_won),
        "cma_evlu_amt": "0",
        "thdt_buy_amt": str(account.bought_today_won),
        "thdt_sll_amt": str(account.sold_today_won),
        "thdt_tlex_amt": str(account.cost_today_won),
        "scts_evlu_amt": str(value),
        "tot_evlu_amt": str(account.cash_won + value),
        "nass_amt": str(account.cash_won + value),
        "pchs_amt_smtl_amt": str(paid),
        "evlu_amt_smtl_amt": str(value),
        "evlu_pfls_smtl_amt": str(value - paid),
    }


def buying_power(call: AccountCall) -> Reply:
    """Answer inquire-psbl-order; without a price it is counted at the upper limit."""
    given, account = call.given, call.account
    symbol = call.exchange.symbols.get(needed(given, "PDNO"))
    if symbol is None:
        raise InputError("PDNO")
    kind = ORDER_TYPES.get(needed(given, "ORD_DVSN"))
    if kind is None:
        raise InputError("ORD_DVSN")
    price = 0 if kind.pricing in NO_PRICE else whole(given, "ORD_UNPR", "0")
    price = price or symbol.limits[1]
    quantity = call.exchange.books.affordable(account, price)
    cash = str(account.orderable_won)
    output = {
        "ord_psbl_cash": cash,
        "ord_psbl_sbst": "0",
        "ruse_psbl_amt": "0",
        "ord_psbl_frcr_amt_wcrc": "0",
        "psbl_qty_calc_unpr": str(price),
        "nrcvb_buy_amt": cash,
        "nrcvb_buy_qty": str(quantity),
        "max_buy_amt": cash,
        "max_buy_qty": str(quantity),
    }
    return good(*DONE, {"output": output})


def selling_power(call: AccountCall) -> Reply:
    """Answer inquire-psbl-sell."""
    code = needed(call.given, "PDNO")
    symbol = call.exchange.symbols.get(code)
    if symbol is None:
        raise InputError("PDNO")
    held = call.account.positions.get(code, Position())
    output = {
        "pdno": code,
        "prdt_name": symbol.name,
        "buy_qty": str(held.bought_today),
        "sll_qty": str(held.sold_today),
        "cblc_qty": str(held.quantity),
        "ord_psbl_qty": str(call.account.sellable(code)),
        "pchs_avg_pric": ratio(held.paid_won, held.quantity) + "00",
        "now_pric": str(symbol.price),
    }
    return good(*DONE, {"output": output})


def _paged(call: AccountCall, page: Page, outputs: Mapping[str, object]) -> Reply:
    has_more = page.continues in {"F", "M"}
    said = DONE if has_more else LAST if page.rows else EMPTY
    filters = "^".join((call.account.number, call.given.get("INQR_DVSN", "")))
    context = {"ctx_area_fk100": filters.ljust(100), "ctx_area_nk100": page.context}
    return good(*said, context | dict(outputs), page.continues)


SERVICES: dict[str, AccountService] = {
    "order-cash": order_cash,
    "order-rvsecncl": order_change,
    "inquire-psbl-rvsecncl": changeable,
    "inquire-daily-ccld": order_list,
    "inquire-balance": balance,
    "inquire-psbl-order": buying_power,
    "inquire-psbl-sell": selling_power,
}
