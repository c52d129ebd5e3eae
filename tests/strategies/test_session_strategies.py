"""Intraday momentum and closing trend: the moment, the threshold, the side and the way out."""

from typing import Any

import pytest
from tapes import FakeHost, bar, brief, make, make_facts, seoul_days, seoul_ns, trade

from strategies.closing_trend import ClosingTrend, ClosingTrendParams
from strategies.decider import ParamError
from strategies.intraday_momentum import IntradayMomentum, IntradayMomentumParams
from strategies.markets.sessions import DAY_NS, ContinuousDays
from strategies.messages import Wake

DAYS = ("2026-11-19", "2026-11-20")
FACTS = make_facts(sessions=seoul_days(*DAYS))


def at(time: str, day: int = 0) -> int:
    return seoul_ns(f"{DAYS[day]} {time}")


def momentum(**params: Any) -> FakeHost:
    return FakeHost(make(IntradayMomentum, IntradayMomentumParams(**params), FACTS))


def closing(**params: Any) -> FakeHost:
    return FakeHost(make(ClosingTrend, ClosingTrendParams(**params), FACTS))


@pytest.mark.parametrize(
    ("last", "sides", "expected"),
    [
        (10050, "long", "enter buy"),
        (10049, "long", None),
        (9950, "long", None),
        (9950, "long_short", "target short"),
        (9951, "long_short", None),
        (10050, "long_short", "target long"),
    ],
)
def test_momentum_follows_the_first_move(last: int, sides: Any, expected: str | None) -> None:
    tested = momentum(sides=sides)
    tested.run([trade(at("09:00"), 10000), trade(at("09:29"), 9000), trade(at("09:30"), last)])
    assert brief(tested.log) == ([(2, expected)] if expected else [])


def test_momentum_says_why_and_leaves_before_the_close() -> None:
    tested = momentum()
    tested.run(
        [
            bar(at("09:01"), 10010, open_=10000),
            bar(at("09:30"), 10100),
            bar(at("09:31"), 10100),
            bar(at("15:19"), 10100),
            bar(at("15:21"), 10100),
            bar(at("15:22"), 10100),
        ]
    )
    enter, wake, leave = (intent for _, intent in tested.log)
    assert enter.reason == "momentum +100 bps in 30 minutes: 10100 from open 10000"
    assert (wake.name, wake.at_ns) == ("leave 005930.KRX", at("15:20"))
    assert leave.reason == "time: 10 minutes before the close"
    assert brief(tested.log) == [(1, "enter buy"), (4, "exit")]


def test_the_clock_leaves_where_no_price_comes() -> None:
    tested = momentum()
    tested.run([trade(at(t), p) for t, p in (("09:00", 100), ("09:30", 110), ("09:40", 110))])
    tested.ring(at("15:19"))
    assert brief(tested.log) == [(1, "enter buy")]
    tested.ring(at("15:20"))
    assert brief(tested.log) == [(1, "enter buy"), (2, "exit")]


def test_an_alarm_after_the_position_is_gone_does_nothing() -> None:
    tested = momentum(stop_bps=100)
    prices = (("09:00", 1000), ("09:30", 1100), ("09:40", 1100), ("10:00", 1000), ("10:01", 1000))
    tested.run([trade(at(t), p) for t, p in prices])
    before = list(tested.log)
    tested.ring(at("15:30"))
    assert tested.log == before
    assert brief(before) == [(1, "enter buy"), (3, "exit")]


def test_momentum_decides_once_a_session() -> None:
    tested = momentum()
    tested.refuse = lambda intent: True
    tested.run([trade(at("09:00"), 100), *(trade(at(f"10:0{i}"), 110) for i in range(5))])
    assert tested.refused == 1


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([trade(at("09:31"), 100), trade(at("09:40"), 110)], id="open-not-seen"),
        pytest.param([trade(at("09:00"), 100), trade(at("15:20"), 110)], id="too-late-to-enter"),
        pytest.param([trade(at("09:00"), 100), bar(at("15:30"), 110, open_=100)], id="daily-tape"),
        pytest.param([trade(at("09:00"), 100), trade(at("08:00", 1), 110)], id="between-sessions"),
    ],
)
def test_momentum_does_nothing_without_its_window(events: list[Any]) -> None:
    assert momentum().run(events) == []


def test_a_short_observation_needs_an_open_inside_it() -> None:
    events = [bar(at("09:20"), 110, open_=100), trade(at("09:30"), 110)]
    assert momentum(observe_minutes=15).run(events) == []
    assert brief(momentum(observe_minutes=25).run(events)) == [(1, "enter buy")]


