"""What differs between SQLite and PostgreSQL: opening, one writer at a time, bulk inserts, errors.

Rule: nothing here knows what an entry means. No text for people ever holds a password.
"""

import fcntl
import os
import sqlite3
import time
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    NullPool,
    Table,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from strategies.errors import BadInput

ERRORS = (SQLAlchemyError, sqlite3.Error, OSError)
"""What a database call may raise; ``Backend.explain`` puts it into words."""

type Rows = list[tuple[object, ...]]

_PAGE_BYTES = 16_384  # entries lie in their key's tree: larger pages hold more of it, 25 % faster
_CHECKPOINT_PAGES = 4_000
_ROWS_PER_STATEMENT = 64  # one statement for many rows costs a quarter less than one for each
_LOCK_TRIES = 10
_LOCK_PAUSE_S = 0.02  # a reader's look at the lock lasts microseconds; a writer waits it out
_POSTGRES_LOCK = 0x6F6E6574617065  # "onetape": an advisory lock is per database
_CONNECT_TIMEOUT_S = 5


class Lock(Protocol):
    """A held writer's lock."""

    def release(self) -> None:
        """Let another writer in."""


class Backend(Protocol):
    """One database a journal can live in.

    ``where`` names it for people, ``mark`` stands for a value in the driver's own SQL.
    """

    where: str
    engine: Engine
    mark: str

    def exists(self) -> bool:
        """Tell, without creating anything, whether there may be a journal to read."""

    def prepare(self) -> None:
        """Create what must be there before a first connection."""

    def try_lock(self, connection: Connection) -> Lock | None:
        """Become the only writer, or return None where there is another."""

    def is_locked(self) -> bool:
        """Tell whether a writer is at work."""

    def read_by_key(self, connection: Connection) -> None:
        """Make the next query walk its primary key, page by page, instead of sorting."""

    def insert(self, connection: Connection, table: Table, rows: Rows) -> None:
        """Insert rows given in the order of the table's columns."""

    def explain(self, error: BaseException) -> str:
        """Return what went wrong and the way out, to follow 'the journal X'."""


def choose_backend(url: str, home: Path) -> Backend:
    """Return the backend of a SQLAlchemy URL; raises BadInput where there is none."""
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        # The text may hold a password: it is not repeated, and neither is the cause.
        raise BadInput(
            "ONETAPE_JOURNAL is not a database URL; write it like sqlite:////path/journal.sqlite "
            "or postgresql://user@host/database."
        ) from None
    match parsed.drivername:
        case "sqlite" | "sqlite+pysqlite":
            return SqliteBackend(parsed, home)
        case "postgresql" | "postgres" | "postgresql+psycopg":
            return PostgresBackend(parsed.set(drivername="postgresql+psycopg"))
        case other:
            raise BadInput(
                f"ONETAPE_JOURNAL names the database '{other}', which cannot hold a journal; use "
                "sqlite:///... or postgresql://..."
            )


# --- SQLite ------------------------------------------------------------------------------------

_SQLITE_CAUSES = {
    "SQLITE_FULL": "cannot be written, the disk is full; free some space and run again",
    "SQLITE_READONLY": "cannot be written, it is read-only; make it writable for you or set "
    "ONETAPE_JOURNAL to another file",
    "SQLITE_NOTADB": "is not a SQLite database; set ONETAPE_JOURNAL to another file",
    "SQLITE_CORRUPT": "is damaged; restore a copy of it or set ONETAPE_JOURNAL to another file",
    "SQLITE_CANTOPEN": "cannot be opened; check that its folder exists and may be written to",
    "SQLITE_BUSY": "is held by another program; close that program and try again",
    "SQLITE_LOCKED": "is held by another program; close that program and try again",
    "SQLITE_PERM": "may not be opened by you; check the file's permissions",
}


@dataclass(slots=True)
class FileLock:
    """An flock on a file beside the database; it ends with its process, however that ends."""

    descriptor: int

    def release(self) -> None:
        os.close(self.descriptor)


