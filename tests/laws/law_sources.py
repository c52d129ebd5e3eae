"""What the laws are checked on: this project's own files, read once.

Rule: a check is a function from a source to its violations, so that a test can feed it a planted
one; each violation says where, what, and the way out.
"""

import ast
import io
import subprocess
import tokenize
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
ROOMS = ("strategies", "adapters", "catalog", "scenarios")


@dataclass(frozen=True)
class Source:
    """One Python file: ``path`` is relative to the project, with forward slashes."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Return the parsed file."""
        return ast.parse(self.text, self.path)

    @cached_property
    def comments(self) -> dict[int, str]:
        """Return the comment of each line that has one, without its sign."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {
            token.start[0]: token.string.lstrip("# ")
            for token in tokens
            if token.type == tokenize.COMMENT
        }

    def nodes[N: ast.AST](self, *kinds: type[N]) -> Iterator[N]:
        """Walk all nodes of the given kinds."""
        return (node for node in ast.walk(self.tree) if isinstance(node, kinds))

    def is_in(self, *places: str) -> bool:
        """Tell whether the file is one of these files or lies in one of these folders."""
        return any(self.path == place or self.path.startswith(f"{place}/") for place in places)

    def violation(self, line: int, what: str, way_out: str) -> str:
        """Say where, what and the way out."""
        return f"{self.path}:{line}: {what}; {way_out}"


type Check = Callable[[Source], Iterable[str]]


@cache
def tracked_files() -> tuple[Path, ...]:
    """Return every file under version control that exists, relative to the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, check=True, capture_output=True, text=True
    ).stdout
    paths = (Path(name) for name in listed.split("\0") if name)
    return tuple(path for path in paths if (PROJECT / path).is_file())


@cache
def room_sources() -> tuple[Source, ...]:
    """Return the Python files of the four rooms."""
    return tuple(source for source in all_sources() if source.is_in(*ROOMS))


@cache
def all_sources() -> tuple[Source, ...]:
    """Return all Python files, tests and benchmarks included."""
    return tuple(
        Source(path.as_posix(), (PROJECT / path).read_text(encoding="utf-8"))
        for path in tracked_files()
        if path.suffix == ".py"
    )


def violations(check: Check, sources: Iterable[Source]) -> str:
    """Run one check over many sources; empty means the law holds."""
    return "\n".join(found for source in sources for found in check(source))


def dotted(node: ast.AST) -> str:
    """Return ``a.b.c`` for a name or attribute, and an empty text for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else node.attr
    return ""
