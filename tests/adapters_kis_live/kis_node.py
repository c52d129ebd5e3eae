"""A live node of the engine with the execution client of KIS, run on the thread of the test."""

import asyncio
import gc
import threading
import traceback
from contextlib import asynccontextmanager

from kis_desk import Desk
from live_kis import SECOND, FastTime
from nautilus_trader.common import Environment, LoggerConfig, LogLevel
from nautilus_trader.config import DataClientConfig
from nautilus_trader.live import (
    LiveExecutionEngineConfig,
    LiveNodeBuilder,
    LiveNodeConfig,
    SubmissionRecoveryPolicy,
)
from nautilus_trader.live.clients import DataClientFactory, MarketDataClient
from nautilus_trader.model import Money, QuoteTick, TraderId, Venue
from nautilus_trader.trading import Strategy, StrategyConfig

from adapters.kis.execution_client import KisExecutionConfig, KisExecutionFactory
from strategies.markets import krx

from kis_desk import QUOTES, cost  # isort: skip
from kis_market import CODE, server_of  # isort: skip - on live_kis's path


class Shares(MarketDataClient):
    """Gives the engine one share and one quote: it denies market orders without a price."""

    def __init__(self, *, name, config, cache, clock):
        super().__init__(name=name, config=config, cache=cache, clock=clock, venue=Venue(krx.VENUE))

    async def _connect(self):
        share = krx.equity(CODE)
        self._handle_instrument(share)
        sizes = share.make_qty(100), share.make_qty(100)
        self._handle_data(
            QuoteTick(share.id, share.make_price(9_990), share.make_price(10_000), *sizes, 0, 0)
        )

    async def _disconnect(self):
        """Give nothing back: nothing was taken."""


class SharesFactory(DataClientFactory):
    @staticmethod
    def create(*, name, config, cache, clock):
        return Shares(name=name, config=config, cache=cache, clock=clock)


class Trader(Strategy):
    """Does what the test says, and keeps what the engine tells."""

    def __init__(self, config=None):
        super().__init__(config)
        self.events = []
        self.started = False

    def on_start(self):
        self.started = True

    def on_order_event(self, event):
        self.events.append(event)

    def kinds(self, order):
        """Return the kinds of events of an order from its submission on.

        The first event comes inside the submission, and the engine may lose it.
        """
        kinds = [
            type(one).__name__.removeprefix("Order")
            for one in self.events
            if one.client_order_id == order.client_order_id
        ]
        return [kind for kind in kinds if kind != "Initialized"]


def node_config():
    """Return the settings of a node that leaves every order of unknown fate to its client."""
    return LiveNodeConfig(
        environment=Environment.LIVE,
        trader_id=TraderId("T-001"),
        logging=LoggerConfig(stdout_level=LogLevel.OFF),
        exec_engine=LiveExecutionEngineConfig(
            reconciliation=False,
            inflight_check_interval_ms=0,
            submission_recovery_policy=SubmissionRecoveryPolicy.RETAIN_UNRESOLVED,
        ),
        delay_post_stop_secs=0.05,
        timeout_disconnection_secs=10.0,
    )


class NodeDesk(Desk):
    """A server, a gateway, and a node that trades over them."""

    def __init__(self, server, fast, folder, codes, numbers, **settings):
        super().__init__(server, fast, folder, codes, numbers)
        self.strays, self.results, self.named, self.unknown, self.foreign = [], [], [], [], []
        self.mismatches = []
        config = KisExecutionConfig(
            gateway=self.gateway,
            commission=lambda side, quantity, price: Money.from_str(
                f"{cost(side, int(quantity.as_decimal()), int(price.as_decimal()))} KRW"
            ),
            on_stray=self.strays.append,
            on_reconciled=self.results.append,
            on_named=lambda *one: self.named.append(one),
            on_unknown=self.unknown.append,
            on_foreign=self.foreign.append,
            on_mismatch=lambda *one: self.mismatches.append(one),
            **settings,
        )
        self.node = (
            LiveNodeBuilder.from_config("NODE", node_config())
            .add_data_client("KRX", SharesFactory(), DataClientConfig())
            .add_exec_client("KIS", KisExecutionFactory(), config)
            .build()
        )
        self.handle, self.cache = self.node.handle(), self.node.cache
        self.client, self.share = config.client, krx.equity(CODE)
        self.orders, self.reconciler = self.client.orders, self.client.reconciler
        self.trader = Trader(StrategyConfig())
        self.node.add_strategy(self.trader)

    def limit(self, side, quantity, price, **more):
        share = self.share
        order = self.trader.order_factory.limit(
            share.id, side, share.make_qty(quantity), share.make_price(price), **more
        )
        self.trader.submit_order(order)
        return order

    def kinds(self, order):
        return self.trader.kinds(order)


@asynccontextmanager
async def node_desk(
    folder, *events, now=10, codes=(CODE,), numbers=None, settings=None, prepare=None, faults=(),
    **more,
):  # fmt: skip
    """Start a server (which ``prepare`` gets first) and a node, wait until it trades or failed."""
    fast = FastTime(50.0)
    server = server_of(*(events or QUOTES), wall=fast, codes=codes, now=now, **more)
    await server.start()
    if prepare is not None:
        prepare(server)
    numbers = {"request_timeout_ns": 20 * SECOND} | (numbers or {})
    try:
        one = NodeDesk(server, fast, folder, codes, numbers, **(settings or {}))
        for kind in faults:
            one.arm(kind, count=1_000, match="H0STCNI0")
        running = asyncio.create_task(one.node.run_async())
        try:
            async with asyncio.timeout(10):
                while not one.results and not one.failures:
                    await asyncio.sleep(0.005)
            yield one
        finally:
            one.handle.stop()
            await asyncio.gather(running, return_exceptions=True)
            one.node.dispose()
    finally:
        await server.stop()


def in_thread(work):
    """Run ``work`` on a thread of its own: a node is built, run and dropped on one thread."""
    failures = []

    def whole():
        try:
            work()
        # As text: the objects of the engine in its frames belong to this thread.
        except BaseException:  # noqa: BLE001 - told to the test's own thread
            failures.append(traceback.format_exc())
        gc.collect()

    gc.collect()  # what earlier tests left of engines belongs to this thread
    thread = threading.Thread(target=whole)
    thread.start()
    thread.join()
    assert not failures, failures[0]


def run_node(folder, body, *events, after=None, **more):
    """Run ``body`` beside a node that trades, and ``after`` when it has stopped."""

    async def whole():
        async with node_desk(folder, *events, **more) as one:
            await body(one)
        assert one.failures == []
        if after is not None:
            after(one)

    in_thread(lambda: asyncio.run(whole()))
