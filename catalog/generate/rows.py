"""Writes a generated day into the catalog: quotes, trades, 1-minute bars and, asked for, depth."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from nautilus_trader.model import BarType

from catalog.columns import decimals_from_units, labels, times
from catalog.generate.chance import Ints
from catalog.generate.day import DayPlan, Tape, fold_bars
from catalog.generate.depth import ACTIONS, BOOK_SIDES, depth_deltas
from catalog.generate.factors import MINUTE_NS
from catalog.layout import SCHEMAS
from catalog.store import Import, Instrument, size_precision
from strategies.markets.sessions import DAY_NS
from strategies.ports import StreamKind

SIDES = ("BUY", "SELL", "NO_AGGRESSOR")


def write_day(
    batch: Import, own: Instrument, plan: DayPlan, tape: Tape, source: str, *, depth: bool
) -> None:
    """Write a day. Its units are those of ``own``; the catalog may know finer steps already."""
    instrument = batch.instrument(own.id) or own
    units = (own.price_precision, size_precision(own))
    kind = BarType.from_str(f"{own.id}-1-MINUTE-LAST-EXTERNAL")
    batch.write(instrument, StreamKind.QUOTES, _quotes(tape, *units), source=source)
    batch.write(instrument, StreamKind.TRADES, _trades(tape, *units), source=source)
    batch.write(instrument, StreamKind.BARS, _bars(tape, *units), source=source, bar_type=kind)
    if depth:
        deltas = _deltas(plan, tape, *units)
        batch.write(instrument, StreamKind.DELTAS, deltas, source=source)


def _quotes(tape: Tape, precision: int, sizes: int) -> Iterator[pa.Table]:
    prices = [decimals_from_units(column, precision) for column in (tape.bid, tape.ask)]
    shown = [decimals_from_units(column, sizes) for column in (tape.bid_size, tape.ask_size)]
    yield _table(StreamKind.QUOTES, [*prices, *shown], tape.quote_ns)


def _trades(tape: Tape, precision: int, sizes: int) -> Iterator[pa.Table]:
    ids = pa.array(np.arange(1, len(tape.price) + 1)).cast(pa.string())
    day = str(tape.quote_ns[0] // DAY_NS)
    columns = [
        decimals_from_units(tape.price, precision),
        decimals_from_units(tape.size, sizes),
        labels(tape.side, SIDES),
        pc.binary_join_element_wise(day, ids, "-"),
    ]
    yield _table(StreamKind.TRADES, columns, tape.trade_ns)


def _bars(tape: Tape, precision: int, sizes: int) -> Iterator[pa.Table]:
    closes, (*prices, volume) = fold_bars(tape, MINUTE_NS)
    columns = [decimals_from_units(column, precision) for column in prices]
    yield _table(StreamKind.BARS, [*columns, decimals_from_units(volume, sizes)], closes)


def _deltas(plan: DayPlan, tape: Tape, precision: int, sizes: int) -> Iterator[pa.Table]:
    for part in depth_deltas(tape, plan.grid, plan.base_size):
        columns = [
            labels(part.action, ACTIONS),
            labels(part.side, BOOK_SIDES),
            decimals_from_units(part.price, precision),
            decimals_from_units(part.size, sizes),
            pa.array(np.zeros(len(part.ns), np.uint64)),
            pa.array(part.flags.astype(np.uint8)),
            pa.array(part.sequence.astype(np.uint64)),
        ]
        yield _table(StreamKind.DELTAS, columns, part.ns)


def _table(kind: StreamKind, columns: list[pa.Array], ns: Ints) -> pa.Table:
    return pa.Table.from_arrays([*columns, times(ns), times(ns)], schema=SCHEMAS[kind])
