"""Wall time and market time are one line: exact, monotone, and back within a nanosecond."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.errors import BadInput
from strategies.market_time import REAL, MarketTime

NS = st.integers(0, 2**62)
SPEEDS = st.fractions(Fraction(1, 1_000), 10_000, max_denominator=1_000)
TIMES = st.builds(MarketTime, NS, NS, SPEEDS)


@given(TIMES, NS)
def test_a_wall_time_comes_back_within_one_tick_of_the_slower_clock(
    time: MarketTime, wall_ns: int
) -> None:
    back = time.wall(time.at(wall_ns))
    assert back <= wall_ns
    assert (wall_ns - back) * time.speed < 1
    if time.speed >= 1:
        assert back == wall_ns


@given(TIMES, NS)
def test_a_market_time_is_reached_and_not_a_nanosecond_too_late(
    time: MarketTime, market_ns: int
) -> None:
    due = time.wall(market_ns)
    assert time.at(due - 1) < market_ns <= time.at(due)
    if time.speed <= 1:
        assert time.at(due) == market_ns


@given(TIMES, NS, st.integers(0, 10**12))
def test_neither_clock_runs_backwards(time: MarketTime, ts_ns: int, step: int) -> None:
    assert time.at(ts_ns) <= time.at(ts_ns + step)
    assert time.wall(ts_ns) <= time.wall(ts_ns + step)


@given(TIMES, st.integers(0, 10**9))
def test_the_origin_is_where_both_meet_and_whole_steps_are_exact(
    time: MarketTime, steps: int
) -> None:
    wall_ns = time.origin_wall_ns + steps * time.speed.denominator
    market_ns = time.origin_market_ns + steps * time.speed.numerator
    assert time.at(wall_ns) == market_ns
    assert time.at(time.origin_wall_ns) == time.origin_market_ns


@given(NS)
def test_real_venues_live_on_the_wall(ts_ns: int) -> None:
    assert REAL.at(ts_ns) == REAL.wall(ts_ns) == ts_ns


def test_intervals_are_divided_by_the_speed() -> None:
    time = MarketTime(1_000, 5_000_000, Fraction(10))
    assert time.wall(time.at(1_000) + 600) - 1_000 == 60


@pytest.mark.parametrize("speed", ["0", "-1", "-1/7"])
def test_a_market_that_stands_still_is_refused(speed: str) -> None:
    with pytest.raises(BadInput, match="give one above 0"):
        MarketTime(0, 0, Fraction(speed))
