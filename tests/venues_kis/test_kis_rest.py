"""REST of the simulated KIS over loopback: gateway, account services, REST faults."""

import asyncio
import io
import zipfile
from dataclasses import replace

import aiohttp
import pytest
from kis_client import QUOTATIONS, TRADING, KisClient, with_client
from kis_market import CODE, WHO, Wall, account_of, quote, server_of, trade
from yarl import URL

from scenarios.venues.kis.personality import SERVICES, Environment

MORNING = [quote(1), trade(2, 10_000, 5), trade(3, 9_990, 6, buyer_initiated=False), quote(4)]
CODES = tuple(f"9900{i:02d}" for i in range(1, 41))


def test_tokens_one_a_minute_the_same_for_six_hours_and_refused_when_expired():
    async def check(client: KisClient, wall: Wall):
        keys = {"grant_type": "client_credentials", "appkey": WHO.app_key}
        keys["appsecret"] = WHO.app_secret
        status, body, _ = await client.post_json("/oauth2/tokenP", keys)
        assert (status, body["token_type"], body["expires_in"]) == (200, "Bearer", 86_400)
        assert len(body["access_token_token_expired"]) == 19
        wall.pass_s(30)
        status, refused, _ = await client.post_json("/oauth2/tokenP", keys)
        assert (status, refused["error_code"]) == (403, "EGW00133")
        wall.pass_s(31)
        _, again, _ = await client.post_json("/oauth2/tokenP", keys)
        # The same token with the same end; the seconds are those of a new one.
        assert again == body
        client.token = body["access_token"]
        assert (await client.quotation("inquire-price", "FHKST01010100", input_iscd=CODE))[
            "rt_cd"
        ] == "0"
        wall.pass_s(86_400)
        expired = await client.quotation("inquire-price", "FHKST01010100", input_iscd=CODE)
        assert expired["msg_cd"] == "EGW00123"

    with_client(check, *MORNING, logged_in=False)


@pytest.mark.parametrize(
    ("path", "change", "code"),
    [
        ("/oauth2/tokenP", {"appkey": "nobody"}, "EGW00103"),
        ("/oauth2/tokenP", {"appkey": ""}, "EGW00102"),
        ("/oauth2/tokenP", {"appsecret": "wrong"}, "EGW00105"),
        ("/oauth2/Approval", {"secretkey": ""}, "EGW00104"),
        ("/oauth2/tokenP", {"grant_type": "code"}, "EGW00116"),
        ("/oauth2/Approval", {"secretkey": "wrong"}, "EGW00105"),
    ],
)
def test_wrong_keys(path, change, code):
    async def check(client: KisClient, _wall):
        keys = {"grant_type": "client_credentials", "appkey": WHO.app_key}
        keys |= {"appsecret": WHO.app_secret, "secretkey": WHO.app_secret}
        status, body, _ = await client.post_json(path, keys | change)
        assert (status, body["error_code"]) == (403, code)

    with_client(check, logged_in=False)


def test_token_and_approval_are_limited_to_one_a_second():
    async def check(client: KisClient, _wall):
        keys = {"grant_type": "client_credentials", "appkey": WHO.app_key}
        keys["secretkey"] = WHO.app_secret
        _, first, _ = await client.post_json("/oauth2/Approval", keys)
        _, second, _ = await client.post_json("/oauth2/Approval", keys)
        assert len(first["approval_key"]) == 36
        assert second["error_code"] == "EGW00201"

    with_client(check, logged_in=False)


def test_revoking_a_token_and_hashing_a_body():
    async def check(client: KisClient, _wall):
        _, body, _ = await client.post_json("/uapi/hashkey", {"A": "1"})
        assert (body["BODY"], len(body["HASH"])) == ({"A": "1"}, 64)
        _, body, _ = await client.post_json("/oauth2/revokeP", {"token": client.token})
        assert body["code"] == 200
        gone = await client.quotation("inquire-price", "FHKST01010100", input_iscd=CODE)
        assert gone["msg_cd"] == "EGW00121"

    with_client(check)


