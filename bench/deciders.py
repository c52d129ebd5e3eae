"""A strategy that works on every trade and every quote, for the measurement on ticks."""

from nautilus_trader.model import QuoteTick

from strategies.averages import CrossoverParams
from strategies.decider import Intents, Setup
from strategies.sma_crossover import SmaCrossover


class TickCrossover(SmaCrossover):
    """Trade the crossover of trades; keep the same averages of quote mids beside it."""

    def __init__(self, setup: Setup[CrossoverParams]) -> None:
        super().__init__(setup)  # type: ignore[arg-type]  # its own params add no field
        self._mid = self.make_pair()  # of the only instrument, as the bare strategy has it

    def on_quote(self, quote: QuoteTick) -> Intents:
        """Take a mid, doubled."""
        self._mid.update(quote.bid_price.raw + quote.ask_price.raw)
        return None
