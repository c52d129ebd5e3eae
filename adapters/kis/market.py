"""Records besides trades and books: index values, market status and VI, expected prices, fills.

Rule: one frozen value per record, fields found by name in ``fields``; an impossible value raises
BadRecord. What is empty or ``(null)`` on the wire is None or an empty text here.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from nautilus_trader.model import MarketStatusAction, OrderSide

from adapters.kis.errors import BadRecord
from adapters.kis.fields import Layout
from adapters.kis.frames import Frame, Record
from adapters.kis.ticks import PRICE_MOST, QUANTITY_MOST

NULL = "(null)"


class _Reader:
    """Reads the columns of one record by name."""

    def __init__(self, layout: Layout, record: Record) -> None:
        self._layout = layout
        self._record = record

    def has(self, name: str) -> bool:
        """Tell whether this layout knows the column; notices of before 2025-03-28 lack some."""
        return any(column.name == name for column in self._layout.columns)

    def text(self, name: str) -> str:
        """Return a text; empty for ``(null)`` and for columns this record is too narrow for."""
        position = self._layout.index(name)
        text = self._record[position].strip() if position < len(self._record) else ""
        return "" if text == NULL else text

    def _bad(self, name: str, text: str) -> BadRecord:
        """Say what cannot be; of a notice only its length: a field that moved can be the account's
        or the HTS id."""
        shown = f"{len(text)} characters long" if self._layout.encrypted else repr(text[:20])
        return BadRecord(f"A record of {self._layout.tr_id}: {name} is {shown}.")

    def order_number(self, name: str) -> str:
        """Return an order number as ten digits, empty where there is none."""
        text = self.text(name)
        try:
            return order_number(text)
        except BadRecord:
            raise self._bad(name, text) from None

    def count(self, name: str, most: int = QUANTITY_MOST) -> int:
        """Return an unsigned integer, 0 where the field is empty."""
        text = self.text(name)
        if not text:
            return 0
        if not (text.isascii() and text.isdigit()) or int(text) > most:
            raise self._bad(name, text)
        return int(text)

    def decimal(self, name: str) -> Decimal:
        """Return a signed decimal."""
        text = self.text(name)
        try:
            value = Decimal(text)
        except InvalidOperation:
            value = Decimal("NaN")
        if not (value.is_finite() and text.isascii() and len(text) < 24 and "_" not in text):
            raise self._bad(name, text)
        return value

    def one_of[T](self, name: str, choices: dict[str, T]) -> T:
        """Return what a code stands for."""
        text = self.text(name)
        if text not in choices:
            raise self._bad(name, text)
        return choices[text]

    def time(self, name: str) -> str:
        """Return HHMMSS."""
        text = self.text(name)
        if not (len(text) == 6 and text.isascii() and text.isdigit() and _is_time(text)):
            raise self._bad(name, text)
        return text

    def code(self, name: str) -> str:
        """Return a symbol or index code."""
        text = self.text(name)
        if not (text.isascii() and text.isalnum() and len(text) <= 9):
            raise self._bad(name, text)
        return text


def _is_time(text: str) -> bool:
    return int(text[:2]) < 24 and int(text[2:4]) < 60 and int(text[4:]) < 60


def _each[T](frame: Frame, read: Callable[[_Reader], T]) -> list[T]:
    return [read(_Reader(frame.layout, record)) for record in frame.records]


# --- index -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IndexValue:
    """One value of an index; volume in KIS's unit (thousands of shares on its REST pages)."""

    code: str
    time: str
    value: Decimal
    change_pct: Decimal
    volume: int
    rising: int
    falling: int


def index_values(frame: Frame) -> list[IndexValue]:
    """Return the values of an ``H0UPCNT0`` or ``H0UPANC0`` frame. Raises BadRecord."""
    return _each(
        frame,
        lambda one: IndexValue(
            code=one.code("bstp_cls_code"),
            time=one.time("bsop_hour"),
            value=one.decimal("prpr_nmix"),
            change_pct=one.decimal("prdy_ctrt"),
            volume=one.count("acml_vol", 10**15),
            rising=one.count("ascn_issu_cnt"),
            falling=one.count("down_issu_cnt"),
        ),
    )


