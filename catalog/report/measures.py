"""Charts of what lies behind the equity line: rolling measures, days, hours, trades, luck.

Rule: as in `figures`; money is shown as a share of the money it was made with, so that books of
different currencies stand on one axis.
"""

from collections.abc import Sequence
from decimal import Decimal
from html import escape

import numpy as np
import plotly.graph_objects as go

from catalog.equity import Book
from catalog.montecarlo import Bands, block_bootstrap, shuffled
from catalog.report import wording
from catalog.report.figures import (
    BOOK_COLOURS,
    DOWN,
    UP,
    Figure,
    as_plain,
    faint,
    rounded,
)
from catalog.report.source import ReportInput
from catalog.stats import returns
from catalog.stats.calendar import by_entry_hour, daily_results
from catalog.stats.periods import DAY
from catalog.stats.rolling import (
    rolling_beta,
    rolling_sharpe,
    rolling_volatility,
    rolling_window,
)
from catalog.stats.summary import yearly_factor
from catalog.stats.trades import Trade, closed_results
from catalog.stats.values import Undefined
from catalog.thinning import FloatArray, thin_positions

USE_POINTS = 700
SCATTER_TRADES = 900
BINS = 41
DAYS_MAX = 400
HEIGHT = 260
MUTED = "#8b93a0"
MARGIN = {"l": 8, "r": 8, "t": 28, "b": 8}


def _book_name(book: Book) -> str:
    return f"{book.venue} {book.currency}"


def _laid_out(figure: go.Figure, *, legend: bool, title: str, tickformat: str) -> Figure:
    figure.update_layout(
        height=HEIGHT,
        margin=MARGIN,
        showlegend=legend,
        hovermode="x unified",
        yaxis={"tickformat": tickformat, "side": "right", "title": {"text": title}, "nticks": 6},
    )
    return as_plain(figure)


def main_books(source: ReportInput) -> list[Book]:
    """Return the total where there is one, else every book."""
    columns = source.columns()
    return columns[:1] if source.equity.total is not None else columns


# --- over time ------------------------------------------------------------------------------------


def use_figure(source: ReportInput) -> Figure | None:
    """Return what part of equity stood in open positions over time."""
    figure = go.Figure()
    books = [book for book in main_books(source) if np.any(book.used.value > 0)]
    for i, book in enumerate(books):
        share = np.divide(
            book.used.value,
            book.curve.value,
            out=np.zeros(len(book.curve)),
            where=book.curve.value > 0,
        )
        spots = thin_positions(share, USE_POINTS)
        colour = BOOK_COLOURS[i % len(BOOK_COLOURS)]
        figure.add_scatter(
            x=wording.local_ms(book.used.ts_ns[spots], source.zone),
            y=rounded(share[spots], 4),
            name=_book_name(book),
            mode="lines",
            line={"color": colour, "width": 1.2, "shape": "hv"},
            fill="tozeroy" if len(books) == 1 else "none",
            fillcolor=faint(colour),
            hovertemplate="%{y:.1%}",
        )
    if not books:
        return None
    figure.update_layout(xaxis={"type": "date", "hoverformat": "%Y-%m-%d %H:%M:%S"})
    return _laid_out(figure, legend=len(books) > 1, title="of equity", tickformat=",~%")


