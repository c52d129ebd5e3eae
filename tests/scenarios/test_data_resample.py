"""`onetape data resample`: bars from the catalog's trades, whole candles only."""

import json
from pathlib import Path

import pytest

from scenarios.cli import main

MIDNIGHT_US = 1_735_689_600_000_000


def imported(folder: Path, first_s: int) -> None:
    path = folder / "BTCUSDT-trades-2025-01-01.csv"
    rows = (
        f"{i},{100 + i}.00,0.1,10,{MIDNIGHT_US + (first_s + 20 * i) * 1_000_000},True,True"
        for i in range(10)
    )
    path.write_text("\n".join(rows) + "\n")
    assert main(["data", "import", str(path)]) == 0


@pytest.mark.parametrize(("first_s", "bars", "first_close"), [(1, 3, 60), (75, 2, 180)])
def test_whole_candles_only(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first_s: int,
    bars: int,
    first_close: int,
) -> None:
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path / "home"))
    imported(tmp_path, first_s)
    capsys.readouterr()
    assert main(["data", "resample", "--json"]) == 0
    (stream,) = json.loads(capsys.readouterr().out)["streams"]
    assert stream["topic"] == "BTCUSDT.BINANCE_SPOT-1-MINUTE-LAST-EXTERNAL"
    assert (stream["rows"], stream["first_ns"]) == (
        bars,
        (MIDNIGHT_US + first_close * 1_000_000) * 1_000,
    )


def test_trades_that_are_not_there_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path / "home"))
    assert main(["data", "resample"]) != 0
    imported(tmp_path, 0)
    assert main(["data", "resample", "ABC.KRX"]) != 0
    assert "no trades of ABC.KRX" in capsys.readouterr().err
