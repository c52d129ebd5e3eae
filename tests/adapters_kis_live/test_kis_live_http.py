"""Requests over loopback: limits and priorities, losses told apart, retries, breakers, secrets."""

import asyncio
import logging
import socket
import traceback
from functools import partial

import pytest
from live_kis import SECOND, SECRETS, FastTime, live, settings
from nautilus_trader.model import OrderSide

from adapters.kis import errors, replies, requests
from adapters.kis.backoff import BreakerState
from adapters.kis.config import Account
from adapters.kis.http import KisHttp, Recall

from kis_market import CODE, WHO, quote, trade  # isort: skip - found on the path of live_kis

EVENTS = [quote(1), trade(2, 10_000, 5)]
ACCOUNT = Account(WHO.account[:8], WHO.account[8:])
BUY = requests.order(ACCOUNT, OrderSide.BUY, CODE, "00", 1, 9_900)
BALANCE = requests.balance(ACCOUNT)
PRICE = requests.price(CODE)
POLL = requests.prices([CODE])


def check(folder, body, *events, **more):
    async def run():
        async with live(folder, *(events or EVENTS), **more) as one:
            await body(one)

    asyncio.run(run())


def test_answers_are_read_and_connections_kept(tmp_path):
    async def body(one):
        facts = replies.price_facts(await one.http.ask(PRICE))
        assert facts.price == 10_000
        placed = replies.placed(await one.http.ask(BUY))
        assert placed.number
        assert one.http.granted == 3
        assert len(one.http._connections._session.connector._conns) == 1

    check(tmp_path, body)


