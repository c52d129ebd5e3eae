"""`onetape runs` and `onetape journal`: what they print, and what they refuse."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from catalog.journal import JournalCorrupt, open_journal
from scenarios.commands import journal as journal_command
from scenarios.commands import runs as runs_command
from scenarios.screen import Screen
from strategies.errors import BadInput
from tests.catalog.sample_run import manifest, sample_entries, write

type Command = Callable[..., dict[str, Any]]


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path))
    monkeypatch.delenv("ONETAPE_JOURNAL", raising=False)
    monkeypatch.setenv("COLUMNS", "200")
    return f"sqlite:///{tmp_path / 'journal.sqlite'}"


@pytest.fixture
def two_runs(url: str, tmp_path: Path) -> str:
    with open_journal(url, tmp_path) as store:
        with store.begin(manifest("day-1")) as journal:
            write(journal, sample_entries())
            counts = {"decisions": 5, "orders": 3, "fills": 3}
            journal.end("ended", {**counts, "pnl": {"KRW": "458", "USDT": "0.00"}})
        with store.begin(manifest("empty-2")) as journal:
            journal.end("failed", {}, "the strategy raised.")
    return url


def call(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--json", action="store_true")
    commands = parser.add_subparsers()
    for command in (runs_command, journal_command):
        command.register(commands, shared)
    args = parser.parse_args(argv)
    return int(args.run(args, Screen(as_json=args.json)))


def test_no_run_yet(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs") == 0
    assert "No run yet in" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BadInput, match="holds no run yet"):
        call("journal", "last")


def test_runs_are_listed(two_runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs") == 0
    out = capsys.readouterr().out
    row = next(line for line in out.splitlines() if "day-1" in line)
    cells = [cell.strip() for cell in row.strip("│").split("│")]
    assert cells == ["day-1", "ended", "3", "3", "+458 KRW"]
    assert "+0.00000000 USDT" in out  # as `onetape run` prints it
    assert "failed" in out


def test_runs_for_machines(two_runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("runs", "--json") == 0
    out = capsys.readouterr().out.splitlines()
    runs = json.loads(out[-1])["runs"]
    assert [(run["run_id"], run["status"]) for run in runs] == [
        ("day-1", "ended"),
        ("empty-2", "failed"),
    ]
    assert runs[0]["summary"]["pnl"]["KRW"] == "458"
    assert len(runs[0]["digest"]) == 64


def test_why_in_plain_words(two_runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("journal", "day-1", "--why", "#1") == 0
    assert capsys.readouterr().out.splitlines() == [
        "at 2025-12-01 09:03:12.5 KST trade 005930.KRX 70,100 x 5",
        "  -> sma-fast wanted to enter BUY 005930.KRX because SMA 5 crossed above SMA 20",
        "  -> capital granted BUY 12 @ market, reserved 842,526 KRW",
        "  -> sent order OTaa01: BUY 12 005930.KRX @ market",
        "  -> order OTaa01 accepted",
        "  -> at 09:03:12.52 KST order OTaa01 filled BUY 5 005930.KRX @ 70,200, commission 63 KRW",
        "  -> position in 005930.KRX is now LONG 5, realised -63 KRW",
        "  -> order OTaa01 filled BUY 7 005930.KRX @ 70,200, commission 63 KRW",
        "  -> position in 005930.KRX is now LONG 12, realised -63 KRW",
    ]


def test_why_names_the_refusal_and_utc(two_runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("journal", "day-1", "--why", "OTbb") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "at 2025-12-01 00:06:40 UTC quote BTCUSDT-PERP.BINANCE bid 91,000.10 x 1.000, "
        "ask 91,000.20 x 2.000"
    )
    assert lines[2] == (
        "  -> capital refused gap in BTCUSDT-PERP.BINANCE (cash): asked 9000.00 USDT, "
        "allowed 1000.00 USDT"
    )
    assert lines[-1] == "  -> order OTbb03 canceled"


def test_why_for_machines(two_runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("journal", "day-1", "--why", "OTaa02", "--json") == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["order_id"], result["state"]) == ("OTaa02", "filled")
    assert [step["kind"] for step in result["why"]] == [
        *("market", "intent", "grant", "command", "fill", "position"),
    ]
    assert result["why"][0]["text"] == (
        "bar 005930.KRX-1-MINUTE-LAST-EXTERNAL closed at 70,400, volume 900"
    )
    assert result["why"][4]["message"]["price"] == "70400"


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ((), 26),
        (("--kind", "fill"), 3),
        (("--kind", "fill", "--kind", "grant"), 6),
        (("--kind", "intent", "--source", "gap"), 3),
        (("--source", "nobody"), 0),
        (("--limit", "4"), 4),
        (("--limit", "0"), 26),
    ],
)
def test_entries_are_filtered(
    options: tuple[str, ...], count: int, two_runs: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("journal", "day", *options, "--json") == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["entries"]) == count
    more = "... and more: --limit 0 shows all" in captured.err
    assert more == (options == ("--limit", "4"))


def test_an_entry_shows_its_venues_time(two_runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    call("journal", "day-1", "--kind", "market")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("2025-12-01 09:05:00 KST  market   bar 005930.KRX-1-MINUTE")
    assert lines[2].startswith("2025-12-01 00:06:40 UTC  market   quote BTCUSDT-PERP")


def test_a_run_without_entries_is_said(two_runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("journal", "last") == 0
    assert capsys.readouterr().out == "Run empty-2 has no entries.\n"


def test_the_chain_is_checked(two_runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("journal", "day-1", "--check", "--limit", "1") == 0
    assert "The chain of 26 entries is whole" in capsys.readouterr().out
    engine = create_engine(two_runs)
    with engine.begin() as connection:
        connection.execute(text("UPDATE entries SET source = 'smb-fast' WHERE kind = 'intent'"))
    engine.dispose()
    with pytest.raises(JournalCorrupt, match=r"the chain breaks at entry 7340033 \(seq 7\)"):
        call("journal", "day-1", "--check")


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("nope",), "no run is called 'nope'"),
        (("day-1", "--kind", "fil"), "--kind fil is no kind of entry; there are: started"),
        (("day-1", "--limit", "-1"), "--limit -1 is negative"),
        (("day-1", "--why", "#9"), "there is no order #9; this run has 3 orders"),
        (("empty-2", "--why", "OT"), "no order is called 'OT' in this run of 0 orders"),
    ],
)
def test_what_cannot_be_shown_is_refused(argv: tuple[str, ...], words: str, two_runs: str) -> None:
    with pytest.raises(BadInput, match=words):
        call("journal", *argv)
