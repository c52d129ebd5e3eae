"""The shape of REST answers: code and text in the body, every scalar a text, texts padded.

Rule: success and failure are told in the body; a gateway's refusal comes with HTTP 500, an OAuth
error with HTTP 403 and keys of its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

TEXT_WIDTH = 80
CONTEXT_WIDTH = 100

type Row = dict[str, str]


@dataclass(slots=True)
class Reply:
    """One HTTP answer. ``text`` replaces the body; ``is_lost`` closes the connection instead."""

    status: int
    body: dict[str, object]
    headers: dict[str, str] = field(default_factory=dict)
    text: str | None = None
    delay_s: float = 0
    is_lost: bool = False

    @property
    def code(self) -> str:
        """Return the code in the body."""
        return str(self.body.get("msg_cd") or self.body.get("error_code") or "")


@dataclass(frozen=True, slots=True)
class Page:
    """A page of rows: its ``tr_cont`` header and the context that asks for the next one."""

    rows: list[Row]
    continues: str
    context: str


class InputError(Exception):
    """A field of a request is missing or not allowed; ``field`` names it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.field = name


def good(code: str, text: str, outputs: Mapping[str, object], tr_cont: str = "") -> Reply:
    """Return a successful answer with its outputs."""
    body = {"rt_cd": "0", "msg_cd": code, "msg1": text.ljust(TEXT_WIDTH), **outputs}
    return Reply(200, body, {"tr_cont": tr_cont})


def failed(code: str, text: str, rt_cd: str = "1", status: int = 200) -> Reply:
    """Return a refusal of the order system or of the gateway (then with HTTP 500)."""
    return Reply(status, {"rt_cd": rt_cd, "msg_cd": code, "msg1": text.ljust(TEXT_WIDTH)})


def gateway(code: str, text: str) -> Reply:
    """Return a gateway's refusal, whose text is not padded."""
    return Reply(500, {"rt_cd": "1", "msg_cd": code, "msg1": text})


def unauthorized(code: str, text: str) -> Reply:
    """Return an OAuth error."""
    return Reply(403, {"error_code": code, "error_description": text})


def needed(given: Mapping[str, str], name: str) -> str:
    """Return a field of a request. Raises InputError where it is missing or empty."""
    value = given.get(name, "").strip()
    if not value:
        raise InputError(name)
    return value


def whole(given: Mapping[str, str], name: str, default: str = "") -> int:
    """Return a field as a whole number. Raises InputError where it is none."""
    value = given.get(name, "").strip() or default
    if not (value.isascii() and value.isdigit()):
        raise InputError(name)
    return int(value)


def page_of(rows: Sequence[Row], size: int, tr_cont: str, context: str) -> Page:
    """Cut a page: the first one unless ``tr_cont`` is N and the context says where to go on.

    The last page's context is not empty: the header decides.
    """
    given = context.strip()
    start = int(given) if tr_cont == "N" and given.isdigit() else 0
    part = list(rows[start : start + size])
    going_on, ended = ("M", "E") if start else ("F", "D")
    continues = going_on if start + size < len(rows) else ended
    return Page(part, continues, str(start + len(part)).ljust(CONTEXT_WIDTH))
