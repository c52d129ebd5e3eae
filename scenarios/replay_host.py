"""The engine's shell on replay: when a command reaches the simulated venue.

Rule: an order never fills in the event that caused it, nor at a price that is over. It arrives
after the venue's latency; outside a session, and where the tape has only bars, it first waits for
the instrument's next event (for bars, the print the next one opens with).
"""

from collections.abc import Callable, Mapping
from typing import Any

from nautilus_trader.model import InstrumentId, OrderBookDeltas, QuoteTick, TradeTick

from scenarios.wiring import Universe
from strategies.host.core import Host
from strategies.host.shell import EngineHost, ignore
from strategies.messages import Command
from strategies.ports import StreamKind

TICKS = {StreamKind.TRADES: "on_trade", StreamKind.QUOTES: "on_quote"}


class ReplayHost(EngineHost):
    """Holds commands back until the simulated venue can take them."""

    def __new__(cls, universe: Universe) -> "ReplayHost":  # noqa: ARG004 - for __init__ only
        return super().__new__(cls)

    def __init__(self, universe: Universe) -> None:
        super().__init__()
        self._latency_ns = {name: spec.latency_ns for name, spec in universe.venues.items()}
        self._sessions = {name: market.sessions for name, market in universe.markets.items()}
        self._only_bars = frozenset(prints.bars.instrument_id for prints in universe.prints)
        self._ticks = _ticks(universe)
        self._venue_books = tuple(
            stream.topic for stream in universe.streams if stream.quoted and not stream.delivered
        )
        self._heard: frozenset[tuple[StreamKind, InstrumentId]] = frozenset()
        self._held: dict[InstrumentId, list[Command]] = {}
        self._prints_ns: Mapping[InstrumentId, frozenset[int]] = {}
        self._alert_due_ns = -1
        self._alerts = 0

    def attach(self, host: Host) -> None:
        """Give the shell its host; call once, before the engine starts."""
        super().attach(host)
        self._heard = frozenset((s.kind, s.instrument_id) for s in host.subscriptions)
        if self._venue_books:
            self._market_handlers["on_book_deltas"] = self._only_heard_books()
            self._hear(self._market_handlers)
        self._waiting_handlers = {name: self._waiting(kind, name) for kind, name in TICKS.items()}
        self._usual_handlers = {name: self._market_handlers[name] for name in TICKS.values()}

    def on_start(self) -> None:
        """Subscribe to every stream, and to the books that only the venue fills from."""
        for topic in self._venue_books:
            self.subscribe(StreamKind.DELTAS, topic)
        super().on_start()

    def _only_heard_books(self) -> Callable[[OrderBookDeltas], None]:
        """Return the handler for books where some are kept for the venue alone."""
        deliver = self._market_handlers["on_book_deltas"]

        def on_book(deltas: OrderBookDeltas) -> None:
            if (StreamKind.DELTAS, deltas.instrument_id) in self._heard:
                deliver(deltas)

        return on_book

    def expect(self, prints_ns: Mapping[InstrumentId, frozenset[int]]) -> None:
        """Learn when the next window's bars open: an order of that very moment need not wait."""
        self._prints_ns = prints_ns

    def send(self, command: Command) -> None:
        """Send a command now, or hold it until its instrument's next event."""
        instrument_id = command.instrument_id
        now_ns = self.clock.timestamp_ns()
        if instrument_id in self._held:
            self._held[instrument_id].append(command)
        elif instrument_id in self._only_bars:
            opens_now = now_ns in self._prints_ns.get(instrument_id, ())
            (self._release if opens_now else self._hold)(command)
        elif self._is_closed(instrument_id, now_ns):
            self._hold(command)
        else:
            self._release(command)

    def _is_closed(self, instrument_id: InstrumentId, now_ns: int) -> bool:
        venue = instrument_id.venue.value
        arrives_ns = now_ns + self._latency_ns[venue]
        return self._sessions[venue].at(arrives_ns) is None

    def _release(self, command: Command) -> None:
        super().send(command)
        due_ns = self.clock.timestamp_ns() + self._latency_ns[command.instrument_id.venue.value]
        if due_ns == self._alert_due_ns:
            return
        # The engine handles a delayed command only at its symbol's next event or at a timer.
        self._alert_due_ns = due_ns
        self._alerts += 1
        self.clock.set_time_alert_ns(f"due-{self._alerts}", due_ns, ignore)

    def _hold(self, command: Command) -> None:
        instrument_id = command.instrument_id
        self._held[instrument_id] = [command]
        kind = self._ticks.get(instrument_id, StreamKind.TRADES)
        if (kind, instrument_id) not in self._heard:
            self.subscribe(kind, str(instrument_id))
        if len(self._held) == 1:
            self._hear(self._waiting_handlers)

    def _waiting(self, kind: StreamKind, name: str) -> Callable[[TradeTick | QuoteTick], None]:
        """Return the handler used while something is held; at other times it costs nothing."""
        deliver = self._market_handlers[name]

        def on_tick(tick: TradeTick | QuoteTick) -> None:
            instrument_id = tick.instrument_id
            if self._ticks.get(instrument_id, StreamKind.TRADES) is kind:
                self._let_go(kind, instrument_id)
            if (kind, instrument_id) in self._heard:
                deliver(tick)

        return on_tick

    def _let_go(self, kind: StreamKind, instrument_id: InstrumentId) -> None:
        for command in self._held.pop(instrument_id, ()):
            self._release(command)
        if (kind, instrument_id) not in self._heard:
            self._leave(kind, instrument_id)
        if not self._held and self.failure is None:
            self._hear(self._usual_handlers)

    def _leave(self, kind: StreamKind, instrument_id: InstrumentId) -> None:
        if kind is StreamKind.TRADES:
            self.unsubscribe_trades(instrument_id)
        else:
            self.unsubscribe_quotes(instrument_id)


def _ticks(universe: Universe) -> Mapping[InstrumentId, StreamKind]:
    """Return which kind of tick moves each instrument at the venue: trades before quotes.

    A book that moves it does so by the quotes it gives.
    """
    found: dict[InstrumentId, Any] = {}
    for stream in universe.streams:
        if stream.kind is StreamKind.TRADES:
            found[stream.instrument_id] = StreamKind.TRADES
        elif stream.kind is StreamKind.QUOTES or stream.quoted:
            found.setdefault(stream.instrument_id, StreamKind.QUOTES)
    return found
