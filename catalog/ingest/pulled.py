"""Bars that a venue answered, written beside what the catalog holds already.

Rule: what is held is never written over; new rows lie around it, in files of their own. A KRX day
becomes its opening print and its bar, as an imported one; where the day's trades are held the bar
alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from nautilus_trader.model import BarType, Equity

from catalog.columns import Ints, decimals_from_units, times
from catalog.ingest.bars import SEOUL_NS, SessionsOf, opening_prints, session_hours, sheet_bars
from catalog.ingest.candles import DAY_NS, MINUTE_NS, bar_type
from catalog.ingest.tables import Sheet
from catalog.layout import file_span
from catalog.merge import Span, outside, rows_within
from catalog.store import Import, Rows, Store
from strategies.errors import BadInput
from strategies.markets import krx_history
from strategies.ports import StreamKind

_VALUES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class PulledBar:
    """One bar in whole won and shares; ``ts_ns`` is its close, or any time of its day."""

    ts_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int


def held_spans(store: Store, kind: StreamKind, topic: str) -> list[Span]:
    """Return first and last time of each file of a stream, in order; between them all is held."""
    spans = (file_span(path.name) for path in store.files(kind, topic))
    return [span for span in spans if span is not None]


def write_minutes(
    store: Store, batch: Import, instrument: Equity, bars: Sequence[PulledBar], source: str
) -> None:
    """Write one-minute bars, ascending and stamped at their close, around what is held."""
    if bars:
        sheet = _sheet(bars, source)
        kind = bar_type(instrument.id, MINUTE_NS)
        rows = sheet_bars(sheet, times(sheet.time_ns))
        held = held_spans(store, StreamKind.BARS, str(kind))
        _write_around(batch, instrument, rows, held, source, kind)


def write_days(
    store: Store,
    batch: Import,
    instrument: Equity,
    days: Sequence[PulledBar],
    sessions_of: SessionsOf,
    source: str,
    *,
    volume_before: int = 1,
) -> None:
    """Write daily bars, ascending, around what is held: a print at the open, a bar at the close.

    ``volume_before`` is the volume of the trading day before the first, in shares.
    """
    if not days:
        return
    sheet = _sheet(days, source)
    midnight = (sheet.time_ns + SEOUL_NS) // DAY_NS * DAY_NS - SEOUL_NS
    opens, closes, _ = session_hours(midnight, sessions_of)
    before = pa.array([volume_before], pa.int64())
    prints = opening_prints(sheet, midnight, times(opens), before)
    traded = held_spans(store, StreamKind.TRADES, str(instrument.id))
    # a day with trades has its opening among them, which may come a moment after the open
    traded = [(midnight_of(first), midnight_of(last) + DAY_NS - 1) for first, last in traded]
    _write_around(batch, instrument, prints, traded, source)
    rows, kind = sheet_bars(sheet, times(closes)), bar_type(instrument.id, DAY_NS)
    held = held_spans(store, StreamKind.BARS, str(kind))
    _write_around(batch, instrument, rows, held, source, kind)


def held_days(store: Store, instrument: Equity, span: Span) -> dict[int, PulledBar]:
    """Return the daily bars held within a span of closes, by the midnight (Seoul) of their day."""
    kind = bar_type(instrument.id, DAY_NS)
    found = {}
    for path in store.files(StreamKind.BARS, str(kind)):
        for table in rows_within(StreamKind.BARS, path, span):
            for bar in _bars(table):
                found[midnight_of(bar.ts_ns)] = bar
    return found


def midnight_of(ts_ns: int) -> int:
    """Return the beginning of the day in Seoul that a moment lies in, ns UTC."""
    return (ts_ns + SEOUL_NS) // DAY_NS * DAY_NS - SEOUL_NS


def _bars(table: pa.Table) -> list[PulledBar]:
    stamps = table.column("ts_init").cast(pa.int64()).to_pylist()
    values = [table.column(name).to_pylist() for name in _VALUES]
    return [
        PulledBar(ts_ns, *(int(value) for value in row))
        for ts_ns, *row in zip(stamps, *values, strict=True)
    ]


def _sheet(bars: Sequence[PulledBar], source: str) -> Sheet:
    columns = {
        name: decimals_from_units(np.array([getattr(bar, name) for bar in bars], np.int64), 0)
        for name in _VALUES
    }
    stamps: Ints = np.array([bar.ts_ns for bar in bars], np.int64)
    line = np.arange(1, len(bars) + 1, dtype=np.int64)
    return Sheet(Path(source), stamps, columns, line, "row", close_stamped=True, zone_given=True)


def _write_around(
    batch: Import,
    instrument: Equity,
    rows: pa.Table,
    held: Sequence[Span],
    source: str,
    bars: BarType | None = None,
) -> None:
    """Write the rows that lie outside the held spans, those between two of them in one file."""
    kind = StreamKind.TRADES if bars is None else StreamKind.BARS
    stamps = rows.column("ts_init").cast(pa.int64()).to_numpy()
    for first, last in outside((int(stamps[0]), int(stamps[-1])), held):
        begin, end = stamps.searchsorted(first), stamps.searchsorted(last, side="right")
        part: Rows = rows.slice(begin, end - begin)
        batch.write(instrument, kind, [part], source=source, bar_type=bars)


def refuse_other_prices(days: Sequence[PulledBar], held: dict[int, PulledBar], name: str) -> None:
    """Raise BadInput where a day has other prices than the catalog's bar of that day."""
    for day in days:
        known = held.get(midnight_of(day.ts_ns))
        if known is not None and _prices(known) != _prices(day):
            raise BadInput(
                f"{name}: the catalog's bar of {krx_history.day_of(day.ts_ns)} closes at "
                f"{known.close} won, the venue now says {day.close}, as after a split: remove its "
                "daily data from the catalog, or pull into another ONETAPE_HOME."
            )


def _prices(bar: PulledBar) -> tuple[int, ...]:
    return bar.open, bar.high, bar.low, bar.close
