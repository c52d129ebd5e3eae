"""Slots follow answers: against a server that loses, delays and refuses, never over the limit."""

from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from adapters.kis.errors import IllegalTransition
from adapters.kis.frames import Ack, Control
from adapters.kis.limits import Servers, limits_for
from adapters.kis.machine import Machine
from adapters.kis.registrations import (
    SLOTS,
    Acked,
    Registrations,
    Send,
    SlotEvent,
    SlotState,
    Stream,
)

MS, SECOND = 1_000_000, 1_000_000_000
LIMITS = limits_for(Servers.REAL)
NOTICE = Stream("H0STCNI0", "simuser1")
CODES = {ack: code for code, ack in [
    ("OPSP0000", Ack.REGISTERED), ("OPSP0001", Ack.UNREGISTERED), ("OPSP0002", Ack.ALREADY),
    ("OPSP0003", Ack.NOT_FOUND), ("OPSP0007", Ack.LATER), ("OPSP0008", Ack.FULL),
    ("OPSP8992", Ack.REFUSED),
]}  # fmt: skip


def stream(number):
    return Stream("H0STCNT0", f"{number:06d}")


def answer(one, ack):
    return Control(ack, one.tr_id, one.key, CODES[ack], "words")


def opened(limits=LIMITS):
    registrations = Registrations(limits)
    registrations.connected()
    registrations.market(is_open=True)
    return registrations


def test_what_no_slot_is_left_for_is_known_at_once_and_by_rank():
    registrations = Registrations(replace(LIMITS, registrations=3))
    for number in (1, 2, 3):
        registrations.want(stream(number), number)
    assert registrations.beyond == ()
    registrations.want(stream(4), 0)
    assert registrations.beyond == (stream(3),)
    registrations.want(NOTICE, 9)
    assert registrations.beyond == (stream(2), stream(3))
    registrations.unwant(stream(4))
    registrations.unwant(stream(1))
    assert registrations.beyond == ()


def sends(registrations, now=0, until=10 * SECOND):
    """Send all that may be sent without an answer; returns (time, stream, register)."""
    sent = []
    while now <= until:
        send = registrations.next(now)
        if send is not None:
            sent.append((now, send.stream, send.register))
            continue
        due = registrations.due_at(now)
        if due is None or due >= now + LIMITS.ack_timeout_ns - 41 * 100 * MS:
            break
        now = max(due, now + MS)
    return sent


def settle(registrations, now=0):
    """Send and answer everything with success; returns what was sent."""
    sent = []
    while (send := registrations.next(now)) is not None:
        sent.append(send)
        ack = Ack.REGISTERED if send.register else Ack.UNREGISTERED
        registrations.on_ack(answer(send.stream, ack), now)
        now += SECOND
    return sent


# --- the table ---------------------------------------------------------------------------------

EXPECTED = {
    "free": {"send_on": "asked", "on": "held", "off": "free", "refused": "free", "lost": "free"},
    "asked": {"send_on": "asked", "on": "held", "off": "asked", "refused": "free", "lost": "free"},
    "held": {"send_off": "leaving", "on": "held", "off": "held", "refused": "held", "lost": "free"},
    "leaving": {
        "send_off": "leaving", "on": "leaving", "off": "free", "refused": "leaving", "lost": "free",
    },
}  # fmt: skip


@pytest.mark.parametrize("state", SlotState)
@pytest.mark.parametrize("event", SlotEvent)
def test_every_cell(state, event):
    machine = Machine(SLOTS, state)
    expected = EXPECTED[state.value].get(event.value)
    if expected is None:
        with pytest.raises(IllegalTransition):
            machine.on(event)
        assert not machine.takes(event)
    else:
        assert machine.on(event) == SlotState(expected)


# --- plans -------------------------------------------------------------------------------------


def test_the_forty_second_waits_and_registrations_are_paced():
    registrations = opened()
    for number in range(50):
        registrations.want(stream(number), rank=number)
    sent = sends(registrations)
    assert [one for _, one, _ in sent] == [stream(number) for number in range(41)]
    assert [at for at, _, _ in sent] == [n * 100 * MS for n in range(41)]
    assert registrations.used == 41
    assert registrations.held == frozenset()
    assert registrations.waiting == tuple(stream(number) for number in range(41, 50))


