"""Strategies of the user's own that fail, each where it can: when is said, and by whose name."""

import itertools
import json
from pathlib import Path

import pytest
from small_market import small_market

from catalog.journal import open_journal
from scenarios.cli import main
from scenarios.settings import Settings

NUMBERS = itertools.count(1)
SCENARIO = """
name = "mine"
[venues.BINANCE]
balances = ["100_000 USDT"]
[[strategies]]
name = "own"
class = "{module}:Own"
instruments = ["*.BINANCE"]
streams = ["1-MINUTE"]
weight = 1
"""
OWN = """
from dataclasses import dataclass
from nautilus_trader.model import OrderSide
from strategies.decider import ParamError, Params, Strategy
from strategies.messages import Alert, Cancel, Enter, Exit, Wake

class Own(Strategy[Params]):
    def on_bar(self, bar):
        return None
"""


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return small_market(tmp_path_factory.mktemp("home"))


class Typed:
    """Writes a module and its scenario, runs it as typed, and looks at what came of it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._folder = folder
        self._capsys = capsys
        self.text = ""

    def run(self, module_text: str) -> int:
        module = f"own_{next(NUMBERS)}"
        (self._folder / f"{module}.py").write_text(module_text, encoding="utf-8")
        scenario = SCENARIO.format(module=module)
        (self._folder / "mine.toml").write_text(scenario, encoding="utf-8")
        code = main(["run", "mine.toml", "--no-report", "--json"])
        shown = self._capsys.readouterr()
        said = json.loads(shown.out.splitlines()[-1])
        self.text = str(said.get("error", ""))
        if code:
            assert "Traceback" not in shown.err
            assert shown.err.count("\n") == 1, shown.err
        return code

    def statuses(self) -> list[tuple[str, str | None]]:
        with open_journal(f"sqlite:///{self._folder}/journal.sqlite", self._folder) as journal:
            return [(run.status, run.error) for run in journal.runs()]


@pytest.fixture
def typed(
    market: Settings,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> Typed:
    monkeypatch.setenv("ONETAPE_HOME", str(market.home))
    monkeypatch.setenv("ONETAPE_JOURNAL", f"sqlite:///{tmp_path}/journal.sqlite")
    monkeypatch.chdir(tmp_path)
    return Typed(tmp_path, capsys)


def _method(text: str) -> str:
    return OWN + "".join(f"    {line}\n" for line in text.strip().splitlines())


BEFORE = {
    "import": ("x = 1\nraise RuntimeError('at import')\n", "RuntimeError: at import (own_"),
    "syntax": ("class Own(:\n", "SyntaxError"),
    "exit": ("raise SystemExit(0)\n", "SystemExit: 0 (own_"),
    "missing package": ("import absent_package\n", "No module named 'absent_package'"),
    "no class": ("x = 1\n", "there is no Strategy of that name"),
    "no strategy": ("class Own:\n    pass\n", "there is no Strategy of that name"),
    "deaf": (OWN.replace("on_bar", "on_trade"), "handles none of its streams"),
    "init": (
        _method("def __init__(self, setup):\n    super().__init__(setup)\n    self.gone[1]"),
        "strategy own raised AttributeError: 'Own' object has no attribute 'gone' (own_",
    ),
    "init exits": (_method("def __init__(self, setup):\n    raise SystemExit(0)"), "SystemExit: 0"),
    "signature": (_method("def __init__(self):\n    pass"), "strategy own raised TypeError"),
    "check refuses": (
        OWN
        + "\n@dataclass(frozen=True, kw_only=True)\nclass Mine(Params):\n"
        + "    def check(self, instruments):\n        raise ParamError('too few')\n"
        + "Own.params_type = Mine\n",
        "strategy own: too few.",
    ),
    "check breaks": (
        OWN
        + "\n@dataclass(frozen=True, kw_only=True)\nclass Mine(Params):\n"
        + "    def check(self, instruments):\n        return 1 / 0\n"
        + "Own.params_type = Mine\n",
        "strategy own raised ZeroDivisionError: division by zero (own_",
    ),
    "params are no dataclass": (OWN + "\nOwn.params_type = int\n", "strategy own"),
    "a parameter without a value": (
        OWN
        + "\n@dataclass(frozen=True, kw_only=True)\nclass Mine(Params):\n    fast: int\n"
        + "Own.params_type = Mine\n",
        "missing required field `fast`",
    ),
}


@pytest.mark.parametrize("case", BEFORE)
def test_what_fails_before_the_run_begins_is_bad_input(typed: Typed, case: str) -> None:
    module, words = BEFORE[case]
    assert typed.run(module) == 2
    assert words in typed.text
    assert "mine.toml" in typed.text
    assert typed.statuses() == []


WITHIN = {
    "on_start": (
        "def on_start(self, ts_ns):\n    raise KeyError('s')",
        "strategy own raised KeyError: 's'",
    ),
    "on_bar": ("def on_bar(self, bar):\n    1 / 0", "raised ZeroDivisionError: division by zero"),
    "on_timer": (
        "def on_start(self, ts_ns):\n    return [Wake('w', ts_ns + 1, 'r')]\n"
        "def on_timer(self, timer):\n    raise ValueError('rang')",
        "raised ValueError: rang",
    ),
    "on_refusal": (
        "def on_bar(self, bar):\n    return [Exit(bar.bar_type.instrument_id, 'nothing held')]\n"
        "def on_refusal(self, refusal):\n    raise ValueError('no')",
        "raised ValueError: no",
    ),
    "on_order": (
        "def on_bar(self, bar):\n"
        "    half = type(bar.close).from_raw(bar.close.raw // 2, bar.close.precision)\n"
        "    return [Enter(bar.bar_type.instrument_id, OrderSide.BUY, 'r', None, half)]\n"
        "def on_order(self, update):\n    raise ValueError('order')",
        "raised ValueError: order",
    ),
    "on_fill": (
        "def on_bar(self, bar):\n"
        "    return [Enter(bar.bar_type.instrument_id, OrderSide.BUY, 'r')]\n"
        "def on_fill(self, fill):\n    raise ValueError('fill')",
        "raised ValueError: fill",
    ),
    "half a character": (
        "def on_bar(self, bar):\n    return [Alert('half \\ud800')]",
        "holds half a character",
    ),
    "sys.exit": ("def on_bar(self, bar):\n    raise SystemExit(0)", "raised SystemExit: 0"),
    "one intent": ("def on_bar(self, bar):\n    return Alert('x')", "return a list of intents"),
    "lines": (
        "def on_bar(self, bar):\n    raise ValueError('a\\nb \\udfff')",
        "raised ValueError: a b \\udfff (own_",
    ),
}


@pytest.mark.parametrize("case", WITHIN)
def test_what_fails_within_the_run_fails_the_run(typed: Typed, case: str) -> None:
    body, words = WITHIN[case]
    assert typed.run(_method(body)) == 1
    assert words in typed.text
    assert "strategy own" in typed.text
    assert typed.text.startswith("run mine-")
    assert "defect of onetape" not in typed.text
    ((status, error),) = typed.statuses()
    assert status == "failed"
    assert error is not None
    assert words in error
    assert main(["verify", "last", "--passes", "1"]) == 0


def test_a_cancelled_order_can_be_read_back(typed: Typed) -> None:
    body = (
        "seen = 0\n"
        "def on_bar(self, bar):\n"
        "    self.seen += 1\n"
        "    i = bar.bar_type.instrument_id\n"
        "    low = self.instruments[i].ticks.floor_raw(bar.close.raw // 2)\n"
        "    price = type(bar.close).from_raw(low, bar.close.precision)\n"
        "    if self.seen == 2:\n"
        "        return [Enter(i, OrderSide.BUY, 'far away', None, price)]\n"
        "    if self.seen == 4:\n"
        "        return [Cancel(i, 'c'), Cancel(i, 'twice')]\n"
    )
    assert typed.run(_method(body)) == 0, typed.text
    assert main(["journal", "last"]) == 0
    assert main(["verify", "last", "--passes", "1"]) == 0


def test_alarms_of_two_owners_never_replace_each_other(
    typed: Typed, tmp_path: Path, market: Settings
) -> None:
    body = """
