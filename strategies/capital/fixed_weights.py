"""The first capital manager: fixed weights per strategy and venue, limits per order and symbol.

Rule: a decider like any other. It answers every intent that needs money with a Grant or a
Refusal that names the limit and both numbers; a reduction is never refused for want of money.

The numbers, per venue and in the venue's currency: *equity* is cash plus open positions at cost,
an *allocation* is weight x equity, and a strategy's *use* is the cost of its open positions plus
what its open orders may still take at the worst price they can fill at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from nautilus_trader.model import (
    ClientOrderId,
    Currency,
    InstrumentId,
    Money,
    OrderSide,
    PositionSide,
    Price,
    Quantity,
)

from strategies.capital.bands import PriceBands
from strategies.capital.ledger import Reservation, VenueLedger, fee_raw, notional_raw
from strategies.errors import InvariantBroken
from strategies.markets.facts import RAW_ONE, InstrumentFacts
from strategies.messages import ENDED as ENDED_STATES
from strategies.messages import (
    Enter,
    Exit,
    Fill,
    Grant,
    Intent,
    Limit,
    MoneyIntent,
    OrderUpdate,
    PositionUpdate,
    Refusal,
    Target,
    TimerFired,
)
from strategies.ports import Marks

BPS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CapitalConfig:
    """Settings of the capital manager; money limits by currency code, in raw units.

    ``weights``: strategy -> share of each venue it trades on. ``symbols``: how many instruments
    a strategy has on a venue, which an unsized entry divides its allocation by.
    ``market_buffer_bps``: how much worse than the last price a market order may fill where no
    daily limit says so.
    """

    weights: Mapping[str, Decimal]
    symbols: Mapping[tuple[str, str], int]
    order_max_raw: Mapping[str, int] = field(default_factory=dict)
    symbol_max_raw: Mapping[str, int] = field(default_factory=dict)
    market_buffer_bps: int = 100


@dataclass(slots=True)
class _Ask:
    """One intent, worked out: what order it means."""

    strategy: str
    facts: InstrumentFacts
    ledger: VenueLedger
    side: OrderSide
    closes_raw: int
    opens_raw: int | None
    price_raw: int
    limit_price: Price | None
    worst_raw: int
    reason: str


class FixedWeights:
    """Implements the CapitalManager port."""

    def __init__(
        self,
        config: CapitalConfig,
        facts: Mapping[InstrumentId, InstrumentFacts],
        ledgers: Mapping[str, VenueLedger],
        marks: Marks,
    ) -> None:
        self._config = config
        self._facts = facts
        self.ledgers = ledgers
        self._marks = marks
        self._bands = PriceBands(facts, marks)

    # --- events ---

    def on_start(self, ts_ns: int) -> Sequence[Intent]:
        """Ask to be woken before each session of a market with daily price limits."""
        return self._bands.on_start(ts_ns)

    def on_timer(self, timer: TimerFired) -> Sequence[Intent]:
        """Fix the day's price limits from the last prices of the day before."""
        return self._bands.on_timer(timer)

    def on_fill(self, fill: Fill) -> Sequence[Intent]:
        """Book an execution."""
        self._ledger(fill.instrument_id).settle(fill, self._facts[fill.instrument_id])
        return ()

    def on_position(self, update: PositionUpdate) -> Sequence[Intent]:
        """Book realised P&L on margin venues."""
        self._ledger(update.instrument_id).position(update)
        return ()

    def on_order(self, update: OrderUpdate) -> Sequence[Intent]:
        """Release what an ended order held."""
        if update.state in ENDED_STATES:
            self._ledger(update.instrument_id).release(update.order_id)
        return ()

    def on_intent(
        self,
        strategy: str,
        intent: MoneyIntent,
        order_id: ClientOrderId,
        ts_ns: int,  # noqa: ARG002 - part of the port; fixed weights do not change with time
    ) -> Grant | Refusal:
        """Answer one intent with a grant, or with the first limit that says no."""
        ask = self._work_out(strategy, intent)
        if isinstance(ask, Refusal):
            return ask
        checked = self._check_order(ask) or self._size(ask) or self._check_money(ask)
        if checked is not None:
            return checked
        return self._grant(ask, order_id)

    # --- what the intent means ---

    def _work_out(self, strategy: str, intent: MoneyIntent) -> _Ask | Refusal:
        facts = self._facts[intent.instrument_id]
        ledger = self._ledger(intent.instrument_id)
        last = self._marks.price(intent.instrument_id)
        price = intent.price or last
        if price is None:
            return _no(strategy, intent, Limit.NO_PRICE, "an order", "none before the first price")
        net = ledger.holding(strategy, intent.instrument_id).net_raw
        expected = net + ledger.pending(strategy, intent.instrument_id)
        change = _change(intent, net, expected)
        if isinstance(change, str):
            return _no(strategy, intent, Limit.POSITION, _words(intent), change)
        worst_raw = self._worst_raw(facts, change.side, price.raw, intent.price)
        return _Ask(
            strategy=strategy,
            facts=facts,
            ledger=ledger,
            side=change.side,
            closes_raw=change.closes_raw,
            opens_raw=change.opens_raw,
            price_raw=price.raw,
            limit_price=intent.price,
            worst_raw=worst_raw,
            reason=intent.reason,
        )

    def _worst_raw(
        self, facts: InstrumentFacts, side: OrderSide, price_raw: int, limit: Price | None
    ) -> int:
        """Return the worst price the order can fill at: its limit, the day's limit, or a buffer."""
        if limit is not None or side == OrderSide.SELL:
            return price_raw
        band = self._bands.of(facts.instrument_id)
        if band is not None:
            return band.upper_raw
        return price_raw + price_raw * self._config.market_buffer_bps // BPS

    # --- checks, in the order a broker makes them ---

    def _check_order(self, ask: _Ask) -> Refusal | None:
        facts, price = ask.facts, ask.price_raw
        band = self._bands.of(facts.instrument_id)
        if ask.limit_price is not None:
            if facts.ticks.floor_raw(price) != price:
                tick = Decimal(facts.ticks.tick_raw(price)) / RAW_ONE
                return _refuse(ask, Limit.TICK, f"a price of {_text(price)}", f"steps of {tick}")
            if band is not None and not band.lower_raw <= price <= band.upper_raw:
                allowed = f"{_text(band.lower_raw)} to {_text(band.upper_raw)} today"
                return _refuse(ask, Limit.PRICE_BAND, f"a price of {_text(price)}", allowed)
        shorts = ask.side == OrderSide.SELL and ask.opens_raw != 0
        if shorts and not facts.market.short_allowed:
            return _refuse(
                ask, Limit.SHORT_SALE, "to sell what it does not hold", "no short sale here"
            )
        return None

    def _size(self, ask: _Ask) -> Refusal | None:
        """Size an entry that states no quantity; round every quantity down to the lot."""
        facts = ask.facts
        if ask.opens_raw is None:
            ask.opens_raw = self._affordable_raw(ask)
        total = ask.closes_raw + ask.opens_raw
        rounded = total - total % facts.lot_raw
        smallest = max(facts.lot_raw, facts.min_quantity_raw)
        if rounded < smallest:
            asked = f"{_text(total)} at up to {_text(ask.worst_raw)}"
            return _refuse(ask, Limit.LOT, asked, f"at least {_text(smallest)}")
        ask.closes_raw = min(ask.closes_raw, rounded)
        ask.opens_raw = rounded - ask.closes_raw
        return None

    def _affordable_raw(self, ask: _Ask) -> int:
        """Return the quantity that this instrument's even share of the allocation buys."""
        allocation, code = self._allocation_raw(ask), ask.facts.currency.code
        share = allocation // self._config.symbols[ask.strategy, ask.ledger.venue]
        limits = [share, allocation - _use_raw(ask), _free_raw(ask)]
        if code in self._config.order_max_raw:
            limits.append(self._config.order_max_raw[code])
        if code in self._config.symbol_max_raw:
            limits.append(self._symbol_left_raw(ask))
        # One notional unit more than the quotient could cost a fee above the limit.
        per_unit = ask.worst_raw + fee_raw(ask.worst_raw, ask.facts)
        return max(0, min(limits)) * RAW_ONE // per_unit

    def _check_money(self, ask: _Ask) -> Refusal | None:
        opens, currency = ask.opens_raw, ask.facts.currency
        if not opens:
            return None
        value = notional_raw(ask.price_raw, opens, currency)
        if value < ask.facts.min_notional_raw:
            least = _money(ask.facts.min_notional_raw, currency)
            return _refuse(ask, Limit.MIN_NOTIONAL, _money(value, currency), f"at least {least}")
        worst = notional_raw(ask.worst_raw, opens, currency)
        need = worst + fee_raw(worst, ask.facts)
        for limit, allowed in (
            (Limit.ORDER, self._config.order_max_raw.get(currency.code, need)),
            (Limit.SYMBOL, self._symbol_left_raw(ask, need)),
            (Limit.ALLOCATION, self._allocation_raw(ask) - _use_raw(ask)),
            (Limit.CASH, _free_raw(ask)),
        ):
            if need > allowed:
                most = _money(max(0, allowed), currency)
                return _refuse(ask, limit, _money(need, currency), f"at most {most}")
        return None

    def _grant(self, ask: _Ask, order_id: ClientOrderId) -> Grant:
        if ask.opens_raw is None:
            raise InvariantBroken("the capital manager granted an order it had not sized.")
        total = ask.closes_raw + ask.opens_raw
        reservation = Reservation(
            ask.strategy, ask.facts, ask.side, total, ask.closes_raw, ask.worst_raw
        )
        ask.ledger.reserve(order_id, reservation)
        return Grant(
            ask.strategy,
            order_id,
            ask.facts.instrument_id,
            ask.side,
            Quantity.from_raw(total, ask.facts.size_precision),
            ask.limit_price,
            ask.opens_raw == 0,
            Money.from_raw(reservation.amount_raw(), ask.facts.currency),
            ask.reason,
        )

    # --- numbers ---

    def _ledger(self, instrument_id: InstrumentId) -> VenueLedger:
        return self.ledgers[str(instrument_id.venue)]

    def _allocation_raw(self, ask: _Ask) -> int:
        weight = self._config.weights[ask.strategy]
        return int(ask.ledger.book_equity_raw() * weight)

    def _symbol_left_raw(self, ask: _Ask, unlimited: int = 0) -> int:
        most = self._config.symbol_max_raw.get(ask.facts.currency.code)
        if most is None:
            return unlimited
        return most - ask.ledger.symbol_raw.get(ask.facts.instrument_id, 0) + _freed_raw(ask)


