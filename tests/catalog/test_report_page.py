"""The page as a whole: one file, no network, the same bytes, safe against what people wrote."""

import base64
import gzip
import json
import re
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
import report_sample as sample

from catalog.report import Refused, ReportInput, render, write_report
from catalog.report.figures import equity_figure
from catalog.report.plotly_script import plotly_source
from strategies.errors import BadInput

EVIL = '</script><img src=x onerror="alert(1)"><b>&lt;'
VOID = {"meta", "br", "img", "input", "link", "hr"}


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order, scripts and visible text collected."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag == "script":
            self.scripts.append((dict(attrs), ""))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"]:
            attrs, before = self.scripts[-1]
            self.scripts[-1] = (attrs, before + data)
        elif self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def packed(self, ident: str) -> str:
        """Unpack one block the way the page's own script does."""
        attrs, letters = next(s for s in self.scripts if s[0].get("id") == ident)
        back = letters.encode().translate(bytes.maketrans(b",.:", b"<>&"))
        return gzip.decompress(base64.b85decode(back)[: int(attrs["data-bytes"] or 0)]).decode()


@pytest.fixture(scope="module")
def source() -> ReportInput:
    return sample.two_venues()


@pytest.fixture(scope="module")
def page(source: ReportInput) -> Page:
    return Page(render(source))


def test_equal_input_gives_equal_bytes(source: ReportInput) -> None:
    assert render(source) == render(sample.two_venues())


def test_what_differs_between_equal_runs_is_not_on_the_page(source: ReportInput) -> None:
    other = replace(
        source.run,
        run_id="other-20300101-000000-ffff",
        code_version="9.9.9",
        python="3.14.0",
        packages={},
    )
    assert render(replace(source, run=other)) == render(source)
    changed = replace(source.run, digest="0" * 64)
    assert render(replace(source, run=changed)) != render(source)


def test_the_page_is_under_two_megabytes(source: ReportInput, tmp_path: Path) -> None:
    path = write_report(source, tmp_path / "reports" / "run.html")
    assert path.stat().st_size < 2_000_000
    assert [file.name for file in path.parent.iterdir()] == ["run.html"]


def test_the_page_asks_for_nothing_from_outside(page: Page) -> None:
    assert not page.tags & {"link", "img", "iframe", "object", "base", "form"}
    ids = {value for name, value in page.attributes if name == "id"}
    links = {value for name, value in page.attributes if name in {"src", "href"}}
    assert links and {link.removeprefix("#") for link in links} <= ids
    assert all(link.startswith("#") for link in links)
    assert not re.search(r"https?://", page.text)
    content = next(v for _, v in page.attributes if v.startswith("default-src"))
    assert "default-src 'none'" in content
    assert "connect-src" not in content


def test_only_the_two_known_scripts_may_run(page: Page) -> None:
    policy = next(v for _, v in page.attributes if v.startswith("default-src"))
    own = next(text for attrs, text in page.scripts if "type" not in attrs)
    allowed = {_csp(own), _csp(page.packed("packed-plotly"))}
    assert set(re.findall(r"'sha256-[^']+'", policy)) == allowed
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert page.packed("packed-plotly") == plotly_source()


def _csp(script: str) -> str:
    return f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'"


def test_the_script_reads_the_letters_that_are_written(page: Page) -> None:
    own = next(text for attrs, text in page.scripts if "type" not in attrs)
    letters = re.search(r'ALPHABET =\s*"([^"]+)"', own)
    assert letters is not None
    for digit in range(85):
        word = (digit * 85**4) % 2**32  # its first letter is the digit, where that fits 32 bits
        if digit * 85**4 < 2**32:
            written = base64.b85encode(word.to_bytes(4))[:1]
            assert letters[1][digit] == written.translate(bytes.maketrans(b"<>&", b",.:")).decode()
    assert len(letters[1]) == len(set(letters[1])) == 85


