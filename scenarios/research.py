"""The one import for notebooks: look at the market, run a scenario, get tables, plot.

Rule: everything here is also a command; nothing is computed another way for notebooks. Places come
from ``ONETAPE_HOME`` and ``ONETAPE_JOURNAL`` as on the command line, unless ``home`` is given.
"""

from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from catalog.folds import fold, why
from catalog.frames import Frames, to_frames
from catalog.generate.market import demo_market
from catalog.journal import open_journal
from catalog.read import to_pandas
from catalog.report import ReportInput, write_report
from catalog.report.figures import templates
from catalog.report.page import all_charts
from catalog.runs import Run
from catalog.stats.summary import summarise
from catalog.stats.values import Undefined, Unit
from catalog.store import Store
from catalog.words import describe
from scenarios.execute import run_replay
from scenarios.run_report import load_report
from scenarios.scenario import find_scenario, load_scenario
from scenarios.settings import Settings, read_settings
from scenarios.stream_names import stream_of
from strategies.errors import BadInput
from strategies.messages import PositionUpdate
from strategies.ports import Kind

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["RunView", "beside", "generate", "open_run", "prices", "run", "runs", "streams"]


def settings_of(home: Path | str | None = None) -> Settings:
    """Return the places of an installation: those of ``home``, or of the environment."""
    if home is None:
        return read_settings()
    place = Path(home).expanduser().absolute()
    return Settings(place, f"sqlite:///{place / 'journal.sqlite'}")


# --- the market -----------------------------------------------------------------------------------


def generate(seed: int = 1, *, home: Path | str | None = None) -> pd.DataFrame:
    """Generate the demo's two market days unless they are there, and list the streams."""
    demo_market(Store(settings_of(home).catalog), seed)
    return streams(home=home)


def streams(*, home: Path | str | None = None) -> pd.DataFrame:
    """List the streams of the catalog: kind, instrument, topic, rows, first and last time (UTC)."""
    found = Store(settings_of(home).catalog).streams()
    frame = pd.DataFrame(
        [
            (str(i.kind), str(i.instrument_id), i.topic, i.rows, i.first_ns, i.last_ns)
            for i in found
        ],
        columns=["kind", "instrument", "topic", "rows", "first", "last"],
    )
    for name in ("first", "last"):
        frame[name] = pd.to_datetime(frame[name].astype("int64"), unit="ns", utc=True)
    return frame


def prices(
    instrument: str, stream: str = "trades", *, home: Path | str | None = None
) -> pd.DataFrame:
    """Return an instrument's rows: ``trades``, ``quotes``, ``book``, ``funding`` or bars by step.

    Bars are named like ``1-MINUTE``. Indexed by time (UTC), numbers as floats; a funding rate is
    text. Raises BadInput where the catalog has none.
    """
    store = Store(settings_of(home).catalog)
    return to_pandas(store, *stream_of(stream, instrument))


# --- runs -----------------------------------------------------------------------------------------


def run(
    scenario: str | Path = "demo",
    changes: Mapping[str, object] | None = None,
    *,
    start: str | None = None,
    end: str | None = None,
    home: Path | str | None = None,
) -> "RunView":
    """Replay a scenario, given by name or path, and return what came of it.

    ``changes`` win over the file: ``{"strategies.sma-krx.params.fast": 8}``. ``start`` and ``end``
    are times with their zone. Raises BadInput as ``onetape run`` does.
    """
    settings = settings_of(home)
    overrides = [f"{key}={_toml(value)}" for key, value in (changes or {}).items()]
    read = load_scenario(find_scenario(str(scenario)), overrides, (start, end))
    outcome = run_replay(read, settings)
    return open_run(outcome.run_id, home=home)


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml(each) for each in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def open_run(name: str = "last", *, home: Path | str | None = None) -> "RunView":
    """Return a run of the journal by its id, its unique beginning, or ``last``."""
    settings = settings_of(home)
    with open_journal(settings.journal_url, settings.home) as journal:
        return RunView(journal.find(name), settings)


def runs(*, home: Path | str | None = None) -> pd.DataFrame:
    """List the runs of the journal, oldest first."""
    settings = settings_of(home)
    with open_journal(settings.journal_url, settings.home) as journal:
        rows = [(r.run_id, r.manifest.scenario, r.status, r.digest) for r in journal.runs()]
    return pd.DataFrame(rows, columns=["run", "scenario", "status", "digest"])


def beside(*views: "RunView") -> pd.DataFrame:
    """Put the statistics of several runs side by side, a column per run and book."""
    if not views:
        raise BadInput("there is no run to put side by side; give at least one.")
    columns = {}
    for view in views:
        table = view.statistics()
        for book in table.columns:
            columns[view.label, book] = table[book]
    return pd.DataFrame(columns)


