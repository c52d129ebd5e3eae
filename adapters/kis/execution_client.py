"""The engine's execution client of KIS: commands in, events and reports out.

Rule: it holds no state of orders but what the engine was told; ``KisOrders`` decides. The engine
runs the hooks of a client one after the other, so none of them waits for KIS while trading.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from nautilus_trader.common import Clock
from nautilus_trader.config import ExecutionClientConfig
from nautilus_trader.live import (
    CancelAllOrders,
    CancelOrder,
    ClientCache,
    GenerateFillReports,
    GenerateOrderStatusReport,
    GenerateOrderStatusReports,
    GeneratePositionStatusReports,
    ModifyOrder,
    QueryAccount,
    QueryOrder,
    SubmitOrder,
    SubmitOrderList,
)
from nautilus_trader.live.clients import ExecutionClient, ExecutionClientFactory
from nautilus_trader.model import (
    AccountBalance,
    AccountId,
    AccountType,
    FillReport,
    InstrumentId,
    Money,
    OmsType,
    OrderSide,
    OrderStatusReport,
    OrderType,
    PositionSide,
    PositionStatusReport,
    Price,
    Quantity,
    TraderId,
    Venue,
)

from adapters.kis import engine_reports
from adapters.kis.account import AccountSnapshot
from adapters.kis.engine_events import Commission, EngineEvents, Stray, Tellers
from adapters.kis.errors import KisError, RequestRefused
from adapters.kis.execution import KisOrders
from adapters.kis.gateway import KisGateway
from adapters.kis.order_events import Filled, Foreign, OrderKey, OrderSpec
from adapters.kis.order_list import LIST_EVERY_NS
from adapters.kis.order_types import order_type
from adapters.kis.reconciler import RECONCILE_EVERY_NS, Reconciler
from adapters.kis.reconciliation import Reconciled
from adapters.kis.timing import SECOND
from strategies.markets import krx

NOTICE_TIMEOUT_NS = 60 * SECOND
SETTLE_TIMEOUT_NS = 30 * SECOND


def _ignore(*_told: object) -> None:
    """Take in what the composer does not want told."""


class KisExecutionConfig(ExecutionClientConfig):
    """What the client of one account needs; all callbacks run on the node's loop.

    ``commission`` gives what one fill costs (KIS tells none per fill). ``on_stray`` gets events
    the engine does not take; ``on_named`` the number of an order, to be journalled; ``on_unknown``
    an order whose fate is asked; ``on_foreign`` orders not placed here; ``on_mismatch`` (order id,
    sentence) what people must look at; ``on_reconciled`` each comparison with the account.
    ``client`` is the one that was made, for ``reconcile`` and ``wind_down``.
    ``list_every_ns`` and ``reconcile_every_ns`` are wall time, ``ends_ns`` market times at which
    KIS ends what rests.
    """

    def __init__(
        self,
        *,
        gateway: KisGateway,
        commission: Commission,
        account_id: AccountId | None = None,
        on_stray: Callable[[Stray], None] = _ignore,
        on_named: Callable[[str, OrderKey], None] = _ignore,
        on_unknown: Callable[[str], None] = _ignore,
        on_foreign: Callable[[Foreign], None] = _ignore,
        on_mismatch: Callable[[str, str], None] = _ignore,
        on_reconciled: Callable[[Reconciled], None] = _ignore,
        list_every_ns: int = LIST_EVERY_NS,
        reconcile_every_ns: int = RECONCILE_EVERY_NS,
        notice_timeout_ns: int = NOTICE_TIMEOUT_NS,
        settle_timeout_ns: int = SETTLE_TIMEOUT_NS,
        ends_ns: Sequence[int] = (),
    ) -> None:
        self.gateway = gateway
        self.account_id = account_id or AccountId("KIS-001")
        self.tellers = Tellers(
            commission=commission,
            on_stray=on_stray,
            on_named=on_named,
            on_unknown=on_unknown,
            on_foreign=on_foreign,
            on_mismatch=on_mismatch,
        )
        self.on_reconciled = on_reconciled
        self.list_every_ns = list_every_ns
        self.reconcile_every_ns = reconcile_every_ns
        self.notice_timeout_ns = notice_timeout_ns
        self.settle_timeout_ns = settle_timeout_ns
        self.ends_ns = tuple(ends_ns)
        self.client: KisExecution | None = None


class KisExecution(ExecutionClient):
    """The execution client of one account at KIS; ``orders`` and ``reconciler`` do the work."""

    def __init__(
        self,
        *,
        name: str,
        config: KisExecutionConfig,
        cache: ClientCache,
        clock: Clock,
        trader_id: TraderId,
    ) -> None:
        super().__init__(
            name=name,
            config=config,
            cache=cache,
            clock=clock,
            trader_id=trader_id,
            venue=Venue(krx.VENUE),
            account_id=config.account_id,
            account_type=AccountType.CASH,
            oms_type=OmsType.NETTING,
            base_currency=krx.KRW,
        )
        gateway = config.gateway
        self._gateway = gateway
        self._settings = config
        self._codes = {one: code for code, one in gateway.instrument_ids.items()}
        self.events = EngineEvents(
            self,
            config.tellers,
            gateway.stamp_ns,
            on_registered=self._registered,
            on_fill=self._filled,
        )
        self.orders = KisOrders(
            gateway, self.events, list_every_ns=config.list_every_ns, ends_ns=config.ends_ns
        )
        self.reconciler = Reconciler(
            gateway, self.orders, self._cost, self._on_reconciled, config.reconcile_every_ns
        )
        self._comparing: Any = None
        self._is_open = self._is_winding_down = False

    # --- life ---

    async def _connect(self) -> None:
        """Open the gateway, register for notices and read account and orders, or refuse."""
        await self._gateway.open()
        self._is_open = True
        try:
            await self._gateway.linked()
            await self.orders.start(self._settings.notice_timeout_ns)
            await self.reconciler.begin()
        # Whatever it is: the engine would only log that the connection failed.
        except BaseException as error:
            if isinstance(error, Exception):
                self._gateway.fail(error)
            await self._close()
            raise
        self._comparing = self.create_task(self.reconciler.run(), "compare with the account")

    async def wind_down(self) -> bool:
        """Send no more orders, wait (bounded) for what is unresolved, compare once more.

        To be awaited before the node is stopped: a stopped strategy hears nothing. Tells whether
        the fate of every order is known.
        """
        self._is_winding_down = True
        if self._comparing is not None:
            self._comparing.cancel()
        is_settled = await self.orders.finish(self._settings.settle_timeout_ns)
        if is_settled and not self.reconciler.agrees:
            await self._compare_last()
        if not is_settled:
            self._gateway.say(
                "The node stops before KIS has told the fate of every order: look them up before "
                "the next start."
            )
        return is_settled

    def let_go(self) -> None:
        """Wait for nothing when the node stops: whoever runs it has waited, or must not."""
        self._is_winding_down = True

    async def _disconnect(self) -> None:
        """Leave; what is told from now on goes to ``on_stray``, since strategies have stopped."""
        if not self._is_open:
            return
        self.events.leave()
        if not self._is_winding_down:
            await self.wind_down()
        await self._close()

    async def _close(self) -> None:
        self._is_open = False
        await self.orders.stop()
        await self._gateway.close()

    async def _compare_last(self) -> None:
        try:
            await self.reconciler.reconcile()
        except KisError as error:
            self._gateway.say(f"The account cannot be compared at the end: {error}")

    async def reconcile(self) -> Reconciled:
        """Compare the account with the fills now. Raises an error of the tree."""
        return await self.reconciler.reconcile()

    def _registered(self) -> None:
        self.reconciler.want()

    def _filled(self, fill: Filled) -> None:
        self.reconciler.filled(fill)

    def _cost(self, side: OrderSide, quantity: int, price: int) -> int:
        shares, at_price = Quantity.from_int(quantity), Price.from_int(price)
        return int(self._settings.tellers.commission(side, shares, at_price).as_decimal())

    def _on_reconciled(self, account: AccountSnapshot, result: Reconciled) -> None:
        total = account.settled_krw
        locked = min(self.orders.book.reserved_krw, max(total, 0))
        balance = AccountBalance(_won(total), _won(locked), _won(total - locked))
        self.generate_account_state([balance], [], reported=True, ts_event=self.events.now_ns())
        self._settings.on_reconciled(result)

    # --- commands ---

    async def _submit_order(self, command: SubmitOrder) -> None:
        order = command.order
        quantity = int(order.quantity.as_decimal())
        self.events.sent(order, command.client_order_id, command.instrument_id, quantity)
        self.generate_order_submitted(order)
        order_id = command.client_order_id.value
        try:
            spec = self._spec(order)
        except RequestRefused as error:
            self.events.rejected(order_id, str(error))
            return
        self.orders.submit(order_id, spec)

    async def _submit_order_list(self, command: SubmitOrderList) -> None:
        """Refuse: KIS has no linked orders."""
        for one in command.order_inits:
            order = self.cache.order(one.client_order_id)
            self.generate_order_denied(order, "KIS takes no order lists: submit orders singly.")

    def _spec(self, order: Any) -> OrderSpec:
        """Return what KIS is to be sent. Raises RequestRefused where it takes no such order."""
        kind = order_type(order.order_type, order.time_in_force)
        is_priced = kind.priced
        return OrderSpec(
            code=self._code(order.instrument_id),
            side=order.side,
            quantity=_whole(order.quantity.as_decimal(), "shares"),
            price=_whole(order.price.as_decimal(), "won") if is_priced else 0,
            order_type=kind.code,
            trigger=_trigger(order),
        )

    def _code(self, instrument_id: InstrumentId) -> str:
        code = self._codes.get(instrument_id)
        if code is None:
            raise RequestRefused(f"{instrument_id} is no share of this run at KIS.")
        return code

    async def _cancel_order(self, command: CancelOrder) -> None:
        self._cancel(command.client_order_id.value)

    def _cancel(self, order_id: str) -> None:
        try:
            self.orders.cancel(order_id)
        except KeyError:
            # never submitted here, or refused before it was sent: nothing rests
            self._gateway.say(
                f"{order_id} cannot be cancelled: it was not sent to KIS by this run."
            )

    async def _cancel_all_orders(self, command: CancelAllOrders) -> None:
        for order_id in self.orders.open_ids:
            one = self.events.orders[order_id]
            side = getattr(one.order, "side", None)
            if one.instrument_id == command.instrument_id and command.order_side in {None, side}:
                self._cancel(order_id)

    async def _modify_order(self, command: ModifyOrder) -> None:
        order_id = command.client_order_id.value
        order: Any = self.cache.order(command.client_order_id)
        try:
            self.orders.amend(order_id, *_change(command, order))
        except KeyError:
            self._refuse_change(order, "it was not sent to KIS by this run")
        except RequestRefused as error:
            self._refuse_change(order, str(error))

    def _refuse_change(self, order: object, reason: str) -> None:
        self.generate_order_modify_rejected(order, None, reason, self.events.now_ns())

    async def _query_order(self, command: QueryOrder) -> None:  # noqa: ARG002 - the engine's hook
        self.orders.list.want()  # what the list tells becomes events

    async def _query_account(self, command: QueryAccount) -> None:  # noqa: ARG002 - as above
        self.reconciler.want()

    # --- reports ---

    async def _generate_order_status_report(
        self, command: GenerateOrderStatusReport
    ) -> OrderStatusReport | None:
        reports = self._status_reports()
        for report in reports:
            if command.client_order_id in {None, report.client_order_id} and (
                command.venue_order_id in {None, report.venue_order_id}
            ):
                return report
        return None

    async def _generate_order_status_reports(
        self, command: GenerateOrderStatusReports
    ) -> list[OrderStatusReport]:
        return [
            report
            for report in self._status_reports()
            if command.instrument_id in {None, report.instrument_id}
            and not (command.open_only and report.order_status not in engine_reports.OPEN)
        ]

    def _status_reports(self) -> list[OrderStatusReport]:
        return engine_reports.status_reports(
            self.account_id, self.events.orders, self.orders.book, self.events.now_ns()
        )

    async def _generate_fill_reports(self, command: GenerateFillReports) -> list[FillReport]:
        reports = engine_reports.fill_reports(
            self.account_id, self.events.orders, self.events.fills, self.events.now_ns()
        )
        return [
            report
            for report in reports
            if command.instrument_id in {None, report.instrument_id}
            and command.venue_order_id in {None, report.venue_order_id}
        ]

    async def _generate_position_status_reports(
        self, command: GeneratePositionStatusReports
    ) -> list[PositionStatusReport]:
        """Return what KIS holds. Raises an error of the tree rather than call it less."""
        account = await self.reconciler.account.read()
        if not account.complete:
            raise KisError("The holdings cannot be read whole from KIS: pages are missing.")
        now = self.events.now_ns()
        return [
            PositionStatusReport(
                self.account_id,
                self._gateway.instrument_ids[code],
                PositionSide.LONG,
                Quantity.from_int(held.quantity),
                now,
                now,
                avg_px_open=Decimal(held.cost_krw) / held.quantity,
            )
            for code, held in account.holdings.items()
            if code in self._gateway.instrument_ids
            and command.instrument_id in {None, self._gateway.instrument_ids[code]}
        ]


def _won(amount: int) -> Money:
    return Money.from_str(f"{amount} KRW")


def _whole(value: Decimal, unit: str) -> int:
    if value != value.to_integral_value():
        raise RequestRefused(f"KIS takes whole {unit}, not {value}.")
    return int(value)


def _change(command: ModifyOrder, order: Any) -> tuple[int, int, int]:
    """Return total quantity, price and trigger after a change. Raises RequestRefused."""
    quantity = command.quantity or order.quantity
    price = command.price or getattr(order, "price", None)
    trigger = command.trigger_price or getattr(order, "trigger_price", None)
    if price is None:
        raise RequestRefused("An order without a price cannot be amended.")
    return (
        _whole(quantity.as_decimal(), "shares"),
        _whole(price.as_decimal(), "won"),
        0 if trigger is None else _whole(trigger.as_decimal(), "won"),
    )


def _trigger(order: Any) -> int:
    if order.order_type is not OrderType.STOP_LIMIT:
        return 0
    return _whole(order.trigger_price.as_decimal(), "won")


class KisExecutionFactory(ExecutionClientFactory):
    """Makes the execution client of a node."""

    @staticmethod
    def create(
        *,
        name: str,
        config: ExecutionClientConfig,
        cache: ClientCache,
        clock: Clock,
        trader_id: TraderId,
    ) -> KisExecution:
        """Return the client; nothing is opened yet."""
        if not isinstance(config, KisExecutionConfig):
            raise TypeError("KisExecutionFactory needs a KisExecutionConfig")
        config.client = KisExecution(
            name=name, config=config, cache=cache, clock=clock, trader_id=trader_id
        )
        return config.client
