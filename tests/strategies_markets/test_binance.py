"""Binance instruments: built from steps, parsed from exchangeInfo, refused where they are wrong."""

import gzip
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest
from nautilus_trader.adapters.binance import BINANCE_VENUE
from nautilus_trader.model import InstrumentId, Money, Price, Quantity

from strategies.errors import BadInput
from strategies.markets import binance
from strategies.markets.binance import Steps

REST = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "binance_rest"


def row(**changes: object) -> dict[str, object]:
    """One symbol as both markets describe it, with the venue's padding zeros."""
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "stepSize": "0.00100000", "minQty": "0.00500000"},
        {"filterType": "MIN_NOTIONAL", "minNotional": "10.00000000"},
    ]
    base = {"symbol": "ETHUSDT", "baseAsset": "ETH", "quoteAsset": "USDT", "filters": filters}
    return base | changes


def info(*rows: Mapping[str, object]) -> str:
    return json.dumps({"symbols": rows})


def test_ids_are_those_of_the_engine_adapter() -> None:
    assert BINANCE_VENUE.value == binance.VENUE_USDM
    assert binance.perpetual("BTCUSDT").id == InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
    assert binance.spot("BTCUSDT").id == InstrumentId.from_str("BTCUSDT.BINANCE_SPOT")
    assert binance.spot("BTCUSDT", venue="BINANCE").id == InstrumentId.from_str("BTCUSDT.BINANCE")


@pytest.mark.parametrize("symbol", list(binance.USDM_STEPS))
def test_every_known_perpetual_builds_and_settles_in_its_quote(symbol: str) -> None:
    instrument = binance.perpetual(symbol)
    assert instrument.settlement_currency == instrument.quote_currency == binance.USDT
    assert instrument.margin_init == instrument.margin_maint == Decimal(1)


@pytest.mark.parametrize("symbol", list(binance.SPOT_STEPS))
def test_every_known_pair_builds(symbol: str) -> None:
    assert binance.spot(symbol).base_currency.code == symbol.removesuffix("USDT")


@pytest.mark.parametrize("build", [binance.perpetual, binance.spot])
def test_steps_lose_their_padding(build: Callable[..., object]) -> None:
    made = build("XUSDT", Steps("X", "USDT", "0.01000000", "10.00000000", "10", "5.00"))
    assert made.price_increment == Price.from_str("0.01")  # type: ignore[attr-defined] # either kind
    assert made.size_increment == Quantity.from_str("10")  # type: ignore[attr-defined]
    assert made.min_notional == Money.from_str("5 USDT")  # type: ignore[attr-defined]


def test_no_minimum_where_the_venue_states_none() -> None:
    instrument = binance.spot("XUSDT", Steps("X", "USDT", "0.01", "0.1"))
    assert instrument.min_quantity is None
    assert instrument.min_notional is None


def test_smallest_quantity_is_written_in_the_precision_of_the_step() -> None:
    instrument = binance.perpetual("XUSDT", Steps("X", "USDT", "0.01", "0.001", "5"))
    assert str(instrument.min_quantity) == "5.000"


def test_parse_takes_perpetuals_only() -> None:
    text = info(
        row(contractType="PERPETUAL"),
        row(symbol="ETHUSDT_261225", contractType="CURRENT_QUARTER"),
        row(symbol="NEWUSDT", contractType=""),
    )
    (made,) = binance.parse_usdm(text)
    assert str(made.id) == "ETHUSDT-PERP.BINANCE"
    assert (str(made.price_increment), str(made.size_increment)) == ("0.01", "0.001")
    assert (str(made.min_quantity), made.min_notional) == ("0.005", Money.from_str("10 USDT"))


