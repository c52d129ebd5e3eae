"""Statistics of equity series: hand-computed tables, then properties over any series."""

from decimal import Decimal
from math import sqrt

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from catalog.stats import (
    Undefined,
    cagr,
    calmar,
    drawdown_curve,
    longest_drawdown_ns,
    max_drawdown,
    period_returns,
    sharpe,
    sharpe_standard_error,
    sortino,
    total_return,
    volatility,
)
from catalog.stats.periods import DAY_NS, YEAR_NS

RETURNS = np.array([0.01, -0.02, 0.03, 0.0])  # mean 0.005, squares from it sum to 0.0013
EQUITY = np.array([100.0, 120.0, 90.0, 108.0, 120.0, 114.0])
DAYS = np.arange(6, dtype=np.int64) * DAY_NS
equities = st.lists(st.floats(1.0, 1e6), min_size=1, max_size=60).map(np.array)
returns = st.lists(st.floats(-0.5, 0.5), min_size=2, max_size=60).map(np.array)


def test_total_return_is_end_over_start() -> None:
    assert total_return(Decimal(200), Decimal(250)) == 0.25
    assert total_return(Decimal(0), Decimal(1)) == Undefined("there was no starting equity")


@pytest.mark.parametrize(
    ("end", "elapsed_ns", "expected"),
    [
        (Decimal(121), 2 * YEAR_NS, 0.1),
        (Decimal(110), YEAR_NS, 0.1),
        (Decimal(110), YEAR_NS // 2, 0.21),
        (Decimal(81), 2 * YEAR_NS, -0.1),
    ],
)
def test_cagr_is_the_rate_that_compounds_to_the_end(
    end: Decimal, elapsed_ns: int, expected: float
) -> None:
    assert cagr(Decimal(100), end, elapsed_ns) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("start", "end", "elapsed_ns", "reason"),
    [
        (0, 1, YEAR_NS, "there was no starting equity"),
        (1, 0, YEAR_NS, "equity ended at or below zero"),
        (1, 2, 0, "the window has no length"),
        (1, 2, 1_000, "the window is too short to speak of a year"),
    ],
)
def test_cagr_says_why_it_is_undefined(start: int, end: int, elapsed_ns: int, reason: str) -> None:
    assert cagr(Decimal(start), Decimal(end), elapsed_ns) == Undefined(reason)


def test_period_returns_are_simple_returns() -> None:
    assert period_returns([100.0, 110.0, 99.0]) == pytest.approx([0.1, -0.1])
    assert period_returns([100.0]) == pytest.approx([])
    assert isinstance(period_returns([100.0, 0.0]), Undefined)


def test_risk_ratios_equal_the_hand_computed_table() -> None:
    deviation = sqrt(0.0013 / 3)
    assert volatility(RETURNS, 252) == pytest.approx(deviation * sqrt(252))
    assert sharpe(RETURNS, 252) == pytest.approx(0.005 / deviation * sqrt(252))
    assert sharpe(RETURNS, 1, risk_free=0.005) == pytest.approx(0.0, abs=1e-12)
    assert sortino(RETURNS, 252) == pytest.approx(0.005 / sqrt(0.0004 / 4) * sqrt(252))
    per_day = 0.005 / deviation
    expected = sqrt((1 + per_day**2 / 2) / 4) * sqrt(252)
    assert sharpe_standard_error(RETURNS, 252) == pytest.approx(expected)


@pytest.mark.parametrize("series", [[], [0.01]])
def test_ratios_need_two_returns(series: list[float]) -> None:
    few = Undefined("needs at least 2 returns")
    values = np.array(series)
    answers = (volatility(values, 252), sharpe(values, 252), sortino(values, 252))
    assert answers == (few, few, few)
    assert sharpe_standard_error(values, 252) == few


def test_equal_returns_have_no_sharpe_and_rising_equity_no_sortino() -> None:
    assert isinstance(sharpe(np.full(10, 0.001), 252), Undefined)
    assert isinstance(sharpe(np.zeros(10), 252), Undefined)
    assert sortino(np.array([0.01, 0.02]), 252) == Undefined("no return fell short of the target")


def test_max_drawdown_finds_peak_trough_and_recovery() -> None:
    fall = max_drawdown(DAYS, EQUITY)
    assert not isinstance(fall, Undefined)
    assert (fall.depth, fall.peak_ns, fall.trough_ns) == (-0.25, DAY_NS, 2 * DAY_NS)
    assert (fall.recovered_ns, fall.duration_ns) == (4 * DAY_NS, 3 * DAY_NS)
    assert longest_drawdown_ns(DAYS, EQUITY) == 3 * DAY_NS


def test_a_fall_without_recovery_lasts_to_the_end() -> None:
    fall = max_drawdown(DAYS[:3], np.array([100.0, 90.0, 95.0]))
    assert not isinstance(fall, Undefined)
    assert (fall.recovered_ns, fall.duration_ns) == (None, 2 * DAY_NS)
    assert longest_drawdown_ns(DAYS[:3], np.array([100.0, 90.0, 95.0])) == 2 * DAY_NS


def test_rising_equity_has_no_drawdown_and_no_calmar() -> None:
    rising = np.array([1.0, 2.0, 3.0])
    fall = max_drawdown(DAYS[:3], rising)
    assert not isinstance(fall, Undefined)
    assert fall.depth == 0.0
    assert longest_drawdown_ns(DAYS[:3], rising) == 0
    assert calmar(0.1, 0.0) == Undefined("equity never fell below a peak")


def test_calmar_divides_growth_by_the_fall_and_passes_reasons_on() -> None:
    assert calmar(0.1, -0.25) == pytest.approx(0.4)
    assert calmar(Undefined("why"), -0.25) == Undefined("why")
    assert calmar(0.1, Undefined("why")) == Undefined("why")


def test_equity_that_starts_at_nothing_has_no_drawdown() -> None:
    assert isinstance(max_drawdown(DAYS[:2], np.array([0.0, 1.0])), Undefined)
    assert isinstance(max_drawdown(DAYS[:0], np.array([])), Undefined)


@given(equities)
def test_drawdown_lies_between_minus_one_and_zero_and_contains_the_deepest(
    equity: np.ndarray,
) -> None:
    ts_ns = np.arange(len(equity), dtype=np.int64)
    curve = drawdown_curve(equity)
    fall = max_drawdown(ts_ns, equity)
    longest = longest_drawdown_ns(ts_ns, equity)
    assert not isinstance(fall, Undefined)
    assert not isinstance(longest, Undefined)
    assert (curve <= 0).all()
    assert (curve > -1).all()
    assert fall.depth == curve.min()
    assert fall.peak_ns <= fall.trough_ns <= fall.end_ns
    assert longest >= (fall.duration_ns if fall.depth < 0 else 0)


@given(returns, st.floats(0.1, 10.0))
@example(np.array([0.0, 6.740275086983097e-162]), 2.0)
def test_ratios_do_not_depend_on_the_size_of_the_bets(series: np.ndarray, factor: float) -> None:
    before, after = sharpe(series, 252), sharpe(series * factor, 252)
    if isinstance(before, Undefined) or isinstance(after, Undefined):
        assert np.ptp(series) < 1e-9
    else:
        assert after == pytest.approx(before, rel=1e-6)


@given(returns)
def test_no_statistic_is_ever_nan_or_infinite(series: np.ndarray) -> None:
    for number in (volatility(series, 365), sharpe(series, 365), sortino(series, 365)):
        assert isinstance(number, Undefined) or np.isfinite(number)
