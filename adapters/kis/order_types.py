"""KIS's order types (ORD_DVSN) and where each is taken.

Source: KIS's sample repository order_cash, 2026-07-09; notices for 27 to 29 and 41 to 47 (since
2026-09-14). Types of NXT and of the KRX after-market are prepared and not used.
"""

from dataclasses import dataclass

from nautilus_trader.model import OrderType, TimeInForce

from adapters.kis.errors import RequestRefused

_KRX, _NXT, _SOR = "KRX", "NXT", "SOR"


@dataclass(frozen=True, slots=True)
class KisOrderType:
    """One ORD_DVSN."""

    code: str
    words: str
    exchanges: tuple[str, ...]

    @property
    def priced(self) -> bool:
        """Tell whether the order carries a price; all others send 0."""
        return self.code in PRICED


_ALL = (
    KisOrderType("00", "limit", (_KRX, _NXT, _SOR)),
    KisOrderType("01", "market", (_KRX, _SOR)),
    KisOrderType("02", "conditional limit", (_KRX,)),
    KisOrderType("03", "best limit", (_KRX, _NXT, _SOR)),
    KisOrderType("04", "priority limit", (_KRX, _NXT, _SOR)),
    KisOrderType("05", "closing price before the open", (_KRX,)),
    KisOrderType("06", "closing price after the close", (_KRX,)),
    KisOrderType("11", "limit IOC", (_KRX, _NXT, _SOR)),
    KisOrderType("12", "limit FOK", (_KRX, _NXT, _SOR)),
    KisOrderType("13", "market IOC", (_KRX, _NXT, _SOR)),
    KisOrderType("14", "market FOK", (_KRX, _NXT, _SOR)),
    KisOrderType("15", "best IOC", (_KRX, _NXT, _SOR)),
    KisOrderType("16", "best FOK", (_KRX, _NXT, _SOR)),
    KisOrderType("21", "midpoint", (_KRX, _NXT)),
    KisOrderType("22", "stop-limit", (_KRX, _NXT)),
    KisOrderType("23", "midpoint IOC", (_KRX, _NXT)),
    KisOrderType("24", "midpoint FOK", (_KRX, _NXT)),
    KisOrderType("27", "pre-market limit", (_NXT,)),
    KisOrderType("28", "pre-market best", (_NXT,)),
    KisOrderType("29", "pre-market priority", (_NXT,)),
    KisOrderType("41", "after-market limit", (_KRX,)),
    KisOrderType("42", "after-market limit IOC", (_KRX,)),
    KisOrderType("43", "after-market limit FOK", (_KRX,)),
    KisOrderType("44", "after-market best", (_KRX,)),
    KisOrderType("45", "after-market best IOC", (_KRX,)),
    KisOrderType("46", "after-market best FOK", (_KRX,)),
    KisOrderType("47", "after-market priority", (_KRX,)),
)
ORDER_TYPES = {one.code: one for one in _ALL}
PRICED = frozenset({"00", "02", "11", "12", "22", "27", "41", "42", "43"})
AFTER_MARKET = frozenset({"41", "42", "43", "44", "45", "46", "47"})
VOID = frozenset({"07"})
"""The single-price session after hours was abolished on 2026-09-14."""

_RESTING = (TimeInForce.DAY, TimeInForce.GTC)
_BY_ENGINE: dict[tuple[OrderType, TimeInForce], str] = {
    **{(OrderType.LIMIT, tif): "00" for tif in _RESTING},
    (OrderType.LIMIT, TimeInForce.IOC): "11",
    (OrderType.LIMIT, TimeInForce.FOK): "12",
    **{(OrderType.MARKET, tif): "01" for tif in _RESTING},
    (OrderType.MARKET, TimeInForce.IOC): "13",
    (OrderType.MARKET, TimeInForce.FOK): "14",
    **{(OrderType.MARKET_TO_LIMIT, tif): "03" for tif in _RESTING},
    (OrderType.MARKET_TO_LIMIT, TimeInForce.IOC): "15",
    (OrderType.MARKET_TO_LIMIT, TimeInForce.FOK): "16",
    **{(OrderType.STOP_LIMIT, tif): "22" for tif in _RESTING},
}
"""KRX orders live for the day: GTC is sent as a day order."""


def order_type(kind: OrderType, time_in_force: TimeInForce, exchange: str = _KRX) -> KisOrderType:
    """Return KIS's type for an engine order. Raises RequestRefused where there is none."""
    code = _BY_ENGINE.get((kind, time_in_force))
    if code is None or exchange not in ORDER_TYPES[code].exchanges:
        raise RequestRefused(
            f"{exchange} takes no {kind.name} order with {time_in_force.name}: use market, limit, "
            "market-to-limit (best) or stop-limit, with DAY, IOC or FOK."
        )
    return ORDER_TYPES[code]
