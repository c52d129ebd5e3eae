"""The strategy and the scenario that README shows work as they stand there."""

import re
from pathlib import Path

from small_market import run, scenario_of, small_market, verify

README = Path(__file__).resolve().parents[2] / "README.md"


def block(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    assert len(found) == 1
    return str(found[0])


def test_the_strategy_of_readme_trades_and_verifies(tmp_path: Path) -> None:
    settings = small_market(tmp_path / "home")
    (tmp_path / "dip_buyer.py").write_text(block("python"), encoding="utf-8")
    outcome = run(settings, scenario_of(tmp_path, block("toml")))
    assert outcome.result.fills > 2
    assert verify(settings).difference is None


def test_it_is_about_thirty_lines() -> None:
    lines = [line for line in block("python").splitlines() if line.strip()]
    assert len(lines) <= 32
