"""Trade where two simple moving averages cross; exact on integers.

Tie rule: equal averages keep the previous side, and the first strict inequality after warm-up
(``slow`` prices) sets the side without trading. A trade happens only when the side changes.
"""

from dataclasses import dataclass

from strategies.averages import Crossover, CrossoverParams, SmaPair


@dataclass(frozen=True, kw_only=True)
class SmaCrossoverParams(CrossoverParams):
    """Lengths, source, sides, quantity and exits; see CrossoverParams."""


class SmaCrossover(Crossover[SmaCrossoverParams]):
    """Buy when the fast average crosses above the slow one, leave or turn when below."""

    params_type = SmaCrossoverParams
    label = "SMA"

    def make_pair(self) -> SmaPair:
        """Return new averages for one instrument."""
        return SmaPair(self.params.fast, self.params.slow)
