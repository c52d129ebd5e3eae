"""Imports OHLCV tables that are too large to hold: a chunk in memory at a time.

Rule: the same as for small tables, with one condition more: rows are in order of time, because a
sort would need them all.
"""

import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from nautilus_trader.model import InstrumentId

from catalog.columns import decimals_needed, rounded, times
from catalog.ingest.bars import VOLUME_DECIMALS, Written, needed_decimals, round_prices, sheet_bars
from catalog.ingest.candles import (
    Stamp,
    bar_type,
    clean,
    close_stamped,
    infer_interval,
    interval_text,
)
from catalog.ingest.instruments import Grid, Needs, resolve
from catalog.ingest.table_cells import check_symbol
from catalog.ingest.table_heads import HEAD_BYTES, read_head
from catalog.ingest.tables import PRICES, Sheet, sheet_of, told_by
from catalog.store import Import, StreamWriter, size_precision
from catalog.unpacked import unpacked
from strategies.errors import BadInput
from strategies.ports import StreamKind

type OnBytes = Callable[[int], None]

LARGE_BYTES = 64 << 20
"""Tables from this size on are read in chunks; packed ones from an eighth of it."""

CHUNK_BYTES = 1 << 22
CHUNK_ROWS = 65_536
_NUMBERS = re.compile(r"\d[\d,]*(, \d[\d,]*)*(, \.\.\.)?")


def is_large(path: Path) -> bool:
    """Say whether a table should be read in chunks."""
    packed = path.suffix.lower() in (".gz", ".zip", ".feather", ".parquet")
    return path.stat().st_size * (8 if packed else 1) >= LARGE_BYTES


def import_large(
    batch: Import,
    path: Path,
    instrument_id: InstrumentId,
    zone: str,
    grid: Grid,
    interval_ns: int | None,
    stamp: Stamp | None,
    on_bytes: OnBytes,
    chunk_bytes: int = CHUNK_BYTES,
) -> Written:
    """Import one table as bars. Raises BadInput naming file and line."""
    writing = _Writing(batch, path, grid, interval_ns, stamp)
    is_empty = True
    for sheet in sheets_of(path, zone, on_bytes, chunk_bytes):
        is_empty = False
        check_symbol(sheet.symbol, instrument_id, path)
        writing.add(sheet)
    if is_empty:
        raise BadInput(f"{path} holds no rows: give a table with at least two.")
    return writing.close(instrument_id, zone)


class _Writing:
    """One table on its way into an import."""

    def __init__(
        self,
        batch: Import,
        path: Path,
        grid: Grid,
        interval_ns: int | None,
        stamp: Stamp | None,
    ) -> None:
        self._batch = batch
        self._path = path
        self._grid = grid
        self._interval_ns = interval_ns
        self._stamp = stamp
        self._writer: StreamWriter = batch.open(StreamKind.BARS, path.name)
        self._notes: dict[str, tuple[str, int]] = {}
        self._price = self._volume = 0
        self._above: Sheet | None = None
        self._zone_given = True

    def add(self, sheet: Sheet) -> None:
        """Judge and write one chunk; the row above it is taken along to be compared."""
        above = self._above
        self._zone_given = sheet.zone_given
        if above is not None:
            sheet = joined(above, sheet)
        notes = [*sheet.notes, *clean(sheet)]
        if above is not None and int(sheet.time_ns[0]) < int(above.time_ns[0]):
            raise BadInput(
                f"{sheet.where(0)}: this row is earlier than rows far above it, and the file is "
                "too large to be sorted here: sort it by time first."
            )
        self._above = last_row(sheet)
        if self._interval_ns is None:
            self._interval_ns = infer_interval(sheet)
            notes.append(f"interval {interval_text(self._interval_ns)} inferred")
        if above is not None:
            sheet.take(np.arange(1, len(sheet.time_ns)))
        notes += round_prices(sheet, self._grid)
        if len(sheet.time_ns):
            candles = close_stamped(sheet, self._interval_ns, self._stamp)
            self._write(candles.sheet, times(candles.ts_ns))
            notes += candles.notes
        self._note(notes)

    def close(self, instrument_id: InstrumentId, zone: str) -> Written:
        """Find the instrument and finish the file."""
        needs = Needs(self._price, self._volume, size_is_volume=True)
        instrument, told = resolve(self._batch, instrument_id, self._grid, needs, str(self._path))
        decimals = size_precision(instrument)
        writer = self._writer
        if self._volume > decimals:
            writer = self._batch.rewrite(writer, lambda table: _coarser(table, decimals))
            told = [*told, f"volumes rounded to {decimals} decimals"]
        kind = bar_type(instrument_id, self._interval_ns or 0)
        writer.topic = str(kind)
        result = writer.close(instrument, self._path.name)
        if not self._zone_given:
            told = [f"times taken as {zone}", *told]
        notes = [
            f"{note}; likewise in {count - 1:,} more chunks"
            if count > 1 and "row" in note
            else note
            for note, count in self._notes.values()
        ]
        return Written((str(kind),), result.rows if result else 0, (*told, *notes))

    def _write(self, sheet: Sheet, stamps: pa.Array) -> None:
        self._price = max(self._price, *(needed_decimals(sheet, name) for name in PRICES))
        sheet.columns["volume"], _ = rounded(sheet.columns["volume"], VOLUME_DECIMALS)
        self._volume = max(self._volume, decimals_needed(sheet.columns["volume"]))
        self._writer.append(sheet_bars(sheet, stamps))

    def _note(self, notes: list[str]) -> None:
        for note in notes:
            first, count = self._notes.get(_NUMBERS.sub("0", note), (note, 0))
            self._notes[_NUMBERS.sub("0", note)] = first, count + 1


