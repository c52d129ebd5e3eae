"""The past by query: trades followed back, and bars that were seen in part asked for."""

import asyncio

import orjson
import pytest
from nautilus_trader.model import BarType

from adapters.kis import parse
from adapters.kis.bar_fold import Candle, Days, Slot, Steps
from adapters.kis.bar_repair import asked, holds
from adapters.kis.past import Past
from adapters.kis.past_data import PastData
from adapters.kis.replies import PastTrade
from adapters.kis.ticks import seoul_time
from strategies.markets.sessions import Session

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
OPEN = 1_773_014_400 * SECOND
DAY = "20260309"
CODE = "990001"


def at(second):
    return OPEN + second * SECOND


class Kis:
    """Answers as KIS does, from a list of (second after the open, won, shares)."""

    def __init__(self, *trades, page=30):
        self.asked = []
        self._page = page
        volume = 0
        self._trades = []
        for second, price, shares in trades:
            volume += shares
            self._trades.append((second, price, shares, volume))

    async def ask(self, request):
        fields = request.fields
        self.asked.append(fields.get("FID_INPUT_HOUR_1", fields.get("FID_INPUT_DATE_2")))
        rows = {
            "trades_at": self._rows_of_trades,
            "minute_bars": self._rows_of_minutes,
            "past_minute_bars": self._rows_of_minutes,
            "daily_bars": self._rows_of_days,
        }[request.endpoint.name](fields)
        body = {"rt_cd": "0", "msg_cd": "MCA00000", "msg1": "", "output2": rows}
        return parse.read(request.endpoint, 200, {}, orjson.dumps(body))

    def _rows_of_trades(self, fields):
        before = [one for one in self._trades if seoul_time(at(one[0])) <= self.asked[-1]]
        return [
            {
                "stck_cntg_hour": seoul_time(at(second)),
                "stck_prpr": str(price),
                "cnqn": str(shares),
                "acml_vol": str(volume),
            }
            for second, price, shares, volume in before[: -self._page - 1 : -1]
        ]

    def _rows_of_minutes(self, fields):
        minutes = sorted({second // 60 for second, *_ in self._trades}, reverse=True)
        times = [(minute, seoul_time(at(60 * minute))) for minute in minutes]
        return [
            self._bar(minute * 60, minute * 60 + 60) | {"stck_cntg_hour": time}
            for minute, time in times
            if time <= self.asked[-1]
        ][: self._page]

    def _rows_of_days(self, fields):
        row = self._bar(0, 86_400)
        return [row | {"stck_clpr": row["stck_prpr"], "acml_vol": row["cntg_vol"]}]

    def _bar(self, since, until):
        inside = [one for one in self._trades if since <= one[0] < until]
        prices = [price for _, price, _, _ in inside]
        texts = map(str, (prices[0], max(prices), min(prices), prices[-1]))
        names = ("stck_oprc", "stck_hgpr", "stck_lwpr", "stck_prpr")
        row = dict(zip(names, texts, strict=True))
        volume = sum(shares for _, _, shares, _ in inside)
        return row | {"stck_bsop_date": DAY, "cntg_vol": str(volume)}


def trades_of(kis, until="153000", **more):
    found = asyncio.run(Past(kis).trades(CODE, until, **more))
    assert [one.day_volume for one in found] == sorted({one.day_volume for one in found})
    return [one.day_volume for one in found]


MANY = [(second, 100 + second % 7, 2) for second in range(1, 101)]


def test_trades_are_followed_back_to_the_first_of_the_day():
    kis = Kis(*MANY)
    assert trades_of(kis) == list(range(2, 201, 2))
    assert len(kis.asked) == 4


@pytest.mark.parametrize(
    ("more", "calls", "first"),
    [
        ({"from_volume": 190}, 1, 142),
        ({"from_volume": 140}, 1, 142),
        ({"from_volume": 139}, 2, 84),
        ({"since": "090140"}, 1, 142),
        ({"since": "090110"}, 2, 84),
        ({"most": 30}, 1, 142),
        ({"most": 31}, 2, 84),
    ],
)
def test_no_more_is_asked_than_was_wanted(more, calls, first):
    kis = Kis(*MANY)
    assert trades_of(kis, **more)[0] == first
    assert len(kis.asked) == calls


def test_a_crowded_second_is_told_in_part_and_what_is_before_it_whole():
    kis = Kis((1, 100, 1), (2, 100, 1), *((3, 100, 1) for _ in range(50)), (4, 100, 1))
    assert trades_of(kis) == [1, 2, *range(23, 54)]


def test_a_day_without_a_trade_is_empty_and_an_end_is_always_reached():
    assert trades_of(Kis()) == []
    crowded = Kis(*((second // 40, 100, 1) for second in range(4_000)))
    trades_of(crowded)
    assert len(crowded.asked) <= 40


# --- what strategies ask ---------------------------------------------------------------------


class Gateway:
    """The time of a gateway, in seconds after the open."""

    def __init__(self, second):
        self.second = second

    def ago(self, wall_span_ns):
        return at(self.second) - wall_span_ns

    def market_ns(self):
        return self.ago(0)

    def day(self):
        return DAY


@pytest.mark.parametrize(("second", "count"), [(23_399, 0), (23_410, 0), (23_432, 0), (23_433, 1)])
def test_a_day_is_given_once_its_closing_auction_is_over_for_certain(second, count):
    kind = BarType.from_str(f"{CODE}.KRX-1-DAY-LAST-EXTERNAL")
    past = PastData(Gateway(second), Past(Kis((1, 100, 1))), [Session(OPEN, at(23_400))])
    assert len(asyncio.run(past.bars(kind, None, None, 1))) == count


@pytest.mark.parametrize(("second", "ends"), [(119, [60]), (121, [60]), (122, [60, 120])])
def test_a_minute_is_given_a_moment_after_its_end(second, ends):
    kind = BarType.from_str(f"{CODE}.KRX-1-MINUTE-LAST-EXTERNAL")
    past = PastData(Gateway(second), Past(Kis((1, 100, 1), (61, 100, 1))), ())
    given = asyncio.run(past.bars(kind, at(0), None, None))
    assert [(bar.ts_event - OPEN) // SECOND for bar in given] == ends


# --- bars seen in part -----------------------------------------------------------------------


def slots(spans, *numbers):
    return [Slot(n, spans.start(n), spans.end(n), None, is_whole=False) for n in numbers]


def repaired(kis, spans, wanted, today=DAY):
    found = asyncio.run(asked(Past(kis), CODE, today, spans, wanted))
    return {
        (spans.end(number) - OPEN) // SECOND: (one.open, one.high, one.low, one.close, one.volume)
        for number, one in found.items()
    }


RISING = [(second, 100 + second, 1) for second in range(0, 600, 10)]


@pytest.mark.parametrize("today", [DAY, "20260310"])
def test_minutes_are_asked_for_and_joined_to_longer_bars(today):
    one, five = Steps(MINUTE), Steps(5 * MINUTE)
    number = one.number(OPEN)
    assert repaired(Kis(*RISING), one, slots(one, number + 1, number + 2), today) == {
        120: (160, 210, 160, 210, 6),
        180: (220, 270, 220, 270, 6),
    }
    number = five.number(OPEN)
    assert repaired(Kis(*RISING), five, slots(five, number + 1), today) == {
        600: (400, 690, 400, 690, 30)
    }


def test_a_minute_without_a_trade_has_no_bar():
    spans = Steps(MINUTE)
    number = spans.number(OPEN)
    kis = Kis((5, 100, 1), (130, 101, 2))
    assert repaired(kis, spans, slots(spans, number, number + 1, number + 2)) == {
        60: (100, 100, 100, 100, 1),
        180: (101, 101, 101, 101, 2),
    }


def test_seconds_are_folded_from_todays_trades_only():
    spans = Steps(10 * SECOND)
    wanted = slots(spans, *(spans.number(at(second)) for second in (0, 10, 20)))
    kis = Kis((0, 100, 1), (9, 105, 2), (25, 99, 4), (31, 1, 1))
    assert repaired(kis, spans, wanted) == {10: (100, 105, 100, 105, 3), 30: (99, 99, 99, 99, 4)}
    assert repaired(kis, spans, wanted, today="20260310") == {}


def test_seconds_that_a_query_shows_in_part_stay_unknown():
    spans = Steps(10 * SECOND)
    crowded = Kis((1, 100, 1), *((12, 100, 1) for _ in range(40)), (25, 101, 1))
    wanted = slots(spans, *(spans.number(at(second)) for second in (0, 10, 20)))
    assert repaired(crowded, spans, wanted) == {30: (101, 101, 101, 101, 1)}


def test_a_day_is_asked_for_as_a_whole():
    spans = Days([Session(OPEN, OPEN + 23_400 * SECOND)])
    assert repaired(Kis((5, 100, 1), (900, 120, 2)), spans, slots(spans, 0)) == {
        23_400: (100, 120, 100, 120, 3)
    }


def test_a_bar_that_lacks_what_was_seen_is_no_repair():
    whole = Candle(10, 20, 5, 12, 100, 0, 0)
    assert holds(whole, None)
    assert holds(whole, Candle(11, 20, 6, 11, 100, 3, 9))
    assert not holds(whole, Candle(11, 21, 6, 11, 10, 3, 9))
    assert not holds(whole, Candle(11, 20, 4, 11, 10, 3, 9))
    assert not holds(whole, Candle(11, 20, 6, 11, 101, 3, 9))


def test_rows_are_what_kis_sends():
    (first,) = asyncio.run(Past(Kis((7, 100, 3))).trades(CODE, "153000"))
    assert first == PastTrade("090007", 100, 3, 3)
