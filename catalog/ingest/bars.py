"""Writes clean candles into an import: bars of any interval, or KRX days as print and bar.

Rule: prices are never changed without being asked (``--tick``); a bar's volume is rounded to the
instrument's size decimals and that is noted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model import InstrumentId

from catalog.columns import MAX_DECIMALS, Ints, decimals_needed, labels, rounded, times
from catalog.ingest.candles import DAY_NS, MINUTE_NS, Candles, bar_type
from catalog.ingest.instruments import Grid, Needs, resolve
from catalog.ingest.tables import PRICES, Sheet
from catalog.layout import SCHEMAS
from catalog.merge import OPENING_ID
from catalog.store import Import, Instrument, size_precision
from strategies.errors import BadInput
from strategies.markets import krx, krx_history
from strategies.markets.sessions import SessionCalendar
from strategies.ports import StreamKind

SEOUL_NS = 9 * 60 * MINUTE_NS
"""Seoul is UTC+9 without summer time since 1988-10-09."""

type SessionsOf = Callable[[str, int, int], SessionCalendar]
"""Sessions of a venue between two times in ns; a calendar library stands behind it elsewhere."""

VOLUME_DECIMALS = 8


@dataclass(frozen=True, slots=True)
class Written:
    """What one table became."""

    topics: tuple[str, ...]
    rows: int
    notes: tuple[str, ...]


def write_bars(batch: Import, candles: Candles, instrument_id: InstrumentId, grid: Grid) -> Written:
    """Write candles as bars of their interval."""
    sheet = candles.sheet
    instrument, notes = _fit(batch, sheet, instrument_id, grid)
    notes += _without_volume(sheet)
    kind = bar_type(instrument_id, candles.interval_ns)
    stamps = times(candles.ts_ns)
    result = batch.write(
        instrument,
        StreamKind.BARS,
        [sheet_bars(sheet, stamps)],
        source=sheet.path.name,
        bar_type=kind,
    )
    return Written((str(kind),), result.rows if result else 0, (*candles.notes, *notes))


def write_krx_days(
    batch: Import,
    sheet: Sheet,
    instrument_id: InstrumentId,
    grid: Grid,
    sessions_of: SessionsOf | None = None,
) -> Written:
    """Write each day as a print at its session's open and a bar at its close.

    The print's price is the open and its id ``open-YYYYMMDD``. The table does not tell the size of
    the opening auction: the print carries the volume of the trading day before, for the first day
    that of the catalog (1 where it has none), the best that is known at 09:00. The day's own volume
    would be seen in advance, and a size of 1 would make larger orders slip by a tick in the
    engine's book. Days without volume are dropped.
    Without ``sessions_of``, and on days it does not list, hours are the usual ones of that time.
    """
    halted = _is_zero(sheet.columns["volume"]).to_numpy(zero_copy_only=False)
    notes = _drop_halted(sheet, np.asarray(halted, np.bool_))
    grid, told = _told_adjusted(sheet, grid)
    instrument, more = _fit(batch, sheet, instrument_id, grid)
    notes += [*told, *more]
    midnight = (sheet.time_ns + SEOUL_NS) // DAY_NS * DAY_NS - SEOUL_NS
    opens, closes, hours = session_hours(midnight, sessions_of)
    kind = bar_type(instrument_id, DAY_NS)
    name = sheet.path.name
    before = batch.row_before(StreamKind.BARS, str(kind), int(opens[0]))
    prints = opening_prints(sheet, midnight, times(opens), _volume_of(before))
    trades = batch.write(instrument, StreamKind.TRADES, [prints], source=name)
    rows = [sheet_bars(sheet, times(closes))]
    bars = batch.write(instrument, StreamKind.BARS, rows, source=name, bar_type=kind)
    total = sum(result.rows for result in (trades, bars) if result)
    return Written((str(instrument_id), str(kind)), total, (*notes, *hours))


def session_hours(midnight: Ints, sessions_of: SessionsOf | None) -> tuple[Ints, Ints, list[str]]:
    """Return the open and close of each day's session in ns, and notes.

    ``midnight`` is the beginning of each day in Seoul, ascending.
    """
    calendar = None
    start, end = max(int(midnight[0]), krx_history.CALENDAR_FROM_NS), int(midnight[-1]) + DAY_NS
    if sessions_of is not None and start < end:
        calendar = sessions_of(krx.VENUE, start, end)
    hours, unlisted = np.empty((len(midnight), 2), np.int64), []
    for i, start in enumerate(midnight.tolist()):
        day = krx_history.day_of(start)
        session = calendar.next_after(start - 1) if calendar is not None else None
        if session is not None and session.open_ns < start + DAY_NS:
            hours[i] = session.open_ns, session.close_ns
            continue
        hours[i] = krx_history.session_ns(day)
        if start >= krx_history.CALENDAR_FROM_NS:
            unlisted.append(day)
    notes = ["each day is a print at its session's open and a bar at its close"]
    if calendar is not None and unlisted:
        text = f"{len(unlisted):,} days are no sessions of KRX's calendar (first: {unlisted[0]})"
        notes.append(f"{text}, stamped at the usual hours of that time")
    return hours[:, 0], hours[:, 1], notes


def _fit(
    batch: Import, sheet: Sheet, instrument_id: InstrumentId, grid: Grid
) -> tuple[Instrument, list[str]]:
    """Find the instrument and bring prices and volumes onto its decimals."""
    notes = round_prices(sheet, grid)
    where = str(sheet.path)
    price = max(needed_decimals(sheet, name) for name in PRICES)
    volume, _ = rounded(sheet.columns["volume"], VOLUME_DECIMALS)
    needs = Needs(price, decimals_needed(volume), size_is_volume=True)
    instrument, told = resolve(batch, instrument_id, grid, needs, where)
    notes += told
    decimals = size_precision(instrument)
    sheet.columns["volume"], changed = rounded(sheet.columns["volume"], decimals)
    if changed:
        notes.append(f"{changed:,} volumes rounded to {decimals} decimals")
    return instrument, notes


def round_prices(sheet: Sheet, grid: Grid) -> list[str]:
    """Round prices to the tick the user gave; return notes."""
    if grid.tick is None:
        return []
    decimals = max(0, -int(grid.tick.normalize().as_tuple().exponent))
    changed = 0
    for name in PRICES:
        sheet.columns[name], here = rounded(sheet.columns[name], decimals)
        changed += here
    return [f"{changed:,} prices rounded to {decimals} decimals"] if changed else []


def needed_decimals(sheet: Sheet, name: str) -> int:
    """Return the decimals a column needs. Raises BadInput where they are those of a mean."""
    needed = decimals_needed(sheet.columns[name])
    if needed <= MAX_DECIMALS:
        return needed
    raise BadInput(
        f"{sheet.path}: {name} has values with {needed} decimals, as computed prices do: give "
        "--tick, for example --tick 0.01, to round them."
    )


def sheet_bars(sheet: Sheet, stamps: pa.Array) -> pa.Table:
    """Return a sheet's rows as bars."""
    prices = [sheet.columns[name] for name in (*PRICES, "volume")]
    return pa.Table.from_arrays([*prices, stamps, stamps], schema=SCHEMAS[StreamKind.BARS])


