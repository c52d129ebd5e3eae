"""Two new objects fed the same events return the same intents, however symbols interleave."""

from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tapes import FakeHost, bar, make, make_facts, trade

from strategies.closing_trend import ClosingTrend, ClosingTrendParams
from strategies.ema_crossover import EmaCrossover, EmaCrossoverParams
from strategies.gap import GapParams, GapTrading
from strategies.intraday_momentum import IntradayMomentum, IntradayMomentumParams
from strategies.markets.sessions import ListedSessions, Session
from strategies.messages import Exit, MoneyIntent
from strategies.sma_crossover import SmaCrossover, SmaCrossoverParams
from strategies.volume_breakout import VolumeBreakout, VolumeBreakoutParams

SYMBOLS = ("A.KRX", "B.KRX", "C.KRX")
MINUTE_NS = 60_000_000_000
HOUR_NS = 60 * MINUTE_NS
SESSIONS = ListedSessions([Session(h * HOUR_NS, (h + 2) * HOUR_NS) for h in range(3, 60, 3)])
FACTS = [make_facts(symbol, sessions=SESSIONS) for symbol in SYMBOLS]
BOTH: dict[str, Any] = {"sides": "long_short", "stop_bps": 300, "hold_minutes": 40}
CASES = [
    (SmaCrossover, SmaCrossoverParams(fast=2, slow=4, **BOTH)),
    (SmaCrossover, SmaCrossoverParams(fast=2, slow=4, source="trades", trailing_stop_bps=200)),
    (EmaCrossover, EmaCrossoverParams(fast=2, slow=4, **BOTH)),
    (VolumeBreakout, VolumeBreakoutParams(lookback_bars=3, volume_ratio=Decimal(1), **BOTH)),
    (GapTrading, GapParams(max_gap_bps=3000, **BOTH)),
    (IntradayMomentum, IntradayMomentumParams(take_profit_bps=200, **BOTH)),
    (ClosingTrend, ClosingTrendParams(**BOTH)),
]
steps = st.tuples(
    st.sampled_from(SYMBOLS),
    st.booleans(),
    st.integers(1, 25),
    st.integers(95, 105),
    st.integers(0, 9),
)


def tape(moves: list[tuple[str, bool, int, int, int]]) -> list[Any]:
    now, events = 2 * HOUR_NS, []
    for symbol, is_bar, minutes, value, volume in moves:
        now += minutes * MINUTE_NS
        events.append(
            bar(now, value, volume=volume, symbol=symbol)
            if is_bar
            else trade(now, value, symbol=symbol)
        )
    return events


def moody() -> Any:
    """Refuse every fourth request, the same way in every run."""
    asked = iter(range(1_000_000))

    def refuse(intent: MoneyIntent) -> bool:
        return next(asked) % 4 == 3

    return refuse


@pytest.mark.parametrize(("kind", "params"), CASES)
@given(moves=st.lists(steps, min_size=30, max_size=90))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_equal_events_give_equal_intents(kind: Any, params: Any, moves: list[Any]) -> None:
    events = tape(moves)
    first, second = (
        FakeHost(make(kind, params, *FACTS), refuse=moody()).run(events) for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize(("kind", "params"), CASES)
@given(moves=st.lists(steps, min_size=30, max_size=90))
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_a_symbol_is_traded_as_if_it_were_alone(kind: Any, params: Any, moves: list[Any]) -> None:
    together = FakeHost(make(kind, params, *FACTS)).run(tape(moves))
    for facts in FACTS:
        own = [e for e in tape(moves) if str(facts.instrument_id) in str(e)]
        if own:
            alone = FakeHost(make(kind, params, facts)).run(own)
            chosen = [i for _, i in together if getattr(i, "instrument_id", None)]
            chosen = [i for i in chosen if i.instrument_id == facts.instrument_id]
            alone_money = [i for _, i in alone if getattr(i, "instrument_id", None)]
            # An alarm may ring after the symbol's own last event: only together is it heard
            assert chosen[: len(alone_money)] == alone_money


def test_the_tapes_make_every_strategy_trade() -> None:
    draw = Random(7)  # noqa: S311 - a tape, not a secret
    moves = [
        (
            draw.choice(SYMBOLS),
            draw.random() < 0.5,
            draw.randint(1, 25),
            95 + draw.randint(0, 10),
            draw.randint(0, 9),
        )
        for _ in range(400)
    ]
    for kind, params in CASES:
        log = FakeHost(make(kind, params, *FACTS)).run(tape(moves))
        assert {str(i.instrument_id) for _, i in log if isinstance(i, Exit)} == set(SYMBOLS), kind
