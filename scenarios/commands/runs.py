"""`onetape runs`: every run of the journal, newest last."""

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from catalog.journal import open_journal
from catalog.runs import Run
from scenarios.commands.run import money_text
from scenarios.screen import Screen
from scenarios.settings import read_settings

COLUMNS = ("run!", "status", "orders>", "fills>", "after costs>")


def register(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    shared: argparse.ArgumentParser,
) -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "runs",
        parents=[shared],
        help="list all runs",
        description="List all runs of the journal, oldest first.",
        epilog="example: onetape runs --json",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:  # noqa: ARG001 - it takes no options
    """Print the table of runs."""
    settings = read_settings()
    with open_journal(settings.journal_url, settings.home) as store:
        runs = store.runs()
        where = store.where
    if runs:
        screen.table(f"runs in {where}", COLUMNS, map(_row, runs))
    else:
        screen.line(f"No run yet in {where}; start one with: onetape demo")
    screen.result({"journal": where, "runs": [_values(run) for run in runs]})
    return 0


def _row(run: Run) -> tuple[str, ...]:
    summary = run.summary
    counts = (str(summary.get(name, "-")) for name in ("orders", "fills"))
    return (run.run_id, run.status, *counts, _profit(summary.get("pnl")))


def _profit(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return "\n".join(money_text(str(amount), code) for code, amount in value.items())
    return str(value)


def _started(run: Run) -> str:
    when = datetime.fromtimestamp(run.manifest.started_wall_ns // 1_000_000_000, UTC)
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def _values(run: Run) -> dict[str, Any]:
    manifest = run.manifest
    return {
        "run_id": manifest.run_id,
        "scenario": manifest.scenario,
        "on": manifest.mode,
        "status": run.status,
        "entries": run.entry_count,
        "digest": run.digest,
        "head": run.head,
        "config_hash": manifest.config_hash,
        "code_version": manifest.code_version,
        "seed": manifest.seed,
        "started": _started(run),
        "summary": dict(run.summary),
        "error": run.error,
    }
