"""A strategy that keeps an account busy: market and limit orders, cancels, entries and exits.

Rule: what it does depends on nothing but how many trades of a symbol it has heard.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from nautilus_trader.model import InstrumentId, OrderSide, Price, Quantity, TradeTick

from strategies.decider import Params, Setup, Strategy
from strategies.messages import Cancel, Enter, Exit, Intent

CYCLE = 40


@dataclass(frozen=True, kw_only=True)
class ChurnParams(Params):
    """``most`` shares an order; every ``step``-th trade counts."""

    most: int = 30
    step: int = 1


class Churn(Strategy[ChurnParams]):
    """Walks through a cycle of orders, symbol by symbol."""

    params_type = ChurnParams

    def __init__(self, setup: Setup[ChurnParams]) -> None:
        super().__init__(setup)
        self.heard: dict[InstrumentId, int] = dict.fromkeys(setup.instruments, 0)

    def on_trade(self, trade: TradeTick) -> Iterable[Intent]:
        instrument_id = trade.instrument_id
        self.heard[instrument_id] += 1
        count, rest = divmod(self.heard[instrument_id], self.params.step)
        if rest:
            return ()
        quantity = Quantity.from_int(1 + count * 7 % self.params.most)
        match count % CYCLE:
            case 5:
                return (Enter(instrument_id, OrderSide.BUY, "take", quantity),)
            case 10:
                away = self._below(instrument_id, trade.price, 300)
                return (Enter(instrument_id, OrderSide.BUY, "rest", quantity, away),)
            case 18:
                return (Cancel(instrument_id, "waited long enough"),)
            case 22 | 38:
                if self.position(instrument_id).net_raw == 0:
                    return ()
                return (Exit(instrument_id, "done"),)
            case 28:
                near = self._below(instrument_id, trade.price, 0)
                return (Enter(instrument_id, OrderSide.BUY, "at the last price", quantity, near),)
            case 35:
                return (Cancel(instrument_id, "not filled"),)
        return ()

    def _below(self, instrument_id: InstrumentId, price: Price, bps: int) -> Price:
        raw = price.raw * (10_000 - bps) // 10_000
        return Price.from_raw(self.instruments[instrument_id].ticks.floor_raw(raw), 0)
