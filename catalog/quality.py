"""What is wrong with market data: findings with severity, place and time, one per rule and stream.

Rule: a finding tells the first place and how many there are alike; it changes nothing. An error
makes data wrong for trading, a warning may be legal, a note is worth knowing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalog.columns import Ints
from strategies.markets import krx_history
from strategies.markets.facts import RAW_DIGITS, TickScheme
from strategies.markets.sessions import SessionCalendar

type Mask = npt.NDArray[np.bool_]

SECOND_NS = 1_000_000_000
EARLIEST_NS = 315_532_800 * SECOND_NS
LATEST_NS = 4_102_444_800 * SECOND_NS
"""1980 and 2100: a time outside is none of a market."""

BACK_NS = SECOND_NS
"""Venue times of one stream may swap by less than this without harm."""

JITTER_NS = 1_000_000
AHEAD_NS = 100_000_000
"""A receive time before the venue's: up to 1 ms is jitter of clocks (a note), up to 100 ms a
warning, more an error."""

SILENCE_NS = 60 * SECOND_NS
SILENCE_RATIO = 100
"""Silent: more than a minute and more than a hundred times the usual distance."""

AUCTION_NS = 600 * SECOND_NS
"""A session that ends is closed by an auction of ten minutes (KRX), in which nothing is traded."""

LATE_NS = 10 * SECOND_NS
_SAMPLES = 4_096
_ROUNDING = 0.01  # of adjusted prices, against a limit that was taken from unadjusted ones


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in one file or stream.

    ``row`` is the first place (a line of a text file, else a row, from 1; 0 for the whole),
    ``ts_ns`` its time (0 where it has none), ``count`` how many rows are alike.
    """

    severity: Severity
    rule: str
    place: str
    unit: str
    row: int
    ts_ns: int
    count: int
    text: str

    def __str__(self) -> str:
        where = f", {self.unit} {self.row:,}" if self.row else ""
        at = f" at {_moment(self.ts_ns)}" if EARLIEST_NS < self.ts_ns < LATEST_NS else ""
        more = f" ({self.count:,} alike)" if self.count > 1 else ""
        return f"{self.severity}: {self.place}{where}{at}: {self.text}{more}"


class Findings:
    """Collects what is found in one place."""

    def __init__(self, place: str, unit: str = "row") -> None:
        self.place = place
        self.unit = unit
        self._found: dict[tuple[Severity, str], Finding] = {}

    def add(
        self, severity: Severity, rule: str, text: str, row: int = 0, ts_ns: int = 0, count: int = 1
    ) -> None:
        """Add a finding, or count it with the first of its rule."""
        before = self._found.get((severity, rule))
        if before is not None:
            row, ts_ns, text, count = before.row, before.ts_ns, before.text, before.count + count
        finding = Finding(severity, rule, self.place, self.unit, row, ts_ns, count, text)
        self._found[severity, rule] = finding

    def mark(
        self, severity: Severity, rule: str, text: str, wrong: Mask, rows: Ints, ts_ns: Ints
    ) -> None:
        """Add the rows a mask tells; ``text`` is of the first."""
        places = np.flatnonzero(wrong)
        if len(places):
            first = int(places[0])
            self.add(severity, rule, text, int(rows[first]), int(ts_ns[first]), len(places))

    def all(self) -> list[Finding]:
        """Return the findings, worst first."""
        order = list(Severity)
        return sorted(self._found.values(), key=lambda each: order.index(each.severity))


