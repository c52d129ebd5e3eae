"""A scenario: universe, venues, strategies, capital, window, latency and seed, as one TOML file.

Rule: everything is checked while it is read; what cannot work is refused with file, line and the
nearest valid key. The same text gives the same ``config_hash`` on any machine.
"""

import difflib
import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import msgspec
from nautilus_trader.model import Money

from scenarios.capital_table import CapitalTable
from scenarios.scenario_text import line_of
from strategies.errors import BadInput

FILE_NAME = "scenario.toml"
NAME_LENGTH_MAX = 64
FIRST_YEAR, LAST_YEAR = 1969, 2262
"""Exclusive: 64 bits of nanoseconds hold no others."""
NS_PER_MS = 1_000_000
LATENCY_MS_MAX = 86_400_000
LEVERAGE_MAX = 1_000
BPS_ONE = 10_000
SEED_MAX = (1 << 63) - 1


class VenueTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One ``[venues.NAME]`` table.

    ``limits``: numbers of the venue's protocol in place of the adapter's own, for live runs.
    """

    balances: list[str]
    latency_ms: Decimal = Decimal(5)
    streams: list[str] = []
    maker_bps: Decimal | None = None
    taker_bps: Decimal | None = None
    sell_tax_bps: Decimal | None = None
    leverage: int | None = None
    limits: dict[str, Any] = {}


class StrategyTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One ``[[strategies]]`` table.

    ``stages``: the parts of its weight a newcomer gets, one after the other. ``max``: the most it
    may have at stake, one amount per currency.
    """

    name: str
    class_: str = msgspec.field(name="class")
    instruments: list[str]
    streams: list[str]
    weight: Decimal
    stages: list[Decimal] = []
    max: list[str] = []
    params: dict[str, Any] = {}


class ReportTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The ``[report]`` table: how a run is shown; it changes no decision.

    ``rates``: what one unit of each other currency is worth in ``currency``. ``benchmark``: an
    instrument of the catalog to compare with. ``trials``: how many variants were tried.
    """

    currency: str | None = None
    rates: dict[str, Decimal] = {}
    benchmark: str | None = None
    trials: int | None = None


class ScenarioTable(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """The whole file."""

    name: str
    description: str = ""
    seed: int = 0
    start: str | None = None
    end: str | None = None
    chunk_rows: int = 100_000
    venues: dict[str, VenueTable] = {}
    capital: CapitalTable = CapitalTable()
    report: ReportTable | None = None
    strategies: list[StrategyTable]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A checked scenario; times are UTC nanoseconds, the end exclusive.

    ``table`` is the validated file, ``canonical`` its canonical JSON (what is journalled and
    hashed; chunk_rows is left out, because it must not change a result).
    """

    table: ScenarioTable
    folder: Path | None
    start_ns: int | None
    end_ns: int | None
    canonical: str
    source: str

    @property
    def name(self) -> str:
        """The scenario's name, used in run ids."""
        return self.table.name

    @property
    def config_hash(self) -> str:
        """SHA-256 of the canonical JSON."""
        return hashlib.sha256(self.canonical.encode()).hexdigest()


def find_scenario(name: str) -> Path:
    """Return the file of a scenario given by name, folder or path; raises BadInput if none."""
    given = Path(name)
    package = Path(__file__).resolve().parent
    tried = [
        given,
        given / FILE_NAME,
        Path("scenarios") / name / FILE_NAME,
        package / name / FILE_NAME,
    ]
    for path in tried:
        if path.is_file():
            return path
    known = sorted(path.parent.name for path in package.glob(f"*/{FILE_NAME}"))
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known names: {', '.join(known)}."
    raise BadInput(f"there is no scenario {name}: not a file, and not under scenarios/; {hint}")


