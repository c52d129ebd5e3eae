"""REST answers to values: the body decides, whatever the HTTP status says.

Rule: bytes in; a frozen value out or an error of the tree. KIS sends every scalar as text, often
padded or empty, with keys in either case; ``rt_cd`` "0" is success, OAuth services know no rt_cd
and fail with ``error_code``. An answer to an order that cannot be read leaves it unknown.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson
from nautilus_trader.model import OrderSide

from adapters.kis.config import Secret
from adapters.kis.errors import (
    BadRecord,
    LedgerBusy,
    MalformedAnswer,
    OrderRefused,
    OutcomeUnknown,
    RequestRefused,
    VenueBusy,
    gateway_error,
)
from adapters.kis.market import order_number
from adapters.kis.requests import Endpoint, Group
from adapters.kis.ticks import SECOND, Seconds

NOTHING_TO_SHOW = "KIOK0560"
NO_SUCH_METHOD = 501
"""HTTP status of a server that has no use for what KIS is asked: it is another one."""
CONTINUES = frozenset({"F", "M"})
"""``tr_cont`` of an answer with more pages; D, E and empty are the last. The header decides: the
last page may still carry a context."""

type Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A success. ``outputs`` holds the rows of each ``output...`` by its name in lower case.

    ``context`` goes with the request for the next page. ``doubtful`` marks the "nothing to show"
    that arrives as a failure: it proves nothing without a second question.
    """

    endpoint: Endpoint
    code: str
    text: str
    outputs: Mapping[str, tuple[Row, ...]]
    fields: Row = field(repr=False)
    more: bool
    context: Mapping[str, str] = field(repr=False)
    doubtful: bool = False

    def rows(self, name: str = "output") -> tuple["Columns", ...]:
        """Return the rows of one output, none where it is missing."""
        return tuple(Columns(self.endpoint.name, row) for row in self.outputs.get(name, ()))

    def one(self, name: str = "output") -> "Columns":
        """Return the only row of an output. Raises MalformedAnswer where there is none."""
        rows = self.rows(name)
        if not rows:
            raise MalformedAnswer(f"KIS's answer to {self.endpoint.name} holds no {name}.")
        return rows[0]


@dataclass(frozen=True, slots=True)
class Columns:
    """One row, read by KIS's column names in lower case; errors name the row's service."""

    service: str
    row: Row = field(repr=False)

    def text(self, *names: str) -> str:
        """Return the first of several spellings that is there, without padding."""
        for name in names:
            if name in self.row:
                return self.row[name].strip()
        return ""

    def number(self, *names: str) -> int:
        """Return a whole number; empty is 0 and a fraction of zeros is dropped."""
        value = self.decimal(*names)
        if value != value.to_integral_value():
            raise self._refused(names)
        return int(value)

    def decimal(self, *names: str) -> Decimal:
        """Return a decimal; empty is 0."""
        text = self.text(*names)
        if not text:
            return Decimal(0)
        try:
            value = Decimal(text)
        except InvalidOperation:
            raise self._refused(names) from None
        if not (value.is_finite() and text.isascii() and "_" not in text and len(text) <= 30):
            raise self._refused(names)
        if abs(value) >= 10**24:
            raise self._refused(names)
        return value

    def flag(self, *names: str) -> bool:
        """Return whether a column says Y."""
        return self.text(*names).upper() == "Y"

    def side(self, name: str) -> OrderSide:
        """Return the side that 01 (sell) or 02 (buy) names."""
        text = self.text(name)
        if text not in {"01", "02"}:
            raise self._refused((name,))
        return OrderSide.SELL if text == "01" else OrderSide.BUY

    def order_number(self, name: str) -> str:
        """Return an order number as ten digits, empty where there is none."""
        try:
            return order_number(self.text(name))
        except BadRecord:
            raise self._refused((name,)) from None

    def time(self, name: str, *, day: str = "20000101") -> str:
        """Return HHMMSS. ``day`` is only read together with it."""
        text = self.text(name).zfill(6)
        try:
            _SECONDS.at(day, text)
        except ValueError:
            raise self._refused((name,)) from None
        return text

    def day(self, name: str) -> str:
        """Return YYYYMMDD."""
        text = self.text(name)
        try:
            _SECONDS.at(text, "000000")
        except ValueError:
            raise self._refused((name,)) from None
        return text

    def code(self, *names: str) -> str:
        """Return a symbol's code."""
        text = self.text(*names)
        if not (text.isascii() and text.isalnum() and len(text) <= 12):
            raise self._refused(names)
        return text

    def _refused(self, names: tuple[str, ...]) -> MalformedAnswer:
        text = self.text(*names)[:20]
        return MalformedAnswer(f"KIS's answer to {self.service}: {names[0]} is {text!r}.")


_SECONDS = Seconds()


# --- any answer --------------------------------------------------------------------------------


