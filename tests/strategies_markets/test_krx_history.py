"""KRX's facts of other days: stated values at each change, and grids that are grids."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.markets import krx, krx_history
from strategies.markets.facts import RAW_ONE

OLDEST, BEFORE, TODAY = date(2005, 1, 3), date(2015, 6, 12), date(2026, 3, 9)
HOUR_NS = 3_600 * 10**9


@pytest.mark.parametrize(
    ("day", "price", "tick"),
    [
        (date(2010, 10, 1), 900, 5),
        (date(2010, 10, 4), 900, 1),
        (date(2010, 10, 4), 1_000, 5),
        (OLDEST, 4_999, 5),
        (OLDEST, 5_000, 10),
        (BEFORE, 10_000, 50),
        (BEFORE, 49_999, 50),
        (BEFORE, 700_000, 100),
        (date(2023, 1, 24), 1_500, 5),
        (date(2023, 1, 25), 1_500, 1),
        (TODAY, 15_000, 10),
        (TODAY, 700_000, 1_000),
    ],
)
def test_ticks_of_a_day(day: date, price: int, tick: int) -> None:
    assert krx_history.ticks_on(day).tick_raw(price * RAW_ONE) == tick * RAW_ONE


@given(st.sampled_from([OLDEST, BEFORE, TODAY]), st.integers(1, 2_000_000 * 10))
def test_floor_and_ceil_lie_on_the_grid_around_a_price(day: date, tenths: int) -> None:
    ticks = krx_history.ticks_on(day)
    price = tenths * RAW_ONE // 10
    low, high = ticks.floor_raw(price), ticks.ceil_raw(price)
    assert low <= price <= high
    assert high - low in (0, ticks.tick_raw(price))
    assert ticks.floor_raw(low) == low
    assert ticks.floor_raw(high) == high


@pytest.mark.parametrize(
    ("day", "ratio"),
    [
        (date(1998, 3, 1), None),
        (date(1998, 3, 2), "0.12"),
        (date(1998, 12, 7), "0.15"),
        (date(2015, 6, 14), "0.15"),
        (date(2015, 6, 15), "0.30"),
        (TODAY, "0.30"),
    ],
)
def test_limits_of_a_day(day: date, ratio: str | None) -> None:
    assert krx_history.price_limit_ratio(day) == (None if ratio is None else Decimal(ratio))


def test_prices_between_the_limits_of_a_day() -> None:
    base = 10_000 * RAW_ONE
    assert krx_history.price_limits_on(BEFORE, base) == (8_500 * RAW_ONE, 11_500 * RAW_ONE)
    assert krx_history.price_limits_on(TODAY, base) == krx.price_limits(base)
    assert krx_history.price_limits_on(date(1997, 1, 3), base) is None


@pytest.mark.parametrize(
    ("day", "close"), [(date(2016, 7, 29), (15, 0)), (date(2016, 8, 1), (15, 30))]
)
def test_hours_of_a_day(day: date, close: tuple[int, int]) -> None:
    assert krx_history.regular_hours(day) == (9 * 60, close[0] * 60 + close[1])
    first, last = krx_history.session_ns(day)
    assert first % (24 * HOUR_NS) == 0  # 09:00 in Seoul is midnight in UTC
    assert last - first == (close[0] - 9) * HOUR_NS + close[1] * 60 * 10**9
    assert krx_history.day_of(first) == krx_history.day_of(last) == day
    assert krx_history.day_of(first - 9 * HOUR_NS) == day
    assert krx_history.day_of(first - 9 * HOUR_NS - 1) < day
