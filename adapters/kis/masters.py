"""The instruments of a node: listings from the master files, today's facts from price answers.

Rule: a code is asked for by price only where it was named; ``instruments.why_not_tradable`` stays
the judge of what is found. Without any master a named share is built from its price answer alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from nautilus_trader.model import Equity

from adapters.kis import replies, requests
from adapters.kis.config import KisConfig
from adapters.kis.errors import RequestRefused
from adapters.kis.instruments import ALERTS, Board, Listing, equity
from adapters.kis.market_days import MarketDays
from adapters.kis.master_files import MasterFiles, Masters
from adapters.kis.pages import Asks
from adapters.kis.replies import MarketDay, PriceFacts
from adapters.kis.timing import Timing
from strategies.errors import BadInput

_NAMED = 3
_OTHER_GRIDS = {"ETF": "EF", "ETN": "EN", "ELW": "EW"}


@dataclass(frozen=True, slots=True)
class Listed:
    """A share: its listing, today's facts (None where only the master was read), the engine's."""

    listing: Listing
    facts: PriceFacts | None
    equity: Equity


class KisInstruments:
    """Finds the shares a node trades; ``http`` asks KIS, ``say`` is told what was done without.

    ``cache_folder`` keeps master files and market days, as it keeps the token.
    """

    def __init__(
        self,
        http: Asks,
        config: KisConfig,
        cache_folder: Path,
        timing: Timing,
        say: Callable[[str], None],
    ) -> None:
        self._http = http
        self._timing = timing
        self._say = say
        self._files = MasterFiles(config, cache_folder, timing, say)
        self._days = MarketDays(http, config, cache_folder, timing, say)

    async def load(self, codes: Sequence[str] | None = None) -> Mapping[str, Listed]:
        """Return shares by code, in the order they were named; all of them without facts for None.

        Asks one price per named code: limits of the day become the engine's price bounds, halts
        and warnings its ``info``. Raises BadInput for a code that is no share of KOSPI or KOSDAQ,
        an error of the tree where a price cannot be had.
        """
        if codes is None:
            listings, facts = await self.listings(None), {}
        else:
            facts = {code: await self._facts(code) for code in dict.fromkeys(codes)}
            listings = _named(codes, await self._from_masters(codes), facts)
        now_ns = self._timing.wall_ns()
        return {
            code: Listed(listing, facts.get(code), equity(listing, facts.get(code), ts_ns=now_ns))
            for code, listing in listings.items()
        }

    async def listings(self, codes: Sequence[str] | None = None) -> dict[str, Listing]:
        """Return listings by code; prices are asked only for codes that no master knows.

        None gives all shares, without funds and notes; a named fund is given, and refused by
        ``instruments.equity``. Raises as ``load``.
        """
        if codes is not None:
            known = await self._from_masters(codes)
            unknown = [code for code in dict.fromkeys(codes) if code not in known]
            facts = {code: await self._facts(code) for code in unknown}
            return _named(codes, known, facts)
        masters = await self._files.read()
        if masters is None:
            raise BadInput(
                "KIS's master files cannot be had, and no shares are named: name them, or check "
                "ONETAPE_KIS_MASTER_URL."
            )
        return {code: listing for code, listing in masters.listings.items() if listing.is_share}

    async def market_day(self, day: date) -> MarketDay | None:
        """Return whether the market opens on a day, None where KIS does not tell.

        Then, and for the hours of a day, the calendar of strategies/markets decides.
        """
        return await self._days.of(day)

    async def _from_masters(self, codes: Sequence[str]) -> Mapping[str, Listing]:
        """Return what the masters know; kept ones that lack a code are downloaded again."""
        masters = await self._files.read()
        if masters is not None and not masters.is_fresh and _lacking(masters, codes):
            masters = await self._files.read(anew=True)
        found = {} if masters is None else masters.listings
        lacking = codes if masters is None else _lacking(masters, codes)
        if lacking:
            names = ", ".join(lacking[:_NAMED]) + (", ..." if len(lacking) > _NAMED else "")
            self._say(f"No master file lists {names}: taken from the price answer alone.")
        return found

    async def _facts(self, code: str) -> PriceFacts:
        """Ask for a price. Raises BadInput for a code that KIS does not know."""
        try:
            answer = await self._http.ask(requests.price(code))
        except RequestRefused as error:
            raise BadInput(f"KIS knows no share {code}: check the code ({error.code}).") from error
        facts = replies.price_facts(answer) if answer.rows() else None
        if facts is None or not (facts.price or facts.base):
            raise BadInput(f"KIS knows no share {code}: check the code.")
        return facts


def _lacking(masters: Masters, codes: Sequence[str]) -> list[str]:
    return [code for code in dict.fromkeys(codes) if code not in masters.listings]


def _named(
    codes: Sequence[str], known: Mapping[str, Listing], facts: Mapping[str, PriceFacts]
) -> dict[str, Listing]:
    return {code: known.get(code) or listing_of(code, facts[code]) for code in dict.fromkeys(codes)}


def listing_of(code: str, facts: PriceFacts) -> Listing:
    """Return what a price answer alone tells of a listing; name and ISIN are not in it.

    A fund or note is told by its market's name.
    """
    market = f"{facts.market} {facts.sector}".upper()
    group = next((group for word, group in _OTHER_GRIDS.items() if word in market), "ST")
    return Listing(
        code=code,
        isin="",
        name=code,
        board=Board.KOSDAQ if "KOSDAQ" in market or "KSQ" in market else Board.KOSPI,
        group=group,
        industry="",
        index_member="200" in facts.market or "150" in facts.market,
        is_etp=group != "ST",
        is_spac=False,
        is_preferred=False,
        overheated=facts.overheated,
        halted=facts.halted,
        liquidation=facts.liquidation,
        administrative=facts.administrative,
        alert=ALERTS.get(facts.warning, facts.warning),
        base_price=facts.base,
        lot=facts.lot,
        margin_pct=0,
        previous_volume=0,
        listed_shares=facts.listed_shares,
        market_cap_krw=facts.listed_shares * facts.base,
        listed_on="",
    )
