"""The report's charts as plain JSON values, built with plotly, drawn in the reader's browser.

Rule: no chart carries its own colours for paper, grid or text: those belong to the light and the
dark template, which the page switches. Text of people is escaped before it reaches a hover.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from catalog.equity import Book
from catalog.report import wording
from catalog.report.source import Execution, ReportInput
from catalog.stats.returns import drawdown_curve
from catalog.stats.trades import Trade
from catalog.thinning import Candles, IntArray, Series, thin_candles, thin_positions

UP, DOWN, ACCENT, SHORT = "#1a9c7b", "#d9533f", "#4477dd", "#9b5fd0"
"""Colours of gain, loss, long and short; each reads on white and on near-black."""
BOOK_COLOURS = (ACCENT, "#d08a1d", "#1a9c7b", SHORT, "#c2528b", "#5f8a2f")

EQUITY_POINTS = 1_400
"""Points of one equity line: more than a wide page has pixels, extremes kept."""
CANDLES, LINE_POINTS, MARKED_TRADES = (300, 2_400, 900), (600, 6_000, 2_500), (80, 800, 800)
"""(fewest, shared by all charts, most) on one instrument's chart, so that a page of many charts
stays under two megabytes. Of too many trades, those that moved the result most are drawn."""
CROWDED = 150
"""More markers of one kind than this are drawn smaller, so that the price stays visible."""
HOVER_CHARS = 160

type Figure = dict[str, Any]


def share(limits: tuple[int, int, int], charts: int) -> int:
    """Return what one of ``charts`` charts may hold of (fewest, all together, most)."""
    fewest, together, most = limits
    return min(max(together // max(charts, 1), fewest), most)


def templates() -> dict[str, Any]:
    """Return the light and the dark template."""
    return {
        "light": _template("#23282f", "#6b7280", "#e9e8e4", "#ffffff", "#d5d4cf"),
        "dark": _template("#e4e7eb", "#949ba6", "#2a3038", "#20262d", "#3a424c"),
    }


def _template(ink: str, muted: str, grid: str, hover: str, line: str) -> Figure:
    axis = {
        "gridcolor": grid,
        "linecolor": line,
        "zerolinecolor": line,
        "tickcolor": line,
        "tickfont": {"color": muted, "size": 11},
        "title": {"font": {"color": muted, "size": 11}, "standoff": 8},
        "automargin": True,
        "zeroline": False,
    }
    font = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans KR', sans-serif"
    template = go.layout.Template(
        layout={
            "font": {"family": font, "size": 12, "color": ink},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(BOOK_COLOURS),
            "xaxis": axis,
            "yaxis": axis,
            "legend": {"font": {"color": muted}, "orientation": "h", "x": 0, "y": 1.02,
                       "yanchor": "bottom", "bgcolor": "rgba(0,0,0,0)"},
            "hoverlabel": {"bgcolor": hover, "bordercolor": line, "align": "left",
                           "font": {"family": font, "size": 12, "color": ink}},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": muted, "activecolor": ACCENT},
            "dragmode": "zoom",
        }
    )  # fmt: skip
    return dict(template.to_plotly_json())


def as_plain(figure: go.Figure) -> Figure:
    """Return a figure as JSON values without plotly's default template."""
    found: Figure = figure.to_plotly_json()
    found["layout"].pop("template", None)
    return found


def rounded(values: Iterable[float], digits: int = 6) -> list[float]:
    """Return floats cut to significant digits that can be told apart on a screen."""
    return [float(f"{value:.{digits}g}") for value in values]


def _precise(values: Iterable[float]) -> list[float]:
    return rounded(values, 9)


# --- equity and drawdown ---


def equity_figure(source: ReportInput) -> Figure:
    """Return equity over drawdown on one time axis; as per cent where currencies differ."""
    books = source.columns()[:1] if source.equity.total is not None else source.columns()
    relative = len({book.currency for book in books}) > 1
    figure = go.Figure()
    for book, colour in zip(books, _colours(len(books)), strict=True):
        figure.add_traces(
            _equity_traces(book, colour, source.zone, relative=relative, alone=len(books) == 1)
        )
        figure.add_traces(_benchmark_traces(source, book, colour, relative=relative))
    title = "since start" if relative else books[0].currency if books else ""
    every = np.unique(np.concatenate([book.curve.ts_ns for book in books])) if books else _none()
    figure.update_layout(
        hovermode="x unified",
        showlegend=len(figure.data) > 2,
        height=440,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        xaxis={
            "type": "date",
            "anchor": "y2",
            "rangebreaks": _breaks(every, source.zone),
            "hoverformat": "%Y-%m-%d %H:%M:%S",
        },
        yaxis={
            "domain": [0.34, 1],
            "tickformat": "+.2%" if relative else ",~r",
            "title": {"text": title},
            "side": "right",
        },
        yaxis2={
            "domain": [0, 0.26],
            "tickformat": ",~%",
            "title": {"text": "below peak"},
            "side": "right",
            "rangemode": "tozero",
            "nticks": 4,
        },
    )
    return as_plain(figure)


