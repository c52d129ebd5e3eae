"""Checks raw files before they are imported: recordings, CSV recordings and tables.

Rule: nothing is repaired on the way. What an import would drop, sort or refuse is a finding here.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from catalog.columns import Ints, from_text
from catalog.ingest.candles import DAY_NS, infer_interval
from catalog.ingest.dumps import Dump, DumpKind, DumpReader, dump_of, interval_ns_of, ns_of
from catalog.ingest.exchange_info import is_exchange_info, read_listed
from catalog.ingest.frames import frames_in, looks_like_frames, sent_ns, values_of
from catalog.ingest.indices import index_id_of, read_index
from catalog.ingest.instruments import KRX_NAME
from catalog.ingest.large_tables import is_large, joined, last_row, sheets_of
from catalog.ingest.listings import is_listing, read_listing
from catalog.ingest.mapping import NoMarketData, check_dump_traded, check_priced
from catalog.ingest.recorded_csv import RecordedCsv, is_recorded_csv, read_chunks
from catalog.ingest.recorded_lines import lines_of, received_ns
from catalog.ingest.recordings import (
    is_answers,
    looks_like_recording,
    read_answers,
    venue_ns,
)
from catalog.ingest.tables import PRICES, Sheet, read_first_names, read_sheet
from catalog.layout import MAX_ROW_GROUP
from catalog.quality import (
    SECOND_NS,
    Finding,
    Findings,
    Ids,
    Jumps,
    Mask,
    Severity,
    Times,
    check_crossed,
    check_prices,
    check_ranges,
    check_volumes,
    daily_limits,
    mask,
)
from strategies.errors import BadInput
from strategies.markets.sessions import ContinuousDays

_REQUEST_NS = 3 * SECOND_NS


def check_file(path: Path, timezone: str = "UTC") -> list[Finding]:
    """Return what is wrong with one file; a file that cannot be read is one error.

    Prices of frames, of CSV recordings and of tables are checked; so are ids, both times, symbols
    and, for bars, ranges and volumes.
    """
    try:
        return _check_form(path, timezone)
    except NoMarketData as error:
        found = Findings(str(path))
        found.add(Severity.NOTE, "no-market-data", f"{error.why}: nothing to check")
        return found.all()
    except BadInput as error:
        found = Findings(str(path))
        found.add(Severity.ERROR, "unreadable", _without(path, str(error)))
        return found.all()


def _check_form(path: Path, timezone: str) -> list[Finding]:
    """Check one file by the form it has."""
    if is_answers(path) or is_exchange_info(path):
        read_listed(path)  # both raise where one is cut short
        if is_answers(path):
            read_answers(path)
        return []
    for is_form, check in _FORMS:
        if is_form(path):
            return check(path)
    check_dump_traded(path)
    if (dump := dump_of(path)) is not None:
        return _check_dump(dump)
    return _check_sheets(path, timezone)


def _without(path: Path, sentence: str) -> str:
    """Return an error's sentence without the file it names: a finding has its own place."""
    return sentence.removeprefix(str(path)).lstrip(":, ")


def _check_csv(path: Path) -> list[Finding]:
    """Check a recording kept as CSV, a chunk at a time."""
    checking = _CsvCheck(path)
    for recorded in read_chunks(path):
        checking.add(recorded)
    return checking.finish()


