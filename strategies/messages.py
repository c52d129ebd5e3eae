"""Every value that crosses a boundary between a decider, the host and the capital manager.

Rule: a message is frozen, holds engine values, integers and text only, and never changes after
it was made. Times are integer nanoseconds since 1970-01-01 UTC. A new kind of message is one
class here and one member of the union it belongs to.
"""

from dataclasses import dataclass
from enum import StrEnum

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

# --- intents: what a decider returns ---------------------------------------------------------


class SizeBy(StrEnum):
    """How the capital manager sizes an order whose quantity the strategy leaves to it."""

    NOTIONAL = "notional"
    ALLOCATION = "allocation"
    RISK = "risk"
    VOLATILITY = "volatility"


@dataclass(frozen=True, slots=True)
class Sizing:
    """States risk instead of a quantity; rounded down, and cut to what the limits leave.

    NOTIONAL takes ``amount``. The others take ``bps`` of the strategy's allocation: to spend
    (ALLOCATION), to lose between entry and the intent's ``stop_price`` (RISK), or to move by in
    one standard deviation of a session (VOLATILITY).
    """

    by: SizeBy
    bps: int = 0
    amount: Money | None = None


@dataclass(frozen=True, slots=True)
class Enter:
    """Open or enlarge a position on ``side``.

    ``quantity`` of None lets the capital manager size the order from the strategy's allocation.
    ``price`` of None is a market order, otherwise a limit order good till cancelled. ``sizing``
    says how an order without quantity is sized; ``stop_price`` is where the strategy would leave.
    """

    instrument_id: InstrumentId
    side: OrderSide
    reason: str
    quantity: Quantity | None = None
    price: Price | None = None
    sizing: Sizing | None = None
    stop_price: Price | None = None


@dataclass(frozen=True, slots=True)
class Exit:
    """Reduce the strategy's own position, all of it where ``quantity`` is None."""

    instrument_id: InstrumentId
    reason: str
    quantity: Quantity | None = None
    price: Price | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Bring the strategy's own position to ``quantity`` on ``side`` (FLAT ignores quantity).

    ``sizing`` and ``stop_price`` as in Enter.
    """

    instrument_id: InstrumentId
    side: PositionSide
    reason: str
    quantity: Quantity | None = None
    price: Price | None = None
    sizing: Sizing | None = None
    stop_price: Price | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel the strategy's own resting orders in one instrument, or one order by its id."""

    instrument_id: InstrumentId
    reason: str
    order_id: ClientOrderId | None = None


@dataclass(frozen=True, slots=True)
class Wake:
    """Ask for ``on_timer`` with this name at ``at_ns``; the same name again replaces it."""

    name: str
    at_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class Alert:
    """Tell people something; changes no state."""

    reason: str


type MoneyIntent = Enter | Exit | Target

# --- what the capital manager alone may return: orders of any strategy, and its own changes -----


@dataclass(frozen=True, slots=True)
class Revoke:
    """Cancel one resting order of any strategy."""

    strategy: str
    order_id: ClientOrderId
    instrument_id: InstrumentId
    reason: str


@dataclass(frozen=True, slots=True)
class Flatten:
    """Close a strategy's position at the market, through a grant of its own."""

    strategy: str
    instrument_id: InstrumentId
    reason: str


@dataclass(frozen=True, slots=True)
class AllocationSet:
    """A strategy's share of a venue's equity from now on; shares are in 10**-9.

    ``base_ppb`` is what the method gave, ``share_ppb`` what is left of it after stage and brakes;
    ``reason`` gives the arithmetic.
    """

    venue: str
    strategy: str
    base_ppb: int
    share_ppb: int
    amount: Money
    reason: str


@dataclass(frozen=True, slots=True)
class StageChanged:
    """A strategy's roll-out moved to ``stage`` of ``stages`` (from 1)."""

    strategy: str
    stage: int
    stages: int
    share_ppb: int
    reason: str


