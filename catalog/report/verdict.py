"""The report's first screen: what came out, in plain words, and what not to believe.

Rule: a warning names the number it rests on and what to do about it; thresholds stand here with
their reason, nowhere else.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from catalog.equity import Book
from catalog.report import doubts as more
from catalog.report import wording
from catalog.report.doubts import Doubt
from catalog.report.source import ReportInput
from catalog.stats import returns, trades
from catalog.stats.periods import DAY, days_per_year
from catalog.stats.summary import Record, too_short
from catalog.stats.values import Undefined

FEW_TRADES = 30
"""Below this a mean is not close to normal; the central limit theorem's usual rule."""
FEW_RETURNS = 60
"""Below this the 95 % interval of a yearly Sharpe ratio is wider than about 4 either way."""
TOO_GOOD_SHARPE = 4.0
"""Sharpe ratios above this are rare outside market making and common with look-ahead."""
LARGE_COST_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Key:
    """One of the few numbers that matter; ``tone`` is good, bad or empty."""

    name: str
    value: str
    note: str
    tone: str = ""
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first screen."""

    headline: str
    sentences: Sequence[str]
    keys: Sequence[Key]
    doubts: Sequence[Doubt]
    traded: bool


def judge(source: ReportInput) -> Verdict:
    """Say what a run came to and what speaks against believing it."""
    pairs = [(book, source.record(book)) for book in _main_books(source)]
    return Verdict(
        headline=_headline(source, pairs),
        sentences=list(_sentences(source, pairs)),
        keys=list(_keys(source, pairs)) if source.executions else [],
        doubts=list(_doubts(source, pairs)),
        traded=bool(source.executions),
    )


type Pairs = Sequence[tuple[Book, Record]]


def _main_books(source: ReportInput) -> list[Book]:
    """The total where there is one; otherwise every book that traded, or else every book."""
    if source.equity.total is not None:
        return source.columns()[:1]
    books = [book for book in source.equity.books if book.fill_count or book.result]
    return books or list(source.equity.books)


def _headline(source: ReportInput, pairs: Pairs) -> str:
    if not source.executions:
        return "No trade was made."
    several = len(pairs) > 1
    parts = []
    for book, _ in pairs:
        verb = "Made" if book.result > 0 else "Lost" if book.result < 0 else "Broke even,"
        earned = returns.total_return(book.start, book.end)
        share = (
            "" if isinstance(earned, Undefined) else f" ({wording.percent(earned, signed=True)})"
        )
        where = f" on {book.venue}" if several else ""
        parts.append(f"{verb} {wording.money(abs(book.result), book.currency)}{share}{where}")
    rest = [part[0].lower() + part[1:] for part in parts[1:]]
    return " and ".join([parts[0], *rest]) + " after costs."


def _sentences(source: ReportInput, pairs: Pairs) -> Iterator[str]:
    run = source.run
    over = wording.duration(run.end_ns - run.start_ns)
    if not source.executions:
        yield f"{run.scenario} ran over {over} on {run.mode} without a single fill."
        if source.refusals:
            most = max(source.refusals, key=lambda refused: refused.count)
            total = sum(refused.count for refused in source.refusals)
            yield (
                f"{wording.count(total, 'intent')} {'was' if total == 1 else 'were'} refused, "
                f"most often by the limit {most.limit}: {most.example}"
            )
        return
    owners = {execution.strategy for execution in source.executions}
    names = {execution.instrument_id for execution in source.executions}
    yield (
        f"{wording.count(len(owners), 'strategy', 'strategies')} traded "
        f"{wording.count(len(names), 'instrument')} over {over} on {run.mode}."
    )
    for book, record in pairs:
        yield _cost_sentence(book, record, several=len(pairs) > 1)


def _cost_sentence(book: Book, record: Record, *, several: bool) -> str:
    where = f"On {book.venue}, " if several else ""
    costs = record.fees + record.tax
    before = wording.signed_money(record.gross, book.currency)
    taken = "tax and fees" if record.tax else "fees"
    text = (
        f"{where}before costs it was {before}; {taken} took {wording.money(costs, book.currency)}."
    )
    return text[0].upper() + text[1:]


def _keys(source: ReportInput, pairs: Pairs) -> Iterator[Key]:
    for book, _ in pairs:
        earned = returns.total_return(book.start, book.end)
        note = "" if isinstance(earned, Undefined) else wording.percent(earned, signed=True)
        name = "After costs" if len(pairs) == 1 else f"{book.venue} after costs"
        value = wording.signed_amount(book.result, book.currency)
        yield Key(name, value, note, _tone(book.result), book.currency)
    for book, record in pairs:
        fall = returns.max_drawdown(record.curve_ns, record.curve)
        name = "Deepest fall" if len(pairs) == 1 else f"{book.venue} deepest fall"
        if isinstance(fall, Undefined):
            yield Key(name, "none", fall.reason)
        elif fall.depth == 0:
            yield Key(name, "0 %", "equity never fell below a peak")
        else:
            state = "lasted" if fall.recovered_ns is not None else "not recovered after"
            note = f"{state} {wording.duration(fall.duration_ns)}"
            yield Key(name, wording.percent(fall.depth), note)
    yield from _holding_keys(source, pairs)
    yield _trades_key(source)
    if len(pairs) == 1:
        yield _costs_key(*pairs[0])


def _holding_keys(source: ReportInput, pairs: Pairs) -> Iterator[Key]:
    if source.benchmark is None or len(pairs) != 1:
        return
    book, record = pairs[0]
    if record.benchmark is None or len(record.benchmark) < 2:
        return
    held = float(record.benchmark[-1] / record.benchmark[0]) - 1.0
    name = "Holding instead" if not source.benchmark.index else source.benchmark.index
    money = Decimal(repr(held)) * book.start
    note = f"{wording.signed_money(money, book.currency)} before costs"
    yield Key(name, wording.percent(held, signed=True), note)


def _tone(value: Decimal) -> str:
    return "good" if value > 0 else "bad" if value < 0 else ""


def _trades_key(source: ReportInput) -> Key:
    results = trades.closed_results(source.trades)
    still_open = sum(not trade.closed for trade in source.trades)
    rate = trades.win_rate(results)
    notes = [] if isinstance(rate, Undefined) else [f"{rate * 100:.0f} % won"]
    notes += [f"{still_open} still open"] if still_open else []
    return Key("Closed trades", f"{len(results):,}", ", ".join(notes))


def _costs_key(book: Book, record: Record) -> Key:
    costs = record.fees + record.tax
    share = trades.cost_share(costs, record.gross)
    note = (
        f"on {wording.money(book.notional, book.currency)} traded"
        if isinstance(share, Undefined)
        else f"{wording.percent(share)} of the profit before costs"
    )
    return Key("Costs", wording.amount(costs, book.currency), note, unit=book.currency)


def _doubts(source: ReportInput, pairs: Pairs) -> Iterator[Doubt]:
    yield from _state_doubts(source)
    yield from more.data(source)
    if source.executions:
        yield from _trade_doubts(source)
        yield from more.parameters(source)
        for book, record in pairs:
            where = f" on {book.venue}" if len(pairs) > 1 else ""
            yield from more.holding(source, book, record, where)
            yield from _cost_doubts(book, record, where)
            yield from more.one_tick(book, record, where)
            yield from more.free_fills(source, book, where)
            yield from _record_doubts(source, book, record, where)
        yield from _year_doubts(pairs)
    yield from (Doubt("Note", note) for note in source.notes)


def _state_doubts(source: ReportInput) -> Iterator[Doubt]:
    run = source.run
    if run.status != "ended":
        why = f" It stopped with: {run.error}" if run.error else ""
        yield Doubt(
            f"The run is {run.status}",
            f"It did not end as planned, so every number covers only what was journalled.{why}",
        )
    if source.equity.rates and len(source.equity.rates) > 1:
        yield Doubt(
            "One rate for the whole run",
            "Currencies are added up at a constant rate, so gains and losses of the currencies "
            "themselves are not in the total.",
        )


def _trade_doubts(source: ReportInput) -> Iterator[Doubt]:
    results = trades.closed_results(source.trades)
    if len(results) < FEW_TRADES:
        low, high = trades.win_rate_interval(results)
        yield Doubt(
            "Too few trades",
            f"{wording.count(len(results), 'closed trade')}: the true win rate may be anything "
            f"from {low * 100:.0f} to {high * 100:.0f} %. Below {FEW_TRADES} trades, averages are "
            "mostly luck; replay a longer window.",
        )


def _cost_doubts(book: Book, record: Record, where: str) -> Iterator[Doubt]:
    costs = record.fees + record.tax
    if book.fill_count and costs == 0:
        yield Doubt(
            "Costs are zero",
            f"Not one of {wording.count(book.fill_count, 'fill')}{where} paid a fee. Set the "
            "venue's rates before you compare this with anything.",
        )
    share = trades.cost_share(costs, record.gross)
    if isinstance(share, Undefined):
        return
    if record.net <= 0:
        yield Doubt(
            "Costs took it all",
            f"Before costs there was a profit of {wording.money(record.gross, book.currency)}"
            f"{where}; {wording.money(costs, book.currency)} of fees and tax made it a loss.",
        )
    elif share > LARGE_COST_SHARE:
        yield Doubt(
            "Costs eat the profit",
            f"Fees and tax took {wording.percent(share)} of the profit before costs{where}; a "
            "slightly worse fill turns it into a loss.",
        )


def _record_doubts(source: ReportInput, book: Book, record: Record, where: str) -> Iterator[Doubt]:
    yield from _one_trade_doubt(book, record, where)
    yield from more.one_day(book, record, where)
    yield from more.too_good(record, where)
    if book.open_result:
        part = wording.signed_money(book.open_result, book.currency)
        yield Doubt(
            "Part of it is not closed",
            f"{part} of the result{where} stands on open positions at their last known price, "
            "before the cost of closing them.",
        )
    if source.period == DAY and not too_short(record):
        yield from _sharpe_doubts(record, where)


def _year_doubts(pairs: Pairs) -> Iterator[Doubt]:
    short = too_short(pairs[0][1]) if pairs else None
    if short is not None:
        yield Doubt(
            "Nothing can be said about a year",
            f"CAGR, Sharpe, Sortino and Calmar are left undefined: a yearly number {short.reason}.",
        )


def _one_trade_doubt(book: Book, record: Record, where: str) -> Iterator[Doubt]:
    results = trades.closed_results(record.trades)
    if len(results) < 2 or record.net <= 0:
        return
    best = max(results)
    if record.net - best <= 0:
        yield Doubt(
            "One trade makes the result",
            f"Without the best trade ({wording.signed_money(best, book.currency)}) the result"
            f"{where} would be {wording.signed_money(record.net - best, book.currency)}.",
        )


def _sharpe_doubts(record: Record, where: str) -> Iterator[Doubt]:
    series = returns.period_returns(record.closes)
    if isinstance(series, Undefined):
        return
    yearly = days_per_year(record.closes_ns, record.zone)
    value, error = returns.sharpe(series, yearly), returns.sharpe_standard_error(series, yearly)
    if isinstance(value, Undefined) or isinstance(error, Undefined):
        return
    low, high = (wording.ratio(value - 1.96 * error), wording.ratio(value + 1.96 * error))
    if len(series) < FEW_RETURNS:
        yield Doubt(
            "The Sharpe ratio rests on little",
            f"{len(series)} daily returns{where} put the true Sharpe ratio anywhere from {low} to "
            f"{high} (95 %).",
        )
    if value > TOO_GOOD_SHARPE:
        yield Doubt(
            "Too good to be true",
            f"A Sharpe ratio of {wording.ratio(value)}{where} is rare in practice: look for "
            "look-ahead, adjusted prices, or fills at prices nobody offered.",
        )
