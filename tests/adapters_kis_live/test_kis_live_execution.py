"""Orders against the simulated KIS: sent once, whatever is lost, late, repeated or refused."""

import asyncio

import pytest
from kis_desk import desk, run, spec
from live_kis import SECOND
from nautilus_trader.model import OrderSide

from adapters.kis.errors import Stop
from adapters.kis.market import Change
from adapters.kis.order_events import OrderState
from adapters.kis.requests import Group
from scenarios.venues.kis.personality import Environment

from kis_market import CODE, SESSION, buy, quote, trade as print_at  # isort: skip - on live_kis's path

FAST_TIMEOUT = {"request_timeout_ns": 6 * SECOND}


async def both_books(one):
    await one.settled()
    one.check_books()
    return await one.check_account()


# --- the plain life ----------------------------------------------------------------------------


def test_an_order_is_filled_told_at_once_and_confirmed(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec(10, 10_000))
        await one.until(lambda: one.told.of("filled"))
        result = await both_books(one)
        assert one.told.story("A") == ["accepted", "filled"]
        assert one.told.of("named", "A")
        assert one.told.of("confirmed", "A")
        assert result.cash.ours_krw == -100_000 - 15

    run(tmp_path, body)


def test_a_resting_order_is_filled_in_parts_and_cancelled_by_its_number(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec(10, 9_990))
        one.trade(9_980, 4)
        await one.until(lambda: one.told.of("filled"))
        await one.orders.cancel("A")
        await both_books(one)
        assert one.told.story("A") == ["accepted", "filled", "canceled"]
        assert one.told.of("canceled") == [("canceled", "A", 6)]
        await one.orders.cancel("A")  # it has ended: nothing is sent
        assert one.seen.requests["order-rvsecncl"] == 1

    run(tmp_path, body)


@pytest.mark.parametrize(
    ("order", "story", "left"),
    [
        (spec(10, 0, kind="01"), ["accepted", "filled"], 0),
        (spec(10, 0, kind="03"), ["accepted", "filled"], 0),
        (spec(150, 10_000, kind="11"), ["accepted", "filled", "canceled"], 50),
        (spec(150, 10_000, kind="12"), ["accepted", "canceled"], 150),
        (spec(10, 10_200, kind="22", trigger=10_100), ["accepted"], 0),
    ],
)
def test_each_type_of_order_ends_as_the_venue_ends_it(tmp_path, order, story, left):
    async def body(one):
        await one.orders.submit("A", order)
        await both_books(one)
        assert one.told.story("A") == story
        assert sum(each[2] for each in one.told.of("canceled")) == left
        if order.trigger:
            one.trade(10_150, 5, buyer_initiated=True)
            await one.until(lambda: one.told.of("filled"))
            await both_books(one)

    run(tmp_path, body)


def test_an_amended_order_goes_on_and_its_cancel_names_the_latest_number(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec(10, 9_900))
        await one.orders.amend("A", 10, 9_950)
        assert one.told.story("A") == ["accepted", "amended"]
        await one.orders.amend("A", 9, 9_960)
        assert one.told.of("change_refused")[0][2] is Change.AMEND
        await one.orders.cancel("A")
        await both_books(one)
        assert one.orders.book.order("A").state is OrderState.CANCELED
        assert len(one.account.orders) == 3

    run(tmp_path, body)


def test_orders_sold_are_told_with_their_side(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec(10, 10_000))
        await one.orders.submit("B", spec(4, 9_990, OrderSide.SELL))
        await one.orders.submit("C", spec(40, 9_990, OrderSide.SELL))
        result = await both_books(one)
        assert one.told.story("C") == ["rejected"]
        assert [(each.start, each.now, each.ours) for each in result.holdings] == [(0, 6, 6)]

    run(tmp_path, body)


def test_the_mock_servers_are_traded_on_within_their_one_request_a_second(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec(10, 10_000))
        one.arm("lost_reply", match="order-cash")
        await one.orders.submit("B", spec(10, 9_900))
        await one.orders.cancel("B")
        await both_books(one)
        assert one.told.story("A") == ["accepted", "filled"]
        assert one.told.story("B")[-1] == "canceled"
        assert not one.seen.violation_counts

    run(tmp_path, body, environment=Environment.MOCK, limits={"requests_per_s": 1})


