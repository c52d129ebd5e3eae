"""The played market: phases, auctions, interruptions, order checks and what clients are told."""

import pytest
from kis_market import (
    BASE,
    CASH,
    CODE,
    SESSION,
    WHO,
    account_of,
    amend,
    at,
    buy,
    cancel,
    exchange_of,
    quote,
    sell,
    trade,
)

from scenarios.venues.kis.order_desk import Refused
from scenarios.venues.kis.personality import BOOK, EXPECTED, INDEX, STATUS, TRADE, Environment
from scenarios.venues.kis.phases import Phase, TradingDay

MORNING = [quote(1), trade(2, 10_000, 5)]
EVERYTHING = {(tr, CODE) for tr in (TRADE, BOOK, STATUS, EXPECTED)} | {("H0STCNI0", WHO.hts_id)}


def heard(exchange, tr_id):
    return [each.record for each in exchange.drain() if each.tr_id == tr_id]


def notices(exchange):
    """Return (RCTF, quantity, price, refused, is fill, accepted) of each notice."""
    return [
        (each[5], int(each[9]), int(each[10]), each[12], each[13] == "2", each[14])
        for each in heard(exchange, "H0STCNI0")
    ]


@pytest.mark.parametrize(
    ("seconds", "phase"),
    [
        (-1_801, Phase.CLOSED),
        (-1_800, Phase.OPENING_AUCTION),
        (-0.1, Phase.OPENING_AUCTION),
        (0, Phase.CONTINUOUS),
        (22_799, Phase.CONTINUOUS),
        (22_800, Phase.CLOSING_AUCTION),
        (23_400, Phase.CLOSING_AUCTION),
        (23_401, Phase.CLOSE_PRICE),
        (25_200, Phase.AFTER_MARKET),
        (39_600, Phase.CLOSED),
    ],
)
def test_phases_of_a_day(seconds, phase):
    assert TradingDay(SESSION).phase_at(at(seconds)) is phase
    assert exchange_of(now=seconds).phase is phase


@pytest.mark.parametrize(
    ("ticket", "code"),
    [
        (buy(1, 10_000, code="000000"), "APBK0656"),
        (buy(1, 10_000, kind="99"), "OPSQ2001"),
        (buy(0, 10_000), "APBK0505"),
        (buy(1, 10_005), "APBK0506"),
        (buy(1, 9_995), "APBK0506"),
        (buy(1, 13_010), "APBK0507"),
        (buy(1, 6_990), "APBK0507"),
        (sell(1, 10_000), "APBK0400"),
        (buy(10_000, 10_000), "APBK0952"),
        (buy(7_693, kind="01"), "APBK0952"),
        (buy(1, 10_000, kind="41"), "APBK0919"),
        (buy(1, 10_000, kind="22", condition=10_005), "APBK0506"),
    ],
)
def test_orders_that_are_refused_leave_the_books_alone(ticket, code):
    exchange = exchange_of(*MORNING, now=3)
    refused = exchange.submit(ticket)
    assert isinstance(refused, Refused)
    assert refused.code == code
    assert account_of(exchange).orders == []
    assert account_of(exchange).orderable_won == CASH


def test_a_market_buy_reserves_the_upper_limit_and_pays_the_price():
    exchange = exchange_of(quote(1, ask_size=40), now=3)
    order = exchange.submit(buy(60, kind="01"))
    account = account_of(exchange)
    # 100 shown at the ask, the rest from the next levels; all of it at real prices.
    assert order.filled == 60
    assert account.reserved_won == 0
    cost = sum(fill.cost_won for fill in account.fills)
    assert account.cash_won == CASH - order.filled_won - cost
    assert account.fills[0].price == 10_000
    waiting = exchange_of(now=-60)
    waiting.submit(buy(10, kind="01"))
    assert account_of(waiting).reserved_won == 13_000 * 10 + 19


def test_a_partial_fill_waits_with_the_rest_and_is_told_as_it_happens():
    exchange = exchange_of(quote(1), trade(5, 9_990, 130, buyer_initiated=False), now=3)
    exchange.wanted = EVERYTHING
    order = exchange.submit(buy(50, 9_990))
    assert notices(exchange) == [("0", 50, 9_990, "0", False, "1")]
    exchange.advance(at(6))
    assert order.filled == 30
    assert notices(exchange) == [("0", 30, 9_990, "0", True, "2")]
    assert account_of(exchange).positions[CODE].quantity == 30


