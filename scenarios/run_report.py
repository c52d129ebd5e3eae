"""Loads a run from its journal and tape into a report's input, and writes the report.

Rule: reads only; what is shown is folded from journal entries, and prices come from the tape the
run was made from.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import get_type_hints

from nautilus_trader.model import InstrumentId, OrderSide, PositionSide

from catalog.capital_folds import CapitalBooks
from catalog.equity import Equity, Listing, fold_equity
from catalog.folds import Books, OpenTrade
from catalog.folds import Trade as RoundTrip
from catalog.journal import Entry, JournalStore, open_journal
from catalog.prices import Prices, read_prices
from catalog.report import Execution, Refused, ReportInput, RunFacts, write_report
from catalog.report.beside import render_beside
from catalog.report.page import write_whole
from catalog.runs import Run
from catalog.stats import Trade, choose_period, period_edges
from catalog.store import Store
from catalog.thinning import IntArray
from scenarios import report_tape as tape
from scenarios.report_capital import capital_tables
from scenarios.scenario import ReportTable, scenario_from_json
from scenarios.settings import Settings
from scenarios.wiring import Universe, resolve
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.facts import RAW_ONE, MarketFacts
from strategies.messages import Fill, PositionUpdate, Refusal
from strategies.ports import Kind

ZERO = Decimal(0)
FOLDED = (
    *(Kind.INTENT, Kind.GRANT, Kind.REFUSAL, Kind.COMMAND, Kind.FILL, Kind.POSITION),
    *(Kind.CAPITAL, Kind.REPEAT, Kind.CASH, Kind.FAULT),
)


def report_run(
    name: str, settings: Settings, out: Path | None = None, shown: ReportTable | None = None
) -> Path:
    """Write the report of a run to ``out`` or under its name in the home, and return its path.

    ``name`` is a run's id, its unique beginning, or ``last``. ``shown`` wins over the scenario's
    own ``[report]``. Raises BadInput where the run or its market data is not there, or the file
    cannot be written.
    """
    source = read_report(name, settings, shown)
    return write_report(source, out or settings.reports / f"{source.run.run_id}.html")


def compare_runs(
    names: Sequence[str],
    settings: Settings,
    out: Path | None = None,
    shown: ReportTable | None = None,
) -> Path:
    """Write several runs into one page, to ``out`` or to compare.html in the home.

    Raises BadInput as ``report_run``.
    """
    sources = [read_report(name, settings, shown) for name in names]
    return write_whole(render_beside(sources).encode(), out or settings.reports / "compare.html")


def read_report(name: str, settings: Settings, shown: ReportTable | None = None) -> ReportInput:
    """Return everything the report of a run shows, found by its name."""
    with open_journal(settings.journal_url, settings.home) as journal:
        return load_report(journal, journal.find(name), settings, shown)


def load_report(
    journal: JournalStore, run: Run, settings: Settings, shown: ReportTable | None = None
) -> ReportInput:
    """Return everything a run's report shows."""
    if run.status == "running":
        raise BadInput(f"run {run.run_id} is still running; write its report when it has ended.")
    if not run.manifest.has_tape:
        raise BadInput(
            f"run {run.run_id} traded {run.manifest.mode} and recorded no tape, which its report "
            f"would be drawn from; see onetape journal {run.run_id}."
        )
    folder = Path(run.manifest.folder) if run.manifest.folder else None
    store = Store(settings.catalog)
    universe = resolve(scenario_from_json(run.manifest.config, folder), store)
    log = _Log()
    for entry in journal.entries(run, kinds=FOLDED):
        log.add(entry)
    table = shown or universe.scenario.table.report or ReportTable()
    return _Loader(run, universe, log, table).load(journal, store)


