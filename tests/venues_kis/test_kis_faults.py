"""Faults: read from files, armed, used up by what they match, due by wall or market time."""

from dataclasses import replace

import pytest
from kis_market import CODE, WHO

from scenarios.venues.kis.exchange import Emission
from scenarios.venues.kis.faults import (
    Fault,
    FaultBoard,
    FaultKind,
    FaultSchedule,
    parse_fault,
    read_faults,
)
from scenarios.venues.kis.outgoing import FrameMaker, bursts
from scenarios.venues.kis.personality import BOOK, LIMITS, OLD_WIDTHS, TRADE, Environment
from scenarios.venues.kis.sessions import Session
from scenarios.venues.kis.witness import Witness
from strategies.errors import BadInput

NOTICE = "H0STCNI0"
TRADE_RECORD = tuple(str(i) for i in range(47))
NOTICE_RECORD = tuple(str(i) for i in range(26))


def test_a_fault_is_used_up_by_what_it_matches_oldest_first():
    board = FaultBoard()
    board.arm(Fault(FaultKind.LOST_REPLY, count=2, match="order-cash"))
    board.arm(Fault(FaultKind.LOST_REPLY, seconds=9))
    assert board.take(FaultKind.HTTP_500, "order-cash") is None
    assert board.take(FaultKind.LOST_REPLY, "/order-cash").seconds == 0
    assert board.take(FaultKind.LOST_REPLY, "/order-cash").seconds == 0
    assert board.take(FaultKind.LOST_REPLY, "/order-cash").seconds == 9
    assert board.take(FaultKind.LOST_REPLY, "/order-cash") is None
    assert board.struck == {"lost_reply": 3}


def test_a_fault_of_one_in_three_lets_two_pass_each_time():
    board = FaultBoard([Fault(FaultKind.EARLY_LIMIT, count=2, every=3)])
    struck = [board.take(FaultKind.EARLY_LIMIT) is not None for _ in range(9)]
    assert struck == [False, False, True, False, False, True, False, False, False]


def test_a_schedule_gives_each_fault_once_when_it_is_due():
    now, later = Fault(FaultKind.HTTP_500), Fault(FaultKind.VI, after_s=5)
    timed = Fault(FaultKind.HALT, at="100500")
    schedule = FaultSchedule([later, timed, now])
    assert schedule.due(0, "090000") == [now]
    assert schedule.due(4_999_999_999, "090000") == []
    assert schedule.due(5_000_000_000, "090001") == [later]
    assert schedule.due(6_000_000_000, "100500") == [timed]
    assert schedule.due(7_000_000_000, "100501") == []


def test_faults_are_read_from_a_file(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text('[[faults]]\nkind = "late_notice"\nseconds = 3\nat = "10:05:00"\n')
    assert read_faults(path) == [Fault(FaultKind.LATE_NOTICE, seconds=3, at="100500")]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("faults = 3", "needs [[faults]] tables"),
        ("nonsense", "cannot be read as TOML"),
        ("other = 1\n[[faults]]\nkind = 'vi'", "nothing else"),
        ("[[faults]]\nkind = 'earthquake'", "fault 1: 'earthquake' is no fault"),
        ("[[faults]]\ncount = 1", "fault 1: None is no fault"),
        ("[[faults]]\nkind = 'vi'\n[[faults]]\nkind = 'vi'\ncuont = 2", "fault 2: cuont = 2"),
        ("[[faults]]\nkind = 'vi'\ncount = '2'", "count = '2' is not understood"),
        ("[[faults]]\nkind = 'vi'\ncount = true", "count = True is not understood"),
        ("[[faults]]\nkind = 'vi'\ncount = 0", "count and every must be at least 1"),
        ("[[faults]]\nkind = 'vi'\nat = '25h'", "is no time like 10:05:00"),
    ],
)
def test_a_bad_file_is_refused_with_place_and_reason(tmp_path, text, part):
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_faults(path)
    assert part in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_fault_that_is_no_table_are_refused(tmp_path):
    with pytest.raises(BadInput, match="cannot be read"):
        read_faults(tmp_path / "none.toml")
    with pytest.raises(BadInput, match="is no table"):
        parse_fault(3, "fault 1")


def trade_of(number: int, code: str = CODE) -> Emission:
    return Emission(TRADE, code, (str(number), *TRADE_RECORD[1:]))


