"""The append-only log of every run, in SQLite or PostgreSQL: the authority, all else is a fold."""

from catalog.journal.chain import Entry, JournalCorrupt
from catalog.journal.memory import MemoryJournal
from catalog.journal.store import JournalStore, RawEntry, TapeBlock, open_journal
from catalog.journal.writer import RunJournal

__all__ = [
    "Entry",
    "JournalCorrupt",
    "JournalStore",
    "MemoryJournal",
    "RawEntry",
    "RunJournal",
    "TapeBlock",
    "open_journal",
]
