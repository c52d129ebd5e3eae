"""Scenarios typed wrongly: one sentence that names the place, exit code 2, and no run begun."""

import json
from pathlib import Path

import pytest
from small_market import COMPETITION, small_market

from catalog.journal import open_journal
from scenarios.cli import main
from scenarios.settings import Settings


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return small_market(tmp_path_factory.mktemp("home"))


@pytest.fixture
def at_home(market: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("ONETAPE_HOME", str(market.home))
    monkeypatch.setenv("ONETAPE_JOURNAL", f"sqlite:///{tmp_path}/journal.sqlite")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(COMPETITION, encoding="utf-8")
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one sentence of a refusal; the JSON line says the same."""
    assert main([*arguments, "--json"]) == 2
    shown = capsys.readouterr()
    assert shown.err.count("\n") == 1, shown.err
    assert "Traceback" not in shown.err
    said = json.loads(shown.out.splitlines()[-1])
    assert shown.err == f"onetape: {said['error']}\n"
    assert said["exit"] == 2
    assert not Path("journal.sqlite").exists()
    return str(said["error"])


OVERRIDES = {
    "strategies.breakout.weight=nan": "line 37: strategies[2].weight is not a finite number",
    "strategies.breakout.weight=inf": "line 37: strategies[2].weight is not a finite number",
    "strategies.breakout.weight=-0.1": "line 37: weight -0.1 of breakout must be above 0",
    "strategies.breakout.weight=1e400": "line 37: weight 1E+400 of breakout",
    "strategies.breakout.weight=much": "strategies[2].weight is not valid",
    "strategies.breakout.params.stop_bps=nan": "strategies[2].params.stop_bps is not a finite",
    "strategies.breakout.params.stop_bps=-1": "strategy breakout: parameter stop_bps=-1",
    "strategies.breakout.params.stop_bps=many": "params of strategy breakout: stop_bps: Expected",
    "strategies.sma-ticks.params.fast=99999999999999999999": "strategy sma-ticks: parameter fast=",
    "strategies.sma-ticks.params.fsat=3": "unknown key fsat; did you mean fast?",
    "strategies.sma-ticks.name=": "strategy name '' must be 1 to 64 printable characters",
    'strategies.sma-ticks.name="a\\nb"': "must be 1 to 64 printable characters on one line",
    'strategies.sma-ticks.name="a\\u0000b"': "must be 1 to 64 printable characters on one line",
    "strategies.sma-ticks.name=capital": "strategy name 'capital' is taken",
    "strategies.sma-ticks.name=breakout": "strategy name 'breakout' is taken",
    "strategies.sma-ticks.instruments=[]": "strategy sma-ticks lists no instruments",
    "strategies.sma-ticks.streams=[]": "strategy sma-ticks lists no streams",
    'strategies.sma-ticks.instruments=["NOPE.KRX"]': "instrument NOPE.KRX of strategy sma-ticks",
    'strategies.sma-ticks.streams=["5-PARSEC"]': "'5-PARSEC' is no stream",
    'strategies.sma-ticks.streams=["1-HOUR"]': "the catalog has no 1-HOUR of",
    "strategies.sma-ticks.class=nocolon": "is not of the form my_module:MyStrategy",
    "strategies.sma-ticks.class=:X": "is not of the form my_module:MyStrategy",
    "strategies.sma-ticks.class=.rel:X": "is not of the form my_module:MyStrategy",
    "strategies.sma-ticks.class=../x:X": "is not of the form my_module:MyStrategy",
    "strategies.sma-ticks.class=os:path": "there is no Strategy of that name in os; it has none",
    "strategies.sma-ticks.class=strategies.gap:G": "no Strategy of that name in strategies.gap; it",
    "strategies.sma-ticks.class=absent_module:X": "put absent_module.py beside the scenario",
    "strategies.nobody.weight=1": "there is no strategy nobody; there are: sma-ticks",
    "strategies=5": "strategies is not valid: Expected `array`, got `int`",
    "strategies.weight=1": "write strategies.NAME.key=...",
    "venues=5": "venues is not valid",
    "venues.KRX.latency_ms=0": "line 5: latency_ms must be above 0",
    "venues.KRX.latency_ms=-3": "latency_ms",
    "venues.KRX.latency_ms=nan": "line 5: venues.KRX.latency_ms is not a finite number",
    "venues.KRX.latency_ms=1e30": "it must be from -1 to 86,400,000",
    "venues.KRX.latency_ms.x=1": "latency_ms is a value, not a table",
    "venues.KRX.balances=[]": "line 4: venue KRX has no balance",
    'venues.KRX.balances="5 KRW"': "venues.KRX.balances is not valid: Expected `array`",
    'venues.KRX.balances=["-5 KRW"]': "line 4: venue KRX starts with -5 KRW; start with 0 or more",
    'venues.KRX.balances=["nan KRW"]': "line 4: 'nan KRW' is not an amount of money",
    'venues.KRX.balances=["1e30 KRW"]': "line 4: '1e30 KRW' is not an amount of money",
    'venues.KRX.balances=["99999999999999999999999 KRW"]': "is not an amount of money",
    'venues.KRX.balances=["5 XYZZY"]': "'5 XYZZY' is not an amount of money",
    'venues.KRX.balances=["5"]': "'5' is not an amount of money",
    'venues.KRX.balances=["5 KRW","6 KRW"]': "venue KRX names a currency twice",
    "venues.BINANCE.taker_bps=-1": "venues.BINANCE.taker_bps is -1; it must be from 0 to 9,999",
    "venues.BINANCE.taker_bps=nan": "venues.BINANCE.taker_bps is not a finite number",
    "venues.BINANCE.leverage=0": "venues.BINANCE.leverage is 0; it must be from 1 to 1,000",
    "venues.BINANCE.leverage=1.5": "venues.BINANCE.leverage is not valid",
    'capital.order_max=["-5 USDT"]': "line 11: order_max '-5 USDT' is not above zero",
    'capital.symbol_max=["0 USDT"]': "line 12: symbol_max '0 USDT' is not above zero",
    "capital.market_buffer_bps=-5": "capital.market_buffer_bps is -5; it must be from 0",
    "capital.market_buffer_bps=99999999999999999999": "it must be from 0 to 10,000",
    "capital.orders_max=5": "unknown key capital.orders_max; did you mean order_max?",
    "chunk_rows=0": "chunk_rows must be at least 1",
    "chunk_rows=many": "chunk_rows is not valid",
    "seed=99999999999999999999": "seed is 99999999999999999999; it must be from",
    "name=ünïcode": "line 2: name 'ünïcode' must be letters, digits",
    "nosuch=1": "unknown key nosuch; valid keys: name",
    "seed": "--set 'seed' is not key=value",
    "=5": "--set '=5' is not key=value",
    "start=2026-03-09T00:00:00": "start 2026-03-09T00:00:00 has no time zone",
    "start=5": "start is not valid",
}


@pytest.mark.parametrize("override", OVERRIDES)
def test_a_wrong_setting_is_named_with_its_place(
    at_home: Path, capsys: pytest.CaptureFixture[str], override: str
) -> None:
    text = refused(capsys, "run", "mine.toml", "--set", override)
    assert OVERRIDES[override] in text
    assert text.startswith(("mine.toml", "--set"))


WINDOWS = {
    ("--from", "2026-03-09"): "start 2026-03-09 has no time zone",
    ("--to", "2026-03-09T10:00:00"): "end 2026-03-09T10:00:00 has no time zone",
    ("--from", "yesterday"): "start 'yesterday' is not a time; write 2026-03-09T09:00:00+09:00",
    ("--from", "0001-01-01T00:00:00+09:00"): "is not a time from 1970 to 2261",
    ("--to", "2999-01-01T00:00:00Z"): "is not a time from 1970 to 2261",
    ("--from", "1969-12-31T23:59:59Z"): "is not a time from 1970 to 2261",
    ("--from", "2030-01-01T00:00:00Z"): "the window is empty: the tape holds 2026-03-09",
    ("--to", "2001-01-01T00:00:00Z"): "the window is empty: the tape holds 2026-03-09",
    ("--from", "2026-03-10T00:00:00Z", "--to", "2026-03-09T00:00:00Z"): "end must be after start",
    ("--from", "2026-03-09T01:00:00Z", "--to", "2026-03-09T01:00:00Z"): "end must be after start",
}


@pytest.mark.parametrize("window", WINDOWS, ids=" ".join)
def test_a_window_that_cannot_be_is_refused(
    at_home: Path, capsys: pytest.CaptureFixture[str], window: tuple[str, ...]
) -> None:
    assert WINDOWS[window] in refused(capsys, "run", "mine.toml", *window)


ARGUMENTS = {
    (): "the following arguments are required: COMMAND; see onetape --help",
    ("fly",): "invalid choice: 'fly'",
    ("run",): "the following arguments are required: SCENARIO; see onetape run --help",
    ("run", "mine.toml", "--fast"): "unrecognized arguments: --fast",
    ("run", "mine.toml", "--on", "mars"): "argument --on: invalid choice: 'mars'",
    ("run", "mien.toml"): "there is no scenario mien.toml: not a file, and not under scenarios/",
    ("run", "deom"): "did you mean demo?",
    ("run", "."): "there is no scenario .: not a file",
    ("run", "bytes.toml"): "bytes.toml cannot be read",
    ("run", "broken.toml"): "broken.toml is not valid TOML",
    ("run", "empty.toml"): "empty.toml: name is missing; add it",
    ("verify", "nosuch"): "no run",
    ("journal", "nosuch"): "no run",
    ("report", "nosuch"): "no run",
}


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=lambda a: " ".join(a) or "nothing")
def test_wrong_arguments_and_files_are_one_sentence(
    at_home: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    Path("bytes.toml").write_bytes(b"\x89PNG\xff\xfe\x00")
    Path("broken.toml").write_text("name = [", encoding="utf-8")
    Path("empty.toml").touch()
    assert ARGUMENTS[arguments] in refused(capsys, *arguments)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_of_any_editor_are_read_alike(at_home: Path, ending: str, mark: str) -> None:
    from scenarios.scenario import load_scenario

    text = mark + COMPETITION.replace("\n", ending)
    Path("any.toml").write_bytes(text.encode())
    plain = load_scenario(Path("mine.toml"))
    assert load_scenario(Path("any.toml")).config_hash == plain.config_hash


@pytest.mark.parametrize(
    ("text", "start_ns"),
    [
        ("1970-01-01T09:00:01+09:00", 1_000_000_000),
        ("1970-01-01T00:00:00.5Z", 500_000_000),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("2026-03-09T00:00:00.123456789Z", 1773014400_123456789),
    ],
)
def test_times_keep_every_nanosecond(at_home: Path, text: str, start_ns: int) -> None:
    from scenarios.scenario import load_scenario

    assert load_scenario(Path("mine.toml"), window=(text, None)).start_ns == start_ns


def test_a_refused_run_leaves_no_row_in_a_journal_that_is_there(
    at_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "mine.toml", "--no-report", "--to", "2026-03-09T00:30:00Z"]) == 0
    for wrong in ("strategies.sma-ticks.params.fast=-1", "strategies.breakout.weight=0.9"):
        assert main(["run", "mine.toml", "--set", wrong]) == 2
    capsys.readouterr()
    with open_journal(f"sqlite:///{at_home}/journal.sqlite", at_home) as journal:
        assert [run.status for run in journal.runs()] == ["ended"]
