"""Statistics of round trips: from flat to flat, one strategy, one instrument.

Rule: a trade wins when its result after fees and tax is above zero; open trades are no trades yet
and are left out of every average. Money is Decimal in the trade's own currency.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from math import sqrt

from catalog.stats.values import Undefined

NO_TRADE = Undefined("no trade was closed")
ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One round trip; ``exit_ns`` and ``exit_price`` are None while it is open.

    ``gross`` is before fees and tax; for an open trade it is what closing at the last known price
    would make. Prices are averages over the fills that entered and left. ``worst`` and ``best``
    are the lowest and highest result before costs while it was held, None where the tape has no
    price in between. ``slippage`` is what its fills cost against the prices decided on,
    ``one_tick`` what they would cost if each were one tick worse.
    """

    strategy: str
    instrument_id: str
    long: bool
    quantity: Decimal
    entry_ns: int
    exit_ns: int | None
    entry_price: Decimal
    exit_price: Decimal | None
    gross: Decimal
    fees: Decimal
    tax: Decimal
    currency: str
    entry_reason: str
    exit_reason: str
    worst: Decimal | None = None
    best: Decimal | None = None
    slippage: Decimal = ZERO
    one_tick: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        """Result after fees and tax."""
        return self.gross - self.fees - self.tax

    @property
    def closed(self) -> bool:
        """Whether the position went back to flat."""
        return self.exit_ns is not None


def closed_results(trades: Iterable[Trade]) -> list[Decimal]:
    """Return the results after costs of the closed trades."""
    return [trade.net for trade in trades if trade.closed]


def win_rate(results: Sequence[Decimal]) -> float | Undefined:
    """The share of trades that made money after costs.

    Unit: fraction. Formula: count(net > 0) / count. Source: R. Pardo, The Evaluation and
    Optimization of Trading Strategies, 2008. A trade of exactly zero does not win.
    """
    if not results:
        return NO_TRADE
    return sum(result > 0 for result in results) / len(results)


def win_rate_interval(results: Sequence[Decimal], z: float = 1.96) -> tuple[float, float]:
    """Where the true win rate may lie, given so few trades (95 % at the default ``z``).

    Unit: fractions. Formula: Wilson score interval. Source: E. B. Wilson, JASA 22(158), 1927.
    Without a trade it is everything from 0 to 1.
    """
    n = len(results)
    if n == 0:
        return 0.0, 1.0
    p = sum(result > 0 for result in results) / n
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def profit_factor(results: Sequence[Decimal]) -> float | Undefined:
    """What all winners made for each unit that all losers lost.

    Unit: ratio. Formula: sum(net > 0) / |sum(net < 0)|. Source: Pardo, as `win_rate`.
    """
    if not results:
        return NO_TRADE
    lost = -sum((result for result in results if result < 0), ZERO)
    if lost == 0:
        return Undefined("no trade lost money")
    return float(sum((result for result in results if result > 0), ZERO) / lost)


def expectancy(results: Sequence[Decimal]) -> Decimal | Undefined:
    """What one trade made on average after costs.

    Unit: money. Formula: sum(net) / count. Source: V. K. Tharp, Trade Your Way to Financial
    Freedom, 1998 (there per unit of risk, here in money).
    """
    if not results:
        return NO_TRADE
    return sum(results, ZERO) / len(results)


def average_win(results: Sequence[Decimal]) -> Decimal | Undefined:
    """What a winning trade made on average after costs.

    Unit: money. Formula: sum(net > 0) / count(net > 0). Source: Pardo, as `win_rate`.
    """
    wins = [result for result in results if result > 0]
    return sum(wins, ZERO) / len(wins) if wins else Undefined("no trade made money")


def average_loss(results: Sequence[Decimal]) -> Decimal | Undefined:
    """What a losing trade lost on average after costs, as a negative number.

    Unit: money. Formula: sum(net < 0) / count(net < 0). Source: Pardo, as `win_rate`.
    """
    losses = [result for result in results if result < 0]
    return sum(losses, ZERO) / len(losses) if losses else Undefined("no trade lost money")


def payoff(results: Sequence[Decimal]) -> float | Undefined:
    """How many times larger the average winner is than the average loser.

    Unit: ratio. Formula: average win / |average loss|. Source: Pardo, as `win_rate`.
    """
    if not results:
        return NO_TRADE
    win, loss = average_win(results), average_loss(results)
    if isinstance(win, Undefined):
        return win
    if isinstance(loss, Undefined):
        return loss
    return float(win / -loss)


