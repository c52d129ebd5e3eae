"""In which order the host asks, journals and sends, and what each entry names as its cause."""

import pytest
from hosted import BTC, ETH, Purse, Scripted, Stage, buy, once
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import ClientOrderId, InstrumentId, OrderSide

from strategies.errors import InvariantBroken
from strategies.markets.facts import RAW_ONE
from strategies.messages import (
    Alert,
    BrakePulled,
    Cancel,
    CancelOrder,
    Command,
    Exit,
    Fill,
    Flatten,
    Grant,
    KillAction,
    KillSwitch,
    OrderState,
    Revoke,
    Started,
    Submit,
    Wake,
)
from strategies.ports import Kind, split_id


def test_deciders_are_asked_in_scenario_order_at_start_and_on_events() -> None:
    asked: list[str] = []

    def noted(name: str) -> Scripted:
        return Scripted(
            name,
            start=lambda _: asked.append(f"start {name}"),
            trade=lambda _: asked.append(f"trade {name}"),
        )

    stage = Stage(noted("z"), noted("a"), noted("m"))
    stage.start()
    stage.trade()
    assert asked == ["start z", "start a", "start m", "trade z", "trade a", "trade m"]
    assert stage.purse.heard == [1_000]
    assert stage.host.seq == 2
    assert [e.message for e in stage.entries()] == [Started(1_000)]  # nobody decided anything


def test_an_event_is_journalled_once_and_only_where_something_was_decided() -> None:
    alert = once(Alert("x"))
    stage = Stage(Scripted("a", trade=alert), Scripted("b", trade=once(Alert("y"))))
    stage.trade()
    stage.trade()
    kinds = [(e.kind, e.source, e.seq) for e in stage.entries()]
    assert kinds == [
        (Kind.MARKET, str(BTC), 1),
        (Kind.INTENT, "a", 1),
        (Kind.INTENT, "b", 1),
    ]


def test_reports_within_send_wait_until_every_decider_has_had_the_event() -> None:
    seen: list[str] = []
    first = Scripted(
        "first",
        trade=lambda _: (seen.append("first trade"), [buy()])[1],
        fill=lambda _: seen.append("first fill"),
        order=lambda _: seen.append("first order"),
    )
    second = Scripted("second", trade=lambda _: seen.append("second trade"))
    stage = Stage(first, second)

    def at_once(command: Command) -> None:
        stage.update(command.order_id, OrderState.ACCEPTED)
        stage.fill(command.order_id)
        stage.position()

    stage.venue.answer = at_once
    stage.trade()
    assert seen == ["first trade", "second trade", "first order", "first fill"]
    market, _intent, _grant, command, order, fill, position = stage.entries()
    assert [e.seq for e in stage.entries()] == [1, 1, 1, 1, 2, 3, 4]
    assert order.cause_id == fill.cause_id == command.id
    assert position.cause_id == fill.id
    assert {e.workflow_id for e in stage.entries()} == {market.id}


def test_what_a_fill_leads_to_belongs_to_the_workflow_of_the_first_event() -> None:
    stage = Stage(Scripted("a", trade=once(buy()), fill=once(Exit(BTC, "out"))))
    stage.trade()
    first = stage.venue.sent[0].order_id
    stage.trade()
    stage.fill(first)
    out = stage.venue.sent[1].order_id
    stage.fill(out)
    entries = stage.entries()
    assert {e.workflow_id for e in entries} == {entries[0].id}
    fills = stage.entries(Kind.FILL)
    assert [e.seq for e in fills] == [3, 4]
    exit_intent = stage.entries(Kind.INTENT)[1]
    assert exit_intent.cause_id == fills[0].id


def test_capital_hears_a_fill_before_its_strategy_and_only_the_owner_hears_it() -> None:
    heard: list[str] = []
    stage = Stage(
        Scripted("a", trade=once(buy()), fill=lambda _: heard.append(f"a {len(purse.heard)}")),
        Scripted("b", fill=lambda _: heard.append("b")),
        purse=(purse := Purse()),
    )
    stage.trade()
    stage.fill(stage.venue.sent[0].order_id)
    assert heard == ["a 1"]
    assert isinstance(purse.heard[0], Fill)


