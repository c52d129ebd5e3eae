"""`onetape data resample`: build bars from the catalog's trades, as the venue builds candles."""

import argparse
import time
from typing import Any

from catalog.ingest.candles import parse_interval
from catalog.resample import write_bars_from_trades
from catalog.store import Store, StreamInfo
from scenarios.calendars import calendar_for
from scenarios.screen import Screen
from scenarios.settings import read_settings
from scenarios.streams_shown import show_results, summary
from strategies.errors import BadInput
from strategies.ports import StreamKind

_EXAMPLE = """examples:
  onetape data resample BTCUSDT.BINANCE_SPOT --interval 1m
  onetape data resample --interval 5m
"""


def register(actions: Any, shared: argparse.ArgumentParser) -> None:
    """Add the action's parser."""
    parser = actions.add_parser(
        "resample",
        parents=[shared],
        help="build bars from trades",
        description="Build bars from the catalog's trades as the venue builds its candles: stamped "
        "at the close; without a trade Binance repeats the close, KRX has no bar. The last candle "
        "is left out, and the first where the trades do not begin with their session.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("instruments", nargs="*", metavar="ID", help="instrument ids (none: all)")
    parser.add_argument("--interval", metavar="1m", default="1m", help="length of a bar (1m)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Build and write the bars; 0."""
    store = Store(read_settings().catalog)
    interval_ns = parse_interval(args.interval)
    known = store.instruments()
    traded = {
        str(info.instrument_id): info for info in store.streams() if info.kind is StreamKind.TRADES
    }
    wanted = list(dict.fromkeys(args.instruments)) or list(traded)
    unknown = [name for name in wanted if name not in traded]
    if unknown or not wanted:
        what = f"no trades of {unknown[0]}" if unknown else "no trades"
        raise BadInput(f"the catalog {store.root} has {what}: import some first.")
    begun = time.perf_counter()
    results = []
    for name in wanted:
        info = traded[name]
        start_ns = _complete_from(info, interval_ns)
        made = write_bars_from_trades(store, known[info.instrument_id], interval_ns, start_ns)
        results += [made] if made is not None else []
    elapsed_s = time.perf_counter() - begun
    show_results(results, elapsed_s, f"Bars of {args.interval}", screen)
    screen.result(summary(results, elapsed_s))
    return 0


def _complete_from(info: StreamInfo, interval_ns: int) -> int | None:
    """Return when a session opened whose first candle the trades begin in, else None."""
    calendar = calendar_for(info.instrument_id.venue.value, info.first_ns, info.last_ns)
    session = calendar.at(info.first_ns)
    if session is None or info.first_ns - session.open_ns >= interval_ns:
        return None
    return session.open_ns
