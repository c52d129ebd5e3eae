"""Reads when a frame was received, as recorders write it: in front of the frame or in its record.

Rule: an epoch in any usual unit is told by its size, a date and time without a zone is the zone's
that is given; what is no time of a recording is none.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

NAMES = (
    *("received_ns", "recv_ns", "ts_ns", "received_at", "received", "recv_ts", "recv_time"),
    *("local_timestamp", "local_ts", "ts", "timestamp", "time"),
)
"""Names that a record may give the receive time, tried in this order."""

_SCALES = ((10**11, 10**9), (10**14, 10**6), (10**17, 1_000))  # seconds, ms, us; else ns
_EARLIEST_NS = 631_152_000 * 10**9
_LATEST_NS = 7_258_118_400 * 10**9
"""1990 and 2200: a number outside is a date, a count or a price."""


def received_in(record: Mapping[str, Any], zone: str = "UTC") -> int | None:
    """Return the receive time that a record of a frame tells, UTC ns."""
    found = (time_ns(str(record[name]), zone) for name in NAMES if name in record)
    return next((each for each in found if each is not None), None)


def time_ns(text: str, zone: str = "UTC") -> int | None:
    """Return a time as UTC ns, None where the text is none."""
    whole, _, rest = text.strip().partition(".")
    if not (whole.isascii() and whole.isdigit()):
        return _moment_ns(text, zone)
    if rest and not (rest.isascii() and rest.isdigit()):
        return None
    scale = next((by for top, by in _SCALES if int(whole) < top), 1)
    stamp = int(whole) * scale
    if rest:
        stamp += int(rest[:9].ljust(9, "0")) * scale // 10**9
    return stamp if _EARLIEST_NS < stamp < _LATEST_NS else None


def _moment_ns(text: str, zone: str) -> int | None:
    if "-" not in text or ":" not in text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
    whole = aware.replace(microsecond=0)
    stamp = int(whole.timestamp()) * 10**9 + aware.microsecond * 1_000
    return stamp if _EARLIEST_NS < stamp < _LATEST_NS else None
