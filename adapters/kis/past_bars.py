"""All bars of a span, page by page from the newest: minutes of a day, days between two.

Rule: how many rows a page holds is the venue's business; a question ends where the span begins or
where an answer brings nothing older. Rows of other days and without a trade are left out.
"""

from datetime import datetime, timedelta

from adapters.kis import replies, requests
from adapters.kis.pages import Asks
from adapters.kis.parse import Answer
from adapters.kis.replies import PastBar


async def minutes_of_day(
    http: Asks, code: str, day: str, since: str, until: str, *, is_today: bool
) -> list[PastBar]:
    """Return a day's one-minute bars from ``since`` to ``until``, both inclusive, oldest first.

    Times are HHMMSS of the minutes' begin, as KIS stamps them; minutes in which nothing was traded
    have no bar. ``is_today`` asks the service for the running day, another one serves days before.
    Raises an error of the tree.
    """
    found: dict[str, PastBar] = {}
    at = until
    while at >= since:
        request = (
            requests.minute_bars(code, at) if is_today else requests.past_minute_bars(code, day, at)
        )
        answer = await http.ask(request)
        found |= {
            bar.time: bar
            for bar in replies.minute_bars(answer)
            if bar.day == day and since <= bar.time <= at and bar.volume > 0
        }
        times = _times(answer, day, at)
        if not times or _begins_earlier(answer, day):
            break
        at = _minute_before(min(times))
    return [found[time] for time in sorted(found)]


async def days_between(
    http: Asks, code: str, first: str, last: str, *, adjusted: bool
) -> list[PastBar]:
    """Return daily bars from ``first`` to ``last`` (YYYYMMDD), both inclusive, oldest first.

    Days on which nothing was traded have no bar. Raises an error of the tree.
    """
    found: dict[str, PastBar] = {}
    at = last
    while at >= first:
        answer = await http.ask(requests.daily_bars(code, first, at, adjusted=adjusted))
        found |= {
            bar.day: bar
            for bar in replies.daily_bars(answer)
            if first <= bar.day <= at and bar.volume > 0
        }
        days = [day for row in answer.rows("output2") if (day := row.day("stck_bsop_date")) <= at]
        if not days:
            break
        at = _day_before(min(days))
    return [found[day] for day in sorted(found)]


def _times(answer: Answer, day: str, until: str) -> list[str]:
    """Return the times of a day's rows, those without a trade too: they lead further back."""
    rows = [row for row in answer.rows("output2") if row.day("stck_bsop_date") == day]
    return [time for row in rows if (time := row.time("stck_cntg_hour")) <= until]


def _begins_earlier(answer: Answer, day: str) -> bool:
    """Tell whether an answer reaches into the days before: the day itself is told whole then."""
    return any(row.day("stck_bsop_date") < day for row in answer.rows("output2"))


def _minute_before(time: str) -> str:
    """Return HHMMSS of the minute before, empty (before all others) at midnight."""
    minutes = int(time[:2]) * 60 + int(time[2:4]) - 1
    return f"{minutes // 60:02d}{minutes % 60:02d}00" if minutes >= 0 else ""


def _day_before(day: str) -> str:
    moment = datetime.strptime(day, "%Y%m%d")  # noqa: DTZ007 - a date in Seoul, never a moment
    return f"{moment - timedelta(days=1):%Y%m%d}"
