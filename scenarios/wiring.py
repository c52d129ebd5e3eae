"""The one composition point: builds facts, strategies, capital and host from a scenario.

Rule: replay, verify and every later mode call ``compose``; what they compose is the same object
graph, only the ports differ.
"""

import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from decimal import Decimal
from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from types import ModuleType

import msgspec
from nautilus_trader.model import IndexInstrument, InstrumentId

from catalog.store import Instrument, Store, StreamInfo
from catalog.tape import OpeningPrints, TapeStream
from scenarios.capital_settings import Ground, make_config, make_ledgers
from scenarios.scenario import (
    NS_PER_MS,
    Scenario,
    StrategyTable,
    VenueTable,
    nearest,
    parse_money,
)
from scenarios.simulated_venues import VenueKind, VenueSpec, market_of
from scenarios.stream_names import stream_of, stream_text
from strategies.arithmetic import arithmetic, reset
from strategies.capital.manager import Capital
from strategies.decider import ParamError, Params, Setup, Strategy
from strategies.errors import BadInput
from strategies.host.core import Host
from strategies.host.deciders import AnyStrategy
from strategies.host.faults import OnDeciderFailure, one_line, place_of
from strategies.host.market import Subscription, handles
from strategies.host.marks import LastPrices
from strategies.markets import binance
from strategies.markets.facts import InstrumentFacts, MarketFacts
from strategies.markets.indices import index_facts
from strategies.markets.instruments import facts_of
from strategies.ports import Clock, Journal, Orders, StreamKind

BPS = Decimal(10_000)
VENUE_KINDS = {
    "KRX": VenueKind.KRX,
    "BINANCE": VenueKind.BINANCE_USDM,
    "BINANCE_SPOT": VenueKind.BINANCE_SPOT,
}


type Topic = tuple[StreamKind, str, InstrumentId]
"""A stream: its kind, its topic in the catalog, its instrument."""


@dataclass(frozen=True, slots=True)
class Universe:
    """Everything a scenario's names resolved to in one catalog.

    ``start_ns`` to ``end_ns`` (exclusive) is the scenario's window cut to what the tape holds;
    ``slices`` names the content hash of each stream in it. ``moved_by`` says which kinds of rows
    move the prices of each simulated venue. ``traded`` are each strategy's instruments; the
    indices among them are observed: they are on no venue of ``venues`` and ``markets``.
    """

    scenario: Scenario
    start_ns: int
    end_ns: int
    venues: Mapping[str, VenueSpec]
    markets: Mapping[str, MarketFacts]
    instruments: Mapping[InstrumentId, Instrument]
    facts: Mapping[InstrumentId, InstrumentFacts]
    streams: tuple[TapeStream, ...]
    prints: tuple[OpeningPrints, ...]
    traded: Mapping[str, tuple[InstrumentId, ...]]
    topics: Mapping[str, tuple[Topic, ...]]
    classes: Mapping[str, type[AnyStrategy]]
    slices: Mapping[str, str]
    moved_by: Mapping[str, frozenset[StreamKind]]


@dataclass(frozen=True, slots=True)
class Composition:
    """One run's objects, made for one set of ports."""

    host: Host
    capital: Capital
    marks: LastPrices
    strategies: tuple[AnyStrategy, ...]


# --- what the scenario's names mean in this catalog --------------------------------------------


def resolve(scenario: Scenario, store: Store) -> Universe:
    """Look up a scenario's instruments and streams; raises BadInput for what is not there."""
    classes = load_classes(scenario)
    with arithmetic():
        return _resolve(scenario, store, classes)


def load_classes(scenario: Scenario) -> dict[str, type[AnyStrategy]]:
    """Import each strategy's class; raises BadInput where there is none."""
    with _importable(scenario.folder), arithmetic():
        return {table.name: _load_class(table, scenario) for table in scenario.table.strategies}


