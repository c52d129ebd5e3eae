"""The life of the WebSocket session: one table, and what each state asks the shell to do.

Rule 1: everything that changes the session's state stands in ``SESSION``; nothing else sets it.
Rule 2: time and jitter are arguments; no path through the table connects without passing the gate.
"""

from dataclasses import dataclass
from enum import StrEnum

from adapters.kis.backoff import ConnectGate, delay_ns
from adapters.kis.config import Secret
from adapters.kis.errors import (
    BadCredentials,
    KisError,
    Reauthenticate,
    Stop,
)
from adapters.kis.frames import Ack, Control
from adapters.kis.limits import Limits
from adapters.kis.machine import Machine
from adapters.kis.registrations import Acked, Registrations, Send


class SessionState(StrEnum):
    """Where the session is."""

    OFF = "off"
    KEYING = "keying"
    CONNECTING = "connecting"
    REGISTERING = "registering"
    LIVE = "live"
    WAITING = "waiting"
    STOPPED = "stopped"


class SessionEvent(StrEnum):
    """What happens to a session."""

    START = "start"
    KEY = "key"
    KEY_FAILED = "key_failed"
    OPENED = "opened"
    REGISTERED = "registered"
    APPROVAL_REFUSED = "approval_refused"
    IN_USE = "in_use"
    UNANSWERED = "unanswered"
    SILENT = "silent"
    CLOSED = "closed"
    DUE = "due"
    FATAL = "fatal"
    STOP = "stop"


_OFF, _KEYING, _CONNECTING = SessionState.OFF, SessionState.KEYING, SessionState.CONNECTING
_REGISTERING, _LIVE = SessionState.REGISTERING, SessionState.LIVE
_WAITING, _STOPPED = SessionState.WAITING, SessionState.STOPPED
_E = SessionEvent

_LOST: dict[SessionEvent, SessionState] = {
    _E.APPROVAL_REFUSED: _WAITING,
    _E.IN_USE: _WAITING,
    _E.UNANSWERED: _WAITING,
    _E.SILENT: _WAITING,
    _E.CLOSED: _WAITING,
    _E.FATAL: _STOPPED,
    _E.STOP: _OFF,
}
"""What ends an open connection."""

SESSION: dict[SessionState, dict[SessionEvent, SessionState]] = {
    # CLOSED is our own closing of the socket coming back
    _OFF: {_E.START: _KEYING, _E.CLOSED: _OFF, _E.STOP: _OFF},
    _KEYING: {
        _E.KEY: _CONNECTING,
        _E.KEY_FAILED: _WAITING,
        _E.FATAL: _STOPPED,
        _E.CLOSED: _KEYING,
        _E.STOP: _OFF,
    },
    _CONNECTING: {
        _E.OPENED: _REGISTERING,
        _E.CLOSED: _WAITING,
        _E.SILENT: _WAITING,
        _E.FATAL: _STOPPED,
        _E.STOP: _OFF,
    },
    # a key asked for while connected is for registrations to come
    _REGISTERING: {
        _E.REGISTERED: _LIVE,
        _E.KEY: _REGISTERING,
        _E.KEY_FAILED: _REGISTERING,
        **_LOST,
    },
    _LIVE: {_E.REGISTERED: _LIVE, _E.KEY: _LIVE, _E.KEY_FAILED: _LIVE, **_LOST},
    _WAITING: {_E.DUE: _KEYING, _E.CLOSED: _WAITING, _E.STOP: _OFF},
    _STOPPED: {_E.CLOSED: _STOPPED, _E.STOP: _OFF},
}