def opening_prints(
    sheet: Sheet, midnight: Ints, stamps: pa.Array, volume_before: pa.Array | None
) -> pa.Table:
    """Return the print that opens each day; its size is the volume of the day before.

    ``volume_before`` holds the one volume before the first day, None where it is not known.
    """
    volume = sheet.columns["volume"]
    first = pa.array([1], pa.int64()) if volume_before is None else volume_before
    days = pc.strftime(
        pa.array(midnight + SEOUL_NS, pa.timestamp("ns")).cast(pa.timestamp("s")), "%Y%m%d"
    )
    return pa.Table.from_arrays(
        [
            sheet.columns["open"],
            pa.concat_arrays([first.cast(volume.type), volume[:-1]]),
            labels(np.zeros(len(midnight), np.int64), ("NO_AGGRESSOR",)),
            pc.binary_join_element_wise(OPENING_ID, days, ""),
            stamps,
            stamps,
        ],
        schema=SCHEMAS[StreamKind.TRADES],
    )


def _volume_of(row: pa.Table | None) -> pa.Array | None:
    return None if row is None else row.column("volume").combine_chunks()


def _without_volume(sheet: Sheet) -> list[str]:
    empty = int(pc.sum(_is_zero(sheet.columns["volume"])).as_py() or 0)
    return [f"{empty:,} bars have a volume of 0, kept"] if empty else []


def _is_zero(column: pa.Array) -> pa.Array:
    return pc.equal(column, pa.scalar(0, pa.int64()).cast(column.type))


def _drop_halted(sheet: Sheet, halted: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[str]:
    if not halted.any():
        return []
    if halted.all():
        raise BadInput(f"{sheet.path}: no day has a volume: check the volume column.")
    line = int(sheet.line[np.flatnonzero(halted)[0]])
    sheet.take(np.flatnonzero(~halted))
    return [
        f"{int(halted.sum()):,} halted days without volume dropped (first: {sheet.unit} {line})"
    ]


def _told_adjusted(sheet: Sheet, grid: Grid) -> tuple[Grid, list[str]]:
    """Mark a series as adjusted where it cannot be otherwise.

    From 5,000 won on, prices are multiples of 10 won in every tick table KRX's shares ever had.
    """
    won = sheet.columns["open"].cast(pa.int64(), safe=False).to_numpy()
    off = int(((won >= 5000) & (won % 10 != 0)).sum())
    if grid.adjusted or off == 0:
        return grid, []
    note = f"{off:,} of {len(won):,} opens lie off KRX's tick grid: prices taken as adjusted"
    return replace(grid, adjusted=True), [note]
