"""Counting in wall time: requests per second, tokens, approval keys.

Rule: one window per appkey; a refused request does not count. Whether KIS's second slides is not
documented; a sliding one is the stricter reading.
"""

from collections import deque
from dataclasses import dataclass, field

from scenarios.venues.kis.cipher import secret_text
from scenarios.venues.kis.market_time import SECOND_NS
from scenarios.venues.kis.personality import Limits


class RequestWindow:
    """At most ``limit`` requests in any ``window_ns``."""

    def __init__(self, limit: int, window_ns: int = SECOND_NS) -> None:
        self._limit = limit
        self._window_ns = window_ns
        self._taken: deque[int] = deque()

    def take(self, wall_ns: int) -> bool:
        """Count a request and say whether it is within the limit."""
        while self._taken and self._taken[0] <= wall_ns - self._window_ns:
            self._taken.popleft()
        if len(self._taken) >= self._limit:
            return False
        self._taken.append(wall_ns)
        return True


@dataclass(slots=True)
class Token:
    """One access token; ``until_ns`` is its end in wall time."""

    text: str
    app_key: str
    issued_ns: int
    until_ns: int


@dataclass(slots=True)
class TokenDesk:
    """Issues access tokens: the same one for six hours, at most one issue a minute."""

    limits: Limits
    tokens: dict[str, Token] = field(default_factory=dict)
    _last: dict[str, Token] = field(default_factory=dict)
    _asked_ns: dict[str, int] = field(default_factory=dict)
    _issued: int = 0

    def issue(self, app_key: str, wall_ns: int) -> Token | None:
        """Return a token, or None where one was issued less than a minute ago (EGW00133)."""
        asked = self._asked_ns.get(app_key)
        if asked is not None and wall_ns - asked < self.limits.token_spacing_s * SECOND_NS:
            return None
        self._asked_ns[app_key] = wall_ns
        last = self._last.get(app_key)
        if last is not None and last.text in self.tokens and self._is_fresh(last, wall_ns):
            return last
        self._issued += 1
        text = f"eyJ0eXAi.{secret_text(120, app_key, wall_ns, self._issued)}.simulated"
        until = wall_ns + self.limits.token_life_s * SECOND_NS
        token = Token(text, app_key, wall_ns, until)
        self.tokens[text] = self._last[app_key] = token
        return token

    def check(self, text: str, wall_ns: int) -> str:
        """Return an empty text for a valid token, else the gateway's code."""
        token = self.tokens.get(text)
        if token is None:
            return "EGW00121"
        return "EGW00123" if wall_ns >= token.until_ns else ""

    def revoke(self, text: str) -> bool:
        """Forget a token; False where it is unknown."""
        return self.tokens.pop(text, None) is not None

    def expire_all(self, wall_ns: int) -> None:
        """End every token at once, and let each client fetch a new one."""
        for token in self.tokens.values():
            token.until_ns = min(token.until_ns, wall_ns)
        self._asked_ns.clear()

    def _is_fresh(self, token: Token, wall_ns: int) -> bool:
        age_ns = wall_ns - token.issued_ns
        return wall_ns < token.until_ns and age_ns < self.limits.token_same_s * SECOND_NS


@dataclass(slots=True)
class ApprovalDesk:
    """Issues approval keys for sockets; a key is valid for 24 hours from its issue."""

    life_s: int = 86_400
    _keys: dict[str, tuple[str, int]] = field(default_factory=dict)

    def issue(self, app_key: str, wall_ns: int) -> str:
        """Return a new key, shaped like a UUID."""
        raw = secret_text(32, "approval", app_key, wall_ns, len(self._keys))
        key = "-".join((raw[:8], raw[8:12], raw[12:16], raw[16:20], raw[20:]))
        self._keys[key] = (app_key, wall_ns + self.life_s * SECOND_NS)
        return key

    def app_key_of(self, key: str, wall_ns: int) -> str | None:
        """Return whose key this is, None where it is unknown or expired (OPSP0011)."""
        app_key, until_ns = self._keys.get(key, ("", 0))
        return app_key if wall_ns < until_ns else None
