"""What the host remembers of its orders: the open ones, and those that have ended.

Rule: an order stays known after its end, because venues fill late, repeat trades and answer a
cancellation that crossed a fill; what was never sent stops the run.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from nautilus_trader.model import ClientOrderId, InstrumentId

from strategies.errors import InvariantBroken
from strategies.messages import Fill, Grant, RepeatedFill


@dataclass(slots=True)
class OrderRecord:
    """One order: who wanted it, what caused it, what of it may still fill, which trades counted.

    ``given_up``: it ended as rejected, which a venue that took it after all proves wrong.
    """

    strategy: str
    instrument_id: InstrumentId
    command_id: int
    workflow_id: int
    left_raw: int
    trade_ids: tuple[str, ...] = ()
    given_up: bool = False


class KnownOrders:
    """Every order of a run by its id."""

    def __init__(self) -> None:
        self._open: dict[ClientOrderId, OrderRecord] = {}
        self._ended: dict[ClientOrderId, OrderRecord] = {}

    def add(self, grant: Grant, command_id: int, workflow_id: int) -> None:
        """Remember a granted order as open."""
        self._open[grant.order_id] = OrderRecord(
            grant.strategy, grant.instrument_id, command_id, workflow_id, grant.quantity.raw
        )

    def is_open(self, order_id: ClientOrderId) -> bool:
        """Tell whether an order can still change."""
        return order_id in self._open

    def knows(self, order_id: ClientOrderId) -> bool:
        """Tell whether this run sent an order."""
        return order_id in self._open or order_id in self._ended

    def is_given_up(self, order_id: ClientOrderId) -> bool:
        """Tell whether an order ended as rejected and may live all the same."""
        found = self._ended.get(order_id)
        return found is not None and found.given_up

    def record(self, order_id: ClientOrderId) -> OrderRecord:
        """Return an order's record, open or ended; raises InvariantBroken if it was never sent."""
        found = self._open.get(order_id) or self._ended.get(order_id)
        if found is None:
            raise InvariantBroken(f"a venue reported order {order_id}, which this run never sent.")
        return found

    def end(self, order_id: ClientOrderId, *, given_up: bool = False) -> None:
        """Note that an order has ended; one that was given up may now have ended for sure."""
        found = self._open.pop(order_id, None)
        if found is not None:
            found.given_up = given_up
            self._ended[order_id] = found
        elif not given_up and order_id in self._ended:
            self._ended[order_id].given_up = False

    def revive(self, order_id: ClientOrderId) -> int:
        """Open an order again that was given up; return what may still fill, 0 for others."""
        found = self._ended.get(order_id)
        if found is None or not found.given_up:
            return 0
        found.given_up = False
        self._open[order_id] = self._ended.pop(order_id)
        return found.left_raw

    def fill(self, fill: Fill) -> None:
        """Count a new trade; raises InvariantBroken where it is more than was left of its order."""
        found = self.record(fill.order_id)
        if fill.quantity.raw > found.left_raw:
            raise InvariantBroken(
                f"a venue filled order {fill.order_id} by {fill.quantity}, more than what was "
                "left of it."
            )
        found.trade_ids = (*found.trade_ids, fill.trade_id)
        found.left_raw -= fill.quantity.raw
        if found.left_raw == 0:
            self.end(fill.order_id)

    def open_by(self, strategy: str) -> Iterator[tuple[ClientOrderId, InstrumentId]]:
        """Yield a strategy's open orders and their instruments, oldest first."""
        for order_id, found in list(self._open.items()):
            if found.strategy == strategy:
                yield order_id, found.instrument_id

    def open_of(self, strategy: str, instrument_id: InstrumentId) -> Iterator[ClientOrderId]:
        """Yield the ids of a strategy's open orders in one instrument, oldest first."""
        for order_id, place in self.open_by(strategy):
            if place == instrument_id:
                yield order_id


def repeated(fill: Fill) -> RepeatedFill:
    """Return what is journalled of a trade that a venue reported once more."""
    return RepeatedFill(fill.strategy, fill.order_id, fill.instrument_id, fill.trade_id, fill.ts_ns)
