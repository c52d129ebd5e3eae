"""Reads tables of indices and other daily values as bars of instruments that nobody can trade.

Rule: their venue is ``INDEX``. A table of values without open, high and low makes bars that stand
still, without volume. Indices of KRX are stamped at its session's close, all others at the end of
their day, so that no value is known before it was.
"""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
from nautilus_trader.model import (
    BarType,
    Currency,
    IndexInstrument,
    InstrumentId,
    Price,
    Quantity,
    Symbol,
)

from catalog.columns import MAX_DECIMALS, Ints, decimals_needed, rounded, times
from catalog.ingest.bars import SEOUL_NS, SessionsOf, Written, session_hours
from catalog.ingest.candles import DAY_NS, bar_type, clean_series
from catalog.ingest.instruments import INDEX_VENUE
from catalog.ingest.mapping import IGNORED, NAMES, plain
from catalog.ingest.table_times import read_times
from catalog.ingest.tables import PRICES, Sheet, flat, numbers_of, read_table
from catalog.layout import SCHEMAS
from catalog.store import Import
from strategies.errors import BadInput
from strategies.ports import StreamKind

KRX_INDICES = frozenset({"KS11", "KQ11", "KS200", "KOSPI", "KOSDAQ", "KOSPI200"})
KNOWN = KRX_INDICES | {"SP500", "NASDAQ", "DOW", "VIX", "WTI"}
"""Names of files that are taken as indices without being told."""

_NAMED = re.compile(r"(?:^|_)index_([a-z0-9]+)(?:_|\.)|^([a-z0-9]+)\.", re.IGNORECASE)
_MONTH = re.compile(r"^\d{6}$")


def index_id_of(path: Path) -> InstrumentId | None:
    """Return the index that a file's name tells, or None where it is none that is known."""
    match = _NAMED.search(path.name)
    symbol = (match[1] or match[2]).upper() if match else ""
    return InstrumentId.from_str(f"{symbol}.{INDEX_VENUE}") if symbol in KNOWN else None


def import_index(
    batch: Import,
    path: Path,
    instrument_id: InstrumentId,
    timezone: str,
    sessions_of: SessionsOf | None,
) -> Written:
    """Import one table as daily bars; a table of several values makes one index each."""
    topics: list[str] = []
    notes: list[str] = []
    rows = 0
    for each, sheet in read_index(path, instrument_id, timezone):
        written = _write(batch, sheet, each, sessions_of)
        topics += written.topics
        rows += written.rows
        notes += [note for note in written.notes if note not in notes]
    return Written(tuple(topics), rows, tuple(notes))


def read_index(
    path: Path, instrument_id: InstrumentId, timezone: str
) -> list[tuple[InstrumentId, Sheet]]:
    """Read a table as one sheet per index. Raises BadInput naming the file and line."""
    table, unit, first_line = read_table(path)
    line = np.arange(table.num_rows, dtype=np.int64) + first_line
    by_plain = {plain(name): name for name in table.column_names}
    time_name = next((by_plain[name] for name in NAMES["time"] if name in by_plain), None)
    if time_name is None:
        raise BadInput(f"{path}: no column is a date: name one of them Date.")
    time_ns = _days(flat(table, time_name), path, unit, line, timezone)
    found = {
        meaning: by_plain[name]
        for meaning in (*PRICES, "volume")
        for name in NAMES[meaning]
        if name in by_plain
    }
    if set(PRICES) <= found.keys():
        columns = {
            meaning: numbers_of(flat(table, name), name, path, unit, line)
            for meaning, name in found.items()
        }
        series = [(instrument_id, columns)]
    else:
        values = [
            name
            for name in table.column_names
            if name != time_name and plain(name) not in IGNORED and name
        ]
        series = [
            (_named(instrument_id, name, len(values)), _still(table, name, path, unit, line))
            for name in values
        ]
    sheets = []
    for each, columns in series:
        columns.setdefault("volume", _zeros(len(line)))
        sheet = Sheet(path, time_ns, columns, line, unit, close_stamped=False, zone_given=True)
        sheets.append((each, sheet))
    return sheets


