"""Go with the day's trend shortly before the close, and hold overnight or until the close.

Decided at the first price inside the last minutes of the session, never at the close itself.
Positions are left at a set moment, by the clock where no price comes. Tapes without prices near
the close, such as daily ones, give no trade.
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
class ClosingTrendParams(SessionParams):
    """A return of at least ``threshold_bps`` since the open is followed.

    ``exit``: "next_open" holds overnight and leaves ``exit_minutes_after_open`` into the next
    session, "close" leaves ``exit_minutes_before_close`` in the same one.
    """

    minutes_before_close: int = 20
    threshold_bps: int = 100
    exit: Literal["next_open", "close"] = "next_open"
    exit_minutes_after_open: int = 5
    exit_minutes_before_close: int = 1

    def check(self, instruments: Mapping[InstrumentId, InstrumentFacts]) -> None:
        """Raise ParamError where the entry would come after the exit."""
        super().check(instruments)
        for name in ("minutes_before_close", "threshold_bps"):
            if getattr(self, name) < 1:
                raise ParamError(f"parameter {name}={getattr(self, name)} must be at least 1")
        for name in ("exit_minutes_after_open", "exit_minutes_before_close"):
            if getattr(self, name) < 0:
                raise ParamError(f"parameter {name}={getattr(self, name)} must be 0 or more")
        if self.exit == "close" and self.exit_minutes_before_close >= self.minutes_before_close:
            raise ParamError(
                f"parameter exit_minutes_before_close={self.exit_minutes_before_close} must be"
                f" below minutes_before_close={self.minutes_before_close}: the entry comes first"
            )


class ClosingTrend(SessionStrategy[ClosingTrendParams]):
    """Follow the day's return from shortly before the close."""

    params_type = ClosingTrendParams
    wakes = True

    def decision_ns(self, day: SessionDay) -> int:
        """Decide shortly before the close."""
        return day.close_ns - self.params.minutes_before_close * MINUTE_NS

    def leave_ns(self, day: SessionDay) -> tuple[int, str]:
        """Leave near this close or after the next open, set later where that is not known yet."""
        params = self.params
        if params.exit == "close":
            minutes = params.exit_minutes_before_close
            return day.close_ns - minutes * MINUTE_NS, f"time: {minutes} minutes before the close"
        following = day.following()
        return (FOREVER_NS, "") if following is None else self._after_open(following.open_ns)

    def signal(self, seat: Seat, price_raw: int) -> tuple[int, str]:
        """Compare the price with the session's open."""
        open_raw, params = seat.day.open_raw, self.params
        if abs(price_raw - open_raw) * BPS < params.threshold_bps * open_raw:
            return 0, ""
        precision = seat.desk.precision
        reason = (
            f"day's trend {move_bps(open_raw, price_raw):+} bps before the close:"
            f" {price_text(price_raw, precision)} from open {price_text(open_raw, precision)}"
        )
        return (1 if price_raw > open_raw else -1), reason

    def start(self, seat: Seat, open_raw: int, ts_ns: int) -> None:
        """Give a position held overnight its deadline where the calendar did not know it."""
        super().start(seat, open_raw, ts_ns)
        if self.params.exit == "next_open":
            seat.exits.close_by(*self._after_open(seat.day.open_ns))

    def _after_open(self, open_ns: int) -> tuple[int, str]:
        minutes = self.params.exit_minutes_after_open
        return open_ns + minutes * MINUTE_NS, f"time: {minutes} minutes after the open"
