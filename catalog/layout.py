"""The engine's Parquet layout: where each stream lies, what its files are called and hold.

Rule: this is knowledge of names and shapes only; reading and writing is the store's.
Checked against ParquetDataCatalog of nautilus_trader 2.0.0rc7.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pyarrow as pa
from nautilus_trader.model import InstrumentId

from strategies.ports import StreamKind

MAX_ROW_GROUP = 65_536
"""Rows per row group: the unit a chunked replay reads."""

RAW = pa.decimal128(38, 16)
"""Prices and sizes: the engine's raw integers with their scale of 16."""

TIME = pa.timestamp("ns", "UTC")
LABEL = pa.dictionary(pa.int8(), pa.string())

_TIMES = (("ts_event", TIME), ("ts_init", TIME))
_COLUMNS: Mapping[StreamKind, tuple[tuple[str, pa.DataType], ...]] = {
    StreamKind.TRADES: (
        ("price", RAW),
        ("size", RAW),
        ("aggressor_side", LABEL),
        ("trade_id", pa.string()),
        *_TIMES,
    ),
    StreamKind.QUOTES: (
        ("bid_price", RAW),
        ("ask_price", RAW),
        ("bid_size", RAW),
        ("ask_size", RAW),
        *_TIMES,
    ),
    StreamKind.BARS: (
        *((name, RAW) for name in ("open", "high", "low", "close", "volume")),
        *_TIMES,
    ),
    StreamKind.DELTAS: (
        ("action", LABEL),
        ("side", LABEL),
        ("price", RAW),
        ("size", RAW),
        ("order_id", pa.uint64()),
        ("flags", pa.uint8()),
        ("sequence", pa.uint64()),
        *_TIMES,
    ),
    StreamKind.FUNDING: (
        ("rate", pa.string()),
        ("interval", pa.uint64()),
        ("next_funding_ns", TIME),
        *_TIMES,
        ("identifier", pa.string()),
    ),
}
_NULLABLE = {
    StreamKind.DELTAS: {"price", "size"},
    StreamKind.FUNDING: {"interval", "next_funding_ns", "identifier"},
}

SCHEMAS: Mapping[StreamKind, pa.Schema] = {
    kind: pa.schema(
        [pa.field(name, kept, name in _NULLABLE.get(kind, ())) for name, kept in columns]
    )
    for kind, columns in _COLUMNS.items()
}

FOLDERS: Mapping[StreamKind, str] = {
    StreamKind.TRADES: "trades",
    StreamKind.QUOTES: "quotes",
    StreamKind.BARS: "bars",
    StreamKind.DELTAS: "order_book_deltas",
    StreamKind.FUNDING: "funding_rates",
}
INSTRUMENT_FOLDERS = ("equity", "crypto_perpetual", "currency_pair", "index_instrument")
"""Where the engine keeps definitions of instruments, one folder per type."""

TYPE_NAMES: Mapping[StreamKind, str] = {
    StreamKind.TRADES: "TradeTick",
    StreamKind.QUOTES: "QuoteTick",
    StreamKind.BARS: "Bar",
    StreamKind.DELTAS: "OrderBookDelta",
    StreamKind.FUNDING: "FundingRateUpdate",
}

SOURCE_KEY = "onetape_source"
"""File metadata of ours beside the engine's: where the rows came from."""

_BAR_TYPE = re.compile(r"^(?P<id>.+)-\d+-[A-Z]+-[A-Z]+-[A-Z]+$")
_NAME = re.compile(
    r"^(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-(\d{9})Z_(\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d)-(\d{9})Z$"
)
_SECOND_NS = 1_000_000_000


def folder(root: Path, kind: StreamKind, topic: str) -> Path:
    """Return the folder of one stream; ``topic`` is an instrument id, or a bar type for bars."""
    return root / "data" / FOLDERS[kind] / topic


def file_name(first_ns: int, last_ns: int) -> str:
    """Name a file by the first and last ``ts_init`` in it, both inclusive."""
    return f"{_stamp(first_ns)}_{_stamp(last_ns)}.parquet"


@lru_cache(maxsize=1 << 16)
def file_span(name: str) -> tuple[int, int] | None:
    """Return (first, last) in ns from a file name, or None where it is not one of the layout."""
    match = _NAME.match(name.removesuffix(".parquet"))
    if match is None or not name.endswith(".parquet"):
        return None
    first, first_ns, last, last_ns = match.groups()
    return _seconds(first) * _SECOND_NS + int(first_ns), _seconds(last) * _SECOND_NS + int(last_ns)


def instrument_of(kind: StreamKind, topic: str) -> InstrumentId:
    """Return the instrument a stream belongs to. Raises ValueError for a malformed topic."""
    if kind is StreamKind.BARS:
        match = _BAR_TYPE.match(topic)
        if match is None:
            raise ValueError(f"{topic!r} is not a bar type")
        return InstrumentId.from_str(match["id"])
    return InstrumentId.from_str(topic)


def _stamp(ns: int) -> str:
    seconds, rest = divmod(ns, _SECOND_NS)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H-%M-%S}-{rest:09d}Z"


def _seconds(stamp: str) -> int:
    # A catalog of a whole market names thousands of files at each look: strptime is too slow.
    text = f"{stamp[:13]}:{stamp[14:16]}:{stamp[17:]}+00:00"
    return int(datetime.fromisoformat(text).timestamp())
