"""What the venue answers on a socket: registrations checked, acknowledged, counted.

Rule: pure; a message comes in with its wall time, an answer goes out, with what to do to sockets.
"""

from dataclasses import dataclass

from scenarios.venues.kis.cipher import secret_text
from scenarios.venues.kis.control import Request, acknowledgement, is_pong, read_request
from scenarios.venues.kis.faults import FaultKind
from scenarios.venues.kis.market_time import SECOND_NS
from scenarios.venues.kis.personality import (
    EXPECTED_INDEX,
    INDEX,
    INDEX_CODES,
    SILENT,
    STREAMS,
)
from scenarios.venues.kis.sessions import Session, SessionDesk
from scenarios.venues.kis.venue import Venue

UNANSWERED_PINGS = 7
FAST_S = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """What to send (empty: nothing), and which sockets to cut without a closing handshake."""

    text: str = ""
    cut: tuple[int, ...] = ()


@dataclass(slots=True)
class SocketDesk:
    """All sockets of one venue."""

    venue: Venue
    sessions: SessionDesk
    _last_open_ns: int = 0

    def open(self, wall_ns: int) -> Session:
        """Add a socket; two within a second are the loop KIS blocks clients for."""
        if self._last_open_ns and wall_ns - self._last_open_ns < FAST_S * SECOND_NS:
            self.venue.witness.see_violation(wall_ns, "fast_reconnect", "two sockets in a second")
        self._last_open_ns = wall_ns
        return self.sessions.open(wall_ns)

    def close(self, session: Session, wall_ns: int, *, clean: bool) -> None:
        """Remove a socket and what was registered in it."""
        self.sessions.close(session, wall_ns, clean=clean)
        self.venue.exchange.wanted = self.sessions.wanted()

    def receive(self, session: Session, text: str, wall_ns: int) -> Answer:
        """Answer one text message."""
        if is_pong(text):
            session.unanswered_pings = 0
            return Answer()
        request = read_request(text)
        if request.error:
            return self._refused(request.error, request, wall_ns)
        app_key = self.venue.approvals.app_key_of(request.approval_key, wall_ns)
        if app_key is None:
            return self._refused("OPSP0011", request, wall_ns)
        code, loser = self.sessions.claim(session, app_key, wall_ns)
        if code:
            refused = self._refused(code, request, wall_ns)
            return Answer(refused.text, (session.number,))
        cut = (loser.number,) if loser is not None else ()
        answer = self._registered(session, request, wall_ns)
        self.venue.exchange.wanted = self.sessions.wanted()
        return Answer(answer.text, answer.cut + cut)

    def must_cut(self, session: Session) -> bool:
        """Count a PINGPONG that is being sent; True where too many went unanswered."""
        session.unanswered_pings += 1
        return session.unanswered_pings > UNANSWERED_PINGS

    def _registered(self, session: Session, request: Request, wall_ns: int) -> Answer:
        tr = (request.tr_id, request.tr_key)
        is_notice = request.tr_id == self.venue.notice_tr
        if request.tr_type == "2":
            secret = session.registered.get(tr)
            code = self.sessions.unregister(session, tr)
        else:
            if is_notice and not self._owns(session, request.tr_key):
                detail = "a notice for an HTS id that is not the customer's"
                self.venue.witness.see_violation(wall_ns, "wrong_hts_id", detail)
                return Answer(cut=(session.number,))
            code = self._check(request)
            secret = self._secret(session, tr)
            code = code or self.sessions.register(session, tr, secret)
        if code not in {"OPSP0000", "OPSP0001"}:
            return self._refused(code, request, wall_ns)
        if self.venue.faults.take(FaultKind.LOST_ACK, f"{request.tr_id} {request.tr_key}"):
            return Answer()
        return Answer(acknowledgement(code, request, encrypted=is_notice, secret=secret))

    def _owns(self, session: Session, hts_id: str) -> bool:
        return self.venue.customers[session.app_key].hts_id == hts_id

    def _check(self, request: Request) -> str:
        if request.tr_id not in STREAMS[self.venue.environment]:
            return "OPSP8991"
        if request.tr_id == self.venue.notice_tr or request.tr_id in SILENT:
            return ""
        if request.tr_id in {INDEX, EXPECTED_INDEX}:
            return "" if request.tr_key in INDEX_CODES else "OPSP8992"
        return "" if request.tr_key in self.venue.exchange.symbols else "OPSP8992"

    def _secret(self, session: Session, tr: tuple[str, str]) -> tuple[str, str]:
        """Return (key, iv), fixed for a registration: another connection's do not fit."""
        names = (session.app_key, session.number, *tr)
        return secret_text(32, "key", *names), secret_text(16, "iv", *names)

    def _refused(self, code: str, request: Request, wall_ns: int) -> Answer:
        self.venue.witness.see_violation(wall_ns, code, f"{request.tr_id} {request.tr_key}")
        return Answer(acknowledgement(code, request))
