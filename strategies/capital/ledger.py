"""One venue's money, folded from grants, fills and position updates.

Rule: every amount is an integer in the engine's raw units (10**16 to one), per currency. Cash and
spot accounts equal the engine's balances to the last unit; margin accounts take realised P&L from
the engine's position events, because the engine rounds it fill by fill.

At every step equity = free + reserved + committed + unsettled, where *equity* is cash plus open
positions at cost (margin: cash alone, positions are bound in it), *committed* what open positions
cost, *reserved* what open orders may still take, *unsettled* the proceeds of sales that have not
arrived and that no order has bound, and *free* the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nautilus_trader.model import ClientOrderId, Currency, InstrumentId, Money, OrderSide

from strategies.capital.settlement import Settlement
from strategies.markets.facts import PPB, RAW_DIGITS, RAW_ONE, InstrumentFacts
from strategies.markets.sessions import ContinuousDays
from strategies.messages import Fill, PositionUpdate

_UNITS = tuple(int(10 ** (RAW_DIGITS - digits)) for digits in range(RAW_DIGITS + 1))
_SCALES = tuple((unit, RAW_ONE * unit, RAW_ONE * unit // 2) for unit in _UNITS)


def unit_raw(currency: Currency) -> int:
    """Return the smallest amount of a currency, raw."""
    return _UNITS[currency.precision]


def notional_raw(price_raw: int, quantity_raw: int, currency: Currency) -> int:
    """Return price times quantity in raw units, rounded half to even at the currency's precision.

    The engine's rounding, so that ledgers agree with its accounts.
    """
    unit, scale, half = _SCALES[currency.precision]
    quotient, rest = divmod(price_raw * quantity_raw, scale)
    if rest > half or (rest == half and quotient % 2):
        quotient += 1
    return quotient * unit


@dataclass(slots=True)
class Holding:
    """One strategy's open position in one instrument: signed quantity and what it cost."""

    net_raw: int = 0
    cost_raw: int = 0

    def apply(self, signed_raw: int, value_raw: int) -> int:
        """Fold in a fill of ``signed_raw`` worth ``value_raw``; a flip reopens at its price.

        Returns what it realised before fees, by average cost.
        """
        if self.net_raw == 0 or (self.net_raw > 0) == (signed_raw > 0):
            self.cost_raw += value_raw
            self.net_raw += signed_raw
            return 0
        size, held, was_long = abs(signed_raw), abs(self.net_raw), self.net_raw > 0
        before = self.cost_raw
        opened_value = value_raw * (size - held) // size if size > held else 0
        self.cost_raw = opened_value if size >= held else before - before * size // held
        self.net_raw += signed_raw
        proceeds = value_raw - opened_value
        cost = before if size >= held else before - self.cost_raw
        return proceeds - cost if was_long else cost - proceeds


