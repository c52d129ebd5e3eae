"""`onetape venue kis` as a process: settings it prints, both signals, bad input in one sentence."""

import json
import os
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection

import pytest
from kis_market import SESSION

from catalog.store import Store
from scenarios.cli import build_parser
from scenarios.commands import venue
from scenarios.screen import Screen
from scenarios.venues.kis.compose import generate
from strategies.errors import BadInput, RunFailed


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("ONETAPE_HOME", str(tmp_path))
    generate(Store(tmp_path / "catalog"), SESSION, 2, seed=1, trades=60)
    return tmp_path


def start(home, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scenarios.cli", "venue", "kis", "--json", *arguments],
        env=os.environ | {"ONETAPE_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class StoppingScreen(Screen):
    """Keeps what is told and sends this process a signal then."""

    def __init__(self, number: int) -> None:
        super().__init__(as_json=True)
        self.number = number
        self.told = {}

    def result(self, values):
        self.told = dict(values)
        os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_tells_its_settings_and_stops_cleanly_on_a_signal(home, number):
    screen = StoppingScreen(number)
    arguments = ["--speed", "2", "--env", "mock", "--instruments", "990002"]
    arguments += ["--limit", "registrations=20", "--old-frames"]
    args = build_parser().parse_args(["venue", "kis", *arguments])
    assert venue.run(args, screen) == 0
    settings = screen.told["settings"]
    assert screen.told["instruments"] == ["990002"]
    assert screen.told["speed"] == 2.0
    assert screen.told["origin_market_ns"] == SESSION.open_ns - 60 * 10**9
    rest = settings["ONETAPE_KIS_REST_URL"]
    assert settings["ONETAPE_KIS_ENV"] == "mock"
    assert settings["ONETAPE_KIS_WS_URL"] == rest.replace("http", "ws") + "/tryitout"
    lengths = [len(settings[f"ONETAPE_KIS_{n}"]) for n in ("APP_KEY", "APP_SECRET", "ACCOUNT")]
    assert lengths == [36, 180, 10]


def test_a_process_serves_until_it_is_terminated(tmp_path):
    with start(tmp_path, "--generate", "1", "--from", "2026-03-09T10:00") as process:
        port = json.loads(process.stdout.readline())["port"]
        connection = HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/admin.json")
        seen = json.loads(connection.getresponse().read())
        connection.close()
        process.terminate()
        output, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors
    assert (output, "Traceback" in errors) == ("", False)
    assert errors.endswith("stopped.\n")
    assert (seen["phase"], seen["market_time"][:13]) == ("continuous", "2026-03-09 10")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["--instruments", "005930"], r"has no trades of 005930"),
        (["--from", "yesterday"], "is no time like 2026-03-09"),
        (["--from", "2026-03-08"], "2026-03-08 is no trading day of KRX"),
        (["--from", "2026-03-10"], "no trades of KRX shares on 20260310"),
        (["--port", "70000"], "is no port"),
        (["--days", "0"], "at least 1"),
        (["--faults", "missing.toml"], "cannot be read"),
        (["--generate", "0"], "cannot be generated"),
        (["--limit", "requests=3"], "is no NAME=N above 0; names are .*requests_per_s"),
        (["--limit", "requests_per_s=0"], "is no NAME=N above 0"),
    ],
)
def test_bad_input_is_one_sentence(home, arguments, part):
    args = build_parser().parse_args(["venue", "kis", *arguments])
    with pytest.raises(BadInput, match=part):
        venue.run(args, Screen())


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "1/0", "nan"])
def test_a_speed_that_is_none_is_refused(speed):
    with pytest.raises(BadInput, match="is no speed"):
        build_parser().parse_args(["venue", "kis", "--speed", speed])


def test_a_port_that_is_taken_is_named(home):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        args = build_parser().parse_args(["venue", "kis", "--port", str(port)])
        with pytest.raises(RunFailed, match=f"port {port} of 127.0.0.1 cannot be used"):
            venue.run(args, Screen())