@pytest.mark.parametrize(("kind", "filled"), [("11", 100), ("12", 0), ("15", 100), ("16", 0)])
def test_what_an_ioc_or_fok_order_cannot_get_is_cancelled_at_once(kind, filled):
    exchange = exchange_of(*MORNING, now=3)
    exchange.wanted = EVERYTHING
    order = exchange.submit(buy(130, 10_000, kind=kind))
    assert (order.filled, order.cancelled, order.open_quantity) == (filled, 130 - filled, 0)
    assert notices(exchange)[-1][5] == "3"
    assert account_of(exchange).reserved_won == 0


def test_cancelling_frees_the_cash_and_has_a_number_of_its_own():
    exchange = exchange_of(*MORNING, now=3)
    exchange.wanted = EVERYTHING
    order = exchange.submit(buy(10, 9_990))
    cancelled = exchange.change(cancel(order, 4))
    assert cancelled.original == order.number != cancelled.number
    assert order.open_quantity == 6
    exchange.change(cancel(order))
    assert account_of(exchange).orderable_won == CASH
    assert [each[0] for each in notices(exchange)] == ["0", "2", "2", "2", "2"]
    assert exchange.change(cancel(order)).code == "APBK0344"


def test_amending_moves_the_rest_to_a_new_number_and_chains():
    exchange = exchange_of(*MORNING, now=3)
    first = exchange.submit(buy(10, 9_950))
    second = exchange.change(amend(first, 9_960))
    assert (first.moved, first.open_quantity, second.open_quantity) == (10, 0, 10)
    assert exchange.change(amend(first, 9_970)).code == "APBK0344"
    assert exchange.change(amend(second, 9_970, quantity=11)).code == "APBK0345"
    third = exchange.change(amend(second, 10_000))
    assert third.filled == 10
    assert account_of(exchange).reserved_won == 0


def test_an_amendment_keeps_its_place_only_at_the_same_price():
    events = [
        quote(1),
        trade(4, 9_990, 50, buyer_initiated=False),
        trade(6, 9_990, 60, buyer_initiated=False),
    ]
    for price_between, filled in ((9_990, 10), (9_980, 0)):
        exchange = exchange_of(*events, now=3)
        order = exchange.submit(buy(20, 9_990))
        exchange.advance(at(5))
        again = exchange.change(amend(order, price_between))
        again = exchange.change(amend(again, 9_990))
        exchange.advance(at(7))
        assert again.filled == filled


def test_more_than_held_cannot_be_sold_even_in_parts():
    exchange = exchange_of(*MORNING, now=3)
    exchange.submit(buy(10, 10_000))
    assert exchange.submit(sell(6, 10_100)).open_quantity == 6
    assert exchange.submit(sell(5, 10_100)).code == "APBK0400"
    assert exchange.submit(sell(4, 10_100)).open_quantity == 4


def test_a_stop_order_waits_for_its_trigger():
    exchange = exchange_of(
        quote(1), trade(4, 10_000, 1), quote(5, 10_050, 10_100), trade(6, 10_100, 1), now=3
    )
    order = exchange.submit(buy(5, 10_100, kind="22", condition=10_050))
    exchange.advance(at(5))
    assert order.filled == 0
    exchange.advance(at(6))
    assert (order.filled, order.filled_won) == (5, 5 * 10_100)


def test_an_auction_order_trades_at_the_closing_print_and_others_end_with_the_day():
    exchange = exchange_of(quote(1), trade(23_400, 9_980, 30, None), now=22_900)
    best = exchange.submit(buy(20, kind="01"))
    second = exchange.submit(buy(20, 9_990))
    low = exchange.submit(buy(20, 9_900))
    assert exchange.submit(buy(1, 9_990, kind="11")).code == "APBK0919"
    exchange.advance(at(23_400))
    assert [order.filled for order in (best, second, low)] == [20, 10, 0]
    assert {fill.price for fill in account_of(exchange).fills} == {9_980}
    exchange.advance(at(23_401))
    assert [order.open_quantity for order in (best, second, low)] == [0, 0, 0]
    assert account_of(exchange).reserved_won == 0


