"""An account held to its fills: what fees explain, told by KIS or not, and what nothing does."""

import pytest
from nautilus_trader.model import OrderSide

from adapters.kis.account import AccountSnapshot, HeldShares
from adapters.kis.order_events import Moment
from adapters.kis.reconciliation import Baseline, Trades, compare

START_KRW = 10_000_000
BOUGHT_KRW = 10 * 50_000
FEES_KRW = 75


def account(cash, costs, held=0, day="20261120"):
    shares = {"005930": HeldShares("005930", held, held, held * 50_000)} if held else {}
    now = Moment(0, 0)
    return AccountSnapshot(now, now, day, shares, cash, cash, cash, costs, complete=True)


def compared(left, costs, day="20261120", costs_before=0):
    """Compare after buying 10 shares that left ``left`` won of cash."""
    ours = Trades().plus("005930", OrderSide.BUY, 10, BOUGHT_KRW, FEES_KRW)
    baseline = Baseline(account(START_KRW, costs_before), Trades())
    return compare(baseline, account(left, costs, 10, day), ours, Trades(), ())


@pytest.mark.parametrize(
    ("charged", "told", "day", "is_explained"),
    [
        (75, 75, "20261120", True),
        (200, 200, "20261120", True),
        (200, 190, "20261120", False),
        (0, 0, "20261120", True),  # nothing is told: a broker without fees
        (200, 0, "20261120", True),  # nothing is told: other fees than reckoned
        (5_000, 0, "20261120", True),  # 1 % of what was bought
        (5_001, 0, "20261120", False),  # more than any fee
        (-10, 0, "20261120", False),  # no fee brings money in
        (200, 0, "20261121", True),  # yesterday's costs are not told any more
        (5_001, 0, "20261121", False),
    ],
)
def test_cash_is_explained_by_fees_that_are_told_or_possible(charged, told, day, is_explained):
    result = compared(START_KRW - BOUGHT_KRW - charged, told, day)
    assert result.cash.difference_krw == FEES_KRW - charged
    assert (result.cash.unexplained_krw == 0) is is_explained
    assert bool(result.mismatches) is not is_explained


def test_costs_of_earlier_trades_are_not_taken_for_the_runs():
    result = compared(START_KRW - BOUGHT_KRW - 300, 800, costs_before=500)
    assert (result.cash.charged_krw, result.mismatches) == (300, ())


def test_cash_that_moves_without_trades_is_no_fee():
    baseline = Baseline(account(START_KRW, 0), Trades())
    result = compare(baseline, account(START_KRW - 1, 0), Trades(), Trades(), ())
    assert "cash is -1 won" in result.mismatches[0]