def maker(*faults: Fault) -> FrameMaker:
    numbers = LIMITS[Environment.REAL]
    return FrameMaker(numbers, NOTICE, FaultBoard(list(faults)), Witness())


def session() -> Session:
    keys = {(TRADE, CODE), (TRADE, "990002"), (BOOK, CODE), (NOTICE, WHO.hts_id)}
    return Session(1, 0, registered=dict.fromkeys(keys, ("k" * 32, "i" * 16)))


def test_trades_of_one_symbol_share_a_frame_unless_a_book_came_between():
    book = Emission(BOOK, CODE, ())
    told = [trade_of(1), trade_of(2, "990002"), trade_of(3), book, trade_of(4), trade_of(5)]
    groups = [[each.record[:1] for each in group] for group in bursts(told, 6)]
    assert groups == [[("1",), ("3",)], [("2",)], [()], [("4",), ("5",)]]
    assert [len(group) for group in bursts([trade_of(i) for i in range(8)], 6)] == [6, 2]


def test_a_socket_is_sent_what_it_registered():
    told = [trade_of(1), Emission(TRADE, "000000", TRADE_RECORD)]
    (sent,) = maker().frames(session(), told)
    assert sent.text.startswith(f"0|{TRADE}|001|1^1^2^")
    assert maker().frames(Session(2, 0), told) == []


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (FaultKind.LOST_FRAME, []),
        (FaultKind.WIDENED_FRAME, [f"0|{TRADE}|001|" + "^".join((*TRADE_RECORD, "7", ""))]),
        (FaultKind.NARROWED_FRAME, [f"0|{TRADE}|001|" + "^".join(TRADE_RECORD[:46])]),
        (FaultKind.MALFORMED_FRAME, [f"0^{TRADE}^001|" + "^".join(TRADE_RECORD)]),
    ],
)
def test_spoiled_frames(kind, texts):
    told = [Emission(TRADE, CODE, TRADE_RECORD)]
    spoiling = maker(Fault(kind, match=TRADE))
    assert [sent.text for sent in spoiling.frames(session(), told)] == texts
    assert len(spoiling.frames(session(), told)) == 1
    assert spoiling.frames(session(), told)[0].text.endswith("^46")


def test_a_truncated_frame_is_cut_off():
    told = [Emission(TRADE, CODE, TRADE_RECORD)]
    (whole,) = maker().frames(session(), told)
    (cut,) = maker(Fault(FaultKind.TRUNCATED_FRAME)).frames(session(), told)
    assert whole.text.startswith(cut.text)
    assert 0 < len(cut.text) < len(whole.text)


@pytest.mark.parametrize(
    ("kind", "delays"),
    [
        (FaultKind.LOST_NOTICE, []),
        (FaultKind.LATE_NOTICE, [4]),
        (FaultKind.DUPLICATE_NOTICE, [0, 0]),
    ],
)
def test_spoiled_notices(kind, delays):
    told = [Emission(NOTICE, WHO.hts_id, NOTICE_RECORD)]
    spoiling = maker(Fault(kind, seconds=4))
    sent = spoiling.frames(session(), told)
    assert [each.delay_s for each in sent] == delays
    assert len({each.text for each in sent}) <= 1
    assert spoiling.witness.notices_lost == (kind is FaultKind.LOST_NOTICE)


def test_a_notice_can_have_its_old_width():
    (old,) = maker(Fault(FaultKind.NARROWED_FRAME)).frames(
        session(), [Emission(NOTICE, WHO.hts_id, NOTICE_RECORD)]
    )
    (new,) = maker().frames(session(), [Emission(NOTICE, WHO.hts_id, NOTICE_RECORD)])
    assert old.text.startswith(f"1|{NOTICE}|001|")
    assert len(old.text) <= len(new.text)


def test_frames_can_be_as_old_as_a_client():
    emission = Emission(NOTICE, WHO.hts_id, NOTICE_RECORD)
    numbers = replace(LIMITS[Environment.REAL], **OLD_WIDTHS)
    old = FrameMaker(numbers, NOTICE, FaultBoard(), Witness())
    narrowed = maker(Fault(FaultKind.NARROWED_FRAME))
    assert old.frames(session(), [emission]) == narrowed.frames(session(), [emission])
    (sent,) = old.frames(session(), [trade_of(1)])
    assert len(sent.text.split("^")) == 46
