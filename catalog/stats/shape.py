"""The shape of returns: how lopsided they are, how fat their tails, how bad the bad ones.

Rule: as in `returns`, a return is a fraction per period, and what does not exist says why.
"""

from math import sqrt

import numpy as np

from catalog.stats.returns import FLAT, NOISE, FloatArray, drawdown_curve
from catalog.stats.values import Undefined

TAIL = 0.05
"""The worst twentieth: the usual level of value at risk."""
EVEN = Undefined("all returns are equal")


def _moments(returns: FloatArray, fewest: int) -> tuple[FloatArray, float] | Undefined:
    """Return deviations from the mean and their mean square, where there is any spread."""
    if len(returns) < fewest:
        return Undefined(f"needs at least {fewest} returns")
    away = returns - np.mean(returns)
    square = float(np.mean(away**2))
    largest = float(np.max(np.abs(returns)))
    return EVEN if sqrt(square) <= FLAT * largest or largest < NOISE else (away, square)


def skew(returns: FloatArray) -> float | Undefined:
    """How lopsided returns are: below zero, large losses are more common than large gains.

    Unit: ratio. Formula: m3 / m2 ** 1.5, moments over n. Source: R. A. Fisher's g1, as
    scipy.stats.skew; pandas and QuantStats show the sample-corrected G1, which is larger.
    """
    found = _moments(returns, 3)
    if isinstance(found, Undefined):
        return found
    away, square = found
    return float(np.mean(away**3)) / (square * sqrt(square))


def kurtosis(returns: FloatArray) -> float | Undefined:
    """How fat the tails are: above zero, extreme returns are more common than a normal curve says.

    Unit: ratio. Formula: m4 / m2 ** 2 - 3, moments over n. Source: R. A. Fisher's g2 (excess), as
    scipy.stats.kurtosis; pandas and QuantStats show the sample-corrected G2.
    """
    found = _moments(returns, 4)
    if isinstance(found, Undefined):
        return found
    away, square = found
    return float(np.mean(away**4)) / square**2 - 3.0


def value_at_risk(returns: FloatArray, tail: float = TAIL) -> float | Undefined:
    """The return that only the worst twentieth of periods fell below.

    Unit: fraction per period. Formula: the 5 % quantile of r, linear between neighbours. Source:
    historical simulation, P. Jorion, Value at Risk, 2006; as in empyrical. No normal curve is
    assumed (QuantStats assumes one).
    """
    if len(returns) < round(1 / tail):
        return Undefined(f"needs at least {round(1 / tail)} returns")
    return float(np.quantile(returns, tail))


def conditional_value_at_risk(returns: FloatArray, tail: float = TAIL) -> float | Undefined:
    """What the worst twentieth of periods returned on average.

    Unit: fraction per period. Formula: mean of the floor((n - 1) * 5 %) + 1 lowest r. Source:
    expected shortfall, C. Acerbi and D. Tasche, J. of Banking and Finance 26(7), 2002; the count
    as in empyrical.
    """
    if len(returns) < round(1 / tail):
        return Undefined(f"needs at least {round(1 / tail)} returns")
    count = int((len(returns) - 1) * tail) + 1
    return float(np.mean(np.partition(returns, count - 1)[:count]))


def omega(returns: FloatArray, target: float = 0.0) -> float | Undefined:
    """What was gained above a target for each unit that fell short of it.

    Unit: ratio. Formula: sum(max(r - t, 0)) / sum(max(t - r, 0)). Source: C. Keating and W. F.
    Shadwick, A Universal Performance Measure, 2002. Above 1 exactly where the mean is above t.
    """
    above = returns - target
    lost = -float(np.sum(above[above < 0]))
    if lost == 0.0:
        return Undefined("no return fell short of the target")
    return float(np.sum(above[above > 0])) / lost


def tail_ratio(returns: FloatArray, tail: float = TAIL) -> float | Undefined:
    """How large a very good period is beside a very bad one.

    Unit: ratio. Formula: |95 % quantile of r| / |5 % quantile of r|. Source: as in empyrical.
    """
    if len(returns) < round(1 / tail):
        return Undefined(f"needs at least {round(1 / tail)} returns")
    bad = abs(float(np.quantile(returns, tail)))
    if bad == 0.0:
        return Undefined("the 5 % quantile is zero")
    return abs(float(np.quantile(returns, 1 - tail))) / bad


def ulcer_index(equity: FloatArray) -> float | Undefined:
    """How deep and how long equity was below its peak, in one number.

    Unit: fraction. Formula: sqrt(mean(d ** 2)), d the fall below the peak at each close. Source:
    P. Martin and B. McCann, The Investor's Guide to Fidelity Funds, 1989.
    """
    if len(equity) == 0:
        return Undefined("there is no equity")
    if np.any(equity <= 0):
        return Undefined("equity was not above zero all the time")
    return sqrt(float(np.mean(drawdown_curve(equity) ** 2)))