@dataclass(frozen=True, slots=True)
class AskKey:
    """Ask for an approval key; answer with ``key`` or ``key_failed``."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Open the socket; answer with ``opened`` or ``closed``."""


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Close the socket, with its key forgotten; ``closed`` may or may not follow."""

    why: str


type Action = AskKey | Connect | Disconnect | Send

_CONNECTED = frozenset({_REGISTERING, _LIVE})
_EARLY_NS = 5_000_000_000
_EARLY_CLOSES = 3


class Session:
    """Drives one connection at a time; the shell does what ``next`` returns and reports back."""

    def __init__(self, limits: Limits, registrations: Registrations) -> None:
        self._limits = limits
        self._registrations = registrations
        self._machine = Machine(SESSION, SessionState.OFF)
        self._gate = ConnectGate(limits)
        self._approval: Secret | None = None
        self._approval_ends_ns = 0
        self._key_is_asked = False
        self._key_again_ns = 0
        self._connect_asked = False
        self._close_why: str | None = None
        self._attempt = 0
        self._due_ns = 0
        self._opened_ns = 0
        self._heard_ns = 0
        self._early_closes = 0
        self._in_session = False
        self.connections = 0
        self.failure: KisError | None = None

    @property
    def state(self) -> SessionState:
        """Return where the session is."""
        return self._machine.state

    @property
    def approval(self) -> Secret:
        """Return the approval key for a registration message. Raises Reauthenticate without."""
        if self._approval is None:
            raise Reauthenticate("There is no approval key yet.")
        return self._approval

    @property
    def advice(self) -> str | None:
        """Return what to look at when KIS keeps closing the connection right after it opened."""
        if self._early_closes < _EARLY_CLOSES:
            return None
        return (
            "KIS closed the connection right after registration several times: check "
            "ONETAPE_KIS_HTS_ID, a wrong HTS id is answered like this."
        )

    # --- told by the shell ---

    def start(self, now_ns: int) -> None:
        """Begin to connect."""
        self._heard_ns = now_ns
        self._machine.on(_E.START)

    def stop(self) -> None:
        """End the session; a socket that is open is to be closed."""
        was = self.state
        self._machine.on(_E.STOP)
        if was in _CONNECTED or was is _CONNECTING:
            self._drop("stopped")

    def market(self, *, is_open: bool) -> None:
        """Say whether the session is on: registrations and the watchdog follow."""
        self._in_session = is_open
        self._registrations.market(is_open=is_open)

    def key(self, approval: Secret, now_ns: int) -> None:
        """Take an approval key in."""
        self._approval = approval
        self._approval_ends_ns = now_ns + self._limits.approval_lifetime_ns
        self._key_is_asked = False
        if self._machine.takes(_E.KEY):
            self._machine.on(_E.KEY)

    def key_failed(self, error: KisError, now_ns: int, jitter_ppm: int) -> None:
        """Take in that no key came; errors that people must act on stop the session."""
        self._key_is_asked = False
        self._key_again_ns = now_ns + self._limits.backoff_cap_ns
        if isinstance(error, Stop) and self._machine.takes(_E.FATAL):
            self._fail(error)
        elif self._machine.takes(_E.KEY_FAILED):
            self._machine.on(_E.KEY_FAILED)
            if self.state is _WAITING:
                self._wait(now_ns, jitter_ppm)

    def opened(self, now_ns: int) -> None:
        """Take in that the socket is open. Ignored where the session no longer wants it."""
        if not self._machine.takes(_E.OPENED):
            return
        self._machine.on(_E.OPENED)
        self._connect_asked = False
        self._opened_ns = self._heard_ns = now_ns
        self._registrations.connected()
        self._settle()

    def closed(self, now_ns: int, jitter_ppm: int) -> None:
        """Take in that the socket is closed, or could not be opened."""
        if self.state in _CONNECTED and now_ns - self._opened_ns < _EARLY_NS:
            self._early_closes += 1
        self._lose(_E.CLOSED, now_ns, jitter_ppm, None)

    def heard(self, now_ns: int) -> None:
        """Take in that any message arrived."""
        self._heard_ns = max(self._heard_ns, now_ns)

    def on_control(self, control: Control, now_ns: int, jitter_ppm: int) -> Acked | None:
        """Take an answer of KIS in; returns what it meant for a registration."""
        self.heard(now_ns)
        if self.state not in _CONNECTED:
            return None
        match control.ack:
            case Ack.IN_USE:
                self._lose(_E.IN_USE, now_ns, jitter_ppm, "the appkey is in use")
            case Ack.APPROVAL:
                self._approval = None
                self._lose(_E.APPROVAL_REFUSED, now_ns, jitter_ppm, "the key was refused")
            case Ack.CREDENTIALS:
                what = f"KIS refused a registration: {control.text} ({control.code})"
                self._fail(BadCredentials(f"{what}; check appkey and HTS id.", control.code))
            case _:
                acked = self._registrations.on_ack(control, now_ns)
                self._settle()
                return acked
        return None

    # --- asked by the shell ---

    def quiet_ns(self, now_ns: int) -> int:
        """Return how long ago anything was heard."""
        return max(now_ns - self._heard_ns, 0)

    def next(self, now_ns: int, jitter_ppm: int) -> Action | None:
        """Return the next thing to do, None when there is nothing before ``wake_at``."""
        if self._close_why is not None:
            why, self._close_why = self._close_why, None
            return Disconnect(why)
        self._look_at_clock(now_ns, jitter_ppm)
        if self._close_why is not None:
            return self.next(now_ns, jitter_ppm)
        if self.state is _KEYING:
            return self._next_key(now_ns)
        if self.state is _CONNECTING:
            return self._next_connection(now_ns)
        if self.state in _CONNECTED:
            return self._next_registration(now_ns)
        return None

    def wake_at(self, now_ns: int) -> int | None:
        """Return when to call ``next`` again if nothing arrives before, None for never."""
        if self.state is _WAITING:
            return self._due_ns
        if self.state is _CONNECTING:
            if self._connect_asked:
                return self._heard_ns + self._limits.request_timeout_ns
            return self._gate.open_at(now_ns)
        if self.state in _CONNECTED:
            silent = self._heard_ns + self._silence_ns
            due = self._due_at(now_ns)
            return silent if due is None else min(silent, due)
        return None

    # --- inside ---

    def _due_at(self, now_ns: int) -> int | None:
        """Return when a connected session has something to send: nothing before it has a key."""
        if self._has_key(now_ns):
            return self._registrations.due_at(now_ns)
        return None if self._key_is_asked else max(self._key_again_ns, now_ns)

    @property
    def _silence_ns(self) -> int:
        limits = self._limits
        return limits.silence_in_session_ns if self._in_session else limits.silence_off_session_ns

    def _look_at_clock(self, now_ns: int, jitter_ppm: int) -> None:
        if self.state is _WAITING and now_ns >= self._due_ns:
            self._machine.on(_E.DUE)
        elif self.state is _CONNECTING and self._connect_asked:
            if now_ns >= self._heard_ns + self._limits.request_timeout_ns:
                self._lose(_E.SILENT, now_ns, jitter_ppm, "the connection took too long")
        elif self.state in _CONNECTED:
            if now_ns >= self._heard_ns + self._silence_ns:
                self._lose(_E.SILENT, now_ns, jitter_ppm, "nothing was heard, no PINGPONG either")
            elif self._registrations.unanswered is not None:
                self._lose(_E.UNANSWERED, now_ns, jitter_ppm, "registrations were not answered")
            elif now_ns - self._opened_ns >= self._limits.stable_after_ns:
                self._attempt = self._early_closes = 0

    def _next_key(self, now_ns: int) -> Action | None:
        if self._has_key(now_ns):
            self._machine.on(_E.KEY)
            return self._next_connection(now_ns)
        return self._ask_key()

    def _next_connection(self, now_ns: int) -> Action | None:
        if self._connect_asked or now_ns < self._gate.open_at(now_ns):
            return None
        self._gate.connecting(now_ns)
        self._connect_asked = True
        self._heard_ns = now_ns
        self.connections += 1
        return Connect()

    def _next_registration(self, now_ns: int) -> Action | None:
        """Return a registration message, or the wish for a key that has not grown too old."""
        if self._has_key(now_ns):
            return self._registrations.next(now_ns)
        return self._ask_key() if now_ns >= self._key_again_ns else None

    def _has_key(self, now_ns: int) -> bool:
        return self._approval is not None and now_ns < self._approval_ends_ns

    def _ask_key(self) -> AskKey | None:
        """Return the wish for a key, None while one is on its way."""
        if self._key_is_asked:
            return None
        self._key_is_asked = True
        return AskKey()

    def _settle(self) -> None:
        if self._registrations.settled and self._machine.takes(_E.REGISTERED):
            self._machine.on(_E.REGISTERED)

    def _lose(self, event: SessionEvent, now_ns: int, jitter_ppm: int, why: str | None) -> None:
        """Take a loss in; ``why`` closes a socket that is still open."""
        was = self.state
        if not self._machine.takes(event):
            return
        self._machine.on(event)
        if was in _CONNECTED or was is _CONNECTING:
            self._drop(why)
        if self.state is _WAITING and was is not _WAITING:
            least = self._limits.in_use_wait_ns if event is _E.IN_USE else 0
            self._wait(now_ns, jitter_ppm, least)

    def _wait(self, now_ns: int, jitter_ppm: int, least_ns: int = 0) -> None:
        pause = max(delay_ns(self._limits, self._attempt, jitter_ppm), least_ns)
        self._attempt += 1
        self._due_ns = max(now_ns + pause, self._gate.open_at(now_ns))

    def _fail(self, error: KisError) -> None:
        was = self.state
        self.failure = error
        self._machine.on(_E.FATAL)
        if was in _CONNECTED or was is _CONNECTING:
            self._drop("stopped")

    def _drop(self, why: str | None) -> None:
        self._registrations.disconnected()
        self._connect_asked = False
        self._close_why = why
