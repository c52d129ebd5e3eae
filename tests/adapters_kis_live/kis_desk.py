"""Orders over a gateway against the simulated KIS in a fast time, and both books compared."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass

from live_kis import SECOND, FastTime, settings
from nautilus_trader.model import InstrumentId, OrderSide

from adapters.kis.execution import KisOrders
from adapters.kis.gateway import Hours, KisGateway
from adapters.kis.order_events import OrderSpec
from adapters.kis.reconciler import Reconciler
from scenarios.venues.kis.faults import Fault, FaultKind
from scenarios.venues.kis.matching import Side
from scenarios.venues.kis.symbols import Print
from strategies.markets import krx

from kis_market import CODE, SESSION, WHO, quote, server_of  # isort: skip - on live_kis's path

QUOTES = [quote(second) for second in range(0, 4_000, 5)]


@dataclass
class VenueClock:
    """The market time of a server, by the wall time both live by."""

    server: object

    def at(self, wall_ns):
        return self.server.venue.time.market_ns(wall_ns)

    def wall(self, market_ns):
        return market_ns - self.at(0)


class Told:
    """A listener that keeps everything, by kind, and the fills by order."""

    def __init__(self):
        self.all = []
        self.fills = []
        self.reconciler = None

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)

        def note(*args):
            self.all.append((name, *args))

        return note

    def filled(self, fill):
        self.all.append(("filled", fill.order_id, fill))
        self.fills.append(fill)
        self.reconciler.filled(fill)

    def of(self, kind, order_id=None):
        return [
            each
            for each in self.all
            if each[0] == kind and (order_id is None or each[1] == order_id)
        ]

    def story(self, order_id):
        """Return the kinds of what was told of an order, numbers and confirmations left out."""
        silent = {"named", "confirmed"}
        return [kind for kind, *args in self.all if args[:1] == [order_id] and kind not in silent]


def cost(side, quantity, price):
    value = quantity * price
    fees = krx.commission_krw(value)
    return fees + (krx.sell_tax_krw(value) if side is OrderSide.SELL else 0)


def spec(quantity=10, price=9_900, side=OrderSide.BUY, kind="00", code=CODE, trigger=0):
    return OrderSpec(code, side, quantity, price, kind, trigger)


class Desk:
    """A server, a gateway to it, and orders over it; see ``place``."""

    def __init__(self, server, fast, folder, codes, numbers):
        mock = {"ONETAPE_KIS_ENV": "mock"} if server.venue.is_mock else {}
        self.server = server
        self.fast = fast
        self.said = []
        self.failures = []
        self.reconciled = []
        self.told = Told()
        self.gateway = KisGateway(
            settings(server.port, mock, **numbers),
            folder,
            self.said.append,
            market=VenueClock(server),
            instrument_ids={code: InstrumentId.from_str(f"{code}.KRX") for code in codes},
            hours=[Hours(SESSION.open_ns, SESSION.close_ns)],
            failed=self.failures.append,
            timing=fast.timing(),
        )

    def place(self, **more):
        """Make the orders and what compares them."""
        self.orders = KisOrders(self.gateway, self.told, **more)
        self.reconciler = Reconciler(
            self.gateway,
            self.orders,
            cost,
            lambda _account, result: self.reconciled.append(result),
        )
        self.told.reconciler = self.reconciler

    # --- the server's side ---

    def arm(self, kind, **more):
        self.server.arm(Fault(FaultKind(kind), **more))

    @property
    def seen(self):
        return self.server.venue.witness

    @property
    def account(self):
        return self.server.venue.exchange.books.accounts[WHO.account]

    @property
    def open_orders(self):
        return [order for order in self.account.orders if order.open_quantity]

    def trade(self, price, size, *, buyer_initiated=False):
        """Let the market trade now."""
        exchange = self.server.venue.exchange
        exchange._on_print(Print(exchange.now_ns, CODE, price, size, buyer_initiated))

    # --- waiting ---

    async def until(self, holds, timeout_s=4.0):
        async with asyncio.timeout(timeout_s):
            while not holds():
                assert self.failures == []
                await asyncio.sleep(0.002)

    async def settled(self, timeout_s=4.0):
        """Wait until nothing is in doubt, asking once more for the list."""
        await self.until(lambda: self.orders.is_settled, timeout_s)
        await self.orders.list.ask()
        await self.until(lambda: self.orders.is_settled, timeout_s)

    # --- both books ---

    def check_books(self):
        """Fail where fills or open orders differ from the venue's own books."""
        signed = Counter()
        for fill in self.told.fills:
            signed[fill.code] += fill.quantity * (1 if fill.side is OrderSide.BUY else -1)
        held = {code: one.quantity for code, one in self.account.positions.items() if one.quantity}
        assert {code: one for code, one in signed.items() if one} == held
        assert self._told_sums() == self._venue_sums()
        live = [order.order_id for order in self.orders.book.live]
        assert len(live) == len(self.open_orders), live
        assert not self.seen.duplicates
        ids = [fill.trade_id.value for fill in self.told.fills]
        assert len(ids) == len(set(ids))

    def _told_sums(self):
        total = Counter()
        for fill in self.told.fills:
            total[fill.side, "shares"] += fill.quantity
            total[fill.side, "won"] += fill.quantity * fill.price
        return total

    def _venue_sums(self):
        total = Counter()
        for fill in self.account.fills:
            side = OrderSide.BUY if fill.side is Side.BUY else OrderSide.SELL
            total[side, "shares"] += fill.quantity
            total[side, "won"] += fill.quantity * fill.price
        return total

    async def check_account(self):
        """Fail where holdings or cash differ from what the fills explain."""
        result = await self.reconciler.reconcile()
        assert result.settled
        assert result.mismatches == ()
        assert result.cash.unexplained_krw == 0
        assert result.cash.now_krw == self.account.cash_won
        assert [each.difference for each in result.holdings if each.difference] == []
        return result


@asynccontextmanager
async def desk(
    folder, *events, speed=80.0, now=10, codes=(CODE,), list_every_s=30, ends_ns=(), numbers=None,
    start=True, **more,
):  # fmt: skip
    """Start a server and orders over it, at ``now`` seconds after the open."""
    fast = FastTime(speed)
    server = server_of(*(events or QUOTES), wall=fast, codes=codes, now=now, **more)
    await server.start()
    numbers = {"request_timeout_ns": 20 * SECOND} | (numbers or {})
    try:
        one = Desk(server, fast, folder, codes, numbers)
        one.place(list_every_ns=list_every_s * SECOND, ends_ns=ends_ns)
        await one.gateway.open()
        try:
            if start:
                await one.orders.start(60 * SECOND)
                await one.reconciler.begin()
            yield one
        finally:
            await one.orders.stop()
            await one.gateway.close()
    finally:
        await server.stop()


def run(folder, body, *events, **more):
    async def whole():
        async with desk(folder, *events, **more) as one:
            await body(one)
            assert one.failures == []

    asyncio.run(whole())
