"""Facts of Binance: fees, and USD-M perpetuals and spot pairs as engine instruments.

Rule: a simulated venue has one account, so USD-M (margin) trades on venue ``BINANCE`` and spot
(cash) on ``BINANCE_SPOT``. The engine's live adapter calls both ``BINANCE``; its symbols are kept
(``BTCUSDT-PERP`` and ``BTCUSDT``), so a live node changes the venue of spot ids and nothing else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from nautilus_trader.model import (
    CryptoPerpetual,
    Currency,
    CurrencyPair,
    InstrumentId,
    Money,
    Price,
    Quantity,
    Symbol,
)

from strategies.errors import BadInput
from strategies.markets.facts import MarketFacts
from strategies.markets.sessions import ContinuousDays

DEFAULT_LEVERAGE = 20
"""Initial leverage of a USD-M account that never changed it, as generally published in 2026; a
scenario sets its own."""

VENUE_USDM = "BINANCE"
VENUE_SPOT = "BINANCE_SPOT"
USDT = Currency.from_str("USDT")

USDM_MAKER_RATE = Decimal("0.0002")
USDM_TAKER_RATE = Decimal("0.0005")
"""Regular users (VIP 0), USDT contracts, without the 10 % discount for paying in BNB, as generally
published in 2026; an account's own rates are set in the scenario (maker_bps, taker_bps)."""

SPOT_MAKER_RATE = Decimal("0.001")
SPOT_TAKER_RATE = Decimal("0.001")
"""Regular users (VIP 0), without the discount for paying in BNB, as generally published in 2026; an
account's own rates are set in the scenario. The real venue takes a buyer's fee in the bought
asset; the engine takes it in the quote currency, so a spot fill delivers its whole quantity."""

MARGIN_SHARE = Decimal(1)
"""Initial and maintenance margin before leverage: the engine divides it by the leverage, which
gives Binance's initial margin, notional / leverage, locked while an order or position is open."""


@dataclass(frozen=True, slots=True)
class Steps:
    """The grid of one symbol, as decimal text of the venue; empty text means no minimum."""

    base: str
    quote: str
    price: str
    size: str
    min_quantity: str = ""
    min_notional: str = ""


USDM_STEPS: Mapping[str, Steps] = {
    "BTCUSDT": Steps("BTC", "USDT", "0.10", "0.001", "0.001", "100"),
    "ETHUSDT": Steps("ETH", "USDT", "0.01", "0.001", "0.001", "20"),
    "BNBUSDT": Steps("BNB", "USDT", "0.010", "0.01", "0.01", "5"),
    "SOLUSDT": Steps("SOL", "USDT", "0.0100", "0.01", "0.01", "5"),
    "XRPUSDT": Steps("XRP", "USDT", "0.0001", "0.1", "0.1", "5"),
    "DOGEUSDT": Steps("DOGE", "USDT", "0.000010", "1", "1", "5"),
}
"""Typical USD-M values for the demo and for recordings without an exchangeInfo. Binance changes
them per symbol, so prefer ``parse_usdm``. ETHUSDT's price and size steps are those of trades
recorded on 2024-08-08; the others are from memory of 2025 and are not checked against the venue."""

SPOT_STEPS: Mapping[str, Steps] = {
    "BTCUSDT": Steps("BTC", "USDT", "0.01", "0.00001", "0.00001", "5"),
    "ETHUSDT": Steps("ETH", "USDT", "0.01", "0.0001", "0.0001", "5"),
    "BNBUSDT": Steps("BNB", "USDT", "0.01", "0.001", "0.001", "5"),
    "SOLUSDT": Steps("SOL", "USDT", "0.01", "0.001", "0.001", "5"),
    "XRPUSDT": Steps("XRP", "USDT", "0.0001", "0.1", "0.1", "5"),
    "DOGEUSDT": Steps("DOGE", "USDT", "0.00001", "1", "1", "1"),
}
"""Typical spot values, for the same uses; prefer ``parse_spot``. BTCUSDT's steps are those of
trades recorded on 2024-08-08; the others are not checked against the venue."""


