"""What becomes of orders at KIS, as events of the engine.

Rule: every event bears the market time of its arrival, never earlier than the one before. What the
engine would refuse in an order's state is not lost: it goes to ``on_stray``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from nautilus_trader.live.clients import ExecutionClient
from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderSide,
    Price,
    Quantity,
    VenueOrderId,
)

from adapters.kis.market import Change
from adapters.kis.order_events import (
    Accepted,
    Amended,
    Canceled,
    Filled,
    Foreign,
    OrderKey,
    Rejected,
)
from strategies.errors import InvariantBroken
from strategies.markets import krx

type StrayEvent = Accepted | Amended | Canceled | Filled | Rejected
type Commission = Callable[[OrderSide, Quantity, Price], Money]


@dataclass(frozen=True, slots=True)
class Stray:
    """An event the engine does not take: for it the order was rejected or filled, or it stopped.

    ``ts_ns`` is market time; ``commission`` is a fill's.
    """

    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    event: StrayEvent
    ts_ns: int
    commission: Money | None = None


@dataclass(frozen=True, slots=True)
class ToldFill:
    """A fill as the engine was told of it."""

    fill: Filled
    commission: Money
    ts_ns: int


@dataclass(slots=True)
class SentOrder:
    """An engine order and what the engine was told of it: shares in all and filled.

    ``order`` is the engine's.
    """

    order: object
    client_order_id: ClientOrderId
    instrument_id: InstrumentId
    quantity: int
    filled: int = 0
    venue_order_id: VenueOrderId | None = None
    accepted_ns: int = 0
    last_ns: int = 0
    is_rejected: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Tellers:
    """Whom else the composer wants told; see ``KisExecutionConfig``."""

    commission: Commission
    on_stray: Callable[[Stray], None]
    on_named: Callable[[str, OrderKey], None]
    on_unknown: Callable[[str], None]
    on_foreign: Callable[[Foreign], None]
    on_mismatch: Callable[[str, str], None]


def venue_order_id(key: OrderKey) -> VenueOrderId:
    """Return the engine's name of an order at KIS: day, branch and number."""
    return VenueOrderId(f"{key.day}-{key.branch}-{key.number}")


