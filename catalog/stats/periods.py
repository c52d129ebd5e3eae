"""The regular periods over which returns are taken: calendar days, hours or minutes of one zone.

Rule: a period without a single observation has no return (a closed market earns nothing).
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

type IntArray = NDArray[np.int64]

MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
YEAR_NS = 365 * DAY_NS
SHORTEST_SERIES = 20
"""A window is cut into the longest period that still gives at least this many of them."""


@dataclass(frozen=True, slots=True)
class Period:
    """One sampling step; ``name`` is its noun."""

    name: str
    length_ns: int


DAY = Period("day", DAY_NS)
HOUR = Period("hour", HOUR_NS)
MINUTE = Period("minute", MINUTE_NS)


def choose_period(start_ns: int, end_ns: int) -> Period:
    """Return the longest of day, hour and minute that cuts the window into at least 20 parts."""
    for period in (DAY, HOUR):
        if end_ns - start_ns >= SHORTEST_SERIES * period.length_ns:
            return period
    return MINUTE


def period_edges(start_ns: int, end_ns: int, period: Period, zone: str) -> IntArray:
    """Return the ends of all periods of ``zone`` that touch the window; the last is ``end_ns``.

    The first element is ``start_ns``, so n edges make n - 1 returns. Days follow the zone's
    calendar (23 or 25 hours where clocks change).
    """
    if period == DAY:
        inner = _midnights(start_ns, end_ns, ZoneInfo(zone))
    else:
        first = start_ns - start_ns % period.length_ns + period.length_ns
        inner = np.arange(first, end_ns, period.length_ns, dtype=np.int64)
    inner = inner[(inner > start_ns) & (inner < end_ns)]
    return np.unique(np.concatenate(([start_ns], inner, [end_ns])).astype(np.int64))


def _midnights(start_ns: int, end_ns: int, zone: ZoneInfo) -> IntArray:
    day = datetime.fromtimestamp(start_ns // 10**9, tz=zone).date()
    found: list[int] = []
    while not found or found[-1] < end_ns:
        day += timedelta(days=1)
        local = datetime(day.year, day.month, day.day, tzinfo=zone)
        found.append(int(local.astimezone(UTC).timestamp()) * 10**9)
    return np.array(found, dtype=np.int64)


def observed(edges_ns: IntArray, seen_ns: IntArray) -> IntArray:
    """Return the edges without those whose period holds none of the sorted ``seen_ns``.

    A period is (previous edge, edge]. The first edge always stays: it is where counting begins.
    """
    upto = np.searchsorted(seen_ns, edges_ns, side="right")
    keep = np.concatenate(([True], np.diff(upto) > 0))
    return edges_ns[keep]


def days_per_year(edges_ns: IntArray, zone: str) -> float:
    """Return how many daily returns make a year, for scaling returns and risk to a year.

    365 where a Saturday or Sunday of ``zone`` was observed, else 252 (the usual count of trading
    days; KRX had 244 to 248 from 2019 to 2024). Hours and minutes are not scaled to a year: what a
    few days held says nothing about one.
    """
    days = (datetime.fromtimestamp((int(t) - 1) // 10**9, tz=ZoneInfo(zone)) for t in edges_ns[1:])
    return 365.0 if any(day.weekday() >= 5 for day in days) else 252.0
