"""The hash chain of one run's entries.

Rule: only what a re-run reproduces is hashed - id, market time, cause, workflow, kind, source and
payload; no run id, wall clock or random id - so equal runs have equal heads on any machine.
"""

from hashlib import sha256
from typing import NamedTuple

from strategies.errors import RunFailed
from strategies.ports import Kind, split_id

GENESIS = sha256(b"onetape journal, chain 1").digest()
"""What the first entry is chained to."""


class Entry(NamedTuple):
    """One decoded journal entry; ``message`` is a value of strategies.messages, or text."""

    id: int
    ts_ns: int
    kind: Kind
    source: str
    cause_id: int
    workflow_id: int
    message: object

    @property
    def seq(self) -> int:
        """Number of the delivery this entry belongs to."""
        return split_id(self.id)[0]


class JournalCorrupt(RunFailed):
    """A run's entries are not the ones that were written; the text says where it shows first."""


def link(
    head: bytes,
    entry_id: int,
    ts_ns: int,
    kind: str,
    source: str,
    cause_id: int,
    workflow_id: int,
    payload: bytes,
) -> bytes:
    """Return the chain's new head after one entry.

    The source's length stands before it, so that no two different entries have the same bytes.
    """
    row = f"{entry_id} {ts_ns} {cause_id} {workflow_id} {kind} {len(source)} {source} "
    return sha256(head + row.encode() + payload).digest()


def place(entry_id: int) -> str:
    """Return an entry's id and delivery number for people."""
    return f"entry {entry_id} (seq {split_id(entry_id)[0]})"