@dataclass(frozen=True, slots=True)
class _Change:
    """The order an intent means: what it closes first, and opens beyond (None: to be sized)."""

    side: OrderSide
    closes_raw: int
    opens_raw: int | None


def _change(intent: MoneyIntent, net: int, expected: int) -> _Change | str:
    """Return the order an intent means, or in words why there is none.

    ``net`` is the signed position, ``expected`` the same with all open orders filled.
    """
    match intent:
        case Enter():
            buys = intent.side == OrderSide.BUY
            if (expected < 0) if buys else (expected > 0):
                return "an entry on the side of the open position; use Exit or Target first"
            return _Change(intent.side, 0, intent.quantity.raw if intent.quantity else None)
        case Exit():
            left = min(abs(net), abs(expected)) if (expected > 0) == (net > 0) else 0
            if left == 0:
                return "what is held and not already being sold: nothing"
            asked = min(intent.quantity.raw, left) if intent.quantity else left
            return _Change(OrderSide.SELL if net > 0 else OrderSide.BUY, asked, 0)
        case Target():
            return _change_to(intent, expected)


def _change_to(intent: Target, expected: int) -> _Change | str:
    sign = {PositionSide.LONG: 1, PositionSide.SHORT: -1}.get(intent.side, 0)
    there = "nothing: the position is there already, or on its way"
    if sign and intent.quantity is None:
        if expected * sign > 0:
            return there
        return _Change(OrderSide.BUY if sign > 0 else OrderSide.SELL, abs(expected), None)
    wanted = sign * intent.quantity.raw if intent.quantity else 0
    change = wanted - expected
    if change == 0:
        return there
    against = max(0, -expected if change > 0 else expected)
    closes = min(abs(change), against)
    return _Change(OrderSide.BUY if change > 0 else OrderSide.SELL, closes, abs(change) - closes)


