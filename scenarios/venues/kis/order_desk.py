"""Takes orders, amendments and cancellations: checks them, books them, hands them to matching.

Rule: a refusal is a value with KIS's code and text. Where the code is not documented it is an
assumption (marked below); the text then says what was wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from scenarios.venues.kis.books import Account, Books
from scenarios.venues.kis.matching import Entry, Lifetime, Match, Side
from scenarios.venues.kis.orders import (
    CONDITIONAL,
    NO_PRICE,
    ORDER_TYPES,
    Order,
    OrderType,
    Pricing,
)
from scenarios.venues.kis.phases import AUCTIONS, Phase
from scenarios.venues.kis.symbols import Symbol

BRANCH = "00950"
AUCTION_TYPES = frozenset({"00", "01", CONDITIONAL})


@dataclass(frozen=True, slots=True)
class Ticket:
    """A new order as it was asked for; ``price`` is 0 where the type has none."""

    account: str
    code: str
    side: Side
    type_code: str
    quantity: int
    price: int
    condition_price: int = 0


@dataclass(frozen=True, slots=True)
class Change:
    """An amendment or a cancellation; ``quantity`` None is all that is open."""

    account: str
    number: str
    branch: str
    is_cancel: bool
    quantity: int | None
    type_code: str = "00"
    price: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nothing was done."""

    code: str
    text: str


NO_SYMBOL = Refused("APBK0656", "해당종목정보가 없습니다.")
NO_MONEY = Refused("APBK0952", "주문가능금액을 초과 했습니다")
NO_SHARES = Refused("APBK0400", "주문 가능한 수량을 초과했습니다.")
NOT_NOW = Refused("APBK0919", "장운영시간이 아닙니다.(주문불가)")
NOT_TODAY_MOCK = Refused("40100000", "모의투자 영업일이 아닙니다.")
# The codes below are assumed, their situations are real.
HALTED = Refused("APBK0918", "거래정지 종목은 주문이 불가합니다.")
BAD_QUANTITY = Refused("APBK0505", "주문수량을 확인하여 주십시오.")
OFF_TICK = Refused("APBK0506", "호가단위를 확인하여 주십시오.")
OFF_LIMITS = Refused("APBK0507", "주문단가가 상하한가를 벗어났습니다.")
NO_BEST = Refused("APBK0508", "상대 호가가 없어 주문할 수 없습니다.")
NOTHING_LEFT = Refused("APBK0344", "정정취소할 수량이 없습니다.")
TOO_MUCH = Refused("APBK0345", "정정취소 가능수량을 초과했습니다.")


class Receipt(StrEnum):
    """What a receipt tells of an order."""

    ACCEPTED = "1"
    CONFIRMED = "2"
    REST_CANCELLED = "3"
    REFUSED = "refused"


type OnMatches = Callable[[list[Match]], None]
type OnReceipt = Callable[[Order, int, Receipt], None]


