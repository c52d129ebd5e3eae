"""What can go wrong at KIS, as one tree split by what the caller does next.

KisError
|-- Retry                 ask again after ``wait_ns``, if the request changes nothing
|   |-- RateRefused           EGW00201: this appkey was too fast; all requests wait
|   |-- LedgerBusy            EGW00215: the ledger all customers share is full; account queries wait
|   |-- TokenTooSoon          EGW00133: one token a minute; only the token waits
|   |-- SessionInUse          OPSP8996: another session (or our own dead one) holds the appkey
|   `-- VenueBusy             temporary failures of gateway, routing or ledger
|       `-- NotSent               nothing left for KIS: an order is surely not placed
|-- Reauthenticate        throw the credential away, get a new one once, ask again
|   |-- TokenRejected         EGW00121, EGW00122, EGW00123
|   `-- ApprovalRejected      OPSP0011
|-- OrderRefused          tell the decider: the venue said no, nothing was placed
|-- OutcomeUnknown        ask the order list: the order may or may not be placed; never send again
|-- RequestRefused        we asked nonsense: fix the request; nothing was changed
|-- ProtocolError         KIS sent what the protocol does not know: count, keep the bytes, go on
|   |-- MalformedFrame        a WebSocket message that cannot be read
|   |   `-- UnknownTr             a data frame of a TR without a field table
|   |-- BadRecord             one record of a readable frame holds an impossible value
|   `-- MalformedAnswer       a REST body that cannot be read
|-- IllegalTransition     our own machine was told what cannot happen in its state: stop
`-- Stop                  the node stops: people must act
    |-- WrongEnvironment      EGW00213, EGW02004: real keys at the mock servers, or the reverse
    |-- BadCredentials        appkey, appsecret, account or HTS id are not accepted
    `-- NotPermitted          the appkey may not do this, or its registration has expired
"""

from strategies.errors import RunFailed

MS = 1_000_000
SECOND = 1_000_000_000


