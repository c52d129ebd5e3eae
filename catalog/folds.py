"""What happened in a run, folded from its journal: orders, fills, round trips, positions, refusals.

Rule: pure functions over decoded entries in their order; quantities are the engine's raw integers,
money is Decimal in the currency the fills were charged in.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from nautilus_trader.model import InstrumentId, OrderSide, PositionSide, Price, Quantity

from catalog.journal import Entry
from strategies.errors import BadInput
from strategies.markets.facts import RAW_ONE
from strategies.messages import (
    Fill,
    Grant,
    Limit,
    OrderState,
    OrderUpdate,
    Refusal,
    Submit,
)
from strategies.ports import Kind
from strategies.positions import Position

ZERO = Decimal(0)
DECISION_KINDS = frozenset({Kind.INTENT, Kind.GRANT, Kind.REFUSAL})
"""Entries in which a decider said something."""

_DELIVERY_KINDS = frozenset(
    {
        Kind.MARKET,
        Kind.STARTED,
        Kind.TIMER,
        Kind.ORDER,
        Kind.FILL,
        Kind.POSITION,
        Kind.KILL,
        Kind.CASH,
    }
)


@dataclass(slots=True)
class Order:
    """One order and how far it came.

    ``state`` is granted, sent, a state of OrderState, partly_filled or filled. ``price`` of None
    is a market order. ``reason`` is that of the intent behind it. Times are ns UTC.
    """

    order_id: str
    strategy: str
    instrument_id: InstrumentId
    side: OrderSide
    quantity: Quantity
    price: Price | None
    granted_ns: int
    reason: str
    state: str = "granted"
    detail: str = ""
    filled_raw: int = 0
    value: Decimal = ZERO
    fees: Decimal = ZERO
    changed_ns: int = 0

    @property
    def average_price(self) -> Decimal | None:
        """Average price of what was filled, None before the first fill."""
        return self.value * RAW_ONE / self.filled_raw if self.filled_raw else None

    def fold_fill(self, fill: Fill) -> None:
        """Count one execution of this order."""
        self.filled_raw += fill.quantity.raw
        self.value += _value(fill.price, fill.quantity.raw)
        self.fees += fill.commission.as_decimal()
        self.state = "filled" if self.filled_raw >= self.quantity.raw else "partly_filled"
        self.changed_ns = fill.ts_ns

    def fold_update(self, update: OrderUpdate) -> None:
        """Note what the venue said; a refused cancellation or a late word changes no fill."""
        self.detail = update.detail or self.detail
        self.changed_ns = update.ts_ns
        late = self.filled_raw and update.state is OrderState.ACCEPTED
        if update.state is not OrderState.CANCEL_REJECTED and not late:
            self.state = str(update.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One round trip of a strategy in an instrument: from flat to flat.

    ``quantity_raw`` is all that was opened, prices are averages, ``gross`` is before ``fees``.
    A fill that turns a position around ends one trade and begins the next, its fee shared by
    quantity.
    """

    strategy: str
    instrument_id: InstrumentId
    side: PositionSide
    quantity_raw: int
    entry_ns: int
    exit_ns: int
    entry_price: Decimal
    exit_price: Decimal
    gross: Decimal
    fees: Decimal
    currency: str
    entry_order: str
    exit_order: str
    entry_reason: str
    exit_reason: str

    @property
    def net(self) -> Decimal:
        """What the trade earned after fees."""
        return self.gross - self.fees


@dataclass(slots=True)
class OpenTrade:
    """A round trip that has not come back to flat."""

    side: PositionSide
    entry_ns: int
    entry_order: str
    entry_reason: str
    opened_raw: int = 0
    opened_value: Decimal = ZERO
    closed_raw: int = 0
    closed_value: Decimal = ZERO
    gross: Decimal = ZERO
    fees: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Profit:
    """Realised result of a strategy in one currency; ``net`` is after fees."""

    realized: Decimal
    fees: Decimal

    @property
    def net(self) -> Decimal:
        """Realised less fees."""
        return self.realized - self.fees


