"""What an intent means: which side, how much of it closes what is held, and how much it opens.

Rule: pure; quantities and prices are the engine's raw integers.
"""

from dataclasses import dataclass
from decimal import Decimal

from nautilus_trader.model import Currency, Money, OrderSide, PositionSide, Price

from strategies.capital.ledger import VenueLedger
from strategies.markets.facts import RAW_ONE, InstrumentFacts
from strategies.messages import Enter, Exit, Limit, MoneyIntent, Refusal, Sizing, Target

type Room = tuple[Limit, int, str]
"""A limit on money, the room it leaves, raw, and what to add to its name in a refusal."""


@dataclass(slots=True)
class Ask:
    """One intent, worked out: what order it means, and at which price it may at worst fill.

    ``opens_raw`` of None is still to be sized; ``code`` is that of the instrument's currency (the
    engine makes a new text each time it is asked). ``freed_raw`` is what the position costs that
    this very order closes before it opens the other side.
    """

    strategy: str
    facts: InstrumentFacts
    ledger: VenueLedger
    buys: bool
    closes_raw: int
    opens_raw: int | None
    price_raw: int
    last_raw: int | None
    limit_price: Price | None
    sizing: Sizing | None
    stop_raw: int | None
    reason: str
    ts_ns: int
    code: str
    worst_raw: int = 0
    allocation_raw: int = 0
    freed_raw: int = 0
    rooms: tuple[Room, ...] = ()

    @property
    def side(self) -> OrderSide:
        """The order's side."""
        return OrderSide.BUY if self.buys else OrderSide.SELL

    def refuse(self, limit: Limit, asked: str, allowed: str) -> Refusal:
        """Say no, with the limit and both numbers."""
        return Refusal(self.strategy, self.facts.instrument_id, limit, asked, allowed, self.reason)

    def free_closed(self) -> None:
        """Work out what the closing part of the order frees."""
        holding = self.ledger.holding(self.strategy, self.facts.instrument_id)
        held = abs(holding.net_raw)
        if self.closes_raw and held:
            self.freed_raw = holding.cost_raw * min(self.closes_raw, held) // held


@dataclass(frozen=True, slots=True)
class Change:
    """The order an intent means: what it closes first, and opens beyond (None: to be sized)."""

    buys: bool
    closes_raw: int
    opens_raw: int | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a strategy stands in an instrument: signed position, and what open orders may add."""

    net_raw: int
    buys_raw: int
    sales_raw: int

    @property
    def expected_raw(self) -> int:
        """The signed position if every open order fills."""
        return self.net_raw + self.buys_raw - self.sales_raw

    def closable_raw(self, *, buys: bool) -> int:
        """Return what an order of this side may close: held, and not being closed already."""
        if buys:
            return max(0, -self.net_raw - self.buys_raw)
        return max(0, self.net_raw - self.sales_raw)


def change_of(intent: MoneyIntent, standing: Standing) -> Change | str:
    """Return the order an intent means, or in words why there is none."""
    match intent:
        case Enter():
            buys, expected = intent.side == OrderSide.BUY, standing.expected_raw
            if (expected < 0) if buys else (expected > 0):
                return "an entry on the side of the open position; use Exit or Target first"
            return Change(buys, 0, intent.quantity.raw if intent.quantity else None)
        case Exit():
            buys = standing.net_raw < 0
            left = standing.closable_raw(buys=buys)
            if left == 0:
                return "what is held and not already being sold: nothing"
            return Change(buys, min(intent.quantity.raw, left) if intent.quantity else left, 0)
        case Target():
            return _change_to(intent, standing)


def _change_to(intent: Target, standing: Standing) -> Change | str:
    """Work out a target; it closes only what is held, never what is still on its way."""
    sign = {PositionSide.LONG: 1, PositionSide.SHORT: -1}.get(intent.side, 0)
    expected = standing.expected_raw
    unsized = sign != 0 and intent.quantity is None
    wanted = sign * intent.quantity.raw if intent.quantity else 0
    if (expected * sign > 0) if unsized else (wanted == expected):
        return "nothing: the position is there already, or on its way"
    buys = sign > 0 if unsized else wanted > expected
    from_other_side = max(0, -expected if buys else expected)
    change = from_other_side if unsized else abs(wanted - expected)
    closes = min(change, from_other_side, standing.closable_raw(buys=buys))
    opens = None if unsized else change - min(change, from_other_side)
    if opens == 0 and closes == 0:
        return "nothing: what it would close is not filled yet; cancel that order"
    return Change(buys, closes, opens)


def refuse(intent: MoneyIntent, strategy: str, limit: Limit, asked: str, allowed: str) -> Refusal:
    """Say no to an intent that was not worked out."""
    return Refusal(strategy, intent.instrument_id, limit, asked, allowed, intent.reason)


def kind_of(intent: MoneyIntent) -> str:
    """Return what an intent is called in a refusal."""
    return type(intent).__name__.lower()


def number(raw: int) -> str:
    """Write a raw price or quantity without needless zeros."""
    return format((Decimal(raw) / RAW_ONE).normalize(), "f")


def money(raw: int, currency: Currency) -> str:
    """Write a raw amount with its currency."""
    return str(Money.from_raw(raw, currency))
