"""The journal's tables, one definition for SQLite and PostgreSQL.

Rule: VERSION grows with every change of a table; a program never touches a newer schema.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
    inspect,
    select,
)

from strategies.errors import BadInput

VERSION = 1

METADATA = MetaData()

SCHEMA = Table("onetape_schema", METADATA, Column("version", Integer, primary_key=True))

RUNS = Table(
    "runs",
    METADATA,
    Column("run_no", Integer, primary_key=True, autoincrement=False),
    Column("run_id", Text, nullable=False, unique=True),
    Column("scenario", Text, nullable=False),
    Column("mode", Text, nullable=False),  # what the scenario ran on: replay, live, ...
    Column("status", Text, nullable=False),  # running, ended, failed, crashed
    Column("config_hash", Text, nullable=False),
    Column("config", Text, nullable=False),  # JSON
    Column("code_version", Text, nullable=False),
    Column("packages", Text, nullable=False),  # JSON: name -> version
    Column("python", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("folder", Text, nullable=False),  # where the scenario's own modules lie, or ""
    Column("slices", Text, nullable=False),  # JSON: slice of the catalog -> its hash
    Column("started_wall_ns", BigInteger, nullable=False),
    Column("ended_wall_ns", BigInteger),
    Column("pid", Integer, nullable=False),
    Column("hostname", Text, nullable=False),
    Column("entry_count", BigInteger, nullable=False),  # committed with each batch, as is the head
    Column("head", Text, nullable=False),  # hash over all entries
    Column("digest", Text, nullable=False),  # hash over all entries but ENDED
    Column("summary", Text),  # JSON
    Column("error", Text),
)

ENTRIES = Table(
    "entries",
    METADATA,
    Column("run_no", Integer, ForeignKey(RUNS.c.run_no), primary_key=True, autoincrement=False),
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("ts_ns", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("cause", BigInteger, nullable=False),
    Column("workflow", BigInteger, nullable=False),
    Column("payload", Text, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

TAPE_BLOCKS = Table(
    "tape_blocks",
    METADATA,
    Column("run_no", Integer, ForeignKey(RUNS.c.run_no), primary_key=True, autoincrement=False),
    Column("stream", Text, primary_key=True),
    Column("block", Integer, primary_key=True, autoincrement=False),
    Column("first_row", BigInteger, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("first_ts", BigInteger, nullable=False),
    Column("last_ts", BigInteger, nullable=False),
    Column("fingerprints", LargeBinary, nullable=False),
)


def is_journal(connection: Connection, where: str) -> bool:
    """Tell whether a journal is here (True) or nothing at all (False).

    Raises BadInput where the tables are of a newer program or of something else.
    """
    present = set(inspect(connection).get_table_names())
    if SCHEMA.name not in present:
        # A SQLite file serves one program, a server's database may serve several.
        alone = connection.dialect.name == "sqlite"
        taken = present if alone else present & METADATA.tables.keys()
        if taken:
            raise BadInput(
                f"{where} already has a table '{min(taken)}' that is not onetape's; set "
                "ONETAPE_JOURNAL to a database of its own."
            )
        return False
    version = connection.execute(select(SCHEMA.c.version)).scalar_one_or_none()
    if version is None or version > VERSION:
        raise BadInput(
            f"{where} was written by a newer onetape (schema {version}, this one knows "
            f"{VERSION}); get that onetape, or set ONETAPE_JOURNAL to another journal."
        )
    return True


def create(connection: Connection) -> None:
    """Create all tables; the caller commits."""
    METADATA.create_all(connection)
    connection.execute(insert(SCHEMA).values(version=VERSION))
