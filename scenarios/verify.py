"""Re-executes a run's decisions: new deciders, fed the journalled inputs and the tape by seq.

Rule: no engine, no venue, no network, no clock. The host is the run's own; its journal port
compares every entry it would write with the one that was written.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from nautilus_trader.model import Bar, QuoteTick, TradeTick

from catalog.codec import decode, encode
from catalog.journal.store import JournalStore, RawEntry
from catalog.runs import Run
from catalog.tape import Fingerprints, RowBlock, TapeEvent, Window, read_windows
from scenarios.wiring import Composition, Universe, compose
from strategies.errors import InvariantBroken
from strategies.host.core import CAPITAL
from strategies.messages import Command, Fill, OrderUpdate, PositionUpdate, Started, TimerFired
from strategies.ports import ID_BITS, INPUT_KINDS, Kind, StreamKind

COMPARED_LATER = frozenset({Kind.ENDED, Kind.GAP, Kind.FAULT})
"""Written by the composer of a run, not by its host."""
STATE_TEXT_MAX = 400


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where run and re-execution part; texts are for people."""

    seq: int
    ts_ns: int
    what: str
    event: str
    journalled: str
    reexecuted: str
    state: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a re-execution came to; ``difference`` is None where everything was equal."""

    deliveries: int
    entries: int
    difference: Difference | None


class _Parted(Exception):
    """Run and re-execution differ at ``seq``."""

    def __init__(self, seq: int, ts_ns: int, what: str, journalled: str, reexecuted: str) -> None:
        super().__init__(what)
        self.seq = seq
        self.ts_ns = ts_ns
        self.what = what
        self.journalled = journalled
        self.reexecuted = reexecuted


class _Stopped(Exception):
    """The look at one delivery is over."""


def verify_run(journal: JournalStore, run: Run, universe: Universe) -> Verdict:
    """Re-execute one run and return the first difference, if any."""
    player = _Player(journal, run, universe)
    try:
        player.play()
    except _Parted as parted:
        return Verdict(player.deliveries, player.compared, _explain(journal, run, universe, parted))
    return Verdict(player.deliveries, player.compared, None)


def _explain(journal: JournalStore, run: Run, universe: Universe, parted: _Parted) -> Difference:
    """Play again up to the delivery where they part, and look at what the deciders were given."""
    look = _Player(journal, run, universe, stop_before=parted.seq)
    event = "beyond the end of the tape"
    try:
        look.play()
    except _Stopped:
        event = look.at
    except _Parted:
        event = look.at  # the difference shows again before the stop: what it was given is known
    return Difference(
        parted.seq,
        parted.ts_ns,
        parted.what,
        event,
        parted.journalled,
        parted.reexecuted,
        {s.name: _state(vars(s)) for s in look.made.strategies},
    )


def _state(values: Mapping[str, object]) -> str:
    text = ", ".join(
        f"{name.lstrip('_')}={value!r}"
        for name, value in values.items()
        if name not in {"name", "instruments", "params"}
    )
    return text if len(text) <= STATE_TEXT_MAX else text[:STATE_TEXT_MAX] + " ..."


class _Ports:
    """Orders and Clock of a re-execution: answers come from the journal, so nothing is sent."""

    def send(self, command: Command) -> None:
        """Send nothing: the run's own reports are fed."""

    def wake(self, owner: str, name: str, at_ns: int) -> None:
        """Set nothing: the run's own timer firings are fed."""


