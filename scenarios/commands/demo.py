"""`onetape demo`: a small market, the sample scenario on it, a table and a report."""

import argparse
from typing import Any

from catalog.generate.market import demo_market
from catalog.store import Store
from scenarios.commands.run import run_and_show
from scenarios.scenario import find_scenario, load_scenario
from scenarios.screen import Screen
from scenarios.settings import read_settings

EXAMPLE = """example:
  onetape demo
  onetape demo --set strategies.sma-krx.params.fast=8
"""


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "demo",
        parents=[shared],
        help="generate a small market and run the sample scenario on it",
        description="Generate two market days if there are none, replay the sample scenario on "
        "both venues, print its result and write its report.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Run the demo."""
    settings = read_settings()
    scenario = load_scenario(find_scenario("demo"), args.set)
    with screen.progress("generating two market days") as bar:
        made = demo_market(Store(settings.catalog), scenario.table.seed, bar.to)
    rows = sum(result.rows for result in made.results)
    if any(result.added for result in made.results):
        screen.line(
            f"generated {rows:,} rows of {len(made.instrument_ids)} instruments in "
            f"{settings.catalog}"
        )
    run_and_show(scenario, settings, screen)
    return 0