@dataclass(frozen=True, slots=True)
class BrakePulled:
    """A brake holds ``scope``: a strategy, a venue, or all of it.

    ``factor_ppb`` of 0 stops new risk, more than 0 scales allocations. ``until_ns`` of 0 means:
    until its own condition lets go.
    """

    brake: str
    scope: str
    factor_ppb: int
    until_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class BrakeReleased:
    """A brake let go."""

    brake: str
    scope: str
    reason: str


@dataclass(frozen=True, slots=True)
class StrategySample:
    """A strategy on a venue at a moment; ``profit`` is realised and open, fees included."""

    venue: str
    strategy: str
    allocation: Money
    reserved: Money
    committed: Money
    profit: Money


@dataclass(frozen=True, slots=True)
class VenueSample:
    """A venue's money at a moment: equity = free + reserved + committed + unsettled, at cost.

    ``marked`` is the equity at the last prices.
    """

    venue: str
    equity: Money
    free: Money
    reserved: Money
    committed: Money
    unsettled: Money
    marked: Money


@dataclass(frozen=True, slots=True)
class TotalSample:
    """All venues together in the base currency: equity = free + reserved + committed + unsettled.

    ``rates`` gives what one unit of each other currency was worth then.
    """

    rates: str
    equity: Money
    free: Money
    reserved: Money
    committed: Money
    unsettled: Money
    marked: Money


type CapitalState = (
    AllocationSet
    | StageChanged
    | BrakePulled
    | BrakeReleased
    | StrategySample
    | VenueSample
    | TotalSample
)
type Intent = MoneyIntent | Cancel | Wake | Alert
type CapitalIntent = Wake | Alert | Revoke | Flatten | CapitalState

# --- answers of the capital manager ----------------------------------------------------------


class Limit(StrEnum):
    """Names the rule behind a refusal; stable, for reports and tests."""

    NOT_TRADABLE = "not_tradable"
    NO_PRICE = "no_price"
    POSITION = "position"
    SHORT_SALE = "short_sale"
    LOT = "lot"
    TICK = "tick"
    PRICE_BAND = "price_band"
    MIN_NOTIONAL = "min_notional"
    ORDER = "order"
    SYMBOL = "symbol"
    ALLOCATION = "allocation"
    CASH = "cash"
    SIZING = "sizing"
    PRICE_SANITY = "price_sanity"
    STALE = "stale"
    SECTOR = "sector"
    STRATEGY = "strategy"
    VENUE = "venue"
    GROSS = "gross"
    NET = "net"
    OPEN_ORDERS = "open_orders"
    ORDERS_PER_SECOND = "orders_per_second"
    ORDERS_PER_DAY = "orders_per_day"
    BRAKE = "brake"


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission for exactly one order; ``reserved`` is held until it fills or ends.

    ``closes`` of the quantity reduces a position and needs no money; the rest is reserved at
    ``worst``, the worst price the order may fill at. With both, a ledger can be folded from
    grants and reports alone.
    """

    strategy: str
    order_id: ClientOrderId
    instrument_id: InstrumentId
    side: OrderSide
    quantity: Quantity
    price: Price | None
    reduces: bool
    reserved: Money
    reason: str
    closes: Quantity | None = None
    worst: Price | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """No order: the limit that said no, what was asked and what was allowed, in words."""

    strategy: str
    instrument_id: InstrumentId
    limit: Limit
    asked: str
    allowed: str
    reason: str


# --- commands: what the host sends to a venue --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Submit:
    """Send one order; market where ``price`` is None, else limit."""

    order_id: ClientOrderId
    instrument_id: InstrumentId
    side: OrderSide
    quantity: Quantity
    price: Price | None
    reduces: bool


@dataclass(frozen=True, slots=True)
class CancelOrder:
    """Cancel one resting order."""

    order_id: ClientOrderId
    instrument_id: InstrumentId


type Command = Submit | CancelOrder

# --- inputs that change state: what venues and clocks tell us ------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The run begins at ``ts_ns`` market time."""

    ts_ns: int


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A ``Wake`` of ``owner`` is due; ``due_ns`` is when it was to fire."""

    owner: str
    name: str
    due_ns: int
    ts_ns: int


class OrderState(StrEnum):
    """What a venue (or the engine before it) said about an order, fills aside."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DENIED = "denied"
    CANCELED = "canceled"
    CANCEL_REJECTED = "cancel_rejected"
    EXPIRED = "expired"


