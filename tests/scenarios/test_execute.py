"""A run from scenario to outcome: what it says of its code, and whose arithmetic it uses."""

from decimal import getcontext, localcontext
from pathlib import Path

import pytest
from small_market import run, scenario_of, small_market, verify

from catalog.store import Store
from scenarios.execute import code_version
from scenarios.settings import Settings
from scenarios.wiring import resolve

SCENARIO = """
name = "own"
[venues.BINANCE]
balances = ["100_000 USDT"]
[[strategies]]
name = "own"
class = "versioned_strategy:Own"
instruments = ["*.BINANCE"]
streams = ["1-MINUTE"]
weight = 1
"""
MODULE = """
from strategies.decider import Params, Strategy

class Own(Strategy[Params]):
    def on_bar(self, bar):
        return None
"""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return small_market(tmp_path_factory.mktemp("home"))


def test_the_code_version_knows_what_a_strategy_imports_from_beside_it(
    market: Settings, tmp_path: Path
) -> None:
    (tmp_path / "versioned_strategy.py").write_text(MODULE)
    (tmp_path / "signals.py").write_text("LOOKBACK = 5\n")
    universe = resolve(scenario_of(tmp_path, SCENARIO), Store(market.catalog))
    before = code_version(universe)
    (tmp_path / "test_own.py").write_text("def test_it(): ...\n")
    (tmp_path / ".#signals.py").symlink_to("nobody@nowhere")  # an editor's lock
    assert code_version(universe) == before
    (tmp_path / "signals.py").write_text("LOOKBACK = 6\n")
    assert code_version(universe) != before


CARELESS = """
from decimal import ROUND_UP, getcontext
from strategies.sma_crossover import SmaCrossover

def spoil():
    getcontext().prec = 3
    getcontext().rounding = ROUND_UP

spoil()

class Careless(SmaCrossover):
    def __init__(self, setup):
        super().__init__(setup)
        spoil()

    def on_bar(self, bar):
        spoil()
        return super().on_bar(bar)

    def on_fill(self, fill):
        spoil()
        return super().on_fill(fill)
"""
CROSSOVER = SCENARIO.replace("weight = 1", "weight = 1\n[strategies.params]\nfast = 3\nslow = 9")


def test_no_strategy_changes_the_arithmetic_of_money(market: Settings, tmp_path: Path) -> None:
    (tmp_path / "careless_strategy.py").write_text(CARELESS)
    careful = CROSSOVER.replace("versioned_strategy:Own", "strategies.sma_crossover:SmaCrossover")
    careless = CROSSOVER.replace("versioned_strategy:Own", "careless_strategy:Careless")
    ambient = getcontext().copy()
    results = []
    for text in (careful, careless):
        outcome = run(market, scenario_of(tmp_path, text))
        assert verify(market).difference is None
        results.append((outcome.digest, outcome.result))
    assert results[0] == results[1]
    assert results[0][1].fills > 10
    now = getcontext()
    assert (now.prec, now.rounding) == (ambient.prec, ambient.rounding)


def test_the_callers_arithmetic_changes_no_run(market: Settings, tmp_path: Path) -> None:
    text = CROSSOVER.replace("versioned_strategy:Own", "strategies.sma_crossover:SmaCrossover")
    scenario = scenario_of(tmp_path, text)
    plain = run(market, scenario)
    with localcontext(prec=3):
        assert run(market, scenario).result == plain.result
