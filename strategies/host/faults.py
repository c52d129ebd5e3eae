"""Words for what went wrong in a decider: one line each, with the place in its source.

Rule: nothing here can raise or make a text that cannot be stored.
"""

TEXT_MAX = 300


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
