"""Scales a venue's allocations down, step by step, while its marked equity is below its peak.

Way back: a step lets go when the drawdown has shrunk to a part of it, or when the step has held
for a stated time and the peak starts anew from where the equity is.
"""

from collections.abc import Sequence
from decimal import Decimal

from nautilus_trader.model import Currency

from strategies.capital.asks import money
from strategies.capital.brakes.board import BrakeBoard, of_venue
from strategies.capital.config import BrakeRules, ppb
from strategies.capital.limits.prices import BPS
from strategies.markets.facts import PPB
from strategies.messages import BrakePulled, CapitalIntent

NAME = "drawdown"


class DrawdownSteps:
    """Keeps the peak of each venue."""

    def __init__(self, rules: BrakeRules, board: BrakeBoard) -> None:
        self._steps = tuple((bps, ppb(factor)) for bps, factor in sorted(rules.drawdown_steps))
        self._release_ppb = ppb(rules.drawdown_release)
        self._reset_ns = rules.drawdown_reset_ns
        self._board = board
        self.peaks_raw: dict[str, int] = {}
        self.held_since_ns: dict[str, int] = {}

    def look(
        self, venue: str, equity_raw: int, currency: Currency, ts_ns: int
    ) -> Sequence[CapitalIntent]:
        """React to a venue's marked equity."""
        if not self._steps:
            return ()
        since_ns = self.held_since_ns.get(venue)
        if since_ns is not None and self._reset_ns and ts_ns - since_ns >= self._reset_ns:
            self.peaks_raw[venue] = equity_raw
        peak = max(self.peaks_raw.get(venue, equity_raw), equity_raw)
        self.peaks_raw[venue] = peak
        down = peak - equity_raw
        wanted = self._factor(venue, down, peak)
        scope = of_venue(venue)
        words = (
            f"equity {money(equity_raw, currency)} is {percent(down, peak)} % below its peak "
            f"{money(peak, currency)}"
        )
        if wanted == PPB:
            self.held_since_ns.pop(venue, None)
            return self._board.release(NAME, scope, words)
        self.held_since_ns.setdefault(venue, ts_ns)
        words += f": allocations times {Decimal(wanted) / PPB}"
        return self._board.pull(BrakePulled(NAME, scope, wanted, 0, words))

    def _factor(self, venue: str, down: int, peak: int) -> int:
        """Return the factor of the deepest step reached, or held and not let go yet."""
        holds = self._board.pulled.get((NAME, of_venue(venue)))
        factor = PPB
        for bps, step in self._steps:
            at = peak * bps
            is_held = holds is not None and holds.factor_ppb <= step
            if down * BPS >= at or (is_held and down * BPS * PPB >= at * self._release_ppb):
                factor = min(factor, step)
        return factor


def percent(part: int, whole: int) -> Decimal:
    """Return part of whole in percent, to two digits, rounded down."""
    return Decimal(part * BPS // whole if whole > 0 else 0) / 100
