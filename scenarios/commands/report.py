"""`onetape report`: writes a run's report again, from its journal and the tape."""

import argparse
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from scenarios.scenario import ReportTable
from scenarios.screen import Screen
from scenarios.settings import Settings, read_settings
from strategies.errors import BadInput

EXAMPLE = """example:
  onetape report last
  onetape report demo-20261120-090000-1a2b --out demo.html
  onetape report last --currency KRW --rate USDT=1400
  onetape report last --format csv --table trades
  onetape report last --png equity
  onetape report --compare demo-20261120-09 last
"""
FORMATS = ("html", "json", "csv")


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "report",
        parents=[shared],
        help="write a run's report",
        description="Write a run's report as one HTML file that needs no network, as JSON or CSV "
        "for machines, or one of its figures as PNG; or several runs in one page.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "run_names", metavar="RUN", nargs="+", help="a run id, its beginning, or last"
    )
    parser.add_argument("--compare", action="store_true", help="several runs in one page")
    parser.add_argument("--out", type=Path, metavar="PATH", help="where to write it")
    parser.add_argument("--format", choices=FORMATS, default="html", help="what to write (html)")
    parser.add_argument(
        "--table", default="trades", metavar="NAME", help="the table of --format csv (trades)"
    )
    parser.add_argument("--png", metavar="FIGURE", help="write one figure, such as equity, as PNG")
    parser.add_argument("--currency", metavar="CODE", help="show a total in this currency")
    parser.add_argument(
        "--rate",
        action="append",
        default=[],
        metavar="CODE=RATE",
        help="what one unit of a currency is worth in it",
    )
    parser.add_argument("--benchmark", metavar="INSTRUMENT", help="compare with this instrument")
    parser.add_argument("--trials", type=int, metavar="N", help="how many variants were tried")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Write the report and say where it is."""
    if len(args.run_names) > 1 and not args.compare:
        raise BadInput(
            f"{len(args.run_names)} runs were named; give one, or --compare for one page of all."
        )
    if args.compare and (args.format != "html" or args.png):
        raise BadInput("--compare writes a page; leave --format and --png out.")
    with screen.progress("writing the report"):
        path = _write(args, read_settings())
    size = path.stat().st_size
    screen.line(f"report: {path} ({size / 1e6:.1f} MB)")
    screen.result({"report": str(path), "bytes": size})
    return 0


def _write(args: argparse.Namespace, settings: Settings) -> Path:
    from catalog.report.page import write_whole  # plotly takes half a second to load
    from scenarios.run_report import compare_runs, read_report, report_run

    shown = _shown(args)
    if args.compare:
        return compare_runs(args.run_names, settings, args.out, shown)
    name = args.run_names[0]
    if args.png:
        return _picture(args, settings, shown)
    if args.format == "html":
        return report_run(name, settings, args.out, shown)
    source = read_report(name, settings, shown)
    out = args.out or settings.reports / f"{source.run.run_id}.{args.format}"
    return write_whole(_text(source, args.format, args.table).encode(), out)


def _text(source: Any, form: str, table: str) -> str:
    from catalog.report.machine import TABLES, as_csv, as_json

    if form == "json":
        return as_json(source)
    if table not in TABLES:
        raise BadInput(f"the report has no table {table}; it has {', '.join(TABLES)}.")
    return as_csv(source, table)


def _picture(args: argparse.Namespace, settings: Settings, shown: ReportTable | None) -> Path:
    from catalog.report.page import all_charts
    from catalog.report.picture import write_picture
    from scenarios.run_report import read_report

    source = read_report(args.run_names[0], settings, shown)
    out = args.out or settings.reports / f"{source.run.run_id}-{args.png}.png"
    out.parent.mkdir(parents=True, exist_ok=True)
    return write_picture(all_charts(source), args.png, out)


def _shown(args: argparse.Namespace) -> ReportTable | None:
    """Return what the command line says about how to show a run; None where it says nothing."""
    if not (args.currency or args.rate or args.benchmark or args.trials is not None):
        return None
    if args.rate and not args.currency:
        raise BadInput("--rate needs the currency it leads to; add --currency KRW.")
    if args.trials is not None and args.trials < 1:
        raise BadInput(f"--trials is {args.trials}; count the variants you tried: at least 1.")
    return ReportTable(
        currency=args.currency,
        rates=dict(_rate(text) for text in args.rate),
        benchmark=args.benchmark,
        trials=args.trials,
    )


def _rate(text: str) -> tuple[str, Decimal]:
    code, _, value = text.partition("=")
    try:
        rate = Decimal(value)
    except InvalidOperation:
        rate = Decimal(0)
    if not code or not rate.is_finite() or rate <= 0:
        raise BadInput(f"--rate {text!r} is not a rate; write it like USDT=1400.")
    return code, rate
