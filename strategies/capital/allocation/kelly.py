"""Fractional Kelly: the growth-optimal share, cut to a fraction, with a cap and a floor.

share_i = fraction * mean_i / variance_i, held between floor and cap; scaled down where the shares
exceed the budget. A strategy that loses keeps the floor, so that it can show it has recovered.
"""

from collections.abc import Mapping
from decimal import Decimal

from strategies.capital.allocation.performance import scaled_down
from strategies.capital.allocation.statistics import Returns, mean, variance
from strategies.capital.config import AllocationRules


def shares(
    budget: Decimal, returns: Mapping[str, Returns], rules: AllocationRules
) -> dict[str, Decimal]:
    """Share a budget; every strategy's returns must vary."""
    return scaled_down(budget, {name: _share(values, rules) for name, values in returns.items()})


def _share(returns: Returns, rules: AllocationRules) -> Decimal:
    best = mean(returns) / variance(returns)
    return min(rules.cap, max(rules.kelly_floor, rules.fraction * best))
