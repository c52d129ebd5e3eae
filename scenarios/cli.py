"""The `onetape` program: finds the command, runs it, turns errors into one sentence and a code."""

import argparse
import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from textwrap import fill
from typing import NoReturn

from scenarios.screen import Screen
from strategies.errors import BadInput, OnetapeError, RunFailed
from strategies.host.faults import one_line

EXAMPLE = """examples:
  onetape demo                  a small market, the sample scenario, its report
  onetape run my_scenario.toml  a scenario of your own
  onetape COMMAND --help        what a command takes, with examples
"""
HELP_COLUMNS = 78
COMMANDS = (
    "demo",
    "run",
    "runs",
    "report",
    "capital",
    "compare",
    "journal",
    "verify",
    "data",
    "venue",
    "new",
    "doctor",
)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the arguments in one sentence, as everything else is said."""

    def format_help(self) -> str:
        """Return the help; descriptions are wrapped, examples stand as they were written."""
        if self.description is not None:
            self.description = fill(self.description, HELP_COLUMNS)
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        raise BadInput(f"{message}; see {self.prog} --help.")


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of all commands."""
    parser = _Parser(
        prog="onetape",
        description="Event-sourced backtests and live trading on one tape.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    given = sys.argv[1:] if argv is None else argv
    screen = Screen(as_json="--json" in given, debug="--debug" in given)
    _take_any_text()
    try:
        args = build_parser().parse_args(given)
        screen = Screen(as_json=args.json, debug=args.debug)
        code = int(args.run(args, screen))
        sys.stdout.flush()  # a reader that is gone is met here, not at the interpreter's end
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        screen.warn("onetape: stopped by the user.")
        return 130
    except OnetapeError as error:
        return _say(error, screen)
    except OSError as error:
        return _say(_of_system(error), screen)
    # Nothing a person sees is a traceback they did not ask for.
    except Exception as error:  # noqa: BLE001 - see above
        return _say(_defect(error), screen)
    return code


def _take_any_text() -> None:
    """Let no character that a terminal or a file name cannot show end a command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _of_system(error: OSError) -> OnetapeError:
    """Put what the operating system refused into a sentence: a path, and what about it."""
    what = error.strerror or str(error)
    place = error.filename or "a file"
    failure = BadInput(f"{place}: {what}; check the path, its permissions and the free space.")
    failure.__cause__ = error
    return failure


def _defect(error: Exception) -> OnetapeError:
    words = one_line(str(error))
    failure = RunFailed(
        f"{type(error).__name__}: {words}; this is a defect of onetape (--debug shows where)."
    )
    failure.__cause__ = error
    return failure


def _say(error: OnetapeError, screen: Screen) -> int:
    if screen.debug:
        traceback.print_exception(error)
    screen.warn(f"onetape: {error}")
    code = 2 if isinstance(error, BadInput) else 1
    screen.result({"error": str(error), "exit": code})
    return code


if __name__ == "__main__":
    sys.exit(main())