def rolling_figure(source: ReportInput) -> Figure | None:
    """Return volatility, Sharpe ratio and beta over a moving window; None for too few periods."""
    book = main_books(source)[0] if source.columns() else None
    series = _returns(book)
    window = rolling_window(len(series))
    if book is None or window == 0:
        return None
    record = source.record(book)
    yearly = yearly_factor(record)
    times = wording.local_ms(book.closes.ts_ns[window:], source.zone)
    figure = go.Figure()
    rows = [("Volatility", rolling_volatility(series, window, yearly), "%{y:.2%}", "y")]
    if source.period == DAY:
        rows.append(("Sharpe", rolling_sharpe(series, window, yearly), "%{y:.2f}", "y2"))
    held = None if record.benchmark is None else returns.period_returns(record.benchmark)
    if held is not None and not isinstance(held, Undefined):
        rows.append(("Beta", rolling_beta(series, held, window), "%{y:.2f}", "y2"))
    for i, (name, values, hover, axis) in enumerate(rows):
        figure.add_scatter(
            x=times,
            y=[None if np.isnan(value) else float(f"{value:.4g}") for value in values],
            name=name,
            mode="lines",
            yaxis=axis,
            line={"color": BOOK_COLOURS[i], "width": 1.4},
            hovertemplate=hover,
        )
    figure.update_layout(
        xaxis={"type": "date"},
        yaxis2={
            "overlaying": "y",
            "side": "left",
            "showgrid": False,
            "tickformat": ",~r",
            "tickmode": "auto",
            "nticks": 5,
        },
    )
    return _laid_out(figure, legend=True, title="volatility", tickformat=",~%")


def _returns(book: Book | None) -> FloatArray:
    if book is None:
        return np.empty(0)
    series = returns.period_returns(book.closes.value)
    return np.empty(0) if isinstance(series, Undefined) else series


# --- by day and hour ------------------------------------------------------------------------------


def days_figure(source: ReportInput) -> Figure | None:
    """Return what each day added; None for a single day or more than fit on a screen."""
    figure, most = go.Figure(), 0
    books = main_books(source)
    for i, book in enumerate(books):
        days = daily_results(book.closes.ts_ns, book.closes.value, source.zone)
        most = max(most, len(days))
        gains = rounded((value / float(book.start or 1) for value in days.values()), 4)
        _add_bars(figure, list(days), gains, book, i, alone=len(books) == 1)
    if not 2 <= most <= DAYS_MAX:
        return None
    figure.update_layout(xaxis={"type": "category", "nticks": 12})
    return _laid_out(figure, legend=len(books) > 1, title="of start", tickformat="+,~%")


def hours_figure(source: ReportInput) -> Figure | None:
    """Return what closed trades came to, by the hour they were entered in."""
    figure, drawn = go.Figure(), 0
    books = main_books(source)
    for i, book in enumerate(books):
        hours = by_entry_hour(source.record(book).trades, source.zone)
        start = float(book.start or 1)
        if hours:
            drawn += 1
            x = [f"{hour.hour:02d}" for hour in hours]
            gains = rounded((float(hour.net) / start for hour in hours), 4)
            _add_bars(figure, x, gains, book, i, alone=len(books) == 1)
            figure.data[-1].customdata = [hour.trades for hour in hours]
            figure.data[-1].hovertemplate = "%{y:+.3%}, %{customdata} trades"
    if not drawn:
        return None
    figure.update_layout(xaxis={"type": "category", "categoryorder": "category ascending"})
    return _laid_out(figure, legend=drawn > 1, title="of start", tickformat="+,~%")


def _add_bars(
    figure: go.Figure, x: Sequence[str], y: Sequence[float], book: Book, i: int, *, alone: bool
) -> None:
    colours = [UP if value >= 0 else DOWN for value in y]
    figure.add_bar(
        x=x,
        y=y,
        name=_book_name(book),
        marker={"color": colours if alone else BOOK_COLOURS[i % len(BOOK_COLOURS)]},
        hovertemplate="%{y:+.3%}",
    )


# --- trades ---------------------------------------------------------------------------------------


def _per_money(trade: Trade, value: Decimal) -> float:
    """Return an amount of a trade in basis points of what was entered with."""
    entered = trade.entry_price * trade.quantity
    return float(value / entered) * 10_000 if entered else 0.0


