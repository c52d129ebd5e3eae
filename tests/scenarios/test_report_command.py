"""A run's report from its journal and tape: its numbers are the run's, its bytes always equal."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
from small_market import (
    COMPETITION,
    journalled,
    onetape,
    run,
    scenario_of,
    small_market,
)

from catalog.report import ReportInput
from scenarios.cli import main
from scenarios.execute import Outcome
from scenarios.run_report import load_report, read_report, report_run
from scenarios.scenario import ReportTable
from scenarios.settings import Settings


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def settings(home: Path) -> Settings:
    return small_market(home)


@pytest.fixture(scope="module")
def outcome(settings: Settings, home: Path) -> Outcome:
    return run(settings, scenario_of(home))


@pytest.fixture(scope="module")
def source(settings: Settings, outcome: Outcome) -> Iterator[ReportInput]:
    journal, found = journalled(settings, outcome.run_id)
    with journal:
        yield load_report(journal, found, settings)


class Said(NamedTuple):
    """What a command came to."""

    returncode: int
    stdout: str
    stderr: str


type Command = Callable[..., Said]


@pytest.fixture
def command(
    settings: Settings,
    outcome: Outcome,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    """Run the command line in this process, after the module's run: a process takes seconds."""
    monkeypatch.setenv("ONETAPE_HOME", str(settings.home))
    monkeypatch.setenv("ONETAPE_JOURNAL", settings.journal_url)

    def run_command(*arguments: str) -> Said:
        before = os.umask(0o077)
        try:
            code = main(arguments)
        finally:
            os.umask(before)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run_command


def test_the_run_traded(source: ReportInput, outcome: Outcome) -> None:
    assert len(source.executions) == outcome.result.fills > 20
    assert sum(refused.count for refused in source.refusals) == outcome.result.refusals
    assert {trade.closed for trade in source.trades} >= {True}


def test_cash_results_are_the_engines_to_the_won(source: ReportInput, outcome: Outcome) -> None:
    krx = next(book for book in source.equity.books if book.venue == "KRX")
    assert krx.result == outcome.result.pnl["KRW"]


def test_strategies_and_trades_sum_to_each_book(source: ReportInput) -> None:
    for book in source.equity.books:
        parts = [part for part in source.equity.strategies if part.venue == book.venue]
        trades = [trade for trade in source.trades if trade.currency == book.currency]
        close = Decimal("0.0001")  # the engine rounds each margin fill to eight digits
        assert abs(sum(part.result for part in parts) - book.result) < close
        assert abs(sum(trade.net for trade in trades) - book.result) < close


def test_tax_is_the_sales_and_nothing_else(source: ReportInput) -> None:
    sold = [fill for fill in source.executions if fill.currency == "KRW" and not fill.buy]
    assert sold
    for fill in sold:
        assert fill.tax == int(fill.price * fill.quantity * Decimal("0.0020"))
        assert fill.fee == int(fill.price * fill.quantity * Decimal("0.00015"))
    rest = [fill for fill in source.executions if fill.buy or fill.currency != "KRW"]
    assert {fill.tax for fill in rest} == {Decimal(0)}
    paid = sum(trade.tax for trade in source.trades)
    assert paid == sum(fill.tax for fill in source.executions)


def test_every_fill_and_trade_has_a_reason(source: ReportInput) -> None:
    assert all(fill.reason for fill in source.executions)
    assert all(trade.entry_reason for trade in source.trades)
    assert all(trade.exit_reason for trade in source.trades if trade.closed)


def test_prices_are_known_for_what_was_traded(source: ReportInput) -> None:
    assert set(source.prices) == {fill.instrument_id for fill in source.executions}
    assert all(len(prices) > 100 for prices in source.prices.values())
    assert source.zones == {"KRX": "Asia/Seoul", "BINANCE": "UTC"}


