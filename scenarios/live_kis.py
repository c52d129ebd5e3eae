"""KIS as the venue of a live node: its connection, shares, money and what a run needs of them.

Rule: the one place where a scenario and the adapter meet. Everything here is asked before a run
begins; nothing of it changes an account.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from nautilus_trader.model import Equity, InstrumentId

from adapters.kis.account import AccountSnapshot, KisAccount
from adapters.kis.config import KisConfig
from adapters.kis.errors import ProtocolError, Retry
from adapters.kis.gateway import Hours, KisGateway
from adapters.kis.instruments import Listing, why_not_tradable
from adapters.kis.limits import Servers
from adapters.kis.masters import KisInstruments
from scenarios.consent import Stakes
from scenarios.findings import State
from scenarios.live_universe import matched_codes, named_codes
from scenarios.market_clock import VenueClock, is_loopback
from scenarios.scenario import Scenario, parse_money
from scenarios.venue_health import clock_finding, require_kis
from scenarios.wiring import Universe
from strategies.errors import BadInput, RunFailed
from strategies.markets import krx
from strategies.markets.facts import RAW_ONE
from strategies.markets.sessions import Session
from strategies.ports import StreamKind

MINUTE_NS = 60_000_000_000
BEFORE_OPEN_NS = 30 * MINUTE_NS
"""Orders of the opening auction are taken from 08:30. Source: KRX, trading hours, 2026-11-20."""
AFTER_CLOSE_NS = MINUTE_NS
"""The closing auction ends up to 30 s late and its prints come after that."""
LOG_IN_S = 90
"""A request may take its time, and KIS gives one token a minute."""
BOOKS = frozenset({StreamKind.QUOTES, StreamKind.DELTAS})
"""Streams that one registration of the book brings; trades and bars come with one of the trades."""
NOTICES = 1
"""Registrations that fill notices take."""


@dataclass(frozen=True, slots=True)
class Shares:
    """What KIS lists of the shares a scenario means."""

    instruments: Mapping[InstrumentId, Equity]
    base_prices_raw: Mapping[InstrumentId, int]


class KisSide:
    """One node's KIS: ``open`` before anything else, ``close`` at the end.

    ``equities`` are the shares of the run, once loaded. ``failed`` is told of what
    ends the connection for good.
    """

    def __init__(
        self,
        config: KisConfig,
        folder: Path,
        clock: VenueClock,
        session: Session,
        say: Callable[[str], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self.config = config
        self.session = session
        self.equities: tuple[Equity, ...] = ()
        self._clock = clock
        self._say = say
        self._codes: dict[str, InstrumentId] = {}
        self.gateway = KisGateway(
            config,
            folder,
            say,
            market=clock.time,
            instrument_ids=self._codes,
            hours=[Hours(session.open_ns - BEFORE_OPEN_NS, session.close_ns + AFTER_CLOSE_NS)],
            failed=failed,
        )
        self._shares = KisInstruments(
            self.gateway.http, config, folder, self.gateway.timing, self._say
        )
        self._account: AccountSnapshot | None = None
        self._money_krw = 0

    async def open(self) -> None:
        """Open what asks KIS and log in; the socket comes with the engine's clients.

        Raises an error of the tree, BadInput or RunFailed that says what is wrong: address, keys,
        clock or environment.
        """
        await self._check_clock()
        await self.gateway.open_requests()
        try:
            async with asyncio.timeout(LOG_IN_S):
                await self.gateway.http.log_in(self._say)
        except (Retry, ProtocolError, TimeoutError) as error:
            await require_kis(self.config)  # says it better where this is not KIS at all
            raise RunFailed(
                f"KIS gave no token ({error or f'no answer within {LOG_IN_S} s'}): try again."
            ) from error

    async def _check_clock(self) -> None:
        """Hold our clock against a real venue's: receive stamps and windows are ours."""
        if is_loopback(self.config.rest_url):
            return
        found = await clock_finding(self.config)
        if found.state is State.FAIL:
            raise RunFailed(f"{found.what}: {found.found}; {found.advice}.")
        if found.state is State.WARN:
            self._say(f"{found.what}: {found.found}; {found.advice or 'look at the clock'}.")

    async def close(self) -> None:
        """Close the connection once the engine's clients have left."""
        await self.gateway.close()

    # --- what KIS knows ---

    async def check_day(self, session: Session) -> None:
        """Raise BadInput where KIS says that the market stays closed on the session's day."""
        day = datetime.fromtimestamp(session.open_ns // 10**9, ZoneInfo(krx.TIMEZONE)).date()
        found = await self._shares.market_day(day)
        if found is not None and not found.open:
            raise BadInput(f"KIS says that KRX stays closed on {day}: run on another day.")

    async def load(self, scenario: Scenario) -> Shares:
        """Return the scenario's shares; raises BadInput for one that is not listed."""
        codes = named_codes(scenario, krx.VENUE)
        if codes is None:
            codes = self.tradable(scenario, await self._shares.listings())
            self._check_count(codes, scenario)
        listed = await self._shares.load(codes)
        self.equities = tuple(one.equity for one in listed.values())
        for code, one in listed.items():
            self._codes[code] = one.equity.id
            why = why_not_tradable(one.listing, one.facts)
            if why is not None:
                self._say(f"{one.equity.id}: {why}; orders in it may be refused.")
        return Shares(
            {one.equity.id: one.equity for one in listed.values()},
            {
                one.equity.id: one.facts.base * RAW_ONE
                for one in listed.values()
                if one.facts is not None and one.facts.base
            },
        )

    def tradable(self, scenario: Scenario, listings: Mapping[str, Listing]) -> list[str]:
        """Return the shares that patterns mean, without those that cannot be traded today.

        A halted share can lack even a price; a share that was named is asked for all the same.
        """
        codes = matched_codes(scenario, krx.VENUE, list(listings))
        whys = {code: why_not_tradable(listings[code]) for code in codes}
        for code, why in whys.items():
            if why is not None and not _is_named(scenario, code):
                self._say(f"{code}.{krx.VENUE} is left out: {why}.")
        return [code for code in codes if whys[code] is None or _is_named(scenario, code)]

    def _check_count(self, codes: list[str], scenario: Scenario) -> None:
        """Refuse a pattern that means more shares than could ever be registered."""
        most = self.config.limits.registrations - NOTICES
        if len(codes) > most:
            raise BadInput(
                f"{scenario.source}: the patterns of its strategies mean {len(codes):,} shares of "
                f"KRX, and KIS streams at most {most} to a node; name the ones you want."
            )

    def check_slots(self, universe: Universe) -> None:
        """Raise BadInput where the strategies hear more streams than KIS registers."""
        wanted = {
            ("book" if kind in BOOKS else "trades", instrument_id)
            for topics in universe.topics.values()
            for kind, _, instrument_id in topics
        }
        most = self.config.limits.registrations
        if len(wanted) + NOTICES > most:
            raise BadInput(
                f"{universe.scenario.source}: its strategies hear {len(wanted)} streams and fill "
                f"notices take {NOTICES}, but KIS registers {most} in all (trades or bars of a "
                "share take one, quotes and book another); listen to fewer."
            )

    async def money(self, scenario: Scenario) -> Mapping[str, list[str]]:
        """Return what the run begins with: the scenario's money, or the account's where less."""
        account = await KisAccount(self.gateway).read()
        table = scenario.table.venues[krx.VENUE]
        amounts = [parse_money(text, scenario.source) for text in table.balances]
        others = sorted({each.currency.code for each in amounts} - {krx.KRW.code})
        if others:
            raise BadInput(
                f"{scenario.source}: venues.{krx.VENUE}.balances hold {', '.join(others)}, and KIS "
                f'trades KRX in KRW; write it like "10_000_000 KRW".'
            )
        given = sum(int(each.as_decimal()) for each in amounts)
        self._account = account
        self._money_krw = min(given, max(account.settled_krw, 0))
        if not self._money_krw:
            raise BadInput(
                f"{scenario.source}: there is no money to trade with: the account holds "
                f"{account.settled_krw:,} KRW and venues.{krx.VENUE}.balances give {given:,}."
            )
        if self._money_krw < given:
            self._say(
                f"The account holds {account.settled_krw:,} KRW, less than the scenario's "
                f"{given:,}: the run begins with what is there."
            )
        return {krx.VENUE: [f"{self._money_krw} KRW"]}

    # --- what is at stake ---

    def stakes(self) -> Stakes:
        """Return what is shown before a run trades."""
        config, account = self.config, self._account
        held = {} if account is None else account.holdings
        cash = 0 if account is None else account.settled_krw
        shown = ", ".join(f"{code} {one.quantity:,}" for code, one in sorted(held.items()))
        return Stakes(
            venue=f"KIS ({config.servers})",
            address=urlsplit(config.rest_url).netloc,
            account=f"****{config.account.number[-2:]}-{config.account.product}",
            money=(
                ("cash of the account", f"{cash:,} KRW"),
                ("shares held before", shown or "none"),
                ("money of this run", f"{self._money_krw:,} KRW"),
            ),
            play=self._play(),
        )

    def _play(self) -> str:
        """Return why no real money moves, empty where it does."""
        if self._clock.is_simulator:
            return "the server is a simulator on this machine"
        return "KIS's mock investment" if self.config.servers is Servers.MOCK else ""


def _is_named(scenario: Scenario, code: str) -> bool:
    name = f"{code}.{krx.VENUE}"
    return any(name in table.instruments for table in scenario.table.strategies)
