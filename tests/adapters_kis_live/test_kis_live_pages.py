"""Paged lists of the simulated KIS, longer than one of its pages."""

import asyncio

import pytest
from live_kis import DAY, live
from nautilus_trader.model import OrderSide

from adapters.kis import replies, requests
from adapters.kis.config import Account
from adapters.kis.pages import all_pages
from scenarios.venues.kis.books import Position

from kis_market import CODE, WHO, buy, quote, trade  # isort: skip - found on the path of live_kis

EVENTS = [quote(1), trade(2, 10_000, 5)]
ACCOUNT = Account(WHO.account[:8], WHO.account[8:])
LIST = requests.orders(ACCOUNT, DAY, DAY)
SMALL = {"requests_per_s": 1_000, "order_page": 3, "balance_page": 2, "cancellable_page": 3}


def check(folder, body, codes=(CODE,)):
    async def run():
        async with live(folder, *EVENTS, limits=SMALL, codes=codes, speed=20) as one:
            await body(one)

    asyncio.run(run())


def place(one, count):
    """Place orders at the venue itself, each of another price."""
    for number in range(count):
        one.server.venue.exchange.submit(buy(1, 9_000 + 10 * number))


@pytest.mark.parametrize("count", [0, 1, 3, 4, 9, 10])
def test_every_order_is_listed_once(tmp_path, count):
    async def body(one):
        place(one, count)
        found = await all_pages(one.http, LIST, one.config.limits.pages)
        rows = [row for answer in found.answers for row in replies.order_rows(answer)]
        assert found.complete
        assert [row.price for row in rows] == [9_000 + 10 * number for number in range(count)]
        assert {row.side for row in rows} <= {OrderSide.BUY}
        assert len(found.answers) == max(1, -(-count // 3))

    check(tmp_path, body)


def test_open_orders_come_in_pages(tmp_path):
    async def body(one):
        place(one, 7)
        found = await all_pages(one.http, requests.open_orders(ACCOUNT), 10)
        rows = [row for answer in found.answers for row in replies.open_orders(answer)]
        assert (len(rows), len(found.answers), found.complete) == (7, 3, True)

    check(tmp_path, body)


def test_holdings_come_in_pages(tmp_path):
    codes = ("990001", "990002", "990003")

    async def body(one):
        account = one.server.venue.exchange.books.accounts[WHO.account]
        for code in codes:
            account.positions[code] = Position(5)
        found = await all_pages(one.http, requests.balance(ACCOUNT), 10)
        rows = [row for answer in found.answers for row in replies.holdings(answer)]
        assert ([row.code for row in rows], found.complete) == (list(codes), True)
        assert replies.cash(found.answers[0]).today == 100_000_000

    check(tmp_path, body, codes)


def test_a_list_that_breaks_off_is_incomplete(tmp_path):
    async def broken():
        async with live(tmp_path, *EVENTS, limits=SMALL, speed=20) as one:
            place(one, 7)

            class Breaking:
                """Lets the venue fail after the first page."""

                async def ask(self, request):
                    answer = await one.http.ask(request)
                    one.arm("http_500", count=20, match="inquire-daily-ccld")
                    return answer

            found = await all_pages(Breaking(), LIST, 10)
            assert (len(found.answers), found.complete) == (1, False)
            assert "EGW00316" in found.why

    asyncio.run(broken())
