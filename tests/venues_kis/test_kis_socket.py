"""Sockets of the simulated KIS over loopback: registrations, sessions, PINGPONG, frames, faults."""

import asyncio
import json

import aiohttp
import pytest
from kis_client import KisClient, served
from kis_market import CODE, WHO, Wall, quote, server_of, trade

from scenarios.venues.kis.personality import Environment
from scenarios.venues.kis.sessions import SecondSession

NOTICE = "H0STCNI0"
CODES = tuple(f"9900{i:02d}" for i in range(1, 43))
LATER = [quote(1), trade(12, 10_000, 5), trade(12.5, 10_010, 6), quote(13), trade(14, 9_990, 7)]


def with_client(check, *events, now=10, **more) -> None:
    async def run():
        wall = Wall()
        async with served(server_of(*events, wall=wall, now=now, **more)) as client:
            await client.log_in()
            await check(client, wall)

    asyncio.run(run())


async def pass_s(client: KisClient, wall: Wall, seconds: float) -> None:
    wall.pass_s(seconds)
    client.server.step()
    await asyncio.sleep(0)


def test_forty_one_registrations_are_acknowledged_and_the_next_is_refused():
    async def check(client: KisClient, _wall):
        async with client.socket() as socket:
            codes = [await socket.register("H0STCNT0", code) for code in CODES[:40]]
            codes.append(await socket.register(NOTICE, WHO.hts_id))
            assert codes == ["OPSP0000"] * 41
            assert await socket.register("H0STASP0", CODES[0]) == "OPSP0008"
            assert await socket.register("H0STCNT0", CODES[0]) == "OPSP0002"
            assert await socket.register("H0STCNT0", CODES[0], "2") == "OPSP0001"
            assert await socket.register("H0STCNT0", CODES[0], "2") == "OPSP0003"
            assert await socket.register("H0STASP0", CODES[0]) == "OPSP0000"
            seen = await client.admin()
            assert (seen["registrations_held"], seen["registrations_limit"]) == (41, 41)
            assert seen["saw"]["violations"]["OPSP0008"] == 1

    with_client(check, codes=CODES)


@pytest.mark.parametrize(
    ("tr_id", "tr_key", "code"),
    [
        ("H0STCNT0", "000000", "OPSP8992"),
        ("H0NOTHING", CODE, "OPSP8991"),
        ("H0STCNI9", WHO.hts_id, "OPSP8991"),
        ("H0STCNT0", "", "OPSP9990"),
        ("H0UPCNT0", "0001", "OPSP0000"),
        ("H0UPCNT0", "9999", "OPSP8992"),
        ("H0UNCNT0", CODE, "OPSP0000"),
    ],
)
def test_what_can_be_registered(tr_id, tr_key, code):
    async def check(client: KisClient, _wall):
        async with client.socket("/") as socket:
            assert await socket.register(tr_id, tr_key) == code

    with_client(check)


@pytest.mark.parametrize(
    ("tr_id", "code"),
    [("H0STCNT0", "OPSP0000"), ("H0STANC0", "OPSP8991"), ("H0STMKO0", "OPSP8991")],
)
def test_mock_streams_less(tr_id, code):
    async def check(client: KisClient, _wall):
        async with client.socket() as socket:
            assert await socket.register(tr_id, CODE) == code
            assert await socket.register("H0STCNI9", WHO.hts_id) == "OPSP0000"

    with_client(check, environment=Environment.MOCK)


def test_a_wrong_approval_key_and_what_is_no_request():
    async def check(client: KisClient, _wall):
        async with client.socket("/tryitout/H0STCNT0") as socket:
            await socket.send("H0STCNT0", CODE, approval="wrong")
            assert json.loads(await socket.text())["body"]["msg_cd"] == "OPSP0011"
            await socket.socket.send_str("nonsense")
            assert json.loads(await socket.text())["body"]["msg_cd"] == "OPSP9999"

    with_client(check)