def exposure(trades: Iterable[Trade], start_ns: int, end_ns: int) -> float | Undefined:
    """The share of the window during which at least one position was open.

    Unit: fraction of time (nights and weekends count). Formula: length of the union of
    [entry, exit] within the window / window. Source: "exposure time" of backtesting.py.
    """
    if end_ns <= start_ns:
        return Undefined("the window has no length")
    spans = sorted((t.entry_ns, end_ns if t.exit_ns is None else t.exit_ns) for t in trades)
    held, reached = 0, start_ns
    for entry_ns, exit_ns in spans:
        begin, finish = max(entry_ns, reached), min(exit_ns, end_ns)
        held += max(finish - begin, 0)
        reached = max(reached, finish)
    return held / (end_ns - start_ns)


def turnover(notional: Decimal, average_equity: Decimal) -> float | Undefined:
    """How many times the average equity was traded, buys and sells together.

    Unit: ratio over the window, not per year. Formula: sum(price * quantity) / average equity.
    Source: two-sided turnover as in R. Grinold and R. Kahn, Active Portfolio Management, 1999.
    """
    if average_equity <= 0:
        return Undefined("there was no equity to compare with")
    return float(notional / average_equity)


def average_holding_ns(trades: Iterable[Trade]) -> int | Undefined:
    """How long a closed trade was held on average.

    Unit: ns. Formula: sum(exit - entry) / count, rounded down. Source: Pardo, as `win_rate`.
    """
    spans = [t.exit_ns - t.entry_ns for t in trades if t.exit_ns is not None]
    return sum(spans) // len(spans) if spans else NO_TRADE


def cost_share(costs: Decimal, gross: Decimal) -> float | Undefined:
    """What part of the profit before costs went to fees or tax.

    Unit: fraction (above 1: costs took more than was made). Formula: costs / gross result.
    Source: implementation shortfall, A. Perold, J. of Portfolio Management 14(3), 1988, its
    explicit part.
    """
    if gross <= 0:
        return Undefined("there was no profit before costs to take a share of")
    return float(costs / gross)


def average_worst(trades: Iterable[Trade]) -> Decimal | Undefined:
    """How far a closed trade stood against its entry at worst, on average (MAE).

    Unit: money <= 0, before costs. Formula: mean(min(0, lowest open result)). Source: J. Sweeney,
    Maximum Adverse Excursion, 1997.
    """
    found = [min(trade.worst, ZERO) for trade in trades if trade.closed and trade.worst is not None]
    return sum(found, ZERO) / len(found) if found else NO_TRADE


def average_best(trades: Iterable[Trade]) -> Decimal | Undefined:
    """How far a closed trade stood in its favour at best, on average (MFE).

    Unit: money >= 0, before costs. Formula: mean(max(0, highest open result)). Source: as
    `average_worst`, maximum favourable excursion.
    """
    found = [max(trade.best, ZERO) for trade in trades if trade.closed and trade.best is not None]
    return sum(found, ZERO) / len(found) if found else NO_TRADE


def captured(trades: Iterable[Trade]) -> float | Undefined:
    """What part of the best open results the closed trades took home.

    Unit: fraction. Formula: sum(gross) / sum(best open result) over trades that were ever ahead.
    Source: "edge capture" of Sweeney, as `average_worst`.
    """
    ahead = [trade for trade in trades if trade.closed and (trade.best or ZERO) > 0]
    total = sum((trade.best or ZERO for trade in ahead), ZERO)
    return float(sum((trade.gross for trade in ahead), ZERO) / total) if total else NO_TRADE


def longest_losing_streak(results: Sequence[Decimal]) -> int | Undefined:
    """How many trades in a row lost money at worst.

    Unit: count. Formula: longest run of net < 0, trades in the order they closed. Source: Pardo,
    as `win_rate`.
    """
    if not results:
        return NO_TRADE
    longest = streak = 0
    for result in results:
        streak = streak + 1 if result < 0 else 0
        longest = max(longest, streak)
    return longest


def capital_use(
    used: Sequence[float], equity: Sequence[float], ts_ns: Sequence[int]
) -> float | Undefined:
    """What part of equity was in open positions on average, long and short added up.

    Unit: fraction of time-weighted equity (above 1: with leverage). Formula: sum(position value *
    time) / sum(equity * time). Source: gross exposure, Grinold and Kahn, 1999.
    """
    spans = [float(after - before) for before, after in pairwise(ts_ns)]
    money = sum(value * span for value, span in zip(equity, spans, strict=False))
    if money <= 0:
        return Undefined("there was no equity to compare with")
    return sum(value * span for value, span in zip(used, spans, strict=False)) / money
