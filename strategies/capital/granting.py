"""Answers one intent: works out the order it means, asks every limit, sizes, grants or refuses.

Rule: what reduces risk is never refused for want of money, calm or fresh data. Where an order
turns a position around and its opening part is refused, its closing part is granted alone.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from nautilus_trader.model import ClientOrderId, InstrumentId, Money, Price, Quantity

from strategies.capital.asks import Ask, Standing, change_of, kind_of, money, number, refuse
from strategies.capital.bands import PriceBands
from strategies.capital.brakes.board import BrakeBoard
from strategies.capital.config import CapitalConfig
from strategies.capital.ledger import Reservation, VenueLedger, fee_raw, notional_raw
from strategies.capital.limits.exposure import ExposureLimits
from strategies.capital.limits.pace import PaceLimits
from strategies.capital.limits.prices import check_age, check_grid, check_sanity, worst_price_raw
from strategies.capital.sizing import stated_raw
from strategies.errors import InvariantBroken
from strategies.markets.facts import RAW_ONE, InstrumentFacts
from strategies.messages import Exit, Grant, Limit, MoneyIntent, Refusal
from strategies.ports import Marks

type Allocations = Callable[[str, VenueLedger], int]
"""Returns a strategy's allocation on a venue, raw."""
type Volatility = Callable[[InstrumentId, int], Decimal | None]


