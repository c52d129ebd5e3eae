"""What one stream's Parquet rows are to the engine: its columns, its values, a mark of each row.

Rule: rows become values of the engine's own kinds and nothing is left out; what is no value of its
kind raises ValueError or OverflowError, for the caller to say where.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from nautilus_trader.model import (
    Bar,
    FundingRateUpdate,
    InstrumentId,
    OrderBookDeltas,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.persistence import (
    BarDataWrangler,
    QuoteTickDataWrangler,
    TradeTickDataWrangler,
)

from catalog.places import open_file
from strategies.errors import BadInput
from strategies.ports import StreamKind

type Int64 = npt.NDArray[np.int64]
type UInt64 = npt.NDArray[np.uint64]
type Fingerprints = npt.NDArray[np.uint16]
type TapeEvent = TradeTick | QuoteTick | Bar | OrderBookDeltas | FundingRateUpdate

TS = pa.timestamp("ns", "UTC")
COLUMNS = {
    StreamKind.TRADES: ("price", "size", "aggressor_side", "trade_id", "ts_event", "ts_init"),
    StreamKind.QUOTES: ("bid_price", "ask_price", "bid_size", "ask_size", "ts_event", "ts_init"),
    StreamKind.BARS: ("open", "high", "low", "close", "volume", "ts_event", "ts_init"),
    StreamKind.DELTAS: (
        *("action", "side", "price", "size", "order_id", "flags", "sequence"),
        *("ts_event", "ts_init"),
    ),
    StreamKind.FUNDING: ("rate", "interval", "next_funding_ns", "ts_event", "ts_init"),
}
"""The engine's columns per kind; a tape's own ``seq`` and ``provenance`` are not needed here."""

TOLD_IN_WORDS = frozenset({"action", "side", "rate"})
"""Text columns that a fingerprint takes in; of the others (trade ids) a slice's SHA-256 is kept."""
FACTOR, SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)


def row_groups(path: Path, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield a file's row groups in order. Raises BadInput where it cannot be read."""
    groups, i = 1, 0
    while i < groups:
        # Opened anew for each group: thousands of streams share one process's open files.
        groups, table = row_group(path, i, columns)
        if table is not None:
            yield table
        i += 1


def row_group(path: Path, group: int, columns: Sequence[str]) -> tuple[int, pa.Table | None]:
    """Return how many row groups a file has, and one of them; raises BadInput."""
    try:
        with open_file(path) as parquet:
            groups = parquet.num_row_groups
            table = parquet.read_row_group(group, columns=list(columns)) if groups else None
    except (pa.ArrowException, OSError, KeyError) as error:
        what = str(error).splitlines()[0]
        raise BadInput(
            f"{path} cannot be read as Parquet ({what}); import its data again."
        ) from error
    missing = [name for name in columns if table is not None and name not in table.column_names]
    if missing:
        raise BadInput(f"{path} has no column {missing[0]}; remove it and import its data again.")
    return groups, table


# --- values ---------------------------------------------------------------------------------------


def wrangler(
    kind: StreamKind, topic: str, instrument_id: InstrumentId, precisions: tuple[int, int]
) -> Callable[[pa.Table], list[TapeEvent]]:
    """Return what turns rows of a kind into values, one each; book deltas are tape_books' business.

    ``precisions`` are the decimals of prices and sizes.
    """
    name = str(instrument_id)
    match kind:
        case StreamKind.TRADES:
            trades = TradeTickDataWrangler(name, *precisions).process_record_batch_bytes
            return lambda table: trades(ipc(table))  # type: ignore[return-value]  # list is invariant
        case StreamKind.QUOTES:
            quotes = QuoteTickDataWrangler(name, *precisions).process_record_batch_bytes
            return lambda table: quotes(ipc(table))  # type: ignore[return-value]  # list is invariant
        case StreamKind.FUNDING:
            return lambda table: _funding(instrument_id, table)
        case _:
            bars = BarDataWrangler(topic, *precisions).process_record_batch_bytes
            return lambda table: bars(ipc(table))  # type: ignore[return-value]  # list is invariant


def ipc(table: pa.Table) -> bytes:
    """Return a table as an Arrow stream, which is what the engine's decoders read."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _funding(instrument_id: InstrumentId, table: pa.Table) -> list[TapeEvent]:
    due = table.column("next_funding_ns").cast(pa.int64()).to_pylist()
    ts_event, ts_init = (int64(table.column(name)).tolist() for name in ("ts_event", "ts_init"))
    rates, hours = (table.column(name).to_pylist() for name in ("rate", "interval"))
    return [
        FundingRateUpdate(instrument_id, Decimal(rate), *rest)
        for rate, *rest in zip(rates, ts_event, ts_init, hours, due, strict=True)
    ]


# --- fingerprints ---------------------------------------------------------------------------------


def fingerprints(table: pa.Table) -> Fingerprints:
    """Return 16 bits per row over all numbers and times of the row.

    A multiply-xorshift mix of the columns in order; trade ids and the side of trades are left out,
    a slice's SHA-256 covers them.
    """
    return folded(mixed(table))


def folded(words: UInt64) -> Fingerprints:
    """Return the upper 16 of 64 mixed bits."""
    short: Fingerprints = (words >> np.uint64(48)).astype(np.uint16)
    return short


def mixed(table: pa.Table) -> UInt64:
    """Return 64 bits per row over what a fingerprint is made of."""
    found = np.zeros(table.num_rows, np.uint64)
    for name, column in zip(table.column_names, table.columns, strict=True):
        for values in _words(name, column):
            found = (found ^ values) * FACTOR
            found ^= found >> SHIFT
    return found


def _words(name: str, column: pa.ChunkedArray) -> Iterator[UInt64]:
    """Yield a column's fixed-width values as 64-bit words; what is not there counts as 0."""
    if pa.types.is_timestamp(column.type):
        yield _numbers(column.cast(pa.int64())).view(np.uint64)
    elif pa.types.is_decimal128(column.type):
        zero = pa.scalar(Decimal(0), column.type)
        chunks = (column.fill_null(zero) if column.null_count else column).chunks
        parts = []
        for chunk in chunks:
            words = np.frombuffer(chunk.buffers()[1], np.uint64)
            parts.append(words[2 * chunk.offset : 2 * (chunk.offset + len(chunk))].reshape(-1, 2))
        both = np.concatenate(parts) if parts else np.empty((0, 2), np.uint64)
        yield both[:, 0]
        yield both[:, 1]
    elif pa.types.is_integer(column.type):
        yield _numbers(column).astype(np.uint64)
    elif name in TOLD_IN_WORDS:
        yield _hashed(column)


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.integer]:
    whole = column.fill_null(0) if column.null_count else column
    values: npt.NDArray[np.integer] = whole.to_numpy()
    return values


def _hashed(column: pa.ChunkedArray) -> UInt64:
    """Return 64 bits per text; the same text gives the same ones in any file."""
    texts = column.cast(pa.string()).combine_chunks().dictionary_encode()
    known = [
        int.from_bytes(blake2b(str(text).encode(), digest_size=8).digest(), "little")
        for text in texts.dictionary.to_pylist()
    ]
    places = texts.indices.fill_null(len(known)).to_numpy()
    hashes: UInt64 = np.array([*known, 0], np.uint64)[places]
    return hashes


def int64(column: pa.ChunkedArray) -> Int64:
    """Return a column of whole numbers or times."""
    values: Int64 = column.cast(pa.int64()).to_numpy()
    return values
