"""Runs a scenario on recorded data: the tape through the engine's backtest, window by window.

Rule: builds, hands over, runs and checks. Whatever disagrees with our own books at the end fails
the run: rows fed against rows delivered, ledgers against the engine's accounts.
"""

import gc
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

import numpy as np
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.model import Money, Venue

from catalog.tape import ORDER_STREAM, Window, pack_sources, read_windows, stream_name
from scenarios.replay_host import ReplayHost
from scenarios.simulated_venues import add_observed_venue, add_venue
from scenarios.wiring import Composition, Universe, compose
from strategies.arithmetic import arithmetic, reset
from strategies.capital.ledger import VenueLedger
from strategies.errors import InvariantBroken
from strategies.host.faults import OnDeciderFailure
from strategies.ports import Journal, Kind, message_id

GC_OBJECTS = 100_000

type Progress = Callable[[int, int], None]
"""Told how far the run is: market time passed and in all, ns."""


class TapeJournal(Journal, Protocol):
    """A journal that also keeps what identifies the rows of the tape."""

    def write_tape_block(
        self,
        stream: str,
        block: int,
        first_row: int,
        rows: int,
        first_ts: int,
        last_ts: int,
        fingerprints: bytes,
    ) -> None:
        """Keep one block of row fingerprints."""


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay came to; money by currency code, in units of the currency."""

    deliveries: int
    decisions: int
    orders: int
    fills: int
    refusals: int
    pnl: dict[str, Decimal]
    balances: dict[str, dict[str, str]]


def replay(
    universe: Universe,
    journal: TapeJournal,
    *,
    progress: Progress | None = None,
    on_decider_failure: OnDeciderFailure = OnDeciderFailure.STOP,
) -> ReplayResult:
    """Replay a universe's tape into a journal.

    Raises DeciderFailed, JournalFailed or InvariantBroken; the journal then ends at the failure.
    What user modules do to the decimal context changes no amount of ours, and ends with the run.
    """
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggerConfig(stdout_level=LogLevel.OFF),
            bypass_logging=True,
            shutdown_on_error=True,
            run_analysis=False,
        )
    )
    # A run makes many objects and no cycles: what is there already need not be looked at again.
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(GC_OBJECTS, *thresholds[1:])
    try:
        with arithmetic():
            return _Replay(universe, journal, engine, on_decider_failure).run(progress)
    finally:
        engine.dispose()
        # Host and shell refer to each other, and the engine's part of the shell may be dropped on
        # this thread only: another one's collection would find it later.
        gc.collect()
        gc.set_threshold(*thresholds)
        gc.unfreeze()


class _Replay:
    def __init__(
        self,
        universe: Universe,
        journal: TapeJournal,
        engine: BacktestEngine,
        on_decider_failure: OnDeciderFailure,
    ) -> None:
        self._universe = universe
        self._journal = journal
        self._engine = engine
        self._shell = ReplayHost(universe)
        for name, spec in universe.venues.items():
            books = {s.instrument_id for s in universe.streams if s.quoted}
            add_venue(engine, spec, universe.markets[name], universe.moved_by[name], books)
        for name in _observed_venues(universe):
            add_observed_venue(engine, name)
        for instrument in universe.instruments.values():
            engine.add_instrument(instrument)
        self._made: Composition = compose(
            universe,
            journal=journal,
            orders=self._shell,
            clock=self._shell,
            on_decider_failure=on_decider_failure,
        )
        self._shell.attach(self._made.host)
        engine.add_strategy(self._shell)
        self._blocks = 0
        self._rows = 0

    def run(self, progress: Progress | None) -> ReplayResult:
        universe = self._universe
        start_ns, end_ns = universe.start_ns, universe.end_ns
        windows = read_windows(
            universe.streams,
            universe.prints,
            start_ns,
            end_ns,
            universe.scenario.table.chunk_rows,
        )
        for window in windows:
            self._play(window)
            if progress is not None and len(window.delivered_ns):
                progress(int(window.delivered_ns[-1]) - start_ns, end_ns - start_ns)
        self._finish()
        return self._result()

    def _play(self, window: Window) -> None:
        engine = self._engine
        self._keep(window)
        self._shell.expect(window.prints_ns)
        engine.add_data(window.events, validate=False)
        window.events.clear()
        engine.run(start=self._universe.start_ns, streaming=True)
        engine.clear_data()
        self._raise_failure()
        self._check_delivered(window)

    def _raise_failure(self) -> None:
        if self._shell.failure is not None:
            raise self._shell.failure

    def _check_delivered(self, window: Window) -> None:
        """A row that was fed and not delivered is a gap; on replay it fails the run."""
        host = self._made.host
        seq = host.seq
        stamps = np.frombuffer(host.take_stamps(), np.int64)
        expected = window.delivered_ns
        if np.array_equal(stamps, expected):
            return
        common = min(len(stamps), len(expected))
        different = np.flatnonzero(stamps[:common] != expected[:common])
        at = int(different[0]) if len(different) else common
        missing = int(expected[at]) if at < len(expected) else -1
        raise InvariantBroken(
            f"the engine delivered {len(stamps)} of {len(expected)} rows up to delivery {seq}; the "
            f"first difference is at row {at} of this window (ts_init {missing}): a row was "
            "dropped or repeated between the tape and the deciders."
        )

    def _keep(self, window: Window) -> None:
        """Journal what identifies each row, and in which order the rows were delivered."""
        for block in window.blocks:
            data = block.fingerprints.tobytes()
            rows = len(block.fingerprints)
            self._write_block(
                stream_name(block.kind, block.topic),
                block.first_row,
                rows,
                block.first_ns,
                block.last_ns,
                data,
            )
        count = len(window.delivered_ns)
        if count:
            first, last = int(window.delivered_ns[0]), int(window.delivered_ns[-1])
            data = zlib.compress(pack_sources(window.sources), 1)
            self._write_block(ORDER_STREAM, self._rows, count, first, last, data)
        self._rows += count

    def _write_block(
        self, stream: str, first_row: int, rows: int, first_ns: int, last_ns: int, data: bytes
    ) -> None:
        self._journal.write_tape_block(
            stream, self._blocks, first_row, rows, first_ns, last_ns, data
        )
        self._blocks += 1

    def _finish(self) -> None:
        """Let the last commands arrive, then hold our books against the engine's."""
        latest = max((spec.latency_ns for spec in self._universe.venues.values()), default=0)
        self._engine.run(end=self._universe.end_ns + latest, streaming=True)
        self._engine.end()
        self._raise_failure()
        reset()
        for name, ledger in self._made.capital.ledgers.items():
            self._check_account(name, ledger)

    def _check_account(self, name: str, ledger: VenueLedger) -> None:
        account = self._engine.cache.account_for_venue(Venue(name))
        if account is None:
            raise InvariantBroken(f"the engine has no account for venue {name}.")
        theirs = {
            balance.total.currency.code: balance.total for balance in account.last_event.balances
        }
        ours = ledger.balances()
        for code in sorted({*theirs, *ours}):
            mine, its = (_raw(side.get(code)) for side in (ours, theirs))
            if mine != its:
                raise InvariantBroken(
                    f"venue {name}: our ledger holds {mine} raw {code} and the engine's account "
                    f"{its}; the books disagree, so no result of this run can be trusted."
                )

    def _result(self) -> ReplayResult:
        return end_run(self._universe, self._made, self._journal, self._universe.end_ns)


