"""What `onetape new` writes works as it is: it is tested, type-checked and run here."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.generate.market import DEMO_SESSIONS, generate_crypto, generate_krx
from catalog.store import Store
from scenarios.commands import new
from scenarios.commands.new import class_name, write_example
from scenarios.execute import run_replay
from scenarios.scenario import load_scenario
from scenarios.screen import Screen
from scenarios.settings import Settings
from strategies.errors import BadInput

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """A home with a small generated market like the demo's."""
    home = tmp_path_factory.mktemp("home")
    made = Settings(home, f"sqlite:///{home / 'journal.sqlite'}")
    with Store(made.catalog).importing() as batch:
        generate_krx(batch, DEMO_SESSIONS, symbols=2, seed=1, trades_per_day=600)
        generate_crypto(batch, DEMO_SESSIONS[:1], symbols=1, seed=1, trades_per_day=600)
    return made


def test_a_new_strategy_passes_its_own_test(tmp_path):
    write_example("strategy", "high_breakout", tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "high_breakout_test.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


def test_a_new_strategy_trades_on_the_generated_market(tmp_path, settings):
    write_example("strategy", "low_breakout", tmp_path)
    outcome = run_replay(load_scenario(tmp_path / "low_breakout.toml"), settings)
    assert outcome.result.fills > 1


def test_a_new_scenario_trades_on_the_generated_market(tmp_path, settings):
    write_example("scenario", "two-venues", tmp_path)
    outcome = run_replay(load_scenario(tmp_path / "two-venues.toml"), settings)
    assert outcome.result.fills > 1


def test_a_new_strategy_is_short_and_lawful(tmp_path):
    source, test, _ = write_example("strategy", "opening_range", tmp_path)
    assert source.read_text().count("\n") <= 40
    lint = [Path(sys.executable).parent / "ruff", "check", "--isolated", "--select", "E,F,B,UP,SIM"]
    done = subprocess.run(
        [*lint, "--line-length", "100", source, test], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_nothing_is_overwritten_and_nothing_else_written(tmp_path):
    (tmp_path / "gap_test.py").write_text("mine")
    with pytest.raises(BadInput, match=r"gap_test\.py exists"):
        write_example("strategy", "gap", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["gap_test.py"]
    assert (tmp_path / "gap_test.py").read_text() == "mine"


def test_a_folder_that_takes_no_file_leaves_nothing(tmp_path, monkeypatch):
    links = []

    def full(self, target):
        links.append(self)
        if len(links) == 2:
            raise OSError(28, "No space left on device")
        self.write_text(target.read_text())

    monkeypatch.setattr(Path, "hardlink_to", full)
    with pytest.raises(BadInput, match="No space left on device"):
        write_example("strategy", "gap", tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["", "Gap", "2fast", "a-b", "a.b", "../up", "a b", "갭", "x" * 41, "_x"]
)
def test_a_name_that_is_no_module_name_is_refused(tmp_path, name):
    with pytest.raises(BadInput, match="cannot be the name of a strategy"):
        write_example("strategy", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["class", "match", "random", "numpy", "strategies", "pytest"])
def test_a_name_that_python_understands_otherwise_is_refused(tmp_path, name):
    with pytest.raises(BadInput, match=f"choose another, such as my_{name}"):
        write_example("strategy", name, tmp_path)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("gap", "Gap"),
        ("opening_range", "OpeningRange"),
        ("ema_2", "Ema2"),
        ("two-venues", "TwoVenues"),
    ],
)
def test_class_names(name, expected):
    assert class_name(name) == expected


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    parser = argparse.ArgumentParser()
    new.register(parser.add_subparsers(), argparse.ArgumentParser(add_help=False))
    args = parser.parse_args(["new", "strategy", "gap"])
    assert args.run(args, Screen(as_json=True)) == 0
    shown = capsys.readouterr()
    assert "next: pytest gap_test.py, then onetape run gap.toml" in shown.err
    files = json.loads(shown.out)["files"]
    assert [Path(file).name for file in files] == ["gap.py", "gap_test.py", "gap.toml"]
    with pytest.raises(BadInput, match=r"gap\.py exists"):
        args.run(args, Screen())
