"""Checks the streams of a catalog, a row group in memory at a time.

Rule: the same rules as for raw files, and what only a catalog can tell: precision and tick grid of
the instrument, sessions of its venue, books rebuilt from their deltas.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model import BarType, Equity, IndexInstrument

from catalog.book import F_LAST, Book, apply_rows
from catalog.columns import Ints
from catalog.ingest.bars import SessionsOf
from catalog.inventory import open_parquet
from catalog.quality import (
    Finding,
    Findings,
    Ids,
    Jumps,
    Severity,
    Times,
    check_crossed,
    check_precision,
    check_prices,
    check_ranges,
    check_ticks,
    check_volumes,
    daily_limits,
    mask,
)
from catalog.read import stream_tables
from catalog.store import Instrument, Store, StreamInfo, size_precision
from catalog.tape import interval_ns_of
from strategies.markets import krx, krx_history
from strategies.markets.facts import TickScheme, UniformTicks
from strategies.markets.sessions import DAY_NS, ContinuousDays, SessionCalendar
from strategies.ports import StreamKind


def check_store(store: Store, sessions_of: SessionsOf) -> Iterator[Finding]:
    """Yield what is wrong with every stream of a catalog. Raises BadInput naming a damaged file."""
    instruments = store.instruments()
    for info in store.streams():
        instrument = instruments.get(info.instrument_id)
        if instrument is None:
            found = Findings(f"{info.topic} {info.kind}")
            found.add(Severity.ERROR, "no-instrument", "its instrument is not in the catalog")
            yield from found.all()
        elif info.kind in _CHECKS:
            sessions = _sessions(info, sessions_of)
            yield from _StreamCheck(store, info, instrument, sessions).run()


def _sessions(info: StreamInfo, sessions_of: SessionsOf) -> SessionCalendar | None:
    venue = info.instrument_id.venue.value
    if venue.startswith("BINANCE"):
        return ContinuousDays()
    if venue == krx.VENUE:
        first = max(info.first_ns, krx_history.CALENDAR_FROM_NS)
        return sessions_of(venue, first, info.last_ns) if first <= info.last_ns else None
    return None


class _StreamCheck:
    """One stream on its way through the rules."""

    def __init__(
        self,
        store: Store,
        info: StreamInfo,
        instrument: Instrument,
        sessions: SessionCalendar | None,
    ) -> None:
        self._store = store
        self._info = info
        self._instrument = instrument
        self.found = Findings(f"{info.topic} {info.kind}")
        self.ticks = _ticks(instrument)
        interval = None
        if info.kind is StreamKind.BARS:
            interval = interval_ns_of(BarType.from_str(info.topic))
        self._times = Times(self.found, sessions=sessions, interval_ns=interval)
        self.daily = interval is not None and interval >= DAY_NS
        self.jumps = Jumps(self.found)
        self.ids = Ids(self.found, "trade", Severity.WARNING)
        self.book = Book()
        self.started = False

    def run(self) -> list[Finding]:
        """Read the stream once and return what was found."""
        self._kept_precision()
        check = _CHECKS[self._info.kind]
        first_row = 1
        for table in stream_tables(self._store, self._info.kind, self._info.topic):
            rows = np.arange(table.num_rows, dtype=np.int64) + first_row
            first_row += table.num_rows
            self._precision(table, rows)
            stamps = times_of(table, "ts_init")
            self._times.add(rows, times_of(table, "ts_event"), stamps)
            check(self, table, rows, stamps)
        self._times.finish()
        return self.found.all()

    @property
    def is_share(self) -> bool:
        """Say whether the stream is of a KRX share, whose moves have a daily limit."""
        return isinstance(self._instrument, Equity)

    @property
    def is_index(self) -> bool:
        """Say whether the stream is of values that nobody trades."""
        return isinstance(self._instrument, IndexInstrument)

    @property
    def decimals(self) -> tuple[int, int]:
        """Price and size decimals of the instrument."""
        return int(self._instrument.price_precision), size_precision(self._instrument)

    def _kept_precision(self) -> None:
        """Compare what each file says of its numbers with the instrument."""
        for path in self._store.files(self._info.kind, self._info.topic):
            file = open_parquet(path)
            # The engine keeps its keys in the Arrow schema, the store in the file beside it.
            told = (file.schema_arrow.metadata or {}) | (file.metadata.metadata or {})
            for name, decimals in zip(("price", "size"), self.decimals, strict=True):
                kept = told.get(f"{name}_precision".encode(), b"").decode()
                if kept not in ("", str(decimals)):
                    text = f"kept with {kept} {name} decimals, its instrument has {decimals}"
                    self.found.add(Severity.ERROR, "precision", text)

    def _precision(self, table: pa.Table, rows: Ints) -> None:
        for field in table.schema:
            if pa.types.is_decimal(field.type):
                is_size = "size" in field.name or field.name == "volume"
                values = column(table, field.name)
                stamps = times_of(table, "ts_init")
                check_precision(
                    self.found, field.name, values, self.decimals[is_size], rows, stamps
                )


def column(table: pa.Table, name: str) -> pa.Array:
    """Return a column in one piece."""
    whole = table.column(name).combine_chunks()
    return whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole


def times_of(table: pa.Table, name: str) -> Ints:
    """Return a time column as UTC ns."""
    values: Ints = table.column(name).cast(pa.int64()).to_numpy()
    return values


def _trades(check: _StreamCheck, table: pa.Table, rows: Ints, stamps: Ints) -> None:
    price = column(table, "price")
    check_prices(check.found, "price", price, rows, stamps)
    check_prices(check.found, "size", column(table, "size"), rows, stamps)
    _on_grid(check, "price", price, rows, stamps)
    ids = column(table, "trade_id")
    if mask(pc.match_substring_regex(ids, r"^\d{1,18}$")).all():
        numbers: Ints = ids.cast(pa.int64()).to_numpy()
        check.ids.add(rows, stamps, numbers, numbers, None)


def _quotes(check: _StreamCheck, table: pa.Table, rows: Ints, stamps: Ints) -> None:
    bid, ask = column(table, "bid_price"), column(table, "ask_price")
    for name, prices in (("bid", bid), ("ask", ask)):
        check_prices(check.found, name, prices, rows, stamps)
        _on_grid(check, name, prices, rows, stamps)
    check_crossed(check.found, bid, ask, rows, stamps)


def _bars(check: _StreamCheck, table: pa.Table, rows: Ints, stamps: Ints) -> None:
    names = ("open", "high", "low", "close")
    bars = {name: column(table, name) for name in names}
    for name in names:
        # An index of rates or spreads, even an oil price, may be 0 or less.
        severity = Severity.NOTE if check.is_index else Severity.ERROR
        check_prices(check.found, name, bars[name], rows, stamps, severity=severity)
        _on_grid(check, name, bars[name], rows, stamps)
    check_ranges(check.found, bars, rows, stamps)
    if not check.is_index:
        check_volumes(check.found, column(table, "volume"), rows, stamps)
    same = np.diff(stamps, prepend=stamps[0] - 1) == 0
    check.found.mark(
        Severity.ERROR, "duplicate", "the time of the bar above again", same, rows, stamps
    )
    if check.daily and check.is_share:
        check.jumps.add(bars["open"], bars["close"], daily_limits(stamps), rows, stamps)


def _deltas(check: _StreamCheck, table: pa.Table, rows: Ints, stamps: Ints) -> None:
    actions = column(table, "action").cast(pa.string())
    flags = column(table, "flags").to_numpy()
    clears = mask(pc.equal(actions, "CLEAR"))
    if not check.started and not clears[0]:
        text = "the book begins without a snapshot: only levels that changed are in it"
        check.found.add(Severity.WARNING, "no-snapshot", text, int(rows[0]), int(stamps[0]))
    check.started = True
    gaps = clears & ((flags & F_LAST) != 0)
    text = "update ids are missing, the book is empty from here to the next snapshot"
    check.found.mark(Severity.ERROR, "id-gap", text, gaps, rows, stamps)
    put = np.flatnonzero(~clears)
    prices = column(table, "price").take(pa.array(put))
    check_prices(check.found, "price", prices, rows[put], stamps[put])
    for top in apply_rows(check.book, table, *check.decimals):
        if top.is_crossed:
            text = f"the rebuilt book is crossed after update {top.sequence}"
            check.found.add(Severity.ERROR, "crossed", text, 0, top.ts_init)


_CHECKS = {
    StreamKind.TRADES: _trades,
    StreamKind.QUOTES: _quotes,
    StreamKind.BARS: _bars,
    StreamKind.DELTAS: _deltas,
}


def _on_grid(check: _StreamCheck, name: str, prices: pa.Array, rows: Ints, stamps: Ints) -> None:
    """Check prices against the grid of their day: KRX's tick tables changed over the years."""
    if check.ticks is not None:
        check_ticks(check.found, name, prices, check.ticks, rows, stamps)
        return
    starts = krx_history.TICK_CHANGES_NS
    for era in np.unique(np.searchsorted(starts, stamps, side="right")).tolist():
        here = np.searchsorted(starts, stamps, side="right") == era
        ticks = krx_history.TICK_TABLES[era]
        check_ticks(
            check.found, name, prices.filter(pa.array(here)), ticks, rows[here], stamps[here]
        )


def _ticks(instrument: Instrument) -> TickScheme | None:
    """Return an instrument's grid; None for KRX shares, whose grid depends on the day."""
    if not isinstance(instrument, Equity):
        return UniformTicks(int(instrument.price_increment.raw))
    return krx.ADJUSTED_TICKS if (instrument.info or {}).get("adjusted") else None
