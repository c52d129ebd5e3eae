"""Builds session calendars: KRX's from a calendar library and our overlay, Binance's by rule.

Rule: deciders get pure sessions; the library (slow to load, needs pandas) is touched here only.
"""

import warnings
from bisect import bisect_left, bisect_right
from datetime import UTC, date, datetime
from functools import cache

from strategies.errors import BadInput
from strategies.markets import binance, krx, krx_calendar
from strategies.markets.sessions import (
    ContinuousDays,
    ListedSessions,
    Session,
    SessionCalendar,
)

FIRST_DAY = date(1999, 1, 1)
"""Before 1998-12-07 KRX also traded on Saturdays, which the library gives for some ranges only."""

LAST_DAY = date(2050, 12, 31)
"""The library's holidays are computed to here; from about a year ahead on they are a forecast."""

PADDING = 5
"""Sessions given on either side of a window, for previous closes and next opens."""

_MINUTE_NS = 60 * 10**9


def calendar_for(venue: str, start_ns: int, end_ns: int) -> SessionCalendar:
    """Return the sessions of a venue for a window in ns UTC, both ends inclusive.

    ``KRX`` has listed sessions, every venue whose name begins with ``BINANCE`` continuous UTC
    days. Raises BadInput for another venue and for a window outside KRX's calendar.
    """
    if venue == krx.VENUE:
        return krx_sessions(start_ns, end_ns)
    if venue.startswith(binance.VENUE_USDM):
        return ContinuousDays()
    raise BadInput(f"venue {venue!r} has no calendar: use KRX, BINANCE or BINANCE_SPOT.")


def krx_sessions(start_ns: int, end_ns: int) -> ListedSessions:
    """Return KRX's regular sessions of a window in ns UTC, and some just before and after it.

    A session is a whole day from open to close; the lunch break before 2000-05-22 is part of it.
    Raises BadInput where the window ends before it starts or leaves 1999 to 2050.
    """
    if end_ns < start_ns:
        raise BadInput("the window ends before it starts: exchange its two ends.")
    if start_ns < _midnight_ns(FIRST_DAY) or end_ns >= _midnight_ns(LAST_DAY):
        raise BadInput(
            f"KRX's calendar covers {FIRST_DAY} to {LAST_DAY}: choose a window within it."
        )
    sessions = _all_krx_sessions()
    first = bisect_left(sessions, start_ns, key=lambda session: session.close_ns)
    last = bisect_right(sessions, end_ns, key=lambda session: session.open_ns)
    return ListedSessions(sessions[max(first - PADDING, 0) : last + PADDING])


@cache
def _all_krx_sessions() -> tuple[Session, ...]:
    """Read every session of the library once (about one second) and lay the overlay over it."""
    with warnings.catch_warnings():
        _silence_the_library()
        import exchange_calendars

        calendar = exchange_calendars.get_calendar("XKRX", start=FIRST_DAY, end=LAST_DAY)
        days = [day.date() for day in calendar.sessions]
        opens = calendar.opens.array.asi8.tolist()
        closes = calendar.closes.array.asi8.tolist()
    unit_ns = 10**9 // 10 ** _SUBSECOND_DIGITS[calendar.opens.dt.unit]
    return tuple(
        _shifted(day, open_at * unit_ns, close_at * unit_ns)
        for day, open_at, close_at in zip(days, opens, closes, strict=True)
        if day not in krx_calendar.CLOSED
    )


_SUBSECOND_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}


def _shifted(day: date, open_ns: int, close_ns: int) -> Session:
    late = day in krx_calendar.ENTRANCE_EXAM_DAYS
    shift = krx_calendar.SHIFT_MINUTES * _MINUTE_NS if late else 0
    return Session(open_ns + shift, close_ns + shift)


def _silence_the_library() -> None:
    """Ignore the one warning that exchange_calendars 4.13 causes in pandas 3.1."""
    from pandas.errors import Pandas4Warning

    warnings.filterwarnings(
        "ignore",
        message="Series.values returning an ndarray that drops timezone",
        category=Pandas4Warning,
    )


def _midnight_ns(day: date) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(midnight.timestamp()) * 10**9
