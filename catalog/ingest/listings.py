"""Reads listings of a whole market, one day a file, as an opening print and a daily bar per code.

Rule: the day is in the file's name; all listings of one import are put together first, so that a
code's days lie in one file. A code that was not traded on a day has a gap there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model import InstrumentId

from catalog.ingest.bars import SEOUL_NS, SessionsOf, write_krx_days
from catalog.ingest.candles import DAY_NS, clean
from catalog.ingest.instruments import Grid
from catalog.ingest.mapping import NAMES, plain
from catalog.ingest.tables import PRICES, Sheet, flat, numbers_of, read_first_names, read_table
from catalog.store import Import
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.sessions import SessionCalendar

CODE_NAMES = ("code", "종목코드", "단축코드", "shortcode", "symbol", "ticker")
_DAY = re.compile(r"(?<!\d)(\d{4})[-_.]?(\d\d)[-_.]?(\d\d)(?!\d)")
_CODE = r"^[0-9A-Z]{6}$"


@dataclass(frozen=True, slots=True)
class Listed:
    """What the listings of one import became."""

    rows: int
    codes: int
    notes: tuple[str, ...]


def is_listing(path: Path) -> bool:
    """Say whether a file has a code a row and its day in its name."""
    names = {plain(name) for name in read_first_names(path)}
    has_time = bool(names & set(NAMES["time"]))
    return bool(names & set(CODE_NAMES)) and not has_time and "open" in _meanings(names)


def import_listings(
    batch: Import, paths: Sequence[Path], grid: Grid, sessions_of: SessionsOf | None
) -> Listed:
    """Import listings together. Raises BadInput naming the file and line of what is wrong."""
    parts = [read_listing(path) for path in paths]
    codes = np.concatenate([part.codes for part in parts])
    order = np.argsort(codes, kind="stable")
    whole = Sheet(
        parts[0].sheet.path,
        np.concatenate([part.sheet.time_ns for part in parts])[order],
        {
            name: pa.concat_arrays([part.sheet.columns[name] for part in parts]).take(
                pa.array(order)
            )
            for name in (*PRICES, "volume")
        },
        np.concatenate([part.sheet.line for part in parts])[order],
        "line",
        close_stamped=False,
        zone_given=True,
    )
    codes = codes[order]
    starts = [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist(), len(codes)]
    hours = _hours(whole, sessions_of)
    rows, halted, written = 0, 0, 0
    for i, start in enumerate(starts[:-1]):
        sheet = _part(whole, start, starts[i + 1])
        traded = _traded(sheet)
        halted += int((~traded).sum())
        if traded.any():
            sheet.take(np.flatnonzero(traded))
            clean(sheet)
            instrument_id = InstrumentId.from_str(f"{codes[start]}.{krx.VENUE}")
            rows += write_krx_days(batch, sheet, instrument_id, grid, hours).rows
            written += 1
    notes = [f"{written:,} codes on {len(paths):,} days"]
    if halted:
        notes.append(f"{halted:,} rows without a trade dropped, as on halted days")
    return Listed(rows, written, tuple(notes))


@dataclass(frozen=True, slots=True)
class ListedDay:
    """One listing: a sheet whose rows are codes of one day."""

    sheet: Sheet
    codes: np.ndarray[tuple[int], np.dtype[np.str_]]


def read_listing(path: Path) -> ListedDay:
    """Read one listing. Raises BadInput naming the file and line of what is wrong."""
    table, unit, first_line = read_table(path)
    line = np.arange(table.num_rows, dtype=np.int64) + first_line
    named = {plain(name): name for name in table.column_names}
    code = next(named[name] for name in CODE_NAMES if name in named)
    meanings = _meanings(set(named))
    missing = [name for name in (*PRICES, "volume") if name not in meanings]
    if missing:
        raise BadInput(f"{path}: no column means {', '.join(missing)}: a listing needs them.")
    codes = flat(table, code)
    wrong = ~pc.match_substring_regex(codes, _CODE).to_numpy(zero_copy_only=False)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise BadInput(
            f"{path}, {unit} {line[row]}: {codes[row].as_py()!r} is no KRX share code: six digits "
            "or capital letters."
        )
    columns = {
        name: numbers_of(
            flat(table, named[meanings[name]]), named[meanings[name]], path, unit, line
        )
        for name in (*PRICES, "volume")
    }
    midnight = np.full(table.num_rows, _midnight_ns(path), np.int64)
    sheet = Sheet(path, midnight, columns, line, unit, close_stamped=False, zone_given=True)
    return ListedDay(sheet, np.array(codes.to_pylist()))


def _meanings(names: set[str]) -> dict[str, str]:
    return {
        meaning: name
        for meaning, known in NAMES.items()
        for name in known
        if name in names and meaning != "time"
    }


def _midnight_ns(path: Path) -> int:
    match = _DAY.search(path.name)
    try:
        day = date(*map(int, match.groups())) if match else None
    except ValueError:
        day = None
    if day is None:
        raise BadInput(
            f"{path}: its name does not tell the day: name it like listing_2026-03-09.csv."
        )
    return (day - date(1970, 1, 1)).days * DAY_NS - SEOUL_NS


def _hours(sheet: Sheet, sessions_of: SessionsOf | None) -> SessionsOf | None:
    """Ask for the calendar once, not once a code."""
    if sessions_of is None:
        return None
    calendar = sessions_of(krx.VENUE, int(sheet.time_ns.min()), int(sheet.time_ns.max()) + DAY_NS)

    def same(_venue: str, _start_ns: int, _end_ns: int) -> SessionCalendar:
        return calendar

    return same


def _part(sheet: Sheet, start: int, end: int) -> Sheet:
    columns = {name: column.slice(start, end - start) for name, column in sheet.columns.items()}
    rows = slice(start, end)
    return Sheet(
        sheet.path,
        sheet.time_ns[rows],
        columns,
        sheet.line[rows],
        sheet.unit,
        close_stamped=False,
        zone_given=True,
    )


def _traded(sheet: Sheet) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    volume = sheet.columns["volume"]
    zero = pa.scalar(0, pa.int64()).cast(volume.type)
    traded = pc.fill_null(pc.greater(volume, zero), fill_value=False)
    return np.asarray(traded.to_numpy(zero_copy_only=False), np.bool_)
