"""The ``[report]`` table: checked while it is read, no part of a scenario that has none."""

import json
from pathlib import Path

import pytest
from small_market import COMPETITION, scenario_of

from strategies.errors import BadInput

REPORT = """[report]
currency = "KRW"
benchmark = "KOSPI200.KRX"
trials = 40
[report.rates]
USDT = 1400
"""


def test_a_scenario_without_it_is_as_before(tmp_path: Path) -> None:
    assert "report" not in json.loads(scenario_of(tmp_path).canonical)


def test_it_is_kept_with_the_run(tmp_path: Path) -> None:
    table = scenario_of(tmp_path, COMPETITION + REPORT).table.report
    assert table is not None
    assert (table.currency, table.benchmark, table.trials) == ("KRW", "KOSPI200.KRX", 40)
    assert table.rates["USDT"] == 1400


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (REPORT.replace("1400", "0"), "above 0"),
        (REPORT.replace('currency = "KRW"', ""), "currency"),
        (REPORT.replace("trials = 40", "trials = 0"), "at least 1"),
        (REPORT.replace("benchmark", "bench"), "report.bench"),
    ],
)
def test_what_cannot_be_shown_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        scenario_of(tmp_path, COMPETITION + text)
