"""What may be missing of one symbol's trades, counted exactly by the day's running volume.

Rule: a hole opens when the connection is lost or the volume jumps, and closes when queried trades
and the next streamed one account for every share of it, or KIS can give no more. Queried trades are
never handed out as live ticks: a strategy must not take an old price for the present one. They go
into bars, and onto the tape marked as repaired.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

from adapters.kis.bar_fold import Hole
from adapters.kis.history import missing_volume
from adapters.kis.replies import PastTrade
from adapters.kis.ticks import seoul_time

HOLES_KEPT = 256
"""Spans with something missing; of more, the oldest two become one."""
SEEN_KEPT = 4_096
"""Trades of a symbol remembered to know doubles: more than any reconnect repeats."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A hole with its edges in the day's volume, None where they are not known.

    ``to_ns`` is None until the stream is registered again. ``arrived`` are the trades of it that
    were streamed after all, late: (day's volume, shares).
    """

    number: int
    from_ns: int
    to_ns: int | None
    from_volume: int | None
    to_volume: int | None
    arrived: tuple[tuple[int, int], ...] = ()

    @property
    def missing(self) -> int | None:
        """Return the shares that did not arrive, None where an edge is not known."""
        if self.from_volume is None or self.to_volume is None:
            return None
        return self.to_volume - self.from_volume - sum(shares for _, shares in self.arrived)

    @property
    def hole(self) -> Hole:
        """Return the span in which trades may be unseen."""
        return Hole(self.from_ns, self.to_ns)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a gap: the trades found, and the shares still missing (None: unknown)."""

    gap: Gap
    found: tuple[PastTrade, ...]
    missing: int | None


class _Seen:
    """The day volumes of the newest trades, to know one that comes again."""

    def __init__(self) -> None:
        self._order: deque[int] = deque()
        self._known: set[int] = set()

    def __contains__(self, day_volume: int) -> bool:
        return day_volume in self._known

    def add(self, day_volume: int) -> None:
        if day_volume in self._known:
            return
        self._known.add(day_volume)
        self._order.append(day_volume)
        if len(self._order) > SEEN_KEPT:
            self._known.discard(self._order.popleft())

    def clear(self) -> None:
        self._order.clear()
        self._known.clear()


class Continuity:
    """Follows the streamed trades of one symbol; times are market time, ns UTC.

    ``lasting`` are the spans of gaps that stayed open: bars over them are not whole.
    """

    def __init__(self) -> None:
        self._day = ""
        self._volume: int | None = None
        self._last_ns = 0
        self._numbered = 0
        self._seen = _Seen()
        self._lower: int | None = None
        self._gaps: dict[int, Gap] = {}
        self.lasting: list[Hole] = []

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Return the gaps that are not settled, oldest first."""
        return tuple(self._gaps.values())

    @property
    def last_ns(self) -> int:
        """Return when the newest streamed trade happened, 0 before the first."""
        return self._last_ns

    @property
    def holes(self) -> list[Hole]:
        """Return all spans in which trades may be unseen."""
        return [*self.lasting, *(gap.hole for gap in self._gaps.values())]

    def lost(self, since_ns: int) -> None:
        """Take in that nothing was surely heard since a moment; an open gap goes on."""
        unbounded = [gap for gap in self._gaps.values() if gap.to_volume is None]
        for gap in unbounded:
            self._gaps[gap.number] = replace(gap, to_ns=None)
        if not unbounded:
            self._open(since_ns, None, self._volume, None)

    def resumed(self, ts_ns: int) -> list[Gap]:
        """Take in that the stream is registered again and return the gaps to ask about."""
        for gap in self.gaps:
            if gap.to_ns is None:
                self._gaps[gap.number] = replace(gap, to_ns=max(ts_ns, gap.from_ns))
        return list(self.gaps)

    def trade(self, day: str, day_volume: int, quantity: int, ts_ns: int) -> bool | Gap:
        """Take a streamed trade in: False where it was delivered before, a Gap where one opened.

        A trade that others overtook fills the gap they left. The first trade of a day begins the
        count anew.
        """
        if day != self._day:
            self._day, self._volume = day, None
            self._seen.clear()
            self._gaps = {n: replace(gap, from_volume=None) for n, gap in self._gaps.items()}
        elif self._volume is not None and day_volume <= self._volume:
            return self._came_late(day_volume, quantity)
        self._seen.add(day_volume)
        before, volume = day_volume - quantity, self._volume
        self._volume, last_ns, self._last_ns = day_volume, self._last_ns, ts_ns
        if self._bounded(before):
            return True
        if volume is not None and before > volume:
            return self._open(last_ns, ts_ns, volume, before)
        return True

    def settle(self, asked: Gap, trades: Sequence[PastTrade] | None) -> Settled | None:
        """Close a gap with what a query gave (None: it failed), oldest first, up to now.

        ``asked`` is the gap as it was when it was asked about. Returns None where it is gone, or
        has grown because the connection was lost again: it is asked about anew.
        """
        gap = self._gaps.get(asked.number)
        if gap is None or gap.to_ns is None or gap.to_ns != asked.to_ns:
            return None
        del self._gaps[gap.number]
        settled = self._count(gap, trades)
        if settled.missing != 0:
            self.lasting.append(gap.hole)
            if len(self.lasting) > HOLES_KEPT:
                first, second = self.lasting[:2]
                self.lasting[:2] = [Hole(min(first.from_ns, second.from_ns), second.to_ns)]
        return settled

    # --- inside ---

    def _open(
        self, from_ns: int, to_ns: int | None, from_volume: int | None, to_volume: int | None
    ) -> Gap:
        self._numbered += 1
        gap = Gap(self._numbered, from_ns, to_ns, from_volume, to_volume)
        self._gaps[gap.number] = gap
        return gap

    def _came_late(self, day_volume: int, quantity: int) -> bool:
        """Take a trade in whose place in the count lies behind; False where it was seen before.

        Two of them in a row tell that the venue counts anew from a lower volume.
        """
        if day_volume in self._seen:
            return False
        self._seen.add(day_volume)
        before = day_volume - quantity
        for gap in self._gaps.values():
            if gap.from_volume is None or gap.to_volume is None:
                continue
            if gap.from_volume <= before and day_volume <= gap.to_volume:
                filled = replace(gap, arrived=(*gap.arrived, (day_volume, quantity)))
                self._gaps[gap.number] = filled
                if not filled.missing:
                    del self._gaps[gap.number]
                return True
        if before == self._lower:
            self._volume = day_volume
        self._lower = day_volume
        return True

    def _bounded(self, before: int) -> bool:
        """Give gaps without an end in the volume the first streamed trade after them."""
        open_ended = [gap for gap in self._gaps.values() if gap.to_volume is None]
        for gap in open_ended:
            self._gaps[gap.number] = replace(gap, to_volume=before)
        return bool(open_ended)

    def _count(self, gap: Gap, trades: Sequence[PastTrade] | None) -> Settled:
        if trades is None:
            return Settled(gap, (), gap.missing)
        from_volume = gap.from_volume
        if from_volume is None:
            from_volume = _volume_before(seoul_time(gap.from_ns), trades)
        to_volume = gap.to_volume
        if to_volume is None:
            to_volume = trades[-1].day_volume if trades else 0
            self._volume = max(to_volume, self._volume or 0) or None
        # an answer that ends before what was streamed is behind: it proves nothing
        if from_volume is None or to_volume < from_volume:
            return Settled(gap, (), None)
        arrived = {volume for volume, _ in gap.arrived}
        found = tuple(
            one
            for one in trades
            if from_volume < one.day_volume <= to_volume and one.day_volume not in arrived
        )
        for one in found:
            self._seen.add(one.day_volume)
        left = missing_volume(found, from_volume, to_volume)
        return Settled(gap, found, max(left - sum(shares for _, shares in gap.arrived), 0))


def _volume_before(time: str, trades: Sequence[PastTrade]) -> int | None:
    """Return the day's volume before HHMMSS as far as trades of the day tell, oldest first."""
    before = [one for one in trades if one.time < time]
    if before:
        return before[-1].day_volume
    reaches_the_first = not trades or trades[0].day_volume == trades[0].quantity
    return 0 if reaches_the_first else None