class _CsvCheck:
    """A recording kept as CSV on its way through the rules."""

    def __init__(self, path: Path) -> None:
        self._found = Findings(str(path), "line")
        self._times = Times(self._found, sessions=ContinuousDays(), ids_tell_loss=True)
        self._asked = Times(self._found)
        self._trades = Ids(self._found, "trade", Severity.WARNING)
        self._updates = Ids(self._found, "update", Severity.ERROR)
        self._symbol = ""
        self._last_id: int | None = None

    def add(self, recorded: RecordedCsv) -> None:
        """Check the next rows."""
        found = self._found
        rows = np.arange(recorded.table.num_rows, dtype=np.int64) + recorded.line
        received = recorded.times("TimestampOfReceive")
        prices = from_text(recorded.table.column("Price").combine_chunks())
        sizes = from_text(recorded.table.column("Quantity").combine_chunks())
        check_prices(found, "price", prices, rows, received)
        check_prices(found, "size", sizes, rows, received, least=int(recorded.kind == "trade"))
        if recorded.kind == "snapshot":
            self._snapshots(recorded, rows, received)
            return
        venue = recorded.times("EventTime")
        self._times.add(rows, venue, received)
        self._symbols(recorded, rows, received)
        if recorded.kind == "trade":
            ids = recorded.ints("TradeId")
            _check_order(found, recorded.times("TransactionTime"), venue, rows, received)
            self._trades.add(rows, received, ids, ids, None)
            return
        first, last = recorded.ints("FirstUpdateId"), recorded.ints("FinalUpdateId")
        starts = np.flatnonzero(
            np.concatenate([[True], (first[1:] != first[:-1]) | (last[1:] != last[:-1])])
        )
        self._updates.add(rows[starts], received[starts], first[starts], last[starts], None)

    def finish(self) -> list[Finding]:
        """Judge what needs the whole file; return all findings."""
        self._times.finish()
        return self._found.all()

    def _snapshots(self, recorded: RecordedCsv, rows: Ints, received: Ints) -> None:
        asked = recorded.times("TimestampOfRequest")
        self._asked.add(rows, asked, received)
        waited = received - asked
        wrong = (waited < 0) | (waited > _REQUEST_NS)
        text = "the answer was received before its request, or more than 3 s after"
        self._found.mark(Severity.ERROR, "request-time", text, wrong, rows, received)
        ids = recorded.ints("LastUpdateId")
        above = self._last_id if self._last_id is not None else ids[0]
        back = np.diff(ids, prepend=above) < 0
        self._last_id = int(ids[-1])
        text = "an update id below the one above"
        self._found.mark(Severity.ERROR, "id-back", text, back, rows, received)

    def _symbols(self, recorded: RecordedCsv, rows: Ints, received: Ints) -> None:
        symbols, streams = recorded.texts("Symbol"), recorded.texts("Stream")
        if not self._symbol:
            named = f"_{symbols[0].lower()}_" in recorded.path.name.lower()
            common = Counter(symbols).most_common(1)[0][0]
            self._symbol = symbols[0] if named or "_" not in recorded.path.name else common
        expected = self._symbol
        wrong = np.array(
            [
                symbol != expected or not stream.startswith(f"{symbol.lower()}@")
                for symbol, stream in zip(symbols, streams, strict=True)
            ]
        )
        text = f"a row of another symbol than {expected}"
        self._found.mark(Severity.ERROR, "wrong-symbol", text, wrong, rows, received)


def _check_order(found: Findings, traded: Ints, sent: Ints, rows: Ints, received: Ints) -> None:
    text = "a trade after the event that tells it"
    found.mark(Severity.ERROR, "trade-after-event", text, traded > sent, rows, received)