def load_scenario(
    path: Path, overrides: Sequence[str] = (), window: tuple[str | None, str | None] = (None, None)
) -> Scenario:
    """Read and check a scenario file.

    ``overrides`` are ``key.path=value`` texts that win over the file; strategies are addressed by
    their name. ``window`` wins over the file's start and end. Raises BadInput.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # editors on Windows begin files with a mark
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}); give a readable TOML file.") from error
    try:
        raw = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"{path} is not valid TOML: {error}; mend that place.") from error
    for override in overrides:
        _override(raw, override)
    for key, value in zip(("start", "end"), window, strict=True):
        if value is not None:
            raw[key] = value
    return _scenario(raw, _Place(str(path), text), path.resolve().parent)


def scenario_from_json(canonical: str, folder: Path | None = None) -> Scenario:
    """Rebuild the scenario a run was made with, from what its journal kept.

    ``folder`` is where the scenario's own strategy modules lie.
    """
    raw = json.loads(canonical, parse_float=Decimal)
    return _scenario(raw, _Place("the journalled scenario", ""), folder)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a complaint is about."""

    source: str
    text: str

    def of(self, path: Sequence[str | int]) -> str:
        line = line_of(self.text, path)
        return f"{self.source}, line {line}" if line else self.source


def _scenario(raw: dict[str, Any], place: _Place, folder: Path | None) -> Scenario:
    endless = _not_finite(raw, [])
    if endless is not None:
        raise BadInput(f"{place.of(endless)}: {_dotted(endless)} is not a finite number; give one.")
    for key in ("start", "end"):
        if isinstance(raw.get(key), date):  # TOML has times of its own; datetime is a date
            raw[key] = raw[key].isoformat()
    try:
        table = msgspec.convert(raw, ScenarioTable)
    except msgspec.ValidationError as error:
        raise BadInput(_explain(str(error), raw, place)) from error
    _check(table, place)
    start, end = (_time_ns(getattr(table, key), key, place) for key in ("start", "end"))
    if start is not None and end is not None and end <= start:
        raise BadInput(f"{place.of(['end'])}: the window is empty; end must be after start.")
    return Scenario(table, folder, start, end, _canonical(table), place.source)


def _canonical(table: ScenarioTable) -> str:
    """Return a scenario as JSON; what is not used says nothing, so that old hashes stay."""
    canonical = msgspec.to_builtins(table)
    canonical.pop("chunk_rows")
    if table.report is None:
        canonical.pop("report")
    for venue in canonical["venues"].values():
        if not venue["limits"]:
            venue.pop("limits")
    return msgspec.json.encode(canonical, order="deterministic").decode()


def with_balances(scenario: Scenario, balances: Mapping[str, Sequence[str]]) -> Scenario:
    """Return a scenario whose venues of these names begin with other money."""
    table = scenario.table
    venues = {
        name: msgspec.structs.replace(venue, balances=list(balances.get(name, venue.balances)))
        for name, venue in table.venues.items()
    }
    table = msgspec.structs.replace(table, venues=venues)
    return replace(scenario, table=table, canonical=_canonical(table))


def _not_finite(node: object, path: list[str | int]) -> list[str | int] | None:
    """Return the path of the first nan or inf, which TOML allows and no key here means."""
    if isinstance(node, Decimal):
        return None if node.is_finite() else path
    children: list[tuple[str | int, object]] = []
    if isinstance(node, dict):
        children = list(node.items())
    elif isinstance(node, list):
        children = list(enumerate(node))
    found = (_not_finite(child, [*path, key]) for key, child in children)
    return next((each for each in found if each is not None), None)


def _explain(error: str, raw: Mapping[str, Any], place: _Place) -> str:
    """Turn the validator's text into: what, where, what to do."""
    what, _, where = error.partition(" - at `")
    path = _json_path(where.rstrip("`"), raw)
    unknown = re.search(r"unknown field `(.+)`", what)
    if unknown:
        key = unknown[1]
        line = place.of([*path, key])
        valid = _valid_keys(path)
        return f"{line}: unknown key {_dotted([*path, key])}; {nearest(key, valid)}"
    missing = re.search(r"missing required field `(.+)`", what)
    if missing:
        return f"{place.of(path)}: {_dotted([*path, missing[1]])} is missing; add it."
    return f"{place.of(path)}: {_dotted(path)} is not valid: {what}; correct its value."


def nearest(key: str, valid: Sequence[str]) -> str:
    """Return the hint that goes with an unknown key."""
    near = difflib.get_close_matches(key, valid, n=1)
    return f"did you mean {near[0]}?" if near else f"valid keys: {', '.join(valid) or 'none'}."


def _json_path(where: str, raw: Mapping[str, Any]) -> list[str | int]:
    """Read `$.strategies[0].weight`; `[...]` (any key of a map) is resolved by looking."""
    parts: list[str | int] = []
    for name, index in re.findall(r"\.([A-Za-z_]\w*)|\[(\d+|\.\.\.)\]", where):
        if name:
            parts.append(name)
        elif index == "...":
            parts += _first_bad_key(parts, raw)
        else:
            parts.append(int(index))
    return parts


