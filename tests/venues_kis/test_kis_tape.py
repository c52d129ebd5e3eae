"""What the server plays: read ahead in order, errors kept, books made where none was recorded."""

import threading
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from kis_market import CODE, SESSION, Wall, trade
from nautilus_trader.model import BarType

from catalog.columns import decimals_from_units, times
from catalog.layout import SCHEMAS
from catalog.store import Store
from scenarios.venues.kis.compose import Options, build, generate
from scenarios.venues.kis.personality import Environment
from scenarios.venues.kis.read_ahead import read_ahead
from scenarios.venues.kis.symbols import Print, Quote
from scenarios.venues.kis.tape_source import (
    Share,
    around,
    base_price,
    days_before,
    read_tape,
    shares_of,
)
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.ports import StreamKind

DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    store = Store(tmp_path_factory.mktemp("tape"))
    generate(store, SESSION, 2, seed=5, trades=200)
    return store


def share(store: Store, **changes) -> Share:
    (found,) = shares_of(store, [CODE], SESSION.open_ns, SESSION.close_ns)
    parts = {name: getattr(found, name) for name in Share.__slots__}
    return Share(**(parts | changes))


def played(*shares: Share) -> list[Quote | Print]:
    return list(read_tape(shares, SESSION.open_ns, SESSION.close_ns + 1))


def test_events_come_in_order_of_time_with_quotes_around_their_trades(store):
    events = played(*shares_of(store, [], SESSION.open_ns, SESSION.close_ns))
    times = [event.ts_ns for event in events]
    assert times == sorted(times)
    assert {event.code for event in events} == {"990001", "990002"}
    book = {}
    for event in events:
        if isinstance(event, Quote):
            book[event.code] = event
        elif event.buyer_initiated is not None:
            quote = book[event.code]
            assert event.price == (quote.ask if event.buyer_initiated else quote.bid)
    assert events[-1].buyer_initiated is None  # the closing auction's print


def test_without_quotes_each_trade_brings_a_book_of_one_tick(store):
    events = played(share(store, quotes=()))
    for quote, printed in zip(events[::2], events[1::2], strict=True):
        assert quote == around(printed)
        assert quote.bid < quote.ask
        assert printed.price in {quote.bid, quote.ask}


@pytest.mark.parametrize(
    ("buyer_initiated", "bid", "ask"), [(True, 9_990, 10_000), (False, 10_000, 10_010)]
)
def test_a_book_around_a_trade(buyer_initiated, bid, ask):
    quote = around(trade(1, 10_000, 7, buyer_initiated))
    assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (bid, ask, 7, 7)


def test_the_base_price_is_the_last_one_before_or_the_first_one_after(store):
    trades = [event for event in played(share(store)) if isinstance(event, Print)]
    assert base_price(store, share(store), SESSION.open_ns) == trades[0].price
    assert base_price(store, share(store), SESSION.open_ns + DAY_NS) == trades[-1].price


def test_the_catalogs_daily_bars_are_the_days_before(store):
    closes_ns = [SESSION.close_ns - days * DAY_NS for days in (4, 3, 0)]
    prices = ([9_900, 9_950, 1], [9_990, 9_960, 1], [9_800, 9_900, 1], [9_950, 9_900, 1])
    columns = [decimals_from_units(np.array(values), 0) for values in (*prices, [70, 80, 1])]
    stamps = times(np.array(closes_ns))
    rows = pa.Table.from_arrays([*columns, stamps, stamps], schema=SCHEMAS[StreamKind.BARS])
    kind = BarType.from_str(f"{CODE}.KRX-1-DAY-LAST-EXTERNAL")
    store.write(krx.equity(CODE), StreamKind.BARS, [rows], source="by hand", bar_type=kind)
    bars = days_before(store, share(store), SESSION.open_ns)
    assert [(bar.day, bar.base, bar.close, bar.volume) for bar in bars] == [
        ("20260305", 9_900, 9_950, 70),
        ("20260306", 9_950, 9_900, 80),
    ]
    day = {"sessions": [SESSION], "start_ns": SESSION.open_ns, "codes": [CODE]}
    server = build(store, Options(environment=Environment.REAL, **day), Wall())
    symbol = server.venue.exchange.symbols[CODE]
    assert (symbol.base, symbol.previous_volume) == (9_900, 80)


def test_a_damaged_file_is_named(store, tmp_path):
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 no more")
    with pytest.raises(BadInput, match=str(broken)):
        played(share(store, trades=(broken,)))


def test_reading_ahead_keeps_the_order_and_raises_the_error_where_it_is_read():
    def batches() -> Iterator[list[int]]:
        yield [1, 2]
        yield []
        yield [3]
        raise BadInput("the fourth is damaged.")

    reading = read_ahead(batches())
    assert [next(reading) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(BadInput, match="the fourth is damaged"):
        next(reading)


def test_reading_ahead_is_bounded_and_ends_with_its_reader():
    made = []

    def batches() -> Iterator[list[int]]:
        while True:
            made.append(1)
            yield [1]

    before = threading.active_count()
    reading = read_ahead(batches())
    next(reading)
    time.sleep(0.05)
    assert len(made) <= 5
    reading.close()
    assert threading.active_count() == before
