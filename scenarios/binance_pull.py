"""`onetape data pull binance`: public dumps, downloaded and imported.

Rule: what is downloaded stays below the home's ``downloads``, in the host's own folders, so that a
second command neither downloads nor imports anything twice.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from catalog.store import Store, WriteResult
from scenarios.screen import Advance, Screen
from scenarios.settings import Settings
from scenarios.streams_shown import show_results, summary
from strategies.errors import BadInput

if TYPE_CHECKING:  # its HTTP library is slow to import
    from adapters.binance.dumps import DumpReport, Fetched

NAME = "binance"

_EXAMPLE = """examples:
  onetape data pull binance BTCUSDT --kind klines --interval 1m --from 2025-01-01 --to 2025-03-31
  onetape data pull binance BTCUSDT ETHUSDT --market usdm --kind aggTrades --from 2025-01-06
  onetape data pull binance BTCUSDT --market usdm --kind fundingRate --from 2025-01-01
"""
_KINDS = ("klines", "trades", "aggTrades", "bookTicker", "fundingRate")
_MOST_AT_ONCE = 16
_SHOWN_MISSING = 3


def register(sources: Any, shared: argparse.ArgumentParser) -> None:
    """Add the source's parser."""
    parser = sources.add_parser(
        NAME,
        parents=[shared],
        help="Binance's public dumps",
        description="Download Binance's public dumps (verified, resumed, several at a time) and "
        "import them. Whole months come as one file. The host is ONETAPE_BINANCE_DATA_URL, by "
        "default Binance's own.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("symbols", nargs="+", metavar="SYMBOL", help="as Binance writes it: BTCUSDT")
    add("--kind", choices=_KINDS, default="klines", help="what to pull (klines)")
    add("--interval", default="1m", metavar="1m", help="interval of klines (1m)")
    add("--market", choices=("spot", "usdm"), default="spot", help="which market (spot)")
    add("--from", dest="first", type=_day, required=True, metavar="DATE", help="first day, UTC")
    add("--to", dest="last", type=_day, metavar="DATE", help="last day, inclusive (the first)")
    add("--at-once", type=int, default=4, metavar="N", help="downloads at a time (4)")


def pull(args: argparse.Namespace, settings: Settings, screen: Screen) -> None:
    """Download what was asked for and import it."""
    begun = time.perf_counter()
    report = _download(args, settings, screen)
    fresh = sum(each.fresh for each in report.fetched)
    missing = [file.name for file in report.missing]
    _say(len(report.fetched), fresh, report.bytes_read, missing, screen)
    if not report.fetched:
        raise BadInput(
            f"Binance has no {args.kind} of {', '.join(args.symbols)} in {args.market} for these "
            "days: check symbol, market and days (a day appears on the next one)."
        )
    results = _import(args, report.fetched, Store(settings.catalog), screen)
    elapsed_s = time.perf_counter() - begun
    show_results(results, elapsed_s, "Pulled", screen)
    screen.result(
        {
            "files": [str(each.path) for each in report.fetched],
            "downloaded": fresh,
            "bytes": report.bytes_read,
            "missing": missing,
            **summary(results, elapsed_s),
        }
    )


def _download(args: argparse.Namespace, settings: Settings, screen: Screen) -> "DumpReport":
    from adapters.binance.dump_files import DumpKind, DumpRequest, files_for
    from adapters.binance.dumps import DumpSettings, download

    if not 1 <= args.at_once <= _MOST_AT_ONCE:
        raise BadInput(f"--at-once {args.at_once} is out of range: give 1 to {_MOST_AT_ONCE}.")
    folder = settings.downloads / NAME
    kind, days = DumpKind(args.kind), (args.first, args.last or args.first)
    files = [
        file
        for symbol in dict.fromkeys(text.upper() for text in args.symbols)
        for file in files_for(
            DumpRequest(args.market, kind, symbol, *days, args.interval),
            lambda path: (folder / path).exists(),
        )
    ]
    how = DumpSettings(url=settings.binance_data_url, folder=folder, at_once=args.at_once)
    with screen.progress("downloading", len(files)) as bar:
        return asyncio.run(download(files, how, bar.to))


def _import(
    args: argparse.Namespace, fetched: "Sequence[Fetched]", store: Store, screen: Screen
) -> Sequence[WriteResult]:
    """Import each symbol's files as one whole."""
    from catalog.ingest.candles import Stamp, parse_interval
    from catalog.ingest.importer import Options, import_files
    from catalog.ingest.recordings import Market

    klines = args.kind == "klines"
    paths: dict[str, list[Path]] = {}
    for each in sorted(fetched, key=lambda each: each.file.days):
        paths.setdefault(each.file.symbol, []).append(each.path)
    results: list[WriteResult] = []
    with screen.progress("importing", len(paths)) as bar:
        for done, (symbol, files) in enumerate(paths.items()):
            options = Options(
                instrument=_instrument(symbol, args.market),
                interval_ns=parse_interval(args.interval) if klines else None,
                stamp=Stamp.OPEN if klines else None,
                market=Market(args.market),
            )
            on_progress = partial(_advance, bar, done)
            report = import_files(store, [str(path) for path in files], options, on_progress)
            results += report.results
    return results


def _advance(bar: Advance, done: int, read: int, total: int) -> None:
    bar.to(done + read / max(1, total))


def _instrument(symbol: str, market: str) -> str:
    from strategies.markets import binance

    usdm = market == "usdm"
    return f"{symbol}-PERP.{binance.VENUE_USDM}" if usdm else f"{symbol}.{binance.VENUE_SPOT}"


def _say(found: int, fresh: int, read: int, missing: Sequence[str], screen: Screen) -> None:
    there = f", {found - fresh:,} were there already" if found > fresh else ""
    files = "1 file" if fresh == 1 else f"{fresh:,} files"
    screen.line(f"{files} downloaded ({read / 1e6:,.1f} MB){there}.")
    if missing:
        more = len(missing) - _SHOWN_MISSING
        names = ", ".join(missing[:_SHOWN_MISSING]) + (f" and {more:,} more" if more > 0 else "")
        screen.line(f"Binance does not have {names}.")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date like 2025-01-31") from None
