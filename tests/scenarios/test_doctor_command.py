"""The doctor finds each thing that can be wrong, says what to do, and never shows a secret."""

import argparse
import json
import os
import sqlite3

import pytest

from catalog.generate.market import DEMO_SESSIONS, generate_krx
from catalog.store import Store
from scenarios import health
from scenarios.commands import doctor
from scenarios.env_file import read_env_file
from scenarios.health import State
from scenarios.screen import Screen
from scenarios.settings import Settings
from strategies.errors import BadInput

SECRET = "s3cr3t-value"  # noqa: S105 - looked for in the output, opens nothing
KIS = {
    "ONETAPE_KIS_APP_KEY": SECRET,
    "ONETAPE_KIS_APP_SECRET": SECRET,
    "ONETAPE_KIS_ACCOUNT": "12345678-01",
}
NOON_NS = 1_760_000_000 * 10**9
"""2025-10-09."""


def at(home):
    return Settings(home, f"sqlite:///{home / 'journal.sqlite'}")


@pytest.fixture
def home(tmp_path):
    """A home with one generated share."""
    path = tmp_path / "home"
    with Store(at(path).catalog).importing() as batch:
        generate_krx(batch, DEMO_SESSIONS[:1], symbols=1, seed=1, trades_per_day=300)
    return path


def states(findings):
    return {finding.what: finding.state for finding in findings}


def test_a_healthy_machine_is_all_ok(home, tmp_path):
    findings = health.examine(at(home), {}, tmp_path)
    assert set(states(findings).values()) == {State.OK}, findings


def test_a_new_machine_has_nothing_wrong_and_one_thing_to_do(tmp_path):
    settings = at(tmp_path / "none" / "home")
    found = states(health.examine(settings, {}, tmp_path))
    assert State.FAIL not in found.values()
    assert found["catalog"] is State.WARN
    assert not settings.home.exists()


@pytest.mark.parametrize(
    ("version", "state"),
    [((3, 12), "fail"), ((3, 13), "ok"), ((3, 14), "ok"), ((3, 15), "fail"), ((4, 0), "fail")],
)
def test_python_versions(version, state):
    assert health.check_python(version).state == state


@pytest.mark.parametrize(
    ("installed", "state", "words"),
    [
        ({"rich": "15.0.0", "nautilus-trader": "2.0.0rc7"}, "ok", "all 2"),
        ({"rich": "14.1.0", "nautilus-trader": "2.0.0rc7"}, "warn", "rich 14.1.0 instead of 15"),
        ({"rich": "15.0.0", "nautilus-trader": "2.0.0rc8"}, "fail", "2.0.0rc8 instead of"),
        ({"nautilus-trader": "2.0.0rc7"}, "fail", "missing: rich"),
    ],
)
def test_packages_are_held_against_the_pins(installed, state, words):
    pinned = {"rich": "15.0.0", "nautilus-trader": "2.0.0rc7"}
    finding = health.check_packages(installed.get, pinned)
    assert finding.state == state
    assert words in finding.found


def test_an_engine_that_cannot_be_imported_is_found(tmp_path, monkeypatch):
    (tmp_path / "broken_engine.py").write_text("raise OSError('wrong ELF class')")
    monkeypatch.syspath_prepend(tmp_path)
    finding = health.check_imports("engine", ("broken_engine",))
    assert finding.state is State.FAIL
    assert "wrong ELF class" in finding.found


def test_a_home_that_others_may_change_is_told(tmp_path):
    tmp_path.chmod(0o777)
    finding = health.check_home(tmp_path)
    assert (finding.state, finding.advice) == (State.WARN, f"run: chmod 700 {tmp_path}")


def test_a_home_that_is_a_file_is_wrong(tmp_path):
    (tmp_path / "data").touch()
    assert health.check_home(tmp_path / "data").state is State.FAIL
    assert health.check_home(tmp_path / "data" / "below").state is State.FAIL


def test_a_truncated_file_of_the_catalog_is_named(home):
    path = next(at(home).catalog.glob("data/trades/*/*.parquet"))
    os.truncate(path, 100)
    finding = health.check_catalog(at(home).catalog)
    assert finding.state is State.FAIL
    assert path.name in finding.found


def test_a_database_of_something_else_is_no_journal(tmp_path):
    with sqlite3.connect(tmp_path / "journal.sqlite") as database:
        database.execute("CREATE TABLE notes (text)")
    database.close()
    finding = health.check_journal(at(tmp_path))
    assert finding.state is State.FAIL
    assert "notes" in finding.found


def test_an_unreachable_database_is_found_without_its_password(tmp_path):
    url = f"postgresql://me:{SECRET}@127.0.0.1:1/none"
    finding = health.check_journal(Settings(tmp_path, url))
    assert finding.state is State.FAIL
    assert SECRET not in repr(finding)


def test_a_clock_before_this_release_or_its_own_files_is_wrong(tmp_path):
    assert health.check_clock(0, tmp_path).state is State.FAIL
    assert health.check_clock(NOON_NS, tmp_path).state is State.FAIL
    later = int(health.RELEASED.timestamp() + 86_400) * 10**9
    assert health.check_clock(later, tmp_path).state is State.OK
    (tmp_path / "journal.sqlite").touch()
    os.utime(tmp_path / "journal.sqlite", ns=(later, later + 120 * 10**9))
    assert health.check_clock(later, tmp_path).state is State.FAIL


