"""Whether the market opens on a day, as KIS tells it: kept on disk, asked at most once a day.

Rule: KIS's answer is of days, never of hours; where it cannot be had the answer is None, and the
calendar of strategies/markets decides.
"""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from datetime import date
from pathlib import Path

import msgspec

from adapters.kis import requests
from adapters.kis.config import KisConfig
from adapters.kis.errors import KisError, Stop
from adapters.kis.limits import Servers
from adapters.kis.pages import Asks
from adapters.kis.private_files import write_private
from adapters.kis.replies import MarketDay, market_days
from adapters.kis.ticks import seoul_day
from adapters.kis.timing import Timing


class _Kept(msgspec.Struct, frozen=True):
    """``asked`` are the days asked for on the Seoul day ``on``; ``days`` what all answers told."""

    on: str = ""
    asked: tuple[str, ...] = ()
    days: dict[str, tuple[bool, bool]] = {}


class MarketDays:
    """The market days of one address."""

    def __init__(
        self,
        http: Asks,
        config: KisConfig,
        folder: Path,
        timing: Timing,
        say: Callable[[str], None],
    ) -> None:
        self._http = http
        self._servers = config.servers
        self._timing = timing
        self._say = say
        owner = hashlib.sha256(config.rest_url.encode()).hexdigest()[:16]
        self._path = folder / f"kis-days-{owner}.json"

    async def of(self, day: date) -> MarketDay | None:
        """Return a day, None where KIS does not tell (its mock servers never do).

        Raises Stop errors, which people must act on; other failures are said.
        """
        if self._servers is Servers.MOCK:
            return None
        text, today = f"{day:%Y%m%d}", seoul_day(self._timing.wall_ns())
        kept = self._load()
        if kept.on != today:
            kept = _Kept(on=today, days=kept.days)
        elif text in kept.days or text in kept.asked:
            return _day(kept, text)
        try:
            told = market_days(await self._http.ask(requests.holidays(text)))
        except Stop:
            raise
        except KisError as error:
            self._say(f"KIS did not tell whether the market opens on {day}: {error}")
            return _day(kept, text)
        days = kept.days | {each.day: (each.open, each.settles) for each in told}
        kept = _Kept(on=today, asked=(*kept.asked, text), days=days)
        self._keep(kept)
        return _day(kept, text)

    def _load(self) -> _Kept:
        with suppress(OSError, msgspec.MsgspecError):
            return msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        return _Kept()

    def _keep(self, kept: _Kept) -> None:
        try:
            write_private(self._path, msgspec.json.encode(kept))
        except OSError as error:
            self._say(f"KIS's market days cannot be kept in {self._path.parent}: {error.strerror}.")


def _day(kept: _Kept, text: str) -> MarketDay | None:
    told = kept.days.get(text)
    return None if told is None else MarketDay(text, *told)
