"""Generated markets written into the catalog: KRX shares and Binance USD-M perpetuals.

Rule: every symbol and day has a draw of its own, named by seed, symbol and day, so that a day does
not change when more symbols are asked for. Generated shares have codes beginning with 99, which
KRX does not list: they cannot be mistaken for, or mixed with, real ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isqrt

import numpy as np
from nautilus_trader.model import InstrumentId

from catalog.generate.chance import Chance, Ints
from catalog.generate.day import PPB, DayPlan, Tape, generate_day
from catalog.generate.factors import (
    MINUTE_NS,
    PERCENT_PPB,
    Exposure,
    Factors,
    draw_exposure,
    draw_factors,
)
from catalog.generate.rows import write_day
from catalog.generate.targets import LEAST_QUOTES, Targets
from catalog.store import Import, Store, WriteResult
from strategies.errors import BadInput
from strategies.markets import binance, krx
from strategies.markets.facts import RAW_ONE
from strategies.markets.sessions import DAY_NS, Session

type OnProgress = Callable[[int, int], None]

AUCTION_NS = 10 * MINUTE_NS
"""KRX's closing auction takes orders from 15:20 to 15:30; nothing trades meanwhile."""

MAX_KRX = 9_999
TRADES_PER_DAY = 5_000
LIKE_TRADES = 1_000
"""Trades of a symbol on a day, on average, where no number is given."""

KRX_VOLATILITY_PPB = 2 * PERCENT_PPB
CRYPTO_VOLATILITY_PPB = 3 * PERCENT_PPB
_GAP_PPB = PERCENT_PPB * 6 // 10
_NEWS_ONE_IN = 16
_MOST_ACTIVE = 40
_CRYPTO_BURSTS = 40

_KRX_BASES = (71_200, 183_000, 17_450, 34_050, 9_820, 412_500, 4_310, 1_852)
_CRYPTO_BASES: dict[str, int] = {  # price and least size in units of the symbol's steps
    "BTCUSDT": 610_000,
    "ETHUSDT": 265_000,
    "BNBUSDT": 56_000,
    "SOLUSDT": 14_800,
    "XRPUSDT": 5_200,
    "DOGEUSDT": 10_500,
}
_CRYPTO_SIZES = (40, 400, 100, 500, 4_000, 3_000)

DEMO_KRX_SYMBOLS = 6
DEMO_CRYPTO_SYMBOLS = 2
DEMO_SESSIONS = tuple(
    Session(open_ns, open_ns + (6 * 60 + 30) * MINUTE_NS)
    for open_ns in (
        int(datetime(2026, 3, day, tzinfo=UTC).timestamp()) * 1_000_000_000 for day in (9, 10)
    )
)
"""Monday and Tuesday, 2026-03-09 and 10, 09:00 to 15:30 in Seoul, which is 00:00 UTC on."""


@dataclass(frozen=True, slots=True)
class Generated:
    """What was generated: instruments in order, and the span of the data, both ends inclusive."""

    instrument_ids: tuple[InstrumentId, ...]
    first_ns: int
    last_ns: int
    results: tuple[WriteResult, ...]


def krx_codes(count: int) -> list[str]:
    """Return the codes of generated shares. Raises BadInput for a count that has none."""
    if not 1 <= count <= MAX_KRX:
        raise BadInput(f"{count} KRX symbols cannot be generated: ask for 1 to {MAX_KRX:,}.")
    return [f"99{number:04d}" for number in range(1, count + 1)]


def crypto_symbols(count: int) -> list[str]:
    """Return the symbols of generated pairs. Raises BadInput for a count that has none."""
    if not 1 <= count <= len(_CRYPTO_BASES):
        raise BadInput(
            f"{count} crypto pairs cannot be generated: ask for 1 to {len(_CRYPTO_BASES)}."
        )
    return list(_CRYPTO_BASES)[:count]


def generate_krx(
    batch: Import,
    sessions: Sequence[Session],
    *,
    symbols: int,
    seed: int,
    trades_per_day: int = TRADES_PER_DAY,
    depth: bool = False,
    on_day: Callable[[], None] = lambda: None,
) -> list[InstrumentId]:
    """Write trades, quotes and 1-minute bars of ``symbols`` shares; return their ids.

    Prices lie on KRX's grid within the daily limits of the day before's close; activity differs
    between symbols with a heavy tail around ``trades_per_day``. ``depth`` adds ten-level books.
    """
    shares = _Shares(batch, seed, depth=depth)
    ids = []
    for number, code in enumerate(krx_codes(symbols)):
        nature = _draw_nature(seed, code, number, trades_per_day)
        close = nature.base
        for session in sessions:
            chance = Chance(seed, "krx", code, session.open_ns, "plan")
            plan = _krx_plan(chance, session, close, nature, shares.factors(session))
            tape = shares.write(code, session, plan, f"generated, seed {seed}")
            close = int(tape.price[-1])
            on_day()
        ids.append(krx.equity(code).id)
    return ids


