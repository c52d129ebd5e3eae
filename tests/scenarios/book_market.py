"""Catalogs of hand-made book deltas, and strategies that listen to books, funding and indices.

The instrument is a USD-M perpetual with a tick of 0.1; one event a second, levels as
(side, price, size), a size of 0 removes one. ``book_market:Probe`` names a strategy in a scenario.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from nautilus_trader.model import (
    Bar,
    BarType,
    FundingRateUpdate,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    TradeTick,
)

from catalog.book import F_LAST, F_SNAPSHOT
from catalog.columns import from_text
from catalog.layout import SCHEMAS
from catalog.store import Store
from scenarios.settings import Settings
from strategies.decider import Intents, Params, Setup, Strategy
from strategies.markets import binance
from strategies.messages import Alert, Enter, Exit, Fill
from strategies.order_book import LevelBook
from strategies.ports import StreamKind

SECOND_NS = 1_000_000_000
START_NS = 1_600_000_020 * SECOND_NS
BTC = binance.perpetual("BTCUSDT", binance.Steps("BTC", "USDT", "0.1", "0.001", "0.001", "5"))
TOPIC = "BTCUSDT-PERP.BINANCE"

type Levels = Sequence[tuple[str, str, str]]

SCENARIO = """
name = "books"
[venues.BINANCE]
balances = ["100_000 USDT"]
latency_ms = 5
maker_bps = 0
taker_bps = 0
streams = {venue_streams}
[[strategies]]
name = "probe"
class = "book_market:Probe"
instruments = ["BTCUSDT-PERP.BINANCE"]
streams = {streams}
weight = 1
params = {{ {params} }}
"""
SNAPSHOT: Levels = (
    ("BUY", "99.9", "1"),
    ("BUY", "99.8", "2"),
    ("SELL", "100.1", "1"),
    ("SELL", "100.2", "2"),
    ("SELL", "100.4", "5"),
)


def settings_in(home: Path) -> Settings:
    """Return the places of an installation below a folder."""
    return Settings(home, f"sqlite:///{home / 'journal.sqlite'}")


def table(events: Sequence[tuple[float, Levels | None]], *, last: bool = True) -> pa.Table:
    """Return rows of events at seconds after the start.

    The first event, and each after one of None (which empties the book), is a snapshot. Without
    ``last`` no row is marked as the last of its event.
    """
    rows: list[tuple[str, str, str, str, int, int, int]] = []
    fresh = True
    for number, (second, levels) in enumerate(events):
        ts_ns = START_NS + int(second * SECOND_NS)
        flags = F_SNAPSHOT if fresh or levels is None else 0
        if flags:
            rows.append(("CLEAR", "NO_ORDER_SIDE", "0", "0", flags, number, ts_ns))
        for side, price, size in levels or ():
            action = "ADD" if flags else "DELETE" if size == "0" else "UPDATE"
            rows.append((action, side, price, size, flags, number, ts_ns))
        fresh = levels is None
        if last:
            rows[-1] = (*rows[-1][:4], rows[-1][4] | F_LAST, *rows[-1][5:])
    actions, sides, prices, sizes, marks, numbers, times = zip(*rows, strict=True)
    schema = SCHEMAS[StreamKind.DELTAS]
    stamps = pa.array(times, pa.int64()).cast(schema.field("ts_init").type)
    columns = [
        pa.array(actions).dictionary_encode().cast(schema.field("action").type),
        pa.array(sides).dictionary_encode().cast(schema.field("side").type),
        from_text(pa.array(prices)),
        from_text(pa.array(sizes)),
        pa.array([0] * len(rows), pa.uint64()),
        pa.array(marks, pa.uint8()),
        pa.array(numbers, pa.uint64()),
        stamps,
        stamps,
    ]
    return pa.table(columns, schema=schema)


def write_book(home: Path, events: Sequence[tuple[float, Levels | None]]) -> Settings:
    """Write a catalog that holds nothing but a book."""
    Store(home / "catalog").write(BTC, StreamKind.DELTAS, [table(events)], source="hand")
    return settings_in(home)


def write_quotes(home: Path, quotes: Sequence[tuple[float, str, str, str, str]]) -> None:
    """Add quotes (second, bid, ask, bid size, ask size) to a catalog."""
    seconds, *numbers = zip(*quotes, strict=True)
    schema = SCHEMAS[StreamKind.QUOTES]
    times = [START_NS + int(second * SECOND_NS) for second in seconds]
    stamps = pa.array(times, pa.int64()).cast(schema.field("ts_init").type)
    columns = [*(from_text(pa.array(each)) for each in numbers), stamps, stamps]
    rows = pa.table(columns, schema=schema)
    Store(home / "catalog").write(BTC, StreamKind.QUOTES, [rows], source="hand")


def write_bars(home: Path, bars: Sequence[tuple[float, str]], step: str = "1-SECOND") -> None:
    """Add bars (second of the close, price) that stand still to a catalog."""
    seconds, prices = zip(*bars, strict=True)
    schema = SCHEMAS[StreamKind.BARS]
    times = [START_NS + int(second * SECOND_NS) for second in seconds]
    stamps = pa.array(times, pa.int64()).cast(schema.field("ts_init").type)
    columns = [*[from_text(pa.array(prices))] * 4, from_text(pa.array(["1"] * len(bars)))]
    rows = pa.table([*columns, stamps, stamps], schema=schema)
    kind = BarType.from_str(f"{BTC.id}-{step}-LAST-EXTERNAL")
    Store(home / "catalog").write(BTC, StreamKind.BARS, [rows], source="hand", bar_type=kind)


@dataclass(frozen=True, kw_only=True)
class ProbeParams(Params):
    """Buys ``size`` at the ``buy_at``-th event (at ``limit`` if given), sells all at another."""

    buy_at: int = 0
    sell_at: int = 0
    size: str = "2.500"
    limit: str = ""


class Probe(Strategy[ProbeParams]):
    """Tells every event it gets, in order, and acts where it was told to."""

    params_type = ProbeParams

    def __init__(self, setup: Setup[ProbeParams]) -> None:
        super().__init__(setup)
        self.book = LevelBook(BTC.id)
        self.events = 0

    def on_book(self, deltas: OrderBookDeltas) -> Intents:
        self.book.fold(deltas)
        return self._act(f"book {deltas.ts_init - START_NS} {len(deltas.deltas)}: {self.book}")

    def on_trade(self, trade: TradeTick) -> Intents:
        return self._act(f"trade {trade.price}")

    def on_quote(self, quote: QuoteTick) -> Intents:
        return self._act(f"quote {quote.bid_price} {quote.ask_price}")

    def on_bar(self, bar: Bar) -> Intents:
        return self._act(f"bar {bar.close}")

    def on_funding(self, funding: FundingRateUpdate) -> Intents:
        due = funding.next_funding_ns
        return self._act(f"funding {funding.rate} every {funding.interval} until {due}")

    def on_fill(self, fill: Fill) -> Intents:
        return [Alert(f"filled {fill.quantity} at {fill.price}")]

    def _act(self, what: str) -> Intents:
        self.events += 1
        told = [Alert(what)]
        (key, *_) = self.instruments
        given = self.params
        if self.events == given.buy_at:
            price = Price.from_str(given.limit) if given.limit else None
            size = Quantity.from_str(given.size)
            return [*told, Enter(key, OrderSide.BUY, "told to", size, price)]
        if self.events == given.sell_at:
            return [*told, Exit(key, "told to")]
        return told
