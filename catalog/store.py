"""The one door to the catalog: writes whole imports or nothing, and lists what is there.

Rule: no other module creates, renames or removes a file below the catalog's root. One import is
staged and enters the catalog as a whole; how, is the business of where it lies (``Shelf``).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from nautilus_trader.model import (
    BarType,
    CryptoPerpetual,
    CurrencyPair,
    Equity,
    IndexInstrument,
    InstrumentId,
)
from nautilus_trader.persistence import ParquetDataCatalog

from catalog.inventory import ContentHash, open_parquet
from catalog.layout import (
    FOLDERS,
    INSTRUMENT_FOLDERS,
    MAX_ROW_GROUP,
    SCHEMAS,
    SOURCE_KEY,
    TYPE_NAMES,
    file_name,
    file_span,
    folder,
    instrument_of,
)
from catalog.merge import disagrees, last_before, rows_within, uncovered
from catalog.places import S3Path
from catalog.s3_shelf import S3Shelf
from catalog.shelf import LocalShelf, Placed, Shelf, writing
from strategies.errors import BadInput, InvariantBroken, RunFailed
from strategies.ports import StreamKind

type Instrument = Equity | CryptoPerpetual | CurrencyPair | IndexInstrument
type Rows = pa.Table | pa.RecordBatch


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What became of one stream of an import. ``added`` is False where it was there already."""

    kind: StreamKind
    topic: str
    rows: int
    first_ns: int
    last_ns: int
    sha256: str
    added: bool


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """One stream of the catalog; times are the first and last ``ts_init``, UTC ns."""

    kind: StreamKind
    topic: str
    instrument_id: InstrumentId
    files: int
    rows: int
    first_ns: int
    last_ns: int
    sources: tuple[str, ...]


class StreamWriter:
    """Writes one file of one stream; give rows in ``ts_init`` order, then the instrument.

    The instrument comes last because its precision may only be known from the data.
    """

    def __init__(self, batch: "Import", kind: StreamKind, topic: str, path: Path) -> None:
        self.kind = kind
        self.topic = topic
        self._batch = batch
        self._path = path
        with writing(path):
            self._file = path.open("wb")
            self._out = pq.ParquetWriter(
                self._file,
                SCHEMAS[kind],
                compression="zstd",
                compression_level=1,
                use_dictionary=False,
                write_page_checksum=True,
            )
        self._content = ContentHash(SCHEMAS[kind])
        self._first: int | None = None
        self._last = 0

    @property
    def path(self) -> Path:
        """Where the rows are staged."""
        return self._path

    @property
    def rows(self) -> int:
        """Rows given so far."""
        return self._content.rows

    def append(self, rows: Rows) -> None:
        """Write rows of the kind's schema. Raises InvariantBroken where ``ts_init`` goes back."""
        if rows.num_rows == 0:
            return
        table = pa.table(rows).cast(SCHEMAS[self.kind])
        stamps = table.column("ts_init").cast(pa.int64()).to_numpy()
        first, last = int(stamps[0]), int(stamps[-1])
        if (stamps[1:] < stamps[:-1]).any() or (self._first is not None and first < self._last):
            raise InvariantBroken(f"rows for {self.topic} are not in order of ts_init.")
        self._first = first if self._first is None else self._first
        self._last = last
        self._content.update(table)
        with writing(self._path):
            self._out.write_table(table, row_group_size=MAX_ROW_GROUP)

    def close(self, instrument: Instrument, source: str) -> WriteResult | None:
        """Finish the file and add it to the import; None where no row was given.

        Raises BadInput where it overlaps other rows of the same stream.
        """
        if self._first is None:
            self.discard()
            return None
        metadata = self._metadata(instrument)
        with writing(self._path):
            self._out.add_key_value_metadata(metadata | {SOURCE_KEY: source})
            self._out.close()
            self._file.close()
        found = open_parquet(self._path).metadata.num_rows
        if found != self.rows:
            raise RunFailed(f"{self._path} holds {found} of {self.rows} rows after writing.")
        digest = self._content.digest(metadata)
        span = (self._first, self._last)
        result = WriteResult(self.kind, self.topic, found, *span, digest, added=True)
        return self._batch.take(result, self._path, source)

    def discard(self) -> None:
        """Throw away what was written."""
        self.abandon()
        self._path.unlink()

    def abandon(self) -> None:
        """Let go of the file, finished or not; the import's staging folder goes as a whole."""
        if not self._file.closed:
            self._out.close()
            self._file.close()

    def _metadata(self, instrument: Instrument) -> dict[str, str]:
        if instrument_of(self.kind, self.topic) != instrument.id:
            raise InvariantBroken(f"rows for {self.topic} were given {instrument.id}.")
        metadata = {
            "instrument_id": str(instrument.id),
            "price_precision": str(instrument.price_precision),
            "size_precision": str(size_precision(instrument)),
            "type_name": TYPE_NAMES[self.kind],
        }
        return metadata | ({"bar_type": self.topic} if self.kind is StreamKind.BARS else {})


