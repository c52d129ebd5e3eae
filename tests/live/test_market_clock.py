"""What time a venue lives in: told by it, given for it, or our own; never for one elsewhere."""

import asyncio
import json
from contextlib import asynccontextmanager
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios import market_clock
from scenarios.market_clock import SETTING, VenueClock, is_loopback, venue_clock
from strategies.errors import BadInput
from strategies.market_time import MarketTime

WALL_NS = 1_790_000_000_123_456_789
MARKET_NS = 1_773_014_390_000_000_000
MOMENT = "2026-03-09T08:59:50+09:00"
TOLD = {
    "simulator": "some server",
    "origin_wall_ns": WALL_NS,
    "origin_market_ns": MARKET_NS,
    "speed": 8.0,
}
OWN = VenueClock(MarketTime(WALL_NS, WALL_NS, Fraction(1)), is_simulator=False)
GIVEN = VenueClock(MarketTime(WALL_NS, MARKET_NS, Fraction(1)), is_simulator=False)


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def serving(*parts: bytes, host="127.0.0.1", stays=False):
    """Answer every request with these bytes, a moment between them; gives address and paths."""
    paths = []

    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        paths.append(head.split()[1].decode())
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        if stays:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(answer, host, 0)
    port = server.sockets[0].getsockname()[1]
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        yield place, paths
    finally:
        server.close()
        server.close_clients()
        await server.wait_closed()


def asked(*parts: bytes, given: str = "", **more: object) -> tuple[VenueClock, list[str]]:
    async def ask():
        async with serving(*parts, **more) as (place, paths):
            urls = (f"http://{place}", f"ws://{place}/tryitout")
            return await venue_clock(urls, {SETTING: given}, WALL_NS), paths

    return asyncio.run(ask())


def clock_at(*urls: str, **environ: str) -> VenueClock:
    return asyncio.run(venue_clock(urls, environ, WALL_NS))


@pytest.mark.parametrize(
    ("url", "is_here"),
    [
        ("http://127.0.0.1:1", True),
        ("ws://127.8.9.1/tryitout", True),
        ("http://localhost:99", True),
        ("http://LOCALHOST", True),
        ("http://[::1]:80", True),
        ("http://[::ffff:127.0.0.1]", True),
        ("http://0.0.0.0", False),
        ("http://10.0.0.1", False),
        ("https://openapi.koreainvestment.com:9443", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost.example.com", False),
        ("http://[fe80::1]", False),
        ("http://", False),
    ],
)
def test_only_this_machines_addresses_are_here(url: str, is_here: bool) -> None:
    assert is_loopback(url) is is_here


# --- announced ---


def test_a_server_that_says_it_simulates_gives_time_and_speed() -> None:
    clock, paths = asked(reply(json.dumps(TOLD).encode()))
    assert clock == VenueClock(MarketTime(WALL_NS, MARKET_NS, Fraction(8)), is_simulator=True)
    assert paths == ["/simulator"]


def test_an_announcement_may_come_in_pieces() -> None:
    whole = reply(json.dumps(TOLD).encode())
    clock, _ = asked(whole[:-40], whole[-40:-20], whole[-20:])
    assert clock.is_simulator


def test_what_is_announced_wins_over_what_was_given() -> None:
    clock, _ = asked(reply(json.dumps(TOLD).encode()), given="2020-01-02T09:00:00+09:00@2")
    assert clock.time == MarketTime(WALL_NS, MARKET_NS, Fraction(8))


def test_ipv6_loopback_announces_as_any_other() -> None:
    try:
        clock, _ = asked(reply(json.dumps(TOLD).encode()), host="::1")
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 loopback: {error}")
    assert clock.is_simulator


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in TOLD.items() if key != name}).encode()


def with_(**more: object) -> bytes:
    return json.dumps(TOLD | more).encode()


NO_ANNOUNCEMENTS = {
    "empty": b"",
    "no json": b"<html>hello</html>",
    "no text": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "deep": b"[" * 60_000,
    "no simulator": without("simulator"),
    "simulator false": with_(simulator=False),
    "simulator empty": with_(simulator=""),
    "no origin": without("origin_wall_ns"),
    "no speed": without("speed"),
    "speed zero": with_(speed=0),
    "speed below zero": with_(speed=-1),
    "speed beyond all": with_(speed=1e9),
    "speed infinite": with_(speed=float("inf")),
    "speed not a number": with_(speed=float("nan")),
    "speed as a power": with_(speed="1e999999999"),
    "speed by zero": with_(speed="1/0"),
    "speed null": with_(speed=None),
    "speed a list": with_(speed=[1]),
    "origin infinite": with_(origin_wall_ns=float("inf")),
    "origin text": with_(origin_market_ns="soon"),
    "origin null": with_(origin_market_ns=None),
    "origin before all days": with_(origin_market_ns=-1),
    "origin after all days": with_(origin_market_ns=10**30),
    "wall beyond all": with_(origin_wall_ns=10**30),
    "origin with too many digits": b'{"simulator": 1, "origin_wall_ns": ' + b"9" * 5_000 + b"}",
    "huge": with_(more="x" * 200_000),
}


