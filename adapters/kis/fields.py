"""Field tables of the real-time TRs: name and kind of every column, and the widths seen so far.

Rule: positions count from the left; a frame may be wider than its table, never narrower. A table
changes only with its source. Source: KIS's sample repository (2026-07-09), portal workbook
(2026-09-11) and frames measured after the change of 2026-09-14.

Kinds: s text, t time HHMMSS (Seoul), y date YYYYMMDD, i unsigned integer, z signed integer,
d signed decimal; an empty field is allowed for each.
"""

from dataclasses import dataclass
from enum import StrEnum


class Channel(StrEnum):
    """Where a stream comes from; all channels share the same registrations."""

    KRX = "KRX"
    NXT = "NXT"
    UNIFIED = "UNIFIED"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: KIS's own name in lower case, and its kind."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The columns of one TR.

    ``least`` is the narrowest record that can be read, ``known`` are the widths that raise no
    width-change event. ``exact`` layouts fit their own width only (an older order of columns).
    ``enabled`` is False for streams that are prepared but not used.
    """

    tr_id: str
    columns: tuple[Column, ...]
    least: int
    known: tuple[int, ...]
    channel: Channel = Channel.KRX
    exact: bool = False
    encrypted: bool = False
    enabled: bool = True
    mock: bool = False

    def index(self, name: str) -> int:
        """Return the position of a column. Raises KeyError for a name the table lacks."""
        for position, column in enumerate(self.columns):
            if column.name == name:
                return position
        raise KeyError(f"{self.tr_id} has no column {name}")


def _columns(text: str) -> tuple[Column, ...]:
    """Read ``name:kind`` words; a word without kind is text."""
    words = (word.partition(":") for word in text.split())
    return tuple(Column(name, kind or "s") for name, _, kind in words)


def _levels(prefix: str) -> str:
    return " ".join(f"{prefix}{level}:i" for level in range(1, 11))


_TRADE_45 = """
    mksc_shrn_iscd stck_cntg_hour:t stck_prpr:i prdy_vrss_sign prdy_vrss:z prdy_ctrt:d
    wghn_avrg_stck_prc:d stck_oprc:i stck_hgpr:i stck_lwpr:i askp1:i bidp1:i cntg_vol:i
    acml_vol:i acml_tr_pbmn:i seln_cntg_csnu:i shnu_cntg_csnu:i ntby_cntg_csnu:z cttr:d
    seln_cntg_smtn:i shnu_cntg_smtn:i ccld_dvsn shnu_rate:d prdy_vol_vrss_acml_vol_rate:d
    oprc_hour:t oprc_vrss_prpr_sign oprc_vrss_prpr:z hgpr_hour:t hgpr_vrss_prpr_sign
    hgpr_vrss_prpr:z lwpr_hour:t lwpr_vrss_prpr_sign lwpr_vrss_prpr:z bsop_date:y
    new_mkop_cls_code trht_yn askp_rsqn1:i bidp_rsqn1:i total_askp_rsqn:i total_bidp_rsqn:i
    vol_tnrt:d prdy_smns_hour_acml_vol:i prdy_smns_hour_acml_vol_rate:d hour_cls_code
    mrkt_trtm_cls_code
"""
_TRADE = _columns(_TRADE_45 + "vi_stnd_prc:i market_cls_code")
_EXPECTED = _columns(_TRADE_45)

_BOOK_59 = f"""
    mksc_shrn_iscd bsop_hour:t hour_cls_code {_levels("askp")} {_levels("bidp")}
    {_levels("askp_rsqn")} {_levels("bidp_rsqn")} total_askp_rsqn:i total_bidp_rsqn:i
    ovtm_total_askp_rsqn:i ovtm_total_bidp_rsqn:i antc_cnpr:i antc_cnqn:i antc_vol:i
    antc_cntg_vrss:z antc_cntg_vrss_sign antc_cntg_prdy_ctrt:d acml_vol:i
    total_askp_rsqn_icdc:z total_bidp_rsqn_icdc:z ovtm_total_askp_icdc:z
    ovtm_total_bidp_icdc:z stck_deal_cls_code
"""
_BOOK = _columns(_BOOK_59 + "mid_prc:d midp_total_rsqn:i midp_cls_code market_cls_code")
_UNIFIED_BOOK = _columns(
    _BOOK_59 + "kmid_prc:d kmid_total_rsqn:i kmid_cls_code "
    "nmid_prc:d nmid_total_rsqn:i nmid_cls_code antc_exch_cls_code"
)

_NOTICE = _columns("""
    cust_id acnt_no oder_no ooder_no seln_byov_cls rctf_cls oder_kind oder_cond stck_shrn_iscd
    cntg_qty:i cntg_unpr:i stck_cntg_hour:t rfus_yn cntg_yn acpt_yn brnc_no oder_qty:i acnt_name
    ord_cond_prc:i ord_exg_gb popup_yn filler crdt_cls crdt_loan_date:y cntg_isnm40 oder_prc:i
""")
_NOTICE_23 = _columns("""
    cust_id acnt_no oder_no ooder_no seln_byov_cls rctf_cls oder_kind oder_cond stck_shrn_iscd
    cntg_qty:i cntg_unpr:i stck_cntg_hour:t rfus_yn cntg_yn acpt_yn brnc_no oder_qty:i acnt_name
    cntg_isnm crdt_cls crdt_loan_date:y cntg_isnm40 oder_prc:i
