"""Running sums over the fills of one instrument: money moved, position held, what it cost.

Rule: a flow is worth cash moved plus position times price, which holds for cash accounts and for
margin alike. Sums are Decimal; only `values`, which is drawn, is float.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

import numpy as np
from nautilus_trader.model import OrderSide

from catalog.thinning import FloatArray, IntArray, PriceMarks
from strategies.errors import BadInput
from strategies.messages import CashCorrection, Fill

ZERO = Decimal(0)

type Key = tuple[str, str, str]
"""A strategy's name or nothing, an instrument, the currency moved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What the fold must know of an instrument.

    ``currency`` settles it; ``base`` is the asset a spot fill delivers, None otherwise.
    ``margin``: fills move realised P&L only, so `PositionUpdate.realized` gives the exact balance.
    """

    instrument_id: str
    venue: str
    currency: str
    margin: bool
    base: str | None = None


@dataclass(slots=True)
class Flow:
    """The fills of one instrument folded; ``held`` is what was there before the first of them."""

    listing: Listing
    held: Decimal = ZERO
    ts_ns: list[int] = field(default_factory=list)
    prices: list[Decimal] = field(default_factory=list)
    cash: list[Decimal] = field(default_factory=lambda: [ZERO])
    net: list[Decimal] = field(default_factory=lambda: [ZERO])
    commission: Decimal = ZERO
    notional: Decimal = ZERO
    cost: Decimal = ZERO
    corrected: Decimal = ZERO
    trade_count: int = 0

    def trade(self, fill: Fill, paid: Decimal) -> None:
        """Fold one fill in; ``paid`` is its commission in the settlement currency."""
        price: Decimal = fill.price.as_decimal()
        signed: Decimal = fill.quantity.as_decimal() * (1 if fill.side == OrderSide.BUY else -1)
        self._reprice(signed, price)
        self._step(fill.ts_ns, price, -signed * price - paid, signed)
        self.commission += paid
        self.notional += abs(signed) * price
        self.trade_count += 1

    def pay(self, ts_ns: int, paid: Decimal) -> None:
        """Fold in a commission that was taken in a currency of its own."""
        self._step(ts_ns, ZERO, -paid, ZERO)
        self.commission += paid

    def correct(self, ts_ns: int, amount: Decimal) -> None:
        """Fold in a venue's correction of its cash, which no fill caused."""
        self._step(ts_ns, ZERO, amount, ZERO)
        self.corrected += amount

    def _step(self, ts_ns: int, price: Decimal, cash: Decimal, signed: Decimal) -> None:
        self.ts_ns.append(ts_ns)
        self.prices.append(price)
        self.cash.append(self.cash[-1] + cash)
        self.net.append(self.net[-1] + signed)

    def _reprice(self, signed: Decimal, price: Decimal) -> None:
        """Keep ``cost``: what the open part cost at its average price, signed as the position."""
        before = self.net[-1]
        after = before + signed
        if before * signed >= 0:
            self.cost += signed * price
        elif before * after > 0:
            self.cost *= after / before
        else:
            self.cost = after * price

    def marks(self, known: Mapping[str, PriceMarks]) -> PriceMarks:
        """Return the instrument's prices; those of its own fills where no others are known."""
        given = known.get(self.listing.instrument_id)
        if given is not None and len(given.ts_ns):
            return given
        own = np.array([float(price) for price in self.prices])
        return PriceMarks(np.array(self.ts_ns, np.int64), own, self.prices[-1])

    def last_price(self, known: Mapping[str, PriceMarks]) -> Decimal:
        """Return the exact last known price."""
        marks = self.marks(known)
        return _exact(marks.price[-1]) if marks.last is None else marks.last

    def values(self, times_ns: IntArray, known: Mapping[str, PriceMarks]) -> FloatArray:
        """Return what the flow was worth at each time: cash moved plus position times price."""
        step = self._steps(times_ns)
        cash = np.array([float(value) for value in self.cash])[step]
        net = np.array([float(value + self.held) for value in self.net])[step]
        return np.asarray(cash + net * self._prices(times_ns, known), dtype=np.float64)

    def open_values(self, times_ns: IntArray, known: Mapping[str, PriceMarks]) -> FloatArray:
        """Return what the position was worth at each time, negative while short."""
        net = np.array([float(value) for value in self.net])[self._steps(times_ns)]
        return np.asarray(net * self._prices(times_ns, known), dtype=np.float64)

    def _steps(self, times_ns: IntArray) -> IntArray:
        """Return how many fills had happened at each time."""
        return np.searchsorted(np.array(self.ts_ns, np.int64), times_ns, side="right")

    def _prices(self, times_ns: IntArray, known: Mapping[str, PriceMarks]) -> FloatArray:
        marks = self.marks(known)
        spot = np.searchsorted(marks.ts_ns, times_ns, side="right") - 1
        early = float(marks.price[0] if self.held else self.prices[0])
        return np.where(spot >= 0, marks.price[np.maximum(spot, 0)], early)

    def first_value(self, known: Mapping[str, PriceMarks]) -> Decimal:
        """Return what was held before the first fill, at the first known price."""
        return self.held * _exact(self.marks(known).price[0]) if self.held else ZERO

    def result(self, known: Mapping[str, PriceMarks]) -> Decimal:
        """Return what the fills earned after costs: cash moved plus position at the last price."""
        return self.cash[-1] + self.net[-1] * self.last_price(known)

    def last_value(self, known: Mapping[str, PriceMarks]) -> Decimal:
        """Return the result and everything held before, at the last known price."""
        return self.result(known) + self.held * self.last_price(known)

    def open_result(self, known: Mapping[str, PriceMarks]) -> Decimal:
        """Return what closing the open part at the last known price would make, before costs."""
        return self.net[-1] * self.last_price(known) - self.cost if self.net[-1] else ZERO