@dataclass(slots=True)
class Books:
    """Everything folded from one run; make it with ``fold``. Lists are in journal order."""

    decisions: list[Entry] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)
    trades: list[Trade] = field(default_factory=list)
    open_trades: dict[tuple[str, InstrumentId], OpenTrade] = field(default_factory=dict)
    positions: dict[tuple[str, InstrumentId], Position] = field(default_factory=dict)
    refusals: Counter[Limit] = field(default_factory=Counter)
    _reasons: dict[int, str] = field(default_factory=dict)

    def profits(self) -> dict[tuple[str, str], Profit]:
        """Return each strategy's realised result by (strategy, currency)."""
        fees: dict[tuple[str, str], Decimal] = {}
        currencies: dict[tuple[str, InstrumentId], str] = {}
        for fill in self.fills:
            code = fill.commission.currency.code
            currencies[fill.strategy, fill.instrument_id] = code
            key = (fill.strategy, code)
            fees[key] = fees.get(key, ZERO) + fill.commission.as_decimal()
        realized = dict.fromkeys(fees, ZERO)
        for place, position in self.positions.items():
            realized[place[0], currencies[place]] += position.realized
        return {key: Profit(realized[key], fees[key]) for key in fees}

    def find_order(self, name: str) -> Order:
        """Return the order of this id, unique beginning of an id, or ``#n``, the n-th from 1.

        Raises BadInput where there is none or more than one.
        """
        if name.startswith("#"):
            return self._nth_order(name)
        if name in self.orders:
            return self.orders[name]
        begun = [order for order_id, order in self.orders.items() if order_id.startswith(name)]
        if len(begun) == 1:
            return begun[0]
        many = f"{len(begun)} orders begin with" if begun else "no order is called"
        raise BadInput(
            f"{many} '{name}' in this run of {len(self.orders)} orders; give the full id, or #n "
            "for the n-th order ('onetape journal RUN --kind grant' lists them)."
        )

    def _nth_order(self, name: str) -> Order:
        orders = list(self.orders.values())
        number = int(name[1:]) if name[1:].isdecimal() else 0
        if not 1 <= number <= len(orders):
            raise BadInput(
                f"there is no order {name}; this run has {len(orders)} orders, and #1 is the first."
            )
        return orders[number - 1]

    # --- the fold ---

    def add(self, entry: Entry) -> None:
        """Fold one entry in."""
        message = entry.message
        if entry.kind in DECISION_KINDS:
            self.decisions.append(entry)
        match message:
            case Grant():
                self._grant(entry, message)
            case Refusal():
                self.refusals[message.limit] += 1
            case Submit():
                self._sent(message)
            case OrderUpdate():
                order = self.orders.get(message.order_id.value)
                if order is not None:
                    order.fold_update(message)
            case Fill():
                self._fill(message)
            case _ if entry.kind is Kind.INTENT:
                self._reasons[entry.id] = str(getattr(message, "reason", ""))

    def _grant(self, entry: Entry, grant: Grant) -> None:
        self.orders[grant.order_id.value] = Order(
            grant.order_id.value,
            grant.strategy,
            grant.instrument_id,
            grant.side,
            grant.quantity,
            grant.price,
            entry.ts_ns,
            self._reasons.pop(entry.cause_id, grant.reason),
            changed_ns=entry.ts_ns,
        )

    def _sent(self, command: Submit) -> None:
        order = self.orders.get(command.order_id.value)
        if order is not None and order.state == "granted":
            order.state = "sent"

    def _fill(self, fill: Fill) -> None:
        self.fills.append(fill)
        order = self.orders.get(fill.order_id.value)
        reason = ""
        if order is not None:
            order.fold_fill(fill)
            reason = order.reason
        self._round_trip(fill, reason)

    def _round_trip(self, fill: Fill, reason: str) -> None:
        key = (fill.strategy, fill.instrument_id)
        position = self.positions.setdefault(key, Position())
        before = position.net_raw
        gross = position.apply(fill)
        buys = fill.side == OrderSide.BUY
        size = fill.quantity.raw
        closed = min(size, abs(before)) if before and (before > 0) != buys else 0
        fee = fill.commission.as_decimal()
        closing_fee = fee * closed / size if size else ZERO
        trip = self.open_trades.get(key)
        if closed and trip is not None:
            trip.closed_raw += closed
            trip.closed_value += _value(fill.price, closed)
            trip.gross += gross
            trip.fees += closing_fee
            if closed == abs(before):
                del self.open_trades[key]
                self.trades.append(_finish(trip, fill, reason))
        if size > closed:
            self._open(key, fill, reason, size - closed, fee - closing_fee)

    def _open(
        self, key: tuple[str, InstrumentId], fill: Fill, reason: str, raw: int, fee: Decimal
    ) -> None:
        trip = self.open_trades.get(key)
        if trip is None:
            side = PositionSide.LONG if fill.side == OrderSide.BUY else PositionSide.SHORT
            trip = OpenTrade(side, fill.ts_ns, fill.order_id.value, reason)
            self.open_trades[key] = trip
        trip.opened_raw += raw
        trip.opened_value += _value(fill.price, raw)
        trip.fees += fee


def fold(entries: Iterable[Entry]) -> Books:
    """Return the books of a run from its entries, in journal order."""
    books = Books()
    for entry in entries:
        books.add(entry)
    return books


def why(entries: Iterable[Entry], order_id: str) -> list[Entry]:
    """Return the chain of causes behind one order, first cause first, then what became of it.

    It begins at the delivery (market event, timer, fill of another order) that a decider answered.
    Empty where no entry speaks of the order.
    """
    known: dict[int, Entry] = {}
    chain: dict[int, Entry] = {}
    for entry in entries:
        known[entry.id] = entry
        cause = known.get(entry.cause_id)
        if _order_of(entry) == order_id:
            _climb(entry, known, chain, order_id)
        elif entry.kind is Kind.POSITION and cause is not None and _order_of(cause) == order_id:
            chain[entry.id] = entry
    return [chain[entry_id] for entry_id in sorted(chain)]


def _climb(
    entry: Entry | None, known: dict[int, Entry], chain: dict[int, Entry], order_id: str
) -> None:
    """Add an entry and its causes to the chain, up to the delivery a decider answered."""
    while entry is not None and entry.id not in chain:
        chain[entry.id] = entry
        if entry.kind in _DELIVERY_KINDS and _order_of(entry) != order_id:
            return
        entry = known.get(entry.cause_id)


def _order_of(entry: Entry) -> str | None:
    order_id = getattr(entry.message, "order_id", None)
    return None if order_id is None else str(order_id)


def _finish(trip: OpenTrade, fill: Fill, reason: str) -> Trade:
    return Trade(
        strategy=fill.strategy,
        instrument_id=fill.instrument_id,
        side=trip.side,
        quantity_raw=trip.opened_raw,
        entry_ns=trip.entry_ns,
        exit_ns=fill.ts_ns,
        entry_price=trip.opened_value * RAW_ONE / trip.opened_raw,
        exit_price=trip.closed_value * RAW_ONE / trip.closed_raw,
        gross=trip.gross,
        fees=trip.fees,
        currency=fill.commission.currency.code,
        entry_order=trip.entry_order,
        exit_order=fill.order_id.value,
        entry_reason=trip.entry_reason,
        exit_reason=reason,
    )


def _value(price: Price, raw: int) -> Decimal:
    value: Decimal = price.as_decimal() * raw / RAW_ONE
    return value
