"""A scripted client trades a small generated day against the server, faults on, and compares."""

import asyncio
from collections import Counter

import pytest
from kis_client import KisClient, served
from kis_market import (
    CODE,
    OPEN_NS,
    SESSION,
    WHO,
    Wall,
    account_of,
    at,
    buy,
    quote,
    symbols_of,
)

from catalog.generate.market import generate_krx
from catalog.store import Store
from scenarios.venues.kis.compose import Options, build, connect, generate
from scenarios.venues.kis.market_time import SECOND_NS
from scenarios.venues.kis.personality import LIMITS, Environment
from scenarios.venues.kis.phases import TradingDay
from strategies.errors import BadInput
from strategies.markets.sessions import DAY_NS, Session


@pytest.fixture(scope="module")
def market(tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("day"))
    generate(store, SESSION, 2, seed=3, trades=300)
    return store


def options(**more) -> Options:
    parts = {"environment": Environment.REAL, "sessions": [SESSION], "start_ns": at(-60)}
    return Options(**(parts | more))


class Day:
    """What the scripted client does and believes."""

    def __init__(self, client: KisClient, wall: Wall) -> None:
        self.client = client
        self.wall = wall
        self.filled: Counter[str] = Counter()
        self.volume: Counter[str] = Counter()
        self.socket = None

    async def read(self) -> None:
        """Take in frames until the socket is quiet."""
        while True:
            try:
                text = await self.socket.text(0.02)
            except TimeoutError:
                return
            if text[0] in "01":
                self.take(text)
            elif "PINGPONG" in text:
                await self.socket.socket.send_str(text)

    def take(self, text: str) -> None:
        flag, tr_id, count, payload = text.split("|", 3)
        fields = (self.socket.decrypt(payload) if flag == "1" else payload).split("^")
        width = len(fields) // int(count)
        for i in range(0, len(fields), width):
            record = fields[i : i + width]
            if tr_id == "H0STCNI0" and record[13] == "2":
                self.filled[record[2]] += int(record[9])
            elif tr_id == "H0STCNT0":
                self.volume[record[0]] += int(record[12])
                assert self.volume[record[0]] == int(record[13])  # no trade was missed

    async def pass_minutes(self, minutes: int) -> None:
        for _ in range(minutes):
            self.wall.pass_s(1)
            self.client.server.step()
        await self.read()


def test_a_generated_day_is_traded_and_ends_with_equal_books(market):
    async def run():
        wall = Wall()
        server = build(market, options(speed=60), wall)
        async with served(server) as client:
            await client.log_in()
            async with client.socket() as socket:
                day = Day(client, wall)
                day.socket = socket
                codes = list(server.venue.exchange.symbols)
                for code in codes:
                    assert await socket.register("H0STCNT0", code) == "OPSP0000"
                assert await socket.register("H0STCNI0", WHO.hts_id) == "OPSP0000"
                await trade_all_day(day, codes)
                await compare(day)

    asyncio.run(run())


async def trade_all_day(day: Day, codes: list[str]) -> None:
    client, exchange = day.client, day.client.server.venue.exchange
    opening = await client.order("buy", codes[0], 5, 0, kind="01")
    assert opening["rt_cd"] == "0"
    await day.pass_minutes(3)
    for number in range(12):
        code = codes[number % 2]
        book = exchange.symbols[code].book
        resting = await client.order("buy", code, 20, book.bids[0].price)
        await client.order("buy", code, 30 + number, book.asks[0].price)
        await day.pass_minutes(10)
        price = exchange.symbols[code].book.bids[0].price
        amended = await client.change(resting["output"]["ODNO"], "amend", price=price)
        await day.pass_minutes(5)
        if amended["rt_cd"] == "0":
            await client.change(amended["output"]["ODNO"], "cancel")
        await client.order("sell", code, 10, 0, kind="01")
        await day.pass_minutes(15)
    await client.order("sell", codes[0], 5, exchange.symbols[codes[0]].limits[0])
    await day.pass_minutes(40)
    assert exchange.phase.value == "close-price trading"


