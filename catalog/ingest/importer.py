"""Imports files, folders and patterns as one whole: every file enters the catalog, or none does."""

import zoneinfo
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from glob import glob
from pathlib import Path

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
from catalog.ingest.indices import import_index, index_id_of
from catalog.ingest.instruments import INDEX_VENUE, Grid, instrument_id_for, parse_id
from catalog.ingest.large_tables import import_large, is_large
from catalog.ingest.listings import import_listings, is_listing
from catalog.ingest.recorded_csv import import_recorded_csv, is_recorded_csv
from catalog.ingest.recordings import (
    Answer,
    Market,
    Recording,
    import_answers,
    is_answers,
    looks_like_recording,
    read_answers,
)
from catalog.ingest.tables import SUFFIXES, read_sheet
from catalog.store import Import, Store, WriteResult
from strategies.errors import BadInput
from strategies.markets import krx

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user says about the files; None is found out."""

    instrument: str | None = None
    kind: Kind | None = None
    interval_ns: int | None = None
    timezone: str | None = None
    stamp: Stamp | None = None
    market: Market | None = None
    grid: Grid = field(default_factory=Grid)
    sessions_of: SessionsOf | None = None


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

    A path is a file, a folder (all tables and recordings in it, at any depth) or a pattern. Raises
    BadInput for the first file that cannot be imported; the catalog is then as it was.
    """
    if options.timezone is not None:
        _check_zone(options.timezone)
    files = sorted(find_files(paths), key=_is_funding)  # last: it needs the instrument
    total = sum(path.stat().st_size for path in files)
    done = 0
    reports = []

    def on_bytes(read: int) -> None:
        on_progress(done + read, total)

    answers = [answer for path in files if is_answers(path) for answer in read_answers(path)]
    with store.importing() as batch:
        listings = [path for path in files if _is_listing(path, options)]
        reports += _import_listings(batch, listings, options)
        for path in files:
            if not is_answers(path) and path not in listings:
                reports.append(_import(batch, path, options, answers, on_bytes))
            done += path.stat().st_size
            on_progress(done, total)
        reports += _import_answers(batch, files, options)
    return ImportReport(tuple(reports), tuple(batch.results))


def find_files(paths: Sequence[str]) -> list[Path]:
    """Return the files that paths name, in order and once. Raises BadInput where there are none."""
    found: dict[Path, None] = {}
    for text in paths:
        path = Path(text).expanduser()
        if path.is_dir():
            files = [each for each in sorted(path.rglob("*")) if each.is_file() and _readable(each)]
        elif path.exists():
            files = [path]
        else:
            matches = map(Path, glob(str(path), recursive=True))  # noqa: PTH207 - also absolute
            files = sorted(each for each in matches if each.is_file())
        if not files:
            what = "holds no table or recording" if path.is_dir() else "does not exist"
            raise BadInput(f"{text} {what}: check the path.")
        found |= dict.fromkeys(files)
    return list(found)


def _readable(path: Path) -> bool:
    name = path.name.lower().removesuffix(".gz")
    return name.endswith((*SUFFIXES, ".zip")) or looks_like_recording(path)


def _import(
    batch: Import,
    path: Path,
    options: Options,
    answers: Sequence[Answer],
    on_bytes: Callable[[int], None],
) -> FileReport:
    kind = options.kind
    if kind in (None, Kind.RECORDING) and is_recorded_csv(path):
        done = import_recorded_csv(batch, path, options.market, options.grid)
        return FileReport(path, Kind.RECORDING, done.rows, done.frames, tuple(done.notes))
    if kind is Kind.RECORDING or (kind is None and looks_like_recording(path)):
        done = Recording(batch, path, options.market, options.grid, answers).read(on_bytes)
        return FileReport(path, Kind.RECORDING, done.rows, done.frames, tuple(done.notes))
    dump = _dump(path, options)
    if dump is not None:
        dumped = import_dump(batch, dump, _market(options), options.grid, on_bytes)
        return FileReport(path, Kind(dump.kind), dumped.rows, 0, tuple(dumped.notes))
    if not _readable(path):
        raise BadInput(
            f"{path} is neither a table (.csv, .feather, .parquet, also as .gz or .zip) nor a "
            "recording: convert it to one of these."
        )
    index_id = _index_id(path, options)
    if index_id is not None:
        zone = options.timezone or "UTC"
        index = import_index(batch, path, index_id, zone, options.sessions_of)
        return FileReport(path, Kind.INDEX, index.rows, 0, index.notes)
    instrument_id = instrument_id_for(path, options.instrument)
    is_krx = instrument_id.venue.value == krx.VENUE
    if kind is Kind.KRX_DAILY and not is_krx:
        raise BadInput(f"{path}: {instrument_id} is no share of KRX: leave out --kind krx-daily.")
    if is_large(path) and not is_krx:
        large = import_large(
            batch,
            path,
            instrument_id,
            options.timezone or "UTC",
            options.grid,
            options.interval_ns,
            options.stamp,
            on_bytes,
        )
        return FileReport(path, Kind.BARS, large.rows, 0, large.notes)
    kind, written = _table(batch, path, instrument_id, options, is_krx=is_krx)
    return FileReport(path, kind, written.rows, 0, written.notes)


def _is_funding(path: Path) -> bool:
    dump = dump_of(path)
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
    notes = [] if sheet.zone_given else [f"times taken as {zone}"]
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


def _import_answers(batch: Import, files: Sequence[Path], options: Options) -> Iterator[FileReport]:
    """Import the REST depth answers that no recording of this import took, as snapshots."""
    taken = {(result.kind, result.topic) for result in batch.results}
    for path in filter(is_answers, files):
        done = import_answers(batch, path, options.grid, taken)
        yield FileReport(path, Kind.RECORDING, done.rows, done.frames, tuple(done.notes))


def _check_zone(name: str) -> None:
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise BadInput(
            f"--timezone {name!r} is not known: write a name like Asia/Seoul or UTC."
        ) from error