class Times:
    """Checks the two times of rows in order: receive time, venue time and what lies between."""

    def __init__(
        self,
        found: Findings,
        *,
        sessions: SessionCalendar | None = None,
        interval_ns: int | None = None,
        ids_tell_loss: bool = False,
    ) -> None:
        self._found = found
        self._sessions = sessions
        self._interval_ns = interval_ns
        self._ids_tell_loss = ids_tell_loss
        self._last: tuple[int, int] | None = None
        self._lags: list[Ints] = []
        self._rows = 0
        self._first_ns = 0
        self._wide: list[tuple[int, int, int]] = []
        self._ahead: list[tuple[int, int, int]] = []

    def add(self, rows: Ints, ts_event: Ints, ts_init: Ints) -> None:
        """Check the next rows."""
        if len(rows) == 0:
            return
        for name, stamps in (("venue", ts_event), ("receive", ts_init)):
            absurd = (stamps < EARLIEST_NS) | (stamps > LATEST_NS)
            text = f"a {name} time outside 1980 to 2100"
            self._found.mark(Severity.ERROR, f"absurd-{name}-time", text, absurd, rows, stamps)
        before = self._last or (int(ts_event[0]), int(ts_init[0]))
        self._last = int(ts_event[-1]), int(ts_init[-1])
        self._first_ns = self._first_ns or int(ts_init[0])
        self._rows += len(rows)
        received = np.diff(ts_init, prepend=before[1])
        back = "received before the row above"
        self._found.mark(Severity.ERROR, "receive-back", back, received < 0, rows, ts_init)
        venue = np.diff(ts_event, prepend=before[0])
        earlier = "a venue time earlier than that of the row above"
        far = venue < -BACK_NS
        self._found.mark(Severity.ERROR, "venue-back", earlier, far, rows, ts_init)
        swapped = (venue < 0) & ~far
        self._found.mark(Severity.NOTE, "venue-swapped", earlier, swapped, rows, ts_init)
        self._lag(rows, ts_event, ts_init)
        limit = self._interval_ns or SILENCE_NS
        for i in np.flatnonzero(received > limit).tolist():
            self._wide.append((int(rows[i]), int(ts_init[i]), int(received[i])))

    def finish(self) -> None:
        """Judge what needs the whole stream: skew, delay, silence and missing bars."""
        lag = int(np.median(np.concatenate(self._lags))) if self._lags else 0
        if lag < 0:
            self._found.add(
                Severity.WARNING,
                "clock-skew",
                f"the receiving clock is {-lag / SECOND_NS:.3f} s behind the venue's",
            )
        else:
            for row, ts_ns, ahead in self._ahead:
                text = f"a venue time {ahead / 1e6:.3f} ms after the row was received"
                self._found.add(_ahead(ahead), "venue-ahead", text, row, ts_ns)
        if lag > LATE_NS:
            text = f"rows were received {lag / SECOND_NS:.1f} s after the venue's time"
            self._found.add(Severity.WARNING, "late", text)
        if self._interval_ns:
            self._missing(self._interval_ns)
        elif not self._ids_tell_loss:
            self._silence()

    def _lag(self, rows: Ints, ts_event: Ints, ts_init: Ints) -> None:
        lags = ts_init - ts_event
        sane = np.abs(lags) < 86_400 * SECOND_NS
        self._lags.append(lags[sane][:: max(1, len(lags) // _SAMPLES)])
        if len(self._ahead) <= _SAMPLES:
            for i in np.flatnonzero(sane & (lags < 0))[:_SAMPLES].tolist():
                self._ahead.append((int(rows[i]), int(ts_init[i]), int(-lags[i])))

    def _silence(self) -> None:
        if self._last is None or self._rows < 2:
            return
        usual = (self._last[1] - self._first_ns) / self._rows
        for row, ts_ns, width in self._wide:
            quiet = width - self._in_auction(ts_ns - width, ts_ns)
            silent = quiet > max(SILENCE_NS, SILENCE_RATIO * usual)
            if silent and self._same_session(ts_ns - width, ts_ns):
                text = f"nothing for {width / SECOND_NS:,.0f} s before this row"
                self._found.add(Severity.WARNING, "silence", text, row, ts_ns)

    def _missing(self, interval_ns: int) -> None:
        for row, ts_ns, width in self._wide:
            missing = self._sessions_between(ts_ns - width, ts_ns, interval_ns)
            if missing:
                # A market that closes has no bar for a minute without a trade.
                daily = interval_ns >= 86_400 * SECOND_NS
                worth = daily or self._is_continuous(ts_ns)
                severity = Severity.WARNING if worth else Severity.NOTE
                bars = "bar is" if missing == 1 else "bars are"
                text = f"{missing:,} {bars} missing before this one"
                self._found.add(severity, "missing-bars", text, row, ts_ns)

    def _sessions_between(self, after_ns: int, until_ns: int, interval_ns: int) -> int:
        """Count the bars that belong between two, none where the market was closed."""
        if self._sessions is None:
            return 0
        if interval_ns < 86_400 * SECOND_NS:
            same = self._same_session(after_ns, until_ns)
            return (until_ns - after_ns) // interval_ns - 1 if same else 0
        count, at = -1, after_ns
        while (session := self._sessions.next_after(at)) and session.open_ns < until_ns:
            count, at = count + 1, session.open_ns
        return max(0, count)

    def _same_session(self, first_ns: int, second_ns: int) -> bool:
        if self._sessions is None:
            return False
        session = self._sessions.at(first_ns)
        same = session is not None and session == self._sessions.at(second_ns)
        return same or self._is_continuous(first_ns)

    def _is_continuous(self, ts_ns: int) -> bool:
        session = self._sessions.at(ts_ns) if self._sessions is not None else None
        if session is None or self._sessions is None:
            return False
        return self._sessions.at(session.close_ns + 1) is not None

    def _in_auction(self, first_ns: int, second_ns: int) -> int:
        """Return how much of a span lies in the closing auction of its session."""
        session = self._sessions.at(first_ns) if self._sessions is not None else None
        if session is None or self._is_continuous(first_ns):
            return 0
        begin = max(first_ns, session.close_ns - AUCTION_NS)
        return max(0, min(second_ns, session.close_ns) - begin)


class Ids:
    """Checks that ids go on without a gap and without a repetition."""

    def __init__(self, found: Findings, what: str, gap: Severity) -> None:
        self._found = found
        self._what = what
        self._gap = gap
        self._last: int | None = None

    def add(self, rows: Ints, ts_ns: Ints, first: Ints, last: Ints, previous: Ints | None) -> None:
        """Check ranges first..last; ``previous`` names the range before, where the venue tells."""
        if len(rows) == 0:
            return
        begin = self._last if self._last is not None else int(first[0]) - 1
        if previous is not None and self._last is None:
            begin = int(previous[0])
        before = np.concatenate([[begin], last[:-1]])
        self._last = int(last[-1])
        repeated = last <= before
        text = f"{self._what} id {{}} again, or an earlier one"
        self._mark(Severity.ERROR, "duplicate-id", text, repeated, rows, ts_ns, last)
        gap = (first > before + 1) if previous is None else (previous != before)
        text = f"{self._what} ids are missing before {{}}"
        self._mark(self._gap, "id-gap", text, gap & ~repeated, rows, ts_ns, first)

    def _mark(
        self,
        severity: Severity,
        rule: str,
        text: str,
        wrong: Mask,
        rows: Ints,
        ts_ns: Ints,
        ids: Ints,
    ) -> None:
        if wrong.any():
            shown = text.format(int(ids[np.flatnonzero(wrong)[0]]))
            self._found.mark(severity, rule, shown, wrong, rows, ts_ns)


def check_prices(
    found: Findings,
    name: str,
    prices: pa.Array,
    rows: Ints,
    ts_ns: Ints,
    *,
    least: int = 1,
    severity: Severity = Severity.ERROR,
) -> None:
    """Check that prices (engine raws) are above 0; ``least`` of 0 allows 0."""
    zero = pa.scalar(0, pa.int64()).cast(prices.type)
    wrong = mask(pc.less_equal(prices, zero) if least else pc.less(prices, zero))
    if wrong.any():
        value = prices[int(np.flatnonzero(wrong)[0])].as_py().normalize()
        text = f"{name} is {value:f}"
        found.mark(severity, f"{name}-not-positive", text, wrong, rows, ts_ns)


def check_ticks(
    found: Findings, name: str, prices: pa.Array, ticks: TickScheme, rows: Ints, ts_ns: Ints
) -> None:
    """Warn of prices off the tick grid; mid-price prints are legal."""
    distinct = pc.unique(prices)
    scale = 10**RAW_DIGITS
    raws = [(value, int(value * scale)) for value in distinct.to_pylist() if value]
    off = [value for value, raw in raws if ticks.floor_raw(raw) != raw]
    if off:
        wrong = mask(pc.is_in(prices, pa.array(off, prices.type)))
        text = f"{name} {off[0].normalize():f} lies off the tick grid"
        found.mark(Severity.WARNING, "off-grid", text, wrong, rows, ts_ns)


def check_precision(
    found: Findings, name: str, values: pa.Array, decimals: int, rows: Ints, ts_ns: Ints
) -> None:
    """Check that no value has more decimals than its instrument."""
    wrong = mask(pc.not_equal(pc.round(values, ndigits=decimals).cast(values.type), values))
    if wrong.any():
        value = values[int(np.flatnonzero(wrong)[0])].as_py().normalize()
        text = f"{name} {value:f} has more than {decimals} decimals"
        found.mark(Severity.ERROR, f"{name}-precision", text, wrong, rows, ts_ns)


def check_crossed(found: Findings, bid: pa.Array, ask: pa.Array, rows: Ints, ts_ns: Ints) -> None:
    """Check that every bid is below its ask."""
    crossed = mask(pc.greater(bid, ask))
    found.mark(Severity.ERROR, "crossed", "the bid is above the ask", crossed, rows, ts_ns)
    locked = mask(pc.equal(bid, ask))
    found.mark(Severity.WARNING, "locked", "bid and ask are equal", locked, rows, ts_ns)


def check_ranges(found: Findings, bars: Mapping[str, pa.Array], rows: Ints, ts_ns: Ints) -> None:
    """Check that a bar's high and low enclose its open and close."""
    wrong = np.zeros(len(rows), np.bool_)
    for name in ("open", "close"):
        wrong |= mask(pc.less(bars["high"], bars[name])) | mask(pc.greater(bars["low"], bars[name]))
    text = "high and low do not enclose open and close"
    found.mark(Severity.ERROR, "range", text, wrong, rows, ts_ns)


def check_volumes(found: Findings, volume: pa.Array, rows: Ints, ts_ns: Ints) -> None:
    """Note bars without volume: a halted day, or a quiet interval."""
    zero = pa.scalar(0, pa.int64()).cast(volume.type)
    text = "a bar without volume, as on a halted day"
    found.mark(Severity.NOTE, "no-volume", text, mask(pc.equal(volume, zero)), rows, ts_ns)
    negative = mask(pc.less(volume, zero))
    found.mark(Severity.ERROR, "negative-volume", "a volume below 0", negative, rows, ts_ns)


class Jumps:
    """Warns of overnight moves that no daily limit allows: a split adjusted on one side only."""

    def __init__(self, found: Findings) -> None:
        self._found = found
        self._last: float | None = None

    def add(
        self,
        opens: pa.Array,
        closes: pa.Array,
        limits: npt.NDArray[np.float64],
        rows: Ints,
        ts_ns: Ints,
    ) -> None:
        """Compare each open with the close before; ``limits`` is the largest legal move a row."""
        first = np.asarray(opens.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        last = np.asarray(closes.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        before = np.concatenate([[self._last or first[0]], last[:-1]])
        self._last = float(last[-1])
        with np.errstate(divide="ignore", invalid="ignore"):
            move = first / before - 1.0
        most = limits + _ROUNDING
        wrong = np.isfinite(move) & ((move > most) | (move < -most))
        if wrong.any():
            i = int(np.flatnonzero(wrong)[0])
            text = (
                f"opens {move[i]:+.0%} from the close before, beyond the daily limit: as around a "
                "split where only one side is adjusted"
            )
            self._found.mark(Severity.WARNING, "jump", text, wrong, rows, ts_ns)


def daily_limits(stamps: Ints) -> npt.NDArray[np.float64]:
    """Return the largest legal move of a KRX share on each day, endless where it is not known."""
    ratios = [krx_history.price_limit_ratio(krx_history.day_of(ns)) for ns in stamps.tolist()]
    return np.array([np.inf if ratio is None else float(ratio) for ratio in ratios])


def _ahead(ahead_ns: int) -> Severity:
    if ahead_ns <= JITTER_NS:
        return Severity.NOTE
    return Severity.WARNING if ahead_ns <= AHEAD_NS else Severity.ERROR


def mask(column: pa.Array) -> Mask:
    """Return a boolean column as a mask; a null is False."""
    filled = pc.fill_null(column, fill_value=False)
    if isinstance(filled, pa.ChunkedArray):
        filled = filled.combine_chunks()
    return np.asarray(filled.to_numpy(zero_copy_only=False), np.bool_)


def _moment(ts_ns: int) -> str:
    moment = datetime.fromtimestamp(ts_ns // SECOND_NS, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{ts_ns % SECOND_NS // 1_000_000:03d} UTC"
