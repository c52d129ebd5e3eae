"""A live node of the engine with the execution client of KIS, run on the thread of the test."""

import asyncio
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
from nautilus_trader.model import Money, TraderId, Venue
from nautilus_trader.trading import Strategy, StrategyConfig

from adapters.kis.execution_client import KisExecution, KisExecutionConfig, KisExecutionFactory
from strategies.markets import krx

from kis_desk import QUOTES, cost  # isort: skip
from kis_market import CODE, server_of  # isort: skip - on live_kis's path


class Shares(MarketDataClient):
    """Gives the engine the instruments and nothing else."""

    def __init__(self, *, name, config, cache, clock):
        super().__init__(name=name, config=config, cache=cache, clock=clock, venue=Venue(krx.VENUE))

    async def _connect(self):
        self._handle_instrument(krx.equity(CODE))

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

    def on_order_event(self, event):
        self.events.append(event)

    def kinds(self, order):
        """Return the kinds of events of an order that the engine applied."""
        return [
            type(one).__name__.removeprefix("Order")
            for one in self.events
            if one.client_order_id == order.client_order_id
        ]


class Made(KisExecutionFactory):
    """Keeps the client it made."""

    client: KisExecution

    @staticmethod
    def create(**parts):
        Made.client = KisExecutionFactory.create(**parts)
        return Made.client


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
        node_config = LiveNodeConfig(
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
        self.node = (
            LiveNodeBuilder.from_config("NODE", node_config)
            .add_data_client("KRX", SharesFactory(), DataClientConfig())
            .add_exec_client("KIS", Made(), config)
            .build()
        )
        self.handle, self.cache = self.node.handle(), self.node.cache
        self.orders, self.reconciler = Made.client.orders, Made.client.reconciler
        self.trader = Trader(StrategyConfig())
        self.node.add_strategy(self.trader)

    def limit(self, side, quantity, price, **more):
        order = self.trader.order_factory.limit(
            krx.equity(CODE).id, side, krx.equity(CODE).make_qty(quantity),
            krx.equity(CODE).make_price(price), **more,
        )  # fmt: skip
        self.trader.submit_order(order)
        return order

    def kinds(self, order):
        return self.trader.kinds(order)


@asynccontextmanager
async def node_desk(folder, *events, speed=50.0, now=10, codes=(CODE,), numbers=None, settings=None,
                    **more):  # fmt: skip
    fast = FastTime(speed)
    server = server_of(*(events or QUOTES), wall=fast, codes=codes, now=now, **more)
    await server.start()
    numbers = {"request_timeout_ns": 20 * SECOND} | (numbers or {})
    try:
        one = NodeDesk(server, fast, folder, codes, numbers, **(settings or {}))
        running = asyncio.create_task(one.node.run_async())
        try:
            await one.until(lambda: one.results or one.failures, 10)
            yield one
        finally:
            one.handle.stop()
            await running
    finally:
        await server.stop()


def run_node(folder, body, *events, **more):
    async def whole():
        async with node_desk(folder, *events, **more) as one:
            await body(one)
        assert one.failures == []
        return one

    return asyncio.run(whole())
