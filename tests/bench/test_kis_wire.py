"""The bench of KIS over a connection: it runs at its smallest, and it sees what is lost or late."""

import pytest
from nautilus_trader.model import InstrumentId

from adapters.kis.frames import Decoder
from adapters.kis.reading import FrameReader
from adapters.kis.socket import Heard, Link
from bench.kis import bursts, polling
from bench.kis_market import BASE, DAY, Bursts, codes_of
from bench.kis_wire import Ear
from scenarios.venues.kis.records import book_record, frame, trade_record
from scenarios.venues.kis.symbols import Print, Symbol

SMALL = Bursts(symbols=1, rounds=1, seconds=1)


def frames_of(market: Bursts) -> list[str]:
    """Return what the server would send of the first symbol."""
    symbol = Symbol(codes_of(1)[0], "", BASE)
    texts, trades = [], []
    for event in market.tape():
        if isinstance(event, Print):
            symbol.see_print(event)
            trades.append(trade_record(symbol, event))
            continue
        symbol.book.set_levels(*symbol.levels(event))
        texts += [frame("H0STCNT0", trades)]
        texts += [frame("H0STASP0", [book_record(symbol, event.ts_ns, "0", (0, 0))])]
        trades = []
    return texts


def listened(texts: list[str]) -> Ear:
    """Return an ear that heard frames as the adapter reads them."""
    ear, decoder = Ear(SMALL), Decoder()
    code = codes_of(1)[0]
    reader = FrameReader({code: InstrumentId.from_str(f"{code}.KRX")}, lambda _: DAY)
    ear.hear(Heard(Link(is_open=True), 0, 0))
    for text in texts:
        for value in reader.read(decoder.decode(text), 1):
            ear.hear(Heard(value, 1, 1))
    return ear


def test_all_that_was_sent_is_heard():
    ear = listened(frames_of(SMALL))
    assert (ear.frames, ear.values, ear.wrong) == (SMALL.frames, 30, 0)
    assert SMALL.frames == 20


@pytest.mark.parametrize("lost", range(6))
def test_a_lost_frame_is_seen(lost):
    texts = frames_of(SMALL)
    del texts[lost]
    ear = listened(texts)
    assert ear.wrong > 0
    assert ear.frames == SMALL.frames - 1


def test_a_frame_that_came_twice_is_seen():
    texts = frames_of(SMALL)
    assert listened([texts[0], *texts]).wrong > 0


def test_bursts_are_read_whole(tmp_path):
    figures = {each.name.strip(): each for each in bursts(tmp_path, seconds=1, symbols=2)}
    assert figures["KIS frames lost or wrong in bursts"].value == 0
    assert "of 200 frames in 1 s over 5 slots" in figures["KIS frames lost or wrong in bursts"].note
    assert figures["reader behind at most"].value > 0


def test_a_market_is_polled_within_the_limit(tmp_path):
    figures = {each.name.strip(): each for each in polling(tmp_path, symbols=40, turns=1)}
    assert figures["requests over a limit"].value == 0
    assert figures["KIS refresh of 40 symbols"].value > 0
