"""Reads shares of the catalog as the quotes and prints the venue plays, in their recorded order.

Rule: a stock needs recorded trades; where quotes are missing, each trade brings a book of one tick
around it. What is read is streamed, never held whole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from nautilus_trader.model import AggressorSide, InstrumentId, QuoteTick, TradeTick

from catalog.layout import file_span
from catalog.store import Store
from catalog.tape import TapeStream, read_windows
from scenarios.venues.kis.market_time import ymd
from scenarios.venues.kis.read_ahead import read_ahead
from scenarios.venues.kis.symbols import DayBar, Print, Quote, price_above, price_below
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.facts import RAW_ONE
from strategies.ports import StreamKind

CHUNK_ROWS = 20_000
_INITIATED = {AggressorSide.BUY: True, AggressorSide.SELL: False}


@dataclass(frozen=True, slots=True)
class Share:
    """One stock of the catalog and its recorded files."""

    code: str
    instrument_id: InstrumentId
    trades: tuple[Path, ...]
    quotes: tuple[Path, ...]


def shares_of(store: Store, codes: Sequence[str], start_ns: int, end_ns: int) -> list[Share]:
    """Return the shares with trades between two times, all of them where no code is given.

    Raises BadInput where a code has none, or nothing has any.
    """
    known = {
        instrument.id.symbol.value: instrument
        for instrument in store.instruments().values()
        if instrument.id.venue.value == krx.VENUE
    }
    shares = []
    for code in codes or sorted(known):
        files = _files(store, StreamKind.TRADES, code, start_ns, end_ns)
        if not files and codes:
            raise BadInput(
                f"{store.root} has no trades of {code}.{krx.VENUE} in the time asked for: see "
                "onetape data list, or let the venue generate a market with --generate 6."
            )
        if files and (known[code].info or {}).get("adjusted"):
            raise BadInput(
                f"{code}.{krx.VENUE} has adjusted prices, which no order can have: play unadjusted "
                "data."
            )
        if files:
            quotes = _files(store, StreamKind.QUOTES, code, start_ns, end_ns)
            shares.append(Share(code, InstrumentId.from_str(f"{code}.KRX"), files, quotes))
    return shares


def _files(
    store: Store, kind: StreamKind, code: str, start_ns: int, end_ns: int
) -> tuple[Path, ...]:
    spans = ((path, file_span(path.name)) for path in store.files(kind, f"{code}.{krx.VENUE}"))
    return tuple(path for path, span in spans if span and span[0] <= end_ns and span[1] >= start_ns)


def base_price(store: Store, share: Share, start_ns: int) -> int:
    """Return the last price before a time, or the first one after it where there is none."""
    files = store.files(StreamKind.TRADES, str(share.instrument_id))
    before = [path for path in files if (file_span(path.name) or (0, 0))[1] < start_ns]
    path = before[-1] if before else share.trades[0]
    try:
        column = pq.read_table(path, columns=["price"]).column("price")
    except (pa.ArrowException, OSError) as error:
        raise BadInput(f"{path} cannot be read as Parquet; import its data again.") from error
    return int(column[-1 if before else 0].as_py())


def days_before(store: Store, share: Share, first_ns: int, most: int = 400) -> list[DayBar]:
    """Return the catalog's daily bars of a share that closed before a time, oldest first."""
    topic = f"{share.instrument_id}-1-DAY-LAST-EXTERNAL"
    bars: list[DayBar] = []
    for path in store.files(StreamKind.BARS, topic):
        table = pq.read_table(path, columns=["open", "high", "low", "close", "volume", "ts_init"])
        closes = table.column("ts_init").cast(pa.int64()).to_pylist()
        values = (table.column(i).to_pylist() for i in range(5))
        for ts_ns, *row in zip(closes, *values, strict=True):
            opened, high, low, close, volume = map(int, row)
            base = bars[-1].close if bars else opened
            turnover = close * volume
            if ts_ns < first_ns:
                bars.append(DayBar(ymd(ts_ns), opened, high, low, close, volume, turnover, base))
    return bars[-most:]


def volume_of(files: Sequence[Path]) -> int:
    """Return the traded quantity of some files."""
    sizes = (pq.read_table(path, columns=["size"]).column("size") for path in files)
    return int(sum(int(pc.sum(column).as_py() or 0) for column in sizes))


def read_tape(shares: Sequence[Share], start_ns: int, end_ns: int) -> Iterator[Quote | Print]:
    """Yield the quotes and prints of [start_ns, end_ns) in their order.

    They are read ahead in a thread: a window of thousands of shares takes a quarter of a second,
    in which no client could be answered.
    """
    return read_ahead(_batches(shares, start_ns, end_ns))


def _batches(shares: Sequence[Share], start_ns: int, end_ns: int) -> Iterator[list[Quote | Print]]:
    streams = [
        TapeStream(kind, str(share.instrument_id), share.instrument_id, 0, 0, files)
        for share in shares
        for kind, files in ((StreamKind.QUOTES, share.quotes), (StreamKind.TRADES, share.trades))
        if files
    ]
    unquoted = {share.code for share in shares if not share.quotes}
    for window in read_windows(streams, (), start_ns, end_ns, CHUNK_ROWS):
        batch: list[Quote | Print] = []
        for event in window.events:
            if isinstance(event, QuoteTick):
                batch.append(_quote(event))
            elif isinstance(event, TradeTick):
                trade = _print(event)
                batch += [around(trade), trade] if trade.code in unquoted else [trade]
        yield batch


def _print(event: TradeTick) -> Print:
    return Print(
        event.ts_init,
        event.instrument_id.symbol.value,
        event.price.raw // RAW_ONE,
        event.size.raw // RAW_ONE,
        _INITIATED.get(event.aggressor_side),
    )


def _quote(event: QuoteTick) -> Quote:
    return Quote(
        event.ts_init,
        event.instrument_id.symbol.value,
        event.bid_price.raw // RAW_ONE,
        event.ask_price.raw // RAW_ONE,
        event.bid_size.raw // RAW_ONE,
        event.ask_size.raw // RAW_ONE,
    )


def around(trade: Print) -> Quote:
    """Return a book of one tick that a trade could have met."""
    price, size = trade.price, max(trade.size, 1)
    if trade.buyer_initiated:
        return Quote(trade.ts_ns, trade.code, price_below(price), price, size, size)
    return Quote(trade.ts_ns, trade.code, price, price_above(price), size, size)
