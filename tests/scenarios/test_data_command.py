"""`onetape data` as it is typed: what it prints, its JSON and its exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from catalog.store import Store
from scenarios.cli import main

CSV = (
    "timestamp,open,high,low,close,volume\n"
    "2024-01-01 00:00:00,1,2,1,1.5,10\n"
    "2024-01-01 00:01:00,1.5,2,1,1.2,11\n"
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path / "home"


def as_json(capsys: pytest.CaptureFixture[str], *args: str, code: int = 0) -> dict[str, Any]:
    assert main(["data", *args, "--json"]) == code
    values: dict[str, Any] = json.loads(capsys.readouterr().out)
    return values


def table(folder: Path) -> Path:
    path = folder / "BTC_USDT-1m.csv"
    path.write_text(CSV)
    return path


def test_import_says_what_it_did(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "import", str(table(tmp_path))]) == 0
    out = capsys.readouterr().out
    assert "interval 1m inferred" in out
    assert "BTCUSDT.BINANCE_SPOT bars 1-MINUTE" in out
    assert "2024-01-01 00:01:00 .. 00:02:00 UTC" in out
    assert "2 rows added" in out
    assert (home / "catalog" / "data" / "bars").is_dir()


def test_import_twice_is_there_already(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(table(tmp_path))
    first = as_json(capsys, "import", path)
    again = as_json(capsys, "import", path)
    assert (first["rows"], first["rows_added"]) == (2, 2)
    assert (again["rows"], again["rows_added"]) == (2, 0)
    assert [stream["sha256"] for stream in first["streams"]] == [
        stream["sha256"] for stream in again["streams"]
    ]


def test_options_reach_the_importer(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        *("--instrument", "ETHUSDT-PERP.BINANCE", "--interval", "1m", "--stamp", "close"),
        *("--timezone", "Asia/Seoul", "--kind", "bars"),
    ]
    values = as_json(capsys, "import", str(table(tmp_path)), *options)
    assert values["streams"][0]["topic"] == "ETHUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
    assert values["streams"][0]["first_ns"] == 1_704_034_800_000_000_000


def test_bad_input_is_one_sentence_and_exit_2(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "A005930.csv"
    path.write_text("a,b\n1,2\n")
    values = as_json(capsys, "import", str(path), code=2)
    assert str(path) in values["error"]
    assert values["exit"] == 2
    assert not (home / "catalog" / "data").exists()


def test_list_names_streams_and_their_origin(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "list"]) == 0
    assert "is empty: fill it with onetape data generate demo" in capsys.readouterr().out
    as_json(capsys, "import", str(table(tmp_path)))
    values = as_json(capsys, "list")
    assert values["rows"] == 2
    assert values["streams"][0]["origins"] == ["BTC_USDT-1m.csv"]
    assert main(["data", "list"]) == 0
    assert "BTC_USDT-1m.csv" in capsys.readouterr().out


def test_generate_skips_holidays(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--symbols", "1", "--days", "2", "--start", "2026-05-01", "--seed", "5"]
    values = as_json(capsys, "generate", "krx", *options)
    days = {stream["first_ns"] // 86_400_000_000_000 for stream in values["streams"]}
    # 1 May is Labour Day, 2 and 3 May a weekend, 5 May Children's Day: 4 and 6 May are left.
    assert days == {20_577, 20_579}
    assert Store(home / "catalog").streams()


def test_generate_crypto(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = as_json(capsys, "generate", "crypto", "--symbols", "1", "--days", "1")
    assert {stream["topic"].split("-1-")[0] for stream in values["streams"]} == {
        "BTCUSDT-PERP.BINANCE"
    }


@pytest.mark.parametrize(
    "options",
    [
        ["krx", "--symbols", "0"],
        ["crypto", "--symbols", "99"],
        ["crypto", "--days", "0"],
        ["demo", "--days", "3"],
        ["krx", "--start", "2050-12-30"],
    ],
)
def test_impossible_markets_are_refused(
    home: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    assert as_json(capsys, "generate", *options, code=2)["exit"] == 2
    assert Store(home / "catalog").streams() == []


@pytest.mark.parametrize("action", [[], ["import"], ["generate"], ["list"]])
def test_help_shows_an_example(action: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["data", *action, "--help"])
    assert stop.value.code == 0
    assert "onetape data" in capsys.readouterr().out.split("example")[1]


def test_list_counts_the_days_without_a_row(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "BTC_USDT-1d.csv"
    days = "".join(f"2024-01-0{day},1,2,1,2,5\n" for day in (1, 2, 3, 6))
    path.write_text("date,open,high,low,close,volume\n" + days)
    assert main(["data", "import", str(path)]) == 0
    capsys.readouterr()
    (stream,) = as_json(capsys, "list")["streams"]
    assert (stream["rows"], stream["missing_days"]) == (4, 2)
    assert main(["data", "list"]) == 0
    assert "2 d" in capsys.readouterr().out


def test_check_ends_with_1_where_an_error_is_found(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = tmp_path / "BTC_USDT-1d.csv", tmp_path / "ETH_USDT-1d.csv"
    head = "date,open,high,low,close,volume\n"
    good.write_text(head + "2024-01-01,1,2,1,2,5\n2024-01-02,1,2,1,2,5\n")
    bad.write_text(head + "2024-01-01,1,2,1,2,5\n2024-01-02,1,2,-1,2,5\n")
    assert main(["data", "check", str(good)]) == 0
    assert main(["data", "check", str(good), str(bad)]) == 1
    shown = capsys.readouterr().out
    assert "ETH_USDT-1d.csv, line 3 at 2024-01-02" in shown
    assert "2 files checked: 1 error," in shown
    assert main(["data", "import", str(good)]) == 0
    assert main(["data", "check"]) == 0
    assert "1 stream checked: 0 errors" in capsys.readouterr().out


def test_a_folder_is_named_by_pattern_and_says_what_it_leaves_out(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mixed"
    folder.mkdir()
    for name in ("a-perp.csv", "b-perp.csv"):
        (folder / name).write_text(CSV)
    (folder / "factors.csv").write_text("Date,Mkt-RF,SMB\n202401,1.5,-2\n")
    names = ("--instrument", "a-*=BTCUSDT-PERP.BINANCE", "--instrument", "b-*=ETHUSDT-PERP.BINANCE")
    values = as_json(capsys, "import", str(folder), *names)
    assert [stream["topic"].split("-1-")[0] for stream in values["streams"]] == [
        "BTCUSDT-PERP.BINANCE",
        "ETHUSDT-PERP.BINANCE",
    ]
    assert {Path(each["path"]).name: each["kind"] for each in values["files"]} == {
        "a-perp.csv": "bars",
        "b-perp.csv": "bars",
        "factors.csv": "left out",
    }
    assert as_json(capsys, "check")["errors"] == 0
    assert main(["data", "import", str(folder), *names]) == 0
    shown = capsys.readouterr().out
    assert "factors.csv: left out: holds factor returns (Mkt-RF, SMB), no prices" in shown
