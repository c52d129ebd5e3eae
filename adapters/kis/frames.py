"""WebSocket messages from KIS: text in; a frame, an answer, a ping or "need more" out.

Rule: any input gives one of these values or raises MalformedFrame, nothing else. Nothing here
knows what a column means. An envelope is ``flag|TR id|count|payload``: all fields of all records
joined by ``^`` without a mark between records. Source: KIS's sample repository, 2026-07-09.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
import orjson
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from adapters.kis.errors import MalformedFrame, UnknownTr
from adapters.kis.fields import LAYOUTS, Layout, layout_for

FRAME_BYTES = 512 * 1024

type Record = list[str]


@dataclass(frozen=True, slots=True)
class WidthChange:
    """Records of a TR have a width not seen before; ``raw`` is the first such message."""

    tr_id: str
    before: int
    width: int
    raw: str = field(repr=False)


class Frame(msgspec.Struct, frozen=True):
    """The records of one data message, each at least as wide as ``layout.least``."""

    layout: Layout
    width: int
    records: list[Record]
    encrypted: bool
    width_change: WidthChange | None = None


class Ack(StrEnum):
    """What an answer says about a registration or the session."""

    REGISTERED = "registered"
    UNREGISTERED = "unregistered"
    ALREADY = "already"
    NOT_FOUND = "not_found"
    FULL = "full"
    LATER = "later"
    APPROVAL = "approval"
    IN_USE = "in_use"
    CREDENTIALS = "credentials"
    REFUSED = "refused"


ACKS: dict[str, Ack] = {
    "OPSP0000": Ack.REGISTERED,
    "OPSP0001": Ack.UNREGISTERED,
    "OPSP0002": Ack.ALREADY,
    "OPSP0003": Ack.NOT_FOUND,
    "OPSP0007": Ack.LATER,
    "OPSP0008": Ack.FULL,
    "OPSP0009": Ack.LATER,
    "OPSP0010": Ack.CREDENTIALS,
    "OPSP0011": Ack.APPROVAL,
    "OPSP0017": Ack.CREDENTIALS,
    "OPSP8994": Ack.CREDENTIALS,
    "OPSP8995": Ack.CREDENTIALS,
    "OPSP8996": Ack.IN_USE,
    "OPSP8999": Ack.LATER,
    "OPSP9993": Ack.LATER,
    "OPSP9994": Ack.CREDENTIALS,
    "OPSP9995": Ack.LATER,
    "OPSP9996": Ack.CREDENTIALS,
}
"""Codes with a meaning of their own; every other code refuses the message it answers. Source:
portal workbook, error-code sheet, 2026-09-11."""


@dataclass(frozen=True, slots=True)
class Control:
    """KIS's answer to a registration message, or its word about the session."""

    ack: Ack
    tr_id: str
    tr_key: str
    code: str
    text: str
    key: str = field(default="", repr=False)
    iv: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class PingPong:
    """KIS asks whether we live: ``reply`` goes back as it came."""

    reply: str


class Lack(StrEnum):
    """What is missing before a message can be read."""

    REST = "rest"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class NeedMore:
    """The beginning of a message, or one whose key has not come: keep ``raw`` and ask again.

    WebSocket messages arrive whole, so that REST means a truncated one.
    """

    lack: Lack
    tr_id: str
    raw: str = field(repr=False)


type Message = Frame | Control | PingPong | NeedMore

_HEAD_SO_FAR = re.compile(r"[01](\|[A-Z0-9]{0,9}(\|[0-9]{0,4})?)?")


