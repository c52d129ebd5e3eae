"""Trade a close beyond the extremes of the last bars when volume confirms it.

All comparisons are on integers: a close equal to the old extreme is no breakout, a volume equal to
the required one confirms. A close beyond the opposite extreme leaves the position, whatever the
volume. Give an instrument one bar size only: all its bars enter the same window.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from nautilus_trader.model import Bar, InstrumentId

from strategies.decider import Intents, ParamError, Setup
from strategies.entries import Desk, TradeParams, TradingStrategy
from strategies.markets.facts import InstrumentFacts
from strategies.reasons import price_text


@dataclass(frozen=True, kw_only=True)
class VolumeBreakoutParams(TradeParams):
    """The bar's volume must be at least ``volume_ratio`` times the mean of the bars before it."""

    lookback_bars: int = 20
    volume_ratio: Decimal = Decimal(2)

    def check(self, instruments: Mapping[InstrumentId, InstrumentFacts]) -> None:
        """Raise ParamError where there is no window or no ratio."""
        super().check(instruments)
        if self.lookback_bars < 1:
            raise ParamError(f"parameter lookback_bars={self.lookback_bars} must be at least 1")
        if not self.volume_ratio.is_finite() or self.volume_ratio <= 0:
            raise ParamError(f"parameter volume_ratio={self.volume_ratio} must be above 0")


class _Extreme:
    """The largest of the last ``length`` values, in constant time per value on average."""

    __slots__ = ("_count", "_length", "_window")

    def __init__(self, length: int) -> None:
        self._length = length
        self._count = 0
        self._window: deque[tuple[int, int]] = deque()

    def largest(self) -> int:
        return self._window[0][1]

    def push(self, value: int) -> None:
        window = self._window
        while window and window[-1][1] <= value:
            window.pop()
        window.append((self._count, value))
        self._count += 1
        if window[0][0] <= self._count - self._length - 1:
            window.popleft()


class _Channel:
    __slots__ = ("_highs", "_lows", "_volumes", "desk", "volume_sum")

    def __init__(self, desk: Desk, length: int) -> None:
        self.desk = desk
        self._highs = _Extreme(length)
        self._lows = _Extreme(length)
        self._volumes: deque[int] = deque(maxlen=length)
        self.volume_sum = 0

    def is_full(self) -> bool:
        return len(self._volumes) == self._volumes.maxlen

    def high_raw(self) -> int:
        return self._highs.largest()

    def low_raw(self) -> int:
        return -self._lows.largest()

    def push(self, bar: Bar, volume_raw: int) -> None:
        if self.is_full():
            self.volume_sum -= self._volumes[0]
        self._volumes.append(volume_raw)
        self.volume_sum += volume_raw
        self._highs.push(bar.high.raw)
        self._lows.push(-bar.low.raw)


class VolumeBreakout(TradingStrategy[VolumeBreakoutParams]):
    """Buy a close above the highest high on high volume, leave or turn on the opposite."""

    params_type = VolumeBreakoutParams

    def __init__(self, setup: Setup[VolumeBreakoutParams]) -> None:
        super().__init__(setup)
        length = setup.params.lookback_bars
        above, below = setup.params.volume_ratio.as_integer_ratio()
        self._needed = above  # volume * length * below >= above * sum of the last volumes
        self._scale = length * below
        self._channels = {key: _Channel(desk, length) for key, desk in self.desks.items()}

    def on_bar(self, bar: Bar) -> Intents:
        """Compare a bar with those before it, then take it in."""
        channel = self._channels[bar.bar_type.instrument_id]
        price_raw, volume_raw = bar.close.raw, bar.volume.raw
        intents = None
        if channel.is_full():
            if price_raw > channel.high_raw():
                intents = self._broke(channel, 1, bar, volume_raw)
            elif price_raw < channel.low_raw():
                intents = self._broke(channel, -1, bar, volume_raw)
        channel.push(bar, volume_raw)
        exits = channel.desk.exits
        if intents or not exits.armed:
            return intents
        leave = exits.check(price_raw, bar.ts_event)
        return (leave,) if leave else None

    def _broke(self, channel: _Channel, sign: int, bar: Bar, volume_raw: int) -> Intents:
        enough = volume_raw * self._scale >= self._needed * channel.volume_sum
        desk = channel.desk
        if enough and volume_raw > 0:
            return self.want(desk, sign, self._why(channel, sign, bar), bar.ts_event)
        if desk.position.net_raw * sign < 0:
            return self.want(desk, 0, self._why(channel, sign, bar), bar.ts_event)
        return None

    def _why(self, channel: _Channel, sign: int, bar: Bar) -> str:
        bars, precision = self.params.lookback_bars, channel.desk.precision
        old = channel.high_raw() if sign > 0 else channel.low_raw()
        words = "above the highest high" if sign > 0 else "below the lowest low"
        mean = price_text(channel.volume_sum // bars, bar.volume.precision)
        return (
            f"close {bar.close} {words} {price_text(old, precision)} of {bars} bars,"
            f" volume {bar.volume} against a mean of {mean}"
        )
