"""Instruments of a node: master files fetched, kept and done without; prices; market days."""

import asyncio
import stat
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date

import pytest
from aiohttp import web
from live_kis import SECOND, SECRETS, live
from nautilus_trader.model import Price

from adapters.kis import errors
from adapters.kis.instruments import Board, why_not_tradable
from adapters.kis.limits import Servers
from adapters.kis.masters import KisInstruments, listing_of
from adapters.kis.replies import PriceFacts
from strategies.errors import BadInput

from kis_market import CODE, quote, symbols_of, trade  # isort: skip - found on the path of live_kis

EVENTS = [quote(1), trade(2, 10_000, 5)]
CODES = (CODE, "0002A0")
DAY_NS = 86_400 * SECOND
MARKET_DAY = date(2026, 3, 9)


class Node:
    """A live server with an instrument provider beside its client."""

    def __init__(self, one, **config):
        self.one = one
        url = f"http://127.0.0.1:{one.server.port}/common/master"
        self.config = replace(one.config, **({"master_url": url} | config))
        self.said = []
        self.http = one.http

    @property
    def instruments(self):
        folder, timing = self.one.folder, self.one.fast.timing()
        return KisInstruments(self.http, self.config, folder, timing, self.said.append)


def check(folder, body, **config):
    async def run():
        async with live(folder, *EVENTS, codes=CODES, speed=20) as one:
            await body(Node(one, **config))

    asyncio.run(run())


@asynccontextmanager
async def answering(reply):
    """Serve one answer for every request; gives the address and the requests that came."""
    seen = []

    async def handle(request):
        seen.append(request)
        return reply() if callable(reply) else reply

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}", seen
    finally:
        await runner.cleanup()


def test_named_shares_come_with_their_listing_facts_and_bounds(tmp_path):
    async def body(node):
        node.one.arm("halt", match="0002A0")
        found = await node.instruments.load(["0002A0", CODE, CODE])
        assert list(found) == ["0002A0", CODE]
        one = found[CODE]
        assert (one.listing.board, one.listing.name) == (Board.KOSPI, f"가상{CODE}")
        assert (one.facts.price, one.facts.base) == (10_000, 10_000)
        bounds = Price.from_str("7000"), Price.from_str("13000")
        assert (one.equity.min_price, one.equity.max_price) == bounds
        assert one.equity.info["upper_limit"] == 13_000
        reasons = [why_not_tradable(each.listing, each.facts) for each in found.values()]
        assert reasons == ["trading is halted", None]
        assert node.one.seen.requests["inquire-price"] == 2
        assert node.said == []

    check(tmp_path, body)


def test_all_shares_come_from_the_masters_alone(tmp_path):
    async def body(node):
        found = await node.instruments.load()
        assert set(found) == {*CODES, "999999"}
        assert {each.facts for each in found.values()} == {None}
        assert found[CODE].equity.max_price is None
        assert node.one.seen.requests["inquire-price"] == 0

    check(tmp_path, body)


def test_masters_are_kept_for_the_day_and_serve_the_next_one_with_a_warning(tmp_path):
    async def body(node):
        first = await node.instruments.listings(CODES)
        kept = list(tmp_path.glob("kis-master-*"))
        assert len(kept) == 4
        assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}
        await node.one.server.stop()
        assert await node.instruments.listings(CODES) == first
        assert node.said == []
        node.one.fast.jumped_ns += DAY_NS
        assert await node.instruments.listings(CODES) == first
        assert len(node.said) == 1
        assert "no connection" in node.said[0]
        assert "those of 2026-09-21 are used" in node.said[0]

    check(tmp_path, body)


def test_old_masters_are_not_kept_for_ever(tmp_path):
    async def body(node):
        for _ in range(5):
            await node.instruments.listings(CODES)
            node.one.fast.jumped_ns += DAY_NS
        days = {path.name.split("-")[3] for path in tmp_path.glob("kis-master-*")}
        assert days == {"20260923", "20260924", "20260925"}

    check(tmp_path, body)


def test_kept_masters_that_lack_a_code_are_fetched_again(tmp_path):
    async def body(node):
        await node.instruments.listings([CODE])
        node.one.server.venue.exchange.symbols |= symbols_of(["990009"])
        found = await node.instruments.listings(["990009"])
        assert found["990009"].name == "가상990009"
        assert node.said == []

    check(tmp_path, body)


def test_damaged_kept_masters_are_fetched_again(tmp_path):
    async def body(node):
        await node.instruments.listings([CODE])
        for path in tmp_path.glob("kis-master-*"):
            path.write_bytes(path.read_bytes()[:100])
        assert set(await node.instruments.listings(CODES)) == set(CODES)
        assert node.said == []

    check(tmp_path, body)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (lambda: web.Response(status=404), "status 404"),
        (lambda: web.Response(body=b"<html>"), "no master archive"),
        (lambda: web.Response(status=302, headers={"Location": "/x"}), "status 302"),
    ],
)
def test_without_masters_a_named_share_is_built_from_its_price(tmp_path, reply, words):
    async def body(node):
        async with answering(reply) as (url, seen):
            node.config = replace(node.config, master_url=url)
            found = await node.instruments.load([CODE])
        assert words in node.said[0]
        assert f"No master file lists {CODE}" in node.said[1]
        one = found[CODE]
        assert (one.listing.name, one.equity.isin, one.equity.info["board"]) == (
            CODE,
            None,
            "KOSPI",
        )
        assert one.equity.max_price == Price.from_str("13000")
        assert not list(tmp_path.glob("kis-master-*"))
        shown = "".join(f"{request.path_qs} {dict(request.headers)}" for request in seen)
        assert not any(secret in shown for secret in SECRETS)
        assert "uthorization" not in shown

    check(tmp_path, body)


