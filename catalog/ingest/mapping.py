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
        *("일자", "날짜", "일시", "시각", "시간", "체결시간", "영업일자", "주식영업일자"),
    ),
    "open": ("open", "o", "openprice", "시가"),
    "high": ("high", "h", "highprice", "고가"),
    "low": ("low", "l", "lowprice", "저가"),
    "close": ("close", "c", "closeprice", "last", "종가", "현재가"),
    "volume": ("volume", "v", "vol", "qty", "거래량", "누적거래량"),
}
IGNORED = ("adjclose", "adjustedclose", "수정종가")
CLOSE_TIMES = ("closetime",)
"""Time columns that already tell the candle's close."""

_NOISE = re.compile(r"[\s_().\-]+")
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
    missing = [meaning for meaning in NAMES if meaning not in found]
    if missing:
        raise BadInput(
            f"{path}: no column means {', '.join(missing)} (columns: {', '.join(names)}): rename "
            "them to timestamp, open, high, low, close, volume."
        )
    return found


def plain(name: str) -> str:
    """Return a column name as it is compared."""
    return _NOISE.sub("", name.strip().lstrip("\ufeff").lower())


def _redundant_time(name: str, found: Mapping[str, str]) -> bool:
    return "time" in found and plain(name) in CLOSE_TIMES
