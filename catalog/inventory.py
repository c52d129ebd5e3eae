"""What a stored file holds: rows, origin and the hash of its content, remembered between commands.

Rule: a remembered answer counts only while path, size and modification time are unchanged; losing
the memory costs time, never truth.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from catalog.layout import RAW, SOURCE_KEY
from catalog.places import open_file
from strategies.errors import BadInput

_IDENTITY_KEYS = ("bar_type", "instrument_id", "price_precision", "size_precision", "type_name")
_NOTHING = pa.scalar(Decimal(-(10**20)), RAW)  # stands for "no price", which no price can be


class ContentHash:
    """SHA-256 over rows, independent of compression, row groups and chunking.

    Each column has a hash of its own over its values; ``digest`` joins them with the column names
    and types and with what the engine keeps about the stream.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._columns = [hashlib.sha256() for _ in schema]
        self.rows = 0

    def update(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Add rows; their columns are those of the schema."""
        self.rows += rows.num_rows
        for digest, column in zip(self._columns, rows.columns, strict=True):
            for chunk in column.chunks if isinstance(column, pa.ChunkedArray) else (column,):
                _update(digest.update, chunk)

    def digest(self, metadata: Mapping[str, str]) -> str:
        """Return the hash in hex."""
        whole = hashlib.sha256()
        for key in _IDENTITY_KEYS:
            whole.update(f"{key}={metadata.get(key, '')}\n".encode())
        for field, digest in zip(self._schema, self._columns, strict=True):
            whole.update(f"{field.name}:{field.type}={digest.hexdigest()}\n".encode())
        return whole.hexdigest()


def _update(update: Callable[[bytes | pa.Buffer], None], array: pa.Array) -> None:
    if array.null_count:
        array = array.fill_null(_nothing(array.type))
    if pa.types.is_dictionary(array.type):
        array = array.cast(pa.string())
    if pa.types.is_string(array.type):
        lines = pc.binary_join_element_wise(array, "", "\n")
        ends = np.frombuffer(lines.buffers()[1], np.int32)[lines.offset :]
        update(lines.buffers()[2].slice(int(ends[0]), int(ends[len(lines)] - ends[0])))
        return
    width = array.type.bit_width // 8
    update(array.buffers()[1].slice(array.offset * width, len(array) * width))


def _nothing(kind: pa.DataType) -> pa.Scalar:
    """Return what a value that is not there is hashed as."""
    if pa.types.is_decimal(kind):
        return _NOTHING
    return pa.scalar("") if pa.types.is_string(kind) else pa.scalar(0).cast(kind)


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What is known of one file. ``sha256`` is empty until somebody asks for it."""

    size: int
    mtime_ns: int
    rows: int
    source: str
    sha256: str = ""


class Inventory:
    """Facts of the files below one root, kept in one JSON file beside them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / "inventory.json"
        self._known = self._load()
        self._changed = False

    def facts(self, path: Path) -> FileFacts:
        """Return rows and origin of a file. Raises BadInput where it cannot be read."""
        known = self._remembered(path)
        return known if known is not None else self._learn(path, "")

    def content_hash(self, path: Path) -> str:
        """Return the hash of a file's rows, reading them only if it is not remembered."""
        known = self._remembered(path)
        if known is not None and known.sha256:
            return known.sha256
        return self._learn(path, hash_file(path)).sha256

    def remember(self, path: Path, rows: int, source: str, sha256: str) -> None:
        """Note what was just written."""
        self._note(path, rows, source, sha256)

    def save(self) -> None:
        """Write what was learnt; a catalog that cannot be written to is left as it is."""
        if not self._changed:
            return
        kept = {name: asdict(facts) for name, facts in sorted(self._known.items())}
        temporary = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            temporary.write_text(json.dumps(kept, indent=0), "utf-8")
            temporary.replace(self._path)
        except OSError:
            return  # a read-only catalog: the memory only saves time
        self._changed = False

    def _load(self) -> dict[str, FileFacts]:
        try:
            entries = json.loads(self._path.read_text("utf-8"))
            return {name: FileFacts(**facts) for name, facts in entries.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # absent or damaged: everything is read again

    def _remembered(self, path: Path) -> FileFacts | None:
        known = self._known.get(self._name(path))
        if known is None:
            return None
        status = path.stat()
        same = (known.size, known.mtime_ns) == (status.st_size, status.st_mtime_ns)
        return known if same else None

    def _learn(self, path: Path, sha256: str) -> FileFacts:
        metadata = open_parquet(path).metadata
        source = (metadata.metadata or {}).get(SOURCE_KEY.encode(), b"").decode()
        return self._note(path, metadata.num_rows, source, sha256)

    def _note(self, path: Path, rows: int, source: str, sha256: str) -> FileFacts:
        status = path.stat()
        facts = FileFacts(status.st_size, status.st_mtime_ns, rows, source, sha256)
        self._known[self._name(path)] = facts
        self._changed = True
        return facts

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()


def open_parquet(path: Path) -> pq.ParquetFile:
    """Open a Parquet file. Raises BadInput naming it where it is truncated or unreadable."""
    try:
        return open_file(path)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def read_group(
    path: Path, file: pq.ParquetFile, group: int, columns: list[str] | None = None
) -> pa.Table:
    """Read one row group of an open file. Raises BadInput naming it where it is damaged."""
    try:
        return file.read_row_group(group, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def hash_file(path: Path) -> str:
    """Return the content hash of a Parquet file, one row group in memory at a time."""
    file = open_parquet(path)
    content = ContentHash(file.schema_arrow)
    for group in range(file.num_row_groups):
        content.update(read_group(path, file, group))
    # The engine keeps its keys in the Arrow schema, the store in the file beside it.
    metadata = (file.schema_arrow.metadata or {}) | (file.metadata.metadata or {})
    return content.digest(
        {key.decode(): value.decode("utf-8", "replace") for key, value in metadata.items()}
    )


def unreadable(path: Path, error: Exception) -> BadInput:
    """Return the sentence for a file that is no whole Parquet file."""
    reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
    return BadInput(
        f"{path} cannot be read as Parquet ({reason}): it is truncated or damaged, remove it and "
        "import its data again."
    )
