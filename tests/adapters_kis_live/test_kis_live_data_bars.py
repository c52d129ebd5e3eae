"""Bars, gaps and their repair in a live node: no part as a whole, no old price as a live one."""

import asyncio

import pytest
from live_node import bars, iid, noded, trades
from nautilus_trader.model import Bar, TradeTick

from adapters.kis.data_events import GapFound, NotServed, Observed
from adapters.kis.gateway import Hours
from adapters.kis.registrations import Stream
from adapters.kis.socket import Heard, Link
from adapters.kis.ticks import Trades
from strategies.markets.sessions import Session
from strategies.messages import Provenance

from kis_market import CODE, OPEN_NS, at, quote, trade  # isort: skip - found on the path of live_kis

SECOND = 1_000_000_000
MINUTE = 60 * SECOND


def price(second):
    return 10_000 + second * 7 % 90 // 10 * 10


STEADY = {"speed": 1, "market_speed": 120}
"""The market runs fast and our clocks do not: a busy machine delays nothing by market seconds."""
SOON = {
    "numbers": {"backoff_first_ns": 200_000_000, "in_use_wait_ns": 100_000_000},
    "limits": {"requests_per_s": 1_000, "stale_hold_s": 0},
}
TAPE = [trade(second, price(second), 1 + second % 5) for second in range(1, 900, 2)]
TICKING = [quote(0.5), *TAPE]


def check(folder, body, wants, *events, **more):
    async def run():
        async with noded(folder, wants, *(events or TICKING), **more) as node:
            await body(node)

    asyncio.run(run())


def expected(step_s, end_s, tape=TAPE):
    """Return open, high, low, close, volume of the bar that ends so many seconds after the open."""
    inside = [one for one in tape if at(end_s - step_s) <= one.ts_ns < at(end_s)]
    prices = [one.price for one in inside]
    volume = sum(one.size for one in inside)
    return (prices[0], max(prices), min(prices), prices[-1], volume)


def values(bar):
    texts = (bar.open, bar.high, bar.low, bar.close, bar.volume)
    return tuple(int(each.as_decimal()) for each in texts)


def ends(bar):
    return (bar.ts_event - OPEN_NS) // SECOND


def test_bars_are_the_tapes_and_stamped_at_their_close(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(Bar)) >= 2)
        given = node.actor.of(Bar)
        assert [ends(bar) for bar in given] == [60 * (i + 1) for i in range(len(given))]
        assert [values(bar) for bar in given] == [expected(60, ends(bar)) for bar in given]
        assert all(bar.ts_init >= bar.ts_event for bar in given)
        assert node.actor.of(TradeTick) == []
        assert {gap.provenance for gap in node.gaps} <= {Provenance.REPAIRED}

    check(tmp_path, body, [bars("1-MINUTE")], now=-20, **STEADY)


def test_a_node_that_starts_within_a_bar_gets_it_repaired_and_told(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(Bar)) >= 2)
        given = node.actor.of(Bar)
        assert [ends(bar) for bar in given] == [60, 120]
        assert [values(bar) for bar in given] == [expected(60, 60), expected(60, 120)]
        (gap,) = node.gaps
        assert gap == GapFound(
            iid(), at(0), at(60), expected(60, 60)[4], Provenance.REPAIRED, Observed.BARS
        )

    check(tmp_path, body, [bars("1-MINUTE")], now=5, **STEADY)


def test_a_part_that_cannot_be_repaired_is_withheld_and_told(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(Bar)) >= 1)
        assert [ends(bar) for bar in node.actor.of(Bar)] == [120]
        (gap,) = node.gaps
        assert (gap.from_ns, gap.to_ns, gap.provenance) == (at(0), at(60), Provenance.MISSING)
        assert any("could not be repaired" in each for each in node.one.said)

    arm = [("http_500", {"count": 100, "match": "inquire-time-itemchartprice"})]
    numbers = {"retries": 0}
    check(tmp_path, body, [bars("1-MINUTE")], now=5, arm=arm, numbers=numbers, **STEADY)


