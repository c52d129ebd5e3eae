"""Where failures are isolated, a strategy that fails ends alone: said, cancelled, asked no more."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hosted import BTC, ETH, Purse, Scripted, Stage, buy, once
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import InstrumentId
from places import PLACES

from catalog.words import describe
from strategies.host import core
from strategies.host.faults import OnDeciderFailure
from strategies.markets.facts import RAW_ONE
from strategies.messages import (
    Alert,
    BrakePulled,
    Cancel,
    CancelOrder,
    Flatten,
    Intent,
    KillAction,
    KillSwitch,
    OrderState,
    Revoke,
    StrategyStopped,
    Submit,
    Wake,
)
from strategies.ports import Kind


def isolated(*strategies: Scripted, **around: Any) -> Stage:
    """Return a stage whose strategies fail alone."""
    return Stage(*strategies, **around, on_decider_failure=OnDeciderFailure.ISOLATE)


def _boom(_value: object) -> None:
    raise KeyError("lost")


def _generator(_value: object) -> Iterator[Intent]:
    yield Alert("first")
    raise ValueError("half way")


def _endless(_value: object) -> Iterator[Intent]:
    while True:
        yield Alert("more")


WRONGS: dict[str, tuple[Callable[[object], Any], str]] = {
    "raises": (_boom, "KeyError: 'lost'"),
    "generator": (_generator, "ValueError: half way"),
    "no intent": (lambda _: ["buy"], "not an intent"),
    "no list": (lambda _: Alert("alone"), "return a list of intents"),
    "endless": (_endless, "more than 100,000 intents"),
}


@pytest.mark.parametrize("wrong", WRONGS)
@pytest.mark.parametrize("place", PLACES)
def test_whatever_fails_wherever_ends_its_strategy_and_no_other(place: str, wrong: str) -> None:
    heard: list[str] = []
    script, words = WRONGS[wrong]
    trade = {} if place == "trade" else {"trade": once(buy())}
    stage = isolated(
        Scripted("a", trade=lambda _: heard.append("a")),
        Scripted("b", **(trade | {place: script})),
        Scripted("c", trade=lambda _: heard.append("c"), start=lambda _: [Alert("c starts")]),
    )
    PLACES[place](stage)
    (fault,) = stage.entries(Kind.FAULT)
    assert isinstance(fault.message, StrategyStopped)
    assert fault.message.strategy == fault.source == "b"
    assert words in fault.message.error
    assert ("hosted.py, line" in fault.message.place) == (wrong == "raises")
    assert stage.host.stopped == {"b": fault.message}
    assert stage.host.counts.stopped == 1
    heard.clear()
    stage.trade()
    assert heard == ["a", "c"]
    assert len(stage.entries(Kind.FAULT)) == 1


def test_the_entries_of_a_failure_name_their_causes() -> None:
    purse = Purse(answers={StrategyStopped: [BrakePulled("x", "strategy a", 0, 0, "failed")]})
    stage = isolated(Scripted("a", trade=lambda _: [buy()], timer=_boom), purse=purse)
    stage.trade()
    stage.trade(ETH)
    stage.venue.wakes["a", "w"] = 0
    stage.ring("a", "w")
    timer, fault, alert, *cancels, brake = stage.journal.entries[-6:]
    assert (timer.kind, fault.cause_id) == (Kind.TIMER, timer.id)
    assert alert.message == Alert("strategy a failed and is asked nothing more: KeyError: 'lost'")
    assert (alert.kind, alert.source) == (Kind.INTENT, "host")
    said = describe(fault)
    assert said.startswith("a failed and is asked nothing more: KeyError: 'lost' (hosted.py, line ")
    orders = [c for c in stage.venue.sent if isinstance(c, Submit)]
    assert [c.message for c in cancels] == [
        CancelOrder(o.order_id, o.instrument_id) for o in orders
    ]
    assert stage.venue.sent[-2:] == [c.message for c in cancels]
    assert {e.cause_id for e in (alert, *cancels, brake)} == {fault.id}
    assert (brake.kind, brake.source) == (Kind.CAPITAL, "capital")
    assert purse.heard[-1] == fault.message


def test_a_market_event_is_journalled_where_only_a_failure_answers_it() -> None:
    stage = isolated(Scripted("a", trade=_boom))
    stage.trade()
    market, fault, alert = stage.entries()
    assert [market.kind, fault.kind, alert.kind] == [Kind.MARKET, Kind.FAULT, Kind.INTENT]
    assert market.source == str(BTC)
    assert fault.cause_id == market.id
    stage.trade()
    assert len(stage.entries()) == 3


def test_fills_and_order_updates_still_reach_the_position_of_a_stopped_strategy() -> None:
    strategy = Scripted("a", trade=once(buy(quantity="3.000")), order=_boom, fill=_boom)
    stage = isolated(strategy)
    stage.trade()
    order = stage.venue.sent[0].order_id
    stage.update(order, OrderState.ACCEPTED)
    assert stage.host.stopped
    stage.fill(order, "1.000", "T1")
    stage.update(order, OrderState.CANCELED)
    assert strategy.position(BTC).net_raw == RAW_ONE
    assert not strategy.is_pending(BTC)
    assert [type(m).__name__ for m in stage.purse.heard[-2:]] == ["Fill", "OrderUpdate"]
    assert len(stage.entries(Kind.FAULT)) == 1


def test_kill_and_flatten_still_work_for_a_stopped_strategy() -> None:
    stage = isolated(Scripted("a", trade=once(buy()), fill=_boom))
    stage.trade()
    stage.fill(stage.venue.sent[0].order_id)
    stage.purse.answers[KillSwitch] = [Flatten("a", BTC, "kill")]
    stage.host.on_report(KillSwitch(KillAction.FLATTEN, "now", 9))
    assert isinstance(stage.venue.sent[-1], Submit)
    leave = stage.venue.sent[-1]
    assert leave.reduces
    stage.purse.answers[KillSwitch] = [Revoke("a", leave.order_id, BTC, "kill")]
    stage.host.on_report(KillSwitch(KillAction.PULL, "now", 10))
    assert stage.venue.sent[-1] == CancelOrder(leave.order_id, BTC)


def test_an_alarm_of_a_stopped_strategy_is_journalled_and_not_answered() -> None:
    asked: list[object] = []
    stage = isolated(
        Scripted("a", start=lambda _: [Wake("w", 5, "r")], trade=_boom, timer=asked.append)
    )
    stage.start()
    stage.trade()
    stage.ring("a", "w")
    assert len(stage.entries(Kind.TIMER)) == 1
    assert asked == []


def test_an_answer_to_every_refusal_ends_its_strategy() -> None:
    stage = isolated(
        Scripted("stubborn", trade=once(buy()), refusal=lambda _: [buy()]),
        purse=Purse(closed=True),
    )
    stage.trade()
    assert stage.host.stopped["stubborn"].error == "answers every refusal with a new request"


def test_one_that_uses_up_the_numbers_of_a_delivery_leaves_room_for_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(core, "MESSAGES_PER_DELIVERY_MAX", 32)
    calm = Scripted("b", trade=lambda _: [Alert("here")] * 2)
    stage = isolated(Scripted("a", trade=once(*[buy()] * 16)), calm)
    stage.trade()
    assert stage.host.stopped["a"].error == "decided more than 8 things"
    assert list(stage.host.stopped) == ["a"]
    orders = [c.order_id for c in stage.venue.sent if isinstance(c, Submit)]
    assert [c.order_id for c in stage.venue.sent if isinstance(c, CancelOrder)] == orders
    assert len(orders) == 3
    assert [e.message for e in stage.entries(Kind.INTENT) if e.source == "b"] == [Alert("here")] * 2


def test_an_address_in_an_error_is_left_out_because_no_re_execution_repeats_it() -> None:
    def loud(_event: object) -> None:
        raise ValueError(f"lost {object()!r}")

    stage = isolated(Scripted("a", trade=loud))
    stage.trade()
    assert stage.host.stopped["a"].error == "ValueError: lost <object object at 0x...>"


def test_the_only_listener_of_a_stream_goes_silent_too() -> None:
    asked: list[object] = []

    def fail(event: object) -> None:
        asked.append(event)
        raise KeyError

    stage = isolated(Scripted("a", only=[BTC], trade=fail), instruments=[BTC])
    stage.trade()
    stage.trade()
    assert len(asked) == 1
    assert stage.host.seq == 2


def test_a_failure_of_the_capital_manager_still_stops_the_run() -> None:
    class Broken(Purse):
        def on_stopped(self, stopped: StrategyStopped) -> list[Any]:
            raise ZeroDivisionError

    stage = isolated(Scripted("a", trade=_boom), purse=Broken())
    with pytest.raises(ZeroDivisionError):
        stage.trade()


def test_the_users_interrupt_stops_the_run_all_the_same() -> None:
    def interrupted(_event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        isolated(Scripted("a", trade=interrupted)).trade()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from(["trade", "other", "fill", "cancel", "ring"]), max_size=30),
    st.integers(0, 12),
)
def test_the_others_decide_the_same_whenever_one_fails(steps: list[str], fails_at: int) -> None:
    """What a strategy decides does not depend on another's failure, as long as money is enough."""

    def played(fails: int) -> list[object]:
        calls = [0]

        def maybe(_event: object) -> list[Intent]:
            calls[0] += 1
            if calls[0] == fails:
                raise RuntimeError("now")
            return [Alert("a")]

        answer = lambda _: [buy(), Cancel(ETH, "c")]  # noqa: E731 - one line for three handlers
        stage = isolated(
            Scripted("a", trade=maybe, fill=maybe, order=maybe, timer=maybe),
            Scripted("b", trade=answer, fill=lambda _: [Alert("fill")]),
        )
        for number, step in enumerate(steps):
            _do(stage, step, number)
        mine = [e.message for e in stage.entries(Kind.INTENT) if e.source == "b"]
        assert all(e.cause_id in stage.by_id() for e in stage.entries() if e.cause_id)
        return mine

    assert played(fails_at) == played(0)


def _do(stage: Stage, step: str, number: int) -> None:
    instruments: dict[str, InstrumentId] = {"trade": BTC, "other": ETH}
    open_orders = [
        c.order_id
        for c in stage.venue.sent
        if isinstance(c, Submit) and stage.host.is_open(c.order_id)
    ]
    if step in instruments:
        stage.trade(instruments[step])
    elif step == "ring":
        stage.venue.wakes["a", "w"] = 0
        stage.ring("a", "w")
    elif open_orders and step == "fill":
        stage.fill(open_orders[0], "1.000", f"T{number}")
    elif open_orders:
        stage.update(open_orders[0], OrderState.CANCELED)
