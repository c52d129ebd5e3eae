"""Tokens over loopback: shared on disk, replaced before their end, after rejection, by one."""

import asyncio

import pytest
from live_kis import SECOND, live, settings

from adapters.kis import errors, requests
from adapters.kis.config import Account, Secret
from adapters.kis.http import KisHttp
from adapters.kis.parse import Token
from adapters.kis.token_cache import TokenCache
from strategies.errors import BadInput

from kis_market import CODE, WHO, quote, trade  # isort: skip - found on the path of live_kis

PRICE = requests.price(CODE)
BALANCE = requests.balance(Account(WHO.account[:8], WHO.account[8:]))
SOON = {"token_spacing_ns": SECOND}


def check(folder, body, **more):
    async def run():
        async with live(folder, quote(1), trade(2, 10_000, 5), **more) as one:
            await body(one)

    asyncio.run(run())


def test_many_requests_and_a_second_client_share_one_token(tmp_path):
    async def body(one):
        await asyncio.gather(*(one.http.ask(PRICE) for _ in range(5)))
        async with one.another_http() as other:
            await other.ask(BALANCE)
        assert one.seen.requests["tokenP"] == 1
        (stored,) = tmp_path.glob("*.json")
        assert stored.stat().st_mode & 0o777 == 0o600

    check(tmp_path, body)


def test_one_who_gives_up_does_not_end_the_renewal_for_others(tmp_path):
    async def body(one):
        first, second = (asyncio.create_task(one.http.ask(PRICE)) for _ in range(2))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        await second
        assert first.cancelled()
        assert one.seen.requests["tokenP"] == 1

    check(tmp_path, body)


def test_a_token_that_kis_ends_is_replaced_once_for_all(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        before = one.http._tokens.held()
        one.fast.jumped_ns += 2 * SECOND
        one.arm("token_expiry")
        await asyncio.gather(*(one.http.ask(PRICE) for _ in range(4)))
        assert one.seen.requests["tokenP"] == 2
        after = one.http._tokens.held()
        assert after not in {before, None}
        assert TokenCache(tmp_path, one.config).load(one.fast()).text == after

    check(tmp_path, body, numbers=SOON)


def test_a_rejected_token_leaves_the_disk_even_if_no_other_comes(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        one.fast.jumped_ns += 2 * SECOND
        one.arm("token_expiry")
        one.arm("lost_reply", match="tokenP")
        with pytest.raises(errors.VenueBusy):
            await one.http.ask(PRICE)
        assert TokenCache(tmp_path, one.config).load(0) is None

    check(tmp_path, body, numbers=SOON | {"retries": 1})


def test_a_token_rejected_within_the_minute_lets_orders_fail_and_questions_wait(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        one.arm("token_expiry")
        asked = one.fast()
        with pytest.raises(errors.TokenTooSoon):
            await one.http.ask(requests.cancel(Account("1" * 8, "01"), "00950", "1", "00"))
        await one.http.ask(PRICE)
        assert one.fast() - asked >= 50 * SECOND
        assert one.seen.requests["tokenP"] == 2
        assert one.seen.answers["EGW00133"] == 0

    numbers = {"request_timeout_ns": 60 * SECOND}
    check(tmp_path, body, speed=100, numbers=numbers)


def test_a_second_issue_within_a_minute_is_waited_for(tmp_path):
    async def body(one):
        one.server.venue.tokens.issue(WHO.app_key, one.fast())  # to a process of another machine
        await one.http.ask(PRICE)
        assert one.seen.answers["EGW00133"] == 1
        assert one.seen.requests["tokenP"] == 2

    numbers = {"request_timeout_ns": 60 * SECOND}
    check(tmp_path, body, speed=100, numbers=numbers)


def test_who_logs_in_waits_for_the_minute_if_he_lets_it_be_said(tmp_path):
    async def body(one):
        one.server.venue.tokens.issue(WHO.app_key, one.fast())  # to a process of another machine
        with pytest.raises(errors.TokenTooSoon):
            await one.http.log_in()
        said = []
        await one.http.log_in(said.append)
        assert len(said) == 1
        assert "one token a minute" in said[0]
        assert one.seen.answers["EGW00133"] == 1
        await one.http.log_in(said.append)
        assert len(said) == 1

    numbers = {"request_timeout_ns": 60 * SECOND}
    check(tmp_path, body, speed=100, numbers=numbers)


def test_an_old_token_is_replaced_before_it_ends_and_nobody_waits(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        before = one.http._tokens.held()
        one.fast.jumped_ns += 3_000 * SECOND
        await one.http.ask(PRICE)
        async with asyncio.timeout(1.5):
            while one.http._tokens.held() == before:
                await asyncio.sleep(0.005)
        await one.http.ask(PRICE)
        assert one.seen.requests["tokenP"] == 2
        assert one.seen.answers["EGW00123"] == 0
        assert one.said == []

    check(tmp_path, body, limits={"requests_per_s": 99, "token_life_s": 4_000, "token_same_s": 0})


def test_an_early_renewal_that_fails_is_said_and_the_old_token_serves(tmp_path):
    async def body(one):
        await one.http.ask(PRICE)
        one.fast.jumped_ns += 3_000 * SECOND
        one.arm("lost_reply", match="tokenP")
        for _ in range(3):
            await one.http.ask(PRICE)
            await asyncio.sleep(0.02)
        assert [each[:40] for each in one.said] == ["The KIS token was not renewed early: The"]
        assert one.seen.requests["tokenP"] == 2

    check(tmp_path, body, limits={"requests_per_s": 99, "token_life_s": 4_000, "token_same_s": 0})


def test_while_another_process_asks_its_token_is_waited_for(tmp_path):
    async def body(one):
        cache = TokenCache(tmp_path, one.config)
        with cache.locked() as is_ours:
            assert is_ours
            asked = asyncio.create_task(one.http.ask(PRICE))
            await asyncio.sleep(0.02)
            token = one.server.venue.tokens.issue(WHO.app_key, one.fast())
            cache.store(Token(Secret(token.text), token.until_ns))
            await asked
        assert one.seen.requests["tokenP"] == 0

    check(tmp_path, body)


def test_a_process_that_asks_for_too_long_is_not_waited_for(tmp_path):
    async def body(one):
        with (
            TokenCache(tmp_path, one.config).locked(),
            pytest.raises(errors.VenueBusy, match="Another process"),
        ):
            await one.http.ask(BALANCE)

    check(tmp_path, body, numbers={"retries": 0})


def test_wrong_keys_stop_at_once_and_are_not_tried_again(tmp_path):
    async def body(one):
        good = settings(one.server.port)
        bad = type(good)(
            **{name: getattr(good, name) for name in good.__slots__}
            | {"app_secret": Secret("x" * 180)}
        )
        async with KisHttp(bad, tmp_path, one.said.append, one.fast.timing()) as http:
            for _ in range(3):
                with pytest.raises(errors.BadCredentials, match="check ONETAPE_KIS_APP_SECRET"):
                    await http.ask(PRICE)
        assert one.seen.requests["tokenP"] == 1

    check(tmp_path, body)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")

    async def body(one):
        http = KisHttp(one.config, tmp_path / "file", one.said.append, one.fast.timing())
        async with http:
            with pytest.raises(BadInput, match="token cannot be kept"):
                await http.ask(PRICE)

    check(tmp_path, body)
