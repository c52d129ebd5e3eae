"""Equity as a fold over fills: per venue and currency, per strategy, and in one report currency.

Rule: balances and results at the end are Decimal and exact; curves are float, for drawing and for
period returns. Between fills a position is worth the last known price; nothing looks ahead.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from catalog.flows import ZERO, Flow, Key, Listing, corrections_of, flows_of
from catalog.stats.periods import observed
from catalog.stats.returns import max_drawdown
from catalog.stats.values import Undefined
from catalog.thinning import FloatArray, IntArray, PriceMarks, Series, thin_positions
from strategies.messages import CashCorrection, Fill, PositionUpdate

__all__ = ["Book", "Equity", "Listing", "StrategyBook", "fold_equity"]

DRAWN_POINTS = 4_000
"""Points of a drawn curve; more cannot be told apart on a screen."""
EXAMINED_POINTS = 200_000
"""Times at which equity is evaluated before it is thinned."""

type Place = tuple[str, str]
"""Venue and currency code."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Book:
    """The money of one venue in one currency, or of everything in the report currency.

    ``result`` = end - start is after costs. ``open_result`` is the part of it that stands on open
    positions at their last known price. ``curve`` is drawn, ``closes`` has one value per period,
    ``used`` is what the open positions were worth, long and short added up, at the curve's times.
    ``corrected`` is the part of the result that venues corrected their cash by: no strategy's.
    """

    venue: str
    currency: str
    start: Decimal
    end: Decimal
    commission: Decimal
    notional: Decimal
    fill_count: int
    open_result: Decimal
    curve: Series
    closes: Series
    used: Series
    corrected: Decimal = ZERO

    @property
    def result(self) -> Decimal:
        """What was earned after costs."""
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StrategyBook:
    """What one strategy earned in one currency on one venue; ``curve`` starts at zero."""

    strategy: str
    venue: str
    currency: str
    result: Decimal
    commission: Decimal
    fill_count: int
    curve: Series


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Equity:
    """All books of a run.

    ``total`` is None where currencies differ and no rate was given; ``rates`` is what one unit of
    each currency counts in the total, empty without one.
    """

    books: Sequence[Book]
    strategies: Sequence[StrategyBook]
    total: Book | None
    rates: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """The times at which equity is looked at: all, ends of periods, fills and corrections."""

    times_ns: IntArray
    closes_ns: IntArray
    fills_ns: IntArray

    def curve(self, value: FloatArray) -> Series:
        """Return a drawable curve: the fills, the extremes and the deepest fall stay."""
        keep = np.searchsorted(self.times_ns, self.fills_ns)
        fall = max_drawdown(self.times_ns, value)
        if not isinstance(fall, Undefined):
            ends = np.searchsorted(self.times_ns, [fall.peak_ns, fall.trough_ns])
            keep = np.unique(np.concatenate([keep, ends]))
        spots = thin_positions(value, DRAWN_POINTS, keep)
        return Series(self.times_ns[spots], value[spots])


