"""Canonical JSON of every message: the bytes the journal hashes and stores, and the way back.

Rule: equal messages have equal bytes on every machine, and decoding them gives equal messages.
The class name stands first, as "type"; engine values are their exact text, enums their name.
"""

from collections.abc import Callable
from dataclasses import is_dataclass
from functools import lru_cache
from typing import Any, TypeAliasType, get_args

import msgspec
from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    LiquiditySide,
    Money,
    OrderSide,
    PositionSide,
    Price,
    Quantity,
)

from strategies import messages
from strategies.ports import Kind

_FROM_TEXT: dict[type, Callable[[str], Any]] = {
    ClientOrderId: ClientOrderId,
    InstrumentId: lru_cache(65_536)(InstrumentId.from_str),
    Price: Price.from_str,
    Quantity: Quantity.from_str,
    Money: Money.from_str,
    OrderSide: {str(side): side for side in OrderSide.variants()}.__getitem__,
    PositionSide: {str(side): side for side in PositionSide.variants()}.__getitem__,
    LiquiditySide: {str(side): side for side in LiquiditySide.variants()}.__getitem__,
}


def _value_from_text(kind: type, text: str) -> object:
    return _FROM_TEXT[kind](text)


def _members(union: object) -> frozenset[type]:
    """Return the classes of a (nested) union alias of strategies.messages."""
    if isinstance(union, TypeAliasType):
        union = union.__value__
    if isinstance(union, type):
        return frozenset({union})
    return frozenset().union(*(_members(part) for part in get_args(union)))


PARTS: frozenset[type] = frozenset({messages.Sizing})
"""Values that stand only inside messages."""

MESSAGES: tuple[type, ...] = tuple(
    value
    for value in vars(messages).values()
    if isinstance(value, type) and is_dataclass(value) and value not in PARTS
)
"""Every message class, in the order of its definition."""

TEXT_KINDS = frozenset({Kind.MARKET, Kind.ENDED})
"""Kinds whose message is plain text."""

KIND_TYPES: dict[Kind, frozenset[type]] = {
    Kind.STARTED: _members(messages.Started),
    Kind.TIMER: _members(messages.TimerFired),
    Kind.ORDER: _members(messages.OrderUpdate),
    Kind.FILL: _members(messages.Fill),
    Kind.POSITION: _members(messages.PositionUpdate),
    Kind.REPEAT: _members(messages.RepeatedFill),
    Kind.KILL: _members(messages.KillSwitch),
    Kind.CASH: _members(messages.CashCorrection),
    Kind.NAMED: _members(messages.OrderNamed),
    Kind.NOTICE: _members(messages.Notice),
    Kind.GAP: _members(messages.Gap),
    Kind.INTENT: _members(messages.Intent) | {messages.Revoke, messages.Flatten},
    Kind.GRANT: _members(messages.Grant),
    Kind.REFUSAL: _members(messages.Refusal),
    Kind.COMMAND: _members(messages.Command),
    Kind.CAPITAL: _members(messages.CapitalState),
    Kind.FAULT: _members(messages.StrategyStopped),
}
"""What an entry of each other kind may hold."""

_TAG = b'{"type":"'
_HEADS: dict[type, bytes] = {cls: _TAG + cls.__name__.encode() + b'",' for cls in MESSAGES}
_encode_fields = msgspec.json.Encoder(enc_hook=str).encode
_DECODERS: dict[tuple[Kind, bytes], msgspec.json.Decoder[Any]] = {
    (kind, cls.__name__.encode()): msgspec.json.Decoder(cls, dec_hook=_value_from_text)
    for kind, classes in KIND_TYPES.items()
    for cls in classes
}


def encode(message: object) -> bytes:
    """Return a message's canonical bytes: JSON of a message class, UTF-8 of plain text.

    Raises TypeError for anything else.
    """
    head = _HEADS.get(type(message))
    if head is not None:
        return head + _encode_fields(message)[1:]
    if isinstance(message, str):
        return message.encode()
    raise TypeError(f"{type(message).__name__} is not a message of strategies.messages")


def decode(kind: Kind, payload: bytes) -> Any:
    """Return the message of an entry of this kind, equal to the one that was encoded.

    Raises ValueError where the bytes are not such a message.
    """
    if kind in TEXT_KINDS:
        return payload.decode()
    tag = payload[len(_TAG) : payload.find(b'"', len(_TAG))]
    decoder = _DECODERS.get((kind, tag)) if payload.startswith(_TAG) else None
    if decoder is None:
        raise ValueError(f"not a message of kind {kind}: {payload[:60]!r}")
    try:
        return decoder.decode(payload)
    except (msgspec.MsgspecError, KeyError) as error:
        raise ValueError(f"not a message of kind {kind}: {error}") from error
