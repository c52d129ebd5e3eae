"""Equal risk contributions: each strategy adds the same part to the venue's variance.

The shares x solve x_i * (C x)_i = 1 / n for the covariance matrix C, found by cyclical coordinate
descent (Griveau-Billion, Richard, Roncalli 2013), then scaled to the budget. Unlike inverse
volatility, strategies that move together count as one.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from strategies.capital.allocation.statistics import ONE, ZERO, Returns, covariance

ROUNDS = 100
CLOSE_ENOUGH = Decimal("1e-12")


def shares(budget: Decimal, returns: Mapping[str, Returns]) -> dict[str, Decimal]:
    """Share a budget; every strategy's returns must vary."""
    names = list(returns)
    matrix = [[covariance(returns[a], returns[b]) for b in names] for a in names]
    parts = _solve(matrix)
    whole = sum(parts, ZERO)
    return {name: budget * part / whole for name, part in zip(names, parts, strict=True)}


def _solve(matrix: Sequence[Sequence[Decimal]]) -> list[Decimal]:
    count = len(matrix)
    goal = ONE / count
    parts = [ONE / matrix[i][i].sqrt() for i in range(count)]
    for _ in range(ROUNDS):
        furthest = ZERO
        for i, row in enumerate(matrix):
            others = sum((row[j] * parts[j] for j in range(count) if j != i), ZERO)
            root = (others * others + 4 * row[i] * goal).sqrt()
            # The same root twice: the difference of near equals would lose all digits.
            found = (root - others) / (2 * row[i]) if others < 0 else 2 * goal / (root + others)
            furthest = max(furthest, abs(found / parts[i] - ONE))
            parts[i] = found
        if furthest < CLOSE_ENOUGH:
            break
    return parts
