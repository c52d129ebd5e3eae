"""The book of our orders at KIS: replies, notices and the order list in, what happened out.

Rule: nothing is guessed twice. What may be a duplicate or a lost notice is not told until the
order list settles it; a lost reply leaves an order unknown; the cumulative quantity of the list is
the truth, so that what was told adds up to it, fill by fill and won by won.
"""

from collections import deque
from collections.abc import Sequence

from nautilus_trader.model import TradeId

from adapters.kis.errors import IllegalTransition
from adapters.kis.limits import Limits
from adapters.kis.machine import Machine
from adapters.kis.market import Acceptance, Change, Notice, NoticeKind
from adapters.kis.order_events import (
    ENDED,
    ORDER,
    UNRESOLVED,
    Accepted,
    Amended,
    BookEvent,
    Canceled,
    ChangeRefused,
    Confirmed,
    Filled,
    Foreign,
    Mismatch,
    Moment,
    OrderEvent,
    OrderKey,
    OrderSpec,
    OrderState,
    Rejected,
    Taken,
    Unknown,
)
from adapters.kis.order_state import (
    KisOrder,
    Leg,
    PendingChange,
    could_be,
    is_about,
    is_cancel,
    seoul_time,
)
from adapters.kis.replies import OrderRow, Placed
from adapters.kis.ticks import SECOND, Seconds, seoul_day

STRAYS = 1_000
CLOCK_SKEW_NS = 10 * SECOND
"""A notice of a fill that the list already showed bears a time up to the list's, give or take the
difference of two clocks. Source: our own choice, 2026-11-20."""


