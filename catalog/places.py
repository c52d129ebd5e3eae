"""Where a catalog may lie: a local folder, or a prefix of an S3 bucket that looks like one.

Rule: an S3 path is opened by ``open_file`` only; every attempt to use it as a local path raises.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PosixPath, PurePath
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from strategies.errors import BadInput

SCHEME = "s3://"


class S3Path(PosixPath):
    """An object, or a prefix of objects, of one bucket; ``key`` is bucket and name."""

    def __init__(self, *segments: str | PurePath, files: pafs.FileSystem) -> None:
        super().__init__(*segments)
        self.files = files

    def with_segments(self, *segments: Any) -> "S3Path":
        """Return a path of the same bucket: what ``/`` and ``parent`` are made of."""
        return S3Path(*segments, files=self.files)

    @property
    def key(self) -> str:
        """Bucket and name, as the file system wants them."""
        return "/".join(self.parts)

    def __str__(self) -> str:
        return SCHEME + self.key

    def __reduce__(self) -> tuple[Callable[..., "S3Path"], tuple[str, pafs.FileSystem]]:
        return _s3_path, (self.key, self.files)

    def __fspath__(self) -> str:
        raise TypeError(f"{self} is no local path.")

    def glob(self, *_args: Any, **_options: Any) -> Iterator["S3Path"]:
        """Refuse: pathlib would look into a local folder of this name."""
        raise TypeError(f"{self} is no local path.")

    def rglob(self, *_args: Any, **_options: Any) -> Iterator["S3Path"]:
        """Refuse, as ``glob``."""
        raise TypeError(f"{self} is no local path.")

    def exists(self, *, follow_symlinks: bool = True) -> bool:  # noqa: ARG002 - pathlib's form
        """Say whether there is an object of this name."""
        return bool(self.files.get_file_info(self.key).type == pafs.FileType.File)


def _s3_path(key: str, files: pafs.FileSystem) -> S3Path:
    return S3Path(key, files=files)


def parse_root(text: str) -> Path:
    """Return a catalog's root from a path or ``s3://bucket/prefix``.

    Credentials, region and endpoint are those of the AWS environment variables; a query may set
    them too, as in ``s3://bucket/prefix?endpoint_override=host:9000&scheme=http``. Raises BadInput.
    """
    if not text.startswith(SCHEME):
        return Path(text).expanduser().absolute()
    if not urlsplit(text).netloc:
        raise BadInput(f"{text!r} names no bucket: write s3://bucket/prefix.")
    with suppress(pa.ArrowException, OSError):
        files, key = pafs.FileSystem.from_uri(text)
        return S3Path(key.strip("/"), files=files)
    raise BadInput(f"{text!r} is no address of S3: write s3://bucket/prefix?region=NAME.")


def open_file(path: Path) -> pq.ParquetFile:
    """Open a Parquet file wherever it lies. Raises pa.ArrowException or OSError.

    A page that has a checksum and is not what was written raises OSError when it is read; files
    written without checksums are read as they are.
    """
    if isinstance(path, S3Path):
        return pq.ParquetFile(path.key, filesystem=path.files, page_checksum_verification=True)
    return pq.ParquetFile(path, page_checksum_verification=True)
