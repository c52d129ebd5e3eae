"""Every cell of the session's and the token's table, and how the session is driven."""

import random
from dataclasses import replace
from itertools import pairwise

import pytest

from adapters.kis import errors
from adapters.kis.config import Secret
from adapters.kis.credentials import TOKENS, TokenEvent, TokenKeeper, TokenState
from adapters.kis.errors import IllegalTransition
from adapters.kis.frames import Ack, Control
from adapters.kis.limits import Servers, limits_for
from adapters.kis.machine import Machine
from adapters.kis.order_events import ORDER, OrderEvent, OrderState
from adapters.kis.parse import Token
from adapters.kis.registrations import Registrations, Send, Stream
from adapters.kis.session import (
    SESSION,
    AskKey,
    Connect,
    Disconnect,
    Session,
    SessionEvent,
    SessionState,
)

MS, SECOND = 1_000_000, 1_000_000_000
LIMITS = limits_for(Servers.REAL)
KEY = Secret("approval")
TRADES = Stream("H0STCNT0", "005930")

# --- tables ------------------------------------------------------------------------------------

# One line per state: event>state, what is missing cannot happen.
SESSION_CELLS = """
off         start>keying closed>off stop>off
keying      key>connecting key_failed>waiting fatal>stopped closed>keying stop>off
connecting  opened>registering closed>waiting silent>waiting fatal>stopped stop>off
registering registered>live key>registering key_failed>registering approval_refused>waiting
registering in_use>waiting unanswered>waiting silent>waiting closed>waiting fatal>stopped stop>off
live        registered>live key>live key_failed>live approval_refused>waiting
live        in_use>waiting unanswered>waiting silent>waiting closed>waiting fatal>stopped stop>off
waiting     due>keying closed>waiting stop>off
stopped     closed>stopped stop>off
"""
KEEPER_CELLS = """
none        ask>asking got>valid failed>held rejected>none
asking      got>valid failed>held refused>stopped rejected>asking
held        due>none got>valid rejected>held
valid       got>valid aged>aging expired>none rejected>none
aging       ask>refreshing got>valid expired>none rejected>none
refreshing  got>valid failed>aging refused>stopped expired>asking rejected>asking
stopped     rejected>stopped
"""
ORDER_CELLS = """
sending     taken>sent refused>rejected reply_lost>unknown
unknown     taken>sent refused>rejected reply_lost>unknown absent>rejected
sent        taken>sent accepted>open rejected>rejected cancel_seen>ending settled>canceled
sent        filled_up>filled
open        taken>open accepted>open rejected>rejected cancel_seen>ending settled>canceled
open        filled_up>filled
ending      taken>ending accepted>ending cancel_seen>ending settled>canceled filled_up>filled
filled      taken>filled accepted>filled cancel_seen>filled settled>filled filled_up>filled
canceled    taken>canceled accepted>canceled cancel_seen>canceled settled>canceled
canceled    filled_up>filled
rejected    taken>sent refused>rejected reply_lost>rejected rejected>rejected absent>rejected
"""


def expected(cells):
    table = {}
    for line in cells.split("\n"):
        state, *steps = line.split() or [""]
        table |= {(state, step.split(">")[0]): step.split(">")[1] for step in steps}
    return table


def walk(table, states, events, cells):
    wanted = expected(cells)
    assert {event for _, event in wanted} == {event.value for event in events}
    for state in states:
        for event in events:
            machine = Machine(table, state)
            after = wanted.get((state.value, event.value))
            assert machine.takes(event) == (after is not None)
            if after is None:
                with pytest.raises(IllegalTransition):
                    machine.on(event)
                assert machine.state is state
            else:
                assert machine.on(event) == states(after)


def test_every_cell_of_the_session():
    walk(SESSION, SessionState, SessionEvent, SESSION_CELLS)


def test_every_cell_of_the_token():
    walk(TOKENS, TokenState, TokenEvent, KEEPER_CELLS)


def test_every_cell_of_an_order():
    walk(ORDER, OrderState, OrderEvent, ORDER_CELLS)


# --- the session, driven -----------------------------------------------------------------------


def control(ack, stream=TRADES, code="OPSP0000"):
    return Control(ack, stream.tr_id, stream.key, code, "words")


