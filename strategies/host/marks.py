"""Last known prices and positions: a fold of what was delivered, shared by host and capital.

Rule: written by the host only, read through the Marks port.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nautilus_trader.model import (
    Bar,
    InstrumentId,
    Price,
    QuoteTick,
    TradeTick,
)

from strategies.decider import Params, Strategy
from strategies.markets.facts import InstrumentFacts


@dataclass(slots=True)
class Mark:
    """The latest market event of one instrument; its price is worked out only when asked for."""

    facts: InstrumentFacts
    event: TradeTick | QuoteTick | Bar | None = None
    last: Price | None = None

    def price(self) -> Price | None:
        """Return the last trade, bar close or quote mid (floored to the tick)."""
        match self.event:
            case TradeTick() as trade:
                self.last = trade.price
            case Bar() as bar:
                self.last = bar.close
            case QuoteTick() as quote:
                middle = (quote.bid_price.raw + quote.ask_price.raw) // 2
                raw = self.facts.ticks.floor_raw(middle)
                self.last = Price.from_raw(raw, self.facts.price_precision)
            case _:
                pass  # nothing delivered yet
        return self.last


class LastPrices:
    """The Marks port of one run."""

    def __init__(self, facts: Mapping[InstrumentId, InstrumentFacts]) -> None:
        self._marks = {instrument_id: Mark(fact) for instrument_id, fact in facts.items()}
        self._strategies: Mapping[str, Strategy[Params]] = {}

    def mark(self, instrument_id: InstrumentId) -> Mark:
        """Return the slot the host writes an instrument's events to."""
        return self._marks[instrument_id]

    def has(self, instrument_id: InstrumentId) -> bool:
        """Tell whether an instrument is of this run."""
        return instrument_id in self._marks

    def know(self, strategies: Mapping[str, Strategy[Params]]) -> None:
        """Learn whose positions to answer for; called once by the host."""
        self._strategies = strategies

    def price(self, instrument_id: InstrumentId) -> Price | None:
        """Return the last price, None before the first."""
        return self._marks[instrument_id].price()

    def seen_ns(self, instrument_id: InstrumentId) -> int | None:
        """Return when the last price was delivered, None before the first."""
        event = self._marks[instrument_id].event
        return None if event is None else event.ts_init

    def position(self, strategy: str, instrument_id: InstrumentId) -> int:
        """Return a strategy's signed position in raw units."""
        return self._strategies[strategy].position(instrument_id).net_raw
