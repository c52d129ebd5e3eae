"""Reads Binance frames that were kept without their receive times: the venue's times stand in.

Rule: one JSON value a line, or one array; a frame may lie in a record, and where that tells when it
was received, it counts. A frame without any time (a spot bookTicker) is left out, as are frames of
accounts and orders and all that is no trade, quote, depth or finished candle; each is counted by
its kind.
"""

import codecs
import io
import json
import re
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

from catalog.ingest.instruments import Grid
from catalog.ingest.receive_times import received_in
from catalog.ingest.recordings import (
    Frame,
    Market,
    Recorded,
    Recording,
    bare_name,
    left_out,
    market_told,
    name_of,
    venue_ns,
)
from catalog.store import Import
from catalog.unpacked import unpacked
from strategies.errors import BadInput

type OnBytes = Callable[[int], None]

STAND_IN = "without receive times: the venue's times stand in for them"
SOURCE_MARK = "venue times as receive times"
"""Kept beside the file's name as the origin of the rows."""

BACK_MOST_NS = 10**9
SORTED_BYTES = 32 << 20
"""A file whose frames are not in order of time is sorted in memory up to this size."""

_BLOCK = 1 << 20
_VALUE_BYTES = 16 << 20
_ARRAY = re.compile(rb"(?:\xef\xbb\xbf)?\s*\[\s*[{\[\"]")
_KEPT_IN = ("frame", "raw", "message", "msg", "data")
_LOOKED_AT = 20


def looks_like_frames(path: Path) -> bool:
    """Say whether one of a file's first JSON values is, or keeps, a frame of Binance."""
    try:
        for _, value in islice(values_of(path, most=_BLOCK), _LOOKED_AT):
            if any(isinstance(frame, dict) and _is_frame(frame) for frame, _ in frames_in(value)):
                return True
    except BadInput:
        return False
    return False


def _is_frame(frame: Frame) -> bool:
    event = frame.get("e")
    streamed = isinstance(frame.get("stream"), str) and "data" in frame
    return isinstance(event, str) or streamed or "lastUpdateId" in frame or bool(bare_name(frame))


def begins_array(path: Path) -> bool:
    """Say whether a file begins with a JSON array."""
    try:
        with unpacked(path) as (file, _):
            return _ARRAY.match(file.peek(64)[:64]) is not None
    except (BadInput, OSError, EOFError, zlib.error, zipfile.BadZipFile):
        return False


def values_of(
    path: Path,
    on_bytes: OnBytes = lambda _read: None,
    block: int = _BLOCK,
    most: int = _VALUE_BYTES,
) -> Iterator[tuple[int, Any]]:
    """Yield the JSON values of a file with their number: its lines, or the elements of its array.

    Raises BadInput naming the value that is none, or is longer than ``most`` characters.
    """
    try:
        with unpacked(path) as (file, raw):
            head = file.peek(block)[:block].lstrip(b"\xef\xbb\xbf \t\r\n")
            if head[:1] not in (b"{", b"["):
                return
            first = head.split(b"\n", 1)[0]
            try:
                is_lines = isinstance(orjson.loads(first), dict) or b"\n" in head.rstrip()
            except orjson.JSONDecodeError:
                is_lines = False
            values = _lines(path, file, most) if is_lines else _stream(path, file, block, most)
            for number, value in enumerate(values, 1):
                if number % 1_000 == 0:
                    on_bytes(raw.tell())
                yield number, value
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise BadInput(f"{path} cannot be unpacked ({error}): copy it again whole.") from error


def _lines(path: Path, file: io.BufferedReader, most: int) -> Iterator[Any]:
    for number, line in enumerate(iter(lambda: file.readline(most), b""), 1):
        if text := line.strip():
            try:
                yield orjson.loads(text.removeprefix(b"\xef\xbb\xbf"))
            except orjson.JSONDecodeError as error:
                shown = text[:60].decode("utf-8", "replace")
                raise BadInput(
                    f"{path}, line {number}: {shown!r} is no JSON: write one frame per line."
                ) from error


