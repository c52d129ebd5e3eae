"""Opens journals, begins runs and reads them back.

Rule: reading never creates or changes anything, and works while a run is being written.
"""

import json
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, NoReturn, Self

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from catalog.codec import decode
from catalog.journal import schema
from catalog.journal.backends import ERRORS, Backend, Lock, choose_backend
from catalog.journal.chain import GENESIS, Entry, JournalCorrupt, link, place
from catalog.journal.schema import ENTRIES, RUNS, TAPE_BLOCKS
from catalog.journal.writer import RunJournal
from catalog.runs import Manifest, Run, find_run
from strategies.errors import BadInput
from strategies.ports import Kind

PAGE_ENTRIES = 8_192
"""Entries read at a time: bounds memory, and no read stays open while a run is written."""

_KINDS = {str(kind): kind for kind in Kind}


type AnyRow = Row[*tuple[Any, ...]]


class TapeBlock(NamedTuple):
    """What identifies one block of a run's tape; ``first_row`` counts from 0, times are ns UTC."""

    stream: str
    block: int
    first_row: int
    rows: int
    first_ts: int
    last_ts: int
    fingerprints: bytes


RAW_COLUMNS = ("id", "ts_ns", "kind", "source", "cause", "workflow", "payload")


class RawEntry(NamedTuple):
    """One entry as it is stored; ``payload`` is the message's canonical text."""

    id: int
    ts_ns: int
    kind: str
    source: str
    cause_id: int
    workflow_id: int
    payload: str


def open_journal(url: str, home: Path, wall_ns: Callable[[], int] = time.time_ns) -> "JournalStore":
    """Return the journal at a SQLAlchemy URL; a SQLite file appears with its first run.

    ``home`` is the one folder that is made where it is missing. ``wall_ns`` stamps the end of
    runs. Raises BadInput, in one sentence, where there is no usable journal.
    """
    store = JournalStore(choose_backend(url, home), wall_ns)
    with store.reading():
        pass
    return store


