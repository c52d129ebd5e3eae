"""A strategy that works on every trade and every quote, for the measurement on ticks."""

from nautilus_trader.model import QuoteTick

from strategies.averages import CrossoverParams
from strategies.decider import Intents, Setup
from strategies.sma_crossover import SmaCrossover


class TickCrossover(SmaCrossover):
    """Trade the crossover of trades; keep the same averages of quote mids beside it."""

    def __init__(self, setup: Setup[CrossoverParams]) -> None:
        super().__init__(setup)  # type: ignore[arg-type]  # its own params add no field
        self._mids = {instrument_id: self.make_pair() for instrument_id in setup.instruments}

    def on_quote(self, quote: QuoteTick) -> Intents:
        """Take a mid, doubled."""
        self._mids[quote.instrument_id].update(quote.bid_price.raw + quote.ask_price.raw)
        return None
