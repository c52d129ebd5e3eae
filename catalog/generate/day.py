"""One generated trading day of one symbol: quotes, and trades at the prevailing bid or ask.

Rule: integers only. A quote holds until the next one; a trade falls between them, takes no more
than is displayed, and takes all of it where the price then moves its way.
"""

from dataclasses import dataclass
from math import isqrt

import numpy as np

from catalog.generate.chance import ONE, Chance, Ints

MINUTE_NS = 60_000_000_000
BUY, SELL, NO_AGGRESSOR = 0, 1, 2

_SPACING_NS = 4_000
_WIDE_SHARE = ONE // 8
_TRADE_SHARE = ONE * 45 // 100
_EAGER_SHARE = ONE * 3 // 4
_DRIFT_SHARE = 3
_MOST_DRIFT = ONE // 3


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """What a day is drawn from.

    ``grid``: all prices that may be quoted, ascending, in units. ``volatility_ppm``: the size of
    a usual day's move. ``quotes``: how many; about half as many trades follow. ``base_size``: the
    least displayed size in units. ``u_shaped``: busy at open and close. ``surge``: how many times
    busier an episode is. ``closing_print``: an auction ends the day ``auction_ns`` after the last
    quote.
    """

    open_ns: int
    close_ns: int
    grid: Ints
    open_price: int
    volatility_ppm: int
    quotes: int
    base_size: int
    u_shaped: bool
    episodes: int
    surge: int
    auction_ns: int = 0


@dataclass(frozen=True, slots=True)
class Tape:
    """A day as columns in units; times are UTC ns."""

    quote_ns: Ints
    bid: Ints
    ask: Ints
    bid_size: Ints
    ask_size: Ints
    trade_ns: Ints
    price: Ints
    size: Ints
    side: Ints


@dataclass(frozen=True, slots=True)
class _Mood:
    """How busy each minute is, where it leans to (-1, 0, 1) and how much more is displayed."""

    weight: Ints
    drift: Ints
    surge: Ints


