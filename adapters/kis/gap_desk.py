"""Finds and repairs gaps: asks KIS what was missed and tells what was found and what stays missing.

Rule: live data never wait for a repair, and what is repaired is never handed out as live.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

from nautilus_trader.model import TradeTick

from adapters.kis.bar_fold import Hole, Traded
from adapters.kis.data_events import Doubled, GapFound, Observed, OnEvent, OnGap
from adapters.kis.errors import KisError, Stop
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
CALM_NS = 60 * SECOND
"""A symbol without a gap for so long is asked about as soon as the first time again."""
_AT_ONCE = 4
_MOST_DOUBLINGS = 5

type Spawn = Callable[[Coroutine[object, object, None], str], object]
"""Runs something beside under a name; what it raises fails the node."""


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
        self._asking: set[str] = set()
        self._waits: dict[str, tuple[int, int]] = {}
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
            if symbol.resumed(ts_ns):
                self._ask(code)

    def over(self, stream: Stream, ts_ns: int) -> None:
        """Take in that a stream that was lost has had nothing more to tell since a moment."""
        if stream.key in (self._books if stream.tr_id == BOOK else self._symbols):
            self.held(stream, ts_ns)

    def left(self, stream: Stream) -> None:
        """Take in that a stream is no longer observed, at our own wish: its gaps stay open."""
        code, now_ns = stream.key, self._gateway.stamp_ns()
        if stream.tr_id == BOOK:
            self._books.pop(code, None)
        elif stream.tr_id == TRADES and (symbol := self._symbols.pop(code, None)) is not None:
            self._give_up(code, symbol, now_ns)

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
            self._ask(code)
        return True

    def end(self) -> None:
        """Tell of the gaps that nobody will repair any more."""
        now_ns = self._gateway.stamp_ns()
        for code, symbol in self._symbols.items():
            self._give_up(code, symbol, now_ns)
        for code, lost_ns in self._books.items():
            if lost_ns is not None:
                self._tell_book(code, lost_ns, now_ns)

    # --- inside ---

    def _give_up(self, code: str, symbol: Continuity, now_ns: int) -> None:
        gaps = symbol.resumed(now_ns)
        self._tell(code, [symbol.settle(gap, None) for gap in gaps], now_ns)

    def _ask(self, code: str) -> None:
        if code not in self._asking:
            self._asking.add(code)
            self._spawn(self._repair(code), f"gaps of {code}")

    async def _repair(self, code: str) -> None:
        """Ask about all gaps of a symbol at once, until there is none that can be asked about."""
        try:
            while True:
                await self._gateway.timing.sleep_ns(self._wait_ns(code))
                gaps = self._ended(code)
                if not gaps:
                    return
                async with self._few:
                    trades = await self._missed(code, gaps)
                self._gateway.socket.inbox.flush()
                symbol = self._symbols.get(code)
                if symbol is not None:
                    settled = [symbol.settle(gap, trades) for gap in self._as_asked(code, gaps)]
                    self._tell(code, settled, self._gateway.stamp_ns())
                if not self._ended(code):
                    return
        finally:
            self._asking.discard(code)

    def _wait_ns(self, code: str) -> int:
        """Return how long to wait before asking: longer each time while gaps do not end."""
        now_ns = self._gateway.timing.steady_ns()
        doublings, last_ns = self._waits.get(code, (-1, 0))
        doublings = 0 if now_ns - last_ns > CALM_NS else min(doublings + 1, _MOST_DOUBLINGS)
        self._waits[code] = (doublings, now_ns)
        return SETTLE_NS << doublings

    def _ended(self, code: str) -> list[Gap]:
        """Return the gaps of a symbol that lie behind it."""
        symbol = self._symbols.get(code)
        return [gap for gap in symbol.gaps if gap.to_ns is not None] if symbol is not None else []

    def _as_asked(self, code: str, asked: Sequence[Gap]) -> list[Gap]:
        """Return the gaps that were asked about and have not grown since."""
        ends = {(gap.number, gap.to_ns) for gap in asked}
        return [gap for gap in self._ended(code) if (gap.number, gap.to_ns) in ends]

    async def _missed(self, code: str, gaps: Sequence[Gap]) -> list[PastTrade] | None:
        """Return the trades back to before the first of the gaps, None where KIS does not tell."""
        # our clock may be behind KIS's: what was streamed already is asked for all the same
        symbol = self._symbols.get(code)
        last_ns = symbol.last_ns if symbol is not None else 0
        until = seoul_time(max(self._gateway.market_ns(), last_ns))
        volumes = [gap.from_volume for gap in gaps if gap.from_volume is not None]
        from_volume = min(volumes) if len(volumes) == len(gaps) else None
        since = seoul_time(min(gap.from_ns for gap in gaps))
        try:
            return await self._past.trades(code, until, from_volume=from_volume, since=since)
        except Stop:
            raise
        except KisError as error:
            self._gateway.say(f"What {code} traded in a gap could not be asked: {error}")
            return None

    def _tell(self, code: str, settled: Sequence[Settled | None], now_ns: int) -> None:
        """Tell what became of gaps asked about together: one span repaired, one missing."""
        done = [one for one in settled if one is not None]
        whole = [one for one in done if one.missing == 0]
        torn = [one for one in done if one.missing != 0]
        found = [trade for one in done for trade in one.found]
        if whole or found:
            self._tell_repaired(code, [one for one in done if one.found or one in whole], now_ns)
        if torn:
            counts = [one.missing for one in torn]
            missing = None if None in counts else sum(one or 0 for one in counts)
            from_ns, to_ns = _span(torn, now_ns)
            instrument_id = self._gateway.instrument_ids[code]
            self._on_gap(GapFound(instrument_id, from_ns, to_ns, missing, Provenance.MISSING))

    def _tell_repaired(self, code: str, settled: Sequence[Settled], now_ns: int) -> None:
        """Hand repaired trades to the bars and tell of them."""
        instrument_id = self._gateway.instrument_ids[code]
        found = [trade for one in settled for trade in one.found]
        from_ns, to_ns = _span(settled, now_ns)
        day = seoul_day(to_ns)
        traded = [
            Traded(self._seconds.at(day, one.time), one.price, one.quantity, one.day_volume)
            for one in found
        ]
        self._on_repaired(code, traded)
        times = [one.ts_ns for one in traded]
        self._on_gap(
            GapFound(
                instrument_id,
                min([from_ns, *times]),
                max([to_ns, *times]),
                sum(one.quantity for one in found),
                Provenance.REPAIRED,
                trades=tuple(trade_ticks(instrument_id, day, found, now_ns)),
            )
        )

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


def _span(settled: Sequence[Settled], now_ns: int) -> tuple[int, int]:
    """Return the market time over which gaps lie."""
    gaps = [one.gap for one in settled]
    return min(gap.from_ns for gap in gaps), max(gap.to_ns or now_ns for gap in gaps)
