"""The request budget never goes over its window, whatever is asked, refused and when."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from adapters.kis import errors, requests
from adapters.kis.backoff import (
    BREAKER,
    Breaker,
    BreakerEvent,
    BreakerState,
    ConnectGate,
    delay_ns,
    retry_wait_ns,
)
from adapters.kis.budget import Granted, NotBefore, RequestBudget
from adapters.kis.errors import IllegalTransition
from adapters.kis.limits import Servers, limits_for
from adapters.kis.machine import Machine
from adapters.kis.requests import Group, Priority

MS, SECOND = 1_000_000, 1_000_000_000
REAL, MOCK = limits_for(Servers.REAL), limits_for(Servers.MOCK)
KINDS = (
    requests.CHANGE,
    requests.BUY,
    requests.TOKEN,
    requests.BALANCE,
    requests.PRICE,
    requests.PRICES,
)


def drain(budget, until_ns, now=0):
    """Grant all there is up to a time, each answered at once; returns (time, item)."""
    granted = []
    while now <= until_ns:
        match budget.next(now):
            case Granted(item, ticket=ticket):
                budget.answered(ticket, now)
                granted.append((now, item))
            case NotBefore(at_ns):
                assert at_ns > now
                now = at_ns
            case None:
                break
    return granted


def busiest(times, window_ns):
    return max((sum(start <= t < start + window_ns for t in times) for start in times), default=0)


def test_a_full_market_is_polled_within_eight_seconds_and_never_over_the_limit():
    budget = RequestBudget(REAL)
    for call in range(87):  # 2,600 symbols, 30 a call
        assert budget.submit(call, requests.PRICES)
    granted = drain(budget, 60 * SECOND)
    assert [item for _, item in granted] == list(range(87))
    assert granted[-1][0] <= 8 * SECOND
    assert busiest([at for at, _ in granted], SECOND) <= REAL.polling_requests


def test_orders_overtake_everything_and_find_room_while_polling():
    budget = RequestBudget(REAL)
    for call in range(40):
        budget.submit(("poll", call), requests.PRICES)
    drain(budget, SECOND // 2)
    budget.submit("balance", requests.BALANCE)
    for order in range(3):
        budget.submit(("order", order), requests.BUY)
    now = SECOND // 2
    assert [budget.next(now).item for _ in range(3)] == [("order", n) for n in range(3)]


def test_a_waiting_order_is_not_overtaken():
    budget = RequestBudget(REAL)
    for order in range(19):
        budget.submit(order, requests.BUY)
    assert len(drain(budget, 0)) == 18
    budget.submit("poll", requests.PRICES)
    assert budget.next(0) == NotBefore(SECOND + REAL.requests_margin_ns)
    assert budget.next(SECOND + REAL.requests_margin_ns).item == 18


def test_what_is_not_answered_counts_until_it_must_have_arrived():
    budget = RequestBudget(MOCK)
    for item in range(3):
        budget.submit(item, requests.PRICE)
    first = budget.next(0).ticket
    assert budget.next(0) == NotBefore(SECOND + MOCK.requests_delay_ns + MOCK.requests_margin_ns)
    budget.answered(first, 300 * MS)
    assert budget.next(300 * MS) == NotBefore(1350 * MS)


@given(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 1_500)), min_size=30, max_size=80))
def test_no_delay_on_the_way_crowds_two_windows_into_one(delays_ms):
    """Requests arrive, and are answered, some time after they were granted."""
    budget = RequestBudget(REAL)
    for item in range(len(delays_ms)):
        budget.submit(item, requests.BUY)
    now, arrivals, answers = 0, [], []
    while len(arrivals) < len(delays_ms):
        for at_ns, ticket in [each for each in answers if each[0] <= now]:
            budget.answered(ticket, at_ns)
        answers = [each for each in answers if each[0] > now]
        match budget.next(now):
            case Granted(item, ticket=ticket):
                out, back = delays_ms[item]
                arrivals.append(now + out * MS)
                answers.append((now + (out + back) * MS, ticket))
            case NotBefore(at_ns):
                now = min([at_ns, *(at for at, _ in answers)])
    assert busiest(arrivals, SECOND) <= REAL.requests


def test_the_order_list_is_asked_however_many_orders_wait():
    budget = RequestBudget(REAL)
    for order in range(400):
        budget.submit(order, requests.BUY)
    budget.submit("list", requests.ORDERS)
    granted = {item: at for at, item in drain(budget, 30 * SECOND)}
    assert REAL.account_patience_ns <= granted["list"] <= REAL.account_patience_ns + 2 * SECOND
    assert granted[399] > granted["list"]


def test_account_queries_are_a_second_apart_and_let_others_pass():
    budget = RequestBudget(REAL)
    for item in ("balance", "orders"):
        budget.submit(item, requests.BALANCE)
    budget.submit("price", requests.PRICE)
    assert drain(budget, 2 * SECOND) == [
        (0, "balance"),
        (55 * MS, "price"),
        (SECOND, "orders"),
    ]


def test_the_mock_servers_take_one_a_second():
    budget = RequestBudget(MOCK)
    for item in range(3):
        budget.submit(item, requests.PRICE)
    assert [at for at, _ in drain(budget, 9 * SECOND)] == [0, 1050 * MS, 2100 * MS]


def test_refusals_slow_down_what_they_are_about():
    budget = RequestBudget(REAL)
    budget.submit("order", requests.BUY)
    budget.refused(errors.RateRefused("x"), 0)
    assert budget.next(0) == NotBefore(100 * MS)
    budget = RequestBudget(REAL)
    budget.submit("balance", requests.BALANCE)
    budget.submit("price", requests.PRICE)
    budget.refused(errors.LedgerBusy("x"), 0)
    assert drain(budget, 2 * SECOND) == [(0, "price"), (SECOND, "balance")]


def test_a_full_queue_refuses_all_but_orders_and_withdrawals_make_room():
    budget = RequestBudget(replace(REAL, queue_length=2))
    assert budget.submit("a", requests.PRICE)
    assert budget.submit("b", requests.PRICE)
    assert not budget.submit("c", requests.PRICE)
    assert budget.submit("order", requests.BUY)
    assert budget.withdraw("a")
    assert not budget.withdraw("a")
    assert len(budget) == 2


def test_a_cancel_overtakes_the_orders_that_wait():
    budget = RequestBudget(REAL)
    for order in range(20):
        budget.submit(order, requests.BUY)
    drain(budget, 0)
    budget.submit("cancel", requests.CHANGE)
    assert [item for _, item in drain(budget, 2 * SECOND)] == ["cancel", 18, 19]


def test_time_that_runs_back_grants_nothing_more():
    budget = RequestBudget(REAL)
    for order in range(20):
        budget.submit(order, requests.BUY)
    drain(budget, 0, now=5 * SECOND)
    assert len(drain(budget, 5 * SECOND, now=5 * SECOND)) == 18
    assert isinstance(budget.next(0), NotBefore)


class AnyTraffic(RuleBasedStateMachine):
    """Requests of all kinds, refusals and jumps of time; every grant is written down."""

    def __init__(self):
        super().__init__()
        patience_ns = 3_600 * SECOND  # what is overdue has a test of its own
        self.limits = replace(REAL, requests=5, polling_requests=3, account_patience_ns=patience_ns)
        self.budget = RequestBudget(self.limits)
        self.now = 0
        self.number = 0
        self.waiting = []
        self.grants = []

    @rule(kind=st.sampled_from(KINDS), count=st.integers(1, 4))
    def submit(self, kind, count):
        for _ in range(count):
            self.number += 1
            assert self.budget.submit(self.number, kind)
            self.waiting.append((kind.priority, self.number))

    @rule(step=st.one_of(st.just(0), st.integers(-SECOND, 2 * SECOND)))
    def ask(self, step):
        self.now = max(self.now, self.now + step)
        granted = self.budget.next(self.now + min(step, 0))
        if isinstance(granted, Granted):
            self.note(granted)
        elif isinstance(granted, NotBefore):
            assert granted.at_ns > self.now
        else:
            assert not self.waiting

    @rule()
    def wait_and_ask(self):
        found = self.budget.next(self.now)
        if isinstance(found, NotBefore):
            self.now = found.at_ns
            found = self.budget.next(self.now)
            assert isinstance(found, Granted)
        if isinstance(found, Granted):
            self.note(found)

    def note(self, granted):
        priority = granted.endpoint.priority
        assert (priority, granted.item) in self.waiting
        same = [item for level, item in self.waiting if level == priority]
        assert granted.item == same[0]
        if priority is not Priority.CHANGE:
            assert all(level is not Priority.CHANGE for level, _ in self.waiting)
        if not priority.is_urgent:
            assert not any(level.is_urgent for level, _ in self.waiting)
        self.waiting.remove((priority, granted.item))
        self.grants.append((self.now, priority, granted.endpoint.group))

    @rule(error=st.sampled_from([errors.RateRefused, errors.LedgerBusy]))
    def refuse(self, error):
        self.budget.refused(error("x"), self.now)

    @invariant()
    def never_over_the_limit(self):
        span = self.limits.requests_window_ns
        times = [at for at, _, _ in self.grants]
        others = [at for at, priority, _ in self.grants if not priority.is_urgent]
        assert busiest(times[-12:], span) <= 5
        assert busiest(others[-12:], span) <= 3

    @invariant()
    def account_queries_are_spaced(self):
        for group in (Group.ACCOUNT, Group.OAUTH):
            times = [at for at, _, one in self.grants if one is group]
            assert all(b - a >= SECOND for a, b in pairwise(times))


AnyTraffic.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyTraffic = AnyTraffic.TestCase

# --- retries, back-off, breaker ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "error", "attempt", "wait"),
    [
        (requests.PRICE, errors.VenueBusy("x"), 0, 500 * MS),
        (requests.PRICE, errors.VenueBusy("x"), 2, 2000 * MS),
        (requests.PRICE, errors.VenueBusy("x"), 3, None),
        (requests.PRICE, errors.RateRefused("x"), 0, 100 * MS),
        (requests.BALANCE, errors.LedgerBusy("x"), 0, SECOND),
        (requests.PRICE, errors.TokenRejected("x"), 0, 0),
        (requests.PRICE, errors.TokenRejected("x"), 1, None),
        (requests.PRICE, errors.MalformedAnswer("x"), 0, None),
        (requests.PRICE, errors.BadCredentials("x"), 0, None),
        (requests.BUY, errors.VenueBusy("x"), 0, None),
        (requests.BUY, errors.OutcomeUnknown("x"), 0, None),
        (requests.BUY, errors.OrderRefused("x"), 0, None),
        (requests.BUY, errors.LedgerBusy("x"), 0, None),
        (requests.CHANGE, errors.OutcomeUnknown("x"), 0, None),
        (requests.BUY, errors.RateRefused("x"), 0, 100 * MS),
        (requests.BUY, errors.TokenRejected("x"), 0, 0),
    ],
)
def test_only_what_changes_nothing_is_repeated(endpoint, error, attempt, wait):
    assert retry_wait_ns(endpoint, error, attempt, REAL, 0) == wait


def test_waits_double_to_the_cap_and_jitter_stays_within():
    waits = [delay_ns(REAL, attempt, 1_000_000) // SECOND for attempt in range(9)]
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    for attempt in (0, 3, 50, 10_000):
        for jitter in (-5, 0, 500_000, 10**9):
            assert SECOND <= delay_ns(REAL, attempt, jitter) <= 60 * SECOND


def test_the_gate_spaces_and_counts_connections():
    gate = ConnectGate(replace(REAL, connects=3))
    times = []
    now = 0
    for _ in range(7):
        now = gate.open_at(now)
        gate.connecting(now)
        times.append(now // SECOND)
    assert times == [0, 1, 2, 300, 301, 302, 600]


@pytest.mark.parametrize("state", BreakerState)
@pytest.mark.parametrize("event", BreakerEvent)
def test_every_cell_of_the_breaker(state, event):
    expected = {
        ("closed", "worked"): "closed", ("closed", "failed"): "closed",
        ("closed", "tripped"): "open", ("open", "worked"): "open", ("open", "failed"): "open",
        ("open", "cooled"): "trial", ("trial", "worked"): "closed", ("trial", "failed"): "open",
    }.get((state.value, event.value))  # fmt: skip
    machine = Machine(BREAKER, state)
    if expected is None:
        with pytest.raises(IllegalTransition):
            machine.on(event)
    else:
        assert machine.on(event) == BreakerState(expected)


def test_a_breaker_opens_after_failures_in_a_row_and_tries_once():
    breaker = Breaker(REAL)
    for _ in range(4):
        breaker.failed(0)
    breaker.worked()
    for _ in range(4):
        breaker.failed(0)
    assert breaker.allows(0)
    breaker.failed(SECOND)
    assert not breaker.allows(SECOND)
    assert not breaker.allows(11 * SECOND - 1)
    assert breaker.allows(11 * SECOND)
    assert not breaker.allows(11 * SECOND)
    breaker.failed(12 * SECOND)
    assert (breaker.state, breaker.cools_at_ns) == (BreakerState.OPEN, 22 * SECOND)
    assert breaker.allows(22 * SECOND)
    breaker.worked()
    assert breaker.allows(22 * SECOND)
    assert breaker.allows(22 * SECOND)


def test_a_list_that_is_asked_for_after_a_pause_has_not_waited_for_it():
    budget = RequestBudget(REAL)
    assert budget.next(0) is None
    budget.submit("list", requests.ORDERS)
    budget.submit("cancel", requests.CHANGE)
    granted = budget.next(100 * SECOND)
    assert isinstance(granted, Granted)
    assert granted.item == "cancel"
