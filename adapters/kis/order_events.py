"""What the order book-keeping says, and the table of an order's life.

Rule: everything that changes an order's state stands in ``ORDER``; fills change quantities, and the
state only where they complete the order.
"""

from dataclasses import dataclass
from enum import StrEnum

from nautilus_trader.model import ClientOrderId, OrderSide, TradeId

from adapters.kis.market import Change


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant on both clocks: the venue's (order times) and ours (waits)."""

    market_ns: int
    wall_ns: int


@dataclass(frozen=True, slots=True)
class OrderSpec:
    """What was ordered, in shares and won; ``price`` is 0 where unpriced.

    ``trigger`` is a stop-limit's. Two orders are equal where symbol, side, quantity and price are.
    """

    code: str
    side: OrderSide
    quantity: int
    price: int
    order_type: str
    trigger: int = 0


@dataclass(frozen=True, slots=True, order=True)
class OrderKey:
    """KIS's name of an order: its number is unique within a day and branch only."""

    day: str
    branch: str
    number: str


def client_order_id(key: OrderKey) -> ClientOrderId:
    """Return the id of an order that was not placed by us; the same in every process."""
    return ClientOrderId(f"KIS-{key.day}-{key.branch}-{key.number}")


def order_key(order_id: ClientOrderId) -> OrderKey | None:
    """Return what ``client_order_id`` made an id of, None for other ids."""
    parts = order_id.value.split("-")
    return OrderKey(*parts[1:]) if len(parts) == 4 and parts[0] == "KIS" else None


class OrderState(StrEnum):
    """Where an order stands at KIS, as far as we know."""

    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    OPEN = "open"
    ENDING = "ending"
    FILLED = "filled"
    CANCELED = "canceled"
    REJECTED = "rejected"


class OrderEvent(StrEnum):
    """What a reply, a notice or the order list says about an order."""

    TAKEN = "taken"
    REFUSED = "refused"
    REPLY_LOST = "reply_lost"
    ABSENT = "absent"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCEL_SEEN = "cancel_seen"
    SETTLED = "settled"
    FILLED_UP = "filled_up"


_S, _E = OrderState, OrderEvent

ORDER: dict[OrderState, dict[OrderEvent, OrderState]] = {
    _S.SENDING: {
        _E.TAKEN: _S.SENT,
        _E.REFUSED: _S.REJECTED,
        _E.REPLY_LOST: _S.UNKNOWN,
    },
    # a reply may come after we gave up on it; the order list names the order, or does not
    _S.UNKNOWN: {
        _E.TAKEN: _S.SENT,
        _E.REFUSED: _S.REJECTED,
        _E.REPLY_LOST: _S.UNKNOWN,
        _E.ABSENT: _S.REJECTED,
    },
    _S.SENT: {
        _E.TAKEN: _S.SENT,
        _E.ACCEPTED: _S.OPEN,
        _E.REJECTED: _S.REJECTED,
        _E.CANCEL_SEEN: _S.ENDING,
        _E.SETTLED: _S.CANCELED,
        _E.FILLED_UP: _S.FILLED,
    },
    _S.OPEN: {
        _E.TAKEN: _S.OPEN,
        _E.ACCEPTED: _S.OPEN,
        _E.REJECTED: _S.REJECTED,
        _E.CANCEL_SEEN: _S.ENDING,
        _E.SETTLED: _S.CANCELED,
        _E.FILLED_UP: _S.FILLED,
    },
    # cancelled, but fills and cancelled quantity do not add up yet
    _S.ENDING: {
        _E.TAKEN: _S.ENDING,
        _E.ACCEPTED: _S.ENDING,
        _E.CANCEL_SEEN: _S.ENDING,
        _E.SETTLED: _S.CANCELED,
        _E.FILLED_UP: _S.FILLED,
    },
    # repeated and late news about an order that has ended
    _S.FILLED: {
        _E.TAKEN: _S.FILLED,
        _E.ACCEPTED: _S.FILLED,
        _E.CANCEL_SEEN: _S.FILLED,
        _E.SETTLED: _S.FILLED,
        _E.FILLED_UP: _S.FILLED,
    },
    _S.CANCELED: {
        _E.TAKEN: _S.CANCELED,
        _E.ACCEPTED: _S.CANCELED,
        _E.CANCEL_SEEN: _S.CANCELED,
        _E.SETTLED: _S.CANCELED,
        _E.FILLED_UP: _S.FILLED,
    },
    # TAKEN: an order that was given up shows up after all
    _S.REJECTED: {
        _E.TAKEN: _S.SENT,
        _E.REFUSED: _S.REJECTED,
        _E.REPLY_LOST: _S.REJECTED,
        _E.REJECTED: _S.REJECTED,
        _E.ABSENT: _S.REJECTED,
    },
}

UNRESOLVED = frozenset({OrderState.SENDING, OrderState.UNKNOWN})
ENDED = frozenset({OrderState.FILLED, OrderState.CANCELED, OrderState.REJECTED})

# --- what comes out ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Taken:
    """KIS has given the order its number: journal it with the order's id."""

    order_id: str
    key: OrderKey


@dataclass(frozen=True, slots=True)
class Accepted:
    """The exchange has the order."""

    order_id: str
    key: OrderKey


@dataclass(frozen=True, slots=True)
class Rejected:
    """The order is not and will not be."""

    order_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """One fill of an order, numbered from 1 by us: KIS gives no fill id.

    ``repaired`` fills were missing among the notices and follow from the order list: their
    quantity and won are right, single prices within them are not known.
    """

    order_id: str
    number: str
    ordinal: int
    trade_id: TradeId
    code: str
    side: OrderSide
    quantity: int
    price: int
    time: str
    repaired: bool


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The order list agrees: ``quantity`` shares of this number are filled."""

    order_id: str
    number: str
    quantity: int


@dataclass(frozen=True, slots=True)
class Amended:
    """The order now rests with this total quantity and price under a new number."""

    order_id: str
    key: OrderKey
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class Canceled:
    """The rest of the order is cancelled; all its fills have been told."""

    order_id: str
    quantity: int


NEVER_ARRIVED = "KIS does not list the change: it never arrived"


@dataclass(frozen=True, slots=True)
class ChangeRefused:
    """An amendment or cancel was refused or never arrived; the order is as before."""

    order_id: str
    change: Change
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The fate of an order (or of its change) is open until the order list is asked."""

    order_id: str


@dataclass(frozen=True, slots=True)
class Foreign:
    """An order of this account that was not placed here, by hand for instance."""

    number: str
    branch: str
    code: str


@dataclass(frozen=True, slots=True)
class Mismatch:
    """KIS's list and our book disagree in a way that notices cannot explain: tell people."""

    order_id: str
    what: str


type BookEvent = (
    Taken
    | Accepted
    | Rejected
    | Filled
    | Confirmed
    | Amended
    | Canceled
    | ChangeRefused
    | Unknown
    | Foreign
    | Mismatch
)