class Import:
    """One import: many streams and instruments that enter the catalog together or not at all."""

    def __init__(self, store: "Store", staging: Path) -> None:
        self._store = store
        self._staging = staging
        self._moves: list[tuple[Path, Path]] = []
        self._targets: dict[Path, dict[Path, Path]] = {}  # by folder: there may be thousands
        self._taken: list[tuple[WriteResult, Path, str]] = []
        self._instruments: dict[InstrumentId, Instrument] = dict(store.instruments())
        self._new: list[Instrument] = []
        self._opened = 0
        self._writers: dict[Path, StreamWriter] = {}  # unfinished ones: their memory is dear
        self.results: list[WriteResult] = []

    def instrument(self, instrument_id: InstrumentId) -> Instrument | None:
        """Return the instrument as the catalog, or this import, knows it."""
        return self._instruments.get(instrument_id)

    def is_new(self, instrument_id: InstrumentId) -> bool:
        """Say whether an instrument came with this import."""
        return any(each.id == instrument_id for each in self._new)

    def row_before(self, kind: StreamKind, topic: str, before_ns: int) -> pa.Table | None:
        """Return a stream's last row before a time, as the catalog or this import has it."""
        place = folder(self._store.root, kind, topic)
        files = {path: path for path in self._store.files(kind, topic)}
        files |= self._targets.get(place, {})
        spans = {path: file_span(path.name) or (0, 0) for path in files}
        earlier = [path for path in files if spans[path][0] < before_ns]
        if not earlier:
            return None
        return last_before(kind, files[max(earlier, key=spans.__getitem__)], before_ns)

    def add_instrument(self, instrument: Instrument) -> None:
        """Add an instrument. Raises BadInput where the catalog knows it otherwise."""
        known = self._instruments.get(instrument.id)
        if known is None:
            self._instruments[instrument.id] = instrument
            self._new.append(instrument)
        elif _definition(known) != _definition(instrument):
            raise BadInput(
                f"{instrument.id} is in the catalog as {_words(known)}, and what is imported has "
                f"{_words(instrument)}: import it into another ONETAPE_HOME, or remove the old "
                "data first."
            )

    def open(self, kind: StreamKind, topic: str) -> StreamWriter:
        """Begin one file of a stream."""
        path = self._staging / f"{self._opened}.parquet"
        self._opened += 1
        writer = StreamWriter(self, kind, topic, path)
        self._writers[path] = writer
        return writer

    def write(
        self,
        instrument: Instrument,
        kind: StreamKind,
        rows: Iterable[Rows],
        *,
        source: str,
        bar_type: BarType | None = None,
    ) -> WriteResult | None:
        """Write one stream whose instrument is known beforehand; None where there is no row."""
        self.add_instrument(instrument)
        writer = self.open(kind, str(bar_type) if bar_type is not None else str(instrument.id))
        for part in rows:
            writer.append(part)
        return writer.close(instrument, source)

    def rewrite(self, writer: StreamWriter, change: Callable[[pa.Table], pa.Table]) -> StreamWriter:
        """Return a writer that holds another's rows, each block changed; the other one goes."""
        writer.abandon()
        again = self.open(writer.kind, writer.topic)
        file = open_parquet(writer.path)
        for group in range(file.num_row_groups):
            again.append(change(file.read_row_group(group)))
        writer.path.unlink()
        return again

    def take(self, result: WriteResult, path: Path, source: str) -> WriteResult:
        """Accept a finished file, or drop it where the catalog holds the same already."""
        del self._writers[path]
        target = folder(self._store.root, result.kind, result.topic)
        target /= file_name(result.first_ns, result.last_ns)
        if self._store.holds(target, result.sha256):
            path.unlink()
            result = replace(result, added=False)
        else:
            beside = self._targets.setdefault(target.parent, {})
            if known := self._store.overlapping(result, beside):
                return self._merge(result, path, source, known)
            beside[target] = path
            self._moves.append((path, target))
            self._taken.append((result, target, source))
        self.results.append(result)
        return result

    def _merge(
        self, result: WriteResult, path: Path, source: str, known: dict[Path, Path]
    ) -> WriteResult:
        """Add what a file has beside others that agree with it. Raises BadInput where they don't.

        ``known`` gives, for each place in the catalog, where its file lies now.
        """
        span = result.first_ns, result.last_ns
        for target, there in known.items():
            if disagrees(result.kind, path, span, there, target):
                self._store.refuse_overlap(result, [target], source)
        instrument = self._instruments[instrument_of(result.kind, result.topic)]
        before = len(self.results)
        for part in uncovered(span, list(known)):
            writer = self.open(result.kind, result.topic)
            for rows in rows_within(result.kind, path, part):
                writer.append(rows)
            writer.close(instrument, source)
        path.unlink()
        new = sum(each.rows for each in self.results[before:])
        if new < result.rows:
            self.results.append(replace(result, rows=result.rows - new, added=False))
        return replace(result, added=new > 0)

    def abandon(self) -> None:
        """Let go of every file; what was committed is in place already."""
        for writer in self._writers.values():
            writer.abandon()

    def commit(self) -> None:
        """Move everything into place; called by ``Store.importing``."""
        if self._new:
            self._stage_instruments()
        placed = [
            Placed(target, result.rows, source, result.sha256)
            for result, target, source in self._taken
        ]
        self._store.shelf.publish(self._staging, self._moves, placed, self._still_fits)

    def _still_fits(self) -> None:
        """Refuse where another import came in between."""
        for result, _, source in self._taken:
            self._store.refuse_overlap(result, [], source)

    def _stage_instruments(self) -> None:
        place = self._staging / "instruments"
        place.mkdir()
        for name in ParquetDataCatalog(str(place)).write_instruments(self._new):
            target = self._store.root / name
            if not target.exists():
                self._moves.append((place / name, target))