def generate_day(chance: Chance, plan: DayPlan) -> Tape:
    """Draw one day."""
    mood = _mood(chance, plan)
    quote_ns = _times(chance, plan, mood)
    minute = np.minimum((quote_ns - plan.open_ns) // MINUTE_NS, len(mood.weight) - 1)
    steps = _steps(chance, plan, mood.drift[minute])
    bid_at, ask_at = _book(chance, plan, steps)
    base = plan.base_size * mood.surge[minute]
    bid_size = _displayed(chance, base)
    ask_size = _displayed(chance, base)
    return _with_trades(
        chance, plan, steps, (quote_ns, plan.grid[bid_at], plan.grid[ask_at], bid_size, ask_size)
    )


def _mood(chance: Chance, plan: DayPlan) -> _Mood:
    count = max(1, (plan.close_ns - plan.auction_ns - plan.open_ns) // MINUTE_NS)
    minute = np.arange(count, dtype=np.int64)
    middle = (2 * minute - count) ** 2 * 300 // (count * count) if plan.u_shaped else 0 * minute
    weight = 100 + middle + chance.below(count, 60)
    drift = np.zeros(count, np.int64)
    surge = np.ones(count, np.int64)
    for _ in range(plan.episodes):
        length = 5 + chance.one(max(2, min(40, count // 4)))
        start = chance.one(max(1, count - length))
        towards = 1 if chance.one(2) else -1
        drift[start : start + length] += towards
        if chance.one(2):  # every other episode is given back
            drift[start + length : start + 2 * length] -= towards
        busy = slice(max(0, start - 3), start + length // 2)
        surge[busy] = plan.surge
        weight[busy] *= plan.surge
    return _Mood(weight, np.clip(drift, -1, 1), surge)


def _times(chance: Chance, plan: DayPlan, mood: _Mood) -> Ints:
    """Draw ascending times, at least ``_SPACING_NS`` apart, the first one at the open."""
    ends = np.cumsum(mood.weight)
    minute = np.searchsorted(ends, chance.below(plan.quotes, int(ends[-1])), side="right")
    room = MINUTE_NS - plan.quotes * _SPACING_NS - 1
    drawn = np.sort(minute * MINUTE_NS + chance.below(plan.quotes, room))
    drawn[0] = 0
    return plan.open_ns + drawn + np.arange(plan.quotes, dtype=np.int64) * _SPACING_NS


def _steps(chance: Chance, plan: DayPlan, drift: Ints) -> Ints:
    """Draw the moves of the book in grid steps, so that they add up to the day's volatility."""
    at = min(int(np.searchsorted(plan.grid, plan.open_price)), len(plan.grid) - 2)
    tick_ppm_1000 = max(1, int(plan.grid[at + 1] - plan.grid[at]) * 10**9 // plan.open_price)
    ratio_1000 = plan.volatility_ppm * 10**6 // tick_ppm_1000  # a day's move in ticks, x 1000
    moves = max(8, ratio_1000 * ratio_1000 // 10**6)
    most = plan.quotes // 3
    length = 1
    if moves > most:
        length = max(1, isqrt(moves // most))
        moves = most
    moved = chance.happens(plan.quotes, moves * ONE // plan.quotes)
    # An episode, a twelfth of a day, so travels about half a usual day's move.
    lean = min(_MOST_DRIFT, ONE * _DRIFT_SHARE // isqrt(moves))
    up = chance.below(plan.quotes, ONE) < ONE // 2 + drift * lean
    size = 1 + chance.below(plan.quotes, 2 * length - 1)
    steps: Ints = np.where(moved, np.where(up, size, -size), 0)
    steps[0] = 0
    return steps


def _book(chance: Chance, plan: DayPlan, steps: Ints) -> tuple[Ints, Ints]:
    last = len(plan.grid) - 1
    start = int(np.searchsorted(plan.grid, plan.open_price, side="right")) - 1
    bid_at = np.clip(start + np.cumsum(steps), 0, last - 1)
    wide = chance.happens(plan.quotes, _WIDE_SHARE).astype(np.int64)
    return bid_at, np.minimum(bid_at + 1 + wide, last)


def _displayed(chance: Chance, base: Ints) -> Ints:
    return base + base * chance.heavy(len(base), 16) // 16


def _with_trades(
    chance: Chance, plan: DayPlan, steps: Ints, book: tuple[Ints, Ints, Ints, Ints, Ints]
) -> Tape:
    quote_ns, bid, ask, bid_size, ask_size = book
    count = len(quote_ns)
    ahead = np.append(steps[1:], 0)
    eager = (ahead != 0) & chance.happens(count, _EAGER_SHARE)
    side = np.where(ahead == 0, chance.below(count, 2), np.where(ahead > 0, BUY, SELL))
    at = np.flatnonzero(chance.happens(count, _TRADE_SHARE) | eager)
    at = at if len(at) else np.array([0])
    gap = np.append(np.diff(quote_ns), 2 * _SPACING_NS)
    side = side[at]
    price = np.where(side == BUY, ask[at], bid[at])
    displayed = np.where(side == BUY, ask_size[at], bid_size[at])
    wanted = 1 + chance.heavy(len(at), max(1, plan.base_size // 4))
    size = np.where(eager[at], displayed, np.minimum(wanted, displayed))
    trade_ns = quote_ns[at] + gap[at] // 2
    if plan.auction_ns:
        trade_ns = np.append(trade_ns, plan.close_ns)
        price = np.append(price, price[-1] if _holds(at, count) else bid[-1])
        size = np.append(size, min(int(size.sum()) // 20 + 1, int(bid_size[-1])))
        side = np.append(side, NO_AGGRESSOR)
    return Tape(quote_ns, bid, ask, bid_size, ask_size, trade_ns, price, size, side)


def _holds(at: Ints, count: int) -> bool:
    """Say whether the last trade met the last quote, so that its price still stands."""
    return int(at[-1]) == count - 1


def fold_bars(tape: Tape, interval_ns: int) -> tuple[Ints, list[Ints]]:
    """Fold trades into bars: their close times, and open, high, low, close, volume.

    As in the engine's own bars a trade on the boundary ends a bar, so that the closing auction's
    print is in the session's last one. An interval without trades has no bar.
    """
    slot = (tape.trade_ns - 1) // interval_ns
    starts = np.flatnonzero(np.append(True, slot[1:] != slot[:-1]))
    ends = np.append(starts[1:], len(slot)) - 1
    columns = [
        tape.price[starts],
        np.maximum.reduceat(tape.price, starts),
        np.minimum.reduceat(tape.price, starts),
        tape.price[ends],
        np.add.reduceat(tape.size, starts),
    ]
    return (slot[starts] + 1) * interval_ns, columns
