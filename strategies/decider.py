"""What a strategy is: a deterministic state machine from market data to intents.

Rule: a strategy has no clock, no randomness and no I/O. Everything it knows came in through a
handler, so a new object fed the same events returns the same intents.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from nautilus_trader.model import (
    Bar,
    ClientOrderId,
    FundingRateUpdate,
    InstrumentId,
    OrderBookDeltas,
    QuoteTick,
    TradeTick,
)

from strategies.errors import BadInput
from strategies.markets.facts import InstrumentFacts
from strategies.messages import (
    ENDED,
    Fill,
    Grant,
    Intent,
    OrderUpdate,
    Refusal,
    TimerFired,
)
from strategies.positions import Position

type Intents = Iterable[Intent] | None
"""What every handler returns; None and an empty tuple both mean: nothing."""


class ParamError(BadInput):
    """A strategy's parameters contradict each other or the market; the text says which and why."""


@dataclass(frozen=True, kw_only=True)
class Params:
    """Parameters of a strategy; subclass it as a frozen dataclass with typed fields."""

    def check(self, instruments: Mapping[InstrumentId, InstrumentFacts]) -> None:
        """Raise ParamError where the values cannot work on these instruments."""


@dataclass(frozen=True, kw_only=True)
class Setup[P: Params]:
    """All that a strategy is given when it is made; ``instruments`` are in scenario order."""

    name: str
    params: P
    instruments: Mapping[InstrumentId, InstrumentFacts]


class Strategy[P: Params]:
    """Base of all strategies: override the handlers you need, return intents with reasons.

    The host subscribes only to streams whose handler is overridden. It folds grants, order
    updates and fills into ``position`` and ``is_pending`` before it calls the handlers.
    """

    params_type: ClassVar[type[Params]] = Params

    def __init__(self, setup: Setup[P]) -> None:
        self.name = setup.name
        self.params = setup.params
        self.instruments = setup.instruments
        self._positions = {instrument_id: Position() for instrument_id in setup.instruments}
        self._pending: dict[InstrumentId, set[ClientOrderId]] = {
            instrument_id: set() for instrument_id in setup.instruments
        }
        self._left_raw: dict[ClientOrderId, int] = {}

    # --- what a strategy may ask of itself ---

    def position(self, instrument_id: InstrumentId) -> Position:
        """Return this strategy's own position, folded from its own fills."""
        return self._positions[instrument_id]

    def is_pending(self, instrument_id: InstrumentId) -> bool:
        """Tell whether an order of this strategy in this instrument may still fill."""
        return bool(self._pending[instrument_id])

    # --- handlers to override ---

    def on_start(self, ts_ns: int) -> Intents:
        """React to the start of the run."""

    def on_trade(self, trade: TradeTick) -> Intents:
        """React to one trade."""

    def on_quote(self, quote: QuoteTick) -> Intents:
        """React to a change of best bid or ask."""

    def on_bar(self, bar: Bar) -> Intents:
        """React to a finished bar; ``bar.ts_event`` is its close."""

    def on_book(self, deltas: OrderBookDeltas) -> Intents:
        """React to a snapshot of the book, or to its changed levels; ``LevelBook`` folds them."""

    def on_funding(self, funding: FundingRateUpdate) -> Intents:
        """React to a funding rate of a perpetual."""

    def on_timer(self, timer: TimerFired) -> Intents:
        """React to a ``Wake`` of this strategy that is due."""

    def on_fill(self, fill: Fill) -> Intents:
        """React to an own execution, already folded into ``position``."""

    def on_order(self, update: OrderUpdate) -> Intents:
        """React to an own order's acceptance, rejection, cancellation or expiry."""

    def on_refusal(self, refusal: Refusal) -> Intents:
        """React to the capital manager's no."""

    # --- folds the host calls; not for overriding ---

    def fold_grant(self, grant: Grant) -> None:
        """Note that an order is on its way."""
        self._pending[grant.instrument_id].add(grant.order_id)
        self._left_raw[grant.order_id] = grant.quantity.raw

    def fold_revival(
        self, order_id: ClientOrderId, instrument_id: InstrumentId, left_raw: int
    ) -> None:
        """Note that an order that had ended may fill after all."""
        self._pending[instrument_id].add(order_id)
        self._left_raw[order_id] = left_raw

    def fold_fill(self, fill: Fill) -> None:
        """Fold an own fill into the position."""
        self._positions[fill.instrument_id].apply(fill)
        left = self._left_raw.get(fill.order_id, 0) - fill.quantity.raw
        if left > 0:
            self._left_raw[fill.order_id] = left
        else:
            self._end(fill.order_id, fill.instrument_id)

    def fold_order(self, update: OrderUpdate) -> None:
        """Forget an order that can no longer fill."""
        if update.state in ENDED:
            self._end(update.order_id, update.instrument_id)

    def _end(self, order_id: ClientOrderId, instrument_id: InstrumentId) -> None:
        self._pending[instrument_id].discard(order_id)
        self._left_raw.pop(order_id, None)
