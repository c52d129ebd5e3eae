"""The market that is played: tape, phases, auctions, halts, matching and books in one time line.

Rule: `advance` is the only thing that moves it, to a market time it is told; what clients would
hear is collected as emissions, made at the moment they happen and only where someone listens.
"""

import heapq
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count

from scenarios.venues.kis.books import Books
from scenarios.venues.kis.cipher import secret_text
from scenarios.venues.kis.market_time import SECOND_NS, hms, ymd
from scenarios.venues.kis.matching import Match
from scenarios.venues.kis.order_desk import BRANCH, Change, OrderDesk, Receipt, Refused, Ticket
from scenarios.venues.kis.orders import Order
from scenarios.venues.kis.personality import BOOK, EXPECTED, INDEX, INDEX_CODES, STATUS, TRADE
from scenarios.venues.kis.phases import AUCTIONS, Boundary, Phase, TradingDay
from scenarios.venues.kis.records import (
    AFTER_HOUR,
    AUCTION_HOUR,
    CONTINUOUS_HOUR,
    PRE_OPEN_HOUR,
    Record,
    book_record,
    expected_record,
    index_record,
    notice_record,
    status_record,
    trade_record,
)
from scenarios.venues.kis.symbols import Print, Quote, Symbol

type TapeEvent = Quote | Print
type Tape = Iterator[TapeEvent]

VI_S = 120
RANDOM_END_S = 30
BREAKER_HALT_S = 20 * 60
CALL_EVERY_NS = 10 * SECOND_NS
OPENING_WAIT_NS = SECOND_NS
_NEVER = 1 << 62
_OPERATIONS = {
    Phase.OPENING_AUCTION: "10",
    Phase.CONTINUOUS: "20",
    Phase.CLOSING_AUCTION: "21",
}


@dataclass(frozen=True, slots=True)
class Emission:
    """One record for whoever registered (``tr_id``, ``key``)."""

    tr_id: str
    key: str
    record: Record