@pytest.mark.parametrize(
    ("environment", "allowed"), [(Environment.REAL, 18), (Environment.MOCK, 1)]
)
def test_requests_over_the_limit_get_http_500_and_are_seen(environment, allowed):
    async def check(client: KisClient, wall: Wall):
        query = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": CODE}
        path = QUOTATIONS + "inquire-price"
        answers = [await client.get(path, "FHKST01010100", query) for _ in range(allowed + 2)]
        assert [status for status, _, _ in answers] == [200] * allowed + [500] * 2
        assert answers[-1][1]["msg_cd"] == "EGW00201"
        wall.pass_s(1)
        assert (await client.get(path, "FHKST01010100", query))[0] == 200
        seen = (await client.admin())["saw"]
        assert seen["violations"] == {"EGW00201": 2}
        assert seen["most_requests_in_a_second"] == allowed + 4  # with token and approval

    limit = {"requests_per_s": allowed}
    with_client(check, *MORNING, environment=environment, limits=limit)


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"appkey": "nobody"}, "EGW00103"),
        ({"appkey": ""}, "EGW00102"),
        ({"appsecret": "wrong"}, "EGW00105"),
        ({"appsecret": ""}, "EGW00104"),
        ({"authorization": "token"}, "EGW00205"),
        ({"custtype": "X"}, "EGW00208"),
        ({"authorization": "Bearer other"}, "EGW00121"),
        ({"tr_id": "VTTC8434R"}, "EGW02004"),
        ({"tr_id": "UNKNOWN"}, "OPSQ0002"),
    ],
)
def test_wrong_headers(headers, code):
    async def check(client: KisClient, _wall):
        sent = client.headers("TTTC8434R") | headers
        async with client.http.get(TRADING + "inquire-balance", headers=sent) as reply:
            assert reply.status == 500
            assert (await reply.json())["msg_cd"] == code

    with_client(check)


def test_mock_serves_less_and_has_its_own_trading_ids():
    async def check(client: KisClient, _wall):
        path = TRADING + "inquire-psbl-rvsecncl"
        status, body, _ = await client.get(path, "TTTC0084R", client.account())
        assert (status, body["msg_cd"]) == (500, "EGW02004")
        assert body["msg1"] == "모의투자 TR 이 아닙니다."
        good = await client.order("buy", CODE, 1, 9_990, tr_id="VTTC0012U")
        assert good["rt_cd"] == "0"
        refused = await client.order("buy", CODE, 1, 9_990)
        assert refused["msg_cd"] == "EGW02004"

    with_client(check, *MORNING, environment=Environment.MOCK)


def test_an_unknown_path_is_no_service():
    async def check(client: KisClient, _wall):
        status, body, _ = await client.get("/uapi/nothing", "FHKST01010100")
        assert (status, body["msg_cd"]) == (404, "OPSQ0002")

    with_client(check)


def test_a_path_may_begin_with_two_slashes():
    async def check(client: KisClient, _wall):
        url = URL(f"http://127.0.0.1:{client.server.port}/{QUOTATIONS}inquire-price", encoded=True)
        assert url.path.startswith("//")
        query = {"FID_COND_MRKT_DIV_CODE": "J", "FID_INPUT_ISCD": CODE}
        headers = client.headers("FHKST01010100")
        async with client.http.get(url, params=query, headers=headers) as reply:
            assert (await reply.json())["rt_cd"] == "0"

    with_client(check, *MORNING)


def test_every_reply_is_marked_as_a_simulators_and_tells_the_market_time():
    async def check(client: KisClient, wall: Wall):
        async with client.http.get("/simulator") as reply:
            told = await reply.json()
            assert reply.headers["X-Onetape-Simulator"] == "kis"
        assert told["simulator"] == "onetape venue kis"
        assert told["origin_wall_ns"] == wall.ns
        _, _, headers = await client.get(QUOTATIONS + "inquire-price", "FHKST01010100")
        assert headers["X-Onetape-Simulator"] == "kis"
        assert f"origin_wall_ns={wall.ns};" in headers["X-Onetape-Market-Time"]
        async with client.http.ws_connect("/") as socket:
            assert socket._response.headers["X-Onetape-Simulator"] == "kis"

    with_client(check)


