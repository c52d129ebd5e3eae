"""Reads OHLCV tables (CSV, Feather, Parquet) as exact columns with the line each row came from.

Rule: nothing is judged here but the form; a cell that is no number or no time is an error with its
line, an empty cell is a null. Bars, sessions and markets are unknown.
"""

import gzip
import io
import re
import zipfile
import zlib
from collections.abc import Sequence
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
from catalog.unpacked import unpacked
from strategies.errors import BadInput

PRICES = ("open", "high", "low", "close")
SUFFIXES = (".csv", ".txt", ".tsv", ".feather", ".arrow", ".parquet")

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_NO_VALUE = ("", "-", ".", "nan", "NaN", "null", "None", "N/A")
_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
_EPOCH_SCALES = ((10**11, 10**9), (10**14, 10**6), (10**17, 1000))  # seconds, ms, us; else ns
_FORMATS = (
    *("%Y%m%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d%H%M%S", "%Y%m%d%H%M"),
    *("%Y/%m/%d %H:%M:%S", "%Y.%m.%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y-%m-%d %H:%M"),
)
_AMERICAN, _EUROPEAN = "%m/%d/%Y", "%d/%m/%Y"


@dataclass(slots=True)
class Sheet:
    """An OHLCV table as read: UTC ns, engine raws with nulls, and the source line of each row."""

    path: Path
    time_ns: Ints
    columns: dict[str, pa.Array]
    line: Ints
    unit: str
    close_stamped: bool
    zone_given: bool

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
    names = map_columns(table.column_names, path)
    times, zone_given = _Times(path, unit, line, timezone).read(flat(table, names["time"]))
    numbers = {
        meaning: numbers_of(flat(table, names[meaning]), names[meaning], path, unit, line)
        for meaning in (*PRICES, "volume")
    }
    close_stamped = plain(names["time"]) in CLOSE_TIMES
    return Sheet(path, times, numbers, line, unit, close_stamped, zone_given)


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
            head = file.readline(65_536).removeprefix(b"\xef\xbb\xbf")
        text = head.decode(text_encoding(head, path))
    except (pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile, BadInput):
        return []
    if "\0" in text:
        return []
    return [name.strip().strip('"') for name in text.split(max(",;\t", key=text.count))]


def read_times(column: pa.Array, path: Path, unit: str, line: Ints, timezone: str) -> Ints:
    """Return a time column of any usual form as UTC ns. Raises BadInput naming the line."""
    return _Times(path, unit, line, timezone).read(column)[0]