def test_a_burst_stays_within_the_limit_and_orders_go_first(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        polls = [asyncio.create_task(one.http.ask(POLL)) for _ in range(25)]
        await asyncio.sleep(0)
        await one.http.ask(BUY)
        waiting = sum(not poll.done() for poll in polls)
        await asyncio.gather(*polls)
        assert waiting >= 20
        assert one.seen.most_per_s <= one.config.limits.requests
        assert not one.seen.violation_counts

    check(tmp_path, body, speed=3, limits={"requests_per_s": 18})


def test_a_request_is_taken_back_until_it_is_sent(tmp_path):
    async def body(one):
        early, waiting, late = Recall(), Recall(), Recall()
        early.recall()
        with pytest.raises(errors.Recalled):
            await one.http.ask(BUY, early)
        one.http._budget._hold(tuple(requests.Group), one.fast.timing().steady_ns() + 20 * SECOND)
        asked = asyncio.create_task(one.http.ask(BUY, waiting))
        while not one.http.queued:
            await asyncio.sleep(0)
        waiting.recall()
        with pytest.raises(errors.Recalled):
            await asked
        assert one.http.queued == 0
        assert one.seen.requests["order-cash"] == 0
        assert replies.placed(await one.http.ask(BUY, late)).number
        late.recall()
        assert one.seen.requests["order-cash"] == 1
        assert one.http.breaker(BUY.endpoint) is BreakerState.CLOSED

    check(tmp_path, body)


def test_a_trial_that_is_taken_back_proves_nothing(tmp_path):
    async def body(one):
        breaker, recall = one.http._breaker(BUY.endpoint), Recall()
        while breaker.state is BreakerState.CLOSED:
            breaker.failed(one.fast.timing().steady_ns())
        one.fast.jumped_ns += one.config.limits.breaker_open_ns * 2
        recall.recall()
        with pytest.raises(errors.Recalled):
            await one.http.ask(BUY, recall)
        assert breaker.state is BreakerState.OPEN

    check(tmp_path, body)


@pytest.mark.parametrize(
    ("fault", "count"),
    [("lost_reply", 2), ("late_reply", 1), ("http_500", 2), ("early_limit", 2), ("ledger_busy", 2)],
)
def test_questions_are_asked_again(tmp_path, fault, count):
    async def body(one):
        await one.http.ask(PRICE)
        one.arm(fault, count=count, seconds=0.3, match="inquire-balance")
        assert replies.cash(await one.http.ask(BALANCE)) is not None
        assert one.seen.requests["inquire-balance"] == count + 1
        assert one.http.granted == 3 + count  # none was sent beside the budget

    check(tmp_path, body)


@pytest.mark.parametrize(
    "fault",
    ["lost_reply", "late_reply", "http_500", "ledger_busy", "unknown_outcome", "garbage_reply"],
)
def test_an_order_without_an_answer_is_unknown_and_never_repeated(tmp_path, fault):
    async def body(one):
        await one.http.ask(PRICE)
        one.arm(fault, seconds=0.3, match="order-cash" if fault != "http_500" else "")
        with pytest.raises(errors.OutcomeUnknown):
            await one.http.ask(BUY)
        await asyncio.sleep(0.05)
        assert one.seen.requests["order-cash"] == 1

    check(tmp_path, body)


def test_an_order_refused_at_the_door_is_sent_again(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        one.arm("early_limit", match="order-cash")
        assert replies.placed(await one.http.ask(BUY)).number
        assert one.seen.requests["order-cash"] == 2
        assert not one.seen.duplicates
        one.arm("refused_order")
        with pytest.raises(errors.OrderRefused):
            await one.http.ask(BUY)
        assert one.seen.requests["order-cash"] == 3

    check(tmp_path, body)


def test_what_never_left_is_told_from_what_was_lost(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        await one.server.stop()
        await asyncio.sleep(0.01)
        with pytest.raises(errors.NotSent, match="no connection"):
            await one.http.ask(BUY)

    async def closing():
        """Serve connections that end as soon as a request came."""
        gone = []

        async def end(reader, writer):
            gone.append(await reader.read(10))
            writer.close()

        server = await asyncio.start_server(end, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        fast = FastTime(50)
        async with (
            server,
            KisHttp(settings(port, retries=0), tmp_path, print, fast.timing()) as http,
        ):
            with pytest.raises(errors.VenueBusy, match="lost with its connection") as caught:
                await http.ask(requests.approval_key())
        assert not isinstance(caught.value, errors.NotSent)
        assert gone == [b"POST /oaut"]

    check(tmp_path, body)
    asyncio.run(closing())


def test_a_row_of_failures_rests_the_endpoint_and_one_trial_wakes_it(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        one.arm("http_500", count=5, match="inquire-price")
        for _ in range(5):
            with pytest.raises(errors.VenueBusy):
                await one.http.ask(PRICE)
        asked = one.seen.requests["inquire-price"]
        with pytest.raises(errors.NotSent, match="rests"):
            await one.http.ask(PRICE)
        assert one.http.breaker(requests.PRICE) is BreakerState.OPEN
        assert one.seen.requests["inquire-price"] == asked
        assert one.http.queued == 0
        await one.http.ask(BUY)  # other endpoints are asked as before
        one.fast.jumped_ns += 10 * SECOND
        await one.http.ask(PRICE)
        assert one.http.breaker(requests.PRICE) is BreakerState.CLOSED

    check(tmp_path, body, numbers={"retries": 0})


def test_after_a_refusal_for_haste_all_requests_wait(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        one.arm("early_limit", match="inquire-price")
        with pytest.raises(errors.RateRefused):
            await one.http.ask(PRICE)
        started = one.fast()
        await one.http.ask(BUY)
        assert one.fast() - started >= 19 * SECOND

    check(tmp_path, body, numbers={"retries": 0, "rate_wait_ns": 20 * SECOND})


def test_a_redirection_is_not_followed(tmp_path):
    reached = []

    async def elsewhere(reader, writer):
        reached.append(await reader.read(10))
        writer.close()

    async def redirect(port, reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            f"HTTP/1.1 307 Temporary\r\nLocation: http://127.0.0.1:{port}/\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        writer.close()

    async def run():
        other = await asyncio.start_server(elsewhere, "127.0.0.1", 0)
        there = other.sockets[0].getsockname()[1]
        server = await asyncio.start_server(partial(redirect, there), "127.0.0.1", 0)
        config = settings(server.sockets[0].getsockname()[1], retries=0)
        async with (
            other,
            server,
            KisHttp(config, tmp_path, print, FastTime(50).timing()) as http,
        ):
            with pytest.raises(errors.MalformedAnswer, match="ONETAPE_KIS_REST_URL"):
                await http.ask(requests.approval_key())

    asyncio.run(run())
    assert reached == []


def test_who_is_cancelled_while_waiting_leaves_the_queue(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        polls = [asyncio.create_task(one.http.ask(POLL)) for _ in range(30)]
        await asyncio.sleep(0)
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
        assert one.http.queued == 0
        await one.http.ask(PRICE)

    check(tmp_path, body)


def test_who_waits_when_the_client_is_closed_is_told_so(tmp_path):
    async def body(one):
        async with one.another_http() as other:
            await other.ask(PRICE)
            polls = [asyncio.create_task(other.ask(POLL)) for _ in range(5)]
            await asyncio.sleep(0)
        done = await asyncio.gather(*polls, other.ask(PRICE), return_exceptions=True)
        assert {type(each) for each in done[1:]} == {errors.NotSent}

    check(tmp_path, body, numbers={"retries": 0})


def test_a_full_queue_takes_orders_only(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        polls = [asyncio.create_task(one.http.ask(POLL)) for _ in range(8)]
        done = await asyncio.gather(*polls, one.http.ask(BUY), return_exceptions=True)
        refused = [each for each in done if isinstance(each, errors.NotSent)]
        assert len(refused) == 5
        assert replies.placed(done[-1]).number
        assert one.http.breaker(requests.PRICES) is BreakerState.CLOSED

    check(tmp_path, body, numbers={"queue_length": 3, "retries": 0})


def test_no_error_and_no_log_shows_a_secret(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    told = []

    async def body(one):
        await one.http.ask(PRICE)
        token = one.http._tokens.held().reveal()
        faults = ["lost_reply", "late_reply", "http_500", "garbage_reply", "token_expiry"]
        for fault in faults:
            one.arm(fault, seconds=0.3)
            for asked in (BUY, BALANCE):
                try:
                    told.append(repr(await one.http.ask(asked)))
                except errors.KisError as error:
                    told.extend(traceback.format_exception(error))
                    told.append(repr(error) + repr(error.__context__))
        await one.server.stop()
        with pytest.raises(errors.KisError) as caught:
            await one.http.ask(PRICE)
        told.extend(traceback.format_exception(caught.value))
        shown = "\n".join([*told, *one.said, caplog.text, repr(one.http), repr(one.config)])
        assert len(told) > 10
        assert [each for each in (*SECRETS, token) if each in shown] == []

    check(tmp_path, body, numbers={"retries": 0, "breaker_failures": 50})


def test_an_address_that_answers_something_else_is_named(tmp_path):
    async def run():
        async def end(reader, writer):
            await reader.read(100)
            writer.write(b"SSH-2.0-OpenSSH\r\n")
            writer.close()

        server = await asyncio.start_server(end, "127.0.0.1", 0, family=socket.AF_INET)
        config = settings(server.sockets[0].getsockname()[1], retries=0)
        async with server, KisHttp(config, tmp_path, print, FastTime(50).timing()) as http:
            with pytest.raises(errors.VenueBusy):
                await http.ask(PRICE)

    asyncio.run(run())


def test_a_budget_that_breaks_leaves_nobody_waiting(tmp_path):
    async def body(one):
        def breaks(_now_ns):
            raise ValueError("a queue without a head")

        await one.http.ask(PRICE)
        one.http._budget.next = breaks
        async with asyncio.timeout(2):
            with pytest.raises(ValueError, match="without a head"):
                await one.http.ask(BUY)

    check(tmp_path, body)