@dataclass(frozen=True, slots=True, eq=False)
class _Ledger:
    """The flows of one venue and currency, with the money that was there at the start."""

    place: Place
    balance: Decimal
    flows: Sequence[Flow]
    marks: Mapping[str, PriceMarks]

    def values(self, times_ns: IntArray) -> FloatArray:
        total = np.full(len(times_ns), float(self.balance))
        for flow in self.flows:
            total += flow.values(times_ns, self.marks)
        return total

    def used(self, times_ns: IntArray) -> FloatArray:
        """Return what the open positions were worth, each counted by its size."""
        total = np.zeros(len(times_ns))
        for flow in self.flows:
            total += np.abs(flow.open_values(times_ns, self.marks))
        return total

    def sum(self, amount: Callable[[Flow], Decimal]) -> Decimal:
        return sum((amount(flow) for flow in self.flows), ZERO)

    def book(self, grid: _Grid, realized: Mapping[str, Decimal]) -> Book:
        curve = grid.curve(self.values(grid.times_ns))
        return Book(
            venue=self.place[0],
            currency=self.place[1],
            start=self.balance + self.sum(lambda flow: flow.first_value(self.marks)),
            end=self.balance + self.sum(lambda flow: self._worth(flow, realized)),
            commission=self.sum(lambda flow: flow.commission),
            notional=self.sum(lambda flow: flow.notional),
            fill_count=sum(flow.trade_count for flow in self.flows),
            open_result=self.sum(lambda flow: flow.open_result(self.marks)),
            curve=curve,
            closes=Series(grid.closes_ns, self.values(grid.closes_ns)),
            used=Series(curve.ts_ns, self.used(curve.ts_ns)),
            corrected=self.sum(lambda flow: flow.corrected),
        )

    def _worth(self, flow: Flow, realized: Mapping[str, Decimal]) -> Decimal:
        name = flow.listing.instrument_id
        if flow.listing.margin and name in realized:
            return realized[name] + flow.open_result(self.marks)
        return flow.last_value(self.marks)


def fold_equity(
    balances: Mapping[Place, Decimal],
    fills: Sequence[Fill],
    listings: Iterable[Listing],
    marks: Mapping[str, PriceMarks],
    edges_ns: IntArray,
    *,
    rates: Mapping[str, Decimal] | None = None,
    report_currency: str | None = None,
    positions: Iterable[PositionUpdate] = (),
    corrections: Sequence[CashCorrection] = (),
) -> Equity:
    """Compute equity per venue and currency, result per strategy, and a total where possible.

    ``balances``: money at the start. ``fills`` in the order they happened. ``marks``: instrument
    -> known prices. ``edges_ns`` from `stats.period_edges`: its first and last element are the
    window. ``rates``: what one unit of a currency is worth in ``report_currency``, constant over
    the run. ``positions``: the engine's own realised results, which make margin balances exact to
    the last digit it rounded. ``corrections``: what venues changed their cash by; in the books of
    venues and the total, of no strategy. Raises BadInput where a fill's instrument is not listed.
    """
    known = {listing.instrument_id: listing for listing in listings}
    flows = flows_of(fills, known, lambda _: "") | corrections_of(corrections)
    happened = [*(fill.ts_ns for fill in fills), *(one.ts_ns for one in corrections)]
    grid = _grid(happened, marks, {key[1] for key in flows}, edges_ns)
    realized = _realized(positions)
    ledgers = _ledgers(balances, flows, marks)
    books = [ledger.book(grid, realized) for ledger in ledgers]
    own = flows_of(fills, known, lambda fill: fill.strategy)
    report, counted = _counted({book.currency for book in books}, rates or {}, report_currency)
    return Equity(
        books=books,
        strategies=_strategies(own, marks, books),
        total=_total(ledgers, books, grid, counted, report) if counted else None,
        rates=counted,
    )


def _counted(
    names: set[str], rates: Mapping[str, Decimal], currency: str | None
) -> tuple[str, dict[str, Decimal]]:
    """Return the report currency and every currency's rate; nothing where one has no rate."""
    report = currency or (min(names) if len(names) == 1 else "")
    if not report or any(name != report and name not in rates for name in names):
        return "", {}
    return report, {name: Decimal(1) if name == report else rates[name] for name in sorted(names)}


