"""How a live run ends: by its time, by signals, by failures; what it leaves behind each time."""

import os
import signal
import stat
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from live_day import ONETAPE, Ran, end_of, environment, scenario
from live_desk import NAMES, PLENTY, Desk, Proxy, serving
from sqlalchemy import create_engine, text

from catalog.journal import open_journal
from scenarios import live_node
from scenarios.venues.kis.books import Rates
from strategies.messages import CashCorrection, Submit
from strategies.ports import Kind

QUICK = "request_timeout_ns = 1_500_000_000\nbackoff_cap_ns = 2_000_000_000"
BREAKS = '''
from nautilus_trader.model import OrderSide, Price, Quantity
from strategies.decider import Params, Setup, Strategy
from strategies.messages import Enter

class Breaks(Strategy[Params]):
    """Leaves an order far below the market, then raises."""
    params_type = Params

    def __init__(self, setup: Setup[Params]) -> None:
        super().__init__(setup)
        self.heard = 0

    def on_trade(self, trade):
        self.heard += 1
        if self.heard == 3:
            size, price = Quantity.from_int(3), Price.from_int(9_000)
            return (Enter(trade.instrument_id, OrderSide.BUY, "rest", size, price),)
        if self.heard > 12:
            raise ValueError("the thirteenth trade")
        return ()
'''
SECOND_STRATEGY = """
[[strategies]]
name = "breaks"
class = "breaks:Breaks"
instruments = ["990001.KRX"]
streams = ["trades"]
weight = 0.1
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch, capsys) -> Desk:
    return Desk(tmp_path, monkeypatch, capsys)


def account_of(venue):
    (account,) = venue.server.venue.exchange.books.accounts.values()
    return account


def resting(venue) -> list[str]:
    return [each.number for each in account_of(venue).orders if each.open_quantity]


def sent(venue) -> int:
    return int(venue.requests["order-cash"])


def interrupt() -> None:
    """Send this process what Ctrl-C sends; only while a run listens for it."""
    os.kill(os.getpid(), signal.SIGINT)


@contextmanager
def once_trading(venue, act: Callable[[], None], orders: int = 4) -> Iterator[None]:
    """Do something from beside when the venue has seen some orders; it must come to that."""
    over, done = threading.Event(), threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            if sent(venue) >= orders:
                act()
                done.set()
                return

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)
    assert done.is_set()


# --- in this process -------------------------------------------------------------------------


def test_other_fees_than_reckoned_and_all_that_is_left_behind(desk: Desk) -> None:
    rates = Rates(commission=Decimal("0.0021"), sell_tax=Decimal("0.0031"))
    with serving(speed=Fraction(5), rates=rates) as venue:
        desk.point_at(venue)
        with once_trading(venue, interrupt, 8):
            ran = desk.trade(lasts_s=300)
        cash_won = account_of(venue).cash_won
        secrets = {
            name: venue.settings[f"ONETAPE_KIS_{name}"]
            for name in ("APP_KEY", "APP_SECRET", "ACCOUNT", "HTS_ID")
        }
        assert resting(venue) == []
    assert ran.code == 0, ran.said
    assert ran.summary["fills"] > 2
    assert ran.summary["reconciled"], ran.said
    assert ran.summary["mismatches"] == []
    assert ran.summary["balances"] == {"KRX": {"KRW": f"{cash_won} KRW"}}
    assert "equal the venue's books" in ran.said
    corrections = [e for e in entries(desk.home) if e.kind is Kind.CASH]
    assert corrections
    assert all(isinstance(e.message, CashCorrection) for e in corrections)
    assert_nothing_tells(secrets, desk.home, ran.out + ran.said)
    checked = desk.type("journal", "last", "--check", "--json", "--limit", "0")
    assert checked.code == 0, checked.said
    why = desk.type("journal", "last", "--why", "#1")
    assert why.code == 0
    assert "990001.KRX" in why.out


def assert_nothing_tells(secrets: dict[str, str], home: Path, said: str) -> None:
    """No file and no line holds a secret; only the token's own file holds the token."""
    account = secrets.pop("ACCOUNT")
    hidden = {*secrets.values(), account, account[:8], f"{account[:8]}-{account[8:]}"}
    tokens = list((home / "tokens").glob("kis-token-*.json"))
    assert tokens
    for path in tokens:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        hidden.add(path.read_text().split('"token":"')[1].split('"')[0])
    for each in hidden:
        assert len(each) >= 8
        assert each not in said
    for path in (p for p in home.rglob("*") if p.is_file()):
        content = path.read_bytes()
        for each in hidden:
            assert path in tokens or each.encode() not in content, path
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 or path.name == "scenario.toml"


