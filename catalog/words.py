"""Journal entries in plain words, with times in the venue's own zone.

Rule: words only; nothing is folded or decided here, and no number is rounded.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from nautilus_trader.model import BarType, InstrumentId, Money, Price, Quantity, RecordFlag

from catalog.journal import Entry
from strategies.markets import krx
from strategies.messages import (
    Alert,
    AllocationSet,
    BrakePulled,
    BrakeReleased,
    Cancel,
    CancelOrder,
    CashCorrection,
    Enter,
    Exit,
    Fill,
    Flatten,
    Gap,
    Grant,
    KillSwitch,
    MoneyIntent,
    Notice,
    OrderNamed,
    OrderUpdate,
    PositionUpdate,
    Refusal,
    RepeatedFill,
    Revoke,
    StageChanged,
    Started,
    StrategySample,
    StrategyStopped,
    Submit,
    Target,
    TimerFired,
    TotalSample,
    VenueSample,
    Wake,
)
from strategies.ports import Kind

_ZONES = {krx.VENUE: ZoneInfo(krx.TIMEZONE)}
"""Venues whose day is not UTC's; crypto venues keep UTC."""

_TICK_FIELDS = 5  # of a trade: price, size, side, id, time; of a quote: bid, ask, sizes, time
_BAR_FIELDS = 6  # open, high, low, close, volume, time


def zone_of(instrument_id: InstrumentId | None) -> ZoneInfo | None:
    """Return the zone an instrument's venue lives in, None where that is UTC or unknown."""
    return None if instrument_id is None else _ZONES.get(instrument_id.venue.value)


def common_zone(venues: Iterable[str]) -> ZoneInfo | None:
    """Return the zone that all these venues live in, None where they differ or it is UTC."""
    zones = {_ZONES.get(name) for name in venues}
    return zones.pop() if len(zones) == 1 else None


