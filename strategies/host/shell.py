"""The engine's only Strategy of a run: translates engine events to messages and commands back.

Rule: it decides nothing. It is the one module below `scenarios` that touches the engine's runtime.
The engine logs and swallows what a handler raises, so everything is caught here first: the first
failure is kept in ``failure``, later events are ignored and the composer of the run raises it.
The engine's clock runs on wall time and the host on market time: here one becomes the other.
"""

from collections.abc import Callable, Mapping
from typing import Any

from nautilus_trader.common import TimeEvent
from nautilus_trader.model import (
    BarType,
    BookType,
    InstrumentId,
    Money,
    OrderAccepted,
    OrderCanceled,
    OrderCancelRejected,
    OrderDenied,
    OrderExpired,
    OrderFilled,
    OrderRejected,
    PositionClosed,
    PositionSide,
    TimeInForce,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from strategies.errors import InvariantBroken
from strategies.host.core import Host
from strategies.host.intents import TS_NS_MAX
from strategies.market_time import REAL
from strategies.messages import (
    CancelOrder,
    Command,
    Fill,
    OrderState,
    OrderUpdate,
    PositionUpdate,
    Report,
    Submit,
    TimerFired,
)
from strategies.ports import StreamKind

STATES: Mapping[type, OrderState] = {
    OrderAccepted: OrderState.ACCEPTED,
    OrderRejected: OrderState.REJECTED,
    OrderDenied: OrderState.DENIED,
    OrderCanceled: OrderState.CANCELED,
    OrderCancelRejected: OrderState.CANCEL_REJECTED,
    OrderExpired: OrderState.EXPIRED,
}
"""Order events that become an OrderUpdate; the engine's others only repeat what we told it.

OrderDenied is the engine's own word, in wall time; the others carry the venue's time.
"""

MARKET_HANDLERS: Mapping[str, StreamKind] = {
    "on_trade": StreamKind.TRADES,
    "on_quote": StreamKind.QUOTES,
    "on_bar": StreamKind.BARS,
    "on_book_deltas": StreamKind.DELTAS,
    "on_funding_rate": StreamKind.FUNDING,
}


class EngineHost(Strategy):
    """Stands between one engine and one Host; also the Orders, Clock and Feed ports of the host.

    ``market_time`` is set before the engine starts, where it is not the wall's.
    """

    market_time = REAL

    def __init__(self, config: StrategyConfig | None = None) -> None:
        super().__init__(config)
        self.failure: BaseException | None = None
        self._host: Host | None = None
        self._market_handlers: dict[str, Callable[[Any], None]] = {}
        self._realized: dict[str, Money] = {}

    def attach(self, host: Host) -> None:
        """Give the shell its host; call once, before the engine starts."""
        self._host = host
        self._market_handlers = {
            name: host.market_handler(kind, self._fail) for name, kind in MARKET_HANDLERS.items()
        }
        self._hear(self._market_handlers)

    def _hear(self, handlers: Mapping[str, Callable[[Any], None]]) -> None:
        """Set the market handlers on the object: the hot path skips one Python call."""
        for name, handler in handlers.items():
            setattr(self, name, handler)

    def _fail(self, error: BaseException) -> None:
        if self.failure is None:
            self.failure = error
            self._hear(dict.fromkeys(MARKET_HANDLERS, ignore))

    @property
    def host(self) -> Host:
        """The attached host."""
        if self._host is None:
            raise InvariantBroken("the engine started before the host was attached.")
        return self._host

    def now_ns(self) -> int:
        """Return the market time of this moment."""
        return self.market_time.at(self.clock.timestamp_ns())

    # --- engine -> host ---

    def on_start(self) -> None:
        """Subscribe to every stream and deliver the start of the run."""
        try:
            self.host.subscribe(self)
            self.host.start(self.now_ns())
        # The engine would log and swallow it; kept, and raised by the composer of the run.
        except BaseException as error:  # noqa: BLE001 - see above
            self._fail(error)

    def _on_order(self, event: Any) -> None:
        """Translate one order event and deliver it."""
        if self.failure is not None:
            return
        try:
            report = self._order_report(event)
            if report is not None:
                self.host.on_report(report)
        # As in on_start.
        except BaseException as error:  # noqa: BLE001 - see above
            self._fail(error)

    # One by one, not `on_order_event`: the engine then makes no Python call for the others.
    on_order_filled = on_order_accepted = on_order_rejected = on_order_denied = _on_order
    on_order_canceled = on_order_cancel_rejected = on_order_expired = _on_order

    def on_position_event(self, event: Any) -> None:
        """Translate one position event and deliver it."""
        if self.failure is not None:
            return
        try:
            self.host.on_report(self._position_report(event))
        # As in on_start.
        except BaseException as error:  # noqa: BLE001 - see above
            self._fail(error)

    def _order_report(self, event: Any) -> Report | None:
        kind = type(event)
        if kind is OrderFilled:
            return self._fill(event)
        state = STATES.get(kind)
        if state is None:
            return None
        order_id = event.client_order_id
        if state is OrderState.CANCEL_REJECTED and not self.host.is_open(order_id):
            return None  # the cancel crossed the order's end, which was delivered already
        return OrderUpdate(
            self.host.owner(order_id),
            order_id,
            event.instrument_id,
            state,
            getattr(event, "reason", None) or "",
            self.market_time.at(event.ts_event) if kind is OrderDenied else event.ts_event,
        )

    def _fill(self, event: OrderFilled) -> Fill:
        order_id = event.client_order_id
        commission = event.commission
        return Fill(
            self.host.owner(order_id),
            order_id,
            event.instrument_id,
            str(event.trade_id),
            event.order_side,
            event.last_qty,
            event.last_px,
            Money.zero(event.currency) if commission is None else commission,
            event.liquidity_side,
            event.ts_event,
        )

    def _position_report(self, event: Any) -> Report:
        """Turn the engine's cumulative realised P&L into what this step alone realised."""
        key = str(event.position_id)
        total: Money = event.realized_pnl
        before = self._realized.get(key)
        closed = type(event) is PositionClosed
        if closed:
            self._realized.pop(key, None)
        else:
            self._realized[key] = total
        step = total if before is None else Money.from_raw(total.raw - before.raw, total.currency)
        return PositionUpdate(
            event.instrument_id,
            PositionSide.FLAT if closed else event.side,
            event.quantity,
            repr(event.avg_px_open),
            step,
            event.ts_event,
        )

    # --- host -> engine: the Feed, Orders and Clock ports ---

    def subscribe(self, kind: StreamKind, topic: str) -> None:
        """Subscribe to one stream."""
        match kind:
            case StreamKind.BARS:
                self.subscribe_bars(BarType.from_str(topic))
            case StreamKind.TRADES:
                self.subscribe_trades(InstrumentId.from_str(topic))
            case StreamKind.QUOTES:
                self.subscribe_quotes(InstrumentId.from_str(topic))
            case StreamKind.DELTAS:
                instrument_id = InstrumentId.from_str(topic)
                self.subscribe_book_deltas(instrument_id, BookType.L2_MBP, managed=True)
            case StreamKind.FUNDING:
                self.subscribe_funding_rates(InstrumentId.from_str(topic))

    def send(self, command: Command) -> None:
        """Send one granted command."""
        match command:
            case Submit():
                self._submit(command)
            case CancelOrder():
                self.cancel_order(command.order_id)

    def _submit(self, command: Submit) -> None:
        if command.price is None:
            order = self.order_factory.market(
                command.instrument_id,
                command.side,
                command.quantity,
                client_order_id=command.order_id,
            )
        else:
            order = self.order_factory.limit(
                command.instrument_id,
                command.side,
                command.quantity,
                command.price,
                time_in_force=TimeInForce.GTC,
                client_order_id=command.order_id,
            )
        self.submit_order(order)

    def wake(self, owner: str, name: str, at_ns: int) -> None:
        """Deliver a TimerFired to the host at ``at_ns``, or at once where that is past."""
        due_ns = max(min(self.market_time.wall(at_ns), TS_NS_MAX), self.clock.timestamp_ns())

        def ring(event: TimeEvent) -> None:
            if self.failure is not None:
                return
            try:
                now_ns = self.market_time.at(event.ts_event)
                self.host.on_timer(TimerFired(owner, name, at_ns, now_ns))
            # As in on_start.
            except BaseException as error:  # noqa: BLE001 - see above
                self._fail(error)

        # The length keeps "a-b" waking "c" apart from "a" waking "b-c"; ascii because the engine's
        # names are.
        alarm = f"wake-{len(owner)}-{owner}-{name}"
        self.clock.set_time_alert_ns(ascii(alarm), due_ns, ring, allow_past=True)


def ignore(_event: object) -> None:
    """Take an event that nobody needs."""
