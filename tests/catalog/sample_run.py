"""A small day, as the host journals it: two strategies, a refusal, a round trip, a cancellation."""

from collections.abc import Iterator

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

from catalog.journal import Entry
from catalog.runs import Manifest
from strategies.messages import (
    Cancel,
    CancelOrder,
    Enter,
    Exit,
    Fill,
    Grant,
    Limit,
    OrderState,
    OrderUpdate,
    PositionUpdate,
    Refusal,
    Started,
    Submit,
)
from strategies.ports import Journal, Kind, message_id

SAMSUNG = InstrumentId.from_str("005930.KRX")
BTC = InstrumentId.from_str("BTCUSDT-PERP.BINANCE")
NINE_KST = 1_764_547_200_000_000_000  # 2025-12-01 09:00:00 KST
SECOND = 1_000_000_000
BUY_ID = ClientOrderId("OTaa01")
SELL_ID = ClientOrderId("OTaa02")
LIMIT_ID = ClientOrderId("OTbb03")


def manifest(run_id: str = "day-20251201-000000-00aa", **changes: object) -> Manifest:
    """A manifest with plausible values."""
    values: dict[str, object] = {
        "run_id": run_id,
        "scenario": "day",
        "mode": "replay",
        "config": '{"seed":7}',
        "code_version": "0.1.0",
        "python": "3.13.0",
        "seed": 7,
        "started_wall_ns": NINE_KST,
        "pid": 4242,
        "hostname": "desk",
        "packages": {"nautilus_trader": "2.0.0rc7"},
        "slices": {"trades/005930.KRX": "ab" * 32},
    }
    return Manifest(**{**values, **changes})  # type: ignore[arg-type]  # a table of test values


def price(text: str) -> Price:
    return Price.from_str(text)


def quantity(text: str) -> Quantity:
    return Quantity.from_str(text)


def money(text: str) -> Money:
    return Money.from_str(text)


def entry(
    seq: int, k: int, ts_ns: int, kind: Kind, source: str, cause: int, flow: int, message: object
) -> Entry:
    """An entry with its ids packed as the host packs them."""
    return Entry(message_id(seq, k), ts_ns, kind, source, cause, flow, message)


def fill(
    order_id: ClientOrderId, side: OrderSide, size: str, at: str, fee: str, ts_ns: int
) -> Fill:
    """A fill of sma-fast in SAMSUNG."""
    return Fill(
        "sma-fast",
        order_id,
        SAMSUNG,
        f"T-{ts_ns}",
        side,
        quantity(size),
        price(at),
        money(f"{fee} KRW"),
        LiquiditySide.TAKER,
        ts_ns,
    )


def _update(order_id: ClientOrderId, state: OrderState, ts_ns: int) -> OrderUpdate:
    return OrderUpdate("sma-fast", order_id, SAMSUNG, state, "", ts_ns)


def sample_entries() -> list[Entry]:
    """All entries of the sample run, in order."""
    return [*_entry_of_position(), *_exit_of_position(), *_refused_and_cancelled()]


def _entry_of_position() -> Iterator[Entry]:
    t = NINE_KST
    yield entry(1, 0, t, Kind.STARTED, "host", 0, message_id(1, 0), Started(t))
    t += 192 * SECOND + SECOND // 2
    flow = message_id(7, 0)
    text = f"005930.KRX,70100,5,BUY,T1,{t}"
    yield entry(7, 0, t, Kind.MARKET, "005930.KRX", 0, flow, text)
    wish = Enter(SAMSUNG, OrderSide.BUY, "SMA 5 crossed above SMA 20")
    yield entry(7, 1, t, Kind.INTENT, "sma-fast", flow, flow, wish)
    grant = Grant(
        "sma-fast",
        BUY_ID,
        SAMSUNG,
        OrderSide.BUY,
        quantity("12"),
        None,
        reduces=False,
        reserved=money("842526 KRW"),
        reason=wish.reason,
    )
    yield entry(7, 2, t, Kind.GRANT, "capital", message_id(7, 1), flow, grant)
    command = Submit(BUY_ID, SAMSUNG, OrderSide.BUY, quantity("12"), None, reduces=False)
    yield entry(7, 3, t, Kind.COMMAND, "host", message_id(7, 2), flow, command)
    cause = message_id(7, 3)
    accepted = _update(BUY_ID, OrderState.ACCEPTED, t)
    yield entry(8, 0, t, Kind.ORDER, "sma-fast", cause, flow, accepted)
    t += SECOND // 50
    for seq, size in ((9, "5"), (11, "7")):
        done = fill(BUY_ID, OrderSide.BUY, size, "70200", "63", t)
        yield entry(seq, 0, t, Kind.FILL, "sma-fast", cause, flow, done)
        held = quantity("5" if seq == 9 else "12")
        position = PositionUpdate(SAMSUNG, PositionSide.LONG, held, "70200", money("-63 KRW"), t)
        source = "005930.KRX"
        yield entry(seq + 1, 0, t, Kind.POSITION, source, message_id(seq, 0), flow, position)


