"""A run in which a strategy failed alone is re-executed with its failure, which is compared too."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model import ClientOrderId, InstrumentId, Money
from small_market import journalled, run, scenario_of, small_market, verify

from catalog.journal import Entry, open_journal
from catalog.store import Store
from scenarios.execute import manifest
from scenarios.replay import replay
from scenarios.run_report import read_report
from scenarios.settings import Settings
from scenarios.wiring import Composition, compose, resolve
from strategies.errors import DeciderFailed
from strategies.host.faults import OnDeciderFailure
from strategies.messages import (
    CashCorrection,
    Gap,
    Notice,
    NoticeLevel,
    OrderNamed,
    Provenance,
    Report,
)
from strategies.ports import Kind, message_id

SCENARIO = """
name = "isolated"
[venues.BINANCE]
balances = ["100_000 USDT"]
[[strategies]]
name = "frail"
class = "{module}:Frail"
instruments = ["*.BINANCE"]
streams = ["1-MINUTE"]
weight = 0.5
[[strategies]]
name = "steady"
class = "{module}:Steady"
instruments = ["*.BINANCE"]
streams = ["1-MINUTE"]
weight = 0.5
"""

STRATEGIES = """
import os
from nautilus_trader.model import OrderSide, Price
from strategies.decider import Params, Strategy
from strategies.messages import Alert, Enter

class Frail(Strategy[Params]):
    seen = 0
    def on_bar(self, bar):
        self.seen += 1
        if self.seen == 5:
            low = Price.from_str(f"{{bar.close.as_decimal() * 95 // 100:.1f}}")
            return [Enter(bar.bar_type.instrument_id, OrderSide.BUY, "rests", price=low)]
        if self.seen == 41 and "HEALED" not in os.environ:
            raise KeyError(f"lost {{object()!r}}")

class Steady(Strategy[Params]):
    seen = 0
    def on_bar(self, bar):
        self.seen += 1
        if self.seen % 10 == 0:
            return [Alert(f"bar {{self.seen}}")]
"""


BTC = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
NEWS: list[Report] = [
    CashCorrection("BINANCE", Money.from_str("-7 USDT"), "fees", 1),
    Notice("BINANCE", NoticeLevel.WARNING, "reconnected", 1),
    OrderNamed(ClientOrderId("OTHER"), "20261120-00950-17", 1),
    CashCorrection("BINANCE", Money.from_str("7 USDT"), "given back", 1),
    Gap(BTC, "binance", Provenance.REPAIRED, 1, 2, "reconnected", 3),
]


@pytest.fixture
def market(tmp_path: Path) -> Settings:
    return small_market(tmp_path / "home")


def isolated_run(
    market: Settings,
    folder: Path,
    module: str,
    failure: OnDeciderFailure,
    *later: CashCorrection,
) -> list[Entry]:
    """Replay with a strategy that fails at its 41st bar; return the journal's entries.

    ``later`` are corrections that the venue tells at the end.
    """
    (folder / f"{module}.py").write_text(STRATEGIES.format())
    universe = resolve(scenario_of(folder, SCENARIO.format(module=module)), Store(market.catalog))
    with open_journal(market.journal_url, market.home) as store:
        with store.begin(manifest(universe)) as journal:
            done = replay(universe, journal, on_decider_failure=failure)
            for number, each in enumerate(later, done.deliveries + 2):
                at = message_id(number, 0)
                journal.append(at, each.ts_ns, Kind.CASH, each.venue, 0, at, each)
            journal.end("ended", {})
        return list(store.entries(store.find("last")))


def test_a_run_goes_on_without_the_strategy_that_failed_and_verifies(
    market: Settings, tmp_path: Path
) -> None:
    entries = isolated_run(market, tmp_path, "isolated_one", OnDeciderFailure.ISOLATE)
    (fault,) = [e for e in entries if e.kind is Kind.FAULT]
    after = [e for e in entries if e.id > fault.id]
    assert {e.source for e in after if e.kind is Kind.INTENT} == {"host", "steady"}
    assert [str(e.message.state) for e in after if e.kind is Kind.ORDER] == ["canceled"]  # type: ignore[attr-defined]  # order updates
    verdict = verify(market)
    assert verdict.difference is None
    assert verdict.entries == len([e for e in entries if e.kind is not Kind.ENDED])


def test_a_decider_that_does_not_fail_again_is_the_first_difference(
    market: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = isolated_run(market, tmp_path, "isolated_two", OnDeciderFailure.ISOLATE)
    (fault,) = [e for e in entries if e.kind is Kind.FAULT]
    monkeypatch.setenv("HEALED", "1")
    found = verify(market).difference
    assert found is not None
    assert found.seq == fault.seq
    assert found.what == "fault of frail differs"
    assert "KeyError: 'lost <object object at 0x...>'" in found.journalled
    assert found.reexecuted == "nothing"
    assert list(found.state) == ["frail"]


def test_a_failure_that_ended_the_run_is_accepted_where_it_ended(
    market: Settings, tmp_path: Path
) -> None:
    with pytest.raises(DeciderFailed, match="strategy frail raised KeyError"):
        isolated_run(market, tmp_path, "isolated_three", OnDeciderFailure.STOP)
    journal, run = journalled(market)
    with journal:
        assert not [e for e in journal.entries(run) if e.kind is Kind.FAULT]
    assert verify(market).difference is None


def test_the_report_names_who_failed_and_what_the_venue_corrected(
    market: Settings, tmp_path: Path
) -> None:
    late = [CashCorrection("BINANCE", Money.from_str(f"{n} USDT"), "fees", 1) for n in (-7, 4)]
    isolated_run(market, tmp_path, "isolated_four", OnDeciderFailure.ISOLATE, *late)
    source = read_report("last", market)
    failed, corrected = source.notes[-2:]
    assert failed.startswith("Strategy frail failed and was asked nothing more: KeyError: 'lost ")
    assert corrected == (
        "BINANCE corrected its cash by -3.00000000 USDT in all: it is part of the venue's result "
        "and of no strategy's."
    )
    (book,) = source.equity.books
    assert book.corrected == -3
    assert book.result == sum(each.result for each in source.equity.strategies) - 3


def test_news_are_fed_again_at_their_place(
    market: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def composed(*args: Any, **ports: Any) -> Composition:
        made = compose(*args, **ports)
        tell = made.host.on_report

        def on_report(report: Report) -> None:
            for each in (report, *NEWS):
                tell(each)

        monkeypatch.setattr(made.host, "on_report", on_report)
        return made

    monkeypatch.setattr("scenarios.replay.compose", composed)
    run(market, scenario_of(tmp_path))
    journal, found = journalled(market)
    with journal:
        kinds = Counter(entry.kind for entry in journal.entries(found))
    assert min(kinds[kind] for kind in (Kind.CASH, Kind.NAMED, Kind.NOTICE, Kind.GAP)) > 5
    verdict = verify(market)
    assert verdict.difference is None
    assert verdict.entries == sum(kinds.values()) - kinds[Kind.ENDED]
