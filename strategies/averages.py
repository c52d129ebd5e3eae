"""Pairs of moving averages on integers, and the strategy that trades where they cross.

Rule: averages are compared as integers, never as floats. Tie rule: equal averages keep the
previous side. The side is unknown until the first strict inequality after warm-up, which sets it
without trading; a crossing is a change of side after that.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from nautilus_trader.model import Bar, InstrumentId, TradeTick

from strategies.decider import Intents, ParamError, Setup
from strategies.entries import Desk, TradeParams, TradingStrategy
from strategies.markets.facts import InstrumentFacts
from strategies.reasons import Ratio, pair_text

EMA_BITS = 32
"""Binary digits an EMA keeps below the engine's raw unit."""


class AveragePair(Protocol):
    """A fast and a slow average of the same prices."""

    def update(self, price_raw: int) -> int:
        """Take one price; 1 where fast crossed above slow, -1 where below, 0 otherwise."""

    def values(self) -> tuple[Ratio, Ratio]:
        """Return (fast, slow) in raw price units."""


class SmaPair:
    """Two simple moving averages: rolling sums of raw prices, compared cross-multiplied."""

    __slots__ = ("_at", "_fast", "_fast_sum", "_missing", "_ring", "_side", "_slow", "_slow_sum")

    def __init__(self, fast: int, slow: int) -> None:
        self._fast = fast
        self._slow = slow
        self._ring = [0] * slow
        self._at = 0
        self._missing = slow
        self._fast_sum = 0
        self._slow_sum = 0
        self._side = 0

    def update(self, price_raw: int) -> int:
        """Take one price; 1 where fast crossed above slow, -1 where below, 0 otherwise."""
        ring = self._ring
        at = self._at
        fast_sum = self._fast_sum = self._fast_sum + price_raw - ring[at - self._fast]
        slow_sum = self._slow_sum = self._slow_sum + price_raw - ring[at]
        ring[at] = price_raw
        at += 1
        self._at = at if at < self._slow else 0
        if self._missing > 1:
            self._missing -= 1
            return 0
        fast, slow, side = fast_sum * self._slow, slow_sum * self._fast, self._side
        if (fast > slow and side <= 0) or (fast < slow and side >= 0):
            self._side = 1 if fast > slow else -1
            return self._side if side else 0
        return 0

    def values(self) -> tuple[Ratio, Ratio]:
        """Return (fast, slow) in raw price units; defined once ``slow`` prices were taken."""
        return (self._fast_sum, self._fast), (self._slow_sum, self._slow)


class EmaPair:
    """Two exponential moving averages in fixed point, alpha = 2 / (n + 1).

    Values are integers of 2**-32 raw units. The first price seeds both; each step adds
    ``floor((price - value) * 2 / (n + 1))`` in those units, so a value lies below the exact one
    by less than (n + 1) / 2 units. Warm-up is ``slow`` prices.
    """

    __slots__ = ("_fast", "_fast_value", "_missing", "_side", "_slow", "_slow_value")

    def __init__(self, fast: int, slow: int) -> None:
        self._fast = fast + 1
        self._slow = slow + 1
        self._missing = slow
        self._fast_value: int | None = None
        self._slow_value = 0
        self._side = 0

    def update(self, price_raw: int) -> int:
        """Take one price; 1 where fast crossed above slow, -1 where below, 0 otherwise."""
        price = price_raw << EMA_BITS
        fast = self._fast_value
        if fast is None:
            fast = slow = price
        else:
            slow = self._slow_value
            fast += (price - fast) * 2 // self._fast
            slow += (price - slow) * 2 // self._slow
        self._fast_value = fast
        self._slow_value = slow
        if self._missing > 1:
            self._missing -= 1
            return 0
        side = self._side
        if (fast > slow and side <= 0) or (fast < slow and side >= 0):
            self._side = 1 if fast > slow else -1
            return self._side if side else 0
        return 0

    def values(self) -> tuple[Ratio, Ratio]:
        """Return (fast, slow) in raw price units; defined once a price was taken."""
        one = 1 << EMA_BITS
        return (self._fast_value or 0, one), (self._slow_value, one)


@dataclass(frozen=True, kw_only=True)
class CrossoverParams(TradeParams):
    """Lengths of the two averages, counted in prices of ``source``: bar closes or trades.

    Give an instrument one bar size only: closes of all its bars enter the same averages.
    """

    fast: int = 10
    slow: int = 30
    source: Literal["bars", "trades"] = "bars"

    def check(self, instruments: Mapping[InstrumentId, InstrumentFacts]) -> None:
        """Raise ParamError unless 1 <= fast < slow."""
        super().check(instruments)
        if self.fast < 1:
            raise ParamError(f"parameter fast={self.fast} must be at least 1")
        if self.fast >= self.slow:
            raise ParamError(
                f"parameter fast={self.fast} must be below slow={self.slow};"
                " lower fast or raise slow"
            )


class _Line:
    __slots__ = ("desk", "exits", "pair", "update")

    def __init__(self, desk: Desk, pair: AveragePair) -> None:
        self.desk = desk
        self.exits = desk.exits
        self.pair = pair
        self.update = pair.update


class Crossover[P: CrossoverParams](TradingStrategy[P]):
    """Be long above the slow average; below it flat, or short with ``sides = "long_short"``.

    Subclasses say which averages by ``make_pair`` and name them by ``label``.
    """

    label = ""

    def __init__(self, setup: Setup[P]) -> None:
        super().__init__(setup)
        self._bars = setup.params.source == "bars"
        self._lines = {key: _Line(desk, self.make_pair()) for key, desk in self.desks.items()}
        # One instrument needs no lookup, which costs as much as taking the price.
        self._only = next(iter(self._lines.values())) if len(self._lines) == 1 else None

    @abstractmethod
    def make_pair(self) -> AveragePair:
        """Return new averages for one instrument."""

    def on_bar(self, bar: Bar) -> Intents:
        """Take a close; nothing where the source is trades."""
        if not self._bars:
            return None
        line = self._only or self._lines[bar.bar_type.instrument_id]
        price_raw = bar.close.raw
        crossed = line.update(price_raw)
        if crossed or line.exits.armed:
            return self._act(line, crossed, price_raw, bar.ts_event)
        return None

    def on_trade(self, trade: TradeTick) -> Intents:
        """Take a trade's price; nothing where the source is bars."""
        if self._bars:
            return None
        line = self._only or self._lines[trade.instrument_id]
        price_raw = trade.price.raw
        crossed = line.update(price_raw)
        if crossed or line.exits.armed:
            return self._act(line, crossed, price_raw, trade.ts_event)
        return None

    def _act(self, line: _Line, crossed: int, price_raw: int, ts_ns: int) -> Intents:
        if crossed:
            intents = self.want(line.desk, crossed, self._why(line, crossed), ts_ns)
            if intents:
                return intents
        leave = line.exits.check(price_raw, ts_ns) if line.exits.armed else None
        return (leave,) if leave else None

    def _why(self, line: _Line, crossed: int) -> str:
        fast, slow = pair_text(*line.pair.values(), line.desk.precision)
        way, sign = ("above", ">") if crossed > 0 else ("below", "<")
        label, params = self.label, self.params
        return f"{label} {params.fast} crossed {way} {label} {params.slow}: {fast} {sign} {slow}"
