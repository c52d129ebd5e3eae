"""Defects of our own while orders live: none of them is swallowed, each ends the node in words."""

import asyncio

from kis_desk import desk, spec
from live_kis import SECOND

from adapters.kis.errors import IllegalTransition


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
