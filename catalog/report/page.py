"""One run as one HTML file that needs nothing else: no network, no fonts, no second file.

Rule: equal input gives equal bytes. The only scripts the page allows are the two whose SHA-256
stands in its content security policy, so text that slipped through could still not run.
"""

import base64
import gzip
import json
import os
from collections.abc import Mapping
from functools import cache, partial
from hashlib import sha256
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from catalog.report import figures, parts, sections, wording
from catalog.report.html import Markup, el, join
from catalog.report.plotly_script import plotly_source
from catalog.report.sections import Drawn
from catalog.report.source import ReportInput
from catalog.report.verdict import judge
from strategies.errors import BadInput

DRAWN_INSTRUMENTS = 12
"""Charts of single instruments on one page, the most traded first."""
SHORT_DIGEST = 12
"""Letters of the digest that stand for a run: its id is made of wall time and differs between
equal runs."""


def write_report(source: ReportInput, path: Path) -> Path:
    """Write a run's report and return its path; the file appears whole or not at all.

    Raises BadInput where it cannot be written.
    """
    return write_whole(render(source).encode(), path)


def write_whole(page: bytes, path: Path) -> Path:
    """Write a file that appears whole or not at all; raises BadInput where it cannot be."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        if aside.is_file():
            aside.unlink()
        raise BadInput(
            f"The report {path} cannot be written ({error.strerror}): free the place or give "
            "another with --out."
        ) from error
    return path


def render(source: ReportInput) -> str:
    """Return the page."""
    names, drawn = _drawn(source)
    sections_of = _sections(source, names, drawn)
    content = _content(source, [part.markup for part in sections_of if part.markup])
    title = f"{source.run.scenario} {source.run.digest[:SHORT_DIGEST]}"
    return document(title, content, _charts(source, names, drawn, sections_of))


def all_charts(source: ReportInput) -> dict[str, figures.Figure]:
    """Return every figure of a run's page by the name of its place."""
    names, drawn = _drawn(source)
    return _charts(source, names, drawn, _sections(source, names, drawn))


def _drawn(source: ReportInput) -> tuple[list[str], int]:
    """Return the traded instruments, most active first, and how many of them are drawn."""
    names = figures.instruments_by_activity(source)
    return names, min(len(names), DRAWN_INSTRUMENTS)


def _charts(
    source: ReportInput, names: list[str], drawn: int, sections_of: list[Drawn]
) -> dict[str, figures.Figure]:
    charts: dict[str, figures.Figure] = {"equity": figures.equity_figure(source)} if names else {}
    for i, name in enumerate(names[:drawn]):
        charts[f"trades-{i}"] = figures.trades_figure(source, name, drawn)
    for part in sections_of:
        charts |= part.charts
    return charts


def document(title: str, content: Markup, charts: Mapping[str, figures.Figure]) -> str:
    """Return a whole page of this look: its content, and the charts its places name."""
    body = join([content, *(_scripts(charts) if charts else [])])
    return "<!doctype html>\n" + el("html", _head(title), el("body", body), lang="en") + "\n"


def _content(source: ReportInput, sections_of: list[Markup]) -> Markup:
    without = el("p", "The charts need JavaScript; every number stands in the tables.",
                 cls="fallback")  # fmt: skip
    return el(
        "main",
        parts.masthead(source),
        el("noscript", without),
        parts.first_screen(judge(source)),
        parts.contents(sections_of),
        *sections_of,
        el("footer", el("p", "Written by onetape from the run's journal and tape.")),
    )


