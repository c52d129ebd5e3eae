"""Long series made short for drawing, without losing an extreme.

Rule: every bucket keeps its first, lowest, highest and last value, so no spike disappears. Floats
are for drawing only.
"""

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

type IntArray = NDArray[np.int64]
type FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Values over ascending times: ``ts_ns`` int64, ``value`` float64, equally long."""

    ts_ns: IntArray
    value: FloatArray

    def __len__(self) -> int:
        return len(self.ts_ns)


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Open, high, low and close over ascending times of the close, each float64."""

    ts_ns: IntArray
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray

    def __len__(self) -> int:
        return len(self.ts_ns)


@dataclass(frozen=True, slots=True, eq=False)
class PriceMarks:
    """Known prices of one instrument for drawing; ``last`` is the exact last one for valuation."""

    ts_ns: IntArray
    price: FloatArray
    last: Decimal | None = None


def thin_positions(value: FloatArray, points: int, keep: IntArray | None = None) -> IntArray:
    """Return ascending positions of at most about ``points`` values that draw the same line.

    The first, last, lowest and highest position of each of points / 4 equal runs stay, and all of
    ``keep`` while those are no more than ``points``.
    """
    n = len(value)
    if n <= points:
        return np.arange(n, dtype=np.int64)
    forced = np.empty(0, np.int64) if keep is None or len(keep) > points else keep
    edges = np.linspace(0, n, max((points - len(forced)) // 4, 1) + 1).astype(np.int64)
    chosen = [forced, edges[:-1], edges[1:] - 1]
    for pick in (np.argmin, np.argmax):
        spots = [lo + int(pick(value[lo:hi])) for lo, hi in pairwise(edges)]
        chosen.append(np.array(spots, dtype=np.int64))
    return np.unique(np.concatenate(chosen))


def thin_candles(candles: Candles, count: int) -> Candles:
    """Merge neighbouring candles until no more than ``count`` are left."""
    n = len(candles)
    if n <= count:
        return candles
    return _merged(candles, np.linspace(0, n, count + 1).astype(np.int64)[:-1])


def _merged(candles: Candles, starts: IntArray) -> Candles:
    """Merge each run of candles that begins at one of ``starts``."""
    ends = np.append(starts[1:], len(candles)) - 1
    return Candles(
        candles.ts_ns[ends],
        candles.open[starts],
        np.maximum.reduceat(candles.high, starts),
        np.minimum.reduceat(candles.low, starts),
        candles.close[ends],
    )


class CandleCondenser:
    """Folds candles of any number, batch by batch, into at most ``buckets`` of equal time."""

    def __init__(self, start_ns: int, end_ns: int, buckets: int) -> None:
        self._start_ns = start_ns
        self._width_ns = max(-(-(end_ns - start_ns + 1) // buckets), 1)
        self._parts: list[Candles] = []
        self._held = 0
        self._limit = 16 * buckets

    def add(self, candles: Candles) -> None:
        """Fold one batch in; times ascend and are not before earlier batches."""
        if len(candles) == 0:
            return
        merged = self._merge(candles)
        self._parts.append(merged)
        self._held += len(merged)
        if self._held > self._limit:
            self._parts = [self.candles()]
            self._held = len(self._parts[0])

    def candles(self) -> Candles:
        """Return the merged candles; each is stamped with the last time it holds."""
        columns = ("ts_ns", "open", "high", "low", "close")
        if not self._parts:
            return Candles(np.empty(0, np.int64), *(np.empty(0) for _ in range(4)))
        joined = (np.concatenate([getattr(part, name) for part in self._parts]) for name in columns)
        return self._merge(Candles(*joined))

    def _merge(self, candles: Candles) -> Candles:
        bucket = (candles.ts_ns - self._start_ns) // self._width_ns
        return _merged(candles, np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1)))


class Condenser:
    """Folds a price stream of any length, batch by batch, into a bounded series.

    The window is cut into ``buckets`` equal times; each keeps its first, lowest, highest and last
    price with their times. The last price at or before each of ``edges_ns`` stays as well, so that
    period returns taken from the result are exact. Batches come in ascending time.
    """

    def __init__(
        self, start_ns: int, end_ns: int, buckets: int, edges_ns: IntArray | None = None
    ) -> None:
        self._start_ns = start_ns
        self._width_ns = max(-(-(end_ns - start_ns + 1) // buckets), 1)
        self._edges_ns = np.empty(0, np.int64) if edges_ns is None else edges_ns
        self._parts: list[tuple[IntArray, FloatArray]] = []
        self._held = 0
        self._limit = 16 * buckets

    def add(self, ts_ns: IntArray, price: FloatArray) -> None:
        """Fold one batch in; ``ts_ns`` ascending and not before earlier batches."""
        if len(ts_ns) == 0:
            return
        spots = self._spots(ts_ns, price)
        self._parts.append((ts_ns[spots], price[spots]))
        self._held += len(spots)
        if self._held > self._limit:
            self._condense()

    def series(self) -> Series:
        """Return what is left: at most about 4 points per bucket and one per edge."""
        if not self._parts:
            return Series(np.empty(0, np.int64), np.empty(0))
        self._condense()
        return Series(*self._parts[0])

    def _condense(self) -> None:
        ts_ns = np.concatenate([part[0] for part in self._parts])
        price = np.concatenate([part[1] for part in self._parts])
        spots = self._spots(ts_ns, price)
        self._parts = [(ts_ns[spots], price[spots])]
        self._held = len(spots)

    def _spots(self, ts_ns: IntArray, price: FloatArray) -> IntArray:
        bucket = (ts_ns - self._start_ns) // self._width_ns
        firsts = np.flatnonzero(np.diff(bucket, prepend=bucket[0] - 1))
        lasts = np.append(firsts[1:], len(ts_ns)) - 1
        by_price = np.lexsort((price, bucket))  # stable: the earliest of equal prices comes first
        edges = np.searchsorted(ts_ns, self._edges_ns, side="right") - 1
        chosen = (firsts, lasts, by_price[firsts], by_price[lasts], edges[edges >= 0])
        return np.unique(np.concatenate(chosen)).astype(np.int64)