def test_an_order_its_number_and_the_ways_it_can_be_refused():
    async def check(client: KisClient, _wall):
        body = await client.order("buy", CODE, 10, 9_980)
        assert body["msg_cd"] == "APBK0013"
        assert body["output"] == {
            "KRX_FWDG_ORD_ORGNO": "00950",
            "ODNO": "0000010001",
            "ORD_TMD": "090010",
        }
        assert (await client.order("buy", CODE, 1_000_000, 9_980))["msg_cd"] == "APBK0952"
        assert (await client.order("sell", CODE, 1, 9_980))["msg_cd"] == "APBK0400"
        assert (await client.order("buy", CODE, 1, 9_985))["msg_cd"] == "APBK0506"
        assert (await client.order("buy", "", 1, 9_980))["msg1"].startswith(
            "ERROR : INPUT INVALID_CHECK_PDNO"
        )
        assert (await client.order("buy", CODE, "x", 9_980))["rt_cd"] == "2"
        amended = await client.change("10001", "amend", price=9_970)
        assert amended["output"]["ODNO"] == "0000010002"
        cancelled = await client.change("0000010002", "cancel")
        assert cancelled["output"]["ODNO"] == "0000010003"
        assert (await client.change("0000010002", "cancel"))["rt_cd"] == "1"

    with_client(check, *MORNING)


def test_an_account_that_is_not_the_appkeys_is_refused():
    async def check(client: KisClient, _wall):
        query = {"CANO": "12345678", "ACNT_PRDT_CD": "01", "INQR_DVSN": "01"}
        _, body, _ = await client.get(TRADING + "inquire-balance", "TTTC8434R", query)
        assert (body["rt_cd"], body["msg_cd"]) == ("2", "OPSQ2000")

    with_client(check)


@pytest.mark.parametrize(
    ("environment", "pages", "continues"),
    [
        (Environment.REAL, [100, 7], ["F", "E"]),
        (Environment.MOCK, [15] * 7 + [2], ["F"] + ["M"] * 6 + ["E"]),
    ],
)
def test_the_order_list_comes_in_pages(environment, pages, continues):
    async def check(client: KisClient, _wall):
        is_mock = environment is Environment.MOCK
        for i in range(107):
            side = "VTTC0012U" if is_mock else None
            await client.order("buy", CODE, 1 + i, 7_000, tr_id=side)
        tr_id = "VTTC0081R" if is_mock else "TTTC0081R"
        got, said = await client.order_pages(tr_id=tr_id)
        assert ([len(page) for page in got], said) == (pages, continues)
        quantities = [row["ord_qty"] for page in got for row in page]
        assert quantities == [str(1 + i) for i in range(107)]
        query = client.account() | {"INQR_STRT_DT": "20260309", "INQR_END_DT": "20260309"}
        query |= {"INQR_DVSN": "01", "CTX_AREA_NK100": "30"}
        _, body, _ = await client.get(TRADING + "inquire-daily-ccld", tr_id, query, tr_cont="")
        assert body["output1"][0]["ord_qty"] == "1"  # the header decides, not the context
        newest, _ = await client.order_pages(tr_id=tr_id, INQR_DVSN="00")
        assert newest[0][0]["ord_qty"] == "107"

    with_client(check, *MORNING, environment=environment, limits=_many(environment))


def _many(environment) -> dict[str, int]:
    return {"requests_per_s": 1_000, "ledger_requests_per_s": 1_000}


def test_the_order_list_filters_and_an_empty_one_says_so():
    async def check(client: KisClient, _wall):
        ([page], _) = await client.order_pages()
        assert page == []
        await client.order("buy", CODE, 3, 10_000)
        await client.order("buy", CODE, 4, 9_000)
        await client.order("sell", CODE, 2, 10_500)
        for filters, quantities in (
            ({"CCLD_DVSN": "01"}, ["3"]),
            ({"CCLD_DVSN": "02"}, ["4", "2"]),
            ({"SLL_BUY_DVSN_CD": "01"}, ["2"]),
            ({"ODNO": "0000010002"}, ["4"]),
            ({"PDNO": "000000"}, []),
        ):
            ([page], _) = await client.order_pages(**filters)
            assert [row["ord_qty"] for row in page] == quantities
        ([filled, *_], _) = (await client.order_pages())[0][:1], None
        assert (filled[0]["tot_ccld_qty"], filled[0]["avg_prvs"]) == ("3", "10000.00")

    with_client(check, *MORNING)


