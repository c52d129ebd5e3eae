"""Indices and funding rates: replayed to strategies, verified, and never traded."""

import json
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from book_market import BTC, SCENARIO, SNAPSHOT, START_NS, write_bars, write_book
from small_market import journalled, onetape, run, scenario_of, verify

from catalog.layout import SCHEMAS
from catalog.store import Store
from scenarios.settings import Settings
from strategies.errors import BadInput
from strategies.messages import Alert, Limit, Refusal
from strategies.ports import Kind, StreamKind

INDEX_CSV = """Date,Open,High,Low,Close,Volume
2020-09-10,100.5,102,99,101.25,10
2020-09-11,101.25,103,100,102.5,11
2020-09-14,102.5,104,101,103.75,12
"""
WATCH = """
name = "watch"
{venues}
[[strategies]]
name = "probe"
class = "book_market:Probe"
instruments = {instruments}
streams = {streams}
weight = 1
params = {{ buy_at = 2, size = "1" }}
"""
MONEY = '[venues.BINANCE]\nbalances = ["1_000 USDT"]'


@pytest.fixture
def market(tmp_path: Path) -> Settings:
    """A perpetual's book and seconds on a Sunday, and an index's days around it."""
    market = write_book(tmp_path / "home", [(second, SNAPSHOT) for second in range(4)])
    write_bars(tmp_path / "home", [(1.5, "100.0"), (2.5, "100.0")])
    (tmp_path / "sp500.csv").write_text(INDEX_CSV)
    done = onetape(market, "data", "import", str(tmp_path / "sp500.csv"))
    assert done.returncode == 0, done.stderr
    return market


def told(market: Settings) -> list[str]:
    journal, found = journalled(market)
    intents = [e.message for e in journal.entries(found, kinds=[Kind.INTENT], source="probe")]
    return [message.reason for message in intents if isinstance(message, Alert)]


def refusals(market: Settings) -> list[Refusal]:
    journal, found = journalled(market)
    messages = [e.message for e in journal.entries(found, kinds=[Kind.REFUSAL])]
    return [message for message in messages if isinstance(message, Refusal)]


@pytest.mark.parametrize("venues", ["", '[venues.INDEX]\nbalances = ["1 USD"]'])
def test_an_index_alone_is_replayed_and_an_order_in_it_refused(
    market: Settings, tmp_path: Path, venues: str
) -> None:
    text = WATCH.format(venues=venues, instruments='["SP500.INDEX"]', streams='["1-DAY"]')
    outcome = run(market, scenario_of(tmp_path, text))
    assert told(market) == ["bar 101.25", "bar 102.50", "bar 103.75"]
    assert (outcome.result.orders, outcome.result.refusals) == (0, 1)
    (refusal,) = refusals(market)
    assert refusal.limit is Limit.NOT_TRADABLE
    assert (refusal.asked, refusal.allowed) == (
        "an order in SP500.INDEX",
        "none: it can only be observed",
    )
    assert verify(market).difference is None


def test_an_index_is_heard_beside_what_is_traded(market: Settings, tmp_path: Path) -> None:
    names = '["BTCUSDT-PERP.BINANCE", "SP500.INDEX"]'
    text = WATCH.format(venues=MONEY, instruments=names, streams='["1-SECOND"]')
    # Of an index those of the streams are heard that it has; none at all is a mistake.
    with pytest.raises(BadInput, match=r"no 1-SECOND of SP500.INDEX; it has 1-DAY"):
        run(market, scenario_of(tmp_path, text))
    text = WATCH.format(venues=MONEY, instruments=names, streams='["1-SECOND", "1-DAY"]')
    with pytest.raises(BadInput, match=r"no 1-DAY of BTCUSDT-PERP.BINANCE; it has 1-SECOND, book"):
        run(market, scenario_of(tmp_path, text))


