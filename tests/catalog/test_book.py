"""Books from snapshot and diffs: Binance's rules on small cases, real books against bookTicker."""

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.execution import MakerTakerFeeModel
from nautilus_trader.model import (
    AccountType,
    BookType,
    Currency,
    InstrumentId,
    Money,
    OmsType,
    OrderBookDeltas,
    Venue,
)
from nautilus_trader.persistence import ParquetDataCatalog
from nautilus_trader.trading import Strategy

from catalog.book import F_LAST, BookGap, DepthDiff, DepthSnapshot, DepthSync, tops
from catalog.ingest.importer import Options, import_files
from catalog.store import Store

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"


def diff(first: int, last: int, previous: int | None = None, at: int = 0) -> DepthDiff:
    return DepthDiff(first, last, previous, at, at, [("1", "2")], [])


def snapshot(last: int, at: int = 0) -> DepthSnapshot:
    return DepthSnapshot(last, at, at, [("1", "1")], [("2", "1")])


def test_spot_diffs_wait_for_the_snapshot_and_are_received_with_it() -> None:
    sync = DepthSync()
    waiting = [diff(1, 5, at=1), diff(6, 9, at=2), diff(10, 11, at=3)]
    assert [sync.on_diff(each) for each in waiting] == [[], [], []]
    events = sync.on_snapshot(snapshot(7, at=4))
    assert [(type(e), e.ts_init) for e in events] == [
        (DepthSnapshot, 4),
        (DepthDiff, 4),
        (DepthDiff, 4),
    ]
    first, second = events[1:]
    assert isinstance(first, DepthDiff) and (first.first_id, first.ts_event) == (6, 2)
    assert isinstance(second, DepthDiff) and (second.first_id, second.ts_event) == (10, 3)
    assert sync.on_diff(diff(12, 12)) == [diff(12, 12)]


@pytest.mark.parametrize(
    ("last", "following", "is_gap"),
    [
        (7, diff(8, 9), False),
        (7, diff(5, 9), False),
        (7, diff(9, 9), True),
        (7, diff(5, 9, previous=4), False),
        (7, diff(7, 9, previous=6), False),
        (7, diff(8, 9, previous=7), False),  # the diff before ended where the snapshot stands
        (7, diff(8, 9, previous=6), True),  # USD-M: U <= lastUpdateId, not one more
    ],
)
def test_the_first_diff_must_span_the_snapshot(
    last: int, following: DepthDiff, is_gap: bool
) -> None:
    sync = DepthSync()
    sync.on_snapshot(snapshot(last))
    (event,) = sync.on_diff(following)
    assert isinstance(event, BookGap) == is_gap


@pytest.mark.parametrize(
    ("following", "is_gap"),
    [
        (diff(10, 12), False),
        (diff(11, 12), True),
        (diff(30, 32, previous=9), False),
        (diff(30, 32, previous=10), True),
    ],
)
def test_each_diff_continues_the_last(following: DepthDiff, is_gap: bool) -> None:
    sync = DepthSync()
    sync.on_snapshot(snapshot(7))
    sync.on_diff(diff(6, 9, previous=None if following.previous_id is None else 5))
    (event,) = sync.on_diff(following)
    assert isinstance(event, BookGap) == is_gap
    if is_gap:
        assert sync.on_diff(diff(33, 40, previous=32)) == []
        assert sync.on_snapshot(snapshot(35))[0] == snapshot(35)


def test_a_repeated_diff_and_a_late_snapshot_change_nothing() -> None:
    sync = DepthSync()
    sync.on_snapshot(snapshot(7))
    sync.on_diff(diff(8, 9))
    assert sync.on_diff(diff(8, 9)) == []
    assert sync.on_snapshot(snapshot(8)) == []


def test_without_a_snapshot_nothing_is_lost() -> None:
    sync = DepthSync()
    given = [diff(1, 2), diff(3, 4), diff(9, 9), diff(10, 10)]
    for each in given:
        sync.on_diff(each)
    events = sync.finish()
    assert [e for e in events if isinstance(e, DepthDiff)] == given
    assert [e for e in events if isinstance(e, BookGap)] == [BookGap(4, 9, 0, 0)]


LINES = (
    '1000 {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"BTCUSDT","U":5,'
    '"u":6,"b":[["10.0","1.00"]],"a":[]}}',
    '1001 {"lastUpdateId":6,"bids":[["10.0","1.00"],["9.9","2.00"]],"asks":[["10.2","3.00"]]}',
    '1002 {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":2,"s":"BTCUSDT","U":7,'
    '"u":8,"b":[["10.0","0.00"]],"a":[["10.1","0.50"]]}}',
    '1003 {"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":3,"s":"BTCUSDT","U":10,'
    '"u":11,"b":[["10.0","9.00"]],"a":[]}}',
)


def load(folder: Path, *lines: str) -> tuple[Store, str]:
    path = folder / "recording.log"
    path.write_text("\n".join(lines) + "\n")
    store = Store(folder / "catalog")
    report = import_files(store, [str(path)], Options(), lambda _done, _total: None)
    return store, "; ".join(report.files[0].notes)