def _resolve(
    scenario: Scenario, store: Store, classes: Mapping[str, type[AnyStrategy]]
) -> Universe:
    known = store.instruments()
    infos = {(info.kind, info.topic): info for info in store.streams()}
    traded: dict[str, tuple[InstrumentId, ...]] = {}
    topics: dict[str, tuple[Topic, ...]] = {}
    for table in scenario.table.strategies:
        traded[table.name] = traded_by(table, known, scenario)
        listed = [
            topic
            for instrument_id in traded[table.name]
            for topic in _topics(table.streams, known[instrument_id], infos, scenario)
        ]
        topics[table.name] = heard_by(classes[table.name], table.name, listed, scenario)
    observed = dict.fromkeys(i for ids in traded.values() for i in ids)
    order = {i: None for i in observed if not isinstance(known[i], IndexInstrument)}
    wanted = {(kind, topic) for each in topics.values() for kind, topic, _ in each}
    chosen = _chosen(topics, [known[i] for i in order], infos, scenario)
    start_ns, end_ns = _window(scenario, chosen, order)
    specs = {
        name: venue_spec(name, table, scenario) for name, table in venue_tables(scenario, order)
    }
    markets = {}
    for name, spec in specs.items():
        market = market_of(spec, start_ns, end_ns)
        here = [known[i] for i in order if i.venue.value == name]
        markets[name] = in_their_currency(market, spec, here, scenario)
    quoted = _quoted_books(chosen)
    streams = tuple(
        _stream(info, known[info.instrument_id], store, wanted, quoted) for info in chosen
    )
    universe = Universe(
        scenario=scenario,
        start_ns=start_ns,
        end_ns=end_ns,
        venues=specs,
        markets=markets,
        instruments={i: known[i] for i in observed},
        facts={i: _facts(known[i], markets) for i in observed},
        streams=streams,
        prints=_prints(streams, markets),
        traded=traded,
        topics=topics,
        classes=classes,
        slices={
            f"{s.kind}:{s.topic}": store.slice_hash(s.kind, s.topic, start_ns, end_ns - 1)
            for s in streams
        },
        moved_by=_moved_by(chosen, quoted),
    )
    prove(universe)
    return universe


def in_their_currency(
    market: MarketFacts, spec: VenueSpec, traded: Sequence[Instrument], scenario: Scenario
) -> MarketFacts:
    """Return a venue's facts in the currency its instruments are quoted in: a ledger keeps one."""
    quoted = {each.quote_currency.code: each.quote_currency for each in traded}
    codes = sorted(quoted)
    if len(codes) > 1:
        raise BadInput(
            f"{scenario.source}: the instruments on {spec.name} are quoted in {' and '.join(codes)}"
            ", and one run keeps one currency a venue; trade them in a scenario each."
        )
    if codes[0] not in {balance.currency.code for balance in spec.balances}:
        raise BadInput(
            f"{scenario.source}: venues.{spec.name}.balances hold no {codes[0]}, in which its "
            f'instruments are quoted; add one such as "10 {codes[0]}".'
        )
    return replace(market, currency=quoted[codes[0]])


def prove(universe: Universe) -> None:
    """Make everything once and throw it away: what cannot be made is bad input, not a run."""
    for table in universe.scenario.table.strategies:
        _strategy(table, universe)
    reset()
    make_config(ground_of(universe))


def heard_by(
    cls: type[AnyStrategy], name: str, listed: Sequence[Topic], scenario: Scenario
) -> tuple[Topic, ...]:
    """Return the streams a strategy listed and has a handler for."""
    heard = tuple(dict.fromkeys(topic for topic in listed if handles(cls, topic[0])))
    if not heard:
        raise BadInput(
            f"{scenario.source}: strategy {name} handles none of its streams and would never be "
            "called; give it streams it has handlers for."
        )
    return heard


def _chosen(
    topics: Mapping[str, Sequence[Topic]],
    tradable: Sequence[Instrument],
    infos: Mapping[tuple[StreamKind, str], StreamInfo],
    scenario: Scenario,
) -> list[StreamInfo]:
    """Return the streams of the run in a fixed order: the heard ones, then the venues' own."""
    wanted = dict.fromkeys(topic for each in topics.values() for topic in each)
    own = dict.fromkeys(
        topic
        for each in tradable
        for topic in _topics(_venue_table(each.id, scenario).streams, each, infos, scenario)
    )
    return [infos[kind, topic] for kind, topic, _ in {**wanted, **own}]


def _quoted_books(chosen: Sequence[StreamInfo]) -> frozenset[InstrumentId]:
    """Return the instruments whose book moves the venue: those without quotes of their own."""
    quoted = {info.instrument_id for info in chosen if info.kind is StreamKind.QUOTES}
    booked = {info.instrument_id for info in chosen if info.kind is StreamKind.DELTAS}
    return frozenset(booked - quoted)


