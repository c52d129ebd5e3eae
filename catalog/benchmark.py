"""What doing nothing clever would have earned: holding the run's instruments, or an index.

Rule: no costs, no rebalancing, the same money in each instrument at its first price; a run that
does not beat this by more than luck has added nothing but risk and fees.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from catalog.equity import Book
from catalog.thinning import FloatArray, IntArray, PriceMarks

ALL_VENUES = "all venues"


@dataclass(frozen=True, slots=True, eq=False)
class Benchmark:
    """A yardstick for books; ``marks`` are the prices of what is held.

    ``index`` names one instrument that stands for every venue, or is empty for buy and hold of
    the run's own instruments, each counted on its venue.
    """

    marks: Mapping[str, PriceMarks]
    index: str = ""

    @property
    def name(self) -> str:
        """What it is called in the report."""
        return self.index or "buy and hold"

    def held(self, venue: str) -> list[str]:
        """Return the instruments held for a venue, or for all venues together."""
        everything = self.index or venue == ALL_VENUES
        return sorted(
            name
            for name, marks in self.marks.items()
            if len(marks.ts_ns) and (everything or name.rpartition(".")[2] == venue)
        )

    def values(self, book: Book, times_ns: IntArray) -> FloatArray | None:
        """Return what a book's starting equity would be worth at each time; None without prices."""
        held = self.held(book.venue)
        if not held or book.start <= 0:
            return None
        growth = sum(
            (_growth(self.marks[name], times_ns) for name in held), np.zeros(len(times_ns))
        )
        return np.asarray(float(book.start) * growth / len(held), dtype=np.float64)


def _growth(marks: PriceMarks, times_ns: IntArray) -> FloatArray:
    """Return price over first price; one until there is a price."""
    spot = np.searchsorted(marks.ts_ns, times_ns, side="right") - 1
    grown = marks.price[np.maximum(spot, 0)] / marks.price[0]
    return np.asarray(np.where(spot >= 0, grown, 1.0), dtype=np.float64)
