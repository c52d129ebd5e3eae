"""Real-time records as KIS lays them out: fields in order, all of them texts.

Rule: written from the protocol's field tables; a width below the full one cuts fields off the
right, a wider one adds empty ones, as frames grow in the field. Ratios are rounded to two decimals.
"""

from collections.abc import Sequence

from scenarios.venues.kis.market_time import hms, ymd
from scenarios.venues.kis.matching import Level
from scenarios.venues.kis.orders import Order
from scenarios.venues.kis.symbols import DEPTH, Print, Symbol

type Record = tuple[str, ...]

CONTINUOUS_HOUR, PRE_OPEN_HOUR, AUCTION_HOUR, AFTER_HOUR = "0", "B", "C", "A"


def sized(fields: Sequence[str], width: int) -> Record:
    """Return a record of ``width`` fields."""
    return tuple(fields[:width]) + ("",) * (width - len(fields))


def frame(tr_id: str, records: Sequence[Record]) -> str:
    """Return a plain data frame."""
    payload = "^".join("^".join(record) for record in records)
    return f"0|{tr_id}|{len(records):03d}|{payload}"


def ratio(numerator: int, denominator: int, scale: int = 1) -> str:
    """Return ``scale`` times a ratio with two decimals, halves away from 0; 0.00 over nothing."""
    hundredths = (abs(numerator) * scale * 200 // denominator + 1) // 2 if denominator else 0
    sign = "-" if numerator < 0 and hundredths else ""
    return f"{sign}{hundredths // 100}.{hundredths % 100:02d}"


def sign_of(symbol: Symbol, price: int) -> str:
    """Return the sign of a price against the base: 1 to 5, limit-up to down as KIS counts."""
    low, high = symbol.limits
    if price == symbol.base:
        return "3"
    if price > symbol.base:
        return "1" if price >= high else "2"
    return "4" if price <= low else "5"


def _against(price: int, reference: int) -> tuple[str, str]:
    difference = price - reference
    return ("2" if difference > 0 else "5" if difference < 0 else "3"), str(difference)


def trade_record(
    symbol: Symbol, trade: Print, operation: str = "20", market_class: str = "2"
) -> Record:
    """Return the 47 fields of H0STCNT0 for a trade that the symbol has counted."""
    day, price = symbol.day, trade.price
    ask = symbol.book.asks[0] if symbol.book.asks else Level(0, 0)
    bid = symbol.book.bids[0] if symbol.book.bids else Level(0, 0)
    initiated = {True: "1", False: "5", None: "3"}[trade.buyer_initiated]
    return (
        *(symbol.code, hms(trade.ts_ns), str(price), *_change(symbol, price)),
        ratio(day.turnover_won, day.volume),
        *(str(day.open), str(day.high), str(day.low), str(ask.price), str(bid.price)),
        *(str(trade.size), str(day.volume), str(day.turnover_won)),
        *(str(day.sell_count), str(day.buy_count), str(day.buy_count - day.sell_count)),
        *(ratio(day.bought, day.sold, 100), str(day.sold), str(day.bought), initiated),
        *(ratio(day.bought, day.volume), ratio(day.volume, symbol.previous_volume, 100)),
        *(day.open_time, *_against(price, day.open)),
        *(day.high_time, *_against(price, day.high)),
        *(day.low_time, *_against(price, day.low)),
        *(ymd(trade.ts_ns), operation, "Y" if symbol.halted else "N"),
        *(str(ask.size), str(bid.size), str(symbol.totals[0]), str(symbol.totals[1])),
        ratio(day.volume, symbol.listed_shares, 100),
        *("0", "0.00", CONTINUOUS_HOUR, "", str(symbol.vi_reference), market_class),
    )


def _change(symbol: Symbol, price: int) -> tuple[str, str, str]:
    difference = price - symbol.base
    return sign_of(symbol, price), str(difference), ratio(difference, symbol.base, 100)


def book_record(
    symbol: Symbol, ts_ns: int, hour_class: str, expected: tuple[int, int], market_class: str = "2"
) -> Record:
    """Return the 63 fields of H0STASP0; ``expected`` is an auction's price and quantity."""
    asks, bids = _ten(symbol.book.asks), _ten(symbol.book.bids)
    price, quantity = expected
    moved = price - symbol.base
    sign = sign_of(symbol, price) if price else "5"
    middle = (asks[0].price + bids[0].price) // 2 if asks[0].price and bids[0].price else 0
    return (
        *(symbol.code, hms(ts_ns), hour_class),
        *(str(level.price) for level in (*asks, *bids)),
        *(str(level.size) for level in (*asks, *bids)),
        *(str(symbol.totals[0]), str(symbol.totals[1]), "0", "0"),
        *(str(price), str(quantity), str(quantity)),
        *(str(moved), sign, ratio(moved, symbol.base, 100), str(symbol.day.volume)),
        *(str(symbol.totals_change[0]), str(symbol.totals_change[1]), "0", "0", "0"),
        *(str(middle), "0", "0", market_class),
    )


def _ten(levels: Sequence[Level]) -> tuple[Level, ...]:
    return (*levels[:DEPTH], *(Level(0, 0),) * (DEPTH - len(levels)))


def expected_record(
    symbol: Symbol, ts_ns: int, hour_class: str, expected: tuple[int, int], operation: str = "20"
) -> Record:
    """Return the 46 fields of H0STANC0: a trade's first 45 with the expected price, and one."""
    price, quantity = expected
    trade = Print(ts_ns, symbol.code, price, quantity, None)
    fields = list(trade_record(symbol, trade, operation))[:45]
    fields[43] = hour_class
    return (*fields, "")


def status_record(symbol: Symbol, code: str, reason: str = "(null)") -> Record:
    """Return the 11 fields of H0STMKO0."""
    halted = "Y" if symbol.halted else "N"
    state = "58" if symbol.halted else "00"
    in_vi = "Y" if symbol.in_vi else "N"
    return (symbol.code, halted, reason, code, "(null)", "(null)", "(null)", state, in_vi, "N", "1")


def index_record(code: str, ts_ns: int, symbols: Sequence[Symbol]) -> Record:
    """Return the 30 fields of H0UPCNT0: 2,500 points times the mean move of the stocks given."""
    base = 250_000
    index = _index(symbols, base)
    moves = [symbol.price - symbol.base for symbol in symbols]
    up, down = sum(move > 0 for move in moves), sum(move < 0 for move in moves)
    volume = sum(symbol.day.volume for symbol in symbols)
    turnover = sum(symbol.day.turnover_won for symbol in symbols)
    points, moved = ratio(index, 100), ratio(index - base, 100)
    sign = "2" if index > base else "5" if index < base else "3"
    return (
        *(code, hms(ts_ns), points, sign, moved, str(volume // 1_000), str(turnover // 10**6)),
        *("0", "0", ratio(index - base, base, 100), points, points, points),
        *("0", "3", "0", "3", "0", "3", "0.00", "0.00", "0.00"),
        *("0", str(up), str(len(moves) - up - down), str(down), "0", str(up), str(down), "0"),
    )


def _index(symbols: Sequence[Symbol], base: int) -> int:
    if not symbols:
        return base
    return sum(base * symbol.price // symbol.base for symbol in symbols) // len(symbols)


def notice_record(
    order: Order,
    hts_id: str,
    *,
    quantity: int,
    price: int,
    time: str,
    accepted: str,
    branch: str,
    name: str,
    is_fill: bool = False,
    is_refused: bool = False,
) -> Record:
    """Return the 26 fields of an execution notice.

    ``accepted``: 1 accepted, 2 confirmed, 3 the rest of an IOC or FOK order was cancelled.
    """
    kind = "2" if order.is_cancel else "1" if order.original else "0"
    return (
        *(hts_id, order.account, order.number, order.original, order.side.value, kind),
        "00" if is_fill else order.type.code,
        *(order.type.lifetime.value, order.code, f"{quantity:010d}", f"{price:09d}", time),
        *("1" if is_refused else "0", "2" if is_fill else "1", accepted, branch),
        *(f"{order.quantity:09d}", "TESTER", f"{order.condition_price:09d}", "1", "Y", "", "00"),
        *("", name, f"{order.price:09d}" if is_fill else ""),
    )
