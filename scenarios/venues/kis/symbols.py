"""What the venue knows of one stock today: book, last trade, day statistics, limits, state.

Rule: fed by recorded quotes and prints in order; whole won and shares. Levels below the recorded
best are made up from price and symbol alone, so they stay where they are as the market moves.
"""

from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache

from scenarios.venues.kis.market_time import hms
from scenarios.venues.kis.matching import Level, SymbolBook
from strategies.markets import krx
from strategies.markets.facts import RAW_ONE

DEPTH = 10
PRINTS_KEPT = 4_000


@dataclass(frozen=True, slots=True)
class Quote:
    """A recorded best bid and ask."""

    ts_ns: int
    code: str
    bid: int
    ask: int
    bid_size: int
    ask_size: int


@dataclass(frozen=True, slots=True)
class Print:
    """A recorded trade; ``buyer_initiated`` is None for an auction's."""

    ts_ns: int
    code: str
    price: int
    size: int
    buyer_initiated: bool | None


@dataclass(slots=True)
class MinuteBar:
    """One minute of trades; ``time`` is its start as HHMM00."""

    day: str
    time: str
    open: int
    high: int
    low: int
    close: int
    volume: int
    turnover_won: int


@dataclass(frozen=True, slots=True)
class DayBar:
    """One day; ``base`` is the close before it."""

    day: str
    open: int
    high: int
    low: int
    close: int
    volume: int
    turnover_won: int
    base: int


@dataclass(slots=True)
class DayState:
    """Sums and extremes of a symbol's day; prices are 0 before the first trade."""

    open: int = 0
    high: int = 0
    low: int = 0
    open_time: str = ""
    high_time: str = ""
    low_time: str = ""
    volume: int = 0
    turnover_won: int = 0
    sold: int = 0
    bought: int = 0
    sell_count: int = 0
    buy_count: int = 0


@dataclass(slots=True)
class Symbol:
    """One stock. ``base`` is the previous close; ``halted`` and ``in_vi`` stop its trading.

    ``awaits_print`` from the end of the opening auction until its print, or a second without one:
    a tape may show the first book before it.
    """

    code: str
    name: str
    base: int
    market: str = "KOSPI"
    book: SymbolBook = field(default_factory=SymbolBook)
    day: DayState = field(default_factory=DayState)
    last: int = 0
    previous_volume: int = 0
    listed_shares: int = 50_000_000
    halted: bool = False
    in_vi: bool = False
    awaits_print: bool = False
    vi_reference: int = 0
    vi_count: int = 0
    held: list[Print] = field(default_factory=list)
    book_time_ns: int = 0
    totals: tuple[int, int] = (0, 0)
    totals_change: tuple[int, int] = (0, 0)
    prints: deque[tuple[str, int, int, int, int, int]] = field(
        default_factory=lambda: deque(maxlen=PRINTS_KEPT)
    )
    minutes: list[MinuteBar] = field(default_factory=list)
    days: list[DayBar] = field(default_factory=list)

    @property
    def price(self) -> int:
        """Return the last price, the base price before the first trade."""
        return self.last or self.base

    @property
    def limits(self) -> tuple[int, int]:
        """Return the day's lowest and highest price."""
        low, high = krx.price_limits(self.base * RAW_ONE)
        return low // RAW_ONE, high // RAW_ONE

    def tick_at(self, price: int) -> int:
        """Return the tick that applies at a price."""
        return krx.TICKS.tick_raw(price * RAW_ONE) // RAW_ONE

    def levels(self, quote: Quote) -> tuple[list[Level], list[Level]]:
        """Return ten bids and ten asks around a recorded quote, within the day's limits."""
        low, high = self.limits
        bids, asks = [Level(quote.bid, quote.bid_size)], [Level(quote.ask, quote.ask_size)]
        for _ in range(DEPTH - 1):
            below, above = price_below(bids[-1].price), price_above(asks[-1].price)
            bids += [Level(below, self._shown(below))] if below >= low else []
            asks += [Level(above, self._shown(above))] if above <= high else []
        return _there(bids), _there(asks)

    def see_totals(self, ts_ns: int) -> None:
        """Keep the book's totals and how they changed."""
        bids = sum(level.size for level in self.book.bids)
        asks = sum(level.size for level in self.book.asks)
        self.totals_change = (asks - self.totals[0], bids - self.totals[1])
        self.totals = (asks, bids)
        self.book_time_ns = ts_ns

    def see_print(self, trade: Print) -> None:
        """Count a trade."""
        self.last = trade.price
        self._extremes(trade)
        day = self.day
        day.volume += trade.size
        day.turnover_won += trade.size * trade.price
        if trade.buyer_initiated is True:
            day.bought += trade.size
            day.buy_count += 1
        elif trade.buyer_initiated is False:
            day.sold += trade.size
            day.sell_count += 1
        else:
            self.vi_reference = trade.price
        asks, bids = self.book.asks, self.book.bids
        self.prints.append(
            (
                hms(trade.ts_ns),
                trade.price,
                trade.size,
                day.volume,
                asks[0].price if asks else 0,
                bids[0].price if bids else 0,
            )
        )

    def see_minute(self, day: str, trade: Print) -> None:
        """Fold a trade into its minute."""
        time = f"{hms(trade.ts_ns)[:4]}00"
        value = trade.price * trade.size
        bar = self.minutes[-1] if self.minutes else None
        if bar is None or (bar.day, bar.time) != (day, time):
            prices = (trade.price,) * 4
            self.minutes.append(MinuteBar(day, time, *prices, trade.size, value))
            return
        bar.high, bar.low = max(bar.high, trade.price), min(bar.low, trade.price)
        bar.close = trade.price
        bar.volume += trade.size
        bar.turnover_won += value

    def days_until(self, day: str) -> list[DayBar]:
        """Return the finished days and the one that is going on, if it has traded."""
        state = self.day
        if not state.volume:
            return self.days
        prices = (state.open, state.high, state.low, self.last)
        return [*self.days, DayBar(day, *prices, state.volume, state.turnover_won, self.base)]

    def end_day(self, day: str) -> None:
        """Keep the day as a bar and begin the next one from its close."""
        self.days = self.days_until(day)
        self.base, self.previous_volume = self.price, self.day.volume
        self.day, self.last, self.vi_reference, self.vi_count = DayState(), 0, 0, 0
        self.held.clear()
        self.prints.clear()
        self.in_vi = False

    def _extremes(self, trade: Print) -> None:
        day, time = self.day, hms(trade.ts_ns)
        if not day.open:
            day.open, day.open_time = trade.price, time
            self.vi_reference = trade.price
        if trade.price > day.high:
            day.high, day.high_time = trade.price, time
        if not day.low or trade.price < day.low:
            day.low, day.low_time = trade.price, time

    def _shown(self, price: int) -> int:
        scale = max(2, 5_000_000 // self.base)
        return scale + (price * 2_654_435_761 >> 7) % (4 * scale)


def _there(levels: list[Level]) -> list[Level]:
    return [level for level in levels if level.price > 0 and level.size > 0]


@lru_cache(maxsize=1 << 16)
def price_below(price: int) -> int:
    """Return the highest grid price below a price, in won."""
    return krx.TICKS.next_below_raw(price * RAW_ONE) // RAW_ONE


@lru_cache(maxsize=1 << 16)
def price_above(price: int) -> int:
    """Return the lowest grid price above a price, in won."""
    return krx.TICKS.next_above_raw(price * RAW_ONE) // RAW_ONE
