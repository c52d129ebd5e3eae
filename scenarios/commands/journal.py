"""`onetape journal`: a run's log in plain words, or the chain of causes behind one order."""

import argparse
import json
from collections.abc import Iterator
from typing import Any

from catalog.codec import encode
from catalog.folds import fold, why
from catalog.journal import Entry, JournalStore, open_journal
from catalog.runs import Run
from catalog.words import common_zone, describe, format_time, instrument_of, zone_of
from scenarios.screen import Screen
from scenarios.settings import read_settings
from strategies.errors import BadInput
from strategies.ports import Kind

LIMIT = 200
EXAMPLES = """examples:
  onetape journal last --kind grant --kind refusal
  onetape journal last --why "#1"     the causes behind the first order
  onetape journal last --check        recompute the hash chain"""


def register(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    shared: argparse.ArgumentParser,
) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "journal",
        parents=[shared],
        help="print a run's log, or why an order was sent",
        description="Print a run's journal, or the chain of causes behind one order.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", metavar="RUN", help="run id, its beginning, or 'last'")
    parser.add_argument(
        "--kind",
        action="append",
        default=[],
        metavar="KIND",
        help=f"only entries of this kind, may be repeated: {', '.join(Kind)}",
    )
    parser.add_argument("--source", help="only entries of this strategy, 'capital', 'host', ...")
    parser.add_argument(
        "--limit",
        type=int,
        default=LIMIT,
        help=f"at most so many entries (default {LIMIT}, 0: all)",
    )
    parser.add_argument(
        "--why", metavar="ORDER", help="explain an order: its id, its beginning, or #n for the n-th"
    )
    parser.add_argument("--check", action="store_true", help="recompute the hash chain first")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Print what was asked of one run's journal."""
    kinds = [_kind(name) for name in args.kind]
    if args.limit < 0:
        raise BadInput(f"--limit {args.limit} is negative; give 0 for all entries.")
    settings = read_settings()
    with open_journal(settings.journal_url, settings.home) as store:
        found = store.find(args.name)
        result: dict[str, Any] = {"run_id": found.run_id, "status": found.status}
        if args.check:
            result["chain"] = _check(store, found, screen)
        if args.why is not None:
            result |= _why(store, found, args.why, screen)
        else:
            limit = args.limit or None
            result["entries"] = _list(store, found, kinds, args.source, limit, screen)
    screen.result(result)
    return 0


def _kind(name: str) -> Kind:
    try:
        return Kind(name)
    except ValueError:
        raise BadInput(
            f"--kind {name} is no kind of entry; there are: {', '.join(Kind)}."
        ) from None


def _check(store: JournalStore, run: Run, screen: Screen) -> str:
    with screen.progress(f"checking {run.entry_count:,} entries"):
        store.check_chain(run)
    screen.line(f"The chain of {run.entry_count:,} entries is whole; head {run.head}.")
    return "whole"


def _list(
    store: JournalStore,
    run: Run,
    kinds: list[Kind],
    source: str | None,
    limit: int | None,
    screen: Screen,
) -> list[dict[str, Any]]:
    asked = None if limit is None else limit + 1
    shown = []
    zone = common_zone(run.manifest.venues)
    for number, entry in enumerate(store.entries(run, kinds=kinds, source=source, limit=asked)):
        if number == limit:
            screen.line(f"... and more: --limit 0 shows all, run {run.run_id}.")
            break
        time = format_time(entry.ts_ns, zone_of(instrument_of(entry)) or zone)
        screen.line(f"{time}  {entry.kind:<8} {describe(entry)}")
        if screen.as_json:
            shown.append(_values(entry, time))
    else:
        if run.entry_count == 0:
            screen.line(f"Run {run.run_id} has no entries.")
    return shown


def _why(store: JournalStore, run: Run, name: str, screen: Screen) -> dict[str, Any]:
    order = fold(_counted(store, run, screen, "looking for the order")).find_order(name)
    chain = why(_counted(store, run, screen, "following its causes"), order.order_id)
    zone = zone_of(order.instrument_id)
    times = [format_time(entry.ts_ns, zone) for entry in chain]
    before = ""
    for entry, time in zip(chain, times, strict=True):
        screen.line(f"{_step(time, before)}{describe(entry)}")
        before = time
    steps = [_values(entry, time) for entry, time in zip(chain, times, strict=True)]
    return {"order_id": order.order_id, "state": order.state, "why": steps}


def _step(time: str, before: str) -> str:
    """Return what stands before a step: its time, as far as it differs from the step before."""
    if not before:
        return f"at {time} "
    if time == before:
        return "  -> "
    day, clock = time.split(" ", 1)
    return f"  -> at {clock if before.startswith(day) else time} "


def _counted(store: JournalStore, run: Run, screen: Screen, title: str) -> Iterator[Entry]:
    with screen.progress(title, run.entry_count) as bar:
        for number, entry in enumerate(store.entries(run)):
            if number % 10_000 == 0:
                bar.to(number)
            yield entry


def _values(entry: Entry, time: str) -> dict[str, Any]:
    message = entry.message
    return {
        "id": entry.id,
        "seq": entry.seq,
        "ts_ns": entry.ts_ns,
        "time": time,
        "kind": str(entry.kind),
        "source": entry.source,
        "cause_id": entry.cause_id,
        "workflow_id": entry.workflow_id,
        "text": describe(entry),
        "message": message if isinstance(message, str) else json.loads(encode(message)),
    }
