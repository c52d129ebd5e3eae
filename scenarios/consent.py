"""What a person must see, and agree to, before a run trades: account, money, limits, worst day.

Rule: nothing here is asked from a machine twice; without consent nothing is sent to the venue
that changes anything.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nautilus_trader.model import Currency

from scenarios.capital_settings import make_config, make_ledgers
from scenarios.screen import Screen
from scenarios.wiring import Universe, ground_of
from strategies.capital.asks import money
from strategies.capital.worst_case import WorstDay, worst_days
from strategies.errors import BadInput

FLAG = "--yes-trade-real-money"
_LIMITS = ("order_max", "symbol_max", "strategy_max", "gross_max", "net_max", "max_loss")
_BRAKES = ("daily_loss_max", "strategy_daily_loss_max")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """What a run puts at stake. ``play`` says why no real money moves, empty where it does.

    ``account`` is masked; ``money`` are (what, amount) pairs.
    """

    venue: str
    address: str
    account: str
    money: Sequence[tuple[str, str]]
    play: str


def worst_of(universe: Universe) -> Mapping[str, WorstDay]:
    """Return the most that can be lost today, by currency."""
    ground = ground_of(universe)
    gap_bps = universe.scenario.table.capital.gap_bps
    return worst_days(make_config(ground), make_ledgers(ground), universe.markets, gap_bps)


def show_stakes(universe: Universe, stakes: Stakes, screen: Screen) -> None:
    """Print what is at stake."""
    rows: list[tuple[str, str]] = [
        ("venue", f"{stakes.venue} at {stakes.address}"),
        ("account", stakes.account),
        *stakes.money,
    ]
    for table in universe.scenario.table.strategies:
        symbols = ", ".join(str(i) for i in universe.traded[table.name])
        rows.append((f"strategy {table.name}", f"weight {table.weight}: {symbols}"))
    capital = universe.scenario.table.capital
    limits = [(key, getattr(capital, key)) for key in _LIMITS]
    limits += [(key, getattr(capital.brakes, key)) for key in _BRAKES]
    limits.append(("daily_loss_total", [capital.brakes.daily_loss_total or ""]))
    rows += [(key, ", ".join(amounts)) for key, amounts in limits if any(amounts)]
    if capital.kill_switch is not None:
        rows.append(("kill switch", f"pulled at {capital.kill_switch.at}"))
    for code, worst in worst_of(universe).items():
        amount = money(worst.loss_raw, Currency.from_str(code))
        rows.append(("most that can be lost today", _grouped(f"{amount}: {worst.words}")))
    rows.append(("real money", f"no: {stakes.play}" if stakes.play else "yes"))
    screen.table(f"live: {universe.scenario.name}", ("what", "value"), rows)


def _grouped(text: str) -> str:
    """Return text with its long numbers in groups of three digits."""
    return re.sub(r"(?<![\d.])\d{4,}", lambda number: f"{int(number[0]):,}", text)


def require_consent(stakes: Stakes, *, given: bool) -> None:
    """Raise BadInput where real money would move and nobody agreed to it."""
    if stakes.play or given:
        return
    raise BadInput(
        f"this run trades real money on account {stakes.account} of {stakes.venue}; read what is "
        f"at stake above, and start it with {FLAG} if you agree."
    )
