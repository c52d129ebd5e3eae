"""Questions about the past, followed back page by page: trades of today, minute and daily bars.

Rule: what comes back is oldest first and without doubles; how far it reaches is for the caller to
see, because KIS shows 30 trades a call and a crowded second only in part.
"""

from collections.abc import Callable, Sequence
from typing import Any

from adapters.kis import replies, requests
from adapters.kis.limits import Limits
from adapters.kis.pages import Asks
from adapters.kis.parse import Answer
from adapters.kis.replies import PastBar, PastTrade
from adapters.kis.requests import Request

_MOST_CALLS = 40
"""Calls spent on one question: 1,200 trades, 1,200 minutes of today, 4,000 days."""


class Past:
    """Asks KIS through the one client of the appkey. Everything raises errors of the tree."""

    def __init__(self, http: Asks, limits: Limits) -> None:
        self._http = http
        self._limits = limits

    async def trades(
        self, code: str, until: str, *, from_volume: int | None = None, since: str = "000000"
    ) -> list[PastTrade]:
        """Return today's trades up to HHMMSS, back to ``from_volume`` or to before ``since``."""

        def reaches(oldest: PastTrade) -> bool:
            if from_volume is not None:
                return oldest.day_volume - oldest.quantity <= from_volume
            return oldest.time < since or oldest.day_volume == oldest.quantity

        return await self._back(
            lambda time: requests.trades_at(code, time),
            replies.past_trades,
            _volume_of,
            _time_before,
            until,
            reaches,
        )

    async def minutes(self, code: str, day: str, since: str, until: str) -> list[PastBar]:
        """Return the one-minute bars of today that begin from ``since`` to ``until`` (HHMMSS)."""
        bars = await self._back(
            lambda time: requests.minute_bars(code, time),
            replies.minute_bars,
            lambda bar: (bar.day, bar.time),
            lambda oldest, _: oldest.time,
            until,
            lambda oldest: (oldest.day, oldest.time) <= (day, since),
        )
        return [bar for bar in bars if bar.day == day and since <= bar.time <= until]

    async def past_minutes(self, code: str, day: str, since: str, until: str) -> list[PastBar]:
        """Return the one-minute bars of any day that begin from ``since`` to ``until``."""
        bars = await self._back(
            lambda time: requests.past_minute_bars(code, day, time),
            replies.minute_bars,
            lambda bar: (bar.day, bar.time),
            lambda oldest, _: oldest.time,
            until,
            lambda oldest: (oldest.day, oldest.time) <= (day, since),
        )
        return [bar for bar in bars if bar.day == day and since <= bar.time <= until]

    async def days(self, code: str, first: str, last: str) -> list[PastBar]:
        """Return the daily bars, not adjusted, from ``first`` to ``last`` (YYYYMMDD)."""
        bars = await self._back(
            lambda day: requests.daily_bars(code, first, day, adjusted=False),
            replies.daily_bars,
            _day_of,
            lambda oldest, _: oldest.day,
            last,
            lambda oldest: oldest.day <= first,
        )
        return [bar for bar in bars if first <= bar.day <= last]

    async def _back[T](
        self,
        request: Callable[[str], Request],
        read: Callable[[Answer], Sequence[T]],
        key: Callable[[T], Any],
        place: Callable[[T, str], str],
        until: str,
        reaches: Callable[[T], bool],
    ) -> list[T]:
        """Ask from ``until`` backwards until a row reaches far enough or nothing new comes."""
        found: dict[Any, T] = {}
        for _ in range(_MOST_CALLS):
            answer = await self._http.ask(request(until))
            if answer.doubtful:
                answer = await self._http.ask(request(until))
            new = [row for row in read(answer) if key(row) not in found]
            if not new:
                break
            found |= {key(row): row for row in new}
            oldest = min(new, key=key)
            if reaches(oldest):
                break
            until = place(oldest, until)
        return [found[each] for each in sorted(found)]


def _volume_of(trade: PastTrade) -> int:
    return trade.day_volume


def _time_before(oldest: PastTrade, until: str) -> str:
    """Return where to go on; a second with more trades than one answer is left behind."""
    if oldest.time < until:
        return oldest.time
    second = max(int(until[:2]) * 3600 + int(until[2:4]) * 60 + int(until[4:]) - 1, 0)
    return f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"


def _day_of(bar: PastBar) -> str:
    return bar.day
