"""Cools a strategy down after a number of losing round trips in a row.

A round trip is from flat to flat in one instrument, fees included. Way back: time; a winning round
trip (of another instrument, still open) starts the count anew but does not end the pause.
"""

from collections.abc import Sequence

from strategies.capital.brakes.board import BrakeBoard, of_strategy
from strategies.capital.config import SECOND_NS, BrakeRules
from strategies.messages import BrakePulled, CapitalIntent

NAME = "losing_streak"


class LosingStreak:
    """Counts losses in a row by strategy."""

    def __init__(self, rules: BrakeRules, board: BrakeBoard) -> None:
        self._most = rules.losing_streak
        self._pause_ns = rules.cooldown_ns
        self._board = board
        self.counts: dict[str, int] = {}

    def on_trip(self, strategy: str, profit_raw: int, ts_ns: int) -> Sequence[CapitalIntent]:
        """React to a finished round trip."""
        if not self._most:
            return ()
        count = self.counts.get(strategy, 0) + 1 if profit_raw < 0 else 0
        self.counts[strategy] = count
        if count < self._most:
            return ()
        self.counts[strategy] = 0
        words = f"{strategy} lost {count} times in a row: it rests {self._pause_ns // SECOND_NS} s"
        until_ns = ts_ns + self._pause_ns
        return self._board.pull(BrakePulled(NAME, of_strategy(strategy), 0, until_ns, words))
