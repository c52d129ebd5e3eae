"""Asks one capital manager many things, with positions and orders open, and times each answer."""

import json
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderSide,
    Price,
)

from strategies.capital.config import BrakeRules, CapitalConfig, LimitRules
from strategies.capital.ledger import VenueLedger
from strategies.capital.manager import Capital
from strategies.markets import binance, krx
from strategies.markets.facts import RAW_ONE, InstrumentFacts
from strategies.markets.instruments import facts_of
from strategies.markets.sessions import ContinuousDays
from strategies.messages import (
    Enter,
    Exit,
    Fill,
    Grant,
    OrderState,
    OrderUpdate,
    SizeBy,
    Sizing,
)

type Facts = dict[str, Any]

STRATEGIES, SHARES, COINS = 20, 100, 100
START_NS = 1_773_014_400_000_000_000
STEP_NS = 200_000_000


@dataclass
class Prices:
    """The Marks port with one fresh price per instrument."""

    last: dict[InstrumentId, Price] = field(default_factory=dict)
    now_ns: int = START_NS

    def price(self, instrument_id: InstrumentId) -> Price | None:
        """Return the price set for it."""
        return self.last.get(instrument_id)

    def seen_ns(self, instrument_id: InstrumentId) -> int | None:  # noqa: ARG002 - all are fresh
        """Return now."""
        return self.now_ns

    def position(self, strategy: str, instrument_id: InstrumentId) -> int:  # noqa: ARG002 - unused
        """Return nothing: the manager folds positions itself."""
        return 0


def decide(_home: Path, steps: int) -> Facts:
    """Ask ``steps`` things at random; fill or end every granted order soon after."""
    chance = random.Random(4)  # noqa: S311 - a repeatable mix of questions, no secret
    facts, prices = _market(chance)
    manager = _manager(facts, prices)
    symbols = list(facts)
    asked, filled, open_orders = [], [], []
    grants = 0
    for number in range(steps):
        prices.now_ns += STEP_NS
        strategy, symbol = f"s{chance.randrange(STRATEGIES)}", chance.choice(symbols)
        intent = _intent(chance, symbol)
        order_id = ClientOrderId(f"O{number}")
        begun = time.perf_counter_ns()
        answer = manager.on_intent(strategy, intent, order_id, prices.now_ns)
        asked.append(time.perf_counter_ns() - begun)
        if isinstance(answer, Grant):
            grants += 1
            open_orders.append(answer)
        if len(open_orders) > 30:
            order = open_orders.pop(chance.randrange(len(open_orders)))
            if chance.random() < 0.2:
                _cancel(manager, order, prices.now_ns)
            else:
                filled.append(_fill(manager, order, prices, number))
    return {
        "median_us": median(asked) / 1_000,
        "p99_us": quantiles(asked, n=100)[98] / 1_000,
        "fill_us": median(filled) / 1_000,
        "grants": grants,
        "refusals": steps - grants,
    }


def _market(chance: random.Random) -> tuple[dict[InstrumentId, InstrumentFacts], Prices]:
    facts: dict[InstrumentId, InstrumentFacts] = {}
    prices = Prices()
    krx_market, usdm = krx.market(ContinuousDays()), binance.usdm_market()
    for number in range(SHARES):
        fact = facts_of(krx.equity(f"{number:06d}"), krx_market)
        facts[fact.instrument_id] = fact
        prices.last[fact.instrument_id] = Price.from_str(str(chance.randrange(100, 400) * 100))
    for number in range(COINS):
        steps = binance.Steps(f"C{number}", "USDT", "0.1", "0.001", "0.001", "5")
        fact = facts_of(binance.perpetual(f"C{number}USDT", steps), usdm)
        facts[fact.instrument_id] = fact
        prices.last[fact.instrument_id] = Price.from_str(f"{chance.randrange(10, 900)}.5")
    return facts, prices


def _manager(facts: dict[InstrumentId, InstrumentFacts], prices: Prices) -> Capital:
    names = [f"s{i}" for i in range(STRATEGIES)]
    venues = {fact.market.venue: fact.market for fact in facts.values()}
    worth = {"KRX": 10_000_000_000, "BINANCE": 10_000_000}
    ledgers = {
        venue: VenueLedger(
            venue, market.margin, market.currency, {market.currency.code: worth[venue] * RAW_ONE}
        )
        for venue, market in venues.items()
    }

    def both(share: Decimal) -> dict[str, int]:
        codes = {venue: market.currency.code for venue, market in venues.items()}
        return {codes[v]: int(worth[v] * share) * RAW_ONE for v in venues}

    limits = LimitRules(
        order_max_raw=both(Decimal("0.01")),
        symbol_max_raw=both(Decimal("0.05")),
        strategy_max_raw=both(Decimal("0.05")),
        venue_max_raw={venue: worth[venue] * RAW_ONE for venue in venues},
        gross_max_raw=both(Decimal("0.9")),
        net_max_raw=both(Decimal("0.8")),
        sectors={symbol: f"sector {i % 20}" for i, symbol in enumerate(facts)},
        cash_share=Decimal("0.05"),
        orders_per_day=10_000_000,
    )
    brakes = BrakeRules(
        daily_loss_raw=both(Decimal("0.5")),
        strategy_loss_raw=both(Decimal("0.5")),
        losing_streak=99,
    )
    config = CapitalConfig(
        weights={name: Decimal(1) / STRATEGIES for name in names},
        symbols={(name, venue): 100 for name in names for venue in venues},
        limits=limits,
        brakes=brakes,
    )
    return Capital(config, facts, ledgers, prices)


def _intent(chance: random.Random, symbol: InstrumentId) -> Enter | Exit:
    kind = chance.random()
    if kind < 0.3:
        return Enter(symbol, OrderSide.BUY, "because")
    if kind < 0.6:
        sizing = Sizing(SizeBy.ALLOCATION, bps=chance.randrange(1, 500))
        return Enter(symbol, OrderSide.BUY, "because", sizing=sizing)
    return Exit(symbol, "because")


def _cancel(manager: Capital, order: Grant, ts_ns: int) -> None:
    state = OrderState.CANCELED
    manager.on_order(
        OrderUpdate(order.strategy, order.order_id, order.instrument_id, state, "", ts_ns)
    )


def _fill(manager: Capital, order: Grant, prices: Prices, number: int) -> int:
    fill = Fill(
        order.strategy,
        order.order_id,
        order.instrument_id,
        f"T{number}",
        order.side,
        order.quantity,
        prices.last[order.instrument_id],
        Money.from_raw(0, order.reserved.currency),
        LiquiditySide.TAKER,
        prices.now_ns,
    )
    begun = time.perf_counter_ns()
    manager.on_fill(fill)
    return time.perf_counter_ns() - begun


TASKS: dict[str, Callable[..., Facts]] = {"decide": decide}

if __name__ == "__main__":
    name, arguments = sys.argv[1], json.loads(sys.argv[2])
    print(json.dumps(TASKS[name](Path(arguments.pop("home")), **arguments)))
