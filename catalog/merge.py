"""Tells what a file adds to others of its stream: overlapping files merge where they agree.

Rule: where two files cover the same time their rows there are equal, or the new file is refused; of
equal rows one copy is kept, the catalog's. The opening print of a KRX day that a file begins with
has no day before it to take its size from: there the size may differ. A row group in memory at a
time.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from catalog.inventory import ContentHash, open_parquet, read_group
from catalog.layout import SCHEMAS, file_span
from strategies.ports import StreamKind

type Span = tuple[int, int]

OPENING_ID = "open-"
"""What the id of a KRX day's opening print begins with."""


def disagrees(kind: StreamKind, new: Path, span: Span, known: Path, place: Path) -> bool:
    """Say whether a known file's rows differ from the new one's where both cover a time.

    ``span`` is the first and last ``ts_init`` of the new file, both inclusive; ``place`` is named
    by that of the known one, whose rows lie in ``known``.
    """
    first, last = file_span(place.name) or (0, 0)
    common = max(first, span[0]), min(last, span[1])
    begins = [first, span[0]] if kind is StreamKind.TRADES else []
    return _digest(kind, new, common, begins) != _digest(kind, known, common, begins)


def uncovered(span: Span, known: Sequence[Path]) -> list[Span]:
    """Return the parts of a span that no known file covers, in order, both ends inclusive."""
    return outside(span, [file_span(path.name) or (0, 0) for path in known])


def outside(span: Span, known: Sequence[Span]) -> list[Span]:
    """Return the parts of a span that lie in no known one, in order, both ends inclusive."""
    parts = []
    begin = span[0]
    for first, last in sorted(known):
        if last < begin or first > span[1]:
            continue
        if begin < first:
            parts.append((begin, first - 1))
        begin = max(begin, last + 1)
    if begin <= span[1]:
        parts.append((begin, span[1]))
    return parts


def rows_within(kind: StreamKind, path: Path, span: Span) -> Iterator[pa.Table]:
    """Yield a file's rows whose ``ts_init`` lies in a span, both ends inclusive."""
    file = open_parquet(path)
    for group in range(file.num_row_groups):
        table = read_group(path, file, group, SCHEMAS[kind].names)
        stamps = table.column("ts_init").cast(pa.int64()).to_numpy()
        first = int(stamps.searchsorted(span[0], side="left"))
        last = int(stamps.searchsorted(span[1], side="right"))
        if first < last:
            yield table.slice(first, last - first)


def last_before(kind: StreamKind, path: Path, before_ns: int) -> pa.Table | None:
    """Return a file's last row whose ``ts_init`` is earlier, as a table; None where there is none.

    The groups before the last one are read only where it is needed.
    """
    file = open_parquet(path)
    for group in reversed(range(file.num_row_groups)):
        table = read_group(path, file, group, SCHEMAS[kind].names)
        stamps = table.column("ts_init").cast(pa.int64()).to_numpy()
        count = int(stamps.searchsorted(before_ns, side="left"))
        if count:
            return table.slice(count - 1, 1)
    return None


def _digest(kind: StreamKind, path: Path, span: Span, begins: Sequence[int]) -> str:
    content = ContentHash(SCHEMAS[kind])
    for table in rows_within(kind, path, span):
        content.update(_without_guesses(table.cast(SCHEMAS[kind]), begins))
    return content.digest({})


def _without_guesses(table: pa.Table, begins: Sequence[int]) -> pa.Table:
    """Empty the size of opening prints that a file begins with: it was not known there."""
    stamps = table.column("ts_init").cast(pa.int64())
    first = pc.is_in(stamps, pa.array(begins, pa.int64()))
    if not pc.any(first).as_py():
        return table
    guessed = pc.and_(first, pc.starts_with(table.column("trade_id"), OPENING_ID))
    place = table.schema.get_field_index("size")
    zero = pa.scalar(0, pa.int64()).cast(table.schema.field("size").type)
    sizes = pc.if_else(guessed, zero, table.column("size"))
    return table.set_column(place, table.schema.field("size"), sizes)
