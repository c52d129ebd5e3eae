"""Staged roll-outs: a newcomer gets its whole share only step by step, and loses steps again.

Rule: a stage counts from when it was entered; its conditions are looked at when prices are
sampled. The first and the last stage are the ends: nothing falls below or grows beyond them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nautilus_trader.model import Currency

from strategies.capital.asks import money
from strategies.capital.config import SECOND_NS, StageRules, ppb
from strategies.capital.limits.prices import BPS
from strategies.markets.facts import PPB
from strategies.messages import CapitalIntent, StageChanged


@dataclass(slots=True)
class Standing:
    """What a strategy was like when it came to its stage; ``profit_raw`` by currency code."""

    stage: int
    since_ns: int
    trips: int
    profit_raw: Mapping[str, int]


class Stages:
    """Knows at which stage each newcomer is."""

    def __init__(self, rules: StageRules) -> None:
        self._rules = rules
        self._shares = {
            name: tuple(map(ppb, shares)) for name, shares in rules.shares.items() if shares
        }
        self.standings: dict[str, Standing] = {}

    def factor_ppb(self, strategy: str) -> int:
        """Return the part of its share that a strategy may use."""
        shares = self._shares.get(strategy)
        if shares is None:
            return PPB
        standing = self.standings.get(strategy)
        return shares[standing.stage if standing else 0]

    def on_start(self, ts_ns: int) -> list[CapitalIntent]:
        """Put every newcomer at its first stage."""
        return [self._enter(name, 0, ts_ns, 0, {}, "a newcomer") for name in self._shares]

    def look(
        self,
        strategy: str,
        profit_raw: Mapping[str, int],
        full_raw: Mapping[str, int],
        trips: int,
        ts_ns: int,
    ) -> Sequence[CapitalIntent]:
        """React to a strategy's profit, by currency, against its full allocation."""
        standing = self.standings.get(strategy)
        if standing is None:
            return ()
        gains = {
            code: profit - standing.profit_raw.get(code, 0) for code, profit in profit_raw.items()
        }
        worst = self._lost_too_much(gains, full_raw)
        if worst is not None and standing.stage > 0:
            return (self._enter(strategy, standing.stage - 1, ts_ns, trips, profit_raw, worst),)
        last = len(self._shares[strategy]) - 1
        why = self._has_shown_enough(standing, gains, full_raw, trips, ts_ns)
        if worst is None and why is not None and standing.stage < last:
            return (self._enter(strategy, standing.stage + 1, ts_ns, trips, profit_raw, why),)
        return ()

    def fold(
        self, change: StageChanged, ts_ns: int, trips: int, profit_raw: Mapping[str, int]
    ) -> None:
        """Take a journalled change over."""
        made = {code: raw for code, raw in profit_raw.items() if raw}
        self.standings[change.strategy] = Standing(change.stage - 1, ts_ns, trips, made)

    def _lost_too_much(self, gains: Mapping[str, int], full: Mapping[str, int]) -> str | None:
        for code, gain in gains.items():
            most = full.get(code, 0) * self._rules.fall_back_bps // BPS
            if self._rules.fall_back_bps and gain < 0 and -gain >= most:
                currency = Currency.from_str(code)
                return (
                    f"lost {money(-gain, currency)} at this stage, {money(most, currency)} is most"
                )
        return None

    def _has_shown_enough(
        self,
        standing: Standing,
        gains: Mapping[str, int],
        full: Mapping[str, int],
        trips: int,
        ts_ns: int,
    ) -> str | None:
        rules, made, age_ns = self._rules, trips - standing.trips, ts_ns - standing.since_ns
        if made < rules.trades or age_ns < rules.hours_ns:
            return None
        for code, gain in gains.items():
            if gain * BPS < full.get(code, 0) * rules.profit_bps:
                return None
        earned = ", ".join(money(gain, Currency.from_str(code)) for code, gain in gains.items())
        return f"{made} round trips in {age_ns // SECOND_NS} s earned {earned}"

    def _enter(
        self,
        strategy: str,
        stage: int,
        ts_ns: int,
        trips: int,
        profit_raw: Mapping[str, int],
        why: str,
    ) -> StageChanged:
        shares = self._shares[strategy]
        change = StageChanged(strategy, stage + 1, len(shares), shares[stage], why)
        self.fold(change, ts_ns, trips, profit_raw)
        return change
