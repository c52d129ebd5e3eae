"""What must be right at KIS for a live run: address, clock, token, environment, key, slots.

Rule: nothing is changed there, every question ends by itself, and no key is sent before the address
has answered as KIS does. Of keys and account no finding shows more than a setting's name.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from fnmatch import fnmatchcase

import orjson

from adapters.kis import requests
from adapters.kis.config import KisConfig, read_config
from adapters.kis.connection import Connections, Loss, Reply
from adapters.kis.errors import (
    BadCredentials,
    NotPermitted,
    RateRefused,
    Retry,
    TokenTooSoon,
    WrongEnvironment,
)
from adapters.kis.http import KisHttp
from adapters.kis.requests import Endpoint, Wire
from adapters.kis.timing import Timing
from catalog.store import Store
from scenarios.findings import LIVE, Finding, State
from scenarios.live_universe import named_codes, resolve_live
from scenarios.scenario import Scenario, ScenarioTable, find_scenario, load_scenario
from scenarios.settings import Settings
from strategies.errors import OnetapeError, RunFailed
from strategies.markets import krx
from strategies.markets.facts import RAW_ONE
from strategies.markets.sessions import DAY_NS

SECOND_NS = 1_000_000_000
SKEW_WARN_NS = 2 * SECOND_NS
SKEW_FAIL_NS = 60 * SECOND_NS
PATIENCE_S = 20
"""How long one question may take, waits for the request budget and a retry among it."""
NOTICES = 1
"""Registrations that fill notices take."""
BOOKS = frozenset({"quotes", "book", "deltas"})
"""Streams that a registration of the book brings; trades and bars come with one of the trades."""

_BASE_RAW = 10_000 * RAW_ONE
"""Stands for the price of a share that has not been asked for."""

_PROBES = (requests.PRICE, requests.TOKEN)
_SIGNS = frozenset({"rt_cd", "msg_cd", "error_code", "access_token"})
"""KIS's answers hold one of these, refusals of a question without a key too."""
_ONE_RETRY: Mapping[str, object] = {"retries": 1}


def examine_kis(
    settings: Settings, given: Mapping[str, str], scenario: str | None
) -> list[Finding]:
    """Look at KIS with the settings ``given``; ``scenario`` names one whose slots are counted.

    Its limits of KIS are used; a scenario that cannot be read is told elsewhere.
    """
    try:
        loaded = None if scenario is None else load_scenario(find_scenario(scenario))
    except OnetapeError:
        loaded = None
    venue = None if loaded is None else loaded.table.venues.get(krx.VENUE)
    try:
        config = read_config(given, {**_ONE_RETRY, **(venue.limits if venue else {})})
    except OnetapeError as error:
        return [Finding("KIS settings", State.FAIL, str(error))]
    findings = asyncio.run(_examine(config, settings))
    if loaded is None:
        return findings
    return [*findings, *check_slots(loaded.table, settings, config), *check_live(loaded)]


async def _examine(config: KisConfig, settings: Settings) -> list[Finding]:
    probe = await _probe(config)
    address = check_address(probe, config)
    if address.state is not State.OK:
        return [address]
    said: list[str] = []
    findings = [address, check_skew(probe)]
    async with KisHttp(config, settings.kis_folder, said.append) as http:
        async for finding in _with_keys(http, config):
            findings.append(finding)
            if finding.state is not State.OK:
                break  # without a token nothing else can be asked
    return findings


async def _with_keys(http: KisHttp, config: KisConfig) -> AsyncIterator[Finding]:
    yield await _asked("KIS token", http.log_in(), "there is one, kept for all processes")
    yield await _asked(
        "KIS account",
        http.ask(requests.balance(config.account)),
        f"answers; keys, address and ONETAPE_KIS_ENV={config.servers} belong together",
    )
    yield await _asked("KIS WebSocket key", http.approval_key(), "can be had")


async def _asked(what: str, question: Awaitable[object], good: str) -> Finding:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await question
    except (TokenTooSoon, RateRefused) as error:
        advice = "KIS gives a token once a minute: try again in a minute"
        return Finding(what, State.WARN, str(error), advice)
    except TimeoutError:
        return Finding(what, State.FAIL, f"no answer within {PATIENCE_S} s", "try again later")
    except OnetapeError as error:
        return Finding(what, State.FAIL, str(error), _advice(error))
    return Finding(what, State.OK, good)


def _advice(error: OnetapeError) -> str:
    if isinstance(error, WrongEnvironment):
        return "set ONETAPE_KIS_ENV to real or mock, as the appkey was issued"
    if isinstance(error, BadCredentials | NotPermitted):
        return "compare the settings with KIS Developers, where a registration lasts one year"
    if isinstance(error, Retry):
        return "try again; KIS's mock servers rest at night and on weekends"
    return ""


# --- the address and its clock -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Probe:
    """What an address answered to a question without a key, and our clock in the middle of it."""

    outcome: Reply | Loss
    is_kis: bool
    wall_ns: int


async def require_kis(config: KisConfig) -> None:
    """Raise RunFailed where the REST address does not answer as KIS does; no key is sent."""
    finding = check_address(await _probe(config), config)
    if finding.state is not State.OK:
        raise RunFailed(f"{finding.found}: {finding.advice}.")


async def clock_finding(config: KisConfig) -> Finding:
    """Hold our clock against KIS's; no key is sent."""
    return check_skew(await _probe(config))


