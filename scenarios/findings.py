"""What the doctor says of one thing."""

from dataclasses import dataclass
from enum import StrEnum

LIVE = "live scenario"
"""What the finding about a scenario at its venue is called."""


class State(StrEnum):
    """How a thing is: only FAIL makes the doctor's exit code 1."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing, how it is, what was found, and what to do where it is not ok."""

    what: str
    state: State
    found: str
    advice: str = ""
