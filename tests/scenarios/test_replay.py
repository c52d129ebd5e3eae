"""Replays: same digest whatever the process, the window size and the database; exact books."""

import gc
import json
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from nautilus_trader.model import OrderSide
from small_market import COMPETITION, journalled, onetape, run, scenario_of, small_market, verify

from catalog.store import Store
from scenarios.replay_host import ReplayHost
from scenarios.settings import Settings
from strategies.errors import BadInput, DeciderFailed
from strategies.messages import Fill, Grant, Limit, Refusal, Submit
from strategies.ports import Kind, StreamKind


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return small_market(tmp_path_factory.mktemp("home"))


def test_three_strategies_compete_and_every_command_has_its_grant(
    market: Settings, tmp_path: Path
) -> None:
    outcome = run(market, scenario_of(tmp_path))
    journal, found = journalled(market, outcome.run_id)
    entries = list(journal.entries(found))
    granted = {e.id: e for e in entries if e.kind is Kind.GRANT}
    commands = [e for e in entries if e.kind is Kind.COMMAND and isinstance(e.message, Submit)]
    assert len(commands) == outcome.result.orders > 20
    for command in commands:
        grant = granted[command.cause_id].message
        assert isinstance(grant, Grant)
        assert isinstance(command.message, Submit)
        assert grant.order_id == command.message.order_id
    limits = {e.message.limit for e in entries if isinstance(e.message, Refusal)}
    assert limits & {Limit.SYMBOL, Limit.ALLOCATION, Limit.CASH, Limit.LOT}
    fills = [e.message for e in entries if isinstance(e.message, Fill)]
    assert {fill.strategy for fill in fills} == {"sma-ticks", "ema-bars", "breakout"}


def test_every_chain_begins_at_a_delivery_and_ascends(market: Settings, tmp_path: Path) -> None:
    outcome = run(market, scenario_of(tmp_path))
    journal, found = journalled(market, outcome.run_id)
    ids = {}
    for entry in journal.entries(found):
        assert entry.cause_id < entry.id
        assert entry.cause_id == 0 or entry.cause_id in ids
        if entry.cause_id:
            assert entry.workflow_id == ids[entry.cause_id].workflow_id
        ids[entry.id] = entry
    assert ids


def test_nothing_fills_in_the_instant_of_its_decision(market: Settings, tmp_path: Path) -> None:
    outcome = run(market, scenario_of(tmp_path))
    journal, found = journalled(market, outcome.run_id)
    sent = {}
    for entry in journal.entries(found):
        if isinstance(entry.message, Submit):
            sent[entry.message.order_id] = entry.ts_ns
        if isinstance(entry.message, Fill):
            venue = entry.message.instrument_id.venue.value
            latency_ns = 30_000_000 if venue == "KRX" else 5_000_000
            assert entry.message.ts_ns == sent[entry.message.order_id] + latency_ns


def test_a_market_order_pays_the_spread(market: Settings, tmp_path: Path) -> None:
    # KRX has quotes here, and trades and bars that must not stand in for them.
    outcome = run(market, scenario_of(tmp_path))
    journal, found = journalled(market, outcome.run_id)
    quotes: dict[str, list[dict[str, object]]] = {}
    seen = 0
    for entry in journal.entries(found):
        fill = entry.message
        if not isinstance(fill, Fill) or fill.instrument_id.venue.value != "KRX":
            continue
        name = str(fill.instrument_id)
        if name not in quotes:
            files = Store(market.catalog).files(StreamKind.QUOTES, name)
            quotes[name] = [row for path in files for row in pq.read_table(path).to_pylist()]
        shown = [row for row in quotes[name] if row["ts_init"].value <= fill.ts_ns][-1]
        price = fill.price.as_decimal()
        if fill.side == OrderSide.BUY:
            assert price >= shown["ask_price"]
        else:
            assert price <= shown["bid_price"]
        seen += 1
    assert seen > 10


def test_the_digest_is_equal_in_ten_processes_and_window_sizes(
    market: Settings, tmp_path: Path
) -> None:
    scenario_of(tmp_path)
    digests = set()
    for seed in range(10):
        done = onetape(
            market,
            "run",
            str(tmp_path / "scenario.toml"),
            "--json",
            "--no-report",
            "--set",
            f"chunk_rows={[1, 50, 333, 1000, 100_000][seed % 5]}",
            env={"PYTHONHASHSEED": str(seed)},
        )
        assert done.returncode == 0, done.stderr
        digests.add(json.loads(done.stdout.splitlines()[-1])["digest"])
    assert len(digests) == 1
    assert verify(market).difference is None


def test_another_order_of_strategies_is_another_run(market: Settings, tmp_path: Path) -> None:
    head, *tables = COMPETITION.split("[[strategies]]")
    turned = "[[strategies]]".join([head, *reversed(tables)])
    first, second = run(market, scenario_of(tmp_path)), run(market, scenario_of(tmp_path, turned))
    assert first.digest != second.digest


def test_the_result_is_what_fills_brought_and_what_is_left_is_worth(
    market: Settings, tmp_path: Path
) -> None:
    # Two strategies hold the same perpetual: the engine nets them, the result may not depend on it.
    outcome = run(market, scenario_of(tmp_path))
    journal, found = journalled(market, outcome.run_id)
    fills = [e.message for e in journal.entries(found) if isinstance(e.message, Fill)]
    left: dict[str, Decimal] = {}
    gains: dict[str, Decimal] = {}
    for fill in fills:
        code, name = fill.commission.currency.code, str(fill.instrument_id)
        sign = 1 if fill.side == OrderSide.BUY else -1
        size = fill.quantity.as_decimal() * sign
        paid = fill.price.as_decimal() * size + fill.commission.as_decimal()
        gains[code] = gains.get(code, Decimal(0)) - paid
        left[name] = left.get(name, Decimal(0)) + size
    for name, size in left.items():
        code = "KRW" if name.endswith("KRX") else "USDT"
        gains[code] += size * last_price(market, name)
    assert outcome.result.pnl["KRW"] == gains["KRW"]
    assert abs(outcome.result.pnl["USDT"] - gains["USDT"]) < Decimal("0.0000001")


