"""`onetape data generate`: market days from a seed, freely or like a table of daily prices."""

import argparse
import time
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from catalog.store import Store, WriteResult
from scenarios.screen import Screen
from scenarios.settings import read_settings
from scenarios.streams_shown import show_results, summary
from strategies.errors import BadInput
from strategies.markets.sessions import Session

_EXAMPLE = """examples:
  onetape data generate demo
  onetape data generate krx --symbols 200 --days 5 --start 2026-03-02 --seed 7
  onetape data generate krx --like listing_krx_2026-03-09.csv.gz --trades 500
  onetape data generate crypto --symbols 2 --depth
"""
_DEFAULT_START = date(2026, 3, 9)
_MOST_DAYS = 2_600
_MOST_TRADES = 200_000


def register(actions: Any, shared: argparse.ArgumentParser) -> None:
    """Add the action's parser."""
    parser = actions.add_parser(
        "generate",
        parents=[shared],
        help="generate market days",
        description="Generate trades, quotes and 1-minute bars; the same seed gives the same data. "
        "With --like each share of a table gets exactly its daily open, high, low, close and "
        "volume; without it, shares have codes of their own that begin with 99.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    markets = ("krx", "crypto", "demo")
    add("market", nargs="?", choices=markets, default="demo", help="which market (demo)")
    add("--symbols", type=int, metavar="N", help="how many symbols (krx 6, crypto 2)")
    add("--days", type=int, metavar="N", help="how many trading days (2)")
    add("--start", type=_day, metavar="DATE", help=f"first day ({_DEFAULT_START})")
    add("--like", type=Path, metavar="TABLE", help="CSV of code, date, OHLC and volume (krx)")
    add(
        "--trades",
        type=int,
        metavar="N",
        help="trades per symbol and day, on average (5,000; --like 1,000)",
    )
    add("--depth", action="store_true", help="books of ten levels as well")
    add("--seed", type=int, default=1, metavar="N", help="seed of all chance (1)")
    parser.set_defaults(run=run)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date like 2026-03-09") from None


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Generate what was asked for; 0 when it is in the catalog."""
    _check(args)
    store = Store(read_settings().catalog)
    generate = _demo if args.market == "demo" else _like if args.like else _days
    begun = time.perf_counter()
    results = generate(args, store, screen)
    elapsed_s = time.perf_counter() - begun
    show_results(results, elapsed_s, f"Generated from seed {args.seed}", screen)
    screen.result({"market": args.market, "seed": args.seed, **summary(results, elapsed_s)})
    return 0


def _check(args: argparse.Namespace) -> None:
    given = (args.symbols, args.days, args.start, args.like, args.trades)
    if args.market == "demo" and (given != (None,) * 5 or args.depth):
        raise BadInput(
            "the demo's market is fixed: leave out everything but --seed, or generate krx or "
            "crypto."
        )
    if args.like and (args.market != "krx" or (args.symbols, args.days) != (None, None)):
        raise BadInput(
            "--like gives the shares and days of KRX itself: write data generate krx --like TABLE "
            "without --symbols and --days."
        )
    if args.trades is not None and not 1 <= args.trades <= _MOST_TRADES:
        raise BadInput(f"--trades {args.trades} is out of range: give 1 to {_MOST_TRADES:,}.")


def _demo(args: argparse.Namespace, store: Store, screen: Screen) -> Sequence[WriteResult]:
    from catalog.generate.market import demo_market

    with screen.progress("generating", 1.0) as bar:
        return demo_market(store, args.seed, bar.to).results


def _like(args: argparse.Namespace, store: Store, screen: Screen) -> Sequence[WriteResult]:
    from catalog.generate import market
    from catalog.generate.like import read_like

    table = read_like(args.like, args.start)
    days = [(_session_on(day), targets) for day, targets in table.days.items()]
    if table.silent:
        rows = "1 row has" if table.silent == 1 else f"{table.silent:,} rows have"
        screen.line(f"{rows} no volume: nothing was traded there.")
    with screen.progress("generating", 1.0) as bar, store.importing() as batch:
        market.generate_like(
            batch,
            days,
            like=args.like.name,
            seed=args.seed,
            trades_per_day=args.trades or market.LIKE_TRADES,
            depth=args.depth,
            on_day=market.counter(bar.to, sum(len(targets) for _, targets in days)),
        )
    return batch.results


def _session_on(day: date) -> Session:
    """Return KRX's session on a day. Raises BadInput where there is none."""
    from scenarios.calendars import krx_sessions

    first = _midnight_ns(day)
    session = krx_sessions(first, first + 1).at(first + 3 * 3_600 * 1_000_000_000)
    if session is None:
        raise BadInput(f"KRX does not trade on {day}: check the table's date, or give --start.")
    return session


def _days(args: argparse.Namespace, store: Store, screen: Screen) -> Sequence[WriteResult]:
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
        generate(
            batch,
            sessions,
            symbols=symbols,
            seed=args.seed,
            trades_per_day=args.trades or market.TRADES_PER_DAY,
            depth=args.depth,
            on_day=market.counter(bar.to, symbols * count),
        )
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
