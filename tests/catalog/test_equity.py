"""The equity fold against books kept by hand, and its invariants over any sequence of fills."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderSide,
    PositionSide,
    Price,
    Quantity,
)

from catalog.equity import DRAWN_POINTS, Book, Listing, fold_equity
from catalog.stats.returns import drawdown_curve
from catalog.thinning import PriceMarks
from strategies.errors import BadInput
from strategies.messages import CashCorrection, Fill, PositionUpdate

STOCK = Listing(instrument_id="005930.KRX", venue="KRX", currency="KRW", margin=False)
SPOT = Listing(
    instrument_id="BTCUSDT.BINANCE", venue="BINANCE", currency="USDT", margin=False, base="BTC"
)
PERP = Listing(instrument_id="BTCUSDT-PERP.BINANCE", venue="BINANCE", currency="USDT", margin=True)
EDGES = np.array([0, 50, 100], dtype=np.int64)


def fill(
    listing: Listing, side: str, quantity: str, price: str, fee: str, ts_ns: int, owner: str = "a"
) -> Fill:
    """One fill, written as people write it."""
    return Fill(
        strategy=owner,
        order_id=ClientOrderId(f"O-{ts_ns}"),
        instrument_id=InstrumentId.from_str(listing.instrument_id),
        trade_id=f"T-{ts_ns}",
        side=OrderSide.BUY if side == "buy" else OrderSide.SELL,
        quantity=Quantity.from_str(quantity),
        price=Price.from_str(price),
        commission=Money.from_str(fee),
        liquidity=LiquiditySide.TAKER,
        ts_ns=ts_ns,
    )


def marks(*points: tuple[int, float]) -> PriceMarks:
    """Prices at times."""
    ts_ns, price = zip(*points, strict=True)
    return PriceMarks(np.array(ts_ns, np.int64), np.array(price, np.float64))


def only(books: list[Book] | tuple[Book, ...]) -> Book:
    """The single book of a fold."""
    (book,) = books
    return book


def test_a_cash_account_holds_cash_and_shares() -> None:
    fills = [
        fill(STOCK, "buy", "10", "70000", "105 KRW", 20),
        fill(STOCK, "sell", "4", "71000", "610 KRW", 60),
    ]
    known = {"005930.KRX": marks((10, 69_000.0), (30, 70_500.0), (90, 72_000.0))}
    equity = fold_equity({("KRX", "KRW"): Decimal(1_000_000)}, fills, [STOCK], known, EDGES)
    book = only(tuple(equity.books))
    assert book.end == 1_000_000 - 700_000 - 105 + 284_000 - 610 + 6 * 72_000
    assert book.result == Decimal(15_285)
    assert (book.commission, book.notional, book.fill_count) == (715, 984_000, 2)
    assert book.open_result == 6 * 2_000
    assert book.closes.value.tolist() == [1_000_000.0, 1_004_895.0, 1_015_285.0]
    at_fill = book.curve.value[book.curve.ts_ns.tolist().index(20)]
    assert at_fill == 1_000_000 - 700_000 - 105 + 10 * 69_000
    assert equity.total is not None
    assert equity.total.end == book.end


def test_assets_held_at_the_start_are_worth_their_price() -> None:
    balances = {("BINANCE", "USDT"): Decimal(1000), ("BINANCE", "BTC"): Decimal("0.5")}
    fills = [fill(SPOT, "sell", "0.25", "41000", "10.25 USDT", 20)]
    known = {SPOT.instrument_id: marks((0, 40_000.0), (90, 42_000.0))}
    book = only(tuple(fold_equity(balances, fills, [SPOT], known, EDGES).books))
    assert book.start == 1000 + Decimal("0.5") * 40_000
    assert book.end == 1000 + Decimal("10250") - Decimal("10.25") + Decimal("0.25") * 42_000
    assert book.curve.value[0] == float(book.start)
    assert book.curve.value[-1] == float(book.end)


def test_a_fee_in_the_bought_asset_counts_at_the_fill_price() -> None:
    fills = [fill(SPOT, "buy", "1.000", "40000", "0.00100000 BTC", 20)]
    balances = {("BINANCE", "USDT"): Decimal(50_000)}
    book = only(tuple(fold_equity(balances, fills, [SPOT], {}, EDGES).books))
    assert (book.commission, book.result) == (40, -40)


def test_a_fee_in_a_third_currency_has_a_book_of_its_own() -> None:
    fills = [fill(SPOT, "buy", "1.000", "40000", "0.10000000 BNB", 20)]
    balances = {("BINANCE", "USDT"): Decimal(50_000), ("BINANCE", "BNB"): Decimal(2)}
    equity = fold_equity(balances, fills, [SPOT], {}, EDGES)
    ends = {book.currency: (book.end, book.fill_count) for book in equity.books}
    assert ends == {"BNB": (Decimal("1.9"), 0), "USDT": (Decimal(50_000), 1)}
    assert equity.total is None


def test_a_margin_account_takes_the_engines_realised_results() -> None:
    fills = [
        fill(PERP, "sell", "1.000", "40000.0", "16.00000000 USDT", 20),
        fill(PERP, "buy", "0.500", "39000.0", "7.80000000 USDT", 60),
    ]
    rounded = [_position("-16.00000000 USDT", 20), _position("492.20000001 USDT", 60)]
    known = {PERP.instrument_id: marks((10, 40_000.0), (90, 38_000.0))}
    balances = {("BINANCE", "USDT"): Decimal(10_000)}
    folded = only(tuple(fold_equity(balances, fills, [PERP], known, EDGES).books))
    exact = fold_equity(balances, fills, [PERP], known, EDGES, positions=rounded)
    assert folded.end == Decimal("11476.2")
    assert only(tuple(exact.books)).end == Decimal("11476.20000001")
    assert folded.open_result == 1_000


def correction(amount: str, ts_ns: int, venue: str = "KRX") -> CashCorrection:
    """A venue changes its cash."""
    return CashCorrection(venue, Money.from_str(amount), "fees charged otherwise", ts_ns)


def test_a_correction_of_cash_is_the_venues_and_no_strategys() -> None:
    fills = [
        fill(STOCK, "buy", "10", "70000", "105 KRW", 20),
        fill(STOCK, "sell", "10", "71000", "610 KRW", 60),
    ]
    known = {STOCK.instrument_id: marks((10, 69_000.0), (90, 72_000.0))}
    corrections = [correction("-300 KRW", 70), correction("50 KRW", 30)]
    balances = {("KRX", "KRW"): Decimal(1_000_000)}
    equity = fold_equity(balances, fills, [STOCK], known, EDGES, corrections=corrections)
    book, own = only(tuple(equity.books)), equity.strategies[0]
    assert book.corrected == -250
    assert book.result == own.result + book.corrected == 10_000 - 715 - 250
    assert (book.commission, book.notional, book.fill_count) == (715, 1_410_000, 2)
    worth = dict(zip(book.curve.ts_ns.tolist(), book.curve.value.tolist(), strict=True))
    assert worth[70] - worth[60] == -300
    assert worth[30] == 1_000_000 - 105 - 10_000 + 50
    assert equity.total is not None
    assert (equity.total.corrected, equity.total.end) == (-250, book.end)


def test_a_correction_without_any_fill_moves_the_curve() -> None:
    balances = {("KRX", "KRW"): Decimal(100)}
    equity = fold_equity(balances, [], [], {}, EDGES, corrections=[correction("7 KRW", 40)])
    book = only(tuple(equity.books))
    assert (book.start, book.end, book.fill_count) == (100, 107, 0)
    assert book.closes.value.tolist()[-1] == 107.0


def test_a_corrected_asset_is_not_counted_twice() -> None:
    balances = {("BINANCE", "USDT"): Decimal(1000), ("BINANCE", "BTC"): Decimal("0.5")}
    fills = [fill(SPOT, "sell", "0.25", "41000", "10.25 USDT", 20)]
    known = {SPOT.instrument_id: marks((0, 40_000.0), (90, 42_000.0))}
    plain = fold_equity(balances, fills, [SPOT], known, EDGES)
    news = [correction("0.00100000 BTC", 30, "BINANCE")]
    equity = fold_equity(balances, fills, [SPOT], known, EDGES, corrections=news)
    ends = {book.currency: book.end for book in equity.books}
    assert ends == {"USDT": only(tuple(plain.books)).end, "BTC": Decimal("0.001")}


def _position(realized: str, ts_ns: int) -> PositionUpdate:
    return PositionUpdate(
        InstrumentId.from_str(PERP.instrument_id),
        PositionSide.SHORT,
        Quantity.from_str("1.000"),
        "40000",
        Money.from_str(realized),
        ts_ns,
    )


def test_a_flip_through_zero_reopens_at_the_fill_price() -> None:
    fills = [
        fill(PERP, "buy", "1", "100", "0.00000000 USDT", 10),
        fill(PERP, "sell", "3", "110", "0.00000000 USDT", 20),
    ]
    known = {PERP.instrument_id: marks((30, 105.0))}
    book = only(tuple(fold_equity({}, fills, [PERP], known, EDGES).books))
    assert (book.result, book.open_result) == (20, 10)


def test_strategies_sum_to_the_book_although_the_venue_nets_them() -> None:
    fills = [
        fill(STOCK, "buy", "10", "70000", "105 KRW", 20, owner="a"),
        fill(STOCK, "sell", "10", "70500", "1515 KRW", 30, owner="b"),
    ]
    known = {STOCK.instrument_id: marks((10, 70_000.0), (95, 71_000.0))}
    equity = fold_equity({("KRX", "KRW"): Decimal(10**6)}, fills, [STOCK], known, EDGES)
    by_name = {book.strategy: book.result for book in equity.strategies}
    assert by_name == {"a": Decimal(9_895), "b": Decimal(-6_515)}
    assert sum(by_name.values()) == only(tuple(equity.books)).result
    assert all(book.curve.value[0] == 0 for book in equity.strategies)


def test_currencies_add_up_only_with_a_rate() -> None:
    balances = {("KRX", "KRW"): Decimal(1_400_000), ("BINANCE", "USDT"): Decimal(1_000)}
    fills = [fill(PERP, "buy", "1", "100", "1.00000000 USDT", 10)]
    known = {PERP.instrument_id: marks((30, 105.0))}
    without = fold_equity(balances, fills, [PERP], known, EDGES)
    rates = {"USDT": Decimal(1_400)}
    total = fold_equity(
        balances, fills, [PERP], known, EDGES, rates=rates, report_currency="KRW"
    ).total
    assert without.total is None
    assert total is not None
    assert (total.start, total.end, total.currency) == (2_800_000, 2_805_600, "KRW")
    assert total.curve.value[-1] == 2_805_600.0


def test_without_fills_equity_is_the_balance() -> None:
    equity = fold_equity({("KRX", "KRW"): Decimal(5)}, [], [], {}, EDGES)
    book = only(tuple(equity.books))
    assert (book.start, book.end, book.result) == (5, 5, 0)
    assert set(book.curve.value.tolist()) == {5.0}
    assert list(equity.strategies) == []


def test_one_instant_is_one_point() -> None:
    equity = fold_equity({("KRX", "KRW"): Decimal(5)}, [], [], {}, np.array([7]))
    assert only(tuple(equity.books)).curve.ts_ns.tolist() == [7]


def test_a_fill_of_an_unlisted_instrument_is_named() -> None:
    with pytest.raises(BadInput, match=r"005930\.KRX"):
        fold_equity({}, [fill(STOCK, "buy", "1", "70000", "0 KRW", 1)], [], {}, EDGES)


def test_a_long_curve_is_thinned_without_losing_fills_or_the_deepest_fall() -> None:
    rng = np.random.default_rng(7)
    ts_ns = np.arange(1, 60_001, dtype=np.int64)
    price = np.round(50_000 * np.exp(np.cumsum(rng.normal(0, 1e-4, len(ts_ns)))), 1)
    fills = [
        fill(PERP, "buy", "0.5", "50000.0", "1.00000000 USDT", 100),
        *(fill(PERP, "buy", "0.01", "50000.0", "1.00000000 USDT", t) for t in (777, 31_234)),
    ]
    edges = np.array([0, 60_000], dtype=np.int64)
    balances = {("BINANCE", "USDT"): Decimal(50_000)}
    known = {PERP.instrument_id: PriceMarks(ts_ns, price)}
    curve = only(tuple(fold_equity(balances, fills, [PERP], known, edges).books)).curve
    held = np.select([ts_ns >= 31_234, ts_ns >= 777, ts_ns >= 100], [0.52, 0.51, 0.5], 0.0)
    paid = np.select([ts_ns >= 31_234, ts_ns >= 777, ts_ns >= 100], [3.0, 2.0, 1.0], 0.0)
    full = 50_000 + held * (price - 50_000) - paid
    assert len(curve) <= DRAWN_POINTS + 2
    assert {100, 777, 31_234} <= set(curve.ts_ns.tolist())
    assert curve.value.min() == pytest.approx(full.min())
    assert curve.value.max() == pytest.approx(full.max())
    assert drawdown_curve(curve.value).min() == pytest.approx(drawdown_curve(full).min())


trades = st.lists(
    st.tuples(st.sampled_from(["buy", "sell"]), st.integers(1, 20), st.integers(90, 110)),
    max_size=25,
)


@settings(max_examples=60, deadline=None)
@given(trades, st.integers(80, 120))
def test_equity_is_cash_plus_position_at_the_last_price(
    made: list[tuple[str, int, int]], last: int
) -> None:
    fills = [
        fill(STOCK, side, str(quantity), str(price), "3 KRW", 10 + i, owner="ab"[i % 2])
        for i, (side, quantity, price) in enumerate(made)
    ]
    known = {STOCK.instrument_id: marks((95, float(last)))}
    equity = fold_equity({("KRX", "KRW"): Decimal(10**5)}, fills, [STOCK], known, EDGES)
    book = only(tuple(equity.books))
    signs = [1 if side == "buy" else -1 for side, _, _ in made]
    cash = -sum(s * q * p for s, (_, q, p) in zip(signs, made, strict=True)) - 3 * len(made)
    net = sum(s * q for s, (_, q, _) in zip(signs, made, strict=True))
    assert book.result == cash + net * last
    assert book.curve.value[-1] == pytest.approx(float(book.end))
    assert sum(part.result for part in equity.strategies) == book.result
