"""Past trades and bars from KIS's queries as engine values, fit to stand beside streamed ones.

Rule: a trade gets the id it would have had on the stream, so that a gap is filled and nothing is
doubled; a bar is stamped at its close.
"""

from collections.abc import Sequence

from nautilus_trader.model import (
    AggressorSide,
    Bar,
    BarType,
    InstrumentId,
    Price,
    Quantity,
    TradeTick,
)

from adapters.kis.replies import PastBar, PastTrade
from adapters.kis.ticks import SECOND, Seconds, trade_id
from strategies.errors import BadInput

MINUTE_NS = 60 * SECOND
DAY_CLOSE = "153000"
"""End of KRX's closing auction; days with other hours are given by the caller's calendar."""


def trade_ticks(
    instrument_id: InstrumentId, day: str, trades: Sequence[PastTrade], ts_init: int
) -> list[TradeTick]:
    """Return past trades of ``day`` (YYYYMMDD) as ticks, oldest first.

    The query does not say who was the aggressor. Rows without a quantity are left out.
    """
    seconds = Seconds()
    return [
        TradeTick(
            instrument_id,
            Price.from_int(trade.price),
            Quantity.from_int(trade.quantity),
            AggressorSide.NO_AGGRESSOR,
            trade_id(day, trade.day_volume),
            seconds.at(day, trade.time),
            ts_init,
        )
        for trade in trades
        if trade.quantity > 0 and trade.price > 0
    ]


def missing_volume(trades: Sequence[PastTrade], from_volume: int, to_volume: int) -> int:
    """Return the shares between two day volumes that the trades do not cover.

    What is left is missing for good: the query reaches back 30 trades a call, and shows a second
    only as far as it was asked.
    """
    covered = sum(trade.quantity for trade in trades if from_volume < trade.day_volume <= to_volume)
    return to_volume - from_volume - covered


def minute_bars(
    bar_type: BarType, bars: Sequence[PastBar], ts_init: int, *, until_ns: int | None = None
) -> list[Bar]:
    """Return one-minute bars stamped at their close; KIS stamps the minute they begin.

    Bars that close after ``until_ns`` are left out: KIS shows the running minute too, with the
    volume of the minute before it.
    """
    seconds = Seconds()
    stamped = ((seconds.at(bar.day, bar.time) + MINUTE_NS, bar) for bar in bars)
    return [
        _bar(bar_type, bar, closed_ns, ts_init)
        for closed_ns, bar in stamped
        if until_ns is None or closed_ns <= until_ns
    ]


def daily_bars(
    bar_type: BarType, bars: Sequence[PastBar], ts_init: int, *, close: str = DAY_CLOSE
) -> list[Bar]:
    """Return daily bars stamped at ``close`` (HHMMSS in Seoul) of their day."""
    seconds = Seconds()
    try:
        return [_bar(bar_type, bar, seconds.at(bar.day, close), ts_init) for bar in bars]
    except ValueError:
        raise BadInput(f"{close!r} is no time of day: give HHMMSS, as in {DAY_CLOSE}.") from None


def _bar(bar_type: BarType, bar: PastBar, closed_ns: int, ts_init: int) -> Bar:
    return Bar(
        bar_type,
        Price.from_int(bar.open),
        Price.from_int(bar.high),
        Price.from_int(bar.low),
        Price.from_int(bar.close),
        Quantity.from_int(bar.volume),
        closed_ns,
        ts_init,
    )
