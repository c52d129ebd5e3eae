"""Reads raw Binance WebSocket recordings as trades and quotes; venue and receive time are kept.

Rule: ``ts_init`` is the receive time. Where a line was received before the one above it (a clock
that was set back), it counts as received with the line above and is counted. ``ts_event`` is the
venue's time (``T``, else ``E``; a spot bookTicker has none: the receive time), and may lie after
``ts_init`` where the local clock is behind.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model import InstrumentId

from catalog.columns import decimals_needed, from_text, labels, times
from catalog.ingest.instruments import Grid, Needs, resolve
from catalog.layout import MAX_ROW_GROUP, SCHEMAS
from catalog.store import Import, StreamWriter
from strategies.errors import BadInput
from strategies.markets import binance
from strategies.ports import StreamKind

type Frame = dict[str, Any]
type OnBytes = Callable[[int], None]

_BLOCK = 1 << 22
_MS = 1_000_000
_SIDES = ("BUY", "SELL")


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


class _Stream:
    """The rows of one symbol and one kind of frame, flushed to its writer in blocks."""

    def __init__(self, kind: StreamKind, writer: StreamWriter) -> None:
        self.kind = kind
        self.writer = writer
        self.price_decimals = 0
        self.size_decimals = 0
        self.dropped = 0
        self._rows: list[tuple[Any, ...]] = []
        self.add = self._rows.append

    def full(self) -> bool:
        return len(self._rows) >= MAX_ROW_GROUP

    def flush(self) -> None:
        if self._rows:
            table = self._table(list(zip(*self._rows, strict=True)))
            self._rows.clear()
            self.writer.append(table)

    def _table(self, columns: list[tuple[Any, ...]]) -> pa.Table:
        stamps = [times(np.array(column, np.int64)) for column in columns[-2:]]
        if self.kind is StreamKind.TRADES:
            price, size, sold, trade_id = columns[:4]
            numbers = self._numbers((price,), (size,))
            sides = labels(np.array(sold, np.int64), _SIDES)
            ids = pa.array(trade_id, pa.int64()).cast(pa.string())
            arrays = [*numbers, sides, ids, *stamps]
        else:
            arrays = [*self._numbers(columns[:2], columns[2:4]), *stamps]
        table = pa.Table.from_arrays(arrays, schema=SCHEMAS[self.kind])
        return self._only_priced(table)

    def _numbers(self, prices: Any, sizes: Any) -> list[pa.Array]:
        price = [from_text(pa.array(column, pa.string())) for column in prices]
        size = [from_text(pa.array(column, pa.string())) for column in sizes]
        self.price_decimals = max(self.price_decimals, *map(decimals_needed, price))
        self.size_decimals = max(self.size_decimals, *map(decimals_needed, size))
        return price + size

    def _only_priced(self, table: pa.Table) -> pa.Table:
        """Drop rows with a price of 0: an empty side of a book, or an adjustment that no one
        traded."""
        zero = pa.scalar(0, pa.int64()).cast(table.schema.field(0).type)
        names = ("price",) if self.kind is StreamKind.TRADES else ("bid_price", "ask_price")
        good = pc.greater(table.column(names[0]), zero)
        for name in names[1:]:
            good = pc.and_(good, pc.greater(table.column(name), zero))
        kept = table.filter(good)
        self.dropped += table.num_rows - kept.num_rows
        return kept


class Recording:
    """One recording on its way into an import."""

    def __init__(self, batch: Import, path: Path, market: Market | None, grid: Grid) -> None:
        self._batch = batch
        self._path = path
        self._market = market
        self._given = market is not None
        self._grid = grid
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._skipped: Counter[str] = Counter()
        self._back = 0
        self._last = 0
        self._frames = 0

    def read(self, on_bytes: OnBytes) -> Recorded:
        """Read all lines; ``on_bytes`` is told how many bytes of the file were read."""
        number = 0
        for number, line in enumerate(_lines(self._path, on_bytes), 1):
            if number == 1 and line.startswith(b"ws"):
                self._infer(line)
                continue
            try:
                if line.strip():
                    self._line(line)
            except (ValueError, KeyError, TypeError) as error:
                raise BadInput(
                    f"{self._path}, line {number}: {line[:60].decode('utf-8', 'replace')!r} is no "
                    "frame: write '<ns> <json>' or '<unix seconds>: <json>', one per line."
                ) from error
        return self._finish(number)

    def _line(self, line: bytes) -> None:
        head, _, text = line.partition(b" ")
        self._frames += 1
        start = text.find(b'"stream":"', 0, 40)
        kind = (
            text[start + 10 : text.index(b'"', start + 10)].partition(b"@")[2]
            if start >= 0
            else b""
        )
        reader = _READERS.get(kind)
        if reader is None:
            self._skip(kind, text)
            return
        received = _received(head)
        if received < self._last:
            self._back += 1
            received = self._last
        self._last = received
        data: Frame = orjson.loads(text)["data"]
        if self._market is None:
            self._infer_from(data)
        name = "quote" if kind == b"bookTicker" else kind.decode()
        stream = self._streams.get((data["s"], name)) or self._open(data["s"], name)
        stream.add(reader(data, received))
        if stream.full():
            stream.flush()

    def _skip(self, kind: bytes, text: bytes) -> None:
        if not kind:
            frame = orjson.loads(text)
            self._skipped["depth snapshot" if "lastUpdateId" in frame else "other"] += 1
            return
        if self._market is None and kind.startswith(b"depth"):
            self._market = Market.USDM if b'"pu":' in text else Market.SPOT
        self._skipped[kind.decode().partition("@")[0].partition("_")[0]] += 1

    def _infer(self, address: bytes) -> None:
        if self._market is None:
            self._market = Market.USDM if b"fstream" in address else Market.SPOT

    def _infer_from(self, data: Frame) -> None:
        """Tell the market by fields that only one of them sends."""
        kind = data.get("e")
        if kind is None or "M" in data:
            self._market = Market.SPOT
        elif "X" in data or (kind == "bookTicker" and "T" in data):
            self._market = Market.USDM

    def _open(self, symbol: str, name: str) -> _Stream:
        kind = StreamKind.QUOTES if name == "quote" else StreamKind.TRADES
        # The market may not be known yet: the topic is given when the stream is closed.
        stream = _Stream(kind, self._batch.open(kind, symbol))
        self._streams[symbol, name] = stream
        return stream

    def _finish(self, lines: int) -> Recorded:
        if not self._streams:
            raise BadInput(
                f"{self._path}: none of its {lines:,} lines is a trade, aggTrade or bookTicker "
                "frame: nothing to import."
            )
        market = self._market
        if market is None:
            raise BadInput(
                f"{self._path}: the frames do not tell spot from USD-M: give --market spot or "
                "--market usdm."
            )
        done = Recorded(self._frames)
        done.notes += self._choose_trades()
        for stream in self._streams.values():
            stream.flush()
        for symbol in dict.fromkeys(symbol for symbol, _ in self._streams):
            self._close(symbol, market, done)
        done.notes += self._told(market)
        return done

    def _choose_trades(self) -> list[str]:
        both = [symbol for symbol, name in self._streams if name == "aggTrade"]
        both = [symbol for symbol in both if (symbol, "trade") in self._streams]
        for symbol in both:
            self._streams.pop((symbol, "aggTrade")).writer.discard()
        return [f"trade taken and aggTrade left out for {', '.join(both)}"] if both else []

    def _close(self, symbol: str, market: Market, done: Recorded) -> None:
        streams = [stream for (name, _), stream in self._streams.items() if name == symbol]
        price = max(stream.price_decimals for stream in streams)
        size = max(stream.size_decimals for stream in streams)
        instrument_id = _instrument_id(symbol, market)
        instrument, _ = resolve(
            self._batch, instrument_id, self._grid, Needs(price, size), str(self._path)
        )
        for stream in streams:
            stream.writer.topic = str(instrument_id)
            result = stream.writer.close(instrument, self._path.name)
            if result is not None:
                done.rows += result.rows
                done.topics.append((result.kind, result.topic))

    def _told(self, market: Market) -> Iterator[str]:
        if not self._given:
            yield f"market {market} told by the frames"
        if self._skipped:
            parts = [f"{count:,} {kind}" for kind, count in sorted(self._skipped.items())]
            yield f"frames left out: {', '.join(parts)} (trades and quotes are imported)"
        if self._back:
            yield f"{self._back:,} frames received before the line above, moved up to it"
        if dropped := sum(stream.dropped for stream in self._streams.values()):
            yield f"{dropped:,} frames with a price of 0 dropped"


def looks_like_recording(path: Path) -> bool:
    """Say whether a file's first line is a recorder's: a stream address, or a time and JSON."""
    try:
        with path.open("rb") as raw:
            line = _unpacked(path, raw).readline(4096)
    except (OSError, EOFError, zlib.error):
        return False
    head, _, text = line.partition(b" ")
    return line.startswith((b"ws://", b"wss://")) or (
        text.startswith(b"{") and head.rstrip(b":").replace(b".", b"", 1).isdigit()
    )


def _unpacked(path: Path, raw: BufferedReader) -> gzip.GzipFile | BufferedReader:
    return gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw


def _lines(path: Path, on_bytes: OnBytes) -> Iterator[bytes]:
    """Yield the lines of a file, a block at a time. Raises BadInput where it is cut short."""
    rest = b""
    with path.open("rb") as raw:
        file = _unpacked(path, raw)
        while block := _block(path, file):
            lines = (rest + block).split(b"\n")
            rest = lines.pop()
            yield from lines
            on_bytes(raw.tell())
    if rest:
        yield rest


def _block(path: Path, file: gzip.GzipFile | BufferedReader) -> bytes:
    try:
        return file.read(_BLOCK)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(
            f"{path} cannot be unpacked to its end ({error}): copy it again whole."
        ) from error


def _received(head: bytes) -> int:
    """Return ns from ``1723161255088156767`` or ``1633998512.0633569:``."""
    if head[-1:] != b":":
        return int(head)
    seconds, _, rest = head[:-1].partition(b".")
    return int(seconds) * 1_000_000_000 + int(rest[:9].ljust(9, b"0") or b"0")


def _instrument_id(symbol: str, market: Market) -> InstrumentId:
    if market is Market.USDM:
        return InstrumentId.from_str(f"{symbol}-PERP.{binance.VENUE_USDM}")
    return InstrumentId.from_str(f"{symbol}.{binance.VENUE_SPOT}")


def _trade(data: Frame, received: int) -> tuple[Any, ...]:
    return data["p"], data["q"], data["m"], data["t"], data["T"] * _MS, received


def _agg_trade(data: Frame, received: int) -> tuple[Any, ...]:
    return data["p"], data["q"], data["m"], data["a"], data["T"] * _MS, received


def _quote(data: Frame, received: int) -> tuple[Any, ...]:
    venue_ms = data.get("T") or data.get("E")
    stamp = received if venue_ms is None else venue_ms * _MS
    return data["b"], data["a"], data["B"], data["A"], stamp, received


_READERS: dict[bytes, Callable[[Frame, int], tuple[Any, ...]]] = {
    b"trade": _trade,
    b"aggTrade": _agg_trade,
    b"bookTicker": _quote,
}
