"""Generated days: the same from a seed, consistent in themselves, within the market's rules."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.generate.chance import Chance
from catalog.generate.day import BUY, NO_AGGRESSOR, DayPlan, Tape, fold_bars, generate_day
from catalog.generate.market import (
    DEMO_SESSIONS,
    demo_market,
    generate_crypto,
    generate_krx,
    krx_codes,
    krx_grid,
    utc_day,
)
from catalog.store import Store, WriteResult
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.facts import RAW_ONE
from strategies.ports import StreamKind

MINUTE = 60_000_000_000
PINNED_DRAWS = [184, 70, 170, 178, 189]
PINNED_SIZES = [1385, 356, 193, 1118, 329]
PINNED_TRADES = "dde9f4b2cd3f2704edee17c08398ea86ef891a6a2b4f6dc46df4b72d87c43df7"
PLAN = DayPlan(
    open_ns=DEMO_SESSIONS[0].open_ns,
    close_ns=DEMO_SESSIONS[0].close_ns,
    grid=krx_grid(49_000, 91_000),
    open_price=70_000,
    volatility_ppm=20_000,
    quotes=4_000,
    base_size=70,
    u_shaped=True,
    episodes=3,
    surge=3,
    auction_ns=10 * MINUTE,
)


def small_market(root: Path, *, symbols: int = 2, seed: int = 1) -> list[WriteResult]:
    with Store(root).importing() as batch:
        generate_krx(batch, DEMO_SESSIONS, symbols=symbols, seed=seed, trades_per_day=400)
        days = [utc_day(DEMO_SESSIONS[0].open_ns)]
        generate_crypto(batch, days, symbols=2, seed=seed, trades_per_day=400)
    return batch.results


def hashes(results: list[WriteResult]) -> dict[tuple[str, int], str]:
    return {(result.topic + result.kind, result.first_ns): result.sha256 for result in results}


def read(root: Path, kind: StreamKind, topic: str) -> list[pa.Table]:
    return [pq.read_table(path) for path in Store(root).files(kind, topic)]


def test_draws_are_the_same_on_every_machine() -> None:
    chance = Chance(7, "krx", "990001")
    assert chance.below(5, 1_000).tolist() == PINNED_DRAWS
    assert chance.heavy(5, 100).tolist() == PINNED_SIZES


def test_a_seed_gives_the_same_rows_and_another_gives_others(tmp_path: Path) -> None:
    first = hashes(small_market(tmp_path / "a"))
    assert first == hashes(small_market(tmp_path / "b"))
    other = hashes(small_market(tmp_path / "c", seed=2))
    assert not set(first.values()) & set(other.values())
    assert first[
        "990001.KRXtrades", min(ns for name, ns in first if name == "990001.KRXtrades")
    ] == (PINNED_TRADES)


def test_more_symbols_do_not_change_the_others(tmp_path: Path) -> None:
    few = hashes(small_market(tmp_path / "a", symbols=1))
    many = hashes(small_market(tmp_path / "b", symbols=3))
    assert few.items() <= many.items()


def test_trades_meet_the_prevailing_quote() -> None:
    tape = generate_day(Chance(3), PLAN)
    at = np.searchsorted(tape.quote_ns, tape.trade_ns, side="right") - 1
    assert at.min() >= 0
    bought = tape.side == BUY
    auction = tape.side == NO_AGGRESSOR
    sold = ~bought & ~auction
    assert (tape.price[bought] == tape.ask[at[bought]]).all()
    assert (tape.price[sold] == tape.bid[at[sold]]).all()
    assert (tape.size[bought] <= tape.ask_size[at[bought]]).all()
    assert (tape.size[sold] <= tape.bid_size[at[sold]]).all()
    last = (tape.bid[-1], tape.ask[-1])
    assert auction.tolist() == [False] * (len(at) - 1) + [True]
    assert tape.price[-1] in last


def test_a_day_is_in_order_and_in_its_hours() -> None:
    tape = generate_day(Chance(3), PLAN)
    for stamps in (tape.quote_ns, tape.trade_ns):
        assert (np.diff(stamps) > 0).all()
    assert tape.quote_ns[0] == PLAN.open_ns
    assert tape.quote_ns[-1] < PLAN.close_ns - PLAN.auction_ns
    assert tape.trade_ns[-1] == PLAN.close_ns
    assert (tape.bid < tape.ask).all()
    assert min(tape.size.min(), tape.bid_size.min(), tape.ask_size.min()) >= 1


def test_the_edges_of_a_day_are_busier_than_its_middle() -> None:
    minute = (generate_day(Chance(3), PLAN).quote_ns - PLAN.open_ns) // MINUTE
    counts = np.bincount(minute, minlength=380)
    calm = np.median(counts[150:230])
    assert np.median(counts[:30]) > 1.5 * calm
    assert np.median(counts[-30:]) > 1.5 * calm


def test_shares_keep_to_the_grid_and_the_limits(tmp_path: Path) -> None:
    small_market(tmp_path, symbols=4)
    for code in krx_codes(4):
        trades = read(tmp_path, StreamKind.TRADES, f"{code}.KRX")
        quotes = read(tmp_path, StreamKind.QUOTES, f"{code}.KRX")
        assert len(trades) == len(DEMO_SESSIONS)
        base = int(trades[0].column("price")[-1].as_py())
        low, high = krx.price_limits(base * RAW_ONE)
        for column in (quotes[1]["bid_price"], quotes[1]["ask_price"], trades[1]["price"]):
            raws = [int(price) * RAW_ONE for price in column.to_pylist()]
            assert low <= min(raws) <= max(raws) <= high
            assert all(raw == krx.TICKS.floor_raw(raw) for raw in raws)


def test_the_limit_of_a_wild_day_holds() -> None:
    wild = DayPlan(
        open_ns=PLAN.open_ns,
        close_ns=PLAN.close_ns,
        grid=krx_grid(69_000, 71_000),
        open_price=70_000,
        volatility_ppm=200_000,
        quotes=4_000,
        base_size=70,
        u_shaped=False,
        episodes=3,
        surge=3,
    )
    tape = generate_day(Chance(3), wild)
    assert (tape.bid.min(), tape.ask.max()) == (69_000, 71_000)


@pytest.mark.parametrize("seed", range(4))
def test_days_are_neither_dead_nor_mad(seed: int) -> None:
    tape = generate_day(Chance(seed), PLAN)
    spread = (tape.price.max() - tape.price.min()) / PLAN.open_price
    assert 0.008 < spread < 0.2
    assert 1_500 < len(tape.price) < 2_800


@given(
    st.lists(
        st.tuples(st.integers(1, 200), st.integers(1, 50), st.integers(1, 9)),
        min_size=1,
        max_size=40,
    )
)
def test_bars_are_the_naive_fold(trades: list[tuple[int, int, int]]) -> None:
    ns = np.cumsum([gap for gap, _, _ in trades])
    price, size = np.array([p for _, p, _ in trades]), np.array([s for _, _, s in trades])
    none = np.zeros(0, np.int64)
    closes, columns = fold_bars(Tape(none, none, none, none, none, ns, price, size, size), 100)
    naive: dict[int, list[int]] = {}
    for at, p, s in zip(ns.tolist(), price.tolist(), size.tolist(), strict=True):
        bar = naive.setdefault(-(-at // 100) * 100, [p, p, p, p, 0])
        bar[1:] = [max(bar[1], p), min(bar[2], p), p, bar[4] + s]
    assert closes.tolist() == list(naive)
    assert [list(row) for row in zip(*(c.tolist() for c in columns), strict=True)] == list(
        naive.values()
    )


def test_the_last_bar_of_a_share_ends_with_the_session(tmp_path: Path) -> None:
    small_market(tmp_path, symbols=1)
    bars = read(tmp_path, StreamKind.BARS, "990001.KRX-1-MINUTE-LAST-EXTERNAL")[0]
    assert int(bars["ts_init"].cast(pa.int64())[-1].as_py()) == DEMO_SESSIONS[0].close_ns


def test_the_demo_is_made_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = demo_market(store)
    again = demo_market(store)
    assert len(first.instrument_ids) == 8
    assert not any(result.added for result in again.results)
    assert (again.first_ns, again.last_ns) == (first.first_ns, first.last_ns)
    rows = sum(info.rows for info in store.streams())
    assert rows == sum(result.rows for result in first.results) > 200_000


@pytest.mark.parametrize("count", [0, -1, 10_000])
def test_impossible_counts_are_refused(count: int) -> None:
    with pytest.raises(BadInput, match="cannot be generated"):
        krx_codes(count)