def usdm_market(
    *,
    venue: str = VENUE_USDM,
    maker_rate: Decimal = USDM_MAKER_RATE,
    taker_rate: Decimal = USDM_TAKER_RATE,
) -> MarketFacts:
    """Return the facts of USD-M perpetuals: margin account, short allowed, no daily limits."""
    return _market(venue, maker_rate, taker_rate, margin=True)


def spot_market(
    *,
    venue: str = VENUE_SPOT,
    maker_rate: Decimal = SPOT_MAKER_RATE,
    taker_rate: Decimal = SPOT_TAKER_RATE,
) -> MarketFacts:
    """Return the facts of spot: cash account, long only, no daily limits."""
    return _market(venue, maker_rate, taker_rate, margin=False)


def _market(venue: str, maker_rate: Decimal, taker_rate: Decimal, *, margin: bool) -> MarketFacts:
    return MarketFacts(
        venue=venue,
        timezone="UTC",
        currency=USDT,
        margin=margin,
        short_allowed=margin,
        price_limit_ratio=None,
        maker_rate=maker_rate,
        taker_rate=taker_rate,
        sell_tax_rate=Decimal(0),
        sessions=ContinuousDays(),
    )


def perpetual(
    symbol: str, steps: Steps | None = None, *, venue: str = VENUE_USDM
) -> CryptoPerpetual:
    """Return a USD-M perpetual, id ``BTCUSDT-PERP.BINANCE``, settled in its quote currency.

    ``steps`` of None takes ``USDM_STEPS``. Raises BadInput for a symbol that is not in it, and
    for steps that are no positive decimals.
    """
    grid = _Grid(symbol, steps or _known(symbol, USDM_STEPS))
    return CryptoPerpetual(
        instrument_id=InstrumentId.from_str(f"{symbol}-PERP.{venue}"),
        raw_symbol=Symbol(symbol),
        base_currency=grid.base,
        quote_currency=grid.quote,
        settlement_currency=grid.quote,
        is_inverse=False,
        price_precision=grid.price.precision,
        size_precision=grid.size.precision,
        price_increment=grid.price,
        size_increment=grid.size,
        min_quantity=grid.min_quantity,
        min_notional=grid.min_notional,
        margin_init=MARGIN_SHARE,
        margin_maint=MARGIN_SHARE,
        ts_event=0,
        ts_init=0,
    )


def spot(symbol: str, steps: Steps | None = None, *, venue: str = VENUE_SPOT) -> CurrencyPair:
    """Return a spot pair, id ``BTCUSDT.BINANCE_SPOT``.

    ``steps`` of None takes ``SPOT_STEPS``. Raises BadInput for a symbol that is not in it, and
    for steps that are no positive decimals.
    """
    grid = _Grid(symbol, steps or _known(symbol, SPOT_STEPS))
    return CurrencyPair(
        instrument_id=InstrumentId.from_str(f"{symbol}.{venue}"),
        raw_symbol=Symbol(symbol),
        base_currency=grid.base,
        quote_currency=grid.quote,
        price_precision=grid.price.precision,
        size_precision=grid.size.precision,
        price_increment=grid.price,
        size_increment=grid.size,
        min_quantity=grid.min_quantity,
        min_notional=grid.min_notional,
        ts_event=0,
        ts_init=0,
    )


def parse_usdm(text: str | bytes, *, symbols: Sequence[str] = ()) -> list[CryptoPerpetual]:
    """Return the perpetuals of an answer to GET /fapi/v1/exchangeInfo, in its order.

    Delivery contracts are left out. ``symbols`` of () takes all; a symbol that is missing or no
    perpetual raises BadInput, as does text that is no exchangeInfo.
    """
    rows = [row for row in _rows(text) if row.get("contractType") == "PERPETUAL"]
    return [perpetual(str(row["symbol"]), _steps(row)) for row in _chosen(rows, symbols)]