def end_run(universe: Universe, made: Composition, journal: Journal, ended_ns: int) -> ReplayResult:
    """Journal the end of a run at ``ended_ns`` (market time) and return what it came to."""
    host, counts = made.host, made.host.counts
    reset()  # a handler may have changed it
    balances = {
        name: {code: str(money) for code, money in ledger.balances().items()}
        for name, ledger in made.capital.ledgers.items()
    }
    entry_id = message_id(host.seq + 1, 0)
    ended = json.dumps({"deliveries": host.seq, "balances": balances}, sort_keys=True)
    journal.append(entry_id, ended_ns, Kind.ENDED, "host", 0, entry_id, ended)
    return ReplayResult(
        deliveries=host.seq,
        decisions=counts.decisions,
        orders=counts.orders,
        fills=counts.fills,
        refusals=counts.refusals,
        pnl=profit(universe, made),
        balances=balances,
    )


def _observed_venues(universe: Universe) -> list[str]:
    observed = [i for i, facts in universe.facts.items() if not facts.tradable]
    return list(dict.fromkeys(i.venue.value for i in observed))


def profit(universe: Universe, made: Composition) -> dict[str, Decimal]:
    """Return what all strategies made at the last prices, fees and tax taken off, by currency.

    The sum over strategies is what fills cost and brought plus what is open: on a netted margin
    account the engine splits it otherwise into realised and unrealised, but not in all.
    """
    currencies = {market.currency.code: market.currency for market in universe.markets.values()}
    total = dict.fromkeys(currencies, Decimal(0))
    for strategy in made.strategies:
        for instrument_id, facts in strategy.instruments.items():
            position = strategy.position(instrument_id)
            if not facts.tradable:
                continue
            price = made.marks.price(instrument_id)
            gain = position.realized - position.fees
            if price is not None:
                gain += position.unrealized(price.as_decimal())
            total[facts.currency.code] += gain
    return {
        code: amount.quantize(Decimal(1).scaleb(-currencies[code].precision))
        for code, amount in total.items()
    }


def _raw(money: Money | None) -> int:
    return 0 if money is None else money.raw
