"""`onetape data check`: say what is wrong with files before an import, or with the catalog."""

import argparse
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from catalog.ingest.importer import find_files
from catalog.quality import Finding, Severity
from catalog.quality_raw import check_file
from catalog.quality_store import check_store
from catalog.store import Store
from scenarios.calendars import calendar_for
from scenarios.kis_recordings import KisRecordings
from scenarios.kis_recordings_check import check_recording
from scenarios.screen import Screen
from scenarios.settings import read_settings

_EXAMPLE = """examples:
  onetape data check
  onetape data check 'recordings/*.gz'
"""


def register(actions: Any, shared: argparse.ArgumentParser) -> None:
    """Add the action's parser."""
    parser = actions.add_parser(
        "check",
        parents=[shared],
        help="say what is wrong with data",
        description="Check files before they are imported, or the whole catalog: gaps in update "
        "ids, duplicates, times that go back, clock skew, prices, books, symbols, missing bars. "
        "Ends with 1 where an error is found.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="*", metavar="PATH", help="files (none: the catalog)")
    parser.add_argument("--timezone", metavar="ZONE", default="UTC", help="zone of times without")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, screen: Screen) -> int:
    """Check and print; 1 where an error was found."""
    found: Iterable[Finding]
    if args.paths:
        kis = KisRecordings()
        files = find_files(args.paths, (kis,))
        checks = (
            check_recording(path) if kis.reads(path) else check_file(path, args.timezone)
            for path in files
        )
        found, what = (each for findings in checks for each in findings), "file"
        checked = len(files)
    else:
        store = Store(read_settings().catalog)
        found, what = check_store(store, calendar_for), "stream"
        checked = len(store.streams())
    findings = list(found)
    for finding in findings:
        screen.line(str(finding))
    counts = {kind: sum(each.severity is kind for each in findings) for kind in Severity}
    told = ", ".join(_counted(count, kind) for kind, count in counts.items())
    screen.line(f"{_counted(checked, what)} checked: {told}.")
    values = [{**asdict(each), "message": str(each)} for each in findings]
    totals = {f"{kind}s": count for kind, count in counts.items()}
    screen.result({"checked": checked, "findings": values, **totals})
    return 1 if counts[Severity.ERROR] else 0


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