@pytest.mark.parametrize(
    ("form", "rows"),
    [
        (1, [("N", "0", "0"), ("Y", "3", "2"), ("Y", "3", "0")]),
        (2, [("Y", "5", "0"), ("Y", "3", "2"), ("Y", "3", "0")]),
        (3, [("Y", "5", "0"), ("Y", "3", "2")]),
    ],
)
def test_changed_orders_can_be_listed_in_several_ways(form, rows):
    async def check(client: KisClient, _wall):
        placed = (await client.order("buy", CODE, 5, 9_800))["output"]["ODNO"]
        amended = (await client.change(placed, "amend", 9_700))["output"]["ODNO"]
        await client.change(amended, "cancel", quantity=3, every="N")
        ([page], _) = await client.order_pages()
        names = ("cncl_yn", "cncl_cfrm_qty", "rmn_qty")
        assert [tuple(row[name] for name in names) for row in page] == rows
        assert [row["orgn_odno"] for row in page] == ["", placed, amended][: len(rows)]
        ([nxt], _) = await client.order_pages(EXCG_ID_DVSN_CD="NXT")
        assert nxt == []

    with_client(check, *MORNING, limits={"requests_per_s": 1_000, "order_rows": form})


def test_balance_and_buying_power_equal_the_books():
    async def check(client: KisClient, _wall):
        await client.order("buy", CODE, 30, 10_000)
        await client.order("sell", CODE, 10, 9_990)
        await client.order("sell", CODE, 5, 10_500)
        await client.order("buy", CODE, 7, 0, kind="01")
        await client.order("buy", CODE, 7, 9_000)
        account = account_of(client.server.venue.exchange)
        body = await client.balance()
        (held,), (totals,) = body["output1"], body["output2"]
        assert held["hldg_qty"] == str(account.positions[CODE].quantity) == "27"
        assert held["ord_psbl_qty"] == "22"
        assert totals["prvs_rcdl_excc_amt"] == str(account.cash_won)
        assert totals["thdt_tlex_amt"] == str(sum(fill.cost_won for fill in account.fills))
        query = client.account() | {"PDNO": CODE, "ORD_UNPR": "9000", "ORD_DVSN": "00"}
        _, body, _ = await client.get(TRADING + "inquire-psbl-order", "TTTC8908R", query)
        assert body["output"]["nrcvb_buy_amt"] == str(account.orderable_won)
        most = int(body["output"]["nrcvb_buy_qty"])
        query["ORD_DVSN"] = "01"
        _, body, _ = await client.get(TRADING + "inquire-psbl-order", "TTTC8908R", query)
        assert body["output"]["psbl_qty_calc_unpr"] == "13000"
        assert (await client.order("buy", CODE, most + 1, 9_000))["msg_cd"] == "APBK0952"
        assert (await client.order("buy", CODE, most, 9_000))["rt_cd"] == "0"
        _, body, _ = await client.get(
            TRADING + "inquire-psbl-sell", "TTTC8408R", client.account() | {"PDNO": CODE}
        )
        assert body["output"]["ord_psbl_qty"] == "22"
        query = client.account() | {"INQR_DVSN_1": "0", "INQR_DVSN_2": "2"}
        _, body, _ = await client.get(TRADING + "inquire-psbl-rvsecncl", "TTTC0084R", query)
        assert [row["psbl_qty"] for row in body["output"]] == ["7", str(most)]

    with_client(check, *MORNING)


def test_a_balance_may_leave_out_what_was_sold_the_day_before():
    async def check(client: KisClient, _wall):
        await client.order("buy", CODE, 3, 10_000)
        await client.order("sell", CODE, 3, 9_990)
        assert [row["thdt_sll_qty"] for row in (await client.balance())["output1"]] == ["3"]
        client.server.venue.exchange.books.roll_day()
        (row,) = (await client.balance())["output1"]
        assert (row["hldg_qty"], row["thdt_sll_qty"], row["bfdy_sll_qty"]) == ("0", "0", "3")
        query = client.account() | {"INQR_DVSN": "01", "PRCS_DVSN": "01"}
        _, body, _ = await client.get(TRADING + "inquire-balance", "TTTC8434R", query)
        assert body["output1"] == []

    with_client(check, *MORNING)


def test_the_balance_takes_only_the_division_that_is_left():
    async def check(client: KisClient, _wall):
        query = client.account() | {"INQR_DVSN": "02"}
        _, body, _ = await client.get(TRADING + "inquire-balance", "TTTC8434R", query)
        assert body["msg1"].rstrip() == "ERROR : INPUT INVALID_CHECK_INQR_DVSN"

    with_client(check)