def _colours(count: int) -> list[str]:
    return [BOOK_COLOURS[i % len(BOOK_COLOURS)] for i in range(count)]


def _none() -> IntArray:
    return np.empty(0, np.int64)


def _equity_traces(
    book: Book, colour: str, zone: str, *, relative: bool, alone: bool
) -> list[go.Scatter]:
    curve = _thin(book)
    times = wording.local_ms(curve.ts_ns, zone)
    name = f"{book.venue} {book.currency}"
    start = float(book.start)
    change = curve.value / start - 1 if start > 0 else np.zeros(len(curve))
    shown = rounded(change) if relative else _precise(curve.value)
    unit = "" if relative else f" {book.currency}"
    pattern = "%{y:+.3%}" if relative else "%{y:,.2f}" + unit + " (%{customdata:+.3%})"
    line = {"color": colour, "width": 1.6, "shape": "hv"}
    below = rounded(drawdown_curve(curve.value), 5)
    return [
        go.Scatter(
            x=times, y=shown, name=name, mode="lines", line=line, legendgroup=name,
            customdata=None if relative else rounded(change, 5),
            hovertemplate=pattern + "<extra>" + ("equity" if alone else escape(name)) + "</extra>",
        ),
        go.Scatter(
            x=times, y=below, name=name, mode="lines", yaxis="y2", legendgroup=name,
            showlegend=False, fill="tozeroy" if alone else "none",
            line={"color": DOWN if alone else colour, "width": 1, "shape": "hv"},
            fillcolor=faint(DOWN if alone else colour),
            hovertemplate="%{y:.3%}<extra>" + ("below peak" if alone else "") + "</extra>",
        ),
    ]  # fmt: skip


