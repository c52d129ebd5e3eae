"""The sections of the page: tables and text made of one report's input.

Rule: every number stands with its unit, every undefined one with its reason; no colour alone
carries meaning (signs do).
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

import numpy as np

from catalog.equity import Book, StrategyBook
from catalog.report import wording
from catalog.report.figures import MARKED_TRADES, share
from catalog.report.html import Markup, el, join
from catalog.report.source import ZERO, ReportInput, venue_of
from catalog.report.verdict import Key, Verdict
from catalog.stats import trades
from catalog.stats.summary import Group, Statistic, summarise
from catalog.stats.trades import Trade
from catalog.stats.values import Undefined
from catalog.thinning import FloatArray, thin_positions

LISTED_TRADES = 60
"""Rows of the trades table: half a kilobyte each, and more are read by nobody."""
LISTED_SLICES = 60

LIMITS = {
    "not_tradable": "The instrument can be observed, not traded: an index.",
    "no_price": "No price of the instrument was known yet.",
    "position": "There was no position to reduce, or not that much.",
    "short_sale": "The venue allows no short sale.",
    "lot": "The quantity was below the smallest lot.",
    "tick": "The price was not on the venue's grid.",
    "price_band": "The price was outside the day's limits.",
    "min_notional": "The order was smaller than the venue accepts.",
    "order": "The order was larger than one order may be.",
    "symbol": "The instrument would have taken more money than one may.",
    "allocation": "The strategy had used up its share of the money.",
    "cash": "There was not enough free money on the venue.",
    "sizing": "The order could not be sized as the strategy asked.",
    "price_sanity": "The price was too far from the last one known.",
    "stale": "The last price known was too old to trade on.",
    "sector": "The sector would have taken more money than one may.",
    "strategy": "The strategy would have had more at stake than it may.",
    "venue": "The venue would have held more than it may.",
    "gross": "All positions together would have been larger than they may be.",
    "net": "Long less short would have been larger than it may be.",
    "open_orders": "Too many orders were open already.",
    "orders_per_second": "Too many orders were sent in one second.",
    "orders_per_day": "Too many orders were sent in one day.",
    "brake": "A brake held: losses or the kill switch had stopped new positions.",
}
"""What each limit of the capital manager means; an unknown one is shown by its name alone."""


COST_STEPS = {
    "As decided": "What the fills would have made at the last price known when each order was "
    "decided, before any cost.",
    "Slippage": "What fills cost against that price: spread, latency, and the size of the order.",
    "Fees": "Commissions paid to the venue or broker.",
    "Tax": "Transaction taxes, as KRX takes from every sale.",
    "After costs": "What was left.",
    "A tick worse": "What would have been left had every fill been one tick worse.",
}


def tip(label: str, sentence: str) -> Markup:
    """Return a label that explains itself on hover, tap and focus."""
    if not sentence:
        return el("span", label)
    note = el("span", sentence, cls="note", role="tooltip")
    return el("span", label, note, cls="tip", tabindex="0")


def tone_of(value: Decimal) -> str | None:
    """Return the class of a result's colour."""
    return "good" if value > 0 else "bad" if value < 0 else None


def section(title: str, *content: str, ident: str, lead: str = "") -> Markup:
    """Return one titled section."""
    intro = el("p", lead, cls="lead") if lead else ""
    return el("section", el("h2", title), intro, *content, id=ident)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], cls: str = "") -> Markup:
    """Return a table that scrolls sideways on its own; cells of ``td`` are taken as they are."""
    top = el("thead", el("tr", *(el("th", cell, scope="col") for cell in head)))
    body = el("tbody", *(el("tr", *map(_cell, row)) for row in rows))
    return el("div", el("table", top, body, cls=cls or None), cls="scroll")


def _cell(content: str) -> Markup:
    return (
        content if content.startswith("<td") and isinstance(content, Markup) else el("td", content)
    )


def num(text: str, value: Decimal | None = None, note: str = "") -> Markup:
    """Return a right-aligned cell, coloured by the sign of ``value``."""
    tone = tone_of(value) if value is not None else None
    small = el("small", note) if note else ""
    return el("td", text, small, cls=f"num {tone}" if tone else "num")


