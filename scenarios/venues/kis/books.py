"""The venue's own books: cash, positions, reservations, orders and fills of every account.

Rule: integers of won. Cash never falls below what open buys reserve, no position below what open
sells promise; every change goes through here, so the books can be compared with a client's.
"""

from dataclasses import dataclass, field
from decimal import Decimal

from scenarios.venues.kis.matching import Side
from scenarios.venues.kis.orders import Order
from strategies.errors import InvariantBroken
from strategies.markets import krx


@dataclass(frozen=True, slots=True)
class Rates:
    """Costs of a trade as shares of its value."""

    commission: Decimal = krx.COMMISSION_RATE
    sell_tax: Decimal = krx.SELL_TAX_RATE


@dataclass(frozen=True, slots=True)
class Fill:
    """One trade of one order; ``cost_won`` is commission and tax."""

    number: str
    day: str
    time: str
    ts_ns: int
    account: str
    code: str
    side: Side
    quantity: int
    price: int
    cost_won: int


@dataclass(slots=True)
class Position:
    """Shares held, what they cost without fees, and the trades of this day and the one before."""

    quantity: int = 0
    paid_won: int = 0
    bought_today: int = 0
    sold_today: int = 0
    bought_before: int = 0
    sold_before: int = 0

    def roll_day(self) -> bool:
        """Begin a new day; False where nothing is held and no trade waits to be settled."""
        self.bought_before, self.sold_before = self.bought_today, self.sold_today
        self.bought_today = self.sold_today = 0
        return bool(self.quantity or self.bought_before or self.sold_before)


@dataclass(slots=True)
class Account:
    """One account, settled two business days after a trade.

    ``deposit_won`` is the cash that is settled today, ``next_day_won`` what will be tomorrow, and
    ``cash_won`` what will be when all of today's trades are: it can be ordered with at once.
    """

    number: str
    cash_won: int
    deposit_won: int
    next_day_won: int
    positions: dict[str, Position] = field(default_factory=dict)
    orders: list[Order] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    promised: dict[str, int] = field(default_factory=dict)
    reserved_won: int = 0
    bought_today_won: int = 0
    sold_today_won: int = 0
    cost_today_won: int = 0

    @property
    def orderable_won(self) -> int:
        """Cash that no open buy holds."""
        return self.cash_won - self.reserved_won

    def sellable(self, code: str) -> int:
        """Shares that no open sell promises."""
        held = self.positions.get(code, Position()).quantity
        return held - self.promised.get(code, 0)


class Books:
    """All accounts of the venue."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self.accounts: dict[str, Account] = {}

    def open_account(self, number: str, cash_won: int) -> Account:
        """Add an account with its deposit."""
        self.accounts[number] = Account(number, cash_won, cash_won, cash_won)
        return self.accounts[number]

    def cost_of_buying(self, price: int, quantity: int) -> int:
        """Return the cash a buy needs, commission included."""
        value = price * quantity
        return value + krx.commission_krw(value, self.rates.commission)

    def affordable(self, account: Account, price: int) -> int:
        """Return the largest quantity the free cash buys at a price."""
        quantity = account.orderable_won // price if price else 0
        while quantity and self.cost_of_buying(price, quantity) > account.orderable_won:
            quantity -= 1
        return max(quantity, 0)

    def add(self, order: Order) -> None:
        """Enter an order and reserve the cash of a buy."""
        self.accounts[order.account].orders.append(order)
        self._reserve(order)

    def fill(self, order: Order, quantity: int, price: int, at: tuple[str, str, int]) -> Fill:
        """Book one trade made ``at`` (day, time, ns). Raises InvariantBroken on overfill."""
        account = self.accounts[order.account]
        if quantity > order.open_quantity:
            raise InvariantBroken(f"order {order.number} was filled beyond its quantity.")
        value = price * quantity
        cost = krx.commission_krw(value, self.rates.commission)
        if order.side is Side.SELL:
            cost += krx.sell_tax_krw(value, self.rates.sell_tax)
        order.filled += quantity
        order.filled_won += value
        order.last_fill_time = at[1]
        self._move(account, order, quantity, value, cost)
        fill = Fill(
            order.number, *at, account.number, order.code, order.side, quantity, price, cost
        )
        account.fills.append(fill)
        self._reserve(order)
        return fill

    def cancel(self, order: Order, quantity: int) -> None:
        """Take an open quantity out of the market."""
        order.cancelled += quantity
        self._reserve(order)

    def move(self, order: Order, quantity: int) -> None:
        """Hand an open quantity to the order that amends this one."""
        order.moved += quantity
        self._reserve(order)

    def reject(self, order: Order) -> None:
        """Mark all that is open as refused by the exchange."""
        order.rejected += order.open_quantity
        self._reserve(order)

    def roll_day(self) -> None:
        """Begin a new day: the day's sums start anew, cash and positions stay."""
        for account in self.accounts.values():
            account.deposit_won, account.next_day_won = account.next_day_won, account.cash_won
            account.bought_today_won = account.sold_today_won = account.cost_today_won = 0
            held = account.positions.items()
            account.positions = {code: each for code, each in held if each.roll_day()}

    def _reserve(self, order: Order) -> None:
        if order.is_cancel:
            return
        account = self.accounts[order.account]
        if order.side is Side.SELL:
            before = account.promised.get(order.code, 0)
            account.promised[order.code] = before + order.open_quantity - order.promised
            order.promised = order.open_quantity
            return
        account.reserved_won -= order.reserved_won
        order.reserved_won = self.cost_of_buying(order.reserve_price, order.open_quantity)
        account.reserved_won += order.reserved_won

    def _move(self, account: Account, order: Order, quantity: int, value: int, cost: int) -> None:
        position = account.positions.setdefault(order.code, Position())
        account.cost_today_won += cost
        if order.side is Side.BUY:
            account.cash_won -= value + cost
            account.bought_today_won += value
            position.quantity += quantity
            position.paid_won += value
            position.bought_today += quantity
        else:
            account.cash_won += value - cost
            account.sold_today_won += value
            position.paid_won -= position.paid_won * quantity // position.quantity
            position.quantity -= quantity
            position.sold_today += quantity
        if account.cash_won < 0 or position.quantity < 0:
            raise InvariantBroken(f"account {account.number} was filled beyond what it has.")
