"""Every message round-trips exactly, and equal messages have equal bytes."""

import dataclasses
import types
import typing
from enum import StrEnum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nautilus_trader.model import (
    ClientOrderId,
    Currency,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderSide,
    PositionSide,
    Price,
    Quantity,
)

from catalog.codec import KIND_TYPES, MESSAGES, PARTS, TEXT_KINDS, decode, encode
from strategies.messages import Enter, Fill, Started
from strategies.ports import Kind

IDENT = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)


def raws(precision: int, low: int, high: int) -> st.SearchStrategy[int]:
    """Raw integers that are whole units of this precision."""
    step = 10 ** (16 - precision)
    return st.integers(low // step, high // step).map(lambda units: units * step)


PRECISION = st.integers(0, 16)
LARGEST = 17_000_000_000 * 10**16
VALUES: dict[object, st.SearchStrategy[object]] = {
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    str: TEXT,
    type(None): st.none(),
    ClientOrderId: IDENT.map(ClientOrderId),
    InstrumentId: st.builds(lambda a, b: InstrumentId.from_str(f"{a}.{b}"), IDENT, IDENT),
    Price: PRECISION.flatmap(
        lambda p: raws(p, -LARGEST, LARGEST).map(lambda raw: Price.from_raw(raw, p))
    ),
    Quantity: PRECISION.flatmap(
        lambda p: raws(p, 0, LARGEST).map(lambda raw: Quantity.from_raw(raw, p))
    ),
    Money: st.sampled_from(["KRW", "USDT", "BTC", "USD"])
    .map(Currency.from_str)
    .flatmap(
        lambda c: raws(c.precision, -LARGEST, LARGEST).map(lambda raw: Money.from_raw(raw, c))
    ),
    OrderSide: st.sampled_from(list(OrderSide.variants())),
    PositionSide: st.sampled_from(list(PositionSide.variants())),
    LiquiditySide: st.sampled_from(list(LiquiditySide.variants())),
}


def values_of(kind: object) -> st.SearchStrategy[object]:
    if isinstance(kind, types.UnionType):
        return st.one_of(*(values_of(part) for part in typing.get_args(kind)))
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return st.sampled_from(list(kind))
    if kind in PARTS:
        return messages_of(kind)
    return VALUES[kind]


def messages_of(cls: type) -> st.SearchStrategy[object]:
    hints = typing.get_type_hints(cls)
    return st.builds(
        cls, **{field.name: values_of(hints[field.name]) for field in dataclasses.fields(cls)}
    )


PAIRS = [
    (kind, cls)
    for kind, classes in KIND_TYPES.items()
    for cls in sorted(classes, key=lambda one: one.__name__)  # the same order in every process
]


def same(a: object, b: object) -> bool:
    """Equal, field by field, with the same precision (engine values compare by value alone)."""
    if type(a) is not type(b):
        return False
    names = [field.name for field in dataclasses.fields(a)]  # type: ignore[arg-type]  # messages
    pairs = [(getattr(a, name), getattr(b, name)) for name in names]
    return all(x == y and type(x) is type(y) and str(x) == str(y) for x, y in pairs)


@pytest.mark.parametrize(("kind", "cls"), PAIRS, ids=lambda x: getattr(x, "__name__", str(x)))
def test_every_message_round_trips(kind: Kind, cls: type) -> None:
    @settings(max_examples=25, deadline=None)
    @given(messages_of(cls))
    def check(message: object) -> None:
        payload = encode(message)
        again = decode(kind, payload)
        assert same(message, again)
        assert encode(again) == payload

    check()


def test_every_message_class_has_a_kind() -> None:
    assert {cls for _, cls in PAIRS} == set(MESSAGES)
    assert set(KIND_TYPES) | TEXT_KINDS == set(Kind)


@given(TEXT)
def test_market_text_round_trips(text: str) -> None:
    assert decode(Kind.MARKET, encode(text)) == text


def test_bytes_are_the_documented_ones() -> None:
    fill = Fill(
        "sma",
        ClientOrderId("OT1"),
        InstrumentId.from_str("005930.KRX"),
        "T1",
        OrderSide.SELL,
        Quantity.from_str("3"),
        Price.from_str("70100.50"),
        Money.from_str("126 KRW"),
        LiquiditySide.MAKER,
        5,
    )
    assert encode(fill) == (
        b'{"type":"Fill","strategy":"sma","order_id":"OT1","instrument_id":"005930.KRX",'
        b'"trade_id":"T1","side":"SELL","quantity":"3","price":"70100.50",'
        b'"commission":"126 KRW","liquidity":"MAKER","ts_ns":5}'
    )


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (Kind.FILL, b'{"type":"Started","ts_ns":1}'),
        (Kind.STARTED, b'{"ts_ns":1}'),
        (Kind.STARTED, b'{"type":"Started","ts_ns":"x"}'),
        (Kind.STARTED, b'{"type":"Started","ts_ns":1'),
        (Kind.STARTED, b""),
        (Kind.INTENT, b'{"type":"Enter","instrument_id":"A.B","side":"UP","reason":""}'),
        (Kind.INTENT, b'{"type":"Enter","instrument_id":"AB","side":"BUY","reason":""}'),
    ],
)
def test_foreign_bytes_are_refused(kind: Kind, payload: bytes) -> None:
    with pytest.raises(ValueError, match="not a message of kind"):
        decode(kind, payload)


def test_only_messages_are_encoded() -> None:
    with pytest.raises(TypeError, match="float is not a message"):
        encode(1.5)


def test_equal_messages_have_equal_bytes() -> None:
    a, b = (
        Enter(InstrumentId.from_str("A.KRX"), OrderSide.BUY, "왜", price=Price.from_str("1.50"))
        for _ in range(2)
    )
    assert encode(a) == encode(b)
    assert encode(Started(1)) != encode(Started(2))
