"""Builds time bars from trades as the venue builds its candles.

Rule: a candle covers [open, open + interval) of the venue's time, is stamped at its close, and
takes its trades in the order the venue told them. Where nothing was traded Binance repeats the last
close with a volume of 0; on KRX there is no bar. A stream's last candle may lack trades that are
not in the catalog yet: it is left out unless its end is given.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog.columns import Ints, decimals_from_units, times, units_of
from catalog.ingest.candles import bar_type
from catalog.layout import SCHEMAS
from catalog.read import stream_tables
from catalog.store import Instrument, Store, WriteResult, size_precision
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.ports import StreamKind

FIELDS = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class Candle:
    """One candle in units of the instrument's precisions; it opens at ``number`` x interval."""

    number: int
    open: int
    high: int
    low: int
    close: int
    volume: int


def write_bars_from_trades(
    store: Store,
    instrument: Instrument,
    interval_ns: int,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> WriteResult | None:
    """Write the bars of an instrument's trades into the catalog; None where there are none.

    ``start_ns`` and ``end_ns``: as for ``bars_from_trades``. Raises BadInput where the
    catalog has no trades of it, or other bars in their place.
    """
    topic = str(instrument.id)
    if not store.files(StreamKind.TRADES, topic):
        raise BadInput(f"the catalog {store.root} has no trades of {topic}: import some first.")
    tables = stream_tables(store, StreamKind.TRADES, topic)
    rows = bars_from_trades(tables, instrument, interval_ns, start_ns, end_ns)
    kind = bar_type(instrument.id, interval_ns)
    return store.write(
        instrument, StreamKind.BARS, rows, source=f"trades of {topic}", bar_type=kind
    )


def bars_from_trades(
    trades: Iterable[pa.Table],
    instrument: Instrument,
    interval_ns: int,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Iterator[pa.Table]:
    """Yield bars of the layout's schema for tables of trades in the catalog's order.

    ``start_ns`` and ``end_ns`` say that all trades between them are there: candles that open and
    close within are complete, and quiet ones are filled up to the end. Raises BadInput where a
    trade is late by more than a candle.
    """
    price, size = int(instrument.price_precision), size_precision(instrument)
    repeats = instrument.id.venue.value != krx.VENUE
    last: Candle | None = None
    first = -(-start_ns // interval_ns) if start_ns is not None else None
    for found in _candles(trades, interval_ns, (price, size), end_ns):
        first = found[0].number + 1 if first is None else first
        candles = [candle for candle in found if candle.number >= first]
        filled = list(_filled(candles, last)) if repeats else candles
        if filled:
            last = filled[-1]
            yield _table(filled, interval_ns, price, size)
    if last is not None and repeats and end_ns is not None:
        quiet = [_quiet(last, number) for number in range(last.number + 1, end_ns // interval_ns)]
        if quiet:
            yield _table(quiet, interval_ns, price, size)


def _candles(
    trades: Iterable[pa.Table],
    interval_ns: int,
    decimals: tuple[int, int],
    end_ns: int | None,
) -> Iterator[list[Candle]]:
    """Yield complete candles; the two newest wait, as times of neighbours may be swapped."""
    held = [np.empty(0, np.int64) for _ in range(3)]
    done = -1
    for table in trades:
        numbers = table.column("ts_event").cast(pa.int64()).to_numpy() // interval_ns
        new = [
            numbers,
            units_of(table.column("price"), decimals[0]),
            units_of(table.column("size"), decimals[1]),
        ]
        held = [np.concatenate(pair) for pair in zip(held, new, strict=True)]
        if len(held[0]) and int(held[0].min()) <= done:
            at = int(held[0].min()) * interval_ns
            raise BadInput(
                f"a trade of the candle at {at} ns comes after candles that follow it: the trades "
                "are out of order by more than an interval."
            )
        if len(held[0]) == 0:
            continue
        newest = int(held[0].max()) - 2
        ready = held[0] <= newest
        if ready.any():
            yield _grouped([column[ready] for column in held])
            held = [column[~ready] for column in held]
            done = newest
    complete = held[0] < (end_ns // interval_ns if end_ns is not None else _last(held[0]))
    if complete.any():
        yield _grouped([column[complete] for column in held])


def _last(numbers: Ints) -> int:
    return int(numbers.max()) if len(numbers) else 0


def _grouped(columns: list[Ints]) -> list[Candle]:
    order = np.argsort(columns[0], kind="stable")
    numbers, prices, sizes = (column[order] for column in columns)
    starts = np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]]))
    ends = np.concatenate([starts[1:], [len(numbers)]]) - 1
    values = (
        numbers[starts],
        prices[starts],
        np.maximum.reduceat(prices, starts),
        np.minimum.reduceat(prices, starts),
        prices[ends],
        np.add.reduceat(sizes, starts),
    )
    return [Candle(*row) for row in zip(*(column.tolist() for column in values), strict=True)]


def _filled(candles: Iterable[Candle], last: Candle | None) -> Iterator[Candle]:
    for candle in candles:
        if last is not None:
            for number in range(last.number + 1, candle.number):
                yield _quiet(last, number)
        yield candle
        last = candle


def _quiet(last: Candle, number: int) -> Candle:
    return Candle(number, last.close, last.close, last.close, last.close, 0)


def _table(candles: list[Candle], interval_ns: int, price: int, size: int) -> pa.Table:
    def column(name: str) -> npt.NDArray[np.int64]:
        return np.array([getattr(candle, name) for candle in candles], np.int64)

    values = [decimals_from_units(column(n), size if n == "volume" else price) for n in FIELDS]
    stamps = times((column("number") + 1) * interval_ns)
    return pa.Table.from_arrays([*values, stamps, stamps], schema=SCHEMAS[StreamKind.BARS])
