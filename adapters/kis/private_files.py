"""Files of the adapter on disk: in a private folder, readable by their owner, whole or not there.

Rule: nothing is decided here; an OSError goes to the caller, who knows what the file was for.
"""

import contextlib
import os
from pathlib import Path


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner can enter, if there is none. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def write_private(path: Path, content: bytes) -> None:
    """Replace a file by ``content`` with mode 0600, whole or not at all. Raises OSError."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        make_folder(path.parent)
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
