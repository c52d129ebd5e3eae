"""Hands market events to the strategies that listen to their stream, in scenario order.

Rule: the hot path of a run, some ten million calls: closures over what they need, no look-up that
can be made once, and nothing journalled unless something was decided.
"""

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from nautilus_trader.model import (
    Bar,
    BarType,
    FundingRateUpdate,
    InstrumentId,
    OrderBookDeltas,
    QuoteTick,
    TradeTick,
)

from strategies.decider import Strategy
from strategies.errors import DeciderFailed
from strategies.host.deciders import AnyStrategy, Deciders
from strategies.host.marks import LastPrices, Slot
from strategies.messages import Intent
from strategies.ports import StreamKind

type MarketEvent = TradeTick | QuoteTick | Bar | OrderBookDeltas | FundingRateUpdate
type Handler = Callable[[MarketEvent], Iterable[Intent] | None]

HANDLERS = {
    StreamKind.TRADES: "on_trade",
    StreamKind.QUOTES: "on_quote",
    StreamKind.BARS: "on_bar",
    StreamKind.DELTAS: "on_book",
    StreamKind.FUNDING: "on_funding",
}


@dataclass(frozen=True, slots=True)
class Subscription:
    """One stream and the strategies it is delivered to, in scenario order."""

    kind: StreamKind
    topic: str
    instrument_id: InstrumentId
    strategies: tuple[str, ...]


@dataclass(slots=True)
class Route:
    """Where one stream's events go; ``key`` is what its events are looked up by."""

    subscription: Subscription
    mark: Slot
    handlers: tuple[tuple[str, Handler], ...]


@dataclass(frozen=True, slots=True)
class Answering:
    """What the host does with answers.

    ``begin`` journals the event (ts_ns, topic, text) that is answered and returns its id;
    ``decide`` carries intents out, ``fail`` takes a strategy's failure, ``drain`` ends the
    delivery. ``isolates``: a failure ends its strategy only.
    """

    isolates: bool
    begin: Callable[[MarketEvent, str], int]
    decide: Callable[[str, Iterable[Intent], int, int], None]
    fail: Callable[[str, DeciderFailed, int, int, int], None]
    drain: Callable[[], None]


def handles(cls: type[AnyStrategy], kind: StreamKind) -> bool:
    """Tell whether a strategy class overrides the handler of this kind of stream."""
    name = HANDLERS[kind]
    return getattr(cls, name) is not getattr(Strategy, name)


class Market:
    """The streams of a run; ``stamps`` are the ts_init of what was delivered."""

    def __init__(
        self,
        subscriptions: Sequence[Subscription],
        deciders: Deciders,
        marks: LastPrices,
        answering: Answering,
    ) -> None:
        self.stamps = array("q")
        self._deciders = deciders
        self._answering = answering
        self._silencers: list[Callable[[str], None]] = []
        self._routes: dict[StreamKind, dict[object, Route]] = {kind: {} for kind in StreamKind}
        for subscription in subscriptions:
            self._add_route(subscription, deciders.by_name, marks)

    def _add_route(
        self, subscription: Subscription, strategies: Mapping[str, AnyStrategy], marks: LastPrices
    ) -> None:
        name = HANDLERS[subscription.kind]
        handlers = tuple(
            (strategy, getattr(strategies[strategy], name)) for strategy in subscription.strategies
        )
        bars = subscription.kind is StreamKind.BARS
        key = BarType.from_str(subscription.topic) if bars else subscription.instrument_id
        mark = marks.slot(subscription.kind, subscription.instrument_id)
        self._routes[subscription.kind][key] = Route(subscription, mark, handlers)

    def silence(self, name: str) -> None:
        """Hand nothing to a strategy any more."""
        for routes in self._routes.values():
            for route in routes.values():
                route.handlers = tuple(each for each in route.handlers if each[0] != name)
        for silence in self._silencers:
            silence(name)

    def handler(
        self, kind: StreamKind, failed: Callable[[BaseException], None] | None = None
    ) -> Callable[[MarketEvent], None]:
        """Return the function that delivers one market event of this kind.

        ``failed`` is given what goes wrong, instead of raising it: for callers that would lose an
        exception.
        """
        routes = tuple(self._routes[kind].values())
        if len(routes) == 1 and len(routes[0].handlers) == 1:
            return self._one_listener(routes[0], HANDLERS[kind], failed)
        return self._many_listeners(kind, failed)

    def _one_listener(
        self, route: Route, method: str, failed: Callable[[BaseException], None] | None
    ) -> Callable[[MarketEvent], None]:
        """Deliver the only stream of its kind to its only strategy, without looking it up."""
        stamp, mark, topic = self.stamps.append, route.mark, route.subscription.topic
        ((name, handler),) = route.handlers
        answering, failed_on = self._answering, self._failed_on
        begin, decide, drain = answering.begin, answering.decide, answering.drain

        def silence(stopped: str) -> None:
            nonlocal handler
            if stopped == name:
                handler = _say_nothing

        def on_event(event: MarketEvent) -> None:
            try:
                stamp(event.ts_init)
                mark.event = event
                try:
                    intents = handler(event)
                    if not intents:
                        return
                # A decider is foreign code: whatever it raises is its failure, said by name.
                except BaseException as error:  # noqa: BLE001 - see above
                    failed_on(name, error, method, event, topic, 0)
                    drain()
                    return
                decide(name, intents, event.ts_init, begin(event, topic))
                drain()
            # Everything: the engine would log and swallow it, so the shell keeps it instead.
            except BaseException as error:
                if failed is None:
                    raise
                failed(error)

        self._silencers.append(silence)
        return on_event

    def _many_listeners(
        self, kind: StreamKind, failed: Callable[[BaseException], None] | None
    ) -> Callable[[MarketEvent], None]:
        """Deliver any stream of a kind to its strategies in scenario order."""
        routes, method = self._routes[kind], HANDLERS[kind]
        stamp = self.stamps.append
        answering, failed_on = self._answering, self._failed_on
        begin, decide, drain = answering.begin, answering.decide, answering.drain
        find = attrgetter("bar_type" if kind is StreamKind.BARS else "instrument_id")

        def on_event(event: MarketEvent) -> None:
            cause = 0
            try:
                stamp(event.ts_init)
                route = routes[find(event)]
                route.mark.event = event
                topic = route.subscription.topic
                for name, handler in route.handlers:
                    try:
                        intents = handler(event)
                        if not intents:
                            continue
                    # As in _one_listener.
                    except BaseException as error:  # noqa: BLE001 - see above
                        cause = failed_on(name, error, method, event, topic, cause)
                        continue
                    cause = cause or begin(event, topic)
                    decide(name, intents, event.ts_init, cause)
                if cause:
                    drain()
            # As in _one_listener.
            except BaseException as error:
                if failed is None:
                    raise
                failed(error)

        return on_event

    def _failed_on(
        self,
        name: str,
        error: BaseException,
        method: str,
        event: MarketEvent,
        topic: str,
        cause: int,
    ) -> int:
        """End the run, or the strategy that failed on an event; return the event's id."""
        failure = self._deciders.blame(name, error, f"in {method} on {event}")
        if not self._answering.isolates:
            raise failure from error
        cause = cause or self._answering.begin(event, topic)
        self._answering.fail(name, failure, event.ts_init, cause, cause)
        return cause


def _say_nothing(_event: MarketEvent) -> None:
    """Stand where the handler of a strategy that failed stood."""