def read(endpoint: Endpoint, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """Read an answer. Raises an error of the tree; see ``errors`` for what each asks for.

    ``headers`` are read without regard to case.
    """
    message = _message(endpoint, status, body)
    text = _scalar(message.get("msg1")).strip()
    if "error_code" in message:
        described = _scalar(message.get("error_description")).strip()
        raise gateway_error(_scalar(message["error_code"]), described, changes=endpoint.changes)
    if endpoint.group is Group.OAUTH and "rt_cd" not in message:
        if status >= 400:
            raise _unreadable(endpoint, status, "holds no error_code")
        return _answer(endpoint, message, {}, text)
    result, code = _scalar(message.get("rt_cd")), _scalar(message.get("msg_cd")).strip()
    if not result:
        raise _unreadable(endpoint, status, "holds no rt_cd")
    if result == "0":
        return _answer(endpoint, message, headers, text)
    if code == NOTHING_TO_SHOW and not endpoint.changes:
        return _answer(endpoint, message, {}, text, doubtful=True)
    raise _refusal(endpoint, code, text)


def lost(endpoint: Endpoint, how: str) -> VenueBusy | OutcomeUnknown:
    """Return the error of a request whose answer never came (``how``: "timed out", ...)."""
    if endpoint.changes:
        return OutcomeUnknown(f"The answer to {endpoint.name} {how}: its fate is asked.")
    return VenueBusy(f"The answer to {endpoint.name} {how}.")


def _refusal(endpoint: Endpoint, code: str, text: str) -> Exception:
    if code.startswith("EGW"):
        error = gateway_error(code, text, changes=endpoint.changes)
        if endpoint.changes and isinstance(error, LedgerBusy):
            return OutcomeUnknown(f"KIS answered {code} to an order: its fate is asked.", code)
        return error
    if code.startswith("OPSQ"):
        return gateway_error(code, text, changes=endpoint.changes)
    if endpoint.changes:
        if code.startswith(("APBK", "40")):
            return OrderRefused(f"KIS refused the order: {text} ({code}).", code)
        return OutcomeUnknown(f"KIS answered {code or 'no code'} ({text}): fate is asked.", code)
    return RequestRefused(f"KIS refused {endpoint.name}: {text} ({code}).", code)


def _message(endpoint: Endpoint, status: int, body: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise _unreadable(endpoint, status, "is no JSON") from None
    if not isinstance(message, dict):
        raise _unreadable(endpoint, status, "is no JSON object")
    return {name.lower(): value for name, value in message.items()}


def _unreadable(endpoint: Endpoint, status: int, why: str) -> Exception:
    if endpoint.changes:
        return OutcomeUnknown(f"The answer to {endpoint.name} {why}: its fate is asked.")
    if status >= 500 and status != NO_SUCH_METHOD:
        return VenueBusy(f"KIS answered {endpoint.name} with status {status} and no reason.")
    return MalformedAnswer(
        f"The answer to {endpoint.name} {why} (status {status}): check that "
        "ONETAPE_KIS_REST_URL is KIS's REST address."
    )


def _answer(
    endpoint: Endpoint,
    message: dict[str, Any],
    headers: Mapping[str, str],
    text: str,
    *,
    doubtful: bool = False,
) -> Answer:
    outputs = {
        name: _rows(endpoint, value) for name, value in message.items() if name.startswith("output")
    }
    fields = {name: _scalar(value) for name, value in message.items()}
    context = {
        name.upper(): value for name, value in fields.items() if name.startswith("ctx_area_")
    }
    continued = {name.lower(): value for name, value in headers.items()}.get("tr_cont", "")
    return Answer(
        endpoint=endpoint,
        code=fields.get("msg_cd", "").strip(),
        text=text,
        outputs=outputs,
        fields=fields,
        more=continued.strip() in CONTINUES,
        context=context,
        doubtful=doubtful,
    )


def _rows(endpoint: Endpoint, value: object) -> tuple[Row, ...]:
    if value is None or value == "":
        return ()
    rows = value if isinstance(value, list) else [value]
    texts = [_texts(row) for row in rows if isinstance(row, dict)]
    if len(texts) != len(rows):
        raise _unreadable(endpoint, 200, "holds an output that is no row")
    return tuple(row for row in texts if any(row.values()))


def _texts(row: dict[str, object]) -> Row:
    return {name.lower(): _scalar(value) for name, value in row.items()}


def _scalar(value: object) -> str:
    """Return KIS's text of a scalar; other servers may send true numbers."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or value is None:
        return {True: "Y", False: "N", None: ""}[value]
    return str(value) if isinstance(value, int | float) else ""


# --- OAuth -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and the wall time at which it ends."""

    text: Secret
    expires_ns: int


def token(answer: Answer, now_ns: int) -> Token:
    """Return the token of an answer received at ``now_ns`` (wall time).

    A repeated question within six hours brings the same token back: where the text of its end
    (Seoul time) is nearer than ``expires_in`` seconds, the text counts.
    """
    row = Columns("token", answer.fields)
    text, lasts = row.text("access_token"), row.number("expires_in")
    if not text or not 0 < lasts < 400 * 86_400:
        raise MalformedAnswer("KIS's answer to token holds no token with a lifetime.")
    end = now_ns + lasts * SECOND
    stated = _stated_end(row.text("access_token_token_expired"))
    if stated is not None and now_ns < stated < end:
        end = stated
    return Token(Secret(text), end)


def _stated_end(text: str) -> int | None:
    """Return the UTC nanoseconds of ``YYYY-MM-DD HH:MM:SS`` in Seoul, None where unreadable."""
    day, _, time = text.replace("-", "").replace(":", "").partition(" ")
    try:
        return _SECONDS.at(day, time)
    except ValueError:
        return None


def approval_key(answer: Answer) -> Secret:
    """Return the WebSocket's approval key."""
    text = Columns("approval", answer.fields).text("approval_key")
    if not text:
        raise MalformedAnswer("KIS's answer to approval holds no approval_key.")
    return Secret(text)


def hashkey(answer: Answer) -> str:
    """Return the hash of a body."""
    text = Columns("hashkey", answer.fields).text("hash")
    if not text:
        raise MalformedAnswer("KIS's answer to hashkey holds no HASH.")
    return text
