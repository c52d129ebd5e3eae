"""Periods of returns: calendar days of a zone, and only those in which something was seen."""

from datetime import UTC, datetime

import numpy as np
import pytest

from catalog.stats import choose_period, days_per_year, observed, period_edges
from catalog.stats.periods import DAY, DAY_NS, HOUR, HOUR_NS, MINUTE


def ns(text: str) -> int:
    """Nanoseconds of an ISO time in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("length_ns", "expected"),
    [(20 * DAY_NS, DAY), (20 * DAY_NS - 1, HOUR), (20 * HOUR_NS, HOUR), (1, MINUTE)],
)
def test_the_longest_period_that_gives_twenty_returns(length_ns: int, expected: object) -> None:
    assert choose_period(0, length_ns) == expected


def test_days_follow_the_zone() -> None:
    edges = period_edges(ns("2024-03-04T00:00"), ns("2024-03-05T20:00"), DAY, "Asia/Seoul")
    expected = ["2024-03-04T00:00", "2024-03-04T15:00", "2024-03-05T15:00", "2024-03-05T20:00"]
    assert edges.tolist() == [ns(text) for text in expected]


def test_a_day_on_which_clocks_change_has_23_hours() -> None:
    edges = period_edges(ns("2024-03-10T05:00"), ns("2024-03-11T04:00"), DAY, "America/New_York")
    assert np.diff(edges).tolist() == [23 * HOUR_NS]


def test_hours_and_minutes_end_on_the_full_one() -> None:
    edges = period_edges(ns("2024-03-04T00:30"), ns("2024-03-04T02:15"), HOUR, "UTC")
    assert [int(edge) % HOUR_NS for edge in edges[1:-1]] == [0, 0]
    assert len(edges) == 4


def test_an_instant_is_one_edge() -> None:
    assert period_edges(5, 5, MINUTE, "UTC").tolist() == [5]


def test_periods_in_which_nothing_was_seen_are_dropped() -> None:
    edges = np.array([0, 10, 20, 30, 40])
    assert observed(edges, np.array([5, 30, 31])).tolist() == [0, 10, 30, 40]
    assert observed(edges, np.array([], dtype=np.int64)).tolist() == [0]


def test_a_year_has_365_days_where_weekends_trade() -> None:
    friday_to_monday = period_edges(ns("2024-03-08T00:00"), ns("2024-03-12T00:00"), DAY, "UTC")
    assert days_per_year(friday_to_monday, "UTC") == 365.0
    assert days_per_year(friday_to_monday[[0, 1, 4]], "UTC") == 252.0
