"""The decoder: every kind of message, any width, several records, damage, and the width event."""

import random

import pytest

from adapters.kis.errors import MalformedFrame, UnknownTr
from adapters.kis.fields import LAYOUTS, OLDER, layout_for
from adapters.kis.frames import Ack, Control, Decoder, Frame, Lack, NeedMore, PingPong, WidthChange
from bench import kis_frames as sent

MUTATED_FRAMES = 100_000


def decoded(message):
    return Decoder().decode(message)


# --- data --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "tr_id", "width", "count"),
    [
        (sent.TRADE, "H0STCNT0", 47, 1),
        (sent.TRADE_46, "H0STCNT0", 46, 1),
        (sent.TWO_TRADES, "H0STCNT0", 47, 2),
        (sent.TRADE_48, "H0STCNT0", 48, 1),
        (sent.TRADE.encode(), "H0STCNT0", 47, 1),
        (sent.BOOK, "H0STASP0", 63, 1),
        (sent.BOOK_59, "H0STASP0", 59, 1),
        (sent.INDEX, "H0UPCNT0", 30, 1),
        (sent.STATUS_10, "H0STMKO0", 10, 1),
        (sent.EXPECTED, "H0STANC0", 46, 1),
    ],
)
def test_data_of_any_width(message, tr_id, width, count):
    frame = decoded(message)
    assert (frame.layout.tr_id, frame.width, len(frame.records)) == (tr_id, width, count)
    assert all(len(record) >= frame.layout.least for record in frame.records)


def test_records_begin_where_the_one_before_ends():
    first, second = decoded(sent.TWO_TRADES).records
    assert [one[0] for one in (first, second)] == ["123450", "123450"]
    assert [one[13] for one in (first, second)] == ["412365", "412368"]


def test_a_trailing_separator_is_no_field():
    assert decoded(sent.TWO_TRADES + "^").width == 47


@pytest.mark.parametrize("tr_id", LAYOUTS)
def test_every_table_reads_its_known_widths_and_wider_ones(tr_id):
    layout = LAYOUTS[tr_id]
    for width in (*layout.known, layout.known[-1] + 7):
        assert layout_for(tr_id, width) is layout
    narrow = layout_for(tr_id, layout.least - 1)
    assert narrow is None or narrow.exact
    assert len(layout.columns) >= layout.least
    assert len({column.name for column in layout.columns}) == len(layout.columns)


def test_the_notice_of_before_2025_has_its_own_order_of_columns():
    old, new = OLDER["H0STCNI0", 23], LAYOUTS["H0STCNI0"]
    assert old.index("oder_prc") == 22
    assert new.index("oder_prc") == 25
    assert layout_for("H0STCNI0", 24) is None


# --- encryption --------------------------------------------------------------------------------


def keyed():
    decoder = Decoder()
    decoder.decode(sent.ACK_NOTICE)
    return decoder


@pytest.mark.parametrize(
    ("message", "text"), [(sent.RECEIPT, sent.RECEIPT_TEXT), (sent.FILL, sent.FILL_TEXT)]
)
def test_notices_are_opened_with_the_key_of_their_answer(message, text):
    frame = keyed().decode(message)
    assert frame.encrypted
    assert "^".join(frame.records[0]) == text


def test_a_notice_before_its_key_needs_more():
    need = decoded(sent.FILL)
    assert isinstance(need, NeedMore)
    assert (need.lack, need.tr_id, need.raw) == (Lack.KEY, "H0STCNI0", sent.FILL)
    assert isinstance(keyed().decode(need.raw), Frame)


def test_keys_end_with_their_connection():
    decoder = keyed()
    decoder.forget_keys()
    assert isinstance(decoder.decode(sent.FILL), NeedMore)


def test_two_encrypted_records_in_one_frame():
    text = f"{sent.FILL_TEXT}^{sent.FILL_TEXT}"
    assert len(keyed().decode(sent.sealed(text, count=2)).records) == 2


@pytest.mark.parametrize(
    "payload", ["", "AAAA", "####", sent.FILL[15:-5] + "=", sent.RECEIPT[15:-24] + sent.FILL[-24:]]
)
def test_damaged_ciphertext(payload):
    message = f"1|H0STCNI0|001|{payload}"
    if not payload:
        assert isinstance(keyed().decode(message), NeedMore)
        return
    with pytest.raises(MalformedFrame):
        keyed().decode(message)


def test_no_key_is_shown():
    control = decoded(sent.ACK_NOTICE)
    assert control.key == sent.KEY
    assert sent.KEY not in repr(control)
    assert sent.IV not in repr(control)


