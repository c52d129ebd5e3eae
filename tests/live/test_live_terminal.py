"""A live run whose terminal goes away: nothing rests at the venue because nobody can read."""

import signal
import subprocess
import sys
import time
from fractions import Fraction

import pytest
from live_day import environment, scenario
from live_desk import NAMES, Desk, serving
from test_live_ends import QUICK, account_of, ended, node, resting

RESTS = '''
from nautilus_trader.model import OrderSide, Price, Quantity
from strategies.decider import Params, Setup, Strategy
from strategies.messages import Enter

class Rests(Strategy[Params]):
    """Leaves one order far below the market, and buys a share now and then."""
    params_type = Params

    def __init__(self, setup: Setup[Params]) -> None:
        super().__init__(setup)
        self.heard = 0

    def on_trade(self, trade):
        self.heard += 1
        size, price = Quantity.from_int(1), Price.from_int(9_000)
        if self.heard == 3:
            return (Enter(trade.instrument_id, OrderSide.BUY, "rest", size, price),)
        if self.heard % 10 == 0:
            return (Enter(trade.instrument_id, OrderSide.BUY, "now", size),)
        return ()
'''


@pytest.fixture
def path(tmp_path):
    (tmp_path / "rests.py").write_text(RESTS)
    path = scenario(tmp_path, instruments=NAMES, limits=QUICK)
    text = path.read_text().replace("churn:Churn", "rests:Rests")
    path.write_text(text.replace("params = { step = 1 }\n", ""))
    return path


@pytest.fixture
def desk(tmp_path, monkeypatch, capsys) -> Desk:
    return Desk(tmp_path, monkeypatch, capsys)


def wait_for(holds) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_terminal_that_is_closed_ends_the_run_and_cancels_what_rests(desk, path) -> None:
    with (
        serving(speed=Fraction(3)) as venue,
        node(desk.home, venue.settings, venue, path=path) as process,
    ):
        wait_for(lambda: resting(venue))
        process.send_signal(signal.SIGHUP)
        ran = ended(process)
        assert resting(venue) == []
    assert ran.code == 0, ran.said
    assert ran.summary["ended"] == "SIGHUP asked for it"


BROKEN_STATUS = """
import sys
from scenarios import live_node
from scenarios.cli import main
from strategies.errors import RunFailed

def breaks(ts_ns):
    raise RunFailed("the status of the run cannot be told.")

live_node.STATUS_S, live_node.seoul = 2.0, breaks
sys.exit(main(sys.argv[1:]))
"""


def test_a_failure_beside_the_node_ends_the_run(desk, path) -> None:
    # a process of its own: the failure's frames keep the node, and a thread has one at a time
    command = [sys.executable, "-c", BROKEN_STATUS, "run", str(path)]
    command += ["--on", "live", "--json", "--no-report"]
    with serving(speed=Fraction(3)) as venue:
        ran = subprocess.run(
            command,
            env=environment(desk.home, venue.settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert resting(venue) == []
    assert ran.returncode == 1, ran.stderr
    assert "the status of the run cannot be told" in ran.stdout


def test_a_run_nobody_can_read_goes_on_and_ends_as_any_other(desk, path) -> None:
    with (
        serving(speed=Fraction(3)) as venue,
        node(desk.home, venue.settings, venue, path=path) as process,
    ):
        wait_for(lambda: resting(venue))
        assert process.stderr is not None
        process.stderr.close()
        filled = len(account_of(venue).fills)
        wait_for(lambda: len(account_of(venue).fills) > filled + 2)
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        assert resting(venue) == []