class _Frames:
    """The frames of one symbol and kind, checked a block at a time."""

    def __init__(self, path: Path, symbol: str, kind: str) -> None:
        self.found = Findings(f"{path}: {symbol} {kind}", "line")
        self._kind = kind
        # A quiet trade, quote or diff stream is legal where its ids go on.
        self._times = Times(self.found, sessions=ContinuousDays(), ids_tell_loss=True)
        depth = kind == "depthUpdate"
        self._ids = Ids(
            self.found,
            "update" if depth else "trade",
            Severity.ERROR if depth else Severity.WARNING,
        )
        self._rows: list[tuple[int, ...]] = []
        self._prices: list[tuple[int, str]] = []
        self._pairs: list[tuple[str, str]] = []

    def add(self, line: int, received: int, data: dict[str, Any]) -> None:
        """Take one frame."""
        sent = data.get("T") or data.get("E")
        venue = received if sent is None else venue_ns(sent)
        if self._kind == "depthUpdate":
            ids = data["U"], data["u"], data.get("pu", -1)
            self._prices += [(line, level[0]) for side in (data["b"], data["a"]) for level in side]
        elif self._kind == "bookTicker":
            ids = data["u"], data["u"], -1
            self._pairs.append((data["b"], data["a"]))
        else:
            number = data["t"] if self._kind == "trade" else data["a"]
            ids = number, number, -1
            self._prices.append((line, data["p"]))
        self._rows.append((line, venue, received, *ids))
        if len(self._rows) >= MAX_ROW_GROUP or len(self._prices) >= 4 * MAX_ROW_GROUP:
            self._flush()

    def finish(self) -> list[Finding]:
        """Return what was found."""
        self._flush()
        self._times.finish()
        return self.found.all()

    def _flush(self) -> None:
        if not self._rows:
            return
        rows, venue, received, first, last, previous = np.array(self._rows, np.int64).T
        self._times.add(rows, venue, received)
        if self._kind == "bookTicker":
            self._quotes(rows, received, last)
        else:
            told = previous if (previous >= 0).all() else None
            self._ids.add(rows, received, first, last, told)
        if self._prices:
            lines = np.array([line for line, _ in self._prices], np.int64)
            prices = from_text(pa.array([text for _, text in self._prices]))
            check_prices(self.found, "price", prices, lines, np.zeros(len(lines), np.int64))
        self._rows.clear()
        self._prices.clear()
        self._pairs.clear()

    def _quotes(self, rows: Ints, received: Ints, ids: Ints) -> None:
        bid, ask = (from_text(pa.array(list(side))) for side in zip(*self._pairs, strict=True))
        check_prices(self.found, "bid", bid, rows, received)
        check_prices(self.found, "ask", ask, rows, received)
        check_crossed(self.found, bid, ask, rows, received)
        back = np.diff(ids, prepend=ids[0]) < 0
        text = "an update id below the one above"
        self.found.mark(Severity.ERROR, "id-back", text, back, rows, received)


_KINDS = ("trade", "aggTrade", "bookTicker", "depthUpdate")


def _check_recording(path: Path) -> list[Finding]:
    whole = Findings(str(path), "line")
    frames: dict[tuple[str, str], _Frames] = {}
    last = 0
    for number, line in enumerate(lines_of(path, lambda _read: None), 1):
        head, _, text = line.partition(b" ")
        if not text or line.startswith((b"ws", b"http")):
            continue
        try:
            frame, received = orjson.loads(text), received_ns(head)
        except ValueError:
            whole.add(Severity.ERROR, "no-frame", "this line is no frame", number)
            continue
        if received < last:
            whole.add(
                Severity.ERROR, "receive-back", "received before the line above", number, received
            )
        last = received
        _frame(path, whole, frames, number, received, frame)
    return [*whole.all(), *(each for stream in frames.values() for each in stream.finish())]


def _check_frames(path: Path) -> list[Finding]:
    """Check frames that were kept without receive times, as if received when they were sent."""
    whole = Findings(str(path), "value")
    frames: dict[tuple[str, str], _Frames] = {}
    for number, value in values_of(path):
        for frame, received in frames_in(value):
            data = frame.get("data", frame) if isinstance(frame, dict) else None
            if isinstance(data, dict) and (stamp := received or sent_ns(data)):
                try:
                    _frame(path, whole, frames, number, stamp, frame)
                except (KeyError, TypeError, ValueError):
                    whole.add(Severity.ERROR, "no-frame", "a frame that cannot be read", number)
    return [*whole.all(), *(each for stream in frames.values() for each in stream.finish())]


def _frame(
    path: Path,
    whole: Findings,
    frames: dict[tuple[str, str], _Frames],
    number: int,
    received: int,
    frame: dict[str, Any],
) -> None:
    data = frame.get("data", frame)
    kind = data.get("e") or ("bookTicker" if {"u", "b", "a"} <= data.keys() else "")
    if kind not in _KINDS:
        return
    address = str(frame.get("stream", "")).partition("@")[2].partition("@")[0]
    if kind == "depthUpdate" and address not in ("", "depth"):
        return  # the best levels as a whole: their ids go on without being joined
    symbol = str(data["s"])
    stream = str(frame.get("stream", f"{symbol.lower()}@"))
    if not stream.startswith(f"{symbol.lower()}@"):
        text = f"{symbol} in the stream {stream}"
        whole.add(Severity.ERROR, "wrong-symbol", text, number, received)
    if (symbol, kind) not in frames:
        frames[symbol, kind] = _Frames(path, symbol, kind)
    frames[symbol, kind].add(number, received, data)


