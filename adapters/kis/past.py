"""Questions about the past: today's trades, followed back page by page, and bars.

Rule: what comes back is oldest first and without doubles; how far trades reach is for the caller to
see, because KIS shows 30 a call and a crowded second only in part.
"""

from adapters.kis import replies, requests
from adapters.kis.pages import Asks
from adapters.kis.past_bars import days_between, minutes_of_day
from adapters.kis.replies import BookLevels, PastBar, PastTrade

_MOST_CALLS = 40
"""Calls spent on one question: 1,200 trades."""


class Past:
    """Asks KIS through the one client of the appkey. Everything raises errors of the tree."""

    def __init__(self, http: Asks) -> None:
        self._http = http

    async def trades(
        self,
        code: str,
        until: str,
        *,
        from_volume: int | None = None,
        since: str = "000000",
        most: int | None = None,
    ) -> list[PastTrade]:
        """Return today's trades up to HHMMSS, back to ``from_volume`` or to before ``since``.

        ``most`` trades are enough.
        """
        found: dict[int, PastTrade] = {}
        for _ in range(_MOST_CALLS):
            new = [one for one in await self._page(code, until) if one.day_volume not in found]
            if not new:
                break
            found |= {one.day_volume: one for one in new}
            oldest = min(new, key=_volume_of)
            if _reaches(oldest, from_volume, since) or (most and len(found) >= most):
                break
            until = oldest.time if oldest.time < until else _second_before(until)
        return sorted(found.values(), key=_volume_of)

    async def minutes(
        self, code: str, day: str, since: str, until: str, *, is_today: bool
    ) -> list[PastBar]:
        """Return the one-minute bars of a day that begin from ``since`` to ``until`` (HHMMSS)."""
        return await minutes_of_day(self._http, code, day, since, until, is_today=is_today)

    async def days(self, code: str, first: str, last: str) -> list[PastBar]:
        """Return the daily bars, not adjusted, from ``first`` to ``last`` (YYYYMMDD)."""
        return await days_between(self._http, code, first, last, adjusted=False)

    async def book(self, code: str) -> BookLevels:
        """Return the book as it is now."""
        return replies.book_levels(await self._http.ask(requests.book(code)))

    async def _page(self, code: str, until: str) -> list[PastTrade]:
        request = requests.trades_at(code, until)
        answer = await self._http.ask(request)
        return replies.past_trades(await self._http.ask(request) if answer.doubtful else answer)


def _reaches(oldest: PastTrade, from_volume: int | None, since: str) -> bool:
    """Tell whether a question is answered as far back as it was asked."""
    if from_volume is not None:
        return oldest.day_volume - oldest.quantity <= from_volume
    return oldest.time < since or oldest.day_volume == oldest.quantity


def _second_before(time: str) -> str:
    """Return where to go on from a second with more trades than one answer shows."""
    second = max(int(time[:2]) * 3600 + int(time[2:4]) * 60 + int(time[4:]) - 1, 0)
    return f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"


def _volume_of(trade: PastTrade) -> int:
    return trade.day_volume
