"""`onetape capital RUN`: allocation and use, refusals by limit, brakes pulled, stages taken."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from nautilus_trader.model import Money

from catalog.capital_folds import CapitalBooks, Use, fold_capital
from catalog.journal import open_journal
from catalog.words import format_time
from scenarios.screen import Screen
from scenarios.settings import read_settings
from strategies.messages import Flatten

EXAMPLES = """examples:
  onetape capital last
  onetape capital last --over-time
  onetape capital last --json
"""


def register(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    shared: argparse.ArgumentParser,
) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "capital",
        parents=[shared],
        help="show how a run's money was shared, used, limited and braked",
        description="Show what the capital manager did in a run: shares and their use, refusals by "
        "limit, brakes pulled and let go, stages taken.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="RUN", help="run id, its beginning, or 'last'")
    parser.add_argument(
        "--over-time", action="store_true", help="every change of a share and every sample"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Print one run's capital."""
    settings = read_settings()
    with open_journal(settings.journal_url, settings.home) as store:
        found = store.find(args.name)
        with screen.progress(f"folding {found.entry_count:,} entries"):
            books = fold_capital(store.entries(found))
    _show_shares(books, screen)
    if args.over_time:
        _show_over_time(books, screen)
    _show_refusals(books, screen)
    _show_brakes(books, screen)
    _show_stages(books, screen)
    screen.result({"run_id": found.run_id, **_values(books)})
    return 0


def _show_shares(books: CapitalBooks, screen: Screen) -> None:
    if not books.allocations:
        screen.line(
            "This run sampled nothing: shares stayed at their weights. Set capital.sample_s in the "
            "scenario to see use over time."
        )
        return
    latest = {(use.venue, use.strategy): use for use in books.latest_uses()}
    columns = ("venue", "strategy", "share>", "allocation>", "used>", "most used>", "profit>")
    rows = []
    for one in books.latest_allocations():
        use = latest.get((one.venue, one.strategy))
        most = books.highest_use(one.venue, one.strategy)
        rows.append(
            (
                one.venue,
                one.strategy,
                f"{one.share:.2%}",
                _money(use.allocation if use else one.amount),
                f"{use.part:.1%}" if use else "-",
                f"{most.part:.1%}" if most else "-",
                _money(use.profit) if use else "-",
            )
        )
    screen.table("shares at the end", columns, rows)
    for total in books.totals[-1:]:
        screen.line(
            f"all venues at the last prices: {_money(total.marked)} ({total.rates}); at cost "
            f"{_money(total.equity)} = free {_money(total.free)} + reserved "
            f"{_money(total.reserved)} + committed {_money(total.committed)} + unsettled "
            f"{_money(total.unsettled)}"
        )


def _show_over_time(books: CapitalBooks, screen: Screen) -> None:
    screen.line("shares over time")
    for one in books.allocations:
        share = f"{one.share:.2%}, {_money(one.amount)}: {one.reason}"
        screen.line(f"  {format_time(one.ts_ns, None)} {one.strategy} on {one.venue}: {share}")
    columns = ("time", "venue", "strategy", "reserved>", "committed>", "used>", "profit>")
    screen.table("use over time", columns, map(_use_row, books.uses))


def _use_row(use: Use) -> tuple[str, ...]:
    return (
        format_time(use.ts_ns, None),
        use.venue,
        use.strategy,
        _money(use.reserved),
        _money(use.committed),
        f"{use.part:.1%}",
        _money(use.profit),
    )


def _show_refusals(books: CapitalBooks, screen: Screen) -> None:
    refused = books.refusals()
    if not refused:
        screen.line(f"No refusals; {books.grants:,} grants.")
        return
    total = sum(one.count for one in refused)
    screen.line(f"{total:,} refusals beside {books.grants:,} grants")
    for one in refused:
        asked = f"last in {one.instrument}: asked {one.asked}, allowed {one.allowed}"
        screen.line(f"  {one.count:>5,} x {one.limit} for {one.strategy}, {asked}")


def _show_brakes(books: CapitalBooks, screen: Screen) -> None:
    if not books.brakes:
        screen.line("No brake was pulled.")
        return
    screen.line("brakes")
    for one in books.brakes:
        does = (
            f"scales allocations by {one.factor.normalize():f} on"
            if one.factor
            else "stops new risk of"
        )
        end = (
            "to the end" if one.released_ns is None else f"to {format_time(one.released_ns, None)}"
        )
        begin = format_time(one.pulled_ns, None)
        screen.line(f"  {begin} {end}: {one.brake} {does} {one.scope}: {one.reason}")
    closed = sum(isinstance(forced, Flatten) for _, forced in books.forced)
    if books.forced:
        screen.line(
            f"The kill switch cancelled {len(books.forced) - closed} orders and closed {closed} "
            "positions."
        )


def _show_stages(books: CapitalBooks, screen: Screen) -> None:
    if books.stages:
        screen.line("stages")
    for one in books.stages:
        stage = f"stage {one.stage} of {one.stages}, {one.share:.0%}"
        screen.line(f"  {format_time(one.ts_ns, None)}: {one.strategy} at {stage}: {one.reason}")


def _money(money: Money) -> str:
    return f"{money.as_decimal():,f} {money.currency.code}"


def _values(books: CapitalBooks) -> dict[str, Any]:
    return {
        "grants": books.grants,
        "refusals": [asdict(one) for one in books.refusals()],
        "brakes": [dict(_plain(one)) for one in books.brakes],
        "stages": [dict(_plain(one)) for one in books.stages],
        "allocations": [dict(_plain(one)) for one in books.allocations],
        "uses": [dict(_plain(one)) for one in books.uses],
        "venues": [dict(_plain(one)) for one in books.venues],
        "totals": [dict(_plain(one)) for one in books.totals],
        "cancelled": sum(not isinstance(forced, Flatten) for _, forced in books.forced),
        "closed": sum(isinstance(forced, Flatten) for _, forced in books.forced),
        "repeated_fills": books.repeated_fills,
    }


def _plain(value: Any) -> Iterator[tuple[str, object]]:
    """Yield a value's fields; money and shares as their exact text."""
    for name in type(value).__dataclass_fields__:
        part = getattr(value, name)
        if isinstance(part, Money | Decimal):
            part = str(part)
        yield name, part
