"""What strategies ask about the past, as engine values: bars of minutes and days, today's trades.

Rule: only bars that are over are given, stamped at their close; longer bars are folded from KIS's
minutes as the live ones are from trades. ``ts_init`` is ``ts_event``: the engine cuts an answer to
the span that was asked by it.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from nautilus_trader.model import (
    Bar,
    BarType,
    BookOrder,
    BookType,
    InstrumentId,
    OrderBook,
    OrderSide,
    Price,
    Quantity,
    TradeTick,
)

from adapters.kis.bar_desk import GRACE_NS, bar_of, spans_of
from adapters.kis.bar_fold import AUCTION_LATEST_NS, Candle, Days, Steps
from adapters.kis.gateway import KisGateway
from adapters.kis.history import DAY_CLOSE, MINUTE_NS, daily_bars, trade_ticks
from adapters.kis.past import Past
from adapters.kis.replies import PastBar
from adapters.kis.ticks import Seconds, seoul_day, seoul_time
from strategies.errors import BadInput
from strategies.markets.sessions import Session

DAYS_ASKED = 100
MINUTES_ASKED = 120
"""Bars given where neither a start nor a limit is asked: one of KIS's pages."""
_MOST_DAYS, _DAYS_BACK = 366, 14
_LAST_MINUTE = "235900"


class PastData:
    """Answers for one node; errors of the tree are the caller's."""

    def __init__(self, gateway: KisGateway, past: Past, sessions: Sequence[Session]) -> None:
        self._gateway = gateway
        self._past = past
        self._sessions = tuple(sessions)
        self._seconds = Seconds()

    async def bars(
        self, bar_type: BarType, start_ns: int | None, end_ns: int | None, limit: int | None
    ) -> list[Bar]:
        """Return bars that end within [start, end], the newest ``limit``, oldest first.

        Raises BadInput for bars that KIS has no past of.
        """
        spans = spans_of(bar_type, self._sessions or (Session(0, 1),))
        # KIS may show the last minute before all of its trades are in it
        now_ns = self._gateway.ago(GRACE_NS)
        end_ns = now_ns if end_ns is None else min(end_ns, now_ns)
        if isinstance(spans, Days):
            bars = await self._days(bar_type, start_ns, end_ns, limit)
        elif isinstance(spans, Steps) and spans.interval_ns % MINUTE_NS == 0:
            bars = await self._minutes(bar_type, spans, start_ns, end_ns, limit)
        else:
            why = spans if isinstance(spans, str) else "KIS has bars of minutes and days"
            raise BadInput(f"{bar_type} cannot be asked for: {why}.")
        chosen = [bar for bar in bars if bar.ts_event <= end_ns and bar.ts_event >= (start_ns or 0)]
        return chosen[-limit:] if limit else chosen

    async def trades(
        self,
        instrument_id: InstrumentId,
        start_ns: int | None,
        end_ns: int | None,
        limit: int | None,
    ) -> list[TradeTick]:
        """Return today's trades within [start, end], the newest ``limit``, oldest first.

        KIS keeps those of today only, and does not say who was the aggressor.
        """
        now_ns = self._gateway.market_ns()
        end_ns = now_ns if end_ns is None else min(end_ns, now_ns)
        day = seoul_day(now_ns)
        if seoul_day(end_ns) != day:
            return []
        since = "000000"
        if start_ns is not None and seoul_day(start_ns) == day:
            since = seoul_time(start_ns)
        code = instrument_id.symbol.value
        found = await self._past.trades(code, seoul_time(end_ns), since=since, most=limit)
        times = (self._seconds.at(day, one.time) for one in found)
        ticks = [
            tick
            for one, ts_ns in zip(found, times, strict=True)
            for tick in trade_ticks(instrument_id, day, [one], ts_ns)
        ]
        chosen = [t for t in ticks if (start_ns or 0) <= t.ts_event <= end_ns]
        return chosen[-limit:] if limit else chosen

    async def book(self, instrument_id: InstrumentId) -> OrderBook:
        """Return a symbol's ten levels as they are now."""
        levels = await self._past.book(instrument_id.symbol.value)
        ts_event = self._seconds.at(self._gateway.day(), levels.time)
        book = OrderBook(instrument_id, BookType.L2_MBP)
        for side, rows in ((OrderSide.BUY, levels.bids), (OrderSide.SELL, levels.asks)):
            for price, shares in rows:
                order = BookOrder(side, Price.from_int(price), Quantity.from_int(shares), price)
                book.add(order, 0, 0, ts_event)
        return book

    # --- inside ---

    async def _days(
        self, bar_type: BarType, start_ns: int | None, end_ns: int, limit: int | None
    ) -> list[Bar]:
        last = seoul_day(end_ns)
        if start_ns is None:
            # two in seven are no trading days, and holidays come in rows
            first = _days_before(last, 2 * (limit or DAYS_ASKED) + 14)
        else:
            first = seoul_day(start_ns)
        code = bar_type.instrument_id.symbol.value
        found = []
        for past in await self._past.days(code, first, last):
            close = self._close_of(past.day)
            closed_ns = self._seconds.at(past.day, close)
            if closed_ns + AUCTION_LATEST_NS <= self._gateway.ago(GRACE_NS):
                found += daily_bars(bar_type, [past], closed_ns, close=close)
        return found

    def _close_of(self, day: str) -> str:
        """Return when a day closes (HHMMSS): as its session says, else at the usual time."""
        for session in self._sessions:
            if seoul_day(session.open_ns) == day:
                return seoul_time(session.close_ns)
        return DAY_CLOSE

    async def _minutes(
        self,
        bar_type: BarType,
        spans: Steps,
        start_ns: int | None,
        end_ns: int,
        limit: int | None,
    ) -> list[Bar]:
        """Fold minutes day by day, the newest day first, until there are enough."""
        step = spans.interval_ns // MINUTE_NS
        wanted = (limit or MINUTES_ASKED) * step
        # from the beginning of the first bar that ends at or after the start
        since_ns = spans.start(spans.number(start_ns - 1)) if start_ns is not None else None
        first = seoul_day(since_ns) if since_ns is not None else ""
        code, found = bar_type.instrument_id.symbol.value, list[PastBar]()
        day = newest = seoul_day(end_ns)
        for _ in range(_DAYS_BACK if since_ns is None else _MOST_DAYS):
            since = seoul_time(since_ns) if since_ns is not None and day == first else "000000"
            until = seoul_time(end_ns) if day == newest else _LAST_MINUTE
            is_today = day == self._gateway.day()
            minutes = await self._past.minutes(code, day, since, until, is_today=is_today)
            found = [*minutes, *found]
            if day <= first or (since_ns is None and len(found) >= wanted):
                break
            day = _days_before(day, 1)
        return self._folded(bar_type, spans, found)

    def _folded(self, bar_type: BarType, spans: Steps, minutes: Sequence[PastBar]) -> list[Bar]:
        """Join minutes, oldest first, to the bars that are over by now."""
        candles: dict[int, Candle] = {}
        for place, bar in enumerate(minutes):
            number = spans.number(self._seconds.at(bar.day, bar.time))
            one = Candle(bar.open, bar.high, bar.low, bar.close, bar.volume, place, place)
            candles[number] = candles[number].joined(one) if number in candles else one
        ends = ((spans.end(number), candle) for number, candle in candles.items())
        return [bar_of(bar_type, end_ns, candle, end_ns) for end_ns, candle in ends]


def _days_before(day: str, count: int) -> str:
    return f"{date.fromisoformat(day) - timedelta(days=count):%Y%m%d}"
