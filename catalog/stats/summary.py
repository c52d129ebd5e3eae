"""All statistics of one book in reading order: what the report's table and its JSON show.

Rule: what a number means is said once, in the docstring of the function that computes it; the
sentence and the formula beside a number are taken from there.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

import numpy as np

from catalog.stats import relative, returns, selection, shape, trades
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
    slippage: Decimal = Decimal(0)
    one_tick: Decimal = Decimal(0)
    used: FloatArray | None = None
    benchmark: FloatArray | None = None
    trials: int | None = None

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
        Group("Trades", _trades(record)),
        Group("Costs", _costs(record)),
        Group("Shape of returns", _shape(record)),
        Group("Against the benchmark", _relative(record)),
        Group("Luck", _luck(record)),
        Group("Activity", _activity(record)),
    ]


def yearly_factor(record: Record) -> float:
    """Return how many periods make a year; 1 where periods are no days."""
    return days_per_year(record.closes_ns, record.zone) if record.period == DAY else 1.0


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
    count = _count(record)
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
        _of("Ulcer index", Unit.FRACTION, shape.ulcer_index, shape.ulcer_index(record.closes)),
    ]


def _under(fall: returns.Drawdown) -> bool:
    return fall.depth < 0 and fall.recovered_ns is None


def _ratios(record: Record) -> list[Statistic]:
    """Return volatility, Sharpe and Sortino; short windows have no yearly number."""
    series = returns.period_returns(record.closes)
    yearly = yearly_factor(record)
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
    wide = (
        "" if isinstance(spread, Undefined) else f"of {scale}, {len(record.closes) - 1:,} returns"
    )
    return [
        _of("Volatility", Unit.FRACTION, returns.volatility, spread, wide),
        _of("Sharpe", Unit.RATIO, returns.sharpe, sharpe, note),
        _of("Sortino", Unit.RATIO, returns.sortino, sortino),
    ]


def _series(record: Record) -> FloatArray | Undefined:
    """Return the returns per period; too few closes are none."""
    return returns.period_returns(record.closes)


def _each(
    record: Record, *named: tuple[str, Unit, Callable[[FloatArray], Value]]
) -> list[Statistic]:
    """Return statistics of the returns per period, said per what period they are."""
    series = _series(record)
    note = f"per {record.period.name}"
    found = []
    for name, unit, function in named:
        value = series if isinstance(series, Undefined) else function(series)
        per = note if unit is Unit.FRACTION and not isinstance(value, Undefined) else ""
        found.append(_of(name, unit, function, value, per))
    return found


def _shape(record: Record) -> list[Statistic]:
    return _each(
        record,
        ("Skew", Unit.RATIO, shape.skew),
        ("Kurtosis", Unit.RATIO, shape.kurtosis),
        ("Value at risk", Unit.FRACTION, shape.value_at_risk),
        ("Conditional value at risk", Unit.FRACTION, shape.conditional_value_at_risk),
        ("Omega", Unit.RATIO, shape.omega),
        ("Tail ratio", Unit.RATIO, shape.tail_ratio),
    )


def _relative(record: Record) -> list[Statistic]:
    """Return what the run earned beside its benchmark; yearly numbers only for long windows."""
    yearly, short = yearly_factor(record), too_short(record)
    beside = partial(_beside, _series(record), _benchmark(record))
    alpha, strayed = relative.alpha, relative.tracking_error
    ratio = relative.information_ratio
    return [
        _said(
            "Benchmark return",
            Unit.FRACTION,
            beside(lambda _, other: float(np.prod(1.0 + other)) - 1.0),
            "What holding the benchmark would have earned, before costs.",
        ),
        _of("Beta", Unit.RATIO, relative.beta, beside(relative.beta)),
        _of("Correlation", Unit.RATIO, relative.correlation, beside(relative.correlation)),
        _of(
            "Alpha", Unit.FRACTION, alpha, short or beside(partial(alpha, periods_per_year=yearly))
        ),
        _of(
            "Tracking error",
            Unit.FRACTION,
            strayed,
            short or beside(partial(strayed, periods_per_year=yearly)),
        ),
        _of(
            "Information ratio",
            Unit.RATIO,
            ratio,
            short or beside(partial(ratio, periods_per_year=yearly)),
        ),
    ]


def _beside(
    own: FloatArray | Undefined,
    other: FloatArray | Undefined,
    function: Callable[[FloatArray, FloatArray], float | Undefined],
) -> float | Undefined:
    if isinstance(other, Undefined):
        return other
    return own if isinstance(own, Undefined) else function(own, other)


def _benchmark(record: Record) -> FloatArray | Undefined:
    if record.benchmark is None:
        return Undefined("there is no benchmark")
    return returns.period_returns(record.benchmark)


def _luck(record: Record) -> list[Statistic]:
    series = _series(record)
    chance: Value = series if isinstance(series, Undefined) else 0.0
    deflated = needed = chance
    if not isinstance(series, Undefined):
        chance = selection.probabilistic_sharpe(series)
        deflated = selection.deflated_sharpe(series, record.trials)
        needed = selection.shortest_track_record(series)
    have = (
        ""
        if isinstance(needed, Undefined)
        else f"{record.period.name}s; there are {_count(record):,}"
    )
    tried = "" if record.trials is None else f"{record.trials:,} variants tried"
    return [
        _of("Probabilistic Sharpe", Unit.FRACTION, selection.probabilistic_sharpe, chance),
        _of("Deflated Sharpe", Unit.FRACTION, selection.deflated_sharpe, deflated, tried),
        _of("Shortest track record", Unit.COUNT, selection.shortest_track_record, needed, have),
    ]


def _count(record: Record) -> int:
    return max(len(record.closes) - 1, 0)


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
        _best_trade("Best trade", results, max),
        _best_trade("Worst trade", results, min),
        _of(
            "Longest losing streak",
            Unit.COUNT,
            trades.longest_losing_streak,
            trades.longest_losing_streak(results),
        ),
        _of("Average MAE", Unit.MONEY, trades.average_worst, trades.average_worst(record.trades)),
        _of("Average MFE", Unit.MONEY, trades.average_best, trades.average_best(record.trades)),
        _of("Captured of MFE", Unit.FRACTION, trades.captured, trades.captured(record.trades)),
        _of(
            "Average holding time",
            Unit.DURATION,
            trades.average_holding_ns,
            trades.average_holding_ns(record.trades),
        ),
    ]


def _best_trade(
    name: str, results: Sequence[Decimal], pick: Callable[[Sequence[Decimal]], Decimal]
) -> Statistic:
    value: Value = pick(results) if results else trades.NO_TRADE
    return _said(name, Unit.MONEY, value, "Result of one closed trade after costs.")


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
        _of("Use of capital", Unit.FRACTION, trades.capital_use, _use(record)),
        _of("Turnover", Unit.RATIO, trades.turnover, trades.turnover(record.notional, mean)),
        _said("Fills", Unit.COUNT, record.fill_count, "Executions reported by the venue."),
    ]


def _use(record: Record) -> Value:
    if record.used is None:
        return Undefined("the positions' worth is not known")
    return trades.capital_use(record.used.tolist(), record.curve.tolist(), record.curve_ns.tolist())


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
        _said(
            "Slippage",
            Unit.MONEY,
            record.slippage,
            "What fills cost against the last price known when their order was decided; it is part "
            "of the gross result. Source: implementation shortfall, A. Perold, 1988.",
        ),
        _said(
            "One tick worse",
            Unit.MONEY,
            -record.one_tick,
            "What the result would lose if every fill were one tick worse.",
        ),
        _of("Fees of gross", Unit.FRACTION, share, share(record.fees, record.gross)),
        _of("Tax of gross", Unit.FRACTION, share, share(record.tax, record.gross)),
    ]
