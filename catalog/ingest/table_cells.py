"""What the cells of a table say together: decimal commas, a clock beside a date, whose they are.

Rule: a comma is a thousands mark only where every one of them can be; what cannot be told is
refused, because a price read wrongly is worse than one not read.
"""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model import InstrumentId

from catalog.ingest.instruments import QUOTES
from catalog.ingest.mapping import INDEX_NAMES, plain
from strategies.errors import BadInput
from strategies.markets import binance, krx

_DATES = ("date", "일자", "날짜", "영업일자", "주식영업일자")
_CLOCKS = ("time", "시간", "시각", "체결시간")
_CLOCK = r"^(\d{1,2}:\d\d(:\d\d)?|\d{4}|\d{6})$"
_SYMBOLS = (
    "symbol",
    "ticker",
    "market",
    "pair",
    "instrument",
    "종목코드",
    "단축코드",
    "코드",
    "code",
)
_THOUSANDS = r"^[+-]?\d{1,3}(,\d{3})+(\.\d*)?[KMBkmb]?$"
_ONE_COMMA = r"^[+-]?\d{1,3},\d{3}[KMBkmb]?$"
_CODE_DIGITS = 6
_SHOWN = 4


def with_points(
    cells: Mapping[str, pa.Array], path: Path, delimiter: str
) -> tuple[dict[str, pa.Array], list[str]]:
    """Write decimal commas as points, and drop the marks of thousands; return notes.

    Raises BadInput where commas may be either.
    """
    texts = {name: each for name, each in cells.items() if _is_text(each)}
    commas = {name: _with_comma(each) for name, each in texts.items()}
    written = pa.concat_arrays([pa.array([], pa.string()), *commas.values()])
    if not len(written):
        return dict(cells), []
    decimal = _first_not(written, _THOUSANDS)
    if decimal is None:
        if delimiter == ";" and _first_not(written, _ONE_COMMA) is None:
            raise BadInput(
                f"{path}: {written[0].as_py()!r} may be a decimal or thousands: write decimals "
                "with a point."
            )
        return {name: _without(each, ",") for name, each in cells.items()}, []
    point = _decimal_point(texts)
    if point is not None:
        raise BadInput(
            f"{path}: {decimal!r} has a decimal comma and {point!r} a decimal point: write all "
            "with a point."
        )
    changed = {
        name: pc.replace_substring(_without(each, "."), ",", ".") for name, each in texts.items()
    }
    return {**cells, **changed}, ["decimal commas read as points"]


def with_joined_clock(table: pa.Table) -> pa.Table:
    """Join a column of dates and one of times of day."""
    dates = [name for name in table.column_names if plain(name) in _DATES]
    clocks = [name for name in table.column_names if plain(name) in _CLOCKS]
    if len(dates) != 1 or len(clocks) != 1:
        return table
    date, clock = table.column(dates[0]), table.column(clocks[0])
    if not (pa.types.is_string(date.type) and pa.types.is_string(clock.type)):
        return table
    clock = pc.utf8_trim_whitespace(clock)
    if not pc.all(pc.match_substring_regex(clock, _CLOCK)).as_py():
        return table
    joined = pc.binary_join_element_wise(pc.utf8_trim_whitespace(date), clock, " ")
    return table.drop_columns([dates[0], clocks[0]]).add_column(0, "datetime", joined)


def check_is_time(column: pa.Array, name: str, path: Path) -> None:
    """Raise BadInput where an index without a name only counts the rows."""
    if plain(name) not in INDEX_NAMES or not len(column):
        return
    first = str(column[0].as_py())
    if (pa.types.is_integer(column.type) or first.isdigit()) and len(first) < len("20240102"):
        raise BadInput(
            f"{path} has no column that means time ({name!r} counts its rows): name the "
            "column of times timestamp."
        )


def symbol_in(table: pa.Table, path: Path) -> str:
    """Return the one symbol that a table's rows name; empty where they name none."""
    name = next((each for each in table.column_names if plain(each) in _SYMBOLS), None)
    if name is None:
        return ""
    found = [str(each) for each in pc.unique(table.column(name)).to_pylist() if each]
    if len(found) > 1:
        shown = ", ".join(found[:_SHOWN]) + (", ..." if found[_SHOWN:] else "")
        raise BadInput(f"{path} holds {len(found)} symbols ({shown}): write one file for each.")
    return found[0] if found else ""


def check_symbol(symbol: str, instrument_id: InstrumentId, path: Path) -> None:
    """Raise BadInput where rows name another symbol of the instrument's own venue."""
    venue, wanted = instrument_id.venue.value, instrument_id.symbol.value.removesuffix("-PERP")
    told = "".join(letter for letter in symbol.upper() if letter.isalnum())
    if venue in (binance.VENUE_SPOT, binance.VENUE_USDM):
        told = told.removesuffix("PERP")
        is_symbol = any(told.endswith(quote) and told != quote for quote in QUOTES)
    else:
        told = told.removeprefix("A") if len(told) == _CODE_DIGITS + 1 else told
        is_symbol = venue == krx.VENUE and len(told) == _CODE_DIGITS and told[:1].isdigit()
    if is_symbol and told != wanted:
        raise BadInput(
            f"{path} holds rows of {symbol}, not of {instrument_id}: give the right --instrument."
        )


def _is_text(column: pa.Array) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _with_comma(column: pa.Array) -> pa.Array:
    text = pc.utf8_trim_whitespace(column.cast(pa.string()))
    return text.filter(pc.fill_null(pc.match_substring(text, ","), fill_value=False))


def _first_not(column: pa.Array, pattern: str) -> str | None:
    odd = column.filter(pc.invert(pc.match_substring_regex(column, pattern)))
    return odd[0].as_py() if len(odd) else None


def _decimal_point(texts: Mapping[str, pa.Array]) -> str | None:
    """Return a cell whose point can only be a decimal one."""
    for each in texts.values():
        text = pc.utf8_trim_whitespace(each.cast(pa.string()))
        pointed = text.filter(pc.fill_null(pc.match_substring(text, "."), fill_value=False))
        found = _first_not(pointed, r"^[+-]?\d{1,3}(\.\d{3})+(,\d*)?[KMBkmb]?$|[^0-9.,+-]")
        if found is not None:
            return found
    return None


def _without(column: pa.Array, mark: str) -> pa.Array:
    return pc.replace_substring(column, mark, "") if _is_text(column) else column
