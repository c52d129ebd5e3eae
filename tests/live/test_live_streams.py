"""Strategies hear live what they hear on replay: trades, quotes, the book and bars folded here."""

from pathlib import Path

from live_day import differences, run_live, venue

from catalog.journal import open_journal
from strategies.messages import Fill

SCENARIO = """
name = "streams"
[venues.KRX]
balances = ["100_000_000 KRW"]
[venues.KRX.limits]
account_spacing_ns = 300_000_000
[[strategies]]
name = "bars"
class = "strategies.sma_crossover:SmaCrossover"
instruments = ["*.KRX"]
streams = ["1-MINUTE"]
weight = 0.3
params = { fast = 1, slow = 2 }
[[strategies]]
name = "book"
class = "strategies.book_imbalance:BookImbalance"
instruments = ["*.KRX"]
streams = ["book"]
weight = 0.3
params = { weight_pct = 110 }
[[strategies]]
name = "trades"
class = "churn:Churn"
instruments = ["990001.KRX"]
streams = ["trades", "quotes"]
weight = 0.3
"""


def fills_by_strategy(home: Path, run_id: str) -> dict[str, int]:
    found: dict[str, int] = {}
    with open_journal(f"sqlite:///{home / 'journal.sqlite'}", home) as store:
        for entry in store.entries(store.find(run_id)):
            if isinstance(entry.message, Fill):
                found[entry.message.strategy] = found.get(entry.message.strategy, 0) + 1
    return found


def test_every_kind_of_stream_is_heard_and_traded_on(tmp_path: Path) -> None:
    path = tmp_path / "scenario.toml"
    path.write_text(SCENARIO)
    at_ten = ("--generate", "4", "--speed", "30", "--from", "2026-03-09T10:00:00")
    with venue(tmp_path, *at_ten) as at:
        ran = run_live(tmp_path, at, path, "--to", "2026-03-09T10:10:00+09:00")
        seen = at.seen()
    assert ran.code == 0, ran.said
    assert differences(tmp_path, ran, seen) == []
    fills = fills_by_strategy(tmp_path, ran.summary["run_id"])
    assert set(fills) == {"bars", "book", "trades"}, fills