# --- the first screen ---


def masthead(source: ReportInput) -> Markup:
    """Return the page's head: what ran, where, and when."""
    run = source.run
    state = el("span", run.status, cls="badge ok" if run.status == "ended" else "badge alarm")
    return el(
        "header",
        el("h1", run.scenario, " ", el("span", f"on {run.mode}", cls="mode"), state),
        el(
            "p",
            wording.window(run.start_ns, run.end_ns, source.zone),
            ", digest ",
            el("code", run.digest[:12]),
            cls="when",
        ),
    )


def contents(sections: Iterable[Markup]) -> Markup:
    """Return links to the sections, taken from their own heads."""
    pattern = re.compile(r'^<section id="([\w-]+)"><h2>(.*?)</h2>')
    heads = [found for part in sections if (found := pattern.match(part))]
    links = (el("a", Markup(head[2]), href=f"#{head[1]}") for head in heads)
    return el("nav", *links, aria_label="Sections")


def first_screen(verdict: Verdict) -> Markup:
    """Return the verdict, the numbers that matter, and what not to believe."""
    return el(
        "section",
        el("p", verdict.headline.replace(" %", "\N{NO-BREAK SPACE}%"), cls="headline"),
        el("p", " ".join(verdict.sentences), cls="lead"),
        el("div", *map(_key, verdict.keys), cls="keys") if verdict.keys else "",
        _doubts(verdict),
        id="verdict",
    )


def _key(key: Key) -> Markup:
    return el(
        "div",
        el("span", key.name, cls="name"),
        el(
            "span",
            key.value,
            join([" ", el("i", key.unit)]) if key.unit else "",
            cls=f"value {key.tone}".strip(),
        ),
        el("span", key.note, cls="beside"),
        cls="key",
    )


def _doubts(verdict: Verdict) -> Markup | str:
    if not verdict.doubts:
        calm = "No automatic check speaks against these numbers."
        return el("p", calm, cls="calm") if verdict.traded else ""
    said: dict[str, list[str]] = {}
    for doubt in verdict.doubts:
        said.setdefault(doubt.title, []).append(doubt.text)
    items = (el("li", el("b", title), " ", " ".join(texts)) for title, texts in said.items())
    return el("div", el("h3", "Before you believe it"), el("ul", *items), cls="doubts")


# --- charts ---


def chart(ident: str, label: str, height: int) -> Markup:
    """Return the place a chart is drawn into; the page's script finds it by its id."""
    wait = el("p", "The chart is being drawn.", cls="wait")
    return el(
        "div",
        wait,
        cls="chart",
        id=ident,
        role="img",
        aria_label=label,
        style=f"min-height:{height}px",
    )


def trade_charts(source: ReportInput, names: Sequence[str], drawn: int) -> Markup:
    """Return one chart per instrument with its own head."""
    parts: list[str] = []
    for i, name in enumerate(names[:drawn]):
        zone = source.zone_of(name)
        own = [trade for trade in source.trades if trade.instrument_id == name]
        label = f"times in {wording.zone_label(zone, source.run.start_ns)}"
        marked = share(MARKED_TRADES, drawn)
        most = f", the {marked} that moved it most are drawn" if len(own) > marked else ""
        head = el("h3", name, el("small", f"{_result_words(own)}{most}, {label}"))
        parts.append(el("div", head, chart(f"trades-{i}", f"Trades of {name}", 420), cls="plot"))
    rest = len(names) - drawn
    if rest > 0:
        parts.append(
            el("p", f"{wording.count(rest, 'more instrument')} traded less and are in the tables.")
        )
    return join(parts)


def _result_words(own: Sequence[Trade]) -> str:
    words = [wording.count(sum(trade.closed for trade in own), "closed trade")]
    sums: dict[str, Decimal] = defaultdict(lambda: ZERO)
    for trade in own:
        sums[trade.currency] += trade.net
    words += [wording.signed_money(value, code) for code, value in sorted(sums.items())]
    return ", ".join(words)


