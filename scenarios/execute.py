"""Runs a scenario from its file to its journal and report, and says what came of it.

Rule: the one place that knows wall time, process and package versions of a run; they enter the
manifest and never a decision.
"""

import os
import platform
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from catalog.journal import open_journal
from catalog.runs import Manifest, make_run_id
from catalog.store import Store
from scenarios.replay import Progress, ReplayResult, replay
from scenarios.scenario import Scenario
from scenarios.settings import Settings
from scenarios.wiring import Universe, resolve
from strategies.errors import OnetapeError, RunFailed

PACKAGES = ("nautilus_trader", "numpy", "pyarrow", "msgspec", "exchange_calendars")
"""Packages that can change a result; their versions enter the manifest."""
ROOMS = ("strategies", "adapters", "catalog", "scenarios")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished run came to; ``elapsed_s`` is wall time of the run alone.

    ``more`` is what runs on this kind of venue say besides.
    """

    run_id: str
    digest: str
    head: str
    result: ReplayResult
    elapsed_s: float
    on: str = "replay"
    more: Mapping[str, object] = field(default_factory=dict)

    def summary(self) -> dict[str, object]:
        """Return what `onetape run --json` gives, the report's path aside."""
        result = self.result
        return {
            "run_id": self.run_id,
            "status": "ended",
            "on": self.on,
            "digest": self.digest,
            "head": self.head,
            "decisions": result.decisions,
            "orders": result.orders,
            "fills": result.fills,
            "refusals": result.refusals,
            "events": result.deliveries,
            "elapsed_s": round(self.elapsed_s, 3),
            "events_per_s": round(result.deliveries / max(self.elapsed_s, 1e-9)),
            "pnl": {code: f"{amount:f}" for code, amount in result.pnl.items()},
            "balances": result.balances,
            **self.more,
        }


def run_replay(
    scenario: Scenario, settings: Settings, *, progress: Progress | None = None
) -> Outcome:
    """Replay a scenario on the catalog of an installation.

    Raises BadInput before anything is written, RunFailed once the run has begun.
    """
    universe = resolve(scenario, Store(settings.catalog))
    with open_journal(settings.journal_url, settings.home) as store:
        journal = store.begin(manifest(universe))
        with journal:
            started = time.perf_counter()
            try:
                result = replay(universe, journal, progress=progress)
            except OnetapeError as error:
                raise type(error)(f"run {journal.run_id} failed: {error}") from error
            except Exception as error:
                raise RunFailed(
                    f"run {journal.run_id} failed: {type(error).__name__}: {error}; this is a "
                    "defect of onetape (--debug shows where)."
                ) from error
            elapsed_s = time.perf_counter() - started
            outcome = Outcome(journal.run_id, journal.digest, journal.head, result, elapsed_s)
            journal.end("ended", outcome.summary())
    return outcome


def manifest(universe: Universe, on: str = "replay") -> Manifest:
    """Describe a run before it begins; ``on`` is what it runs on."""
    scenario = universe.scenario
    now_ns = time.time_ns()
    return Manifest(
        run_id=make_run_id(scenario.name, now_ns, secrets.randbits(16)),
        scenario=scenario.name,
        mode=on,
        config=scenario.canonical,
        folder="" if scenario.folder is None else str(scenario.folder),
        code_version=code_version(universe),
        python=platform.python_version(),
        seed=scenario.table.seed,
        started_wall_ns=now_ns,
        pid=os.getpid(),
        hostname=socket.gethostname(),
        packages=package_versions(),
        slices=dict(universe.slices),
    )


def package_versions() -> Mapping[str, str]:
    """Return the installed versions of the packages that can change a result."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    return found


def code_version(universe: Universe) -> str:
    """Return our version and a hash over our code and the scenario's strategy modules.

    What stands beside a strategy's module may be imported by it and counts too, its tests do not.
    """
    whole = sha256()
    root = Path(__file__).resolve().parent.parent
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.py")):
            whole.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
    modules = {cls.__module__ for cls in universe.classes.values()}
    for name in sorted(modules):
        file = getattr(sys.modules[name], "__file__", None)
        if file is not None and not Path(file).is_relative_to(root):
            whole.update(name.encode() + Path(file).read_bytes())
            for path in sorted(Path(file).parent.glob("*.py")):
                if path.is_file() and not path.name.startswith("test_"):
                    whole.update(path.name.encode() + path.read_bytes())
    try:
        release = version("onetape")
    except PackageNotFoundError:
        release = "uninstalled"
    return f"{release}+{whole.hexdigest()[:16]}"
