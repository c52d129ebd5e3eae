"""Sections about time, luck, capital and data: tables and the places of their charts.

Rule: as in `parts`: a number has its unit, a missing one its reason; a section without content is
left out.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from catalog.equity import Book
from catalog.report import measures, wording
from catalog.report.figures import Figure
from catalog.report.html import Markup, el, join
from catalog.report.parts import chart, num, section, table, tip
from catalog.report.source import ZERO, CapitalTable, Feed, ReportInput
from catalog.stats import trades
from catalog.stats.calendar import Month, monthly_returns, yearly_returns
from catalog.stats.periods import DAY
from catalog.stats.rolling import rolling_window
from catalog.stats.values import Undefined

LISTED_SYMBOLS = 60
LISTED_FEEDS = 80
LUCK_BOOKS = 3
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Drawn(NamedTuple):
    """A section's markup with the charts that go into its places."""

    markup: Markup
    charts: Mapping[str, Figure]


EMPTY = Drawn(Markup(""), {})


def _plot(ident: str, title: str, lead: str, figure: Figure | None) -> Drawn:
    if figure is None:
        return EMPTY
    small = el("small", lead) if lead else ""
    place = chart(ident, title, measures.HEIGHT)
    return Drawn(el("div", el("h3", title, small), place, cls="plot"), {ident: figure})


def _joined(parts: Sequence[Drawn]) -> Drawn:
    charts: dict[str, Figure] = {}
    for part in parts:
        charts |= part.charts
    return Drawn(join(part.markup for part in parts), charts)


def _wrapped(parts: Sequence[Drawn], title: str, ident: str, lead: str) -> Drawn:
    inside = _joined(parts)
    if not inside.markup:
        return EMPTY
    return Drawn(section(title, inside.markup, ident=ident, lead=lead), inside.charts)


# --- when it was made -----------------------------------------------------------------------------


def periods(source: ReportInput) -> Drawn:
    """Return results by month, day and hour, and the measures over a moving window."""
    zone = wording.zone_label(source.zone, source.run.start_ns)
    parts = [
        Drawn(_months(source), {}),
        _plot("by-day", "By day", f"of the starting equity, days of {zone}",
              measures.days_figure(source)),
        _plot("by-hour", "By hour of entry", f"closed trades after costs, hours of {zone}",
              measures.hours_figure(source)),
        _plot("rolling", "Rolling measures", _rolling_words(source),
              measures.rolling_figure(source)),
    ]  # fmt: skip
    return _wrapped(parts, "When it was made", "periods", "")


def _rolling_words(source: ReportInput) -> str:
    count = max((len(book.closes) - 1 for book in measures.main_books(source)[:1]), default=0)
    window = rolling_window(count)
    scale = "of a year" if source.period == DAY else f"of one {source.period.name}"
    books = measures.main_books(source)[:1]
    name = f", {books[0].venue} {books[0].currency}" if len(source.columns()) > 1 else ""
    return f"over {window} {source.period.name}s, volatility {scale}{name}"


def _months(source: ReportInput) -> Markup:
    """Return a table of months for each book, once there is more than one month."""
    found = []
    for book in measures.main_books(source):
        months = monthly_returns(book.closes.ts_ns, book.closes.value, source.zone)
        if len(months) > 1:
            found.append(_month_table(book, months))
    return join(found)


def _month_table(book: Book, months: Mapping[Month, float]) -> Markup:
    largest = max(abs(value) for value in months.values()) or 1.0
    years = yearly_returns(dict(months))
    rows = [
        [
            el("td", el("b", str(year))),
            *(_heat(months.get((year, month)), largest) for month in range(1, 13)),
            _heat(total, 0.0),
        ]
        for year, total in years.items()
    ]
    head = el("h3", "By month", el("small", f"{book.venue}, {book.currency}, returns in per cent"))
    return join([head, table(("", *MONTHS, "Year"), rows, cls="months")])


def _heat(value: float | None, largest: float) -> Markup:
    """Return one month's cell, shaded by how large it is beside the largest."""
    if value is None:
        return el("td")
    tone = "good" if value > 0 else "bad" if value < 0 else ""
    depth = f"--d:{abs(value) / largest * 26:.0f}%" if largest else None
    text = f"{value * 100:+.1f}".replace("-", "\N{MINUS SIGN}")
    return el("td", text, cls=f"num heat {tone}".strip(), style=depth)


# --- trades ---------------------------------------------------------------------------------------


def distribution(source: ReportInput) -> Drawn:
    """Return how trades came out and how far they stood against their entry."""
    parts = [
        _plot("distribution", "How trades came out", "the outermost hold all beyond",
              measures.distribution_figure(source)),
        _plot("excursions", "How far they stood against it first",
              "a stop left of a winner would have taken it out",
              measures.excursion_figure(source)),
    ]  # fmt: skip
    inside = _joined(parts)
    if not inside.markup:
        return EMPTY
    body = el("div", inside.markup, cls="plots")
    return Drawn(section("Distribution of trades", body, ident="distribution-section"),
                 inside.charts)  # fmt: skip


def symbols(source: ReportInput) -> Markup:
    """Return one row per instrument, the largest results first."""
    own: dict[str, list[trades.Trade]] = defaultdict(list)
    for trade in source.trades:
        own[trade.instrument_id].append(trade)
    if not own:
        return Markup("")
    order = sorted(own, key=lambda name: (-abs(_net(own[name])), name))
    head = ("Instrument", "After costs", "Trades", "Profit factor", "Held", "Fees and tax",
            "Slippage", "One tick worse")  # fmt: skip
    rows = [_symbol_row(name, own[name]) for name in order[:LISTED_SYMBOLS]]
    rest = len(order) - len(rows)
    more = el("p", f"and {wording.count(rest, 'more instrument')}.") if rest else ""
    return join([el("h3", "Instruments"), table(head, rows), more])


