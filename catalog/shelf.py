"""A catalog's files in a local folder: found, and moved into place as one whole or not at all.

Rule: an import is staged beside the data and renamed into place under a lock; whatever dies on the
way is undone by the next one who opens the catalog.
"""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from catalog.inventory import FileFacts, Inventory
from catalog.layout import FOLDERS, INSTRUMENT_FOLDERS, file_span, folder
from strategies.errors import BadInput, RunFailed
from strategies.ports import StreamKind

_STAGING = ".staging"
_PLAN = "commit.json"
_SYNCS_AT_ONCE = 16
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EIO})


@dataclass(frozen=True, slots=True)
class Placed:
    """One staged file of a stream, where it belongs and what it holds."""

    target: Path
    rows: int
    source: str
    sha256: str


class Shelf(Protocol):
    """Where a catalog's files lie, and how an import enters it."""

    def files(self, kind: StreamKind, topic: str) -> list[Path]:
        """Return the files of a stream in order of time."""

    def topics(self, kind: StreamKind) -> list[str]:
        """Return the topics that have files, in order."""

    def instruments(self) -> AbstractContextManager[Path | None]:
        """Give a local folder whose layout holds all instruments; None where there are none."""

    def facts(self, path: Path) -> FileFacts:
        """Return rows and origin of a file. Raises BadInput where it cannot be read."""

    def content_hash(self, path: Path) -> str:
        """Return the hash of a file's rows."""

    def holds(self, path: Path, sha256: str) -> bool:
        """Say whether a file is there and holds rows of this hash."""

    def save(self) -> None:
        """Keep what was learnt about files for the next command."""

    def staging(self) -> AbstractContextManager[Path]:
        """Give a local folder for one import, removed at the end."""

    def publish(
        self,
        staging: Path,
        moves: Sequence[tuple[Path, Path]],
        placed: Sequence[Placed],
        check: Callable[[], None],
    ) -> None:
        """Put staged files into their places, all or none; ``check`` may still refuse."""


class LocalShelf:
    """A catalog below a local folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._inventory = Inventory(root)
        if any(root.glob(f"{_STAGING}/*/{_PLAN}")):
            with self._locked():
                self._undo_dead_imports()

    def files(self, kind: StreamKind, topic: str) -> list[Path]:
        """Return the files of a stream in order of time."""
        place = folder(self._root, kind, topic)
        spans = [(file_span(path.name), path) for path in place.glob("*.parquet")]
        return [path for span, path in sorted(pair for pair in spans if pair[0] is not None)]

    def topics(self, kind: StreamKind) -> list[str]:
        """Return the topics that have a folder, in order."""
        place = self._root / "data" / FOLDERS[kind]
        return sorted(path.name for path in place.iterdir()) if place.is_dir() else []

    @contextmanager
    def instruments(self) -> Iterator[Path | None]:
        """Give the root itself."""
        found = (self._root.glob(f"data/{name}/*/*.parquet") for name in INSTRUMENT_FOLDERS)
        yield self._root if any(any(paths) for paths in found) else None

    def facts(self, path: Path) -> FileFacts:
        """Return rows and origin of a file. Raises BadInput where it cannot be read."""
        return self._inventory.facts(path)

    def content_hash(self, path: Path) -> str:
        """Return the hash of a file's rows, reading them only if it is not remembered."""
        return self._inventory.content_hash(path)

    def holds(self, path: Path, sha256: str) -> bool:
        """Say whether a file is there and holds rows of this hash."""
        return path.exists() and self.content_hash(path) == sha256

    def save(self) -> None:
        """Keep what was learnt about files for the next command."""
        self._inventory.save()

    def publish(
        self,
        staging: Path,
        moves: Sequence[tuple[Path, Path]],
        placed: Sequence[Placed],
        check: Callable[[], None],
    ) -> None:
        """Rename files into place under the lock, after a plan by which it can be undone."""
        with self._locked():
            check()
            _move_all(staging / _PLAN, moves)
            for each in placed:
                self._inventory.remember(each.target, each.rows, each.source, each.sha256)
            self._inventory.save()

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a folder beside the data for one import, removed at the end."""
        with self._locked(), writing(self._root):
            self._undo_dead_imports()
            place = self._root / _STAGING / f"{os.getpid()}-{os.urandom(4).hex()}"
            place.mkdir(parents=True)
            alive = (place / "alive").open("w")
            fcntl.flock(alive, fcntl.LOCK_EX)
        with alive:
            try:
                yield place
            finally:
                shutil.rmtree(place, ignore_errors=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the catalog's lock: one writer moves files at a time."""
        with _founding(self._root):
            self._root.mkdir(parents=True, exist_ok=True)
            lock = (self._root / ".lock").open("w")
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _undo_dead_imports(self) -> None:
        for place in (self._root / _STAGING).glob("*"):
            if _is_dead(place):
                _undo(place / _PLAN)
                shutil.rmtree(place, ignore_errors=True)


def _is_dead(place: Path) -> bool:
    try:
        with (place / "alive").open("r+") as alive:
            fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True  # died before it could mark itself
    return True


def _move_all(plan: Path, moves: Sequence[tuple[Path, Path]]) -> None:
    with writing(plan):
        _sync_all([source for source, _ in moves])
        text = json.dumps([[str(source), str(target)] for source, target in moves])
        with plan.open("wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        for source, target in moves:
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        places = {target.parent for _, target in moves}
        _sync_all([*places, *{place.parent for place in places}])
        plan.unlink()


def _undo(plan: Path) -> None:
    if not plan.exists():
        return
    try:
        moves = json.loads(plan.read_text("utf-8"))
    except ValueError:
        return  # the plan itself was cut short, so nothing was moved yet
    for source, target in moves:
        if not Path(source).exists():
            Path(target).unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a refusal of the disk into one sentence."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise RunFailed(
            f"{path} cannot be written ({reason}): free or unlock the disk and import again, the "
            "catalog is as it was."
        ) from error


@contextmanager
def _founding(root: Path) -> Iterator[None]:
    """Refuse a place where no catalog can be; a full disk is no fault of the place."""
    try:
        with writing(root):
            yield
    except RunFailed as failure:
        error = failure.__cause__
        if not isinstance(error, OSError) or error.errno in _FULL:
            raise
        raise BadInput(
            f"{root} cannot be written ({error.strerror or error}): set ONETAPE_HOME (or "
            "ONETAPE_CATALOG) to a folder you may write to."
        ) from error


def _sync_all(paths: Sequence[Path]) -> None:
    """Wait until files and folders are on the disk; side by side, as an import may be thousands."""
    with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
        for _ in pool.map(_sync, paths):
            pass


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