# --- replies that are lost, late or unreadable --------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "is_placed"),
    [
        ("lost_reply", True),
        ("late_reply", True),
        ("garbage_reply", True),
        ("unknown_outcome", True),
        ("http_500", False),
        ("ledger_busy", False),
    ],
)
@pytest.mark.parametrize("price", [10_000, 9_900])
def test_an_order_without_a_reply_is_looked_up_and_never_sent_again(
    tmp_path, fault, is_placed, price
):
    async def body(one):
        one.arm(fault, seconds=0.3, match="order-cash")
        await one.orders.submit("A", spec(10, price))
        assert one.told.story("A")[0] == "unknown"
        assert one.orders.book.order("A").state is OrderState.UNKNOWN
        await both_books(one)
        assert one.seen.requests["order-cash"] == 1
        ended = ["accepted", "filled"] if price == 10_000 else ["accepted"]
        assert one.told.story("A") == ["unknown", *(ended if is_placed else ["rejected"])]

    run(tmp_path, body, numbers=FAST_TIMEOUT)


def test_an_equal_order_waits_for_the_unknown_one_and_a_cancel_takes_it_back(tmp_path):
    async def body(one):
        one.arm("lost_reply", match="order-cash")
        one.arm("http_500", match="inquire-daily-ccld", count=4)
        await one.orders.submit("A", spec())
        waits = [one.orders.submit(name, spec()) for name in ("B", "C")]
        assert one.told.of("waiting") == [("waiting", "B", "A"), ("waiting", "C", "A")]
        await one.orders.submit("D", spec(price=9_800))  # no equal order: it goes at once
        assert one.seen.requests["order-cash"] == 2
        await one.orders.cancel("C")
        await asyncio.gather(*waits)
        await both_books(one)
        assert one.told.story("B") == ["waiting", "accepted"]
        assert one.told.story("C") == ["waiting", "canceled"]
        assert one.seen.requests["order-cash"] == 3
        assert len(one.open_orders) == 3

    run(tmp_path, body)


def test_refusals_are_told_and_haste_alone_is_repeated(tmp_path):
    async def body(one):
        one.arm("refused_order")
        await one.orders.submit("A", spec())
        one.arm("early_limit", match="order-cash")
        await one.orders.submit("B", spec())
        await one.orders.submit("C", spec(quantity=10**7, price=9_990))
        await one.orders.submit("D", spec(quantity=0))
        await both_books(one)
        assert [one.told.story(name) for name in "ABCD"] == [
            ["rejected"],
            ["accepted"],
            ["rejected"],
            ["rejected"],
        ]
        assert len(one.account.orders) == 1

    run(tmp_path, body)


@pytest.mark.parametrize("is_lost", [False, True])
def test_a_rejection_by_the_exchange_is_told_by_notice_or_list(tmp_path, is_lost):
    async def body(one):
        one.arm("rejected_order")
        if is_lost:
            one.arm("lost_notice")
        await one.orders.submit("A", spec())
        await both_books(one)
        assert one.told.story("A")[-1] == "rejected"

    run(tmp_path, body)


def test_who_is_cancelled_while_sending_learns_of_the_order_all_the_same(tmp_path):
    async def body(one):
        async def submit():
            await one.orders.submit("A", spec(10, 10_000))

        task = asyncio.create_task(submit())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await both_books(one)
        assert one.told.story("A") == ["accepted", "filled"]

    run(tmp_path, body)


def test_a_venue_that_sends_no_notices_is_followed_by_its_list(tmp_path):
    async def body(one):
        one.arm("lost_notice", count=1_000)
        await one.orders.submit("A", spec(10, 9_990))
        await one.until(lambda: one.told.of("accepted"))
        one.trade(9_980, 4)
        await one.until(lambda: one.told.of("filled"))  # by the timer
        await one.orders.cancel("A")
        await both_books(one)
        assert one.told.story("A") == ["accepted", "filled", "canceled"]

    run(tmp_path, body, list_every_s=10)


def test_the_timer_asks_while_orders_live_and_not_after(tmp_path):
    async def body(one):
        asked = one.seen.requests["inquire-daily-ccld"]
        await asyncio.sleep(0.3)
        assert one.seen.requests["inquire-daily-ccld"] - asked <= 1
        await one.orders.submit("A", spec())
        await one.until(lambda: one.seen.requests["inquire-daily-ccld"] >= asked + 4)

    run(tmp_path, body, list_every_s=2)


