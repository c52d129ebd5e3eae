"""Verify finds planted defects, each at the delivery where it happened."""

import json
import sqlite3
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_market import (
    COMPETITION,
    journalled,
    onetape,
    run,
    scenario_of,
    small_market,
    verify,
)

from catalog.store import Store
from scenarios.cli import main
from scenarios.settings import Settings
from strategies.errors import InvariantBroken
from strategies.host import core
from strategies.messages import Enter
from strategies.ports import INPUT_KINDS, Kind, StreamKind

SCENARIO = """
name = "planted"
[venues.BINANCE]
balances = ["100_000 USDT"]
[[strategies]]
name = "planted"
class = "{module}:Planted"
instruments = ["*.BINANCE"]
streams = ["1-MINUTE"]
weight = 1
"""

WALL_CLOCK = """
import time
from nautilus_trader.model import OrderSide
from strategies.decider import Params, Strategy
from strategies.messages import Alert

class Planted(Strategy[Params]):
    seen = 0
    def on_bar(self, bar):
        self.seen += 1
        if self.seen == 40:
            return [Alert(f"read the clock: {time.time_ns()}")]
        if self.seen % 10 == 0:
            return [Alert(f"bar {self.seen}")]
"""

SET_ITERATION = """
from strategies.decider import Params, Strategy
from strategies.messages import Alert

class Planted(Strategy[Params]):
    seen = 0
    def on_bar(self, bar):
        self.seen += 1
        if self.seen == 40:
            return [Alert(name) for name in {"ten", "names", "in", "one", "set", "come", "out"}]
        if self.seen % 10 == 0:
            return [Alert(f"bar {self.seen}")]
"""


@pytest.fixture
def market(tmp_path: Path) -> Settings:
    return small_market(tmp_path / "home")


def planted(market: Settings, folder: Path, module: str, text: str) -> dict[str, object]:
    """Run a planted strategy and verify it, each in its own process; return what verify said."""
    (folder / f"{module}.py").write_text(text)
    scenario_of(folder, SCENARIO.format(module=module))
    done = onetape(market, "run", str(folder / "scenario.toml"), "--no-report")
    assert done.returncode == 0, done.stderr
    done = onetape(market, "verify", "last", "--json")
    assert done.returncode == 1, (done.stdout, done.stderr)
    result: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return result


@pytest.mark.parametrize("passes", ["0", "-1", "two"])
def test_less_than_one_pass_is_refused(passes: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "last", "--passes", passes]) == 2
    said = capsys.readouterr().err
    assert f"{passes!r} is no number of re-executions; give 1 or more" in said


# The start is delivery 1, so the n-th bar is delivery n + 1.
FORTIETH_BAR = 41


def test_a_wall_clock_read_is_found(market: Settings, tmp_path: Path) -> None:
    result = planted(market, tmp_path, "wall_clock", WALL_CLOCK)
    difference = result["difference"]
    assert isinstance(difference, dict)
    assert difference["seq"] == FORTIETH_BAR
    assert "read the clock" in difference["journalled"]
    assert "read the clock" in difference["reexecuted"]
    assert difference["journalled"] != difference["reexecuted"]
    assert "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL," in difference["event"]
    assert difference["state"]["planted"]["seen"] == "39"


def test_a_set_iteration_is_found(market: Settings, tmp_path: Path) -> None:
    result = planted(market, tmp_path, "set_iteration", SET_ITERATION)
    difference = result["difference"]
    assert isinstance(difference, dict)
    assert difference["seq"] == FORTIETH_BAR
    assert "Alert" in difference["journalled"]


def rewrite(market: Settings, kind: StreamKind, topic: str, drop: int | None = None) -> None:
    """Write a stream's file again, without one row where ``drop`` says so."""
    (path,) = Store(market.catalog).files(kind, topic)
    table = pq.read_table(path)
    if drop is not None:
        table = pa.concat_tables([table.slice(0, drop), table.slice(drop + 1)])
    pq.write_table(table, path, row_group_size=100)


BTC_TRADES = (StreamKind.TRADES, "BTCUSDT-PERP.BINANCE")


@pytest.mark.parametrize("row", [0, 17, 200, -1])
def test_a_tick_dropped_from_the_tape_is_found(market: Settings, tmp_path: Path, row: int) -> None:
    run(market, scenario_of(tmp_path))
    (path,) = Store(market.catalog).files(*BTC_TRADES)
    table = pq.read_table(path)
    row = row % table.num_rows
    seq = delivery_of(market, table.column("ts_init").cast(pa.int64())[row].as_py())
    rewrite(market, *BTC_TRADES, drop=row)
    found = verify(market).difference
    assert found is not None
    assert found.what == f"the tape differs at row {row} of trades:BTCUSDT-PERP.BINANCE"
    assert found.seq == seq


