"""A book's best bid and ask as rows, for prices, values and excursions of what has only a book.

Rule: what the host's mark saw: the middle exists while both sides do, and a window that begins
within a recording begins with the book that stood there.
"""

from collections.abc import Iterator

import pyarrow as pa
from nautilus_trader.model import QuoteTick

from catalog.tape import TapeStream, read_book
from catalog.tape_books import BookQuotes
from catalog.tape_rows import TS

BATCH = 65_536


def book_tops(stream: TapeStream, start_ns: int, end_ns: int) -> Iterator[pa.RecordBatch]:
    """Yield best bid and ask after each delivery in [start_ns, end_ns) where there are both.

    Columns bid_price, ask_price, ts_init as in the catalog's quotes. Raises BadInput.
    """
    precisions = (stream.price_precision, stream.size_precision)
    quotes = BookQuotes(stream.instrument_id, precisions)
    found: list[QuoteTick] = []
    for deltas in read_book(stream, start_ns, end_ns):
        quote = quotes.after(deltas)
        if quote is not None and quotes.has_both:
            found.append(quote)
        if len(found) >= BATCH:
            yield _rows(found)
            found.clear()
    if found:
        yield _rows(found)


def _rows(quotes: list[QuoteTick]) -> pa.RecordBatch:
    prices = pa.decimal128(38, 16)
    columns = [
        pa.array([quote.bid_price.as_decimal() for quote in quotes], prices),
        pa.array([quote.ask_price.as_decimal() for quote in quotes], prices),
        pa.array([quote.ts_init for quote in quotes], pa.int64()).cast(TS),
    ]
    return pa.RecordBatch.from_arrays(columns, names=["bid_price", "ask_price", "ts_init"])
