"""What the same trades might have come to by luck: their order shuffled, or drawn again in blocks.

Rule: seeded, so that the same trades give the same bands; nothing here predicts, it shows how much
of a result is the order in which things happened.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

type FloatArray = NDArray[np.float64]

PATHS = 1_000
LEVELS = (5, 25, 50, 75, 95)
FEWEST_TRADES = 10
BUDGET = 4_000_000
"""Values held at once; more trades give fewer paths, never below 200."""


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """Equity after each trade at five levels of luck, and how deep the paths fell.

    ``steps``: number of trades taken. ``level``: per cent -> equity at each step. ``ends`` and
    ``falls`` (fractions <= 0) hold the same levels of the last value and the deepest fall.
    ``loss_share``: the part of paths that ended below the start.
    """

    paths: int
    steps: NDArray[np.int64]
    level: dict[int, FloatArray]
    ends: dict[int, float]
    falls: dict[int, float]
    loss_share: float


def shuffled(results: Sequence[float], start: float, seed: int) -> Bands | None:
    """Put the trades in other orders: the end is the same, the way there is not.

    None below ten trades: there are too few orders to learn from.
    """
    if len(results) < FEWEST_TRADES:
        return None
    chance = np.random.default_rng([seed, 1])
    drawn = chance.permuted(np.tile(_array(results), (_paths(results), 1)), axis=1)
    return _bands(drawn, start)


def block_bootstrap(
    results: Sequence[float], start: float, seed: int, block: int | None = None
) -> Bands | None:
    """Draw runs of neighbouring trades again, with repetition, until there are as many.

    ``block`` trades stay together, so that streaks survive; default the cube root of their number
    (P. Hall, J. Horowitz and B.-Y. Jing, Biometrika 82(3), 1995). The blocks wrap around (D.
    Politis and J. Romano, 1992). None below ten trades.
    """
    if len(results) < FEWEST_TRADES:
        return None
    values, n = _array(results), len(results)
    size = block or max(round(n ** (1 / 3)), 2)
    chance = np.random.default_rng([seed, 2])
    first = chance.integers(0, n, (_paths(results), ceil(n / size)))
    spots = (first[:, :, None] + np.arange(size)) % n
    return _bands(values[spots.reshape(len(first), -1)[:, :n]], start)


def _array(results: Sequence[float]) -> FloatArray:
    return np.asarray(results, dtype=np.float64)


def _paths(results: Sequence[float]) -> int:
    return min(PATHS, max(BUDGET // len(results), 200))


def _bands(drawn: FloatArray, start: float) -> Bands:
    equity = np.concatenate(
        [np.full((len(drawn), 1), start), start + np.cumsum(drawn, axis=1)], axis=1
    )
    peaks = np.maximum.accumulate(equity, axis=1)
    below = np.where(peaks > 0, equity / np.where(peaks > 0, peaks, 1.0) - 1.0, 0.0)
    steps = np.unique(np.linspace(0, equity.shape[1] - 1, 160).astype(np.int64))
    rows = np.percentile(equity[:, steps], LEVELS, axis=0)
    falls = np.percentile(below.min(axis=1), LEVELS)
    ends = np.percentile(equity[:, -1], LEVELS)
    return Bands(
        paths=len(drawn),
        steps=steps,
        level=dict(zip(LEVELS, rows, strict=True)),
        ends=dict(zip(LEVELS, map(float, ends), strict=True)),
        falls=dict(zip(LEVELS, map(float, falls), strict=True)),
        loss_share=float(np.mean(equity[:, -1] < start)),
    )
