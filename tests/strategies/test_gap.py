"""The gap strategy on daily and intraday tapes: which gaps, which side, and how it leaves."""

from typing import Any

import pytest
from tapes import MINUTE_NS, FakeHost, bar, brief, make, make_facts, seoul_days, seoul_ns, trade

from strategies.decider import ParamError
from strategies.gap import GapParams, GapTrading
from strategies.markets.sessions import DAY_NS

DAYS = ("2026-11-17", "2026-11-18", "2026-11-19", "2026-11-20")
FACTS = make_facts(sessions=seoul_days(*DAYS))


def at(day: int, time: str) -> int:
    return seoul_ns(f"{DAYS[day]} {time}")


def daily(*opens_and_closes: tuple[int, int]) -> list[Any]:
    """A print at 09:00 and a bar at 15:30 each day."""
    return [
        event
        for day, (first, last) in enumerate(opens_and_closes)
        for event in (trade(at(day, "09:00"), first), bar(at(day, "15:30"), last, open_=first))
    ]


def host(**params: Any) -> FakeHost:
    return FakeHost(make(GapTrading, GapParams(**params), FACTS))


@pytest.mark.parametrize(
    ("open_", "direction", "sides", "expected"),
    [
        (9900, "fade", "long", "enter buy"),
        (9900, "follow", "long", None),
        (10100, "fade", "long", None),
        (10100, "follow", "long", "enter buy"),
        (10100, "fade", "long_short", "target short"),
        (9900, "follow", "long_short", "target short"),
        (9900, "fade", "long_short", "target long"),
        (9901, "fade", "long", None),  # 99 bps
        (9000, "fade", "long", "enter buy"),  # 1000 bps, still in
        (8999, "fade", "long", None),
        (10000, "fade", "long", None),
    ],
)
def test_gaps_and_sides(open_: int, direction: Any, sides: Any, expected: str | None) -> None:
    tested = host(direction=direction, sides=sides)
    tested.run(daily((9800, 10000), (open_, 9950))[:3])
    assert brief(tested.log) == ([(2, expected)] if expected else [])


def test_the_reason_carries_the_numbers() -> None:
    tested = host()
    tested.run(daily((9800, 10000), (9850, 9950)))
    assert tested.log[0][1].reason == "gap -150 bps: open 9850 against previous close 10000, fade"


def test_a_daily_tape_leaves_on_the_closing_bar_and_trades_the_next_open_again() -> None:
    tested = host()
    tested.run(daily((9800, 10000), (9850, 9950), (9800, 9900), (9700, 9750)))
    assert brief(tested.log) == [
        (2, "enter buy"),  # filled at the bar of 15:30 by this host
        (3, "exit"),
        (4, "enter buy"),  # the exit filled at this print
        (5, "exit"),
        (6, "enter buy"),
        (7, "exit"),
    ]
    assert tested.log[1][1].reason == "time: 10 minutes before the close"


