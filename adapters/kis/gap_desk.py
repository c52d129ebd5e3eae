"""Finds and repairs gaps: asks KIS what was missed and tells what was found and what stays missing.

Rule: live data never wait for a repair, and what is repaired is never handed out as live.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace

from nautilus_trader.model import InstrumentId, TradeTick

from adapters.kis.bar_fold import Hole, Traded
from adapters.kis.data_events import Doubled, GapFound, Observed, OnEvent, OnGap
from adapters.kis.errors import KisError
from adapters.kis.gap_repair import Continuity, Gap, Settled
from adapters.kis.gateway import KisGateway
from adapters.kis.history import trade_ticks
from adapters.kis.past import Past
from adapters.kis.reading import BOOK, TRADES
from adapters.kis.registrations import Stream
from adapters.kis.replies import PastTrade
from adapters.kis.ticks import Seconds, seoul_day, seoul_time
from adapters.kis.timing import SECOND
from strategies.messages import Provenance

SETTLE_NS = SECOND
"""Waited (wall time) before asking: the first streamed trade then bounds the gap exactly."""
_AT_ONCE = 4

type Spawn = Callable[[Coroutine[object, object, object], str], object]


class GapDesk:
    """Watches all observed streams of one node; ``on_repaired`` takes a symbol's repaired trades.

    Everything happens on the loop's thread.
    """

    def __init__(
        self,
        gateway: KisGateway,
        past: Past,
        on_gap: OnGap,
        on_event: OnEvent,
        on_repaired: Callable[[str, Sequence[Traded]], None],
        spawn: Spawn,
    ) -> None:
        self._gateway = gateway
        self._past = past
        self._on_gap = on_gap
        self._on_event = on_event
        self._on_repaired = on_repaired
        self._spawn = spawn
        self._symbols: dict[str, Continuity] = {}
        self._books: dict[str, int | None] = {}
        self._asking: set[tuple[str, Gap]] = set()
        self._few = asyncio.Semaphore(_AT_ONCE)
        self._seconds = Seconds()

    def holes(self, code: str) -> list[Hole]:
        """Return the spans in which trades of a symbol may be unseen."""
        symbol = self._symbols.get(code)
        return symbol.holes if symbol is not None else []

    # --- told by the client ---

    def lost(self, since_ns: int) -> None:
        """Take in that the connection ended: each observed symbol has a gap."""
        for symbol in self._symbols.values():
            symbol.lost(since_ns)
        for code, lost_ns in self._books.items():
            self._books[code] = since_ns if lost_ns is None else lost_ns

    def held(self, stream: Stream, ts_ns: int) -> None:
        """Take in that a stream is registered (again)."""
        code = stream.key
        if stream.tr_id == BOOK:
            lost_ns = self._books.get(code)
            self._books[code] = None
            if lost_ns is not None:
                self._tell_book(code, lost_ns, ts_ns)
        elif stream.tr_id == TRADES:
            symbol = self._symbols.setdefault(code, Continuity())
            for gap in symbol.resumed(ts_ns):
                self._ask(code, gap, SETTLE_NS)

    def left(self, stream: Stream) -> None:
        """Take in that a stream is no longer observed, at our own wish."""
        if stream.tr_id == BOOK:
            self._books.pop(stream.key, None)
        elif stream.tr_id == TRADES:
            self._symbols.pop(stream.key, None)

    def trade(self, tick: TradeTick, day: str, day_volume: int, quantity: int) -> bool:
        """Take a streamed trade in; False where it was delivered before and is to be dropped."""
        code = tick.instrument_id.symbol.value
        found = self._symbols.setdefault(code, Continuity()).trade(
            day, day_volume, quantity, tick.ts_event
        )
        if found is False:
            self._on_event(Doubled(tick.instrument_id, tick.trade_id.value))
            return False
        if isinstance(found, Gap):
            self._ask(code, found, 0)
        return True

    def end(self) -> None:
        """Tell of the gaps that nobody will repair any more."""
        now_ns = self._gateway.stamp_ns()
        for code, symbol in self._symbols.items():
            symbol.resumed(now_ns)
            for gap in symbol.gaps:
                self._tell(code, symbol.settle(gap, None), now_ns)
        for code, lost_ns in self._books.items():
            if lost_ns is not None:
                self._tell_book(code, lost_ns, now_ns)

    # --- inside ---

    def _ask(self, code: str, gap: Gap, wait_ns: int) -> None:
        key = (code, replace(gap, to_volume=None))
        if key not in self._asking:
            self._asking.add(key)
            self._spawn(self._repair(code, gap, wait_ns), f"gap of {code}")

    async def _repair(self, code: str, gap: Gap, wait_ns: int) -> None:
        """Ask what was missed, take it in and tell."""
        try:
            await self._gateway.timing.sleep_ns(wait_ns)
            async with self._few:
                trades = await self._missed(code, gap)
        finally:
            self._asking.discard((code, replace(gap, to_volume=None)))
        self._gateway.socket.inbox.flush()
        symbol = self._symbols.get(code)
        if symbol is not None:
            self._tell(code, symbol.settle(gap, trades), self._gateway.stamp_ns())

    async def _missed(self, code: str, gap: Gap) -> list[PastTrade] | None:
        until = seoul_time(self._gateway.market_ns())
        try:
            return await self._past.trades(
                code, until, from_volume=gap.from_volume, since=seoul_time(gap.from_ns)
            )
        except KisError as error:
            self._gateway.say(f"What {code} traded in a gap could not be asked: {error}")
            return None

    def _tell(self, code: str, settled: Settled | None, now_ns: int) -> None:
        if settled is None:
            return
        gap, found, missing = settled.gap, settled.found, settled.missing
        instrument_id = self._gateway.instrument_ids[code]
        ticks = self._taken_in(code, instrument_id, found, gap, now_ns)
        times = [tick.ts_event for tick in ticks]
        from_ns, to_ns = min([gap.from_ns, *times]), max([gap.to_ns or now_ns, *times])
        if found or missing == 0:
            quantity = sum(one.quantity for one in found)
            repaired = Provenance.REPAIRED
            self._on_gap(GapFound(instrument_id, from_ns, to_ns, quantity, repaired, trades=ticks))
        if missing != 0:
            self._on_gap(GapFound(instrument_id, from_ns, to_ns, missing, Provenance.MISSING))

    def _taken_in(
        self,
        code: str,
        instrument_id: InstrumentId,
        found: Sequence[PastTrade],
        gap: Gap,
        now_ns: int,
    ) -> tuple[TradeTick, ...]:
        """Hand repaired trades to the bars and return them as ticks."""
        day = seoul_day(gap.to_ns or gap.from_ns)
        self._on_repaired(
            code,
            [
                Traded(self._seconds.at(day, one.time), one.price, one.quantity, one.day_volume)
                for one in found
            ],
        )
        return tuple(trade_ticks(instrument_id, day, found, now_ns))

    def _tell_book(self, code: str, from_ns: int, to_ns: int) -> None:
        self._on_gap(
            GapFound(
                self._gateway.instrument_ids[code],
                from_ns,
                to_ns,
                None,
                Provenance.MISSING,
                Observed.BOOK,
            )
        )
