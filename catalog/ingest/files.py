"""Finds the files that paths, folders and patterns name.

Rule: a file that is named by itself is meant; of a folder or a pattern, what cannot be read is kept
apart, to be named and left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from glob import glob
from pathlib import Path

from strategies.errors import BadInput


@dataclass(frozen=True, slots=True)
class Found:
    """One file: ``named`` by itself or found in a folder, and whether its form is known."""

    path: Path
    named: bool
    readable: bool


def find(paths: Sequence[str], readable: Callable[[Path], bool]) -> list[Found]:
    """Return the files that paths name, in order and once. Raises BadInput where there are none."""
    found: dict[Path, Found] = {}
    for text in paths:
        path = Path(text).expanduser()
        if path.is_dir():
            files = [each for each in sorted(path.rglob("*")) if _is_visible(each, path)]
        elif path.exists():
            files = [path]
        else:
            matches = map(Path, glob(str(path), recursive=True))  # noqa: PTH207 - also absolute
            files = sorted(each for each in matches if each.is_file())
        named = len(files) == 1 and not path.is_dir()
        kept = [Found(each, named, named or readable(each)) for each in files]
        if not any(each.readable for each in kept):
            what = "holds no table or recording" if files or path.is_dir() else "does not exist"
            raise BadInput(f"{text} {what}: check the path.")
        for each in kept:
            found.setdefault(each.path, each)
    return list(found.values())


def _is_visible(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
    return path.is_file() and not hidden
