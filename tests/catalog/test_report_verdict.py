"""The verdict: each doubt is raised by exactly the run that deserves it."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
import report_sample as sample

from catalog.report.source import ReportInput
from catalog.report.verdict import judge
from catalog.stats import Trade

COIN = "BTCUSDT-PERP.BINANCE"


def run(*nets: int, fees: int = 0, days: bool = False) -> ReportInput:
    """A run on one venue whose trades earn ``nets`` after ``fees`` each."""
    series = sample.many_days().prices[COIN] if days else sample.walk(sample.BITCOIN, 11)
    assert hasattr(series, "ts_ns")
    base = sample.walk(sample.BITCOIN, 11)
    step = (len(base) - 2) // max(len(nets), 1)
    trades = [_trade(net, fees, base, 1 + i * step) for i, net in enumerate(nets)]
    return sample.make([(sample.BITCOIN, base, trades)], {("BINANCE", "USDT"): Decimal(100_000)})


def _trade(net: int, fees: int, series: sample.Series, at: int) -> Trade:
    enter = Decimal("90000.0")
    return Trade(
        strategy="one",
        instrument_id=COIN,
        long=True,
        quantity=Decimal(1),
        entry_ns=int(series.ts_ns[at]),
        exit_ns=int(series.ts_ns[at + 1]),
        entry_price=enter,
        exit_price=enter + net + fees,
        gross=Decimal(net + fees),
        fees=Decimal(fees),
        tax=Decimal(0),
        currency="USDT",
        entry_reason="in",
        exit_reason="out",
    )


def titles(source: ReportInput) -> set[str]:
    """The titles of all doubts."""
    return {doubt.title for doubt in judge(source).doubts}


FEW, ONE, ZERO = "Too few trades", "One trade makes the result", "Costs are zero"
ALL, EAT, YEAR = "Costs took it all", "Costs eat the profit", "Nothing can be said about a year"


@pytest.mark.parametrize(
    ("source", "present", "absent"),
    [
        (run(*[10] * 29, fees=1), {FEW}, {ONE, ZERO, ALL, EAT}),
        (run(*[10] * 30, fees=1), set(), {FEW, ONE, ZERO, ALL, EAT}),
        (run(*[10] * 30), {ZERO}, {FEW, ALL, EAT}),
        (run(*[-10] * 29, 500, fees=1), {ONE}, {FEW, EAT}),
        (run(*[-1] * 30, fees=2), {ALL}, {EAT, ONE}),
        (run(*[1] * 30, fees=2), {EAT}, {ALL, ONE}),
        (run(*[-5] * 30, fees=2), set(), {ALL, EAT, ONE}),
    ],
)
def test_doubts_of_trades_and_costs(
    source: ReportInput, present: set[str], absent: set[str]
) -> None:
    found = titles(source)
    assert present <= found
    assert not absent & found
    assert YEAR in found


def status(name: str) -> Callable[[ReportInput], ReportInput]:
    """Give a run another end."""
    return lambda source: replace(source, run=replace(source.run, status=name, error="disk full"))


def test_a_run_that_did_not_end_says_why() -> None:
    doubts = {doubt.title: doubt.text for doubt in judge(status("crashed")(run(1))).doubts}
    assert "disk full" in doubts["The run is crashed"]
    assert not [title for title in titles(run(1)) if title.startswith("The run is")]


def test_open_positions_are_named_with_their_part() -> None:
    assert "Part of it is not closed" in titles(sample.two_venues())
    assert "Part of it is not closed" not in titles(run(1))


def test_a_constant_rate_is_named() -> None:
    rates = {"USDT": Decimal(1400)}
    assert "One rate for the whole run" in titles(sample.two_venues(rates=rates))
    assert "One rate for the whole run" not in titles(sample.two_venues())


def test_a_short_series_of_days_names_the_interval() -> None:
    long = titles(sample.many_days())
    assert YEAR not in long
    assert "The Sharpe ratio rests on little" not in long


@pytest.mark.parametrize(
    ("source", "headline"),
    [
        (run(10), "Made 10.00 USDT (+0.0100 %) after costs."),
        (run(-10), "Lost 10.00 USDT (\N{MINUS SIGN}0.0100 %) after costs."),
        (run(0), "Broke even, 0.00 USDT (0 %) after costs."),
        (sample.nothing_happened(), "No trade was made."),
    ],
)
def test_the_headline_says_what_came_out(source: ReportInput, headline: str) -> None:
    assert judge(source).headline == headline


def test_two_currencies_are_two_results_in_one_sentence() -> None:
    source = sample.two_venues()
    verdict = judge(source)
    assert verdict.headline.count("USDT") == 1
    assert verdict.headline.count("KRW") == 1
    assert " and " in verdict.headline
    with_rate = judge(sample.two_venues(rates={"USDT": Decimal(1400)}))
    assert "USDT" not in with_rate.headline


def test_notes_of_the_loader_stand_among_the_doubts() -> None:
    source = replace(run(1), notes=["Prices of X are adjusted."])
    assert "Prices of X are adjusted." in {doubt.text for doubt in judge(source).doubts}
