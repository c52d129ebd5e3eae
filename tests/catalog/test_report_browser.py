"""A browser draws what the page carries: the trimmed script, every chart, pictures on request.

Skipped where no browser is installed; the page's own rules are proved without one.
"""

import re
import subprocess
from pathlib import Path

import pytest
import report_sample as sample
from test_report_more import long_run

from catalog.report import render
from catalog.report.page import all_charts
from catalog.report.picture import BROWSERS, find_browser, write_picture
from strategies.errors import BadInput


@pytest.fixture(scope="module")
def browser() -> str:
    try:
        return find_browser()
    except BadInput as error:
        pytest.skip(str(error))


def load(browser: str, page: Path, profile: Path, budget_ms: int) -> str:
    """Return the page's elements after its scripts have run for this long."""
    return subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update"),
            *(f"--user-data-dir={profile}", "--window-size=1120,20000"),
            *(f"--virtual-time-budget={budget_ms}", "--dump-dom", page.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    ).stdout


def test_every_chart_is_drawn(browser: str, tmp_path: Path) -> None:
    source = long_run()  # lines, bars and candles: all that the script is to draw
    path = tmp_path / "page.html"
    path.write_text(render(source), encoding="utf-8")
    wanted = set(all_charts(source))
    # The page unpacks beside its clock, so a busy machine may end the browser's time too early.
    for budget_ms in (10_000, 60_000, 240_000):
        dom = load(browser, path, tmp_path / str(budget_ms), budget_ms)
        drawn = re.findall(r'<div class="chart js-plotly-plot" id="([\w-]+)"', dom)
        if set(drawn) == wanted:
            break
    assert set(drawn) == wanted
    assert ">This browser could not draw" not in dom
    assert dom.count('class="main-svg"') >= 2 * len(drawn)


def test_a_figure_becomes_a_picture(browser: str, tmp_path: Path) -> None:
    path = write_picture(all_charts(sample.two_venues()), "equity", tmp_path / "equity.png")
    head = path.read_bytes()[:24]
    assert head[1:4] == b"PNG"
    assert int.from_bytes(head[16:20]) == 2 * 1_120


def test_without_a_browser_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInput, match=BROWSERS[0]):
        write_picture(all_charts(sample.two_venues()), "equity", tmp_path / "equity.png")


def test_an_unknown_figure_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="equity, trades-0"):
        write_picture(all_charts(sample.two_venues()), "nothing", tmp_path / "nothing.png")
