"""A catalog in a bucket: the same as a local one, whole or not at all, read from where it is."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from s3_server import Bucket, serving

from catalog.generate.market import DEMO_SESSIONS, generate_krx
from catalog.inventory import open_parquet
from catalog.places import S3Path, open_file, parse_root
from catalog.read import to_arrow
from catalog.store import Store, WriteResult
from catalog.tape import TapeStream, read_windows
from scenarios.cli import main
from strategies.errors import BadInput, RunFailed
from strategies.ports import StreamKind

CODE = "990001.KRX"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as served:
        yield served


def fill(root: Path, *, days: slice = slice(0, 1), seed: int = 1) -> list[WriteResult]:
    with Store(root).importing() as batch:
        generate_krx(batch, DEMO_SESSIONS[days], symbols=1, seed=seed, trades_per_day=200)
    return batch.results


def stream(root: Path) -> TapeStream:
    store = Store(root)
    instrument = next(iter(store.instruments().values()))
    files = tuple(store.files(StreamKind.TRADES, CODE))
    return TapeStream(StreamKind.TRADES, CODE, instrument.id, 0, 0, files)


def test_a_bucket_holds_what_a_folder_holds(bucket: Bucket, tmp_path: Path) -> None:
    root = parse_root(bucket.root())
    here, there = fill(tmp_path), fill(root)
    assert there == here
    assert Store(root).streams() == Store(tmp_path).streams()
    assert list(Store(root).instruments()) == list(Store(tmp_path).instruments())
    spans = (DEMO_SESSIONS[0].open_ns, DEMO_SESSIONS[0].close_ns)
    hashes = [Store(each).slice_hash(StreamKind.TRADES, CODE, *spans) for each in (root, tmp_path)]
    assert hashes[0] == hashes[1]
    tables = [to_arrow(Store(each), StreamKind.QUOTES, CODE) for each in (root, tmp_path)]
    assert tables[0].equals(tables[1])


def test_a_tape_reads_the_same_from_both(bucket: Bucket, tmp_path: Path) -> None:
    root = parse_root(bucket.root())
    fill(root)
    fill(tmp_path)
    tapes = []
    for at in (root, tmp_path):
        windows = read_windows([stream(at)], [], None, None, 50)
        tapes.append([str(event) for window in windows for event in window.events])
    assert len(tapes[0]) > 100
    assert tapes[0] == tapes[1]


def test_the_engine_reads_the_bucket_too(bucket: Bucket) -> None:
    fill(parse_root(bucket.root()))
    # In a process of its own: the engine would wait for this one's server while it holds the GIL.
    script = f"""
from nautilus_trader.persistence import ParquetDataCatalog
options = dict(endpoint_url="http://{bucket.endpoint}", access_key_id="key",
               secret_access_key="secret", region="x", allow_http="true")
catalog = ParquetDataCatalog("s3://bucket/catalog", storage_options=options)
print(*(each.id for each in catalog.instruments()))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.split() == [CODE], done.stderr


def test_importing_twice_adds_nothing(bucket: Bucket) -> None:
    root = parse_root(bucket.root())
    fill(root)
    bucket.asked.clear()
    assert not any(result.added for result in fill(root))
    assert not any("/data/" in key for method, key in bucket.asked if method in ("PUT", "POST"))


def test_other_rows_in_the_same_time_are_refused(bucket: Bucket) -> None:
    root = parse_root(bucket.root())
    fill(root)
    before = dict(bucket.objects)
    with pytest.raises(BadInput, match="where the catalog has other rows"):
        fill(root, seed=2)
    assert {key for key in bucket.objects if not key.endswith("/")} == {
        key for key in before if not key.endswith("/")
    }


@pytest.mark.parametrize("part", ["/data/", "/imports/"])
def test_an_import_that_dies_leaves_the_catalog_as_it_was(bucket: Bucket, part: str) -> None:
    root = parse_root(bucket.root())
    fill(root)
    known = Store(root).streams()
    bucket.refuse = lambda method, key: (
        part in key and method in ("PUT", "POST") and (key.endswith((".json", ".parquet")))
    )
    with pytest.raises(RunFailed, match=r"s3://bucket/catalog cannot be used .* as it was"):
        fill(root, days=slice(1, 2))
    assert bucket.names(".claim") == []
    bucket.refuse = lambda _method, _key: False
    assert Store(root).streams() == known
    assert all(result.added for result in fill(root, days=slice(1, 2)))
    assert Store(root).streams()[0].files == 2


def test_two_imports_do_not_write_the_same_file(bucket: Bucket) -> None:
    root = parse_root(bucket.root())
    name = "data/trades/990001.KRX/2026-03-09T01-00-00-000000000Z_2026-03-09T02-00-00-000000000Z"
    claim = "bucket/catalog/imports/1-other.claim"
    bucket.put(claim, json.dumps([f"{name}.parquet"]).encode())
    with pytest.raises(BadInput, match=r"another import .* is writing data/trades/990001"):
        fill(root)
    assert bucket.names("/data/") == []
    bucket.changed[claim] = bucket.changed[claim].replace(year=2025)  # of a dead import
    assert all(result.added for result in fill(root))


