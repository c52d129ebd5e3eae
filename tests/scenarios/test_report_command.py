"""A run's report from its journal and tape: its numbers are the run's, its bytes always equal."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from small_market import journalled, onetape, run, scenario_of, small_market

from catalog.report import ReportInput
from scenarios.execute import Outcome
from scenarios.run_report import load_report, report_run
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
