"""What changed in the account since the start, against what fills explain."""

import re
from dataclasses import replace

import pytest
from kis_order_samples import DAY, at, row
from nautilus_trader.model import OrderSide

from adapters.kis.account import AccountSnapshot, HeldShares
from adapters.kis.reconciliation import Baseline, Trades, compare, trades_of

CODE, OTHER = "123450", "000001"


def account(settled=1_000_000, costs=0, complete=True, day=DAY, **shares):
    return AccountSnapshot(
        asked=at(),
        answered=at(1),
        day=day,
        holdings={
            code.removeprefix("c"): HeldShares(code.removeprefix("c"), quantity, quantity, 0)
            for code, quantity in shares.items()
        },
        today_krw=settled,
        next_day_krw=settled,
        settled_krw=settled,
        costs_today_krw=costs,
        complete=complete,
    )


def fees(_side, _quantity, _price):
    return 15


BOUGHT = Trades().plus(CODE, OrderSide.BUY, 10, 100_000, 15)
START = Baseline(account(c123450=5), Trades())


def test_fills_explain_shares_and_won():
    sold = BOUGHT.plus(CODE, OrderSide.SELL, 4, 44_000, 90)
    result = compare(
        START, account(1_000_000 - 100_015 + 43_910, 105, c123450=11), sold, Trades(), ("A",)
    )
    assert result.mismatches == ()
    assert result.settled
    assert result.orders_open == ("A",)
    assert [(one.code, one.start, one.now, one.ours) for one in result.holdings] == [
        (CODE, 5, 11, 6)
    ]
    assert (result.cash.difference_krw, result.cash.unexplained_krw) == (0, 0)
    assert result.ts_ns == at(1).market_ns


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (account(899_985, 15, c123450=14), "123450: KIS holds 14 shares, 5 at the start"),
        (account(899_985, 15), "leave -15 unexplained"),
        (account(899_985, 15, c123450=15, c000001=1), "000001: KIS holds 1 shares"),
        (account(999_985, 15, c123450=15), r"cash is \+100000 won beside"),
        (account(799_985, 15, c123450=15), "cash is -100000 won beside"),
    ],
)
def test_what_no_fill_explains_is_told_in_shares_and_won(now, words):
    result = compare(START, now, BOUGHT, Trades(), ())
    assert len(result.mismatches) == 1
    assert re.search(words, result.mismatches[0])


@pytest.mark.parametrize(
    ("settled", "costs", "is_told"),
    [
        (899_985 - 300, 315, False),  # another fee rate, which KIS tells
        (899_985 + 1, 0, False),  # costs are not told, and the won were cut elsewhere
        (899_985 - 300, 0, False),  # nor is the rate, and the cash shows it
        (899_985 - 2_000, 0, True),  # no fee is that high
    ],
)
def test_other_fees_are_no_mismatch_where_kis_tells_or_shows_them(settled, costs, is_told):
    result = compare(START, account(settled, costs, c123450=15), BOUGHT, Trades(), ())
    assert bool(result.mismatches) == is_told
    assert result.cash.difference_krw == settled - 899_985


def test_costs_of_another_day_are_not_compared():
    result = compare(START, account(899_985, 3, day="20261118", c123450=15), BOUGHT, Trades(), ())
    assert result.cash.charged_krw is None
    assert result.mismatches == ()


def test_foreign_fills_explain_what_they_moved_since_the_start():
    before = trades_of([row(2)], fees)
    now = trades_of([row(2), row(3, number="0000010002"), replace(row(1), code=OTHER)], fees)
    baseline = Baseline(account(c123450=5), before)
    won = 4 * 50_200 + 30
    result = compare(
        baseline, account(1_000_000 - won, 30, c123450=8, c000001=1), Trades(), now, ()
    )
    assert result.mismatches == ()
    assert {one.code: one.foreign for one in result.holdings} == {CODE: 3, OTHER: 1}
    assert result.cash.foreign_krw == -won


def test_other_mismatches_and_missing_pages_are_passed_on():
    result = compare(START, account(complete=False, c123450=5), Trades(), Trades(), (), ["x"])
    assert result.mismatches == ("x",)
    assert not result.settled
