"""Two runs side by side: equal where they did the same, and where they part if not."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import sample_run as sample
from nautilus_trader.model import Money, Price

from catalog.compare import Comparison, compare, fold_side
from catalog.journal import Entry
from strategies.messages import Fill, Grant, Refusal
from strategies.ports import Kind

ENTRIES = sample.sample_entries()


def changed(kind: Kind, number: int, **values: object) -> list[Entry]:
    """The sample with other values in the ``number``-th message of a kind, from 0."""
    spots = [i for i, entry in enumerate(ENTRIES) if entry.kind is kind]
    found = list(ENTRIES)
    entry = found[spots[number]]
    found[spots[number]] = entry._replace(message=replace(entry.message, **values))
    return found


def against(other: list[Entry]) -> Comparison:
    return compare(fold_side("one", ENTRIES), fold_side("two", other))


def of(found: Comparison, name: str) -> tuple[object, object]:
    measure = next(each for each in found.measures if each.name == name)
    return measure.first, measure.second


def test_a_run_equals_itself() -> None:
    found = against(list(ENTRIES))
    assert found.equal
    assert found.divergence is None
    assert all(measure.difference in {0, None} for measure in found.measures)
    decisions = sum(isinstance(e.message, Grant | Refusal) for e in ENTRIES)
    assert of(found, "decisions")[0] == decisions + sum(e.kind is Kind.INTENT for e in ENTRIES)


def test_ids_do_not_count() -> None:
    salted = changed(Kind.GRANT, 0, order_id=sample.LIMIT_ID)
    steps = [fold_side("x", entries).decisions for entries in (ENTRIES, salted)]
    assert steps[0] == steps[1]


def test_another_reason_is_another_decision() -> None:
    found = against(changed(Kind.INTENT, 1, reason="something else"))
    assert not found.equal
    part = found.divergence
    assert part is not None
    assert part.kind == "decision"
    assert part.first is not None and part.second is not None
    assert "take profit" in part.first.what
    assert "something else" in part.second.what
    assert of(found, "of them alike, at any time")[0] == len(fold_side("x", ENTRIES).decisions) - 1


def test_a_fill_at_another_price_and_fee() -> None:
    other = changed(
        Kind.FILL, 1, price=Price.from_str("70300"), commission=Money.from_str("70 KRW")
    )
    found = against(other)
    part = found.divergence
    assert part is not None
    assert (part.kind, part.number) == ("fill", 2)
    assert of(found, "fees and tax") == (Decimal(63 + 63 + 1816), Decimal(63 + 70 + 1816))


def test_a_run_that_stops_earlier_parts_where_it_ends() -> None:
    spot = next(i for i, entry in enumerate(ENTRIES) if entry.kind is Kind.REFUSAL)
    found = against(ENTRIES[:spot])
    part = found.divergence
    assert part is not None
    assert part.second is None
    assert part.first is not None and part.first.what.startswith("Refusal")
    assert of(found, "refusals") == (1, 0)


def test_waiting_is_from_grant_to_the_last_fill() -> None:
    found = against(list(ENTRIES))
    fills = [entry.message for entry in ENTRIES if isinstance(entry.message, Fill)]
    assert all(a.ts_ns <= b.ts_ns for a, b in pairwise(fills))
    assert of(found, "grant to fill, longest") == (20_000_000, 20_000_000)


def test_money_of_another_currency_has_its_own_row() -> None:
    other = changed(Kind.FILL, 2, commission=Money.from_str("1.5 USDT"))
    found = against(other)
    rows = {(m.name, m.unit): (m.first, m.second) for m in found.measures}
    assert rows["fees and tax", "USDT"] == (0, Decimal("1.5"))
    assert rows["fees and tax", "KRW"] == (Decimal(1942), Decimal(126))