def session(*streams, limits=LIMITS):
    registrations = Registrations(limits)
    for rank, stream in enumerate(streams):
        registrations.want(stream, rank)
    one = Session(limits, registrations)
    one.market(is_open=True)
    return one


def connected(*streams, limits=LIMITS, now=0):
    one = session(*streams, limits=limits)
    one.start(now)
    assert one.next(now, 0) == AskKey()
    one.key(KEY, now)
    assert one.next(now, 0) == Connect()
    one.opened(now)
    return one


def live(now=0):
    one = connected(TRADES, now=now)
    assert one.next(now, 0) == Send(TRADES, register=True)
    one.on_control(control(Ack.REGISTERED), now, 0)
    assert one.state is SessionState.LIVE
    return one


def test_from_start_to_live():
    one = session(TRADES)
    assert (one.state, one.next(0, 0)) == (SessionState.OFF, None)
    one.start(0)
    assert one.next(0, 0) == AskKey()
    assert one.next(0, 0) is None
    one.key(KEY, 0)
    assert one.next(0, 0) == Connect()
    assert one.next(0, 0) is None
    one.opened(MS)
    assert one.state is SessionState.REGISTERING
    assert one.next(MS, 0) == Send(TRADES, register=True)
    assert one.approval == KEY
    one.on_control(control(Ack.REGISTERED), 2 * MS, 0)
    assert (one.state, one.connections) == (SessionState.LIVE, 1)


def test_nothing_to_register_is_live_at_once():
    assert connected().state is SessionState.LIVE


@pytest.mark.parametrize("close", ["closed", "silent", "in_use", "approval"])
def test_whatever_ends_a_connection_waits_and_comes_back_with_everything(close):
    one = live()
    now = SECOND
    if close == "closed":
        one.closed(now, 0)
    elif close == "silent":
        now = 60 * SECOND
    else:
        one.on_control(control(Ack.IN_USE if close == "in_use" else Ack.APPROVAL), now, 0)
    action = one.next(now, 0)
    assert isinstance(action, Disconnect) == (close != "closed")
    assert one.state is SessionState.WAITING
    wait = {"in_use": 5}.get(close, 1)
    assert one.wake_at(now) == now + wait * SECOND
    assert one.next(one.wake_at(now) - 1, 0) is None
    now = one.wake_at(now)
    action = one.next(now, 0)
    if close == "approval":
        assert action == AskKey()
        one.key(Secret("new"), now)
        action = one.next(now, 0)
    assert action == Connect()
    one.opened(now)
    assert one.next(now, 0) == Send(TRADES, register=True)


def test_pings_keep_a_quiet_connection():
    one = live()
    for second in range(0, 300, 50):
        one.heard(second * SECOND)
        assert one.next(second * SECOND + 59 * SECOND, 0) is None
    assert isinstance(one.next(310 * SECOND, 0), Disconnect)


def test_outside_the_session_the_watchdog_is_patient():
    one = live()
    one.market(is_open=False)
    assert one.next(SECOND, 0) == Send(TRADES, register=False)
    one.on_control(control(Ack.UNREGISTERED, code="OPSP0001"), SECOND, 0)
    assert one.next(180 * SECOND, 0) is None
    assert isinstance(one.next(181 * SECOND, 0), Disconnect)


def test_registrations_that_are_never_answered_end_the_connection():
    one = connected(TRADES)
    now = 0
    while one.state is SessionState.REGISTERING:
        one.heard(now)
        action = one.next(now, 0)
        now += SECOND
    assert action == Disconnect("registrations were not answered")
    assert 15 * SECOND <= now <= 25 * SECOND


def test_a_connection_that_does_not_open_is_given_up():
    one = session()
    one.start(0)
    one.next(0, 0)
    one.key(KEY, 0)
    one.next(0, 0)
    assert one.wake_at(0) == 5 * SECOND
    assert isinstance(one.next(5 * SECOND, 0), Disconnect)
    one.opened(6 * SECOND)
    assert one.state is SessionState.WAITING


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (errors.VenueBusy("x"), SessionState.WAITING),
        (errors.BadCredentials("x"), SessionState.STOPPED),
        (errors.WrongEnvironment("x"), SessionState.STOPPED),
    ],
)
def test_a_key_that_does_not_come(error, state):
    one = session()
    one.start(0)
    one.next(0, 0)
    one.key_failed(error, 0, 0)
    assert one.state is state
    if state is SessionState.STOPPED:
        assert one.failure is error
        assert one.next(10**15, 0) is None
    else:
        assert one.next(SECOND, 0) == AskKey()


