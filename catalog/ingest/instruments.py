"""Which instrument a file speaks of, and on which grid its numbers lie.

Rule: what the catalog knows wins, then what the user says, then an exchangeInfo of the same import,
then the built-in steps, then the data.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

from nautilus_trader.model import InstrumentId

from catalog.store import Import, Instrument, size_precision
from strategies.errors import BadInput
from strategies.markets import binance, krx

QUOTES = (
    *("USDT", "FDUSD", "USDC", "BUSD", "TUSD", "USDP", "DAI", "USD1", "EURI", "AEUR"),
    *("BTC", "ETH", "BNB", "TRX", "XRP", "DOGE", "SOL", "DOT"),
    *("EUR", "TRY", "BRL", "GBP", "AUD", "RUB", "UAH", "NGN", "JPY", "KRW", "BIDR", "IDRT"),
    *("ZAR", "PLN", "RON", "ARS", "MXN", "COP", "CZK"),
)
"""Quote assets of Binance, tried in this order at the end of a symbol."""

KRX_NAME = re.compile(r"^A?(\d[0-9A-Z]{5})(?![0-9A-Za-z])")
INDEX_VENUE = "INDEX"
"""Where indices are kept; nothing trades there."""

_PAIR_NAME = re.compile(r"^([0-9A-Z]+)[_/-]([A-Z]{3,5})(?![0-9A-Za-z])")
_FUTURES_NAME = re.compile(r"^([0-9A-Z]+)_([A-Z]{3,5})_\2(?![0-9A-Za-z]).*-futures(?![a-z])")
"""Pair and settlement currency, as tools that download candles of perpetuals name them."""

_SYMBOL_NAME = re.compile(r"^([0-9A-Z]{5,})(?![0-9A-Za-z])", re.IGNORECASE)
_ID_NAME = re.compile(r"^([0-9A-Z]+(?:-PERP)?\.(?:KRX|INDEX|BINANCE_SPOT|BINANCE))(?![0-9A-Za-z])")
_ID_HINT = (
    "give it with --instrument, for example --instrument BTCUSDT-PERP.BINANCE or 005930.KRX, in a "
    "folder for one file, as in --instrument '{}*=BTCUSDT-PERP.BINANCE'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """What the user says about an instrument's grid; None leaves it to the other sources.

    ``listed`` are the steps that an exchangeInfo of the same import tells, ``least`` the decimals
    of price and size that its other files are known to need.
    """

    tick: Decimal | None = None
    step: Decimal | None = None
    adjusted: bool = False
    listed: Mapping[InstrumentId, binance.Steps] = field(default_factory=dict)
    least: Mapping[InstrumentId, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Needs:
    """Decimals that the data need. Volumes of bars may be rounded, sizes of trades may not.

    ``is_exact``: the venue's own numbers; a new instrument takes all their decimals.
    """

    price: int
    size: int
    size_is_volume: bool = False
    is_exact: bool = False


class TooFine(BadInput):
    """Data with more decimals than their instrument has; ``needs`` are those of price and size."""

    def __init__(self, text: str, instrument_id: InstrumentId, needs: tuple[int, int]) -> None:
        super().__init__(text)
        self.instrument_id = instrument_id
        self.needs = needs


def instrument_id_for(
    path: Path, given: str | None, *, perpetual: bool | None = None
) -> InstrumentId:
    """Return the id given, or the one the file's name tells.

    A name tells it as ``A005930.csv``, ``BTC_USDT-5m.feather`` (spot),
    ``BTC_USDT_USDT-5m-futures.feather``, ``BTCUSDT-PERP.BINANCE-1m.csv``, and as
    ``btcusdt_1m.csv`` where ``perpetual`` says which of its markets is meant.
    """
    if given is not None:
        return parse_id(given)
    name = path.name
    if match := _ID_NAME.match(name):
        return parse_id(match[1])
    if match := KRX_NAME.match(name):
        return InstrumentId.from_str(f"{match[1]}.{krx.VENUE}")
    if match := _FUTURES_NAME.match(name):
        return InstrumentId.from_str(f"{match[1]}{match[2]}-PERP.{binance.VENUE_USDM}")
    if (match := _PAIR_NAME.match(name)) and perpetual is not True:
        return InstrumentId.from_str(f"{match[1]}{match[2]}.{binance.VENUE_SPOT}")
    symbol = (match[1] + match[2]) if match else _symbol_in(name)
    if symbol and perpetual is not None:
        venue = f"-PERP.{binance.VENUE_USDM}" if perpetual else f".{binance.VENUE_SPOT}"
        return InstrumentId.from_str(f"{symbol}{venue}")
    raise BadInput(
        f"{path}: its name does not tell the instrument: {_ID_HINT.format(_stem(name))}."
    )


def _symbol_in(name: str) -> str:
    """Return the symbol of Binance that a name begins with, empty where it is none."""
    match = _SYMBOL_NAME.match(name)
    symbol = match[1].upper() if match else ""
    return symbol if any(symbol.endswith(quote) for quote in QUOTES) else ""


def _stem(name: str) -> str:
    """Return the beginning of a name up to its first number, for an example of a pattern."""
    return re.split(r"[-_.]?\d|\.", name, maxsplit=1)[0] or name


def parse_id(text: str) -> InstrumentId:
    """Parse an instrument id of a known venue. Raises BadInput otherwise."""
    symbol, _, venue = text.rpartition(".")
    perpetual = symbol.endswith("-PERP")
    fits = {
        krx.VENUE: True,
        INDEX_VENUE: True,
        binance.VENUE_USDM: perpetual,
        binance.VENUE_SPOT: not perpetual,
    }
    if not symbol or not fits.get(venue, False):
        raise BadInput(
            f"{text!r} is no instrument that can be imported: write 005930.KRX, "
            "BTCUSDT-PERP.BINANCE (USD-M), BTCUSDT.BINANCE_SPOT (spot) or KS11.INDEX."
        )
    return InstrumentId.from_str(text)


def resolve(
    batch: Import, instrument_id: InstrumentId, grid: Grid, needs: Needs, where: str
) -> tuple[Instrument, list[str]]:
    """Return the instrument that holds the data, and notes; it joins the import where it is new.

    ``where`` names the source in errors. Raises TooFine where the data need more decimals than
    the catalog's instrument has.
    """
    known = batch.instrument(instrument_id)
    price, size = grid.least.get(instrument_id, (0, 0))
    wanted = replace(needs, price=max(needs.price, price), size=max(needs.size, size))
    instrument = known or _build(instrument_id, grid, wanted)
    pair = needs.price, needs.size
    if needs.price > instrument.price_precision:
        text = _too_fine(instrument, needs, "price", where)
        raise TooFine(text, instrument_id, pair)
    if needs.size > size_precision(instrument) and (
        not needs.size_is_volume or (needs.is_exact and batch.is_new(instrument_id))
    ):
        raise TooFine(_too_fine(instrument, needs, "size", where), instrument_id, pair)
    batch.add_instrument(instrument)
    return instrument, _mixed(instrument, grid)


def _mixed(instrument: Instrument, grid: Grid) -> list[str]:
    """Adjusted and unadjusted prices of one share may both be wanted, in different runs."""
    marked = bool((instrument.info or {}).get("adjusted"))
    if instrument.id.venue.value != krx.VENUE or marked == grid.adjusted:
        return []
    have, new = ("adjusted", "unadjusted") if marked else ("unadjusted", "adjusted")
    return [
        f"{instrument.id} stays marked as {have} in the catalog though these prices are {new}: "
        "do not use both in one run"
    ]


def _build(instrument_id: InstrumentId, grid: Grid, needs: Needs) -> Instrument:
    symbol, venue = instrument_id.symbol.value, instrument_id.venue.value
    if venue == krx.VENUE:
        return krx.equity(symbol, adjusted=grid.adjusted)
    listed = grid.listed.get(instrument_id)
    if venue == binance.VENUE_USDM:
        pair = symbol.removesuffix("-PERP")
        known = listed or binance.USDM_STEPS.get(pair)
        return binance.perpetual(pair, _steps(pair, grid, needs, known))
    known = listed or binance.SPOT_STEPS.get(symbol)
    return binance.spot(symbol, _steps(symbol, grid, needs, known))


def _steps(pair: str, grid: Grid, needs: Needs, known: binance.Steps | None) -> binance.Steps:
    base, quote = (known.base, known.quote) if known else _split(pair)
    size_needed = 0 if known and needs.size_is_volume and not needs.is_exact else needs.size
    return binance.Steps(
        base,
        quote,
        _step(grid.tick, known.price if known else None, needs.price),
        _step(grid.step, known.size if known else None, size_needed),
        known.min_quantity if known else "",
        known.min_notional if known else "",
    )


def _step(given: Decimal | None, known: str | None, needed: int) -> str:
    """Return a step: a known one holds unless the data have more decimals than it."""
    if given is not None:
        return f"{given:f}"
    least = Decimal(1).scaleb(-needed)
    if known is None:
        return f"{least:f}"
    step = Decimal(known).normalize()
    holds = needed <= max(0, -int(step.as_tuple().exponent))
    return f"{step if holds else min(least, step):f}"


def _split(pair: str) -> tuple[str, str]:
    for quote in QUOTES:
        if pair.endswith(quote) and len(pair) > len(quote):
            return pair.removesuffix(quote), quote
    raise BadInput(
        f"{pair} does not end in a quote asset of Binance ({', '.join(QUOTES[:6])}, ...): check "
        "the symbol."
    )


def _too_fine(instrument: Instrument, needs: Needs, what: str, where: str) -> str:
    price = what == "price"
    have = instrument.price_precision if price else size_precision(instrument)
    least = f"{Decimal(1).scaleb(-have):f}"
    way = f"give --tick {least} to round them, or " if needs.size_is_volume else ""
    return (
        f"{where}: {what}s have up to {needs.price if price else needs.size} decimals, "
        f"{instrument.id} has {have}: {way}import all of its files with one command into "
        "another ONETAPE_HOME."
    )
