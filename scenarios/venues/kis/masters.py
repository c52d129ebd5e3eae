"""Master files of the played stocks: CP949, fixed width, zipped, as KIS publishes them.

Rule: offsets are those of the published record descriptions (a head of 61 bytes, then a tail of
227 or 221 characters); fields that no rule of the market needs are blank or zero.
"""

import io
import zipfile
from collections.abc import Sequence

from scenarios.venues.kis.quotations import standard_code
from scenarios.venues.kis.symbols import Symbol

KOSPI_FILE, KOSDAQ_FILE = "kospi_code.mst", "kosdaq_code.mst"
FILES = (KOSPI_FILE, KOSDAQ_FILE, f"nxt_{KOSPI_FILE}", f"nxt_{KOSDAQ_FILE}")
"""The NXT files list what NXT trades: nothing of what is played here."""

_STANDS_IN = Symbol("999999", "거래정지종목", 1_000, halted=True)
"""Listed where a file would be empty, which KIS's never are; it cannot be traded."""

# (offset, length, kind): what stands in the tail of each file.
_KOSPI_TAIL, _KOSDAQ_TAIL = 227, 221
_OFFSETS = {
    KOSPI_FILE: {
        "base": 41,
        "lot": 50,
        "late_lot": 55,
        "halted": 60,
        "alert": 63,
        "margin": 74,
        "volume": 81,
        "face": 93,
        "listed_on": 105,
        "shares": 113,
        "capital": 128,
        "month": 149,
        "kospi": 162,
        "cap": 212,
    },
    KOSDAQ_FILE: {
        "base": 36,
        "lot": 45,
        "late_lot": 50,
        "halted": 55,
        "alert": 58,
        "margin": 69,
        "volume": 76,
        "face": 88,
        "listed_on": 100,
        "shares": 108,
        "capital": 123,
        "month": 144,
        "cap": 206,
    },
}


def master_zip(name: str, symbols: Sequence[Symbol]) -> bytes:
    """Return the zip of one master file with the stocks of its market."""
    market = {KOSPI_FILE: "KOSPI", KOSDAQ_FILE: "KOSDAQ"}.get(name)
    listed = [symbol for symbol in symbols if symbol.market == market] or [_STANDS_IN]
    lines = [record(name, symbol) for symbol in listed]
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, "".join(f"{line}\n" for line in lines).encode("cp949"))
    return sink.getvalue()


def record(name: str, symbol: Symbol) -> str:
    """Return one line without its end."""
    padding = " " * (40 - len(symbol.name.encode("cp949")))
    head = f"{symbol.code:<9}{standard_code(symbol.code):<12}{symbol.name}{padding}"
    return head + _tail(name, symbol)


def _tail(name: str, symbol: Symbol) -> str:
    tail = list(" " * (_KOSPI_TAIL if name.endswith(KOSPI_FILE) else _KOSDAQ_TAIL))

    def put(offset: int, text: str) -> None:
        tail[offset : offset + len(text)] = text

    put(0, "ST")
    put(3, "002700130000")  # an industry of each size
    at = _OFFSETS[KOSPI_FILE if name.endswith(KOSPI_FILE) else KOSDAQ_FILE]
    put(at["base"], f"{symbol.base:09d}")
    put(at["lot"], "00001")
    put(at["late_lot"], "00001")
    put(at["halted"], "Y" if symbol.halted else "N")
    put(at["halted"] + 1, "NN")
    put(at["alert"], "00NNN000000")
    put(at["margin"], "040Y090")
    put(at["volume"], f"{symbol.previous_volume:012d}")
    put(at["face"], f"{5_000:012d}")
    put(at["listed_on"], "20000104")
    put(at["shares"], f"{symbol.listed_shares // 1_000:015d}")
    put(at["capital"], f"{symbol.listed_shares * 5_000:021d}")
    put(at["month"], "12")
    put(at["cap"], f"{symbol.listed_shares * symbol.base // 100_000_000:09d}")
    if "kospi" in at:
        put(at["kospi"], "Y")
    return "".join(tail)
