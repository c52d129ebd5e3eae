"""Tells what a file adds to others of its stream: overlapping files merge where they agree.

Rule: where two files cover the same time their rows there are equal, or the new file is refused; of
equal rows one copy is kept. A row group in memory at a time.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from catalog.inventory import ContentHash, open_parquet, read_group
from catalog.layout import SCHEMAS, file_span
from strategies.ports import StreamKind

type Span = tuple[int, int]


def disagrees(kind: StreamKind, new: Path, span: Span, known: Path, place: Path) -> bool:
    """Say whether a known file's rows differ from the new one's where both cover a time.

    ``span`` is the first and last ``ts_init`` of the new file, both inclusive; ``place`` is named
    by that of the known one, whose rows lie in ``known``.
    """
    first, last = file_span(place.name) or (0, 0)
    common = max(first, span[0]), min(last, span[1])
    return _digest(kind, new, common) != _digest(kind, known, common)


def uncovered(span: Span, known: Sequence[Path]) -> list[Span]:
    """Return the parts of a span that no known file covers, in order, both ends inclusive."""
    parts = []
    begin = span[0]
    for first, last in sorted(file_span(path.name) or (0, 0) for path in known):
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


def _digest(kind: StreamKind, path: Path, span: Span) -> str:
    content = ContentHash(SCHEMAS[kind])
    for table in rows_within(kind, path, span):
        content.update(table.cast(SCHEMAS[kind]))
    return content.digest({})
