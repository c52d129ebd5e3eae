"""Puts a decider's state into words, for the page that shows where a re-execution parted.

Rule: reads attributes, changes nothing, and shows one instrument where the state is kept by
instrument: a strategy on 2,600 symbols has a page of state, and one line of it matters.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import is_dataclass

from nautilus_trader.model import InstrumentId

VALUE_TEXT_MAX = 160
DEPTH_MAX = 3
GIVEN = frozenset({"name", "instruments", "params", "facts", "config", "marks"})
"""Attributes that a decider was made with; the scenario shows them."""


def describe(decider: object, instrument_id: InstrumentId | None) -> dict[str, str]:
    """Return name and value of what a decider remembers of one instrument, or of all (None)."""
    found = {}
    for name, value in attributes(decider):
        if name in GIVEN:
            continue
        text = words(_of(value, instrument_id))
        if text:
            found[name] = text
    return found


def attributes(thing: object) -> Iterator[tuple[str, object]]:
    """Yield an object's own attributes, slots included, without leading underscores."""
    names = list(vars(thing)) if hasattr(thing, "__dict__") else []
    for cls in type(thing).__mro__:
        slots = getattr(cls, "__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    for name in dict.fromkeys(names):
        if hasattr(thing, name) and not name.startswith("__"):
            yield name.lstrip("_"), getattr(thing, name)


def words(value: object, depth: int = 0) -> str:
    """Return a value as short text; empty containers say nothing."""
    if isinstance(value, Mapping):
        parts = [f"{key}: {text}" for key, each in value.items() if (text := words(each, depth))]
        return _cut("; ".join(parts))
    if isinstance(value, Collection) and not isinstance(value, str | bytes):
        return _cut(", ".join(str(each) for each in value))
    if depth < DEPTH_MAX and (is_dataclass(value) or _is_plain(value)):
        parts = [
            f"{name}={text}" for name, each in attributes(value) if (text := words(each, depth + 1))
        ]
        return _cut(f"{type(value).__name__}({', '.join(parts)})")
    return _cut(str(value))


def _of(value: object, instrument_id: InstrumentId | None) -> object:
    if instrument_id is None or not isinstance(value, Mapping):
        return value
    if not any(isinstance(key, InstrumentId) for key in value):
        return value
    return value.get(instrument_id, {})


def _is_plain(value: object) -> bool:
    """Tell an object of ours with a few attributes from an engine value or a number.

    One that says itself what it is, such as a book of levels, is not looked into.
    """
    if type(value).__str__ is not object.__str__:
        return False
    module = type(value).__module__
    return not module.startswith(("builtins", "nautilus_trader", "decimal")) and any(
        True for _ in attributes(value)
    )


def _cut(text: str) -> str:
    return text if len(text) <= VALUE_TEXT_MAX else text[:VALUE_TEXT_MAX] + " ..."
