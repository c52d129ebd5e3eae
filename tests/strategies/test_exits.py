"""Exit rules fire at their level, at no price before it, once, and for both sides."""

from typing import Any

import pytest
from tapes import MINUTE_NS, FakeHost, bar, brief, make, make_facts

from strategies.decider import Intents, ParamError
from strategies.entries import TradeParams, TradingStrategy
from strategies.messages import Enter, Exit, Grant


class Opens(TradingStrategy[TradeParams]):
    """Wants what ``plan`` says by bar number, and otherwise only follows the exit rules."""

    plan: dict[int, int] = {1: 1}  # noqa: RUF012 - replaced per test, never changed in place

    def on_start(self, ts_ns: int) -> Intents:
        self.bars = 0
        return None

    def on_bar(self, bar: Any) -> Intents:
        self.bars += 1
        desk = self.desks[bar.bar_type.instrument_id]
        if self.bars in self.plan:
            return self.want(desk, self.plan[self.bars], "planned", bar.ts_event)
        exits = desk.exits
        leave = exits.check(bar.close.raw, bar.ts_event) if exits.armed else None
        return (leave,) if leave else None


def run(closes: list[Any], plan: dict[int, int], params: TradeParams, **host: Any) -> FakeHost:
    """Open at bar 2's open by the plan; the opening bar's open is the first close."""
    kind = type("Opens", (Opens,), {"plan": plan})
    fake = FakeHost(make(kind, params), **host)
    fake.run([bar(i * MINUTE_NS, close) for i, close in enumerate(closes, 1)])
    return fake


LONG, SHORT = {1: 1}, {1: -1}


@pytest.mark.parametrize(
    ("rules", "plan", "last", "reason"),
    [
        ({"stop_bps": 100}, LONG, 9901, None),
        ({"stop_bps": 100}, LONG, 9900, "stop: 9900 <= 9900, 100 bps from entry 10000"),
        ({"stop_bps": 100}, SHORT, 10099, None),
        ({"stop_bps": 100}, SHORT, 10100, "stop: 10100 >= 10100, 100 bps from entry 10000"),
        ({"take_profit_bps": 100}, LONG, 10099, None),
        (
            {"take_profit_bps": 100},
            LONG,
            10100,
            "take-profit: 10100 >= 10100, 100 bps from entry 10000",
        ),
        ({"take_profit_bps": 100}, SHORT, 9901, None),
        (
            {"take_profit_bps": 100},
            SHORT,
            9900,
            "take-profit: 9900 <= 9900, 100 bps from entry 10000",
        ),
        ({"trailing_stop_bps": 100}, LONG, 9901, None),
        (
            {"trailing_stop_bps": 100},
            LONG,
            9900,
            "trailing stop: 9900 <= 9900, 100 bps from best 10000, entry 10000",
        ),
        ({"hold_minutes": 2}, LONG, 10000, None),
        ({"hold_minutes": 1}, LONG, 10000, "time: held for 1 minutes"),
        ({}, LONG, 1, None),
    ],
)
def test_levels(rules: Any, plan: Any, last: int, reason: str | None) -> None:
    host = run([10000, 10000, last], plan, TradeParams(sides="long_short", **rules))
    leaves = [(at, intent.reason) for at, intent in host.log if isinstance(intent, Exit)]
    assert leaves == ([(2, reason)] if reason else [])


@pytest.mark.parametrize(
    ("plan", "closes", "level"),
    [
        (LONG, [10000, 10000, 11000, 10891, 10890], "10890 <= 10890, 100 bps from best 11000"),
        (SHORT, [10000, 10000, 9000, 9089, 9090], "9090 >= 9090, 100 bps from best 9000"),
    ],
)
def test_trailing_stop_follows_the_best_price(plan: Any, closes: Any, level: str) -> None:
    host = run(closes, plan, TradeParams(sides="long_short", trailing_stop_bps=100))
    at, leave = host.log[-1]
    assert (at, leave.reason) == (4, f"trailing stop: {level}, entry 10000")


