"""Scenario files: what is accepted, and that every refusal names the line and the way out."""

from decimal import Decimal
from pathlib import Path

import pytest

from scenarios.scenario import Scenario, find_scenario, load_scenario, scenario_from_json
from strategies.errors import BadInput

GOOD = """\
name = "two-days"
seed = 7
start = 2026-03-09T09:00:00+09:00

[venues.KRX]
balances = ["100_000_000 KRW"]
latency_ms = 30.5

[[strategies]]
name = "sma"
class = "strategies.sma_crossover:SmaCrossover"
instruments = ["*.KRX"]
streams = ["1-MINUTE"]
weight = 0.25
[strategies.params]
fast = 5

[[strategies]]
name = "gap"
class = "strategies.gap:GapTrading"
instruments = ["005930.KRX"]
streams = ["trades"]
weight = 0.5
"""


def load(tmp_path: Path, text: str, *overrides: str) -> Scenario:
    path = tmp_path / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return load_scenario(path, overrides)


def test_a_good_file_is_read_exactly(tmp_path: Path) -> None:
    scenario = load(tmp_path, GOOD)
    assert scenario.start_ns == 1_773_014_400_000_000_000
    assert scenario.end_ns is None
    assert scenario.table.venues["KRX"].latency_ms == Decimal("30.5")
    assert scenario.table.strategies[0].weight == Decimal("0.25")


def test_the_journalled_form_gives_the_same_scenario_and_hash(tmp_path: Path) -> None:
    scenario = load(tmp_path, GOOD)
    again = scenario_from_json(scenario.canonical)
    assert again.canonical == scenario.canonical
    assert again.config_hash == scenario.config_hash
    assert again.start_ns == scenario.start_ns


def test_chunk_rows_is_no_part_of_what_a_run_is(tmp_path: Path) -> None:
    small = load(tmp_path, "chunk_rows = 10\n" + GOOD)
    assert small.table.chunk_rows == 10
    assert small.config_hash == load(tmp_path, GOOD).config_hash


BAD = [
    # what is replaced, by what, what the sentence must hold
    ("seed = 7", "sead = 7", ["line 2", "unknown key sead", "did you mean seed?"]),
    ("latency_ms = 30.5", "latancy_ms = 1", ["line 7", "venues.KRX.latancy_ms", "latency_ms?"]),
    ("weight = 0.5", "wieght = 0.5", ["line 23", "strategies[1].wieght", "did you mean weight?"]),
    ("weight = 0.5", 'weight = "much"', ["line 23", "strategies[1].weight", "decimal"]),
    ("seed = 7", 'seed = "x"', ["line 2", "seed", "Expected `int`"]),
    ("latency_ms = 30.5", "latency_ms = []", ["line 7", "venues.KRX.latency_ms"]),
    ("weight = 0.5", "weight = 1.5", ["line 23", "1.5", "at most 1"]),
    ("latency_ms = 30.5", "latency_ms = 0", ["line 7", "above 0"]),
    ('["100_000_000 KRW"]', '["many won"]', ["line 6", "many won", "not an amount"]),
    ('["100_000_000 KRW"]', "[]", ["line 6", "no balance"]),
    ('name = "gap"', 'name = "sma"', ["line 19", "'sma' is taken"]),
    ('name = "gap"', 'name = "capital"', ["line 19", "taken"]),
    ("+09:00", "", ["line 3", "no time zone"]),
    ("seed = 7", "end = 2020-01-01T00:00:00Z", ["line 2", "window is empty"]),
    ('name = "two-days"', 'name = "two days"', ["line 1", "letters"]),
    ('name = "gap"\n', "", ["line 18", "name is missing"]),
    ("seed = 7", "seed = ", ["not valid TOML", "line 2"]),
]


@pytest.mark.parametrize(("old", "new", "words"), BAD)
def test_a_refusal_says_what_where_and_what_to_do(
    tmp_path: Path, old: str, new: str, words: list[str]
) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(BadInput) as caught:
        load(tmp_path, GOOD.replace(old, new))
    text = str(caught.value)
    assert "scenario.toml" in text
    assert "\n" not in text
    for word in words:
        assert word in text


def test_set_wins_over_the_file_and_finds_strategies_by_name(tmp_path: Path) -> None:
    scenario = load(
        tmp_path, GOOD, "strategies.sma.params.fast=8", "venues.KRX.latency_ms=1", "name=other"
    )
    assert scenario.table.strategies[0].params["fast"] == 8
    assert scenario.table.venues["KRX"].latency_ms == 1
    assert scenario.name == "other"


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("nonsense", "not key=value"),
        ("strategies.smaa.weight=1", "there is no strategy smaa"),
        ("strategies=1", "strategies"),
        ("seed.x=1", "seed is a value"),
    ],
)
def test_a_bad_set_is_refused(tmp_path: Path, override: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        load(tmp_path, GOOD, override)


def test_an_unreadable_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="cannot be read"):
        load_scenario(tmp_path / "none.toml")


def test_an_unknown_name_shows_the_known_ones() -> None:
    with pytest.raises(BadInput, match="there is no scenario demoo"):
        find_scenario("demoo")
