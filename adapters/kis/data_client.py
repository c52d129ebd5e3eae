"""KIS's market data as an engine client: what is subscribed is registered, what is heard delivered.

Rule: values go to the engine in the order they arrived, on the loop's thread, with the receive
time in market time; all that decides stands in pure modules, all that asks KIS in its own.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from nautilus_trader.common import Clock
from nautilus_trader.config import DataClientConfig
from nautilus_trader.live import (
    ClientCache,
    SubscribeBookDepth,
    SubscribeCustomData,
    SubscribeIndexPrices,
    SubscribeInstrument,
    SubscribeInstruments,
    SubscribeInstrumentStatus,
    SubscribeQuotes,
    SubscribeTrades,
    UnsubscribeBookDepth,
    UnsubscribeCustomData,
    UnsubscribeIndexPrices,
    UnsubscribeInstrument,
    UnsubscribeInstruments,
    UnsubscribeInstrumentStatus,
    UnsubscribeQuotes,
    UnsubscribeTrades,
)
from nautilus_trader.live.clients import DataClientFactory, MarketDataClient
from nautilus_trader.live.providers import InstrumentProvider
from nautilus_trader.model import (
    CustomData,
    DataType,
    Equity,
    IndexPriceUpdate,
    InstrumentId,
    InstrumentStatus,
    MarketStatusAction,
    OrderBookDepth,
    Price,
    QuoteTick,
    Venue,
)

from adapters.kis.data_events import (
    EXPECTED_AUCTION,
    ExpectedAuction,
    NotServed,
    OnEvent,
    OnGap,
    SlotsShort,
    custom,
)
from adapters.kis.errors import BadRecord
from adapters.kis.frames import WidthChange
from adapters.kis.gateway import KisGateway
from adapters.kis.market import ExpectedTrade, IndexValue, MarketStatus
from adapters.kis.reading import BOOK, TRADES
from adapters.kis.registrations import Acked, Stream
from adapters.kis.socket import Heard, Link, Unreadable
from adapters.kis.ticks import Expected, Seconds, Trades, seoul_day
from adapters.kis.wants import Wants
from strategies.markets import krx
from strategies.markets.sessions import Session

STATUS, INDEX = "H0STMKO0", "H0UPCNT0"
EXPECTED = "H0STANC0"
"""Another source of expected prices, of one registration more: the book tells them as well."""

type _Deliver = Callable[[Any, Heard], None]


class KisDataConfig(DataClientConfig):
    """What a data client is built from; the gateway is shared with the execution client.

    ``sessions`` are the trading sessions that daily bars close with. ``on_gap`` and ``on_event``
    are called on the loop's thread, in order with the data.
    """

    def __init__(
        self,
        *,
        gateway: KisGateway,
        instruments: Sequence[Equity],
        on_gap: OnGap,
        on_event: OnEvent,
        sessions: Sequence[Session] = (),
        **_more: object,
    ) -> None:
        self.gateway = gateway
        self.instruments = tuple(instruments)
        self.on_gap = on_gap
        self.on_event = on_event
        self.sessions = tuple(sessions)


class _Given(InstrumentProvider):
    """Provides the instruments it was given: they were loaded before the node was built."""

    def __init__(self, instruments: Sequence[Equity]) -> None:
        super().__init__()
        for instrument in instruments:
            self.add(instrument)

    async def load_all_async(self, filters: dict[str, object] | None = None) -> None:
        """Nothing is left to load."""


class KisData(MarketDataClient):
    """The one market-data client of a node; ``config`` is a ``KisDataConfig``."""

    def __init__(
        self, *, name: str, config: KisDataConfig, cache: ClientCache, clock: Clock
    ) -> None:
        super().__init__(
            name=name,
            config=config,
            cache=cache,
            clock=clock,
            venue=Venue(krx.VENUE),
            instrument_provider=_Given(config.instruments),
        )
        self._gateway = gateway = config.gateway
        self._instruments = config.instruments
        self._on_event = config.on_event
        self._wants = Wants(gateway.socket.want, gateway.socket.unwant)
        self._custom: dict[tuple[str, InstrumentId], list[DataType]] = {}
        self._left_out: tuple[Stream, ...] = ()
        self._seconds = Seconds()
        self._is_open = False
        self._deliver: dict[type, _Deliver] = {
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
        gateway.listen(self._hear)

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

    async def _disconnect(self) -> None:
        if self._is_open:
            self._is_open = False
            await self._gateway.close()

    # --- what comes in ---

    def _hear(self, heard: Heard) -> None:
        deliver = self._deliver.get(type(heard.value))
        if deliver is not None:  # the notices of orders are for the execution client
            deliver(heard.value, heard)

    def _on_trades(self, trades: Trades, _: Heard) -> None:
        for tick in trades.ticks:
            stream = Stream(TRADES, tick.instrument_id.symbol.value)
            if self._wants.uses(stream, TRADES):
                self._handle_data(tick)
        for refused in trades.refused:
            self._on_event(refused)

    def _on_quote(self, quote: QuoteTick, _: Heard) -> None:
        if self._wants.uses(Stream(BOOK, quote.instrument_id.symbol.value), QuoteTick):
            self._handle_data(quote)

    def _on_depth(self, depth: OrderBookDepth, _: Heard) -> None:
        if self._wants.uses(Stream(BOOK, depth.instrument_id.symbol.value), OrderBookDepth):
            self._handle_data(depth)

    def _on_expected(self, expected: Expected, heard: Heard) -> None:
        self._publish(
            (EXPECTED_AUCTION, expected.instrument_id),
            custom(
                ExpectedAuction,
                expected.ts_event,
                heard.received_ns,
                instrument_id=expected.instrument_id,
                price=int(expected.price.as_decimal()),
                quantity=int(expected.quantity.as_decimal()),
                phase=expected.phase,
            ),
        )

    def _on_expected_trade(self, expected: ExpectedTrade, heard: Heard) -> None:
        instrument_id = self._gateway.instrument_ids.get(expected.code)
        if instrument_id is None:
            return
        day = expected.day or seoul_day(heard.received_ns)
        self._publish(
            (EXPECTED, instrument_id),
            custom(
                ExpectedAuction,
                self._seconds.at(day, expected.time),
                heard.received_ns,
                instrument_id=instrument_id,
                price=expected.price,
                quantity=expected.quantity,
                phase=expected.phase,
            ),
        )

    def _on_index(self, index: IndexValue, heard: Heard) -> None:
        day = seoul_day(heard.received_ns)
        self._handle_data(
            IndexPriceUpdate(
                InstrumentId.from_str(f"{index.code}.{krx.VENUE}"),
                Price.from_str(f"{index.value:f}"),
                self._seconds.at(day, index.time),
                heard.received_ns,
            )
        )

    def _on_status(self, status: MarketStatus, heard: Heard) -> None:
        instrument_id = self._gateway.instrument_ids.get(status.code)
        if instrument_id is not None:
            self._handle_data(_status(instrument_id, status, heard.received_ns))

    def _on_link(self, link: Link, _: Heard) -> None:
        self._on_event(link)

    def _on_acked(self, acked: Acked, _: Heard) -> None:
        self._on_event(acked)

    def _on_told(self, told: WidthChange | Unreadable | BadRecord, _: Heard) -> None:
        self._on_event(told)

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

    def _refuse(self, subject: str, why: str) -> None:
        self._gateway.say(f"{subject} is not served: {why}.")
        self._on_event(NotServed(subject, why))

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

    async def _subscribe_instrument_status(self, command: SubscribeInstrumentStatus) -> None:
        self._use(STATUS, command.instrument_id, STATUS)

    async def _unsubscribe_instrument_status(self, command: UnsubscribeInstrumentStatus) -> None:
        self._leave(STATUS, command.instrument_id, STATUS)

    async def _subscribe_index_prices(self, command: SubscribeIndexPrices) -> None:
        self._use(INDEX, command.instrument_id, INDEX)

    async def _unsubscribe_index_prices(self, command: UnsubscribeIndexPrices) -> None:
        self._leave(INDEX, command.instrument_id, INDEX)

    async def _subscribe(self, command: SubscribeCustomData) -> None:
        topic = self._topic(command.data_type)
        if topic is not None:
            self._custom.setdefault(topic, []).append(command.data_type)
            self._use(BOOK if topic[0] == EXPECTED_AUCTION else EXPECTED, topic[1], topic[0])

    async def _unsubscribe(self, command: UnsubscribeCustomData) -> None:
        topic = self._topic(command.data_type)
        if topic is None or command.data_type not in self._custom.get(topic, ()):
            return
        self._custom[topic].remove(command.data_type)
        if not self._custom[topic]:
            self._leave(BOOK if topic[0] == EXPECTED_AUCTION else EXPECTED, topic[1], topic[0])

    def _topic(self, data_type: DataType) -> tuple[str, InstrumentId] | None:
        """Return what a custom data type asks for; one that asks for nothing we have is refused."""
        metadata = data_type.metadata or {}
        known = data_type.type_name == EXPECTED_AUCTION
        text = str(metadata.get("instrument_id", ""))
        code = text.removesuffix(f".{krx.VENUE}")
        if not known or code == text or code not in self._gateway.instrument_ids:
            self._refuse(
                str(data_type),
                f"{EXPECTED_AUCTION} needs metadata instrument_id, of an instrument of this node",
            )
            return None
        kind = EXPECTED if metadata.get("tr_id") == EXPECTED else data_type.type_name
        return kind, self._gateway.instrument_ids[code]


def _status(
    instrument_id: InstrumentId, status: MarketStatus, received_ns: int
) -> InstrumentStatus:
    """Return a change of status; KIS gives no time of it."""
    stopped = status.halted or status.in_vi or status.action is MarketStatusAction.HALT
    is_trading = False if stopped else status.action is MarketStatusAction.TRADING or None
    return InstrumentStatus(
        instrument_id,
        status.action,
        received_ns,
        received_ns,
        reason=status.reason or None,
        trading_event=status.words or status.operation or None,
        is_trading=is_trading,
    )


class KisDataFactory(DataClientFactory):
    """Builds the data client of a node."""

    @staticmethod
    def create(*, name: str, config: DataClientConfig, cache: ClientCache, clock: Clock) -> KisData:
        """Return a client over ``config``, a ``KisDataConfig``."""
        if not isinstance(config, KisDataConfig):
            raise TypeError("KisDataFactory takes a KisDataConfig")
        return KisData(name=name, config=config, cache=cache, clock=clock)
