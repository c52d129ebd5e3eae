"""Writes one run: entries chained, buffered and committed in whole batches.

Rule: what is committed is always a prefix of the run, with its count and head in the same
transaction. After a failed write nothing more is written: trading stops.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import NoReturn, Self

from sqlalchemy import Connection, update

from catalog.codec import encode
from catalog.journal.backends import ERRORS, Backend, Lock, Rows
from catalog.journal.chain import GENESIS, link, place
from catalog.journal.schema import ENTRIES, RUNS, TAPE_BLOCKS
from strategies.errors import InvariantBroken, JournalFailed, OnetapeError
from strategies.ports import Kind

type _Pending = tuple[int, int, Kind, str, int, int, object]

_NAMES = {kind: str(kind) for kind in Kind}

BATCH_ENTRIES = 2_048
"""Entries buffered before they are committed without being asked."""


class RunJournal:
    """The journal of one run while it is written; made by ``JournalStore.begin``.

    As a context manager it ends a run that an exception leaves as ``failed``.
    """

    def __init__(
        self,
        backend: Backend,
        connection: Connection,
        lock: Lock,
        run_no: int,
        run_id: str,
        wall_ns: Callable[[], int],
    ) -> None:
        self.run_id = run_id
        self.run_no = run_no
        self._backend = backend
        self._connection = connection
        self._lock = lock
        self._wall_ns = wall_ns
        self._pending: list[_Pending] = []
        self._rows: Rows = []
        self._blocks: Rows = []
        self._head = self._digest = GENESIS
        self._last_id = -1
        self._count = 0
        self._broken = False
        self._ended = False
        mark = backend.mark
        self._progress = (
            f"UPDATE {RUNS.name} SET entry_count = {mark}, head = {mark}, digest = {mark} "  # noqa: S608 - constants only
            f"WHERE run_no = {mark}"
        )

    @property
    def head(self) -> str:
        """Hash over all entries so far, as hex text."""
        self._seal()
        return self._head.hex()

    @property
    def digest(self) -> str:
        """Hash over all entries so far but ENDED, as hex text: equal runs have equal digests."""
        self._seal()
        return self._digest.hex()

    @property
    def entry_count(self) -> int:
        """Entries appended so far, committed or not."""
        return self._count + len(self._rows) + len(self._pending)

    def append(
        self,
        entry_id: int,
        ts_ns: int,
        kind: Kind,
        source: str,
        cause_id: int,
        workflow_id: int,
        message: object,
    ) -> None:
        """Add one entry; every ``BATCH_ENTRIES`` of them are committed.

        Raises InvariantBroken where ids do not ascend, JournalFailed where it cannot be written.
        """
        if entry_id <= self._last_id:
            raise InvariantBroken(f"{place(entry_id)} is not after {place(self._last_id)}.")
        self._last_id = entry_id
        self._pending.append((entry_id, ts_ns, kind, source, cause_id, workflow_id, message))
        if len(self._pending) >= BATCH_ENTRIES:
            self.flush()

    def _seal(self) -> None:
        """Encode and chain what was appended; messages never change, so it can wait for a batch."""
        head, digest, run_no, rows = self._head, self._digest, self.run_no, self._rows
        try:
            for entry_id, ts_ns, kind, source, cause_id, workflow_id, message in self._pending:
                payload, name = encode(message), _NAMES[kind]
                head = link(head, entry_id, ts_ns, name, source, cause_id, workflow_id, payload)
                if kind is not Kind.ENDED:
                    digest = head
                text = payload.decode()
                rows.append(
                    (run_no, entry_id, ts_ns, name, source, cause_id, workflow_id, text, head)
                )
        finally:  # what cannot be encoded ends the run; what came before it is kept
            self._pending.clear()
            self._head, self._digest = head, digest

    def write_tape_block(
        self,
        stream: str,
        block: int,
        first_row: int,
        rows: int,
        first_ts: int,
        last_ts: int,
        fingerprints: bytes,
    ) -> None:
        """Add what identifies one block of the tape; committed with the entries of its batch.

        ``first_row`` counts the stream's rows from 0, times are ns UTC; (stream, block) is new.
        """
        self._blocks.append(
            (self.run_no, stream, block, first_row, rows, first_ts, last_ts, fingerprints)
        )

    def flush(self) -> None:
        """Commit everything so far; raises JournalFailed, and then nothing of it is there."""
        if self._broken or self._ended:
            self._refuse()
        self._seal()
        if not self._rows and not self._blocks:
            return
        try:
            with self._connection.begin():
                self._insert()
        except ERRORS as error:
            self._fail(error)
        self._count += len(self._rows)
        self._rows.clear()
        self._blocks.clear()

    def end(self, status: str, summary: Mapping[str, object], error: str | None = None) -> None:
        """Commit what is left and how the run came out, and let the next writer in.

        ``status`` is ``ended`` or ``failed``. Raises JournalFailed where that cannot be written.
        """
        if self._ended:
            raise InvariantBroken(f"the journal of {self.run_id} was ended twice.")
        try:
            if not self._broken:
                self.flush()
            self._close_row(status, summary, error)
        except ERRORS as failure:
            self._fail(failure)
        finally:
            self._ended = True
            self._connection.close()
            self._lock.release()

    def _insert(self) -> None:
        if self._rows:
            self._backend.insert(self._connection, ENTRIES, self._rows)
        if self._blocks:
            self._backend.insert(self._connection, TAPE_BLOCKS, self._blocks)
        count = self._count + len(self._rows)
        progress = (count, self.head, self.digest, self.run_no)
        self._connection.exec_driver_sql(self._progress, progress)

    def _close_row(self, status: str, summary: Mapping[str, object], error: str | None) -> None:
        text = json.dumps(summary, default=str, ensure_ascii=False, sort_keys=True)
        row = update(RUNS).where(RUNS.c.run_no == self.run_no)
        with self._connection.begin():
            self._connection.execute(
                row.values(status=status, summary=text, error=error, ended_wall_ns=self._wall_ns())
            )

    def _fail(self, error: BaseException) -> NoReturn:
        self._broken = True
        self._pending.clear()
        self._rows.clear()
        self._blocks.clear()
        words = self._backend.explain(error)
        raise JournalFailed(f"the journal {self._backend.where} {words}.") from error

    def _refuse(self) -> NoReturn:
        why = "was ended" if self._ended else "could not be written before"
        raise JournalFailed(f"the journal of {self.run_id} {why} and takes no more entries.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ended:
            return
        if error is None:
            self.end("failed", {}, "the run was left without being ended")
            return
        text = str(error) if isinstance(error, OnetapeError) else f"{type(error).__name__}: {error}"
        with suppress(JournalFailed):  # the error on its way out is the one to see
            self.end("failed", {}, text)
