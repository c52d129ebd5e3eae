"""Which column of a table is which: usual English and Korean names.

Rule: a name counts after lower-casing and dropping blanks, underscores and brackets; two columns
that claim the same meaning are an error, except that a plain close wins over an adjusted one.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from strategies.errors import BadInput

NAMES: Mapping[str, tuple[str, ...]] = {
    "time": (
        *("timestamp", "datetime", "date", "time", "ts", "opentime", "closetime", "candletime"),
        *(
            "t",
            "stckbsopdate",
            "일자",
            "날짜",
            "일시",
            "시각",
            "시간",
            "체결시간",
            "영업일자",
            "주식영업일자",
        ),
    ),
    "open": ("open", "o", "openprice", "stckoprc", "시가"),
    "high": ("high", "h", "highprice", "stckhgpr", "고가"),
    "low": ("low", "l", "lowprice", "stcklwpr", "저가"),
    "close": ("close", "c", "closeprice", "last", "stckclpr", "종가", "현재가"),
    "volume": ("volume", "v", "vol", "qty", "acmlvol", "거래량", "누적거래량"),
}
IGNORED = ("adjclose", "adjustedclose", "수정종가")
INDEX_NAMES = ("", "unnamed0", "index", "level0", "indexlevel0")
"""Names of a column that had none: in tables of pandas often that of the times."""

_INSTEAD: Mapping[str, tuple[str, ...]] = {
    "time": ("unix", "unixtime", "unixtimestamp", "epoch", *INDEX_NAMES),
    "close": ("price",),
    "volume": ("tickvol", "tickvolume"),
}
"""Names that have a meaning only where no column has a plain name of it."""

_VOLUME_OF = re.compile(r"volume(?P<asset>[a-z0-9]{2,8})")
_QUOTE_VOLUMES = frozenset(
    {"currency", "quote", "usd", "eur", "krw", "jpy", "gbp", "ma", "sma", "ema", "usdt", "usdc"}
    | {"busd", "fdusd", "tusd", "usdp", "dai", "change", "traded"}
)
"""What a volume may be counted in besides the asset itself, and means of volumes."""

CLOSE_TIMES = ("closetime",)
"""Time columns that already tell the candle's close."""

FACTORS = frozenset(
    {"mktrf", "smb", "hml", "rf", "rmw", "cma", "mom", "umd", "wml", "strev", "ltrev"}
)
"""Columns of published factor returns: excess returns of portfolios, the riskless rate."""

_UNTRADED = re.compile(r"-(mark|index|premiumIndex|funding_rate)\.[a-z]+(?:\.gz)?$")
_UNTRADED_WORDS = {
    "mark": "mark prices",
    "index": "index prices",
    "premiumIndex": "premiums",
    "funding_rate": "funding rates",
}
"""Endings of names that tools give to candles of perpetuals beside those of trades."""

_UNTRADED_FOLDERS = {
    "markPriceKlines": "mark prices",
    "indexPriceKlines": "index prices",
    "premiumIndexKlines": "premiums",
}
_UNTRADED_DUMP = re.compile(
    r"^[0-9A-Z_]+-(metrics|bookDepth|liquidationSnapshot|BVOLIndex|EOHSummary)-\d{4}-\d\d"
)
"""Dumps of Binance that hold neither trades nor best prices."""

_OF_TICKS = frozenset(
    {"side", "takerside", "sell", "isbuyermaker", "issnapshot", "bidprice", "bids[0]price"}
)
"""Columns that only trades, best prices or levels have."""

_SHOWN = 8
_RENAME = "rename them to timestamp, open, high, low, close, volume"
_NOISE = re.compile(r"[\s_().:<>\-]+")
_MEANINGS = {name: meaning for meaning, names in NAMES.items() for name in names}