def _stream(path: Path, file: io.BufferedReader, block: int, most: int) -> Iterator[Any]:
    """Yield the elements of an array, or values that follow each other over several lines."""
    decode = json.JSONDecoder().raw_decode
    utf8 = codecs.getincrementaldecoder("utf-8")("replace")
    text, place, number, more = "", 0, 0, True
    while True:
        while place < len(text) and text[place] in " \t\r\n,[]\ufeff":
            place += 1
        if place < len(text):
            try:
                value, place = decode(text, place)
            except ValueError as error:
                if not more or len(text) - place > most:
                    raise BadInput(
                        f"{path}, value {number + 1} is no JSON or is cut short: copy it again."
                    ) from error
            else:
                number += 1
                yield value
                continue
        if not more:
            return
        chunk = file.read(block)
        more = bool(chunk)
        text, place = text[place:] + utf8.decode(chunk), 0


def frames_in(value: Any, received: int | None = None) -> Iterator[tuple[Any, int | None]]:
    """Yield the frames in a value, and when each was received (UTC ns) where that is told.

    A value is a frame, an array of them, or a record that keeps one as text or as an object.
    """
    if isinstance(value, list):
        for each in value:
            yield from frames_in(each, received)
        return
    name = _keeps(value) if isinstance(value, dict) else ""
    if isinstance(value, dict) and "e" not in value:
        told = received_in(value)
        received = received if told is None else told
    if not name:
        yield value, received
        return
    kept = value[name]
    try:
        kept = orjson.loads(kept) if isinstance(kept, str) else kept
    except orjson.JSONDecodeError:
        yield kept, received
    else:
        yield from frames_in(kept, received)


def _keeps(record: Frame) -> str:
    """Return the name under which a record keeps a frame, empty where it is one itself."""
    if "e" in record or "stream" in record:
        return ""
    return next((name for name in _KEPT_IN if isinstance(record.get(name), str | dict | list)), "")


class _OutOfOrderError(Exception):
    """A frame is earlier than one above it by more than clocks of one venue differ."""


