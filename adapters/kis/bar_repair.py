"""Bars that were seen in part, asked from KIS: minute bars, daily bars or the trades of today.

Rule: what KIS gives must hold all that was seen, else the bar stays unknown.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import pairwise

from adapters.kis.bar_fold import Candle, Days, Slot, Spans, Steps, Traded, candle_of
from adapters.kis.history import MINUTE_NS
from adapters.kis.past import Past
from adapters.kis.replies import PastBar, PastTrade
from adapters.kis.ticks import SECOND, Seconds, seoul_day, seoul_time


async def asked(
    past: Past, code: str, today: str, spans: Spans, slots: Sequence[Slot]
) -> Mapping[int, Candle]:
    """Return the candles KIS has of these slots (of one day); a slot it cannot tell is left out.

    A slot in which KIS knows of no trade is left out as well. Raises errors of the tree.
    """
    day = seoul_day(slots[0].start_ns)
    since, until = seoul_time(slots[0].start_ns), slots[-1].end_ns
    if isinstance(spans, Days):
        return _by_slot(slots, await past.days(code, day, day), spans)
    if isinstance(spans, Steps) and spans.interval_ns % MINUTE_NS == 0:
        last = seoul_time(until - MINUTE_NS)
        bars = await past.minutes(code, day, since, last, is_today=day == today)
        return _by_slot(slots, bars, spans)
    if day != today:
        return {}
    trades = await past.trades(code, seoul_time(until - SECOND), since=since)
    return _from_trades(slots, day, trades, spans)


def holds(asked: Candle, seen: Candle | None) -> bool:
    """Tell whether a bar KIS gave can be the whole of what was seen in part."""
    return seen is None or (
        asked.volume >= seen.volume and asked.high >= seen.high and asked.low <= seen.low
    )


def _by_slot(slots: Sequence[Slot], bars: Iterable[PastBar], spans: Spans) -> dict[int, Candle]:
    """Join bars that lie within a slot; ``bars`` are oldest first."""
    wanted = {slot.number for slot in slots}
    seconds, found = Seconds(), dict[int, Candle]()
    for place, bar in enumerate(bars):
        if isinstance(spans, Days):
            number: int | None = slots[0].number
        else:
            number = spans.number(seconds.at(bar.day, bar.time))
        if number in wanted:
            one = Candle(bar.open, bar.high, bar.low, bar.close, bar.volume, place, place)
            found[number] = found[number].joined(one) if number in found else one
    return found


def _from_trades(
    slots: Sequence[Slot], day: str, trades: Sequence[PastTrade], spans: Spans
) -> dict[int, Candle]:
    """Fold the trades that follow each other without a jump in the day's volume."""
    known = _unbroken(trades)
    if not known:
        return {}
    seconds = Seconds()
    traded = [
        Traded(seconds.at(day, one.time), one.price, one.quantity, one.day_volume) for one in known
    ]
    is_whole_day = known[0].day_volume == known[0].quantity
    first_ns = 0 if is_whole_day else traded[0].ts_ns + SECOND
    found = {}
    for slot in slots:
        inside = [candle_of(one) for one in traded if spans.number(one.ts_ns) == slot.number]
        if inside and slot.start_ns >= first_ns:
            found[slot.number] = reduce(Candle.joined, inside)
    return found


def _unbroken(trades: Sequence[PastTrade]) -> Sequence[PastTrade]:
    """Return the newest trades, oldest first, back to where one is missing."""
    start = 0
    for place, (before, after) in enumerate(pairwise(trades), start=1):
        if after.day_volume - after.quantity != before.day_volume:
            start = place
    return trades[start:]
