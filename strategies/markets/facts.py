"""The shape of a market's and an instrument's facts, as deciders and capital see them."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from nautilus_trader.model import Currency, InstrumentId

from strategies.markets.sessions import SessionCalendar

RAW_DIGITS = 16
"""Decimal digits of the engine's raw integers (Price.raw, Quantity.raw, Money.raw)."""

RAW_ONE: int = 10**RAW_DIGITS

PPB: int = 10**9
"""Parts per billion: rates as integers, for arithmetic that runs on every order."""


class TickScheme(Protocol):
    """The price grid of a market; prices are the engine's raw integers."""

    def tick_raw(self, price_raw: int) -> int:
        """Return the tick that applies at this price."""

    def floor_raw(self, price_raw: int) -> int:
        """Return the highest grid price not above ``price_raw``."""

    def ceil_raw(self, price_raw: int) -> int:
        """Return the lowest grid price not below ``price_raw``."""


@dataclass(frozen=True, slots=True)
class UniformTicks:
    """One tick for all prices."""

    size_raw: int

    def tick_raw(self, price_raw: int) -> int:  # noqa: ARG002 - one tick at every price
        return self.size_raw

    def floor_raw(self, price_raw: int) -> int:
        return price_raw - price_raw % self.size_raw

    def ceil_raw(self, price_raw: int) -> int:
        return -(-price_raw // self.size_raw) * self.size_raw


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """What holds for every instrument of one venue.

    ``price_limit_ratio``: largest daily move either way (0.30 on KRX), None where there is none.
    ``margin``: fills move realised P&L only (True), or cash and assets change hands (False).
    ``settlement_sessions``: how many sessions after a sale its proceeds arrive (0: at once);
    ``proceeds_buy``: whether they may pay for purchases before they do.
    """

    venue: str
    timezone: str
    currency: Currency
    margin: bool
    short_allowed: bool
    price_limit_ratio: Decimal | None
    maker_rate: Decimal
    taker_rate: Decimal
    sell_tax_rate: Decimal
    sessions: SessionCalendar
    settlement_sessions: int = 0
    proceeds_buy: bool = True
    taker_ppb: int = field(init=False)

    def __post_init__(self) -> None:
        # Frozen: set once here, because it is read on every order and Decimal arithmetic is slow.
        object.__setattr__(self, "taker_ppb", int(self.taker_rate * PPB))


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentFacts:
    """What a decider may know of an instrument.

    ``lot_raw`` is the smallest tradable quantity step in raw units; ``base`` is the asset a spot
    fill delivers, None for margin instruments and stocks. What is not ``tradable`` (an index) can
    be observed, and every order in it is refused.
    """

    instrument_id: InstrumentId
    market: MarketFacts
    price_precision: int
    size_precision: int
    ticks: TickScheme
    lot_raw: int
    currency: Currency
    min_quantity_raw: int
    min_notional_raw: int
    base: Currency | None
    base_price_raw: int | None = None
    tradable: bool = True