def _benchmark_traces(
    source: ReportInput, book: Book, colour: str, *, relative: bool
) -> list[go.Scatter]:
    """Return what holding would have been worth, where it is known."""
    held = source.benchmark
    values = None if held is None else held.values(book, book.curve.ts_ns)
    if held is None or values is None:
        return []
    spots = thin_positions(values, EQUITY_POINTS // 2)
    change = values[spots] / float(book.start) - 1
    name = held.name if relative is False else f"{held.name}, {book.venue}"
    unit = "" if relative else f" {book.currency}"
    pattern = "%{y:+.3%}" if relative else "%{y:,.2f}" + unit + " (%{customdata:+.3%})"
    return [
        go.Scatter(
            x=wording.local_ms(book.curve.ts_ns[spots], source.zone),
            y=rounded(change, 5) if relative else _precise(values[spots]),
            customdata=None if relative else rounded(change, 5),
            name=escape(name), mode="lines", legendgroup=name,
            line={"color": colour if relative else "#8b93a0", "width": 1.1, "dash": "dot"},
            hovertemplate=pattern + f"<extra>{escape(name)}</extra>",
        )
    ]  # fmt: skip


def _thin(book: Book) -> Series:
    """Thin a book's curve further for the page; its deepest fall stays."""
    value = book.curve.value
    trough = int(np.argmin(drawdown_curve(value)))
    peak = int(np.argmax(value[: trough + 1]))
    spots = thin_positions(value, EQUITY_POINTS, np.array(sorted({peak, trough})))
    return Series(book.curve.ts_ns[spots], value[spots])


def faint(colour: str) -> str:
    """Return a colour as a transparent fill."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.16)"


# --- hidden times: nights and weekends of a market that closes ---


def _breaks(ts_ns: IntArray, zone: str) -> list[dict[str, object]]:
    """Return the hours and weekends without a single point, where they come back each day."""
    if len(ts_ns) < 3 or ts_ns[-1] - ts_ns[0] < wording.DAY_NS:
        return []
    local = np.array(wording.local_ms(ts_ns, zone), np.int64) // 60_000
    found: list[dict[str, object]] = []
    weekdays = set((local // 1440 + 3) % 7)  # 1970-01-01 was a Thursday; Monday is 0
    if not weekdays & {5, 6} and local[-1] - local[0] > 3 * 1440:
        found.append({"bounds": ["sat", "mon"]})
    if np.median(np.diff(local)) > 180:
        return found
    minutes = np.unique(local % 1440)
    gaps = np.diff(np.append(minutes, minutes[0] + 1440))
    widest = int(np.argmax(gaps))
    if gaps[widest] > 180:
        first, last = int(minutes[widest]) + 1, int(minutes[(widest + 1) % len(minutes)])
        last -= last % 30  # markets open on the half hour; the first bar may come later
        found.append({"bounds": [first / 60, last / 60], "pattern": "hour"})
    return found


# --- trades on price ---


def trades_figure(source: ReportInput, instrument_id: str, charts: int = 1) -> Figure:
    """Return an instrument's price with its trades, as one of ``charts`` on a page."""
    zone = source.zone_of(instrument_id)
    price = source.prices.get(instrument_id)
    trades = drawn_trades(source, instrument_id, share(MARKED_TRADES, charts))
    figure = go.Figure(_price_traces(price, zone, instrument_id, charts))
    figure.add_traces(_links(trades, source.run.end_ns, price, zone))
    figure.add_traces(_entries(trades, zone) + _exits(trades, zone))
    rest = _between(source, instrument_id)[: share(MARKED_TRADES, charts)]
    if rest:
        figure.add_trace(_more_fills(rest, zone))
    times = price.ts_ns if price is not None and len(price) else _none()
    figure.update_layout(
        hovermode="closest",
        height=420,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        xaxis={
            "type": "date",
            "rangeslider": {"visible": False},
            "rangebreaks": _breaks(times, zone),
        },
        yaxis={"tickformat": ",~r", "side": "right"},
    )
    return as_plain(figure)


def drawn_trades(source: ReportInput, instrument_id: str, most: int) -> list[Trade]:
    """Return the ``most`` trades that moved an instrument's result most, in time order."""
    own = [trade for trade in source.trades if trade.instrument_id == instrument_id]
    largest = sorted(range(len(own)), key=lambda i: (-abs(own[i].net), i))[:most]
    return [own[i] for i in sorted(largest)]


def _price_traces(price: Series | Candles | None, zone: str, name: str, charts: int) -> list[Any]:
    if price is None or len(price) == 0:
        return []
    if isinstance(price, Candles):
        few = thin_candles(price, share(CANDLES, charts))
        return [
            go.Candlestick(
                x=wording.local_ms(few.ts_ns, zone),
                open=_precise(few.open), high=_precise(few.high),
                low=_precise(few.low), close=_precise(few.close),
                name="price", showlegend=False, opacity=0.8,
                increasing={"line": {"color": UP, "width": 1}},
                decreasing={"line": {"color": DOWN, "width": 1}},
            )
        ]  # fmt: skip
    spots = thin_positions(price.value, share(LINE_POINTS, charts))
    return [
        go.Scatter(
            x=wording.local_ms(price.ts_ns[spots], zone),
            y=_precise(price.value[spots]),
            mode="lines", name="price", showlegend=False,
            line={"color": "#8b93a0", "width": 1.1, "shape": "hv"},
            hovertemplate="%{y:,} <extra>" + escape(name) + "</extra>",
        )
    ]  # fmt: skip


def _links(
    trades: Sequence[Trade], end_ns: int, price: Series | Candles | None, zone: str
) -> list[go.Scatter]:
    """Return one dotted line per trade, in two traces: made money, lost money."""
    last = _last_price(price)
    found = []
    for name, colour, chosen in (
        ("made money", UP, [trade for trade in trades if trade.net > 0]),
        ("lost money", DOWN, [trade for trade in trades if trade.net <= 0]),
    ):
        x: list[int | None] = []
        y: list[float | None] = []
        for trade in chosen:
            leave = trade.exit_ns if trade.exit_ns is not None else end_ns
            there = trade.exit_price if trade.exit_price is not None else last
            if there is None:
                continue
            x += [*wording.local_ms(np.array([trade.entry_ns, leave]), zone), None]
            y += [float(trade.entry_price), float(there), None]
        if x:
            line = {"color": colour, "width": 1.4, "dash": "dot"}
            found.append(go.Scatter(x=x, y=y, mode="lines", line=line, name=name, hoverinfo="skip"))
    return found


def _last_price(price: Series | Candles | None) -> float | None:
    if price is None or len(price) == 0:
        return None
    return float(price.close[-1] if isinstance(price, Candles) else price.value[-1])


def _entries(trades: Sequence[Trade], zone: str) -> list[go.Scatter]:
    found = []
    for name, symbol, colour, chosen in (
        ("long entry", "triangle-up", ACCENT, [t for t in trades if t.long]),
        ("short entry", "triangle-down", SHORT, [t for t in trades if not t.long]),
    ):
        if chosen:
            points = [_Point(t.entry_ns, t.entry_price, _entry_text(t)) for t in chosen]
            found.append(_markers(points, name, symbol, colour, zone))
    return found


def _exits(trades: Sequence[Trade], zone: str) -> list[go.Scatter]:
    found = []
    for name, colour, wins in (("exit with gain", UP, True), ("exit with loss", DOWN, False)):
        points = [
            _Point(t.exit_ns, t.exit_price, _exit_text(t))
            for t in trades
            if t.exit_ns is not None and t.exit_price is not None and (t.net > 0) is wins
        ]
        if points:
            found.append(_markers(points, name, "circle", colour, zone, size=8))
    return found


class _Point(NamedTuple):
    """One marker; ``said`` is what its hover says before and after price and time."""

    ts_ns: int
    price: Decimal
    said: tuple[str, str, str]


def _markers(
    points: Sequence[_Point], name: str, symbol: str, colour: str, zone: str, size: int = 11
) -> go.Scatter:
    times = np.array([point.ts_ns for point in points], np.int64)
    if len(points) > CROWDED:
        size -= 4
    short = f"{wording.local_time(points[0].ts_ns, zone):%Z}"
    return go.Scatter(
        x=wording.local_ms(times, zone),
        y=_precise(float(point.price) for point in points),
        customdata=[point.said for point in points],
        mode="markers", name=name, cliponaxis=False,
        marker={"symbol": symbol, "color": colour, "size": size,
                "line": {"color": "rgba(255,255,255,0.9)", "width": 1}},
        hovertemplate="<b>%{customdata[0]} at %{y:,.9~g}</b><br>%{customdata[1]} · "
        f"%{{x|%Y-%m-%d %H:%M:%S}} {escape(short)}<br>%{{customdata[2]}}<extra></extra>",
    )  # fmt: skip


def _between(source: ReportInput, instrument_id: str) -> list[Execution]:
    """Return fills that neither began nor ended a trade: parts of larger orders."""
    own = [trade for trade in source.trades if trade.instrument_id == instrument_id]
    ends = {(t.strategy, t.entry_ns) for t in own} | {(t.strategy, t.exit_ns) for t in own}
    return [
        fill
        for fill in source.executions
        if fill.instrument_id == instrument_id and (fill.strategy, fill.ts_ns) not in ends
    ]


def _more_fills(rest: Sequence[Execution], zone: str) -> go.Scatter:
    points = [_Point(e.ts_ns, e.price, _fill_text(e)) for e in rest]
    trace = _markers(points, "more fills", "circle-open", "#8b93a0", zone, size=6)
    trace.marker.line = {"color": "#8b93a0", "width": 1.4}
    return trace


# --- hovers ---


def _said(head: str, strategy: str, *rest: str) -> tuple[str, str, str]:
    """Return a hover's own words, escaped; price and time are added from the axes."""
    lines = "<br>".join(escape(line) for line in rest if line)
    return escape(head), escape(strategy), lines


def _cut(reason: str) -> str:
    text = " ".join(reason.split())
    return text if len(text) <= HOVER_CHARS else text[: HOVER_CHARS - 1] + "…"


def _wrapped(reason: str, width: int = 56) -> list[str]:
    """Break a reason into lines; a hover does not break by itself."""
    lines = [""]
    for word in _cut(reason).split():
        if len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _entry_text(trade: Trade) -> tuple[str, str, str]:
    head = f"{'Long' if trade.long else 'Short'} {wording.exact(trade.quantity)}"
    verb = "came to" if trade.closed else "stands at"
    result = f"{verb} {wording.signed_money(trade.net, trade.currency)} after costs"
    return _said(head, trade.strategy, *_wrapped(trade.entry_reason), result)


def _exit_text(trade: Trade) -> tuple[str, str, str]:
    code = trade.currency
    held = wording.duration((trade.exit_ns or 0) - trade.entry_ns)
    gross, fees = wording.signed_money(trade.gross, code), wording.money(trade.fees, code)
    return _said(
        f"{wording.signed_money(trade.net, code)}, out",
        trade.strategy,
        *_wrapped(trade.exit_reason),
        f"held {held}, in at {wording.price(trade.entry_price)}",
        f"before costs {gross}, fees {fees}",
        f"tax {wording.money(trade.tax, code)}" if trade.tax else "",
        f"slippage {wording.money(trade.slippage, code)}, one tick worse "
        f"{wording.signed_money(trade.net - trade.one_tick, code)}"
        if trade.one_tick
        else "",
    )


def _fill_text(fill: Execution) -> tuple[str, str, str]:
    head = f"{'Bought' if fill.buy else 'Sold'} {wording.exact(fill.quantity)}"
    fee = f"fee {wording.money(fill.fee, fill.currency)}"
    return _said(head, fill.strategy, *_wrapped(fill.reason), fee)


def instruments_by_activity(source: ReportInput) -> list[str]:
    """Return the instruments that traded, those with most trades first, then by name."""
    counts: Mapping[str, int] = {
        name: sum(trade.instrument_id == name for trade in source.trades)
        for name in {execution.instrument_id for execution in source.executions}
    }
    return sorted(counts, key=lambda name: (-counts[name], name))
