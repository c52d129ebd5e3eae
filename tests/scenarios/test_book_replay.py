"""Books from the tape to fills: what deciders get, what the venue fills, what verify finds."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from book_market import (
    SCENARIO,
    SNAPSHOT,
    START_NS,
    TOPIC,
    Levels,
    settings_in,
    table,
    write_bars,
    write_book,
    write_quotes,
)
from small_market import journalled, run, scenario_of, verify

from catalog.generate.market import DEMO_SESSIONS, generate_crypto, generate_krx, utc_day
from catalog.store import Store
from scenarios.execute import Outcome
from scenarios.settings import Settings
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.messages import Alert, Fill, OrderState, OrderUpdate
from strategies.ports import Kind, StreamKind

EVENTS: Sequence[tuple[float, Levels | None]] = (
    (0, SNAPSHOT),
    (1, (("BUY", "99.9", "3"),)),
    (2, (("SELL", "100.1", "0"), ("SELL", "100.3", "4"))),
    (3, (("BUY", "100.0", "1"), ("SELL", "100.2", "1"))),
    (4, (("BUY", "100.0", "0"),)),
    (5, (("SELL", "100.2", "2"),)),
)


def play(
    market: Settings,
    folder: Path,
    params: str = "",
    streams: str = '["book"]',
    venue_streams: str = "[]",
    overrides: Sequence[str] = (),
) -> Outcome:
    """Replay the probe on a catalog."""
    text = SCENARIO.format(params=params, streams=streams, venue_streams=venue_streams)
    return run(market, scenario_of(folder, text, *overrides))


def told(market: Settings) -> list[str]:
    """Return what the strategy of the last run told, in order."""
    journal, found = journalled(market)
    entries = journal.entries(found, kinds=[Kind.INTENT], source="probe")
    return [e.message.reason for e in entries if isinstance(e.message, Alert)]


def fills(market: Settings) -> list[tuple[int, str, str]]:
    """Return when (ns after the start), how much and at which price the last run filled."""
    journal, found = journalled(market)
    messages = [e.message for e in journal.entries(found, kinds=[Kind.FILL])]
    return [
        (m.ts_ns - START_NS, str(m.quantity), str(m.price)) for m in messages if isinstance(m, Fill)
    ]


# --- what a decider gets --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["book", "deltas"])
def test_each_event_of_a_book_is_one_delivery(tmp_path: Path, name: str) -> None:
    market = write_book(tmp_path / "home", EVENTS)
    outcome = play(market, tmp_path, streams=f'["{name}", "{name}"]')
    assert told(market) == [
        "book 0 6: 99.9 x 1.000 / 100.1 x 1.000",
        "book 1000000000 1: 99.9 x 3.000 / 100.1 x 1.000",
        "book 2000000000 2: 99.9 x 3.000 / 100.2 x 2.000",
        "book 3000000000 2: 100.0 x 1.000 / 100.2 x 1.000",
        "book 4000000000 1: 99.9 x 3.000 / 100.2 x 1.000",
        "book 5000000000 1: 99.9 x 3.000 / 100.2 x 2.000",
    ]
    assert outcome.result.deliveries == 1 + len(EVENTS)  # the start is one too
    assert verify(market).difference is None


def test_a_window_within_a_recording_begins_with_the_book_that_stood_there(tmp_path: Path) -> None:
    market = write_book(tmp_path / "home", EVENTS)
    play(market, tmp_path, overrides=["start=2020-09-13T12:27:03Z", "chunk_rows=1"])
    assert told(market) == [
        "book 3000000000 6: 99.9 x 3.000 / 100.2 x 2.000",
        "book 3000000000 2: 100.0 x 1.000 / 100.2 x 1.000",
        "book 4000000000 1: 99.9 x 3.000 / 100.2 x 1.000",
        "book 5000000000 1: 99.9 x 3.000 / 100.2 x 2.000",
    ]
    assert verify(market).difference is None


# --- what the venue fills -------------------------------------------------------------------------


def test_a_market_order_walks_the_levels_after_the_latency(tmp_path: Path) -> None:
    market = write_book(tmp_path / "home", EVENTS)
    play(market, tmp_path, "buy_at = 1, sell_at = 4")
    # 5 ms after its decision, at the book of that moment; the sale is larger than what is wanted
    # at the best price, so it goes down the bids.
    bought, sold = [(5_000_000, "1.000", "100.1"), (5_000_000, "1.500", "100.2")], 3_005_000_000
    assert fills(market) == [*bought, (sold, "1.000", "100.0"), (sold, "1.500", "99.9")]
    assert verify(market).difference is None


def test_what_exceeds_the_book_fills_one_tick_beyond_its_last_level(tmp_path: Path) -> None:
    market = write_book(tmp_path / "home", EVENTS)
    play(market, tmp_path, 'buy_at = 1, size = "9.000"')
    assert [(size, price) for _, size, price in fills(market)] == [
        ("1.000", "100.1"),
        ("2.000", "100.2"),
        ("5.000", "100.4"),
        ("1.000", "100.5"),
    ]


def test_a_limit_order_rests_until_the_book_reaches_it(tmp_path: Path) -> None:
    events = [*EVENTS[:2], (2, (("SELL", "99.7", "4"), ("BUY", "99.9", "0"), ("BUY", "99.8", "0")))]
    market = write_book(tmp_path / "home", events)
    play(market, tmp_path, 'buy_at = 1, limit = "99.9"')
    assert {(at, price) for at, _, price in fills(market)} == {(2_000_000_000, "99.9")}
    assert sum(Decimal(size) for _, size, _ in fills(market)) == Decimal("2.5")
    assert verify(market).difference is None


@pytest.mark.parametrize(
    "broken",
    [
        None,
        (("SELL", "100.1", "0"), ("SELL", "100.2", "0"), ("SELL", "100.4", "0")),
        (("BUY", "100.3", "1"),),
    ],
    ids=["emptied", "no asks", "crossed"],
)
def test_there_is_no_market_where_the_book_has_none(tmp_path: Path, broken: Levels | None) -> None:
    market = write_book(tmp_path / "home", [*EVENTS[:2], (2, broken), (3, SNAPSHOT)])
    play(market, tmp_path, "buy_at = 3")
    assert fills(market) == []
    journal, found = journalled(market)
    updates = [e.message for e in journal.entries(found, kinds=[Kind.ORDER])]
    assert [m.state for m in updates if isinstance(m, OrderUpdate)] == [OrderState.REJECTED]


def test_a_book_beside_quotes_changes_no_fill(tmp_path: Path) -> None:
    market = write_book(tmp_path / "home", EVENTS)
    quotes = [(0.0, "90.0", "110.0", "1", "1"), (1.5, "91.0", "111.0", "1", "1")]
    write_quotes(tmp_path / "home", quotes)
    play(market, tmp_path, "buy_at = 1", streams='["quotes"]')
    alone = fills(market)
    assert [price for _, _, price in alone] == ["110.0", "110.1"]
    play(market, tmp_path, "buy_at = 2", streams='["book", "quotes"]')  # the same moment
    assert fills(market) == alone
    assert told(market)[:2] == ["book 0 6: 99.9 x 1.000 / 100.1 x 1.000", "quote 90.0 110.0"]


def test_a_book_for_the_venue_alone_fills_and_is_not_delivered(tmp_path: Path) -> None:
    market = write_book(tmp_path / "home", EVENTS)
    write_bars(tmp_path / "home", [(1.5, "80.0"), (2.5, "80.0"), (3.5, "120.0")])
    play(market, tmp_path, "buy_at = 1", '["1-SECOND"]', '["book"]', ["chunk_rows=1"])
    assert fills(market) == [(1_505_000_000, "1.000", "100.1"), (1_505_000_000, "1.500", "100.2")]
    assert "bar 120.0" in told(market)
    assert not any(text.startswith("book") for text in told(market))
    assert verify(market).difference is None


# --- whole days -----------------------------------------------------------------------------------

DAY = """
name = "day"
[venues.{venue}]
balances = ["{balance}"]
[[strategies]]
name = "probe"
class = "book_market:Probe"
instruments = ["*.{venue}"]
streams = ["book"]
weight = 1
params = {{ buy_at = 5, sell_at = 200, size = "{size}" }}
"""


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    home = tmp_path_factory.mktemp("home")
    with Store(home / "catalog").importing() as batch:
        generate_krx(batch, DEMO_SESSIONS[:1], symbols=1, seed=3, trades_per_day=400, depth=True)
        days = [utc_day(DEMO_SESSIONS[0].open_ns)]
        generate_crypto(batch, days, symbols=2, seed=3, trades_per_day=400, depth=True)
    return Settings(home, f"sqlite:///{home / 'journal.sqlite'}")


@pytest.mark.parametrize(
    ("venue", "balance", "size"),
    [("KRX", "90_000_000 KRW", "50"), ("BINANCE", "9_000 USDT", "0.05")],
)
def test_a_day_of_depth_trades_verifies_and_is_the_same_for_any_window(
    day: Settings, tmp_path: Path, venue: str, balance: str, size: str
) -> None:
    text = DAY.format(venue=venue, balance=balance, size=size)
    outcomes = [
        run(day, scenario_of(tmp_path, text, f"chunk_rows={rows}")) for rows in (100_000, 700)
    ]
    assert outcomes[0].result.fills > 1
    assert outcomes[0].digest == outcomes[1].digest
    assert verify(day).difference is None
    journal, found = journalled(day)
    entries = list(journal.entries(found))
    decided = {e.id: e.ts_ns for e in entries if e.kind is Kind.COMMAND}
    filled = [e for e in entries if e.kind is Kind.FILL]
    assert all(e.ts_ns > decided[e.cause_id] for e in filled)


# --- what verify finds ----------------------------------------------------------------------------


def rewrite(market: Settings, change: str, row: int) -> None:
    """Change one row of the book's file behind the catalog's back."""
    (path,) = Store(market.catalog).files(StreamKind.DELTAS, TOPIC)
    rows = pq.read_table(path)
    if change == "drop":
        rows = pa.concat_tables([rows.slice(0, row), rows.slice(row + 1)])
    else:
        place = rows.column_names.index(change)
        values = rows.column(change).to_pylist()
        swap = {"BUY": "SELL", "SELL": "BUY", "UPDATE": "ADD", "DELETE": "UPDATE"}
        values[row] = swap.get(values[row]) or values[row] + 1
        kind = rows.schema.field(place).type
        plain = pa.array(values, pa.string() if pa.types.is_dictionary(kind) else kind)
        encoded = plain.dictionary_encode().cast(kind) if plain.type == pa.string() else plain
        rows = rows.set_column(place, rows.schema.field(place), encoded)
    pq.write_table(rows, path, row_group_size=4)


# Six rows are the snapshot; rows 6, 7-8, 9-10, 11 and 12 are events 1 to 5.
@pytest.mark.parametrize(
    ("change", "row", "event"),
    [
        ("drop", 3, 0),
        ("drop", 8, 2),
        ("drop", 12, 5),
        ("price", 9, 3),
        ("size", 10, 3),
        ("side", 6, 1),
        ("action", 7, 2),
        ("sequence", 11, 4),
    ],
)
def test_a_changed_row_of_a_book_is_found_at_its_delivery(
    tmp_path: Path, change: str, row: int, event: int
) -> None:
    market = write_book(tmp_path / "home", EVENTS)
    play(market, tmp_path)
    rewrite(market, change, row)
    found = verify(market).difference
    assert found is not None
    assert found.what == f"the tape differs at row {event} of deltas:{TOPIC}"
    assert found.seq == 2 + event  # the start is delivery 1
    before = {0: "None x None /", 4: "100.0 x 1.000 /"}.get(event, "99.9 x ")
    assert found.state["probe"]["book"].startswith(before)


def test_a_row_that_changed_before_the_window_is_found_in_its_snapshot(tmp_path: Path) -> None:
    market = write_book(tmp_path / "home", EVENTS)
    play(market, tmp_path, overrides=["start=2020-09-13T12:27:03Z"])
    rewrite(market, "size", 6)
    found = verify(market).difference
    assert found is not None
    assert (found.seq, found.what) == (2, f"the tape differs at row 0 of deltas:{TOPIC}")


# --- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("streams", "said"),
    [
        (
            '["depth"]',
            "'depth' is no stream; write trades, quotes, book .changes of the order book",
        ),
        ('["quotes"]', "the catalog has no quotes of BTCUSDT-PERP.BINANCE; it has book - import"),
        ('["funding"]', "the catalog has no funding of BTCUSDT-PERP.BINANCE; it has book"),
    ],
)
def test_a_stream_that_is_not_there_is_said_with_those_that_are(
    tmp_path: Path, streams: str, said: str
) -> None:
    market = write_book(tmp_path / "home", EVENTS)
    with pytest.raises(BadInput, match=said):
        play(market, tmp_path, streams=streams)


def test_a_level_on_no_side_is_refused_with_its_place(tmp_path: Path) -> None:
    market = write_book(tmp_path / "home", EVENTS)
    (path,) = Store(market.catalog).files(StreamKind.DELTAS, TOPIC)
    rows = pq.read_table(path)
    nowhere = pa.array(["NO_ORDER_SIDE"] * rows.num_rows).dictionary_encode()
    kind = rows.schema.field("side").type
    pq.write_table(rows.set_column(1, rows.schema.field("side"), nowhere.cast(kind)), path)
    with pytest.raises(BadInput, match=r"no deltas between ts_init .* neither a bid nor an ask"):
        play(market, tmp_path)


def test_a_decision_at_the_close_meets_the_next_sessions_book(tmp_path: Path) -> None:
    share, home = krx.equity("005930"), tmp_path / "home"
    close, opening = 64_979.999, 127_981.0  # 15:29:59.999 of the 14th, 09:00:01 of the 15th
    events = [
        (close, (("BUY", "59900", "10"), ("SELL", "60000", "10"))),
        (opening, (("SELL", "60000", "0"), ("SELL", "60100", "10"))),
        (opening + 1, (("SELL", "60100", "4"),)),
    ]
    Store(home / "catalog").write(share, StreamKind.DELTAS, [table(events)], source="hand")
    text = DAY.format(venue="KRX", balance="90_000_000 KRW", size="3")
    market = settings_in(home)
    run(market, scenario_of(tmp_path, text.replace("buy_at = 5", "buy_at = 1")))
    ((filled_ns, size, price),) = fills(market)
    assert (size, price) == ("3", "60100")
    assert filled_ns == int(opening * 10**9) + 5_000_000
    assert verify(market).difference is None
