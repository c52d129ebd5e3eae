"""`onetape data pull kis`: minute and daily bars of KRX shares from KIS's queries.

Rule: what the catalog holds is not asked for; what came before an error or a Ctrl-C is kept, so
that the same command goes on where the last one stopped. All questions go through one budget.
"""

import argparse
import asyncio
import os
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.store import Store
from scenarios.env_file import FILE_NAME, read_env_file
from scenarios.screen import Screen
from scenarios.settings import Settings
from scenarios.streams_shown import show_results, summary
from strategies.errors import BadInput
from strategies.markets import krx

if TYPE_CHECKING:  # its HTTP library is slow to import
    from scenarios.kis_bars import Pulled

NAME = "kis"

_EXAMPLE = """examples:
  onetape data pull kis 005930 000660 --kind days --from 2024-01-02
  onetape data pull kis 005930 --kind minutes --from 2026-11-16 --to 2026-11-20
  onetape data pull kis @codes.txt --kind days --adjusted --from 2020-01-02
"""
_SHOWN = 3


def register(sources: Any, shared: argparse.ArgumentParser) -> None:
    """Add the source's parser."""
    parser = sources.add_parser(
        NAME,
        parents=[shared],
        help="bars of KRX shares from KIS (needs its keys)",
        description="Ask KIS for minute or daily bars of KRX shares, within its request limits, "
        "and import them. What the catalog holds is not asked again. Keys come from "
        "ONETAPE_KIS_* or .env; KIS serves about one year of minutes.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("codes", nargs="+", metavar="CODE", help="005930, or @FILE with one code a line")
    add("--kind", choices=("minutes", "days"), default="days", help="what to pull (days)")
    add("--adjusted", action="store_true", help="daily prices adjusted for splits and the like")
    add("--from", dest="first", type=_day, required=True, metavar="DATE", help="first day, Seoul")
    add("--to", dest="last", type=_day, metavar="DATE", help="last day, inclusive (today)")
    add(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=N",
        help="another limit of KIS, as in --limit requests=3 for a new customer (repeatable)",
    )


def pull(args: argparse.Namespace, settings: Settings, screen: Screen) -> None:
    """Ask for what the catalog lacks and import it."""
    from adapters.kis.config import read_config
    from scenarios.kis_bars import BarPull, Wanted

    begun = time.perf_counter()
    _check(args)
    codes = read_codes(args.codes)
    environ = {**read_env_file(Path.cwd() / FILE_NAME), **os.environ}
    wanted = Wanted(
        codes, args.first, args.last, minutes=args.kind == "minutes", adjusted=args.adjusted
    )
    config = read_config(environ, _limits(args.limit))
    work = BarPull(config, Store(settings.catalog), screen, wanted)
    done = asyncio.run(work.run(settings.kis_folder, environ))
    _show(done, args, time.perf_counter() - begun, screen)


def read_codes(texts: Sequence[str]) -> list[str]:
    """Return codes as typed, or as the files name that begin with @; each once.

    ``005930.KRX`` and ``A005930`` are taken as 005930; what follows # in a file is not read.
    Raises BadInput naming file and line.
    """
    found: dict[str, None] = {}
    for text in texts:
        if text.startswith("@"):
            found |= dict.fromkeys(_codes_in(Path(text[1:]).expanduser()))
        else:
            found[_code(text, "")] = None
    return list(found)


def _codes_in(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise BadInput(f"{path} cannot be read ({reason}): give a file of codes.") from error
    codes = [
        _code(word, f"{path}, line {number}: ")
        for number, line in enumerate(lines, 1)
        for word in line.partition("#")[0].replace(",", " ").split()
    ]
    if not codes:
        raise BadInput(f"{path} names no code: write one a line, as in 005930.")
    return codes


def _code(text: str, where: str) -> str:
    code = text.upper().removesuffix(f".{krx.VENUE}")
    code = code[1:] if len(code) == 7 and code[0] == "A" else code
    try:
        krx.equity(code)
    except BadInput as error:
        raise BadInput(f"{where}{error}") from None
    return code


def _limits(given: Sequence[str]) -> dict[str, object]:
    """Read ``NAME=N`` pairs; which names there are is the adapter's to know."""
    numbers: dict[str, object] = {}
    for text in given:
        name, _, number = text.partition("=")
        if not (number.isascii() and number.isdigit()):
            raise BadInput(f"--limit {text!r} is no NAME=N: write it as in --limit requests=3.")
        numbers[name] = int(number)
    return numbers


def _check(args: argparse.Namespace) -> None:
    if args.last is not None and args.last < args.first:
        raise BadInput(f"--to {args.last} lies before --from {args.first}: exchange them.")
    if args.adjusted and args.kind == "minutes":
        raise BadInput("KIS adjusts daily bars only: leave out --adjusted, or add --kind days.")


def _show(done: "Pulled", args: argparse.Namespace, elapsed_s: float, screen: Screen) -> None:
    if done.empty:
        names = ", ".join(done.empty[:_SHOWN]) + (", ..." if len(done.empty) > _SHOWN else "")
        told = f"KIS has no {args.kind} of {names} for these days"
        if len(done.empty) == done.shares:
            raise BadInput(f"{told}: check codes and days, a day appears after its close.")
        screen.line(f"{told}.")
    asked = f"{done.requests:,} request{'' if done.requests == 1 else 's'} to KIS"
    screen.line(f"{asked}; what the catalog held was not asked for.")
    if done.results:
        show_results(done.results, elapsed_s, "Pulled", screen)
    else:
        screen.line("Everything was in the catalog already; nothing was added.")
    values = {"shares": done.shares, "requests": done.requests, "without_bars": done.empty}
    screen.result(values | summary(done.results, elapsed_s))


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date like 2026-01-31") from None
