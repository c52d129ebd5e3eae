"""The ledger adds up after any interleaving of what strategies, venues and restarts can do.

The model beside it keeps its own sums from the messages alone: cash from fills, open orders from
grants and reports, profits from first-in average cost.
"""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from books import BTC, BUY, HOUR_NS, HYNIX, SAMSUNG, SELL, Books, granted, krx_facts, perp_facts
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
)
from nautilus_trader.model import (
    Currency,
    InstrumentId,
    Money,
    PositionSide,
    Price,
    Quantity,
)

from strategies.capital.config import BrakeRules, LimitRules, StageRules
from strategies.capital.ledger import Holding, VenueLedger, fee_raw, notional_raw
from strategies.markets.facts import RAW_ONE
from strategies.messages import (
    CashCorrection,
    Enter,
    Exit,
    Fill,
    Grant,
    OrderState,
    PositionUpdate,
    Target,
)


@given(
    price=st.decimals("0.0001", "99999", places=4),
    size=st.decimals("0.000001", "9999", places=6),
)
def test_notional_rounds_as_the_engine_rounds_money(price: Decimal, size: Decimal) -> None:
    currency = Currency.from_str("USDT")
    exact = Money.from_decimal((price * size).quantize(Decimal("1e-8")), currency)
    raw = notional_raw(Price.from_decimal(price).raw, Quantity.from_decimal(size).raw, currency)
    assert raw == exact.raw


@given(st.lists(st.tuples(st.integers(-50, 50).filter(bool), st.integers(1, 500))))
def test_a_holding_costs_nothing_when_flat_and_loses_no_money(
    fills: list[tuple[int, int]],
) -> None:
    holding = Holding()
    net = paid = realized = 0
    for quantity, price in fills:
        realized += holding.apply(quantity * RAW_ONE, abs(quantity) * price * RAW_ONE)
        net += quantity
        paid += quantity * price * RAW_ONE
        assert holding.net_raw == net * RAW_ONE
        assert holding.cost_raw >= 0
        assert (holding.cost_raw == 0) == (net == 0)
        # What was paid is what is held at cost, less what was realised.
        assert paid == (holding.cost_raw if net > 0 else -holding.cost_raw) - realized


LIMITS = LimitRules(
    order_max_raw={"KRW": 3_000_000 * RAW_ONE, "USDT": 30_000 * RAW_ONE},
    symbol_max_raw={"KRW": 5_000_000 * RAW_ONE, "USDT": 60_000 * RAW_ONE},
    strategy_max_raw={"KRW": 4_500_000 * RAW_ONE, "USDT": 45_000 * RAW_ONE},
    venue_max_raw={"KRX": 8_000_000 * RAW_ONE},
    gross_max_raw={"USDT": 50_000 * RAW_ONE},
    net_max_raw={"USDT": 40_000 * RAW_ONE},
    sectors={SAMSUNG: "chips", HYNIX: "chips"},
    sector_share=Decimal("0.6"),
    open_orders=12,
    orders_per_second=0,
)
BRAKES = BrakeRules(
    drawdown_steps=((10, Decimal("0.5")), (30, Decimal(0))),
    losing_streak=2,
    cooldown_ns=5 * HOUR_NS,
    strategy_loss_raw={"KRW": 20_000 * RAW_ONE, "USDT": 300 * RAW_ONE},
)
PRICES = {SAMSUNG: (69_000, 70_000, 70_700), HYNIX: (199_000, 200_000, 202_000)}