def distribution_figure(source: ReportInput) -> Figure | None:
    """Return how often closed trades came to what, in basis points of the money entered with."""
    results = np.array([_per_money(t, t.net) for t in source.trades if t.closed])
    if len(results) < 5:
        return None
    low, high = (float(q) for q in np.quantile(results, (0.005, 0.995)))
    reach = max(abs(low), abs(high)) or 1.0
    edges = np.linspace(-reach, reach, BINS + 2)
    counts, _ = np.histogram(np.clip(results, -reach, reach), edges)
    middles = (edges[:-1] + edges[1:]) / 2
    figure = go.Figure(
        go.Bar(
            x=rounded(middles, 4),
            y=counts.tolist(),
            width=float(f"{(edges[1] - edges[0]) * 0.92:.5g}"),
            marker={"color": [UP if middle > 0 else DOWN for middle in middles]},
            hovertemplate="%{y} trades near %{x:+.1f} bps<extra></extra>",
        )
    )
    figure.update_layout(xaxis={"title": {"text": "result after costs, bps of the money entered"}})
    laid = _laid_out(figure, legend=False, title="trades", tickformat="d")
    laid["layout"]["hovermode"] = "closest"
    return laid


def excursion_figure(source: ReportInput) -> Figure | None:
    """Return, per closed trade, the worst it stood at against what it came to."""
    own = [trade for trade in source.trades if trade.closed and trade.worst is not None]
    if len(own) < 5:
        return None
    own = sorted(own, key=lambda t: (-abs(_per_money(t, t.net)), t.entry_ns))[:SCATTER_TRADES]
    figure = go.Figure()
    for name, colour, wins in (("made money", UP, True), ("lost money", DOWN, False)):
        chosen = [trade for trade in own if (trade.net > 0) is wins]
        figure.add_scatter(
            x=rounded((_per_money(t, min(t.worst or t.gross, Decimal(0))) for t in chosen), 4),
            y=rounded((_per_money(t, t.net) for t in chosen), 4),
            customdata=[f"{escape(t.strategy)} {escape(t.instrument_id)}" for t in chosen],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 5, "opacity": 0.65},
            hovertemplate="stood at %{x:.1f}, came to %{y:+.1f} bps<br>"
            "%{customdata}<extra></extra>",
        )
    figure.update_layout(xaxis={"title": {"text": "worst it stood at (MAE), bps"}})
    laid = _laid_out(figure, legend=True, title="came to, bps", tickformat=",~r")
    laid["layout"]["hovermode"] = "closest"
    return laid


# --- luck -----------------------------------------------------------------------------------------


def luck_of(source: ReportInput, book: Book) -> tuple[Bands, Bands] | None:
    """Return the bands of the trades in other orders and drawn again; None for too few trades."""
    record = source.record(book)
    results = [float(value) for value in closed_results(record.trades)]
    seed = abs(source.run.seed)
    orders = shuffled(results, float(book.start), seed)
    drawn = block_bootstrap(results, float(book.start), seed)
    return None if orders is None or drawn is None else (orders, drawn)


def luck_figure(source: ReportInput, book: Book) -> Figure | None:
    """Return the bands of luck around what happened, trade by trade."""
    found = luck_of(source, book)
    if found is None:
        return None
    _, drawn = found
    x = drawn.steps.tolist()
    figure = go.Figure()
    for low, high, strength in ((5, 95, "5 to 95 %"), (25, 75, "25 to 75 %")):
        figure.add_scatter(
            x=[*x, *x[::-1]],
            y=rounded([*drawn.level[low], *drawn.level[high][::-1]], 6),
            name=strength,
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=faint(BOOK_COLOURS[0]),
            hoverinfo="skip",
        )
    results = [float(value) for value in closed_results(source.record(book).trades)]
    happened = float(book.start) + np.concatenate(([0.0], np.cumsum(results)))
    for name, values, colour, dash in (
        ("median", drawn.level[50], MUTED, "dot"),
        ("what happened", happened[drawn.steps], BOOK_COLOURS[0], "solid"),
    ):
        figure.add_scatter(
            x=x, y=rounded(values, 7), name=name, mode="lines", hovertemplate="%{y:,.2f}",
            line={"color": colour, "width": 1.6, "dash": dash},
        )  # fmt: skip
    figure.update_layout(xaxis={"title": {"text": "closed trades"}})
    return _laid_out(figure, legend=True, title=book.currency, tickformat=",~r")
