"""A small generated market and a scenario of three strategies that compete for its money."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from catalog.generate.market import DEMO_SESSIONS, generate_crypto, generate_krx, utc_day
from catalog.journal import JournalStore, open_journal
from catalog.runs import Run
from catalog.store import Store
from scenarios.execute import Outcome, run_replay
from scenarios.scenario import Scenario, load_scenario, scenario_from_json
from scenarios.settings import Settings
from scenarios.verify import Verdict, verify_run
from scenarios.wiring import resolve

COMPETITION = """
name = "competition"
[venues.KRX]
balances = ["20_000_000 KRW"]
latency_ms = 30
streams = ["quotes"]
[venues.BINANCE]
balances = ["30_000 USDT"]
latency_ms = 5
[capital]
order_max = ["4_000_000 KRW", "9_000 USDT"]
symbol_max = ["9_000_000 KRW", "14_000 USDT"]
[[strategies]]
name = "sma-ticks"
class = "strategies.sma_crossover:SmaCrossover"
instruments = ["*.KRX", "*.BINANCE"]
streams = ["trades"]
weight = 0.4
[strategies.params]
source = "trades"
fast = 5
slow = 20
[[strategies]]
name = "ema-bars"
class = "strategies.ema_crossover:EmaCrossover"
instruments = ["*.KRX", "*.BINANCE"]
streams = ["1-MINUTE"]
weight = 0.4
[strategies.params]
fast = 3
slow = 9
[[strategies]]
name = "breakout"
class = "strategies.volume_breakout:VolumeBreakout"
instruments = ["*.KRX", "*.BINANCE"]
streams = ["1-MINUTE"]
weight = 0.2
[strategies.params]
lookback_bars = 5
volume_ratio = 1
stop_bps = 40
take_profit_bps = 60
"""


def small_market(home: Path, seed: int = 3) -> Settings:
    """Write one day of two shares and one perpetual; return settings that point at it."""
    with Store(home / "catalog").importing() as batch:
        generate_krx(batch, DEMO_SESSIONS[:1], symbols=2, seed=seed, trades_per_day=400)
        days = [utc_day(DEMO_SESSIONS[0].open_ns)]
        generate_crypto(batch, days, symbols=1, seed=seed, trades_per_day=400)
    return Settings(home, f"sqlite:///{home / 'journal.sqlite'}")


def scenario_of(folder: Path, text: str = COMPETITION, *overrides: str) -> Scenario:
    """Write and load a scenario."""
    path = folder / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return load_scenario(path, overrides)


def run(settings: Settings, scenario: Scenario) -> Outcome:
    """Replay a scenario in this process."""
    return run_replay(scenario, settings)


def verify(settings: Settings, name: str = "last") -> Verdict:
    """Re-execute a run in this process."""
    journal, found = journalled(settings, name)
    folder = Path(found.manifest.folder)
    universe = resolve(scenario_from_json(found.manifest.config, folder), Store(settings.catalog))
    return verify_run(journal, found, universe)


def journalled(settings: Settings, name: str = "last") -> tuple[JournalStore, Run]:
    """Open the journal and find a run in it."""
    journal = open_journal(settings.journal_url, settings.home)
    return journal, journal.find(name)


def onetape(
    settings: Settings,
    *arguments: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, with nothing of this one's settings."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("ONETAPE_", "PYTHONHASH"))}
    places = {"ONETAPE_HOME": str(settings.home), "ONETAPE_JOURNAL": settings.journal_url}
    return subprocess.run(
        [sys.executable, "-m", "scenarios.cli", *arguments],
        env=clean | places | dict(env or {}),
        cwd=cwd or settings.home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
