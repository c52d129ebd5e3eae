"""Reasons to doubt that come from single days, ticks, parameters, data and the yardstick.

Rule: as in `verdict`: each names the number it rests on and what to do about it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from catalog.equity import Book
from catalog.report import wording
from catalog.report.source import Feed, ReportInput
from catalog.stats import returns, trades
from catalog.stats.calendar import daily_results
from catalog.stats.periods import DAY_NS
from catalog.stats.summary import Record
from catalog.stats.values import Undefined

TRADES_PER_PARAMETER = 10
"""Fewer closed trades than this for each number that can be set: the usual rule of ten
observations per variable (P. Peduzzi and others, J. of Clinical Epidemiology 49(12), 1996)."""
STALE_SHARE = 0.05
"""A price older than this part of the window, and than a day, at its end is stale."""
GOOD_WIN_RATE = 0.95
GOOD_PROFIT_FACTOR = 5.0
FEWEST_FOR_GOOD = 20
"""From this many trades on, a win rate or profit factor beyond these is rare and worth a look."""
SURVIVOR_DAYS = 60
FREE_SHARE, FEWEST_FILLS = 0.75, 10
"""From this share on, fills at exactly the price decided on are the model's, not the market's."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason for doubt: ``title`` in a few words, ``text`` with the numbers."""

    title: str
    text: str


# --- what the result stands on --------------------------------------------------------------------


def one_day(book: Book, record: Record, where: str) -> Iterator[Doubt]:
    """Doubt a gain that is gone without its best day."""
    days = daily_results(record.closes_ns, record.closes, record.zone)
    if len(days) < 3 or record.net <= 0:
        return
    best = max(days, key=lambda day: days[day])
    rest = float(record.net) - days[best]
    if rest <= 0:
        made = wording.signed_money(Decimal(repr(days[best])), book.currency)
        left = wording.signed_money(Decimal(repr(rest)), book.currency)
        yield Doubt(
            "One day makes the result",
            f"Without {best} ({made}) the result{where} would be {left}.",
        )


def one_tick(book: Book, record: Record, where: str) -> Iterator[Doubt]:
    """Doubt a gain that one tick more on every fill takes away."""
    if record.net <= 0 or record.one_tick == 0:
        return
    left = record.net - record.one_tick
    if left <= 0:
        cost = wording.money(record.one_tick, book.currency)
        yield Doubt(
            "One tick decides",
            f"One tick more of slippage on every fill costs {cost}{where} and leaves "
            f"{wording.signed_money(left, book.currency)}.",
        )


def free_fills(source: ReportInput, book: Book, where: str) -> Iterator[Doubt]:
    """Doubt fills that came at the very price they were decided on: nobody paid the spread."""
    total = book is source.equity.total and len(source.equity.books) > 1
    own = source.executions if total else source.fills_of(None, book.venue, book.currency)
    known = [fill for fill in own if fill.decided_at is not None]
    free = sum(fill.price == fill.decided_at for fill in known)
    if len(known) >= FEWEST_FILLS and free >= FREE_SHARE * len(known):
        yield Doubt(
            "Fills cost no spread",
            f"{free:,} of {wording.count(len(known), 'fill')}{where} came at exactly the price "
            "they were decided on, as if the spread were zero. Real orders pay at least part of "
            "it; the line of one tick worse is nearer to what they would have made.",
        )


def too_good(record: Record, where: str) -> Iterator[Doubt]:
    """Doubt win rates and profit factors that real trading rarely shows."""
    results = trades.closed_results(record.trades)
    rate, factor = trades.win_rate(results), trades.profit_factor(results)
    if len(results) < FEWEST_FOR_GOOD or isinstance(rate, Undefined):
        return
    good = []
    if rate >= GOOD_WIN_RATE:
        good.append(f"{rate * 100:.0f} % of {len(results):,} trades won")
    if not isinstance(factor, Undefined) and factor > GOOD_PROFIT_FACTOR:
        good.append(f"the profit factor is {wording.ratio(factor)}")
    if good:
        yield Doubt(
            "Too good to be true",
            f"{' and '.join(good).capitalize()}{where}: look for look-ahead, adjusted prices, or "
            "fills at prices nobody offered.",
        )