class JournalStore:
    """All runs of one journal; made by ``open_journal``."""

    def __init__(self, backend: Backend, wall_ns: Callable[[], int]) -> None:
        self._backend = backend
        self._wall_ns = wall_ns
        self._known = False

    @property
    def where(self) -> str:
        """The journal's place, for people; it holds no password."""
        return self._backend.where

    def close(self) -> None:
        """Let go of the database."""
        self._backend.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- writing ---

    def begin(self, manifest: Manifest) -> RunJournal:
        """Begin a run and become the journal's only writer until it ends.

        Runs whose writer is gone are marked ``crashed``. Raises BadInput where another run is
        being written, the run id is taken, or the journal cannot be written.
        """
        try:
            self._backend.prepare()
            connection = self._backend.engine.connect()
        except ERRORS as error:
            self._reject(error)
        lock = None
        try:
            lock = self._lock(connection)
            run_no = self._begin_row(connection, manifest)
        except BaseException as error:
            connection.close()
            if lock is not None:
                lock.release()
            if isinstance(error, ERRORS):
                self._reject(error)
            raise
        return RunJournal(self._backend, connection, lock, run_no, manifest.run_id, self._wall_ns)

    def _lock(self, connection: Connection) -> Lock:
        lock = self._backend.try_lock(connection)
        if lock is not None:
            return lock
        holder = "another program"
        running = [run for run in self.runs() if run.status == "running"]
        if running:
            last = running[-1].manifest
            holder = f"run {last.run_id} (process {last.pid} on {last.hostname})"
        raise BadInput(
            f"{holder} is writing to the journal {self.where}; wait for its end, or set "
            "ONETAPE_JOURNAL to another journal for this run."
        )

    def _begin_row(self, connection: Connection, manifest: Manifest) -> int:
        with connection.begin():
            if not schema.is_journal(connection, self.where):
                schema.create(connection)
            taken = select(RUNS.c.run_no).where(RUNS.c.run_id == manifest.run_id)
            if connection.execute(taken).first() is not None:
                raise BadInput(
                    f"the journal {self.where} already has a run {manifest.run_id}; start again."
                )
            gone = update(RUNS).where(RUNS.c.status == "running")
            connection.execute(gone.values(status="crashed"))
            run_no = int(connection.execute(select(func.max(RUNS.c.run_no))).scalar() or 0) + 1
            connection.execute(insert(RUNS).values(_to_row(run_no, manifest)))
        return run_no

    # --- reading ---

    def runs(self) -> list[Run]:
        """Return all runs, oldest first; one whose writer is gone shows as ``crashed``."""
        rows = self._run_rows()
        writing = {row.run_no for row in rows if row.status == "running"}
        gone: set[int] = set()
        if writing and not self._is_locked():
            # Its writer may have ended it between the two looks: look again.
            rows = self._run_rows()
            gone = {r.run_no for r in rows if r.status == "running" and r.run_no in writing}
        return [_to_run(row, crashed=row.run_no in gone) for row in rows]

    def find(self, name: str) -> Run:
        """Return the run of this id, unique prefix of an id, or ``last``; else BadInput."""
        return find_run(self.runs(), name)

    def entries(
        self,
        run: Run,
        *,
        kinds: Collection[Kind] = (),
        source: str | None = None,
        limit: int | None = None,
    ) -> Iterator[Entry]:
        """Yield a run's entries in order, decoded, at most ``limit`` of these kinds and source.

        Raises JournalCorrupt where an entry cannot be decoded.
        """
        rows = self._entry_rows(run, kinds, source, limit)
        for entry_id, ts_ns, name, origin, cause, workflow, payload, _hash in rows:
            try:
                kind = _KINDS[name]
                message = decode(kind, payload.encode())
            except (KeyError, ValueError) as error:
                raise JournalCorrupt(
                    f"run {run.run_id}: {place(entry_id)} holds no {name} message; the journal "
                    f"{self.where} was damaged or edited."
                ) from error
            yield Entry(entry_id, ts_ns, kind, origin, cause, workflow, message)

    def raw_entries(self, run: Run) -> Iterator[RawEntry]:
        """Yield a run's entries in order, as they are stored: for comparing without decoding."""
        columns = [ENTRIES.c[name] for name in RAW_COLUMNS]
        query = select(*columns).where(ENTRIES.c.run_no == run.run_no).order_by(ENTRIES.c.id)
        after = -1
        while True:
            page = self._fetch_plain(query.where(ENTRIES.c.id > after).limit(PAGE_ENTRIES))
            yield from map(RawEntry._make, page)
            if len(page) < PAGE_ENTRIES:
                return
            after = page[-1][0]

    def tape_blocks(self, run: Run, stream: str | None = None) -> list[TapeBlock]:
        """Return what identifies the run's tape, by stream and block."""
        columns = [TAPE_BLOCKS.c[name] for name in TapeBlock._fields]
        query = select(*columns).where(TAPE_BLOCKS.c.run_no == run.run_no)
        if stream is not None:
            query = query.where(TAPE_BLOCKS.c.stream == stream)
        query = query.order_by(TAPE_BLOCKS.c.stream, TAPE_BLOCKS.c.block)
        return [TapeBlock(*row) for row in self._fetch(query)]

    def check_chain(self, run: Run) -> None:
        """Recompute the run's hashes; raises JournalCorrupt at the first entry that differs.

        ``run`` is fresh from ``runs`` or ``find``: what a writer adds later is not looked at.
        """
        head = digest = GENESIS
        ended = str(Kind.ENDED)
        count, last = 0, "the first entry"
        limit = run.entry_count + 1 if run.status != "running" else run.entry_count
        rows = self._entry_rows(run, (), None, limit)
        for entry_id, ts_ns, kind, source, cause, workflow, payload, stored in rows:
            head = link(head, entry_id, ts_ns, kind, source, cause, workflow, payload.encode())
            if head != stored:
                raise JournalCorrupt(
                    f"run {run.run_id}: the chain breaks at {place(entry_id)}; it, or an entry "
                    f"right before it, was changed, moved or removed in {self.where}."
                )
            if kind != ended:
                digest = head
            count, last = count + 1, place(entry_id)
        if (count, head.hex(), digest.hex()) != (run.entry_count, run.head, run.digest):
            raise JournalCorrupt(
                f"run {run.run_id}: {self.where} holds {count} entries up to {last} and the run's "
                f"own record says {run.entry_count}; entries were added to or cut from its end, "
                "or the record was changed."
            )

    def _entry_rows(
        self, run: Run, kinds: Collection[Kind], source: str | None, limit: int | None
    ) -> Iterator[AnyRow]:
        query = select(*list(ENTRIES.columns)[1:]).where(ENTRIES.c.run_no == run.run_no)
        if kinds:
            query = query.where(ENTRIES.c.kind.in_([str(kind) for kind in kinds]))
        if source is not None:
            query = query.where(ENTRIES.c.source == source)
        query = query.order_by(ENTRIES.c.id)
        left, after = limit, -1
        while left is None or left > 0:
            size = PAGE_ENTRIES if left is None else min(left, PAGE_ENTRIES)
            page = self._fetch(query.where(ENTRIES.c.id > after).limit(size))
            yield from page
            if len(page) < size:
                return
            after = page[-1].id
            left = None if left is None else left - size

    def _run_rows(self) -> list[AnyRow]:
        return self._fetch(select(RUNS).order_by(RUNS.c.run_no))

    def _fetch(self, query: Select[*tuple[Any, ...]]) -> list[AnyRow]:
        with self.reading() as connection:
            if connection is None:
                return []
            self._backend.read_by_key(connection)
            return list(connection.execute(query).all())

    def _fetch_plain(self, query: Select[*tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """Return rows as the driver gives them: a re-execution reads some hundred thousand."""
        with self.reading() as connection:
            if connection is None:
                return []
            self._backend.read_by_key(connection)
            cursor = connection.execute(query).cursor
            return [] if cursor is None else list(cursor.fetchall())

    def _is_locked(self) -> bool:
        try:
            return self._backend.is_locked()
        except ERRORS as error:
            self._reject(error)

    @contextmanager
    def reading(self) -> Iterator[Connection | None]:
        """Give a connection to a journal known to be ours, or None where there is none yet."""
        try:
            if not self._backend.exists():
                yield None
                return
            with self._backend.engine.connect() as connection:
                self._known = self._known or schema.is_journal(connection, self.where)
                yield connection if self._known else None
        except ERRORS as error:
            self._reject(error)

    def _reject(self, error: BaseException) -> NoReturn:
        words = self._backend.explain(error)
        raise BadInput(f"the journal {self.where} {words}.") from error


def _to_row(run_no: int, manifest: Manifest) -> dict[str, object]:
    return {
        "run_no": run_no,
        "run_id": manifest.run_id,
        "scenario": manifest.scenario,
        "mode": manifest.mode,
        "status": "running",
        "config_hash": manifest.config_hash,
        "config": manifest.config,
        "code_version": manifest.code_version,
        "packages": json.dumps(dict(manifest.packages), sort_keys=True),
        "python": manifest.python,
        "seed": manifest.seed,
        "folder": manifest.folder,
        "slices": json.dumps(dict(manifest.slices), sort_keys=True),
        "started_wall_ns": manifest.started_wall_ns,
        "pid": manifest.pid,
        "hostname": manifest.hostname,
        "entry_count": 0,
        "head": GENESIS.hex(),
        "digest": GENESIS.hex(),
    }


def _to_run(row: AnyRow, *, crashed: bool) -> Run:
    manifest = Manifest(
        run_id=row.run_id,
        scenario=row.scenario,
        mode=row.mode,
        config=row.config,
        code_version=row.code_version,
        python=row.python,
        seed=row.seed,
        started_wall_ns=row.started_wall_ns,
        pid=row.pid,
        hostname=row.hostname,
        packages=json.loads(row.packages),
        folder=row.folder,
        slices=json.loads(row.slices),
    )
    return Run(
        run_no=row.run_no,
        manifest=manifest,
        status="crashed" if crashed else row.status,
        entry_count=row.entry_count,
        head=row.head,
        digest=row.digest,
        ended_wall_ns=row.ended_wall_ns,
        summary=json.loads(row.summary) if row.summary else {},
        error=row.error,
    )
