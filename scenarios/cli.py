"""The `onetape` program: finds the command, runs it, turns errors into one sentence and a code."""

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from scenarios.screen import Screen
from strategies.errors import BadInput, OnetapeError

COMMANDS = ("demo", "run", "runs", "report", "journal", "verify", "data", "new", "doctor")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = argparse.ArgumentParser(
        prog="onetape", description="Event-sourced backtests and live trading on one tape."
    )
    parser.add_argument("--version", action="version", version=f"onetape {version('onetape')}")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true", help="print one JSON object as last line")
    shared.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"scenarios.commands.{name}").register(commands, shared)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 good, 1 failed, 2 bad input."""
    # Journals, tokens and reports are the user's alone.
    os.umask(0o077)
    args = build_parser().parse_args(argv)
    screen = Screen(as_json=args.json, debug=args.debug)
    try:
        return int(args.run(args, screen))
    except OnetapeError as error:
        return _say(error, screen)
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        screen.warn("onetape: stopped by the user.")
        return 130


def _say(error: OnetapeError, screen: Screen) -> int:
    if screen.debug:
        traceback.print_exception(error)
    screen.warn(f"onetape: {error}")
    code = 2 if isinstance(error, BadInput) else 1
    screen.result({"error": str(error), "exit": code})
    return code


if __name__ == "__main__":
    sys.exit(main())