# --- control -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "ack"),
    [
        ("OPSP0000", Ack.REGISTERED),
        ("OPSP0001", Ack.UNREGISTERED),
        ("OPSP0002", Ack.ALREADY),
        ("OPSP0003", Ack.NOT_FOUND),
        ("OPSP0007", Ack.LATER),
        ("OPSP0008", Ack.FULL),
        ("OPSP0010", Ack.CREDENTIALS),
        ("OPSP0011", Ack.APPROVAL),
        ("OPSP8991", Ack.REFUSED),
        ("OPSP8996", Ack.IN_USE),
        ("OPSP9999", Ack.REFUSED),
        ("OPSP1234", Ack.REFUSED),
    ],
)
def test_answers(code, ack):
    control = decoded(sent.ack(code))
    assert isinstance(control, Control)
    assert (control.ack, control.tr_id, control.tr_key) == (ack, "H0STCNT0", "123450")


def test_pingpong_is_answered_with_itself():
    assert decoded(sent.PING) == PingPong(sent.PING)


@pytest.mark.parametrize(
    "message",
    [
        "",
        "0",
        "0|",
        "0|H0STC",
        "0|H0STCNT0|",
        "0|H0STCNT0|00",
        "0|H0STCNT0|001|",
        sent.PING[:-1],
        sent.ACK_NOTICE[:60],
    ],
)
def test_beginnings_need_more(message):
    assert decoded(message).lack is Lack.REST


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("2|H0STCNT0|001|x", MalformedFrame),
        ("hello", MalformedFrame),
        (b"\xff\xfe", MalformedFrame),
        ("{}", MalformedFrame),
        ("{]}", MalformedFrame),
        ('{"header":{},"body":{}}', MalformedFrame),
        ('{"header":{"tr_id":5},"body":{"msg_cd":"OPSP0000"}}', MalformedFrame),
        (sent.ACK_NOTICE.replace(sent.IV, "short"), MalformedFrame),
        ("0|H0STCNT0|000|" + sent.TRADE[15:], MalformedFrame),
        ("0|H0STCNT0|-01|" + sent.TRADE[15:], MalformedFrame),
        ("0|H0STCNT0|002|" + sent.TRADE[15:], MalformedFrame),
        ("0|H0STCNT0|001|123450^100512", MalformedFrame),
        ("00|H0STCNT0|001|" + sent.TRADE[15:], MalformedFrame),
        ("0|H0XXCNT0|001|1^2^3", UnknownTr),
        ("0|H0STCNT0|001|" + "1^" * 400_000, MalformedFrame),
    ],
)
def test_nonsense_is_a_typed_error(message, error):
    with pytest.raises(error):
        decoded(message)


# --- width changes -----------------------------------------------------------------------------


def changes(decoder, *messages):
    found = (decoder.decode(message).width_change for message in messages)
    return [(one.before, one.width, one.raw) for one in found if one is not None]


def test_an_unknown_width_is_an_event_once_with_its_raw_frame():
    found = changes(Decoder(), sent.TRADE, sent.TRADE_48, sent.TRADE_48, sent.TRADE_48)
    assert found == [(47, 48, sent.TRADE_48)]


def test_a_first_unknown_width_is_measured_against_the_newest_known():
    assert changes(Decoder(), sent.TRADE_48) == [(47, 48, sent.TRADE_48)]


def test_known_widths_begin_without_an_event_and_may_be_set():
    assert changes(Decoder(), sent.TRADE_46, sent.TRADE_46) == []
    assert changes(Decoder({"H0STCNT0": (48,)}), sent.TRADE_48) == []


def test_a_flapping_width_is_told_once_per_width():
    messages = [sent.TRADE, sent.TRADE_46] * 50
    assert [width for _, width, _ in changes(Decoder(), *messages)] == [46, 47]


# --- fuzz --------------------------------------------------------------------------------------


def test_mutated_messages_give_values_or_typed_errors():
    rng, reading = random.Random(20261117), sent.Reading()  # noqa: S311 - repeatable on purpose
    for number in range(MUTATED_FRAMES):
        message = sent.mutated(rng)
        try:
            reading.read(message)
        except Exception as error:
            raise AssertionError(f"seed 20261117, message {number}: {message!r}") from error
    assert set(reading.outcomes) == {
        "Frame", "NeedMore", "Control", "PingPong", "MalformedFrame", "UnknownTr", "BadRecord",
    }  # fmt: skip
    assert len(reading.decoder._widths) <= len(LAYOUTS)


def test_a_width_change_shows_nothing_of_the_message():
    assert "simuser1" not in repr(WidthChange("H0STCNI0", 26, 27, "0|H0STCNI0|001|simuser1^"))
