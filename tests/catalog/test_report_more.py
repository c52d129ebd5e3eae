"""Doubts, sections, several runs on one page and output for machines."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
import report_sample as sample
from test_report_page import EVIL, Page, evil

from catalog.benchmark import Benchmark
from catalog.report import CapitalTable, Feed, ReportInput, render
from catalog.report.beside import render_beside, run_names
from catalog.report.machine import TABLES, as_csv, as_json
from catalog.report.page import all_charts
from catalog.report.parts import LIMITS
from catalog.report.verdict import judge
from catalog.stats.periods import DAY_NS
from catalog.thinning import PriceMarks, Series
from strategies.messages import Limit

COIN = "BTCUSDT-PERP.BINANCE"
FEED = Feed(
    stream=f"trades:{COIN}",
    instrument_id=COIN,
    rows=1_000,
    origin="recorded",
    source="day.csv",
    adjusted=False,
    changed=False,
    missing=0,
    expected=90,
    age_ns=0,
)


def long_run(**changes: object) -> ReportInput:
    """Ninety days with a benchmark, its trades carrying ticks and excursions."""
    source = sample.many_days()
    series = source.equity.books[0].closes
    path = np.exp(np.sin(np.arange(len(series)) / 9) / 20)
    trades = [
        replace(
            trade,
            one_tick=Decimal("0.03"),
            slippage=Decimal("0.02"),
            worst=min(trade.gross, Decimal(0)) - 5,
            best=max(trade.gross, Decimal(0)) + 7,
        )
        for trade in source.trades
    ]
    executions = [
        replace(fill, one_tick=Decimal("0.015"), decided_at=fill.price - Decimal("0.1"))
        for fill in source.executions
    ]
    whole = replace(
        source,
        trades=trades,
        executions=executions,
        benchmark=Benchmark({COIN: PriceMarks(series.ts_ns, 60_000 * path)}),
        feeds=[FEED],
        parameters={"sma-cross": 2},
        instruments=1,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]  # a table of test values


def titles(source: ReportInput) -> set[str]:
    return {doubt.title for doubt in judge(source).doubts}


def feed(**changes: object) -> list[Feed]:
    return [replace(FEED, **changes)]  # type: ignore[arg-type]  # a table of test values


DOUBTED: list[tuple[str, dict[str, object]]] = [
    ("The data changed since", {"feeds": feed(changed=True)}),
    ("Prices are adjusted", {"feeds": feed(adjusted=True)}),
    ("Data are missing", {"feeds": feed(missing=3)}),
    ("The market is made up", {"feeds": feed(origin="generated")}),
    ("Prices are stale", {"feeds": feed(age_ns=9 * DAY_NS)}),
    ("Many numbers, few trades", {"parameters": {"sma-cross": 40}}),
    ("Only survivors, perhaps", {"chosen_by_pattern": True, "instruments": 30}),
]


@pytest.mark.parametrize(("title", "changes"), DOUBTED, ids=[title for title, _ in DOUBTED])
def test_a_doubt_is_raised_by_what_deserves_it(title: str, changes: dict[str, object]) -> None:
    assert title not in titles(long_run())
    assert title in titles(long_run(**changes))


def test_stale_is_judged_beside_the_window() -> None:
    assert "Prices are stale" not in titles(long_run(feeds=feed(age_ns=4 * DAY_NS)))


def gaining(*nets: int) -> ReportInput:
    """A day whose trades earn ``nets``, each of its two fills a tick of 2 USDT."""
    base = sample.walk(sample.BITCOIN, 11)
    step = (len(base) - 2) // len(nets)
    made = sample.trades_on(sample.BITCOIN, base, "momentum", 2 * (len(nets) // 2 + 1), 3)
    trades = [
        replace(
            made[0],
            entry_ns=int(base.ts_ns[1 + i * step]),
            exit_ns=int(base.ts_ns[2 + i * step]),
            long=True,
            quantity=Decimal(1),
            entry_price=Decimal("90000.0"),
            exit_price=Decimal("90001.0") + net,
            gross=Decimal(1 + net),
            fees=Decimal(1),
            tax=Decimal(0),
            one_tick=Decimal(4),
        )
        for i, net in enumerate(nets)
    ]
    source = sample.make([(sample.BITCOIN, base, trades)], {("BINANCE", "USDT"): Decimal(100_000)})
    ticked = [replace(fill, one_tick=Decimal(2)) for fill in source.executions]
    return replace(source, executions=ticked)


def test_a_gain_that_one_tick_takes_is_named() -> None:
    assert "One tick decides" in titles(gaining(*[3] * 30))
    assert "One tick decides" not in titles(gaining(*[5] * 30))


def test_free_fills_are_named_only_where_the_decision_is_known() -> None:
    source = gaining(*[5] * 30)
    assert "Fills cost no spread" not in titles(source)
    exact = [replace(fill, decided_at=fill.price) for fill in source.executions]
    assert "Fills cost no spread" in titles(replace(source, executions=exact))


def test_winning_always_is_too_good() -> None:
    assert "Too good to be true" in titles(gaining(*[5] * 30))
    assert "Too good to be true" not in titles(gaining(*[5, -5] * 15))


def test_one_day_makes_the_result() -> None:
    source = sample.many_days()
    book = source.equity.books[0]
    flat = np.full(len(book.closes), float(book.start))
    once = flat.copy()
    once[40:] = float(book.end) if book.result > 0 else float(book.start) + 100
    value = Decimal(repr(float(once[-1])))

    def with_closes(closes: np.ndarray) -> ReportInput:
        changed = replace(book, end=value, closes=Series(book.closes.ts_ns, closes))
        equity = replace(source.equity, books=[changed], total=None)
        return replace(source, equity=equity)

    steady = np.linspace(float(book.start), float(value), len(flat))
    assert "One day makes the result" in titles(with_closes(once))
    assert "One day makes the result" not in titles(with_closes(steady))


def test_holding_that_earned_more_is_named() -> None:
    source = long_run()
    times = source.equity.books[0].closes.ts_ns
    for growth, expected in ((9.0, True), (0.5, False)):
        path = PriceMarks(times, np.linspace(1.0, growth, len(times)))
        found = titles(replace(source, benchmark=Benchmark({COIN: path})))
        assert ("Holding earned more" in found) is expected


# --- the page -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page() -> Page:
    return Page(render(long_run()))


def test_what_people_look_for_is_there(page: Page) -> None:
    for name in (
        *("CAGR", "Volatility", "Sharpe", "Sortino", "Calmar", "Omega", "Ulcer index", "Skew"),
        *("Kurtosis", "Value at risk", "Conditional value at risk", "Beta", "Alpha", "Exposure"),
        *("Information ratio", "Probabilistic Sharpe", "Deflated Sharpe", "Win rate", "Payoff"),
        *(
            "Profit factor",
            "Expectancy",
            "Average MAE",
            "Average MFE",
            "Slippage",
            "One tick worse",
        ),
        *("By month", "By day", "By hour of entry", "Rolling measures", "Use of capital", "Luck"),
        *("Holding instead", "Instruments", "Sessions without a price", "buy and hold"),
    ):
        assert name in page.text, name
    assert re.search(r"2026 [+\N{MINUS SIGN}]\d+\.\d", page.text)  # a month's return
    assert "streamed 0 %" in page.text
    assert "recorded 100.0 %" in page.text


def test_every_figure_has_its_place(page: Page) -> None:
    drawing = json.loads(page.packed("packed-charts"), parse_constant=pytest.fail)
    ids = {value for name, value in page.attributes if name == "id"}
    wanted = {"equity", "trades-0", "by-day", "by-hour", "rolling", "distribution", "excursions",
              "use", "luck-0"}  # fmt: skip
    assert wanted == set(drawing["charts"]) == set(all_charts(long_run()))
    assert wanted <= ids
    kinds = {trace["type"] for chart in drawing["charts"].values() for trace in chart["data"]}
    assert kinds <= {"scatter", "bar", "candlestick"}  # all that the page's script can draw


def test_a_year_of_bars_stays_under_two_megabytes() -> None:
    assert len(render(long_run()).encode()) < 1_000_000


def test_views_of_the_capital_manager_are_shown_where_there_are_some(page: Page) -> None:
    assert "Brakes" not in page.text
    view = CapitalTable(title="Brakes", lead="", head=("Brake",), rows=[(EVIL,)])
    shown = Page(render(long_run(capital=[view])))
    assert "Brakes" in shown.text
    assert EVIL in shown.text
    assert "img" not in shown.tags


def test_every_limit_is_explained() -> None:
    assert {str(limit) for limit in Limit} <= set(LIMITS)


# --- several runs ---------------------------------------------------------------------------------


def another() -> ReportInput:
    source = sample.two_venues()
    config = '{"name":"three-strategies","seed":8,"strategies":[{"name":"a","params":{"fast":5}}]}'
    return replace(source, run=replace(source.run, digest="ab" * 32, config=config))


def test_several_runs_stand_side_by_side() -> None:
    source = sample.two_venues()
    page = Page(render_beside([source, another(), long_run()]))
    assert "3 runs side by side" in page.text
    for name in ("three-strategies 9f2c4e7a9f2c", "three-strategies abababababab", "btc-crossover"):
        assert name in page.text
    assert "strategies.a.params.fast" in page.text
    assert len(json.loads(page.packed("packed-charts"))["charts"]["equity"]["data"]) == 5


def test_equal_runs_differ_in_nothing() -> None:
    source = sample.two_venues()
    text = render_beside([source, source])
    assert "Nothing: the same scenario, the same data, the same digest." in Page(text).text
    assert run_names([source, source])[0].endswith("(1)")
    assert text == render_beside([source, source])


def test_several_runs_with_markup_in_their_names_are_safe() -> None:
    page = Page(render_beside([evil(sample.two_venues()), another()]))
    assert EVIL in page.text
    assert "img" not in page.tags


# --- machines -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [sample.two_venues, long_run, sample.nothing_happened])
def test_json_holds_the_whole_report(make: Callable[[], ReportInput]) -> None:
    source = make()
    whole = json.loads(as_json(source), parse_constant=pytest.fail)
    assert whole["run"]["run_id"] == source.run.run_id
    assert len(whole["trades"]) == len(source.trades)
    assert [book["currency"] for book in whole["books"]] == [b.currency for b in source.columns()]
    for book, ours in zip(whole["books"], source.columns(), strict=True):
        assert Decimal(book["result"]) == ours.result
        for name, statistic in book["statistics"].items():
            assert statistic["value"] is not None or statistic["note"], name
    assert as_json(make()) == as_json(source)


@pytest.mark.parametrize("table", list(TABLES))
def test_csv_reads_back(table: str) -> None:
    source = long_run()
    rows = list(csv.DictReader(io.StringIO(as_csv(source, table))))
    expected = {"trades": len(source.trades), "fills": len(source.executions), "refusals": 0}
    assert len(rows) == expected.get(table, len(rows))
    if table == "trades":
        assert sum(Decimal(row["net"]) for row in rows) == sum(t.net for t in source.trades)
