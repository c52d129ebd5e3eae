"""The book of levels against a plain dictionary of prices, for any run of snapshots and changes."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import (
    BookAction,
    BookOrder,
    InstrumentId,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
)

from strategies.order_book import Level, LevelBook

ID = InstrumentId.from_str("BTCUSDT.BINANCE_SPOT")
ONE = 10**16
TICK, LOT = ONE // 100, ONE // 1_000

type Change = tuple[bool, int, int]
"""Whether it is a bid, its price in ticks and its size in lots; 0 removes the level."""


def delta(change: Change, action: BookAction | None = None) -> OrderBookDelta:
    is_bid, ticks, lots = change
    side = OrderSide.BUY if is_bid else OrderSide.SELL
    order = BookOrder(side, Price.from_raw(ticks * TICK, 2), Quantity.from_raw(lots * LOT, 3), 0)
    kind = action or (BookAction.UPDATE if lots else BookAction.DELETE)
    return OrderBookDelta(ID, kind, order, 0, 1, 1, 1)


def delivery(changes: Sequence[Change], *, snapshot: bool) -> OrderBookDeltas:
    if not snapshot:
        return OrderBookDeltas(ID, [delta(change) for change in changes])
    added = [delta(change, BookAction.ADD) for change in changes if change[2]]
    return OrderBookDeltas(ID, [OrderBookDelta.clear(ID, 1, 1, 1), *added])


CHANGES = st.lists(
    st.tuples(st.booleans(), st.integers(1, 12), st.integers(0, 5)), min_size=1, max_size=8
)


@given(st.lists(st.tuples(st.booleans(), CHANGES), max_size=12))
def test_the_book_holds_what_a_dictionary_would(events: list[tuple[bool, list[Change]]]) -> None:
    book = LevelBook(ID)
    known: dict[bool, dict[int, int]] = {True: {}, False: {}}
    for snapshot, changes in events:
        book.fold(delivery(changes, snapshot=snapshot))
        if snapshot:
            known = {True: {}, False: {}}
        for is_bid, ticks, lots in changes:
            if lots:
                known[is_bid][ticks] = lots
            elif not snapshot:
                known[is_bid].pop(ticks, None)
        bids = [Level(t * TICK, n * LOT) for t, n in sorted(known[True].items(), reverse=True)]
        asks = [Level(t * TICK, n * LOT) for t, n in sorted(known[False].items())]
        assert (book.bids(), book.asks()) == (bids, asks)
        assert (book.bids(2), book.asks(2)) == (bids[:2], asks[:2])
        assert book.best_bid == (bids[0] if bids else None)
        assert book.best_ask == (asks[0] if asks else None)
        both = bids and asks
        middle = (bids[0].price_raw + asks[0].price_raw) // 2 if both else None
        assert book.middle_raw() == middle


def test_a_middle_between_two_raw_units_is_rounded_down() -> None:
    book = LevelBook(ID)
    fine = [
        OrderBookDelta(ID, BookAction.ADD, BookOrder(side, Price.from_raw(raw, 16), size, 0), *at)
        for side, raw in ((OrderSide.BUY, 3), (OrderSide.SELL, 6))
        for size, at in [(Quantity.from_int(1), (0, 1, 1, 1))]
    ]
    book.fold(OrderBookDeltas(ID, fine))
    assert book.middle_raw() == 4


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([(True, 10, 2), (False, 12, 3)], "0.10 x 0.002 / 0.12 x 0.003"),
        ([(True, 10, 2)], "0.10 x 0.002 / None x None"),
    ],
)
def test_a_book_is_told_by_its_best_prices(changes: list[Change], text: str) -> None:
    book = LevelBook(ID)
    book.fold(delivery(changes, snapshot=True))
    assert str(book) == text
