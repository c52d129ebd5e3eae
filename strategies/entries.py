"""How a wish to be long, short or flat becomes an intent, once, and never while one is pending.

Rule: a signal asks for an entry once; a refused or rejected entry waits for the next signal. A
signal that arrives while an order is pending is carried out when that order ends; the latest one
counts. Exits are asked for again until they succeed (see exits).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from nautilus_trader.model import InstrumentId, OrderSide, PositionSide, Quantity

from strategies.decider import Intents, ParamError, Setup, Strategy
from strategies.exits import FOREVER_NS, ExitParams, ExitRules
from strategies.markets.facts import RAW_ONE, InstrumentFacts
from strategies.messages import ENDED, Enter, Fill, OrderUpdate, Target
from strategies.reasons import price_text


@dataclass(frozen=True, kw_only=True)
class TradeParams(ExitParams):
    """What every shipped strategy understands beside its exits.

    ``sides``: "long" buys and sells what it bought, "long_short" also sells short. ``quantity``
    of None lets the capital manager size orders; otherwise it is in units of the instrument.
    """

    sides: Literal["long", "long_short"] = "long"
    quantity: Decimal | None = None

    def check(self, instruments: Mapping[InstrumentId, InstrumentFacts]) -> None:
        """Raise ParamError where a market forbids short sales or the quantity is no whole lot."""
        super().check(instruments)
        for facts in instruments.values():
            if self.sides == "long_short" and not facts.market.short_allowed:
                raise ParamError(
                    f"parameter sides='long_short' cannot work on {facts.instrument_id}:"
                    f" {facts.market.venue} allows no short sale; use sides='long'"
                )
            if self.quantity is not None:
                _check_quantity(self.quantity, facts)


class Desk:
    """One instrument's position, exit rules and waiting signal."""

    __slots__ = ("exits", "instrument_id", "position", "precision", "quantity", "waiting")

    def __init__(self, strategy: "TradingStrategy[Any]", facts: InstrumentFacts) -> None:
        quantity = strategy.params.quantity
        self.instrument_id = facts.instrument_id
        self.position = strategy.position(facts.instrument_id)
        self.precision = facts.price_precision
        self.quantity = None if quantity is None else _lots(quantity, facts)
        self.exits = ExitRules(strategy, facts.instrument_id, strategy.params)
        self.waiting: tuple[int, str, int] | None = None


class TradingStrategy[P: TradeParams](Strategy[P]):
    """Base of strategies whose signals are long, short or flat; call ``want`` on a signal."""

    def __init__(self, setup: Setup[P]) -> None:
        super().__init__(setup)
        self._long_short = setup.params.sides == "long_short"
        self.desks = {key: Desk(self, facts) for key, facts in setup.instruments.items()}

    def want(
        self, desk: Desk, sign: int, reason: str, ts_ns: int, until_ns: int = FOREVER_NS
    ) -> Intents:
        """Return what brings the position to ``sign`` (1 long, 0 flat, -1 short).

        Long-only strategies take -1 as flat. A signal that must wait for a pending order is
        forgotten after ``until_ns``.
        """
        if self.is_pending(desk.instrument_id):
            desk.waiting = (sign, reason, until_ns)
            return None
        desk.waiting = None
        if sign < 0 and not self._long_short:
            sign = 0
        net_raw = desk.position.net_raw
        if sign == 0:
            return (desk.exits.leave(ts_ns, reason),) if net_raw else None
        if net_raw * sign > 0:
            desk.exits.stay()
            return None
        return (self._open(desk, sign, reason),)

    def on_opened(self, desk: Desk, fill: Fill) -> Intents:
        """React to a fill that opened a position or turned it round; override where needed."""

    def on_fill(self, fill: Fill) -> Intents:
        """Follow the position, then carry out a signal that waited."""
        desk = self.desks[fill.instrument_id]
        opened = self.on_opened(desk, fill) if desk.exits.refresh() else None
        return (*(opened or ()), *(self._resume(desk, fill.ts_ns) or ()))

    def on_order(self, update: OrderUpdate) -> Intents:
        """Carry out a signal that waited for an order which ended without filling."""
        if update.state in ENDED:
            return self._resume(self.desks[update.instrument_id], update.ts_ns)
        return None

    def _open(self, desk: Desk, sign: int, reason: str) -> Enter | Target:
        if self._long_short:
            side = PositionSide.LONG if sign > 0 else PositionSide.SHORT
            return Target(desk.instrument_id, side, reason, desk.quantity)
        return Enter(desk.instrument_id, OrderSide.BUY, reason, desk.quantity)

    def _resume(self, desk: Desk, ts_ns: int) -> Intents:
        if desk.waiting is None or self.is_pending(desk.instrument_id):
            return None
        sign, reason, until_ns = desk.waiting
        desk.waiting = None
        return self.want(desk, sign, reason, ts_ns) if ts_ns <= until_ns else None


def _check_quantity(quantity: Decimal, facts: InstrumentFacts) -> None:
    raw = quantity * RAW_ONE if quantity.is_finite() else Decimal(0)
    if raw <= 0 or raw % facts.lot_raw or raw < facts.min_quantity_raw:
        lot = price_text(facts.lot_raw, facts.size_precision)
        least = price_text(max(facts.lot_raw, facts.min_quantity_raw), facts.size_precision)
        raise ParamError(
            f"parameter quantity={quantity} does not fit {facts.instrument_id}: use a multiple of"
            f" {lot}, at least {least}"
        )


def _lots(quantity: Decimal, facts: InstrumentFacts) -> Quantity:
    return Quantity.from_raw(int(quantity * RAW_ONE), facts.size_precision)
