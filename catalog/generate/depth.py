"""Ten levels of a generated book on either side, as the engine's order book deltas.

Rule: the best level is the quote's, price and size; a level behind it keeps its size for a while.
A delta tells only what changed; levels that leave the ten are deleted first, so that the book is
not crossed in between.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.generate.chance import Ints
from catalog.generate.day import Tape

LEVELS = 10
F_LAST, F_SNAPSHOT = 128, 32
"""The engine's RecordFlag: last row of an event, row of a snapshot."""

CLEAR, ADD, UPDATE, DELETE = 0, 1, 2, 3
NO_SIDE, BID, ASK = 0, 1, 2
ACTIONS = ("CLEAR", "ADD", "UPDATE", "DELETE")
BOOK_SIDES = ("NO_ORDER_SIDE", "BUY", "SELL")

_QUOTES = 4_096  # in memory at a time
_LASTING = 7  # a level behind the best keeps its size for 2^7 quotes


@dataclass(frozen=True, slots=True)
class Deltas:
    """Rows of the book's changes, in units; a deleted level and a cleared book have no size."""

    ns: Ints
    action: Ints
    side: Ints
    price: Ints
    size: Ints
    flags: Ints
    sequence: Ints


def depth_deltas(tape: Tape, grid: Ints, base_size: int) -> Iterator[Deltas]:
    """Yield the changes of the book, in order; the first rows clear it and show all of it."""
    for first in range(0, len(tape.quote_ns), _QUOTES):
        yield _deltas(tape, grid, base_size, first, min(first + _QUOTES, len(tape.quote_ns)))


def _deltas(tape: Tape, grid: Ints, base_size: int, first: int, end: int) -> Deltas:
    before = max(0, first - 1)  # the quote before this part, to tell what changed
    place = np.arange(before, end, dtype=np.int64)
    parts = [
        _side(tape.bid_at, tape.bid_size, -1, grid, base_size, place, whole=first == 0),
        _side(tape.ask_at, tape.ask_size, 1, grid, base_size, place, whole=first == 0),
    ]
    # One row per quote: deletions of both sides, then what is new of both sides.
    at, size, action = (
        np.concatenate([parts[side][half][column] for half in (0, 1) for side in (0, 1)], axis=1)
        for column in (0, 1, 2)
    )
    side = np.tile(np.repeat([BID, ASK], LEVELS), 2)
    quote, slot = np.nonzero(action)
    told = place[len(place) - len(action) :][quote]
    sequence = told + 1
    ends = np.append(np.diff(quote) != 0, True)
    flags = F_LAST * ends.astype(np.int64) + F_SNAPSHOT * (sequence == 1).astype(np.int64)
    rows = Deltas(
        tape.quote_ns[told],
        action[quote, slot],
        side[slot],
        grid[at[quote, slot]],
        size[quote, slot],
        flags,
        sequence,
    )
    return _cleared(rows) if first == 0 else rows


type _Columns = tuple[Ints, Ints, Ints]


def _side(
    best_at: Ints,
    best_size: Ints,
    step: int,
    grid: Ints,
    base_size: int,
    place: Ints,
    *,
    whole: bool,
) -> tuple[_Columns, _Columns]:
    """Return deletions and news of one side: place on the grid, size, action (0: none)."""
    best = best_at[place]
    at = best[:, None] + step * np.arange(LEVELS)
    real = (at >= 0) & (at < len(grid))
    size = _resting(at, place, base_size, step)
    size[:, 0] = best_size[place]
    moved = step * np.diff(best)[:, None]  # how many levels the side moved away
    level = np.arange(LEVELS) + moved  # where a level was before; and a lost one would be now
    kept = (level >= 0) & (level < LEVELS)
    was = np.take_along_axis(size[:-1], np.clip(level, 0, LEVELS - 1), axis=1)
    action = np.where(kept, np.where(was == size[1:], 0, UPDATE), ADD) * real[1:]
    old = np.arange(LEVELS) - moved
    lost = ((old < 0) | (old >= LEVELS)) & real[:-1]
    gone = (at[:-1], 0 * size[:-1], np.where(lost, DELETE, 0))
    new = (at[1:], size[1:], action)
    if whole:
        none = np.zeros((1, LEVELS), np.int64)
        first = ADD * real[:1].astype(np.int64)
        gone = (
            np.concatenate([none, gone[0]]),
            np.concatenate([none, gone[1]]),
            np.concatenate([none, gone[2]]),
        )
        new = (at, size, np.concatenate([first, action]))
    return gone, new


def _resting(at: Ints, place: Ints, base_size: int, step: int) -> Ints:
    """Return sizes behind the best: a hash of price, side and a slow count of quotes."""
    level = _mixed(at.astype(np.uint64) * np.uint64(2) + np.uint64(step > 0))
    phase = (level & np.uint64((1 << _LASTING) - 1)).astype(np.int64)
    epoch = (place[:, None] + phase) >> _LASTING
    drawn = _mixed(level + epoch.astype(np.uint64)) >> np.uint64(48)
    return base_size + base_size * drawn.astype(np.int64) * 4 // (1 << 16)


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Spread integers evenly over 64 bits (the finalizer of splitmix64)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = values ^ (values >> np.uint64(31))
    return mixed


def _cleared(rows: Deltas) -> Deltas:
    heads = (int(rows.ns[0]), CLEAR, NO_SIDE, 0, 0, F_SNAPSHOT, 1)
    columns = (rows.ns, rows.action, rows.side, rows.price, rows.size, rows.flags, rows.sequence)
    return Deltas(
        *(np.append(np.int64(head), each) for head, each in zip(heads, columns, strict=True))
    )
