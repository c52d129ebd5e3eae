"""Answers of the quotation services, from what the played market knows.

Rule: every value a text, prices whole won; a service that pages by time gives the newest first.
Fields that no client of ours has been seen to read are left out.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

from scenarios.venues.kis.answers import InputError, Reply, Row, good, needed
from scenarios.venues.kis.exchange import Exchange
from scenarios.venues.kis.market_time import MINUTE_NS, hms
from scenarios.venues.kis.matching import Level
from scenarios.venues.kis.personality import INDEX_CODES
from scenarios.venues.kis.phases import AUCTIONS, Phase
from scenarios.venues.kis.records import index_record, ratio, sign_of
from scenarios.venues.kis.symbols import DEPTH, DayBar, Symbol

type Query = Mapping[str, str]
type Service = Callable[[Exchange, Query], Reply]

DONE = ("MCA00000", "정상처리 되었습니다.")
ROWS = 30
DAILY_ROWS = 100
MINUTE_ROWS = 120
MULTI = 30
TRADED_PHASES = frozenset({Phase.CONTINUOUS, *AUCTIONS})


def _symbol(exchange: Exchange, query: Query) -> Symbol:
    symbol = exchange.symbols.get(needed(query, "FID_INPUT_ISCD"))
    if symbol is None:
        raise InputError("FID_INPUT_ISCD")
    return symbol


def _one(output: Row) -> Reply:
    return good(*DONE, {"output": output})


def _rows(rows: Sequence[Row], name: str = "output") -> Reply:
    return good(*DONE, {name: list(rows)})


def _moved(symbol: Symbol, price: int, prefix: str = "prdy") -> Row:
    moved = price - symbol.base
    return {
        f"{prefix}_vrss": str(moved),
        f"{prefix}_vrss_sign": sign_of(symbol, price),
        f"{prefix}_ctrt": ratio(moved, symbol.base, 100),
    }


def _state(symbol: Symbol) -> str:
    return "58" if symbol.halted else "00"


def price(exchange: Exchange, query: Query) -> Reply:
    """Answer inquire-price."""
    symbol = _symbol(exchange, query)
    day, (low, high) = symbol.day, symbol.limits
    return _one(
        {
            "iscd_stat_cls_code": _state(symbol),
            "marg_rate": "40.00",
            "rprs_mrkt_kor_name": symbol.market,
            "bstp_kor_isnm": "가상업종",
            "temp_stop_yn": "Y" if symbol.halted else "N",
            "stck_prpr": str(symbol.price),
            **_moved(symbol, symbol.price),
            "acml_vol": str(day.volume),
            "acml_tr_pbmn": str(day.turnover_won),
            "stck_oprc": str(day.open),
            "stck_hgpr": str(day.high),
            "stck_lwpr": str(day.low),
            "stck_mxpr": str(high),
            "stck_llam": str(low),
            "stck_sdpr": str(symbol.base),
            "wghn_avrg_stck_prc": ratio(day.turnover_won, day.volume),
            "aspr_unit": str(symbol.tick_at(symbol.price)),
            "hts_deal_qty_unit_val": "1",
            "lstn_stcn": str(symbol.listed_shares),
            "hts_avls": str(symbol.listed_shares * symbol.price // 100_000_000),
            **_invented(symbol),
            "prdy_vrss_vol_rate": ratio(day.volume, symbol.previous_volume, 100),
            "stck_shrn_iscd": symbol.code,
            "mrkt_warn_cls_code": "00",
            "short_over_yn": "N",
            "sltr_yn": "N",
            "mang_issu_cls_code": "N",
            "vi_cls_code": "Y" if symbol.in_vi else "N",
            "ovtm_vi_cls_code": "N",
            "ssts_yn": "Y",
        }
    )


def _invented(symbol: Symbol) -> Row:
    """Return fundamentals and a year's range as the generator could have had them."""
    year_ago = "20250102"
    return {
        "per": "10.00",
        "pbr": "1.00",
        "eps": f"{symbol.base // 10}.00",
        "bps": f"{symbol.base}.00",
        "w52_hgpr": str(max(symbol.limits[1], symbol.day.high)),
        "w52_hgpr_date": year_ago,
        "w52_lwpr": str(symbol.limits[0]),
        "w52_lwpr_date": year_ago,
    }


