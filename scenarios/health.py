"""What must be right on this machine for onetape to work: one function per thing, each a finding.

Rule: looks and changes no data; a secret's presence is told, its value never.
"""

import os
import platform
import re
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from catalog.inventory import open_parquet
from catalog.journal import open_journal
from catalog.journal.memory import MemoryJournal
from catalog.places import S3Path
from catalog.store import Store
from scenarios.env_file import FILE_NAME, read_env_file
from scenarios.findings import LIVE, Finding, State
from scenarios.scenario import find_scenario, load_scenario
from scenarios.settings import Settings
from scenarios.wiring import compose, resolve
from strategies.errors import OnetapeError
from strategies.host.shell import EngineHost

PYTHON_MIN, PYTHON_END = (3, 13), (3, 15)
LOCK = Path(__file__).resolve().parents[1] / "locks" / "core.lock"
ENGINE = "nautilus-trader"
ENGINE_MODULES = tuple(
    f"nautilus_trader.{name}" for name in ("model", "indicators", "backtest", "persistence")
)
ROOMS = ("strategies", "adapters", "catalog", "scenarios")
ZONES = ("Asia/Seoul", "UTC")
RELEASED = datetime(2026, 1, 1, tzinfo=UTC)
"""This release is not older: a clock before it is wrong."""
FREE_MIN_BYTES = 1 << 30
KEYS: Mapping[str, tuple[str, ...]] = {
    "KIS": ("ONETAPE_KIS_APP_KEY", "ONETAPE_KIS_APP_SECRET", "ONETAPE_KIS_ACCOUNT"),
    "Binance": ("ONETAPE_BINANCE_API_KEY", "ONETAPE_BINANCE_API_SECRET"),
}
ACCOUNT = re.compile(r"\d{8}-?\d{2}")


def examine(
    settings: Settings,
    environment: Mapping[str, str],
    folder: Path,
    scenario: str | None = None,
) -> list[Finding]:
    """Look at everything; ``folder`` is where a `.env` may lie."""
    findings = [
        check_python(sys.version_info[:2]),
        check_packages(_installed, _locked(LOCK)),
        check_imports("engine", ENGINE_MODULES),
        check_rooms(),
        check_home(settings.home),
        check_catalog(settings.catalog),
        check_journal(settings),
        check_clock(time.time_ns(), settings.home),
        check_zones(ZONES),
    ]
    pairs, finding = check_env_file(folder / FILE_NAME)
    keys = list(check_keys(given := {**pairs, **environment}))
    findings += [finding, *keys]
    if keys[0].state is State.OK and given.get(KEYS["KIS"][0]):
        findings += _at_kis(settings, given, scenario)
    if scenario is not None:
        findings.append(_for_live(check_scenario(scenario, settings), findings))
    return findings


def _for_live(replayed: Finding, findings: Iterable[Finding]) -> Finding:
    """Soften what stops a replay where the scenario is fit to run at its venue."""
    is_fit = any(each.what == LIVE and each.state is State.OK for each in findings)
    if replayed.state is not State.FAIL or not is_fit:
        return replayed
    advice = "a live run needs no catalog; import or pull its data to replay it"
    return Finding(replayed.what, State.WARN, replayed.found, advice)


def _at_kis(
    settings: Settings, given: Mapping[str, str], scenario: str | None
) -> Iterable[Finding]:
    from scenarios.venue_health import examine_kis  # its HTTP library is slow to import

    return examine_kis(settings, given, scenario)


def check_python(found: tuple[int, ...]) -> Finding:
    """Compare the interpreter's (major, minor) with what the engine supports."""
    words = f"{platform.python_version()} ({sys.executable})"
    if PYTHON_MIN <= found < PYTHON_END:
        return Finding("Python", State.OK, words)
    need = "Python >= 3.13,<3.15 is needed; make demo finds or fetches one"
    return Finding("Python", State.FAIL, words, need)


# --- packages -----------------------------------------------------------------------------------


