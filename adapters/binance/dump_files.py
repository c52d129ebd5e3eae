"""Which files of Binance's public dumps hold what is asked for: names and paths only.

Source: the folders of data.binance.vision and github.com/binance/binance-public-data, read 2026-11.
A file covers one UTC day or one month; a SHA-256 lies beside each as ``NAME.CHECKSUM``.
"""

from calendar import monthrange
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from strategies.errors import BadInput

INTERVALS = (  # without the calendar month, which is no length of time
    *("1s", "1m", "3m", "5m", "15m", "30m"),
    *("1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w"),
)
MARKETS: Mapping[str, str] = {"spot": "data/spot", "usdm": "data/futures/um"}


class DumpKind(StrEnum):
    """What a dump holds, named as its folder."""

    KLINES = "klines"
    TRADES = "trades"
    AGG_TRADES = "aggTrades"
    BOOK_TICKER = "bookTicker"
    FUNDING_RATE = "fundingRate"


_USDM_ONLY = (DumpKind.BOOK_TICKER, DumpKind.FUNDING_RATE)
_MONTHLY_ONLY = (DumpKind.FUNDING_RATE,)


@dataclass(frozen=True, slots=True)
class DumpRequest:
    """One symbol's data of some days, both inclusive; ``interval`` is for klines."""

    market: str
    kind: DumpKind
    symbol: str
    first: date
    last: date
    interval: str = "1m"


@dataclass(frozen=True, slots=True)
class DumpFile:
    """One file; ``path`` is below the host's root. ``days`` are those it covers, in order.

    ``instead`` are the files of single days to take where a month's file does not exist.
    """

    symbol: str
    path: str
    days: tuple[date, ...]
    instead: tuple["DumpFile", ...] = ()

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.rpartition("/")[2]


def files_for(request: DumpRequest, have: Callable[[str], bool]) -> Iterator[DumpFile]:
    """Yield the files that hold a request, months where whole ones are asked for, else days.

    ``have`` says whether a path was downloaded before: what is there decides for its month, so
    that no day is taken twice. Raises BadInput for what Binance does not offer.
    """
    _check(request)
    for days in _months(request.first, request.last):
        whole = _month(request, days[0])
        singles = tuple(_file(request, "daily", f"{day}", (day,)) for day in days)
        is_whole = len(days) == monthrange(days[0].year, days[0].month)[1]
        if request.kind in _MONTHLY_ONLY or have(whole.path):
            yield whole
        elif is_whole and not any(have(each.path) for each in singles):
            yield DumpFile(whole.symbol, whole.path, whole.days, singles)
        else:
            yield from singles


def _check(request: DumpRequest) -> None:
    if request.market not in MARKETS:
        raise BadInput(f"{request.market!r} is no market of the dumps: choose spot or usdm.")
    if request.market == "spot" and request.kind in _USDM_ONLY:
        raise BadInput(f"Binance has no {request.kind} dumps of spot: add --market usdm.")
    if request.kind is DumpKind.KLINES and request.interval not in INTERVALS:
        raise BadInput(
            f"{request.interval!r} is no interval of klines: choose one of {', '.join(INTERVALS)}."
        )
    if not (request.symbol.isascii() and request.symbol.replace("_", "").isalnum()):
        raise BadInput(f"{request.symbol!r} is no symbol of Binance: write it as in BTCUSDT.")
    if request.last < request.first:
        raise BadInput(
            f"the days end ({request.last}) before they begin ({request.first}): exchange --from "
            "and --to."
        )


def _months(first: date, last: date) -> Iterator[list[date]]:
    """Yield the days from first to last, a list per month."""
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    while days:
        month = [day for day in days if (day.year, day.month) == (days[0].year, days[0].month)]
        yield month
        days = days[len(month) :]


def _month(request: DumpRequest, day: date) -> DumpFile:
    first = day.replace(day=1)
    count = monthrange(day.year, day.month)[1]
    days = tuple(first + timedelta(days=number) for number in range(count))
    return _file(request, "monthly", f"{day:%Y-%m}", days)


def _file(request: DumpRequest, span: str, when: str, days: tuple[date, ...]) -> DumpFile:
    symbol, kind = request.symbol, request.kind
    klines = kind is DumpKind.KLINES
    folder = f"{symbol}/{request.interval}" if klines else symbol
    name = f"{symbol}-{request.interval if klines else kind}-{when}.zip"
    return DumpFile(symbol, f"{MARKETS[request.market]}/{span}/{kind}/{folder}/{name}", days)