def asking_price(exchange: Exchange, query: Query) -> Reply:
    """Answer inquire-asking-price-exp-ccn."""
    symbol = _symbol(exchange, query)
    levels: Row = {"aspr_acpt_hour": hms(symbol.book_time_ns)}
    for side, name in ((symbol.book.asks, "ask"), (symbol.book.bids, "bid")):
        padded = (*side[:DEPTH], *(Level(0, 0),) * (DEPTH - len(side)))
        for i, level in enumerate(padded, 1):
            levels[f"{name}p{i}"] = str(level.price)
            levels[f"{name}p_rsqn{i}"] = str(level.size)
    levels["total_askp_rsqn"], levels["total_bidp_rsqn"] = map(str, symbol.totals)
    levels["new_mkop_cls_code"] = exchange.operation
    expected, quantity = exchange.expected(symbol)
    second = {
        "antc_mkop_cls_code": "311" if expected else "112",
        "stck_prpr": str(symbol.price),
        "stck_oprc": str(symbol.day.open),
        "stck_sdpr": str(symbol.base),
        "antc_cnpr": str(expected),
        **_moved(symbol, expected, "antc_cntg"),
        "antc_vol": str(quantity),
        "stck_shrn_iscd": symbol.code,
        "vi_cls_code": "Y" if symbol.in_vi else "N",
    }
    return good(*DONE, {"output1": levels, "output2": second})


def trades(exchange: Exchange, query: Query) -> Reply:
    """Answer inquire-ccnl: the last 30 trades."""
    symbol = _symbol(exchange, query)
    newest = list(symbol.prints)[: -ROWS - 1 : -1]
    rows = [
        {
            "stck_cntg_hour": time,
            "stck_prpr": str(traded),
            **_moved(symbol, traded),
            "cntg_vol": str(size),
            "tday_rltv": ratio(symbol.day.bought, symbol.day.sold, 100),
        }
        for time, traded, size, _, _, _ in newest
    ]
    return _rows(rows)


def trades_by_time(exchange: Exchange, query: Query) -> Reply:
    """Answer inquire-time-itemconclusion: 30 trades at or before a time."""
    symbol = _symbol(exchange, query)
    until = needed(query, "FID_INPUT_HOUR_1")
    before = [trade for trade in symbol.prints if trade[0] <= until]
    rows = [
        {
            "stck_cntg_hour": time,
            "stck_prpr": str(traded),
            **_moved(symbol, traded),
            "askp": str(ask),
            "bidp": str(bid),
            "tday_rltv": ratio(symbol.day.bought, symbol.day.sold, 100),
            "acml_vol": str(volume),
            "cnqn": str(size),
        }
        for time, traded, size, volume, ask, bid in before[: -ROWS - 1 : -1]
    ]
    head = {"stck_prpr": str(symbol.price), "acml_vol": str(symbol.day.volume)}
    return good(*DONE, {"output1": head, "output2": rows})


def minute_bars(exchange: Exchange, query: Query) -> Reply:
    """Answer inquire-time-itemchartprice: 30 minutes of today at or before a time.

    Minutes to come, and the running one before its first trade, are told at the present price;
    the newest of them repeats the quantity of the minute before it.
    """
    symbol, until = _symbol(exchange, query), needed(query, "FID_INPUT_HOUR_1")
    traded = _traded_minutes(symbol, exchange.desk.day, until)
    quantity = traded[0]["cntg_vol"] if traded else "0"
    empty = _empty_minutes(exchange, symbol, until, traded)
    if empty:
        empty[0]["cntg_vol"] = quantity
    return good(*DONE, {"output1": _head(symbol), "output2": [*empty, *traded][:ROWS]})


def minute_bars_of_day(exchange: Exchange, query: Query) -> Reply:
    """Answer inquire-time-dailychartprice: 120 minutes of a day at or before a time."""
    symbol, until = _symbol(exchange, query), needed(query, "FID_INPUT_HOUR_1")
    rows = _traded_minutes(symbol, needed(query, "FID_INPUT_DATE_1"), until)
    return good(*DONE, {"output1": _head(symbol), "output2": rows[:MINUTE_ROWS]})


def _traded_minutes(symbol: Symbol, day: str, until: str) -> list[Row]:
    """Return a day's minutes, newest first; turnover is the day's up to there."""
    rows, turnover_won = [], 0
    for bar in symbol.minutes:
        if bar.day != day or bar.time > until:
            continue
        turnover_won += bar.turnover_won
        prices = (bar.close, bar.open, bar.high, bar.low)
        rows.append(_minute_row(bar.day, bar.time, prices, bar.volume, turnover_won))
    return rows[::-1]