def test_a_report_written_twice_has_the_same_bytes(
    settings: Settings, outcome: Outcome, tmp_path: Path
) -> None:
    first = report_run(outcome.run_id, settings)
    second = report_run("last", settings, tmp_path / "again.html")
    assert first == settings.reports / f"{outcome.run_id}.html"
    assert first.read_bytes() == second.read_bytes()
    assert outcome.digest.encode() in first.read_bytes()


def test_the_command_says_where_the_report_is(
    settings: Settings, outcome: Outcome, tmp_path: Path
) -> None:
    done = onetape(settings, "report", outcome.run_id, "--out", str(tmp_path / "r.html"), "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said == {
        "report": str(tmp_path / "r.html"),
        "bytes": Path(said["report"]).stat().st_size,
    }


def test_an_unknown_run_is_bad_input(settings: Settings, outcome: Outcome) -> None:
    done = onetape(settings, "report", "nosuchrun")
    assert done.returncode == 2
    assert "nosuchrun" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_processes_write_the_same_bytes(settings: Settings, home: Path, tmp_path: Path) -> None:
    scenario = home / "scenario.toml"
    pages = []
    for i in range(2):
        done = onetape(settings, "run", str(scenario), "--json", env={"PYTHONHASHSEED": str(i)})
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout.splitlines()[-1])
        page = Path(said["report"]).read_bytes()
        assert said["run_id"].encode() not in page
        assert str(settings.home).encode() not in page
        pages.append((said["run_id"], said["digest"], page))
    assert pages[0][0] != pages[1][0]
    assert pages[0][1:] == pages[1][1:]


def test_data_that_changed_since_the_run_are_named(
    settings: Settings, outcome: Outcome, source: ReportInput
) -> None:
    assert not [feed.stream for feed in source.feeds if feed.changed]
    journal, found = journalled(settings, outcome.run_id)
    slices = dict(found.manifest.slices)
    name = min(slices)
    changed = replace(found.manifest, slices=slices | {name: "00" * 32})
    with journal:
        later = load_report(journal, replace(found, manifest=changed), settings)
    assert [feed.stream for feed in later.feeds if feed.changed] == [name]


def test_slippage_is_against_the_price_decided_on(source: ReportInput) -> None:
    assert all(fill.decided_at is not None for fill in source.executions)
    assert sum((fill.slippage for fill in source.executions), Decimal(0)) > 0
    for book in source.equity.books:
        record = source.record(book)
        closed = [trade for trade in record.trades if trade.closed]
        assert sum((t.slippage for t in record.trades), Decimal(0)) == pytest.approx(
            record.slippage, abs=Decimal("0.000001")
        )
        assert all(trade.worst is not None and trade.best is not None for trade in closed)
        assert all(t.worst <= t.gross <= t.best for t in closed if t.worst is not None)


def test_a_tick_costs_what_the_grid_says(source: ReportInput) -> None:
    fill = next(e for e in source.executions if e.currency == "KRW")
    tick = fill.one_tick / fill.quantity
    assert tick in {1, 5, 10, 50, 100, 500, 1000}
    assert fill.price % tick == 0


def test_feeds_name_every_stream_with_its_rows(source: ReportInput, outcome: Outcome) -> None:
    assert {feed.stream for feed in source.feeds} == set(source.run.slices)
    assert sum(feed.rows for feed in source.feeds) >= outcome.result.deliveries
    assert {feed.origin for feed in source.feeds} == {"generated"}


def test_holding_is_part_of_the_report(source: ReportInput) -> None:
    assert source.benchmark is not None
    for book in source.equity.books:
        values = source.benchmark_closes(book)
        assert values is not None
        assert values[0] == pytest.approx(float(book.start), rel=0.05)