class OrderBook:
    """Keeps the orders of one account; ``account`` is its ten digits as notices write them."""

    def __init__(self, account: str, limits: Limits) -> None:
        self._account = account
        self._limits = limits
        self._orders: dict[str, KisOrder] = {}
        self._numbers: dict[tuple[str, str], KisOrder] = {}
        self._foreign: set[tuple[str, str]] = set()
        self._strays: deque[Notice] = deque(maxlen=STRAYS)
        self._seconds = Seconds()

    # --- asked ---

    def order(self, order_id: str) -> KisOrder:
        """Return an order. Raises KeyError."""
        return self._orders[order_id]

    def waits_for(self, spec: OrderSpec) -> str | None:
        """Return the unresolved equal order that a new one must wait for, None to go on."""
        for order in self._orders.values():
            one = order.spec
            equal = (one.code, one.side, one.quantity, one.price) == (
                spec.code,
                spec.side,
                spec.quantity,
                spec.price,
            )
            if equal and order.state in UNRESOLVED:
                return order.order_id
        return None

    @property
    def needs_list(self) -> bool:
        """Tell whether the order list is to be asked now rather than by the timer."""
        return any(
            order.doubt_ns is not None
            or order.asked_for_ns is not None
            or order.state in {OrderState.UNKNOWN, OrderState.ENDING}
            or (order.change is not None and order.change.lost and order.state not in ENDED)
            for order in self._orders.values()
        )

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """Return the orders whose fills the order list has not confirmed."""
        return tuple(
            order.order_id
            for order in self._orders.values()
            if any(leg.reported != max(leg.listed, 0) for leg in order.legs.values())
        )

    @property
    def orders_live(self) -> bool:
        """Tell whether any order may still fill."""
        return any(order.state not in ENDED for order in self._orders.values())

    # --- our requests and their replies ---

    def sending(self, order_id: str, spec: OrderSpec, sent: Moment) -> None:
        """Note an order before it is sent. Raises IllegalTransition while an equal is open."""
        if order_id in self._orders or self.waits_for(spec) is not None:
            raise IllegalTransition(f"{order_id} must not be sent: an equal order is unresolved.")
        self._orders[order_id] = KisOrder(
            order_id=order_id,
            spec=spec,
            day=seoul_day(sent.market_ns),
            sent=sent,
            machine=Machine(ORDER, OrderState.SENDING),
            quantity=spec.quantity,
            price=spec.price,
        )

    def taken(self, order_id: str, placed: Placed) -> list[BookEvent]:
        """Take in the number KIS gave an order; notices that came before it are read now."""
        order = self._orders[order_id]
        return self._name(order, placed.branch, placed.number)

    def refused(self, order_id: str, reason: str) -> list[BookEvent]:
        """Take in that KIS refused an order."""
        self._orders[order_id].machine.on(OrderEvent.REFUSED)
        return [Rejected(order_id, reason)]

    def reply_lost(self, order_id: str) -> list[BookEvent]:
        """Take in that no reply to an order came (or none that says what happened)."""
        order = self._orders[order_id]
        if order.state not in UNRESOLVED:
            return []
        order.machine.on(OrderEvent.REPLY_LOST)
        return [Unknown(order_id)]

    def changing(
        self, order_id: str, change: Change, sent: Moment, quantity: int = 0, price: int = 0
    ) -> OrderKey:
        """Note an amendment or cancel before it is sent; returns the number it must name.

        Raises IllegalTransition where the order has no number yet, has ended, or has a change
        under way.
        """
        order = self._orders[order_id]
        if not order.number or order.state in ENDED or order.change is not None:
            raise IllegalTransition(f"{order_id} cannot be changed now: it is {order.state}.")
        order.change = PendingChange(change, quantity, price, sent)
        return order.key

    def change_taken(self, order_id: str, placed: Placed) -> list[BookEvent]:
        """Take in the number of a change; the exchange has not carried it out yet."""
        order = self._orders[order_id]
        if order.change is None:
            return []
        order.change.number = placed.number
        order.change.lost = False
        return self._add_leg(order, placed.number, order.change.change, order.change.quantity)

    def change_refused(self, order_id: str, reason: str, at: Moment) -> list[BookEvent]:
        """Take in that KIS refused a change."""
        order = self._orders[order_id]
        pending, order.change = order.change, None
        # "nothing left to change" often means a fill or cancel we have not heard of
        order.doubt_ns = at.wall_ns
        return [] if pending is None else [ChangeRefused(order_id, pending.change, reason)]

    def change_lost(self, order_id: str) -> list[BookEvent]:
        """Take in that no reply to a change came."""
        order = self._orders[order_id]
        if order.change is None or order.change.number:
            return []
        order.change.lost = True
        return [Unknown(order_id)]

    def adopt(
        self,
        order_id: str,
        spec: OrderSpec,
        chain: Sequence[OrderKey],
        sent: Moment,
        fills: Sequence[Filled],
    ) -> None:
        """Put back an order of the journal after a restart.

        ``chain`` are the keys it got, the amendments' after its own; an order without any was
        being sent and is unknown. ``fills`` are those already told.
        """
        order = KisOrder(
            order_id=order_id,
            spec=spec,
            day=chain[0].day if chain else seoul_day(sent.market_ns),
            sent=sent,
            machine=Machine(ORDER, OrderState.SENT if chain else OrderState.UNKNOWN),
            quantity=spec.quantity,
            price=spec.price,
            branch=chain[0].branch if chain else "",
            fills=len(fills),
        )
        self._orders[order_id] = order
        for key in chain:
            told = [fill for fill in fills if fill.number == key.number]
            leg = Leg(key.number, Change.AMEND if order.legs else Change.NEW, spec.quantity)
            leg.reported = sum(fill.quantity for fill in told)
            leg.amount = sum(fill.quantity * fill.price for fill in told)
            leg.seen = {(one.time, one.quantity, one.price) for one in told if not one.repaired}
            order.legs[key.number] = leg
            order.doubt_ns = sent.wall_ns
            self._numbers[key.day, key.number] = order

    # --- notices ---

    def on_notice(self, notice: Notice, at: Moment) -> list[BookEvent]:
        """Take an execution notice in; those of other accounts of the HTS id say nothing."""
        if notice.account and notice.account != self._account:
            return []
        order = self._find(notice, at)
        if order is None:
            self._strays.append(notice)
            if any(one.state in UNRESOLVED for one in self._orders.values()):
                return []  # it may be the order whose reply is still to come
            return self._note_foreign(
                seoul_day(at.market_ns), notice.number, notice.branch, notice.code
            )
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
        time_ns = self._seconds.at(order.day, notice.time)
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
        return events + self._cancel_seen(order, notice.quantity)

    # --- the order list ---

    def on_list(
        self, rows: Sequence[OrderRow], asked: Moment, answered: Moment, *, complete: bool
    ) -> list[BookEvent]:
        """Take in the order list of the day: first page asked, last page answered.

        ``complete`` is False where pages are missing: then absence proves nothing.
        """
        events: list[BookEvent] = []
        # pages can overlap when orders come in between: the later row counts
        rows = list({(row.day, row.number): row for row in rows}.values())
        for row in rows:
            events += self._claim_child(row, asked)
        for order in self._orders.values():
            if order.state is OrderState.UNKNOWN:
                events += self._match(order, rows, asked, complete=complete)
        for row in rows:
            owner = self._own(row)
            if owner is not None:
                leg = owner.legs[row.number]
                events += self._read_fills(owner, leg, row, asked, answered)
        if complete:
            self._forget_doubts(asked.wall_ns)
        for row in rows:
            events += self._read_state(row, asked)
        for order in self._orders.values():
            events += self._settle_change(order, asked, complete=complete)
            if order.state is OrderState.ENDING:
                events += self._cancel_seen(order, order.canceled)
        return events

    def _forget_doubts(self, asked_ns: int) -> None:
        """End the doubts that a list asked later has settled."""
        for order in self._orders.values():
            if order.doubt_ns is not None and asked_ns > order.doubt_ns:
                order.doubt_ns = None
            if order.asked_for_ns is not None and asked_ns > order.asked_for_ns:
                order.asked_for_ns = None

    def _own(self, row: OrderRow) -> KisOrder | None:
        order = self._numbers.get((row.day, row.number))
        if order is None or (order.spec.code, order.spec.side) != (row.code, row.side):
            return None
        return order

    def _read_state(self, row: OrderRow, asked: Moment) -> list[BookEvent]:
        order = self._own(row)
        if order is not None:
            return self._read_own_row(order, row, asked)
        in_flight = (one for one in self._orders.values() if one.state in UNRESOLVED)
        if any(could_be(one, row) for one in in_flight):
            return []  # its reply may still come, or be lost
        return self._note_foreign(row.day, row.number, row.branch, row.code)

    def _claim_child(self, row: OrderRow, asked: Moment) -> list[BookEvent]:
        """Attach the row of an amendment or cancel to the order it names."""
        parent = self._numbers.get((row.day, row.original)) if row.original else None
        if parent is None or (row.day, row.number) in self._numbers:
            return []
        pending = parent.change
        if pending is not None and not pending.number:
            change, pending.number, pending.lost = pending.change, row.number, False
        else:
            change = Change.CANCEL if is_cancel(row) else Change.AMEND
        events = self._add_leg(parent, row.number, change, row.quantity)
        if change is Change.AMEND:
            events += self._amended(parent, row.number, row.quantity, row.price, asked)
        return events

    def _match(
        self, order: KisOrder, rows: Sequence[OrderRow], asked: Moment, *, complete: bool
    ) -> list[BookEvent]:
        """Look for the row of an order whose reply was lost, by all that is known of it."""
        candidates = sorted(
            (abs(distance), row.number, row)
            for row in rows
            if (row.day, row.number) not in self._numbers
            and (row.day, row.number) not in self._foreign
            and could_be(order, row)
            and (distance := self._after_sending(order, row)) >= -self._limits.match_window_ns
        )
        if candidates:
            row = candidates[0][2]
            events = self._name(order, row.branch, row.number)
            if len(candidates) > 1:
                what = f"{len(candidates)} orders like it are listed; {row.number} was taken"
                events.append(Mismatch(order.order_id, what))
            return events
        settled = asked.wall_ns >= order.sent.wall_ns + self._limits.unknown_absent_ns
        order.absent_lists += complete and settled
        if order.absent_lists < self._limits.unknown_lists:
            return []
        order.machine.on(OrderEvent.ABSENT)
        return [Rejected(order.order_id, "KIS does not list the order: it was never placed")]

    def _after_sending(self, order: KisOrder, row: OrderRow) -> int:
        return self._seconds.at(row.day, row.time) - order.sent.market_ns // SECOND * SECOND

    def _read_own_row(self, order: KisOrder, row: OrderRow, asked: Moment) -> list[BookEvent]:
        leg = order.legs[row.number]
        is_refused = row.refused_quantity >= row.quantity > 0
        if leg.change is not Change.NEW and is_refused:
            return self._change_ended(order, row.number, "the exchange refused the change")
        if leg.change is Change.CANCEL:
            return []
        if is_refused:
            return self._end_rejected(order, "the exchange refused the order")
        events: list[BookEvent] = []
        if leg.change is Change.AMEND:
            events += self._amended(order, row.number, row.quantity, row.price, asked)
        if row.remaining > 0 or row.filled > 0:
            events += self._accept(order)
        gone = row.quantity - row.filled
        is_amending = order.change is not None and order.change.change is Change.AMEND
        is_done = row.remaining == 0 < gone and row.number == order.number and not is_amending
        if is_done and (row.canceled or row.canceled_quantity >= gone):
            events += self._cancel_seen(order, gone)
        return events

    def _change_ended(self, order: KisOrder, number: str, reason: str) -> list[BookEvent]:
        pending = order.change
        if pending is None or pending.number != number:
            return []
        order.change = None
        return [ChangeRefused(order.order_id, pending.change, reason)]

    def _read_fills(
        self, order: KisOrder, leg: Leg, row: OrderRow, asked: Moment, answered: Moment
    ) -> list[BookEvent]:
        if row.filled > leg.reported:
            events = self._repair(order, leg, row, answered)
            leg.listed = row.filled
            return [*events, Confirmed(order.order_id, leg.number, row.filled)]
        if leg.noticed_ns >= asked.wall_ns:
            return []  # a notice overtook the question: the next list counts
        if row.filled == leg.reported:
            news = row.filled > max(leg.listed, 0)
            leg.listed, leg.short_lists = row.filled, 0
            return [Confirmed(order.order_id, leg.number, row.filled)] if news else []
        leg.short_lists += 1
        if leg.short_lists != self._limits.unknown_lists:
            return []
        what = f"{leg.reported} shares of {leg.number} were told, KIS lists {row.filled}"
        return [Mismatch(order.order_id, what)]

    def _repair(
        self, order: KisOrder, leg: Leg, row: OrderRow, answered: Moment
    ) -> list[BookEvent]:
        """Tell the fills whose notices are missing: as many shares and won as the list says."""
        missing = row.filled - leg.reported
        amount = row.amount or int(row.average * row.filled)
        price, odd = divmod(max(amount - leg.amount, 0), missing)
        time = seoul_time(answered.market_ns)
        events: list[BookEvent] = []
        for quantity, at_price in ((missing - odd, price), (odd, price + 1)):
            if quantity:
                events += self._tell_fill(order, leg, quantity, at_price, time, repaired=True)
        leg.repaired_until_ns = answered.market_ns
        return events

    def _settle_change(self, order: KisOrder, asked: Moment, *, complete: bool) -> list[BookEvent]:
        pending = order.change
        if pending is None or not pending.lost:
            return []
        if order.state in ENDED:
            order.change = None
            return []
        settled = asked.wall_ns >= pending.sent.wall_ns + self._limits.unknown_absent_ns
        pending.absent_lists += complete and settled
        if pending.absent_lists < self._limits.unknown_lists:
            return []
        order.change = None
        reason = "KIS does not list the change: it never arrived"
        return [ChangeRefused(order.order_id, pending.change, reason)]

    # --- what follows ---

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
        self._foreign.discard((order.day, number))
        early = [one for one in self._strays if one.number == number and is_about(order, one)]
        for notice in early:
            self._strays.remove(notice)
        events: list[BookEvent] = []
        for notice in early:
            events += self.on_notice(notice, order.sent)
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
        leg = order.legs[number]
        leg.quantity, leg.rests = quantity or leg.quantity, True
        if (order.quantity, order.price) == (order.total, price) and order.change is None:
            return []
        order.price, order.change = price, None
        order.doubt_ns = at.wall_ns  # a fill of the old number may be on its way
        return self._resize(order, force=True)

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
        if order.reported >= order.quantity and order.machine.takes(OrderEvent.FILLED_UP):
            order.machine.on(OrderEvent.FILLED_UP)
        elif order.state is OrderState.ENDING:
            events += self._cancel_seen(order, order.canceled)
        return events

    def _note_foreign(self, day: str, number: str, branch: str, code: str) -> list[BookEvent]:
        if (day, number) in self._foreign or (day, number) in self._numbers:
            return []
        self._foreign.add((day, number))
        return [Foreign(number, branch, code)]
