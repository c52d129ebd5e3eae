"""Statistics of an equity series: what was earned, and how bumpy the way was.

Rule: returns are simple returns after costs, fractions (0.01 is one per cent), one per period.
Deposits and withdrawals do not exist inside a run, so no flow correction is needed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

from catalog.stats.periods import YEAR_NS, IntArray
from catalog.stats.values import Undefined

type FloatArray = NDArray[np.float64]

FLAT = 1e-13
"""Spread below this share of the largest value is rounding noise, not risk."""
NOISE = 1e-15
"""Returns below this are what rounding leaves of equity: their squares would even underflow."""


def period_returns(equity: Sequence[float] | FloatArray) -> FloatArray | Undefined:
    """The simple return of each period.

    Unit: fraction. Formula: r[t] = E[t] / E[t-1] - 1. Source: GIPS 2020, provision 2.A.
    Undefined where equity is not above zero: a return on nothing or on debt has no meaning.
    """
    series = np.asarray(equity, dtype=np.float64)
    if np.any(series <= 0):
        return Undefined("equity was not above zero all the time")
    return series[1:] / series[:-1] - 1.0 if len(series) > 1 else np.empty(0)


def total_return(start: Decimal, end: Decimal) -> float | Undefined:
    """What one unit of starting equity earned over the whole window, after costs.

    Unit: fraction. Formula: end / start - 1. Source: GIPS 2020, time-weighted return without flows.
    """
    if start <= 0:
        return Undefined("there was no starting equity")
    return float(end / start - 1)


def cagr(start: Decimal, end: Decimal, elapsed_ns: int) -> float | Undefined:
    """The constant yearly growth rate that leads from the starting to the ending equity.

    Unit: fraction per year of 365 days. Formula: (end / start) ** (365 d / elapsed) - 1.
    Source: compound annual growth rate, CFA Institute, Quantitative Methods.
    """
    if start <= 0:
        return Undefined("there was no starting equity")
    if end <= 0:
        return Undefined("equity ended at or below zero")
    if elapsed_ns <= 0:
        return Undefined("the window has no length")
    try:
        rate = float(end / start) ** (YEAR_NS / elapsed_ns) - 1.0
    except OverflowError:
        return Undefined("the window is too short to speak of a year")
    return rate if isfinite(rate) else Undefined("the window is too short to speak of a year")


def volatility(returns: FloatArray, periods_per_year: float) -> float | Undefined:
    """How far returns typically stray from their mean in a year.

    Unit: fraction per square root of a year. Formula: s * sqrt(periods per year), s with n - 1.
    Source: the sample standard deviation with Bessel's correction, square-root-of-time rule.
    """
    if len(returns) < 2:
        return Undefined("needs at least 2 returns")
    return float(np.std(returns, ddof=1)) * sqrt(periods_per_year)


def sharpe(
    returns: FloatArray, periods_per_year: float, risk_free: float = 0.0
) -> float | Undefined:
    """Return earned above the risk-free rate, per unit of risk taken, in a year.

    Unit: ratio. Formula: mean(r - rf) / s(r - rf) * sqrt(periods per year), s with n - 1; ``rf`` is
    the rate per period. Source: W. F. Sharpe, The Sharpe Ratio, J. of Portfolio Management, 1994.
    """
    excess = returns - risk_free
    if len(excess) < 2:
        return Undefined("needs at least 2 returns")
    spread, largest = float(np.std(excess, ddof=1)), float(np.max(np.abs(excess)))
    if spread <= FLAT * largest or largest < NOISE:
        return Undefined("all returns are equal, so there is no risk to divide by")
    return float(np.mean(excess)) / spread * sqrt(periods_per_year)


def sharpe_standard_error(
    returns: FloatArray, periods_per_year: float, risk_free: float = 0.0
) -> float | Undefined:
    """How far the measured Sharpe ratio may lie from the true one, by chance alone (one sigma).

    Unit: ratio. Formula: sqrt((1 + S**2 / 2) / n) * sqrt(periods per year), S per period; for
    independent returns. Source: A. W. Lo, The Statistics of Sharpe Ratios, FAJ 58(4), 2002.
    """
    ratio = sharpe(returns, 1.0, risk_free)
    if isinstance(ratio, Undefined):
        return ratio
    return sqrt((1.0 + ratio**2 / 2.0) / len(returns)) * sqrt(periods_per_year)


def sortino(returns: FloatArray, periods_per_year: float, target: float = 0.0) -> float | Undefined:
    """Return earned above a target, per unit of falling short of it, in a year.

    Unit: ratio. Formula: mean(r - t) / sqrt(mean(min(r - t, 0) ** 2)) * sqrt(periods per year),
    both means over all returns. Source: F. Sortino and L. Price, J. of Investing 3(3), 1994.
    """
    if len(returns) < 2:
        return Undefined("needs at least 2 returns")
    excess = returns - target
    shortfall = sqrt(float(np.mean(np.minimum(excess, 0.0) ** 2)))
    if shortfall == 0.0:
        return Undefined("no return fell short of the target")
    return float(np.mean(excess)) / shortfall * sqrt(periods_per_year)


@dataclass(frozen=True, slots=True)
class Drawdown:
    """A fall from a peak; ``depth`` is a fraction <= 0, ``recovered_ns`` None while under water."""

    depth: float
    peak_ns: int
    trough_ns: int
    recovered_ns: int | None
    end_ns: int

    @property
    def duration_ns(self) -> int:
        """From the peak to the recovery, or to the end of the window where there was none."""
        return (self.end_ns if self.recovered_ns is None else self.recovered_ns) - self.peak_ns


def drawdown_curve(equity: FloatArray) -> FloatArray:
    """How far equity stands below its highest value so far.

    Unit: fraction <= 0. Formula: E[t] / max(E[0..t]) - 1. Source: M. Magdon-Ismail and A. Atiya,
    Maximum Drawdown, Risk 17(10), 2004. Zero while the highest value is not above zero.
    """
    peaks = np.maximum.accumulate(equity)
    safe = np.where(peaks > 0, peaks, 1.0)
    return np.where(peaks > 0, equity / safe - 1.0, 0.0)


def max_drawdown(ts_ns: IntArray, equity: FloatArray) -> Drawdown | Undefined:
    """The deepest fall from a peak, with its times.

    Unit: fraction <= 0 and ns. Formula: min over t of E[t] / max(E[0..t]) - 1; the earliest of
    equally deep ones. Source: as `drawdown_curve`.
    """
    if len(equity) == 0:
        return Undefined("there is no equity")
    if equity[0] <= 0:
        return Undefined("there was no starting equity")
    curve = drawdown_curve(equity)
    trough = int(np.argmin(curve))
    before = equity[: trough + 1]
    peak = int(np.flatnonzero(before == before.max())[-1])  # the moment it left the peak
    back = np.flatnonzero(equity[trough:] >= equity[peak])
    recovered = int(ts_ns[trough + back[0]]) if len(back) else None
    return Drawdown(
        float(curve[trough]), int(ts_ns[peak]), int(ts_ns[trough]), recovered, int(ts_ns[-1])
    )


def longest_drawdown_ns(ts_ns: IntArray, equity: FloatArray) -> int | Undefined:
    """The longest time from a peak until equity stood as high again, or until the end.

    Unit: ns. Formula: max over all falls of (recovery or end) - peak. Source: as `drawdown_curve`.
    """
    if len(equity) == 0:
        return Undefined("there is no equity")
    peaks = np.maximum.accumulate(equity)
    at_peak = np.append(np.flatnonzero(equity >= peaks), len(equity) - 1)
    below = np.diff(at_peak) > 1
    below[-1:] = equity[-1] < peaks[-1]
    spans = np.diff(ts_ns[at_peak])[below]
    return int(spans.max()) if len(spans) else 0


def calmar(growth: float | Undefined, depth: float | Undefined) -> float | Undefined:
    """Yearly growth per unit of the deepest fall.

    Unit: ratio. Formula: CAGR / |max drawdown|. Source: T. W. Young, Futures 20(1), 1991 (there
    over 36 months, here over the whole window).
    """
    if isinstance(growth, Undefined):
        return growth
    if isinstance(depth, Undefined):
        return depth
    if depth == 0.0:
        return Undefined("equity never fell below a peak")
    return growth / abs(depth)
