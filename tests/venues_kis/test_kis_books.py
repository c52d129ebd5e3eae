"""The venue's books: whatever is sent, cash covers what is reserved and quantities add up."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from kis_market import CASH, CODE, account_of, amend, buy, cancel, exchange_of, quote, sell, trade

from scenarios.venues.kis.matching import Side
from strategies.markets import krx

TYPES = st.sampled_from(["00", "01", "03", "04", "11", "12", "13", "15", "22"])
PRICES = st.sampled_from([9_900, 9_980, 9_990, 10_000, 10_010, 10_050])


class Trading(RuleBasedStateMachine):
    """Orders of all kinds against a tape of a thousand events."""

    def __init__(self) -> None:
        super().__init__()
        moves = [9_980, 9_990, 10_000, 10_010, 10_000, 9_970]
        self.second = 1
        self.events = []
        for i in range(400):
            bid = moves[i % len(moves)]
            self.events.append(quote(1 + i, bid, bid + 10, 7 + i % 5, 5 + i % 7))
            self.events.append(trade(1.5 + i, bid + 10 * (i % 2), 3 + i % 9, i % 2 == 1))
        self.exchange = exchange_of(*self.events, now=1, cash=600_000)

    @rule(seconds=st.integers(1, 6))
    def time_passes(self, seconds):
        self.second += seconds
        self.exchange.advance(self.events[0].ts_ns + self.second * 10**9)

    @rule(is_buy=st.booleans(), quantity=st.integers(0, 40), price=PRICES, kind=TYPES)
    def order(self, is_buy, quantity, price, kind):
        ticket = (buy if is_buy else sell)(quantity, price, kind, condition=price)
        self.exchange.submit(ticket)

    @rule(which=st.integers(0, 30), quantity=st.none() | st.integers(0, 20))
    def cancel_one(self, which, quantity):
        orders = account_of(self.exchange).orders
        if orders:
            self.exchange.change(cancel(orders[which % len(orders)], quantity))

    @rule(which=st.integers(0, 30), quantity=st.none() | st.integers(0, 20), price=PRICES)
    def amend_one(self, which, quantity, price):
        orders = account_of(self.exchange).orders
        if orders:
            self.exchange.change(amend(orders[which % len(orders)], price, quantity))

    @rule()
    def session_ends(self):
        self.exchange.desk.expire()

    @invariant()
    def cash_covers_what_is_reserved(self):
        account = account_of(self.exchange)
        buys = [order for order in account.orders if order.side is Side.BUY]
        assert account.reserved_won == sum(order.reserved_won for order in buys)
        assert 0 <= account.reserved_won <= account.cash_won
        for order in buys:
            value = order.reserve_price * order.open_quantity
            assert order.reserved_won == value + krx.commission_krw(value)

    @invariant()
    def shares_cover_what_is_promised(self):
        account = account_of(self.exchange)
        promised = sum(order.open_quantity for order in account.orders if order.side is Side.SELL)
        held = account.positions[CODE].quantity if CODE in account.positions else 0
        assert account.sellable(CODE) == held - promised >= 0

    @invariant()
    def fills_explain_cash_positions_and_orders(self):
        account = account_of(self.exchange)
        sign = {Side.BUY: -1, Side.SELL: 1}
        cash = sum(sign[f.side] * f.price * f.quantity - f.cost_won for f in account.fills)
        shares = -sum(sign[f.side] * f.quantity for f in account.fills)
        assert account.cash_won == 600_000 + cash
        assert shares == sum(held.quantity for held in account.positions.values())
        for order in account.orders:
            mine = [fill for fill in account.fills if fill.number == order.number]
            assert order.filled == sum(fill.quantity for fill in mine)
            for fill in mine:
                is_buy = order.side is Side.BUY
                assert fill.price <= order.limit if is_buy else fill.price >= order.limit

    @invariant()
    def quantities_add_up(self):
        for order in account_of(self.exchange).orders:
            assert order.open_quantity >= 0
            parts = order.filled + order.cancelled + order.moved + order.rejected
            assert order.is_cancel or order.quantity == parts + order.open_quantity

    @invariant()
    def the_book_holds_what_is_open(self):
        stops = [o.number for orders in self.exchange.desk.stops.values() for o in orders]
        waiting = {e.number: e.left for e in self.exchange.symbols[CODE].book.waiting}
        is_open = {
            order.number: order.open_quantity
            for order in account_of(self.exchange).orders
            if order.open_quantity and order.number not in stops
        }
        assert waiting == is_open


TestTrading = Trading.TestCase
TestTrading.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)


def test_a_new_day_keeps_cash_and_shares_and_forgets_the_days_sums():
    exchange = exchange_of(quote(1), now=2)
    exchange.submit(buy(10, 10_000))
    account = account_of(exchange)
    cash = account.cash_won
    assert (account.deposit_won, account.next_day_won) == (CASH, CASH)
    exchange.books.roll_day()
    assert (account.cash_won, account.deposit_won, account.next_day_won) == (cash, CASH, cash)
    exchange.books.roll_day()
    assert (account.cash_won, account.deposit_won, account.next_day_won) == (cash, cash, cash)
    assert account.positions[CODE].quantity == 10
    assert account.positions[CODE].bought_today == account.bought_today_won == 0


def test_what_was_sold_is_listed_until_it_is_settled():
    exchange = exchange_of(quote(1), now=2)
    exchange.submit(buy(10, 10_000))
    exchange.submit(sell(10, 9_990))
    positions = account_of(exchange).positions
    assert (positions[CODE].quantity, positions[CODE].sold_today) == (0, 10)
    exchange.books.roll_day()
    held = account_of(exchange).positions[CODE]
    assert (held.quantity, held.sold_today, held.sold_before, held.bought_before) == (0, 0, 10, 10)
    exchange.books.roll_day()
    assert account_of(exchange).positions == {}


def test_a_sale_takes_its_share_of_what_was_paid():
    exchange = exchange_of(quote(1), quote(3, 10_040, 10_050), now=2)
    exchange.submit(buy(10, 10_000))
    exchange.advance(exchange.now_ns + 2 * 10**9)
    exchange.submit(buy(10, 10_050))
    exchange.submit(sell(5, 10_040))
    held = account_of(exchange).positions[CODE]
    assert (held.quantity, held.paid_won) == (15, 200_500 * 15 // 20)