def test_a_wrong_hts_id_ends_the_connection_without_a_word():
    async def check(client: KisClient, _wall):
        async with client.socket() as socket:
            await socket.send(NOTICE, "somebody")
            with pytest.raises(ConnectionError):
                await socket.text()
            assert socket.socket.close_code == 1006

    with_client(check)


def test_frames_have_several_records_and_each_its_own_day_sums():
    async def check(client: KisClient, wall: Wall):
        async with client.socket() as socket:
            await socket.register("H0STCNT0", CODE)
            await pass_s(client, wall, 10)
            tr_id, records = await socket.frame()
            assert tr_id == "H0STCNT0"
            assert [record[12:14] for record in records] == [["5", "5"], ["6", "11"], ["7", "18"]]
            assert {len(record) for record in records} == {47}

    with_client(check, *LATER)


def test_a_book_ends_the_burst_and_sums_to_its_totals():
    async def check(client: KisClient, wall: Wall):
        async with client.socket() as socket:
            await socket.register("H0STCNT0", CODE)
            await socket.register("H0STASP0", CODE)
            await pass_s(client, wall, 10)
            frames = [await socket.frame() for _ in range(3)]
            assert [(tr, len(records)) for tr, records in frames] == [
                ("H0STCNT0", 2),
                ("H0STASP0", 1),
                ("H0STCNT0", 1),
            ]
            (book,) = frames[1][1]
            assert len(book) == 63
            assert int(book[43]) == sum(map(int, book[23:33]))
            assert int(book[44]) == sum(map(int, book[33:43]))

    with_client(check, *LATER)


def test_a_second_socket_is_refused_and_cut_while_the_first_lives():
    async def check(client: KisClient, _wall):
        async with client.socket() as first, client.socket() as second:
            assert await first.register("H0STCNT0", CODE) == "OPSP0000"
            assert await second.register("H0STCNT0", CODE) == "OPSP8996"
            with pytest.raises(ConnectionError):
                await second.text()
            assert await first.register("H0STASP0", CODE) == "OPSP0000"

    with_client(check)


def test_a_second_socket_wins_if_set_so():
    async def check(client: KisClient, _wall):
        async with client.socket() as first, client.socket() as second:
            assert await first.register("H0STCNT0", CODE) == "OPSP0000"
            assert await second.register("H0STCNT0", CODE) == "OPSP0000"
            with pytest.raises(ConnectionError):
                await first.text()

    with_client(check, second_session=SecondSession.WINS)


@pytest.mark.parametrize("clean", [True, False])
def test_a_lost_session_is_held_unless_it_was_closed(clean):
    async def check(client: KisClient, wall: Wall):
        async with client.socket() as first:
            await first.register("H0STCNT0", CODE)
            if not clean:
                first.socket._response.connection.transport.abort()
        while client.server.desk.sessions.sessions:
            await asyncio.sleep(0.005)
        async with client.socket() as second:
            expected = "OPSP0000" if clean else "OPSP8996"
            assert await second.register("H0STCNT0", CODE) == expected
        wall.pass_s(11)
        async with client.socket() as third:
            assert await third.register("H0STCNT0", CODE) == "OPSP0000"

    with_client(check)


@pytest.mark.parametrize("answer", ["text", "pong", "nothing"])
def test_pingpong_wants_an_answer_by_text_or_pong(answer):
    async def check(client: KisClient, wall: Wall):
        async with client.socket() as socket:
            for _ in range(7):
                await pass_s(client, wall, 15)
                text = await socket.text()
                assert json.loads(text)["header"]["tr_id"] == "PINGPONG"
                assert json.loads(text)["header"]["datetime"].startswith("2026030909")
                if answer == "text":
                    await socket.socket.send_str(text)
                elif answer == "pong":
                    await socket.socket.pong(text.encode())
                await asyncio.sleep(0.01)
            await pass_s(client, wall, 15)
            if answer == "nothing":
                with pytest.raises(ConnectionError):
                    await socket.text()
                assert (await client.admin())["saw"]["violations"]["no_pong"] == 1
            else:
                assert "PINGPONG" in await socket.text()

    with_client(check)


