"""Master files and price answers to instruments and their facts.

Rule: a master record is bytes of fixed width (CP949, one per line): head 61 bytes, then a tail
whose columns differ between KOSPI and KOSDAQ. Codes are text: new listings hold letters. Source:
KIS's sample repository, stocks_info (width lists of both scripts), 2026-07-09.
"""

import io
import zipfile
import zlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from nautilus_trader.model import Equity, InstrumentId, Price, Quantity, Symbol

from adapters.kis.replies import PriceFacts
from strategies.errors import BadInput
from strategies.markets import krx


class Board(StrEnum):
    """The market a master file lists."""

    KOSPI = "KOSPI"
    KOSDAQ = "KOSDAQ"


FILES: dict[Board, str] = {Board.KOSPI: "kospi_code.mst.zip", Board.KOSDAQ: "kosdaq_code.mst.zip"}
NXT_FILES: dict[Board, str] = {
    Board.KOSPI: "nxt_kospi_code.mst.zip",
    Board.KOSDAQ: "nxt_kosdaq_code.mst.zip",
}
"""Names in the master folder; the NXT files list what NXT trades, in the same records."""

HEAD_BYTES = 61
TAIL_BYTES: dict[Board, int] = {Board.KOSPI: 227, Board.KOSDAQ: 221}

MASTER_BYTES = 64 * 1024 * 1024
"""An unpacked master larger than this (KOSPI's has 0.8 MB) is none."""

type Columns = dict[str, tuple[int, int]]

_KOSPI: Columns = {
    "group": (0, 2),
    "size": (2, 1),
    "industry_large": (3, 4),
    "industry_mid": (7, 4),
    "industry_small": (11, 4),
    "index_member": (18, 1),
    "etp": (22, 1),
    "spac": (29, 1),
    "overheated": (32, 1),
    "base_price": (41, 9),
    "lot": (50, 5),
    "halted": (60, 1),
    "liquidation": (61, 1),
    "administrative": (62, 1),
    "alert": (63, 2),
    "alert_notice": (65, 1),
    "margin_pct": (74, 3),
    "previous_volume": (81, 12),
    "listed_on": (105, 8),
    "listed_thousands": (113, 15),
    "preferred": (158, 1),
    "market_cap": (212, 9),
}
_KOSDAQ: Columns = {
    "group": (0, 2),
    "size": (2, 1),
    "industry_large": (3, 4),
    "industry_mid": (7, 4),
    "industry_small": (11, 4),
    "index_member": (35, 1),
    "etp": (18, 1),
    "spac": (24, 1),
    "overheated": (27, 1),
    "base_price": (36, 9),
    "lot": (45, 5),
    "halted": (55, 1),
    "liquidation": (56, 1),
    "administrative": (57, 1),
    "alert": (58, 2),
    "alert_notice": (60, 1),
    "margin_pct": (69, 3),
    "previous_volume": (76, 12),
    "listed_on": (100, 8),
    "listed_thousands": (108, 15),
    "preferred": (153, 1),
    "market_cap": (206, 9),
}
TAILS: dict[Board, Columns] = {Board.KOSPI: _KOSPI, Board.KOSDAQ: _KOSDAQ}
"""Offset within the tail and length of the columns that are read."""

SHARE_GROUPS = frozenset({"ST", "FS", "DR", "RT", "IF", "MF", "SC"})
"""Security groups that trade on the price grid of shares; ETFs, ETNs and ELWs have their own."""

ALERTS = {"00": "", "01": "caution", "02": "warning", "03": "risk"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One record of a master file.

    ``base_price`` in won, ``listed_shares`` in shares, ``market_cap_krw`` in won at the previous
    close. ``index_member`` is KOSPI200 or KOSDAQ150. ``alert`` is empty, caution, warning or risk.
    """

    code: str
    isin: str
    name: str
    board: Board
    group: str
    industry: str
    index_member: bool
    is_etp: bool
    is_spac: bool
    is_preferred: bool
    overheated: bool
    halted: bool
    liquidation: bool
    administrative: bool
    alert: str
    base_price: int
    lot: int
    margin_pct: int
    previous_volume: int
    listed_shares: int
    market_cap_krw: int
    listed_on: str
    on_nxt: bool = False

    @property
    def is_share(self) -> bool:
        """Tell whether this trades on the price grid of shares, under a code of six signs."""
        return self.group in SHARE_GROUPS and len(self.code) == 6


def unzip(archive: bytes, name: str) -> bytes:
    """Return the one file of a downloaded master archive. Raises BadInput."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            (member,) = opened.infolist()
            if member.file_size <= MASTER_BYTES:
                return opened.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, OSError, RuntimeError):
        pass  # told like an archive that unpacks to more than any master
    raise BadInput(
        f"{name} is no master archive of KIS: check ONETAPE_KIS_MASTER_URL and fetch it again."
    )


def read_master(
    content: bytes, board: Board, *, name: str = "", nxt_codes: Collection[str] = ()
) -> list[Listing]:
    """Read a master file; ``nxt_codes`` are the codes NXT trades (``master_codes`` of its file).

    ``name`` stands for the file in errors. Raises BadInput with the line.
    """
    place = name or FILES[board].removesuffix(".zip")
    lines = content.split(b"\n")
    if not lines[-1].strip():
        lines.pop()
    if not lines:
        raise BadInput(f"{place} is empty: fetch it again.")
    on_nxt = frozenset(nxt_codes)
    return [
        _listing(line.removesuffix(b"\r"), board, f"{place}, line {number}", on_nxt)
        for number, line in enumerate(lines, start=1)
    ]


def master_codes(listings: Iterable[Listing]) -> frozenset[str]:
    """Return the codes of a master file, for NXT membership."""
    return frozenset(listing.code for listing in listings)


