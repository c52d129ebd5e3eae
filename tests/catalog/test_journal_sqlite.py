"""The journal in a SQLite file: the contract, its file, its lock, kill -9 and a full disk."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from catalog.journal import JournalCorrupt, open_journal
from catalog.journal.backends import choose_backend
from catalog.journal.writer import BATCH_ENTRIES
from strategies.errors import BadInput, JournalFailed
from tests.catalog.journal_contract import JournalContract, fill_with, write_run
from tests.catalog.sample_run import manifest


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


class TestSqliteJournal(JournalContract):
    @pytest.fixture
    def url(self, tmp_path: Path) -> str:
        return url_of(tmp_path / "journal.sqlite")


def test_reading_creates_nothing(tmp_path: Path) -> None:
    with open_journal(url_of(tmp_path / "home" / "journal.sqlite"), tmp_path / "home") as store:
        assert store.runs() == []
    assert list(tmp_path.iterdir()) == []


def test_files_are_the_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    url = url_of(home / "journal.sqlite")
    with open_journal(url, home) as store, store.begin(manifest()) as journal:
        fill_with(journal, 3)
        journal.flush()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
        journal.end("ended", {})
    assert {"journal.sqlite", "journal.sqlite-wal", "journal.sqlite.lock"} <= set(modes)
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.parametrize(("query", "level"), [("", 1), ("?synchronous=FULL", 2)])
def test_durability_is_a_setting(query: str, level: int, tmp_path: Path) -> None:
    backend = choose_backend(url_of(tmp_path / "journal.sqlite") + query, tmp_path)
    backend.prepare()
    with backend.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def _take_a_directory(path: Path) -> None:
    path.mkdir()


def _take_a_text_file(path: Path) -> None:
    path.write_text("date,open,high,low,close\n" * 100)


def _take_anothers_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (title text)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_take_a_directory, "cannot be opened; check"),
        (_take_a_text_file, "is not a SQLite database"),
        (_take_anothers_database, "already has a table 'songs'"),
    ],
)
def test_what_is_no_journal_is_refused(make: object, words: str, tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    make(path)  # type: ignore[operator]  # one of the functions above
    with pytest.raises(BadInput, match=words) as caught:
        open_journal(url_of(path), tmp_path)
    assert str(path) in str(caught.value)
    assert str(caught.value).count(". ") == 0


def test_a_missing_folder_outside_the_home_is_refused(tmp_path: Path) -> None:
    with (
        open_journal(url_of(tmp_path / "tpyo" / "j.sqlite"), tmp_path / "home") as store,
        pytest.raises(BadInput, match=r"tpyo/j.sqlite cannot be opened \(No such file"),
    ):
        store.begin(manifest())
    assert not (tmp_path / "tpyo").exists()


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "is not a database URL"),
        ("postgresql://user:hunter2@host:port/db", "is not a database URL"),
        ("mysql://user:hunter2@host/db", "names the database 'mysql'"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:////x/j.sqlite?cache=shared", "the only one is"),
        ("sqlite:////x/j.sqlite?synchronous=OFF", "the only one is"),
    ],
)
def test_unusable_urls_are_refused(url: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        open_journal(url, tmp_path)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_full_disk_stops_the_run_with_whole_batches(tmp_path: Path) -> None:
    with open_journal(url_of(tmp_path / "journal.sqlite"), tmp_path) as store:
        with (
            pytest.raises(JournalFailed, match="cannot be written, the disk is full; free some"),
            store.begin(manifest()) as journal,
        ):
            fill_with(journal, 500)
            journal.flush()
            pages = journal._connection.exec_driver_sql("PRAGMA page_count").scalar()
            journal._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
            journal._connection.rollback()
            fill_with(journal, 4_000, first=501)
            journal.flush()
        run = store.find("last")
        assert (run.status, run.entry_count) == ("failed", 500)
        assert "the disk is full" in str(run.error)
        store.check_chain(run)


def test_a_read_only_journal_is_read_and_not_written(tmp_path: Path) -> None:
    with open_journal(url_of(tmp_path / "journal.sqlite"), tmp_path) as store:
        with (
            pytest.raises(JournalFailed, match="cannot be written, it is read-only"),
            store.begin(manifest()) as journal,
        ):
            fill_with(journal, 5)
            journal._connection.exec_driver_sql("PRAGMA query_only = ON")
            journal._connection.rollback()
            journal.flush()
        assert store.find("last").status == "crashed"


WRITER = """
import sys
from pathlib import Path
from catalog.journal import open_journal
from tests.catalog.journal_contract import fill_with
from tests.catalog.sample_run import manifest
store = open_journal(sys.argv[1], Path("."))
journal = store.begin(manifest("victim"))
fill_with(journal, 10_000)
print("ready", flush=True)
fill_with(journal, 100_000_000, first=10_001)
"""


def test_kill_leaves_whole_batches_and_a_crashed_run(tmp_path: Path) -> None:
    url = url_of(tmp_path / "journal.sqlite")
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, cwd=root
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"ready\n"
        with open_journal(url, tmp_path) as store:
            assert store.find("victim").status == "running"
            with pytest.raises(BadInput, match=r"run victim .* is writing"):
                store.begin(manifest("second"))
        os.kill(child.pid, signal.SIGKILL)
    with open_journal(url, tmp_path) as store:
        run = store.find("victim")
        assert run.status == "crashed"
        assert run.entry_count % BATCH_ENTRIES == 0
        assert run.entry_count > 0
        assert sum(1 for _ in store.entries(run)) == run.entry_count
        store.check_chain(run)
        write_run(store, "second")
        assert [r.status for r in store.runs()] == ["crashed", "ended"]


def test_one_flipped_byte_in_the_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with open_journal(url_of(path), tmp_path) as store:
        write_run(store, "honest")
    content = bytearray(path.read_bytes())
    at = content.index(b"take profit")
    content[at] ^= 1
    path.write_bytes(content)
    with open_journal(url_of(path), tmp_path) as store, pytest.raises(JournalCorrupt):
        store.check_chain(store.find("honest"))
