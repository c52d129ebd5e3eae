"""Opens packed text files as streams: plain, gzip, or the one file in a ZIP."""

import gzip
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from strategies.errors import BadInput


@contextmanager
def unpacked(
    path: Path, buffer_bytes: int = 1 << 20
) -> Iterator[tuple[io.BufferedReader, IO[bytes]]]:
    """Give the text in a file as a stream that can be peeked into, and the file for its position.

    Raises BadInput where a ZIP holds other than one file.
    """
    with path.open("rb") as raw:
        if path.suffix.lower() == ".gz":
            yield io.BufferedReader(_Raw(gzip.GzipFile(fileobj=raw)), buffer_bytes), raw
        elif path.suffix.lower() == ".zip":
            with zipfile.ZipFile(raw) as archive:
                names = [name for name in archive.namelist() if not name.endswith("/")]
                if len(names) != 1:
                    raise BadInput(f"{path} holds {len(names)} files: unpack it and import them.")
                with archive.open(names[0]) as member:
                    yield io.BufferedReader(_Raw(member), buffer_bytes), raw
        else:
            yield io.BufferedReader(_Raw(raw), buffer_bytes), raw


class _Raw(io.RawIOBase):
    """Lets whatever can be read be peeked into."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
