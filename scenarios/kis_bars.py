"""Pulls KRX bars from KIS into the catalog: asks for what it lacks, writes around what it has.

Rule: shares are pulled side by side and written in groups, what is left when the pull ends, however
it ends; a question is only ever about what no file of the stream covers.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from nautilus_trader.model import Bar, Equity, InstrumentId

from adapters.kis import history
from adapters.kis.config import KisConfig
from adapters.kis.http import KisHttp
from adapters.kis.instruments import Listing, equity
from adapters.kis.masters import KisInstruments
from adapters.kis.past_bars import days_between, minutes_of_day
from adapters.kis.timing import Timing
from catalog.ingest import pulled
from catalog.ingest.candles import DAY_NS, MINUTE_NS, bar_type
from catalog.ingest.pulled import PulledBar, held_spans
from catalog.merge import Span, outside
from catalog.store import Import, Instrument, Store, WriteResult
from scenarios.calendars import calendar_for, krx_sessions
from scenarios.market_clock import venue_clock
from scenarios.screen import Advance, Screen
from scenarios.venue_health import require_kis
from strategies.errors import BadInput
from strategies.markets import krx, krx_history
from strategies.markets.facts import RAW_ONE
from strategies.markets.sessions import Session
from strategies.ports import StreamKind

_AT_ONCE = 4
"""Shares asked about at a time: enough to use the budget while answers are on their way."""
_LOOK_BACK = timedelta(days=14)
"""Daily bars are asked from this long before, for the volume of the day before the first."""
_SETTLED_NS = 10 * 10**9
"""A minute is whole this long after its end: our clock may be ahead of KIS's, and a part that is
once in the catalog is not asked for again."""
_BARS_AT_ONCE, _SHARES_AT_ONCE = 50_000, 200
"""So much is written as one import: each one reads all instruments, and what is not is lost."""

type Step = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to pull: codes, first and last day (Seoul; None is today), minutes or days."""

    codes: Sequence[str]
    first: date
    last: date | None
    minutes: bool
    adjusted: bool

    @property
    def kind(self) -> str:
        """Return minutes or days."""
        return "minutes" if self.minutes else "days"

    @property
    def interval_ns(self) -> int:
        """Return the length of a bar."""
        return MINUTE_NS if self.minutes else DAY_NS


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought; ``empty`` names the shares that have no bar, asked or held."""

    shares: int
    requests: int
    empty: list[str]
    results: list[WriteResult]


@dataclass(slots=True)
class _Share:
    """One share: its instrument, the spans its stream holds, and runs of bars to be written.

    ``runs`` pairs ascending bars with the volume of the trading day before them.
    """

    code: str
    instrument: Equity
    held: list[Span]
    runs: list[tuple[list[PulledBar], int]] = field(default_factory=list)


class BarPull:
    """One pull of the bars of several shares."""

    def __init__(self, config: KisConfig, store: Store, screen: Screen, wanted: Wanted) -> None:
        self._config = config
        self._store = store
        self._screen = screen
        self._wanted = wanted
        self._results: list[WriteResult] = []
        self._ready: list[_Share] = []
        self._now_ns = 0
        self._sessions: list[Session] = []

    async def run(self, folder: Path, environ: Mapping[str, str]) -> Pulled:
        """Pull everything; ``folder`` keeps token and master files, ``environ`` may hold a time.

        Raises BadInput for what cannot be pulled, an error of KIS's tree for what failed.
        """
        await require_kis(self._config)
        urls = self._config.rest_url, self._config.ws_url
        clock = await venue_clock(urls, environ, time.time_ns())
        self._now_ns = clock.time.at(time.time_ns())
        self._sessions = self._over()
        self._say_limits()
        async with KisHttp(self._config, folder, self._screen.warn) as http:
            instruments = KisInstruments(http, self._config, folder, Timing(), self._screen.warn)
            listings = await instruments.listings(self._wanted.codes)
            known = self._store.instruments()
            shares = [self._share(listing, known) for listing in listings.values()]
            total = len(shares) * len(self._sessions)
            with self._screen.progress("pulling", total) as bar:
                await self._pull(http, shares, bar)
            empty = [share.code for share in shares if not share.held and not share.runs]
            return Pulled(len(shares), http.granted, empty, self._results)

    # --- what is wanted ---

    def _over(self) -> list[Session]:
        """Return the sessions of the days asked for: those that are over, for minutes begun."""
        last = self._wanted.last or krx_history.day_of(self._now_ns)
        first_ns, end_ns = _midnight_ns(self._wanted.first), _midnight_ns(last) + DAY_NS - 1
        calendar = krx_sessions(first_ns, end_ns)
        found, at = [], first_ns - 1
        while (session := calendar.next_after(at)) is not None and session.open_ns <= end_ns:
            begins = session.open_ns if self._wanted.minutes else session.close_ns
            if begins + MINUTE_NS <= self._now_ns:
                found.append(session)
            at = session.open_ns
        return found

    def _say_limits(self) -> None:
        if self._wanted.minutes and self._wanted.first < self._served_from():
            self._screen.line(
                f"KIS serves about one year of minutes: before {self._served_from()} it may have "
                "none."
            )
        today = krx_history.day_of(self._now_ns)
        if not self._wanted.minutes and self._sessions and _day_of(self._sessions[-1]) == today:
            self._screen.line(f"The volume of {today} may still grow in the after-market.")

    def _served_from(self) -> date:
        back = timedelta(days=self._config.limits.past_minutes_days)
        return krx_history.day_of(self._now_ns) - back

    def _share(self, listing: Listing, known: Mapping[InstrumentId, Instrument]) -> _Share:
        """Return a share as the catalog knows it. Raises BadInput where prices would mix."""
        instrument = catalog_equity(listing, adjusted=self._wanted.adjusted)
        there = known.get(instrument.id)
        marked = there is not None and bool((there.info or {}).get("adjusted"))
        if there is not None and marked is not self._wanted.adjusted:
            have, new = ("adjusted", "unadjusted") if marked else ("unadjusted", "adjusted")
            raise BadInput(
                f"{instrument.id} is in the catalog with {have} prices, and {new} ones are asked "
                "for: pull them into another ONETAPE_HOME."
            )
        topic = str(bar_type(instrument.id, self._wanted.interval_ns))
        return _Share(listing.code, instrument, held_spans(self._store, StreamKind.BARS, topic))

    # --- asking ---

    async def _pull(self, http: KisHttp, shares: Sequence[_Share], bar: Advance) -> None:
        """Pull a few shares at a time; an error ends the others, which keep what they have."""
        places = asyncio.Semaphore(_AT_ONCE)
        done = 0

        def step(sessions: int) -> None:
            nonlocal done
            done += sessions
            bar.to(done)

        async def one(share: _Share) -> None:
            ask = self._ask_minutes if self._wanted.minutes else self._ask_days
            async with places:
                try:
                    await ask(http, share, step)
                finally:
                    self._take(share)

        tasks = [asyncio.create_task(one(share)) for share in shares]
        try:
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._write()

    async def _ask_minutes(self, http: KisHttp, share: _Share, step: Step) -> None:
        """Ask session by session from the newest; an empty one before KIS's year is the end."""
        for session in reversed(self._sessions):
            end_ns = min(session.close_ns + MINUTE_NS, self._now_ns - _SETTLED_NS)
            parts = outside((session.open_ns + MINUTE_NS, end_ns), share.held)
            gaps = [gap for gap in parts if gap[1] // MINUTE_NS * MINUTE_NS >= gap[0]]
            found = [bar for gap in gaps for bar in await self._minutes_in(http, share, gap)]
            if found:
                share.runs.append((found, 1))
            elif gaps and _day_of(session) < self._served_from():
                break
            step(1)

    async def _minutes_in(self, http: KisHttp, share: _Share, gap: Span) -> list[PulledBar]:
        """Ask for the minutes that close within a gap of one session."""
        day = krx_history.day_of(gap[0])
        bars = await minutes_of_day(
            http,
            share.code,
            f"{day:%Y%m%d}",
            _minute(gap[0] - MINUTE_NS),
            _minute(gap[1] - MINUTE_NS),
            is_today=day == krx_history.day_of(self._now_ns),
        )
        kind = bar_type(share.instrument.id, MINUTE_NS)
        closed = map(_pulled, history.minute_bars(kind, bars, 0))
        return [bar for bar in closed if gap[0] <= bar.ts_ns <= gap[1]]

    async def _ask_days(self, http: KisHttp, share: _Share, step: Step) -> None:
        """Ask once for each run of sessions that no file of the stream covers."""
        lacking = [each for each in self._sessions if outside((each.close_ns,) * 2, share.held)]
        step(len(self._sessions) - len(lacking))
        for run in _runs(lacking, self._sessions):
            first, last = _day_of(run[0]), _day_of(run[-1])
            days = await self._days_until(http, share, first - _LOOK_BACK, last)
            begin = _midnight_ns(first)
            wanted = [bar for bar in days if bar.ts_ns >= begin]
            before = [bar.volume for bar in days if bar.ts_ns < begin]
            if wanted:
                share.runs.append((wanted, before[-1] if before else 1))
            step(len(run))

    async def _days_until(
        self, http: KisHttp, share: _Share, first: date, last: date
    ) -> list[PulledBar]:
        """Ask for daily bars. Raises BadInput where the catalog has other prices of a day."""
        adjusted = self._wanted.adjusted
        bars = await days_between(
            http, share.code, f"{first:%Y%m%d}", f"{last:%Y%m%d}", adjusted=adjusted
        )
        days = list(
            map(_pulled, history.daily_bars(bar_type(share.instrument.id, DAY_NS), bars, 0))
        )
        span = _midnight_ns(first), _midnight_ns(last) + DAY_NS
        held = pulled.held_days(self._store, share.instrument, span)
        pulled.refuse_other_prices(days, held, str(share.instrument.id))
        return days

    # --- writing ---

    def _take(self, share: _Share) -> None:
        """Keep a share for the next import, which comes when there is enough for one."""
        if share.runs:
            self._ready.append(share)
        bars = sum(len(run) for each in self._ready for run, _ in each.runs)
        if bars >= _BARS_AT_ONCE or len(self._ready) >= _SHARES_AT_ONCE:
            self._write()

    def _write(self) -> None:
        """Write the shares that are kept, as one import."""
        ready, self._ready = self._ready, []
        if ready:
            with self._store.importing() as batch:
                for share in ready:
                    self._add(batch, share)
            self._results += batch.results

    def _add(self, batch: Import, share: _Share) -> None:
        source = f"KIS {share.code} {self._wanted.kind}"
        if self._wanted.minutes:
            bars = sorted((bar for run, _ in share.runs for bar in run), key=_closes)
            pulled.write_minutes(self._store, batch, share.instrument, bars, source)
            return
        for days, before in share.runs:
            pulled.write_days(
                self._store,
                batch,
                share.instrument,
                days,
                calendar_for,
                source,
                volume_before=before,
            )


def catalog_equity(listing: Listing, *, adjusted: bool) -> Equity:
    """Return a share for the catalog: what stays true of it, without the flags of a day.

    Raises BadInput for what is no share.
    """
    known = equity(listing)
    info: dict[str, object] = {"name": listing.name, "board": listing.board.value}
    return Equity(
        instrument_id=known.id,
        raw_symbol=known.raw_symbol,
        currency=known.quote_currency,
        price_precision=known.price_precision,
        price_increment=known.price_increment,
        ts_event=0,
        ts_init=0,
        isin=listing.isin or None,
        lot_size=known.lot_size,
        info=info | ({"adjusted": True} if adjusted else {}),
    )


def _pulled(bar: Bar) -> PulledBar:
    values = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    return PulledBar(bar.ts_event, *(value.raw // RAW_ONE for value in values))


def _closes(bar: PulledBar) -> int:
    return bar.ts_ns


def _runs(lacking: Sequence[Session], sessions: Sequence[Session]) -> list[list[Session]]:
    """Cut sessions into runs that follow each other without one between."""
    place = {session: number for number, session in enumerate(sessions)}
    runs: list[list[Session]] = []
    for session in lacking:
        if runs and place[session] == place[runs[-1][-1]] + 1:
            runs[-1].append(session)
        else:
            runs.append([session])
    return runs


def _day_of(session: Session) -> date:
    return krx_history.day_of(session.open_ns)


def _midnight_ns(day: date) -> int:
    moment = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(krx.TIMEZONE))
    return int(moment.timestamp()) * 10**9


def _minute(ts_ns: int) -> str:
    """Return the minute of a moment as HHMM00 in Seoul."""
    return f"{datetime.fromtimestamp(ts_ns // 10**9, ZoneInfo(krx.TIMEZONE)):%H%M}00"
