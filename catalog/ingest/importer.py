"""Imports files, folders and patterns as one whole: every file enters the catalog, or none does."""

import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from nautilus_trader.model import InstrumentId

from catalog.ingest.bars import SessionsOf, Written, write_bars, write_krx_days
from catalog.ingest.candles import (
    DAY_NS,
    Stamp,
    clean,
    close_stamped,
    infer_interval,
    interval_text,
)
from catalog.ingest.dumps import Dump, DumpKind, dump_of, import_dump
from catalog.ingest.exchange_info import has_steps, is_exchange_info, read_listed
from catalog.ingest.files import Found, find
from catalog.ingest.frames import BareFrames, looks_like_frames
from catalog.ingest.indices import import_index, index_id_of
from catalog.ingest.instruments import INDEX_VENUE, Grid, TooFine, instrument_id_for, parse_id
from catalog.ingest.large_tables import import_large, is_large
from catalog.ingest.listings import import_listings, is_listing
from catalog.ingest.mapping import NoMarketData, check_dump_traded, check_priced, check_traded
from catalog.ingest.naming import Names
from catalog.ingest.recorded_csv import import_recorded_csv, is_recorded_csv
from catalog.ingest.recordings import (
    Answer,
    Market,
    Recorded,
    Recording,
    import_answers,
    is_answers,
    looks_like_recording,
    read_answers,
)
from catalog.ingest.table_cells import check_symbol
from catalog.ingest.tables import SUFFIXES, read_first_names, read_sheet
from catalog.layout import instrument_of
from catalog.store import Import, Instrument, Store, WriteResult
from strategies.errors import BadInput
from strategies.markets import krx
from strategies.markets.binance import Steps

type OnProgress = Callable[[int, int], None]


class Kind(StrEnum):
    """What a file is; told by its first line and its instrument unless given."""

    BARS = "bars"
    KRX_DAILY = "krx-daily"
    RECORDING = "recording"
    LISTING = "listing"
    INDEX = "index"
    KLINES = "klines"
    TRADES = "trades"
    AGG_TRADES = "aggTrades"
    BOOK_TICKER = "bookTicker"
    FUNDING = "fundingRate"
    EXCHANGE_INFO = "exchangeInfo"
    LEFT_OUT = "left out"


class FileReader(Protocol):
    """Reads files of a form that this room does not know."""

    def reads(self, path: Path) -> bool:
        """Say whether a file's content is of this form."""

    def read(self, batch: Import, path: Path, on_bytes: Callable[[int], None]) -> Recorded:
        """Read one file into an import. Raises BadInput."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user says about the files; None is found out.

    ``names`` tells instruments of single files, ``instrument`` that of all others; ``readers`` know
    further forms of files.
    """

    instrument: str | None = None
    names: Names = field(default_factory=Names)
    kind: Kind | None = None
    interval_ns: int | None = None
    timezone: str | None = None
    stamp: Stamp | None = None
    market: Market | None = None
    grid: Grid = field(default_factory=Grid)
    sessions_of: SessionsOf | None = None
    readers: tuple[FileReader, ...] = ()

    def of(self, path: Path) -> "Options":
        """Return what the user says about one file."""
        return replace(self, instrument=self.names.of(path) or self.instrument)


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one file became; ``frames`` counts the lines of a recording."""

    path: Path
    kind: Kind
    rows: int
    frames: int
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What one import did."""

    files: tuple[FileReport, ...]
    results: tuple[WriteResult, ...]


def import_files(
    store: Store, paths: Sequence[str], options: Options, on_progress: OnProgress
) -> ImportReport:
    """Import everything the paths name; ``on_progress`` is told bytes done and bytes in all.

    A path is a file, a folder (all that is readable in it, at any depth) or a pattern. What holds
    no market data is left out of a folder and named in the report. Raises BadInput for the first
    file that cannot be imported; the catalog is then as it was.

    A new instrument has the decimals that all of its files need: where a later file needs more than
    the first ones did, the import begins again with what is known by then.
    """
    least: dict[InstrumentId, tuple[int, int]] = {}
    while True:
        grid = replace(options.grid, least=dict(least))
        try:
            return _import_all(store, paths, replace(options, grid=grid), on_progress)
        except TooFine as error:
            each = error.instrument_id
            price, size = least.get(each, (0, 0))
            more = max(price, error.needs[0]), max(size, error.needs[1])
            if more == (price, size) or each in store.instruments():
                raise
            least[each] = more