def _moved_by(
    chosen: Sequence[StreamInfo], quoted: Collection[InstrumentId]
) -> dict[str, frozenset[StreamKind]]:
    """Return which kinds of rows move the prices of each simulated venue: the finest it has.

    The engine knows one price an instrument: a trade would stand in for bid and ask, and a bar's
    close for both, until the next quote. A book in ``quoted`` gives quotes. One print a bar is no
    tick data: a KRX day is an opening print and a bar.
    """
    rows: dict[str, dict[InstrumentId, dict[StreamKind, int]]] = {}
    for info in chosen:
        own = rows.setdefault(info.instrument_id.venue.value, {}).setdefault(info.instrument_id, {})
        by_book = info.kind is StreamKind.DELTAS and info.instrument_id in quoted
        kind = StreamKind.QUOTES if by_book else info.kind
        own[kind] = own.get(kind, 0) + info.rows
    moved = {}
    for venue, instruments in rows.items():
        kinds: set[StreamKind] = set()
        for own in instruments.values():
            ticks = own.get(StreamKind.TRADES, 0) + own.get(StreamKind.QUOTES, 0)
            kinds.add(StreamKind.QUOTES if StreamKind.QUOTES in own else StreamKind.TRADES)
            if ticks <= 2 * own.get(StreamKind.BARS, 0):
                kinds.add(StreamKind.BARS)
        moved[venue] = frozenset(kinds)
    return moved


def traded_by(
    table: StrategyTable, known: Mapping[InstrumentId, Instrument], scenario: Scenario
) -> tuple[InstrumentId, ...]:
    """Return the instruments a strategy's names and patterns mean, in the order it lists them."""
    names = sorted(str(instrument_id) for instrument_id in known)
    found: dict[InstrumentId, None] = {}
    for pattern in table.instruments:
        matches = [name for name in names if fnmatchcase(name, pattern)]
        if not matches:
            have = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
            raise BadInput(
                f"{scenario.source}: instrument {pattern} of strategy {table.name} is not in the "
                f"catalog; it holds {have or 'nothing yet'} - import it first, or correct the name."
            )
        found.update(dict.fromkeys(InstrumentId.from_str(name) for name in matches))
    return tuple(found)


def _topics(
    texts: Sequence[str],
    instrument: Instrument,
    infos: Mapping[tuple[StreamKind, str], StreamInfo],
    scenario: Scenario,
) -> list[Topic]:
    """Return the streams that are listed of an instrument; of an index, those it has."""
    found, name = [], instrument.id
    for text in texts:
        try:
            kind, topic = stream_of(text, name)
        except BadInput as error:
            raise BadInput(f"{scenario.source}: {error}") from error
        if (kind, topic) in infos:
            found.append((kind, topic, name))
        elif not isinstance(instrument, IndexInstrument):
            raise _lacks(text, name, infos, scenario)
    if texts and not found:
        raise _lacks(" and no ".join(texts), name, infos, scenario)
    return found


def _lacks(
    text: str,
    name: InstrumentId,
    infos: Mapping[tuple[StreamKind, str], StreamInfo],
    scenario: Scenario,
) -> BadInput:
    has = sorted(stream_text(*key, name) for key, i in infos.items() if i.instrument_id == name)
    return BadInput(
        f"{scenario.source}: the catalog has no {text} of {name}; it has "
        f"{', '.join(has) or 'nothing'} - import them, or change streams."
    )


def _window(
    scenario: Scenario, chosen: Sequence[StreamInfo], tradable: Collection[InstrumentId]
) -> tuple[int, int]:
    """Return the run's window; without start and end, an index beside shares makes it no longer."""
    first, last = _span(chosen)
    usual = _span([info for info in chosen if info.instrument_id in tradable] or chosen)
    start = usual[0] if scenario.start_ns is None else scenario.start_ns
    end = usual[1] if scenario.end_ns is None else scenario.end_ns
    if max(start, first) >= min(end, last):
        raise BadInput(
            f"{scenario.source}: the window is empty: the tape holds {_utc(first)} to "
            f"{_utc(last)}, the scenario asks for {_utc(start)} to {_utc(end)}; change start "
            "and end (or --from and --to)."
        )
    return max(start, first), min(end, last)


def _span(infos: Sequence[StreamInfo]) -> tuple[int, int]:
    return min(info.first_ns for info in infos), max(info.last_ns for info in infos) + 1


