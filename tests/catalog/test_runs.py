"""How runs are named and found."""

import pytest

from catalog.runs import Run, find_run, make_run_id
from strategies.errors import BadInput
from tests.catalog.sample_run import manifest


def runs(*names: str) -> list[Run]:
    return [
        Run(
            run_no=number,
            manifest=manifest(name),
            status="ended",
            entry_count=0,
            head="",
            digest="",
        )
        for number, name in enumerate(names, 1)
    ]


@pytest.mark.parametrize(
    ("scenario", "chance", "expected"),
    [
        ("demo", 0xBEEF, "demo-20251201-000000-beef"),
        ("demo", 5, "demo-20251201-000000-0005"),
        ("demo", 0x1_0005, "demo-20251201-000000-0005"),
        ("My Gap/한글", 1, "my-gap-20251201-000000-0001"),
        ("../..", 1, "run-20251201-000000-0001"),
    ],
)
def test_run_ids_say_scenario_and_time(scenario: str, chance: int, expected: str) -> None:
    assert make_run_id(scenario, 1_764_547_200_999_999_999, chance) == expected


def test_the_configuration_is_hashed() -> None:
    assert manifest().config_hash == manifest("other").config_hash
    assert manifest().config_hash != manifest(config='{"seed":8}').config_hash


THREE = runs("demo-20251201-000000-aaaa", "gap-20251201-000000-bbbb", "demo-20251202-000000-cccc")


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("last", 3),
        ("gap-20251201-000000-bbbb", 2),
        ("g", 2),
        ("demo-20251201", 1),
    ],
)
def test_runs_are_found(name: str, number: int) -> None:
    assert find_run(THREE, name).run_no == number


def test_a_whole_id_is_no_prefix() -> None:
    assert find_run(runs("a", "ab"), "a").run_no == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("demo", r"'demo' begins 2 runs \(demo-20251202-000000-cccc, demo-20251201-000000-aaaa\)"),
        ("gpa-20251201-000000-bbbb", r"no run is called 'gpa-.*near it: gap-20251201-000000-bbbb"),
        ("", r"'' begins 3 runs"),
    ],
)
def test_unclear_names_are_refused_with_what_is_near(name: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        find_run(THREE, name)


def test_no_run_at_all_is_said() -> None:
    with pytest.raises(BadInput, match="holds no run yet; start one with"):
        find_run([], "last")