@pytest.mark.parametrize(
    "notional",
    [
        {"filterType": "NOTIONAL", "minNotional": "10.0"},  # spot since 2023
        {"filterType": "MIN_NOTIONAL", "minNotional": "10.0"},  # spot before
        {"filterType": "MIN_NOTIONAL", "notional": "10"},  # USD-M
    ],
)
def test_parse_reads_the_smallest_notional_in_each_form(notional: dict[str, str]) -> None:
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.1"},
        {"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "1"},
        notional,
    ]
    (made,) = binance.parse_spot(info(row(filters=filters)))
    assert made.min_notional == Money.from_str("10 USDT")


def test_parse_chooses_symbols_and_names_a_missing_one() -> None:
    text = info(row(), row(symbol="LTCUSDT", baseAsset="LTC"))
    assert [str(pair.id) for pair in binance.parse_spot(text, symbols=("LTCUSDT",))] == [
        "LTCUSDT.BINANCE_SPOT"
    ]
    with pytest.raises(BadInput, match="does not list BTCUSDT"):
        binance.parse_spot(text, symbols=("BTCUSDT",))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"symbols": 3}', '{"symbols": [{"symbol": "A"}]}']
)
def test_parse_refuses_what_is_no_exchange_info(text: str) -> None:
    with pytest.raises(BadInput, match="no Binance exchangeInfo"):
        binance.parse_spot(text)


def test_parse_names_the_missing_filter() -> None:
    lot = [{"filterType": "LOT_SIZE", "stepSize": "1", "minQty": "1"}]
    with pytest.raises(BadInput, match="ETHUSDT no PRICE_FILTER"):
        binance.parse_spot(info(row(filters=lot)))


@pytest.mark.parametrize("step", ["0", "-0.1", "NaN", "Infinity", "much"])
def test_steps_must_be_positive_decimals(step: str) -> None:
    with pytest.raises(BadInput, match="price step"):
        binance.spot("XUSDT", Steps("X", "USDT", step, "0.1"))


def test_unknown_symbol_names_the_known_ones() -> None:
    with pytest.raises(BadInput, match="known: BTCUSDT"):
        binance.perpetual("PEPEUSDT")


def test_markets_differ_in_account_and_short_sale() -> None:
    usdm, spot = binance.usdm_market(), binance.spot_market()
    assert (usdm.margin, usdm.short_allowed, usdm.venue) == (True, True, "BINANCE")
    assert (spot.margin, spot.short_allowed, spot.venue) == (False, False, "BINANCE_SPOT")
    assert (usdm.maker_rate, usdm.taker_rate) == (Decimal("0.0002"), Decimal("0.0005"))
    assert (spot.maker_rate, spot.taker_rate) == (Decimal("0.001"), Decimal("0.001"))


def recorded(name: str) -> str:
    """The first answer of a recorded session, without the address in front of it."""
    with gzip.open(REST / name, "rt") as lines:
        return next(lines).split(": ", 1)[1]


needs_rest = pytest.mark.skipif(not REST.is_dir(), reason="../shared/data/binance_rest is absent")


@pytest.mark.real_data
@needs_rest
def test_recorded_usdm_exchange_info() -> None:
    made = {
        str(instrument.id): instrument
        for instrument in binance.parse_usdm(recorded("BINANCE_FUTURES.0.gz"))
    }
    assert len(made) == 119
    bitcoin = made["BTCUSDT-PERP.BINANCE"]
    assert (str(bitcoin.price_increment), str(bitcoin.size_increment)) == ("0.01", "0.001")
    assert bitcoin.min_notional == Money.from_str("5 USDT")


@pytest.mark.real_data
@needs_rest
def test_recorded_spot_exchange_info() -> None:
    made = {str(pair.id): pair for pair in binance.parse_spot(recorded("BINANCE.0.gz"))}
    assert len(made) == 1695
    bitcoin = made["BTCUSDT.BINANCE_SPOT"]
    assert (str(bitcoin.price_increment), str(bitcoin.size_increment)) == ("0.01", "0.00001")
    assert bitcoin.min_notional == Money.from_str("10 USDT")