def test_what_another_import_published_meanwhile_is_seen(bucket: Bucket) -> None:
    root = parse_root(bucket.root())
    with (
        pytest.raises(BadInput, match="where the catalog has other rows"),
        Store(root).importing() as batch,
    ):
        generate_krx(batch, DEMO_SESSIONS[:1], symbols=1, seed=2, trades_per_day=200)
        fill(root)
    assert Store(root).streams()[0].sources == ("generated, seed 1",)


def test_a_local_catalog_may_be_copied_there(bucket: Bucket, tmp_path: Path) -> None:
    fill(tmp_path)
    for path in tmp_path.rglob("*"):
        if path.is_file() and path.suffix in (".json", ".parquet"):
            name = path.relative_to(tmp_path).as_posix()
            bucket.put(f"bucket/catalog/{name}", path.read_bytes())
    root = parse_root(bucket.root())
    assert Store(root).streams() == Store(tmp_path).streams()
    assert to_arrow(Store(root), StreamKind.TRADES, CODE).num_rows > 100


def test_objects_without_a_manifest_do_not_count(bucket: Bucket) -> None:
    root = parse_root(bucket.root())
    fill(root)
    for key in bucket.names("/imports/"):
        del bucket.objects[key]
    assert Store(root).streams() == []


def test_damage_is_named(bucket: Bucket) -> None:
    root = parse_root(bucket.root())
    fill(root)
    key = bucket.names("/data/trades/")[0]
    bucket.put(key, bucket.objects[key][:-20])
    with pytest.raises(BadInput, match=f"s3://{key} cannot be read as Parquet"):
        open_parquet(Store(root).files(StreamKind.TRADES, CODE)[0])
    bucket.put(bucket.names("/imports/")[0], b"nonsense")
    with pytest.raises(BadInput, match="is no manifest of a catalog"):
        Store(root)


def test_a_refusing_bucket_is_one_sentence(bucket: Bucket) -> None:
    bucket.refuse = lambda _method, _key: True
    with pytest.raises(RunFailed, match="check bucket, endpoint and credentials"):
        Store(parse_root(bucket.root()))


def test_an_s3_path_is_never_taken_for_a_local_one(bucket: Bucket) -> None:
    path = parse_root(bucket.root()) / "data" / "x.parquet"
    assert isinstance(path, S3Path)
    assert (str(path), path.name, str(path.parent)) == (
        "s3://bucket/catalog/data/x.parquet",
        "x.parquet",
        "s3://bucket/catalog/data",
    )
    other = pickle.loads(pickle.dumps(path))  # noqa: S301 - our own bytes
    assert (other, other.files) == (path, path.files)
    for use in (path.read_bytes, path.is_dir, path.stat, lambda: list(path.glob("*"))):
        with pytest.raises(TypeError, match="is no local path"):
            use()
    with pytest.raises((OSError, pa.ArrowException)):
        open_file(path)


@pytest.mark.parametrize("text", ["s3://", "s3:///prefix", "s3://bucket/x?nonsense=1"])
def test_addresses_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="write s3://bucket/prefix"):
        parse_root(text)


def test_a_local_root_is_a_path(tmp_path: Path) -> None:
    assert parse_root(str(tmp_path)) == tmp_path
    assert parse_root("some/folder") == Path.cwd() / "some" / "folder"


SCENARIO = """name = "remote"
[venues.KRX]
balances = ["100_000_000 KRW"]
streams = ["quotes"]
[[strategies]]
name = "sma"
class = "strategies.sma_crossover:SmaCrossover"
instruments = ["*.KRX"]
streams = ["1-MINUTE"]
weight = 0.5
[strategies.params]
fast = 3
slow = 9
"""


def test_the_command_line_works_on_a_bucket(
    bucket: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scenario = tmp_path / "remote.toml"
    scenario.write_text(SCENARIO, "utf-8")
    digests = []
    for place in (bucket.root(), ""):
        monkeypatch.setenv("ONETAPE_CATALOG", place)
        monkeypatch.setenv("ONETAPE_HOME", str(tmp_path / f"home{len(place)}"))
        options = ("--symbols", "1", "--days", "1", "--trades", "300")
        assert main(["data", "generate", "krx", *options]) == 0
        assert main(["run", str(scenario), "--no-report", "--json"]) == 0
        digests.append(json.loads(capsys.readouterr().out.splitlines()[-1])["digest"])
    assert digests[0] == digests[1]
    monkeypatch.setenv("ONETAPE_CATALOG", bucket.root())
    assert main(["data", "list"]) == 0
    assert "990001.KRX quotes" in capsys.readouterr().out
