"""Re-executes a run's decisions: new deciders, fed the journalled inputs and the tape by seq.

Rule: no engine, no venue, no network, no clock. The host is the run's own; its journal port
compares every entry it would write with the one that was written.
"""

import zlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from nautilus_trader.model import (
    Bar,
    FundingRateUpdate,
    InstrumentId,
    OrderBookDeltas,
    QuoteTick,
    TradeTick,
)

from catalog.codec import decode, encode
from catalog.journal.chain import JournalCorrupt, place
from catalog.journal.store import JournalStore, RawEntry
from catalog.runs import Run
from catalog.tape import (
    ORDER_STREAM,
    RowBlock,
    TapeStream,
    Window,
    read_windows,
    stream_name,
    unpack_sources,
)
from catalog.tape_rows import TapeEvent
from scenarios.decider_state import describe
from scenarios.wiring import Composition, Universe, compose
from strategies.arithmetic import arithmetic
from strategies.errors import DeciderFailed, InvariantBroken, OnetapeError
from strategies.host.core import CAPITAL
from strategies.host.faults import OnDeciderFailure
from strategies.messages import (
    CashCorrection,
    Command,
    Fill,
    Gap,
    KillSwitch,
    Notice,
    OrderNamed,
    OrderUpdate,
    PositionUpdate,
    RepeatedFill,
    Started,
    TimerFired,
)
from strategies.ports import ID_BITS, INPUT_KINDS, Kind, StreamKind

