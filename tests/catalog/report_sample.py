"""Made-up runs for the report's tests: seeded, realistic in shape, small."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import numpy as np
from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderSide,
    Price,
    Quantity,
)

from catalog.equity import Listing, fold_equity
from catalog.report import Execution, Refused, ReportInput, RunFacts
from catalog.stats import Trade, choose_period, period_edges
from catalog.thinning import Candles, IntArray, PriceMarks, Series
from strategies.messages import Fill

SECOND_NS = 1_000_000_000
ZONES = {"KRX": "Asia/Seoul", "BINANCE": "UTC"}
HASH = "9f2c4e7a" * 8
REASONS_IN = {
    "sma-cross": "SMA(20) {a} crossed above SMA(60) {b}",
    "breakout": "volume 4.2 times its mean and price above the day's high {a}",
    "momentum": "+{c} bps since the open, above the threshold of 40",
}


@dataclass(frozen=True)
class Market:
    """How one made-up instrument trades."""

    listing: Listing
    first: float
    tick: float
    digits: int
    size: str
    move: float
    fee: str
    tax: str
    start: str
    end: str
    step_s: int


SAMSUNG = Market(
    Listing(instrument_id="005930.KRX", venue="KRX", currency="KRW", margin=False),
    71_400, 100, 0, "140", 0.00016, "0.00015", "0.0020",
    "2026-11-20T09:00:00+09:00", "2026-11-20T15:30:00+09:00", 3,
)  # fmt: skip
HYNIX = Market(
    Listing(instrument_id="000660.KRX", venue="KRX", currency="KRW", margin=False),
    182_300, 100, 0, "50", 0.00021, "0.00015", "0.0020",
    "2026-11-20T09:00:00+09:00", "2026-11-20T15:30:00+09:00", 3,
)  # fmt: skip
BITCOIN = Market(
    Listing(
        instrument_id="BTCUSDT-PERP.BINANCE", venue="BINANCE", currency="USDT", margin=True
    ),
    94_210.0, 0.1, 1, "0.250", 0.00009, "0.0004", "0",
    "2026-11-20T00:00:00+00:00", "2026-11-20T06:30:00+00:00", 2,
)  # fmt: skip


def ns(text: str) -> int:
    """Nanoseconds of an ISO time with its zone."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_NS


def walk(market: Market, seed: int) -> Series:
    """A seeded random walk on the market's grid."""
    start, end = ns(market.start), ns(market.end)
    ts_ns = np.arange(start, end + 1, market.step_s * SECOND_NS, dtype=np.int64)
    rng = np.random.default_rng(seed)
    swing = np.sin(np.linspace(0, 9, len(ts_ns))) * market.move * 8
    path = market.first * np.exp(np.cumsum(rng.normal(0, market.move, len(ts_ns))) + swing)
    grid = np.round(np.round(path / market.tick) * market.tick, market.digits)
    return Series(ts_ns, grid)


def as_candles(series: Series, every: int) -> Candles:
    """Candles over ``every`` prices each."""
    cut = len(series) // every * every
    price = series.value[:cut].reshape(-1, every)
    times: IntArray = series.ts_ns[:cut].reshape(-1, every)[:, -1]
    return Candles(times, price[:, 0], price.max(1), price.min(1), price[:, -1])


def trades_on(market: Market, series: Series, strategy: str, count: int, seed: int) -> list[Trade]:
    """Round trips at prices of the series; the last one stays open where ``count`` is odd."""
    rng = np.random.default_rng(seed)
    spots = np.sort(rng.choice(np.arange(20, len(series) - 20), count * 2, replace=False))
    found = []
    for i in range(count):
        enter, leave = int(spots[2 * i]), int(spots[2 * i + 1])
        still_open = count % 2 == 1 and i == count - 1
        long = market.listing.venue == "KRX" or bool(rng.random() < 0.6)
        found.append(
            _trade(market, series, strategy, enter, None if still_open else leave, long=long)
        )
    return found


def _trade(
    market: Market, series: Series, strategy: str, enter: int, leave: int | None, *, long: bool
) -> Trade:
    quantity = Decimal(market.size)
    places = f"{{:.{market.digits}f}}"
    bought = Decimal(places.format(series.value[enter]))
    last = series.value[-1 if leave is None else leave]
    sold = Decimal(places.format(last))
    traded = bought + (sold if leave is not None else 0)
    tax = sold * quantity * Decimal(market.tax) if leave is not None and long else Decimal(0)
    places_paid = Decimal(1) if market.listing.currency == "KRW" else Decimal("0.00000001")
    reason = REASONS_IN[strategy].format(a=bought, b=bought - 1, c=46)
    return Trade(
        strategy=strategy,
        instrument_id=market.listing.instrument_id,
        long=long,
        quantity=quantity,
        entry_ns=int(series.ts_ns[enter]),
        exit_ns=None if leave is None else int(series.ts_ns[leave]),
        entry_price=bought,
        exit_price=None if leave is None else sold,
        gross=(sold - bought) * quantity * (1 if long else -1),
        fees=(traded * quantity * Decimal(market.fee)).quantize(places_paid),
        tax=tax.quantize(places_paid),
        currency=market.listing.currency,
        entry_reason=reason,
        exit_reason="" if leave is None else "stop at 60 bps below entry" if sold < bought else
        "SMA(20) crossed below SMA(60)",
    )  # fmt: skip


