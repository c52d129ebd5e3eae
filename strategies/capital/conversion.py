"""Amounts of several currencies as one total, at given rates or at an instrument's last price.

Rule: a total is for limits and views only; no ledger ever holds a converted amount.
"""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from nautilus_trader.model import Currency, Money

from strategies.capital.config import ConversionRules
from strategies.capital.ledger import unit_raw
from strategies.markets.facts import RAW_ONE
from strategies.ports import Marks


class Conversion:
    """Knows what one unit of each currency is worth in the base currency."""

    def __init__(self, rules: ConversionRules, marks: Marks) -> None:
        self._rules = rules
        self._marks = marks

    def rate(self, code: str) -> Decimal | None:
        """Return the worth of one unit, None while its instrument has no price."""
        if code == self._rules.base:
            return Decimal(1)
        rate = self._rules.rates.get(code)
        if rate is None or isinstance(rate, Decimal):
            return rate
        price = self._marks.price(rate)
        return None if price is None else Decimal(price.raw) / RAW_ONE

    def words(self, codes: Iterable[str]) -> str:
        """Say what one unit of each other currency is worth."""
        base = self._rules.base
        return ", ".join(f"1 {code} = {self.rate(code)} {base}" for code in codes if code != base)

    def total(self, amounts_raw: Mapping[str, int]) -> Money | None:
        """Return the sum in the base currency, cut to its unit; None while a rate is missing."""
        base = Currency.from_str(self._rules.base)
        unit = unit_raw(base)
        whole = 0
        for code, raw in amounts_raw.items():
            rate = self.rate(code)
            if rate is None:
                return None
            whole += int(raw * rate)
        cut = whole // unit if whole >= 0 else -(-whole // unit)
        return Money.from_raw(cut * unit, base)
