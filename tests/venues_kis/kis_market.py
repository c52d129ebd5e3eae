"""A small KRX market written by hand, for tests of the simulated KIS."""

from collections.abc import Iterable
from dataclasses import replace

from scenarios.venues.kis.books import Books, Rates
from scenarios.venues.kis.compose import Options, connect, customer, trading_day
from scenarios.venues.kis.exchange import Exchange
from scenarios.venues.kis.market_time import SECOND_NS
from scenarios.venues.kis.matching import Side
from scenarios.venues.kis.order_desk import Change, Ticket
from scenarios.venues.kis.orders import Order
from scenarios.venues.kis.personality import LIMITS, NOTICE, Environment
from scenarios.venues.kis.server import KisServer
from scenarios.venues.kis.symbols import Print, Quote, Symbol
from strategies.markets.sessions import Session

OPEN_NS = 1_773_014_400 * SECOND_NS
"""Monday, 2026-03-09, 09:00 in Seoul."""
SESSION = Session(OPEN_NS, OPEN_NS + 23_400 * SECOND_NS)
CODE = "990001"
BASE = 10_000
WHO = customer()
CASH = 100_000_000


def at(seconds: float) -> int:
    """Return a market time, seconds after the open."""
    return OPEN_NS + int(seconds * SECOND_NS)


def quote(seconds, bid=9_990, ask=10_000, bid_size=100, ask_size=100, code=CODE) -> Quote:
    return Quote(at(seconds), code, bid, ask, bid_size, ask_size)


def trade(seconds, price, size, buyer_initiated=True, code=CODE) -> Print:
    return Print(at(seconds), code, price, size, buyer_initiated)


def symbols_of(codes: Iterable[str] = (CODE,)) -> dict[str, Symbol]:
    return {code: Symbol(code, f"가상{code}", BASE) for code in codes}


def exchange_of(*events, codes=(CODE,), now=0.0, cash=CASH, environment=Environment.REAL, **more):
    """Return an exchange that has played up to ``now`` seconds after the open."""
    books = Books(Rates())
    books.open_account(WHO.account, cash)
    exchange = Exchange(
        symbols_of(codes),
        [trading_day(SESSION, with_random_end=False)],
        books,
        iter(sorted(events, key=lambda event: event.ts_ns)),
        notice_tr=NOTICE[environment],
        hts_ids={WHO.account: WHO.hts_id},
        is_mock=environment is Environment.MOCK,
        **more,
    )
    exchange.advance(at(now))
    return exchange


def account_of(exchange: Exchange):
    return exchange.books.accounts[WHO.account]


def buy(quantity, price=0, kind="00", code=CODE, condition=0) -> Ticket:
    return Ticket(WHO.account, code, Side.BUY, kind, quantity, price, condition)


def sell(quantity, price=0, kind="00", code=CODE, condition=0) -> Ticket:
    return replace(buy(quantity, price, kind, code, condition), side=Side.SELL)


def cancel(order: Order, quantity=None) -> Change:
    return Change(WHO.account, order.number, "00950", is_cancel=True, quantity=quantity)


def amend(order: Order, price, quantity=None, kind="00") -> Change:
    return replace(cancel(order, quantity), is_cancel=False, type_code=kind, price=price)


class Wall:
    """A wall clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.ns = 1_790_000_000 * SECOND_NS

    def __call__(self) -> int:
        return self.ns

    def pass_s(self, seconds: float) -> None:
        self.ns += int(seconds * SECOND_NS)


def server_of(
    *events,
    wall: Wall,
    codes=(CODE,),
    now=0.0,
    environment=Environment.REAL,
    limits=None,
    close_late_s=0,
    **more,
) -> KisServer:
    """Return a server at ``now`` seconds after the open, with plenty of requests allowed."""
    numbers = replace(LIMITS[environment], **(limits or {"requests_per_s": 1_000}))
    options = Options(
        environment=environment,
        sessions=[SESSION],
        start_ns=at(now),
        limits=numbers,
        cash_won=CASH,
        **more,
    )
    tape = iter(sorted(events, key=lambda event: event.ts_ns))
    days = [
        replace(
            trading_day(SESSION, with_random_end=False), closing_delay_ns=close_late_s * SECOND_NS
        )
    ]
    return connect(symbols_of(codes), days, tape, options, wall)
