"""A catalog's files in an S3 bucket: what an import brought is there once its manifest is there.

Rule: objects of streams count only where a manifest names them (``imports/*.json``, or the
``inventory.json`` of a local catalog that was copied there), so one small object decides over an
import. A claim, written before and removed after, keeps two imports from the same file. What a dead
import left is named by no manifest: it is never read, and written over by the next one.
"""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from uuid import uuid4

import pyarrow as pa
import pyarrow.fs as pafs

from catalog.inventory import FileFacts, hash_file
from catalog.layout import FOLDERS, INSTRUMENT_FOLDERS, file_span
from catalog.places import S3Path
from catalog.shelf import Placed
from strategies.errors import BadInput, RunFailed
from strategies.ports import StreamKind

MANIFESTS = "imports"
INVENTORY = "inventory.json"
CLAIM_LASTS_S = 6 * 3_600
"""An import's claim that is older is of a dead one."""

_AT_ONCE = 4
_BLOCK = 8 << 20


class S3Shelf:
    """A catalog below a prefix of a bucket."""

    def __init__(self, root: S3Path) -> None:
        self._root = root
        self._known: dict[PurePosixPath, FileFacts] = {}
        self._places: dict[PurePosixPath, list[PurePosixPath]] = {}
        self._refresh()

    def files(self, kind: StreamKind, topic: str) -> list[Path]:
        """Return the files of a stream in order of time."""
        names = self._places.get(PurePosixPath("data", FOLDERS[kind], topic), ())
        return [self._root / name for name in sorted(names, key=_span)]

    def topics(self, kind: StreamKind) -> list[str]:
        """Return the topics that have files, in order."""
        place = PurePosixPath("data", FOLDERS[kind])
        return sorted(each.name for each in self._places if each.parent == place)

    @contextmanager
    def instruments(self) -> Iterator[Path | None]:
        """Give a temporary folder with copies of the instruments' files, which are small."""
        with tempfile.TemporaryDirectory(prefix="onetape-") as place:
            with _reaching(self._root):
                found = [info for name in INSTRUMENT_FOLDERS for info in self._list(f"data/{name}")]
                for info in found:
                    target = Path(place) / info.path.removeprefix(f"{self._root.key}/")
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_bytes(self._read(info.path))
            yield Path(place) if found else None

    def facts(self, path: Path) -> FileFacts:
        """Return rows and origin of a file, as its manifest tells them."""
        return self._known[self._name(path)]

    def content_hash(self, path: Path) -> str:
        """Return the hash of a file's rows, as its manifest tells it."""
        return self._known[self._name(path)].sha256 or hash_file(path)

    def holds(self, path: Path, sha256: str) -> bool:
        """Say whether a file is published and holds rows of this hash."""
        return self._name(path) in self._known and self.content_hash(path) == sha256

    def save(self) -> None:
        """Do nothing: manifests are written by imports only."""

    @contextmanager
    def staging(self) -> Iterator[Path]:
        """Give a local temporary folder for one import."""
        with tempfile.TemporaryDirectory(prefix="onetape-import-") as place:
            yield Path(place)

    def publish(
        self,
        staging: Path,  # noqa: ARG002 - the other shelf's plan lies there
        moves: Sequence[tuple[Path, Path]],
        placed: Sequence[Placed],
        check: Callable[[], None],
    ) -> None:
        """Upload files and then the manifest that names them."""
        facts = {self._name(each.target): _facts(each) for each in placed}
        name = f"{MANIFESTS}/{time.time_ns()}-{uuid4().hex[:8]}"
        with _reaching(self._root):
            self._write(f"{name}.claim", json.dumps([str(each) for each in facts]))
            try:
                # Claims before manifests: an import that ended in between is seen by its manifest.
                self._refuse_claimed(facts, f"{name}.claim")
                self._refresh()
                check()
                with ThreadPoolExecutor(_AT_ONCE) as pool:
                    list(pool.map(self._upload, *zip(*moves, strict=True)) if moves else ())
                entries = {str(each): asdict(known) for each, known in facts.items()}
                self._write(f"{name}.json", json.dumps(entries, indent=0))
            finally:
                self._root.files.delete_file(f"{self._root.key}/{name}.claim")
        self._learn(self._known | facts)

    def _refuse_claimed(self, names: dict[PurePosixPath, FileFacts], own: str) -> None:
        for info in self._list(MANIFESTS):
            age_s = time.time() - (info.mtime_ns or 0) / 1e9
            if not info.path.endswith(".claim") or info.path.endswith(own) or age_s > CLAIM_LASTS_S:
                continue
            for text in json.loads(self._read(info.path) or b"[]"):
                if any(_overlap(PurePosixPath(text), name) for name in names):
                    raise BadInput(
                        f"another import into {self._root} is writing {text}: wait for its end and "
                        f"import again (or remove s3://{info.path}, if it is dead)."
                    )

    def _refresh(self) -> None:
        """Read which files are published."""
        known: dict[PurePosixPath, FileFacts] = {}
        with _reaching(self._root):
            inventory = self._root / INVENTORY
            paths = [inventory.key] if inventory.exists() else []
            paths += sorted(
                info.path for info in self._list(MANIFESTS) if info.path.endswith(".json")
            )
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                for path, text in zip(paths, pool.map(self._read, paths), strict=True):
                    known |= _parsed(path, text)
        self._learn(known)

    def _learn(self, known: dict[PurePosixPath, FileFacts]) -> None:
        self._known = known
        self._places = {}
        for name in known:
            self._places.setdefault(name.parent, []).append(name)

    def _list(self, place: str) -> list[pafs.FileInfo]:
        """Return all objects below a place."""
        selector = pafs.FileSelector(
            f"{self._root.key}/{place}", allow_not_found=True, recursive=True
        )
        found = self._root.files.get_file_info(selector)
        return [info for info in found if info.type == pafs.FileType.File]

    def _read(self, key: str) -> bytes:
        with self._root.files.open_input_stream(key) as stream:
            content: bytes = stream.read()
        return content

    def _write(self, name: str, text: str) -> None:
        with self._root.files.open_output_stream(f"{self._root.key}/{name}") as stream:
            stream.write(text.encode())

    def _upload(self, source: Path, target: Path) -> None:
        key = f"{self._root.key}/{self._name(target)}"
        with source.open("rb") as file, self._root.files.open_output_stream(key) as stream:
            while block := file.read(_BLOCK):
                stream.write(block)

    def _name(self, path: Path) -> PurePosixPath:
        return PurePosixPath(*path.parts[len(self._root.parts) :])


def _facts(each: Placed) -> FileFacts:
    return FileFacts(0, 0, each.rows, each.source, each.sha256)


def _parsed(path: str, text: bytes) -> dict[PurePosixPath, FileFacts]:
    try:
        return {PurePosixPath(name): FileFacts(**facts) for name, facts in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise BadInput(
            f"s3://{path} is no manifest of a catalog ({error}): remove it, and import again what "
            "it named."
        ) from error


def _span(name: PurePosixPath) -> tuple[int, int]:
    return file_span(name.name) or (0, 0)


def _overlap(one: PurePosixPath, other: PurePosixPath) -> bool:
    (first, last), (begin, end) = _span(one), _span(other)
    return one.parent == other.parent and first <= end and begin <= last


@contextmanager
def _reaching(root: S3Path) -> Iterator[None]:
    """Turn a refusal of the network or the bucket into one sentence."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise RunFailed(
            f"{root} cannot be used ({reason}): check bucket, endpoint and credentials; the "
            "catalog is as it was."
        ) from error