def fee_raw(value_raw: int, facts: InstrumentFacts) -> int:
    """Return what to keep back for the taker fee on a notional, rounded up to the currency."""
    unit = _UNITS[facts.currency.precision]
    return -(-value_raw * facts.market.taker_ppb // (PPB * unit)) * unit


@dataclass(slots=True)
class Reservation:
    """What one open order may still take.

    ``closes_raw`` of the quantity reduces a position and needs no money; it fills first.
    ``amount_raw`` is the money still reserved, fee included, in the instrument's currency.
    """

    strategy: str
    facts: InstrumentFacts
    side: OrderSide
    left_raw: int
    closes_raw: int
    worst_price_raw: int
    amount_raw: int = 0

    def __post_init__(self) -> None:
        self._weigh()

    def use(self, quantity_raw: int) -> None:
        """Take a filled quantity off, the closing part first."""
        self.left_raw -= quantity_raw
        self.closes_raw = max(0, self.closes_raw - quantity_raw)
        self._weigh()

    def _weigh(self) -> None:
        opens = self.left_raw - self.closes_raw
        self.amount_raw = 0
        if opens:
            value = notional_raw(self.worst_price_raw, opens, self.facts.currency)
            self.amount_raw = value + fee_raw(value, self.facts)


@dataclass(slots=True)
class VenueLedger:
    """Balances, open reservations and holdings of one venue.

    ``committed_raw`` is the cost of open positions by strategy; ``reserved_raw`` what open orders
    may still take, by strategy; ``realized_raw`` what each strategy earned, fees taken off. All in
    the venue's currency. ``held_by`` is ``holdings`` by strategy. ``long_raw`` and ``short_raw``
    are ``committed`` by side, ``buying_raw`` and ``selling_raw`` are ``reserved`` by side.
    ``given_up`` are orders that ended as rejected, which a venue may turn out to have taken;
    ``corrected_raw`` is what the venue corrected the cash by, which no strategy earned or lost.
    """

    venue: str
    margin: bool
    currency: Currency
    balances_raw: dict[str, int] = field(default_factory=dict)
    settlement: Settlement = field(default_factory=lambda: Settlement(0, ContinuousDays()))
    reservations: dict[ClientOrderId, Reservation] = field(default_factory=dict)
    holdings: dict[tuple[str, InstrumentId], Holding] = field(default_factory=dict)
    held_by: dict[str, dict[InstrumentId, Holding]] = field(default_factory=dict)
    committed_raw: dict[str, int] = field(default_factory=dict)
    reserved_raw: dict[str, int] = field(default_factory=dict)
    realized_raw: dict[str, int] = field(default_factory=dict)
    symbol_raw: dict[InstrumentId, int] = field(default_factory=dict)
    buys_left_raw: dict[tuple[str, InstrumentId], int] = field(default_factory=dict)
    sales_left_raw: dict[tuple[str, InstrumentId], int] = field(default_factory=dict)
    long_raw: int = 0
    short_raw: int = 0
    buying_raw: int = 0
    selling_raw: int = 0
    trades: set[tuple[ClientOrderId, str]] = field(default_factory=set)
    given_up: dict[ClientOrderId, Reservation] = field(default_factory=dict)
    corrected_raw: int = 0

    def holding(self, strategy: str, symbol: InstrumentId) -> Holding:
        """Return a strategy's holding; one that is flat is not kept."""
        return self.holdings.get((strategy, symbol)) or Holding()

    def pending(self, strategy: str, symbol: InstrumentId) -> tuple[int, int]:
        """Return what a strategy's open orders in one instrument may still buy and sell."""
        key = (strategy, symbol)
        return self.buys_left_raw.get(key, 0), self.sales_left_raw.get(key, 0)

    def cash_raw(self) -> int:
        """Return the venue's balance in its own currency."""
        return self.balances_raw.get(self.currency.code, 0)

    def total_reserved_raw(self) -> int:
        """Return what all open orders together may still take."""
        return self.buying_raw + self.selling_raw

    def total_committed_raw(self) -> int:
        """Return what all open positions bind.

        A cash account that was sold more than it held (a venue filled an order it had confirmed
        as cancelled) owes that position: it counts against what it holds.
        """
        return self.long_raw + (self.short_raw if self.margin else -self.short_raw)

    def gross_raw(self) -> int:
        """Return what positions of both sides cost and open orders may still take."""
        return self.long_raw + self.short_raw + self.total_reserved_raw()

    def use_raw(self, strategy: str) -> int:
        """Return what a strategy's positions cost and its orders may still take."""
        return self.committed_raw.get(strategy, 0) + self.reserved_raw.get(strategy, 0)

    def unsettled_raw(self) -> int:
        """Return proceeds of sales that have not arrived and that no order has bound."""
        proceeds = self.settlement.total_raw
        if not self.settlement.proceeds_buy:
            return proceeds
        return max(0, proceeds - self.total_reserved_raw())

    def free_raw(self) -> int:
        """Return what is settled and unbound: on margin, positions bind their full cost."""
        return self._unbound_raw() - self.unsettled_raw()

    def spendable_raw(self) -> int:
        """Return what new orders may take: unsettled proceeds too where the venue lets them buy."""
        unbound = self._unbound_raw()
        return unbound if self.settlement.proceeds_buy else unbound - self.settlement.total_raw

    def _unbound_raw(self) -> int:
        bound = self.total_committed_raw() if self.margin else 0
        return self.cash_raw() - self.total_reserved_raw() - bound

    def book_equity_raw(self) -> int:
        """Return cash plus open positions at cost: the base of allocations, free of marks."""
        return self.cash_raw() + (0 if self.margin else self.total_committed_raw())

    # --- steps ---

    def reserve(self, order_id: ClientOrderId, reservation: Reservation) -> None:
        """Hold what an order may take until it fills or ends."""
        self.reservations[order_id] = reservation
        self._move(reservation, 1, reservation.amount_raw, reservation.left_raw)

    def release(self, order_id: ClientOrderId) -> None:
        """Give back what an ended order still held; unknown orders change nothing."""
        self.given_up.pop(order_id, None)
        reservation = self.reservations.pop(order_id, None)
        if reservation is not None:
            self._move(reservation, -1, reservation.amount_raw, reservation.left_raw)

    def give_up(self, order_id: ClientOrderId) -> None:
        """Give back what a rejected order held, and remember it: the venue may have taken it."""
        reservation = self.reservations.get(order_id)
        if reservation is not None:
            self.release(order_id)
            self.given_up[order_id] = reservation

    def take_up(self, order_id: ClientOrderId) -> None:
        """Hold again what an order takes that was given up and lives; others change nothing."""
        reservation = self.given_up.pop(order_id, None)
        if reservation is not None:
            self.reserve(order_id, reservation)

    def correct(self, amount: Money) -> None:
        """Take a venue's correction of its cash as a change of equity that no strategy made."""
        self._add(amount.currency.code, amount.raw)
        if amount.currency == self.currency:
            self.corrected_raw += amount.raw

    def settle(self, fill: Fill, facts: InstrumentFacts) -> int | None:
        """Book a fill: holdings always, balances on cash accounts.

        Returns what it earned, fees taken off; None where the trade was booked before. A fill of
        an order that has ended is booked like any other: the venue made it.
        """
        key = (fill.order_id, fill.trade_id)
        if key in self.trades:
            return None
        self.trades.add(key)
        self.take_up(fill.order_id)
        self._use_reservation(fill)
        value = notional_raw(fill.price.raw, fill.quantity.raw, facts.currency)
        earned = self._hold(fill, value)
        fee = fill.commission
        if fee.currency == self.currency:
            earned -= fee.raw
        self.realized_raw[fill.strategy] = self.realized_raw.get(fill.strategy, 0) + earned
        if not self.margin:
            self._exchange(fill, facts, value)
        return earned

    def _hold(self, fill: Fill, value: int) -> int:
        """Fold a fill into its holding and the sums over holdings; return what it realised."""
        symbol = fill.instrument_id
        signed = fill.quantity.raw if fill.side == OrderSide.BUY else -fill.quantity.raw
        holding = self.holding(fill.strategy, symbol)
        before, was_short = holding.cost_raw, holding.net_raw < 0
        realized = holding.apply(signed, value)
        change = holding.cost_raw - before
        self.committed_raw[fill.strategy] = self.committed_raw.get(fill.strategy, 0) + change
        self.symbol_raw[symbol] = self.symbol_raw.get(symbol, 0) + change
        for short, cost in ((was_short, -before), (holding.net_raw < 0, holding.cost_raw)):
            if short:
                self.short_raw += cost
            else:
                self.long_raw += cost
        own = self.held_by.setdefault(fill.strategy, {})
        if holding.net_raw:
            self.holdings[fill.strategy, symbol] = own[symbol] = holding
        else:
            self.holdings.pop((fill.strategy, symbol), None)
            own.pop(symbol, None)
        return realized

    def _exchange(self, fill: Fill, facts: InstrumentFacts, value: int) -> None:
        """Move cash and assets of a cash account."""
        buys, fee = fill.side == OrderSide.BUY, fill.commission
        self._add(fee.currency.code, -fee.raw)
        self._add(facts.currency.code, -value if buys else value)
        if facts.base is not None:
            self._add(facts.base.code, fill.quantity.raw if buys else -fill.quantity.raw)
        own_fee = fee.raw if fee.currency == facts.currency else 0
        if buys:
            self.settlement.bought(value + own_fee)
        else:
            self.settlement.sold(value - own_fee, fill.ts_ns)

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
        before = reservation.amount_raw
        used = min(fill.quantity.raw, reservation.left_raw)
        reservation.use(used)
        self._move(reservation, -1, before - reservation.amount_raw, used)
        if reservation.left_raw == 0:
            del self.reservations[fill.order_id]

    def _move(self, reservation: Reservation, sign: int, money: int, quantity: int) -> None:
        strategy, symbol = reservation.strategy, reservation.facts.instrument_id
        change, buys = sign * money, reservation.side == OrderSide.BUY
        self.reserved_raw[strategy] = self.reserved_raw.get(strategy, 0) + change
        self.symbol_raw[symbol] = self.symbol_raw.get(symbol, 0) + change
        if buys:
            self.buying_raw += change
        else:
            self.selling_raw += change
        left, key = self.buys_left_raw if buys else self.sales_left_raw, (strategy, symbol)
        pending = left.get(key, 0) + sign * quantity
        if pending:
            left[key] = pending
        else:
            left.pop(key, None)
