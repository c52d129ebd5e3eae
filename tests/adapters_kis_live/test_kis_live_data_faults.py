"""The data client in a live node under stress: full slots, bursts, silence, tokens that end."""

import asyncio
import random

import pytest
from live_node import bars, iid, noded, quotes, status, trades
from nautilus_trader.model import Bar, QuoteTick, TradeTick
from test_kis_live_socket import send_trade

from adapters.kis.data_events import Doubled, Observed
from adapters.kis.errors import BadRecord
from adapters.kis.frames import WidthChange
from adapters.kis.registrations import Acked
from adapters.kis.socket import Link
from strategies.messages import Provenance

from kis_market import CODE, at, quote, trade  # isort: skip - found on the path of live_kis

SECOND = 1_000_000_000
MISSING = Provenance.MISSING
CODES = tuple(f"9900{i:02d}" for i in range(1, 42))
TICKING = [quote(1), *(trade(second, 10_000, 5) for second in range(2, 900))]
QUOTING = [quote(second, 9_990 - second % 3 * 10, 10_030) for second in range(2, 900)]


def check(folder, body, wants, *events, **more):
    async def run():
        async with noded(folder, wants, *(events or TICKING), **more) as node:
            await body(node)

    asyncio.run(run())


def test_a_burst_over_all_slots_arrives_whole_and_in_order(tmp_path):
    async def body(node):
        await node.until(node.is_held(41))
        sent = 0
        for _ in range(10):
            for _ in range(200):
                sent += 1
                send_trade(node.one, CODES[sent % 41], volume=sent)
            await asyncio.sleep(0.05)
        await node.until(lambda: len(node.actor.of(TradeTick)) == sent)
        ids = [int(tick.trade_id.value.split("-")[1]) for tick in node.actor.of(TradeTick)]
        assert ids == list(range(1, sent + 1))
        stamps = [tick.ts_init for tick in node.actor.got]
        assert stamps == sorted(stamps)

    wants = [trades(code) for code in CODES]
    check(tmp_path, body, wants, quote(1), codes=CODES, speed=100)


def test_a_trade_that_comes_twice_is_delivered_once_and_told(tmp_path):
    async def body(node):
        await node.until(node.is_held(1))
        for volume in (10, 11, 11, 10, 12):
            send_trade(node.one, CODE, volume)
        await node.until(lambda: len(node.actor.of(TradeTick)) == 3)
        ids = [tick.trade_id.value for tick in node.actor.of(TradeTick)]
        assert ids == ["20260309-10", "20260309-11", "20260309-12"]
        assert [each.trade_id for each in node.told(Doubled)] == ["20260309-11", "20260309-10"]
        assert not node.gaps

    check(tmp_path, body, [trades()], quote(1))


def test_a_stream_that_leaves_trades_out_is_asked_about_less_and_less(tmp_path):
    async def body(node):
        await node.until(node.is_held(1))
        for step in range(100):
            send_trade(node.one, CODE, volume=10 * (step + 1))
            await asyncio.sleep(0.01)
        await node.until(lambda: len(node.actor.of(TradeTick)) == 100)
        assert 1 <= node.one.seen.requests["inquire-time-itemconclusion"] <= 8
        counted = sum(gap.missing_quantity for gap in node.gaps)
        assert 0 < counted <= 9 * 100

    check(tmp_path, body, [trades()], quote(1), speed=60)


def test_a_silent_socket_is_a_gap_from_where_it_fell_silent(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(TradeTick)) > 10)
        node.one.arm("silent_socket", seconds=3_600)
        fell_silent = node.gateway.market_ns()
        await node.until(lambda: any(gap.observed is Observed.TRADES for gap in node.gaps))
        await node.until(lambda: any(gap.observed is Observed.BOOK for gap in node.gaps))
        found = next(gap for gap in node.gaps if gap.observed is Observed.TRADES)
        book = next(gap for gap in node.gaps if gap.observed is Observed.BOOK)
        assert found.provenance is Provenance.REPAIRED
        assert (book.provenance, book.missing_quantity) == (Provenance.MISSING, None)
        assert found.from_ns <= fell_silent < found.to_ns
        assert found.missing_quantity == 5 * len(found.trades)
        together = [*node.actor.of(TradeTick), *found.trades]
        seconds = sorted((tick.ts_event - at(0)) // SECOND for tick in together)
        assert seconds == list(range(seconds[0], seconds[0] + len(seconds)))
        await node.until(lambda: len(node.actor.of(Bar)) >= 2)
        volumes = [int(bar.volume.as_decimal()) for bar in node.actor.of(Bar)]
        assert volumes[:2] == [5 * 58, 5 * 60]  # the first ended while nothing was heard
        late = node.actor.of(QuoteTick)[-1].ts_event
        await node.until(lambda: node.actor.of(QuoteTick)[-1].ts_event > late)

    wants = [trades(), quotes(), bars("1-MINUTE")]
    check(tmp_path, body, wants, *TICKING, *QUOTING, now=-20, speed=90)


def test_an_expired_token_does_not_stop_a_repair(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(TradeTick)) > 5)
        node.one.arm("token_expiry")
        node.one.arm("lost_frame", match="H0STCNT0", count=2)
        await node.until(lambda: node.gaps)
        (gap,) = node.gaps
        assert gap.provenance is Provenance.REPAIRED
        assert gap.missing_quantity == 5 * len(gap.trades) >= 10
        assert not node.failures

    check(tmp_path, body, [trades()], speed=100)


