"""The book of orders: what each reply, notice and list row makes of it."""

from dataclasses import replace

import pytest
from kis_order_samples import ACCOUNT, BRANCH, DAY, LIMITS, SPEC, at, clock, notice, row
from nautilus_trader.model import ClientOrderId, OrderSide

from adapters.kis.errors import IllegalTransition
from adapters.kis.market import Acceptance, Change
from adapters.kis.order_events import (
    NEVER_ARRIVED,
    Accepted,
    Amended,
    Canceled,
    ChangeRefused,
    Confirmed,
    Filled,
    Foreign,
    Mismatch,
    OrderKey,
    OrderState,
    Rejected,
    Taken,
    Unknown,
    client_order_id,
    order_key,
)
from adapters.kis.orders import OrderBook
from adapters.kis.replies import Placed


def opened():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", SPEC, at())
    book.taken("A", Placed(BRANCH, "0000010001", clock(0)))
    return book


def listed(book, *rows, seconds=2, complete=True):
    return book.on_list(rows, at(seconds), at(seconds), complete=complete)


def fills(events):
    return [
        (one.ordinal, one.quantity, one.price, one.repaired)
        for one in events
        if isinstance(one, Filled)
    ]


# --- names -------------------------------------------------------------------------------------


def test_ids_are_made_of_date_branch_and_number_and_back():
    key = OrderKey(DAY, BRANCH, "0000010001")
    assert client_order_id(key).value == "KIS-20261117-00950-0000010001"
    assert order_key(client_order_id(key)) == key
    assert order_key(ClientOrderId("O-20261117-1")) is None


# --- replies -----------------------------------------------------------------------------------


def test_the_plain_life_of_an_order():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", SPEC, at())
    key = OrderKey(DAY, BRANCH, "0000010001")
    assert book.taken("A", Placed(BRANCH, "0000010001", clock(0))) == [Taken("A", key)]
    receipt = notice("receipt", quantity=10, acceptance=Acceptance.ACCEPTED)
    assert book.on_notice(receipt, at(1)) == [Accepted("A", key)]
    assert book.on_notice(receipt, at(1)) == []
    (first,) = book.on_notice(notice(quantity=4), at(1))
    assert (first.ordinal, first.quantity, first.price) == (1, 4, 50_200)
    assert first.trade_id.value == "20261117-0000010001-1"
    assert book.unconfirmed == ("A",)
    assert listed(book, row(4)) == [Confirmed("A", "0000010001", 4)]
    assert book.unconfirmed == ()
    assert fills(book.on_notice(notice(quantity=6, seconds=3), at(3))) == [(2, 6, 50_200, False)]
    assert book.order("A").state is OrderState.FILLED
    assert not book.needs_list


def test_notices_before_the_reply_are_kept_for_it():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", SPEC, at())
    assert book.on_notice(notice(quantity=10), at(1)) == []
    events = book.taken("A", Placed(BRANCH, "0000010001", clock(0)))
    assert [type(one) for one in events] == [Taken, Accepted, Filled]
    assert book.order("A").state is OrderState.FILLED


def test_refusals_end_an_order():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", SPEC, at())
    assert book.refused("A", "no cash") == [Rejected("A", "no cash")]
    book = opened()
    (rejected,) = book.on_notice(notice("receipt", refused=True), at(1))
    assert isinstance(rejected, Rejected)
    assert book.order("A").state is OrderState.REJECTED
    book = opened()
    (rejected,) = listed(book, row(refused_quantity=10, remaining=0))
    assert isinstance(rejected, Rejected)


def test_equal_orders_wait_for_the_first_and_others_do_not():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", SPEC, at())
    assert book.waits_for(SPEC) == "A"
    with pytest.raises(IllegalTransition):
        book.sending("B", SPEC, at())
    for other in (
        replace(SPEC, side=OrderSide.SELL),
        replace(SPEC, quantity=9),
        replace(SPEC, price=50_100),
        replace(SPEC, code="000001"),
    ):
        assert book.waits_for(other) is None
    book.reply_lost("A")
    assert book.waits_for(SPEC) == "A"
    listed(book, row(), seconds=1)
    assert book.waits_for(SPEC) is None


