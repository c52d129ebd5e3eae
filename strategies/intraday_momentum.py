"""Go with the session's first move: its return over the first minutes decides the direction.

Decided at the first price ``observe_minutes`` after the open, held until shortly before the close
(by the clock where no price comes) or until an exit rule. Tapes without prices in between, such
as daily ones, give no trade.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nautilus_trader.model import InstrumentId

from strategies.decider import ParamError
from strategies.exits import MINUTE_NS
from strategies.markets.facts import InstrumentFacts
from strategies.reasons import BPS, move_bps, price_text
from strategies.session_day import Seat, SessionDay, SessionParams, SessionStrategy


@dataclass(frozen=True, kw_only=True)
class IntradayMomentumParams(SessionParams):
    """A return of at least ``threshold_bps`` either way over ``observe_minutes`` is followed."""

    observe_minutes: int = 30
    threshold_bps: int = 50
    exit_minutes_before_close: int = 10

    def check(self, instruments: Mapping[InstrumentId, InstrumentFacts]) -> None:
        """Raise ParamError where the window cannot be observed."""
        super().check(instruments)
        if self.threshold_bps < 1:
            raise ParamError(f"parameter threshold_bps={self.threshold_bps} must be at least 1")
        if self.exit_minutes_before_close < 0:
            raise ParamError(
                f"parameter exit_minutes_before_close={self.exit_minutes_before_close}"
                " must be 0 or more"
            )


class IntradayMomentum(SessionStrategy[IntradayMomentumParams]):
    """Follow the early return of the session until shortly before its close."""

    params_type = IntradayMomentumParams
    wakes = True

    def open_window_minutes(self) -> int:
        """The open has to be seen before the observation ends."""
        return min(self.params.open_window_minutes, self.params.observe_minutes)

    def decision_ns(self, day: SessionDay) -> int:
        """Decide when the observation ends."""
        return day.open_ns + self.params.observe_minutes * MINUTE_NS

    def leave_ns(self, day: SessionDay) -> tuple[int, str]:
        """Leave before the close."""
        minutes = self.params.exit_minutes_before_close
        return day.close_ns - minutes * MINUTE_NS, f"time: {minutes} minutes before the close"

    def signal(self, seat: Seat, price_raw: int) -> tuple[int, str]:
        """Compare the price with the session's open."""
        open_raw, params = seat.day.open_raw, self.params
        if abs(price_raw - open_raw) * BPS < params.threshold_bps * open_raw:
            return 0, ""
        precision = seat.desk.precision
        reason = (
            f"momentum {move_bps(open_raw, price_raw):+} bps in {params.observe_minutes} minutes:"
            f" {price_text(price_raw, precision)} from open {price_text(open_raw, precision)}"
        )
        return (1 if price_raw > open_raw else -1), reason
