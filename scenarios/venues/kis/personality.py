"""What differs between KIS's real and mock servers, and every number a client runs against.

Rule: a table with its date; the numbers can be set, the tables cannot. Sources: KIS's notices of
2026-04-20 (18 and 1 requests/s, 41 registrations), 2026-03-20 (new customers), its sample
repository of 2026-07 (TR ids, page sizes), frame widths measured in 2026-09.
"""

from dataclasses import dataclass
from enum import StrEnum


class Environment(StrEnum):
    """The two servers KIS runs."""

    REAL = "real"
    MOCK = "mock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Numbers of one environment; seconds are wall time.

    ``change_receipts``: an amendment or cancellation is told twice (accepted, confirmed), or once
    (confirmed): sources disagree. ``order_rows`` is how the order list shows them, which nothing
    documents: 1 an amended order's row has what was moved as neither open nor cancelled, 2 as
    cancelled, 3 as 2 and cancellations have no row of their own.
    """

    requests_per_s: int
    token_requests_per_s: int = 1
    token_spacing_s: int = 60
    token_life_s: int = 86_400
    token_same_s: int = 6 * 3_600
    ledger_requests_per_s: int = 120
    registrations: int = 41
    order_page: int
    balance_page: int
    cancellable_page: int = 50
    multi_price: int = 30
    trade_width: int = 47
    book_width: int = 63
    notice_width: int = 26
    status_width: int = 11
    change_receipts: int = 2
    order_rows: int = 1
    burst_records: int = 6
    ping_every_s: int = 15
    stale_hold_s: int = 10
    outbox_frames: int = 20_000


LIMITS = {
    Environment.REAL: Limits(requests_per_s=18, order_page=100, balance_page=50),
    Environment.MOCK: Limits(requests_per_s=1, order_page=15, balance_page=20),
}

OLD_WIDTHS = {"trade_width": 46, "book_width": 59, "notice_width": 23}
"""Frames as they were until 2026-09-14 (notices until 2025-03), for clients made for them."""

TRADE, BOOK, EXPECTED, STATUS = "H0STCNT0", "H0STASP0", "H0STANC0", "H0STMKO0"
INDEX, EXPECTED_INDEX = "H0UPCNT0", "H0UPANC0"
NOTICE = {Environment.REAL: "H0STCNI0", Environment.MOCK: "H0STCNI9"}
INDEX_CODES = ("0001", "1001", "2001")

SILENT = frozenset(
    {
        *("H0UNCNT0", "H0UNASP0", "H0UNANC0", "H0UNMKO0"),
        *("H0NXCNT0", "H0NXASP0", "H0NXANC0", "H0NXMKO0"),
        *("H0STPGM0", "H0STMBC0", "H0UPPGM0", "H0GSCNI0"),
    }
)
"""Registered with success and never heard of: NXT and unified channels stay silent for a stock
that trades on KRX only, and this server plays none of the others (nor overseas notices)."""

STREAMS = {
    Environment.REAL: frozenset(
        {TRADE, BOOK, EXPECTED, STATUS, INDEX, EXPECTED_INDEX, "H0STCNI0"} | SILENT
    ),
    Environment.MOCK: frozenset({TRADE, BOOK, "H0STCNI9"}),
}

_QUOTATIONS = "/uapi/domestic-stock/v1/quotations/"
_TRADING = "/uapi/domestic-stock/v1/trading/"
_RANKING = "/uapi/domestic-stock/v1/ranking/"


@dataclass(frozen=True, slots=True)
class Service:
    """One REST service: its TR ids per environment (none: not served there)."""

    name: str
    path: str
    method: str
    real: tuple[str, ...]
    mock: tuple[str, ...]
    is_account: bool = False

    def ids(self, environment: Environment) -> tuple[str, ...]:
        """Return the TR ids that are valid in an environment."""
        return self.real if environment is Environment.REAL else self.mock


def _quote(name: str, tr_id: str, *, mock: bool) -> Service:
    return Service(name, _QUOTATIONS + name, "GET", (tr_id,), (tr_id,) if mock else ())


def _account(name: str, method: str, *real: str, mock: bool = True) -> Service:
    paper = tuple(f"V{tr_id[1:]}" for tr_id in real) if mock else ()
    return Service(name, _TRADING + name, method, real, paper, is_account=True)


SERVICES = {
    service.path: service
    for service in (
        _quote("inquire-price", "FHKST01010100", mock=True),
        _quote("inquire-asking-price-exp-ccn", "FHKST01010200", mock=True),
        _quote("inquire-ccnl", "FHKST01010300", mock=True),
        _quote("inquire-time-itemconclusion", "FHPST01060000", mock=True),
        _quote("inquire-time-itemchartprice", "FHKST03010200", mock=True),
        _quote("inquire-time-dailychartprice", "FHKST03010230", mock=True),
        _quote("inquire-daily-itemchartprice", "FHKST03010100", mock=True),
        _quote("inquire-daily-price", "FHKST01010400", mock=True),
        _quote("intstock-multprice", "FHKST11300006", mock=True),
        _quote("volume-rank", "FHPST01710000", mock=False),
        _quote("inquire-index-price", "FHPUP02100000", mock=False),
        _quote("inquire-vi-status", "FHPST01390000", mock=False),
        _quote("chk-holiday", "CTCA0903R", mock=False),
        _quote("search-stock-info", "CTPF1002R", mock=False),
        _quote("search-info", "CTPF1604R", mock=False),
        Service("fluctuation", _RANKING + "fluctuation", "GET", ("FHPST01700000",), ()),
        _account("order-cash", "POST", "TTTC0012U", "TTTC0011U", "TTTC0802U", "TTTC0801U"),
        _account("order-rvsecncl", "POST", "TTTC0013U", "TTTC0803U"),
        _account("inquire-psbl-rvsecncl", "GET", "TTTC0084R", "TTTC8036R", mock=False),
        _account("inquire-psbl-order", "GET", "TTTC8908R"),
        _account("inquire-psbl-sell", "GET", "TTTC8408R", mock=False),
        _account("inquire-daily-ccld", "GET", "TTTC0081R", "CTSC9215R", "TTTC8001R", "CTSC9115R"),
        _account("inquire-balance", "GET", "TTTC8434R"),
    )
}
"""Whether multi-price is served in mock is reported only (2026-08), so a client must probe it."""

SELL_TR_IDS = frozenset({"TTTC0011U", "TTTC0801U", "VTTC0011U", "VTTC0801U"})
