"""An order book for deciders: price levels as integers, folded from the book's deltas.

Rule: prices and sizes are the engine's raw integers, so whatever a strategy compares is exact; the
fold is the engine's own, the same one that a simulated venue is filled from.
"""

from typing import NamedTuple

from nautilus_trader.model import BookLevel, BookType, InstrumentId, OrderBook, OrderBookDeltas


class Level(NamedTuple):
    """One price and what is offered or wanted there, both in raw units."""

    price_raw: int
    size_raw: int


class LevelBook:
    """The book of one instrument; give every delivery of its ``book`` stream to ``fold``."""

    def __init__(self, instrument_id: InstrumentId) -> None:
        self._book = OrderBook(instrument_id, BookType.L2_MBP)

    def fold(self, deltas: OrderBookDeltas) -> None:
        """Apply one delivery: a snapshot, or the levels that changed."""
        self._book.apply_deltas(deltas)

    @property
    def best_bid(self) -> Level | None:
        """The highest price somebody pays; None where nobody does."""
        price, size = self._book.best_bid_price(), self._book.best_bid_size()
        return None if price is None or size is None else Level(price.raw, size.raw)

    @property
    def best_ask(self) -> Level | None:
        """The lowest price somebody sells at; None where nobody does."""
        price, size = self._book.best_ask_price(), self._book.best_ask_size()
        return None if price is None or size is None else Level(price.raw, size.raw)

    def middle_raw(self) -> int | None:
        """Return the middle of best bid and ask, rounded down; None where a side is empty."""
        bid, ask = self._book.best_bid_price(), self._book.best_ask_price()
        return None if bid is None or ask is None else (bid.raw + ask.raw) // 2

    def bids(self, depth: int | None = None) -> list[Level]:
        """Return the best ``depth`` bids (all of them for None), the highest price first."""
        return [_level(each) for each in self._book.bids(depth)]

    def asks(self, depth: int | None = None) -> list[Level]:
        """Return the best ``depth`` asks (all of them for None), the lowest price first."""
        return [_level(each) for each in self._book.asks(depth)]

    def __str__(self) -> str:
        """Return the best bid and ask with their sizes, as people write them."""
        book = self._book
        bid, ask = book.best_bid_price(), book.best_ask_price()
        return f"{bid} x {book.best_bid_size()} / {ask} x {book.best_ask_size()}"


def _level(level: BookLevel) -> Level:
    return Level(level.price.raw, level.size_raw())
