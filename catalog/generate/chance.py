"""Chance as an input: integers drawn from a seed, the same on every machine.

Rule: only raw 64-bit output of PCG64 and integer arithmetic. NumPy promises the raw stream for
good; its distributions, and floating-point functions, may differ between versions and machines.
"""

import hashlib

import numpy as np
import numpy.typing as npt

type Ints = npt.NDArray[np.int64]

ONE = 1 << 16
"""Probabilities are counted in 65,536ths."""


_MIDDLE = 4 * (ONE - 1) // 2
_SPREAD = 37_837  # standard deviation of the sum of four numbers from 0 to 65,535


class Chance:
    """One stream of draws, named by a seed and what it is for."""

    def __init__(self, seed: int, *names: object) -> None:
        text = "/".join(map(str, (seed, *names)))
        self._bits = np.random.PCG64(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))

    def below(self, count: int, limit: int) -> Ints:
        """Draw ``count`` integers from 0 to ``limit`` - 1; the limit is at most 2^47."""
        return (self._raw(count) % np.uint64(limit)).astype(np.int64)

    def one(self, limit: int) -> int:
        """Draw one integer from 0 to ``limit`` - 1."""
        return int(self.below(1, limit)[0])

    def happens(self, count: int, share: int) -> npt.NDArray[np.bool_]:
        """Draw events that happen in ``share`` of 65,536 cases."""
        return self.below(count, ONE) < share

    def heavy(self, count: int, base: int, cap: int = 40) -> Ints:
        """Draw sizes with a Pareto tail: half of them below 2 x ``base``, some near ``cap`` x."""
        draws = self.below(count, ONE) + 1
        return np.minimum(base * ONE // draws, base * cap)

    def noise(self, count: int, size: int) -> Ints:
        """Draw symmetric, nearly normal steps with a standard deviation of ``size``, below 2^44."""
        raw: npt.NDArray[np.uint64] = self._bits.random_raw(count)
        words = raw.view(np.uint16).reshape(count, 4).astype(np.int64)  # their order adds up alike
        return (words.sum(axis=1) - _MIDDLE) * size // _SPREAD

    def _raw(self, count: int) -> npt.NDArray[np.uint64]:
        raw: npt.NDArray[np.uint64] = self._bits.random_raw(count)
        return raw >> np.uint64(17)
