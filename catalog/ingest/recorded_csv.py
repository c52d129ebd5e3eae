"""Reads recordings kept as CSV, one row a trade or a book level, each with its time of receive.

Rule: the first column tells the format (``TimestampOfReceive``); the market and, for snapshots, the
symbol come from the file's name. Lines that begin with # are a report and are left out. A chunk is
in memory at a time, with the rows of the event that it ends in left for the next.
"""

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from catalog.book import DepthDiff, DepthSnapshot
from catalog.columns import Ints
from catalog.ingest.instruments import Grid
from catalog.ingest.recorded_rows import DepthStream, RowStream, close_streams
from catalog.ingest.recordings import Market, Recorded, instrument_id_of
from catalog.store import Import
from catalog.unpacked import unpacked
from strategies.errors import BadInput
from strategies.ports import StreamKind

HEAD = b"TimestampOfReceive,"
CHUNK_BYTES = 1 << 20
"""Text parsed at a time; the parser reads up to 32 such chunks ahead."""

EVENT_KEYS = {
    "trade": ("TimestampOfReceive", "TradeId"),
    "diff": ("TimestampOfReceive", "FirstUpdateId", "FinalUpdateId"),
    "snapshot": ("TimestampOfReceive", "LastUpdateId"),
}
"""Columns that are alike in all rows of one event."""

type OnBytes = Callable[[int], None]

_NAME = re.compile(r"_(spot|usd_?m(?:_futures)?|futures)_([a-z0-9]+)_", re.IGNORECASE)
_TEXT = ("Price", "Quantity", "Symbol", "Stream", "EventType", "MUnknownParameter")


@dataclass(frozen=True, slots=True)
class RecordedCsv:
    """Rows of one file, whole events; ``line`` is the first row's line, times are UTC ns."""

    path: Path
    kind: str
    table: pa.Table
    line: int

    def ints(self, name: str) -> Ints:
        """Return a column of numbers."""
        values: Ints = self.table.column(name).to_numpy()
        return values

    def times(self, name: str) -> Ints:
        """Return a column of times as ns: each file keeps one unit, told by its size."""
        values = self.ints(name)
        biggest = int(values.max(initial=0))
        scale = next((by for top, by in ((10**14, 10**6), (10**17, 1000)) if biggest < top), 1)
        return values * scale

    def texts(self, name: str) -> list[str]:
        """Return a column of text."""
        values: list[str] = self.table.column(name).to_pylist()
        return values


def is_recorded_csv(path: Path) -> bool:
    """Say whether a file is of this format."""
    try:
        with _opened(path) as file:
            for line in file:
                if not line.startswith(b"#"):
                    return bool(line.startswith(HEAD))
    except (OSError, EOFError, zlib.error):
        return False
    return False


def read_chunks(
    path: Path, on_bytes: OnBytes = lambda _read: None, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[RecordedCsv]:
    """Yield one file in parts. Raises BadInput where it is cut short or a cell is no number."""
    try:
        with unpacked(path) as (file, raw):
            line = 1
            while (head := file.readline()).startswith(b"#"):
                line += 1
            names = head.decode().strip().split(",")
            kind, first, rest = _kind(names, path), line + 1, None
            for batch in _batches(file, names, chunk_bytes):
                table = _typed(path, pa.table(batch), first)
                first += batch.num_rows
                if rest is not None:
                    table = pa.concat_tables([rest, table])
                begun = first - table.num_rows
                whole = _last_event(table, kind)
                if whole:
                    yield RecordedCsv(path, kind, table.slice(0, whole).combine_chunks(), begun)
                rest = table.slice(whole)
                on_bytes(raw.tell())
            if rest is not None and rest.num_rows:
                yield RecordedCsv(path, kind, rest.combine_chunks(), first - rest.num_rows)
    except pa.ArrowException as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise BadInput(f"{path} cannot be read ({reason}): correct or remove the row.") from error
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} cannot be unpacked ({error}): copy it again whole.") from error