def test_frames_of_an_older_width_are_read_as_well(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(TradeTick)) > 3)
        node.one.arm("narrowed_frame", match="H0STCNT0", count=1_000)
        seen = len(node.actor.of(TradeTick))
        await node.until(lambda: len(node.actor.of(TradeTick)) > seen + 5)
        assert len(node.told(WidthChange)) == 1
        assert not node.gaps
        assert not node.told(BadRecord)

    check(tmp_path, body, [trades()])


@pytest.mark.parametrize("kind", ["dropped_socket", "lost_ack"])
def test_all_streams_come_back_after_a_break(tmp_path, kind):
    async def body(node):
        if kind == "dropped_socket":
            await node.until(node.is_held(3))
            node.one.arm(kind)
            await node.until(lambda: not all(link.is_open for link in node.told(Link)))
        await node.until(node.is_held(3))
        seen = len(node.actor.of(TradeTick))
        await node.until(lambda: len(node.actor.of(TradeTick)) > seen + 3)
        assert len(node.told(Acked)) >= 3
        assert iid() in {tick.instrument_id for tick in node.actor.of(TradeTick)}

    arm = [("lost_ack", {"match": CODE})] if kind == "lost_ack" else []
    wants = [trades(), quotes(), status()]
    check(tmp_path, body, wants, *TICKING, *QUOTING, arm=arm, speed=80)


def test_through_any_faults_every_share_is_streamed_repaired_or_missing(tmp_path):
    """The running volume of the day says how many shares there were between first and last."""
    chance = random.Random(1)  # noqa: S311 - a storm that can be repeated, no secret
    kinds = ["lost_frame", "malformed_frame", "truncated_frame", "dropped_socket", "token_expiry"]

    async def body(node):
        await node.until(lambda: node.actor.of(TradeTick))
        for _ in range(12):
            kind = chance.choice(kinds)
            more = {"count": chance.randint(1, 4)} if kind.endswith("frame") else {}
            node.one.arm(kind, match="H0STCNT0", **more)
            await asyncio.sleep(chance.uniform(0.02, 0.15))
        node.one.server.venue.faults.armed.clear()
        await node.until(node.is_held(1))
        seen = len(node.actor.of(TradeTick))
        await node.until(lambda: len(node.actor.of(TradeTick)) > seen + 3)
        await node.until(lambda: not node.unsettled())
        live = node.actor.of(TradeTick)
        ids = [tick.trade_id.value for tick in live]
        repaired = [tick for gap in node.gaps for tick in gap.trades]
        assert len(set(ids)) == len(ids)
        assert not set(ids) & {tick.trade_id.value for tick in repaired}
        lost = sum(gap.missing_quantity for gap in node.gaps if gap.provenance is MISSING)
        streamed = sum(int(tick.size.as_decimal()) for tick in live)
        found = sum(int(tick.size.as_decimal()) for tick in repaired)
        first = int(ids[0].split("-")[1]) - int(live[0].size.as_decimal())
        assert streamed + found + lost == int(ids[-1].split("-")[1]) - first
        assert found > 0
        times = [tick.ts_event for tick in live]
        assert times == sorted(times)
        assert not node.failures

    numbers = {"backoff_first_ns": 2 * SECOND, "connects": 100}
    limits = {"requests_per_s": 1_000, "stale_hold_s": 1}
    tape = [quote(1), *(trade(second, 10_000, 1 + second % 7) for second in range(2, 900))]
    check(tmp_path, body, [trades()], *tape, now=-5, speed=60, numbers=numbers, limits=limits)