def _sections(source: ReportInput, names: list[str], drawn: int) -> list[Drawn]:
    """Return all sections below the verdict in reading order; what is empty is left out."""
    plain = partial(Drawn, charts={})
    refused = parts.refusals(source)
    venues = parts.section("Venues", parts.venues(source), ident="venues")
    data = parts.section(
        "Where this comes from",
        join([sections.feeds(source), parts.provenance(source)]),
        ident="provenance",
    )
    if not names:
        lead = "What strategies asked for and the capital manager did not grant."
        refusals = parts.section("Refusals", refused, ident="refusals", lead=lead)
        return [plain(venues), plain(refusals), plain(data)]
    return [
        *map(plain, _first(source)),
        sections.periods(source),
        plain(_on_price(source, names, drawn)),
        sections.distribution(source),
        sections.capital(source, refused),
        plain(_by_owner(source)),
        plain(venues),
        sections.luck(source),
        plain(data),
    ]


def _by_owner(source: ReportInput) -> Markup:
    return parts.section(
        "Strategies and instruments",
        parts.strategies(source),
        sections.symbols(source),
        ident="strategies",
    )


def _first(source: ReportInput) -> list[Markup]:
    """Return the sections that come first once something was traded."""
    zone = wording.zone_label(source.zone, source.run.start_ns)
    held = source.benchmark
    dotted = f" Dotted: {held.name}, before costs." if held is not None else ""
    return [
        parts.section(
            "Equity",
            parts.chart("equity", "Equity and drawdown over time", 440),
            ident="equity-section",
            lead=f"After costs, with the fall below the last peak.{dotted} Times in {zone}.",
        ),
        parts.section(
            "Statistics",
            parts.statistics(source),
            ident="statistics",
            lead="Point at a name to read what it means and how it is computed.",
        ),
        parts.section(
            "Costs",
            parts.costs(source),
            ident="costs",
            lead="From the prices the strategies decided on to what was left, step by step.",
        ),
    ]


def _on_price(source: ReportInput, names: list[str], drawn: int) -> Markup:
    return parts.section(
        "Trades on price",
        parts.trade_charts(source, names, drawn),
        parts.trades_table(source),
        ident="trades",
        lead="Each entry and exit says why it happened, at what price, and what it cost.",
    )


# --- head, style and scripts ---


def _head(title: str) -> Markup:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_policy()),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", title),
        el("style", Markup(_asset("page.css"))),
    )


def _policy() -> str:
    scripts = " ".join((_hash(_asset("page.js")), _hash(plotly_source())))
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> str:
    return (files("catalog.report") / name).read_text(encoding="utf-8")


@cache
def _packed_plotly() -> Markup:
    return packed("packed-plotly", plotly_source())


def packed(ident: str, text: str) -> Markup:
    """Return text compressed and written in 85 letters that HTML reads as plain text.

    Base 85 takes a quarter more than bytes do, base 64 a third: 120 KB on this page. The letters
    that mean something in HTML are exchanged for three that the alphabet leaves free.
    """
    raw = gzip.compress(text.encode(), 9, mtime=0)
    letters = base64.b85encode(raw, pad=True).translate(bytes.maketrans(b"<>&", b",.:"))
    kept = "application/octet-stream"
    return el("script", Markup(letters.decode()), id=ident, type=kept, data_bytes=str(len(raw)))


def as_steps(trace: figures.Figure) -> figures.Figure:
    """Return a trace whose times are a first one and steps: half the size once compressed."""
    x = trace.get("x")
    if not x or not all(isinstance(value, int) for value in x):
        return trace
    steps = [after - before for before, after in pairwise(x)]
    return {**trace, "x": {"first": x[0], "steps": steps}}


def _scripts(charts: Mapping[str, figures.Figure]) -> list[Markup]:
    packed_charts = {
        name: {**chart, "data": [as_steps(trace) for trace in chart["data"]]}
        for name, chart in charts.items()
    }
    drawing = {"charts": packed_charts, "templates": figures.templates()}
    text = json.dumps(drawing, separators=(",", ":"), sort_keys=True, allow_nan=False)
    return [
        packed("packed-charts", text),
        _packed_plotly(),
        el("script", Markup(_asset("page.js"))),
    ]