async def compare(day: Day) -> None:
    client = day.client
    account = account_of(client.server.venue.exchange)
    pages, _ = await client.order_pages()
    rows = {row["odno"]: row for page in pages for row in page}
    assert len(rows) == len(account.orders) > 40
    booked = Counter()
    for fill in account.fills:
        booked[fill.number] += fill.quantity
    listed = Counter({number: int(row["tot_ccld_qty"]) for number, row in rows.items()})
    assert day.filled == booked == +listed
    assert all(row["rmn_qty"] == "0" for row in rows.values())
    body = await client.balance()
    held = {row["pdno"]: int(row["hldg_qty"]) for row in body["output1"]}
    assert held == {code: each.quantity for code, each in account.positions.items()}
    bought = sum(int(r["tot_ccld_amt"]) for r in rows.values() if r["sll_buy_dvsn_cd"] == "02")
    sold = sum(int(r["tot_ccld_amt"]) for r in rows.values() if r["sll_buy_dvsn_cd"] == "01")
    (totals,) = body["output2"]
    cash = 100_000_000 - bought + sold - int(totals["thdt_tlex_amt"])
    assert int(totals["prvs_rcdl_excc_amt"]) == cash == account.cash_won
    assert account.reserved_won == 0
    assert (await client.admin())["saw"]["violations"] == {}
    for code, symbol in client.server.venue.exchange.symbols.items():
        assert day.volume[code] == symbol.day.volume > 0


def test_two_servers_over_one_catalog_play_the_same_day(market):
    def played() -> list[tuple[str, ...]]:
        exchange = build(market, options(), Wall()).venue.exchange
        exchange.wanted = {("H0STCNT0", code) for code in exchange.symbols}
        exchange.advance(at(600))
        return [each.record for each in exchange.drain()]

    assert played() == played() != []


def test_market_time_runs_at_its_speed_and_limits_do_not(market):
    wall = Wall()
    venue = build(market, options(speed=10), wall).venue
    wall.pass_s(60)
    venue.move(wall.ns)
    assert venue.exchange.now_ns == OPEN_NS + 540 * SECOND_NS
    assert venue.numbers == LIMITS[Environment.REAL]


def test_starting_in_the_middle_of_a_day_has_played_what_came_before(market):
    exchange = build(market, options(start_ns=at(7_200)), Wall()).venue.exchange
    symbol = next(iter(exchange.symbols.values()))
    assert symbol.day.volume > 0
    assert len(symbol.minutes) > 10
    assert exchange.drain() == []


def test_a_share_without_trades_and_an_empty_catalog_are_refused(market, tmp_path):
    with pytest.raises(BadInput, match=r"no trades of 005930\.KRX"):
        build(market, options(codes=["005930"]), Wall())
    with pytest.raises(BadInput, match="no trades of KRX shares on 20260309"):
        build(Store(tmp_path), options(), Wall())


def test_the_next_day_begins_with_new_numbers_and_the_same_shares(tmp_path):
    store = Store(tmp_path)
    tomorrow = Session(SESSION.open_ns + DAY_NS, SESSION.close_ns + DAY_NS)
    with store.importing() as batch:
        generate_krx(batch, [SESSION, tomorrow], symbols=1, seed=1, trades_per_day=40)
    exchange = build(store, options(sessions=[SESSION, tomorrow]), Wall()).venue.exchange
    first = exchange.submit(buy(2, kind="01"))
    exchange.advance(at(7_200))
    account = account_of(exchange)
    close = exchange.symbols[CODE]
    exchange.advance(tomorrow.open_ns + SECOND_NS)
    again = exchange.submit(buy(1, kind="01"))
    assert (first.number, first.day) == ("0000010001", "20260309")
    assert (again.number, again.day) == ("0000010001", "20260310")
    assert account.positions[CODE].quantity == first.filled + again.filled == 3
    assert account.deposit_won == 100_000_000  # yesterday's trade is settled tomorrow
    assert account.next_day_won == 100_000_000 - first.filled_won - account.fills[0].cost_won
    assert [bar.day for bar in close.days] == ["20260309"]
    assert close.days[0].close == close.base


def test_a_stopped_server_lets_go_of_its_tape():
    closed = []

    def tape():
        try:
            while True:
                yield quote(1)
        finally:
            closed.append(True)

    async def run():
        server = connect(symbols_of(), [TradingDay(SESSION)], tape(), options(), Wall())
        async with served(server):
            assert closed == []
        server.venue.exchange.advance(at(10))

    asyncio.run(run())
    assert closed == [True]
