"""`onetape data pull binance` as it is typed, against a host on loopback."""

import io
import json
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from catalog.store import Store
from scenarios.cli import main

sys.path.append(str(Path(__file__).resolve().parents[1] / "adapters"))
from dump_server import Fault, Host, serving

OPEN_MS = 1_735_689_600_000  # 2025-01-01
DAY_MS = 86_400_000


def packed(*rows: str) -> bytes:
    """Pack lines as Binance does."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("rows.csv", "\n".join(rows) + "\n")
    return archive.getvalue()


def klines(days: int, first_ms: int = OPEN_MS) -> bytes:
    """Pack hourly klines as Binance does: no header, times in microseconds since 2025."""
    rows = []
    for number in range(24 * days):
        at = first_ms + number * 3_600_000
        times = at * 1_000, (at + 3_600_000) * 1_000 - 1
        rows.append(f"{times[0]},100.0,101.0,99.0,100.5,{number + 1}.0,{times[1]},1,1,1,1,0")
    return packed(*rows)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path / "home"))
    with serving() as served:
        monkeypatch.setenv("ONETAPE_BINANCE_DATA_URL", served.url)
        yield served


def pull(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> dict[str, Any]:
    assert main(["data", "pull", "binance", *args, "--json"]) == code
    values: dict[str, Any] = json.loads(capsys.readouterr().out)
    return values


def daily(day: str, market: str = "spot") -> str:
    return f"data/{market}/daily/klines/BTCUSDT/1h/BTCUSDT-1h-{day}.zip"


ASK = ("BTCUSDT", "--interval", "1h", "--from", "2025-01-01", "--to", "2025-01-03")


def test_days_are_downloaded_and_imported_once(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host.put(daily("2025-01-01"), klines(1))
    host.put(daily("2025-01-02"), klines(1, OPEN_MS + DAY_MS))
    host.faults[daily("2025-01-02")] = [Fault(cut=40)]
    values = pull(capsys, *ASK)
    assert (values["downloaded"], values["rows_added"]) == (2, 48)
    assert values["missing"] == ["BTCUSDT-1h-2025-01-03.zip"]
    info = Store(tmp_path / "home" / "catalog").streams()[0]
    assert info.topic == "BTCUSDT.BINANCE_SPOT-1-HOUR-LAST-EXTERNAL"
    assert info.first_ns == (OPEN_MS + 3_600_000) * 1_000_000
    again = pull(capsys, *ASK)
    assert (again["downloaded"], again["bytes"], again["rows_added"]) == (0, 0, 0)
    assert again["rows"] == 48


def test_usdm_is_another_instrument(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host.put(daily("2025-01-01", "futures/um"), klines(1))
    pull(capsys, "btcusdt", "--market", "usdm", "--interval", "1h", "--from", "2025-01-01")
    info = Store(tmp_path / "home" / "catalog").streams()[0]
    assert info.topic == "BTCUSDT-PERP.BINANCE-1-HOUR-LAST-EXTERNAL"


@pytest.mark.parametrize(
    ("kind", "when", "row"),
    [
        ("trades", "2025-01-01", f"1,100.1,0.5,50.05,{OPEN_MS},true"),
        ("aggTrades", "2025-01-01", f"7,100.1,0.5,1,2,{OPEN_MS},false"),
        ("bookTicker", "2025-01-01", f"9,100.1,0.5,100.2,0.7,{OPEN_MS},{OPEN_MS}"),
        ("fundingRate", "2025-01", f"{OPEN_MS},8,0.00010000"),
    ],
)
def test_every_kind_is_pulled(
    host: Host, capsys: pytest.CaptureFixture[str], kind: str, when: str, row: str
) -> None:
    span = "monthly" if kind == "fundingRate" else "daily"
    path = f"data/futures/um/{span}/{kind}/BTCUSDT/BTCUSDT-{kind}-{when}.zip"
    host.put(path, packed(row))
    options = ("--market", "usdm", "--kind", kind, "--from", "2025-01-01")
    values = pull(capsys, "BTCUSDT", *options)
    assert (values["downloaded"], values["rows_added"]) == (1, 1)


def test_people_read_what_was_missing(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    host.put(daily("2025-01-01"), klines(1))
    assert main(["data", "pull", "binance", *ASK]) == 0
    out = capsys.readouterr().out
    assert "1 file downloaded" in out
    assert "Binance does not have BTCUSDT-1h-2025-01-02.zip, BTCUSDT-1h-2025-01-03.zip." in out
    assert "24 rows added" in out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (ASK, "Binance has no klines of BTCUSDT in spot"),
        ((*ASK, "--kind", "fundingRate"), "add --market usdm"),
        ((*ASK, "--at-once", "0"), "--at-once 0 is out of range"),
        ((*ASK, "--interval", "1y"), "'1y' is no interval"),
    ],
)
def test_what_is_not_there_is_bad_input(
    host: Host, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], said: str
) -> None:
    assert said in pull(capsys, *options, code=2)["error"]


def test_a_failing_host_is_exit_1(
    host: Host, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = daily("2025-01-01")
    host.put(path, klines(1))
    host.faults[path] = [Fault(body=b"x"), Fault(body=b"y")]
    values = pull(capsys, *ASK[:-2], code=1)
    assert "published SHA-256" in values["error"]
    assert not (tmp_path / "home" / "catalog" / "data").exists()


@pytest.mark.parametrize("source", [[], ["binance"]])
def test_help_shows_an_example(source: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["data", "pull", *source, "--help"])
    assert stop.value.code == 0
    assert "onetape data pull binance" in capsys.readouterr().out.split("example")[1]
