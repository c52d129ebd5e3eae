"""Reads the daily prices and volumes that generated days must hit, from a table of many shares.

Rule: codes are text, everything else whole numbers; the day stands in a column or in the file's
name. A row without volume is a share that did not trade: it is left out and counted.
"""

import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv

from catalog.generate.targets import Targets
from catalog.ingest.mapping import NAMES, plain
from strategies.errors import BadInput

CODE_NAMES = ("code", "symbol", "ticker", "shortcode", "종목코드", "단축코드", "종목")
_PRICES = ("open", "high", "low", "close", "volume")
_DAY = re.compile(r"(?<!\d)(\d{4})[-./]?(\d\d)[-./]?(\d\d)(?!\d)")
_CODE = re.compile(r"^A?([0-9A-Z]{6})$")


@dataclass(frozen=True, slots=True)
class LikeTable:
    """Targets by day and code, both in the table's order; ``silent`` counts rows not traded."""

    days: Mapping[date, Mapping[str, Targets]]
    silent: int


def read_like(path: Path, day: date | None = None) -> LikeTable:
    """Read a table (.csv, .csv.gz; UTF-8 or CP949) with usual English or Korean column names.

    ``day`` is for a table without one. Raises BadInput naming the row that no day can be.
    """
    table = _read(path)
    columns = _columns(table.column_names, path)
    texts = {name: _texts(table, column) for name, column in columns.items()}
    count = table.num_rows
    days = [_day_of(text, path, row) for row, text in enumerate(texts.get("time", ()), 2)]
    if not days:
        days = [day or _day_in_name(path)] * count
    found: dict[date, dict[str, Targets]] = {}
    silent = 0
    for place in range(count):
        row = place + 2  # as an editor counts, the header being the first
        code = _code(texts["code"][place], path, row)
        numbers = [_number(texts[name][place], name, path, row) for name in _PRICES]
        if numbers[-1] == 0:
            silent += 1
            continue
        shares = found.setdefault(days[place], {})
        if code in shares:
            raise BadInput(
                f"{path}, row {row}: {code} is there twice on {days[place]}: remove one."
            )
        shares[code] = _checked(Targets(*numbers), code, path, row)
    if not found:
        raise BadInput(f"{path} has no row with a volume: there is no day to be like.")
    return LikeTable(dict(sorted(found.items())), silent)


def _read(path: Path) -> pa.Table:
    try:
        raw = path.read_bytes()
        raw = gzip.decompress(raw) if path.suffix.lower() == ".gz" else raw
    except (OSError, EOFError) as error:
        raise BadInput(
            f"{path} cannot be read ({error}): check the path and copy it whole."
        ) from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp949", errors="replace")  # what KRX's own site saves
    names = next(iter(text.splitlines()), "").replace('"', "").split(",")
    options = pacsv.ConvertOptions(
        column_types={name: pa.string() for name in names}, strings_can_be_null=False
    )
    try:
        return pacsv.read_csv(pa.BufferReader(text.encode()), convert_options=options)
    except pa.ArrowInvalid as error:
        raise BadInput(
            f"{path} is no CSV table ({error}): save it with commas and a header."
        ) from error


def _columns(names: Sequence[str], path: Path) -> dict[str, str]:
    meanings = {alias: meaning for meaning in (*_PRICES, "time") for alias in NAMES[meaning]}
    meanings |= dict.fromkeys(CODE_NAMES, "code")
    found: dict[str, str] = {}
    for name in names:
        meaning = meanings.get(plain(name))
        if meaning is not None:
            found.setdefault(meaning, name)
    missing = [name for name in ("code", *_PRICES) if name not in found]
    if missing:
        raise BadInput(
            f"{path}: no column means {', '.join(missing)} (columns: {', '.join(names)}): rename "
            "them to code, date, open, high, low, close, volume."
        )
    return found


def _texts(table: pa.Table, name: str) -> list[str]:
    texts: list[str] = table.column(name).to_pylist()
    return texts


def _code(text: str, path: Path, row: int) -> str:
    match = _CODE.match(text.strip().upper().zfill(6))
    if match is None:
        raise BadInput(f"{path}, row {row}: {text!r} is no KRX share code like 005930.")
    return match[1]


def _number(text: str, name: str, path: Path, row: int) -> int:
    try:
        whole, _, rest = text.strip().replace(",", "").partition(".")
        value = int(whole or "0")
    except ValueError:
        value, rest = -1, ""
    if value < 0 or rest.strip("0"):
        raise BadInput(f"{path}, row {row}: {name} {text!r} is no whole number of won or shares.")
    return value


def _checked(targets: Targets, code: str, path: Path, row: int) -> Targets:
    ends = (targets.open, targets.close)
    if not 0 < targets.low <= min(ends) <= max(ends) <= targets.high:
        raise BadInput(
            f"{path}, row {row}: {code} has open {targets.open}, high {targets.high}, low "
            f"{targets.low}, close {targets.close}: a low is above 0 and below the others, a high "
            "above them."
        )
    if targets.volume < targets.prints_needed:
        raise BadInput(
            f"{path}, row {row}: {code} cannot have these {targets.prints_needed} prices with a "
            f"volume of {targets.volume}: correct or remove the row."
        )
    return targets


def _day_of(text: str, path: Path, row: int) -> date:
    found = _parsed(text)
    if found is None:
        raise BadInput(f"{path}, row {row}: {text!r} is no date like 2026-03-09.")
    return found


def _day_in_name(path: Path) -> date:
    found = _parsed(path.name)
    if found is None:
        raise BadInput(
            f"{path} has no column with a date, nor one in its name: say the day with --start."
        )
    return found


def _parsed(text: str) -> date | None:
    match = _DAY.search(text)
    try:
        return date(*map(int, match.groups())) if match else None
    except ValueError:
        return None
