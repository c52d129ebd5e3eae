"""What a statistic can be: a number with a unit, or the reason why there is none."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Undefined:
    """A number that does not exist; ``reason`` completes "undefined: ..."."""

    reason: str


class Unit(StrEnum):
    """What a number counts, so that it can be written for people."""

    FRACTION = "fraction"  # 0.012, written as 1.20 %
    RATIO = "ratio"  # no unit
    MONEY = "money"  # in the currency that stands beside it
    DURATION = "duration"  # nanoseconds
    COUNT = "count"


type Value = float | int | Decimal | Undefined
