"""What KRX's facts were before today's: tick tables, daily limits and hours, each with its dates.

Rule: a day decides; today's values stand in ``krx``. Days are Seoul's.
"""

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from strategies.markets import krx
from strategies.markets.facts import RAW_ONE, TickScheme

TICK_BANDS_KRW_2010: tuple[tuple[int, int], ...] = (
    (0, 1),
    (1_000, 5),
    (5_000, 10),
    (10_000, 50),
    (50_000, 100),
)
"""(from price, tick) in won for KOSDAQ shares from 2010-10-04 to 2023-01-24, the finer of the two
markets: KOSPI had 500 from 100,000 and 1,000 from 500,000 won, multiples of this grid. Source:
global.krx.co.kr, KOSDAQ and KOSPI market, Trading system, Tick size (as it stood before 2023)."""

TICK_BANDS_KRW_EARLY: tuple[tuple[int, int], ...] = (
    (0, 5),
    (5_000, 10),
    (10_000, 50),
    (50_000, 100),
)
"""Before a tick of 1 won below 1,000 won was introduced. Source: Korea Investment & Securities,
Market operations (the edition with a close at 15:00 and a limit of 15 %). The day, 2010-10-04, is
from general knowledge and not checked against a notice of KRX."""

PRICE_LIMIT_CHANGES: tuple[tuple[date, Decimal | None], ...] = (
    (date.min, None),
    (date(1998, 3, 2), Decimal("0.12")),
    (date(1998, 12, 7), Decimal("0.15")),
    (date(2015, 6, 15), krx.PRICE_LIMIT_RATIO),
)
"""(from day, largest move either way) of KOSPI; KOSDAQ kept 12 % until 2005-03-28. Source:
global.krx.co.kr, Daily Price Limits. Before 1998-03-02 limits are not kept here."""

CLOSE_CHANGE = date(2016, 8, 1)
"""From this day on the regular session closes at 15:30, before at 15:00. Source: KRX, extension of
regular trading hours by 30 minutes, in force 2016-08-01."""

OPEN_MINUTE = 9 * 60
_CLOSE_MINUTE, _CLOSE_MINUTE_BEFORE = 15 * 60 + 30, 15 * 60

_SEOUL_NS = 9 * 3_600 * 10**9


@dataclass(frozen=True, slots=True)
class BandTicks:
    """A price grid on raw integers whose tick depends on the band a price lies in."""

    bands: tuple[tuple[int, int], ...]

    def tick_raw(self, price_raw: int) -> int:
        """Return the tick of the band that ``price_raw`` lies in; a band includes its start."""
        place = bisect_right(self.bands, price_raw // RAW_ONE, key=lambda band: band[0])
        return self.bands[max(place - 1, 0)][1] * RAW_ONE

    def floor_raw(self, price_raw: int) -> int:
        """Return the highest grid price not above ``price_raw``."""
        return price_raw - price_raw % self.tick_raw(price_raw)

    def ceil_raw(self, price_raw: int) -> int:
        """Return the lowest grid price not below ``price_raw``."""
        return -(-price_raw // self.tick_raw(price_raw)) * self.tick_raw(price_raw)


def _midnight_ns(day: date) -> int:
    """Return the beginning of a day in Seoul, ns UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(midnight.timestamp()) * 10**9 - _SEOUL_NS


CALENDAR_FROM_NS = _midnight_ns(date(1999, 1, 1)) + _SEOUL_NS  # midnight in UTC
"""Session calendars begin here: until 1998-12-05 KRX also traded on Saturdays."""

TICK_CHANGES = (date(2010, 10, 4), date(2023, 1, 25))
TICK_CHANGES_NS = tuple(_midnight_ns(day) for day in TICK_CHANGES)
TICK_TABLES: tuple[TickScheme, ...] = (
    BandTicks(TICK_BANDS_KRW_EARLY),
    BandTicks(TICK_BANDS_KRW_2010),
    krx.TICKS,
)
"""The grid before, between and after ``TICK_CHANGES``."""


def ticks_on(day: date) -> TickScheme:
    """Return the price grid of a day."""
    return TICK_TABLES[bisect_right(TICK_CHANGES, day)]


def price_limit_ratio(day: date) -> Decimal | None:
    """Return the largest daily move of a day, None where it is not known."""
    place = bisect_right(PRICE_LIMIT_CHANGES, day, key=lambda change: change[0])
    return PRICE_LIMIT_CHANGES[place - 1][1]


def price_limits_on(day: date, base_raw: int) -> tuple[int, int] | None:
    """Return the lowest and highest price of a day in raw units, None where no limit is known.

    As ``krx.price_limits``: the width is cut to the tick of the base price, and both ends lie on
    the grid of the day.
    """
    ratio = price_limit_ratio(day)
    if ratio is None:
        return None
    ticks = ticks_on(day)
    numerator, denominator = ratio.as_integer_ratio()
    tick = ticks.tick_raw(base_raw)
    width = base_raw * numerator // denominator // tick * tick
    return ticks.ceil_raw(base_raw - width), ticks.floor_raw(base_raw + width)


def regular_hours(day: date) -> tuple[int, int]:
    """Return open and close of a usual day in minutes after midnight, Seoul time.

    Days that begin later (the year's first, entrance examinations) are a calendar's to know.
    """
    close = _CLOSE_MINUTE if day >= CLOSE_CHANGE else _CLOSE_MINUTE_BEFORE
    return OPEN_MINUTE, close


def session_ns(day: date) -> tuple[int, int]:
    """Return open and close of a usual day in ns UTC."""
    midnight = _midnight_ns(day)
    first, last = regular_hours(day)
    return midnight + first * 60 * 10**9, midnight + last * 60 * 10**9


def day_of(ts_ns: int) -> date:
    """Return the day in Seoul that a moment lies in."""
    return (
        datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=(ts_ns + _SEOUL_NS) // 10**9)
    ).date()
