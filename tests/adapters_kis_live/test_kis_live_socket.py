"""The WebSocket over loopback: slots kept over reconnects, bursts, faults of sockets and frames."""

import asyncio
import logging
import traceback

import pytest
from live_kis import DAY, NOTICE, SECOND, SECRETS, listening, live
from nautilus_trader.model import OrderBookDepth, OrderSide, QuoteTick

from adapters.kis import errors, inbox, requests
from adapters.kis.config import Account, Secret
from adapters.kis.frames import Ack, WidthChange
from adapters.kis.market import Notice, NoticeKind
from adapters.kis.registrations import Acked, Stream
from adapters.kis.session import SessionState
from adapters.kis.socket import Link, Unreadable
from adapters.kis.ticks import Trades
from scenarios.venues.kis import control
from scenarios.venues.kis.exchange import Emission
from scenarios.venues.kis.records import trade_record
from scenarios.venues.kis.sessions import SecondSession
from scenarios.venues.kis.symbols import Print

from kis_market import CODE, WHO, at, quote, trade  # isort: skip - found on the path of live_kis

CODES = tuple(f"9900{i:02d}" for i in range(1, 43))
TRADES = Stream("H0STCNT0", CODE)
BOOK = Stream("H0STASP0", CODE)
FORTY_ONE = [NOTICE, *(Stream("H0STCNT0", code) for code in CODES[:40])]
ACCOUNT = Account(WHO.account[:8], WHO.account[8:])
TICKING = [quote(1), *(trade(second, 10_000, 5) for second in range(2, 900))]


def check(folder, body, streams, *events, codes=(CODE,), socket=None, **more):
    async def run():
        async with (
            live(folder, *(events or [quote(1)]), codes=codes, **more) as one,
            listening(one, codes, streams, **(socket or {})) as listener,
        ):
            await body(one, listener)

    asyncio.run(run())


def ticks(listener):
    return [tick for trades in listener.of(Trades) for tick in trades.ticks]


def is_live(listener, slots):
    return lambda: listener.socket.state is SessionState.LIVE and len(listener.socket.held) == slots


def registered(one):
    return max(
        (len(each.registered) for each in one.server.desk.sessions.sessions.values()), default=0
    )


def test_values_come_typed_with_their_times_and_the_plain_socket_is_said_once(tmp_path):
    async def body(one, listener):
        await listener.until(lambda: ticks(listener) and listener.of(QuoteTick))
        first = ticks(listener)[0]
        assert (str(first.price), str(first.size), str(first.instrument_id)) == (
            *("10000", "5"),
            f"{CODE}.KRX",
        )
        assert listener.of(OrderBookDepth)
        assert [acked.held for acked in listener.of(Acked)] == [True, True]
        hops = [each.hop_ns for each in listener.heard]
        assert hops == sorted(hops)
        assert all(each.received_ns <= one.fast() for each in listener.heard)
        assert sum("not encrypted (ws://)" in each for each in one.said) == 1

    quotes = [quote(second, 9_990 - second % 2 * 10) for second in range(2, 900)]
    check(tmp_path, body, [TRADES, BOOK], *TICKING, *quotes)


@pytest.mark.parametrize("kind", ["dropped_socket", "silent_socket"])
def test_forty_one_slots_are_kept_over_a_reconnect(tmp_path, kind):
    async def body(one, listener):
        await listener.until(is_live(listener, 41))
        assert registered(one) == 41
        one.arm(kind, seconds=3_600)
        await listener.until(lambda: listener.socket.connections >= 2)
        await listener.until(is_live(listener, 41))
        assert registered(one) == 41
        links = listener.of(Link)
        assert [link.is_open for link in links[:3]] == [True, False, True]
        counts = one.seen.violation_counts
        assert not {"OPSP0008", "OPSP0002", "fast_reconnect", "no_pong"} & counts.keys()
        assert one.seen.requests["Approval"] == 1

    check(tmp_path, body, FORTY_ONE, codes=CODES, speed=120)


def test_a_stale_session_is_waited_for_and_not_stormed(tmp_path):
    async def body(one, listener):
        await listener.until(is_live(listener, 1))
        one.arm("dropped_socket")
        await listener.until(lambda: listener.socket.connections >= 3)
        await listener.until(is_live(listener, 1))
        assert one.seen.violation_counts["OPSP8996"] >= 1
        assert one.seen.violation_counts["fast_reconnect"] == 0
        assert "the appkey is in use" in [link.why for link in listener.of(Link)]

    check(tmp_path, body, [TRADES])


