"""Grants and refusals of the capital manager, with numbers worked out by hand."""

from decimal import Decimal

import pytest
from books import (
    BTC,
    BUY,
    HYNIX,
    SAMSUNG,
    SELL,
    Books,
    granted,
    krx_facts,
    perp_facts,
    quantity,
    refused,
)
from nautilus_trader.model import Money, PositionSide, Price

from strategies.markets.facts import RAW_ONE
from strategies.messages import Enter, Exit, Grant, Limit, OrderState, Refusal, Target


def test_an_unsized_entry_gets_its_even_share_of_the_allocation() -> None:
    # 10,000,000 x 0.5 over two shares: 2,500,000; a market order may fill 1 % worse than
    # 70,000 (no daily limit is known yet) and costs 0.015 %: 2,500,000 / 70,710.605 = 35.35.
    books = Books(krx_facts(), krx_facts("000660"))
    books.mark(SAMSUNG, "70000")
    grant = granted(books.ask("a", Enter(SAMSUNG, BUY, "why")))
    assert grant.quantity == quantity("35")
    assert grant.price is None
    # 35 x 70,700 = 2,474,500; the fee of 371.175 is kept back as 372
    assert grant.reserved.as_decimal() == Decimal(2_474_872)


def test_a_krx_market_buy_is_reserved_at_the_upper_limit() -> None:
    books = Books(krx_facts())
    books.mark(SAMSUNG, "70000")
    books.capital.on_timer(_limits_timer())
    grant = granted(books.ask("a", Enter(SAMSUNG, BUY, "why", quantity("10"))))
    # 70,000 + 30 % = 91,000; x 10 = 910,000 and the fee of 136.5
    assert grant.reserved == Money.from_str("910137 KRW")


def _limits_timer() -> "object":
    from strategies.messages import TimerFired

    return TimerFired("capital", "price-limits:KRX", 0, 1)


REFUSALS = [
    # intent, limit, asked, allowed
    (Enter(HYNIX, BUY, "r"), Limit.NO_PRICE, "an order", "none before the first price"),
    (Exit(SAMSUNG, "r"), Limit.POSITION, "exit", "what is held and not already being sold"),
    (Enter(SAMSUNG, SELL, "r", quantity("1")), Limit.SHORT_SALE, "to sell", "no short sale"),
    (
        Enter(SAMSUNG, BUY, "r", quantity("1"), Price.from_str("70050")),
        Limit.TICK,
        "a price of 70050",
        "steps of 100",
    ),
    (
        Enter(SAMSUNG, BUY, "r", quantity("1"), Price.from_str("91100")),
        Limit.PRICE_BAND,
        "a price of 91100",
        "49000 to 91000",
    ),
    (Enter(SAMSUNG, BUY, "r", quantity("40")), Limit.ORDER, "3640546", "3000000"),
    (
        Enter(BTC, BUY, "r", quantity("0.001")),
        Limit.MIN_NOTIONAL,
        "50.00000000 USDT",
        "at least 100.00000000 USDT",
    ),
    (Enter(BTC, BUY, "r", quantity("1.2")), Limit.ALLOCATION, "60630", "50000"),
]


@pytest.mark.parametrize(("intent", "limit", "asked", "allowed"), REFUSALS)
def test_a_refusal_names_the_limit_and_both_numbers(
    intent: Enter | Exit, limit: Limit, asked: str, allowed: str
) -> None:
    books = Books(krx_facts(), krx_facts("000660"), perp_facts(), order_max={"KRW": 3_000_000})
    books.mark(SAMSUNG, "70000")
    books.mark(BTC, "50000.0")
    books.capital.on_timer(_limits_timer())
    refusal = refused(books.ask("a", intent))
    assert refusal.limit is limit
    assert asked in refusal.asked.replace("_", "")
    assert allowed in refusal.allowed
    assert refusal.reason == "r"


def test_the_symbol_limit_counts_every_strategy() -> None:
    books = Books(perp_facts(), symbol_max={"USDT": 40_000})
    books.mark(BTC, "50000.0")
    granted(books.ask("a", Enter(BTC, BUY, "r", quantity("0.5"))))
    refusal = refused(books.ask("b", Enter(BTC, BUY, "r", quantity("0.5"))))
    assert refusal.limit is Limit.SYMBOL
    # 0.5 x 50,500 x 1.0005 = 25,262.625 each
    assert "14737.375" in refusal.allowed