class EngineEvents:
    """The listener of one execution client's orders.

    ``registered`` and ``on_fill`` are also told to the client's own parts.
    """

    def __init__(
        self,
        client: ExecutionClient,
        tellers: Tellers,
        market_ns: Callable[[], int],
        *,
        on_registered: Callable[[], None],
        on_fill: Callable[[Filled], None],
    ) -> None:
        self._client = client
        self._tellers = tellers
        self._market_ns = market_ns
        self._on_registered = on_registered
        self._on_fill = on_fill
        self._last_ns = 0
        self._has_left = False
        self.orders: dict[str, SentOrder] = {}
        self.fills: list[ToldFill] = []

    def now_ns(self) -> int:
        """Return the market time, never earlier than before."""
        self._last_ns = max(self._last_ns, self._market_ns())
        return self._last_ns

    def leave(self) -> None:
        """Tell everything as stray from now on: nobody hears the engine's events any more."""
        self._has_left = True

    def sent(
        self, order: object, order_id: ClientOrderId, instrument_id: InstrumentId, quantity: int
    ) -> None:
        """Note an order that is about to be sent, of this many shares."""
        self.orders[order_id.value] = SentOrder(order, order_id, instrument_id, quantity)

    # --- told by KisOrders ---

    def named(self, order_id: str, key: OrderKey) -> None:
        """Note the number of an order; the engine hears it with the acceptance."""
        self._sent(order_id).venue_order_id = venue_order_id(key)
        self._tellers.on_named(order_id, key)

    def accepted(self, order_id: str, key: OrderKey) -> None:
        """Tell that the exchange has the order."""
        one, now = self._at(order_id)
        if self._is_stray(one):
            self._stray(one, Accepted(order_id, key), now)
            return
        one.accepted_ns = now
        one.venue_order_id = venue_order_id(key)
        self._client.generate_order_accepted(one.order, one.venue_order_id, now)

    def rejected(self, order_id: str, reason: str) -> None:
        """Tell that the order is not and will not be."""
        one, now = self._at(order_id)
        if self._is_stray(one):
            self._stray(one, Rejected(order_id, reason), now)
            return
        one.is_rejected = True
        self._client.generate_order_rejected(one.order, reason, now, due_post_only=False)

    def filled(self, fill: Filled) -> None:
        """Tell a fill: KIS names neither its commission nor which side took liquidity."""
        one, now = self._at(fill.order_id)
        quantity, price = Quantity.from_int(fill.quantity), Price.from_int(fill.price)
        commission = self._tellers.commission(fill.side, quantity, price)
        self.fills.append(ToldFill(fill, commission, now))
        self._on_fill(fill)
        if self._is_stray(one):
            self._stray(one, fill, now, commission)
            return
        one.filled += fill.quantity
        self._client.generate_order_filled(
            one.order,
            self._number(one),
            None,
            fill.trade_id,
            quantity,
            price,
            krx.KRW,
            commission,
            LiquiditySide.NO_LIQUIDITY_SIDE,
            now,
        )

    def confirmed(self, order_id: str, number: str, quantity: int) -> None:
        """The engine knows no provisional fills: nothing is told."""

    def canceled(self, order_id: str, quantity: int) -> None:
        """Tell that the rest is cancelled."""
        one, now = self._at(order_id)
        if self._is_stray(one):
            self._stray(one, Canceled(order_id, quantity), now)
            return
        self._client.generate_order_canceled(one.order, one.venue_order_id, now)

    def amended(self, order_id: str, key: OrderKey, quantity: int, price: int) -> None:
        """Tell that the order rests at another price under a new number."""
        one, now = self._at(order_id)
        one.venue_order_id = venue_order_id(key)
        if self._is_stray(one):
            self._stray(one, Amended(order_id, key, quantity, price), now)
            return
        one.quantity = quantity
        self._client.generate_order_updated(
            one.order,
            one.venue_order_id,
            Quantity.from_int(quantity),
            Price.from_int(price),
            None,
            None,
            now,
        )

    def change_refused(self, order_id: str, change: Change, reason: str) -> None:
        """Tell that a cancel or amendment came to nothing."""
        one, now = self._at(order_id)
        if self._is_stray(one):
            return  # there is nothing the engine still expects of it
        refuse = (
            self._client.generate_order_cancel_rejected
            if change is Change.CANCEL
            else self._client.generate_order_modify_rejected
        )
        refuse(one.order, one.venue_order_id, reason, now)

    def unknown(self, order_id: str) -> None:
        """Tell that the fate of an order is being asked for."""
        self._tellers.on_unknown(order_id)

    def waiting(self, order_id: str, for_id: str) -> None:
        """The engine sees an order that was submitted: it waits here."""

    def registered(self) -> None:
        """Tell that fill notices come."""
        self._on_registered()

    def foreign(self, order: Foreign) -> None:
        """Tell of an order that was not placed here."""
        self._tellers.on_foreign(order)

    def mismatch(self, order_id: str, what: str) -> None:
        """Tell of a disagreement with KIS."""
        self._tellers.on_mismatch(order_id, what)

    # --- inside ---

    def _is_stray(self, one: SentOrder) -> bool:
        return one.is_rejected or self._has_left or one.filled >= one.quantity

    def _sent(self, order_id: str) -> SentOrder:
        try:
            return self.orders[order_id]
        except KeyError:
            raise InvariantBroken(f"{order_id} was told of and never sent.") from None

    def _at(self, order_id: str) -> tuple[SentOrder, int]:
        one, now = self._sent(order_id), self.now_ns()
        one.last_ns = now
        return one, now

    @staticmethod
    def _number(one: SentOrder) -> VenueOrderId:
        if one.venue_order_id is None:
            raise InvariantBroken(f"{one.client_order_id} was filled before it had a number.")
        return one.venue_order_id

    def _stray(
        self, one: SentOrder, event: StrayEvent, now: int, commission: Money | None = None
    ) -> None:
        stray = Stray(one.client_order_id, one.instrument_id, event, now, commission)
        self._tellers.on_stray(stray)
