"""What strategies ask about the past, as engine values: bars of minutes and days, today's trades.

Rule: only bars that are over are given, stamped at their close; longer bars are folded from KIS's
minutes as the live ones are from trades.
"""

from collections.abc import Sequence
from datetime import date, timedelta

from nautilus_trader.model import Bar, BarType, InstrumentId, TradeTick

from adapters.kis.bar_desk import bar_of, spans_of
from adapters.kis.bar_fold import Candle, Days, Steps
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
_MOST_DAYS = 366
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
        now_ns = self._gateway.market_ns()
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
        found = await self._past.trades(code, seoul_time(end_ns), since=since)
        ticks = trade_ticks(instrument_id, day, found, self._gateway.stamp_ns())
        chosen = [t for t in ticks if (start_ns or 0) <= t.ts_event <= end_ns]
        return chosen[-limit:] if limit else chosen

    # --- inside ---

    async def _days(
        self, bar_type: BarType, start_ns: int | None, end_ns: int, limit: int | None
    ) -> list[Bar]:
        last = seoul_day(end_ns)
        if start_ns is None:
            first = _days_before(
                last, 2 * (limit or DAYS_ASKED)
            )  # two in seven are no trading days
        else:
            first = seoul_day(start_ns)
        code = bar_type.instrument_id.symbol.value
        ts_init = self._gateway.stamp_ns()
        return [
            bar
            for past in await self._past.days(code, first, last)
            for bar in daily_bars(bar_type, [past], ts_init, close=self._close_of(past.day))
        ]

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
        wanted = (limit or MINUTES_ASKED) * step if start_ns is None else None
        code, found = bar_type.instrument_id.symbol.value, list[PastBar]()
        day, first = seoul_day(end_ns), seoul_day(start_ns) if start_ns is not None else ""
        for _ in range(_MOST_DAYS if start_ns is not None else 14):
            since = seoul_time(start_ns) if start_ns is not None and day == first else "000000"
            until = seoul_time(end_ns) if day == seoul_day(end_ns) else _LAST_MINUTE
            is_today = day == self._gateway.day()
            ask = self._past.minutes if is_today else self._past.past_minutes
            found = [*await ask(code, day, since, until), *found]
            if day <= first or (wanted is not None and len(found) >= wanted):
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
        now_ns, ts_init = self._gateway.market_ns(), self._gateway.stamp_ns()
        return [
            bar_of(bar_type, spans.end(number), candle, ts_init)
            for number, candle in candles.items()
            if spans.end(number) <= now_ns
        ]


def _days_before(day: str, count: int) -> str:
    return f"{date.fromisoformat(day) - timedelta(days=count):%Y%m%d}"