# --- unknown orders ----------------------------------------------------------------------------


def unknown():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", SPEC, at())
    assert book.reply_lost("A") == [Unknown("A")]
    return book


def test_an_unknown_order_is_found_by_all_that_is_known_of_it():
    book = unknown()
    assert book.needs_list
    others = [
        row(number="0000000001", code="000001"),
        row(number="0000000002", side=OrderSide.SELL),
        row(number="0000000003", quantity=9),
        row(number="0000000004", price=50_100),
        row(number="0000000005", time="090000"),
        row(number="0000000006", order_type="11"),
    ]
    events = listed(book, *others, row(4, number="0000010009"))
    assert Taken("A", OrderKey(DAY, BRANCH, "0000010009")) in events
    assert fills(events) == [(1, 4, 50_200, True)]
    assert sum(isinstance(one, Foreign) for one in events) == 6
    assert not any(isinstance(one, Mismatch) for one in events)


def test_two_that_fit_take_the_nearest_and_ring():
    book = unknown()
    events = listed(book, row(number="0000000009", time=clock(20)), row(number="0000000008"))
    assert Taken("A", OrderKey(DAY, BRANCH, "0000000008")) in events
    assert any(isinstance(one, Mismatch) for one in events)


def test_overlapping_pages_count_a_row_once():
    book = unknown()
    events = listed(book, row(2), row(3))
    assert fills(events) == [(1, 3, 50_200, True)]
    assert not any(isinstance(one, Mismatch) for one in events)


def test_an_order_known_as_foreign_before_is_not_taken_for_ours():
    book = OrderBook(ACCOUNT, LIMITS)
    assert listed(book, row(number="0000000008"), seconds=-1) == [
        Foreign("0000000008", BRANCH, "123450")
    ]
    book.sending("A", SPEC, at())
    book.reply_lost("A")
    assert listed(book, row(number="0000000008"), seconds=1) == []
    assert book.order("A").state is OrderState.UNKNOWN


def test_a_clock_that_is_wrong_by_minutes_loses_no_order():
    hours_early = clock(-4_000)
    book = OrderBook(ACCOUNT, LIMITS)
    old = row(number="0000000001", time=hours_early)
    listed(book, old, seconds=-1)
    book.sending("A", SPEC, at())
    book.reply_lost("A")
    told = listed(book, old, row(number="0000000002", time=hours_early))
    assert Taken("A", OrderKey(DAY, BRANCH, "0000000002")) in told
    assert any(isinstance(one, Mismatch) for one in told)
    book.sending("B", replace(SPEC, price=50_100), at(5))
    book.taken("B", Placed(BRANCH, "0000000003", clock(-3_995)))  # now the difference is known
    book.sending("C", replace(SPEC, price=50_000), at(10))
    book.reply_lost("C")
    rows = [
        row(number="0000000004", price=50_000, time=clock(-4_500)),
        row(number="0000000005", price=50_000, time=clock(-3_989)),
    ]
    told = listed(book, *rows, seconds=12)
    assert Taken("C", OrderKey(DAY, BRANCH, "0000000005")) in told
    assert Foreign("0000000004", BRANCH, "123450") in told
    assert not any(isinstance(one, Mismatch) for one in told)


def test_only_two_complete_lists_after_a_while_prove_absence():
    book = unknown()
    for seconds, complete in ((1, True), (9, True), (11, False), (12, True)):
        assert listed(book, seconds=seconds, complete=complete) == []
        assert book.order("A").state is OrderState.UNKNOWN
    (rejected,) = listed(book, seconds=13)
    assert isinstance(rejected, Rejected)
    assert book.waits_for(SPEC) is None
    late = book.taken("A", Placed(BRANCH, "0000010001", clock(0)))
    assert [type(one) for one in late] == [Mismatch, Taken]


def test_an_order_in_flight_is_not_called_foreign():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", SPEC, at())
    assert listed(book, row()) == []
    book.reply_lost("A")
    assert [type(one) for one in listed(book, row(), seconds=3)] == [Taken, Accepted]


