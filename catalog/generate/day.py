"""One generated trading day of one symbol: quotes, and trades inside the prevailing quote.

Rule: integers only. A quote holds until the next one; a trade falls between them, takes no more
than is displayed, and takes all of it where the price then moves its way. Only prints of an auction
have no aggressor (and prints at a given price between two ticks).
"""

from dataclasses import dataclass, field
from math import isqrt

import numpy as np
import numpy.typing as npt

from catalog.generate.chance import ONE, Chance, Ints
from catalog.generate.factors import MINUTE_NS, u_shape
from catalog.generate.targets import Anchors, Targets, anchors, bend, share_out, thin_out

type Flags = npt.NDArray[np.bool_]

BUY, SELL, NO_AGGRESSOR = 0, 1, 2
PPB = 10**9
PRINT_NS = 1_000
"""An auction's print follows by this the quote that shows its book."""

_SPACING_NS = 4_000
_WIDE_SHARE = ONE // 8
_TRADE_SHARE = ONE * 45 // 100
_EAGER_SHARE = ONE * 3 // 4
_BURST_NS = 2_000_000_000
_BURST_SHARE = ONE // 6
_BURST_NOISE = 3

VI_PAUSE_NS = 2 * MINUTE_NS
VI_RANDOM_MS = 30_000
VI_TENTHS = 1
"""KRX's static volatility interruption: an order that would trade 10 % or more away from the last
auction's price starts a call auction of 2 minutes, ended at random within 30 seconds more; its
price is the new reference. Source: KRX business regulation, static VI since 2015-06-15. The dynamic
one, against the last trade (6 %, 3 % for members of KOSPI 200), is not drawn: prices here go by
steps. Nor is a closing auction halted: a move too late for a pause runs into it."""