def test_one_currency_on_request(settings: Settings, outcome: Outcome, tmp_path: Path) -> None:
    shown = ReportTable(currency="KRW", rates={"USDT": Decimal(1400)})
    source = read_report(outcome.run_id, settings, shown)
    total = source.equity.total
    assert total is not None
    parts = {book.currency: book.result for book in source.equity.books}
    assert total.result == parts["KRW"] + 1400 * parts["USDT"]
    without = read_report(outcome.run_id, settings, ReportTable(currency="KRW"))
    assert without.equity.total is None
    assert any("no rate of USDT" in note for note in without.notes)


def test_an_index_of_the_catalog_is_the_yardstick(settings: Settings, outcome: Outcome) -> None:
    name = min(read_report(outcome.run_id, settings).prices)
    source = read_report(outcome.run_id, settings, ReportTable(benchmark=name))
    assert source.benchmark is not None
    assert source.benchmark.name == name
    missing = read_report(outcome.run_id, settings, ReportTable(benchmark="NOPE.KRX"))
    assert missing.benchmark is not None
    assert missing.benchmark.name == "buy and hold"
    assert any("NOPE.KRX" in note for note in missing.notes)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("last", "last"), "--compare"),
        (("last", "--rate", "USDT=1400"), "--currency"),
        (("last", "--currency", "KRW", "--rate", "USDT=much"), "USDT=1400"),
        (("last", "--trials", "0"), "at least 1"),
        (("last", "--format", "csv", "--table", "nothing"), "trades, fills"),
        (("last", "--png", "nothing"), "equity"),
        (("--compare", "last", "last", "--format", "json"), "--compare"),
    ],
)
def test_what_cannot_be_written_is_bad_input(
    command: Command, arguments: tuple[str, ...], said: str
) -> None:
    done = command("report", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_machines_get_json_and_csv(
    command: Command, settings: Settings, outcome: Outcome, tmp_path: Path
) -> None:
    out = str(tmp_path / "r.json")
    assert command("report", "last", "--format", "json", "--out", out).returncode == 0
    whole = json.loads(Path(out).read_text())
    assert whole["run"]["digest"] == outcome.digest
    done = command("report", outcome.run_id, "--format", "csv", "--json")
    path = Path(json.loads(done.stdout)["report"])
    assert path == settings.reports / f"{outcome.run_id}.csv"
    assert len(path.read_text().splitlines()) == 1 + len(whole["trades"])


def test_several_runs_in_one_page(command: Command, outcome: Outcome, tmp_path: Path) -> None:
    out = tmp_path / "both.html"
    done = command("report", "--compare", outcome.run_id, "last", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert outcome.digest[:12] in out.read_text()


def test_compare_says_equal_and_where_runs_part(
    command: Command, settings: Settings, home: Path, outcome: Outcome
) -> None:
    done = command("compare", outcome.run_id, outcome.run_id, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["equal"] is True
    other = run(settings, scenario_of(home, COMPETITION, "strategies.sma-ticks.params.fast=6"))
    done = command("compare", outcome.run_id, other.run_id, "--json")
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert said["equal"] is False
    assert said["first_divergence"]["kind"] == "decision"
    assert "different from decision" in done.stderr


def test_the_capital_managers_views_are_shown_where_a_run_has_them(
    settings: Settings, home: Path, source: ReportInput
) -> None:
    assert not source.capital
    sampled = run(settings, scenario_of(home, COMPETITION, "capital.sample_s=600"))
    views = {view.title: view for view in read_report(sampled.run_id, settings).capital}
    shares = views["Shares of the money"]
    assert {row[0] for row in shares.rows} == {"sma-ticks", "ema-bars", "breakout"}
    assert all(len(row) == len(shares.head) for row in shares.rows)


def test_a_run_that_failed_has_a_report_of_what_it_did(
    settings: Settings, outcome: Outcome
) -> None:
    journal, found = journalled(settings, outcome.run_id)
    with journal:
        source = load_report(journal, replace(found, status="crashed"), settings)
    assert source.run.status == "crashed"
    assert len(source.executions) == outcome.result.fills
