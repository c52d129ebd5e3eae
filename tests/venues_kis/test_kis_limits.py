"""Rate windows, tokens, approval keys and socket sessions in wall time."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.venues.kis.limits import ApprovalDesk, RequestWindow, TokenDesk
from scenarios.venues.kis.market_time import SECOND_NS
from scenarios.venues.kis.personality import LIMITS, Environment
from scenarios.venues.kis.sessions import SecondSession, SessionDesk

REAL = LIMITS[Environment.REAL]
NOON = 1_790_000_000 * SECOND_NS


def later(seconds: float) -> int:
    return NOON + int(seconds * SECOND_NS)


@given(st.lists(st.integers(0, 3_000), max_size=120), st.integers(1, 20))
def test_no_second_ever_holds_more_requests_than_the_limit(offsets_ms, limit):
    window = RequestWindow(limit)
    times = [NOON + offset * 1_000_000 for offset in sorted(offsets_ms)]
    taken = [time for time in times if window.take(time)]
    for time in taken:
        assert sum(time <= other < time + SECOND_NS for other in taken) <= limit
    refused = sorted(set(times) - set(taken))
    for time in refused:
        assert sum(time - SECOND_NS < other <= time for other in taken) == limit


def test_the_eighteenth_passes_the_nineteenth_does_not_and_a_second_later_it_does():
    window = RequestWindow(REAL.requests_per_s)
    assert all(window.take(later(0)) for _ in range(18))
    assert not window.take(later(0.999))
    assert window.take(later(1))


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [(59.9, "refused"), (60, "same"), (6 * 3_600 - 1, "same"), (6 * 3_600, "new")],
)
def test_a_second_token(seconds, outcome):
    desk = TokenDesk(REAL)
    first = desk.issue("key", later(0))
    second = desk.issue("key", later(seconds))
    if outcome == "refused":
        assert second is None
    else:
        assert (second.text == first.text) == (outcome == "same")


def test_two_appkeys_do_not_wait_for_each_other():
    desk = TokenDesk(REAL)
    assert desk.issue("one", later(0)).text != desk.issue("two", later(0)).text


def test_a_token_ends_after_a_day_or_by_revocation_or_on_command():
    desk = TokenDesk(REAL)
    token = desk.issue("key", later(0)).text
    assert desk.check(token, later(86_399)) == ""
    assert desk.check(token, later(86_400)) == "EGW00123"
    assert desk.check("other", later(0)) == "EGW00121"
    desk.expire_all(later(10))
    assert desk.check(token, later(10)) == "EGW00123"
    fresh = desk.issue("key", later(11)).text
    assert desk.check(fresh, later(11)) == ""
    assert desk.revoke(fresh)
    assert desk.check(fresh, later(11)) == "EGW00121"


def test_an_approval_key_is_a_uuid_for_a_day():
    desk = ApprovalDesk()
    key = desk.issue("key", later(0))
    assert len(key) == 36
    assert desk.app_key_of(key, later(86_399)) == "key"
    assert desk.app_key_of(key, later(86_400)) is None
    assert desk.app_key_of("unknown", later(0)) is None


def sessions(**more) -> SessionDesk:
    return SessionDesk(registrations=REAL.registrations, stale_hold_s=10, **more)


def test_forty_one_registrations_and_no_more():
    desk = sessions()
    session = desk.open(NOON)
    codes = [desk.register(session, ("T", str(i)), ("", "")) for i in range(42)]
    assert codes == ["OPSP0000"] * 41 + ["OPSP0008"]
    assert desk.register(session, ("T", "0"), ("", "")) == "OPSP0002"
    assert desk.unregister(session, ("T", "0")) == "OPSP0001"
    assert desk.unregister(session, ("T", "0")) == "OPSP0003"
    assert desk.register(session, ("T", "41"), ("", "")) == "OPSP0000"


TRS = st.sampled_from([("T", str(i)) for i in range(6)])


@given(st.lists(st.tuples(st.booleans(), TRS), max_size=60))
def test_registrations_are_a_set_with_a_limit(steps):
    desk = SessionDesk(registrations=4, stale_hold_s=10)
    session, model = desk.open(NOON), set()
    for registers, tr in steps:
        if registers:
            code = desk.register(session, tr, ("", ""))
            expected = "OPSP0002" if tr in model else "OPSP0008" if len(model) == 4 else "OPSP0000"
            if expected == "OPSP0000":
                model.add(tr)
        else:
            code = desk.unregister(session, tr)
            expected = "OPSP0001" if tr in model else "OPSP0003"
            model.discard(tr)
        assert code == expected
        assert desk.wanted() == model


@pytest.mark.parametrize(
    ("clean", "seconds", "code"),
    [(True, 0, ""), (False, 0, "OPSP8996"), (False, 9.9, "OPSP8996"), (False, 10, "")],
)
def test_an_abruptly_lost_session_is_held_for_a_while(clean, seconds, code):
    desk = sessions()
    first = desk.open(NOON)
    assert desk.claim(first, "key", NOON) == ("", None)
    desk.register(first, ("T", "1"), ("", ""))
    desk.close(first, NOON, clean=clean)
    second = desk.open(later(seconds))
    assert desk.claim(second, "key", later(seconds))[0] == code


def test_a_second_session_is_refused_or_wins_as_set():
    for second, code in ((SecondSession.REFUSED, "OPSP8996"), (SecondSession.WINS, "")):
        desk = sessions(second=second)
        first, other = desk.open(NOON), desk.open(NOON)
        desk.claim(first, "key", NOON)
        got, loser = desk.claim(other, "key", NOON)
        assert got == code
        assert loser is (first if second is SecondSession.WINS else None)
        assert desk.claim(desk.open(NOON), "another key", NOON) == ("", None)


def test_limits_of_both_environments_are_those_of_april_2026():
    mock = LIMITS[Environment.MOCK]
    assert (REAL.requests_per_s, REAL.order_page, REAL.balance_page) == (18, 100, 50)
    assert (mock.requests_per_s, mock.order_page, mock.balance_page) == (1, 15, 20)
    assert REAL.registrations == mock.registrations == 41
    assert replace(REAL, requests_per_s=3).requests_per_s == 3
