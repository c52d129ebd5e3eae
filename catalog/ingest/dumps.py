"""Reads Binance's public dumps: klines, trades, aggTrades, bookTicker and fundingRate, in chunks.

Rule: a file is told by its name (``BTCUSDT-trades-2025-01.zip``) and by the folders it lies in; a
header, the unit of its times and else its market are told by what is in it. A checksum that lies
beside it must be its own. A dump has no receive time: ``ts_init`` is the venue's
time, and never goes back. Candles are stamped at their close, and one that does not last its
interval is refused.
"""

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from nautilus_trader.model import InstrumentId

from catalog.columns import Ints, decimals_needed, labels, rounded, times
from catalog.ingest.candles import bar_type, parse_interval
from catalog.ingest.instruments import Grid, Needs, resolve
from catalog.ingest.mapping import NoMarketData
from catalog.ingest.recordings import Market, instrument_id_of
from catalog.layout import MAX_ROW_GROUP, RAW, SCHEMAS
from catalog.store import Import, StreamWriter, size_precision
from catalog.unpacked import unpacked
from strategies.errors import BadInput
from strategies.markets import binance
from strategies.ports import StreamKind

type OnBytes = Callable[[int], None]

CHUNK_BYTES = 1 << 20
"""Text parsed at a time; the parser reads up to 32 such chunks ahead."""


class DumpKind(StrEnum):
    """What a dump holds, by the name Binance gives it."""

    KLINES = "klines"
    TRADES = "trades"
    AGG_TRADES = "aggTrades"
    BOOK_TICKER = "bookTicker"
    FUNDING = "fundingRate"


@dataclass(frozen=True, slots=True)
class Dump:
    """One dump as its name tells it; ``interval`` is a kline's."""

    path: Path
    symbol: str
    kind: DumpKind
    interval: str = ""


@dataclass(slots=True)
class Dumped:
    """What one dump became."""

    rows: int
    notes: list[str]


_NAME = re.compile(
    r"^(?P<symbol>[0-9A-Z]{3,}(?:_(?:\d{6}|PERP))?)-(?P<kind>trades|aggTrades|bookTicker|fundingRate|"
    r"\d{1,2}(?:s|m|h|d|w|mo))-\d{4}-\d\d(?:-\d\d)?\.(?:csv|csv\.gz|zip)$"
)
_KLINE = "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker,taker_quote,_"
_COLUMNS = {
    DumpKind.KLINES: (_KLINE,),
    DumpKind.TRADES: ("id,price,qty,quote_qty,time,maker", "id,price,qty,quote_qty,time,maker,_"),
    DumpKind.AGG_TRADES: (
        "id,price,qty,first,last,time,maker",
        "id,price,qty,first,last,time,maker,_",
    ),
    DumpKind.BOOK_TICKER: ("id,bid,bid_qty,ask,ask_qty,time,event",),
    DumpKind.FUNDING: ("time,hours,rate",),
}
_USED = {
    DumpKind.KLINES: ("open_time", "open", "high", "low", "close", "volume", "close_time", "count"),
    DumpKind.TRADES: ("id", "price", "qty", "time", "maker"),
    DumpKind.AGG_TRADES: ("id", "price", "qty", "time", "maker"),
    DumpKind.BOOK_TICKER: ("id", "bid", "bid_qty", "ask", "ask_qty", "time"),
    DumpKind.FUNDING: ("time", "hours", "rate"),
}
_TYPES = {
    **dict.fromkeys(("id", "time", "open_time", "close_time", "hours", "count"), pa.int64()),
    "maker": pa.bool_(),
    "rate": pa.string(),
}
_STREAMS = {
    DumpKind.KLINES: StreamKind.BARS,
    DumpKind.TRADES: StreamKind.TRADES,
    DumpKind.AGG_TRADES: StreamKind.TRADES,
    DumpKind.BOOK_TICKER: StreamKind.QUOTES,
    DumpKind.FUNDING: StreamKind.FUNDING,
}
_PRICED = {"price", "bid_price", "ask_price", "open", "high", "low", "close"}
_FOLDERS = (("spot", Market.SPOT), ("um", Market.USDM))
"""Folders of Binance's site that tell the market of what lies in them."""

_MICROS_FROM = 10**14
_HOUR_NS = 3_600 * 10**9


def dump_of(path: Path) -> Dump | None:
    """Return what a file's name tells of a dump, or None where it is none of these."""
    match = _NAME.match(path.name)
    if match is None:
        return None
    kind = match["kind"]
    if kind in set(DumpKind):
        return Dump(path, match["symbol"], DumpKind(kind))
    return Dump(path, match["symbol"], DumpKind.KLINES, kind)


