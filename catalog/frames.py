"""A run's books as pandas DataFrames, for notebooks.

Rule: times are UTC timestamps, money and quantities stay Decimal: ``.astype(float)`` to plot them.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

import pandas as pd
from nautilus_trader.model import Quantity

from catalog.folds import Order, Trade, fold
from catalog.journal import Entry
from strategies.markets.facts import RAW_ONE
from strategies.messages import Fill


class Frames(NamedTuple):
    """One table each, a row per decision, order, fill and closed round trip."""

    decisions: pd.DataFrame
    orders: pd.DataFrame
    fills: pd.DataFrame
    trades: pd.DataFrame


def to_frames(entries: Iterable[Entry]) -> Frames:
    """Return a run's tables from its entries: ``to_frames(store.entries(run))``."""
    books = fold(entries)
    return Frames(
        _table(DECISION_COLUMNS, map(_decision, books.decisions), "time"),
        _table(ORDER_COLUMNS, map(_order, books.orders.values()), "granted", "changed"),
        _table(FILL_COLUMNS, map(_fill, books.fills), "time"),
        _table(TRADE_COLUMNS, map(_trade, books.trades), "entered", "exited"),
    )


DECISION_COLUMNS = ("id", "time", "kind", "source", "what", "instrument", "reason", "cause_id")
ORDER_COLUMNS = (
    *("order_id", "strategy", "instrument", "side", "quantity", "price", "state", "filled"),
    *("average_price", "fees", "granted", "changed", "reason", "detail"),
)
FILL_COLUMNS = (
    *("time", "strategy", "instrument", "side", "quantity", "price", "commission", "currency"),
    *("order_id", "trade_id"),
)
TRADE_COLUMNS = (
    *("strategy", "instrument", "side", "quantity", "entered", "exited", "entry_price"),
    *("exit_price", "gross", "fees", "net", "currency", "entry_reason", "exit_reason"),
)


def _table(
    columns: tuple[str, ...], rows: Iterable[tuple[object, ...]], *times: str
) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=list(columns))
    for name in times:
        frame[name] = pd.to_datetime(frame[name].astype("int64"), unit="ns", utc=True)
    return frame


def _decision(entry: Entry) -> tuple[object, ...]:
    message = entry.message
    return (
        entry.id,
        entry.ts_ns,
        str(entry.kind),
        entry.source,
        type(message).__name__,
        str(getattr(message, "instrument_id", "")),
        str(getattr(message, "reason", "")),
        entry.cause_id,
    )


def _order(order: Order) -> tuple[object, ...]:
    return (
        order.order_id,
        order.strategy,
        str(order.instrument_id),
        str(order.side),
        order.quantity.as_decimal(),
        None if order.price is None else order.price.as_decimal(),
        order.state,
        _quantity(order.filled_raw, order.quantity),
        order.average_price,
        order.fees,
        order.granted_ns,
        order.changed_ns,
        order.reason,
        order.detail,
    )


def _fill(fill: Fill) -> tuple[object, ...]:
    return (
        fill.ts_ns,
        fill.strategy,
        str(fill.instrument_id),
        str(fill.side),
        fill.quantity.as_decimal(),
        fill.price.as_decimal(),
        fill.commission.as_decimal(),
        fill.commission.currency.code,
        fill.order_id.value,
        fill.trade_id,
    )


def _trade(trade: Trade) -> tuple[object, ...]:
    return (
        trade.strategy,
        str(trade.instrument_id),
        str(trade.side),
        Decimal(trade.quantity_raw) / RAW_ONE,
        trade.entry_ns,
        trade.exit_ns,
        trade.entry_price,
        trade.exit_price,
        trade.gross,
        trade.fees,
        trade.net,
        trade.currency,
        trade.entry_reason,
        trade.exit_reason,
    )


def _quantity(raw: int, like: Quantity) -> Decimal:
    value: Decimal = Quantity.from_raw(raw, like.precision).as_decimal()
    return value