class RunView:
    """One run as tables and figures; everything is read when it is first asked for."""

    def __init__(self, found: Run, settings: Settings) -> None:
        self._run = found
        self._settings = settings

    def __repr__(self) -> str:
        return f"<run {self._run.run_id}, {self._run.status}, digest {self._run.digest[:12]}>"

    @property
    def run_id(self) -> str:
        """The run's name in its journal."""
        return self._run.run_id

    @property
    def digest(self) -> str:
        """Equal digests mean equal runs."""
        return self._run.digest

    @property
    def label(self) -> str:
        """A short name that is the same for equal runs."""
        return f"{self._run.manifest.scenario} {self._run.digest[:6]}"

    @cached_property
    def source(self) -> ReportInput:
        """Everything the report shows, as frozen values."""
        with open_journal(self._settings.journal_url, self._settings.home) as journal:
            return load_report(journal, self._run, self._settings)

    @cached_property
    def _frames(self) -> Frames:
        with open_journal(self._settings.journal_url, self._settings.home) as journal:
            return to_frames(journal.entries(self._run))

    @property
    def decisions(self) -> pd.DataFrame:
        """One row per intent, grant and refusal, with its reason and its cause."""
        return self._frames.decisions

    @property
    def orders(self) -> pd.DataFrame:
        """One row per order, with how far it came."""
        return self._frames.orders

    @property
    def fills(self) -> pd.DataFrame:
        """One row per execution."""
        return self._frames.fills

    @property
    def trades(self) -> pd.DataFrame:
        """One row per closed round trip, with the reasons of entry and exit."""
        return self._frames.trades

    @cached_property
    def positions(self) -> pd.DataFrame:
        """One row per change of the engine's netted position in an instrument."""
        with open_journal(self._settings.journal_url, self._settings.home) as journal:
            rows = [
                _position(entry.message)
                for entry in journal.entries(self._run, kinds=(Kind.POSITION,))
                if isinstance(entry.message, PositionUpdate)
            ]
        columns = ["time", "instrument", "side", "quantity", "average_price", "realized"]
        frame = pd.DataFrame(rows, columns=columns)
        frame["time"] = pd.to_datetime(frame["time"].astype("int64"), unit="ns", utc=True)
        return frame

    @cached_property
    def equity(self) -> pd.DataFrame:
        """Equity over time (UTC), a column per venue and currency; the extremes are kept."""
        lines = {
            f"{book.venue} {book.currency}": pd.Series(
                book.curve.value, pd.to_datetime(book.curve.ts_ns, unit="ns", utc=True)
            )
            for book in self.source.columns()
        }
        return pd.DataFrame(lines).ffill()

    def statistics(self) -> pd.DataFrame:
        """Return every statistic, a column per book; money as Decimal, None where undefined."""
        columns = {}
        for book in self.source.columns():
            groups = summarise(self.source.record(book))
            values = {}
            for one in (one for group in groups for one in group.statistics):
                value = None if isinstance(one.value, Undefined) else one.value
                late = one.unit is Unit.DURATION and value is not None
                values[one.name] = (
                    pd.Timedelta(int(value), "ns").floor("ms") if late and value else value
                )
            columns[f"{book.venue} {book.currency}"] = pd.Series(values, dtype=object)
        return pd.DataFrame(columns)

    def result(self) -> dict[str, Decimal]:
        """Return the result after costs by currency."""
        return {book.currency: book.result for book in self.source.equity.books}

    def why(self, order: str) -> pd.DataFrame:
        """Return the chain of causes behind an order: its id, a beginning of it, or ``#1``."""
        with open_journal(self._settings.journal_url, self._settings.home) as journal:
            order_id = fold(journal.entries(self._run)).find_order(order).order_id
            chain = why(journal.entries(self._run), order_id)
        rows = [(e.ts_ns, str(e.kind), e.source, describe(e)) for e in chain]
        frame = pd.DataFrame(rows, columns=["time", "kind", "source", "message"])
        frame["time"] = pd.to_datetime(frame["time"].astype("int64"), unit="ns", utc=True)
        return frame

    def figures(self) -> list[str]:
        """List the figures ``plot`` draws."""
        return list(all_charts(self.source))

    def plot(self, name: str = "equity") -> "go.Figure":
        """Return one figure of the report; raises BadInput where there is none of that name."""
        import plotly.graph_objects as go

        charts = all_charts(self.source)
        if name not in charts:
            raise BadInput(f"the run has no figure {name}; it has {', '.join(charts) or 'none'}.")
        figure = go.Figure(charts[name])
        figure.update_layout(template=go.layout.Template(templates()["light"]))
        return figure

    def report(self, path: Path | str | None = None) -> Path:
        """Write the run's report and return its path."""
        place = self._settings.reports / f"{self.run_id}.html" if path is None else Path(path)
        return write_report(self.source, place)


def _position(update: PositionUpdate) -> tuple[object, ...]:
    return (
        update.ts_ns,
        str(update.instrument_id),
        update.side.name,
        update.quantity.as_decimal(),
        Decimal(update.avg_px_open or 0),
        update.realized.as_decimal(),
    )
