"""What a command shows: people's text, progress, and one JSON object for machines.

Rule: with --json the object is the last line of standard output and everything for people goes to
standard error. Progress is silent when standard error is not a terminal.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table


def seoul(ts_ns: int) -> str:
    """Return UTC nanoseconds as date and time in Seoul, with the zone's name."""
    return f"{datetime.fromtimestamp(ts_ns // 1_000_000_000, ZoneInfo('Asia/Seoul')):%F %T} KST"


class Advance:
    """Handle of a progress bar."""

    def __init__(self, progress: Progress, total: float | None, title: str) -> None:
        self._progress = progress
        self._task = progress.add_task(title, total=total)

    def to(self, done: float, total: float | None = None) -> None:
        """Set how much is done, and the total once it is known."""
        self._progress.update(self._task, completed=done, total=total)


class Screen:
    """The only place that prints."""

    _console: type[Console] = Console

    def __init__(self, *, as_json: bool = False, debug: bool = False) -> None:
        self.as_json = as_json
        self.debug = debug
        self._people = self._console(stderr=as_json, highlight=False, soft_wrap=True)
        self._errors = self._console(stderr=True, highlight=False, soft_wrap=True)

    def line(self, text: str = "") -> None:
        """Print one line for people, as it is (no markup)."""
        self._people.print(text, markup=False)

    def warn(self, text: str) -> None:
        """Print one line to standard error."""
        self._errors.print(text, markup=False)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print a table, folding what is too wide; ``name>`` is right-aligned, ``name!`` whole."""
        table = Table(title=title, title_justify="left", header_style="bold")
        for column in columns:
            table.add_column(
                column.rstrip(">!"),
                justify="right" if ">" in column else "left",
                no_wrap="!" in column,
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(str(cell) for cell in row))
        self._people.print(table, markup=False)

    def result(self, values: Mapping[str, object]) -> None:
        """Print the command's JSON object when it was asked for; call it last, once."""
        if self.as_json:
            plain = sys.stdout.encoding.lower() not in {"utf-8", "utf8"}
            sys.stdout.write(json.dumps(values, default=str, ensure_ascii=plain) + "\n")
            sys.stdout.flush()

    @contextmanager
    def progress(self, title: str, total: float | None = None) -> Iterator[Advance]:
        """Show a progress bar while the block runs, on terminals only."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
        )
        with Progress(
            *columns, console=self._errors, transient=True, disable=not self._errors.is_terminal
        ) as bar:
            yield Advance(bar, total, title)


class _LastingConsole(Console):
    """Falls silent once nobody can read it: a terminal that was closed, a pipe that ended."""

    def print(self, *objects: Any, **more: Any) -> None:
        try:
            super().print(*objects, **more)
        except OSError:
            self.quiet = True

    def on_broken_pipe(self) -> None:
        self.quiet = True


class LastingScreen(Screen):
    """The screen of a run that trades: what cannot be shown hinders nothing, it is journalled."""

    _console = _LastingConsole