@pytest.mark.parametrize(
    ("fault", "code", "is_booked"),
    [
        ("http_500", "EGW00316", False),
        ("early_limit", "EGW00201", False),
        ("ledger_busy", "EGW00215", False),
        ("refused_order", "APBK0919", False),
        ("rejected_order", "APBK0013", True),
        ("unknown_outcome", "EGW00304", True),
        ("token_expiry", "EGW00123", False),
    ],
)
def test_faults_that_answer(fault, code, is_booked):
    async def check(client: KisClient, _wall):
        assert (await client.faults({"kind": fault}))[0] == 200
        assert (await client.order("buy", CODE, 5, 9_000))["msg_cd"] == code
        orders = account_of(client.server.venue.exchange).orders
        assert len(orders) == is_booked
        assert (await client.admin())["faults_struck"] == {fault: 1}

    with_client(check, *MORNING)


def test_a_lost_reply_leaves_the_order_in_the_books_and_a_blind_repeat_is_seen():
    async def check(client: KisClient, wall: Wall):
        await client.faults({"kind": "lost_reply", "match": "order-cash"})
        with pytest.raises(aiohttp.ClientError):
            await client.order("buy", CODE, 5, 9_000)
        assert len(account_of(client.server.venue.exchange).orders) == 1
        wall.pass_s(2)
        await client.order("buy", CODE, 5, 9_000)
        assert len((await client.admin())["saw"]["duplicate_orders"]) == 1

    with_client(check, *MORNING)


def test_a_lost_request_changes_nothing_and_looks_like_a_lost_reply():
    async def check(client: KisClient, _wall):
        await client.faults({"kind": "lost_request", "match": "order-cash"})
        with pytest.raises(aiohttp.ClientError):
            await client.order("buy", CODE, 3, 9_000)
        seen = await client.admin()
        assert (seen["accounts"][0]["orders"], seen["saw"]["requests"]["order-cash"]) == ([], 1)
        assert (await client.order("buy", CODE, 3, 9_000))["rt_cd"] == "0"
        assert (await client.admin())["saw"]["duplicate_orders"] == []

    with_client(check, *MORNING)


def test_an_answer_that_shows_nothing_may_be_wrong():
    async def check(client: KisClient, _wall):
        await client.order("buy", CODE, 3, 9_000)
        await client.faults({"kind": "empty_answer", "match": "inquire-psbl-rvsecncl"})
        query = client.account() | {"INQR_DVSN_1": "0", "INQR_DVSN_2": "0"}
        path = TRADING + "inquire-psbl-rvsecncl"
        status, body, _ = await client.get(path, "TTTC0084R", query)
        assert (status, body["rt_cd"], body["msg_cd"]) == (200, "7", "KIOK0560")
        assert "output" not in body
        _, body, _ = await client.get(path, "TTTC0084R", query)
        assert [row["psbl_qty"] for row in body["output"]] == ["3"]

    with_client(check, *MORNING)


def test_an_order_that_was_asked_for_first_is_no_duplicate():
    async def check(client: KisClient, _wall):
        await client.faults({"kind": "unknown_outcome"})
        await client.order("buy", CODE, 5, 9_000)
        await client.order_pages()
        await client.order("buy", CODE, 5, 9_000)
        saw = (await client.admin())["saw"]
        assert (saw["duplicate_orders"], saw["equal_orders"]) == ([], 1)

    with_client(check, *MORNING)


def test_garbage_and_late_replies():
    async def check(client: KisClient, _wall):
        await client.faults({"kind": "garbage_reply", "match": "inquire-price"})
        with pytest.raises(ValueError, match="Unterminated"):
            await client.quotation("inquire-price", "FHKST01010100", input_iscd=CODE)
        await client.faults({"kind": "late_reply", "seconds": 60, "match": "inquire-price"})
        asked = client.quotation("inquire-price", "FHKST01010100", input_iscd=CODE)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asked, 0.1)

    with_client(check, *MORNING)


def test_a_fault_that_makes_no_sense_is_refused():
    async def check(client: KisClient, _wall):
        status, body, _ = await client.faults({"kind": "flood"})
        assert (status, body["error"][:28]) == (400, "fault 1: 'flood' is no fault")
        async with client.http.post("/admin/faults", data="{") as reply:
            assert reply.status == 400

    with_client(check)


def test_a_scheduled_fault_strikes_when_its_time_comes():
    async def check(client: KisClient, wall: Wall):
        await client.faults({"kind": "http_500", "after_s": 5})
        assert (await client.order("buy", CODE, 1, 9_000))["rt_cd"] == "0"
        wall.pass_s(6)
        client.server.step()
        assert (await client.order("buy", CODE, 1, 9_000))["msg_cd"] == "EGW00316"

    with_client(check, *MORNING)


