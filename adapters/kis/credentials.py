"""The access token: one table, and when to ask, wait or use; the cache on disk is another file.

Rule: one question a minute at most, whoever fails; a token is replaced before it ends; a token
that KIS rejected is never used again, even if KIS hands out the same one.
"""

from enum import StrEnum

from adapters.kis.config import Secret
from adapters.kis.errors import KisError, Stop
from adapters.kis.limits import Limits
from adapters.kis.machine import Machine
from adapters.kis.parse import Token


class TokenState(StrEnum):
    """Whether there is a token, and whether one is being asked for."""

    NONE = "none"
    ASKING = "asking"
    HELD = "held"
    VALID = "valid"
    AGING = "aging"
    REFRESHING = "refreshing"
    STOPPED = "stopped"


class TokenEvent(StrEnum):
    """What happens to the token."""

    ASK = "ask"
    GOT = "got"
    FAILED = "failed"
    REFUSED = "refused"
    REJECTED = "rejected"
    AGED = "aged"
    EXPIRED = "expired"
    DUE = "due"


_S, _E = TokenState, TokenEvent

TOKENS: dict[TokenState, dict[TokenEvent, TokenState]] = {
    # REJECTED again: the answers of several requests that carried the same token
    _S.NONE: {_E.ASK: _S.ASKING, _E.GOT: _S.VALID, _E.FAILED: _S.HELD, _E.REJECTED: _S.NONE},
    _S.ASKING: {
        _E.GOT: _S.VALID,
        _E.FAILED: _S.HELD,
        _E.REFUSED: _S.STOPPED,
        _E.REJECTED: _S.ASKING,
    },
    # GOT: another process wrote its token to the cache
    _S.HELD: {_E.DUE: _S.NONE, _E.GOT: _S.VALID, _E.REJECTED: _S.HELD},
    _S.VALID: {
        _E.GOT: _S.VALID,
        _E.AGED: _S.AGING,
        _E.EXPIRED: _S.NONE,
        _E.REJECTED: _S.NONE,
    },
    _S.AGING: {
        _E.ASK: _S.REFRESHING,
        _E.GOT: _S.VALID,
        _E.EXPIRED: _S.NONE,
        _E.REJECTED: _S.NONE,
    },
    _S.REFRESHING: {
        _E.GOT: _S.VALID,
        _E.FAILED: _S.AGING,
        _E.REFUSED: _S.STOPPED,
        _E.EXPIRED: _S.ASKING,
        _E.REJECTED: _S.ASKING,
    },
    _S.STOPPED: {_E.REJECTED: _S.STOPPED},
}


class TokenKeeper:
    """Knows whether to use, ask for or wait for a token; times are wall time."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._machine = Machine(TOKENS, TokenState.NONE)
        self._token: Token | None = None
        self._rejected: Secret | None = None
        self._asked_ns: int | None = None
        self.failure: KisError | None = None

    @property
    def state(self) -> TokenState:
        """Return the present state."""
        return self._machine.state

    def token(self, now_ns: int) -> Secret | None:
        """Return a token to use now, None while there is none."""
        self._look_at_clock(now_ns)
        return None if self._token is None else self._token.text

    def should_ask(self, now_ns: int) -> bool:
        """Tell whether to ask now, and count it: look into the cache first, then ask KIS.

        Answer with ``got``, ``failed`` or, where the cache held one, ``got``.
        """
        self._look_at_clock(now_ns)
        if not self._machine.takes(_E.ASK) or now_ns < self.ask_at(now_ns):
            return False
        self._machine.on(_E.ASK)
        self._asked_ns = now_ns
        return True

    def ask_at(self, now_ns: int) -> int:
        """Return the earliest time of the next question."""
        if self._asked_ns is None:
            return now_ns
        return max(now_ns, self._asked_ns + self._limits.token_spacing_ns)

    def got(self, token: Token, now_ns: int) -> bool:
        """Take a token in; False where it is the one KIS rejected, or over already."""
        if token.text == self._rejected or token.expires_ns <= now_ns:
            if self._machine.takes(_E.FAILED):
                self._machine.on(_E.FAILED)
            return False
        if self._machine.takes(_E.GOT):
            self._machine.on(_E.GOT)
            self._token = token
        return True

    def failed(self, error: KisError) -> None:
        """Take in that no token came; errors that people must act on end it."""
        if isinstance(error, Stop) and self._machine.takes(_E.REFUSED):
            self.failure = error
            self._machine.on(_E.REFUSED)
            self._token = None
        elif self._machine.takes(_E.FAILED):
            self._machine.on(_E.FAILED)

    def rejected(self, text: Secret) -> None:
        """Take in that KIS rejected a request's token; late news about an older one is ignored."""
        if self._token is not None and text != self._token.text:
            return
        self._rejected = text
        self._token = None
        self._machine.on(_E.REJECTED)

    def _look_at_clock(self, now_ns: int) -> None:
        if self._token is not None and now_ns >= self._token.expires_ns:
            self._token = None
            self._machine.on(_E.EXPIRED)
        elif (
            self._token is not None
            and self.state is _S.VALID
            and now_ns >= self._token.expires_ns - self._limits.token_refresh_ns
        ):
            self._machine.on(_E.AGED)
        if self.state is _S.HELD and now_ns >= self.ask_at(now_ns):
            self._machine.on(_E.DUE)
