"""Trade the opening gap: the session's open against the close of the session directly before.

Decided at the session's first price (an opening print, or the first bar's close on tapes without
one). Positions are left by price, time or near the close, always at a market event: on a daily
tape that is the bar at the close, and the exit order executes at the event after it. The previous
close is the last price this object saw of the session before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nautilus_trader.model import InstrumentId

from strategies.decider import ParamError
from strategies.exits import FOREVER_NS, MINUTE_NS
from strategies.markets.facts import InstrumentFacts
from strategies.reasons import BPS, move_bps, price_text
from strategies.session_day import Seat, SessionDay, SessionParams, SessionStrategy


@dataclass(frozen=True, kw_only=True)
class GapParams(SessionParams):
    """Gaps of ``min_gap_bps`` to ``max_gap_bps`` (both included) are traded.

    ``direction``: "fade" trades against the gap, "follow" with it. ``exit_at_close`` leaves
    ``exit_minutes_before_close`` before the session ends; switched off, only the exit rules do.
    """

    min_gap_bps: int = 100
    max_gap_bps: int = 1_000
    direction: Literal["fade", "follow"] = "fade"
    exit_at_close: bool = True
    exit_minutes_before_close: int = 10

    def check(self, instruments: Mapping[InstrumentId, InstrumentFacts]) -> None:
        """Raise ParamError where no gap could be traded or no position ever left."""
        super().check(instruments)
        if not 0 < self.min_gap_bps <= self.max_gap_bps:
            raise ParamError(
                f"parameters min_gap_bps={self.min_gap_bps} and max_gap_bps={self.max_gap_bps}"
                " must be above 0 and in this order"
            )
        if self.exit_minutes_before_close < 0:
            raise ParamError(
                f"parameter exit_minutes_before_close={self.exit_minutes_before_close}"
                " must be 0 or more"
            )
        if not self.exit_at_close and not self.has_exit():
            raise ParamError(
                "parameter exit_at_close=false leaves no way out of a position; add stop_bps,"
                " take_profit_bps, trailing_stop_bps or hold_minutes"
            )


class GapTrading(SessionStrategy[GapParams]):
    """Fade or follow the opening gap, once a session."""

    params_type = GapParams

    def decision_ns(self, day: SessionDay) -> int:
        """Decide at the open."""
        return day.open_ns

    def leave_ns(self, day: SessionDay) -> tuple[int, str]:
        """Leave before the close, or by the exit rules alone."""
        minutes = self.params.exit_minutes_before_close
        if not self.params.exit_at_close:
            return FOREVER_NS, ""
        return day.close_ns - minutes * MINUTE_NS, f"time: {minutes} minutes before the close"

    def signal(self, seat: Seat, price_raw: int) -> tuple[int, str]:  # noqa: ARG002 - the open decides
        """Compare the open with the previous close."""
        day, params = seat.day, self.params
        before, now = day.previous_close_raw, day.open_raw
        size = abs(now - before) * BPS
        if not params.min_gap_bps * before <= size <= params.max_gap_bps * before:
            return 0, ""  # also where the close before is unknown: no size is within 0 to 0
        up = now > before
        precision = seat.desk.precision
        reason = (
            f"gap {move_bps(before, now):+} bps: open {price_text(now, precision)} against"
            f" previous close {price_text(before, precision)}, {params.direction}"
        )
        return (1 if up == (params.direction == "follow") else -1), reason