def test_a_freed_slot_goes_to_the_most_urgent_only_after_its_answer():
    registrations = opened(replace(LIMITS, registrations=1))
    registrations.want(stream(1), rank=1)
    settle(registrations)
    registrations.want(stream(2), rank=9)
    registrations.want(stream(3), rank=2)
    registrations.unwant(stream(1))
    assert registrations.next(2 * SECOND) == Send(stream(1), register=False)
    assert registrations.next(3 * SECOND) is None
    assert registrations.used == 1
    registrations.on_ack(answer(stream(1), Ack.UNREGISTERED), 3 * SECOND)
    assert registrations.next(3 * SECOND) == Send(stream(3), register=True)


def test_the_notice_keeps_a_slot_for_itself():
    registrations = opened(replace(LIMITS, registrations=3))
    registrations.market(is_open=True)
    registrations.want(NOTICE, rank=99)
    for number in range(5):
        registrations.want(stream(number), rank=number)
    sent = settle(registrations)
    assert NOTICE in {one.stream for one in sent}
    assert len(sent) == 3


def test_the_notice_keeps_its_slot_while_kis_puts_it_off():
    registrations = opened(replace(LIMITS, registrations=2))
    registrations.want(NOTICE, rank=0)
    registrations.want(stream(1), rank=1)
    registrations.want(stream(2), rank=2)
    assert registrations.next(0) == Send(NOTICE, register=True)
    registrations.on_ack(answer(NOTICE, Ack.LATER), 0)
    assert registrations.next(500 * MS) == Send(stream(1), register=True)
    registrations.on_ack(answer(stream(1), Ack.REGISTERED), 500 * MS)
    assert registrations.next(900 * MS) is None
    assert registrations.next(SECOND) == Send(NOTICE, register=True)


def test_outside_the_session_only_the_notice_stays_and_only_while_orders_live():
    registrations = opened()
    registrations.want(NOTICE, rank=0)
    registrations.want(stream(1), rank=1)
    settle(registrations)
    registrations.orders(live=True)
    registrations.market(is_open=False)
    assert settle(registrations, 10 * SECOND) == [Send(stream(1), register=False)]
    assert registrations.held == {NOTICE}
    registrations.orders(live=False)
    assert settle(registrations, 20 * SECOND) == [Send(NOTICE, register=False)]
    assert registrations.used == 0
    registrations.market(is_open=True)
    assert len(settle(registrations, 30 * SECOND)) == 2


def test_the_churn_budget_stops_rotation():
    registrations = opened(replace(LIMITS, churn_changes=5))
    times = []
    now = 0
    for number in range(9):
        registrations.want(stream(number), rank=0)
        while (send := registrations.next(now)) is None:
            now = registrations.due_at(now)
        times.append(now)
        registrations.on_ack(answer(send.stream, Ack.REGISTERED), now)
    assert times[4] == 400 * MS
    assert times[5] == 60 * SECOND
    assert sum(at >= 60 * SECOND for at in times) == 4


def test_streams_that_are_not_enabled_are_not_registered():
    with pytest.raises(KeyError):
        opened().want(Stream("H0UNCNT0", "005930"), rank=0)
    with pytest.raises(KeyError):
        opened().want(Stream("NONSENSE", "005930"), rank=0)


# --- answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ack", "used", "held"),
    [
        (Ack.REGISTERED, 1, True),
        (Ack.ALREADY, 1, True),
        (Ack.FULL, 0, False),
        (Ack.LATER, 0, False),
        (Ack.REFUSED, 0, False),
        (Ack.NOT_FOUND, 1, False),
    ],
)
def test_answers_to_a_registration(ack, used, held):
    registrations = opened()
    registrations.want(stream(1), rank=0)
    registrations.next(0)
    acked = registrations.on_ack(answer(stream(1), ack), 0)
    assert (registrations.used, acked.held) == (used, held)
    assert acked == Acked(stream(1), held, ack, CODES[ack])


@pytest.mark.parametrize(
    ("ack", "used"), [(Ack.UNREGISTERED, 0), (Ack.NOT_FOUND, 0), (Ack.REGISTERED, 1)]
)
def test_answers_to_an_unregistration(ack, used):
    registrations = opened()
    registrations.want(stream(1), rank=0)
    settle(registrations)
    registrations.unwant(stream(1))
    registrations.next(5 * SECOND)
    registrations.on_ack(answer(stream(1), ack), 5 * SECOND)
    assert registrations.used == used


