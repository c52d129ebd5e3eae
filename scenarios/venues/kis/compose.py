"""Builds a server from a catalog and options.

Rule: nothing is decided here but what is connected to what; days and times are handed in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from catalog.generate.market import generate_krx
from catalog.store import Store
from scenarios.venues.kis.books import Books, Rates
from scenarios.venues.kis.cipher import secret_text
from scenarios.venues.kis.exchange import Exchange, Tape
from scenarios.venues.kis.faults import Fault, FaultSchedule
from scenarios.venues.kis.market_time import MINUTE_NS, SECOND_NS, MarketTime, ymd
from scenarios.venues.kis.order_desk import Receipt
from scenarios.venues.kis.personality import LIMITS, NOTICE, Environment, Limits
from scenarios.venues.kis.phases import TradingDay
from scenarios.venues.kis.server import KisServer
from scenarios.venues.kis.sessions import SecondSession, SessionDesk
from scenarios.venues.kis.socket_desk import SocketDesk
from scenarios.venues.kis.symbols import Symbol
from scenarios.venues.kis.tape_source import (
    Share,
    base_price,
    days_before,
    read_tape,
    shares_of,
    volume_of,
)
from scenarios.venues.kis.venue import Customer, Venue
from strategies.errors import BadInput
from strategies.markets.sessions import DAY_NS, Session

LEAD_NS = MINUTE_NS
"""How long before the open the market time starts if no time is given."""

EVERY_NTH_IS_KOSDAQ = 3
RECENT_NS = 15 * DAY_NS
"""A daily bar older than this is not the day before: holidays never last so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a server is built from; ``start_ns`` is the market time it starts at."""

    environment: Environment
    sessions: Sequence[Session]
    start_ns: int
    codes: Sequence[str] = ()
    speed: Fraction = Fraction(1)
    port: int = 0
    cash_won: int = 100_000_000
    faults: Sequence[Fault] = ()
    limits: Limits | None = None
    second_session: SecondSession = SecondSession.REFUSED
    automatic_vi: bool = False
    random_end: bool = False
    rates: Rates = field(default_factory=Rates)
    open_days: frozenset[str] = frozenset()


def customer() -> Customer:
    """Return the simulator's one customer; its keys are of KIS's lengths and worth nothing."""
    key = f"SIMULATOR{secret_text(27, 'appkey')}"
    return Customer(key, secret_text(180, "appsecret"), "9900000101", "simuser1")


def generate(store: Store, session: Session, count: int, seed: int, trades: int = 5_000) -> None:
    """Generate one market day of ``count`` shares into a catalog."""
    with store.importing() as batch:
        generate_krx(batch, [session], symbols=count, seed=seed, trades_per_day=trades)


def build(store: Store, options: Options, clock: Callable[[], int]) -> KisServer:
    """Build a server over a catalog's recorded trades and quotes; it is not yet started.

    Raises BadInput where there is nothing to play.
    """
    days = [
        trading_day(session, with_random_end=options.random_end) for session in options.sessions
    ]
    first_ns, last_ns = days[0].first_ns, days[-1].session.close_ns + 6 * 3_600 * SECOND_NS
    shares = shares_of(store, options.codes, first_ns, last_ns)
    if not shares:
        raise BadInput(
            f"{store.root} has no trades of KRX shares on {ymd(first_ns)}: see onetape data list, "
            "or let the venue generate a market with --generate 6."
        )
    symbols = {
        share.code: _symbol(store, share, number, first_ns)
        for number, share in enumerate(shares, 1)
    }
    return connect(symbols, days, read_tape(shares, first_ns, last_ns), options, clock)


def connect(
    symbols: dict[str, Symbol],
    days: Sequence[TradingDay],
    tape: Tape,
    options: Options,
    clock: Callable[[], int],
) -> KisServer:
    """Connect the parts of a server around symbols and a tape."""
    numbers = options.limits or LIMITS[options.environment]
    who = customer()
    books = Books(options.rates)
    books.open_account(who.account, options.cash_won)
    exchange = Exchange(
        symbols,
        days,
        books,
        tape,
        notice_tr=NOTICE[options.environment],
        hts_ids={who.account: who.hts_id},
        is_mock=options.environment is Environment.MOCK,
        automatic_vi=options.automatic_vi,
        change_receipts=(Receipt.ACCEPTED, Receipt.CONFIRMED)[-numbers.change_receipts :],
    )
    exchange.advance(options.start_ns)
    time = MarketTime(clock(), options.start_ns, options.speed)
    open_days = options.open_days or frozenset(ymd(each.open_ns) for each in options.sessions)
    venue = Venue(options.environment, {who.app_key: who}, exchange, time, open_days, numbers)
    sessions = SessionDesk(numbers.registrations, numbers.stale_hold_s, options.second_session)
    desk = SocketDesk(venue, sessions)
    return KisServer(venue, desk, FaultSchedule(list(options.faults)), clock, options.port)


def trading_day(session: Session, *, with_random_end: bool) -> TradingDay:
    """Return a session's day; random ends are 0 to 30 s, the same for the same day."""
    if not with_random_end:
        return TradingDay(session)
    delays = (
        int(secret_text(8, name, session.open_ns), 16) % 31 * SECOND_NS
        for name in ("opening", "closing")
    )
    return TradingDay(session, *delays)


def _symbol(store: Store, share: Share, number: int, first_ns: int) -> Symbol:
    market = "KOSDAQ" if number % EVERY_NTH_IS_KOSDAQ == 0 else "KOSPI"
    symbol = Symbol(share.code, f"가상{share.code}", base_price(store, share, first_ns), market)
    symbol.days = days_before(store, share, first_ns)
    symbol.previous_volume = volume_of(share.trades[:1])
    if symbol.days and symbol.days[-1].day >= ymd(first_ns - RECENT_NS):
        symbol.base, symbol.previous_volume = symbol.days[-1].close, symbol.days[-1].volume
    return symbol