class OrderDesk:
    """Order entry of one venue; the exchange tells it the phase, the day and the time."""

    def __init__(
        self,
        books: Books,
        symbols: dict[str, Symbol],
        *,
        is_mock: bool,
        change_receipts: Sequence[Receipt] = (Receipt.ACCEPTED, Receipt.CONFIRMED),
    ) -> None:
        self.books = books
        self.symbols = symbols
        self.stops: dict[str, list[Order]] = {}
        self.phase = Phase.CLOSED
        self.is_stopped = False
        self.is_call = False
        self.day = ""
        self.time = ""
        self._is_mock = is_mock
        self._change_receipts = change_receipts
        self._issued = 10_000
        self._open: dict[str, Order] = {}

    def begin_day(self, day: str) -> None:
        """Start the day's order numbers."""
        self.day, self._issued = day, 10_000
        self._open.clear()
        self.stops.clear()

    def find(self, number: str) -> Order:
        """Return an open order of today."""
        return self._open[number]

    def submit(
        self, ticket: Ticket, on_matches: OnMatches, on_receipt: OnReceipt, *, reject: bool = False
    ) -> Order | Refused:
        """Take a new order; ``reject`` lets the exchange refuse it after it was accepted here."""
        checked = self._check(ticket)
        if isinstance(checked, Refused):
            return checked
        symbol, kind, limit, reserve = checked
        account = self.books.accounts[ticket.account]
        refusal = self._check_means(account, ticket, reserve)
        if refusal is not None:
            return refusal
        price = 0 if kind.pricing in NO_PRICE else ticket.price
        order = self._order(ticket, kind, price, limit, reserve)
        self._enter(order)
        if reject:
            self.books.reject(order)
            on_receipt(order, order.quantity, Receipt.REFUSED)
            return order
        on_receipt(order, order.quantity, Receipt.ACCEPTED)
        self._to_market(symbol, order, on_matches, on_receipt)
        return order

    def change(
        self, change: Change, on_matches: OnMatches, on_receipt: OnReceipt
    ) -> Order | Refused:
        """Amend or cancel what is open of an order; the result has a number of its own."""
        original = self._open.get(change.number)
        if original is None or original.account != change.account or not original.open_quantity:
            return NOTHING_LEFT
        if change.branch and change.branch != BRANCH:
            return NOTHING_LEFT
        quantity = original.open_quantity if change.quantity is None else change.quantity
        if not 0 < quantity <= original.open_quantity:
            return TOO_MUCH
        if change.is_cancel:
            return self._cancel(original, quantity, on_receipt)
        return self._amend(original, quantity, change, on_matches, on_receipt)

    def trigger(self, symbol: Symbol, price: int, on_matches: OnMatches) -> None:
        """Send stop orders to the market that a trade has triggered."""
        stops = self.stops.get(symbol.code, [])
        hit = [order for order in stops if _is_triggered(order, price)]
        if not hit:
            return
        self.stops[symbol.code] = [order for order in stops if order not in hit]
        for order in hit:
            on_matches(symbol.book.arrive(_entry(order), Lifetime.DAY))

    def expire(self) -> None:
        """Take every open order out of the market, as at the end of a session; nobody is told."""
        for order in self._open.values():
            if order.open_quantity:
                self.symbols[order.code].book.remove(order.number)
                self.books.cancel(order, order.open_quantity)
        self._open.clear()
        self.stops.clear()

    def begin_closing_auction(self) -> None:
        """Turn conditional limit orders into market orders."""
        for order in self._open.values():
            if order.type.code == CONDITIONAL and order.open_quantity:
                symbol = self.symbols[order.code]
                low, high = symbol.limits
                for entry in symbol.book.waiting:
                    if entry.number == order.number:
                        entry.is_market = True
                        entry.limit = high if order.side is Side.BUY else low

    def _check(self, ticket: Ticket) -> tuple[Symbol, OrderType, int, int] | Refused:
        symbol, kind = self.symbols.get(ticket.code), ORDER_TYPES.get(ticket.type_code)
        if symbol is None:
            return NO_SYMBOL
        if kind is None:
            return Refused("OPSQ2001", "ERROR : INPUT INVALID_CHECK_ORD_DVSN")
        if ticket.quantity < 1:
            return BAD_QUANTITY
        refusal = self._check_time(symbol, kind)
        if refusal is not None:
            return refusal
        return self._priced(symbol, kind, ticket)

    def _check_time(self, symbol: Symbol, kind: OrderType) -> Refused | None:
        if self.phase is Phase.CLOSED:
            return NOT_TODAY_MOCK if self._is_mock else NOT_NOW
        if symbol.halted or self.is_stopped:
            return HALTED
        in_call = symbol.in_vi or self.is_call
        if self.phase not in kind.phases or (in_call and kind.code not in AUCTION_TYPES):
            return NOT_NOW
        return None

    def _priced(
        self, symbol: Symbol, kind: OrderType, ticket: Ticket
    ) -> tuple[Symbol, OrderType, int, int] | Refused:
        low, high = symbol.limits
        if kind.pricing in {Pricing.LIMIT, Pricing.STOP}:
            prices = [ticket.price]
            prices += [ticket.condition_price] if kind.pricing is Pricing.STOP else []
            for price in prices:
                if price <= 0 or price % symbol.tick_at(price):
                    return OFF_TICK
                if not low <= price <= high:
                    return OFF_LIMITS
            return symbol, kind, ticket.price, ticket.price
        limit = self._own_limit(symbol, kind.pricing, ticket.side)
        return (symbol, kind, limit, high) if limit else NO_BEST

    def _own_limit(self, symbol: Symbol, pricing: Pricing, side: Side) -> int:
        low, high = symbol.limits
        opposite = Side.SELL if side is Side.BUY else Side.BUY
        match pricing:
            case Pricing.MARKET:
                return high if side is Side.BUY else low
            case Pricing.BEST:
                return symbol.book.best(opposite)
            case Pricing.OWN_BEST:
                return symbol.book.best(side)
        return symbol.price

    def _check_means(self, account: Account, ticket: Ticket, reserve: int) -> Refused | None:
        if ticket.side is Side.SELL:
            return NO_SHARES if ticket.quantity > account.sellable(ticket.code) else None
        cost = self.books.cost_of_buying(reserve, ticket.quantity)
        return NO_MONEY if cost > account.orderable_won else None

    def _order(
        self, ticket: Ticket, kind: OrderType, price: int, limit: int, reserve: int
    ) -> Order:
        return Order(
            *(self._next_number(), self.day, self.time, ticket.account, ticket.code, ticket.side),
            *(kind, ticket.quantity, price, limit, reserve, ticket.condition_price),
        )

    def _next_number(self) -> str:
        self._issued += 1
        return f"{self._issued:010d}"

    def _enter(self, order: Order) -> None:
        self.books.add(order)
        if not order.is_cancel:
            self._open[order.number] = order

    def _to_market(
        self, symbol: Symbol, order: Order, on_matches: OnMatches, on_receipt: OnReceipt
    ) -> None:
        if order.type.pricing is Pricing.STOP:
            self.stops.setdefault(symbol.code, []).append(order)
        elif order.type.pricing is Pricing.CLOSE:
            return
        elif self._must_wait(symbol, order):
            symbol.book.wait(_entry(order))
        else:
            on_matches(symbol.book.arrive(_entry(order), order.type.lifetime))
            left = order.open_quantity
            if left and order.type.lifetime is not Lifetime.DAY:
                self.books.cancel(order, left)
                on_receipt(order, left, Receipt.REST_CANCELLED)

    def _must_wait(self, symbol: Symbol, order: Order) -> bool:
        is_opening = symbol.awaits_print and order.type.lifetime is Lifetime.DAY
        return self.phase in AUCTIONS or symbol.in_vi or self.is_call or is_opening

    def _cancel(self, original: Order, quantity: int, on_receipt: OnReceipt) -> Order:
        self._take_out(original, quantity)
        self.books.cancel(original, quantity)
        order = self._follow(original, quantity, original.type, 0)
        order.is_cancel = True
        self._enter(order)
        for receipt in self._change_receipts:
            on_receipt(order, quantity, receipt)
        return order

    def _amend(
        self,
        original: Order,
        quantity: int,
        change: Change,
        on_matches: OnMatches,
        on_receipt: OnReceipt,
    ) -> Order | Refused:
        ticket = Ticket(
            *(original.account, original.code, original.side, change.type_code, quantity),
            *(change.price, original.condition_price),
        )
        checked = self._check(ticket)
        if isinstance(checked, Refused):
            return checked
        symbol, kind, limit, reserve = checked
        if original.side is Side.BUY and not self._affords(original, quantity, reserve):
            return NO_MONEY
        price = 0 if kind.pricing in NO_PRICE else change.price
        keeps_place = kind is original.type and limit == original.limit
        entry = self._take_out(original, quantity)
        self.books.move(original, quantity)
        order = self._follow(original, quantity, kind, price)
        order.limit, order.reserve_price = limit, reserve
        self._enter(order)
        for receipt in self._change_receipts:
            on_receipt(order, quantity, receipt)
        if keeps_place and entry is not None:
            symbol.book.put_back(_entry(order), entry)
        else:
            self._to_market(symbol, order, on_matches, on_receipt)
        return order

    def _affords(self, original: Order, quantity: int, reserve: int) -> bool:
        account = self.books.accounts[original.account]
        rest = original.open_quantity - quantity
        kept = self.books.cost_of_buying(original.reserve_price, rest)
        freed = original.reserved_won - kept
        return self.books.cost_of_buying(reserve, quantity) <= account.orderable_won + freed

    def _take_out(self, order: Order, quantity: int) -> Entry | None:
        stops = self.stops.get(order.code, [])
        if order in stops and quantity == order.open_quantity:
            stops.remove(order)
        return self.symbols[order.code].book.reduce(order.number, quantity)

    def _follow(self, original: Order, quantity: int, kind: OrderType, price: int) -> Order:
        ticket = Ticket(
            *(original.account, original.code, original.side, kind.code, quantity, price),
            original.condition_price,
        )
        order = self._order(ticket, kind, price, original.limit, original.reserve_price)
        order.original = original.number
        return order


def _entry(order: Order) -> Entry:
    is_market = order.type.pricing is Pricing.MARKET
    return Entry(order.number, order.side, order.limit, order.open_quantity, is_market)


def _is_triggered(order: Order, price: int) -> bool:
    if order.side is Side.BUY:
        return price >= order.condition_price
    return price <= order.condition_price
