"""Frames to values: which function reads which TR, record by record.

Rule: one record that cannot be read is a value too (BadRecord); its neighbours are kept.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec
from nautilus_trader.model import InstrumentId, OrderBookDepth, QuoteTick

from adapters.kis.errors import BadRecord
from adapters.kis.fields import NOTICE_TRS
from adapters.kis.frames import Frame
from adapters.kis.market import (
    ExpectedTrade,
    IndexValue,
    MarketStatus,
    Notice,
    expected_trades,
    index_values,
    market_statuses,
    notices,
)
from adapters.kis.registrations import Stream
from adapters.kis.ticks import Expected, TickReader, Trades, seoul_day

TRADES, BOOK = "H0STCNT0", "H0STASP0"

type Reading = (
    Trades
    | QuoteTick
    | OrderBookDepth
    | Expected
    | IndexValue
    | MarketStatus
    | ExpectedTrade
    | Notice
    | BadRecord
)

_RECORDS: dict[str, Callable[[Frame], Sequence[Reading]]] = {
    "H0UPCNT0": index_values,
    "H0UPANC0": index_values,
    "H0STMKO0": market_statuses,
    "H0STANC0": expected_trades,
    **dict.fromkeys(NOTICE_TRS, notices),
}


class FrameReader:
    """Reads the frames of all streams; remembers the day's volumes of observed symbols.

    ``day`` gives the market's date in Seoul (YYYYMMDD) of a receive time: book frames have none.
    ``trade_quotes`` adds the best bid and ask that trade frames carry.
    """

    def __init__(
        self,
        instrument_ids: Mapping[str, InstrumentId],
        day: Callable[[int], str] = seoul_day,
        *,
        trade_quotes: bool = False,
    ) -> None:
        self._ticks = TickReader(instrument_ids)
        self._day = day
        self._trade_quotes = trade_quotes

    def read(self, frame: Frame, ts_init: int) -> list[Reading]:
        """Return the values of a frame received at ``ts_init`` (UTC nanoseconds)."""
        if frame.layout.tr_id == TRADES:
            found: list[Reading] = [self._ticks.trades(frame, ts_init)]
            if self._trade_quotes:
                found += self._ticks.trade_quotes(frame, ts_init)
            return found
        if len(frame.records) == 1:
            return self._record(frame, ts_init)
        singles = (msgspec.structs.replace(frame, records=[one]) for one in frame.records)
        return [value for single in singles for value in self._record(single, ts_init)]

    def left(self, stream: Stream) -> None:
        """Take in that a stream is no longer observed: a volume missed from now on is no gap."""
        if stream.tr_id == TRADES:
            self._ticks.forget(stream.key)

    def _record(self, frame: Frame, ts_init: int) -> list[Reading]:
        tr_id = frame.layout.tr_id
        try:
            if tr_id == BOOK:
                return self._book(frame, ts_init)
            read = _RECORDS.get(tr_id)
            if read is not None:
                return list(read(frame))
        except BadRecord as error:
            return [error]
        return [BadRecord(f"A frame of {tr_id} came, which is prepared and not enabled.")]

    def _book(self, frame: Frame, ts_init: int) -> list[Reading]:
        day = self._day(ts_init)
        found: list[Reading] = [self._ticks.depth(frame, day, ts_init)]
        quote = self._ticks.quote(frame, day, ts_init)
        expected = self._ticks.expected(frame, day)
        return found + [each for each in (quote, expected) if each is not None]