def format_time(ts_ns: int, zone: ZoneInfo | None, *, date: bool = True) -> str:
    """Return a time with its zone's name, as precise as it is: ``09:03:12.5 KST``."""
    when = datetime.fromtimestamp(ts_ns // 1_000_000_000, zone or UTC)
    fraction = f"{ts_ns % 1_000_000_000:09d}".rstrip("0")
    text = when.strftime("%Y-%m-%d %H:%M:%S" if date else "%H:%M:%S")
    return f"{text}{'.' if fraction else ''}{fraction} {when.tzname()}"


def instrument_of(entry: Entry) -> InstrumentId | None:
    """Return the instrument an entry is about, None where it is about none."""
    found = getattr(entry.message, "instrument_id", None)
    if found is not None:
        return found if isinstance(found, InstrumentId) else None
    if entry.kind is not Kind.MARKET:
        return None
    for parse in (_bar_instrument, InstrumentId.from_str):
        try:
            return parse(entry.source)
        except ValueError:
            continue
    return None


def _bar_instrument(topic: str) -> InstrumentId:
    return BarType.from_str(topic).instrument_id


def describe(entry: Entry) -> str:
    """Return what an entry says, without its time."""
    match entry.message:
        case str() as text:
            words = _market(text) if entry.kind is Kind.MARKET else f"{entry.kind}: {text}"
        case Enter() | Exit() | Target() as wish:
            words = f"{entry.source} wanted to {_want(wish)} because {wish.reason}"
        case Cancel() | Wake() | Alert() as intent:
            words = f"{entry.source} {_other_intent(intent)}"
        case Grant() | Refusal() as answer:
            words = _answer(answer)
        case Submit() | CancelOrder() as command:
            words = _command(command)
        case OrderUpdate() | Fill() | PositionUpdate() as report:
            words = _report(report)
        case TimerFired() | Started() as moment:
            words = _moment(moment)
        case Revoke() | Flatten() | KillSwitch() | RepeatedFill() as message:
            words = _forced(message)
        case AllocationSet() | StageChanged() | BrakePulled() | BrakeReleased() as change:
            words = _capital_change(change)
        case CashCorrection() | OrderNamed() | Notice() | Gap() | StrategyStopped() as news:
            words = _news(news)
        case StrategySample() | VenueSample() | TotalSample() as sample:
            words = _sample(sample)
        case other:
            words = f"{entry.kind}: {other}"
    return words


def _moment(message: TimerFired | Started) -> str:
    if isinstance(message, Started):
        return "the run started"
    return f"timer {message.name} of {message.owner} fired"


def _other_intent(intent: Cancel | Wake | Alert) -> str:
    match intent:
        case Cancel():
            what = f"order {intent.order_id}" if intent.order_id else "its orders"
            return f"wanted to cancel {what} in {intent.instrument_id} because {intent.reason}"
        case Wake():
            at = format_time(intent.at_ns, None)
            return f"asked for timer {intent.name} at {at} because {intent.reason}"
        case Alert():
            return f"says: {intent.reason}"


def _forced(message: Revoke | Flatten | KillSwitch | RepeatedFill) -> str:
    match message:
        case Revoke():
            return f"capital cancels order {message.order_id}: {message.reason}"
        case Flatten():
            place = f"{message.strategy} in {message.instrument_id}"
            return f"capital closes what {place} holds: {message.reason}"
        case KillSwitch():
            return f"people asked the kill switch to {message.action}: {message.reason}"
        case RepeatedFill():
            return f"trade {message.trade_id} of order {message.order_id} was reported once more"


def _news(message: CashCorrection | OrderNamed | Notice | Gap | StrategyStopped) -> str:
    match message:
        case CashCorrection():
            return f"{message.venue} corrected cash by {_money(message.amount)}: {message.reason}"
        case OrderNamed():
            return f"order {message.order_id} is {message.venue_order_id} at its venue"
        case Notice():
            return f"{message.source} ({message.level}): {message.text}"
        case Gap():
            zone = zone_of(message.instrument_id)
            span = " to ".join(format_time(t, zone) for t in (message.since_ns, message.until_ns))
            place = f"{message.instrument_id} from {span}"
            return f"{message.source} has a gap in {place}, {message.provenance}: {message.text}"
        case StrategyStopped():
            place = f" {message.place}" if message.place else ""
            return f"{message.strategy} failed and is asked nothing more: {message.error}{place}"


def _capital_change(change: AllocationSet | StageChanged | BrakePulled | BrakeReleased) -> str:
    match change:
        case AllocationSet():
            share = Decimal(change.share_ppb) / 10**9
            place = f"{change.strategy} on {change.venue}"
            return f"capital gives {place} {share:.2%}, {_money(change.amount)}: {change.reason}"
        case StageChanged():
            stage = f"stage {change.stage} of {change.stages}"
            return f"{change.strategy} comes to {stage}: {change.reason}"
        case BrakePulled():
            factor = Decimal(change.factor_ppb) / 10**9
            does = f"scales allocations by {factor}" if factor else "stops new risk"
            return f"brake {change.brake} {does} of {change.scope}: {change.reason}"
        case BrakeReleased():
            return f"brake {change.brake} of {change.scope} lets go: {change.reason}"


def _sample(sample: StrategySample | VenueSample | TotalSample) -> str:
    if isinstance(sample, StrategySample):
        return (
            f"{sample.strategy} on {sample.venue} has {_money(sample.committed)} committed and "
            f"{_money(sample.reserved)} reserved of {_money(sample.allocation)}, profit "
            f"{_money(sample.profit)}"
        )
    place = sample.venue if isinstance(sample, VenueSample) else f"all together ({sample.rates})"
    return (
        f"{place} has equity {_money(sample.equity)} = free {_money(sample.free)} + "
        f"reserved {_money(sample.reserved)} + committed {_money(sample.committed)} + unsettled "
        f"{_money(sample.unsettled)}; at last prices {_money(sample.marked)}"
    )


def _market(text: str) -> str:
    """Read the engine's own text of a market event."""
    name, *fields = text.split(",")
    if len(fields) == _BAR_FIELDS:
        return f"bar {name} closed at {_grouped(fields[3])}, volume {_grouped(fields[4])}"
    if len(fields) != _TICK_FIELDS:
        return f"event {text}"
    if fields[0].startswith("len="):
        return f"book {name} {_book_event(dict(field.split('=') for field in fields))}"
    if fields[1].startswith(("Some(", "None")):
        return f"funding rate of {name} {fields[0]}"
    first, second, third, fourth = map(_grouped, fields[:4])
    if third.isalpha() or "_" in third:
        return f"trade {name} {first} x {second}"
    return f"quote {name} bid {first} x {third}, ask {second} x {fourth}"


def _book_event(told: Mapping[str, str]) -> str:
    if int(told["flags"]) & RecordFlag.F_SNAPSHOT.value:
        return f"snapshot, update {told['sequence']}"
    return f"levels changed: {_grouped(told['len'])}, update {told['sequence']}"


def _want(intent: MoneyIntent) -> str:
    size = f" {_number(intent.quantity)}" if intent.quantity is not None else ""
    price = f" @ {_number(intent.price)}" if intent.price is not None else ""
    match intent:
        case Enter():
            return f"enter {intent.side}{size} {intent.instrument_id}{price}"
        case Exit():
            return f"exit{size} {intent.instrument_id}{price}"
        case Target():
            return f"be {intent.side}{size} in {intent.instrument_id}{price}"


def _answer(answer: Grant | Refusal) -> str:
    if isinstance(answer, Refusal):
        return (
            f"capital refused {answer.strategy} in {answer.instrument_id} ({answer.limit}): "
            f"asked {answer.asked}, allowed {answer.allowed}"
        )
    size = f"{answer.side} {_number(answer.quantity)} @ {_price(answer.price)}"
    return f"capital granted {size}, reserved {_money(answer.reserved)}"


def _command(command: Submit | CancelOrder) -> str:
    if isinstance(command, CancelOrder):
        return f"sent the cancellation of order {command.order_id}"
    size = f"{command.side} {_number(command.quantity)}"
    reduces = ", reduce only" if command.reduces else ""
    price = _price(command.price)
    return f"sent order {command.order_id}: {size} {command.instrument_id} @ {price}{reduces}"


def _report(report: OrderUpdate | Fill | PositionUpdate) -> str:
    match report:
        case OrderUpdate():
            detail = f": {report.detail}" if report.detail else ""
            return f"order {report.order_id} {str(report.state).replace('_', ' ')}{detail}"
        case Fill():
            size = f"{report.side} {_number(report.quantity)} {report.instrument_id}"
            price, commission = _number(report.price), _money(report.commission)
            return f"order {report.order_id} filled {size} @ {price}, commission {commission}"
        case PositionUpdate():
            size = f"{report.side} {_number(report.quantity)}"
            realized = _money(report.realized)
            return f"position in {report.instrument_id} is now {size}, realised {realized}"


def _price(price: Price | None) -> str:
    return "market" if price is None else _number(price)


def _number(value: Price | Quantity) -> str:
    return f"{value.as_decimal():,}"


def _money(money: Money) -> str:
    return f"{money.as_decimal():,f} {money.currency.code}"


def _grouped(text: str) -> str:
    try:
        return f"{Decimal(text):,}"
    except ArithmeticError:
        return text