def test_capital_may_decide_too() -> None:
    purse = Purse(answers={int: [Wake("open", 5_000, "bands")], Fill: [Alert("large fill")]})
    stage = Stage(Scripted("a", trade=once(buy())), purse=purse)
    stage.start()
    assert stage.venue.wakes == {("capital", "open"): 5_000}
    stage.ring("capital", "open")
    stage.trade()
    stage.fill(stage.venue.sent[0].order_id)
    intents = [(e.source, e.message) for e in stage.entries(Kind.INTENT)]
    assert intents[-1] == ("capital", Alert("large fill"))


# --- refusals ------------------------------------------------------------------------------------


def test_a_refusal_is_answered_within_the_delivery_and_caused_by_it() -> None:
    asked = []
    stage = Stage(
        Scripted("a", trade=once(buy(), buy(ETH)), refusal=asked.append),
        purse=Purse(closed=True),
    )
    stage.trade()
    assert [r.instrument_id for r in asked] == [BTC, ETH]
    assert stage.host.counts.refusals == 2
    assert stage.venue.sent == []


def test_an_answer_to_a_refusal_comes_after_what_was_decided_with_it() -> None:
    stage = Stage(
        Scripted("a", trade=once(buy(), Alert("second")), refusal=once(Alert("after no"))),
        purse=Purse(closed=True),
    )
    stage.trade()
    refusal = stage.entries(Kind.REFUSAL)[0]
    reasons = [(e.message.reason, e.cause_id) for e in stage.entries(Kind.INTENT)]  # type: ignore[attr-defined]  # every intent has one
    market = stage.entries(Kind.MARKET)[0]
    assert reasons == [
        ("because", market.id),
        ("second", market.id),
        ("after no", refusal.id),
    ]


def test_many_requests_refused_at_once_are_no_loop() -> None:
    answers: list[object] = []
    stage = Stage(
        Scripted("a", trade=once(*[buy()] * 2_500), refusal=answers.append),
        purse=Purse(closed=True),
    )
    stage.trade()
    assert len(answers) == 2_500


# --- orders, cancels, alarms ---------------------------------------------------------------------


def _sent(stage: Stage) -> list[tuple[type, ClientOrderId]]:
    return [(type(c), c.order_id) for c in stage.venue.sent]


def test_cancel_takes_the_own_orders_of_one_instrument() -> None:
    stage = Stage(
        Scripted("a", trade=once(buy(), buy(ETH), buy()), timer=lambda _: [Cancel(BTC, "c")]),
        Scripted("b", trade=once(buy())),
    )
    stage.venue.wakes["a", "now"] = 0
    stage.trade()
    orders = [c.order_id for c in stage.venue.sent]
    stage.ring("a", "now")
    assert _sent(stage)[4:] == [(CancelOrder, orders[0]), (CancelOrder, orders[2])]


def test_cancel_of_one_order_by_its_id_leaves_the_others() -> None:
    def last_of(stage: Stage) -> ClientOrderId:
        return stage.venue.sent[1].order_id

    strategy = Scripted(
        "a",
        trade=once(buy(), buy()),
        timer=lambda _: [Cancel(BTC, "c", last_of(stage))],
    )
    stage = Stage(strategy)
    stage.venue.wakes["a", "now"] = 0
    stage.trade()
    stage.ring("a", "now")
    assert _sent(stage)[2:] == [(CancelOrder, stage.venue.sent[1].order_id)]


def test_cancel_of_another_strategys_or_an_ended_order_sends_nothing() -> None:
    stage = Stage(
        Scripted("a", trade=once(buy())),
        Scripted(
            "b", trade=once(buy()), timer=lambda _: [Cancel(BTC, "c", stage.venue.sent[0].order_id)]
        ),
    )
    stage.venue.wakes["b", "now"] = 0
    stage.trade()
    stage.ring("b", "now")
    assert len(stage.venue.sent) == 2
    stage.update(stage.venue.sent[1].order_id, OrderState.EXPIRED)
    stage.venue.wakes["b", "now"] = 0
    stage.ring("b", "now")
    assert len(stage.venue.sent) == 2


