"""What the first lines of a text table tell: its encoding, its delimiter, its columns, its rows.

Rule: columns are named by a header, wherever the usual tools write it; a table without one is read
only in the usual orders of 6, 7 or 12 columns, and what its columns were taken for is told.
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from strategies.errors import BadInput

HEAD_BYTES = 65_536
DELIMITERS = ",;\t|"
_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_LOOKED_AT = 8
_LEAST_COLUMNS = 4
_VALUE = re.compile(r"[-+]?[\d.,:/ TZ-]*\d[\d.,:/ TZ-]*(?:[eE][-+]?\d+|[-+]\d\d:?\d\d|[KMB%])?")
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")
_PRICES = ("open", "high", "low", "close", "volume")
_ORDERS = {
    6: ("time", *_PRICES),
    7: ("time", *_PRICES, "count"),
    12: (*("open_time", *_PRICES, "close_time"), "quote", "count", "taker", "taker_quote", "_"),
}
_META_LABELS = ("ticker", "date", "datetime", "")


@dataclass(frozen=True, slots=True)
class TableHead:
    """How a text table begins; ``skip`` lines come before its first row of values.

    ``note`` tells what a table without a header was taken for.
    """

    encoding: str
    delimiter: str
    names: tuple[str, ...]
    skip: int
    note: str = ""


def read_head(head: bytes, path: Path) -> TableHead:
    """Read the first bytes of a text table. Raises BadInput where it is no text."""
    encoding = text_encoding(head, path)
    lines = head.decode(encoding, "ignore").removeprefix("\ufeff").splitlines()[: _LOOKED_AT + 1]
    first = _first_of_table(lines)
    header = lines[first] if lines else ""
    delimiter = max(DELIMITERS, key=header.count)
    names = column_names(header, delimiter)
    if _is_row(names):
        return _without_header(names, encoding, delimiter, first)
    names, more = _with_tickers(names, [_cells(line, delimiter) for line in lines[first + 1 :]])
    return TableHead(encoding, delimiter, tuple(names), first + 1 + more)


def column_names(header: str, delimiter: str) -> list[str]:
    """Return the names in the first line of a text table."""
    names: list[str] = pa.csv.open_csv(
        io.BytesIO(header.encode() + b"\n"),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter),
    ).schema.names
    return names


def text_encoding(text: bytes, path: Path) -> str:
    """Return the encoding a text is in: UTF-8 or -16, or CP949 as Korean brokers write."""
    for mark, encoding in _MARKS:
        if text.startswith(mark):
            return encoding
    for encoding in ("utf-8", "cp949"):
        try:
            text.decode(encoding)
        except UnicodeDecodeError as error:
            if error.start < len(text) - 3 or error.reason != "unexpected end of data":
                continue  # else the last letter is cut by the end of what was read
        return encoding
    raise BadInput(f"{path} is neither UTF-8 nor CP949 text: save it as UTF-8.")


def _first_of_table(lines: list[str]) -> int:
    """Return the line that the table begins with: what comes before is an address or a remark."""
    for place, line in enumerate(lines[:-1]):
        following = lines[place + 1]
        widest = max(following.count(each) for each in DELIMITERS)
        is_remark = line.startswith(("#", "//", "sep=")) or (
            line.strip() != "" and not any(each in line for each in DELIMITERS)
        )
        if not (is_remark and widest >= _LEAST_COLUMNS):
            return place
    return 0


def _is_row(cells: list[str]) -> bool:
    return len(cells) in _ORDERS and all(_VALUE.fullmatch(cell.strip()) for cell in cells)


def _without_header(cells: list[str], encoding: str, delimiter: str, first: int) -> TableHead:
    names = _ORDERS[len(cells)]
    if len(cells) == len(_ORDERS[7]) and _CLOCK.fullmatch(cells[1].strip()):
        names = ("date", "time", *_PRICES)
    shown = ", ".join(names[:7])
    note = f"no header: its columns taken as {shown}"
    return TableHead(encoding, delimiter, names, first, note)


def _with_tickers(names: list[str], rows: list[list[str]]) -> tuple[list[str], int]:
    """Merge the lines of several headers, as tables with tickers above their columns have them.

    The second line names one ticker for all columns, the third the time.
    """
    if len(rows) < 2 or names[0].strip().lower() not in ("price", "ticker", ""):
        return names, 0
    below = [
        row
        for row in rows[:2]
        if row and row[0].strip().lower() in _META_LABELS and not _has_number(row[1:])
    ]
    if len(below) != 2 or rows[1][0].strip().lower() not in ("date", "datetime"):
        return names, 0
    return ["Date", *names[1:]], 2


def _has_number(cells: list[str]) -> bool:
    return any(_VALUE.fullmatch(cell.strip()) for cell in cells)


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(delimiter)]
