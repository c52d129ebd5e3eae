"""Reads the lines of a recording, plain or packed, and the time each begins with."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path

from catalog.ingest.receive_times import time_ns
from strategies.errors import BadInput

type OnBytes = Callable[[int], None]

BOM = b"\xef\xbb\xbf"
_BLOCK = 1 << 22
_NS_DIGITS = 19


def first_line(path: Path, most: int = 4096) -> bytes:
    """Return the beginning of a file's first line; empty where it cannot be read."""
    try:
        with path.open("rb") as raw:
            return _unpacked(path, raw).readline(most).removeprefix(BOM)
    except (OSError, EOFError, zlib.error):
        return b""


def _unpacked(path: Path, raw: BufferedReader) -> gzip.GzipFile | BufferedReader:
    return gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw


def lines_of(path: Path, on_bytes: OnBytes, block_bytes: int = _BLOCK) -> Iterator[bytes]:
    """Yield the lines of a file, a block at a time. Raises BadInput where it is cut short."""
    rest = b""
    is_first = True
    with path.open("rb") as raw:
        file = _unpacked(path, raw)
        while block := _block(path, file, block_bytes):
            lines = (block.removeprefix(BOM) if is_first else rest + block).split(b"\n")
            is_first = False
            rest = lines.pop()
            yield from lines
            on_bytes(raw.tell())
    if rest:
        yield rest


def _block(path: Path, file: gzip.GzipFile | BufferedReader, block_bytes: int) -> bytes:
    try:
        return file.read(block_bytes)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            f"{path} cannot be unpacked to its end ({error}): copy it again whole."
        ) from error


def received_ns(head: bytes) -> int:
    """Return ns from ``1723161255088156767``, ``1633998512.0633569:`` or another usual time.

    Raises ValueError where it is none.
    """
    if len(head) == _NS_DIGITS and head.isdigit():
        return int(head)
    stamp = time_ns(head.removesuffix(b":").decode("ascii", "replace"))
    return int(head) if stamp is None else stamp  # a count of ns from another beginning


def is_time(head: bytes) -> bool:
    """Say whether a text is a receive time."""
    try:
        return received_ns(head) > 0
    except ValueError:
        return False


def is_cut(line: bytes) -> bool:
    """Say whether a line is the beginning of one, as a recorder that was killed leaves it."""
    head, _, text = line.partition(b" ")
    return is_time(head) and text.startswith(b"{") and not text.rstrip().endswith(b"}")