SECONDS = ["bar 100.0", "bar 100.0"]
DAYS = ["bar 101.25", "bar 102.50"]


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        # Without a window the run is as long as what can be traded: the index's days lie outside.
        ([], SECONDS),
        (["start=2020-09-11T00:00:00Z"], [*DAYS, *SECONDS]),
        (
            ["start=2020-09-11T00:00:00Z", "end=2020-09-16T00:00:00Z"],
            [*DAYS, *SECONDS, "bar 103.75"],
        ),
    ],
)
def test_an_index_makes_no_run_longer(
    market: Settings, tmp_path: Path, window: Sequence[str], expected: Sequence[str]
) -> None:
    text = WATCH.format(
        venues=MONEY, instruments='["BTCUSDT-PERP.BINANCE"]', streams='["1-SECOND"]'
    )
    half = text.replace("weight = 1", "weight = 0.5").replace("buy_at = 2, ", "")
    other = half[half.index("[[strategies]]") :].replace('name = "probe"', 'name = "other"')
    other = other.replace("BTCUSDT-PERP.BINANCE", "SP500.INDEX").replace("1-SECOND", "1-DAY")
    both = half + other
    run(market, scenario_of(tmp_path, both, *window))
    journal, found = journalled(market)
    intents = [e.message for e in journal.entries(found, kinds=[Kind.INTENT])]
    assert [m.reason for m in intents if isinstance(m, Alert)] == expected
    assert verify(market).difference is None


# --- funding --------------------------------------------------------------------------------------


def add_funding(market: Settings, rates: Sequence[tuple[float, str, int | None]]) -> None:
    """Add funding rates: second, rate, hours between two of them."""
    schema = SCHEMAS[StreamKind.FUNDING]
    times = [START_NS + int(second * 10**9) for second, _, _ in rates]
    stamps = pa.array(times, pa.int64()).cast(schema.field("ts_init").type)
    due = [
        None if hours is None else ns + 10**9
        for ns, (_, _, hours) in zip(times, rates, strict=True)
    ]
    columns = [
        pa.array([rate for _, rate, _ in rates]),
        pa.array([hours for _, _, hours in rates], pa.uint64()),
        pa.array(due, pa.int64()).cast(stamps.type),
        stamps,
        stamps,
        pa.array([None] * len(rates), pa.string()),
    ]
    rows = pa.table(columns, schema=schema)
    Store(market.catalog).write(BTC, StreamKind.FUNDING, [rows], source="hand")


def test_funding_rates_are_delivered_in_time_and_say_no_price(
    market: Settings, tmp_path: Path
) -> None:
    add_funding(market, [(0.5, "0.000100", 8), (1.7, "-0.00001234", None)])
    text = SCENARIO.format(params="", streams='["funding", "1-SECOND"]', venue_streams='["book"]')
    run(market, scenario_of(tmp_path, text))
    assert told(market) == [
        f"funding 0.000100 every 8 until {START_NS + 1_500_000_000}",
        "bar 100.0",
        "funding -0.00001234 every None until None",
        "bar 100.0",
    ]
    assert verify(market).difference is None


@pytest.mark.parametrize("column", ["rate", "interval", "next_funding_ns"])
def test_a_changed_funding_rate_is_found(market: Settings, tmp_path: Path, column: str) -> None:
    add_funding(market, [(0.5, "0.0001", 8), (1.7, "0.0002", 8)])
    text = SCENARIO.format(params="", streams='["funding"]', venue_streams='["book"]')
    run(market, scenario_of(tmp_path, text))
    (path,) = Store(market.catalog).files(StreamKind.FUNDING, str(BTC.id))
    rows = pq.read_table(path)
    place = rows.column_names.index(column)
    field = rows.schema.field(column)
    other = ["0.0001", "0.0003"] if column == "rate" else [8, 9]
    kind = field.type if column == "rate" else pa.int64()
    pq.write_table(rows.set_column(place, field, pa.array(other, kind).cast(field.type)), path)
    found = verify(market).difference
    assert found is not None
    row = 1 if column != "next_funding_ns" else 0
    assert found.what == f"the tape differs at row {row} of funding:{BTC.id}"


def test_what_is_replayed_is_reported(market: Settings, tmp_path: Path) -> None:
    text = WATCH.format(venues="", instruments='["SP500.INDEX"]', streams='["1-DAY"]')
    scenario_of(
        tmp_path,
        text.replace("book_market:Probe", "strategies.sma_crossover:SmaCrossover").replace(
            'params = { buy_at = 2, size = "1" }', "params = { fast = 1, slow = 2 }"
        ),
    )
    done = onetape(market, "run", str(tmp_path / "scenario.toml"), "--json")
    assert done.returncode == 0, done.stderr
    ran = json.loads(done.stdout.splitlines()[-1])
    assert ran["events"] == 4
    assert Path(ran["report"]).is_file()
