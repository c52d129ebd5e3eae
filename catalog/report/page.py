"""One run as one HTML file that needs nothing else: no network, no fonts, no second file.

Rule: equal input gives equal bytes. The only scripts the page allows are the two whose SHA-256
stands in its content security policy, so text that slipped through could still not run.
"""

import base64
import gzip
import json
import os
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

from catalog.report import figures, parts, wording
from catalog.report.html import Markup, el, join
from catalog.report.source import ReportInput
from catalog.report.verdict import judge
from strategies.errors import BadInput

DRAWN_INSTRUMENTS = 12
"""Charts of single instruments on one page, the most traded first."""


def write_report(source: ReportInput, path: Path) -> Path:
    """Write a run's report and return its path; the file appears whole or not at all.

    Raises BadInput where it cannot be written.
    """
    page = render(source).encode()
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
    names = figures.instruments_by_activity(source)
    drawn = min(len(names), DRAWN_INSTRUMENTS)
    charts: dict[str, figures.Figure] = {"equity": figures.equity_figure(source)} if names else {}
    for i, name in enumerate(names[:drawn]):
        charts[f"trades-{i}"] = figures.trades_figure(source, name, drawn)
    body = join([_content(source, names, drawn), *(_scripts(charts) if charts else [])])
    head = _head(source.run.scenario, source.run.run_id)
    return "<!doctype html>\n" + el("html", head, el("body", body), lang="en") + "\n"


def _content(source: ReportInput, names: list[str], drawn: int) -> Markup:
    without = el("p", "The charts need JavaScript; every number stands in the tables.",
                 cls="fallback")  # fmt: skip
    return el(
        "main",
        parts.masthead(source),
        el("noscript", without),
        parts.first_screen(judge(source)),
        *(_traded(source, names, drawn) if names else ()),
        parts.section("Venues", parts.venues(source), ident="venues"),
        parts.section(
            "Refusals",
            parts.refusals(source),
            ident="refusals",
            lead="What strategies asked for and the capital manager did not grant.",
        ),
        parts.section("Where this comes from", parts.provenance(source), ident="provenance"),
        el("footer", el("p", "Written by onetape from the run's journal and tape.")),
    )


def _traded(source: ReportInput, names: list[str], drawn: int) -> list[Markup]:
    """Return the sections that only make sense once something was traded."""
    zone = wording.zone_label(source.zone, source.run.start_ns)
    equity = parts.chart("equity", "Equity and drawdown over time", 440)
    charts = parts.trade_charts(source, names, drawn)
    return [
        parts.section(
            "Equity",
            equity,
            ident="equity-section",
            lead=f"After costs, with the fall below the last peak. Times in {zone}.",
        ),
        parts.section(
            "Trades on price",
            charts,
            parts.trades_table(source),
            ident="trades",
            lead="Each entry and exit says why it happened, at what price, and what it cost.",
        ),
        parts.section(
            "Costs",
            parts.costs(source),
            ident="costs",
            lead="What the trading made before anyone was paid, and who took what.",
        ),
        parts.section(
            "Statistics",
            parts.statistics(source),
            ident="statistics",
            lead="Point at a name to read what it means and how it is computed.",
        ),
        parts.section("Strategies", parts.strategies(source), ident="strategies"),
    ]


# --- head, style and scripts ---


def _head(scenario: str, run_id: str) -> Markup:
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=_policy()),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("title", f"{scenario}: {run_id}"),
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
def plotly_source() -> str:
    """Return plotly's own script, as the installed package carries it."""
    from plotly.offline import get_plotlyjs

    source: str = get_plotlyjs()
    # A browser reads a script with its line ends made one; the hash must be of that text.
    return source.replace("\r\n", "\n").replace("\r", "\n")


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
    if not x or None in x:
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
