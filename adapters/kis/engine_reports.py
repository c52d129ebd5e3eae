"""Reports of orders and fills for the engine, from our book.

Rule: pure; an order that KIS has not numbered has no report, because the engine asks for one by
its number.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from nautilus_trader.model import (
    AccountId,
    FillReport,
    LiquiditySide,
    OrderStatus,
    OrderStatusReport,
    Price,
    Quantity,
)

from adapters.kis.engine_events import SentOrder, ToldFill
from adapters.kis.order_events import OrderState
from adapters.kis.order_state import KisOrder
from adapters.kis.orders import OrderBook

OPEN = frozenset({OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED})
_ENDED = {
    OrderState.FILLED: OrderStatus.FILLED,
    OrderState.CANCELED: OrderStatus.CANCELED,
    OrderState.REJECTED: OrderStatus.REJECTED,
}


def status_reports(
    account_id: AccountId, orders: Mapping[str, SentOrder], book: OrderBook, now_ns: int
) -> list[OrderStatusReport]:
    """Return a report of every order that has a number; ``now_ns`` is market time."""
    found = ((one, book.find(order_id)) for order_id, one in orders.items())
    return [
        _status_report(account_id, one, kept, now_ns)
        for one, kept in found
        if kept is not None and one.venue_order_id is not None
    ]


def _status(order: KisOrder) -> OrderStatus:
    if order.state in _ENDED:
        return _ENDED[order.state]
    return OrderStatus.PARTIALLY_FILLED if order.reported else OrderStatus.ACCEPTED


def _status_report(
    account_id: AccountId, one: SentOrder, kept: KisOrder, now_ns: int
) -> OrderStatusReport:
    order: Any = one.order
    return OrderStatusReport(
        account_id,
        one.instrument_id,
        one.venue_order_id,  # type: ignore[arg-type]  # callers leave those without one out
        kept.spec.side,
        order.order_type,
        order.time_in_force,
        _status(kept),
        Quantity.from_int(kept.quantity),
        Quantity.from_int(kept.reported),
        one.accepted_ns,
        one.last_ns,
        now_ns,
        client_order_id=one.client_order_id,
        price=Price.from_int(kept.price) if kept.price else None,
        trigger_price=getattr(order, "trigger_price", None),
        trigger_type=getattr(order, "trigger_type", None),
    )


def fill_reports(
    account_id: AccountId, orders: Mapping[str, SentOrder], fills: Iterable[ToldFill], now_ns: int
) -> list[FillReport]:
    """Return a report of every fill that was told."""
    reports = []
    for told in fills:
        one, fill = orders[told.fill.order_id], told.fill
        if one.venue_order_id is None:
            continue
        reports.append(
            FillReport(
                account_id,
                one.instrument_id,
                one.venue_order_id,
                fill.trade_id,
                fill.side,
                Quantity.from_int(fill.quantity),
                Price.from_int(fill.price),
                told.commission,
                LiquiditySide.NO_LIQUIDITY_SIDE,
                told.ts_ns,
                now_ns,
                client_order_id=one.client_order_id,
            )
        )
    return reports
