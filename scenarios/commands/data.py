"""`onetape data`: import files into the catalog, generate market days, list what is there."""

import argparse
import re
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from catalog.layout import instrument_of
from catalog.store import Store, StreamInfo, WriteResult
from scenarios.screen import Screen
from scenarios.settings import read_settings
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.sessions import Session

_IMPORT_EXAMPLE = """examples:
  onetape data import bars/btc_1m.csv.gz --instrument BTCUSDT-PERP.BINANCE
  onetape data import krx/daily --adjusted
  onetape data import 'recordings/*.gz' --market usdm
"""
_GENERATE_EXAMPLE = """examples:
  onetape data generate demo
  onetape data generate krx --symbols 200 --days 5 --start 2026-03-02 --seed 7
"""
_EPILOG = """examples:
  onetape data import bars/btc_1m.csv.gz --instrument BTCUSDT-PERP.BINANCE
  onetape data generate demo
  onetape data list
"""
_SHOWN = 24
_NUMBERS = re.compile(r"\d[\d,]*(, \d[\d,]*)*(, \.\.\.)?")
_DEFAULT_START = date(2026, 3, 9)
_MOST_DAYS = 2_600


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command's parsers."""
    parser = commands.add_parser(
        "data",
        help="import, generate and list market data",
        description="Bring market data into the catalog.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _register_import(actions, shared)
    _register_generate(actions, shared)
    listing = actions.add_parser(
        "list",
        parents=[shared],
        help="list what the catalog holds",
        description="List every stream of the catalog with its span, rows and origin.",
        epilog="example: onetape data list --json",
    )
    listing.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Run one action; 0 when it is done."""
    actions: dict[str, Callable[[argparse.Namespace, Store, Screen], None]] = {
        "import": _import,
        "generate": _generate,
        "list": _list,
    }
    actions[args.action](args, Store(read_settings().catalog), screen)
    return 0


def _register_import(actions: Any, shared: argparse.ArgumentParser) -> None:
    parser = actions.add_parser(
        "import",
        parents=[shared],
        help="import tables and raw recordings",
        description="Import OHLCV tables (CSV, Feather, Parquet), KRX daily tables and raw Binance "
        "WebSocket recordings. All files enter the catalog, or none does.",
        epilog=_IMPORT_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("paths", nargs="+", metavar="PATH", help="a file, a folder or a pattern")
    add("--instrument", metavar="ID", help="instrument id (default: from the file's name)")
    add("--kind", choices=("bars", "krx-daily", "recording"), help="what the files are (found out)")
    add("--interval", metavar="5m", help="interval of the candles (inferred)")
    add("--timezone", metavar="ZONE", help="zone of times without one (KRX: Asia/Seoul, else UTC)")
    add("--stamp", choices=("open", "close"), help="what a candle's time tells (open)")
    add("--market", choices=("spot", "usdm"), help="market of a recording (told by its frames)")
    add("--adjusted", action="store_true", help="prices are adjusted for splits and dividends")
    add("--tick", type=_step, metavar="0.01", help="price step of a new instrument; rounds tables")
    add("--step", type=_step, metavar="0.001", help="size step of a new instrument")
    parser.set_defaults(run=run)


def _register_generate(actions: Any, shared: argparse.ArgumentParser) -> None:
    parser = actions.add_parser(
        "generate",
        parents=[shared],
        help="generate market days",
        description="Generate trades, quotes and 1-minute bars; the same seed gives the same data.",
        epilog=_GENERATE_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    markets = ("krx", "crypto", "demo")
    add("market", nargs="?", choices=markets, default="demo", help="which market (demo)")
    add("--symbols", type=int, metavar="N", help="how many symbols (krx 6, crypto 2)")
    add("--days", type=int, metavar="N", help="how many trading days (2)")
    add("--start", type=_day, metavar="DATE", help=f"first day ({_DEFAULT_START})")
    add("--seed", type=int, default=1, metavar="N", help="seed of all chance (1)")
    parser.set_defaults(run=run)


def _step(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal(0)
    if not value.is_finite() or value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no step like 0.01")
    return value


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date like 2026-03-09") from None


def _import(args: argparse.Namespace, store: Store, screen: Screen) -> None:
    from catalog.ingest.candles import Stamp, parse_interval
    from catalog.ingest.importer import Kind, Options, import_files
    from catalog.ingest.instruments import Grid
    from catalog.ingest.recordings import Market

    options = Options(
        instrument=args.instrument,
        kind=Kind(args.kind) if args.kind else None,
        interval_ns=parse_interval(args.interval) if args.interval else None,
        timezone=args.timezone,
        stamp=Stamp(args.stamp) if args.stamp else None,
        market=Market(args.market) if args.market else None,
        grid=Grid(tick=args.tick, step=args.step, adjusted=args.adjusted),
    )
    begun = time.perf_counter()
    with screen.progress("importing", 1.0) as bar:
        report = import_files(store, args.paths, options, bar.to)
    elapsed_s = time.perf_counter() - begun
    files = [(str(file.path), file.kind, file.notes) for file in report.files]
    _show_notes(files, screen)
    _show_results(report.results, elapsed_s, "Imported", screen)
    frames = sum(file.frames for file in report.files)
    screen.result(
        {
            "files": [{"path": path, "kind": kind, "notes": notes} for path, kind, notes in files],
            **_summary(report.results, elapsed_s),
            **({"frames_per_s": round(frames / elapsed_s)} if frames else {}),
        }
    )


def _generate(args: argparse.Namespace, store: Store, screen: Screen) -> None:
    from catalog.generate import market

    begun = time.perf_counter()
    if args.market == "demo":
        if (args.symbols, args.days, args.start) != (None, None, None):
            raise BadInput(
                "the demo's symbols and days are fixed: leave out --symbols, --days and --start, "
                "or generate krx or crypto."
            )
        with screen.progress("generating", 1.0) as bar:
            results: Sequence[WriteResult] = market.demo_market(store, args.seed, bar.to).results
    else:
        results = _generate_days(args, store, screen)
    elapsed_s = time.perf_counter() - begun
    _show_results(results, elapsed_s, f"Generated from seed {args.seed}", screen)
    screen.result({"market": args.market, "seed": args.seed, **_summary(results, elapsed_s)})


def _generate_days(args: argparse.Namespace, store: Store, screen: Screen) -> Sequence[WriteResult]:
    from catalog.generate import market

    shares = args.market == "krx"
    symbols = args.symbols if args.symbols is not None else (6 if shares else 2)
    count = args.days if args.days is not None else 2
    if not 1 <= count <= _MOST_DAYS:
        raise BadInput(f"--days {count} is out of range: give 1 to {_MOST_DAYS:,}.")
    start = args.start or _DEFAULT_START
    sessions = _krx_days(start, count) if shares else _utc_days(start, count)
    generate = market.generate_krx if shares else market.generate_crypto
    with screen.progress("generating", 1.0) as bar, store.importing() as batch:
        on_day = market.counter(bar.to, symbols * count)
        generate(batch, sessions, symbols=symbols, seed=args.seed, on_day=on_day)
    return batch.results


def _krx_days(start: date, count: int) -> list[Session]:
    """Return the next ``count`` sessions of KRX, holidays left out."""
    from scenarios.calendars import krx_sessions

    first = _midnight_ns(start)
    calendar = krx_sessions(first, _midnight_ns(start + timedelta(days=2 * count + 15)))
    sessions: list[Session] = []
    at = first - 1
    while len(sessions) < count:
        session = calendar.next_after(at)
        if session is None:
            raise BadInput(f"KRX's calendar ends before {count} days after {start}: start earlier.")
        sessions.append(session)
        at = session.open_ns
    return sessions


def _utc_days(start: date, count: int) -> list[Session]:
    from catalog.generate.market import utc_day

    return [utc_day(_midnight_ns(start + timedelta(days=number))) for number in range(count)]


def _midnight_ns(day: date) -> int:
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(midnight.timestamp()) * 1_000_000_000


def _list(args: argparse.Namespace, store: Store, screen: Screen) -> None:  # noqa: ARG001 - it takes no options
    streams = store.streams()
    if not streams:
        screen.line(
            f"The catalog {store.root} is empty: fill it with onetape data generate demo, or "
            "onetape data import FILE."
        )
    else:
        rows = ((*_place(info), f"{info.rows:,}", _origin(info.sources)) for info in streams)
        screen.table(f"Catalog {store.root}", ("stream", "span", "rows>", "origin"), rows)
    screen.result(
        {
            "catalog": str(store.root),
            "streams": [_stream_values(info) for info in streams],
            "rows": sum(info.rows for info in streams),
        }
    )


def _origin(sources: Sequence[str]) -> str:
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return (sources[0] if sources else "") + more


def _stream_values(info: StreamInfo) -> dict[str, object]:
    return {
        "kind": info.kind,
        "topic": info.topic,
        "instrument": str(info.instrument_id),
        "files": info.files,
        "rows": info.rows,
        "first_ns": info.first_ns,
        "last_ns": info.last_ns,
        "origins": info.sources,
    }


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


def _show_results(
    results: Sequence[WriteResult], elapsed_s: float, title: str, screen: Screen
) -> None:
    streams: dict[tuple[str, str], list[WriteResult]] = {}
    for result in results:
        streams.setdefault((result.kind, result.topic), []).append(result)
    shown = list(streams.values())[:_SHOWN]
    screen.table(title, ("stream", "span", "rows>", "new>"), map(_result_row, shown))
    if len(shown) < len(streams):
        screen.line(f"... and {len(streams) - len(shown)} more (onetape data list)")
    added = sum(result.rows for result in results if result.added)
    there = sum(result.rows for result in results if not result.added)
    already = f", {there:,} were there already" if there else ""
    speed = (added + there) / elapsed_s if elapsed_s else 0
    screen.line(f"{added:,} rows added{already}; {elapsed_s:.1f} s, {speed:,.0f} rows/s.")


def _result_row(parts: Sequence[WriteResult]) -> tuple[object, ...]:
    rows = sum(part.rows for part in parts)
    new = sum(part.rows for part in parts if part.added)
    info = StreamInfo(
        parts[0].kind,
        parts[0].topic,
        instrument_of(parts[0].kind, parts[0].topic),
        len(parts),
        rows,
        min(part.first_ns for part in parts),
        max(part.last_ns for part in parts),
        (),
    )
    return (*_place(info), f"{rows:,}", f"{new:,}" if new else "there already")


def _place(info: StreamInfo) -> tuple[str, str]:
    """Name a stream and its span for people: ``005930.KRX bars 1-DAY``, days or hours."""
    zone = ZoneInfo("Asia/Seoul" if info.instrument_id.venue.value == krx.VENUE else "UTC")
    first, last = (
        datetime.fromtimestamp(ns // 10**9, zone) for ns in (info.first_ns, info.last_ns)
    )
    spec = info.topic.removeprefix(f"{info.instrument_id}-").removesuffix("-LAST-EXTERNAL")
    bars = f" {spec}" if spec != info.topic else ""
    if first.date() == last.date():
        span = f"{first:%Y-%m-%d %H:%M:%S} .. {last:%H:%M:%S %Z}"
    else:
        span = f"{first:%Y-%m-%d} .. {last:%Y-%m-%d %Z}"
    return f"{info.instrument_id} {info.kind}{bars}", span


def _summary(results: Sequence[WriteResult], elapsed_s: float) -> dict[str, object]:
    rows = sum(result.rows for result in results)
    return {
        "streams": [
            {
                "kind": result.kind,
                "topic": result.topic,
                "rows": result.rows,
                "first_ns": result.first_ns,
                "last_ns": result.last_ns,
                "sha256": result.sha256,
                "added": result.added,
            }
            for result in results
        ],
        "rows": rows,
        "rows_added": sum(result.rows for result in results if result.added),
        "elapsed_s": round(elapsed_s, 3),
        "rows_per_s": round(rows / elapsed_s) if elapsed_s else 0,
    }
