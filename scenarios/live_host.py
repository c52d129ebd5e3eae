"""The engine's shell in a live node: commits before it sends, and stops for nothing foreign.

Rule: every command is committed before it is sent; whatever a venue reports that this run did not
cause becomes a notice; the first failure of the host is told to whoever runs the node.
"""

from collections.abc import Callable
from typing import Any

from nautilus_trader.model import ClientOrderId

from strategies.host.shell import EngineHost
from strategies.market_time import REAL, MarketTime
from strategies.messages import (
    CancelOrder,
    Command,
    Fill,
    KillSwitch,
    Notice,
    NoticeLevel,
    OrderNamed,
    OrderState,
    OrderUpdate,
    PositionUpdate,
    RepeatedFill,
    Report,
    Submit,
)
from strategies.ports import Journal

COMMIT_EVERY_NS = 50_000_000
"""How often the composer calls ``commit``: what no command waits for is kept by then."""


class LiveHost(EngineHost):
    """Sends what was committed, and lets people and adapters report."""

    def __new__(
        cls,
        journal: Journal,  # noqa: ARG004 - for __init__ only
        on_failed: Callable[[BaseException], None],  # noqa: ARG004 - for __init__ only
        market_time: MarketTime = REAL,  # noqa: ARG004 - for __init__ only
        cancel_stray: Callable[[CancelOrder], None] | None = None,  # noqa: ARG004 - as above
    ) -> "LiveHost":
        return super().__new__(cls)

    def __init__(
        self,
        journal: Journal,
        on_failed: Callable[[BaseException], None],
        market_time: MarketTime = REAL,
        cancel_stray: Callable[[CancelOrder], None] | None = None,
    ) -> None:
        """``on_failed`` is called once, with the host's first failure: it stops the node.

        ``cancel_stray`` cancels an order that was given up and lives: the engine, for which it has
        ended, would not.
        """
        super().__init__()
        self._cancel_stray = cancel_stray
        self._strays: set[ClientOrderId] = set()
        self.market_time = market_time
        self._journal = journal
        self._on_failed = on_failed
        self._taking = True
        self._started = False
        self._early: list[Report] = []
        self._unsent: dict[ClientOrderId, OrderUpdate] = {}
        self._names: dict[ClientOrderId, str] = {}

    def _fail(self, error: BaseException) -> None:
        first = self.failure is None
        super()._fail(error)
        if first:
            self._on_failed(error)

    @property
    def has_started(self) -> bool:
        """Tell whether the engine has connected and called ``on_start``."""
        return self._started

    # --- what the composer calls, on the node's own thread ---

    def on_start(self) -> None:
        """Start the host, then deliver what was reported before it."""
        super().on_start()
        self._started = True
        early, self._early = self._early, []
        for report in early:
            self.report(report)

    def report(self, report: Report) -> None:
        """Deliver what was found out aside from the engine; before the start it waits for it.

        News of orders and instruments that are not of this run become a notice.
        """
        if not self._started:
            self._early.append(report)
        elif self.failure is None:
            try:
                self._deliver(report)
            # As in EngineHost: kept, and told to whoever runs the node.
            except BaseException as error:  # noqa: BLE001 - see above
                self._fail(error)

    def pull(self, switch: KillSwitch) -> None:
        """Pull the kill switch, have positions closed as well, or let it go."""
        self.report(switch)

    def stop_taking(self) -> None:
        """Send no new orders from now on; cancellations still leave."""
        self._taking = False

    def commit(self) -> None:
        """Commit everything journalled so far; call it every ``COMMIT_EVERY_NS``.

        It also reports the orders that were not sent since ``stop_taking`` as denied: not at once,
        so that a strategy which insists cannot hold up the node.
        """
        if self.failure is not None:
            return
        unsent, self._unsent = self._unsent, {}
        for update in unsent.values():
            self.report(update)
        try:
            self._journal.flush()
        # As in report.
        except BaseException as error:  # noqa: BLE001 - see above
            self._fail(error)

    # --- host -> engine ---

    def send(self, command: Command) -> None:
        """Commit everything that led to a command, then send it."""
        if isinstance(command, Submit) and not self._taking:
            self._unsent[command.order_id] = self._denial(command)
            return
        if command.order_id in self._unsent:
            return  # nothing to cancel: it ends at the next commit
        self._journal.flush()
        if isinstance(command, CancelOrder) and command.order_id in self._strays:
            self._send_stray(command)
        else:
            super().send(command)

    def _send_stray(self, command: CancelOrder) -> None:
        if self._cancel_stray is not None:
            self._cancel_stray(command)
            return
        venue = command.instrument_id.venue.value
        text = f"order {command.order_id} lives after it was given up; cancel it at the venue"
        self.host.on_report(Notice(venue, NoticeLevel.FAULT, text, self.now_ns()))

    def _denial(self, order: Submit) -> OrderUpdate:
        return OrderUpdate(
            self.host.owner(order.order_id),
            order.order_id,
            order.instrument_id,
            OrderState.DENIED,
            "the run takes no new orders",
            self.now_ns(),
        )

    # --- engine -> host ---

    def _deliver(self, report: Report) -> None:
        if isinstance(report, OrderNamed):
            self._name(report)
            return
        if isinstance(report, OrderUpdate | Fill) and self.host.is_given_up(report.order_id):
            self._strays.add(report.order_id)
        self.host.on_report(self._foreign(report) or report)

    def _name(self, named: OrderNamed) -> None:
        """Journal an order's id at its venue once, whoever tells it first."""
        if self._names.get(named.order_id) != named.venue_order_id:
            self._names[named.order_id] = named.venue_order_id
            self.host.on_report(named)

    def _foreign(self, report: Report) -> Notice | None:
        """Return what is journalled instead of news that are not of this run."""
        match report:
            case OrderUpdate() | Fill() | RepeatedFill():
                if self.host.knows(report.order_id):
                    return None
                what = f"order {report.order_id} in {report.instrument_id}"
            case PositionUpdate():
                if self.host.trades_in(report.instrument_id):
                    return None
                what = f"a position in {report.instrument_id}"
            case _:
                return None
        return _notice(report.instrument_id.venue.value, what, report.ts_ns)

    def _order_report(self, event: Any) -> Report | None:
        order_id = event.client_order_id
        if not self.host.knows(order_id):
            what = f"order {order_id} in {event.instrument_id} ({type(event).__name__})"
            return _notice(event.instrument_id.venue.value, what, event.ts_event)
        name = getattr(event, "venue_order_id", None)
        if name is not None:
            self._name(OrderNamed(order_id, str(name), event.ts_event))
        return super()._order_report(event)

    def _position_report(self, event: Any) -> Report:
        if not self.host.trades_in(event.instrument_id):
            what = f"a position in {event.instrument_id}"
            return _notice(event.instrument_id.venue.value, what, event.ts_event)
        return super()._position_report(event)


def _notice(venue: str, what: str, ts_ns: int) -> Notice:
    text = f"the venue reported {what}, which is not of this run: nothing of it was counted"
    return Notice(venue, NoticeLevel.WARNING, text, ts_ns)
