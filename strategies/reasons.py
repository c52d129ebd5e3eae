"""Turns raw integers into the numbers of a reason.

Rule: only called where an intent is made, never on the way of every event.
"""

from strategies.markets.facts import RAW_DIGITS, RAW_ONE

type Ratio = tuple[int, int]
"""Numerator and denominator, which is above 0; not reduced."""

BPS = 10_000
"""Basis points in one."""


def price_text(price_raw: int, precision: int) -> str:
    """Write a raw price with the instrument's digits, up to two more where it has more."""
    tail = _cut((price_raw, 1), precision + 2)
    digits = len(tail.partition(".")[2])
    return tail if digits > precision else _cut((price_raw, 1), precision, strip=False)


def pair_text(first_raw: Ratio, second_raw: Ratio, precision: int) -> tuple[str, str]:
    """Write two raw values with as many digits as it takes to tell them apart, rounded down."""
    a, b = "", ""
    for places in range(precision + 1, RAW_DIGITS + 17):
        a, b = _cut(first_raw, places), _cut(second_raw, places)
        if a != b:
            break
    return a, b


def move_bps(from_raw: int, to_raw: int) -> int:
    """Return the move in whole basis points of ``from_raw``, rounded towards zero."""
    size = abs(to_raw - from_raw) * BPS // abs(from_raw)
    return size if to_raw >= from_raw else -size


def _cut(raw: Ratio, places: int, *, strip: bool = True) -> str:
    """Write a value rounded down to some places; by text, Decimal takes three times as long."""
    units = raw[0] * 10**places // (raw[1] * RAW_ONE)
    digits = str(abs(units)).rjust(places + 1, "0")
    whole, part = (digits[:-places], digits[-places:]) if places else (digits, "")
    if strip:
        part = part.rstrip("0")
    return ("-" if units < 0 else "") + whole + ("." if part else "") + part
