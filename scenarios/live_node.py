"""One run in the engine's live node: built, watched, ended, and its books held to the venue's.

Rule: nothing is decided here. Whatever the venue says beside its orders becomes a message of the
run; whatever fails ends it, after its orders were asked for and the books compared.
"""

import asyncio

from nautilus_trader.live import (
    LiveNode,
    LiveNodeBuilder,
)
from nautilus_trader.model import (
    ClientOrderId,
)

from adapters.kis.data_client import KisDataConfig, KisDataFactory
from adapters.kis.engine_events import Stray
from adapters.kis.execution import KisOrders
from adapters.kis.execution_client import KisExecution, KisExecutionConfig, KisExecutionFactory
from adapters.kis.order_events import OrderKey
from adapters.kis.reconciliation import Reconciled
from catalog.journal.writer import RunJournal
from scenarios.ending import Ending
from scenarios.live_clients import SETTLE_NS, commission_of, node_config, stray_report
from scenarios.live_host import COMMIT_EVERY_NS, LiveHost
from scenarios.live_kis import AFTER_CLOSE_NS, KisSide
from scenarios.live_messages import KisMessages
from scenarios.replay import ReplayResult, end_run, profit
from scenarios.screen import Screen, seoul
from scenarios.spoken import SpokenJournal
from scenarios.wiring import Universe, compose
from strategies.arithmetic import arithmetic
from strategies.errors import InvariantBroken, RunFailed
from strategies.host.faults import OnDeciderFailure
from strategies.market_time import MarketTime
from strategies.markets import krx
from strategies.messages import (
    CancelOrder,
    KillAction,
    KillSwitch,
    NoticeLevel,
    OrderNamed,
)

CLIENT = "KIS"
STATUS_S = 60.0
FILLS_TRIES, FILLS_WAIT_S = 20, 0.1


