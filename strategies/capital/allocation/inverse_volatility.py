"""Shares in inverse proportion to volatility: each strategy moves the venue about equally.

share_i = budget * (1 / deviation_i) / sum of (1 / deviation_j)
"""

from collections.abc import Mapping
from decimal import Decimal

from strategies.capital.allocation.statistics import ONE, ZERO, Returns, deviation


def shares(budget: Decimal, returns: Mapping[str, Returns]) -> dict[str, Decimal]:
    """Share a budget; every strategy's returns must vary."""
    parts = {name: ONE / deviation(values) for name, values in returns.items()}
    whole = sum(parts.values(), ZERO)
    return {name: budget * part / whole for name, part in parts.items()}