class Decoder:
    """Reads the messages of one connection; keys and widths are what it remembers."""

    def __init__(
        self,
        known_widths: Mapping[str, tuple[int, ...]] | None = None,
        frame_bytes: int = FRAME_BYTES,
    ) -> None:
        self._frame_bytes = frame_bytes
        self._ciphers: dict[str, Cipher[CBC]] = {}
        self._widths: dict[str, int] = {}
        self._known = {
            tr_id: (*layout.known, *(known_widths or {}).get(tr_id, ()))
            for tr_id, layout in LAYOUTS.items()
        }
        self._reported: set[tuple[str, int]] = set()

    def decode(self, message: str | bytes) -> Message:
        """Read one message. Raises MalformedFrame (or UnknownTr)."""
        text = message if isinstance(message, str) else _utf8(message)
        if len(text) > self._frame_bytes:
            raise MalformedFrame(f"A message of {len(text)} characters is longer than any of KIS.")
        first = text[:1]
        if first == "0" or first == "1":  # noqa: PLR1714 - half the time of a set, per message
            return self._data(text)
        if first == "{":
            return self._control(text)
        if not first:
            return NeedMore(Lack.REST, "", text)
        raise MalformedFrame(f"A message begins with {first!r}: neither data nor an answer.")

    def forget_keys(self) -> None:
        """Drop the keys of a closed connection; the next registration brings new ones."""
        self._ciphers.clear()

    def _data(self, text: str) -> Frame | NeedMore:
        parts = text.split("|", 3)
        if len(parts) < 4 or not parts[3]:
            return _unfinished(text, parts)
        flag, tr_id, count_text, payload = parts
        if tr_id not in LAYOUTS:
            raise UnknownTr(f"A frame of {tr_id[:12]!r} came, which has no field table.")
        count = int(count_text) if _is_count(count_text) else 0
        if len(flag) != 1 or not count:
            raise MalformedFrame(f"A frame of {tr_id} has no readable head: {_head(parts)!r}.")
        if flag == "1":
            cipher = self._ciphers.get(tr_id)
            if cipher is None:
                return NeedMore(Lack.KEY, tr_id, text)
            payload = _decrypt(cipher, tr_id, payload)
        values = payload.split("^")
        width, rest = divmod(len(values), count)
        if rest == 1 and not values[-1]:
            values.pop()
        elif rest:
            raise MalformedFrame(f"A frame of {tr_id}: {len(values)} fields for {count} records.")
        layout = layout_for(tr_id, width)
        if layout is None:
            raise MalformedFrame(f"A frame of {tr_id} with {width} fields: too narrow to be read.")
        change = None
        if self._widths.get(tr_id) != width:
            change = self._width_changed(layout, width, text)
        records = (
            [values]
            if count == 1
            else [values[i : i + width] for i in range(0, width * count, width)]
        )
        return Frame(layout, width, records, flag == "1", change)

    def _width_changed(self, layout: Layout, width: int, raw: str) -> WidthChange | None:
        """Note a width: a first one is news where it is unknown, a later one always; each once."""
        tr_id = layout.tr_id
        before = self._widths.get(tr_id)
        self._widths[tr_id] = width
        if before is None:
            is_news, before = width not in self._known[tr_id], self._known[tr_id][-1]
        else:
            is_news = True
        if not is_news or (tr_id, width) in self._reported:
            return None
        self._reported.add((tr_id, width))
        return WidthChange(tr_id, before, width, raw)

    def _control(self, text: str) -> Control | PingPong | NeedMore:
        try:
            message = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            if error.msg.startswith("unexpected end"):
                return NeedMore(Lack.REST, "", text)
            raise MalformedFrame(f"An answer is no JSON ({len(text)} characters).") from None
        header = _object(message, "header")
        if header.get("tr_id") == "PINGPONG":
            return PingPong(text)
        control = _read_control(header, _object(message, "body"))
        if control.key and control.ack in {Ack.REGISTERED, Ack.ALREADY}:
            self._ciphers[control.tr_id] = _cipher(control)
        return control


def _head(parts: list[str]) -> str:
    """Return what may be told of a message: from the payload on an HTS id can stand in it."""
    return "|".join(parts[:3])[:24]


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _utf8(message: bytes) -> str:
    try:
        return message.decode()
    except UnicodeDecodeError:
        raise MalformedFrame(f"A message of {len(message)} bytes is no UTF-8.") from None


def _unfinished(text: str, parts: list[str]) -> NeedMore:
    head = text[:-1] if len(parts) == 4 else text
    if _HEAD_SO_FAR.fullmatch(head):
        return NeedMore(Lack.REST, parts[1] if len(parts) > 2 else "", text)
    raise MalformedFrame(f"A message begins like data and is none ({len(text)} characters).")


def _decrypt(cipher: Cipher[CBC], tr_id: str, payload: str) -> str:
    """Return the text of a base64 AES-256-CBC payload with PKCS#7 padding."""
    try:
        sealed = b64decode(payload, validate=True)
        opened = cipher.decryptor()
        unpadder = PKCS7(128).unpadder()
        padded = opened.update(sealed) + opened.finalize()
        return (unpadder.update(padded) + unpadder.finalize()).decode()
    except (Base64Error, ValueError):
        raise MalformedFrame(f"An encrypted frame of {tr_id} cannot be opened.") from None


def _cipher(control: Control) -> Cipher[CBC]:
    return Cipher(AES(control.key.encode()), CBC(control.iv.encode()))


def _object(message: Any, name: str) -> dict[str, Any]:
    part = message.get(name) if isinstance(message, dict) else None
    if not isinstance(part, dict):
        raise MalformedFrame(f"An answer without a {name}.")
    return part


def _read_control(header: dict[str, Any], body: dict[str, Any]) -> Control:
    code = _text(body, "msg_cd")
    if not code:
        raise MalformedFrame("An answer without a msg_cd.")
    output = body.get("output")
    output = output if isinstance(output, dict) else {}
    key, iv = _text(output, "key"), _text(output, "iv")
    if key and (len(key.encode()) != 32 or len(iv.encode()) != 16):
        raise MalformedFrame("An answer whose key is not 32 or whose iv is not 16 bytes long.")
    return Control(
        ack=ACKS.get(code, Ack.REFUSED),
        tr_id=_text(header, "tr_id"),
        tr_key=_text(header, "tr_key").strip(),
        code=code,
        text=_text(body, "msg1").strip()[:200],
        key=key,
        iv=iv,
    )


def _text(part: dict[str, Any], name: str) -> str:
    """Return a text field, empty where it is missing or null."""
    value = part.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedFrame(f"An answer whose {name} is no text.")
    return value
