"""What the market's clock shows: announced by a simulated venue, given for one, or our own.

Rule: only a server on this machine can live in another time; against any other address market
time is wall time, and a setting that says otherwise is refused.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from ipaddress import ip_address
from urllib.parse import urlsplit

import aiohttp

from scenarios.scenario import parse_time_ns
from strategies.errors import BadInput
from strategies.host.intents import TS_NS_MAX
from strategies.market_time import MarketTime

SETTING = "ONETAPE_MARKET_TIME"
ANNOUNCEMENT = "/simulator"
"""Where a simulated venue says that it is one, and what time it lives in."""
SPEED_MAX = 10_000
TIMEOUT_S = 5.0
_BODY_BYTES = 65_536
_SPEED = re.compile(r"\d{1,20}(\.\d{1,20})?(e-?\d{1,2})?|\d{1,20}/\d{1,20}", re.ASCII)
"""No power beyond two digits: the number that it stands for would have to be written out."""


@dataclass(frozen=True, slots=True)
class VenueClock:
    """A venue's time, and whether the venue says that it is a simulator."""

    time: MarketTime
    is_simulator: bool


def is_loopback(url: str) -> bool:
    """Tell whether an address is this machine's own."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def venue_clock(
    urls: tuple[str, ...], environ: Mapping[str, str], wall_ns: int
) -> VenueClock:
    """Return the time of the venue at ``urls``, of which the first speaks HTTP.

    Raises BadInput where a market time is given for a venue that is not on this machine.
    """
    text = environ.get(SETTING, "").strip()
    given = _given(text, wall_ns) if text else None
    is_here = all(is_loopback(url) for url in urls)
    if given and not is_here:
        raise BadInput(
            f"{SETTING} is set and {', '.join(url for url in urls if not is_loopback(url))} is not "
            "on this machine: a real venue's time is not given; unset it."
        )
    announced = await _announced(urls[0]) if is_here else None
    if announced is not None:
        return VenueClock(announced, is_simulator=True)
    return VenueClock(given or MarketTime(wall_ns, wall_ns), is_simulator=False)


async def _announced(url: str) -> MarketTime | None:
    """Ask a server on this machine what it is; None where it does not say."""
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url + ANNOUNCEMENT, allow_redirects=False) as response,
        ):
            if response.status != 200:
                return None
            return read_announcement(await _body(response))
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None  # whether it can be reached at all is said where it is asked for a token


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """Return the body, empty where it is longer than any announcement."""
    body = b""
    async for part in response.content.iter_any():
        body += part
        if len(body) > _BODY_BYTES:
            return b""
    return body


def read_announcement(body: bytes) -> MarketTime | None:
    """Return the time that a server's answer tells, None where it tells none."""
    try:
        told = json.loads(body)
        if not told["simulator"]:
            return None
        wall_ns, market_ns = int(told["origin_wall_ns"]), int(told["origin_market_ns"])
        speed = _speed(str(told["speed"]))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    if not (0 <= wall_ns < TS_NS_MAX and 0 <= market_ns < TS_NS_MAX):
        return None
    return MarketTime(wall_ns, market_ns, speed)


def _given(text: str, wall_ns: int) -> MarketTime:
    moment, at, speed = text.partition("@")
    market_ns = parse_time_ns(moment, "the market time", SETTING)
    try:
        return MarketTime(wall_ns, market_ns, _speed(speed if at else "1"))
    except ValueError:
        raise BadInput(
            f"{SETTING} is {text!r}: after @ give how many times faster the market runs, above 0 "
            f"and up to {SPEED_MAX:,}, as in 2026-11-20T08:59:50+09:00@5."
        ) from None


def _speed(text: str) -> Fraction:
    """Read 5, 0.5, 1/3 or 1e-05; raises ValueError for what is no speed."""
    if not _SPEED.fullmatch(text):
        raise ValueError(f"{text!r} is no speed")
    try:
        speed = Fraction(text)
    except ZeroDivisionError:
        speed = Fraction(0)
    if not 0 < speed <= SPEED_MAX:
        raise ValueError(f"{text!r} is no speed")
    return speed
