"""What a run's manifest says of the code it was made with."""

from pathlib import Path

import pytest
from small_market import scenario_of, small_market

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