def test_the_nearer_of_stop_and_trailing_stop_counts() -> None:
    params = TradeParams(stop_bps=100, trailing_stop_bps=300)
    host = run([10000, 10000, 10100, 9900], LONG, params)
    assert host.log[-1][1].reason == "stop: 9900 <= 9900, 100 bps from entry 10000"


def test_nothing_fires_while_an_order_is_pending() -> None:
    host = run([10000, 10000, 9000, 9000], LONG, TradeParams(stop_bps=100))
    assert brief(host.log) == [(0, "enter buy"), (2, "exit")]
    host = FakeHost(make(Opens, TradeParams(stop_bps=100)))
    host.run([bar(MINUTE_NS, 10000), bar(2 * MINUTE_NS, 10000)])
    host.fills = False
    for minute in range(3, 9):
        host.feed(bar(minute * MINUTE_NS, 9000))
    assert brief(host.log) == [(0, "enter buy"), (2, "exit")]


def test_a_refused_exit_is_asked_again_after_one_two_four_minutes() -> None:
    host = run(
        [10000, 10000, *[9000] * 20],
        LONG,
        TradeParams(stop_bps=100),
        refuse=lambda intent: isinstance(intent, Exit),
    )
    assert [at for at, intent in host.log if isinstance(intent, Exit)] == [2, 3, 5, 9, 17]


def test_a_rejected_exit_is_asked_again() -> None:
    rejections = iter([False, True, False])

    def reject(grant: Grant) -> bool:
        return next(rejections)

    host = run([10000, 10000, *[9000] * 5], LONG, TradeParams(stop_bps=100), reject=reject)
    assert brief(host.log) == [(0, "enter buy"), (2, "exit"), (3, "exit")]
    assert host.strategy.position(make_facts().instrument_id).net_raw == 0


def test_an_own_exit_that_failed_is_asked_again_unless_the_wish_returns() -> None:
    refuse_exits = {"refuse": lambda intent: isinstance(intent, Exit)}
    again = run([10000] * 6, {1: 1, 3: 0}, TradeParams(), **refuse_exits)
    leaves = [(at, intent.reason) for at, intent in again.log if isinstance(intent, Exit)]
    assert leaves == [(at, "planned") for at in (2, 3, 5)]
    stayed = run([10000] * 6, {1: 1, 3: 0, 4: 1}, TradeParams(), **refuse_exits)
    assert brief(stayed.log) == [(0, "enter buy"), (2, "exit")]


def test_levels_stand_on_the_average_entry() -> None:
    host = FakeHost(make(Opens, TradeParams(stop_bps=100)))
    host.run([bar(MINUTE_NS, 10000), bar(2 * MINUTE_NS, 10000)])
    host._take((Enter(make_facts().instrument_id, host.log[0][1].side, "more"),))
    host.feed(bar(3 * MINUTE_NS, 11000))  # ten at 10000 and ten at 11000: 10500
    host.feed(bar(4 * MINUTE_NS, 10396))
    host.feed(bar(5 * MINUTE_NS, 10395))
    assert host.log[-1] == (
        4,
        Exit(make_facts().instrument_id, "stop: 10395 <= 10395, 100 bps from entry 10500"),
    )


def test_a_new_position_starts_anew() -> None:
    params = TradeParams(sides="long_short", stop_bps=100, hold_minutes=3)
    host = run([10000, 10000, 10000, 10000, 10050, 10050, 10101], {1: 1, 3: -1}, params)
    assert brief(host.log) == [
        (0, "target long"),
        (2, "target short"),
        (6, "exit"),
    ]
    assert host.log[-1][1].reason == "stop: 10101 >= 10100, 100 bps from entry 10000"


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ({"stop_bps": 0}, "stop_bps=0 must be above 0"),
        ({"take_profit_bps": -1}, "take_profit_bps=-1"),
        ({"hold_minutes": 0}, "hold_minutes=0"),
        ({"stop_bps": 10_000}, "can never be reached"),
        ({"trailing_stop_bps": 20_000}, "can never be reached"),
    ],
)
def test_contradictory_rules_are_refused(rules: Any, text: str) -> None:
    with pytest.raises(ParamError, match=text):
        make(Opens, TradeParams(**rules))