def fills_of(trades: Sequence[Trade]) -> list[Fill]:
    """The fills that make these trades, in time order; the fee is split in two."""
    found = []
    for i, trade in enumerate(trades):
        half = trade.fees if trade.exit_ns is None else trade.fees / 2
        found.append(_fill(trade, f"{i}-in", half, leaving=False))
        if trade.exit_ns is not None:
            found.append(_fill(trade, f"{i}-out", trade.fees - half + trade.tax, leaving=True))
    return sorted(found, key=lambda fill: (fill.ts_ns, fill.trade_id))


def _fill(trade: Trade, name: str, paid: Decimal, *, leaving: bool) -> Fill:
    buys = trade.long != leaving
    price = trade.exit_price if leaving else trade.entry_price
    when = trade.exit_ns if leaving else trade.entry_ns
    assert when is not None
    digits = 0 if trade.currency == "KRW" else 8
    return Fill(
        strategy=trade.strategy,
        order_id=ClientOrderId(f"O-{name}"),
        instrument_id=InstrumentId.from_str(trade.instrument_id),
        trade_id=f"T-{name}",
        side=OrderSide.BUY if buys else OrderSide.SELL,
        quantity=Quantity.from_str(str(trade.quantity)),
        price=Price.from_str(str(price)),
        commission=Money.from_str(f"{paid:.{digits}f} {trade.currency}"),
        liquidity=LiquiditySide.TAKER,
        ts_ns=when,
    )


def executions_of(fills: Sequence[Fill], trades: Sequence[Trade]) -> list[Execution]:
    """The report's view of fills; tax is what the trades say it was."""
    taxes = {(t.strategy, t.instrument_id, t.exit_ns): t.tax for t in trades}
    found = []
    for fill in fills:
        name = str(fill.instrument_id)
        tax = taxes.get((fill.strategy, name, fill.ts_ns), Decimal(0))
        found.append(
            Execution(
                strategy=fill.strategy,
                instrument_id=name,
                buy=fill.side == OrderSide.BUY,
                quantity=fill.quantity.as_decimal(),
                price=fill.price.as_decimal(),
                fee=fill.commission.as_decimal() - tax,
                tax=tax,
                currency=fill.commission.currency.code,
                ts_ns=fill.ts_ns,
                order_id=str(fill.order_id),
                reason="",
            )
        )
    return found


def run_facts(start_ns: int, end_ns: int, *, scenario: str = "three-strategies") -> RunFacts:
    """What identifies the made-up run."""
    return RunFacts(
        run_id=f"{scenario}-20261120-064512-a1f3",
        scenario=scenario,
        mode="replay",
        status="ended",
        start_ns=start_ns,
        end_ns=end_ns,
        digest=HASH,
        head=HASH[::-1],
        config_hash="5b1d" * 16,
        seed=7,
        code_version="0.1.0",
        python="3.13.5",
        packages={"nautilus_trader": "2.0.0rc7", "numpy": "2.5.5"},
        slices={"trades:005930.KRX": "c0ffee" * 10 + "0000", "trades:BTCUSDT-PERP.BINANCE": HASH},
        config='{"name":"three-strategies","seed":7}',
    )


def make(
    parts: Sequence[tuple[Market, Series, Sequence[Trade]]],
    balances: dict[tuple[str, str], Decimal],
    *,
    rates: dict[str, Decimal] | None = None,
    refusals: Sequence[Refused] = (),
    candles: int = 0,
    scenario: str = "three-strategies",
) -> ReportInput:
    """Assemble a report's input from markets, their prices and the trades on them."""
    trades = sorted((t for _, _, own in parts for t in own), key=lambda t: t.entry_ns)
    fills = fills_of(trades)
    start_ns = min(int(series.ts_ns[0]) for _, series, _ in parts)
    end_ns = max(int(series.ts_ns[-1]) for _, series, _ in parts)
    period = choose_period(start_ns, end_ns)
    zones = {market.listing.venue: ZONES[market.listing.venue] for market, _, _ in parts}
    zone = next(iter(zones.values())) if len(set(zones.values())) == 1 else "UTC"
    equity = fold_equity(
        balances,
        fills,
        [market.listing for market, _, _ in parts],
        {m.listing.instrument_id: PriceMarks(s.ts_ns, s.value) for m, s, _ in parts},
        period_edges(start_ns, end_ns, period, zone),
        rates=rates,
        report_currency="KRW" if rates else None,
    )
    return ReportInput(
        run=run_facts(start_ns, end_ns, scenario=scenario),
        executions=executions_of(fills, trades),
        trades=trades,
        refusals=refusals,
        equity=equity,
        prices={
            m.listing.instrument_id: as_candles(s, candles) if candles else s for m, s, _ in parts
        },
        zones=zones,
        period=period,
        counts={"events": 48_211, "decisions": 1_204, "orders": len(fills)},
    )