class Granting:
    """Decides about orders; the only one who reserves."""

    def __init__(
        self,
        config: CapitalConfig,
        facts: Mapping[InstrumentId, InstrumentFacts],
        ledgers: Mapping[str, VenueLedger],
        marks: Marks,
        bands: PriceBands,
        board: BrakeBoard,
        allocation_raw: Allocations,
        volatility: Volatility,
    ) -> None:
        self._config = config
        self._rules = config.limits
        self._places = {
            symbol: (fact, ledgers[fact.market.venue], str(fact.currency.code))
            for symbol, fact in facts.items()
        }
        self._marks = marks
        self._bands = bands
        self._board = board
        self._allocation_raw = allocation_raw
        self._volatility = volatility
        self._exposure = ExposureLimits(config.limits, ledgers)
        self.pace = PaceLimits(config.limits, ledgers.values())

    def answer(
        self, strategy: str, intent: MoneyIntent, order_id: ClientOrderId, ts_ns: int
    ) -> Grant | Refusal:
        """Answer with a grant, or with the first limit that says no."""
        ask = self._work_out(strategy, intent, ts_ns)
        if isinstance(ask, Refusal):
            return ask
        refusal = check_grid(ask, self._bands.of(ask.facts.instrument_id))
        if refusal is None and ask.opens_raw != 0:
            refusal = self._check_opening(ask)
            if refusal is not None and ask.closes_raw:
                ask.opens_raw = 0
                no = f"{refusal.limit}, asked {refusal.asked}, allowed {refusal.allowed}"
                ask.reason += f"; only what closes, because what opens was refused: {no}"
                refusal = None
        return refusal or self._round_down(ask) or self._grant(ask, order_id)

    # --- what the intent means ---

    def _work_out(self, strategy: str, intent: MoneyIntent, ts_ns: int) -> Ask | Refusal:
        symbol = intent.instrument_id
        facts, ledger, code = self._places[symbol]
        last = self._marks.price(symbol)
        price = intent.price or last
        if price is None:
            return refuse(
                intent, strategy, Limit.NO_PRICE, "an order", "none before the first price"
            )
        net = ledger.holding(strategy, symbol).net_raw
        change = change_of(intent, Standing(net, *ledger.pending(strategy, symbol)))
        if isinstance(change, str):
            return refuse(intent, strategy, Limit.POSITION, kind_of(intent), change)
        stated = None if isinstance(intent, Exit) else intent
        ask = Ask(
            strategy=strategy,
            facts=facts,
            ledger=ledger,
            buys=change.buys,
            closes_raw=change.closes_raw,
            opens_raw=change.opens_raw,
            price_raw=price.raw,
            last_raw=None if last is None else last.raw,
            limit_price=intent.price,
            sizing=stated.sizing if stated else None,
            stop_raw=stated.stop_price.raw if stated and stated.stop_price else None,
            reason=intent.reason,
            ts_ns=ts_ns,
            code=code,
        )
        band = self._bands.of(symbol)
        ask.worst_raw = worst_price_raw(ask, band, self._rules.market_buffer_bps)
        ask.allocation_raw = self._allocation_raw(strategy, ledger)
        ask.free_closed()
        return ask

    # --- checks of what opens risk ---

    def _check_opening(self, ask: Ask) -> Refusal | None:
        symbol = ask.facts.instrument_id
        if not ask.buys and not ask.facts.market.short_allowed:
            return ask.refuse(
                Limit.SHORT_SALE, "to sell what it does not hold", "no short sale here"
            )
        stop = self._board.stop(ask.strategy, ask.ledger.venue)
        if stop is not None:
            return ask.refuse(Limit.BRAKE, "new risk", f"none: {stop.brake}, {stop.reason}")
        return (
            check_age(ask, self._rules, self._marks.seen_ns(symbol))
            or check_sanity(ask, self._rules)
            or self.pace.check(ask)
            or self._size(ask)
            or self._round_down(ask)
            or self._check_money(ask)
        )

    def _size(self, ask: Ask) -> Refusal | None:
        """Size what states no quantity: by its stated risk, or by an even share; never above."""
        if ask.opens_raw is not None:
            return None
        room = self._exposure.least_room_raw(ask)
        if ask.sizing is None:
            symbols = self._config.symbols[ask.strategy, ask.ledger.venue]
            room = min(room, ask.allocation_raw // symbols)
        # One notional unit more than the quotient could cost a fee above the limit.
        per_unit = ask.worst_raw + fee_raw(ask.worst_raw, ask.facts)
        ask.opens_raw = max(0, room) * RAW_ONE // per_unit
        if ask.sizing is not None:
            known = self._volatility(ask.facts.instrument_id, ask.ts_ns)
            stated = stated_raw(ask, ask.sizing, known)
            if isinstance(stated, Refusal):
                return stated
            ask.opens_raw = min(ask.opens_raw, stated)
        return self._check_smallest(ask)

    def _check_smallest(self, ask: Ask) -> Refusal | None:
        """Name the limit that leaves no room for even the smallest order."""
        smallest = max(ask.facts.lot_raw, ask.facts.min_quantity_raw)
        if ask.closes_raw + (ask.opens_raw or 0) >= smallest:
            return None
        cost = notional_raw(ask.worst_raw, smallest, ask.facts.currency)
        return self._exposure.check(ask, cost + fee_raw(cost, ask.facts))

    def _round_down(self, ask: Ask) -> Refusal | None:
        """Round the whole order down to the lot; the closing part goes first."""
        facts = ask.facts
        total = ask.closes_raw + (ask.opens_raw or 0)
        rounded = total - total % facts.lot_raw
        smallest = max(facts.lot_raw, facts.min_quantity_raw)
        if rounded < smallest:
            asked = f"{number(total)} at up to {number(ask.worst_raw)}"
            return ask.refuse(Limit.LOT, asked, f"at least {number(smallest)}")
        ask.closes_raw = min(ask.closes_raw, rounded)
        ask.opens_raw = rounded - ask.closes_raw
        return None

    def _check_money(self, ask: Ask) -> Refusal | None:
        opens, currency = ask.opens_raw, ask.facts.currency
        if not opens:
            return None
        value = notional_raw(ask.price_raw, opens, currency)
        if value < ask.facts.min_notional_raw:
            least = money(ask.facts.min_notional_raw, currency)
            return ask.refuse(Limit.MIN_NOTIONAL, money(value, currency), f"at least {least}")
        worst = notional_raw(ask.worst_raw, opens, currency)
        return self._exposure.check(ask, worst + fee_raw(worst, ask.facts))

    # --- the grant ---

    def _grant(self, ask: Ask, order_id: ClientOrderId) -> Grant:
        if ask.opens_raw is None:
            raise InvariantBroken("the capital manager granted an order it had not sized.")
        facts, total = ask.facts, ask.closes_raw + ask.opens_raw
        held = Reservation(ask.strategy, facts, ask.side, total, ask.closes_raw, ask.worst_raw)
        ask.ledger.reserve(order_id, held)
        self.pace.count(ask.ts_ns)
        return Grant(
            ask.strategy,
            order_id,
            facts.instrument_id,
            ask.side,
            Quantity.from_raw(total, facts.size_precision),
            ask.limit_price,
            ask.opens_raw == 0,
            Money.from_raw(held.amount_raw, facts.currency),
            ask.reason,
            Quantity.from_raw(ask.closes_raw, facts.size_precision),
            Price.from_raw(ask.worst_raw, facts.price_precision),
        )

    def fold(self, grant: Grant, ts_ns: int) -> None:
        """Reserve again what a journalled grant reserved."""
        if grant.closes is None or grant.worst is None:
            raise InvariantBroken(f"the grant of order {grant.order_id} lacks closes or worst.")
        facts, ledger, _ = self._places[grant.instrument_id]
        ledger.reserve(
            grant.order_id,
            Reservation(
                grant.strategy,
                facts,
                grant.side,
                grant.quantity.raw,
                grant.closes.raw,
                grant.worst.raw,
            ),
        )
        self.pace.count(ts_ns)
