"""What a report is made of: plain frozen values, wherever they come from.

Rule: equal input gives equal bytes; nothing here is a wall-clock time of writing or a path.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from catalog.equity import Book, Equity
from catalog.stats.periods import Period
from catalog.stats.summary import Record
from catalog.stats.trades import Trade
from catalog.thinning import Candles, Series

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What identifies a run; hashes are hex text, ``config`` is the resolved scenario as text."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """How often a limit said no to a strategy, with one example in words."""

    limit: str
    strategy: str
    count: int
    example: str


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

    def tax_of(self, strategy: str | None, venue: str, currency: str) -> Decimal:
        """Tax paid on a venue in a currency, by one strategy or by all."""
        return sum(
            (
                fill.tax
                for fill in self.executions
                if _place(fill.instrument_id, fill.currency) == (venue, currency)
                and strategy in {None, fill.strategy}
            ),
            ZERO,
        )

    def record(self, book: Book) -> Record:
        """What the statistics of a book are computed from, in its currency."""
        if book is self.equity.total and len(self.equity.books) > 1:
            trades = [_converted(trade, self.equity.rates) for trade in self.trades]
            tax = sum((e.tax * self.equity.rates[e.currency] for e in self.executions), ZERO)
        else:
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
        )


def venue_of(instrument_id: str) -> str:
    """Return the venue of ``SYMBOL.VENUE``."""
    return instrument_id.rpartition(".")[2]


def _place(instrument_id: str, currency: str) -> tuple[str, str]:
    return venue_of(instrument_id), currency


def _of(book: Book) -> tuple[str, str]:
    return book.venue, book.currency


def _converted(trade: Trade, rates: Mapping[str, Decimal]) -> Trade:
    rate = rates[trade.currency]
    return replace(trade, gross=trade.gross * rate, fees=trade.fees * rate, tax=trade.tax * rate)
