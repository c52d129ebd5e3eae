"""KRX's grid, daily limits and costs: hand-stated values and properties on integers."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import InstrumentId, Price

from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.facts import RAW_ONE
from strategies.markets.sessions import ContinuousDays

prices_raw = st.integers(1 * RAW_ONE, 3_000_000 * RAW_ONE)
won = st.integers(1, 3_000_000)


@pytest.mark.parametrize(
    ("price", "tick"),
    [
        (1, 1), (1_999, 1), (2_000, 5), (4_995, 5), (5_000, 10), (19_990, 10), (20_000, 50),
        (49_950, 50), (50_000, 100), (199_900, 100), (200_000, 500), (499_500, 500),
        (500_000, 1_000), (1_234_000, 1_000),
    ],
)  # fmt: skip
def test_tick_of_each_band_and_its_edges(price: int, tick: int) -> None:
    assert krx.TICKS.tick_raw(price * RAW_ONE) == tick * RAW_ONE


@pytest.mark.parametrize(
    ("price", "floor", "ceil"),
    [
        (2_000, 2_000, 2_000), (2_001, 2_000, 2_005), (4_999, 4_995, 5_000), (5_000, 5_000, 5_000),
        (5_001, 5_000, 5_010), (19_999, 19_990, 20_000), (20_049, 20_000, 20_050),
        (49_951, 49_950, 50_000), (50_050, 50_000, 50_100), (199_901, 199_900, 200_000),
        (499_999, 499_500, 500_000), (500_999, 500_000, 501_000),
    ],
)  # fmt: skip
def test_floor_and_ceil(price: int, floor: int, ceil: int) -> None:
    assert krx.TICKS.floor_raw(price * RAW_ONE) == floor * RAW_ONE
    assert krx.TICKS.ceil_raw(price * RAW_ONE) == ceil * RAW_ONE


@pytest.mark.parametrize(
    ("price", "below", "above"),
    [
        (2_000, 1_999, 2_005),
        (5_000, 4_995, 5_010),
        (50_000, 49_950, 50_100),
        (70_050, 70_000, 70_100),
    ],
)
def test_neighbours_across_a_band_edge(price: int, below: int, above: int) -> None:
    assert krx.TICKS.next_below_raw(price * RAW_ONE) == below * RAW_ONE
    assert krx.TICKS.next_above_raw(price * RAW_ONE) == above * RAW_ONE


@given(prices_raw)
def test_rounding_brackets_lies_on_the_grid_and_is_idempotent(raw: int) -> None:
    floor, ceil = krx.TICKS.floor_raw(raw), krx.TICKS.ceil_raw(raw)
    assert floor <= raw <= ceil
    assert floor % krx.TICKS.tick_raw(floor) == 0
    assert ceil % krx.TICKS.tick_raw(ceil) == 0
    assert krx.TICKS.floor_raw(floor) == krx.TICKS.ceil_raw(floor) == floor
    assert krx.TICKS.floor_raw(ceil) == krx.TICKS.ceil_raw(ceil) == ceil
    assert (floor == ceil) == (floor == raw)


@given(won, won)
def test_rounding_keeps_the_order_of_prices(a: int, b: int) -> None:
    low, high = sorted((a * RAW_ONE, b * RAW_ONE))
    assert krx.TICKS.floor_raw(low) <= krx.TICKS.floor_raw(high)
    assert krx.TICKS.ceil_raw(low) <= krx.TICKS.ceil_raw(high)


@given(won)
def test_no_grid_price_lies_between_neighbours(price: int) -> None:
    here = krx.TICKS.floor_raw(price * RAW_ONE)
    above = krx.TICKS.next_above_raw(here)
    assert above > here
    assert krx.TICKS.next_below_raw(above) == here


@pytest.mark.parametrize(
    ("base", "lower", "upper"),
    [
        (9_980, 6_990, 12_970),  # KRX's example of the method
        (9_940, 6_960, 12_920),  # the upper limit lies where ticks are 10 since 2023
        (70_000, 49_000, 91_000),
        (16_650, 11_660, 21_600),  # 4,990 wide; 21,640 cut to the 50-won grid above 20,000
        (1_999, 1_400, 2_595),  # 599 wide; 2,598 cut to the 5-won grid
        (500_000, 350_000, 650_000),
    ],
)
def test_price_limits(base: int, lower: int, upper: int) -> None:
    assert krx.price_limits(base * RAW_ONE) == (lower * RAW_ONE, upper * RAW_ONE)


@given(won)
def test_price_limits_lie_on_the_grid_within_the_ratio(price: int) -> None:
    base = krx.TICKS.floor_raw(price * RAW_ONE)
    lower, upper = krx.price_limits(base)
    assert base * 7 <= lower * 10 <= base * 10 <= upper * 10 <= base * 13
    assert krx.TICKS.floor_raw(lower) == lower
    assert krx.TICKS.floor_raw(upper) == upper


def test_price_limits_take_another_ratio() -> None:
    assert krx.price_limits(10_000 * RAW_ONE, Decimal("0.15")) == (
        8_500 * RAW_ONE,
        11_500 * RAW_ONE,
    )


@pytest.mark.parametrize(
    ("notional", "commission", "tax"),
    [
        (0, 0, 0),
        (499, 0, 0),
        (500, 0, 1),
        (6_666, 0, 13),
        (6_667, 1, 13),
        (7_000_000, 1_050, 14_000),
    ],
)
def test_costs_are_cut_to_whole_won(notional: int, commission: int, tax: int) -> None:
    assert krx.commission_krw(notional) == commission
    assert krx.sell_tax_krw(notional) == tax


@given(st.integers(0, 10**15), st.decimals(0, "0.99", places=7))
def test_costs_never_exceed_the_exact_share_by_a_won(notional: int, rate: Decimal) -> None:
    exact = notional * rate
    assert exact - 1 < krx.commission_krw(notional, rate) <= exact


def test_equity_takes_any_won_price_in_lots_of_one() -> None:
    share = krx.equity("005930")
    assert share.id == InstrumentId.from_str("005930.KRX")
    assert (share.price_precision, share.price_increment) == (0, Price.from_str("1"))
    assert share.lot_size is not None
    assert share.lot_size.raw == RAW_ONE
    assert share.quote_currency == krx.KRW


@pytest.mark.parametrize("code", ["", "5930", "0059300", "00593a", "00593!", "삼성전자"])
def test_equity_refuses_what_is_no_code(code: str) -> None:
    with pytest.raises(BadInput, match="no KRX share code"):
        krx.equity(code)


def test_equity_takes_codes_with_letters() -> None:
    assert krx.equity("0080G0").id.symbol.value == "0080G0"


def test_market_is_a_cash_account_without_short_sale() -> None:
    facts = krx.market(ContinuousDays())
    assert (facts.margin, facts.short_allowed) == (False, False)
    assert facts.price_limit_ratio == Decimal("0.3")
    assert facts.maker_rate == facts.taker_rate == Decimal("0.00015")
    assert facts.sell_tax_rate == Decimal("0.002")
