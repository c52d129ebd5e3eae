"""The book of orders where days, clocks and lists meet: nothing is told that may be another's."""

from kis_order_samples import (
    ACCOUNT,
    BRANCH,
    LIMITS,
    SECOND,
    SPEC,
    at,
    clock,
    notice,
    row,
)

from adapters.kis.order_events import Confirmed, Filled, Mismatch, Moment, OrderState
from adapters.kis.orders import OrderBook
from adapters.kis.replies import Placed

DAY_NS = 86_400 * SECOND


def fills(events):
    return [(one.quantity, one.price) for one in events if isinstance(one, Filled)]


def test_a_notice_of_another_day_is_none_of_a_new_order_with_the_same_number():
    book = OrderBook(ACCOUNT, LIMITS)
    yesterday = Moment(at().market_ns - DAY_NS, at().wall_ns - DAY_NS)
    book.on_notice(notice(quantity=10), yesterday)
    book.sending("A", SPEC, at())
    assert fills(book.taken("A", Placed(BRANCH, "0000010001", clock(0)))) == []
    assert book.order("A").state is OrderState.SENT


def test_a_doubt_from_before_the_reply_outlasts_a_list_asked_before_it():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", SPEC, at())
    for _ in range(2):  # twice the same: a repetition, or two alike
        book.on_notice(notice(quantity=4), at(2))
    assert fills(book.taken("A", Placed(BRANCH, "0000010001", clock(0)))) == [(4, 50_200)]
    book.on_list([row(4)], at(1), at(3), complete=True)
    assert book.needs_list
    assert fills(book.on_list([row(8)], at(4), at(4), complete=True)) == [(4, 50_200)]
    assert not book.needs_list


def test_shares_the_list_names_without_won_are_never_told_at_no_price():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", SPEC, at())
    book.taken("A", Placed(BRANCH, "0000010001", clock(0)))
    assert fills(book.on_list([row(4, amount=0)], at(2), at(2), complete=True)) == []
    assert book.needs_list
    (told,) = book.on_list([row(4, amount=0)], at(3), at(3), complete=True)
    assert told == Mismatch("A", "KIS lists 4 shares of 0000010001 as filled and not for how much")
    events = book.on_list([row(4)], at(4), at(4), complete=True)
    assert fills(events) == [(4, 50_200)]
    assert not book.needs_list
    assert any(isinstance(one, Confirmed) for one in events)