class KisError(RunFailed):
    """Root of the adapter's errors; ``code`` is KIS's code, empty where there is none."""

    def __init__(self, sentence: str, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code


class Retry(KisError):
    """Ask again after ``wait_ns``, provided the request changes nothing."""

    wait_ns = 500 * MS


class RateRefused(Retry):
    """This appkey asked too often within a second."""

    wait_ns = 100 * MS


class LedgerBusy(Retry):
    """The ledger that all customers share refused an account query."""

    wait_ns = SECOND


class TokenTooSoon(Retry):
    """A second token within a minute."""

    wait_ns = 60 * SECOND


class SessionInUse(Retry):
    """Another WebSocket session holds this appkey."""

    wait_ns = 5 * SECOND


class VenueBusy(Retry):
    """A temporary failure at KIS."""


class NotSent(VenueBusy):
    """No byte of the request left: nothing was placed or changed."""


class Recalled(NotSent):
    """The request was taken back while it waited for its turn."""


class Reauthenticate(KisError):
    """Replace the credential once, then ask again."""


class TokenRejected(Reauthenticate):
    """The access token is expired or unknown."""


class ApprovalRejected(Reauthenticate):
    """The WebSocket approval key is expired, unknown or of the other servers."""


class OrderRefused(KisError):
    """The order system refused; nothing was placed."""


class OutcomeUnknown(KisError):
    """Whether the order was placed is not known."""


class RequestRefused(KisError):
    """The request itself was wrong; nothing was changed."""


class ProtocolError(KisError):
    """KIS sent what the protocol does not know."""


class MalformedFrame(ProtocolError):
    """A WebSocket message that cannot be read."""


class UnknownTr(MalformedFrame):
    """A data frame of a TR without a field table."""


class BadRecord(ProtocolError):
    """One record holds an impossible value."""


class MalformedAnswer(ProtocolError):
    """A REST body that cannot be read."""


class IllegalTransition(KisError):
    """A state machine was told what cannot happen in its state."""


class Stop(KisError):
    """The node has to stop; people must act."""


class WrongEnvironment(Stop):
    """Keys, host and TR ids belong to different environments."""


class BadCredentials(Stop):
    """KIS does not accept the appkey, its secret, the account or the HTS id."""


class NotPermitted(Stop):
    """The appkey may not do this, or its yearly registration has expired."""


_GATEWAY: dict[str, tuple[type[KisError], str]] = {
    "EGW00001": (VenueBusy, "the gateway had a temporary failure"),
    "EGW00002": (VenueBusy, "the gateway had a server failure"),
    "EGW00003": (NotPermitted, "access was refused: check the appkey's rights at KIS"),
    "EGW00004": (NotPermitted, "no permission: check the appkey's rights at KIS"),
    "EGW00102": (BadCredentials, "the appkey is missing: set ONETAPE_KIS_APP_KEY"),
    "EGW00103": (
        BadCredentials,
        "KIS does not know the appkey: check ONETAPE_KIS_APP_KEY, and at KIS Developers whether "
        "its registration of one year has expired",
    ),
    "EGW00104": (BadCredentials, "the secret is missing: set ONETAPE_KIS_APP_SECRET"),
    "EGW00105": (BadCredentials, "KIS does not accept the secret: check ONETAPE_KIS_APP_SECRET"),
    "EGW00121": (TokenRejected, "the token is not valid"),
    "EGW00122": (TokenRejected, "the token is unknown"),
    "EGW00123": (TokenRejected, "the token has expired"),
    "EGW00131": (RequestRefused, "the hash of the body is wrong"),
    "EGW00132": (RequestRefused, "the content type is wrong"),
    "EGW00133": (TokenTooSoon, "a token was asked for twice within a minute"),
    "EGW00201": (RateRefused, "too many requests within a second"),
    "EGW00202": (VenueBusy, "the gateway could not route the request"),
    "EGW00203": (VenueBusy, "the gateway could not reach the order system"),
    "EGW00205": (RequestRefused, "the authorization header lacks its Bearer"),
    "EGW00213": (WrongEnvironment, "this TR does not belong to this environment"),
    "EGW00215": (LedgerBusy, "too many account queries of all customers within a second"),
    "EGW00316": (VenueBusy, "the query failed at KIS"),
    "EGW02004": (WrongEnvironment, "keys, host and TR ids are of different environments"),
}
_WRONG_ENVIRONMENT = "set ONETAPE_KIS_ENV to the environment the appkey was issued for"


_REGISTRATION = "renew its registration at KIS Developers, which lasts one year, or ask for rights"


def _ranged(code: str) -> tuple[type[KisError], str] | None:
    """Return the reading of codes that the documentation lists as ranges."""
    if not (code.startswith("EGW") and code[3:].isdecimal()):
        return None
    number = int(code[3:])
    if 101 <= number <= 132:
        return BadCredentials, "KIS does not accept the appkey or its secret: check both settings"
    if 206 <= number <= 210:
        return NotPermitted, "this appkey may not use the API: " + _REGISTRATION
    if 300 <= number <= 399:
        return VenueBusy, "the request was lost between gateway and ledger"
    return VenueBusy, "the gateway refused with a code that is not documented"


def _expired(code: str, text: str, *, changes: bool) -> tuple[type[KisError], str] | None:
    """Return the reading of a text that speaks of an end, under whatever code; tokens have theirs.

    The code of a registration that has expired is not published. Time that has run out between
    gateway and ledger is told with the same word: no order is called refused by a text alone.
    """
    if changes or code.startswith("EGW003"):
        return None
    if any(word in text for word in ("만료", "해지")):
        return NotPermitted, "the registration has ended: " + _REGISTRATION
    return None


OPS_QUERY: dict[str, tuple[type[KisError], str]] = {
    "OPSQ0002": (RequestRefused, "no such service"),
    "OPSQ1002": (VenueBusy, "the order system has no session left"),
    "OPSQ2000": (
        BadCredentials,
        "the account is not bound to this appkey: check ONETAPE_KIS_ACCOUNT",
    ),
    "OPSQ2001": (RequestRefused, "a field of the request is not accepted"),
    "OPSQ2002": (RequestRefused, "a field of the request has a wrong length"),
}


def gateway_error(code: str, text: str, *, changes: bool) -> KisError:
    """Return the error of a refusal by gateway or order system.

    ``changes`` says that the request would have placed or changed an order: then a failure
    behind the gateway's door leaves the outcome unknown, while refusals at the door do not.
    """
    kind, why = (
        _GATEWAY.get(code)
        or OPS_QUERY.get(code)
        or _expired(code, text, changes=changes)
        or _ranged(code)
        or (VenueBusy, "KIS refused with a code that is not documented")
    )
    if changes and kind is VenueBusy:
        return OutcomeUnknown(f"KIS answered {code} to an order: {why}; its fate is asked.", code)
    if kind is WrongEnvironment:
        why = f"{why}; {_WRONG_ENVIRONMENT}"
    return kind(f"KIS answered {code or 'a failure without a code'} ({text}): {why}.", code)
