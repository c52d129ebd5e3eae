"""Makes the catalogs that are measured on: random walks on a price grid, from a seed.

Rule: numpy and Arrow only, so that ten million rows take seconds; the same
size gives the same rows.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from nautilus_trader.model import BarType, CryptoPerpetual

from catalog.layout import LABEL, RAW, SCHEMAS, TIME
from catalog.store import Store
from strategies.markets import binance
from strategies.ports import StreamKind

type Int64 = npt.NDArray[np.int64]

TICK_RAW = 10**15
"""One step of the grid, 0.1 USDT, in the engine's raw units."""
START_NS = 1_600_000_020_000_000_000
MINUTE_NS = 60_000_000_000
MILLISECOND_NS = 1_000_000
FIRST_PRICE = 9_000
PART_ROWS = 500_000
SYMBOLS = ("BTC", "ETH", "BNB", "SOL", "XRP", "ADA", "DOGE", "LTC", "DOT", "TRX")
VENUE = "BINANCE"


def walk(rows: int, seed: int) -> Int64:
    """Return prices in grid steps: each -2 to 2 from the one before, between 100 and 18,000."""
    steps = np.random.default_rng(seed).integers(-2, 3, rows)
    prices: Int64 = np.clip(FIRST_PRICE + np.cumsum(steps), 100, 18_000)
    return prices


def make_bars(home: Path, rows: int) -> None:
    """Write a catalog of one instrument's one-minute bars."""
    close = walk(rows, 1)
    opened = np.concatenate(([FIRST_PRICE], close[:-1]))
    high, low = np.maximum(opened, close) + 1, np.minimum(opened, close) - 1
    times = _times(START_NS + MINUTE_NS * np.arange(1, rows + 1, dtype=np.int64))
    columns = [*map(_prices, (opened, high, low, close)), _sizes(rows), times, times]
    instrument = _perpetual(SYMBOLS[0])
    Store(home / "catalog").write(
        instrument,
        StreamKind.BARS,
        [pa.table(columns, schema=SCHEMAS[StreamKind.BARS])],
        source="bench",
        bar_type=BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL"),
    )


def make_trades(home: Path, rows: int, symbols: int) -> None:
    """Write ``rows`` trades, dealt evenly to the symbols, one each millisecond."""
    store = Store(home / "catalog")
    for place, symbol in enumerate(SYMBOLS[:symbols]):
        price = walk(rows // symbols, place)
        ordinal = np.arange(len(price), dtype=np.int64) * symbols + place
        store.write(
            _perpetual(symbol),
            StreamKind.TRADES,
            (
                _trades(price[i : i + PART_ROWS], ordinal[i : i + PART_ROWS])
                for i in range(0, len(price), PART_ROWS)
            ),
            source="bench",
        )


def make_trades_and_quotes(home: Path, rows: int) -> None:
    """Write ``rows`` ticks of one instrument: trades and quotes by turns."""
    price = walk(rows // 2, 1)
    ordinal = np.arange(len(price), dtype=np.int64) * 2
    store, instrument = Store(home / "catalog"), _perpetual(SYMBOLS[0])
    store.write(instrument, StreamKind.TRADES, [_trades(price, ordinal)], source="bench")
    store.write(instrument, StreamKind.QUOTES, [_quotes(price, ordinal + 1)], source="bench")


def _perpetual(symbol: str) -> CryptoPerpetual:
    steps = binance.Steps(symbol, "USDT", "0.10", "0.001", "0.001", "100")
    return binance.perpetual(f"{symbol}USDT", steps)


def _trades(price: Int64, ordinal: Int64) -> pa.Table:
    side = pa.DictionaryArray.from_arrays(
        pa.array((ordinal // 2 % 2).astype(np.int8)), pa.array(["BUYER", "SELLER"])
    ).cast(LABEL)
    ids, times = pa.array(ordinal).cast(pa.string()), _ticked(ordinal)
    columns = [_prices(price), _sizes(len(price)), side, ids, times, times]
    return pa.table(columns, schema=SCHEMAS[StreamKind.TRADES])


def _quotes(price: Int64, ordinal: Int64) -> pa.Table:
    sizes, times = _sizes(len(price)), _ticked(ordinal)
    columns = [_prices(price), _prices(price + 1), sizes, sizes, times, times]
    return pa.table(columns, schema=SCHEMAS[StreamKind.QUOTES])


def _ticked(ordinal: Int64) -> pa.Array:
    return _times(START_NS + MILLISECOND_NS * ordinal)


def _times(stamps_ns: Int64) -> pa.Array:
    return pa.array(stamps_ns, pa.int64()).cast(TIME)


def _prices(steps: Int64) -> pa.Array:
    """Turn grid steps into raw decimals; below 1,844.6 USDT their upper 64 bits are zero."""
    words = np.zeros((len(steps), 2), np.uint64)
    words[:, 0] = steps.astype(np.uint64) * np.uint64(TICK_RAW)
    return pa.Array.from_buffers(RAW, len(steps), [None, pa.py_buffer(words.tobytes())])


def _sizes(rows: int) -> pa.Array:
    return pa.array(np.full(rows, 10, np.int64)).cast(RAW)