def test_pingpong_is_answered_and_keeps_a_quiet_connection(tmp_path):
    async def body(one, listener):
        await listener.until(is_live(listener, 1))
        await asyncio.sleep(1.0)  # 200 s, 13 PINGPONGs; the venue cuts after seven
        assert listener.socket.connections == 1
        (session,) = one.server.desk.sessions.sessions.values()
        assert session.unanswered_pings <= 1
        assert not one.seen.violation_counts

    check(tmp_path, body, [TRADES], speed=200)


def test_without_pingpong_the_watchdog_reconnects(tmp_path):
    async def body(one, listener):
        await listener.until(is_live(listener, 1))
        one.arm("no_pingpong", count=4)
        await listener.until(lambda: listener.socket.connections == 2)
        assert "nothing was heard" in listener.of(Link)[1].why
        await listener.until(is_live(listener, 1))

    check(tmp_path, body, [TRADES], speed=200)


def test_a_lost_answer_is_asked_for_again(tmp_path):
    async def body(one, listener):
        one.arm("lost_ack", match=CODE)
        await listener.until(is_live(listener, 2))
        assert listener.socket.connections == 1
        assert one.seen.violation_counts == {"OPSP0002": 1}

    check(tmp_path, body, [TRADES, BOOK])


def test_streams_come_and_go_while_connected(tmp_path):
    async def body(one, listener):
        await listener.until(is_live(listener, 1))
        listener.socket.want(BOOK, 1)
        await listener.until(is_live(listener, 2))
        await listener.until(lambda: ticks(listener))
        listener.socket.unwant(TRADES)
        await listener.until(lambda: listener.socket.held == {BOOK})
        await asyncio.sleep(0.05)
        read = len(ticks(listener))
        listener.socket.want(TRADES, 0)
        await listener.until(lambda: len(ticks(listener)) > read)
        assert all(not trades.gaps for trades in listener.of(Trades))
        listener.socket.market(is_open=False)
        await listener.until(lambda: not listener.socket.held)
        assert registered(one) == 0
        assert listener.socket.connections == 1

    check(tmp_path, body, [TRADES], *TICKING)


@pytest.mark.parametrize(
    ("kind", "said"),
    [("malformed_frame", "begins"), ("truncated_frame", "H0STCNT0")],
)
def test_a_spoiled_frame_is_kept_and_the_next_are_read(tmp_path, kind, said):
    async def body(one, listener):
        await listener.until(lambda: ticks(listener))
        one.arm(kind, count=2, match="H0STCNT0")
        await listener.until(lambda: len(listener.of(Unreadable)) == 2)
        read = len(ticks(listener))
        await listener.until(lambda: len(ticks(listener)) > read + 2)
        assert all(said in str(each.error) and each.raw for each in listener.of(Unreadable))
        assert sum(gap.missing for trades in listener.of(Trades) for gap in trades.gaps) > 0
        assert listener.socket.connections == 1

    check(tmp_path, body, [TRADES], *TICKING)


def test_a_wider_frame_is_read_and_said_once(tmp_path):
    async def body(one, listener):
        await listener.until(lambda: ticks(listener))
        one.arm("widened_frame", count=3, match="H0STCNT0")
        read = len(ticks(listener))
        await listener.until(lambda: len(ticks(listener)) > read + 6)
        changes = [(each.before, each.width) for each in listener.of(WidthChange)]
        assert changes == [(47, 49), (49, 47)]
        assert listener.of(Unreadable) == []
        assert all(not trades.gaps for trades in listener.of(Trades))

    check(tmp_path, body, [TRADES], *TICKING)


def test_fills_are_opened_with_the_key_of_each_connection(tmp_path):
    async def body(one, listener):
        for connection in (1, 2):
            await listener.until(is_live(listener, 1))
            await one.http.ask(requests.order(ACCOUNT, OrderSide.BUY, CODE, "01", 3))
            await listener.until(lambda wanted=connection: fills(listener) == wanted)
            if connection == 1:
                one.arm("dropped_socket")
                await listener.until(lambda: listener.socket.connections > 1)
        assert listener.of(Unreadable) == []

    def fills(listener):
        return sum(notice.kind is NoticeKind.FILL for notice in listener.of(Notice))

    check(tmp_path, body, [NOTICE], *TICKING, second_session=SecondSession.WINS)


def test_a_key_lost_with_its_answer_is_fetched_anew(tmp_path):
    async def body(one, listener):
        await listener.until(lambda: listener.socket.connections == 1)
        await listener.until(is_live(listener, 1))
        await one.http.ask(requests.order(ACCOUNT, OrderSide.BUY, CODE, "01", 3))
        await listener.until(lambda: listener.of(Notice))
        assert listener.socket.connections == 1
        assert [acked.held for acked in listener.of(Acked)] == [True, False, True]

    async def run():
        async with live(tmp_path, *TICKING) as one:
            one.arm("lost_ack", match="H0STCNI0")
            async with listening(one, [CODE], [NOTICE]) as listener:
                await body(one, listener)

    asyncio.run(run())


