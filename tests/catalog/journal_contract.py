"""What every journal must do, wherever it is kept; each database's test module subclasses it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from catalog.codec import encode
from catalog.journal import (
    JournalCorrupt,
    JournalStore,
    MemoryJournal,
    RawEntry,
    RunJournal,
    TapeBlock,
    open_journal,
)
from catalog.journal.writer import BATCH_ENTRIES
from catalog.runs import Run
from strategies.errors import BadInput, DeciderFailed, InvariantBroken, JournalFailed
from strategies.messages import Alert, Started
from strategies.ports import Kind, message_id
from tests.catalog.sample_run import manifest, sample_entries, write

SAMPLE_DIGEST = "584e1b6db555bce4a7730a94ab73529a5e4370990c8ff1486e9890a0f2aaf2a9"
"""Pinned: another value means that journals of before can no longer be compared."""
ENDED_NS = 99_000_000_000


def execute(url: str, *statements: str, **values: object) -> None:
    """Change a journal behind its back; ``:name`` in a statement stands for a value."""
    parsed = make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    engine = create_engine(parsed)
    with engine.begin() as connection:
        for statement in statements:
            query = text(statement)
            used = {name: values[name] for name in query.compile().params}
            connection.execute(query, used)
    engine.dispose()


def write_run(store: JournalStore, run_id: str = "day-1") -> Run:
    """Write the sample run and return it as readers see it."""
    with store.begin(manifest(run_id)) as journal:
        write(journal, sample_entries())
        journal.end("ended", {"orders": 3, "pnl": {"KRW": "458"}})
    return store.find(run_id)


FIRST, SECOND = (entry.id for entry in sample_entries()[:2])
FIVE, SIX = (entry.id for entry in sample_entries()[4:6])
CHANGES = {
    "payload": "UPDATE entries SET payload = payload || ' ' WHERE id = :five",
    "market time": "UPDATE entries SET ts_ns = ts_ns + 1 WHERE id = :five",
    "kind": "UPDATE entries SET kind = 'gap' WHERE id = :five",
    "source": "UPDATE entries SET source = 'host ' WHERE id = :five",
    "cause": "UPDATE entries SET cause = cause + 1 WHERE id = :five",
    "workflow": "UPDATE entries SET workflow = 0 WHERE id = :five",
    "hash": "UPDATE entries SET hash = (SELECT hash FROM entries WHERE id = :six) WHERE id = :five",
    "swapped rows": "UPDATE entries SET id = 1 WHERE id = :five;"
    "UPDATE entries SET id = :five WHERE id = :six;"
    "UPDATE entries SET id = :six WHERE id = 1",
}
"""What may happen to the fifth entry without moving where it shows."""
REMOVALS = {
    "id": ("UPDATE entries SET id = id + 1 WHERE id = :five", FIVE + 1),
    "dropped row": ("DELETE FROM entries WHERE id = :five", SIX),
    "dropped first row": ("DELETE FROM entries WHERE id = :first", SECOND),
}
"""What shows at another entry."""
CORRUPTIONS = {name: (change, FIVE) for name, change in CHANGES.items()} | REMOVALS


class JournalContract:
    """The contract; subclasses bring a fixture ``url``: an empty journal for each test."""

    @pytest.fixture
    def store(self, url: str, tmp_path: Path) -> Iterator[JournalStore]:
        with open_journal(url, tmp_path, lambda: ENDED_NS) as store:
            yield store

    # --- writing and reading ---

    def test_an_empty_journal_has_no_runs(self, store: JournalStore) -> None:
        assert store.runs() == []
        with pytest.raises(BadInput, match="holds no run yet"):
            store.find("last")

    def test_what_was_written_is_read(self, store: JournalStore) -> None:
        run = write_run(store)
        assert list(store.entries(run)) == sample_entries()
        assert list(store.raw_entries(run)) == [
            RawEntry(*entry[:-1], encode(entry.message).decode()) for entry in sample_entries()
        ]
        assert (run.status, run.entry_count, run.error) == ("ended", len(sample_entries()), None)
        assert run.manifest == manifest("day-1")
        assert run.summary == {"orders": 3, "pnl": {"KRW": "458"}}
        assert run.ended_wall_ns == ENDED_NS
        store.check_chain(run)

    def test_entries_are_filtered(self, store: JournalStore) -> None:
        run = write_run(store)
        fills = list(store.entries(run, kinds=[Kind.FILL, Kind.GRANT], source="sma-fast", limit=2))
        assert fills == [e for e in sample_entries() if e.kind is Kind.FILL][:2]
        assert list(store.entries(run, source="nobody")) == []

    def test_head_and_digest_are_those_of_any_other_journal(self, store: JournalStore) -> None:
        run, memory = write_run(store), MemoryJournal()
        write(memory, sample_entries())
        assert memory.entries == sample_entries()
        assert (run.head, run.digest) == (memory.head, memory.digest)
        assert run.digest == SAMPLE_DIGEST

    def test_runs_with_equal_entries_have_equal_digests(self, store: JournalStore) -> None:
        assert write_run(store, "a").digest == write_run(store, "b").digest

    def test_ended_is_in_the_head_and_not_in_the_digest(self, store: JournalStore) -> None:
        plain = write_run(store, "plain")
        with store.begin(manifest("closed")) as journal:
            write(journal, sample_entries())
            journal.append(message_id(99, 0), 1, Kind.ENDED, "host", 0, 0, "ended")
            assert (journal.digest, journal.head != plain.head) == (plain.digest, True)
            journal.end("ended", {})
        run = store.find("closed")
        assert (run.digest, run.head != plain.head) == (plain.digest, True)
        store.check_chain(run)

    def test_batches_are_committed_without_being_asked(self, store: JournalStore) -> None:
        with store.begin(manifest()) as journal:
            fill_with(journal, BATCH_ENTRIES + 10)
            assert journal.entry_count == BATCH_ENTRIES + 10
            running = store.find("last")
            assert (running.status, running.entry_count) == ("running", BATCH_ENTRIES)
            assert sum(1 for _ in store.entries(running)) == BATCH_ENTRIES
            store.check_chain(running)
            journal.flush()
            assert store.find("last").entry_count == BATCH_ENTRIES + 10
            store.check_chain(running)
            journal.end("ended", {})

    def test_long_runs_are_read_in_pages(
        self, store: JournalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("catalog.journal.store.PAGE_ENTRIES", 7)
        run = write_run(store)
        assert list(store.entries(run)) == sample_entries()
        for limit in (0, 1, 7, 14, 15):
            assert list(store.entries(run, limit=limit)) == sample_entries()[:limit]
        store.check_chain(run)

    def test_ids_ascend(self, store: JournalStore) -> None:
        with store.begin(manifest()) as journal:
            write(journal, sample_entries()[:3])
            with pytest.raises(InvariantBroken, match=r"entry \d+ \(seq 7\) is not after"):
                journal.append(*sample_entries()[2])
            journal.end("ended", {})
        memory = MemoryJournal()
        write(memory, sample_entries()[:3])
        with pytest.raises(InvariantBroken):
            memory.append(*sample_entries()[1])

    def test_tape_blocks_are_kept(self, store: JournalStore) -> None:
        blocks = [
            TapeBlock("quotes/A.KRX", 0, 0, 2, 5, 6, b"\x00\xff" * 4),
            TapeBlock("trades/A.KRX", 0, 0, 3, 1, 9, b"\x01" * 12),
            TapeBlock("trades/A.KRX", 1, 3, 1, 9, 9, b""),
        ]
        with store.begin(manifest()) as journal:
            for block in reversed(blocks):
                journal.write_tape_block(*block)
            journal.end("ended", {})
        run = store.find("last")
        assert store.tape_blocks(run) == blocks
        assert store.tape_blocks(run, "trades/A.KRX") == blocks[1:]

    def test_runs_do_not_mix(self, store: JournalStore) -> None:
        first = write_run(store, "first")
        with store.begin(manifest("second")) as journal:
            journal.append(message_id(1, 0), 1, Kind.STARTED, "host", 0, 0, Started(1))
            journal.end("ended", {})
        assert [run.run_id for run in store.runs()] == ["first", "second"]
        assert list(store.entries(first)) == sample_entries()
        assert len(list(store.entries(store.find("second")))) == 1

    # --- runs that do not end well ---

    def test_an_error_marks_the_run_failed(self, store: JournalStore) -> None:
        with pytest.raises(DeciderFailed), store.begin(manifest()) as journal:
            write(journal, sample_entries())
            raise DeciderFailed("strategy sma raised ZeroDivisionError.")
        run = store.find("last")
        assert (run.status, run.error) == ("failed", "strategy sma raised ZeroDivisionError.")
        assert run.entry_count == len(sample_entries())

    def test_a_run_left_open_is_failed(self, store: JournalStore) -> None:
        with store.begin(manifest()):
            pass
        assert store.find("last").status == "failed"

    def test_nothing_follows_the_end(self, store: JournalStore) -> None:
        with store.begin(manifest()) as journal:
            journal.end("ended", {})
            write(journal, sample_entries()[:1])
            with pytest.raises(JournalFailed, match="was ended"):
                journal.flush()

    def test_one_writer_at_a_time(self, store: JournalStore, url: str, tmp_path: Path) -> None:
        with store.begin(manifest("first", pid=77)) as journal:
            with (
                open_journal(url, tmp_path) as other,
                pytest.raises(BadInput, match=r"run first \(process 77 on desk\) is writing"),
            ):
                other.begin(manifest("second"))
            journal.end("ended", {})
        assert [run.status for run in store.runs()] == ["ended"]
        write_run(store, "second")

    def test_a_writer_that_is_gone_leaves_a_crashed_run(
        self, store: JournalStore, url: str
    ) -> None:
        write_run(store, "dead")
        execute(url, "UPDATE runs SET status = 'running'")
        assert store.find("dead").status == "crashed"
        write_run(store, "next")
        execute(url, "UPDATE runs SET status = 'seen' WHERE status = 'crashed'")
        assert store.find("dead").status == "seen"

    def test_run_ids_are_unique(self, store: JournalStore) -> None:
        write_run(store, "same")
        with pytest.raises(BadInput, match="already has a run same"):
            store.begin(manifest("same"))
        write_run(store, "other")

    def test_a_failed_write_leaves_whole_batches(self, store: JournalStore, url: str) -> None:
        with pytest.raises(JournalFailed), store.begin(manifest()) as journal:
            fill_with(journal, 100)
            journal.flush()
            execute(url, "ALTER TABLE entries RENAME TO taken_away")
            fill_with(journal, 100, first=101)
            with pytest.raises(JournalFailed, match=r"the journal .* cannot be"):
                journal.flush()
            execute(url, "ALTER TABLE taken_away RENAME TO entries")
            journal.append(message_id(999, 0), 1, Kind.MARKET, "A.KRX", 0, 0, "late")
            journal.flush()
        run = store.find("last")
        assert (run.status, run.entry_count) == ("failed", 100)
        assert len(list(store.entries(run))) == 100
        store.check_chain(run)

    # --- corruption ---

    @pytest.mark.parametrize("name", CORRUPTIONS)
    def test_a_change_is_found_where_it_is(self, name: str, store: JournalStore, url: str) -> None:
        write_run(store, "honest")
        statements, place = CORRUPTIONS[name]
        execute(url, *statements.split(";"), first=FIRST, five=FIVE, six=SIX)
        with pytest.raises(
            JournalCorrupt, match=rf"run honest: .* entry {place} \(seq {place >> 20}"
        ):
            store.check_chain(store.find("honest"))

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM entries WHERE id = (SELECT max(id) FROM entries)",
            "DELETE FROM entries",
            "UPDATE runs SET entry_count = entry_count - 1",
            "UPDATE runs SET entry_count = entry_count + 1",
            "UPDATE runs SET head = run_id",
            "UPDATE runs SET digest = run_id",
        ],
    )
    def test_a_cut_or_a_changed_record_is_found(
        self, statement: str, store: JournalStore, url: str
    ) -> None:
        write_run(store, "honest")
        execute(url, statement)
        with pytest.raises(JournalCorrupt, match="run honest: "):
            store.check_chain(store.find("honest"))

    def test_an_entry_added_after_the_end_is_found(self, store: JournalStore, url: str) -> None:
        write_run(store, "honest")
        execute(
            url,
            "INSERT INTO entries SELECT run_no, id + 1, ts_ns, kind, source, cause, workflow, "
            "payload, hash FROM entries ORDER BY id DESC LIMIT 1",
        )
        with pytest.raises(JournalCorrupt):
            store.check_chain(store.find("honest"))

    def test_one_changed_character_anywhere_is_found(self, store: JournalStore, url: str) -> None:
        write_run(store, "honest")
        change = (
            "UPDATE entries SET payload = substr(payload, 1, CAST(:at AS integer) - 1) || :new "
            "|| substr(payload, CAST(:at AS integer) + 1) WHERE id = :id"
        )
        for one in sample_entries()[::5]:
            payload = encode(one.message).decode()
            at = one.id % len(payload)
            execute(url, change, id=one.id, at=at + 1, new=chr(ord(payload[at]) ^ 1))
            with pytest.raises(JournalCorrupt, match=f"entry {one.id} "):
                store.check_chain(store.find("honest"))
            execute(url, change, id=one.id, at=at + 1, new=payload[at])
            store.check_chain(store.find("honest"))

    def test_an_undecodable_entry_is_named(self, store: JournalStore, url: str) -> None:
        write_run(store, "honest")
        execute(url, "UPDATE entries SET payload = '{}' WHERE id = :five", five=FIVE)
        with pytest.raises(JournalCorrupt, match=f"run honest: entry {FIVE} .* no command message"):
            list(store.entries(store.find("honest")))

    # --- other people's databases ---

    def test_a_newer_schema_is_left_alone(
        self, store: JournalStore, url: str, tmp_path: Path
    ) -> None:
        write_run(store)
        execute(url, "UPDATE onetape_schema SET version = 2")
        with pytest.raises(BadInput, match=r"newer onetape \(schema 2, this one knows 1\)"):
            open_journal(url, tmp_path)

    def test_anothers_tables_are_left_alone(self, url: str, tmp_path: Path) -> None:
        execute(url, "CREATE TABLE runs (distance integer)")
        with pytest.raises(BadInput, match="already has a table 'runs' that is not onetape's"):
            open_journal(url, tmp_path)

    def test_summaries_take_what_json_does_not_know(self, store: JournalStore) -> None:
        with store.begin(manifest()) as journal:
            journal.end("ended", {"path": Path("r.html"), "name": "삼성"})
        assert json.dumps(dict(store.find("last").summary))


def fill_with(journal: RunJournal, count: int, first: int = 1) -> None:
    """Append alerts, one per delivery."""
    for seq in range(first, first + count):
        entry_id = message_id(seq, 0)
        journal.append(entry_id, seq, Kind.INTENT, "sma", 0, entry_id, Alert(f"no. {seq}"))