def _import_all(
    store: Store, paths: Sequence[str], options: Options, on_progress: OnProgress
) -> ImportReport:
    if options.timezone is not None:
        _check_zone(options.timezone)
    found = find(paths, lambda path: is_readable(path, options.readers))
    options.names.check(each.path for each in found)
    files = sorted((each for each in found if each.readable), key=_is_funding)
    unread = [each.path for each in found if not each.readable]
    unread = [path for path in unread if path.suffix != ".CHECKSUM"]  # read beside their dumps
    reports = [_left_out(path, "neither a table nor a recording") for path in unread]
    total = sum(each.path.stat().st_size for each in files)
    done = 0

    def on_bytes(read: int) -> None:
        on_progress(done + read, total)

    beside = _Beside([each.path for each in files])
    options = replace(options, grid=replace(options.grid, listed=beside.listed))
    with store.importing() as batch:
        listings = [each.path for each in files if _is_listing(each.path, options)]
        reports += _import_listings(batch, listings, options)
        for each in files:
            if each.path not in listings and not beside.holds(each.path):
                reports.append(_import_found(batch, each, options, beside.answers, on_bytes))
            done += each.path.stat().st_size
            on_progress(done, total)
        reports += beside.finish(batch, options)
    if not batch.results:
        raise BadInput(_nothing(reports))
    return ImportReport(tuple(reports), tuple(batch.results))


def find_files(paths: Sequence[str], readers: Sequence[FileReader] = ()) -> list[Path]:
    """Return the files that paths name, in order and once. Raises BadInput where there are none."""
    found = find(paths, lambda path: is_readable(path, readers))
    return [each.path for each in found if each.readable]


def is_readable(path: Path, readers: Sequence[FileReader] = ()) -> bool:
    """Say whether a file is of a form that can be imported."""
    name = path.name.lower().removesuffix(".gz")
    return (
        name.endswith((*SUFFIXES, ".zip"))
        or looks_like_recording(path)
        or any(reader.reads(path) for reader in readers)
        or is_exchange_info(path)
        or looks_like_frames(path)
    )


def _left_out(path: Path, why: str) -> FileReport:
    return FileReport(path, Kind.LEFT_OUT, 0, 0, (f"left out: {why}",))


def _nothing(reports: Sequence[FileReport]) -> str:
    """Say why an import came to nothing."""
    why = next((note for report in reports for note in report.notes), "they are empty")
    return (
        f"none of the {len(reports):,} files holds market data (the first, {reports[0].path}: "
        f"{why.removeprefix('left out: ').rstrip('.')}): nothing was imported."
    )


