"""Every number of KIS's protocol, with unit, source, date and how sure it is.

Rule: a number of the protocol stands here and nowhere else, and each can be set from a scenario.
All of them are wall time: a server whose market time runs faster keeps its windows.

Sources: [N] notices of KIS Developers, [X] portal workbook of 2026-09-11, [R] KIS's sample
repository at 2026-07-09, [P] the python-kis client at 2025-09-05, [U] measured or reported by
users, [S] our own choice where nothing is published. A notice of 2026-09-16 on API flow limits is
not public; any rate here may have been changed by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from enum import StrEnum

from strategies.errors import BadInput


class Servers(StrEnum):
    """Which of KIS's servers the keys are for: its real ones, or those of its mock investment."""

    REAL = "real"
    MOCK = "mock"


class Confidence(StrEnum):
    """How far a number can be trusted."""

    OFFICIAL = "official"
    MEASURED = "measured"
    REPORTED = "reported"
    ASSUMED = "assumed"


@dataclass(frozen=True, slots=True)
class Limit:
    """One number for real and mock servers; ``most`` is the highest value a setting may give."""

    real: int
    mock: int
    source: str
    date: str
    confidence: Confidence
    most: int = 1 << 62
    least: int = 1


_O, _M = Confidence.OFFICIAL, Confidence.MEASURED
_R, _A = Confidence.REPORTED, Confidence.ASSUMED
_MS, _S = 1_000_000, 1_000_000_000


def _same(value: int, source: str, date: str, confidence: Confidence, least: int = 1) -> Limit:
    return Limit(value, value, source, date, confidence, least=least)


