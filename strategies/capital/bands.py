"""Daily price limits, fixed before each session from the last prices of the day before.

The engine does not enforce an instrument's maximum and minimum price, so the capital manager does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from nautilus_trader.model import InstrumentId

from strategies.markets.facts import InstrumentFacts
from strategies.messages import CapitalIntent, TimerFired, Wake
from strategies.ports import Marks


@dataclass(frozen=True, slots=True)
class Band:
    """Lowest and highest price of a day, raw units, both allowed."""

    lower_raw: int
    upper_raw: int


class PriceBands:
    """Keeps today's band of every instrument whose market limits the daily move."""

    def __init__(self, facts: Mapping[InstrumentId, InstrumentFacts], marks: Marks) -> None:
        self._facts = {
            instrument_id: fact
            for instrument_id, fact in facts.items()
            if fact.market.price_limit_ratio is not None
        }
        self._marks = marks
        self._bands: dict[InstrumentId, Band] = {}
        for instrument_id, fact in self._facts.items():
            if fact.base_price_raw is not None:
                self._set(instrument_id, fact.base_price_raw)

    def of(self, instrument_id: InstrumentId) -> Band | None:
        """Return today's band, None where the market has none or no price is known yet."""
        return self._bands.get(instrument_id)

    def on_start(self, ts_ns: int) -> Sequence[CapitalIntent]:
        """Ask to be woken just before the next session of each limited market."""
        venues = sorted({fact.market.venue for fact in self._facts.values()})
        return [wake for venue in venues for wake in self._next(venue, ts_ns)]

    def on_timer(self, timer: TimerFired) -> Sequence[CapitalIntent]:
        """Fix the bands of the venue the timer names, and ask for the next session."""
        venue = timer.name.removeprefix(_PREFIX)
        for instrument_id, fact in self._facts.items():
            if fact.market.venue != venue:
                continue
            last = self._marks.price(instrument_id)
            if last is not None:
                self._set(instrument_id, last.raw)
        return self._next(venue, timer.ts_ns)

    def _next(self, venue: str, ts_ns: int) -> Sequence[CapitalIntent]:
        market = next(f.market for f in self._facts.values() if f.market.venue == venue)
        session = market.sessions.next_after(ts_ns + 1)
        if session is None:
            return ()
        reason = f"fix the daily price limits of {venue} before the session opens"
        return (Wake(f"{_PREFIX}{venue}", session.open_ns - 1, reason),)

    def _set(self, instrument_id: InstrumentId, base_raw: int) -> None:
        fact = self._facts[instrument_id]
        if fact.market.price_limit_ratio is not None:
            self._bands[instrument_id] = Band(*daily_limits(base_raw, fact))


def daily_limits(base_raw: int, fact: InstrumentFacts) -> tuple[int, int]:
    """Return lowest and highest price of a day whose base price is ``base_raw``.

    The width is base x ratio cut to the tick at the base price; each end is then moved inward to
    the grid that holds there (KRX business regulations, article 20).
    """
    ratio = fact.market.price_limit_ratio or Decimal(0)
    width = fact.ticks.tick_raw(base_raw)
    width = int(base_raw * ratio) // width * width
    return fact.ticks.ceil_raw(base_raw - width), fact.ticks.floor_raw(base_raw + width)


_PREFIX = "price-limits:"