def test_cash_is_shared_by_all_strategies_of_a_venue() -> None:
    books = Books(krx_facts(), weights={"a": "1", "b": "1"})
    books.mark(SAMSUNG, "70000")
    granted(books.ask("a", Enter(SAMSUNG, BUY, "r", quantity("100"))))
    refusal = refused(books.ask("b", Enter(SAMSUNG, BUY, "r", quantity("100"))))
    assert refusal.limit is Limit.CASH


def test_a_filled_position_can_be_left_without_money_but_not_twice() -> None:
    books = Books(krx_facts())
    books.mark(SAMSUNG, "70000")
    entry = granted(books.ask("a", Enter(SAMSUNG, BUY, "r", quantity("50"))))
    books.fill(entry, "70000", fee="525")
    leave = granted(books.ask("a", Exit(SAMSUNG, "enough")))
    assert (leave.side, leave.quantity, leave.reduces) == (SELL, quantity("50"), True)
    assert leave.reserved.raw == 0
    assert refused(books.ask("a", Exit(SAMSUNG, "again"))).limit is Limit.POSITION
    assert refused(books.ask("b", Exit(SAMSUNG, "not mine"))).limit is Limit.POSITION
    books.end(leave)
    assert granted(books.ask("a", Exit(SAMSUNG, "again"))).quantity == quantity("50")


def test_targets_close_flip_and_hold_still() -> None:
    books = Books(perp_facts(), weights={"a": "1"})
    books.mark(BTC, "50000.0")

    def target(side: PositionSide, size: str | None = None) -> Grant | Refusal:
        return books.ask("a", Target(BTC, side, "r", quantity(size) if size else None))

    books.fill(granted(target(PositionSide.LONG, "0.500")), "50000.0")
    assert refused(target(PositionSide.LONG, "0.500")).limit is Limit.POSITION
    flip = granted(target(PositionSide.SHORT, "0.300"))
    assert (flip.side, flip.quantity, flip.reduces) == (SELL, quantity("0.800"), False)
    books.fill(flip, "50000.0")
    unsized = granted(target(PositionSide.LONG))
    # It closes 0.300 and opens what 100,000 buys at 50,000, a buffer of 1 % and the fee:
    # 100,000 / 50,525.25 = 1.979
    assert (unsized.side, unsized.quantity, unsized.reduces) == (BUY, quantity("2.279"), False)
    books.end(unsized)
    flat = granted(target(PositionSide.FLAT))
    assert (flat.side, flat.quantity, flat.reduces) == (BUY, quantity("0.300"), True)
    books.fill(flat, "50000.0")
    unsized = granted(target(PositionSide.SHORT))
    # A sale may be paid better than asked, which binds more: 100,000 / 50,525.25 = 1.979
    assert unsized.quantity == quantity("1.979")


def test_rounding_to_the_lot_never_raises_a_quantity() -> None:
    books = Books(perp_facts())
    books.mark(BTC, "50000.0")
    grant = granted(books.ask("a", Enter(BTC, BUY, "r", quantity("0.0059"))))
    assert grant.quantity == quantity("0.005")
    assert refused(books.ask("a", Enter(BTC, BUY, "r", quantity("0.0009")))).limit is Limit.LOT


@pytest.mark.parametrize(
    "state",
    [OrderState.CANCELED, OrderState.REJECTED, OrderState.DENIED, OrderState.EXPIRED],
)
def test_an_ended_order_gives_back_exactly_what_it_held(state: OrderState) -> None:
    books = Books(krx_facts())
    books.mark(SAMSUNG, "70000")
    ledger = books.ledgers["KRX"]
    before = ledger.free_raw()
    grant = granted(books.ask("a", Enter(SAMSUNG, BUY, "r", quantity("50"))))
    assert ledger.free_raw() == before - ledger.total_reserved_raw() < before
    books.fill(grant, "70000", "20", fee="210")
    books.end(grant, state)
    assert ledger.total_reserved_raw() == 0
    assert ledger.free_raw() == before - (20 * 70_000 + 210) * RAW_ONE
    books.end(grant, state)
    assert ledger.free_raw() == before - (20 * 70_000 + 210) * RAW_ONE
