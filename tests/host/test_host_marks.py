"""Marks: the price of the newest event that says one, and one delivery for each event of a book."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hosted import BTC, FACTS, Purse, Scripted, Venue, a_trade
from nautilus_trader.model import (
    BookAction,
    BookOrder,
    FundingRateUpdate,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
)

from catalog.journal import MemoryJournal
from strategies.decider import Intents
from strategies.host.core import Host
from strategies.host.market import Subscription
from strategies.host.marks import LastPrices
from strategies.messages import Alert
from strategies.ports import Kind, StreamKind


def book(ts_ns: int, *levels: tuple[OrderSide, str, str]) -> OrderBookDeltas:
    """Return a delivery that sets levels; a size of 0 removes one."""
    deltas = []
    for side, price, size in levels:
        action = BookAction.DELETE if size == "0.000" else BookAction.UPDATE
        order = BookOrder(side, Price.from_str(price), Quantity.from_str(size), 0)
        deltas.append(OrderBookDelta(BTC, action, order, 0, ts_ns, ts_ns, ts_ns))
    return OrderBookDeltas(BTC, deltas)


BUY, SELL = OrderSide.BUY, OrderSide.SELL


class Listening(Scripted):
    """Answers books and funding rates as well."""

    def on_book(self, deltas: OrderBookDeltas) -> Intents:
        return self._answer("book", deltas)

    def on_funding(self, funding: FundingRateUpdate) -> Intents:
        return self._answer("funding", funding)


def stage(*strategies: Scripted) -> tuple[Host, LastPrices, MemoryJournal]:
    """Return a host whose strategies hear trades, book and funding of one instrument."""
    marks, journal, venue = LastPrices(FACTS), MemoryJournal(), Venue()
    names = tuple(strategy.name for strategy in strategies)
    kinds = (StreamKind.TRADES, StreamKind.DELTAS, StreamKind.FUNDING)
    host = Host(
        strategies=strategies,
        capital=Purse(),
        marks=marks,
        subscriptions=[Subscription(kind, str(BTC), BTC, names) for kind in kinds],
        journal=journal,
        orders=venue,
        clock=venue,
        salt="test:0",
    )
    return host, marks, journal


def prices(marks: LastPrices) -> tuple[str, int | None]:
    return str(marks.price(BTC)), marks.seen_ns(BTC)


def test_the_newest_event_that_says_a_price_is_the_mark() -> None:
    host, marks, _ = stage(Listening("one"))
    on_book, on_trade = (host.market_handler(k) for k in (StreamKind.DELTAS, StreamKind.TRADES))
    on_funding = host.market_handler(StreamKind.FUNDING)
    assert prices(marks) == ("None", None)
    on_book(book(1, (BUY, "100.0", "1.000")))
    assert prices(marks) == ("None", None)  # no middle of one side
    on_book(book(2, (SELL, "100.3", "1.000")))
    assert prices(marks) == ("100.1", 2)  # 100.15, down to the tick
    on_trade(a_trade(3, BTC, "107.0"))
    assert prices(marks) == ("107.0", 3)
    on_funding(FundingRateUpdate(BTC, Decimal("0.0001"), 4, 4))
    assert prices(marks) == ("107.0", 3)
    on_book(book(5, (SELL, "100.3", "0.000")))
    assert prices(marks) == ("107.0", 3)
    on_book(book(6, (SELL, "100.2", "1.000")))
    assert prices(marks) == ("100.1", 6)
    on_book(book(7, (BUY, "100.0", "0.000")))
    assert prices(marks) == ("100.1", 6)
    assert host.seq == 7


@pytest.mark.parametrize("listeners", [1, 2])
def test_an_event_of_a_book_is_one_delivery_to_all_who_listen(listeners: int) -> None:
    def told(deltas: OrderBookDeltas) -> Sequence[Alert]:
        return [Alert(f"{len(deltas.deltas)} levels")]

    host, _, journal = stage(*(Listening(f"s{i}", book=told) for i in range(listeners)))
    on_book = host.market_handler(StreamKind.DELTAS)
    on_book(book(1, (BUY, "100.0", "1.000"), (SELL, "100.3", "1.000")))
    on_book(book(2, (BUY, "100.0", "2.000")))
    assert host.seq == 2
    intents = [e for e in journal.entries if e.kind is Kind.INTENT]
    assert [(e.seq, e.source, str(e.message)) for e in intents] == [
        (seq, f"s{i}", str(Alert(text)))
        for seq, text in ((1, "2 levels"), (2, "1 levels"))
        for i in range(listeners)
    ]