@dataclass(slots=True)
class _Log:
    """What a report needs of a journal."""

    books: Books = field(default_factory=Books)
    capital: CapitalBooks = field(default_factory=CapitalBooks)
    positions: list[PositionUpdate] = field(default_factory=list)
    refused: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Fold one entry in."""
        self.books.add(entry)
        self.capital.add(entry)
        match entry.message:
            case PositionUpdate() as update:
                self.positions.append(update)
            case Refusal() as refusal:
                key = (str(refusal.limit), refusal.strategy)
                count, example = self.refused.get(key, (0, _example(refusal)))
                self.refused[key] = (count + 1, example)
            case _:
                pass  # the books took it


def _example(refusal: Refusal) -> str:
    return f"{refusal.instrument_id}: asked {refusal.asked}, allowed {refusal.allowed}"


class _Loader:
    def __init__(self, run: Run, universe: Universe, log: _Log, table: ReportTable) -> None:
        self._run = run
        self._universe = universe
        self._log = log
        self._table = table
        self._zones = {name: market.timezone for name, market in universe.markets.items()}
        names = set(self._zones.values())
        self._zone = names.pop() if len(names) == 1 else "UTC"
        self._start_ns = universe.start_ns
        self._end_ns = max([universe.end_ns, *(fill.ts_ns for fill in log.books.fills[-1:])])
        self._period = choose_period(self._start_ns, self._end_ns)
        self._decided = tape.decided_prices(universe, log.books.orders)

    def load(self, journal: JournalStore, store: Store) -> ReportInput:
        universe, run = self._universe, self._run
        edges_ns = period_edges(self._start_ns, self._end_ns, self._period, self._zone)
        traded = {fill.instrument_id for fill in self._log.books.fills}
        prices = self._prices(tape.held_instruments(universe, traded), edges_ns)
        own = {str(name): prices[str(name)] for name in universe.instruments if name in traded}
        yardstick, note = tape.benchmark_of(universe, self._table, prices, store, edges_ns)
        infos = {f"{info.kind}:{info.topic}": info for info in store.streams()}
        trades = tape.with_excursions(universe, self._trades(own), self._end_ns)
        return ReportInput(
            run=self._facts(),
            executions=[self._execution(fill) for fill in self._log.books.fills],
            trades=trades,
            refusals=[
                Refused(limit=limit, strategy=strategy, count=count, example=example)
                for (limit, strategy), (count, example) in sorted(self._log.refused.items())
            ],
            equity=self._equity(own, edges_ns),
            prices={name: found.drawn for name, found in own.items()},
            zones=self._zones,
            period=self._period,
            counts=self._counts(),
            notes=[text for text in (note, self._total_note(), *_news(self._log.capital)) if text],
            benchmark=yardstick,
            feeds=tape.feeds_of(universe, journal, run, prices, infos),
            parameters=self._parameters(),
            trials=self._table.trials,
            chosen_by_pattern=any(
                set("*?[") & set(text)
                for table in universe.scenario.table.strategies
                for text in table.instruments
            ),
            instruments=len(universe.instruments),
            capital=capital_tables(self._log.capital, self._zone),
        )

    def _total_note(self) -> str:
        """Say which rate a total would need, where a currency for it was asked for."""
        table = self._table
        if table.currency is None:
            return ""
        have = {money.currency.code for spec in self._universe.venues.values()
                for money in spec.balances}  # fmt: skip
        without = sorted(have - {table.currency} - set(table.rates))
        if not without:
            return ""
        return (
            f"There is no total in {table.currency}: no rate of {', '.join(without)} was given; "
            f"add it to [report] rates, or give --rate {without[0]}=..."
        )

    def _parameters(self) -> dict[str, int]:
        """Count the numbers that can be set in each strategy."""
        found = {}
        for name, cls in self._universe.classes.items():
            hints = get_type_hints(cls.params_type)
            found[name] = sum(hint in {int, float, Decimal} for hint in hints.values())
        return found

    def _facts(self) -> RunFacts:
        run, manifest = self._run, self._run.manifest
        return RunFacts(
            run_id=run.run_id,
            scenario=manifest.scenario,
            mode=manifest.mode,
            status=run.status,
            start_ns=self._start_ns,
            end_ns=self._end_ns,
            digest=run.digest,
            head=run.head,
            config_hash=manifest.config_hash,
            seed=manifest.seed,
            code_version=manifest.code_version,
            python=manifest.python,
            packages=dict(manifest.packages),
            slices=dict(manifest.slices),
            config=manifest.config,
            error=run.error or "",
        )

    def _counts(self) -> Mapping[str, int]:
        books = self._log.books
        found = {"events": self._run.summary.get("events")}
        counts = {name: value for name, value in found.items() if isinstance(value, int)}
        return counts | {
            "journal entries": self._run.entry_count,
            "decisions": len(books.decisions),
            "orders": len(books.orders),
            "fills": len(books.fills),
        }

    # --- prices and equity ---

    def _prices(self, names: Sequence[InstrumentId], edges_ns: IntArray) -> dict[str, Prices]:
        universe = self._universe
        return {
            str(name): read_prices(
                tape.streams_of(universe, name),
                universe.facts[name].ticks,
                self._start_ns,
                universe.end_ns,
                edges_ns,
            )
            for name in names
        }

    def _equity(self, prices: Mapping[str, Prices], edges_ns: IntArray) -> Equity:
        universe = self._universe
        balances = {
            (name, money.currency.code): money.as_decimal()
            for name, spec in universe.venues.items()
            for money in spec.balances
        }
        listings = [
            Listing(
                instrument_id=str(name),
                venue=name.venue.value,
                currency=facts.currency.code,
                margin=facts.market.margin,
                base=None if facts.base is None else facts.base.code,
            )
            for name, facts in universe.facts.items()
        ]
        marks = {name: found.marks for name, found in prices.items()}
        return fold_equity(
            balances, self._log.books.fills, listings, marks, edges_ns,
            rates=self._table.rates, report_currency=self._table.currency,
            positions=self._log.positions, corrections=self._log.capital.corrections,
        )  # fmt: skip

    # --- fills and trades ---

    def _market(self, instrument_id: InstrumentId) -> MarketFacts:
        return self._universe.markets[instrument_id.venue.value]

    def _execution(self, fill: Fill) -> Execution:
        order = self._log.books.orders.get(fill.order_id.value)
        tax = self._tax(fill)
        return Execution(
            strategy=fill.strategy,
            instrument_id=str(fill.instrument_id),
            buy=fill.side == OrderSide.BUY,
            quantity=fill.quantity.as_decimal(),
            price=fill.price.as_decimal(),
            fee=fill.commission.as_decimal() - tax,
            tax=tax,
            currency=fill.commission.currency.code,
            ts_ns=fill.ts_ns,
            order_id=fill.order_id.value,
            reason="" if order is None else order.reason,
            decided_at=self._decided.get(fill.order_id.value),
            one_tick=tape.tick_cost(self._universe, fill),
        )

    def _tax(self, fill: Fill) -> Decimal:
        """Return the tax within a fill's commission: the venue takes both in one sum."""
        rate = self._market(fill.instrument_id).sell_tax_rate
        if not rate or fill.side != OrderSide.SELL:
            return ZERO
        notional = fill.price.raw * fill.quantity.raw // RAW_ONE**2
        return min(Decimal(krx.sell_tax_krw(notional, rate)), fill.commission.as_decimal())

    def _trades(self, prices: Mapping[str, Prices]) -> list[Trade]:
        """Return closed trades in the order they closed, then those still open."""
        books, shares = self._log.books, tape.TripShares()
        for fill in books.fills:
            seen = self._execution(fill)
            shares.add(fill, tape.Share(seen.tax, seen.slippage, seen.one_tick))
        closed = [
            _closed_trade(trip, shares.next_ended(trip.strategy, trip.instrument_id))
            for trip in books.trades
        ]
        still_open = []
        for place, trip in sorted(books.open_trades.items(), key=lambda item: _key(item[0])):
            position = books.positions[place]
            last = prices[str(place[1])].marks.last
            unrealized = ZERO if last is None else position.unrealized(last)
            currency = self._universe.facts[place[1]].currency.code
            still_open.append(_open_trade(place, trip, unrealized, shares.left(*place), currency))
        return [*closed, *still_open]