def test_unpriced_orders_match_whatever_price_the_list_shows():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", replace(SPEC, price=0, order_type="01"), at())
    book.reply_lost("A")
    events = listed(book, row(price=50_700, order_type="01"))
    assert isinstance(events[0], Taken)


# --- fills -------------------------------------------------------------------------------------


def test_a_repeated_notice_is_told_once():
    book = opened()
    book.on_notice(notice(), at(1))
    assert book.on_notice(notice(), at(1)) == []
    assert book.needs_list
    assert listed(book, row(4)) == [Confirmed("A", "0000010001", 4)]
    assert not book.needs_list


def test_a_twin_of_a_fill_is_told_when_the_list_has_it():
    book = opened()
    book.on_notice(notice(), at(1))
    book.on_notice(notice(), at(1))
    events = listed(book, row(8))
    assert fills(events) == [(2, 4, 50_200, True)]


def test_more_than_was_ordered_is_never_told():
    book = opened()
    book.on_notice(notice(quantity=8), at(1))
    assert book.on_notice(notice(quantity=4, seconds=2), at(2)) == []


def test_lost_fills_are_repaired_share_by_share_and_won_by_won():
    book = opened()
    book.on_notice(notice(quantity=2, price=50_100), at(1))
    events = listed(book, row(9, amount=2 * 50_100 + 3 * 50_200 + 4 * 50_150))
    assert fills(events) == [(2, 4, 50_171, True), (3, 3, 50_172, True)]
    assert sum(q * p for _, q, p, _ in fills(events)) == 3 * 50_200 + 4 * 50_150


def test_a_late_notice_of_a_repaired_fill_is_not_told_again():
    book = opened()
    listed(book, row(4))
    assert book.on_notice(notice(quantity=4, seconds=1), at(3)) == []
    assert fills(book.on_notice(notice(quantity=4, seconds=30), at(30))) == [(2, 4, 50_200, False)]


def test_a_late_notice_is_known_by_kis_s_own_clock():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", SPEC, at())
    book.taken("A", Placed(BRANCH, "0000010001", clock(300)))  # five minutes ahead of ours
    listed(book, row(4, time=clock(300)))
    assert book.on_notice(notice(quantity=4, seconds=301), at(3)) == []
    assert fills(book.on_notice(notice(quantity=4, seconds=330), at(30))) == [(2, 4, 50_200, False)]


def test_a_new_fill_taken_for_a_late_one_comes_with_the_next_list():
    book = opened()
    listed(book, row(4))
    assert book.on_notice(notice(quantity=3, seconds=3), at(3)) == []
    assert book.needs_list
    assert fills(listed(book, row(7), seconds=4)) == [(2, 3, 50_200, True)]


def test_a_list_older_than_a_notice_proves_nothing():
    book = opened()
    book.on_notice(notice(), at(5))
    assert listed(book, row(0), seconds=4) == []
    assert listed(book, row(0), seconds=6) == []
    (mismatch,) = listed(book, row(0), seconds=7)
    assert isinstance(mismatch, Mismatch)
    assert listed(book, row(0), seconds=8) == []


def test_notices_of_other_accounts_and_orders_are_kept_apart():
    book = opened()
    assert book.on_notice(notice(account="9999999901"), at(1)) == []
    assert book.on_notice(notice(number="0000000777"), at(1)) == [
        Foreign("0000000777", BRANCH, "123450")
    ]
    assert book.on_notice(notice(number="0000000777"), at(1)) == []
    assert book.on_notice(notice(code="000001"), at(1)) == []
    assert book.order("A").reported == 0


# --- changes -----------------------------------------------------------------------------------


def cancel(quantity=6, acceptance=Acceptance.CONFIRMED, **fields):
    return notice(
        "receipt",
        quantity=quantity,
        number="0000010002",
        original="0000010001",
        change=Change.CANCEL,
        acceptance=acceptance,
        **fields,
    )


def test_a_cancel_after_all_fills_ends_the_order():
    book = opened()
    book.on_notice(notice(), at(1))
    assert book.changing("A", Change.CANCEL, at(2)) == OrderKey(DAY, BRANCH, "0000010001")
    assert book.change_taken("A", Placed(BRANCH, "0000010002", clock(2))) == []
    assert book.on_notice(cancel(), at(3)) == [Canceled("A", 6)]
    assert book.on_notice(cancel(), at(3)) == []
    assert book.order("A").state is OrderState.CANCELED