def _exact(price: float) -> Decimal:
    """Return the decimal of 15 digits nearest to a float: the price as it was written.

    A float made from a recorded decimal may be the neighbour of the nearest one.
    """
    return Decimal(f"{price:.15g}")


def flows_of(
    fills: Iterable[Fill], listings: Mapping[str, Listing], name: Callable[[Fill], str]
) -> dict[Key, Flow]:
    """Fold fills into one flow per ``name(fill)``, instrument and currency moved.

    A commission in the bought asset counts at the fill's price; one in a third currency (a fee
    token) becomes a flow of that currency. Raises BadInput where an instrument is not listed.
    """
    flows: dict[Key, Flow] = {}
    for fill in fills:
        listing = _listing(str(fill.instrument_id), listings)
        key = (name(fill), listing.instrument_id, listing.currency)
        flow = flows.setdefault(key, Flow(listing))
        paid: Decimal = fill.commission.as_decimal()
        currency = fill.commission.currency.code
        if currency == listing.base:
            paid, currency = paid * fill.price.as_decimal(), listing.currency
        if currency == listing.currency:
            flow.trade(fill, paid)
            continue
        flow.trade(fill, ZERO)
        fees = replace(listing, instrument_id=f"fees in {currency}", currency=currency, base=None)
        other = (name(fill), fees.instrument_id, currency)
        flows.setdefault(other, Flow(fees)).pay(fill.ts_ns, paid)
    return flows


def _listing(instrument_id: str, listings: Mapping[str, Listing]) -> Listing:
    if instrument_id not in listings:
        raise BadInput(
            f"The run has a fill in {instrument_id}, which its instruments do not name: "
            "add the instrument to the catalog the run was made from."
        )
    return listings[instrument_id]


def corrections_of(corrections: Iterable[CashCorrection]) -> dict[Key, Flow]:
    """Fold corrections of cash into one flow per venue and currency, which belongs to nobody."""
    flows: dict[Key, Flow] = {}
    for correction in sorted(corrections, key=lambda one: one.ts_ns):
        currency = correction.amount.currency.code
        name = f"cash of {correction.venue}"
        listing = Listing(
            instrument_id=name, venue=correction.venue, currency=currency, margin=False
        )
        flow = flows.setdefault(("", name, currency), Flow(listing))
        flow.correct(correction.ts_ns, correction.amount.as_decimal())
    return flows