def parse_spot(text: str | bytes, *, symbols: Sequence[str] = ()) -> list[CurrencyPair]:
    """Return the pairs of an answer to GET /api/v3/exchangeInfo, in its order.

    ``symbols`` of () takes all; a missing symbol raises BadInput, as does text that is no spot
    exchangeInfo.
    """
    rows = [row for row in _rows(text) if "contractType" not in row]
    return [spot(str(row["symbol"]), _steps(row)) for row in _chosen(rows, symbols)]


type _Row = Mapping[str, object]


def _rows(text: str | bytes) -> list[_Row]:
    try:
        rows = json.loads(text)["symbols"]
        return [row for row in rows if row["symbol"] and row["filters"]]
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(
            "this is no Binance exchangeInfo (a JSON object with symbols and filters): give the "
            "whole answer of GET /fapi/v1/exchangeInfo or /api/v3/exchangeInfo."
        ) from error


def _chosen(rows: Sequence[_Row], symbols: Sequence[str]) -> list[_Row]:
    known = {row["symbol"] for row in rows}
    for symbol in symbols:
        if symbol not in known:
            raise BadInput(f"exchangeInfo does not list {symbol}: check the symbol and the market.")
    return [row for row in rows if not symbols or row["symbol"] in symbols]


def _steps(row: _Row) -> Steps:
    filters = {entry["filterType"]: entry for entry in row["filters"]}  # type: ignore[attr-defined] # JSON
    try:
        notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
        return Steps(
            base=str(row["baseAsset"]),
            quote=str(row["quoteAsset"]),
            price=filters["PRICE_FILTER"]["tickSize"],
            size=filters["LOT_SIZE"]["stepSize"],
            min_quantity=filters["LOT_SIZE"]["minQty"],
            min_notional=notional.get("minNotional") or notional.get("notional") or "",
        )
    except KeyError as error:
        raise BadInput(
            f"exchangeInfo gives {row['symbol']} no {error.args[0]}: remove the symbol or give its "
            "steps by hand."
        ) from error


def _known(symbol: str, table: Mapping[str, Steps]) -> Steps:
    if symbol not in table:
        raise BadInput(
            f"the steps of {symbol} are not built in (known: {', '.join(table)}): give price_step "
            "and size_step, or import an exchangeInfo."
        )
    return table[symbol]


class _Grid:
    """The steps of one symbol as engine values; the venue pads decimals with zeros, these not."""

    def __init__(self, symbol: str, steps: Steps) -> None:
        self.base = Currency.from_str(steps.base)
        self.quote = Currency.from_str(steps.quote)
        self.price = Price.from_str(_plain(symbol, "price step", steps.price))
        self.size = Quantity.from_str(_plain(symbol, "size step", steps.size))
        self.min_quantity = self._minimum_quantity(symbol, steps.min_quantity)
        self.min_notional = self._minimum_notional(symbol, steps.min_notional)

    def _minimum_quantity(self, symbol: str, text: str) -> Quantity | None:
        if not text:
            return None
        value = Decimal(_plain(symbol, "smallest quantity", text))
        return Quantity.from_str(f"{value:.{self.size.precision}f}")

    def _minimum_notional(self, symbol: str, text: str) -> Money | None:
        if not text:
            return None
        # Not from_str: it knows registered currencies only, and assets come and go.
        return Money.from_decimal(Decimal(_plain(symbol, "smallest notional", text)), self.quote)


def _plain(symbol: str, what: str, text: str) -> str:
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise BadInput(
            f"the {what} {text!r} of {symbol} is no decimal number: correct it."
        ) from error
    if not value.is_finite() or value <= 0:
        raise BadInput(f"the {what} {text!r} of {symbol} must be above zero: correct it.")
    whole = value.normalize()
    return f"{whole:f}"
