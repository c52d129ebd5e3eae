"""Control messages of the socket: requests as read, acknowledgements and PINGPONG as written.

Rule: reading never raises; what cannot be read is answered with KIS's own code.
"""

import json
from dataclasses import dataclass

from scenarios.venues.kis.market_time import hms, ymd

CODES: dict[str, tuple[str, str]] = {
    "OPSP0000": ("0", "SUBSCRIBE SUCCESS"),
    "OPSP0001": ("0", "UNSUBSCRIBE SUCCESS"),
    "OPSP0002": ("1", "ALREADY IN SUBSCRIBE"),
    "OPSP0003": ("1", "UNSUBSCRIBE ERROR(not found!)"),
    "OPSP0007": ("1", "SUBSCRIBE INTERNAL ERROR"),
    "OPSP0008": ("1", "MAX SUBSCRIBE OVER"),
    "OPSP0011": ("1", "invalid approval : NOT FOUND"),
    "OPSP8991": ("9", "invalid tr_id"),
    "OPSP8992": ("9", "invalid tr_key"),
    "OPSP8996": ("9", "ALREADY IN USE appkey"),
    "OPSP8997": ("9", "invalid tr_type"),
    "OPSP8998": ("9", "invalid custtype"),
    "OPSP9990": ("9", "tr_key not found"),
    "OPSP9991": ("9", "input not found"),
    "OPSP9992": ("9", "body not found"),
    "OPSP9997": ("9", "custtype not found"),
    "OPSP9998": ("9", "header not found"),
    "OPSP9999": ("9", "invalid json format"),
}
"""Code -> (rt_cd, text). rt_cd of the 899x and 999x family is confirmed for 8996 only."""


@dataclass(frozen=True, slots=True)
class Request:
    """One registration request; ``error`` is the code of what is wrong with it, else empty."""

    approval_key: str = ""
    tr_type: str = ""
    tr_id: str = ""
    tr_key: str = ""
    error: str = ""


def read_request(text: str) -> Request:
    """Read a client's message."""
    try:
        message = json.loads(text)
    except ValueError:
        return Request(error="OPSP9999")
    if not isinstance(message, dict):
        return Request(error="OPSP9999")
    header, body = message.get("header"), message.get("body")
    if not isinstance(header, dict):
        return Request(error="OPSP9998")
    if not isinstance(body, dict):
        return Request(error="OPSP9992")
    given = body.get("input")
    if not isinstance(given, dict):
        return Request(error="OPSP9991")
    tr_type, tr_id, tr_key = (
        str(part.get(name, "")).strip()
        for part, name in ((header, "tr_type"), (given, "tr_id"), (given, "tr_key"))
    )
    custtype = str(header.get("custtype", "")).strip()
    error = _wrong_part(custtype, tr_type, tr_key)
    return Request(str(header.get("approval_key", "")), tr_type, tr_id, tr_key, error)


def _wrong_part(custtype: str, tr_type: str, tr_key: str) -> str:
    """Return the code of the first thing that is wrong in a request, empty where nothing is."""
    if custtype not in {"P", "B"}:
        return "OPSP8998" if custtype else "OPSP9997"
    if tr_type not in {"1", "2"}:
        return "OPSP8997"
    return "" if tr_key else "OPSP9990"


def is_pong(text: str) -> bool:
    """Say whether a client's text is a PINGPONG sent back."""
    return text.startswith("{") and '"PINGPONG"' in text[:80]


def acknowledgement(
    code: str, request: Request, *, encrypted: bool = False, secret: tuple[str, str] | None = None
) -> str:
    """Return the answer to a request; ``secret`` is (key, iv) of a registration."""
    rt_cd, text = CODES[code]
    tr_id, tr_key = request.tr_id, request.tr_key
    if code == "OPSP8996":
        tr_id, tr_key = "(null)", ""
    body: dict[str, object] = {"rt_cd": rt_cd, "msg_cd": code, "msg1": text}
    if secret is not None:
        body["output"] = {"iv": secret[1], "key": secret[0]}
    header = {"tr_id": tr_id, "tr_key": tr_key, "encrypt": "Y" if encrypted else "N"}
    return _compact({"header": header, "body": body})


def pingpong(market_ns: int) -> str:
    """Return the venue's liveness message."""
    stamp = f"{ymd(market_ns)}{hms(market_ns)}"
    return _compact({"header": {"tr_id": "PINGPONG", "datetime": stamp}})


def _compact(message: object) -> str:
    return json.dumps(message, separators=(",", ":"))
