"""`onetape data generate` as it is typed: like a table, with depth, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import pytest

from catalog.store import Store
from scenarios.cli import main

TABLE = """종목코드,시가,고가,저가,종가,거래량
005930,70000,71000,69000,70500,100000
000660,0,0,0,5000,0
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def as_json(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> dict[str, Any]:
    assert main(["data", "generate", *args, "--json"]) == code
    values: dict[str, Any] = json.loads(capsys.readouterr().out)
    return values


def listing(folder: Path, day: str) -> str:
    path = folder / f"listing_{day}.csv"
    path.write_text(TABLE, "utf-8")
    return str(path)


def test_like_a_table_with_depth(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = listing(tmp_path, "2026-03-09")
    options = ("krx", "--like", path, "--trades", "30", "--depth")
    values = as_json(capsys, *options)
    kinds = {stream["kind"] for stream in values["streams"]}
    assert kinds == {"trades", "quotes", "bars", "deltas"}
    assert {str(info.instrument_id) for info in Store(home / "catalog").streams()} == {"005930.KRX"}
    again = as_json(capsys, *options)
    assert (again["rows"], again["rows_added"]) == (values["rows"], 0)
    assert main(["data", "generate", *options]) == 0
    assert "1 row has no volume" in capsys.readouterr().out


def test_a_day_without_trading_is_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = as_json(capsys, "krx", "--like", listing(tmp_path, "2026-03-08"), code=2)
    assert "KRX does not trade on 2026-03-08" in values["error"]


def test_trades_set_the_activity(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = as_json(
        capsys, "crypto", "--symbols", "1", "--days", "1", "--trades", "100", "--seed", "4"
    )
    trades = sum(stream["rows"] for stream in values["streams"] if stream["kind"] == "trades")
    assert 70 <= trades <= 200


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("demo", "--depth"), "the demo's market is fixed"),
        (("demo", "--trades", "5"), "the demo's market is fixed"),
        (("crypto", "--like", "x.csv"), "--like gives the shares"),
        (("krx", "--like", "x.csv", "--symbols", "3"), "--like gives the shares"),
        (("krx", "--like", "x.csv"), "x.csv cannot be read"),
        (("krx", "--trades", "0"), "--trades 0 is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(
    home: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert said in as_json(capsys, *options, code=2)["error"]