class NodeRun:
    """The objects of one live run; ``run`` is called once, within one event loop."""

    def __init__(
        self,
        universe: Universe,
        journal: RunJournal,
        kis: KisSide,
        clock: MarketTime,
        screen: Screen,
        ending: Ending,
    ) -> None:
        self._universe = universe
        self._journal = journal
        self._kis = kis
        self._screen = screen
        self._ending = ending
        spoken = SpokenJournal(journal, screen, tuple(universe.venues))
        self._shell = LiveHost(spoken, ending.fail, clock, self._cancel_stray)
        self._made = compose(
            universe,
            journal=spoken,
            orders=self._shell,
            clock=self._shell,
            on_decider_failure=OnDeciderFailure.ISOLATE,
        )
        self._shell.attach(self._made.host)
        self._messages = KisMessages(self._shell.report, kis.gateway.market_ns, screen.warn)
        self._compared: Reconciled | None = None
        self._agrees = False
        self._execution = self._execution_config()
        self._node = self._build()

    @property
    def _client(self) -> KisExecution | None:
        """The execution client, once the engine has made it."""
        return self._execution.client

    def _execution_config(self) -> KisExecutionConfig:
        messages = self._messages
        return KisExecutionConfig(
            gateway=self._kis.gateway,
            commission=commission_of(self._universe.markets[krx.VENUE]),
            on_stray=self._on_stray,
            on_named=self._on_named,
            on_unknown=self._on_unknown,
            on_foreign=messages.on_foreign,
            on_mismatch=messages.on_mismatch,
            on_reconciled=messages.on_reconciled,
            ends_ns=[self._kis.session.close_ns],
        )

    def _build(self) -> LiveNode:
        gateway, messages = self._kis.gateway, self._messages
        data = KisDataConfig(
            gateway=gateway,
            instruments=self._kis.equities,
            on_gap=messages.on_gap,
            on_event=messages.on_event,
            sessions=[self._kis.session],
        )
        builder = LiveNodeBuilder.from_config("ONETAPE", node_config())
        builder = builder.add_data_client(CLIENT, KisDataFactory(), data)
        builder = builder.add_exec_client(CLIENT, KisExecutionFactory(), self._execution)
        node = builder.build()
        node.add_strategy(self._shell)
        return node

    # --- the run ---

    async def run(self) -> ReplayResult:
        """Trade until the run is to end; raises what made it fail."""
        with arithmetic():
            handle = self._node.handle()
            running = asyncio.create_task(self._node.run_async())
            watching = asyncio.create_task(self._watch(running))
            beside = [
                asyncio.create_task(work) for work in (self._commit(), self._tell(), self._end())
            ]
            for task in beside:
                task.add_done_callback(self._beside_ended)
            try:
                await self._ending.over()
                await self._wind_down()
            finally:
                watching.cancel()
                handle.stop()
                await self._stopped(running)
                for task in beside:
                    task.cancel()
                await asyncio.gather(watching, *beside, return_exceptions=True)
                self._node.dispose()
            self._shell.commit()
            if self._ending.failure is not None:
                raise self._ending.failure
            return self._result()

    async def _stopped(self, running: asyncio.Task[None]) -> None:
        """Wait until the node has stopped; one that still connects, or must hurry, is cut short."""
        if self._shell.has_started:
            hurry = asyncio.create_task(self._ending.hurried())
            await asyncio.wait({running, hurry}, return_when=asyncio.FIRST_COMPLETED)
            hurry.cancel()
        if not running.done():
            self._ending.finish()
            self._kis.gateway.fail(RunFailed("the run has ended."))
        await asyncio.gather(running, return_exceptions=True)

    async def _commit(self) -> None:
        while True:
            await asyncio.sleep(COMMIT_EVERY_NS / 1e9)
            self._shell.commit()

    async def _tell(self) -> None:
        """Show how the run stands, now and then."""
        while True:
            await asyncio.sleep(STATUS_S)
            counts = self._made.host.counts
            gains = ", ".join(
                f"{amount:+,} {code}" for code, amount in profit(self._universe, self._made).items()
            )
            self._screen.line(
                f"{seoul(self._kis.gateway.market_ns())}: {self._made.host.seq:,} events, "
                f"{counts.orders:,} orders, {counts.fills:,} fills, {gains}"
            )

    async def _end(self) -> None:
        await self._kis.gateway.sleep_until(self._universe.end_ns)
        self._ending.end("its time is over")

    def _beside_ended(self, task: asyncio.Task[None]) -> None:
        """End the run where what goes on beside it fails: a task dies silently."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._ending.fail(error)

    async def _watch(self, running: asyncio.Task[None]) -> None:
        """End the run where the engine's node ends by itself."""
        await asyncio.wait([running])
        error = None if running.cancelled() else running.exception()
        self._ending.fail(
            RunFailed(f"the engine's node stopped by itself ({error or 'it gave no reason'}).")
        )

    # --- its end ---

    async def _wind_down(self) -> None:
        """Take no new orders, cancel what rests, wait for the venue's word, compare the books."""
        self._screen.line(f"The run ends: {self._ending.reason}.")
        hurry = asyncio.create_task(self._ending.hurried())
        settle = asyncio.create_task(self._settle())
        await asyncio.wait({hurry, settle}, return_when=asyncio.FIRST_COMPLETED)
        for task in (hurry, settle):
            task.cancel()
        await asyncio.gather(hurry, settle, return_exceptions=True)
        if settle.done() and not settle.cancelled() and settle.exception() is not None:
            self._ending.fail(settle.exception() or RunFailed("the end failed."))
        client = self._client
        if client is None:
            return
        client.let_go()
        if client.orders.open_ids:
            self._screen.warn(
                f"{len(client.orders.open_ids)} orders have not ended at KIS: look them up there."
            )

    async def _settle(self) -> None:
        now_ns = self._kis.gateway.market_ns()
        closed_ns = self._kis.session.close_ns + AFTER_CLOSE_NS  # an auction may end late
        if self._ending.failure is None and now_ns < closed_ns:
            reason = f"the run ends before the close: {self._ending.reason}"
            self._shell.pull(KillSwitch(KillAction.PULL, reason, now_ns))
        self._shell.stop_taking()
        client = self._client
        if client is None:
            return
        if self._ending.failure is not None:
            self._cancel_all(client)
        if client.is_connected:
            await self._settle_orders(client.orders)
            await self._compare(client)

    async def _settle_orders(self, orders: KisOrders) -> None:
        def is_over() -> bool:
            return orders.is_settled and not orders.open_ids

        await orders.within(is_over, SETTLE_NS)

    def _cancel_all(self, client: KisExecution) -> None:
        """Cancel what rests although the host that wanted it is gone."""
        for order_id in client.orders.open_ids:
            client.orders.cancel(order_id)

    async def _compare(self, client: KisExecution) -> None:
        """Hold orders, holdings and cash to KIS's a last time, and our count of fills to its."""
        if await client.wind_down():  # without KIS's last word nothing is known of the end
            self._compared = self._messages.reconciled
            self._agrees = client.reconciler.agrees
        for _ in range(FILLS_TRIES):
            # what the client told goes through the engine's queue to the host
            if len(client.events.fills) == self._made.host.counts.fills:
                return
            await asyncio.sleep(FILLS_WAIT_S)
        if self._ending.failure is None:
            self._ending.fail(
                InvariantBroken(
                    f"KIS's adapter told {len(client.events.fills)} fills and the host counted "
                    f"{self._made.host.counts.fills}: the engine lost some."
                )
            )

    # --- what the adapter tells of orders ---

    def _on_named(self, order_id: str, key: OrderKey) -> None:
        number = f"{key.day}-{key.branch}-{key.number}"
        now_ns = self._kis.gateway.market_ns()
        self._shell.report(OrderNamed(ClientOrderId(order_id), number, now_ns))

    def _on_unknown(self, order_id: str) -> None:
        text = f"the fate of order {order_id} is not known: KIS's order list is asked"
        self._messages.notice(NoticeLevel.WARNING, text)

    def _on_stray(self, stray: Stray) -> None:
        """Deliver past the engine what it would not take: news of an order that ended for it."""
        what = type(stray.event).__name__.lower()
        text = (
            f"order {stray.client_order_id} is told as {what} although it had ended here, or the "
            "run was over"
        )
        self._messages.notice(NoticeLevel.FAULT, text, aloud=True)
        report = stray_report(stray, self._made.host)
        if report is not None:
            self._shell.report(report)

    def _cancel_stray(self, command: CancelOrder) -> None:
        """Cancel past the engine what it calls ended and KIS does not."""
        if self._client is not None:
            self._client.orders.cancel(command.order_id.value)

    # --- what came of it ---

    def told(self) -> dict[str, object]:
        """Return what the summary of a live run says besides: the venue's own books at the end.

        An earlier comparison proves nothing about the end.
        """
        found = self._compared
        more: dict[str, object] = {
            "ended": self._ending.reason,
            "stopped": sorted(self._made.host.stopped),
            "reconciled": False,
        }
        if found is None:
            return more
        holdings = {each.code: each.now for each in found.holdings if each.now}
        return more | {
            "reconciled": self._agrees and not found.mismatches and not found.orders_open,
            "mismatches": list(found.mismatches),
            "account": {krx.VENUE: {"cash": found.cash.now_krw, "holdings": holdings}},
        }

    def _result(self) -> ReplayResult:
        ended_ns = self._kis.gateway.market_ns()
        return end_run(self._universe, self._made, self._journal, ended_ns)
