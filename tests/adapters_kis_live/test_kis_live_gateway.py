"""The gateway: one connection for several clients, in market time, and what it tells of failure."""

import asyncio

import pytest
from live_kis import NOTICE, live
from live_node import ServerClock, gateway_of, iid

from adapters.kis.gateway import Hours, KisGateway
from adapters.kis.registrations import Stream
from adapters.kis.socket import Link
from adapters.kis.ticks import Trades
from strategies.errors import RunFailed

from kis_market import CODE, at, quote, trade  # isort: skip - found on the path of live_kis

TRADES = Stream("H0STCNT0", CODE)
SECOND = 1_000_000_000
TICKING = [quote(1), *(trade(second, 10_000, 5) for second in range(2, 900))]


async def until(holds, timeout_s=2.0):
    async with asyncio.timeout(timeout_s):
        while not holds():
            await asyncio.sleep(0.002)


def check(folder, body, **more):
    async def run():
        async with live(folder, *TICKING, **more) as one:
            await body(one)

    asyncio.run(run())


def test_two_users_share_one_connection_until_the_last_one_leaves(tmp_path):
    heard = {"data": [], "orders": []}

    async def body(one):
        gateway = gateway_of(one, [CODE])
        for listener in heard.values():
            gateway.listen(listener.append)
        await gateway.open()
        await gateway.open()
        await asyncio.gather(gateway.linked(), gateway.linked())
        gateway.socket.want(TRADES, 0)
        gateway.socket.want(NOTICE, 0)
        await until(lambda: len(gateway.socket.held) == 2)
        await gateway.close()
        seen = len(heard["data"])
        await until(lambda: len(heard["data"]) > seen + 3)
        assert gateway.socket.connections == 1
        await gateway.close()
        assert heard["data"] == heard["orders"]
        assert heard["data"][-1].value == Link(is_open=False, why="stopped")
        assert one.seen.requests["Approval"] == 1

    check(tmp_path, body)


def test_receive_times_are_market_time_and_never_run_back(tmp_path):
    heard = []

    async def body(one):
        gateway = gateway_of(one, [CODE])
        gateway.listen(heard.append)
        await gateway.open()
        gateway.socket.want(TRADES, 0)
        await until(lambda: len(heard) > 10)
        one.fast.jumped_ns -= 5 * SECOND  # the wall clock is set back
        before = gateway.stamp_ns()
        assert gateway.market_ns() < before
        seen = len(heard)
        gateway.socket.stop()
        await until(lambda: len(heard) > seen)
        await gateway.close()
        stamps = [each.received_ns for each in heard]
        assert stamps == sorted(stamps)
        ticks = [
            tick for each in heard if isinstance(each.value, Trades) for tick in each.value.ticks
        ]
        assert at(10) <= ticks[0].ts_event <= ticks[0].ts_init < at(900)

    check(tmp_path, body)


def test_what_ends_the_socket_is_told_once_and_ends_all_waiting(tmp_path):
    told = []

    async def body(one):
        gateway = gateway_of(one, [CODE], failed=told.append)
        await gateway.open()
        with pytest.raises(RunFailed, match="opened no WebSocket within 8 s"):
            await gateway.linked()
        with pytest.raises(RunFailed):
            await gateway.linked()
        gateway.fail(ValueError("a second one"))
        assert len(told) == 1
        await gateway.close()

    async def run():
        async with live(tmp_path, numbers={"link_wait_ns": 8 * SECOND, "retries": 0}) as one:
            one.arm("lost_reply", count=1_000, match="Approval")
            await body(one)

    asyncio.run(run())


def test_an_error_of_a_listener_fails_the_gateway(tmp_path):
    told = []

    async def body(one):
        gateway = gateway_of(one, [CODE], failed=told.append)
        gateway.listen(lambda heard: 1 // (not isinstance(heard.value, Trades)))
        gateway.socket.want(TRADES, 0)
        await gateway.open()
        await until(lambda: told)
        assert isinstance(told[0], ZeroDivisionError)
        await gateway.close()

    check(tmp_path, body)


def test_market_data_is_registered_within_each_of_the_hours(tmp_path):
    async def body(one):
        spans = [Hours(at(-60), at(-50)), Hours(at(15), at(25)), Hours(at(45), at(60))]
        gateway = gateway_of(one, [CODE], hours=spans)
        await gateway.open()
        gateway.socket.want(TRADES, 0)
        seen = []
        while gateway.market_ns() < at(75):
            is_held = bool(gateway.socket.held)
            if not seen or seen[-1][1] != is_held:
                seen.append((gateway.market_ns(), is_held))
            await asyncio.sleep(0.002)
        assert [is_held for _, is_held in seen] == [False, True, False, True, False]
        edges = (15, 25, 45, 60)
        assert all(at(edge) <= ts for (ts, _), edge in zip(seen[1:], edges, strict=True))
        await gateway.close()

    check(tmp_path, body, speed=100)


def test_hours_are_waited_for_and_never_come_after_the_last(tmp_path):
    async def body(one):
        gateway = gateway_of(one, [CODE], hours=[Hours(at(-60), at(-50)), Hours(at(15), at(25))])
        await gateway.hours_begin()
        assert at(15) <= gateway.market_ns() < at(25)
        await gateway.hours_begin()
        await gateway.hours_end()
        assert gateway.market_ns() >= at(25)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await gateway.hours_begin()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await gateway.hours_end()

    check(tmp_path, body, speed=20)


def test_what_was_surely_heard_stands_still_while_nothing_comes(tmp_path):
    async def body(one):
        gateway = gateway_of(one, [CODE])
        gateway.socket.want(TRADES, 0)
        heard = []
        gateway.listen(heard.append)
        await gateway.open()
        await until(lambda: len(heard) > 5)
        one.arm("silent_socket", seconds=3_600)
        await asyncio.sleep(0.05)
        last = max(each.received_ns for each in heard)
        first = gateway.surely_heard_ns()
        await asyncio.sleep(0.1)
        assert abs(gateway.surely_heard_ns() - first) < SECOND // 10
        assert last - 2 * SECOND <= first < last
        assert gateway.ago(5 * SECOND) > first
        await gateway.close()

    check(tmp_path, body)


def test_waiting_for_a_market_time_takes_its_wall_time(tmp_path):
    class Faster(ServerClock):
        """A market five times as fast as the wall clock."""

        def at(self, wall_ns):
            return self.time.origin_market_ns + 5 * (wall_ns - self.time.origin_wall_ns)

        def wall(self, market_ns):
            return self.time.origin_wall_ns + (market_ns - self.time.origin_market_ns) // 5

    async def body(one):
        gateway = KisGateway(
            one.config,
            one.folder,
            one.said.append,
            market=Faster(one.server),
            instrument_ids={CODE: iid()},
            hours=[],
            failed=lambda error: None,
            timing=one.fast.timing(),
        )
        wall, market = one.fast(), gateway.market_ns()
        await gateway.sleep_until(market + 50 * SECOND)
        assert gateway.market_ns() >= market + 50 * SECOND
        assert one.fast() - wall >= 10 * SECOND
        moment = gateway.moment()
        assert moment.market_ns == gateway._market.at(moment.wall_ns)
        assert gateway.day() == "20260309"

    check(tmp_path, body)
