"""Trade where two exponential moving averages cross; fixed-point integers, stated rounding.

Tie rule: equal fixed-point values keep the previous side, and the first strict inequality after
warm-up (``slow`` prices) sets the side without trading. Rounding is stated at EmaPair.
"""

from dataclasses import dataclass

from strategies.averages import Crossover, CrossoverParams, EmaPair


@dataclass(frozen=True, kw_only=True)
class EmaCrossoverParams(CrossoverParams):
    """Lengths, source, sides, quantity and exits; see CrossoverParams."""


class EmaCrossover(Crossover[EmaCrossoverParams]):
    """Buy when the fast average crosses above the slow one, leave or turn when below."""

    params_type = EmaCrossoverParams
    label = "EMA"

    def make_pair(self) -> EmaPair:
        """Return new averages for one instrument."""
        return EmaPair(self.params.fast, self.params.slow)
