"""The heavier side of the book decides; ties, time and one-sided books by table."""

import pytest
from nautilus_trader.model import (
    BookAction,
    BookOrder,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
)
from tapes import make, make_facts

from strategies.book_imbalance import BookImbalance, BookImbalanceParams
from strategies.decider import ParamError
from strategies.messages import Enter, Target

FACTS = make_facts("BTC.TEST")
ID = FACTS.instrument_id
MS = 1_000_000
type Sizes = dict[int, int]
"""Size by price."""


def snapshot(ts_ns: int, bids: Sizes, asks: Sizes) -> OrderBookDeltas:
    rows = [OrderBookDelta.clear(ID, 1, ts_ns, ts_ns)]
    for side, levels in ((OrderSide.BUY, bids), (OrderSide.SELL, asks)):
        for price, size in levels.items():
            order = BookOrder(side, Price(price, 0), Quantity.from_int(size), 0)
            rows.append(OrderBookDelta(ID, BookAction.ADD, order, 0, 1, ts_ns, ts_ns))
    return OrderBookDeltas(ID, rows)


def decider(**params: object) -> BookImbalance:
    made = make(BookImbalance, BookImbalanceParams(**params), FACTS)  # type: ignore[arg-type]  # by name
    assert isinstance(made, BookImbalance)
    return made


@pytest.mark.parametrize(
    ("bids", "asks", "enters"),
    [
        ({99: 21}, {101: 10}, True),
        ({99: 20}, {101: 10}, False),  # exactly twice is not more than twice
        ({99: 10, 98: 11}, {101: 10}, True),
        ({99: 10, 98: 5, 97: 50}, {101: 10}, False),  # the third level is not weighed
        ({99: 21}, {101: 10, 102: 1}, False),
        ({99: 21}, {}, False),  # no market on one side
        ({99: 10}, {101: 21}, False),  # long only
    ],
)
def test_bids_that_weigh_more_are_bought(bids: Sizes, asks: Sizes, enters: bool) -> None:
    intents = list(decider(depth=2).on_book(snapshot(1, bids, asks)) or ())
    assert [type(intent) for intent in intents] == ([Enter] if enters else [])


def test_asks_that_weigh_more_are_sold_short_where_asked_for() -> None:
    (intent,) = decider(sides="long_short").on_book(snapshot(1, {99: 1}, {101: 3})) or ()
    assert isinstance(intent, Target)
    assert intent.reason == "asks of 5 levels weigh 300 % of the other side: 99 x 1 / 101 x 3"


def test_it_looks_no_more_often_than_told() -> None:
    made = decider(every_ms=100)
    assert not made.on_book(snapshot(0, {99: 1}, {101: 1}))
    assert not made.on_book(snapshot(99 * MS, {99: 9}, {101: 1}))
    assert made.on_book(snapshot(100 * MS, {99: 9}, {101: 1}))


@pytest.mark.parametrize("params", [{"depth": 0}, {"weight_pct": 99}, {"every_ms": -1}])
def test_what_cannot_work_is_refused(params: dict[str, int]) -> None:
    with pytest.raises(ParamError, match=next(iter(params))):
        BookImbalanceParams(**params).check({ID: FACTS})