def _empty_minutes(
    exchange: Exchange, symbol: Symbol, until: str, traded: Sequence[Row]
) -> list[Row]:
    """Return the minutes from the running one to ``until`` without a trade, newest first."""
    if exchange.day is None or exchange.phase not in TRADED_PHASES or not traded:
        return []
    last = min(until, hms(exchange.day.close_ns))
    rows, now_ns = [], exchange.now_ns // MINUTE_NS * MINUTE_NS
    while hms(now_ns) <= last:
        if hms(now_ns) > traded[0]["stck_cntg_hour"]:
            prices = (symbol.price,) * 4
            turnover_won = symbol.day.turnover_won
            rows.append(_minute_row(exchange.desk.day, hms(now_ns), prices, 0, turnover_won))
        now_ns += MINUTE_NS
    return rows[::-1]


def _minute_row(
    day: str, time: str, prices: tuple[int, int, int, int], volume: int, turnover_won: int
) -> Row:
    names = ("stck_prpr", "stck_oprc", "stck_hgpr", "stck_lwpr")
    return {
        "stck_bsop_date": day,
        "stck_cntg_hour": time,
        **{name: str(each) for name, each in zip(names, prices, strict=True)},
        "cntg_vol": str(volume),
        "acml_tr_pbmn": str(turnover_won),
    }


def _head(symbol: Symbol) -> Row:
    return {
        "stck_prpr": str(symbol.price),
        **_moved(symbol, symbol.price),
        "stck_prdy_clpr": str(symbol.base),
        "acml_vol": str(symbol.day.volume),
        "acml_tr_pbmn": str(symbol.day.turnover_won),
        "hts_kor_isnm": symbol.name,
        "stck_shrn_iscd": symbol.code,
    }


def daily_chart(exchange: Exchange, query: Query) -> Reply:
    """Answer inquire-daily-itemchartprice: 100 days between two dates, today's so far included."""
    symbol = _symbol(exchange, query)
    first, last = needed(query, "FID_INPUT_DATE_1"), needed(query, "FID_INPUT_DATE_2")
    if query.get("FID_PERIOD_DIV_CODE", "D") != "D":
        raise InputError("FID_PERIOD_DIV_CODE")
    bars = [bar for bar in symbol.days_until(exchange.desk.day) if first <= bar.day <= last]
    head = _head(symbol)
    rows = [_day_row(bar) for bar in bars[: -DAILY_ROWS - 1 : -1]]
    return good(*DONE, {"output1": head, "output2": rows})


def daily_prices(exchange: Exchange, query: Query) -> Reply:
    """Answer inquire-daily-price: the last 30 days."""
    symbol = _symbol(exchange, query)
    return _rows([_day_row(bar) for bar in symbol.days_until(exchange.desk.day)[: -ROWS - 1 : -1]])


def _day_row(bar: DayBar) -> Row:
    return {
        "stck_bsop_date": bar.day,
        "stck_clpr": str(bar.close),
        "stck_oprc": str(bar.open),
        "stck_hgpr": str(bar.high),
        "stck_lwpr": str(bar.low),
        "acml_vol": str(bar.volume),
        "acml_tr_pbmn": str(bar.turnover_won),
        "prdy_vrss": str(bar.close - bar.base),
        "prdy_vrss_sign": _sign(bar.close - bar.base),
        "flng_cls_code": "00",
        "prtt_rate": "0.00",
        "mod_yn": "N",
    }


def _sign(moved: int) -> str:
    return "2" if moved > 0 else "5" if moved < 0 else "3"


def many_prices(exchange: Exchange, query: Query) -> Reply:
    """Answer intstock-multprice: up to 30 symbols; rows of unknown ones are left out."""
    codes = [query.get(f"FID_INPUT_ISCD_{i}", "").strip() for i in range(1, MULTI + 1)]
    if not codes[0]:
        raise InputError("FID_INPUT_ISCD_1")
    # Pairs must be contiguous: what stands behind a gap is not looked at.
    last = codes.index("") if "" in codes else MULTI
    known = (exchange.symbols.get(code) for code in codes[:last])
    return _rows([_snapshot(exchange, symbol) for symbol in known if symbol is not None])


