"""An order, its notices and its rows in the order list, with what differs given by name."""

from decimal import Decimal

from nautilus_trader.model import OrderSide

from adapters.kis.limits import Servers, limits_for
from adapters.kis.market import Acceptance, Change, Notice, NoticeKind
from adapters.kis.order_events import Moment, OrderSpec
from adapters.kis.replies import OrderRow

SECOND = 1_000_000_000
OPEN = 1_794_877_512_000_000_000  # 2026-11-17 10:05:12 in Seoul
LIMITS = limits_for(Servers.REAL)
DAY, BRANCH, ACCOUNT = "20261117", "00950", "1234567801"
SPEC = OrderSpec("123450", OrderSide.BUY, 10, 50_200, "00")


def at(seconds=0):
    return Moment(OPEN + seconds * SECOND, 5_000 * SECOND + seconds * SECOND)


def clock(seconds):
    whole = 10 * 3600 + 5 * 60 + 12 + seconds
    return f"{whole // 3600:02d}{whole % 3600 // 60:02d}{whole % 60:02d}"


def notice(kind="fill", quantity=4, price=50_200, seconds=1, number="0000010001", **fields):
    values = {
        "kind": NoticeKind(kind), "change": Change.NEW, "refused": False,
        "acceptance": Acceptance.CONFIRMED, "account": ACCOUNT, "number": number, "original": "",
        "branch": BRANCH, "code": "123450", "side": OrderSide.BUY, "quantity": quantity,
        "price": price, "order_quantity": 10, "time": clock(seconds), "exchange": "1",
    }  # fmt: skip
    return Notice(**(values | fields))


def row(filled=0, amount=None, number="0000010001", **fields):
    values = {
        "day": DAY, "branch": BRANCH, "number": number, "original": "", "side": OrderSide.BUY,
        "code": "123450", "order_type": "00", "quantity": 10, "price": 50_200, "time": clock(0),
        "filled": filled, "amount": filled * 50_200 if amount is None else amount,
        "average": Decimal(0), "canceled": False, "canceled_quantity": 0, "remaining": 10 - filled,
        "refused_quantity": 0, "type_words": "limit",
    }  # fmt: skip
    return OrderRow(**(values | fields))
