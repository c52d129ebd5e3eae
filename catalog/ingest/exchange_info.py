"""Reads the steps of instruments from recorded answers of Binance's exchangeInfo.

Rule: an answer of the same import tells the grid of the instruments it lists; what it does not
list, or lists without steps, is found elsewhere. Perpetuals and spot pairs only.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import orjson
from nautilus_trader.model import CryptoPerpetual, CurrencyPair, InstrumentId

from catalog.ingest.recorded_lines import lines_of
from catalog.ingest.recordings import Market, instrument_id_of, is_answers
from catalog.store import Instrument
from catalog.unpacked import unpacked
from strategies.errors import BadInput
from strategies.markets.binance import Steps

type Listed = Mapping[InstrumentId, Steps]

_HEAD = 512
_PERPETUAL = "PERPETUAL"


def is_exchange_info(path: Path) -> bool:
    """Say whether a file is one such answer as JSON."""
    if not path.name.lower().endswith((".json", ".json.gz")):
        return False
    try:
        with unpacked(path) as (file, _):
            head = file.read(_HEAD)
    except (OSError, EOFError):
        return False
    return b'"serverTime"' in head and b'"timezone"' in head


def read_listed(path: Path) -> dict[InstrumentId, Steps]:
    """Return the steps a file tells, none where it holds no such answer. Raises BadInput."""
    found: dict[InstrumentId, Steps] = {}
    for answer in _answers(path):
        for row in answer.get("symbols", ()):
            steps = _steps(row)
            market = _market(row)
            if steps is not None and market is not None:
                found[instrument_id_of(str(row["symbol"]), market)] = steps
    return found


def has_steps(instrument: Instrument, steps: Steps) -> bool:
    """Say whether an instrument lies on these steps."""
    if not isinstance(instrument, CryptoPerpetual | CurrencyPair):
        return False
    own = instrument.price_increment, instrument.size_increment
    return [each.as_decimal() for each in own] == [Decimal(steps.price), Decimal(steps.size)]


def _answers(path: Path) -> Iterator[dict[str, Any]]:
    if is_exchange_info(path):
        with unpacked(path) as (file, _):
            yield _json(path, file.read())
    elif is_answers(path):
        for line in lines_of(path, lambda _read: None):
            address, _, rest = line.partition(b" -> ")
            if address.endswith(b"/exchangeInfo") or b"/exchangeInfo?" in address:
                yield _json(path, rest.partition(b" ")[2])


def _json(path: Path, text: bytes) -> dict[str, Any]:
    try:
        answer = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInput(f"{path} holds an exchangeInfo that is cut short: copy it again.") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("symbols"), list):
        raise BadInput(f"{path} holds an exchangeInfo without symbols: record the whole answer.")
    return answer


def _market(row: Mapping[str, Any]) -> Market | None:
    """Return a symbol's market; None for contracts that expire and coin-margined ones."""
    if "contractType" not in row:
        return Market.SPOT
    linear = row["contractType"] == _PERPETUAL and "contractSize" not in row
    return Market.USDM if linear else None


def _steps(row: Mapping[str, Any]) -> Steps | None:
    try:
        filters = {each["filterType"]: each for each in row["filters"]}
        price, lot = filters["PRICE_FILTER"], filters["LOT_SIZE"]
        notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL") or {}
        steps = Steps(
            str(row["baseAsset"]),
            str(row["quoteAsset"]),
            str(price["tickSize"]),
            str(lot["stepSize"]),
            _least(lot.get("minQty")),
            _least(notional.get("minNotional") or notional.get("notional")),
        )
        return steps if Decimal(steps.price) > 0 and Decimal(steps.size) > 0 else None
    except (KeyError, TypeError, InvalidOperation):
        return None  # a symbol that says no steps, as a delisted one


def _least(value: object) -> str:
    """Return a minimum as text, empty where there is none."""
    return str(value) if value is not None and Decimal(str(value)) > 0 else ""