async def _probe(config: KisConfig, timing: Timing | None = None) -> Probe:
    """Ask without a key until an answer looks like KIS's; where none does, one that came at all.

    A reply may be lost: the second question stands in for it.
    """
    timing = timing or Timing()
    connections = Connections(config.rest_url, timing, config.limits.request_timeout_ns)
    try:
        first = await _ask_without_key(connections, _PROBES[0], timing)
        if first.is_kis:
            return first
        second = await _ask_without_key(connections, _PROBES[1], timing)
    finally:
        await connections.close()
    return first if isinstance(second.outcome, Loss) else second


async def _ask_without_key(connections: Connections, endpoint: Endpoint, timing: Timing) -> Probe:
    body = b"{}" if endpoint.method == "POST" else b""
    headers = {"content-type": "application/json; charset=utf-8"}
    begun_ns = timing.wall_ns()
    outcome = await connections.send(
        Wire(method=endpoint.method, target=endpoint.path, headers=headers, body=body)
    )
    return Probe(outcome, _looks_like_kis(outcome), (begun_ns + timing.wall_ns()) // 2)


def _looks_like_kis(outcome: Reply | Loss) -> bool:
    if isinstance(outcome, Loss):
        return False
    try:
        told = orjson.loads(outcome.body)
    except orjson.JSONDecodeError:
        return False
    return isinstance(told, dict) and not _SIGNS.isdisjoint(name.lower() for name in told)


def check_address(probe: Probe, config: KisConfig) -> Finding:
    """Say whether the REST address answers, and answers as KIS does."""
    what, place = "KIS address", config.rest_url
    advice = "check ONETAPE_KIS_REST_URL, or unset it for KIS's own"
    if probe.is_kis:
        return Finding(what, State.OK, f"{place} answers ({config.servers} servers)")
    if isinstance(probe.outcome, Reply):
        kind = _header(probe.outcome, "content-type").partition(";")[0] or "no type"
        found = f"{place} answers, but not as KIS does (status {probe.outcome.status}, {kind})"
        return Finding(what, State.FAIL, found, advice)
    if probe.outcome.written:
        found = f"{place} takes a connection and answers no HTTP ({probe.outcome.how})"
        return Finding(what, State.FAIL, found, advice)
    advice = "check the network and ONETAPE_KIS_REST_URL; KIS's mock servers rest at night"
    return Finding(what, State.FAIL, f"nothing answers at {place}", advice)


def check_skew(probe: Probe) -> Finding:
    """Hold our clock against the ``Date`` of an answer, which tells whole seconds."""
    what, advice = "KIS clock", "let the system keep its clock (NTP): stamps and windows are ours"
    venue_ns = _date_ns(probe.outcome)
    if venue_ns is None:
        return Finding(what, State.WARN, "its answers tell no time; the skew is not known")
    # the answer's second is on average half over
    skew_ns = probe.wall_ns - (venue_ns + SECOND_NS // 2)
    words = f"ours is {abs(skew_ns) / SECOND_NS:.1f} s {'ahead' if skew_ns > 0 else 'behind'}"
    if abs(skew_ns) > SKEW_FAIL_NS:
        return Finding(what, State.FAIL, words, advice)
    if abs(skew_ns) > SKEW_WARN_NS:
        return Finding(what, State.WARN, words, advice)
    return Finding(what, State.OK, words)


def _date_ns(outcome: Reply | Loss) -> int | None:
    if isinstance(outcome, Loss):
        return None
    try:
        return int(parsedate_to_datetime(_header(outcome, "date")).timestamp()) * SECOND_NS
    except (ValueError, OverflowError):
        return None


def _header(reply: Reply, name: str) -> str:
    return {key.lower(): text for key, text in reply.headers.items()}.get(name, "")


# --- slots ---------------------------------------------------------------------------------------


def check_slots(table: ScenarioTable, settings: Settings, config: KisConfig) -> Iterator[Finding]:
    """Count the registrations a scenario needs; patterns mean what the catalog knows."""
    try:
        known = [str(each) for each in Store(settings.catalog).instruments()]
    except OnetapeError:
        known = []  # told by the finding about the catalog
    needed, most = slots_needed(table, known), config.limits.registrations
    if not needed:
        return
    found = f"{table.name} needs {needed} of {most} registrations, one for fill notices"
    if needed > most:
        advice = "name fewer instruments or streams (trades or bars take one, quotes another)"
        yield Finding("KIS slots", State.FAIL, found, advice)
    else:
        yield Finding("KIS slots", State.OK, found)


def check_live(scenario: Scenario) -> Iterator[Finding]:
    """Do what a live run does before it asks KIS, for a scenario that names its shares."""
    codes = named_codes(scenario, krx.VENUE)
    if set(scenario.table.venues) != {krx.VENUE} or not codes:
        return
    now_ns = time.time_ns()
    try:
        known = {each.id: each for each in map(krx.equity, codes)}
        resolve_live(
            scenario,
            dict(known),
            dict.fromkeys(known, _BASE_RAW),
            now_ns,
            now_ns + DAY_NS,
        )
    except OnetapeError as error:
        yield Finding(LIVE, State.FAIL, str(error))
        return
    words = f"{scenario.name}: {len(scenario.table.strategies)} strategies, {len(known)} shares"
    yield Finding(LIVE, State.OK, f"{words}, fit to run at KIS")


def slots_needed(table: ScenarioTable, known: Iterable[str]) -> int:
    """Return how many registrations a scenario's shares of KRX take, 0 where it has none."""
    known = list(known)
    wanted = {
        (stream in BOOKS, instrument)
        for strategy in table.strategies
        for pattern in strategy.instruments
        for instrument in {*(each for each in known if fnmatchcase(each, pattern)), pattern}
        for stream in strategy.streams
        if instrument.endswith(f".{krx.VENUE}") and not set("*?[") & set(instrument)
    }
    return len(wanted) + NOTICES if wanted else 0
