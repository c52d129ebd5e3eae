"""One venue's money, folded from fills and position updates.

Rule: every amount is an integer in the engine's raw units (10**16 to one), per currency. Cash and
spot accounts equal the engine's balances to the last unit; margin accounts take realised P&L from
the engine's position events, because the engine rounds it fill by fill.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nautilus_trader.model import ClientOrderId, Currency, InstrumentId, Money, OrderSide

from strategies.markets.facts import RAW_DIGITS, RAW_ONE, InstrumentFacts
from strategies.messages import Fill, PositionUpdate

_UNITS = tuple(int(10 ** (RAW_DIGITS - digits)) for digits in range(RAW_DIGITS + 1))


def notional_raw(price_raw: int, quantity_raw: int, currency: Currency) -> int:
    """Return price times quantity in raw units, rounded half to even at the currency's precision.

    The engine's rounding, so that ledgers agree with its accounts.
    """
    unit = _UNITS[currency.precision]
    quotient, rest = divmod(price_raw * quantity_raw, RAW_ONE * unit)
    half = RAW_ONE * unit // 2
    if rest > half or (rest == half and quotient % 2):
        quotient += 1
    return quotient * unit


@dataclass(slots=True)
class Holding:
    """One strategy's open position in one instrument: signed quantity and what it cost."""

    net_raw: int = 0
    cost_raw: int = 0

    def apply(self, signed_raw: int, value_raw: int) -> None:
        """Fold in a fill of ``signed_raw`` worth ``value_raw``; a flip reopens at its price."""
        if self.net_raw == 0 or (self.net_raw > 0) == (signed_raw > 0):
            self.cost_raw += value_raw
        elif abs(signed_raw) <= abs(self.net_raw):
            self.cost_raw -= self.cost_raw * abs(signed_raw) // abs(self.net_raw)
        else:
            opened = abs(signed_raw) - abs(self.net_raw)
            self.cost_raw = value_raw * opened // abs(signed_raw)
        self.net_raw += signed_raw
        if self.net_raw == 0:
            self.cost_raw = 0


RATE_SCALE = 10**9