def test_the_admin_page_shows_what_was_seen_and_no_secret():
    async def check(client: KisClient, _wall):
        await client.order("buy", CODE, 5, 9_000)
        async with client.socket() as socket:
            await socket.register("H0STCNT0", CODE)
            async with client.http.get("/admin") as reply:
                page = await reply.text()
        assert f"H0STCNT0 {CODE}" in page
        assert "1 of 41" in page
        assert "simulator, real" in page
        assert "0000010001" in page
        assert "order-cash" in page
        everything = page + str(await client.admin())
        assert WHO.app_key not in everything
        assert WHO.app_secret not in everything
        assert client.token not in everything

    with_client(check, *MORNING)


@pytest.mark.parametrize(("name", "width"), [("kospi_code.mst", 227), ("kosdaq_code.mst", 221)])
def test_master_files_have_the_published_layout(name, width):
    async def check(client: KisClient, _wall):
        symbols = client.server.venue.exchange.symbols
        symbols["990002"].market = "KOSDAQ"
        async with client.http.get(f"/common/master/{name}.zip") as reply:
            archive = zipfile.ZipFile(io.BytesIO(await reply.read()))
        (line,) = archive.read(name).decode("cp949").splitlines()
        code = CODE if width == 227 else "990002"
        head, tail = line[:-width], line[-width:]
        assert len(head.encode("cp949")) == 61
        assert (head[:9].rstrip(), head[21:].rstrip()) == (code, f"가상{code}")
        at = 41 if width == 227 else 36
        assert (tail[:2], tail[at : at + 9]) == ("ST", "000010000")
        halted = 60 if width == 227 else 55
        assert tail[halted : halted + 3] == "NNN"
        async with client.http.get("/common/master/nxt_kospi_code.mst.zip") as reply:
            archive = zipfile.ZipFile(io.BytesIO(await reply.read()))
        (stand_in,) = archive.read("nxt_kospi_code.mst").decode("cp949").splitlines()
        assert (stand_in[:6], stand_in[-227 + 60]) == ("999999", "Y")
        async with client.http.get("/common/master/other.zip") as reply:
            assert reply.status == 404

    with_client(check, codes=(CODE, "990002"))


def scalars(value):
    """Yield every scalar of an answer, however deep."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        yield value
        return
    for each in value:
        yield from scalars(each)


@pytest.mark.parametrize("path", [path for path, each in SERVICES.items() if each.method == "GET"])
def test_every_service_answers_in_padded_texts_with_its_headers(path):
    async def check(client: KisClient, _wall):
        await client.order("buy", CODE, 5, 9_900)
        name = path.rsplit("/", 1)[-1]
        query = client.account() | {
            **{"INQR_STRT_DT": "20260309", "INQR_END_DT": "20260309", "INQR_DVSN": "01"},
            **{"PDNO": CODE, "ORD_DVSN": "00", "ORD_UNPR": "9900", "BASS_DT": "20260309"},
            **{
                "FID_INPUT_ISCD": CODES_OF.get(name, CODE),
                "FID_INPUT_ISCD_1": CODE,
                "FID_INPUT_HOUR_1": "090500",
            },
            **{"FID_INPUT_DATE_1": "20260309", "FID_INPUT_DATE_2": "20260309"},
            "FID_COND_SCR_DIV_CODE": SCREENS.get(name, ""),
        }
        tr_id = SERVICES[path].real[0]
        status, body, headers = await client.get(path, tr_id, query)
        assert (status, body["rt_cd"]) == (200, "0")
        assert all(isinstance(each, str) for each in scalars(body))
        assert len(body["msg1"]) >= 80
        assert headers["tr_id"] == tr_id
        assert {"tr_cont", "gt_uid", "Date"} <= set(headers)
        if "ctx_area_nk100" in body:
            assert [len(body[f"ctx_area_{name}100"]) for name in ("fk", "nk")] == [100, 100]
        assert any(name.startswith("output") for name in body)

    with_client(check, *MORNING)


CODES_OF = {"inquire-index-price": "0001"}
SCREENS = {"volume-rank": "20171", "fluctuation": "20170", "inquire-vi-status": "20139"}


def test_limits_can_be_those_of_a_new_customer():
    wall = Wall()
    server = server_of(wall=wall, limits={"requests_per_s": 3})
    assert server.venue.numbers == replace(server.venue.numbers, requests_per_s=3)
