"""Turns a sheet into clean candles stamped at their close, and says everything it did.

Rule, per defect: a row without a price, or with a zero price, is dropped and noted (a halt is a
gap, never a flat bar); identical duplicates and rows off the interval's grid are dropped and
noted; rows out of order are sorted and noted; a missing volume counts as 0 and is noted. Two
different rows for one time, negative numbers, and a high or low that does not enclose the other
prices are errors with their line.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model import BarType, InstrumentId

from catalog.columns import Ints
from catalog.ingest.tables import PRICES, Sheet
from catalog.layout import RAW
from strategies.errors import BadInput

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS

_UNITS = {"s": SECOND_NS, "m": MINUTE_NS, "h": 60 * MINUTE_NS, "d": DAY_NS, "w": 7 * DAY_NS}
_STEPS = ((7 * DAY_NS, "WEEK"), (DAY_NS, "DAY"), (60 * MINUTE_NS, "HOUR"), (MINUTE_NS, "MINUTE"))
_FEW = 0.01
_SHOWN = 5


class Stamp(StrEnum):
    """What a table's times say of a candle."""

    OPEN = "open"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Candles:
    """Clean candles: ascending, unique, complete. ``ts_ns`` is the close."""

    sheet: Sheet
    interval_ns: int
    ts_ns: Ints
    notes: tuple[str, ...]


def clean(sheet: Sheet) -> list[str]:
    """Judge and order the rows of a sheet in place; return notes. Raises BadInput."""
    notes = [
        *_drop_missing(sheet),
        *_drop_zero(sheet),
        *_sort(sheet),
        *_drop_duplicates(sheet),
    ]
    _check_ranges(sheet)
    if len(sheet.time_ns) == 0:
        raise BadInput(f"{sheet.path} holds no usable row: {'; '.join(notes)}.")
    return notes


def clean_series(sheet: Sheet) -> list[str]:
    """Judge and order rows of values that may be 0 or negative, as a rate or a spread."""
    notes = [*_drop_missing(sheet), *_sort(sheet), *_drop_duplicates(sheet)]
    if len(sheet.time_ns) == 0:
        raise BadInput(f"{sheet.path} holds no usable row: {'; '.join(notes)}.")
    return notes


def close_stamped(sheet: Sheet, interval_ns: int | None, stamp: Stamp | None) -> Candles:
    """Give clean rows their close as time; an interval of None is inferred."""
    notes = []
    if interval_ns is None:
        interval_ns = infer_interval(sheet)
        notes.append(f"interval {interval_text(interval_ns)} inferred")
    notes += _drop_off_grid(sheet, interval_ns)
    stamp = stamp or (Stamp.CLOSE if sheet.close_stamped else Stamp.OPEN)
    if stamp is Stamp.CLOSE:
        short_ns = _short_of_minute(sheet.time_ns) if interval_ns >= MINUTE_NS else 0
        notes.append("times taken as the close" + (", and moved up to it" if short_ns else ""))
        return Candles(sheet, interval_ns, sheet.time_ns + short_ns, tuple(notes))
    text = interval_text(interval_ns)
    notes.append(f"times taken as the open and moved to the close (+{text})")
    return Candles(sheet, interval_ns, sheet.time_ns + interval_ns, tuple(notes))


def _short_of_minute(time_ns: Ints) -> int:
    """Return how far times lie before a full minute where all are one unit short of it."""
    for unit in (1, 1_000, 1_000_000, SECOND_NS):
        if ((time_ns + unit) % MINUTE_NS == 0).all():
            return unit
    return 0


def infer_interval(sheet: Sheet) -> int:
    """Return the most common difference between neighbouring times; days with gaps are days."""
    if len(sheet.time_ns) < 2:
        raise BadInput(f"{sheet.path} has one row only: give its interval, as in --interval 1d.")
    steps, counts = np.unique(np.diff(sheet.time_ns), return_counts=True)
    if len(steps) > 1 and (steps % DAY_NS == 0).all():
        return 7 * DAY_NS if (steps % (7 * DAY_NS) == 0).all() else DAY_NS
    return int(steps[np.argmax(counts)])


def parse_interval(text: str) -> int:
    """Return an interval like 1m, 5m, 4h or 1d in ns. Raises BadInput."""
    match = re.fullmatch(r"([1-9]\d*)([smhdw])", text)
    if match is None:
        raise BadInput(f"--interval {text!r} is no interval: write 30s, 1m, 5m, 4h, 1d or 1w.")
    return int(match[1]) * _UNITS[match[2]]


def interval_text(interval_ns: int) -> str:
    """Return an interval as people write it."""
    for letter, unit in reversed(_UNITS.items()):
        if interval_ns % unit == 0:
            return f"{interval_ns // unit}{letter}"
    return f"{interval_ns / SECOND_NS:g}s"


