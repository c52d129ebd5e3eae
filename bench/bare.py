"""The bare engine: the same strategies as plain engine Strategies, the rows from the same reader.

Rule: what a user of the engine alone would write, and nothing slower: no journal, no capital
manager, no reports, orders sent at once.
"""

from typing import Any

from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.model import (
    Bar,
    BarType,
    InstrumentId,
    OrderSide,
    Quantity,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.trading import Strategy

from catalog.tape import TapeStream, read_windows
from scenarios.simulated_venues import add_venue
from scenarios.wiring import Universe
from strategies.averages import SmaPair
from strategies.ports import StreamKind

QUANTITY = "1.000"


class BareCrossover(Strategy):
    """Long above the slow average, flat below, of one instrument."""

    def prepare(self, streams: tuple[TapeStream, ...], fast: int, slow: int) -> None:
        """Take what to subscribe to and the averages' lengths; call before the engine starts."""
        self._streams = streams
        self._instrument_id = streams[0].instrument_id
        self._update = SmaPair(fast, slow).update
        self._update_mid = SmaPair(fast, slow).update
        self._quantity = Quantity.from_str(QUANTITY)
        self._is_long = False
        self.orders = 0

    def on_start(self) -> None:
        """Subscribe."""
        subscribe: dict[StreamKind, Any] = {
            StreamKind.BARS: lambda topic: self.subscribe_bars(BarType.from_str(topic)),
            StreamKind.TRADES: lambda topic: self.subscribe_trades(InstrumentId.from_str(topic)),
            StreamKind.QUOTES: lambda topic: self.subscribe_quotes(InstrumentId.from_str(topic)),
        }
        for stream in self._streams:
            subscribe[stream.kind](stream.topic)

    def on_bar(self, bar: Bar) -> None:
        """Take a close."""
        crossed = self._update(bar.close.raw)
        if crossed:
            self._turn(crossed)

    def on_trade(self, trade: TradeTick) -> None:
        """Take a trade's price."""
        crossed = self._update(trade.price.raw)
        if crossed:
            self._turn(crossed)

    def on_quote(self, quote: QuoteTick) -> None:
        """Take a mid, doubled."""
        self._update_mid(quote.bid_price.raw + quote.ask_price.raw)

    def _turn(self, crossed: int) -> None:
        if (crossed > 0) == self._is_long:
            return
        self._is_long = crossed > 0
        side = OrderSide.BUY if crossed > 0 else OrderSide.SELL
        self.submit_order(self.order_factory.market(self._instrument_id, side, self._quantity))
        self.orders += 1


def run_bare(universe: Universe, *, with_prints: bool) -> int:
    """Replay the universe's rows through the engine alone and return how many orders it sent.

    ``with_prints`` gives the venue the opening prints that our replay gives it.
    """
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggerConfig(stdout_level=LogLevel.OFF), bypass_logging=True, run_analysis=False
        )
    )
    for name, spec in universe.venues.items():
        add_venue(engine, spec, universe.markets[name])
    for instrument in universe.instruments.values():
        engine.add_instrument(instrument)
    strategy = BareCrossover()
    params = universe.scenario.table.strategies[0].params
    strategy.prepare(tuple(universe.streams), int(params["fast"]), int(params["slow"]))
    engine.add_strategy(strategy)
    prints = universe.prints if with_prints else ()
    rows = universe.scenario.table.chunk_rows
    for window in read_windows(universe.streams, prints, universe.start_ns, universe.end_ns, rows):
        engine.add_data(window.events, validate=False)
        window.events.clear()
        engine.run(start=universe.start_ns, streaming=True)
        engine.clear_data()
    engine.end()
    engine.dispose()
    return strategy.orders