def _snapshot(exchange: Exchange, symbol: Symbol) -> Row:
    day, (low, high) = symbol.day, symbol.limits
    expected, quantity = exchange.expected(symbol)
    expected_move = expected - symbol.base if expected else 0
    ask = symbol.book.asks[0] if symbol.book.asks else Level(0, 0)
    bid = symbol.book.bids[0] if symbol.book.bids else Level(0, 0)
    moved = symbol.price - symbol.base
    return {
        "kospi_kosdaq_cls_name": symbol.market,
        "mrkt_trtm_cls_name": "",
        "hour_cls_code": exchange.hour_class(symbol),
        "inter_shrn_iscd": symbol.code,
        "inter_kor_isnm": symbol.name,
        "inter2_prpr": str(symbol.price),
        "inter2_prdy_vrss": str(moved),
        "prdy_vrss_sign": sign_of(symbol, symbol.price),
        "prdy_ctrt": ratio(moved, symbol.base, 100),
        "acml_vol": str(day.volume),
        "acml_tr_pbmn": str(day.turnover_won),
        "inter2_oprc": str(day.open),
        "inter2_hgpr": str(day.high),
        "inter2_lwpr": str(day.low),
        "inter2_llam": str(low),
        "inter2_mxpr": str(high),
        "inter2_askp": str(ask.price),
        "inter2_bidp": str(bid.price),
        "seln_rsqn": str(ask.size),
        "shnu_rsqn": str(bid.size),
        "total_askp_rsqn": str(symbol.totals[0]),
        "total_bidp_rsqn": str(symbol.totals[1]),
        "inter2_prdy_clpr": str(symbol.base),
        "inter2_sdpr": str(symbol.base),
        "intr_antc_cntg_vrss": str(expected_move),
        "intr_antc_cntg_vrss_sign": sign_of(symbol, expected or symbol.base),
        "intr_antc_cntg_prdy_ctrt": ratio(expected_move, symbol.base, 100),
        "intr_antc_vol": str(quantity),
    }


def _ranked(symbols: Sequence[Symbol], code_key: str) -> list[Row]:
    return [
        {
            "hts_kor_isnm": symbol.name,
            code_key: symbol.code,
            "data_rank": str(rank),
            "stck_prpr": str(symbol.price),
            **_moved(symbol, symbol.price),
            "acml_vol": str(symbol.day.volume),
            "acml_tr_pbmn": str(symbol.day.turnover_won),
            "vol_inrt": "0.00",
            "vol_tnrt": ratio(symbol.day.volume, symbol.listed_shares, 100),
        }
        for rank, symbol in enumerate(symbols[:ROWS], 1)
    ]


def volume_rank(exchange: Exchange, query: Query) -> Reply:
    """Answer volume-rank: 30 symbols by volume, or by turnover where class 3 or 4 is asked."""
    if needed(query, "FID_COND_SCR_DIV_CODE") != "20171":
        raise InputError("FID_COND_SCR_DIV_CODE")
    by_value = query.get("FID_BLNG_CLS_CODE", "0") in {"3", "4"}

    def size(symbol: Symbol) -> int:
        return symbol.day.turnover_won if by_value else symbol.day.volume

    ranked = sorted(exchange.symbols.values(), key=size, reverse=True)
    return _rows(_ranked(ranked, "mksc_shrn_iscd"))


def fluctuation(exchange: Exchange, query: Query) -> Reply:
    """Answer fluctuation: 30 symbols by their move, the largest first; class 1 the other way."""
    if needed(query, "FID_COND_SCR_DIV_CODE") != "20170":
        raise InputError("FID_COND_SCR_DIV_CODE")

    def move(symbol: Symbol) -> int:
        return (symbol.price - symbol.base) * 10_000 // symbol.base

    is_down = query.get("FID_RANK_SORT_CLS_CODE", "0") == "1"
    ranked = sorted(exchange.symbols.values(), key=move, reverse=not is_down)
    return _rows(_ranked(ranked, "stck_shrn_iscd"))


def index_price(exchange: Exchange, query: Query) -> Reply:
    """Answer inquire-index-price with the same points the socket tells."""
    code = needed(query, "FID_INPUT_ISCD")
    if code not in INDEX_CODES:
        raise InputError("FID_INPUT_ISCD")
    fields = index_record(code, exchange.now_ns, exchange.members(code))
    return _one(
        {
            "bstp_nmix_prpr": fields[2],
            "prdy_vrss_sign": fields[3],
            "bstp_nmix_prdy_vrss": fields[4],
            "bstp_nmix_prdy_ctrt": fields[9],
            "acml_vol": fields[5],
            "acml_tr_pbmn": fields[6],
            "ascn_issu_cnt": fields[23],
            "stnr_issu_cnt": fields[24],
            "down_issu_cnt": fields[25],
        }
    )


