"""Who is told what becomes of orders, and which call each event of the book is.

Rule: nothing is decided here.
"""

from typing import Protocol

from adapters.kis.market import Change
from adapters.kis.order_events import (
    Accepted,
    Amended,
    BookEvent,
    Canceled,
    ChangeRefused,
    Confirmed,
    Filled,
    Foreign,
    Mismatch,
    OrderKey,
    Rejected,
    Taken,
    Unknown,
)


class OrderListener(Protocol):
    """Who is told what becomes of orders, in the order it is known; ids are the sender's."""

    def named(self, order_id: str, key: OrderKey) -> None:
        """KIS gave the order its number: to be journalled."""

    def accepted(self, order_id: str, key: OrderKey) -> None:
        """The exchange has the order."""

    def rejected(self, order_id: str, reason: str) -> None:
        """The order is not and will not be; a fill after all is told with a mismatch."""

    def filled(self, fill: Filled) -> None:
        """Shares traded: told at once, never twice."""

    def confirmed(self, order_id: str, number: str, quantity: int) -> None:
        """The order list agrees with the fills told of one number."""

    def canceled(self, order_id: str, quantity: int) -> None:
        """The rest is cancelled (or over with its session), after all fills were told."""

    def amended(self, order_id: str, key: OrderKey, quantity: int, price: int) -> None:
        """The order rests under a new number, with this total quantity and price."""

    def change_refused(self, order_id: str, change: Change, reason: str) -> None:
        """A cancel or amendment came to nothing; the order is as before."""

    def unknown(self, order_id: str) -> None:
        """The fate of the order (or its change) is asked for."""

    def waiting(self, order_id: str, for_id: str) -> None:
        """The order waits, unsent, for an equal one of unknown fate."""

    def registered(self) -> None:
        """Fill notices come, for the first time or again."""

    def foreign(self, order: Foreign) -> None:
        """The account has an order that was not placed here; it is never touched."""

    def mismatch(self, order_id: str, what: str) -> None:
        """KIS and our book disagree: people must look."""


def tell(listener: OrderListener, event: BookEvent) -> None:
    """Call what a listener has for an event of the book."""
    match event:
        case Taken(order_id, key):
            listener.named(order_id, key)
        case Accepted(order_id, key):
            listener.accepted(order_id, key)
        case Rejected(order_id, reason):
            listener.rejected(order_id, reason)
        case Filled():
            listener.filled(event)
        case Confirmed(order_id, number, quantity):
            listener.confirmed(order_id, number, quantity)
        case Canceled(order_id, quantity):
            listener.canceled(order_id, quantity)
        case Amended(order_id, key, quantity, price):
            listener.amended(order_id, key, quantity, price)
        case ChangeRefused(order_id, change, reason):
            listener.change_refused(order_id, change, reason)
        case Unknown(order_id):
            listener.unknown(order_id)
        case Foreign():
            listener.foreign(event)
        case Mismatch(order_id, what):
            listener.mismatch(order_id, what)
