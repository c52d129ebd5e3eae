"""A state machine as a table ``{state: {event: state}}``: a pair that is missing cannot happen.

Rule: all that changes a state goes through ``Machine.on``; what follows from a state is decided
by whoever owns the machine.
"""

from collections.abc import Mapping
from enum import StrEnum

from adapters.kis.errors import IllegalTransition


class Machine[S: StrEnum, E: StrEnum]:
    """The present state of one table."""

    def __init__(self, table: Mapping[S, Mapping[E, S]], state: S) -> None:
        self._table = table
        self.state = state

    def on(self, event: E) -> S:
        """Take an event and return the state after it. Raises IllegalTransition."""
        after = self._table[self.state].get(event)
        if after is None:
            kind = type(self.state).__name__
            raise IllegalTransition(f"{kind} {self.state} knows no {event}; this is a defect.")
        self.state = after
        return after

    def takes(self, event: E) -> bool:
        """Tell whether the event can happen now."""
        return event in self._table[self.state]
