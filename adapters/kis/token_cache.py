"""The access token on disk, shared by all processes of one appkey.

Rule: one file per appkey and address, readable by its owner only, replaced whole or not at all;
who asks KIS for a token holds the lock beside it, looks into the file first and writes it after.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from adapters.kis.config import KisConfig, Secret
from adapters.kis.parse import Token
from adapters.kis.private_files import make_folder, write_private
from strategies.errors import BadInput


class _Stored(msgspec.Struct, frozen=True):
    token: str
    expires_ns: int


class TokenCache:
    """The token file of one appkey under ``folder``."""

    def __init__(self, folder: Path, config: KisConfig) -> None:
        owner = f"{config.app_key.reveal()} {config.rest_url} {config.servers}"
        name = hashlib.sha256(owner.encode()).hexdigest()[:16]
        self.path = folder / f"kis-token-{name}.json"
        self._lock_path = folder / f"kis-token-{name}.lock"

    def load(self, now_ns: int) -> Token | None:
        """Return the stored token; None where there is none, it is over, or others may read it."""
        try:
            if self.path.stat().st_mode & 0o077:
                return None
            stored = msgspec.json.decode(self.path.read_bytes(), type=_Stored)
        except (OSError, msgspec.MsgspecError):
            return None
        if not stored.token or stored.expires_ns <= now_ns:
            return None
        return Token(Secret(stored.token), stored.expires_ns)

    def store(self, token: Token) -> None:
        """Replace the stored token. Raises BadInput where the disk is full or not writable."""
        content = msgspec.json.encode(_Stored(token.text.reveal(), token.expires_ns))
        try:
            write_private(self.path, content)
        except OSError as error:
            raise self._unwritable(error) from None

    def drop(self, text: Secret) -> None:
        """Delete the stored token if it is the one KIS rejected; hold the lock meanwhile."""
        stored = self.load(0)
        if stored is not None and stored.text == text:
            with contextlib.suppress(OSError):
                self.path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[bool]:
        """Try to hold the lock; yields False at once where another process holds it.

        The lock ends with the process, so that one that was killed blocks nobody.
        """
        try:
            make_folder(self.path.parent)
            handle = os.open(self._lock_path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            yield _try_lock(handle)
        finally:
            os.close(handle)

    def _unwritable(self, error: OSError) -> BadInput:
        why = "the disk is full" if error.errno == errno.ENOSPC else (error.strerror or "it failed")
        return BadInput(
            f"The KIS token cannot be kept in {self.path.parent}: {why}; free space or set "
            "ONETAPE_HOME to a folder you can write."
        )


def _try_lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