class SqliteBackend:
    """One file, write-ahead log, readable by its owner alone.

    ``?synchronous=FULL`` in the URL makes every commit survive a power cut (NORMAL: a crash).
    """

    mark = "?"

    def __init__(self, url: URL, home: Path) -> None:
        query = dict(url.query)
        self._synchronous = str(query.pop("synchronous", "NORMAL")).upper()
        if query or self._synchronous not in {"NORMAL", "FULL", "EXTRA"}:
            raise BadInput(
                "ONETAPE_JOURNAL has settings SQLite does not know here; the only one is "
                "?synchronous=NORMAL or FULL."
            )
        if url.database in {None, "", ":memory:"}:
            raise BadInput(
                "ONETAPE_JOURNAL names no file, and a journal in memory dies with its run; write "
                "it like sqlite:////path/journal.sqlite."
            )
        self._path = Path(str(url.database)).absolute()
        self._home = home
        self.where = str(self._path)
        self.engine = create_engine(
            url.set(database=self.where, query={}), poolclass=NullPool, hide_parameters=True
        )
        event.listen(self.engine, "connect", self._configure)

    def _configure(self, connection: sqlite3.Connection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA page_size={_PAGE_BYTES}")  # takes effect in a new file only
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        cursor.execute(f"PRAGMA synchronous={self._synchronous}")
        cursor.close()

    @property
    def _lock_path(self) -> Path:
        return self._path.with_name(self._path.name + ".lock")

    def exists(self) -> bool:
        return self._path.exists() and (self._path.is_dir() or self._path.stat().st_size > 0)

    def prepare(self) -> None:
        if self._path.is_relative_to(self._home):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._path.exists():
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))

    def try_lock(self, connection: Connection) -> FileLock | None:  # noqa: ARG002 - a file's lock needs no connection
        descriptor = os.open(self._lock_path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        for attempt in range(_LOCK_TRIES):
            if attempt:
                time.sleep(_LOCK_PAUSE_S)
            if _flock(descriptor, fcntl.LOCK_EX):
                return FileLock(descriptor)
        os.close(descriptor)
        return None

    def is_locked(self) -> bool:
        try:
            descriptor = os.open(self._lock_path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _flock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def read_by_key(self, connection: Connection) -> None:
        """Do nothing: SQLite does."""

    def insert(self, connection: Connection, table: Table, rows: Rows) -> None:
        one = f"({','.join('?' * len(table.columns))})"
        # The name is the schema's own, the values are bound: nothing here comes from outside.
        start = f"INSERT INTO {table.name} VALUES "  # noqa: S608 - see above
        driver = connection.connection.driver_connection
        if not isinstance(driver, sqlite3.Connection):
            raise TypeError(f"expected sqlite3's connection, got {type(driver).__name__}")
        whole = len(rows) - len(rows) % _ROWS_PER_STATEMENT
        many = start + ",".join([one] * _ROWS_PER_STATEMENT)
        for at in range(0, whole, _ROWS_PER_STATEMENT):
            driver.execute(many, tuple(chain.from_iterable(rows[at : at + _ROWS_PER_STATEMENT])))
        if whole < len(rows):
            driver.executemany(start + one, rows[whole:])

    def explain(self, error: BaseException) -> str:
        cause = _origin(error)
        name = str(getattr(cause, "sqlite_errorname", ""))
        for known, words in _SQLITE_CAUSES.items():
            if name.startswith(known):
                return words
        if isinstance(cause, OSError):
            return f"cannot be opened ({cause.strerror}); check the path and its permissions"
        return f"cannot be used ({_first_line(cause)}); check the file and run again"


def _flock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- PostgreSQL --------------------------------------------------------------------------------

_POSTGRES_CAUSES = {
    "28": "refused the user or the password; check ONETAPE_JOURNAL",
    "3D000": "is a database that does not exist; create it (createdb) or check ONETAPE_JOURNAL",
    "53100": "cannot be written, the server's disk is full; free some space and run again",
    "53300": "has no connection left; close some or raise max_connections",
    "42501": "may not be used by this user; grant it CREATE and USAGE on the schema",
    "25006": "cannot be written, the server is read-only; point ONETAPE_JOURNAL at the primary",
    "3F000": "may not be used by this user; grant it CREATE and USAGE on the schema",
    "57P": "lost its connection, the server closed it; start the server and run again",
}
_POSTGRES_WORDS = {
    "authentication failed": "28",
    "no password supplied": "28",
    "does not exist": "3D000",
    "too many clients": "53300",
    "connection is lost": "57P",
    "server closed the connection": "57P",
}
"""A failed connection carries no code, only the server's words."""


@dataclass(slots=True)
class AdvisoryLock:
    """A session's lock; it ends with its connection, however that ends."""

    connection: Connection

    def release(self) -> None:
        """Let go; closing the connection, which follows, does it in any case."""


class PostgresBackend:
    """A database on a server, written by COPY."""

    mark = "%s"

    def __init__(self, url: URL) -> None:
        host = url.host or url.query.get("host") or "localhost"
        port = f":{url.port}" if url.port else ""
        self.where = f"postgresql://{host}{port}/{url.database or ''}"
        self._secrets = [s for s in (url.password, url.query.get("password")) if s]
        self.engine = create_engine(
            url,
            poolclass=NullPool,
            hide_parameters=True,
            connect_args={"connect_timeout": _CONNECT_TIMEOUT_S},
        )

    def exists(self) -> bool:
        return True

    def prepare(self) -> None:
        """Do nothing: the server's owner creates databases."""

    def try_lock(self, connection: Connection) -> AdvisoryLock | None:
        got = connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _POSTGRES_LOCK})
        held = bool(got.scalar_one())
        connection.commit()
        return AdvisoryLock(connection) if held else None

    def is_locked(self) -> bool:
        # A bigint key stands in pg_locks as two halves, with objsubid 1.
        halves = {"high": _POSTGRES_LOCK >> 32, "low": _POSTGRES_LOCK & 0xFFFFFFFF}
        query = text(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted "
            "AND classid::bigint = :high AND objid::bigint = :low AND objsubid = 1 "
            "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        with self.engine.connect() as connection:
            return bool(connection.execute(query, halves).scalar_one())

    def read_by_key(self, connection: Connection) -> None:
        # Before a fresh run has statistics the planner sorts all of it for every page.
        connection.exec_driver_sql("SET LOCAL enable_sort = off; SET LOCAL enable_bitmapscan = off")

    def insert(self, connection: Connection, table: Table, rows: Rows) -> None:
        import psycopg

        columns = ", ".join(column.name for column in table.columns)
        statement = f"COPY {table.name} ({columns}) FROM STDIN"
        driver = connection.connection.driver_connection
        if not isinstance(driver, psycopg.Connection):
            raise TypeError(f"expected psycopg's connection, got {type(driver).__name__}")
        try:
            with driver.cursor() as cursor, cursor.copy(statement.encode()) as copy:
                for row in rows:
                    copy.write_row(row)
        except psycopg.Error as error:
            raise DBAPIError(statement, None, error) from error

    def explain(self, error: BaseException) -> str:
        words = _first_line(_origin(error))
        code = str(getattr(_origin(error), "sqlstate", None) or "")
        if not code:
            code = next((c for said, c in _POSTGRES_WORDS.items() if said in words), "")
        for known, sentence in _POSTGRES_CAUSES.items():
            if code.startswith(known):
                return sentence
        for secret in self._secrets:
            words = words.replace(str(secret), "***")
        return f"cannot be reached or used ({words}); check the server and ONETAPE_JOURNAL"


# --- both --------------------------------------------------------------------------------------


def _origin(error: BaseException) -> BaseException:
    """Return the driver's own error behind SQLAlchemy's."""
    inner = getattr(error, "orig", None)
    return inner if isinstance(inner, BaseException) else error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