def bar_type(instrument_id: InstrumentId, interval_ns: int) -> BarType:
    """Return the engine's bar type of an interval. Raises BadInput where it has none."""
    unit_ns, unit = next(
        (pair for pair in _STEPS if interval_ns % pair[0] == 0), (SECOND_NS, "SECOND")
    )
    text = f"{instrument_id}-{interval_ns // unit_ns}-{unit}-LAST-EXTERNAL"
    try:
        return BarType.from_str(text)
    except ValueError as error:
        raise BadInput(
            f"an interval of {interval_text(interval_ns)} is none the engine knows: give "
            "--interval, as in --interval 5m."
        ) from error


def _drop_missing(sheet: Sheet) -> list[str]:
    notes = []
    volume = sheet.columns["volume"]
    if volume.null_count:
        notes.append(_told(sheet, _mask(volume.is_null()), "without a volume, taken as 0"))
        sheet.columns["volume"] = volume.fill_null(pa.scalar(0, pa.int64()).cast(RAW))
    missing = np.logical_or.reduce([_mask(sheet.columns[name].is_null()) for name in PRICES])
    return notes + _drop(sheet, missing, "without a price")


def _drop_zero(sheet: Sheet) -> list[str]:
    zero = np.logical_or.reduce([_mask(_compare(sheet.columns[name], "equal")) for name in PRICES])
    return _drop(sheet, zero, "with a price of 0, as on a halted day")


def _sort(sheet: Sheet) -> list[str]:
    back = np.flatnonzero(np.diff(sheet.time_ns) < 0) + 1
    if len(back) == 0:
        return []
    newest_first = bool(np.all(np.diff(sheet.time_ns) <= 0))
    marks = np.zeros(len(sheet.time_ns), np.bool_)
    marks[back] = True
    note = (
        "rows come newest first, reversed"
        if newest_first
        else _told(sheet, marks, "earlier than the row before, sorted")
    )
    sheet.take(np.argsort(sheet.time_ns, kind="stable"))
    return [note]


def _drop_duplicates(sheet: Sheet) -> list[str]:
    again = np.concatenate([[False], np.diff(sheet.time_ns) == 0])
    rows = np.flatnonzero(again)
    if len(rows) == 0:
        return []
    for name, column in sheet.columns.items():
        now, before = column.take(pa.array(rows)), column.take(pa.array(rows - 1))
        differs = np.flatnonzero(_mask(pc.not_equal(now, before)))
        if len(differs):
            row = int(rows[differs[0]])
            raise BadInput(
                f"{sheet.where(row)}: {name} is {_show(column, row)}, and {sheet.unit} "
                f"{sheet.line[row - 1]} has {_show(column, row - 1)} for the same time: remove "
                "the wrong one."
            )
    return _drop(sheet, again, "repeating the row before")


def _check_ranges(sheet: Sheet) -> None:
    columns = sheet.columns
    for name, column in columns.items():
        _refuse_any(sheet, _compare(column, "less"), f"{name} is negative")
    for name in ("open", "close", "low"):
        _refuse_any(sheet, pc.less(columns["high"], columns[name]), f"high is below {name}")
    for name in ("open", "close"):
        _refuse_any(sheet, pc.greater(columns["low"], columns[name]), f"low is above {name}")


def _drop_off_grid(sheet: Sheet, interval_ns: int) -> list[str]:
    if interval_ns >= DAY_NS:
        return []
    phases, counts = np.unique(sheet.time_ns % interval_ns, return_counts=True)
    off = sheet.time_ns % interval_ns != phases[np.argmax(counts)]
    if off.sum() > max(1, _FEW * len(off)):
        raise BadInput(
            f"{sheet.where(int(np.flatnonzero(off)[0]))}: {int(off.sum())} of {len(off)} rows do "
            f"not lie {interval_text(interval_ns)} apart: give the right --interval."
        )
    return _drop(
        sheet, off, f"off the {interval_text(interval_ns)} grid, as an unfinished candle is"
    )


def _drop(sheet: Sheet, unwanted: npt.NDArray[np.bool_], why: str) -> list[str]:
    if not unwanted.any():
        return []
    note = f"{_told(sheet, unwanted, why)}, dropped"
    sheet.take(np.flatnonzero(~unwanted))
    return [note]


def _told(sheet: Sheet, rows: npt.NDArray[np.bool_], why: str) -> str:
    lines = sheet.line[np.flatnonzero(rows)]
    shown = ", ".join(map(str, lines[:_SHOWN])) + (", ..." if len(lines) > _SHOWN else "")
    return f"{len(lines):,} row{'s' if len(lines) > 1 else ''} {why} ({sheet.unit} {shown})"


def _refuse_any(sheet: Sheet, wrong: pa.Array, why: str) -> None:
    rows = np.flatnonzero(_mask(wrong))
    if len(rows):
        raise BadInput(
            f"{sheet.where(int(rows[0]))}: {why} ({len(rows)} such rows): correct or remove it."
        )


def _compare(column: pa.Array, operator: str) -> pa.Array:
    return pc.call_function(operator, [column, pa.scalar(0, pa.int64()).cast(RAW)])


def _mask(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(
        pc.fill_null(column, fill_value=False).to_numpy(zero_copy_only=False), np.bool_
    )


def _show(column: pa.Array, row: int) -> str:
    return f"{column[row].as_py().normalize():f}"