def test_a_node_at_another_server_asks_kis_for_nothing(tmp_path):
    async def body(node):
        node.config = node.one.config  # REST on loopback, masters at KIS
        found = await node.instruments.load([CODE])
        assert found[CODE].equity.max_price == Price.from_str("13000")
        assert "ONETAPE_KIS_MASTER_URL" in node.said[0]

    check(tmp_path, body)


def test_a_listing_larger_than_any_answer_of_kis_is_not_read(tmp_path):
    async def body(node):
        huge = bytes(9 * 1024 * 1024)
        async with answering(lambda: web.Response(body=huge)) as (url, _):
            node.config = replace(node.config, master_url=url)
            await node.instruments.load([CODE])
        assert "was too long" in node.said[0]

    check(tmp_path, body)


def test_without_masters_and_names_there_is_nothing_to_load(tmp_path):
    async def body(node):
        async with answering(lambda: web.Response(status=404)) as (url, _):
            node.config = replace(node.config, master_url=url)
            with pytest.raises(BadInput, match="ONETAPE_KIS_MASTER_URL"):
                await node.instruments.load()

    check(tmp_path, body)


def test_a_code_that_kis_does_not_know_is_named(tmp_path):
    async def body(node):
        with pytest.raises(BadInput, match="KIS knows no share 123456"):
            await node.instruments.load([CODE, "123456"])

    check(tmp_path, body)


def test_a_folder_that_cannot_be_written_is_said_and_done_without(tmp_path):
    async def body(node):
        (tmp_path / "file").touch()
        folder = tmp_path / "file" / "below"
        timing = node.one.fast.timing()
        instruments = KisInstruments(node.http, node.config, folder, timing, node.said.append)
        assert set(await instruments.load(CODES)) == set(CODES)
        assert "cannot be kept" in node.said[0]
        assert (await instruments.market_day(MARKET_DAY)).open
        assert "cannot be kept" in node.said[1]

    check(tmp_path, body)


# --- what a price answer alone tells ---

FACTS = PriceFacts(
    price=50300, base=50000, upper=65000, lower=35000, tick=100, lot=1, volume=1, sector="chips",
    market="KOSPI200", standing="55", warning="02", halted=False, liquidation=False,
    overheated=False, administrative=True, in_vi=False, listed_shares=1000,
)  # fmt: skip


@pytest.mark.parametrize(
    ("market", "board", "is_share", "is_member"),
    [
        ("KOSPI200", Board.KOSPI, True, True),
        ("KOSPI", Board.KOSPI, True, False),
        ("KSQ150", Board.KOSDAQ, True, True),
        ("KOSDAQ", Board.KOSDAQ, True, False),
        ("ETF", Board.KOSPI, False, False),
        ("", Board.KOSPI, True, False),
    ],
)
def test_a_listing_from_a_price_answer(market, board, is_share, is_member):
    found = listing_of("123450", replace(FACTS, market=market))
    assert (found.board, found.is_share, found.index_member) == (board, is_share, is_member)
    assert (found.base_price, found.alert, found.administrative) == (50_000, "warning", True)
    assert found.market_cap_krw == 50_000_000


# --- market days ---


def test_market_days_are_asked_once_a_day_and_kept(tmp_path):
    async def body(node):
        asked = node.one.seen.requests
        assert (await node.instruments.market_day(MARKET_DAY)).open
        assert not (await node.instruments.market_day(date(2026, 3, 14))).open
        assert asked["chk-holiday"] == 1
        node.one.fast.jumped_ns += DAY_NS
        assert (await node.instruments.market_day(MARKET_DAY)).open
        assert asked["chk-holiday"] == 2

    check(tmp_path, body)


def test_a_day_that_kis_does_not_tell_is_none_and_not_asked_again(tmp_path):
    class Nothing:
        """Tells of another day than the one that was asked."""

        def __init__(self, node):
            self.node, self.count = node, 0

        async def ask(self, request):
            self.count += 1
            other = replace(request, fields=request.fields | {"BASS_DT": "20200101"})
            return await self.node.one.http.ask(other)

    async def body(node):
        node.http = Nothing(node)
        for _ in range(2):
            assert await node.instruments.market_day(MARKET_DAY) is None
        assert node.http.count == 1

    check(tmp_path, body)


def test_a_failing_question_is_said_and_what_was_kept_serves(tmp_path):
    async def body(node):
        assert (await node.instruments.market_day(MARKET_DAY)).open
        node.one.fast.jumped_ns += DAY_NS
        node.one.arm("http_500", count=20, match="chk-holiday")
        assert (await node.instruments.market_day(MARKET_DAY)).open
        assert "did not tell whether the market opens on 2026-03-09" in node.said[0]
        assert await node.instruments.market_day(date(2026, 5, 4)) is None

    check(tmp_path, body)


def test_what_people_must_act_on_is_raised(tmp_path):
    class Wrong:
        """Keys of the other environment."""

        async def ask(self, request):
            raise errors.WrongEnvironment("no")

    async def body(node):
        node.http = Wrong()
        with pytest.raises(errors.WrongEnvironment):
            await node.instruments.market_day(MARKET_DAY)
        with pytest.raises(errors.WrongEnvironment):
            await node.instruments.load([CODE])

    check(tmp_path, body)


def test_mock_servers_are_not_asked(tmp_path):
    async def body(node):
        assert await node.instruments.market_day(MARKET_DAY) is None
        assert node.one.seen.requests["chk-holiday"] == 0

    check(tmp_path, body, servers=Servers.MOCK)
