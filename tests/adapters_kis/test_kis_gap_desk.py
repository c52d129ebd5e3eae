"""The gap desk over a gateway written by hand: what KIS is asked about a gap."""

import asyncio
from types import SimpleNamespace

from nautilus_trader.model import AggressorSide, InstrumentId, Price, Quantity, TradeTick

from adapters.kis.gap_desk import GapDesk
from adapters.kis.replies import PastTrade
from adapters.kis.ticks import seoul_time, trade_id
from adapters.kis.timing import Timing
from strategies.messages import Provenance

SECOND = 1_000_000_000
OPEN = 1_773_014_400 * SECOND
DAY, CODE = "20260309", "990001"
IID = InstrumentId.from_str(f"{CODE}.KRX")


def at(second):
    return OPEN + second * SECOND


async def no_wait(duration_ns):
    await asyncio.sleep(0)


class Tape:
    """The trades of a day as KIS tells them up to a time: (second, day's volume), a share each."""

    def __init__(self, *rows):
        self._rows = [PastTrade(seoul_time(at(second)), 100, 1, volume) for second, volume in rows]

    async def trades(self, code, until, **_more):
        return [one for one in self._rows if one.time <= until]


def tick(second, volume):
    parts = Price.from_int(100), Quantity.from_int(1), AggressorSide.BUY, trade_id(DAY, volume)
    return TradeTick(IID, *parts, at(second), at(second))


def told(ours_s, *streamed, tape):
    """Return the gaps told of while our clock stands at a second after the open."""
    gaps = []

    async def body():
        gateway = SimpleNamespace(
            timing=Timing(sleep_ns=no_wait),
            market_ns=lambda: at(ours_s),
            stamp_ns=lambda: at(ours_s),
            socket=SimpleNamespace(inbox=SimpleNamespace(flush=lambda: None)),
            instrument_ids={CODE: IID},
            say=lambda text: None,
        )
        async with asyncio.TaskGroup() as tasks:
            desk = GapDesk(
                gateway,
                tape,
                gaps.append,
                lambda event: None,
                lambda code, trades: None,
                lambda work, name: tasks.create_task(work),
            )
            for second, volume in streamed:
                assert desk.trade(tick(second, volume), DAY, volume, 1)
        return gaps

    return asyncio.run(body())


def test_a_clock_behind_kis_asks_up_to_the_newest_trade():
    tape = Tape((10, 1), (11, 2), (12, 3), (13, 4))
    (gap,) = told(8, (10, 1), (13, 4), tape=tape)
    assert (gap.provenance, gap.missing_quantity) == (Provenance.REPAIRED, 2)
    (gap,) = told(20, (10, 1), (13, 4), tape=tape)
    assert (gap.provenance, gap.missing_quantity) == (Provenance.REPAIRED, 2)