class _Beside:
    """The files of an import that tell of others: REST answers and steps of instruments."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._answers = [path for path in paths if is_answers(path)]
        self._listings = {
            path: read_listed(path)
            for path in paths
            if path in self._answers or is_exchange_info(path)
        }
        self.answers = [each for path in self._answers for each in read_answers(path)]
        self.listed = {
            each: steps for found in self._listings.values() for each, steps in found.items()
        }

    def holds(self, path: Path) -> bool:
        """Say whether a file is one of these."""
        return path in self._listings

    def finish(self, batch: Import, options: Options) -> Iterator[FileReport]:
        """Import the depth answers that no recording took, as snapshots, and tell of all."""
        taken = {(result.kind, result.topic) for result in batch.results}
        for path in self._answers:
            done = import_answers(batch, path, options.grid, taken)
            notes = () if self._listings[path] else tuple(done.notes)
            yield FileReport(path, Kind.RECORDING, done.rows, done.frames, notes)
        topics = {instrument_of(result.kind, result.topic) for result in batch.results}
        for path, listed in self._listings.items():
            if listed:
                known = [(batch.instrument(each), listed[each]) for each in topics & listed.keys()]
                yield FileReport(path, Kind.EXCHANGE_INFO, 0, 0, tuple(_told(known)))


def _told(listed: Sequence[tuple[Instrument | None, Steps]]) -> Iterator[str]:
    """Tell how many instruments have the steps of an exchangeInfo, and which have others."""
    own = [each for each, steps in listed if each is not None and not has_steps(each, steps)]
    count = len(listed) - len(own)
    yield f"tick and lot steps of {count:,} instruments taken from its exchangeInfo"
    if own:
        names = ", ".join(sorted(str(each.id) for each in own))
        yield f"{names}: the catalog's own steps, or finer ones of the data, are kept"


def _import_found(
    batch: Import,
    found: Found,
    options: Options,
    answers: Sequence[Answer],
    on_bytes: Callable[[int], None],
) -> FileReport:
    try:
        return _import(batch, found.path, options.of(found.path), answers, on_bytes)
    except NoMarketData as error:
        if found.named:
            raise
        return _left_out(found.path, error.why)


def _import(
    batch: Import,
    path: Path,
    options: Options,
    answers: Sequence[Answer],
    on_bytes: Callable[[int], None],
) -> FileReport:
    kind = options.kind
    if kind in (None, Kind.RECORDING):
        recorded = _recorded(batch, path, options, answers, on_bytes)
        if recorded is not None:
            notes = tuple(recorded.notes)
            return FileReport(path, Kind.RECORDING, recorded.rows, recorded.frames, notes)
    check_dump_traded(path)
    dump = _dump(path, options)
    if dump is not None:
        dumped = import_dump(batch, dump, _market(options), options.grid, on_bytes)
        return FileReport(path, Kind(dump.kind), dumped.rows, 0, tuple(dumped.notes))
    if not is_readable(path):
        raise BadInput(
            f"{path} is neither a table (.csv, .feather, .parquet, also as .gz or .zip) nor a "
            "recording: convert it to one of these."
        )
    index_id = _index_id(path, options)
    if index_id is not None:
        zone = options.timezone or "UTC"
        index = import_index(batch, path, index_id, zone, options.sessions_of)
        return FileReport(path, Kind.INDEX, index.rows, 0, index.notes)
    check_priced(read_first_names(path), path)
    if options.instrument is None:
        check_traded(path)
    return _candles(batch, path, options, on_bytes)


def _recorded(
    batch: Import,
    path: Path,
    options: Options,
    answers: Sequence[Answer],
    on_bytes: Callable[[int], None],
) -> Recorded | None:
    """Import a file that keeps what was received, None where it is none."""
    for reader in options.readers:  # first: answers of a venue may look like any JSON
        if reader.reads(path):
            return reader.read(batch, path, on_bytes)
    if is_recorded_csv(path):
        return import_recorded_csv(batch, path, options.market, options.grid, on_bytes)
    if looks_like_recording(path):
        return Recording(batch, path, options.market, options.grid, answers).read(on_bytes)
    if looks_like_frames(path):
        return BareFrames(batch, path, options.market, options.grid).read(on_bytes)
    if options.kind is Kind.RECORDING:
        return Recording(batch, path, options.market, options.grid, answers).read(on_bytes)
    return None


def _candles(
    batch: Import, path: Path, options: Options, on_bytes: Callable[[int], None]
) -> FileReport:
    """Import a table of candles."""
    perpetual = None if options.market is None else options.market is Market.USDM
    instrument_id = instrument_id_for(path, options.instrument, perpetual=perpetual)
    is_krx = instrument_id.venue.value == krx.VENUE
    if options.kind is Kind.KRX_DAILY and not is_krx:
        raise BadInput(f"{path}: {instrument_id} is no share of KRX: leave out --kind krx-daily.")
    # A share's days are never so many; its minutes may be.
    if is_large(path) and options.kind is not Kind.KRX_DAILY:
        large = import_large(
            batch,
            path,
            instrument_id,
            options.timezone or (krx.TIMEZONE if is_krx else "UTC"),
            options.grid,
            options.interval_ns,
            options.stamp,
            on_bytes,
        )
        return FileReport(path, Kind.BARS, large.rows, 0, large.notes)
    kind, written = _table(batch, path, instrument_id, options, is_krx=is_krx)
    return FileReport(path, kind, written.rows, 0, written.notes)


def _is_funding(found: Found) -> bool:
    """Say whether a file comes last: funding rates need the instrument."""
    dump = dump_of(found.path)
    return dump is not None and dump.kind is DumpKind.FUNDING


def _is_listing(path: Path, options: Options) -> bool:
    return options.kind is Kind.LISTING or (options.kind is None and is_listing(path))


def _import_listings(batch: Import, paths: Sequence[Path], options: Options) -> list[FileReport]:
    """Import all listings as one; the first file's report tells of all."""
    if not paths:
        return []
    done = import_listings(batch, paths, options.grid, options.sessions_of)
    first = FileReport(paths[0], Kind.LISTING, done.rows, 0, done.notes)
    return [first, *(FileReport(path, Kind.LISTING, 0, 0, ()) for path in paths[1:])]


