"""The decimal arithmetic of a run: 28 digits, half to even, whatever a user's module asked for.

Rule: our own Decimals are worked out after ``reset``; nothing but a run leaves it as it found it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import (
    ROUND_HALF_EVEN,
    Context,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
    setcontext,
)

_DIGITS = 28
_ARITHMETIC = Context(
    prec=_DIGITS,
    rounding=ROUND_HALF_EVEN,
    Emin=-999_999,
    Emax=999_999,
    capitals=1,
    clamp=0,
    traps=[InvalidOperation, DivisionByZero, Overflow],
)


def reset() -> None:
    """Take the run's arithmetic again, after foreign code may have changed it."""
    setcontext(_ARITHMETIC.copy())


@contextmanager
def arithmetic() -> Iterator[None]:
    """Work in the run's arithmetic, and give the caller's back at the end."""
    with localcontext(_ARITHMETIC):
        yield