# --- market status -----------------------------------------------------------------------------

OPERATIONS: dict[str, tuple[MarketStatusAction, str]] = {
    "110": (MarketStatusAction.PRE_OPEN, "opening auction"),
    "112": (MarketStatusAction.TRADING, "open"),
    "121": (MarketStatusAction.PRE_CLOSE, "closing auction"),
    "129": (MarketStatusAction.CLOSE, "close"),
    "130": (MarketStatusAction.POST_CLOSE, "closing-price session before the open"),
    "139": (MarketStatusAction.PRE_OPEN, "closing-price session before the open ended"),
    "140": (MarketStatusAction.POST_CLOSE, "closing-price session"),
    "146": (MarketStatusAction.POST_CLOSE, "closing-price session"),
    "149": (MarketStatusAction.CLOSE, "closing-price session ended"),
    "150": (MarketStatusAction.POST_CLOSE, "single-price session"),
    "156": (MarketStatusAction.POST_CLOSE, "single-price session"),
    "159": (MarketStatusAction.CLOSE, "single-price session ended"),
    "164": (MarketStatusAction.HALT, "temporary halt"),
    "174": (MarketStatusAction.HALT, "circuit breaker"),
    "175": (MarketStatusAction.TRADING, "circuit breaker ended"),
    "182": (MarketStatusAction.CLOSE, "circuit breaker closed the market"),
    "184": (MarketStatusAction.CROSS, "auction after a circuit breaker"),
    "185": (MarketStatusAction.CROSS, "auction after a circuit breaker"),
    "387": (MarketStatusAction.NONE, "sell sidecar"),
    "388": (MarketStatusAction.NONE, "sell sidecar ended"),
    "397": (MarketStatusAction.NONE, "buy sidecar"),
    "398": (MarketStatusAction.NONE, "buy sidecar ended"),
}
"""MKOP_CLS_CODE: the engine's action and plain words; F... and P... are countdowns. Source: KIS's
sample repository, market_status_krx, 2026-07-09."""


@dataclass(frozen=True, slots=True)
class MarketStatus:
    """A change of a symbol's status; ``operation`` is KIS's code, ``action`` the engine's."""

    code: str
    halted: bool
    reason: str
    operation: str
    action: MarketStatusAction
    words: str
    expected_operation: str
    standing: str
    in_vi: bool


def market_statuses(frame: Frame) -> list[MarketStatus]:
    """Return the changes of an ``H0STMKO0`` frame (or its kin). Raises BadRecord."""
    return _each(frame, _status)


def _status(one: _Reader) -> MarketStatus:
    operation = one.text("mkop_cls_code")
    action, words = OPERATIONS.get(operation, (MarketStatusAction.NONE, ""))
    halted = one.one_of("trht_yn", {"Y": True, "N": False, "": False})
    in_vi = one.one_of("vi_cls_code", {"Y": True, "N": False, "": False, "0": False})
    if halted:
        action, words = MarketStatusAction.HALT, words or "halted"
    elif in_vi:
        action, words = MarketStatusAction.PAUSE, words or "volatility interruption"
    return MarketStatus(
        code=one.code("mksc_shrn_iscd"),
        halted=halted,
        reason=one.text("tr_susp_reas_cntt")[:100],
        operation=operation,
        action=action,
        words=words,
        expected_operation=one.text("antc_mkop_cls_code"),
        standing=one.text("iscd_stat_cls_code"),
        in_vi=in_vi,
    )


# --- expected auction prices -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExpectedTrade:
    """What an auction would trade now: won and shares."""

    code: str
    time: str
    day: str
    price: int
    quantity: int
    phase: str