def _index_id(path: Path, options: Options) -> InstrumentId | None:
    """Return the index a table is of: told by --instrument, --kind or a name that is known."""
    if options.instrument is not None:
        told = parse_id(options.instrument)
        return told if told.venue.value == INDEX_VENUE else None
    found = index_id_of(path) if options.kind in (None, Kind.INDEX) else None
    if found is None and options.kind is Kind.INDEX:
        raise BadInput(f"{path}: its name does not tell the index: give --instrument KS11.INDEX.")
    return found


def _dump(path: Path, options: Options) -> Dump | None:
    """Return what a public dump is: by its name, or by --kind and --instrument."""
    kind = options.kind
    if kind is None:
        return dump_of(path)
    if str(kind) not in set(map(str, DumpKind)):
        return None
    named = dump_of(path)
    if named is not None and str(named.kind) == str(kind):
        return named
    if options.instrument is None:
        raise BadInput(f"{path}: its name does not tell the symbol: give --instrument.")
    if kind is Kind.KLINES and options.interval_ns is None:
        raise BadInput(f"{path}: its name does not tell the interval: give --interval, as in 1m.")
    symbol = parse_id(options.instrument).symbol.value.removesuffix("-PERP")
    interval = interval_text(options.interval_ns) if options.interval_ns else ""
    return Dump(path, symbol, DumpKind(kind), interval)


def _market(options: Options) -> Market | None:
    """Return the market that the user told, by --market or by --instrument."""
    if options.market is not None or options.instrument is None:
        return options.market
    is_perpetual = parse_id(options.instrument).symbol.value.endswith("-PERP")
    return Market.USDM if is_perpetual else Market.SPOT


def _table(
    batch: Import, path: Path, instrument_id: InstrumentId, options: Options, *, is_krx: bool
) -> tuple[Kind, Written]:
    zone = options.timezone or (krx.TIMEZONE if is_krx else "UTC")
    sheet = read_sheet(path, zone)
    check_symbol(sheet.symbol, instrument_id, path)
    notes = [*sheet.notes, *([] if sheet.zone_given else [f"times taken as {zone}"])]
    notes += clean(sheet)
    interval_ns = options.interval_ns or infer_interval(sheet)
    # Two days around a weekend lie three days apart.
    daily = is_krx and interval_ns % DAY_NS == 0 and interval_ns % (7 * DAY_NS) != 0
    if options.kind is Kind.KRX_DAILY or (options.kind is None and daily):
        written = write_krx_days(batch, sheet, instrument_id, options.grid, options.sessions_of)
        kind = Kind.KRX_DAILY
    else:
        candles = close_stamped(sheet, options.interval_ns, options.stamp)
        kind, written = Kind.BARS, write_bars(batch, candles, instrument_id, options.grid)
    return kind, Written(written.topics, written.rows, (*notes, *written.notes))


def _check_zone(name: str) -> None:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise BadInput(
            f"--timezone {name!r} is not known: write a name like Asia/Seoul or UTC."
        ) from error
