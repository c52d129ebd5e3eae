"""Gaps in a symbol's trades, counted by the day's running volume."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kis.gap_repair import SEEN_KEPT, Continuity, Gap
from adapters.kis.replies import PastTrade

SECOND = 1_000_000_000
OPEN = 1_773_014_400 * SECOND
DAY = "20260309"


def at(second):
    return OPEN + second * SECOND


def stream(*rows):
    """Rows are (second after the open, quantity, volume of the day)."""
    symbol = Continuity()
    symbol.resumed(at(-60))
    told = [symbol.trade(DAY, volume, quantity, at(second)) for second, quantity, volume in rows]
    return symbol, told


def past(*rows):
    """Rows are (second within 09:00, quantity, volume of the day)."""
    return [
        PastTrade(f"0900{second:02d}", 100, quantity, volume) for second, quantity, volume in rows
    ]


def test_trades_that_follow_each_other_leave_no_gap():
    symbol, told = stream((1, 5, 5), (2, 3, 8), (2, 2, 10))
    assert told == [True, True, True]
    assert symbol.holes == []


def test_the_first_trade_seen_is_none_however_much_was_traded_before():
    _, told = stream((1, 5, 1_000))
    assert told == [True]


def test_a_jump_of_the_volume_is_a_gap_between_its_neighbours():
    symbol, told = stream((1, 5, 5), (4, 2, 17))
    assert told[1] == Gap(1, at(1), at(4), 5, 15)
    settled = symbol.settle(told[1], past((1, 5, 5), (2, 4, 9), (3, 6, 15), (4, 2, 17)))
    assert [one.day_volume for one in settled.found] == [9, 15]
    assert settled.missing == 0
    assert symbol.holes == []


@pytest.mark.parametrize(
    ("trades", "found", "missing"),
    [
        (None, [], 10),
        ([], [], 10),
        (past((3, 6, 15), (4, 2, 17)), [15], 4),
        (past((2, 4, 9)), [9], 6),
        (past((4, 2, 17)), [], 10),
    ],
)
def test_what_a_query_does_not_give_stays_missing(trades, found, missing):
    symbol, told = stream((1, 5, 5), (4, 2, 17))
    settled = symbol.settle(told[1], trades)
    assert [one.day_volume for one in settled.found] == found
    assert settled.missing == missing
    assert [(hole.from_ns, hole.to_ns) for hole in symbol.holes] == [(at(1), at(4))]


@pytest.mark.parametrize("volume", [8, 5])
def test_a_trade_delivered_before_is_known_by_its_volume(volume):
    symbol, _ = stream((1, 5, 5), (2, 3, 8))
    assert symbol.trade(DAY, volume, 1, at(3)) is False
    assert symbol.trade(DAY, 9, 1, at(3)) is True


def test_a_venue_that_counts_anew_is_followed_from_its_second_trade():
    symbol, _ = stream((1, 50, 5_000), (2, 50, 5_050))
    assert symbol.trade(DAY, 7, 7, at(3)) is True
    assert symbol.trade(DAY, 9, 2, at(4)) is True
    assert symbol.trade(DAY, 12, 3, at(5)) is True
    assert isinstance(symbol.trade(DAY, 20, 3, at(6)), Gap)


def test_a_single_trade_out_of_place_does_not_move_the_count():
    symbol, _ = stream((1, 5, 5), (2, 3, 8))
    assert symbol.trade(DAY, 4, 1, at(3)) is True
    assert symbol.trade(DAY, 10, 2, at(4)) is True
    assert symbol.holes == []


def test_doubles_are_known_among_the_newest_trades_only():
    symbol, _ = stream(*((1, 1, volume) for volume in range(1, SEEN_KEPT + 2)))
    assert symbol.trade(DAY, 2, 1, at(3)) is False
    assert symbol.trade(DAY, 1, 1, at(3)) is True


def test_trades_in_another_order_fill_the_gap_they_left_and_are_not_doubled():
    symbol, told = stream((1, 5, 5), (3, 2, 14))
    gap = told[1]
    assert symbol.trade(DAY, 9, 4, at(2)) is True
    assert symbol.trade(DAY, 9, 4, at(2)) is False
    assert [one.missing for one in symbol.gaps] == [3]
    settled = symbol.settle(gap, past((2, 4, 9), (2, 3, 12), (3, 2, 14)))
    assert ([one.day_volume for one in settled.found], settled.missing) == ([12], 0)
    assert symbol.trade(DAY, 12, 3, at(2)) is False
    symbol, told = stream((1, 5, 5), (3, 2, 9))
    assert symbol.trade(DAY, 7, 2, at(2)) is True
    assert symbol.holes == []
    assert symbol.settle(told[1], past()) is None
    assert symbol.trade(DAY, 10, 1, at(4)) is True


def test_what_came_late_is_not_missing_where_the_query_fails():
    symbol, told = stream((1, 5, 5), (3, 2, 14))
    symbol.trade(DAY, 9, 4, at(2))
    assert symbol.settle(told[1], None).missing == 3


def test_a_new_day_begins_the_count_anew():
    symbol, _ = stream((1, 5, 5))
    assert symbol.trade("20260310", 3, 2, at(86_400)) is True
    assert symbol.trade("20260310", 4, 1, at(86_401)) is True


def test_a_lost_connection_is_bounded_by_the_first_trade_after_it():
    symbol, _ = stream((1, 5, 5))
    symbol.lost(at(3))
    assert [(hole.from_ns, hole.to_ns) for hole in symbol.holes] == [(at(3), None)]
    (gap,) = symbol.resumed(at(20))
    assert symbol.trade(DAY, 12, 2, at(21)) is True
    settled = symbol.settle(gap, past((1, 5, 5), (4, 1, 6), (19, 4, 10), (21, 2, 12)))
    assert ([one.day_volume for one in settled.found], settled.missing) == ([6, 10], 0)
    assert symbol.trade(DAY, 13, 1, at(22)) is True
    assert symbol.holes == []


def test_without_a_trade_after_it_the_query_bounds_it_and_its_trades_do_not_come_twice():
    symbol, _ = stream((1, 5, 5))
    symbol.lost(at(3))
    (gap,) = symbol.resumed(at(20))
    settled = symbol.settle(gap, past((1, 5, 5), (19, 4, 9)))
    assert ([one.day_volume for one in settled.found], settled.missing) == ([9], 0)
    assert symbol.trade(DAY, 9, 4, at(19)) is False
    assert symbol.trade(DAY, 10, 1, at(21)) is True


def test_a_quiet_connection_lost_misses_nothing():
    symbol, _ = stream((1, 5, 5))
    symbol.lost(at(3))
    (gap,) = symbol.resumed(at(20))
    settled = symbol.settle(gap, past((1, 5, 5)))
    assert (settled.found, settled.missing) == ((), 0)


@pytest.mark.parametrize(
    ("trades", "found", "missing"),
    [
        (past((1, 5, 5), (9, 2, 7)), [7], 0),  # the second before tells where the count stood
        (past((9, 2, 2)), [2], 0),  # the day's first trade
        (past((9, 2, 107)), [], None),  # nobody knows what was traded before it
        ([], [], 0),  # nothing was traded today
        (None, [], None),
    ],
)
def test_before_a_symbols_first_trade_the_query_tells_where_the_count_stood(trades, found, missing):
    symbol = Continuity()
    symbol.resumed(at(-60))
    symbol.lost(at(3))
    (gap,) = symbol.resumed(at(10))
    settled = symbol.settle(gap, trades)
    assert [one.day_volume for one in settled.found] == found
    assert settled.missing == missing


@pytest.mark.parametrize("trades", [[], past((1, 3, 3))])
def test_an_answer_that_lacks_what_was_streamed_proves_nothing_of_what_came_after(trades):
    symbol, _ = stream((1, 3, 3), (2, 5, 8))
    symbol.lost(at(3))
    (gap,) = symbol.resumed(at(10))
    assert symbol.settle(gap, trades).missing is None
    assert [(hole.from_ns, hole.to_ns) for hole in symbol.holes] == [(at(3), at(10))]


def test_a_connection_lost_again_is_one_gap_and_an_old_answer_is_not_taken():
    symbol, _ = stream((1, 5, 5))
    symbol.lost(at(3))
    (first,) = symbol.resumed(at(10))
    symbol.lost(at(11))
    assert symbol.settle(first, past((1, 5, 5))) is None
    (gap,) = symbol.resumed(at(20))
    assert (gap.number, gap.from_ns, gap.to_ns) == (first.number, at(3), at(20))
    assert symbol.settle(first, past((1, 5, 5))) is None
    assert symbol.trade(DAY, 9, 1, at(22)) is True
    assert symbol.settle(gap, past((1, 5, 5), (15, 3, 8), (22, 1, 9))).missing == 0
    assert symbol.settle(gap, past()) is None


@given(
    st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=2, max_size=30),
    st.integers(0, 29),
)
def test_every_share_is_streamed_repaired_or_missing(rows, reach):
    """Trades are streamed or lost one by one; the query shows the newest ``reach`` of them."""
    volume, tape, symbol = 0, [], Continuity()
    symbol.resumed(at(-60))
    streamed, repaired, missing = 0, 0, 0
    first = None
    for second, (quantity, is_streamed) in enumerate(rows):
        volume += quantity
        tape.append(PastTrade(f"0900{second:02d}", 100, quantity, volume))
        if not is_streamed:
            continue
        first = volume - quantity if first is None else first
        streamed += quantity
        told = symbol.trade(DAY, volume, quantity, at(second))
        if isinstance(told, Gap):
            settled = symbol.settle(told, tape[len(tape) - min(reach, len(tape)) :])
            repaired += sum(one.quantity for one in settled.found)
            missing += settled.missing
    last = max((one.day_volume for one, row in zip(tape, rows, strict=True) if row[1]), default=0)
    assert streamed + repaired + missing == last - (first or 0)
