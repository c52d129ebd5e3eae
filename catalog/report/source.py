"""What a report is made of: plain frozen values, wherever they come from.

Rule: equal input gives equal bytes; nothing here is a wall-clock time of writing or a path.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from catalog.benchmark import Benchmark
from catalog.equity import Book, Equity
from catalog.stats.periods import Period
from catalog.stats.summary import Record
from catalog.stats.trades import Trade
from catalog.thinning import Candles, FloatArray, Series

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What identifies a run; hashes are hex text, ``config`` is the resolved scenario as text.

    ``run_id``, ``code_version``, ``python`` and ``packages`` differ between equal runs: they are
    for machines (JSON) and never on the page, which has the same bytes for equal digests.
    """

    run_id: str
    scenario: str
    mode: str
    status: str
    start_ns: int
    end_ns: int
    digest: str
    head: str
    config_hash: str
    seed: int
    code_version: str = ""
    python: str = ""
    packages: Mapping[str, str] = field(default_factory=dict)
    slices: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One fill with the reason of its order; ``fee`` and ``tax`` are in ``currency``."""

    strategy: str
    instrument_id: str
    buy: bool
    quantity: Decimal
    price: Decimal
    fee: Decimal
    tax: Decimal
    currency: str
    ts_ns: int
    order_id: str
    reason: str
    decided_at: Decimal | None = None
    one_tick: Decimal = ZERO

    @property
    def slippage(self) -> Decimal:
        """What the fill cost against the price its order was decided on; below zero it gained."""
        if self.decided_at is None:
            return ZERO
        return (self.price - self.decided_at) * self.quantity * (1 if self.buy else -1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One stream of market data the run stood on.

    ``origin``: how its rows came to be, as recorded, streamed, polled, repaired. ``missing`` of
    ``expected`` sessions in the window held not a single row of it. ``changed``: the catalog holds
    other rows now than the run read. ``age_ns``: from its last row to the end of the window.
    """

    stream: str
    instrument_id: str
    rows: int
    origin: str
    source: str
    adjusted: bool
    changed: bool
    missing: int
    expected: int
    age_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """How often a limit said no to a strategy, with one example in words."""

    limit: str
    strategy: str
    count: int
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CapitalTable:
    """One view of the capital manager's own log, ready to be shown; cells are text."""

    title: str
    lead: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReportInput:
    """Everything a report shows.

    ``prices``: instrument -> its prices, as candles or as a line. ``zones``: venue -> IANA name of
    its time zone. ``period``: the step of the equity's closes, taken in ``zone``. ``counts``: what
    else the run counted, such as decisions, orders and events. ``notes``: what the loader knows
    that the reader should not miss, one sentence each.
    """

    run: RunFacts
    executions: Sequence[Execution]
    trades: Sequence[Trade]
    refusals: Sequence[Refused]
    equity: Equity
    prices: Mapping[str, Series | Candles]
    zones: Mapping[str, str]
    period: Period
    counts: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()
    benchmark: Benchmark | None = None
    feeds: Sequence[Feed] = ()
    parameters: Mapping[str, int] = field(default_factory=dict)
    trials: int | None = None
    chosen_by_pattern: bool = False
    instruments: int = 0
    capital: Sequence[CapitalTable] = ()

    @property
    def zone(self) -> str:
        """The zone all venues share, otherwise UTC: for what belongs to no single venue."""
        names = set(self.zones.values())
        return names.pop() if len(names) == 1 else "UTC"

    def zone_of(self, instrument_id: str) -> str:
        """The zone of an instrument's venue."""
        return self.zones.get(venue_of(instrument_id), "UTC")

    def columns(self) -> list[Book]:
        """The books to show beside each other, the total first where there is one."""
        books = list(self.equity.books)
        total = self.equity.total
        return [total, *books] if total is not None and len(books) > 1 else books

    def fills_of(self, strategy: str | None, venue: str, currency: str) -> list[Execution]:
        """Fills on a venue in a currency, of one strategy or of all."""
        return [
            fill
            for fill in self.executions
            if _place(fill.instrument_id, fill.currency) == (venue, currency)
            and strategy in {None, fill.strategy}
        ]

    def tax_of(self, strategy: str | None, venue: str, currency: str) -> Decimal:
        """Tax paid on a venue in a currency, by one strategy or by all."""
        return sum((fill.tax for fill in self.fills_of(strategy, venue, currency)), ZERO)

    def record(self, book: Book) -> Record:
        """What the statistics of a book are computed from, in its currency."""
        if book is self.equity.total and len(self.equity.books) > 1:
            trades = [_converted(trade, self.equity.rates) for trade in self.trades]
            rates = self.equity.rates
            tax = sum((e.tax * rates[e.currency] for e in self.executions), ZERO)
            slippage = sum((e.slippage * rates[e.currency] for e in self.executions), ZERO)
            one_tick = sum((e.one_tick * rates[e.currency] for e in self.executions), ZERO)
        else:
            fills = self.fills_of(None, book.venue, book.currency)
            slippage = sum((fill.slippage for fill in fills), ZERO)
            one_tick = sum((fill.one_tick for fill in fills), ZERO)
            trades = [t for t in self.trades if _place(t.instrument_id, t.currency) == _of(book)]
            tax = self.tax_of(None, book.venue, book.currency)
        return Record(
            start=book.start,
            end=book.end,
            fees=book.commission - tax,
            tax=tax,
            notional=book.notional,
            fill_count=book.fill_count,
            trades=trades,
            curve_ns=book.curve.ts_ns,
            curve=book.curve.value,
            closes_ns=book.closes.ts_ns,
            closes=book.closes.value,
            period=self.period,
            zone=self.zone,
            slippage=slippage,
            one_tick=one_tick,
            used=book.used.value,
            benchmark=self.benchmark_closes(book),
            trials=self.trials,
        )

    def benchmark_closes(self, book: Book) -> FloatArray | None:
        """The benchmark at the book's closes, None where there is none."""
        if self.benchmark is None:
            return None
        return self.benchmark.values(book, book.closes.ts_ns)


def venue_of(instrument_id: str) -> str:
    """Return the venue of ``SYMBOL.VENUE``."""
    return instrument_id.rpartition(".")[2]


def _place(instrument_id: str, currency: str) -> tuple[str, str]:
    return venue_of(instrument_id), currency


def _of(book: Book) -> tuple[str, str]:
    return book.venue, book.currency


def _converted(trade: Trade, rates: Mapping[str, Decimal]) -> Trade:
    rate = rates[trade.currency]
    return replace(
        trade,
        gross=trade.gross * rate,
        fees=trade.fees * rate,
        tax=trade.tax * rate,
        worst=None if trade.worst is None else trade.worst * rate,
        best=None if trade.best is None else trade.best * rate,
        slippage=trade.slippage * rate,
        one_tick=trade.one_tick * rate,
    )
