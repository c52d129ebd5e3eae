"""How numbers, money, spans of time and moments are written for people.

Rule: a moment is always written in a named time zone; a minus is a minus sign, thousands have
commas, and what has no value is said, never printed as nan.
"""

from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from nautilus_trader.model import Currency

from catalog.stats.values import Undefined, Unit, Value
from catalog.thinning import IntArray

CENTS = frozenset({"USDT", "USDC", "FDUSD", "BUSD", "DAI", "TUSD"})
"""Tokens that stand for a dollar and are read with two digits."""

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS


@lru_cache(64)
def currency_digits(code: str) -> int:
    """Return how many digits people read of a currency: won none, dollars two, others six."""
    precision = int(Currency.from_str(code).precision)
    return min(precision, 2 if precision <= 2 or code in CENTS else 6)


def _minus(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")


def number(value: Decimal, digits: int) -> str:
    """Write a decimal with thousands; small ones keep two significant digits."""
    rounded = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN)
    if value and not rounded:
        rounded = value.quantize(Decimal(1).scaleb(value.adjusted() - 1), ROUND_HALF_EVEN)
    if not rounded:
        rounded = abs(rounded)
    return _minus(f"{rounded:,f}")


def amount(value: Decimal, code: str) -> str:
    """Write an amount in a currency's digits: ``1,234``."""
    return number(value, currency_digits(code))


def money(value: Decimal, code: str) -> str:
    """Write an amount with its currency: ``1,234 KRW``."""
    return f"{amount(value, code)} {code}"


def signed_amount(value: Decimal, code: str) -> str:
    """Write a result with its sign, in a currency's digits: ``+1,234``."""
    return ("+" if value > 0 else "") + amount(value, code)


def signed_money(value: Decimal, code: str) -> str:
    """Write a result with its sign: ``+1,234 KRW``."""
    return f"{signed_amount(value, code)} {code}"


def exact(value: Decimal) -> str:
    """Write a price or quantity with all its digits."""
    return _minus(f"{value:,f}")


def price(value: Decimal) -> str:
    """Write an average price: all digits where they are few, else eight significant ones."""
    short = value.normalize()
    if len(short.as_tuple().digits) > 10:
        short = short.quantize(Decimal(1).scaleb(short.adjusted() - 7))
    return exact(short)


def percent(fraction: float, *, signed: bool = False) -> str:
    """Write a fraction as per cent, with as many digits as small values need."""
    value = fraction * 100
    digits = 1 if abs(value) >= 100 else 2 if abs(value) >= 0.1 else 4
    if round(value, digits) == 0:
        return "0 %"
    text = f"{value:+,.{digits}f}" if signed else f"{value:,.{digits}f}"
    return _minus(text) + " %"


def ratio(value: float) -> str:
    """Write a ratio with two digits."""
    return _minus(f"{value:,.2f}") if abs(value) < 1000 else _minus(f"{value:,.0f}")


def count(value: int, noun: str, many: str = "") -> str:
    """Write a count with its noun: ``1 trade``, ``2 trades``; ``many`` is an irregular plural."""
    return f"{value:,} {noun if value == 1 else many or noun + 's'}"


def duration(span_ns: int) -> str:
    """Write a span of time in its two largest units."""
    parts = [("d", DAY_NS), ("h", HOUR_NS), ("min", MINUTE_NS), ("s", SECOND_NS)]
    for i, (unit, length) in enumerate(parts):
        if span_ns >= length:
            text = f"{span_ns // length} {unit}"
            rest = span_ns % length // parts[i + 1][1] if i + 1 < len(parts) else 0
            return f"{text} {rest} {parts[i + 1][0]}" if rest else text
    return f"{span_ns / 1e6:g} ms" if span_ns else "0 s"


def written(value: Value, unit: Unit, currency: str) -> str:
    """Write any statistic by its unit; for an undefined one, why it is."""
    if isinstance(value, Undefined):
        return value.reason
    if unit is Unit.MONEY:
        return money(Decimal(value), currency)
    if unit is Unit.FRACTION:
        return percent(float(value))
    if unit is Unit.DURATION:
        return duration(int(value))
    return f"{int(value):,}" if unit is Unit.COUNT else ratio(float(value))


def local_time(ts_ns: int, zone: str) -> datetime:
    """Return a moment in a zone, cut to microseconds."""
    seconds, rest = divmod(ts_ns, SECOND_NS)
    return datetime.fromtimestamp(seconds, ZoneInfo(zone)) + timedelta(microseconds=rest // 1000)


def moment(ts_ns: int, zone: str) -> str:
    """Write a moment with the zone's short name: ``2026-11-20 09:00:05 KST``."""
    local = local_time(ts_ns, zone)
    fraction = f".{local.microsecond // 1000:03d}" if ts_ns % SECOND_NS else ""
    return f"{local:%Y-%m-%d %H:%M:%S}{fraction} {local:%Z}"


def zone_label(zone: str, ts_ns: int) -> str:
    """Write a zone with its short name at a moment: ``KST, Asia/Seoul``; UTC stays UTC."""
    short = f"{local_time(ts_ns, zone):%Z}"
    return zone if short == zone else f"{short}, {zone}"


def window(start_ns: int, end_ns: int, zone: str) -> str:
    """Write a window; the date once where it is the same day."""
    start, end = local_time(start_ns, zone), local_time(end_ns, zone)
    pattern = "%H:%M:%S" if end_ns - start_ns < HOUR_NS else "%H:%M"
    until = end.strftime(pattern if end.date() == start.date() else f"%Y-%m-%d {pattern}")
    return f"{start.strftime(f'%Y-%m-%d {pattern}')} to {until} {zone_label(zone, start_ns)}"


def local_ms(ts_ns: IntArray, zone: str) -> list[int]:
    """Return moments as milliseconds on the zone's own clock, for a time axis without zones."""
    if zone == "UTC" or len(ts_ns) == 0:
        return [int(ms) for ms in ts_ns // 1_000_000]
    quarters, back = np.unique(ts_ns // (15 * MINUTE_NS), return_inverse=True)
    offsets = np.array([_offset_ms(int(q) * 15 * 60, zone) for q in quarters], np.int64)
    return [int(ms) for ms in ts_ns // 1_000_000 + offsets[back]]


def _offset_ms(seconds: int, zone: str) -> int:
    offset = datetime.fromtimestamp(seconds, ZoneInfo(zone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() * 1000)