def test_pingpongs_can_stay_away():
    async def check(client: KisClient, wall: Wall):
        async with client.socket() as socket:
            await client.faults({"kind": "no_pingpong"})
            await pass_s(client, wall, 15)
            with pytest.raises(TimeoutError):
                await socket.text(0.05)
            await pass_s(client, wall, 15)
            assert "PINGPONG" in await socket.text()

    with_client(check)


def test_notices_are_encrypted_and_tell_receipt_then_fill():
    async def check(client: KisClient, _wall):
        async with client.socket() as socket:
            await socket.register(NOTICE, WHO.hts_id)
            body = await client.order("buy", CODE, 5, 10_000)
            _, (receipt,) = await socket.frame()
            _, (fill,) = await socket.frame()
            assert receipt[2] == fill[2] == body["output"]["ODNO"]
            assert (receipt[13], fill[13]) == ("1", "2")
            assert (int(fill[9]), int(fill[10]), fill[6]) == (5, 10_000, "00")
            assert len(fill) == 26

    with_client(check, *LATER)


def test_another_connection_has_another_key():
    async def check(client: KisClient, wall: Wall):
        async with client.socket() as socket:
            await socket.register(NOTICE, WHO.hts_id)
            first = socket.keys
            assert await socket.register(NOTICE, WHO.hts_id, "2") == "OPSP0001"
            await socket.register(NOTICE, WHO.hts_id)
            assert socket.keys == first
        wall.pass_s(20)
        async with client.socket() as socket:
            await socket.register(NOTICE, WHO.hts_id)
            assert (len(socket.keys[0]), len(socket.keys[1])) == (32, 16)
            assert socket.keys != first

    with_client(check, *LATER)


@pytest.mark.parametrize(("receipts", "accepted"), [(2, ["1", "2"]), (1, ["2"])])
@pytest.mark.parametrize("kind", ["amend", "cancel"])
def test_a_change_is_told_twice_or_once(kind, receipts, accepted):
    async def check(client: KisClient, _wall):
        placed = (await client.order("buy", CODE, 5, 9_800))["output"]["ODNO"]
        async with client.socket() as socket:
            await socket.register(NOTICE, WHO.hts_id)
            changed = (await client.change(placed, kind, 9_700))["output"]["ODNO"]
            told = [(await socket.frame())[1][0] for _ in accepted]
            assert [each[14] for each in told] == accepted
            assert {(each[2], each[3], each[13]) for each in told} == {(changed, placed, "1")}
            assert {each[5] for each in told} == {"1" if kind == "amend" else "2"}
            await client.order("buy", CODE, 1, 9_700)
            assert (await socket.frame())[1][0][3] == ""  # nothing more of the change

    limits = {"requests_per_s": 1_000, "change_receipts": receipts}
    with_client(check, *LATER, limits=limits)


@pytest.mark.parametrize(
    ("kind", "heard"),
    [("lost_notice", ["2"]), ("duplicate_notice", ["1", "1", "2"])],
)
def test_notices_get_lost_or_come_twice(kind, heard):
    async def check(client: KisClient, _wall):
        async with client.socket() as socket:
            await socket.register(NOTICE, WHO.hts_id)
            await client.faults({"kind": kind})
            await client.order("buy", CODE, 5, 10_000)
            got = [(await socket.frame())[1][0][13] for _ in heard]
            assert got == heard

    with_client(check, *LATER)


def test_a_late_notice_comes_after_others():
    async def check(client: KisClient, _wall):
        async with client.socket() as socket:
            await socket.register(NOTICE, WHO.hts_id)
            await client.faults({"kind": "late_notice", "seconds": 0.2})
            await client.order("buy", CODE, 5, 10_000)
            got = [(await socket.frame())[1][0][13] for _ in range(2)]
            assert got == ["2", "1"]

    with_client(check, *LATER)


