"""Every limit refuses with its own name and both numbers, worked out by hand, and binds exactly."""

from decimal import Decimal

import pytest
from books import (
    BTC,
    BUY,
    HOUR_NS,
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
from nautilus_trader.model import PositionSide, Price

from strategies.capital.config import LimitRules
from strategies.markets.facts import RAW_ONE
from strategies.messages import Enter, Exit, Grant, Limit, Refusal, Target

SECOND_NS = 1_000_000_000
ALONE = {"a": "1"}


def books(weights: dict[str, str] | None = None, **rules: object) -> Books:
    """Two shares and a perpetual at 70,000, 200,000 and 50,000."""
    made = Books(
        krx_facts(),
        krx_facts("000660"),
        perp_facts(),
        weights=weights or ALONE,
        limits=LimitRules(**rules),
    )
    made.now_ns = 24 * HOUR_NS
    for symbol, text in ((SAMSUNG, "70000"), (HYNIX, "200000"), (BTC, "50000.0")):
        made.mark(symbol, text)
    return made


def buy(made: Books, symbol: object, size: str, who: str = "a") -> Grant | Refusal:
    return made.ask(who, Enter(symbol, BUY, "r", quantity(size)))


def test_sector() -> None:
    made = books(sectors={SAMSUNG: "chips", HYNIX: "chips"})
    granted(buy(made, SAMSUNG, "30"))
    # 30 x 70,700 = 2,121,000 and 319 fee; 30 % of 10,000,000 leaves 878,681; 5 x 202,000 needs more
    no = refused(buy(made, HYNIX, "5"))
    assert (no.limit, no.asked, no.allowed) == (
        Limit.SECTOR,
        "1010152 KRW",
        "at most 878681 KRW more in sector chips",
    )
    granted(buy(made, HYNIX, "4"))


def test_strategy_and_its_own_maximum() -> None:
    made = books(
        {"a": "0.5", "b": "0.5"},
        strategy_max_raw={"KRW": 2_000_000 * RAW_ONE},
        own_max_raw={("b", "KRW"): 1_000_000 * RAW_ONE},
    )
    no = refused(buy(made, SAMSUNG, "29"))
    assert (no.limit, no.asked, no.allowed) == (
        Limit.STRATEGY,
        "2050608 KRW",
        "at most 2000000 KRW",
    )
    granted(buy(made, SAMSUNG, "28"))
    assert refused(buy(made, SAMSUNG, "15", "b")).allowed == "at most 1000000 KRW"


def test_venue_counts_every_strategy() -> None:
    made = books({"a": "0.5", "b": "0.5"}, venue_max_raw={"KRX": 3_000_000 * RAW_ONE})
    granted(buy(made, SAMSUNG, "28"))
    no = refused(buy(made, HYNIX, "6", "b"))
    # 3,000,000 - 28 x 70,700 - 297
    assert (no.limit, no.allowed) == (Limit.VENUE, "at most 1020103 KRW")


def test_gross_counts_both_sides_and_net_counts_one_against_the_other() -> None:
    limits = {
        "gross_max_raw": {"USDT": 70_000 * RAW_ONE},
        "net_max_raw": {"USDT": 30_000 * RAW_ONE},
    }
    made = books({"a": "0.5", "b": "0.5"}, **limits)
    made.fill(granted(buy(made, BTC, "0.5")), "50000.0")
    no = refused(buy(made, BTC, "0.2", "b"))
    # long 25,000: 5,000 more; 0.2 x 50,500 and 0.05 % fee is 10,105.05
    assert (no.limit, no.allowed) == (Limit.NET, "at most 5000.00000000 USDT")
    short = granted(made.ask("b", Enter(BTC, SELL, "r", quantity("0.8"))))
    made.fill(short, "50000.0")
    # long 25,000 and short 40,000: the net of -15,000 leaves 45,000, the gross of 65,000 only 5,000
    no = refused(buy(made, BTC, "0.2"))
    assert (no.limit, no.allowed) == (Limit.GROSS, "at most 5000.00000000 USDT")


def test_net_does_not_count_on_orders_that_may_not_fill() -> None:
    made = books({"a": "0.5", "b": "0.5"}, net_max_raw={"USDT": 30_000 * RAW_ONE})
    made.fill(granted(buy(made, BTC, "0.5")), "50000.0")
    granted(made.ask("b", Enter(BTC, SELL, "r", quantity("0.5"))))
    # The sale may never fill, so it does not make room for a purchase.
    assert refused(buy(made, BTC, "0.2", "b")).limit is Limit.POSITION
    assert refused(buy(made, BTC, "0.2")).limit is Limit.NET
    # An exit under way no longer balances what is sold: 30,000 - (0 - 25,000 + 25,000) - 25,262.625
    granted(made.ask("a", Exit(BTC, "r")))
    no = refused(made.ask("b", Enter(BTC, SELL, "r", quantity("0.1"))))
    assert (no.limit, no.allowed) == (Limit.NET, "at most 4737.37500000 USDT")


def test_net_counts_a_short_that_is_being_closed_as_closed() -> None:
    made = books({"a": "0.5", "b": "0.5"}, net_max_raw={"USDT": 30_000 * RAW_ONE})
    short = granted(made.ask("a", Enter(BTC, SELL, "r", quantity("0.5"))))
    made.fill(short, "50000.0")
    granted(made.ask("a", Exit(BTC, "r")))
    # 30,000 - (0 - 25,000 + 25,000); while the short stood it would have been 55,000
    no = refused(buy(made, BTC, "0.7", "b"))
    assert (no.limit, no.allowed) == (Limit.NET, "at most 30000.00000000 USDT")


@pytest.mark.parametrize(("size", "closes_only"), [("0.59", False), ("0.6", True)])
def test_a_turn_frees_what_it_closes_under_wide_limits(size: str, closes_only: bool) -> None:
    made = books(
        gross_max_raw={"USDT": 30_000 * RAW_ONE},
        venue_max_raw={"BINANCE": 30_000 * RAW_ONE},
        net_max_raw={"USDT": 30_000 * RAW_ONE},
    )
    made.fill(granted(buy(made, BTC, "0.5")), "50000.0")
    # 25,000 are bound and freed again: 0.59 x 50,525.25 = 29,809.9; 0.6 needs 30,315.2
    turn = granted(made.ask("a", Target(BTC, PositionSide.SHORT, "r", quantity(size))))
    assert turn.reduces is closes_only


def test_cash_kept_back() -> None:
    made = books(cash_share=Decimal("0.9"))
    no = refused(buy(made, SAMSUNG, "20"))
    assert (no.limit, no.asked, no.allowed) == (
        Limit.CASH,
        "1414213 KRW",
        "at most 1000000 KRW after what is kept in cash",
    )
    granted(buy(made, SAMSUNG, "14"))


def test_open_orders() -> None:
    made = books(open_orders=2)
    first = granted(buy(made, SAMSUNG, "1"))
    granted(buy(made, BTC, "0.01"))
    no = refused(buy(made, SAMSUNG, "1"))
    assert (no.limit, no.asked, no.allowed) == (Limit.OPEN_ORDERS, "open order 3", "at most 2")
    made.end(first)
    granted(buy(made, SAMSUNG, "1"))


def test_orders_per_second() -> None:
    made = books(orders_per_second=2)
    granted(buy(made, SAMSUNG, "1"))
    made.now_ns += SECOND_NS - 1
    granted(buy(made, SAMSUNG, "1"))
    no = refused(buy(made, SAMSUNG, "1"))
    assert (no.limit, no.asked) == (Limit.ORDERS_PER_SECOND, "order 3 within a second")
    made.now_ns += 1
    granted(buy(made, SAMSUNG, "1"))
    assert refused(buy(made, SAMSUNG, "1")).limit is Limit.ORDERS_PER_SECOND


def test_orders_per_day_and_the_way_out_of_it() -> None:
    made = books(orders_per_day=2)
    made.fill(granted(buy(made, SAMSUNG, "1")), "70000")
    granted(buy(made, SAMSUNG, "1"))
    assert refused(buy(made, SAMSUNG, "1")).limit is Limit.ORDERS_PER_DAY
    granted(made.ask("a", Exit(SAMSUNG, "always")))
    made.now_ns += 24 * HOUR_NS
    made.mark(SAMSUNG, "70000")
    granted(buy(made, SAMSUNG, "1"))


@pytest.mark.parametrize(
    ("side", "price", "allowed"),
    [
        (BUY, "73600", "at most 73500, 500 bps from the last price 70000"),
        (SELL, "47499.9", "at least 47500, 500 bps from the last price 50000"),
    ],
)
def test_price_sanity(side: object, price: str, allowed: str) -> None:
    made = books(price_sanity_bps=500)
    symbol, size = (SAMSUNG, "1") if side == BUY else (BTC, "0.1")
    ask = Enter(symbol, side, "r", quantity(size), Price.from_str(price))
    no = refused(made.ask("a", ask))
    assert (no.limit, no.asked, no.allowed) == (
        Limit.PRICE_SANITY,
        f"a price of {price}",
        allowed,
    )
    passive = "60000" if side == BUY else "60000.0"
    granted(made.ask("a", Enter(symbol, side, "r", quantity(size), Price.from_str(passive))))


def test_stale_data_blocks_new_risk_and_no_way_out() -> None:
    made = books(stale_after_ns=60 * SECOND_NS)
    made.fill(granted(buy(made, SAMSUNG, "10")), "70000")
    made.now_ns += 60 * SECOND_NS
    granted(buy(made, SAMSUNG, "1"))
    made.now_ns += 1 * SECOND_NS
    no = refused(buy(made, SAMSUNG, "1"))
    assert (no.limit, no.asked, no.allowed) == (Limit.STALE, "a price 61 s old", "at most 60 s")
    granted(made.ask("a", Exit(SAMSUNG, "out")))


def test_a_turn_whose_opening_is_refused_still_closes() -> None:
    made = books(strategy_max_raw={"USDT": 30_000 * RAW_ONE})
    made.fill(granted(buy(made, BTC, "0.5")), "50000.0")
    turn = granted(made.ask("a", Target(BTC, PositionSide.SHORT, "turn", quantity("0.9"))))
    assert (turn.side, turn.quantity, turn.reduces) == (SELL, quantity("0.500"), True)
    assert turn.reason == (
        "turn; only what closes, because what opens was refused: strategy, asked 45472.72500000 "
        "USDT, allowed at most 30000.00000000 USDT"
    )


def test_a_second_exit_is_refused_even_while_an_entry_is_on_its_way() -> None:
    made = books()
    made.fill(granted(buy(made, BTC, "0.1")), "50000.0")
    granted(made.ask("a", Exit(BTC, "out")))
    granted(buy(made, BTC, "0.1"))
    assert refused(made.ask("a", Exit(BTC, "again"))).limit is Limit.POSITION


def test_a_target_does_not_sell_what_is_only_on_its_way() -> None:
    made = books()
    granted(buy(made, BTC, "0.5"))
    no = refused(made.ask("a", Target(BTC, PositionSide.FLAT, "flat")))
    assert (no.limit, no.allowed) == (
        Limit.POSITION,
        "nothing: what it would close is not filled yet; cancel that order",
    )


def test_an_unsized_entry_takes_what_the_tightest_limit_leaves() -> None:
    made = books(venue_max_raw={"KRX": 1_000_000 * RAW_ONE})
    # 1,000,000 / 70,710.605 = 14.14
    assert granted(made.ask("a", Enter(SAMSUNG, BUY, "r"))).quantity == quantity("14")


def test_an_unsized_entry_without_room_names_the_limit_that_leaves_none() -> None:
    made = books(venue_max_raw={"KRX": 1_000_000 * RAW_ONE})
    granted(buy(made, SAMSUNG, "14"))
    no = refused(made.ask("a", Enter(SAMSUNG, BUY, "r")))
    # 1,000,000 - 14 x 70,700 - 149 fee; one share more is 70,711
    assert (no.limit, no.asked, no.allowed) == (Limit.VENUE, "70711 KRW", "at most 10051 KRW")
