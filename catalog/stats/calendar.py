"""When the result was made: by month, by day, by hour of the venue's own clock.

Rule: a close belongs to the period it ends, so midnight belongs to the day before.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np

from catalog.stats.periods import IntArray
from catalog.stats.returns import FloatArray
from catalog.stats.trades import ZERO, Trade

type Month = tuple[int, int]


class Hour(NamedTuple):
    """Closed trades entered in one hour of the day, and what they came to after costs."""

    hour: int
    trades: int
    net: Decimal


def _moment(ts_ns: int, zone: str) -> datetime:
    return datetime.fromtimestamp((ts_ns - 1) // 10**9, ZoneInfo(zone))


def monthly_returns(ts_ns: IntArray, equity: FloatArray, zone: str) -> dict[Month, float]:
    """The return of each calendar month.

    Unit: fraction. Formula: last close of the month / last close before it - 1. Source: as
    `period_returns`, over months.
    """
    last: dict[Month, float] = {}
    for t, value in zip(ts_ns[1:], equity[1:], strict=True):
        when = _moment(int(t), zone)
        last[when.year, when.month] = float(value)
    found, before = {}, float(equity[0]) if len(equity) else 0.0
    for month, value in last.items():
        found[month] = value / before - 1.0 if before > 0 else 0.0
        before = value
    return found


def yearly_returns(months: dict[Month, float]) -> dict[int, float]:
    """The return of each calendar year.

    Unit: fraction. Formula: product of (1 + monthly return) - 1. Source: as `period_returns`.
    """
    found: dict[int, float] = {}
    for (year, _), value in months.items():
        found[year] = (1.0 + found.get(year, 0.0)) * (1.0 + value) - 1.0
    return found


def daily_results(ts_ns: IntArray, equity: FloatArray, zone: str) -> dict[str, float]:
    """What each calendar day added to equity.

    Unit: money. Formula: last close of the day - last close before it. Source: plain arithmetic.
    """
    last: dict[str, float] = {}
    for t, value in zip(ts_ns[1:], equity[1:], strict=True):
        last[f"{_moment(int(t), zone):%Y-%m-%d}"] = float(value)
    steps = np.diff([float(equity[0]), *last.values()]) if len(equity) else np.empty(0)
    return dict(zip(last, map(float, steps), strict=True))


def by_entry_hour(trades: Iterable[Trade], zone: str) -> list[Hour]:
    """What closed trades came to, by the hour of the day they were entered in.

    Unit: money and count. Formula: sum(net) per hour. Source: plain arithmetic.
    """
    clock = ZoneInfo(zone)
    net: dict[int, Decimal] = {}
    count: dict[int, int] = {}
    for trade in trades:
        if trade.closed:
            hour = datetime.fromtimestamp(trade.entry_ns // 10**9, clock).hour
            net[hour] = net.get(hour, ZERO) + trade.net
            count[hour] = count.get(hour, 0) + 1
    return [Hour(hour, count[hour], net[hour]) for hour in sorted(net)]
