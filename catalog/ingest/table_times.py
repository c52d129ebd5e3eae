"""Reads a time column of any usual form as UTC nanoseconds.

Rule: a form must fit every row; a date that may be month/day or day/month, with no row that tells,
is refused. A time without a zone is in the zone that was told.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.columns import Ints
from strategies.errors import BadInput

_ZONE = re.compile(r"(Z|[+-]\d\d:?\d\d)$")
_MONTH = re.compile(r"[A-Za-z]{3}")
_UTC_WORDS = r"\s*(UTC|GMT)$"
_EPOCH_SCALES = ((10**11, 10**9), (10**14, 10**6), (10**17, 1000))  # seconds, ms, us; else ns
_FORMATS = (
    *("%Y%m%d", "%Y/%m/%d", "%Y.%m.%d", "%Y- %m- %d", "%Y%m%d%H%M%S", "%Y%m%d%H%M"),
    *("%Y%m%d %H%M%S", "%Y%m%d %H:%M:%S", "%Y%m%d %H:%M", "%Y%m%d %H%M"),
    *("%Y/%m/%d %H:%M:%S", "%Y.%m.%d %H:%M:%S", "%Y/%m/%d %H:%M", "%Y-%m-%d %H:%M"),
    *("%Y.%m.%d %H:%M", "%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I:%M %p"),
    *("%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S"),
    *("%b %d, %Y", "%d-%b-%Y", "%d %b %Y", "%d-%b-%y"),
)
_DATE_DIGITS = (8, 12, 14)
"""Digits that are a date, with a time or without, and no epoch: YYYYMMDD, ...HHMM, ...HHMMSS."""

_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M:%S %p")
_AMERICAN = tuple(f"%m/%d/%Y{clock}" for clock in _CLOCKS)
_EUROPEAN = tuple(f"%d/%m/%Y{clock}" for clock in _CLOCKS)
_SHAPES = (
    {"%Y": r"\d{4}", "%y": r"\d{2}", "%m": r"\d{1,2}", "%d": r"\d{1,2}", "%I": r"\d{1,2}"}
    | {"%b": r"[A-Za-z]{3}", "%p": r"[AaPp][Mm]"}
    | dict.fromkeys(("%H", "%M", "%S"), r"\d{2}")
)


def read_times(column: pa.Array, path: Path, unit: str, line: Ints, timezone: str) -> Ints:
    """Return a time column of any usual form as UTC ns. Raises BadInput naming the line."""
    return TimeColumn(path, unit, line, timezone).read(column)[0]


@dataclass(frozen=True, slots=True)
class TimeColumn:
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
        if first.replace(".", "", 1).isdigit() and len(first.split(".")[0]) not in _DATE_DIGITS:
            return self._epoch(text), True
        if _ZONE.search(first) and len(first) > 10 and not _MONTH.search(first):
            return self._utc(self._cast(text, pa.timestamp("ns", "UTC")))
        for form in _FORMATS:
            if (stamps := _strptime(text[:1], form)) is not None:
                stamps = _strptime(text, form)
                return self._utc(stamps if stamps is not None else self._row_by_row(text, form))
        if "/" in first:
            return self._utc(self._slashes(text))
        if re.search(_UTC_WORDS, first):
            return self._text(pc.replace_substring_regex(text, _UTC_WORDS, "+00:00"))
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
        readings = [_strptime(text, form) for form in (*_AMERICAN, *_EUROPEAN)]
        fits = [stamps for stamps in readings if stamps is not None]
        if len(fits) == 2:
            raise BadInput(
                f"{self.path}: {text[0].as_py()!r} may be month/day or day/month and no row tells: "
                "write the dates as YYYY-MM-DD."
            )
        return fits[0] if fits else self._row_by_row(text, _AMERICAN[0])

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


def _first_wrong(text: pa.Array, pattern: str) -> int:
    wrong: Sequence[int] = np.flatnonzero(
        ~pc.match_substring_regex(text, pattern).to_numpy(zero_copy_only=False)
    ).tolist()
    return wrong[0] if wrong else 0
