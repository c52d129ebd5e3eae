"""Trade with the side of the order book that weighs more; listens to the ``book`` stream.

Tie rule: a side counts as heavier only where it is strictly above ``weight_pct`` percent of the
other, compared as integers over the best ``depth`` levels; in between nothing changes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nautilus_trader.model import InstrumentId, OrderBookDeltas

from strategies.decider import Intents, ParamError, Setup
from strategies.entries import Desk, TradeParams, TradingStrategy
from strategies.markets.facts import InstrumentFacts
from strategies.order_book import LevelBook

WHOLE_PCT = 100
NS_PER_MS = 1_000_000


@dataclass(frozen=True, kw_only=True)
class BookImbalanceParams(TradeParams):
    """How many levels of each side are weighed, when one is heavier, and how often to look.

    ``every_ms`` is the shortest time between two looks, in market time; exit rules are judged at
    the same moments, by the middle of the book.
    """

    depth: int = 5
    weight_pct: int = 200
    every_ms: int = 1_000

    def check(self, instruments: Mapping[InstrumentId, InstrumentFacts]) -> None:
        """Raise ParamError where nothing would be weighed, or both sides could be heavier."""
        super().check(instruments)
        if self.depth < 1:
            raise ParamError(f"parameter depth={self.depth} must be at least 1")
        if self.weight_pct < WHOLE_PCT:
            raise ParamError(f"parameter weight_pct={self.weight_pct} must be at least {WHOLE_PCT}")
        if self.every_ms < 0:
            raise ParamError(f"parameter every_ms={self.every_ms} must not be negative")


@dataclass(slots=True)
class _Watched:
    desk: Desk
    book: LevelBook
    next_ns: int = 0


class BookImbalance(TradingStrategy[BookImbalanceParams]):
    """Buy while bids weigh more than asks; leave, or turn, while asks weigh more."""

    params_type = BookImbalanceParams

    def __init__(self, setup: Setup[BookImbalanceParams]) -> None:
        super().__init__(setup)
        self._watched = {key: _Watched(desk, LevelBook(key)) for key, desk in self.desks.items()}

    def on_book(self, deltas: OrderBookDeltas) -> Intents:
        """Fold the delivery and, when it is time, weigh both sides."""
        watched = self._watched[deltas.instrument_id]
        watched.book.fold(deltas)
        ts_ns = deltas.ts_init
        if ts_ns < watched.next_ns:
            return None
        middle_raw = watched.book.middle_raw()
        if middle_raw is None:
            return None
        watched.next_ns = ts_ns + self.params.every_ms * NS_PER_MS
        intents = self._weigh(watched, ts_ns)
        if intents:
            return intents
        exits = watched.desk.exits
        leave = exits.check(middle_raw, ts_ns) if exits.armed else None
        return (leave,) if leave else None

    def _weigh(self, watched: _Watched, ts_ns: int) -> Intents:
        depth, pct = self.params.depth, self.params.weight_pct
        bids = sum(level.size_raw for level in watched.book.bids(depth))
        asks = sum(level.size_raw for level in watched.book.asks(depth))
        if bids * WHOLE_PCT > asks * pct:
            sign, heavy, light = 1, bids, asks
        elif asks * WHOLE_PCT > bids * pct:
            sign, heavy, light = -1, asks, bids
        else:
            return None
        side = "bids" if sign > 0 else "asks"
        percent = heavy * WHOLE_PCT // light
        reason = f"{side} of {depth} levels weigh {percent} % of the other side: {watched.book}"
        return self.want(watched.desk, sign, reason, ts_ns)
