"""The live shell on the engine itself, which calls its handlers by names of its own."""

from pathlib import Path

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from small_market import scenario_of, small_market

from catalog.journal import MemoryJournal
from catalog.store import Store
from catalog.tape import read_windows
from scenarios.live_host import LiveHost
from scenarios.simulated_venues import add_venue
from scenarios.wiring import Universe, compose, resolve
from strategies.host.faults import OnDeciderFailure
from strategies.messages import Fill, OrderNamed, Submit
from strategies.ports import Kind


def played(universe: Universe, journal: MemoryJournal, failures: list[BaseException]) -> LiveHost:
    """Play a universe's tape to a live host through the engine's backtest."""
    quiet = LoggerConfig(stdout_level=LogLevel.OFF)
    engine = BacktestEngine(
        BacktestEngineConfig(logging=quiet, bypass_logging=True, run_analysis=False)
    )
    shell = LiveHost(journal, failures.append)
    for name, spec in universe.venues.items():
        add_venue(engine, spec, universe.markets[name], universe.moved_by[name])
    for instrument in universe.instruments.values():
        engine.add_instrument(instrument)
    made = compose(
        universe,
        journal=journal,
        orders=shell,
        clock=shell,
        on_decider_failure=OnDeciderFailure.ISOLATE,
    )
    shell.attach(made.host)
    engine.add_strategy(shell)
    table = universe.scenario.table
    for window in read_windows(
        universe.streams, universe.prints, universe.start_ns, universe.end_ns, table.chunk_rows
    ):
        engine.add_data(window.events, validate=False)
        engine.run(start=universe.start_ns, streaming=True)
        engine.clear_data()
    engine.end()
    engine.dispose()
    return shell


def test_a_day_of_trading_names_its_orders_and_fails_nowhere(tmp_path: Path) -> None:
    settings = small_market(tmp_path / "home")
    universe = resolve(scenario_of(tmp_path), Store(settings.catalog))
    journal, failures = MemoryJournal(), list[BaseException]()
    shell = played(universe, journal, failures)
    assert failures == []
    assert shell.host.counts.fills > 10
    messages = [entry.message for entry in journal.entries]
    filled = {m.order_id for m in messages if isinstance(m, Fill)}
    named = {m.order_id: m.venue_order_id for m in messages if isinstance(m, OrderNamed)}
    assert filled <= named.keys()
    sent = {m.order_id for m in messages if isinstance(m, Submit)}
    assert named.keys() <= sent
    assert all(name and "\n" not in name for name in named.values())
    assert not [e for e in journal.entries if e.kind in {Kind.NOTICE, Kind.FAULT}]