def generate_like(
    batch: Import,
    days: Sequence[tuple[Session, Mapping[str, Targets]]],
    *,
    like: str,
    seed: int,
    trades_per_day: int = LIKE_TRADES,
    depth: bool = False,
    on_day: Callable[[], None] = lambda: None,
) -> list[InstrumentId]:
    """Write days on which each share has exactly the given daily prices and volume.

    ``days``: per session the targets by code, as ``like.read_days`` gives them from the table
    named ``like``. A share has more trades the more money it turned over, ``trades_per_day`` on
    average.
    """
    shares = _Shares(batch, seed, depth=depth)
    codes: dict[str, None] = {}
    for session, targets in days:
        activity = {code: isqrt(each.close * each.volume) for code, each in targets.items()}
        whole = max(1, sum(activity.values()))
        for code, each in targets.items():
            trades = trades_per_day * len(targets) * activity[code] // whole
            trades = min(max(8, trades), each.volume)
            exposure = draw_exposure(Chance(seed, "krx", code))
            plan = like_plan(session, each, trades, exposure, shares.factors(session))
            shares.write(code, session, plan, f"generated like {like}, seed {seed}")
            codes[code] = None
            on_day()
    return [krx.equity(code).id for code in codes]


def generate_crypto(
    batch: Import,
    days: Sequence[Session],
    *,
    symbols: int,
    seed: int,
    trades_per_day: int = TRADES_PER_DAY,
    depth: bool = False,
    on_day: Callable[[], None] = lambda: None,
) -> list[InstrumentId]:
    """Write trades, quotes and 1-minute bars of ``symbols`` USD-M perpetuals; return their ids.

    A day is whatever span is given, usually 24 hours UTC; activity comes in bursts.
    """
    ids = []
    for symbol, size in zip(crypto_symbols(symbols), _CRYPTO_SIZES, strict=False):
        instrument = binance.perpetual(symbol)
        close = _CRYPTO_BASES[symbol]
        for session in days:
            chance = Chance(seed, "crypto", symbol, session.open_ns)
            plan = _crypto_plan(session, close, size, trades_per_day)
            tape = generate_day(chance, plan)
            close = int(tape.price[-1])
            source = f"generated, seed {seed}"
            write_day(batch, instrument, plan, tape, source, depth=depth)
            on_day()
        ids.append(instrument.id)
    return ids


def demo_market(
    store: Store, seed: int = 1, on_progress: OnProgress = lambda _done, _total: None
) -> Generated:
    """Generate the demo's market: six KRX shares and two perpetuals over two days.

    What is there already from the same seed is left alone.
    """
    total = (DEMO_KRX_SYMBOLS + DEMO_CRYPTO_SYMBOLS) * len(DEMO_SESSIONS)
    on_day = counter(on_progress, total)
    days = [utc_day(session.open_ns) for session in DEMO_SESSIONS]
    with store.importing() as batch:
        ids = generate_krx(batch, DEMO_SESSIONS, symbols=DEMO_KRX_SYMBOLS, seed=seed, on_day=on_day)
        ids += generate_crypto(batch, days, symbols=DEMO_CRYPTO_SYMBOLS, seed=seed, on_day=on_day)
    return generated(ids, batch.results)


def generated(ids: Sequence[InstrumentId], results: Sequence[WriteResult]) -> Generated:
    """Sum up one import of generated days."""
    return Generated(
        tuple(ids),
        min(result.first_ns for result in results),
        max(result.last_ns for result in results),
        tuple(results),
    )


def utc_day(ts_ns: int) -> Session:
    """Return the UTC day that holds a moment."""
    start = ts_ns - ts_ns % DAY_NS
    return Session(start, start + DAY_NS - 1)


def counter(on_progress: OnProgress, total: int) -> Callable[[], None]:
    """Return a function that counts symbol-days for a progress bar."""
    done = 0

    def on_day() -> None:
        nonlocal done
        done += 1
        on_progress(done, total)

    return on_day


