"""What all shares of a market have in common on a day: its factor, its sectors' and their gaps.

Rule: integers in billionths (ppb) of a price; one draw per seed and session, so that a symbol's day
stays the same whatever else is generated.
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np

from catalog.generate.chance import Chance, Ints

SECTORS = 12
PERCENT_PPB = 10_000_000
MINUTE_NS = 60_000_000_000

_MARKET_PPB = PERCENT_PPB * 8 // 10
_SECTOR_PPB = PERCENT_PPB * 7 // 10
_MARKET_GAP_PPB = PERCENT_PPB * 4 // 10
_SECTOR_GAP_PPB = PERCENT_PPB * 3 // 10


@dataclass(frozen=True, slots=True)
class Factors:
    """Returns per minute and at the open, of the market and of each sector, in ppb."""

    market: Ints
    sectors: tuple[Ints, ...]
    market_gap: int
    sector_gaps: tuple[int, ...]

    def minutes(self, exposure: "Exposure") -> Ints:
        """Return what a symbol's price owes to the factors, minute by minute."""
        return exposure.market * self.market // 1_000 + (
            exposure.loading * self.sectors[exposure.sector] // 1_000
        )

    def gap(self, exposure: "Exposure") -> int:
        """Return what a symbol's opening gap owes to the factors."""
        return exposure.market * self.market_gap // 1_000 + (
            exposure.loading * self.sector_gaps[exposure.sector] // 1_000
        )


@dataclass(frozen=True, slots=True)
class Exposure:
    """How a symbol follows the market and its sector, in thousandths."""

    sector: int
    market: int
    loading: int


def draw_exposure(nature: Chance) -> Exposure:
    """Draw a symbol's sector and how closely it follows it and the market."""
    return Exposure(nature.one(SECTORS), 500 + nature.one(1_000), 400 + nature.one(1_000))


def draw_factors(chance: Chance, minutes: int) -> Factors:
    """Draw one day of the market and its sectors; their volatility is highest at the edges."""
    shape = u_shape(minutes)
    sectors = tuple(_minutes(chance, shape, _SECTOR_PPB) for _ in range(SECTORS))
    gaps = chance.noise(SECTORS, _SECTOR_GAP_PPB)
    return Factors(
        _minutes(chance, shape, _MARKET_PPB),
        sectors,
        int(chance.noise(1, _MARKET_GAP_PPB)[0]),
        tuple(gaps.tolist()),
    )


def u_shape(minutes: int) -> Ints:
    """Return how busy each minute is: 400 at the edges, 100 in the middle."""
    minute = np.arange(minutes, dtype=np.int64)
    return 100 + (2 * minute - minutes) ** 2 * 300 // (minutes * minutes)


def _minutes(chance: Chance, shape: Ints, day_ppb: int) -> Ints:
    total = int(shape.sum())
    sizes = [isqrt(day_ppb * day_ppb * weight // total) for weight in shape.tolist()]
    returns: Ints = chance.noise(len(shape), 1_000) * np.array(sizes) // 1_000
    return returns