def test_longer_and_shorter_bars_share_one_registration(tmp_path):
    async def body(node):
        await node.until(lambda: of(node, "1-MINUTE") and len(of(node, "30-SECOND")) >= 3)
        assert node.gateway.socket.held == {Stream("H0STCNT0", CODE)}
        for step, seconds in (("30-SECOND", 30), ("10-SECOND", 10), ("1-MINUTE", 60)):
            given = of(node, step)
            assert [values(bar) for bar in given] == [expected(seconds, ends(bar)) for bar in given]
            assert [ends(bar) for bar in given] == [seconds * (i + 1) for i in range(len(given))]
        node.actor.unsubscribe_bars(given[0].bar_type)
        await asyncio.sleep(0.05)
        seen = len(of(node, "1-MINUTE"))
        await node.until(lambda: len(of(node, "10-SECOND")) > 13)
        assert len(of(node, "1-MINUTE")) == seen

    wants = [bars("30-SECOND"), bars("10-SECOND"), bars("1-MINUTE")]
    check(tmp_path, body, wants, now=-30, **STEADY)


def test_bars_given_up_while_they_are_repaired_do_not_come(tmp_path):
    async def body(node):
        asked = node.one.seen.requests
        await node.until(lambda: asked["inquire-time-itemchartprice"])
        (line,) = node.client._bars._lines[CODE]
        node.actor.unsubscribe_bars(line.bar_type)
        await node.until(lambda: not node.client._bars.folds(CODE))
        await node.until(lambda: not line.is_repairing)
        assert not node.actor.of(Bar)
        assert not node.gaps

    arm = [("late_reply", {"count": 9, "seconds": 0.3, "match": "itemchartprice"})]
    check(tmp_path, body, [bars("1-MINUTE")], now=5, arm=arm, **STEADY)


def of(node, step):
    return [bar for bar in node.actor.of(Bar) if f"-{step}-" in str(bar.bar_type)]


@pytest.mark.parametrize("step", ["1-TICK", "2-DAY", "1-WEEK"])
def test_bars_that_cannot_be_folded_are_refused_by_name(tmp_path, step):
    async def body(node):
        await node.until(lambda: node.told(NotServed))
        assert step in node.told(NotServed)[0].subject
        assert not node.gateway.socket.held

    check(tmp_path, body, [bars(step)])


def test_a_lost_connection_is_a_gap_that_is_repaired_and_its_trades_are_not_live(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(TradeTick)) > 20)
        node.one.arm("dropped_socket")
        await node.until(lambda: len(node.told(Link)) >= 3)
        await node.until(lambda: any(gap.trades for gap in node.gaps))
        await node.until(lambda: len(node.actor.of(Bar)) >= 3)
        repaired = [gap for gap in node.gaps if gap.observed is Observed.TRADES]
        (gap,) = repaired
        assert gap.provenance is Provenance.REPAIRED
        assert gap.missing_quantity == sum(int(t.size.as_decimal()) for t in gap.trades) > 0
        live = [tick.trade_id.value for tick in node.actor.of(TradeTick)]
        again = [tick.trade_id.value for tick in gap.trades]
        assert not set(live) & set(again)
        together = sorted([*node.actor.of(TradeTick), *gap.trades], key=lambda t: t.ts_event)
        seconds = [(tick.ts_event - OPEN_NS) // SECOND for tick in together]
        assert seconds == list(range(seconds[0], seconds[0] + 2 * len(seconds), 2))
        assert all(gap.from_ns <= tick.ts_event <= gap.to_ns for tick in gap.trades)
        times = [tick.ts_event for tick in node.actor.of(TradeTick)]
        assert times == sorted(times)
        given = node.actor.of(Bar)
        assert [values(bar) for bar in given] == [expected(60, ends(bar)) for bar in given]
        assert [ends(bar) for bar in given] == [60 * (i + 1) for i in range(len(given))]

    check(tmp_path, body, [trades(), bars("1-MINUTE")], now=-10, **STEADY, **SOON)


def test_a_lost_frame_is_found_by_the_volume_and_repaired(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(TradeTick)) > 5)
        node.one.arm("lost_frame", match="H0STCNT0", count=3)
        await node.until(lambda: any(gap.trades for gap in node.gaps))
        (gap,) = [gap for gap in node.gaps if gap.observed is Observed.TRADES]
        assert gap.provenance is Provenance.REPAIRED
        assert len(gap.trades) >= 3  # a frame may hold several
        assert gap.missing_quantity == sum(int(t.size.as_decimal()) for t in gap.trades)
        await node.until(lambda: len(node.actor.of(Bar)) >= 2)
        given = node.actor.of(Bar)
        assert [values(bar) for bar in given] == [expected(60, ends(bar)) for bar in given]

    check(tmp_path, body, [trades(), bars("1-MINUTE")], now=-5, **STEADY)