def krx_grid(low: int, high: int) -> Ints:
    """Return all of KRX's prices from ``low`` to ``high`` won, both inclusive."""
    starts = [start for start, _ in krx.TICK_BANDS_KRW]
    parts = []
    for (start, tick), end in zip(krx.TICK_BANDS_KRW, [*starts[1:], high + 1], strict=True):
        first = max(start, -(-low // tick) * tick, tick)
        parts.append(np.arange(first, min(end, high + 1), tick, dtype=np.int64))
    return np.concatenate(parts)


class _Shares:
    """KRX's shares on their days: each from draws of its own and from the factors of its day."""

    def __init__(self, batch: Import, seed: int, *, depth: bool) -> None:
        self._batch = batch
        self._seed = seed
        self._depth = depth
        self._factors: dict[int, Factors] = {}

    def factors(self, session: Session) -> Factors:
        """Return what all shares have in common on a day."""
        if session.open_ns not in self._factors:
            chance = Chance(self._seed, "krx", "factors", session.open_ns)
            minutes = (session.close_ns - AUCTION_NS - session.open_ns) // MINUTE_NS
            self._factors[session.open_ns] = draw_factors(chance, minutes)
        return self._factors[session.open_ns]

    def write(self, code: str, session: Session, plan: DayPlan, source: str) -> Tape:
        """Draw a day and write it."""
        tape = generate_day(Chance(self._seed, "krx", code, session.open_ns), plan)
        write_day(self._batch, krx.equity(code), plan, tape, source, depth=self._depth)
        return tape


def _krx_plan(
    chance: Chance, session: Session, base: int, nature: "_Nature", factors: Factors
) -> DayPlan:
    low, high = (raw // RAW_ONE for raw in krx.price_limits(base * RAW_ONE))
    own_gap = int(chance.noise(1, _GAP_PPB)[0]) * (4 if chance.one(8) == 0 else 1)
    gap_ppb = own_gap + factors.gap(nature.exposure)
    grid = krx_grid(low, high)
    price = min(max(base * (PPB + gap_ppb) // PPB, low), int(grid[-3]))
    news = 0
    if chance.one(_NEWS_ONE_IN) == 0:
        news = (8 + chance.one(20)) * PERCENT_PPB * (1 if chance.one(2) else -1)
    return DayPlan(
        open_ns=session.open_ns,
        close_ns=session.close_ns,
        grid=grid,
        open_price=price,
        volatility_ppb=nature.volatility_ppb,
        quotes=2 * nature.trades,
        base_size=max(2, 5_000_000 // base),
        u_shaped=True,
        episodes=3,
        surge=3,
        factors=factors.minutes(nature.exposure),
        news_ppb=news,
        auction_ns=AUCTION_NS,
    )


def like_plan(
    session: Session, targets: Targets, trades: int, exposure: Exposure, factors: Factors
) -> DayPlan:
    """Plan a day that hits its targets; quotes stay between its low and high, where it can."""
    quotes = max(LEAST_QUOTES, 2 * trades)
    return DayPlan(
        open_ns=session.open_ns,
        close_ns=session.close_ns,
        grid=_grid_between(targets.low, targets.high),
        open_price=targets.open,
        volatility_ppb=KRX_VOLATILITY_PPB,
        quotes=quotes,
        base_size=1 + 2 * targets.volume // quotes,
        u_shaped=True,
        episodes=3,
        surge=3,
        factors=factors.minutes(exposure),
        auction_ns=AUCTION_NS,
        targets=targets,
    )


def _grid_between(low: int, high: int) -> Ints:
    """Return KRX's prices around a span: from the last at or below it to the first at or above."""
    first = krx.TICKS.floor_raw(low * RAW_ONE) // RAW_ONE
    last = krx.TICKS.ceil_raw(high * RAW_ONE) // RAW_ONE
    if first == last:
        last = krx.TICKS.next_above_raw(last * RAW_ONE) // RAW_ONE
    return krx_grid(first, last)


@dataclass(frozen=True, slots=True)
class _Nature:
    """What a share is like on every day."""

    exposure: Exposure
    base: int
    trades: int
    volatility_ppb: int


def _draw_nature(seed: int, code: str, number: int, trades_per_day: int) -> _Nature:
    nature = Chance(seed, "krx", code)
    exposure = draw_exposure(nature)
    base = _on_grid(_KRX_BASES[number % len(_KRX_BASES)] * (900 + nature.one(200)) // 1000)
    share = max(1, trades_per_day // 6)
    trades = share + int(nature.heavy(1, share, _MOST_ACTIVE)[0])
    own = KRX_VOLATILITY_PPB // 2
    return _Nature(exposure, base, max(8, trades), own + int(nature.heavy(1, own // 2, 6)[0]))


def _crypto_plan(session: Session, base: int, size: int, trades: int) -> DayPlan:
    return DayPlan(
        open_ns=session.open_ns,
        close_ns=session.close_ns,
        grid=np.arange(base // 2, base * 2, dtype=np.int64),
        open_price=base,
        volatility_ppb=CRYPTO_VOLATILITY_PPB,
        quotes=max(8, 2 * trades),
        base_size=size,
        u_shaped=False,
        episodes=8,
        surge=6,
        bursts=_CRYPTO_BURSTS,
    )


def _on_grid(won: int) -> int:
    return krx.TICKS.floor_raw(won * RAW_ONE) // RAW_ONE