class _Player:
    """Feeds one new composition; also its journal port."""

    def __init__(
        self, journal: JournalStore, run: Run, universe: Universe, stop_before: int | None = None
    ) -> None:
        self._rows = journal.raw_entries(run)
        self._ahead: deque[RawEntry] = deque()
        self._inputs: deque[RawEntry] = deque()
        self._universe = universe
        self._stop_before = stop_before
        self._whole = run.status == "ended"
        self._tape = _TapeCheck(journal, run)
        self.compared = 0
        self.at = ""
        ports = _Ports()
        self.made: Composition = compose(universe, journal=self, orders=ports, clock=ports)
        host = self.made.host
        self._handlers: dict[type, Callable[[TapeEvent], None]] = {
            TradeTick: host.market_handler(StreamKind.TRADES),
            QuoteTick: host.market_handler(StreamKind.QUOTES),
            Bar: host.market_handler(StreamKind.BARS),
        }

    @property
    def deliveries(self) -> int:
        return self.made.host.seq

    # --- feeding ---

    def play(self) -> None:
        universe = self._universe
        delivered = [stream for stream in universe.streams if stream.delivered]
        self._feed_inputs()
        windows = read_windows(
            delivered, (), universe.start_ns, universe.end_ns, universe.scenario.table.chunk_rows
        )
        for window in windows:
            changed = self._tape.first_change(window)
            self._feed_window(window, changed)
            self.made.host.take_stamps()
            if not self._whole and self._next_input() is None and self._expected() is None:
                return  # a run that broke off is verified up to there
        self._feed_inputs()
        self._finish()

    def _feed_window(self, window: Window, changed: tuple[int, str] | None) -> None:
        events, handlers, host = window.events, self._handlers, self.made.host
        at, count = 0, len(events)
        while at < count:
            ahead = self._next_input()
            stop = count if ahead is None else min(count, at + (ahead.id >> ID_BITS) - 1 - host.seq)
            if changed is not None and at <= changed[0] < stop:
                stop = changed[0]
            self._check_stop(events, at, stop)
            for event in events[at:stop]:
                handlers[type(event)](event)
            if changed is not None and stop == changed[0]:
                self._tape_differs(events[stop], changed[1])
            at = stop
            self._feed_inputs()

    def _check_stop(self, events: list[TapeEvent], at: int, stop: int) -> None:
        """When looking at one delivery: play up to it, remember it, and stop."""
        if self._stop_before is None:
            return
        left = self._stop_before - self.made.host.seq - 1
        if 0 <= left < stop - at:
            for event in events[at : at + left]:
                self._handlers[type(event)](event)
            self.at = str(events[at + left])
            raise _Stopped

    def _feed_inputs(self) -> None:
        host = self.made.host
        while (row := self._next_input()) is not None:
            seq = row.id >> ID_BITS
            if seq > host.seq + 1:
                return
            if seq <= host.seq:
                raise _Parted(
                    seq,
                    row.ts_ns,
                    "the numbering of deliveries differs: the tape holds rows that the run was "
                    "not given, or lacks some",
                    f"{row.kind} {row.payload}",
                    f"delivery {host.seq} is reached already",
                )
            self._inputs.popleft()
            message = decode(Kind(row.kind), row.payload.encode())
            if self._stop_before == seq:
                self.at = f"{row.kind} {message}"
                raise _Stopped
            self._deliver(message)

    def _deliver(self, message: object) -> None:
        host = self.made.host
        match message:
            case Started(ts_ns):
                host.start(ts_ns)
            case TimerFired():
                host.on_timer(message)
            case Fill() | OrderUpdate() | PositionUpdate():
                host.on_report(message)
            case _:
                raise InvariantBroken(f"{message!r} is no input of a host.")

    def _finish(self) -> None:
        row = self._expected()
        if row is not None and row.kind not in COMPARED_LATER:
            self._parted_from(row, None)
        left = self._next_input()
        if left is not None:
            self._parted_from(left, None)
        short = self._tape.missing()
        if short is not None:
            raise _Parted(
                self.made.host.seq + 1,
                self._universe.end_ns,
                short,
                "the run was given these rows",
                "the tape ends",
            )

    def _tape_differs(self, event: TapeEvent, what: str) -> None:
        raise _Parted(
            self.made.host.seq + 1, event.ts_init, what, "another row", f"the tape has {event}"
        )

    # --- reading the journal ---

    def _read(self) -> bool:
        row = next(self._rows, None)
        if row is None:
            return False
        self._ahead.append(row)
        if row.kind in INPUT_KINDS:
            self._inputs.append(row)
        return True

    def _next_input(self) -> RawEntry | None:
        while not self._inputs:
            if not self._read():
                return None
        return self._inputs[0]

    def _expected(self) -> RawEntry | None:
        if not self._ahead and not self._read():
            return None
        return self._ahead[0]

    # --- the journal port: compare instead of write ---

    def append(
        self,
        entry_id: int,
        ts_ns: int,
        kind: Kind,
        source: str,
        cause_id: int,
        workflow_id: int,
        message: object,
    ) -> None:
        """Compare one entry with the journalled one."""
        row = self._expected()
        payload = encode(message).decode()
        ours = RawEntry(entry_id, ts_ns, kind, source, cause_id, workflow_id, payload)
        if row is None and not self._whole:
            raise _Stopped  # the run broke off here
        if row is None or row != ours:
            self._parted_from(row, ours)
        self._ahead.popleft()
        self.compared += 1

    def flush(self) -> None:
        """Nothing is kept."""

    def _parted_from(self, row: RawEntry | None, ours: RawEntry | None) -> None:
        sides = [side for side in (row, ours) if side is not None]
        first = min(sides, key=lambda side: side.id)
        theirs = row if row is not None and row.id == first.id else None
        mine = ours if ours is not None and ours.id == first.id else None
        who = "the capital manager" if first.source == CAPITAL else first.source
        raise _Parted(
            first.id >> ID_BITS,
            first.ts_ns,
            f"{first.kind} of {who} differs",
            "nothing" if theirs is None else f"{theirs.kind} {theirs.payload}",
            "nothing" if mine is None else f"{mine.kind} {mine.payload}",
        )


class _TapeCheck:
    """Holds the tape's rows against the fingerprints the run kept."""

    def __init__(self, journal: JournalStore, run: Run) -> None:
        self._kept: dict[str, Fingerprints] = {}
        self._seen: dict[str, int] = {}
        parts: dict[str, list[tuple[int, Fingerprints]]] = {}
        for block in journal.tape_blocks(run):
            values = np.frombuffer(block.fingerprints, np.uint16)
            parts.setdefault(block.stream, []).append((block.first_row, values))
        for stream, pieces in parts.items():
            pieces.sort(key=lambda piece: piece[0])
            self._kept[stream] = np.concatenate([values for _, values in pieces])

    def first_change(self, window: Window) -> tuple[int, str] | None:
        """Return the place in the window of the first changed row, and what to say of it."""
        found: list[tuple[int, str]] = []
        for block in window.blocks:
            stream = f"{block.kind}:{block.topic}"
            row = self._changed_row(stream, block)
            if row is not None:
                what = f"the tape differs at row {block.first_row + row} of {block.topic}"
                found.append((window.place_of(block, row), what))
        return min(found, default=None)

    def _changed_row(self, stream: str, block: RowBlock) -> int | None:
        count = len(block.fingerprints)
        self._seen[stream] = block.first_row + count
        kept = self._kept.get(stream, np.empty(0, np.uint16))
        before = kept[block.first_row : block.first_row + count]
        different = np.flatnonzero(before != block.fingerprints[: len(before)])
        if len(different):
            return int(different[0])
        return len(before) if len(before) < count else None

    def missing(self) -> str | None:
        """Say which stream lacks rows at its end, if any."""
        for stream, seen in self._seen.items():
            lacking = len(self._kept.get(stream, ())) - seen
            if lacking > 0:
                return f"the tape of {stream} ends {lacking} rows early, at row {seen}"
        return None
