"""The book of our orders at KIS: replies, notices and the order list in, what happened out.

Rule: nothing is guessed twice. What may be a duplicate or a lost notice is not told until the
order list settles it; a lost reply leaves an order unknown; the cumulative quantity of the list is
the truth, so that what was told adds up to it, fill by fill and won by won.
"""

from collections.abc import Sequence

from nautilus_trader.model import OrderSide

from adapters.kis.errors import IllegalTransition
from adapters.kis.machine import Machine
from adapters.kis.market import Change
from adapters.kis.order_events import (
    ENDED,
    NEVER_ARRIVED,
    ORDER,
    UNRESOLVED,
    BookEvent,
    ChangeRefused,
    Confirmed,
    Filled,
    Mismatch,
    Moment,
    OrderEvent,
    OrderKey,
    OrderSpec,
    OrderState,
    Rejected,
    Unknown,
)
from adapters.kis.order_ledger import Ledger
from adapters.kis.order_state import (
    KisOrder,
    Leg,
    PendingChange,
    could_be,
    is_cancel,
    seoul_time,
)
from adapters.kis.replies import OrderRow, Placed
from adapters.kis.ticks import SECOND, seoul_day


class OrderBook(Ledger):
    """Keeps the orders of one account; ``account`` is its ten digits as notices write them."""

    # --- asked ---

    def order(self, order_id: str) -> KisOrder:
        """Return an order. Raises KeyError."""
        return self._orders[order_id]

    def find(self, order_id: str) -> KisOrder | None:
        """Return an order, None for one that was never sent."""
        return self._orders.get(order_id)

    def waits_for(self, spec: OrderSpec) -> str | None:
        """Return the unresolved equal order that a new one must wait for, None to go on."""
        for order in self._working.values():
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

    def owner(self, row: OrderRow) -> KisOrder | None:
        """Return the order placed here that a listed row is of, None for foreign ones."""
        return self._own(row)

    @property
    def live(self) -> tuple[KisOrder, ...]:
        """Return the orders that may still fill."""
        return tuple(order for order in self._working.values() if order.state not in ENDED)

    @property
    def reserved_krw(self) -> int:
        """Return what live buys with a price may still cost, fees aside."""
        return sum(
            (order.quantity - order.reported) * order.price
            for order in self.live
            if order.spec.side is OrderSide.BUY
        )

    @property
    def first_day(self) -> str | None:
        """Return the earliest day of which a list can still say something, None for none."""
        open_questions = (
            order.day
            for order in self._working.values()
            if order.state not in ENDED or order.doubt_ns is not None
        )
        return min(open_questions, default=None)

    @property
    def needs_list(self) -> bool:
        """Tell whether the order list is to be asked now rather than by the timer."""
        return any(
            order.doubt_ns is not None
            or order.asked_for_ns is not None
            or order.state is OrderState.UNKNOWN
            or (order.state is OrderState.ENDING and not order.is_partial)
            or (order.change is not None and order.change.lost and order.state not in ENDED)
            for order in self._working.values()
        )

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """Return the orders whose fills the order list has not confirmed."""
        return tuple(
            order.order_id
            for order in self._working.values()
            if any(leg.reported != max(leg.listed, 0) for leg in order.legs.values())
        )

    # --- our requests and their replies ---

    def sending(self, order_id: str, spec: OrderSpec, sent: Moment) -> None:
        """Note an order before it is sent. Raises IllegalTransition while an equal is open."""
        if order_id in self._orders or self.waits_for(spec) is not None:
            raise IllegalTransition(f"{order_id} must not be sent: an equal order is unresolved.")
        self._add(
            KisOrder(
                order_id=order_id,
                spec=spec,
                day=seoul_day(sent.market_ns),
                sent=sent,
                machine=Machine(ORDER, OrderState.SENDING),
                quantity=spec.quantity,
                price=spec.price,
            )
        )

    def taken(self, order_id: str, placed: Placed) -> list[BookEvent]:
        """Take in the number KIS gave an order; notices that came before it are read now."""
        order = self._orders[order_id]
        self._set_clock(order, placed.time)
        if placed.branch:
            self._replied.pop(placed.branch, None)
            self._replied[placed.branch] = None
        return self._name(order, placed.branch, placed.number)

    def branch_of(self, order: KisOrder) -> str:
        """Return the branch that a change of an order must name: one that a reply has told.

        An order whose reply was lost has the branch of the list, which may be another's name.
        """
        if not self._replied or order.branch in self._replied:
            return order.branch
        return next(reversed(self._replied))

    def _set_clock(self, order: KisOrder, time: str) -> None:
        """Note how far KIS's clock is ahead of ours: the least seen, as sending takes time."""
        try:
            ahead_ns = self._seconds.at(order.day, time) - _second_of(order.sent)
        except ValueError:
            return  # the answer names no time
        self._ahead_ns = ahead_ns if self._ahead_ns is None else min(self._ahead_ns, ahead_ns)

    def refused(self, order_id: str, reason: str) -> list[BookEvent]:
        """Take in that KIS refused an order."""
        self._orders[order_id].machine.on(OrderEvent.REFUSED)
        return [Rejected(order_id, reason)]

    def reply_lost(self, order_id: str, at: Moment | None = None) -> list[BookEvent]:
        """Take in that no reply to an order came (or none that says what happened).

        Absence from the list proves nothing until a while after ``at``, the sending if None.
        """
        order = self._orders[order_id]
        if order.state not in UNRESOLVED:
            return []
        order.machine.on(OrderEvent.REPLY_LOST)
        order.lost_ns = (at or order.sent).wall_ns
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

    def change_recalled(self, order_id: str) -> None:
        """Take in that a change was taken back before it was sent."""
        self._orders[order_id].change = None

    def change_lost(self, order_id: str, at: Moment | None = None) -> list[BookEvent]:
        """Take in that no reply to a change came; ``at`` as in ``reply_lost``."""
        order = self._orders[order_id]
        if order.change is None or order.change.number:
            return []
        order.change.lost = True
        order.change.since_ns = (at or order.change.sent).wall_ns
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
            lost_ns=sent.wall_ns,
        )
        self._add(order)
        for key in chain:
            told = [fill for fill in fills if fill.number == key.number]
            leg = Leg(key.number, Change.AMEND if order.legs else Change.NEW, spec.quantity)
            leg.reported = sum(fill.quantity for fill in told)
            leg.amount = sum(fill.quantity * fill.price for fill in told)
            leg.seen = {(one.time, one.quantity, one.price) for one in told if not one.repaired}
            order.legs[key.number] = leg
            order.doubt_ns = sent.wall_ns
            self._numbers[key.day, key.number] = order

    # --- the order list ---

    def on_list(
        self,
        rows: Sequence[OrderRow],
        asked: Moment,
        answered: Moment,
        *,
        complete: bool,
        closed_ns: int = 0,
    ) -> list[BookEvent]:
        """Take in the order list of the day: first page asked, last page answered.

        ``complete`` is False where pages are missing: then absence proves nothing. What was sent
        before ``closed_ns`` (market time, the end of a session) rests no more.
        """
        events: list[BookEvent] = []
        # pages can overlap when orders come in between: the later row counts
        rows = list({(row.day, row.number): row for row in rows}.values())
        for row in rows:
            events += self._claim_child(row, asked)
        for order in tuple(self._working.values()):
            if order.state is OrderState.UNKNOWN:
                events += self._match(order, rows, asked, complete=complete)
        events += self._match_given_up(rows)
        for row in rows:
            owner = self._own(row)
            if owner is not None and self._is_news(owner, row):
                leg = owner.legs[row.number]
                if leg.change is Change.AMEND and row.filled > 0:
                    events += self._amended(owner, row.number, row.quantity, row.price, asked)
                events += self._read_fills(owner, leg, row, asked, answered)
        if complete:
            self._forget_doubts(asked.wall_ns)
        for row in rows:
            events += self._read_state(row, asked)
        numbers = {(row.day, row.number) for row in rows}
        for order in tuple(self._working.values()):
            is_listed = order.change is not None and (order.day, order.change.number) in numbers
            events += self._settle_change(order, asked, is_absent=complete and not is_listed)
            if order.state is OrderState.ENDING:
                events += self._cancel_seen(order, order.canceled)
            if complete:
                events += self._end_with_session(order, asked, closed_ns)
                self._lay_down(order)
        if complete and self._read_ns is None:
            self._read_ns = asked.wall_ns
        return events

    def _is_news(self, order: KisOrder, row: OrderRow) -> bool:
        """Tell whether a row must be read: those of orders at rest only where they differ."""
        if order.order_id in self._working:
            return True
        if row.filled == order.legs[row.number].reported and not row.remaining:
            return False
        self._working[order.order_id] = order
        return True

    def _end_with_session(self, order: KisOrder, asked: Moment, closed_ns: int) -> list[BookEvent]:
        """End what outlived its session: KIS tells nobody, and may list it as open for ever."""
        is_old = order.sent.market_ns < closed_ns or order.day < seoul_day(asked.market_ns)
        if not is_old or order.state in ENDED | UNRESOLVED or order.doubt_ns is not None:
            return []
        order.over_lists += 1
        if order.over_lists < self._limits.unknown_lists:
            return []
        return self._cancel_seen(order, 0)

    def _forget_doubts(self, asked_ns: int) -> None:
        """End the doubts that a list asked later has settled."""
        for order in self._working.values():
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
            is_working = order.order_id in self._working
            return self._read_own_row(order, row, asked) if is_working else []
        in_flight = (one for one in self._working.values() if one.state in UNRESOLVED)
        if any(could_be(one, row) for one in in_flight):
            return []  # its reply may still come, or be lost
        return self._note_foreign(row.day, row.number, row.branch, row.code, asked)

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
        self._working[parent.order_id] = parent
        events = self._add_leg(parent, row.number, change, row.quantity)
        if change is Change.AMEND:
            events += self._amended(parent, row.number, row.quantity, row.price, asked)
        return events

    def _match(
        self, order: KisOrder, rows: Sequence[OrderRow], asked: Moment, *, complete: bool
    ) -> list[BookEvent]:
        """Look for the row of an order whose reply was lost, by all that is known of it."""
        fitting = sorted(
            (abs(distance := self._after_sending(order, row)), row.number, distance, row)
            for row in rows
            if (row.day, row.number) not in self._numbers
            and (row.day, row.number) not in self._foreign
            and could_be(order, row)
        )
        candidates = [one for one in fitting if one[2] >= -self._limits.match_window_ns]
        what = f"{len(candidates)} orders like it are listed; the nearest was taken"
        if not candidates and self._ahead_ns is None and self._is_newly_listed(order):
            candidates = fitting[:1]
            what = "an order like it is new in the list at another time: set this machine's clock"
        if candidates:
            *_, distance, row = candidates[0]
            self._set_clock(order, row.time)
            events = self._name(order, row.branch, row.number)
            if len(candidates) > 1 or distance < -self._limits.match_window_ns:
                events.append(Mismatch(order.order_id, what))
            return events
        settled = asked.wall_ns >= order.lost_ns + self._limits.unknown_absent_ns
        order.absent_lists += complete and settled
        if order.absent_lists < self._limits.unknown_lists:
            return []
        order.machine.on(OrderEvent.ABSENT)
        order.given_up = True
        return [Rejected(order.order_id, "KIS does not list the order: it was never placed")]

    def _is_newly_listed(self, order: KisOrder) -> bool:
        """Tell whether a row that is not foreign came after an order was sent: a list was read
        whole before it."""
        return self._read_ns is not None and self._read_ns < order.sent.wall_ns

    def _match_given_up(self, rows: Sequence[OrderRow]) -> list[BookEvent]:
        """Look for orders that were given up and are listed after all, near their sending."""
        events: list[BookEvent] = []
        in_flight = [one for one in self._working.values() if one.state in UNRESOLVED]
        for order in self._working.values():
            if not order.given_up:
                continue
            for row in rows:
                is_free = (row.day, row.number) not in self._numbers and not any(
                    could_be(one, row) for one in in_flight
                )
                # an order that was foreign before ours was lost is not ours
                is_known = self._foreign.get((row.day, row.number), order.lost_ns) < order.lost_ns
                if not is_free or is_known or not could_be(order, row):
                    continue
                if abs(self._after_sending(order, row)) <= self._limits.match_window_ns:
                    order.given_up = False
                    events += self._name(order, row.branch, row.number)
                    break
        return events

    def _after_sending(self, order: KisOrder, row: OrderRow) -> int:
        """Return how long after our sending KIS took an order, by its own clock made ours."""
        return self._seconds.at(row.day, row.time) - _second_of(order.sent) - (self._ahead_ns or 0)

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
        if row.number == order.number:
            is_resting = order.state is OrderState.ENDING and row.remaining > 0
            order.rest_lists = order.rest_lists + 1 if is_resting else 0
            order.is_partial = order.rest_lists >= self._limits.unknown_lists
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
            missing_krw = _won_of(row) - leg.amount
            if missing_krw < row.filled - leg.reported:
                return self._note_unpaid(order, leg, row, asked)
            events = self._repair(order, leg, row, missing_krw, answered)
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

    def _note_unpaid(
        self, order: KisOrder, leg: Leg, row: OrderRow, asked: Moment
    ) -> list[BookEvent]:
        """Ask again where the list names shares and not what they cost: none trades for nothing."""
        order.doubt_ns = asked.wall_ns
        leg.short_lists += 1
        if leg.short_lists != self._limits.unknown_lists:
            return []
        what = f"KIS lists {row.filled} shares of {leg.number} as filled and not for how much"
        return [Mismatch(order.order_id, what)]

    def _repair(
        self, order: KisOrder, leg: Leg, row: OrderRow, missing_krw: int, answered: Moment
    ) -> list[BookEvent]:
        """Tell the fills whose notices are missing: as many shares and won as the list says."""
        missing = row.filled - leg.reported
        price, odd = divmod(missing_krw, missing)
        time = seoul_time(answered.market_ns)
        events: list[BookEvent] = []
        for quantity, at_price in ((missing - odd, price), (odd, price + 1)):
            if quantity:
                events += self._tell_fill(order, leg, quantity, at_price, time, repaired=True)
        leg.repaired_until_ns = answered.market_ns
        return events

    def _settle_change(self, order: KisOrder, asked: Moment, *, is_absent: bool) -> list[BookEvent]:
        """Give a change up that KIS does not list, whether it was lost or got a number."""
        pending = order.change
        if pending is None or not (pending.lost or pending.number):
            return []
        if order.state in ENDED:
            order.change = None
            return []
        since_ns = max(pending.since_ns, pending.sent.wall_ns)
        settled = asked.wall_ns >= since_ns + self._limits.unknown_absent_ns
        pending.absent_lists += is_absent and settled
        if pending.absent_lists < self._limits.unknown_lists:
            return []
        order.change = None
        return [ChangeRefused(order.order_id, pending.change, NEVER_ARRIVED)]


def _won_of(row: OrderRow) -> int:
    """Return the won of all fills of a row."""
    return row.amount or int(row.average * row.filled)


def _second_of(moment: Moment) -> int:
    """Return the whole second of a market time, in nanoseconds: KIS's times have no more."""
    return moment.market_ns // SECOND * SECOND
