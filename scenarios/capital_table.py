"""The ``[capital]`` table of a scenario, as people write it; every key has a safe default.

Rule: shape and plain ranges only; what the keys mean is scenarios/capital_settings.py.
"""

from decimal import Decimal
from typing import Literal

import msgspec


class AllocationTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[capital.allocation]``: how each venue's budget (its strategies' weights) is shared."""

    method: Literal["fixed", "inverse_volatility", "equal_risk", "performance", "kelly"] = "fixed"
    rebalance_s: int = 3_600
    window: int = 120
    samples: int = 12
    floor: Decimal = Decimal("0.5")
    ceiling: Decimal = Decimal("1.5")
    decay: Decimal = Decimal("0.94")
    gain: Decimal = Decimal(1)
    fraction: Decimal = Decimal("0.5")
    cap: Decimal = Decimal("0.25")
    kelly_floor: Decimal = Decimal("0.02")


class StagesTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[capital.stages]``: when a strategy with ``stages`` takes the next, or falls back."""

    trades: int = 10
    hours: Decimal = Decimal(0)
    profit_bps: int = 0
    fall_back_bps: int = 100


class BrakesTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[capital.brakes]``; nothing is set by default.

    ``drawdown_steps``: [[drawdown in bps, factor], ...].
    """

    drawdown_steps: list[tuple[int, Decimal]] = []
    drawdown_release: Decimal = Decimal("0.5")
    drawdown_reset_s: int = 0
    daily_loss_max: list[str] = []
    daily_loss_total: str | None = None
    strategy_daily_loss_max: list[str] = []
    losing_streak: int = 0
    cooldown_s: int = 3_600


class KillSwitchTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """``[capital.kill_switch]``: a drill at a stated time."""

    at: str
    release_at: str | None = None
    flatten: bool = False


class CapitalTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The ``[capital]`` table.

    Money lists hold one amount per currency. ``sectors``: instrument (or pattern, the longest that
    matches) -> sector. ``max_loss``: the most a day may cost; the scenario is refused where more
    could be lost, and ``gap_bps`` is the worst move assumed where no daily limit says it.
    ``rates``: what one unit of a currency is worth in ``base``; ``rate_instruments`` names the
    instrument whose recorded price says so instead. ``sample_s``: how often prices are looked at;
    default 300 where shares, stages or brakes need it, else never.
    """

    order_max: list[str] = []
    symbol_max: list[str] = []
    strategy_max: list[str] = []
    venue_max: dict[str, str] = {}
    gross_max: list[str] = []
    net_max: list[str] = []
    sectors: dict[str, str] = {}
    sector_share: Decimal = Decimal("0.30")
    cash_share: Decimal = Decimal(0)
    open_orders: int = 200
    orders_per_second: int = 20
    orders_per_day: int = 10_000
    price_sanity_bps: int = 1_000
    stale_after_s: int = 900
    market_buffer_bps: int = 100
    max_loss: list[str] = []
    gap_bps: int = 3_000
    base: str | None = None
    rates: dict[str, Decimal] = {}
    rate_instruments: dict[str, str] = {}
    sample_s: int | None = None
    allocation: AllocationTable = AllocationTable()
    stages: StagesTable = StagesTable()
    brakes: BrakesTable = BrakesTable()
    kill_switch: KillSwitchTable | None = None