def entries(home: Path):
    with open_journal(f"sqlite:///{home / 'journal.sqlite'}", home) as store:
        return list(store.entries(store.find("last")))


# --- processes of their own ------------------------------------------------------------------


@contextmanager
def started(home: Path, settings, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a run in a process of its own; it is gone with the block."""
    command = [*ONETAPE, "run", str(path), "--on", "live", "--json", "--no-report"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment(home, settings), **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def node(
    home: Path, settings, venue, orders: int = 4, path: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Start a run and wait until the venue has seen some orders of it."""
    path = path or scenario(home, instruments=NAMES, limits=QUICK)
    with started(home, settings, path) as process:
        await_orders(process, venue, orders)
        yield process


def await_orders(process: subprocess.Popen[str], venue, orders: int) -> None:
    deadline = time.monotonic() + 40
    while sent(venue) < orders:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def ended(process: subprocess.Popen[str], timeout_s: float = 30) -> Ran:
    return end_of(process, timeout_s)


def test_sigterm_cancels_what_rests_and_a_second_node_is_refused(desk: Desk) -> None:
    with serving(speed=Fraction(3)) as venue, node(desk.home, venue.settings, venue) as first:
        desk.point_at(venue)
        second = desk.trade(lasts_s=60)
        first.send_signal(signal.SIGTERM)
        ran = ended(first)
        held = {code: each.quantity for code, each in account_of(venue).positions.items()}
        assert resting(venue) == []
    assert second.code in {1, 2}
    assert "journal" in second.sentence
    assert ran.code == 0, ran.said
    assert ran.summary["ended"] == "SIGTERM asked for it"
    assert ran.summary["status"] == "ended"
    assert ran.summary["reconciled"]
    assert ran.summary["account"]["KRX"]["holdings"] == {k: v for k, v in held.items() if v}
    assert ran.summary["run_id"] in ran.said
    (listed,) = desk.type("runs", "--json").summary["runs"]
    assert listed["status"] == "ended"


def test_a_second_signal_waits_for_nobody(desk: Desk) -> None:
    with (
        serving(speed=Fraction(3)) as venue,
        Proxy(venue.server.port).running() as proxy,
        node(desk.home, {**venue.settings, **proxied(proxy, venue)}, venue) as process,
    ):
        proxy.stop()
        process.send_signal(signal.SIGINT)
        read_until(process, "The run ends")
        process.send_signal(signal.SIGTERM)
        ran = ended(process, live_node.SETTLE_NS / 2e9)  # raises where it waits for the venue
    assert ran.code == 0
    assert ran.summary["reconciled"] is False
    assert "account" not in ran.summary
    assert "could not be compared" in ran.said
    assert "equal the venue's books" not in ran.said
    assert desk.type("runs", "--json").summary["runs"][0]["status"] == "ended"


def proxied(proxy: Proxy, venue) -> dict[str, str]:
    return {f"ONETAPE_KIS_{name}": value for name, value in proxy.settings(venue).items()}


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """Return what a run says until it says some words, these included."""
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError(f"it never said {words!r}")


def test_every_order_the_venue_saw_was_journalled_before(desk: Desk) -> None:
    with serving(speed=Fraction(5)) as venue:
        with node(desk.home, venue.settings, venue, orders=9) as process:
            process.kill()
            process.wait(10)
        seen = Counter(
            (each.code, each.side.name, each.quantity)
            for each in account_of(venue).orders
            if not each.is_cancel
        )
    written = Counter(
        (e.message.instrument_id.symbol.value, e.message.side.name, int(e.message.quantity))
        for e in entries(desk.home)
        if e.kind is Kind.COMMAND and isinstance(e.message, Submit)
    )
    assert seen
    assert seen <= written


def test_a_strategy_that_raises_is_stopped_and_the_others_trade_on(desk: Desk) -> None:
    (desk.home / "breaks.py").write_text(BREAKS)
    path = scenario(desk.home, instruments="990002.KRX")
    path.write_text(path.read_text().replace("weight = 0.9", "weight = 0.5") + SECOND_STRATEGY)
    with serving(speed=Fraction(5)) as venue:
        with node(desk.home, venue.settings, venue, orders=8, path=path) as process:
            process.send_signal(signal.SIGINT)
            ran = ended(process)
        orders = list(account_of(venue).orders)
        assert resting(venue) == []
    assert ran.code == 0, ran.said
    assert ran.summary["stopped"] == ["breaks"]
    assert ran.summary["reconciled"]
    (left,) = [each for each in orders if each.code == "990001" and not each.is_cancel]
    assert left.cancelled == 3  # far from the market, and cancelled for the strategy
    assert "breaks failed and is asked nothing more: ValueError: the thirteenth trade" in ran.said
    assert "Strategy breaks failed and was stopped" in ran.said
    written = entries(desk.home)
    (fault,) = [e.id for e in written if e.kind is Kind.FAULT]
    assert [e for e in written if e.kind is Kind.COMMAND and e.id > fault]


def test_without_a_journal_nothing_is_traded_any_more(desk: Desk) -> None:
    with (
        serving(speed=Fraction(5)) as venue,
        node(desk.home, venue.settings, venue) as process,
    ):
        engine = create_engine(f"sqlite:///{desk.home / 'journal.sqlite'}")
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE entries RENAME TO gone"))
        engine.dispose()
        ran = ended(process)
        assert resting(venue) == []
    assert ran.code == 1, ran.said
    assert "journal.sqlite" in ran.summary["error"]
    assert "run churn-" in ran.summary["error"]
    assert ran.said.count("\nonetape: ") == 1


def test_a_kill_switch_whose_time_has_come_lets_nothing_be_bought(desk: Desk) -> None:
    path = scenario(desk.home, instruments=NAMES)
    switch = 'kill_switch.at = "2026-03-09T09:00:05+09:00"\n'
    path.write_text(path.read_text().replace("[capital]\n", f"[capital]\n{switch}"))
    with (
        serving(speed=Fraction(5)) as venue,
        started(desk.home, venue.settings, path) as process,
    ):
        said = read_until(process, "capital refused")
        process.send_signal(signal.SIGTERM)
        ran = ended(process)
        assert sent(venue) == 0
    assert ran.code == 0, ran.said
    assert ran.summary["refusals"] > 0
    assert "kill_switch" in said


def test_a_venue_that_comes_back_is_traded_with_again(desk: Desk) -> None:
    quick = "in_use_wait_ns = 500_000_000\nbackoff_first_ns = 100_000_000\n"
    path = scenario(desk.home, instruments=NAMES, limits=f"{QUICK}\n{quick}")
    with (
        serving(speed=Fraction(3), limits=PLENTY | {"stale_hold_s": 1}) as venue,
        Proxy(venue.server.port).running() as proxy,
        started(desk.home, {**venue.settings, **proxied(proxy, venue)}, path) as process,
    ):
        await_orders(process, venue, 4)
        proxy.stop()
        said = read_until(process, "the connection ended")
        proxy.start()
        said += read_until(process, "the connection is open")
        await_orders(process, venue, sent(venue) + 4)
        process.send_signal(signal.SIGTERM)
        ran = ended(process)
        cash_won = account_of(venue).cash_won
        assert resting(venue) == []
        assert venue.server.venue.witness.values()["duplicate_orders"] == []
    assert ran.code == 0, ran.said
    assert ran.summary["reconciled"], said + ran.said
    assert ran.summary["balances"] == {"KRX": {"KRW": f"{cash_won} KRW"}}


def test_a_wrong_hts_id_is_named_and_a_node_that_still_connects_ends_at_once(desk: Desk) -> None:
    path = scenario(desk.home, instruments=NAMES, limits=QUICK)
    wrong = {"ONETAPE_KIS_HTS_ID": "nobody77"}
    with (
        serving() as venue,
        started(desk.home, venue.settings | wrong, path) as process,
    ):
        advice = read_until(process, "ONETAPE_KIS_HTS_ID")
        process.send_signal(signal.SIGTERM)
        ran = ended(process, 20)
        assert sent(venue) == 0
    assert "HTS id" in advice
    assert "nobody77" not in advice + ran.said
    assert ran.code == 0, ran.said
    assert ran.summary["orders"] == 0
    assert ran.summary["reconciled"] is False
    assert "Traceback" not in ran.said
