"""Session calendars against hand-stated days, and against recorded trading days."""

import csv
import gzip
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from scenarios import calendars
from scenarios.calendars import calendar_for, krx_sessions
from strategies.errors import BadInput
from strategies.markets import krx_calendar
from strategies.markets.sessions import ContinuousDays, ListedSessions, Session

SEOUL = ZoneInfo("Asia/Seoul")
KRX_DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "krx"
needs_krx_data = pytest.mark.skipif(not KRX_DATA.is_dir(), reason="../shared/data/krx is absent")


def at(day: str, clock: str = "00:00") -> int:
    """A moment in Seoul as ns UTC."""
    moment = datetime.fromisoformat(f"{day}T{clock}").replace(tzinfo=SEOUL)
    return int(moment.timestamp()) * 10**9


def hours(day: str) -> tuple[str, str] | None:
    """Opening and closing time in Seoul of the session that opens on a day, None if closed."""
    found = krx_sessions(at(day), at(day, "23:59")).next_after(at(day))
    if found is None or found.open_ns > at(day, "23:59"):
        return None
    return clock_of(found.open_ns), clock_of(found.close_ns)


def clock_of(ts_ns: int) -> str:
    return datetime.fromtimestamp(ts_ns // 10**9, SEOUL).strftime("%H:%M")


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2026-11-20", ("09:00", "15:30")),
        ("2026-01-02", ("10:00", "15:30")),  # first session of a year
        ("2023-01-02", ("10:00", "15:30")),
        ("2024-11-14", ("10:00", "16:30")),  # entrance examinations
        ("2025-11-13", ("10:00", "16:30")),
        ("2026-11-19", ("10:00", "16:30")),
        ("2021-11-18", ("10:00", "16:30")),
        ("2020-12-03", ("10:00", "16:30")),
        ("2008-11-13", ("10:00", "16:00")),
        ("2016-07-29", ("09:00", "15:00")),  # closing was 15:00 before August 2016
        ("2016-08-01", ("09:00", "15:30")),
        ("1999-03-02", ("09:00", "15:00")),
    ],
)
def test_hours_of_a_session(day: str, expected: tuple[str, str]) -> None:
    assert hours(day) == expected


@pytest.mark.parametrize(
    "day",
    [
        "2026-11-21",  # Saturday
        "2026-01-01",
        "2026-06-03",  # local elections
        "2026-07-17",  # Constitution Day
        "2025-06-03",  # presidential election
        "2024-10-01",  # Armed Forces Day, that year only
        "2026-05-01",  # Labour Day
        "2025-12-31",  # last day of a year
        "1999-12-31",
    ],
)
def test_closed_days(day: str) -> None:
    assert hours(day) is None


def test_first_session_of_every_year_opens_at_ten() -> None:
    for year in range(2001, 2031):
        first = krx_sessions(at(f"{year}-01-01"), at(f"{year}-01-31")).next_after(
            at(f"{year}-01-01")
        )
        assert first is not None
        assert clock_of(first.open_ns) == "10:00", year


def test_a_window_brings_sessions_before_and_after_it() -> None:
    sessions = krx_sessions(at("2026-03-10", "09:00"), at("2026-03-10", "09:01"))
    assert sessions.at(at("2026-03-09", "10:00")) is not None
    assert sessions.at(at("2026-03-03", "10:00")) is not None
    later = sessions.next_after(at("2026-03-10", "15:30"))
    assert later == Session(at("2026-03-11", "09:00"), at("2026-03-11", "15:30"))
    assert sessions.at(at("2026-05-11", "10:00")) is None  # only the window and its edges


def test_a_window_between_sessions_still_knows_its_neighbours() -> None:
    sessions = krx_sessions(at("2026-03-07", "12:00"), at("2026-03-07", "13:00"))  # a Saturday
    assert sessions.at(at("2026-03-06", "15:30")) is not None
    assert sessions.next_after(at("2026-03-07", "12:00")) == Session(
        at("2026-03-09", "09:00"), at("2026-03-09", "15:30")
    )


@pytest.mark.parametrize(
    ("start", "end"),
    [("1998-12-31", "2020-01-01"), ("2026-01-01", "2051-01-05"), ("2100-01-01", "2100-02-01")],
)
def test_a_window_outside_the_calendar_is_refused(start: str, end: str) -> None:
    with pytest.raises(BadInput, match="covers 1999-01-01 to 2050-12-31"):
        krx_sessions(at(start), at(end))


def test_a_window_must_not_end_before_it_starts() -> None:
    with pytest.raises(BadInput, match="ends before it starts"):
        krx_sessions(at("2026-03-10"), at("2026-03-09"))


def test_the_whole_calendar_is_one_list_without_overlap() -> None:
    sessions = calendars._all_krx_sessions()
    ListedSessions(sessions)  # raises where two overlap
    assert 245 * 52 < len(sessions) < 250 * 52


def test_overlay_dates_are_weekdays_that_the_library_misses() -> None:
    marked = krx_calendar.CLOSED | krx_calendar.ENTRANCE_EXAM_DAYS
    assert all(day.weekday() < 5 for day in marked)
    assert not krx_calendar.CLOSED & krx_calendar.ENTRANCE_EXAM_DAYS
    assert all(day.weekday() == 3 for day in krx_calendar.ENTRANCE_EXAM_DAYS)


@pytest.mark.parametrize("venue", ["BINANCE", "BINANCE_SPOT"])
def test_binance_never_closes(venue: str) -> None:
    assert isinstance(calendar_for(venue, 0, 1), ContinuousDays)


def test_krx_has_listed_sessions() -> None:
    found = calendar_for("KRX", at("2026-03-10"), at("2026-03-10", "23:00"))
    assert found.at(at("2026-03-10", "12:00")) == Session(
        at("2026-03-10", "09:00"), at("2026-03-10", "15:30")
    )


def test_an_unknown_venue_is_refused() -> None:
    with pytest.raises(BadInput, match="'NYSE' has no calendar"):
        calendar_for("NYSE", 0, 1)


@pytest.mark.real_data
@needs_krx_data
def test_recorded_sessions_1999_to_2025() -> None:
    with gzip.open(KRX_DATA / "xkrx_sessions_1986_2026.csv.gz", "rt") as file:
        rows = [row for row in csv.DictReader(file) if "1999" <= row[""] < "2026"]
    expected = [Session(utc(row["open"]), utc(row["close"])) for row in rows]
    ours = [s for s in calendars._all_krx_sessions() if s.open_ns < at("2026-01-01")]
    assert ours == expected


@pytest.mark.real_data
@needs_krx_data
def test_every_recorded_trading_day_of_samsung_is_a_session() -> None:
    with gzip.open(KRX_DATA / "daily" / "A005930.csv.gz", "rt") as file:
        days = {row[0] for row in csv.reader(file) if row[0].isdigit()}
    ours = {
        datetime.fromtimestamp(s.open_ns // 10**9, SEOUL).date()
        for s in calendars._all_krx_sessions()
    }
    recorded = {date.fromisoformat(day) for day in days if day >= "1999"}
    assert len(recorded) > 5_000
    assert recorded - ours == set()
    span = {day for day in ours if min(recorded) <= day <= max(recorded)}
    assert len(span - recorded) <= len(span) // 100  # trading halts of the one share


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9
