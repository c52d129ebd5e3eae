"""Reads recordings of KIS frames into the catalog: trades, quotes and ten-level books of shares.

Rule: what the adapter reads live is what is imported. ``ts_init`` is the receive time; where a
frame was kept without one, the venue's time (whole seconds) stands in. Book frames tell no date: it
comes from the receive time, from the record that keeps the frame, or from the user. Notices of an
account and other streams are left out by name.
"""

import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from nautilus_trader.model import (
    AggressorSide,
    InstrumentId,
    OrderBookDepth,
    QuoteTick,
    TradeTick,
)

from adapters.kis.errors import BadRecord, MalformedFrame, ProtocolError
from adapters.kis.frames import Decoder, Frame
from adapters.kis.reading import BOOK, TRADES, FrameReader, Reading
from adapters.kis.ticks import Seconds, Trades, seoul_day
from catalog.book import DepthSnapshot
from catalog.ingest.bars import SEOUL_NS
from catalog.ingest.frames import SORTED_BYTES, SOURCE_MARK, STAND_IN, begins_array, values_of
from catalog.ingest.instruments import Grid
from catalog.ingest.receive_times import received_in, time_ns
from catalog.ingest.recorded_lines import lines_of
from catalog.ingest.recorded_rows import DepthStream, RowStream, close_streams
from catalog.ingest.recordings import Recorded
from catalog.store import Import
from catalog.unpacked import unpacked
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.sessions import DAY_NS
from strategies.ports import StreamKind

type OnBytes = Callable[[int], None]

_HEAD_BYTES = 65_536
_LOOKED_AT = 64
FRAME = re.compile(r"[01]\|(H0[A-Z0-9]{6})\|\d{1,4}\|")
_STAMPED = re.compile(r"\[?([0-9][0-9T:.+\-Z]*?)\]?[:,]?\s+(?=[01]\||\{)")
_CODE = re.compile(r"[0-9A-Z]{6}")
_DAY = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)")
_ANSWER = "answers and pings"
_KEPT_IN = ("frame", "raw", "message", "msg", "data")
_DATED_IN = ("trade_date", "bsop_date", "date", "day")
_SIDES = {AggressorSide.BUY: 0, AggressorSide.SELL: 1, AggressorSide.NO_AGGRESSOR: 2}
_BUFFERED_ROWS = 1 << 18
"""Rows of all shares together that wait in memory."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One message as a file keeps it; ``received`` in UTC ns and ``day`` (YYYYMMDD) if known."""

    line: int
    text: str
    received: int | None
    day: str | None

    @property
    def is_frame(self) -> bool:
        """Say whether the message is a data frame of KIS."""
        return FRAME.match(self.text) is not None


class KisRecordings:
    """The form of KIS recordings, for the importer; ``day`` dates book frames that tell none."""

    def __init__(self, day: str | None = None) -> None:
        self._day = day

    def reads(self, path: Path) -> bool:
        """Say whether a file keeps frames of KIS: one of its first lines does."""
        if path.suffix.lower() == ".zip":
            return False
        try:
            if begins_array(path):
                values = islice(values_of(path, most=_HEAD_BYTES), _LOOKED_AT)
                return any(_from_value(*each).is_frame for each in values)
            with unpacked(path) as (file, _):
                lines = file.read(_HEAD_BYTES).split(b"\n")[:_LOOKED_AT]
        except (BadInput, OSError, EOFError, zlib.error):
            return False
        kept = (_kept(number, line) for number, line in enumerate(lines, 1))
        return any(each is not None and each.is_frame for each in kept)

    def read(self, batch: Import, path: Path, on_bytes: OnBytes) -> Recorded:
        """Read one file into an import. Raises BadInput where nothing in it can be imported."""
        try:
            return _Reading(batch, path, self._day).read(kept_in(path, on_bytes))
        except _OutOfOrderError as disorder:
            disorder.reading.discard()
        if path.stat().st_size > SORTED_BYTES:
            raise BadInput(
                f"{path}: frames are not in order of time, and the file is too large to be sorted "
                "here: sort it by time first."
            )
        clock = Clock(self._day)
        ordered = sorted(kept_in(path), key=clock.place)
        return _Reading(batch, path, self._day, is_sorted=True).read(ordered)


