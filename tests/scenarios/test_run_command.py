"""`onetape run` as people and machines see it, and a digest that nothing around it can change."""

import json
import re
from pathlib import Path

import pytest
from small_market import onetape, scenario_of, small_market

from scenarios.cli import COMMANDS, build_parser
from scenarios.commands.run import money_text
from scenarios.settings import Settings


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("home")
    settings = small_market(home)
    scenario_of(home)
    return settings


def test_the_table_fits_eighty_columns_and_nothing_is_cut(market: Settings) -> None:
    done = onetape(market, "run", "scenario.toml", "--no-report", env={"COLUMNS": "80"})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert max(len(line) for line in done.stdout.splitlines()) <= 80
    assert "…" not in done.stdout
    assert re.search(r"^digest: [0-9a-f]{64}$", done.stdout, re.MULTILINE)
    gains = re.findall(r"result after costs │ (\S+ \S+)", done.stdout)
    assert [gain.split()[1] for gain in gains] == ["KRW", "USDT"]
    assert all(re.fullmatch(r"[+-][\d,]+(\.\d{8})? (KRW|USDT)", gain) for gain in gains)
    assert re.search(r"^next: onetape verify competition-\S+$", done.stdout, re.MULTILINE)


def test_json_is_the_last_line_and_people_read_standard_error(market: Settings) -> None:
    done = onetape(market, "run", "scenario.toml", "--no-report", "--json")
    assert done.stdout.count("\n") == 1
    said = json.loads(done.stdout)
    assert said["status"] == "ended"
    assert set(said["pnl"]) == {"KRW", "USDT"}
    assert all(re.fullmatch(r"-?\d+(\.\d+)?", amount) for amount in said["pnl"].values())
    assert said["digest"] in done.stderr
    # No progress bar where nobody looks.
    assert "\x1b" not in done.stderr
    assert "\r" not in done.stderr


def test_the_digest_does_not_depend_on_zone_locale_folder_or_file_name(
    market: Settings, tmp_path: Path
) -> None:
    other = tmp_path / "다른 곳"
    other.mkdir()
    text = (market.home / "scenario.toml").read_text(encoding="utf-8")
    (other / "renamed.toml").write_text("# the same\n" + text, encoding="utf-8")
    digests = set()
    for env, cwd, name in (
        ({"TZ": "Asia/Seoul", "LC_ALL": "C"}, market.home, "scenario.toml"),
        ({"PYTHONIOENCODING": "ascii", "TZ": "America/St_Johns"}, other, "renamed.toml"),
        ({"PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "7"}, tmp_path, "다른 곳/renamed.toml"),
    ):
        done = onetape(market, "run", name, "--no-report", "--json", env=env, cwd=cwd)
        assert done.returncode == 0, done.stderr
        digests.add(json.loads(done.stdout.splitlines()[-1])["digest"])
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("amount", "code", "text"),
    [
        ("0.00000000", "USDT", "+0.00000000 USDT"),
        ("-1234567.5", "USDT", "-1,234,567.50000000 USDT"),
        ("-739345", "KRW", "-739,345 KRW"),
        ("1e3", "USD", "+1,000.00 USD"),
    ],
)
def test_money_has_its_sign_separators_and_digits(amount: str, code: str, text: str) -> None:
    assert money_text(amount, code) == text


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_fits_and_shows_an_example(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as left:
        build_parser().parse_args([*([command] if command else []), "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    prose, _, examples = text.partition("example")
    assert examples
    assert max(len(line) for line in prose.splitlines()) <= 80


def test_an_interrupt_ends_the_run_as_failed_and_says_so(market: Settings, tmp_path: Path) -> None:
    (tmp_path / "stopper.py").write_text(
        "import os, signal\n"
        # A shell that starts tests in the background lets them ignore Ctrl-C from birth.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from strategies.decider import Params, Strategy\n"
        "class Stopper(Strategy[Params]):\n"
        "    def on_trade(self, trade):\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
    )
    text = (market.home / "scenario.toml").read_text(encoding="utf-8")
    changed = text.replace("strategies.sma_crossover:SmaCrossover", "stopper:Stopper")
    bare = re.sub(r'source = "trades"\nfast = 5\nslow = 20\n', "", changed)
    (tmp_path / "stop.toml").write_text(bare, encoding="utf-8")
    journal = {"ONETAPE_JOURNAL": f"sqlite:///{tmp_path}/j.sqlite"}
    done = onetape(market, "run", str(tmp_path / "stop.toml"), env=journal, cwd=tmp_path)
    assert done.returncode == 130
    assert done.stderr == "onetape: stopped by the user.\n"
    listed = onetape(market, "runs", "--json", env=journal)
    assert [run["status"] for run in json.loads(listed.stdout.splitlines()[-1])["runs"]] == [
        "failed"
    ]
