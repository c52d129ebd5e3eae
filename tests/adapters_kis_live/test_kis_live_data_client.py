"""The data client in a live node: what the server plays arrives once, in order, with its times."""

import asyncio

import pytest
from live_kis import NOTICE
from live_node import deltas, depth, iid, index, noded, quotes, status, trades
from nautilus_trader.model import (
    IndexPriceUpdate,
    InstrumentStatus,
    MarketStatusAction,
    OrderBookDeltas,
    OrderBookDepth,
    QuoteTick,
    TradeTick,
)

from adapters.kis.data_events import NotServed, SlotsShort
from adapters.kis.errors import BadRecord
from adapters.kis.frames import Ack, WidthChange
from adapters.kis.gateway import Hours
from adapters.kis.registrations import Acked, Stream
from adapters.kis.socket import Heard, Link, Unreadable
from strategies.order_book import LevelBook

from kis_market import CODE, at, quote, trade  # isort: skip - found on the path of live_kis

SECOND = 1_000_000_000
CODES = tuple(f"9900{i:02d}" for i in range(1, 45))
PRICES = [10_000, 10_010, 9_990, 10_020]
TICKING = [quote(1), *(trade(second, PRICES[second % 4], second) for second in range(2, 900))]
QUOTING = [quote(second, 9_990 - second % 3 * 10, 10_030) for second in range(2, 900)]
BOOK = Stream("H0STASP0", CODE)
TRADES = Stream("H0STCNT0", CODE)


def check(folder, body, wants, *events, **more):
    async def run():
        async with noded(folder, wants, *events, **more) as node:
            await body(node)

    asyncio.run(run())


def played(ticks):
    """Return the whole-second numbers of the trades and check that each is as it was played."""
    seconds = [(tick.ts_event - at(0)) // SECOND for tick in ticks]
    assert [(int(tick.price.as_decimal()), int(tick.size.as_decimal())) for tick in ticks] == [
        (PRICES[second % 4], second) for second in seconds
    ]
    return seconds


def test_a_book_comes_as_deltas_that_say_the_same_as_the_levels(tmp_path):
    """As from a catalog: a decider folds both with the same book."""

    async def body(node):
        await node.until(lambda: len(node.actor.of(OrderBookDeltas)) >= 3)
        pairs = zip(node.actor.of(OrderBookDepth), node.actor.of(OrderBookDeltas), strict=False)
        for levels, rows in pairs:
            book = LevelBook(iid())
            book.fold(rows)
            assert rows.ts_init == levels.ts_init
            assert [(each.price_raw, each.size_raw) for each in book.bids()] == [
                (each.price.raw, each.size.raw) for each in levels.bids if each.size.raw
            ]
            assert [(each.price_raw, each.size_raw) for each in book.asks()] == [
                (each.price.raw, each.size.raw) for each in levels.asks if each.size.raw
            ]

    check(tmp_path, body, [depth(), deltas()], *TICKING, *QUOTING)


def test_trades_quotes_and_depth_come_once_and_in_order(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(TradeTick)) > 25)
        seconds = played(node.actor.of(TradeTick))
        assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))
        depths, best = node.actor.of(OrderBookDepth), node.actor.of(QuoteTick)
        assert len(depths) - len(best) in {0, 1}
        for book, one in zip(depths, best, strict=False):
            second = (one.ts_event - at(0)) // SECOND
            assert int(one.bid_price.as_decimal()) == 9_990 - second % 3 * 10
            assert book.ts_event == one.ts_event
            assert book.bids[0].price == one.bid_price
            assert len(book.bids) == len(book.asks) == 10
        stamps = [value.ts_init for value in node.actor.got]
        assert stamps == sorted(stamps)
        late = [value.ts_init - value.ts_event for value in node.actor.got]
        assert all(0 <= each < 30 * SECOND for each in late)
        assert node.gateway.socket.held == {TRADES, BOOK}
        assert not node.gaps
        assert node.cache.instrument(iid()) is not None

    check(tmp_path, body, [trades(), quotes(), depth()], *TICKING, *QUOTING)


def test_a_stream_stays_until_its_last_use_ends_and_only_what_is_wanted_comes(tmp_path):
    async def body(node):
        await node.until(lambda: node.actor.of(QuoteTick) and node.actor.of(OrderBookDepth))
        node.actor.unsubscribe_quotes(iid())
        await asyncio.sleep(0.05)
        so_far = len(node.actor.of(QuoteTick)), len(node.actor.of(OrderBookDepth))
        await node.until(lambda: len(node.actor.of(OrderBookDepth)) > so_far[1] + 5)
        assert len(node.actor.of(QuoteTick)) == so_far[0]
        assert node.gateway.socket.held == {BOOK}
        node.actor.unsubscribe_book_depth(iid())
        await node.until(lambda: not node.gateway.socket.held)
        node.actor.subscribe_quotes(iid())
        await node.until(lambda: len(node.actor.of(QuoteTick)) > so_far[0])
        assert node.actor.of(TradeTick) == []

    check(tmp_path, body, [quotes(), depth()], *TICKING, *QUOTING)