def _utc(ts_ns: int) -> str:
    return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _venue_table(instrument_id: InstrumentId, scenario: Scenario) -> VenueTable:
    name = instrument_id.venue.value
    table = scenario.table.venues.get(name)
    if table is None:
        raise BadInput(
            f"{scenario.source}: there is no [venues.{name}] table for {instrument_id}; add one "
            "with its balances."
        )
    return table


def venue_tables(
    scenario: Scenario, order: Mapping[InstrumentId, None]
) -> Iterator[tuple[str, VenueTable]]:
    """Yield the tables of the venues that are traded on."""
    names = dict.fromkeys(instrument_id.venue.value for instrument_id in order)
    for name in names:
        yield name, scenario.table.venues[name]


def venue_spec(name: str, table: VenueTable, scenario: Scenario) -> VenueSpec:
    """Return what a venue's table says; raises BadInput for an unknown venue."""
    kind = VENUE_KINDS.get(name)
    if kind is None:
        raise BadInput(
            f"{scenario.source}: venue {name} is unknown; known: {', '.join(VENUE_KINDS)}."
        )
    return VenueSpec(
        name=name,
        kind=kind,
        balances=tuple(parse_money(text, scenario.source) for text in table.balances),
        latency_ns=int(table.latency_ms * NS_PER_MS),
        maker_rate=_rate(table.maker_bps),
        taker_rate=_rate(table.taker_bps),
        sell_tax_rate=_rate(table.sell_tax_bps),
        leverage=_leverage(kind, table),
    )


def _leverage(kind: VenueKind, table: VenueTable) -> Decimal:
    """Return the account's leverage: what binds exposure is the capital manager, not the margin.

    The engine asks margin for the whole of an order that turns a position around, the venue only
    for the part that opens; at a leverage of 1 every turn would be denied.
    """
    default = binance.DEFAULT_LEVERAGE if kind is VenueKind.BINANCE_USDM else 1
    return Decimal(default if table.leverage is None else table.leverage)


def _rate(bps: Decimal | None) -> Decimal | None:
    return None if bps is None else bps / BPS


def _facts(instrument: Instrument, markets: Mapping[str, MarketFacts]) -> InstrumentFacts:
    if isinstance(instrument, IndexInstrument):
        return index_facts(instrument)
    return facts_of(instrument, markets[instrument.id.venue.value])


def _stream(
    info: StreamInfo,
    instrument: Instrument,
    store: Store,
    wanted: Collection[tuple[StreamKind, str]],
    quoted: Collection[InstrumentId],
) -> TapeStream:
    facts_size = getattr(instrument, "size_precision", 0)
    return TapeStream(
        kind=info.kind,
        topic=info.topic,
        instrument_id=info.instrument_id,
        price_precision=instrument.price_precision,
        size_precision=int(facts_size),
        files=tuple(store.files(info.kind, info.topic)),
        delivered=(info.kind, info.topic) in wanted,
        quoted=info.kind is StreamKind.DELTAS and info.instrument_id in quoted,
    )


def _prints(
    streams: Sequence[TapeStream], markets: Mapping[str, MarketFacts]
) -> tuple[OpeningPrints, ...]:
    """Give the simulated venue opening prints where an instrument has bars and nothing finer."""
    priced = {StreamKind.TRADES, StreamKind.QUOTES, StreamKind.DELTAS}
    finer = {s.instrument_id for s in streams if s.kind in priced}
    bars: dict[InstrumentId, TapeStream] = {}
    for stream in streams:
        traded = stream.instrument_id.venue.value in markets
        if stream.kind is StreamKind.BARS and stream.instrument_id not in finer and traded:
            bars.setdefault(stream.instrument_id, stream)
    return tuple(
        OpeningPrints(stream, markets[stream.instrument_id.venue.value].sessions)
        for stream in bars.values()
    )


# --- the objects of one run ---------------------------------------------------------------------


def compose(
    universe: Universe,
    *,
    journal: Journal,
    orders: Orders,
    clock: Clock,
    on_decider_failure: OnDeciderFailure = OnDeciderFailure.STOP,
) -> Composition:
    """Make the deciders and their host, new, for one run or one re-execution."""
    scenario = universe.scenario
    strategies = tuple(_strategy(table, universe) for table in scenario.table.strategies)
    reset()  # a strategy may have changed it while it was made
    marks = LastPrices(universe.facts)
    ground = ground_of(universe)
    capital = Capital(make_config(ground), universe.facts, make_ledgers(ground), marks)
    host = Host(
        strategies=strategies,
        capital=capital,
        marks=marks,
        subscriptions=_subscriptions(universe, strategies),
        journal=journal,
        orders=orders,
        clock=clock,
        salt=f"{scenario.name}:{scenario.table.seed}",
        on_decider_failure=on_decider_failure,
    )
    return Composition(host, capital, marks, strategies)