def _listing(line: bytes, board: Board, place: str, on_nxt: frozenset[str]) -> Listing:
    length = HEAD_BYTES + TAIL_BYTES[board]
    if len(line) != length:
        raise BadInput(
            f"{place} has {len(line)} bytes, records of {board} have {length}: fetch it again, or "
            "its format has changed."
        )
    code = _ascii(line[:9], place)
    tail = _Tail(line[HEAD_BYTES:], TAILS[board], place)
    members = {"0", "", "N"}
    return Listing(
        code=code,
        isin=_ascii(line[9:21], place),
        name=line[21:HEAD_BYTES].decode("cp949", errors="replace").strip(),
        board=board,
        group=tail.text("group"),
        industry="-".join(
            tail.text(part) for part in ("industry_large", "industry_mid", "industry_small")
        ),
        index_member=tail.text("index_member") not in members,
        is_etp=tail.text("etp") not in members,
        is_spac=tail.flag("spac"),
        is_preferred=tail.text("preferred") not in members,
        overheated=tail.text("overheated") not in {*members, "1"},
        halted=tail.flag("halted"),
        liquidation=tail.flag("liquidation"),
        administrative=tail.flag("administrative"),
        alert=ALERTS.get(tail.text("alert"), tail.text("alert")),
        base_price=tail.number("base_price"),
        lot=tail.number("lot") or 1,
        margin_pct=tail.number("margin_pct"),
        previous_volume=tail.number("previous_volume"),
        listed_shares=tail.number("listed_thousands") * 1_000,
        market_cap_krw=tail.number("market_cap") * 100_000_000,
        listed_on=tail.text("listed_on"),
        on_nxt=code in on_nxt,
    )


def _ascii(part: bytes, place: str) -> str:
    text = part.decode("ascii", errors="replace").strip()
    if not (text.isascii() and text.isalnum()):
        raise BadInput(f"{place} begins with no code: fetch it again, or its format has changed.")
    return text


@dataclass(frozen=True, slots=True)
class _Tail:
    tail: bytes
    columns: Columns
    place: str

    def text(self, name: str) -> str:
        """Return a column without padding."""
        start, length = self.columns[name]
        return self.tail[start : start + length].decode("ascii", errors="replace").strip()

    def flag(self, name: str) -> bool:
        """Return whether a column says Y."""
        return self.text(name) == "Y"

    def number(self, name: str) -> int:
        """Return an unsigned number, empty is 0. Raises BadInput."""
        text = self.text(name)
        if text and not (text.isascii() and text.isdigit()):
            raise BadInput(
                f"{self.place}: {name} is {text!r}, no number: fetch the file again, or its "
                "format has changed."
            )
        return int(text or "0")


# --- engine instruments ------------------------------------------------------------------------


def equity(listing: Listing, facts: PriceFacts | None = None, *, ts_ns: int = 0) -> Equity:
    """Return the engine's instrument of a share, with KIS's facts in its ``info``.

    ``facts`` (a price answer) adds the limits of the day as the engine's price bounds, so that it
    denies orders beyond them, and today's flags. Raises BadInput for what is no share.
    """
    if not listing.is_share:
        raise BadInput(
            f"{listing.code} ({listing.name}) is in group {listing.group}: only shares can be "
            "traded, funds and notes have another price grid."
        )
    plain = krx.equity(listing.code)
    bounded = facts is not None and 0 < facts.lower < facts.upper
    return Equity(
        instrument_id=InstrumentId.from_str(f"{listing.code}.{krx.VENUE}"),
        raw_symbol=Symbol(listing.code),
        currency=krx.KRW,
        price_precision=plain.price_precision,
        price_increment=plain.price_increment,
        ts_event=ts_ns,
        ts_init=ts_ns,
        isin=listing.isin or None,
        lot_size=Quantity.from_int(listing.lot),
        max_price=Price.from_int(facts.upper) if facts is not None and bounded else None,
        min_price=Price.from_int(facts.lower) if facts is not None and bounded else None,
        info=_info(listing, facts),
    )


def _info(listing: Listing, facts: PriceFacts | None) -> dict[str, object]:
    """Return what KIS says of a share; today's price answer overrules the master file."""
    info: dict[str, object] = {
        "name": listing.name,
        "board": listing.board.value,
        "industry": listing.industry,
        "index_member": listing.index_member,
        "preferred": listing.is_preferred,
        "spac": listing.is_spac,
        "halted": listing.halted,
        "liquidation": listing.liquidation,
        "administrative": listing.administrative,
        "overheated": listing.overheated,
        "alert": listing.alert,
        "on_nxt": listing.on_nxt,
        "base_price": listing.base_price,
        "listed_shares": listing.listed_shares,
    }
    if facts is not None:
        info |= {
            "sector": facts.sector,
            "halted": facts.halted,
            "liquidation": facts.liquidation,
            "administrative": facts.administrative,
            "overheated": facts.overheated,
            "alert": ALERTS.get(facts.warning, facts.warning),
            "base_price": facts.base,
            "upper_limit": facts.upper,
            "lower_limit": facts.lower,
            "in_vi": facts.in_vi,
        }
    return info


def why_not_tradable(listing: Listing, facts: PriceFacts | None = None) -> str | None:
    """Return why new orders in a share are unwise now, None where nothing speaks against them."""
    if facts.halted if facts is not None else listing.halted:
        return "trading is halted"
    if facts.liquidation if facts is not None else listing.liquidation:
        return "it is being liquidated before delisting; no daily limit holds"
    if facts is not None and facts.in_vi:
        return "a volatility interruption is on: single-price auction"
    return None
