"""The capital manager's own log as tables of the report: shares, brakes, stages, what it forced.

Rule: a view without a row is left out; times are in the run's zone by name.
"""

from collections.abc import Iterator

from nautilus_trader.model import Money

from catalog.capital_folds import CapitalBooks
from catalog.report import CapitalTable, wording
from strategies.messages import Flatten

LISTED = 60
"""Rows of one view; `onetape capital RUN --over-time` prints them all."""


def capital_tables(books: CapitalBooks, zone: str) -> list[CapitalTable]:
    """Return the views of a run that have something to show."""
    views = (
        CapitalTable(
            title="Shares of the money",
            lead="at the end of the run, with the most that was ever used of each",
            head=("Strategy", "Venue", "Share", "Amount", "Used at the end", "Most used", "Why"),
            rows=list(_shares(books)),
        ),
        CapitalTable(
            title="Brakes",
            lead="what held strategies back, and for how long",
            head=("Brake", "Holds", "Leaves", "Pulled", "Let go", "Why"),
            rows=list(_brakes(books, zone)),
        ),
        CapitalTable(
            title="Stages",
            lead="how strategies were rolled out",
            head=("Time", "Strategy", "Stage", "Share", "Why"),
            rows=list(_stages(books, zone)),
        ),
        CapitalTable(
            title="Forced by the capital manager",
            lead="orders it cancelled and positions it closed",
            head=("Time", "Strategy", "Instrument", "What", "Why"),
            rows=list(_forced(books, zone)),
        ),
    )
    return [view for view in views if view.rows]


def _shares(books: CapitalBooks) -> Iterator[tuple[str, ...]]:
    used = {(use.venue, use.strategy): use for use in books.latest_uses()}
    latest = sorted(books.latest_allocations(), key=lambda one: (one.venue, one.strategy))
    for one in latest[:LISTED]:
        now, most = used.get((one.venue, one.strategy)), books.highest_use(one.venue, one.strategy)
        yield (
            one.strategy,
            one.venue,
            wording.percent(float(one.share)),
            _money(one.amount),
            "" if now is None else wording.percent(float(now.part)),
            "" if most is None else wording.percent(float(most.part)),
            one.reason,
        )


def _brakes(books: CapitalBooks, zone: str) -> Iterator[tuple[str, ...]]:
    for brake in books.brakes[:LISTED]:
        end = brake.released_ns
        yield (
            brake.brake,
            brake.scope,
            wording.percent(float(brake.factor)),
            wording.moment(brake.pulled_ns, zone),
            "held to the end" if end is None else wording.moment(end, zone),
            brake.reason,
        )


def _stages(books: CapitalBooks, zone: str) -> Iterator[tuple[str, ...]]:
    for stage in books.stages[:LISTED]:
        yield (
            wording.moment(stage.ts_ns, zone),
            stage.strategy,
            f"{stage.stage} of {stage.stages}",
            wording.percent(float(stage.share)),
            stage.reason,
        )


def _forced(books: CapitalBooks, zone: str) -> Iterator[tuple[str, ...]]:
    for ts_ns, forced in books.forced[:LISTED]:
        yield (
            wording.moment(ts_ns, zone),
            forced.strategy,
            str(forced.instrument_id),
            "position closed" if isinstance(forced, Flatten) else "order cancelled",
            forced.reason,
        )


def _money(money: Money) -> str:
    return wording.money(money.as_decimal(), money.currency.code)
