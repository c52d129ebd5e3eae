"""What a scenario's capital keys mean: the capital manager's config and its ledgers.

Rule: everything that cannot work is refused here, before a run begins, with the key and the way
out; a scenario that could lose more than its ``max_loss`` is refused with the arithmetic.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase

from nautilus_trader.model import InstrumentId, Money

from scenarios.scenario import BPS_ONE, Scenario, parse_money, parse_time_ns
from strategies.capital.asks import money
from strategies.capital.config import (
    SECOND_NS,
    AllocationRules,
    BrakeRules,
    CapitalConfig,
    ConversionRules,
    LimitRules,
    Method,
    StageRules,
)
from strategies.capital.ledger import VenueLedger
from strategies.capital.settlement import Settlement
from strategies.capital.worst_case import worst_days
from strategies.errors import BadInput
from strategies.markets.facts import MarketFacts

SAMPLE_S = 300
"""How often prices are looked at where something needs it and nothing else is said."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What the keys are about: the scenario, its venues' facts and balances, who trades what."""

    scenario: Scenario
    markets: Mapping[str, MarketFacts]
    balances: Mapping[str, Sequence[Money]]
    traded: Mapping[str, Sequence[InstrumentId]]

    def bad(self, key: str, what: str) -> BadInput:
        """Return the refusal of a key of the [capital] table."""
        return BadInput(f"{self.scenario.source}: capital.{key} {what}")

    def amounts(self, key: str, texts: Sequence[str]) -> dict[str, int]:
        """Read one amount per currency, raw by code."""
        found: dict[str, int] = {}
        for text in texts:
            amount = parse_money(text, f"{self.scenario.source}: capital.{key}")
            if amount.raw <= 0:
                raise self.bad(key, f"{text!r} is not above zero; raise it, or leave it out.")
            if amount.currency.code in found:
                raise self.bad(key, f"names {amount.currency.code} twice; give one amount of it.")
            found[amount.currency.code] = amount.raw
        return found


def make_ledgers(ground: Ground) -> dict[str, VenueLedger]:
    """Return each venue's ledger with what the run begins with."""
    ledgers = {}
    for name, market in ground.markets.items():
        ledgers[name] = VenueLedger(
            name,
            market.margin,
            market.currency,
            {amount.currency.code: amount.raw for amount in ground.balances[name]},
            Settlement(market.settlement_sessions, market.sessions, market.proceeds_buy),
        )
    return ledgers


def make_config(ground: Ground) -> CapitalConfig:
    """Return the capital manager's settings; raises BadInput where they cannot work."""
    table = ground.scenario.table
    config = CapitalConfig(
        weights={strategy.name: strategy.weight for strategy in table.strategies},
        symbols=_symbols(ground),
        limits=_limits(ground),
        allocation=_allocation(ground),
        stages=_stages(ground),
        brakes=_brakes(ground),
        conversion=_conversion(ground),
        sample_ns=_sample_ns(ground),
    )
    _check_loss(ground, config)
    return config


def _symbols(ground: Ground) -> dict[tuple[str, str], int]:
    """Count each strategy's instruments per venue; weights on a venue are at most the whole."""
    symbols: dict[tuple[str, str], int] = {}
    for name, instruments in ground.traded.items():
        for instrument_id in instruments:
            key = (name, instrument_id.venue.value)
            symbols[key] = symbols.get(key, 0) + 1
    weights = {strategy.name: strategy.weight for strategy in ground.scenario.table.strategies}
    for venue in ground.markets:
        total = sum((weights[name] for name, at in symbols if at == venue), Decimal(0))
        if total > 1:
            raise BadInput(
                f"{ground.scenario.source}: the weights of the strategies on {venue} add up to "
                f"{total}, more than the whole; lower them to 1 or less."
            )
    return symbols


def _limits(ground: Ground) -> LimitRules:
    table = ground.scenario.table.capital
    for key in ("sector_share", "cash_share"):
        if not 0 <= getattr(table, key) <= 1:
            raise ground.bad(key, "must be from 0 to 1.")
    for key in ("open_orders", "orders_per_second", "orders_per_day", "stale_after_s"):
        if getattr(table, key) < 0:
            raise ground.bad(key, "is negative; give 0 to switch it off.")
    for key in ("price_sanity_bps", "market_buffer_bps", "gap_bps"):
        if not 0 <= getattr(table, key) <= BPS_ONE:
            raise ground.bad(key, f"must be from 0 to {BPS_ONE:,}.")
    own = {
        (strategy.name, code): raw
        for strategy in ground.scenario.table.strategies
        for code, raw in ground.amounts(f"(max of {strategy.name})", strategy.max).items()
    }
    return LimitRules(
        order_max_raw=ground.amounts("order_max", table.order_max),
        symbol_max_raw=ground.amounts("symbol_max", table.symbol_max),
        strategy_max_raw=ground.amounts("strategy_max", table.strategy_max),
        own_max_raw=own,
        venue_max_raw=_venue_max(ground),
        gross_max_raw=ground.amounts("gross_max", table.gross_max),
        net_max_raw=ground.amounts("net_max", table.net_max),
        sectors=_sectors(ground),
        sector_share=table.sector_share,
        cash_share=table.cash_share,
        open_orders=table.open_orders,
        orders_per_second=table.orders_per_second,
        orders_per_day=table.orders_per_day,
        price_sanity_bps=table.price_sanity_bps,
        stale_after_ns=table.stale_after_s * SECOND_NS,
        market_buffer_bps=table.market_buffer_bps,
    )