def test_an_alarm_is_handed_on_each_time_for_the_clock_to_replace() -> None:
    stage = Stage(Scripted("a", start=once(Wake("x", 5, "r"), Wake("x", 9, "r"))))
    stage.start()
    assert stage.venue.asked_to_wake == [("a", "x", 5), ("a", "x", 9)]
    assert stage.venue.wakes == {("a", "x"): 9}


def test_a_partial_fill_keeps_the_order_open_until_the_rest_is_filled() -> None:
    strategy = Scripted("a", trade=once(buy(quantity="3.000")))
    stage = Stage(strategy)
    stage.trade()
    order = stage.venue.sent[0].order_id
    stage.fill(order, "1.000", "T1")
    assert strategy.is_pending(BTC)
    assert stage.host.is_open(order)
    stage.fill(order, "2.000", "T2")
    assert not strategy.is_pending(BTC)
    assert not stage.host.is_open(order)
    assert strategy.position(BTC).net_raw == 3 * RAW_ONE


def test_an_order_that_ends_is_forgotten() -> None:
    strategy = Scripted("a", trade=once(buy()))
    stage = Stage(strategy)
    stage.trade()
    order = stage.venue.sent[0].order_id
    stage.update(order, OrderState.ACCEPTED)
    stage.update(order, OrderState.CANCEL_REJECTED)
    assert strategy.is_pending(BTC)
    stage.update(order, OrderState.REJECTED)
    assert not strategy.is_pending(BTC)


def test_a_report_of_an_unknown_order_stops_the_run() -> None:
    stage = Stage(Scripted("a", trade=once(buy())))
    stage.trade()
    with pytest.raises(InvariantBroken, match="OTHER, which this run never sent"):
        stage.host.owner(ClientOrderId("OTHER"))


def test_a_trade_reported_twice_is_journalled_and_changes_nothing() -> None:
    strategy = Scripted("a", trade=once(buy(quantity="3.000")))
    stage = Stage(strategy)
    stage.trade()
    order = stage.venue.sent[0].order_id
    stage.fill(order, "1.000", "T1")
    stage.host.on_report(stage.a_fill(order, "1.000", "T1"))
    stage.fill(order, "2.000", "T2")
    stage.host.on_report(stage.a_fill(order, "2.000", "T2"))
    assert [entry.message.trade_id for entry in stage.entries(Kind.REPEAT)] == ["T1", "T2"]
    assert len(stage.entries(Kind.FILL)) == 2
    assert strategy.position(BTC).net_raw == 3 * RAW_ONE


def test_a_fill_after_the_end_of_its_order_is_a_fill() -> None:
    strategy = Scripted("a", trade=once(buy(quantity="3.000")))
    stage = Stage(strategy)
    stage.trade()
    order = stage.venue.sent[0].order_id
    stage.update(order, OrderState.CANCELED)
    assert not stage.host.is_open(order)
    stage.fill(order, "1.000", "T1")
    assert strategy.position(BTC).net_raw == RAW_ONE
    assert not strategy.is_pending(BTC)
    with pytest.raises(InvariantBroken, match=r"by 2\.001, more than what was left"):
        stage.fill(order, "2.001", "T2")


def test_more_than_was_left_of_an_order_stops_the_run() -> None:
    stage = Stage(Scripted("a", trade=once(buy(quantity="3.000"))))
    stage.trade()
    with pytest.raises(InvariantBroken, match=r"by 3\.001, more than what was left"):
        stage.fill(stage.venue.sent[0].order_id, "3.001", "T1")
    assert stage.entries(Kind.FILL) == []