def _write(
    batch: Import, sheet: Sheet, instrument_id: InstrumentId, sessions_of: SessionsOf | None
) -> Written:
    notes = clean_series(sheet)
    decimals = max(decimals_needed(sheet.columns[name]) for name in PRICES)
    if decimals > MAX_DECIMALS:
        raise BadInput(f"{sheet.path}: values have {decimals} decimals: round them to 9 or fewer.")
    sheet.columns["volume"], _ = rounded(sheet.columns["volume"], 0)
    instrument = batch.instrument(instrument_id) or _index(instrument_id, decimals)
    if decimals > instrument.price_precision:
        raise BadInput(
            f"{sheet.path}: values have up to {decimals} decimals, {instrument_id} has "
            f"{instrument.price_precision}: import into another ONETAPE_HOME."
        )
    closes, told = _closes(sheet.time_ns, instrument_id, sessions_of)
    kind: BarType = bar_type(instrument_id, DAY_NS)
    stamps = times(closes)
    prices = [sheet.columns[name] for name in (*PRICES, "volume")]
    bars = pa.Table.from_arrays([*prices, stamps, stamps], schema=SCHEMAS[StreamKind.BARS])
    result = batch.write(instrument, StreamKind.BARS, [bars], source=sheet.path.name, bar_type=kind)
    return Written((str(kind),), result.rows if result else 0, (*notes, *told))


def _closes(
    midnight: Ints, instrument_id: InstrumentId, sessions_of: SessionsOf | None
) -> tuple[Ints, list[str]]:
    if instrument_id.symbol.value not in KRX_INDICES:
        return midnight + DAY_NS, ["each bar is stamped at the end of its day"]
    in_seoul = midnight // DAY_NS * DAY_NS - SEOUL_NS
    _, closes, _ = session_hours(in_seoul, sessions_of)
    return closes, ["each bar is stamped at the close of KRX's session"]


def _index(instrument_id: InstrumentId, decimals: int) -> IndexInstrument:
    korean = instrument_id.symbol.value in KRX_INDICES
    return IndexInstrument(
        instrument_id=instrument_id,
        raw_symbol=Symbol(instrument_id.symbol.value),
        currency=Currency.from_str("KRW" if korean else "USD"),
        price_precision=decimals,
        size_precision=0,
        price_increment=Price.from_str(f"{10**-decimals:.{decimals}f}"),
        size_increment=Quantity.from_int(1),
        ts_event=0,
        ts_init=0,
    )


def _named(instrument_id: InstrumentId, name: str, count: int) -> InstrumentId:
    """Return the index itself for a table of one value, else one index a column."""
    if count == 1:
        return instrument_id
    symbol = re.sub(r"[^0-9A-Z]", "", name.upper())
    return InstrumentId.from_str(f"{instrument_id.symbol}_{symbol}.{INDEX_VENUE}")


def _still(table: pa.Table, name: str, path: Path, unit: str, line: Ints) -> dict[str, pa.Array]:
    values = numbers_of(flat(table, name), name, path, unit, line)
    return dict.fromkeys(PRICES, values)


def _zeros(count: int) -> pa.Array:
    return pa.array([0] * count, pa.int64()).cast(pa.decimal128(38, 16))


def _days(column: pa.Array, path: Path, unit: str, line: Ints, timezone: str) -> Ints:
    """Return the midnight of each day; a month counts as its last day, when it is known."""
    first = str(column[0].as_py()).strip()
    if not _MONTH.match(first):
        return read_times(column, path, unit, line, timezone)
    months = np.array([int(str(each).strip()) for each in column.to_pylist()])
    following = (months // 100 - 1970) * 12 + months % 100
    ends = following.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    nights: Ints = (ends - 1) * DAY_NS
    return nights
