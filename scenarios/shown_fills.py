"""Fills market orders with what the tape showed, and the rest one tick worse.

Rule: a market order pays the spread. The engine keeps one price an instrument, which a trade or a
bar replaces; where there are quotes, the latest quote says what can be bought and sold.
"""

from collections.abc import Collection
from typing import Self

from nautilus_trader.common import Cache
from nautilus_trader.execution import FillModel
from nautilus_trader.model import (
    AggregationSource,
    BookOrder,
    BookType,
    Equity,
    InstrumentId,
    MarketOrder,
    OrderBook,
    OrderSide,
    Price,
    Quantity,
)

from strategies.markets import krx
from strategies.markets.facts import RAW_ONE
from strategies.markets.instruments import Instrument
from strategies.ports import StreamKind


class ShownFills(FillModel):
    """Gives the engine a book of two levels for each market order.

    The first level is the latest quote. Without quotes it is the engine's own best price with the
    size of the latest trade, or a quarter of the latest bar's volume (as the engine splits it),
    and only KRX shares need it: there the engine's next level, one won worse, is no price. Limit
    orders are left to the engine.
    """

    def __new__(cls, cache: Cache, moved_by: Collection[StreamKind]) -> Self:  # noqa: ARG004 - the engine's class takes any
        return super().__new__(cls)

    def __init__(self, cache: Cache, moved_by: Collection[StreamKind]) -> None:
        super().__init__()
        self._cache = cache
        self._moved_by = frozenset(moved_by)

    def get_orderbook_for_fill_simulation(
        self,
        _instrument: Instrument,
        _order: MarketOrder,
        _best_bid: Price | None = None,
        _best_ask: Price | None = None,
    ) -> OrderBook | None:
        """Return the book a market order meets, None to leave it to the engine."""
        if not isinstance(_order, MarketOrder):
            return None
        buys = _order.side == OrderSide.BUY
        quote = self._cache.quote(_instrument.id) if self._quoted else None
        if quote is not None:
            best, shown = (
                (quote.ask_price, quote.ask_size) if buys else (quote.bid_price, quote.bid_size)
            )
            return _book(_instrument, _order, best, shown)
        best_known = _best_ask if buys else _best_bid
        if best_known is None or not _on_krx_grid(_instrument):
            return None
        printed = self._printed(_instrument.id)
        if printed is None or printed.raw >= _order.quantity.raw:
            return None
        return _book(_instrument, _order, best_known, printed)

    @property
    def _quoted(self) -> bool:
        return StreamKind.QUOTES in self._moved_by

    def _printed(self, instrument_id: InstrumentId) -> Quantity | None:
        """Return the size of the newest trade or bar (a quarter of it)."""
        newest: list[tuple[int, Quantity]] = []
        trade = self._cache.trade(instrument_id)
        if trade is not None and StreamKind.TRADES in self._moved_by:
            newest.append((trade.ts_init, trade.size))
        if StreamKind.BARS in self._moved_by:
            newest.extend(self._quarters_of_bars(instrument_id))
        return max(newest, key=lambda pair: pair[0])[1] if newest else None

    def _quarters_of_bars(self, instrument_id: InstrumentId) -> list[tuple[int, Quantity]]:
        types = self._cache.bar_types(AggregationSource.EXTERNAL, instrument_id=instrument_id)
        bars = [bar for bar in map(self._cache.bar, types) if bar is not None]
        return [
            (bar.ts_init, Quantity.from_int(max(bar.volume.raw // RAW_ONE // 4, 1))) for bar in bars
        ]


def _book(instrument: Instrument, order: MarketOrder, best: Price, shown: Quantity) -> OrderBook:
    """Return what is shown at the best price, and enough for the rest one tick worse."""
    buys = order.side == OrderSide.BUY
    book = OrderBook(instrument.id, BookType.L2_MBP)
    side = OrderSide.SELL if buys else OrderSide.BUY
    if shown.raw:
        book.add(BookOrder(side, best, shown, 1), 0, 1, 0)
    worse = Price.from_raw(_next_raw(instrument, best.raw, up=buys), instrument.price_precision)
    book.add(BookOrder(side, worse, order.quantity, 2), 0, 2, 0)
    return book


def _next_raw(instrument: Instrument, price_raw: int, *, up: bool) -> int:
    if _on_krx_grid(instrument):
        return (krx.TICKS.next_above_raw if up else krx.TICKS.next_below_raw)(price_raw)
    step = instrument.price_increment.raw
    return price_raw + step if up else price_raw - step


def _on_krx_grid(instrument: Instrument) -> bool:
    """Tell a KRX share with real prices; adjusted ones lie on no grid."""
    return isinstance(instrument, Equity) and not (instrument.info or {}).get("adjusted")
