"""Which brakes are pulled, and what they hold.

Rule: a brake is pulled and let go by name and scope; both are journalled, and a board folded from
those two messages is the same board. A brake with a time is let go when that time has come.
"""

from collections.abc import Sequence

from strategies.markets.facts import PPB
from strategies.messages import BrakePulled, BrakeReleased, CapitalIntent, Wake

ALL = "all"
TIMER = "brakes"
"""The alarm at which brakes with a time are looked at."""


def of_strategy(name: str) -> str:
    """Return the scope of one strategy."""
    return f"strategy {name}"


def of_venue(name: str) -> str:
    """Return the scope of one venue."""
    return f"venue {name}"


class BrakeBoard:
    """Answers what holds a strategy on a venue, in a few dictionary look-ups."""

    def __init__(self) -> None:
        self.pulled: dict[tuple[str, str], BrakePulled] = {}
        self._stops: dict[str, BrakePulled] = {}
        self._factors: dict[str, int] = {}

    def stop(self, strategy: str, venue: str) -> BrakePulled | None:
        """Return the brake that stops new risk here, if one does."""
        stops = self._stops
        if not stops:
            return None
        return stops.get(ALL) or stops.get(of_strategy(strategy)) or stops.get(of_venue(venue))

    def factor_ppb(self, venue: str) -> int:
        """Return what the venue's allocations are multiplied by."""
        return self._factors.get(of_venue(venue), PPB)

    def is_pulled(self, brake: str, scope: str) -> bool:
        """Tell whether a brake holds a scope."""
        return (brake, scope) in self.pulled

    def pull(self, pulled: BrakePulled) -> Sequence[CapitalIntent]:
        """Pull a brake; one that holds with the same factor already stays as it is."""
        before = self.pulled.get((pulled.brake, pulled.scope))
        if before is not None and before.factor_ppb == pulled.factor_ppb:
            return ()
        self.fold(pulled)
        alarm = self.alarm() if pulled.until_ns else ()
        return (pulled, *alarm)

    def release(self, brake: str, scope: str, reason: str) -> Sequence[CapitalIntent]:
        """Let a brake go."""
        if (brake, scope) not in self.pulled:
            return ()
        released = BrakeReleased(brake, scope, reason)
        self.fold(released)
        return (released,)

    def on_time(self, ts_ns: int) -> Sequence[CapitalIntent]:
        """Let go what is over."""
        due = [one for one in self.pulled.values() if one.until_ns and one.until_ns <= ts_ns]
        done = [
            out for one in due for out in self.release(one.brake, one.scope, "its time is over")
        ]
        return (*done, *self.alarm()) if due else ()

    def alarm(self) -> Sequence[CapitalIntent]:
        """Ask to be woken when the next brake is over."""
        times = [one.until_ns for one in self.pulled.values() if one.until_ns]
        return (Wake(TIMER, min(times), "a brake is over then"),) if times else ()

    def fold(self, change: BrakePulled | BrakeReleased) -> None:
        """Take one change over, from ourselves or from a journal."""
        key = (change.brake, change.scope)
        if isinstance(change, BrakePulled):
            self.pulled[key] = change
        else:
            self.pulled.pop(key, None)
        self._stops = {}
        self._factors = {}
        for one in self.pulled.values():
            if one.factor_ppb == 0:
                self._stops.setdefault(one.scope, one)
            before = self._factors.get(one.scope, PPB)
            self._factors[one.scope] = min(before, one.factor_ppb)
