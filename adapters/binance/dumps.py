"""Downloads Binance's public dumps: verified, resumed where they stopped, several at a time.

Rule: a file has its own name only when its SHA-256 is the published one; until then it is
``NAME.part``. A busy host is obeyed: its Retry-After holds for all downloads at once.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp

from adapters.binance.dump_files import DumpFile
from strategies.errors import BadInput, RunFailed

type OnProgress = Callable[[float, int], None]
type Sleep = Callable[[float], Awaitable[None]]

_BLOCK = 1 << 18
_CHECKSUM = re.compile(r"^([0-9a-fA-F]{64})\b")
_NOT_FOUND = 404
_PARTIAL, _BAD_RANGE = 206, 416
_BUSY = (408, 418, 425, 429, 500, 502, 503, 504)
_OBEYED = (418, 429, 503)


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpSettings:
    """Where the dumps are and how they are asked for. Times are in seconds.

    ``attempts``: how often in a row a request may fail without a byte of progress.
    """

    url: str
    folder: Path
    at_once: int = 4
    attempts: int = 6
    first_pause_s: float = 0.5
    longest_pause_s: float = 30.0
    longest_retry_after_s: float = 300.0
    connect_s: float = 15.0
    silence_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """One file on disk. ``fresh`` is False where it was there already."""

    file: DumpFile
    path: Path
    fresh: bool


@dataclass(frozen=True, slots=True)
class DumpReport:
    """What a download brought; ``missing`` are files the host does not have."""

    fetched: tuple[Fetched, ...]
    missing: tuple[DumpFile, ...]
    bytes_read: int


@dataclass(slots=True)
class _Tally:
    """What all downloads of one call have in common."""

    files: int
    on_progress: OnProgress
    done: int = 0
    bytes_read: int = 0
    begun: dict[str, float] = field(default_factory=dict)

    def part(self, path: str, share: float) -> None:
        self.begun[path] = share
        self.on_progress(self.done + sum(self.begun.values()), self.files)

    def finish(self, path: str) -> None:
        self.begun.pop(path, None)
        self.done += 1
        self.on_progress(self.done + sum(self.begun.values()), self.files)


class _TryAgainError(Exception):
    """A request failed in a way that may pass; ``after_s`` is what the host asked for."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


class _MissingError(Exception):
    """The host does not have the file."""


async def download(
    files: Sequence[DumpFile],
    settings: DumpSettings,
    on_progress: OnProgress = lambda _done, _files: None,
    sleep: Sleep = asyncio.sleep,
) -> DumpReport:
    """Download files into the settings' folder, below their own paths.

    ``on_progress`` is told files done (with fractions) and files in all. Raises RunFailed where
    the host keeps failing or a checksum is wrong twice; what was read so far is kept and resumed.
    """
    client = _Client(settings, _Tally(len(files), on_progress), sleep)
    fetched: list[Fetched] = []
    missing: list[DumpFile] = []
    async with client.connected():
        wanted = list(files)
        while wanted:
            found = await _all_of(client, wanted, settings.at_once)
            fetched += [each for each in found if isinstance(each, Fetched)]
            absent = [each for each in found if isinstance(each, DumpFile)]
            missing += [each for each in absent if not each.instead]
            wanted = [day for each in absent for day in each.instead]
            client.tally.files += len(wanted)
    return DumpReport(tuple(fetched), tuple(missing), client.tally.bytes_read)