def _grid(
    happened_ns: Sequence[int],
    marks: Mapping[str, PriceMarks],
    traded: set[str],
    edges_ns: IntArray,
) -> _Grid:
    fills_ns = np.unique(np.array(happened_ns, dtype=np.int64))
    fills_ns = fills_ns[(fills_ns >= edges_ns[0]) & (fills_ns <= edges_ns[-1])]
    seen = [series.ts_ns for series in marks.values() if len(series.ts_ns)]
    closes_ns = edges_ns
    if seen:
        closes_ns = observed(edges_ns, np.unique(np.concatenate([*seen, fills_ns])))
    shown = [marks[name] for name in sorted(traded & marks.keys())]
    budget = EXAMINED_POINTS // max(len(shown), 1)
    kept = [series.ts_ns[thin_positions(series.price, budget)] for series in shown]
    times_ns = np.unique(np.concatenate([fills_ns, closes_ns, edges_ns[-1:], *kept]))
    inside = (times_ns >= edges_ns[0]) & (times_ns <= edges_ns[-1])
    return _Grid(times_ns[inside], closes_ns, fills_ns)


def _realized(positions: Iterable[PositionUpdate]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for update in positions:
        name = str(update.instrument_id)
        sums[name] = sums.get(name, ZERO) + update.realized.as_decimal()
    return sums


def _ledgers(
    balances: Mapping[Place, Decimal], flows: Mapping[Key, Flow], marks: Mapping[str, PriceMarks]
) -> list[_Ledger]:
    """Sort flows by venue and currency; assets held at the start join the flow that trades them."""
    places: dict[Place, list[Flow]] = {place: [] for place in balances}
    joined: set[Place] = set()
    for (_, _, currency), flow in sorted(flows.items()):
        asset = (flow.listing.venue, flow.listing.base or "")
        if asset in places and not places[asset]:
            flow.held = balances[asset]
            del places[asset]
            joined.add(asset)
        places.setdefault((flow.listing.venue, currency), []).append(flow)
    return [
        _Ledger(place, ZERO if place in joined else balances.get(place, ZERO), owned, marks)
        for place, owned in sorted(places.items())
    ]


def _strategies(
    flows: Mapping[Key, Flow], marks: Mapping[str, PriceMarks], books: Sequence[Book]
) -> list[StrategyBook]:
    times = {(book.venue, book.currency): book.curve.ts_ns for book in books}
    owned: dict[Key, list[Flow]] = defaultdict(list)
    for (strategy, _, currency), flow in sorted(flows.items()):
        owned[strategy, flow.listing.venue, currency].append(flow)
    found = []
    for (strategy, venue, currency), parts in sorted(owned.items()):
        ledger = _Ledger((venue, currency), ZERO, parts, marks)
        times_ns = times[venue, currency]
        found.append(
            StrategyBook(
                strategy=strategy,
                venue=venue,
                currency=currency,
                result=ledger.sum(lambda flow: flow.result(marks)),
                commission=ledger.sum(lambda flow: flow.commission),
                fill_count=sum(flow.trade_count for flow in parts),
                curve=Series(times_ns, ledger.values(times_ns)),
            )
        )
    return found


def _total(
    ledgers: Sequence[_Ledger],
    books: Sequence[Book],
    grid: _Grid,
    rate: Mapping[str, Decimal],
    report: str,
) -> Book:
    """Add the books up in the report currency."""

    def money(amount: Callable[[Book], Decimal]) -> Decimal:
        return sum((amount(book) * rate[book.currency] for book in books), ZERO)

    def over(values: Callable[[_Ledger, IntArray], FloatArray], times_ns: IntArray) -> FloatArray:
        total = np.zeros(len(times_ns))
        for ledger in ledgers:
            total += values(ledger, times_ns) * float(rate[ledger.place[1]])
        return total

    curve = grid.curve(over(_Ledger.values, grid.times_ns))
    return Book(
        venue="all venues",
        currency=report,
        start=money(lambda book: book.start),
        end=money(lambda book: book.end),
        commission=money(lambda book: book.commission),
        notional=money(lambda book: book.notional),
        fill_count=sum(book.fill_count for book in books),
        open_result=money(lambda book: book.open_result),
        curve=curve,
        closes=Series(grid.closes_ns, over(_Ledger.values, grid.closes_ns)),
        used=Series(curve.ts_ns, over(_Ledger.used, curve.ts_ns)),
        corrected=money(lambda book: book.corrected),
    )