def test_deltas_are_as_the_engine_reads_them(tmp_path: Path) -> None:
    store, notes = load(tmp_path, *LINES)
    deltas = ParquetDataCatalog(str(store.root)).query_order_book_deltas()
    assert [
        (
            d.action.name,
            getattr(d.order.side, "name", ""),
            str(d.order.price),
            str(d.order.size),
            d.flags,
        )
        for d in deltas
    ] == [
        ("CLEAR", "", "0.00", "0.00000", 32),
        ("ADD", "BUY", "10.00", "1.00000", 32),
        ("ADD", "BUY", "9.90", "2.00000", 32),
        ("ADD", "SELL", "10.20", "3.00000", 32 + 128),
        ("DELETE", "BUY", "10.00", "0.00000", 0),
        ("UPDATE", "SELL", "10.10", "0.50000", 128),
        ("CLEAR", "", "0.00", "0.00000", 32 + 128),
        ("UPDATE", "BUY", "10.00", "9.00000", 128),
    ]
    assert [d.sequence for d in deltas] == [6, 6, 6, 6, 8, 8, 8, 11]
    assert [(d.ts_event, d.ts_init) for d in deltas[3:6]] == [
        (1001, 1001),
        (2_000_000, 1002),
        (2_000_000, 1002),
    ]
    assert "1 gaps in update ids" in notes


def test_a_level_without_a_price_is_dropped_and_the_event_still_ends(tmp_path: Path) -> None:
    lines = [LINES[0], LINES[1], LINES[2].replace('"10.1"', '"-1"')]
    store, notes = load(tmp_path, *lines)
    deltas = ParquetDataCatalog(str(store.root)).query_order_book_deltas()
    assert [(d.sequence, d.flags & F_LAST) for d in deltas[-2:]] == [(6, F_LAST), (8, F_LAST)]
    assert "1 book levels without a price above 0 dropped" in notes


class BookWatcher(Strategy):
    """Keeps the best prices the engine's own book has after every event."""

    def on_start(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.subscribe_book_deltas(INSTRUMENT, BookType.L2_MBP, managed=True)

    def on_book_deltas(self, deltas: OrderBookDeltas) -> None:
        book = self.cache.order_book(deltas.instrument_id)
        if book is not None and deltas.deltas[-1].flags & F_LAST:
            self.seen.append((str(book.best_bid_price()), str(book.best_ask_price())))


INSTRUMENT = InstrumentId.from_str("BTCUSDT.BINANCE_SPOT")


def test_the_engine_replays_the_deltas_into_the_same_book(tmp_path: Path) -> None:
    store, _ = load(tmp_path, *LINES)
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggerConfig(stdout_level=LogLevel.OFF)))
    engine.add_venue(
        Venue("BINANCE_SPOT"),
        OmsType.NETTING,
        AccountType.CASH,
        [Money(1000, Currency.from_str("USDT"))],
        book_type=BookType.L2_MBP,
        fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
    )
    engine.add_instrument(store.instruments()[INSTRUMENT])
    watcher = BookWatcher()
    engine.add_strategy(watcher)
    engine.add_data(ParquetDataCatalog(str(store.root)).query_order_book_deltas())
    engine.run()
    engine.dispose()
    ours = [
        tuple("None" if side is None else f"{side[0] / 100:.2f}" for side in (top.bid, top.ask))
        for top in tops(store, str(INSTRUMENT))
    ]
    assert (
        watcher.seen
        == ours
        == [
            ("10.00", "10.20"),
            ("9.90", "10.10"),
            ("None", "None"),
            ("10.00", "None"),
        ]
    )


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")
@pytest.mark.parametrize(
    ("name", "topic", "meetings"),
    [
        ("spot/btcusdt_20240808.gz", "BTCUSDT.BINANCE_SPOT", 564),
        ("usdm/ethusdt_20240808.gz", "ETHUSDT-PERP.BINANCE", 551),
    ],
)
def test_real_books_equal_the_recorded_best_prices(
    tmp_path: Path, name: str, topic: str, meetings: int
) -> None:
    path = DATA / "binance_ws" / name
    store = Store(tmp_path)
    import_files(store, [str(path)], Options(), lambda _done, _total: None)
    instrument = store.instruments()[InstrumentId.from_str(topic)]
    decimals = int(instrument.price_precision), int(instrument.size_precision)  # type: ignore[union-attr] # a pair or a perpetual
    told = _book_tickers(path)
    met = 0
    for top in tops(store, topic):
        assert not top.is_crossed
        if top.sequence in told:
            met += 1
            assert (top.bid, top.ask) == _in_units(told[top.sequence], *decimals)
    assert met == meetings


def _book_tickers(path: Path) -> dict[int, dict[str, str]]:
    with gzip.open(path, "rt") as file:
        frames = [json.loads(line.partition(" ")[2]) for line in file if "@bookTicker" in line]
    return {frame["data"]["u"]: frame["data"] for frame in frames}


def _in_units(
    ticker: dict[str, str], price: int, size: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    def pair(names: str) -> tuple[int, int]:
        return int(Decimal(ticker[names[0]]).scaleb(price)), int(
            Decimal(ticker[names[1]]).scaleb(size)
        )

    return pair("bB"), pair("aA")
