"""A session's open, last and previous close, at every edge of a session."""

import pytest
from tapes import MINUTE_NS, bar, seoul_days, seoul_ns

from strategies.markets.sessions import DAY_NS, ContinuousDays
from strategies.session_day import SessionDay


def see(day: SessionDay, ts_ns: int, price_raw: int) -> bool:
    """Show a price as the strategies do."""
    if not day.enter(ts_ns):
        return False
    day.last_raw = price_raw
    if day.fresh:
        day.start(price_raw, ts_ns)
    return True


def test_the_first_price_opens_and_the_last_closes() -> None:
    day = SessionDay(seoul_days("2026-11-19", "2026-11-20"))
    for text, price_raw in (("19 09:00", 10), ("19 12:00", 11), ("19 15:30", 12), ("20 09:00", 13)):
        assert see(day, seoul_ns(f"2026-11-{text}"), price_raw)
    assert (day.previous_close_raw, day.open_raw, day.last_raw) == (12, 13, 13)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("19 08:59", False),
        ("19 15:30", True),
        ("19 15:31", True),  # the closing auction's print
        ("19 15:32", False),
        ("20 08:30", False),
        ("20 09:00", True),
    ],
)
def test_prices_outside_sessions_do_not_count(text: str, counts: bool) -> None:
    day = SessionDay(seoul_days("2026-11-19", "2026-11-20"))
    if text > "19 09:00":
        see(day, seoul_ns("2026-11-19 10:00"), 10)
    assert see(day, seoul_ns(f"2026-11-{text}"), 99) is counts
    assert (day.last_raw == 99) is counts


def test_time_never_runs_backwards() -> None:
    day = SessionDay(seoul_days("2026-11-19", "2026-11-20"))
    see(day, seoul_ns("2026-11-20 09:00"), 13)
    assert not see(day, seoul_ns("2026-11-19 15:30"), 12)
    assert day.last_raw == 13


def test_a_session_without_a_price_leaves_no_previous_close() -> None:
    day = SessionDay(seoul_days("2026-11-18", "2026-11-19", "2026-11-20"))
    see(day, seoul_ns("2026-11-18 15:30"), 10)
    see(day, seoul_ns("2026-11-20 09:00"), 13)
    assert day.previous_close_raw == 0


def test_after_the_last_known_session_nothing_counts() -> None:
    day = SessionDay(seoul_days("2026-11-20"))
    see(day, seoul_ns("2026-11-20 15:30"), 10)
    assert day.following() is None
    assert not see(day, seoul_ns("2026-11-20 15:40"), 11)
    assert not see(day, seoul_ns("2026-11-23 09:00"), 12)
    assert day.last_raw == 10


@pytest.mark.parametrize(
    ("day_of_month", "time", "span", "belongs"),
    [
        (19, "15:30", "5-MINUTE", True),
        (19, "18:00", "1-DAY", True),  # stamped after a close that came early
        (20, "00:00", "1-DAY", True),
        (19, "18:00", "5-MINUTE", False),
        (19, "18:00", "100-TICK", False),
        (20, "09:00", "1-DAY", True),  # midnight in UTC: the day before, not the one that opens
        (21, "18:00", "1-DAY", False),
        (20, "18:00", "1-WEEK", True),
    ],
)
def test_bars_between_sessions(day_of_month: int, time: str, span: str, belongs: bool) -> None:
    day = SessionDay(seoul_days("2026-11-19", "2026-11-20"))
    assert day.enter_bar(bar(seoul_ns(f"2026-11-{day_of_month} {time}"), 9, span=span)) is belongs


def test_a_late_daily_bar_closes_its_own_session() -> None:
    day = SessionDay(seoul_days("2026-11-19", "2026-11-20"))
    see(day, seoul_ns("2026-11-19 09:00"), 10)
    assert day.enter_bar(bar(seoul_ns("2026-11-19 16:00"), 12, span="1-DAY"))
    day.last_raw = 12
    assert not day.fresh
    see(day, seoul_ns("2026-11-20 09:00"), 13)
    assert day.previous_close_raw == 12
    assert not day.enter_bar(bar(seoul_ns("2026-11-19 16:00"), 12, span="1-DAY"))


def test_continuous_days_follow_each_other_without_a_closing_print() -> None:
    day = SessionDay(ContinuousDays())
    see(day, DAY_NS - 1, 10)
    see(day, DAY_NS, 11)
    see(day, DAY_NS + MINUTE_NS, 12)
    assert (day.previous_close_raw, day.open_raw, day.last_raw) == (10, 11, 12)
