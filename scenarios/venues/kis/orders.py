"""Orders as the venue keeps them, and its order types.

Rule: quantities only ever move from open to filled, cancelled, moved (amended into a new order) or
rejected; their sum is the order's quantity.
"""

from dataclasses import dataclass
from enum import StrEnum

from scenarios.venues.kis.matching import Lifetime, Side
from scenarios.venues.kis.phases import Phase


class Pricing(StrEnum):
    """Where an order's limit comes from."""

    LIMIT = "limit"
    MARKET = "market"
    BEST = "opposite best"
    OWN_BEST = "own best"
    STOP = "stop limit"
    CLOSE = "close price"


@dataclass(frozen=True, slots=True)
class OrderType:
    """One ORD_DVSN: its name, pricing, lifetime and the phases that take it."""

    code: str
    name: str
    pricing: Pricing
    lifetime: Lifetime
    phases: frozenset[Phase]


_ANY = frozenset({Phase.OPENING_AUCTION, Phase.CONTINUOUS, Phase.CLOSING_AUCTION})
_CONTINUOUS = frozenset({Phase.CONTINUOUS})
_NOT_CLOSING = frozenset({Phase.OPENING_AUCTION, Phase.CONTINUOUS})
_AFTER = frozenset({Phase.AFTER_MARKET})
_DAY, _IOC, _FOK = Lifetime.DAY, Lifetime.IOC, Lifetime.FOK

ORDER_TYPES = {
    each.code: each
    for each in (
        OrderType("00", "지정가", Pricing.LIMIT, _DAY, _ANY),
        OrderType("01", "시장가", Pricing.MARKET, _DAY, _ANY),
        OrderType("02", "조건부지정가", Pricing.LIMIT, _DAY, _NOT_CLOSING),
        OrderType("03", "최유리지정가", Pricing.BEST, _DAY, _CONTINUOUS),
        OrderType("04", "최우선지정가", Pricing.OWN_BEST, _DAY, _CONTINUOUS),
        OrderType("05", "장전 시간외", Pricing.CLOSE, _DAY, frozenset({Phase.OPENING_AUCTION})),
        OrderType("06", "장후 시간외", Pricing.CLOSE, _DAY, frozenset({Phase.CLOSE_PRICE})),
        OrderType("11", "IOC지정가", Pricing.LIMIT, _IOC, _CONTINUOUS),
        OrderType("12", "FOK지정가", Pricing.LIMIT, _FOK, _CONTINUOUS),
        OrderType("13", "IOC시장가", Pricing.MARKET, _IOC, _CONTINUOUS),
        OrderType("14", "FOK시장가", Pricing.MARKET, _FOK, _CONTINUOUS),
        OrderType("15", "IOC최유리", Pricing.BEST, _IOC, _CONTINUOUS),
        OrderType("16", "FOK최유리", Pricing.BEST, _FOK, _CONTINUOUS),
        OrderType("22", "스톱지정가", Pricing.STOP, _DAY, _CONTINUOUS),
        OrderType("41", "애프터 지정가", Pricing.LIMIT, _DAY, _AFTER),
        OrderType("42", "애프터 IOC지정가", Pricing.LIMIT, _IOC, _AFTER),
        OrderType("43", "애프터 FOK지정가", Pricing.LIMIT, _FOK, _AFTER),
        OrderType("44", "애프터 최유리", Pricing.BEST, _DAY, _AFTER),
        OrderType("45", "애프터 IOC최유리", Pricing.BEST, _IOC, _AFTER),
        OrderType("46", "애프터 FOK최유리", Pricing.BEST, _FOK, _AFTER),
        OrderType("47", "애프터 최우선", Pricing.OWN_BEST, _DAY, _AFTER),
    )
}
"""Midpoint orders (21, 23, 24) are not offered here. Orders at the close price (05, 06) wait and
are not matched: the tape holds no trades of those sessions."""

CONDITIONAL = "02"
NO_PRICE = frozenset({Pricing.MARKET, Pricing.BEST, Pricing.OWN_BEST, Pricing.CLOSE})


@dataclass(slots=True)
class Order:
    """One order number of one day: a new order, an amendment or a cancellation.

    ``price`` is what was sent (0 without one), ``limit`` what it trades at, ``reserve_price``
    what a buy holds cash for. ``original`` is the number it amends or cancels.
    """

    number: str
    day: str
    time: str
    account: str
    code: str
    side: Side
    type: OrderType
    quantity: int
    price: int
    limit: int
    reserve_price: int
    condition_price: int = 0
    original: str = ""
    is_cancel: bool = False
    filled: int = 0
    filled_won: int = 0
    cancelled: int = 0
    moved: int = 0
    rejected: int = 0
    reserved_won: int = 0
    promised: int = 0
    last_fill_time: str = ""

    @property
    def open_quantity(self) -> int:
        """What may still trade."""
        if self.is_cancel:
            return 0
        return self.quantity - self.filled - self.cancelled - self.moved - self.rejected
