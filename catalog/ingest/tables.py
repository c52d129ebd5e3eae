"""Reads OHLCV tables (CSV, Feather, Parquet) as exact columns with the line each row came from.

Rule: nothing is judged here but the form; a cell that is no number or no time is an error with its
line, an empty cell is a null. Bars, sessions and markets are unknown.
"""

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from catalog.columns import Ints, from_floats, from_text
from catalog.ingest.mapping import CLOSE_TIMES, map_columns, plain
from catalog.ingest.table_cells import check_is_time, symbol_in, with_joined_clock, with_points
from catalog.ingest.table_heads import HEAD_BYTES, TableHead, read_head, text_encoding
from catalog.ingest.table_times import TimeColumn
from catalog.unpacked import unpacked
from strategies.errors import BadInput

PRICES = ("open", "high", "low", "close")
SUFFIXES = (".csv", ".txt", ".tsv", ".feather", ".arrow", ".parquet")

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_POWERS = {"K": 3, "M": 6, "B": 9}
_NO_VALUE = ("", "-", ".", "nan", "NaN", "null", "None", "N/A")


@dataclass(slots=True)
class Sheet:
    """An OHLCV table as read: UTC ns, engine raws with nulls, and the source line of each row.

    ``symbol`` is what a column of symbols tells, empty where there is none.
    """

    path: Path
    time_ns: Ints
    columns: dict[str, pa.Array]
    line: Ints
    unit: str
    close_stamped: bool
    zone_given: bool
    symbol: str = ""
    notes: tuple[str, ...] = ()

    def where(self, row: int) -> str:
        """Name the place of a row for people."""
        return f"{self.path}, {self.unit} {self.line[row]}"

    def take(self, rows: Ints) -> None:
        """Keep these rows, in this order."""
        self.time_ns = self.time_ns[rows]
        self.line = self.line[rows]
        index = pa.array(rows)
        self.columns = {name: column.take(index) for name, column in self.columns.items()}


def read_sheet(path: Path, timezone: str) -> Sheet:
    """Read one table; times without a zone are in ``timezone``. Raises BadInput."""
    table, unit, first_line = read_table(path)
    if table.num_rows == 0:
        raise BadInput(f"{path} holds no rows: give a table with at least two.")
    line = np.arange(table.num_rows, dtype=np.int64) + first_line
    return sheet_of(path, table, unit, line, timezone)


def sheet_of(path: Path, table: pa.Table, unit: str, line: Ints, timezone: str) -> Sheet:
    """Read the rows of a table, or of a part of one; ``line`` numbers them. Raises BadInput."""
    table = with_joined_clock(table)
    names = map_columns(table.column_names, path)
    time = flat(table, names["time"])
    check_is_time(time, names["time"], path)
    times, zone_given = TimeColumn(path, unit, line, timezone).read(time)
    told = table.schema.metadata or {}
    cells = {meaning: flat(table, names[meaning]) for meaning in (*PRICES, "volume")}
    cells, notes = with_points(cells, path, told.get(b"delimiter", b"").decode())
    if note := told.get(b"note"):
        notes.insert(0, note.decode())
    numbers = {
        meaning: numbers_of(column, names[meaning], path, unit, line)
        for meaning, column in cells.items()
    }
    close_stamped = plain(names["time"]) in CLOSE_TIMES
    symbol = symbol_in(table, path)
    return Sheet(path, times, numbers, line, unit, close_stamped, zone_given, symbol, tuple(notes))


