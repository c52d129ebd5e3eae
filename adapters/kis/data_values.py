"""KIS's records as engine values that are neither trades nor books: index, status, auctions, polls.

Rule: pure; what KIS sends without a date or time is dated by its receive time.
"""

from nautilus_trader.model import (
    BookAction,
    DataType,
    IndexPriceUpdate,
    InstrumentId,
    InstrumentStatus,
    MarketStatusAction,
    OrderBookDelta,
    OrderBookDeltas,
    OrderBookDepth,
    Price,
)

from adapters.kis.data_events import ExpectedAuction, KisSnapshot, custom
from adapters.kis.market import ExpectedTrade, IndexValue, MarketStatus
from adapters.kis.replies import Snapshot
from adapters.kis.ticks import Expected, Seconds, seoul_day
from strategies.markets import krx
from strategies.messages import Provenance

_SECONDS = Seconds()
_SNAPSHOT, _LAST = 32, 128
"""Flags of the engine: part of a whole book, and the end of one event."""


def deltas_of(depth: OrderBookDepth) -> OrderBookDeltas:
    """Return ten levels as a book's deltas: KIS sends whole books, so each clears the one before.

    It is the form in which the catalog keeps books, so that a decider hears the same live.
    """
    instrument_id, at = depth.instrument_id, (0, depth.ts_event, depth.ts_init)
    levels = [each for each in (*depth.bids, *depth.asks) if each.size.raw]
    clear = OrderBookDelta.clear(instrument_id, *at)
    ends = clear.flags | (0 if levels else _LAST)
    rows = [OrderBookDelta(instrument_id, BookAction.CLEAR, clear.order, ends, *at)]
    for number, level in enumerate(levels, 1):
        flags = _SNAPSHOT | (_LAST if number == len(levels) else 0)
        rows.append(OrderBookDelta(instrument_id, BookAction.ADD, level, flags, *at))
    return OrderBookDeltas(instrument_id, rows)


def expected_of_book(expected: Expected, received_ns: int) -> ExpectedAuction:
    """Return the expected price that a book frame told."""
    return custom(
        ExpectedAuction,
        expected.ts_event,
        received_ns,
        instrument_id=expected.instrument_id,
        price=int(expected.price.as_decimal()),
        quantity=int(expected.quantity.as_decimal()),
        phase=expected.phase,
    )


def expected_of_trade(
    instrument_id: InstrumentId, expected: ExpectedTrade, received_ns: int
) -> ExpectedAuction:
    """Return the expected price that a frame of H0STANC0 told. Raises ValueError for its date."""
    day = expected.day or seoul_day(received_ns)
    return custom(
        ExpectedAuction,
        _SECONDS.at(day, expected.time),
        received_ns,
        instrument_id=instrument_id,
        price=expected.price,
        quantity=expected.quantity,
        phase=expected.phase,
    )


def index_price(index: IndexValue, received_ns: int) -> IndexPriceUpdate:
    """Return a value of an index; its id is the index's code at KRX. Raises ValueError."""
    return IndexPriceUpdate(
        InstrumentId.from_str(f"{index.code}.{krx.VENUE}"),
        Price.from_str(f"{index.value:f}"),
        _SECONDS.at(seoul_day(received_ns), index.time),
        received_ns,
    )


POLLED_EVERY_MS = 1_000


def every_ns(data_type: DataType) -> int | None:
    """Return how far apart (wall time) a snapshot is wanted, by metadata ``every_ms``."""
    text = str((data_type.metadata or {}).get("every_ms", POLLED_EVERY_MS))
    return int(text) * 1_000_000 if text.isascii() and text.isdigit() else None


def polled(instrument_id: InstrumentId, snapshot: Snapshot, now_ns: int) -> KisSnapshot:
    """Return one symbol of a price poll, marked as polled."""
    return custom(
        KisSnapshot,
        now_ns,
        now_ns,
        instrument_id=instrument_id,
        price=snapshot.price,
        bid=snapshot.bid,
        ask=snapshot.ask,
        bid_quantity=snapshot.bid_quantity,
        ask_quantity=snapshot.ask_quantity,
        volume=snapshot.volume,
        turnover=snapshot.turnover,
        open=snapshot.open,
        high=snapshot.high,
        low=snapshot.low,
        expected_volume=snapshot.expected_volume,
        phase=snapshot.phase,
        provenance=Provenance.POLLED.value,
    )


def status_change(
    instrument_id: InstrumentId, status: MarketStatus, received_ns: int
) -> InstrumentStatus:
    """Return a change of status; KIS gives no time of it."""
    stopped = status.halted or status.in_vi or status.action is MarketStatusAction.HALT
    is_trading = False if stopped else status.action is MarketStatusAction.TRADING or None
    return InstrumentStatus(
        instrument_id,
        status.action,
        received_ns,
        received_ns,
        reason=status.reason or None,
        trading_event=status.words or status.operation or None,
        is_trading=is_trading,
    )
