"""The token on disk: private, whole or not at all, shared under a lock that a kill releases."""

import os
import signal
import subprocess
import sys

import pytest
from test_kis_settings import GOOD, KEY

from adapters.kis.config import Secret, read_config
from adapters.kis.parse import Token
from adapters.kis.token_cache import TokenCache
from strategies.errors import BadInput

TOKEN = Token(Secret("abc"), 1_000)


def cache(folder, **settings):
    return TokenCache(folder, read_config(GOOD | settings))


def test_what_is_stored_is_loaded_until_it_ends(tmp_path):
    one = cache(tmp_path / "new" / "home")
    assert one.load(0) is None
    one.store(TOKEN)
    assert one.load(999) == TOKEN
    assert one.load(1_000) is None
    assert cache(tmp_path / "new" / "home").load(0) == TOKEN


def test_only_the_owner_reads_it(tmp_path):
    one = cache(tmp_path)
    one.store(TOKEN)
    assert one.path.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [one.path.name]
    assert KEY not in one.path.name
    one.path.chmod(0o640)
    assert one.load(0) is None
    one.store(TOKEN)
    assert one.path.stat().st_mode & 0o777 == 0o600


def test_each_appkey_and_address_has_its_own(tmp_path):
    one = cache(tmp_path)
    one.store(TOKEN)
    other = cache(tmp_path, ONETAPE_KIS_REST_URL="http://127.0.0.1:1")
    assert other.load(0) is None
    assert cache(tmp_path, ONETAPE_KIS_ENV="mock").load(0) is None


@pytest.mark.parametrize("content", [b"", b"{", b'{"token":5,"expires_ns":9}', b'{"token":""}'])
def test_a_damaged_file_is_no_token(tmp_path, content):
    one = cache(tmp_path)
    one.store(TOKEN)
    one.path.write_bytes(content)
    assert one.load(0) is None


def test_a_rejected_token_is_dropped_and_a_newer_one_kept(tmp_path):
    one = cache(tmp_path)
    one.store(TOKEN)
    one.drop(Secret("older"))
    assert one.load(0) == TOKEN
    one.drop(Secret("abc"))
    assert one.load(0) is None


def test_a_disk_that_takes_nothing_is_one_sentence(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    one = cache(blocked / "home")
    with pytest.raises(BadInput, match="ONETAPE_HOME"):
        one.store(TOKEN)
    with pytest.raises(BadInput, match="ONETAPE_HOME"), one.locked():
        raise AssertionError("not reached")


def test_a_full_disk_leaves_the_old_token(tmp_path):
    one = cache(tmp_path)
    one.store(TOKEN)
    script = (
        "import resource, sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from adapters.kis.config import Secret, read_config\n"
        "from adapters.kis.parse import Token\n"
        "from adapters.kis.token_cache import TokenCache\n"
        "from test_kis_settings import GOOD\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "one = TokenCache(Path(sys.argv[1]), read_config(GOOD))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))\n"
        "one.store(Token(Secret('def'), 2_000))\n"
    )
    here = os.path.dirname(__file__)  # noqa: PTH120 - for a child's search path
    ran = subprocess.run(
        [sys.executable, "-c", script, tmp_path, here], capture_output=True, check=False
    )
    assert b"BadInput: The KIS token cannot be kept" in ran.stderr
    assert b"def" not in ran.stderr.splitlines()[-1]
    assert one.load(0) == TOKEN
    assert [path.name for path in tmp_path.iterdir()] == [one.path.name]


def test_one_process_holds_the_lock_and_a_killed_one_does_not(tmp_path):
    one = cache(tmp_path)
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from adapters.kis.config import read_config\n"
        "from adapters.kis.token_cache import TokenCache\n"
        "from test_kis_settings import GOOD\n"
        "with TokenCache(Path(sys.argv[1]), read_config(GOOD)).locked() as held:\n"
        "    print(held, flush=True); time.sleep(60)\n"
    )
    here = os.path.dirname(__file__)  # noqa: PTH120 - for a child's search path
    with subprocess.Popen(
        [sys.executable, "-c", script, tmp_path, here], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "True\n"
        with one.locked() as held:
            assert not held
        other.send_signal(signal.SIGKILL)
        other.wait()
    with one.locked() as held:
        assert held
    with one.locked() as held:
        assert held
