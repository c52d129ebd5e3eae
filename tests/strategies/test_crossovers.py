"""The crossover strategies trade each crossing once, for the reason they give."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tapes import MINUTE_NS, FakeHost, bar, bars, brief, make, make_facts, trade

from strategies.decider import ParamError, Strategy
from strategies.ema_crossover import EmaCrossover, EmaCrossoverParams
from strategies.markets.facts import RAW_ONE
from strategies.messages import Enter, Exit, Grant, Target
from strategies.sma_crossover import SmaCrossover, SmaCrossoverParams

ID = make_facts().instrument_id
WAVE = [10, 9, 8, 9, 10, 11, 10, 9, 8, 9, 10, 11]


def sma(**params: Any) -> Strategy[Any]:
    return make(SmaCrossover, SmaCrossoverParams(**{"fast": 1, "slow": 3, **params}))


def test_long_only_enters_above_and_exits_below() -> None:
    host = FakeHost(sma())
    assert brief(host.run(bars(WAVE))) == [
        (3, "enter buy"),  # 9 against 26/3
        (6, "exit"),  # 10 against 31/3
        (9, "enter buy"),
    ]


def test_long_short_targets_both_sides() -> None:
    host = FakeHost(sma(sides="long_short"))
    assert brief(host.run(bars(WAVE))) == [
        (3, "target long"),
        (6, "target short"),
        (9, "target long"),
    ]


def test_reasons_carry_the_numbers() -> None:
    host = FakeHost(make(SmaCrossover, SmaCrossoverParams(fast=1, slow=3)))
    host.run(bars([70100, 70080, 70111]))
    assert [intent.reason for _, intent in host.log] == []
    host.feed(bar(4 * MINUTE_NS, 70090))
    host.feed(bar(5 * MINUTE_NS, 70150))
    (_, enter) = host.log[-1]
    assert enter.reason == "SMA 1 crossed above SMA 3: 70150 > 70117"


def test_ema_trades_its_crossings() -> None:
    host = FakeHost(make(EmaCrossover, EmaCrossoverParams(fast=1, slow=3)))
    assert brief(host.run(bars(WAVE))) == [(3, "enter buy"), (6, "exit"), (9, "enter buy")]
    assert host.log[0][1].reason == "EMA 1 crossed above EMA 3: 9 > 8.8"  # 8.875


def test_only_the_chosen_source_counts() -> None:
    closes, trades = bars(WAVE), [trade(i, value) for i, value in enumerate(WAVE)]
    for source, chosen, other in (("bars", closes, trades), ("trades", trades, closes)):
        alone, both = FakeHost(sma(source=source)), FakeHost(sma(source=source))
        alone.run(chosen)
        both.run([event for pair in zip(chosen, other, strict=True) for event in pair])
        assert alone.log
        assert [i for _, i in both.log] == [i for _, i in alone.log]


def test_quantity_is_none_or_the_given_lots() -> None:
    host = FakeHost(sma())
    host.run(bars(WAVE))
    assert host.log[0][1].quantity is None
    facts = make_facts("BTCUSDT-PERP.BINANCE", size_precision=3)
    params = SmaCrossoverParams(fast=1, slow=3, quantity=Decimal("0.012"))
    host = FakeHost(make(SmaCrossover, params, facts))
    host.run(bars(WAVE, "BTCUSDT-PERP.BINANCE"))
    assert str(host.log[0][1].quantity) == "0.012"


def test_a_refused_entry_waits_for_the_next_crossing() -> None:
    host = FakeHost(sma(), refuse=lambda intent: isinstance(intent, Enter))
    assert brief(host.run(bars(WAVE))) == [(3, "enter buy"), (9, "enter buy")]


def test_a_rejected_entry_waits_for_the_next_crossing() -> None:
    host = FakeHost(sma(), reject=lambda grant: True)
    assert brief(host.run(bars(WAVE))) == [(3, "enter buy"), (9, "enter buy")]


def test_a_crossing_while_an_order_is_pending_is_carried_out_after_it() -> None:
    host = FakeHost(sma(), fills=False)
    host.run(bars(WAVE[:9]))
    assert brief(host.log) == [(3, "enter buy")]  # the down-crossing of bar 7 waits
    host.fill(ID, bar(1, 8).close, 10 * MINUTE_NS)
    assert brief(host.log) == [(3, "enter buy"), (8, "exit")]


def test_only_the_latest_waiting_signal_counts() -> None:
    host = FakeHost(sma(), fills=False)
    host.run(bars(WAVE))
    host.fill(ID, bar(1, 8).close, 13 * MINUTE_NS)
    assert brief(host.log) == [(3, "enter buy")]  # up again: the position is what it should be


def test_a_waiting_signal_follows_a_rejection_too() -> None:
    host = FakeHost(sma(sides="long_short"), fills=False)
    host.run(bars(WAVE[:9]))
    (grant,) = host._orders
    host.end(grant, 10 * MINUTE_NS)
    assert brief(host.log) == [(3, "target long"), (8, "target short")]


def test_a_stop_leaves_and_the_next_crossing_enters_again() -> None:
    host = FakeHost(make(SmaCrossover, SmaCrossoverParams(fast=1, slow=3, stop_bps=500)))
    host.run(bars([100, 90, 80, 95, 100, 100, 93, 92, 91, 99, 101]))
    assert brief(host.log) == [(3, "enter buy"), (6, "exit"), (9, "enter buy")]


def test_a_crossing_that_changes_nothing_does_not_hide_a_stop() -> None:
    first = iter([False, True])
    host = FakeHost(sma(stop_bps=500), refuse=lambda intent: next(first, False))
    host.run(bars([100, 90, 80, 95, 100, 70, 90]))  # down at 70, refused; up again at 90
    assert brief(host.log) == [(3, "enter buy"), (5, "exit"), (6, "exit")]
    assert host.log[-1][1].reason == "stop: 90 <= 95, 500 bps from entry 100"


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"fast": 3}, "fast=3 must be below slow=3"),
        ({"fast": 0}, "fast=0 must be at least 1"),
        ({"quantity": Decimal("0.5")}, "quantity=0.5 does not fit 005930.KRX: use a multiple of 1"),
        ({"quantity": Decimal(0)}, "quantity=0"),
        ({"quantity": Decimal("NaN")}, "quantity=NaN"),
    ],
)
def test_contradictory_parameters_are_refused(params: Any, text: str) -> None:
    with pytest.raises(ParamError, match=text):
        sma(**params)


def test_short_sales_need_a_market_that_allows_them() -> None:
    facts = make_facts(short_allowed=False)
    with pytest.raises(ParamError, match="KRX allows no short sale; use sides='long'"):
        make(SmaCrossover, SmaCrossoverParams(sides="long_short"), facts)


@given(
    ticks=st.lists(st.integers(1, 4), min_size=1, max_size=80),
    n=st.tuples(st.integers(1, 5), st.integers(1, 6)).map(lambda n: (n[0], n[0] + n[1])),
)
def test_sma_trades_are_exactly_those_of_rational_arithmetic(
    ticks: list[int], n: tuple[int, int]
) -> None:
    fast, slow = n
    host = FakeHost(make(SmaCrossover, SmaCrossoverParams(fast=fast, slow=slow)))
    host.run(bars(ticks))
    expected, side, held = [], 0, False
    for i in range(slow - 1, len(ticks)):
        a = Fraction(sum(ticks[i + 1 - fast : i + 1]), fast)
        b = Fraction(sum(ticks[i + 1 - slow : i + 1]), slow)
        now = side if a == b else (1 if a > b else -1)
        if side and now != side and (now > 0 or held):
            expected.append((i, "enter buy" if now > 0 else "exit"))
            held = now > 0
        side = now
    assert brief(host.log) == expected


def test_symbols_do_not_touch_each_other() -> None:
    a, b = make_facts("A.KRX"), make_facts("B.KRX")
    params = SmaCrossoverParams(fast=1, slow=3)
    host = FakeHost(make(SmaCrossover, params, a, b))
    events = zip(bars(WAVE, "A.KRX"), bars(WAVE[::-1], "B.KRX"), strict=True)
    host.run([event for pair in events for event in pair])
    for facts, closes in ((a, WAVE), (b, WAVE[::-1])):
        own = [i for _, i in host.log if i.instrument_id == facts.instrument_id]
        alone = FakeHost(make(SmaCrossover, params, facts))
        alone.run(bars(closes, str(facts.instrument_id)))
        assert own == [i for _, i in alone.log]
        assert own


def test_fills_are_folded_before_the_strategy_is_asked() -> None:
    host = FakeHost(sma(quantity=Decimal(7)))
    host.run(bars(WAVE[:6]))
    assert host.strategy.position(ID).net_raw == 7 * RAW_ONE
    assert not host.strategy.is_pending(ID)
    assert {type(i) for _, i in host.log} <= {Enter, Exit, Target}
    assert not [order for order in host._orders if isinstance(order, Grant)]
