"""The rows of REST answers as values: orders, holdings, prices, bars, days.

Rule: one function per service, from ``parse.Answer`` to a frozen value; won and shares are
integers, averages are Decimal; what cannot be read raises MalformedAnswer.
"""

from dataclasses import dataclass
from decimal import Decimal

from nautilus_trader.model import OrderSide

from adapters.kis.errors import MalformedAnswer, OutcomeUnknown
from adapters.kis.parse import Answer, Columns

# --- orders and account ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placed:
    """KIS took an order or a change: sent on to the exchange, not yet accepted by it."""

    branch: str
    number: str
    time: str


def placed(answer: Answer) -> Placed:
    """Return the number an order got. Raises OutcomeUnknown where the answer names none."""
    rows = answer.rows()
    try:
        number = rows[0].order_number("odno") if rows else ""
    except MalformedAnswer:
        number = ""
    if not number:
        raise OutcomeUnknown("KIS took an order and named no number: its fate is asked.")
    row = rows[0]
    return Placed(row.text("krx_fwdg_ord_orgno"), number, row.text("ord_tmd"))


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRow:
    """One row of the order list; an amendment or cancel is a row with ``original`` set.

    ``filled`` is cumulative; ``amount`` is the won of all its fills.
    """

    day: str
    branch: str
    number: str
    original: str
    side: OrderSide
    code: str
    order_type: str
    quantity: int
    price: int
    time: str
    filled: int
    amount: int
    average: Decimal
    canceled: bool
    canceled_quantity: int
    remaining: int
    refused_quantity: int
    type_words: str


def order_rows(answer: Answer) -> list[OrderRow]:
    """Return one page of the day's order list."""
    return [_order_row(row) for row in answer.rows("output1")]


def _order_row(row: Columns) -> OrderRow:
    return OrderRow(
        day=row.day("ord_dt"),
        branch=row.text("ord_gno_brno"),
        number=row.order_number("odno"),
        original=row.order_number("orgn_odno"),
        side=row.side("sll_buy_dvsn_cd"),
        code=row.code("pdno"),
        order_type=row.text("ord_dvsn_cd"),
        quantity=row.number("ord_qty"),
        price=row.number("ord_unpr"),
        time=row.time("ord_tmd"),
        filled=row.number("tot_ccld_qty"),
        amount=row.number("tot_ccld_amt"),
        average=row.decimal("avg_prvs"),
        canceled=row.flag("cncl_yn"),
        canceled_quantity=row.number("cncl_cfrm_qty", "cnc_cfrm_qty"),
        remaining=row.number("rmn_qty"),
        refused_quantity=row.number("rjct_qty"),
        type_words=f"{row.text('ord_dvsn_name')} {row.text('sll_buy_dvsn_cd_name')}",
    )


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that can be amended or cancelled; ``remaining`` shares of it rest."""

    branch: str
    number: str
    original: str
    side: OrderSide
    code: str
    quantity: int
    price: int
    filled: int
    remaining: int


def open_orders(answer: Answer) -> list[OpenOrder]:
    """Return one page of what can be amended or cancelled."""
    return [
        OpenOrder(
            branch=row.text("ord_gno_brno"),
            number=row.order_number("odno"),
            original=row.order_number("orgn_odno"),
            side=row.side("sll_buy_dvsn_cd"),
            code=row.code("pdno"),
            quantity=row.number("ord_qty"),
            price=row.number("ord_unpr"),
            filled=row.number("tot_ccld_qty"),
            remaining=row.number("psbl_qty"),
        )
        for row in answer.rows()
    ]


@dataclass(frozen=True, slots=True)
class BuyingPower:
    """What can be bought without receivables, at the price the venue reckoned with."""

    cash_krw: int
    quantity: int
    amount_krw: int
    price_krw: int


def buying_power(answer: Answer) -> BuyingPower:
    """Return what can be bought."""
    row = answer.one()
    return BuyingPower(
        row.number("ord_psbl_cash"),
        row.number("nrcvb_buy_qty"),
        row.number("nrcvb_buy_amt"),
        row.number("psbl_qty_calc_unpr"),
    )


@dataclass(frozen=True, slots=True)
class Holding:
    """A position; a share sold out stays with quantity 0 until it settles."""

    code: str
    name: str
    quantity: int
    sellable: int
    average: Decimal
    price: int


@dataclass(frozen=True, slots=True)
class Cash:
    """Won: deposit today, after one day, and after two days (cash once all trades settled)."""

    today: int
    next_day: int
    settled: int
    costs_today: int
    total_value: int


def holdings(answer: Answer) -> list[Holding]:
    """Return one page of positions; a symbol can stand twice (cash and credit)."""
    return [
        Holding(
            code=row.code("pdno"),
            name=row.text("prdt_name"),
            quantity=row.number("hldg_qty"),
            sellable=row.number("ord_psbl_qty"),
            average=row.decimal("pchs_avg_pric"),
            price=row.number("prpr"),
        )
        for row in answer.rows("output1")
    ]


def cash(answer: Answer) -> Cash:
    """Return the account's cash."""
    row = answer.one("output2")
    return Cash(
        today=row.number("dnca_tot_amt"),
        next_day=row.number("nxdy_excc_amt"),
        settled=row.number("prvs_rcdl_excc_amt"),
        costs_today=row.number("thdt_tlex_amt"),
        total_value=row.number("tot_evlu_amt"),
    )


