"""Real files from import to replay: imported, checked and run, each by its command."""

import json
from pathlib import Path

import pytest

from scenarios.cli import main

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not here"),
]

SCENARIO = """
name = "real"
seed = 1
{window}

[venues.{venue}]
balances = ["{balance}"]
latency_ms = 5

[capital]
order_max = ["{balance}"]
symbol_max = ["{balance}"]

[[strategies]]
name = "cross"
class = "strategies.sma_crossover:SmaCrossover"
instruments = ["{instrument}"]
streams = ["{stream}"]
weight = 0.5
params = {{ fast = 1, slow = 2 }}
"""


@pytest.mark.parametrize(
    ("imported", "resampled", "venue", "balance", "instrument", "stream"),
    [
        (
            ["binance_ws/spot/btcusdt_20240808.gz"],
            True,
            "BINANCE_SPOT",
            "100_000 USDT",
            "BTCUSDT.BINANCE_SPOT",
            "1-MINUTE",
        ),
        (
            ["binance_ws/BINANCE_FUTURES.ws.1.0.gz", "binance_rest/BINANCE_FUTURES.http.0.0.gz"],
            False,
            "BINANCE",
            "1_000 USDT",
            "SUSHIUSDT-PERP.BINANCE",
            "trades",
        ),
        (
            ["binance_quality/*positive*trade*.gz"],
            True,
            "BINANCE_SPOT",
            "1_000 USDT",
            "TRXUSDT.BINANCE_SPOT",
            "1-MINUTE",
        ),
        (
            ["krx/daily/A005930.csv.gz"],
            False,
            "KRX",
            "100_000_000 KRW",
            "005930.KRX",
            "1-DAY",
        ),
    ],
    ids=["recording", "combined streams", "csv recording", "krx daily"],
)
def test_a_real_file_is_imported_checked_and_replayed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    imported: list[str],
    resampled: bool,
    venue: str,
    balance: str,
    instrument: str,
    stream: str,
) -> None:
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path / "home"))
    assert main(["data", "import", *(str(DATA / path) for path in imported)]) == 0
    if resampled:
        assert main(["data", "resample", instrument]) == 0
    assert main(["data", "check"]) == 0
    scenario = tmp_path / "real.toml"
    window = "start = 2022-01-03T00:00:00+09:00" if venue == "KRX" else ""
    scenario.write_text(
        SCENARIO.format(
            venue=venue, balance=balance, instrument=instrument, stream=stream, window=window
        )
    )
    capsys.readouterr()
    assert main(["run", str(scenario), "--json"]) == 0
    ran = json.loads(capsys.readouterr().out)
    assert ran["events"] > 0
    assert main(["verify", ran["run_id"]]) == 0


BOOKS = """
name = "books"
[venues.{venue}]
balances = ["{balance}"]
[[strategies]]
name = "weighs"
class = "strategies.book_imbalance:BookImbalance"
instruments = ["{instrument}"]
streams = ["book"]
weight = 0.5
params = {{ every_ms = 0, weight_pct = 110 }}
"""
WATCHED = """
name = "watched"
[[strategies]]
name = "cross"
class = "strategies.sma_crossover:SmaCrossover"
instruments = ["*.INDEX"]
streams = ["1-DAY"]
weight = 0.5
"""


@pytest.mark.parametrize(
    ("imported", "text"),
    [
        (
            ["binance_rest"],
            BOOKS.format(venue="BINANCE", balance="9_000 USDT", instrument="*.BINANCE"),
        ),
        (
            ["binance_ws"],
            BOOKS.format(
                venue="BINANCE_SPOT", balance="9_000 USDT", instrument="BTCUSDT.BINANCE_SPOT"
            ),
        ),
        (["bars/sp500.csv.gz", "bars/vix.csv.gz"], WATCHED),
    ],
    ids=["depth answers alone", "depth stream", "indices"],
)
def test_books_and_indices_of_real_files_are_replayed_and_verified(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    imported: list[str],
    text: str,
) -> None:
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path / "home"))
    assert main(["data", "import", *(str(DATA / path) for path in imported)]) == 0
    scenario = tmp_path / "real.toml"
    scenario.write_text(text)
    capsys.readouterr()
    assert main(["run", str(scenario), "--json"]) == 0
    ran = json.loads(capsys.readouterr().out)
    assert ran["decisions"] > 0
    assert (ran["fills"] > 0) == ("book" in text)
    assert main(["verify", ran["run_id"]]) == 0