def test_more_than_the_slots_is_told_at_once_by_name(tmp_path):
    async def body(node):
        await node.until(lambda: node.told(SlotsShort))
        await node.until(node.is_held(41))
        assert node.told(SlotsShort)[-1].left_out == tuple(
            Stream("H0STCNT0", code) for code in CODES[41:]
        )
        assert any(CODES[43] in each and "41 streams" in each for each in node.one.said)
        assert {stream.key for stream in node.gateway.socket.held} == set(CODES[:41])
        node.actor.unsubscribe_trades(iid(CODES[0]))
        await node.until(lambda: Stream("H0STCNT0", CODES[41]) in node.gateway.socket.held)
        assert node.one.seen.violation_counts["OPSP0008"] == 0

    check(tmp_path, body, [trades(code) for code in CODES], quote(1), codes=CODES, speed=120)


def test_a_symbol_of_no_instrument_is_refused_by_name(tmp_path):
    async def body(node):
        await node.until(lambda: node.told(NotServed) and node.gateway.socket.held)
        assert [each.subject for each in node.told(NotServed)] == ["777777.KRX"]
        assert node.gateway.socket.held == {TRADES}

    check(tmp_path, body, [trades("777777"), trades()], *TICKING)


def test_status_and_index_come_as_engine_values(tmp_path):
    async def body(node):
        await node.until(node.is_held(2))
        node.one.arm("vi", match=CODE, seconds=10)
        await node.until(lambda: len(node.actor.of(InstrumentStatus)) == 2)
        node.one.arm("halt", match=CODE)
        await node.until(lambda: len(node.actor.of(InstrumentStatus)) == 3)
        node.one.arm("resume", match=CODE)
        await node.until(lambda: len(node.actor.of(InstrumentStatus)) == 4)
        changes = node.actor.of(InstrumentStatus)
        assert [(each.action, each.is_trading) for each in changes] == [
            (MarketStatusAction.PAUSE, False),
            (MarketStatusAction.NONE, None),
            (MarketStatusAction.HALT, False),
            (MarketStatusAction.TRADING, True),
        ]
        await node.until(lambda: len(node.actor.of(IndexPriceUpdate)) > 3)
        first, *_, last = node.actor.of(IndexPriceUpdate)
        assert str(first.instrument_id) == "0001.KRX"
        assert at(0) < first.ts_event < last.ts_event <= last.ts_init

    check(tmp_path, body, [status(), index("0001")], *TICKING)


@pytest.mark.parametrize(
    ("ack", "word"), [(Ack.REFUSED, "refused to register"), (Ack.FULL, "has no slot left")]
)
def test_a_stream_that_is_not_registered_is_said_and_the_hts_id_is_not(tmp_path, ack, word):
    async def body(node):
        await node.until(node.is_held(1))
        for stream in (NOTICE, TRADES, TRADES):
            acked = Acked(stream, held=False, ack=ack, code="OPSP8992")
            node.client._hear(Heard(acked, node.gateway.stamp_ns(), 0))
        (said,) = (each for each in node.one.said if word in each)
        assert CODE in said
        assert not any(NOTICE.key in each for each in node.one.said)
        assert acked in node.told(Acked)

    check(tmp_path, body, [trades()])


def test_outside_the_hours_nothing_is_registered(tmp_path):
    async def body(node):
        await node.until(node.is_held(1))
        await node.until(lambda: node.told(Acked)[-1].held is False)
        assert node.gateway.market_ns() >= at(30)
        assert all(tick.ts_event >= at(19) for tick in node.actor.of(TradeTick))
        assert [link.is_open for link in node.told(Link)] == [True]

    check(tmp_path, body, [trades()], *TICKING, hours=(Hours(at(20), at(30)),))


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("malformed_frame", Unreadable),
        ("truncated_frame", Unreadable),
        ("widened_frame", WidthChange),
    ],
)
def test_a_spoilt_frame_is_told_and_the_rest_arrives(tmp_path, fault, kind):
    async def body(node):
        await node.until(lambda: len(node.actor.of(TradeTick)) > 3)
        node.one.arm(fault, match="H0STCNT0", count=10_000 if kind is WidthChange else 1)
        await node.until(lambda: node.told(kind))
        seen = len(node.actor.of(TradeTick))
        await node.until(lambda: len(node.actor.of(TradeTick)) > seen + 10)
        played(node.actor.of(TradeTick))
        assert len(node.told(kind)) == 1
        assert not node.told(BadRecord)
        assert not node.failures

    check(tmp_path, body, [trades()], *TICKING)


def test_a_node_that_cannot_reach_kis_says_why(tmp_path):
    async def body(node):
        await node.until(lambda: node.failures)
        assert "check ONETAPE_KIS_WS_URL" in str(node.failures[0])
        assert len(node.failures) == 1

    lost = [("lost_reply", {"count": 1_000, "match": "Approval"})]
    numbers = {"link_wait_ns": 20 * SECOND, "retries": 0}
    check(tmp_path, body, [trades()], quote(1), arm=lost, speed=100, numbers=numbers)
