"""Trade and book records to the engine's TradeTick, QuoteTick and OrderBookDepth.

Rule: integers from text to engine value; a record that holds an impossible value is refused alone
and named, its neighbours are kept. Times are KIS's own: whole seconds of Seoul.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec
from nautilus_trader.model import (
    AggressorSide,
    BookOrder,
    InstrumentId,
    OrderBookDepth,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    TradeId,
    TradeTick,
)

from adapters.kis.errors import BadRecord
from adapters.kis.fields import LAYOUTS
from adapters.kis.frames import Frame, Record
from strategies.markets.facts import RAW_ONE

SECOND = 1_000_000_000
SEOUL_AHEAD_S = 9 * 3600
"""Seoul is UTC+9 the year round; the API's times name no zone."""

PRICE_MOST = 10**9
QUANTITY_MOST = 10**12
"""Far above any won price or share count (the dearest share stood near 1.5 million won): what is
larger was damaged on its way."""

_TRADE, _BOOK = LAYOUTS["H0STCNT0"], LAYOUTS["H0STASP0"]
_CODE, _TIME, _PRICE = _TRADE.index("mksc_shrn_iscd"), _TRADE.index("stck_cntg_hour"), 2
_ASK, _BID = _TRADE.index("askp1"), _TRADE.index("bidp1")
_VOLUME, _DAY_VOLUME = _TRADE.index("cntg_vol"), _TRADE.index("acml_vol")
_SIDE, _DATE = _TRADE.index("ccld_dvsn"), _TRADE.index("bsop_date")
_ASK_SIZE, _BID_SIZE = _TRADE.index("askp_rsqn1"), _TRADE.index("bidp_rsqn1")
_BOOK_TIME, _BOOK_PHASE = _BOOK.index("bsop_hour"), _BOOK.index("hour_cls_code")
_ASKS, _BIDS = _BOOK.index("askp1"), _BOOK.index("bidp1")
_ASK_SIZES, _BID_SIZES = _BOOK.index("askp_rsqn1"), _BOOK.index("bidp_rsqn1")
_BOOK_END = _BOOK.index("total_askp_rsqn")
_ANTC_PRICE, _ANTC_SIZE = _BOOK.index("antc_cnpr"), _BOOK.index("antc_cnqn")

_SIDES = {
    "1": AggressorSide.BUY,
    "5": AggressorSide.SELL,
    "3": AggressorSide.NO_AGGRESSOR,
    "": AggressorSide.NO_AGGRESSOR,
}
"""CCLD_DVSN: 1 buy-initiated, 5 sell-initiated, 3 auction; another sign names no side, and
the trade counts: a stream that is refused whole would look like a quiet one."""

CONTINUOUS = "0"
"""HOUR_CLS_CODE of continuous trading; A, B, C and D are auctions (expected prices)."""


@dataclass(frozen=True, slots=True)
class VolumeGap:
    """The day's volume moved by more than the trades delivered: ``missing`` shares were not seen.

    A negative ``missing`` is a trade that was delivered before.
    """

    instrument_id: InstrumentId
    missing: int
    after_volume: int
    ts_event: int


class Trades(msgspec.Struct, frozen=True):
    """What one trade frame held."""

    ticks: list[TradeTick]
    gaps: list[VolumeGap]
    refused: list[BadRecord]


@dataclass(frozen=True, slots=True)
class Expected:
    """The price and quantity an auction would trade at now."""

    instrument_id: InstrumentId
    price: Price
    quantity: Quantity
    phase: str
    ts_event: int


_SECONDS = {f"{second:02d}": second * SECOND for second in range(60)}
_MINUTES_KEPT = 8_192


class Seconds:
    """Seoul dates and times of day as UTC nanoseconds; minutes once read are remembered."""

    def __init__(self) -> None:
        self._minutes: dict[str, int] = {}

    def at(self, day: str, time: str) -> int:
        """Return the nanoseconds of YYYYMMDD and HHMMSS. Raises ValueError."""
        try:
            return self._minutes[day + time[:4]] + _SECONDS[time[4:]]
        except KeyError:
            return self._read(day, time)

    def _read(self, day: str, time: str) -> int:
        if len(time) != 6 or time[4:] not in _SECONDS or not _is_digits(time[:4]):
            raise ValueError(f"{time[:12]!r} is no time HHMMSS")
        hour, minute = int(time[:2]), int(time[2:4])
        if hour > 23 or minute > 59:
            raise ValueError(f"{time!r} is no time HHMMSS")
        if len(self._minutes) >= _MINUTES_KEPT:
            self._minutes.clear()
        started = day_ns(day) + (hour * 60 + minute) * 60 * SECOND
        self._minutes[day + time[:4]] = started
        return started + _SECONDS[time[4:]]


