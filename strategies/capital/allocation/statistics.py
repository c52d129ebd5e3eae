"""Means and covariances of sampled returns, the same digits on every machine.

Rule: Decimal arithmetic; whoever starts it sets CONTEXT. Sums run in the order of the samples.
"""

from collections.abc import Sequence
from decimal import ROUND_HALF_EVEN, Context, Decimal

CONTEXT = Context(prec=34, rounding=ROUND_HALF_EVEN)
ZERO, ONE = Decimal(0), Decimal(1)

type Returns = Sequence[Decimal]


def mean(values: Returns) -> Decimal:
    """Return the arithmetic mean, 0 of nothing."""
    return sum(values, ZERO) / len(values) if values else ZERO


def covariance(left: Returns, right: Returns) -> Decimal:
    """Return the population covariance of the newest samples both have."""
    count = min(len(left), len(right))
    if count == 0:
        return ZERO
    ours, theirs = left[-count:], right[-count:]
    a, b = mean(ours), mean(theirs)
    products = ((x - a) * (y - b) for x, y in zip(ours, theirs, strict=True))
    return sum(products, ZERO) / count


def variance(values: Returns) -> Decimal:
    """Return the population variance."""
    return covariance(values, values)


def deviation(values: Returns) -> Decimal:
    """Return the population standard deviation."""
    return variance(values).sqrt()
