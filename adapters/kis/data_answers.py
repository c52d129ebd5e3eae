"""What a data client is built from, and how it answers the requests of strategies.

Rule: every request gets an answer, an empty one where there is nothing to give, and why is told.
"""

from collections.abc import Coroutine, Sequence

from nautilus_trader.common import Clock
from nautilus_trader.config import DataClientConfig
from nautilus_trader.live import (
    BarsResponse,
    BookResponse,
    ClientCache,
    InstrumentResponse,
    InstrumentsResponse,
    RequestBars,
    RequestBookSnapshot,
    RequestInstrument,
    RequestInstruments,
    RequestTrades,
    TradesResponse,
)
from nautilus_trader.live.clients import MarketDataClient
from nautilus_trader.live.providers import InstrumentProvider
from nautilus_trader.model import BookType, Equity, OrderBook, Venue

from adapters.kis.data_events import NotServed, OnEvent, OnGap
from adapters.kis.errors import KisError, Stop
from adapters.kis.gateway import KisGateway
from adapters.kis.past import Past
from adapters.kis.past_data import PastData
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.sessions import Session


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
    ) -> None:
        self.gateway = gateway
        self.instruments = tuple(instruments)
        self.on_gap = on_gap
        self.on_event = on_event
        self.sessions = tuple(sessions)


class GivenInstruments(InstrumentProvider):
    """Provides the instruments it was given: they were loaded before the node was built."""

    def __init__(self, instruments: Sequence[Equity]) -> None:
        super().__init__()
        for instrument in instruments:
            self.add(instrument)

    async def load_all_async(self, filters: dict[str, object] | None = None) -> None:
        """Nothing is left to load."""


class AnsweringClient(MarketDataClient):
    """The half of the data client that asks nothing of the socket."""

    def __init__(
        self, *, name: str, config: KisDataConfig, cache: ClientCache, clock: Clock
    ) -> None:
        super().__init__(
            name=name,
            config=config,
            cache=cache,
            clock=clock,
            venue=Venue(krx.VENUE),
            instrument_provider=GivenInstruments(config.instruments),
        )
        self._gateway = config.gateway
        self._instruments = config.instruments
        self._on_event: OnEvent = config.on_event
        self._past = Past(config.gateway.http)
        self._past_data = PastData(config.gateway, self._past, config.sessions)

    def _refuse(self, subject: str, why: str) -> None:
        self._gateway.say(f"{subject} is not served: {why}.")
        self._on_event(NotServed(subject, why))

    async def _request_instrument(self, request: RequestInstrument) -> None:
        ids = (each.id for each in self._instruments)
        found = dict(zip(ids, self._instruments, strict=True)).get(request.instrument_id)
        if found is None:
            self._refuse(str(request.instrument_id), "it is not among the instruments of this node")
            return
        self._handle_response(
            InstrumentResponse(
                self.client_id,
                request.instrument_id,
                found,
                request.request_id,
                self._gateway.stamp_ns(),
            )
        )

    async def _request_instruments(self, request: RequestInstruments) -> None:
        self._handle_response(
            InstrumentsResponse(
                self.client_id,
                Venue(krx.VENUE),
                list(self._instruments),
                request.request_id,
                self._gateway.stamp_ns(),
            )
        )

    async def _request_bars(self, request: RequestBars) -> None:
        bars = await self._asked(
            str(request.bar_type),
            self._past_data.bars(request.bar_type, request.start_ns, request.end_ns, request.limit),
        )
        self._handle_response(
            BarsResponse(
                self.client_id,
                request.bar_type,
                bars,
                request.request_id,
                self._gateway.stamp_ns(),
                request.start_ns,
                request.end_ns,
            )
        )

    async def _request_trades(self, request: RequestTrades) -> None:
        trades = await self._asked(
            f"trades of {request.instrument_id}",
            self._past_data.trades(
                request.instrument_id, request.start_ns, request.end_ns, request.limit
            ),
        )
        self._handle_response(
            TradesResponse(
                self.client_id,
                request.instrument_id,
                trades,
                request.request_id,
                self._gateway.stamp_ns(),
                request.start_ns,
                request.end_ns,
            )
        )

    async def _request_book_snapshot(self, request: RequestBookSnapshot) -> None:
        books = await self._asked(f"the book of {request.instrument_id}", self._book(request))
        book = books[0] if books else OrderBook(request.instrument_id, BookType.L2_MBP)
        self._handle_response(
            BookResponse(
                self.client_id,
                request.instrument_id,
                book,
                request.request_id,
                self._gateway.stamp_ns(),
            )
        )

    async def _book(self, request: RequestBookSnapshot) -> list[OrderBook]:
        return [await self._past_data.book(request.instrument_id)]

    async def _asked[T](
        self, subject: str, question: Coroutine[object, object, list[T]]
    ) -> list[T]:
        """Return an answer, empty where there is none: the asker waits for one, and is told why."""
        try:
            return await question
        except (KisError, BadInput) as error:
            if isinstance(error, Stop):
                self._gateway.fail(error)
            self._refuse(subject, str(error).removesuffix("."))
            return []