# --- tables ---


def statistics(source: ReportInput) -> Markup:
    """Return all statistics in groups, one column per book."""
    books = source.columns()
    columns = [summarise(source.record(book)) for book in books]
    if not columns:
        return el("p", "The run had no money to measure.")
    groups = (_group(groups, books) for groups in zip(*columns, strict=True))
    return el("div", *groups, cls=f"groups of-{min(len(books), 4)}")


def _group(groups: Sequence[Group], books: Sequence[Book]) -> Markup:
    names = (f"{book.venue} {book.currency}" for book in books) if len(books) > 1 else ("",)
    head = el("tr", *(el("th", cell, scope="col") for cell in (groups[0].name, *names)))
    rows = []
    for row in zip(*(group.statistics for group in groups), strict=True):
        cells = (_value(one, book) for one, book in zip(row, books, strict=True))
        rows.append(el("tr", el("td", tip(row[0].name, row[0].sentence)), *cells))
    made = el("table", el("thead", head), el("tbody", *rows), cls="stats")
    return el("div", made, cls="scroll")


def _value(statistic: Statistic, book: Book) -> Markup:
    text = wording.written(statistic.value, statistic.unit, book.currency)
    if isinstance(statistic.value, Undefined):
        return el("td", "undefined", el("small", text), cls="num undefined")
    return num(text, note=statistic.note)


def strategies(source: ReportInput) -> Markup:
    """Return one row per strategy, venue and currency."""
    head = ("Strategy", "After costs", "", "Trades", "Profit factor", "Before costs",
            "Fees and tax", "Best trade", "Worst trade")  # fmt: skip
    rows = [_strategy_row(source, book) for book in source.equity.strategies]
    return table(head, rows) if rows else el("p", "No strategy traded.")


def _strategy_row(source: ReportInput, book: StrategyBook) -> list[str]:
    code, place = book.currency, (book.strategy, book.venue, book.currency)
    own = [t for t in source.trades if (t.strategy, venue_of(t.instrument_id), t.currency) == place]
    results = trades.closed_results(own)
    rate, factor = trades.win_rate(results), trades.profit_factor(results)
    tax = source.tax_of(*place)
    return [
        el("td", el("b", book.strategy), el("small", f"{book.venue}, {code}")),
        num(wording.signed_amount(book.result, code), book.result),
        el("td", sparkline(book.curve.value), cls="spark"),
        num(f"{len(results):,}", note="" if isinstance(rate, Undefined) else _won(rate)),
        num("" if isinstance(factor, Undefined) else wording.ratio(factor)),
        num(wording.signed_amount(book.result + book.commission, code)),
        num(wording.amount(book.commission, code), note=_taxed(tax, code)),
        num(wording.signed_amount(max(results), code) if results else ""),
        num(wording.signed_amount(min(results), code) if results else ""),
    ]


def _won(rate: float) -> str:
    return f"{rate * 100:.0f} % won"


def _taxed(tax: Decimal, code: str) -> str:
    return f"of it tax {wording.amount(tax, code)}" if tax else ""


def sparkline(value: FloatArray) -> Markup:
    """Return a result over time as a small drawing, zero as a faint line."""
    spots = thin_positions(value, 64)
    series = value[spots]
    low, high = min(float(series.min()), 0.0), max(float(series.max()), 0.0)
    span = (high - low) or 1.0
    x = np.linspace(0, 96, len(series)) if len(series) > 1 else np.zeros(1)
    points = " ".join(
        f"{a:.1f},{22 - (float(b) - low) / span * 20:.1f}" for a, b in zip(x, series, strict=True)
    )
    zero = f"{22 - (0 - low) / span * 20:.1f}"
    tone = "good" if series[-1] >= 0 else "bad"
    return el(
        "svg",
        el("line", x1="0", x2="96", y1=zero, y2=zero),
        el("polyline", points=points, cls=tone),
        viewBox="0 0 96 24",
        width="96",
        height="24",
        aria_hidden="true",
    )


