"""All statistics of one book in reading order: what the report's table and its JSON show.

Rule: what a number means is said once, in the docstring of the function that computes it; the
sentence and the formula beside a number are taken from there.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

import numpy as np

from catalog.stats import returns, trades
from catalog.stats.periods import DAY, IntArray, Period, days_per_year
from catalog.stats.returns import FloatArray
from catalog.stats.trades import Trade
from catalog.stats.values import Undefined, Unit, Value

FEWEST_RETURNS = 20
"""Fewer daily returns than this are not scaled to a year."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """One number with its unit, the sentence that explains it, and what to know beside it."""

    name: str
    unit: Unit
    value: Value
    sentence: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Statistics that are read together."""

    name: str
    statistics: Sequence[Statistic]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """What the statistics of one book are computed from.

    ``curve_ns``/``curve`` hold the extremes, ``closes_ns``/``closes`` one value per period of
    ``zone``. ``trades`` and costs are in the book's currency.
    """

    start: Decimal
    end: Decimal
    fees: Decimal
    tax: Decimal
    notional: Decimal
    fill_count: int
    trades: Sequence[Trade]
    curve_ns: IntArray
    curve: FloatArray
    closes_ns: IntArray
    closes: FloatArray
    period: Period
    zone: str

    @property
    def net(self) -> Decimal:
        """Result after costs, open positions included."""
        return self.end - self.start

    @property
    def gross(self) -> Decimal:
        """Result before fees and tax."""
        return self.net + self.fees + self.tax

    @property
    def window_ns(self) -> int:
        """Length of the window."""
        return int(self.curve_ns[-1] - self.curve_ns[0]) if len(self.curve_ns) else 0


def meaning(function: Callable[..., object]) -> str:
    """Return the first sentence and the formula of a statistic's docstring, as one line."""
    text = " ".join((inspect.getdoc(function) or "").split())
    sentence = text.split(" Unit:")[0]
    formula = re.search(r"Formula: (.*?)\. Source:", text)
    return f"{sentence} Formula: {formula[1]}." if formula else sentence


def summarise(record: Record) -> list[Group]:
    """Return every statistic of a record, in groups."""
    return [
        Group("Result", _result(record)),
        Group("Risk", _risk(record)),
        Group("Activity", _activity(record)),
        Group("Trades", _trades(record)),
        Group("Costs", _costs(record)),
    ]


def _of(
    name: str, unit: Unit, function: Callable[..., object], value: Value, note: str = ""
) -> Statistic:
    return Statistic(name=name, unit=unit, value=value, sentence=meaning(function), note=note)


def _said(name: str, unit: Unit, value: Value, sentence: str) -> Statistic:
    return Statistic(name=name, unit=unit, value=value, sentence=sentence)


def _result(record: Record) -> list[Statistic]:
    total = returns.total_return(record.start, record.end)
    growth = _yearly(record, returns.cagr(record.start, record.end, record.window_ns))
    return [
        _said(
            "Result after costs",
            Unit.MONEY,
            record.net,
            "Equity at the end less equity at the start; open positions count at their last price.",
        ),
        _of("Total return", Unit.FRACTION, returns.total_return, total),
        _of("CAGR", Unit.FRACTION, returns.cagr, growth),
    ]


def too_short(record: Record) -> Undefined | None:
    """Return why nothing can be said about a year, or None where it can."""
    count = max(len(record.closes) - 1, 0)
    if record.period != DAY:
        return Undefined(f"needs {FEWEST_RETURNS} days; the window is shorter")
    if count < FEWEST_RETURNS:
        return Undefined(f"needs {FEWEST_RETURNS} daily returns; there are {count}")
    return None


def _yearly(record: Record, value: float | Undefined) -> float | Undefined:
    if isinstance(value, Undefined):
        return value
    return too_short(record) or value


def _risk(record: Record) -> list[Statistic]:
    fall = returns.max_drawdown(record.curve_ns, record.curve)
    depth = fall if isinstance(fall, Undefined) else fall.depth
    lasted = fall if isinstance(fall, Undefined) else fall.duration_ns
    under = "not yet recovered" if isinstance(fall, returns.Drawdown) and _under(fall) else ""
    longest = returns.longest_drawdown_ns(record.curve_ns, record.curve)
    growth = _yearly(record, returns.cagr(record.start, record.end, record.window_ns))
    fell = _of("Max drawdown", Unit.FRACTION, returns.max_drawdown, depth)
    lasting = _said(
        "Its duration",
        Unit.DURATION,
        lasted,
        "From the peak before the deepest fall until equity was as high again, or the end.",
    )
    return [
        fell,
        Statistic(
            name=lasting.name,
            unit=lasting.unit,
            value=lasting.value,
            sentence=lasting.sentence,
            note=under,
        ),
        _of("Longest under water", Unit.DURATION, returns.longest_drawdown_ns, longest),
        *_ratios(record),
        _of("Calmar", Unit.RATIO, returns.calmar, returns.calmar(growth, depth)),
    ]


