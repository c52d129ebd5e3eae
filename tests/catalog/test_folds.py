"""Orders, round trips, positions and causes, folded from entries."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import ClientOrderId, OrderSide, PositionSide

from catalog.folds import Books, fold, why
from catalog.frames import to_frames
from catalog.journal import Entry
from strategies.errors import BadInput
from strategies.markets.facts import RAW_ONE
from strategies.messages import ENDED, Limit, OrderState, OrderUpdate
from strategies.ports import Kind
from tests.catalog.sample_run import (
    BTC,
    BUY_ID,
    LIMIT_ID,
    NINE_KST,
    SAMSUNG,
    SELL_ID,
    entry,
    fill,
    sample_entries,
)


def test_orders_come_with_their_state() -> None:
    orders = fold(sample_entries()).orders
    assert {key: order.state for key, order in orders.items()} == {
        "OTaa01": "filled",
        "OTaa02": "filled",
        "OTbb03": "canceled",
    }
    buy = orders["OTaa01"]
    assert (buy.average_price, buy.fees, buy.reason) == (
        Decimal(70200),
        Decimal(126),
        "SMA 5 crossed above SMA 20",
    )
    assert orders["OTbb03"].average_price is None


@pytest.mark.parametrize(
    ("count", "state"),
    [(4, "granted"), (5, "sent"), (6, "accepted"), (7, "partly_filled"), (9, "filled")],
)
def test_a_state_follows_what_was_said(count: int, state: str) -> None:
    assert fold(sample_entries()[:count]).orders["OTaa01"].state == state


@pytest.mark.parametrize("state", OrderState)
def test_only_an_end_changes_a_partly_filled_order(state: OrderState) -> None:
    entries = sample_entries()[:7]
    update = OrderUpdate("sma-fast", BUY_ID, SAMSUNG, state, "why", NINE_KST)
    order = fold([*entries, entry(10, 0, NINE_KST, Kind.ORDER, "x", 0, 0, update)]).orders["OTaa01"]
    assert order.state == (str(state) if state in ENDED else "partly_filled")
    assert order.detail == "why"


def test_a_round_trip_knows_its_reasons() -> None:
    books = fold(sample_entries())
    (trade,) = books.trades
    assert (trade.strategy, trade.instrument_id, trade.side) == (
        "sma-fast",
        SAMSUNG,
        PositionSide.LONG,
    )
    assert (trade.quantity_raw, trade.entry_price, trade.exit_price) == (
        12 * RAW_ONE,
        Decimal(70200),
        Decimal(70400),
    )
    assert (trade.gross, trade.fees, trade.net, trade.currency) == (
        Decimal(2400),
        Decimal(1942),
        Decimal(458),
        "KRW",
    )
    assert (trade.entry_reason, trade.exit_reason) == (
        "SMA 5 crossed above SMA 20",
        "take profit at 0.2 %",
    )
    assert (trade.entry_order, trade.exit_order) == ("OTaa01", "OTaa02")
    assert books.open_trades == {}
    assert books.profits()["sma-fast", "KRW"].net == Decimal(458)


def test_refusals_are_counted_by_limit() -> None:
    assert fold(sample_entries()).refusals == {Limit.CASH: 1}


def fills_of(*signed: tuple[int, int, int]) -> list[Entry]:
    """Fill entries from (signed quantity, price, fee)."""
    return [
        entry(
            seq,
            0,
            seq,
            Kind.FILL,
            "sma-fast",
            0,
            0,
            fill(
                ClientOrderId(f"OT{seq}"),
                OrderSide.BUY if size > 0 else OrderSide.SELL,
                str(abs(size)),
                str(at),
                str(fee),
                seq,
            ),
        )
        for seq, (size, at, fee) in enumerate(signed, 1)
    ]


def test_a_turned_position_ends_one_trade_and_begins_the_next() -> None:
    books = fold(fills_of((10, 100, 10), (-25, 110, 50), (15, 100, 15)))
    first, second = books.trades
    assert (first.side, first.gross, first.fees) == (PositionSide.LONG, Decimal(100), Decimal(30))
    assert (second.side, second.gross, second.fees) == (
        PositionSide.SHORT,
        Decimal(150),
        Decimal(45),
    )
    assert (second.entry_ns, second.exit_ns, second.entry_order) == (2, 3, "OT2")


def test_partial_exits_are_one_trade() -> None:
    books = fold(fills_of((10, 100, 0), (-4, 110, 0), (2, 120, 0), (-8, 130, 0)))
    (trade,) = books.trades
    assert trade.quantity_raw == 12 * RAW_ONE
    assert trade.entry_price == Decimal(1240) / 12
    assert trade.exit_price == Decimal(1480) / 12


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-9, 9).filter(bool), st.integers(1, 10**6), st.integers(0, 5) | st.just(7)
        ),
        max_size=25,
    )
)
def test_trades_and_positions_sum_to_the_money_moved(moves: list[tuple[int, int, int]]) -> None:
    closing = -sum(size for size, _, _ in moves)
    flat = [*moves, (closing, 500, 3)] if closing else moves
    books = fold(fills_of(*flat))
    moved = sum(-size * at - fee for size, at, fee in flat)
    assert abs(sum((t.net for t in books.trades), Decimal(0)) - moved) < Decimal("1e-9")
    assert books.open_trades == {}
    assert all(position.net_raw == 0 for position in books.positions.values())


def kinds_of(entries: list[Entry]) -> list[Kind]:
    return [one.kind for one in entries]


def test_why_goes_from_the_market_event_to_the_last_fill() -> None:
    chain = why(sample_entries(), BUY_ID.value)
    assert kinds_of(chain) == [
        Kind.MARKET,
        Kind.INTENT,
        Kind.GRANT,
        Kind.COMMAND,
        Kind.ORDER,
        Kind.FILL,
        Kind.POSITION,
        Kind.FILL,
        Kind.POSITION,
    ]
    assert chain == sample_entries()[1:10]


def test_why_holds_the_refusal_before_and_the_cancellation_after() -> None:
    chain = why(sample_entries(), LIMIT_ID.value)
    assert chain == [one for one in sample_entries() if one.seq >= 30]


def test_why_stops_at_the_fill_a_strategy_answered() -> None:
    entries = sample_entries()
    answer = next(i for i, one in enumerate(entries) if one.seq == 20)
    last_fill = entries[8]
    entries[answer + 1] = entries[answer + 1]._replace(cause_id=last_fill.id)
    chain = why(entries, SELL_ID.value)
    assert chain[0] == last_fill
    assert kinds_of(chain)[1:] == [
        Kind.INTENT,
        Kind.GRANT,
        Kind.COMMAND,
        Kind.FILL,
        Kind.POSITION,
    ]


def test_why_of_nothing_is_nothing() -> None:
    assert why(sample_entries(), "OTzz") == []


@pytest.mark.parametrize(
    ("name", "order_id"),
    [("#1", "OTaa01"), ("#3", "OTbb03"), ("OTaa02", "OTaa02"), ("OTb", "OTbb03")],
)
def test_orders_are_found(name: str, order_id: str) -> None:
    assert fold(sample_entries()).find_order(name).order_id == order_id


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("OTaa", "2 orders begin with 'OTaa'"),
        ("x", "no order is called 'x' in this run of 3 orders"),
        ("#0", "there is no order #0; this run has 3 orders"),
        ("#4", "there is no order #4"),
        ("#-1", "there is no order #-1"),
        ("#", "there is no order #;"),
    ],
)
def test_unclear_orders_are_refused(name: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        fold(sample_entries()).find_order(name)


def test_frames_hold_every_row() -> None:
    frames = to_frames(sample_entries())
    assert [len(frame) for frame in frames] == [9, 3, 3, 1]
    assert list(frames.trades["net"]) == [Decimal(458)]
    assert frames.fills["time"][0].value == NINE_KST + 192_520_000_000
    assert frames.orders["instrument"].tolist() == [str(SAMSUNG), str(SAMSUNG), str(BTC)]
    assert frames.orders["filled"].tolist() == [Decimal(12), Decimal(12), Decimal("0.000")]


def test_frames_of_nothing_have_their_columns() -> None:
    frames = to_frames([])
    assert [len(frame) for frame in frames] == [0, 0, 0, 0]
    assert str(frames.trades["entered"].dtype) == "datetime64[ns, UTC]"
    assert fold([]) == Books()