def test_times_are_sent_as_a_first_one_and_steps(page: Page, source: ReportInput) -> None:
    drawing = json.loads(page.packed("packed-charts"))
    sent = drawing["charts"]["equity"]["data"][0]["x"]
    times = list(accumulate(sent["steps"], initial=sent["first"]))
    figure = equity_figure(source)
    assert times == list(figure["data"][0]["x"])


def test_charts_hold_no_value_that_is_not_a_number(page: Page) -> None:
    drawing = json.loads(page.packed("packed-charts"), parse_constant=pytest.fail)
    ids = {value for name, value in page.attributes if name == "id"}
    assert set(drawing["charts"]) <= ids
    assert set(drawing["templates"]) == {"light", "dark"}
    assert not re.search(r"\b(nan|NaN|inf|Infinity|None)\b", page.text)


def evil(source: ReportInput) -> ReportInput:
    """The same run, with markup in every text a person may write."""
    return replace(
        source,
        run=replace(source.run, scenario=EVIL, config=json.dumps({"name": EVIL}), error=EVIL),
        trades=[
            replace(trade, strategy=EVIL, entry_reason=EVIL, exit_reason=EVIL)
            for trade in source.trades
        ],
        executions=[replace(fill, strategy=EVIL, reason=EVIL) for fill in source.executions],
        refusals=[Refused(limit=EVIL, strategy=EVIL, count=1, example=EVIL)],
        notes=[EVIL],
    )


def test_text_of_people_never_becomes_markup(source: ReportInput) -> None:
    text = render(evil(source))
    page = Page(text)
    assert EVIL in page.text
    assert "img" not in page.tags
    assert "onerror" not in {name for name, _ in page.attributes}
    drawing = json.loads(page.packed("packed-charts"))
    hovers = [hover for trace in _traces(drawing) for hover in _texts(trace.get("customdata"))]
    assert hovers
    assert not [hover for hover in hovers if re.search(r"<(?!/?b>|br>)", hover)]


def _traces(drawing: dict[str, Any]) -> list[dict[str, Any]]:
    return [trace for chart in drawing["charts"].values() for trace in chart["data"]]


def _texts(values: list[Any] | None) -> list[str]:
    rows = (value for value in values or [] if isinstance(value, list))
    return [text for row in rows for text in row]


def test_times_are_in_the_venues_zone_by_name(page: Page) -> None:
    assert "005930.KRX" in page.text
    assert "times in KST, Asia/Seoul" in page.text
    assert "times in UTC" in page.text
    assert re.search(r"2026-11-20 \d\d:\d\d:\d\d KST", page.text)
    assert "2026-11-20 00:00 to 06:30 UTC" in page.text


def test_a_run_without_trades_says_so_and_needs_no_charts() -> None:
    page = Page(render(sample.nothing_happened()))
    assert "No trade was made." in page.text
    assert "46 intents were refused" in page.text
    assert page.scripts == []


def test_a_single_point_is_a_report_too() -> None:
    page = Page(render(sample.one_instant()))
    assert "No trade was made." in page.text
    assert "2026-11-20 09:00:00 to 09:00:00 KST, Asia/Seoul" in page.text


def test_every_statistic_explains_itself(page: Page) -> None:
    for name in ("Sharpe", "Calmar", "Profit factor", "Exposure", "Turnover", "Tax of gross"):
        assert name in page.text
    assert "Formula: mean(r - rf) / s(r - rf) * sqrt(periods per year)" in page.text
    assert "undefined needs 20 days; the window is shorter" in page.text


def test_provenance_holds_the_hashes(page: Page, source: ReportInput) -> None:
    run = source.run
    for value in (run.digest, run.head, run.config_hash, *run.slices.values()):
        assert value in page.text


def test_a_report_that_cannot_be_written_leaves_nothing(
    source: ReportInput, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match="cannot be written"):
        write_report(source, tmp_path / "file" / "run.html")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_twelve_charts_stay_under_two_megabytes() -> None:
    assert len(render(sample.many_instruments(14)).encode()) < 2_000_000
