"""A simulated KIS and a live node as two processes, and what each wrote down of the day."""

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from catalog.journal import open_journal
from strategies.messages import Fill, OrderNamed
from strategies.ports import Kind

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ONETAPE = (sys.executable, "-m", "scenarios.cli")
SCENARIO = """
name = "churn"
[venues.KRX]
balances = ["{cash} KRW"]
[venues.KRX.limits]
{limits}
[capital]
stale_after_s = 0
orders_per_second = 0
[[strategies]]
name = "churn"
class = "churn:Churn"
instruments = ["{instruments}"]
streams = ["{streams}"]
weight = 0.9
params = {{ step = {step} }}
"""


@dataclass(frozen=True)
class Venue:
    """A running server: how a node reaches it, and how to ask what it saw."""

    settings: Mapping[str, str]
    port: int

    def seen(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/admin.json") as answer:
            return json.load(answer)

    def arm(self, *faults: Mapping[str, object]) -> None:
        for fault in faults:
            request = urllib.request.Request(
                f"http://127.0.0.1:{self.port}/admin/faults",
                data=json.dumps(fault).encode(),
                headers={"content-type": "application/json"},
            )
            with urllib.request.urlopen(request) as answer:  # noqa: S310 - loopback
                answer.read()


def environment(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("ONETAPE_")}
    paths = os.pathsep.join((str(ROOT), str(HERE)))
    return inherited | {"ONETAPE_HOME": str(home), "PYTHONPATH": paths, **settings}


@contextmanager
def venue(home: Path, *options: str) -> Iterator[Venue]:
    """Run `onetape venue kis`; it is stopped with the block."""
    command = [*ONETAPE, "venue", "kis", "--json", *options]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(home, {})
    ) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield Venue(told["settings"], told["port"])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def scenario(folder: Path, **more: object) -> Path:
    """Write the churning scenario; ``limits`` are lines of TOML."""
    values = {"cash": 100_000_000, "limits": "", "instruments": "*.KRX", "streams": "trades"}
    values |= {"step": 1} | more
    path = folder / "scenario.toml"
    path.write_text(SCENARIO.format(**values))
    return path


@dataclass(frozen=True)
class Ran:
    """How a run ended."""

    code: int
    summary: dict[str, Any]
    said: str


def start_run(home: Path, at: Venue, path: Path, *options: str) -> subprocess.Popen[str]:
    command = [*ONETAPE, "run", str(path), "--on", "live", "--json", "--no-report", *options]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(home, at.settings),
    )


def end_of(process: subprocess.Popen[str], timeout_s: float = 120) -> Ran:
    out, said = process.communicate(timeout=timeout_s)
    lines = out.strip().splitlines()
    return Ran(process.returncode, json.loads(lines[-1]) if lines else {}, said)


def run_live(home: Path, at: Venue, path: Path, *options: str) -> Ran:
    return end_of(start_run(home, at, path, *options))


def journalled(home: Path, run_id: str) -> dict[str, int]:
    """Return the filled shares by venue order number, as the run's journal has them."""
    filled: dict[str, int] = {}
    numbers: dict[str, str] = {}
    with open_journal(f"sqlite:///{home / 'journal.sqlite'}", home) as store:
        for entry in store.entries(store.find(run_id)):
            if isinstance(entry.message, OrderNamed):
                name = str(entry.message.venue_order_id).rpartition("-")[2]
                numbers.setdefault(str(entry.message.order_id), name)
                filled.setdefault(name, 0)
            elif isinstance(entry.message, Fill) and entry.kind is Kind.FILL:
                filled[numbers[str(entry.message.order_id)]] += int(
                    entry.message.quantity.as_decimal()
                )
    return filled


def differences(home: Path, ran: Ran, seen: Mapping[str, Any]) -> list[str]:
    """Return where the node's books and the venue's are not equal, in words."""
    (account,) = seen["accounts"]
    found = []
    theirs = {o["number"]: o["filled"] for o in account["orders"] if not o["is_cancel"]}
    ours = journalled(home, ran.summary["run_id"])
    if {k: v for k, v in theirs.items() if k in ours or v} != ours:
        found.append(f"fills by order: venue {theirs}, node {ours}")
    held = {
        code: each["quantity"] for code, each in account["positions"].items() if each["quantity"]
    }
    if ran.summary["account"]["KRX"]["holdings"] != held:
        found.append(f"holdings: venue {held}, node {ran.summary['account']}")
    cash = int(ran.summary["balances"]["KRX"]["KRW"].split()[0])
    if cash != account["cash_won"]:
        found.append(f"cash: venue {account['cash_won']}, node {cash}")
    if any(o["open"] for o in account["orders"]):
        found.append(f"open orders at the venue: {[o for o in account['orders'] if o['open']]}")
    if seen["saw"]["duplicate_orders"]:
        found.append(f"duplicate orders: {seen['saw']['duplicate_orders']}")
    return found


def names(kinds: Sequence[str]) -> str:
    return "-".join(kinds)
