"""What makes a returned value an intent the host can carry out.

Rule: looks at form only (types, text that can be stored, whole times); whether an order is
allowed is the capital manager's to say.
"""

from collections.abc import Container
from typing import get_args

from nautilus_trader.model import (
    ClientOrderId,
    InstrumentId,
    OrderSide,
    PositionSide,
    Price,
    Quantity,
)

from strategies.messages import (
    Alert,
    Cancel,
    Enter,
    Exit,
    Intent,
    MoneyIntent,
    Sizing,
    Target,
    Wake,
)

KINDS = (*get_args(MoneyIntent.__value__), Cancel, Wake, Alert)
TS_NS_MAX = (1 << 63) - 1


def wrong_with(intent: Intent, instruments: Container[InstrumentId] | None) -> str | None:
    """Return what is wrong with a returned value, in words; None where it is an intent.

    ``instruments`` are the ones its owner may trade; None: any.
    """
    if not isinstance(intent, KINDS):
        return "it is not an intent; return Enter, Exit, Target, Cancel, Wake or Alert"
    wrong = _wrong_text("reason", intent.reason)
    if wrong is not None or isinstance(intent, Alert):
        return wrong
    if isinstance(intent, Wake):
        return _wrong_wake(intent)
    wrong = _wrong_instrument(intent.instrument_id, instruments)
    if wrong is None and isinstance(intent, Cancel):
        wrong = _wrong_part("order_id", intent.order_id, ClientOrderId)
    elif wrong is None and not isinstance(intent, Cancel):
        wrong = _wrong_money(intent)
    return wrong


def _wrong_instrument(value: object, instruments: Container[InstrumentId] | None) -> str | None:
    if not isinstance(value, InstrumentId):
        return f"its instrument_id is {_kind(value)}; give an InstrumentId"
    if instruments is not None and value not in instruments:
        return (
            f"{value} is not an instrument of this strategy; add it to its instruments in the "
            "scenario"
        )
    return None


def _wrong_money(intent: MoneyIntent) -> str | None:
    if isinstance(intent, Enter) and intent.side not in (OrderSide.BUY, OrderSide.SELL):
        return f"its side is {intent.side!r}; give OrderSide.BUY or OrderSide.SELL"
    if isinstance(intent, Target) and intent.side not in (
        PositionSide.LONG,
        PositionSide.SHORT,
        PositionSide.FLAT,
    ):
        return f"its side is {intent.side!r}; give PositionSide.LONG, SHORT or FLAT"
    wrong = _wrong_part("quantity", intent.quantity, Quantity) or _wrong_part(
        "price", intent.price, Price
    )
    if wrong is not None or isinstance(intent, Exit):
        return wrong
    return _wrong_part("sizing", intent.sizing, Sizing) or _wrong_part(
        "stop_price", intent.stop_price, Price
    )


def _wrong_wake(wake: Wake) -> str | None:
    if not isinstance(wake.at_ns, int):
        return f"its at_ns is {_kind(wake.at_ns)}; give whole nanoseconds since 1970"
    if not 0 <= wake.at_ns <= TS_NS_MAX:
        return f"its at_ns {wake.at_ns} is no time; give nanoseconds since 1970"
    if wake.name == "":
        return "its name is empty; give it one"
    return _wrong_text("name", wake.name)


def _wrong_text(part: str, text: str) -> str | None:
    if not isinstance(text, str):
        return f"its {part} is {_kind(text)}; give text"
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"its {part} {text!a} holds half a character (a lone surrogate); give whole text"
    return None


def _wrong_part(part: str, value: object, expected: type) -> str | None:
    if value is None or isinstance(value, expected):
        return None
    return f"its {part} is {_kind(value)}; give a {expected.__name__} or None"


def _kind(value: object) -> str:
    return f"{value!r} of type {type(value).__name__}"
