"""The breakout strategy against its rule, restated slowly."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapes import MINUTE_NS, FakeHost, bar, brief, make, make_facts

from strategies.decider import ParamError
from strategies.volume_breakout import VolumeBreakout, VolumeBreakoutParams


def host(**params: Any) -> FakeHost:
    values = {"lookback_bars": 2, **params}
    return FakeHost(make(VolumeBreakout, VolumeBreakoutParams(**values), make_facts()))


def tape(*rows: tuple[int, int]) -> list[Any]:
    """Bars of one price and a volume."""
    return [bar(i * MINUTE_NS, close, volume=volume) for i, (close, volume) in enumerate(rows, 1)]


@pytest.mark.parametrize(
    ("close", "volume", "ratio", "expected"),
    [
        (102, 300, "2", "enter buy"),
        (102, 299, "2", None),
        (101, 300, "2", None),  # equal to the highest high
        (102, 376, "2.5", "enter buy"),
        (102, 374, "2.5", None),
        (102, 375, "2.5", "enter buy"),
    ],
)
def test_breakouts(close: int, volume: int, ratio: str, expected: str | None) -> None:
    tested = host(volume_ratio=Decimal(ratio))
    tested.run(tape((100, 100), (101, 200), (close, volume)))
    assert brief(tested.log) == ([(2, expected)] if expected else [])


def test_highs_not_closes_make_the_level() -> None:
    tested = host()
    first = bar(MINUTE_NS, 100, high=105)
    tested.run([first, *tape((100, 100), (100, 100), (104, 500))[1:3], bar(4 * MINUTE_NS, 104)])
    assert tested.log == []


def test_the_reason_carries_the_numbers() -> None:
    tested = host()
    tested.run(tape((100, 100), (101, 201), (102, 400)))
    assert tested.log[0][1].reason == (
        "close 102 above the highest high 101 of 2 bars, volume 400 against a mean of 150.5"
    )


def test_bars_without_volume_confirm_nothing() -> None:
    tested = host()
    tested.run(tape((100, 0), (101, 0), (102, 0)))
    assert tested.log == []


@pytest.mark.parametrize(
    ("sides", "volume", "expected"),
    [
        ("long", 100, "exit"),
        ("long", 9999, "exit"),
        ("long_short", 100, "exit"),
        ("long_short", 9999, "target short"),
    ],
)
def test_the_opposite_extreme_leaves_or_turns(sides: Any, volume: int, expected: str) -> None:
    tested = host(sides=sides)
    tested.run(tape((100, 100), (101, 100), (102, 900), (102, 100), (99, volume)))
    assert brief(tested.log)[-1] == (4, expected)


def test_an_unconfirmed_break_onwards_keeps_the_pending_entry() -> None:
    tested = host()
    tested.fills = False
    tested.run(tape((100, 100), (101, 100), (102, 900), (103, 100)))
    tested.fill(make_facts().instrument_id, bar(1, 103).close, 5 * MINUTE_NS)
    assert brief(tested.log) == [(2, "enter buy")]


def test_exit_rules_apply() -> None:
    tested = host(stop_bps=50)
    tested.run(tape((1000, 100), (1010, 100), (1020, 900), (1020, 100), (1014, 100)))
    assert brief(tested.log) == [(2, "enter buy"), (4, "exit")]


def test_refused_breakouts_wait_for_the_next_one() -> None:
    tested = host()
    tested.refuse = lambda intent: True
    tested.run(tape((100, 100), (101, 100), (102, 900), (102, 900), (102, 900)))
    assert tested.refused == 1


@given(
    rows=st.lists(st.tuples(st.integers(1, 8), st.integers(0, 6)), min_size=1, max_size=60),
    length=st.integers(1, 6),
    ratio=st.sampled_from([Decimal("0.5"), Decimal(1), Decimal("1.5"), Decimal(2)]),
)
def test_every_trade_is_that_of_the_rule(
    rows: list[tuple[int, int]], length: int, ratio: Decimal
) -> None:
    tested = host(lookback_bars=length, volume_ratio=ratio)
    tested.run(tape(*rows))
    expected, held = [], False
    for i in range(length, len(rows)):
        before, (close, volume) = rows[i - length : i], rows[i]
        mean = Fraction(sum(row[1] for row in before), length)
        broke_up = close > max(row[0] for row in before)
        if broke_up and volume and volume >= Fraction(ratio) * mean and not held:
            expected.append((i, "enter buy"))
            held = True
        elif held and close < min(row[0] for row in before):
            expected.append((i, "exit"))
            held = False
    assert brief(tested.log) == expected


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"lookback_bars": 0}, "lookback_bars=0"),
        ({"volume_ratio": Decimal(0)}, "volume_ratio=0"),
        ({"volume_ratio": Decimal("NaN")}, "volume_ratio=NaN"),
    ],
)
def test_contradictory_parameters_are_refused(params: Any, text: str) -> None:
    with pytest.raises(ParamError, match=text):
        host(**params)