COMPARED_LATER = frozenset({Kind.ENDED})
"""Written by the composer of a run, not by its host."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place where run and re-execution part; texts are for people."""

    seq: int
    ts_ns: int
    what: str
    event: str
    journalled: str
    reexecuted: str
    state: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a re-execution came to; ``difference`` is None where everything was equal."""

    deliveries: int
    entries: int
    difference: Difference | None


class _Parted(OnetapeError):
    """Run and re-execution differ at ``seq``."""

    def __init__(
        self,
        seq: int,
        ts_ns: int,
        what: str,
        journalled: str,
        reexecuted: str,
        source: str = "",
    ) -> None:
        super().__init__(what)
        self.source = source
        self.seq = seq
        self.ts_ns = ts_ns
        self.what = what
        self.journalled = journalled
        self.reexecuted = reexecuted


class _Stopped(OnetapeError):
    """The look at one delivery is over."""


def verify_run(journal: JournalStore, run: Run, universe: Universe) -> Verdict:
    """Re-execute one run and return the first difference, if any."""
    with arithmetic():
        return _verify(journal, run, universe)


def _verify(journal: JournalStore, run: Run, universe: Universe) -> Verdict:
    player = _Player(journal, run, universe)
    parted: _Parted | None = None
    try:
        player.play()
    except _Stopped:
        pass  # the run broke off there
    except _Parted as found:
        parted = found
    except DeciderFailed as error:
        parted = player.failed_alike(error)
    # A tape that changed shows first as a shifted number or another decision: name the cause.
    changed = player.changed_row()
    if changed is not None and (parted is None or changed.seq <= parted.seq):
        parted = changed
    if parted is None:
        return Verdict(player.deliveries, player.compared, None)
    return Verdict(player.deliveries, player.compared, _explain(journal, run, universe, parted))


def _explain(journal: JournalStore, run: Run, universe: Universe, parted: _Parted) -> Difference:
    """Play again up to the delivery where they part, and look at what the deciders were given."""
    look = _Player(journal, run, universe, stop_before=parted.seq)
    event = "beyond the end of the tape"
    try:
        look.play()
    except _Stopped:
        event = look.at
    except (_Parted, DeciderFailed):
        event = look.at or event  # it parts before the stop again
    return Difference(
        parted.seq,
        parted.ts_ns or look.at_ns,
        parted.what,
        event,
        parted.journalled,
        parted.reexecuted,
        _state(parted.source, look),
    )


def _state(source: str, look: "_Player") -> dict[str, dict[str, str]]:
    """Return what the decider that parted remembered before it; all where none is named."""
    deciders = {strategy.name: strategy for strategy in look.made.strategies}
    if source == CAPITAL:
        return {CAPITAL: describe(look.made.capital, look.at_instrument)}
    chosen = {source: deciders[source]} if source in deciders else deciders
    return {name: describe(decider, look.at_instrument) for name, decider in chosen.items()}


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
        self._journal = journal
        self._run = run
        self._rows = journal.raw_entries(run)
        self._ahead: deque[RawEntry] = deque()
        self._inputs: deque[RawEntry] = deque()
        self._universe = universe
        self._stop_before = stop_before
        self._whole = run.status == "ended"
        # What a book quotes is for the venue, and there is none here.
        delivered = [replace(each, quoted=False) for each in universe.streams if each.delivered]
        self._windows = read_windows(
            delivered, (), universe.start_ns, universe.end_ns, universe.scenario.table.chunk_rows
        )
        self._tape = _TapeCheck(journal, run, delivered)
        self.compared = 0
        self.at = ""
        self.at_ns = 0
        self.at_instrument: InstrumentId | None = None
        self._extra = False
        ports = _Ports()
        self.made: Composition = compose(
            universe,
            journal=self,
            orders=ports,
            clock=ports,
            on_decider_failure=_on_failure(journal, run),
        )
        host = self.made.host
        self._handlers: dict[type, Callable[[TapeEvent], None]] = {
            TradeTick: host.market_handler(StreamKind.TRADES),
            QuoteTick: host.market_handler(StreamKind.QUOTES),
            Bar: host.market_handler(StreamKind.BARS),
            OrderBookDeltas: host.market_handler(StreamKind.DELTAS),
            FundingRateUpdate: host.market_handler(StreamKind.FUNDING),
        }

    @property
    def deliveries(self) -> int:
        return self.made.host.seq

    # --- feeding ---

    def play(self) -> None:
        """Feed everything; raises _Parted at the first entry that differs."""
        self._feed_inputs()
        for window in self._windows:
            self._tape.look_at(window)
            self._feed_window(window)
            self.made.host.take_stamps()
            if not self._whole and self._expected() is None:
                return  # a run that broke off is verified up to there
        self._feed_inputs()
        self._finish()

    def changed_row(self) -> "_Parted | None":
        """Return the first row of the tape that is not the one the run was given."""
        for window in self._windows:
            self._tape.look_at(window)
        change = self._tape.first_change(whole=self._whole)
        if change is None:
            return None
        row, stream, ordinal = change
        seq = _seq_of(ordinal, self._input_seqs())
        what = f"the tape differs at row {row} of {stream}"
        return _Parted(seq, 0, what, "another row", "the row shown as input stands there now")

    def failed_alike(self, error: DeciderFailed) -> "_Parted | None":
        """Accept a failure that the run had at the same place."""
        if not self._whole and self._expected() is None:
            return None
        seq = self.made.host.seq
        return _Parted(seq, 0, "only the re-execution raises", "no failure", str(error))

    def _input_seqs(self) -> list[int]:
        rows = self._journal.raw_entries(self._run)
        return [row.id >> ID_BITS for row in rows if row.kind in INPUT_KINDS]

    def _feed_window(self, window: Window) -> None:
        events, handlers, host = window.events, self._handlers, self.made.host
        at, count = 0, len(events)
        while at < count:
            ahead = self._next_input()
            stop = count if ahead is None else min(count, at + (ahead.id >> ID_BITS) - 1 - host.seq)
            self._check_stop(events, at, stop)
            for event in events[at:stop]:
                handlers[type(event)](event)
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
            self.at_ns = events[at + left].ts_init
            self.at_instrument = _instrument_of(events[at + left])
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
            message = _decoded(row, self._run)
            if self._stop_before == seq:
                self.at = f"{row.kind} {message}"
                self.at_instrument = getattr(message, "instrument_id", None)
                raise _Stopped
            self._deliver(message)

    def _deliver(self, message: object) -> None:
        host = self.made.host
        match message:
            case Started(ts_ns):
                host.start(ts_ns)
            case TimerFired():
                host.on_timer(message)
            case Fill() | OrderUpdate() | PositionUpdate() | RepeatedFill() | KillSwitch():
                host.on_report(message)
            case CashCorrection() | OrderNamed() | Notice() | Gap():
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
        ours = (entry_id, ts_ns, kind, source, cause_id, workflow_id, payload)
        if row == ours and not self._extra:
            self._ahead.popleft()
            self.compared += 1
        elif row is None and not self._whole:
            raise _Stopped  # the run broke off here
        elif kind is Kind.MARKET and (row is None or row.id != entry_id):
            self._extra = True  # what was decided on it comes next, and says more
        else:
            self._parted_from(row, RawEntry._make(ours))

    def flush(self) -> None:
        """Nothing is kept."""

    def _parted_from(self, row: RawEntry | None, ours: RawEntry | None) -> None:
        if row is not None and row.kind == Kind.MARKET and (ours is None or ours.id > row.id):
            self._ahead.popleft()
            row = self._expected() or row  # what was decided on it says more
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
            first.source,
        )


def _on_failure(journal: JournalStore, run: Run) -> OnDeciderFailure:
    """Return what a strategy's failure ended: a run that goes on has journalled it as a fault."""
    faults = list(journal.entries(run, kinds=(Kind.FAULT,)))
    return OnDeciderFailure.ISOLATE if faults else OnDeciderFailure.STOP


