"""When a position is left whatever the strategy thinks: stop, take-profit, trailing stop, time.

Rule: all comparisons are on raw integers against levels fixed when the position changed. A level
that is touched counts as reached. The entry price is the average of the fills, rounded down to
one raw unit; bars are judged by their close, because their high and low have no order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nautilus_trader.model import InstrumentId

from strategies.decider import ParamError, Params, Strategy
from strategies.markets.facts import RAW_ONE, InstrumentFacts
from strategies.messages import Exit
from strategies.reasons import BPS, price_text

FOREVER_NS = 2**63 - 1
"""A moment that never comes."""

MINUTE_NS = 60_000_000_000
LONGEST_PAUSE_NS = 60 * MINUTE_NS

_NO_LOW = -(1 << 127)
_NO_HIGH = 1 << 127


@dataclass(frozen=True, kw_only=True)
class ExitParams(Params):
    """Exit rules; None switches a rule off.

    ``stop_bps`` and ``take_profit_bps`` are counted from the average entry price,
    ``trailing_stop_bps`` from the best price since entry, ``hold_minutes`` from the first fill
    (judged at the first price at or after that moment).
    """

    stop_bps: int | None = None
    take_profit_bps: int | None = None
    trailing_stop_bps: int | None = None
    hold_minutes: int | None = None

    def check(self, instruments: Mapping[InstrumentId, InstrumentFacts]) -> None:
        """Raise ParamError where a rule can never, or would always, be reached."""
        super().check(instruments)
        for name in ("stop_bps", "take_profit_bps", "trailing_stop_bps", "hold_minutes"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ParamError(
                    f"parameter {name}={value} must be above 0; leave it out to switch it off"
                )
        for name in ("stop_bps", "trailing_stop_bps"):
            value = getattr(self, name)
            if value is not None and value >= BPS:
                raise ParamError(
                    f"parameter {name}={value} is the whole price or more and can never be"
                    f" reached; use a value below {BPS}"
                )

    def has_exit(self) -> bool:
        """Tell whether any rule is switched on."""
        rules = (self.stop_bps, self.take_profit_bps, self.trailing_stop_bps, self.hold_minutes)
        return any(rule is not None for rule in rules)


class ExitRules:
    """The exit rules of one position; ask ``check`` at every price while ``armed``.

    An exit that came to nothing (refused, rejected) is asked for again after one minute of market
    time, then after two, four, ... up to an hour, as long as its rule still holds.
    """

    __slots__ = (
        "_best_raw",
        "_deadline_ns",
        "_deadline_why",
        "_entry_raw",
        "_high_raw",
        "_leaving",
        "_low_raw",
        "_params",
        "_pause_ns",
        "_position",
        "_precision",
        "_quiet_until_ns",
        "_ruled",
        "_sign",
        "_strategy",
        "_trailing",
        "armed",
        "instrument_id",
    )

    def __init__(
        self, strategy: Strategy[Any], instrument_id: InstrumentId, params: ExitParams
    ) -> None:
        self.instrument_id = instrument_id
        self.armed = False
        self._strategy = strategy
        self._params = params
        self._position = strategy.position(instrument_id)
        self._precision = strategy.instruments[instrument_id].price_precision
        self._trailing = params.trailing_stop_bps is not None
        self._ruled = params.has_exit()
        self._clear()

    def _clear(self) -> None:
        self._sign = 0
        self._entry_raw = self._best_raw = 0
        self._low_raw, self._high_raw = _NO_LOW, _NO_HIGH
        self._deadline_ns = FOREVER_NS
        self._deadline_why = ""
        self._leaving = ""
        self._quiet_until_ns = 0
        self._pause_ns = MINUTE_NS
        self.armed = False

    def refresh(self) -> bool:
        """Follow the position after a fill; True where this fill opened or turned it."""
        net_raw = self._position.net_raw
        sign = (net_raw > 0) - (net_raw < 0)
        turned = sign != self._sign
        if turned:
            self._clear()
            self._sign = sign
        if sign:
            self._set_levels(turned)
        return turned and sign != 0

    def check(self, price_raw: int, ts_ns: int) -> Exit | None:
        """Return the exit that is due at this price and moment, None while an order is pending."""
        if self._trailing:
            self._follow(price_raw)
        inside = self._low_raw < price_raw < self._high_raw and ts_ns < self._deadline_ns
        if inside and not self._leaving:
            return None
        if ts_ns < self._quiet_until_ns or self._strategy.is_pending(self.instrument_id):
            return None
        self._pause(ts_ns)
        return Exit(self.instrument_id, self._why(price_raw))

    def close_by(self, deadline_ns: int, why: str) -> None:
        """Have the position left at the first price at or after ``deadline_ns``, if not before."""
        if deadline_ns < self._deadline_ns:
            self._deadline_ns = deadline_ns
            self._deadline_why = why
        self._arm()

    def leave(self, ts_ns: int, why: str) -> Exit:
        """Return an exit the strategy decided itself, and ask again later if it fails."""
        self._leaving = why
        self._arm()
        self._pause(ts_ns)
        return Exit(self.instrument_id, why)

    def stay(self) -> None:
        """Take back a ``leave`` that came to nothing."""
        self._leaving = ""
        self._quiet_until_ns, self._pause_ns = 0, MINUTE_NS
        self._arm()

    def _arm(self) -> None:
        ruled = self._ruled or self._deadline_ns < FOREVER_NS
        self.armed = self._sign != 0 and (ruled or bool(self._leaving))

    def _set_levels(self, turned: bool) -> None:
        entry_raw = self._entry_raw = int(self._position.average_price() * RAW_ONE)
        if turned:
            self._best_raw = entry_raw
        params = self._params
        stop, take = params.stop_bps, params.take_profit_bps
        below, above = (stop, take) if self._sign > 0 else (take, stop)
        self._low_raw = _NO_LOW if below is None else _floor(entry_raw, BPS - below)
        self._high_raw = _NO_HIGH if above is None else _ceil(entry_raw, BPS + above)
        if self._trailing:
            self._trail()
        if params.hold_minutes is not None:
            held_ns = self._position.opened_ns + params.hold_minutes * MINUTE_NS
            self.close_by(held_ns, f"time: held for {params.hold_minutes} minutes")
        self._arm()

    def _follow(self, price_raw: int) -> None:
        if (price_raw - self._best_raw) * self._sign > 0:
            self._best_raw = price_raw
            self._trail()

    def _trail(self) -> None:
        bps = self._params.trailing_stop_bps or 0
        if self._sign > 0:
            self._low_raw = max(self._low_raw, _floor(self._best_raw, BPS - bps))
        else:
            self._high_raw = min(self._high_raw, _ceil(self._best_raw, BPS + bps))

    def _pause(self, ts_ns: int) -> None:
        self._quiet_until_ns = ts_ns + self._pause_ns
        self._pause_ns = min(2 * self._pause_ns, LONGEST_PAUSE_NS)

    def _why(self, price_raw: int) -> str:
        if price_raw <= self._low_raw:
            return self._level_why(price_raw, "<=", self._low_raw, self._sign > 0)
        if price_raw >= self._high_raw:
            return self._level_why(price_raw, ">=", self._high_raw, self._sign < 0)
        return self._leaving or self._deadline_why

    def _level_why(self, price_raw: int, sign: str, level_raw: int, lost: bool) -> str:
        price = price_text(price_raw, self._precision)
        level = price_text(level_raw, self._precision)
        entry = price_text(self._entry_raw, self._precision)
        best = price_text(self._best_raw, self._precision)
        params = self._params
        if not lost:
            rule, start = "take-profit", f"{params.take_profit_bps} bps from entry {entry}"
        elif level_raw == self._stop_raw():
            rule, start = "stop", f"{params.stop_bps} bps from entry {entry}"
        else:
            rule = "trailing stop"
            start = f"{params.trailing_stop_bps} bps from best {best}, entry {entry}"
        return f"{rule}: {price} {sign} {level}, {start}"

    def _stop_raw(self) -> int | None:
        bps = self._params.stop_bps
        if bps is None:
            return None
        long = self._sign > 0
        return _floor(self._entry_raw, BPS - bps) if long else _ceil(self._entry_raw, BPS + bps)


def _floor(raw: int, bps: int) -> int:
    return raw * bps // BPS


def _ceil(raw: int, bps: int) -> int:
    return -(-raw * bps // BPS)
