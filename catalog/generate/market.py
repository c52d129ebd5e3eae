"""Generated markets written into the catalog: KRX shares and Binance USD-M perpetuals.

Rule: every symbol and day has a draw of its own, named by seed, symbol and day, so that a day does
not change when more symbols are asked for. Generated shares have codes beginning with 99, which
KRX does not list: they cannot be mistaken for, or mixed with, real ones.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from nautilus_trader.model import BarType, InstrumentId

from catalog.columns import decimals_from_units, labels, times
from catalog.generate.chance import Chance, Ints
from catalog.generate.day import MINUTE_NS, DayPlan, Tape, fold_bars, generate_day
from catalog.layout import SCHEMAS
from catalog.store import Import, Instrument, Store, WriteResult, size_precision
from strategies.errors import BadInput
from strategies.markets import binance, krx
from strategies.markets.facts import RAW_ONE
from strategies.markets.sessions import DAY_NS, Session
from strategies.ports import StreamKind

type OnProgress = Callable[[int, int], None]

SIDES = ("BUY", "SELL", "NO_AGGRESSOR")
AUCTION_NS = 10 * MINUTE_NS
"""KRX's closing auction takes orders from 15:20 to 15:30; nothing trades meanwhile."""

MAX_KRX = 9_999
KRX_VOLATILITY_PPM = 20_000
CRYPTO_VOLATILITY_PPM = 30_000

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
    trades_per_day: int = 5_000,
    on_day: Callable[[], None] = lambda: None,
) -> list[InstrumentId]:
    """Write trades, quotes and 1-minute bars of ``symbols`` shares; return their ids.

    Prices lie on KRX's grid within the daily limits of the day before's close; activity differs
    between symbols with a heavy tail around ``trades_per_day``.
    """
    ids = []
    for number, code in enumerate(krx_codes(symbols)):
        instrument = krx.equity(code)
        nature = Chance(seed, "krx", code)
        close = _on_grid(_KRX_BASES[number % len(_KRX_BASES)] * (900 + nature.one(200)) // 1000)
        trades = trades_per_day // 2 + int(nature.heavy(1, trades_per_day // 4, 8)[0])
        for session in sessions:
            chance = Chance(seed, "krx", code, session.open_ns)
            plan = _krx_plan(chance, session, close, trades)
            tape = generate_day(chance, plan)
            close = int(tape.price[-1])
            _write(batch, instrument, tape, f"generated, seed {seed}")
            on_day()
        ids.append(instrument.id)
    return ids


def generate_crypto(
    batch: Import,
    days: Sequence[Session],
    *,
    symbols: int,
    seed: int,
    trades_per_day: int = 5_000,
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
            _write(batch, instrument, tape, f"generated, seed {seed}")
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


def _krx_plan(chance: Chance, session: Session, base: int, trades: int) -> DayPlan:
    low, high = (raw // RAW_ONE for raw in krx.price_limits(base * RAW_ONE))
    gap_ppm = chance.one(30_000) - 15_000
    if chance.one(8) == 0:
        gap_ppm *= 4
    grid = krx_grid(low, high)
    price = min(max(base * (1_000_000 + gap_ppm) // 1_000_000, low), int(grid[-3]))
    return DayPlan(
        open_ns=session.open_ns,
        close_ns=session.close_ns,
        grid=grid,
        open_price=price,
        volatility_ppm=KRX_VOLATILITY_PPM,
        quotes=2 * trades,
        base_size=max(2, 5_000_000 // base),
        u_shaped=True,
        episodes=3,
        surge=3,
        auction_ns=AUCTION_NS,
    )


def _crypto_plan(session: Session, base: int, size: int, trades: int) -> DayPlan:
    return DayPlan(
        open_ns=session.open_ns,
        close_ns=session.close_ns,
        grid=np.arange(base // 2, base * 2, dtype=np.int64),
        open_price=base,
        volatility_ppm=CRYPTO_VOLATILITY_PPM,
        quotes=2 * trades,
        base_size=size,
        u_shaped=False,
        episodes=8,
        surge=6,
    )


def _on_grid(won: int) -> int:
    return krx.TICKS.floor_raw(won * RAW_ONE) // RAW_ONE


def _write(batch: Import, own: Instrument, tape: Tape, source: str) -> None:
    """Write a day. Its units are those of ``own``; the catalog may know finer steps already."""
    instrument = batch.instrument(own.id) or own
    units = (own.price_precision, size_precision(own))
    kind = BarType.from_str(f"{own.id}-1-MINUTE-LAST-EXTERNAL")
    batch.write(instrument, StreamKind.QUOTES, _quotes(tape, *units), source=source)
    batch.write(instrument, StreamKind.TRADES, _trades(tape, *units), source=source)
    batch.write(instrument, StreamKind.BARS, _bars(tape, *units), source=source, bar_type=kind)


def _quotes(tape: Tape, precision: int, sizes: int) -> Iterator[pa.Table]:
    prices = [decimals_from_units(column, precision) for column in (tape.bid, tape.ask)]
    depth = [decimals_from_units(column, sizes) for column in (tape.bid_size, tape.ask_size)]
    yield _table(StreamKind.QUOTES, [*prices, *depth], tape.quote_ns)


def _trades(tape: Tape, precision: int, sizes: int) -> Iterator[pa.Table]:
    ids = pa.array(np.arange(1, len(tape.price) + 1)).cast(pa.string())
    day = str(tape.quote_ns[0] // DAY_NS)
    columns = [
        decimals_from_units(tape.price, precision),
        decimals_from_units(tape.size, sizes),
        labels(tape.side, SIDES),
        pa.compute.binary_join_element_wise(day, ids, "-"),
    ]
    yield _table(StreamKind.TRADES, columns, tape.trade_ns)


def _bars(tape: Tape, precision: int, sizes: int) -> Iterator[pa.Table]:
    closes, (*prices, volume) = fold_bars(tape, MINUTE_NS)
    columns = [decimals_from_units(column, precision) for column in prices]
    yield _table(StreamKind.BARS, [*columns, decimals_from_units(volume, sizes)], closes)


def _table(kind: StreamKind, columns: list[pa.Array], ns: Ints) -> pa.Table:
    return pa.Table.from_arrays([*columns, times(ns), times(ns)], schema=SCHEMAS[kind])