TABLE: dict[str, Limit] = {
    # WebSocket session
    "registrations": _same(41, "[N] sum over all products and TRs; [U] measured", "2026-04-20", _O),
    "sessions": _same(1, "[N] sessions per appkey", "2026-04-20", _O),
    "register_spacing_ns": Limit(
        100 * _MS, 500 * _MS, "[R] smart_sleep; [U] 50 to 150 ms", "2026-07-09", _R, least=0
    ),
    "churn_changes": _same(82, "[S] one whole rotation of 41 a window", "2026-11-20", _A),
    "churn_window_ns": _same(60 * _S, "[S] misuse notice names no number", "2026-02-24", _A),
    "ack_timeout_ns": _same(5 * _S, "[S]", "2026-11-20", _A),
    "ack_attempts": _same(3, "[S]", "2026-11-20", _A),
    "silence_in_session_ns": _same(60 * _S, "[U] PINGPONG every 10 to 30 s", "2026-09-30", _R),
    "silence_off_session_ns": _same(180 * _S, "[U]", "2026-09-30", _R),
    "frame_bytes": _same(512 * 1024, "[U] frames above 8 KB seen", "2026-09-30", _R),
    "backoff_first_ns": _same(1 * _S, "[N] loops are blocked; no number", "2026-02-24", _A),
    "backoff_cap_ns": _same(60 * _S, "[S]", "2026-02-24", _A),
    "link_wait_ns": _same(30 * _S, "[S] a node that hears nothing by then stops", "2026-11-20", _A),
    "stable_after_ns": _same(60 * _S, "[S] back-off starts anew after this", "2026-11-20", _A),
    "in_use_wait_ns": _same(5 * _S, "[U] stale sessions live seconds to minutes", "2026-09-30", _R),
    "connects": _same(10, "[S] most connections a window", "2026-02-24", _A),
    "connects_window_ns": _same(300 * _S, "[S]", "2026-02-24", _A),
    # REST
    "requests": Limit(18, 1, "[N] per appkey; was 20 and 2", "2026-04-20", _O),
    "requests_new_customer": Limit(3, 1, "[N] first 3 days", "2026-03-20", _O),
    "requests_window_ns": _same(1 * _S, "[S] sliding: the stricter reading", "2026-11-20", _A),
    "requests_margin_ns": _same(
        50 * _MS, "[S] arrival jitter added to the window", "2026-11-20", _A, least=0
    ),
    "requests_delay_ns": _same(1 * _S, "[S] no request is on its way for longer", "2026-11-20", _A),
    "requests_spacing_ns": Limit(
        55 * _MS, 1 * _S, "[N] suggests 100 to 150 ms", "2026-04-20", _R, least=0
    ),
    "polling_requests": Limit(15, 1, "[U] 15 to 18 a second still see 3 % refused", "2026-09", _M),
    "account_spacing_ns": _same(1 * _S, "[U] account TRs about 1 a second", "2026-08", _R, 0),
    "account_patience_ns": _same(3 * _S, "[S] then they go before orders", "2026-11-20", _A),
    "rate_wait_ns": _same(100 * _MS, "[N] retry at once, spaced 100 ms", "2026-04-20", _O),
    "ledger_wait_ns": _same(1 * _S, "[X] EGW00215", "2026-09-11", _R),
    "request_timeout_ns": _same(5 * _S, "[S]", "2026-11-20", _A),
    "retries": _same(3, "[S] of what changes nothing", "2026-11-20", _A, least=0),
    "queue_length": _same(2_000, "[S] requests waiting at most", "2026-11-20", _A),
    "breaker_failures": _same(5, "[S] in a row, per endpoint", "2026-11-20", _A),
    "breaker_open_ns": _same(10 * _S, "[S]", "2026-11-20", _A),
    # credentials
    "token_spacing_ns": _same(60 * _S, "[N] one issue a minute; EGW00133", "2026-04-20", _O),
    "oauth_spacing_ns": _same(1 * _S, "[N] tokenP and Approval 1 a second", "2026-04-20", _O),
    "token_lifetime_ns": _same(86_400 * _S, "[R]", "2026-07-09", _O),
    "token_refresh_ns": _same(1_800 * _S, "[S] asked anew this long before", "2026-11-20", _A),
    "approval_lifetime_ns": _same(86_400 * _S, "[R]", "2026-07-09", _O),
    "app_key_chars": _same(36, "[P]", "2025-09-05", _M),
    "app_secret_chars": _same(180, "[P]", "2025-09-05", _M),
    # pages
    "page_orders": Limit(100, 15, "[R] inquire_daily_ccld", "2026-07-09", _O),
    "page_balance": Limit(50, 20, "[R] inquire_balance", "2026-07-09", _O),
    "page_open_orders": _same(50, "[R] inquire_psbl_rvsecncl", "2026-07-09", _O),
    "page_prices": _same(30, "[R] intstock_multprice", "2026-07-09", _O),
    "page_minute_bars": _same(30, "[R] inquire_time_itemchartprice", "2026-07-09", _O),
    "page_past_minute_bars": _same(120, "[R] inquire_time_dailychartprice", "2026-07-09", _O),
    "page_daily_bars": _same(100, "[R] inquire_daily_itemchartprice", "2026-07-09", _O),
    "page_trades": _same(30, "[R] inquire_ccnl", "2026-07-09", _O),
    "pages": _same(100, "[S] most pages followed in one question", "2026-11-20", _A),
    "past_minutes_days": _same(365, "[R] about one year of minute bars", "2026-07-09", _R),
    # master files
    "master_timeout_ns": _same(15 * _S, "[S] one download", "2026-11-20", _A),
    # orders
    "unknown_absent_ns": _same(
        10 * _S, "[S] an order not listed by then is lost", "2026-11-20", _A
    ),
    "unknown_lists": _same(2, "[S] complete lists without it", "2026-11-20", _A),
    "match_window_ns": _same(30 * _S, "[S] order time against our sending", "2026-11-20", _A),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers of real or mock servers, overrides applied; meanings and sources in ``TABLE``.

    ``known_widths`` adds frame widths that raise no width-change event, per TR id.
    """

    registrations: int
    sessions: int
    register_spacing_ns: int
    churn_changes: int
    churn_window_ns: int
    ack_timeout_ns: int
    ack_attempts: int
    silence_in_session_ns: int
    silence_off_session_ns: int
    frame_bytes: int
    backoff_first_ns: int
    backoff_cap_ns: int
    link_wait_ns: int
    stable_after_ns: int
    in_use_wait_ns: int
    connects: int
    connects_window_ns: int
    requests: int
    requests_new_customer: int
    requests_window_ns: int
    requests_margin_ns: int
    requests_delay_ns: int
    requests_spacing_ns: int
    polling_requests: int
    account_spacing_ns: int
    account_patience_ns: int
    rate_wait_ns: int
    ledger_wait_ns: int
    request_timeout_ns: int
    retries: int
    queue_length: int
    breaker_failures: int
    breaker_open_ns: int
    token_spacing_ns: int
    oauth_spacing_ns: int
    token_lifetime_ns: int
    token_refresh_ns: int
    approval_lifetime_ns: int
    app_key_chars: int
    app_secret_chars: int
    page_orders: int
    page_balance: int
    page_open_orders: int
    page_prices: int
    page_minute_bars: int
    page_past_minute_bars: int
    page_daily_bars: int
    page_trades: int
    pages: int
    past_minutes_days: int
    master_timeout_ns: int
    unknown_absent_ns: int
    unknown_lists: int
    match_window_ns: int
    known_widths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


LIMIT_NAMES = tuple(one.name for one in fields(Limits) if one.name != "known_widths")


def limits_for(
    servers: Servers,
    overrides: Mapping[str, object] | None = None,
    *,
    where: str = "the KIS limits",
) -> Limits:
    """Return the limits of the real or the mock servers with ``overrides`` in their place.

    Besides the names of ``TABLE`` a mapping may hold ``new_customer = true`` (3 requests a second
    in the first three days) and ``known_widths = {H0STCNT0 = 48}``. ``where`` names the file and
    table in errors. Raises BadInput for unknown names and impossible values.
    """
    given = dict(overrides or {})
    new_customer = _flag(given.pop("new_customer", False), f"{where}: new_customer")
    widths = _widths(given.pop("known_widths", {}), where)
    values = {
        name: one.real if servers is Servers.REAL else one.mock for name, one in TABLE.items()
    }
    if new_customer:
        values["requests"] = values["polling_requests"] = values["requests_new_customer"]
    for name, value in given.items():
        limit = _known(name, where)
        values[name] = _number(limit, value, f"{where}: {name}")
    return Limits(known_widths=widths, **values)


def _known(name: str, where: str) -> Limit:
    if name in TABLE:
        return TABLE[name]
    near = get_close_matches(name, [*TABLE, "new_customer", "known_widths"], n=1)
    hint = f"did you mean {near[0]}" if near else "see adapters/kis/limits.py for the names"
    raise BadInput(f"{where}: {name} is no limit of KIS; {hint}.")


def _number(limit: Limit, value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadInput(f"{where} is {value!r}: give a whole number.")
    if not limit.least <= value <= limit.most:
        raise BadInput(f"{where} is {value}: give a number of at least {limit.least}.")
    return value


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise BadInput(f"{where} is {value!r}: give true or false.")
    return value


def _widths(value: object, where: str) -> dict[str, tuple[int, ...]]:
    if not isinstance(value, Mapping):
        raise BadInput(f"{where}: known_widths is {value!r}: give a table of TR id = width.")
    widths: dict[str, tuple[int, ...]] = {}
    for tr_id, given in value.items():
        several = given if isinstance(given, list | tuple) else [given]
        place = f"{where}: known_widths.{tr_id}"
        widths[str(tr_id)] = tuple(_number(_WIDTH, one, place) for one in several)
    return widths


_WIDTH = Limit(1, 1, "[S]", "2026-11-20", _A, most=10_000)
