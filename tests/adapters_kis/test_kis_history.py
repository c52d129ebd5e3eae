"""Past trades and bars fit beside streamed ones."""

import pytest
from nautilus_trader.model import BarType

from adapters.kis import history
from adapters.kis.frames import Decoder
from adapters.kis.replies import PastBar, PastTrade
from adapters.kis.ticks import Seconds, TickReader
from bench import kis_frames as sent
from strategies.errors import BadInput

IID = sent.IDS["123450"]
MINUTES = BarType.from_str("123450.KRX-1-MINUTE-LAST-EXTERNAL")
DAYS = BarType.from_str("123450.KRX-1-DAY-LAST-EXTERNAL")
PAST = [
    PastTrade("100512", 50_300, 7, 412_345),
    PastTrade("100513", 50_200, 20, 412_365),
    PastTrade("100513", 50_300, 3, 412_368),
]


def at(time):
    return Seconds().at(sent.DAY, time)


def test_a_repaired_trade_has_the_id_time_and_size_of_the_streamed_one():
    streamed = TickReader(sent.IDS).trades(Decoder().decode(sent.TWO_TRADES), 9).ticks
    repaired = history.trade_ticks(IID, sent.DAY, PAST, 9)[1:]
    for one, other in zip(repaired, streamed, strict=True):
        assert (one.trade_id, one.ts_event, one.size) == (
            other.trade_id,
            other.ts_event,
            other.size,
        )
        assert one.price == other.price


def test_rows_without_shares_are_left_out():
    assert history.trade_ticks(IID, sent.DAY, [PastTrade("100512", 50_300, 0, 5)], 9) == []


@pytest.mark.parametrize(
    ("trades", "missing"), [(PAST, 0), (PAST[1:], 0), (PAST[2:], 20), (PAST[:1], 23), ([], 23)]
)
def test_what_the_query_does_not_cover_is_missing(trades, missing):
    assert history.missing_volume(trades, 412_345, 412_368) == missing


def test_minute_bars_are_stamped_at_their_close_and_the_running_one_is_left_out():
    bars = [PastBar(sent.DAY, time, 1, 3, 1, 2, 5) for time in ("100400", "100500")]
    found = history.minute_bars(MINUTES, bars, 9, until_ns=at("100559"))
    assert [(one.ts_event, one.ts_init) for one in found] == [(at("100500"), 9)]
    assert len(history.minute_bars(MINUTES, bars, 9)) == 2
    one = found[0]
    assert [str(v) for v in (one.open, one.high, one.low, one.close, one.volume)] == list("13125")


def test_daily_bars_are_stamped_at_the_close_of_their_session():
    bars = [PastBar(sent.DAY, "", 1, 3, 1, 2, 5)]
    assert history.daily_bars(DAYS, bars, 9)[0].ts_event == at("153000")
    assert history.daily_bars(DAYS, bars, 9, close="163000")[0].ts_event == at("163000")
    with pytest.raises(BadInput):
        history.daily_bars(DAYS, bars, 9, close="3pm")
