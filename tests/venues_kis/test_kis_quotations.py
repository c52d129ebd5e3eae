"""Quotation services of the simulated KIS over loopback: prices, books, bars, ranks, VI."""

import pytest
from kis_client import QUOTATIONS, KisClient, with_client
from kis_market import CODE, Wall, quote, trade

MORNING = [quote(1), trade(2, 10_000, 5), trade(3, 9_990, 6, buyer_initiated=False), quote(4)]
CODES = tuple(f"9900{i:02d}" for i in range(1, 41))


def test_prices_are_texts_of_the_played_market():
    async def check(client: KisClient, _wall):
        body = await client.quotation("inquire-price", "FHKST01010100", input_iscd=CODE)
        price = body["output"]
        assert body["msg_cd"] == "MCA00000"
        assert len(body["msg1"]) == 80
        assert all(isinstance(value, str) for value in price.values())
        names = ("stck_prpr", "prdy_vrss", "prdy_vrss_sign", "acml_vol", "stck_oprc", "stck_hgpr")
        assert [price[name] for name in names] == ["9990", "-10", "5", "11", "10000", "10000"]
        names = ("stck_lwpr", "stck_mxpr", "stck_llam", "stck_sdpr", "aspr_unit")
        assert [price[name] for name in names] == ["9990", "13000", "7000", "10000", "10"]
        unknown = await client.quotation("inquire-price", "FHKST01010100", input_iscd="000000")
        assert unknown["rt_cd"] == "2"
        assert unknown["msg1"].rstrip() == "ERROR : INPUT INVALID_CHECK_FID_INPUT_ISCD"

    with_client(check, *MORNING)


def test_books_trades_and_bars():
    async def check(client: KisClient, _wall):
        book = await client.quotation(
            "inquire-asking-price-exp-ccn", "FHKST01010200", input_iscd=CODE
        )
        asked = book["output1"]
        assert (asked["askp1"], asked["bidp1"], asked["askp2"]) == ("10000", "9990", "10010")
        assert int(asked["total_bidp_rsqn"]) == sum(
            int(asked[f"bidp_rsqn{i}"]) for i in range(1, 11)
        )
        last = await client.quotation("inquire-ccnl", "FHKST01010300", input_iscd=CODE)
        assert [row["stck_prpr"] for row in last["output"]] == ["9990", "10000"]
        early = await client.quotation(
            "inquire-time-itemconclusion", "FHPST01060000", input_iscd=CODE, input_hour_1="090002"
        )
        assert [(row["cnqn"], row["acml_vol"]) for row in early["output2"]] == [("5", "5")]
        minutes = await client.quotation(
            "inquire-time-itemchartprice", "FHKST03010200", input_iscd=CODE, input_hour_1="090059"
        )
        (bar,) = minutes["output2"]
        assert [bar[f"stck_{name}"] for name in ("oprc", "hgpr", "lwpr", "prpr")] == [
            "10000",
            "10000",
            "9990",
            "9990",
        ]
        assert (bar["stck_cntg_hour"], bar["cntg_vol"]) == ("090000", "11")
        daily = await client.quotation(
            "inquire-daily-itemchartprice",
            "FHKST03010100",
            input_iscd=CODE,
            input_date_1="20260301",
            input_date_2="20260331",
            period_div_code="D",
        )
        (today,) = daily["output2"]
        names = ("stck_bsop_date", "acml_vol", "prdy_vrss", "prdy_vrss_sign")
        assert [today[name] for name in names] == ["20260309", "11", "-10", "5"]

    with_client(check, *MORNING)


TWO_MINUTES = [quote(1), trade(2, 10_000, 5), trade(61, 9_990, 6), trade(62, 10_010, 2)]


@pytest.mark.parametrize(
    ("now", "until", "rows"),
    [
        (70, "090000", [("090000", "5")]),
        (70, "090100", [("090100", "8"), ("090000", "5")]),
        # before its first trade, a minute repeats the quantity of the one before it
        (130, "090200", [("090200", "8"), ("090100", "8"), ("090000", "5")]),
        # minutes to come are told at the present price
        (70, "090300", [("090300", "8"), ("090200", "0"), ("090100", "8"), ("090000", "5")]),
    ],
)
def test_minutes_without_a_trade_are_told_at_the_present_price(now, until, rows):
    async def check(client: KisClient, _wall):
        body = await client.quotation(
            "inquire-time-itemchartprice", "FHKST03010200", input_iscd=CODE, input_hour_1=until
        )
        found = body["output2"]
        assert [(row["stck_cntg_hour"], row["cntg_vol"]) for row in found] == rows
        assert found[0]["stck_prpr"] == ("10000" if len(rows) == 1 else "10010")
        assert found[-1]["acml_tr_pbmn"] == "50000"
        if len(rows) > 1:
            assert found[0]["acml_tr_pbmn"] == str(50_000 + 6 * 9_990 + 2 * 10_010)

    with_client(check, *TWO_MINUTES, now=now)