def last_price(market: Settings, name: str) -> Decimal:
    """Return the price of the last row that strategies heard: a bar where it closes last."""
    store = Store(market.catalog)
    found: list[tuple[int, int, Decimal]] = []
    for kind, topic, column in (
        (StreamKind.TRADES, name, "price"),
        (StreamKind.BARS, f"{name}-1-MINUTE-LAST-EXTERNAL", "close"),
    ):
        row = pq.read_table(store.files(kind, topic)[-1]).to_pylist()[-1]
        found.append((row["ts_init"].value, len(found), row[column]))
    return max(found)[2]


BAR_SCENARIO = """
name = "one-entry"
[venues.BINANCE]
balances = ["100_000 USDT"]
latency_ms = 5
[[strategies]]
name = "buyer"
class = "{module}:Buyer"
instruments = ["*.BINANCE"]
streams = ["1-MINUTE"]
weight = 1
"""

BUYER = """
from nautilus_trader.model import OrderSide
from strategies.decider import Params, Strategy
from strategies.messages import Enter

class Buyer(Strategy[Params]):
    seen = 0
    def on_bar(self, bar):
        self.seen += 1
        if self.seen == 3:
            return [Enter(bar.bar_type.instrument_id, OrderSide.BUY, "third bar")]
"""


def test_an_order_decided_on_a_close_fills_at_the_next_open(
    market: Settings, tmp_path: Path
) -> None:
    (tmp_path / "third_bar.py").write_text(BUYER)
    scenario = scenario_of(tmp_path, BAR_SCENARIO.format(module="third_bar"))
    outcome = run(market, scenario)
    journal, found = journalled(market, outcome.run_id)
    entries = list(journal.entries(found))
    fill = next(e.message for e in entries if isinstance(e.message, Fill))
    bars = _bars(market)
    assert fill.side == OrderSide.BUY
    assert str(fill.price) == bars[3]["open"]
    assert bars[2]["close"] != bars[3]["open"]
    # It waits for the print the fourth bar opens with, one minute before that bar's close.
    assert fill.ts_ns == int(str(bars[3]["ts"])) - 60_000_000_000 + 5_000_000


def _bars(market: Settings) -> list[dict[str, object]]:
    topic = "BTCUSDT-PERP.BINANCE-1-MINUTE-LAST-EXTERNAL"
    (path,) = Store(market.catalog).files(StreamKind.BARS, topic)
    rows = pq.read_table(path, columns=["open", "close", "ts_init"]).slice(0, 6)
    return [
        {
            "open": f"{row['open']:.1f}",
            "close": f"{row['close']:.1f}",
            "ts": row["ts_init"].value,
        }
        for row in rows.to_pylist()
    ]


RAISER = """
from strategies.decider import Params, Strategy

class Buyer(Strategy[Params]):
    seen = 0
    def on_bar(self, bar):
        self.seen += 1
        if self.seen == 5:
            raise KeyError("the fifth")
"""


def test_a_strategy_that_raises_fails_the_run_with_its_name(
    market: Settings, tmp_path: Path
) -> None:
    (tmp_path / "raiser.py").write_text(RAISER)
    scenario = scenario_of(tmp_path, BAR_SCENARIO.format(module="raiser"))
    with pytest.raises(DeciderFailed, match=r"strategy buyer raised KeyError: 'the fifth'"):
        run(market, scenario)
    _, found = journalled(market)
    assert found.status == "failed"
    assert "the fifth" in str(found.error)
    assert verify(market).difference is None


def test_refusals_of_a_scenario_that_does_not_fit_the_catalog(
    market: Settings, tmp_path: Path
) -> None:
    cases = {
        '"*.KRX", "*.BINANCE"]\nstreams = ["trades"]': (
            '"NONE.KRX"]\nstreams = ["trades"]',
            "NONE",
        ),
        'streams = ["trades"]': ('streams = ["1-HOUR"]', "no 1-HOUR of"),
        "strategies.sma_crossover:SmaCrossover": ("strategies.sma_crossover:Sma", "no Strategy"),
        "strategies.sma_crossover": ("no_such_module", "cannot be imported"),
        "fast = 5": ("fsat = 5", "did you mean fast?"),
        "fast = 5\nslow = 20": ("fast = 20\nslow = 5", "fast"),
        "weight = 0.2": ("weight = 0.9", "add up to 1.7"),
        "[venues.BINANCE]": ("[venues.BYBIT]", "no [venues.BINANCE]"),
        'name = "competition"': (
            'name = "competition"\nstart = "2030-01-01T00:00:00Z"',
            "window is empty",
        ),
    }
    for old, (new, words) in cases.items():
        assert old in COMPETITION
        with pytest.raises(BadInput) as caught:
            run(market, scenario_of(tmp_path, COMPETITION.replace(old, new, 1)))
        assert words in str(caught.value), (old, str(caught.value))
        assert "\n" not in str(caught.value)


def test_a_replay_leaves_nothing_of_the_engine_for_other_threads_to_collect(
    market: Settings, tmp_path: Path
) -> None:
    def shells() -> int:
        return sum(isinstance(thing, ReplayHost) for thing in gc.get_objects())

    gc.collect()
    before = shells()  # of runs that failed: their exceptions are kept by who tests them
    run(market, scenario_of(tmp_path))
    assert shells() == before