def test_refused_credentials_stop_the_session():
    one = connected(TRADES)
    one.next(0, 0)
    one.on_control(control(Ack.CREDENTIALS, code="OPSP9994"), 0, 0)
    assert one.state is SessionState.STOPPED
    assert isinstance(one.failure, errors.BadCredentials)
    assert isinstance(one.next(0, 0), Disconnect)


def test_an_old_key_is_replaced_before_it_registers_anything():
    one = live()
    now = 86_400 * SECOND
    one.heard(now)
    assert one.next(now, 0) == AskKey()
    assert one.next(now, 0) is None
    one.key_failed(errors.VenueBusy("x"), now, 0)
    one.heard(now + 60 * SECOND)
    assert one.next(now + 60 * SECOND, 0) == AskKey()
    one.key(Secret("new"), now + 60 * SECOND)
    assert (one.state, one.approval) == (SessionState.LIVE, Secret("new"))


def test_there_is_no_key_before_there_is_one():
    with pytest.raises(errors.Reauthenticate):
        _ = session().approval


def test_stopping_closes_and_ignores_what_comes_after():
    one = live()
    one.stop()
    assert one.next(0, 0) == Disconnect("stopped")
    one.closed(0, 0)
    assert one.on_control(control(Ack.REGISTERED), 0, 0) is None
    assert (one.state, one.next(10**15, 0)) == (SessionState.OFF, None)
    one.start(10**15)
    assert one.state is SessionState.KEYING


def test_stopping_and_starting_again_is_no_way_around_the_gate():
    one = session()
    times = []
    now = 0
    for _ in range(30):
        one.start(now)
        while not isinstance(one.next(now, 0), Connect):
            if one.state is SessionState.KEYING:
                one.key(KEY, now)
            now += 100 * MS
        times.append(now)
        one.opened(now)
        one.stop()
        assert isinstance(one.next(now, 0), Disconnect)
    assert min(later - first for first, later in pairwise(times)) >= SECOND
    assert times[10] - times[0] >= 300 * SECOND


def test_closes_right_after_registration_point_to_the_hts_id():
    one = connected(TRADES)
    now = 0
    for _ in range(3):
        assert one.advice is None
        one.closed(now + SECOND, 0)
        now = one.wake_at(now + SECOND)
        assert one.next(now, 0) == Connect()
        one.opened(now)
    assert "ONETAPE_KIS_HTS_ID" in one.advice


def test_a_stable_connection_begins_the_back_off_anew():
    one = live()
    for _ in range(5):
        one.closed(SECOND, 0)
        now = one.wake_at(SECOND)
        one.next(now, 0)
        one.opened(now)
    one.heard(now + 60 * SECOND)
    one.next(now + 60 * SECOND, 0)
    one.closed(now + 61 * SECOND, 0)
    assert one.wake_at(now) == now + 62 * SECOND


def aged():
    """Return a connected session whose key has ended, one stream wanted, and the time of it."""
    now = 25 * 3_600 * SECOND
    one = live()
    one._registrations.want(Stream("H0STCNT0", "000660"), 1)
    one.heard(now)
    assert one.next(now, 0) == AskKey()
    return one, now


@pytest.mark.parametrize("fails_before_the_loss", [True, False])
def test_a_key_that_failed_while_connected_is_asked_for_after_the_connection_is_lost(
    fails_before_the_loss,
):
    one, now = aged()
    if fails_before_the_loss:
        one.key_failed(errors.VenueBusy("x"), now, 0)
    one.closed(now + SECOND, 0)
    if not fails_before_the_loss:
        one.key_failed(errors.VenueBusy("x"), now + SECOND, 0)
    due = one.wake_at(now + SECOND)
    assert one.next(due, 0) == AskKey()
    one.key(KEY, due)
    assert one.next(due, 0) == Connect()


def test_a_connected_session_that_lacks_a_key_sleeps_until_it_may_ask_again():
    one, now = aged()
    assert one.wake_at(now) == now + 60 * SECOND  # the watchdog's; the answer wakes it as well
    one.key_failed(errors.VenueBusy("x"), now, 0)
    assert one.next(now, 0) is None
    one.heard(now + 30 * SECOND)
    assert one.wake_at(now) == now + 60 * SECOND
    assert one.next(now + 60 * SECOND, 0) == AskKey()


