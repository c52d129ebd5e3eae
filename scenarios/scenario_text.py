"""Finds places in the text of a scenario file, so that an error can name the line.

Rule: knows TOML's table headers and key lines, nothing of what they mean.
"""

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*[A-Za-z0-9_"'-]+)*)\s*=""")

type Path = Sequence[str | int]


def line_of(text: str, path: Path) -> int | None:
    """Return the 1-based line of the key or table at ``path``, or of its nearest parent.

    ``path`` is like ("strategies", 1, "params", "fast"); None where nothing of it is found.
    """
    places = _places(text)
    for length in range(len(path), 0, -1):
        found = places.get(tuple(path[:length]))
        if found is not None:
            return found
    return None


def _places(text: str) -> dict[tuple[str | int, ...], int]:
    places: dict[tuple[str | int, ...], int] = {}
    counts: dict[tuple[str | int, ...], int] = {}
    table: tuple[str | int, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        header = _HEADER.match(line)
        if header:
            table = _table(header[2], counts, is_array=header[1] == "[[")
            places.setdefault(table, number)
            continue
        key = _KEY.match(line)
        if key:
            places.setdefault((*table, *_parts(key[1])), number)
    return places


def _table(
    name: str, counts: dict[tuple[str | int, ...], int], *, is_array: bool
) -> tuple[str | int, ...]:
    """Return the path of a table header; arrays of tables get the index of their latest item."""
    path: tuple[str | int, ...] = ()
    parts = _parts(name)
    for i, part in enumerate(parts):
        path = (*path, part)
        last = i == len(parts) - 1
        if last and is_array:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _parts(name: str) -> list[str]:
    pieces = re.findall(r'"([^"]*)"|\'([^\']*)\'|([A-Za-z0-9_-]+)', name)
    return [a or b or c for a, b, c in pieces]
