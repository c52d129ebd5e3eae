"""Limits on prices: the grid, the day's limits, sanity against the last price, age of data.

Rule: sanity and age bind new risk only; whoever wants out gets out.
"""

from decimal import Decimal

from strategies.capital.asks import Ask, number
from strategies.capital.bands import Band
from strategies.capital.config import SECOND_NS, LimitRules
from strategies.markets.facts import RAW_ONE
from strategies.messages import Limit, Refusal

BPS = 10_000


def check_grid(ask: Ask, band: Band | None) -> Refusal | None:
    """Refuse a limit price between two ticks or outside the day's limits."""
    if ask.limit_price is None:
        return None
    price, ticks = ask.price_raw, ask.facts.ticks
    if ticks.floor_raw(price) != price:
        tick = Decimal(ticks.tick_raw(price)) / RAW_ONE
        return ask.refuse(Limit.TICK, f"a price of {number(price)}", f"steps of {tick}")
    if band is not None and not band.lower_raw <= price <= band.upper_raw:
        allowed = f"{number(band.lower_raw)} to {number(band.upper_raw)} today"
        return ask.refuse(Limit.PRICE_BAND, f"a price of {number(price)}", allowed)
    return None


def check_sanity(ask: Ask, rules: LimitRules) -> Refusal | None:
    """Refuse to pay far more, or take far less, than the last price."""
    last, width = ask.last_raw, rules.price_sanity_bps
    if ask.limit_price is None or last is None or not width:
        return None
    furthest = last + last * width // BPS if ask.buys else last - last * width // BPS
    if (ask.price_raw > furthest) if ask.buys else (ask.price_raw < furthest):
        side = "most" if ask.buys else "least"
        allowed = f"at {side} {number(furthest)}, {width} bps from the last price {number(last)}"
        return ask.refuse(Limit.PRICE_SANITY, f"a price of {number(ask.price_raw)}", allowed)
    return None


def check_age(ask: Ask, rules: LimitRules, seen_ns: int | None) -> Refusal | None:
    """Refuse new risk on a price that is too old, or on none."""
    if not rules.stale_after_ns or seen_ns is None:
        return None
    age_ns = ask.ts_ns - seen_ns
    if age_ns <= rules.stale_after_ns:
        return None
    most = f"at most {rules.stale_after_ns // SECOND_NS} s"
    return ask.refuse(Limit.STALE, f"a price {age_ns // SECOND_NS} s old", most)


def worst_price_raw(ask: Ask, band: Band | None, buffer_bps: int) -> int:
    """Return the price at which the order would bind the most money.

    A buy pays its limit at most, else the day's upper limit, else the last price and a buffer. A
    sale may be paid better than asked, which binds more: the upper limit, or the better of limit
    and last price and a buffer.
    """
    if ask.buys and ask.limit_price is not None:
        return ask.price_raw
    if band is not None:
        return band.upper_raw
    start = max(ask.price_raw, ask.last_raw or 0)
    return ask.facts.ticks.ceil_raw(start + start * buffer_bps // BPS)
