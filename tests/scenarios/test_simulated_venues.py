"""Simulated venues in the engine itself: accounts against integer folds, fees, latency."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from nautilus_trader.backtest import BacktestEngine, BacktestEngineConfig
from nautilus_trader.common import LoggerConfig, LogLevel
from nautilus_trader.model import (
    AggressorSide,
    Bar,
    BarType,
    BookAction,
    BookOrder,
    BookType,
    CryptoPerpetual,
    CurrencyPair,
    Equity,
    Money,
    OrderBookDelta,
    OrderFilled,
    OrderSide,
    Price,
    Quantity,
    QuoteTick,
    TradeId,
    TradeTick,
    Venue,
)
from nautilus_trader.trading import Strategy, StrategyConfig

from scenarios.simulated_venues import VenueKind, VenueSpec, add_venue, market_of
from strategies.errors import BadInput
from strategies.markets import binance, krx
from strategies.markets.binance import Steps
from strategies.markets.facts import RAW_ONE

BUY, SELL = OrderSide.BUY, OrderSide.SELL
SECOND = 10**9
START_NS = 1_773_100_800 * SECOND  # 2026-03-10 09:00 in Seoul
END_NS = START_NS + 3600 * SECOND
KRX = VenueSpec(
    name="KRX", kind=VenueKind.KRX, balances=(Money.from_str("100000000 KRW"),), latency_ns=7
)
USDM = VenueSpec(
    name="BINANCE",
    kind=VenueKind.BINANCE_USDM,
    balances=(Money.from_str("100000 USDT"),),
    leverage=Decimal(10),
)
SPOT = VenueSpec(
    name="BINANCE_SPOT",
    kind=VenueKind.BINANCE_SPOT,
    balances=(Money.from_str("100000 USDT"), Money.from_str("0.5 BTC")),
)

type Instrument = Equity | CryptoPerpetual | CurrencyPair
type Order = tuple[OrderSide, str, str | None]


class Trader(Strategy):
    """Sends scripted orders on the n-th event, and keeps what the engine tells it."""

    def prepare(
        self, instrument: Instrument, script: Mapping[int, Sequence[Order]], wake_ns: int
    ) -> None:
        self.instrument, self.script, self.wake_ns = instrument, script, wake_ns
        self.events: list[object] = []
        self.trade_ids: list[str] = []
        self.count = 0
        self.stage = "idle"
        self.seen: list[str] = []

    def on_start(self) -> None:
        self.subscribe_quotes(self.instrument.id)
        self.subscribe_trades(self.instrument.id)
        self.subscribe_bars(bar_type(self.instrument))

    def on_quote(self, quote: QuoteTick) -> None:
        self._next()

    def on_trade(self, trade: TradeTick) -> None:
        self.trade_ids.append(trade.trade_id.value)
        self._next()

    def on_bar(self, bar: Bar) -> None:
        self._next()

    def on_time_event(self, event: object) -> None:
        self.seen.append("timer")

    def on_order_event(self, event: object) -> None:
        self.events.append(event)
        self.seen.append(f"{type(event).__name__} {self.stage}")

    def on_position_event(self, event: object) -> None:
        self.events.append(event)

    def _next(self) -> None:
        self.count += 1
        self.seen.append(f"data {self.count}")
        self.stage = "inside"
        for number, order in enumerate(self.script.get(self.count, ())):
            self._send(*order)
            name = f"arrival-{self.count}-{number}"
            self.clock.set_time_alert_ns(name, self.clock.timestamp_ns() + self.wake_ns)
        self.stage = "after"

    def _send(self, side: OrderSide, quantity: str, price: str | None) -> None:
        size = Quantity.from_str(quantity)
        ids = self.instrument.id
        if price is None:
            self.submit_order(self.order_factory.market(ids, side, size))
        else:
            self.submit_order(self.order_factory.limit(ids, side, size, Price.from_str(price)))


class Run:
    """What one backtest left behind, copied before the engine is gone."""

    def __init__(self, trader: Trader, balances: dict[str, int]) -> None:
        self.events = trader.events
        self.fills = [event for event in trader.events if isinstance(event, OrderFilled)]
        self.seen = trader.seen
        self.trade_ids = trader.trade_ids
        self.balances = balances

    def reasons(self, kind: str) -> list[str]:
        return [str(e.reason) for e in self.events if type(e).__name__ == kind]  # type: ignore[attr-defined] # by name


def run(
    spec: VenueSpec,
    instrument: Instrument,
    script: Mapping[int, Sequence[Order]],
    data: Sequence[object],
) -> Run:
    engine = BacktestEngine(
        BacktestEngineConfig(
            logging=LoggerConfig(stdout_level=LogLevel.OFF), bypass_logging=True, run_analysis=False
        )
    )
    add_venue(engine, spec, market_of(spec, START_NS, END_NS))
    engine.add_instrument(instrument)
    trader = Trader(StrategyConfig())
    trader.prepare(instrument, script, spec.latency_ns)
    engine.add_strategy(trader)
    engine.add_data(list(data))
    engine.run(end=END_NS)  # without an end, alerts after the last datum never fire
    account = engine.cache.account_for_venue(Venue(spec.name)).last_event
    balances = {b.total.currency.code: b.total.raw for b in account.balances}
    engine.dispose()
    return Run(trader, balances)


def bar_type(instrument: Instrument) -> BarType:
    return BarType.from_str(f"{instrument.id}-1-MINUTE-LAST-EXTERNAL")


def trades(instrument: Instrument, prices: Sequence[str], size: str = "1000000") -> list[TradeTick]:
    return [
        TradeTick(
            instrument.id,
            Price.from_decimal_dp(Decimal(price), instrument.price_precision),
            Quantity.from_decimal_dp(Decimal(size), precision_of(instrument)),
            AggressorSide.BUY,
            TradeId(str(k)),
            START_NS + k * SECOND,
            START_NS + k * SECOND,
        )
        for k, price in enumerate(prices, 1)
    ]


def precision_of(instrument: Instrument) -> int:
    return 0 if isinstance(instrument, Equity) else instrument.size_precision


def signed(fill: OrderFilled) -> int:
    return fill.last_qty.raw if fill.order_side == BUY else -fill.last_qty.raw


SHARE = krx.equity("005930")
ODD_PRICES = ["70100", "70300", "69900", "70700", "71100", "68300", "70000"]


def test_krx_account_is_integer_arithmetic_to_the_won() -> None:
    script = {
        1: [(BUY, "137", None)],
        3: [(SELL, "37", None)],
        4: [(BUY, "13", None)],
        6: [(SELL, "113", None)],
    }
    done = run(KRX, SHARE, script, trades(SHARE, ODD_PRICES))
    assert [(str(f.last_qty), str(f.last_px)) for f in done.fills] == [
        ("137", "70100"), ("37", "69900"), ("13", "70700"), ("113", "68300"),
    ]  # fmt: skip
    cash = 100_000_000
    cash -= 137 * 70_100 + 1_440  # 9,603,700 x 0.015 % = 1,440.555
    cash += 37 * 69_900 - 387 - 5_172  # 2,586,300: 387.945 and 0.20 % = 5,172.6
    cash -= 13 * 70_700 + 137  # 919,100: 137.865
    cash += 113 * 68_300 - 1_157 - 15_435  # 7,717,900: 1,157.685 and 15,435.8
    assert done.balances == {"KRW": cash * RAW_ONE}


def test_krx_takes_the_rates_of_its_spec() -> None:
    free = replace(
        KRX, maker_rate=Decimal(0), taker_rate=Decimal(0), sell_tax_rate=Decimal("0.0018")
    )
    done = run(
        free, SHARE, {1: [(BUY, "10", None)], 2: [(SELL, "10", None)]}, trades(SHARE, ["70000"] * 4)
    )
    assert [f.commission for f in done.fills] == [
        Money.from_str("0 KRW"),
        Money.from_str("1260 KRW"),
    ]


def test_krx_short_sale_is_rejected_by_the_engine_too() -> None:
    done = run(KRX, SHARE, {1: [(SELL, "5", None)]}, trades(SHARE, ODD_PRICES))
    assert done.fills == []
    (reason,) = done.reasons("OrderRejected")
    assert "Short selling not permitted" in reason


def test_krx_buy_beyond_the_cash_is_denied_by_the_engine_too() -> None:
    done = run(KRX, SHARE, {1: [(BUY, "1427", None)]}, trades(SHARE, ODD_PRICES))
    assert done.fills == []
    (reason,) = done.reasons("OrderDenied")
    assert "EXCEEDS_FREE_BALANCE" in reason


def shown_by_trades() -> list[object]:
    return [*trades(SHARE, ["50000", "50000", "50000"], size="10")]


def shown_by_quotes() -> list[object]:
    return [quote(k, "49950", "50000") for k in (1, 2, 3)]


def shown_by_bars() -> list[object]:
    price, volume = Price.from_str("50000"), Quantity.from_int(43)
    stamps = [START_NS + k * SECOND for k in (1, 2, 3)]
    return [Bar(bar_type(SHARE), price, price, price, price, volume, ts, ts) for ts in stamps]


@pytest.mark.parametrize("shown", [shown_by_trades, shown_by_quotes, shown_by_bars])
def test_krx_market_order_beyond_what_was_shown_takes_the_next_krx_tick(
    shown: Callable[[], list[object]],
) -> None:
    done = run(KRX, SHARE, {1: [(BUY, "25", None)]}, shown())
    assert [(str(f.last_qty), str(f.last_px)) for f in done.fills] == [
        ("10", "50000"),
        ("15", "50100"),
    ]


def test_krx_market_sale_takes_the_tick_below_the_band_edge() -> None:
    done = run(
        KRX,
        SHARE,
        {1: [(BUY, "10", None)], 2: [(BUY, "10", None)], 3: [(SELL, "20", None)]},
        [*trades(SHARE, ["50000"] * 5, size="10")],
    )
    assert [(str(f.last_qty), str(f.last_px)) for f in done.fills][2:] == [
        ("10", "50000"),
        ("10", "49950"),
    ]


def test_adjusted_prices_step_by_one_won() -> None:
    adjusted = krx.equity("005930", adjusted=True)
    done = run(
        KRX, adjusted, {1: [(BUY, "25", None)]}, [*trades(adjusted, ["50000"] * 3, size="10")]
    )
    assert [str(f.last_px) for f in done.fills] == ["50000", "50001"]


def quote(second: int, bid: str, ask: str, size: str = "10") -> QuoteTick:
    ts, shown = START_NS + second * SECOND, Quantity.from_str(size)
    return QuoteTick(SHARE.id, Price.from_str(bid), Price.from_str(ask), shown, shown, ts, ts)


@pytest.mark.parametrize("price", [None, "70100"])
@pytest.mark.parametrize("latency_ns", [1, 7_000_000])
def test_an_order_arrives_exactly_after_the_latency(price: str | None, latency_ns: int) -> None:
    quotes = [quote(k, "70000", "70100") for k in range(1, 5)]
    done = run(replace(KRX, latency_ns=latency_ns), SHARE, {2: [(BUY, "3", price)]}, quotes)
    (fill,) = done.fills
    assert fill.ts_event == START_NS + 2 * SECOND + latency_ns


def test_an_order_sent_on_the_last_event_still_fills() -> None:
    quotes = [quote(k, "70000", "70100") for k in (1, 2)]
    assert len(run(KRX, SHARE, {2: [(BUY, "3", None)]}, quotes).fills) == 1


def test_order_events_come_after_the_handler_that_sent_the_order() -> None:
    done = run(KRX, SHARE, {2: [(BUY, "3", None)]}, trades(SHARE, ["70000"] * 3))
    assert done.seen == [
        "data 1",
        "data 2",
        "OrderInitialized inside",
        "OrderSubmitted after",
        "timer",
        "OrderFilled after",
        "data 3",
    ]


def test_data_of_one_instant_keep_the_order_they_were_added_in() -> None:
    names = [f"{k * 7 % 40:02}" for k in range(40)]
    (model,) = trades(SHARE, ["70000"])
    ts = model.ts_init
    same = [
        TradeTick(SHARE.id, model.price, model.size, model.aggressor_side, TradeId(name), ts, ts)
        for name in names
    ]
    assert run(KRX, SHARE, {}, same).trade_ids == names


COIN = binance.spot("BTCUSDT", Steps("BTC", "USDT", "0.01", "0.00001", "0.00001", "5"))
COIN_PRICES = ["60001.37", "60002.99", "60000.01", "61999.97", "59123.45", "60000.00"]


def test_spot_account_is_a_fold_of_fills_to_the_last_unit() -> None:
    script = {
        1: [(BUY, "0.12345", None)],
        2: [(SELL, "0.05001", None)],
        4: [(SELL, "0.57342", None)],
    }
    done = run(SPOT, COIN, script, trades(COIN, COIN_PRICES, size="9"))
    assert len(done.fills) == 3
    assert {f.commission.currency.code for f in done.fills} == {"USDT"}
    quote_raw, base_raw = 100_000 * RAW_ONE, RAW_ONE // 2
    for fill in done.fills:
        notional, rest = divmod(signed(fill) * fill.last_px.raw, RAW_ONE)
        assert rest == 0
        quote_raw -= notional + fill.commission.raw
        base_raw += signed(fill)
    assert done.balances == {"USDT": quote_raw, "BTC": base_raw}


def test_spot_cannot_sell_what_it_does_not_hold() -> None:
    done = run(SPOT, COIN, {1: [(SELL, "0.50001", None)]}, trades(COIN, COIN_PRICES, size="9"))
    assert done.fills == []
    (reason,) = done.reasons("OrderDenied")
    assert "free=0.50000000 BTC" in reason


PERP = binance.perpetual("BTCUSDT")
PERP_SCRIPT: Mapping[int, Sequence[Order]] = {
    1: [(BUY, "1.337", None)],
    2: [(BUY, "0.421", None)],
    3: [(SELL, "3.119", None)],  # flips to short
    4: [(SELL, "0.007", None)],
    5: [(BUY, "1.368", None)],  # flat
    6: [(SELL, "0.333", None), (BUY, "0.666", None)],  # two orders of one instant
}
PERP_PRICES = [
    "60001.3",
    "60432.7",
    "59876.1",
    "60000.9",
    "61234.5",
    "60777.7",
    "60500.3",
    "60500.3",
]


def realized_steps(events: Sequence[object]) -> Iterator[int]:
    """Differences of the cumulative realised P&L: it begins anew with each opened position."""
    before = 0
    for event in events:
        kind = type(event).__name__
        if kind.startswith("Position"):
            now: int = event.realized_pnl.raw  # type: ignore[attr-defined] # by name
            yield now - (0 if kind == "PositionOpened" else before)
            before = now


def test_usdm_account_is_the_sum_of_realized_steps() -> None:
    done = run(USDM, PERP, PERP_SCRIPT, trades(PERP, PERP_PRICES, size="900"))
    kinds = [type(e).__name__ for e in done.events if type(e).__name__.startswith("Position")]
    assert kinds == [
        "PositionOpened", "PositionChanged", "PositionClosed", "PositionOpened", "PositionChanged",
        "PositionClosed", "PositionOpened", "PositionClosed", "PositionOpened",
    ]  # fmt: skip
    assert done.balances == {"USDT": 100_000 * RAW_ONE + sum(realized_steps(done.events))}
    assert {f.commission.currency.code for f in done.fills} == {"USDT"}


def test_usdm_takes_maker_and_taker_rates() -> None:
    data = trades(PERP, ["60000", "60000", "59000", "59000"], size="900")
    done = run(USDM, PERP, {1: [(BUY, "1", None), (BUY, "1", "59500.0")]}, data)
    assert [str(f.commission) for f in done.fills] == ["30.00000000 USDT", "11.90000000 USDT"]


def test_usdm_leverage_bounds_the_notional() -> None:
    data = trades(PERP, ["60000"] * 3, size="900")
    assert len(run(USDM, PERP, {1: [(SELL, "16", None)]}, data).fills) == 1
    denied = run(USDM, PERP, {1: [(SELL, "17", None)]}, data)
    assert "INITIAL_MARGIN_EXCEEDS_FREE_BALANCE" in denied.reasons("OrderDenied")[0]


def test_a_venue_with_a_real_book_fills_from_its_levels() -> None:
    deep = replace(KRX, book_type=BookType.L2_MBP)
    levels = [(SELL, "50000", 10), (SELL, "50200", 10), (BUY, "49950", 10)]
    book = [
        OrderBookDelta(
            SHARE.id,
            BookAction.ADD,
            BookOrder(side, Price.from_str(price), Quantity.from_int(size), k),
            0,
            k,
            START_NS,
            START_NS,
        )
        for k, (side, price, size) in enumerate(levels, 1)
    ]
    data = [*book, *trades(SHARE, ["50000"] * 2, size="10")]
    done = run(deep, SHARE, {1: [(BUY, "15", None)]}, data)
    assert [(str(f.last_qty), str(f.last_px)) for f in done.fills] == [
        ("10", "50000"),
        ("5", "50200"),
    ]


@pytest.mark.parametrize(
    ("spec", "changes", "says"),
    [
        (KRX, {"latency_ns": 0}, "at least 1 ns"),
        (KRX, {"balances": ()}, "needs starting balances"),
        (KRX, {"balances": (Money.from_str("1 USDT"),)}, "one balance in KRW"),
        (
            SPOT,
            {"balances": (Money.from_str("1 USDT"), Money.from_str("2 USDT"))},
            "one per currency",
        ),
        (USDM, {"balances": (Money.from_str("-1 USDT"),)}, "below zero"),
        (USDM, {"taker_rate": Decimal("1.5")}, r"not in \[0, 1\)"),
        (USDM, {"sell_tax_rate": Decimal("0.1")}, "no sell tax"),
        (KRX, {"taker_rate": Decimal("0.1")}, "both rates"),
        (KRX, {"leverage": Decimal(2)}, "only USD-M has leverage"),
        (USDM, {"leverage": Decimal("0.5")}, "only USD-M has leverage"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(
    spec: VenueSpec, changes: dict[str, object], says: str
) -> None:
    with pytest.raises(BadInput, match=says):
        replace(spec, **changes)


def test_a_venue_takes_its_own_facts_only() -> None:
    engine = BacktestEngine(
        BacktestEngineConfig(logging=LoggerConfig(stdout_level=LogLevel.OFF), bypass_logging=True)
    )
    with pytest.raises(BadInput, match="was given the facts of BINANCE"):
        add_venue(engine, SPOT, market_of(USDM, 0, 1))
    engine.dispose()


def test_market_of_a_spec_has_its_rates() -> None:
    facts = market_of(replace(USDM, maker_rate=Decimal(0)), 0, 1)
    assert (facts.maker_rate, facts.taker_rate) == (Decimal(0), binance.USDM_TAKER_RATE)
    assert market_of(SPOT, 0, 1).venue == "BINANCE_SPOT"
    assert market_of(KRX, START_NS, START_NS).sessions.at(START_NS) is not None
