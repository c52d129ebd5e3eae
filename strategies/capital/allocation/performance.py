"""Shares by decayed performance: more to what earned lately, within a floor and a ceiling.

score_i = decayed mean of returns / their deviation; factor_i = 1 + gain * score_i, held between
floor and ceiling; share_i = weight_i * factor_i, scaled down where the shares exceed the budget.
"""

from collections.abc import Mapping
from decimal import Decimal

from strategies.capital.allocation.statistics import ONE, ZERO, Returns, deviation
from strategies.capital.config import AllocationRules


def shares(
    budget: Decimal,
    weights: Mapping[str, Decimal],
    returns: Mapping[str, Returns],
    rules: AllocationRules,
) -> dict[str, Decimal]:
    """Share a budget; every strategy's returns must vary."""
    parts = {name: weights[name] * factor(values, rules) for name, values in returns.items()}
    return scaled_down(budget, parts)


def factor(returns: Returns, rules: AllocationRules) -> Decimal:
    """Return what a strategy's weight is multiplied by."""
    score = decayed_mean(returns, rules.decay) / deviation(returns)
    return min(rules.ceiling, max(rules.floor, ONE + rules.gain * score))


def decayed_mean(returns: Returns, decay: Decimal) -> Decimal:
    """Return the mean in which each return weighs ``decay`` of the next newer one."""
    total, whole, weight = ZERO, ZERO, ONE
    for value in reversed(returns):
        total += weight * value
        whole += weight
        weight *= decay
    return total / whole if whole else ZERO


def scaled_down(budget: Decimal, parts: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Scale parts down to a budget; parts that fit stay as they are."""
    whole = sum(parts.values(), ZERO)
    if whole <= budget:
        return dict(parts)
    return {name: budget * part / whole for name, part in parts.items()}
