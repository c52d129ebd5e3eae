"""The book of orders against a venue that loses, delays and repeats what it says."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from kis_order_samples import ACCOUNT, BRANCH, LIMITS, SPEC, at, clock, notice, row

from adapters.kis.market import Acceptance, Change
from adapters.kis.order_events import ENDED, Filled, Mismatch, OrderState
from adapters.kis.orders import OrderBook
from adapters.kis.replies import Placed


class ForgetfulVenue(RuleBasedStateMachine):
    """KIS with its own books; replies and notices are lost, late and repeated at will.

    After everything has been delivered and the list asked a few times, both books agree; and at
    no time has more been told than was filled.
    """

    def __init__(self):
        super().__init__()
        self.book = OrderBook(ACCOUNT, LIMITS)
        self.now = 0
        self.next_number = 10_000
        self.rows = {}
        self.root = {}
        self.ours = {}
        self.mail = []
        self.told = []
        self.events = []

    def note(self, events):
        self.events += events
        self.told += [one for one in events if isinstance(one, Filled)]

    def number(self):
        self.next_number += 1
        return f"{self.next_number:010d}"

    def post(self, message, fate):
        self.mail += {"lost": [], "sent": [message], "twice": [message, message]}[fate]

    fates = st.sampled_from(["sent", "sent", "lost", "twice"])

    @rule(price=st.sampled_from([50_100, 50_200]), fate=st.sampled_from(["ok", "lost", "absent"]))
    def place(self, price, fate):
        spec = replace(SPEC, price=price)
        if self.book.waits_for(spec) is not None:
            return
        order_id = f"O{len(self.ours)}"
        self.book.sending(order_id, spec, at(self.now))
        self.ours[order_id] = None
        if fate != "absent":
            number = self.number()
            self.rows[number] = row(number=number, price=price, time=clock(self.now))
            self.root[number] = order_id
            self.ours[order_id] = number
        if fate == "ok":
            self.note(self.book.taken(order_id, Placed(BRANCH, number, clock(self.now))))
        else:
            self.note(self.book.reply_lost(order_id))
        self.now += 1

    @rule()
    def place_by_hand(self):
        """An order of another price: nothing would tell an equal one from ours."""
        number = self.number()
        self.rows[number] = row(number=number, price=50_300, time=clock(self.now))

    def open_rows(self):
        return [one for one in self.rows.values() if one.remaining > 0]

    @precondition(lambda self: self.open_rows())
    @rule(pick=st.integers(0, 99), quantity=st.integers(1, 5), better=st.booleans(), fate=fates)
    def fill(self, pick, quantity, better, fate):
        open_rows = self.open_rows()
        one = open_rows[pick % len(open_rows)]
        quantity, price = min(quantity, one.remaining), one.price - 50 * better
        self.rows[one.number] = replace(
            one,
            filled=one.filled + quantity,
            remaining=one.remaining - quantity,
            amount=one.amount + quantity * price,
        )
        message = notice(
            quantity=quantity,
            price=price,
            seconds=self.now,
            number=one.number,
            original=one.original,
            order_quantity=one.quantity,
        )
        self.post(message, fate)

    @rule(pick=st.integers(0, 99), amend=st.booleans(), reply=st.sampled_from(["ok", "lost"]),
          arrives=st.booleans(), fate=fates, step=st.sampled_from([0, 50, 100]))  # fmt: skip
    def change(self, pick, amend, reply, arrives, fate, step):
        ready = [
            o
            for o in self.book._orders.values()
            if o.number and o.state not in ENDED and o.change is None
        ]
        if not ready:
            return
        order = ready[pick % len(ready)]
        one = self.rows[order.number]
        change = Change.AMEND if amend else Change.CANCEL
        price = one.price - step if amend else one.price
        self.book.changing(order.order_id, change, at(self.now), price=price)
        self.now += 1
        if arrives and not one.remaining:
            refused = self.book.change_refused(order.order_id, "nothing left", at(self.now))
            self.note(refused)
            return
        number = self.number()
        if arrives:
            self.carry_out(order, one, change, number, fate, price)
        if arrives and reply == "ok":
            placed = Placed(BRANCH, number, clock(self.now))
            self.note(self.book.change_taken(order.order_id, placed))
        else:
            self.note(self.book.change_lost(order.order_id))

    def carry_out(self, order, one, change, number, fate, price):
        rest = one.remaining
        child = replace(
            one, number=number, original=one.number, filled=0, amount=0, quantity=rest,
            time=clock(self.now), price=price, remaining=rest if change is Change.AMEND else 0,
        )  # fmt: skip
        gone = 0 if change is Change.AMEND else rest
        self.rows[one.number] = replace(one, remaining=0, canceled_quantity=gone)
        if change is Change.CANCEL:
            child = replace(child, type_words="취소")
        self.rows[number] = child
        self.root[number] = order.order_id
        message = notice(
            "receipt", quantity=rest, price=price, seconds=self.now, number=number,
            original=one.number, change=change, order_quantity=rest,
        )  # fmt: skip
        self.post(replace(message, acceptance=Acceptance.ACCEPTED), fate)
        self.post(message, fate)

    @rule(place=st.integers(0, 99), step=st.integers(0, 3))
    def deliver(self, place, step):
        self.now += step
        if self.mail:
            message = self.mail.pop(place % len(self.mail))
            self.note(self.book.on_notice(message, at(self.now)))

    @rule(complete=st.booleans(), gap=st.integers(0, 2))
    def ask(self, complete, gap):
        asked = at(self.now)
        self.now += gap
        rows = list(self.rows.values())
        rows = rows if complete else rows[: len(rows) // 2]
        self.note(self.book.on_list(rows, asked, at(self.now), complete=complete))
        self.now += 1

    def filled(self, order_id):
        rows = [self.rows[number] for number, owner in self.root.items() if owner == order_id]
        return sum(one.filled for one in rows), sum(one.amount for one in rows)

    @invariant()
    def never_more_than_was_filled(self):
        for order_id in self.ours:
            told = sum(one.quantity for one in self.told if one.order_id == order_id)
            assert told <= self.filled(order_id)[0]

    @invariant()
    def every_fill_has_its_own_id(self):
        ids = [one.trade_id.value for one in self.told]
        assert len(ids) == len(set(ids))

    def teardown(self):
        while self.mail:
            self.deliver(0, 0)
        for _ in range(6):
            self.now += 15
            self.ask(complete=True, gap=0)
        assert not self.book.needs_list
        for order_id, number in self.ours.items():
            order = self.book.order(order_id)
            told = [one for one in self.told if one.order_id == order_id]
            amount = sum(one.quantity * one.price for one in told)
            assert (sum(one.quantity for one in told), amount) == self.filled(order_id)
            rests = any(
                self.rows[one].remaining for one, owner in self.root.items() if owner == order_id
            )
            if number is None:
                assert order.state is OrderState.REJECTED
            else:
                assert (order.state not in ENDED) == rests, order
                assert order.quantity >= order.reported
                assert order.state in ENDED or order.price == self.rows[order.number].price
        assert not any(isinstance(one, Mismatch) for one in self.events)


ForgetfulVenue.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestForgetfulVenue = ForgetfulVenue.TestCase
