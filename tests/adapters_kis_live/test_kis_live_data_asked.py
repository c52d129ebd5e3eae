"""Custom data and requests of a strategy in a live node: auctions, polled prices, the past."""

import asyncio
import datetime as dt

import pytest
from live_node import depth, iid, noded, trades
from nautilus_trader.model import (
    BarType,
    ClientId,
    CustomData,
    DataType,
    OrderBookDepth,
    TradeTick,
)

from adapters.kis.data_events import ExpectedAuction, KisSnapshot, NotServed
from adapters.kis.registrations import Stream

from kis_market import CODE, OPEN_NS, at, quote, trade  # isort: skip - found on the path of live_kis

SECOND = 1_000_000_000
CODES = tuple(f"9900{i:02d}" for i in range(1, 71))
TAPE = [trade(second, 10_000 + second % 9 * 10, 1 + second % 5) for second in range(1, 600, 2)]
TICKING = [quote(0.5), *TAPE]
KIS = ClientId("KIS")  # custom data name their client: they have no venue
BOOK, TRADES = Stream("H0STASP0", CODE), Stream("H0STCNT0", CODE)


def check(folder, body, wants, *events, **more):
    async def run():
        async with noded(folder, wants, *(events or TICKING), **more) as node:
            await body(node)

    asyncio.run(run())


def custom(name, code=CODE, **metadata):
    data_type = DataType(name, {"instrument_id": f"{code}.KRX", **metadata})
    return lambda actor: actor.subscribe_data(data_type, client_id=KIS)


def of(node, kind):
    got = [each.data if isinstance(each, CustomData) else each for each in node.actor.got]
    return [each for each in got if isinstance(each, kind)]


def moment(second):
    return dt.datetime.fromtimestamp(OPEN_NS / SECOND + second, dt.UTC)


@pytest.mark.parametrize(
    ("metadata", "stream"), [({}, BOOK), ({"tr_id": "H0STANC0"}, Stream("H0STANC0", CODE))]
)
def test_expected_auction_prices_come_with_the_book_or_a_stream_of_their_own(
    tmp_path, metadata, stream
):
    async def body(node):
        await node.until(lambda: len(of(node, ExpectedAuction)) > 2)
        assert stream in node.gateway.socket.held
        for each in of(node, ExpectedAuction):
            assert (each.instrument_id, each.price) == (iid(), 10_000)
            assert type(each.price) is type(each.quantity) is int
            assert at(-600) <= each.ts_event <= each.ts_init < at(0)
        assert not of(node, OrderBookDepth)

    early = [quote(-590 + 5 * i, 9_990 - i % 2 * 10) for i in range(20)]
    check(tmp_path, body, [custom("ExpectedAuction", **metadata)], *early, now=-595)


def test_an_auction_costs_no_slot_beside_the_book_and_ends_alone(tmp_path):
    async def body(node):
        await node.until(lambda: of(node, ExpectedAuction) and of(node, OrderBookDepth))
        assert node.gateway.socket.held == {BOOK}
        data_type = DataType("ExpectedAuction", {"instrument_id": f"{CODE}.KRX"})
        node.actor.unsubscribe_data(data_type, client_id=KIS)
        await asyncio.sleep(0.05)
        told = len(of(node, ExpectedAuction))
        seen = len(of(node, OrderBookDepth))
        await node.until(lambda: len(of(node, OrderBookDepth)) > seen + 2)
        assert len(of(node, ExpectedAuction)) == told
        assert node.gateway.socket.held == {BOOK}

    early = [quote(-590 + i, 9_990 - i % 2 * 10) for i in range(200)]
    check(tmp_path, body, [custom("ExpectedAuction"), depth()], *early, now=-595)


