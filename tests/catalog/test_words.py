"""What the journal says of a market event is what the engine said, for every kind of stream."""

from decimal import Decimal

import pytest
from nautilus_trader.model import (
    AggressorSide,
    Bar,
    BarType,
    BookAction,
    BookOrder,
    FundingRateUpdate,
    InstrumentId,
    OrderBookDelta,
    OrderBookDeltas,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    TradeId,
    TradeTick,
)

from catalog.journal import Entry
from catalog.words import describe
from strategies.ports import Kind

ID = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
PRICE, SIZE = Price.from_str("61000.5"), Quantity.from_str("0.250")
LEVEL = BookOrder(OrderSide.BUY, PRICE, SIZE, 0)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (
            TradeTick(ID, PRICE, SIZE, AggressorSide.BUY, TradeId("1"), 1, 1),
            "trade BTCUSDT-PERP.BINANCE 61,000.5 x 0.250",
        ),
        (
            QuoteTick(ID, PRICE, PRICE, SIZE, SIZE, 1, 1),
            "quote BTCUSDT-PERP.BINANCE bid 61,000.5 x 0.250, ask 61,000.5 x 0.250",
        ),
        (
            Bar(BarType.from_str(f"{ID}-1-DAY-LAST-EXTERNAL"), *[PRICE] * 4, SIZE, 1, 1),
            "bar BTCUSDT-PERP.BINANCE-1-DAY-LAST-EXTERNAL closed at 61,000.5, volume 0.250",
        ),
        (
            OrderBookDeltas(ID, [OrderBookDelta.clear(ID, 7, 1, 1)]),
            "book BTCUSDT-PERP.BINANCE snapshot, update 7",
        ),
        (
            OrderBookDeltas(ID, [OrderBookDelta(ID, BookAction.UPDATE, LEVEL, 128, 8, 1, 1)]),
            "book BTCUSDT-PERP.BINANCE levels changed: 1, update 8",
        ),
        (
            FundingRateUpdate(ID, Decimal("-0.0001"), 1, 1, 8, 9),
            "funding rate of BTCUSDT-PERP.BINANCE -0.0001",
        ),
        (
            FundingRateUpdate(ID, Decimal("0.0001"), 1, 1),
            "funding rate of BTCUSDT-PERP.BINANCE 0.0001",
        ),
    ],
    ids=["trade", "quote", "bar", "snapshot", "changes", "funding", "funding without interval"],
)
def test_a_market_event_is_told_in_words(event: object, words: str) -> None:
    assert describe(Entry(1 << 20, 1, Kind.MARKET, str(ID), 0, 1 << 20, str(event))) == words
