"""The bars of one node: folds what is streamed, closes bars in time, repairs what was seen in part.

Rule: bars of one type leave in the order of their ends; a part is never handed out as a whole: it
is repaired, marked as such, or withheld and told. Bars that follow wait for a repair, a few seconds
at most.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from nautilus_trader.model import Bar, BarAggregation, BarType, Price, PriceType, Quantity

from adapters.kis import bar_repair
from adapters.kis.bar_fold import BarFold, Candle, Days, Hole, Slot, Spans, Steps, Traded
from adapters.kis.data_events import GapFound, Observed, OnGap
from adapters.kis.errors import KisError, Stop
from adapters.kis.gap_desk import Spawn
from adapters.kis.gateway import LATENCY_NS, KisGateway
from adapters.kis.past import Past
from adapters.kis.ticks import seoul_day
from adapters.kis.timing import SECOND, first_of
from strategies.markets.sessions import Session
from strategies.messages import Provenance

GRACE_NS = 2 * SECOND
"""A bar without a later trade is closed this long (wall time) after its end."""
LOOK_NS = SECOND // 4
REPAIR_NS = 5 * SECOND
"""A repair that takes longer (wall time) is given up, and the bar withheld."""

_LATE_MOST_NS = 30 * SECOND
"""A trade that is older (market time) when it comes was repeated, and is late no more."""
_LATE_KEPT_NS = 60 * SECOND

_GIVEN_KEPT = 64
"""Bars handed out as whole, remembered to tell where a repair finds more of them."""

_UNITS = {
    BarAggregation.SECOND: SECOND,
    BarAggregation.MINUTE: 60 * SECOND,
    BarAggregation.HOUR: 3_600 * SECOND,
}


def spans_of(bar_type: BarType, sessions: Sequence[Session]) -> Spans | str:
    """Return how a bar type cuts time, or why its bars cannot be given."""
    spec = bar_type.spec
    if spec.price_type != PriceType.LAST or not bar_type.is_externally_aggregated():
        return "KIS's trades give LAST-EXTERNAL bars"
    if spec.aggregation in _UNITS:
        return Steps(spec.step * _UNITS[spec.aggregation])
    if spec.aggregation != BarAggregation.DAY or spec.step != 1:
        return "bars of SECOND, MINUTE and HOUR steps and of 1-DAY are folded"
    return Days(sessions) if sessions else "no trading sessions are known to close days with"


@dataclass(slots=True)
class _Line:
    """One bar type: its open bars, and closed ones that wait for those before them.

    ``repaired`` holds what a repair gave by number; None: the bar is withheld.
    """

    bar_type: BarType
    fold: BarFold
    queue: deque[Slot] = field(default_factory=deque)
    repaired: dict[int, Candle | None] = field(default_factory=dict)
    unknown: set[int] = field(default_factory=set)
    given: deque[int] = field(default_factory=lambda: deque(maxlen=_GIVEN_KEPT))
    is_repairing: bool = False

    @property
    def code(self) -> str:
        """Return the symbol."""
        return self.bar_type.instrument_id.symbol.value


class _Lateness:
    """How late trades come by our clock: the worst of this minute and the one before."""

    def __init__(self) -> None:
        self._minute = 0
        self._before_ns = self._now_ns = 0

    def note(self, trade_ns: int, received_ns: int) -> None:
        """Take in when a trade happened and when it came (market time)."""
        self._turn(received_ns)
        late_ns = received_ns - trade_ns
        if late_ns <= _LATE_MOST_NS:
            self._now_ns = max(self._now_ns, late_ns)

    def worst(self, now_ns: int) -> int:
        """Return the worst of late; never negative."""
        self._turn(now_ns)
        return max(self._before_ns, self._now_ns)

    def _turn(self, now_ns: int) -> None:
        passed = now_ns // _LATE_KEPT_NS - self._minute
        if passed:
            self._before_ns = self._now_ns if passed == 1 else 0
            self._now_ns = 0
            self._minute += passed


class BarDesk:
    """Folds for all subscribed bar types; ``on_bar`` takes the bars, on the loop's thread."""

    def __init__(
        self,
        gateway: KisGateway,
        past: Past,
        sessions: Sequence[Session],
        on_bar: Callable[[Bar], None],
        on_gap: OnGap,
        holes: Callable[[str], list[Hole]],
        spawn: Spawn,
    ) -> None:
        self._gateway = gateway
        self._past = past
        self._sessions = tuple(sessions)
        self._on_bar = on_bar
        self._on_gap = on_gap
        self._holes = holes
        self._spawn = spawn
        self._lines: dict[str, list[_Line]] = {}
        self._lateness = _Lateness()
        self._is_linked = False

    def add(self, bar_type: BarType, *, is_held: bool) -> str | None:
        """Begin to fold a bar type; return why it cannot be given.

        ``is_held`` says that the symbol's trades are streamed already.
        """
        spans = spans_of(bar_type, self._sessions)
        if isinstance(spans, str):
            return spans
        line = _Line(bar_type, BarFold(spans))
        if is_held:
            line.fold.begin(self._gateway.stamp_ns())
        self._lines.setdefault(line.code, []).append(line)
        return None

    def remove(self, bar_type: BarType) -> None:
        """End a bar type; what is open of it is dropped."""
        code = bar_type.instrument_id.symbol.value
        lines = self._lines.get(code, ())
        kept = [line for line in lines if line.bar_type != bar_type]
        for line in lines:
            if line not in kept:
                line.queue.clear()  # a repair under way has nothing left to hand out
        self._lines[code] = kept
        if not kept:
            del self._lines[code]

    # --- told by the client ---

    def linked(self, *, is_open: bool) -> None:
        """Take in that the connection opened or ended."""
        self._is_linked = is_open

    def held(self, code: str, ts_ns: int) -> None:
        """Take in that a symbol's trades are streamed from now on."""
        for line in self._lines.get(code, ()):
            if line.fold.since_ns is None:
                line.fold.begin(ts_ns)

    def left(self, code: str) -> None:
        """Take in that a symbol's trades are streamed no more, though bars may be wanted again."""
        for line in self._lines.get(code, ()):
            self._close(line, self._gateway.market_ns(), self._gateway.stamp_ns())
            line.fold = BarFold(line.fold.spans)

    def folds(self, code: str) -> bool:
        """Tell whether bars of a symbol are wanted."""
        return code in self._lines

    def trade(self, code: str, trade: Traded, ts_init: int) -> None:
        """Take a streamed trade in; the bars that end by it leave first."""
        self._lateness.note(trade.ts_ns, ts_init)
        for line in self._lines.get(code, ()):
            fold = line.fold
            if fold.due_ns is not None and fold.due_ns <= trade.ts_ns:
                self._close(line, trade.ts_ns, ts_init)
            if not fold.add(trade):
                self._tell_late(line, trade)

    def repaired(self, code: str, trades: Sequence[Traded]) -> None:
        """Take queried trades in; one of a bar that left as whole is told, the bar stands.

        Those of other closed bars come with the repair of the bar.
        """
        for line in self._lines.get(code, ()):
            for trade in trades:
                if not line.fold.add(trade) and line.fold.spans.number(trade.ts_ns) in line.given:
                    self._tell_late(line, trade)

    async def run(self) -> None:
        """Close bars in time, for ever."""
        while True:
            await self._gateway.timing.sleep_ns(LOOK_NS)
            if self._lines:
                self.look()

    def look(self) -> None:
        """Close the bars whose end is past for long enough, and of which all must have come."""
        self._gateway.socket.inbox.flush()
        stamp_ns = self._gateway.stamp_ns()
        until_ns = self._gateway.ago(GRACE_NS)
        if self._is_linked:
            # late frames of a burst and a clock ahead of KIS's: what comes late is waited for
            coming_ns = self._gateway.ago(LATENCY_NS) - self._lateness.worst(stamp_ns)
            until_ns = min(until_ns, coming_ns, self._gateway.surely_heard_ns())
        for lines in list(self._lines.values()):
            for line in lines:
                self._close(line, until_ns, stamp_ns)

    def end(self) -> None:
        """Tell of the bars that were seen in part and that nobody will repair any more."""
        for lines in self._lines.values():
            for line in lines:
                for slot in line.queue:
                    if not slot.is_whole:
                        self._tell(line, slot.start_ns, slot.end_ns, None, Provenance.MISSING)
                line.queue.clear()

    # --- inside ---

    def _close(self, line: _Line, until_ns: int, ts_init: int) -> None:
        slots = line.fold.close(until_ns, self._holes(line.code))
        if slots:
            line.queue.extend(slots)
            self._flush(line, ts_init)

    def _flush(self, line: _Line, ts_init: int) -> None:
        """Let the bars go whose turn it is; begin the repair that the next one waits for."""
        while line.queue:
            slot = line.queue[0]
            if not slot.is_whole and slot.number not in line.repaired:
                self._begin_repair(line)
                return
            line.queue.popleft()
            self._emit(line, slot, ts_init)

    def _emit(self, line: _Line, slot: Slot, ts_init: int) -> None:
        candle = slot.candle if slot.is_whole else line.repaired.pop(slot.number)
        is_unknown = slot.number in line.unknown
        line.unknown.discard(slot.number)
        if candle is not None:
            self._on_bar(bar_of(line.bar_type, slot.end_ns, candle, ts_init))
        if slot.is_whole:
            line.given.append(slot.number)
            return
        if candle is not None:
            self._tell(line, slot.start_ns, slot.end_ns, candle.volume, Provenance.REPAIRED)
        elif slot.candle is not None or is_unknown:
            self._tell(line, slot.start_ns, slot.end_ns, None, Provenance.MISSING)

    def _begin_repair(self, line: _Line) -> None:
        if not line.is_repairing:
            line.is_repairing = True
            self._spawn(self._repair(line), f"bars of {line.code}")

    async def _repair(self, line: _Line) -> None:
        """Ask KIS for the first bars of the queue, then let them go."""
        slots = list(
            takewhile(
                lambda slot: not slot.is_whole and _day(slot) == _day(line.queue[0]), line.queue
            )
        )
        if not slots:
            return  # given up before it began
        asking: asyncio.Future[object] = asyncio.ensure_future(self._ask(line, slots))
        await first_of(asking, self._gateway.timing.sleep_ns(REPAIR_NS))
        found = asking.result() if asking.done() and not asking.cancelled() else None
        for slot in slots:
            candle = found.get(slot.number) if isinstance(found, dict) else None
            holds = candle is not None and bar_repair.holds(candle, slot.candle)
            line.repaired[slot.number] = candle if holds else None
            if found is None:
                line.unknown.add(slot.number)
        line.is_repairing = False
        self._gateway.socket.inbox.flush()
        self._flush(line, self._gateway.stamp_ns())

    async def _ask(self, line: _Line, slots: Sequence[Slot]) -> dict[int, Candle] | None:
        spans, today = line.fold.spans, self._gateway.day()
        try:
            return dict(await bar_repair.asked(self._past, line.code, today, spans, slots))
        except Stop:
            raise
        except KisError as error:
            self._gateway.say(f"Bars of {line.bar_type} could not be repaired: {error}")
            return None

    def _tell_late(self, line: _Line, trade: Traded) -> None:
        """Tell of a trade whose bar was closed before it came: the bar stands as it is."""
        spans = line.fold.spans
        number = spans.number(trade.ts_ns)
        if number is not None:
            edges = spans.start(number), spans.end(number)
            self._tell(line, *edges, trade.quantity, Provenance.MISSING)

    def _tell(
        self,
        line: _Line,
        start_ns: int,
        end_ns: int,
        quantity: int | None,
        provenance: Provenance,
    ) -> None:
        instrument_id = line.bar_type.instrument_id
        self._on_gap(GapFound(instrument_id, start_ns, end_ns, quantity, provenance, Observed.BARS))


def _day(slot: Slot) -> str:
    return seoul_day(slot.start_ns)


def bar_of(bar_type: BarType, end_ns: int, candle: Candle, ts_init: int) -> Bar:
    """Return a candle as the engine's bar, stamped at its close."""
    return Bar(
        bar_type,
        Price.from_int(candle.open),
        Price.from_int(candle.high),
        Price.from_int(candle.low),
        Price.from_int(candle.close),
        Quantity.from_int(candle.volume),
        end_ns,
        ts_init,
    )