def kept_in(path: Path, on_bytes: OnBytes = lambda _read: None) -> Iterator[Kept]:
    """Yield the messages of a file: a frame a line, alone, behind its time or in a JSON record.

    Records may also stand in one array.
    """
    if begins_array(path):
        for number, value in values_of(path, on_bytes):
            yield _from_value(number, value)
        return
    for number, line in enumerate(lines_of(path, on_bytes), 1):
        if (kept := _kept(number, line)) is not None:
            yield kept


def _kept(number: int, line: bytes) -> Kept | None:
    text = line.decode("utf-8", "replace").lstrip("\ufeff").strip()
    if not text:
        return None
    if text.startswith("{"):
        return _from_record(number, text)
    if match := _STAMPED.match(text):
        return Kept(number, text[match.end() :], time_ns(match[1], krx.TIMEZONE), None)
    return Kept(number, text, None, None)


def _from_record(number: int, text: str) -> Kept:
    try:
        return _from_value(number, orjson.loads(text))
    except orjson.JSONDecodeError:
        return Kept(number, text, None, None)


def _from_value(number: int, record: Any) -> Kept:
    """Return the message in a JSON value: a record that keeps it, or an answer of KIS itself."""
    if not isinstance(record, dict):
        return Kept(number, str(record), None, None)
    kept = next((record[name] for name in _KEPT_IN if isinstance(record.get(name), str)), None)
    if kept is None:
        return Kept(number, "{" if "header" in record else str(record), None, None)
    tr_id, count = record.get("tr_id"), record.get("count", 1)
    if isinstance(tr_id, str) and "|" not in kept and isinstance(count, int):
        kept = f"0|{tr_id}|{count:03d}|{kept}"  # kept without its envelope
    days = (_DAY.fullmatch(str(record[name])) for name in _DATED_IN if name in record)
    day = next(("".join(match.groups()) for match in days if match), None)
    return Kept(number, kept, received_in(record, krx.TIMEZONE), day)


class Clock:
    """Tells when the venue sent a frame, by the frame and the day it is known to be of."""

    def __init__(self, day: str | None) -> None:
        self._day = day
        self._days: dict[int, str] = {}
        self._seconds = Seconds()
        self._decoder = Decoder()
        self._last = 0

    def day_of(self, kept: Kept) -> str | None:
        """Return the day of a frame that tells none."""
        if kept.received is None:
            return kept.day or self._day
        number = _day_number(kept.received)
        if number not in self._days:
            self._days[number] = seoul_day(kept.received)
        return self._days[number]

    def venue_ns(self, frame: Frame, day: str | None) -> int:
        """Return the venue's time of a frame's last record. Raises ValueError where it has none."""
        record, layout = frame.records[-1], frame.layout
        if layout.tr_id == TRADES:
            return self._seconds.at(
                record[layout.index("bsop_date")], record[layout.index("stck_cntg_hour")]
            )
        return self._seconds.at(day or "", record[layout.index("bsop_hour")])

    def place(self, kept: Kept) -> int:
        """Return what to sort by: a message without a time stays behind the one above it."""
        match = FRAME.match(kept.text)
        if match is not None and match[1] in (TRADES, BOOK):
            try:
                frame = self._decoder.decode(kept.text)
                if isinstance(frame, Frame):
                    self._last = self.venue_ns(frame, self.day_of(kept))
            except (ProtocolError, ValueError):
                return self._last  # it is counted where it is read
        return self._last


class _OutOfOrderError(Exception):
    """A frame without a receive time is earlier than one of its stream above it."""

    def __init__(self, reading: "_Reading") -> None:
        super().__init__()
        self.reading = reading


class Shares(dict[str, InstrumentId]):
    """Instrument ids by short code; a share's is made when its first frame comes."""

    def __missing__(self, code: str) -> InstrumentId:
        if not _CODE.fullmatch(code):
            raise KeyError(code)
        self[code] = InstrumentId.from_str(f"{code}.{krx.VENUE}")
        return self[code]


type _Rows = RowStream | DepthStream
type _Key = tuple[InstrumentId, str, int]
"""Instrument, what is told of it, and the day in Seoul: days apart must not cover those between."""


