"""The seams of the host: what it needs from the world, as Protocols.

Rule: the host and the deciders know these shapes and nothing behind them. The engine, a journal
database, a re-execution and a test fake are equally good behind each.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from nautilus_trader.model import ClientOrderId, InstrumentId, OrderSide, Price, Quantity

from strategies.messages import (
    CapitalIntent,
    CashCorrection,
    Command,
    Fill,
    Grant,
    KillSwitch,
    MoneyIntent,
    OrderUpdate,
    PositionUpdate,
    Refusal,
    StrategyStopped,
    TimerFired,
)


class Kind(StrEnum):
    """Kinds of journal entries; INPUT_KINDS are fed again by a re-execution, others compared."""

    STARTED = "started"
    MARKET = "market"
    TIMER = "timer"
    ORDER = "order"
    FILL = "fill"
    POSITION = "position"
    REPEAT = "repeat"
    KILL = "kill"
    CASH = "cash"
    NAMED = "named"
    NOTICE = "notice"
    GAP = "gap"
    INTENT = "intent"
    GRANT = "grant"
    REFUSAL = "refusal"
    COMMAND = "command"
    CAPITAL = "capital"
    FAULT = "fault"
    ENDED = "ended"


INPUT_KINDS = frozenset(
    {
        Kind.STARTED,
        Kind.TIMER,
        Kind.ORDER,
        Kind.FILL,
        Kind.POSITION,
        Kind.REPEAT,
        Kind.KILL,
        Kind.CASH,
        Kind.NAMED,
        Kind.NOTICE,
        Kind.GAP,
    }
)

ID_BITS = 20
"""A message id is ``(seq << ID_BITS) | k``: the k-th message of delivery ``seq``; k = 0 is the
delivered event itself. Ids are integers that a re-execution reproduces."""


def message_id(seq: int, k: int) -> int:
    """Pack a delivery number and a position within it into one id."""
    return (seq << ID_BITS) | k


def split_id(value: int) -> tuple[int, int]:
    """Unpack an id into (seq, k)."""
    return value >> ID_BITS, value & ((1 << ID_BITS) - 1)


class Journal(Protocol):
    """The append-only log of one run."""

    def append(
        self,
        entry_id: int,
        ts_ns: int,
        kind: Kind,
        source: str,
        cause_id: int,
        workflow_id: int,
        message: object,
    ) -> None:
        """Add one entry. ``source`` is the decider, "capital", "host" or a venue.

        ``cause_id`` is the id of the direct parent (0: none), ``workflow_id`` the id of the
        delivery the whole chain began with. ``message`` is a value of strategies.messages, or
        text for MARKET entries.
        """

    def flush(self) -> None:
        """Return only when everything appended so far is committed."""


class Orders(Protocol):
    """Where granted commands go."""

    def send(self, command: Command) -> None:
        """Hand one command to the venue; answers come back as reports."""


class Clock(Protocol):
    """Alarms in market time."""

    def wake(self, owner: str, name: str, at_ns: int) -> None:
        """Have the host told at ``at_ns``; an alarm of the same owner and name is replaced."""


class StreamKind(StrEnum):
    """Kinds of market data a catalog holds and deciders are fed; a scenario calls deltas `book`."""

    TRADES = "trades"
    QUOTES = "quotes"
    BARS = "bars"
    DELTAS = "deltas"
    FUNDING = "funding"


class Feed(Protocol):
    """Where market data comes from."""

    def subscribe(self, kind: StreamKind, topic: str) -> None:
        """Deliver a stream: ``topic`` is an instrument id, or a bar type for bars."""


class Marks(Protocol):
    """Last known prices and the strategies' own positions, as the host folded them."""

    def price(self, instrument_id: InstrumentId) -> Price | None:
        """Last trade, bar close, or middle of quote or book rounded down to the tick, or None."""

    def seen_ns(self, instrument_id: InstrumentId) -> int | None:
        """When that price was delivered, market time; None before the first."""

    def position(self, strategy: str, instrument_id: InstrumentId) -> int:
        """Signed position in the engine's raw quantity units."""


class CapitalManager(Protocol):
    """The decider that owns the money; asked synchronously by the host."""

    def on_start(self, ts_ns: int) -> Sequence[CapitalIntent]: ...

    def on_intent(
        self, strategy: str, intent: MoneyIntent, order_id: ClientOrderId, ts_ns: int
    ) -> Grant | Refusal:
        """Answer one intent; a Grant holds its reservation until the order ends."""

    def on_timer(self, timer: TimerFired) -> Sequence[CapitalIntent]: ...

    def on_fill(self, fill: Fill) -> Sequence[CapitalIntent]: ...

    def on_position(self, update: PositionUpdate) -> Sequence[CapitalIntent]: ...

    def on_order(self, update: OrderUpdate) -> Sequence[CapitalIntent]: ...

    def on_kill(self, switch: KillSwitch) -> Sequence[CapitalIntent]: ...

    def on_cash(self, correction: CashCorrection) -> Sequence[CapitalIntent]: ...

    def on_stopped(self, stopped: StrategyStopped) -> Sequence[CapitalIntent]:
        """Learn that a strategy failed: it takes no new risk, what it holds can be closed."""


__all__ = [
    "ID_BITS",
    "INPUT_KINDS",
    "CapitalManager",
    "Clock",
    "Feed",
    "Journal",
    "Kind",
    "Marks",
    "OrderSide",
    "Orders",
    "Quantity",
    "StreamKind",
    "message_id",
    "split_id",
]
