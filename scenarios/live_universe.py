"""What a scenario's names mean at a venue rather than in a catalog.

Rule: the same universe as on replay, without a tape: instruments come from the venue, every
stream that the venue can give is there, and the window is the run's own.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

from nautilus_trader.model import BarAggregation, BarType, InstrumentId

from catalog.store import Instrument
from scenarios.scenario import Scenario, StrategyTable
from scenarios.screen import seoul
from scenarios.simulated_venues import market_of
from scenarios.stream_names import stream_of
from scenarios.wiring import (
    Topic,
    Universe,
    heard_by,
    in_their_currency,
    load_classes,
    prove,
    traded_by,
    venue_spec,
    venue_tables,
)
from strategies.arithmetic import arithmetic
from strategies.errors import BadInput
from strategies.host.deciders import AnyStrategy
from strategies.markets.instruments import facts_of
from strategies.ports import StreamKind

BAR_STEPS = frozenset(
    {
        BarAggregation.SECOND,
        BarAggregation.MINUTE,
        BarAggregation.HOUR,
        BarAggregation.DAY,
    }
)


def named_codes(scenario: Scenario, venue: str) -> list[str] | None:
    """Return the symbols a scenario names on a venue; None where a pattern needs the whole list."""
    names = dict.fromkeys(name for each in scenario.table.strategies for name in each.instruments)
    if any(re.search(r"[*?\[]", name) for name in names):
        return None
    return [name.rpartition(".")[0] for name in names if name.rpartition(".")[2] == venue]


def matched_codes(scenario: Scenario, venue: str, listed: Sequence[str]) -> list[str]:
    """Return the listed symbols that a scenario's names and patterns mean, in listed order."""
    patterns = [name for each in scenario.table.strategies for name in each.instruments]
    return [
        code for code in listed if any(fnmatchcase(f"{code}.{venue}", each) for each in patterns)
    ]


def resolve_live(
    scenario: Scenario,
    known: Mapping[InstrumentId, Instrument],
    base_prices_raw: Mapping[InstrumentId, int],
    start_ns: int,
    end_ns: int,
) -> Universe:
    """Return the universe of a run from ``start_ns`` until ``end_ns`` (market time, UTC).

    ``known`` are the venue's instruments, ``base_prices_raw`` what their day's price limits are
    counted from. Raises BadInput.
    """
    if end_ns <= start_ns:
        raise BadInput(
            f"{scenario.source}: the run's end ({seoul(end_ns)}) has come before it could begin; "
            "give a later one."
        )
    classes = load_classes(scenario)
    _check_names(scenario, known)
    with arithmetic():
        traded = {
            table.name: traded_by(table, known, scenario) for table in scenario.table.strategies
        }
        topics = {
            table.name: _topics(table, traded[table.name], classes[table.name], scenario)
            for table in scenario.table.strategies
        }
        order = dict.fromkeys(i for ids in traded.values() for i in ids)
        specs = {
            name: venue_spec(name, table, scenario) for name, table in venue_tables(scenario, order)
        }
        markets = {
            name: in_their_currency(
                market_of(spec, start_ns, end_ns),
                spec,
                [known[i] for i in order if i.venue.value == name],
                scenario,
            )
            for name, spec in specs.items()
        }
        universe = Universe(
            scenario=scenario,
            start_ns=start_ns,
            end_ns=end_ns,
            venues=specs,
            markets=markets,
            instruments={i: known[i] for i in order},
            facts={
                i: replace(
                    facts_of(known[i], markets[i.venue.value]),
                    base_price_raw=base_prices_raw.get(i),
                )
                for i in order
            },
            streams=(),
            prints=(),
            traded=traded,
            topics=topics,
            classes=classes,
            slices={},
            moved_by={},
        )
        prove(universe)
    return universe


def _topics(
    table: StrategyTable,
    traded: Sequence[InstrumentId],
    cls: type[AnyStrategy],
    scenario: Scenario,
) -> tuple[Topic, ...]:
    """Return the streams a strategy listed and has handlers for."""
    listed = [live_topic(text, each, scenario) for each in traded for text in table.streams]
    return heard_by(cls, table.name, listed, scenario)


def _check_names(scenario: Scenario, known: Mapping[InstrumentId, Instrument]) -> None:
    """Refuse a name or pattern that means none of the venue's instruments."""
    for table in scenario.table.strategies:
        for name in table.instruments:
            if not any(fnmatchcase(str(each), name) for each in known):
                raise BadInput(
                    f"{scenario.source}: {name} of strategy {table.name} is none of the venue's "
                    "instruments; correct the name, as in 005930.KRX."
                )


def live_topic(text: str, instrument_id: InstrumentId, scenario: Scenario) -> Topic:
    """Return the stream of a name; raises BadInput for what KIS does not give."""
    try:
        kind, topic = stream_of(text, instrument_id)
        is_given = kind is not StreamKind.FUNDING
        if kind is StreamKind.BARS:
            is_given = _is_folded(BarType.from_str(topic), instrument_id)
    except BadInput:
        is_given = False
    if not is_given:
        raise BadInput(
            f"{scenario.source}: {text!r} cannot be had live; write trades, quotes, book, or bars "
            "by their step such as 1-MINUTE or 1-DAY."
        )
    return kind, topic, instrument_id


def _is_folded(bar_type: BarType, instrument_id: InstrumentId) -> bool:
    """Tell whether KIS's trades give such bars; "-1-MINUTE" would be read as another share's."""
    unit, step = bar_type.spec.aggregation, bar_type.spec.step
    is_known = unit in BAR_STEPS and (step == 1 or unit != BarAggregation.DAY)
    return is_known and bar_type.instrument_id == instrument_id
