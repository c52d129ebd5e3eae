"""Facts of KRX (KOSPI and KOSDAQ shares): ticks, daily limits, costs and the equity instrument.

Rule: integers of won or the engine's raw integers, no state; each fact stands with source and date.
"""

from bisect import bisect_right
from dataclasses import dataclass
from decimal import Decimal

from nautilus_trader.model import (
    Currency,
    Equity,
    InstrumentId,
    Price,
    Quantity,
    Symbol,
)

from strategies.errors import BadInput
from strategies.markets.facts import RAW_ONE, MarketFacts, UniformTicks
from strategies.markets.sessions import SessionCalendar

VENUE = "KRX"
TIMEZONE = "Asia/Seoul"
KRW = Currency.from_str("KRW")

TICK_BANDS_KRW: tuple[tuple[int, int], ...] = (
    (0, 1),
    (2_000, 5),
    (5_000, 10),
    (20_000, 50),
    (50_000, 100),
    (200_000, 500),
    (500_000, 1_000),
)
"""(from price, tick) in won for shares of KOSPI, KOSDAQ and KONEX since 2023-01-25.

Source: KRX reform of quotation units announced 2023-01-17 (Yonhap, "거래소, 25일부터 호가 단위
축소"). Before that date KOSPI had 5 won from 1,000, 50 from 10,000 and 500 from 100,000 won. Each
tick divides the next one, so every band begins and ends on both grids.
"""

PRICE_LIMIT_RATIO = Decimal("0.30")
"""Largest daily move of a share either way since 2015-06-15 (15 % from 1998-12-07, 12 % from
1998-03-02). Source: global.krx.co.kr, Daily Price Limits. None while a delisting is liquidated."""

COMMISSION_RATE = Decimal("0.00015")
"""A typical online commission, either side; accounts differ widely (about 0.004 % to 0.5 %), so
set your own. 0.015 % is also what KIS's own back-testing sample assumes (2026-08)."""

SELL_TAX_RATE = Decimal("0.0020")
"""Taken from sales of shares made since 2025-12-30 (settled from 2026-01-01): KOSPI 0.05 %
securities transaction tax and 0.15 % rural development tax, KOSDAQ 0.20 % transaction tax.
Source: Enforcement Decree of the Securities Transaction Tax Act, pre-announced 2025-12-01
(0.15 % in 2025, 0.18 % in 2024, 0.20 % in 2023, 0.23 % from 2021, 0.25 % from 2019-06-03,
0.30 % before)."""


SETTLEMENT_SESSIONS = 2
"""Shares and cash change hands on the second trading day after the trade (T+2); until then the
proceeds of a sale may pay for purchases."""


