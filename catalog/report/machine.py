"""A report for machines: one JSON object, or one table as CSV.

Rule: money and quantities are text with all their digits, ratios are numbers, times are ns UTC; a
statistic that does not exist has no value and says why.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

import numpy as np

from catalog.equity import Book
from catalog.report.source import ReportInput
from catalog.report.verdict import judge
from catalog.stats.summary import Statistic, summarise
from catalog.stats.values import Undefined

type Row = Mapping[str, object]


def as_json(source: ReportInput) -> str:
    """Return the whole report as one JSON object with sorted keys and a line end."""
    verdict = judge(source)
    whole = {
        "run": asdict(source.run),
        "verdict": {
            "headline": verdict.headline,
            "sentences": list(verdict.sentences),
            "doubts": [asdict(doubt) for doubt in verdict.doubts],
        },
        "books": [_book(source, book) for book in source.columns()],
        "period": source.period.name,
        "zone": source.zone,
        "benchmark": None if source.benchmark is None else source.benchmark.name,
        "data": [asdict(feed) for feed in source.feeds],
        "counts": dict(source.counts),
        "notes": list(source.notes),
        **{name: list(rows(source)) for name, rows in TABLES.items() if name != "equity"},
    }
    return json.dumps(whole, default=_plain, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def as_csv(source: ReportInput, table: str) -> str:
    """Return one of ``TABLES`` as CSV with a header; empty where it has no row."""
    rows = list(TABLES[table](source))
    if not rows:
        return ""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: _cell(v) for k, v in row.items()} for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    plain = _plain(value) if isinstance(value, Decimal) else value
    return "" if plain is None else plain


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, np.generic):
        return value.item()
    return dict(value) if isinstance(value, Mapping) else str(value)


def _book(source: ReportInput, book: Book) -> Row:
    statistics = [one for group in summarise(source.record(book)) for one in group.statistics]
    return {
        "venue": book.venue,
        "currency": book.currency,
        "start": book.start,
        "end": book.end,
        "result": book.result,
        "statistics": {one.name: _statistic(one) for one in statistics},
        "curve": {
            "ts_ns": book.curve.ts_ns.tolist(),
            "equity": _floats(book.curve.value),
            "used": _floats(book.used.value),
        },
        "closes": {"ts_ns": book.closes.ts_ns.tolist(), "equity": _floats(book.closes.value)},
    }


def _floats(values: Iterable[float]) -> list[float]:
    return [float(f"{value:.15g}") for value in values]


def _statistic(one: Statistic) -> Row:
    undefined = isinstance(one.value, Undefined)
    return {
        "value": None if undefined else one.value,
        "unit": str(one.unit),
        "note": one.value.reason if isinstance(one.value, Undefined) else one.note,
    }


# --- tables ---------------------------------------------------------------------------------------


def _trades(source: ReportInput) -> Iterable[Row]:
    for trade in source.trades:
        yield {**asdict(trade), "net": trade.net}


def _fills(source: ReportInput) -> Iterable[Row]:
    for fill in source.executions:
        yield {**asdict(fill), "slippage": fill.slippage}


def _refusals(source: ReportInput) -> Iterable[Row]:
    return (asdict(refused) for refused in source.refusals)


def _statistics(source: ReportInput) -> Iterable[Row]:
    for book in source.columns():
        for group in summarise(source.record(book)):
            for one in group.statistics:
                yield {
                    "venue": book.venue,
                    "currency": book.currency,
                    "group": group.name,
                    "name": one.name,
                    **_statistic(one),
                }


def _equity(source: ReportInput) -> Iterable[Row]:
    for book in source.columns():
        times, values = book.curve.ts_ns.tolist(), _floats(book.curve.value)
        for ts_ns, value in zip(times, values, strict=True):
            yield {
                "ts_ns": ts_ns,
                "venue": book.venue,
                "currency": book.currency,
                "equity": value,
            }


def _strategies(source: ReportInput) -> Iterable[Row]:
    for book in source.equity.strategies:
        yield {
            "strategy": book.strategy,
            "venue": book.venue,
            "currency": book.currency,
            "result": book.result,
            "fees_and_tax": book.commission,
            "fills": book.fill_count,
        }


TABLES: Mapping[str, Callable[[ReportInput], Iterable[Row]]] = {
    "trades": _trades,
    "fills": _fills,
    "statistics": _statistics,
    "equity": _equity,
    "strategies": _strategies,
    "refusals": _refusals,
}
"""The tables a report can be given as, by name."""
