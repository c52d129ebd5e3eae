"""Candles from trades: the venue's rules by hand, as a property, and against its own candles."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.columns import decimals_from_units, labels, times
from catalog.ingest.importer import Options, import_files
from catalog.layout import SCHEMAS
from catalog.read import to_arrow, to_pandas
from catalog.resample import bars_from_trades, write_bars_from_trades
from catalog.store import Store
from strategies.errors import BadInput
from strategies.markets import binance, krx
from strategies.ports import StreamKind

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
SPOT = binance.spot("BTCUSDT")
SHARE = krx.equity("005930")
MINUTE = 60 * 10**9
T0 = 1_704_067_200 * 10**9


def trades(*rows: tuple[int, int, int], precision: tuple[int, int] = (2, 5)) -> pa.Table:
    """Rows are (ns after T0, price units, size units)."""
    at, price, size = np.array(rows, np.int64).T if rows else np.empty((3, 0), np.int64)
    return pa.Table.from_arrays(
        [
            decimals_from_units(price, precision[0]),
            decimals_from_units(size, precision[1]),
            labels(np.zeros(len(at), np.int64), ("BUY",)),
            pa.array([str(i) for i in range(len(at))], pa.string()),
            times(at + T0),
            times(np.maximum.accumulate(at + T0) if len(at) else at),
        ],
        schema=SCHEMAS[StreamKind.TRADES],
    )


def bars(
    *tables: pa.Table, share: bool = False, start: int | None = 0, end: int | None = None
) -> list[tuple[str, ...]]:
    """Return (minutes after T0 at the close, open, high, low, close, volume) as text."""
    span = (None if each is None else T0 + each for each in (start, end))
    rows = bars_from_trades(tables, SHARE if share else SPOT, MINUTE, *span)
    found = []
    for table in rows:
        for row in table.to_pylist():
            values = [f"{row[name].normalize():f}" for name in ("open", "high", "low", "close")]
            minute = (row["ts_init"].value - T0) // MINUTE
            assert row["ts_event"] == row["ts_init"]
            found.append((str(minute), *values, f"{row['volume'].normalize():f}"))
    return found


def test_a_candle_holds_its_open_and_not_its_end() -> None:
    rows = ((0, 100, 5), (MINUTE - 1, 300, 6), (MINUTE, 200, 7), (3 * MINUTE, 1, 1))
    assert bars(trades(*rows))[:2] == [
        ("1", "1", "3", "1", "3", "0.00011"),
        ("2", "2", "2", "2", "2", "0.00007"),
    ]


def test_binance_repeats_the_close_where_nothing_was_traded() -> None:
    rows = ((0, 100, 5), (1, 250, 5), (3 * MINUTE, 100, 1), (9 * MINUTE, 1, 1))
    assert bars(trades(*rows))[1:4] == [
        ("2", "2.5", "2.5", "2.5", "2.5", "0"),
        ("3", "2.5", "2.5", "2.5", "2.5", "0"),
        ("4", "1", "1", "1", "1", "0.00001"),
    ]


def test_krx_has_no_bar_where_nothing_was_traded() -> None:
    rows = trades((0, 100, 5), (3 * MINUTE, 110, 1), (9 * MINUTE, 1, 1), precision=(0, 0))
    assert [row[0] for row in bars(rows, share=True)] == ["1", "4"]


def test_the_last_candle_needs_its_end_told() -> None:
    table = trades((0, 100, 5), (MINUTE, 200, 7))
    assert [row[0] for row in bars(table)] == ["1"]
    assert [row[0] for row in bars(table, end=2 * MINUTE - 1)] == ["1"]
    assert [row[0] for row in bars(table, end=2 * MINUTE)] == ["1", "2"]
    assert bars(table, end=4 * MINUTE)[3] == ("4", "2", "2", "2", "2", "0")


def test_the_first_candle_needs_its_start_told() -> None:
    table = trades((30, 100, 5), (MINUTE, 200, 7), (9 * MINUTE, 1, 1))
    assert [bars(table, start=start)[0][0] for start in (None, 0, 1, MINUTE)] == [
        "2",
        "1",
        "2",
        "2",
    ]


def test_a_late_trade_counts_where_it_belongs_or_is_refused() -> None:
    swapped = trades((MINUTE, 200, 1), (MINUTE - 5, 100, 1), (5 * MINUTE, 1, 1))
    assert [row[4] for row in bars(swapped)[:2]] == ["1", "2"]
    late = trades((0, 100, 1))
    with pytest.raises(BadInput, match="out of order by more than an interval"):
        bars(trades((0, 1, 1), (9 * MINUTE, 1, 1)), late)


@given(
    st.lists(
        st.tuples(st.integers(0, 12 * MINUTE), st.integers(1, 999), st.integers(1, 999)),
        min_size=1,
        max_size=60,
    ),
    st.integers(1, 20),
)
def test_chunks_change_nothing_and_nothing_is_lost(
    rows: list[tuple[int, int, int]], chunk: int
) -> None:
    rows.sort(key=lambda row: row[0])
    table = trades(*rows)
    end = 13 * MINUTE
    whole = bars(table, end=end)
    parts = [table.slice(i, chunk) for i in range(0, len(rows), chunk)]
    assert bars(*parts, end=end) == whole
    assert sum(round(float(row[5]) * 1e5) for row in whole) == sum(size for _, _, size in rows)
    minutes = [int(row[0]) for row in whole]
    assert minutes == list(range(minutes[0], 14))
    by_minute = {m: [p for at, p, _ in rows if at // MINUTE == m - 1] for m in minutes}
    for minute, first, high, low, close, _ in whole:
        prices = by_minute[int(minute)]
        if prices:
            told = [prices[0], max(prices), min(prices), prices[-1]]
            assert [round(float(each) * 100) for each in (first, high, low, close)] == told


def test_bars_of_a_catalog_are_kept_beside_its_trades(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rows = [trades(*((i * MINUTE // 2, 100 + i, 1) for i in range(10)))]
    store.write(SPOT, StreamKind.TRADES, rows, source="test")
    result = write_bars_from_trades(store, SPOT, MINUTE, T0)
    assert result is not None and result.topic == "BTCUSDT.BINANCE_SPOT-1-MINUTE-LAST-EXTERNAL"
    assert to_arrow(store, StreamKind.BARS, result.topic).num_rows == result.rows == 4
    frame = to_pandas(store, StreamKind.BARS, result.topic)
    assert frame["close"].tolist() == [1.01, 1.03, 1.05, 1.07]
    assert str(frame.index[0]) == "2024-01-01 00:01:00+00:00"
    half = to_arrow(store, StreamKind.BARS, result.topic, T0 + 2 * MINUTE, T0 + 4 * MINUTE)
    assert half.num_rows == 2
    with pytest.raises(BadInput, match="has no trades of ABC"):
        to_arrow(store, StreamKind.TRADES, "ABC")


def test_a_frame_holds_the_float_nearest_to_each_price(tmp_path: Path) -> None:
    store = Store(tmp_path)
    rows = [trades(*((i, 1 + i, 1) for i in range(500)))]
    store.write(SPOT, StreamKind.TRADES, rows, source="test")
    exact = to_arrow(store, StreamKind.TRADES, str(SPOT.id)).column("price").to_pylist()
    assert to_pandas(store, StreamKind.TRADES, str(SPOT.id))["price"].tolist() == [
        float(price) for price in exact
    ]


@pytest.mark.real_data
@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here")
def test_real_trades_make_the_venues_own_candles(tmp_path: Path) -> None:
    path = DATA / "binance_ws" / "BINANCE_FUTURES.ws.1.0.gz"
    store = Store(tmp_path)
    import_files(store, [str(path)], Options(), lambda _done, _total: None)
    compared = 0
    for symbol, told in _last_candles(path).items():
        instrument = next(
            each for each in store.instruments().values() if each.raw_symbol.value == symbol
        )
        table = to_arrow(store, StreamKind.TRADES, str(instrument.id))
        end_ns = (told["t"] + 60_000) * 1_000_000
        made = {
            row["ts_init"].value: row
            for part in bars_from_trades([table], instrument, MINUTE, 0, end_ns)
            for row in part.to_pylist()
        }
        row = made[end_ns]
        names = zip(("open", "high", "low", "close", "volume"), "ohlcv", strict=True)
        for name, key in names:
            assert row[name] == pa.scalar(told[key]).cast(pa.decimal128(38, 16)).as_py(), symbol
        compared += 1
    assert compared >= 1


def _last_candles(path: Path) -> dict[str, dict[str, str]]:
    """Return each symbol's newest candle whose trades, by their ids, were all recorded."""
    with gzip.open(path, "rt") as file:
        frames = [json.loads(line.partition(" ")[2]) for line in file if '"stream"' in line]
    told = [frame["data"] for frame in frames]
    candles = {each["s"]: each["k"] for each in told if each.get("e") == "kline"}
    whole = {}
    for symbol, candle in candles.items():
        recorded = [
            (each["f"], each["l"])
            for each in told
            if each.get("e") == "aggTrade"
            and each["s"] == symbol
            and candle["t"] <= each["T"] <= candle["T"]
        ]
        ids = sorted(recorded)
        if ids and (ids[0][0], ids[-1][1]) == (candle["f"], candle["L"]):
            whole[symbol] = candle
    return whole