def _decoded(row: RawEntry, run: Run) -> object:
    try:
        return decode(Kind(row.kind), row.payload.encode())
    except ValueError as error:
        raise JournalCorrupt(
            f"run {run.run_id}: {place(row.id)} holds no {row.kind} message this version can read "
            f"({error}); verify it with the version that wrote it."
        ) from error


def _instrument_of(event: TapeEvent) -> InstrumentId:
    return event.bar_type.instrument_id if isinstance(event, Bar) else event.instrument_id


def _seq_of(ordinal: int, input_seqs: list[int]) -> int:
    """Return the delivery number of the ordinal-th tape row: rows take what inputs leave."""
    seq = ordinal + 1
    for taken in input_seqs:
        if taken > seq:
            break
        seq += 1
    return seq


class _TapeCheck:
    """Holds the tape's rows against the fingerprints the run kept."""

    def __init__(self, journal: JournalStore, run: Run, streams: Sequence[TapeStream]) -> None:
        self._names = [stream_name(stream.kind, stream.topic) for stream in streams]
        parts: dict[str, list[bytes]] = {}
        for block in journal.tape_blocks(run):
            parts.setdefault(block.stream, []).append(bytes(block.fingerprints))
        try:
            order = [unpack_sources(zlib.decompress(part)) for part in parts.pop(ORDER_STREAM, [])]
            self._kept = {
                name: np.frombuffer(b"".join(pieces), np.uint16) for name, pieces in parts.items()
            }
        except (ValueError, zlib.error) as error:
            raise JournalCorrupt(
                f"the journal's record of the tape of {run.run_id} cannot be read ({error}): it is "
                "damaged or of another version of onetape, so run the scenario again."
            ) from error
        self._order = np.concatenate(order) if order else np.empty(0, np.uint16)
        self._seen = dict.fromkeys(self._names, 0)
        self._changes: dict[str, int] = {}

    def look_at(self, window: Window) -> None:
        """Note the first changed row of every stream."""
        for block in window.blocks:
            name = stream_name(block.kind, block.topic)
            row = self._changed_row(name, block)
            if row is not None:
                self._changes.setdefault(name, row)

    def first_change(self, *, whole: bool) -> tuple[int, str, int] | None:
        """Return row, stream and place on the tape of the first row that changed, if any.

        A run that broke off kept only the rows it had read: more of them are no change.
        """
        for name, seen in self._seen.items():
            if seen < len(self._kept.get(name, ())):
                self._changes.setdefault(name, seen)
        found = [(self._ordinal(name, row), row, name) for name, row in self._changes.items()]
        known = [each for each in found if whole or each[0] < len(self._order)]
        if not known:
            return None
        ordinal, row, name = min(known)
        return row, name, ordinal

    def _ordinal(self, name: str, row: int) -> int:
        places = np.flatnonzero(self._order == self._names.index(name))
        return int(places[row]) if row < len(places) else len(self._order)

    def _changed_row(self, name: str, block: RowBlock) -> int | None:
        count = len(block.fingerprints)
        self._seen[name] = block.first_row + count
        kept = self._kept.get(name, np.empty(0, np.uint16))
        before = kept[block.first_row : block.first_row + count]
        different = np.flatnonzero(before != block.fingerprints[: len(before)])
        if len(different):
            return block.first_row + int(different[0])
        return block.first_row + len(before) if len(before) < count else None
