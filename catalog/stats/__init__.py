"""Statistics of a run: one definition each, with unit, formula and source in its docstring.

Rule: a number that does not exist is an `Undefined` that says why, never nan and never infinity.
"""

from catalog.stats.periods import Period, choose_period, days_per_year, observed, period_edges
from catalog.stats.returns import (
    Drawdown,
    cagr,
    calmar,
    drawdown_curve,
    longest_drawdown_ns,
    max_drawdown,
    period_returns,
    sharpe,
    sharpe_standard_error,
    sortino,
    total_return,
    volatility,
)
from catalog.stats.trades import (
    Trade,
    average_holding_ns,
    average_loss,
    average_win,
    cost_share,
    expectancy,
    exposure,
    payoff,
    profit_factor,
    turnover,
    win_rate,
    win_rate_interval,
)
from catalog.stats.values import Undefined, Unit, Value

__all__ = [
    "Drawdown",
    "Period",
    "Trade",
    "Undefined",
    "Unit",
    "Value",
    "average_holding_ns",
    "average_loss",
    "average_win",
    "cagr",
    "calmar",
    "choose_period",
    "cost_share",
    "days_per_year",
    "drawdown_curve",
    "expectancy",
    "exposure",
    "longest_drawdown_ns",
    "max_drawdown",
    "observed",
    "payoff",
    "period_edges",
    "period_returns",
    "profit_factor",
    "sharpe",
    "sharpe_standard_error",
    "sortino",
    "total_return",
    "turnover",
    "volatility",
    "win_rate",
    "win_rate_interval",
]