def _venue_max(ground: Ground) -> dict[str, int]:
    found = {}
    for venue, text in ground.scenario.table.capital.venue_max.items():
        key = f"venue_max.{venue}"
        market = ground.markets.get(venue)
        if market is None:
            known = ", ".join(ground.markets)
            raise ground.bad(key, f"names no venue of this scenario; there are: {known}.")
        code = market.currency.code
        amounts = ground.amounts(key, [text])
        if code not in amounts:
            raise ground.bad(key, f"must be in {code}, the venue's currency.")
        found[venue] = amounts[code]
    return found


def _sectors(ground: Ground) -> dict[InstrumentId, str]:
    """Give each traded instrument the sector of the longest pattern it matches.

    Not of the first one: the journalled scenario keeps no order of keys.
    """
    traded = dict.fromkeys(i for instruments in ground.traded.values() for i in instruments)
    found: dict[InstrumentId, str] = {}
    sectors = ground.scenario.table.capital.sectors
    for pattern, sector in sorted(sectors.items(), key=lambda item: (-len(item[0]), item)):
        matches = [i for i in traded if fnmatchcase(str(i), pattern)]
        if not matches:
            known = ", ".join(map(str, traded))
            raise ground.bad(
                f'sectors."{pattern}"', f"matches no traded instrument; there are: {known}."
            )
        for instrument_id in matches:
            found.setdefault(instrument_id, sector)
    return found


def _allocation(ground: Ground) -> AllocationRules:
    table = ground.scenario.table.capital.allocation
    if table.samples < 2 or table.window < table.samples:
        raise ground.bad("allocation", "needs samples of at least 2 and a window not below it.")
    if table.rebalance_s < 1:
        raise ground.bad("allocation.rebalance_s", "must be at least 1 second.")
    if not 0 < table.decay <= 1 or not 0 <= table.floor <= 1 <= table.ceiling:
        raise ground.bad("allocation", "needs decay in (0, 1] and floor <= 1 <= ceiling.")
    if not 0 <= table.kelly_floor <= table.cap <= 1 or not 0 < table.fraction <= 1:
        raise ground.bad("allocation", "needs 0 <= kelly_floor <= cap <= 1, fraction in (0, 1].")
    return AllocationRules(
        method=Method(table.method),
        rebalance_ns=table.rebalance_s * SECOND_NS,
        window=table.window,
        samples=table.samples,
        floor=table.floor,
        ceiling=table.ceiling,
        decay=table.decay,
        gain=table.gain,
        fraction=table.fraction,
        cap=table.cap,
        kelly_floor=table.kelly_floor,
    )


def _stages(ground: Ground) -> StageRules:
    table = ground.scenario.table.capital.stages
    shares = {}
    for strategy in ground.scenario.table.strategies:
        steps = tuple(strategy.stages)
        if any(not 0 < share <= 1 for share in steps) or list(steps) != sorted(steps):
            raise BadInput(
                f"{ground.scenario.source}: stages of strategy {strategy.name} must rise and lie "
                "above 0 and at most 1; write stages = [0.1, 0.5, 1]."
            )
        if steps:
            shares[strategy.name] = steps
    for key in ("trades", "hours", "fall_back_bps"):
        if getattr(table, key) < 0:
            raise ground.bad(f"stages.{key}", "is negative; give 0 or more.")
    return StageRules(
        shares=shares,
        trades=table.trades,
        hours_ns=int(table.hours * 3_600 * SECOND_NS),
        profit_bps=table.profit_bps,
        fall_back_bps=table.fall_back_bps,
    )