def venues(source: ReportInput) -> Markup:
    """Return one row per venue and currency, and the total where there is one."""
    head = ("Venue", "Start", "End", "After costs", "Deepest fall", "Fills", "Traded",
            "Fees and tax")  # fmt: skip
    return table(head, (_venue_row(source, book) for book in source.columns()))


def _venue_row(source: ReportInput, book: Book) -> list[str]:
    record, code = source.record(book), book.currency
    rows = {one.name: one for group in summarise(record) for one in group.statistics}
    earned, fall = rows["Total return"], rows["Max drawdown"]
    return [
        el("td", el("b", book.venue), el("small", code)),
        num(wording.amount(book.start, code)),
        num(wording.amount(book.end, code)),
        num(
            wording.signed_amount(book.result, code),
            book.result,
            wording.written(earned.value, earned.unit, code),
        ),
        num(wording.written(fall.value, fall.unit, code)),
        num(f"{book.fill_count:,}"),
        num(wording.amount(book.notional, code)),
        num(wording.amount(book.commission, code), note=_taxed(record.tax, code)),
    ]


def costs(source: ReportInput) -> Markup:
    """Return, per book, how gross became net."""
    books = [book for book in source.columns() if book.fill_count or book.commission]
    if not books:
        return el("p", "Nothing was traded, so nothing was paid.")
    return el("div", *(_cost_bars(source, book) for book in books), cls="bars-row")


def _cost_bars(source: ReportInput, book: Book) -> Markup:
    record, code = source.record(book), book.currency
    decided = record.gross + record.slippage
    after_fees = record.gross - record.fees
    worse = record.net - record.one_tick
    steps = [
        ("As decided", ZERO, decided, "plain"),
        ("Slippage", decided, record.gross, "cost"),
        ("Fees", record.gross, after_fees, "cost"),
        ("Tax", after_fees, record.net, "cost"),
        ("After costs", ZERO, record.net, "good" if record.net >= 0 else "bad"),
        ("A tick worse", ZERO, worse, "faint"),
    ]
    without = {"Tax"} if not record.tax else set()
    without |= {"Slippage"} if not record.slippage else set()
    without |= {"A tick worse"} if not record.one_tick else set()
    low = min(min(a, b) for _, a, b, _ in steps)
    high = max(max(a, b) for _, a, b, _ in steps)
    span = (high - low) or Decimal(1)
    rows = [
        _bar(tip(name, COST_STEPS[name]), begin, end, kind, low, span, code)
        for name, begin, end, kind in steps
        if name not in without
    ]
    return el("div", el("h3", f"{book.venue}, {code}"), *rows, cls="bars")


def _bar(
    name: str, begin: Decimal, end: Decimal, kind: str, low: Decimal, span: Decimal, code: str
) -> Markup:
    left = float((min(begin, end) - low) / span) * 100
    width = max(float(abs(end - begin) / span) * 100, 0.4)
    left = min(left, 100 - width)
    mark = el("i", style=f"left:{left:.2f}%;width:{width:.2f}%", cls=kind)
    amount = wording.signed_money(end - begin, code)
    return el(
        "div",
        el("span", name),
        el("span", mark, cls="track"),
        el("span", amount, cls="num"),
        cls="bar",
    )


def refusals(source: ReportInput) -> Markup:
    """Return refused intents by limit, most frequent first."""
    by_limit: dict[str, int] = defaultdict(int)
    owners: dict[str, list[str]] = defaultdict(list)
    example: dict[str, str] = {}
    for refused in source.refusals:
        by_limit[refused.limit] += refused.count
        owners[refused.limit].append(f"{refused.strategy} {refused.count:,}")
        example.setdefault(refused.limit, refused.example)
    if not by_limit:
        return el("p", "The capital manager refused nothing.", cls="calm")
    rows = [
        [
            tip(limit.replace("_", " "), LIMITS.get(limit, "")),
            num(f"{count:,}"),
            ", ".join(owners[limit]),
            el("td", example[limit], cls="reason"),
        ]
        for limit, count in sorted(by_limit.items(), key=lambda item: (-item[1], item[0]))
    ]
    return table(("Limit", "Times", "Strategies", "For example"), rows)