def test_momentum_on_a_market_that_never_closes() -> None:
    facts = make_facts("BTCUSDT-PERP.BINANCE", sessions=ContinuousDays())
    tested = FakeHost(make(IntradayMomentum, IntradayMomentumParams(), facts))
    minute = DAY_NS // 1440
    tested.run(
        [
            bar(minutes * minute, close, symbol="BTCUSDT-PERP.BINANCE")
            for minutes, close in ((1, 100), (30, 101), (31, 101), (1430, 101), (1440, 101))
        ]
    )
    assert brief(tested.log) == [(1, "enter buy"), (3, "exit")]


@pytest.mark.parametrize(
    ("time", "last", "sides", "expected"),
    [
        ("15:10", 10100, "long", "enter buy"),
        ("15:09", 10100, "long", None),
        ("15:10", 10099, "long", None),
        ("15:10", 9900, "long", None),
        ("15:10", 9900, "long_short", "target short"),
        ("15:29", 10100, "long", "enter buy"),
        ("15:30", 10100, "long", None),  # the close itself is too late
    ],
)
def test_closing_trend_enters_near_the_close(
    time: str, last: int, sides: Any, expected: str | None
) -> None:
    tested = closing(sides=sides)
    tested.run([trade(at("09:00"), 10000), trade(at(time), last)])
    assert brief(tested.log) == ([(1, expected)] if expected else [])


def test_closing_trend_holds_overnight_and_leaves_after_the_open() -> None:
    tested = closing()
    times = (("09:00", 0), ("15:10", 0), ("15:11", 0), ("09:00", 1), ("09:04", 1), ("09:05", 1))
    tested.run([trade(at(t, day), 100 if t == "09:00" else 110) for t, day in times])
    assert brief(tested.log) == [(1, "enter buy"), (5, "exit")]
    assert tested.log[0][1].reason == ("day's trend +1000 bps before the close: 110 from open 100")
    assert [i.at_ns for _, i in tested.log if isinstance(i, Wake)] == [at("09:05", 1)]
    assert tested.log[-1][1].reason == "time: 5 minutes after the open"


def test_closing_trend_can_leave_before_the_same_close() -> None:
    tested = closing(exit="close")
    times = ("09:00", "15:10", "15:11", "15:28", "15:29")
    tested.run([trade(at(t), 100 if t == "09:00" else 110) for t in times])
    assert brief(tested.log) == [(1, "enter buy"), (4, "exit")]
    assert tested.log[-1][1].reason == "time: 1 minutes before the close"


def test_closing_trend_leaves_also_where_the_calendar_ended_and_grew() -> None:
    class Grows:
        """Knows the second day only once it has come, as a broker's calendar does."""

        known = seoul_days(DAYS[0])

        def at(self, ts_ns: int) -> Any:
            return seoul_days(*DAYS).at(ts_ns)

        def next_after(self, ts_ns: int) -> Any:
            return self.known.next_after(ts_ns)

    calendar = Grows()
    facts = make_facts(sessions=calendar)
    tested = FakeHost(make(ClosingTrend, ClosingTrendParams(), facts))
    tested.run([trade(at("09:00"), 100), trade(at("15:10"), 110), trade(at("15:11"), 110)])
    calendar.known = seoul_days(*DAYS)
    tested.feed(trade(at("09:00", 1), 110))
    tested.feed(trade(at("09:05", 1), 110))
    assert brief(tested.log) == [(1, "enter buy"), (4, "exit")]


@pytest.mark.parametrize(
    ("make_one", "params", "text"),
    [
        (momentum, {"observe_minutes": 0}, "observe_minutes=0"),
        (momentum, {"threshold_bps": 0}, "threshold_bps=0"),
        (momentum, {"exit_minutes_before_close": -1}, "exit_minutes_before_close=-1"),
        (closing, {"minutes_before_close": 0}, "minutes_before_close=0"),
        (closing, {"threshold_bps": 0}, "threshold_bps=0"),
        (closing, {"exit_minutes_after_open": -1}, "exit_minutes_after_open=-1"),
        (
            closing,
            {"exit": "close", "exit_minutes_before_close": 20},
            "must be below minutes_before_close=20",
        ),
    ],
)
def test_contradictory_parameters_are_refused(make_one: Any, params: Any, text: str) -> None:
    with pytest.raises(ParamError, match=text):
        make_one(**params)
