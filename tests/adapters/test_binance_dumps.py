"""Downloads against a host that fails: resumed, verified, polite, and nothing half-made."""

import asyncio
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from dump_server import Fault, Host, serving

from adapters.binance.dump_files import DumpFile
from adapters.binance.dumps import DumpReport, DumpSettings, download
from strategies.errors import BadInput, RunFailed

BODY = bytes(range(256)) * 4_000
PATH = "data/spot/daily/trades/BTCUSDT/BTCUSDT-trades-2025-01-01.zip"
FILE = DumpFile("BTCUSDT", PATH, (date(2025, 1, 1),))


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as served:
        served.put(PATH, BODY)
        yield served


def pull(
    host: Host, folder: Path, *files: DumpFile, waits: list[float] | None = None, attempts: int = 4
) -> DumpReport:
    async def sleep(seconds: float) -> None:
        if waits is not None:
            waits.append(seconds)

    settings = DumpSettings(url=host.url, folder=folder, attempts=attempts, silence_s=5)
    return asyncio.run(download(files or (FILE,), settings, sleep=sleep))


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_is_verified_and_kept_with_its_checksum(host: Host, tmp_path: Path) -> None:
    report = pull(host, tmp_path)
    assert [fetched.fresh for fetched in report.fetched] == [True]
    assert report.fetched[0].path == tmp_path / PATH
    assert (tmp_path / PATH).read_bytes() == BODY
    assert left(tmp_path) == [FILE.name, f"{FILE.name}.CHECKSUM"]
    assert report.bytes_read == len(BODY)


def test_what_is_there_is_not_asked_for_again_unless_it_is_damaged(
    host: Host, tmp_path: Path
) -> None:
    pull(host, tmp_path)
    host.asked.clear()
    assert not pull(host, tmp_path).fetched[0].fresh
    assert host.asked == []
    (tmp_path / PATH).write_bytes(BODY[:-1] + b"x")
    assert pull(host, tmp_path).fetched[0].fresh
    assert (tmp_path / PATH).read_bytes() == BODY


def test_dropped_connections_are_resumed_where_they_stopped(host: Host, tmp_path: Path) -> None:
    host.faults[PATH] = [Fault(cut=300_000), Fault(cut=0), Fault(cut=300_000)]
    report = pull(host, tmp_path)
    assert (tmp_path / PATH).read_bytes() == BODY
    asked = host.requests_for(PATH)
    assert asked[0] == ""
    begins = [int(each.removeprefix("bytes=").rstrip("-")) for each in asked[1:]]
    assert begins == sorted(begins) and begins[-1] > begins[0] > 0
    assert report.bytes_read < 2 * len(BODY)


def test_a_later_command_goes_on_where_the_first_one_stopped(host: Host, tmp_path: Path) -> None:
    host.faults[PATH] = [Fault(cut=500_000), *[Fault(cut=0)] * 9]
    with pytest.raises(RunFailed, match="goes on where it stopped"):
        pull(host, tmp_path)
    assert left(tmp_path) == [f"{FILE.name}.part"]
    kept = (tmp_path / f"{PATH}.part").stat().st_size
    host.faults.clear()
    host.asked.clear()
    pull(host, tmp_path)
    assert host.requests_for(PATH) == [f"bytes={kept}-"]
    assert (tmp_path / PATH).read_bytes() == BODY


def test_a_host_that_cannot_resume_starts_again(host: Host, tmp_path: Path) -> None:
    host.ranges = False
    host.faults[PATH] = [Fault(cut=300_000)]
    pull(host, tmp_path)
    assert (tmp_path / PATH).read_bytes() == BODY


@pytest.mark.parametrize("stale", [b"not the beginning of it", BODY + b"more", BODY])
def test_a_part_of_something_else_is_thrown_away(host: Host, tmp_path: Path, stale: bytes) -> None:
    part = tmp_path / f"{PATH}.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(stale)
    pull(host, tmp_path)
    assert (tmp_path / PATH).read_bytes() == BODY
    assert left(tmp_path) == [FILE.name, f"{FILE.name}.CHECKSUM"]


def test_a_wrong_checksum_is_tried_once_more_and_then_refused(host: Host, tmp_path: Path) -> None:
    host.faults[PATH] = [Fault(body=b"a lie")]
    pull(host, tmp_path / "a")
    assert (tmp_path / "a" / PATH).read_bytes() == BODY
    host.faults[PATH] = [Fault(body=b"a lie"), Fault(body=b"a lie")]
    with pytest.raises(RunFailed, match="does not have its published SHA-256"):
        pull(host, tmp_path / "b")
    assert left(tmp_path / "b") == []