def day_ns(day: str) -> int:
    """Return midnight in Seoul of YYYYMMDD as UTC nanoseconds. Raises ValueError."""
    if len(day) != 8 or not _is_digits(day):
        raise ValueError(f"{day[:12]!r} is no date YYYYMMDD")
    midnight = datetime(int(day[:4]), int(day[4:6]), int(day[6:]), tzinfo=UTC)
    if not 1990 <= midnight.year < 2200:
        raise ValueError(f"{day!r} is no trading day")
    return (int(midnight.timestamp()) - SEOUL_AHEAD_S) * SECOND


def seoul_day(ts_ns: int) -> str:
    """Return the date in Seoul, YYYYMMDD, of UTC nanoseconds."""
    days = (ts_ns // SECOND + SEOUL_AHEAD_S) // 86_400
    return (date(1970, 1, 1) + timedelta(days=days)).strftime("%Y%m%d")


def seoul_time(ts_ns: int) -> str:
    """Return the time of day in Seoul, HHMMSS, of UTC nanoseconds."""
    second = (ts_ns // SECOND + SEOUL_AHEAD_S) % 86_400
    return f"{second // 3600:02d}{second // 60 % 60:02d}{second % 60:02d}"


def trade_id(day: str, day_volume: int) -> TradeId:
    """Return the id of the trade that brought the day's volume to ``day_volume``.

    KIS numbers no trades; the running volume is unique within a day and symbol, and a trade
    repaired by a query gets the same id as the one that was streamed.
    """
    return TradeId(f"{day}-{day_volume}")


class TickReader:
    """Turns frames into engine values for the instruments it was given, by short code."""

    def __init__(self, instrument_ids: Mapping[str, InstrumentId]) -> None:
        self._ids = instrument_ids
        self._seconds = Seconds()
        self._volumes: dict[str, tuple[str, int]] = {}

    def trades(self, frame: Frame, ts_init: int) -> Trades:
        """Return the trades of an ``H0STCNT0`` frame (or its NXT and unified kin) in their order.

        A symbol's first trade after ``forget`` begins its volume check; ``refused`` names the
        records that could not be read.
        """
        ticks: list[TradeTick] = []
        gaps: list[VolumeGap] = []
        refused: list[BadRecord] = []
        for record in frame.records:
            try:
                ticks.append(self._trade(record, ts_init, gaps))
            except (ValueError, KeyError, OverflowError) as error:
                refused.append(_bad(frame, record, error))
        return Trades(ticks, gaps, refused)

    def forget(self, code: str) -> None:
        """Begin the volume check of a symbol anew, after it was not observed for a while."""
        self._volumes.pop(code, None)

    def trade_quotes(self, frame: Frame, ts_init: int) -> list[QuoteTick]:
        """Return the best bid and ask that the last trade record of each symbol carries.

        Sides without orders and records that cannot be read give none.
        """
        last = {record[_CODE]: record for record in frame.records}
        quotes = []
        for record in last.values():
            try:
                texts = record[_BID], record[_ASK], record[_BID_SIZE], record[_ASK_SIZE]
                ts_event = self._seconds.at(record[_DATE], record[_TIME])
                quote = _quote(self._ids[record[_CODE]], texts, ts_event, ts_init)
            except (ValueError, KeyError, OverflowError):
                continue  # trades() refuses the same record by name
            if quote is not None:
                quotes.append(quote)
        return quotes

    def depth(self, frame: Frame, day: str, ts_init: int) -> OrderBookDepth:
        """Return the ten levels of an ``H0STASP0`` frame on ``day`` (the TR has no date).

        Levels without a price are left out. Raises BadRecord.
        """
        record = frame.records[-1]
        try:
            instrument_id = self._ids[record[_CODE]]
            _check_levels(record)
            return OrderBookDepth(
                instrument_id,
                bids := _side(OrderSide.BUY, record, _BIDS, _BID_SIZES),
                asks := _side(OrderSide.SELL, record, _ASKS, _ASK_SIZES),
                [1] * len(bids),
                [1] * len(asks),
                0,
                0,
                self._seconds.at(day, record[_BOOK_TIME]),
                ts_init,
            )
        except (ValueError, KeyError, OverflowError) as error:
            raise _bad(frame, record, error) from None

    def quote(self, frame: Frame, day: str, ts_init: int) -> QuoteTick | None:
        """Return a book frame's best bid and ask; None in auctions and without two sides.

        Raises BadRecord.
        """
        record = frame.records[-1]
        try:
            instrument_id = self._ids[record[_CODE]]
            ts_event = self._seconds.at(day, record[_BOOK_TIME])
            texts = record[_BIDS], record[_ASKS], record[_BID_SIZES], record[_ASK_SIZES]
            if record[_BOOK_PHASE] != CONTINUOUS:
                return None
            return _quote(instrument_id, texts, ts_event, ts_init)
        except (ValueError, KeyError, OverflowError) as error:
            raise _bad(frame, record, error) from None

    def expected(self, frame: Frame, day: str) -> Expected | None:
        """Return a book frame's expected auction price, None outside auctions.

        Raises BadRecord.
        """
        record = frame.records[-1]
        try:
            price = _number(record[_ANTC_PRICE], PRICE_MOST)
            if record[_BOOK_PHASE] == CONTINUOUS or not price:
                return None
            return Expected(
                self._ids[record[_CODE]],
                Price.from_int(price),
                Quantity.from_int(_number(record[_ANTC_SIZE], QUANTITY_MOST)),
                record[_BOOK_PHASE],
                self._seconds.at(day, record[_BOOK_TIME]),
            )
        except (ValueError, KeyError, OverflowError) as error:
            raise _bad(frame, record, error) from None

    def _trade(self, record: Record, ts_init: int, gaps: list[VolumeGap]) -> TradeTick:
        code, day = record[_CODE], record[_DATE]
        instrument_id = self._ids[code]
        price_text, volume_text, total_text = record[_PRICE], record[_VOLUME], record[_DAY_VOLUME]
        if not _is_digits(price_text + volume_text + total_text) or len(record[_SIDE]) > 1:
            raise ValueError("price, volume or side holds other signs than KIS's")
        price, volume, total = int(price_text), int(volume_text), int(total_text)
        if not (0 < price <= PRICE_MOST and 0 < volume <= total <= QUANTITY_MOST):
            raise ValueError(f"{volume} shares at {price} won, {total} in the day")
        ts_event = self._seconds.at(day, record[_TIME])
        tick = TradeTick.from_raw(
            instrument_id,
            price * RAW_ONE,
            0,
            volume * RAW_ONE,
            0,
            _SIDES.get(record[_SIDE], AggressorSide.NO_AGGRESSOR),
            TradeId(f"{day}-{total}"),
            ts_event,
            ts_init,
        )
        last = self._volumes.get(code)
        self._volumes[code] = (day, total)
        if last is not None and last[0] == day and total - last[1] != volume:
            gaps.append(VolumeGap(instrument_id, total - last[1] - volume, last[1], ts_event))
        return tick


def _is_digits(text: str) -> bool:
    """Tell whether a text is plain digits; ``int`` also takes ``1_0`` and other scripts."""
    return text.isascii() and text.isdigit()


def _check_levels(record: Record) -> None:
    if not _is_digits("".join(record[_ASKS:_BOOK_END])):
        raise ValueError("a price or size holds other signs than digits")


def _number(text: str, most: int) -> int:
    if not _is_digits(text):
        raise ValueError(f"{text[:20]!r} is no number")
    value = int(text)
    if value > most:
        raise ValueError(f"{value} is larger than anything KRX trades")
    return value


def _side(side: OrderSide, record: Record, prices: int, sizes: int) -> list[BookOrder]:
    """Return the levels of one side that hold orders; texts are plain digits already."""
    price_column = [int(text) for text in record[prices : prices + 10]]
    size_column = [int(text) for text in record[sizes : sizes + 10]]
    if max(price_column) > PRICE_MOST or max(size_column) > QUANTITY_MOST:
        raise ValueError("a price or size is larger than anything KRX trades")
    price_of, quantity_of = Price.from_int, Quantity.from_int
    return [
        BookOrder(side, price_of(price), quantity_of(size), 0)
        for price, size in zip(price_column, size_column, strict=True)
        if price and size
    ]


def _quote(
    instrument_id: InstrumentId, texts: tuple[str, str, str, str], ts_event: int, ts_init: int
) -> QuoteTick | None:
    bid, ask = _number(texts[0], PRICE_MOST), _number(texts[1], PRICE_MOST)
    bid_size, ask_size = _number(texts[2], QUANTITY_MOST), _number(texts[3], QUANTITY_MOST)
    if not (bid and ask and bid_size and ask_size):
        return None
    return QuoteTick(
        instrument_id,
        Price.from_int(bid),
        Price.from_int(ask),
        Quantity.from_int(bid_size),
        Quantity.from_int(ask_size),
        ts_event,
        ts_init,
    )


def _bad(frame: Frame, record: Record, error: Exception) -> BadRecord:
    what = f"the unknown code {error}" if isinstance(error, KeyError) else str(error)
    return BadRecord(f"A record of {frame.layout.tr_id} for {record[_CODE][:12]!r}: {what}.")
