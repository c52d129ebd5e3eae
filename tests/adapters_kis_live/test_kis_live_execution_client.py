"""The execution client in a live node: commands of a strategy, events of the engine."""

import asyncio

import pytest
from kis_node import in_thread, node_desk, run_node
from live_kis import SECOND
from nautilus_trader.model import (
    LiquiditySide,
    Money,
    OrderAccepted,
    OrderCanceled,
    OrderFilled,
    OrderSide,
    OrderStatus,
    Price,
    TimeInForce,
)

from adapters.kis.errors import Stop
from adapters.kis.order_events import Accepted, Filled

from kis_market import CODE, buy  # isort: skip - on the path of live_kis

BUY, SELL = OrderSide.BUY, OrderSide.SELL


def agreed(one):
    assert one.results[-1].settled
    assert one.results[-1].mismatches == ()
    assert one.results[-1].cash.unexplained_krw == 0


def test_orders_of_a_strategy_are_placed_filled_and_cancelled(tmp_path):
    async def body(one):
        bought = one.limit(BUY, 10, 10_000)
        rests = one.limit(BUY, 5, 9_900)
        await one.until(lambda: one.kinds(bought)[-1:] == ["Filled"])
        await one.until(lambda: one.kinds(rests)[-1:] == ["Accepted"])
        one.trader.cancel_order(rests.client_order_id)
        await one.until(lambda: one.kinds(rests)[-1:] == ["Canceled"])
        assert one.kinds(bought) == ["Submitted", "Accepted", "Filled"]

    def after(one):
        assert [each.mismatches for each in one.results] == [(), ()]
        assert [(each.code, each.now, each.ours) for each in one.results[-1].holdings] == [
            (CODE, 10, 10)
        ]
        assert one.results[-1].cash.now_krw == 100_000_000 - 100_015
        assert one.results[-1].cash.unexplained_krw == 0
        assert len(one.named) == 2
        filled = next(each for each in one.trader.events if isinstance(each, OrderFilled))
        assert filled.venue_order_id.value == "20260309-00950-0000010001"
        assert filled.trade_id.value == "20260309-0000010001-1"
        assert filled.commission == Money.from_str("15 KRW")
        assert filled.liquidity_side is LiquiditySide.NO_LIQUIDITY_SIDE
        ours = (OrderAccepted, OrderFilled, OrderCanceled)  # the engine stamps the others itself
        times = [each.ts_event for each in one.trader.events if isinstance(each, ours)]
        assert len(times) == 4
        assert times == sorted(times)

    run_node(tmp_path, body, after=after)


def test_every_kind_of_order_and_change_reaches_kis(tmp_path):
    async def body(one):
        make, share = one.trader.order_factory, one.share
        quantity = share.make_qty(3)
        best = make.market_to_limit(share.id, BUY, quantity)
        market = make.market(share.id, BUY, quantity)
        stop = make.stop_limit(
            share.id, BUY, quantity, Price.from_int(10_200), Price.from_int(10_100)
        )
        refused = make.stop_market(share.id, BUY, quantity, Price.from_int(10_100))
        for order in (best, market, stop, refused):
            one.trader.submit_order(order)
        at_once = one.limit(BUY, 150, 10_000, time_in_force=TimeInForce.IOC)
        moved = one.limit(BUY, 7, 9_900)
        await one.until(lambda: one.kinds(moved)[-1:] == ["Accepted"])
        one.trader.modify_order(moved.client_order_id, price=Price.from_int(9_950))
        await one.until(lambda: one.kinds(moved)[-1:] == ["Updated"])
        one.trader.modify_order(moved.client_order_id, quantity=share.make_qty(8))
        await one.until(lambda: one.kinds(moved)[-1:] == ["ModifyRejected"])
        one.trade(9_940, 2)
        await one.until(lambda: one.kinds(moved)[-1:] == ["Filled"])
        one.trader.cancel_all_orders(share.id)
        await one.until(lambda: one.kinds(stop)[-1:] == ["Canceled"])
        await one.until(lambda: one.kinds(moved)[-1:] == ["Canceled"])
        assert one.kinds(best)[-1] == one.kinds(market)[-1] == "Filled"
        assert one.kinds(at_once)[-2:] == ["Filled", "Canceled"]
        assert one.kinds(refused)[-2:] == ["Submitted", "Rejected"]
        assert {each.type.code for each in one.account.orders} == {"00", "01", "03", "11", "22"}

    run_node(tmp_path, body, after=agreed)


def test_an_order_whose_reply_is_lost_is_unknown_to_us_and_submitted_to_the_engine(tmp_path):
    async def body(one):
        one.arm("lost_reply", match="order-cash")
        one.arm("lost_notice", count=2)
        order = one.limit(BUY, 10, 10_000)
        await one.until(lambda: one.kinds(order)[-1:] == ["Filled"])
        assert one.kinds(order) == ["Submitted", "Accepted", "Filled"]
        assert one.unknown == [order.client_order_id.value]
        assert one.cache.order(order.client_order_id).status is OrderStatus.FILLED

    def after(one):
        agreed(one)
        assert one.seen.requests["order-cash"] == 1

    run_node(tmp_path, body, after=after)