def _subscriptions(
    universe: Universe, strategies: Sequence[AnyStrategy]
) -> tuple[Subscription, ...]:
    """Fan each stream out to the strategies that listed it and override its handler."""
    listeners: dict[Topic, list[str]] = {}
    for strategy in strategies:
        for topic in universe.topics[strategy.name]:
            listeners.setdefault(topic, []).append(strategy.name)
    return tuple(
        Subscription(kind, topic, instrument_id, tuple(names))
        for (kind, topic, instrument_id), names in listeners.items()
    )


def _strategy(table: StrategyTable, universe: Universe) -> AnyStrategy:
    cls = universe.classes[table.name]
    facts = {i: universe.facts[i] for i in universe.traded[table.name]}
    where = f"{universe.scenario.source}: strategy {table.name}"
    try:
        params = _params(cls, table, universe.scenario)
        params.check(facts)
        return cls(Setup(name=table.name, params=params, instruments=facts))
    except ParamError as error:
        raise BadInput(f"{where}: {str(error).rstrip('.')}.") from error
    except BadInput:
        raise
    # Whatever a user's class raises while it is made is the user's to see, in one sentence.
    except (Exception, SystemExit) as error:
        raise BadInput(
            f"{where} raised {_fault(error, cls.__module__)}while it was made."
        ) from error


def _fault(error: BaseException, module: str) -> str:
    return f"{type(error).__name__}: {one_line(str(error))} {place_of(error, module)}"


def _load_class(table: StrategyTable, scenario: Scenario) -> type[AnyStrategy]:
    module_name, _, class_name = table.class_.partition(":")
    where = f"{scenario.source}: class {table.class_!r} of strategy {table.name}"
    if not (class_name.isidentifier() and all(p.isidentifier() for p in module_name.split("."))):
        raise BadInput(f"{where} is not of the form my_module:MyStrategy; write it so.")
    try:
        module = import_module(module_name)
    except ModuleNotFoundError as error:
        raise BadInput(
            f"{where} cannot be imported ({error}); put {module_name}.py beside the scenario or in "
            "the folder you run from, and install what it imports."
        ) from error
    # Whatever a user's module raises while it loads is the user's to see, in one sentence.
    except (Exception, SystemExit) as error:
        raise BadInput(f"{where} raised {_fault(error, module_name)}while loading.") from error
    cls = getattr(module, class_name, None)
    if not (isinstance(cls, type) and issubclass(cls, Strategy)):
        names = [n for n, v in vars(module).items() if isinstance(v, type) and _is_own(v, module)]
        raise BadInput(
            f"{where}: there is no Strategy of that name in {module.__name__}; it has "
            f"{', '.join(names) or 'none'}."
        )
    return cls


def _is_own(cls: type, module: ModuleType) -> bool:
    return issubclass(cls, Strategy) and cls.__module__ == module.__name__


def _params(cls: type[AnyStrategy], table: StrategyTable, scenario: Scenario) -> Params:
    where = f"{scenario.source}: params of strategy {table.name}"
    valid = [field.name for field in fields(cls.params_type)]
    for key in table.params:
        if key not in valid:
            raise BadInput(f"{where}: unknown key {key}; {nearest(key, valid)}")
    try:
        return msgspec.convert(dict(table.params), cls.params_type)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$.")
        raise BadInput(f"{where}: {path.rstrip('`') or 'value'}: {what}.") from error


@contextmanager
def _importable(folder: Path | None) -> Iterator[None]:
    """Let user modules be found beside the scenario and in the working folder."""
    added = [str(path) for path in (folder, Path.cwd()) if path and str(path) not in sys.path]
    sys.path[:0] = added
    try:
        yield
    finally:
        for entry in added:
            sys.path.remove(entry)


def ground_of(universe: Universe) -> Ground:
    """Return what the capital settings are about."""
    balances = {name: spec.balances for name, spec in universe.venues.items()}
    traded = {
        name: tuple(i for i in instruments if universe.facts[i].tradable)
        for name, instruments in universe.traded.items()
    }
    return Ground(universe.scenario, universe.markets, balances, traded)


type Progress = Callable[[float, float], None]
"""Told how far a long work is: done and total, in any unit."""
