"""What only a process can meet: journals that fail, homes that are none, other runs, kill -9."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from small_market import onetape, small_market

from scenarios.cli import main
from scenarios.settings import Settings

SCENARIO = """
name = "mine"
[venues.BINANCE]
balances = ["100_000 USDT"]
[[strategies]]
name = "own"
class = "process_strategies:{name}"
instruments = ["*.BINANCE"]
streams = ["trades"]
weight = 1
"""
STRATEGIES = """
import os, signal, time
from pathlib import Path
from strategies.decider import Params, Strategy
from strategies.messages import Alert

class Loud(Strategy[Params]):
    seen = 0
    def on_trade(self, trade):
        self.seen += 1
        return [Alert("x" * 40)] * 30

class Killed(Loud):
    def on_trade(self, trade):
        if self.seen == 200 and "LIVE" not in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().on_trade(trade)

class Waiting(Loud):
    def on_trade(self, trade):
        if self.seen == 150:
            Path("waiting").touch()
            while not Path("go").exists():
                time.sleep(0.01)
        return super().on_trade(trade)
"""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return small_market(tmp_path_factory.mktemp("home"))


@pytest.fixture
def place(market: Settings, tmp_path: Path) -> Settings:
    """The market with a journal of the test's own, and scenarios beside it."""
    (tmp_path / "process_strategies.py").write_text(STRATEGIES, encoding="utf-8")
    for name in ("Loud", "Killed", "Waiting"):
        text = SCENARIO.format(name=name)
        (tmp_path / f"{name.lower()}.toml").write_text(text, encoding="utf-8")
    return replace(market, journal_url=f"sqlite:///{tmp_path}/journal.sqlite")


def run(place: Settings, scenario: str, folder: Path, **env: str) -> tuple[int, str]:
    """Run a scenario as typed; return the exit code and the one sentence, if any."""
    done = onetape(place, "run", scenario, "--no-report", "--json", cwd=folder, env=env)
    assert "Traceback" not in done.stderr
    if done.returncode <= 0:
        return done.returncode, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["exit"] == done.returncode
    return done.returncode, str(said["error"])


def statuses(place: Settings) -> list[str]:
    done = onetape(place, "runs", "--json")
    return [each["status"] for each in json.loads(done.stdout.splitlines()[-1])["runs"]]


def test_a_killed_run_shows_as_crashed_is_verified_to_its_end_and_stops_nobody(
    place: Settings, tmp_path: Path
) -> None:
    assert run(place, "killed.toml", tmp_path)[0] == -signal.SIGKILL
    assert statuses(place) == ["crashed"]
    checked = onetape(place, "verify", "last", "--passes", "1", "--json", env={"LIVE": "1"})
    said = json.loads(checked.stdout.splitlines()[-1])
    assert (checked.returncode, said["equal"]) == (0, True), checked.stderr
    assert said["entries"] >= 4_096  # whole batches were committed
    assert run(place, "loud.toml", tmp_path)[0] == 0
    assert statuses(place) == ["crashed", "ended"]


def test_a_second_run_is_refused_with_the_first_ones_id_and_process(
    place: Settings, tmp_path: Path
) -> None:
    places = {"ONETAPE_HOME": str(place.home), "ONETAPE_JOURNAL": place.journal_url}
    first = subprocess.Popen(
        [sys.executable, "-m", "scenarios.cli", "run", "waiting.toml", "--no-report"],
        cwd=tmp_path,
        env=os.environ | places,
        stdout=subprocess.DEVNULL,
    )
    try:
        while first.poll() is None and not (tmp_path / "waiting").exists():
            time.sleep(0.02)
        code, text = run(place, "loud.toml", tmp_path)
        assert code == 2
        assert text.startswith("run mine-")
        assert f"(process {first.pid} on " in text
        assert "wait for its end, or set ONETAPE_JOURNAL" in text
        assert statuses(place) == ["running"]
        checked = onetape(place, "verify", "last")
        assert (checked.returncode, "is still running" in checked.stderr) == (2, True)
    finally:
        (tmp_path / "go").touch()
        assert first.wait(60) == 0
    assert statuses(place) == ["ended"]


