"""Turns stated risk into a quantity: notional, share of the allocation, stop distance, volatility.

Rule: every step rounds down, so that the quantity never carries more risk than was stated.
"""

from decimal import Decimal

from strategies.capital.asks import Ask, number
from strategies.capital.ledger import fee_raw
from strategies.capital.limits.prices import BPS
from strategies.markets.facts import RAW_ONE
from strategies.messages import Limit, Refusal, SizeBy, Sizing


def stated_raw(ask: Ask, sizing: Sizing, volatility: Decimal | None) -> int | Refusal:
    """Return the raw quantity that a stated risk means, before lots and limits.

    ``volatility`` is the standard deviation of the instrument's return over a session, as a
    fraction; None where too few prices are known.
    """
    match sizing.by:
        case SizeBy.NOTIONAL:
            return _by_notional(ask, sizing)
        case SizeBy.ALLOCATION:
            per_unit = ask.worst_raw + fee_raw(ask.worst_raw, ask.facts)
            return _part_raw(ask, sizing) * RAW_ONE // per_unit
        case SizeBy.RISK:
            return _by_stop(ask, sizing)
        case SizeBy.VOLATILITY:
            return _by_volatility(ask, sizing, volatility)


def _part_raw(ask: Ask, sizing: Sizing) -> int:
    return ask.allocation_raw * sizing.bps // BPS


def _by_notional(ask: Ask, sizing: Sizing) -> int | Refusal:
    amount, code = sizing.amount, ask.facts.currency.code
    if amount is None or amount.currency != ask.facts.currency:
        asked = f"a notional of {amount or 'no amount'}"
        return ask.refuse(Limit.SIZING, asked, f"an amount in {code}")
    return int(amount.raw) * RAW_ONE // ask.price_raw


def _by_stop(ask: Ask, sizing: Sizing) -> int | Refusal:
    stop = ask.stop_raw
    if stop is None:
        return ask.refuse(Limit.SIZING, "risk per trade without a stop price", "a stop_price")
    if (stop >= ask.price_raw) if ask.buys else (stop <= ask.price_raw):
        side = "below" if ask.buys else "above"
        asked = f"a stop at {number(stop)}"
        return ask.refuse(Limit.SIZING, asked, f"a stop {side} {number(ask.price_raw)}")
    # A buy loses most from the worst price it may pay; a sale from the price it asked for.
    start = ask.worst_raw if ask.buys else ask.price_raw
    return _part_raw(ask, sizing) * RAW_ONE // abs(start - stop)


def _by_volatility(ask: Ask, sizing: Sizing, volatility: Decimal | None) -> int | Refusal:
    if not volatility:
        asked = "a size by volatility"
        return ask.refuse(Limit.SIZING, asked, "at least the stated number of price samples")
    per_unit = Decimal(ask.price_raw) * volatility
    return int(Decimal(_part_raw(ask, sizing)) * RAW_ONE // per_unit)
