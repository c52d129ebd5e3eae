"""A journal that lives as long as its object: for tests and for re-executions."""

from catalog.codec import encode
from catalog.journal.chain import GENESIS, Entry, link, place
from strategies.errors import InvariantBroken
from strategies.ports import Kind


class MemoryJournal:
    """Keeps entries in a list; same order, head and digest as a journal in a database."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._head = self._digest = GENESIS

    @property
    def head(self) -> str:
        """Hash over all entries, as hex text."""
        return self._head.hex()

    @property
    def digest(self) -> str:
        """Hash over all entries but ENDED, as hex text."""
        return self._digest.hex()

    def append(
        self,
        entry_id: int,
        ts_ns: int,
        kind: Kind,
        source: str,
        cause_id: int,
        workflow_id: int,
        message: object,
    ) -> None:
        """Add one entry; ids ascend, or InvariantBroken is raised."""
        if self.entries and entry_id <= self.entries[-1].id:
            raise InvariantBroken(f"{place(entry_id)} is not after {place(self.entries[-1].id)}.")
        row = (entry_id, ts_ns, kind, source, cause_id, workflow_id)
        self._head = link(self._head, *row, encode(message))
        if kind is not Kind.ENDED:
            self._digest = self._head
        self.entries.append(Entry(*row, message))

    def flush(self) -> None:
        """Do nothing: memory is as durable as it gets here."""
