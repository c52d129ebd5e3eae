"""Polling: fair over any number of symbols, never faster than asked, matched by code."""

import asyncio

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kis import parse, requests
from adapters.kis.errors import BadCredentials, RateRefused, VenueBusy
from adapters.kis.limits import Servers, limits_for
from adapters.kis.polling import Poller, PollPlan
from adapters.kis.timing import Timing
from adapters.kis.wants import Wants

SECOND = 1_000_000_000


def plan_of(count, page=30, every=0):
    plan = PollPlan(page)
    for number in range(count):
        plan.watch(f"{number:06d}", every, 0)
    return plan


def test_symbols_take_turns_whoever_waits_longest_first():
    plan = plan_of(5, page=2)
    asked = []
    for now in range(1, 8):
        codes = plan.take(now)
        asked += codes
        plan.answered(codes, now, now)
    assert asked[:10] == [f"{number % 5:06d}" for number in range(10)]


def test_nothing_is_asked_faster_than_its_interval():
    plan = plan_of(1, every=10)
    assert plan.take(0) == ["000000"]
    assert plan.take(5) == []
    assert plan.due_at() is None  # until it is answered
    plan.answered(["000000"], 5, 7)
    assert plan.due_at() == 15
    assert plan.take(14) == []
    assert plan.take(15) == ["000000"]


def test_a_shorter_interval_counts_from_the_last_answer_and_a_longer_one_from_the_next():
    plan = plan_of(1, every=100)
    plan.answered(plan.take(0), 0, 4)
    plan.watch("000000", 10, 6)
    assert plan.due_at() == 14
    plan.watch("000000", 1, 8)
    assert plan.due_at() == 8
    plan.watch("000000", 50, 8)
    assert plan.due_at() == 8
    plan.answered(plan.take(8), 8, 9)
    assert plan.due_at() == 58


def test_ages_tell_of_answers_and_a_failure_makes_nothing_fresh():
    plan = plan_of(2)
    codes = plan.take(1)
    assert plan.age_ns("000000", 5) is None
    plan.answered(codes[:1], 1, 4)
    plan.failed(codes[1:], 9)
    assert (plan.age_ns("000000", 10), plan.age_ns("000001", 10)) == (6, None)
    assert plan.take(8) == ["000000"]
    assert plan.take(9) == ["000001"]


def test_whatever_breaks_a_call_ends_the_polling_with_its_error():
    class Breaks:
        async def ask(self, request):
            raise ZeroDivisionError("a fault of ours")

    async def body():
        poller = Poller(
            Breaks(),
            limits_for(Servers.REAL),
            Timing(),
            lambda found, absent: None,
            lambda text: None,
        )
        poller.watch("005930")
        async with asyncio.timeout(2):
            await poller.run()

    with pytest.raises(ZeroDivisionError):
        asyncio.run(body())


def test_a_symbol_given_up_and_asked_for_again_stands_once_in_the_queue():
    plan = plan_of(2)
    codes = plan.take(0)
    plan.unwatch("000000")
    plan.answered(codes, 0, 1)
    assert plan.take(5) == ["000001"]
    plan.watch("000000", 0, 6)
    plan.unwatch("000000")
    plan.watch("000000", 0, 7)
    assert plan.take(9) == ["000000"]
    assert plan.take(9) == []


@given(
    st.lists(
        st.tuples(st.sampled_from("wutaf"), st.integers(0, 9), st.integers(0, 20)), max_size=60
    )
)
def test_no_symbol_is_ever_twice_on_its_way_nor_forgotten(steps):
    plan, now, out, watched = PollPlan(3), 0, [], set()
    for kind, number, value in steps:
        now += 1
        code = str(number)
        if kind == "w":
            plan.watch(code, value, now)
            watched.add(code)
        elif kind == "u":
            plan.unwatch(code)
            watched.discard(code)
        elif kind == "t":
            codes = plan.take(now)
            assert len(set(codes)) == len(codes) <= 3
            assert set(codes) <= watched
            out.append(codes)
        elif out:
            codes = out.pop(0)
            plan.answered(codes, now, now) if kind == "a" else plan.failed(codes, now + value)
    for codes in out:
        plan.answered(codes, now, now)
    left = set()
    while codes := plan.take(now + 1_000):
        assert not left & set(codes)
        left |= set(codes)
    assert left == watched


# --- the poller over a KIS written by hand ---------------------------------------------------