def test_a_session_found_full_early_waits_and_asks_again():
    registrations = opened()
    registrations.want(stream(1), rank=0)
    registrations.want(stream(2), rank=1)
    registrations.next(0)
    registrations.on_ack(answer(stream(1), Ack.REGISTERED), 0)
    registrations.next(SECOND)
    registrations.on_ack(answer(stream(2), Ack.FULL), SECOND)
    assert registrations.next(2 * SECOND) is None
    assert registrations.settled
    assert registrations.due_at(2 * SECOND) == 61 * SECOND
    assert registrations.next(61 * SECOND) == Send(stream(2), register=True)


def test_what_is_refused_for_good_is_asked_again_only_when_wanted_again():
    registrations = opened()
    registrations.want(stream(1), rank=0)
    registrations.next(0)
    registrations.on_ack(answer(stream(1), Ack.REFUSED), 0)
    assert registrations.next(100 * SECOND) is None
    registrations.want(stream(1), rank=0)
    assert registrations.next(100 * SECOND) == Send(stream(1), register=True)


def test_a_refusal_that_names_no_stream_means_the_one_that_waits_alone():
    registrations = opened()
    for rank in (1, 2):
        registrations.want(stream(rank), rank)
        registrations.next(rank * LIMITS.register_spacing_ns)
    nameless = answer(Stream("(null)", ""), Ack.REFUSED)
    assert registrations.on_ack(nameless, SECOND) is None  # two wait: whose it is, nobody knows
    registrations.on_ack(answer(stream(1), Ack.REGISTERED), SECOND)
    assert registrations.on_ack(nameless, SECOND).stream == stream(2)
    assert (registrations.used, registrations.settled) == (1, True)
    assert registrations.on_ack(nameless, SECOND) is None


def test_what_failed_inside_kis_is_asked_again_later():
    registrations = opened()
    registrations.want(stream(1), rank=0)
    registrations.next(0)
    registrations.on_ack(answer(stream(1), Ack.LATER), 0)
    assert registrations.next(SECOND - 1) is None
    assert registrations.next(SECOND) == Send(stream(1), register=True)


def test_a_stream_that_is_put_off_holds_up_no_other():
    registrations = opened()
    for rank in (1, 2):
        registrations.want(stream(rank), rank)
    registrations.next(0)
    registrations.on_ack(answer(stream(1), Ack.LATER), 0)
    assert registrations.due_at(0) == LIMITS.register_spacing_ns
    sent = registrations.next(LIMITS.register_spacing_ns)
    assert sent == Send(stream(2), register=True)