def _brakes(ground: Ground) -> BrakeRules:
    capital = ground.scenario.table.capital
    table, kill = capital.brakes, capital.kill_switch
    for bps, factor in table.drawdown_steps:
        if not 0 < bps <= BPS_ONE or not 0 <= factor < 1:
            raise ground.bad(
                "brakes.drawdown_steps", "must be [[bps, factor below 1], ...]: [[500, 0.5]]."
            )
    if not 0 <= table.drawdown_release <= 1:
        raise ground.bad("brakes.drawdown_release", "must be from 0 to 1.")
    for key in ("losing_streak", "cooldown_s", "drawdown_reset_s"):
        if getattr(table, key) < 0:
            raise ground.bad(f"brakes.{key}", "is negative; give 0 or more.")
    where = f"{ground.scenario.source}: capital.kill_switch"
    return BrakeRules(
        drawdown_steps=tuple(table.drawdown_steps),
        drawdown_release=table.drawdown_release,
        drawdown_reset_ns=table.drawdown_reset_s * SECOND_NS,
        daily_loss_raw=ground.amounts("brakes.daily_loss_max", table.daily_loss_max),
        daily_loss_total=_total(ground),
        strategy_loss_raw=ground.amounts(
            "brakes.strategy_daily_loss_max", table.strategy_daily_loss_max
        ),
        losing_streak=table.losing_streak,
        cooldown_ns=table.cooldown_s * SECOND_NS,
        kill_at_ns=parse_time_ns(kill.at, "at", where) if kill else 0,
        kill_flattens=kill.flatten if kill else False,
        release_at_ns=(
            parse_time_ns(kill.release_at, "release_at", where) if kill and kill.release_at else 0
        ),
    )


def _total(ground: Ground) -> Money | None:
    capital = ground.scenario.table.capital
    text = capital.brakes.daily_loss_total
    if text is None:
        return None
    key = "brakes.daily_loss_total"
    amounts = ground.amounts(key, [text])
    if capital.base is None or capital.base not in amounts:
        raise ground.bad(key, "must be in capital.base; set base to its currency.")
    codes = {market.currency.code for market in ground.markets.values()}
    missing = sorted(codes - {capital.base, *capital.rates, *capital.rate_instruments})
    if missing:
        raise ground.bad(
            key, f"needs what one {missing[0]} is worth: add capital.rates.{missing[0]}."
        )
    return parse_money(text, f"{ground.scenario.source}: capital.{key}")


def _conversion(ground: Ground) -> ConversionRules:
    table = ground.scenario.table.capital
    if (table.rates or table.rate_instruments) and table.base is None:
        raise ground.bad("rates", 'need the currency they lead to; add base = "KRW".')
    rates: dict[str, Decimal | InstrumentId] = {}
    for code, rate in table.rates.items():
        if rate <= 0:
            raise ground.bad(f"rates.{code}", "must be above 0.")
        rates[code] = rate
    traded = {str(i): i for instruments in ground.traded.values() for i in instruments}
    for code, name in table.rate_instruments.items():
        if name not in traded:
            known = ", ".join(traded)
            raise ground.bad(
                f"rate_instruments.{code}", f"{name!r} is not traded here; there are: {known}."
            )
        rates[code] = traded[name]
    return ConversionRules(base=table.base or "", rates=rates)


def _sample_ns(ground: Ground) -> int:
    table = ground.scenario.table
    given = table.capital.sample_s
    if given is not None and given < 0:
        raise ground.bad("sample_s", "is negative; give 0 for never.")
    brakes = table.capital.brakes
    needed = (
        Method(table.capital.allocation.method) is not Method.FIXED
        or any(strategy.stages for strategy in table.strategies)
        or brakes.drawdown_steps
        or brakes.daily_loss_max
        or brakes.daily_loss_total
        or brakes.strategy_daily_loss_max
        or brakes.losing_streak
        or table.capital.kill_switch
    )
    if needed and given == 0:
        raise ground.bad("sample_s", "is 0, but shares, stages or brakes need samples; raise it.")
    return (SAMPLE_S if needed else 0) * SECOND_NS if given is None else given * SECOND_NS


def _check_loss(ground: Ground, config: CapitalConfig) -> None:
    """Refuse a scenario that could lose more in a day than it says it may."""
    table = ground.scenario.table.capital
    stated = ground.amounts("max_loss", table.max_loss)
    if not stated:
        return
    worst = worst_days(config, make_ledgers(ground), ground.markets, table.gap_bps)
    for code, most in stated.items():
        found = worst.get(code)
        if found is None:
            raise ground.bad("max_loss", f"names {code}, which no venue here holds; remove it.")
        if found.loss_raw > most:
            currency = next(m.currency for m in ground.markets.values() if m.currency.code == code)
            raise ground.bad(
                "max_loss",
                f"is {money(most, currency)}, but a day can lose {money(found.loss_raw, currency)}"
                f": {found.words}; lower weights, limits or the daily stop, or raise max_loss.",
            )
