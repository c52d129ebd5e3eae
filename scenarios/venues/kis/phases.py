"""A trading day of KRX as phases: auctions, continuous trading, close-price trading, after-market.

Rule: all boundaries follow from the session's open and close, so shifted days shift as a whole.
Source: KRX's hours since 2026-09-14 (orders from 08:30, closing auction 15:20, close-price trades
15:40 to 16:00, after-market 16:00 to 20:00). Operation codes are those of H0STMKO0.
"""

from dataclasses import dataclass
from enum import StrEnum

from scenarios.venues.kis.market_time import MINUTE_NS
from strategies.markets.sessions import Session


class Phase(StrEnum):
    """What the market does at a moment."""

    CLOSED = "closed"
    OPENING_AUCTION = "opening auction"
    CONTINUOUS = "continuous"
    CLOSING_AUCTION = "closing auction"
    CLOSE_PRICE = "close-price trading"
    AFTER_MARKET = "after-market"


AUCTIONS = frozenset({Phase.OPENING_AUCTION, Phase.CLOSING_AUCTION})


@dataclass(frozen=True, slots=True)
class Boundary:
    """From ``ts_ns`` on the market is in ``phase``; ``code`` is what H0STMKO0 says then."""

    ts_ns: int
    phase: Phase
    code: str


@dataclass(frozen=True, slots=True)
class TradingDay:
    """One session; the delays are how much later its auctions end than planned (at most 30 s)."""

    session: Session
    opening_delay_ns: int = 0
    closing_delay_ns: int = 0

    @property
    def open_ns(self) -> int:
        """When continuous trading starts."""
        return self.session.open_ns + self.opening_delay_ns

    @property
    def close_ns(self) -> int:
        """When the closing auction ends."""
        return self.session.close_ns + self.closing_delay_ns

    @property
    def first_ns(self) -> int:
        """When orders are first taken."""
        return self.session.open_ns - 30 * MINUTE_NS

    def boundaries(self) -> tuple[Boundary, ...]:
        """Return the day's phases in order; the close itself still belongs to the auction."""
        close = self.session.close_ns
        return (
            Boundary(self.first_ns, Phase.OPENING_AUCTION, "110"),
            Boundary(self.open_ns, Phase.CONTINUOUS, "112"),
            Boundary(close - 10 * MINUTE_NS, Phase.CLOSING_AUCTION, "121"),
            Boundary(self.close_ns + 1, Phase.CLOSE_PRICE, "129"),
            Boundary(close + 30 * MINUTE_NS, Phase.AFTER_MARKET, "149"),
            Boundary(close + 270 * MINUTE_NS, Phase.CLOSED, "159"),
        )

    def phase_at(self, ts_ns: int) -> Phase:
        """Return the phase that holds a moment; a boundary belongs to what it begins."""
        phase = Phase.CLOSED
        for boundary in self.boundaries():
            if boundary.ts_ns > ts_ns:
                break
            phase = boundary.phase
        return phase

    def held_until_ns(self, ts_ns: int) -> int:
        """Return when a print recorded inside an auction is made: at the auction's end."""
        if self.phase_at(ts_ns) is Phase.OPENING_AUCTION:
            return self.open_ns
        return self.close_ns if self.phase_at(ts_ns) is Phase.CLOSING_AUCTION else ts_ns
