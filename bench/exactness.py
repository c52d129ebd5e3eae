"""Holds the crossover's decisions against plain integer arithmetic, and floats beside it.

Rule: the reference knows nothing of the project: closes in grid steps, sums of windows, signs.
"""

from collections.abc import Sequence

import numpy as np

from bench.markets import MINUTE_NS, START_NS, Int64, walk


def sides(difference: Sequence[float]) -> list[int]:
    """Return 1 or -1 per price; equal averages keep the side, 0 before the first inequality."""
    side, found = 0, []
    for value in difference:
        if value:
            side = 1 if value > 0 else -1
        found.append(side)
    return found


def trades(side: Sequence[int], first: int) -> list[tuple[int, int]]:
    """Return (close in ns, 1 buys or -1 sells) of a long-only crossover from row ``first``."""
    found, is_long = [], False
    for row in range(1, len(side)):
        if side[row - 1] and side[row] != side[row - 1] and is_long != (side[row] > 0):
            is_long = side[row] > 0
            found.append((START_NS + MINUTE_NS * (first + row + 1), side[row]))
    return found


def integer_trades(rows: int, fast: int, slow: int) -> list[tuple[int, int]]:
    """Return the trades by window sums of integers."""
    close = walk(rows, 1)
    difference = _sums(close, fast)[slow - fast :] * slow - _sums(close, slow) * fast
    return trades(sides(difference.tolist()), slow - 1)


def _sums(close: Int64, length: int) -> Int64:
    total = np.concatenate(([0], np.cumsum(close)))
    sums: Int64 = total[length:] - total[:-length]
    return sums


def float_trades(rows: int, fast: int, slow: int) -> list[tuple[int, int]]:
    """Return the trades by running sums of float prices, as most code keeps them."""
    close = [steps / 10 for steps in walk(rows, 1).tolist()]
    fast_sum, slow_sum, difference = sum(close[slow - fast : slow]), sum(close[:slow]), []
    difference.append(fast_sum / fast - slow_sum / slow)
    for row in range(slow, rows):
        fast_sum += close[row] - close[row - fast]
        slow_sum += close[row] - close[row - slow]
        difference.append(fast_sum / fast - slow_sum / slow)
    return trades(sides(difference), slow - 1)