# --- cancels -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "sent"),
    [
        ("lost_reply", 1),
        ("late_reply", 1),
        ("garbage_reply", 1),
        ("unknown_outcome", 1),
        ("http_500", 2),
        ("early_limit", 2),
        ("ledger_busy", 2),
    ],
)
def test_a_cancel_is_repeated_only_where_the_list_shows_that_it_never_arrived(
    tmp_path, fault, sent
):
    async def body(one):
        await one.orders.submit("A", spec())
        one.arm(fault, seconds=0.3, match="order-rvsecncl")
        await one.orders.cancel("A")
        await both_books(one)
        assert one.told.story("A")[-1] == "canceled"
        assert "change_refused" not in one.told.story("A")
        assert one.seen.requests["order-rvsecncl"] == sent

    run(tmp_path, body, numbers=FAST_TIMEOUT)


def test_a_cancel_waits_for_the_number_of_its_order(tmp_path):
    async def body(one):
        one.arm("lost_reply", match="order-cash")
        one.orders.submit("A", spec())
        await one.until(lambda: one.seen.requests["order-cash"])
        await one.orders.cancel("A")
        await both_books(one)
        assert one.told.story("A") == ["unknown", "accepted", "canceled"]

    run(tmp_path, body)


def let_nothing_go(one, seconds=30):
    until_ns = one.gateway.timing.steady_ns() + seconds * SECOND
    one.gateway.http._budget._hold(tuple(Group), until_ns)


def test_an_order_that_waits_for_its_turn_is_taken_back_by_a_cancel(tmp_path):
    async def body(one):
        let_nothing_go(one)
        sending = one.orders.submit("A", spec())
        cancels = [one.orders.cancel("A") for _ in range(2)]
        await asyncio.gather(sending, *cancels)
        assert one.told.story("A") == ["canceled"]
        assert one.gateway.http.queued == 0
        await both_books(one)
        assert one.seen.requests["order-cash"] == 0

    run(tmp_path, body)


def test_orders_that_wait_for_their_turn_are_taken_back_at_the_end(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec())
        await one.until(lambda: one.told.of("accepted"))
        let_nothing_go(one)
        sending = [
            one.orders.submit(name, spec(price=9_800 - 10 * i)) for i, name in enumerate("BC")
        ]
        finishing = asyncio.create_task(one.orders.finish(60 * SECOND))
        await asyncio.gather(*sending)
        assert await finishing
        assert [one.told.story(name) for name in "ABC"] == [
            ["accepted"],
            ["canceled"],
            ["canceled"],
        ]
        assert one.seen.requests["order-cash"] == 1

    run(tmp_path, body)


def test_a_cancel_that_waits_for_its_turn_is_not_sent_once_its_order_has_filled(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec(10, 9_990))
        await one.until(lambda: one.told.of("accepted"))
        let_nothing_go(one)
        cancel = one.orders.cancel("A")
        one.trade(9_980, 10)
        await cancel
        assert one.told.story("A") == ["accepted", "filled"]
        await both_books(one)
        assert one.seen.requests["order-rvsecncl"] == 0

    run(tmp_path, body)


def test_a_cancel_whose_confirmation_is_lost_is_settled_by_the_list(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec())
        await one.until(lambda: one.told.of("accepted"))
        one.arm("lost_notice", count=2)
        await one.orders.cancel("A")
        await both_books(one)
        assert one.told.story("A") == ["accepted", "canceled"]

    run(tmp_path, body)


def test_a_cancel_that_crosses_the_last_fill_is_refused_and_the_fill_told(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec(10, 9_990))
        await one.until(lambda: one.told.of("accepted"))
        one.arm("lost_notice")
        one.trade(9_980, 50)
        await one.orders.cancel("A")
        await both_books(one)
        assert one.told.story("A") == ["accepted", "change_refused", "filled"]
        assert one.seen.requests["order-rvsecncl"] == 1

    run(tmp_path, body)


