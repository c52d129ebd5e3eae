"""Random orders and market moves while KIS loses, delays, repeats and refuses at random."""

import asyncio
import random

import pytest
from kis_desk import run, spec
from live_kis import SECOND
from nautilus_trader.model import OrderSide

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
)
NUMBERS = {
    "request_timeout_ns": 10 * SECOND,
    "breaker_failures": 50,
    "silence_in_session_ns": 20 * SECOND,
    "connects": 100,
}


class Storm:
    """Does random things at one desk; the same seed does the same."""

    def __init__(self, one, seed):
        self.one = one
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
        self.work.append(self.one.orders.submit(f"O{self.sent}", order))

    def _pick(self):
        live = [order.order_id for order in self.one.orders.book.live]
        return self.chance.choice(live) if live else None

    def cancel(self):
        order_id = self._pick()
        if order_id is not None:
            self.work.append(self.one.orders.cancel(order_id))

    def amend(self):
        order_id = self._pick()
        if order_id is not None:
            order = self.one.orders.book.order(order_id)
            price = self.chance.choice([9_960, 9_970, 9_980])
            price += 50 * (order.spec.side is OrderSide.SELL)
            self.work.append(self.one.orders.amend(order_id, order.quantity, price))

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


@pytest.mark.parametrize("seed", range(4))
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
