"""The locks: exact versions with hashes, no index and no address, in step with pyproject.toml."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).resolve().parents[2]
LOCKS = sorted((PROJECT / "locks").glob("*.lock"))
PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9\-]*)==(?P<version>[\w.!+]+)(?P<marker> ; .+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")


def strange_lines(text: str) -> list[str]:
    """Return the lines of a lock that are neither a pin nor a hash."""
    return [line for line in text.splitlines() if not PIN.match(line) and not HASH.match(line)]


def pins(text: str) -> dict[str, str]:
    """Return version by package of a lock."""
    return {found["name"]: found["version"] for found in map(PIN.match, text.splitlines()) if found}


def unsatisfied(requirements: list[str], locked: dict[str, str]) -> list[str]:
    """Return the direct dependencies that a lock lacks or pins to a version they refuse."""
    return [
        text
        for text in requirements
        if not (need := Requirement(text)).specifier.contains(
            locked.get(canonicalize_name(need.name), "0.dev0"), prereleases=True
        )
        or canonicalize_name(need.name) not in locked
    ]


def project() -> dict[str, list[str]]:
    """Return the direct dependencies per lock."""
    table = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
    core, extras = table["project"]["dependencies"], table["project"]["optional-dependencies"]
    build = [*table["build-system"]["requires"], "editables"]
    grouped = {name: [*core, *extra] for name, extra in extras.items()}
    return {"core": core, "build": build, "tools": ["uv"], **grouped}


def lock(name: str) -> str:
    return (PROJECT / "locks" / f"{name}.lock").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_holds_pins_and_hashes_only(path):
    text = path.read_text(encoding="utf-8")
    assert strange_lines(text) == []
    assert text.count("--hash=") >= text.count("==") > 0


def test_every_group_has_a_lock_and_every_lock_a_group():
    assert {path.stem for path in LOCKS} == set(project())


@pytest.mark.parametrize("group", sorted(project()))
def test_direct_dependencies_are_locked_at_a_version_they_accept(group):
    wrong = unsatisfied(project()[group], pins(lock(group)))
    assert not wrong, f"locks/{group}.lock lags behind pyproject.toml for {wrong}: run `make lock`"


@pytest.mark.parametrize("group", ["test", "notebook"])
def test_extras_pin_the_core_as_the_core_does(group):
    assert pins(lock("core")).items() <= pins(lock(group)).items()


def test_the_core_stands_without_the_extras():
    assert {"pytest", "jupyterlab", "mypy"}.isdisjoint(pins(lock("core")))


@pytest.mark.parametrize(
    "line",
    [
        "--index" + "-url https://example.org",
        "rich==1 @ file:wheels",
        "-e .",
        "rich>=14 \\",
        "# by",
    ],
)
def test_a_strange_line_would_be_found(line):
    assert strange_lines(f"rich==15.0.0 \\\n    --hash=sha256:{'0' * 64}\n{line}\n") == [line]


def test_a_lagging_lock_would_be_found():
    locked = {"rich": "15.0.0", "nautilus-trader": "2.0.0rc7"}
    assert unsatisfied(["rich>=14,<16", "nautilus_trader==2.0.0rc7"], locked) == []
    assert unsatisfied(["rich>=16", "plotly"], locked) == ["rich>=16", "plotly"]
