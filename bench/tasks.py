"""One measurement in a process of its own: `python -m bench.tasks NAME JSON`, one JSON line out.

Rule: time starts after the imports and ends when everything is loaded, replayed and committed.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nautilus_trader.model import OrderSide

from bench import bare, exactness, markets, probes
from bench import settings as scenarios
from bench.stopwatch import Facts, Stopwatch
from catalog.journal import open_journal
from catalog.store import Store
from scenarios.execute import run_replay
from scenarios.scenario import load_scenario, scenario_from_json
from scenarios.settings import Settings
from scenarios.verify import verify_run
from scenarios.wiring import Universe, resolve
from strategies.messages import Grant
from strategies.ports import Kind


def make(home: Path, what: str, rows: int) -> Facts:
    """Write a catalog and its scenario."""
    if what == "bars":
        markets.make_bars(home, rows)
        scenarios.write_bars(home)
    elif what == "ticks":
        markets.make_trades_and_quotes(home, rows)
        scenarios.write_ticks(home)
    else:
        markets.make_trades(home, rows, len(markets.SYMBOLS))
        scenarios.write_trades(home, len(markets.SYMBOLS))
    return {}


def ours(home: Path, what: str, share: float = 1) -> Facts:
    """Replay with host, deciders, capital manager and journal; ``share`` is of the tape's time."""
    scenario = load_scenario(home / f"{what}.toml")
    if share < 1:
        whole = _universe(home, what)
        length_ns = int((whole.end_ns - whole.start_ns) * share)
        scenario = replace(scenario, end_ns=whole.start_ns + length_ns)
    timed = Stopwatch()
    outcome = run_replay(scenario, _settings(home))
    facts = timed.stop()
    result = outcome.result
    return facts | {"orders": result.orders, "fills": result.fills, "events": result.deliveries}


def engine(home: Path, what: str, prints: bool) -> Facts:
    """Replay the same rows through the bare engine."""
    timed = Stopwatch()
    orders = bare.run_bare(_universe(home, what), with_prints=prints)
    return timed.stop() | {"orders": orders}


def verify(home: Path) -> Facts:
    """Re-execute the latest run; its hash chain is checked beside, on another clock."""
    with open_journal(_settings(home).journal_url, home) as store:
        run = store.find("last")
        timed = Stopwatch()
        store.check_chain(run)
        chain_s = timed.stop()["seconds"]
        timed = Stopwatch()
        universe = resolve(scenario_from_json(run.manifest.config), Store(home / "catalog"))
        verdict = verify_run(store, run, universe)
        facts = timed.stop()
    assert verdict.difference is None, verdict.difference
    return facts | {"events": verdict.deliveries, "chain_seconds": chain_s}


def exact(home: Path, rows: int) -> Facts:
    """Compare the latest run's decisions with integer and with float arithmetic."""
    lengths = (scenarios.FAST_BARS, scenarios.SLOW_BARS)
    signs = {OrderSide.BUY: 1, OrderSide.SELL: -1}
    with open_journal(_settings(home).journal_url, home) as store:
        entries = store.entries(store.find("last"), kinds=[Kind.GRANT])
        grants = [(entry.ts_ns, entry.message) for entry in entries]
        decided = [(ts_ns, signs[m.side]) for ts_ns, m in grants if isinstance(m, Grant)]
    integer = exactness.integer_trades(rows, *lengths)
    floats = exactness.float_trades(rows, *lengths)
    return {
        "trades": len(decided),
        "different": len(set(decided) ^ set(integer)),
        "reference": len(integer),
        "floats": len(floats),
        "floats_different": len(set(floats) ^ set(integer)),
    }


def steps(home: Path, count: int) -> Facts:
    """Measure single steps."""
    universe = _universe(home, "bars")
    entry_us, raw_us = probes.append_us(home, universe, count)
    return {
        "entry_us": entry_us,
        "raw_us": raw_us,
        "decision_us": probes.decision_us(universe, count),
    }


def _settings(home: Path) -> Settings:
    return Settings(home, f"sqlite:///{home / 'journal.sqlite'}")


def _universe(home: Path, what: str) -> Universe:
    return resolve(load_scenario(home / f"{what}.toml"), Store(home / "catalog"))


TASKS: dict[str, Callable[..., Facts]] = {
    task.__name__: task for task in (make, ours, engine, verify, exact, steps)
}

if __name__ == "__main__":
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(TASKS[name](Path(arguments.pop("home")), **arguments)))
