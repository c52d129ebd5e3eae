"""`onetape data`: import files, generate market days, check data, list what is there."""

import argparse
import re
import time
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from catalog.store import Store
from scenarios.commands import data_check, data_generate, data_list, data_pull, data_resample
from scenarios.screen import Screen
from scenarios.settings import read_settings
from scenarios.streams_shown import show_results, summary

_IMPORT_EXAMPLE = """examples:
  onetape data import bars/btc_1m.csv.gz --instrument BTCUSDT-PERP.BINANCE
  onetape data import bars --instrument 'btc-perp*=BTCUSDT-PERP.BINANCE'
  onetape data import krx/daily --adjusted
  onetape data import 'recordings/*.gz' --market usdm
  onetape data import BTCUSDT-1m-2025-01.zip BTCUSDT-trades-2025-01-01.zip --market spot
"""
_EPILOG = """examples:
  onetape data import bars/btc_1m.csv.gz --instrument BTCUSDT-PERP.BINANCE
  onetape data generate demo
  onetape data check 'recordings/*.gz'
  onetape data list
"""
_KINDS = (
    *("bars", "krx-daily", "listing", "index", "recording"),
    *("klines", "trades", "aggTrades", "bookTicker", "fundingRate"),
)
_NUMBERS = re.compile(r"\d[\d,]*(, \d[\d,]*)*(, \.\.\.)?")


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command's parsers."""
    parser = commands.add_parser(
        "data",
        help="import, generate, check and list market data",
        description="Bring market data into the catalog.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _register_import(actions, shared)
    data_generate.register(actions, shared)
    data_pull.register(actions, shared)
    data_resample.register(actions, shared)
    data_check.register(actions, shared)
    data_list.register(actions, shared)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Import files; 0 when it is done."""
    _import(args, Store(read_settings().catalog), screen)
    return 0


def _register_import(actions: Any, shared: argparse.ArgumentParser) -> None:
    parser = actions.add_parser(
        "import",
        parents=[shared],
        help="import tables, Binance's public dumps and recordings of Binance and KIS",
        description="Import OHLCV tables (CSV, Feather, Parquet), KRX daily tables, index tables, "
        "Binance's public dumps (klines, trades, aggTrades, bookTicker, fundingRate), recordings "
        "of Binance's and KIS's WebSocket frames, with receive times or without. All files enter "
        "the catalog, or none does; what holds no prices is left out of a folder and named.",
        epilog=_IMPORT_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="a file, a folder or a pattern")
    add(
        "--instrument",
        action="append",
        default=[],
        metavar="[NAME*=]ID",
        help="instrument id, of all files or of those with such a name (told by the name); may be "
        "given several times",
    )
    add("--kind", choices=_KINDS, help="what the files are (told by name and content)")
    add("--interval", metavar="5m", help="interval of the candles (inferred)")
    add("--timezone", metavar="ZONE", help="zone of times without one (KRX: Asia/Seoul, else UTC)")
    add("--stamp", choices=("open", "close"), help="what a candle's time tells (open)")
    add("--market", choices=("spot", "usdm"), help="market of a recording (told by its frames)")
    add("--day", type=_day, metavar="DATE", help="day of KIS book frames that tell none")
    add("--adjusted", action="store_true", help="prices are adjusted for splits and dividends")
    add("--tick", type=_step, metavar="0.01", help="price step of a new instrument; rounds tables")
    add("--step", type=_step, metavar="0.001", help="size step of a new instrument")
    parser.set_defaults(run=run)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date like 2026-09-22") from None


def _step(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no step like 0.01")
    return value


def _import(args: argparse.Namespace, store: Store, screen: Screen) -> None:
    from catalog.ingest.candles import Stamp, parse_interval
    from catalog.ingest.importer import Kind, Options, import_files
    from catalog.ingest.instruments import Grid
    from catalog.ingest.naming import read_names
    from catalog.ingest.recordings import Market
    from scenarios.calendars import calendar_for
    from scenarios.kis_recordings import KisRecordings

    options = Options(
        names=read_names(args.instrument),
        kind=Kind(args.kind) if args.kind else None,
        interval_ns=parse_interval(args.interval) if args.interval else None,
        timezone=args.timezone,
        stamp=Stamp(args.stamp) if args.stamp else None,
        market=Market(args.market) if args.market else None,
        grid=Grid(tick=args.tick, step=args.step, adjusted=args.adjusted),
        sessions_of=calendar_for,
        readers=(KisRecordings(f"{args.day:%Y%m%d}" if args.day else None),),
    )
    begun = time.perf_counter()
    with screen.progress("importing", 1.0) as bar:
        report = import_files(store, args.paths, options, bar.to)
    elapsed_s = time.perf_counter() - begun
    files = [(str(file.path), file.kind, file.notes) for file in report.files]
    _show_notes(files, screen)
    show_results(report.results, elapsed_s, "Imported", screen)
    frames = sum(file.frames for file in report.files)
    screen.result(
        {
            "files": [{"path": path, "kind": kind, "notes": notes} for path, kind, notes in files],
            **summary(report.results, elapsed_s),
            **({"frames_per_s": round(frames / elapsed_s)} if frames else {}),
        }
    )


def _show_notes(files: Sequence[tuple[str, str, Iterable[str]]], screen: Screen) -> None:
    """Print what was done to each file; notes that differ in their numbers only, once."""
    if len(files) == 1:
        screen.line(f"{files[0][0]} ({files[0][1]})")
    else:
        screen.line(f"{len(files)} files")
    alike: dict[str, list[tuple[str, str]]] = {}
    for path, _, notes in files:
        for note in notes:
            alike.setdefault(_NUMBERS.sub("0", note), []).append((path, note))
    for same in alike.values():
        path, note = same[0]
        everywhere = len(same) == len(files)
        if everywhere and all(other == note for _, other in same):
            screen.line(f"  - {note}")
        elif len(same) == 1:
            screen.line(f"  - {Path(path).name}: {note}")
        else:
            screen.line(f"  - {Path(path).name}: {note}; likewise {len(same) - 1} more files")
