"""`onetape run`: a scenario from its file to its report."""

import argparse
import os
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.model import Currency

from scenarios.consent import FLAG
from scenarios.execute import run_replay
from scenarios.scenario import Scenario, find_scenario, load_scenario
from scenarios.screen import Screen
from scenarios.settings import Settings, read_settings
from strategies.errors import BadInput

EXAMPLE = """example:
  onetape run demo
  onetape run my_scenario.toml --set strategies.sma.params.fast=5 --from 2026-03-09T09:00:00+09:00
  onetape run my_scenario.toml --on live
"""
COUNTS = ("decisions", "orders", "fills", "refusals", "events")
MODES = ("replay", "latency", "paper", "live")


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "run",
        parents=[shared],
        help="run a scenario",
        description="Run a scenario on recorded data, or trade it live, and write its journal.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenario", metavar="SCENARIO", help="a name under scenarios/, or a path")
    parser.add_argument("--on", choices=MODES, default="replay", help="what it runs on (replay)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting"
    )
    parser.add_argument("--from", dest="start", metavar="TIME", help="start, with its zone")
    parser.add_argument("--to", dest="end", metavar="TIME", help="end (exclusive), with its zone")
    parser.add_argument(
        FLAG, dest="consent", action="store_true", help="agree that --on live trades real money"
    )
    parser.add_argument("--no-report", action="store_true", help="write no HTML report")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Run the scenario; 0 when it ended."""
    if args.on not in {"replay", "live"}:
        raise BadInput(
            f"--on {args.on} is not in this version; use --on replay, or --on live against a "
            "simulated venue (onetape venue kis)."
        )
    if args.on == "live" and args.start is not None:
        raise BadInput("--from has no meaning with --on live, which begins now: leave it out.")
    scenario = load_scenario(find_scenario(args.scenario), args.set, (args.start, args.end))
    if args.on == "live":
        must_end = args.end is not None
        trade_and_show(scenario, read_settings(), screen, consent=args.consent, must_end=must_end)
    else:
        run_and_show(scenario, read_settings(), screen, with_report=not args.no_report)
    return 0


def trade_and_show(
    scenario: Scenario,
    settings: Settings,
    screen: Screen,
    *,
    consent: bool,
    must_end: bool = False,
) -> Mapping[str, object]:
    """Trade a session at the venue and show what came of it; the JSON object comes last."""
    from scenarios.live import environment, run_live  # the live node takes a while to load

    environ = environment(os.environ, Path.cwd())
    outcome = run_live(scenario, settings, environ, screen, consent=consent, must_end=must_end)
    summary = outcome.summary()
    show(summary, screen)
    show_books(summary, screen)
    screen.line(f"next: onetape journal {summary['run_id']}")
    screen.result(summary)
    return summary


def show_books(summary: Mapping[str, object], screen: Screen) -> None:
    """Say which strategies failed, and how the run's books and the venue's compare."""
    stopped = summary.get("stopped")
    for name in stopped if isinstance(stopped, list) else ():
        screen.warn(
            f"Strategy {name} failed and was stopped; why: onetape journal {summary['run_id']} "
            "--kind fault"
        )
    mismatches = summary.get("mismatches")
    for text in mismatches if isinstance(mismatches, list) else ():
        screen.warn(f"The venue's books differ: {text}")
    if summary["reconciled"]:
        screen.line("orders, fills, positions and cash equal the venue's books")
    elif not mismatches:
        screen.warn("The venue's books could not be compared at the end: look at the account.")


def run_and_show(
    scenario: Scenario, settings: Settings, screen: Screen, *, with_report: bool = True
) -> Mapping[str, object]:
    """Run on replay, write the report, and show what came of it; the JSON object comes last."""
    with screen.progress(f"replaying {scenario.name}", 1.0) as bar:
        outcome = run_replay(scenario, settings, progress=bar.to)
    summary = outcome.summary()
    show(summary, screen)
    if with_report:
        from scenarios.run_report import report_run  # plotly takes half a second to load

        summary["report"] = str(report_run(outcome.run_id, settings))
        screen.line(f"report: {summary['report']}")
    screen.line(f"next: onetape verify {summary['run_id']}")
    screen.result(summary)
    return summary


def show(summary: Mapping[str, object], screen: Screen) -> None:
    """Print a run's summary for people."""
    pnl = summary["pnl"]
    gains = pnl.items() if isinstance(pnl, dict) else ()
    rows = [
        ("run", summary["run_id"]),
        *(("result after costs", money_text(amount, code)) for code, amount in gains),
        *((what, f"{summary[what]:,}") for what in COUNTS),
        ("events per second", f"{summary['events_per_s']:,}"),
    ]
    screen.table(f"{summary['on']} {summary['status']}", ("what", "value"), rows)
    screen.line(f"digest: {summary['digest']}")


def money_text(amount: str, code: str) -> str:
    """Return a gain or loss with its sign, separators, and the digits of its currency."""
    return f"{Decimal(amount):+,.{Currency.from_str(code).precision}f} {code}"