def map_columns(names: Sequence[str], path: Path) -> dict[str, str]:
    """Return meaning -> column name. Raises BadInput where one is missing or claimed twice.

    Where open time and close time are both there, the open time is taken.
    """
    found: dict[str, str] = {}
    for name in names:
        meaning = _MEANINGS.get(plain(name))
        if meaning is None or (meaning == "time" and _redundant_time(name, found)):
            continue
        if meaning in found and plain(found[meaning]) not in CLOSE_TIMES:
            raise BadInput(
                f"{path}: columns {found[meaning]!r} and {name!r} both mean {meaning}: remove one."
            )
        found[meaning] = name
    _find_instead(names, found)
    missing = [meaning for meaning in NAMES if meaning not in found]
    if missing:
        raise BadInput(
            f"{path} has no column that means {', '.join(missing)} (columns: {', '.join(names)}): "
            f"{_RENAME}."
        )
    return found


def _find_instead(names: Sequence[str], found: dict[str, str]) -> None:
    """Give a meaning that no column has by name to one that can have no other."""
    for meaning, others in _INSTEAD.items():
        fits = [name for name in names if plain(name) in others]
        if meaning not in found and fits:
            found[meaning] = fits[0]
    if "volume" not in found:
        assets = {name: _VOLUME_OF.fullmatch(plain(name)) for name in names}
        bases = [
            name for name, match in assets.items() if match and match["asset"] not in _QUOTE_VOLUMES
        ]
        if len(bases) == 1:
            found["volume"] = bases[0]


class NoMarketData(BadInput):
    """A readable file that holds no prices: refused alone, left out of a folder for ``why``."""

    def __init__(self, path: Path, why: str, way: str) -> None:
        super().__init__(f"{path} {why}: {way}.")
        self.why = why


def check_traded(path: Path) -> None:
    """Raise NoMarketData where a file's name says that its candles are not of trades."""
    if match := _UNTRADED.search(path.name):
        why = f"holds candles of {_UNTRADED_WORDS[match[1]]}, not of trades"
        raise NoMarketData(path, why, "import the candles of its trades")


def check_dump_traded(path: Path) -> None:
    """Raise NoMarketData where name or folder of a dump says that it holds no trades or quotes."""
    for folder, what in _UNTRADED_FOLDERS.items():
        if folder in path.parts:
            why = f"holds candles of {what}, not of trades"
            raise NoMarketData(path, why, "import the candles of its trades")
    if match := _UNTRADED_DUMP.match(path.name):
        why = f"is a dump of {match[1]}, which holds no trades, candles or best prices"
        raise NoMarketData(path, why, "import klines, trades, aggTrades or bookTicker")


def check_priced(names: Sequence[str], path: Path) -> None:
    """Raise NoMarketData where a table with these columns cannot be one of candles."""
    meanings = {_MEANINGS.get(plain(name)) for name in names}
    if meanings & {"high", "low"} or not any(names):
        return
    factors = [name for name in names if plain(name) in FACTORS]
    if len(factors) > 1:
        why = f"holds factor returns ({', '.join(factors)}), no prices"
        raise NoMarketData(path, why, "give a table of prices")
    found = {plain(name) for name in names}
    if found & _OF_TICKS and any("price" in name for name in found):
        why = f"holds trades, best prices or levels as another recorder writes them ({names[0]}, "
        why += f"{', '.join(names[1:_SHOWN])}{', ...' if names[_SHOWN:] else ''})"
        way = "give candles, Binance's own dumps, or raw frames"
        raise NoMarketData(path, why, way)
    missing = [meaning for meaning in NAMES if meaning not in meanings]
    shown = ", ".join(names[:_SHOWN]) + (", ..." if names[_SHOWN:] else "")
    why = f"has no column that means {', '.join(missing)} (columns: {shown})"
    raise NoMarketData(path, why, f"{_RENAME}, or take it as an index: --instrument NAME.INDEX")


def plain(name: str) -> str:
    """Return a column name as it is compared."""
    return _NOISE.sub("", name.strip().lstrip("\ufeff").lower())


def _redundant_time(name: str, found: Mapping[str, str]) -> bool:
    return "time" in found and plain(name) in CLOSE_TIMES