class Interleavings(RuleBasedStateMachine):
    """Three strategies, two venues, two currencies; venues fill, refuse, repeat and are late."""

    orders: Bundle[Grant] = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.books = Books(
            krx_facts(),
            krx_facts("000660"),
            perp_facts(),
            weights={"a": "0.4", "b": "0.35", "c": "0.25"},
            limits=LIMITS,
            brakes=BRAKES,
            stages=StageRules(shares={"c": (Decimal("0.5"), Decimal(1))}, trades=1),
            sample_ns=HOUR_NS,
        )
        self.books.now_ns = 24 * HOUR_NS + 1
        for symbol in (SAMSUNG, HYNIX, BTC):
            self.books.mark(symbol, self._price(symbol, 1))
        self.books.start()
        self.left: dict[str, int] = {}
        self.open: dict[str, Grant] = {}
        self.fills: list[Fill] = []
        self.cash = {"KRX": 10_000_000 * RAW_ONE, "BINANCE": 100_000 * RAW_ONE}
        self.corrected = {"KRX": 0, "BINANCE": 0}
        self.given_up: set[str] = set()
        self.late = False

    def _price(self, symbol: InstrumentId, at: int) -> str:
        """Return a price of the fixed three: better, last, and the worst allowed for a buy."""
        if symbol == BTC:
            return ("49500.0", "50000.0", "50500.0")[at]
        return str(PRICES[symbol][at])

    # --- what strategies do ---

    @rule(
        target=orders,
        strategy=st.sampled_from("abc"),
        symbol=st.sampled_from([SAMSUNG, HYNIX, BTC]),
        side=st.sampled_from([BUY, SELL]),
        lots=st.one_of(st.none(), st.integers(1, 120)),
    )
    def enter(self, strategy: str, symbol: InstrumentId, side: object, lots: int | None) -> object:
        return self._ask(strategy, Enter(symbol, side, "r", self._size(symbol, lots)))

    @rule(
        target=orders,
        strategy=st.sampled_from("abc"),
        symbol=st.sampled_from([SAMSUNG, HYNIX, BTC]),
        lots=st.one_of(st.none(), st.integers(1, 60)),
    )
    def leave(self, strategy: str, symbol: InstrumentId, lots: int | None) -> object:
        return self._ask(strategy, Exit(symbol, "r", self._size(symbol, lots)))

    @rule(
        target=orders,
        strategy=st.sampled_from("abc"),
        side=st.sampled_from([PositionSide.LONG, PositionSide.SHORT, PositionSide.FLAT]),
        lots=st.one_of(st.none(), st.integers(1, 60)),
    )
    def turn(self, strategy: str, side: PositionSide, lots: int | None) -> object:
        return self._ask(strategy, Target(BTC, side, "r", self._size(BTC, lots)))

    def _size(self, symbol: InstrumentId, lots: int | None) -> Quantity | None:
        if lots is None:
            return None
        return Quantity.from_str(f"{Decimal(lots) / 100:.3f}" if symbol == BTC else str(lots))

    def _ask(self, strategy: str, intent: Enter | Exit | Target) -> object:
        before = self._numbers()
        answer = self.books.ask(strategy, intent)
        if not isinstance(answer, Grant):
            assert self._numbers() == before, "a refusal changed the books"
            return multiple()
        self.left[str(answer.order_id)] = answer.quantity.raw
        self.open[str(answer.order_id)] = answer
        self._no_limit_is_exceeded(answer)
        return answer

    # --- what venues do ---

    @rule(order=orders, part=st.integers(1, 4), at=st.integers(0, 2), fee=st.integers(0, 3))
    def fill(self, order: Grant, part: int, at: int, fee: int) -> None:
        """Fill a part at a price not worse than the worst; also after the order's end."""
        left = self.left[str(order.order_id)]
        fact = self.books.facts[order.instrument_id]
        size = max(fact.lot_raw, order.quantity.raw // part // fact.lot_raw * fact.lot_raw)
        raw = min(left, size)
        if raw == 0:
            return
        self.late = self.late or str(order.order_id) not in self.open
        self._live(order)
        self.left[str(order.order_id)] = left - raw
        if left == raw:
            self.open.pop(str(order.order_id), None)
        quantity = str(Quantity.from_raw(raw, fact.size_precision))
        fill = self.books.fill(order, self._price(order.instrument_id, at), quantity, str(fee))
        self.fills.append(fill)
        self._pay(fill)

    def _pay(self, fill: Fill) -> None:
        fact = self.books.facts[fill.instrument_id]
        venue = fact.market.venue
        if venue == "KRX":
            value = notional_raw(fill.price.raw, fill.quantity.raw, fact.currency)
            self.cash[venue] -= fill.commission.raw + (value if fill.side == BUY else -value)
            return
        # The venue says what a step realised; here a fixed loss, which the ledger must take.
        step = Money.from_str("-1 USDT")
        update = PositionUpdate(BTC, PositionSide.LONG, fill.quantity, "0", step, self.books.now_ns)
        self.books.hear(update, self.books.capital.on_position(update))
        self.cash[venue] += step.raw

    @rule(pick=st.randoms(use_true_random=False))
    def repeat(self, pick: object) -> None:
        """Report a fill once more."""
        if self.fills:
            before = self._numbers()
            assert not self.books.capital.on_fill(pick.choice(self.fills))
            assert self._numbers() == before

    @rule(
        order=orders,
        state=st.sampled_from(
            [OrderState.CANCELED, OrderState.REJECTED, OrderState.EXPIRED, OrderState.DENIED]
        ),
    )
    def end(self, order: Grant, state: OrderState) -> None:
        was_open = self.open.pop(str(order.order_id), None)
        if was_open is not None and state is OrderState.REJECTED:
            self.given_up.add(str(order.order_id))
        elif state is not OrderState.REJECTED:
            self.given_up.discard(str(order.order_id))
        self.books.end(order, state)

    @rule(order=orders)
    def accept(self, order: Grant) -> None:
        """Accept an order, also one that was given up: only that one holds money again."""
        self.late = self.late or str(order.order_id) not in self.open
        self._live(order)
        self.books.end(order, OrderState.ACCEPTED)

    def _live(self, order: Grant) -> None:
        if str(order.order_id) in self.given_up:
            self.given_up.remove(str(order.order_id))
            self.open[str(order.order_id)] = order

    @rule(venue=st.sampled_from(["KRX", "BINANCE"]), won=st.integers(-90_000, 90_000))
    def correct(self, venue: str, won: int) -> None:
        """Correct a venue's cash: its equity changes, and nobody's result."""
        code = "KRW" if venue == "KRX" else "USDT"
        amount = Money.from_str(f"{won} {code}")
        correction = CashCorrection(venue, amount, "fees", self.books.now_ns)
        profits = dict(self.books.ledgers[venue].realized_raw)
        self.books.hear(correction, self.books.capital.on_cash(correction))
        assert self.books.ledgers[venue].realized_raw == profits
        self.late = self.late or self.books.ledgers[venue].free_raw() < 0  # bound already, no grant
        self.cash[venue] += amount.raw
        self.corrected[venue] += amount.raw

    @rule(hours=st.integers(1, 30), at=st.integers(0, 2))
    def wait(self, hours: int, at: int) -> None:
        """Let time pass: proceeds of sales arrive, prices move, brakes and stages are looked at."""
        self.books.now_ns += hours * HOUR_NS
        for symbol in (SAMSUNG, HYNIX, BTC):
            self.books.mark(symbol, self._price(symbol, at))
        self.books.ring("brakes", self.books.now_ns)
        self.books.ring("sample", self.books.now_ns)
        for symbol in (SAMSUNG, HYNIX, BTC):
            self.books.mark(symbol, self._price(symbol, 1))
        for ledger in self.books.ledgers.values():
            ledger.settlement.arrive(self.books.now_ns)

    # --- what must hold ---

    def _no_limit_is_exceeded(self, grant: Grant) -> None:
        """Fill everything that is open at its worst price, in thought: no limit is passed.

        After a late fill the books may stand beyond a limit, which no grant has caused.
        """
        if self.late or grant.reduces:
            return
        reserved: dict[tuple[str, InstrumentId], int] = {}
        for order in self.open.values():
            key = (order.strategy, order.instrument_id)
            reserved[key] = reserved.get(key, 0) + self._worst(order)
        cost: dict[tuple[str, InstrumentId], int] = {}
        for venue, ledger in self.books.ledgers.items():
            for key, holding in ledger.holdings.items():
                cost[key] = holding.cost_raw
            spent = _of(reserved, lambda s, i, v=venue: i.venue.value == v)
            bound = ledger.total_committed_raw() if ledger.margin else 0
            fees = 10 * RAW_ONE * (1 + len(self.fills))
            assert spent + bound <= self.cash[venue] + fees
        use = {key: reserved.get(key, 0) + cost.get(key, 0) for key in {**reserved, **cost}}
        mine = grant.strategy
        code = "USDT" if grant.instrument_id == BTC else "KRW"
        venue = grant.instrument_id.venue.value
        freed = self._freed(grant)
        at_venue = _of(use, lambda s, i: i.venue.value == venue) - freed
        by_me = _of(use, lambda s, i: s == mine and i.venue.value == venue) - freed
        of_symbol = _of(use, lambda s, i: i == grant.instrument_id) - freed
        assert of_symbol <= LIMITS.symbol_max_raw[code]
        assert by_me <= LIMITS.strategy_max_raw[code]
        equity = self.books.ledgers[venue].book_equity_raw()
        assert by_me <= int(equity * self.books.config.weights[mine])
        if venue == "KRX":
            assert at_venue <= LIMITS.venue_max_raw["KRX"]
            assert at_venue <= int(equity * LIMITS.sector_share)
        else:
            assert at_venue <= LIMITS.gross_max_raw["USDT"]
        assert len(self.open) <= LIMITS.open_orders

    def _worst(self, order: Grant) -> int:
        fact = self.books.facts[order.instrument_id]
        done = order.quantity.raw - self.left[str(order.order_id)]
        opens = order.quantity.raw - max(order.closes.raw, done)
        value = notional_raw(order.worst.raw, opens, fact.currency)
        return value + fee_raw(value, fact)

    def _freed(self, grant: Grant) -> int:
        """Return the cost of what this very grant closes before it opens."""
        ledger = self.books.ledgers[grant.instrument_id.venue.value]
        holding = ledger.holding(grant.strategy, grant.instrument_id)
        held = abs(holding.net_raw)
        return holding.cost_raw * min(grant.closes.raw, held) // held if held else 0

    @invariant()
    def adds_up(self) -> None:
        for venue, ledger in self.books.ledgers.items():
            assert ledger.cash_raw() == self.cash[venue]
            orders = [o for o in self.open.values() if o.instrument_id.venue.value == venue]
            assert ledger.total_reserved_raw() == sum(map(self._worst, orders))
            holdings = ledger.holdings.values()
            owed = sum(h.cost_raw for h in holdings if h.net_raw < 0)
            held = sum(h.cost_raw for h in holdings if h.net_raw > 0)
            cost = held + owed if ledger.margin else held - owed
            assert ledger.total_committed_raw() == cost
            parts = (
                ledger.free_raw(),
                ledger.total_reserved_raw(),
                ledger.total_committed_raw(),
                ledger.unsettled_raw(),
            )
            equity = self.cash[venue] + (0 if ledger.margin else cost)
            assert sum(parts) == equity == ledger.book_equity_raw()
            assert sum(ledger.symbol_raw.values()) == parts[1] + held + owed == ledger.gross_raw()
            assert ledger.unsettled_raw() >= 0

    @invariant()
    def equity_is_what_was_earned(self) -> None:
        ledger = self.books.ledgers["KRX"]
        earned = sum(ledger.realized_raw.values())
        assert ledger.corrected_raw == self.corrected["KRX"]
        assert ledger.book_equity_raw() == 10_000_000 * RAW_ONE + earned + self.corrected["KRX"]

    @invariant()
    def a_restart_gives_the_same_books(self) -> None:
        if len(self.books.journal) % 5:
            return
        again = self.books.folded()
        for venue, ledger in again.ledgers.items():
            ledger.settlement.arrive(self.books.now_ns)
            assert _state(ledger) == _state(self.books.ledgers[venue])
        assert again.capital.board.pulled == self.books.capital.board.pulled
        assert again.capital.stages.standings == self.books.capital.stages.standings
        for name in again.ledgers:
            for who in "abc":
                ours, theirs = (
                    b.capital.allocation_raw(who, b.ledgers[name]) for b in (self.books, again)
                )
                assert ours == theirs

    def teardown(self) -> None:
        """End everything: nothing stays reserved, in whatever order it ends."""
        again = self.books.folded()
        for books, orders in ((self.books, [*self.open.values()]), (again, [*self.open.values()])):
            for order in orders if books is self.books else reversed(orders):
                books.end(order)
            for venue, ledger in books.ledgers.items():
                ledger.settlement.arrive(self.books.now_ns)
                assert ledger.total_reserved_raw() == 0
                assert _state(ledger) == _state(self.books.ledgers[venue])

    def _numbers(self) -> list[object]:
        return [_state(ledger) for ledger in self.books.ledgers.values()]


def _of(amounts: dict[tuple[str, InstrumentId], int], chosen: object) -> int:
    return sum(raw for (strategy, symbol), raw in amounts.items() if chosen(strategy, symbol))


def _state(ledger: VenueLedger) -> Sequence[object]:
    """Return everything a ledger knows that is not nothing, in a fixed order."""
    return (
        sorted(ledger.balances_raw.items()),
        sorted((str(k), vars_of(v)) for k, v in ledger.reservations.items()),
        sorted((str(k), h.net_raw, h.cost_raw) for k, h in ledger.holdings.items()),
        _known(ledger.committed_raw),
        _known(ledger.reserved_raw),
        _known(ledger.realized_raw),
        _known(ledger.symbol_raw),
        _known(ledger.buys_left_raw),
        _known(ledger.sales_left_raw),
        (ledger.long_raw, ledger.short_raw, ledger.buying_raw, ledger.selling_raw),
        (_known(ledger.settlement.due_raw), ledger.settlement.total_raw),
        sorted((str(order), trade) for order, trade in ledger.trades),
        sorted((str(k), vars_of(v)) for k, v in ledger.given_up.items()),
        ledger.corrected_raw,
    )


def _known(amounts: dict[object, int]) -> list[tuple[str, int]]:
    return sorted((str(key), raw) for key, raw in amounts.items() if raw)


def vars_of(reservation: object) -> tuple[object, ...]:
    names = ("strategy", "left_raw", "closes_raw", "worst_price_raw")
    return (str(reservation.side), *(getattr(reservation, name) for name in names))


Interleavings.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestInterleavings = Interleavings.TestCase


# --- settlement, by hand ---


def test_proceeds_of_a_sale_arrive_on_the_second_session_after_it_and_buy_before() -> None:
    books = Books(krx_facts(), weights={"a": "1"})
    books.now_ns = 24 * HOUR_NS + 1
    books.mark(SAMSUNG, "70000")
    entry = granted(books.ask("a", Enter(SAMSUNG, BUY, "r", Quantity.from_str("100"))))
    books.fill(entry, "70000")
    books.fill(granted(books.ask("a", Exit(SAMSUNG, "r"))), "71000", fee="1000")
    ledger = books.ledgers["KRX"]
    # 10,000,000 - 7,000,000 settled; 7,100,000 - 1,000 on its way
    assert ledger.free_raw() == 3_000_000 * RAW_ONE
    assert ledger.unsettled_raw() == 7_099_000 * RAW_ONE
    assert ledger.spendable_raw() == ledger.book_equity_raw() == 10_099_000 * RAW_ONE
    again = granted(books.ask("a", Enter(SAMSUNG, BUY, "r", Quantity.from_str("10"))))
    # 10 x 70,700 and a fee of 106.05 are bound from what is on its way first
    assert ledger.unsettled_raw() == (7_099_000 - 707_107) * RAW_ONE
    assert ledger.free_raw() == 3_000_000 * RAW_ONE
    books.fill(again, "70000")
    assert ledger.unsettled_raw() == (7_099_000 - 700_000) * RAW_ONE
    for day, left in ((2, 6_399_000), (3, 0)):
        ledger.settlement.arrive(day * 24 * HOUR_NS)
        assert ledger.unsettled_raw() == left * RAW_ONE
    assert ledger.free_raw() == 9_399_000 * RAW_ONE


def test_a_purchase_uses_up_what_arrives_first() -> None:
    settlement = Books(krx_facts()).ledgers["KRX"].settlement
    settlement.sold(100, 24 * HOUR_NS + 1)
    settlement.sold(200, 48 * HOUR_NS + 1)
    settlement.bought(150)
    assert settlement.due_raw == {96 * HOUR_NS: 150}
    settlement.arrive(96 * HOUR_NS - 1)
    assert settlement.total_raw == 150
    settlement.arrive(96 * HOUR_NS)
    assert (settlement.total_raw, settlement.due_raw) == (0, {})


def test_a_sale_beyond_the_known_sessions_never_arrives() -> None:
    settlement = Books(krx_facts()).ledgers["KRX"].settlement
    settlement.sold(100, 8 * 24 * HOUR_NS)
    settlement.arrive(10_000 * HOUR_NS)
    assert settlement.total_raw == 100


def test_a_cash_account_owes_what_it_sold_twice() -> None:
    books = Books(krx_facts(), weights={"a": "1"})
    books.mark(SAMSUNG, "70000")
    books.fill(granted(books.ask("a", Enter(SAMSUNG, BUY, "r", Quantity.from_str("10")))), "70000")
    first = granted(books.ask("a", Exit(SAMSUNG, "r")))
    books.end(first)
    books.fill(granted(books.ask("a", Exit(SAMSUNG, "r"))), "70000")
    books.fill(first, "70000")
    ledger = books.ledgers["KRX"]
    assert ledger.cash_raw() == 10_700_000 * RAW_ONE
    assert ledger.total_committed_raw() == -700_000 * RAW_ONE
    assert ledger.book_equity_raw() == 10_000_000 * RAW_ONE


def test_where_proceeds_may_not_buy_they_are_not_spendable() -> None:
    books = Books(krx_facts(), weights={"a": "1"})
    ledger = books.ledgers["KRX"]
    ledger.settlement.proceeds_buy = False
    ledger.balances_raw["KRW"] = 5_000_000 * RAW_ONE
    ledger.settlement.sold(4_000_000 * RAW_ONE, 24 * HOUR_NS + 1)
    assert ledger.spendable_raw() == ledger.free_raw() == 1_000_000 * RAW_ONE
    ledger.settlement.bought(500_000 * RAW_ONE)
    assert ledger.unsettled_raw() == 4_000_000 * RAW_ONE


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_releases_restore_exactly_in_any_order(order: tuple[int, ...]) -> None:
    books = Books(krx_facts(), perp_facts())
    books.mark(SAMSUNG, "70000")
    books.mark(BTC, "50000.0")
    before = [_state(ledger)[:10] for ledger in books.ledgers.values()]
    asked = [("a", SAMSUNG, "7"), ("b", SAMSUNG, "11"), ("a", BTC, "0.123")]
    grants = [
        granted(books.ask(who, Enter(symbol, BUY, "r", Quantity.from_str(size))))
        for who, symbol, size in asked
    ]
    for i in order:
        books.end(grants[i])
    assert [_state(ledger)[:10] for ledger in books.ledgers.values()] == before
