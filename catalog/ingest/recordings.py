"""Reads raw Binance WebSocket recordings as trades, quotes, bars and book deltas, both times kept.

Rule: ``ts_init`` is the receive time. Where a line was received before the one above it (a clock
that was set back), it counts as received with the line above and is counted. ``ts_event`` is the
venue's time (``T``, else ``E``; a spot bookTicker has none: the receive time), and may lie after
``ts_init`` where the local clock is behind. Depth becomes deltas from its snapshot on, in the
order ``catalog.book.DepthSync`` gives it. A candle counts once it is finished: a bar stamped at its
close, like every bar of a catalog, so that it merges with those of dumps and of trades. What a
second connection sent again counts once.
"""

import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson
from nautilus_trader.model import InstrumentId

from catalog.book import DepthDiff, DepthSnapshot
from catalog.ingest.candles import parse_interval
from catalog.ingest.instruments import Grid
from catalog.ingest.recorded_lines import (
    OnBytes,
    first_line,
    is_cut,
    is_time,
    lines_of,
    received_ns,
)
from catalog.ingest.recorded_rows import DepthStream, RowStream, close_streams
from catalog.ingest.repeats import Seen, meets
from catalog.store import Import
from strategies.errors import BadInput, InvariantBroken
from strategies.markets import binance
from strategies.markets.sessions import DAY_NS
from strategies.ports import StreamKind

type Frame = dict[str, Any]
_MS = 1_000_000
_MICROS_FROM = 10**14
"""Times of frames are milliseconds, or microseconds where the stream was asked for them."""

_SPOT_DECIMALS = 8
_WAITING_MOST = 1 << 19
"""Frames of all symbols together that wait in memory."""

_NOT_OF_THE_MARKET = ("NA", "INSURANCE_FUND", "ADL")
"""Kinds of USD-M trades that Binance counts in no aggregate and no candle."""

_EARLY_MOST = 64
_SYMBOL = re.compile(rb"[?&]symbol=([A-Z0-9_]+)")


class Market(StrEnum):
    """Which Binance market a recording is of: they name their symbols alike."""

    SPOT = "spot"
    USDM = "usdm"


