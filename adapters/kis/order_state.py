"""What the book keeps of one order: its chain of numbers, its change under way, its fills so far.

Rule: plain records and what can be read off them; only ``orders`` changes them.
"""

from dataclasses import dataclass, field

from adapters.kis.machine import Machine
from adapters.kis.market import Change, Notice
from adapters.kis.order_events import Moment, OrderEvent, OrderKey, OrderSpec, OrderState
from adapters.kis.order_types import ORDER_TYPES
from adapters.kis.replies import OrderRow
from adapters.kis.ticks import SECOND, SEOUL_AHEAD_S

CANCEL_WORD, AMEND_WORD = "취소", "정정"


@dataclass(slots=True)
class Leg:
    """One number of an order's chain: the order itself, an amendment of it, or its cancel.

    ``reported`` and ``amount`` are the shares and won told so far. Some were repaired from the
    list at ``repaired_until_ns`` (market time): their notices may still come, and look like new.
    ``rests`` is False for an amendment the exchange has not confirmed, and for a cancel.
    """

    number: str
    change: Change
    quantity: int
    reported: int = 0
    amount: int = 0
    repaired_until_ns: int = -1
    rests: bool = True
    listed: int = -1
    short_lists: int = 0
    noticed_ns: int = -1
    seen: set[tuple[str, int, int]] = field(default_factory=set)


@dataclass(slots=True)
class PendingChange:
    """An amendment or cancel under way; ``lost`` when its reply did not come.

    Since ``since_ns`` (wall time) nothing more of it can arrive at KIS.
    """

    change: Change
    quantity: int
    price: int
    sent: Moment
    lost: bool = False
    number: str = ""
    absent_lists: int = 0
    since_ns: int = 0


@dataclass(slots=True)
class KisOrder:
    """One order and its chain of numbers, the latest last.

    Since ``doubt_ns`` (wall time) its fills may be incomplete; since ``asked_for_ns`` a change was
    accepted whose confirmation may not be sent. Both end with a list asked later. Since ``lost_ns``
    nothing more of the request can arrive at KIS; ``given_up`` says that it was never listed.
    ``over_lists`` counts the lists asked after the end of the session it was for. Our own
    amendments move all that rests, so that ``floor`` shares stay the total whatever rested: the
    others were filled, and the notices are on their way or lost. ``is_partial`` says that only part
    was cancelled, by hand, as ``rest_lists`` lists have shown: the rest may be changed.
    """

    order_id: str
    spec: OrderSpec
    day: str
    sent: Moment
    machine: Machine[OrderState, OrderEvent]
    quantity: int
    price: int
    branch: str = ""
    legs: dict[str, Leg] = field(default_factory=dict)
    change: PendingChange | None = None
    canceled: int = 0
    fills: int = 0
    absent_lists: int = 0
    doubt_ns: int | None = None
    asked_for_ns: int | None = None
    lost_ns: int = 0
    given_up: bool = False
    over_lists: int = 0
    floor: int = 0
    rest_lists: int = 0
    is_partial: bool = False

    @property
    def state(self) -> OrderState:
        """Return where the order stands."""
        return self.machine.state

    @property
    def is_at_rest(self) -> bool:
        """Tell whether the list has confirmed all there is, and nothing is in doubt."""
        return (
            self.doubt_ns is None
            and self.asked_for_ns is None
            and self.change is None
            and not self.given_up
            and all(leg.reported == max(leg.listed, 0) for leg in self.legs.values())
        )

    @property
    def reported(self) -> int:
        """Return the shares told as filled."""
        return sum(leg.reported for leg in self.legs.values())

    @property
    def number(self) -> str:
        """Return the number that a change must name: the latest that rests, empty before any."""
        return next((number for number, leg in reversed(self.legs.items()) if leg.rests), "")

    @property
    def total(self) -> int:
        """Return the shares of the whole chain: what earlier numbers filled, and the latest."""
        number = self.number
        latest = self.legs.get(number)
        if latest is None or latest.change is Change.NEW:
            return self.spec.quantity
        return max(self.floor, self.reported - latest.reported + latest.quantity)

    @property
    def key(self) -> OrderKey:
        """Return KIS's name of the order as it stands."""
        return OrderKey(self.day, self.branch, self.number)


def is_about(order: KisOrder, notice: Notice) -> bool:
    """Tell whether a notice with an order's number is about that order: numbers repeat."""
    return order.spec.code == notice.code and order.spec.side == notice.side


def is_cancel(row: OrderRow) -> bool:
    """Tell a cancel's row from an amendment's (which may be cancelled itself, later)."""
    return AMEND_WORD not in row.type_words and (row.canceled or CANCEL_WORD in row.type_words)


def could_be(order: KisOrder, row: OrderRow) -> bool:
    """Tell whether a listed row can be an order: day, symbol, side, quantity and price fit."""
    spec = order.spec
    if row.original or (row.day, row.code, row.side) != (order.day, spec.code, spec.side):
        return False
    if row.quantity != spec.quantity:
        return False
    if row.order_type in ORDER_TYPES and row.order_type != spec.order_type:
        return False
    return row.price == spec.price or not ORDER_TYPES[spec.order_type].priced


def seoul_time(ts_ns: int) -> str:
    """Return HHMMSS in Seoul of UTC nanoseconds."""
    second = (ts_ns // SECOND + SEOUL_AHEAD_S) % 86_400
    return f"{second // 3600:02d}{second % 3600 // 60:02d}{second % 60:02d}"
