"""Trade and book frames to engine values: numbers, times, refusals, volume gaps."""

import json
from pathlib import Path

import pytest
from nautilus_trader.model import AggressorSide, InstrumentId, Price, Quantity

from adapters.kis.errors import BadRecord
from adapters.kis.fields import LAYOUTS
from adapters.kis.frames import Decoder
from adapters.kis.ticks import Seconds, TickReader, day_ns, seoul_day, seoul_time, trade_id
from bench import kis_frames as sent

CAPTURED = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "kis"
AT = 1_794_877_512_000_000_000  # 2026-11-17 10:05:12 in Seoul, 01:05:12 UTC


def frame(message):
    return Decoder().decode(message)


def reader():
    return TickReader(sent.IDS)


def edited(message, column, value, tr_id="H0STCNT0"):
    head, fields = message[:15], message[15:].split("^")
    fields[LAYOUTS[tr_id].index(column)] = value
    return head + "^".join(fields)


# --- trades ------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [sent.TRADE, sent.TRADE_46, sent.TRADE_48])
def test_a_trade(message):
    (tick,) = reader().trades(frame(message), ts_init=7).ticks
    assert tick.instrument_id == InstrumentId.from_str("123450.KRX")
    assert (tick.price, tick.size) == (Price.from_str("50300"), Quantity.from_int(7))
    assert (tick.aggressor_side, tick.ts_event, tick.ts_init) == (AggressorSide.BUY, AT, 7)
    assert tick.trade_id == trade_id("20261117", 412345)


def test_trades_of_one_frame_in_their_order():
    batch = reader().trades(frame(sent.TWO_TRADES), 0)
    found = [(str(t.price), str(t.size), t.aggressor_side) for t in batch.ticks]
    assert found == [("50200", "20", AggressorSide.SELL), ("50300", "3", AggressorSide.BUY)]


@pytest.mark.parametrize(
    ("code", "side"),
    [
        ("1", AggressorSide.BUY),
        ("5", AggressorSide.SELL),
        ("3", AggressorSide.NO_AGGRESSOR),
        ("9", AggressorSide.NO_AGGRESSOR),
    ],
)
def test_aggressor(code, side):
    (tick,) = reader().trades(frame(edited(sent.TRADE, "ccld_dvsn", code)), 0).ticks
    assert tick.aggressor_side is side


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("mksc_shrn_iscd", "999999"),
        ("stck_prpr", "0"),
        ("stck_prpr", ""),
        ("stck_prpr", "-50300"),
        ("stck_prpr", "50_300"),
        ("stck_prpr", "50300.5"),
        ("stck_prpr", "\uff15\uff10"),
        ("stck_prpr", "9" * 30),
        ("stck_prpr", "9" * 5000),
        ("cntg_vol", "0"),
        ("cntg_vol", "500000"),
        ("acml_vol", " 412345"),
        ("stck_cntg_hour", "250000"),
        ("stck_cntg_hour", "106000"),
        ("stck_cntg_hour", "10051"),
        ("bsop_date", "20261317"),
        ("bsop_date", "2026111"),
        ("ccld_dvsn", "93"),
    ],
)
def test_an_impossible_record_is_refused_alone(column, value):
    bad = edited(sent.TRADE, column, value)
    both = "0|H0STCNT0|002|" + bad[15:] + "^" + sent.TRADE[15:]
    batch = reader().trades(frame(both), 0)
    assert len(batch.ticks) == 1
    (error,) = batch.refused
    assert isinstance(error, BadRecord)
    assert str(error).startswith("A record of H0STCNT0 for ")


def test_the_volume_check_finds_what_was_missed_and_repeated():
    reading = reader()
    assert reading.trades(frame(sent.TRADE), 0).gaps == []
    assert reading.trades(frame(sent.TWO_TRADES), 0).gaps == []
    later = edited(edited(sent.TRADE, "acml_vol", "412400"), "cntg_vol", "10")
    (gap,) = reading.trades(frame(later), 0).gaps
    assert (gap.missing, gap.after_volume) == (22, 412368)
    (again,) = reading.trades(frame(later), 0).gaps
    assert again.missing == -10
    reading.forget("123450")
    assert reading.trades(frame(sent.TWO_TRADES), 0).gaps == []


def test_a_new_day_begins_a_new_volume():
    reading = reader()
    reading.trades(frame(sent.TRADE), 0)
    assert reading.trades(frame(edited(sent.TRADE, "bsop_date", "20261118")), 0).gaps == []


def test_a_trade_frame_also_holds_the_best_quote_of_each_symbol():
    (quote,) = reader().trade_quotes(frame(sent.TWO_TRADES), 5)
    found = (str(quote.bid_price), str(quote.ask_price), str(quote.bid_size), str(quote.ask_size))
    assert found == ("50200", "50300", "1244", "827")
    one_sided = edited(sent.TRADE, "askp1", "0")
    assert reader().trade_quotes(frame(one_sided), 5) == []


