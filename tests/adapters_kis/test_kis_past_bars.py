"""Bars asked page by page: any page size, spans that end mid-page, servers that never end."""

import asyncio

import pytest

from adapters.kis import requests
from adapters.kis.parse import Answer
from adapters.kis.past_bars import days_between, minutes_of_day

DAY = "20261117"


def minute(number, day=DAY, price=100, volume=5):
    time = f"{9 + number // 60:02d}{number % 60:02d}00"
    prices = dict.fromkeys(("stck_prpr", "stck_oprc", "stck_hgpr", "stck_lwpr"), str(price))
    return prices | {"stck_bsop_date": day, "stck_cntg_hour": time, "cntg_vol": str(volume)}


def daily(day, volume=5, price=100):
    prices = dict.fromkeys(("stck_clpr", "stck_oprc", "stck_hgpr", "stck_lwpr"), str(price))
    return prices | {"stck_bsop_date": day, "acml_vol": str(volume)}


class Venue:
    """Pages rows by the time or date that is asked, newest first; counts the questions."""

    def __init__(self, rows, size, *, only_day=True):
        self.rows, self.size, self.only_day = rows, size, only_day
        self.asked = []

    async def ask(self, request):
        self.asked.append(request)
        given = request.fields
        if request.endpoint is requests.DAILY_BARS:
            first, last = given["FID_INPUT_DATE_1"], given["FID_INPUT_DATE_2"]
            rows = [row for row in self.rows if first <= row["stck_bsop_date"] <= last]
        else:
            day = given.get("FID_INPUT_DATE_1", DAY)
            until = (day, given["FID_INPUT_HOUR_1"])
            rows = [
                row for row in self.rows
                if (row["stck_bsop_date"], row["stck_cntg_hour"]) <= until
                and (row["stck_bsop_date"] == day or not self.only_day)
            ]  # fmt: skip
        page = tuple(rows[::-1][: self.size])
        return Answer(
            endpoint=request.endpoint, code="", text="", outputs={"output2": page}, fields={},
            more=False, context={},
        )  # fmt: skip


def minutes(venue, since="090000", until="153000", *, is_today=False):
    bars = asyncio.run(minutes_of_day(venue, "1", DAY, since, until, is_today=is_today))
    return [bar.time for bar in bars]


@pytest.mark.parametrize("size", [1, 7, 30, 120, 500])
@pytest.mark.parametrize("is_today", [True, False])
def test_minutes_of_any_page_size(size, is_today):
    rows = [minute(number) for number in range(0, 390, 3)]
    venue = Venue(rows, size)
    assert minutes(venue, is_today=is_today) == [row["stck_cntg_hour"] for row in rows]
    endpoint = requests.MINUTE_BARS if is_today else requests.PAST_MINUTE_BARS
    assert {each.endpoint for each in venue.asked} == {endpoint}
    assert len(venue.asked) == -(-len(rows) // size)


def test_a_span_of_minutes_is_asked_no_further_than_it_reaches():
    venue = Venue([minute(number) for number in range(390)], 30)
    assert minutes(venue, "100000", "101000") == [f"10{n:02d}00" for n in range(11)]
    assert len(venue.asked) == 1


def test_rows_of_the_day_before_end_a_day():
    rows = [minute(n, "20261116") for n in range(390)] + [minute(n) for n in range(100, 200)]
    venue = Venue(rows, 120, only_day=False)
    assert len(minutes(venue)) == 100
    assert len(venue.asked) == 1


def test_a_page_without_trades_leads_further_back():
    rows = [minute(n) for n in range(10)] + [minute(n, volume=0) for n in range(10, 100)]
    rows += [minute(n, price=0) for n in range(100, 190)]
    assert len(minutes(Venue(rows, 30))) == 10


def test_a_venue_that_repeats_itself_is_not_asked_for_ever():
    class Repeating(Venue):
        async def ask(self, request):
            self.asked.append(request)
            return await Venue(self.rows, 30).ask(requests.past_minute_bars("1", DAY, "153000"))

    venue = Repeating([minute(n) for n in range(300, 330)], 30)
    assert len(minutes(venue)) == 30
    assert len(venue.asked) == 2


def days(venue, first="20250101", last="20261117"):
    bars = asyncio.run(days_between(venue, "1", first, last, adjusted=True))
    return [bar.day for bar in bars]


@pytest.mark.parametrize("size", [1, 4, 100])
def test_days_of_any_page_size(size):
    rows = [daily(f"202610{day:02d}", volume=day % 4) for day in range(1, 25)]
    venue = Venue(rows, size)
    traded = [row["stck_bsop_date"] for row in rows if row["acml_vol"] != "0"]
    assert days(venue) == traded
    assert {each.fields["FID_ORG_ADJ_PRC"] for each in venue.asked} == {"0"}


def test_days_that_begin_the_span_need_no_second_question():
    venue = Venue([daily(f"202610{day:02d}") for day in range(1, 25)], 100)
    assert len(days(venue, "20261001", "20261010")) == 10
    assert len(venue.asked) == 1


def test_no_days_are_none():
    venue = Venue([], 100)
    assert days(venue) == []
    assert len(venue.asked) == 1
