"""`onetape report`: writes a run's report again, from its journal and the tape."""

import argparse
from pathlib import Path
from typing import Any

from scenarios.screen import Screen
from scenarios.settings import read_settings

EXAMPLE = """example:
  onetape report last
  onetape report demo-20261120-090000-1a2b --out demo.html
"""


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "report",
        parents=[shared],
        help="write a run's report",
        description="Write a run's report as one HTML file that needs no network.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_name", metavar="RUN", help="a run id, its beginning, or last")
    parser.add_argument("--out", type=Path, metavar="PATH", help="where to write it")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Write the report and say where it is."""
    from scenarios.run_report import report_run  # plotly takes half a second to load

    with screen.progress("writing the report"):
        path = report_run(args.run_name, read_settings(), args.out)
    size = path.stat().st_size
    screen.line(f"report: {path} ({size / 1e6:.1f} MB)")
    screen.result({"report": str(path), "bytes": size})
    return 0