def test_a_fill_that_comes_before_its_key_waits_for_it(tmp_path):
    async def body(one, listener):
        await listener.until(is_live(listener, 1))
        one.arm("lost_ack", match="H0STCNI0")
        one.arm("dropped_socket")
        await listener.until(lambda: not registered(one))
        await listener.until(lambda: registered(one) == 1)
        await one.http.ask(requests.order(ACCOUNT, OrderSide.BUY, CODE, "01", 3))
        await listener.until(lambda: listener.of(Notice))
        kinds = [type(each.value) for each in listener.heard]
        assert kinds[:4] == [Link, Acked, Link, Link]
        assert set(kinds[4 : kinds.index(Notice)]) == {Acked}
        assert listener.of(Unreadable) == []

    more = {"second_session": SecondSession.WINS}
    check(tmp_path, body, [NOTICE], *TICKING, **more)


def test_a_fill_whose_key_never_comes_is_said_at_the_end(tmp_path):
    async def body(one, listener):
        await listener.until(lambda: registered(one) == 1)
        await one.http.ask(requests.order(ACCOUNT, OrderSide.BUY, CODE, "01", 3))
        await listener.until(lambda: listener.socket.inbox.arrived)
        one.arm("dropped_socket")
        await listener.until(lambda: len(listener.of(Link)) >= 2)
        assert "its key never did" in str(listener.of(Unreadable)[0].error)
        assert listener.of(Notice) == []

    async def run():
        async with live(tmp_path, *TICKING, speed=10) as one:
            one.arm("lost_ack", match="H0STCNI0")
            async with listening(one, [CODE], [NOTICE]) as listener:
                await body(one, listener)

    asyncio.run(run())


def test_what_came_before_the_end_is_heard_before_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr(inbox, "_TURN", 0)

    async def body(one, listener):
        await listener.until(is_live(listener, 1))
        (connection,) = one.server._connections.values()
        for volume in range(1, 1_001):
            send_trade(one, CODE, volume)
        while not connection.outbox.empty():
            await asyncio.sleep(0)
        await connection.socket.close()
        await listener.until(lambda: len(listener.of(Link)) >= 2)
        await asyncio.sleep(0.05)
        kinds = [type(each.value) for each in listener.heard]
        assert kinds.count(Trades) == 1_000
        assert kinds.index(Link, 1) > 1_000

    check(tmp_path, body, [TRADES])


def test_what_came_before_an_answer_is_heard_before_it(tmp_path, monkeypatch):
    monkeypatch.setattr(inbox, "_TURN", 0)

    async def body(one, listener):
        await listener.until(is_live(listener, 1))
        for volume in range(1, 301):
            send_trade(one, CODE, volume)
        (connection,) = one.server._connections.values()
        request = control.Request(tr_type="2", tr_id=TRADES.tr_id, tr_key=TRADES.key)
        text = control.acknowledgement("OPSP0001", request)
        connection.outbox.put_nowait(text)
        await listener.until(lambda: listener.of(Acked)[-1].ack is Ack.UNREGISTERED)
        assert isinstance(listener.heard[-1].value, Acked)
        assert len(ticks(listener)) == 300

    check(tmp_path, body, [TRADES])


def test_a_burst_of_two_thousand_frames_a_second_is_heard_whole(tmp_path):
    async def body(one, listener):
        await listener.until(is_live(listener, 41))
        sent = 0
        started = asyncio.get_running_loop().time()
        for tenth in range(14):
            for _ in range(200):
                sent += 1
                send_trade(one, CODES[sent % 40], volume=sent)
            await asyncio.sleep(
                max(0, started + (tenth + 1) / 10 - asyncio.get_running_loop().time())
            )
        await listener.until(lambda: len(ticks(listener)) == sent)
        assert [int(tick.trade_id.value.split("-")[1]) for tick in ticks(listener)] == list(
            range(1, sent + 1)
        )
        assert listener.socket.inbox.arrived == sent
        assert listener.socket.inbox.deepest < 20_000
        assert listener.socket.connections == 1

    check(tmp_path, body, FORTY_ONE, codes=CODES)


def send_trade(one, code, volume):
    """Let the server send one trade whose day volume is ``volume``."""
    symbol = one.server.venue.exchange.symbols[code]
    record = list(trade_record(symbol, Print(at(20), code, 10_000, 1, buyer_initiated=True)))
    record[13] = str(volume)
    emission = Emission("H0STCNT0", code, tuple(record))
    for connection in one.server._connections.values():
        for outgoing in one.server._maker.frames(connection.session, [emission]):
            one.server._post(connection, outgoing)


