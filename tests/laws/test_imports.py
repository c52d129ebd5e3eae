"""Law 1: imports point down, and the rooms that are imported are ours."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from law_sources import PROJECT, ROOMS

# --- the contracts of .importlinter ---

CLEAN = {
    "strategies/__init__.py": "",
    "strategies/cross.py": "import nautilus_trader.model",
    "strategies/host/__init__.py": "",
    "strategies/host/shell.py": "import time",
    "adapters/__init__.py": "",
    "adapters/binance/__init__.py": "from strategies import cross",
    "adapters/kis/__init__.py": "import asyncio",
    "catalog/__init__.py": "import strategies.cross",
    "scenarios/__init__.py": "",
    "scenarios/wiring.py": "import adapters.kis\nimport catalog\nimport strategies.host.shell",
    "scenarios/venues/__init__.py": "",
    "scenarios/venues/kis.py": "import strategies.cross",
}
PLANTED = [
    ("Imports point down", "strategies/cross.py", "import catalog"),
    ("Imports point down", "catalog/__init__.py", "import adapters.kis"),
    ("Imports point down", "adapters/kis/__init__.py", "import catalog"),
    ("Imports point down", "adapters/kis/__init__.py", "from scenarios import wiring"),
    ("Venue adapters", "adapters/kis/__init__.py", "import adapters.binance"),
    ("Deciders", "strategies/cross.py", "import asyncio"),
    ("Deciders", "strategies/cross.py", "from time import time_ns"),
    ("Deciders", "strategies/cross.py", "import random"),
    ("Deciders", "strategies/cross.py", "import socket"),
    ("Deciders", "strategies/cross.py", "from pathlib import Path"),
    ("Deciders", "strategies/cross.py", "import logging"),
    ("Deciders", "strategies/cross.py", "import pandas"),
    ("Venue servers", "scenarios/venues/kis.py", "import adapters.kis"),
]


def broken_contracts(root: Path, files: dict[str, str]) -> Iterator[str]:
    """Lint a small project with our contracts and return the names of those it breaks."""
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    shutil.copy(PROJECT / ".importlinter", root)
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=root,
        env={"COLUMNS": "500", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts:" in done.stdout, done.stdout + done.stderr
    return (line for line in done.stdout.splitlines() if " BROKEN" in line)


def test_contracts_keep_a_lawful_project(tmp_path):
    assert list(broken_contracts(tmp_path, CLEAN)) == []


@pytest.mark.parametrize(("law", "path", "code"), PLANTED)
def test_planted_import_breaks_its_contract_and_the_way_out_is_said(tmp_path, law, path, code):
    (broken,) = broken_contracts(tmp_path, {**CLEAN, path: code})
    assert broken.startswith(law)
    assert "; " in broken


# --- generic folder names can be shadowed by a foreign distribution ---

WHERE = "import importlib, sys; print(importlib.import_module(sys.argv[1]).__file__)"


def place_of(room: str, elsewhere: Path, prelude: str = "") -> Path:
    """Import a room in an isolated interpreter started in another directory; return its file."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", prelude + WHERE, room],
        cwd=elsewhere,
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(done.stdout.strip())


def is_ours(room: str, place: Path) -> bool:
    """Tell whether an imported file is this project's room."""
    return place == PROJECT / room / "__init__.py"


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_not_shadowed(room, tmp_path):
    place = place_of(room, tmp_path)
    assert is_ours(room, place), (
        f"`import {room}` finds {place}; uninstall the distribution that brings it, or use the"
        " project's own environment (make test)"
    )


def test_a_foreign_distribution_would_be_found(tmp_path):
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "__init__.py").touch()
    foreign = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); "
    assert not is_ours("catalog", place_of("catalog", tmp_path, foreign))
