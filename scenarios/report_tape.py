"""What a report takes from the tape beside prices: decisions' prices, excursions, origin of data.

Rule: reads only; what it cannot know is left out, never guessed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import NamedTuple

import numpy as np
from nautilus_trader.model import InstrumentId, OrderSide
from sqlalchemy import func, select

from catalog.benchmark import Benchmark
from catalog.excursions import extremes, prices_at
from catalog.folds import Order
from catalog.journal import JournalStore
from catalog.journal.schema import TAPE_BLOCKS
from catalog.prices import Prices, read_prices
from catalog.report import Feed
from catalog.runs import Run
from catalog.stats import Trade
from catalog.store import Store, StreamInfo, size_precision
from catalog.tape import TapeStream, stream_name
from catalog.thinning import IntArray, PriceMarks
from scenarios.scenario import ReportTable
from scenarios.wiring import Universe
from strategies.markets.facts import RAW_ONE
from strategies.messages import Fill
from strategies.ports import StreamKind

ZERO = Decimal(0)
HELD_MAX = 60
"""Buy and hold reads the price of every instrument of the run up to this many; above, those traded
alone are held."""
SESSIONS_MAX = 800
"""More sessions than this in one window are not searched for gaps."""


def streams_of(universe: Universe, name: InstrumentId) -> list[TapeStream]:
    """Return an instrument's streams in scenario order."""
    return [stream for stream in universe.streams if stream.instrument_id == name]


# --- what a fill and a trade cost beside fees -----------------------------------------------------


def decided_prices(universe: Universe, orders: Mapping[str, Order]) -> dict[str, Decimal]:
    """Return, by order id, the last price known when the order was granted."""
    found: dict[str, Decimal] = {}
    for name in {order.instrument_id for order in orders.values()}:
        own = [order for order in orders.values() if order.instrument_id == name]
        times_ns = np.unique(np.array([order.granted_ns for order in own], np.int64))
        prices = prices_at(streams_of(universe, name), times_ns, universe.start_ns, universe.end_ns)
        known = dict(zip(times_ns.tolist(), prices, strict=True))
        for order in own:
            price = known[order.granted_ns]
            if price is not None:
                found[order.order_id] = price
    return found


def tick_cost(universe: Universe, fill: Fill) -> Decimal:
    """Return what one tick on a fill's quantity is worth."""
    tick_raw = universe.facts[fill.instrument_id].ticks.tick_raw(fill.price.raw)
    quantity: Decimal = fill.quantity.as_decimal()
    return Decimal(tick_raw) / RAW_ONE * quantity


class Share(NamedTuple):
    """What fills cost beside their commission, in the currency of the fill."""

    tax: Decimal = ZERO
    slippage: Decimal = ZERO
    one_tick: Decimal = ZERO

    def plus(self, other: "Share", part: Decimal) -> "Share":
        """Return the sum with a part of another."""
        return Share(*(mine + its * part for mine, its in zip(self, other, strict=True)))


NOTHING = Share()


@dataclass(slots=True)
class _Way:
    """One strategy's way in one instrument: its position, the trip under way, those that ended."""

    net_raw: int = 0
    now: Share = NOTHING
    ended: list[Share] = field(default_factory=list)


class TripShares:
    """Shares costs out to round trips as the fold cuts them: a fill that turns a position around
    belongs to both trips, by quantity."""

    def __init__(self) -> None:
        self._ways: dict[tuple[str, InstrumentId], _Way] = {}

    def add(self, fill: Fill, cost: Share) -> None:
        """Note what one fill cost; fills come in their order."""
        way = self._ways.setdefault((fill.strategy, fill.instrument_id), _Way())
        size = fill.quantity.raw
        signed = size if fill.side == OrderSide.BUY else -size
        closed = min(size, abs(way.net_raw)) if way.net_raw * signed < 0 else 0
        part = Decimal(closed) / size if size else ZERO
        if closed:
            way.now = way.now.plus(cost, part)
            if closed == abs(way.net_raw):
                way.ended.append(way.now)
                way.now = NOTHING
        if size > closed:
            way.now = way.now.plus(cost, 1 - part)
        way.net_raw += signed

    def next_ended(self, strategy: str, instrument_id: InstrumentId) -> Share:
        """Take the costs of the next trip that ended, in the order trips ended."""
        return self._ways[strategy, instrument_id].ended.pop(0)

    def left(self, strategy: str, instrument_id: InstrumentId) -> Share:
        """Return the costs of the trip that is still open."""
        return self._ways[strategy, instrument_id].now


def with_excursions(universe: Universe, trades: Sequence[Trade], end_ns: int) -> list[Trade]:
    """Return the trades with the worst and best they stood at while they were held."""
    found = list(trades)
    for name in sorted({trade.instrument_id for trade in trades}):
        spots = [i for i, trade in enumerate(trades) if trade.instrument_id == name]
        spans = [(trades[i].entry_ns, trades[i].exit_ns or end_ns) for i in spots]
        streams = streams_of(universe, InstrumentId.from_str(name))
        ranges = extremes(streams, spans, universe.start_ns, universe.end_ns)
        for i, between in zip(spots, ranges, strict=True):
            found[i] = _excursion(trades[i], between)
    return found