def test_a_cancel_that_does_not_add_up_waits_for_the_missing_fill():
    book = opened()
    book.changing("A", Change.CANCEL, at(2))
    assert [type(one) for one in book.on_notice(cancel(), at(3))] == [Accepted]
    assert book.order("A").state is OrderState.ENDING
    assert book.needs_list
    late = book.on_notice(notice(), at(4))
    assert [type(one) for one in late] == [Filled, Canceled]
    book = opened()
    book.on_notice(cancel(), at(3))
    done = row(4, remaining=0, canceled_quantity=6)
    events = listed(book, done, seconds=4)
    assert {type(one) for one in events} == {Filled, Confirmed, Canceled}
    assert book.order("A").state is OrderState.CANCELED


def test_what_rests_of_an_order_cancelled_in_part_by_hand_can_be_cancelled():
    book = opened()
    book.on_notice(cancel(3), at(1))
    assert book.order("A").state is OrderState.ENDING
    part = row(remaining=7, canceled_quantity=3)
    by_hand = row(number="0000010002", original="0000010001", remaining=0, type_words="취소")
    listed(book, part, by_hand, seconds=2)
    assert book.needs_list
    listed(book, part, by_hand, seconds=3)
    assert not book.needs_list
    assert book.changing("A", Change.CANCEL, at(4)).number == "0000010001"
    rest = replace(cancel(7), number="0000010003")
    book.on_notice(rest, at(5))
    assert book.needs_list
    done = row(remaining=0, canceled_quantity=10)
    assert Canceled("A", 10) in listed(book, done, by_hand, seconds=6)


def test_a_cancel_that_was_only_accepted_is_settled_by_the_list():
    book = opened()
    book.changing("A", Change.CANCEL, at(1))
    assert book.on_notice(cancel(10, Acceptance.ACCEPTED), at(2)) == []
    assert book.needs_list
    rows = [
        row(remaining=0, canceled_quantity=10),
        row(number="0000010002", original="0000010001", remaining=0),
    ]
    assert Canceled("A", 10) in listed(book, *rows, seconds=3)


def test_the_rest_of_an_ioc_order_ends_it():
    book = opened()
    book.on_notice(notice(), at(1))
    rest = notice("receipt", quantity=6, acceptance=Acceptance.REMAINDER)
    assert book.on_notice(rest, at(1)) == [Canceled("A", 6)]


def test_a_lost_cancel_is_found_or_given_up_and_the_order_stays():
    for rows, expected in (
        ([row(remaining=0, canceled_quantity=10)], Canceled("A", 10)),
        (
            [row()],
            ChangeRefused("A", Change.CANCEL, "KIS does not list the change: it never arrived"),
        ),
    ):
        book = opened()
        book.changing("A", Change.CANCEL, at(1))
        assert book.change_lost("A") == [Unknown("A")]
        assert book.needs_list
        events = listed(book, *rows, seconds=12) + listed(book, *rows, seconds=13)
        assert expected in events
        assert book.order("A").change is None


def test_a_refused_cancel_leaves_the_order_and_asks_the_list():
    book = opened()
    book.changing("A", Change.CANCEL, at(1))
    with pytest.raises(IllegalTransition):
        book.changing("A", Change.CANCEL, at(1))
    refused = book.change_refused("A", "nothing left", at(2))
    assert refused == [ChangeRefused("A", Change.CANCEL, "nothing left")]
    assert book.needs_list
    assert book.order("A").state is OrderState.SENT
    assert isinstance(book.on_notice(cancel(refused=True), at(3))[0], ChangeRefused)


def amended(quantity=6, price=50_100):
    return notice(
        "receipt",
        quantity=quantity,
        price=price,
        number="0000010002",
        original="0000010001",
        change=Change.AMEND,
    )