def read_table(path: Path) -> tuple[pa.Table, str, int]:
    """Return a table as text or typed columns, what its rows are called, and the first's number."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    try:
        if suffixes[-1:] in ([".feather"], [".arrow"]):
            return pa.feather.read_table(path), "row", 1
        if suffixes[-1:] == [".parquet"]:
            return pa.parquet.read_table(path), "row", 1
        return _read_csv(path, _plain_bytes(path)), "line", 2
    except (pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
        raise BadInput(f"{path} cannot be read ({reason}): check that it is complete.") from error


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
    content = _as_utf8(path, content)
    header = content.split(b"\n", 1)[0].decode()
    delimiter = max(",;\t", key=header.count)
    bad: list[str] = []

    def refuse(row: pa.csv.InvalidRow) -> str:
        bad.append(
            f"line {row.number} has {row.actual_columns} columns, not {row.expected_columns}"
        )
        return "skip"

    names = column_names(header, delimiter)
    table = pa.csv.read_csv(
        io.BytesIO(content),
        read_options=pa.csv.ReadOptions(use_threads=False),
        parse_options=pa.csv.ParseOptions(
            delimiter=delimiter, invalid_row_handler=refuse, ignore_empty_lines=False
        ),
        convert_options=pa.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
        ),
    )
    if bad:
        raise BadInput(f"{path}: {bad[0]} ({len(bad)} such lines): correct or remove them.")
    return table


def column_names(header: str, delimiter: str) -> list[str]:
    """Return the names in the first line of a text table."""
    names: list[str] = pa.csv.open_csv(
        io.BytesIO(header.encode() + b"\n"),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter),
    ).schema.names
    return names


def text_encoding(text: bytes, path: Path) -> str:
    """Return the encoding a text is in: UTF-8, or CP949 as Korean brokers write."""
    for encoding in ("utf-8", "cp949"):
        try:
            text.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    raise BadInput(f"{path} is neither UTF-8 nor CP949 text: save it as UTF-8.")


def _as_utf8(path: Path, content: bytes) -> bytes:
    content = content.removeprefix(b"\xef\xbb\xbf")
    encoding = text_encoding(content, path)
    return content if encoding == "utf-8" else content.decode(encoding).encode()


def flat(table: pa.Table, name: str) -> pa.Array:
    """Return a column in one piece."""
    column = table.column(name).combine_chunks()
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def numbers_of(column: pa.Array, name: str, path: Path, unit: str, line: Ints) -> pa.Array:
    """Return engine raws; empty cells and NaN become null."""
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
    wrong = np.flatnonzero(~pc.match_substring_regex(text, _NUMBER).to_numpy(zero_copy_only=False))
    if len(wrong):
        row = int(wrong[0])
        raise BadInput(
            f"{path}, {unit} {line[row]}: {name} is {column[row].as_py()!r}, not a number "
            f"({len(wrong)} such cells): correct the cell or remove the row."
        )
    return pc.if_else(empty, None, from_text(text))


@dataclass(frozen=True, slots=True)
class _Times:
    """Reads a time column of any usual form as UTC ns."""

    path: Path
    unit: str
    line: Ints
    timezone: str

    def read(self, column: pa.Array) -> tuple[Ints, bool]:
        """Return UTC ns and whether the column itself told the zone."""
        if column.null_count:
            row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            raise self._bad(row, column[row].as_py())
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            stamps = column.cast(pa.timestamp("ns", getattr(column.type, "tz", None)))
            return self._utc(stamps)
        if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
            column = column.cast(pa.int64()).cast(pa.string())
        return self._text(pc.utf8_trim_whitespace(column))

    def _text(self, text: pa.Array) -> tuple[Ints, bool]:
        first = text[0].as_py()
        if first.replace(".", "", 1).isdigit() and len(first.split(".")[0]) not in (8, 14):
            return self._epoch(text), True
        if _ZONE.search(first) and len(first) > 10:
            return self._utc(self._cast(text, pa.timestamp("ns", "UTC")))
        for form in _FORMATS:
            if (stamps := _strptime(text[:1], form)) is not None:
                stamps = _strptime(text, form)
                return self._utc(stamps if stamps is not None else self._row_by_row(text, form))
        if "/" in first:
            return self._utc(self._slashes(text))
        return self._utc(self._cast(text, pa.timestamp("ns")))

    def _epoch(self, text: pa.Array) -> Ints:
        try:
            raws = text.cast(pa.decimal128(38, 9))
        except pa.ArrowInvalid as error:
            row = _first_wrong(text, r"^\d+(\.\d{1,9})?$")
            raise self._bad(row, text[row].as_py()) from error
        biggest = int(pc.max(raws).as_py())
        scale = next((scale for limit, scale in _EPOCH_SCALES if biggest < limit), 1)
        if scale == 1:
            return np.asarray(raws.cast(pa.int64()).to_numpy(), np.int64)
        narrow = raws.cast(pa.decimal128(27, 9))
        nanos = pc.multiply(
            narrow,
            pa.scalar(scale, pa.int64()).cast(pa.decimal128(19, 0)).cast(pa.decimal128(10, 0)),
        )
        return np.asarray(nanos.cast(pa.int64(), safe=False).to_numpy(), np.int64)

    def _slashes(self, text: pa.Array) -> pa.Array:
        readings = [(form, _strptime(text, form)) for form in (_AMERICAN, _EUROPEAN)]
        fits = [stamps for _, stamps in readings if stamps is not None]
        if len(fits) == 2:
            raise BadInput(
                f"{self.path}: {text[0].as_py()!r} may be month/day or day/month and no row tells: "
                "write the dates as YYYY-MM-DD."
            )
        return fits[0] if fits else self._row_by_row(text, _AMERICAN)

    def _cast(self, text: pa.Array, kind: pa.DataType) -> pa.Array:
        try:
            return text.cast(kind)
        except pa.ArrowInvalid:
            return self._row_by_row(text, kind)

    def _row_by_row(self, text: pa.Array, form: str | pa.DataType) -> pa.Array:
        """Find the row that cannot be read; called once a column as a whole failed."""
        for row in range(len(text)):
            one = text[row : row + 1]
            try:
                stamp = _strptime(one, form) if isinstance(form, str) else one.cast(form)
            except pa.ArrowInvalid:
                stamp = None
            if stamp is None:
                raise self._bad(row, one[0].as_py())
        raise self._bad(0, text[0].as_py())

    def _utc(self, stamps: pa.Array) -> tuple[Ints, bool]:
        zone_given = stamps.type.tz is not None
        if not zone_given:
            try:
                stamps = pc.assume_timezone(stamps, self.timezone)
            except pa.ArrowInvalid as error:
                raise BadInput(
                    f"{self.path}: some times do not fit time zone {self.timezone} ({error}): "
                    "give another --timezone."
                ) from error
        return np.asarray(stamps.cast(pa.int64()).to_numpy(), np.int64), zone_given

    def _bad(self, row: int, value: object) -> BadInput:
        return BadInput(
            f"{self.path}, {self.unit} {self.line[row]}: {value!r} is no time: write "
            "2024-08-08 09:00:00, with a zone or without, or an epoch number."
        )


def _strptime(text: pa.Array, form: str) -> pa.Array | None:
    """Parse a column, or None where any row differs in form (strptime ignores what follows)."""
    shape = "".join(_SHAPES.get(part, re.escape(part)) for part in re.findall(r"%.|.", form))
    if not pc.all(pc.match_substring_regex(text, f"^{shape}$")).as_py():
        return None
    try:
        return pc.strptime(text, format=form, unit="s").cast(pa.timestamp("ns"))
    except pa.ArrowInvalid:
        return None


_SHAPES = {"%Y": r"\d{4}", "%m": r"\d{1,2}", "%d": r"\d{1,2}"} | dict.fromkeys(
    ("%H", "%M", "%S"), r"\d{2}"
)


def _first_wrong(text: pa.Array, pattern: str) -> int:
    wrong: Sequence[int] = np.flatnonzero(
        ~pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False)
    ).tolist()
    return wrong[0] if wrong else 0
