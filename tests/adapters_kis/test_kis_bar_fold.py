"""Bars folded from trades: boundaries by hand, every order of arrival, and a generated day."""

from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.kis.bar_fold import (
    BarFold,
    Candle,
    Days,
    Hole,
    Steps,
    Traded,
    candle_of,
)
from catalog.generate.market import generate_krx
from catalog.read import stream_tables
from catalog.resample import bars_from_trades
from catalog.store import Store
from strategies.markets import krx
from strategies.markets.sessions import Session
from strategies.ports import StreamKind

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
OPEN = 1_773_014_400 * SECOND
SESSION = Session(OPEN, OPEN + 23_400 * SECOND)


def at(second):
    return OPEN + second * SECOND


def traded(*rows):
    """Rows are (second after the open, price, quantity)."""
    volume, found = 0, []
    for second, price, quantity in rows:
        volume += quantity
        found.append(Traded(at(second), price, quantity, volume))
    return found


def fold_of(*rows, spans=None, since=-36_000):
    fold = BarFold(spans or Steps(MINUTE))
    fold.begin(at(since))
    for trade in traded(*rows):
        assert fold.add(trade)
    return fold


def seen(slots):
    return [
        (
            (slot.end_ns - OPEN) // SECOND,
            slot.candle
            and (
                slot.candle.open,
                slot.candle.high,
                slot.candle.low,
                slot.candle.close,
                slot.candle.volume,
            ),
            slot.is_whole,
        )
        for slot in slots
    ]


def test_a_trade_on_a_boundary_opens_the_next_bar_and_quiet_minutes_have_none():
    fold = fold_of((0, 10, 1), (59, 12, 2), (60, 9, 3), (185, 11, 4))
    assert seen(fold.close(at(240))) == [
        (60, (10, 12, 10, 12, 3), True),
        (120, (9, 9, 9, 9, 3), True),
        (240, (11, 11, 11, 11, 4), True),
    ]
    assert fold.close(at(240)) == []


def test_a_bar_leaves_when_it_is_over_and_no_sooner():
    fold = fold_of((0, 10, 1), (61, 12, 2))
    assert fold.due_ns == at(60)
    assert fold.close(at(60) - 1) == []
    assert [end for end, _, _ in seen(fold.close(at(119)))] == [60]
    assert fold.due_ns == at(120)


def test_a_trade_after_its_bar_is_refused_and_the_bar_stands():
    fold = fold_of((0, 10, 1))
    assert len(fold.close(at(60))) == 1
    assert not fold.add(Traded(at(59), 11, 5, 6))
    quiet = fold_of((120, 10, 1))
    assert quiet.close(at(60)) == []
    assert not quiet.add(Traded(at(30), 10, 1, 2))  # its bar was closed without a trade
    assert quiet.add(Traded(at(60), 10, 1, 3))


def test_the_bar_the_observation_begins_in_is_a_part():
    fold = fold_of((40, 10, 1), (70, 11, 1), since=30)
    assert seen(fold.close(at(120))) == [
        (60, (10, 10, 10, 10, 1), False),
        (120, (11, 11, 11, 11, 1), True),
    ]
    quiet = fold_of((70, 11, 1), since=30)
    assert seen(quiet.close(at(120)))[0] == (60, None, False)
    exact = fold_of((60, 11, 1), since=60)
    assert seen(exact.close(at(120))) == [(120, (11, 11, 11, 11, 1), True)]


def test_nothing_is_closed_before_trades_are_seen():
    fold = BarFold(Steps(MINUTE))
    assert fold.close(at(600), [Hole(at(0), None)]) == []


@pytest.mark.parametrize(
    ("hole", "torn"),
    [
        (Hole(at(61), at(62)), [120]),
        (Hole(at(59), at(60)), [60, 120]),
        (Hole(at(60), at(60)), [120]),
        (Hole(at(119), None), [120, 180, 240]),
        (Hole(at(-50), at(5)), [0, 60]),
        (Hole(at(240), None), []),
        (Hole(at(500), at(600)), []),
    ],
)
def test_bars_over_a_hole_are_not_whole_traded_or_not(hole, torn):
    fold = fold_of((1, 10, 1), (70, 11, 1), (200, 12, 1), since=-60)
    slots = fold.close(at(240), [hole])
    assert [end for end, _, is_whole in seen(slots) if not is_whole] == torn
    assert {60, 120, 240} <= {end for end, _, _ in seen(slots)}


def test_repaired_trades_fall_into_their_place():
    fold = fold_of((1, 10, 1))
    fold.add(Traded(at(30), 15, 2, 9))
    for late in (Traded(at(20), 7, 3, 7), Traded(at(10), 12, 3, 4)):
        assert fold.add(late)
    assert seen(fold.close(at(60))) == [(60, (10, 15, 7, 15, 9), True)]


def test_a_day_runs_from_the_opening_print_to_the_closing_auctions():
    days = Days([SESSION])
    close = 23_400
    rows = [(-1_800, 1, 50), (0, 10, 1), (5, 9, 1), (close + 30, 11, 100), (close + 600, 99, 7)]
    fold = fold_of(*rows, spans=days, since=-3_600)
    assert fold.close(at(close + 30)) == []
    assert seen(fold.close(at(close + 31))) == [(close, (10, 11, 9, 11, 102), True)]
    assert days.number(at(close + 31)) is None
    assert days.number(at(-1)) is None
    late = fold_of((5, 9, 1), spans=days, since=3)
    assert seen(late.close(at(close + 31))) == [(close, (9, 9, 9, 9, 1), False)]