def test_the_capital_manager_cancels_and_closes_for_any_strategy() -> None:
    strategy = Scripted("a", trade=once(buy(quantity="3.000")))
    stage = Stage(strategy)
    stage.trade()
    order = stage.venue.sent[0].order_id
    stage.fill(order, "1.000", "T1")
    stage.purse.answers[KillSwitch] = [
        Revoke("a", order, BTC, "stop"),
        Flatten("a", BTC, "stop"),
        BrakePulled("kill_switch", "all", 0, 0, "stop"),
    ]
    stage.host.on_report(KillSwitch(KillAction.FLATTEN, "stop", 9))
    cancel, leave = stage.venue.sent[1:]
    assert cancel == CancelOrder(order, BTC)
    assert (leave.side, leave.reduces) == (OrderSide.SELL, True)
    assert stage.host.owner(leave.order_id) == "a"
    kinds = [(e.kind, type(e.message).__name__) for e in stage.journal.entries[-7:]]
    assert kinds == [
        (Kind.KILL, "KillSwitch"),
        (Kind.INTENT, "Revoke"),
        (Kind.COMMAND, "CancelOrder"),
        (Kind.INTENT, "Flatten"),
        (Kind.GRANT, "Grant"),
        (Kind.COMMAND, "Submit"),
        (Kind.CAPITAL, "BrakePulled"),
    ]


# --- any interleaving ----------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["trade", "quiet", "accept", "part", "fill", "cancel", "ring", "position"]),
        st.sampled_from([BTC, ETH]),
        st.booleans(),
    ),
    max_size=40,
)


def _busy(name: str, stage: list[Stage]) -> Scripted:
    """A strategy that decides something everywhere."""

    def on_trade(trade: object) -> list[object]:
        instrument_id = getattr(trade, "instrument_id", BTC)
        loud = str(getattr(trade, "price", "")) == "100.0"
        return [buy(instrument_id, "2.000"), Wake("w", 10**9, "later")] if loud else []

    return Scripted(
        name,
        trade=on_trade,  # type: ignore[arg-type]  # a list of intents
        timer=lambda _: [Cancel(BTC, "c"), Alert("rang")],
        order=lambda _: [Alert("order")],
        fill=lambda fill: (
            [Alert("fill"), Exit(fill.instrument_id, "out")] if stage[0].host.seq < 60 else None
        ),
        refusal=lambda _: [Alert("no")],
    )


def _open_order(stage: Stage) -> ClientOrderId | None:
    return next(
        (
            c.order_id
            for c in stage.venue.sent
            if isinstance(c, Submit) and stage.host.is_open(c.order_id)
        ),
        None,
    )


def _step(stage: Stage, what: str, instrument_id: InstrumentId, number: int) -> None:
    order = _open_order(stage)
    match what:
        case "trade":
            stage.trade(instrument_id)
        case "quiet":
            stage.trade(instrument_id, "99.0")
        case "ring" if stage.venue.wakes:
            stage.ring(*next(iter(stage.venue.wakes)))
        case "accept" if order:
            stage.update(order, OrderState.ACCEPTED)
        case "cancel" if order:
            stage.update(order, OrderState.CANCELED)
        case "part" | "fill" if order:
            stage.fill(order, "1.000", f"T{number}")
        case "position" if stage.entries(Kind.FILL):
            stage.position(instrument_id)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_ids_ascend_and_causes_exist_whatever_comes_in_which_order(
    steps: list[tuple[str, InstrumentId, bool]],
) -> None:
    known: list[Stage] = []
    stage = Stage(_busy("a", known), _busy("b", known))
    known.append(stage)
    stage.start()

    def at_once(command: Command) -> None:
        if stage.host.is_open(command.order_id):
            stage.update(command.order_id, OrderState.ACCEPTED)

    for number, (what, instrument_id, synchronous) in enumerate(steps):
        stage.purse.closed = synchronous and number % 3 == 0
        stage.venue.answer = at_once if synchronous else None
        _step(stage, what, instrument_id, number)
    entries, known_ids = stage.entries(), stage.by_id()
    ids = [e.id for e in entries]
    assert ids == sorted(set(ids))
    for entry in entries:
        place = split_id(entry.id)[1]
        if entry.kind in {Kind.STARTED, Kind.MARKET, Kind.TIMER}:
            assert (entry.cause_id, entry.workflow_id, place) == (0, entry.id, 0)
            continue
        cause = known_ids[entry.cause_id]
        assert cause.id < entry.id
        assert cause.workflow_id == entry.workflow_id
    granted = {e.id: e.message for e in entries if isinstance(e.message, Grant)}
    for entry in entries:
        if isinstance(entry.message, Submit):
            grant = granted.pop(entry.cause_id)
            assert isinstance(grant, Grant)
            assert grant.order_id == entry.message.order_id
    assert not granted
