"""What is measured when prices are sampled: profits at the last prices, returns, volatility.

Rule: everything comes from fills and from marks read at a market-time timer; between timers
nothing is measured.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from decimal import Decimal, localcontext

from nautilus_trader.model import InstrumentId

from strategies.capital.allocation.statistics import CONTEXT, Returns, deviation
from strategies.capital.config import CapitalConfig
from strategies.capital.ledger import VenueLedger, notional_raw
from strategies.markets.facts import InstrumentFacts
from strategies.ports import Marks


def profit_raw(ledger: VenueLedger, marks: Marks, strategy: str) -> int:
    """Return a strategy's result on a venue, realised and open, fees taken off so far."""
    whole = ledger.realized_raw.get(strategy, 0)
    for symbol, holding in ledger.held_by.get(strategy, {}).items():
        last = marks.price(symbol)
        if last is None:
            continue
        value = notional_raw(last.raw, abs(holding.net_raw), ledger.currency)
        gain = value - holding.cost_raw
        whole += gain if holding.net_raw > 0 else -gain
    return whole


class Samples:
    """Keeps the newest returns of strategies per venue, and the newest prices of instruments."""

    def __init__(
        self, config: CapitalConfig, facts: Mapping[InstrumentId, InstrumentFacts]
    ) -> None:
        self._window = config.allocation.window
        self._least = config.allocation.samples
        self._sample_ns = config.sample_ns
        self._facts = facts
        self._returns: dict[str, dict[str, deque[Decimal]]] = {}
        self._profits: dict[tuple[str, str], int] = {}
        self._prices: dict[InstrumentId, deque[int]] = {}

    def add_profit(self, venue: str, strategy: str, profit: int, allocation: int) -> None:
        """Add one sample of a strategy: its return is the profit's change over its allocation."""
        key = (venue, strategy)
        before = self._profits.get(key)
        self._profits[key] = profit
        if before is None or allocation <= 0:
            return
        kept = self._returns.setdefault(venue, {})
        values = kept.setdefault(strategy, deque(maxlen=self._window))
        with localcontext(CONTEXT):
            values.append(Decimal(profit - before) / allocation)

    def add_prices(self, ts_ns: int, marks: Marks) -> None:
        """Add one sample of every instrument whose market is open."""
        for symbol, fact in self._facts.items():
            last = marks.price(symbol)
            if last is not None and fact.market.sessions.at(ts_ns) is not None:
                self._prices.setdefault(symbol, deque(maxlen=self._window + 1)).append(last.raw)

    def profit_raw(self, venue: str, strategy: str) -> int:
        """Return a strategy's profit at the latest sample, 0 before the first."""
        return self._profits.get((venue, strategy), 0)

    def returns(self, venue: str) -> dict[str, Returns]:
        """Return the kept returns of the venue's strategies."""
        return {name: tuple(values) for name, values in self._returns.get(venue, {}).items()}

    def volatility(self, symbol: InstrumentId, ts_ns: int) -> Decimal | None:
        """Return the deviation of an instrument's return over a session; None if not known yet.

        The deviation per sample times the root of the samples in a session.
        """
        prices = tuple(self._prices.get(symbol, ()))
        if len(prices) <= self._least or not self._sample_ns:
            return None
        sessions = self._facts[symbol].market.sessions
        session = sessions.at(ts_ns) or sessions.next_after(ts_ns)
        if session is None:
            return None
        with localcontext(CONTEXT):
            moves = tuple(_moves(prices))
            count = Decimal(session.close_ns - session.open_ns) / self._sample_ns
            return deviation(moves) * count.sqrt()


def _moves(prices: tuple[int, ...]) -> Iterator[Decimal]:
    for i in range(1, len(prices)):
        yield Decimal(prices[i]) / prices[i - 1] - 1
