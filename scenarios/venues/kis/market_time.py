"""The venue's clock: wall time maps to market time by an origin and a speed.

Rule: rate windows, tokens and held sessions are counted in wall time; everything a market does,
in market time. All times are integer ns UTC; texts are Seoul time, as the venue writes them.
"""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from functools import lru_cache
from zoneinfo import ZoneInfo

SEOUL = ZoneInfo("Asia/Seoul")
SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS


@dataclass(frozen=True, slots=True)
class MarketTime:
    """At wall time ``origin_wall_ns`` the market is at ``origin_market_ns``, ``speed`` times as
    fast."""

    origin_wall_ns: int
    origin_market_ns: int
    speed: Fraction = Fraction(1)

    def market_ns(self, wall_ns: int) -> int:
        """Return the market time of a wall time."""
        passed = wall_ns - self.origin_wall_ns
        return self.origin_market_ns + passed * self.speed.numerator // self.speed.denominator

    def announced(self) -> dict[str, object]:
        """Return what clients are told."""
        return {
            "origin_wall_ns": self.origin_wall_ns,
            "origin_market_ns": self.origin_market_ns,
            "speed": float(self.speed),
        }


def ymd(ts_ns: int) -> str:
    """Return the Seoul date as YYYYMMDD."""
    return _texts(ts_ns // SECOND_NS)[0]


def hms(ts_ns: int) -> str:
    """Return the Seoul time of day as HHMMSS."""
    return _texts(ts_ns // SECOND_NS)[1]


def stamp(ts_ns: int) -> str:
    """Return Seoul date and time as ``YYYY-MM-DD HH:MM:SS``."""
    return f"{datetime.fromtimestamp(ts_ns // SECOND_NS, SEOUL):%Y-%m-%d %H:%M:%S}"


@lru_cache(maxsize=4_096)
def _texts(second: int) -> tuple[str, str]:
    moment = datetime.fromtimestamp(second, SEOUL)
    return f"{moment:%Y%m%d}", f"{moment:%H%M%S}"