def test_busy_answers_pause_longer_each_time(host: Host, tmp_path: Path) -> None:
    waits: list[float] = []
    host.faults[PATH] = [Fault(status=500), Fault(status=502), Fault(status=503)]
    pull(host, tmp_path, waits=waits)
    assert waits == [0.5, 1.0, 2.0]
    assert (tmp_path / PATH).read_bytes() == BODY


def test_retry_after_is_obeyed(host: Host, tmp_path: Path) -> None:
    waits: list[float] = []
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    host.faults[f"{PATH}.CHECKSUM"] = [Fault(status=429, retry_after="7")]
    host.faults[PATH] = [Fault(status=503, retry_after=until), Fault(status=429, retry_after="?")]
    pull(host, tmp_path, waits=waits)
    assert waits[0] == 7
    assert 80 < waits[1] <= 90
    assert waits[2] == 1.0


def test_a_wait_holds_for_all_downloads(host: Host, tmp_path: Path) -> None:
    other = DumpFile("ETHUSDT", PATH.replace("BTC", "ETH"), FILE.days)
    host.put(other.path, BODY)
    host.faults[f"{PATH}.CHECKSUM"] = [Fault(status=429, retry_after="1")]
    seen: list[int] = []

    async def sleep(_seconds: float) -> None:
        await asyncio.sleep(0.2)  # what was on its way when the host complained
        seen.append(len(host.asked))
        await asyncio.sleep(0.2)
        seen.append(len(host.asked))

    settings = DumpSettings(url=host.url, folder=tmp_path)
    asyncio.run(download([FILE, other], settings, sleep=sleep))
    assert seen[0] == seen[1] < len(host.asked)


def test_a_wait_of_an_hour_is_told_instead(host: Host, tmp_path: Path) -> None:
    host.faults[PATH] = [Fault(status=429, retry_after="3600")]
    with pytest.raises(RunFailed, match="asks to wait 3600 s"):
        pull(host, tmp_path)


def test_a_host_that_stays_down_is_given_up(host: Host, tmp_path: Path) -> None:
    waits: list[float] = []
    host.faults[PATH] = [Fault(status=503)] * 20
    with pytest.raises(RunFailed, match="answered 503"):
        pull(host, tmp_path, waits=waits)
    assert len(waits) == 3


def test_days_the_host_does_not_have_are_reported(host: Host, tmp_path: Path) -> None:
    absent = DumpFile("BTCUSDT", PATH.replace("01-01", "01-02"), (date(2025, 1, 2),))
    report = pull(host, tmp_path, FILE, absent)
    assert [fetched.file for fetched in report.fetched] == [FILE]
    assert report.missing == (absent,)


def test_a_month_that_is_not_there_yet_is_taken_day_by_day(host: Host, tmp_path: Path) -> None:
    days = (FILE, DumpFile("BTCUSDT", PATH.replace("01-01", "01-02"), (date(2025, 1, 2),)))
    month = DumpFile("BTCUSDT", "data/spot/monthly/x.zip", tuple(d.days[0] for d in days), days)
    report = pull(host, tmp_path, month)
    assert [fetched.file for fetched in report.fetched] == [FILE]
    assert report.missing == (days[1],)


@pytest.mark.parametrize("status", [400, 403])
def test_other_refusals_fail_at_once(host: Host, tmp_path: Path, status: int) -> None:
    host.faults[PATH] = [Fault(status=status)]
    with pytest.raises(RunFailed, match=f"answered {status} for {PATH}"):
        pull(host, tmp_path)


def test_several_at_a_time_but_not_more(host: Host, tmp_path: Path) -> None:
    host.hold_s = 0.01
    files = []
    for number in range(24):
        path = f"data/spot/daily/trades/X/X-trades-{number}.zip"
        host.put(path, os.urandom(200_000))
        files.append(DumpFile("X", path, ()))
    shares: list[float] = []
    settings = DumpSettings(url=host.url, folder=tmp_path, at_once=3)
    report = asyncio.run(download(files, settings, lambda done, total: shares.append(done / total)))
    assert len(report.fetched) == 24
    assert host.busiest == 3
    assert shares[-1] == 1
    assert max(shares) == 1


def test_nobody_at_the_address(tmp_path: Path) -> None:
    with serving() as host:
        gone = host
    with pytest.raises(RunFailed, match="could not be read from"):
        pull(gone, tmp_path, attempts=2)
    gone.url = "no address"
    with pytest.raises(BadInput, match="ONETAPE_BINANCE_DATA_URL"):
        pull(gone, tmp_path)


def test_a_disk_that_refuses_is_one_sentence(host: Host, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder must be")
    with pytest.raises(RunFailed, match="cannot be written"):
        pull(host, tmp_path)
