"""One strategy's position in one instrument, folded from its own fills.

Rule: quantities are the engine's raw integers, money is Decimal. Realised P&L uses average cost.
"""

from dataclasses import dataclass
from decimal import Decimal

from nautilus_trader.model import OrderSide

from strategies.markets.facts import RAW_ONE
from strategies.messages import Fill


@dataclass(slots=True)
class Position:
    """A running position; ``net_raw`` is signed, ``cost`` is what the open part cost (>= 0)."""

    net_raw: int = 0
    cost: Decimal = Decimal(0)
    realized: Decimal = Decimal(0)
    fees: Decimal = Decimal(0)
    opened_ns: int = 0

    def apply(self, fill: Fill) -> Decimal:
        """Fold one fill in and return the P&L it realised before fees, in quote currency."""
        signed = fill.quantity.raw if fill.side == OrderSide.BUY else -fill.quantity.raw
        price: Decimal = fill.price.as_decimal()
        self.fees += fill.commission.as_decimal()
        closed = 0
        realized = Decimal(0)
        if self.net_raw and (self.net_raw > 0) != (signed > 0):
            closed = min(abs(signed), abs(self.net_raw))
            part = self.cost * closed / abs(self.net_raw)
            proceeds: Decimal = price * closed / RAW_ONE
            realized = proceeds - part if self.net_raw > 0 else part - proceeds
            self.cost -= part
        opened = abs(signed) - closed
        if opened:
            if self.net_raw == 0 or closed:
                self.opened_ns = fill.ts_ns
            self.cost += price * opened / RAW_ONE
        self.net_raw += signed
        if self.net_raw == 0:
            self.cost = Decimal(0)
        self.realized += realized
        return realized

    def average_price(self) -> Decimal:
        """Return the average price of the open part, 0 when flat."""
        return self.cost * RAW_ONE / abs(self.net_raw) if self.net_raw else Decimal(0)

    def unrealized(self, mark: Decimal) -> Decimal:
        """Return what closing at ``mark`` would realise before fees."""
        value = mark * abs(self.net_raw) / RAW_ONE
        return value - self.cost if self.net_raw >= 0 else self.cost - value
