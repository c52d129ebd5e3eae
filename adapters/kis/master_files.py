"""KIS's master files of a day: downloaded once, kept on disk, yesterday's where there are none.

Rule: they are public, so a request for them carries no key; what cannot be read as a master is
never kept. A kept set is used on its own Seoul day; on later ones only where no other can be had.
A node at another server than KIS's asks KIS for nothing, its lists among it.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from adapters.kis.config import MASTER_URL, KisConfig
from adapters.kis.connection import Connections, Reply
from adapters.kis.errors import VenueBusy
from adapters.kis.instruments import (
    FILES,
    NXT_FILES,
    Board,
    Listing,
    master_codes,
    read_master,
    unzip,
)
from adapters.kis.private_files import write_private
from adapters.kis.requests import Wire
from adapters.kis.ticks import seoul_day
from adapters.kis.timing import Timing
from strategies.errors import BadInput

_KEPT_DAYS = 3
_NAMES = (*FILES.values(), *NXT_FILES.values())

type Archives = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Masters:
    """Every listing by its code; ``day`` is the Seoul day (YYYYMMDD) the files are of.

    ``is_fresh`` says that they were downloaded just now.
    """

    day: str
    listings: Mapping[str, Listing]
    is_fresh: bool = False


class MasterFiles:
    """The master files of one address, kept below ``folder``; ``say`` is told what is amiss."""

    def __init__(
        self, config: KisConfig, folder: Path, timing: Timing, say: Callable[[str], None]
    ) -> None:
        self._url = config.master_url
        self._is_foreign = config.master_url == MASTER_URL and not config.is_kis
        self._timeout_ns = config.limits.master_timeout_ns
        self._retries = min(config.limits.retries, 1)
        self._folder = folder
        self._timing = timing
        self._say = say
        owner = hashlib.sha256(config.master_url.encode()).hexdigest()[:16]
        self._prefix = f"kis-master-{owner}-"

    async def read(self, *, anew: bool = False) -> Masters | None:
        """Return today's masters, older ones where they cannot be had, None where there are none.

        ``anew`` downloads them although today's are kept.
        """
        if self._is_foreign:
            self._say(
                "No master files are read: the server is not KIS's, and ONETAPE_KIS_MASTER_URL "
                "does not say where its lists are."
            )
            return None
        today = seoul_day(self._timing.wall_ns())
        kept = None if anew else self._kept(today)
        if kept is not None:
            return kept
        try:
            archives = await self._download()
            listings = _listings(archives)
        except (BadInput, VenueBusy) as error:
            return self._older(str(error))
        self._keep(today, archives)
        return Masters(today, listings, is_fresh=True)

    # --- the venue ---

    async def _download(self) -> Archives:
        """Return the archives by name. Raises VenueBusy and BadInput; NXT's may be missing."""
        connections = Connections(
            self._url, self._timing, self._timeout_ns, "ONETAPE_KIS_MASTER_URL"
        )
        try:
            archives = {name: await self._fetch(connections, name) for name in FILES.values()}
            try:
                for name in NXT_FILES.values():
                    archives[name] = await self._fetch(connections, name)
            except VenueBusy as error:
                self._say(f"{error} No share is known to trade on NXT.")
        finally:
            await connections.close()
        return archives

    async def _fetch(self, connections: Connections, name: str) -> bytes:
        wire = Wire(method="GET", target=f"/{name}", headers={})
        for attempt in range(self._retries + 1):
            if attempt:
                await self._timing.sleep_ns(VenueBusy.wait_ns)
            outcome = await connections.send(wire)
            if isinstance(outcome, Reply) and outcome.status == 200:
                return outcome.body
            if isinstance(outcome, Reply) and outcome.status < 500:
                break
        if isinstance(outcome, Reply):
            raise VenueBusy(f"KIS's {name} could not be had (status {outcome.status}).")
        raise VenueBusy(f"KIS's {name} could not be had: the answer {outcome.how}.")

    # --- the disk ---

    def _path(self, day: str, name: str) -> Path:
        return self._folder / f"{self._prefix}{day}-{name}"

    def _kept(self, day: str) -> Masters | None:
        """Return the masters kept of a day, None where they are not whole."""
        archives = {}
        for name in _NAMES:
            with suppress(OSError):
                archives[name] = self._path(day, name).read_bytes()
        if not archives.keys() >= set(FILES.values()):
            return None
        try:
            return Masters(day, _listings(archives))
        except BadInput:
            return None

    def _older(self, why: str) -> Masters | None:
        for day in self._kept_days():
            kept = self._kept(day)
            if kept is not None:
                self._say(f"{why.rstrip('.')}; those of {_dashed(day)} are used.")
                return kept
        self._say(why)
        return None

    def _kept_days(self) -> list[str]:
        """Return the days of which anything is kept, newest first."""
        try:
            found = [path.name for path in self._folder.iterdir()]
        except OSError:
            return []
        start = len(self._prefix)
        return sorted(
            {name[start : start + 8] for name in found if name.startswith(self._prefix)},
            reverse=True,
        )

    def _keep(self, day: str, archives: Archives) -> None:
        try:
            for name, content in archives.items():
                write_private(self._path(day, name), content)
            for path in self._outdated():
                path.unlink(missing_ok=True)
        except OSError as error:
            self._say(
                f"KIS's master files cannot be kept in {self._folder} ({error.strerror}): they "
                "are downloaded again next time."
            )

    def _outdated(self) -> Iterator[Path]:
        for day in self._kept_days()[_KEPT_DAYS:]:
            yield from self._folder.glob(f"{self._prefix}{day}-*")


def _listings(archives: Archives) -> dict[str, Listing]:
    """Return all listings of a set of archives. Raises BadInput."""
    found: dict[str, Listing] = {}
    for board, name in FILES.items():
        on_nxt = _nxt_codes(archives, board)
        members = read_master(unzip(archives[name], name), board, nxt_codes=on_nxt)
        found |= {listing.code: listing for listing in members}
    return found


def _nxt_codes(archives: Archives, board: Board) -> frozenset[str]:
    name = NXT_FILES[board]
    if name not in archives:
        return frozenset()
    return master_codes(read_master(unzip(archives[name], name), board, name=name))


def _dashed(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:]}"