@dataclass(frozen=True, slots=True)
class KrxTicks:
    """KRX's price grid on raw integers: the tick depends on the band the price lies in."""

    def tick_raw(self, price_raw: int) -> int:
        """Return the tick of the band that ``price_raw`` lies in; a band includes its start."""
        return _TICKS_RAW[max(bisect_right(_STARTS_RAW, price_raw) - 1, 0)]

    def floor_raw(self, price_raw: int) -> int:
        """Return the highest grid price not above ``price_raw``."""
        return price_raw - price_raw % self.tick_raw(price_raw)

    def ceil_raw(self, price_raw: int) -> int:
        """Return the lowest grid price not below ``price_raw``.

        Rounding up ends at the latest at the next band's start, which is on both grids.
        """
        return -(-price_raw // self.tick_raw(price_raw)) * self.tick_raw(price_raw)

    def next_below_raw(self, price_raw: int) -> int:
        """Return the highest grid price below ``price_raw``."""
        return self.floor_raw(price_raw - 1)

    def next_above_raw(self, price_raw: int) -> int:
        """Return the lowest grid price above ``price_raw``."""
        return self.ceil_raw(price_raw + 1)


_STARTS_RAW = [start * RAW_ONE for start, _ in TICK_BANDS_KRW]
_TICKS_RAW = [tick * RAW_ONE for _, tick in TICK_BANDS_KRW]

TICKS = KrxTicks()
ADJUSTED_TICKS = UniformTicks(RAW_ONE)
"""Adjusted prices (splits, dividends) do not lie on KRX's grid: every whole won is a price."""


def price_limits(base_raw: int, ratio: Decimal = PRICE_LIMIT_RATIO) -> tuple[int, int]:
    """Return the lowest and the highest price of a day, raw, from its base price.

    KRX's rule (global.krx.co.kr, Calculation of Upper/Lower Price Limit, read 2026-11): multiply
    the base price by the ratio and drop what is below the tick of the base price; add it to and
    take it from the base price; drop what is below the tick at the resulting price. Base 9,980
    gives 2,990 and so 6,990 and 12,970; base 9,940 gives 6,960 and 12,920. The lower limit of a
    base off the grid is rounded up, so that neither limit lies outside the width.
    """
    numerator, denominator = ratio.as_integer_ratio()
    tick = TICKS.tick_raw(base_raw)
    width = base_raw * numerator // denominator // tick * tick
    return TICKS.ceil_raw(base_raw - width), TICKS.floor_raw(base_raw + width)


def commission_krw(notional_krw: int, rate: Decimal = COMMISSION_RATE) -> int:
    """Return the broker's commission on one fill in won, fractions of a won cut off."""
    return _share(notional_krw, rate)


def sell_tax_krw(notional_krw: int, rate: Decimal = SELL_TAX_RATE) -> int:
    """Return the tax on one sale fill in won, fractions of a won cut off.

    Brokers settle per day and symbol and often cut to ten won, so a statement may differ by a
    few won from the sum over fills.
    """
    return _share(notional_krw, rate)


def _share(amount: int, rate: Decimal) -> int:
    numerator, denominator = rate.as_integer_ratio()
    return amount * numerator // denominator


def market(
    sessions: SessionCalendar,
    *,
    venue: str = VENUE,
    commission_rate: Decimal = COMMISSION_RATE,
    sell_tax_rate: Decimal = SELL_TAX_RATE,
    price_limit_ratio: Decimal | None = PRICE_LIMIT_RATIO,
) -> MarketFacts:
    """Return KRX's facts for a private cash account: no margin and no short sale.

    The regular session is 09:00 to 15:30 in Seoul with auctions at both ends (orders from 08:30,
    closing auction 15:20 to 15:30); which days, and the days that differ, is ``sessions``.
    """
    return MarketFacts(
        venue=venue,
        timezone=TIMEZONE,
        currency=KRW,
        margin=False,
        short_allowed=False,
        price_limit_ratio=price_limit_ratio,
        maker_rate=commission_rate,
        taker_rate=commission_rate,
        sell_tax_rate=sell_tax_rate,
        sessions=sessions,
        settlement_sessions=SETTLEMENT_SESSIONS,
    )


def equity(code: str, *, adjusted: bool = False, venue: str = VENUE) -> Equity:
    """Return the engine's instrument of a share: id ``005930.KRX``, whole won, lots of one.

    The increment is one won at every price because the engine knows one increment only; the grid
    is ``TICKS``. ``adjusted`` marks that its data are adjusted prices; the mark is kept in the
    instrument's ``info`` and survives a catalog. Raises BadInput where ``code`` is not six
    letters or digits.
    """
    if len(code) != 6 or not (code.isascii() and code.isalnum() and code == code.upper()):
        raise BadInput(
            f"{code!r} is no KRX share code: give six digits or capital letters, as in 005930."
        )
    return Equity(
        instrument_id=InstrumentId.from_str(f"{code}.{venue}"),
        raw_symbol=Symbol(code),
        currency=KRW,
        price_precision=0,
        price_increment=Price.from_str("1"),
        lot_size=Quantity.from_int(1),
        info={"adjusted": True} if adjusted else None,
        ts_event=0,
        ts_init=0,
    )