def _first_bad_key(parts: Sequence[str | int], raw: Mapping[str, Any]) -> list[str | int]:
    node: Any = raw
    for part in parts:
        node = node[part]
    for key, value in node.items():
        try:
            msgspec.convert(value, VenueTable if parts == ["venues"] else Any)
        except msgspec.ValidationError:
            return [key]
    return []


def _valid_keys(path: Sequence[str | int]) -> list[str]:
    """Return the keys of the table at ``path``; of the last table on the way where it is none."""
    table: type[msgspec.Struct] = ScenarioTable
    for part in path:
        fields = {field.encode_name: field.type for field in msgspec.structs.fields(table)}
        found = _table_of(fields.get(str(part)))
        table = found or table
    return [field.encode_name for field in msgspec.structs.fields(table)]


def _table_of(kind: object) -> type[msgspec.Struct] | None:
    """Return the table type in a field's type: itself, or inside a list, a map or a choice."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    found = (_table_of(part) for part in get_args(kind))
    return next((table for table in found if table is not None), None)


def _dotted(path: Sequence[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.lstrip(".") or "the file"


def _check(table: ScenarioTable, place: _Place) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", table.name):
        raise BadInput(
            f"{place.of(['name'])}: name {table.name!r} must be letters, digits, - _ . only."
        )
    if not table.strategies:
        raise BadInput(f"{place.source}: there is no [[strategies]] table; add at least one.")
    names = [strategy.name for strategy in table.strategies]
    for i, name in enumerate(names):
        if name in names[:i] or name in {"capital", "host"}:
            raise BadInput(
                f"{place.of(['strategies', i, 'name'])}: strategy name {name!r} is taken; "
                "give each strategy a name of its own."
            )
    if table.chunk_rows < 1:
        raise BadInput(f"{place.of(['chunk_rows'])}: chunk_rows must be at least 1.")
    _check_range(["seed"], table.seed, -SEED_MAX, SEED_MAX, place)
    for name, venue in table.venues.items():
        _check_venue(name, venue, place)
    _check_report(table.report or ReportTable(), place)
    _check_capital(table.capital, place)
    for i, strategy in enumerate(table.strategies):
        _check_strategy(i, strategy, place)


def _check_range(
    path: list[str | int], value: Decimal | int | None, low: int, high: int, place: _Place
) -> None:
    if value is not None and not low <= value <= high:
        raise BadInput(
            f"{place.of(path)}: {_dotted(path)} is {value}; it must be from {low:,} to {high:,}."
        )


def _check_strategy(i: int, strategy: StrategyTable, place: _Place) -> None:
    name = strategy.name
    if not name.isprintable() or name != name.strip() or not 0 < len(name) <= NAME_LENGTH_MAX:
        raise BadInput(
            f"{place.of(['strategies', i, 'name'])}: strategy name {name!r} must be 1 to "
            f"{NAME_LENGTH_MAX} printable characters on one line."
        )
    if not 0 < strategy.weight <= 1:
        raise BadInput(
            f"{place.of(['strategies', i, 'weight'])}: weight {strategy.weight} of "
            f"{name} must be above 0 and at most 1."
        )
    for key, listed in (("instruments", strategy.instruments), ("streams", strategy.streams)):
        if not listed:
            raise BadInput(
                f"{place.of(['strategies', i, key])}: strategy {name} lists no {key}; list at "
                "least one."
            )


def _check_capital(capital: CapitalTable, place: _Place) -> None:
    _check_range(["capital", "market_buffer_bps"], capital.market_buffer_bps, 0, BPS_ONE, place)
    for key in ("order_max", "symbol_max", "strategy_max", "gross_max", "net_max", "max_loss"):
        where = place.of(["capital", key])
        for text in getattr(capital, key):
            if parse_money(text, where).raw <= 0:
                raise BadInput(
                    f"{where}: {key} {text!r} is not above zero and would refuse every order; "
                    "raise it, or leave it out."
                )


def _check_report(report: ReportTable, place: _Place) -> None:
    for code, rate in report.rates.items():
        if rate <= 0:
            raise BadInput(
                f"{place.of(['report', 'rates'])}: the rate of {code} is {rate}; give what one "
                "unit is worth in the report's currency, above 0."
            )
    if report.rates and report.currency is None:
        raise BadInput(
            f"{place.of(['report', 'rates'])}: rates need the currency they lead to; add "
            'currency = "KRW".'
        )
    if report.trials is not None and report.trials < 1:
        raise BadInput(
            f"{place.of(['report', 'trials'])}: trials is {report.trials}; count the variants you "
            "tried, this one included: at least 1."
        )


def _check_venue(name: str, venue: VenueTable, place: _Place) -> None:
    where = place.of(["venues", name, "balances"])
    if not venue.balances:
        raise BadInput(f'{where}: venue {name} has no balance; write balances = ["1000000 KRW"].')
    monies = [parse_money(text, where) for text in venue.balances]
    for money in monies:
        if money.raw < 0:
            raise BadInput(f"{where}: venue {name} starts with {money}; start with 0 or more.")
    if len({money.currency.code for money in monies}) < len(monies):
        raise BadInput(f"{where}: venue {name} names a currency twice; give one balance for each.")
    _check_range(["venues", name, "latency_ms"], venue.latency_ms, -1, LATENCY_MS_MAX, place)
    _check_range(["venues", name, "leverage"], venue.leverage, 1, LEVERAGE_MAX, place)
    for key in ("maker_bps", "taker_bps", "sell_tax_bps"):
        _check_range(["venues", name, key], getattr(venue, key), 0, BPS_ONE - 1, place)
    if venue.latency_ms * NS_PER_MS < 1:
        raise BadInput(
            f"{place.of(['venues', name, 'latency_ms'])}: latency_ms must be above 0: an order "
            "that arrives in the instant of its decision would fill at the price it decided on."
        )


def parse_money(text: str, where: str) -> Money:
    """Read "100_000_000 KRW"; raises BadInput that names ``where``."""
    try:
        return Money.from_str(text.replace("_", "").replace(",", ""))
    except ValueError as error:
        raise BadInput(
            f"{where}: {text!r} is not an amount of money ({error}); write it like "
            '"100_000_000 KRW".'
        ) from error


def _time_ns(value: str | None, key: str, place: _Place) -> int | None:
    return None if value is None else parse_time_ns(value, key, place.of([key]))


def parse_time_ns(value: str, key: str, where: str) -> int:
    """Read a time with its zone as UTC nanoseconds; raises BadInput that names ``where``."""
    fraction = re.search(r"\.(\d{1,9})(?!\d)", value)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise BadInput(
            f"{where}: {key} {value!r} is not a time; write 2026-03-09T09:00:00+09:00."
        ) from error
    if moment.tzinfo is None:
        raise BadInput(
            f"{where}: {key} {value} has no time zone; write it like "
            "2026-03-09T09:00:00+09:00, or with Z for UTC."
        )
    if not FIRST_YEAR < moment.year < LAST_YEAR:
        raise BadInput(
            f"{where}: {key} {value} is not a time from {FIRST_YEAR + 1} to {LAST_YEAR - 1}; "
            "correct it."
        )
    seconds = int(moment.replace(microsecond=0).timestamp())
    # The standard library drops what is below a microsecond.
    return seconds * 1_000_000_000 + (int(fraction[1].ljust(9, "0")) if fraction else 0)


def _override(raw: dict[str, Any], text: str) -> None:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise BadInput(f"--set {text!r} is not key=value; write it like capital.order_max=[...].")
    parsed: Any
    try:
        parsed = tomllib.loads(f"value = {value}", parse_float=Decimal)["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    node: Any = raw
    parts = key.strip().split(".")
    for part in parts[:-1]:
        node = _step(node, part, text)
    if isinstance(node, list):
        raise BadInput(f"--set {text!r} names no key of a strategy; write strategies.NAME.key=...")
    node[parts[-1]] = parsed


def _step(node: Any, part: str, text: str) -> Any:
    if isinstance(node, list):
        for item in node:
            if item.get("name") == part:
                return item
        names = ", ".join(str(item.get("name")) for item in node)
        raise BadInput(f"--set {text!r}: there is no strategy {part}; there are: {names}.")
    child = node.setdefault(part, {})
    if not isinstance(child, dict | list):
        raise BadInput(f"--set {text!r}: {part} is a value, not a table; end the key there.")
    return child
