"""A journal that says aloud what people watching a live run want to see, as it is written.

Rule: every entry goes on unchanged; what is shown is the entry's own words.
"""

from catalog.journal.chain import Entry
from catalog.words import common_zone, describe, format_time, instrument_of, zone_of
from scenarios.screen import Screen
from strategies.messages import OrderState, OrderUpdate
from strategies.ports import Journal, Kind

SHOWN = frozenset({Kind.FILL, Kind.REFUSAL, Kind.KILL, Kind.CASH, Kind.FAULT})
BAD = frozenset({OrderState.REJECTED, OrderState.DENIED, OrderState.CANCEL_REJECTED})


class SpokenJournal:
    """Hands every entry on to a run's journal and shows some of them."""

    def __init__(self, journal: Journal, screen: Screen, venues: tuple[str, ...]) -> None:
        self._journal = journal
        self._screen = screen
        self._zone = common_zone(venues)

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
        """Add one entry; see ``Journal``."""
        self._journal.append(entry_id, ts_ns, kind, source, cause_id, workflow_id, message)
        if kind in SHOWN or (isinstance(message, OrderUpdate) and message.state in BAD):
            entry = Entry(entry_id, ts_ns, kind, source, cause_id, workflow_id, message)
            second_ns = ts_ns - ts_ns % 1_000_000_000
            zone = zone_of(instrument_of(entry)) or self._zone
            self._screen.line(f"{format_time(second_ns, zone, date=False)}  {describe(entry)}")

    def flush(self) -> None:
        """Commit everything so far; see ``Journal``."""
        self._journal.flush()
