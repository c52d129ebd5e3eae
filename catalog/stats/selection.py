"""How far a Sharpe ratio may be believed: by its sample, and by how many variants were tried.

Rule: everything is computed from Sharpe ratios per period, never from yearly ones.
"""

from math import e, sqrt
from statistics import NormalDist

from catalog.stats.returns import FloatArray, sharpe
from catalog.stats.shape import kurtosis, skew
from catalog.stats.values import Undefined

EULER = 0.5772156649015329
NORMAL = NormalDist()


def _spread(returns: FloatArray) -> tuple[float, float] | Undefined:
    """Return the Sharpe ratio per period and the root in the denominator of its deviation."""
    ratio, lopsided, fat = sharpe(returns, 1.0), skew(returns), kurtosis(returns)
    for value in (ratio, lopsided, fat):
        if isinstance(value, Undefined):
            return value
    if (
        isinstance(ratio, Undefined)
        or isinstance(lopsided, Undefined)
        or isinstance(fat, Undefined)
    ):
        return Undefined("needs at least 4 returns")
    square = 1.0 - lopsided * ratio + (fat + 2.0) / 4.0 * ratio**2
    return Undefined("too lopsided for this formula") if square <= 0 else (ratio, sqrt(square))


def probabilistic_sharpe(returns: FloatArray, threshold: float = 0.0) -> float | Undefined:
    """How probable it is that the true Sharpe ratio is above zero, given sample, skew and tails.

    Unit: fraction. Formula: N((S - S0) * sqrt(n - 1) / sqrt(1 - g1 * S + (g2 + 2) / 4 * S ** 2)),
    S per period with n - 1, g2 excess. Source: D. Bailey and M. Lopez de Prado, The Sharpe Ratio
    Efficient Frontier, Journal of Risk 15(2), 2012.
    """
    found = _spread(returns)
    if isinstance(found, Undefined):
        return found
    ratio, spread = found
    return NORMAL.cdf((ratio - threshold) * sqrt(len(returns) - 1) / spread)


def expected_best_sharpe(count: int, trials: int) -> float:
    """The Sharpe ratio per period that the best of ``trials`` worthless variants would show.

    Unit: ratio. Formula: sqrt(1 / (n - 1)) * ((1 - c) * Z(1 - 1/N) + c * Z(1 - 1/(N * e))), c
    Euler's constant. Source: as `deflated_sharpe`; the spread of the trials is that of chance.
    """
    if trials < 2:
        return 0.0
    first = NORMAL.inv_cdf(1.0 - 1.0 / trials)
    second = NORMAL.inv_cdf(1.0 - 1.0 / (trials * e))
    return sqrt(1.0 / (count - 1)) * ((1.0 - EULER) * first + EULER * second)


def deflated_sharpe(returns: FloatArray, trials: int | None) -> float | Undefined:
    """How probable it is that the true Sharpe ratio is above zero, given how many were tried.

    Unit: fraction. Formula: the probabilistic Sharpe ratio against the best of N worthless
    variants. Source: D. Bailey and M. Lopez de Prado, The Deflated Sharpe Ratio, J. of Portfolio
    Management 40(5), 2014.
    """
    if trials is None:
        return Undefined("say how many variants were tried: [report] trials")
    if len(returns) < 4:
        return Undefined("needs at least 4 returns")
    return probabilistic_sharpe(returns, expected_best_sharpe(len(returns), trials))


def shortest_track_record(returns: FloatArray, confidence: float = 0.95) -> int | Undefined:
    """How many periods like these it takes to be 95 % sure that the Sharpe ratio is above zero.

    Unit: count. Formula: 1 + (1 - g1 * S + (g2 + 2) / 4 * S ** 2) * (Z(95 %) / S) ** 2, rounded up.
    Source: Bailey and Lopez de Prado, 2012, as `probabilistic_sharpe`.
    """
    found = _spread(returns)
    if isinstance(found, Undefined):
        return found
    ratio, spread = found
    if ratio <= 0:
        return Undefined("the Sharpe ratio is not above zero")
    return int(1.0 + (spread * NORMAL.inv_cdf(confidence) / ratio) ** 2) + 1
