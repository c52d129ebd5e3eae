"""Days of a stream without a row: sessions of a calendar, UTC days, bars that close at midnight."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from nautilus_trader.model import BarType

from catalog.columns import decimals_from_units, labels, times
from catalog.coverage import missing_days
from catalog.layout import SCHEMAS
from catalog.store import Store
from strategies.markets import binance
from strategies.markets.sessions import (
    DAY_NS,
    ContinuousDays,
    ListedSessions,
    Session,
    SessionCalendar,
)
from strategies.ports import StreamKind

BTC = binance.spot("BTCUSDT")
DAILY = BarType.from_str(f"{BTC.id}-1-DAY-LAST-EXTERNAL")
HOUR = DAY_NS // 24
T0 = 19_700 * DAY_NS
WEEKDAYS = ListedSessions(
    [
        Session(T0 + day * DAY_NS, T0 + day * DAY_NS + 6 * HOUR)
        for day in range(-5, 30)
        if day % 7 < 5
    ]
)


def missing(root: Path, stamps: list[int], sessions: SessionCalendar, *, daily: bool) -> int:
    at = times(np.array(stamps, np.int64))
    ones = np.ones(len(stamps), np.int64)
    price, size = decimals_from_units(ones, 2), decimals_from_units(ones, 5)
    store = Store(root)
    if daily:
        rows = pa.table([price] * 4 + [size, at, at], schema=SCHEMAS[StreamKind.BARS])
        store.write(BTC, StreamKind.BARS, [rows], source="t", bar_type=DAILY)
    else:
        columns = [price, size, labels(ones, ("BUY", "SELL")), pa.array(["1"] * len(stamps))]
        rows = pa.table([*columns, at, at], schema=SCHEMAS[StreamKind.TRADES])
        store.write(BTC, StreamKind.TRADES, [rows], source="t")
    (info,) = store.streams()
    return missing_days(store, info, sessions)


@pytest.mark.parametrize(
    ("days", "count"), [([0, 1, 2], 0), ([0, 2], 1), ([0, 1, 9], 7), ([3], 0), ([0, 0, 1, 1], 0)]
)
def test_days_without_a_trade_are_counted(tmp_path: Path, days: list[int], count: int) -> None:
    stamps = [T0 + day * DAY_NS + HOUR + i for i, day in enumerate(days)]
    assert missing(tmp_path, stamps, ContinuousDays(), daily=False) == count


@pytest.mark.parametrize(("days", "count"), [([0, 4, 7], 3), ([4, 7], 0), ([0, 1, 14], 8)])
def test_only_sessions_are_days(tmp_path: Path, days: list[int], count: int) -> None:
    stamps = [T0 + day * DAY_NS for day in days]
    assert missing(tmp_path, stamps, WEEKDAYS, daily=False) == count


@pytest.mark.parametrize(("days", "count"), [([1, 2, 3], 0), ([1, 4], 2)])
def test_a_bar_at_midnight_closes_the_day_before(
    tmp_path: Path, days: list[int], count: int
) -> None:
    stamps = [T0 + day * DAY_NS for day in days]
    assert missing(tmp_path, stamps, ContinuousDays(), daily=True) == count