def trades_table(source: ReportInput) -> Markup:
    """Return the trades that moved the result most, in time order, folded away."""
    if not source.trades:
        return el("p", "No trade was made.")
    most = sorted(range(len(source.trades)), key=lambda i: (-abs(source.trades[i].net), i))
    chosen = [source.trades[i] for i in sorted(most[:LISTED_TRADES])]
    head = ("Entered", "Strategy", "Instrument", "Side", "Quantity", "In", "Out", "Held",
            "After costs", "Fees and tax", "Slippage", "A tick worse", "Why in",
            "Why out")  # fmt: skip
    rest = len(source.trades) - len(chosen)
    said = f"All {len(chosen):,} trades" if rest == 0 else (
        f"{len(chosen):,} of {len(source.trades):,} trades: those that moved the result most"
    )  # fmt: skip
    rows = (_trade_row(source, trade) for trade in chosen)
    return el("details", el("summary", said), table(head, rows, cls="trades"))


def _trade_row(source: ReportInput, trade: Trade) -> list[str]:
    code = trade.currency
    out = "open" if trade.exit_price is None else wording.price(trade.exit_price)
    end_ns = source.run.end_ns if trade.exit_ns is None else trade.exit_ns
    return [
        el("td", wording.moment(trade.entry_ns, source.zone_of(trade.instrument_id)), cls="time"),
        trade.strategy,
        trade.instrument_id,
        "long" if trade.long else "short",
        num(wording.exact(trade.quantity)),
        num(wording.price(trade.entry_price)),
        num(out),
        num(wording.duration(end_ns - trade.entry_ns)),
        num(wording.signed_money(trade.net, code), trade.net),
        num(wording.money(trade.fees + trade.tax, code)),
        num(wording.amount(trade.slippage, code)),
        num(wording.signed_amount(trade.net - trade.one_tick, code), trade.net - trade.one_tick),
        el("td", trade.entry_reason, cls="reason"),
        el("td", trade.exit_reason, cls="reason"),
    ]


# --- provenance ---


def provenance(source: ReportInput) -> Markup:
    """Return what the run was made of: enough to make it again and to know it was not changed."""
    run = source.run
    facts = [
        ("Digest", run.digest, "SHA-256 over all decisions and what changed state: equal digests "
         "mean equal runs, on any machine."),
        ("Journal head", run.head, "The last hash of the journal's chain: it changes if any entry "
         "is edited."),
        ("Scenario hash", run.config_hash, "SHA-256 of the resolved scenario."),
        ("Seed", str(run.seed), ""),
        ("Window", wording.window(run.start_ns, run.end_ns, source.zone), ""),
        *((name.capitalize(), f"{value:,}", "") for name, value in source.counts.items()),
    ]  # fmt: skip
    rows = (
        join([el("dt", tip(name, why)), el("dd", el("code", value))])
        for name, value, why in facts
        if value
    )
    return join([el("dl", *rows), *_folded(source)])


def _folded(source: ReportInput) -> Iterator[Markup]:
    run = source.run
    if run.slices:
        shown = sorted(run.slices.items())[:LISTED_SLICES]
        rest = len(run.slices) - len(shown)
        more = [el("p", f"and {rest:,} more.")] if rest else []
        body = _pairs(("Stream", "SHA-256 of its rows in the window"), shown)
        said = el("summary", f"Market data: {wording.count(len(run.slices), 'slice')}")
        yield el("details", said, body, *more)
    if run.config:
        yield el("details", el("summary", "Scenario as it ran"), el("pre", _indented(run.config)))


def _pairs(head: Sequence[str], pairs: Iterable[tuple[str, str]]) -> Markup:
    return table(head, ([el("code", name), el("code", value)] for name, value in pairs))


def _indented(config: str) -> str:
    try:
        return json.dumps(json.loads(config), indent=2, ensure_ascii=False)
    except ValueError:
        return config
