"""What identifies a run, and how people name one.

Rule: wall time and chance come in as arguments; nothing here reads a clock.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from difflib import get_close_matches
from hashlib import sha256
from types import MappingProxyType

from strategies.errors import BadInput

LAST = "last"
"""The name of the newest run."""

NOTHING: Mapping[str, str] = MappingProxyType({})


def make_run_id(scenario: str, wall_ns: int, chance: int) -> str:
    """Return ``<scenario>-<UTC yyyymmdd-hhmmss>-<4 hex>``; ``chance`` is any integer."""
    name = re.sub(r"[^a-z0-9_.]+", "-", scenario.lower()).strip("-.") or "run"
    when = datetime.fromtimestamp(wall_ns // 1_000_000_000, UTC)
    return f"{name}-{when:%Y%m%d-%H%M%S}-{chance & 0xFFFF:04x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a run was made of; written before its first entry.

    ``config`` is the resolved scenario as JSON text, ``slices`` names each slice of the catalog
    with its hash, ``folder`` is where the scenario's own strategy modules lie ("" for none; a path
    of one machine, so no part of the configuration), ``packages`` each package with its version.
    Times are integer ns UTC.
    """

    run_id: str
    scenario: str
    mode: str
    config: str
    code_version: str
    python: str
    seed: int
    started_wall_ns: int
    pid: int
    hostname: str
    folder: str = ""
    packages: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    slices: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    @property
    def has_tape(self) -> bool:
        """Tell whether the run was made on data of a catalog, where it can be read again."""
        return bool(self.slices)

    @property
    def venues(self) -> tuple[str, ...]:
        """The names of the venues it was made for."""
        return tuple(json.loads(self.config).get("venues", ()))

    @property
    def config_hash(self) -> str:
        """SHA-256 of the configuration's text, as hex."""
        return sha256(self.config.encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run as the journal knows it.

    ``status`` is running, ended, failed, or crashed: its writer is gone and did not end it.
    ``digest`` covers what happened, ``head`` the ENDED entry too; both are hex text.
    """

    run_no: int
    manifest: Manifest
    status: str
    entry_count: int
    head: str
    digest: str
    ended_wall_ns: int | None = None
    summary: Mapping[str, object] = field(default_factory=dict)
    error: str | None = None

    @property
    def run_id(self) -> str:
        """The run's name, unique in its journal."""
        return self.manifest.run_id


def find_run(runs: Sequence[Run], name: str) -> Run:
    """Return the run called ``name``: its id, the only one it begins, or ``last`` for the newest.

    ``runs`` come oldest first. Raises BadInput where there is none or more than one.
    """
    if not runs:
        raise BadInput("the journal holds no run yet; start one with: onetape run SCENARIO.")
    if name == LAST:
        return runs[-1]
    for run in runs:
        if run.run_id == name:
            return run
    begun = [run for run in runs if run.run_id.startswith(name)]
    if len(begun) == 1:
        return begun[0]
    if begun:
        raise BadInput(
            f"'{name}' begins {len(begun)} runs ({_some(begun)}); give more of the name, or "
            f"'{LAST}'."
        )
    ids = [run.run_id for run in reversed(runs)]
    near = get_close_matches(name, ids, n=3, cutoff=0.4) or ids[:3]
    raise BadInput(
        f"no run is called '{name}'; near it: {', '.join(near)} ('onetape runs' lists all, "
        f"'{LAST}' is the newest)."
    )


def _some(runs: Sequence[Run]) -> str:
    newest = [run.run_id for run in reversed(runs)]
    return ", ".join(newest[:3]) + (", ..." if len(newest) > 3 else "")