def _check_dump(dump: Dump) -> list[Finding]:
    found = Findings(str(dump.path), "line")
    times = Times(found, sessions=ContinuousDays(), ids_tell_loss=True)
    ids = Ids(found, "trade", Severity.WARNING)
    reader = DumpReader(dump)
    last = None
    for table in reader.tables():
        rows = np.arange(table.num_rows, dtype=np.int64) + reader.line
        bars = dump.kind is DumpKind.KLINES
        stamps = ns_of(table.column("open_time" if bars else "time").to_numpy())
        times.add(rows, stamps, stamps)
        for name in set(table.column_names) & {*PRICES, "price", "bid", "ask"}:
            check_prices(found, name, table.column(name).combine_chunks(), rows, stamps)
        if bars:
            _check_steps(found, dump, last, rows, stamps)
            last = int(stamps[-1])
        if dump.kind is DumpKind.BOOK_TICKER:
            bid, ask = (table.column(name).combine_chunks() for name in ("bid", "ask"))
            check_crossed(found, bid, ask, rows, stamps)
        elif bars:
            columns = {name: table.column(name).combine_chunks() for name in (*PRICES, "volume")}
            check_ranges(found, columns, rows, stamps)
            check_volumes(found, columns["volume"], rows, stamps)
        elif dump.kind is not DumpKind.FUNDING:
            numbers: Ints = table.column("id").to_numpy()
            ids.add(rows, stamps, numbers, numbers, None)
    times.finish()
    return found.all()


def _check_steps(found: Findings, dump: Dump, last: int | None, rows: Ints, stamps: Ints) -> None:
    """Check that each candle follows the one before."""
    interval_ns = interval_ns_of(dump)
    before = int(stamps[0]) - interval_ns if last is None else last
    steps = np.diff(stamps, prepend=before)
    text = "a candle repeats, or is earlier than the row above"
    found.mark(Severity.ERROR, "time-back", text, steps <= 0, rows, stamps)
    text = "candles are missing before this one"
    found.mark(Severity.WARNING, "missing-bars", text, steps > interval_ns, rows, stamps)


def _check_sheets(path: Path, timezone: str) -> list[Finding]:
    """Check a table: candles, a listing of a market, or values of an index."""
    if is_listing(path):
        listing = read_listing(path)
        found = Findings(str(path), listing.sheet.unit)
        _check_values(found, listing.sheet)
        again = np.sort(listing.codes)
        repeated = int((again[1:] == again[:-1]).sum())
        if repeated:
            found.add(Severity.ERROR, "duplicate", "a code is listed twice", count=repeated)
        return found.all()
    index_id = index_id_of(path)
    if index_id is None:
        check_priced(read_first_names(path), path)
        large = is_large(path)
        return check_sheets(
            path, sheets_of(path, timezone) if large else [read_sheet(path, timezone)]
        )
    sheets = read_index(path, index_id, timezone)
    return [each for _, sheet in sheets for each in _check_series(sheet)]


def _check_series(sheet: Sheet) -> list[Finding]:
    found = Findings(str(sheet.path), sheet.unit)
    rows, stamps = sheet.line, sheet.time_ns
    empty = _is_null(sheet.columns["close"])
    found.mark(Severity.NOTE, "no-price", "a row without a value", empty, rows, stamps)
    steps = np.diff(stamps, prepend=stamps[0] - 1)
    text = "earlier than the row above"
    found.mark(Severity.ERROR, "time-back", text, steps < 0, rows, stamps)
    _check_repeated(found, sheet.columns, steps == 0, rows, stamps)
    return found.all()


def _check_values(found: Findings, sheet: Sheet) -> None:
    """Check what each row says by itself."""
    rows, stamps = sheet.line, sheet.time_ns
    empty = np.logical_or.reduce([_is_null(sheet.columns[name]) for name in PRICES])
    found.mark(Severity.NOTE, "no-price", "a row without a price", empty, rows, stamps)
    columns = sheet.columns
    traded = ~mask(_equals_zero(columns["volume"]))
    for name in PRICES:
        priced = np.flatnonzero(traded | mask(_below_zero(columns[name])))
        check_prices(
            found, name, columns[name].take(pa.array(priced)), rows[priced], stamps[priced]
        )
    enclosed = {name: columns[name].filter(pa.array(traded)) for name in PRICES}
    check_ranges(found, enclosed, rows[traded], stamps[traded])
    check_volumes(found, columns["volume"], rows, stamps)


