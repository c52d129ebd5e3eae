"""The kill switch: cancels every resting order, takes no new risk, closes positions on demand.

Way back: people let it go (or the drill's stated time does); nothing else does.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from nautilus_trader.model import InstrumentId

from strategies.capital.brakes.board import ALL, BrakeBoard
from strategies.capital.config import BrakeRules
from strategies.capital.ledger import VenueLedger
from strategies.messages import (
    BrakePulled,
    CapitalIntent,
    Flatten,
    KillAction,
    Revoke,
    Wake,
)

NAME = "kill_switch"
FLATTENING = "flatten"
PULL_TIMER, RELEASE_TIMER = "kill-switch", "kill-switch-release"


class KillSwitch:
    """Pulls, flattens and lets go; resting orders and positions are read from the ledgers."""

    def __init__(
        self, rules: BrakeRules, board: BrakeBoard, ledgers: Mapping[str, VenueLedger]
    ) -> None:
        self._rules = rules
        self._board = board
        self._ledgers = ledgers

    @property
    def is_pulled(self) -> bool:
        """Tell whether resting orders were cancelled and new risk is stopped."""
        return self._board.is_pulled(NAME, ALL)

    @property
    def flattens(self) -> bool:
        """Tell whether positions are being closed."""
        return self._board.is_pulled(FLATTENING, ALL)

    def on_start(self) -> Iterable[CapitalIntent]:
        """Ask to be woken for the drill the scenario states, if any."""
        for name, at_ns in (
            (PULL_TIMER, self._rules.kill_at_ns),
            (RELEASE_TIMER, self._rules.release_at_ns),
        ):
            if at_ns:
                yield Wake(name, at_ns, "the scenario's drill of the kill switch")

    def on_timer(self, name: str) -> Sequence[CapitalIntent]:
        """Carry out the drill."""
        if name == RELEASE_TIMER:
            return self.act(KillAction.RELEASE, "drill")
        wanted = KillAction.FLATTEN if self._rules.kill_flattens else KillAction.PULL
        return self.act(wanted, "drill")

    def act(self, action: KillAction, reason: str) -> Sequence[CapitalIntent]:
        """Pull, pull and flatten, or let go."""
        if action is KillAction.RELEASE:
            released = self._board.release(FLATTENING, ALL, reason)
            return (*released, *self._board.release(NAME, ALL, reason))
        out = [*self._board.pull(BrakePulled(NAME, ALL, 0, 0, reason)), *self._revoke(reason)]
        if action is KillAction.FLATTEN:
            out += self._board.pull(BrakePulled(FLATTENING, ALL, 0, 0, reason))
            out += self.flatten()
        return out

    def flatten(
        self, strategy: str | None = None, symbol: InstrumentId | None = None
    ) -> Iterator[CapitalIntent]:
        """Close what is open and not already being closed: one position, or all."""
        for ledger in self._ledgers.values():
            for (owner, instrument_id), holding in ledger.holdings.items():
                if symbol is not None and (owner, instrument_id) != (strategy, symbol):
                    continue
                if holding.net_raw and not any(ledger.pending(owner, instrument_id)):
                    yield Flatten(owner, instrument_id, "the kill switch closes what is open")

    def _revoke(self, reason: str) -> Iterator[CapitalIntent]:
        for ledger in self._ledgers.values():
            for order_id, held in ledger.reservations.items():
                yield Revoke(
                    held.strategy, order_id, held.facts.instrument_id, f"kill switch: {reason}"
                )