def _batches(
    file: io.BufferedReader, names: list[str], chunk_bytes: int
) -> Iterator[pa.RecordBatch]:
    """Yield rows as text: numbers may be padded with zeros."""
    if not file.peek(1):
        return
    yield from pa.csv.open_csv(
        file,
        read_options=pa.csv.ReadOptions(
            block_size=chunk_bytes, column_names=names, use_threads=False
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )


def _typed(path: Path, text: pa.Table, line: int) -> pa.Table:
    return pa.table(
        {
            name: text.column(name) if name in _TEXT else _whole(path, text, name, line)
            for name in text.column_names
        }
    )


def _last_event(table: pa.Table, kind: str) -> int:
    """Return where the last event of a chunk begins: the next chunk may go on with it."""
    changes = np.logical_or.reduce([_changes(table, name) for name in EVENT_KEYS[kind]])
    places = np.flatnonzero(changes)
    return int(places[-1]) + 1 if len(places) else 0


def _changes(table: pa.Table, name: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    values: Ints = table.column(name).to_numpy()
    return np.not_equal(values[1:], values[:-1])


def _whole(path: Path, text: pa.Table, name: str, line: int) -> pa.ChunkedArray:
    try:
        return text.column(name).cast(pa.int64())
    except pa.ArrowException as error:
        good = pc.match_substring_regex(text.column(name), r"^-?\d{1,19}$").to_pylist()
        row = good.index(False) if False in good else 0
        raise BadInput(
            f"{path}, line {line + row}: {name} is {text.column(name)[row].as_py()!r}, not a whole "
            "number: correct or remove the row."
        ) from error


def import_recorded_csv(
    batch: Import,
    path: Path,
    market: Market | None,
    grid: Grid,
    on_bytes: OnBytes = lambda _read: None,
    chunk_bytes: int = CHUNK_BYTES,
) -> Recorded:
    """Import one file as trades or book deltas. Raises BadInput."""
    market = market or market_of(path)
    if market is None:
        raise BadInput(f"{path}: its name does not tell spot from USD-M: give --market.")
    done = Recorded()
    streams: dict[str, RowStream | DepthStream] = {}
    last = 0
    for recorded in read_chunks(path, on_bytes, chunk_bytes):
        received = recorded.times("TimestampOfReceive")
        if int(received[0]) < last or (received[1:] < received[:-1]).any():
            raise BadInput(
                f"{path}: rows were not received in order: run onetape data check on it and "
                "correct it."
            )
        last = int(received[-1])
        done.frames += recorded.table.num_rows
        for symbol in symbols_of(recorded):
            stream = streams.get(symbol)
            if stream is None:
                stream = streams[symbol] = _open(batch, recorded.kind, symbol)
            if isinstance(stream, RowStream):
                _add_trades(recorded, symbol, stream)
            else:
                _add_depth(recorded, symbol, stream)
    for symbol, stream in streams.items():
        stream.finish()
        instrument_id = instrument_id_of(symbol, market)
        for result in close_streams(batch, [stream], instrument_id, grid, path):
            done.rows += result.rows
            done.topics.append((result.kind, result.topic))
        done.notes += stream.told(symbol)
    return done


def _open(batch: Import, kind: str, symbol: str) -> RowStream | DepthStream:
    if kind == "trade":
        return RowStream(StreamKind.TRADES, batch.open(StreamKind.TRADES, symbol))
    return DepthStream(batch.open(StreamKind.DELTAS, symbol))


def market_of(path: Path) -> Market | None:
    """Return the market a file's name tells."""
    match = _NAME.search(path.name)
    if match is None:
        return None
    return Market.SPOT if match[1].lower() == "spot" else Market.USDM


def symbols_of(recorded: RecordedCsv) -> list[str]:
    """Return the symbols of a file in order; a snapshot's is in the file's name only."""
    if "Symbol" in recorded.table.column_names:
        return list(dict.fromkeys(recorded.texts("Symbol")))
    match = _NAME.search(recorded.path.name)
    if match is None:
        raise BadInput(
            f"{recorded.path}: its name does not tell the symbol: name it like "
            "snapshot_spot_btcusdt_2025-04-14.csv."
        )
    return [match[2].upper()]


def _kind(names: list[str], path: Path) -> str:
    for column, kind in (("TradeId", "trade"), ("FinalUpdateId", "diff"), ("IsAsk", "snapshot")):
        if column in names:
            return kind
    raise BadInput(f"{path}: its columns are neither of trades, nor of depth: {', '.join(names)}.")


def _opened(path: Path) -> Any:
    return gzip.open(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")


def _add_trades(recorded: RecordedCsv, symbol: str, stream: RowStream) -> None:
    rows = zip(
        recorded.texts("Price"),
        recorded.texts("Quantity"),
        recorded.ints("IsBuyerMarketMaker").tolist(),
        recorded.ints("TradeId").tolist(),
        recorded.times("TransactionTime").tolist(),
        recorded.times("TimestampOfReceive").tolist(),
        recorded.texts("Symbol"),
        strict=True,
    )
    for *row, name in rows:
        if name == symbol:
            stream.add(tuple(row))
            if stream.full():
                stream.flush()


def _add_depth(recorded: RecordedCsv, symbol: str, stream: DepthStream) -> None:
    events = diffs(recorded, symbol) if recorded.kind == "diff" else snapshots(recorded)
    for event in events:
        if isinstance(event, DepthDiff):
            stream.add(event)
        else:
            stream.add_snapshot(event)
        if stream.full():
            stream.flush()


def diffs(recorded: RecordedCsv, symbol: str) -> Iterator[DepthDiff]:
    """Yield the diffs of one symbol: rows that share the ids and the time of receive."""
    received, venue = (
        recorded.times("TimestampOfReceive").tolist(),
        recorded.times("EventTime").tolist(),
    )
    first, last = (
        recorded.ints("FirstUpdateId").tolist(),
        recorded.ints("FinalUpdateId").tolist(),
    )
    symbols = recorded.texts("Symbol")
    for start, bids, asks in _groups(recorded):
        if symbols[start] == symbol:
            stamps = venue[start], received[start]
            yield DepthDiff(first[start], last[start], None, *stamps, bids, asks)


def snapshots(recorded: RecordedCsv) -> Iterator[DepthSnapshot]:
    """Yield the snapshots of a file; spot tells no venue time, so they count as received."""
    received = recorded.times("TimestampOfReceive").tolist()
    last = recorded.ints("LastUpdateId").tolist()
    for start, bids, asks in _groups(recorded):
        yield DepthSnapshot(last[start], received[start], received[start], bids, asks)


type _Levels = list[tuple[str, str]]


def _groups(recorded: RecordedCsv) -> Iterator[tuple[int, _Levels, _Levels]]:
    keys = EVENT_KEYS[recorded.kind]
    changes = np.logical_or.reduce([_changes(recorded.table, name) for name in keys])
    starts = [0, *(np.flatnonzero(changes) + 1).tolist(), recorded.table.num_rows]
    price, size = recorded.texts("Price"), recorded.texts("Quantity")
    is_ask = recorded.ints("IsAsk").tolist()
    for start, end in pairwise(starts):
        levels: tuple[_Levels, _Levels] = ([], [])
        for i in range(start, end):
            levels[is_ask[i]].append((price[i], size[i]))
        yield start, *levels
