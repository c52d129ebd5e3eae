"""What the data client tells besides market data: gaps, refusals and what the socket went through.

Rule: a gap says what is missing and how much; what was repaired carries its trades, marked, and is
never handed out as a live tick. Money and shares in custom data are integers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nautilus_trader.model import InstrumentId, TradeTick, register_custom_data_class
from nautilus_trader.model.custom import customdataclass

from adapters.kis.errors import BadRecord
from adapters.kis.frames import WidthChange
from adapters.kis.registrations import Acked, Stream
from adapters.kis.socket import Link, Unreadable
from strategies.messages import Provenance


class Observed(StrEnum):
    """What of a symbol is observed."""

    TRADES = "trades"
    BOOK = "book"
    BARS = "bars"


@dataclass(frozen=True, slots=True)
class GapFound:
    """A span (market time, ns UTC) in which data was not streamed.

    ``missing_quantity`` is the shares traded that were not streamed: repaired ones where
    ``provenance`` is REPAIRED (``trades`` holds them, oldest first), lost ones where it is
    MISSING. None where nobody can tell, as for books. A gap of BARS is one bar: REPAIRED where it
    was built with KIS's help, MISSING where it is withheld; its quantity is the bar's, if known.
    """

    instrument_id: InstrumentId
    from_ns: int
    to_ns: int
    missing_quantity: int | None
    provenance: Provenance
    observed: Observed = Observed.TRADES
    trades: tuple[TradeTick, ...] = ()


@dataclass(frozen=True, slots=True)
class SlotsShort:
    """More is wanted than KIS registers: ``left_out`` wait until others leave."""

    left_out: tuple[Stream, ...]
    registrations: int


@dataclass(frozen=True, slots=True)
class NotServed:
    """Something asked for that is not given, with the reason in words."""

    subject: str
    why: str


@dataclass(frozen=True, slots=True)
class Doubled:
    """A trade that was delivered before came again and was dropped."""

    instrument_id: InstrumentId
    trade_id: str


type DataEvent = (
    WidthChange | BadRecord | Unreadable | Link | Acked | SlotsShort | NotServed | Doubled
)
type OnGap = Callable[[GapFound], None]
type OnEvent = Callable[[DataEvent], None]


@customdataclass
class ExpectedAuction:
    """What an auction would trade at now: won and shares; ``phase`` is KIS's HOUR_CLS_CODE.

    Subscribe with metadata ``instrument_id`` and the client's id; the book tells it, or, with
    ``tr_id`` H0STANC0, a registration of its own.
    """

    instrument_id: InstrumentId
    price: int
    quantity: int
    phase: str


@customdataclass
class KisSnapshot:
    """One symbol of a price poll: won and shares, best bid and ask only; 0 is "none".

    KIS gives no time: ``ts_event`` is when the answer came. Subscribe with metadata
    ``instrument_id`` and the client's id; ``every_ms`` (wall time, 1,000) says how often at most.
    """

    instrument_id: InstrumentId
    price: int
    bid: int
    ask: int
    bid_quantity: int
    ask_quantity: int
    volume: int
    turnover: int
    open: int
    high: int
    low: int
    expected_volume: int
    phase: str
    provenance: str


for _kind in (ExpectedAuction, KisSnapshot):
    register_custom_data_class(_kind)

EXPECTED_AUCTION, KIS_SNAPSHOT = ExpectedAuction.__name__, KisSnapshot.__name__


def custom[T](kind: type[T], ts_event: int, ts_init: int, **fields: object) -> T:
    """Return a custom data value with its times; the decorator hides them from type checkers."""
    make: Any = kind
    value: T = make(ts_event=ts_event, ts_init=ts_init, **fields)
    return value
