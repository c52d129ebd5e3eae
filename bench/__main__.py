"""`python -m bench [NAMES] [--quick]`: measure, print a table, write bench-results/latest.json."""

import argparse
import json
import platform
import shutil
import sys
import tempfile
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from bench import measures
from bench.capital import capital
from bench.catalog import catalog
from bench.kis import kis
from bench.live import live
from bench.measures import FULL, PROJECT, QUICK, Figure, Scale

MEASURES = {**measures.MEASURES, "catalog": catalog, "capital": capital, "kis": kis, "live": live}
RESULTS = PROJECT / "bench-results" / "latest.json"


def main(argv: list[str]) -> int:
    """Run the named measures, all by default; 1 where a target is missed, quick runs aside."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(MEASURES))
    parser.add_argument("--quick", action="store_true", help="small sizes: does it work at all?")
    parser.add_argument("--rounds", type=int, help="how many times each pair runs")
    args = parser.parse_args(argv)
    unknown = sorted(set(args.names) - set(MEASURES))
    if unknown:
        parser.error(f"no measure {', '.join(unknown)}; there are {', '.join(MEASURES)}")
    scale = QUICK if args.quick else FULL
    if args.rounds:
        scale = replace(scale, rounds=args.rounds)
    figures = measure(args.names or list(MEASURES), scale)
    write(figures, scale)
    missed = any(figure.verdict == "MISS" for figure in figures)
    return int(missed and not args.quick)


def measure(names: list[str], scale: Scale) -> list[Figure]:
    """Run measures in a folder of their own and print each figure as it comes."""
    figures = []
    print(f"{'what':<36}{'measured':>14} {'unit':<9}{'target':>12}        note")
    for name in names:
        work = Path(tempfile.mkdtemp(prefix="onetape-bench-"))
        try:
            for figure in MEASURES[name](work, scale):
                print(line(figure), flush=True)
                figures.append(figure)
        finally:
            shutil.rmtree(work)
    return figures


def line(figure: Figure) -> str:
    """Return one line of the table."""
    value = f"{figure.value:,.0f}" if figure.value >= 1_000 else f"{figure.value:,.2f}"
    sign = ">=" if figure.at_least else "<="
    target = "" if figure.target is None else f"{sign} {figure.target:,g}"
    return (
        f"{figure.name:<36}{value:>14} {figure.unit:<9}{target:>12}  {figure.verdict:<4}  "
        f"{figure.note}"
    )


def write(figures: list[Figure], scale: Scale) -> None:
    """Write the figures as JSON beside what they were measured on."""
    RESULTS.parent.mkdir(exist_ok=True)
    found = {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "scale": asdict(scale),
        "figures": [{**asdict(figure), "verdict": figure.verdict} for figure in figures],
    }
    temporary = RESULTS.with_suffix(".tmp")
    temporary.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    temporary.replace(RESULTS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
