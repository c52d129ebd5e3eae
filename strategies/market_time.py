"""The venue's clock as a value: wall time maps to market time by an origin and a speed.

Rule: exact integers, no clock is read here. A market moment is reached at the first wall
nanosecond that is not before it, so nothing planned for it comes too early.
"""

from dataclasses import dataclass
from fractions import Fraction

from strategies.errors import BadInput


@dataclass(frozen=True, slots=True)
class MarketTime:
    """At wall time ``origin_wall_ns`` the market is at ``origin_market_ns``; ``speed`` market
    nanoseconds pass in each of the wall's. The default is that of real venues: both are one.

    Raises BadInput where ``speed`` is not above 0.
    """

    origin_wall_ns: int = 0
    origin_market_ns: int = 0
    speed: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if self.speed <= 0:
            raise BadInput(f"a market cannot pass at speed {self.speed}; give one above 0.")

    def at(self, wall_ns: int) -> int:
        """Return the market time of a wall time, rounded down to the nanosecond."""
        passed = (wall_ns - self.origin_wall_ns) * self.speed.numerator
        return self.origin_market_ns + passed // self.speed.denominator

    def wall(self, market_ns: int) -> int:
        """Return the first wall time at which the market has reached ``market_ns``."""
        ahead = (market_ns - self.origin_market_ns) * self.speed.denominator
        return self.origin_wall_ns - -ahead // self.speed.numerator


REAL = MarketTime()
"""The clock of real venues."""
