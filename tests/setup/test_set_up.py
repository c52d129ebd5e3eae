"""Set-up from nothing: which Python is taken, what is installed, when, and what failures say.

The stand-ins for uv, python and pip are small scripts that note how they were called; they make an
empty environment from the Python that runs the tests, so nothing is fetched from anywhere.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
TOOLS = ("sh", "cat", "cksum", "chmod", "cp", "dirname", "grep", "mkdir", "rm", "tail")

MAKE_ENVIRONMENT = """#!/bin/sh
set -eu
"$REAL_PYTHON" -m venv --without-pip "$1"
for folder in "$1"/lib/python3.*/site-packages; do
    mkdir "$folder/pip"
    cp "$PIP_STAND_IN" "$folder/pip/__main__.py"
done
"""
PIP_STAND_IN = """
import os, pathlib, sys
if "--version" not in sys.argv:
    with open(os.environ["CALLS"], "a") as calls:
        print("pip", *sys.argv[1:], file=calls)
    refusal = pathlib.Path(os.environ["CALLS"]).with_name("refuse")
    if refusal.exists():
        sys.exit("ERROR: No matching distribution found for rich==15.0.0")
"""
UV = """#!/bin/sh
echo "uv $*" >>"$CALLS"
for last; do :; done
case $1 in venv) exec make-environment "$last" ;; esac
"""
NEW_PYTHON = """#!/bin/sh
case "$*" in "-m venv "*) echo "python $*" >>"$CALLS"; exec make-environment "$3" ;; esac
exec "$REAL_PYTHON" "$@"
"""
OLD_PYTHON = """#!/bin/sh
# A Python 3.11: has venv, is too old for the project, and can install uv.
case "$*" in
*version_info*) exit 1 ;;
*"import ensurepip, venv"*) exit 0 ;;
"-m venv .tools")
    echo "old python $*" >>"$CALLS"
    mkdir -p .tools/bin
    cp "$0" .tools/bin/python
    ;;
*"-m pip install"*)
    echo "old python $*" >>"$CALLS"
    cp "$UV_STAND_IN" .tools/bin/uv
    chmod +x .tools/bin/uv
    ;;