def test_a_dropped_socket_loses_what_happens_meanwhile():
    async def check(client: KisClient, _wall):
        async with client.socket() as socket:
            await socket.register(NOTICE, WHO.hts_id)
            await client.faults({"kind": "dropped_socket"})
            with pytest.raises(ConnectionError):
                await socket.text()
        await client.order("buy", CODE, 5, 10_000)
        assert (await client.admin())["saw"]["frames_sent"] == 0

    with_client(check, *LATER)


def test_a_silent_socket_stays_open_and_says_nothing_for_a_while():
    async def check(client: KisClient, wall: Wall):
        async with client.socket() as socket:
            await socket.register("H0STCNT0", CODE)
            await client.faults({"kind": "silent_socket", "seconds": 20})
            await pass_s(client, wall, 10)
            with pytest.raises(TimeoutError):
                await socket.text(0.05)
            assert not socket.socket.closed

    with_client(check, *LATER)


def test_a_lost_acknowledgement_still_registers():
    async def check(client: KisClient, wall: Wall):
        async with client.socket() as socket:
            await client.faults({"kind": "lost_ack"})
            await socket.send("H0STCNT0", CODE)
            await asyncio.sleep(0.02)
            assert (await client.admin())["registrations_held"] == 1
            await pass_s(client, wall, 10)
            assert (await socket.frame())[0] == "H0STCNT0"

    with_client(check, *LATER)


@pytest.mark.parametrize("width", [10, 11])
def test_halts_and_interruptions_are_told_by_the_status_stream(width):
    async def check(client: KisClient, _wall):
        async with client.socket() as socket:
            await socket.register("H0STMKO0", CODE)
            await client.faults({"kind": "halt", "match": CODE}, {"kind": "resume"})
            _, (halted,) = await socket.frame()
            _, (resumed,) = await socket.frame()
            assert (halted[1], halted[7], resumed[1]) == ("Y", "58", "N")
            await client.faults({"kind": "vi", "match": CODE})
            interrupted = (await socket.frame())[1][0]
            assert (interrupted[8], len(interrupted)) == ("Y", width)

    with_client(check, *LATER, limits={"requests_per_s": 1_000, "status_width": width})


def test_a_reader_that_is_too_slow_is_cut_off():
    events = [trade(11 + i / 100, 10_000, 1) for i in range(60)]

    async def check(client: KisClient, wall: Wall):
        async with client.socket() as socket:
            await socket.register("H0STCNT0", CODE)
            await pass_s(client, wall, 10)
            with pytest.raises(ConnectionError):
                for _ in range(61):
                    await socket.frame()
            assert (await client.admin())["saw"]["violations"]["slow_reader"] == 1

    limits = {"outbox_frames": 5, "burst_records": 1}
    with_client(check, quote(1), *events, limits=limits)


def test_two_sockets_within_a_second_are_seen():
    async def check(client: KisClient, _wall):
        async with client.socket(), client.socket():
            pass
        assert (await client.admin())["saw"]["violations"] == {"fast_reconnect": 1}

    with_client(check)


def test_the_server_does_not_answer_pings():
    async def check(client: KisClient, _wall):
        async with client.socket() as socket:
            await socket.socket.ping(b"hello")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.socket.receive(), 0.05)
            assert await socket.register("H0STCNT0", CODE) == "OPSP0000"

    with_client(check)


def test_stopping_closes_sockets_with_a_handshake():
    async def run():
        wall = Wall()
        server = server_of(*LATER, wall=wall, now=10)
        async with served(server) as client:
            await client.log_in()
            async with client.socket() as socket:
                await socket.register("H0STCNT0", CODE)
                await asyncio.gather(server.stop(), closing(socket))
                assert socket.socket.close_code == 1000

    async def closing(socket):
        message = await socket.socket.receive()
        assert message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}

    asyncio.run(run())
