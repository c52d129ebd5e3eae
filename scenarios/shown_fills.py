"""Fills market orders with what the tape showed, and the rest one tick worse.

Rule: a market order pays the spread. The engine keeps one price an instrument, which a trade or a
bar replaces; where there are quotes, the latest quote says what can be bought and sold, and where
a book is all there is, its levels do.
"""

from collections.abc import Collection, Sequence
from typing import Self

from nautilus_trader.common import Cache
from nautilus_trader.execution import FillModel
from nautilus_trader.model import (
    AggregationSource,
    BookLevel,
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
    """Gives the engine a book for each market order: what was shown, and one tick worse the rest.

    Where a streamed book moves the instrument, all its levels are shown. Otherwise the first level
    is the latest quote. Without quotes it is the engine's own best price with the
    size of the latest trade, or a quarter of the latest bar's volume (as the engine splits it),
    and only KRX shares need it: there the engine's next level, one won worse, is no price. Limit
    orders are left to the engine.
    """

    def __new__(cls, *_given: object) -> Self:  # the engine's class takes any
        return super().__new__(cls)

    def __init__(
        self,
        cache: Cache,
        moved_by: Collection[StreamKind],
        books: Collection[InstrumentId] = (),
    ) -> None:
        super().__init__()
        self._books = frozenset(books)
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
            walked = self._levels(_instrument.id, best, shown.precision, buys=buys)
            return _book(_instrument, _order, walked or [(best, shown)])
        best_known = _best_ask if buys else _best_bid
        if best_known is None or not _on_krx_grid(_instrument):
            return None
        printed = self._printed(_instrument.id)
        if printed is None or printed.raw >= _order.quantity.raw:
            return None
        return _book(_instrument, _order, [(best_known, printed)])

    def _levels(
        self, instrument_id: InstrumentId, best: Price, digits: int, *, buys: bool
    ) -> list[tuple[Price, Quantity]]:
        """Return what a streamed book shows on one side; nothing where it is not at the quote."""
        book = self._cache.order_book(instrument_id) if instrument_id in self._books else None
        if book is None:
            return []
        levels: list[BookLevel] = book.asks() if buys else book.bids()
        if not levels or levels[0].price != best:
            return []
        return [(each.price, Quantity.from_raw(each.size_raw(), digits)) for each in levels]

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


def _book(
    instrument: Instrument, order: MarketOrder, shown: Sequence[tuple[Price, Quantity]]
) -> OrderBook:
    """Return what is shown, the best price first, and enough for the rest one tick worse."""
    buys = order.side == OrderSide.BUY
    book = OrderBook(instrument.id, BookType.L2_MBP)
    side = OrderSide.SELL if buys else OrderSide.BUY
    for i, (price, size) in enumerate(shown, start=1):
        if size.raw:
            book.add(BookOrder(side, price, size, i), 0, i, 0)
    last = len(shown) + 1
    worst_raw = _next_raw(instrument, shown[-1][0].raw, up=buys)
    worse = Price.from_raw(worst_raw, instrument.price_precision)
    book.add(BookOrder(side, worse, order.quantity, last), 0, last, 0)
    return book


def _next_raw(instrument: Instrument, price_raw: int, *, up: bool) -> int:
    if _on_krx_grid(instrument):
        return (krx.TICKS.next_above_raw if up else krx.TICKS.next_below_raw)(price_raw)
    step = instrument.price_increment.raw
    return price_raw + step if up else price_raw - step


def _on_krx_grid(instrument: Instrument) -> bool:
    """Tell a KRX share with real prices; adjusted ones lie on no grid."""
    return isinstance(instrument, Equity) and not (instrument.info or {}).get("adjusted")