_VI_ROOM = 10  # pauses that must fit before the closing auction; a later one merges into it


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPlan:
    """What a day is drawn from.

    ``grid``: all prices that may be quoted, ascending, in units. ``volatility_ppb``: the size of
    a usual day's own move. ``factors``: returns per minute shared with others, in ppb. ``quotes``:
    how many; about half as many trades follow. ``base_size``: the least displayed size in units.
    ``u_shaped``: busy at open and close. ``surge``: how many times busier an episode is.
    ``news_ppb``: one more move, 0 for none. ``auction_ns``: the closing auction's length before
    ``close_ns``; with it the day opens with a print as well, and volatility interruptions hold.
    ``bursts``: seconds into which a sixth of the quotes crowd. ``targets``: what the day must hit.
    """

    open_ns: int
    close_ns: int
    grid: Ints
    open_price: int
    volatility_ppb: int
    quotes: int
    base_size: int
    u_shaped: bool
    episodes: int
    surge: int
    factors: Ints | None = None
    news_ppb: int = 0
    auction_ns: int = 0
    bursts: int = 0
    targets: Targets | None = None

    @property
    def minutes(self) -> int:
        """Minutes of continuous trading."""
        return max(1, (self.end_ns - self.open_ns) // MINUTE_NS)

    @property
    def end_ns(self) -> int:
        """When continuous trading ends."""
        return self.close_ns - self.auction_ns


@dataclass(frozen=True, slots=True)
class Tape:
    """A day as columns in units; times are UTC ns, ``*_at`` places on the plan's grid."""

    quote_ns: Ints
    bid: Ints
    ask: Ints
    bid_size: Ints
    ask_size: Ints
    trade_ns: Ints
    price: Ints
    size: Ints
    side: Ints
    bid_at: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    ask_at: Ints = field(default_factory=lambda: np.zeros(0, np.int64))


@dataclass(slots=True)
class _Mood:
    """Per minute: how busy it is, its drift in ppb and how much more is displayed."""

    weight: Ints
    drift: Ints
    surge: Ints


@dataclass(slots=True)
class _Prints:
    """Trades by the quote they follow; ``wanted`` weighs their sizes."""

    at: Ints
    price: Ints
    side: Ints
    eager: Flags
    wanted: Ints


@dataclass(slots=True)
class _Columns:
    ns: Ints
    price: Ints
    size: Ints
    side: Ints


def generate_day(chance: Chance, plan: DayPlan) -> Tape:
    """Draw one day."""
    mood = _mood(chance, plan)
    quote_ns, crowded = _times(chance, plan, mood)
    minute = np.minimum((quote_ns - plan.open_ns) // MINUTE_NS, len(mood.weight) - 1)
    path = _path(chance, plan, mood, quote_ns, minute, crowded)
    hits = anchors(path, plan.targets) if plan.targets is not None else Anchors()
    bid_at, ask_at = _book(chance, plan, path, hits)
    surge = mood.surge[minute]
    prints = _prints(chance, plan, bid_at, ask_at, surge, hits)
    gaps = np.append(np.diff(quote_ns), 2 * _SPACING_NS)
    reference = plan.targets.open if plan.targets is not None else int(plan.grid[bid_at[0]])
    quote_ns = _interrupt(chance, plan, quote_ns, prints, reference)
    shown = (_displayed(chance, plan, surge), _displayed(chance, plan, surge))
    return _tape(chance, plan, (quote_ns, gaps, bid_at, ask_at, *shown), prints)


def _mood(chance: Chance, plan: DayPlan) -> _Mood:
    count = plan.minutes
    shape = u_shape(count) if plan.u_shaped else np.full(count, 100, np.int64)
    drift = np.zeros(count, np.int64) if plan.factors is None else plan.factors.copy()
    mood = _Mood(shape + chance.below(count, 60), drift, np.ones(count, np.int64))
    for _ in range(plan.episodes):
        move = plan.volatility_ppb * (30 + chance.one(90)) // 100
        _add_episode(chance, mood, move if chance.one(2) else -move, plan.surge)
    if plan.news_ppb:
        _add_episode(chance, mood, plan.news_ppb, 2 * plan.surge)
    return mood


def _add_episode(chance: Chance, mood: _Mood, move: int, surge: int) -> None:
    """Add a run of some minutes, busy from shortly before it; every other one is given back."""
    count = len(mood.weight)
    length = 5 + chance.one(max(2, min(40, count // 4)))
    start = chance.one(max(1, count - length))
    mood.drift[start : start + length] += move // length
    if chance.one(2):
        mood.drift[start + length : start + 2 * length] -= move // length
    busy = slice(max(0, start - 3), start + length // 2)
    mood.surge[busy] = np.maximum(mood.surge[busy], surge)
    mood.weight[busy] *= surge


def _times(chance: Chance, plan: DayPlan, mood: _Mood) -> tuple[Ints, Flags]:
    """Draw ascending times, at least ``_SPACING_NS`` apart, the first one at the open.

    Also say which of them lie in a burst.
    """
    ends = np.cumsum(mood.weight)
    minute = np.searchsorted(ends, chance.below(plan.quotes, int(ends[-1])), side="right")
    room = MINUTE_NS - plan.quotes * _SPACING_NS - 1
    drawn = minute * MINUTE_NS + chance.below(plan.quotes, room)
    crowded = np.zeros(plan.quotes, np.bool_)
    if plan.bursts:
        starts = np.sort(drawn[: plan.bursts] // MINUTE_NS * MINUTE_NS)
        crowded = chance.happens(plan.quotes, _BURST_SHARE)
        inside = starts[chance.below(plan.quotes, plan.bursts)]
        inside = inside + chance.below(plan.quotes, _BURST_NS)
        drawn = np.where(crowded, inside, drawn)
    order = np.argsort(drawn, kind="stable")
    drawn = drawn[order]
    drawn[0] = 0
    spaced = drawn + np.arange(plan.quotes, dtype=np.int64) * _SPACING_NS
    return plan.open_ns + spaced, crowded[order]


def _path(
    chance: Chance, plan: DayPlan, mood: _Mood, quote_ns: Ints, minute: Ints, crowded: Flags
) -> Ints:
    """Draw the way from the opening price at each quote, in ppb."""
    before = np.cumsum(mood.drift) - mood.drift
    inside_us = (quote_ns - plan.open_ns - minute * MINUTE_NS) // 1_000
    smooth = before[minute] + mood.drift[minute] * inside_us // (MINUTE_NS // 1_000)
    step = isqrt(plan.volatility_ppb * plan.volatility_ppb // plan.quotes)
    steps = chance.noise(plan.quotes, step)
    steps[crowded] *= _BURST_NOISE
    steps[0] = 0
    path: Ints = smooth - smooth[0] + np.cumsum(steps)
    return path


def _book(chance: Chance, plan: DayPlan, path: Ints, hits: Anchors) -> tuple[Ints, Ints]:
    """Place best bid and ask on the grid, usually one step apart."""
    last = len(plan.grid) - 1
    if plan.targets is None:
        wanted = plan.open_price + plan.open_price * path // PPB
    else:
        wanted = bend(path, plan.targets, hits)
    bid_at = np.clip(np.searchsorted(plan.grid, wanted, side="right") - 1, 0, last - 1)
    wide = chance.happens(len(path), _WIDE_SHARE).astype(np.int64)
    return bid_at, np.minimum(bid_at + 1 + wide, last)


def _prints(
    chance: Chance, plan: DayPlan, bid_at: Ints, ask_at: Ints, surge: Ints, hits: Anchors
) -> _Prints:
    count = len(bid_at)
    ahead = np.sign(np.diff(bid_at, append=bid_at[-1]))
    eager = (ahead != 0) & chance.happens(count, _EAGER_SHARE)
    side = np.where(ahead == 0, chance.below(count, 2), np.where(ahead > 0, BUY, SELL))
    traded = chance.happens(count, _TRADE_SHARE) | eager
    bid, ask = plan.grid[bid_at], plan.grid[ask_at]
    price = np.where(side == BUY, ask, bid)
    if plan.targets is not None:
        traded &= (price >= plan.targets.low) & (price <= plan.targets.high)
        for quote, hit in hits.inside():
            price[quote] = hit
            between = BUY if hit == ask[quote] else NO_AGGRESSOR
            side[quote] = SELL if hit == bid[quote] else between
        at = thin_out(traded, plan.targets, hits)
    else:
        at = np.flatnonzero(traded) if traded.any() else np.zeros(1, np.int64)
    wanted = surge[at] * (1 + chance.heavy(len(at), max(1, plan.base_size // 4)))
    return _Prints(at, price[at], side[at], eager[at], wanted)


def _interrupt(
    chance: Chance, plan: DayPlan, quote_ns: Ints, prints: _Prints, reference: int
) -> Ints:
    """Return the quotes' times with a pause wherever a trade would be too far from its reference.

    What comes after a pause moves closer together, so that nothing of the day is lost.
    """
    if not plan.auction_ns:
        return quote_ns
    start = 0
    while True:
        tenths = 10 * prints.price[start:]
        far = (tenths >= (10 + VI_TENTHS) * reference) | (tenths <= (10 - VI_TENTHS) * reference)
        if not far.any():
            return quote_ns
        start += int(far.argmax())
        # The first quote stays: it is the book that the opening print needs.
        first = max(1, int(prints.at[start]))
        pause = VI_PAUSE_NS + chance.one(VI_RANDOM_MS) * 1_000_000
        left = plan.end_ns - int(quote_ns[first])
        if left < _VI_ROOM * pause:
            return quote_ns
        since = quote_ns[first:] - quote_ns[first]
        closer = quote_ns[first:] + pause - since // (left // pause)
        quote_ns = np.concatenate([quote_ns[:first], closer])
        prints.side[start] = NO_AGGRESSOR
        reference = int(prints.price[start])
        start += 1


def _displayed(chance: Chance, plan: DayPlan, surge: Ints) -> Ints:
    base = plan.base_size * surge
    return base + base * chance.heavy(len(surge), 16) // 16


def _tape(
    chance: Chance, plan: DayPlan, book: tuple[Ints, Ints, Ints, Ints, Ints, Ints], prints: _Prints
) -> Tape:
    quote_ns, gaps, bid_at, ask_at, bid_size, ask_size = book
    at = prints.at
    after = np.minimum(gaps, np.append(np.diff(quote_ns), 2 * _SPACING_NS)) // 2
    day = _Columns(quote_ns[at] + after[at], prints.price, prints.wanted, prints.side)
    if plan.auction_ns:
        bid_at, ask_at = _add_auctions(chance, plan, day, bid_at, ask_at)
        quote_ns = np.append(quote_ns, plan.close_ns - PRINT_NS)
        bid_size, ask_size = (np.append(each, each[-1]) for each in (bid_size, ask_size))
        at = np.concatenate([[0], at, [len(quote_ns) - 1]])[: len(day.price)]
    if plan.targets is None:
        _cap_sizes(day, at, prints.eager, (ask_size, bid_size))
    else:
        day.size = share_out(day.size, plan.targets.volume)
        for side, shown in ((BUY, ask_size), (SELL, bid_size)):
            which = day.side == side
            shown[at[which]] = np.maximum(shown[at[which]], day.size[which])
    sides = (plan.grid[bid_at], plan.grid[ask_at], bid_size, ask_size)
    return Tape(quote_ns, *sides, day.ns, day.price, day.size, day.side, bid_at, ask_at)


def _cap_sizes(day: _Columns, at: Ints, eager: Flags, shown: tuple[Ints, Ints]) -> None:
    """Let no trade take more than is displayed, and an eager one all of it."""
    if len(day.side) > len(eager):  # auctions around the day
        eager = np.concatenate([[False], eager, [False]])
    for side, sizes in zip((BUY, SELL), shown, strict=True):
        which = day.side == side
        most = sizes[at[which]]
        day.size[which] = np.where(eager[which], most, np.minimum(day.size[which], most))


def _add_auctions(
    chance: Chance, plan: DayPlan, day: _Columns, bid_at: Ints, ask_at: Ints
) -> tuple[Ints, Ints]:
    """Put the opening and the closing print around the day; return the book with the closing's."""
    last = len(plan.grid) - 1
    closing_at = min(max(int(bid_at[-1]) + chance.one(3) - 1, 0), last - 1)
    opening, closing = int(plan.grid[bid_at[0]]), int(plan.grid[closing_at])
    whole = int(day.size.sum())
    sizes = (whole // 25 + 1, whole // 15 + 1)
    closes = True
    if plan.targets is not None:
        opening, closing = plan.targets.open, plan.targets.close
        closing_at = max(
            0, min(int(np.searchsorted(plan.grid, closing, side="right")) - 1, last - 1)
        )
        closes = plan.targets.volume > 1
    ends = slice(None) if closes else slice(0, -1)
    day.ns = np.concatenate([[plan.open_ns + PRINT_NS], day.ns, [plan.close_ns]])[ends]
    day.price = np.concatenate([[opening], day.price, [closing]])[ends]
    day.size = np.concatenate([sizes[:1], day.size, sizes[1:]])[ends]
    day.side = np.concatenate([[NO_AGGRESSOR], day.side, [NO_AGGRESSOR]])[ends]
    return np.append(bid_at, closing_at), np.append(ask_at, closing_at + 1)


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