def _news(capital: CapitalBooks) -> Iterator[str]:
    """Say which strategies failed, and what venues corrected, which is no strategy's result."""
    for stopped in capital.stopped:
        yield (
            f"Strategy {stopped.strategy} failed and was asked nothing more: {stopped.error} "
            f"{stopped.place}"
        ).rstrip()
    sums: dict[tuple[str, str], Decimal] = {}
    for one in capital.corrections:
        key = (one.venue, one.amount.currency.code)
        sums[key] = sums.get(key, ZERO) + one.amount.as_decimal()
    for (venue, code), amount in sums.items():
        yield (
            f"{venue} corrected its cash by {amount:,f} {code} in all: it is part of the venue's "
            "result and of no strategy's."
        )


def _key(place: tuple[str, InstrumentId]) -> tuple[str, str]:
    return place[0], str(place[1])


def _closed_trade(trip: RoundTrip, share: tape.Share) -> Trade:
    return Trade(
        strategy=trip.strategy,
        instrument_id=str(trip.instrument_id),
        long=trip.side == PositionSide.LONG,
        quantity=Decimal(trip.quantity_raw) / RAW_ONE,
        entry_ns=trip.entry_ns,
        exit_ns=trip.exit_ns,
        entry_price=trip.entry_price,
        exit_price=trip.exit_price,
        gross=trip.gross,
        fees=trip.fees - share.tax,
        tax=share.tax,
        slippage=share.slippage,
        one_tick=share.one_tick,
        currency=trip.currency,
        entry_reason=trip.entry_reason,
        exit_reason=trip.exit_reason,
    )


def _open_trade(
    place: tuple[str, InstrumentId],
    trip: OpenTrade,
    unrealized: Decimal,
    share: tape.Share,
    currency: str,
) -> Trade:
    strategy, instrument_id = place
    return Trade(
        strategy=strategy,
        instrument_id=str(instrument_id),
        long=trip.side == PositionSide.LONG,
        quantity=Decimal(trip.opened_raw) / RAW_ONE,
        entry_ns=trip.entry_ns,
        exit_ns=None,
        entry_price=trip.opened_value * RAW_ONE / trip.opened_raw,
        exit_price=None,
        gross=trip.gross + unrealized,
        fees=trip.fees - share.tax,
        tax=share.tax,
        slippage=share.slippage,
        one_tick=share.one_tick,
        currency=currency,
        entry_reason=trip.entry_reason,
        exit_reason="",
    )
