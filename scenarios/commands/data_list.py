"""`onetape data list`: every stream of the catalog with its span, rows, gaps and origin."""

import argparse
from collections.abc import Sequence
from typing import Any

from catalog.coverage import missing_days
from catalog.store import Store, StreamInfo
from scenarios.calendars import calendar_for
from scenarios.screen import Screen
from scenarios.settings import read_settings
from scenarios.streams_shown import place
from strategies.markets import binance, krx, krx_history

_FEW = 300


def register(actions: Any, shared: argparse.ArgumentParser) -> None:
    """Add the action's parser."""
    parser = actions.add_parser(
        "list",
        parents=[shared],
        help="list what the catalog holds",
        description="List every stream of the catalog with its span, rows, gaps (days of its span "
        f"without a row) and origin. With more than {_FEW} streams gaps are counted on request.",
        epilog="example: onetape data list --json",
    )
    parser.add_argument("--gaps", action="store_true", help=f"count gaps of more than {_FEW} too")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """List the streams; 0."""
    store = Store(read_settings().catalog)
    streams = store.streams()
    counted = args.gaps or len(streams) <= _FEW
    gaps = [_gaps(store, info) if counted else None for info in streams]
    if not streams:
        screen.line(
            f"The catalog {store.root} is empty: fill it with onetape data generate demo, or "
            "onetape data import FILE."
        )
    else:
        rows = (
            (*place(info), f"{info.rows:,}", _told(missing), _origin(info.sources))
            for info, missing in zip(streams, gaps, strict=True)
        )
        columns = ("stream", "span", "rows>", "gaps>", "origin")
        screen.table(f"Catalog {store.root}", columns, rows)
    values = [
        _values(info) | {"missing_days": missing}
        for info, missing in zip(streams, gaps, strict=True)
    ]
    total = sum(info.rows for info in streams)
    screen.result({"catalog": str(store.root), "streams": values, "rows": total})
    return 0


def _gaps(store: Store, info: StreamInfo) -> int | None:
    """Count days without a row; None where no calendar tells which days there were."""
    venue = info.instrument_id.venue.value
    known = venue == krx.VENUE or venue.startswith(binance.VENUE_USDM)
    if not known or (venue == krx.VENUE and info.first_ns < krx_history.CALENDAR_FROM_NS):
        return None
    return missing_days(store, info, calendar_for(venue, info.first_ns, info.last_ns))


def _told(missing: int | None) -> str:
    if missing is None:
        return "-"
    return f"{missing:,} d" if missing else "0"


def _origin(sources: Sequence[str]) -> str:
    more = f" and {len(sources) - 1} more" if len(sources) > 1 else ""
    return (sources[0] if sources else "") + more


def _values(info: StreamInfo) -> dict[str, object]:
    return {
        "kind": info.kind,
        "topic": info.topic,
        "instrument": str(info.instrument_id),
        "files": info.files,
        "rows": info.rows,
        "first_ns": info.first_ns,
        "last_ns": info.last_ns,
        "origins": info.sources,
    }
