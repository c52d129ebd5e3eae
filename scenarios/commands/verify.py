"""`onetape verify`: re-executes a run's decisions and shows the first difference."""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from catalog.journal import open_journal
from catalog.runs import Run
from catalog.store import Store
from scenarios.execute import code_version, package_versions
from scenarios.scenario import scenario_from_json
from scenarios.screen import Screen
from scenarios.settings import Settings, read_settings
from scenarios.verify import Difference, Verdict, verify_run
from scenarios.wiring import Universe, resolve
from strategies.errors import BadInput, RunFailed

EXAMPLE = """example:
  onetape verify last
  onetape verify demo-20261120-090000-1a2b --passes 1
"""
PASSES = 3
SMALL_RUN_DELIVERIES = 2_000_000
"""Runs above this are re-executed once unless --passes says otherwise."""


def register(commands: Any, shared: argparse.ArgumentParser) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "verify",
        parents=[shared],
        help="re-execute a run's decisions",
        description="Re-execute a run from its journal and tape; exit 0 if every decision is "
        "equal, 1 at the first difference, 2 if it cannot be verified.",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run_name", metavar="RUN", help="a run id, a unique prefix, or last")
    parser.add_argument(
        "--passes",
        type=_passes,
        metavar="N",
        help=f"re-executions, each with another hash seed ({PASSES}; 1 for very long runs): an "
        "order that comes from a set or a hash differs between them",
    )
    parser.set_defaults(run=run)


def _passes(text: str) -> int:
    try:
        passes = int(text)
    except ValueError:
        passes = 0
    if passes < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of re-executions; give 1 or more")
    return passes


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Verify; 0 equal, 1 different, BadInput where it cannot be verified."""
    settings = read_settings()
    with open_journal(settings.journal_url, settings.home) as journal:
        found = journal.find(args.run_name)
        universe = _universe(found, settings)
        _warn(found, universe, screen)
        journal.check_chain(found)
        with screen.progress(f"re-executing {found.run_id}"):
            verdict = verify_run(journal, found, universe)
    passes = args.passes or (PASSES if verdict.deliveries <= SMALL_RUN_DELIVERIES else 1)
    result = _result(found, verdict, 1)
    for seed in range(1, passes):
        if verdict.difference is not None or result["equal"] is False:
            break
        result = _again(found.run_id, seed) | {"passes": seed + 1}
    _show(result, found, screen)
    screen.result(result)
    return 0 if result["equal"] else 1


def _universe(found: Run, settings: Settings) -> Universe:
    if found.status == "running":
        raise BadInput(f"run {found.run_id} is still running; verify it when it has ended.")
    if found.entry_count == 0:
        raise BadInput(f"run {found.run_id} has no journal entries; there is nothing to verify.")
    if not found.manifest.has_tape:
        raise BadInput(
            f"run {found.run_id} cannot be verified: it traded {found.manifest.mode} and recorded "
            f"no tape; see onetape journal {found.run_id} --why ORDER for what led to an order."
        )
    folder = Path(found.manifest.folder) if found.manifest.folder else None
    scenario = scenario_from_json(found.manifest.config, folder)
    try:
        return resolve(scenario, Store(settings.catalog))
    except BadInput as error:
        raise BadInput(f"run {found.run_id} cannot be verified: {error}") from error


def _warn(found: Run, universe: Universe, screen: Screen) -> None:
    """Say what is not as it was; a difference below may come from it."""
    if found.manifest.code_version != code_version(universe):
        screen.warn("note: the code is not the one the run was made with.")
    for name, before in found.manifest.packages.items():
        now = package_versions().get(name, "missing")
        if now != before:
            screen.warn(f"note: {name} was {before} then and is {now} now.")
    for name, before in found.manifest.slices.items():
        if universe.slices.get(name) != before:
            screen.warn(f"note: the catalog's {name} is not the one the run was given.")


def _again(run_id: str, seed: int) -> dict[str, Any]:
    """Re-execute in a process whose strings hash differently."""
    command = [sys.executable, "-m", "scenarios.cli", "verify", run_id, "--passes", "1", "--json"]
    done = subprocess.run(  # noqa: S603 - our own program, an id we looked up
        command,
        env=os.environ | {"PYTHONHASHSEED": str(seed)},
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise RunFailed(
            f"the re-execution of {run_id} under another hash seed broke off: "
            f"{done.stderr.strip()[-300:]}"
        ) from error
    if "equal" not in result:
        raise RunFailed(str(result.get("error", "the re-execution said nothing")))
    return result


def _result(found: Run, verdict: Verdict, passes: int) -> dict[str, Any]:
    difference = verdict.difference
    return {
        "run_id": found.run_id,
        "equal": difference is None,
        "deliveries": verdict.deliveries,
        "entries": verdict.entries,
        "digest": found.digest,
        "passes": passes,
        "difference": None if difference is None else asdict(difference),
    }


def _show(result: dict[str, Any], found: Run, screen: Screen) -> None:
    if result["equal"]:
        screen.line(
            f"equal: {result['entries']:,} journal entries over {result['deliveries']:,} "
            f"deliveries of {found.run_id} came out the same, {result['passes']} times."
        )
        return
    difference = Difference(**result["difference"])
    screen.line(f"different at delivery {difference.seq} of {found.run_id}: {difference.what}")
    screen.line(f"  market time   {market_time(difference.ts_ns)}")
    screen.line(f"  input         {difference.event}")
    screen.line(f"  journalled    {difference.journalled}")
    screen.line(f"  re-executed   {difference.reexecuted}")
    for decider, state in difference.state.items():
        screen.line(f"  state of {decider} before it:")
        for name, value in state.items():
            screen.line(f"    {name}: {value}")


def market_time(ts_ns: int) -> str:
    """Return a time as ISO text in UTC with all its digits."""
    from datetime import UTC, datetime

    seconds, rest = divmod(ts_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d} UTC"
