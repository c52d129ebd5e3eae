"""The branch that a change of an order names, where replies and the list call it otherwise."""

from dataclasses import replace

import pytest
from kis_order_samples import ACCOUNT, DAY, LIMITS, SPEC, at, clock, row

from adapters.kis.order_events import OrderKey
from adapters.kis.orders import OrderBook
from adapters.kis.replies import Placed


@pytest.mark.parametrize(
    ("listed_branch", "replied", "named"),
    [
        ("06010", [], "06010"),  # nothing else is known
        ("06010", ["00950"], "00950"),  # the list names it otherwise than replies do
        ("06010", ["00950", "00960"], "00960"),
        ("00950", ["00950", "00960"], "00950"),  # both name it alike
    ],
)
def test_changes_name_a_branch_that_a_reply_has_told(listed_branch, replied, named):
    book = OrderBook(ACCOUNT, LIMITS)
    for number, branch in enumerate(replied, start=20_000):
        name = f"R{number}"
        book.sending(name, replace(SPEC, price=49_000 + number), at())
        book.taken(name, Placed(branch, f"{number:010d}", clock(0)))
        assert book.branch_of(book.order(name)) == branch
    book.sending("A", SPEC, at())
    book.reply_lost("A")
    book.on_list([row(branch=listed_branch)], at(5), at(6), complete=True)
    assert book.order("A").key == OrderKey(DAY, listed_branch, "0000010001")
    assert book.branch_of(book.order("A")) == named