def check_sheets(path: Path, sheets: Iterable[Sheet]) -> list[Finding]:
    """Check a table of candles, given whole or in chunks of it."""
    checking = None
    for sheet in sheets:
        checking = checking or _TableCheck(path, sheet)
        checking.add(sheet)
    if checking is None:
        raise BadInput(f"{path} holds no rows: give a table with at least two.")
    return checking.found.all()


class _TableCheck:
    """A table of candles on its way through the rules; its first chunk tells the interval."""

    def __init__(self, path: Path, first: Sheet) -> None:
        self.found = Findings(str(path), first.unit)
        self._above: Sheet | None = None
        stamps = first.time_ns
        self._newest_first = len(stamps) > 2 and bool((np.diff(stamps) < 0).all())
        self._interval_ns = infer_interval(first) if len(stamps) > 1 else 0
        self._phase = int(np.median(stamps % self._interval_ns)) if self._interval_ns else 0
        daily_share = self._interval_ns == DAY_NS and KRX_NAME.match(path.name)
        self._jumps = Jumps(self.found) if daily_share and not self._newest_first else None
        if self._newest_first:
            self.found.add(Severity.NOTE, "newest-first", "rows come newest first")

    def add(self, sheet: Sheet) -> None:
        """Check the next rows."""
        found, columns, rows, stamps = self.found, sheet.columns, sheet.line, sheet.time_ns
        _check_values(found, sheet)
        above, self._above = self._above, last_row(sheet)
        whole = sheet if above is None else joined(above, sheet)
        steps = np.diff(whole.time_ns, prepend=whole.time_ns[0] - 1)
        if not self._newest_first:
            back, text = steps < 0, "earlier than the row above"
            found.mark(Severity.ERROR, "time-back", text, back, whole.line, whole.time_ns)
        _check_repeated(found, whole.columns, steps == 0, whole.line, whole.time_ns)
        if self._jumps is not None:
            good = ~mask(_equals_zero(columns["volume"])) & ~mask(_below_one(columns["open"]))
            opens, closes = (columns[name].filter(pa.array(good)) for name in ("open", "close"))
            limits = daily_limits(stamps[good])
            if good.any():
                self._jumps.add(opens, closes, limits, rows[good], stamps[good])
        if 0 < self._interval_ns < DAY_NS:
            off = (stamps % self._interval_ns) != self._phase
            text = "a time off the interval's grid"
            found.mark(Severity.WARNING, "off-interval", text, off, rows, stamps)


def _check_repeated(
    found: Findings, columns: Mapping[str, pa.Array], same: Mask, rows: Ints, stamps: Ints
) -> None:
    """Tell rows that repeat the one above from rows that contradict it."""
    differs = np.zeros(len(rows), np.bool_)
    for column in columns.values():
        above = pa.concat_arrays([column[:1], column[:-1]])
        differs |= mask(pc.not_equal(column, above))
    text = "the row above again"
    found.mark(Severity.WARNING, "duplicate", text, same & ~differs, rows, stamps)
    text = "other values for the time of the row above"
    found.mark(Severity.ERROR, "contradiction", text, same & differs, rows, stamps)


_FORMS: tuple[tuple[Callable[[Path], bool], Callable[[Path], list[Finding]]], ...] = (
    (is_recorded_csv, _check_csv),
    (looks_like_recording, _check_recording),
    (looks_like_frames, _check_frames),
)


def _equals_zero(column: pa.Array) -> pa.Array:
    return pc.equal(column, pa.scalar(0, pa.int64()).cast(column.type))


def _below_zero(column: pa.Array) -> pa.Array:
    return pc.less(column, pa.scalar(0, pa.int64()).cast(column.type))


def _below_one(column: pa.Array) -> pa.Array:
    """Mark what is no price to compare: empty, 0 or less."""
    zero = pa.scalar(0, pa.int64()).cast(column.type)
    return pc.fill_null(pc.less_equal(column, zero), fill_value=True)


def _is_null(column: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False), np.bool_)
