"""The data client in a real live node against the simulated KIS on loopback, in fast time."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from live_kis import Live, live
from nautilus_trader.common import Environment, LoggerConfig, LogLevel
from nautilus_trader.live import LiveExecutionEngineConfig, LiveNodeBuilder, LiveNodeConfig
from nautilus_trader.model import BarType, BookType, InstrumentId, StrategyId, TraderId
from nautilus_trader.trading import Strategy, StrategyConfig

from adapters.kis.data_client import KisDataConfig, KisDataFactory
from adapters.kis.gateway import Hours, KisGateway
from strategies.markets import krx

from kis_market import CODE, SESSION  # isort: skip - found on the path of live_kis

ALL_DAY = (Hours(SESSION.open_ns - 3_600_000_000_000, SESSION.close_ns + 3_600_000_000_000),)


class ServerClock:
    """Market time as the server announces it."""

    def __init__(self, server) -> None:
        self.time = server.venue.time

    def at(self, wall_ns: int) -> int:
        return self.time.market_ns(wall_ns)

    def wall(self, market_ns: int) -> int:
        passed = market_ns - self.time.origin_market_ns
        return self.time.origin_wall_ns + int(passed / self.time.speed)


class Recorder(Strategy):
    """Subscribes to what it is told and keeps what it gets, in order."""

    def __new__(cls, *_):
        return super().__new__(cls, StrategyConfig(strategy_id=StrategyId("REC-001")))

    def __init__(self, wants) -> None:
        self.wants = wants
        self.got: list[object] = []
        self.past: list[object] = []

    def on_start(self) -> None:
        for want in self.wants:
            want(self)

    def keep(self, value) -> None:
        self.got.append(value)

    on_trade = on_quote = on_book_depth = on_bar = on_index_price = keep
    on_instrument_status = on_data = on_book_deltas = keep

    def keep_past(self, values) -> None:
        self.past.append(values)

    on_historical_trades = on_historical_bars = on_historical_data = keep_past
    on_instrument = keep_past

    def of(self, kind: type) -> list:
        return [each for each in self.got if isinstance(each, kind)]


def iid(code=CODE) -> InstrumentId:
    return InstrumentId.from_str(f"{code}.KRX")


def trades(code=CODE):
    return lambda actor: actor.subscribe_trades(iid(code))


def quotes(code=CODE):
    return lambda actor: actor.subscribe_quotes(iid(code))


def bars(step, code=CODE):
    bar_type = BarType.from_str(f"{iid(code)}-{step}-LAST-EXTERNAL")
    return lambda actor: actor.subscribe_bars(bar_type)


def status(code=CODE):
    return lambda actor: actor.subscribe_instrument_status(iid(code))


def index(code):
    return lambda actor: actor.subscribe_index_prices(iid(code))


def depth(code=CODE):
    return lambda actor: actor.subscribe_book_depth(iid(code), BookType.L2_MBP, depth=10)


def deltas(code=CODE):
    return lambda actor: actor.subscribe_book_deltas(iid(code), BookType.L2_MBP, managed=True)


@dataclass
class Node:
    """A running node and all it told."""

    one: Live
    gateway: KisGateway
    actor: Recorder
    gaps: list = field(default_factory=list)
    events: list = field(default_factory=list)
    failures: list = field(default_factory=list)

    def told(self, kind: type) -> list:
        return [each for each in self.events if isinstance(each, kind)]

    async def until(self, holds, timeout_s=8) -> None:
        async with asyncio.timeout(timeout_s):
            while not holds():
                if self.running.done():
                    await self.running
                    raise AssertionError(f"the node ended: {self.failures} {self.one.said}")
                await asyncio.sleep(0.005)

    def unsettled(self) -> list:
        """Return the gaps that the client still asks about."""
        symbols = self.client._gaps._symbols.values()
        return [gap for symbol in symbols for gap in symbol.gaps]

    def is_held(self, slots: int):
        return lambda: len(self.gateway.socket.held) == slots


def gateway_of(one: Live, codes, hours=ALL_DAY, failed=None) -> KisGateway:
    return KisGateway(
        one.config,
        one.folder,
        one.said.append,
        market=ServerClock(one.server),
        instrument_ids={code: iid(code) for code in codes},
        hours=hours,
        failed=failed or (lambda error: None),
        timing=one.fast.timing(),
    )


class Kept(KisDataFactory):
    """Keeps the client it builds, for a look inside."""

    def __init__(self, node: Node) -> None:
        self.node = node

    def create(self, **parts):
        self.node.client = KisDataFactory.create(**parts)
        return self.node.client


@asynccontextmanager
async def noded(
    folder, wants, *events, codes=(CODE,), hours=ALL_DAY, arm=(), sessions=(SESSION,), **more
):
    """Run a node whose strategy wants something; it is stopped with the block."""
    async with live(folder, *events, codes=codes, **more) as one:
        for fault, options in arm:
            one.arm(fault, **options)
        failures: list = []
        gateway = gateway_of(one, codes, hours, failures.append)
        node = Node(one, gateway, Recorder(wants), failures=failures)
        config = KisDataConfig(
            gateway=gateway,
            instruments=[krx.equity(code) for code in codes],
            on_gap=node.gaps.append,
            on_event=node.events.append,
            sessions=sessions,
        )
        async with running(node, config):
            yield node


@asynccontextmanager
async def running(node: Node, config: KisDataConfig):
    settings = LiveNodeConfig(
        environment=Environment.LIVE,
        trader_id=TraderId("TEST-001"),
        logging=LoggerConfig(stdout_level=LogLevel.ERROR),
        exec_engine=LiveExecutionEngineConfig(reconciliation=False),
        delay_post_stop_secs=0.01,
        timeout_disconnection_secs=2.0,
    )
    built = (
        LiveNodeBuilder.from_config("KIS-TEST", settings)
        .add_data_client("KIS", Kept(node), config)
        .build()
    )
    handle, node.cache = built.handle(), built.cache
    built.add_strategy(node.actor)
    node.running = asyncio.ensure_future(built.run_async())
    try:
        yield
    finally:
        handle.stop()
        await asyncio.wait([node.running], timeout=5)
        built.dispose()
        del built, handle