async def _all_of(
    client: "_Client", files: Sequence[DumpFile], at_once: int
) -> list[Fetched | DumpFile]:
    """Fetch files side by side; a file itself stands for one that the host does not have."""
    slots = asyncio.Semaphore(at_once)

    async def one(file: DumpFile) -> Fetched | DumpFile:
        async with slots:
            return await client.fetch(file)

    tasks = [asyncio.create_task(one(file)) for file in files]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Client:
    def __init__(self, settings: DumpSettings, tally: _Tally, sleep: Sleep) -> None:
        self.tally = tally
        self._settings = settings
        self._sleep = sleep
        self._session: aiohttp.ClientSession
        self._open = asyncio.Event()  # closed while the host asked everybody to wait
        self._open.set()
        self._waiting = 0

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=self._settings.connect_s,
            sock_read=self._settings.silence_s,
        )
        connector = aiohttp.TCPConnector(limit=self._settings.at_once)
        # A ZIP is what its checksum is of: nothing may be unpacked on the way.
        async with aiohttp.ClientSession(
            timeout=timeout, connector=connector, auto_decompress=False, trust_env=True
        ) as self._session:
            yield

    async def fetch(self, file: DumpFile) -> Fetched | DumpFile:
        """Get one file; return ``file`` itself where the host does not have it."""
        try:
            return await self._file(file)
        except _MissingError:
            return file
        finally:
            self.tally.finish(file.path)

    async def _file(self, file: DumpFile) -> Fetched:
        target = self._settings.folder / file.path
        kept = target.with_name(f"{target.name}.CHECKSUM")
        if target.exists() and kept.exists():
            expected = _digest_in(kept.read_text("utf-8", "replace"), file)
            if await asyncio.to_thread(_sha256, target) == expected:
                return Fetched(file, target, fresh=False)
        text = await self._retried(file, lambda: self._text(f"{file.path}.CHECKSUM"))
        expected = _digest_in(text, file)
        with _disk(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            part = await self._body(file, target.with_name(f"{target.name}.part"))
            if await asyncio.to_thread(_sha256, part) == expected:
                with _disk(target):
                    kept.write_text(text, "utf-8")
                    await asyncio.to_thread(_into_place, part, target)
                return Fetched(file, target, fresh=True)
            part.unlink()  # perhaps begun from another version of it: once more from the start
        raise RunFailed(
            f"{file.name} does not have its published SHA-256, twice in a row: try again later, "
            "nothing of it was kept."
        )

    async def _body(self, file: DumpFile, part: Path) -> Path:
        """Read a file into ``part``, going on where it stopped until it is whole."""
        await self._retried(file, lambda: self._rest(file, part), lambda: _size(part))
        return part

    async def _rest(self, file: DumpFile, part: Path) -> None:
        have = _size(part)
        headers = {"Range": f"bytes={have}-"} if have else {}
        async with self._get(file.path, headers) as response:
            if response.status == _BAD_RANGE:
                return  # all of it is there, or more than all: the checksum decides
            begin = _first_byte(response) if response.status == _PARTIAL else 0
            if begin not in (0, have):
                raise _TryAgainError(f"it sent bytes from {begin}, not from {have}")
            total = begin + (response.content_length or 0)
            with _disk(part), part.open("r+b" if have else "wb") as out:
                out.truncate(begin)
                out.seek(begin)
                async for block in response.content.iter_chunked(_BLOCK):
                    out.write(block)
                    self.tally.bytes_read += len(block)
                    self.tally.part(file.path, out.tell() / total if total else 0.5)

    async def _text(self, path: str) -> str:
        async with self._get(path, {}) as response:
            return (await response.read()).decode("utf-8", "replace")

    @asynccontextmanager
    async def _get(
        self, path: str, headers: dict[str, str]
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        await self._open.wait()
        url = f"{self._settings.url.rstrip('/')}/{path}"
        try:
            async with self._session.get(url, headers=headers) as response:
                await self._judge(response, path)
                yield response
        except (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            raise _TryAgainError(str(error) or type(error).__name__) from error
        except aiohttp.InvalidURL as error:
            raise BadInput(
                f"{self._settings.url!r} is no address: set ONETAPE_BINANCE_DATA_URL to one like "
                "https://host."
            ) from error

    async def _judge(self, response: aiohttp.ClientResponse, path: str) -> None:
        status = response.status
        if status == _NOT_FOUND:
            raise _MissingError
        if status in _BUSY:
            after_s = _retry_after(response.headers.get("Retry-After"))
            raise _TryAgainError(f"it answered {status}", after_s if status in _OBEYED else None)
        if status >= 400 and status != _BAD_RANGE:
            raise RunFailed(
                f"{self._settings.url} answered {status} for {path}: check the address in "
                "ONETAPE_BINANCE_DATA_URL."
            )

    async def _retried[T](
        self,
        file: DumpFile,
        request: Callable[[], Awaitable[T]],
        progress: Callable[[], int] = lambda: 0,
    ) -> T:
        """Repeat a request, pausing longer each time, until it succeeds or nothing moves on."""
        failed, reached = 0, progress()
        while True:
            try:
                return await request()
            except _TryAgainError as error:
                failed = 1 if progress() > reached else failed + 1
                reached = progress()
                if failed >= self._settings.attempts:
                    raise RunFailed(
                        f"{file.name} could not be read from {self._settings.url} ({error}), "
                        f"{failed} times in a row: try again later, it goes on where it stopped."
                    ) from error
                await self._pause(failed, error, file)

    async def _pause(self, failed: int, error: _TryAgainError, file: DumpFile) -> None:
        longest = self._settings.longest_pause_s
        pause_s = min(longest, self._settings.first_pause_s * 2 ** (failed - 1))
        if error.after_s is None:
            await self._sleep(pause_s)
            return
        if error.after_s > self._settings.longest_retry_after_s:
            raise RunFailed(
                f"{self._settings.url} asks to wait {error.after_s:.0f} s before {file.name}: try "
                "again then, it goes on where it stopped."
            )
        self._waiting += 1
        self._open.clear()
        try:
            await self._sleep(max(error.after_s, pause_s))
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._open.set()


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turn a refusal of the disk into one sentence."""
    try:
        yield
    except aiohttp.ClientError:
        raise  # some of them are OSErrors as well, and of the network
    except OSError as error:
        if isinstance(error, TimeoutError):
            raise
        reason = error.strerror or str(error)
        raise RunFailed(
            f"{path} cannot be written ({reason}): free or unlock the disk and pull again, it goes "
            "on where it stopped."
        ) from error


def _digest_in(text: str, file: DumpFile) -> str:
    match = _CHECKSUM.match(text)
    if match is None:
        raise RunFailed(f"{file.name}.CHECKSUM holds no SHA-256: try again later.")
    return match[1].lower()


def _first_byte(response: aiohttp.ClientResponse) -> int:
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(match[1]) if match else -1


def _retry_after(text: str | None) -> float | None:
    """Read Retry-After: seconds or a date (RFC 9110); None where it is neither."""
    if text is None:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - datetime.now(UTC)).total_seconds())


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _into_place(part: Path, target: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)