def _exit_of_position() -> Iterator[Entry]:
    t = NINE_KST + 300 * SECOND
    flow = message_id(20, 0)
    text = f"005930.KRX-1-MINUTE-LAST-EXTERNAL,70300,70400,70300,70400,900,{t}"
    topic = "005930.KRX-1-MINUTE-LAST-EXTERNAL"
    yield entry(20, 0, t, Kind.MARKET, topic, 0, flow, text)
    yield entry(
        20, 1, t, Kind.INTENT, "sma-fast", flow, flow, Exit(SAMSUNG, "take profit at 0.2 %")
    )
    size = quantity("12")
    args = (SELL_ID, SAMSUNG, OrderSide.SELL, size, None, True)
    grant = Grant("sma-fast", *args, money("0 KRW"), "take profit at 0.2 %")
    yield entry(20, 2, t, Kind.GRANT, "capital", message_id(20, 1), flow, grant)
    yield entry(20, 3, t, Kind.COMMAND, "host", message_id(20, 2), flow, Submit(*args))
    done = fill(SELL_ID, OrderSide.SELL, "12", "70400", "1816", t)
    yield entry(21, 0, t, Kind.FILL, "sma-fast", message_id(20, 3), flow, done)
    realized = money("584 KRW")
    flat = PositionUpdate(SAMSUNG, PositionSide.FLAT, quantity("0"), "0", realized, t)
    yield entry(22, 0, t, Kind.POSITION, "005930.KRX", message_id(21, 0), flow, flat)


def _refused_and_cancelled() -> Iterator[Entry]:
    t = NINE_KST + 400 * SECOND
    flow = message_id(30, 0)
    text = f"BTCUSDT-PERP.BINANCE,91000.10,91000.20,1.000,2.000,{t}"
    yield entry(30, 0, t, Kind.MARKET, "BTCUSDT-PERP.BINANCE", 0, flow, text)
    wish = Enter(BTC, OrderSide.BUY, "gap down of 2 %", quantity("0.100"), price("90000.00"))
    yield entry(30, 1, t, Kind.INTENT, "gap", flow, flow, wish)
    no = Refusal("gap", BTC, Limit.CASH, "9000.00 USDT", "1000.00 USDT", wish.reason)
    yield entry(30, 2, t, Kind.REFUSAL, "capital", message_id(30, 1), flow, no)
    yield entry(30, 3, t, Kind.INTENT, "gap", message_id(30, 2), flow, wish)
    args = (LIMIT_ID, BTC, OrderSide.BUY, quantity("0.010"), price("90000.00"), False)
    grant = Grant("gap", *args, money("900 USDT"), wish.reason)
    yield entry(30, 4, t, Kind.GRANT, "capital", message_id(30, 3), flow, grant)
    yield entry(30, 5, t, Kind.COMMAND, "host", message_id(30, 4), flow, Submit(*args))
    t += 60 * SECOND
    later = message_id(31, 0)
    text = f"BTCUSDT-PERP.BINANCE,91000.00,0.500,SELL,9,{t}"
    yield entry(31, 0, t, Kind.MARKET, "BTCUSDT-PERP.BINANCE", 0, later, text)
    wish_off = Cancel(BTC, "the gap closed")
    yield entry(31, 1, t, Kind.INTENT, "gap", later, later, wish_off)
    off = CancelOrder(LIMIT_ID, BTC)
    yield entry(31, 2, t, Kind.COMMAND, "host", message_id(31, 1), later, off)
    gone = OrderUpdate("gap", LIMIT_ID, BTC, OrderState.CANCELED, "", t)
    yield entry(32, 0, t, Kind.ORDER, "gap", message_id(30, 5), flow, gone)


def write(journal: Journal, entries: list[Entry]) -> None:
    """Append entries in order."""
    for one in entries:
        journal.append(*one)