def on_start(self, ts_ns):
    mine = "b-c" if self.name == "a" else "c"
    soon = ts_ns + 10**9
    return [Wake(mine, soon, "r"), Wake("삼성 é", soon, "r"), Wake("past", 0, "r")]
def on_timer(self, timer):
    return [Alert(f"{self.name} {timer.name}")]
"""
    (tmp_path / "alarms.py").write_text(_method(body), encoding="utf-8")
    one = SCENARIO.format(module="alarms").replace("weight = 1", "weight = 0.5")
    table = one[one.index("[[strategies]]") :]
    two = one.replace('"own"', '"a"') + table.replace('"own"', '"a-b"')
    (tmp_path / "alarms.toml").write_text(two, encoding="utf-8")
    assert main(["run", "alarms.toml", "--no-report"]) == 0
    with open_journal(f"sqlite:///{tmp_path}/journal.sqlite", tmp_path) as journal:
        entries = journal.entries(journal.find("last"))
        rang = {(e.source, getattr(e.message, "name", "")) for e in entries if e.kind == "timer"}
    assert rang == {
        ("a", "b-c"),
        ("a-b", "c"),
        ("a", "past"),
        ("a-b", "past"),
        ("a", "삼성 é"),
        ("a-b", "삼성 é"),
    }
