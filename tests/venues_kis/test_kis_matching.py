"""Matching: price, then time; never worse than the limit, never more than was offered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.venues.kis.matching import Entry, Level, Lifetime, Match, Side, SymbolBook

BIDS = (Level(99, 10), Level(98, 20), Level(97, 30))
ASKS = (Level(100, 10), Level(101, 20), Level(102, 30))


def book() -> SymbolBook:
    return SymbolBook(BIDS, ASKS)


def order(number, quantity, limit, side=Side.BUY, **more) -> Entry:
    return Entry(str(number), side, limit, quantity, **more)


@pytest.mark.parametrize(
    ("quantity", "limit", "lifetime", "matches", "waiting"),
    [
        (5, 100, Lifetime.DAY, [(5, 100)], 0),
        (25, 101, Lifetime.DAY, [(10, 100), (15, 101)], 0),
        (15, 100, Lifetime.DAY, [(10, 100)], 5),
        (15, 100, Lifetime.IOC, [(10, 100)], 0),
        (15, 100, Lifetime.FOK, [], 0),
        (30, 101, Lifetime.FOK, [(10, 100), (20, 101)], 0),
        (5, 99, Lifetime.DAY, [], 5),
        (5, 99, Lifetime.IOC, [], 0),
    ],
)
def test_an_arriving_buy(quantity, limit, lifetime, matches, waiting):
    market = book()
    done = market.arrive(order(1, quantity, limit), lifetime)
    assert [(match.quantity, match.price) for match in done] == matches
    assert sum(entry.left for entry in market.waiting) == waiting


def test_a_sell_mirrors_a_buy():
    market = book()
    done = market.arrive(order(1, 25, 98, Side.SELL), Lifetime.DAY)
    assert [(match.quantity, match.price) for match in done] == [(10, 99), (15, 98)]


def test_what_one_took_is_gone_for_the_next_until_a_quote_shows_it_again():
    market = book()
    assert market.arrive(order(1, 8, 100), Lifetime.IOC) == [Match("1", 8, 100)]
    assert market.arrive(order(2, 8, 100), Lifetime.IOC) == [Match("2", 2, 100)]
    market.on_quote(BIDS, ASKS)
    assert market.arrive(order(3, 8, 100), Lifetime.IOC) == [Match("3", 8, 100)]


def test_the_queue_ahead_trades_first():
    market = book()
    market.arrive(order(1, 5, 99), Lifetime.DAY)  # 10 are displayed before it
    assert market.on_print(99, 8, buyer_initiated=False) == []
    assert market.on_print(99, 4, buyer_initiated=False) == [Match("1", 2, 99)]
    assert market.on_print(99, 9, buyer_initiated=False) == [Match("1", 3, 99)]


def test_a_buy_in_the_queue_is_not_met_by_other_buys():
    market = book()
    market.arrive(order(1, 5, 99), Lifetime.DAY)
    assert market.on_print(99, 50, buyer_initiated=True) == []


def test_a_trade_that_passes_an_order_fills_it_at_its_own_price():
    market = book()
    market.arrive(order(1, 5, 99), Lifetime.DAY)
    assert market.on_print(98, 3, buyer_initiated=False) == [Match("1", 3, 99)]


def test_a_quote_that_crosses_a_waiting_order_fills_it_at_its_own_price():
    market = book()
    market.arrive(order(1, 15, 99), Lifetime.DAY)
    done = market.on_quote((Level(96, 5),), (Level(97, 6), Level(98, 4)))
    assert [(match.quantity, match.price) for match in done] == [(6, 99), (4, 99)]


def test_a_queue_that_shrinks_in_the_quote_moves_the_order_forward():
    market = book()
    market.arrive(order(1, 5, 99), Lifetime.DAY)
    market.on_quote((Level(99, 2), *BIDS[1:]), ASKS)
    assert market.on_print(99, 3, buyer_initiated=False) == [Match("1", 1, 99)]


def test_an_auction_fills_market_orders_then_better_prices_then_older_ones():
    market = SymbolBook()
    for number, limit, is_market in ((1, 100, False), (2, 101, False), (3, 100, False)):
        market.wait(order(number, 10, limit, is_market=is_market))
    market.wait(order(4, 10, 130, is_market=True))
    market.wait(order(5, 10, 99))
    done = market.uncross(100, 34)
    assert [(match.number, match.quantity) for match in done] == [
        ("4", 10),
        ("2", 10),
        ("1", 10),
        ("3", 4),
    ]
    assert {match.price for match in done} == {100}


PRICES = st.integers(90, 110)
SIZES = st.integers(1, 30)


@st.composite
def ladders(draw) -> tuple[tuple[Level, ...], tuple[Level, ...]]:
    best = draw(st.integers(92, 108))
    bids = tuple(Level(best - i, draw(SIZES)) for i in range(draw(st.integers(0, 3))))
    asks = tuple(Level(best + 1 + i, draw(SIZES)) for i in range(draw(st.integers(0, 3))))
    return bids, asks


ORDERS = st.builds(
    lambda side, limit, quantity, lifetime: ("order", side, limit, quantity, lifetime),
    st.sampled_from(Side),
    PRICES,
    SIZES,
    st.sampled_from(Lifetime),
)
PRINTS = st.tuples(st.just("print"), PRICES, SIZES, st.sampled_from([True, False]))
EVENTS = st.lists(st.one_of(ORDERS, PRINTS, st.tuples(st.just("quote"), ladders())), max_size=40)


@given(EVENTS)
def test_no_order_is_overfilled_or_filled_worse_and_no_event_gives_more_than_it_has(events):
    market = SymbolBook()
    limits: dict[str, tuple[Side, int, int]] = {}
    filled: dict[str, int] = {}
    for number, event in enumerate(events):
        done, offered = _play(market, number, event, limits)
        assert sum(match.quantity for match in done) <= offered
        for match in done:
            side, limit, quantity = limits[match.number]
            assert match.quantity > 0
            assert match.price <= limit if side is Side.BUY else match.price >= limit
            filled[match.number] = filled.get(match.number, 0) + match.quantity
            assert filled[match.number] <= quantity
    for entry in market.waiting:
        assert entry.left == limits[entry.number][2] - filled.get(entry.number, 0) > 0


def _play(market, number, event, limits):
    match event:
        case ("order", side, limit, quantity, lifetime):
            limits[str(number)] = (side, limit, quantity)
            entry = Entry(str(number), side, limit, quantity)
            offered = _reachable(market, side, limit)
            done = market.arrive(entry, lifetime)
            total = sum(match.quantity for match in done)
            if lifetime is Lifetime.FOK:
                assert total in {0, quantity}
            if lifetime is not Lifetime.DAY:
                assert all(waiting.number != str(number) for waiting in market.waiting)
            return done, offered
        case ("print", price, size, buyer):
            return market.on_print(price, size, buyer_initiated=buyer), size
        case (_, (bids, asks)):
            both = sum(level.size for level in (*bids, *asks))
            return market.on_quote(bids, asks), both
    raise AssertionError(event)


def _reachable(market: SymbolBook, side: Side, limit: int) -> int:
    levels = market.asks if side is Side.BUY else market.bids
    return sum(
        level.size
        for level in levels
        if (level.price <= limit if side is Side.BUY else level.price >= limit)
    )


@given(st.lists(st.tuples(PRICES, SIZES), min_size=2, max_size=8), PRICES, SIZES)
def test_better_priced_orders_never_wait_while_worse_ones_trade(orders, price, size):
    market = SymbolBook()
    for number, (limit, quantity) in enumerate(orders):
        market.arrive(Entry(str(number), Side.BUY, limit, quantity), Lifetime.DAY)
    market.on_print(price, size, buyer_initiated=False)
    left = {entry.number: entry.left for entry in market.waiting}
    for number, (limit, quantity) in enumerate(orders):
        is_touched = left.get(str(number), 0) < quantity
        better = [n for n, (other, _) in enumerate(orders) if other > limit]
        if is_touched:
            assert all(str(n) not in left for n in better)


def test_two_orders_at_one_price_share_what_is_behind_the_queue():
    market = book()
    market.arrive(order(1, 5, 99), Lifetime.DAY)
    market.arrive(order(2, 5, 99), Lifetime.DAY)
    done = market.on_print(99, 17, buyer_initiated=False)  # 10 go to those who were there before
    assert [(match.number, match.quantity) for match in done] == [("1", 5), ("2", 2)]