def test_many_minutes_to_come_leave_no_room_for_those_that_were():
    async def check(client: KisClient, _wall):
        body = await client.quotation(
            "inquire-time-itemchartprice", "FHKST03010200", input_iscd=CODE, input_hour_1="200000"
        )
        times = [row["stck_cntg_hour"] for row in body["output2"]]
        assert (len(times), times[0], times[-1]) == (30, "153000", "150100")

    with_client(check, *TWO_MINUTES, now=70)


def test_many_prices_tell_what_an_auction_would_trade_at():
    async def check(client: KisClient, _wall):
        query = {"FID_INPUT_ISCD_1": CODE}
        _, body, _ = await client.get(QUOTATIONS + "intstock-multprice", "FHKST11300006", query)
        (row,) = body["output"]
        expected, quantity = client.server.venue.exchange.expected(
            client.server.venue.exchange.symbols[CODE]
        )
        assert quantity == 5
        assert int(row["inter2_sdpr"]) + int(row["intr_antc_cntg_vrss"]) == expected == 10_100
        assert (row["intr_antc_vol"], row["hour_cls_code"]) == ("5", "C")
        assert (row["intr_antc_cntg_vrss_sign"], row["intr_antc_cntg_prdy_ctrt"]) == ("2", "1.00")

    async def interrupted(client: KisClient, wall: Wall):
        await client.faults({"kind": "vi", "match": CODE})
        wall.pass_s(5)
        await check(client, wall)

    with_client(interrupted, quote(1), trade(12, 10_100, 5))


def test_many_prices_are_matched_by_code_and_end_at_a_gap():
    async def check(client: KisClient, _wall):
        query = {f"FID_INPUT_ISCD_{i}": code for i, code in enumerate(CODES[:30], 1)}
        query["FID_INPUT_ISCD_5"] = "000000"
        path = QUOTATIONS + "intstock-multprice"
        _, body, _ = await client.get(path, "FHKST11300006", query)
        codes = [row["inter_shrn_iscd"] for row in body["output"]]
        assert codes == [*CODES[:4], *CODES[5:30]]
        assert body["output"][0]["inter2_prpr"] == "9990"
        assert body["output"][0]["inter2_mxpr"] == "13000"
        del query["FID_INPUT_ISCD_3"]
        _, body, _ = await client.get(path, "FHKST11300006", query)
        assert len(body["output"]) == 2

    with_client(check, *MORNING, codes=CODES)


def test_ranks_indices_holidays_and_stock_information():
    async def check(client: KisClient, _wall):
        rank = await client.quotation(
            "volume-rank", "FHPST01710000", cond_scr_div_code="20171", input_iscd="0000"
        )
        assert len(rank["output"]) == 30
        assert (rank["output"][0]["mksc_shrn_iscd"], rank["output"][0]["acml_vol"]) == (CODE, "11")
        path = "/uapi/domestic-stock/v1/ranking/fluctuation"
        query = {"fid_cond_scr_div_code": "20170", "fid_rank_sort_cls_code": "1"}
        _, body, _ = await client.get(path, "FHPST01700000", query)
        assert body["output"][0]["stck_shrn_iscd"] == CODE
        index = await client.quotation("inquire-index-price", "FHPUP02100000", input_iscd="0001")
        assert index["output"]["bstp_nmix_prpr"] == "2499.93"
        path = QUOTATIONS + "chk-holiday"
        _, body, _ = await client.get(path, "CTCA0903R", {"BASS_DT": "20260308"})
        days = [(row["bass_dt"], row["wday_dvsn_cd"], row["opnd_yn"]) for row in body["output"]]
        assert days[:2] == [("20260308", "01", "N"), ("20260309", "02", "Y")]
        path = QUOTATIONS + "search-stock-info"
        _, body, _ = await client.get(path, "CTPF1002R", {"PRDT_TYPE_CD": "300", "PDNO": CODE})
        assert body["output"]["cptt_trad_tr_psbl_yn"] == "N"

    with_client(check, *MORNING, codes=CODES)


def test_interruptions_are_listed():
    async def check(client: KisClient, wall: Wall):
        await client.faults({"kind": "vi", "match": CODE, "seconds": 60})
        name, tr_id = "inquire-vi-status", "FHPST01390000"
        (row,) = (await client.quotation(name, tr_id, cond_scr_div_code="20139"))["output"]
        assert (row["mksc_shrn_iscd"], row["cntg_vi_hour"], row["vi_cncl_hour"]) == (
            CODE,
            "090010",
            "",
        )
        wall.pass_s(61)
        (row,) = (await client.quotation(name, tr_id, cond_scr_div_code="20139"))["output"]
        assert row["vi_cncl_hour"] == "090110"

    with_client(check, *MORNING)
