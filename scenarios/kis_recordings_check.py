"""Checks a recording of KIS frames before it is imported; nothing is repaired on the way."""

from collections import defaultdict
from pathlib import Path

import numpy as np
from nautilus_trader.model import QuoteTick

from adapters.kis.errors import BadRecord, ProtocolError
from adapters.kis.frames import Decoder, Frame
from adapters.kis.reading import BOOK, TRADES, FrameReader
from adapters.kis.ticks import Trades
from catalog.quality import Finding, Findings, Severity, Times
from scenarios.kis_recordings import FRAME, Clock, Kept, Shares, kept_in
from strategies.markets.sessions import ContinuousDays


def check_recording(path: Path) -> list[Finding]:
    """Return what is wrong with a recording: frames, volumes, quotes and both times."""
    checking = _Checking(path)
    for kept in kept_in(path):
        try:
            checking.message(kept)
        except (ProtocolError, ValueError) as error:
            text = str(error).rstrip(".")
            checking.found.add(Severity.ERROR, "no-frame", text, kept.line, kept.received or 0)
    return checking.finish()


class _Checking:
    """One file on its way through the rules."""

    def __init__(self, path: Path) -> None:
        self.found = Findings(str(path), "line")
        self._path = path
        self._decoder = Decoder()
        self._clock = Clock(None)
        self._today = ""
        self._reader = FrameReader(Shares(), lambda _ns: self._today)
        self._rows: dict[tuple[str, str], list[tuple[int, int, int]]] = defaultdict(list)
        self._sent: dict[tuple[str, str], int] = {}
        self._arrived = 0

    def message(self, kept: Kept) -> None:
        """Check one message. Raises ValueError or ProtocolError where it cannot be read."""
        match = FRAME.match(kept.text)
        if kept.text.startswith("{") or (match and match[1] not in (TRADES, BOOK)):
            return
        frame = self._decoder.decode(kept.text)
        if not isinstance(frame, Frame):
            self.found.add(Severity.ERROR, "no-frame", "the frame is cut short", kept.line)
            return
        day = self._clock.day_of(kept)
        if day is None and frame.layout.tr_id == BOOK:
            self.found.add(Severity.NOTE, "no-date", "a book frame without a date", kept.line)
            return
        self._today = day or ""
        venue = self._clock.venue_ns(frame, day)
        received = venue if kept.received is None else kept.received
        self._times(kept, (frame.layout.tr_id, frame.records[-1][0]), venue, received)
        for value in self._reader.read(frame, received):
            self._value(value, kept.line, venue)

    def finish(self) -> list[Finding]:
        """Judge what needs whole streams; return all findings."""
        streams = []
        for (tr_id, code), rows in self._rows.items():
            found = Findings(f"{self._path}: {code} {tr_id}", "line")
            times = Times(found, sessions=ContinuousDays(), ids_tell_loss=True)
            times.add(*np.array(rows, np.int64).T)
            times.finish()
            streams += found.all()
        return [*self.found.all(), *streams]

    def _times(self, kept: Kept, stream: tuple[str, str], venue: int, received: int) -> None:
        if kept.received is not None:
            if received < self._arrived:
                text = "received before the line above"
                self.found.add(Severity.ERROR, "receive-back", text, kept.line, received)
            self._arrived = max(self._arrived, received)
            self._rows[stream].append((kept.line, venue, received))
            return
        if venue < self._sent.get(stream, 0):
            text = f"{stream[1]}: earlier than its frame above, without a receive time"
            self.found.add(Severity.WARNING, "not-in-order", text, kept.line, venue)
        self._sent[stream] = venue

    def _value(self, value: object, line: int, venue: int) -> None:
        if isinstance(value, Trades):
            for gap in value.gaps:
                text = f"{gap.instrument_id}: the day's volume moved by {gap.missing:,} more shares"
                self.found.add(Severity.WARNING, "volume-gap", text, line, venue)
            for bad in value.refused:
                self.found.add(Severity.ERROR, "no-record", str(bad).rstrip("."), line, venue)
        elif isinstance(value, BadRecord):
            self.found.add(Severity.ERROR, "no-record", str(value).rstrip("."), line, venue)
        elif isinstance(value, QuoteTick) and value.bid_price.raw >= value.ask_price.raw:
            text = f"{value.instrument_id}: the bid is at or above the ask"
            self.found.add(Severity.ERROR, "crossed", text, line, venue)
