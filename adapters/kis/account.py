"""The account as KIS shows it: holdings, cash and buying power.

Rule: a snapshot is made of whole answers only: where pages are missing it is marked incomplete,
and nothing may be concluded from what it does not hold. All money is whole won.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.kis import replies, requests
from adapters.kis.errors import MalformedAnswer
from adapters.kis.gateway import KisGateway
from adapters.kis.order_events import Moment
from adapters.kis.pages import Pages, all_pages
from adapters.kis.replies import BuyingPower, Cash

_MARKET_ORDER = "01"
"""Asked with this type KIS reckons with the upper limit of the day, which is what it reserves."""


@dataclass(frozen=True, slots=True)
class HeldShares:
    """Shares of one symbol by trade date; ``cost_krw`` is what they cost without fees."""

    code: str
    quantity: int
    sellable: int
    cost_krw: int


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """One reading of the account, asked at ``asked`` and answered at ``answered``.

    ``today_krw``, ``next_day_krw`` and ``settled_krw`` are the deposit today, after one and after
    two days: the last is the cash after all trades. ``costs_today_krw`` are fees and taxes of the
    day. Symbols without shares are left out. ``complete`` only when all pages were read.
    """

    asked: Moment
    answered: Moment
    day: str
    holdings: Mapping[str, HeldShares]
    today_krw: int
    next_day_krw: int
    settled_krw: int
    costs_today_krw: int
    complete: bool

    def quantity(self, code: str) -> int:
        """Return the shares held of a symbol."""
        held = self.holdings.get(code)
        return 0 if held is None else held.quantity


class KisAccount:
    """Reads one account."""

    def __init__(self, gateway: KisGateway) -> None:
        self._gateway = gateway

    async def read(self) -> AccountSnapshot:
        """Return the account now, all pages of it. Raises an error of the tree."""
        gateway = self._gateway
        asked, day = gateway.moment(), gateway.day()
        pages = await all_pages(
            gateway.http, requests.balance(gateway.config.account), gateway.config.limits.pages
        )
        cash = _cash(pages)
        return AccountSnapshot(
            asked=asked,
            answered=gateway.moment(),
            day=day,
            holdings=_holdings(pages),
            today_krw=cash.today,
            next_day_krw=cash.next_day,
            settled_krw=cash.settled,
            costs_today_krw=cash.costs_today,
            complete=pages.complete,
        )

    async def buying_power(
        self, code: str, price_krw: int = 0, order_type: str = _MARKET_ORDER
    ) -> BuyingPower:
        """Return what can be bought of a symbol without receivables; 0 asks at the upper limit.

        Raises an error of the tree.
        """
        config = self._gateway.config
        request = requests.buying_power(config.account, code, price_krw, order_type)
        return replies.buying_power(await self._gateway.http.ask(request))


def _cash(pages: Pages) -> Cash:
    """Return the cash of the last page: it is the newest."""
    answers = [answer for answer in pages.answers if answer.rows("output2")]
    if not answers:
        raise MalformedAnswer("KIS's answer to balance holds no cash.")
    return replies.cash(answers[-1])


def _holdings(pages: Pages) -> dict[str, HeldShares]:
    """Return holdings by code: a symbol can stand twice (cash and credit), and at 0."""
    found: dict[str, HeldShares] = {}
    for row in (row for answer in pages.answers for row in replies.holdings(answer)):
        if not row.quantity:
            continue
        before = found.get(row.code, HeldShares(row.code, 0, 0, 0))
        found[row.code] = HeldShares(
            row.code,
            before.quantity + row.quantity,
            before.sellable + row.sellable,
            before.cost_krw + int((row.average * row.quantity).to_integral_value()),
        )
    return found
