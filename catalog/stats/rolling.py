"""Statistics over a window that moves along the run: whether it was good all the time or once.

Rule: value i belongs to the window that ends at return i + window - 1; nothing is padded.
"""

from math import sqrt

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from catalog.stats.returns import FLAT, FloatArray

SHORTEST = 20
LONGEST = 90


def rolling_window(count: int) -> int:
    """Return the window for ``count`` returns: a fifth of them, from 20 to 90; 0 for too few."""
    return min(max(count // 5, SHORTEST), LONGEST) if count >= 2 * SHORTEST else 0


def rolling_volatility(returns: FloatArray, window: int, periods_per_year: float) -> FloatArray:
    """Volatility of each window.

    Unit, formula and source: as `returns.volatility`.
    """
    return np.asarray(
        np.std(sliding_window_view(returns, window), axis=1, ddof=1) * sqrt(periods_per_year)
    )


def rolling_sharpe(returns: FloatArray, window: int, periods_per_year: float) -> FloatArray:
    """Sharpe ratio of each window; nan where nothing moved in it.

    Unit, formula and source: as `returns.sharpe`.
    """
    parts = sliding_window_view(returns, window)
    spread = np.std(parts, axis=1, ddof=1)
    flat = spread <= FLAT * np.max(np.abs(parts), axis=1)
    safe = np.where(flat, 1.0, spread)
    ratio = np.mean(parts, axis=1) / safe * sqrt(periods_per_year)
    return np.where(flat, np.nan, ratio)


def rolling_beta(returns: FloatArray, benchmark: FloatArray, window: int) -> FloatArray:
    """Beta of each window against a benchmark; nan where the benchmark did not move.

    Unit, formula and source: as `relative.beta`.
    """
    own, other = sliding_window_view(returns, window), sliding_window_view(benchmark, window)
    away = other - np.mean(other, axis=1, keepdims=True)
    square = np.sum(away**2, axis=1)
    top = np.sum((own - np.mean(own, axis=1, keepdims=True)) * away, axis=1)
    return np.where(square > 0, top / np.where(square > 0, square, 1.0), np.nan)
