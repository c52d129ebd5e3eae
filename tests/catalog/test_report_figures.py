"""Charts: every trade is drawn, extremes survive, closed hours are cut, zones are honoured."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
import report_sample as sample

from catalog.report import figures, wording
from catalog.report.source import ReportInput
from catalog.thinning import Series

SAMSUNG = "005930.KRX"


@pytest.fixture(scope="module")
def source() -> ReportInput:
    return sample.two_venues()


def named(figure: figures.Figure, name: str) -> dict[str, object]:
    """The trace of a figure with this name."""
    (trace,) = [trace for trace in figure["data"] if trace.get("name") == name]
    return dict(trace)


def length(trace: dict[str, object]) -> int:
    """How many points a trace has."""
    x = trace["x"]
    assert isinstance(x, list | tuple)
    return len(x)


def test_every_trade_has_its_entry_and_exit(source: ReportInput) -> None:
    figure = figures.trades_figure(source, SAMSUNG)
    own = [trade for trade in source.trades if trade.instrument_id == SAMSUNG]
    wins = [trade for trade in own if trade.net > 0]
    assert length(named(figure, "long entry")) == len(own)
    assert length(named(figure, "exit with gain")) == len(wins)
    assert length(named(figure, "exit with loss")) == len(own) - len(wins)
    assert length(named(figure, "made money")) == 3 * len(wins)


def test_a_hover_says_who_why_when_and_what_it_cost(source: ReportInput) -> None:
    trade = next(t for t in source.trades if t.instrument_id == SAMSUNG and t.closed)
    figure = figures.trades_figure(replace(source, trades=[trade]), SAMSUNG)
    entry = named(figure, "long entry")["customdata"]
    leave = named(figure, f"exit with {'gain' if trade.net > 0 else 'loss'}")["customdata"]
    assert isinstance(entry, list | tuple)
    assert isinstance(leave, list | tuple)
    head, owner, said = entry[0]
    assert (head, owner) == (f"Long {trade.quantity}", trade.strategy)
    assert trade.entry_reason in said.replace("<br>", " ")
    head, owner, said = leave[0]
    assert head == f"{wording.signed_money(trade.net, 'KRW')}, out"
    assert f"fees {wording.money(trade.fees, 'KRW')}" in said
    assert f"tax {wording.money(trade.tax, 'KRW')}" in said
    template = named(figure, "long entry")["hovertemplate"]
    assert "%{x|%Y-%m-%d %H:%M:%S} KST" in str(template)


def test_the_time_axis_is_the_venues_clock(source: ReportInput) -> None:
    price = named(figures.trades_figure(source, SAMSUNG), "price")["x"]
    assert isinstance(price, list | tuple)
    nine = int(np.datetime64("2026-11-20T09:00:00", "ms").astype(np.int64))
    assert price[0] == nine


def test_a_long_price_line_keeps_its_extremes(source: ReportInput) -> None:
    price = source.prices["BTCUSDT-PERP.BINANCE"]
    assert isinstance(price, Series)
    drawn = named(figures.trades_figure(source, "BTCUSDT-PERP.BINANCE", 12), "price")["y"]
    assert isinstance(drawn, list | tuple)
    assert len(drawn) <= 600
    assert (min(drawn), max(drawn)) == (price.value.min(), price.value.max())


def test_equity_in_several_currencies_is_drawn_as_change(source: ReportInput) -> None:
    figure = figures.equity_figure(source)
    lines = [trace for trace in figure["data"] if trace.get("yaxis") != "y2"]
    assert [line["name"] for line in lines] == ["BINANCE USDT", "KRX KRW"]
    assert all(line["y"][0] == 0.0 for line in lines)
    book = source.equity.books[0]
    assert lines[0]["y"][-1] == pytest.approx(float(book.result / book.start), rel=1e-4)


def test_the_deepest_fall_is_on_the_chart() -> None:
    source = sample.many_days()
    book = source.equity.books[0]
    below = next(t for t in figures.equity_figure(source)["data"] if t.get("yaxis") == "y2")
    fall = (book.curve.value / np.maximum.accumulate(book.curve.value)).min() - 1
    assert min(below["y"]) == pytest.approx(fall, rel=1e-4)


def test_nights_and_weekends_of_a_closing_market_are_cut() -> None:
    source = sample.stock_days()
    layout = figures.trades_figure(source, SAMSUNG)["layout"]
    weekend, night = layout["xaxis"]["rangebreaks"]
    assert weekend == {"bounds": ("sat", "mon")} or weekend == {"bounds": ["sat", "mon"]}
    first, last = night["bounds"]
    assert 15.5 < first < 15.6
    assert last == 9.0


def test_a_market_that_never_closes_has_no_breaks() -> None:
    layout = figures.trades_figure(sample.many_days(), "BTCUSDT-PERP.BINANCE")["layout"]
    assert not layout["xaxis"].get("rangebreaks")


def test_an_instrument_without_prices_still_shows_its_trades(source: ReportInput) -> None:
    figure = figures.trades_figure(replace(source, prices={}), SAMSUNG)
    assert length(named(figure, "long entry")) > 0
    assert "price" not in {trace.get("name") for trace in figure["data"]}


def test_of_too_many_trades_the_largest_are_drawn(source: ReportInput) -> None:
    trades = [
        replace(source.trades[0], gross=Decimal(i), fees=Decimal(0), tax=Decimal(0))
        for i in range(50)
    ]
    kept = figures.drawn_trades(
        replace(source, trades=trades), source.trades[0].instrument_id, most=10
    )
    assert [int(trade.gross) for trade in kept] == list(range(40, 50))


def test_templates_differ_and_figures_carry_none(source: ReportInput) -> None:
    made = figures.templates()
    assert made["light"] != made["dark"]
    assert "template" not in figures.equity_figure(source)["layout"]
