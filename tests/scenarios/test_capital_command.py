"""The shipped capital example and the command that shows it, on a small generated market."""

import json
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from small_market import journalled, run, scenario_of, small_market, verify

from catalog.capital_folds import CapitalBooks, fold_capital
from catalog.generate.market import demo_market
from catalog.store import Store
from scenarios.cli import main
from scenarios.execute import Outcome
from scenarios.scenario import find_scenario, load_scenario
from scenarios.settings import Settings
from scenarios.wiring import resolve
from strategies.capital.manager import Capital
from strategies.host.marks import LastPrices
from strategies.messages import Flatten, Limit

BRAKED = """
name = "braked"
[venues.KRX]
balances = ["20_000_000 KRW"]
latency_ms = 30
[venues.BINANCE]
balances = ["30_000 USDT"]
latency_ms = 5
[capital]
sector_share = 0.3
sample_s = 600
[capital.sectors]
"*.KRX" = "shares"
[capital.allocation]
method = "performance"
samples = 3
rebalance_s = 1_800
[capital.stages]
trades = 1
profit_bps = -1_000
fall_back_bps = 5
[capital.brakes]
drawdown_steps = [[5, 0.5]]
losing_streak = 2
cooldown_s = 600
daily_loss_max = ["10_000_000 KRW", "10_000 USDT"]
[capital.kill_switch]
at = "2026-03-09T13:00:00+09:00"
release_at = "2026-03-09T13:30:00+09:00"
flatten = true
[[strategies]]
name = "ema"
class = "strategies.ema_crossover:EmaCrossover"
instruments = ["*.KRX", "*.BINANCE"]
streams = ["1-MINUTE"]
weight = 0.5
[strategies.params]
fast = 3
slow = 9
[[strategies]]
name = "newcomer"
class = "strategies.volume_breakout:VolumeBreakout"
instruments = ["*.KRX", "*.BINANCE"]
streams = ["1-MINUTE"]
weight = 0.5
stages = [0.1, 0.5, 1]
[strategies.params]
lookback_bars = 5
volume_ratio = 1
stop_bps = 40
take_profit_bps = 60
"""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return small_market(tmp_path_factory.mktemp("capital"))


@pytest.fixture(scope="module")
def outcome(market: Settings, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    return run(market, scenario_of(tmp_path_factory.mktemp("braked"), BRAKED))


@pytest.fixture(scope="module")
def books(market: Settings, outcome: Outcome) -> CapitalBooks:
    journal, found = journalled(market, outcome.run_id)
    return fold_capital(journal.entries(found))


def test_a_braked_run_verifies(market: Settings, outcome: Outcome) -> None:
    verdict = verify(market, outcome.run_id)
    assert verdict.difference is None
    assert verdict.entries > 500


def test_its_capital_can_be_followed(books: CapitalBooks, outcome: Outcome) -> None:
    assert books.grants == outcome.result.orders
    assert sum(one.count for one in books.refusals()) == outcome.result.refusals > 0
    brakes = {one.brake: one for one in books.brakes}
    assert {"drawdown", "losing_streak", "kill_switch", "flatten"} <= set(brakes)
    kill = brakes["kill_switch"]
    assert (kill.released_ns or 0) - kill.pulled_ns == 1_800 * 10**9
    assert {one.stage for one in books.stages} >= {1, 2}
    assert len({one.share for one in books.allocations}) > 3
    for one in books.venues:
        parts = (one.free, one.reserved, one.committed, one.unsettled)
        assert sum(part.raw for part in parts) == one.equity.raw


def test_a_new_manager_folded_from_the_journal_holds_the_same_books(
    market: Settings, outcome: Outcome
) -> None:
    from scenarios.capital_settings import make_config, make_ledgers
    from scenarios.scenario import scenario_from_json
    from scenarios.wiring import ground_of

    journal, found = journalled(market, outcome.run_id)
    universe = resolve(scenario_from_json(found.manifest.config), Store(market.catalog))
    ground = ground_of(universe)
    ledgers = make_ledgers(ground)
    marks = LastPrices(universe.facts)
    manager = Capital(make_config(ground), universe.facts, ledgers, marks)
    for entry in journal.entries(found):
        manager.fold(entry.message, entry.ts_ns)
    for venue, balances in outcome.result.balances.items():
        assert {c: str(m) for c, m in ledgers[venue].balances().items()} == balances
        assert ledgers[venue].total_reserved_raw() >= 0


def test_the_command_prints_and_gives_json(
    market: Settings,
    outcome: Outcome,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ONETAPE_HOME", str(market.home))
    monkeypatch.setenv("ONETAPE_JOURNAL", market.journal_url)
    assert main(["capital", outcome.run_id]) == 0
    text = capsys.readouterr().out
    for words in ("shares at the end", "refusals beside", "kill_switch stops new risk of all"):
        assert words in text
    assert main(["capital", outcome.run_id, "--over-time", "--json"]) == 0
    done = capsys.readouterr()
    values = json.loads(done.out.splitlines()[-1])
    assert values["run_id"] == outcome.run_id
    assert values["grants"] == outcome.result.orders
    assert "use over time" in done.err
    assert Decimal(values["allocations"][0]["share"]) == Decimal("0.5")
    assert main(["capital", "nosuchrun"]) == 2


def test_the_shipped_example_loads() -> None:
    table = load_scenario(find_scenario("allocation")).table
    assert len(table.strategies) == 5
    assert table.capital.max_loss


def test_the_shipped_example_shows_shares_refusals_brakes_and_a_staged_newcomer(
    tmp_path: Path,
) -> None:
    settings = Settings(tmp_path, f"sqlite:///{tmp_path / 'journal.sqlite'}")
    demo_market(Store(settings.catalog), 1)
    outcome = run(settings, load_scenario(find_scenario("allocation")))
    journal, found = journalled(settings, outcome.run_id)
    books = fold_capital(journal.entries(found))
    assert {one.venue for one in books.uses} == {"KRX", "BINANCE"}
    assert len({one.strategy for one in books.uses}) == 5
    bases: dict[str, set[Decimal]] = {}
    for one in books.allocations:
        bases.setdefault(one.strategy, set()).add(one.base)
    assert all(len(shares) > 2 for shares in bases.values()), "performance moved no share"
    limits = {one.limit for one in books.refusals()}
    assert {Limit.BRAKE, Limit.ORDERS_PER_SECOND} <= limits
    assert {"drawdown", "daily_loss", "losing_streak", "kill_switch"} <= {
        one.brake for one in books.brakes
    }
    assert any(one.released_ns for one in books.brakes)
    stages = [one.stage for one in books.stages]
    assert stages[:3] == [1, 2, 3]
    assert any(after < before for before, after in pairwise(stages))
    assert any(isinstance(forced, Flatten) for _, forced in books.forced)