def vi_status(exchange: Exchange, query: Query) -> Reply:
    """Answer inquire-vi-status: the day's interruptions, newest first."""
    if needed(query, "FID_COND_SCR_DIV_CODE") != "20139":
        raise InputError("FID_COND_SCR_DIV_CODE")
    code = query.get("FID_INPUT_ISCD", "").strip()
    rows = [
        {
            "hts_kor_isnm": exchange.symbols[entry["code"]].name,
            "mksc_shrn_iscd": entry["code"],
            "vi_cls_code": "N" if entry["end"] else "Y",
            "bsop_date": entry["day"],
            "cntg_vi_hour": entry["start"],
            "vi_cncl_hour": entry["end"],
            "vi_kind_code": "1",
            "vi_stnd_prc": str(exchange.symbols[entry["code"]].vi_reference),
            "vi_count": str(exchange.symbols[entry["code"]].vi_count),
        }
        for entry in reversed(exchange.vi_log)
        if not code or entry["code"] == code
    ]
    return _rows(rows)


def stock_info(exchange: Exchange, query: Query) -> Reply:
    """Answer search-stock-info."""
    symbol = exchange.symbols.get(needed(query, "PDNO"))
    if symbol is None:
        raise InputError("PDNO")
    return _one(
        {
            "pdno": symbol.code.rjust(12, "0"),
            "prdt_type_cd": "300",
            "mket_id_cd": "STK" if symbol.market == "KOSPI" else "KSQ",
            "scty_grp_id_cd": "ST",
            "prdt_name": symbol.name,
            "std_pdno": standard_code(symbol.code),
            "lstg_stqt": str(symbol.listed_shares),
            "tr_stop_yn": "Y" if symbol.halted else "N",
            "admn_item_yn": "N",
            "cptt_trad_tr_psbl_yn": "N",
            "nxt_tr_stop_yn": "N",
        }
    )


def product_info(exchange: Exchange, query: Query) -> Reply:
    """Answer search-info, which python-kis asks before anything else."""
    symbol = exchange.symbols.get(needed(query, "PDNO"))
    if symbol is None:
        raise InputError("PDNO")
    return _one(
        {
            "pdno": symbol.code.rjust(12, "0"),
            "prdt_type_cd": "300",
            "shtn_pdno": symbol.code,
            "std_pdno": standard_code(symbol.code),
            "prdt_name120": symbol.name,
            "prdt_abrv_name": symbol.name,
            "prdt_eng_name120": f"SIMULATED {symbol.code}",
            "prdt_eng_abrv_name": f"SIM{symbol.code}",
            "prdt_clsf_name": "주권",
        }
    )


def standard_code(code: str) -> str:
    """Return an invented ISIN of the right shape; its check digit is not computed."""
    return f"KR7{code}00" + "0"


def holidays(open_days: frozenset[str]) -> Service:
    """Return the answer of chk-holiday over a set of open days: 24 dates from the one asked."""

    def answer(_: Exchange, query: Query) -> Reply:
        first = _date(needed(query, "BASS_DT"))
        dates = [first + timedelta(days=i) for i in range(24)]
        return good(*DONE, {"output": [_date_row(each, open_days) for each in dates]})

    return answer


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError("BASS_DT") from None


def _date_row(each: date, open_days: frozenset[str]) -> Row:
    text = f"{each:%Y%m%d}"
    is_open = "Y" if text in open_days else "N"
    return {
        "bass_dt": text,
        "wday_dvsn_cd": f"{each.isoweekday() % 7 + 1:02d}",
        "bzdy_yn": is_open,
        "tr_day_yn": is_open,
        "opnd_yn": is_open,
        "sttl_day_yn": is_open,
    }


SERVICES: dict[str, Service] = {
    "inquire-price": price,
    "inquire-asking-price-exp-ccn": asking_price,
    "inquire-ccnl": trades,
    "inquire-time-itemconclusion": trades_by_time,
    "inquire-time-itemchartprice": minute_bars,
    "inquire-time-dailychartprice": minute_bars_of_day,
    "inquire-daily-itemchartprice": daily_chart,
    "inquire-daily-price": daily_prices,
    "intstock-multprice": many_prices,
    "volume-rank": volume_rank,
    "fluctuation": fluctuation,
    "inquire-index-price": index_price,
    "inquire-vi-status": vi_status,
    "search-stock-info": stock_info,
    "search-info": product_info,
}
