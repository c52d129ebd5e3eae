"""The bar desk over a gateway written by hand: when a bar without a later trade is closed."""

import pytest
from nautilus_trader.model import BarType

from adapters.kis.bar_desk import BarDesk
from adapters.kis.bar_fold import Traded

SECOND = 1_000_000_000
OPEN = 1_773_014_400 * SECOND
CODE = "990001"
MINUTE_BARS = BarType.from_str(f"{CODE}.KRX-1-MINUTE-LAST-EXTERNAL")


def at(second):
    return OPEN + int(second * SECOND)


class Gateway:
    """Our clock, in seconds after the open; everything was heard a moment ago."""

    def __init__(self):
        self.second = 0
        self.socket = self.inbox = self

    def flush(self):
        """Nothing waits."""

    def ago(self, wall_span_ns):
        return at(self.second) - wall_span_ns

    def market_ns(self):
        return self.ago(0)

    stamp_ns = market_ns

    def surely_heard_ns(self):
        return self.ago(SECOND)


def desk_of():
    """Return a clock, a desk that folds minutes from the open on, and where its bars go."""
    gateway, out = Gateway(), []
    desk = BarDesk(gateway, None, (), out.append, lambda gap: None, lambda code: [], None)
    assert desk.add(MINUTE_BARS, is_held=True) is None
    desk.linked(is_open=True)
    return gateway, desk, out


def closed_at(*trades, until=90):
    """Return at which half second of our clock the first minute's bar left, None for never.

    ``trades`` are (second of our clock, second of KIS's, day's volume).
    """
    gateway, desk, out = desk_of()
    coming = sorted(trades)
    for half in range(2 * until):
        gateway.second = half / 2
        while coming and coming[0][0] <= gateway.second:
            _, second, volume = coming.pop(0)
            desk.trade(CODE, Traded(at(second), 100, 1, volume), gateway.stamp_ns())
        desk.look()
        if out:
            (bar,) = out
            assert int(bar.volume.as_decimal()) == len([one for one in trades if 0 <= one[1] < 60])
            return gateway.second
    return None


@pytest.mark.parametrize(
    ("late_s", "closes"),
    [
        (0.5, 62),  # as fast as ever
        (5, 66),  # our clock is ahead of KIS's, or the frames of a burst are late
        (3_000, 62),  # a trade of long ago is repeated, and nothing is on its way for so long
        (-5, 62),  # our clock is behind
    ],
)
def test_a_bar_waits_as_long_as_trades_come_late(late_s, closes):
    trades = [(second + late_s, second, second) for second in range(2, 60, 3)]
    if late_s > 60:
        trades = [(second, second - late_s, second) for second in range(2, 60, 3)]
        assert closed_at(*trades, (10, 9.5, 100)) == closes
    else:
        assert closed_at(*trades) == closes


def test_what_was_late_once_is_forgotten():
    early = [(7, 2, 1)]
    assert closed_at(*early) == 66
    gateway, desk, out = desk_of()
    for second, late_s in ((2, 5), (130, 0), (250, 0)):
        gateway.second = second + late_s
        desk.trade(CODE, Traded(at(second), 100, 1, second), gateway.stamp_ns())
    out.clear()
    gateway.second = 302
    desk.look()
    assert [bar.ts_event for bar in out] == [at(300)]
