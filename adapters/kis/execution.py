"""Orders at KIS, without an engine: sent once, changed by their latest number, settled by the list.

Rule: "the request failed" is not "the order failed". What lost its reply is unknown until the list
tells; a new order waits for an equal unknown one; only a cancel that the list shows as never
arrived is sent again.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace

from adapters.kis import replies, requests
from adapters.kis.backoff import delay_ns
from adapters.kis.errors import (
    BadRecord,
    KisError,
    LedgerBusy,
    OrderRefused,
    Reauthenticate,
    Recalled,
    RequestRefused,
    Retry,
    Stop,
)
from adapters.kis.fields import NOTICE_TRS
from adapters.kis.gateway import KisGateway
from adapters.kis.http import Recall
from adapters.kis.limits import Servers
from adapters.kis.market import Change, Notice
from adapters.kis.order_events import (
    ENDED,
    NEVER_ARRIVED,
    UNRESOLVED,
    BookEvent,
    ChangeRefused,
    OrderSpec,
    OrderState,
)
from adapters.kis.order_list import LIST_EVERY_NS, DayList, OrderList
from adapters.kis.order_listener import OrderListener, tell
from adapters.kis.order_state import KisOrder
from adapters.kis.orders import OrderBook
from adapters.kis.registrations import Acked, Stream
from adapters.kis.requests import Request
from adapters.kis.socket import Heard, Link, Unreadable
from adapters.kis.timing import SECOND, first_of

NOTICE_OF = {Servers.REAL: "H0STCNI0", Servers.MOCK: "H0STCNI9"}
NOTICE_RANK = -1
"""Before all market data."""
WAITING_MOST = 100
"""Orders that may wait for an equal one of unknown fate; more are refused. Our own choice."""
CANCEL_TRIES = 6
CONFIRM_NS = 2 * SECOND
"""What KIS took and nobody confirmed in this time is looked up. Our own choice."""
CLOSED_GRACE_NS = 60 * SECOND
"""KRX's closing auction ends up to 30 s late, and its fills are told after that: until then what
rests is not over. Source: KRX, trading hours, 2026-11-20; the rest is our own choice."""

NOTHING_DONE = (OrderRefused, Reauthenticate, RequestRefused, Retry, Stop)
"""Errors after which an order is surely not placed; after all others its fate is asked. What may
be tried again was refused at the door, or had no token to go with."""


def nothing_was_done(error: BaseException) -> bool:
    """Tell whether an order is surely not placed after an error; the ledger may have it."""
    return isinstance(error, NOTHING_DONE) and not isinstance(error, LedgerBusy)


@dataclass(slots=True)
class _Cancel:
    """A cancel under way: how often it may still be sent, and whether it was refused."""

    tries_left: int
    is_over: bool = False
    recall: Recall = field(default_factory=Recall)


class KisOrders:
    """The orders of one account over one gateway.

    ``ends_ns`` are the market times at which KIS ends what rests, without a word. ``submit``,
    ``cancel`` and ``amend`` begin at once, whether or not they are awaited, and go on where whoever
    awaits them is cancelled; outcomes are told to ``listener``.
    """

    def __init__(
        self,
        gateway: KisGateway,
        listener: OrderListener,
        *,
        list_every_ns: int = LIST_EVERY_NS,
        ends_ns: Sequence[int] = (),
    ) -> None:
        account, limits = gateway.config.account, gateway.config.limits
        self._gateway = gateway
        self._listener = listener
        self._ends_ns = tuple(sorted(ends_ns))
        self.book = OrderBook(account.number + account.product, limits)
        self.stream = Stream(NOTICE_OF[gateway.config.servers], gateway.config.hts_id.reveal())
        self.list = OrderList(
            gateway,
            self._on_list,
            first_day=lambda: self.book.first_day,
            in_doubt=self._in_doubt,
            live=lambda: bool(self.book.live),
            every_ns=list_every_ns,
        )
        self.foreign_rows: dict[tuple[str, str], replies.OrderRow] = {}
        self._rows: Sequence[replies.OrderRow] = ()
        self._queued: dict[str, OrderSpec] = {}
        self._unsent: dict[str, Recall] = {}
        self._cancels: dict[str, _Cancel] = {}
        self._waiters: list[asyncio.Future[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._background: tuple[asyncio.Task[None], ...] = ()
        self._closing = "the client has not started"
        gateway.listen(self._hear)

    # --- life ---

    async def start(self, notice_timeout_ns: int) -> None:
        """Register for fill notices and read the day's list; the gateway is open.

        Raises Stop where the registration is not acknowledged in time: without notices no order
        is sent. Raises what the first list raises.
        """
        self._gateway.socket.orders(live=True)
        self._gateway.socket.want(self.stream, NOTICE_RANK)
        await self._await_notices(notice_timeout_ns)
        await self.list.ask()
        self._closing = ""
        self._background = (self._spawn(self.list.run()), self._spawn(self._watch_ends()))

    async def _await_notices(self, timeout_ns: int) -> None:
        until_ns = self._gateway.timing.steady_ns() + timeout_ns
        while not await self.within(lambda: self.is_registered, min(timeout_ns, SECOND)):
            await self._gateway.linked()  # raises what ended the socket
            if self._gateway.timing.steady_ns() >= until_ns:
                raise Stop(
                    "KIS did not acknowledge the registration of fill notices within "
                    f"{timeout_ns // SECOND} s: check ONETAPE_KIS_HTS_ID and that no other "
                    "program holds the appkey's connection; without notices no order is sent."
                )

    async def finish(self, settle_ns: int, why: str = "the node stops") -> bool:
        """Send no more orders and wait for what is unresolved; tells whether all is settled.

        Orders that wait unsent are told as cancelled; cancels are still sent.
        """
        self._closing = why
        for recall in self._unsent.values():
            recall.recall()
        self._wake()
        return bool(self._background) and await self._settle(settle_ns)

    async def stop(self) -> None:
        """End, whatever is under way: what it was about is unknown then."""
        self._closing = self._closing or "the node stops"
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for order in self.book.live:  # a task that never began says nothing of its order
            if order.state is OrderState.SENDING:
                self._tell(self.book.reply_lost(order.order_id, self._gateway.moment()))
        self._gateway.socket.orders(live=False)

    async def _settle(self, settle_ns: int) -> bool:
        if not await self.within(lambda: self.is_settled, settle_ns):
            return False
        try:
            await self.list.ask()
        except KisError as error:
            self._gateway.say(f"The last order list of the run cannot be had: {error}")
            return False
        return await self.within(lambda: self.is_settled, settle_ns)

    @property
    def open_ids(self) -> tuple[str, ...]:
        """Return the orders that may still fill, those that wait unsent among them."""
        return (*(order.order_id for order in self.book.live), *self._queued)

    @property
    def is_registered(self) -> bool:
        """Tell whether fill notices come."""
        return self._gateway.socket.readable(self.stream)

    @property
    def is_settled(self) -> bool:
        """Tell whether no request is under way and nothing is left to be asked for."""
        return not self._tasks.difference(self._background) and not self.book.needs_list

    async def within(self, holds: Callable[[], bool], timeout_ns: int) -> bool:
        """Wait until something holds, at most ``timeout_ns``; looked at whenever news came."""
        work: asyncio.Future[object] = asyncio.ensure_future(self._until(holds))
        await first_of(work, self._gateway.timing.sleep_ns(timeout_ns))
        return holds()

    # --- new orders ---

    def submit(self, order_id: str, spec: OrderSpec) -> asyncio.Future[None]:
        """Send an order once, after any equal one of unknown fate is settled."""
        return asyncio.shield(self._spawn(self._submit(order_id, spec)))

    def _submit(self, order_id: str, spec: OrderSpec) -> Coroutine[None, None, None]:
        """Note an order at once and return what sends it: a cancel may follow without a pause."""
        try:
            request = self._order_request(spec)
        except RequestRefused as error:
            return self._refuse(order_id, str(error))
        other = self.book.waits_for(spec)
        if self._closing:
            return self._refuse(order_id, f"Not sent: {self._closing}.")
        if other is None:
            return self._send(order_id, spec, request)
        if len(self._queued) >= WAITING_MOST:
            return self._refuse(order_id, "Not sent: too many orders wait for unknown ones.")
        self._queued[order_id] = spec
        self._listener.waiting(order_id, other)
        return self._send_after(order_id, spec, request)

    async def _refuse(self, order_id: str, reason: str) -> None:
        self._listener.rejected(order_id, reason)

    async def _send_after(self, order_id: str, spec: OrderSpec, request: Request) -> None:
        """Wait, unsent, for an equal order of unknown fate; a cancel or the end ends the wait."""
        await self._until(
            lambda: (
                bool(self._closing)
                or order_id not in self._queued
                or self.book.waits_for(spec) is None
            )
        )
        was_queued = self._queued.pop(order_id, None) is not None
        if was_queued and self._closing:
            self._listener.canceled(order_id, spec.quantity)
        elif was_queued:
            await self._send(order_id, spec, request)

    def _send(
        self, order_id: str, spec: OrderSpec, request: Request
    ) -> Coroutine[None, None, None]:
        """Note at once that an order is being sent, and return what sends it."""
        self.book.sending(order_id, spec, self._gateway.moment())
        self._unsent[order_id] = recall = Recall()
        return self._sent(order_id, spec, request, recall)

    async def _sent(self, order_id: str, spec: OrderSpec, request: Request, recall: Recall) -> None:
        try:
            placed = await self._place(order_id, request, recall)
        except Recalled as error:
            self.book.refused(order_id, str(error))
            self._listener.canceled(order_id, spec.quantity)
            self._wake()
            return
        # Whatever ended the wait, a cancelled task too: the request may have reached KIS.
        except BaseException as error:
            if nothing_was_done(error):
                self._tell(self.book.refused(order_id, str(error)))
                return
            self._tell(self.book.reply_lost(order_id, self._gateway.moment()))
            if not isinstance(error, KisError):
                raise
        else:
            self._tell(self.book.taken(order_id, placed))
            order = self.book.order(order_id)
            # a receipt that is lost, or never sent, is made up for by the list
            if not await self.within(lambda: order.state is not OrderState.SENT, CONFIRM_NS):
                self.list.want()

    async def _place(self, order_id: str, request: Request, recall: Recall) -> replies.Placed:
        try:
            return replies.placed(await self._gateway.http.ask(request, recall))
        finally:
            del self._unsent[order_id]

    def _order_request(self, spec: OrderSpec) -> Request:
        return requests.order(
            self._gateway.config.account,
            spec.side,
            spec.code,
            spec.order_type,
            spec.quantity,
            spec.price,
            trigger_krw=spec.trigger,
        )

    # --- changes ---

    def cancel(self, order_id: str) -> asyncio.Future[None]:
        """Cancel what rests of an order; one without a number is taken back, or waits for it.

        Only what the list shows as never arrived is sent again. Raises KeyError for an order that
        was not submitted.
        """
        self._check_known(order_id)
        return asyncio.shield(self._spawn(self._cancel(order_id)))

    def _check_known(self, order_id: str) -> None:
        if order_id not in self._queued:
            self.book.order(order_id)

    async def _cancel(self, order_id: str) -> None:
        spec = self._queued.pop(order_id, None)
        if spec is not None:
            self._wake()
            self._listener.canceled(order_id, spec.quantity)
            return
        if order_id in self._cancels:
            return
        if (unsent := self._unsent.get(order_id)) is not None:
            unsent.recall()
        cancel = self._cancels[order_id] = _Cancel(CANCEL_TRIES)
        try:
            while cancel.tries_left and not cancel.is_over:
                await self._try_cancel(self.book.order(order_id), cancel)
        finally:
            del self._cancels[order_id]

    async def _try_cancel(self, order: KisOrder, cancel: _Cancel) -> None:
        """Send one cancel and wait for what becomes of it."""
        await self._until(lambda: _is_ready(order))
        if order.state in ENDED:
            cancel.is_over = True
            return
        cancel.tries_left -= 1
        request = requests.cancel(
            self._gateway.config.account,
            self.book.branch_of(order),
            order.number,
            order.spec.order_type,
        )
        error = await self._change(order, Change.CANCEL, request, recall=cancel.recall)
        if isinstance(error, Recalled):
            cancel.is_over = True
        elif isinstance(error, Retry) and cancel.tries_left:
            limits, jitter = self._gateway.config.limits, self._gateway.timing.jitter_ppm()
            attempt = CANCEL_TRIES - cancel.tries_left - 1
            wait_ns = max(delay_ns(limits, attempt, jitter), error.wait_ns)
            await self._gateway.timing.sleep_ns(wait_ns)
        else:
            await self._await_change(order)
            cancel.is_over = cancel.is_over or order.state in ENDED

    def amend(
        self, order_id: str, quantity: int, price: int, trigger: int = 0
    ) -> asyncio.Future[None]:
        """Move what rests of an order to another price; ``quantity`` is its total and stays.

        KIS would split an order whose quantity is amended, so that is refused. Raises KeyError
        for an order that was not submitted.
        """
        self._check_known(order_id)
        return asyncio.shield(self._spawn(self._amend(order_id, quantity, price, trigger)))

    async def _amend(self, order_id: str, quantity: int, price: int, trigger: int) -> None:
        await self._until(lambda: order_id not in self._queued)
        try:
            order = self.book.order(order_id)
        except KeyError:
            return  # it was cancelled before it was sent
        await self._until(lambda: _is_ready(order))
        if order.state in ENDED:
            self._listener.change_refused(order_id, Change.AMEND, "the order has ended")
        elif quantity != order.quantity:
            reason = "KIS cannot amend the quantity of an order: cancel it and send a new one"
            self._listener.change_refused(order_id, Change.AMEND, reason)
        else:
            request = requests.amend(
                self._gateway.config.account,
                self.book.branch_of(order),
                order.number,
                order.spec.order_type,
                0,
                price,
            )
            fields = dict(request.fields) | {"CNDT_PRIC": str(trigger) if trigger else ""}
            await self._change(order, Change.AMEND, replace(request, fields=fields), price)
            await self._await_change(order)

    async def _change(
        self,
        order: KisOrder,
        change: Change,
        request: Request,
        price: int = 0,
        recall: Recall | None = None,
    ) -> KisError | None:
        """Send a change; returns the error where KIS surely did nothing."""
        order_id = order.order_id
        self.book.changing(order_id, change, self._gateway.moment(), price=price)
        try:
            placed = replies.placed(await self._gateway.http.ask(request, recall))
        except Recalled as error:
            self.book.change_recalled(order_id)
            return error
        # As in _sent.
        except BaseException as error:
            if isinstance(error, KisError) and nothing_was_done(error):
                moment = self._gateway.moment()
                self._tell(self.book.change_refused(order_id, str(error), moment), error)
                return error
            self._tell(self.book.change_lost(order_id, self._gateway.moment()))
            if not isinstance(error, KisError):
                raise
        else:
            self._tell(self.book.change_taken(order_id, placed))
        return None

    async def _await_change(self, order: KisOrder) -> None:
        """Wait until a change is carried out or not; looked up if nobody says so soon."""

        def is_over() -> bool:
            return order.change is None or order.state in ENDED

        if not await self.within(is_over, CONFIRM_NS):
            self.list.want()
            await self._until(is_over)

    # --- what comes in ---

    def _hear(self, heard: Heard) -> None:
        match heard.value:
            case Notice() as notice:
                self._tell(self.book.on_notice(notice, self._gateway.moment()))
            case Acked(stream) if stream == self.stream and self.is_registered:
                self.list.want()  # what was noticed before this is lost
                self._wake()
                self._listener.registered()
            case Link():
                self.list.wake()
            case BadRecord() as error if _may_be_notice(str(error)):
                self.list.want()
            case Unreadable(raw=raw) if _may_be_notice(raw):
                self.list.want()

    def _on_list(self, found: DayList) -> None:
        closed_ns = max(self._over_by(found.asked.market_ns), default=0)
        events = self.book.on_list(
            found.rows,
            found.asked,
            found.answered,
            complete=found.complete,
            closed_ns=closed_ns,
        )
        self._rows = found.rows
        for row in found.rows:
            if self.book.owner(row) is None:
                self.foreign_rows[row.day, row.number] = row
            else:
                self.foreign_rows.pop((row.day, row.number), None)
        self._tell(events)

    def own_rows(self) -> list[tuple[KisOrder, replies.OrderRow]]:
        """Return the rows of the latest list that are of orders placed here."""
        owned = ((self.book.owner(row), row) for row in self._rows)
        return [(order, row) for order, row in owned if order is not None]

    def _in_doubt(self) -> bool:
        is_deaf = bool(self.book.live) and not self.is_registered
        return self.book.needs_list or is_deaf or self._is_over()

    def _is_over(self) -> bool:
        """Tell whether an order outlived its session."""
        ended = self._over_by(self._gateway.market_ns())
        return bool(ended) and any(
            order.sent.market_ns < ended[-1] and order.state not in UNRESOLVED
            for order in self.book.live
        )

    def _over_by(self, market_ns: int) -> list[int]:
        """Return the ends of sessions after which nothing can fill any more by a market time."""
        return [end for end in self._ends_ns if end + CLOSED_GRACE_NS <= market_ns]

    async def _watch_ends(self) -> None:
        """Have the list asked after each end of a session."""
        for end_ns in self._ends_ns:
            await self._gateway.sleep_until(end_ns + CLOSED_GRACE_NS)
            self.list.wake()

    # --- what goes out ---

    def _tell(self, events: Sequence[BookEvent], error: KisError | None = None) -> None:
        for event in events:
            if isinstance(event, ChangeRefused) and self._is_repeated(event, error):
                continue
            tell(self._listener, event)
        for order_id, cancel in self._cancels.items():
            if self.book.order(order_id).state in ENDED:
                cancel.recall.recall()
        self.list.wake()
        self._wake()

    def _is_repeated(self, event: ChangeRefused, error: KisError | None) -> bool:
        """Tell whether a cancel that came to nothing is sent again, so that it is not over."""
        cancel = self._cancels.get(event.order_id)
        if cancel is None or event.change is not Change.CANCEL:
            return False
        may_repeat = isinstance(error, Retry) or (error is None and event.reason == NEVER_ARRIVED)
        cancel.is_over = not (may_repeat and cancel.tries_left)
        return not cancel.is_over

    # --- waiting ---

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Run something to its end, even where whoever asked for it is cancelled."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._wake()
        if not task.cancelled() and (error := task.exception()) is not None:
            self._gateway.fail(error)


def _is_ready(order: KisOrder) -> bool:
    """Tell whether a change of an order can be sent, or is of no more use."""
    if order.state in ENDED:
        return True
    is_ending = order.state is OrderState.ENDING and not order.is_partial
    return bool(order.number) and order.change is None and not is_ending


def _may_be_notice(raw: str | bytes) -> bool:
    """Tell whether what cannot be read (or what is said of it) may have been a notice."""
    text = raw if isinstance(raw, str) else raw.decode("ascii", "replace")
    return any(word in text[:100] for word in ("notice", *NOTICE_TRS))
