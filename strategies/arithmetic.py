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
    getcontext,
    localcontext,
    setcontext,
)

_DIGITS = 28
_EXPONENT = 999_999
_ARITHMETIC = Context(
    prec=_DIGITS,
    rounding=ROUND_HALF_EVEN,
    Emin=-_EXPONENT,
    Emax=_EXPONENT,
    capitals=1,
    clamp=0,
    traps=[InvalidOperation, DivisionByZero, Overflow],
)


def reset() -> None:
    """Take the run's arithmetic again, after foreign code may have changed it."""
    now = getcontext()
    # Looked at first: this runs on every order, and a new context costs several times as much.
    if (
        now.prec != _DIGITS
        or now.rounding != ROUND_HALF_EVEN
        or now.Emax != _EXPONENT
        or now.Emin != -_EXPONENT
        or now.clamp
    ):
        setcontext(_ARITHMETIC.copy())


@contextmanager
def arithmetic() -> Iterator[None]:
    """Work in the run's arithmetic, and give the caller's back at the end."""
    with localcontext(_ARITHMETIC):
        yield