def test_an_unknown_time_zone_is_found():
    assert health.check_zones(("Asia/Nowhere",)).state is State.FAIL


@pytest.mark.parametrize(
    ("settings", "state", "advice"),
    [
        ({}, "ok", ""),
        (KIS, "ok", ""),
        (KIS | {"ONETAPE_KIS_ACCOUNT": "1234567801"}, "ok", ""),
        (KIS | {"ONETAPE_KIS_ACCOUNT": "123-45"}, "fail", "8 and 2 digits"),
        ({"ONETAPE_KIS_APP_KEY": SECRET}, "fail", "set ONETAPE_KIS_APP_SECRET"),
        (KIS | {"ONETAPE_KIS_APP_SECRET": ""}, "fail", "set ONETAPE_KIS_APP_SECRET"),
    ],
)
def test_keys_are_there_whole_or_not_at_all(settings, state, advice):
    finding = next(health.check_keys(settings))
    assert finding.state == state
    assert advice in finding.advice
    assert SECRET not in repr(finding)


# --- the .env file ---


def env_file(folder, text, mode=0o600):
    path = folder / ".env"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_an_env_file_is_read(tmp_path):
    text = "# mine\n\nA=1\nexport B = two words \nC='q=\"x'\nD=\nE=\"\n"
    expected = {"A": "1", "B": "two words", "C": 'q="x', "D": "", "E": '"'}
    assert read_env_file(env_file(tmp_path, text)) == expected
    assert read_env_file(tmp_path / "absent") == {}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_an_env_file_that_others_can_reach_is_refused(tmp_path, mode):
    path = env_file(tmp_path, f"ONETAPE_KIS_APP_KEY={SECRET}\n", mode)
    with pytest.raises(BadInput, match="chmod 600"):
        read_env_file(path)
    pairs, finding = health.check_env_file(path)
    assert (pairs, finding.state) == ({}, State.FAIL)


def test_a_malformed_line_is_named_and_not_repeated(tmp_path):
    with pytest.raises(BadInput, match="line 2") as caught:
        read_env_file(env_file(tmp_path, f"A=1\n{SECRET}\n"))
    assert SECRET not in str(caught.value)


def test_keys_come_from_the_env_file_too_and_the_environment_wins(home, tmp_path):
    env_file(tmp_path, "".join(f"{name}={value}\n" for name, value in KIS.items()))
    found = states(health.examine(at(home), {}, tmp_path))
    assert found["KIS keys"] is State.OK
    emptied = states(health.examine(at(home), {"ONETAPE_KIS_ACCOUNT": "1"}, tmp_path))
    assert emptied["KIS keys"] is State.FAIL


# --- the scenario and the command ---

SCENARIO = """
name = "small"
[venues.KRX]
balances = ["100_000_000 KRW"]
[[strategies]]
name = "cross"
class = "strategies.sma_crossover:SmaCrossover"
instruments = ["{instrument}"]
streams = ["1-MINUTE"]
weight = 0.5
params = {{ fast = {fast}, slow = 30 }}
"""


@pytest.mark.parametrize(
    ("instrument", "fast", "state", "words"),
    [
        ("99*.KRX", 10, "ok", "1 strategies, 1 instruments on KRX"),
        ("005930.KRX", 10, "fail", "not in the catalog"),
        ("99*.KRX", 40, "fail", "slow"),
    ],
)
def test_a_scenario_is_tried_up_to_its_first_event(home, tmp_path, instrument, fast, state, words):
    path = tmp_path / "small.toml"
    path.write_text(SCENARIO.format(instrument=instrument, fast=fast))
    finding = health.check_scenario(str(path), at(home))
    assert finding.state == state
    assert words in finding.found


def doctor_says(monkeypatch, capsys, home, *arguments):
    monkeypatch.setenv("ONETAPE_HOME", str(home))
    monkeypatch.chdir(home.parent)
    parser = argparse.ArgumentParser()
    doctor.register(parser.add_subparsers(), argparse.ArgumentParser(add_help=False))
    args = parser.parse_args(["doctor", *arguments])
    code = args.run(args, Screen(as_json=True))
    return code, capsys.readouterr()


def test_the_command_ends_with_0_on_a_healthy_machine(home, monkeypatch, capsys):
    code, shown = doctor_says(monkeypatch, capsys, home)
    assert code == 0
    assert json.loads(shown.out)["healthy"] is True
    assert "Python" in shown.err


def test_the_command_ends_with_1_says_what_to_do_and_shows_no_secret(home, monkeypatch, capsys):
    monkeypatch.setenv("ONETAPE_KIS_APP_KEY", SECRET)
    code, shown = doctor_says(monkeypatch, capsys, home, "no_such_scenario")
    assert code == 1
    result = {check["what"]: check for check in json.loads(shown.out)["checks"]}
    assert result["KIS keys"]["state"] == result["scenario"]["state"] == "fail"
    assert "fail: KIS keys: set ONETAPE_KIS_APP_SECRET" in shown.err
    assert SECRET not in shown.out + shown.err
