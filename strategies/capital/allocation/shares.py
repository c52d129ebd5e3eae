"""Picks the method and gives it only strategies that have shown enough; others keep their weight.

Rule: the shares of a venue never add up to more than the weights do.
"""

from collections.abc import Mapping
from decimal import Decimal, localcontext

from strategies.capital.allocation import equal_risk, inverse_volatility, kelly, performance
from strategies.capital.allocation.statistics import CONTEXT, ZERO, Returns, variance
from strategies.capital.config import AllocationRules, Method


def venue_shares(
    weights: Mapping[str, Decimal], returns: Mapping[str, Returns], rules: AllocationRules
) -> dict[str, tuple[Decimal, str]]:
    """Return each strategy's share of a venue and, in words, what it rests on.

    A strategy with fewer samples than ``rules.samples``, or whose returns never varied, keeps its
    weight; the others share what their own weights add up to.
    """
    if rules.method is Method.FIXED:
        return {name: (weight, f"fixed weight {weight}") for name, weight in weights.items()}
    with localcontext(CONTEXT):
        return _measured_shares(weights, returns, rules)


def _measured_shares(
    weights: Mapping[str, Decimal], returns: Mapping[str, Returns], rules: AllocationRules
) -> dict[str, tuple[Decimal, str]]:
    ready = {
        name: values
        for name, values in returns.items()
        if len(values) >= rules.samples and variance(values) > 0
    }
    budget = sum((weights[name] for name in ready), ZERO)
    found = _by_method(budget, weights, ready, rules) if ready else {}
    result = {}
    for name, weight in weights.items():
        if name in found:
            count = len(ready[name])
            words = f"{rules.method} over {count} samples, of a budget of {budget}"
            result[name] = (found[name], words)
        else:
            count = len(returns.get(name, ()))
            words = f"weight {weight}: {count} of {rules.samples} samples, or none that varied"
            result[name] = (weight, words)
    return result


def _by_method(
    budget: Decimal,
    weights: Mapping[str, Decimal],
    ready: Mapping[str, Returns],
    rules: AllocationRules,
) -> dict[str, Decimal]:
    match rules.method:
        case Method.INVERSE_VOLATILITY:
            return inverse_volatility.shares(budget, ready)
        case Method.EQUAL_RISK:
            return equal_risk.shares(budget, ready)
        case Method.PERFORMANCE:
            return performance.shares(budget, weights, ready, rules)
        case Method.KELLY:
            return kelly.shares(budget, ready, rules)
        case Method.FIXED:
            return {name: weights[name] for name in ready}
