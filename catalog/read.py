"""Reads a stream of the catalog for notebooks and checks: as Arrow, as pandas, or piece by piece.

Rule: Arrow keeps the engine's exact decimals; pandas is for looking, so numbers become floats there
unless asked otherwise.
"""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from catalog.inventory import unreadable
from catalog.layout import SCHEMAS, file_span
from catalog.places import open_file
from catalog.store import Store
from strategies.errors import BadInput
from strategies.ports import StreamKind

_FEW_ROWS = 4_096


def to_arrow(
    store: Store,
    kind: StreamKind,
    topic: str,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> pa.Table:
    """Return a stream's rows of [start_ns, end_ns) by ``ts_init``, exactly as stored.

    ``topic`` is an instrument id, or a bar type for bars. Raises BadInput where there is no such
    stream.
    """
    if not store.files(kind, topic):
        known = [info.topic for info in store.streams() if info.kind is kind]
        shown = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
        raise BadInput(
            f"the catalog {store.root} has no {kind} of {topic}: choose one of {shown}."
            if known
            else f"the catalog {store.root} has no {kind}: import or generate some first."
        )
    parts = list(stream_tables(store, kind, topic, start_ns, end_ns))
    return pa.concat_tables(parts) if parts else SCHEMAS[kind].empty_table()


def to_pandas(
    store: Store,
    kind: StreamKind,
    topic: str,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> pd.DataFrame:
    """Return a stream as a DataFrame indexed by ``ts_init`` (UTC).

    Prices and sizes are floats, each the nearest to its decimal: 0.07 reads back as 0.07.
    """
    table = to_arrow(store, kind, topic, start_ns, end_ns)
    for place, column in enumerate(table.schema):
        if pa.types.is_decimal(column.type):
            # Through text, which is read to the nearest float; the direct cast is often one off.
            floats = table.column(place).cast(pa.string()).cast(pa.float64())
            table = table.set_column(place, column.name, floats)
    frame: pd.DataFrame = table.to_pandas().set_index("ts_init")
    return frame


def stream_tables(
    store: Store,
    kind: StreamKind,
    topic: str,
    start_ns: int | None = None,
    end_ns: int | None = None,
) -> Iterator[pa.Table]:
    """Yield a stream's rows in order, a row group at a time. Raises BadInput naming a bad file."""
    for path in store.files(kind, topic):
        first, last = file_span(path.name) or (0, 0)
        if (end_ns is not None and first >= end_ns) or (start_ns is not None and last < start_ns):
            continue
        try:
            with open_file(path) as file:
                for group in range(file.num_row_groups):
                    # Handing few rows to other threads costs more than reading them.
                    many = file.metadata.row_group(group).num_rows > _FEW_ROWS
                    yield _within(file.read_row_group(group, use_threads=many), start_ns, end_ns)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(path, error) from error


def _within(table: pa.Table, start_ns: int | None, end_ns: int | None) -> pa.Table:
    if start_ns is None and end_ns is None:
        return table
    stamps = table.column("ts_init").cast(pa.int64()).to_numpy()
    first = 0 if start_ns is None else int(stamps.searchsorted(start_ns))
    last = len(stamps) if end_ns is None else int(stamps.searchsorted(end_ns))
    return table.slice(first, max(0, last - first))
