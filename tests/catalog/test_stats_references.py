"""Our statistics on the same series as two independent libraries: equal to 1e-9, or said why not.

empyrical-reloaded for performance, SciPy for moments and distributions.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import empyrical
import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from catalog.stats import relative, returns, rolling, selection, shape
from catalog.stats.calendar import monthly_returns, yearly_returns
from catalog.stats.values import Undefined

type Array = np.ndarray[tuple[int], np.dtype[np.float64]]

YEAR = 252


def series(seed: int, count: int = 500, drift: float = 0.0006) -> Array:
    """Daily returns with fat tails."""
    chance = np.random.default_rng(seed)
    return np.asarray(drift + 0.012 * chance.standard_t(4, count))


SEEDS = range(6)
OWN = [series(seed, drift=0.0004 * (seed - 2)) for seed in SEEDS]
MARKET = [0.5 * own + series(100 + seed) for seed, own in zip(SEEDS, OWN, strict=True)]


def equity(own: Array) -> Array:
    return 100.0 * np.concatenate(([1.0], np.cumprod(1.0 + own)))


def calmar(own: Array) -> float | Undefined:
    curve = equity(own)
    growth = (curve[-1] / curve[0]) ** (YEAR / len(own)) - 1.0
    return returns.calmar(float(growth), float(returns.drawdown_curve(curve).min()))


ALONE: list[tuple[str, Callable[[Array], object], Callable[[Array], float]]] = [
    ("volatility", lambda r: returns.volatility(r, YEAR), empyrical.annual_volatility),
    ("sharpe", lambda r: returns.sharpe(r, YEAR), empyrical.sharpe_ratio),
    ("sortino", lambda r: returns.sortino(r, YEAR), empyrical.sortino_ratio),
    ("calmar", calmar, empyrical.calmar_ratio),
    ("omega", shape.omega, empyrical.omega_ratio),
    ("value at risk", shape.value_at_risk, empyrical.value_at_risk),
    ("conditional", shape.conditional_value_at_risk, empyrical.conditional_value_at_risk),
    ("tail ratio", shape.tail_ratio, empyrical.tail_ratio),
    ("drawdown", lambda r: returns.drawdown_curve(equity(r)).min(), empyrical.max_drawdown),
    ("skew", shape.skew, scipy_stats.skew),
    ("kurtosis", shape.kurtosis, scipy_stats.kurtosis),
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("ours", "theirs"), [row[1:] for row in ALONE], ids=[r[0] for r in ALONE])
def test_alone(ours: Callable[[Array], float], theirs: Callable[[Array], float], seed: int) -> None:
    assert ours(OWN[seed]) == pytest.approx(theirs(OWN[seed]), rel=1e-9, abs=1e-12)


BESIDE: list[tuple[str, Callable[[Array, Array], object], Callable[[Array, Array], float]]] = [
    ("beta", relative.beta, empyrical.beta),
    ("alpha", lambda r, b: relative.alpha(r, b, YEAR), empyrical.alpha),
    (
        "information ratio",
        lambda r, b: relative.information_ratio(r, b, 1),
        empyrical.excess_sharpe,
    ),
    ("correlation", relative.correlation, lambda r, b: scipy_stats.pearsonr(r, b).statistic),
    (
        "tracking error",
        lambda r, b: relative.tracking_error(r, b, YEAR),
        lambda r, b: empyrical.annual_volatility(r - b),
    ),
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("ours", "theirs"), [row[1:] for row in BESIDE], ids=[row[0] for row in BESIDE]
)
def test_beside_a_benchmark(
    ours: Callable[[Array, Array], float], theirs: Callable[[Array, Array], float], seed: int
) -> None:
    own, market = OWN[seed], MARKET[seed]
    assert ours(own, market) == pytest.approx(theirs(own, market), rel=1e-9, abs=1e-12)


def test_rolling() -> None:
    own, market = OWN[1], MARKET[1]
    theirs = empyrical.roll_sharpe_ratio(own, 60)
    assert rolling.rolling_sharpe(own, 60, YEAR) == pytest.approx(theirs, rel=1e-9)
    theirs = empyrical.roll_annual_volatility(own, 60)
    assert rolling.rolling_volatility(own, 60, YEAR) == pytest.approx(theirs, rel=1e-9)
    theirs = empyrical.roll_beta(own, market, 60)
    assert rolling.rolling_beta(own, market, 60) == pytest.approx(theirs, rel=1e-9)


def test_months_and_years() -> None:
    own = OWN[3]
    first = datetime(2025, 1, 1, tzinfo=UTC)
    ends = [first + timedelta(days=i) for i in range(len(own) + 1)]
    ts_ns = np.array([int(end.timestamp()) * 10**9 for end in ends], np.int64)
    dated = pd.Series(own, index=pd.DatetimeIndex(ends[:-1]))
    months = monthly_returns(ts_ns, equity(own), "UTC")
    theirs = empyrical.aggregate_returns(dated, "monthly")
    assert list(months) == list(theirs.index)
    assert list(months.values()) == pytest.approx(list(theirs), rel=1e-9)
    theirs = empyrical.aggregate_returns(dated, "yearly")
    years = yearly_returns(months)
    assert list(years) == list(theirs.index)
    assert list(years.values()) == pytest.approx(list(theirs), rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_probabilistic_sharpe_is_the_papers_formula(seed: int) -> None:
    own = OWN[seed]
    ratio = empyrical.sharpe_ratio(own, annualization=1)
    fat = scipy_stats.kurtosis(own, fisher=False)
    root = np.sqrt(1 - scipy_stats.skew(own) * ratio + (fat - 1) / 4 * ratio**2)
    for threshold in (0.0, 0.05):
        expected = scipy_stats.norm.cdf((ratio - threshold) * np.sqrt(len(own) - 1) / root)
        found = selection.probabilistic_sharpe(own, threshold)
        assert found == pytest.approx(expected, rel=1e-9)


def test_deflated_sharpe_is_the_papers_example() -> None:
    # Bailey and Lopez de Prado, 2014: the expected best of 10 unit normal trials is 1.5746.
    best = selection.expected_best_sharpe(2, 10)
    theirs = (1 - np.euler_gamma) * scipy_stats.norm.ppf(0.9) + np.euler_gamma * (
        scipy_stats.norm.ppf(1 - 1 / (10 * np.e))
    )
    assert best == pytest.approx(theirs, rel=1e-9) == pytest.approx(1.5746, abs=1e-4)
    own = OWN[5]
    one, ten, many = (selection.deflated_sharpe(own, count) for count in (1, 10, 10_000))
    assert one == selection.probabilistic_sharpe(own)
    assert isinstance(one, float) and isinstance(ten, float) and isinstance(many, float)
    assert one > ten > many
    assert isinstance(selection.deflated_sharpe(own, None), Undefined)


def test_a_track_record_of_the_shortest_length_is_just_sure_enough() -> None:
    own = OWN[4]
    needed = selection.shortest_track_record(own)
    assert isinstance(needed, int)
    ratio = empyrical.sharpe_ratio(own, annualization=1)
    fat = scipy_stats.kurtosis(own, fisher=False)
    root = np.sqrt(1 - scipy_stats.skew(own) * ratio + (fat - 1) / 4 * ratio**2)
    sure = [scipy_stats.norm.cdf(ratio * np.sqrt(n - 1) / root) for n in (needed - 1, needed)]
    assert sure[0] < 0.95 <= sure[1]


def test_ulcer_index_is_the_root_of_mean_squared_drawdowns() -> None:
    # 100, 90, 95, 110: 0, -10 %, -5 %, 0.
    expected = np.sqrt((0.1**2 + 0.05**2) / 4)
    assert shape.ulcer_index(np.array([100.0, 90.0, 95.0, 110.0])) == pytest.approx(expected)


FLAT = np.full(40, 0.001)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (shape.skew(FLAT), "equal"),
        (shape.kurtosis(FLAT), "equal"),
        (shape.skew(OWN[0][:2]), "at least 3"),
        (shape.value_at_risk(OWN[0][:19]), "at least 20"),
        (shape.conditional_value_at_risk(OWN[0][:19]), "at least 20"),
        (shape.omega(FLAT), "fell short"),
        (shape.ulcer_index(np.array([1.0, -1.0])), "above zero"),
        (relative.beta(OWN[0], FLAT), "other periods"),
        (relative.beta(OWN[0][:40], FLAT), "never moved"),
        (relative.correlation(FLAT, OWN[0][:40]), "equal"),
        (selection.probabilistic_sharpe(FLAT), "equal"),
        (selection.shortest_track_record(-np.abs(OWN[0])), "not above zero"),
    ],
)
def test_what_does_not_exist_says_why(value: object, why: str) -> None:
    assert isinstance(value, Undefined)
    assert why in value.reason
