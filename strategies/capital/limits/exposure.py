"""Limits on money: how much room every one of them leaves for one more order.

Rule: exposure is at cost, and open orders count as filled at their worst price, so that nothing
granted can carry a limit over its number.
"""

from collections.abc import Iterator, Mapping, Sequence

from nautilus_trader.model import InstrumentId, OrderSide

from strategies.capital.asks import Ask, Room, money
from strategies.capital.config import LimitRules, ppb
from strategies.capital.ledger import Reservation, VenueLedger
from strategies.markets.facts import PPB
from strategies.messages import Limit, Refusal


class ExposureLimits:
    """Knows the room left under each money limit, in the order they are named in a refusal."""

    def __init__(self, rules: LimitRules, ledgers: Mapping[str, VenueLedger]) -> None:
        self._rules = rules
        self._sector_ppb = ppb(rules.sector_share)
        self._cash_ppb = ppb(rules.cash_share)
        members: dict[tuple[str, str], list[InstrumentId]] = {}
        for instrument_id, sector in rules.sectors.items():
            members.setdefault((instrument_id.venue.value, sector), []).append(instrument_id)
        self._members: Mapping[InstrumentId, tuple[str, Sequence[InstrumentId]]] = {
            instrument_id: (sector, tuple(members[instrument_id.venue.value, sector]))
            for instrument_id, sector in rules.sectors.items()
        }
        # The ledgers that hold the currency of a venue, by venue.
        self._sharing = {
            venue: [each for each in ledgers.values() if each.currency == ledger.currency]
            for venue, ledger in ledgers.items()
        }

    def check(self, ask: Ask, need_raw: int) -> Refusal | None:
        """Refuse where the money needed exceeds the first room that is too small."""
        for limit, room, over in ask.rooms or self._look(ask):
            if need_raw > room:
                currency = ask.facts.currency
                most = f"at most {money(max(0, room), currency)}{over}"
                return ask.refuse(limit, money(need_raw, currency), most)
        return None

    def least_room_raw(self, ask: Ask) -> int:
        """Return what all limits together leave."""
        return max(0, min(room for _, room, _ in ask.rooms or self._look(ask)))

    def _look(self, ask: Ask) -> tuple[Room, ...]:
        """Work all rooms out, once for an ask: nothing moves while it is answered."""
        ask.rooms = tuple(self._rooms(ask))
        return ask.rooms

    def _rooms(self, ask: Ask) -> Iterator[Room]:
        rules, ledger, freed = self._rules, ask.ledger, ask.freed_raw
        code, symbol = ask.code, ask.facts.instrument_id
        most = rules.order_max_raw.get(code)
        if most is not None:
            yield Limit.ORDER, most, ""
        most = rules.symbol_max_raw.get(code)
        if most is not None:
            yield Limit.SYMBOL, most - ledger.symbol_raw.get(symbol, 0) + freed, ""
        sector = self._members.get(symbol)
        if sector is not None:
            yield self._sector_room(ledger, sector, freed)
        use = ledger.use_raw(ask.strategy) - freed
        most = rules.own_max_raw.get((ask.strategy, code), rules.strategy_max_raw.get(code))
        if most is not None:
            yield Limit.STRATEGY, most - use, ""
        yield Limit.ALLOCATION, ask.allocation_raw - use, ""
        yield from self._wide_rooms(ask, code, freed)
        spendable = ledger.spendable_raw() + (freed if ledger.margin else 0)
        kept = ledger.book_equity_raw() * self._cash_ppb // PPB
        yield Limit.CASH, spendable - kept, " after what is kept in cash" if kept else ""

    def _sector_room(
        self, ledger: VenueLedger, sector: tuple[str, Sequence[InstrumentId]], freed: int
    ) -> Room:
        name, members = sector
        exposure = ledger.symbol_raw
        used = sum(exposure.get(member, 0) for member in members)
        most = ledger.book_equity_raw() * self._sector_ppb // PPB
        return Limit.SECTOR, most - used + freed, f" more in sector {name}"

    def _wide_rooms(self, ask: Ask, code: str, freed: int) -> Iterator[Room]:
        rules, ledger = self._rules, ask.ledger
        most = rules.venue_max_raw.get(ledger.venue)
        if most is not None:
            yield Limit.VENUE, most - ledger.gross_raw() + freed, ""
        sharing = self._sharing[ledger.venue]
        most = rules.gross_max_raw.get(code)
        if most is not None:
            yield Limit.GROSS, most - sum(each.gross_raw() for each in sharing) + freed, ""
        most = rules.net_max_raw.get(code)
        if most is not None:
            net = sum(_net_raw(each, buys=ask.buys) for each in sharing)
            yield Limit.NET, most - net - freed, ""


def _net_raw(ledger: VenueLedger, *, buys: bool) -> int:
    """Return the net exposure on a side if every order on that side fills and none on the other.

    What orders of this side close of the other side no longer balances it.
    """
    side = OrderSide.BUY if buys else OrderSide.SELL
    closing = sum(
        _closing_cost_raw(ledger, reservation)
        for reservation in ledger.reservations.values()
        if reservation.closes_raw and reservation.side == side
    )
    if buys:
        return ledger.long_raw + ledger.buying_raw - ledger.short_raw + closing
    return ledger.short_raw + ledger.selling_raw - ledger.long_raw + closing


def _closing_cost_raw(ledger: VenueLedger, reservation: Reservation) -> int:
    holding = ledger.holding(reservation.strategy, reservation.facts.instrument_id)
    held = abs(holding.net_raw)
    return holding.cost_raw * min(reservation.closes_raw, held) // held if held else 0