*) exit 1 ;;
esac
"""
BROKEN_SHIM = "#!/bin/sh\necho 'version 3.13 is not installed' >&2\nexit 127\n"
NO_VENV = "#!/bin/sh\nexit 1\n"


@dataclass
class Machine:
    """A small machine: a clone of the scripts, a PATH of its own and a log of calls."""

    root: Path

    @property
    def clone(self) -> Path:
        return self.root / "clone"

    def put(self, name: str, script: str) -> None:
        """Place a program on PATH."""
        path = self.root / "bin" / name
        path.write_text(script)
        path.chmod(0o755)

    def set_up(self, group: str = "core", **more: str) -> subprocess.CompletedProcess[str]:
        """Run the set-up there; every call starts a new log of calls."""
        (self.root / "calls").write_text("")
        environment = {
            "PATH": str(self.root / "bin"),
            "HOME": str(self.root),
            "CALLS": str(self.root / "calls"),
            "REAL_PYTHON": sys.executable,
            "UV_STAND_IN": str(self.root / "uv-stand-in"),
            "PIP_STAND_IN": str(self.root / "pip-stand-in"),
        }
        return subprocess.run(
            ["sh", self.clone / "scripts" / "set-up", group],
            env=environment | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def calls(self) -> list[str]:
        return (self.root / "calls").read_text().splitlines()


@pytest.fixture
def machine(tmp_path):
    new = Machine(tmp_path / "machine")
    (new.root / "bin").mkdir(parents=True)
    for tool in TOOLS:
        (new.root / "bin" / tool).symlink_to(shutil.which(tool) or pytest.fail(f"no {tool}"))
    new.put("make-environment", MAKE_ENVIRONMENT)
    (new.root / "uv-stand-in").write_text(UV)
    (new.root / "pip-stand-in").write_text(PIP_STAND_IN)
    shutil.copytree(PROJECT / "scripts", new.clone / "scripts")
    shutil.copytree(PROJECT / "locks", new.clone / "locks")
    for name in ("pyproject.toml", ".python-version"):
        shutil.copy(PROJECT / name, new.clone)
    return new


INSTALLS = [
    "--require-hashes --requirement locks/core.lock",
    "--require-hashes --requirement locks/build.lock",
    "--no-deps --no-build-isolation --no-index --editable .",
]


def installed(calls: list[str]) -> list[str]:
    common = "pip install --disable-pip-version-check --no-input "
    return [call.removeprefix(common) for call in calls if call.startswith("pip")]


def test_without_a_fitting_python_uv_gets_one_and_the_lock_is_installed(machine):
    machine.put("python3", OLD_PYTHON)
    machine.put("uv", UV)
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert machine.calls[0] == "uv venv --python 3.13 .venv"
    assert installed(machine.calls) == INSTALLS


def test_without_uv_any_python_installs_it_with_hashes(machine):
    machine.put("python3", OLD_PYTHON)
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert machine.calls[0] == "old python -m venv .tools"
    assert "--require-hashes --requirement locks/tools.lock" in machine.calls[1]
    assert machine.calls[2] == "uv venv --python 3.13 .venv"
    assert installed(machine.calls) == INSTALLS


def test_a_shim_that_exists_and_fails_is_passed_over(machine):
    machine.put("python3.13", BROKEN_SHIM)
    machine.put("python3", NEW_PYTHON)
    machine.put("uv", UV)
    done = machine.set_up()
    assert done.returncode == 0, done.stderr
    assert machine.calls[0] == "python -m venv .venv"


def test_a_version_managers_python_is_found_behind_a_shim_for_a_missing_version(machine):
    machine.put("python3", BROKEN_SHIM)
    managed = machine.root / ".pyenv" / "versions" / "3.14.2" / "bin"
    managed.mkdir(parents=True)
    (managed / "python").write_text(NEW_PYTHON)
    (managed / "python").chmod(0o755)
    assert machine.set_up().returncode == 0
    assert machine.calls[0] == "python -m venv .venv"


def test_a_second_run_does_nothing(machine):
    machine.put("python3", NEW_PYTHON)
    machine.set_up()
    done = machine.set_up()
    assert (done.returncode, done.stdout, done.stderr, machine.calls) == (0, "", "", [])


@pytest.mark.parametrize("changed", ["locks/core.lock", "pyproject.toml", "locks/build.lock"])
def test_a_change_installs_again_into_the_same_environment(machine, changed):
    machine.put("python3", NEW_PYTHON)
    machine.set_up()
    with (machine.clone / changed).open("a") as file:
        file.write("\n")
    assert machine.set_up().returncode == 0
    assert len(machine.calls) == len(installed(machine.calls)) == len(INSTALLS)


def test_tests_come_on_top_of_the_core(machine):
    machine.put("python3", NEW_PYTHON)
    machine.set_up()
    assert machine.set_up("test").returncode == 0
    assert installed(machine.calls)[0] == "--require-hashes --requirement locks/test.lock"
    assert machine.set_up("core").returncode == 0
    assert machine.calls == []


def test_an_interrupted_set_up_is_made_again(machine):
    machine.put("python3", NEW_PYTHON)
    (machine.root / "refuse").touch()
    failed = machine.set_up()
    assert failed.returncode == 1
    assert failed.stderr.count("\n") == 1
    assert "No matching distribution found for rich==15.0.0" in failed.stderr
    (machine.root / "refuse").unlink()
    assert machine.set_up().returncode == 0
    assert machine.calls[0] == "python -m venv .venv"
    assert installed(machine.calls) == INSTALLS


def test_an_environment_that_was_moved_or_lost_its_python_is_made_again(machine):
    machine.put("python3", NEW_PYTHON)
    machine.set_up()
    moved = Machine(machine.root.with_name("moved"))
    machine.root.rename(moved.root)
    assert moved.set_up().returncode == 0
    assert moved.calls[0] == "python -m venv .venv"
    (moved.clone / ".venv" / "bin" / "python").unlink()
    assert moved.set_up().returncode == 0
    assert moved.calls[0] == "python -m venv .venv"


def test_a_machine_with_nothing_gets_one_sentence(machine):
    machine.put("python3", NO_VENV)
    done = machine.set_up()
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "install Python 3.13, uv, or" in done.stderr
    assert not (machine.clone / ".tools").exists()


def test_an_unknown_group_is_refused(machine):
    done = machine.set_up("everything")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "core, test or notebook" in done.stderr


def test_when_uv_gets_no_python_the_sentence_says_what_to_do(machine):
    machine.put("uv", "#!/bin/sh\necho 'error: network' >&2\nexit 2\n")
    done = machine.set_up()
    assert done.returncode == 1
    assert "uv could not get Python 3.13" in done.stderr.splitlines()[-1]


# --- once with the real pip: hashes are asked for, and the project comes in editable ---

METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
BACKEND = f"""
import zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(folder + "/thing-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("thing.pth", ".")
        wheel.writestr("thing-1.0.dist-info/METADATA", {METADATA.format(name="thing")!r})
        wheel.writestr("thing-1.0.dist-info/WHEEL", {WHEEL!r})
        wheel.writestr("thing-1.0.dist-info/RECORD", "")
    return "thing-1.0-py3-none-any.whl"
"""


def tiny_wheel(folder: Path) -> str:
    """Write a wheel of one empty module and return its hash."""
    folder.mkdir()
    path = folder / "tiny-1.0-py3-none-any.whl"
    about = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr("tiny.py", "")
        wheel.writestr(f"{about}/METADATA", METADATA.format(name="tiny"))
        wheel.writestr(f"{about}/WHEEL", WHEEL)
        wheel.writestr(f"{about}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_real_pip_refuses_another_file_than_the_locked_one(machine):
    (machine.root / "bin" / "python3").symlink_to(Path(sys.executable).resolve())
    right = tiny_wheel(machine.root / "wheels")
    clone = machine.clone
    (clone / "backend.py").write_text(BACKEND)
    (clone / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "thing"\nversion = "1.0"\n'
    )
    offline = {
        "PIP_NO_INDEX": "1",
        "PIP_" + "FIND_LINKS": str(machine.root / "wheels"),
        "PIP_CONFIG_FILE": os.devnull,
    }
    for name in ("core", "build"):
        (clone / "locks" / f"{name}.lock").write_text(f"tiny==1.0 --hash=sha256:{'0' * 64}\n")
    refused = machine.set_up(**offline)
    assert refused.returncode == 1
    assert "HASH" in (clone / ".venv" / "set-up.log").read_text().upper()
    for name in ("core", "build"):
        (clone / "locks" / f"{name}.lock").write_text(f"tiny==1.0 --hash=sha256:{right}\n")
    accepted = machine.set_up(**offline)
    assert accepted.returncode == 0, accepted.stderr + (clone / ".venv/set-up.log").read_text()
    assert list((clone / ".venv").glob("lib/*/site-packages/tiny.py"))