@dataclass(slots=True)
class Recorded:
    """What one recording became."""

    frames: int = 0
    rows: int = 0
    topics: list[tuple[StreamKind, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Answer:
    """A recorded REST answer to a depth request."""

    market: Market
    symbol: str
    received: int
    frame: Frame


type _Rows = RowStream | DepthStream


class Recording:
    """One recording on its way into an import."""

    def __init__(
        self,
        batch: Import,
        path: Path,
        market: Market | None,
        grid: Grid,
        answers: Sequence[Answer] = (),
    ) -> None:
        self.source = ""
        self._batch = batch
        self._path = path
        self._market = market
        self._given = market is not None
        self._grid = grid
        self._answers = sorted(answers, key=lambda answer: answer.received)
        self._waiting: dict[str, list[Answer]] = {}  # by symbol: none of its frames came yet
        self._streams: dict[tuple[str, str], _Rows] = {}
        self._names: dict[bytes, str] = {}  # by stream address: each is looked at once
        self._candles: dict[tuple[str, str], int] = {}  # close of the last one taken
        self._seen: dict[tuple[str, str], Seen] = {}
        self._early: list[DepthSnapshot] = []  # snapshots before the first depth frame
        self._skipped: Counter[str] = Counter()
        self._buffered = 0
        self._back = 0
        self._last = 0
        self._frames = 0
        self._cut = 0

    def read(self, on_bytes: OnBytes) -> Recorded:
        """Read all lines; ``on_bytes`` is told how many bytes of the file were read."""
        number = 0
        wrong: BadInput | None = None
        for number, line in enumerate(lines_of(self._path, on_bytes), 1):
            if number == 1 and line.startswith(b"ws"):
                self._infer(line)
                continue
            if len(line) <= 1 and not line.strip():
                continue
            if wrong is not None:
                raise wrong
            try:
                self._line(line)
            except (ValueError, KeyError, TypeError) as error:
                wrong = BadInput(
                    f"{self._path}, line {number}: {line[:60].decode('utf-8', 'replace')!r} is no "
                    "frame: write '<ns> <json>' or '<unix seconds>: <json>', one per line."
                )
                if not is_cut(line):
                    raise wrong from error
        # A recorder that was killed leaves half a line at the end; anywhere else it is a defect.
        self._cut = number if wrong is not None else 0
        return self._finish(number)

    def _line(self, line: bytes) -> None:
        head, _, text = line.partition(b" ")
        self._frames += 1
        start = text.find(b'"stream":"', 0, 40)
        if start < 0:
            self._bare(head, orjson.loads(text))
            return
        address = text[start + 10 : text.index(b'"', start + 10)]
        name = self._names.get(address)
        if name is None:
            kind = address.partition(b"@")[2].partition(b"@")[0]
            name = self._names[address] = name_of(kind)
        if name:
            data = orjson.loads(text)["data"]
            if name == "partial":
                data.setdefault("s", address.partition(b"@")[0].decode().upper())
            self.take(name, data, self._arrival(head))
        else:
            kind = address.partition(b"@")[2].partition(b"@")[0].partition(b"_")[0]
            self._skipped[kind.decode() or "other"] += 1

    def _bare(self, head: bytes, frame: Frame) -> None:
        """Take a frame outside a combined stream: a REST snapshot, or a single stream's."""
        if "lastUpdateId" in frame:
            self.take_snapshot(frame, self._arrival(head))
            return
        name = bare_name(frame)
        if name:
            self.take(name, frame, self._arrival(head))
        else:
            self._skipped["other"] += 1

    def _arrival(self, head: bytes) -> int:
        received = received_ns(head)
        if received < self._last:
            self._back += 1
            received = self._last
        self._last = received
        while self._answers and self._market is not None and self._answers[0].received <= received:
            answer = self._answers.pop(0)
            if self._has(answer.symbol):
                self._answer(answer)
            elif received - answer.received < DAY_NS:  # older ones are of another recording
                self._waiting.setdefault(answer.symbol, []).append(answer)
        return received

    def _has(self, symbol: str) -> bool:
        return any(name == symbol for name, _ in self._streams)

    def take(self, name: str, data: Frame, received: int) -> None:
        """Take the data of one frame of the kind ``name``, as ``name_of`` or ``bare_name`` say."""
        if self._market is None:
            self._infer_from(data)
        symbol = data["s"]
        if "_" in symbol:
            self._skipped[f"{name} of expiring or coin-margined contracts"] += 1
            return
        if not self._is_news(name, symbol, data):
            return
        key = f"kline {data['k']['i']}" if name == "kline" else name
        stream = self._streams.get((symbol, key)) or self._open(symbol, key)
        row = _READERS[name](data, received)
        if name == "partial" and isinstance(stream, DepthStream):
            stream.add_snapshot(row)
        else:
            if self._early and name == "depth":
                self._place_early(symbol, row)
            stream.add(row)
        self._buffered += 1
        if stream.full():
            stream.flush()
        if self._buffered >= _WAITING_MOST:
            for each in self._streams.values():
                each.flush()
            self._buffered = 0

    @property
    def skipped(self) -> Counter[str]:
        """How many frames were left out, by kind."""
        return self._skipped

    @property
    def is_empty(self) -> bool:
        """Say whether no frame was taken so far."""
        return not self._streams

    def discard(self) -> None:
        """Throw away what was taken."""
        for stream in self._streams.values():
            stream.writer.discard()

    def _is_news(self, name: str, symbol: str, data: Frame) -> bool:
        """Say whether a frame tells something that is to be kept and was not told before."""
        if name == "kline":
            return self._is_new_candle(symbol, data["k"])
        place = _IDS.get(name)
        if place is None or data.get(place) is None:
            return True
        if name == "trade" and data.get("X") in _NOT_OF_THE_MARKET:
            self._skipped["trade of insurance fund or deleveraging"] += 1
            return False
        seen = self._seen.get((symbol, name))
        if seen is None:
            seen = self._seen[symbol, name] = Seen()
        if seen.again(data[place], is_state=name == "quote"):
            self._skipped[f"repeated {name}"] += 1
            return False
        return True

    def _is_new_candle(self, symbol: str, candle: Frame) -> bool:
        """Say whether a candle is finished, of a fixed length and later than those before."""
        if not candle.get("x"):
            self._skipped["unfinished kline"] += 1
        elif not re.fullmatch(r"\d+[smhdw]", candle["i"]):
            self._skipped[f"kline of {candle['i']}"] += 1
        elif candle["T"] <= self._candles.get((symbol, candle["i"]), 0):
            self._skipped["repeated kline"] += 1
        else:
            self._candles[symbol, candle["i"]] = candle["T"]
            return True
        return False

    def take_snapshot(self, frame: Frame, received: int) -> None:
        """Give a snapshot without a symbol to the one symbol whose depth was recorded so far."""
        symbols = [symbol for symbol, name in self._streams if name == "depth"]
        if len(symbols) == 1:
            self._depth(symbols[0]).add_snapshot(snapshot_of(frame, received))
        elif not symbols and len(self._early) < _EARLY_MOST:
            self._early.append(snapshot_of(frame, received))
        else:
            self._skipped["depth snapshot of no certain symbol"] += 1

    def _place_early(self, symbol: str, diff: DepthDiff) -> None:
        """Give a symbol whose depth goes on from them the snapshots received before it."""
        for each in [each for each in self._early if meets(each, diff)]:
            self._early.remove(each)
            self._depth(symbol).add_snapshot(each)

    def _answer(self, answer: Answer) -> None:
        if answer.market is self._market:
            self._depth(answer.symbol).add_snapshot(snapshot_of(answer.frame, answer.received))

    def _depth(self, symbol: str) -> DepthStream:
        stream = self._streams.get((symbol, "depth")) or self._open(symbol, "depth")
        if not isinstance(stream, DepthStream):
            raise InvariantBroken(f"depth of {symbol} is not kept as depth.")
        return stream

    def _infer(self, address: bytes) -> None:
        if self._market is None:
            self._market = Market.USDM if b"fstream" in address else Market.SPOT

    def _infer_from(self, data: Frame) -> None:
        self._market = market_told(data)

    def _open(self, symbol: str, name: str) -> _Rows:
        name_only, _, interval = name.partition(" ")
        kind = _KINDS[name_only]
        # The market may not be known yet: the topic is given when the stream is closed.
        writer = self._batch.open(kind, symbol)
        stream: _Rows = DepthStream(writer)
        if kind is not StreamKind.DELTAS:
            stream = RowStream(kind, writer, parse_interval(interval) if interval else 0)
        self._streams[symbol, name] = stream
        for answer in self._waiting.pop(symbol, ()):
            self._answer(answer)
        return self._streams[symbol, name]

    def _finish(self, lines: int) -> Recorded:
        if not self._streams:
            raise BadInput(
                f"{self._path}: none of its {lines:,} lines is a trade, aggTrade, bookTicker, "
                "depth frame or finished kline: nothing to import."
            )
        market = self._market
        if market is None:
            raise BadInput(
                f"{self._path}: the frames do not tell spot from USD-M: give --market spot or "
                "--market usdm."
            )
        for answer in self._answers:  # received after the last frame
            if self._has(answer.symbol):
                self._answer(answer)
        if self._early:
            self._skipped["depth snapshot of no certain symbol"] += len(self._early)
        done = self.finish()
        done.notes += self._told(market)
        return done

    def finish(self) -> Recorded:
        """Write the rest and close the streams of a recording whose market is known."""
        market = self._market
        if market is None:
            raise InvariantBroken(f"{self._path}: its market is not known.")
        done = Recorded(self._frames)
        done.notes += self._choose("trade", "aggTrade")
        done.notes += self._choose("depth", "partial", "partial books")
        for stream in self._streams.values():
            stream.finish()
        for symbol in dict.fromkeys(symbol for symbol, _ in self._streams):
            self._close(symbol, market, done)
        for (symbol, _), stream in self._streams.items():
            done.notes += stream.told(symbol)
        return done

    def _choose(self, taken: str, other: str, words: str = "") -> list[str]:
        """Keep one of two streams that say the same of a symbol."""
        both = [symbol for symbol, name in self._streams if name == other]
        both = [symbol for symbol in both if (symbol, taken) in self._streams]
        for symbol in both:
            self._streams.pop((symbol, other)).writer.discard()
        names = ", ".join(both)
        return [f"{taken} taken and {words or other} left out for {names}"] if both else []

    def _close(self, symbol: str, market: Market, done: Recorded) -> None:
        streams = [stream for (name, _), stream in self._streams.items() if name == symbol]
        for result in close_streams(
            self._batch,
            streams,
            instrument_id_of(symbol, market),
            self._grid,
            self._path,
            self.source,
        ):
            done.rows += result.rows
            done.topics.append((result.kind, result.topic))

    def _told(self, market: Market) -> Iterator[str]:
        if not self._given:
            yield f"market {market} told by the frames"
        if self._skipped:
            yield left_out(self._skipped)
        if self._cut:
            yield f"line {self._cut:,}, the last, is cut short and left out"
        if self._back:
            yield f"{self._back:,} frames received before the line above, moved up to it"


def market_told(data: Frame) -> Market | None:
    """Return the market of a frame by fields that only one of them sends, None where none tells."""
    kind = data.get("e")
    if kind is None or "M" in data:
        return Market.SPOT
    if "X" in data or "pu" in data or (kind == "bookTicker" and "T" in data):
        return Market.USDM
    if kind == "kline" and "o" in data["k"]:
        # Spot writes each price with eight decimals, USD-M with those of its tick, seven at most.
        decimals = len(data["k"]["o"].partition(".")[2])
        return Market.SPOT if decimals == _SPOT_DECIMALS else Market.USDM
    return Market.SPOT if kind == "depthUpdate" else None


def left_out(skipped: Mapping[str, int]) -> str:
    """Return a note that names the kinds of frames that are not imported, and how many."""
    parts = [f"{count:,} {kind}" for kind, count in sorted(skipped.items())]
    taken = "trades, quotes, depth and finished candles are imported"
    return f"frames left out: {', '.join(parts)} ({taken})"


def looks_like_recording(path: Path) -> bool:
    """Say whether a file's first line is a recorder's: a stream address, or a time and JSON."""
    line = first_line(path)
    head, _, text = line.partition(b" ")
    return (
        line.startswith((b"ws://", b"wss://"))
        or _is_answer(line)
        or (text.startswith(b"{") and is_time(head))
    )


def is_answers(path: Path) -> bool:
    """Say whether a file records REST answers: ``<url> -> <unix>: <json>`` on each line."""
    return _is_answer(first_line(path))


def _is_answer(line: bytes) -> bool:
    return line.startswith((b"http://", b"https://")) and b" -> " in line


def read_answers(path: Path) -> list[Answer]:
    """Return the depth answers of a file of REST answers. Raises BadInput naming a line."""
    answers = []
    for number, line in enumerate(lines_of(path, lambda _read: None), 1):
        address, _, rest = line.partition(b" -> ")
        if not line.strip() or b"/depth?" not in address:
            continue
        match = _SYMBOL.search(address)
        head, _, text = rest.partition(b" ")
        try:
            frame = orjson.loads(text)
            received = received_ns(head)
            symbol = match[1].decode() if match and "lastUpdateId" in frame else ""
        except ValueError as error:
            raise BadInput(
                f"{path}, line {number} is no recorded answer: write '<url> -> <unix>: <json>'."
            ) from error
        if symbol:
            market = Market.USDM if b"fapi" in address else Market.SPOT
            answers.append(Answer(market, symbol, received, frame))
    return answers


def import_answers(
    batch: Import, path: Path, grid: Grid, taken: Container[tuple[StreamKind, str]]
) -> Recorded:
    """Import a file of answers as snapshots; streams that are taken have them already."""
    answers = read_answers(path)
    done = Recorded(len(answers))
    for market, symbol in dict.fromkeys((each.market, each.symbol) for each in answers):
        instrument_id = instrument_id_of(symbol, market)
        if (StreamKind.DELTAS, str(instrument_id)) in taken:
            continue
        stream = DepthStream(batch.open(StreamKind.DELTAS, symbol))
        for each in answers:
            if (each.market, each.symbol) == (market, symbol):
                stream.add_snapshot(snapshot_of(each.frame, each.received))
        stream.finish()
        for result in close_streams(batch, [stream], instrument_id, grid, path):
            done.rows += result.rows
            done.topics.append((result.kind, result.topic))
    if not answers:
        done.notes.append("no depth answer in it, left out")
    return done


def instrument_id_of(symbol: str, market: Market) -> InstrumentId:
    """Return the id a symbol of Binance has here: ``BTCUSDT-PERP.BINANCE`` or its spot pair."""
    if market is Market.USDM:
        return InstrumentId.from_str(f"{symbol}-PERP.{binance.VENUE_USDM}")
    return InstrumentId.from_str(f"{symbol}.{binance.VENUE_SPOT}")


def snapshot_of(frame: Frame, received: int) -> DepthSnapshot:
    """Return a REST depth answer as a snapshot; spot tells no time, so it counts as received."""
    venue = frame.get("T") or frame.get("E")
    stamp = received if venue is None else venue_ns(venue)
    return DepthSnapshot(frame["lastUpdateId"], stamp, received, frame["bids"], frame["asks"])


def venue_ns(stamp: int) -> int:
    """Return a time of a frame as UTC ns."""
    return stamp * _MS if stamp < _MICROS_FROM else stamp * 1_000


def _partial(data: Frame, received: int) -> DepthSnapshot:
    """Return the best levels, sent as a whole: on USD-M like a diff, on spot like a REST answer."""
    if "bids" in data:
        return snapshot_of(data, received)
    stamp = venue_ns(data.get("T") or data["E"])
    return DepthSnapshot(data["u"], stamp, received, data["b"], data["a"])


def diff_of(data: Frame, received: int) -> DepthDiff:
    """Return a depthUpdate frame as a diff."""
    stamp = venue_ns(data.get("T") or data["E"])
    ids = data["U"], data["u"], data.get("pu")
    return DepthDiff(*ids, stamp, received, data["b"], data["a"])


def _trade(data: Frame, received: int) -> tuple[Any, ...]:
    return data["p"], data["q"], data["m"], data["t"], venue_ns(data["T"]), received


def _kline(data: Frame, _received: int) -> tuple[Any, ...]:
    candle = data["k"]
    prices = (candle[name] for name in "ohlc")
    close = venue_ns(candle["T"] + 1)
    return *prices, candle["v"], close, close


def _agg_trade(data: Frame, received: int) -> tuple[Any, ...]:
    return data["p"], data["q"], data["m"], data["a"], venue_ns(data["T"]), received


def _quote(data: Frame, received: int) -> tuple[Any, ...]:
    venue = data.get("T") or data.get("E")
    stamp = received if venue is None else venue_ns(venue)
    return data["b"], data["a"], data["B"], data["A"], stamp, received


_READERS: dict[str, Callable[[Frame, int], Any]] = {
    "trade": _trade,
    "aggTrade": _agg_trade,
    "quote": _quote,
    "depth": diff_of,
    "partial": _partial,
    "kline": _kline,
}
_IDS = {"trade": "t", "aggTrade": "a", "quote": "u"}
"""Where a frame tells the id that never repeats."""

_KINDS = {
    "trade": StreamKind.TRADES,
    "aggTrade": StreamKind.TRADES,
    "quote": StreamKind.QUOTES,
    "depth": StreamKind.DELTAS,
    "partial": StreamKind.DELTAS,
    "kline": StreamKind.BARS,
}
_NAMES = {
    b"trade": "trade",
    b"aggTrade": "aggTrade",
    b"bookTicker": "quote",
    b"depth": "depth",
    b"depthUpdate": "depth",
    b"kline": "kline",
    **dict.fromkeys((b"depth5", b"depth10", b"depth20"), "partial"),
}


def name_of(kind: bytes) -> str:
    """Return what a stream's address says its frames are, empty where it is not imported."""
    return _NAMES.get(b"kline" if kind.startswith(b"kline_") else kind, "")


def bare_name(frame: Frame) -> str:
    """Return what a frame without its stream's address is, empty where it is not imported."""
    name = _NAMES.get(str(frame.get("e", "")).encode(), "")
    if not name and "e" not in frame and {"u", "s", "b", "B", "a", "A"} <= frame.keys():
        return "quote"
    return name
