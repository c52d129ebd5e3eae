"""Generated books: never crossed, ten levels, and their best is the quote, in the engine's eyes."""

from pathlib import Path

import pytest
from nautilus_trader.model import BookType, InstrumentId, OrderBook
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.generate.chance import Chance
from catalog.generate.day import DayPlan, generate_day
from catalog.generate.depth import (
    ADD,
    ASK,
    BID,
    CLEAR,
    DELETE,
    F_LAST,
    LEVELS,
    UPDATE,
    depth_deltas,
)
from catalog.generate.factors import PERCENT_PPB
from catalog.generate.market import DEMO_SESSIONS, generate_krx, krx_grid
from catalog.store import Store
from strategies.ports import StreamKind

type Side = dict[int, int]


def plan(percent: int, quotes: int, span: int = 30) -> DayPlan:
    return DayPlan(
        open_ns=DEMO_SESSIONS[0].open_ns,
        close_ns=DEMO_SESSIONS[0].close_ns,
        grid=krx_grid(70_000 * (100 - span) // 100, 70_000 * (100 + span) // 100),
        open_price=70_000,
        volatility_ppb=percent * PERCENT_PPB,
        quotes=quotes,
        base_size=20,
        u_shaped=True,
        episodes=2,
        surge=3,
        auction_ns=600_000_000_000,
    )


@pytest.mark.parametrize(
    ("percent", "quotes", "span"), [(2, 9_000, 30), (60, 500, 30), (20, 600, 1)]
)
def test_the_book_follows_the_quotes_and_is_never_crossed(
    percent: int, quotes: int, span: int
) -> None:
    day = plan(percent, quotes, span)
    tape = generate_day(Chance(percent), day)
    sides: dict[int, Side] = {BID: {}, ASK: {}}
    told = []
    for part in depth_deltas(tape, day.grid, day.base_size):
        columns = (part.action, part.side, part.price, part.size, part.flags, part.sequence)
        for action, side, price, size, flags, number in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            apply(sides, action, side, price, size)
            bids, asks = sides[BID], sides[ASK]
            assert not bids or not asks or max(bids) < min(asks)
            if flags & F_LAST:
                told.append(number - 1)
                assert max(len(bids), len(asks)) <= LEVELS
                best = (max(bids), bids[max(bids)], min(asks), asks[min(asks)])
                quote = (tape.bid, tape.bid_size, tape.ask, tape.ask_size)
                assert best == tuple(int(column[number - 1]) for column in quote)
    assert told == sorted(set(told))
    unchanged = set(range(len(tape.quote_ns))) - set(told)
    for at in unchanged:
        assert (tape.bid[at], tape.ask[at]) == (tape.bid[at - 1], tape.ask[at - 1])
        assert (tape.bid_size[at], tape.ask_size[at]) == (
            tape.bid_size[at - 1],
            tape.ask_size[at - 1],
        )


def apply(sides: dict[int, Side], action: int, side: int, price: int, size: int) -> None:
    """Apply one delta strictly: nothing is added twice, changed to itself or missing."""
    if action == CLEAR:
        assert not sides[BID]
        return
    level = sides[side]
    if action == ADD:
        assert price not in level
        level[price] = size
    elif action == UPDATE:
        assert level[price] != size
        level[price] = size
    else:
        assert action == DELETE
        del level[price]


def test_the_engine_builds_the_same_book(tmp_path: Path) -> None:
    with Store(tmp_path).importing() as batch:
        generate_krx(batch, DEMO_SESSIONS[:1], symbols=1, seed=3, trades_per_day=60, depth=True)
    kinds = {StreamKind.QUOTES, StreamKind.TRADES, StreamKind.BARS, StreamKind.DELTAS}
    assert {result.kind for result in batch.results} == kinds
    catalog = ParquetDataCatalog(str(tmp_path))
    quotes = {quote.ts_init: quote for quote in catalog.query_quote_ticks()}
    book = OrderBook(InstrumentId.from_str("990001.KRX"), BookType.L2_MBP)
    met = 0
    for delta in catalog.query_order_book_deltas():
        book.apply_delta(delta)
        if delta.flags & F_LAST:
            quote = quotes[delta.ts_init]
            best = (book.best_bid_price(), book.best_ask_price())
            assert best == (quote.bid_price, quote.ask_price)
            assert (book.best_bid_size(), book.best_ask_size()) == (quote.bid_size, quote.ask_size)
            assert len(book.bids()) == len(book.asks()) == LEVELS
            met += 1
    assert met > 50