def test_an_answer_that_does_not_come_is_asked_for_and_then_condemns_the_connection():
    registrations = opened()
    registrations.want(stream(1), rank=0)
    times = []
    now = 0
    while registrations.unanswered is None:
        if registrations.next(now) is not None:
            times.append(now // SECOND)
        now += SECOND
    assert times == [0, 5, 10, 15]
    assert registrations.used == 1
    assert registrations.unanswered == stream(1)


def test_a_refusal_frees_nothing_while_a_second_registration_is_on_its_way():
    registrations = opened()
    registrations.want(stream(1), rank=0)
    registrations.next(0)
    registrations.next(6 * SECOND)
    registrations.on_ack(answer(stream(1), Ack.LATER), 6 * SECOND)
    assert registrations.used == 1
    registrations.on_ack(answer(stream(1), Ack.REGISTERED), 7 * SECOND)
    assert registrations.held == {stream(1)}


def test_a_disconnection_frees_all_and_everything_is_registered_anew():
    registrations = opened()
    for number in range(3):
        registrations.want(stream(number), rank=number)
    settle(registrations)
    registrations.disconnected()
    assert (registrations.used, registrations.next(99 * SECOND)) == (0, None)
    registrations.connected()
    assert [one.stream for one in settle(registrations, 99 * SECOND)] == [
        stream(number) for number in range(3)
    ]


def test_answers_about_nothing_of_ours_change_nothing():
    registrations = opened()
    assert registrations.on_ack(answer(stream(9), Ack.UNREGISTERED), 0) is None
    assert registrations.on_ack(answer(stream(9), Ack.FULL), 0) is None
    assert registrations.used == 0


# --- any interleaving --------------------------------------------------------------------------

SLOTS_HERE = 4
STREAMS = [NOTICE, *(stream(number) for number in range(8))]


class LossyServer(RuleBasedStateMachine):
    """A server without a limit of its own: what it holds must stay within ours.

    Messages arrive in order and late; answers are lost, or refuse without a change.
    """

    def __init__(self):
        super().__init__()
        self.limits = replace(
            LIMITS, registrations=SLOTS_HERE, register_spacing_ns=0, churn_changes=10_000
        )
        self.registrations = Registrations(self.limits)
        self.registrations.connected()
        self.registrations.market(is_open=True)
        self.now = 0
        self.to_server = []
        self.to_us = []
        self.held = set()

    @rule(one=st.sampled_from(STREAMS), rank=st.integers(0, 3))
    def want(self, one, rank):
        self.registrations.want(one, rank)

    @rule(one=st.sampled_from(STREAMS))
    def unwant(self, one):
        self.registrations.unwant(one)

    @rule(is_open=st.booleans(), live=st.booleans())
    def phase(self, is_open, live):
        self.registrations.market(is_open=is_open)
        self.registrations.orders(live=live)

    @rule(step=st.sampled_from([0, 1, SECOND, 6 * SECOND]), count=st.integers(1, 6))
    def send(self, step, count):
        self.now += step
        for _ in range(count):
            send = self.registrations.next(self.now)
            if send is not None:
                self.to_server.append(send)

    @rule(fate=st.sampled_from(["answer", "answer", "answer", "lose", "later", "refuse"]))
    def serve(self, fate):
        if not self.to_server:
            return
        message = self.to_server.pop(0)
        is_held = message.stream in self.held
        if fate in {"later", "refuse"} and message.register and not is_held:
            ack = Ack.LATER if fate == "later" else Ack.REFUSED
        elif message.register:
            self.held.add(message.stream)
            ack = Ack.ALREADY if is_held else Ack.REGISTERED
        else:
            self.held.discard(message.stream)
            ack = Ack.UNREGISTERED if is_held else Ack.NOT_FOUND
        if fate != "lose":
            self.to_us.append(answer(message.stream, ack))

    @rule()
    def hear(self):
        if self.to_us:
            self.registrations.on_ack(self.to_us.pop(0), self.now)

    @rule()
    def reconnect(self):
        self.registrations.disconnected()
        self.to_server, self.to_us, self.held = [], [], set()
        self.registrations.connected()

    @invariant()
    def never_more_than_the_limit(self):
        assert len(self.held) <= SLOTS_HERE
        assert self.registrations.used <= SLOTS_HERE
        coming = {one.stream for one in self.to_server if one.register}
        assert len(self.held | coming) <= SLOTS_HERE

    @invariant()
    def what_the_server_holds_is_counted(self):
        assert len(self.held) <= self.registrations.used


LossyServer.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestLossyServer = LossyServer.TestCase


def test_a_notice_whose_key_was_lost_is_given_back_and_registered_anew():
    registrations = opened()
    registrations.want(NOTICE, 0)
    now = 0

    def sent():
        nonlocal now
        now = max(now + MS, registrations.due_at(now))
        return registrations.next(now)

    assert sent() == Send(NOTICE, register=True)
    assert sent() == Send(NOTICE, register=True)  # the first answer, and the key in it, was lost
    registrations.on_ack(answer(NOTICE, Ack.ALREADY), now)
    assert sent() == Send(NOTICE, register=False)
    registrations.on_ack(answer(NOTICE, Ack.UNREGISTERED), now)
    assert sent() == Send(NOTICE, register=True)
    registrations.on_ack(replace(answer(NOTICE, Ack.REGISTERED), key="k" * 32), now)
    registrations.on_ack(answer(NOTICE, Ack.ALREADY), now)
    assert registrations.settled
    assert registrations.held == {NOTICE}


def test_a_key_in_the_answer_to_an_unregistration_opens_nothing():
    registrations = Registrations(LIMITS)
    registrations.connected()
    registrations.orders(live=True)
    registrations.want(NOTICE, 0)
    now = 0

    def answered(ack, key=""):
        nonlocal now
        now += 6 * SECOND
        send = registrations.next(now)
        registrations.on_ack(replace(answer(NOTICE, ack), key=key), now)
        return send

    for _ in range(2):  # the answers with the key are lost both times
        assert registrations.next(now) == Send(NOTICE, register=True)
        assert answered(Ack.ALREADY) == Send(NOTICE, register=True)
        assert not registrations.readable(NOTICE)
        assert answered(Ack.UNREGISTERED, key="k" * 32) == Send(NOTICE, register=False)
        now += 6 * SECOND
    assert answered(Ack.REGISTERED, key="k" * 32) == Send(NOTICE, register=True)
    assert registrations.readable(NOTICE)
