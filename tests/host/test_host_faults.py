"""A decider that raises or returns something else: its name, the handler and the place are said."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hosted import BTC, ETH, Purse, Scripted, Stage, buy, once
from nautilus_trader.model import OrderSide, PositionSide
from places import PLACES

from strategies.errors import BadInput, DeciderFailed
from strategies.host import core
from strategies.messages import (
    Alert,
    Cancel,
    Enter,
    Exit,
    Intent,
    OrderState,
    Target,
    Wake,
)
from strategies.ports import Kind


def _boom(_value: object) -> None:
    raise KeyError("lost")


@pytest.mark.parametrize("handler", PLACES)
def test_an_exception_in_any_handler_is_its_strategys_by_name(handler: str) -> None:
    trade = None if handler == "trade" else once(buy())
    scripts = {handler: _boom} | ({} if trade is None else {"trade": trade})
    stage = Stage(Scripted("a"), Scripted("b", **scripts), Scripted("c"))
    with pytest.raises(DeciderFailed) as caught:
        PLACES[handler](stage)
    text = str(caught.value)
    assert text.startswith("strategy b raised KeyError: 'lost' (hosted.py, line ")
    assert f"in on_{handler} on " in text
    assert "--debug" in text
    assert "\n" not in text
    assert isinstance(caught.value.__cause__, KeyError)


def test_an_exception_within_a_report_that_came_at_once_names_the_reports_owner() -> None:
    stage = Stage(Scripted("a", trade=once(buy()), order=_boom), Scripted("z"))
    stage.venue.answer = lambda command: stage.update(command.order_id, OrderState.ACCEPTED)
    with pytest.raises(DeciderFailed, match=r"^strategy a raised KeyError: .* in on_order on"):
        stage.trade()


def test_our_own_defect_is_not_blamed_on_a_strategy() -> None:
    class Broken(Purse):
        def on_order(self, update: object) -> list[Intent]:
            raise ZeroDivisionError

    stage = Stage(Scripted("a", trade=once(buy())), purse=Broken())
    stage.venue.answer = lambda command: stage.update(command.order_id, OrderState.ACCEPTED)
    with pytest.raises(ZeroDivisionError):
        stage.trade()


@pytest.mark.parametrize("error", [SystemExit(0), BadInput("mine"), RecursionError("deep")])
def test_a_strategy_cannot_end_the_program_or_speak_as_onetape(error: BaseException) -> None:
    def leave(_event: object) -> None:
        raise error

    name = type(error).__name__
    for handler in ("trade", "start"):
        stage = Stage(Scripted("a", **{handler: leave}))
        with pytest.raises(DeciderFailed, match=f"^strategy a raised {name}"):
            PLACES[handler](stage)


def test_the_users_interrupt_stays_the_users() -> None:
    def interrupted(_event: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stage(Scripted("a", trade=interrupted)).trade()


def test_an_error_over_many_lines_with_half_a_character_is_one_storable_line() -> None:
    def loud(_event: object) -> None:
        raise ValueError("one\ntwo \ud800 " + "x" * 10_000)

    with pytest.raises(DeciderFailed) as caught:
        Stage(Scripted("a", trade=loud)).trade()
    text = str(caught.value)
    text.encode()
    assert "one two \\ud800 xxx" in text
    assert len(text) < 1_000


def _generator(*intents: Any, error: Exception | None = None) -> Iterator[Any]:
    yield from intents
    if error is not None:
        raise error


@pytest.mark.parametrize("made", [list, tuple, set, frozenset, _generator, iter, dict.fromkeys])
def test_intents_may_come_in_anything_that_can_be_read_once(made: Any) -> None:
    answer = made(Alert("a")) if made is _generator else made([Alert("a")])
    for handler in ("start", "trade"):
        stage = Stage(Scripted("a", **{handler: lambda _event, answer=answer: answer}))
        PLACES[handler](stage)
        if handler == "start" and made not in (_generator, iter):
            assert [e.message for e in stage.entries(Kind.INTENT)] == [Alert("a")]


@pytest.mark.parametrize("handler", PLACES)
def test_a_generator_that_raises_while_it_is_read_names_its_strategy(handler: str) -> None:
    scripts = {"trade": once(buy())} | {
        handler: lambda _: _generator(Alert("first"), error=ValueError("half way"))
    }
    stage = Stage(Scripted("a"), Scripted("b", **scripts))
    with pytest.raises(DeciderFailed, match=r"^strategy b raised ValueError: half way") as caught:
        PLACES[handler](stage)
    assert "0x" not in str(caught.value)  # no address: the same text in every process


@pytest.mark.parametrize("answer", [Alert("alone"), 7, True, object])
def test_an_answer_that_is_no_list_is_said(answer: Any) -> None:
    stage = Stage(Scripted("a", trade=lambda _: answer))
    with pytest.raises(DeciderFailed, match="return a list of intents, or None"):
        stage.trade()


@pytest.mark.parametrize("answer", [None, (), [], 0, "", set()])
def test_nothing_is_nothing(answer: Any) -> None:
    stage = Stage(Scripted("a", trade=lambda _: answer, start=lambda _: answer or None))
    stage.start()
    stage.trade()
    assert stage.entries(Kind.INTENT) == []


WRONG: list[tuple[Any, str]] = [
    (None, "not an intent"),
    ("buy", "not an intent"),
    ({"side": "BUY"}, "not an intent"),
    (Alert, "not an intent"),
    (Alert("half \ud83d"), "half a character"),
    (Alert(None), "its reason is None of type NoneType; give text"),  # type: ignore[arg-type]  # on purpose
    (Wake("w\udc00", 1, "r"), "half a character"),
    (Wake("", 1, "r"), "its name is empty"),
    (Wake("w", -1, "r"), "is no time"),
    (Wake("w", 1 << 63, "r"), "is no time"),
    (Wake("w", 1.5, "r"), "its at_ns is 1.5 of type float"),  # type: ignore[arg-type]  # on purpose
    (Cancel("BTC", "r"), "its instrument_id is 'BTC' of type str"),  # type: ignore[arg-type]  # on purpose
    (Cancel(BTC, "r", "id"), "its order_id is 'id' of type str"),  # type: ignore[arg-type]  # on purpose
    (buy(ETH), "is not an instrument of this strategy"),
    (Enter(BTC, PositionSide.LONG, "r"), "its side is"),  # type: ignore[arg-type]  # on purpose
    (Enter(BTC, OrderSide.NO_ORDER_SIDE, "r"), "its side is"),
    (Enter(BTC, "BUY", "r"), "its side is 'BUY'"),  # type: ignore[arg-type]  # on purpose
    (Target(BTC, OrderSide.BUY, "r"), "its side is"),  # type: ignore[arg-type]  # on purpose
    (Exit(BTC, "r", Decimal(1)), "its quantity is Decimal('1') of type Decimal"),  # type: ignore[arg-type]  # on purpose
    (Enter(BTC, OrderSide.BUY, "r", None, 1.0), "its price is 1.0 of type float"),  # type: ignore[arg-type]  # on purpose
]


@pytest.mark.parametrize(("intent", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_is_not_an_intent_fails_its_strategy(intent: Any, words: str) -> None:
    for handler in ("start", "trade"):
        stage = Stage(Scripted("a", only=[BTC], **{handler: lambda _: [Alert("good"), intent]}))
        with pytest.raises(DeciderFailed) as caught:
            PLACES[handler](stage)
        text = str(caught.value)
        assert text.startswith("strategy a returned ")
        assert words in text
        text.encode()
        assert stage.entries(Kind.INTENT) == []  # all of an answer, or nothing of it


def test_a_strategy_that_answers_every_refusal_is_stopped() -> None:
    stage = Stage(
        Scripted("stubborn", trade=once(buy()), refusal=lambda _: [buy()]),
        purse=Purse(closed=True),
    )
    with pytest.raises(DeciderFailed, match="stubborn answers every refusal with a new request"):
        stage.trade()
    assert stage.host.counts.refusals == core.FOLLOW_UPS_MAX + 1


def test_an_answer_without_an_end_is_stopped() -> None:
    def endless(_event: object) -> Iterator[Intent]:
        while True:
            yield Alert("more")

    with pytest.raises(DeciderFailed, match="more than 100,000 intents at delivery 1; end its"):
        Stage(Scripted("a", trade=endless)).trade()


def test_ids_of_one_delivery_never_reach_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "MESSAGES_PER_DELIVERY_MAX", 16)
    with pytest.raises(DeciderFailed, match="more than 16 things at delivery 1"):
        Stage(Scripted("a", trade=once(*[Alert("x")] * 16))).trade()
    stage = Stage(Scripted("a", trade=once(*[Alert("x")] * 15)))
    stage.trade()
    assert len(stage.entries(Kind.INTENT)) == 15
