"""Matching of one symbol: our clients' orders against the recorded book and prints.

Rule: price, then time. An order never trades at a worse price than its limit, and what trades on
one recorded event is never more than that event offered. Clients' orders do not change the
recorded book; what they took from a level is gone until the next recorded quote.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Side(StrEnum):
    """KIS's codes of the two sides."""

    SELL = "01"
    BUY = "02"


class Lifetime(StrEnum):
    """How long an order may wait."""

    DAY = "0"
    IOC = "1"
    FOK = "2"


@dataclass(frozen=True, slots=True)
class Level:
    """One price of the recorded book."""

    price: int
    size: int


@dataclass(frozen=True, slots=True)
class Match:
    """``quantity`` of an order traded at ``price``."""

    number: str
    quantity: int
    price: int


@dataclass(slots=True)
class Entry:
    """An order in the book. ``ahead`` is what the tape had displayed before it at its price.

    ``limit`` of a market order is the day's limit. ``is_passive`` once it has waited in
    continuous trading: then the others come to it, at its own price.
    """

    number: str
    side: Side
    limit: int
    left: int
    is_market: bool = False
    ahead: int = 0
    is_passive: bool = False

    def reaches(self, price: int) -> bool:
        """Say whether the order may trade at a price."""
        return price <= self.limit if self.side is Side.BUY else price >= self.limit

    def is_better_than(self, price: int) -> bool:
        """Say whether the order had priority over others at a price."""
        return self.is_market or (self.reaches(price) and self.limit != price)

    def fill(self, quantity: int, price: int) -> Match:
        """Take ``quantity`` off and return the match."""
        self.left -= quantity
        return Match(self.number, quantity, price)


@dataclass(slots=True)
class SymbolBook:
    """The recorded book of one symbol and the orders that wait in it, oldest first."""

    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    waiting: list[Entry] = field(default_factory=list)
    _taken: dict[int, int] = field(default_factory=dict)

    def arrive(self, entry: Entry, lifetime: Lifetime) -> list[Match]:
        """Match an order in continuous trading; a DAY order waits with what is left."""
        if lifetime is Lifetime.FOK and self._offered(entry) < entry.left:
            return []
        matches = self._sweep(entry)
        if lifetime is Lifetime.DAY and entry.left:
            entry.ahead = self._displayed(entry.side, entry.limit)
            entry.is_passive = not entry.is_market
            self.waiting.append(entry)
        return matches

    def wait(self, entry: Entry) -> None:
        """Let an order wait for an auction's end."""
        self.waiting.append(entry)

    def remove(self, number: str) -> None:
        """Take an order out of the book."""
        self.waiting = [entry for entry in self.waiting if entry.number != number]

    def reduce(self, number: str, quantity: int) -> Entry | None:
        """Take part of an order's quantity away and return it; what is left keeps its place."""
        found = next((entry for entry in self.waiting if entry.number == number), None)
        if found is not None:
            found.left -= quantity
            self._drop_done()
        return found

    def put_back(self, entry: Entry, former: Entry) -> None:
        """Let an order take the place in the queue that ``former``, just taken out, had."""
        entry.ahead, entry.is_passive = former.ahead, former.is_passive
        entry.is_market, entry.limit = former.is_market, former.limit
        self.waiting.append(entry)

    def set_levels(self, bids: Sequence[Level], asks: Sequence[Level]) -> None:
        """Take a recorded book without trading on it, as in auctions and halts."""
        self.bids, self.asks = tuple(bids), tuple(asks)
        self._taken.clear()

    def on_quote(self, bids: Sequence[Level], asks: Sequence[Level]) -> list[Match]:
        """Take a recorded book and trade what it now reaches."""
        self.set_levels(bids, asks)
        matches = []
        for entry in self._by_priority():
            matches += self._sweep(entry)
            shown = self._displayed(entry.side, entry.limit)
            entry.ahead = min(entry.ahead, shown)
            entry.is_passive = not entry.is_market
        self._drop_done()
        return matches

    def on_print(self, price: int, size: int, buyer_initiated: bool | None) -> list[Match]:
        """Trade on a recorded trade: orders it passed first, then those in the queue it met."""
        matches = self._passed(price, size)
        left = size - sum(match.quantity for match in matches)
        if buyer_initiated is not None:
            side = Side.SELL if buyer_initiated else Side.BUY
            matches += self._queued(side, price, left)
        self._drop_done()
        return matches

    def uncross(self, price: int, size: int) -> list[Match]:
        """Trade an auction's result: one price for all, at most ``size`` on either side."""
        left = {Side.BUY: size, Side.SELL: size}
        matches = []
        for entry in self._by_priority():
            quantity = min(entry.left, left[entry.side])
            if quantity and entry.reaches(price):
                left[entry.side] -= quantity
                matches.append(entry.fill(quantity, price))
        self._drop_done()
        return matches

    def best(self, side: Side) -> int:
        """Return the best recorded price of a side, 0 where there is none."""
        levels = self.bids if side is Side.BUY else self.asks
        return levels[0].price if levels else 0

    def _against(self, entry: Entry) -> Iterable[tuple[int, int]]:
        """Yield price and what is still there of the levels an order reaches, best first."""
        for level in self.asks if entry.side is Side.BUY else self.bids:
            if not entry.reaches(level.price):
                return
            yield level.price, level.size - self._taken.get(level.price, 0)

    def _offered(self, entry: Entry) -> int:
        return sum(size for _, size in self._against(entry))

    def _sweep(self, entry: Entry) -> list[Match]:
        matches = []
        for price, size in self._against(entry):
            quantity = min(entry.left, size)
            if quantity > 0:
                self._taken[price] = self._taken.get(price, 0) + quantity
                matches.append(entry.fill(quantity, entry.limit if entry.is_passive else price))
        return matches

    def _passed(self, price: int, size: int) -> list[Match]:
        matches = []
        for entry in self._by_priority():
            quantity = min(entry.left, size)
            if quantity and entry.is_better_than(price):
                size -= quantity
                at = price if entry.is_market or not entry.is_passive else entry.limit
                matches.append(entry.fill(quantity, at))
        return matches

    def _queued(self, side: Side, price: int, size: int) -> list[Match]:
        matches: list[Match] = []
        own = 0
        for entry in self.waiting:
            if entry.side is not side or entry.limit != price or entry.is_market:
                continue
            quantity = min(entry.left, max(0, size - entry.ahead - own))
            entry.ahead = max(0, entry.ahead - size)
            if quantity:
                own += quantity
                matches.append(entry.fill(quantity, price))
        return matches

    def _displayed(self, side: Side, price: int) -> int:
        levels = self.bids if side is Side.BUY else self.asks
        return next((level.size for level in levels if level.price == price), 0)

    def _by_priority(self) -> list[Entry]:
        def rank(entry: Entry) -> tuple[bool, int]:
            return not entry.is_market, -entry.limit if entry.side is Side.BUY else entry.limit

        return sorted(self.waiting, key=rank)  # stable: the older of two equals stays first

    def _drop_done(self) -> None:
        self.waiting = [entry for entry in self.waiting if entry.left > 0]
