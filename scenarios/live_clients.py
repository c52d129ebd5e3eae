"""What a live node is made of beside the run: the engine's settings, clients, fees, stray news.

Rule: plain functions over values; the run itself is scenarios/live_node.py.
"""

from collections.abc import Callable

from nautilus_trader.common import Environment, LoggerConfig, LogLevel
from nautilus_trader.live import (
    LiveExecutionEngineConfig,
    LiveNodeConfig,
    LiveRiskEngineConfig,
    SubmissionRecoveryPolicy,
)
from nautilus_trader.model import (
    LiquiditySide,
    Money,
    OrderSide,
    Price,
    Quantity,
    TraderId,
)

from adapters.kis.engine_events import Stray
from adapters.kis.order_events import Accepted, Canceled, Filled, Rejected
from strategies.host.core import Host
from strategies.markets import krx
from strategies.markets.facts import RAW_ONE, MarketFacts
from strategies.messages import Fill, OrderState, OrderUpdate, Report

TRADER = TraderId("ONETAPE-001")
CONNECT_S = 90.0
"""KIS may need several tries for a socket and an acknowledgement; what takes longer is told."""
SETTLE_NS = 30_000_000_000


def node_config() -> LiveNodeConfig:
    """Return the engine's settings: no guesses of its own about orders, and nothing printed.

    What became of an order is asked by the adapter and reconciled by it; the engine's own checks
    would reject what is only late. Whether an order may go is the capital manager's to say: the
    engine would deny a market order in a share it knows no trade, quote or bar of.
    """
    return LiveNodeConfig(
        environment=Environment.LIVE,
        trader_id=TRADER,
        logging=LoggerConfig(stdout_level=LogLevel.OFF, bypass_logging=True),
        exec_engine=LiveExecutionEngineConfig(
            reconciliation=False,
            inflight_check_interval_ms=0,
            submission_recovery_policy=SubmissionRecoveryPolicy.RETAIN_UNRESOLVED,
        ),
        risk_engine=LiveRiskEngineConfig(bypass=True),
        timeout_connection_secs=CONNECT_S,
        timeout_disconnection_secs=SETTLE_NS / 1e9,
        delay_post_stop_secs=0.1,
    )


def commission_of(market: MarketFacts) -> Callable[[OrderSide, Quantity, Price], Money]:
    """Return what one fill costs by the market's facts, as the simulated venue charges it."""

    def commission(side: OrderSide, quantity: Quantity, price: Price) -> Money:
        notional = price.raw * quantity.raw // RAW_ONE**2
        cost = krx.commission_krw(notional, market.taker_rate)
        if side == OrderSide.SELL:
            cost += krx.sell_tax_krw(notional, market.sell_tax_rate)
        return Money.from_raw(cost * RAW_ONE, krx.KRW)

    return commission


def stray_report(stray: Stray, host: Host) -> Report | None:
    """Return news of an order that the engine calls rejected, None where they change nothing."""
    order_id, instrument_id = stray.client_order_id, stray.instrument_id
    if not host.knows(order_id):
        return None
    owner = host.owner(order_id)
    match stray.event:
        case Filled() as fill:
            return Fill(
                owner,
                order_id,
                instrument_id,
                str(fill.trade_id),
                fill.side,
                Quantity.from_int(fill.quantity),
                Price.from_int(fill.price),
                stray.commission or Money.zero(krx.KRW),
                LiquiditySide.NO_LIQUIDITY_SIDE,
                stray.ts_ns,
            )
        case Accepted():
            state = OrderState.ACCEPTED
        case Canceled():
            state = OrderState.CANCELED
        case Rejected():
            state = OrderState.REJECTED
        case _:
            return None
    return OrderUpdate(owner, order_id, instrument_id, state, "after all", stray.ts_ns)