def test_a_conditional_order_becomes_a_market_order_in_the_closing_auction():
    exchange = exchange_of(quote(1), trade(23_400, 10_050, 30, None), now=3)
    order = exchange.submit(buy(5, 9_000, kind="02"))
    exchange.advance(at(23_400))
    assert (order.filled, order.filled_won) == (5, 5 * 10_050)


@pytest.mark.parametrize(
    ("opening", "fills"),
    [
        ([], [(10, 10_000)]),  # no print within a second: the book it is
        ([trade(0.001, 9_980, 50, None)], [(10, 9_980)]),
        ([trade(0.001, 9_980, 4, None)], [(4, 9_980), (6, 10_000)]),
        ([trade(0.5, 10_000, 9)], [(9, 10_000), (1, 10_000)]),
        ([trade(0.5, 10_000, 9), trade(1.5, 10_000, 3)], [(9, 10_000), (1, 10_000)]),
    ],
)
def test_an_opening_order_trades_in_the_auctions_print_or_then_with_the_book(opening, fills):
    exchange = exchange_of(quote(0), *opening, now=-600)
    order = exchange.submit(buy(10, 10_050))
    exchange.advance(at(0))
    assert order.filled == 0
    if opening:  # the print ends the wait: what it left meets the book at once
        exchange.advance(opening[0].ts_ns)
        assert order.filled == 10
    exchange.advance(at(2))
    done = [(fill.quantity, fill.price) for fill in account_of(exchange).fills]
    assert done == fills


def test_a_vi_holds_trades_back_and_ends_in_one_print():
    exchange = exchange_of(*MORNING, trade(20, 10_100, 4), trade(30, 10_200, 6), quote(40), now=10)
    exchange.wanted = EVERYTHING
    exchange.start_vi(CODE, 120)
    assert exchange.submit(buy(1, 10_000, kind="03")).code == "APBK0919"
    order = exchange.submit(buy(8, 10_200))
    exchange.advance(at(129))
    told = exchange.drain()
    assert [each.record[8] for each in told if each.tr_id == STATUS] == ["Y"]
    assert [each.record[2] for each in told if each.tr_id == BOOK] == ["C"]
    assert not [each for each in told if each.tr_id == TRADE]
    assert [each.record[47:49] for each in told if each.tr_id == BOOK] == [("10200", "10")]
    exchange.advance(at(130))
    (printed,) = heard(exchange, TRADE)
    assert (printed[2], printed[12], printed[21], printed[45]) == ("10200", "10", "3", "10200")
    assert order.filled == 8


def test_a_vi_starts_by_itself_at_ten_percent_if_set_so():
    events = [quote(1), trade(2, 10_000, 1), trade(3, 11_000, 1)]
    assert exchange_of(*events, now=4).symbols[CODE].in_vi is False
    assert exchange_of(*events, now=4, automatic_vi=True).symbols[CODE].in_vi is True


def test_a_halted_stock_takes_no_orders_but_cancellations():
    exchange = exchange_of(*MORNING, trade(5, 10_000, 1), now=3)
    order = exchange.submit(buy(1, 9_900))
    exchange.halt(CODE)
    assert exchange.submit(buy(1, 9_900)).code == "APBK0918"
    exchange.advance(at(6))
    assert exchange.symbols[CODE].day.volume == 5
    assert exchange.change(cancel(order)).is_cancel
    exchange.resume(CODE)
    assert exchange.submit(buy(1, 9_900)).open_quantity == 1


def test_a_circuit_breaker_stops_everything_then_holds_an_auction():
    exchange = exchange_of(*MORNING, trade(50, 9_000, 7), now=10)
    exchange.wanted = {(STATUS, CODE), (TRADE, CODE)}
    exchange.break_circuit(100)
    assert exchange.submit(buy(1, 10_000)).code == "APBK0918"
    exchange.advance(at(111))
    order = exchange.submit(buy(2, 10_000))
    exchange.advance(at(161))
    told = exchange.drain()
    assert [each.record[3] for each in told if each.tr_id == STATUS] == ["174", "184", "175"]
    assert [each.record[2] for each in told if each.tr_id == TRADE] == ["9000"]
    assert (order.filled, order.filled_won) == (2, 18_000)