def import_dump(
    batch: Import,
    dump: Dump,
    market: Market | None,
    grid: Grid,
    on_bytes: OnBytes,
    chunk_bytes: int = CHUNK_BYTES,
) -> Dumped:
    """Import one dump, a chunk in memory at a time. Raises BadInput naming file and line."""
    if "_" in dump.symbol or "cm" in dump.path.parts:
        why = "is of a coin-margined or an expiring contract"
        raise NoMarketData(dump.path, why, "import spot or perpetuals of USD-M")
    _check_sum(dump.path)
    reader = DumpReader(dump, on_bytes, chunk_bytes)
    writing = _Writing(batch, dump, reader)
    for table in reader.tables():
        writing.add(table)
    return writing.close(market, grid)


def _check_sum(path: Path) -> None:
    """Compare a dump with the checksum that Binance gives beside it, where it is there."""
    beside = path.with_name(f"{path.name}.CHECKSUM")
    if not beside.is_file():
        return
    wanted = beside.read_text("ascii", "replace").split()[:1]
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if wanted != [found]:
        raise BadInput(
            f"{path} does not match its checksum in {beside.name}: pull or copy both again."
        )


class DumpReader:
    """The columns of one dump, chunk by chunk, with the market its form tells.

    ``line`` is the line of the file that the table just given begins with.
    """

    def __init__(
        self, dump: Dump, on_bytes: OnBytes = lambda _read: None, chunk_bytes: int = CHUNK_BYTES
    ) -> None:
        self.dump = dump
        self.line = 1
        self.has_header = False
        self.columns = 0
        self.micros = False
        self._on_bytes = on_bytes
        self._chunk_bytes = chunk_bytes

    def tables(self) -> Iterator[pa.Table]:
        """Yield the used columns. Raises BadInput where a row cannot be read."""
        path = self.dump.path
        try:
            with unpacked(path) as (file, raw):
                waiting: list[pa.RecordBatch] = []
                for batch in self._open(file):
                    waiting.append(batch)
                    if (rows := sum(each.num_rows for each in waiting)) >= MAX_ROW_GROUP:
                        yield pa.Table.from_batches(waiting)
                        self.line += rows
                        waiting.clear()
                    self._on_bytes(raw.tell())
                if rows := sum(each.num_rows for each in waiting):
                    yield pa.Table.from_batches(waiting)
                    self.line += rows
        except (pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
            reason = str(error).splitlines()[0].rstrip(".") if str(error) else "it is cut short"
            raise BadInput(
                f"{path}, after line {self.line - 1:,}: {reason}: check that it is a complete "
                f"{self.dump.kind} dump."
            ) from error

    def _open(self, file: io.BufferedReader) -> pa.csv.CSVStreamingReader:
        first = file.peek(4096)[:4096].split(b"\n", 1)[0].removeprefix(b"\xef\xbb\xbf").strip()
        if not first:
            raise BadInput(f"{self.dump.path} is empty: pull or copy it again.")
        self.has_header = not first[:1].isdigit()
        self.columns = first.count(b",") + 1
        self.line += self.has_header
        layouts = {layout.count(",") + 1: layout for layout in _COLUMNS[self.dump.kind]}
        if self.columns not in layouts:
            wanted = " or ".join(map(str, sorted(layouts)))
            raise BadInput(
                f"{self.dump.path} has {self.columns} columns, a {self.dump.kind} dump has "
                f"{wanted}: check what it is."
            )
        used = _USED[self.dump.kind]
        return pa.csv.open_csv(
            file,
            read_options=pa.csv.ReadOptions(
                block_size=self._chunk_bytes,
                column_names=layouts[self.columns].split(","),
                skip_rows=int(self.has_header),
                use_threads=False,
            ),
            convert_options=pa.csv.ConvertOptions(
                include_columns=list(used),
                column_types={name: _TYPES.get(name, RAW) for name in used},
                strings_can_be_null=False,
                true_values=["true", "True", "TRUE", "1"],
                false_values=["false", "False", "FALSE", "0"],
            ),
        )

    def market(self) -> Market | None:
        """Return the market that path, columns, header or times tell."""
        kind, parts = self.dump.kind, self.dump.path.parts
        folders = {market for name, market in _FOLDERS if name in parts}
        if len(folders) == 1:
            return folders.pop()
        if kind in (DumpKind.BOOK_TICKER, DumpKind.FUNDING):
            return Market.USDM
        if kind is not DumpKind.KLINES:
            widest = max(layout.count(",") + 1 for layout in _COLUMNS[kind])
            return Market.SPOT if self.columns == widest else Market.USDM
        if self.micros:
            return Market.SPOT
        return Market.USDM if self.has_header else None


def ns_of(values: Ints) -> Ints:
    """Return times of a dump as ns: microseconds on spot since 2025, else milliseconds."""
    return np.where(values >= _MICROS_FROM, values * 1_000, values * 1_000_000)


class _Writing:
    """One dump on its way into an import."""

    def __init__(self, batch: Import, dump: Dump, reader: DumpReader) -> None:
        self._batch = batch
        self._dump = dump
        self._reader = reader
        self._kind = _STREAMS[dump.kind]
        self._interval_ns = interval_ns_of(dump) if dump.kind is DumpKind.KLINES else 0
        self._writer: StreamWriter = batch.open(self._kind, dump.symbol)
        self._price_decimals = 0
        self._size_decimals = 0
        self._last_ns = 0
        self._moved = 0
        self._dropped = 0

    def add(self, table: pa.Table) -> None:
        """Write one chunk."""
        build = _BUILD[self._dump.kind]
        self._writer.append(self._only_priced(build(self, table.combine_chunks())))

    def _only_priced(self, rows: pa.Table) -> pa.Table:
        """Drop rows without a price: a side of the book that was empty, or a wrong row."""
        good = None
        for name in _PRICED & set(rows.column_names):
            zero = pa.scalar(0, pa.int64()).cast(RAW)
            above = pc.greater(rows.column(name), zero)
            good = above if good is None else pc.and_(good, above)
        kept = rows if good is None else rows.filter(good)
        self._dropped += rows.num_rows - kept.num_rows
        return kept

    def close(self, market: Market | None, grid: Grid) -> Dumped:
        """Find market and instrument and finish the file."""
        dump, notes = self._dump, []
        if market is None:
            market = self._reader.market()
            if market is None:
                raise BadInput(
                    f"{dump.path}: nothing in it tells spot from USD-M: give --market spot or "
                    "--market usdm."
                )
            notes.append(f"market {market} told by its form")
        instrument_id = instrument_id_of(dump.symbol, market)
        if dump.kind is DumpKind.FUNDING:
            self._refuse_unknown(instrument_id, grid)
        is_bars = self._kind is StreamKind.BARS
        needs = Needs(
            self._price_decimals, self._size_decimals, size_is_volume=is_bars, is_exact=True
        )
        instrument, told = resolve(self._batch, instrument_id, grid, needs, str(dump.path))
        notes += told
        writer = self._writer
        decimals = size_precision(instrument)
        if is_bars and self._size_decimals > decimals:
            writer = self._batch.rewrite(writer, lambda table: _rounded_volume(table, decimals))
            notes.append(f"volumes rounded to {decimals} decimals")
        writer.topic = self._topic(instrument_id)
        result = writer.close(instrument, dump.path.name)
        if result is None:
            raise BadInput(f"{dump.path} holds no rows: pull or copy it again.")
        if self._moved:
            notes.append(f"{self._moved:,} rows stamped before the one above, moved up to it")
        if self._dropped:
            notes.append(f"{self._dropped:,} rows without a price above 0 dropped")
        return Dumped(result.rows, notes)

    def _refuse_unknown(self, instrument_id: InstrumentId, grid: Grid) -> None:
        """Refuse an unknown instrument: funding rates tell no decimals of prices and sizes."""
        known = self._batch.instrument(instrument_id) or self._dump.symbol in binance.USDM_STEPS
        if not known and (grid.tick is None or grid.step is None):
            raise BadInput(
                f"{self._dump.path}: funding rates do not tell the steps of {instrument_id}: "
                "import its klines or trades first or together, or give --tick and --step."
            )

    def _topic(self, instrument_id: InstrumentId) -> str:
        if self._kind is StreamKind.BARS:
            return str(bar_type(instrument_id, self._interval_ns))
        return str(instrument_id)

    def _stamps(self, venue: Ints) -> tuple[pa.Array, pa.Array]:
        """Return the venue's times, and the same made to never go back."""
        forward = np.maximum.accumulate(np.maximum(venue, self._last_ns))
        self._last_ns = int(forward[-1])
        self._moved += int((forward != venue).sum())
        return times(venue), times(forward)

    def _times(self, table: pa.Table, name: str) -> Ints:
        values: Ints = table.column(name).to_numpy()
        self._reader.micros |= bool((values >= _MICROS_FROM).any())
        return ns_of(values)

    def _needed(self, prices: list[pa.ChunkedArray], sizes: list[pa.ChunkedArray]) -> None:
        self._price_decimals = max(self._price_decimals, *map(decimals_needed, prices))
        self._size_decimals = max(self._size_decimals, *map(decimals_needed, sizes))

    def trades(self, table: pa.Table) -> pa.Table:
        """Build trades; the seller was the aggressor where the buyer was the maker."""
        price, size = table.column("price"), table.column("qty")
        self._needed([price], [size])
        sold = table.column("maker").to_numpy().astype(np.int64)
        return pa.Table.from_arrays(
            [
                price,
                size,
                labels(sold, ("BUY", "SELL")),
                table.column("id").cast(pa.string()),
                *self._stamps(self._times(table, "time")),
            ],
            schema=SCHEMAS[StreamKind.TRADES],
        )

    def quotes(self, table: pa.Table) -> pa.Table:
        """Build quotes."""
        columns = [table.column(name) for name in ("bid", "ask", "bid_qty", "ask_qty")]
        self._needed(columns[:2], columns[2:])
        stamps = self._stamps(self._times(table, "time"))
        return pa.Table.from_arrays([*columns, *stamps], schema=SCHEMAS[StreamKind.QUOTES])

    def bars(self, table: pa.Table) -> pa.Table:
        """Build bars stamped at their close."""
        columns = [table.column(name) for name in ("open", "high", "low", "close", "volume")]
        self._needed(columns[:4], columns[4:])
        self._refuse_untraded(table)
        opens, closes = self._times(table, "open_time"), self._times(table, "close_time")
        unit = 1_000 if self._reader.micros else 1_000_000
        wrong = np.flatnonzero(closes + unit != opens + self._interval_ns)
        if len(wrong):
            line = self._reader.line + int(wrong[0])
            raise BadInput(
                f"{self._dump.path}, line {line:,}: the candle does not last its interval of "
                f"{self._dump.interval}: it is unfinished, or of another interval."
            )
        if (np.diff(opens, prepend=self._last_ns - self._interval_ns) <= 0).any():
            raise BadInput(f"{self._dump.path}: candles repeat or go back in time: pull it again.")
        self._last_ns = int(opens[-1]) + self._interval_ns
        stamps = times(opens + self._interval_ns)
        return pa.Table.from_arrays([*columns, stamps, stamps], schema=SCHEMAS[StreamKind.BARS])

    def _refuse_untraded(self, table: pa.Table) -> None:
        """Refuse candles of mark, index or premium prices, which have the names of candles.

        They count their seconds where candles of trades count trades, and have no volume.
        """
        volume = table.column("volume")
        empty = pc.equal(volume, pa.scalar(0, pa.int64()).cast(RAW)).to_numpy()
        if len(empty) and (empty & (table.column("count").to_numpy() > 0)).all():
            why = "holds candles without volume that count seconds, of mark or index prices"
            raise NoMarketData(self._dump.path, why, "import the candles of its trades")

    def funding(self, table: pa.Table) -> pa.Table:
        """Build funding rates; the next one is due an interval after."""
        stamps = self._times(table, "time")
        hours: Ints = table.column("hours").to_numpy()
        identifier = str(instrument_id_of(self._dump.symbol, Market.USDM))
        return pa.Table.from_arrays(
            [
                table.column("rate"),
                pa.array((hours * 60).astype(np.uint64)),
                times(stamps + hours * _HOUR_NS),
                *self._stamps(stamps),
                pa.array([identifier] * len(stamps), pa.string()),
            ],
            schema=SCHEMAS[StreamKind.FUNDING],
        )


_BUILD: dict[DumpKind, Callable[[_Writing, pa.Table], pa.Table]] = {
    DumpKind.KLINES: _Writing.bars,
    DumpKind.TRADES: _Writing.trades,
    DumpKind.AGG_TRADES: _Writing.trades,
    DumpKind.BOOK_TICKER: _Writing.quotes,
    DumpKind.FUNDING: _Writing.funding,
}


def interval_ns_of(dump: Dump) -> int:
    """Return a kline's interval in ns. Raises BadInput where it has no fixed length."""
    if dump.interval.endswith("mo"):
        raise BadInput(f"{dump.path}: candles of a month have no fixed length: take 1d instead.")
    return parse_interval(dump.interval)


def _rounded_volume(table: pa.Table, decimals: int) -> pa.Table:
    place = table.schema.get_field_index("volume")
    column, _ = rounded(table.column(place), decimals)
    return table.set_column(place, table.schema.field(place), column)