class Store:
    """A catalog below ``root``; the folder is made by the first import."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shelf: Shelf = S3Shelf(root) if isinstance(root, S3Path) else LocalShelf(root)

    @contextmanager
    def importing(self) -> Iterator[Import]:
        """Stage one import; it enters the catalog when the block ends without an exception."""
        with self.shelf.staging() as staging:
            batch = Import(self, staging)
            try:
                yield batch
                batch.commit()
            finally:
                batch.abandon()

    def write(
        self,
        instrument: Instrument,
        kind: StreamKind,
        rows: Iterable[Rows],
        *,
        source: str,
        bar_type: BarType | None = None,
    ) -> WriteResult | None:
        """Import one stream; rows are tables in the layout's schema, ascending in ``ts_init``."""
        with self.importing() as batch:
            return batch.write(instrument, kind, rows, source=source, bar_type=bar_type)

    def files(self, kind: StreamKind, topic: str) -> list[Path]:
        """Return the files of a stream in order of time."""
        return self.shelf.files(kind, topic)

    def streams(self) -> list[StreamInfo]:
        """List all streams by kind and topic. Raises BadInput naming a file that is damaged."""
        found = []
        for kind in FOLDERS:
            topics = self.shelf.topics(kind)
            found += [info for topic in topics if (info := self._info(kind, topic)) is not None]
        self.shelf.save()
        return found

    def instruments(self) -> dict[InstrumentId, Instrument]:
        """Return every instrument of the catalog; of several definitions the last one."""
        with self.shelf.instruments() as place:
            if place is None:
                return {}
            for name in INSTRUMENT_FOLDERS:
                for path in sorted(place.glob(f"data/{name}/*/*.parquet")):
                    open_parquet(path)
            known: list[Any] = ParquetDataCatalog(str(place)).instruments()
        return {each.id: each for each in sorted(known, key=lambda each: int(each.ts_init))}

    def slice_hash(self, kind: StreamKind, topic: str, start_ns: int, end_ns: int) -> str:
        """Hash the content of the files that hold a stream between two times, both inclusive."""
        whole = sha256()
        for path in self.files(kind, topic):
            first, last = file_span(path.name) or (0, 0)
            if first <= end_ns and last >= start_ns:
                whole.update(f"{path.name}={self.shelf.content_hash(path)}\n".encode())
        self.shelf.save()
        return whole.hexdigest()

    def holds(self, path: Path, content: str) -> bool:
        """Say whether a file is there and holds rows of this hash."""
        return self.shelf.holds(path, content)

    def overlapping(self, result: WriteResult, staged: Mapping[Path, Path]) -> dict[Path, Path]:
        """Return the files of a stream between a result's first and last: place -> file.

        ``staged`` are those on their way into the catalog, place -> file.
        """
        files = {path: path for path in self.files(result.kind, result.topic)} | dict(staged)
        return {
            place: path
            for place, path in files.items()
            if (span := file_span(place.name))
            and span[0] <= result.last_ns
            and span[1] >= result.first_ns
        }

    def refuse_overlap(self, result: WriteResult, staged: list[Path], source: str) -> None:
        """Raise BadInput where a stream has other rows between the result's first and last.

        ``staged`` are its files on their way into the catalog.
        """
        for path in [*self.files(result.kind, result.topic), *staged]:
            first, last = file_span(path.name) or (0, 0)
            if first <= result.last_ns and last >= result.first_ns:
                raise BadInput(
                    f"{source}: its {result.rows:,} rows of {result.kind} for {result.topic} lie "
                    f"between {_day(result.first_ns)} and {_day(result.last_ns)}, where the "
                    f"catalog has other rows ({_day(first)} to {_day(last)}): import only what "
                    f"is new, or remove {path} first."
                )

    def _info(self, kind: StreamKind, topic: str) -> StreamInfo | None:
        files = self.files(kind, topic)
        if not files:
            return None
        facts = [self.shelf.facts(path) for path in files]
        spans = [file_span(path.name) or (0, 0) for path in files]
        return StreamInfo(
            kind,
            topic,
            instrument_of(kind, topic),
            len(files),
            sum(each.rows for each in facts),
            spans[0][0],
            spans[-1][1],
            tuple(dict.fromkeys(each.source for each in facts if each.source)),
        )


def size_precision(instrument: Instrument) -> int:
    """Return the decimals of an instrument's quantities; shares are whole."""
    return 0 if isinstance(instrument, Equity) else int(instrument.size_precision)


def _definition(instrument: Instrument) -> tuple[object, ...]:
    return (
        type(instrument).__name__,
        instrument.price_precision,
        size_precision(instrument),
        bool((instrument.info or {}).get("adjusted")),
    )


def _words(instrument: Instrument) -> str:
    adjusted = "adjusted prices, " if (instrument.info or {}).get("adjusted") else ""
    return (
        f"{type(instrument).__name__} with {adjusted}{instrument.price_precision} price and "
        f"{size_precision(instrument)} size decimals"
    )


def _day(ns: int) -> str:
    return str(pc.strftime(pa.scalar(ns, pa.timestamp("ns", "UTC")), "%Y-%m-%d %H:%M:%S"))[:19]
