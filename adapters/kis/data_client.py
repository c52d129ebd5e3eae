"""KIS's market data as an engine client: what is subscribed is registered, what is heard delivered.

Rule: values go to the engine in the order they arrived, on the loop's thread, with the receive
time in market time; all that decides stands in pure modules, all that asks KIS in its own.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from nautilus_trader.common import Clock
from nautilus_trader.config import DataClientConfig
from nautilus_trader.live import (
    ClientCache,
    SubscribeBars,
    SubscribeBookDeltas,
    SubscribeBookDepth,
    SubscribeCustomData,
    SubscribeIndexPrices,
    SubscribeInstrument,
    SubscribeInstruments,
    SubscribeInstrumentStatus,
    SubscribeQuotes,
    SubscribeTrades,
    UnsubscribeBars,
    UnsubscribeBookDeltas,
    UnsubscribeBookDepth,
    UnsubscribeCustomData,
    UnsubscribeIndexPrices,
    UnsubscribeInstrument,
    UnsubscribeInstruments,
    UnsubscribeInstrumentStatus,
    UnsubscribeQuotes,
    UnsubscribeTrades,
)
from nautilus_trader.live.clients import DataClientFactory
from nautilus_trader.model import (
    CustomData,
    DataType,
    InstrumentId,
    OrderBookDeltas,
    OrderBookDepth,
    QuoteTick,
)

from adapters.kis.bar_desk import BarDesk
from adapters.kis.bar_fold import Traded
from adapters.kis.data_answers import AnsweringClient, KisDataConfig
from adapters.kis.data_events import (
    EXPECTED_AUCTION,
    KIS_SNAPSHOT,
    SlotsShort,
)
from adapters.kis.data_values import (
    deltas_of,
    every_ns,
    expected_of_book,
    expected_of_trade,
    index_price,
    polled,
    status_change,
)
from adapters.kis.errors import BadRecord
from adapters.kis.frames import Ack, WidthChange
from adapters.kis.gap_desk import GapDesk
from adapters.kis.market import ExpectedTrade, IndexValue, MarketStatus
from adapters.kis.polling import Poller
from adapters.kis.reading import BOOK, TRADES
from adapters.kis.registrations import Acked, Stream
from adapters.kis.replies import Snapshot
from adapters.kis.socket import Heard, Link, Unreadable
from adapters.kis.ticks import Expected, Trades
from adapters.kis.wants import Wants
from strategies.markets import krx
from strategies.markets.facts import RAW_ONE

__all__ = ["KisData", "KisDataConfig", "KisDataFactory"]

STATUS, INDEX = "H0STMKO0", "H0UPCNT0"
EXPECTED = "H0STANC0"
"""Another source of expected prices, of one registration more: the book tells them as well."""

_SOURCES = {EXPECTED_AUCTION: BOOK, EXPECTED: EXPECTED}

_REFUSALS = {
    Ack.REFUSED: "refused to register",
    Ack.FULL: "has no slot left, though we count fewer than its limit, and registers not yet",
}

type _Deliver = Callable[[Any, Heard], None]


class KisData(AnsweringClient):
    """The one market-data client of a node; ``config`` is a ``KisDataConfig``."""

    def __init__(
        self, *, name: str, config: KisDataConfig, cache: ClientCache, clock: Clock
    ) -> None:
        super().__init__(name=name, config=config, cache=cache, clock=clock)
        gateway = config.gateway
        self._wants = Wants(gateway.socket.want, gateway.socket.unwant)
        self._custom: dict[tuple[str, InstrumentId], list[DataType]] = {}
        self._gaps = GapDesk(
            gateway,
            self._past,
            config.on_gap,
            config.on_event,
            self._on_repaired,
            self._spawn,
        )
        self._bars = BarDesk(
            gateway,
            self._past,
            config.sessions,
            self._handle_data,
            config.on_gap,
            self._gaps.holes,
            self._spawn,
        )
        self._poller = Poller(
            gateway.http, gateway.config.limits, gateway.timing, self._on_snapshots, gateway.say
        )
        self._held: set[Stream] = set()
        self._refused: set[Stream] = set()
        self._silent: set[str] = set()
        self._left_out: tuple[Stream, ...] = ()
        self._is_open = self._is_begun = False
        self._is_listening, self._is_in_hours = True, False
        self._running: set[asyncio.Task[object]] = set()
        self._deliver = self._deliveries()
        gateway.listen(self._hear)

    def _deliveries(self) -> dict[type, _Deliver]:
        return {
            Trades: self._on_trades,
            QuoteTick: self._on_quote,
            OrderBookDepth: self._on_depth,
            Expected: self._on_expected,
            ExpectedTrade: self._on_expected_trade,
            IndexValue: self._on_index,
            MarketStatus: self._on_status,
            Link: self._on_link,
            Acked: self._on_acked,
            WidthChange: self._on_told,
            Unreadable: self._on_told,
            BadRecord: self._on_told,
        }

    # --- life ---

    async def _connect(self) -> None:
        """Open the gateway and wait for its socket; whoever runs the node is told of a failure."""
        self._is_open = True
        await self._gateway.open()
        try:
            await self._gateway.linked()
        except asyncio.CancelledError:
            raise
        # The engine says "connection failed" and no more.
        except BaseException as error:
            self._gateway.fail(error)
            raise
        for instrument in self._instruments:
            self._handle_instrument(instrument)
        self._spawn(self._bars.run(), "bars")
        self._spawn(self._poller.run(), "polling")
        self._spawn(self._keep_hours(), "hours")
        self._is_begun = True

    async def _disconnect(self) -> None:
        """End what runs and tell of gaps that nobody will repair; what came is delivered."""
        if not self._is_open:
            return
        self._is_open = False
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await self._gateway.close()
        self._is_listening = False  # the socket may live on for the execution client
        self._gaps.end()
        self._bars.end()

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        """Run something beside, until it is done or the client leaves."""
        guarded = self._guarded(work)
        try:
            task = self.create_task(guarded, name)
        except RuntimeError:
            guarded.close()
            work.close()
            if not self._is_begun or self.is_connected:
                raise
            # The engine, being stopped, takes no more work from a client, and data still come
            # until it lets the client leave: `_disconnect` tells of what was not repaired.
            return
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _guarded(self, work: Coroutine[object, object, None]) -> None:
        """Run something; its error is told to whoever runs the node, the engine only logs it."""
        try:
            await work
        # Whatever it was: raised on, and told first, because nobody waits for this task.
        except Exception as error:
            self._gateway.fail(error)
            raise

    async def _keep_hours(self) -> None:
        """Poll, and miss what is not streamed, within the hours of market data only."""
        while True:
            self._poller.pause(paused=True)
            await self._gateway.hours_begin()
            self._is_in_hours = True
            self._poller.pause(paused=False)
            await self._gateway.hours_end()
            self._is_in_hours = False
            self._end_unheld()

    def _end_unheld(self) -> None:
        """Let nothing more be missed of what is wanted and not registered until hours begin."""
        now_ns = self._gateway.stamp_ns()
        for stream in self._wants.streams:
            if stream not in self._held:
                self._gaps.over(stream, now_ns)
                if stream.tr_id == TRADES:
                    self._bars.left(stream.key)

    # --- what comes in ---

    def _hear(self, heard: Heard) -> None:
        deliver = self._deliver.get(type(heard.value))
        if (
            deliver is not None and self._is_listening
        ):  # the notices of orders are for the execution client
            deliver(heard.value, heard)

    def _on_trades(self, trades: Trades, heard: Heard) -> None:
        """Deliver trades; a bar that a trade ends leaves before it."""
        for tick in trades.ticks:
            code = tick.instrument_id.symbol.value
            stream = Stream(TRADES, code)
            if stream not in self._wants and stream not in self._held:
                continue  # on its way when it was given up
            day, _, volume = tick.trade_id.value.partition("-")
            quantity = tick.size.raw // RAW_ONE
            if not self._gaps.trade(tick, day, int(volume), quantity):
                continue
            if self._bars.folds(code):
                price = tick.price.raw // RAW_ONE
                traded = Traded(tick.ts_event, price, quantity, int(volume))
                self._bars.trade(code, traded, heard.received_ns)
            if self._wants.uses(stream, TRADES):
                self._handle_data(tick)
        for refused in trades.refused:
            self._on_event(refused)

    def _on_quote(self, quote: QuoteTick, _: Heard) -> None:
        if self._wants.uses(Stream(BOOK, quote.instrument_id.symbol.value), QuoteTick):
            self._handle_data(quote)

    def _on_depth(self, depth: OrderBookDepth, _: Heard) -> None:
        stream = Stream(BOOK, depth.instrument_id.symbol.value)
        if self._wants.uses(stream, OrderBookDepth):
            self._handle_data(depth)
        if self._wants.uses(stream, OrderBookDeltas):
            self._handle_data(deltas_of(depth))

    def _on_expected(self, expected: Expected, heard: Heard) -> None:
        value = expected_of_book(expected, heard.received_ns)
        self._publish((EXPECTED_AUCTION, expected.instrument_id), value)

    def _on_expected_trade(self, expected: ExpectedTrade, heard: Heard) -> None:
        instrument_id = self._gateway.instrument_ids.get(expected.code)
        if instrument_id is None:
            return
        try:
            value = expected_of_trade(instrument_id, expected, heard.received_ns)
        except ValueError as error:
            self._on_event(BadRecord(f"A record of {EXPECTED}: {error}."))
        else:
            self._publish((EXPECTED, instrument_id), value)

    def _on_index(self, index: IndexValue, heard: Heard) -> None:
        try:
            value = index_price(index, heard.received_ns)
        except (ValueError, OverflowError) as error:
            self._on_event(BadRecord(f"A record of {INDEX} for {index.code}: {error}."))
        else:
            self._handle_data(value)

    def _on_status(self, status: MarketStatus, heard: Heard) -> None:
        instrument_id = self._gateway.instrument_ids.get(status.code)
        if instrument_id is not None:
            self._handle_data(status_change(instrument_id, status, heard.received_ns))

    def _on_link(self, link: Link, _: Heard) -> None:
        self._on_event(link)
        self._bars.linked(is_open=link.is_open)
        if not link.is_open:
            self._held.clear()
            self._gaps.lost(self._gateway.surely_heard_ns())
            if not self._is_in_hours:
                self._end_unheld()

    def _on_acked(self, acked: Acked, heard: Heard) -> None:
        self._on_event(acked)
        stream, is_trades = acked.stream, acked.stream.tr_id == TRADES
        if acked.held:
            self._held.add(stream)
            self._refused.discard(stream)
            self._gaps.held(stream, heard.received_ns)
            if is_trades:
                self._bars.held(stream.key, heard.received_ns)
        elif acked.ack in {Ack.UNREGISTERED, Ack.NOT_FOUND}:
            self._held.discard(stream)
            if is_trades:
                self._bars.left(stream.key)
            self._gaps.left(stream)
        elif stream in self._wants:  # the notice's key is an HTS id, and not ours to tell
            self._say_refused(acked)

    def _say_refused(self, acked: Acked) -> None:
        """Say which stream is not observed, once until it is."""
        words = _REFUSALS.get(acked.ack)
        if words is not None and acked.stream not in self._refused:
            self._refused.add(acked.stream)
            stream = acked.stream
            self._gateway.say(f"KIS {words} {stream.key} ({stream.tr_id}): {acked.code}.")

    def _on_told(self, told: WidthChange | Unreadable | BadRecord, _: Heard) -> None:
        self._on_event(told)

    def _on_repaired(self, code: str, trades: Sequence[Traded]) -> None:
        self._bars.repaired(code, trades)

    def _on_snapshots(self, found: Mapping[str, Snapshot], absent: Sequence[str]) -> None:
        """Publish polled prices; a symbol that KIS is silent about is named once."""
        self._gateway.socket.inbox.flush()
        now_ns = self._gateway.stamp_ns()
        for code, snapshot in found.items():
            instrument_id = self._gateway.instrument_ids[code]
            self._publish((KIS_SNAPSHOT, instrument_id), polled(instrument_id, snapshot, now_ns))
        for code in set(absent) - self._silent:
            self._silent.add(code)
            self._refuse(code, "KIS gives no price of it")

    def _publish(self, topic: tuple[str, InstrumentId], value: object) -> None:
        for data_type in self._custom.get(topic, ()):
            self._handle_data(CustomData(data_type, value))

    # --- what is wanted ---

    def _use(self, tr_id: str, instrument_id: InstrumentId, use: object) -> None:
        """Want a stream of a symbol and say by name what no slot is left for."""
        if tr_id != INDEX and instrument_id.symbol.value not in self._gateway.instrument_ids:
            self._refuse(str(instrument_id), "it is not among the instruments of this node")
            return
        self._wants.use(Stream(tr_id, instrument_id.symbol.value), use)
        self._note_beyond()

    def _leave(self, tr_id: str, instrument_id: InstrumentId, use: object) -> None:
        self._wants.leave(Stream(tr_id, instrument_id.symbol.value), use)
        self._note_beyond()

    def _note_beyond(self) -> None:
        before, self._left_out = self._left_out, self._gateway.socket.beyond
        if not set(self._left_out) - set(before):
            return
        most = self._gateway.config.limits.registrations
        names = ", ".join(f"{stream.key} ({stream.tr_id})" for stream in self._left_out)
        self._gateway.say(
            f"KIS registers {most} streams at a time; these wait for a free slot: {names}."
        )
        self._on_event(SlotsShort(self._left_out, most))

    # --- subscriptions; the engine counts them and sends the first and the last ---

    async def _subscribe_instruments(self, command: SubscribeInstruments) -> None:
        """All instruments were provided when the client connected."""

    async def _subscribe_instrument(self, command: SubscribeInstrument) -> None:
        """All instruments were provided when the client connected."""

    async def _unsubscribe_instruments(self, command: UnsubscribeInstruments) -> None:
        """There is nothing to end."""

    async def _unsubscribe_instrument(self, command: UnsubscribeInstrument) -> None:
        """There is nothing to end."""

    async def _subscribe_trades(self, command: SubscribeTrades) -> None:
        self._use(TRADES, command.instrument_id, TRADES)

    async def _unsubscribe_trades(self, command: UnsubscribeTrades) -> None:
        self._leave(TRADES, command.instrument_id, TRADES)

    async def _subscribe_quotes(self, command: SubscribeQuotes) -> None:
        self._use(BOOK, command.instrument_id, QuoteTick)

    async def _unsubscribe_quotes(self, command: UnsubscribeQuotes) -> None:
        self._leave(BOOK, command.instrument_id, QuoteTick)

    async def _subscribe_book_depth(self, command: SubscribeBookDepth) -> None:
        self._use(BOOK, command.instrument_id, OrderBookDepth)

    async def _unsubscribe_book_depth(self, command: UnsubscribeBookDepth) -> None:
        self._leave(BOOK, command.instrument_id, OrderBookDepth)

    async def _subscribe_book_deltas(self, command: SubscribeBookDeltas) -> None:
        self._use(BOOK, command.instrument_id, OrderBookDeltas)

    async def _unsubscribe_book_deltas(self, command: UnsubscribeBookDeltas) -> None:
        self._leave(BOOK, command.instrument_id, OrderBookDeltas)

    async def _subscribe_instrument_status(self, command: SubscribeInstrumentStatus) -> None:
        self._use(STATUS, command.instrument_id, STATUS)

    async def _unsubscribe_instrument_status(self, command: UnsubscribeInstrumentStatus) -> None:
        self._leave(STATUS, command.instrument_id, STATUS)

    async def _subscribe_index_prices(self, command: SubscribeIndexPrices) -> None:
        self._use(INDEX, command.instrument_id, INDEX)

    async def _unsubscribe_index_prices(self, command: UnsubscribeIndexPrices) -> None:
        self._leave(INDEX, command.instrument_id, INDEX)

    async def _subscribe_bars(self, command: SubscribeBars) -> None:
        bar_type = command.bar_type
        stream = Stream(TRADES, bar_type.instrument_id.symbol.value)
        why = self._bars.add(bar_type, is_held=stream in self._held)
        if why is not None:
            self._refuse(str(bar_type), why)
            return
        self._use(TRADES, bar_type.instrument_id, bar_type)

    async def _unsubscribe_bars(self, command: UnsubscribeBars) -> None:
        if self._bars.folds(command.bar_type.instrument_id.symbol.value):
            self._bars.remove(command.bar_type)
        self._leave(TRADES, command.bar_type.instrument_id, command.bar_type)

    async def _subscribe(self, command: SubscribeCustomData) -> None:
        topic = self._topic(command.data_type)
        if topic is None:
            return
        kind, instrument_id = topic
        if every_ns(command.data_type) is None:
            self._refuse(command.data_type.topic, "its every_ms is no whole number of milliseconds")
            return
        self._custom.setdefault(topic, []).append(command.data_type)
        if kind == KIS_SNAPSHOT:
            self._poll(topic)
        else:
            self._use(_SOURCES[kind], instrument_id, kind)

    async def _unsubscribe(self, command: UnsubscribeCustomData) -> None:
        topic = self._topic(command.data_type)
        if topic is None or command.data_type not in self._custom.get(topic, ()):
            return
        self._custom[topic].remove(command.data_type)
        kind, instrument_id = topic
        if kind == KIS_SNAPSHOT:
            self._poll(topic)
        elif not self._custom[topic]:
            self._leave(_SOURCES[kind], instrument_id, kind)

    def _poll(self, topic: tuple[str, InstrumentId]) -> None:
        """Poll a symbol as often as its most eager subscriber wants."""
        code = topic[1].symbol.value
        wanted = [every_ns(data_type) or 0 for data_type in self._custom[topic]]
        if wanted:
            self._poller.watch(code, min(wanted))
        else:
            self._poller.unwatch(code)

    def _topic(self, data_type: DataType) -> tuple[str, InstrumentId] | None:
        """Return what a custom data type asks for; one that asks for nothing we have is refused."""
        metadata = data_type.metadata or {}
        text = str(metadata.get("instrument_id", ""))
        code = text.removesuffix(f".{krx.VENUE}")
        is_known = data_type.type_name in {EXPECTED_AUCTION, KIS_SNAPSHOT} and code != text
        if not is_known or code not in self._gateway.instrument_ids:
            self._refuse(
                data_type.topic,
                f"custom data are {EXPECTED_AUCTION} and {KIS_SNAPSHOT}, with instrument_id of an "
                "instrument of this node in their metadata",
            )
            return None
        is_second = data_type.type_name == EXPECTED_AUCTION and metadata.get("tr_id") == EXPECTED
        kind = EXPECTED if is_second else data_type.type_name
        return kind, self._gateway.instrument_ids[code]


class KisDataFactory(DataClientFactory):
    """Builds the data client of a node."""

    @staticmethod
    def create(*, name: str, config: DataClientConfig, cache: ClientCache, clock: Clock) -> KisData:
        """Return a client over ``config``, a ``KisDataConfig``."""
        if not isinstance(config, KisDataConfig):
            raise TypeError("KisDataFactory takes a KisDataConfig")
        return KisData(name=name, config=config, cache=cache, clock=clock)
