"""Settings of the capital manager, one frozen class per family; money in raw units.

Rule: every default is safe and none needs data the scenario may lack. ``_raw`` maps are by
currency code unless their comment says otherwise; an absent key means: no such limit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum

from nautilus_trader.model import InstrumentId, Money

from strategies.markets.facts import PPB

SECOND_NS = 1_000_000_000


class Method(StrEnum):
    """How a venue's budget is shared among its strategies."""

    FIXED = "fixed"
    INVERSE_VOLATILITY = "inverse_volatility"
    EQUAL_RISK = "equal_risk"
    PERFORMANCE = "performance"
    KELLY = "kelly"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRules:
    """What no grant may exceed.

    ``own_max_raw`` is by (strategy, currency code) and wins over ``strategy_max_raw``;
    ``venue_max_raw`` is by venue. ``sector_share`` is of the venue's equity, for instruments that
    ``sectors`` names; ``cash_share`` of it is never spent. ``market_buffer_bps``: how much worse
    than the last price an order may fill where no daily limit says so. 0 switches a count, the
    sanity of prices or the age of data off.
    """

    order_max_raw: Mapping[str, int] = field(default_factory=dict)
    symbol_max_raw: Mapping[str, int] = field(default_factory=dict)
    strategy_max_raw: Mapping[str, int] = field(default_factory=dict)
    own_max_raw: Mapping[tuple[str, str], int] = field(default_factory=dict)
    venue_max_raw: Mapping[str, int] = field(default_factory=dict)
    gross_max_raw: Mapping[str, int] = field(default_factory=dict)
    net_max_raw: Mapping[str, int] = field(default_factory=dict)
    sectors: Mapping[InstrumentId, str] = field(default_factory=dict)
    sector_share: Decimal = Decimal("0.30")
    cash_share: Decimal = Decimal(0)
    open_orders: int = 200
    orders_per_second: int = 20
    orders_per_day: int = 10_000
    price_sanity_bps: int = 1_000
    stale_after_ns: int = 900 * SECOND_NS
    market_buffer_bps: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AllocationRules:
    """How budgets are shared.

    ``window`` and ``samples`` are how many returns are kept and how many a strategy needs before
    anything but its weight counts. ``floor`` and ``ceiling`` bound the performance factor,
    ``decay`` is what an older return weighs against the next newer one, ``gain`` is the factor's
    change per unit of mean return in standard deviations. Kelly: ``fraction`` of mean / variance,
    at most ``cap`` of the venue and at least ``kelly_floor``, so that it can earn its way back.
    """

    method: Method = Method.FIXED
    rebalance_ns: int = 3_600 * SECOND_NS
    window: int = 120
    samples: int = 12
    floor: Decimal = Decimal("0.5")
    ceiling: Decimal = Decimal("1.5")
    decay: Decimal = Decimal("0.94")
    gain: Decimal = Decimal(1)
    fraction: Decimal = Decimal("0.5")
    cap: Decimal = Decimal("0.25")
    kelly_floor: Decimal = Decimal("0.02")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRules:
    """How a newcomer's share grows: ``shares`` by strategy, and when it may take the next.

    Since it came to its stage: ``trades`` round trips, ``hours_ns`` of market time, a profit of
    ``profit_bps`` of the full allocation, all of them. It falls back one stage when it has lost
    ``fall_back_bps`` of its full allocation since then.
    """

    shares: Mapping[str, tuple[Decimal, ...]] = field(default_factory=dict)
    trades: int = 10
    hours_ns: int = 0
    profit_bps: int = 0
    fall_back_bps: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BrakeRules:
    """What makes the manager slower or stops it.

    ``drawdown_steps``: (drawdown of a venue's marked equity from its peak in bps, factor of its
    allocations). A step lets go once the drawdown is below ``drawdown_release`` of it, or after
    ``drawdown_reset_ns`` (0: never), when the peak starts anew. Losses are of one UTC day, realised
    and open: ``daily_loss_raw`` by currency, ``daily_loss_total`` in the base currency, both for
    all strategies; ``strategy_loss_raw`` by currency for each. ``losing_streak`` round trips in a
    row (0: off) cool a strategy for ``cooldown_ns``. The drill pulls the kill switch at
    ``kill_at_ns`` and lets it go at ``release_at_ns`` (0: never).
    """

    drawdown_steps: tuple[tuple[int, Decimal], ...] = ()
    drawdown_release: Decimal = Decimal("0.5")
    drawdown_reset_ns: int = 0
    daily_loss_raw: Mapping[str, int] = field(default_factory=dict)
    daily_loss_total: Money | None = None
    strategy_loss_raw: Mapping[str, int] = field(default_factory=dict)
    losing_streak: int = 0
    cooldown_ns: int = 3_600 * SECOND_NS
    kill_at_ns: int = 0
    kill_flattens: bool = False
    release_at_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionRules:
    """What one unit of a currency is worth in ``base``: a given rate, or an instrument's price."""

    base: str = ""
    rates: Mapping[str, Decimal | InstrumentId] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CapitalConfig:
    """Everything the capital manager is told.

    ``weights``: strategy -> share of each venue it trades on. ``symbols``: how many instruments a
    strategy has on a venue, which an entry without size or sizing divides its allocation by.
    ``sample_ns``: how often prices are looked at for shares, brakes, stages and views; 0: never.
    """

    weights: Mapping[str, Decimal]
    symbols: Mapping[tuple[str, str], int]
    limits: LimitRules = LimitRules()
    allocation: AllocationRules = AllocationRules()
    stages: StageRules = StageRules()
    brakes: BrakeRules = BrakeRules()
    conversion: ConversionRules = ConversionRules()
    sample_ns: int = 0


def ppb(value: Decimal) -> int:
    """Return a share as an integer in parts of 10**9, rounded down."""
    return int(value * PPB)
