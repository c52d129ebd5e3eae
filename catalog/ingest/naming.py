"""Which instrument the user gave to which file of one import.

Rule: a name with a pattern is for the files it fits, the first pattern that fits wins; one name
without a pattern is for all others. A pattern that fits no file is an error: it was mistyped.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from catalog.ingest.instruments import parse_id
from strategies.errors import BadInput


@dataclass(frozen=True, slots=True)
class Names:
    """Instrument ids as the user wrote them: for files by pattern, and for all others."""

    patterns: tuple[tuple[str, str], ...] = ()
    others: str | None = None

    def of(self, path: Path) -> str | None:
        """Return the id given to a file, None where none was."""
        return next((name for pattern, name in self.patterns if _fits(path, pattern)), self.others)

    def check(self, paths: Iterable[Path]) -> None:
        """Raise BadInput where a pattern fits none of these files."""
        files = list(paths)
        for pattern, name in self.patterns:
            if not any(_fits(path, pattern) for path in files):
                raise BadInput(
                    f"--instrument '{pattern}={name}' fits none of the {len(files):,} files: "
                    "check the pattern against their names."
                )


def read_names(texts: Sequence[str]) -> Names:
    """Read ``ID`` or ``PATTERN=ID`` texts. Raises BadInput for an unknown id or two for all."""
    patterns, others = [], []
    for text in texts:
        pattern, equals, name = text.rpartition("=")
        parse_id(name)
        if equals and not pattern:
            raise BadInput(f"--instrument '{text}' has no pattern before the =: write name*=ID.")
        if equals:
            patterns.append((pattern, name))
        else:
            others.append(name)
    if len(others) > 1:
        raise BadInput(
            f"--instrument is given {len(others)} times without a pattern: write "
            f"'name*={others[0]}' to say which files are meant."
        )
    return Names(tuple(patterns), others[0] if others else None)


def _fits(path: Path, pattern: str) -> bool:
    """Compare a pattern with a file's name, or with the end of its path where it has folders."""
    return fnmatchcase(path.name, pattern) or ("/" in pattern and path.match(pattern))