# --- prices ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceFacts:
    """A symbol's price, its limits of the day and its flags.

    ``standing`` is KIS's iscd_stat_cls_code, ``warning`` its mrkt_warn_cls_code (00 none, 01
    caution, 02 warning, 03 risk); ``tick`` holds at the present price only.
    """

    price: int
    base: int
    upper: int
    lower: int
    tick: int
    lot: int
    volume: int
    sector: str
    market: str
    standing: str
    warning: str
    halted: bool
    liquidation: bool
    overheated: bool
    administrative: bool
    in_vi: bool
    listed_shares: int


def price_facts(answer: Answer) -> PriceFacts:
    """Return the facts of one price answer."""
    row = answer.one()
    facts = PriceFacts(
        price=row.number("stck_prpr"),
        base=row.number("stck_sdpr"),
        upper=row.number("stck_mxpr"),
        lower=row.number("stck_llam"),
        tick=row.number("aspr_unit"),
        lot=row.number("hts_deal_qty_unit_val") or 1,
        volume=row.number("acml_vol"),
        sector=row.text("bstp_kor_isnm"),
        market=row.text("rprs_mrkt_kor_name"),
        standing=row.text("iscd_stat_cls_code"),
        warning=row.text("mrkt_warn_cls_code"),
        halted=row.flag("temp_stop_yn") or row.text("iscd_stat_cls_code") == "58",
        liquidation=row.flag("sltr_yn"),
        overheated=row.flag("short_over_yn"),
        administrative=row.flag("mang_issu_cls_code"),
        in_vi=row.flag("vi_cls_code"),
        listed_shares=row.number("lstn_stcn"),
    )
    if facts.price < 0 or not 0 <= facts.lower <= facts.upper:
        raise MalformedAnswer("KIS's answer to price holds impossible limits of the day.")
    return facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One symbol of a price poll: won and shares, best bid and ask only; 0 is "none"."""

    code: str
    price: int
    bid: int
    ask: int
    bid_quantity: int
    ask_quantity: int
    volume: int
    turnover: int
    base: int
    upper: int
    lower: int
    open: int
    high: int
    low: int
    phase: str
    expected_volume: int


def snapshots(answer: Answer) -> dict[str, Snapshot]:
    """Return a price poll by code; rows without a code (unknown symbols) are left out."""
    rows = (row for row in answer.rows() if row.text("inter_shrn_iscd"))
    return {one.code: one for one in map(_snapshot, rows)}


def _snapshot(row: Columns) -> Snapshot:
    return Snapshot(
        code=row.code("inter_shrn_iscd"),
        price=row.number("inter2_prpr"),
        bid=row.number("inter2_bidp"),
        ask=row.number("inter2_askp"),
        bid_quantity=row.number("shnu_rsqn"),
        ask_quantity=row.number("seln_rsqn"),
        volume=row.number("acml_vol"),
        turnover=row.number("acml_tr_pbmn"),
        base=row.number("inter2_sdpr"),
        upper=row.number("inter2_mxpr"),
        lower=row.number("inter2_llam"),
        open=row.number("inter2_oprc"),
        high=row.number("inter2_hgpr"),
        low=row.number("inter2_lwpr"),
        phase=row.text("hour_cls_code"),
        expected_volume=row.number("intr_antc_vol"),
    )


@dataclass(frozen=True, slots=True)
class BookLevels:
    """A symbol's book by query: (won, shares), the best first; levels without orders left out."""

    time: str
    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


