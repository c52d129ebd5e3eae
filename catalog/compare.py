"""Two runs side by side: what both decided, ordered, filled and paid, and where they part.

Rule: equal means the same decisions, orders and fills in the same order at the same market times;
ids are left out, because they are made from a scenario's name and seed.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from statistics import median
from typing import NamedTuple

from catalog.folds import DECISION_KINDS, Books, Order
from catalog.journal import Entry
from strategies.messages import Fill

ZERO = Decimal(0)
MONEY_DIGITS = 8
"""Below the smallest unit of every currency here; averages leave digits without meaning."""
COMPARED = ("instrument_id", "side", "quantity", "price", "limit", "reason")


class Step(NamedTuple):
    """One decision or fill without its ids; ``what`` says the rest in words."""

    ts_ns: int
    who: str
    what: str


@dataclass(slots=True)
class Side:
    """One run, folded for comparison; ``slippage`` by currency, empty where it is not known."""

    name: str
    books: Books = field(default_factory=Books)
    decisions: list[Step] = field(default_factory=list)
    slippage: dict[str, Decimal] = field(default_factory=dict)

    def add(self, entry: Entry) -> None:
        """Fold one entry in."""
        self.books.add(entry)
        if entry.kind in DECISION_KINDS:
            self.decisions.append(_decision(entry))

    @property
    def fills(self) -> list[Step]:
        """The fills in their order."""
        return [_fill(fill) for fill in self.books.fills]

    @property
    def orders(self) -> list[Step]:
        """The orders in the order they were granted, with how far they came."""
        return [_order(order) for order in self.books.orders.values()]

    def fees(self) -> dict[str, Decimal]:
        """Commission paid, by currency."""
        found: dict[str, Decimal] = {}
        for fill in self.books.fills:
            code = fill.commission.currency.code
            found[code] = found.get(code, ZERO) + fill.commission.as_decimal()
        return found

    def realized(self) -> dict[str, Decimal]:
        """Realised result after fees, by currency."""
        found: dict[str, Decimal] = {}
        for (_, code), profit in self.books.profits().items():
            found[code] = found.get(code, ZERO) + profit.net
        return found

    def waits_ns(self) -> list[int]:
        """From each grant to the last fill of its order, ns of market time."""
        last: dict[str, int] = {}
        for fill in self.books.fills:
            last[fill.order_id.value] = fill.ts_ns
        orders = self.books.orders
        return [ts - orders[name].granted_ns for name, ts in last.items() if name in orders]


def fold_side(name: str, entries: Iterable[Entry]) -> Side:
    """Return a run folded for comparison, from its entries in order."""
    side = Side(name)
    for entry in entries:
        side.add(entry)
    return side


def _decision(entry: Entry) -> Step:
    message = entry.message
    parts = [type(message).__name__]
    for name in COMPARED:
        value = getattr(message, name, None)
        if value is not None and value != "":
            parts.append(f"{name.removesuffix('_id')} {value}")
    return Step(entry.ts_ns, entry.source, ", ".join(parts))


def _fill(fill: Fill) -> Step:
    what = f"{fill.side} {fill.quantity} {fill.instrument_id} at {fill.price}, {fill.commission}"
    return Step(fill.ts_ns, fill.strategy, what)


def _order(order: Order) -> Step:
    price = "market" if order.price is None else f"limit {order.price}"
    what = f"{order.side} {order.quantity} {order.instrument_id} {price}, {order.state}"
    return Step(order.granted_ns, order.strategy, what)


# --- the comparison -------------------------------------------------------------------------------


class Divergence(NamedTuple):
    """Where two runs part: the kind of step, its number from 1, what each did (None: nothing)."""

    kind: str
    number: int
    first: Step | None
    second: Step | None


class Measure(NamedTuple):
    """One number of both runs; None where it is not known."""

    name: str
    first: Decimal | int | None
    second: Decimal | int | None
    unit: str = ""

    @property
    def difference(self) -> Decimal | int | None:
        """Second less first."""
        if self.first is None or self.second is None:
            return None
        return self.second - self.first


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two runs beside each other; ``divergence`` of None means that they are equal."""

    measures: Sequence[Measure]
    divergence: Divergence | None

    @property
    def equal(self) -> bool:
        """Whether both runs did the same."""
        return self.divergence is None


def compare(first: Side, second: Side) -> Comparison:
    """Put two runs side by side."""
    return Comparison(_measures(first, second), _divergence(first, second))


def _divergence(first: Side, second: Side) -> Divergence | None:
    """Return the earliest of the first differences in decisions, orders and fills."""
    found = [
        part
        for kind, ours, theirs in (
            ("decision", first.decisions, second.decisions),
            ("fill", first.fills, second.fills),
            ("order", first.orders, second.orders),
        )
        if (part := _first_difference(kind, ours, theirs)) is not None
    ]
    return min(found, key=_when, default=None)


def _when(part: Divergence) -> int:
    return min(step.ts_ns for step in (part.first, part.second) if step is not None)


def _first_difference(kind: str, ours: Sequence[Step], theirs: Sequence[Step]) -> Divergence | None:
    for i, (one, other) in enumerate(zip(ours, theirs, strict=False), start=1):
        if one != other:
            return Divergence(kind, i, one, other)
    shorter = min(len(ours), len(theirs))
    if len(ours) == len(theirs):
        return None
    rest = [steps[shorter] if len(steps) > shorter else None for steps in (ours, theirs)]
    return Divergence(kind, shorter + 1, rest[0], rest[1])


def _measures(first: Side, second: Side) -> list[Measure]:
    alike = _alike(first.decisions, second.decisions)
    found = [
        Measure("decisions", len(first.decisions), len(second.decisions)),
        Measure("of them alike, at any time", alike, alike),
        Measure("refusals", first.books.refusals.total(), second.books.refusals.total()),
        Measure("orders", len(first.books.orders), len(second.books.orders)),
        Measure("fills", len(first.books.fills), len(second.books.fills)),
        Measure("round trips", len(first.books.trades), len(second.books.trades)),
    ]
    found += _by_currency("fees and tax", first.fees(), second.fees())
    found += _by_currency("realised after costs", first.realized(), second.realized())
    if first.slippage and second.slippage:
        found += _by_currency("slippage", first.slippage, second.slippage)
    ours, theirs = first.waits_ns(), second.waits_ns()
    longest = (max(ours, default=None), max(theirs, default=None))
    return [
        *found,
        Measure("grant to fill, median", _typical(ours), _typical(theirs), "ns"),
        Measure("grant to fill, longest", *longest, "ns"),
    ]


def _alike(ours: Sequence[Step], theirs: Sequence[Step]) -> int:
    counts = [Counter((step.who, step.what) for step in steps) for steps in (ours, theirs)]
    return (counts[0] & counts[1]).total()


def _typical(waits: Sequence[int]) -> int | None:
    return int(median(waits)) if waits else None


def _by_currency(name: str, first: dict[str, Decimal], second: dict[str, Decimal]) -> list[Measure]:
    return [
        Measure(name, _rounded(first, code), _rounded(second, code), code)
        for code in sorted({*first, *second})
    ]


def _rounded(sums: dict[str, Decimal], code: str) -> Decimal:
    return round(sums.get(code, ZERO), MONEY_DIGITS)