def fee_raw(value_raw: int, facts: InstrumentFacts) -> int:
    """Return what to keep back for the taker fee on a notional, rounded up to the currency."""
    rate, unit = int(facts.market.taker_rate * RATE_SCALE), _UNITS[facts.currency.precision]
    return -(-value_raw * rate // (RATE_SCALE * unit)) * unit


@dataclass(slots=True)
class Reservation:
    """What one open order may still take.

    ``closes_raw`` of the quantity reduces a position and needs no money; it fills first.
    """

    strategy: str
    facts: InstrumentFacts
    side: OrderSide
    left_raw: int
    closes_raw: int
    worst_price_raw: int

    def amount_raw(self) -> int:
        """Return the money still reserved, fee included, in the instrument's currency."""
        opens = self.left_raw - self.closes_raw
        value = notional_raw(self.worst_price_raw, opens, self.facts.currency)
        return value + fee_raw(value, self.facts)

    def use(self, quantity_raw: int) -> None:
        """Take a filled quantity off, the closing part first."""
        self.left_raw -= quantity_raw
        self.closes_raw = max(0, self.closes_raw - quantity_raw)


@dataclass(slots=True)
class VenueLedger:
    """Balances, open reservations and holdings of one venue.

    ``committed_raw`` is the cost of open positions by strategy; ``reserved_raw`` what open orders
    may still take, by strategy. Both in the venue's currency.
    """

    venue: str
    margin: bool
    currency: Currency
    balances_raw: dict[str, int] = field(default_factory=dict)
    reservations: dict[ClientOrderId, Reservation] = field(default_factory=dict)
    holdings: dict[tuple[str, InstrumentId], Holding] = field(default_factory=dict)
    committed_raw: dict[str, int] = field(default_factory=dict)
    reserved_raw: dict[str, int] = field(default_factory=dict)
    symbol_raw: dict[InstrumentId, int] = field(default_factory=dict)
    pending_raw: dict[tuple[str, InstrumentId], int] = field(default_factory=dict)

    def holding(self, strategy: str, symbol: InstrumentId) -> Holding:
        """Return a strategy's holding, made on first use."""
        key = (strategy, symbol)
        found = self.holdings.get(key)
        if found is None:
            found = self.holdings[key] = Holding()
        return found

    def pending(self, strategy: str, symbol: InstrumentId) -> int:
        """Return the signed quantity of a strategy's open orders in one instrument."""
        return self.pending_raw.get((strategy, symbol), 0)

    def cash_raw(self) -> int:
        """Return the venue's balance in its own currency."""
        return self.balances_raw.get(self.currency.code, 0)

    def total_reserved_raw(self) -> int:
        """Return what all open orders together may still take."""
        return sum(self.reserved_raw.values())

    def total_committed_raw(self) -> int:
        """Return what all open positions cost."""
        return sum(self.committed_raw.values())

    def free_raw(self) -> int:
        """Return what new orders may take: on margin, positions bind their full cost."""
        bound = self.total_committed_raw() if self.margin else 0
        return self.cash_raw() - self.total_reserved_raw() - bound

    def book_equity_raw(self) -> int:
        """Return cash plus open positions at cost: the base of allocations, free of marks."""
        return self.cash_raw() + (0 if self.margin else self.total_committed_raw())

    # --- steps ---

    def reserve(self, order_id: ClientOrderId, reservation: Reservation) -> None:
        """Hold what an order may take until it fills or ends."""
        self.reservations[order_id] = reservation
        self._move(reservation, 1, reservation.amount_raw(), reservation.left_raw)

    def release(self, order_id: ClientOrderId) -> None:
        """Give back what an ended order still held; unknown orders change nothing."""
        reservation = self.reservations.pop(order_id, None)
        if reservation is not None:
            self._move(reservation, -1, reservation.amount_raw(), reservation.left_raw)

    def settle(self, fill: Fill, facts: InstrumentFacts) -> None:
        """Book a fill: holdings always, balances on cash accounts."""
        self._use_reservation(fill)
        symbol = fill.instrument_id
        value = notional_raw(fill.price.raw, fill.quantity.raw, facts.currency)
        buys = fill.side == OrderSide.BUY
        signed = fill.quantity.raw if buys else -fill.quantity.raw
        holding = self.holding(fill.strategy, symbol)
        before = holding.cost_raw
        holding.apply(signed, value)
        change = holding.cost_raw - before
        self.committed_raw[fill.strategy] = self.committed_raw.get(fill.strategy, 0) + change
        self.symbol_raw[symbol] = self.symbol_raw.get(symbol, 0) + change
        if self.margin:
            return
        self._add(fill.commission.currency.code, -fill.commission.raw)
        self._add(facts.currency.code, -value if buys else value)
        if facts.base is not None:
            self._add(facts.base.code, signed)

    def position(self, update: PositionUpdate) -> None:
        """Take the realised P&L of one step, fees included, on margin accounts."""
        if self.margin:
            self._add(update.realized.currency.code, update.realized.raw)

    def balances(self) -> Mapping[str, Money]:
        """Return the balances by currency code."""
        return {
            code: Money.from_raw(raw, Currency.from_str(code))
            for code, raw in sorted(self.balances_raw.items())
        }

    def _add(self, code: str, raw: int) -> None:
        self.balances_raw[code] = self.balances_raw.get(code, 0) + raw

    def _use_reservation(self, fill: Fill) -> None:
        reservation = self.reservations.get(fill.order_id)
        if reservation is None:
            return
        before = reservation.amount_raw()
        used = min(fill.quantity.raw, reservation.left_raw)
        reservation.use(used)
        self._move(reservation, -1, before - reservation.amount_raw(), used)
        if reservation.left_raw == 0:
            del self.reservations[fill.order_id]

    def _move(self, reservation: Reservation, sign: int, money: int, quantity: int) -> None:
        strategy, symbol = reservation.strategy, reservation.facts.instrument_id
        self.reserved_raw[strategy] = self.reserved_raw.get(strategy, 0) + sign * money
        self.symbol_raw[symbol] = self.symbol_raw.get(symbol, 0) + sign * money
        signed = quantity if reservation.side == OrderSide.BUY else -quantity
        key = (strategy, symbol)
        self.pending_raw[key] = self.pending_raw.get(key, 0) + sign * signed
