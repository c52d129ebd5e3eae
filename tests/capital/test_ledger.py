"""The ledger adds up after any interleaving of grants, partial fills and ends."""

from decimal import Decimal

from books import BTC, SAMSUNG, Books, krx_facts, perp_facts
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from nautilus_trader.model import Currency, Money, OrderSide, Price, Quantity

from strategies.capital.ledger import Holding, notional_raw
from strategies.markets.facts import RAW_ONE
from strategies.messages import Enter, Exit, Grant


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
def test_a_holding_costs_nothing_exactly_when_it_is_flat(fills: list[tuple[int, int]]) -> None:
    holding = Holding()
    net = 0
    for quantity, price in fills:
        holding.apply(quantity * RAW_ONE, abs(quantity) * price * RAW_ONE)
        net += quantity
        assert holding.net_raw == net * RAW_ONE
        assert holding.cost_raw >= 0
        assert (holding.cost_raw == 0) == (net == 0)


class Interleavings(RuleBasedStateMachine):
    """Two strategies, two venues, orders that fill in parts, end early, or both."""

    orders: Bundle[Grant] = Bundle("orders")

    def __init__(self) -> None:
        super().__init__()
        self.books = Books(krx_facts(), perp_facts())
        self.books.mark(SAMSUNG, "70000")
        self.books.mark(BTC, "50000.0")
        self.left: dict[str, int] = {}
        self.cash = {"KRX": 10_000_000 * RAW_ONE, "BINANCE": 100_000 * RAW_ONE}

    @rule(
        target=orders,
        strategy=st.sampled_from(["a", "b"]),
        instrument=st.sampled_from([SAMSUNG, BTC]),
        lots=st.integers(1, 120),
    )
    def enter(self, strategy: str, instrument: object, lots: int) -> object:
        text = str(lots) if instrument == SAMSUNG else f"{Decimal(lots) / 100:.3f}"
        intent = Enter(instrument, OrderSide.BUY, "r", Quantity.from_str(text))
        return self._taken(self.books.ask(strategy, intent))

    @rule(
        target=orders,
        strategy=st.sampled_from(["a", "b"]),
        instrument=st.sampled_from([SAMSUNG, BTC]),
    )
    def leave(self, strategy: str, instrument: object) -> object:
        return self._taken(self.books.ask(strategy, Exit(instrument, "r")))

    def _taken(self, answer: object) -> object:
        if not isinstance(answer, Grant):
            from hypothesis.stateful import multiple

            return multiple()
        self.left[str(answer.order_id)] = answer.quantity.raw
        return answer

    @rule(order=orders, part=st.integers(1, 4))
    def fill(self, order: Grant, part: int) -> None:
        left = self.left.get(str(order.order_id), 0)
        fact = self.books.facts[order.instrument_id]
        raw = min(
            left, max(fact.lot_raw, order.quantity.raw // part // fact.lot_raw * fact.lot_raw)
        )
        if raw == 0:
            return
        self.left[str(order.order_id)] = left - raw
        text = "70000" if order.instrument_id == SAMSUNG else "50000.0"
        size = Quantity.from_raw(raw, fact.size_precision)
        fill = self.books.fill(order, text, str(size), fee="3")
        venue = fact.market.venue
        value = notional_raw(fill.price.raw, raw, fact.currency)
        if venue == "KRX":
            sign = -1 if fill.side == OrderSide.BUY else 1
            self.cash[venue] += sign * value - 3 * RAW_ONE

    @rule(order=consumes(orders))
    def cancel(self, order: Grant) -> None:
        self.left[str(order.order_id)] = 0
        self.books.end(order)

    @invariant()
    def adds_up(self) -> None:
        for venue, ledger in self.books.ledgers.items():
            assert ledger.cash_raw() == self.cash[venue]
            held = sum(r.amount_raw() for r in ledger.reservations.values())
            assert ledger.total_reserved_raw() == held
            cost = sum(h.cost_raw for h in ledger.holdings.values())
            assert ledger.total_committed_raw() == cost
            assert sum(ledger.symbol_raw.values()) == held + cost
            pending: dict[object, int] = {}
            for reservation in ledger.reservations.values():
                key = (reservation.strategy, reservation.facts.instrument_id)
                signed = (
                    reservation.left_raw
                    if reservation.side == OrderSide.BUY
                    else -reservation.left_raw
                )
                pending[key] = pending.get(key, 0) + signed
            for key, raw in ledger.pending_raw.items():
                assert raw == pending.get(key, 0)

    @invariant()
    def never_takes_more_than_there_is(self) -> None:
        for ledger in self.books.ledgers.values():
            assert ledger.free_raw() >= -200 * RAW_ONE  # fees of this test are not the market's
            for holding in ledger.holdings.values():
                assert holding.net_raw >= 0


Interleavings.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestInterleavings = Interleavings.TestCase
