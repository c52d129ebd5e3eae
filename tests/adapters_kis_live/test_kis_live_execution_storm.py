"""Random orders and market moves while KIS loses, delays, repeats and refuses at random."""

import asyncio
import random
from collections import Counter

import pytest
from kis_desk import run, spec
from kis_node import run_node
from live_kis import SECOND
from nautilus_trader.model import ClientOrderId, OrderFilled, OrderSide, Price, TimeInForce

from adapters.kis.order_events import Filled

FAULTS = (
    ("lost_reply", {"match": "order"}),
    ("late_reply", {"match": "order-cash", "seconds": 0.3}),
    ("garbage_reply", {"match": "order"}),
    ("unknown_outcome", {"match": "order"}),
    ("http_500", {"match": "order"}),
    ("http_500", {"match": "inquire", "count": 3}),
    ("early_limit", {"match": "order"}),
    ("ledger_busy", {"match": "inquire"}),
    ("refused_order", {}),
    ("rejected_order", {}),
    ("lost_notice", {"count": 2}),
    ("late_notice", {"count": 2, "seconds": 0.1}),
    ("duplicate_notice", {"count": 2}),
    ("malformed_frame", {"match": "H0STCNI0"}),
    ("truncated_frame", {"match": "H0STCNI0"}),
    ("dropped_socket", {}),
    ("silent_socket", {"seconds": 70}),
    ("lost_ack", {"match": "H0STCNI0"}),
    ("widened_frame", {"match": "H0STCNI0"}),
    ("narrowed_frame", {"match": "H0STCNI0"}),
    ("no_pingpong", {"count": 3}),
    ("token_expiry", {}),
)
NUMBERS = {
    "request_timeout_ns": 10 * SECOND,
    "breaker_failures": 50,
    "silence_in_session_ns": 20 * SECOND,
    "connects": 100,
}


class Storm:
    """Does random things at one desk, over ``orders``; the same seed does the same."""

    def __init__(self, one, seed):
        self.one = one
        self.orders = one.orders
        self.chance = random.Random(seed)  # noqa: S311 - chance of a test
        self.sent = 0
        self.work = []

    def submit(self):
        price = self.chance.choice([9_970, 9_980, 9_990, 10_000])
        side = self.chance.choice([OrderSide.BUY, OrderSide.BUY, OrderSide.SELL])
        kind = self.chance.choice(["00", "00", "00", "11"])
        if side is OrderSide.SELL:
            price += 20
        order = spec(self.chance.randint(1, 9), price, side, kind)
        self.sent += 1
        self.send(f"O{self.sent}", order)

    def send(self, order_id, order):
        self.work.append(self.orders.submit(order_id, order))

    def take_back(self, order_id):
        self.work.append(self.orders.cancel(order_id))

    def move(self, order, price):
        self.work.append(self.orders.amend(order.order_id, order.quantity, price))

    def _pick(self):
        live = [order.order_id for order in self.orders.book.live]
        return self.chance.choice(live) if live else None

    def cancel(self):
        order_id = self._pick()
        if order_id is not None:
            self.take_back(order_id)

    def amend(self):
        order_id = self._pick()
        if order_id is not None:
            order = self.orders.book.order(order_id)
            price = self.chance.choice([9_960, 9_970, 9_980])
            price += 50 * (order.spec.side is OrderSide.SELL)
            self.move(order, price)

    def trade(self):
        price = self.chance.choice([9_960, 9_980, 9_990, 10_000, 10_010, 10_030])
        self.one.trade(
            price, self.chance.randint(1, 12), buyer_initiated=self.chance.random() < 0.5
        )

    def fault(self):
        kind, more = self.chance.choice(FAULTS)
        self.one.arm(kind, **more)

    async def blow(self, steps):
        kinds = [self.submit] * 4 + [self.cancel] * 2 + [self.amend] + [self.trade] * 4
        kinds += [self.fault] * 3
        for _ in range(steps):
            self.chance.choice(kinds)()
            await asyncio.sleep(self.chance.choice([0, 0, 0.005, 0.02]))
        self.one.server.venue.faults.armed.clear()
        async with asyncio.timeout(8):
            await asyncio.gather(*self.work)


class NodeStorm(Storm):
    """The same through a strategy of the engine."""

    def send(self, order_id, order):
        kinds = {"00": TimeInForce.DAY, "11": TimeInForce.IOC}
        time_in_force = kinds[order.order_type]
        self.one.limit(order.side, order.quantity, order.price, time_in_force=time_in_force)

    def take_back(self, order_id):
        order_id = ClientOrderId(order_id)
        if not self.one.cache.order(order_id).is_pending_cancel:
            self.one.trader.cancel_order(order_id)

    def move(self, order, price):
        order_id = ClientOrderId(order.order_id)
        known = self.one.cache.order(order_id)
        if not known.is_pending_cancel and known.price != Price.from_int(price):
            self.one.trader.modify_order(order_id, price=Price.from_int(price))


@pytest.mark.parametrize("seed", range(1))
def test_the_engine_and_kis_agree_after_a_storm(tmp_path, seed):
    async def body(one):
        first = one.limit(OrderSide.BUY, 5, 10_000)
        await one.until(lambda: one.kinds(first)[-1:] == ["Filled"])
        storm = NodeStorm(one, seed)
        await storm.blow(90)
        await one.until(lambda: one.orders.is_registered, 8)
        assert await one.client.wind_down()
        one.told.fills = [each.fill for each in one.client.events.fills]
        one.check_books()
        heard = Counter()
        for each in one.trader.events:
            if isinstance(each, OrderFilled):
                heard[each.trade_id.value] += int(each.last_qty.as_decimal())
        strays = [each.event for each in one.strays if isinstance(each.event, Filled)]
        heard.update({each.trade_id.value: each.quantity for each in strays})
        assert heard == {each.trade_id.value: each.quantity for each in one.told.fills}
        assert one.told.fills
        for order in one.orders.book.live:
            assert one.cache.order(ClientOrderId(order.order_id)).is_open
        assert len(one.cache.orders_open()) == len(one.orders.book.live)

    def after(one):
        assert one.results[-1].mismatches == ()
        assert one.results[-1].cash.unexplained_krw == 0
        assert one.mismatches == []

    settings = {"settle_timeout_ns": 200 * SECOND}
    run_node(tmp_path, body, after=after, numbers=NUMBERS, settings=settings)


@pytest.mark.parametrize("seed", range(3))
def test_both_books_agree_after_any_storm(tmp_path, seed):
    async def body(one):
        storm = Storm(one, seed)
        await storm.blow(70)
        await one.until(lambda: one.orders.is_registered, 8)
        await one.settled(8)
        one.check_books()
        await one.check_account()
        assert one.server.venue.faults.struck
        assert not [code for code in one.seen.violation_counts if code.startswith("EGW")]
        assert one.told.of("mismatch") == []

    run(tmp_path, body, numbers=NUMBERS)