ENDED = frozenset({OrderState.REJECTED, OrderState.DENIED, OrderState.CANCELED, OrderState.EXPIRED})
"""States after which an order can no longer fill."""


@dataclass(frozen=True, slots=True)
class OrderUpdate:
    """One step in an order's life that is not a fill."""

    strategy: str
    order_id: ClientOrderId
    instrument_id: InstrumentId
    state: OrderState
    detail: str
    ts_ns: int


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution; ``trade_id`` makes duplicates recognisable."""

    strategy: str
    order_id: ClientOrderId
    instrument_id: InstrumentId
    trade_id: str
    side: OrderSide
    quantity: Quantity
    price: Price
    commission: Money
    liquidity: LiquiditySide
    ts_ns: int


@dataclass(frozen=True, slots=True)
class PositionUpdate:
    """The engine's netted position in one instrument after a fill.

    ``realized`` is what this step alone added to the account (fees included), exactly as the
    engine rounded it: margin ledgers take it instead of computing their own.
    """

    instrument_id: InstrumentId
    side: PositionSide
    quantity: Quantity
    avg_px_open: str
    realized: Money
    ts_ns: int


@dataclass(frozen=True, slots=True)
class RepeatedFill:
    """A venue reported a trade once more; it was counted the first time and changes nothing."""

    strategy: str
    order_id: ClientOrderId
    instrument_id: InstrumentId
    trade_id: str
    ts_ns: int


class KillAction(StrEnum):
    """What people may ask of the kill switch."""

    PULL = "pull"
    FLATTEN = "flatten"
    RELEASE = "release"


@dataclass(frozen=True, slots=True)
class KillSwitch:
    """People pull the kill switch, have positions closed as well, or let it go again."""

    action: KillAction
    reason: str
    ts_ns: int


# --- reports that no order of ours caused ---


@dataclass(frozen=True, slots=True)
class CashCorrection:
    """A venue's own cash differs from our ledger's by ``amount`` (signed), after all was counted.

    Fees rounded or charged otherwise, interest, a deposit: it belongs to no strategy.
    """

    venue: str
    amount: Money
    reason: str
    ts_ns: int


@dataclass(frozen=True, slots=True)
class OrderNamed:
    """A venue gave an order its own id; ``venue_order_id`` is unique over days and branches.

    A restart finds our id again by it.
    """

    order_id: ClientOrderId
    venue_order_id: str
    ts_ns: int


class NoticeLevel(StrEnum):
    """How much a notice matters."""

    INFO = "info"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something people should find in the journal: a reconnect, a mismatch, a foreign order.

    ``source`` is who says so, such as a venue. Nothing is decided on it.
    """

    source: str
    level: NoticeLevel
    text: str
    ts_ns: int


class Provenance(StrEnum):
    """How market data was obtained."""

    STREAMED = "streamed"
    POLLED = "polled"
    REPAIRED = "repaired"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Gap:
    """An instrument's market data did not stream from ``since_ns`` to ``until_ns``.

    ``provenance`` is what stands there instead: MISSING, or how it was got afterwards. ``source``
    is who noticed, ``text`` why.
    """

    instrument_id: InstrumentId
    source: str
    provenance: Provenance
    since_ns: int
    until_ns: int
    text: str
    ts_ns: int


type OwnReport = OrderUpdate | Fill | PositionUpdate | RepeatedFill
"""What venues say about what we sent."""
type JournalOnly = OrderNamed | Notice | Gap
"""Reports that nobody decides on."""
type Report = OwnReport | KillSwitch | CashCorrection | JournalOnly
type Input = Started | TimerFired | Report

# --- what the host says of itself -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StrategyStopped:
    """A strategy failed and is asked nothing more; the run goes on without it.

    ``error`` says on one line what it raised or returned, ``place`` where: file, line, handler.
    """

    strategy: str
    error: str
    place: str
    ts_ns: int