def read_first_names(path: Path) -> list[str]:
    """Return the names of a table's columns; none where it is no table."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    try:
        if suffixes[-1:] == [".parquet"]:
            return list(pa.parquet.read_schema(path).names)
        if suffixes[-1:] in ([".feather"], [".arrow"]):
            with pa.memory_map(str(path)) as mapped:
                return list(pa.ipc.open_file(mapped).schema.names)
        with unpacked(path) as (file, _):
            head = file.read(HEAD_BYTES)
        names = list(read_head(head, path).names)
    except (pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile, BadInput):
        return []
    return [] if any("\0" in name for name in names) else names


def read_table(path: Path) -> tuple[pa.Table, str, int]:
    """Return a table as text or typed columns, what its rows are called, and the first's number."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    try:
        if suffixes[-1:] in ([".feather"], [".arrow"]):
            return pa.feather.read_table(path), "row", 1
        if suffixes[-1:] == [".parquet"]:
            return pa.parquet.read_table(path), "row", 1
        table = _read_csv(path, _plain_bytes(path))
    except (pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise BadInput(f"{path} cannot be read ({reason}): check that it is complete.") from error
    return table, "line", int(table.schema.metadata[b"skip"]) + 1


def _plain_bytes(path: Path) -> bytes:
    if path.suffix.lower() == ".gz":
        return gzip.decompress(path.read_bytes())
    if path.suffix.lower() != ".zip":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise BadInput(f"{path} holds {len(names)} files: unpack it and import the tables.")
        return archive.read(names[0])


def _read_csv(path: Path, content: bytes) -> pa.Table:
    head = read_head(content[:HEAD_BYTES], path)
    if head.encoding != "utf-8":
        content = content.decode(text_encoding(content, path)).encode()
    content = content.removeprefix(b"\xef\xbb\xbf")
    bad: list[str] = []

    def refuse(row: pa.csv.InvalidRow) -> str:
        bad.append(
            f"line {row.number} has {row.actual_columns} columns, not {row.expected_columns}"
        )
        return "skip"

    table = pa.csv.read_csv(
        io.BytesIO(content),
        read_options=pa.csv.ReadOptions(
            use_threads=False, skip_rows=head.skip, column_names=list(head.names)
        ),
        parse_options=pa.csv.ParseOptions(
            delimiter=head.delimiter, invalid_row_handler=refuse, ignore_empty_lines=False
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(head.names, pa.string()), strings_can_be_null=False
        ),
    )
    if bad:
        raise BadInput(f"{path}: {bad[0]} ({len(bad)} such lines): correct or remove them.")
    return told_by(table, head)


def told_by(table: pa.Table, head: TableHead) -> pa.Table:
    """Keep with a table what its head told of it."""
    return table.replace_schema_metadata(
        {"delimiter": head.delimiter, "note": head.note, "skip": str(head.skip)}
    )


def flat(table: pa.Table, name: str) -> pa.Array:
    """Return a column in one piece."""
    column = table.column(name).combine_chunks()
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def numbers_of(column: pa.Array, name: str, path: Path, unit: str, line: Ints) -> pa.Array:
    """Return engine raws; empty cells and NaN become null."""
    if pa.types.is_float32(column.type) or pa.types.is_float16(column.type):
        column = column.cast(pa.string())  # the shortest text that means it; wider adds noise
    if pa.types.is_floating(column.type):
        filled = column.cast(pa.float64())
        good = pc.is_finite(pc.fill_null(filled, float("nan")))
        return pc.if_else(good, from_floats(pc.if_else(good, filled, 0.0)), None)
    if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
        return pc.if_else(pc.is_valid(column), column.fill_null(0).cast(pa.string()), None).cast(
            pa.decimal128(38, 16)
        )
    text = pc.utf8_trim_whitespace(column)
    if pc.any(pc.match_substring(text, ",")).as_py():
        text = pc.replace_substring(text, ",", "")
    empty = pc.fill_null(pc.is_in(text, pa.array(_NO_VALUE)), fill_value=True)
    text = pc.if_else(empty, "0", text)
    for letter, power in _POWERS.items():
        text = pc.replace_substring_regex(text, f"(?i)([0-9.]){letter}$", rf"\1e{power}")
    wrong = np.flatnonzero(~pc.match_substring_regex(text, _NUMBER).to_numpy(zero_copy_only=False))
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(
            f"{path}, {unit} {line[row]}: {name} is {column[row].as_py()!r}, not a number "
            f"({len(wrong)} such cells): correct the cell or remove the row."
        )
    return pc.if_else(empty, None, from_text(text))