def test_a_lost_amendment_is_found_or_refused(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec())
        await one.until(lambda: one.told.of("accepted"))
        one.arm("lost_reply", match="order-rvsecncl")
        await one.orders.amend("A", 10, 9_950)
        one.arm("http_500", match="order-rvsecncl")
        await one.orders.amend("A", 10, 9_960)
        await both_books(one)
        story = one.told.story("A")
        assert story == ["accepted", "unknown", "amended", "unknown", "change_refused"]
        assert one.orders.book.order("A").price == 9_950

    run(tmp_path, body)


# --- notices and the socket ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "more"),
    [
        ("lost_notice", {"count": 2}),
        ("late_notice", {"count": 2, "seconds": 0.1}),
        ("duplicate_notice", {"count": 2}),
        ("malformed_frame", {"match": "H0STCNI0"}),
        ("truncated_frame", {"match": "H0STCNI0"}),
        ("widened_frame", {"match": "H0STCNI0"}),
        ("narrowed_frame", {"match": "H0STCNI0"}),
    ],
)
def test_fills_are_told_once_whatever_becomes_of_their_notices(tmp_path, fault, more):
    async def body(one):
        await one.orders.submit("A", spec(10, 9_990))
        await one.until(lambda: one.told.of("accepted"))
        one.arm(fault, **more)
        one.trade(9_980, 3)
        one.trade(9_980, 3)
        one.trade(9_980, 4)
        await asyncio.sleep(0.05)
        await both_books(one)
        await asyncio.sleep(0.15)  # what is late comes now
        await both_books(one)
        assert "mismatch" not in one.told.story("A")

    run(tmp_path, body)


@pytest.mark.parametrize("fault", ["dropped_socket", "silent_socket", "no_pingpong"])
def test_what_is_filled_while_nothing_is_heard_is_told_by_the_list(tmp_path, fault):
    async def body(one):
        await one.orders.submit("A", spec(10, 9_990))
        await one.until(lambda: one.told.of("accepted"))
        connections = one.gateway.socket.connections
        one.arm(fault, seconds=3_600, count=10)
        one.trade(9_980, 4)
        await one.until(lambda: one.gateway.socket.connections > connections)
        one.trade(9_980, 2)
        await one.until(lambda: one.orders.is_registered)
        await both_books(one)
        assert sum(each.quantity for each in one.told.fills) == 6

    run(tmp_path, body, speed=100.0)


def test_a_notice_whose_key_never_comes_is_made_up_for_by_the_list(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec(10, 9_990))
        one.arm("lost_ack", match="H0STCNI0")
        one.arm("dropped_socket")
        await one.until(lambda: not one.orders.is_registered)
        one.trade(9_980, 4)
        await one.until(lambda: one.orders.is_registered)
        await both_books(one)
        assert sum(each.quantity for each in one.told.fills) == 4

    run(tmp_path, body)


def test_an_expired_token_is_replaced_and_the_order_sent_once(tmp_path):
    async def body(one):
        one.fast.jumped_ns += 70 * SECOND  # a second token within a minute is refused
        one.arm("token_expiry")
        await one.orders.submit("A", spec(10, 10_000))
        await both_books(one)
        assert one.told.story("A") == ["accepted", "filled"]
        assert len(one.account.orders) == 1

    run(tmp_path, body)


def test_without_a_token_an_order_is_surely_not_placed_and_a_cancel_waits_for_one(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec())
        one.arm("token_expiry")
        await one.orders.submit("B", spec(price=9_800))
        assert one.told.story("B") == ["rejected"]  # a second token within a minute is refused
        await one.orders.cancel("A")
        await both_books(one)
        assert one.told.story("A") == ["accepted", "canceled"]
        assert one.seen.requests["order-rvsecncl"] == 1

    run(tmp_path, body)


# --- the list ------------------------------------------------------------------------------------


def test_a_list_of_many_pages_is_read_to_its_end(tmp_path):
    async def body(one):
        for number in range(12):
            one.arm("lost_reply", match="order-cash", count=1)
            await one.orders.submit(f"O{number}", spec(price=9_000 + 10 * number))
        await both_books(one)
        assert len(one.open_orders) == 12

    pages = {"requests_per_s": 1_000, "order_page": 5}
    run(tmp_path, body, limits=pages, numbers={"breaker_failures": 50})


