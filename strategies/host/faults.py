"""What becomes of a run when a strategy fails, and words for it: one line, with the place in its
source.

Rule: nothing here can raise or make a text that cannot be stored.
"""

import re
from enum import StrEnum

TEXT_MAX = 300
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")


class OnDeciderFailure(StrEnum):
    """STOP ends the run; ISOLATE asks that strategy nothing more and goes on with the others."""

    STOP = "stop"
    ISOLATE = "isolate"


def reproducible(text: str) -> str:
    """Return text without addresses of objects, which differ from process to process."""
    return _ADDRESS.sub("0x...", text)


def one_line(text: str) -> str:
    """Return text on one line, storable and of readable length."""
    whole = " ".join(text.encode("utf-8", "backslashreplace").decode().split())
    return whole if len(whole) <= TEXT_MAX else whole[:TEXT_MAX] + " ..."


def place_of(error: BaseException, module: str) -> str:
    """Return "(file, line) " of the innermost frame of a module; empty where it has none."""
    found = ""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__") == module:
            file = trace.tb_frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
            found = f"({file}, line {trace.tb_lineno}) "
        trace = trace.tb_next
    return found