def test_a_journal_that_fills_up_fails_the_run_and_keeps_a_whole_prefix(
    place: Settings, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "scenarios.cli", "run", "loud.toml", "--no-report", "--json"],
        cwd=tmp_path,
        env=os.environ | {"ONETAPE_HOME": str(place.home), "ONETAPE_JOURNAL": place.journal_url},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_500_000, 2_500_000)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("\n") == 1
    said = json.loads(done.stdout.splitlines()[-1])["error"]
    assert said.startswith("run mine-")
    assert f"failed: the journal {tmp_path}/journal.sqlite cannot be" in said
    assert statuses(place)[0] in {"failed", "crashed"}
    checked = onetape(place, "verify", "last", "--passes", "1")
    assert checked.returncode == 0, checked.stderr


def test_a_reader_that_leaves_early_is_no_error(place: Settings, tmp_path: Path) -> None:
    assert run(place, "loud.toml", tmp_path)[0] == 0
    places = {"ONETAPE_HOME": str(place.home), "ONETAPE_JOURNAL": place.journal_url}
    reader = subprocess.Popen(
        [sys.executable, "-m", "scenarios.cli", "journal", "last"],
        env=os.environ | places,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert reader.stdout is not None
    assert reader.stderr is not None
    assert reader.stdout.readline()
    reader.stdout.close()
    said = reader.stderr.read()
    reader.stderr.close()
    reader.wait(30)
    assert said == b""


JOURNALS = {
    "nonsense": "ONETAPE_JOURNAL is not a database URL",
    "mysql://u:hunter2@h/d": "names the database 'mysql', which cannot hold a journal",
    "sqlite://": "ONETAPE_JOURNAL names no file",
    "postgresql://u:hunter2@127.0.0.1:1/db": "the journal postgresql://127.0.0.1:1/db cannot be",
    "sqlite:///{folder}": "cannot be opened; check that its folder exists",
    "sqlite:///{folder}/noise.sqlite": "noise.sqlite is not a SQLite database",
    "sqlite:///{folder}/absent/j.sqlite": "cannot be opened",
}


@pytest.mark.parametrize("url", JOURNALS)
@pytest.mark.parametrize("command", ["run", "verify"])
def test_a_journal_that_cannot_be_used_is_said_and_nothing_is_made(
    place: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    url: str,
    command: str,
) -> None:
    (tmp_path / "noise.sqlite").write_bytes(bytes(range(256)) * 40)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONETAPE_HOME", str(place.home))
    monkeypatch.setenv("ONETAPE_JOURNAL", url.format(folder=tmp_path))
    before = sorted(p.name for p in tmp_path.iterdir())
    arguments = ["run", "loud.toml", "--no-report"] if command == "run" else ["verify", "last"]
    assert main([*arguments, "--json"]) == 2
    shown = capsys.readouterr()
    said = json.loads(shown.out.splitlines()[-1])["error"]
    assert shown.err == f"onetape: {said}\n"
    assert "hunter2" not in said
    if command == "run" or "absent" not in url:
        assert JOURNALS[url] in said
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "__pycache__") == [
        name for name in before if name != "__pycache__"
    ]


@pytest.mark.parametrize("home", ["a file", "/proc/none"])
def test_a_home_that_is_no_folder_is_said(
    place: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    home: str,
) -> None:
    (tmp_path / "a file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONETAPE_HOME", home)
    monkeypatch.delenv("ONETAPE_JOURNAL", raising=False)
    for command in (["run", "loud.toml"], ["demo"]):
        assert main([*command, "--json"]) in {1, 2}
        shown = capsys.readouterr()
        assert shown.err.count("\n") == 1, shown.err
        assert json.loads(shown.out.splitlines()[-1])["error"]


def test_a_damaged_tape_is_named_before_a_run_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = small_market(tmp_path)
    (tmp_path / "process_strategies.py").write_text(STRATEGIES, encoding="utf-8")
    (tmp_path / "loud.toml").write_text(SCENARIO.format(name="Loud"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ONETAPE_HOME", str(settings.home))
    monkeypatch.setenv("ONETAPE_JOURNAL", settings.journal_url)
    (path,) = (settings.catalog / "data" / "trades").glob("BTC*/*.parquet")
    path.write_bytes(path.read_bytes()[:2_000])
    assert main(["run", "loud.toml", "--no-report"]) == 2
    shown = capsys.readouterr()
    assert str(path) in shown.err
    assert "truncated or damaged" in shown.err
    assert shown.err.count("\n") == 1
    assert not (tmp_path / "journal.sqlite").exists()