def _use_raw(ask: _Ask) -> int:
    ledger = ask.ledger
    committed = ledger.committed_raw.get(ask.strategy, 0)
    return committed + ledger.reserved_raw.get(ask.strategy, 0) - _freed_raw(ask)


def _free_raw(ask: _Ask) -> int:
    return ask.ledger.free_raw() + (_freed_raw(ask) if ask.ledger.margin else 0)


def _freed_raw(ask: _Ask) -> int:
    """Return the cost of the position this very order closes before it opens the other side."""
    holding = ask.ledger.holding(ask.strategy, ask.facts.instrument_id)
    if ask.closes_raw == 0 or holding.net_raw == 0:
        return 0
    return holding.cost_raw * min(ask.closes_raw, abs(holding.net_raw)) // abs(holding.net_raw)


def _refuse(ask: _Ask, limit: Limit, asked: str, allowed: str) -> Refusal:
    return Refusal(ask.strategy, ask.facts.instrument_id, limit, asked, allowed, ask.reason)


def _no(strategy: str, intent: MoneyIntent, limit: Limit, asked: str, allowed: str) -> Refusal:
    return Refusal(strategy, intent.instrument_id, limit, asked, allowed, intent.reason)


def _words(intent: MoneyIntent) -> str:
    return type(intent).__name__.lower()


def _text(raw: int) -> str:
    return format((Decimal(raw) / RAW_ONE).normalize(), "f")


def _money(raw: int, currency: Currency) -> str:
    return str(Money.from_raw(raw, currency))
