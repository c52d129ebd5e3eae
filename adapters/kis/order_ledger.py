"""What a notice does to an order, and what follows from it: numbers, fills, changes, ends.

Rule: nothing is guessed twice. What may be a duplicate or a late notice is not told until the
order list settles it (``orders``); what has been told is never taken back.
"""

from collections import deque

from nautilus_trader.model import TradeId

from adapters.kis.limits import Limits
from adapters.kis.market import Acceptance, Change, Notice, NoticeKind
from adapters.kis.order_events import (
    ENDED,
    UNRESOLVED,
    Accepted,
    Amended,
    BookEvent,
    Canceled,
    ChangeRefused,
    Filled,
    Foreign,
    Mismatch,
    Moment,
    OrderEvent,
    OrderKey,
    OrderState,
    Rejected,
    Taken,
)
from adapters.kis.order_state import KisOrder, Leg, is_about
from adapters.kis.ticks import SECOND, Seconds, seoul_day

STRAYS = 1_000
CLOCK_SKEW_NS = 10 * SECOND
"""A notice of a fill that the list already showed bears a time up to the list's, give or take the
difference of two clocks. Source: our own choice, 2026-11-20."""


class Ledger:
    """The orders of one account; ``account`` is its ten digits as notices write them."""

    def __init__(self, account: str, limits: Limits) -> None:
        self._account = account
        self._limits = limits
        self._orders: dict[str, KisOrder] = {}
        # those that are not at rest, so that a day of many orders costs no more than a few
        self._working: dict[str, KisOrder] = {}
        self._numbers: dict[tuple[str, str], KisOrder] = {}
        self._foreign: dict[tuple[str, str], int] = {}
        self._strays: deque[tuple[Notice, Moment]] = deque(maxlen=STRAYS)
        self._seconds = Seconds()
        # KIS's clock less ours, None before an order has shown it
        self._ahead_ns: int | None = None
        self._read_ns: int | None = None
        # the branches that replies to orders told, the latest last
        self._replied: dict[str, None] = {}

    # --- notices ---

    def on_notice(self, notice: Notice, at: Moment) -> list[BookEvent]:
        """Take an execution notice in; those of other accounts of the HTS id say nothing."""
        if notice.account and notice.account != self._account:
            return []
        order = self._find(notice, at)
        if order is None:
            self._strays.append((notice, at))
            if any(one.state in UNRESOLVED for one in self._working.values()):
                return []  # it may be the order whose reply is still to come
            return self._note_foreign(
                seoul_day(at.market_ns), notice.number, notice.branch, notice.code, at
            )
        self._working[order.order_id] = order
        if notice.kind is NoticeKind.FILL:
            return self._fill(order, notice, at)
        return self._receipt(order, notice, at)

    def _find(self, notice: Notice, at: Moment) -> KisOrder | None:
        day = seoul_day(at.market_ns)
        for number in (notice.number, notice.original):
            order = self._numbers.get((day, number))
            if order is not None and is_about(order, notice):
                return order
        return None

    def _fill(self, order: KisOrder, notice: Notice, at: Moment) -> list[BookEvent]:
        leg = order.legs.get(notice.number)
        if leg is None:
            events = self._add_leg(order, notice.number, Change.AMEND, notice.order_quantity)
            return events + self._fill(order, notice, at)
        if not leg.rests:
            events = self._amended(order, leg.number, notice.order_quantity, self._price(order), at)
            return events + self._fill(order, notice, at)
        leg.noticed_ns = at.wall_ns
        seen = (notice.time, notice.quantity, notice.price)
        time_ns = self._seconds.at(order.day, notice.time) - (self._ahead_ns or 0)
        is_late = time_ns <= leg.repaired_until_ns + CLOCK_SKEW_NS
        is_too_much = order.reported + notice.quantity > order.quantity
        if seen in leg.seen or is_late or is_too_much:
            order.doubt_ns = at.wall_ns  # a repetition, a late one, or truly new: the list knows
            return []
        leg.seen.add(seen)
        return self._tell_fill(
            order, leg, notice.quantity, notice.price, notice.time, repaired=False
        )

    @staticmethod
    def _price(order: KisOrder) -> int:
        """Return the price an order is being amended to, or has."""
        return order.price if order.change is None else order.change.price or order.price

    def _receipt(self, order: KisOrder, notice: Notice, at: Moment) -> list[BookEvent]:
        if notice.change is not Change.NEW:
            return self._change_receipt(order, notice, at)
        if notice.refused:
            return self._end_rejected(order, "the exchange refused the order")
        if notice.acceptance is Acceptance.REMAINDER:
            return self._cancel_seen(order, notice.quantity)
        return self._accept(order)

    def _change_receipt(self, order: KisOrder, notice: Notice, at: Moment) -> list[BookEvent]:
        if notice.refused:
            pending, order.change = order.change, None
            order.doubt_ns = at.wall_ns
            change = notice.change if pending is None else pending.change
            reason = "the exchange refused the change"
            return [ChangeRefused(order.order_id, change, reason)]
        events: list[BookEvent] = []
        if notice.number not in order.legs:
            events = self._add_leg(order, notice.number, notice.change, notice.quantity)
        if notice.acceptance is Acceptance.ACCEPTED:
            # whether a confirmation follows is not documented
            order.asked_for_ns = at.wall_ns
            return events
        order.asked_for_ns = None
        if notice.change is Change.AMEND:
            return events + self._amended(order, notice.number, notice.quantity, notice.price, at)
        order.rest_lists, order.is_partial = 0, False
        return events + self._cancel_seen(order, notice.quantity)

    # --- what follows ---

    def _add(self, order: KisOrder) -> None:
        self._orders[order.order_id] = self._working[order.order_id] = order

    def _lay_down(self, order: KisOrder) -> None:
        """Put an order to rest that has ended and of which nothing is open or unconfirmed."""
        if order.state in ENDED and order.is_at_rest:
            del self._working[order.order_id]

    def _name(self, order: KisOrder, branch: str, number: str) -> list[BookEvent]:
        was = order.state
        order.machine.on(OrderEvent.TAKEN)
        if number in order.legs:
            return []
        order.branch = branch
        order.absent_lists = 0
        early = self._add_leg(order, number, Change.NEW, order.spec.quantity)
        taken = Taken(order.order_id, OrderKey(order.day, branch, number))
        if was is OrderState.REJECTED:
            what = "an order that was given up is at KIS after all"
            return [Mismatch(order.order_id, what), taken, *early]
        return [taken, *early]

    def _add_leg(
        self, order: KisOrder, number: str, change: Change, quantity: int
    ) -> list[BookEvent]:
        """Add a number to an order's chain and read the notices that came before we knew it."""
        order.legs[number] = Leg(number, change, quantity, rests=change is Change.NEW)
        self._numbers[order.day, number] = order
        self._foreign.pop((order.day, number), None)
        early = [
            (notice, at)
            for notice, at in self._strays
            if notice.number == number
            and is_about(order, notice)
            and seoul_day(at.market_ns) == order.day  # KIS begins to number anew each day
        ]
        for each in early:
            self._strays.remove(each)
        events: list[BookEvent] = []
        for notice, at in early:
            events += self.on_notice(notice, at)
        return events

    def _accept(self, order: KisOrder) -> list[BookEvent]:
        news = order.state is OrderState.SENT
        if order.machine.takes(OrderEvent.ACCEPTED):
            order.machine.on(OrderEvent.ACCEPTED)
        return [Accepted(order.order_id, order.key)] if news else []

    def _end_rejected(self, order: KisOrder, reason: str) -> list[BookEvent]:
        news = order.state is not OrderState.REJECTED
        if not order.machine.takes(OrderEvent.REJECTED):
            return [Mismatch(order.order_id, f"refused after it was {order.state}")]
        order.machine.on(OrderEvent.REJECTED)
        return [Rejected(order.order_id, reason)] if news else []

    def _amended(
        self, order: KisOrder, number: str, quantity: int, price: int, at: Moment
    ) -> list[BookEvent]:
        """Take in that an amendment rests: earlier legs are over, their fills stay."""
        leg, pending = order.legs[number], order.change
        is_news = not leg.rests
        is_ours = pending is not None and is_news and pending.number in {"", number}
        if pending is not None and is_ours and not pending.quantity:
            order.floor = order.quantity
        leg.quantity, leg.rests = quantity or leg.quantity, True
        if number != order.number:
            return self._resize(order)  # a later amendment rests already
        if not is_news and (order.quantity, order.price) == (order.total, price):
            return []
        events = self._accept(order)
        if is_ours:
            order.change = None
        order.price = price
        order.doubt_ns = at.wall_ns  # a fill of the old number may be on its way
        events += self._resize(order, force=True)
        self._fill_up(order)
        return events

    @staticmethod
    def _fill_up(order: KisOrder) -> bool:
        """End an order whose shares have all been told as filled."""
        is_full = order.reported >= order.quantity and order.machine.takes(OrderEvent.FILLED_UP)
        if is_full:
            order.machine.on(OrderEvent.FILLED_UP)
        return is_full

    def _resize(self, order: KisOrder, *, force: bool = False) -> list[BookEvent]:
        """Tell the size of an amended order: a late fill of an old number makes it larger."""
        if order.quantity == order.total and not force:
            return []
        order.quantity = order.total
        return [Amended(order.order_id, order.key, order.quantity, order.price)]

    def _cancel_seen(self, order: KisOrder, quantity: int) -> list[BookEvent]:
        """End an order whose rest is cancelled, once fills and cancelled quantity add up."""
        if not order.machine.takes(OrderEvent.CANCEL_SEEN) or order.state in ENDED:
            return []
        events = self._accept(order)
        order.change = None
        order.canceled = quantity or order.quantity - order.reported
        adds_up = order.reported + order.canceled == order.quantity
        if not adds_up or order.doubt_ns is not None:
            order.machine.on(OrderEvent.CANCEL_SEEN)
            return events
        order.machine.on(OrderEvent.SETTLED)
        return [*events, Canceled(order.order_id, order.canceled)]

    def _tell_fill(
        self, order: KisOrder, leg: Leg, quantity: int, price: int, time: str, *, repaired: bool
    ) -> list[BookEvent]:
        had_ended = order.state in {OrderState.CANCELED, OrderState.REJECTED}
        events = self._accept(order)
        leg.reported += quantity
        leg.amount += quantity * price
        events += self._resize(order)
        order.fills += 1
        events.append(
            Filled(
                order_id=order.order_id,
                number=leg.number,
                ordinal=order.fills,
                trade_id=TradeId(f"{order.day}-{next(iter(order.legs))}-{order.fills}"),
                code=order.spec.code,
                side=order.spec.side,
                quantity=quantity,
                price=price,
                time=time,
                repaired=repaired,
            )
        )
        if had_ended:
            events.append(Mismatch(order.order_id, "a fill came after the order had ended"))
        if not self._fill_up(order) and order.state is OrderState.ENDING:
            events += self._cancel_seen(order, order.canceled)
        return events

    def _note_foreign(
        self, day: str, number: str, branch: str, code: str, at: Moment
    ) -> list[BookEvent]:
        if (day, number) in self._foreign or (day, number) in self._numbers:
            return []
        self._foreign[day, number] = at.wall_ns
        return [Foreign(number, branch, code)]