def test_polled_prices_come_for_more_symbols_than_slots_and_are_marked(tmp_path):
    async def body(node):
        await node.until(lambda: {each.instrument_id for each in of(node, KisSnapshot)} == ids)
        one = next(each for each in of(node, KisSnapshot) if each.instrument_id == iid())
        assert one.provenance == "polled"
        assert (one.bid, one.ask, one.ask_quantity) == (9_990, 10_000, 100)
        assert type(one.price) is type(one.volume) is int
        assert at(0) < one.ts_event == one.ts_init <= node.gateway.market_ns()
        data_type = DataType("KisSnapshot", {"instrument_id": f"{CODE}.KRX"})
        node.actor.unsubscribe_data(data_type, client_id=KIS)
        await asyncio.sleep(0.05)
        told = [each for each in of(node, KisSnapshot) if each.instrument_id == iid()]
        others = len(of(node, KisSnapshot))
        await node.until(lambda: len(of(node, KisSnapshot)) > others + 200)
        assert told == [each for each in of(node, KisSnapshot) if each.instrument_id == iid()]
        assert not node.gateway.socket.held
        assert "EGW00201" not in node.one.seen.violation_counts

    ids = {iid(code) for code in CODES}
    wants = [custom("KisSnapshot", code) for code in CODES]
    check(tmp_path, body, wants, codes=CODES, speed=20, limits={"requests_per_s": 20})


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("ExpectedAuction", {}),
        ("KisSnapshot", {"instrument_id": "777777.KRX"}),
        ("KisSnapshot", {"instrument_id": f"{CODE}.KRX", "every_ms": "soon"}),
        ("Weather", {"instrument_id": f"{CODE}.KRX"}),
    ],
)
def test_custom_data_that_is_not_there_is_refused_by_name(tmp_path, name, metadata):
    async def body(node):
        await node.until(lambda: node.told(NotServed))
        assert name in node.told(NotServed)[0].subject

    check(
        tmp_path,
        body,
        [lambda actor: actor.subscribe_data(DataType(name, metadata), client_id=KIS)],
    )


def test_past_bars_and_trades_are_the_tapes(tmp_path):
    async def body(node):
        actor = node.actor
        minutes, longer = (
            BarType.from_str(f"{iid()}-{step}-MINUTE-LAST-EXTERNAL") for step in (1, 2)
        )
        await node.until(node.is_held(1))
        actor.request_bars(minutes, start=moment(60), end=moment(300))
        await node.until(lambda: len(actor.past) == 1)
        given = actor.past[-1]
        assert [(bar.ts_event - OPEN_NS) // SECOND for bar in given] == [60, 120, 180, 240, 300]
        assert [volume(bar) for bar in given] == [
            traded(end - 60, end) for end in range(60, 301, 60)
        ]
        actor.request_bars(longer, limit=2)
        await node.until(lambda: len(actor.past) == 2)
        given = actor.past[-1]
        assert [(bar.ts_event - OPEN_NS) // SECOND for bar in given] == [240, 360]
        assert [volume(bar) for bar in given] == [traded(120, 240), traded(240, 360)]
        actor.request_trades(iid(), start=moment(301), end=moment(400))
        await node.until(lambda: len(actor.past) == 3)
        given = actor.past[-1]
        assert [(tick.ts_event - OPEN_NS) // SECOND for tick in given] == list(range(301, 400, 2))
        actor.request_trades(iid(), limit=3)
        await node.until(lambda: len(actor.past) == 4)
        assert len(actor.past[-1]) == 3
        live = actor.of(TradeTick)
        assert actor.past[-1][-1].trade_id.value >= live[0].trade_id.value

    check(tmp_path, body, [trades()], now=400, speed=20)


def traded(since, until):
    return sum(one.size for one in TAPE if at(since) <= one.ts_ns < at(until))


def volume(bar):
    return int(bar.volume.as_decimal())


def test_what_cannot_be_asked_is_answered_empty_and_told(tmp_path):
    async def body(node):
        actor = node.actor
        await node.until(node.is_held(1))
        actor.request_bars(BarType.from_str(f"{iid()}-10-SECOND-LAST-EXTERNAL"), limit=3)
        await node.until(lambda: len(node.told(NotServed)) == 1)
        assert "bars of minutes and days" in node.told(NotServed)[0].why
        node.one.arm("http_500", match="itemconclusion", count=9)
        actor.request_trades(iid(), limit=3)
        await node.until(lambda: len(node.told(NotServed)) == 2)
        assert not node.failures

    check(tmp_path, body, [trades()], numbers={"retries": 0})


def test_a_book_is_answered_with_its_ten_levels(tmp_path):
    async def body(node):
        await node.until(node.is_held(1))
        node.actor.request_book_snapshot(iid())
        await node.until(lambda: node.cache.order_book(iid()) is not None)
        book = node.cache.order_book(iid())
        assert (str(book.best_bid_price()), str(book.best_ask_price())) == ("9990", "10000")
        assert (len(book.bids()), len(book.asks())) == (10, 10)
        assert at(0) <= book.ts_last <= node.gateway.market_ns()

    check(tmp_path, body, [trades()])


def test_instruments_are_answered_from_what_the_node_was_given(tmp_path):
    async def body(node):
        await node.until(node.is_held(1))
        seen = len(node.actor.past)
        node.actor.request_instrument(iid())
        await node.until(lambda: len(node.actor.past) > seen)
        assert node.actor.past[-1].id == iid()

    check(tmp_path, body, [trades()])
