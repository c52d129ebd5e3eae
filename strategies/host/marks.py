"""Last known prices and positions: a fold of what was delivered, shared by host and capital.

Rule: written by the host only, read through the Marks port.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nautilus_trader.model import (
    Bar,
    FundingRateUpdate,
    InstrumentId,
    OrderBookDeltas,
    Price,
    QuoteTick,
    TradeTick,
)

from strategies.decider import Params, Strategy
from strategies.markets.facts import InstrumentFacts
from strategies.order_book import LevelBook
from strategies.ports import StreamKind

type Priced = TradeTick | QuoteTick | Bar | OrderBookDeltas


@dataclass(slots=True)
class Mark:
    """The latest market event of one instrument; its price is worked out only when asked for."""

    facts: InstrumentFacts
    event: Priced | None = None
    last: Price | None = None
    middle_raw: int = 0

    def price(self) -> Price | None:
        """Return the last trade, bar close, or middle of quote or book (floored to the tick)."""
        match self.event:
            case TradeTick() as trade:
                self.last = trade.price
            case Bar() as bar:
                self.last = bar.close
            case QuoteTick() as quote:
                self.last = self._floored((quote.bid_price.raw + quote.ask_price.raw) // 2)
            case OrderBookDeltas():
                self.last = self._floored(self.middle_raw)
            case _:
                pass  # nothing delivered yet
        return self.last

    def _floored(self, middle_raw: int) -> Price:
        raw = self.facts.ticks.floor_raw(middle_raw)
        return Price.from_raw(raw, self.facts.price_precision)


class BookSlot:
    """Takes a book's deliveries for an instrument's mark; one that leaves no middle says no price.

    A setter, so that the host's hot path is one assignment for every kind of stream.
    """

    __slots__ = ("_book", "_mark")

    def __init__(self, mark: Mark, instrument_id: InstrumentId) -> None:
        self._mark = mark
        self._book = LevelBook(instrument_id)

    @property
    def event(self) -> Priced | None:
        """The latest market event of the instrument."""
        return self._mark.event

    @event.setter
    def event(self, deltas: OrderBookDeltas) -> None:
        self._book.fold(deltas)
        middle_raw = self._book.middle_raw()
        if middle_raw is not None:
            self._mark.middle_raw = middle_raw
            self._mark.event = deltas


class NoPrice:
    """Takes events that say no price: funding rates."""

    __slots__ = ("event",)

    event: FundingRateUpdate


type Slot = Mark | BookSlot | NoPrice
"""Where the host writes a stream's events."""


class LastPrices:
    """The Marks port of one run."""

    def __init__(self, facts: Mapping[InstrumentId, InstrumentFacts]) -> None:
        self._marks = {instrument_id: Mark(fact) for instrument_id, fact in facts.items()}
        self._strategies: Mapping[str, Strategy[Params]] = {}

    def mark(self, instrument_id: InstrumentId) -> Mark:
        """Return what is known of an instrument's price."""
        return self._marks[instrument_id]

    def has(self, instrument_id: InstrumentId) -> bool:
        """Tell whether an instrument is of this run."""
        return instrument_id in self._marks

    def slot(self, kind: StreamKind, instrument_id: InstrumentId) -> Slot:
        """Return the slot the host writes a stream's events to."""
        mark = self._marks[instrument_id]
        match kind:
            case StreamKind.DELTAS:
                return BookSlot(mark, instrument_id)
            case StreamKind.FUNDING:
                return NoPrice()
            case _:
                return mark

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
