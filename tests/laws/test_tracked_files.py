"""What may stand in the repository: no registry, no place on somebody's machine, nothing huge, no
results in notebooks, no dependency without its reason."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from law_sources import PROJECT, tracked_files

BYTES_MAX = 1 << 20

# Written in pieces, so that this file does not hold what it looks for.
REGISTRIES = re.compile(
    r"py"
    r"pi\.org|python"
    r"hosted|index"
    r"-url|find"
    r"-links|np"
    r"mjs|proxy\.go"
    r"lang"
    r"|crates\."
    r"io|ana"
    r"conda\.org|docker"
    r"\.io|gh"
    r"cr\.io"
)
FLAGS_OF_THE_LOCK_WRITER = re.compile(r"--no-emit-(index" r"-url|find" r"-links)")
MACHINE_PATH = re.compile(r"(?<![\w.~$}*])/(root|work|home/\w+|Users/\w+|mnt/\w+)/")

type Found = Iterator[str]


def addresses(path: str, text: str) -> Found:
    """Find addresses of package registries."""
    for number, line in enumerate(text.splitlines(), start=1):
        if REGISTRIES.search(FLAGS_OF_THE_LOCK_WRITER.sub("", line)):
            yield f"{path}:{number}: names a package registry; leave it to the machine's settings"


def machine_paths(path: str, text: str) -> Found:
    """Find absolute paths of one machine."""
    for number, line in enumerate(text.splitlines(), start=1):
        if MACHINE_PATH.search(line):
            yield f"{path}:{number}: holds a path of one machine; make it relative or a setting"


def notebook_results(path: str, text: str) -> Found:
    """Find results that were saved in a notebook."""
    if not path.endswith(".ipynb"):
        return
    for number, cell in enumerate(json.loads(text)["cells"], start=1):
        if cell.get("outputs") or cell.get("execution_count"):
            yield f"{path}: cell {number} holds results; clear all outputs before committing"


def dependencies_without_reason(path: str, text: str) -> Found:
    """Find direct dependencies whose line does not say why."""
    if path != "pyproject.toml":
        return
    project = tomllib.loads(text)["project"]
    extras = project.get("optional-dependencies", {}).values()
    for dependency in (
        *project.get("dependencies", ()),
        *(one for extra in extras for one in extra),
    ):
        lines = [line for line in text.splitlines() if f'"{dependency}"' in line]
        if not any(re.search(r"#.*\w{2,}", line) for line in lines):
            yield f"{path}: {dependency} without its reason; say why in a comment on its line"


def files_of_text() -> Iterator[tuple[str, str]]:
    """Yield path and text of every tracked text file."""
    for path in tracked_files():
        try:
            yield path.as_posix(), (PROJECT / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # a picture or a Parquet file


CHECKS = (addresses, machine_paths, notebook_results, dependencies_without_reason)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_law_holds(check):
    found = "\n".join(line for path, text in files_of_text() for line in check(path, text))
    assert not found, found


def too_big(paths: tuple[Path, ...], root: Path) -> list[str]:
    """Find files that make a clone slow."""
    return [
        f"{path}: over 1 MiB; generate it, or keep it in the catalog outside git"
        for path in paths
        if (root / path).stat().st_size > BYTES_MAX
    ]


def test_no_file_is_huge():
    assert too_big(tracked_files(), PROJECT) == []


def test_a_huge_file_would_be_found(tmp_path):
    (tmp_path / "tape.bin").write_bytes(bytes(BYTES_MAX + 1))
    (tmp_path / "small.bin").write_bytes(bytes(BYTES_MAX))
    assert len(too_big((Path("tape.bin"), Path("small.bin")), tmp_path)) == 1


NOTEBOOK = '{"cells": [{"cell_type": "code", "outputs": [%s], "execution_count": %s}]}'
EXTRA = '[project.optional-dependencies]\ntest = [\n    "rich>=14",  # %s\n]'
PLANTED = [
    (addresses, "locks/core.lock", "--index" + "-url https://mirror.example/simple"),
    (addresses, "README.md", "see https://py" + "pi.org/project/rich"),
    (addresses, "locks/core.lock", "--find" + "-links wheels"),
    (machine_paths, "README.md", "cd /ro" + "ot/onetape"),
    (machine_paths, "tests/x.py", 'DATA = "/wo' + 'rk/shared/data"'),
    (machine_paths, "tests/x.py", "/ho" + "me/kim/onetape"),
    (notebook_results, "notebooks/a.ipynb", NOTEBOOK % ('{"text": "1"}', "null")),
    (notebook_results, "notebooks/a.ipynb", NOTEBOOK % ("", "3")),
    (dependencies_without_reason, "pyproject.toml", '[project]\ndependencies = ["rich"]'),
    (dependencies_without_reason, "pyproject.toml", EXTRA % ""),
]


@pytest.mark.parametrize(("check", "path", "text"), PLANTED)
def test_planted_violation_is_found(check, path, text):
    (found,) = check(path, text)
    assert found.startswith(path)
    assert "; " in found


HARMLESS = [
    (addresses, "scripts/lock", "uv pip compile --no-emit-index" + "-url"),
    (machine_paths, "README.md", "../shared/data, $HOME/work/x, https://host/work/x"),
    (notebook_results, "notebooks/a.ipynb", NOTEBOOK % ("", "null")),
    (dependencies_without_reason, "pyproject.toml", EXTRA % "tables"),
]


@pytest.mark.parametrize(("check", "path", "text"), HARMLESS)
def test_lawful_text_is_left_alone(check, path, text):
    assert list(check(path, text)) == []