# --- books -------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [sent.BOOK, sent.BOOK_59])
def test_ten_levels(message):
    depth = reader().depth(frame(message), sent.DAY, 9)
    assert [str(level.price) for level in depth.bids][::9] == ["50200", "49300"]
    assert [str(level.price) for level in depth.asks][::9] == ["50300", "51200"]
    assert [str(level.size) for level in depth.asks][:3] == ["827", "1510", "2204"]
    assert (depth.ts_event, depth.ts_init) == (AT + 1_000_000_000, 9)


def test_best_quote_of_a_book():
    quote = reader().quote(frame(sent.BOOK), sent.DAY, 9)
    assert (str(quote.bid_price), str(quote.ask_price)) == ("50200", "50300")
    assert (str(quote.bid_size), str(quote.ask_size)) == ("1244", "827")


def test_empty_levels_are_left_out():
    message = sent.BOOK
    for column in ("askp10", "askp_rsqn10", "bidp9", "bidp_rsqn9"):
        message = edited(message, column, "0", "H0STASP0")
    depth = reader().depth(frame(message), sent.DAY, 0)
    assert (len(depth.asks), len(depth.bids)) == (9, 9)


def test_a_book_at_the_limit_has_one_side_and_no_quote():
    message = sent.BOOK
    for level in range(1, 11):
        message = edited(message, f"askp{level}", "0", "H0STASP0")
        message = edited(message, f"askp_rsqn{level}", "0", "H0STASP0")
    assert reader().quote(frame(message), sent.DAY, 0) is None
    assert len(reader().depth(frame(message), sent.DAY, 0).bids) == 10


def test_an_auction_has_an_expected_price_and_no_quote():
    auction = frame(sent.AUCTION_BOOK)
    assert reader().quote(auction, sent.DAY, 0) is None
    expected = reader().expected(auction, sent.DAY)
    assert (str(expected.price), str(expected.quantity), expected.phase) == ("50250", "1234", "B")
    assert reader().expected(frame(sent.BOOK), sent.DAY) is None


@pytest.mark.parametrize(
    ("column", "value"),
    [("askp3", "5x"), ("bidp_rsqn10", ""), ("bsop_hour", "996000"), ("askp1", "9" * 12)],
)
def test_an_impossible_book_is_refused(column, value):
    with pytest.raises(BadRecord):
        reader().depth(frame(edited(sent.BOOK, column, value, "H0STASP0")), sent.DAY, 0)


# --- times -------------------------------------------------------------------------------------


def test_seoul_times():
    seconds = Seconds()
    for time, after in (("100512", 0), ("100513", 1), ("100512", 0), ("090000", -3912)):
        assert seconds.at("20261117", time) == AT + after * 1_000_000_000
    assert seoul_day(AT) == "20261117"
    assert seoul_time(AT) == "100512"
    assert seoul_time(day_ns("20261117")) == "000000"
    assert seoul_time(day_ns("20261118") - 1) == "235959"
    assert day_ns("20261117") == AT - (10 * 3600 + 5 * 60 + 12) * 1_000_000_000


def test_seconds_remember_a_bounded_number_of_minutes():
    seconds = Seconds()
    for day in range(1, 29):
        for minute in range(24 * 60):
            seconds.at(f"202602{day:02d}", f"{minute // 60:02d}{minute % 60:02d}59")
    assert len(seconds._minutes) <= 8_192


# --- real frames -------------------------------------------------------------------------------


@pytest.mark.real_data
def test_captured_frames_fit_the_tables():
    path = CAPTURED / "ws_frames_captured.jsonl"
    if not path.exists():
        pytest.skip("../shared/data/kis is absent")
    kinds = {"i": str.isdigit, "t": lambda text: len(text) == 6, "y": lambda text: len(text) == 8}
    for line in path.read_text().splitlines():
        row = json.loads(line)
        text = row["frame"]
        text = text if "|" in text else f"0|{row['tr_id']}|{row['count']:03d}|{text}"
        decoded = frame(text)
        assert (decoded.width, len(decoded.records)) == (row["fields_per_record"], row["count"])
        reading = TickReader({decoded.records[0][0]: InstrumentId.from_str("1.KRX")})
        if row["tr_id"] == "H0STCNT0":
            batch = reading.trades(decoded, 0)
            assert (len(batch.ticks), batch.gaps, batch.refused) == (row["count"], [], [])
        else:
            depth = reading.depth(decoded, "20260922", 0)
            assert depth.bids[0].price < depth.asks[0].price
        for record in decoded.records:
            for column, value in zip(decoded.layout.columns, record, strict=False):
                assert not value or kinds.get(column.kind, bool)(value), (column, value)