def delivery_of(market: Settings, ts_ns: int) -> int:
    """Count deliveries up to a trade of BTC: rows that strategies hear, and journalled inputs."""
    store = Store(market.catalog)
    heard = [info for info in store.streams() if info.kind is not StreamKind.QUOTES]
    stamps = [
        stamp
        for info in heard
        for path in store.files(info.kind, info.topic)
        for stamp in pq.read_table(path).column("ts_init").cast(pa.int64()).to_pylist()
    ]
    assert stamps.count(ts_ns) == 1
    rows = sum(stamp <= ts_ns for stamp in stamps)
    journal, found = journalled(market)
    inputs = [e.ts_ns for e in journal.entries(found, kinds=list(INPUT_KINDS))]
    return rows + sum(stamp <= ts_ns for stamp in inputs)


def test_the_same_rows_in_other_files_are_equal(market: Settings, tmp_path: Path) -> None:
    run(market, scenario_of(tmp_path))
    rewrite(market, *BTC_TRADES)
    assert verify(market).difference is None


def test_a_tick_lost_between_tape_and_deciders_fails_the_run(
    market: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = core.Host.market_handler

    def leaky(host: core.Host, kind: StreamKind, failed: object = None) -> object:
        handler, seen = make(host, kind, failed), iter(range(10**9))

        def on_event(event: object) -> None:
            if kind is not StreamKind.TRADES or next(seen) != 123:
                handler(event)

        return on_event

    monkeypatch.setattr(core.Host, "market_handler", leaky)
    with pytest.raises(InvariantBroken, match="a row was dropped or repeated"):
        run(market, scenario_of(tmp_path))
    assert journalled(market)[1].status == "failed"


def test_a_changed_parameter_is_found_at_its_first_decision(
    market: Settings, tmp_path: Path
) -> None:
    run(market, scenario_of(tmp_path))
    journal, found = journalled(market)
    first = next(e for e in journal.entries(found, kinds=[Kind.INTENT], source="ema-bars"))
    assert isinstance(first.message, Enter)
    _edit(market, "UPDATE runs SET config = replace(config, '\"slow\":9', '\"slow\":8')")
    difference = verify(market).difference
    assert difference is not None
    assert difference.what == "intent of ema-bars differs"
    assert difference.seq <= first.seq
    assert "EMA 3 crossed" in difference.journalled + difference.reexecuted


def test_an_edited_journal_is_refused_with_the_place(market: Settings, tmp_path: Path) -> None:
    run(market, scenario_of(tmp_path))
    _edit(
        market,
        "UPDATE entries SET payload = replace(payload, 'BUY', 'SELL') WHERE id = "
        "(SELECT min(id) FROM entries WHERE kind = 'grant')",
    )
    done = onetape(market, "verify", "last")
    assert done.returncode == 1
    assert "chain breaks at entry" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("stream", ["order", "trades:BTCUSDT-PERP.BINANCE"])
def test_an_unreadable_record_of_the_tape_is_said_so(
    market: Settings, tmp_path: Path, stream: str
) -> None:
    run(market, scenario_of(tmp_path))
    _edit(
        market,
        "UPDATE tape_blocks SET fingerprints = x'00' WHERE block = "
        "(SELECT min(block) FROM tape_blocks WHERE stream = ?)",
        stream,
    )
    done = onetape(market, "verify", "last", "--passes", "1")
    assert done.returncode == 1
    assert "the journal's record of the tape of competition-" in done.stderr
    assert "run the scenario again" in done.stderr


def _edit(market: Settings, statement: str, *values: str) -> None:
    with sqlite3.connect(market.journal_url.removeprefix("sqlite:///")) as connection:
        assert connection.execute(statement, values).rowcount == 1
    connection.close()


def test_a_run_that_cannot_be_verified_says_why(market: Settings, tmp_path: Path) -> None:
    run(market, scenario_of(tmp_path))
    for path in (market.catalog / "data" / "trades").glob("BTC*/*.parquet"):
        path.unlink()
    done = onetape(market, "verify", "last")
    assert done.returncode == 2
    assert "cannot be verified" in done.stderr
    assert "trades" in done.stderr


def test_every_difference_is_reported_once_per_hash_seed(market: Settings, tmp_path: Path) -> None:
    scenario_of(tmp_path, COMPETITION)
    assert onetape(market, "run", str(tmp_path / "scenario.toml"), "--no-report").returncode == 0
    done = onetape(market, "verify", "last", "--json")
    result = json.loads(done.stdout.splitlines()[-1])
    assert (done.returncode, result["equal"], result["passes"]) == (0, True, 3)
    assert "came out the same, 3 times" in done.stderr