class _Reading:
    """One file on its way into an import."""

    def __init__(
        self, batch: Import, path: Path, day: str | None, *, is_sorted: bool = False
    ) -> None:
        self._batch = batch
        self._path = path
        self._is_sorted = is_sorted
        self._clock = Clock(day)
        self._decoder = Decoder()
        self._today = ""
        self._reader = FrameReader(Shares(), lambda _ns: self._today, trade_quotes=True)
        self._streams: dict[_Key, _Rows] = {}
        self._sequence: dict[InstrumentId, int] = {}
        self._skipped: Counter[str] = Counter()
        self._unreadable: list[str] = []
        self._counts: Counter[str] = Counter()
        self._arrived = 0
        self._last: dict[tuple[str, str], int] = {}
        self._waiting = 0

    def read(self, messages: Iterable[Kept]) -> Recorded:
        """Read all messages. Raises BadInput where none is market data."""
        for kept in messages:
            self._counts["frames"] += 1
            try:
                self._message(kept)
            except (ProtocolError, ValueError) as error:
                self._unreadable.append(f"line {kept.line}: {str(error).rstrip('.')}")
            if self._waiting >= _BUFFERED_ROWS:
                self._flush()
        return self._finish()

    def discard(self) -> None:
        """Throw away what was read."""
        for stream in self._streams.values():
            stream.writer.discard()

    def _message(self, kept: Kept) -> None:
        match = FRAME.match(kept.text)
        if kept.text.startswith("{"):
            self._skipped[_ANSWER] += 1
        elif match is None:
            raise ValueError(f"{kept.text[:24]!r} is no frame of KIS")
        elif match[1] not in (TRADES, BOOK):
            self._skipped[match[1]] += 1
        else:
            self._frame(kept)

    def _frame(self, kept: Kept) -> None:
        frame = self._decoder.decode(kept.text)
        if not isinstance(frame, Frame):
            raise MalformedFrame("The frame is cut short.")
        day = self._clock.day_of(kept)
        is_book = frame.layout.tr_id == BOOK
        if is_book and day is None:
            self._counts["undated"] += 1
            return
        self._today = day or ""
        stamp = self._stamp(kept, frame, day)
        for value in self._reader.read(frame, stamp):
            self._take(value, kept, is_book=is_book)

    def _stamp(self, kept: Kept, frame: Frame, day: str | None) -> int:
        """Return when a frame was received, or the venue's time; neither goes back."""
        if kept.received is not None:
            self._counts["moved"] += kept.received < self._arrived
            self._arrived = max(self._arrived, kept.received, *self._last.values(), 0)
            self._last.clear()
            return self._arrived
        self._counts["stand-in"] += 1
        stamp = self._clock.venue_ns(frame, day)
        if self._arrived:  # other frames of the file tell when they were received
            self._arrived = max(self._arrived, stamp)
            return self._arrived
        key = (frame.layout.tr_id, frame.records[-1][0])
        if stamp < self._last.get(key, 0):
            raise _OutOfOrderError(self)
        self._last[key] = stamp
        return stamp

    def _take(self, value: Reading, kept: Kept, *, is_book: bool) -> None:
        if isinstance(value, Trades):
            for tick in value.ticks:
                self._add(tick.instrument_id, "trades", _trade_row(tick))
            for gap in value.gaps:
                self._counts["gaps"] += 1
                self._counts["missing"] += abs(gap.missing)
            self._unreadable += [f"line {kept.line}: {str(each)[:-1]}" for each in value.refused]
        elif isinstance(value, QuoteTick):
            if value.bid_price.raw >= value.ask_price.raw:
                self._counts["crossed"] += 1
            else:
                name = "quotes" if is_book else "quotes of trades"
                self._add(value.instrument_id, name, _quote_row(value))
        elif isinstance(value, OrderBookDepth):
            self._book(value)
        elif isinstance(value, BadRecord):
            self._unreadable.append(f"line {kept.line}: {str(value).rstrip('.')}")

    def _add(self, instrument_id: InstrumentId, name: str, row: tuple[Any, ...]) -> None:
        key = (instrument_id, name, _day_number(row[-1]))
        stream = self._streams.get(key)
        if stream is None:
            kind = StreamKind.TRADES if name == "trades" else StreamKind.QUOTES
            stream = RowStream(kind, self._batch.open(kind, str(instrument_id)))
            self._streams[key] = stream
        if isinstance(stream, RowStream):
            stream.add(row)
            self._waiting += 1

    def _book(self, depth: OrderBookDepth) -> None:
        """Take a book as a snapshot; a crossed one, as of an auction, holds no price to act on."""
        bids, asks = _levels(depth.bids), _levels(depth.asks)
        if bids and asks and depth.bids[0].price.raw >= depth.asks[0].price.raw:
            self._counts["crossed"] += 1
            return
        key = (depth.instrument_id, "book", _day_number(depth.ts_init))
        stream = self._streams.get(key)
        if not isinstance(stream, DepthStream):
            kind = StreamKind.DELTAS
            stream = DepthStream(self._batch.open(kind, str(depth.instrument_id)))
            self._streams[key] = stream
        # KIS numbers no books: the time does, made unique where several came at once.
        number = max(depth.ts_init, self._sequence.get(depth.instrument_id, 0) + 1)
        self._sequence[depth.instrument_id] = number
        stream.add_snapshot(DepthSnapshot(number, depth.ts_event, depth.ts_init, bids, asks))
        self._waiting += 1 + len(bids) + len(asks)

    def _flush(self) -> None:
        for stream in self._streams.values():
            stream.flush()
        self._waiting = 0

    def _finish(self) -> Recorded:
        self._choose_quotes()
        if not self._streams:
            raise BadInput(
                f"{self._path} holds no trade or book of KIS to import: "
                f"{'; '.join(self._told()) or 'it is empty'}."
            )
        done = Recorded(self._counts["frames"])
        source = self._path.name
        if self._counts["stand-in"]:
            done.notes.append(STAND_IN)
            source = f"{source} ({SOURCE_MARK})"
        for instrument_id in dict.fromkeys(each for each, _, _ in self._streams):
            streams = [stream for key, stream in self._streams.items() if key[0] == instrument_id]
            for stream in streams:
                stream.finish()
            for result in close_streams(
                self._batch, streams, instrument_id, Grid(), self._path, source
            ):
                done.rows += result.rows
                done.topics.append((result.kind, result.topic))
            done.notes += self._mixed(instrument_id)
        done.notes += self._told()
        return done

    def _choose_quotes(self) -> None:
        """Take quotes of trade frames only for days of a share whose books were not recorded."""
        for instrument_id, name, day in list(self._streams):
            if name == "quotes of trades" and (instrument_id, "quotes", day) in self._streams:
                self._streams.pop((instrument_id, name, day)).writer.discard()

    def _mixed(self, instrument_id: InstrumentId) -> Iterator[str]:
        known = self._batch.instrument(instrument_id)
        if known is not None and (known.info or {}).get("adjusted"):
            yield (
                f"{instrument_id} stays marked as adjusted in the catalog though these prices are "
                "unadjusted: do not use both in one run"
            )

    def _told(self) -> Iterator[str]:
        counts = self._counts
        if self._is_sorted:
            yield "frames not in order of time, sorted"
        if self._skipped:
            parts = (f"{count:,} {kind}" for kind, count in sorted(self._skipped.items()))
            yield f"left out: {', '.join(parts)} (trades and books of KRX shares are imported)"
        if counts["undated"]:
            yield (
                f"{counts['undated']:,} book frames without a date left out: give their day, as in "
                "--day 2026-09-22"
            )
        if self._unreadable:
            count, first = len(self._unreadable), self._unreadable[0]
            yield f"{count:,} frames or records cannot be read, left out (the first, {first})"
        if counts["crossed"]:
            yield f"{counts['crossed']:,} books or quotes with the bid at or above the ask left out"
        if counts["gaps"]:
            yield (
                f"{counts['gaps']:,} gaps in the day's volume: {counts['missing']:,} shares were "
                "traded in trades that are not there"
            )
        if counts["moved"]:
            yield f"{counts['moved']:,} frames received before the line above, moved up to it"


def _day_number(ts_ns: int) -> int:
    """Return the number of a day in Seoul."""
    return (ts_ns + SEOUL_NS) // DAY_NS


def _trade_row(tick: TradeTick) -> tuple[Any, ...]:
    side, trade_id = _SIDES[tick.aggressor_side], tick.trade_id.value
    return str(tick.price), str(tick.size), side, trade_id, tick.ts_event, tick.ts_init


def _quote_row(quote: QuoteTick) -> tuple[Any, ...]:
    prices = str(quote.bid_price), str(quote.ask_price)
    return *prices, str(quote.bid_size), str(quote.ask_size), quote.ts_event, quote.ts_init


def _levels(orders: Iterable[Any]) -> list[tuple[str, str]]:
    return [(str(each.price), str(each.size)) for each in orders if each.size.raw]
