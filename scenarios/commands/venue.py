"""`onetape venue`: run a loopback server that behaves like a venue until it is stopped."""

import argparse
import asyncio
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import date, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from catalog.layout import file_span
from catalog.store import Store
from scenarios.screen import Screen
from scenarios.settings import read_settings
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.sessions import DAY_NS, Session
from strategies.ports import StreamKind

if TYPE_CHECKING:
    from scenarios.venues.kis.server import KisServer

_EXAMPLE = """examples:
  onetape venue kis
  onetape venue kis --env mock --speed 10 --instruments 990001 990002
  onetape venue kis --generate 6 --from 2026-03-09T08:59:00 --faults faults.toml
"""
_GENERATED = 6
_DEMO_DAY = date(2026, 3, 9)


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command's parsers."""
    parser = commands.add_parser(
        "venue",
        help="run a simulated venue on this machine",
        description="Run a server on 127.0.0.1 that behaves like a venue.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    venues = parser.add_subparsers(dest="venue", metavar="VENUE", required=True)
    kis = venues.add_parser(
        "kis",
        parents=[shared],
        help="Korea Investment & Securities, domestic stocks",
        description="Play recorded or generated KRX trades through a server that behaves like KIS "
        "(REST, WebSocket, master files) and keeps its own books; /admin shows what it saw.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = kis.add_argument
    add("--port", type=int, default=0, metavar="N", help="port on 127.0.0.1 (any free one)")
    add("--env", choices=("real", "mock"), default="real", help="which of KIS's servers (real)")
    add("--speed", type=_speed, default=Fraction(1), metavar="X", help="market per wall second (1)")
    add("--instruments", nargs="+", default=[], metavar="CODE", help="which shares (all)")
    add(
        "--from", dest="start", metavar="TIME", help="market time at start, Seoul (before the open)"
    )
    add("--days", type=int, default=1, metavar="N", help="how many sessions to play (1)")
    add("--generate", type=int, metavar="N", help="play N generated shares, not the catalog")
    add("--seed", type=int, default=1, metavar="N", help="seed of what is generated (1)")
    add("--cash", type=int, default=100_000_000, metavar="WON", help="deposit (100,000,000)")
    add("--faults", type=Path, metavar="FILE", help="TOML file of scheduled faults")
    add("--second-session", choices=("refused", "wins"), default="refused", help="(refused)")
    add("--auto-vi", action="store_true", help="interrupt stocks that move 10 %% (VI)")
    add("--random-end", action="store_true", help="end auctions up to 30 s late")
    add(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=N",
        help="another number of the protocol, as in --limit requests_per_s=3 (repeatable)",
    )
    add("--old-frames", action="store_true", help="frame widths before 2026-09 (46, 59, 23)")
    kis.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Serve until SIGINT or SIGTERM; 0 then."""
    from scenarios.venues.kis.faults import read_faults

    faults = read_faults(args.faults) if args.faults else []
    _check_numbers(args)
    store = Store(read_settings().catalog)
    count = args.generate
    first_ns = _first_trade_ns(store, args.instruments) if count is None else None
    if first_ns is None and args.instruments and count is None:
        raise BadInput(
            f"{store.root} has no trades of {', '.join(args.instruments)}: see onetape data list, "
            "or let the venue generate a market with --generate 6."
        )
    if first_ns is not None:
        server = _build(args, store, _start(args.start, first_ns), faults)
        return asyncio.run(_serve(server, screen))
    with tempfile.TemporaryDirectory(prefix="onetape-venue-") as folder:
        if count is None:
            screen.warn(f"{store.root} has no trades of KRX shares: {_GENERATED} are generated.")
        made = Store(Path(folder))
        start = _start(args.start, _midnight_ns(_DEMO_DAY))
        _generate(made, start[0], _GENERATED if count is None else count, args.seed)
        return asyncio.run(_serve(_build(args, made, start, faults), screen))


def _check_numbers(args: argparse.Namespace) -> None:
    if not 0 <= args.port <= 65_535:
        raise BadInput(f"--port {args.port} is no port: give 1 to 65535, or 0 for any free one.")
    if args.days < 1 or args.cash < 0:
        raise BadInput("--days must be at least 1 and --cash at least 0: correct them.")


def _speed(text: str) -> Fraction:
    try:
        # a power of ten would have to be written out before it could be refused
        speed = Fraction(0) if "e" in text.lower() else Fraction(text)
    except (ValueError, ZeroDivisionError):
        speed = Fraction(0)
    if not 0 < speed <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no speed above 0, up to 10000")
    return speed


def _first_trade_ns(store: Store, codes: Sequence[str]) -> int | None:
    """Return when the catalog's first trade of these shares was, None where there is none."""
    known = [
        instrument_id.symbol.value
        for instrument_id in store.instruments()
        if instrument_id.venue.value == krx.VENUE
    ]
    spans = (
        file_span(path.name)
        for code in codes or known
        for path in store.files(StreamKind.TRADES, f"{code}.{krx.VENUE}")[:1]
    )
    return min((span[0] for span in spans if span is not None), default=None)


def _start(text: str | None, first_ns: int) -> tuple[Session, int]:
    """Return the session that is played first, and the market time at start."""
    from scenarios.calendars import krx_sessions
    from scenarios.venues.kis.compose import LEAD_NS

    moment = first_ns if text is None else _moment_ns(text)
    day_ns = _seoul_midnight_ns(moment)
    session = krx_sessions(day_ns, day_ns + DAY_NS).next_after(day_ns - 1)
    if session is None or session.open_ns >= day_ns + DAY_NS:
        day = datetime.fromtimestamp(moment // 10**9, ZoneInfo(krx.TIMEZONE)).date()
        raise BadInput(f"{day} is no trading day of KRX: give another day with --from.")
    if text is None or "T" not in text.upper().replace(" ", "T"):
        return session, session.open_ns - LEAD_NS
    return session, moment


def _moment_ns(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(
            f"--from {text!r} is no time like 2026-03-09 or 2026-03-09T08:59:00 (Seoul)."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(krx.TIMEZONE))
    return int(moment.timestamp()) * 10**9


def _seoul_midnight_ns(ts_ns: int) -> int:
    day = datetime.fromtimestamp(ts_ns // 10**9, ZoneInfo(krx.TIMEZONE)).date()
    return _midnight_ns(day)


def _midnight_ns(day: date) -> int:
    return int(
        datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(krx.TIMEZONE)).timestamp()
    ) * (10**9)


def _generate(store: Store, session: Session, count: int, seed: int) -> None:
    from scenarios.venues.kis.compose import generate

    generate(store, session, count, seed)


def _build(
    args: argparse.Namespace, store: Store, start: tuple[Session, int], faults: list[Any]
) -> "KisServer":
    from scenarios.calendars import krx_sessions
    from scenarios.venues.kis.compose import Options, build
    from scenarios.venues.kis.market_time import ymd
    from scenarios.venues.kis.personality import LIMITS, OLD_WIDTHS, Environment
    from scenarios.venues.kis.sessions import SecondSession

    first, start_ns = start
    calendar = krx_sessions(first.open_ns, first.open_ns + 60 * DAY_NS)
    sessions, days = [first], {ymd(first.open_ns)}
    while (following := calendar.next_after(sessions[-1].open_ns)) is not None:
        sessions.append(following)
        days.add(ymd(following.open_ns))
    environment = Environment(args.env)
    numbers = (OLD_WIDTHS if args.old_frames else {}) | _limits(args.limit)
    options = Options(
        environment=environment,
        limits=replace(LIMITS[environment], **numbers),
        sessions=sessions[: args.days],
        start_ns=start_ns,
        codes=[code.removesuffix(f".{krx.VENUE}") for code in args.instruments],
        speed=args.speed,
        port=args.port,
        cash_won=args.cash,
        faults=faults,
        second_session=SecondSession(args.second_session),
        automatic_vi=args.auto_vi,
        random_end=args.random_end,
        open_days=frozenset(days),
    )
    return build(store, options, time.time_ns)


def _limits(given: Sequence[str]) -> dict[str, int]:
    """Read ``NAME=N`` pairs; the names are those of the venue's limits."""
    from scenarios.venues.kis.personality import Limits

    known = {each.name for each in fields(Limits)}
    numbers = {}
    for text in given:
        name, _, number = text.partition("=")
        if name not in known or not (number.isascii() and number.isdigit() and int(number)):
            names = ", ".join(sorted(known))
            raise BadInput(f"--limit {text!r} is no NAME=N above 0; names are {names}.")
        numbers[name] = int(number)
    return numbers


async def _serve(server: "KisServer", screen: Screen) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    await server.start()
    _show(server, screen)
    ended = asyncio.create_task(server.wait())
    asked = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait({ended, asked}, return_when=asyncio.FIRST_COMPLETED)
    await server.stop()
    if ended in done:
        ended.result()
    ended.cancel()
    screen.line("stopped.")
    return 0


def _show(server: "KisServer", screen: Screen) -> None:
    from scenarios.venues.kis.market_time import stamp

    exports = settings_of(server)
    venue = server.venue
    screen.line(
        f"A simulated KIS ({venue.environment}) plays {len(venue.exchange.symbols)} shares from "
        f"{stamp(venue.time.origin_market_ns)} KST, {float(venue.time.speed):g} times as fast."
    )
    for name, value in exports.items():
        screen.line(f"export {name}={value}")
    screen.line(f"What it saw: http://127.0.0.1:{server.port}/admin    stop it with Ctrl-C")
    told = {"settings": exports, "port": server.port, **venue.time.announced()}
    screen.result(told | {"instruments": list(venue.exchange.symbols)})


def settings_of(server: "KisServer") -> dict[str, str]:
    """Return the environment variables that point a node at a started server."""
    (customer,) = server.venue.customers.values()
    place = f"127.0.0.1:{server.port}"
    return {
        "ONETAPE_KIS_ENV": server.venue.environment.value,
        "ONETAPE_KIS_REST_URL": f"http://{place}",
        "ONETAPE_KIS_WS_URL": f"ws://{place}/tryitout",
        "ONETAPE_KIS_MASTER_URL": f"http://{place}/common/master",
        "ONETAPE_KIS_APP_KEY": customer.app_key,
        "ONETAPE_KIS_APP_SECRET": customer.app_secret,
        "ONETAPE_KIS_ACCOUNT": customer.account,
        "ONETAPE_KIS_HTS_ID": customer.hts_id,
    }