def expected_trades(frame: Frame) -> list[ExpectedTrade]:
    """Return the expected trades of an ``H0STANC0`` frame (or its kin). Raises BadRecord."""
    return _each(
        frame,
        lambda one: ExpectedTrade(
            code=one.code("mksc_shrn_iscd"),
            time=one.time("stck_cntg_hour"),
            day=one.text("bsop_date"),
            price=one.count("stck_prpr", PRICE_MOST),
            quantity=one.count("cntg_vol"),
            phase=one.text("hour_cls_code"),
        ),
    )


# --- execution notices -------------------------------------------------------------------------


class NoticeKind(StrEnum):
    """What a notice tells of."""

    RECEIPT = "receipt"
    FILL = "fill"


class Change(StrEnum):
    """What the order that a notice is about wants."""

    NEW = "new"
    AMEND = "amend"
    CANCEL = "cancel"


class Acceptance(StrEnum):
    """ACPT_YN; ``remainder`` is the rest of an IOC or FOK order being cancelled."""

    ACCEPTED = "accepted"
    CONFIRMED = "confirmed"
    REMAINDER = "remainder"
    NONE = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One execution notice.

    ``quantity`` and ``price`` are the fill's on a fill and the order's on a receipt;
    ``order_quantity`` is the order's total. KIS gives no fill id and no cumulative quantity.
    """

    kind: NoticeKind
    change: Change
    refused: bool
    acceptance: Acceptance
    account: str = field(repr=False)
    number: str
    original: str
    branch: str
    code: str
    side: OrderSide
    quantity: int
    price: int
    order_quantity: int
    time: str
    exchange: str


_SIDES = {"01": OrderSide.SELL, "02": OrderSide.BUY, "1": OrderSide.SELL, "2": OrderSide.BUY}
_KINDS = {"1": NoticeKind.RECEIPT, "2": NoticeKind.FILL}
_CHANGES = {"0": Change.NEW, "": Change.NEW, "1": Change.AMEND, "2": Change.CANCEL}
_REFUSED = {"0": False, "": False, "N": False, "1": True, "Y": True}
_ACCEPTANCES = {
    "1": Acceptance.ACCEPTED,
    "2": Acceptance.CONFIRMED,
    "3": Acceptance.REMAINDER,
    "": Acceptance.NONE,
}
NO_ORDER = "0000000000"


def notices(frame: Frame) -> list[Notice]:
    """Return the notices of an ``H0STCNI0`` or ``H0STCNI9`` frame. Raises BadRecord."""
    return _each(frame, _notice)


def _notice(one: _Reader) -> Notice:
    kind = one.one_of("cntg_yn", _KINDS)
    notice = Notice(
        kind=kind,
        change=one.one_of("rctf_cls", _CHANGES),
        refused=one.one_of("rfus_yn", _REFUSED),
        acceptance=one.one_of("acpt_yn", _ACCEPTANCES),
        account=one.text("acnt_no"),
        number=one.order_number("oder_no"),
        original=one.order_number("ooder_no"),
        branch=one.text("brnc_no"),
        code=one.code("stck_shrn_iscd"),
        side=one.one_of("seln_byov_cls", _SIDES),
        quantity=one.count("cntg_qty"),
        price=one.count("cntg_unpr", PRICE_MOST),
        order_quantity=one.count("oder_qty"),
        time=one.time("stck_cntg_hour"),
        exchange=one.text("ord_exg_gb") if one.has("ord_exg_gb") else "",
    )
    if not notice.number:
        raise BadRecord("An execution notice without an order number.")
    if kind is NoticeKind.FILL and not (notice.quantity and notice.price):
        raise BadRecord(f"A fill notice of order {notice.number} without quantity or price.")
    return notice


def order_number(text: str) -> str:
    """Return an order number as ten digits, empty where there is none. Raises BadRecord.

    KIS pads with zeros in some places and not in others.
    """
    text = text.strip()
    if not text:
        return ""
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise BadRecord(f"{text[:20]!r} is no order number.")
    padded = text.zfill(10)
    return "" if padded == NO_ORDER else padded
