"""Each allocation method against shares worked out by hand, and what holds for all of them."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.capital.allocation.performance import decayed_mean, factor
from strategies.capital.allocation.shares import venue_shares
from strategies.capital.allocation.statistics import covariance, deviation, mean, variance
from strategies.capital.config import AllocationRules, Method

D = Decimal
CALM = tuple(map(D, ("0.01", "-0.01")))  # mean 0, deviation 0.01
WILD = tuple(map(D, ("0.04", "-0.04")))  # mean 0, deviation 0.04


def rules(method: Method, **changes: object) -> AllocationRules:
    values = {"method": method, "samples": 2, "window": 10, **changes}
    return AllocationRules(**values)


def shares(rule: AllocationRules, weights: dict[str, str], **returns: object) -> dict[str, Decimal]:
    found = venue_shares({k: D(v) for k, v in weights.items()}, returns, rule)
    return {name: share for name, (share, _) in found.items()}


def test_moments_by_hand() -> None:
    values = tuple(map(D, ("1", "2", "6")))
    assert mean(values) == 3
    # (4 + 1 + 9) / 3
    assert variance(values).quantize(D("1e-9")) == D("4.666666667")
    assert deviation(CALM) == D("0.01")
    # of the newest two: (2 - 4)(1 - 2) + (6 - 4)(3 - 2) = 4, over 2
    assert covariance(values, tuple(map(D, ("1", "3")))) == 2


def test_fixed_weights_are_the_shares() -> None:
    found = shares(rules(Method.FIXED), {"a": "0.3", "b": "0.5"}, a=CALM, b=WILD)
    assert found == {"a": D("0.3"), "b": D("0.5")}


def test_inverse_volatility_by_hand() -> None:
    # 1 / 0.01 = 100 and 1 / 0.04 = 25: four fifths and one fifth of a budget of 0.5
    found = shares(rules(Method.INVERSE_VOLATILITY), {"a": "0.25", "b": "0.25"}, a=CALM, b=WILD)
    assert found == {"a": D("0.4"), "b": D("0.1")}


def test_equal_risk_of_independent_strategies_is_inverse_volatility() -> None:
    a = tuple(map(D, ("0.01", "0.01", "-0.01", "-0.01")))
    b = tuple(map(D, ("0.04", "-0.04", "0.04", "-0.04")))
    assert covariance(a, b) == 0
    found = shares(rules(Method.EQUAL_RISK), {"a": "0.25", "b": "0.25"}, a=a, b=b)
    assert {k: v.quantize(D("1e-10")) for k, v in found.items()} == {"a": D("0.4"), "b": D("0.1")}


def test_equal_risk_counts_strategies_that_move_together_once() -> None:
    # a and b are the same, c is independent, all equally wild. With x for a and b and z for c the
    # contributions x (x + x) v and z z v are equal where z = x sqrt 2: x = 1 / (2 + sqrt 2).
    same = tuple(map(D, ("0.01", "0.01", "-0.01", "-0.01")))
    other = tuple(map(D, ("0.01", "-0.01", "0.01", "-0.01")))
    weights = {"a": "0.2", "b": "0.3", "c": "0.5"}
    found = shares(rules(Method.EQUAL_RISK), weights, a=same, b=same, c=other)
    assert found["a"].quantize(D("1e-9")) == found["b"].quantize(D("1e-9")) == D("0.292893219")
    assert found["c"].quantize(D("1e-9")) == D("0.414213562")


def test_equal_risk_of_strategies_that_hedge_each_other_fully() -> None:
    # Without each other's risk there is none: any scale does, and the halves are equal.
    a = tuple(map(D, ("0.03", "-0.01", "0.02")))
    found = shares(rules(Method.EQUAL_RISK), {"a": "0.3", "b": "0.3"}, a=a, b=tuple(-x for x in a))
    assert abs(found["a"] - D("0.3")) < D("0.01")
    assert abs(found["b"] - D("0.3")) < D("0.01")


def test_the_decayed_mean_by_hand() -> None:
    # newest first: 4 + 2 * 0.5 + 1 * 0.25 = 5.25, over 1.75
    assert decayed_mean(tuple(map(D, ("1", "2", "4"))), D("0.5")) == 3


def test_performance_by_hand() -> None:
    # a: mean 0.02, deviation 0.02 -> score 1; b: score -1; factors 1 +- 0.25
    a, b = tuple(map(D, ("0", "0.04"))), tuple(map(D, ("0", "-0.04")))
    rule = rules(Method.PERFORMANCE, decay=D(1), gain=D("0.25"))
    assert (factor(a, rule), factor(b, rule)) == (D("1.25"), D("0.75"))
    weights = {"a": "0.4", "b": "0.4"}
    found = shares(rule, weights, a=a, b=b)
    assert found == {"a": D("0.5"), "b": D("0.3")}
    # a gain of 10 is cut to the ceiling of 1.5 and the floor of 0.5
    steep = rules(Method.PERFORMANCE, decay=D(1), gain=D(10))
    assert shares(steep, weights, a=a, b=b) == {"a": D("0.6"), "b": D("0.2")}
    # two winners would take 1.2 of 0.8: both are scaled down
    assert shares(steep, weights, a=a, b=a) == {"a": D("0.4"), "b": D("0.4")}


def test_kelly_by_hand() -> None:
    # mean 0.002, variance 0.01 -> best 0.2, half of it 0.1
    good = tuple(map(D, ("0.102", "-0.098")))
    assert (mean(good), variance(good)) == (D("0.002"), D("0.01"))
    best = tuple(map(D, ("0.03", "0.01")))  # mean 0.02, variance 0.0001 -> 200: the cap
    bad = tuple(map(D, ("-0.03", "-0.01")))  # the floor
    rule = rules(Method.KELLY, cap=D("0.25"), kelly_floor=D("0.02"))
    weights = {"a": "0.3", "b": "0.3", "c": "0.3"}
    found = shares(rule, weights, a=good, b=best, c=bad)
    assert found == {"a": D("0.1"), "b": D("0.25"), "c": D("0.02")}


@pytest.mark.parametrize("method", [m for m in Method if m is not Method.FIXED])
def test_who_has_shown_too_little_keeps_its_weight(method: Method) -> None:
    rule = rules(method, samples=3)
    weights = {"new": "0.2", "still": "0.1", "a": "0.3", "b": "0.3"}
    returns = {
        "new": CALM,
        "still": (D(0),) * 3,
        "a": (*CALM, D("0.001")),
        "b": (*WILD, D("0.001")),
    }
    found = shares(rule, weights, **returns)
    assert (found["new"], found["still"]) == (D("0.2"), D("0.1"))
    assert found["a"] + found["b"] <= D("0.6") + D("1e-20")


RETURNS = st.lists(st.integers(-500, 500).map(lambda bps: D(bps) / 10_000), max_size=12)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(list(Method)), st.lists(RETURNS, min_size=1, max_size=5))
def test_shares_never_exceed_the_weights_together(
    method: Method, returns: list[list[Decimal]]
) -> None:
    names = "abcde"[: len(returns)]
    weights = {name: str(D(1) / 5) for name in names}
    named = {name: tuple(values) for name, values in zip(names, returns, strict=True)}
    found = shares(rules(method), weights, **named)
    assert all(share >= 0 for share in found.values())
    assert sum(found.values()) <= D("0.2") * len(names) + D("1e-20")
    assert found == shares(rules(method), weights, **named)