class BareFrames:
    """One file of bare frames on its way into an import; markets may be mixed in it."""

    def __init__(self, batch: Import, path: Path, market: Market | None, grid: Grid) -> None:
        self._batch = batch
        self._path = path
        self._market = market
        self._grid = grid
        self._begin()

    def read(self, on_bytes: OnBytes) -> Recorded:
        """Read all frames. Raises BadInput where none is market data."""
        sorted_frames = 0
        try:
            for _, value in values_of(self._path, on_bytes):
                self._take_all(frames_in(value))
        except _OutOfOrderError:
            for recording in self._recordings.values():
                recording.discard()
            self._begin()
            sorted_frames = self._read_sorted()
        return self._finish(sorted_frames)

    def _begin(self) -> None:
        self._recordings: dict[Market, Recording] = {}
        self._last: dict[tuple[Market, str, str], int] = {}
        self._skipped: Counter[str] = Counter()
        self._frames = 0
        self._moved = 0
        self._stood_in = 0

    def _read_sorted(self) -> int:
        if self._path.stat().st_size > SORTED_BYTES:
            raise BadInput(
                f"{self._path}: frames are not in order of time, and the file is too large to be "
                "sorted here: sort it by time first."
            )
        frames = [each for _, value in values_of(self._path) for each in frames_in(value)]
        last, stamps = 0, []
        for frame, received in frames:
            # A frame without a time, as a snapshot, stays behind the one above it.
            last = received or sent_ns(data_of(frame)[1]) or last
            stamps.append(last)
        order = sorted(range(len(frames)), key=stamps.__getitem__)
        self._take_all(frames[place] for place in order)
        return sum(place != i for i, place in enumerate(order))

    def _take_all(self, frames: Iterator[tuple[Any, int | None]]) -> None:
        for frame, received in frames:
            self._frames += 1
            try:
                self._take(frame, received)
            except (KeyError, TypeError, ValueError):
                self._skipped["unreadable"] += 1

    def _take(self, frame: Any, received: int | None) -> None:
        name, data = data_of(frame)
        if isinstance(data, list):
            self._frames -= 1
            self._take_all((each, received) for each in data)
        elif not isinstance(data, dict):
            self._skipped["other"] += 1
        elif name != "partial" and "lastUpdateId" in data and "s" not in data:
            self._snapshot(data, received)
        elif not name:
            self._skipped[_kind(frame, data)] += 1
        elif "_" in data["s"]:
            self._skipped[f"{name} of expiring or coin-margined contracts"] += 1
        elif received is None and not sent_ns(data):
            self._skipped[f"{name} without a time"] += 1
        elif market := self._market or market_told(data) or _market_of_trade(name, data):
            self._put(market, name, data, received)
        else:
            self._skipped[f"{name} of no certain market"] += 1

    def _snapshot(self, frame: Frame, received: int | None) -> None:
        """Give a snapshot to the one symbol whose depth came so far, as received with it."""
        depths = [key for key in self._last if key[2] == "depth"]
        if len(depths) == 1:
            key = depths[0]
            self._last[key] = max(self._last[key], received or sent_ns(frame))
            self._recordings[key[0]].take_snapshot(frame, self._last[key])
        else:
            self._skipped["depth snapshot of no certain symbol"] += 1

    def _put(self, market: Market, name: str, data: Frame, received: int | None) -> None:
        key = (market, data["s"], f"{name} {data['k']['i']}" if name == "kline" else name)
        last = self._last.get(key, 0)
        stamp = sent_ns(data) if received is None else received
        if received is None and stamp < last - BACK_MOST_NS:
            raise _OutOfOrderError
        self._stood_in += received is None
        self._moved += stamp < last
        self._last[key] = max(stamp, last)
        if market not in self._recordings:
            self._recordings[market] = Recording(self._batch, self._path, market, self._grid)
        self._recordings[market].take(name, data, self._last[key])

    def _finish(self, sorted_frames: int) -> Recorded:
        done = Recorded(self._frames, notes=[STAND_IN] if self._stood_in else [])
        some = False
        for recording in self._recordings.values():
            self._skipped += recording.skipped
            if recording.is_empty:
                continue
            some = True
            if self._stood_in:
                recording.source = f"{self._path.name} ({SOURCE_MARK})"
            part = recording.finish()
            done.rows += part.rows
            done.topics += part.topics
            done.notes += part.notes
        if not some:
            told = left_out(self._skipped) if self._skipped else "it holds no frame"
            raise BadInput(f"{self._path} holds no market data to import: {told}.")
        if self._market is None:
            told = " and ".join(sorted(self._recordings))
            done.notes.append(f"market {told} told by the frames")
        if sorted_frames:
            done.notes.append(f"{sorted_frames:,} frames not in order of time, sorted")
        if self._moved:
            done.notes.append(f"{self._moved:,} frames earlier than one above, moved up to it")
        if self._skipped:
            done.notes.append(left_out(self._skipped))
        return done


def sent_ns(data: Any) -> int:
    """Return when the venue sent a frame, else when what it tells happened; 0 where it is mute."""
    stamp = (data.get("E") or data.get("T") or 0) if isinstance(data, dict) else 0
    return venue_ns(stamp) if isinstance(stamp, int) else 0


def data_of(frame: Any) -> tuple[str, Any]:
    """Return what a frame is, empty where it is not imported, and its data without envelope."""
    if not isinstance(frame, dict):
        return "", frame
    if "stream" not in frame or "data" not in frame:
        return bare_name(frame), frame
    symbol, _, kind = str(frame["stream"]).partition("@")
    name = name_of(kind.partition("@")[0].encode())
    if name == "partial" and isinstance(frame["data"], dict):
        return name, {"s": symbol.upper()} | frame["data"]
    return name, frame["data"]


def _kind(frame: Any, data: Any) -> str:
    """Name the kind of a frame that is left out: its stream tells more than its event."""
    if not isinstance(frame, dict) or not isinstance(data, dict):
        return "other"
    stream = str(frame.get("stream", "")).partition("@")[2].partition("@")[0]
    told = next((name for name in ("error", "result") if name in frame), "other")
    event = str(data.get("e") or told)
    return f"{event} ({stream})" if event == "depthUpdate" and stream else event


def _market_of_trade(name: str, data: Frame) -> Market | None:
    """Tell a trade's market by the field that spot always sends."""
    return Market.USDM if name in ("trade", "aggTrade") and "M" not in data else None
