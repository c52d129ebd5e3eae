"""Luck: seeded bands around the same trades."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.montecarlo import LEVELS, block_bootstrap, shuffled

RESULTS = [12.0, -7.0, 3.0, -5.0, 9.0, -11.0, 20.0, -2.0, -4.0, 6.0, 1.0, -3.0]
START = 1_000.0


def test_too_few_trades_have_no_bands() -> None:
    assert shuffled(RESULTS[:9], START, 1) is None
    assert block_bootstrap(RESULTS[:9], START, 1) is None


def test_another_order_ends_where_the_first_did() -> None:
    bands = shuffled(RESULTS, START, 7)
    assert bands is not None
    end = START + sum(RESULTS)
    assert all(value == pytest.approx(end) for value in bands.ends.values())
    assert bands.loss_share == 0.0
    assert bands.falls[5] < bands.falls[95] <= 0


@pytest.mark.parametrize("draw", [shuffled, block_bootstrap])
def test_the_same_seed_gives_the_same_bands(draw: object) -> None:
    assert callable(draw)
    one, two, other = draw(RESULTS, START, 7), draw(RESULTS, START, 7), draw(RESULTS, START, 8)
    assert np.array_equal(one.level[5], two.level[5])
    assert not np.array_equal(one.level[5], other.level[5])


def test_blocks_keep_neighbours_together() -> None:
    # Gain and loss of a pair cancel: drawn whole, a path never strays by more than one of them.
    pairs = [50.0, -50.0] * 10
    together = block_bootstrap(pairs, START, 3, block=2)
    assert together is not None
    assert abs(together.ends[5] - START) <= 50.0
    alone = block_bootstrap(pairs, START, 3, block=1)
    assert alone is not None
    assert alone.ends[5] < START - 100.0


def test_the_bootstraps_middle_is_the_mean() -> None:
    chance = np.random.default_rng(5)
    results = chance.normal(2.0, 10.0, 300).tolist()
    bands = block_bootstrap(results, START, 1)
    assert bands is not None
    spread = 10.0 * np.sqrt(300)
    assert abs(bands.ends[50] - START - sum(results)) < 0.2 * spread
    assert bands.ends[95] - bands.ends[5] == pytest.approx(2 * 1.645 * spread, rel=0.2)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=10, max_size=40), st.integers(0, 2**32))
def test_levels_are_in_order(results: list[float], seed: int) -> None:
    bands = block_bootstrap(results, START, seed)
    assert bands is not None
    rows = [bands.level[level] for level in LEVELS]
    assert all(np.all(low <= high) for low, high in pairwise(rows))
    assert all(row[0] == START for row in rows)
    assert bands.steps[0] == 0
    assert bands.steps[-1] == len(results)
