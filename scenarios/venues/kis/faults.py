"""Faults on command and by schedule: what the venue does wrong, how often and to whom.

Rule: a fault is armed once and used up by the events it matches, oldest first; without an event
it waits. Which events match is a text contained in what happens (a path, TR id, code or number).
"""

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from scenarios.venues.kis.market_time import SECOND_NS
from strategies.errors import BadInput


class FaultKind(StrEnum):
    """Everything that can go wrong."""

    LOST_REQUEST = "lost_request"
    LOST_REPLY = "lost_reply"
    LATE_REPLY = "late_reply"
    GARBAGE_REPLY = "garbage_reply"
    HTTP_500 = "http_500"
    UNKNOWN_OUTCOME = "unknown_outcome"
    EARLY_LIMIT = "early_limit"
    LEDGER_BUSY = "ledger_busy"
    EMPTY_ANSWER = "empty_answer"
    REFUSED_ORDER = "refused_order"
    REJECTED_ORDER = "rejected_order"
    TOKEN_EXPIRY = "token_expiry"  # noqa: S105 - the name of a fault
    DROPPED_SOCKET = "dropped_socket"
    SILENT_SOCKET = "silent_socket"
    NO_PINGPONG = "no_pingpong"
    LOST_ACK = "lost_ack"
    LOST_NOTICE = "lost_notice"
    LATE_NOTICE = "late_notice"
    DUPLICATE_NOTICE = "duplicate_notice"
    LOST_FRAME = "lost_frame"
    MALFORMED_FRAME = "malformed_frame"
    TRUNCATED_FRAME = "truncated_frame"
    WIDENED_FRAME = "widened_frame"
    NARROWED_FRAME = "narrowed_frame"
    VI = "vi"
    HALT = "halt"
    RESUME = "resume"
    CIRCUIT_BREAKER = "circuit_breaker"


AT_ONCE = frozenset(
    {
        *(FaultKind.TOKEN_EXPIRY, FaultKind.DROPPED_SOCKET, FaultKind.SILENT_SOCKET),
        *(FaultKind.VI, FaultKind.HALT, FaultKind.RESUME, FaultKind.CIRCUIT_BREAKER),
    }
)
"""These happen when they are armed; all others wait for an event to spoil."""


KEYS: dict[str, type] = {
    "kind": str,
    "count": int,
    "every": int,
    "seconds": float,
    "match": str,
    "after_s": int,
    "at": str,
}
"""Keys of a fault as it is written in files and sent to the admin page."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: ``count`` events that contain ``match`` are spoiled, one in ``every``.

    ``seconds`` is how long a delay or silence lasts (wall time; VI and circuit breaker: market
    time). Scheduled ``after_s`` wall seconds from the server's start, or ``at`` HHMMSS of the
    market; with neither it is armed at the start.
    """

    kind: FaultKind
    count: int = 1
    seconds: float = 0
    match: str = ""
    after_s: int = 0
    at: str = ""
    every: int = 1


@dataclass(slots=True)
class FaultBoard:
    """Armed faults, and a count of those that struck."""

    armed: list[Fault] = field(default_factory=list)
    struck: dict[str, int] = field(default_factory=dict)
    _passed: Counter[tuple[FaultKind, str]] = field(default_factory=Counter)

    def arm(self, fault: Fault) -> None:
        """Let a fault wait for its events."""
        self.armed.append(fault)

    def take(self, kind: FaultKind, subject: str = "") -> Fault | None:
        """Use up one event's worth of the oldest armed fault that matches, if there is one."""
        for i, fault in enumerate(self.armed):
            if fault.kind is kind and fault.match in subject:
                if self._lets_pass(fault):
                    return None
                if fault.count > 1:
                    self.armed[i] = replace(fault, count=fault.count - 1)
                else:
                    del self.armed[i]
                self.note(kind)
                return fault
        return None

    def _lets_pass(self, fault: Fault) -> bool:
        """Count an event that a fault of one in many may spoil; True where it is not its turn."""
        if fault.every == 1:
            return False
        key = (fault.kind, fault.match)
        self._passed[key] += 1
        return self._passed[key] % fault.every != 0

    def note(self, kind: FaultKind) -> None:
        """Count a fault that struck."""
        self.struck[kind] = self.struck.get(kind, 0) + 1


@dataclass(slots=True)
class FaultSchedule:
    """Faults that have not come due."""

    faults: list[Fault]

    def due(self, passed_ns: int, time_of_day: str) -> list[Fault]:
        """Remove and return what is due, by wall ns since the start and market HHMMSS."""
        ready = [fault for fault in self.faults if _is_due(fault, passed_ns, time_of_day)]
        self.faults = [fault for fault in self.faults if fault not in ready]
        return ready


def _is_due(fault: Fault, passed_ns: int, time_of_day: str) -> bool:
    if fault.at:
        return time_of_day >= fault.at
    return passed_ns >= fault.after_s * SECOND_NS


def read_faults(path: Path) -> list[Fault]:
    """Read a TOML file of ``[[faults]]`` tables. Raises BadInput naming file, place and cure."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadInput(f"{path} cannot be read as TOML ({error}): correct the file.") from error
    tables = given.get("faults")
    if not isinstance(tables, list) or set(given) != {"faults"}:
        raise BadInput(f"{path} needs [[faults]] tables and nothing else: write one per fault.")
    return [parse_fault(table, f"{path}, fault {i}") for i, table in enumerate(tables, 1)]


def _whole(kind: type) -> type:
    """Return the type that may stand for another: a whole number for any number."""
    return int if kind is float else kind


def parse_fault(given: object, where: str) -> Fault:
    """Read one fault from a table. Raises BadInput where something in it is unknown."""
    if not isinstance(given, Mapping):
        raise BadInput(f"{where} is no table: give at least kind.")
    for key, value in given.items():
        if key not in KEYS or type(value) not in {KEYS[key], _whole(KEYS[key])}:
            raise BadInput(
                f"{where}: {key} = {value!r} is not understood; keys are "
                + ", ".join(f"{name} ({kind.__name__})" for name, kind in KEYS.items())
            )
    try:
        kind = FaultKind(given.get("kind", ""))
    except ValueError:
        kinds = ", ".join(FaultKind)
        raise BadInput(f"{where}: {given.get('kind')!r} is no fault; use one of {kinds}.") from None
    fault = Fault(**{**given, "kind": kind})
    at = fault.at.replace(":", "")
    if min(fault.count, fault.every) < 1 or min(fault.seconds, fault.after_s) < 0:
        raise BadInput(
            f"{where}: count and every must be at least 1, seconds and after_s at least 0."
        )
    if at and (len(at) != 6 or not at.isdigit()):
        raise BadInput(f"{where}: at = {fault.at!r} is no time like 10:05:00 (Seoul).")
    return replace(fault, at=at)
