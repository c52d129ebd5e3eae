"""Statistics of round trips: hand-computed tables, then properties."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.stats import (
    Trade,
    Undefined,
    average_holding_ns,
    average_loss,
    average_win,
    cost_share,
    expectancy,
    exposure,
    payoff,
    profit_factor,
    turnover,
    win_rate,
    win_rate_interval,
)
from catalog.stats.trades import closed_results

RESULTS = [Decimal(30), Decimal(-10), Decimal(10), Decimal(0)]
NO_TRADE = Undefined("no trade was closed")
TRADE = Trade(
    strategy="sma",
    instrument_id="005930.KRX",
    long=True,
    quantity=Decimal(10),
    entry_ns=10,
    exit_ns=30,
    entry_price=Decimal(70_000),
    exit_price=Decimal(70_500),
    gross=Decimal(5_000),
    fees=Decimal(210),
    tax=Decimal(1_410),
    currency="KRW",
    entry_reason="crossed above",
    exit_reason="crossed below",
)
results_lists = st.lists(st.decimals(-1000, 1000, places=2), min_size=1, max_size=30)


def test_the_table_computed_by_hand() -> None:
    assert win_rate(RESULTS) == 0.5
    assert profit_factor(RESULTS) == 4.0
    assert expectancy(RESULTS) == Decimal("7.5")
    assert average_win(RESULTS) == 20
    assert average_loss(RESULTS) == -10
    assert payoff(RESULTS) == 2.0


def test_without_trades_every_number_says_so() -> None:
    answers = [stat([]) for stat in (win_rate, profit_factor, expectancy, payoff)]
    assert answers == [NO_TRADE] * 4
    assert average_holding_ns([]) == NO_TRADE
    assert win_rate_interval([]) == (0.0, 1.0)


def test_one_sided_results_have_no_ratio() -> None:
    assert profit_factor([Decimal(1)]) == Undefined("no trade lost money")
    assert payoff([Decimal(1)]) == Undefined("no trade lost money")
    assert payoff([Decimal(-1)]) == Undefined("no trade made money")
    assert profit_factor([Decimal(-1)]) == 0.0


def test_wilson_interval_of_eight_in_ten() -> None:
    low, high = win_rate_interval([Decimal(1)] * 8 + [Decimal(-1)] * 2)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))


def test_net_is_gross_less_fees_less_tax() -> None:
    assert TRADE.net == Decimal(3_380)


def test_open_trades_are_left_out_of_averages_but_count_as_exposure() -> None:
    still_open = replace(TRADE, entry_ns=60, exit_ns=None, exit_price=None)
    trades = [TRADE, still_open]
    assert closed_results(trades) == [Decimal(3_380)]
    assert average_holding_ns(trades) == 20
    assert exposure(trades, 0, 100) == 0.6


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ([], 0.0),
        ([(0, 100)], 1.0),
        ([(10, 30), (20, 40)], 0.3),
        ([(10, 40), (20, 30)], 0.3),
        ([(-50, 10), (90, 500)], 0.2),
    ],
)
def test_exposure_is_the_union_of_the_spans(spans: list[tuple[int, int]], expected: float) -> None:
    trades = [replace(TRADE, entry_ns=entry, exit_ns=exit_) for entry, exit_ in spans]
    assert exposure(trades, 0, 100) == pytest.approx(expected)


def test_exposure_of_an_empty_window_is_undefined() -> None:
    assert isinstance(exposure([TRADE], 5, 5), Undefined)


def test_turnover_and_cost_share_divide_by_what_exists() -> None:
    assert turnover(Decimal(300), Decimal(100)) == 3.0
    assert isinstance(turnover(Decimal(300), Decimal(0)), Undefined)
    assert cost_share(Decimal(5), Decimal(20)) == 0.25
    assert isinstance(cost_share(Decimal(5), Decimal(-20)), Undefined)


@given(results_lists)
def test_the_win_rate_lies_in_its_interval(results: list[Decimal]) -> None:
    low, high = win_rate_interval(results)
    rate = win_rate(results)
    assert isinstance(rate, float)
    assert 0 <= low <= rate + 1e-12
    assert rate - 1e-12 <= high <= 1


@given(results_lists)
def test_profit_factor_above_one_means_money_was_made(results: list[Decimal]) -> None:
    factor, mean = profit_factor(results), expectancy(results)
    assert isinstance(mean, Decimal)
    if not isinstance(factor, Undefined):
        assert (factor > 1) == (mean > 0)
