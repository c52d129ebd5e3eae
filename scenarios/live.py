"""Runs a scenario at the venue itself: checks, consent, the engine's live node, a clean end.

Rule: what decides is what decides on replay; this module opens, watches and closes. Nothing is
traded before the journal is open, and a run ends only after the venue's books were asked.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from adapters.kis.config import KisConfig, read_config
from adapters.kis.errors import Stop
from catalog.journal import open_journal
from scenarios.calendars import krx_sessions
from scenarios.consent import require_consent, show_stakes
from scenarios.ending import Ending
from scenarios.env_file import FILE_NAME, read_env_file
from scenarios.execute import Outcome, manifest
from scenarios.live_kis import KisSide
from scenarios.live_node import NodeRun
from scenarios.live_universe import resolve_live
from scenarios.market_clock import VenueClock, venue_clock
from scenarios.scenario import Scenario, with_balances
from scenarios.screen import LastingScreen, Screen, seoul
from scenarios.settings import Settings
from scenarios.wiring import Universe
from strategies.errors import BadInput, OnetapeError, RunFailed
from strategies.markets import krx
from strategies.markets.sessions import DAY_NS, Session

END_AFTER_NS = 90_000_000_000
"""How long after the close the run goes on, market time: the last prints and notices come late."""


def run_live(
    scenario: Scenario,
    settings: Settings,
    environ: Mapping[str, str],
    screen: Screen,
    *,
    consent: bool,
    must_end: bool = False,
) -> Outcome:
    """Trade one session of a scenario at its venue.

    ``must_end`` says that the window's end was asked for now, not written for another day.
    Raises BadInput before anything is sent that changes something, RunFailed after.
    """
    _check_venues(scenario)
    config = read_config(environ, scenario.table.venues[krx.VENUE].limits)
    live = _Live(scenario, settings, config, screen, must_end=must_end)
    return asyncio.run(live.run(environ, consent=consent))


def environment(inherited: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment with the pairs of a `.env` file in ``folder`` where it has none."""
    return {**read_env_file(folder / FILE_NAME), **inherited}


def _check_venues(scenario: Scenario) -> None:
    others = sorted(set(scenario.table.venues) - {krx.VENUE})
    if others or not scenario.table.venues:
        raise BadInput(
            f"{scenario.source}: live runs trade on KRX through KIS only; take "
            f"{', '.join(others) or 'nothing'} out, or run on replay."
        )


@dataclass(frozen=True, slots=True)
class Window:
    """The session that is traded, and until when the run goes on; market time, UTC."""

    session: Session
    end_ns: int


def window_of(now_ns: int, end_ns: int | None) -> Window:
    """Return the session that is on or comes next; ``end_ns`` may end the run before its close.

    Raises BadInput where no session is known.
    """
    sessions = krx_sessions(now_ns - DAY_NS, now_ns + 30 * DAY_NS)
    session = sessions.at(now_ns) or sessions.next_after(now_ns)
    if session is None:
        raise BadInput("KRX's calendar knows no session in the next 30 days; update onetape.")
    close_ns = session.close_ns + END_AFTER_NS
    return Window(session, close_ns if end_ns is None else min(end_ns, close_ns))


class _Live:
    def __init__(
        self,
        scenario: Scenario,
        settings: Settings,
        config: KisConfig,
        screen: Screen,
        *,
        must_end: bool,
    ) -> None:
        self._scenario = scenario
        self._settings = settings
        self._config = config
        self._screen = LastingScreen(as_json=screen.as_json, debug=screen.debug)
        self._must_end = must_end
        self._ending = Ending()

    async def run(self, environ: Mapping[str, str], *, consent: bool) -> Outcome:
        config = self._config
        clock = await venue_clock((config.rest_url, config.ws_url), environ, time.time_ns())
        window = self._window(clock)
        kis = KisSide(
            config,
            self._settings.kis_folder,
            clock,
            window.session,
            self._screen.warn,
            self._ending.fail,
        )
        universe = await self._prepare(kis, window, consent=consent)
        try:
            return await self._trade(kis, universe, clock)
        finally:
            await kis.close()

    async def _prepare(self, kis: KisSide, window: Window, *, consent: bool) -> Universe:
        """Ask for all that a run needs, the person's consent included; close where it lacks."""
        try:
            await kis.open()
            universe = await self._universe(kis, window)
            stakes = kis.stakes()
            show_stakes(universe, stakes, self._screen)
            require_consent(stakes, given=consent)
        except Stop as error:  # keys, account or servers: nothing has begun
            await kis.close()
            raise BadInput(str(error)) from error
        except BaseException:
            await kis.close()
            raise
        return universe

    def _window(self, clock: VenueClock) -> Window:
        now_ns = clock.time.at(time.time_ns())
        end_ns = self._scenario.end_ns
        if end_ns is not None and end_ns <= now_ns:
            if self._must_end:
                raise BadInput(
                    f"--to is {seoul(end_ns)} and it is {seoul(now_ns)} at KRX: give a later end."
                )
            self._screen.warn(
                f"The scenario's window ended {seoul(end_ns)}: the run trades until the close."
            )
            end_ns = None
        window = window_of(now_ns, end_ns)
        if window.session.open_ns > now_ns:
            self._screen.line(f"KRX opens {seoul(window.session.open_ns)}.")
        return window

    async def _universe(self, kis: KisSide, window: Window) -> Universe:
        await kis.check_day(window.session)
        shares = await kis.load(self._scenario)
        scenario = with_balances(self._scenario, await kis.money(self._scenario))
        universe = resolve_live(
            scenario,
            shares.instruments,
            shares.base_prices_raw,
            kis.gateway.market_ns(),
            window.end_ns,
        )
        kis.check_slots(universe)
        return universe

    async def _trade(self, kis: KisSide, universe: Universe, clock: VenueClock) -> Outcome:
        settings = self._settings
        with open_journal(settings.journal_url, settings.home) as store:
            journal = store.begin(manifest(universe, "live"))
            with journal:
                started = time.perf_counter()
                with self._ending.on_signals():
                    node = NodeRun(universe, journal, kis, clock.time, self._screen, self._ending)
                    try:
                        result = await node.run()
                    except OnetapeError as error:
                        raise RunFailed(f"run {journal.run_id} failed: {error}") from error
                    except Exception as error:
                        raise RunFailed(
                            f"run {journal.run_id} failed: {type(error).__name__}: {error}; this "
                            "is a defect of onetape (--debug shows where)."
                        ) from error
                elapsed_s = time.perf_counter() - started
                outcome = Outcome(
                    journal.run_id,
                    journal.digest,
                    journal.head,
                    result,
                    elapsed_s,
                    "live",
                    node.told(),
                )
                journal.end("ended", outcome.summary())
        return outcome