def test_only_what_is_wanted_is_made_and_values_are_those_of_the_moment():
    exchange = exchange_of(quote(1), trade(2, 10_000, 5), trade(3, 10_010, 6), now=0)
    exchange.wanted = {(TRADE, CODE), (INDEX, "0001")}
    exchange.advance(at(4))
    told = exchange.drain()
    assert [each.record[13] for each in told if each.tr_id == TRADE] == ["5", "11"]
    assert [each.key for each in told if each.tr_id == INDEX] == ["0001"]
    assert exchange.drain() == []
    assert not [each for each in told if each.tr_id == BOOK]


@pytest.mark.parametrize(
    ("seconds", "operation", "market_class"),
    [(5, "20", "2"), (23_100, "21", "2"), (26_000, "30", "3")],
)
def test_a_trade_tells_the_phase_it_was_made_in(seconds, operation, market_class):
    exchange = exchange_of(trade(seconds, 10_000, 5, None), now=0)
    exchange.wanted = {(TRADE, CODE)}
    exchange.advance(at(26_100))
    (told,) = [each.record for each in exchange.drain() if each.tr_id == TRADE]
    assert (told[34], told[46]) == (operation, market_class)


def test_before_the_open_expected_prices_are_told():
    exchange = exchange_of(now=-1_900)
    exchange.wanted = EVERYTHING
    exchange.advance(at(-1_785))
    told = exchange.drain()
    assert [each.record[3] for each in told if each.tr_id == STATUS] == ["110"]
    assert {each.record[2] for each in told if each.tr_id == BOOK} == {"B"}
    assert {each.record[2] for each in told if each.tr_id == EXPECTED} == {str(BASE)}
    assert {each.record[34] for each in told if each.tr_id == EXPECTED} == {"10"}


def test_an_exchange_that_refuses_afterwards_says_so_and_frees_the_cash():
    exchange = exchange_of(*MORNING, now=3)
    exchange.wanted = EVERYTHING
    order = exchange.submit(buy(10, 10_000), reject=True)
    assert notices(exchange) == [("0", 10, 10_000, "1", False, "1")]
    assert (order.rejected, order.open_quantity) == (10, 0)
    assert account_of(exchange).orderable_won == CASH


def test_mock_and_real_say_differently_that_they_are_closed():
    assert exchange_of(now=-4_000).submit(buy(1, 10_000)).code == "APBK0919"
    closed = exchange_of(now=-4_000, environment=Environment.MOCK)
    assert closed.submit(buy(1, 10_000)).code == "40100000"


def test_an_order_without_a_price_reserves_at_the_upper_limit_whatever_it_may_cost():
    exchange = exchange_of(*MORNING, now=3)
    assert exchange.submit(buy(7_693, kind="03")).code == "APBK0952"
    assert exchange.submit(buy(7_000, kind="03")).filled == 100
    assert account_of(exchange).reserved_won == 6_900 * 13_000 + 6_900 * 13_000 * 15 // 100_000


def test_a_fills_notice_does_not_tell_the_order_type():
    exchange = exchange_of(*MORNING, now=3)
    exchange.wanted = EVERYTHING
    exchange.submit(buy(1, kind="01"))
    assert [record[6] for record in heard(exchange, "H0STCNI0")] == ["01", "00"]


def test_a_second_day_starts_from_the_first_ones_close():
    symbol = exchange_of(*MORNING, trade(3, 10_050, 7), now=4).symbols[CODE]
    symbol.end_day("20260309")
    assert (symbol.base, symbol.previous_volume, symbol.price) == (10_050, 12, 10_050)
    (bar,) = symbol.days_until("20260310")
    assert (bar.day, bar.open, bar.high, bar.close, bar.base) == (
        *("20260309", 10_000, 10_050, 10_050),
        10_000,
    )
    assert symbol.limits == (7_040, 13_060)
