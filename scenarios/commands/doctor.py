"""`onetape doctor`: what is right and wrong on this machine, and what to do about it."""

import argparse
import os
from pathlib import Path
from typing import Any

from scenarios.findings import State
from scenarios.health import examine
from scenarios.screen import Screen
from scenarios.settings import read_settings

EXAMPLE = """example:
  onetape doctor
  onetape doctor demo     # and whether this scenario could run on the catalog that is here
"""


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "doctor",
        parents=[shared],
        help="say what is wrong on this machine",
        description="Check Python, packages, engine, home, catalog, journal, clock and keys "
        "(never shown). Where KIS's keys are set: its address, clock, token, account and WebSocket "
        "key, and the registrations a scenario needs. Exit 1 when something is wrong.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "scenario", metavar="SCENARIO", nargs="?", help="also check that this scenario can run"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Show the findings; 1 where one of them is a failure."""
    findings = examine(read_settings(), os.environ, Path.cwd(), args.scenario)
    rows = [(finding.state, finding.what, finding.found) for finding in findings]
    screen.table("onetape doctor", ("", "what", "found"), rows)
    for finding in findings:
        if finding.advice:
            screen.line(f"{finding.state}: {finding.what}: {finding.advice}")
    healthy = all(finding.state is not State.FAIL for finding in findings)
    checks = [
        {"what": f.what, "state": str(f.state), "found": f.found, "advice": f.advice}
        for f in findings
    ]
    screen.result({"healthy": healthy, "checks": checks})
    return 0 if healthy else 1