def test_a_fill_that_was_missed_before_an_amendment_reaches_the_engine(tmp_path):
    async def body(one):
        order = one.limit(BUY, 10, 9_950)
        await one.until(lambda: one.kinds(order)[-1:] == ["Accepted"])
        one.arm("lost_notice")
        one.arm("http_500", match="inquire-daily-ccld", count=2)
        one.trade(9_940, 4)
        one.trader.modify_order(order.client_order_id, price=Price.from_int(9_990))
        await one.until(lambda: "Updated" in one.kinds(order))
        one.trade(9_980, 6)
        await one.until(lambda: one.cache.order(order.client_order_id).is_closed)
        assert one.cache.order(order.client_order_id).filled_qty == order.quantity
        assert one.strays == []

    run_node(tmp_path, body, after=agreed)


def test_what_the_engine_refuses_is_told_as_stray_and_counted(tmp_path):
    async def body(one):
        one.arm("http_500", match="order-cash")
        order = one.limit(BUY, 10, 9_990)
        await one.until(lambda: one.kinds(order)[-1:] == ["Rejected"])
        # it was on its way all the same: KIS lists it now
        exchange = one.server.venue.exchange
        exchange.submit(buy(10, 9_990))
        one.trade(9_980, 4)
        await one.orders.list.ask()
        await one.until(lambda: one.strays)
        await one.orders.list.ask()
        fills = [each for each in one.strays if isinstance(each.event, Filled)]
        assert [(each.event.quantity, each.event.price) for each in fills] == [(4, 9_990)]
        assert fills[0].commission == Money.from_str("5 KRW")
        assert one.kinds(order)[-1] == "Rejected"
        assert one.mismatches
        assert (await one.client.reconcile()).mismatches == ()

    run_node(tmp_path, body)


def test_orders_and_shares_from_before_are_told_and_left_alone(tmp_path):
    async def body(one):
        assert len(one.foreign) == 2
        assert [each.start for each in one.results[0].holdings] == [5]
        sold = one.limit(SELL, 5, 9_990)
        await one.until(lambda: one.kinds(sold)[-1:] == ["Filled"])
        one.trader.cancel_all_orders(one.share.id)

    def prepare(server):
        server.venue.exchange.submit(buy(5, 10_000))
        server.venue.exchange.submit(buy(5, 9_900))

    def after(one):
        agreed(one)
        assert len(one.open_orders) == 1
        assert one.seen.requests["order-rvsecncl"] == 0

    run_node(tmp_path, body, after=after, prepare=prepare)


def test_reports_say_what_was_told(tmp_path):
    async def body(one):
        bought = one.limit(BUY, 10, 10_000)
        rests = one.limit(BUY, 5, 9_900)
        await one.until(lambda: one.kinds(bought)[-1:] == ["Filled"])
        await one.until(lambda: one.kinds(rests)[-1:] == ["Accepted"])
        command = Asked(open_only=True)
        (report,) = await one.client._generate_order_status_reports(command)
        assert report.client_order_id == rests.client_order_id
        assert report.order_status is OrderStatus.ACCEPTED
        assert len(await one.client._generate_order_status_reports(Asked())) == 2
        wanted = Asked(client_order_id=bought.client_order_id)
        report = await one.client._generate_order_status_report(wanted)
        assert (report.order_status, report.filled_qty) == (OrderStatus.FILLED, bought.quantity)
        (fill,) = await one.client._generate_fill_reports(Asked())
        assert (fill.trade_id.value, str(fill.commission)) == ("20260309-0000010001-1", "15 KRW")
        (position,) = await one.client._generate_position_status_reports(Asked())
        assert (position.quantity, position.avg_px_open) == (bought.quantity, 10_000)

    run_node(tmp_path, body)


class Asked:
    """A command of the engine that asks for reports."""

    def __init__(self, **given):
        self.instrument_id = self.client_order_id = self.venue_order_id = None
        self.open_only = False
        self.__dict__.update(given)


@pytest.mark.parametrize("is_wound_down", [True, False])
def test_the_end_of_a_node_waits_for_what_is_unknown_and_tells_it(tmp_path, is_wound_down):
    sent = []

    async def body(one):
        one.arm("http_500", match="inquire-daily-ccld", count=4 if is_wound_down else 8)
        one.arm("lost_notice", count=2)
        one.arm("lost_reply", match="order-cash")
        sent.append(one.limit(BUY, 10, 10_000))
        await one.until(lambda: one.unknown)
        if is_wound_down:
            assert await one.client.wind_down()

    def after(one):
        agreed(one)
        expected = [] if is_wound_down else [Accepted, Filled]
        assert [type(each.event) for each in one.strays] == expected
        heard = ["Accepted", "Filled"] if is_wound_down else []
        assert one.kinds(sent.pop()) == ["Submitted", *heard]

    settings = {"settle_timeout_ns": 200 * SECOND}
    run_node(tmp_path, body, after=after, settings=settings)


def test_a_node_without_fill_notices_does_not_start(tmp_path):
    async def whole():
        settings = {"notice_timeout_ns": 20 * SECOND}
        async with node_desk(tmp_path, settings=settings, faults=["lost_ack"]) as one:
            assert not one.results
        (failure,) = one.failures
        assert isinstance(failure, Stop)
        assert "fill notices" in str(failure)

    in_thread(lambda: asyncio.run(whole()))


def test_after_a_reconnect_the_account_is_compared(tmp_path):
    async def body(one):
        order = one.limit(BUY, 10, 9_990)
        await one.until(lambda: one.kinds(order)[-1:] == ["Accepted"])
        one.arm("dropped_socket")
        one.trade(9_980, 4)
        await one.until(lambda: len(one.results) > 1)
        assert one.kinds(order)[-1] == "Filled"
        assert one.results[-1].mismatches == ()

    run_node(tmp_path, body)
