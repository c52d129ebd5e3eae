"""Several runs on one page: their equity on one axis, their statistics in one table, what differs.

Rule: as for one run: self-contained, equal input gives equal bytes. Runs are named by scenario and
the first letters of their digest, because their ids are made of wall time.
"""

import json
from collections.abc import Iterator, Sequence

import plotly.graph_objects as go

from catalog.equity import Book
from catalog.report import parts, wording
from catalog.report.figures import BOOK_COLOURS, EQUITY_POINTS, Figure, as_plain, rounded
from catalog.report.html import Markup, el, join
from catalog.report.measures import main_books
from catalog.report.page import SHORT_DIGEST, document
from catalog.report.source import ReportInput
from catalog.report.verdict import judge
from catalog.stats.summary import summarise
from catalog.stats.values import Undefined
from catalog.thinning import thin_positions

LISTED_CHANGES = 200


def render_beside(sources: Sequence[ReportInput]) -> str:
    """Return the page of several runs, in the order given."""
    names = run_names(sources)
    content = el(
        "main",
        el(
            "header",
            el("h1", f"{len(sources)} runs side by side"),
            el("p", ", ".join(names), cls="when"),
        ),
        _verdicts(sources, names),
        parts.section(
            "Equity",
            parts.chart("equity", "Equity of all runs since their start", 420),
            ident="equity-section",
            lead="Since each run's start, after costs; times in UTC.",
        ),
        parts.section("What differs", _changes(sources, names), ident="changes"),
        parts.section("Statistics", *_statistics(sources, names), ident="statistics"),
        el("footer", el("p", "Written by onetape from the runs' journals and tapes.")),
    )
    return document(" | ".join(names), content, {"equity": _equity(sources, names)})


def run_names(sources: Sequence[ReportInput]) -> list[str]:
    """Return a short name of each run; equal ones are numbered."""
    plain = [f"{source.run.scenario} {source.run.digest[:SHORT_DIGEST]}" for source in sources]
    return [
        f"{name} ({plain[: i + 1].count(name)})" if plain.count(name) > 1 else name
        for i, name in enumerate(plain)
    ]


def _verdicts(sources: Sequence[ReportInput], names: Sequence[str]) -> Markup:
    items = []
    for source, name in zip(sources, names, strict=True):
        verdict = judge(source)
        doubts = "; ".join(dict.fromkeys(doubt.title for doubt in verdict.doubts))
        said = el("small", f"Before you believe it: {doubts}.") if doubts else ""
        items.append([el("td", el("b", name)), el("td", verdict.headline, said)])
    return el("section", parts.table(("Run", "Verdict"), items, cls="views"), id="verdict")


def _equity(sources: Sequence[ReportInput], names: Sequence[str]) -> Figure:
    figure = go.Figure()
    for i, (source, name) in enumerate(zip(sources, names, strict=True)):
        books = main_books(source)
        for j, book in enumerate(books):
            spots = thin_positions(book.curve.value, EQUITY_POINTS)
            start = float(book.start) or 1.0
            label = name if len(books) == 1 else f"{name}, {book.venue}"
            figure.add_scatter(
                x=wording.local_ms(book.curve.ts_ns[spots], "UTC"),
                y=rounded(book.curve.value[spots] / start - 1, 5),
                name=label,
                mode="lines",
                line={
                    "color": BOOK_COLOURS[i % len(BOOK_COLOURS)],
                    "width": 1.5,
                    "shape": "hv",
                    "dash": ("solid", "dash", "dot", "dashdot")[j % 4],
                },
                hovertemplate="%{y:+.3%}",
            )
    figure.update_layout(
        height=420,
        hovermode="x unified",
        showlegend=True,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        xaxis={"type": "date", "hoverformat": "%Y-%m-%d %H:%M:%S"},
        yaxis={"tickformat": "+.2%", "side": "right", "title": {"text": "since start"}},
    )
    return as_plain(figure)


def _statistics(sources: Sequence[ReportInput], names: Sequence[str]) -> Iterator[Markup]:
    """Return one table per book, a column per run that has it."""
    books: dict[tuple[str, str], list[Book | None]] = {}
    for i, source in enumerate(sources):
        for book in source.columns():
            found = books.setdefault((book.venue, book.currency), [None] * len(sources))
            found[i] = book
    for (venue, currency), column in books.items():
        yield el("h3", f"{venue}, {currency}")
        yield parts.table(("", *names), _rows(sources, column), cls="beside")


def _rows(sources: Sequence[ReportInput], column: Sequence[Book | None]) -> Iterator[list[str]]:
    values: dict[str, list[Markup]] = {}
    tips: dict[str, Markup] = {}
    for i, (source, book) in enumerate(zip(sources, column, strict=True)):
        if book is None:
            continue
        for group in summarise(source.record(book)):
            for one in group.statistics:
                tips.setdefault(one.name, parts.tip(one.name, one.sentence))
                row = values.setdefault(one.name, [parts.num("")] * len(sources))
                if not isinstance(one.value, Undefined):
                    row[i] = parts.num(wording.written(one.value, one.unit, book.currency))
    nothing = parts.num("")
    for name, row in values.items():
        if any(cell != nothing for cell in row):
            yield [tips[name], *row]


def _changes(sources: Sequence[ReportInput], names: Sequence[str]) -> Markup:
    """Return every setting that is not the same in all scenarios, and data that differ."""
    flat = [dict(_flat(json.loads(source.run.config or "{}"))) for source in sources]
    for settings, source in zip(flat, sources, strict=True):
        settings |= {
            f"data {name}": value[:SHORT_DIGEST] for name, value in source.run.slices.items()
        }
        settings["digest"] = source.run.digest[:SHORT_DIGEST]
    keys = sorted({key for settings in flat for key in settings})
    rows = [
        [el("td", el("code", key)), *(settings.get(key, "") for settings in flat)]
        for key in keys
        if len({settings.get(key) for settings in flat}) > 1
    ]
    if not rows:
        return el("p", "Nothing: the same scenario, the same data, the same digest.", cls="calm")
    rest = len(rows) - LISTED_CHANGES
    more = el("p", f"and {rest:,} more.") if rest > 0 else ""
    return join([parts.table(("Setting", *names), rows[:LISTED_CHANGES], cls="views"), more])


def _flat(node: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the settings of a scenario by their path; items of lists by their name."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list) and node and all(isinstance(item, dict) for item in node):
        for i, item in enumerate(node):
            yield from _flat(item, f"{path}.{item.get('name', i)}")
    else:
        yield path, node if isinstance(node, str) else json.dumps(node)