def _excursion(trade: Trade, between: tuple[Decimal, Decimal] | None) -> Trade:
    if between is None:
        return trade
    size = trade.quantity if trade.long else -trade.quantity
    stood = [(price - trade.entry_price) * size for price in between]
    if trade.closed:
        stood.append(trade.gross)
    return replace(trade, worst=min(stood), best=max(stood))


# --- benchmark ------------------------------------------------------------------------------------


def held_instruments(universe: Universe, traded: set[InstrumentId]) -> list[InstrumentId]:
    """Return what buy and hold holds: all instruments of the run, or those traded of very many."""
    everything = [name for name, facts in universe.facts.items() if facts.tradable]
    few = len(everything) <= HELD_MAX
    return [name for name in everything if few or name in traded]


def benchmark_of(
    universe: Universe,
    table: ReportTable,
    prices: Mapping[str, Prices],
    store: Store,
    edges_ns: IntArray,
) -> tuple[Benchmark, str]:
    """Return the yardstick, and a note where the one asked for is not there."""
    held = Benchmark({name: found.marks for name, found in prices.items()})
    if table.benchmark is None:
        return held, ""
    marks = _index_marks(table.benchmark, universe, store, edges_ns)
    if marks is None:
        note = (
            f"The catalog has no prices of the benchmark {table.benchmark} in this window, so "
            "buy and hold of the run's own instruments stands in for it; import it, or correct "
            "[report] benchmark."
        )
        return held, note
    return Benchmark({table.benchmark: marks}, table.benchmark), ""


def _index_marks(
    name: str, universe: Universe, store: Store, edges_ns: IntArray
) -> PriceMarks | None:
    known = {str(each): instrument for each, instrument in store.instruments().items()}
    infos = [info for info in store.streams() if str(info.instrument_id) == name]
    infos.sort(key=lambda info: (info.kind is not StreamKind.BARS, info.topic))
    if name not in known or not infos:
        return None
    info, instrument = infos[0], known[name]
    stream = TapeStream(
        kind=info.kind,
        topic=info.topic,
        instrument_id=info.instrument_id,
        price_precision=instrument.price_precision,
        size_precision=size_precision(instrument),
        files=tuple(store.files(info.kind, info.topic)),
    )
    ticks = next(iter(universe.facts.values())).ticks  # only floors the middle of quotes
    found = read_prices([stream], ticks, universe.start_ns, universe.end_ns, edges_ns)
    return found.marks if len(found.marks.ts_ns) else None


# --- where the data come from ---------------------------------------------------------------------


def feeds_of(
    universe: Universe,
    journal: JournalStore,
    run: Run,
    prices: Mapping[str, Prices],
    infos: Mapping[str, StreamInfo],
) -> list[Feed]:
    """Return one line per stream of the run: rows, origin, gaps, and whether it changed since."""
    rows = _rows(journal, run)
    found = []
    for stream in universe.streams:
        key = f"{stream.kind}:{stream.topic}"
        name = str(stream.instrument_id)
        marks = prices[name].marks if name in prices else None
        missing, expected = _gaps(universe, stream.instrument_id, marks)
        info = universe.instruments[stream.instrument_id].info or {}
        sources = infos[key].sources if key in infos else ()
        made = any(source.startswith("generat") for source in sources)
        last_ns = int(marks.ts_ns[-1]) if marks is not None and len(marks.ts_ns) else 0
        found.append(
            Feed(
                stream=key,
                instrument_id=name,
                rows=rows.get(stream_name(stream.kind, stream.topic), 0),
                origin="generated" if made else "recorded",
                source=", ".join(dict.fromkeys(source.split("/")[-1] for source in sources)),
                adjusted=bool(info.get("adjusted")),
                changed=run.manifest.slices.get(key) != universe.slices.get(key),
                missing=missing,
                expected=expected,
                age_ns=max(universe.end_ns - last_ns, 0) if last_ns else 0,
            )
        )
    return found


def _rows(journal: JournalStore, run: Run) -> dict[str, int]:
    """Return how many rows of each stream the run read, without reading their fingerprints."""
    query = (
        select(TAPE_BLOCKS.c.stream, func.sum(TAPE_BLOCKS.c.rows))
        .where(TAPE_BLOCKS.c.run_no == run.run_no)
        .group_by(TAPE_BLOCKS.c.stream)
    )
    with journal.reading() as connection:
        return {} if connection is None else {name: int(n) for name, n in connection.execute(query)}


def _gaps(universe: Universe, name: InstrumentId, marks: PriceMarks | None) -> tuple[int, int]:
    """Return how many of how many sessions in the window have no price; (0, 0) where unknown.

    A session's rows may come until the next one opens: daily bars are stamped at its close.
    """
    if marks is None:
        return 0, 0
    sessions = universe.facts[name].market.sessions
    opens: list[int] = []
    now = sessions.at(universe.start_ns) or sessions.next_after(universe.start_ns)
    while now is not None and now.open_ns < universe.end_ns:
        opens.append(now.open_ns)
        if len(opens) > SESSIONS_MAX:
            return 0, 0
        now = sessions.next_after(now.open_ns)
    edges = np.searchsorted(marks.ts_ns, [*opens, universe.end_ns + 1])
    return int(np.sum(np.diff(edges) == 0)), len(opens)
