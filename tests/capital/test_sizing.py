"""Stated risk becomes a quantity: each way by hand, always rounded down, never above a limit."""

from decimal import Decimal

import pytest
from books import BTC, BUY, HOUR_NS, SAMSUNG, SELL, Books, granted, krx_facts, perp_facts, refused
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import Money, OrderSide, PositionSide, Price

from strategies.capital.config import SECOND_NS, AllocationRules, LimitRules
from strategies.markets.facts import RAW_ONE
from strategies.messages import Enter, Grant, Limit, Refusal, SizeBy, Sizing, Target


def books(**rules: object) -> Books:
    """One strategy with all of 10,000,000 KRW and 100,000 USDT."""
    limits = LimitRules(orders_per_second=0, price_sanity_bps=0)
    made = Books(krx_facts(), perp_facts(), weights={"a": "1"}, limits=limits, **rules)
    made.now_ns = 24 * HOUR_NS
    made.mark(SAMSUNG, "70000")
    made.mark(BTC, "50000.0")
    return made


def size(
    made: Books, symbol: object, sizing: Sizing, stop: str | None = None, side: OrderSide = BUY
) -> Grant | Refusal:
    """Ask to enter with a stated risk."""
    stop_price = Price.from_str(stop) if stop else None
    return made.ask("a", Enter(symbol, side, "r", sizing=sizing, stop_price=stop_price))


def test_fixed_notional() -> None:
    # 1,000,000 / 70,000 = 14.28
    sizing = Sizing(SizeBy.NOTIONAL, amount=Money.from_str("1000000 KRW"))
    assert str(granted(size(books(), SAMSUNG, sizing)).quantity) == "14"


def test_percent_of_allocation() -> None:
    # 10 % of 10,000,000 at 70,700 and 0.015 %, the fee rounded up: 1,000,000 / 70,711 = 14.14
    sizing = Sizing(SizeBy.ALLOCATION, bps=1_000)
    assert str(granted(size(books(), SAMSUNG, sizing)).quantity) == "14"


def test_risk_per_trade() -> None:
    # 1 % of 10,000,000 to lose between 70,700 (worst) and 68,700: 100,000 / 2,000 = 50
    sizing = Sizing(SizeBy.RISK, bps=100)
    assert str(granted(size(books(), SAMSUNG, sizing, "68700")).quantity) == "50"
    # a short sells at 50,000 and is stopped at 51,000: 1,000 / 1,000 = 1
    sizing = Sizing(SizeBy.RISK, bps=100)
    assert str(granted(size(books(), BTC, sizing, "51000.0", SELL)).quantity) == "1.000"


def test_risk_applies_to_targets() -> None:
    target = Target(
        BTC,
        PositionSide.LONG,
        "r",
        sizing=Sizing(SizeBy.RISK, bps=50),
        stop_price=Price.from_str("49500.0"),
    )
    # 0.5 % of 100,000 between 50,500 and 49,500: 500 / 1,000
    assert str(granted(books().ask("a", target)).quantity) == "0.500"


@pytest.mark.parametrize(
    ("symbol", "sizing", "stop", "asked"),
    [
        (SAMSUNG, Sizing(SizeBy.RISK, bps=100), None, "without a stop price"),
        (SAMSUNG, Sizing(SizeBy.RISK, bps=100), "70000", "a stop at 70000"),
        (SAMSUNG, Sizing(SizeBy.NOTIONAL), None, "no amount"),
        (SAMSUNG, Sizing(SizeBy.NOTIONAL, amount=Money.from_str("5 USDT")), None, "5.00000000"),
        (SAMSUNG, Sizing(SizeBy.VOLATILITY, bps=100), None, "a size by volatility"),
    ],
)
def test_risk_that_means_no_quantity_is_refused(
    symbol: object, sizing: Sizing, stop: str | None, asked: str
) -> None:
    no = refused(size(books(), symbol, sizing, stop))
    assert no.limit is Limit.SIZING
    assert asked in no.asked


def test_volatility_target() -> None:
    made = books(sample_ns=6 * 3_600 * SECOND_NS, allocation=AllocationRules(samples=2, window=10))
    for text in ("50000.0", "50500.0", "49995.0"):
        made.now_ns += HOUR_NS
        made.mark(BTC, text)
        made.ring("sample", made.now_ns)
    # Returns of +1 % and -1 %: deviation 1 %; a day has four samples of six hours less a
    # nanosecond, root two: 2 %. 1 % of 100,000 over 2 % of 49,995 is 1.0001
    grant = granted(size(made, BTC, Sizing(SizeBy.VOLATILITY, bps=100)))
    assert str(grant.quantity) == "1.000"


@given(bps=st.integers(1, 10_000), stop=st.integers(40_000, 49_900))
def test_a_stop_never_costs_more_than_the_stated_risk(bps: int, stop: int) -> None:
    made = books()
    answer = size(made, BTC, Sizing(SizeBy.RISK, bps=bps), f"{stop}.0")
    if isinstance(answer, Grant):
        lost = (answer.worst.as_decimal() - stop) * answer.quantity.as_decimal()
        assert lost <= Decimal(100_000 * bps) / 10_000
        assert answer.reserved.raw <= 100_000 * RAW_ONE
