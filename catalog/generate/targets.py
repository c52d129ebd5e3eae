"""A day that must hit a given open, high, low, close and volume: bends a drawn path to them.

Rule: the path keeps its shape; it is moved and stretched between its own high and low, which become
the given ones, and never leaves the span between them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.generate.chance import Ints

LEAST_QUOTES = 16


@dataclass(frozen=True, slots=True)
class Targets:
    """One symbol's day: prices and volume in units, volume at least 1."""

    open: int
    high: int
    low: int
    close: int
    volume: int

    @property
    def prints_needed(self) -> int:
        """Fewest trades that can have these prices: each needs a volume of at least one."""
        inside = int(self.has_high) + int(self.has_low)
        return 1 + inside + int(bool(inside) or self.close != self.open)

    @property
    def has_high(self) -> bool:
        """Say whether the high lies above open and close, so that a trade must go there."""
        return self.high > max(self.open, self.close)

    @property
    def has_low(self) -> bool:
        """Say whether the low lies below open and close, so that a trade must go there."""
        return self.low < min(self.open, self.close)


@dataclass(frozen=True, slots=True)
class Anchors:
    """Quotes at which a day is at its high and at its low, None where an auction is there."""

    high_at: int | None = None
    low_at: int | None = None
    high: int = 0
    low: int = 0

    def inside(self) -> Iterator[tuple[int, int]]:
        """Yield quote and price of each."""
        if self.high_at is not None:
            yield self.high_at, self.high
        if self.low_at is not None:
            yield self.low_at, self.low


def anchors(path: Ints, targets: Targets) -> Anchors:
    """Choose where the day is at its high and low: where the path is, its trend left out."""
    level = _without_trend(path)[1:-1]
    high_at = int(level.argmax()) + 1
    low_at = int(level.argmin()) + 1
    if high_at == low_at:
        low_at = high_at + 1 if high_at < len(level) else high_at - 1
    return Anchors(
        high_at if targets.has_high else None,
        low_at if targets.has_low else None,
        targets.high,
        targets.low,
    )


def bend(path: Ints, targets: Targets, hits: Anchors) -> Ints:
    """Return prices that start at the open, end at the close and meet high and low in between."""
    level = _without_trend(path)
    spread = int(level.max() - level.min())
    height = targets.high - targets.low
    level = level * height // spread if spread else 0 * level
    fixed = sorted([(0, targets.open), *hits.inside(), (len(path) - 1, targets.close)])
    at = np.array([place for place, _ in fixed])
    price = np.array([each for _, each in fixed])
    bent = level - _between(at, level[at], len(path)) + _between(at, price, len(path))
    prices: Ints = np.clip(bent, targets.low, targets.high)
    return prices


def thin_out(traded: npt.NDArray[np.bool_], targets: Targets, hits: Anchors) -> Ints:
    """Return the quotes that are followed by a trade, no more than the volume has room for."""
    must = [at for at, _ in hits.inside()]
    others = traded.copy()
    others[must] = False
    at = np.flatnonzero(others)
    room = max(0, targets.volume - 2 - len(must))  # two are the auctions'
    if len(at) > room:
        at = at[np.arange(room) * len(at) // max(1, room)]
    return np.sort(np.append(at, np.array(must, np.int64)))


def share_out(weights: Ints, volume: int) -> Ints:
    """Share a volume out by weights, at least one each, exactly."""
    spare = volume - len(weights)
    whole = int(weights.sum())
    shares = 1 + np.array([spare * weight // whole for weight in weights.tolist()], np.int64)
    shares[: volume - int(shares.sum())] += 1
    return shares


def _without_trend(path: Ints) -> Ints:
    return path - _between(np.array([0, len(path) - 1]), path[[0, -1]], len(path))


def _between(at: Ints, values: Ints, count: int) -> Ints:
    """Draw straight lines, in integers, through ``values`` at the places ``at``."""
    place = np.arange(count, dtype=np.int64)
    left = np.minimum(np.searchsorted(at, place, side="right") - 1, len(at) - 2)
    width = at[left + 1] - at[left]
    drawn: Ints = values[left] + (values[left + 1] - values[left]) * (place - at[left]) // width
    return drawn