REFUSALS = (
    Refused(limit="pending", strategy="breakout", count=31,
            example="breakout asked for 140 of 005930.KRX; 0 allowed while O-17 is on its way"),
    Refused(limit="free_cash", strategy="momentum", count=12,
            example="momentum asked for 9,115,000 KRW; 4,020,110 KRW is free"),
    Refused(limit="free_cash", strategy="breakout", count=3,
            example="breakout asked for 9,996,000 KRW; 4,020,110 KRW is free"),
)  # fmt: skip


def two_venues(*, rates: dict[str, Decimal] | None = None) -> ReportInput:
    """A day on KRX and Binance, three strategies, refusals, one open trade."""
    samsung, hynix, bitcoin = walk(SAMSUNG, 3), walk(HYNIX, 5), walk(BITCOIN, 11)
    parts = [
        (SAMSUNG, samsung, trades_on(SAMSUNG, samsung, "sma-cross", 8, 1)
         + trades_on(SAMSUNG, samsung, "breakout", 4, 2)),
        (HYNIX, hynix, trades_on(HYNIX, hynix, "breakout", 5, 3)),
        (BITCOIN, bitcoin, trades_on(BITCOIN, bitcoin, "momentum", 14, 4)
         + trades_on(BITCOIN, bitcoin, "sma-cross", 10, 5)),
    ]  # fmt: skip
    balances = {("KRX", "KRW"): Decimal(50_000_000), ("BINANCE", "USDT"): Decimal(50_000)}
    return make(parts, balances, rates=rates, refusals=REFUSALS)


def many_days() -> ReportInput:
    """Ninety days of hourly bars of one perpetual, one strategy: yearly numbers exist."""
    market = Market(
        BITCOIN.listing, 61_500.0, 0.1, 1, "0.150", 0.0045, "0.0004", "0",
        "2026-01-05T00:00:00+00:00", "2026-04-05T00:00:00+00:00", 600,
    )  # fmt: skip
    series = walk(market, 21)
    trades = trades_on(market, series, "sma-cross", 64, 8)
    balances = {("BINANCE", "USDT"): Decimal(20_000)}
    return make([(market, series, trades)], balances, candles=6, scenario="btc-crossover")


def stock_days() -> ReportInput:
    """Two weeks of minutes on KRX: nights and a weekend are cut out of the axis."""
    days = ["2026-11-09", "2026-11-10", "2026-11-11", "2026-11-12", "2026-11-13",
            "2026-11-16", "2026-11-17", "2026-11-18"]  # fmt: skip
    pieces = []
    for i, day in enumerate(days):
        market = Market(
            SAMSUNG.listing, 71_000 + 180 * i, 100, 0, "140", 0.0006, "0.00015", "0.0020",
            f"{day}T09:00:00+09:00", f"{day}T15:30:00+09:00", 60,
        )  # fmt: skip
        pieces.append(walk(market, 40 + i))
    series = Series(
        np.concatenate([piece.ts_ns for piece in pieces]),
        np.concatenate([piece.value for piece in pieces]),
    )
    trades = trades_on(SAMSUNG, series, "breakout", 36, 6)
    balances = {("KRX", "KRW"): Decimal(30_000_000)}
    return make([(SAMSUNG, series, trades)], balances, candles=5, scenario="breakout-krx")


def nothing_happened() -> ReportInput:
    """A run without a single fill."""
    series = walk(SAMSUNG, 3)
    return make([(SAMSUNG, series, [])], {("KRX", "KRW"): Decimal(10_000_000)}, refusals=REFUSALS)


def one_instant() -> ReportInput:
    """A window of one point."""
    series = Series(np.array([ns(SAMSUNG.start)], np.int64), np.array([71_400.0]))
    return make([(SAMSUNG, series, [])], {("KRX", "KRW"): Decimal(10_000_000)})


def many_instruments(count: int) -> ReportInput:
    """A day of Binance with ``count`` instruments, 20 trades each."""
    parts = []
    for i in range(count):
        listing = Listing(
            instrument_id=f"COIN{i:02d}USDT-PERP.BINANCE",
            venue="BINANCE",
            currency="USDT",
            margin=True,
        )
        market = replace(BITCOIN, listing=listing)
        series = walk(market, 100 + i)
        parts.append((market, series, trades_on(market, series, "sma-cross", 20, i)))
    return make(parts, {("BINANCE", "USDT"): Decimal(2_000_000)})