def book_levels(answer: Answer) -> BookLevels:
    """Return the ten levels of one book answer."""
    row = answer.one("output1")

    def side(name: str) -> tuple[tuple[int, int], ...]:
        levels = (
            (row.number(f"{name}p{level}"), row.number(f"{name}p_rsqn{level}"))
            for level in range(1, 11)
        )
        return tuple((price, shares) for price, shares in levels if price > 0 and shares > 0)

    return BookLevels(row.time("aspr_acpt_hour"), side("bid"), side("ask"))


@dataclass(frozen=True, slots=True)
class PastTrade:
    """A trade of today by query; the day's volume after it identifies it."""

    time: str
    price: int
    quantity: int
    day_volume: int


def past_trades(answer: Answer) -> list[PastTrade]:
    """Return the trades at and before the time that was asked, oldest first."""
    name = "output2" if answer.rows("output2") else "output"
    trades = [
        PastTrade(
            time=row.time("stck_cntg_hour"),
            price=row.number("stck_prpr", "stck_pbpr"),
            quantity=row.number("cnqn", "cntg_vol"),
            day_volume=row.number("acml_vol"),
        )
        for row in answer.rows(name)
    ]
    return sorted(trades, key=lambda trade: (trade.time, trade.day_volume))


# --- bars and days -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PastBar:
    """One bar; ``time`` is KIS's HHMMSS stamp of a minute bar, empty for a day."""

    day: str
    time: str
    open: int
    high: int
    low: int
    close: int
    volume: int


def minute_bars(answer: Answer) -> list[PastBar]:
    """Return one-minute bars, oldest first.

    The newest bar repeats the volume of the one before it until its first trade, and a time in
    the future is answered with the present price: leave the bar of the running minute out.
    """
    bars = [
        _bar(row, row.time("stck_cntg_hour"), "stck_prpr", "cntg_vol")
        for row in answer.rows("output2")
        if _has_traded(row)
    ]
    return sorted(bars, key=lambda bar: (bar.day, bar.time))


def daily_bars(answer: Answer) -> list[PastBar]:
    """Return daily bars, oldest first; days without a trade (halts) have no bar."""
    bars = [
        _bar(row, "", "stck_clpr", "acml_vol") for row in answer.rows("output2") if _has_traded(row)
    ]
    return sorted(bars, key=lambda bar: bar.day)


def _has_traded(row: Columns) -> bool:
    """Tell a bar from the row of a halted day: a close with neither open, high nor low."""
    return any(row.number(name) for name in ("stck_oprc", "stck_hgpr", "stck_lwpr"))


def _bar(row: Columns, time: str, close: str, volume: str) -> PastBar:
    bar = PastBar(
        day=row.day("stck_bsop_date"),
        time=time,
        open=row.number("stck_oprc"),
        high=row.number("stck_hgpr"),
        low=row.number("stck_lwpr"),
        close=row.number(close),
        volume=row.number(volume),
    )
    if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        raise MalformedAnswer(
            f"KIS's answer to {row.service}: the bar of {bar.day} {bar.time} is impossible."
        )
    return bar


@dataclass(frozen=True, slots=True)
class MarketDay:
    """A calendar day; ``open`` says that orders are possible. KIS gives no hours."""

    day: str
    open: bool
    settles: bool


def market_days(answer: Answer) -> list[MarketDay]:
    """Return one page of days."""
    return [
        MarketDay(row.day("bass_dt"), row.flag("opnd_yn"), row.flag("sttl_day_yn"))
        for row in answer.rows()
    ]


def is_on_nxt(answer: Answer) -> bool:
    """Return whether NXT trades a share now, from its standing facts."""
    row = answer.one()
    return row.flag("cptt_trad_tr_psbl_yn") and not row.flag("nxt_tr_stop_yn")
