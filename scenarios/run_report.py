"""Loads a run from its journal and tape into a report's input, and writes the report.

Rule: reads only; what is shown is folded from journal entries, and prices come from the tape the
run was made from.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from nautilus_trader.model import InstrumentId, OrderSide, PositionSide

from catalog.equity import Equity, Listing, fold_equity
from catalog.folds import Books, OpenTrade
from catalog.folds import Trade as RoundTrip
from catalog.journal import Entry, JournalStore, open_journal
from catalog.prices import Prices, read_prices
from catalog.report import Execution, Refused, ReportInput, RunFacts, write_report
from catalog.runs import Run
from catalog.stats import Trade, choose_period, period_edges
from catalog.store import Store
from catalog.thinning import IntArray
from scenarios.scenario import scenario_from_json
from scenarios.settings import Settings
from scenarios.wiring import Universe, resolve
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.facts import RAW_ONE, MarketFacts
from strategies.messages import Fill, PositionUpdate, Refusal
from strategies.ports import Kind

ZERO = Decimal(0)
FOLDED = (Kind.INTENT, Kind.GRANT, Kind.REFUSAL, Kind.COMMAND, Kind.FILL, Kind.POSITION)


def report_run(name: str, settings: Settings, out: Path | None = None) -> Path:
    """Write the report of a run to ``out`` or under its name in the home, and return its path.

    ``name`` is a run's id, its unique beginning, or ``last``. Raises BadInput where the run or
    its market data is not there, or the file cannot be written.
    """
    with open_journal(settings.journal_url, settings.home) as journal:
        run = journal.find(name)
        source = load_report(journal, run, settings)
    return write_report(source, out or settings.reports / f"{run.run_id}.html")


def load_report(journal: JournalStore, run: Run, settings: Settings) -> ReportInput:
    """Return everything a run's report shows."""
    if run.status == "running":
        raise BadInput(f"run {run.run_id} is still running; write its report when it has ended.")
    folder = Path(run.manifest.folder) if run.manifest.folder else None
    universe = resolve(scenario_from_json(run.manifest.config, folder), Store(settings.catalog))
    log = _Log()
    for entry in journal.entries(run, kinds=FOLDED):
        log.add(entry)
    return _Loader(run, universe, log).load()


@dataclass(slots=True)
class _Log:
    """What a report needs of a journal."""

    books: Books = field(default_factory=Books)
    positions: list[PositionUpdate] = field(default_factory=list)
    refused: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Fold one entry in."""
        self.books.add(entry)
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
    def __init__(self, run: Run, universe: Universe, log: _Log) -> None:
        self._run = run
        self._universe = universe
        self._log = log
        self._zones = {name: market.timezone for name, market in universe.markets.items()}
        names = set(self._zones.values())
        self._zone = names.pop() if len(names) == 1 else "UTC"
        self._start_ns = universe.start_ns
        self._end_ns = max([universe.end_ns, *(fill.ts_ns for fill in log.books.fills[-1:])])
        self._period = choose_period(self._start_ns, self._end_ns)

    def load(self) -> ReportInput:
        edges_ns = period_edges(self._start_ns, self._end_ns, self._period, self._zone)
        prices = self._prices(edges_ns)
        return ReportInput(
            run=self._facts(),
            executions=[self._execution(fill) for fill in self._log.books.fills],
            trades=self._trades(prices),
            refusals=[
                Refused(limit=limit, strategy=strategy, count=count, example=example)
                for (limit, strategy), (count, example) in sorted(self._log.refused.items())
            ],
            equity=self._equity(prices, edges_ns),
            prices={name: found.drawn for name, found in prices.items()},
            zones=self._zones,
            period=self._period,
            counts=self._counts(),
        )

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

    def _prices(self, edges_ns: IntArray) -> dict[str, Prices]:
        """Read the prices of what was traded; an instrument never traded needs none."""
        universe = self._universe
        traded = {fill.instrument_id for fill in self._log.books.fills}
        return {
            str(name): read_prices(
                [stream for stream in universe.streams if stream.instrument_id == name],
                universe.facts[name].ticks,
                self._start_ns,
                universe.end_ns,
                edges_ns,
            )
            for name in universe.instruments
            if name in traded
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
            positions=self._log.positions,
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
        books, taxes = self._log.books, self._taxes()
        closed = [_closed_trade(trip, taxes.of(trip)) for trip in books.trades]
        still_open = []
        for (strategy, name), trip in sorted(
            books.open_trades.items(), key=lambda item: _key(item[0])
        ):
            position = books.positions[strategy, name]
            last = prices[str(name)].marks.last
            unrealized = ZERO if last is None else position.unrealized(last)
            currency = self._universe.facts[name].currency.code
            tax = taxes.left(strategy, name)
            still_open.append(_open_trade(strategy, name, trip, unrealized, tax, currency))
        return [*closed, *still_open]

    def _taxes(self) -> "_Taxes":
        taxes = _Taxes()
        for fill in self._log.books.fills:
            taxes.add(fill, self._tax(fill))
        return taxes


def _key(place: tuple[str, InstrumentId]) -> tuple[str, str]:
    return place[0], str(place[1])


class _Taxes:
    """Shares taxes out to round trips: each sale belongs to the first trip that ends with it."""

    def __init__(self) -> None:
        self._paid: dict[tuple[str, InstrumentId], deque[tuple[int, Decimal]]] = {}

    def add(self, fill: Fill, tax: Decimal) -> None:
        """Note the tax of one fill; fills come in their order."""
        if tax:
            paid = self._paid.setdefault((fill.strategy, fill.instrument_id), deque())
            paid.append((fill.ts_ns, tax))

    def of(self, trip: RoundTrip) -> Decimal:
        """Take out what was paid up to a trip's exit; trips come in the order they ended."""
        paid = self._paid.get((trip.strategy, trip.instrument_id), deque())
        total = ZERO
        while paid and paid[0][0] <= trip.exit_ns:
            total += paid.popleft()[1]
        return total

    def left(self, strategy: str, instrument_id: InstrumentId) -> Decimal:
        """Return what no closed trip took: it belongs to the open one."""
        return sum((tax for _, tax in self._paid.get((strategy, instrument_id), ())), ZERO)


def _closed_trade(trip: RoundTrip, tax: Decimal) -> Trade:
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
        fees=trip.fees - tax,
        tax=tax,
        currency=trip.currency,
        entry_reason=trip.entry_reason,
        exit_reason=trip.exit_reason,
    )


def _open_trade(
    strategy: str,
    instrument_id: InstrumentId,
    trip: OpenTrade,
    unrealized: Decimal,
    tax: Decimal,
    currency: str,
) -> Trade:
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
        fees=trip.fees - tax,
        tax=tax,
        currency=currency,
        entry_reason=trip.entry_reason,
        exit_reason="",
    )