def parameters(source: ReportInput) -> Iterator[Doubt]:
    """Doubt strategies with more numbers to set than their trades can judge."""
    closed = trades.closed_results(source.trades)
    active = {execution.strategy for execution in source.executions}
    count = sum(number for name, number in source.parameters.items() if name in active)
    if count and len(closed) < TRADES_PER_PARAMETER * count:
        yield Doubt(
            "Many numbers, few trades",
            f"The strategies that traded have {wording.count(count, 'number')} to set and "
            f"{wording.count(len(closed), 'closed trade')} to judge them by; from "
            f"{TRADES_PER_PARAMETER * count:,} trades on they begin to say something.",
        )


def holding(source: ReportInput, book: Book, record: Record, where: str) -> Iterator[Doubt]:
    """Doubt trading that earned less than holding would have."""
    if source.benchmark is None or record.benchmark is None or len(record.benchmark) < 2:
        return
    held = float(record.benchmark[-1] / record.benchmark[0]) - 1.0
    earned = returns.total_return(book.start, book.end)
    if isinstance(earned, Undefined) or held <= max(earned, 0.0):
        return
    yield Doubt(
        "Holding earned more",
        f"{source.benchmark.name.capitalize()}{where} would have earned "
        f"{wording.percent(held, signed=True)}, the run {wording.percent(earned, signed=True)}.",
    )


# --- data -----------------------------------------------------------------------------------------


def data(source: ReportInput) -> Iterator[Doubt]:
    """Doubt data that changed, that were adjusted or made up, that end early or have gaps."""
    traded = {execution.instrument_id for execution in source.executions}
    own = [feed for feed in source.feeds if feed.instrument_id in traded]
    changed = [feed.stream for feed in source.feeds if feed.changed]
    if changed:
        yield Doubt(
            "The data changed since",
            f"The catalog holds other rows now than the run read in {_some(changed)}; prices and "
            "everything computed from them here may differ from what it saw. Run it again.",
        )
    adjusted = _names(feed for feed in own if feed.adjusted)
    if adjusted:
        yield Doubt(
            "Prices are adjusted",
            f"{_some(adjusted)}: prices were changed afterwards for splits and dividends, so "
            "nobody could trade at them; ticks, fees and limits are off.",
        )
    yield from _gaps(source, own)
    if own and all(feed.origin == "generated" for feed in own):
        yield Doubt(
            "The market is made up",
            "All prices were generated: this shows that the machinery works, nothing about a "
            "market.",
        )
    yield from _survivors(source)


def _gaps(source: ReportInput, own: Sequence[Feed]) -> Iterator[Doubt]:
    window_ns = source.run.end_ns - source.run.start_ns
    stale = [f for f in own if f.age_ns > max(DAY_NS, STALE_SHARE * window_ns)]
    if stale:
        oldest = max(stale, key=lambda feed: feed.age_ns)
        yield Doubt(
            "Prices are stale",
            f"The last price of {_some(_names(stale))} is up to {wording.duration(oldest.age_ns)} "
            "old at the end of the window; what is open there is worth something else.",
        )
    holes = [feed for feed in own if feed.missing]
    if holes:
        worst = max(holes, key=lambda feed: feed.missing)
        yield Doubt(
            "Data are missing",
            f"{_some(_names(holes))}: up to {worst.missing:,} of {worst.expected:,} sessions have "
            "no price. Strategies saw nothing there; live they would have.",
        )


def _survivors(source: ReportInput) -> Iterator[Doubt]:
    days = (source.run.end_ns - source.run.start_ns) / DAY_NS
    if source.chosen_by_pattern and days >= SURVIVOR_DAYS and source.instruments > 1:
        yield Doubt(
            "Only survivors, perhaps",
            f"The {source.instruments:,} instruments are those the catalog holds, over "
            f"{days:.0f} days: what was delisted or fell out of an index before it was imported "
            "is missing, and that flatters.",
        )


def _names(feeds: Iterator[Feed] | Sequence[Feed]) -> list[str]:
    return list(dict.fromkeys(feed.instrument_id for feed in feeds))


def _some(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + rest
