"""From emissions to the frames of one socket: burst records, encryption, widths, spoiled frames.

Rule: order within a (TR, symbol) is kept; only trades share a frame, and only what came between
two sendings. A fault spoils what is sent, never what the venue remembers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scenarios.venues.kis.cipher import encrypt
from scenarios.venues.kis.exchange import Emission
from scenarios.venues.kis.faults import FaultBoard, FaultKind
from scenarios.venues.kis.personality import BOOK, STATUS, TRADE, Limits
from scenarios.venues.kis.records import Record, frame, sized
from scenarios.venues.kis.sessions import Session
from scenarios.venues.kis.witness import Witness

LEGACY_WIDTHS = {TRADE: 46, BOOK: 59}
LEGACY_NOTICE_WIDTH = 23
EXTRA_FIELDS = ("7", "")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One frame, to be sent after ``delay_s``."""

    text: str
    delay_s: float = 0


@dataclass(slots=True)
class FrameMaker:
    """Makes the frames of all sockets of one venue."""

    numbers: Limits
    notice_tr: str
    faults: FaultBoard
    witness: Witness

    def frames(self, session: Session, emissions: Iterable[Emission]) -> list[Outgoing]:
        """Return what one socket is sent of these emissions."""
        frames: list[Outgoing] = []
        mine = [each for each in emissions if (each.tr_id, each.key) in session.registered]
        for group in bursts(mine, self.numbers.burst_records):
            if group[0].tr_id == self.notice_tr:
                frames += self._notices(session, group[0])
            else:
                frames += self._market_data(group)
        session.sent_frames += len(frames)
        self.witness.frames_sent += len(frames)
        return frames

    def _width(self, tr_id: str, record: Record) -> int:
        numbers = self.numbers
        widths = {TRADE: numbers.trade_width, BOOK: numbers.book_width}
        return (widths | {STATUS: numbers.status_width}).get(tr_id, len(record))

    def _market_data(self, group: Sequence[Emission]) -> list[Outgoing]:
        tr_id, subject = group[0].tr_id, f"{group[0].tr_id} {group[0].key}"
        take = self.faults.take
        if take(FaultKind.LOST_FRAME, subject):
            return []
        records = [sized(each.record, self._width(tr_id, each.record)) for each in group]
        if take(FaultKind.WIDENED_FRAME, subject):
            records = [record + EXTRA_FIELDS for record in records]
        elif take(FaultKind.NARROWED_FRAME, subject):
            records = [sized(record, LEGACY_WIDTHS.get(tr_id, len(record))) for record in records]
        return [Outgoing(self._spoiled(frame(tr_id, records), subject))]

    def _spoiled(self, text: str, subject: str) -> str:
        if self.faults.take(FaultKind.MALFORMED_FRAME, subject):
            return text.replace("|", "^", 2)
        if self.faults.take(FaultKind.TRUNCATED_FRAME, subject):
            return text[: len(text) * 2 // 3]
        return text

    def _notices(self, session: Session, notice: Emission) -> list[Outgoing]:
        subject = f"{notice.tr_id} {notice.record[8]} {notice.record[2]} {notice.record[13]}"
        take = self.faults.take
        if take(FaultKind.LOST_NOTICE, subject):
            self.witness.notices_lost += 1
            return []
        is_old = self.numbers.notice_width == LEGACY_NOTICE_WIDTH
        record = legacy_notice(notice.record) if is_old else notice.record
        if take(FaultKind.WIDENED_FRAME, subject):
            record += EXTRA_FIELDS
        elif take(FaultKind.NARROWED_FRAME, subject):
            record = legacy_notice(notice.record)
        key, iv = session.registered[(notice.tr_id, notice.key)]
        text = f"1|{notice.tr_id}|001|{encrypt('^'.join(record), key, iv)}"
        late = take(FaultKind.LATE_NOTICE, subject)
        sent = Outgoing(self._spoiled(text, subject), late.seconds if late else 0)
        return [sent, sent] if take(FaultKind.DUPLICATE_NOTICE, subject) else [sent]


def legacy_notice(record: Record) -> Record:
    """Return the 23 fields that notices had until March 2025."""
    return (*record[:18], record[24], record[22], record[23], record[24], record[25])


def bursts(emissions: Iterable[Emission], most: int) -> list[list[Emission]]:
    """Group trades of one symbol that nothing else of that symbol came between."""
    groups: list[list[Emission]] = []
    growing: dict[str, list[Emission]] = {}
    for emission in emissions:
        group = growing.get(emission.key)
        if emission.tr_id == TRADE and group is not None and len(group) < most:
            group.append(emission)
            continue
        groups.append([emission])
        if emission.tr_id == TRADE:
            growing[emission.key] = groups[-1]
        else:
            growing.pop(emission.key, None)
    return groups