def _under(fall: returns.Drawdown) -> bool:
    return fall.depth < 0 and fall.recovered_ns is None


def _ratios(record: Record) -> list[Statistic]:
    """Return volatility, Sharpe and Sortino; short windows have no yearly number."""
    series = returns.period_returns(record.closes)
    yearly = days_per_year(record.closes_ns, record.zone) if record.period == DAY else 1.0
    scale = "a year" if record.period == DAY else f"one {record.period.name}, not a year"
    if isinstance(series, Undefined):
        spread: float | Undefined = series
        sharpe: float | Undefined = series
        sortino: float | Undefined = series
        note = ""
    else:
        spread = returns.volatility(series, yearly)
        sharpe = _yearly(record, returns.sharpe(series, yearly))
        sortino = _yearly(record, returns.sortino(series, yearly))
        note = interval_note(sharpe, returns.sharpe_standard_error(series, yearly))
    wide = "" if isinstance(spread, Undefined) else f"of {scale}, {len(record.closes) - 1} returns"
    return [
        _of("Volatility", Unit.FRACTION, returns.volatility, spread, wide),
        _of("Sharpe", Unit.RATIO, returns.sharpe, sharpe, note),
        _of("Sortino", Unit.RATIO, returns.sortino, sortino),
    ]


def interval_note(ratio: float | Undefined, error: float | Undefined) -> str:
    """Return the 95 % interval of a ratio in words, or nothing where there is none."""
    if isinstance(ratio, Undefined) or isinstance(error, Undefined):
        return ""
    text = f"95 %: {ratio - 1.96 * error:.1f} to {ratio + 1.96 * error:.1f}"
    return text.replace("-", "\N{MINUS SIGN}")


def _trades(record: Record) -> list[Statistic]:
    results = trades.closed_results(record.trades)
    low, high = trades.win_rate_interval(results)
    note = f"95 %: {low * 100:.0f} to {high * 100:.0f} %" if results else ""
    still_open = sum(not trade.closed for trade in record.trades)
    return [
        Statistic(
            name="Closed trades",
            unit=Unit.COUNT,
            value=len(results),
            sentence="Round trips from flat to flat of one strategy in one instrument.",
            note=f"{still_open} still open" if still_open else "",
        ),
        _of("Win rate", Unit.FRACTION, trades.win_rate, trades.win_rate(results), note),
        _of("Profit factor", Unit.RATIO, trades.profit_factor, trades.profit_factor(results)),
        _of("Expectancy", Unit.MONEY, trades.expectancy, trades.expectancy(results)),
        _of("Average win", Unit.MONEY, trades.average_win, trades.average_win(results)),
        _of("Average loss", Unit.MONEY, trades.average_loss, trades.average_loss(results)),
        _of("Payoff", Unit.RATIO, trades.payoff, trades.payoff(results)),
        _of(
            "Average holding time",
            Unit.DURATION,
            trades.average_holding_ns,
            trades.average_holding_ns(record.trades),
        ),
    ]


def _activity(record: Record) -> list[Statistic]:
    begin, end = (
        (int(record.curve_ns[0]), int(record.curve_ns[-1])) if len(record.curve_ns) else (0, 0)
    )
    mean = Decimal(repr(float(np.mean(record.closes)))) if len(record.closes) else Decimal(0)
    return [
        _of(
            "Exposure",
            Unit.FRACTION,
            trades.exposure,
            trades.exposure(record.trades, begin, end),
        ),
        _of("Turnover", Unit.RATIO, trades.turnover, trades.turnover(record.notional, mean)),
        _said("Fills", Unit.COUNT, record.fill_count, "Executions reported by the venue."),
    ]


def _costs(record: Record) -> list[Statistic]:
    share = trades.cost_share
    return [
        _said(
            "Gross result",
            Unit.MONEY,
            record.gross,
            "What was made before fees and tax: the result with both added back.",
        ),
        _said("Fees", Unit.MONEY, record.fees, "Commissions paid to the venue or broker."),
        _said("Tax", Unit.MONEY, record.tax, "Transaction taxes, as KRX takes from every sale."),
        _of("Fees of gross", Unit.FRACTION, share, share(record.fees, record.gross)),
        _of("Tax of gross", Unit.FRACTION, share, share(record.tax, record.gross)),
    ]
