"""Stops new risk for the rest of the UTC day once the day's loss reaches its limit.

The UTC day begins at 09:00 in Seoul, with KRX's session. Losses are realised and open, fees
included. Way back: the next day.
"""

from collections.abc import Mapping, Sequence

from nautilus_trader.model import Currency

from strategies.capital.asks import money
from strategies.capital.brakes.board import ALL, BrakeBoard, of_strategy
from strategies.capital.config import BrakeRules
from strategies.capital.conversion import Conversion
from strategies.markets.sessions import DAY_NS
from strategies.messages import BrakePulled, CapitalIntent

NAME = "daily_loss"


class DailyLoss:
    """Holds the profits of (strategy, venue) against where the day began for them."""

    def __init__(
        self,
        rules: BrakeRules,
        board: BrakeBoard,
        conversion: Conversion,
        currencies: Mapping[str, str],
    ) -> None:
        self._rules = rules
        self._board = board
        self._conversion = conversion
        self._currencies = currencies
        self._begun: dict[tuple[str, str], tuple[int, int]] = {}
        self.is_on = bool(rules.daily_loss_raw or rules.strategy_loss_raw or rules.daily_loss_total)

    def begin(self, strategy: str, venue: str, profit_raw: int, ts_ns: int) -> None:
        """Take a sampled profit for the day's beginning where it is the first of its day."""
        day = ts_ns // DAY_NS
        if self._begun.get((strategy, venue), (-1, 0))[0] != day:
            self._begun[strategy, venue] = (day, profit_raw)

    def look(
        self, profits_raw: Mapping[tuple[str, str], int], ts_ns: int
    ) -> Sequence[CapitalIntent]:
        """React to the profits by (strategy, venue), each as it was when last looked at."""
        if not self.is_on:
            return ()
        day = ts_ns // DAY_NS
        losses: dict[tuple[str, str], int] = {}
        for (strategy, venue), profit in profits_raw.items():
            begun_on, begun = self._begun.get((strategy, venue), (-1, 0))
            key = (strategy, self._currencies[venue])
            losses[key] = losses.get(key, 0) + (begun - profit if begun_on == day else 0)
        until_ns = (day + 1) * DAY_NS
        return (*self._each(losses, until_ns), *self._together(losses, until_ns))

    def _each(self, losses: Mapping[tuple[str, str], int], until_ns: int) -> list[CapitalIntent]:
        out: list[CapitalIntent] = []
        for (strategy, code), loss in losses.items():
            most = self._rules.strategy_loss_raw.get(code)
            if most is not None and loss >= most:
                words = f"{strategy} lost {_of(loss, code)} today, the limit is {_of(most, code)}"
                out += self._pull(of_strategy(strategy), until_ns, words)
        return out

    def _together(
        self, losses: Mapping[tuple[str, str], int], until_ns: int
    ) -> list[CapitalIntent]:
        out: list[CapitalIntent] = []
        totals: dict[str, int] = {}
        for (_, code), loss in losses.items():
            totals[code] = totals.get(code, 0) + loss
        for code, loss in totals.items():
            most = self._rules.daily_loss_raw.get(code)
            if most is not None and loss >= most:
                words = f"all lost {_of(loss, code)} today, the limit is {_of(most, code)}"
                out += self._pull(ALL, until_ns, words)
        total = self._rules.daily_loss_total
        if total is not None:
            lost = self._conversion.total(totals)
            if lost is not None and lost.raw >= total.raw:
                words = f"all lost {lost} today, the limit is {total}"
                out += self._pull(ALL, until_ns, words)
        return out

    def _pull(self, scope: str, until_ns: int, words: str) -> Sequence[CapitalIntent]:
        return self._board.pull(BrakePulled(NAME, scope, 0, until_ns, words))


def _of(raw: int, code: str) -> str:
    return money(raw, Currency.from_str(code))
