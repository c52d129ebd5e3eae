"""Our fills against KIS's holdings and cash: what changed since the start, and what explains it.

Rule: pure; two readings of the account and the fills told between them go in, a value comes out.
Fees are KIS's own where it tells them; ours are an estimate, so that fees are compared apart.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from nautilus_trader.model import OrderSide

from adapters.kis.account import AccountSnapshot
from adapters.kis.replies import OrderRow

type CostOf = Callable[[OrderSide, int, int], int]
"""Won that a fill costs in fees and tax, by side, shares and price."""

FEE_ROUNDING_KRW = 2
"""Commission and tax are each cut to whole won, by KIS on other quantities than by us."""
MOST_COST_BPS = 100
"""Fees and tax of a trade are no more than this. Our own choice: several times the standard
online commission (0.015 %) and the tax of a sale (0.20 %) together."""


@dataclass(frozen=True, slots=True)
class Trades:
    """What fills amount to: shares by symbol (sold ones negative), won received, fees, count.

    ``turnover_krw`` are bought and sold won together.
    """

    shares: Mapping[str, int] = field(default_factory=dict)
    received_krw: int = 0
    fees_krw: int = 0
    count: int = 0
    turnover_krw: int = 0

    def plus(self, code: str, side: OrderSide, quantity: int, won: int, fees: int) -> "Trades":
        """Return these with one fill (or several at once) more."""
        sign = 1 if side is OrderSide.BUY else -1
        shares = {**self.shares, code: self.shares.get(code, 0) + sign * quantity}
        return Trades(
            shares,
            self.received_krw - sign * won,
            self.fees_krw + fees,
            self.count + 1,
            self.turnover_krw + won,
        )


def trades_of(rows: Iterable[OrderRow], cost_of: CostOf) -> Trades:
    """Return what listed orders have traded."""
    total = Trades()
    for row in rows:
        if row.filled:
            won = row.amount or int(row.average * row.filled)
            fees = cost_of(row.side, row.filled, won // row.filled)
            total = total.plus(row.code, row.side, row.filled, won, fees)
    return total


@dataclass(frozen=True, slots=True)
class HoldingCheck:
    """Shares of one symbol: at the start, now, and what ours and foreign fills explain."""

    code: str
    start: int
    now: int
    ours: int
    foreign: int

    @property
    def difference(self) -> int:
        """Return the shares that no fill explains."""
        return self.now - self.start - self.ours - self.foreign


@dataclass(frozen=True, slots=True)
class CashCheck:
    """Cash after all trades (D+2), won; fills are net of the fees we reckon.

    ``charged_krw`` is what KIS says it charged, None where it does not say.
    """

    start_krw: int
    now_krw: int
    ours_krw: int
    foreign_krw: int
    fees_krw: int
    charged_krw: int | None
    turnover_krw: int = 0

    @property
    def difference_krw(self) -> int:
        """Return the won that no fill explains, our fees taken for KIS's."""
        return self.now_krw - self.start_krw - self.ours_krw - self.foreign_krw

    @property
    def unexplained_krw(self) -> int:
        """Return the same with the fees KIS says it charged.

        Where it does not say, it has charged what is missing, unless no fee is that high.
        """
        if self.charged_krw is None:
            missing_krw = self.fees_krw - self.difference_krw
            is_fee = 0 <= missing_krw <= self.turnover_krw * MOST_COST_BPS // 10_000
            return 0 if is_fee else self.difference_krw
        return self.difference_krw + self.charged_krw - self.fees_krw


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One comparison at market time ``ts_ns``; ``mismatches`` are sentences for people.

    ``orders_open`` are the ids of our orders that may still fill. ``settled`` is False where
    fills kept coming while KIS was asked, or pages were missing: then nothing is concluded.
    """

    ts_ns: int
    orders_open: tuple[str, ...]
    holdings: tuple[HoldingCheck, ...]
    cash: CashCheck
    mismatches: tuple[str, ...]
    settled: bool = True


@dataclass(frozen=True, slots=True)
class Baseline:
    """The account at the start, and what foreign orders had traded by then."""

    account: AccountSnapshot
    foreign: Trades


def compare(
    baseline: Baseline,
    account: AccountSnapshot,
    ours: Trades,
    foreign: Trades,
    orders_open: tuple[str, ...],
    other: Iterable[str] = (),
) -> Reconciled:
    """Compare the account with the start; ``other`` are mismatches found elsewhere."""
    start = baseline.account
    codes = {*start.holdings, *account.holdings, *ours.shares, *foreign.shares}
    holdings = tuple(
        HoldingCheck(
            code,
            start.quantity(code),
            account.quantity(code),
            ours.shares.get(code, 0),
            foreign.shares.get(code, 0) - baseline.foreign.shares.get(code, 0),
        )
        for code in sorted(codes)
    )
    cash = _cash(baseline, account, ours, foreign)
    found = [*other, *(_sentence(each) for each in holdings if each.difference)]
    fills = ours.count + foreign.count - baseline.foreign.count
    if cash.unexplained_krw and abs(cash.difference_krw) > fills * FEE_ROUNDING_KRW:
        found.append(
            f"cash is {cash.difference_krw:+} won beside what the fills of the run explain: look "
            "for deposits, withdrawals or another fee rate at KIS."
        )
    return Reconciled(
        account.answered.market_ns, orders_open, holdings, cash, tuple(found), account.complete
    )


def _cash(baseline: Baseline, account: AccountSnapshot, ours: Trades, foreign: Trades) -> CashCheck:
    start = baseline.account
    abroad = foreign.received_krw - baseline.foreign.received_krw
    abroad_fees = foreign.fees_krw - baseline.foreign.fees_krw
    charged = account.costs_today_krw - start.costs_today_krw
    says_charged = start.day == account.day and charged != 0
    return CashCheck(
        start_krw=start.settled_krw,
        now_krw=account.settled_krw,
        ours_krw=ours.received_krw - ours.fees_krw,
        foreign_krw=abroad - abroad_fees,
        fees_krw=ours.fees_krw + abroad_fees,
        charged_krw=charged if says_charged else None,
        turnover_krw=ours.turnover_krw + foreign.turnover_krw - baseline.foreign.turnover_krw,
    )


def _sentence(check: HoldingCheck) -> str:
    return (
        f"{check.code}: KIS holds {check.now} shares, {check.start} at the start and fills of "
        f"{check.ours:+} (ours) and {check.foreign:+} (foreign) leave {check.difference:+} "
        "unexplained: compare with KIS's own statement."
    )
