"""Shows what an import, a download or a generated market brought: a table, or JSON values."""

from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from catalog.layout import instrument_of
from catalog.store import StreamInfo, WriteResult
from scenarios.screen import Screen
from strategies.markets import krx

_SHOWN = 24


def show_results(
    results: Sequence[WriteResult], elapsed_s: float, title: str, screen: Screen
) -> None:
    """Print a table of streams with what is new, and one line of totals."""
    streams: dict[tuple[str, str], list[WriteResult]] = {}
    for result in results:
        streams.setdefault((result.kind, result.topic), []).append(result)
    shown = list(streams.values())[:_SHOWN]
    screen.table(title, ("stream", "span", "rows>", "new>"), map(_result_row, shown))
    if len(shown) < len(streams):
        screen.line(f"... and {len(streams) - len(shown)} more (onetape data list)")
    added = sum(result.rows for result in results if result.added)
    there = sum(result.rows for result in results if not result.added)
    already = f", {there:,} were there already" if there else ""
    speed = (added + there) / elapsed_s if elapsed_s else 0
    screen.line(f"{added:,} rows added{already}; {elapsed_s:.1f} s, {speed:,.0f} rows/s.")


def _result_row(parts: Sequence[WriteResult]) -> tuple[object, ...]:
    rows = sum(part.rows for part in parts)
    new = sum(part.rows for part in parts if part.added)
    info = StreamInfo(
        parts[0].kind,
        parts[0].topic,
        instrument_of(parts[0].kind, parts[0].topic),
        len(parts),
        rows,
        min(part.first_ns for part in parts),
        max(part.last_ns for part in parts),
        (),
    )
    return (*place(info), f"{rows:,}", f"{new:,}" if new else "there already")


def place(info: StreamInfo) -> tuple[str, str]:
    """Name a stream and its span for people: ``005930.KRX bars 1-DAY``, days or hours."""
    zone = ZoneInfo("Asia/Seoul" if info.instrument_id.venue.value == krx.VENUE else "UTC")
    first, last = (
        datetime.fromtimestamp(ns // 10**9, zone) for ns in (info.first_ns, info.last_ns)
    )
    spec = info.topic.removeprefix(f"{info.instrument_id}-").removesuffix("-LAST-EXTERNAL")
    bars = f" {spec}" if spec != info.topic else ""
    if first.date() == last.date():
        span = f"{first:%Y-%m-%d %H:%M:%S} .. {last:%H:%M:%S %Z}"
    else:
        span = f"{first:%Y-%m-%d} .. {last:%Y-%m-%d %Z}"
    return f"{info.instrument_id} {info.kind}{bars}", span


def summary(results: Sequence[WriteResult], elapsed_s: float) -> dict[str, object]:
    """Return the totals and every stream of an import for machines."""
    rows = sum(result.rows for result in results)
    return {
        "streams": [
            {
                "kind": result.kind,
                "topic": result.topic,
                "rows": result.rows,
                "first_ns": result.first_ns,
                "last_ns": result.last_ns,
                "sha256": result.sha256,
                "added": result.added,
            }
            for result in results
        ],
        "rows": rows,
        "rows_added": sum(result.rows for result in results if result.added),
        "elapsed_s": round(elapsed_s, 3),
        "rows_per_s": round(rows / elapsed_s) if elapsed_s else 0,
    }
