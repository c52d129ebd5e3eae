"""Statistics against a benchmark: what a run earned that holding the benchmark would not have.

Rule: both series hold one return per period over the same periods; the risk-free rate is zero.
"""

from math import sqrt

import numpy as np

from catalog.stats.returns import FLAT, FloatArray, sharpe
from catalog.stats.values import Undefined


def _paired(returns: FloatArray, benchmark: FloatArray) -> Undefined | None:
    if len(returns) != len(benchmark):
        return Undefined("the benchmark has other periods")
    if len(returns) < 3:
        return Undefined("needs at least 3 returns")
    if float(np.ptp(benchmark)) <= FLAT * float(np.max(np.abs(benchmark))):
        return Undefined("the benchmark never moved")
    return None


def beta(returns: FloatArray, benchmark: FloatArray) -> float | Undefined:
    """How much a run moved when the benchmark moved by one.

    Unit: ratio. Formula: cov(r, b) / var(b). Source: W. F. Sharpe, Capital Asset Prices, Journal of
    Finance 19(3), 1964; risk-free rate zero.
    """
    why = _paired(returns, benchmark)
    if why is not None:
        return why
    away = benchmark - np.mean(benchmark)
    return float(np.dot(returns - np.mean(returns), away) / np.dot(away, away))


def alpha(returns: FloatArray, benchmark: FloatArray, periods_per_year: float) -> float | Undefined:
    """What was earned in a year that moving with the benchmark does not explain.

    Unit: fraction per year. Formula: (1 + mean(r - beta * b)) ** periods per year - 1. Source:
    M. C. Jensen, Journal of Finance 23(2), 1968, compounded as in empyrical (QuantStats does not).
    """
    slope = beta(returns, benchmark)
    if isinstance(slope, Undefined):
        return slope
    own = float(np.mean(returns - slope * benchmark))
    return float((1.0 + own) ** periods_per_year) - 1.0


def correlation(returns: FloatArray, benchmark: FloatArray) -> float | Undefined:
    """How closely a run followed the benchmark: 1 always together, -1 always apart.

    Unit: ratio. Formula: cov(r, b) / (s(r) * s(b)). Source: K. Pearson, 1895.
    """
    slope = beta(returns, benchmark)
    if isinstance(slope, Undefined):
        return slope
    spread = float(np.std(returns))
    if spread <= FLAT * float(np.max(np.abs(returns))):
        return Undefined("all returns are equal")
    return slope * float(np.std(benchmark)) / spread


def tracking_error(
    returns: FloatArray, benchmark: FloatArray, periods_per_year: float
) -> float | Undefined:
    """How far a run strayed from the benchmark in a year.

    Unit: fraction per square root of a year. Formula: s(r - b) * sqrt(periods per year), s with
    n - 1. Source: R. Grinold and R. Kahn, Active Portfolio Management, 1999.
    """
    why = _paired(returns, benchmark)
    if why is not None:
        return why
    return float(np.std(returns - benchmark, ddof=1)) * sqrt(periods_per_year)


def information_ratio(
    returns: FloatArray, benchmark: FloatArray, periods_per_year: float
) -> float | Undefined:
    """Return earned above the benchmark, per unit of straying from it, in a year.

    Unit: ratio. Formula: mean(r - b) / s(r - b) * sqrt(periods per year), s with n - 1. Source:
    Grinold and Kahn, as `tracking_error`; per period it is empyrical's excess_sharpe.
    """
    why = _paired(returns, benchmark)
    return why or sharpe(returns - benchmark, periods_per_year)
