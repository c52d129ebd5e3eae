"""Reports that no order of ours caused, and news of orders that had ended."""

import pytest
from hosted import BTC, USDT, Scripted, Stage, buy, once
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import ClientOrderId, InstrumentId, Money

from catalog.codec import decode, encode
from catalog.words import describe
from strategies.errors import InvariantBroken
from strategies.markets.facts import RAW_ONE
from strategies.messages import (
    CashCorrection,
    Gap,
    Notice,
    NoticeLevel,
    OrderNamed,
    OrderState,
    Provenance,
    Report,
    StrategySample,
)
from strategies.ports import INPUT_KINDS, Kind

OTHER = ClientOrderId("OTHER")
HOUR = 3_600_000_000_000
NEWS: list[tuple[Report, Kind, str, str]] = [
    (
        CashCorrection("BINANCE", Money.from_str("-1.5 USDT"), "interest", 9),
        Kind.CASH,
        "BINANCE",
        "BINANCE corrected cash by -1.50000000 USDT: interest",
    ),
    (
        OrderNamed(OTHER, "20261120-00950-17", 9),
        Kind.NAMED,
        "host",
        "order OTHER is 20261120-00950-17 at its venue",
    ),
    (
        Notice("KRX", NoticeLevel.WARNING, "reconnected after 3 s", 9),
        Kind.NOTICE,
        "KRX",
        "KRX (warning): reconnected after 3 s",
    ),
    (
        Gap(
            InstrumentId.from_str("005930.KRX"), "kis", Provenance.MISSING, HOUR, 2 * HOUR, "cut", 9
        ),
        Kind.GAP,
        "kis",
        "kis has a gap in 005930.KRX from 1970-01-01 10:00:00 KST to 1970-01-01 11:00:00 KST, "
        "missing: cut",
    ),
]


@pytest.mark.parametrize(("report", "kind", "source", "words"), NEWS, ids=lambda x: str(x)[:12])
def test_news_are_journalled_as_inputs_and_read_back(
    report: Report, kind: Kind, source: str, words: str
) -> None:
    asked: list[object] = []
    stage = Stage(Scripted("a", order=asked.append, fill=asked.append))
    stage.host.on_report(report)
    (entry,) = stage.entries()
    assert (entry.kind, entry.source, entry.cause_id) == (kind, source, 0)
    assert entry.workflow_id == entry.id
    assert entry.seq == stage.host.seq == 1
    assert kind in INPUT_KINDS
    assert decode(kind, encode(report)) == report
    assert describe(entry) == words
    assert asked == []
    heard = [report] if kind is Kind.CASH else []
    assert stage.purse.heard == heard


def test_what_capital_changes_on_a_correction_is_journalled_as_caused_by_it() -> None:
    stage = Stage(Scripted("a"))
    zero = Money.zero(USDT)
    stage.purse.answers[CashCorrection] = [StrategySample("BINANCE", "a", *[zero] * 4)]
    stage.host.on_report(CashCorrection("BINANCE", Money.from_str("1 USDT"), "fees", 9))
    cash, change = stage.entries()
    assert (change.kind, change.cause_id) == (Kind.CAPITAL, cash.id)


def test_the_host_says_which_orders_and_instruments_are_its_own() -> None:
    stage = Stage(Scripted("a", trade=once(buy())))
    stage.trade()
    order = stage.venue.sent[0].order_id
    assert stage.host.knows(order)
    stage.update(order, OrderState.CANCELED)
    assert stage.host.knows(order)
    assert not stage.host.knows(OTHER)
    assert stage.host.trades_in(BTC)
    assert not stage.host.trades_in(InstrumentId.from_str("XRPUSDT-PERP.BINANCE"))


ENDS = [OrderState.REJECTED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.DENIED]


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("news", ["accepted", "filled"])
def test_only_an_order_that_was_given_up_lives_again(end: OrderState, news: str) -> None:
    strategy = Scripted("a", trade=once(buy(quantity="3.000")))
    stage = Stage(strategy)
    stage.trade()
    order = stage.venue.sent[0].order_id
    stage.update(order, end)
    assert not strategy.is_pending(BTC)
    if news == "accepted":
        stage.update(order, OrderState.ACCEPTED)
    else:
        stage.fill(order, "1.000", "T1")
        assert strategy.position(BTC).net_raw == RAW_ONE
    lives = end is OrderState.REJECTED
    assert stage.host.is_open(order) == strategy.is_pending(BTC) == lives
    stage.fill(order, "2.000", "T2")
    stage.update(order, OrderState.CANCELED)
    assert not stage.host.is_open(order)
    assert not strategy.is_pending(BTC)


def test_an_end_that_was_confirmed_is_one_for_good() -> None:
    stage = Stage(Scripted("a", trade=once(buy())))
    stage.trade()
    order = stage.venue.sent[0].order_id
    for state in (OrderState.REJECTED, OrderState.CANCELED, OrderState.ACCEPTED):
        stage.update(order, state)
    assert not stage.host.is_open(order)


def test_an_acceptance_told_after_the_last_fill_opens_nothing() -> None:
    strategy = Scripted("a", trade=once(buy()))
    stage = Stage(strategy)
    stage.trade()
    order = stage.venue.sent[0].order_id
    stage.fill(order)
    stage.update(order, OrderState.ACCEPTED)
    stage.update(order, OrderState.REJECTED)
    stage.update(order, OrderState.ACCEPTED)
    assert not stage.host.is_open(order)
    assert not strategy.is_pending(BTC)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from([*OrderState, "fill", "repeat"]), max_size=25))
def test_no_order_of_news_breaks_the_host(steps: list[OrderState | str]) -> None:
    """Whatever a venue says of an order, in whatever order: every trade counts once."""
    strategy = Scripted("a", trade=once(buy(quantity="9.000")))
    stage = Stage(strategy)
    stage.trade()
    order = stage.venue.sent[0].order_id
    filled = 0
    for step in steps:
        if isinstance(step, OrderState):
            stage.update(order, step)
        elif step == "fill" and filled < 9:
            filled += 1
            stage.fill(order, "1.000", f"T{filled}")
        elif filled:
            stage.host.on_report(stage.a_fill(order, "1.000", f"T{filled}"))
    assert strategy.position(BTC).net_raw == filled * RAW_ONE
    assert stage.host.counts.fills == filled
    assert strategy.is_pending(BTC) == stage.host.is_open(order)
    if filled == 9:
        assert not stage.host.is_open(order)
        with pytest.raises(InvariantBroken, match="more than what was left"):
            stage.fill(order, "1.000", "T10")