@pytest.mark.parametrize("seed", range(20))
def test_no_misfortune_connects_fast_enough_to_be_blocked(seed):
    """Whatever a server does for two hours, connections stay spaced and counted."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    one = session(TRADES)
    one.start(0)
    now, connects, keys = 0, [], []
    while now < 7200 * SECOND:
        action = one.next(now, rng.randrange(1_000_001))
        if isinstance(action, Connect):
            connects.append(now)
            one.opened(now) if rng.random() < 0.8 else one.closed(now, 0)
        elif isinstance(action, AskKey):
            keys.append(now)
            good = rng.random() < 0.8
            one.key(KEY, now) if good else one.key_failed(errors.VenueBusy("x"), now, 0)
        elif isinstance(action, Send):
            ack = rng.choice([Ack.REGISTERED, Ack.IN_USE, Ack.APPROVAL, Ack.LATER, Ack.FULL])
            one.on_control(control(ack), now, 0)
        elif action is None:
            if rng.random() < 0.2:
                one.closed(now, rng.randrange(1_000_001))
            now = max(now + MS, min(one.wake_at(now) or now + SECOND, now + 20 * SECOND))
    assert len(connects) > 20
    for times in (connects, keys):
        gaps = [later - first for first, later in pairwise(times)]
        assert min(gaps) >= SECOND
    for first in connects:
        assert sum(first <= at < first + 300 * SECOND for at in connects) <= 10


# --- the token ---------------------------------------------------------------------------------


def keeper(**limits):
    return TokenKeeper(replace(LIMITS, **limits))


def token(text="abc", ends_s=86_400):
    return Token(Secret(text), ends_s * SECOND)


def owned():
    one = keeper()
    assert one.should_ask(0)
    assert one.got(token(), 0)
    return one


def test_a_token_is_used_refreshed_and_ended():
    one = owned()
    assert not one.should_ask(SECOND)
    before_end = (86_400 - 1_800) * SECOND
    assert not one.should_ask(before_end - 1)
    assert one.should_ask(before_end)
    assert one.token(before_end) == Secret("abc")
    one.failed(errors.VenueBusy("x"))
    assert not one.should_ask(before_end + 59 * SECOND)
    assert one.should_ask(before_end + 60 * SECOND)
    assert one.got(token("def", 2 * 86_400), before_end + 60 * SECOND)
    assert one.token(86_400 * SECOND) == Secret("def")


def test_a_token_that_ends_while_it_is_refreshed_is_not_used():
    one = owned()
    assert one.should_ask(86_399 * SECOND)
    assert one.token(86_400 * SECOND) is None
    assert one.state is TokenState.ASKING


def test_one_question_a_minute_whoever_fails():
    one = keeper()
    asked = []
    for second in range(300):
        if one.should_ask(second * SECOND):
            asked.append(second)
            one.failed(errors.TokenTooSoon("x"))
    assert asked == [0, 60, 120, 180, 240]


def test_a_rejected_token_is_replaced_and_never_taken_again():
    one = owned()
    one.rejected(Secret("abc"))
    one.rejected(Secret("abc"))
    assert one.token(SECOND) is None
    assert not one.should_ask(SECOND)
    assert one.should_ask(60 * SECOND)
    assert not one.got(token("abc"), 60 * SECOND)
    assert one.state is TokenState.HELD
    assert one.should_ask(120 * SECOND)
    assert one.got(token("def"), 120 * SECOND)


def test_late_news_about_an_older_token_is_ignored():
    one = owned()
    one.rejected(Secret("older"))
    assert one.token(0) == Secret("abc")


def test_refused_credentials_end_it():
    one = keeper()
    one.should_ask(0)
    one.failed(errors.BadCredentials("x"))
    assert one.state is TokenState.STOPPED
    assert not one.should_ask(10**15)
    assert isinstance(one.failure, errors.BadCredentials)


def test_another_process_may_have_got_one_meanwhile():
    one = keeper()
    one.should_ask(0)
    one.failed(errors.TokenTooSoon("x"))
    assert one.got(token(), SECOND)
    assert one.token(SECOND) == Secret("abc")
    assert not one.got(token(ends_s=1), SECOND)
