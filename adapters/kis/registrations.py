"""The real-time registrations of one session: a slot is taken when asked for, freed when answered.

Rule: a slot counts from the moment its registration is sent until KIS says that it is gone, or the
connection is; so that never more than the limit exist, whatever is lost, late or refused. Answers
of a closed connection must not be fed to the next one.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from adapters.kis.fields import LAYOUTS, NOTICE_TRS
from adapters.kis.frames import Ack, Control
from adapters.kis.limits import Limits
from adapters.kis.machine import Machine


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """What is registered: a TR and its key (symbol, index or HTS id, which is not shown)."""

    tr_id: str
    key: str

    def __repr__(self) -> str:
        return f"Stream({self.tr_id}, {'***' if self.tr_id in NOTICE_TRS else self.key})"


class SlotState(StrEnum):
    """Life of one slot."""

    FREE = "free"
    ASKED = "asked"
    HELD = "held"
    LEAVING = "leaving"


class SlotEvent(StrEnum):
    """What we send and what KIS answers, as one slot sees it."""

    SEND_ON = "send_on"
    SEND_OFF = "send_off"
    ON = "on"
    OFF = "off"
    REFUSED = "refused"
    LOST = "lost"


_F, _A, _H, _L = SlotState.FREE, SlotState.ASKED, SlotState.HELD, SlotState.LEAVING

SLOTS: dict[SlotState, dict[SlotEvent, SlotState]] = {
    # an answer without a question is noted where it is harmless: ON after all takes the slot
    _F: {
        SlotEvent.SEND_ON: _A,
        SlotEvent.ON: _H,
        SlotEvent.OFF: _F,
        SlotEvent.REFUSED: _F,
        SlotEvent.LOST: _F,
    },
    # OFF answers an earlier unregistration that was asked twice
    _A: {
        SlotEvent.SEND_ON: _A,
        SlotEvent.ON: _H,
        SlotEvent.OFF: _A,
        SlotEvent.REFUSED: _F,
        SlotEvent.LOST: _F,
    },
    # REFUSED answers a registration that was asked twice; the first one holds
    _H: {
        SlotEvent.SEND_OFF: _L,
        SlotEvent.ON: _H,
        SlotEvent.OFF: _H,
        SlotEvent.REFUSED: _H,
        SlotEvent.LOST: _F,
    },
    # ON answers the second of two registrations; REFUSED leaves the slot taken
    _L: {
        SlotEvent.SEND_OFF: _L,
        SlotEvent.ON: _L,
        SlotEvent.OFF: _F,
        SlotEvent.REFUSED: _L,
        SlotEvent.LOST: _F,
    },
}

_EVENTS: dict[Ack, SlotEvent] = {
    Ack.REGISTERED: SlotEvent.ON,
    Ack.ALREADY: SlotEvent.ON,
    Ack.UNREGISTERED: SlotEvent.OFF,
    Ack.NOT_FOUND: SlotEvent.OFF,
    Ack.FULL: SlotEvent.REFUSED,
    Ack.LATER: SlotEvent.REFUSED,
    Ack.REFUSED: SlotEvent.REFUSED,
}


@dataclass(frozen=True, slots=True)
class Send:
    """Send this registration message now; it is counted."""

    stream: Stream
    register: bool


@dataclass(slots=True)
class _Slot:
    """``unanswered`` counts registrations sent and not answered, whose fate is open."""

    machine: Machine[SlotState, SlotEvent] = field(
        default_factory=lambda: Machine(SLOTS, SlotState.FREE)
    )
    unanswered: int = 0
    attempts: int = 0
    sent_ns: int = 0


@dataclass(frozen=True, slots=True)
class Acked:
    """What an answer meant: the stream is now observed (or not), or was refused with a reason."""

    stream: Stream
    held: bool
    ack: Ack
    code: str


class Registrations:
    """Plans and counts the registrations of one connection."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._wanted: dict[Stream, int] = {}
        self._slots: dict[Stream, _Slot] = {}
        self._changes: deque[int] = deque(maxlen=limits.churn_changes)
        self._capacity = limits.registrations
        self._connected = False
        self._market_is_open = False
        self._orders_live = False
        self._refused: dict[Stream, Acked] = {}
        self._later: dict[Stream, int] = {}
        self._keyed: set[Stream] = set()
        self._keyless: set[Stream] = set()
        self._full_until = 0

    # --- what is wanted ---

    def want(self, stream: Stream, rank: int) -> None:
        """Ask for a stream; lower ranks go first when slots are short. Again changes the rank.

        Raises KeyError for a TR that is not in the tables or not enabled.
        """
        if not LAYOUTS[stream.tr_id].enabled:
            raise KeyError(f"{stream.tr_id} is prepared and not enabled")
        self._wanted[stream] = rank
        self._refused.pop(stream, None)

    def unwant(self, stream: Stream) -> None:
        """Give a stream up; its slot is freed when KIS answers."""
        self._wanted.pop(stream, None)
        self._refused.pop(stream, None)

    def market(self, *, is_open: bool) -> None:
        """Say whether the session is on: outside it no market data is registered."""
        self._market_is_open = is_open

    def orders(self, *, live: bool) -> None:
        """Say whether orders may live: the execution notice stays while they do."""
        self._orders_live = live

    # --- what is ---

    @property
    def used(self) -> int:
        """Return the slots taken, pending ones included."""
        return len(self._slots)

    @property
    def held(self) -> frozenset[Stream]:
        """Return the streams KIS has acknowledged."""
        return frozenset(
            stream for stream, slot in self._slots.items() if slot.machine.state is SlotState.HELD
        )

    def readable(self, stream: Stream) -> bool:
        """Tell whether a stream is held, and its key with it where it is encrypted."""
        return stream in self.held and (stream.tr_id not in NOTICE_TRS or stream in self._keyed)

    @property
    def waiting(self) -> tuple[Stream, ...]:
        """Return the streams that are wanted now and have no slot, the most urgent first."""
        return tuple(stream for stream in self._due() if stream not in self._slots)

    @property
    def beyond(self) -> tuple[Stream, ...]:
        """Return what is wanted and has no chance of a slot while the rest is wanted."""
        notices = [stream for stream in self._wanted if stream.tr_id in NOTICE_TRS]
        data = [(rank, stream) for stream, rank in self._wanted.items() if stream not in notices]
        room = max(self._limits.registrations - len(notices), 0)
        return tuple(stream for _, stream in sorted(data)[room:])

    @property
    def settled(self) -> bool:
        """Tell whether nothing is pending and nothing more can be registered."""
        pending = any(
            slot.machine.state in {SlotState.ASKED, SlotState.LEAVING}
            for slot in self._slots.values()
        )
        return not pending and not self._surplus() and not self._arrivals()

    @property
    def unanswered(self) -> Stream | None:
        """Return a stream KIS has left unanswered too often: the connection is of no use."""
        for stream, slot in self._slots.items():
            if slot.attempts > self._limits.ack_attempts:
                return stream
        return None

    # --- the connection ---

    def connected(self) -> None:
        """Begin with an empty connection."""
        self._connected = True
        self._capacity = self._limits.registrations
        self._refused.clear()
        self._later.clear()

    def disconnected(self) -> None:
        """Forget all slots: KIS drops them with the connection."""
        self._connected = False
        for slot in self._slots.values():
            slot.machine.on(SlotEvent.LOST)
        self._slots.clear()
        self._keyed.clear()
        self._keyless.clear()

    def next(self, now_ns: int) -> Send | None:
        """Return the next message to send, None when nothing is due; ``due_at`` says when."""
        if not self._connected or now_ns < self._paced_until(now_ns):
            return None
        if now_ns >= self._full_until:
            self._capacity = self._limits.registrations
        for stream, register in self._todo(now_ns):
            return self._send(stream, register=register, now_ns=now_ns)
        return None

    def due_at(self, now_ns: int) -> int | None:
        """Return when ``next`` is worth asking again, None when only an answer can change that."""
        if not self._connected:
            return None
        times = [
            slot.sent_ns + self._limits.ack_timeout_ns
            for slot in self._slots.values()
            if slot.machine.state in {SlotState.ASKED, SlotState.LEAVING}
        ]
        times += [self._later.get(stream, now_ns) for stream in self._arrivals()]
        if self._surplus():
            times.append(now_ns)
        elif self._capacity < self._limits.registrations and self.waiting:
            times.append(self._full_until)
        return max(min(times), self._paced_until(now_ns)) if times else None

    def on_ack(self, control: Control, now_ns: int) -> Acked | None:
        """Take an answer in; None where it is about no registration of ours."""
        event = _EVENTS.get(control.ack)
        stream = self._meant(control)
        slot = self._slots.get(stream)
        if event is None or (slot is None and event is not SlotEvent.ON):
            return None
        if slot is None:
            slot = self._slots[stream] = _Slot()
        if event is not SlotEvent.OFF and slot.unanswered:
            slot.unanswered -= 1
        slot.attempts = 0
        if event is SlotEvent.REFUSED:
            return self._refuse(stream, slot, control, now_ns)
        self._note_key(stream, control)
        if slot.machine.on(event) is SlotState.FREE:
            del self._slots[stream]
            self._keyless.discard(stream)
            # a slot was freed: a session found full early may have room again
            self._capacity = self._limits.registrations
        is_held = slot.machine.state is SlotState.HELD
        return Acked(stream, is_held, control.ack, control.code)

    # --- inside ---

    def _meant(self, control: Control) -> Stream:
        """Return what an answer is about: a refusal may name no TR, and means what waits alone."""
        waits = [
            stream
            for stream, slot in self._slots.items()
            if slot.machine.state in {SlotState.ASKED, SlotState.LEAVING}
        ]
        is_nameless = control.tr_id not in LAYOUTS
        if is_nameless and len(waits) == 1 and _EVENTS.get(control.ack) is SlotEvent.REFUSED:
            return waits[0]
        return Stream(control.tr_id, control.tr_key)

    def _note_key(self, stream: Stream, control: Control) -> None:
        """Note a notice stream whose key was lost with its first answer: it is asked for anew."""
        if control.ack is Ack.UNREGISTERED:
            self._keyed.discard(stream)  # whatever key its answer bears opens nothing
            return
        if control.key:
            self._keyed.add(stream)
            self._keyless.discard(stream)
            return
        is_notice = stream.tr_id in NOTICE_TRS
        if is_notice and control.ack is Ack.ALREADY and stream not in self._keyed:
            self._keyless.add(stream)

    def _refuse(self, stream: Stream, slot: _Slot, control: Control, now_ns: int) -> Acked:
        was = slot.machine.state
        if was is SlotState.ASKED and slot.unanswered:
            # another registration of the same stream is still to be answered
            return Acked(stream, held=False, ack=control.ack, code=control.code)
        if slot.machine.on(SlotEvent.REFUSED) is SlotState.FREE:
            del self._slots[stream]
        acked = Acked(stream, slot.machine.state is SlotState.HELD, control.ack, control.code)
        if was is not SlotState.ASKED:
            return acked
        if control.ack is Ack.FULL:
            self._capacity = min(self._capacity, self.used)
            self._full_until = now_ns + self._limits.backoff_cap_ns
        elif control.ack is Ack.LATER:
            self._later[stream] = now_ns + self._limits.backoff_first_ns
        else:
            self._refused[stream] = acked
        return acked

    def _due(self) -> list[Stream]:
        """Return what is wanted in the present phase, the most urgent first."""
        due = [
            (rank, stream)
            for stream, rank in self._wanted.items()
            if stream not in self._refused and self._is_timely(stream)
        ]
        return [stream for _, stream in sorted(due)]

    def _is_timely(self, stream: Stream) -> bool:
        if stream.tr_id in NOTICE_TRS:
            return self._market_is_open or self._orders_live
        return self._market_is_open

    def _surplus(self) -> list[Stream]:
        return [
            stream
            for stream, slot in sorted(self._slots.items(), key=lambda item: item[0])
            if slot.machine.state is SlotState.HELD
            and not (
                stream in self._wanted and self._is_timely(stream) and stream not in self._keyless
            )
        ]

    def _todo(self, now_ns: int) -> list[tuple[Stream, bool]]:
        """Return the changes that can be sent now: overdue ones, departures, arrivals."""
        overdue = [
            (stream, slot.machine.state is SlotState.ASKED)
            for stream, slot in self._slots.items()
            if slot.machine.state in {SlotState.ASKED, SlotState.LEAVING}
            and slot.sent_ns + self._limits.ack_timeout_ns <= now_ns
            and slot.attempts <= self._limits.ack_attempts
        ]
        leaving = [(stream, False) for stream in self._surplus()]
        coming = [
            (stream, True)
            for stream in self._arrivals()
            if self._later.get(stream, now_ns) <= now_ns
        ]
        return overdue[:1] or leaving[:1] or coming[:1]

    def _arrivals(self) -> list[Stream]:
        """Return the waiting streams there is room for; a wanted notice keeps a slot for itself."""
        room = self._capacity - self.used
        if any(stream.tr_id in NOTICE_TRS for stream in self._wanted.keys() - self._slots.keys()):
            room -= 1
        waiting = self.waiting
        notices = [stream for stream in waiting if stream.tr_id in NOTICE_TRS]
        others = [stream for stream in waiting if stream.tr_id not in NOTICE_TRS]
        has_slot = self.used < self._capacity
        return notices[: int(has_slot)] + others[: max(room, 0)]

    def _send(self, stream: Stream, *, register: bool, now_ns: int) -> Send:
        slot = self._slots.setdefault(stream, _Slot())
        slot.machine.on(SlotEvent.SEND_ON if register else SlotEvent.SEND_OFF)
        slot.unanswered += register
        slot.attempts += 1
        slot.sent_ns = now_ns
        self._changes.append(now_ns)
        return Send(stream, register)

    def _paced_until(self, now_ns: int) -> int:
        if not self._changes:
            return now_ns
        until = max(now_ns, self._changes[-1] + self._limits.register_spacing_ns)
        if len(self._changes) == self._changes.maxlen:
            until = max(until, self._changes[0] + self._limits.churn_window_ns)
        return until
