"""News of KIS's clients as messages of the run: all kinds, floods thinned out, and no secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nautilus_trader.model import InstrumentId, Money

from adapters.kis.data_events import DataEvent, Doubled, GapFound, NotServed, Observed, SlotsShort
from adapters.kis.errors import BadRecord, MalformedFrame
from adapters.kis.fields import LAYOUTS, NOTICE_TRS
from adapters.kis.frames import Ack, Decoder, Frame, WidthChange
from adapters.kis.order_events import Foreign
from adapters.kis.reading import FrameReader
from adapters.kis.reconciliation import CashCheck, Reconciled
from adapters.kis.registrations import Acked, Stream
from adapters.kis.socket import Link, Unreadable
from scenarios.live_messages import ALL_UP_TO, ONE_IN, KisMessages
from strategies.messages import CashCorrection, Gap, Notice, NoticeLevel, Provenance

NOW_NS = 1_773_014_400_000_000_000
HTS_ID, ACCOUNT = "simuser1", "9900000101"
SHARE = InstrumentId.from_str("990001.KRX")
RAW = f"0|H0STCNI0|001|{HTS_ID}^{ACCOUNT}^0000010001^^02^"


class Told:
    """What was journalled and what was said."""

    def __init__(self) -> None:
        self.reports: list[object] = []
        self.said: list[str] = []
        self.messages = KisMessages(self.reports.append, lambda: NOW_NS, self.said.append)

    @property
    def texts(self) -> list[str]:
        return [each.text for each in self.reports if isinstance(each, Notice)] + self.said


EVENTS: dict[str, tuple[DataEvent, NoticeLevel, str]] = {
    "width": (
        WidthChange("H0STCNI0", 26, 27, RAW),
        NoticeLevel.WARNING,
        "H0STCNI0 now hold 27 fields a record instead of 26",
    ),
    "open": (Link(is_open=True), NoticeLevel.INFO, "the connection is open"),
    "lost": (Link(is_open=False, why="it was cut"), NoticeLevel.WARNING, "ended: it was cut"),
    "held": (
        Acked(Stream("H0STCNI0", HTS_ID), held=True, ack=Ack.REGISTERED, code="OPSP0000"),
        NoticeLevel.INFO,
        "Stream(H0STCNI0, ***) is observed (registered, OPSP0000)",
    ),
    "refused": (
        Acked(Stream("H0STCNT0", "990001"), held=False, ack=Ack.REFUSED, code="OPSP0003"),
        NoticeLevel.INFO,
        "Stream(H0STCNT0, 990001) is not observed (refused, OPSP0003)",
    ),
    "short": (
        SlotsShort((Stream("H0STCNT0", "990001"), Stream("H0STCNI0", HTS_ID)), 41),
        NoticeLevel.FAULT,
        "registers 41 streams; these wait for a slot: Stream(H0STCNT0, 990001), Stream(H0STCNI0",
    ),
    "not served": (
        NotServed("990001.KRX-2-DAY-LAST-EXTERNAL", "nobody folds them"),
        NoticeLevel.WARNING,
        "is not served: nobody folds them",
    ),
    "doubled": (Doubled(SHARE, "7"), NoticeLevel.INFO, "trade 7 of 990001.KRX came twice"),
    "unreadable": (
        Unreadable(MalformedFrame("A frame of H0STCNI0 has no readable head."), RAW),
        NoticeLevel.WARNING,
        "a message cannot be read: A frame of H0STCNI0",
    ),
    "bad record": (
        BadRecord("A record of H0STCNT0: price is 'x'."),
        NoticeLevel.WARNING,
        "a record cannot be read: A record of H0STCNT0",
    ),
}


def test_every_kind_of_event_is_tried() -> None:
    kinds = DataEvent.__value__.__args__
    assert {type(event) for event, _, _ in EVENTS.values()} == set(kinds)


@pytest.mark.parametrize(("event", "level", "text"), EVENTS.values(), ids=EVENTS)
def test_an_event_becomes_a_notice(event: DataEvent, level: NoticeLevel, text: str) -> None:
    told = Told()
    told.messages.on_event(event)
    (notice,) = told.reports
    assert isinstance(notice, Notice)
    assert (notice.level, notice.ts_ns) == (level, NOW_NS)
    assert text in notice.text
    assert HTS_ID not in notice.text
    assert ACCOUNT not in notice.text
    assert "\n" not in notice.text


def test_only_a_connection_lost_or_found_again_is_said_aloud() -> None:
    told = Told()
    for event, _, _ in EVENTS.values():
        if not isinstance(event, Link):
            told.messages.on_event(event)
    told.messages.on_event(Link(is_open=True))
    assert told.said == []
    told.messages.on_event(Link(is_open=False, why="it was cut"))
    told.messages.on_event(Link(is_open=True))
    assert told.said == ["the connection ended: it was cut", "the connection is open"]


def test_a_flood_of_one_kind_is_thinned_out_and_counted() -> None:
    told = Told()
    count = 3 * ONE_IN + 5
    for number in range(count):
        told.messages.on_event(Doubled(SHARE, str(number)))
    told.messages.on_event(EVENTS["lost"][0])
    assert len(told.reports) == ALL_UP_TO + 3 + 1
    assert "(3,000 of this kind so far)" in told.reports[-2].text
    assert "so far" not in told.reports[ALL_UP_TO - 1].text
    assert "so far" not in told.reports[-1].text


@pytest.mark.parametrize("observed", Observed)
@pytest.mark.parametrize(("missing", "words"), [(None, ""), (0, ", 0 shares"), (7, ", 7 shares")])
def test_a_gap_says_what_when_and_how_much(observed, missing, words) -> None:
    told = Told()
    for provenance in (Provenance.MISSING, Provenance.REPAIRED):
        told.messages.on_gap(GapFound(SHARE, 5, 9, missing, provenance, observed))
    gap, repaired = told.reports
    assert isinstance(gap, Gap)
    assert (gap.instrument_id, gap.since_ns, gap.until_ns) == (SHARE, 5, 9)
    assert (gap.provenance, repaired.provenance) == (Provenance.MISSING, Provenance.REPAIRED)
    assert gap.text.startswith(f"{observed} did not stream{words}")


def test_an_order_of_others_and_a_mismatch_are_said_aloud() -> None:
    told = Told()
    told.messages.on_foreign(Foreign("0000010001", "00950", "990001"))
    told.messages.on_mismatch("O-1", "KIS lists 3 shares as filled")
    assert [each.level for each in told.reports] == [NoticeLevel.WARNING, NoticeLevel.FAULT]
    assert told.said == [each.text for each in told.reports]
    assert "left alone" in told.said[0]


# --- money ---


def found(difference_krw: int, *mismatches: str, settled: bool = True) -> Reconciled:
    cash = CashCheck(1_000_000, 1_000_000 + difference_krw, 0, 0, 0, None)
    return Reconciled(NOW_NS, (), (), cash, mismatches, settled)


def corrections(told: Told) -> list[Money]:
    return [each.amount for each in told.reports if isinstance(each, CashCorrection)]


@given(st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=12))
def test_corrections_add_up_to_the_last_difference(differences: list[int]) -> None:
    told = Told()
    for each in differences:
        told.messages.on_reconciled(found(each))
    total = sum(int(each.as_decimal()) for each in corrections(told))
    assert total == differences[-1]
    assert all(each.raw for each in corrections(told))
    assert told.said == []


def test_what_is_not_settled_or_not_explained_corrects_nothing() -> None:
    told = Told()
    told.messages.on_reconciled(found(-70, settled=False))
    told.messages.on_reconciled(found(-70, "cash is -70 won beside what the fills explain"))
    assert corrections(told) == []
    told.messages.on_reconciled(found(-70))
    assert corrections(told) == [Money.from_str("-70 KRW")]


def test_a_mismatch_is_told_once_while_it_stays_and_again_when_it_comes_back() -> None:
    told = Told()
    for result in (found(0, "A"), found(0, "A", "B"), found(0, settled=False), found(0, "B")):
        told.messages.on_reconciled(result)
    assert told.said == ["A", "B"]
    assert told.messages.mismatches == ["B"]
    told.messages.on_reconciled(found(0))
    told.messages.on_reconciled(found(0, "A"))
    assert told.said == ["A", "B", "A"]


# --- secrets ---


def unreadable_text(message: str) -> list[str]:
    """Return the notices that one message of the wire ends in."""
    told = Told()
    try:
        frame = Decoder().decode(message)
    except MalformedFrame as error:
        told.messages.on_event(Unreadable(error, message))
        return told.texts
    if not isinstance(frame, Frame):
        return []
    if frame.width_change is not None:
        told.messages.on_event(frame.width_change)
    for value in FrameReader({}, lambda _: "20260309").read(frame, NOW_NS):
        if isinstance(value, BadRecord):
            told.messages.on_event(value)
    return told.texts


NOTICE_FIELDS = len(LAYOUTS["H0STCNI0"].columns)
SECRETS = ("secretid1", "88776655")
"""None of their letters runs of four stand in any sentence of ours."""


@given(
    st.sampled_from(["0|", "00|", "0", "", "2|", "{", '{"']),
    st.sampled_from([*sorted(NOTICE_TRS), "H0STCNT0", "H0STXXX0", ""]),
    st.sampled_from(["|001|", "|0x1|", "|", "|002|", "|9999|", "|001"]),
    st.permutations([*SECRETS, "0000010001", "02", "0", "00", "990001", "1", "2", "4", "N"]),
    st.integers(0, NOTICE_FIELDS + 3),
)
def test_no_message_that_cannot_be_read_tells_who_is_in_it(flag, tr_id, count, fields, width):
    payload = "^".join((fields * 4)[:width])
    for text in unreadable_text(f"{flag}{tr_id}{count}{payload}"):
        for secret in SECRETS:
            assert secret[:5] not in text
            assert secret[-5:] not in text


@pytest.mark.parametrize("at", range(NOTICE_FIELDS))
def test_a_notice_whose_fields_moved_is_refused_without_its_account(at: int) -> None:
    fields = ["1"] * NOTICE_FIELDS
    fields[at] = f"{SECRETS[1]}-01"
    texts = unreadable_text(f"0|H0STCNI0|001|{'^'.join(fields)}")
    assert all(SECRETS[1] not in text for text in texts)