def _net(own: Sequence[trades.Trade]) -> Decimal:
    return sum((trade.net for trade in own), ZERO)


def _symbol_row(name: str, own: Sequence[trades.Trade]) -> list[str]:
    code = own[0].currency
    results = trades.closed_results(own)
    rate, factor = trades.win_rate(results), trades.profit_factor(results)
    held = trades.average_holding_ns(own)
    net, ticks = _net(own), sum((trade.one_tick for trade in own), ZERO)
    return [
        el("td", el("b", name), el("small", code)),
        num(wording.signed_amount(net, code), net),
        num(f"{len(results):,}", note="" if isinstance(rate, Undefined) else _won(rate)),
        num("" if isinstance(factor, Undefined) else wording.ratio(factor)),
        num("" if isinstance(held, Undefined) else wording.duration(held)),
        num(wording.amount(sum((trade.fees + trade.tax for trade in own), ZERO), code)),
        num(wording.amount(sum((trade.slippage for trade in own), ZERO), code)),
        num(wording.signed_amount(net - ticks, code), net - ticks),
    ]


def _won(rate: float) -> str:
    return f"{rate * 100:.0f} % won"


# --- luck -----------------------------------------------------------------------------------------


def luck(source: ReportInput) -> Drawn:
    """Return what the same trades might have come to: other orders, drawn again in blocks."""
    parts = []
    books = [book for book in measures.main_books(source) if book.fill_count]
    for i, book in enumerate(books[:LUCK_BOOKS]):
        found = measures.luck_of(source, book)
        figure = measures.luck_figure(source, book)
        if found is None or figure is None:
            continue
        orders, drawn = found
        fall = wording.percent(orders.falls[5])
        code = book.currency
        low, high = (wording.amount(Decimal(repr(drawn.ends[level])), code) for level in (5, 95))
        words = (
            f"In {orders.paths:,} other orders of the same trades, the deepest fall was worse than "
            f"{fall} in one of twenty. Drawn again in blocks, the end lies between {low} and "
            f"{high} {code} in nine of ten, and {wording.percent(drawn.loss_share)} of them lose "
            "money."
        )
        parts.append(_plot(f"luck-{i}", f"{book.venue}, {code}", words, figure))
    return _wrapped(
        parts,
        "Luck",
        "luck",
        f"The closed trades in other orders and drawn again, seed {source.run.seed}. It assumes "
        "that trades would repeat; markets do not promise that.",
    )


# --- capital --------------------------------------------------------------------------------------


def capital(source: ReportInput, refusals: Markup) -> Drawn:
    """Return use of capital, what was refused, and the capital manager's own views."""
    used = _plot("use", "Use of capital", "open positions, long and short added up",
                 measures.use_figure(source))  # fmt: skip
    views = [_capital_view(view) for view in source.capital if view.rows]
    body = [used.markup, el("h3", "Refusals"), refusals, *views]
    return Drawn(
        section(
            "Capital",
            *body,
            ident="capital",
            lead="How much of the money worked, and what the capital manager did not grant.",
        ),
        used.charts,
    )


def _capital_view(view: CapitalTable) -> Markup:
    lead = el("small", view.lead) if view.lead else ""
    return join([el("h3", view.title, lead), table(view.head, view.rows, cls="views")])


# --- data -----------------------------------------------------------------------------------------


def feeds(source: ReportInput) -> Markup:
    """Return what part of the data was recorded, streamed, polled, repaired or is missing."""
    if not source.feeds:
        return Markup("")
    rows: dict[str, int] = defaultdict(int)
    for feed in source.feeds:
        rows[feed.origin] += feed.rows
    total = sum(rows.values()) or 1
    named = {"streamed": 0, "polled": 0, "repaired": 0, **rows}
    shares = ", ".join(
        f"{name} {wording.percent(count / total)}" for name, count in sorted(named.items())
    )
    missing = sum(feed.missing for feed in source.feeds)
    expected = sum(feed.expected for feed in source.feeds)
    holes = (
        f" Of {expected:,} sessions of these streams, {missing:,} hold no price."
        if expected
        else ""
    )
    words = el("p", f"Rows of market data: {shares}.{holes}")
    shown = source.feeds[:LISTED_FEEDS]
    rest = len(source.feeds) - len(shown)
    more = el("p", f"and {rest:,} more.") if rest else ""
    head = ("Stream", "Rows", "Origin", "Sessions without a price", "Remarks")
    body = table(head, (_feed_row(feed) for feed in shown))
    said = el("summary", f"Streams: {len(source.feeds):,}")
    return join([words, el("details", said, body, more)])


def _feed_row(feed: Feed) -> list[str]:
    remarks = [
        "adjusted prices" if feed.adjusted else "",
        "changed since the run" if feed.changed else "",
        feed.source,
    ]
    return [
        el("td", el("code", feed.stream)),
        num(f"{feed.rows:,}"),
        tip(feed.origin, "How the rows came into the catalog."),
        num(f"{feed.missing:,} of {feed.expected:,}" if feed.expected else "not looked at"),
        ", ".join(filter(None, remarks)),
    ]
