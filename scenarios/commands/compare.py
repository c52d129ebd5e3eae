"""`onetape compare`: two runs side by side, and the first place where they part."""

import argparse
from decimal import Decimal
from typing import Any

from catalog.compare import Comparison, Measure, Side, Step, compare, fold_side
from catalog.journal import JournalStore, open_journal
from catalog.report import wording
from catalog.runs import Run
from scenarios.screen import Screen
from scenarios.settings import Settings, read_settings
from strategies.errors import BadInput

EXAMPLE = """example:
  onetape compare demo-20261120-090000-1a2b last
  onetape compare last demo-20261120-09 --json
"""


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "compare",
        parents=[shared],
        help="compare two runs",
        description="Show decisions, orders, fills, fees, slippage and timing of two runs side by "
        "side, and where they first differ. Exit code 0: equal, 1: different.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("first", metavar="RUN", help="a run id, its beginning, or last")
    parser.add_argument("second", metavar="RUN", help="another")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Compare two runs; 0 when they did the same, 1 when they did not."""
    settings = read_settings()
    with screen.progress("comparing two runs"):
        first, second = (_read(name, settings) for name in (args.first, args.second))
        found = compare(first, second)
    rows = [_row(measure) for measure in found.measures]
    screen.table("two runs", ("what", f"{first.name}>", f"{second.name}>", "difference>"), rows)
    _say_divergence(found, first, second, screen)
    screen.result(_as_json(found, first, second))
    return 0 if found.equal else 1


def _read(name: str, settings: Settings) -> Side:
    """Fold a run; its slippage is known where its tape still is in the catalog."""
    with open_journal(settings.journal_url, settings.home) as journal:
        found = journal.find(name)
        side = fold_side(found.run_id, journal.entries(found))
        try:
            side.slippage = _slippage(journal, found, settings)
        except BadInput:
            side.slippage = {}  # another machine's tape: everything else can still be compared
    return side


def _slippage(journal: JournalStore, found: Run, settings: Settings) -> dict[str, Decimal]:
    from scenarios.run_report import load_report  # the report's libraries take a while to load

    sums: dict[str, Decimal] = {}
    for fill in load_report(journal, found, settings).executions:
        sums[fill.currency] = sums.get(fill.currency, Decimal(0)) + fill.slippage
    return sums


# --- words ----------------------------------------------------------------------------------------


def _row(measure: Measure) -> tuple[str, str, str, str]:
    name = f"{measure.name}, {measure.unit}" if measure.unit not in {"", "ns"} else measure.name
    first, second, difference = (
        _written(value, measure.unit)
        for value in (measure.first, measure.second, measure.difference)
    )
    return name, first, second, difference


def _written(value: Decimal | int | None, unit: str) -> str:
    if value is None:
        return "unknown"
    if unit == "ns":
        return f"{value / 1_000_000:,.3f} ms"
    return f"{value:,}" if isinstance(value, int) else wording.amount(value, unit)


def _say_divergence(found: Comparison, first: Side, second: Side, screen: Screen) -> None:
    part = found.divergence
    if part is None:
        screen.line("equal: the same decisions, orders and fills at the same market times")
        return
    screen.line(f"different from {part.kind} {part.number} on:")
    for side, step in ((first, part.first), (second, part.second)):
        screen.line(f"  {side.name}: {_said(step)}")


def _said(step: Step | None) -> str:
    if step is None:
        return "nothing more"
    return f"{wording.moment(step.ts_ns, 'UTC')}, {step.who}: {step.what}"


def _as_json(found: Comparison, first: Side, second: Side) -> dict[str, object]:
    part = found.divergence
    return {
        "equal": found.equal,
        "runs": [first.name, second.name],
        "first_divergence": None if part is None else {
            "kind": part.kind,
            "number": part.number,
            "steps": [step and step._asdict() for step in (part.first, part.second)],
        },
        "measures": [
            {"name": m.name, "unit": m.unit, "values": [m.first, m.second]} for m in found.measures
        ],
    }  # fmt: skip
