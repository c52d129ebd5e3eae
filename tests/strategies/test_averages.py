"""Crossings on integers are exactly those of rational arithmetic, ties included."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.averages import EMA_BITS, EmaPair, SmaPair
from strategies.markets.facts import RAW_ONE

TICK_RAW = RAW_ONE // 10

grids = st.lists(st.integers(min_value=-3, max_value=3), min_size=1, max_size=120).map(
    lambda steps: [(700_000 + sum(steps[: i + 1])) * TICK_RAW for i in range(len(steps))]
)
levels = st.lists(st.integers(min_value=1, max_value=4), min_size=1, max_size=120).map(
    lambda ticks: [tick * TICK_RAW for tick in ticks]
)
lengths = st.tuples(st.integers(1, 8), st.integers(1, 12)).map(lambda n: (n[0], n[0] + n[1]))


def crossings(differences: list[Fraction | None]) -> list[int]:
    """State the tie rule once more, on exact differences; None is before warm-up."""
    found, side = [], 0
    for difference in differences:
        sign = 0 if not difference else (1 if difference > 0 else -1)
        found.append(sign if sign and side and sign != side else 0)
        side = sign or side
    return found


def sma_differences(prices: list[int], fast: int, slow: int) -> list[Fraction | None]:
    return [
        Fraction(sum(prices[i + 1 - fast : i + 1]), fast)
        - Fraction(sum(prices[i + 1 - slow : i + 1]), slow)
        if i + 1 >= slow
        else None
        for i in range(len(prices))
    ]


def exact_ema(prices: list[int], length: int) -> list[Fraction]:
    values = [Fraction(prices[0])]
    for price in prices[1:]:
        values.append(values[-1] + (price - values[-1]) * Fraction(2, length + 1))
    return values


@given(prices=grids | levels, n=lengths)
def test_sma_crossings_are_exact(prices: list[int], n: tuple[int, int]) -> None:
    pair = SmaPair(*n)
    assert [pair.update(price) for price in prices] == crossings(sma_differences(prices, *n))


@given(prices=grids | levels, n=lengths)
def test_sma_values_are_exact(prices: list[int], n: tuple[int, int]) -> None:
    pair = SmaPair(*n)
    for price in prices:
        pair.update(price)
    if len(prices) >= n[1]:
        fast, slow = (Fraction(*value) for value in pair.values())
        assert fast - slow == sma_differences(prices, *n)[-1]
        assert fast == Fraction(sum(prices[-n[0] :]), n[0])


@given(prices=grids | levels, n=lengths)
def test_ema_lies_within_its_stated_rounding(prices: list[int], n: tuple[int, int]) -> None:
    pair = EmaPair(*n)
    exact = [exact_ema(prices, length) for length in n]
    for i, price in enumerate(prices):
        pair.update(price)
        for value, length, reference in zip(pair.values(), n, exact, strict=True):
            below = (reference[i] - Fraction(*value)) * (1 << EMA_BITS)
            assert 0 <= below < Fraction(length + 1, 2)


@given(prices=grids | levels, n=lengths)
def test_ema_crossings_are_those_of_its_own_integers(prices: list[int], n: tuple[int, int]) -> None:
    pair = EmaPair(*n)
    differences: list[Fraction | None] = []
    found = []
    for i, price in enumerate(prices):
        found.append(pair.update(price))
        fast, slow = (Fraction(*value) for value in pair.values())
        differences.append(fast - slow if i + 1 >= n[1] else None)
    assert found == crossings(differences)


@given(prices=grids, n=lengths)
def test_ema_crossings_are_exact_where_no_tie_is_near(
    prices: list[int], n: tuple[int, int]
) -> None:
    pair = EmaPair(*n)
    found = [pair.update(price) for price in prices]
    fast, slow = (exact_ema(prices, length) for length in n)
    gaps = [a - b for a, b in zip(fast, slow, strict=True)]
    differences = [gap if i + 1 >= n[1] else None for i, gap in enumerate(gaps)]
    if all(gap is None or abs(gap) > 1 for gap in differences):
        assert found == crossings(differences)


@pytest.mark.parametrize(
    ("closes", "expected"),
    [
        pytest.param([1, 1, 1, 2], [0, 0, 0, 0], id="first-inequality-sets-the-side-only"),
        pytest.param([2, 1, 2], [0, 0, 1], id="up"),
        pytest.param([1, 2, 1], [0, 0, -1], id="down"),
        pytest.param([2, 1, 1, 2], [0, 0, 0, 1], id="a-tie-keeps-the-side"),
        pytest.param([2, 1, 1, 1, 0], [0, 0, 0, 0, 0], id="no-crossing-after-a-tie-back"),
    ],
)
@pytest.mark.parametrize("kind", [SmaPair, EmaPair])
def test_tie_rule(
    kind: type[SmaPair] | type[EmaPair], closes: list[int], expected: list[int]
) -> None:
    pair = kind(1, 2)
    assert [pair.update(close * RAW_ONE) for close in closes] == expected


def test_ema_tie_at_the_seed_keeps_the_side_unknown() -> None:
    pair = EmaPair(1, 2)
    assert [pair.update(x * RAW_ONE) for x in (5, 5, 5, 6, 4)] == [0, 0, 0, 0, -1]