def test_a_full_queue_stops_the_reading_and_loses_nothing(tmp_path):
    async def body(one, listener):
        await listener.until(is_live(listener, 1))
        for volume in range(1, 2_001):
            send_trade(one, CODE, volume)
        await listener.until(lambda: len(ticks(listener)) == 2_000)
        assert listener.socket.inbox.deepest <= 16
        assert all(not trades.gaps for trades in listener.of(Trades))

    check(tmp_path, body, [TRADES], socket={"queue_frames": 16})


def test_a_refused_key_is_replaced_and_wrong_ones_end_the_run(tmp_path):
    given = []

    async def body(one, listener):
        await listener.until(is_live(listener, 1))
        assert len(given) == 2
        assert one.seen.violation_counts["OPSP0011"] == 1

    async def run(ask_first):
        async with live(tmp_path, quote(1)) as one:

            async def ask_key():
                given.append(1)
                return await one.http.approval_key() if len(given) > 1 else await ask_first()

            async with listening(one, [CODE], [TRADES], ask_key=ask_key) as listener:
                await body(one, listener)

    async def unknown():
        return Secret("no-such-key")

    async def wrong():
        raise errors.BadCredentials("KIS does not accept the appkey.")

    asyncio.run(run(unknown))
    given.clear()
    with pytest.raises(errors.BadCredentials):
        asyncio.run(run(wrong))
    assert len(given) == 1


def test_a_key_that_does_not_come_is_asked_for_with_pauses(tmp_path):
    async def body(one, listener):
        await listener.until(is_live(listener, 1))
        assert one.seen.requests["Approval"] == 3

    async def run():
        async with live(tmp_path, quote(1), numbers={"retries": 0}) as one:
            one.arm("lost_reply", count=2, match="Approval")
            async with listening(one, [CODE], [TRADES]) as listener:
                await body(one, listener)

    asyncio.run(run())


def test_a_wrong_hts_id_is_suspected_after_several_early_ends(tmp_path):
    async def body(one, listener):
        await listener.until(lambda: any("HTS_ID" in each for each in one.said))
        assert sum("HTS_ID" in each for each in one.said) == 1

    check(tmp_path, body, [Stream("H0STCNI0", "somebody")], speed=100)


def test_no_server_is_tried_with_growing_pauses_and_stop_ends_it(tmp_path):
    async def run():
        async with live(tmp_path, quote(1)) as one:
            key = await one.http.approval_key()
            await one.server.stop()

            async def ask_key():
                return key

            started = one.fast()
            async with listening(one, [CODE], [TRADES], ask_key=ask_key) as listener:
                await listener.until(lambda: listener.socket.connections == 5)
                assert one.fast() - started >= 8 * SECOND
                assert listener.of(Link) == []

    asyncio.run(run())


def test_an_error_of_the_callback_ends_the_run(tmp_path):
    async def wait(_one, listener):
        await asyncio.wait([listener.running], timeout=1)
        assert listener.running.done()

    def fail(heard):
        if isinstance(heard.value, Trades):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check(tmp_path, wait, [TRADES], *TICKING, socket={"on_heard": fail})


def test_no_log_error_or_value_shows_a_secret(tmp_path, caplog):
    caplog.set_level(logging.DEBUG)
    told = []

    async def body(one, listener):
        await listener.until(is_live(listener, 1))
        approval = listener.socket._session.approval.reveal()
        await one.http.ask(requests.order(ACCOUNT, OrderSide.BUY, CODE, "01", 3))
        await listener.until(lambda: listener.of(Notice))
        one.arm("malformed_frame", match="H0STCNI0")
        await one.http.ask(requests.order(ACCOUNT, OrderSide.BUY, CODE, "01", 3))
        await listener.until(lambda: listener.of(Unreadable))
        told.extend(str(each.error) for each in listener.of(Unreadable))
        one.arm("dropped_socket")
        await listener.until(lambda: listener.socket.connections > 1)
        await listener.until(is_live(listener, 1))
        try:
            listener.socket.want(Stream("H0NOTHING", CODE), 1)
        except KeyError as error:
            told.extend(traceback.format_exception(error))
        shown = "\n".join([*told, *one.said, caplog.text, repr(listener.socket)])
        shown += repr(listener.heard)
        assert [each for each in (approval, *SECRETS) if each in shown] == []

    check(tmp_path, body, [NOTICE])


def test_days_are_the_markets(tmp_path):
    async def body(one, listener):
        await listener.until(lambda: listener.of(OrderBookDepth))
        assert listener.of(OrderBookDepth)[0].ts_event // SECOND == at(0) // SECOND + 12
        assert DAY == "20260309"

    check(tmp_path, body, [BOOK], quote(1), quote(12, 9_980), now=5)