def test_a_daily_bar_stamped_after_an_early_close_still_closes_the_day() -> None:
    tested = host(exit_at_close=True)
    events = daily((9800, 10000), (9850, 9950), (9800, 9800))
    late = [bar(at(day, "16:00"), c, span="1-DAY") for day, c in enumerate((10000, 9950, 9800))]
    tested.run([late[i // 2] if i % 2 else event for i, event in enumerate(events)])
    assert brief(tested.log)[:3] == [(2, "enter buy"), (3, "exit"), (4, "enter buy")]
    assert "previous close 9950" in tested.log[2][1].reason


def test_a_signal_at_the_open_waits_for_the_exit_still_under_way() -> None:
    tested = host()
    tested.run(daily((9800, 10000), (9850, 9950)))
    tested.fills = False
    tested.feed(trade(at(2, "09:00"), 9800))
    assert brief(tested.log)[2:] == []
    tested.fill(FACTS.instrument_id, trade(0, 9800).price, at(2, "09:01"))
    assert brief(tested.log)[2:] == [(4, "enter buy")]


def test_a_waiting_signal_is_forgotten_after_its_session() -> None:
    tested = host()
    tested.run(daily((9800, 10000), (9850, 9950)))
    tested.fills = False
    tested.feed(trade(at(2, "09:00"), 9800))
    tested.fill(FACTS.instrument_id, trade(0, 9800).price, at(3, "09:00"))
    assert brief(tested.log) == [(2, "enter buy"), (3, "exit")]


def test_intraday_bars_take_the_first_bars_open_and_leave_before_the_close() -> None:
    tested = host()
    tested.run(
        [
            bar(at(0, "15:30"), 10000),
            bar(at(1, "09:01"), 9870, open_=9850),
            bar(at(1, "09:02"), 9800),
            bar(at(1, "15:19"), 9800),
            bar(at(1, "15:20"), 9800),
            bar(at(1, "15:30"), 9800),
        ]
    )
    assert brief(tested.log) == [(1, "enter buy"), (4, "exit")]
    assert "open 9850" in tested.log[0][1].reason


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"stop_bps": 100}, "stop: 9750"),
        ({"hold_minutes": 30}, "time: held for 30 minutes"),
    ],
)
def test_exit_rules_leave_before_the_close(params: Any, reason: str) -> None:
    tested = host(**params)
    tested.run(
        [
            trade(at(0, "15:30"), 10000),
            trade(at(1, "09:00"), 9850),
            trade(at(1, "09:01"), 9850),
            trade(at(1, "09:31"), 9750),
        ]
    )
    assert brief(tested.log) == [(1, "enter buy"), (3, "exit")]
    assert tested.log[1][1].reason.startswith(reason)


def test_one_decision_a_session() -> None:
    tested = FakeHost(make(GapTrading, GapParams(), FACTS), refuse=lambda intent: True)
    tested.run([trade(at(0, "15:30"), 10000), *(trade(at(1, f"09:0{i}"), 9850) for i in range(5))])
    assert tested.refused == 1


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([trade(at(1, "09:00"), 9850)], id="no-close-known"),
        pytest.param(
            [trade(at(0, "15:30"), 10000), trade(at(2, "09:00"), 9850)], id="a-session-missing"
        ),
        pytest.param(
            [trade(at(0, "15:30"), 10000), trade(at(1, "09:31"), 9850)], id="first-price-late"
        ),
        pytest.param(
            [trade(at(0, "15:30"), 10000), trade(at(1, "08:59"), 9850)], id="before-the-open"
        ),
        pytest.param(
            [bar(at(0, "15:30"), 10000), bar(at(1, "15:30"), 9900, open_=9850)],
            id="only-daily-bars",
        ),
    ],
)
def test_no_gap_without_an_open_and_the_close_before(events: list[Any]) -> None:
    assert host().run(events) == []


def test_a_position_left_over_is_left_at_the_next_price() -> None:
    tested = host()
    tested.run(
        [
            trade(at(0, "15:30"), 10000),
            trade(at(1, "09:00"), 9850),
            trade(at(1, "09:01"), 9850),
            trade(at(2, "09:00"), 9850),
        ]
    )
    assert brief(tested.log) == [(1, "enter buy"), (3, "exit")]


def test_a_bar_at_midnight_closes_the_day_before() -> None:
    facts = make_facts("BTCUSDT-PERP.BINANCE")
    tested = FakeHost(make(GapTrading, GapParams(), facts))
    rows = ((DAY_NS - MINUTE_NS, 9000, 9000), (DAY_NS, 9000, 10000), (DAY_NS + MINUTE_NS, 9850, 1))
    tested.run(
        [bar(ts, close, open_=first, symbol="BTCUSDT-PERP.BINANCE") for ts, first, close in rows]
    )
    assert tested.log[0][1].reason == "gap -150 bps: open 9850 against previous close 10000, fade"


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"min_gap_bps": 0}, "min_gap_bps=0"),
        ({"min_gap_bps": 200, "max_gap_bps": 100}, "in this order"),
        ({"exit_minutes_before_close": -1}, "exit_minutes_before_close=-1"),
        ({"exit_at_close": False}, "no way out"),
        ({"open_window_minutes": 0}, "open_window_minutes=0"),
    ],
)
def test_contradictory_parameters_are_refused(params: Any, text: str) -> None:
    with pytest.raises(ParamError, match=text):
        host(**params)