class Kis:
    """Answers price polls after a while; keeps what was asked and how many at once."""

    def __init__(self, answers=None, known=None):
        self.asked, self.at_once, self.most_at_once = [], 0, 0
        self._answers = answers or {}
        self._known = known

    async def ask(self, request):
        codes = [value for key, value in request.fields.items() if "ISCD" in key]
        self.asked.append(codes)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0.002)
        self.at_once -= 1
        error = self._answers.get(len(self.asked))
        if error is not None:
            raise error
        known = [code for code in codes if self._known is None or code in self._known]
        return answer(known[::-1])  # places mean nothing


def answer(codes):
    prices = ("prpr", "bidp", "askp", "sdpr", "mxpr", "llam", "oprc", "hgpr", "lwpr")
    row = {f"inter2_{name}": "100" for name in prices}
    row |= dict.fromkeys(("shnu_rsqn", "seln_rsqn", "acml_vol", "acml_tr_pbmn"), "5")
    rows = [row | {"inter_shrn_iscd": code, "hour_cls_code": "0"} for code in codes]
    body = {"rt_cd": "0", "msg_cd": "MCA00000", "msg1": "", "output": rows}
    return parse.read(requests.PRICES, 200, {}, orjson.dumps(body))


def poll(kis, codes, holds, **numbers):
    got, silent, said = {}, [], []

    def on_snapshots(found, absent):
        assert all(code == one.code for code, one in found.items())
        for code in found:
            got[code] = got.get(code, 0) + 1
        silent.extend(absent)

    async def run():
        limits = limits_for(Servers.REAL, numbers)
        poller = Poller(kis, limits, Timing(), on_snapshots, said.append)
        for code in codes:
            poller.watch(code)
        running = asyncio.ensure_future(poller.run())
        try:
            async with asyncio.timeout(2):
                while not running.done() and not holds(got, poller):
                    await asyncio.sleep(0.001)
            if running.done():
                await running
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert kis.most_at_once <= limits.polling_requests
        return got, silent, said

    return asyncio.run(run())


CODES = [f"{number:06d}" for number in range(100)]


def test_all_symbols_are_refreshed_equally_often_thirty_a_call():
    kis = Kis()
    got, _, _ = poll(kis, CODES, lambda got, _: len(got) == 100 and min(got.values()) >= 3)
    assert max(map(len, kis.asked)) == 30
    assert max(got.values()) - min(got.values()) <= 2


def test_calls_in_flight_are_no_more_than_a_second_lets_go():
    kis = Kis()
    poll(kis, CODES * 1, lambda got, _: len(got) == 100, polling_requests=2)
    assert kis.most_at_once == 2


def test_a_failing_kis_is_asked_again_after_a_moment_and_said_once():
    kis = Kis({1: RateRefused("too fast", "EGW00201"), 2: VenueBusy("busy")})
    got, _, said = poll(kis, CODES[:3], lambda got, _: got, backoff_first_ns=5_000_000)
    assert set(got) == set(CODES[:3])
    assert len(said) == 1
    assert "too fast" in said[0]


def test_a_symbol_kis_is_silent_about_is_told_and_left_alone_for_a_while():
    kis = Kis(known=set(CODES[1:3]))
    _, silent, _ = poll(kis, CODES[:3], lambda got, _: got and min(got.values()) > 5)
    assert silent == [CODES[0]]


def test_what_people_must_act_on_ends_the_polling():
    with pytest.raises(BadCredentials):
        poll(Kis({1: BadCredentials("no")}), CODES[:3], lambda *_: False)


def test_a_pause_asks_nothing_and_goes_on_after_it():
    kis = Kis()
    seen = []

    def holds(got, poller):
        if len(kis.asked) >= 3 and not seen:
            poller.pause(paused=True)
            seen.append(len(kis.asked))
            asyncio.get_running_loop().call_later(0.05, lambda: resume(poller))
        return len(seen) == 2 and len(kis.asked) > seen[1]

    def resume(poller):
        seen.append(len(kis.asked))
        poller.pause(paused=False)

    poll(kis, CODES[:3], holds)
    assert seen[1] - seen[0] <= 1


# --- the uses of streams ---------------------------------------------------------------------


def test_a_stream_is_wanted_once_and_given_up_with_its_last_use():
    calls = []
    wants = Wants(lambda *one: calls.append(one), lambda stream: calls.append(("left", stream)))
    for stream, use in (("a", 1), ("b", 1), ("a", 2), ("a", 1)):
        wants.use(stream, use)
    assert calls == [("a", 0), ("b", 1)]
    wants.leave("a", 1)
    wants.leave("a", 1)
    wants.leave("c", 1)
    assert (wants.uses("a", 1), wants.uses("a", 2), "a" in wants) == (False, True, True)
    wants.leave("a", 2)
    wants.use("a", 3)
    assert calls[2:] == [("left", "a"), ("a", 2)]
    assert wants.streams == ("b", "a")