@pytest.mark.parametrize("body", NO_ANNOUNCEMENTS.values(), ids=NO_ANNOUNCEMENTS)
def test_what_is_no_announcement_leaves_the_time_our_own(body: bytes) -> None:
    clock, _ = asked(reply(body))
    assert clock == OWN


@pytest.mark.parametrize(
    "parts",
    [
        [reply(with_(), "404 Not Found")],
        [reply(with_(), "500 Oops")],
        [reply(b"", "302 Found", "Location: http://127.0.0.1:1/simulator")],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + with_()[:50]],
        [b"+OK POP3 ready\r\n"],
        [b""],
    ],
    ids=["404", "500", "redirect", "cut off", "not HTTP", "hangs up"],
)
def test_another_server_announces_nothing(parts: list[bytes]) -> None:
    clock, paths = asked(*parts)
    assert clock == OWN
    assert set(paths) == {"/simulator"}  # aiohttp asks twice where nothing came


def test_a_server_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(market_clock, "TIMEOUT_S", 0.05)
    assert asked(stays=True)[0] == OWN
    assert asked(reply(with_())[:-9], stays=True)[0] == OWN


def test_a_server_that_hangs_lives_in_the_time_that_was_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(market_clock, "TIMEOUT_S", 0.05)
    assert asked(stays=True, given=MOMENT)[0] == GIVEN


@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(sorted(TOLD)), inner, max_size=4)
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_body_is_an_announcement_or_none(body: bytes) -> None:
    time = market_clock.read_announcement(body)
    if time is not None:
        assert 0 < time.speed <= market_clock.SPEED_MAX
        assert set(json.loads(body)) >= set(TOLD)


# --- given ---


@pytest.mark.parametrize(
    ("text", "speed"),
    [(MOMENT, 1), (f"{MOMENT}@5", 5), (f"{MOMENT}@2.5", Fraction(5, 2)), (f"{MOMENT}@1/4", 0.25)],
)
def test_a_silent_server_lives_in_the_time_that_was_given(text: str, speed: Fraction) -> None:
    clock, _ = asked(reply(b"", "404 Not Found"), given=f"  {text} ")
    assert clock == VenueClock(MarketTime(WALL_NS, MARKET_NS, Fraction(speed)), is_simulator=False)


@pytest.mark.parametrize(
    "text",
    [
        "now",
        "2026-03-09T08:59:50",
        "2026-13-09T08:59:50+09:00",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        f"{MOMENT}@",
        f"{MOMENT}@fast",
        f"{MOMENT}@0",
        f"{MOMENT}@-5",
        f"{MOMENT}@nan",
        f"{MOMENT}@inf",
        f"{MOMENT}@1/0",
        f"{MOMENT}@10001",
        f"{MOMENT}@1e999999999",
        f"{MOMENT}@1e-999999999",
        f"{MOMENT}@5@5",
        "@5",
    ],
)
@pytest.mark.parametrize("body", [b"", with_()], ids=["silent", "announcing"])
def test_a_time_that_is_none_is_refused_whatever_the_server_says(text: str, body: bytes) -> None:
    with pytest.raises(BadInput, match=SETTING) as caught:
        asked(reply(body), given=text)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    "urls",
    [
        ("https://openapi.koreainvestment.com:9443", "ws://ops.koreainvestment.com:21000"),
        ("http://10.0.0.7:80", "ws://127.0.0.1:80"),
        ("http://127.0.0.1:1", "ws://example.com:80"),
    ],
)
def test_a_real_venues_time_is_not_given(urls: tuple[str, ...]) -> None:
    with pytest.raises(BadInput, match=f"{SETTING} is set and .* not on this machine"):
        clock_at(*urls, **{SETTING: MOMENT})


def test_a_real_venue_is_not_asked_what_it_is_and_lives_in_our_time() -> None:
    # The name does not resolve: a question would fail, and take its time.
    assert clock_at("http://kis.invalid", "ws://kis.invalid") == OWN


def test_one_address_elsewhere_makes_a_venue_a_real_one() -> None:
    async def ask():
        async with serving(reply(with_())) as (place, paths):
            urls = (f"http://{place}", "ws://kis.invalid")
            return await venue_clock(urls, {}, WALL_NS), paths

    assert asyncio.run(ask()) == (OWN, [])