def test_what_the_query_cannot_give_is_missing_with_its_exact_count(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(TradeTick)) > 5)
        node.one.arm("lost_frame", match="H0STCNT0", count=2)
        await node.until(lambda: node.gaps)
        (gap,) = node.gaps
        assert (gap.provenance, gap.trades) == (Provenance.MISSING, ())
        ids = [int(tick.trade_id.value.split("-")[1]) for tick in node.actor.of(TradeTick)]
        sizes = [int(tick.size.as_decimal()) for tick in node.actor.of(TradeTick)]
        assert gap.missing_quantity == ids[-1] - (ids[0] - sizes[0]) - sum(sizes)

    arm = [("http_500", {"count": 100, "match": "itemconclusion"})]
    check(tmp_path, body, [trades()], speed=50, arm=arm, numbers={"retries": 0})


def test_a_gap_of_a_stream_that_is_given_up_is_told(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(TradeTick)) > 5)
        node.one.arm("lost_frame", match="H0STCNT0")
        await node.until(node.unsettled)
        node.actor.unsubscribe_trades(iid())
        await node.until(lambda: node.gaps)
        (gap,) = node.gaps
        assert gap.provenance is Provenance.MISSING
        assert gap.missing_quantity > 0
        assert not node.unsettled()

    arm = [("late_reply", {"count": 9, "seconds": 2, "match": "itemconclusion"})]
    check(tmp_path, body, [trades()], speed=10, arm=arm)


def test_a_gap_that_nobody_repairs_is_told_at_the_end(tmp_path):
    async def run():
        async with noded(tmp_path, [trades()], *TICKING, speed=20) as node:
            await node.until(lambda: len(node.actor.of(TradeTick)) > 3)
            node.one.arm("dropped_socket")
            await node.until(lambda: len(node.told(Link)) == 2)
            assert not node.gaps
        (gap,) = node.gaps
        assert (gap.provenance, gap.missing_quantity) == (Provenance.MISSING, None)

    asyncio.run(run())


DAY_TAPE = [
    quote(1),
    trade(2, 10_000, 5),
    trade(80, 10_050, 7),
    trade(115, 10_020, 100, None),
    trade(140, 10_900, 3),
]
SHORT = Session(OPEN_NS, at(90))


def test_the_day_is_one_bar_with_the_closing_auctions_print(tmp_path):
    async def body(node):
        await node.until(lambda: node.actor.of(Bar) or node.gaps)
        (bar,) = node.actor.of(Bar)
        assert values(bar) == (10_000, 10_050, 10_000, 10_020, 112)
        assert bar.ts_event == at(90)
        assert not node.gaps

    check(
        tmp_path,
        body,
        [bars("1-DAY")],
        *DAY_TAPE,
        now=-60,
        speed=3,
        market_speed=40,
        sessions=[SHORT],
    )


