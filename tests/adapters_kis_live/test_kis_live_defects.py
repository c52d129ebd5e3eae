"""Defects of our own while orders live: none of them is swallowed, each ends the node in words."""

import asyncio

import pytest
from kis_desk import desk, spec
from kis_node import in_thread, node_desk
from live_kis import SECOND

from adapters.kis.errors import IllegalTransition
from adapters.kis.reconciler import Reconciler
from strategies.errors import BadInput


def failed(folder, break_it, begin):
    """Return what people are told of after something broke while an order rested."""

    async def whole():
        async with desk(folder) as one:
            task = asyncio.create_task(begin(one))
            await one.orders.submit("A", spec(10, 9_000))
            await one.until(lambda: one.told.of("accepted"))
            break_it(one)
            async with asyncio.timeout(4):
                while not one.failures:
                    await asyncio.sleep(0.002)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return one.failures

    return asyncio.run(whole())


async def nothing(one):
    """Begin nothing: the list is asked by the orders themselves."""


def test_a_book_that_breaks_over_the_list_ends_the_node(tmp_path):
    def break_it(one):
        def on_list(*_args, **_more):
            raise IllegalTransition("OrderState open knows no refused; this is a defect.")

        one.orders.book.on_list = on_list
        one.orders.list.want()

    (error,) = failed(tmp_path, break_it, nothing)
    assert type(error) is IllegalTransition


def test_a_comparison_that_breaks_ends_the_node(tmp_path):
    def break_it(one):
        def tell(*_args):
            raise ValueError("the host's books")

        one.reconciler._tell = tell
        one.reconciler.want()

    (error,) = failed(tmp_path, break_it, lambda one: one.reconciler.run())
    assert str(error) == "the host's books"


def test_a_comparison_that_cannot_be_had_is_said_once_until_it_can(tmp_path):
    async def whole():
        async with desk(tmp_path) as one:
            one.reconciler._every_ns = SECOND
            task = asyncio.create_task(one.reconciler.run())
            for _ in range(2):
                one.arm("http_500", match="inquire-balance", count=12)
                asked = one.seen.requests["inquire-balance"]
                await one.until(
                    lambda asked=asked: one.seen.requests["inquire-balance"] > asked + 8
                )
                compared = len(one.reconciled)
                await one.until(lambda compared=compared: len(one.reconciled) > compared)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return one.said

    assert len([text for text in asyncio.run(whole()) if "cannot be compared" in text]) == 2


@pytest.mark.parametrize("error", [BadInput("The disk is full."), ValueError("a defect")])
def test_what_hinders_a_node_from_connecting_is_told_whatever_it_is(tmp_path, monkeypatch, error):
    async def begin(_reconciler):
        raise error

    async def whole():
        async with node_desk(tmp_path) as one:
            assert one.failures == [error]

    monkeypatch.setattr(Reconciler, "begin", begin)
    in_thread(lambda: asyncio.run(whole()))
