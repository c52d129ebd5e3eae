"""Prices read from the tape: bounded, cut to the window, exact at the end and at period ends."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nautilus_trader.model import InstrumentId

from catalog.prices import BUCKETS, read_prices
from catalog.tape import TapeStream
from catalog.thinning import Candles, Series
from strategies.errors import BadInput
from strategies.markets.facts import RAW_ONE, UniformTicks
from strategies.ports import StreamKind

COIN = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
MONEY = pa.decimal128(38, 16)
TICKS = UniformTicks(RAW_ONE // 10)
NO_EDGES = np.empty(0, np.int64)


def stream(
    path: Path,
    kind: StreamKind,
    ts_ns: Sequence[int],
    delivered: bool = True,
    **prices: Sequence[str],
) -> TapeStream:
    """Write one stream's columns to a file of several row groups."""
    columns = {name: pa.array(map(Decimal, texts), MONEY) for name, texts in prices.items()}
    stamps = pa.array(ts_ns, pa.int64()).cast(pa.timestamp("ns", "UTC"))
    pq.write_table(pa.table(columns | {"ts_init": stamps}), path, row_group_size=4)
    return TapeStream(kind, str(COIN), COIN, 1, 3, (path,), delivered)


def trades(path: Path, points: dict[int, str]) -> TapeStream:
    """A stream of trades: time -> price."""
    return stream(path, StreamKind.TRADES, list(points), price=list(points.values()))


def test_trades_are_a_line_cut_to_the_window(tmp_path: Path) -> None:
    tape = trades(tmp_path / "t", {i: f"{100 + i}.5" for i in range(20)})
    prices = read_prices([tape], TICKS, 5, 15, NO_EDGES)
    assert isinstance(prices.drawn, Series)
    assert prices.drawn.ts_ns.tolist() == list(range(5, 15))
    assert prices.drawn.value[0] == 105.5
    assert prices.marks.last == Decimal("114.5")


def test_bars_are_candles_and_value_positions_by_their_close(tmp_path: Path) -> None:
    tape = stream(
        tmp_path / "b",
        StreamKind.BARS,
        [10, 20],
        open=["1", "2"],
        high=["5", "3"],
        low=["1", "0.5"],
        close=["2", "3"],
    )
    prices = read_prices([tape], TICKS, 0, 30, NO_EDGES)
    assert isinstance(prices.drawn, Candles)
    assert prices.drawn.high.tolist() == [5.0, 3.0]
    assert prices.marks.price.tolist() == [2.0, 3.0]


def test_the_last_price_is_the_newest_of_what_was_delivered(tmp_path: Path) -> None:
    bars = stream(
        tmp_path / "b", StreamKind.BARS, [20], open=["1"], high=["1"], low=["1"], close=["7"]
    )
    newer = trades(tmp_path / "t", {10: "5", 21: "6"})
    same = trades(tmp_path / "s", {20: "8"})
    hidden = stream(tmp_path / "h", StreamKind.TRADES, [29], delivered=False, price=["9"])
    assert read_prices([bars, newer], TICKS, 0, 30, NO_EDGES).marks.last == 6
    assert read_prices([bars, same], TICKS, 0, 30, NO_EDGES).marks.last == 8
    assert read_prices([bars, hidden], TICKS, 0, 30, NO_EDGES).marks.last == 7


def test_quotes_count_by_their_middle_on_the_grid(tmp_path: Path) -> None:
    tape = stream(tmp_path / "q", StreamKind.QUOTES, [1], bid_price=["100.0"], ask_price=["100.3"])
    prices = read_prices([tape], TICKS, 0, 10, NO_EDGES)
    assert prices.marks.last == Decimal("100.1")
    assert prices.marks.price[0] == pytest.approx(100.15)


def test_many_rows_stay_few_and_exact_at_period_ends(tmp_path: Path) -> None:
    rows = 60_000
    texts = [str(1000 + i * 7919 % 997) for i in range(rows)]
    tape = TapeStream(StreamKind.TRADES, str(COIN), COIN, 1, 3, (tmp_path / "m",))
    table = {
        "price": pa.array(map(Decimal, texts), MONEY),
        "ts_init": pa.array(range(rows), pa.int64()).cast(pa.timestamp("ns", "UTC")),
    }
    pq.write_table(pa.table(table), tmp_path / "m")
    edges = np.array([11_111, 44_444])
    marks = read_prices([tape], TICKS, 0, rows, edges).marks
    assert len(marks.ts_ns) <= 4 * BUCKETS + len(edges)
    for edge in edges:
        at = np.searchsorted(marks.ts_ns, edge, side="right") - 1
        assert marks.price[at] == float(texts[edge])


def test_without_streams_there_are_no_prices() -> None:
    prices = read_prices([], TICKS, 0, 10, NO_EDGES)
    assert len(prices.drawn) == 0
    assert prices.marks.last is None


def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"not parquet")
    tape = TapeStream(StreamKind.TRADES, str(COIN), COIN, 1, 3, (tmp_path / "x",))
    with pytest.raises(BadInput, match=r"x cannot be read as Parquet"):
        read_prices([tape], TICKS, 0, 10, NO_EDGES)