def test_a_day_seen_in_part_is_asked_for(tmp_path):
    close = [
        quote(1),
        trade(2, 10_000, 5),
        trade(23_000, 10_050, 7),
        trade(23_400, 10_020, 100, None),
    ]

    async def body(node):
        await node.until(lambda: node.actor.of(Bar))
        (bar,) = node.actor.of(Bar)
        assert values(bar) == (10_000, 10_050, 10_000, 10_020, 112)
        assert bar.ts_event == at(23_400)
        (gap,) = node.gaps
        assert gap.provenance is Provenance.REPAIRED

    check(tmp_path, body, [bars("1-DAY")], *close, now=23_370, speed=10, market_speed=8)


def test_hours_that_end_close_the_last_bars(tmp_path):
    async def body(node):
        await node.until(lambda: node.actor.of(Bar) and not node.gateway.socket.held)
        await node.until(lambda: len(node.actor.of(Bar)) == 6)
        assert [ends(bar) for bar in node.actor.of(Bar)] == [10, 20, 30, 40, 50, 60]

    hours = [Hours(at(-100), at(65))]
    check(tmp_path, body, [bars("10-SECOND")], now=-40, hours=hours, **STEADY)


def test_a_connection_lost_over_the_end_of_the_hours_is_missed_until_then_only(tmp_path):
    async def body(node):
        await node.until(lambda: node.actor.of(TradeTick))
        await node.until(lambda: node.actor.of(TradeTick)[-1].ts_event > at(25))
        node.one.arm("dropped_socket")
        await node.until(lambda: node.gateway.market_ns() > at(230))
        await node.until(lambda: not node.unsettled())
        (gap,) = (gap for gap in node.gaps if gap.observed is Observed.TRADES)
        assert gap.provenance is Provenance.REPAIRED
        assert gap.from_ns < at(105) <= gap.to_ns
        asked = node.one.seen.requests["inquire-time-itemconclusion"]
        await node.until(lambda: node.gateway.market_ns() > at(330))
        assert node.one.seen.requests["inquire-time-itemconclusion"] == asked
        whole = [values(bar) for bar in node.actor.of(Bar)]
        assert whole[:6] == [expected(10, end) for end in (10, 20, 30, 40, 50, 60)]

    hours, numbers = [Hours(at(-100), at(105))], {"backoff_first_ns": 2 * SECOND}
    wants = [trades(), bars("10-SECOND")]
    check(tmp_path, body, wants, now=-20, hours=hours, numbers=numbers, speed=1, market_speed=80)


def test_what_still_comes_of_a_stream_given_up_begins_no_count(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(TradeTick)) > 3)
        node.actor.unsubscribe_trades(iid())
        await node.until(lambda: not node.client._held)
        late = node.actor.of(TradeTick)[-1]
        node.client._hear(Heard(Trades([late], [], []), node.gateway.stamp_ns(), 0))
        since = node.gateway.market_ns()
        await node.until(lambda: node.gateway.market_ns() > since + 10 * SECOND)
        node.actor.subscribe_trades(iid())
        seen = len(node.actor.of(TradeTick))
        await node.until(lambda: len(node.actor.of(TradeTick)) > seen + 3)
        assert not node.gaps

    check(tmp_path, body, [trades()], now=-5, speed=10)


def test_values_leave_in_the_order_of_their_receive_times(tmp_path):
    async def body(node):
        await node.until(lambda: len(node.actor.of(Bar)) > 4)
        stamps = [value.ts_init for value in node.actor.got]
        assert stamps == sorted(stamps)
        assert not node.gaps
        for bar in node.actor.of(Bar)[2:]:  # the first ones wait for what was before the start
            place = node.actor.got.index(bar)
            before = [each for each in node.actor.got[:place] if isinstance(each, TradeTick)]
            assert all(tick.ts_event < bar.ts_event for tick in before)

    check(tmp_path, body, [trades(), bars("10-SECOND")], now=-20, speed=1, market_speed=40)