def _coarser(table: pa.Table, decimals: int) -> pa.Table:
    place = table.schema.get_field_index("volume")
    column, _ = rounded(table.column(place), decimals)
    return table.set_column(place, table.schema.field(place), column)


def last_row(sheet: Sheet) -> Sheet:
    """Return the last row of a chunk, to be compared with the next."""
    last = len(sheet.time_ns) - 1
    columns = {name: column[last:] for name, column in sheet.columns.items()}
    rows = slice(last, last + 1)
    return Sheet(
        sheet.path,
        sheet.time_ns[rows].copy(),
        columns,
        sheet.line[rows].copy(),
        sheet.unit,
        sheet.close_stamped,
        sheet.zone_given,
    )


def joined(above: Sheet, sheet: Sheet) -> Sheet:
    """Return the rows of two parts of one table, one after the other."""
    return Sheet(
        sheet.path,
        np.concatenate([above.time_ns, sheet.time_ns]),
        {
            name: pa.concat_arrays([above.columns[name], column])
            for name, column in sheet.columns.items()
        },
        np.concatenate([above.line, sheet.line]),
        sheet.unit,
        sheet.close_stamped,
        sheet.zone_given,
    )


def sheets_of(
    path: Path, zone: str, on_bytes: OnBytes = lambda _read: None, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[Sheet]:
    """Yield a table as sheets, a chunk each. Raises BadInput naming file and line."""
    for table, first_line, unit in table_chunks(path, on_bytes, chunk_bytes):
        line = np.arange(table.num_rows, dtype=np.int64) + first_line
        yield sheet_of(path, table, unit, line, zone)


def table_chunks(
    path: Path, on_bytes: OnBytes, chunk_bytes: int
) -> Iterator[tuple[pa.Table, int, str]]:
    """Yield chunks with the number of their first row, and what rows are called."""
    try:
        if path.suffix.lower() == ".parquet":
            yield from _batches(pq.ParquetFile(path).iter_batches(CHUNK_ROWS))
        elif path.suffix.lower() in (".feather", ".arrow"):
            with pa.ipc.open_file(pa.memory_map(str(path))) as file:
                parts = (file.get_batch(i) for i in range(file.num_record_batches))
                yield from _batches(parts)
        else:
            with unpacked(path) as (file, raw):
                for table, first_line in _csv(path, file, chunk_bytes):
                    yield table, first_line, "line"
                    on_bytes(raw.tell())
    except (pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise BadInput(f"{path} cannot be read ({reason}): check that it is complete.") from error


def _csv(path: Path, file: io.BufferedReader, chunk_bytes: int) -> Iterator[tuple[pa.Table, int]]:
    head = read_head(file.peek(HEAD_BYTES)[:HEAD_BYTES], path)
    bad: list[str] = []

    def refuse(row: pa.csv.InvalidRow) -> str:
        bad.append(f"a row has {row.actual_columns} columns, not {row.expected_columns}")
        return "skip"

    reader = pa.csv.open_csv(
        file,
        read_options=pa.csv.ReadOptions(
            block_size=chunk_bytes,
            use_threads=False,
            encoding=head.encoding,
            skip_rows=head.skip,
            column_names=list(head.names),
        ),
        parse_options=pa.csv.ParseOptions(
            delimiter=head.delimiter, invalid_row_handler=refuse, ignore_empty_lines=False
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(head.names, pa.string()), strings_can_be_null=False
        ),
    )
    line = head.skip + 1
    for batch in reader:
        if bad:
            raise BadInput(f"{path}, after line {line - 1:,}: {bad[0]}: correct or remove it.")
        if batch.num_rows:
            yield told_by(pa.table(batch), head), line
        line += batch.num_rows


def _batches(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[pa.Table, int, str]]:
    first = 1
    for batch in batches:
        if batch.num_rows:
            yield pa.table(batch), first, "row"
        first += batch.num_rows
