"""Facts taken from engine instruments."""

import pytest
from nautilus_trader.model import Currency

from strategies.errors import BadInput
from strategies.markets import binance, krx
from strategies.markets.binance import Steps
from strategies.markets.facts import RAW_ONE, UniformTicks
from strategies.markets.instruments import facts_of
from strategies.markets.sessions import ContinuousDays

KRX = krx.market(ContinuousDays())


def test_a_share_trades_on_krx_ticks_in_lots_of_one() -> None:
    facts = facts_of(krx.equity("005930"), KRX)
    assert facts.ticks == krx.TICKS
    assert (facts.price_precision, facts.size_precision) == (0, 0)
    assert facts.lot_raw == facts.min_quantity_raw == RAW_ONE
    assert (facts.currency, facts.base, facts.min_notional_raw) == (krx.KRW, None, 0)
    assert facts.market is KRX


@pytest.mark.parametrize(
    ("marked", "asked", "ticks"),
    [
        (True, None, krx.ADJUSTED_TICKS),
        (True, False, krx.TICKS),
        (False, True, krx.ADJUSTED_TICKS),
        (False, None, krx.TICKS),
    ],
)
def test_adjusted_prices_lie_on_every_won(marked: bool, asked: bool | None, ticks: object) -> None:
    assert facts_of(krx.equity("005930", adjusted=marked), KRX, adjusted=asked).ticks == ticks


def test_a_perpetual_has_one_tick_and_no_base() -> None:
    made = binance.perpetual("BTCUSDT", Steps("BTC", "USDT", "0.10", "0.001", "0.002", "100"))
    facts = facts_of(made, binance.usdm_market())
    assert facts.ticks == UniformTicks(RAW_ONE // 10)
    assert (facts.lot_raw, facts.min_quantity_raw) == (RAW_ONE // 1000, RAW_ONE // 500)
    assert (facts.price_precision, facts.size_precision) == (1, 3)
    assert facts.min_notional_raw == 100 * RAW_ONE
    assert (facts.currency, facts.base) == (binance.USDT, None)


def test_a_spot_pair_delivers_its_base() -> None:
    facts = facts_of(binance.spot("BTCUSDT"), binance.spot_market())
    assert facts.base == Currency.from_str("BTC")
    assert facts.lot_raw == RAW_ONE // 100_000


def test_without_a_minimum_the_lot_is_the_smallest_quantity() -> None:
    facts = facts_of(
        binance.spot("XUSDT", Steps("X", "USDT", "0.01", "0.1")), binance.spot_market()
    )
    assert facts.min_quantity_raw == facts.lot_raw == RAW_ONE // 10
    assert facts.min_notional_raw == 0


def test_instrument_and_market_must_be_of_one_venue() -> None:
    with pytest.raises(BadInput, match="does not trade on venue BINANCE"):
        facts_of(binance.spot("BTCUSDT"), binance.usdm_market())