def test_orders_not_placed_here_are_told_and_their_fills_explain_the_holdings(tmp_path):
    async def body(one):
        exchange = one.server.venue.exchange
        exchange.submit(buy(5, 10_000))
        await one.orders.submit("A", spec(10, 10_000))
        await one.settled()
        result = await one.check_account()
        (foreign,) = one.told.of("foreign")
        assert foreign[1].code == CODE
        (holding,) = result.holdings
        assert (holding.ours, holding.foreign, holding.now) == (10, 5, 15)
        assert one.seen.requests["order-rvsecncl"] == 0

    run(tmp_path, body)


BEFORE_CLOSE_S = (SESSION.close_ns - SESSION.open_ns) // SECOND - 25


def test_what_rests_at_the_close_is_told_as_over(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec(10, 9_000))
        await one.orders.submit("B", spec(10, 9_010))
        await one.until(lambda: len(one.told.of("accepted")) == 2)
        await one.until(lambda: not one.orders.book.live)
        await both_books(one)
        assert one.told.story("A") == one.told.story("B") == ["accepted", "canceled"]

    more = {"ends_ns": [SESSION.close_ns], "list_every_s": 3_600}
    run(tmp_path, body, quote(BEFORE_CLOSE_S - 1), now=BEFORE_CLOSE_S, **more)


def test_an_order_the_list_shows_as_open_for_ever_ends_with_its_session(tmp_path):
    async def body(one):
        one.server.venue.exchange.desk.expire = lambda: None
        await one.orders.submit("A", spec(10, 9_000))
        await one.until(lambda: one.told.of("accepted"))
        await one.until(lambda: not one.orders.book.live)
        assert one.told.story("A") == ["accepted", "canceled"]
        assert (await one.reconciler.reconcile()).mismatches == ()

    more = {"ends_ns": [SESSION.close_ns]}
    run(tmp_path, body, quote(BEFORE_CLOSE_S - 1), now=BEFORE_CLOSE_S, **more)


def test_what_the_closing_auction_fills_late_was_not_told_as_over(tmp_path):
    async def body(one):
        await one.orders.submit("A", spec(10, 9_990))
        await one.orders.submit("B", spec(10, 9_000))
        await one.until(lambda: not one.orders.book.live)
        await both_books(one)
        assert one.told.story("A") == ["accepted", "filled"]
        assert one.told.story("B") == ["accepted", "canceled"]

    late = print_at(BEFORE_CLOSE_S + 25, 9_980, 30, None)
    more = {"ends_ns": [SESSION.close_ns], "close_late_s": 29}
    run(tmp_path, body, quote(BEFORE_CLOSE_S - 1), late, now=BEFORE_CLOSE_S, **more)


# --- start and stop ------------------------------------------------------------------------------


def test_without_notices_nothing_is_traded(tmp_path):
    async def body(one):
        one.arm("lost_ack", match="H0STCNI0", count=100)
        with pytest.raises(Stop, match="fill notices within 20 s"):
            await one.orders.start(20 * SECOND)
        await one.orders.submit("A", spec())
        assert one.told.story("A") == ["rejected"]

    run(tmp_path, body, start=False)


def test_the_end_takes_waiting_orders_back_and_settles_unknown_ones(tmp_path):
    async def body(one):
        one.arm("lost_reply", match="order-cash")
        one.arm("http_500", match="inquire-daily-ccld", count=4)
        await one.orders.submit("A", spec())
        one.orders.submit("B", spec())
        assert await one.orders.finish(60 * SECOND)
        assert one.told.story("A") == ["unknown", "accepted"]
        assert one.told.story("B") == ["waiting", "canceled"]
        await one.orders.submit("C", spec())
        assert one.told.story("C") == ["rejected"]
        one.check_books()

    run(tmp_path, body)


def test_an_end_that_cannot_be_waited_for_says_so(tmp_path):
    async def body(one):
        one.arm("lost_reply", match="order-cash")
        one.arm("http_500", match="inquire-daily-ccld", count=1_000)
        await one.orders.submit("A", spec())
        assert not await one.orders.finish(5 * SECOND)
        assert one.orders.book.order("A").state is OrderState.UNKNOWN

    run(tmp_path, body)


def test_the_start_says_what_is_not_read_whole(tmp_path):
    async def whole():
        async with desk(tmp_path, start=False) as one:
            one.arm("http_500", match="inquire-balance", count=4)
            await one.orders.start(60 * SECOND)
            with pytest.raises(Exception, match="EGW00316"):
                await one.reconciler.begin()

    asyncio.run(whole())
