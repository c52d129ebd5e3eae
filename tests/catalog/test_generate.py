"""Generated days: the same from a seed, consistent in themselves, within the market's rules."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from generated_days import assert_consistent
from hypothesis import given
from hypothesis import strategies as st

from catalog.generate.chance import Chance
from catalog.generate.day import NO_AGGRESSOR, DayPlan, Tape, fold_bars, generate_day
from catalog.generate.factors import PERCENT_PPB, draw_exposure, draw_factors
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
PINNED = {  # SHA-256 of the rows of Monday
    "990001.KRXtrades": "23e76533f8f9948390905fe7185d3e47e8685e682688fb01f3c54cbd82f31f51",
    "BTCUSDT-PERP.BINANCEquotes": (
        "c2a1cf6eb4949d6f4df5ec158b7e457fe7a1c644aea1a2b00dafe850f9bff389"
    ),
}
PLAN = DayPlan(
    open_ns=DEMO_SESSIONS[0].open_ns,
    close_ns=DEMO_SESSIONS[0].close_ns,
    grid=krx_grid(49_000, 91_000),
    open_price=70_000,
    volatility_ppb=2 * PERCENT_PPB,
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
    pinned = {name: sha for (name, ns), sha in first.items() if ns // (24 * 60 * MINUTE) == 20_521}
    assert {name: pinned[name] for name in PINNED} == PINNED


def test_more_symbols_do_not_change_the_others(tmp_path: Path) -> None:
    few = hashes(small_market(tmp_path / "a", symbols=1))
    many = hashes(small_market(tmp_path / "b", symbols=3))
    assert few.items() <= many.items()


@given(st.integers(0, 2**32), st.integers(8, 400), st.sampled_from([1, 5, 40]))
def test_every_day_is_consistent(seed: int, quotes: int, percent: int) -> None:
    assert_consistent(
        generate_day(
            Chance(seed), replace(PLAN, quotes=quotes, volatility_ppb=percent * PERCENT_PPB)
        )
    )


def test_a_share_trades_from_its_opening_print_to_its_closing_print() -> None:
    tape = generate_day(Chance(3), PLAN)
    assert tape.quote_ns[0] == PLAN.open_ns
    assert PLAN.open_ns < tape.trade_ns[0] < PLAN.open_ns + MINUTE // 60
    assert tape.trade_ns[-1] == PLAN.close_ns
    assert (tape.side[[0, -1]] == NO_AGGRESSOR).all()
    assert (tape.trade_ns[1:-1] < PLAN.close_ns - PLAN.auction_ns).all()
    assert np.flatnonzero(tape.side[1:-1] == NO_AGGRESSOR).size == 0


@pytest.mark.parametrize("percent", [18, -18])
def test_a_far_move_pauses_trading_for_two_minutes(percent: int) -> None:
    plan = replace(PLAN, news_ppb=percent * PERCENT_PPB, volatility_ppb=PERCENT_PPB)
    tape = generate_day(Chance(5), plan)
    assert_consistent(tape)
    auctions = np.flatnonzero(tape.side == NO_AGGRESSOR)
    assert len(auctions) >= 3
    for before, after in pairwise(auctions.tolist()[:-1]):
        reference = tape.price[before]
        between = tape.price[before + 1 : after]
        assert (abs(between - reference) * 10 < reference).all()
        assert abs(tape.price[after] - reference) * 10 >= reference
        quote = int(np.searchsorted(tape.quote_ns, tape.trade_ns[after])) - 1
        pause = tape.quote_ns[quote] - tape.quote_ns[quote - 1]
        assert 2 * MINUTE <= pause < 3 * MINUTE
        assert tape.trade_ns[after - 1] < tape.quote_ns[quote - 1] + MINUTE // 60


def test_a_crypto_day_has_bursts_and_no_auction() -> None:
    plan = replace(PLAN, auction_ns=0, bursts=20, u_shaped=False)
    tape = generate_day(Chance(3), plan)
    assert_consistent(tape)
    assert not (tape.side == NO_AGGRESSOR).any()
    seconds = np.bincount((tape.quote_ns - plan.open_ns) // (MINUTE // 60))
    even = generate_day(Chance(3), replace(plan, bursts=0))
    calm = np.bincount((even.quote_ns - plan.open_ns) // (MINUTE // 60))
    assert np.sort(seconds)[-20:].sum() > 4 * np.sort(calm)[-20:].sum()


def test_volume_swells_before_and_with_a_move() -> None:
    plan = replace(PLAN, episodes=0, news_ppb=8 * PERCENT_PPB, volatility_ppb=PERCENT_PPB // 4)
    moving, resting = [], []
    for seed in range(6):
        tape = generate_day(Chance(seed), replace(plan, auction_ns=0))
        minute = (tape.trade_ns - plan.open_ns) // MINUTE
        volume = np.bincount(minute, tape.size, 390)
        last = np.maximum.accumulate(
            np.where(np.bincount(minute, minlength=390) > 0, np.arange(390), 0)
        )
        close = np.array([tape.price[minute <= m][-1] for m in last])
        move = np.abs(np.diff(close))
        hot = np.flatnonzero(move > np.percentile(move, 97)) + 1
        moving.append(volume[hot].mean())
        resting.append(np.median(volume))
    assert np.mean(moving) > 2 * np.mean(resting)


def test_shares_of_a_sector_move_together() -> None:
    factors = draw_factors(Chance(2, "factors"), 380)
    exposures = [draw_exposure(Chance(2, number)) for number in range(40)]
    first = exposures[0]
    same = next(each for each in exposures[1:] if each.sector == first.sector)
    other = next(each for each in exposures[1:] if each.sector != first.sector)
    alike = np.corrcoef(factors.minutes(first), factors.minutes(same))[0, 1]
    apart = np.corrcoef(factors.minutes(first), factors.minutes(other))[0, 1]
    assert alike > apart > 0.2


def test_activity_has_a_heavy_tail(tmp_path: Path) -> None:
    with Store(tmp_path).importing() as batch:
        generate_krx(batch, DEMO_SESSIONS[:1], symbols=60, seed=4, trades_per_day=200)
    counts = np.array([r.rows for r in batch.results if r.kind is StreamKind.TRADES])
    assert counts.mean() > 150
    assert counts.max() > 5 * np.median(counts)


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
        volatility_ppb=20 * PERCENT_PPB,
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
    assert 1_500 < len(tape.price) < 3_600


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