def test_an_amended_order_goes_on_under_its_new_number():
    book = opened()
    book.on_notice(notice(quantity=4), at(1))
    book.changing("A", Change.AMEND, at(2), quantity=0, price=50_100)
    book.change_taken("A", Placed(BRANCH, "0000010002", clock(2)))
    key = OrderKey(DAY, BRANCH, "0000010002")
    assert book.on_notice(amended(), at(3)) == [Amended("A", key, 10, 50_100)]
    assert book.on_notice(amended(), at(3)) == []
    assert book.changing("A", Change.CANCEL, at(4)).number == "0000010002"
    book.change_refused("A", "x", at(4))
    events = book.on_notice(notice(quantity=6, price=50_100, number="0000010002"), at(5))
    assert fills(events) == [(2, 6, 50_100, False)]
    assert book.order("A").state is OrderState.FILLED


def test_changes_are_told_when_confirmed_and_at_once():
    book = opened()
    book.changing("A", Change.AMEND, at(2), price=50_100)
    accepted = replace(amended(quantity=10), acceptance=Acceptance.ACCEPTED)
    assert book.on_notice(accepted, at(3)) == []
    assert book.needs_list
    key = OrderKey(DAY, BRANCH, "0000010002")
    told = book.on_notice(amended(quantity=10), at(3))
    assert told == [Accepted("A", key), Amended("A", key, 10, 50_100)]
    book = opened()
    book.changing("A", Change.CANCEL, at(2))
    book.on_notice(cancel(10, Acceptance.ACCEPTED), at(3))
    assert Canceled("A", 10) in book.on_notice(cancel(10), at(3))
    assert not book.needs_list


def test_a_late_fill_of_the_old_number_is_part_of_the_amended_order():
    book = opened()
    book.changing("A", Change.AMEND, at(2), price=50_100)
    book.change_taken("A", Placed(BRANCH, "0000010002", clock(2)))
    key = OrderKey(DAY, BRANCH, "0000010002")
    # six rest, so four were filled: the total is what it was
    assert Amended("A", key, 10, 50_100) in book.on_notice(amended(), at(3))
    rest = notice(quantity=6, price=50_100, number="0000010002", seconds=4)
    assert fills(book.on_notice(rest, at(4))) == [(1, 6, 50_100, False)]
    assert book.order("A").state is not OrderState.FILLED
    assert fills(book.on_notice(notice(quantity=4), at(5))) == [(2, 4, 50_200, False)]
    assert book.order("A").state is OrderState.FILLED


def test_an_amendment_made_by_hand_may_make_the_order_smaller_until_more_was_filled():
    book = opened()
    key = OrderKey(DAY, BRANCH, "0000010002")
    assert Amended("A", key, 6, 50_100) in book.on_notice(amended(), at(3))
    late = book.on_notice(notice(quantity=4), at(4))
    assert Amended("A", key, 10, 50_100) in late
    assert fills(late) == [(1, 4, 50_200, False)]
    assert book.order("A").state is not OrderState.FILLED


def test_a_lost_amendment_is_found_by_the_number_it_names():
    book = opened()
    book.changing("A", Change.AMEND, at(2), price=50_100)
    book.change_lost("A")
    rows = [
        row(remaining=0),
        row(number="0000010002", original="0000010001", price=50_100, time=clock(2)),
    ]
    events = listed(book, *rows, seconds=3)
    key = OrderKey(DAY, BRANCH, "0000010002")
    assert [one for one in events if isinstance(one, Amended)] == [Amended("A", key, 10, 50_100)]
    assert book.order("A").state is OrderState.OPEN
    assert book.order("A").change is None


