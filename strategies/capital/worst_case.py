"""The most a scenario can lose in one day, with the arithmetic in words.

loss = daily stop + exposure x move, at most the equity; without a daily stop all of the equity,
because what is lost can be bought again. *exposure* is the least of what shares, strategies,
venues and gross limits allow; *move* is the way from the day's upper limit to its lower one, or
the gap that the scenario states for markets without limits.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from nautilus_trader.model import Currency

from strategies.capital.asks import money
from strategies.capital.config import CapitalConfig, Method, ppb
from strategies.capital.ledger import VenueLedger, unit_raw
from strategies.markets.facts import PPB, MarketFacts


@dataclass(frozen=True, slots=True)
class WorstDay:
    """What can be lost in one currency, raw, and how it is worked out."""

    loss_raw: int
    words: str


def worst_days(
    config: CapitalConfig,
    ledgers: Mapping[str, VenueLedger],
    markets: Mapping[str, MarketFacts],
    gap_bps: int,
) -> dict[str, WorstDay]:
    """Return the worst day by currency code; ``ledgers`` hold what the run begins with."""
    codes = dict.fromkeys(ledger.currency.code for ledger in ledgers.values())
    return {
        code: _worst(
            config,
            {name: one for name, one in ledgers.items() if one.currency.code == code},
            {name: move_ppb(market, gap_bps) for name, market in markets.items()},
            code,
        )
        for code in codes
    }


def move_ppb(market: MarketFacts, gap_bps: int) -> int:
    """Return the worst move of a day against a position, as a part of its value."""
    ratio = market.price_limit_ratio
    return gap_bps * PPB // 10_000 if ratio is None else ppb(2 * ratio / (1 + ratio))


def _worst(
    config: CapitalConfig, ledgers: Mapping[str, VenueLedger], moves: Mapping[str, int], code: str
) -> WorstDay:
    currency = Currency.from_str(code)
    equity = sum(ledger.book_equity_raw() for ledger in ledgers.values())
    exposures = {name: _exposure_raw(config, ledger) for name, ledger in ledgers.items()}
    stop = _stop_raw(config, ledgers, code)
    if stop is None:
        return WorstDay(
            equity, f"no daily_loss_max in {code} stops it, so all of {money(equity, currency)}"
        )
    gross = config.limits.gross_max_raw.get(code)
    exposure = sum(exposures.values())
    move = max(moves[name] for name in ledgers)
    if gross is not None and gross < exposure:
        moved = gross * move // PPB
        parts = f"{money(gross, currency)} x {_percent(move)}"
    else:
        moved = sum(exposures[name] * moves[name] // PPB for name in ledgers)
        parts = " + ".join(
            f"{money(exposures[name], currency)} on {name} x {_percent(moves[name])}"
            for name in ledgers
        )
    words = f"daily stop {money(stop, currency)} + {parts} = {money(stop + moved, currency)}"
    if stop + moved > equity:
        return WorstDay(equity, f"{words}, at most the equity {money(equity, currency)}")
    return WorstDay(stop + moved, words)


def _exposure_raw(config: CapitalConfig, ledger: VenueLedger) -> int:
    """Return the most that strategies may have at stake on a venue."""
    rules, code, equity = config.limits, ledger.currency.code, ledger.book_equity_raw()
    names = [name for name, venue in config.symbols if venue == ledger.venue]
    weighed = sum(equity * ppb(config.weights[name]) // PPB for name in names)
    most = []
    for name in names:
        own = rules.own_max_raw.get((name, code), rules.strategy_max_raw.get(code, weighed))
        fixed = config.allocation.method is Method.FIXED
        most.append(min(own, equity * ppb(config.weights[name]) // PPB) if fixed else own)
    kept = equity * ppb(rules.cash_share) // PPB
    rooms = (weighed, sum(most), rules.venue_max_raw.get(ledger.venue, equity), equity - kept)
    unit = unit_raw(ledger.currency)
    return min(rooms) // unit * unit


def _stop_raw(config: CapitalConfig, ledgers: Mapping[str, VenueLedger], code: str) -> int | None:
    """Return the loss after which no new risk is taken: of all, or of each strategy together."""
    stops = []
    if code in config.brakes.daily_loss_raw:
        stops.append(config.brakes.daily_loss_raw[code])
    if code in config.brakes.strategy_loss_raw:
        traders = dict.fromkeys(name for name, venue in config.symbols if venue in ledgers)
        stops.append(config.brakes.strategy_loss_raw[code] * len(traders))
    return min(stops) if stops else None


def _percent(part_ppb: int) -> str:
    return f"{part_ppb / PPB:.2%}"