def check_packages(installed: Callable[[str], str | None], locked: Mapping[str, str]) -> Finding:
    """Compare installed versions with the lock's; another engine than the pinned one is wrong."""
    missing = [name for name in locked if installed(name) is None]
    other = {
        name: f"{name} {installed(name)} instead of {pinned}"
        for name, pinned in locked.items()
        if installed(name) not in {None, pinned}
    }
    advice = "run make demo, or install locks/core.lock"
    if missing or ENGINE in other:
        words = [f"missing: {', '.join(missing)}"] if missing else []
        return Finding("packages", State.FAIL, "; ".join([*words, *other.values()]), advice)
    if other:
        return Finding("packages", State.WARN, "; ".join(other.values()), advice)
    return Finding("packages", State.OK, f"all {len(locked)} as pinned")


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _locked(lock: Path) -> dict[str, str]:
    """Read pins from the lock, or exact requirements where only the package is installed."""
    if lock.is_file():
        lines = lock.read_text(encoding="utf-8").splitlines()
    else:
        lines = [line for line in distribution("onetape").requires or () if "extra ==" not in line]
    found = (re.match(r"([\w.-]+)(?:\[\w+\])?==([\w.+!]+)", line) for line in lines)
    return {match[1].replace("_", "-"): match[2] for match in found if match}


def check_imports(what: str, modules: tuple[str, ...]) -> Finding:
    """Import modules; a wheel for another system fails here, not at the start of a run."""
    started = time.perf_counter()
    for name in modules:
        try:
            import_module(name)
        # A broken binary raises whatever it likes; all of it means the same to the user.
        except Exception as error:  # noqa: BLE001 - see above
            text = f"{name} raised {type(error).__name__}: {error}"
            return Finding(what, State.FAIL, text, "reinstall it: make clean, then make demo")
    seconds = time.perf_counter() - started
    return Finding(what, State.OK, f"{_installed(ENGINE)}, imported in {seconds:.2f} s")


def check_rooms() -> Finding:
    """See whether a foreign distribution shadows one of our generic folder names."""
    root = Path(__file__).resolve().parents[1]
    for room in ROOMS:
        place = Path(import_module(room).__file__ or "")
        if place.parent != root / room:
            advice = f"uninstall the distribution that brings {room}, or use an environment of ours"
            return Finding("folders", State.FAIL, f"{room} is imported from {place}", advice)
    return Finding("folders", State.OK, str(root))


# --- places -------------------------------------------------------------------------------------


def check_home(home: Path) -> Finding:
    """See whether the home can be written, is private and has space."""
    place = next(path for path in (home, *home.parents) if path.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        advice = "make it a folder you can write to, or set ONETAPE_HOME to one"
        return Finding("home", State.FAIL, f"{place} cannot be written", advice)
    if place != home:
        return Finding("home", State.OK, f"{home} will be made")
    mode = stat.S_IMODE(home.stat().st_mode)
    free = shutil.disk_usage(home).free
    if mode & 0o022:
        found = f"{home} can be changed by others (mode {mode:o})"
        return Finding("home", State.WARN, found, f"run: chmod 700 {home}")
    if free < FREE_MIN_BYTES:
        found = f"{home} has {free >> 20} MiB left"
        return Finding("home", State.WARN, found, "free some space before a run")
    return Finding("home", State.OK, f"{home} (mode {mode:o}, {free >> 30} GiB left)")


def check_catalog(root: Path) -> Finding:
    """Count the streams and open every file's footer."""
    here = not isinstance(root, S3Path)  # in a bucket the manifests are asked, not every file
    files = sorted(root.glob("data/*/*/*.parquet")) if here else []
    broken: list[str] = []
    for path in files:
        try:
            open_parquet(path).close()
        except OnetapeError:
            broken.append(str(path.relative_to(root)))
    if broken:
        found = f"{len(broken)} of {len(files)} files are damaged, first {broken[0]}"
        advice = "remove them and import their data again; onetape data check says more"
        return Finding("catalog", State.FAIL, found, advice)
    if here and not files:
        advice = "run onetape demo, or onetape data import"
        return Finding("catalog", State.WARN, f"{root} is empty", advice)
    try:
        streams = Store(root).streams()
    except OnetapeError as error:
        return Finding("catalog", State.FAIL, str(error), "run onetape data check")
    rows = sum(stream.rows for stream in streams)
    symbols = len({stream.instrument_id for stream in streams})
    found = f"{len(streams)} streams of {symbols} instruments, {rows:,} rows"
    return Finding("catalog", State.OK, found)


def check_journal(settings: Settings) -> Finding:
    """Open the journal for reading: reachable, of our schema, and who crashed."""
    try:
        with open_journal(settings.journal_url, settings.home) as journal:
            runs, where = journal.runs(), journal.where
    except OnetapeError as error:
        return Finding("journal", State.FAIL, str(error))
    crashed = [run.run_id for run in runs if run.status == "crashed"]
    found = f"{where}, {len(runs)} runs" + (f", {len(crashed)} crashed" if crashed else "")
    return Finding("journal", State.OK, found if runs else f"{where} begins with the first run")


# --- time ---------------------------------------------------------------------------------------


def check_clock(now_ns: int, home: Path) -> Finding:
    """See whether the clock can be right: not before this release, not before our own files."""
    now = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC)
    found = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    advice = "set the clock and let the system keep it (NTP): venues refuse stale requests"
    if now < RELEASED:
        return Finding("clock", State.FAIL, f"{found} is before this release", advice)
    newest = max((path.stat().st_mtime_ns for path in home.glob("*")), default=0)
    if newest > now_ns + 60 * 1_000_000_000:
        return Finding("clock", State.FAIL, f"{found} is before files in {home}", advice)
    return Finding("clock", State.OK, found)