class Exchange:
    """One venue's market. ``wanted`` holds the (TR id, key) pairs that someone registered."""

    def __init__(
        self,
        symbols: dict[str, Symbol],
        days: Sequence[TradingDay],
        books: Books,
        tape: Tape,
        *,
        notice_tr: str,
        hts_ids: dict[str, str],
        is_mock: bool = False,
        automatic_vi: bool = False,
        change_receipts: Sequence[Receipt] = (Receipt.ACCEPTED, Receipt.CONFIRMED),
    ) -> None:
        self.symbols = symbols
        self.books = books
        self.desk = OrderDesk(books, symbols, is_mock=is_mock, change_receipts=change_receipts)
        self.wanted: set[tuple[str, str]] = set()
        self.now_ns = 0
        self.vi_log: list[dict[str, str]] = []
        self._tape = tape
        self._next: TapeEvent | None = next(tape, None)
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._emissions: list[Emission] = []
        self._notice_tr = notice_tr
        self._hts_ids = hts_ids
        self._automatic_vi = automatic_vi
        self._index_ns = 0
        self.day: TradingDay | None = None
        for day in days:
            self._at(day.first_ns, partial(self._begin_day, day))

    # --- time ---

    def advance(self, to_ns: int) -> None:
        """Play everything up to and including a market time."""
        while True:
            timer_ns = self._timers[0][0] if self._timers else _NEVER
            tape_ns = self._next.ts_ns if self._next is not None else _NEVER
            if min(timer_ns, tape_ns) > to_ns:
                break
            self.now_ns = max(self.now_ns, min(timer_ns, tape_ns))
            if timer_ns <= tape_ns:
                heapq.heappop(self._timers)[2]()
            else:
                self._take_tape()
        self.now_ns = max(self.now_ns, to_ns)
        self._emit_index()

    def drain(self) -> list[Emission]:
        """Return and forget what there is to send."""
        emissions, self._emissions = self._emissions, []
        return emissions

    def end(self) -> None:
        """Let go of the tape: nothing more is played from it."""
        self._next = None
        if isinstance(self._tape, Generator):
            self._tape.close()

    @property
    def phase(self) -> Phase:
        """Return what the market does now."""
        return self.desk.phase

    def _at(self, ts_ns: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (ts_ns, next(self._order), action))

    def _take_tape(self) -> None:
        event, self._next = self._next, next(self._tape, None)
        if event is None:
            return
        if isinstance(event, Quote):
            self._on_quote(event)
            return
        held_ns = self.day.held_until_ns(event.ts_ns) if self.day else event.ts_ns
        if held_ns > event.ts_ns:
            late = Print(held_ns, event.code, event.price, event.size, None)
            self._at(held_ns, partial(self._on_print, late))
        else:
            self._on_print(event)

    def _begin_day(self, day: TradingDay) -> None:
        if self.day is not None:
            before = ymd(self.day.session.open_ns)
            for symbol in self.symbols.values():
                symbol.end_day(before)
            self.books.roll_day()
        self.day = day
        self.desk.begin_day(ymd(day.session.open_ns))
        for boundary in day.boundaries():
            self._at(boundary.ts_ns, partial(self._enter, boundary))

    def _enter(self, boundary: Boundary) -> None:
        before, self.desk.phase = self.desk.phase, boundary.phase
        if boundary.phase is Phase.CLOSING_AUCTION:
            self.desk.begin_closing_auction()
        if boundary.phase in {Phase.CLOSE_PRICE, Phase.AFTER_MARKET, Phase.CLOSED}:
            self.desk.expire()
        if boundary.phase is Phase.CONTINUOUS:
            for symbol in self.symbols.values():
                symbol.awaits_print = True
            self._at(self.now_ns + OPENING_WAIT_NS, self._open_all)
        if boundary.phase in AUCTIONS and before is not boundary.phase:
            self._at(self.now_ns, self._call)
        for symbol in self.symbols.values():
            self._emit_status(symbol, boundary.code)

    def _open_all(self) -> None:
        for symbol in self.symbols.values():
            self._open(symbol)

    def _open(self, symbol: Symbol) -> None:
        """Let the orders that the opening auction left meet the book."""
        was_awaiting, symbol.awaits_print = symbol.awaits_print, False
        is_still = symbol.halted or self._in_call(symbol) or self.desk.is_stopped
        if was_awaiting and not is_still:
            self._apply(symbol.book.on_quote(symbol.book.bids, symbol.book.asks))

    def _call(self) -> None:
        """Tell expected prices every ten seconds while an auction lasts."""
        if not self.is_call_everywhere:
            return
        for symbol in self.symbols.values():
            self._emit_book(symbol)
        self._at(self.now_ns + CALL_EVERY_NS, self._call)

    # --- the tape ---

    def _on_quote(self, quote: Quote) -> None:
        symbol = self.symbols[quote.code]
        bids, asks = symbol.levels(quote)
        is_still = symbol.halted or symbol.awaits_print or self.desk.is_stopped
        if self._in_call(symbol) or is_still:
            symbol.book.set_levels(bids, asks)
        else:
            self._apply(symbol.book.on_quote(bids, asks))
        symbol.see_totals(quote.ts_ns)
        if not symbol.halted:
            self._emit_book(symbol)

    def _on_print(self, trade: Print) -> None:
        symbol = self.symbols[trade.code]
        if symbol.halted:
            return
        if symbol.in_vi or self.desk.is_call or self.desk.is_stopped:
            symbol.held.append(trade)
            return
        self._trade(symbol, trade)
        if self._automatic_vi and self._reaches_vi(symbol, trade.price):
            self.start_vi(symbol.code)

    def _trade(self, symbol: Symbol, trade: Print) -> None:
        if trade.buyer_initiated is None:
            matches = symbol.book.uncross(trade.price, trade.size)
        else:
            matches = symbol.book.on_print(trade.price, trade.size, trade.buyer_initiated)
        symbol.see_print(trade)
        symbol.see_minute(self.desk.day, trade)
        if (TRADE, symbol.code) in self.wanted:
            classes = self.operation, self._market_class()
            self._emit(TRADE, symbol.code, trade_record(symbol, trade, *classes))
        self._apply(matches)
        self._open(symbol)
        self.desk.trigger(symbol, trade.price, self._apply)

    def _reaches_vi(self, symbol: Symbol, price: int) -> bool:
        reference = symbol.vi_reference
        is_open = self.phase is Phase.CONTINUOUS
        return is_open and reference > 0 and abs(price - reference) * 10 >= reference

    def _apply(self, matches: Sequence[Match]) -> None:
        day, time = ymd(self.now_ns), hms(self.now_ns)
        for match in matches:
            order = self.desk.find(match.number)
            self.books.fill(order, match.quantity, match.price, (day, time, self.now_ns))
            self._notify(order, match.quantity, match.price, "2", is_fill=True)

    # --- orders ---

    def submit(self, ticket: Ticket, *, reject: bool = False) -> Order | Refused:
        """Take a new order at the present market time."""
        self.desk.time = hms(self.now_ns)
        return self.desk.submit(ticket, self._apply, self._receipt, reject=reject)

    def change(self, change: Change) -> Order | Refused:
        """Amend or cancel an order at the present market time."""
        self.desk.time = hms(self.now_ns)
        return self.desk.change(change, self._apply, self._receipt)

    def _receipt(self, order: Order, quantity: int, receipt: Receipt) -> None:
        is_refused = receipt is Receipt.REFUSED
        accepted = Receipt.ACCEPTED if is_refused else receipt
        self._notify(order, quantity, order.price, accepted, is_refused=is_refused)

    def _notify(
        self,
        order: Order,
        quantity: int,
        price: int,
        accepted: str,
        *,
        is_fill: bool = False,
        is_refused: bool = False,
    ) -> None:
        hts_id = self._hts_ids[order.account]
        if (self._notice_tr, hts_id) not in self.wanted:
            return
        record = notice_record(
            order,
            hts_id,
            quantity=quantity,
            price=price,
            time=hms(self.now_ns),
            accepted=accepted,
            branch=BRANCH,
            name=self.symbols[order.code].name,
            is_fill=is_fill,
            is_refused=is_refused,
        )
        self._emit(self._notice_tr, hts_id, record)

    # --- interruptions ---

    @property
    def is_call_everywhere(self) -> bool:
        """Say whether the whole market is in an auction."""
        return self.phase in AUCTIONS or self.desk.is_call

    def start_vi(self, code: str, seconds: float = 0) -> None:
        """Interrupt one stock by a call auction, two minutes and a random end if not told."""
        symbol = self.symbols[code]
        if symbol.in_vi or self.phase is not Phase.CONTINUOUS:
            return
        symbol.in_vi = True
        symbol.vi_count += 1
        random_s = int(secret_text(8, code, self.now_ns), 16) % (RANDOM_END_S + 1)
        self.vi_log.append(
            {"code": code, "start": hms(self.now_ns), "end": "", "day": self.desk.day}
        )
        self._emit_status(symbol, "(null)")
        end_ns = self.now_ns + int((seconds or VI_S + random_s) * SECOND_NS)
        self._at(end_ns, partial(self._end_vi, symbol))

    def _end_vi(self, symbol: Symbol) -> None:
        if not symbol.in_vi:
            return
        symbol.in_vi = False
        for entry in reversed(self.vi_log):
            if entry["code"] == symbol.code:
                entry["end"] = hms(self.now_ns)
                break
        self._release(symbol)
        self._emit_status(symbol, "(null)")

    def halt(self, code: str) -> None:
        """Stop one stock until it is resumed; what the tape trades meanwhile does not happen."""
        self.symbols[code].halted = True
        self._emit_status(self.symbols[code], "164", "거래정지")

    def resume(self, code: str) -> None:
        """Let a halted stock trade again."""
        self.symbols[code].halted = False
        self._emit_status(self.symbols[code], "112")

    def break_circuit(self, seconds: float = 0) -> None:
        """Stop the whole market, then hold an auction half as long."""
        if self.phase is not Phase.CONTINUOUS or self.desk.is_stopped:
            return
        self.desk.is_stopped = True
        self._emit_all("174")
        halt_ns = int((seconds or BREAKER_HALT_S) * SECOND_NS)
        call_ns = halt_ns // 2
        self._at(self.now_ns + halt_ns, self._begin_breaker_call)
        self._at(self.now_ns + halt_ns + call_ns, self._end_breaker)

    def _begin_breaker_call(self) -> None:
        self.desk.is_stopped, self.desk.is_call = False, True
        self._emit_all("184")
        self._call()

    def _end_breaker(self) -> None:
        self.desk.is_call = False
        for symbol in self.symbols.values():
            self._release(symbol)
        self._emit_all("175")

    def _release(self, symbol: Symbol) -> None:
        """Make one auction print of what the tape traded while the stock was interrupted."""
        held, symbol.held = symbol.held, []
        if held:
            size = sum(trade.size for trade in held)
            self._trade(symbol, Print(self.now_ns, symbol.code, held[-1].price, size, None))

    # --- what clients hear ---

    def _emit(self, tr_id: str, key: str, record: Record) -> None:
        self._emissions.append(Emission(tr_id, key, record))

    def _emit_all(self, code: str) -> None:
        for symbol in self.symbols.values():
            self._emit_status(symbol, code)

    def _emit_status(self, symbol: Symbol, code: str, reason: str = "(null)") -> None:
        if (STATUS, symbol.code) in self.wanted:
            self._emit(STATUS, symbol.code, status_record(symbol, code, reason))

    def _emit_book(self, symbol: Symbol) -> None:
        code, hour = symbol.code, self.hour_class(symbol)
        expected = self.expected(symbol)
        if (BOOK, code) in self.wanted:
            market_class = self._market_class()
            record = book_record(symbol, self.now_ns, hour, expected, market_class)
            self._emit(BOOK, code, record)
        if expected[0] and (EXPECTED, code) in self.wanted:
            record = expected_record(symbol, self.now_ns, hour, expected, self.operation)
            self._emit(EXPECTED, code, record)

    def _emit_index(self) -> None:
        if self.now_ns - self._index_ns < SECOND_NS:
            return
        self._index_ns = self.now_ns
        for code in INDEX_CODES:
            if (INDEX, code) in self.wanted:
                self._emit(INDEX, code, index_record(code, self.now_ns, self.members(code)))

    def members(self, index: str) -> list[Symbol]:
        """Return the stocks of an index: KOSDAQ for 1001, KOSPI for the others."""
        market = "KOSDAQ" if index == "1001" else "KOSPI"
        return [symbol for symbol in self.symbols.values() if symbol.market == market]

    def expected(self, symbol: Symbol) -> tuple[int, int]:
        """Return an auction's expected price and quantity, (0, 0) outside auctions.

        Before anything was held back it is the last price, and a hundredth of what is displayed.
        """
        if not self._in_call(symbol):
            return 0, 0
        if symbol.held:
            return symbol.held[-1].price, sum(trade.size for trade in symbol.held)
        return symbol.price, min(symbol.totals) // 100

    def _in_call(self, symbol: Symbol) -> bool:
        return symbol.in_vi or self.is_call_everywhere

    def hour_class(self, symbol: Symbol) -> str:
        """Return HOUR_CLS_CODE: continuous trading, or which kind of auction."""
        if self.phase is Phase.OPENING_AUCTION:
            return PRE_OPEN_HOUR
        if self._in_call(symbol):
            return AUCTION_HOUR
        return CONTINUOUS_HOUR if self.phase is Phase.CONTINUOUS else AFTER_HOUR

    @property
    def operation(self) -> str:
        """Return NEW_MKOP_CLS_CODE: before the open, in session or after the close."""
        return _OPERATIONS.get(self.phase, "30")

    def _market_class(self) -> str:
        """Return MARKET_CLS_CODE."""
        return {Phase.CLOSE_PRICE: "5", Phase.AFTER_MARKET: "3"}.get(self.phase, "2")
