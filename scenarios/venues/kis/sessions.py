"""Who holds a socket session of an appkey, and what is registered in it.

Rule: one session per appkey and one count of registrations over all TRs; a session lost without a
closing handshake is held for a while, and a newcomer is refused meanwhile (or wins, if set so).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from scenarios.venues.kis.market_time import SECOND_NS


class SecondSession(StrEnum):
    """What happens when an appkey's second socket registers; both are reported of KIS."""

    REFUSED = "refused"
    WINS = "wins"


@dataclass(slots=True)
class Session:
    """One socket. ``app_key`` is empty until its first registration."""

    number: int
    opened_ns: int
    app_key: str = ""
    registered: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    silent_until_ns: int = 0
    unanswered_pings: int = 0
    sent_frames: int = 0


@dataclass(slots=True)
class SessionDesk:
    """All sockets, and the appkeys whose session is still held."""

    registrations: int
    stale_hold_s: int
    second: SecondSession = SecondSession.REFUSED
    sessions: dict[int, Session] = field(default_factory=dict)
    _holders: dict[str, int] = field(default_factory=dict)
    _held_until_ns: dict[str, int] = field(default_factory=dict)
    _count: int = 0

    def open(self, wall_ns: int) -> Session:
        """Add a socket."""
        self._count += 1
        session = Session(self._count, wall_ns)
        self.sessions[session.number] = session
        return session

    def close(self, session: Session, wall_ns: int, *, clean: bool) -> None:
        """Remove a socket; without a closing handshake its appkey stays in use for a while."""
        self.sessions.pop(session.number, None)
        if self._holders.get(session.app_key) == session.number:
            del self._holders[session.app_key]
            if not clean and session.registered:
                self._held_until_ns[session.app_key] = wall_ns + self.stale_hold_s * SECOND_NS

    def claim(self, session: Session, app_key: str, wall_ns: int) -> tuple[str, Session | None]:
        """Bind a socket to an appkey: a code (empty: it is yours), and the session that lost it."""
        holder = self._holders.get(app_key)
        if holder == session.number:
            return "", None
        is_held = wall_ns < self._held_until_ns.get(app_key, 0)
        if (holder is not None or is_held) and self.second is SecondSession.REFUSED:
            return "OPSP8996", None
        self._held_until_ns.pop(app_key, None)
        self._holders[app_key] = session.number
        session.app_key = app_key
        return "", self.sessions.get(holder) if holder is not None else None

    def register(self, session: Session, tr: tuple[str, str], secret: tuple[str, str]) -> str:
        """Register (TR id, key) and return the code of the answer."""
        if tr in session.registered:
            return "OPSP0002"
        if len(session.registered) >= self.registrations:
            return "OPSP0008"
        session.registered[tr] = secret
        return "OPSP0000"

    def unregister(self, session: Session, tr: tuple[str, str]) -> str:
        """Free a registration and return the code of the answer."""
        return "OPSP0003" if session.registered.pop(tr, None) is None else "OPSP0001"

    def wanted(self) -> set[tuple[str, str]]:
        """Return everything any socket is registered for."""
        return {tr for session in self.sessions.values() for tr in session.registered}