def test_two_days_are_two_bars_and_a_hole_overnight_tears_none():
    second = Session(SESSION.open_ns + 86_400 * SECOND, SESSION.close_ns + 86_400 * SECOND)
    fold = fold_of((1, 10, 1), (86_401, 20, 2), spans=Days([SESSION, second]), since=-9)
    overnight = Hole(at(24_000), at(86_000))
    slots = fold.close(second.close_ns + MINUTE, [overnight])
    assert [is_whole for _, _, is_whole in seen(slots)] == [True, True]
    fold = fold_of((1, 10, 1), (86_401, 20, 2), spans=Days([SESSION, second]), since=-9)
    slots = fold.close(second.close_ns + MINUTE, [Hole(at(23_000), at(86_500))])
    assert [is_whole for _, _, is_whole in seen(slots)] == [False, False]


def test_a_day_nobody_saw_is_no_whole_one_either():
    days = [
        Session(SESSION.open_ns + i * 86_400 * SECOND, SESSION.close_ns + i * 86_400 * SECOND)
        for i in range(3)
    ]
    fold = fold_of((1, 10, 1), spans=Days(days), since=-9)
    slots = fold.close(days[2].close_ns + MINUTE, [Hole(at(50_000), at(180_000))])
    assert [(slot.number, slot.is_whole) for slot in slots] == [(0, True), (1, False), (2, False)]


trades_of_a_bar = st.lists(
    st.tuples(st.integers(1, 500), st.integers(1, 50)), min_size=1, max_size=12
).map(lambda rows: traded(*((i, price, size) for i, (price, size) in enumerate(rows))))


@given(trades_of_a_bar, st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_bar(trades, chance):
    shuffled = list(trades)
    chance.shuffle(shuffled)
    candle = reduce(Candle.joined, map(candle_of, shuffled))
    prices = [trade.price for trade in trades]
    assert candle == Candle(
        prices[0],
        max(prices),
        min(prices),
        prices[-1],
        sum(trade.quantity for trade in trades),
        trades[0].day_volume,
        trades[-1].day_volume,
    )


@given(
    st.lists(st.tuples(st.integers(0, 900), st.integers(1, 99), st.integers(1, 9)), max_size=60),
    st.lists(st.integers(-5, 960), max_size=30),
    st.sampled_from([1, 7, 60, 300]),
)
def test_whenever_bars_are_closed_they_hold_each_trade_once(rows, looks, step):
    rows.sort()
    whole = [
        slot
        for slot in fold_of(*rows, spans=Steps(step * SECOND)).close(at(2_000))
        if slot.candle is not None
    ]
    fold = BarFold(Steps(step * SECOND))
    fold.begin(0)
    given_slots, refused = [], 0
    looks.sort()
    for trade in traded(*rows):
        while looks and at(looks[0]) <= trade.ts_ns:
            given_slots += fold.close(at(looks.pop(0)))
        refused += not fold.add(trade)
    given_slots += fold.close(at(2_000))
    assert refused == 0
    assert given_slots == whole
    ends = [slot.end_ns for slot in whole]
    assert ends == sorted(set(ends))
    assert sum(slot.candle.volume for slot in whole) == sum(row[2] for row in rows)


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """Return a generated day as the trades KIS would tell (whole seconds) and its tables."""
    store = Store(tmp_path_factory.mktemp("day"))
    with store.importing() as batch:
        (instrument_id,) = generate_krx(batch, [SESSION], symbols=1, seed=11, trades_per_day=4_000)
    tables = list(stream_tables(store, StreamKind.TRADES, str(instrument_id)))
    volume, trades = 0, []
    for table in tables:
        for row in table.to_pylist():
            volume += int(row["size"])
            ts_ns = row["ts_event"].value // SECOND * SECOND
            trades.append(Traded(ts_ns, int(row["price"]), int(row["size"]), volume))
    return instrument_id, tables, trades


@pytest.mark.parametrize("step_s", [1, 10, 60, 300, 3_600])
def test_a_day_folded_live_equals_the_tape_resampled(day, step_s):
    instrument_id, tables, trades = day
    assert len(trades) > 1_000
    fold = BarFold(Steps(step_s * SECOND))
    fold.begin(SESSION.open_ns - 3_600 * SECOND)
    slots = []
    for trade in trades:
        if fold.due_ns is not None and fold.due_ns <= trade.ts_ns:
            slots += fold.close(trade.ts_ns)
        assert fold.add(trade)
    end_ns = SESSION.close_ns + 3_600 * SECOND
    slots += fold.close(end_ns)
    assert all(slot.is_whole for slot in slots)
    share = krx.equity(instrument_id.symbol.value)
    resampled = bars_from_trades(tables, share, step_s * SECOND, SESSION.open_ns, end_ns)
    assert [(slot.end_ns, *(getattr(slot.candle, name) for name in FIELDS)) for slot in slots] == [
        (row["ts_event"].value, *(int(row[name]) for name in FIELDS))
        for table in resampled
        for row in table.to_pylist()
    ]


FIELDS = ("open", "high", "low", "close", "volume")
