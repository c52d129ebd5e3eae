"""Adds simulated venues to the engine's backtest: accounts, fees, latency and fills per market.

Rule: rates come from the market's facts only, so the capital manager and the simulated venue
charge the same; what the engine leaves out of a market (sell tax, KRX's grid) is added here.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Self

from nautilus_trader.backtest import BacktestEngine
from nautilus_trader.execution import FeeModel, FillModel, MakerTakerFeeModel, StaticLatencyModel
from nautilus_trader.model import (
    AccountType,
    BookType,
    Equity,
    InstrumentId,
    MarketOrder,
    Money,
    OmsType,
    OrderSide,
    Price,
    Quantity,
    Venue,
)

from scenarios.calendars import krx_sessions
from scenarios.shown_fills import ShownFills
from strategies.errors import BadInput
from strategies.markets import binance, krx
from strategies.markets.facts import RAW_ONE, MarketFacts
from strategies.ports import StreamKind

ALL_KINDS = frozenset(StreamKind)


class VenueKind(StrEnum):
    """The markets that can be simulated."""

    KRX = "krx"
    BINANCE_USDM = "binance_usdm"
    BINANCE_SPOT = "binance_spot"


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueSpec:
    """One simulated venue of a scenario.

    ``name`` is the venue in instrument ids; one venue has one account. ``latency_ns`` is the way
    of a command to the venue, at least 1: a fill never happens in the event that caused it.
    Rates of None are the market's own. ``leverage`` is for USD-M only. Raises BadInput where the
    parts contradict each other.
    """

    name: str
    kind: VenueKind
    balances: tuple[Money, ...]
    latency_ns: int = 1
    maker_rate: Decimal | None = None
    taker_rate: Decimal | None = None
    sell_tax_rate: Decimal | None = None
    leverage: Decimal = Decimal(1)
    book_type: BookType = BookType.L1_MBP

    def __post_init__(self) -> None:
        if self.latency_ns < 1:
            raise BadInput(f"latency of venue {self.name} is below 1 ns: give at least 1 ns.")
        self._check_balances()
        self._check_rates()

    def _check_balances(self) -> None:
        codes = [money.currency.code for money in self.balances]
        if not codes or len(set(codes)) < len(codes):
            raise BadInput(
                f"venue {self.name} needs starting balances, one per currency, not {codes}: "
                'write for example "10000000 KRW" or "100000 USDT".'
            )
        if self.kind is VenueKind.KRX and codes != ["KRW"]:
            raise BadInput(f"venue {self.name} is KRX and holds won: give one balance in KRW.")
        if any(money.raw < 0 for money in self.balances):
            raise BadInput(f"venue {self.name} starts with a balance below zero: correct it.")

    def _check_rates(self) -> None:
        for rate in (self.maker_rate, self.taker_rate, self.sell_tax_rate):
            if rate is not None and not 0 <= rate < 1:
                raise BadInput(
                    f"rate {rate} of venue {self.name} is not in [0, 1): write 0.015 % as 0.00015."
                )
        if self.kind is not VenueKind.KRX and self.sell_tax_rate:
            raise BadInput(f"venue {self.name} has no sell tax: remove it.")
        if self.kind is VenueKind.KRX and self.maker_rate != self.taker_rate:
            raise BadInput(
                f"venue {self.name} is KRX, whose brokers charge makers and takers alike: give "
                "both rates the same value."
            )
        if self.leverage < 1 or (self.leverage != 1 and self.kind is not VenueKind.BINANCE_USDM):
            raise BadInput(
                f"leverage {self.leverage} of venue {self.name}: only USD-M has leverage, from 1."
            )


def market_of(spec: VenueSpec, start_ns: int, end_ns: int) -> MarketFacts:
    """Return a venue's facts for a window in ns UTC, with the spec's rates where it has some."""
    if spec.kind is VenueKind.KRX:
        return krx.market(
            krx_sessions(start_ns, end_ns),
            venue=spec.name,
            commission_rate=_either(spec.taker_rate, krx.COMMISSION_RATE),
            sell_tax_rate=_either(spec.sell_tax_rate, krx.SELL_TAX_RATE),
        )
    if spec.kind is VenueKind.BINANCE_USDM:
        return binance.usdm_market(
            venue=spec.name,
            maker_rate=_either(spec.maker_rate, binance.USDM_MAKER_RATE),
            taker_rate=_either(spec.taker_rate, binance.USDM_TAKER_RATE),
        )
    return binance.spot_market(
        venue=spec.name,
        maker_rate=_either(spec.maker_rate, binance.SPOT_MAKER_RATE),
        taker_rate=_either(spec.taker_rate, binance.SPOT_TAKER_RATE),
    )


def _either(given: Decimal | None, default: Decimal) -> Decimal:
    return default if given is None else given


def add_venue(
    engine: BacktestEngine,
    spec: VenueSpec,
    market: MarketFacts,
    moved_by: Collection[StreamKind] = ALL_KINDS,
    books: Collection[InstrumentId] = (),
) -> None:
    """Add a venue to an engine, before its instruments.

    ``moved_by`` are the kinds of rows that move its prices. Where quotes do, trades and bars must
    not: their price would stand in for bid and ask, and market orders would pay no spread.
    ``books`` are the instruments whose quotes are those of a streamed book: market orders walk it.

    Cash accounts cannot borrow: the engine denies a buy beyond the free cash, and the venue
    rejects a short sale. Positions are netted. A command arrives ``latency_ns`` later, but only
    when data of its symbol or a timer is processed: set a time alert for that moment.
    """
    if market.venue != spec.name:
        raise BadInput(f"venue {spec.name} was given the facts of {market.venue}: give its own.")
    on_krx = spec.kind is VenueKind.KRX
    engine.add_venue(
        venue=Venue(spec.name),
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN if market.margin else AccountType.CASH,
        starting_balances=list(spec.balances),
        base_currency=krx.KRW if on_krx else None,
        default_leverage=spec.leverage if market.margin else None,
        fill_model=_fill_model(engine, spec, moved_by, books),
        fee_model=KrxFees(market)
        if on_krx
        else MakerTakerFeeModel(market.maker_rate, market.taker_rate),
        latency_model=StaticLatencyModel(base_latency_nanos=spec.latency_ns),
        book_type=spec.book_type,
        bar_execution=StreamKind.BARS in moved_by,
        trade_execution=StreamKind.TRADES in moved_by,
        reject_stop_orders=True,
        use_market_order_acks=False,
        allow_cash_borrowing=False,
    )


def add_observed_venue(engine: BacktestEngine, name: str) -> None:
    """Add the venue of instruments that nobody trades: the engine takes no data without one."""
    engine.add_venue(
        venue=Venue(name),
        oms_type=OmsType.NETTING,
        account_type=AccountType.CASH,
        starting_balances=[Money(0, krx.KRW)],
        fee_model=MakerTakerFeeModel(Decimal(0), Decimal(0)),
        bar_execution=False,
        trade_execution=False,
    )


def _fill_model(
    engine: BacktestEngine,
    spec: VenueSpec,
    moved_by: Collection[StreamKind],
    books: Collection[InstrumentId],
) -> FillModel | None:
    if spec.book_type != BookType.L1_MBP:
        return None
    if spec.kind is VenueKind.KRX or StreamKind.QUOTES in moved_by:
        return ShownFills(engine.cache, moved_by, books)
    return None


class KrxFees(FeeModel):
    """Commission on every fill and tax on sales, each cut to whole won."""

    def __new__(cls, market: MarketFacts) -> Self:  # noqa: ARG004 - the engine's class takes any
        return super().__new__(cls)

    def __init__(self, market: MarketFacts) -> None:
        super().__init__()
        self._rate = market.taker_rate
        self._tax_rate = market.sell_tax_rate

    def get_commission(
        self, _order: MarketOrder, _fill_quantity: Quantity, _fill_px: Price, _instrument: Equity
    ) -> Money:
        """Return what one fill costs, in won."""
        notional = _fill_px.raw * _fill_quantity.raw // RAW_ONE**2
        cost = krx.commission_krw(notional, self._rate)
        if _order.side == OrderSide.SELL:
            cost += krx.sell_tax_krw(notional, self._tax_rate)
        return Money.from_raw(cost * RAW_ONE, krx.KRW)
