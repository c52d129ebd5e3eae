"""What the capital manager did in a run, folded from its journal: shares, use, brakes, stages.

Rule: pure functions over decoded entries in their order; money stays the engine's Money. Lists of
these values are tables as they are: ``pandas.DataFrame(fold_capital(entries).uses)``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from nautilus_trader.model import Money

from catalog.journal import Entry
from strategies.messages import (
    AllocationSet,
    BrakePulled,
    BrakeReleased,
    CashCorrection,
    Flatten,
    Grant,
    Limit,
    Refusal,
    RepeatedFill,
    Revoke,
    StageChanged,
    StrategySample,
    StrategyStopped,
    TotalSample,
    VenueSample,
)

PPB = Decimal(10**9)


@dataclass(frozen=True, slots=True)
class Allocation:
    """A strategy's share of a venue from ``ts_ns`` on; ``base`` is before stage and brakes."""

    ts_ns: int
    venue: str
    strategy: str
    base: Decimal
    share: Decimal
    amount: Money
    reason: str


@dataclass(frozen=True, slots=True)
class Use:
    """What a strategy had at stake on a venue at a moment, and what it had made."""

    ts_ns: int
    venue: str
    strategy: str
    allocation: Money
    reserved: Money
    committed: Money
    profit: Money

    @property
    def part(self) -> Decimal:
        """How much of the allocation is used, 1 is all of it; 0 where there is none."""
        if not self.allocation.raw:
            return Decimal(0)
        return Decimal(self.reserved.raw + self.committed.raw) / self.allocation.raw


@dataclass(frozen=True, slots=True)
class VenueMoney:
    """A venue's money at a moment: equity = free + reserved + committed + unsettled."""

    ts_ns: int
    venue: str
    equity: Money
    free: Money
    reserved: Money
    committed: Money
    unsettled: Money
    marked: Money


@dataclass(frozen=True, slots=True)
class TotalMoney:
    """All venues' money in the base currency at a moment, at ``rates``."""

    ts_ns: int
    rates: str
    equity: Money
    free: Money
    reserved: Money
    committed: Money
    unsettled: Money
    marked: Money


@dataclass(slots=True)
class Brake:
    """One time that a brake held; ``released_ns`` of None: it held to the end of the run."""

    brake: str
    scope: str
    factor: Decimal
    pulled_ns: int
    reason: str
    released_ns: int | None = None
    release_reason: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """A strategy came to a stage of its roll-out, from 1."""

    ts_ns: int
    strategy: str
    stage: int
    stages: int
    share: Decimal
    reason: str


@dataclass(slots=True)
class RefusalCount:
    """How often a limit said no to a strategy, and the last time in words."""

    limit: Limit
    strategy: str
    count: int = 0
    instrument: str = ""
    asked: str = ""
    allowed: str = ""


@dataclass(slots=True)
class CapitalBooks:
    """All of it, in journal order; ``forced`` are orders cancelled and positions closed by it."""

    allocations: list[Allocation] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    venues: list[VenueMoney] = field(default_factory=list)
    totals: list[TotalMoney] = field(default_factory=list)
    brakes: list[Brake] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    grants: int = 0
    forced: list[tuple[int, Revoke | Flatten]] = field(default_factory=list)
    repeated_fills: int = 0
    corrections: list[CashCorrection] = field(default_factory=list)
    stopped: list[StrategyStopped] = field(default_factory=list)
    _refusals: dict[tuple[Limit, str], RefusalCount] = field(default_factory=dict)

    def refusals(self) -> Sequence[RefusalCount]:
        """Return refusals by limit and strategy, the most frequent first."""
        return sorted(
            self._refusals.values(), key=lambda one: (-one.count, one.limit, one.strategy)
        )

    def latest_uses(self) -> Sequence[Use]:
        """Return the last sample of every strategy and venue."""
        latest = {(use.venue, use.strategy): use for use in self.uses}
        return tuple(latest.values())

    def latest_allocations(self) -> Sequence[Allocation]:
        """Return the share that every strategy and venue ended with."""
        latest = {(one.venue, one.strategy): one for one in self.allocations}
        return tuple(latest.values())

    def highest_use(self, venue: str, strategy: str) -> Use | None:
        """Return the sample in which the most of the allocation was used."""
        own = [use for use in self.uses if (use.venue, use.strategy) == (venue, strategy)]
        return max(own, key=lambda use: use.part, default=None)

    def add(self, entry: Entry) -> None:
        """Fold one entry in."""
        ts_ns = entry.ts_ns
        match entry.message:
            case AllocationSet(venue, strategy, base, share, amount, reason):
                self.allocations.append(
                    Allocation(ts_ns, venue, strategy, base / PPB, share / PPB, amount, reason)
                )
            case StrategySample(venue, strategy, allocation, reserved, committed, profit):
                self.uses.append(
                    Use(ts_ns, venue, strategy, allocation, reserved, committed, profit)
                )
            case VenueSample(venue, equity, free, reserved, committed, unsettled, marked):
                self.venues.append(
                    VenueMoney(ts_ns, venue, equity, free, reserved, committed, unsettled, marked)
                )
            case TotalSample(rates, equity, free, reserved, committed, unsettled, marked):
                parts = (equity, free, reserved, committed, unsettled, marked)
                self.totals.append(TotalMoney(ts_ns, rates, *parts))
            case StageChanged(strategy, stage, stages, share, reason):
                self.stages.append(Stage(ts_ns, strategy, stage, stages, share / PPB, reason))
            case BrakePulled() | BrakeReleased() as change:
                self._brake(change, ts_ns)
            case Refusal() as refusal:
                self._refuse(refusal)
            case Revoke() | Flatten() as forced:
                self.forced.append((ts_ns, forced))
            case Grant():
                self.grants += 1
            case RepeatedFill():
                self.repeated_fills += 1
            case CashCorrection() as correction:
                self.corrections.append(correction)
            case StrategyStopped() as stopped:
                self.stopped.append(stopped)

    def _brake(self, change: BrakePulled | BrakeReleased, ts_ns: int) -> None:
        """Begin or end the time of a brake; one pulled further ends one time and begins another."""
        for one in self.brakes:
            if one.released_ns is None and (one.brake, one.scope) == (change.brake, change.scope):
                one.released_ns = ts_ns
                one.release_reason = change.reason
        if isinstance(change, BrakePulled):
            factor = change.factor_ppb / PPB
            self.brakes.append(Brake(change.brake, change.scope, factor, ts_ns, change.reason))

    def _refuse(self, refusal: Refusal) -> None:
        key = (refusal.limit, refusal.strategy)
        found = self._refusals.setdefault(key, RefusalCount(refusal.limit, refusal.strategy))
        found.count += 1
        found.instrument = str(refusal.instrument_id)
        found.asked, found.allowed = refusal.asked, refusal.allowed


def fold_capital(entries: Iterable[Entry]) -> CapitalBooks:
    """Return what the capital manager did, from a run's entries in journal order."""
    books = CapitalBooks()
    for entry in entries:
        books.add(entry)
    return books