""")

_INDEX = _columns("""
    bstp_cls_code bsop_hour:t prpr_nmix:d prdy_vrss_sign bstp_nmix_prdy_vrss:d acml_vol:i
    acml_tr_pbmn:i pcas_vol:i pcas_tr_pbmn:i prdy_ctrt:d oprc_nmix:d nmix_hgpr:d nmix_lwpr:d
    oprc_vrss_nmix_prpr:d oprc_vrss_nmix_sign hgpr_vrss_nmix_prpr:d hgpr_vrss_nmix_sign
    lwpr_vrss_nmix_prpr:d lwpr_vrss_nmix_sign prdy_clpr_vrss_oprc_rate:d
    prdy_clpr_vrss_hgpr_rate:d prdy_clpr_vrss_lwpr_rate:d uplm_issu_cnt:i ascn_issu_cnt:i
    stnr_issu_cnt:i down_issu_cnt:i lslm_issu_cnt:i qtqt_ascn_issu_cnt:i qtqt_down_issu_cnt:i
    tick_vrss:d
""")

_STATUS = _columns("""
    mksc_shrn_iscd trht_yn tr_susp_reas_cntt mkop_cls_code antc_mkop_cls_code mrkt_trtm_cls_code
    divi_app_cls_code iscd_stat_cls_code vi_cls_code ovtm_vi_cls_code exch_cls_code
""")

_PROGRAMME = _columns("""
    mksc_shrn_iscd stck_cntg_hour:t seln_cnqn:i seln_tr_pbmn:i shnu_cnqn:i shnu_tr_pbmn:i
    ntby_cnqn:z ntby_tr_pbmn:z seln_rsqn:i shnu_rsqn:i whol_ntby_qty:z
""")

_ALL = (
    Layout(tr_id="H0STCNT0", columns=_TRADE, least=46, known=(46, 47), mock=True),
    Layout(tr_id="H0STASP0", columns=_BOOK, least=59, known=(59, 62, 63), mock=True),
    Layout(tr_id="H0STCNI0", columns=_NOTICE, least=26, known=(26,), encrypted=True),
    Layout(tr_id="H0STCNI9", columns=_NOTICE, least=26, known=(26,), encrypted=True, mock=True),
    Layout(tr_id="H0STANC0", columns=_EXPECTED, least=45, known=(45, 46)),
    Layout(tr_id="H0STMKO0", columns=_STATUS, least=10, known=(10, 11)),
    Layout(tr_id="H0UPCNT0", columns=_INDEX, least=30, known=(30,)),
    Layout(tr_id="H0UPANC0", columns=_INDEX, least=30, known=(30,)),
    Layout(tr_id="H0STPGM0", columns=_PROGRAMME, least=11, known=(11,)),
    # NXT and the unified channel: prepared. H0NXASP0's columns after 58 are not settled, and a
    # unified registration of a share that NXT does not trade is acknowledged and then silent.
    Layout(
        tr_id="H0NXCNT0",
        columns=_TRADE,
        least=46,
        known=(46, 47),
        channel=Channel.NXT,
        enabled=False,
    ),
    Layout(
        tr_id="H0NXASP0",
        columns=_columns(_BOOK_59),
        least=59,
        known=(62, 63, 65),
        channel=Channel.NXT,
        enabled=False,
    ),
    Layout(
        tr_id="H0NXANC0",
        columns=_EXPECTED,
        least=45,
        known=(45, 46),
        channel=Channel.NXT,
        enabled=False,
    ),
    Layout(
        tr_id="H0NXMKO0",
        columns=_STATUS,
        least=10,
        known=(10, 11),
        channel=Channel.NXT,
        enabled=False,
    ),
    Layout(
        tr_id="H0UNCNT0",
        columns=_TRADE,
        least=46,
        known=(46, 47),
        channel=Channel.UNIFIED,
        enabled=False,
    ),
    Layout(
        tr_id="H0UNASP0",
        columns=_UNIFIED_BOOK,
        least=65,
        known=(65, 66),
        channel=Channel.UNIFIED,
        enabled=False,
    ),
    Layout(
        tr_id="H0UNANC0",
        columns=_EXPECTED,
        least=45,
        known=(45, 46),
        channel=Channel.UNIFIED,
        enabled=False,
    ),
    Layout(
        tr_id="H0UNMKO0",
        columns=_STATUS,
        least=10,
        known=(10, 11),
        channel=Channel.UNIFIED,
        enabled=False,
    ),
)

LAYOUTS: dict[str, Layout] = {layout.tr_id: layout for layout in _ALL}

OLDER: dict[tuple[str, int], Layout] = {
    (tr_id, 23): Layout(
        tr_id=tr_id,
        columns=_NOTICE_23,
        least=23,
        known=(23,),
        exact=True,
        encrypted=True,
        mock=tr_id == "H0STCNI9",
    )
    for tr_id in ("H0STCNI0", "H0STCNI9")
}
"""Layouts with another order of columns, by TR id and exact width: notices until 2025-03-28."""

NOTICE_TRS = frozenset({"H0STCNI0", "H0STCNI9"})


def layout_for(tr_id: str, width: int) -> Layout | None:
    """Return the layout that reads a record of this width, None where there is none."""
    layout = LAYOUTS.get(tr_id)
    if layout is not None and width >= layout.least:
        return layout
    return OLDER.get((tr_id, width))


def notice_tr(*, mock: bool) -> str:
    """Return the TR of execution notices of the real or the mock servers."""
    return "H0STCNI9" if mock else "H0STCNI0"