def check_zones(names: tuple[str, ...]) -> Finding:
    """See whether the venues' time zones are known here."""
    for name in names:
        try:
            ZoneInfo(name)
        except ZoneInfoNotFoundError:
            advice = "install the system's tzdata, or locks/core.lock, which brings it"
            return Finding("time zones", State.FAIL, f"{name} is unknown", advice)
    return Finding("time zones", State.OK, ", ".join(names))


# --- secrets and the scenario -------------------------------------------------------------------


def check_env_file(path: Path) -> tuple[dict[str, str], Finding]:
    """Read the `.env` beside; return its pairs, and whether it may be used."""
    try:
        pairs = read_env_file(path)
    except OnetapeError as error:
        return {}, Finding(FILE_NAME, State.FAIL, str(error))
    found = f"{len(pairs)} settings, readable by you alone" if pairs else "none here"
    return pairs, Finding(FILE_NAME, State.OK, found)


def check_keys(settings: Mapping[str, str]) -> Iterator[Finding]:
    """Tell per venue whether its keys are there; none at all is fine for replays."""
    for venue, names in KEYS.items():
        missing = [name for name in names if not settings.get(name)]
        if len(missing) == len(names):
            yield Finding(f"{venue} keys", State.OK, "not set; only live data needs them")
        elif missing:
            found = f"{len(names) - len(missing)} of {len(names)} are set"
            yield Finding(f"{venue} keys", State.FAIL, found, f"set {', '.join(missing)}")
        elif venue == "KIS" and not ACCOUNT.fullmatch(settings["ONETAPE_KIS_ACCOUNT"]):
            advice = "write ONETAPE_KIS_ACCOUNT as 8 and 2 digits, like 12345678-01"
            yield Finding(f"{venue} keys", State.FAIL, "the account number is malformed", advice)
        else:
            yield Finding(f"{venue} keys", State.OK, "set")


def check_scenario(name: str, settings: Settings) -> Finding:
    """Do all that a run does before its first event."""
    try:
        scenario = load_scenario(find_scenario(name))
        universe = resolve(scenario, Store(settings.catalog))
        engine = EngineHost()
        compose(universe, journal=MemoryJournal(), orders=engine, clock=engine)
    except OnetapeError as error:
        return Finding("scenario", State.FAIL, str(error))
    found = (
        f"{scenario.name}: {len(universe.traded)} strategies, {len(universe.instruments)} "
        f"instruments on {', '.join(universe.venues) or 'no venue, to be observed'}"
    )
    return Finding("scenario", State.OK, found)