def test_what_an_amendment_left_in_the_list_does_not_end_the_next_change():
    book = opened()
    book.changing("A", Change.AMEND, at(2), price=50_100)
    book.change_taken("A", Placed(BRANCH, "0000010002", clock(2)))
    book.on_notice(amended(quantity=10), at(3))
    rows = [
        row(remaining=0),
        row(number="0000010002", original="0000010001", price=50_100, time=clock(2)),
    ]
    book.changing("A", Change.AMEND, at(4), price=50_000)
    book.change_lost("A")
    assert not any(isinstance(one, Amended) for one in listed(book, *rows, seconds=5))
    assert book.order("A").change is not None
    assert listed(book, *rows, seconds=15) == []
    refused = listed(book, *rows, seconds=16)
    assert [type(one) for one in refused] == [ChangeRefused]
    book.changing("A", Change.AMEND, at(17), price=50_000)
    third = row(number="0000010003", original="0000010002", price=50_000, time=clock(17))
    rows[1] = replace(rows[1], remaining=0)
    key = OrderKey(DAY, BRANCH, "0000010003")
    told = listed(book, *rows, third, seconds=18)
    assert [one for one in told if isinstance(one, Amended)] == [Amended("A", key, 10, 50_000)]
    assert not any(isinstance(one, Amended) for one in listed(book, *rows, third, seconds=19))


def test_an_order_given_up_and_listed_after_all_is_ours():
    book = unknown()
    listed(book, seconds=12)
    listed(book, seconds=13)
    assert book.order("A").state is OrderState.REJECTED
    other = row(number="0000010008", time=clock(60))
    told = listed(book, other, row(4), seconds=14)
    kinds = [type(one) for one in told]
    assert kinds.index(Mismatch) < kinds.index(Taken) < kinds.index(Filled)
    assert Foreign("0000010008", BRANCH, "123450") in told
    assert book.order("A").state is OrderState.OPEN


def test_absence_counts_from_the_loss_of_the_reply():
    book = OrderBook(ACCOUNT, LIMITS)
    book.sending("A", SPEC, at())
    book.reply_lost("A", at(60))
    for seconds in (61, 62, 69):
        assert listed(book, seconds=seconds) == []
    listed(book, seconds=70)
    assert [type(one) for one in listed(book, seconds=71)] == [Rejected]


def test_a_change_with_a_number_that_is_never_listed_is_given_up():
    book = opened()
    book.changing("A", Change.CANCEL, at(1))
    book.change_taken("A", Placed(BRANCH, "0000010002", clock(1)))
    listed(book, row(), seconds=11)
    assert ChangeRefused("A", Change.CANCEL, NEVER_ARRIVED) in listed(book, row(), seconds=12)


def test_what_outlives_its_session_ends_when_two_lists_agree():
    book = opened()
    closed = at(5).market_ns
    for seconds, expected in ((6, []), (7, [Canceled("A", 6)])):
        told = book.on_list([row(4)], at(seconds), at(seconds), complete=True, closed_ns=closed)
        assert [one for one in told if isinstance(one, Canceled)] == expected
    book.sending("B", replace(SPEC, quantity=3), at(8))
    book.taken("B", Placed(BRANCH, "0000010005", clock(8)))
    later = row(quantity=3, remaining=3, number="0000010005", time=clock(8))
    for seconds in (9, 10, 11):
        told = book.on_list([later], at(seconds), at(seconds), complete=True, closed_ns=closed)
        assert not any(isinstance(one, Canceled) for one in told)


def test_a_change_made_by_hand_is_followed():
    book = opened()
    rows = [
        row(remaining=0, canceled_quantity=10),
        row(number="0000010002", original="0000010001", type_words="취소", remaining=0),
    ]
    assert Canceled("A", 10) in listed(book, *rows)


# --- restart -----------------------------------------------------------------------------------


def test_after_a_restart_the_journalled_fills_are_not_told_again():
    book = opened()
    told = [one for one in book.on_notice(notice(), at(1)) if isinstance(one, Filled)]
    again = OrderBook(ACCOUNT, LIMITS)
    again.adopt("A", SPEC, [OrderKey(DAY, BRANCH, "0000010001")], at(), told)
    assert again.needs_list
    assert again.on_notice(notice(), at(1)) == []
    assert fills(listed(again, row(7), seconds=60)) == [(2, 3, 50_200, True)]


def test_after_a_restart_an_order_without_a_number_is_unknown():
    book = OrderBook(ACCOUNT, LIMITS)
    book.adopt("A", SPEC, [], at(), [])
    assert book.order("A").state is OrderState.UNKNOWN
    assert book.waits_for(SPEC) == "A"
    assert Taken("A", OrderKey(DAY, BRANCH, "0000010001")) in listed(book, row(), seconds=60)
